//! What all bootloaders have in common.

use crate::{
    Step,
    builder::{Builder, Planned, Spec, read},
    login::{self, Wait},
    netboot, power,
    step::netboot::{
        BootloaderCommands, BootloaderInterrupt, BootloaderOverlay, Keys, Placeholder,
    },
};
use job::{FaultClass, definition::Boot, document::Cursor};

/// `bootloader-overlay`: fill in the commands that `method` types.
pub(crate) fn overlay(builder: &mut Builder<'_, '_>, method: &str) -> Planned {
    let commands = commands_of(builder, method)?;
    let commands = with_device_tree_overlays(builder, method, commands)?;
    let (mut placeholders, addresses) = netboot::placeholders(builder, method);
    placeholders.extend(common_placeholders(builder, method));
    let overlay = BootloaderOverlay {
        commands,
        placeholders,
        addresses,
        as_script: builder.cursor().flag("use_bootscript", false),
    };
    let step = Step::BootloaderOverlay(Box::new(overlay));
    builder.add(Spec::new("bootloader-overlay", step));
    Ok(())
}

/// `uboot-from-media`, `bootloader-from-media`: what an earlier deploy wrote to the device's own
/// disk; nothing for a boot from the network.
pub(crate) fn from_media(builder: &mut Builder<'_, '_>, name: &'static str) {
    let block = builder.cursor();
    if block.set("media").is_some() || block.set("root_uuid").is_some() {
        builder.later(name);
    } else {
        builder.add(Spec::new(name, Step::Skip));
    }
}

/// The commands of the job, or the set of the device's that it names.
fn commands_of(builder: &mut Builder<'_, '_>, method: &str) -> Planned<Vec<String>> {
    let Some(wanted) = builder.cursor().set("commands") else {
        return Ok(Vec::new());
    };
    let Some(name) = wanted.node().as_str() else {
        return read(|problems| wanted.texts(problems));
    };
    let device = builder.device();
    let set = device
        .boot_method(method)
        .and_then(|method| method.get(name)?.set("commands"));
    match set {
        Some(set) => read(|problems| set.texts(problems)),
        None => {
            let problem = wanted
                .problem(format!(
                    "the device has no commands `{name}` for the boot method {method}"
                ))
                .with_hint("name one of the device's sets, or give a list of commands");
            builder.report(problem);
            Ok(Vec::new())
        }
    }
}

/// Replaces the line `{APPLY_DTBO_COMMANDS}` by the device's commands for each overlay of the
/// device tree.
fn with_device_tree_overlays(
    builder: &Builder<'_, '_>,
    method: &str,
    commands: Vec<String>,
) -> Planned<Vec<String>> {
    const LINE: &str = "{APPLY_DTBO_COMMANDS}";
    if !commands.iter().any(|command| command.contains(LINE)) {
        return Ok(commands);
    }
    let of_device = parameters(builder, method).map_or_else(
        || Ok(Vec::new()),
        |parameters| read(|problems| parameters.texts_at("apply_dtbo_commands", problems)),
    )?;
    let applied: Vec<String> = overlay_labels(builder)
        .flat_map(|label| {
            let file = format!("{{{}}}", label.to_uppercase());
            let of_device = of_device.iter();
            of_device
                .map(|command| command.replace("{DTBO}", &file))
                .collect::<Vec<_>>()
        })
        .collect();
    let commands = commands.into_iter().flat_map(|command| {
        if command.contains(LINE) {
            applied.clone()
        } else {
            vec![command]
        }
    });
    Ok(commands.collect())
}

/// The labels of the deployed overlays of the device tree: `dtbo0`, `dtbo1`, ….
fn overlay_labels<'b>(builder: &'b Builder<'_, '_>) -> impl Iterator<Item = &'b str> {
    let deployed = builder.state_ref().deployed(builder.namespace());
    deployed
        .map_or(&[][..], |deployed| &deployed.boot_files)
        .iter()
        .map(String::as_str)
        .filter(|label| label.starts_with("dtbo"))
}

