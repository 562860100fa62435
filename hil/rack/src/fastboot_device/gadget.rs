//! A device over USB: a gadget that the kernel offers on one of its device controllers.
//!
//! Run as `rack fastboot-gadget` on a machine with such a controller (the bench VM, or a board).
//! Uses configfs and FunctionFS, and so needs root. Ending the program unplugs the device.
//! Source of all numbers: the kernel's `linux/usb/functionfs.h` and the USB specification.

use super::Device;
use fs_err as fs;
use hal::HalError;
use rustix::mount::{MountFlags, mount};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// Where configfs keeps gadgets.
const GADGETS: &str = "/sys/kernel/config/usb_gadget";

/// The packet size of bulk endpoints at high speed. What is read is a multiple of it.
const PACKET: usize = 512;

/// How much of a download is read at once.
const PIECE: usize = 64 * 1024;

/// How long a device that reboots is away.
const REBOOT: Duration = Duration::from_millis(500);

/// How long a device that is to reboot stays, for its answer to get out.
const ANSWER: Duration = Duration::from_millis(200);

/// How a gadget shows itself.
#[derive(Clone, Debug)]
pub struct GadgetOptions {
    /// The controller, as `/sys/class/udc` names it ("dummy_udc.0").
    pub controller: String,
    /// Its serial number.
    pub serial: String,
    /// Where to leave what was flashed: a file for each partition, written before each command
    /// that changed it is answered.
    pub directory: PathBuf,
}

/// Offers `device` until it vanishes (see [`super::Fault`]) or this program ends.
///
/// # Errors
/// When the kernel does not offer gadgets, or this user may not make them.
pub fn serve_gadget(mut device: Device, options: &GadgetOptions) -> Result<(), HalError> {
    let failed = |error| HalError::from_io("offer a gadget on", &options.controller, error);
    let mut gadget = Gadget::plug_in(options).map_err(failed)?;
    while !device.is_gone() {
        // An error here is a host that unplugged or reset us: the next read waits for it.
        let Ok(taken) = gadget.take(&mut device) else {
            gadget.pause(Duration::from_millis(10));
            continue;
        };
        let command = match taken {
            Taken::Command => device.contents().commands().pop().unwrap_or_default(),
            Taken::Data => String::new(),
        };
        // Before the answer: a host that was told OKAY finds the file complete.
        save(&device, &command, options)?;
        while let Some(answer) = device.answer() {
            if gadget.input.write_all(&answer).is_err() {
                break;
            }
        }
        if command.starts_with("reboot") {
            gadget.reboot(options)?;
        }
    }
    Ok(())
}

