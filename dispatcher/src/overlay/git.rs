//! Test definitions out of git repositories, by calling `git`.
//!
//! The URL, the branch and what is in the repository are hostile: nothing of it becomes an
//! option, no transport runs commands of its choice, and nothing waits for a person.

use super::{
    Note,
    commands::{CommandOutput, RunCommand},
    definition::GitRepository,
    files::{io_fault, relative},
};
use fs_err as fs;
use job::Fault;
use plan::step::DefinitionSource;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::Instant;

/// LAVA 2026.07 tries six times, five seconds apart.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_secs(5);

/// Settings that keep a hostile URL or repository from running anything.
const SETTINGS: &[&str] = &[
    "protocol.allow=never",
    "protocol.http.allow=always",
    "protocol.https.allow=always",
    "protocol.git.allow=always",
    "protocol.ssh.allow=always",
    // Those a job names, not those a repository names as its submodules.
    "protocol.file.allow=user",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "advice.detachedHead=false",
];

/// What to check out where.
pub(super) struct Checkout {
    url: String,
    branch: Option<String>,
    revision: Option<String>,
    history: bool,
    recursive: bool,
    shallow: bool,
    directory: PathBuf,
}

impl Checkout {
    /// A test definition; `source` is one from git.
    pub(super) fn of_source(source: &DefinitionSource, directory: &Path) -> Self {
        let mut checkout = Self {
            url: String::new(),
            branch: None,
            revision: None,
            history: true,
            recursive: false,
            shallow: true,
            directory: directory.to_owned(),
        };
        if let DefinitionSource::Git {
            repository,
            branch,
            revision,
            history,
            recursive,
            shallow,
        } = source
        {
            checkout.url.clone_from(repository);
            checkout.branch.clone_from(branch);
            checkout.revision.clone_from(revision);
            checkout.history = *history;
            checkout.recursive = *recursive;
            checkout.shallow = *shallow;
        }
        checkout
    }

    /// A repository that a definition wants beside its test.
    pub(super) fn of_repository(
        repository: &GitRepository,
        directory: &Path,
    ) -> Result<Self, Fault> {
        let destination = relative(&repository.destination, "the destination")?;
        let mut place = directory.to_owned();
        for part in &destination {
            // The test's own repository may hold links.
            if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
                return Err(Fault::job(format!(
                    "the destination {:?} of a repository leads through a link",
                    repository.destination
                )));
            }
            place.push(part);
        }
        Ok(Self {
            url: repository.url.clone(),
            branch: repository.branch.clone(),
            revision: None,
            history: true,
            recursive: false,
            shallow: true,
            directory: place,
        })
    }

    fn check(&self) -> Result<(), Fault> {
        let texts = [
            ("repository", Some(&self.url)),
            ("branch", self.branch.as_ref()),
            ("revision", self.revision.as_ref()),
        ];
        for (what, text) in texts {
            let Some(text) = text else { continue };
            if text.is_empty() || text.starts_with('-') || text.contains(char::is_control) {
                return Err(Fault::job(format!("{text:?} cannot be a {what} of git")));
            }
        }
        Ok(())
    }

    fn clone_arguments(&self, shallow: bool) -> Vec<String> {
        let mut arguments = vec!["clone".to_owned()];
        if let Some(branch) = &self.branch {
            arguments.extend(["-b".to_owned(), branch.clone()]);
        }
        if shallow {
            arguments.push("--depth=1".to_owned());
        }
        arguments.push("--".to_owned());
        arguments.push(self.url.clone());
        arguments.push(self.directory.display().to_string());
        arguments
    }
}

/// Clones and checks out; returns the commit.
pub(super) async fn fetch(
    checkout: &Checkout,
    runner: &impl RunCommand,
    deadline: Instant,
    notes: &mut Vec<Note>,
) -> Result<String, Fault> {
    checkout.check()?;
    let mut git = Git {
        checkout,
        runner,
        deadline,
        notes,
    };
    git.clone_repository().await?;
    if let Some(revision) = &checkout.revision {
        git.check_out(revision).await?;
    }
    if checkout.recursive {
        let update = ["submodule", "update", "--init", "--recursive"];
        git.inside_with_retries(&update).await?;
    }
    let commit = git.inside(&["rev-parse", "HEAD"]).await?;
    if !commit.success {
        return Err(git.fault("the repository has no commit", &commit));
    }
    if !checkout.history {
        remove(&checkout.directory.join(".git"))?;
    }
    Ok(commit.stdout.trim().to_owned())
}

