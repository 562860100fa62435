//! The command family with real programs: ipmitool against OpenIPMI's `ipmi_sim`, and scripts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod support;

use hal::{
    ErrorKind, HalError,
    console::EpochCounter,
    lab::Lab,
    power::{PowerAction, PowerControl, PowerState},
    process::{Command, CommandLine, Running, find_program},
};
use std::{
    ffi::OsStr,
    net::{Ipv4Addr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};
use support::soon;
use tokio::time::Instant;

const PASSWORD: &str = "correct-horse";

/// A BMC that is emulated, and the server behind it: a file that holds 0 or 1.
struct Bmc {
    _running: Running,
    directory: tempfile::TempDir,
    port: u16,
}

impl Bmc {
    async fn start() -> Option<Self> {
        for program in ["ipmi_sim", "ipmitool"] {
            if find_program(OsStr::new(program), None, None).is_err() {
                eprintln!("SKIPPED: {program} is not installed");
                return None;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs_err::write(path("power"), "0").unwrap();
        script(
            &path("chassis"),
            &format!(
                "cd '{}' || exit 1\n\
                 action=$1; shift\n\
                 if [ \"$action\" = get ]; then\n\
                   for name; do case $name in power) echo \"power:$(cat power)\";; *) echo \"$name:\";; esac; done\n\
                 else\n\
                   [ -e stuck ] && exit 0\n\
                   while [ $# -gt 1 ]; do case $1 in power) echo \"$2\" > power;; esac; shift 2; done\n\
                 fi\n",
                directory.path().display()
            ),
        );
        // The program takes no socket and no port 0: a port that is free now is as good as it gets.
        let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = port.local_addr().unwrap().port();
        let configuration = format!(
            "name \"server\"\n\
             set_working_mc 0x20\n\
             startlan 1\n\
             addr 127.0.0.1 {port}\n\
             priv_limit admin\n\
             allowed_auths_admin none md2 md5 straight\n\
             guid 000102030405060708090a0b0c0d0e0f\n\
             endlan\n\
             chassis_control \"{}\"\n\
             user 2 true \"admin\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n",
            path("chassis").display()
        );
        fs_err::write(path("lan.conf"), configuration).unwrap();
        let commands = "mc_setbmc 0x20\n\
                        mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n\
                        mc_enable 0x20\n";
        fs_err::write(path("emulation"), commands).unwrap();
        let line = CommandLine::new("ipmi_sim")
            .args(["-n", "-c"])
            .arg(path("lan.conf"))
            .arg("-f")
            .arg(path("emulation"))
            .arg("-s")
            .arg(path("state"));
        let log = fs_err::File::create(path("log")).unwrap();
        let running = Command::new(line).spawn(Some(log.into())).unwrap();
        Some(Self {
            _running: running,
            directory,
            port,
        })
    }

    fn power_line(&self) -> String {
        let power = fs_err::read_to_string(self.directory.path().join("power"));
        power.unwrap().trim().to_owned()
    }

    fn lab(&self, password: &str, timeout: &str) -> Lab {
        let text = format!(
            "[pdu.bmc]\nmodel = 'ipmi'\naddress = '127.0.0.1:{}'\nusername = 'admin'\n\
             password = '{password}'\ntimeout = '{timeout}'\noff-for = '10ms'\nsettle = '3s'\noptions = {{ cipher = '3' }}\n",
            self.port
        );
        Lab::parse(&text, "lab.toml", Path::new(".")).unwrap()
    }

    /// Waits until it answers.
    async fn ready(&self) {
        let lab = self.lab(PASSWORD, "5s");
        let mut power = lab.outlet("bmc", "1", EpochCounter::default()).unwrap();
        let deadline = soon();
        loop {
            match power.state(soon()).await {
                Ok(_) => return,
                Err(error) if Instant::now() > deadline => {
                    let log = fs_err::read_to_string(self.directory.path().join("log"));
                    panic!("it never answered: {error}; {log:?}");
                }
                Err(_) => {}
            }
        }
    }
}

fn script(path: &Path, body: &str) {
    fs_err::write(path, format!("#!/bin/sh\n{body}")).unwrap();
    fs_err::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_server_is_switched_by_its_bmc() {
    let Some(bmc) = Bmc::start().await else {
        return;
    };
    bmc.ready().await;
    let lab = bmc.lab(PASSWORD, "20s");
    let epoch = EpochCounter::default();
    let mut power = lab.outlet("bmc", "1", epoch).unwrap();
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
    power.set(PowerAction::On, soon()).await.unwrap();
    assert_eq!(bmc.power_line(), "1");
    power.set(PowerAction::Reset, soon()).await.unwrap();
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::On));
    power.set(PowerAction::Off, soon()).await.unwrap();
    assert_eq!(bmc.power_line(), "0");

    // It says OK and does nothing.
    fs_err::write(bmc.directory.path().join("stuck"), "").unwrap();
    let error = power.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed, "{error}");
    assert!(
        error
            .to_string()
            .contains("PDU 'bmc' accepted 'on' for outlet 1"),
        "{error}"
    );

    let error = refused(&bmc.lab("wrong", "20s")).await;
    assert!(
        matches!(error.kind(), ErrorKind::PermissionDenied),
        "{:?}: {error}",
        error.kind()
    );
    assert!(
        !error.to_string().contains("wrong"),
        "the password is shown: {error}"
    );
    assert!(error.to_string().contains("PDU 'bmc'"), "{error}");
}

async fn refused(lab: &Lab) -> HalError {
    let mut power = lab.outlet("bmc", "1", EpochCounter::default()).unwrap();
    power.state(soon()).await.unwrap_err()
}

#[tokio::test]
async fn a_bmc_that_does_not_answer_is_named_within_the_time() {
    if find_program(OsStr::new("ipmitool"), None, None).is_err() {
        eprintln!("SKIPPED: ipmitool is not installed");
        return;
    }
    // Something that takes packets and never answers.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let text = format!(
        "[pdu.bmc]\nmodel = 'ipmi'\naddress = '127.0.0.1:{port}'\nusername = 'a'\n\
         password = 'b'\ntimeout = '1s'\n"
    );
    let lab = Lab::parse(&text, "lab.toml", Path::new(".")).unwrap();
    let begun = Instant::now();
    let error = refused(&lab).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(error.to_string().contains(&port.to_string()), "{error}");
}

