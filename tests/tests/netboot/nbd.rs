//! A board whose root file system is a network block device.

use super::bench::{ARM64, Bench, transfers};
use integration::{say, skipped};
use serde_json::json;
use std::time::Instant;

fn job(bench: &Bench) -> String {
    let images = bench.images.display();
    format!(
        "\
device_type: board
job_name: a root over the network
timeouts: {{job: {{minutes: 5}}, action: {{minutes: 4}}, connection: {{minutes: 2}}}}
priority: medium
visibility: public
protocols: {{lava-xnbd: {{port: auto}}}}
actions:
- deploy:
    to: nbd
    os: oe
    kernel: {{url: 'file://{images}/kernel', type: image}}
    initrd: {{url: 'file://{images}/nbd.cpio.gz'}}
    nbdroot: {{url: 'file://{images}/root.ext4.gz', compression: gz}}
- boot:
    method: u-boot
    commands: nbd
    auto_login: {{login_prompt: 'board login:', username: root}}
    prompts: ['root@board:']
    transfer_overlay: {{download_command: wget, unpack_command: tar -C / -xzf}}
- test:
    definitions:
    - from: inline
      name: smoke
      path: inline/smoke.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: smoke, description: smoke}}
        run:
          steps:
          - lava-test-case root --shell grep ^/dev/nbd0.*ext4 /proc/mounts
          - echo kept >/root/written && sync
          - echo 3 >/proc/sys/vm/drop_caches
          - lava-test-case written --shell grep kept /root/written
"
    )
}

#[tokio::test]
async fn arm64_boots_from_an_image_and_writes_to_it() {
    let Ok(firmware) = rack::uboot::firmware() else {
        skipped("our own U-Boot is not here; tools/uboot builds it");
        return;
    };
    let bench = Bench::new("arm64", &ARM64, |_, of_board, _| *of_board = Some(firmware)).await;
    let Some(bench) = bench else { return };
    let mut device = bench.device(&ARM64);
    device["actions"]["deploy"]["methods"]["nbd"] = json!(null);
    device["actions"]["boot"]["methods"]["u-boot"]["nbd"] = json!({ "commands": [
        "setenv autoload no",
        "setenv tftpdstp {TFTP_PORT}",
        "dhcp",
        "setenv serverip {SERVER_IP}",
        "tftp {KERNEL_ADDR} {KERNEL}",
        "tftp {RAMDISK_ADDR} {INITRD}",
        "setenv initrd_size ${filesize}",
        "tftp {DTB_ADDR} {DTB}",
        "setenv bootargs 'console=ttyAMA0,115200n8 nbdroot={NBDSERVERIP}:{NBDSERVERPORT}'",
        "{BOOTX}",
    ]});
    let options = [
        ["--dispatcher-ip", "10.0.2.2"],
        ["--tftp", "127.0.0.1:0"],
        ["--http", "127.0.0.1"],
        ["--nbd", "127.0.0.1"],
    ];
    let begun = Instant::now();
    let run = bench
        .run(&job(&bench), &device, options.as_flattened())
        .await;
    say(&format!("NBD root: {:.1?} in all", begun.elapsed()));
    assert_eq!(run.code, 0, "{}", run.output);
    let passed = ["root", "written"].map(|name| (name.to_owned(), "pass".to_owned()));
    assert_eq!(run.cases("0_smoke"), passed);
    let told = transfers(&run.directory);
    // The board is switched off in the middle of its connection.
    let image = told.iter().find(|line| line.contains("NBD: nbdroot to "));
    assert!(image.is_some_and(|line| line.contains(" of 16777216 bytes")));
    bench.rack.stop().await.unwrap();
}
