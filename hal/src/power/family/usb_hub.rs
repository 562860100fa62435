//! Power of the ports of a USB hub.
//!
//! `address` in the lab file says which hub (see [`UsbMatch`]), an outlet is a port's number. A USB
//! 3 socket is two ports: one of a USB 2 hub, one of a SuperSpeed hub, and it has power as long as
//! one of them has. Where the kernel says which belong together, both are switched, and the socket
//! is off when both are.
//!
//! Many hubs accept the request and switch nothing: their descriptor says whether they switch each
//! port by itself, and a hub that says it does not is refused. One that lies is beyond software:
//! its state reads back as asked. Look at a board's lights once.

use crate::{
    blocking,
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
    usb::{ControlSetup, HubPort, Sysfs, UsbDevice, UsbHandle, UsbMatch},
};
use async_trait::async_trait;
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The family.
pub(super) static USB_HUB: Family = Family {
    name: "usb-hub",
    description: "ports of USB hubs that switch each port's power (USB 2.0 §11.11)",
    table: include_str!("../tables/usb-hub.toml"),
    parse: |row| {
        let row: Row = row
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let ids = row.usb.iter().map(|id| {
            crate::usb::parse_id(id).ok_or_else(|| format!("'{id}' is not like 2109:2813"))
        });
        Ok(Arc::new(Model(ids.collect::<Result<_, _>>()?)))
    },
};

/// `bDeviceClass` of a hub (USB 2.0 §11.23.1).
const HUB_CLASS: u8 = 9;

/// `PORT_POWER` of `SET_FEATURE` and `CLEAR_FEATURE` (USB 2.0 table 11-17).
const PORT_POWER: u16 = 8;

/// What a hub's descriptor says of its ports' power: `wHubCharacteristics`, bits 0 and 1 (USB 2.0
/// table 11-13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switching {
    /// All ports together.
    Ganged,
    /// Each port by itself.
    EachPort,
    /// Not at all.
    None,
}

/// What a hub says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    ports: u8,
    switching: Switching,
}

impl Descriptor {
    /// Reads a hub descriptor; `None` if it is none.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [_, _, ports, low, ..] = bytes else {
            return None;
        };
        let switching = match low & 0b11 {
            0b00 => Switching::Ganged,
            0b01 => Switching::EachPort,
            _ => Switching::None,
        };
        Some(Self {
            ports: *ports,
            switching,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Ids of the hubs of this model; any hub if empty.
    #[serde(default)]
    usb: Vec<String>,
}

struct Model(Vec<(u16, u16)>);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let NoOptions {} = config.options()?;
        let which: UsbMatch = match (&config.address, self.0.is_empty()) {
            (Some(address), _) => address.parse()?,
            (None, true) => config.address()?.parse()?,
            (None, false) => UsbMatch::default(),
        };
        Ok(Box::new(HubPdu {
            name: config.name.clone(),
            timeout: config.request_timeout(),
            target: Arc::new(Target {
                which: which.with_ids(&self.0),
                sysfs: Sysfs::default(),
                exchange: Mutex::new(()),
            }),
        }))
    }

    fn reads_back(&self) -> bool {
        true
    }
}

/// A hub.
struct HubPdu {
    name: String,
    timeout: Duration,
    target: Arc<Target>,
}

struct Target {
    which: UsbMatch,
    sysfs: Sysfs,
    /// An exchange whose caller gave up ends before the next begins.
    exchange: Mutex<()>,
}

impl HubPdu {
    async fn run<T: Send + 'static>(
        &self,
        outlet: &Outlet,
        deadline: Instant,
        work: impl FnOnce(Vec<Port>, std::time::Instant) -> Result<T, HalError> + Send + 'static,
    ) -> Result<T, HalError> {
        let number = outlet.number(&self.name, 1, 255)?;
        let deadline = deadline.min(Instant::now() + self.timeout);
        let target = self.target.clone();
        let subject = format!("PDU '{}'", self.name);
        blocking::run(&subject.clone(), deadline, move || {
            let _alone = target
                .exchange
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let deadline = deadline.into_std();
            work(target.socket(&subject, number, deadline)?, deadline)
        })
        .await
    }
}

#[async_trait]
impl Pdu for HubPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        self.run(outlet, deadline, move |ports, deadline| {
            ports.iter().try_for_each(|port| port.switch(to, deadline))
        })
        .await
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        self.run(outlet, deadline, |ports, deadline| {
            for port in ports {
                if port.has_power(deadline)? {
                    return Ok(Some(PowerState::On));
                }
            }
            Ok(Some(PowerState::Off))
        })
        .await
    }
}

