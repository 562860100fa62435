//! Fastboot over USB: our client and Debian's against gadgets of a real kernel, on the bench.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

use hal::{
    ErrorKind, HalError,
    discover::{Access, Factory},
    fastboot::{
        Fastboot, Image, Progress, RebootTarget, Reply, Target, Transport, open,
        usb::{FastbootFactory, UsbMatch},
    },
    process::{Command, CommandLine, Running},
};
use std::{
    future::{Future, poll_fn},
    io::Cursor,
    path::Path,
    task::Poll,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

const MIB: usize = 1 << 20;

/// Whether this is the bench VM; the tests plug devices into the kernel.
fn in_bench_vm() -> bool {
    let inside = std::env::var_os("PUMICE_BENCH_VM").is_some();
    if !inside {
        eprintln!("SKIPPED: PUMICE_BENCH_VM is not set; hil/bench-vm/test runs this");
    }
    inside
}

/// Far longer than anything takes on a machine that is emulated.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A gadget in a process of its own; dropping it unplugs it.
struct Plugged {
    _process: Running,
    directory: TempDir,
}

fn plug_in(controller: &str, serial: &str, more: &[&str]) -> Plugged {
    let directory = tempfile::tempdir().unwrap();
    let line = CommandLine::new(env!("CARGO_BIN_EXE_rack"))
        .args(["fastboot-gadget", controller, serial])
        .arg(directory.path())
        .args(more.iter().copied());
    let log = std::io::stderr();
    let log = std::os::fd::AsFd::as_fd(&log).try_clone_to_owned().unwrap();
    Plugged {
        _process: Command::new(line).spawn(Some(log.into())).unwrap(),
        directory,
    }
}

async fn connect(name: &str) -> Fastboot<Box<dyn Transport>> {
    let target: Target = name.parse().unwrap();
    Fastboot::new(open(&target, soon()).await.unwrap())
}

/// Waits until so many devices are listed.
async fn until_listed(count: usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let deadline = soon();
    loop {
        let listed = FastbootFactory.list().unwrap();
        if listed.len() == count {
            return;
        }
        assert!(Instant::now() < deadline, "not {count} devices: {listed:?}");
        ticks.tick().await;
    }
}

/// Waits until no gadget of an earlier test is there.
async fn until_unplugged() {
    until_listed(0).await;
    // configfs keeps what a program that was killed made.
    for controller in ["dummy_udc.0", "dummy_udc.1"] {
        let name = format!("fastboot-{controller}");
        let gadget = Path::new("/sys/kernel/config/usb_gadget").join(&name);
        let script = format!(
            "cd {} 2>/dev/null || exit 0; echo > UDC; rm -f configs/c.1/ffs.*; \
             rmdir configs/c.1 functions/* strings/0x409; cd ..; rmdir {name}; \
             umount {}/{name}",
            gadget.display(),
            std::env::temp_dir().display(),
        );
        let line = CommandLine::new("sh").arg("-c").arg(script);
        Command::new(line).output(soon()).await.unwrap();
    }
}

/// Eight bytes at a time: on the bench each step is slow.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = vec![0; length];
    for word in bytes.chunks_mut(8) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        word.copy_from_slice(&state.to_be_bytes()[..word.len()]);
    }
    bytes
}

