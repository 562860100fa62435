use super::*;
use hal::console::{Console, ConsoleExt, EpochCounter, TcpConsole};
use tokio::{
    fs::OpenOptions,
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::Instant,
};

const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

async fn tcp(cable: &Cable) -> TcpConsole {
    let address = cable.tcp().to_string();
    let console = TcpConsole::connect(&address, EpochCounter::default(), Instant::now() + SOON);
    console.await.unwrap()
}

async fn seen(console: &mut impl Console, length: usize) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 4096]);
    while all.len() < length {
        let chunk = soon(console.read(&mut buffer)).await.unwrap();
        assert!(!chunk.is_end(), "closed after {}", all.len());
        all.extend_from_slice(&buffer[..chunk.length]);
    }
    all
}

/// Sends `bytes` and gives the board back once they were all taken.
async fn board_prints(cable: &Cable, bytes: &[u8]) -> UnixStream {
    let mut board = UnixStream::connect(cable.socket()).await.unwrap();
    soon(board.write_all(bytes)).await.unwrap();
    board
}

#[tokio::test]
async fn a_reader_outlives_boards_and_gets_every_byte() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let mut console = tcp(&cable).await;
    for life in 0..5_u8 {
        let flood: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8 ^ life).collect();
        let writing = async {
            let mut board = UnixStream::connect(cable.socket()).await.unwrap();
            board.write_all(&flood).await.unwrap();
        };
        let (read, ()) = tokio::join!(seen(&mut console, flood.len()), writing);
        assert!(read == flood, "life {life}");
    }
}

#[tokio::test]
async fn the_adapter_is_a_terminal_whose_reader_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let mut adapter = soon(OpenOptions::new().read(true).open(cable.link()))
        .await
        .unwrap();
    let flood: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
    let writing = async { board_prints(&cable, &flood).await };
    let mut read = vec![0; flood.len()];
    let (result, _board) = tokio::join!(soon(adapter.read_exact(&mut read)), writing);
    result.unwrap();
    assert!(read == flood);
}

#[tokio::test]
async fn without_a_reader_the_board_runs_on_and_the_newest_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let flood: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut board = board_prints(&cable, &flood).await;
    board.shutdown().await.unwrap();
    // The next board is read only once the first was read to its end.
    let _next = board_prints(&cable, b"next board").await;
    let mut console = tcp(&cable).await;
    let end = seen(&mut console, hub::BACKLOG).await;
    assert!(end.ends_with(b"next board"));
    assert!(flood.ends_with(&end[..end.len() - b"next board".len()]));
}

#[tokio::test]
async fn typing_reaches_the_board_and_nobody_when_it_is_off() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let mut console = tcp(&cable).await;
    let mut board = board_prints(&cable, b"=> ").await;
    seen(&mut console, 3).await;
    let deadline = Instant::now() + SOON;
    console.write_all(b"version\n", deadline).await.unwrap();
    let mut typed = [0; 8];
    soon(board.read_exact(&mut typed)).await.unwrap();
    assert_eq!(&typed, b"version\n");
}

#[tokio::test]
async fn a_broken_wire_carries_nothing_until_it_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let mut console = tcp(&cable).await;
    let mut board = board_prints(&cable, b"one ").await;
    assert_eq!(seen(&mut console, 4).await, b"one ");
    cable.set_intact(false);
    board.write_all(&[b'x'; 200_000]).await.unwrap();
    board.shutdown().await.unwrap();
    assert_eq!(
        board.read(&mut [0; 1]).await.unwrap(),
        0,
        "it was read to its end"
    );
    cable.set_intact(true);
    let _board = board_prints(&cable, b"two").await;
    assert_eq!(seen(&mut console, 3).await, b"two");
}

#[tokio::test]
async fn a_pulled_adapter_ends_its_reader_and_comes_back_under_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let cable = Cable::lay(directory.path()).await.unwrap();
    let mut adapter = OpenOptions::new()
        .read(true)
        .open(cable.link())
        .await
        .unwrap();
    cable.set_plugged(false).await.unwrap();
    assert!(!cable.link().exists() && !cable.is_plugged());
    // The kernel says EIO or the end, depending on who is first.
    let end = soon(adapter.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    cable.set_plugged(true).await.unwrap();
    let mut adapter = OpenOptions::new()
        .read(true)
        .open(cable.link())
        .await
        .unwrap();
    let _board = board_prints(&cable, b"=> ").await;
    let mut read = [0; 3];
    soon(adapter.read_exact(&mut read)).await.unwrap();
    assert_eq!(&read, b"=> ");
}
