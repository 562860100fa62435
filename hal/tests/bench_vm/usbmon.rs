//! What went over the USB, as the kernel's `usbmon` saw it. Source of the format: the kernel's
//! Documentation/usb/usbmon.rst.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    time::{Duration, Instant},
};

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
pub(crate) struct Usbmon {
    events: File,
    text: String,
}

impl Usbmon {
    pub(crate) fn listen() -> Self {
        let events = File::open("/sys/kernel/debug/usb/usbmon/0u").unwrap();
        rustix::io::ioctl_fionbio(&events, true).unwrap();
        Self {
            events,
            text: String::new(),
        }
    }

    /// Waits for a control request that fits, and gives it. Those before it are skipped.
    pub(crate) async fn next(&mut self, fits: impl Fn(&Control) -> bool) -> Control {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let mut seen = Vec::new();
        loop {
            self.take();
            while let Some((line, rest)) = self.text.split_once('\n') {
                let control = parse(line);
                self.text = rest.to_owned();
                match control {
                    Some(control) if fits(&control) => return control,
                    other => seen.extend(other),
                }
            }
            assert!(Instant::now() < deadline, "only {seen:x?}");
            ticks.tick().await;
        }
    }

    fn take(&mut self) {
        let mut buffer = [0; 4096];
        loop {
            match self.events.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => self.text += &String::from_utf8_lossy(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// "ffff8881 1234 S Co:1:002:0 s 40 01 0101 0000 0000 0"
fn parse(line: &str) -> Option<Control> {
    let mut words = line.split_whitespace().skip(2);
    let is_control = words.next()? == "S" && words.next()?.starts_with("Co:");
    if !is_control || words.next()? != "s" {
        return None;
    }
    let kind = u8::from_str_radix(words.next()?, 16).ok()?;
    let request = u8::from_str_radix(words.next()?, 16).ok()?;
    let value = u16::from_str_radix(words.next()?, 16).ok()?;
    // The index, and the length twice.
    let data = words.skip(3).filter(|word| *word != "=").collect();
    Some(Control {
        kind,
        request,
        value,
        data,
    })
}
