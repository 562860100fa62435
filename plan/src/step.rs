//! What an action has to do itself, as data.
//!
//! A step holds all that planning knows, so that the runner never looks into the job or the
//! device again. What only running reveals (file names of downloads, the connection, prompts in
//! force) is state of the runner.

pub mod netboot;
mod overlay;

pub use overlay::{DefinitionSource, HelperValues, LavaOverlay, ShellDefinition};

use job::Namespace;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What an action does itself, before its children.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing: it groups its children.
    Group,
    /// Nothing, now or on any device: LAVA has the action in its tree (`lava-multinode-overlay`
    /// of a job without MultiNode).
    Skip,
    /// Planned, but this version cannot run it: refused before anything is touched.
    Unsupported {
        /// What the user asked for, `deploy to: fastboot`.
        what: String,
    },

    // deploy: the overlay
    /// `lava-overlay`: directories, helpers, environment, secrets.
    LavaOverlay(Box<LavaOverlay>),
    /// `inline-repo-action`, `git-repo-action`, `url-repo-action`: fetch one test definition.
    FetchDefinition(Arc<ShellDefinition>),
    /// `test-overlay`: `testdef.yaml`, `uuid`, `testdef_metadata`.
    TestOverlay(Arc<ShellDefinition>),
    /// `test-install-overlay`: `install.sh`.
    TestInstall(Arc<ShellDefinition>),
    /// `test-runscript-overlay`: `run.sh`.
    TestRunScript(Arc<ShellDefinition>),
    /// `test-definition`: after its children, `lava-test-runner.conf` of each stage.
    TestDefinition,
    /// `compress-overlay`: the overlay as one archive.
    CompressOverlay,
    /// `deploy-device-env`: remember the variables that `export-device-env` types.
    DeployDeviceEnv {
        /// Name and value, in order.
        variables: Vec<(String, String)>,
    },

    // deploy: files
    /// `http-download`, `file-download` and the like.
    Download(Box<Download>),
    /// `append-overlays`: put overlays into a downloaded image.
    AppendOverlays(Box<AppendOverlays>),
    /// `apply-overlay-guest`: an ext2 image with the overlay, for QEMU.
    ApplyOverlayGuest {
        /// Size of the image in MiB.
        size_mib: u32,
        /// Whether an image of this deploy already carries the overlay, so that none is made.
        already_applied: bool,
    },

    /// `tftp-deploy`: its files go where boot loaders fetch them; after its children, none may be
    /// larger than this many bytes.
    TftpDeploy {
        /// The size that a boot loader can fetch.
        size_limit: u64,
    },
    /// `extract-overlay-ramdisk`: take the header off that the job says is there.
    ExtractRamdisk(netboot::Ramdisk),
    /// `extract-modules`: put the kernel's modules into the ramdisk.
    InstallModules {
        /// Whether they go into the ramdisk.
        ramdisk: bool,
    },
    /// `apply-overlay-tftp`: put the overlay where the booted system finds it.
    ApplyOverlayTftp {
        /// Whether it goes into the ramdisk.
        ramdisk: bool,
    },
    /// `uboot-prepare-kernel`.
    PrepareKernel(netboot::PrepareKernel),
    /// `compress-ramdisk`: write U-Boot's header before the ramdisk, where the device wants one.
    CompressRamdisk {
        /// The header.
        header: Option<netboot::ImageHeader>,
    },

    /// `nbd-deploy`: its files go where boot loaders fetch them.
    NbdDeploy,
    /// `xnbd-server-deploy`: serve the image as a network block device.
    NbdServer(netboot::NbdServer),

    // boot
    /// `bootloader-overlay`.
    BootloaderOverlay(Box<netboot::BootloaderOverlay>),
    /// `bootloader-interrupt`.
    BootloaderInterrupt(netboot::BootloaderInterrupt),
    /// `bootloader-commands`.
    BootloaderCommands(netboot::BootloaderCommands),
    /// `execute-qemu`.
    ExecuteQemu(Box<ExecuteQemu>),
    /// `connect-device`.
    ConnectDevice(ConnectDevice),
    /// `disconnect-device`: leave the console as its kind wants it.
    DisconnectDevice {
        /// Whether it is telnet's, ssh's or a shell's.
        kind: ConnectionKind,
    },
    /// `pdu-reboot`, `pre-power-command`, `pre-os-command`, `power-on`, `power-off`: commands of
    /// the device, run in order on this host; none is no fault.
    DeviceCommands(DeviceCommands),
    /// `send-reboot-commands`.
    SendRebootCommands {
        /// Typed one after the other.
        commands: Vec<String>,
        /// The message that proves it worked.
        shutdown_message: String,
    },
    /// `auto-login-action`: wait for the kernel to start.
    AutoLogin(Box<AutoLogin>),
    /// `login-action`: kernel messages, login prompt, login.
    Login(Box<AutoLogin>),
    /// `expect-shell-connection`.
    ExpectShell {
        /// The job's prompts.
        prompts: Vec<String>,
    },
    /// `export-device-env`: type the variables of `deploy-device-env`.
    ExportDeviceEnv {
        /// The file on the device that shells read.
        shell_file: String,
    },
    /// `overlay-unpack`.
    OverlayUnpack(TransferOverlay),

    // test
    /// `lava-test-shell`.
    TestShell(Box<TestShell>),
    /// `lava-test-interactive`.
    Interactive(Box<Interactive>),
    /// `lava-test-monitor`.
    Monitor(Box<Monitor>),

    // command
    /// `user-command`.
    UserCommand(UserCommand),

    // finalize
    /// `finalize`: its children, then all connections are closed.
    Finalize,
    /// `read-feedback`.
    ReadFeedback {
        /// How long to listen at most.
        wait: Duration,
        /// Whether the connections are closed afterwards.
        finalize: bool,
    },
}

