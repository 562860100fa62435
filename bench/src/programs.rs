//! The programs that are measured.

use crate::{Arguments, Problem, note};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The programs.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) pumice: PathBuf,
    pub(crate) rack: PathBuf,
    /// LAVA's runner with its version, where it can be run.
    pub(crate) lava: Option<Lava>,
}

/// An installed LAVA.
#[derive(Debug)]
pub(crate) struct Lava {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

impl Programs {
    /// Finds the programs; builds ours unless they are given.
    pub(crate) fn find(arguments: &Arguments) -> Result<Self, Problem> {
        let built = match (&arguments.pumice, &arguments.rack) {
            (Some(_), Some(_)) => Vec::new(),
            _ => build()?,
        };
        let ours = |given: &Option<PathBuf>, name: &str| match given {
            Some(path) => {
                fs_err::canonicalize(path).map_err(|error| Problem::new(error.to_string()))
            }
            None => built
                .iter()
                .find(|path| path.ends_with(name))
                .cloned()
                .ok_or_else(|| Problem::new(format!("cargo did not tell where it put {name}"))),
        };
        Ok(Self {
            pumice: ours(&arguments.pumice, "pumice")?,
            rack: ours(&arguments.rack, "rack")?,
            lava: if arguments.no_lava { None } else { lava() },
        })
    }
}

/// Builds the release programs. Gives the paths of all that were built.
#[expect(clippy::disallowed_methods, reason = "cargo needs no supervision")]
fn build() -> Result<Vec<PathBuf>, Problem> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "pumice",
            "-p",
            "rack",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stderr(Stdio::inherit())
        .output()
        .map_err(Problem::while_doing("run cargo"))?;
    if !output.status.success() {
        return Err(Problem::new("the programs to measure cannot be built"));
    }
    let messages = output.stdout.split(|byte| *byte == b'\n');
    Ok(messages
        .filter_map(|line| serde_json::from_slice::<Message>(line).ok()?.executable)
        .collect())
}

/// LAVA's runner. Says loudly when there is none: its columns are then the recorded ones alone.
fn lava() -> Option<Lava> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path)
        .map(|directory| directory.join("lava-run"))
        .find(|program| program.is_file());
    let Some(program) = program else {
        note(
            "SKIPPED: lava-run is not installed (Debian: apt-get install --no-install-recommends lava-dispatcher)",
        );
        return None;
    };
    if !rustix::process::geteuid().is_root() {
        note("SKIPPED: lava-run needs root");
        return None;
    }
    Some(Lava {
        version: debian_version().unwrap_or_else(|| "of unknown version".to_owned()),
        program,
    })
}

#[expect(clippy::disallowed_methods, reason = "dpkg-query needs no supervision")]
fn debian_version() -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Version}", "lava-dispatcher"])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !version.is_empty()).then_some(version)
}