/// Leaves in a file what `command` changed.
fn save(device: &Device, command: &str, options: &GadgetOptions) -> Result<(), HalError> {
    if let Some((_, partition)) = command.split_once(':')
        && (command.starts_with("flash:") || command.starts_with("erase:"))
        && let Some(bytes) = device.contents().partition(partition)
    {
        let file = options.directory.join(partition);
        let name = file.display().to_string();
        fs::write(&file, bytes).map_err(|error| HalError::from_io("write", name, error))?;
    }
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Taken {
    Command,
    Data,
}

struct Gadget {
    configuration: PathBuf,
    /// To the host.
    input: File,
    /// From the host.
    output: File,
    buffer: Vec<u8>,
}

impl Gadget {
    fn plug_in(options: &GadgetOptions) -> io::Result<Self> {
        let name = format!("fastboot-{}", options.controller);
        let configuration = Path::new(GADGETS).join(&name);
        describe(&configuration, &name, &options.serial)?;
        let functions = std::env::temp_dir().join(&name);
        fs::create_dir_all(&functions)?;
        mount(
            name.as_str(),
            &functions,
            "functionfs",
            MountFlags::empty(),
            None,
        )?;
        let mut control = open(&functions.join("ep0"))?;
        control.write_all(&descriptors())?;
        control.write_all(&strings())?;
        let input = open(&functions.join("ep1"))?;
        let output = open(&functions.join("ep2"))?;
        std::thread::spawn(move || answer_control(control));
        let gadget = Self {
            configuration,
            input,
            output,
            buffer: vec![0; PIECE],
        };
        gadget.bind(&options.controller)?;
        Ok(gadget)
    }

    /// Attaches to a controller; a line's end alone detaches.
    fn bind(&self, controller: &str) -> io::Result<()> {
        fs::write(self.configuration.join("UDC"), controller)
    }

    /// Leaves the bus for a while, as a device that starts again.
    fn reboot(&self, options: &GadgetOptions) -> Result<(), HalError> {
        let failed = |error| HalError::from_io("reboot", &options.serial, error);
        // dummy_hcd says that the answer is sent when it is buffered.
        self.pause(ANSWER);
        self.bind("\n").map_err(failed)?;
        self.pause(REBOOT);
        self.bind(&options.controller).map_err(failed)
    }

    /// Takes one transfer of the host.
    fn take(&mut self, device: &mut Device) -> io::Result<Taken> {
        let (wanted, taken) = match device.data_left() {
            Some(left) => (left.next_multiple_of(PACKET).min(PIECE), Taken::Data),
            None => (PACKET, Taken::Command),
        };
        let length = self.output.read(&mut self.buffer[..wanted])?;
        device.take(&self.buffer[..length]);
        Ok(taken)
    }

    fn pause(&self, time: Duration) {
        let time = rustix::event::Timespec::try_from(time).ok();
        let _ = rustix::event::poll(&mut [], time.as_ref());
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    Ok(file.into_parts().0)
}

/// Makes the gadget in configfs, with FunctionFS as its only function.
fn describe(configuration: &Path, name: &str, serial: &str) -> io::Result<()> {
    if !Path::new(GADGETS).exists() {
        let missing = format!("{GADGETS} is missing: no configfs, or no module libcomposite");
        return Err(io::Error::new(io::ErrorKind::NotFound, missing));
    }
    fs::create_dir(configuration)?;
    fs::write(configuration.join("idVendor"), "0x18d1")?;
    fs::write(configuration.join("idProduct"), "0x4ee0")?;
    let strings = configuration.join("strings/0x409");
    fs::create_dir(&strings)?;
    fs::write(strings.join("serialnumber"), serial)?;
    fs::write(strings.join("manufacturer"), "Pumice")?;
    fs::write(strings.join("product"), "Rack")?;
    fs::create_dir(configuration.join("configs/c.1"))?;
    let function = configuration.join(format!("functions/ffs.{name}"));
    fs::create_dir(&function)?;
    let link = configuration.join(format!("configs/c.1/ffs.{name}"));
    fs::os::unix::fs::symlink(function, link)
}

/// Reads events of the control endpoint; a request that is for us is refused.
fn answer_control(mut control: File) {
    /// The length of an event: a setup packet, a type, and padding.
    const EVENT: usize = 12;
    const SETUP: u8 = 4;
    let mut event = [0; EVENT];
    while matches!(control.read(&mut event), Ok(EVENT)) {
        if event[8] != SETUP {
            continue;
        }
        // Going the other way than the request does is how FunctionFS stalls.
        let towards_host = event[0] & 0x80 != 0;
        let _ = if towards_host {
            control.read(&mut [])
        } else {
            control.write(&[])
        };
    }
}

/// One interface with two bulk endpoints, for full and for high speed.
fn descriptors() -> Vec<u8> {
    let speed = |packet: u16| {
        let [low, high] = packet.to_le_bytes();
        let interface = [9, 4, 0, 0, 2, 0xff, 0x42, 0x03, 1];
        let input = [7, 5, 0x81, 2, low, high, 0];
        let output = [7, 5, 0x02, 2, low, high, 0];
        [&interface[..], &input, &output].concat()
    };
    let both = [speed(64), speed(512)].concat();
    const MAGIC: u32 = 3;
    const FULL_AND_HIGH: u32 = 1 | 2;
    let length = 20 + both.len() as u32;
    let head = [MAGIC, length, FULL_AND_HIGH, 3, 3];
    let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(both);
    bytes
}

/// The interface's name, in English.
fn strings() -> Vec<u8> {
    const MAGIC: u32 = 2;
    let text = b"fastboot\0";
    let length = 16 + 2 + text.len() as u32;
    let head = [MAGIC, length, 1, 1];
    let mut bytes: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(0x409_u16.to_le_bytes());
    bytes.extend(text);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_the_length_they_say() {
        for table in [descriptors(), strings()] {
            let length = u32::from_le_bytes(table[4..8].try_into().unwrap());
            assert_eq!(length as usize, table.len());
        }
    }
}