/// Removes a directory with all that is in it, if it is there.
pub(super) fn remove(directory: &Path) -> Result<(), Fault> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_fault(&error)),
        _ => Ok(()),
    }
}

struct Git<'a, R> {
    checkout: &'a Checkout,
    runner: &'a R,
    deadline: Instant,
    notes: &'a mut Vec<Note>,
}

impl<R: RunCommand> Git<'_, R> {
    async fn clone_repository(&mut self) -> Result<(), Fault> {
        let shallow = self.checkout.shallow;
        let output = self
            .with_retries(&self.checkout.clone_arguments(shallow))
            .await?;
        if output.success {
            return Ok(());
        }
        // Servers that only hand out files cannot make a shallow copy.
        if shallow && output.stderr.contains("shallow") {
            self.notes.push(Note::debug(
                "The server has no shallow copies, fetching the whole history",
            ));
            let output = self
                .with_retries(&self.checkout.clone_arguments(false))
                .await?;
            if output.success {
                return Ok(());
            }
            return Err(self.fault("cannot be cloned", &output));
        }
        Err(self.fault("cannot be cloned", &output))
    }

    async fn check_out(&mut self, revision: &str) -> Result<(), Fault> {
        let check_out = ["checkout", "--detach", revision, "--"];
        let first = self.inside(&check_out).await?;
        if first.success {
            return Ok(());
        }
        if !self.checkout.shallow {
            return Err(self.fault(&format!("has no revision {revision:?}"), &first));
        }
        // A shallow copy rarely has it: ask for just that commit, or else for everything.
        let one = ["fetch", "--depth=1", "origin", revision];
        if self.inside_with_retries_quietly(&one).await?.success {
            let fetched = ["checkout", "--detach", "FETCH_HEAD", "--"];
            if self.inside(&fetched).await?.success {
                return Ok(());
            }
        }
        let everything = [
            "fetch",
            "--unshallow",
            "--tags",
            "origin",
            "+refs/heads/*:refs/remotes/origin/*",
        ];
        self.inside_with_retries(&everything).await?;
        let last = self.inside(&check_out).await?;
        if last.success {
            return Ok(());
        }
        Err(self.fault(&format!("has no revision {revision:?}"), &last))
    }

    /// Runs git in the checkout.
    async fn inside(&mut self, arguments: &[&str]) -> Result<CommandOutput, Fault> {
        self.once(&self.in_checkout(arguments)).await
    }

    async fn inside_with_retries_quietly(
        &mut self,
        arguments: &[&str],
    ) -> Result<CommandOutput, Fault> {
        self.with_retries(&self.in_checkout(arguments)).await
    }

    async fn inside_with_retries(&mut self, arguments: &[&str]) -> Result<(), Fault> {
        let output = self.inside_with_retries_quietly(arguments).await?;
        if output.success {
            return Ok(());
        }
        Err(self.fault(&format!("failed at 'git {}'", arguments.join(" ")), &output))
    }

    fn in_checkout(&self, arguments: &[&str]) -> Vec<String> {
        let directory = self.checkout.directory.display().to_string();
        let mut all = vec!["-C".to_owned(), directory];
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        all
    }

    /// Tries again when the network failed, while there is time.
    async fn with_retries(&mut self, arguments: &[String]) -> Result<CommandOutput, Fault> {
        let mut tried = 1;
        loop {
            if arguments.first().is_some_and(|first| first == "clone") {
                remove(&self.checkout.directory)?;
            }
            let output = self.once(arguments).await?;
            let pause_ends = Instant::now() + PAUSE;
            if output.success
                || !is_network_failure(&output.stderr)
                || tried == TRIES
                || pause_ends >= self.deadline
            {
                return Ok(output);
            }
            tried += 1;
            self.notes.push(Note::warning(format!(
                "git failed: {}; trying again ({tried} of {TRIES})",
                last_lines(&output.stderr)
            )));
            tokio::time::sleep_until(pause_ends).await;
        }
    }

    async fn once(&mut self, arguments: &[String]) -> Result<CommandOutput, Fault> {
        let mut all = vec!["git".to_owned()];
        for setting in SETTINGS {
            all.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        all.extend_from_slice(arguments);
        self.notes.push(Note::debug(format!(
            "Running 'git {}'",
            without_password(&arguments.join(" "))
        )));
        let environment = [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "true"),
            ("SSH_ASKPASS", "true"),
            // The messages are read by this program.
            ("LC_ALL", "C"),
        ];
        self.runner.run(&all, &environment, self.deadline).await
    }

    fn fault(&self, what: &str, output: &CommandOutput) -> Fault {
        let url = without_password(&self.checkout.url);
        let message = format!(
            "the git repository {url} {what}: {}",
            last_lines(&output.stderr)
        );
        let stderr = &output.stderr;
        if is_network_failure(stderr) {
            return Fault::infrastructure(message)
                .with_hint("check that this host reaches the server, and its proxy settings");
        }
        if stderr.contains("No space left on device") {
            return Fault::infrastructure(message)
                .with_hint("free space in the directory for temporary files of jobs");
        }
        if stderr.contains("dubious ownership") {
            return Fault::infrastructure(message).with_hint(
                "add the repository to safe.directory of this host's git configuration",
            );
        }
        Fault::job(message)
            .with_hint("check the repository, branch and revision of the test definition")
    }
}

