use super::{
    view::{Size, View},
    *,
};
use job::{CaseResult, Level, Namespace, TestResult};
use plan::{Action, OnTimeout, Section, Step};
use wire::journal::Record;

pub(super) const THEME: Theme = Theme {
    colour: false,
    unicode: true,
};

fn action(level: &str, name: &str, children: Vec<Action>) -> Action {
    Action {
        level: Level::new(level),
        name: name.to_owned(),
        section: Section::Boot,
        namespace: Namespace::common(),
        connection_namespace: None,
        max_retries: 1,
        retry: None,
        timeout: Duration::from_secs(300),
        connection_timeout: Duration::from_secs(60),
        on_timeout: OnTimeout {
            class: job::FaultClass::Job,
            skip: false,
        },
        url: None,
        step: Step::Group,
        children,
    }
}

pub(super) fn plan() -> Plan {
    let login = action(
        "2.2",
        "auto-login-action",
        vec![action("2.2.1", "login-action", Vec::new())],
    );
    Plan {
        actions: vec![
            action(
                "1",
                "tmpfs-deploy",
                vec![
                    action("1.1", "http-download", Vec::new()),
                    action("1.2", "http-download", Vec::new()),
                ],
            ),
            action(
                "2",
                "boot-qemu",
                vec![action("2.1", "execute-qemu", Vec::new()), login],
            ),
            action(
                "3",
                "lava-test-retry",
                vec![action("3.1", "lava-test-shell", Vec::new())],
            ),
            action("4", "finalize", Vec::new()),
        ],
        timeout: Duration::from_secs(1200),
        problems: Vec::new(),
    }
}

pub(super) fn header() -> Header {
    Header {
        format: 1,
        version: "0".to_owned(),
        job_id: job::JobId::new("7"),
        job_name: "smoke \x1b]0;evil\x07".to_owned(),
        device: "board-01".to_owned(),
        device_type: "board".to_owned(),
        started_unix_micros: 0,
    }
}

struct Story {
    model: Model,
    began: Instant,
    events: Vec<String>,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "records are made for the call"
)]
impl Story {
    fn new() -> Self {
        let began = Instant::now();
        Self {
            model: Model::new(&plan(), &header(), THEME, began),
            began,
            events: Vec::new(),
        }
    }

    fn at(&mut self, seconds: u64, record: Record) {
        let now = self.began + Duration::from_secs(seconds);
        if let Some(event) = self.model.record(&record, now) {
            self.events.push(view::event(&event, THEME));
        }
    }

    fn starts(&mut self, seconds: u64, level: &str, name: &str, allowed: u64) {
        self.at(
            seconds,
            Record::ActionStart {
                level: Level::new(level),
                name: name.to_owned(),
                namespace: Namespace::common(),
                timeout: Duration::from_secs(allowed),
            },
        );
    }

    fn ends(&mut self, seconds: u64, level: &str, name: &str, took: u64) {
        self.at(
            seconds,
            Record::ActionEnd {
                level: Level::new(level),
                name: name.to_owned(),
                namespace: Namespace::common(),
                duration: Duration::from_secs(took),
                ok: true,
            },
        );
    }

    fn progress(&mut self, seconds: u64, level: &str, label: &str, done: u64, total: Option<u64>) {
        self.at(
            seconds,
            Record::Progress {
                level: Level::new(level),
                label: label.to_owned(),
                done,
                total,
            },
        );
    }

    fn result(&mut self, seconds: u64, case: &str, result: TestResult) {
        self.at(
            seconds,
            Record::Result(CaseResult {
                definition: "0_smoke".to_owned(),
                case: case.to_owned(),
                result,
                ..CaseResult::default()
            }),
        );
    }

    fn view(&self, seconds: u64, rows: usize, columns: usize) -> String {
        let view = View {
            theme: THEME,
            size: Size { rows, columns },
            now: self.began + Duration::from_secs(seconds),
            turn: 2,
        };
        view.rows(&self.model).join("\n")
    }
}

