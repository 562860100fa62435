//! Switches on the USB that are told by HID reports or control transfers.
//!
//! A row says which devices it is for (vendor and product), the reports that switch an outlet, and
//! the report that shows it. `address` in the lab file says which device, where there are several:
//! see [`UsbMatch`]. `options = { inverted = true }` is for a board that hangs on the contact that
//! is closed when the relay is off.

mod expression;
mod row;
mod steps;
#[cfg(test)]
mod tests;

use crate::{
    blocking,
    error::{ErrorKind, HalError},
    lab::PduConfig,
    power::{
        Outlet, Pdu, PowerState,
        models::{Family, Open},
    },
    usb::{HidDevice, HidHandle, NodeKind, Sysfs, UsbDevice, UsbHandle, UsbIdentity, UsbMatch},
};
use async_trait::async_trait;
use row::{Row, Via};
use serde::Deserialize;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use steps::{Endpoints, Handle};
use tokio::time::Instant;

/// The family.
pub(super) static HID: Family = Family {
    name: "hid",
    description: "relays and switches on the USB, by HID reports and control transfers",
    table: include_str!("../../tables/hid.toml"),
    parse: |row| Ok(Arc::new(Model(Arc::new(Row::parse(row)?)))),
};

struct Model(Arc<Row>);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    inverted: bool,
}

impl Open for Model {
    fn open(&self, config: &PduConfig) -> Result<Box<dyn Pdu>, HalError> {
        let options: Options = config.options()?;
        let which: UsbMatch = match &config.address {
            Some(address) => address.parse()?,
            None => UsbMatch::default(),
        };
        Ok(Box::new(HidPdu {
            name: config.name.clone(),
            timeout: config.request_timeout(),
            inverted: options.inverted,
            target: Arc::new(Target {
                row: self.0.clone(),
                which: which.with_ids(&self.0.ids),
                sysfs: Sysfs::default(),
                exchange: Mutex::new(()),
            }),
        }))
    }

    fn reads_back(&self) -> bool {
        self.0.reads_back()
    }
}

/// One switch.
struct HidPdu {
    name: String,
    timeout: Duration,
    inverted: bool,
    target: Arc<Target>,
}

/// What an exchange needs, on its own thread.
struct Target {
    row: Arc<Row>,
    which: UsbMatch,
    sysfs: Sysfs,
    /// An exchange whose caller gave up ends before the next begins.
    exchange: Mutex<()>,
}

/// A device that may be the one meant.
enum Candidate {
    Hid(HidDevice),
    Usb(UsbDevice),
}

impl HidPdu {
    async fn run<T: Send + 'static>(
        &self,
        outlet: &Outlet,
        deadline: Instant,
        work: impl FnOnce(&Target, u32, std::time::Instant) -> Result<T, HalError> + Send + 'static,
    ) -> Result<T, HalError> {
        let outlet = outlet.number(&self.name, 1, self.target.row.outlets)?;
        let deadline = deadline.min(Instant::now() + self.timeout);
        let target = self.target.clone();
        let subject = format!("PDU '{}'", self.name);
        blocking::run(&subject, deadline, move || {
            let _alone = target
                .exchange
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            work(&target, outlet, deadline.into_std())
        })
        .await
    }

    fn real(&self, state: PowerState) -> PowerState {
        match (self.inverted, state) {
            (false, state) => state,
            (true, PowerState::On) => PowerState::Off,
            (true, PowerState::Off) => PowerState::On,
        }
    }
}

#[async_trait]
impl Pdu for HidPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let to = self.real(to);
        self.run(outlet, deadline, move |target, outlet, deadline| {
            let (handle, interface) = target.open(deadline)?;
            let steps = target.row.switch_steps(outlet, interface, to);
            handle
                .run(&steps.map_err(|what| target.odd(what))?, deadline)
                .map(drop)
        })
        .await
    }

    async fn read(
        &mut self,
        outlet: &Outlet,
        deadline: Instant,
    ) -> Result<Option<PowerState>, HalError> {
        let state = self.run(outlet, deadline, |target, outlet, deadline| {
            if !target.row.reads_back() {
                return Ok(None);
            }
            let (handle, interface) = target.open(deadline)?;
            let steps = target.row.read_steps(outlet, interface);
            let steps = steps.map_err(|what| target.odd(what))?.unwrap_or_default();
            let answer = handle.run(&steps, deadline)?;
            let state = target.row.state(outlet, &answer);
            state.map(Some).map_err(|what| target.odd(what))
        });
        Ok(state.await?.map(|state| self.real(state)))
    }
}

impl Target {
    /// Finds and opens the device; its interface's number, too.
    fn open(&self, deadline: std::time::Instant) -> Result<(Handle, u8), HalError> {
        let candidates = self.candidates()?;
        let by_descriptor = |candidate: &Candidate| self.which.matches(candidate.identity());
        let mut found: Vec<_> = candidates
            .iter()
            .filter(|each| by_descriptor(each))
            .collect();
        if let (Some(identity), Some(wanted), true) =
            (&self.row.identity, &self.which.serial, found.is_empty())
        {
            for candidate in &candidates {
                let serial = self.own_serial(identity, candidate, deadline)?;
                if serial.is_some_and(|serial| same_serial(&serial, wanted)) {
                    found.push(candidate);
                }
            }
        }
        let device = self.which.only(found, |candidate| {
            let path = candidate.identity().path.unwrap_or("-").to_owned();
            (path, candidate.describe())
        })?;
        self.handle(device)
    }