/// One file to fetch.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// The key of the job that names it (`kernel`), by which others refer to it.
    pub label: String,
    /// Where it is.
    pub url: String,
    /// Directory below the deploy's own, `None` when the job asked for no directory of its own.
    pub directory: Option<String>,
    /// `gz`, `xz`, `bz2`, `zstd` or `zip`, as the job declares it.
    pub compression: Option<String>,
    /// Whether to decompress while fetching (`false` for ramdisks, which are booted compressed).
    pub decompress: bool,
    /// Whether it is a tar archive to unpack.
    pub unpack_tar: bool,
    /// Expected digests in hexadecimal.
    pub checksums: Checksums,
    /// Further request headers.
    pub headers: BTreeMap<String, String>,
    /// Whether a cache may answer.
    pub use_cache: bool,
}

/// Expected digests in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// MD5.
    pub md5: Option<String>,
    /// SHA-256.
    pub sha256: Option<String>,
    /// SHA-512.
    pub sha512: Option<String>,
}

/// Overlays to put into a downloaded image.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendOverlays {
    /// The label of the image.
    pub label: String,
    /// `cpio.newc`, `ext4` or `tar`.
    pub format: String,
    /// How the image is compressed.
    pub compression: Option<String>,
    /// The partition that holds the file system.
    pub partition: Option<u32>,
    /// Whether it is an Android sparse image.
    pub sparse: bool,
    /// What to put in, in order.
    pub overlays: Vec<OverlaySource>,
}

/// Something to put into an image.
#[derive(Clone, Debug, PartialEq)]
pub enum OverlaySource {
    /// The overlay of the tests.
    Lava,
    /// A file that was downloaded under this label.
    File {
        /// `<image>.<overlay>`.
        label: String,
        /// Whether it is a tar archive to unpack there.
        is_tar: bool,
        /// The place in the image.
        path: String,
    },
}

/// How QEMU is started.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecuteQemu {
    /// The program, `qemu-system-x86_64`.
    pub command: String,
    /// Its arguments as the device gives them; each may hold several words.
    pub options: Vec<String>,
    /// Label and `image_arg` of each image; `{label}` stands for the file.
    pub images: Vec<(String, String)>,
    /// How the guest image with the overlay is attached.
    pub guest: Option<GuestDrive>,
    /// The job's `arch`.
    pub architecture: String,
    /// A container to run it in.
    pub docker: Option<DockerRun>,
}

/// The drive with the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestDrive {
    /// `ide`, `virtio`, `none`, …
    pub interface: String,
    /// Its id.
    pub drive_id: String,
}

/// A container to run a command in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerRun {
    /// Image reference.
    pub image: String,
    /// Whether a local image is good enough.
    pub local: bool,
    /// The program inside, when not the device's.
    pub binary: Option<String>,
}

/// How the board's console is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectDevice {
    /// Its name in the device's `commands.connections`, `None` for the plain `connect`.
    pub name: Option<String>,
    /// The command line.
    pub command: String,
    /// The tags of the connection: `primary`, `telnet`, `ssh`, …
    pub tags: Vec<String>,
    /// Whether Enter is pressed once connected, so that a shell or a menu shows itself.
    pub wake: bool,
}

