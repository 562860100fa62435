//! Boards that do not boot to a shell.

use crate::table::{Complete, JOB, section};
use integration::{BOOT, Finished, Lab, OVERLAY, demo_images, deploy, inline, job};

section! {
    "Booting";

    prompt_never_comes: "a prompt that never comes"
        => JOB, "login-action timed out after", "raise that `timeout`",
        |lab| {
            let finished = booting(lab, "silent.board", &limited())?;
            let results = finished.results()?;
            let fault = &results["verdict"]["fault"];
            let waited = fault["waited_for"].to_string();
            assert!(waited.contains("board login:"), "it waited for {waited}");
            let console = fault["console"].to_string();
            assert!(console.contains("Linux version"), "the console is {console}");
            Some(finished)
        };
    kernel_never_starts: "a kernel that never starts"
        => JOB, "auto-login-action timed out after", "raise that `timeout`",
        |lab| scripted(lab, "print \"Hit any key to stop autoboot:  0\\n\"\nhang\n", &limited());
    kernel_panics: "a kernel panic"
        => JOB, "Kernel panic - not syncing", "console",
        |lab| booting(lab, "panic.board", BOOT);
    kernel_panics_in_a_line: "a kernel panic in the middle of a line"
        => JOB, "Kernel panic - not syncing", "console",
        |lab| scripted(
            lab,
            "print \"[ 0.0] Linux version 6.1\\nStarting serv\"\npanic \"VFS: no root\"\nhang\n",
            BOOT,
        );
    kernel_panics_in_qemu: "a kernel panic in QEMU, the kernel having no root file system"
        => JOB, "Kernel panic - not syncing", "console",
        |lab| in_qemu(lab, None);
    initramfs_without_init_in_qemu: "an initramfs in QEMU that is garbage"
        => JOB, "Kernel panic - not syncing", "console",
        |lab| in_qemu(lab, Some(b"this is not an initramfs, and it is long enough to be read"));
    login_incorrect: "a login that is refused"
        => JOB, "Login incorrect", "auto_login",
        |lab| scripted(
            lab,
            "print \"[ 0.0] Linux version 6.1\\nboard login: \"\nread\n\
             print \"\\nLogin incorrect\\nboard login: \"\nhang\n",
            BOOT,
        );
    failure_message: "a message of the job's that means failure"
        => JOB, "the boot failed: 'no network'", "",
        |lab| scripted(
            lab,
            "print \"[ 0.0] Linux version 6.1\\nno network\\n\"\nhang\n",
            &format!("{BOOT}    failure_message: no network\n"),
        );
    every_attempt_fails: "a boot that fails in each of two attempts"
        => JOB, "timed out after", "",
        |lab| {
            let boot = format!("{BOOT}    timeout: {{seconds: 4}}\n    failure_retry: 2\n");
            let finished = booting(lab, "silent.board", &boot)?;
            Some(finished)
        };
    second_attempt_works: "a boot that works at the second attempt"
        => Complete, "", "",
        |lab| {
            // The board hangs after the first power cycle, and boots after the second.
            let (power, good) = (lab.path("cycles"), lab.board_of_the_rack("linux.board", ""));
            integration::shell("mkfifo \"$1\"", &power)?;
            let script = format!(
                "exec 3<>{}\nread cycle <&3\necho Linux version 6.1\nread cycle <&3\nexec {good}\n",
                power.display()
            );
            let script = lab.file("board.sh", script);
            let mut device = lab.device(&format!("sh {}", script.display()));
            let reset = format!("sh -c \"echo on >>{}\"", power.display());
            device["commands"]["hard_reset"] = reset.into();
            let boot = format!("{BOOT}    timeout: {{seconds: 8}}\n    failure_retry: 2\n");
            let finished = lab.run(&job(&[OVERLAY, &boot, &inline("")]), &device).finish();
            assert_eq!(finished.cases("0_board").len(), 4);
            Some(finished)
        };
}

/// [`BOOT`], over in a second.
fn limited() -> String {
    format!("{BOOT}    timeout: {{seconds: 1}}\n")
}

fn scripted(lab: &Lab, script: &str, boot: &str) -> Option<Finished> {
    let device = lab.device(&lab.board(script));
    Some(
        lab.run(&job(&[OVERLAY, boot, &inline("")]), &device)
            .finish(),
    )
}

fn booting(lab: &Lab, board: &str, boot: &str) -> Option<Finished> {
    let device = lab.device(&lab.board_of_the_rack(board, ""));
    Some(
        lab.run(&job(&[OVERLAY, boot, &inline("")]), &device)
            .finish(),
    )
}

/// The demo's kernel, with a ramdisk that does not help it.
fn in_qemu(lab: &Lab, ramdisk: Option<&[u8]>) -> Option<Finished> {
    let images = demo_images()?;
    let arguments = "-kernel {kernel} -append \"console=ttyS0,115200 panic=-1\" -no-reboot";
    let kernel = format!(
        "url: 'file://{}/vmlinuz', image_arg: '{arguments}'",
        images.display()
    );
    let mut files = vec![("kernel", kernel)];
    if let Some(content) = ramdisk {
        lab.file("ramdisk", content);
        let url = lab.url("ramdisk");
        files.push((
            "ramdisk",
            format!("url: '{url}', image_arg: '-initrd {{ramdisk}}'"),
        ));
    }
    let files: Vec<_> = files
        .iter()
        .map(|(name, keys)| (*name, keys.as_str()))
        .collect();
    let boot = "\
- boot:
    method: qemu
    media: tmpfs
    prompts: ['root@demo:']
    auto_login: {login_prompt: 'demo login:', username: root}
    timeout: {minutes: 2}
";
    let context = "context: {arch: amd64, no_kvm: true, no_network: true, memory: 256, \
                   extra_options: [-machine q35, -cpu max]}\nactions:";
    let text = job(&[&deploy(&files), boot]);
    let text = text.replace("device_type: board", "device_type: qemu");
    let job = lab.file("job.yaml", text.replace("actions:", context));
    let run = lab.own(integration::Run::new(&job, &lab.path("")));
    Some(run.args(["--device-type", "qemu"]).finish())
}
