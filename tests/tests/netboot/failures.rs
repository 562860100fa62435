//! Boots that go wrong, each in one of eight ways: the fault names which.

use super::bench::{ARM64, Bench};
use integration::{Lab, skipped};
use rack::BoardFault;
use serde_json::json;
use std::time::Duration;

/// How often each failure is provoked: a name that is right by luck shows.
const TIMES: usize = 20;

/// How many jobs run at a time.
const AT_ONCE: usize = 5;

const DHCP: &str = "BOOTP broadcast 1\\nDHCP client bound to address 192.0.2.15 (2 ms)\\n";
const TFTP: &str = "TFTP from server 192.0.2.1; our IP address is 192.0.2.15\\nFilename 'Image'.\\n\
                    Loading: ####\\ndone\\nBytes transferred = 4 (4 hex)\\n";
const KERNEL: &str = "\\nStarting kernel ...\\n\\n[    0.000000] Linux version 6.1.0 (cc) #1\\n";

/// A board whose U-Boot answers three commands so; a script goes on after the last of them.
fn script(dhcp: &str, tftp: &str, then: &str) -> String {
    format!(
        r#"raw
print "U-Boot 2026.01 (scripted board)\n\nHit any key to stop autoboot:  2 "
interrupt 5s
  print "\b\b 0 \n"
  shell "=> "
    on "dhcp*"
      print "{dhcp}"
    end
    on "tftp*"
      print "{tftp}"
    end
    on "booti*"
      leave
    end
    on ""
    end
    on "*"
      print "Unknown command '${{1}}' - try 'help'\n"
    end
  end
end
{then}
hang
"#
    )
}

struct Case {
    script: String,
    /// The diagnosis begins so.
    named: &'static str,
    /// A line of the console that shows it.
    shown: &'static str,
    /// The boot command that U-Boot does not know, instead of the first one.
    wrong_command: bool,
}

/// Runs a job on such a board, as often as wanted, and looks at what the fault says.
fn provoke(case: &Case) {
    let begin = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while begin.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < TIMES {
                    once(case);
                }
            });
        }
    });
}

fn once(case: &Case) {
    let lab = Lab::new();
    let mut device = lab.device(&lab.board(&case.script));
    device["parameters"] = json!({ "booti": { "kernel": "0x1", "dtb": "0x2" } });
    device["constants"]["u-boot"] = json!({
        "interrupt-character": " ",
        "final-message": "Starting kernel",
        "error-messages": ["Retry count exceeded", "Retry time exceeded", "Unknown command",
                           "Bad Linux ARM64 Image magic"],
    });
    let first = if case.wrong_command { "dhpc" } else { "dhcp" };
    device["actions"]["boot"]["methods"]["u-boot"] = json!({
        "parameters": { "bootloader_prompt": "=>", "interrupt_prompt": "Hit any key" },
        "net": { "commands": [first, "tftp {KERNEL_ADDR} {KERNEL}", "{BOOTX}"] },
    });
    lab.file("Image", "no kernel");
    let job = format!(
        "\
device_type: board
job_name: a boot that fails
timeouts:
  job: {{minutes: 2}}
  action: {{minutes: 1}}
  connection: {{minutes: 1}}
  actions: {{bootloader-commands: {{seconds: 3}}, auto-login-action: {{seconds: 2}}}}
priority: medium
visibility: public
actions:
- deploy: {{to: tftp, os: oe, kernel: {{url: '{}', type: image}}}}
- boot: {{method: u-boot, commands: net, prompts: ['root@board:']}}
",
        lab.url("Image")
    );
    let run = lab.run(&job, &device);
    let run = run.args(["--tftp", "127.0.0.1:0"]).finish();
    let diagnosis = run.fault("diagnosis");
    assert!(
        diagnosis.starts_with(case.named),
        "{diagnosis}: {}",
        run.output
    );
    let console = run.results().unwrap()["verdict"]["fault"]["console"].to_string();
    assert!(console.contains(case.shown), "{console}: {}", run.output);
    assert!(run.output.contains(case.named), "{}", run.output);
    assert_eq!(lab.noted("power").last().unwrap(), "off");
}