    /// The devices that the row is for, at the place that the lab file says.
    fn candidates(&self) -> Result<Vec<Candidate>, HalError> {
        let candidates: Vec<_> = match self.row.via {
            Via::Usbfs => self
                .sysfs
                .usb_devices()?
                .into_iter()
                .map(Candidate::Usb)
                .collect(),
            Via::Hidraw => {
                let mut devices = self.sysfs.hid_devices();
                // Of a device with several interfaces, the first is meant.
                devices.dedup_by(|next, first| first.path.is_some() && next.path == first.path);
                devices.into_iter().map(Candidate::Hid).collect()
            }
        };
        let meant = candidates.into_iter().filter(|candidate| {
            self.which.matches_but_serial(candidate.identity())
                && self
                    .row
                    .product
                    .as_deref()
                    .is_none_or(|product| candidate.is_called(product))
        });
        Ok(meant.collect())
    }

    /// The serial number that the device has inside.
    fn own_serial(
        &self,
        identity: &row::Identity,
        candidate: &Candidate,
        deadline: std::time::Instant,
    ) -> Result<Option<String>, HalError> {
        let shown = candidate.identity().serial;
        if identity
            .when
            .as_deref()
            .is_some_and(|when| !shown.is_some_and(|s| same_serial(s, when)))
        {
            return Ok(None);
        }
        let (handle, interface) = self.handle(candidate)?;
        let exchanges = identity.steps(interface).map_err(|what| self.odd(what))?;
        let answers = exchanges.iter().map(|steps| handle.run(steps, deadline));
        let answers: Vec<_> = answers.collect::<Result<_, _>>()?;
        Ok(identity.serial(&answers))
    }

    fn handle(&self, candidate: &Candidate) -> Result<(Handle, u8), HalError> {
        match candidate {
            Candidate::Hid(device) => Ok((Handle::Hid(HidHandle::open(device)?), device.interface)),
            Candidate::Usb(device) => {
                let mut interfaces = device.interfaces.iter();
                let interface = match self.row.interface {
                    None => interfaces.next(),
                    Some(class) => interfaces.find(|each| each.class == class),
                };
                let interface = interface.ok_or_else(|| {
                    let name = device.describe();
                    let message = format!("{name} has no interface to switch it");
                    HalError::new(ErrorKind::Unsupported, name, message)
                })?;
                let mut endpoints = interface.endpoints.iter().copied();
                let endpoints = Endpoints {
                    back: endpoints.clone().find(|address| address & 0x80 != 0),
                    out: endpoints.find(|address| address & 0x80 == 0),
                };
                let handle = Handle::Usb(UsbHandle::open(device)?, endpoints);
                Ok((handle, interface.number))
            }
        }
    }

    fn odd(&self, what: String) -> HalError {
        HalError::new(ErrorKind::Protocol, self.which.to_string(), what)
            .with_hint("is it really a device of this model?")
    }
}

impl Candidate {
    fn identity(&self) -> UsbIdentity<'_> {
        match self {
            Self::Hid(device) => device.identity(),
            Self::Usb(device) => device.identity(),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Hid(device) => device.describe(),
            Self::Usb(device) => device.describe(),
        }
    }

    fn is_called(&self, product: &str) -> bool {
        match self {
            // The kernel puts the manufacturer in front: "www.dcttech.com USBRelay4".
            Self::Hid(device) => device.name.contains(product),
            Self::Usb(device) => device
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with(product)),
        }
    }
}

/// Serial numbers that are numbers are shown with and without zeros in front.
fn same_serial(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches('0').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The USB ids of every built-in row, to list what is plugged in: model's name, ids, door, and
/// what the product string has to contain.
pub(crate) fn known_devices() -> Vec<KnownDevice> {
    let table: toml::Table = toml::from_str(HID.table).unwrap_or_default();
    let models = table.get("model").and_then(toml::Value::as_table);
    let mut known = Vec::new();
    for (name, row) in models.into_iter().flatten() {
        let mut row = row.as_table().cloned().unwrap_or_default();
        for common in ["aliases", "description", "tested"] {
            row.remove(common);
        }
        if let Ok(row) = Row::parse(row) {
            known.push(KnownDevice {
                model: name.clone(),
                ids: row.ids,
                product: row.product,
                node: (row.via == Via::Hidraw).then_some(NodeKind::Hidraw),
            });
        }
    }
    known
}

/// What is known of a model's devices.
pub(crate) struct KnownDevice {
    /// The model.
    pub(crate) model: String,
    /// Its ids.
    pub(crate) ids: Vec<(u16, u16)>,
    /// What its product string contains, where the ids are not its own.
    pub(crate) product: Option<String>,
    /// The kind of node that it is switched through; usbfs if `None`.
    pub(crate) node: Option<NodeKind>,
}
