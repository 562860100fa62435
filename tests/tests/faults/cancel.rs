//! Ctrl-C and its relatives: the job is canceled, the board switched off, everything given back.

use crate::table::{CANCELED, section};
use integration::{Answer, BOOT, Finished, Lab, OVERLAY, Server, deploy, inline, job};
use rustix::process::Signal;

section! {
    "Cancellation";

    interrupt_while_booting: "Ctrl-C while the board boots"
        => CANCELED, "canceled", "",
        |lab| while_booting(lab, &[Signal::INT]);
    terminate_while_booting: "SIGTERM while the board boots"
        => CANCELED, "canceled", "",
        |lab| while_booting(lab, &[Signal::TERM]);
    hangup_while_booting: "SIGHUP while the board boots"
        => CANCELED, "canceled", "",
        |lab| while_booting(lab, &[Signal::HUP]);
    interrupt_twice: "Ctrl-C, and again"
        => CANCELED, "canceled", "",
        |lab| while_booting(lab, &[Signal::INT, Signal::INT, Signal::INT, Signal::TERM]);
    interrupt_while_downloading: "Ctrl-C while a file is downloaded"
        => CANCELED, "canceled", "",
        |lab| {
            let server = Server::start([("/kernel", Answer::Stall(4096))]);
            let keys = format!("url: '{}'", server.url("/kernel"));
            let job = job(&[&deploy(&[("kernel", &keys)]), BOOT]);
            let device = lab.device(&lab.board_of_the_rack("linux.board", ""));
            let mut running = lab.run(&job, &device).start();
            running.wait_for("downloading http://");
            running.signal(Signal::INT);
            let finished = running.finish();
            assert!(!lab.noted("power").contains(&"on".to_owned()));
            Some(finished)
        };
    interrupt_while_testing: "Ctrl-C while a test runs"
        => CANCELED, "canceled", "",
        |lab| {
            let device = lab.device(&lab.board_of_the_rack("linux.board", "hold=1000s"));
            let mut running = lab.run(&job(&[OVERLAY, BOOT, &inline("")]), &device).start();
            running.wait_for("STARTRUN");
            running.signal(Signal::INT);
            let finished = running.finish();
            assert!(
                finished.cases("lava").contains(&("0_board".into(), "fail".into())),
                "the run did not fail: {:?}", finished.cases("lava")
            );
            Some(finished)
        };
    interrupt_while_resetting: "Ctrl-C while a power command runs"
        => CANCELED, "canceled", "",
        |lab| {
            let mut device = lab.device(&lab.board_of_the_rack("linux.board", ""));
            let script = format!("echo on >>{}; echo resetting; sleep 1000", lab.path("power").display());
            device["commands"]["hard_reset"] = format!("sh -c '{script}'").into();
            let run = lab.run(&job(&[OVERLAY, BOOT]), &device).args(["--format", "lava"]);
            let mut running = run.start();
            running.wait_for(">> resetting");
            running.signal(Signal::INT);
            Some(running.finish())
        };
}

fn while_booting(lab: &Lab, signals: &[Signal]) -> Option<Finished> {
    let device = lab.device(&lab.board_of_the_rack("silent.board", ""));
    let mut running = lab
        .run(&job(&[OVERLAY, BOOT, &inline("")]), &device)
        .start();
    running.wait_for("Parsing kernel messages");
    for signal in signals {
        running.signal(*signal);
    }
    let finished = running.finish();
    assert_eq!(lab.noted("power"), ["on", "off"]);
    Some(finished)
}
