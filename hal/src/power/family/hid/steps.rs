//! The exchanges with a switch, as data, and doing them.

use super::row::Via;
use crate::{
    error::{ErrorKind, HalError},
    usb::{ControlSetup, HidHandle, UsbHandle},
};
use std::{fmt, time::Instant};

/// Input reports that are not the expected answer, at most.
const MOST_OTHERS: usize = 64;

/// One thing to do with a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send an output report.
    Write(Vec<u8>),
    /// Send a feature report.
    SetFeature(Vec<u8>),
    /// Ask for a feature report.
    GetFeature { number: u8, length: usize },
    /// Wait for the input report that has `expect` at `at`.
    Read {
        length: usize,
        expect: Vec<u8>,
        at: usize,
    },
    /// A control transfer to it.
    Send(ControlSetup, Vec<u8>),
    /// A control transfer from it.
    Ask(ControlSetup, u16),
}

/// An open device.
pub(super) enum Handle {
    Hid(HidHandle),
    Usb(UsbHandle),
}

impl Step {
    pub(super) fn via(&self) -> Via {
        match self {
            Self::Send(..) | Self::Ask(..) => Via::Usbfs,
            _ => Via::Hidraw,
        }
    }
}

impl Handle {
    /// Does `steps` and gives the last answer.
    pub(super) fn run(&self, steps: &[Step], deadline: Instant) -> Result<Vec<u8>, HalError> {
        let mut answer = Vec::new();
        if let (Self::Hid(device), true) = (self, steps.iter().any(Step::reads_input)) {
            device.discard_input();
        }
        for step in steps {
            if let Some(got) = self.step(step, deadline)? {
                answer = got;
            }
        }
        Ok(answer)
    }

    fn step(&self, step: &Step, deadline: Instant) -> Result<Option<Vec<u8>>, HalError> {
        match (self, step) {
            (Self::Hid(device), Step::Write(report)) => device.write(report).map(|()| None),
            (Self::Hid(device), Step::SetFeature(report)) => {
                device.set_feature(report).map(|()| None)
            }
            (Self::Hid(device), Step::GetFeature { number, length }) => {
                device.get_feature(*number, *length).map(Some)
            }
            (Self::Hid(device), Step::Read { length, expect, at }) => {
                read_expected(device, *length, expect, *at, deadline).map(Some)
            }
            (Self::Usb(device), Step::Send(setup, data)) => {
                device.send(*setup, data, deadline).map(|()| None)
            }
            (Self::Usb(device), Step::Ask(setup, length)) => {
                device.ask(*setup, *length, deadline).map(Some)
            }
            // `Row::check` refuses such rows.
            _ => Err(HalError::new(
                ErrorKind::Unsupported,
                step.to_string(),
                format!("'{step}' does not go to this device"),
            )),
        }
    }
}

fn read_expected(
    device: &HidHandle,
    length: usize,
    expect: &[u8],
    at: usize,
    deadline: Instant,
) -> Result<Vec<u8>, HalError> {
    let mut report = Vec::new();
    for _ in 0..MOST_OTHERS {
        report = device.read(length, deadline)?;
        if report
            .get(at..)
            .is_some_and(|rest| rest.starts_with(expect))
        {
            return Ok(report);
        }
    }
    let message = format!(
        "expected '{}' in the answer, got '{}'",
        Bytes(expect),
        Bytes(&report)
    );
    Err(HalError::new(ErrorKind::Protocol, "HID device", message)
        .with_hint("is it really a device of this model?"))
}

impl Step {
    fn reads_input(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

/// Bytes for people; zeros at the end are counted.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeros = self.0.iter().rev().take_while(|byte| **byte == 0).count();
        let shown = if zeros > 4 {
            &self.0[..self.0.len() - zeros]
        } else {
            self.0
        };
        let mut words: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        if shown.len() < self.0.len() {
            words.push(format!("00*{zeros}"));
        }
        f.write_str(&words.join(" "))
    }
}

struct Setup<'a>(&'a ControlSetup);

impl fmt::Display for Setup<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ControlSetup {
            kind,
            request,
            value,
            index,
        } = self.0;
        write!(
            f,
            "{kind:02x} {request:02x} value {value:04x} index {index:04x}"
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(report) => write!(f, "write {}", Bytes(report)),
            Self::SetFeature(report) => write!(f, "set-feature {}", Bytes(report)),
            Self::GetFeature { number, length } => {
                write!(f, "get-feature {number:02x} length {length}")
            }
            Self::Read { length, expect, .. } if expect.is_empty() => {
                write!(f, "read length {length}")
            }
            Self::Read { length, expect, at } => {
                write!(f, "read length {length} expect {} at {at}", Bytes(expect))
            }
            Self::Send(setup, data) => write!(f, "control {} data {}", Setup(setup), Bytes(data)),
            Self::Ask(setup, length) => write!(f, "control {} length {length}", Setup(setup)),
        }
    }
}