fn downloading() -> Story {
    let mut story = Story::new();
    story.starts(0, "1", "tmpfs-deploy", 300);
    story.starts(0, "1.1", "http-download", 120);
    story.progress(1, "1.1", "kernel", 0, Some(27_000_000));
    story.progress(1, "1.2", "ramdisk", 0, None);
    story.progress(5, "1.1", "kernel", 12_300_000, Some(27_000_000));
    story.progress(5, "1.2", "ramdisk", 4_000_000, None);
    story
}

fn testing() -> Story {
    let mut story = downloading();
    story.ends(7, "1.1", "http-download", 7);
    story.ends(7, "1", "tmpfs-deploy", 7);
    story.starts(7, "2", "boot-qemu", 300);
    story.ends(20, "2", "boot-qemu", 13);
    story.starts(20, "3", "lava-test-retry", 300);
    story.starts(20, "3.1", "lava-test-shell", 299);
    story
        .model
        .say("Sending line: '/lava-7/bin/lava-test-runner /lava-7/0'");
    story.result(21, "boots", TestResult::Pass);
    story.result(22, "network", TestResult::Fail);
    story.result(23, "sound", TestResult::Skip);
    story
}

#[test]
fn downloads_have_bars() {
    insta::assert_snapshot!(downloading().view(5, 24, 80));
}

#[test]
fn tests_are_counted_and_the_last_ones_named() {
    let story = testing();
    insta::assert_snapshot!(format!(
        "{}\n\n{}",
        story.events.join("\n"),
        story.view(270, 24, 80)
    ));
}

#[test]
fn a_small_window_shows_what_matters_most() {
    let story = testing();
    let views = [(24, 60), (10, 60), (6, 40), (2, 20)];
    let views = views
        .map(|(rows, columns)| format!("{rows} x {columns}\n{}", story.view(24, rows, columns)));
    insta::assert_snapshot!(views.join("\n\n"));
}

#[test]
fn no_window_is_too_small_and_no_row_too_wide() {
    for story in [Story::new(), downloading(), testing()] {
        for rows in 0..30 {
            for columns in 0..90 {
                let view = story.view(400, rows, columns);
                assert!(
                    view.lines().count() <= (rows / 2).max(1),
                    "{rows}x{columns}:\n{view}"
                );
                let widest = view.lines().map(super::super::text::columns).max();
                assert!(widest.unwrap_or(0) <= columns, "{rows}x{columns}:\n{view}");
            }
        }
    }
}

#[test]
fn the_prompts_that_are_waited_for_are_named() {
    let mut story = Story::new();
    story.starts(0, "2", "boot-qemu", 300);
    story.starts(0, "2.2", "auto-login-action", 120);
    let model = &mut story.model;
    model.say("Parsing kernel messages");
    model.say(
        "auto-login-action: Wait for prompt ['Linux version [0-9]', 'root@debian:~#', 'login:', \
         'Login incorrect'] (timeout 00:02:00)",
    );
    model.say("Waiting using forced prompt support (timeout 00:01:00)");
    let waiting = story.view(61, 24, 80);
    story.model.say("Matched prompt #2: login:");
    let matched = story.view(62, 24, 80);
    insta::assert_snapshot!(format!("{waiting}\n\n{matched}"));
}

#[test]
fn a_retry_is_told_and_counted() {
    let mut story = Story::new();
    story.starts(0, "2", "boot-qemu", 300);
    story.at(
        60,
        Record::ActionRetry {
            level: Level::new("2"),
            name: "boot-qemu".to_owned(),
            attempt: 1,
            attempts: 3,
            reason: "no prompt".to_owned(),
        },
    );
    assert_eq!(
        story.events,
        ["▌ ! 2 boot-qemu: attempt 1 of 3 failed  no prompt"]
    );
    assert!(
        story
            .view(61, 24, 80)
            .contains("2 boot-qemu  0/2  attempt 2 of 3")
    );
}

#[test]
fn what_is_shown_of_a_job_cannot_control_the_terminal() {
    let view = Story::new().view(0, 24, 80);
    assert!(
        view.starts_with("── job 7 · smoke \u{fffd}]0;evil\u{fffd} · board-01 ─"),
        "{view}"
    );
}