/// The placeholders that every boot loader has.
fn common_placeholders(builder: &Builder<'_, '_>, method: &str) -> Vec<(String, Placeholder)> {
    let facts = builder.view().facts;
    let deployed = builder.state_ref().deployed(builder.namespace());
    let labels = deployed.map_or(&[][..], |deployed| &deployed.boot_files);
    let file = |label: &str| {
        let known = labels.iter().any(|known| known == label);
        let label = label.to_owned();
        if known {
            Placeholder::File(label)
        } else {
            Placeholder::Nothing
        }
    };
    let text = |value: Option<String>| match value {
        Some(value) if !value.is_empty() => Placeholder::Text(value),
        _ => Placeholder::Nothing,
    };
    let server = || text(Some(facts.dispatcher_ip.clone()));
    let of_method = |key: &str| {
        let value = parameters(builder, method).and_then(|parameters| parameters.set(key));
        text(value.and_then(|value| value.as_text()))
    };
    let has_overlays = overlay_labels(builder).next().is_some();
    let resize = builder.device().at(&["parameters", "dtb_base_resize"]);
    let resize = resize
        .filter(|_| has_overlays)
        .and_then(|size| size.as_text());
    // LAVA calls the ramdisk both names; NBD deploys have an initrd and no ramdisk.
    let either = |first, second| match file(first) {
        Placeholder::Nothing => file(second),
        found => found,
    };
    let mut all = vec![
        ("SERVER_IP", server()),
        ("TFTP_PORT", Placeholder::TftpPort),
        ("HTTP_PORT", Placeholder::HttpPort),
        ("PRESEED_CONFIG", file("preseed")),
        ("PRESEED_LOCAL", Placeholder::Nothing),
        ("DTB", file("dtb")),
        ("RAMDISK", either("ramdisk", "initrd")),
        ("INITRD", either("initrd", "ramdisk")),
        ("KERNEL", file("kernel")),
        ("LAVA_MAC", of_method("lava_mac")),
        ("TEE", file("tee")),
        ("DTB_BASE_RESIZE", text(resize)),
        ("LAVA_DISPATCHER_IP", server()),
        ("LAVA_JOB_ID", text(Some(facts.job_id.as_str().to_owned()))),
        ("ROOT", Placeholder::Nothing),
        ("ROOT_PART", Placeholder::Nothing),
        ("EXTRA_FILES_DIR", Placeholder::ExtraFiles),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect::<Vec<_>>();
    if deployed.is_some_and(|deployed| deployed.nbd) {
        all.push(("NBDSERVERIP".to_owned(), server()));
        all.push(("NBDSERVERPORT".to_owned(), Placeholder::NbdPort));
    }
    all.extend(overlay_labels(builder).map(|label| {
        let value = Placeholder::File(label.to_owned());
        (label.to_uppercase(), value)
    }));
    all
}

/// The method's parameters on the device.
fn parameters<'a>(builder: &Builder<'a, '_>, method: &str) -> Option<Cursor<'a>> {
    builder.device().boot_method(method)?.set("parameters")
}

fn parameter(builder: &Builder<'_, '_>, method: &str, key: &str) -> Option<String> {
    parameters(builder, method)?.get(key)?.as_text()
}

/// A parameter of the method's, else the constant of its name.
fn text(builder: &Builder<'_, '_>, method: &str, key: &str, constant: &str) -> Option<String> {
    parameter(builder, method, key).or_else(|| builder.view().text(method, constant))
}

fn prompt(builder: &mut Builder<'_, '_>, method: &str) -> String {
    let prompt = parameter(builder, method, "bootloader_prompt");
    if prompt.as_ref().is_none_or(String::is_empty) {
        let problem = builder
            .cursor()
            .problem(format!("the device does not say how {method} prompts"))
            .with_hint(format!(
                "set `actions.boot.methods.{method}.parameters.bootloader_prompt` of the device"
            ));
        builder.report(problem);
    }
    prompt.unwrap_or_default()
}

/// `bootloader-interrupt`: get to the bootloader's prompt.
pub(crate) fn interrupt(builder: &mut Builder<'_, '_>, method: &str) {
    let needs_interrupt = parameters(builder, method)
        .is_none_or(|parameters| parameters.flag("needs_interrupt", true));
    let interrupt_prompt = text(builder, method, "interrupt_prompt", "interrupt-prompt");
    if needs_interrupt && interrupt_prompt.as_ref().is_none_or(String::is_empty) {
        let problem = builder
            .cursor()
            .problem(format!(
                "the device does not say when {method} can be interrupted"
            ))
            .with_hint(format!(
                "set `interrupt_prompt` of its method {method}, or `needs_interrupt: false`"
            ));
        builder.report(problem);
    }
    let step = BootloaderInterrupt {
        interrupt_prompt: interrupt_prompt.filter(|_| needs_interrupt),
        keys: keys(builder, method),
        prompt: prompt(builder, method),
        character_delay: builder.device().character_delays.boot,
    };
    let spec = Spec::new("bootloader-interrupt", Step::BootloaderInterrupt(step));
    builder.add(spec.on_timeout(FaultClass::Infrastructure));
}

fn keys(builder: &Builder<'_, '_>, method: &str) -> Keys {
    let view = builder.view();
    let control = view.texts(method, "interrupt_ctrl_list");
    let control: Vec<char> = control.iter().flat_map(|text| text.chars()).collect();
    if !control.is_empty() || method == "ipxe" {
        return Keys::Control(control);
    }
    let character = text(builder, method, "interrupt_char", "interrupt-character");
    let character = character.unwrap_or_default();
    let newline = view.constant(method, "interrupt-newline");
    if newline.is_none_or(|newline| newline.is_truthy()) {
        Keys::Line(character)
    } else {
        Keys::Text(character)
    }
}

/// `bootloader-commands`: type the commands. `boot` is what they hand over to; none where they end
/// at the boot loader's prompt.
pub(crate) fn commands(builder: &mut Builder<'_, '_>, method: &str, boot: Option<&Boot>) {
    let view = builder.view();
    let final_message = boot.and_then(|boot| {
        let of_job = boot.parameters.bootloader_final_message.clone();
        of_job.or_else(|| view.text(method, "final-message"))
    });
    let final_message = final_message.filter(|message| !message.is_empty());
    let step = BootloaderCommands {
        error_messages: view.texts(method, "error-messages"),
        final_message,
        character_delay: builder.device().character_delays.boot,
        prompt: prompt(builder, method),
    };
    let spec = Spec::new("bootloader-commands", Step::BootloaderCommands(step)).builtin(90);
    builder.add(spec);
}

/// Reset, interrupt, type the commands, wait for the system: what most boots are made of.
pub(crate) fn run(builder: &mut Builder<'_, '_>, boot: &Boot, method: &str) -> Planned {
    if boot.reset {
        power::reset(builder)?;
    }
    interrupt(builder, method);
    commands(builder, method, Some(boot));
    login::add_with_shell(builder, boot, Wait { method, boot: true })
}

/// `boot-bootloader`: up to the bootloader's prompt, and commands there.
pub(crate) fn boot(
    builder: &mut Builder<'_, '_>,
    method: &str,
    reset_connection: bool,
    reset: bool,
) -> Planned {
    builder.nest(Spec::group("boot-bootloader"), |builder| {
        if reset_connection {
            power::reset_connection(builder)?;
        } else {
            power::connect(builder);
        }
        if reset {
            power::reset(builder)?;
        }
        interrupt(builder, method);
        commands(builder, method, None);
        Ok(())
    })
}

/// An action of this block that this version cannot run.
pub(crate) fn later(builder: &Builder<'_, '_>, name: &'static str) -> Spec {
    Spec::unsupported(name, builder.what())
}
