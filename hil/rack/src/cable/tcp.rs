//! The console over TCP: raw bytes, to anybody on this machine.

use super::hub::Hub;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
};

/// More clients are turned away.
const CLIENTS: usize = 16;

/// Serves clients until it is dropped.
pub(super) async fn run(listener: TcpListener, hub: Arc<Hub>, typed: mpsc::Sender<Box<[u8]>>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if clients.len() < CLIENTS => {
                    clients.spawn(serve(client, Arc::clone(&hub), typed.clone()));
                }
                _ => crate::pause().await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve(mut client: TcpStream, hub: Arc<Hub>, typed: mpsc::Sender<Box<[u8]>>) {
    // Single characters must not wait for more; a client that is gone already needs nothing.
    let _ = client.set_nodelay(true);
    let (input, output) = client.split();
    tokio::select! {
        _ = read(input, &typed) => {}
        _ = print(output, &hub) => {}
    }
}

async fn read(mut input: ReadHalf<'_>, typed: &mpsc::Sender<Box<[u8]>>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let length = input.read(&mut buffer).await?;
        if length == 0 || typed.send(buffer[..length].into()).await.is_err() {
            return Ok(());
        }
    }
}

async fn print(mut output: WriteHalf<'_>, hub: &Hub) -> io::Result<()> {
    let mut feed = hub.attach();
    while let Some(piece) = feed.recv().await {
        output.write_all(&piece).await?;
    }
    Ok(())
}
