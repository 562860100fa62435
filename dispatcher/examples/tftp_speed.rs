//! How fast our TFTP server is, beside tftpd-hpa and dnsmasq with the same client.
//!
//! ```text
//! cargo run --release -p dispatcher --example tftp_speed [MIB] [ROUNDS]
//! ```
//!
//! The servers take turns; medians of all rounds are compared. Servers that are not installed, or
//! need rights that are missing (dnsmasq has only port 69), are left out and named. A loss of one
//! percent is that of the client, which throws away every hundredth packet of a row that its seed
//! makes. Neither tftpd-hpa 5.2 nor dnsmasq has windows (RFC 7440); ours is measured with both.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use dispatcher::bootfiles::{
    Root, Transfers,
    tftp::{Limits, TftpServer},
};
use hal::process::{Command, CommandLine, Running};
use std::{
    error::Error,
    net::{SocketAddr, UdpSocket},
    path::Path,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const BLOCK: usize = 1468;
/// A packet that does not come is asked for again after this.
const PATIENCE: Duration = Duration::from_millis(100);
/// A transfer that takes longer has failed.
const LIMIT: Duration = Duration::from_secs(120);
/// How long a server may take to listen.
const READY: Duration = Duration::from_secs(10);

/// A server that serves `image`.
struct Server {
    name: &'static str,
    address: SocketAddr,
    windows: bool,
}

/// What a transfer is like.
#[derive(Clone, Copy)]
struct Case {
    clients: usize,
    window: u16,
    lossy: bool,
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mib: usize = arguments.next().map_or(Ok(16), |text| text.parse())?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let directory = tempfile::tempdir()?;
    fs_err::write(directory.path().join("image"), vec![0xa5; mib << 20])?;
    let ours = start_ours(directory.path())?;
    let mut servers = vec![ours];
    let mut children = Vec::new();
    let root = directory.path().display();
    let hpa: SocketAddr = ([127, 0, 0, 1], free_port()?).into();
    let dnsmasq: SocketAddr = ([127, 0, 0, 1], 69).into();
    let others = [
        ("tftpd-hpa", hpa, format!("in.tftpd -L -a {hpa} -s {root}")),
        (
            "dnsmasq",
            dnsmasq,
            format!(
                "dnsmasq -k -C /dev/null --port=0 --enable-tftp --tftp-root={root} --user=root \
                 --listen-address=127.0.0.1 --bind-interfaces --tftp-max=100"
            ),
        ),
    ];
    for (name, address, command) in others {
        let command = CommandLine::parse(&command)?;
        match start(&command, address) {
            Ok(child) => {
                children.push(child);
                servers.push(Server {
                    name,
                    address,
                    windows: false,
                });
            }
            Err(error) => println!("LEFT OUT: {name}: {error}"),
        }
    }
    let cases = [(1, false), (50, false), (1, true), (50, true)];
    for (clients, lossy) in cases {
        println!(
            "\n{clients} clients, {mib} MiB in all, loss {}",
            if lossy { "1 %" } else { "none" }
        );
        compare(&servers, clients, lossy, mib << 20, rounds)?;
    }
    Ok(())
}

/// Runs a case on all servers in turn, and prints medians and ratios.
fn compare(
    servers: &[Server],
    clients: usize,
    lossy: bool,
    bytes: usize,
    rounds: usize,
) -> Outcome<()> {
    let mut columns: Vec<(String, &Server, u16, Vec<f64>)> = Vec::new();
    for server in servers {
        let windows: &[u16] = if server.windows { &[1, 16] } else { &[1] };
        for window in windows {
            let name = format!("{} window {window}", server.name);
            columns.push((name, server, *window, Vec::new()));
        }
    }
    for round in 0..rounds {
        for (_, server, window, speeds) in &mut columns {
            let case = Case {
                clients,
                window: *window,
                lossy,
            };
            let begun = Instant::now();
            fetch_all(server.address, case, round as u64, bytes)?;
            let total = if clients == 1 { bytes } else { bytes * clients };
            speeds.push(total as f64 / begun.elapsed().as_secs_f64() / 1e6);
        }
    }
    let median = |speeds: &[f64]| {
        let mut sorted = speeds.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    let best = columns
        .iter()
        .filter(|(_, server, ..)| !server.windows)
        .map(|(.., speeds)| median(speeds))
        .max_by(f64::total_cmp);
    for (name, server, window, speeds) in &columns {
        let own = median(speeds);
        let target = if *window == 1 { 0.9 } else { 3.0 };
        let ratio = best
            .filter(|_| server.windows)
            .map_or_else(String::new, |best| {
                let verdict = if own / best >= target {
                    "met"
                } else {
                    "MISSED"
                };
                format!(
                    "{:.2} of the others' best, >= {target} {verdict}",
                    own / best
                )
            });
        println!("  {name:<20} {own:8.1} MB/s  {ratio}");
    }
    Ok(())
}

/// All clients at once; the first failure counts.
fn fetch_all(server: SocketAddr, case: Case, seed: u64, bytes: usize) -> Outcome<()> {
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..case.clients)
            .map(|client| scope.spawn(move || fetch(server, case, seed * 1000 + client as u64)))
            .collect();
        for client in clients {
            let got = client.join().map_err(|_| "a client panicked")??;
            if got != bytes {
                return Err(format!("{got} bytes instead of {bytes}").into());
            }
        }
        Ok(())
    })
}

