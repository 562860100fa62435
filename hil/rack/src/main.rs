//! The rack's command line: `rack up`, `rack down`, `rack list` and what can happen to boards;
//! `rack board FILE`, a scripted board on standard input and output; `rack fastboot-gadget`, a
//! fastboot device on a USB device controller.

mod commands;

use rack::{
    Script, Variables,
    fastboot_device::{Device, Fault, GadgetOptions, serve_gadget},
};
use std::{path::Path, process::ExitCode};

const USAGE: &str = "usage: rack up [BOARD]...       runs the rack until Ctrl-C or `rack down`
       rack down                 ends it
       rack list [--json]        what is in it
       rack power BOARD on|off|reset
                                 switches a board past the PDU
       rack fault BOARD FAULT    cut, hang, resume, reset, unplug-network,
                                 plug-network, break-console, mend-console,
                                 unplug-console, plug-console
       rack pdu BEHAVIOUR        honest, lying, failing, unreachable, or
                                 slow=SECONDS
       rack lossy udp|tcp LISTEN TARGET [drop=P] [duplicate=P] [reorder=P]
                  [delay-ms=N] [jitter-ms=N] [seed=N]
                                 a bad link to TARGET, both ADDRESS:PORT
       rack board FILE [NAME=VALUE]...
                                 plays a scripted board on standard input and
                                 output; NAME=VALUE overrides `set NAME`
       rack fastboot-gadget CONTROLLER SERIAL DIRECTORY [VANISH_AFTER|hang-up]
                                 offers a fastboot device on a USB device
                                 controller (see /sys/class/udc), writes what is
                                 flashed into DIRECTORY, and is gone after
                                 VANISH_AFTER bytes of a download, or reboots
                                 without an answer

PUMICE_RACK_FILE names another rack.toml, PUMICE_RACK_DIRECTORY where the
rack keeps its sockets. See hil/rack/README.md.";

/// What the gadget takes at once, and the length of each of its partitions.
const GADGET_DOWNLOAD: usize = 16 << 20;
const GADGET_PARTITION: usize = 32 << 20;

/// The exit status for a wrong command line or a wrong script, far from those that boards use.
const WRONG_USE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["board", file, ref variables @ ..] => play(file, variables),
        ["fastboot-gadget", controller, serial, directory] => {
            gadget(controller, serial, directory, None)
        }
        ["fastboot-gadget", controller, serial, directory, "hang-up"] => {
            gadget(controller, serial, directory, Some(Fault::HangUp))
        }
        ["fastboot-gadget", controller, serial, directory, after] => match after.parse() {
            Ok(after) => gadget(controller, serial, directory, Some(Fault::Vanish(after))),
            Err(_) => tell(USAGE, WRONG_USE.into()),
        },
        ["help" | "--help" | "-h"] => tell(USAGE, ExitCode::SUCCESS),
        _ => match commands::parse(&words) {
            Some(command) => command.run(),
            None => tell(USAGE, WRONG_USE.into()),
        },
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
