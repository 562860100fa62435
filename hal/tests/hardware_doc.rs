//! docs/hardware.md lists every driver with how it was proven; PDUs come from their tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hal::power::{
    family::FAMILIES,
    models::{Models, Tested},
};
use std::{fmt::Write as _, path::Path};

/// A driver that is no row of a table.
struct Driver {
    name: &'static str,
    what: &'static str,
    tested: &'static str,
}

const fn driver(name: &'static str, what: &'static str, tested: &'static str) -> Driver {
    Driver { name, what, tested }
}

const CONSOLES: &[Driver] = &[
    driver(
        "`serial:///dev/…`",
        "a local serial port",
        "emulated: an FTDI adapter and a CDC-ACM gadget, on the bench VM",
    ),
    driver("`tcp://host:port`", "raw TCP", "program: ser2net"),
    driver(
        "`telnet://host:port`",
        "telnet with options and BREAK",
        "program: ser2net, telnetlib",
    ),
    driver(
        "`rfc2217://host:port`",
        "a serial port by RFC 2217",
        "program: ser2net, pyserial",
    ),
    driver(
        "`ssh://user@host`",
        "ssh with a terminal",
        "program: OpenSSH's sshd",
    ),
    driver(
        "`exec:command`",
        "any command on a pseudo-terminal",
        "program: socat, QEMU, telnet",
    ),
];

const FASTBOOT: &[Driver] = &[
    driver(
        "`tcp:host`",
        "fastboot over TCP",
        "bytes: our own device, which Debian's fastboot drives too",
    ),
    driver("`udp:host`", "fastboot over UDP", "program: U-Boot in QEMU"),
    driver(
        "`usb:serial`, `usb:path`",
        "fastboot over USB",
        "emulated: a gadget on Linux dummy_hcd, on the bench VM",
    ),
];

const MUXES: &[Driver] = &[
    driver(
        "usbsdmux",
        "Linux Automation's USB-SD-Mux, by its program",
        "bytes: the argument vectors",
    ),
    driver("sdwire", "SDWire", "bytes: the USB requests"),
    driver("sdwire3", "SDWire 3", "bytes: the USB requests"),
    driver("dutlink", "DutLink", "bytes: the frames"),
    driver(
        "usb-mux",
        "Linux Automation's USB-Mux, by its program",
        "bytes: the argument vectors",
    ),
];

const INTRODUCTION: &str = "# Hardware

Every driver, and how it was proven. Written by `PUMICE_UPDATE_DOCS=1 cargo test -p hal --test hardware_doc`; the PDUs
are the rows of `hal/src/power/tables`.

- **program**: a real program of others does or drives this in the tests.
- **emulated**: a real kernel or machine that is emulated does this in the tests.
- **bytes**: what goes over the wire is compared with what others send or with what the maker documents; no device and no
  program of others has answered.

*Reads back*: after each request the outlet is read, and an outlet that did not move is an error.
";

fn documentation() -> String {
    let mut page = INTRODUCTION.to_owned();
    let lists = [
        ("Consoles", "in a lab file", CONSOLES),
        ("Fastboot", "target", FASTBOOT),
        ("Storage muxes", "mux", MUXES),
    ];
    for (title, column, drivers) in lists {
        write!(
            page,
            "\n## {title}\n\n| {column} | what | tested |\n|---|---|---|\n"
        )
        .unwrap();
        for Driver { name, what, tested } in drivers {
            writeln!(page, "| {name} | {what} | {tested} |").unwrap();
        }
    }
    let models = Models::built_in().unwrap();
    for family in FAMILIES {
        let (name, description) = (family.name, family.description);
        write!(page, "\n## Power: `{name}`\n\n{description}\n\n").unwrap();
        page.push_str("| model | what | reads back | tested |\n|---|---|---|---|\n");
        for model in models.iter().filter(|model| model.family.name == name) {
            let also: String = model
                .aliases
                .iter()
                .map(|alias| format!(", {alias}"))
                .collect();
            let (how, with) = match &model.tested {
                Tested::Program(with) => ("program", with),
                Tested::Emulated(with) => ("emulated", with),
                Tested::Bytes(with) => ("bytes", with),
            };
            let reads = if model.reads_back() { "yes" } else { "" };
            let (name, what) = (&model.name, &model.description);
            writeln!(page, "| {name}{also} | {what} | {reads} | {how}: {with} |").unwrap();
        }
    }
    page
}

#[test]
fn the_documentation_lists_every_driver() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hardware.md");
    let now = documentation();
    if std::env::var_os("PUMICE_UPDATE_DOCS").is_some() {
        fs_err::write(&path, &now).unwrap();
    }
    let written = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "docs/hardware.md is old; write it again with \
         PUMICE_UPDATE_DOCS=1 cargo test -p hal --test hardware_doc"
    );
}