fn flashed(device: &Plugged, partition: &str, length: usize) -> Vec<u8> {
    let mut bytes = fs_err::read(device.directory.path().join(partition)).unwrap();
    bytes.truncate(length);
    bytes
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn a_gadget_is_listed_flashed_and_comes_back_after_a_reboot() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let device = plug_in("dummy_udc.0", "BENCH01", &[]);
    let mut client = connect("usb:BENCH01").await;
    let listed = FastbootFactory.list().unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0].name, "usb:BENCH01");
    assert_eq!(listed[0].description, "Pumice Rack");
    assert_eq!(listed[0].access, Access::Granted);
    assert!(listed[0].node.as_ref().unwrap().exists());

    assert_eq!(client.getvar("serialno", soon()).await.unwrap(), "BENCH01");
    // A length that is a multiple of the packet size, one that is not, and more than a download.
    for (partition, length) in [
        ("boot", 2 * MIB),
        ("boot", 2 * MIB + 77),
        ("rootfs", 20 * MIB),
    ] {
        let bytes = noise(length as u64, length);
        let image = Image::from_bytes("image", bytes.clone()).unwrap();
        let start = Instant::now();
        client
            .flash(partition, &image, |_| {}, soon())
            .await
            .unwrap();
        let took = start.elapsed().as_secs_f64();
        eprintln!(
            "{length} bytes: {:.1} MiB/s",
            length as f64 / MIB as f64 / took
        );
        assert!(
            flashed(&device, partition, length) == bytes,
            "{length} bytes differ"
        );
    }
    client
        .reboot(RebootTarget::Bootloader, soon())
        .await
        .unwrap();
    assert_eq!(client.getvar("serialno", soon()).await.unwrap(), "BENCH01");
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn two_devices_with_one_serial_number_are_told_apart_by_their_ports() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let _first = plug_in("dummy_udc.0", "TWIN", &[]);
    let first = connect("usb:TWIN").await;
    drop(first);
    let _second = plug_in("dummy_udc.1", "TWIN", &[]);
    until_listed(2).await;
    let target: Target = "usb:TWIN".parse().unwrap();
    let error = open(&target, soon()).await.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let listed = FastbootFactory.list().unwrap();
    for found in &listed {
        assert!(error.to_string().contains(&found.name), "{error}");
        assert_eq!(found.warnings.len(), 1, "{found:?}");
        let mut client = connect(&found.name).await;
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    }
    let by_numbers = Target::Usb(UsbMatch {
        vendor: Some(0x18d1),
        product: Some(0x4ee0),
        path: listed[1].name.strip_prefix("usb:").map(str::to_owned),
        ..UsbMatch::default()
    });
    let mut client = Fastboot::new(open(&by_numbers, soon()).await.unwrap());
    assert_eq!(client.getvar("product", soon()).await.unwrap(), "rack");
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn a_device_that_is_pulled_in_a_download_is_reported() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let _device = plug_in("dummy_udc.0", "PULLED", &["1048576"]);
    let mut client = connect("usb:PULLED").await;
    let image = Image::from_bytes("image", noise(1, 8 * MIB)).unwrap();
    let start = Instant::now();
    let error = client
        .flash("boot", &image, |_| {}, soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("PULLED"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn a_device_that_reboots_without_a_word_has_rebooted() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let _device = plug_in("dummy_udc.0", "HASTY", &["hang-up"]);
    let mut client = connect("usb:HASTY").await;
    let rebooted = client.reboot(RebootTarget::Bootloader, soon()).await;
    assert_eq!(rebooted.unwrap(), Reply::default());
    assert_eq!(client.getvar("serialno", soon()).await.unwrap(), "HASTY");
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn a_client_that_gives_up_does_not_confuse_the_next_command() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let _device = plug_in("dummy_udc.0", "AGAIN", &[]);
    let mut client = connect("usb:AGAIN").await;
    // Before it is sent, before it is answered, and afterwards: whenever that is here.
    for patience in [0, 100, 300, 1000, 3000, 10_000].map(Duration::from_micros) {
        let cancelled = client.getvar("product", soon());
        let _ = tokio::time::timeout(patience, cancelled).await;
        assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    }
    // This takes long: its file is written before it is answered.
    let cancelled = client.erase("rootfs", |_| {}, soon());
    let cancelled = tokio::time::timeout(Duration::from_millis(1), cancelled).await;
    assert!(cancelled.is_err(), "a partition was erased at once");
    assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
    let image = Image::from_bytes("image", noise(2, 8 * MIB)).unwrap();
    let cancelled = tokio::time::timeout(
        Duration::from_millis(50),
        client.flash("boot", &image, |_: Progress<'_>| {}, soon()),
    );
    if cancelled.await.is_err() {
        // In the middle of data only a reset helps; elsewhere it goes on.
        match client.getvar("version", soon()).await {
            Ok(version) => assert_eq!(version, "0.4"),
            Err(error) => return assert_half_a_download(&error),
        }
    }
    // The command is sent when it is polled first: the device may wait for data.
    let mut begun = Box::pin(client.download(Cursor::new(vec![0; 512]), 512, |_| {}, soon()));
    poll_fn(|cx| {
        assert!(begun.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(begun);
    assert_half_a_download(&client.getvar("version", soon()).await.unwrap_err());
}

fn assert_half_a_download(error: &HalError) {
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(error.hint(), Some("reset the board"));
}

#[tokio::test]
#[ignore = "needs the bench VM: hil/bench-vm/test"]
async fn debians_client_flashes_the_gadget() {
    if !in_bench_vm() {
        return;
    }
    until_unplugged().await;
    let device = plug_in("dummy_udc.0", "DEBIAN", &[]);
    drop(connect("usb:DEBIAN").await);
    let bytes = noise(3, 4 * MIB);
    let file = device.directory.path().join("image");
    fs_err::write(&file, &bytes).unwrap();
    let start = Instant::now();
    let line = CommandLine::new("fastboot")
        .args(["-s", "DEBIAN", "flash", "boot"])
        .arg(&file);
    let output = Command::new(line).output(soon()).await.unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.exit.success(), "{printed}");
    eprintln!("Debian: {:?} for 4 MiB", start.elapsed());
    assert!(
        flashed(&device, "boot", bytes.len()) == bytes,
        "what was flashed differs"
    );
}