/// A lab with commands of its own, whose relay is a file.
fn own_commands(directory: &Path) -> Lab {
    let relay: PathBuf = directory.join("relay");
    script(
        &relay,
        &format!(
            "cd '{}' || exit 1\n\
             case $1 in\n\
             on|off) [ \"$2\" = 7 ] && {{ echo no such relay >&2; exit 4; }}; echo \"$1\" > \"outlet-$2\";;\n\
             state) echo \"outlet $2 is $(cat \"outlet-$2\")\";;\n\
             esac\n",
            directory.display()
        ),
    );
    let program = relay.display();
    let text = format!(
        "[pdu.own]\nmodel = 'localcmdline'\n[pdu.own.options]\n\
         on = ['{program}', 'on', '{{outlet}}']\noff = '{program} off {{outlet}}'\n\
         state = ['{program}', 'state', '{{outlet}}']\n\
         state-on = 'outlet {{outlet}} is on$'\nstate-off = 'outlet {{outlet}} is off$'\n"
    );
    Lab::parse(&text, "lab.toml", directory).unwrap()
}

#[tokio::test]
async fn commands_of_the_lab_switch_and_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let lab = own_commands(directory.path());
    let mut power = lab.outlet("own", "3", EpochCounter::default()).unwrap();
    for state in [PowerState::On, PowerState::Off] {
        power.set(state.into(), soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(state));
    }
    let mut broken = lab.outlet("own", "7", EpochCounter::default()).unwrap();
    let error = broken.set(PowerAction::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandFailed);
    let text = error.to_string();
    assert!(
        text.contains("exit status 4") && text.contains("no such relay"),
        "{text}"
    );
    fs_err::write(directory.path().join("outlet-5"), "maybe").unwrap();
    let mut odd = lab.outlet("own", "5", EpochCounter::default()).unwrap();
    let error = odd.state(soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("outlet 5 is maybe"), "{error}");
}

#[test]
fn what_a_lab_file_lacks_is_told_when_it_is_read() {
    let error = |pdu: &str| {
        let text = format!("[pdu.p]\n{pdu}");
        Lab::parse(&text, "lab.toml", Path::new("."))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("model = 'ipmi'"),
        "PDU 'p': model 'ipmi' needs 'address'"
    );
    assert!(error("model = 'command'").contains("missing field `on`"));
    let options = "model = 'command'\noptions = { on = ['x', '{password}'], off = ['x'] }";
    assert!(error(options).contains("every user of this host can read it"));
    let option = "model = 'sispmctl'\noptions = { divice = '1' }";
    assert_eq!(error(option), "PDU 'p': there is no option 'divice'");
    let host = "model = 'uhubctl'\naddress = '-x'";
    assert!(error(host).contains("cannot begin"), "{}", error(host));
}
