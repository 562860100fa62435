//! PCs: iPXE behind a BIOS, GRUB behind UEFI, both from the TFTP server of QEMU's own network.

use super::{
    bench::{AMD64, Bench},
    uboot::smoke,
};
use integration::{Lab, skipped};
use rack::{NetworkConfig, NetworkKind};
use serde_json::{Value, json};
use std::path::Path;

/// Debian's GRUB for a boot from the network, unsigned or signed.
const GRUB: [&str; 2] = [
    "/usr/lib/grub/x86_64-efi/monolithic/grubnetx64.efi",
    "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
];

/// QEMU's own network, which needs no rights, with its TFTP server.
fn user_network(network: &mut NetworkConfig, lab: &Lab) {
    let served = lab.path("served");
    fs_err::create_dir_all(&served).unwrap();
    network.kind = NetworkKind::User;
    network.options.push(format!("tftp={}", served.display()));
}

async fn boots(bench: Bench, device: Value, method: &str) {
    let served = bench.lab.path("served").display().to_string();
    let options = ["--dispatcher-ip", "10.0.2.2", "--tftp", &served];
    let job = bench.job_of(method, "").replace(
        &format!("    method: {method}\n"),
        &format!("    method: {method}\n    failure_retry: 3\n"),
    );
    let run = bench.run(&job, &device, &options).await;
    assert_eq!(run.code, 0, "{}", run.output);
    assert_eq!(run.cases("0_smoke"), smoke());
    assert!(!bench.has_power().await, "the board was left with power");
    bench.rack.stop().await.unwrap();
}

#[tokio::test]
async fn ipxe_is_interrupted_and_loads_kernel_and_ramdisk() {
    let bench = Bench::new("x86-ipxe", &AMD64, |network, _, lab| {
        user_network(network, lab)
    })
    .await;
    let Some(bench) = bench else { return };
    let mut device = bench.bare_device();
    // What is typed faster than iPXE reads is lost, and now and then a character all the same: a
    // command that fails is an error message, and the boot is tried again.
    device["character_delays"] = json!({ "boot": 30 });
    device["constants"]["ipxe"] = json!({
        "interrupt-prompt": "Press Ctrl-B for the iPXE command line",
        "interrupt_ctrl_list": ["b"],
        "error-messages": [
            "No configuration methods succeeded", "Connection timed out", "No such file",
            "command not found", "No image selected",
        ],
    });
    device["actions"]["boot"]["methods"]["ipxe"] = json!({
        "parameters": { "bootloader_prompt": "iPXE>" },
        "ramdisk": { "commands": [
            "dhcp net0",
            "set console console=ttyS0,115200n8",
            "kernel tftp://{SERVER_IP}/{KERNEL} ${console}",
            "initrd tftp://{SERVER_IP}/{RAMDISK}",
            "boot",
        ]},
    });
    boots(bench, device, "ipxe").await;
}

#[tokio::test]
async fn grub_behind_uefi_loads_kernel_and_ramdisk() {
    let Some(grub) = GRUB.map(Path::new).into_iter().find(|grub| grub.exists()) else {
        skipped("GRUB for UEFI is not here; tools/packages rack installs it");
        return;
    };
    let bench = Bench::new("x86-uefi", &AMD64, |network, _, lab| {
        user_network(network, lab);
        fs_err::copy(grub, lab.path("served/grub.efi")).unwrap();
        network.options.push("bootfile=grub.efi".to_owned());
    });
    let Some(bench) = bench.await else { return };
    let mut device = bench.bare_device();
    device["constants"]["grub"] = json!({
        "error-messages": ["error: timeout reading", "error: file '(.*)' not found"],
    });
    device["actions"]["boot"]["methods"]["grub"] = json!({
        "parameters": { "bootloader_prompt": "grub> ", "needs_interrupt": false },
        "ramdisk": { "commands": [
            "net_bootp",
            "linux (tftp,{SERVER_IP})/{KERNEL} console=ttyS0,115200n8",
            "initrd (tftp,{SERVER_IP})/{RAMDISK}",
            "boot",
        ]},
    });
    boots(bench, device, "grub").await;
}