macro_rules! named_right {
    ($($name:ident: $dhcp:expr, $tftp:expr, $then:expr => $named:literal, $shown:literal;)*) => {
        $(#[test]
        fn $name() {
            provoke(&Case {
                script: script($dhcp, $tftp, $then),
                named: $named,
                shown: $shown,
                wrong_command: false,
            });
        })*
    };
}

named_right! {
    no_dhcp_is_named:
        "BOOTP broadcast 1\\nBOOTP broadcast 2\\nRetry time exceeded\\n", "", ""
        => "no DHCP", "BOOTP broadcast 2";
    tftp_that_stops_is_named:
        DHCP, "TFTP from server 192.0.2.1; our IP address is 192.0.2.15\\nFilename 'Image'.\\n\
               Loading: ####T T T \\nRetry count exceeded; starting again\\n", ""
        => "TFTP stopped", "TFTP from server";
    a_bad_checksum_is_named:
        DHCP, TFTP, "print \"Bad Linux ARM64 Image magic!\\n=> \"" => "bad checksum", "Image magic";
    silence_after_the_handover_is_named:
        DHCP, TFTP, "print \"\\nStarting kernel ...\\n\\n\""
        => "nothing after the boot loader started the kernel", "Starting kernel";
    a_panic_is_named:
        DHCP, TFTP, &format!("print \"{KERNEL}\"\npanic \"VFS: Unable to mount root fs\"")
        => "the kernel panicked", "VFS: Unable to mount root fs";
    a_login_prompt_that_never_comes_is_named:
        DHCP, TFTP, &format!("print \"{KERNEL}[    1.000000] Run /init as init process\\n\"")
        => "no login prompt", "Run /init";
    a_board_that_boots_again_and_again_is_named:
        DHCP, TFTP, "print \"\\nStarting kernel ...\\n\\n\"\ndelay 100ms\n\
                     print \"U-Boot 2026.01 (scripted board)\\n\"\ndelay 100ms\n\
                     print \"U-Boot 2026.01 (scripted board)\\n\""
        => "reset loop: the board began to boot 3 times", "U-Boot 2026.01";
}

#[test]
fn a_command_that_the_boot_loader_refuses_is_named() {
    provoke(&Case {
        script: script(DHCP, TFTP, ""),
        named: "the boot loader refused a command",
        shown: "Unknown command 'dhpc'",
        wrong_command: true,
    });
}

/// A real U-Boot whose cable is pulled while it loads: our server knows how far it came.
#[tokio::test]
async fn a_cable_that_is_pulled_while_a_kernel_is_loaded_is_named_with_its_percent() {
    let Ok(firmware) = rack::uboot::firmware() else {
        skipped("our own U-Boot is not here; tools/uboot builds it");
        return;
    };
    let bench = Bench::new("arm64", &ARM64, |_, of_board, _| *of_board = Some(firmware)).await;
    let Some(bench) = bench else { return };
    let job = bench.job(&ARM64).replace(
        "connection: {minutes: 2}}",
        "connection: {minutes: 2}, actions: {bootloader-commands: {seconds: 15}}}",
    );
    let device = bench.device(&ARM64);
    let options = ["--dispatcher-ip", "10.0.2.2", "--tftp", "127.0.0.1:0"];
    let mut running = bench.lab.run(&job, &device).args(options).start();
    let running = tokio::task::spawn_blocking(move || {
        running.wait_for("Loading: ####");
        running
    });
    let running = running.await.unwrap();
    let board = bench.rack.board("arm64").unwrap();
    board.fault(BoardFault::UnplugNetwork).await.unwrap();
    let ended = tokio::task::spawn_blocking(move || running.finish());
    let run = tokio::time::timeout(Duration::from_secs(100), ended).await;
    let run = run.expect("the job ends").unwrap();
    let diagnosis = run.fault("diagnosis");
    let percent = diagnosis
        .strip_prefix("TFTP stopped at ")
        .and_then(|rest| rest.split_once(" % of "))
        .unwrap_or_else(|| panic!("{diagnosis}: {}", run.output));
    let (percent, file) = percent;
    assert!(percent.parse::<u8>().unwrap() < 100, "{diagnosis}");
    assert!(file.contains("kernel/kernel"), "{diagnosis}");
    assert!(!bench.has_power().await, "the board was left with power");
    bench.rack.stop().await.unwrap();
}
