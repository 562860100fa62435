//! Consoles by ssh, against a real sshd on the loopback.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind,
    console::{Console, ConsoleExt, ConsoleTarget, EpochCounter},
    process::{Command, CommandLine, Running},
};
use std::path::PathBuf;
use support::{
    peers::{self, free_port, wait_for_port},
    read_to_end, read_until, soon,
};

/// An sshd with keys of its own.
struct Server {
    directory: tempfile::TempDir,
    port: u16,
    user: String,
    sshd: Option<Running>,
}

impl Server {
    async fn start() -> Option<Self> {
        if !["sshd", "ssh", "ssh-keygen"]
            .iter()
            .all(|program| peers::have(program))
        {
            return None;
        }
        // Built into Debian's sshd; the package's service makes it at boot.
        if rustix::process::geteuid().is_root() {
            fs_err::create_dir_all("/run/sshd").unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let id = Command::new(CommandLine::new("id").arg("-un"))
            .output(soon())
            .await
            .unwrap();
        let mut server = Self {
            port: free_port(),
            user: String::from_utf8(id.stdout).unwrap().trim().to_owned(),
            directory,
            sshd: None,
        };
        for key in ["host", "user"] {
            let line = CommandLine::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(server.path(key));
            assert!(
                Command::new(line)
                    .run(soon(), |_| {})
                    .await
                    .unwrap()
                    .success()
            );
        }
        fs_err::copy(server.path("user.pub"), server.path("authorized")).unwrap();
        let public = fs_err::read_to_string(server.path("host.pub")).unwrap();
        let key = public.rsplit_once(' ').unwrap().0;
        let known = format!("[127.0.0.1]:{} {key}\n", server.port);
        fs_err::write(server.path("known hosts"), known).unwrap();
        server.run().await;
        Some(server)
    }

    async fn run(&mut self) {
        let path = |name| self.path(name).display().to_string();
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile {}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nPrintMotd no\n",
            self.port,
            path("host"),
            path("authorized"),
            path("pid"),
        );
        fs_err::write(self.path("config"), config).unwrap();
        // sshd starts itself again by its full path.
        let sshd = hal::process::find_program("sshd".as_ref(), None, None).unwrap();
        let line = CommandLine::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(self.path("config"));
        self.sshd = Some(peers::start(line, &self.path("log")));
        wait_for_port(self.port).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn open(&self, options: &str) -> Box<dyn Console> {
        let directory = self.directory.path().display();
        let address = format!(
            "ssh://{}@127.0.0.1:{}?identity={directory}/user&{options}",
            self.user, self.port
        );
        let target: ConsoleTarget = address.parse().unwrap();
        target.open(EpochCounter::default(), soon()).await.unwrap()
    }

    fn known(&self) -> String {
        format!(
            "known-hosts={}/known hosts",
            self.directory.path().display()
        )
    }
}

#[tokio::test]
async fn a_command_of_the_other_side_is_the_console() {
    let Some(server) = Server::start().await else {
        return;
    };
    let command = "command=stty raw -echo; echo ready; exec head -c 7";
    let mut console = server.open(&format!("{}&{command}", server.known())).await;
    read_until(&mut *console, "ready").await;
    // A tilde at the beginning of a line is typed, not ssh's escape.
    console.write_all(b"\r~.\x03\xff\0~", soon()).await.unwrap();
    let rest = read_to_end(&mut *console).await;
    let expected = b"\r~.\x03\xff\0~";
    assert!(
        rest.windows(expected.len())
            .any(|window| window == expected),
        "{rest:?}"
    );
    let reason = console.end_reason().await.unwrap();
    assert!(reason.ends_with("exit status 0"), "{reason}");
}

#[tokio::test]
async fn an_unknown_host_is_refused_unless_told_otherwise() {
    let Some(server) = Server::start().await else {
        return;
    };
    let empty = format!(
        "known-hosts={}/empty&command=echo hello",
        server.directory.path().display()
    );
    let mut console = server.open(&empty).await;
    let printed = String::from_utf8(read_to_end(&mut *console).await).unwrap();
    assert!(
        printed.contains("Host key verification failed"),
        "{printed}"
    );
    let reason = console.end_reason().await.unwrap();
    assert!(reason.ends_with("exit status 255"), "{reason}");
    for check in ["accept-new", "off"] {
        let mut console = server.open(&format!("{empty}&host-key={check}")).await;
        read_until(&mut *console, "hello").await;
    }
    // Written down by accept-new.
    let mut console = server.open(&empty).await;
    read_until(&mut *console, "hello").await;
}

#[tokio::test]
async fn a_server_that_goes_away_closes_the_console() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let command = "command=echo up; exec cat";
    let mut console = server.open(&format!("{}&{command}", server.known())).await;
    read_until(&mut *console, "up").await;
    // The session's own process lives in a session of its own: end the connection by asking it.
    let pid = fs_err::read_to_string(server.path("pid")).unwrap();
    server.sshd = None;
    assert!(!pid.trim().is_empty());
    console
        .close(std::time::Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(
        console.write(b"x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    // Nobody listens any more: the failure is ssh's output and its status.
    let mut console = server.open(&format!("{}&{command}", server.known())).await;
    let printed = String::from_utf8(read_to_end(&mut *console).await).unwrap();
    assert!(printed.contains("Connection refused"), "{printed}");
    assert!(
        console
            .end_reason()
            .await
            .unwrap()
            .ends_with("exit status 255")
    );
}
