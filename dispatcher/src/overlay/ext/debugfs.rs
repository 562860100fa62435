//! Scripts for `debugfs`, and what it answers.

use super::{complaint, is_banner, run};
use crate::overlay::{RunCommand, files::write_fault};
use job::Fault;
use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// Commands, run in order by one process.
#[derive(Debug, Default)]
pub(super) struct Script {
    text: String,
}

/// What a path of an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stat {
    Missing,
    Directory,
    Link(PathBuf),
    Other,
}

impl Script {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Adds a command; paths are those of the image, without the leading slash.
    pub(super) fn command(&mut self, command: &str, words: &[Word<'_>]) -> Result<(), Fault> {
        self.text.push_str(command);
        for word in words {
            self.text.push(' ');
            match word {
                Word::Place(path) => self.text.push_str(&quoted(&rooted(path))?),
                Word::Text(text) => self.text.push_str(&quoted(text)?),
            }
        }
        self.text.push('\n');
        Ok(())
    }

    /// Sets a field of an inode.
    pub(super) fn set(&mut self, path: &Path, field: &str, value: &str) -> Result<(), Fault> {
        self.command(
            "set_inode_field",
            &[Word::Place(path), Word::Text(field), Word::Text(value)],
        )
    }

    /// Runs the script on an image, which it changes.
    ///
    /// `debugfs` succeeds even when commands fail, so that any complaint is a failure.
    pub(super) async fn write_to(
        &self,
        device: &str,
        scratch: &Path,
        runner: &impl RunCommand,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let output = self.run(&["-w"], device, scratch, runner, deadline).await?;
        let complained = output
            .stderr
            .lines()
            .any(|line| !line.trim().is_empty() && !is_banner(line.trim()));
        if output.success && !complained {
            return Ok(());
        }
        let message = format!("debugfs cannot change {device}: {}", complaint(&output));
        if output.stderr.contains("No space left on device") {
            return Err(Fault::infrastructure(message)
                .with_hint("free space in the directory for temporary files of jobs"));
        }
        Err(Fault::job(message)
            .with_hint("check that the image is an undamaged ext2, ext3 or ext4 file system"))
    }

    async fn run(
        &self,
        options: &[&str],
        device: &str,
        scratch: &Path,
        runner: &impl RunCommand,
        deadline: Instant,
    ) -> Result<crate::overlay::CommandOutput, Fault> {
        let mut file = tempfile::Builder::new()
            .prefix(".debugfs-")
            .tempfile_in(scratch)
            .map_err(|error| write_fault(scratch, &error))?;
        file.write_all(self.text.as_bytes())
            .map_err(|error| write_fault(file.path(), &error))?;
        let mut arguments: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        arguments.extend([
            "-f".to_owned(),
            file.path().display().to_string(),
            device.to_owned(),
        ]);
        run(runner, "debugfs", &arguments, deadline).await
    }
}

/// A word of a command.
pub(super) enum Word<'a> {
    /// A path of the image, without the leading slash.
    Place(&'a Path),
    Text(&'a str),
}

/// Asks what paths of an image are.
pub(super) async fn stat(
    paths: &[PathBuf],
    device: &str,
    scratch: &Path,
    runner: &impl RunCommand,
    deadline: Instant,
) -> Result<Vec<Stat>, Fault> {
    /// So many answers that they stay within what is gathered of a program's output.
    const AT_ONCE: usize = 50;
    let mut answers = Vec::new();
    for some in paths.chunks(AT_ONCE) {
        let mut script = Script::default();
        for path in some {
            // Links are shown, not followed; a dump of the text tells what the long ones say.
            script.command("stat", &[Word::Place(path)])?;
        }
        let output = script.run(&[], device, scratch, runner, deadline).await?;
        if !output.success || output.stderr.contains("Filesystem not open") {
            return Err(Fault::job(format!(
                "{device} cannot be read as an ext file system: {}",
                complaint(&output)
            ))
            .with_hint("check 'format' and 'partition' of the image"));
        }
        let mut parsed = parse(&output.stdout);
        parsed.resize(some.len(), Stat::Other);
        answers.extend(parsed);
    }
    Ok(answers)
}

/// Answers to `stat` commands. `debugfs -f` repeats each command, `debugfs: stat "/x"`, and tells
/// the answer below it; nothing there means that the path is missing.
fn parse(text: &str) -> Vec<Stat> {
    let mut answers = Vec::new();
    for line in text.lines() {
        if line.starts_with("debugfs: ") {
            answers.push(Stat::Missing);
            continue;
        }
        let Some(answer) = answers.last_mut() else {
            continue;
        };
        if line.starts_with("Inode: ") {
            *answer = match line.split_once("Type: ").map(|(_, rest)| rest) {
                Some(rest) if rest.starts_with("directory") => Stat::Directory,
                _ => Stat::Other,
            };
        } else if let Some(target) = line
            .strip_prefix("Fast link dest: \"")
            .and_then(|rest| rest.strip_suffix('"'))
        {
            *answer = Stat::Link(target.into());
        }
    }
    answers
}

fn rooted(path: &Path) -> String {
    format!("/{}", path.display())
}

/// A word in double quotes, as the command line of e2fsprogs has it.
fn quoted(text: &str) -> Result<String, Fault> {
    if text.contains(char::is_control) || text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Fault::job(format!(
            "a name of the overlay cannot be put into an ext file system: {text:?}"
        ))
        .with_hint("use names of plain letters"));
    }
    let mut out = String::new();
    let _ = write!(out, "\"{}\"", text.replace('"', "\"\""));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_between_the_commands() {
        let text = "debugfs: stat \"/usr\"\n\
            Inode: 12   Type: directory    Mode:  0755   Flags: 0x80000\n\
            debugfs: stat \"/none\"\n\
            debugfs: stat \"/lib\"\n\
            Inode: 13   Type: symlink    Mode:  0777   Flags: 0x0\n\
            Fast link dest: \"usr/lib\"\n\
            debugfs: stat \"/file\"\n\
            Inode: 14   Type: regular    Mode:  0644   Flags: 0x80000\n";
        assert_eq!(
            parse(text),
            [
                Stat::Directory,
                Stat::Missing,
                Stat::Link("usr/lib".into()),
                Stat::Other
            ]
        );
    }

    #[test]
    fn names_that_could_end_a_command_are_refused() {
        assert_eq!(quoted("a \"b\"").unwrap(), "\"a \"\"b\"\"\"");
        assert!(quoted("a\nrm b").is_err());
    }
}
