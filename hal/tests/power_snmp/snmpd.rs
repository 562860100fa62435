//! Debian's snmpd as a PDU of every model: a `pass` script keeps its variables in files.
#![allow(clippy::print_stderr, reason = "who skips says so")]

use super::{PASSWORD, config, open, outlet, power, support::soon};
use hal::{
    lab::PduConfig,
    power::OutletPower,
    process::{Command, CommandLine, Running},
};
use std::{
    fmt::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::UdpSocket, time::Instant};

/// The script that snmpd asks about variables: one file for each, and a table of what setting one
/// does to another.
const SCRIPT: &str = r#"
dir=$1 verb=$2 oid=$3 type=$4 value=$5
case $verb in
-g)
    [ -f "$dir/$oid" ] || exit 0
    printf '%s\ninteger\n%s\n' "$oid" "$(cat "$dir/$oid")" ;;
-s)
    [ -f "$dir/$oid" ] || { echo not-writable; exit 0; }
    [ ! -f "$dir/stuck" ] || { echo DONE; exit 0; }
    moved=
    while read -r from set to show; do
        [ "$oid $value" = "$from $set" ] || continue
        echo "$show" > "$dir/$to"; moved=1
    done < "$dir/moves"
    [ "$moved" ] || echo "$value" > "$dir/$oid"
    echo DONE ;;
esac
"#;

/// The variables and values of a model's outlet, as its agent has them.
pub(crate) struct Emulated {
    pub(crate) model: &'static str,
    pub(crate) outlet: &'static str,
    on: (&'static str, i64),
    off: (&'static str, i64),
    pub(crate) state: &'static str,
    /// What the state shows when it is on and off.
    pub(crate) shows: (i64, i64),
}

pub(crate) const MODELS: [Emulated; 10] = [
    emulated(
        "apc-rpdu",
        "7",
        ".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        (1, 2),
    ),
    emulated(
        "apc-masterswitch",
        "3",
        ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.3",
        (1, 2),
    ),
    emulated(
        "cyberpower81001",
        "8",
        ".1.3.6.1.4.1.3808.1.1.3.3.3.1.1.4.8",
        (1, 2),
    ),
    Emulated {
        state: ".1.3.6.1.4.1.3808.1.1.5.6.3.1.3.12",
        shows: (1, 2),
        ..emulated(
            "cyberpower-ats",
            "12",
            ".1.3.6.1.4.1.3808.1.1.5.6.5.1.3.12",
            (2, 3),
        )
    },
    Emulated {
        off: (".1.3.6.1.4.1.534.6.6.7.6.6.1.3.0.16", 1),
        state: ".1.3.6.1.4.1.534.6.6.7.6.6.1.2.0.16",
        shows: (1, 0),
        ..emulated("eaton", "16", ".1.3.6.1.4.1.534.6.6.7.6.6.1.4.0.16", (1, 1))
    },
    Emulated {
        state: ".1.3.6.1.4.1.13742.6.4.1.2.1.3.1.2",
        shows: (7, 8),
        ..emulated("raritan", "2", ".1.3.6.1.4.1.13742.6.4.1.2.1.2.1.2", (1, 0))
    },
    Emulated {
        state: ".1.3.6.1.4.1.1718.3.2.3.1.10.1.3.2",
        shows: (5, 4),
        ..emulated("sentry", "18", ".1.3.6.1.4.1.1718.3.2.3.1.11.1.3.2", (1, 2))
    },
    emulated("poe", "24", ".1.3.6.1.2.1.105.1.1.1.3.1.24", (1, 2)),
    emulated("gude8210", "1", ".1.3.6.1.4.1.28507.1.1.2.2.1.3.1", (1, 0)),
    emulated("snmp", "5", ".1.3.6.1.4.1.318.1.1.4.4.2.1.3.5", (1, 2)),
];

const fn emulated(
    model: &'static str,
    outlet: &'static str,
    oid: &'static str,
    (on, off): (i64, i64),
) -> Emulated {
    Emulated {
        model,
        outlet,
        on: (oid, on),
        off: (oid, off),
        state: oid,
        shows: (on, off),
    }
}

/// An snmpd of our own, with its variables in files.
pub(crate) struct Snmpd {
    directory: tempfile::TempDir,
    pub(crate) address: String,
    _process: Running,
}

impl Snmpd {
    /// `None`, loudly, where it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let program = ["/usr/sbin/snmpd", "/usr/bin/snmpd"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(program) = program else {
            eprintln!("SKIPPED: no snmpd here (tools/packages test installs it)");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        // Snmpd takes no socket of ours: a port that was free a moment ago has to do.
        let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        fs_err::write(path.join("pass.sh"), SCRIPT).unwrap();
        fs_err::write(path.join("moves"), moves()).unwrap();
        fs_err::write(path.join("snmpd.conf"), configuration(path, &address)).unwrap();
        for model in &MODELS {
            for (oid, value) in [
                (model.on.0, 0),
                (model.off.0, 0),
                (model.state, model.shows.1),
            ] {
                fs_err::write(path.join(oid), value.to_string()).unwrap();
            }
        }
        let line = CommandLine::new(program)
            .args(["-f", "-Lf"])
            .arg(path.join("log"))
            .args(["-C", "-c"])
            .arg(path.join("snmpd.conf"));
        let process = Command::new(line)
            .env("SNMP_PERSISTENT_DIR", path.join("persistent"))
            .env("SNMPCONFPATH", path)
            .spawn(None)
            .unwrap();
        let snmpd = Self {
            directory,
            address,
            _process: process,
        };
        snmpd.wait().await;
        Some(snmpd)
    }

    /// Waits until it answers.
    async fn wait(&self) {
        let end = soon();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let mut pdu = open(&self.config("apc-rpdu"));
            let deadline = Instant::now() + Duration::from_millis(500);
            match pdu.read(&outlet("7"), deadline).await {
                Ok(_) => return,
                Err(error) if Instant::now() > end => {
                    panic!("snmpd never came: {error}, {}", self.file("log"))
                }
                Err(_) => {}
            }
        }
    }

