//! The tests' overlay is fetched by the booted system, and a kernel by HTTP.

use super::bench::{ARM64, Bench, Kernel, transfers};
use integration::skipped;

/// The job, whose ramdisk gets no overlay: the booted system fetches it with these commands.
fn job(bench: &Bench, kernel: &Kernel, download: &str, unpack: &str) -> String {
    let transfer = format!(
        "    transfer_overlay: {{download_command: '{download}', unpack_command: '{unpack}'}}\n"
    );
    bench
        .job(kernel)
        .replace(
            "compression: gz}",
            "compression: gz, install_overlay: false}",
        )
        .replace("    prompts:", &format!("{transfer}    prompts:"))
}

const OPTIONS: [&str; 6] = [
    "--dispatcher-ip",
    "10.0.2.2",
    "--tftp",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1",
];

/// A bench with our own U-Boot, which asks another port than 69.
async fn bench() -> Option<Bench> {
    let Ok(firmware) = rack::uboot::firmware() else {
        skipped("our own U-Boot is not here; tools/uboot builds it");
        return None;
    };
    Bench::new("arm64", &ARM64, |_, of_board, _| *of_board = Some(firmware)).await
}

#[tokio::test]
async fn a_booted_system_fetches_the_overlay() {
    let Some(bench) = bench().await else { return };
    // What the kernel says of the link would come between prompts and answers.
    let download = "dmesg -n 1; udhcpc -nqi eth0 -s /etc/udhcpc && wget";
    let job = job(&bench, &ARM64, download, "tar -C / -xzf");
    let run = bench.run(&job, &bench.device(&ARM64), &OPTIONS).await;
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.cases("0_smoke").len(), 3);
    let told = transfers(&run.directory);
    let overlay = told
        .iter()
        .find(|line| line.contains("/overlay-1.1.3.tar.gz"));
    assert!(overlay.is_some_and(|line| line.contains("HTTP: ") && line.contains(" bytes in ")));
    bench.rack.stop().await.unwrap();
}

#[tokio::test]
async fn a_system_that_cannot_fetch_it_fails_the_job() {
    let Some(bench) = bench().await else { return };
    let job = job(&bench, &ARM64, r#"sh -c "exit 7""#, "tar -C / -xzf");
    let run = bench.run(&job, &bench.device(&ARM64), &OPTIONS).await;
    assert_eq!(run.code, 4, "{}", run.output);
    assert!(
        run.output.contains("failed with return code 7!"),
        "{}",
        run.output
    );
    assert!(
        run.output.contains("does it have a network by now?"),
        "{}",
        run.output
    );
    bench.rack.stop().await.unwrap();
}

#[tokio::test]
async fn u_boot_loads_a_kernel_by_http() {
    let Some(bench) = bench().await else { return };
    let mut device = bench.device(&ARM64);
    let text = device.to_string().replace(
        "\"tftp {KERNEL_ADDR} {KERNEL}\"",
        "\"setenv httpdstp {HTTP_PORT}\",\"wget {KERNEL_ADDR} {SERVER_IP}:/{KERNEL}\"",
    );
    device = serde_json::from_str(&text).unwrap();
    let run = bench.run(&bench.job(&ARM64), &device, &OPTIONS).await;
    assert_eq!(run.code, 0, "{}", run.output);
    let told = transfers(&run.directory);
    let kernel = told.iter().find(|line| line.contains("kernel/kernel"));
    assert!(kernel.is_some_and(|line| line.contains("HTTP: ") && line.contains(" bytes in ")));
    bench.rack.stop().await.unwrap();
}
