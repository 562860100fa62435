//! Steps of boots over the network: preparing files for a boot loader, and talking to it.

use std::time::Duration;

/// What becomes of the ramdisk that a boot loader fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ramdisk {
    /// Whether the job says that it begins with a header of U-Boot's, which is taken off.
    pub has_header: bool,
    /// Whether the overlay goes into it.
    pub install_overlay: bool,
    /// Whether the kernel's modules go into it.
    pub install_modules: bool,
}

impl Ramdisk {
    /// Whether anything is put into it; else it is handed out as it came.
    pub fn is_changed(self) -> bool {
        self.install_overlay || self.install_modules
    }
}

/// A header of U-Boot's, as `mkimage` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageHeader {
    /// mkimage's name of the architecture, `arm64`.
    pub architecture: String,
    /// Where U-Boot puts the image and enters it; 0 for a ramdisk, whose place is the command's.
    pub address: u32,
    /// Whether the image is run where it was loaded to, right behind its header.
    pub in_place: bool,
}

/// `uboot-prepare-kernel`: the kernel as the boot command wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrepareKernel {
    /// Whether the device tree goes behind the kernel.
    pub append_dtb: bool,
    /// The header to write before it.
    pub header: Option<ImageHeader>,
}

/// `xnbd-server-deploy`: serve an image as a network block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NbdServer {
    /// The label under which the image was downloaded.
    pub label: String,
    /// The port that the job wants, `None` for a free one.
    pub port: Option<u16>,
}

/// `bootloader-overlay`: the commands, and what stands for their placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootloaderOverlay {
    /// The commands as the device or the job has them.
    pub commands: Vec<String>,
    /// Placeholders in the order in which they are replaced, without braces.
    pub placeholders: Vec<(String, Placeholder)>,
    /// The addresses that LAVA reports with the action's result.
    pub addresses: Vec<(String, String)>,
    /// Whether iPXE fetches the commands as a script instead of having them typed.
    pub as_script: bool,
}

/// What stands for a placeholder. A command line with one that has no value is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// Known when the job is planned.
    Text(String),
    /// Nothing: lines that need it are left out.
    Nothing,
    /// The path, below the root of the boot files, of the file that was downloaded under a label.
    File(String),
    /// The directory of the deploy's `extra_files`, below that root.
    ExtraFiles,
    /// The port that our TFTP server has.
    TftpPort,
    /// The port that our HTTP server has.
    HttpPort,
    /// The port at which the deploy's image is served as a block device.
    NbdPort,
}

/// `bootloader-interrupt`: how the boot loader is kept from booting by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootloaderInterrupt {
    /// What it prints when it can be interrupted; `None` when it needs not be.
    pub interrupt_prompt: Option<String>,
    /// What is typed then.
    pub keys: Keys,
    /// The prompt of its commands.
    pub prompt: String,
    /// Pause after each typed character.
    pub character_delay: Duration,
}

/// What is typed to interrupt a boot loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Control characters, each by its letter.
    Control(Vec<char>),
    /// Text and the end of line.
    Line(String),
    /// Text alone.
    Text(String),
}

/// `bootloader-commands`: type the commands of `bootloader-overlay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootloaderCommands {
    /// The boot loader's prompt.
    pub prompt: String,
    /// What it prints when a command failed.
    pub error_messages: Vec<String>,
    /// What it prints when it hands over to the kernel; `None` to wait for nothing.
    pub final_message: Option<String>,
    /// Pause after each typed character.
    pub character_delay: Duration,
}