    /// The file of a variable, or another of its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn config(&self, model: &str) -> PduConfig {
        config(model, &self.address)
    }

    pub(crate) fn power(&self, config: &PduConfig, outlet: &str) -> OutletPower {
        power(open(config), outlet)
    }
}

fn moves() -> String {
    let mut moves = String::new();
    for model in &MODELS {
        let Emulated {
            on,
            off,
            state,
            shows,
            ..
        } = model;
        writeln!(moves, "{} {} {state} {}", on.0, on.1, shows.0).unwrap();
        writeln!(moves, "{} {} {state} {}", off.0, off.1, shows.1).unwrap();
    }
    moves
}

fn configuration(directory: &Path, address: &str) -> String {
    let directory = directory.display();
    let mut text = format!(
        "agentAddress udp:{address}\n\
         rwcommunity private\nrwcommunity public\nrocommunity looker\n\
         createUser both SHA {PASSWORD} AES {PASSWORD}\n\
         createUser old MD5 {PASSWORD} DES {PASSWORD}\n\
         createUser modern SHA-512 {PASSWORD} AES {PASSWORD}\n\
         createUser signed SHA-256 {PASSWORD}\n\
         createUser plain\n\
         rwuser both priv\nrwuser old priv\nrwuser modern priv\nrwuser signed auth\n\
         rwuser plain noauth\n"
    );
    for root in [
        "1.3.6.1.4.1.318",
        "1.3.6.1.4.1.3808",
        "1.3.6.1.4.1.534",
        "1.3.6.1.4.1.13742",
        "1.3.6.1.4.1.1718",
        "1.3.6.1.4.1.28507",
        "1.3.6.1.2.1.105",
    ] {
        writeln!(text, "pass .{root} /bin/sh {directory}/pass.sh {directory}").unwrap();
    }
    text
}
