//! A network for boards that boot from one: a bridge with DHCP, TFTP and HTTP in a network
//! namespace of its own.
//!
//! The namespace has no name: it exists as long as the processes in it do, which are ours and
//! die with us. So nothing is left behind, however the rack ends. Needs root, and the programs
//! `unshare`, `nsenter`, `ip` and `dnsmasq`.

use crate::http;
use hal::{
    ErrorKind, HalError,
    process::{Command, CommandLine, Running, find_program},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// The rack's address. The boards' are beyond it.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);

/// The port of its HTTP server.
const HTTP_PORT: u16 = 80;

/// How long one command of the set-up may take.
const COMMAND_WITHIN: Duration = Duration::from_secs(10);

/// How often to look whether the namespace is there, at the start.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The network, until it is dropped.
#[derive(Debug)]
pub(crate) struct Network {
    /// Keeps the namespace.
    keeper: Running,
    _dhcp: Running,
    _http: JoinSet<()>,
}

impl Network {
    /// Makes the network with a connection for each of `outlets`, and serves the files below
    /// `directory`, which it makes with a boot script if it is not there.
    ///
    /// # Errors
    /// `PermissionDenied` without root, `NotFound` for a program, or what a command says.
    pub(crate) async fn make(outlets: &[u32], directory: &Path) -> Result<Self, HalError> {
        if let Some(why) = Self::missing() {
            return Err(HalError::new(ErrorKind::Unsupported, "network", why));
        }
        let files = boot_files(directory)?;
        let keeper = CommandLine::new("unshare").args(["--net", "sleep", "infinity"]);
        let keeper = Command::new(keeper).spawn(None)?;
        let pid = keeper.pid();
        entered(pid).await?;
        for line in set_up(outlets) {
            run(enter(pid).args(line.split_whitespace())).await?;
        }
        let log = fs_err::File::create(directory.join("dnsmasq.log"))
            .map_err(|error| HalError::from_io("log", "dnsmasq", error))?;
        let dhcp = Command::new(dnsmasq(pid, &files)).spawn(Some(log.into()))?;
        let listener = listen_in(pid)?;
        let listener = tokio::net::TcpListener::from_std(listener)
            .map_err(|error| HalError::from_io("listen", "in the rack's network", error))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(http::serve(listener, Arc::new(http::Files::new(files))));
        Ok(Self {
            keeper,
            _dhcp: dhcp,
            _http: tasks,
        })
    }

    /// Why it cannot be made here, if it cannot.
    pub(crate) fn missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("the rack's bridge needs root".to_owned());
        }
        ["unshare", "nsenter", "ip", "dnsmasq"]
            .into_iter()
            .find_map(|program| find_program(program.as_ref(), None, None).err())
            .map(|error| error.to_string())
    }

    /// The beginning of a command line that runs in the network.
    pub(crate) fn enter(&self) -> CommandLine {
        enter(self.keeper.pid())
    }

    /// The network device of the board on `outlet`.
    pub(crate) fn tap(&self, outlet: u32) -> String {
        tap(outlet)
    }
}

fn tap(outlet: u32) -> String {
    format!("tap{outlet}")
}

fn enter(pid: u32) -> CommandLine {
    CommandLine::new("nsenter").args(["-t", &pid.to_string(), "-n"])
}

fn set_up(outlets: &[u32]) -> Vec<String> {
    let mut lines: Vec<String> = [
        "ip link set lo up",
        "ip link add br0 type bridge",
        &format!("ip addr add {ADDRESS}/24 dev br0"),
        // iPXE waits 13 s for a router's advertisement, and goes on at once if there is one.
        "ip -6 addr add fd77::1/64 dev br0 nodad",
        "ip link set br0 up",
    ]
    .map(str::to_owned)
    .into();
    for tap in outlets.iter().copied().map(tap) {
        lines.push(format!("ip tuntap add {tap} mode tap"));
        lines.push(format!("ip link set {tap} master br0"));
        lines.push(format!("ip link set {tap} up"));
    }
    lines
}

fn dnsmasq(pid: u32, files: &Path) -> CommandLine {
    // 175 is the option that iPXE sends of itself; 7 and 9 are UEFI's numbers for x86-64.
    enter(pid)
        .args("dnsmasq -k -C /dev/null -8 - --user=root --port=0 --interface=br0".split(' '))
        .args("--bind-interfaces --no-ping --dhcp-authoritative --leasefile-ro".split(' '))
        .args("--dhcp-range=192.168.77.100,192.168.77.199,1h --enable-ra".split(' '))
        .args("--dhcp-range=fd77::,ra-only --dhcp-match=set:ipxe,175".split(' '))
        .arg(format!("--dhcp-boot=tag:ipxe,http://{ADDRESS}/boot.ipxe"))
        .arg("--dhcp-boot=tag:!ipxe,boot.efi")
        .arg("--enable-tftp")
        .arg(format!("--tftp-root={}", files.display()))
}

/// What boards without anything else to boot get: a script of iPXE that says so.
fn boot_files(directory: &Path) -> Result<PathBuf, HalError> {
    let files = directory.join("boot");
    let script = files.join("boot.ipxe");
    let failed = |error| HalError::from_io("write", script.display().to_string(), error);
    fs_err::create_dir_all(&files).map_err(failed)?;
    let text = "#!ipxe\necho rack: booted over HTTP\nshell\n";
    if script.exists() {
        // A lab's own.
        return Ok(files);
    }
    fs_err::write(&script, text).map_err(failed)?;
    Ok(files)
}

/// Waits until `unshare` has made its namespace.
async fn entered(pid: u32) -> Result<(), HalError> {
    let deadline = Instant::now() + COMMAND_WITHIN;
    let own = fs_err::read_link("/proc/self/ns/net").ok();
    while Instant::now() < deadline {
        match fs_err::read_link(format!("/proc/{pid}/ns/net")) {
            Ok(theirs) if Some(&theirs) != own.as_ref() => return Ok(()),
            _ => sleep(LOOK_EVERY).await,
        }
    }
    let message = "unshare made no network namespace";
    Err(HalError::new(ErrorKind::Timeout, "network", message)
        .with_hint("a container may forbid it"))
}

async fn run(line: CommandLine) -> Result<(), HalError> {
    let mut said = Vec::new();
    let command = Command::new(line);
    let exit = command
        .run(Instant::now() + COMMAND_WITHIN, |line| said = line.to_vec())
        .await?;
    if exit.success() {
        return Ok(());
    }
    let hint = String::from_utf8_lossy(&said).into_owned();
    Err(command.failure(&exit).with_hint(hint))
}

/// A socket that listens in the network. A socket stays in the namespace it was made in, so a
/// thread that goes there for a moment is enough.
fn listen_in(pid: u32) -> Result<TcpListener, HalError> {
    let failed = |error| HalError::from_io("listen", "in the rack's network", error);
    let listen = move || {
        let namespace = fs_err::File::open(format!("/proc/{pid}/ns/net"))?;
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), network)?;
        let listener = TcpListener::bind(SocketAddrV4::new(ADDRESS, HTTP_PORT))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    let listened = std::thread::spawn(listen).join();
    listened
        .unwrap_or_else(|_| Err(std::io::Error::other("the thread panicked")))
        .map_err(failed)
}
