//! What every test of downloads needs: a directory, quick options, and what was told.

use dispatcher::download::{CacheOptions, Downloader, DownloaderOptions, Fetched, Progress};
use job::{Fault, FaultClass};
use plan::step::{Checksums, Download};
use sha2::Digest;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// Longer than any test takes; a download that hangs ends with it.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Lab {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) options: DownloaderOptions,
}

impl Lab {
    /// Without a cache.
    pub(crate) fn new() -> Self {
        let options = DownloaderOptions {
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(5),
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(4),
            proxy_from_environment: false,
            ..DownloaderOptions::default()
        };
        Self {
            directory: tempfile::tempdir().unwrap(),
            options,
        }
    }

    pub(crate) fn with_cache() -> Self {
        let mut lab = Self::new();
        let directory = lab.directory.path().join("cache");
        lab.options.cache = Some(CacheOptions {
            directory,
            max_bytes: 1 << 30,
        });
        lab
    }

    pub(crate) fn downloader(&self) -> Downloader {
        Downloader::new(self.options.clone())
    }

    /// The directory of the deploy.
    pub(crate) fn deploy(&self) -> PathBuf {
        self.directory.path().join("deploy")
    }

    pub(crate) async fn fetch(&self, download: &Download) -> Result<Fetched, Fault> {
        self.fetch_told(download).await.0
    }

    /// Fetches with a new downloader, as another job does, and says what was told.
    pub(crate) async fn fetch_told(
        &self,
        download: &Download,
    ) -> (Result<Fetched, Fault>, Vec<Progress>) {
        let mut told = Vec::new();
        let downloader = self.downloader();
        let result = downloader
            .fetch(download, &self.deploy(), in_time(), &mut |progress| {
                told.push(progress)
            })
            .await;
        (result, told)
    }

    /// Fetches what is known to be there, and its contents.
    pub(crate) async fn bytes(&self, download: &Download) -> Vec<u8> {
        let fetched = self
            .fetch(download)
            .await
            .unwrap_or_else(|fault| panic!("{fault:?}"));
        read(&fetched.path)
    }

    /// Fetches what is known to fail with this class, asserts that nothing is left, and returns
    /// the message.
    pub(crate) async fn fault(&self, download: &Download, class: FaultClass) -> Fault {
        let fault = self
            .fetch(download)
            .await
            .expect_err("this cannot be fetched");
        assert_eq!(fault.class, class, "{fault:?}");
        self.assert_nothing_left();
        fault
    }

    /// Asserts that the deploy's directory holds no file at all.
    pub(crate) fn assert_nothing_left(&self) {
        let files = files(&self.deploy());
        assert!(files.is_empty(), "left behind: {files:?}");
    }
}

pub(crate) fn in_time() -> Instant {
    Instant::now() + PATIENCE
}

/// All files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(directory) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs_err::read(path).unwrap()
}

/// A download of `kernel` with nothing special about it.
pub(crate) fn kernel(url: impl Into<String>) -> Download {
    Download {
        label: "kernel".into(),
        url: url.into(),
        directory: Some("kernel".into()),
        compression: None,
        decompress: true,
        unpack_tar: false,
        checksums: Checksums::default(),
        headers: Default::default(),
        use_cache: true,
    }
}

pub(crate) fn compressed(url: impl Into<String>, compression: &str) -> Download {
    Download {
        compression: Some(compression.into()),
        ..kernel(url)
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Bytes that neither compress nor repeat, always the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

pub(crate) fn retries(told: &[Progress]) -> usize {
    told.iter()
        .filter(|progress| matches!(progress, Progress::Retrying { .. }))
        .count()
}

/// Pipes bytes through a program; `None` when it is not installed.
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its fixture with the real tool"
)]
pub(crate) fn through(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    use std::{io::Write, process};
    let mut child = process::Command::new(program)
        .args(arguments)
        .stdin(process::Stdio::piped())
        .stdout(process::Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} failed");
    Some(output.stdout)
}

/// Runs one test of this program again, through other programs and with other variables; `None`
/// when they are not installed or not allowed.
#[expect(
    clippy::disallowed_methods,
    reason = "a test that needs a process of its own"
)]
pub(crate) fn again(test: &str, prefix: &[&str], variables: &[(&str, &Path)]) -> Option<()> {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    let words: Vec<_> = prefix
        .iter()
        .copied()
        .chain([program, "--exact", test])
        .collect();
    let mut command = std::process::Command::new(words[0]);
    command
        .args(&words[1..])
        .args(["--nocapture", "--test-threads=1"]);
    command.envs(variables.iter().copied());
    if let [first, others @ ..] = prefix {
        let mut probe = std::process::Command::new(first);
        probe.args(others).arg("true");
        let allowed = probe.envs(variables.iter().copied()).output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            return None;
        }
    }
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test} as its own process: {text}");
    Some(())
}
