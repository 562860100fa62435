//! The board's end of the cable.

use super::hub::Hub;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf},
    sync::{mpsc, watch},
};

/// How much is taken from the board at a time.
pub(super) const PIECE: usize = 16 * 1024;

/// Takes the connections of boards, and counts them.
pub(super) async fn accept(
    listener: UnixListener,
    boards: mpsc::Sender<UnixStream>,
    counted: watch::Sender<u64>,
) {
    // It fails only for lack of descriptors; the board then tries again.
    loop {
        if let Ok((board, _)) = listener.accept().await {
            counted.send_modify(|count| *count += 1);
            if boards.send(board).await.is_err() {
                return;
            }
        } else {
            crate::pause().await;
        }
    }
}

/// Connects one board after the other to who has the adapter open.
pub(super) async fn run(
    mut boards: mpsc::Receiver<UnixStream>,
    mut typed: mpsc::Receiver<Box<[u8]>>,
    hub: Arc<Hub>,
    intact: watch::Receiver<bool>,
) {
    loop {
        let board = tokio::select! {
            board = boards.recv() => match board {
                Some(board) => board,
                None => return,
            },
            // A board without power does not listen.
            bytes = typed.recv() => match bytes {
                Some(_) => continue,
                None => return,
            },
        };
        let (output, input) = board.into_split();
        tokio::select! {
            // What a board that is switched off had printed still comes, to its end.
            _ = print(output, &hub, &intact) => {}
            () = listen(input, &mut typed, &intact) => return,
        }
    }
}

/// Passes on what the board prints, until it is gone.
async fn print(
    mut output: OwnedReadHalf,
    hub: &Hub,
    intact: &watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = output.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        if *intact.borrow() {
            hub.pass(&buffer[..length]).await;
        }
    }
}

/// Passes on what is typed. Returns only when nobody can type any more.
async fn listen(
    mut input: OwnedWriteHalf,
    typed: &mut mpsc::Receiver<Box<[u8]>>,
    intact: &watch::Receiver<bool>,
) {
    while let Some(bytes) = typed.recv().await {
        if *intact.borrow() {
            // If it fails the board is gone, which its output tells.
            let _ = input.write_all(&bytes).await;
        }
    }
}
