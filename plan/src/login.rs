//! Waiting for a booted system: `auto-login-action` and the shell after it.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    step::{AutoLogin, Credentials, TransferOverlay},
};
use job::{FaultClass, definition::Boot};

/// Which boot is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait<'m> {
    /// The boot method whose messages count, `u-boot`.
    pub(crate) method: &'m str,
    /// Whether a kernel is expected to start; a further console of a running system has none.
    pub(crate) boot: bool,
}

/// `auto-login-action`, where the job gives prompts, and what a shell test needs after it.
pub(crate) fn add_with_shell(
    builder: &mut Builder<'_, '_>,
    boot: &Boot,
    wait: Wait<'_>,
) -> Planned {
    if boot.prompts.is_none() {
        return Ok(());
    }
    add(builder, boot, wait)?;
    if builder.has_shell() {
        shell(builder, boot, true);
    }
    Ok(())
}

/// `auto-login-action`.
pub(crate) fn add(builder: &mut Builder<'_, '_>, boot: &Boot, wait: Wait<'_>) -> Planned {
    let login = auto_login(builder, boot, wait);
    builder.nest(
        Spec::new(
            "auto-login-action",
            Step::AutoLogin(Box::new(login.clone())),
        )
        .retrying(),
        |builder| {
            builder.add(Spec::new("login-action", Step::Login(Box::new(login))));
            Ok(())
        },
    )
}

/// `expect-shell-connection` and what follows it.
pub(crate) fn shell(builder: &mut Builder<'_, '_>, boot: &Boot, transfer: bool) {
    expect_shell(builder, boot);
    if transfer {
        overlay_unpack(builder, boot);
    }
    export_device_env(builder);
}

/// `expect-shell-connection`.
pub(crate) fn expect_shell(builder: &mut Builder<'_, '_>, boot: &Boot) {
    let prompts = boot.prompts.clone().unwrap_or_default();
    builder.add(
        Spec::new("expect-shell-connection", Step::ExpectShell { prompts })
            .on_timeout(FaultClass::Job),
    );
}

/// `overlay-unpack`, where the job asks for it.
pub(crate) fn overlay_unpack(builder: &mut Builder<'_, '_>, boot: &Boot) {
    let Some(transfer) = &boot.transfer_overlay else {
        return;
    };
    if transfer.method == "http" && transfer.download_command.is_none() {
        let problem = builder
            .cursor()
            .problem("`transfer_overlay` by http needs a command that fetches a URL")
            .with_hint("set `download_command`, `wget`");
        builder.report(problem);
    }
    let server = builder.view().facts.dispatcher_ip.clone();
    builder.add(Spec::new(
        "overlay-unpack",
        Step::OverlayUnpack(TransferOverlay {
            method: transfer.method.clone(),
            server,
            download_command: transfer.download_command.clone(),
            unpack_command: transfer.unpack_command.clone(),
        }),
    ));
}

/// `export-device-env`.
pub(crate) fn export_device_env(builder: &mut Builder<'_, '_>) {
    let data = builder
        .state_ref()
        .deployed(builder.namespace())
        .and_then(|deployed| deployed.data);
    let shell_file = builder.view().shell_file(data).unwrap_or_default();
    builder.add(Spec::new(
        "export-device-env",
        Step::ExportDeviceEnv { shell_file },
    ));
}

fn auto_login(builder: &Builder<'_, '_>, boot: &Boot, wait: Wait<'_>) -> AutoLogin {
    let view = builder.view();
    let device = builder.device();
    let boot_message = || {
        device
            .boot_method(wait.method)
            .and_then(|method| method.get("parameters")?.set("boot_message"))
            .and_then(|message| message.as_text())
    };
    let start_message = boot
        .parameters
        .kernel_start_message
        .clone()
        .or_else(boot_message)
        .or_else(|| view.text("", "kernel-start-message"))
        .unwrap_or_default();
    AutoLogin {
        prompts: boot.prompts.clone().unwrap_or_default(),
        credentials: boot.auto_login.as_ref().map(|login| Credentials {
            login_prompt: login.login_prompt.clone(),
            username: login.username.clone(),
            password: login
                .password_prompt
                .clone()
                .map(|prompt| (prompt, login.password.clone().unwrap_or_default())),
            login_commands: login.login_commands.clone(),
        }),
        kernel_start_message: start_message,
        error_messages: view.texts(wait.method, "error-messages"),
        ignore_kernel_messages: boot.ignore_kernel_messages,
        failure_message: boot.failure_message.clone(),
        wait_for_boot: wait.boot,
        character_delay: device.character_delays.boot,
    }
}
