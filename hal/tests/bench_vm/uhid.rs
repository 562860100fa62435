//! HID devices that this process plays, through the kernel's `uhid`.

use rustix::event::{PollFd, PollFlags, poll};
use std::{
    fs::File,
    io::{PipeWriter, Read, Write},
};

/// What `linux/uhid.h` calls its events.
mod event {
    pub(crate) const CREATE: u32 = 11;
    pub(crate) const OUTPUT: u32 = 6;
    pub(crate) const GET_REPORT: u32 = 9;
    pub(crate) const GET_REPORT_REPLY: u32 = 10;
    pub(crate) const INPUT: u32 = 12;
    pub(crate) const SET_REPORT: u32 = 13;
    pub(crate) const SET_REPORT_REPLY: u32 = 14;
    /// `sizeof(struct uhid_event)`.
    pub(crate) const SIZE: usize = 4380;
}

/// A HID device that this process plays, gone when dropped.
pub(crate) struct Uhid {
    thread: Option<std::thread::JoinHandle<()>>,
    /// The device goes when this does.
    plug: Option<PipeWriter>,
}

/// What a device answers: bytes of an input report after an output report, or of a feature report
/// (the number first).
pub(crate) trait Play: Send + 'static {
    fn output(&mut self, report: &[u8]) -> Option<Vec<u8>>;
    fn set_feature(&mut self, report: &[u8]);
    fn get_feature(&mut self) -> Vec<u8>;
}

impl Uhid {
    pub(crate) fn plug(
        id: (u16, u16),
        name: &str,
        serial: &str,
        sizes: [u8; 3],
        mut device: impl Play,
    ) -> Self {
        let mut file = File::options()
            .read(true)
            .write(true)
            .open("/dev/uhid")
            .unwrap();
        let descriptor = descriptor(sizes);
        let mut create = vec![0; event::SIZE];
        create[..4].copy_from_slice(&event::CREATE.to_ne_bytes());
        create[4..4 + name.len()].copy_from_slice(name.as_bytes());
        let unique = 4 + 128 + 64;
        create[unique..unique + serial.len()].copy_from_slice(serial.as_bytes());
        let rest = unique + 64;
        let length = u16::try_from(descriptor.len()).unwrap();
        create[rest..rest + 2].copy_from_slice(&length.to_ne_bytes());
        create[rest + 2..rest + 4].copy_from_slice(&3_u16.to_ne_bytes());
        create[rest + 4..rest + 8].copy_from_slice(&u32::from(id.0).to_ne_bytes());
        create[rest + 8..rest + 12].copy_from_slice(&u32::from(id.1).to_ne_bytes());
        let data = rest + 20;
        create[data..data + descriptor.len()].copy_from_slice(&descriptor);
        file.write_all(&create).unwrap();
        let (pulled, plug) = std::io::pipe().unwrap();
        let thread = std::thread::spawn(move || {
            let mut event = vec![0; event::SIZE];
            loop {
                let mut ready = [
                    PollFd::new(&file, PollFlags::IN),
                    PollFd::new(&pulled, PollFlags::IN),
                ];
                poll(&mut ready, None).unwrap();
                if !ready[1].revents().is_empty() {
                    return;
                }
                assert!(file.read(&mut event).unwrap() > 0);
                answer(&mut file, &event, &mut device);
            }
        });
        Self {
            thread: Some(thread),
            plug: Some(plug),
        }
    }
}

impl Drop for Uhid {
    fn drop(&mut self) {
        drop(self.plug.take());
        let played = self.thread.take().map(|thread| thread.join());
        // A second panic would hide the first.
        assert!(std::thread::panicking() || matches!(played, Some(Ok(()))));
    }
}

/// A vendor's device with one input, one output and one feature report of these sizes.
fn descriptor([input, output, feature]: [u8; 3]) -> Vec<u8> {
    let mut bytes = vec![
        0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00,
    ];
    bytes.extend([0x75, 0x08]);
    for (size, kind) in [(input, 0x81), (output, 0x91), (feature, 0xb1)] {
        if size > 0 {
            bytes.extend([0x95, size, 0x09, 0x01, kind, 0x02]);
        }
    }
    bytes.push(0xc0);
    bytes
}

fn answer(file: &mut File, event: &[u8], device: &mut impl Play) {
    let word = |at: usize| u32::from_ne_bytes(event[at..at + 4].try_into().unwrap());
    let short = |at: usize| usize::from(u16::from_ne_bytes(event[at..at + 2].try_into().unwrap()));
    let mut reply = vec![0; event::SIZE];
    let mut send = |kind: u32, fill: &dyn Fn(&mut [u8])| {
        reply[..4].copy_from_slice(&kind.to_ne_bytes());
        fill(&mut reply[4..]);
        file.write_all(&reply).unwrap();
    };
    match word(0) {
        event::OUTPUT => {
            let report = &event[4..4 + short(4 + 4096)];
            if let Some(input) = device.output(report) {
                send(event::INPUT, &|reply| {
                    reply[..2].copy_from_slice(&u16::try_from(input.len()).unwrap().to_ne_bytes());
                    reply[2..2 + input.len()].copy_from_slice(&input);
                });
            }
        }
        event::SET_REPORT => {
            let size = short(10);
            device.set_feature(&event[12..12 + size]);
            send(event::SET_REPORT_REPLY, &|reply| {
                reply[..4].copy_from_slice(&event[4..8])
            });
        }
        event::GET_REPORT => {
            let feature = device.get_feature();
            send(event::GET_REPORT_REPLY, &|reply| {
                reply[..4].copy_from_slice(&event[4..8]);
                let size = u16::try_from(feature.len()).unwrap();
                reply[6..8].copy_from_slice(&size.to_ne_bytes());
                reply[8..8 + feature.len()].copy_from_slice(&feature);
            });
        }
        _ => {}
    }
}
