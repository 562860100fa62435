//! Boards that QEMU emulates: power through the PDU, consoles that stay, faults. Tier 1: no
//! rights needed. Each test runs one board at a time: a board at a prompt takes a whole core.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::{
    console::{PtyConsole, PtyOptions},
    power::{PowerAction, PowerState},
    process::{Command, CommandLine, ProcessIdentity},
};
use rack::{Board, BoardFault, MachineState, PduBehaviour, Rack};
use std::time::{Duration, Instant};
use support::{console, installed, interrupt, rack, read_for, read_until, say, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Long enough for a board that answers in milliseconds.
const SILENCE: Duration = Duration::from_millis(400);

/// Asks the PDU over HTTP: the status and the text of its answer.
async fn http(rack: &Rack, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(rack.pdu().http()).await.unwrap();
    let request = format!("GET {request} HTTP/1.1\r\nHost: rack\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, text) = answer.split_once("\r\n\r\n").unwrap();
    (status, text.trim_end().to_owned())
}

async fn switch(rack: &Rack, board: &Board, what: &str) {
    let outlet = board.outlet();
    let request = format!("/power/control/{what}?hostname=rack&port={outlet}&delay=0");
    let answer = http(rack, &request).await;
    assert_eq!(answer, (200, "OK - accepted request".to_owned()), "{what}");
}

async fn state(rack: &Rack, board: &Board) -> String {
    let outlet = board.outlet();
    http(rack, &format!("/power/state?hostname=rack&port={outlet}"))
        .await
        .1
}

#[tokio::test]
async fn pdudaemons_requests_start_and_kill_a_board_and_its_terminal_stays() {
    let Some((rack, _directory)) = rack(&["arm64"]).await else {
        return;
    };
    if !installed("socat") {
        return;
    }
    let board = rack.board("arm64").unwrap();
    // What a device's connection command would be.
    let terminal = format!("{},raw,echo=0", board.console().display());
    let socat = CommandLine::new("socat").args(["-,raw,echo=0", &terminal]);
    let mut terminal = PtyConsole::spawn(socat, PtyOptions::default()).unwrap();
    // The same process and the same terminal over several lives of the board.
    for _ in 0..3 {
        let begun = Instant::now();
        switch(&rack, board, "on").await;
        let on = begun.elapsed();
        interrupt(&mut terminal).await;
        eprintln!(
            "tier 1, arm64: on after {on:.2?}, prompt after {:.2?}",
            begun.elapsed()
        );
        say(&mut terminal, "version\n").await;
        let version = read_until(&mut terminal, "=> ").await;
        assert!(version.contains("U-Boot 20"), "{version}");
        assert_eq!(state(&rack, board).await, "on");
        let status = board.status().await;
        assert_eq!(status.machine, MachineState::Running);
        let process = ProcessIdentity::of(status.pid.unwrap()).unwrap();
        switch(&rack, board, "off").await;
        assert!(!process.is_alive());
        assert_eq!(state(&rack, board).await, "off");
        assert_eq!(board.machine_state().await, MachineState::Off);
        read_for(&mut terminal, Duration::from_millis(50)).await;
        say(&mut terminal, "version\n").await;
        assert_eq!(
            read_for(&mut terminal, SILENCE).await,
            "",
            "a board without power speaks"
        );
    }
    switch(&rack, board, "on").await;
    interrupt(&mut terminal).await;
    switch(&rack, board, "reboot").await;
    interrupt(&mut terminal).await;
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn no_byte_of_a_boot_is_lost_and_both_readers_get_all() {
    let Some((rack, _directory)) = rack(&["riscv64"]).await else {
        return;
    };
    let board = rack.board("riscv64").unwrap();
    let begun = Instant::now();
    let mut first = console(board).await;
    let mut boots = Vec::new();
    for _ in 0..3 {
        board.power(PowerAction::On).await.unwrap();
        boots.push(read_until(&mut first, "stop autoboot").await);
        board.power(PowerAction::Off).await.unwrap();
        read_for(&mut first, Duration::from_millis(50)).await;
    }
    eprintln!("tier 1, riscv64: {:.2?} for a boot", begun.elapsed() / 3);
    for boot in &boots {
        let first_line = boot.trim_start().lines().next();
        assert!(
            first_line.is_some_and(|line| line.starts_with("OpenSBI")),
            "{boot}"
        );
        assert_eq!(boot.matches("U-Boot 20").count(), 1, "{boot}");
    }
    // Nobody reads now: the boot is kept for who comes later.
    drop(first);
    board.power(PowerAction::On).await.unwrap();
    let mut late = console(board).await;
    assert!(interrupt(&mut late).await.contains("OpenSBI"));
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn snmp_tools_switch_read_and_walk() {
    let Some((rack, _directory)) = rack(&["armhf"]).await else {
        return;
    };
    if !["snmpset", "snmpget", "snmpwalk"]
        .into_iter()
        .all(installed)
    {
        return;
    }
    let board = rack.board("armhf").unwrap();
    let agent = rack.pdu().snmp().to_string();
    let command = format!(".1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.{}", board.outlet());
    let tool = async |program: &str, community: &str, words: &[&str]| {
        let line = CommandLine::new(program)
            .args(["-On", "-Oq", "-t", "20", "-r", "0", "-c", community])
            .args(words);
        let output = Command::new(line).output(soon()).await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.exit.success(), String::from_utf8(text).unwrap())
    };
    let mut console = console(board).await;
    for version in ["-v1", "-v2c"] {
        let begun = Instant::now();
        let words = [version, &agent, &command, "i", "1"];
        let (done, said) = tool("snmpset", "private", &words).await;
        assert!(done, "{said}");
        interrupt(&mut console).await;
        eprintln!(
            "tier 1, armhf: prompt after {:.2?} by SNMP",
            begun.elapsed()
        );
        let (_, said) = tool("snmpget", "public", &[version, &agent, &command]).await;
        assert_eq!(said, format!("{command} 1\n"));
        let words = [version, &agent, &command, "i", "2"];
        assert!(tool("snmpset", "private", &words).await.0);
        assert_eq!(board.machine_state().await, MachineState::Off);
        let (_, said) = tool("snmpget", "public", &[version, &agent, &command]).await;
        assert_eq!(said, format!("{command} 2\n"));
        let words = [version, &agent, &command, "i", "1"];
        let (done, said) = tool("snmpset", "public", &words).await;
        assert!(!done, "who may only read has switched: {said}");
    }
    let (_, walked) = tool("snmpwalk", "public", &["-v2c", &agent, ".1.3.6.1.4.1.318"]).await;
    // Its own last line says that there is no more.
    let outlets = walked
        .lines()
        .filter(|line| !line.contains("No more"))
        .count();
    assert_eq!(outlets, 3 * 24, "{walked}");
    assert!(walked.contains("12.3.5.1.1.2.2 \"armhf\""), "{walked}");
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn faults_happen_on_demand() {
    let Some((rack, _directory)) = rack(&["arm64"]).await else {
        return;
    };
    let board = rack.board("arm64").unwrap();
    let mut console = console(board).await;
    board.power(PowerAction::On).await.unwrap();
    interrupt(&mut console).await;

    board.fault(BoardFault::Hang).await.unwrap();
    assert_eq!(board.machine_state().await, MachineState::Hanging);
    say(&mut console, "version\n").await;
    assert_eq!(
        read_for(&mut console, SILENCE).await,
        "",
        "a board that hangs speaks"
    );
    board.fault(BoardFault::Resume).await.unwrap();
    let resumed = read_until(&mut console, "=> ").await;
    assert!(resumed.contains("U-Boot 20"), "{resumed}");

    say(&mut console, "setenv autoload no; dhcp\n").await;
    let plugged = read_until(&mut console, "=> ").await;
    assert!(plugged.contains("DHCP client bound"), "{plugged}");
    board.fault(BoardFault::UnplugNetwork).await.unwrap();
    say(&mut console, "dhcp\n").await;
    let unplugged = read_for(&mut console, Duration::from_secs(1)).await;
    assert!(!unplugged.contains("bound"), "{unplugged}");
    board.fault(BoardFault::PlugNetwork).await.unwrap();

    board.fault(BoardFault::Reset).await.unwrap();
    interrupt(&mut console).await;
    board.fault(BoardFault::Hang).await.unwrap();
    board.power(PowerAction::Reset).await.unwrap();
    interrupt(&mut console).await;

    board.fault(BoardFault::BreakConsole).await.unwrap();
    assert!(!board.status().await.console_works);
    say(&mut console, "version\n").await;
    assert_eq!(
        read_for(&mut console, SILENCE).await,
        "",
        "a broken cable carries"
    );
    board.fault(BoardFault::MendConsole).await.unwrap();
    say(&mut console, "\n").await;
    read_until(&mut console, "=> ").await;

    board.fault(BoardFault::Cut).await.unwrap();
    assert_eq!(board.machine_state().await, MachineState::Off);
    assert_eq!(board.relay().await, PowerState::On, "the PDU does not know");
    let error = board.fault(BoardFault::Hang).await.unwrap_err();
    assert!(
        error.to_string().contains("'arm64' has no power"),
        "{error}"
    );
    board.power(PowerAction::On).await.unwrap();
    interrupt(&mut console).await;
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn the_pdu_lies_is_slow_fails_and_is_silent_when_told_to() {
    let Some((rack, _directory)) = rack(&["riscv64"]).await else {
        return;
    };
    let board = rack.board("riscv64").unwrap();
    let on = format!("/power/control/on?hostname=rack&port={}", board.outlet());

    rack.pdu().behave(PduBehaviour::Lying);
    switch(&rack, board, "on").await;
    assert_eq!(state(&rack, board).await, "off");

    rack.pdu().behave(PduBehaviour::Failing);
    assert_eq!(
        http(&rack, &on).await,
        (500, "the outlet is locked".to_owned())
    );

    rack.pdu().behave(PduBehaviour::Unreachable);
    assert!(timeout(SILENCE, http(&rack, &on)).await.is_err());

    rack.pdu().behave(PduBehaviour::Slow(SILENCE));
    let begun = Instant::now();
    assert_eq!(state(&rack, board).await, "off");
    assert!(begun.elapsed() >= SILENCE);

    rack.pdu().behave(PduBehaviour::Honest);
    assert_eq!(
        board.machine_state().await,
        MachineState::Off,
        "a refused request was done"
    );
    for (request, status) in [
        ("/power/control/on?hostname=rack&port=99", 400),
        ("/power/control/on?port=3", 400),
        ("/power/control/explode?hostname=rack&port=3", 404),
    ] {
        assert_eq!(http(&rack, request).await.0, status, "{request}");
    }
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn a_board_that_cannot_start_says_why_and_is_off() {
    let text = "[board.broken]\ndescription = \"\"\noutlet = 1\n\
                program = \"qemu-system-aarch64\"\narguments = [\"-M\", \"toaster\"]\n";
    if !installed("qemu-system-aarch64") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = rack::RackConfig::parse(text, "test").unwrap();
    let rack = Rack::start(config, &directory.path().join("rack"))
        .await
        .unwrap();
    let board = rack.board("broken").unwrap();
    let error = board.power(PowerAction::On).await.unwrap_err();
    assert!(
        error.to_string().contains("unsupported machine type"),
        "{error}"
    );
    assert_eq!(board.relay().await, PowerState::Off);
    let on = http(&rack, "/power/control/on?hostname=rack&port=1").await;
    assert!(
        on.0 == 500 && on.1.contains("unsupported machine"),
        "{on:?}"
    );
}
