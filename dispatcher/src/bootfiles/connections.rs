//! Clients that come by TCP: accepted up to a limit, each served by a task of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

/// How long to leave a listener alone that cannot accept: no file descriptors are left, mostly.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Accepts for ever and serves each connection; beyond `limit` of them clients wait to be accepted.
/// Dropping the future ends all connections.
pub(super) async fn serve<F>(
    listener: TcpListener,
    limit: usize,
    connection: impl Fn(TcpStream, SocketAddr) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(limit));
    let mut tasks = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            return Ok(());
        };
        while tasks.try_join_next().is_some() {}
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            }
        };
        // Answers are whole; a delay to collect more of them only costs time.
        let _ = stream.set_nodelay(true);
        keep_alive(&stream);
        let serving = connection(stream, client);
        tasks.spawn(async move {
            serving.await;
            drop(permit);
        });
    }
}

/// A board whose power was cut says no goodbye: the system asks whether it is still there, and
/// within a minute its connection is free again.
fn keep_alive(stream: &TcpStream) {
    use rustix::net::sockopt;
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(30));
    let _ = sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10));
    let _ = sockopt::set_tcp_keepcnt(stream, 3);
}
