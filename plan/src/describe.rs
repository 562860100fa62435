//! The tree as data: for `pumice plan --format json` and for `description.yaml`.

use crate::{Action, Plan, Step};
use serde_json::{Map, Value};

/// The tree as `pumice plan --format json` prints it: a list of actions with `level`, `name`,
/// `max_retries`, `timeout` in seconds, `url` of downloads, and `pipeline` where there are
/// children.
pub fn describe(plan: &Plan) -> Value {
    list(&plan.actions, &brief)
}

/// The tree as `description.yaml` holds it below `pipeline`: with `class`, `description` and
/// `summary`, which LAVA's web pages show. These texts are ours.
pub fn description(plan: &Plan) -> Value {
    list(&plan.actions, &full)
}

fn list(actions: &[Action], entry: &impl Fn(&Action) -> Map<String, Value>) -> Value {
    actions
        .iter()
        .map(|action| {
            let mut map = entry(action);
            if let Some(url) = &action.url {
                map.insert("url".to_owned(), url.as_str().into());
            }
            if !action.children.is_empty() {
                map.insert("pipeline".to_owned(), list(&action.children, entry));
            }
            Value::Object(map)
        })
        .collect()
}

fn brief(action: &Action) -> Map<String, Value> {
    Map::from_iter([
        ("level".to_owned(), action.level.as_str().into()),
        ("name".to_owned(), action.name.as_str().into()),
        ("max_retries".to_owned(), action.max_retries.into()),
        ("timeout".to_owned(), action.timeout.as_secs().into()),
    ])
}

fn full(action: &Action) -> Map<String, Value> {
    Map::from_iter([
        ("class".to_owned(), class(&action.name).into()),
        ("name".to_owned(), action.name.as_str().into()),
        ("level".to_owned(), action.level.as_str().into()),
        ("max_retries".to_owned(), action.max_retries.into()),
        ("description".to_owned(), summary(action).into()),
        ("summary".to_owned(), action.name.replace('-', " ").into()),
        ("timeout".to_owned(), action.timeout.as_secs().into()),
    ])
}

/// `boot-qemu-image` becomes `BootQemuImageAction`.
fn class(name: &str) -> String {
    let mut class: String = name
        .split('-')
        .filter(|word| *word != "action")
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect();
    class.push_str("Action");
    class
}

/// One sentence on what an action does.
fn summary(action: &Action) -> String {
    let text = match &action.step {
        Step::Group => return format!("run the {} actions below in order", action.children.len()),
        Step::Unsupported { what } => return format!("not available in this version: {what}"),
        Step::Download(download) => return format!("fetch the file for {}", download.label),
        Step::AppendOverlays(overlays) => {
            return format!("put overlays into the image {}", overlays.label);
        }
        Step::DeviceCommands(commands) => {
            return format!("run the device's {} commands", commands.key);
        }
        Step::UserCommand(command) => return format!("run the device's command {}", command.name),
        Step::FetchDefinition(definition) => {
            return format!("fetch the test definition {}", definition.name);
        }
        Step::TestOverlay(definition) => {
            return format!("describe the test {} in the overlay", definition.name);
        }
        Step::TestInstall(definition) => {
            return format!("write what installs the needs of {}", definition.name);
        }
        Step::TestRunScript(definition) => {
            return format!("write the script that runs {}", definition.name);
        }
        Step::Skip => "nothing to do for this job",
        Step::LavaOverlay(_) => "prepare what the tests need on the device",
        Step::TestDefinition => "collect the test definitions",
        Step::CompressOverlay => "pack the overlay into one archive",
        Step::DeployDeviceEnv { .. } => "remember the variables to set on the device",
        Step::ApplyOverlayGuest { .. } => "make an image with the overlay for the emulator",
        Step::TftpDeploy { .. } => "fetch and prepare files for a boot loader",
        Step::NbdDeploy => "fetch files for a boot loader, and an image to serve",
        Step::NbdServer(_) => "serve the image as a network block device",
        Step::ExtractRamdisk(_) => "take the header off the ramdisk, where it has one",
        Step::InstallModules { .. } => "put the modules into the ramdisk",
        Step::ApplyOverlayTftp { .. } => "put the overlay where the booted system finds it",
        Step::PrepareKernel(_) => "make the kernel as the boot command wants it",
        Step::CompressRamdisk { .. } => "finish the ramdisk",
        Step::BootloaderOverlay(_) => "fill in the boot loader's commands",
        Step::BootloaderInterrupt(_) => "get to the boot loader's prompt",
        Step::BootloaderCommands(_) => "type the boot loader's commands",
        Step::ExecuteQemu(_) => "start the emulator",
        Step::ConnectDevice(_) => "connect to the console of the device",
        Step::DisconnectDevice { .. } => "leave the console of the device",
        Step::SendRebootCommands { .. } => "type commands that reboot the device",
        Step::AutoLogin(_) => "wait for the kernel to start",
        Step::Login(_) => "follow the boot and log in",
        Step::ExpectShell { .. } => "wait for a shell prompt",
        Step::ExportDeviceEnv { .. } => "set variables on the device",
        Step::OverlayUnpack(_) => "fetch and unpack the overlay on the device",
        Step::TestShell(_) => "run the tests in a shell on the device",
        Step::Interactive(_) => "type scripts at the console and judge the answers",
        Step::Monitor(_) => "watch the console for results",
        Step::Finalize => "power off and close all connections",
        Step::ReadFeedback { .. } => "read what other namespaces have printed",
    };
    text.to_owned()
}