/// A port of an open hub.
struct Port {
    hub: UsbHandle,
    port: HubPort,
    super_speed: bool,
}

impl Target {
    /// The ports of one socket: the one that is meant and, where the kernel knows it, its other
    /// half.
    fn socket(
        &self,
        pdu: &str,
        number: u32,
        deadline: std::time::Instant,
    ) -> Result<Vec<Port>, HalError> {
        let hub = self.find()?;
        let port = self.port(pdu, &hub, number, deadline)?;
        let peer = port.port.peer.clone();
        let mut ports = vec![port];
        if let Some((path, number)) = peer
            && let Some(hub) = self.sysfs.usb_device(&path)
        {
            ports.push(self.port(pdu, &hub, number.into(), deadline)?);
        }
        Ok(ports)
    }

    /// The hub that is meant. By its ids or serial number both halves of a USB 3 hub may be meant:
    /// then it is the slower one, whose ports name the faster one's.
    fn find(&self) -> Result<UsbDevice, HalError> {
        let devices = self.sysfs.usb_devices()?;
        let mut hubs: Vec<_> = devices
            .into_iter()
            .filter(|device| self.which.matches(device.identity()))
            .collect();
        if let Some(other) = hubs.iter().find(|device| device.class != HUB_CLASS) {
            let name = other.describe();
            let message = format!("{name} is not a hub");
            return Err(HalError::new(ErrorKind::InvalidInput, name, message));
        }
        if hubs.len() > 1 && hubs.iter().any(|hub| !is_super_speed(hub)) {
            hubs.retain(|hub| !is_super_speed(hub));
        }
        self.which
            .only(hubs, |hub| (hub.path.clone(), hub.describe()))
    }

    fn port(
        &self,
        pdu: &str,
        hub: &UsbDevice,
        number: u32,
        deadline: std::time::Instant,
    ) -> Result<Port, HalError> {
        let handle = UsbHandle::open(hub)?;
        let super_speed = is_super_speed(hub);
        let descriptor = handle.ask(hub_descriptor(super_speed), 16, deadline)?;
        let descriptor = Descriptor::parse(&descriptor).ok_or_else(|| no_hub(&handle))?;
        can_switch(descriptor, &handle)?;
        let mut ports = self.sysfs.hub_ports(&hub.path).into_iter();
        let port = ports.find(|port| u32::from(port.number) == number);
        match port {
            Some(port) if number <= u32::from(descriptor.ports) => Ok(Port {
                hub: handle,
                port,
                super_speed,
            }),
            _ => {
                let message = format!("{pdu} ({}) has no port {number}", hub.describe());
                Err(HalError::new(ErrorKind::InvalidInput, pdu, message)
                    .with_hint(format!("its ports are 1 to {}", descriptor.ports)))
            }
        }
    }
}

impl Port {
    /// Through the kernel's own file, which takes care of the device behind the port; where there
    /// is none, as the kernel would do it.
    fn switch(&self, to: PowerState, deadline: std::time::Instant) -> Result<(), HalError> {
        if let Some(file) = &self.port.switch {
            let disable = match to {
                PowerState::On => "0",
                PowerState::Off => "1",
            };
            match fs_err::write(file, disable) {
                Ok(()) => return Ok(()),
                // Who may use the hub's node may not always write to /sys.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
                Err(error) => {
                    let subject = format!("port {} of {}", self.port.number, self.hub.name());
                    return Err(HalError::from_io("switch", subject, error));
                }
            }
        }
        self.hub
            .send(port_power(self.port.number, to), &[], deadline)
    }

    fn has_power(&self, deadline: std::time::Instant) -> Result<bool, HalError> {
        let status = self.hub.ask(port_status(self.port.number), 4, deadline)?;
        let [low, high, ..] = status[..] else {
            return Err(no_hub(&self.hub));
        };
        Ok(status_has_power(
            u16::from_le_bytes([low, high]),
            self.super_speed,
        ))
    }
}

fn is_super_speed(hub: &UsbDevice) -> bool {
    hub.speed.parse::<f32>().is_ok_and(|speed| speed >= 5000.0)
}

/// `GET_DESCRIPTOR` of a hub: type 0x29, or 0x2A of a SuperSpeed hub (USB 3.2 §10.15.2.1).
fn hub_descriptor(super_speed: bool) -> ControlSetup {
    ControlSetup {
        kind: 0xa0,
        request: 0x06,
        value: if super_speed { 0x2a00 } else { 0x2900 },
        index: 0,
    }
}