/// How a console is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Ctrl-] and `quit`.
    Telnet,
    /// Enter and `~.`.
    Ssh,
    /// Closed.
    Shell,
}

/// Commands of the device, run in order on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCommands {
    /// The key of the device's `commands` they come from: `hard_reset`, `power_off`, ….
    pub key: String,
    /// The command lines.
    pub commands: Vec<String>,
}

/// How to log in.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoLogin {
    /// The job's prompts.
    pub prompts: Vec<String>,
    /// User and password, when a login is needed.
    pub credentials: Option<Credentials>,
    /// The message that shows that a kernel started; empty to skip that wait.
    pub kernel_start_message: String,
    /// Messages of the bootloader that mean it failed.
    pub error_messages: Vec<String>,
    /// Whether kernel messages are ignored.
    pub ignore_kernel_messages: bool,
    /// A message of the job's that means the boot failed.
    pub failure_message: Option<String>,
    /// Whether a boot is awaited at all (a second connection to a running system has none).
    pub wait_for_boot: bool,
    /// Pause after each typed character.
    pub character_delay: Duration,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Prompt for the user's name.
    pub login_prompt: String,
    /// The name.
    pub username: String,
    /// Prompt for the password, and the password.
    pub password: Option<(String, String)>,
    /// Typed after the login, each followed by a prompt.
    pub login_commands: Vec<String>,
}

/// How the overlay reaches a running system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOverlay {
    /// `http`, `nfs` or `zmodem`.
    pub method: String,
    /// The address by which the device reaches this host.
    pub server: String,
    /// Typed to fetch it.
    pub download_command: Option<String>,
    /// Typed to unpack it.
    pub unpack_command: String,
}

/// A test block with `definitions`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestShell {
    /// The definitions of this block in order.
    pub definitions: Vec<Arc<ShellDefinition>>,
    /// The stage of this block.
    pub stage: u32,
    /// Where the overlay lives on the device.
    pub results_dir: String,
    /// The shell of the device.
    pub shell: String,
    /// Pause after each typed character.
    pub character_delay: Duration,
}

/// A test block with `interactive`.
#[derive(Clone, Debug, PartialEq)]
pub struct Interactive {
    /// Its scripts in order.
    pub scripts: Vec<InteractiveScript>,
    /// The stage in the suite's name.
    pub stage: u32,
    /// Values for `{NAME}` in commands.
    pub substitutions: Vec<(String, String)>,
    /// Pause after each typed character.
    pub character_delay: Duration,
}

/// One script of an interactive test.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractiveScript {
    /// The suite is `<stage>_<name>`.
    pub name: String,
    /// Prompts that end a command.
    pub prompts: Vec<String>,
    /// Whether the echo of a command is dropped before looking for messages.
    pub discard_echo: bool,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
    /// What to do.
    pub steps: Vec<InteractiveStep>,
}

/// One command of an interactive script.
#[derive(Clone, Debug, PartialEq)]
pub struct InteractiveStep {
    /// The test case it is the result of, when it has one.
    pub name: Option<String>,
    /// What is typed; `None` only waits.
    pub command: Option<String>,
    /// Messages that mean success; named groups become substitutions.
    pub successes: Vec<String>,
    /// Messages that mean failure.
    pub failures: Vec<InteractiveFailure>,
    /// Whether to wait for a prompt at all.
    pub wait_for_prompt: bool,
    /// Pause before it.
    pub delay: Duration,
}

/// A message that means failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteractiveFailure {
    /// What to look for.
    pub message: String,
    /// The class of the fault that ends the job; without one only the case fails.
    pub exception: Option<job::FaultClass>,
    /// The text of that fault.
    pub error: Option<String>,
}

/// A test block with `monitors`.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// Its monitors in order.
    pub monitors: Vec<MonitorEntry>,
}

/// One monitor: watch the console between two messages.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorEntry {
    /// The suite, before it is normalised.
    pub name: String,
    /// Where to begin.
    pub start: String,
    /// Where to end.
    pub end: String,
    /// Finds results: groups `test_case_id`, `result`, `measurement`, `units`.
    pub pattern: String,
    /// Maps words of the output to LAVA's results.
    pub fixup: Vec<(String, String)>,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
}

/// A `command:` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCommand {
    /// Its name.
    pub name: String,
    /// Run now, in order.
    pub commands: Vec<String>,
    /// Run at the end of the job, when the command was begun.
    pub undo: Vec<String>,
    /// The namespace it belongs to.
    pub namespace: Namespace,
}
