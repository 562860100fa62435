//! `rack board FILE`: a scripted board on standard input and output;
//! `rack fastboot-gadget ...`: a fastboot device on a USB device controller.

use rack::{
    Script, Variables,
    fastboot_device::{Device, Fault, GadgetOptions, serve_gadget},
};
use std::{path::Path, process::ExitCode};

const USAGE: &str = "usage: rack board FILE [NAME=VALUE]...
       rack fastboot-gadget CONTROLLER SERIAL DIRECTORY [VANISH_AFTER]

Plays the board that FILE describes on standard input and output, as the
connection command of a device. NAME=VALUE overrides `set NAME` in FILE.
The language of the file is described in hil/rack/README.md.

fastboot-gadget offers a fastboot device with partitions boot and rootfs on a
USB device controller (see /sys/class/udc), writes what is flashed into
DIRECTORY, and is gone after VANISH_AFTER bytes of a download.";

/// What the gadget takes at once, and the length of each of its partitions.
const GADGET_DOWNLOAD: usize = 16 << 20;
const GADGET_PARTITION: usize = 64 << 20;

/// The exit status for a wrong command line or a wrong script, far from those that boards use.
const WRONG_USE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["board", file, ref variables @ ..] => play(file, variables),
        ["fastboot-gadget", controller, serial, directory] => {
            gadget(controller, serial, directory, None)
        }
        ["fastboot-gadget", controller, serial, directory, after] => match after.parse() {
            Ok(after) => gadget(controller, serial, directory, Some(Fault::Vanish(after))),
            Err(_) => tell(USAGE, WRONG_USE.into()),
        },
        ["help" | "--help" | "-h"] => tell(USAGE, ExitCode::SUCCESS),
        _ => tell(USAGE, ExitCode::from(WRONG_USE)),
    }
}

fn play(file: &str, assignments: &[&str]) -> ExitCode {
    let mut variables = Variables::new();
    for assignment in assignments {
        match assignment.split_once('=') {
            Some((name, value)) => variables.insert(name.to_owned(), value.to_owned()),
            None => {
                return tell(
                    &format!("{assignment}: not NAME=VALUE\n{USAGE}"),
                    WRONG_USE.into(),
                );
            }
        };
    }
    match Script::load(Path::new(file), variables) {
        Ok(script) => match rack::play_on_stdio(&script) {
            Ok(played) => ExitCode::from(played.status),
            Err(error) => tell(&format!("rack: {error}"), ExitCode::FAILURE),
        },
        Err(error) => tell(&format!("rack: {error}"), WRONG_USE.into()),
    }
}

fn gadget(controller: &str, serial: &str, directory: &str, fault: Option<Fault>) -> ExitCode {
    let partitions = [("boot", GADGET_PARTITION), ("rootfs", GADGET_PARTITION)];
    let device = Device::new(GADGET_DOWNLOAD, &partitions);
    device.contents().set_fault(fault);
    device.contents().set_variable("serialno", serial);
    let options = GadgetOptions {
        controller: controller.to_owned(),
        serial: serial.to_owned(),
        directory: directory.into(),
    };
    match serve_gadget(device, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => tell(&format!("rack: {error}"), ExitCode::FAILURE),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "standard output is the board's console"
)]
fn tell(text: &str, code: ExitCode) -> ExitCode {
    eprintln!("{text}");
    code
}
