//! `boot:` blocks.

use crate::{Problem, document::Cursor};

/// A `boot:` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// `method`.
    pub method: String,
    /// What the method wants.
    pub kind: BootMethod,
    /// `prompts` of the booted system; `None` when the job does not wait for it.
    pub prompts: Option<Vec<String>>,
    /// `auto_login`.
    pub auto_login: Option<Credentials>,
    /// `transfer_overlay`.
    pub transfer_overlay: Option<TransferOverlay>,
    /// `parameters`.
    pub parameters: BootParameters,
    /// `soft_reboot`: what to type to reboot.
    pub soft_reboot: Option<Vec<String>>,
    /// `ignore_kernel_messages`.
    pub ignore_kernel_messages: bool,
    /// `failure_message`: what a failed boot prints.
    pub failure_message: Option<String>,
    /// `reset`: whether the board is reset first.
    pub reset: bool,
}

/// What a boot method wants, where Pumice has types for it.
#[derive(Clone, Debug, PartialEq)]
pub enum BootMethod {
    /// `qemu`, `qemu-nfs` and `monitor`.
    Qemu(QemuBoot),
    /// `minimal`.
    Minimal(MinimalBoot),
    /// Any other.
    Other,
}

/// `method: qemu` and the like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QemuBoot {
    /// `media`.
    pub media: Option<String>,
    /// A container to run it in.
    pub docker: Option<Docker>,
}

/// `method: minimal`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MinimalBoot {
    /// Whether to run the device's `pre_power_command`.
    pub pre_power_command: bool,
    /// Whether to run the device's `pre_os_command`.
    pub pre_os_command: bool,
}

/// Texts that a job may set for one boot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootParameters {
    /// `kernel-start-message`.
    pub kernel_start_message: Option<String>,
    /// `bootloader-final-message`.
    pub bootloader_final_message: Option<String>,
    /// `shutdown-message`.
    pub shutdown_message: Option<String>,
}

/// `auto_login`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The prompt for the user's name.
    pub login_prompt: String,
    /// The user's name.
    pub username: String,
    /// The prompt for the password.
    pub password_prompt: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// Typed after the login.
    pub login_commands: Vec<String>,
}

/// `transfer_overlay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOverlay {
    /// `http`, `nfs` or `zmodem`.
    pub method: String,
    /// Typed to fetch the overlay.
    pub download_command: Option<String>,
    /// Typed to unpack it.
    pub unpack_command: String,
}

/// A container to run something in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// The image.
    pub image: String,
    /// Whether a local image is good enough.
    pub local: bool,
    /// The program inside.
    pub binary: Option<String>,
}

impl Boot {
    pub(super) fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let method = block.require("method", problems)?.text(problems)?;
        let kind = match method.as_str() {
            "qemu" | "qemu-nfs" | "monitor" => BootMethod::Qemu(QemuBoot {
                media: block.text_at("media", problems),
                docker: block
                    .set("docker")
                    .and_then(|docker| Docker::read(&docker, problems)),
            }),
            "minimal" => BootMethod::Minimal(MinimalBoot {
                pre_power_command: block.flag("pre_power_command", false),
                pre_os_command: block.flag("pre_os_command", false),
            }),
            _ => BootMethod::Other,
        };
        Some(Self {
            method,
            kind,
            prompts: block.get("prompts").map(|prompts| prompts.texts(problems)),
            auto_login: block
                .set("auto_login")
                .and_then(|login| Credentials::read(&login, problems)),
            transfer_overlay: block
                .set("transfer_overlay")
                .and_then(|transfer| TransferOverlay::read(&transfer, problems)),
            parameters: BootParameters::read(block, problems),
            soft_reboot: block
                .set("soft_reboot")
                .map(|commands| commands.texts(problems)),
            ignore_kernel_messages: block.flag("ignore_kernel_messages", false),
            failure_message: block.text_at("failure_message", problems),
            reset: block.flag("reset", true),
        })
    }
}

impl BootParameters {
    fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let Some(parameters) = block.set("parameters") else {
            return Self::default();
        };
        // An empty message is one: it switches a wait off.
        let mut message = |key: &str| {
            parameters.get(key).map(|text| {
                if text.node().is_null() {
                    Some(String::new())
                } else {
                    text.text(problems)
                }
            })?
        };
        Self {
            kernel_start_message: message("kernel-start-message"),
            bootloader_final_message: message("bootloader-final-message"),
            shutdown_message: message("shutdown-message"),
        }
    }
}

impl Credentials {
    fn read(login: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let login_prompt = login.require("login_prompt", problems)?.text(problems)?;
        let username = login.require("username", problems)?.text(problems)?;
        let password_prompt = login.text_at("password_prompt", problems);
        // A password may be empty.
        let password = login.set("password").and_then(|text| text.text(problems));
        if password_prompt.is_some() && password.is_none() {
            problems.push(
                login
                    .missing("password")
                    .with_hint("it is typed at the `password_prompt`"),
            );
        }
        Some(Self {
            login_prompt,
            username,
            password_prompt,
            password,
            login_commands: login.texts_at("login_commands", problems),
        })
    }
}

impl TransferOverlay {
    fn read(transfer: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self {
            method: transfer
                .text_at("transfer_method", problems)
                .unwrap_or_else(|| "http".to_owned()),
            download_command: transfer.text_at("download_command", problems),
            unpack_command: transfer
                .require("unpack_command", problems)?
                .text(problems)?,
        })
    }
}

impl Docker {
    fn read(docker: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let image = docker
            .set("image")
            .or_else(|| docker.set("name"))
            .or_else(|| docker.require("image", problems))?;
        Some(Self {
            image: image.text(problems)?,
            local: docker.flag("local", false),
            binary: docker.text_at("binary", problems),
        })
    }
}