/// `SET_FEATURE` or `CLEAR_FEATURE` of a port's power (USB 2.0 §11.24.2).
fn port_power(port: u8, to: PowerState) -> ControlSetup {
    ControlSetup {
        kind: 0x23,
        request: match to {
            PowerState::On => 0x03,
            PowerState::Off => 0x01,
        },
        value: PORT_POWER,
        index: port.into(),
    }
}

/// `GET_STATUS` of a port.
fn port_status(port: u8) -> ControlSetup {
    ControlSetup {
        kind: 0xa3,
        request: 0x00,
        value: 0,
        index: port.into(),
    }
}

/// `PORT_POWER` of `wPortStatus`: bit 8 (USB 2.0 table 11-21), bit 9 of a SuperSpeed hub (USB 3.2
/// table 10-13).
fn status_has_power(status: u16, super_speed: bool) -> bool {
    status & (if super_speed { 1 << 9 } else { 1 << 8 }) != 0
}

fn can_switch(descriptor: Descriptor, hub: &UsbHandle) -> Result<(), HalError> {
    let what = match descriptor.switching {
        Switching::EachPort => return Ok(()),
        Switching::Ganged => "switches the power of all its ports together",
        Switching::None => "does not switch the power of its ports",
    };
    let message = format!("{} {what}", hub.name());
    Err(HalError::new(ErrorKind::Unsupported, hub.name(), message)
        .with_hint("it needs a hub with power switching per port"))
}

fn no_hub(hub: &UsbHandle) -> HalError {
    let message = format!("{} does not answer like a hub", hub.name());
    HalError::new(ErrorKind::Protocol, hub.name(), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usb::tests_support::FakeSysfs;

    #[test]
    fn descriptors_are_read_and_hostile_ones_refused() {
        // A root hub of dummy_hcd, and a TI hub, as `lsusb -v` shows them.
        let switching = |bytes: &[u8]| Descriptor::parse(bytes).map(|hub| hub.switching);
        assert_eq!(
            switching(&[9, 0x29, 1, 0x01, 0, 10, 0, 0, 0xff]),
            Some(Switching::EachPort)
        );
        assert_eq!(
            switching(&[9, 0x29, 4, 0x00, 0, 50, 0]),
            Some(Switching::Ganged)
        );
        assert_eq!(
            switching(&[9, 0x29, 4, 0xe2, 0, 50, 0]),
            Some(Switching::None)
        );
        assert_eq!(switching(&[9, 0x29, 4]), None);
        assert_eq!(switching(&[]), None);
    }

    #[test]
    fn requests_are_those_of_the_specification() {
        let shown = |setup: ControlSetup| {
            let ControlSetup {
                kind,
                request,
                value,
                index,
            } = setup;
            format!("{kind:02x} {request:02x} {value:04x} {index:04x}")
        };
        assert_eq!(shown(port_power(3, PowerState::On)), "23 03 0008 0003");
        assert_eq!(shown(port_power(3, PowerState::Off)), "23 01 0008 0003");
        assert_eq!(shown(port_status(3)), "a3 00 0000 0003");
        assert_eq!(shown(hub_descriptor(false)), "a0 06 2900 0000");
        assert_eq!(shown(hub_descriptor(true)), "a0 06 2a00 0000");
        assert!(status_has_power(0x0503, false) && !status_has_power(0x0400, false));
        assert!(status_has_power(0x0203, true) && !status_has_power(0x0103, true));
    }

    fn target(tree: &FakeSysfs, which: &str) -> Target {
        Target {
            which: which.parse().unwrap(),
            sysfs: tree.sysfs(),
            exchange: Mutex::new(()),
        }
    }

    #[test]
    fn of_both_halves_of_a_usb_3_hub_the_slower_is_meant() {
        let tree = FakeSysfs::new();
        tree.usb("1-1", "2109:2813", Some("A"), ["09", "00", "02"]);
        tree.usb("2-1", "2109:2813", Some("A"), ["09", "00", "03"]);
        tree.attributes("bus/usb/devices/2-1", &[("speed", "5000")]);
        assert_eq!(target(&tree, "serial=A").find().unwrap().path, "1-1");
        assert_eq!(target(&tree, "path=2-1").find().unwrap().path, "2-1");
        tree.usb("1-2", "2109:2813", Some("A"), ["09", "00", "02"]);
        let error = target(&tree, "serial=A").find().unwrap_err();
        assert!(
            error.to_string().starts_with("2 devices match serial=A"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_a_hub_is_refused_by_name() {
        let tree = FakeSysfs::new();
        tree.usb("1-1", "18d1:4ee0", None, ["ff", "42", "03"]);
        let error = target(&tree, "1-1").find().unwrap_err();
        assert_eq!(
            error.to_string(),
            "ACME Thing (18d1:4ee0) at 1-1 is not a hub"
        );
    }
}