/// Fetches `image` and gives its length.
fn fetch(server: SocketAddr, case: Case, seed: u64) -> Outcome<usize> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut request = b"\0\x01image\0octet\0blksize\0".to_vec();
    request.extend(format!("{BLOCK}\0").bytes());
    if case.window > 1 {
        request.extend(format!("windowsize\0{}\0", case.window).bytes());
    }
    let begun = Instant::now();
    let mut peer = server;
    let mut last = request;
    socket.send_to(&last, peer)?;
    let mut buffer = vec![0; BLOCK + 4];
    let (mut expected, mut since, mut length) = (1_u16, 0_u16, 0);
    let mut random = seed | 1;
    loop {
        if begun.elapsed() > LIMIT {
            return Err("a transfer took too long".into());
        }
        let (received, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(_) => {
                socket.send_to(&last, peer)?;
                continue;
            }
        };
        // xorshift: the same packets are lost for the same seed.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if case.lossy && random.is_multiple_of(100) {
            continue;
        }
        peer = from;
        let number = u16::from_be_bytes([buffer[2], buffer[3]]);
        match buffer[1] {
            6 => {
                last = vec![0, 4, 0, 0];
                socket.send_to(&last, peer)?;
            }
            3 if number == expected => {
                length += received - 4;
                (expected, since) = (expected.wrapping_add(1), since + 1);
                let is_last = received - 4 < BLOCK;
                if since == case.window || is_last {
                    since = 0;
                    last = [&[0, 4], number.to_be_bytes().as_slice()].concat();
                    socket.send_to(&last, peer)?;
                }
                if is_last {
                    return Ok(length);
                }
            }
            // A gap: what came in order is acknowledged once, and the rest comes again.
            3 if case.window > 1 && number.wrapping_sub(expected) < case.window && since > 0 => {
                since = 0;
                last = [&[0, 4], expected.wrapping_sub(1).to_be_bytes().as_slice()].concat();
                socket.send_to(&last, peer)?;
            }
            3 => {}
            5 => return Err(String::from_utf8_lossy(&buffer[4..received]).into()),
            other => return Err(format!("a packet of kind {other}").into()),
        }
    }
}

/// Our server, on a thread of its own.
fn start_ours(directory: &Path) -> Outcome<Server> {
    let root = Arc::new(Root::new(directory)?);
    let (ready, address) = mpsc::channel();
    std::thread::spawn(move || -> Outcome<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let transfers = Transfers::new(|_| ());
            let server = TftpServer::bind(any, root, Limits::default(), transfers).await?;
            ready.send(server.local_address()?)?;
            Ok(server.serve().await?)
        })
    });
    let address = address.recv_timeout(READY)?;
    Ok(Server {
        name: "pumice",
        address,
        windows: true,
    })
}

/// Starts another server and waits until it serves.
fn start(command: &CommandLine, address: SocketAddr) -> Outcome<Running> {
    let child = Command::new(command.clone()).spawn(None)?;
    let begun = Instant::now();
    let small = Case {
        clients: 1,
        window: 1,
        lossy: false,
    };
    loop {
        match fetch(address, small, 1) {
            Ok(_) => return Ok(child),
            Err(error) if begun.elapsed() > READY => return Err(error),
            Err(_) => {}
        }
    }
}

fn free_port() -> Outcome<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port())
}
