//! Consoles that vanish and come back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use async_trait::async_trait;
use hal::{
    ErrorKind, HalError,
    console::{
        Console, ConsoleExt, EpochCounter, LineSettings, Reopening, SerialConsole, StreamConsole,
        reopen::{Gap, Opener, ReopenEvent, ReopenTiming, Returned, TargetOpener},
    },
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{peers::Cable, read_until, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpListener,
    time::{Instant, timeout_at},
};

const QUICK: ReopenTiming = ReopenTiming {
    within: Duration::from_secs(20),
    pause: Duration::from_millis(5),
};

type Events = Arc<Mutex<Vec<ReopenEvent>>>;

async fn reopening(opener: Arc<dyn Opener>, timing: ReopenTiming) -> (Reopening, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let observer = Box::new(move |event| sink.lock().unwrap().push(event));
    let console = Reopening::open(opener, timing, EpochCounter::default(), observer, soon());
    (console.await.unwrap(), events)
}

fn target(address: &str) -> Arc<dyn Opener> {
    Arc::new(TargetOpener {
        target: address.parse().unwrap(),
        epoch: EpochCounter::default(),
    })
}

/// The only gap so far.
fn gap(events: &Events) -> Gap {
    match events.lock().unwrap().as_slice() {
        [ReopenEvent::Closed { at, .. }, ReopenEvent::Reopened(gap)] => {
            assert_eq!(*at, gap.closed_at);
            assert!(gap.reopened_at > gap.closed_at);
            gap.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_adapter_that_is_plugged_in_again_goes_on() {
    let Some(mut cable) = Cable::new().await else {
        return;
    };
    let address = format!("serial://{}?baud=9600", cable.one().display());
    let (mut console, events) = reopening(target(&address), QUICK).await;
    let board = |cable: &Cable| {
        let settings = LineSettings::default();
        SerialConsole::open(&cable.other(), &settings, EpochCounter::default()).unwrap()
    };
    board(&cable).write_all(b"before", soon()).await.unwrap();
    read_until(&mut console, "before").await;
    cable.unplug();
    let replug = async {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(40)).await;
        cable.plug("").await;
        let mut board = board(&cable);
        board.write_all(b"after", soon()).await.unwrap();
        board
    };
    let (seen, mut board) = tokio::join!(read_until(&mut console, "after"), replug);
    assert_eq!(seen, "after");
    let gap = gap(&events);
    assert!(gap.reason.ends_with("/one vanished"), "{gap:?}");
    assert_eq!(
        gap.returned,
        Returned::Unknown,
        "a pseudo-terminal has no identity"
    );
    console.write_all(b"typed", soon()).await.unwrap();
    read_until(&mut board, "typed").await;
}

#[tokio::test]
async fn a_server_that_restarts_goes_on_and_nothing_is_typed_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (mut console, events) = reopening(target(&format!("tcp://{at}")), QUICK).await;
    let (mut board, _) = listener.accept().await.unwrap();
    console.write_all(b"boot\n", soon()).await.unwrap();
    let mut typed = [0; 5];
    board.read_exact(&mut typed).await.unwrap();
    drop((board, listener));
    let mut buffer = [0; 64];
    // The gap begins when the reader sees it; what is typed into it is refused.
    let moment = Instant::now() + Duration::from_millis(30);
    assert!(timeout_at(moment, console.read(&mut buffer)).await.is_err());
    assert!(!console.is_open());
    let error = console.write(b"saveenv\n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(
        error.to_string().contains("closed the connection"),
        "{error}"
    );
    let restart = async {
        let listener = TcpListener::bind(at).await.unwrap();
        let (mut board, _) = listener.accept().await.unwrap();
        board.write_all(b"=> ").await.unwrap();
        board
    };
    let (seen, mut board) = tokio::join!(read_until(&mut console, "=> "), restart);
    assert_eq!(seen, "=> ");
    assert!(gap(&events).attempts > 1);
    console.write_all(b"go", soon()).await.unwrap();
    let mut got = [0; 2];
    board.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"go", "neither 'boot' nor 'saveenv' is typed again");
}

/// Opens what the test put in line.
#[derive(Default)]
struct Script {
    next: Mutex<VecDeque<Result<DuplexStream, ErrorKind>>>,
    identities: Mutex<VecDeque<Option<String>>>,
}

impl Script {
    fn add(&self, next: Result<DuplexStream, ErrorKind>) {
        self.next.lock().unwrap().push_back(next);
    }
}

#[async_trait]
impl Opener for Script {
    async fn open(&self, _: Instant) -> Result<Box<dyn Console>, HalError> {
        let next = self.next.lock().unwrap().pop_front();
        match next.unwrap_or(Err(ErrorKind::NotFound)) {
            Ok(stream) => Ok(Box::new(StreamConsole::new(
                stream,
                "ttyUSB0",
                EpochCounter::default(),
            ))),
            Err(kind) => Err(HalError::new(kind, "ttyUSB0", "there is no ttyUSB0")),
        }
    }

    fn name(&self) -> String {
        "ttyUSB0".to_owned()
    }

    fn identity(&self) -> Option<String> {
        self.identities.lock().unwrap().pop_front().flatten()
    }
}

/// A console that is open, its board's end, and the script that goes on.
async fn scripted(timing: ReopenTiming) -> (Reopening, DuplexStream, Arc<Script>, Events) {
    let script = Arc::new(Script::default());
    let (ours, board) = tokio::io::duplex(64);
    script.add(Ok(ours));
    let (console, events) = reopening(Arc::clone(&script) as Arc<dyn Opener>, timing).await;
    (console, board, script, events)
}

#[tokio::test(start_paused = true)]
async fn it_is_given_up_when_the_time_of_the_gap_is_over() {
    let timing = ReopenTiming::default();
    let (mut console, board, _script, events) = scripted(timing).await;
    drop(board);
    let begun = Instant::now();
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    assert_eq!(begun.elapsed(), timing.within);
    let reason = console.end_reason().await.unwrap();
    assert_eq!(
        reason,
        "ttyUSB0 closed the connection, and it did not come back: there is no ttyUSB0"
    );
    assert!(matches!(
        events.lock().unwrap().as_slice(),
        [_, ReopenEvent::GaveUp { .. }]
    ));
    // Closed stays closed.
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    assert_eq!(
        console.write(b"x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_is_kept_and_hopeless_errors_end_at_once() {
    let (mut console, board, _script, _) = scripted(ReopenTiming::default()).await;
    let deadline = Instant::now() + Duration::from_secs(3);
    console.set_deadline(Some(deadline));
    drop(board);
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    assert_eq!(Instant::now(), deadline);

    let (mut console, board, script, _) = scripted(ReopenTiming::default()).await;
    script.add(Err(ErrorKind::InvalidInput));
    drop(board);
    let begun = Instant::now();
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn another_device_in_its_place_is_told() {
    let script = Arc::new(Script::default());
    let identities = ["A1", "A1", "B2"].map(|serial| Some(serial.to_owned()));
    *script.identities.lock().unwrap() = identities.into();
    let mut boards = Vec::new();
    for _ in 0..3 {
        let (ours, mut board) = tokio::io::duplex(64);
        board.write_all(b"x").await.unwrap();
        script.add(Ok(ours));
        boards.push(board);
    }
    let (mut console, events) = reopening(script, ReopenTiming::default()).await;
    boards.reverse();
    while boards.len() > 1 {
        read_until(&mut console, "x").await;
        boards.pop();
    }
    read_until(&mut console, "x").await;
    let returned: Vec<_> = events
        .lock()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            ReopenEvent::Reopened(gap) => Some(gap.returned.clone()),
            _ => None,
        })
        .collect();
    let other = Returned::Other {
        before: "A1".to_owned(),
        after: "B2".to_owned(),
    };
    assert_eq!(returned, [Returned::Same, other]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_closes_does_not_keep_us_busy() {
    let timing = ReopenTiming::default();
    let (mut console, board, script, events) = scripted(timing).await;
    for _ in 0..10_000 {
        // Its other end is gone already.
        script.add(Ok(tokio::io::duplex(64).0));
    }
    drop(board);
    let begun = Instant::now();
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    // All those gaps are one: no byte came between them.
    assert!(begun.elapsed() <= timing.within, "{:?}", begun.elapsed());
    let most = 2 * timing.within.div_duration_f64(timing.pause) as usize + 2;
    assert!(events.lock().unwrap().len() <= most);
}

#[tokio::test]
async fn closing_ends_it_also_during_a_gap() {
    let (mut console, board, _script, _) = scripted(QUICK).await;
    drop(board);
    let moment = Instant::now() + Duration::from_millis(20);
    assert!(timeout_at(moment, console.read(&mut [0; 8])).await.is_err());
    console.close(Duration::ZERO).await.unwrap();
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
}
