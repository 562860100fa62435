//! What went over the USB, as the kernel's `usbmon` saw it. Source of the format: the kernel's
//! Documentation/usb/usbmon.rst, "Raw binary format and API".

use fs_err::File;
use std::{
    io::{ErrorKind, Read},
    time::{Duration, Instant},
};

/// What stands before the data of an event that is read by `read`.
const HEADER: usize = 48;

/// The longest event: the kernel keeps at most a fifth of its ring.
const LONGEST: usize = 1 << 16;

/// A control request that the host sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) kind: u8,
    pub(crate) request: u8,
    pub(crate) value: u16,
    /// What follows the setup packet, in hexadecimal digits.
    pub(crate) data: String,
}

/// Listens to all buses from now on.
///
/// The kernel's ring has 300 KiB, far more than a test sends besides what it carries. The text
/// interface keeps some eighty events for who does not read at once, and plugging in a device
/// makes more.
pub(crate) struct Usbmon {
    events: File,
    event: Vec<u8>,
}

impl Usbmon {
    pub(crate) fn listen() -> Self {
        let events = File::open("/dev/usbmon0").unwrap();
        rustix::io::ioctl_fionbio(&events, true).unwrap();
        Self {
            events,
            event: vec![0; HEADER + LONGEST],
        }
    }

    /// Waits for a control request that fits, and gives it. Those before it are skipped.
    pub(crate) async fn next(&mut self, fits: impl Fn(&Control) -> bool) -> Control {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let mut seen = Vec::new();
        loop {
            while let Some(event) = self.take() {
                match parse(event) {
                    Some(control) if fits(&control) => return control,
                    other => seen.extend(other),
                }
            }
            assert!(Instant::now() < deadline, "only {seen:x?}");
            ticks.tick().await;
        }
    }

    /// The next event, if there is one.
    fn take(&mut self) -> Option<&[u8]> {
        match self.events.read(&mut self.event) {
            Ok(length) => Some(&self.event[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A control transfer to a device that was submitted, and is shown with its setup packet.
fn parse(event: &[u8]) -> Option<Control> {
    const SUBMITTED: u8 = b'S';
    const CONTROL: u8 = 2;
    const FROM_DEVICE: u8 = 0x80;
    let (header, data) = event.split_first_chunk::<HEADER>()?;
    let is_control = header[8] == SUBMITTED && header[9] == CONTROL;
    if !is_control || header[10] & FROM_DEVICE != 0 || header[14] != 0 {
        return None;
    }
    let setup = &header[40..];
    Some(Control {
        kind: setup[0],
        request: setup[1],
        value: u16::from_le_bytes([setup[2], setup[3]]),
        data: data.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}
