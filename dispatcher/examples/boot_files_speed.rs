//! How fast boot files are served by HTTP and as block devices, to clients on this host that throw
//! away what they read: a plain loop of our own, and curl and nbdcopy where these are installed.
//!
//! `cargo run --release -p dispatcher --example boot_files_speed`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and ends when it cannot go on"
)]

use dispatcher::bootfiles::{
    Root, Transfers,
    http::{self, HttpServer},
    nbd::{self, Export, NbdServer},
};
use hal::process::{Command, CommandLine};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

const SIZE: usize = 512 << 20;
const RUNS: usize = 5;
/// What Linux reads at a time from such a device.
const NBD_READ: usize = 128 * 1024;
/// How many reads Linux has under way.
const NBD_QUEUE: usize = 16;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let job = directory.path().join("1");
    fs_err::create_dir(&job).unwrap();
    let image = job.join("image");
    let content: Vec<u8> = (0..SIZE).map(|i| (i ^ (i >> 8)) as u8).collect();
    fs_err::write(&image, content).unwrap();
    let (tell, served) = mpsc::channel();
    let (root, export) = (directory.path().to_owned(), Export::open(&image).unwrap());
    // One thread serves all, as in a job.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let root = Arc::new(Root::one_of(&root, "1").unwrap());
            let limits = http::Limits::default();
            let http = HttpServer::bind(any, root, limits, Transfers::new(|_| ()))
                .await
                .unwrap();
            let limits = nbd::Limits::default();
            let nbd = NbdServer::bind(any, export, limits, Transfers::new(|_| ()))
                .await
                .unwrap();
            tell.send((http.local_address().unwrap(), nbd.local_address().unwrap()))
                .unwrap();
            tokio::join!(http.serve(), nbd.serve()).0.unwrap();
        });
    });
    let (http, nbd) = served.recv().unwrap();
    measure("HTTP, plain loop", || read_http(http));
    measure("NBD, plain loop", || read_nbd(nbd));
    let url = format!("http://{http}/1/image");
    measure("HTTP, curl", || {
        program("curl", &["-sSf", "-o", "/dev/null", &url])
    });
    let url = format!("nbd://{nbd}/");
    measure("NBD, nbdcopy", || program("nbdcopy", &[&url, "null:"]));
}

fn measure(what: &str, mut run: impl FnMut() -> bool) {
    let mut speeds = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        if !run() {
            println!("{what}: not installed");
            return;
        }
        speeds.push(SIZE as f64 / 1e6 / begun.elapsed().as_secs_f64());
    }
    speeds.sort_by(f64::total_cmp);
    let (slowest, median) = (speeds[0], speeds[RUNS / 2]);
    println!("{what}: {median:.0} MB/s, median of {RUNS}; slowest {slowest:.0}");
}

fn read_http(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = "GET /1/image HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            read => length += read,
        }
    }
    assert!(length > SIZE);
    true
}

fn read_nbd(address: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut take = 3_u32.to_be_bytes().to_vec();
    take.extend(*b"IHAVEOPT");
    take.extend(1_u32.to_be_bytes());
    take.extend(0_u32.to_be_bytes());
    stream.write_all(&take).unwrap();
    stream.read_exact(&mut [0; 28]).unwrap();
    let ask = |stream: &mut TcpStream, number: usize| {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend([0; 12]);
        request.extend(((number * NBD_READ) as u64).to_be_bytes());
        request.extend((NBD_READ as u32).to_be_bytes());
        stream.write_all(&request).unwrap();
    };
    let count = SIZE / NBD_READ;
    (0..NBD_QUEUE).for_each(|number| ask(&mut stream, number));
    let mut answer = vec![0; 16 + NBD_READ];
    for number in 0..count {
        stream.read_exact(&mut answer).unwrap();
        if number + NBD_QUEUE < count {
            ask(&mut stream, number + NBD_QUEUE);
        }
    }
    true
}

/// Whether the program is installed; it must succeed.
fn program(name: &str, arguments: &[&str]) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let command = Command::new(CommandLine::new(name).args(arguments.iter().copied()));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    match runtime.block_on(command.run(deadline, |_| ())) {
        Ok(exit) => {
            assert!(exit.success(), "{name} failed");
            true
        }
        Err(error) if error.kind() == hal::ErrorKind::NotFound => false,
        Err(error) => panic!("{error}"),
    }
}