/// Whether git failed for a reason that may be gone in a moment.
fn is_network_failure(stderr: &str) -> bool {
    const SIGNS: &[&str] = &[
        "Could not resolve host",
        "Temporary failure in name resolution",
        "Failed to connect",
        "Connection refused",
        "Connection reset",
        "Connection timed out",
        "Operation timed out",
        "Network is unreachable",
        "No route to host",
        "The requested URL returned error: 5",
        "The requested URL returned error: 429",
        "unexpected disconnect",
        "hung up unexpectedly",
        "early EOF",
        "RPC failed",
        "SSL_ERROR_SYSCALL",
        "Empty reply from server",
    ];
    SIGNS.iter().any(|sign| stderr.contains(sign))
        // What a server says when it refuses, and then hangs up, is no failure of the network.
        && !stderr.contains("not found")
        && !stderr.contains("does not appear to be a git repository")
        && !stderr.contains("dubious ownership")
}

/// What git says after each failure of a server, in two lines.
const ADVICE: &[&str] = &[
    "Please make sure you have the correct access rights",
    "and the repository exists.",
];

/// The end of what git complained about, in one line.
fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !ADVICE.contains(line))
        .collect();
    let from = lines.len().saturating_sub(3);
    let text = without_password(&lines[from..].join("; "));
    match text.char_indices().nth(500) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None if text.is_empty() => "git said nothing".to_owned(),
        None => text,
    }
}

/// `text` without what stands between `://` and `@` in URLs.
pub(super) fn without_password(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace())
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(user) => {
                out.push_str("[MASKED]@");
                &after[user + 1..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        assert_eq!(
            without_password("clone https://me:secret@example.org/a.git to ssh://git@host/b"),
            "clone https://[MASKED]@example.org/a.git to ssh://[MASKED]@host/b"
        );
        assert_eq!(without_password("file:///srv/a@b"), "file:///srv/a@b");
    }

    #[test]
    fn only_failures_of_the_network_are_tried_again() {
        assert!(is_network_failure(
            "fatal: unable to access 'https://x/': Could not resolve host: x"
        ));
        assert!(is_network_failure(
            "fatal: unable to access 'https://x/': The requested URL returned error: 503"
        ));
        assert!(!is_network_failure(
            "fatal: repository 'https://x/' not found"
        ));
        assert!(!is_network_failure(
            "fatal: Remote branch nope not found in upstream origin"
        ));
    }

    #[test]
    fn texts_that_git_would_take_for_options_are_refused() {
        let git = |url: &str, branch: Option<&str>| Checkout {
            url: url.to_owned(),
            branch: branch.map(str::to_owned),
            revision: None,
            history: true,
            recursive: false,
            shallow: true,
            directory: PathBuf::from("/nowhere"),
        };
        assert!(git("--upload-pack=reboot", None).check().is_err());
        assert!(git("https://x/a", Some("-u")).check().is_err());
        assert!(git("https://x/a\n", None).check().is_err());
        assert!(git("https://x/a", Some("main")).check().is_ok());
    }
}
