//! `method: qemu`, `qemu-nfs` and `monitor`: an emulator on this host is the board.

use super::require_method;
use crate::{
    Step,
    builder::{Builder, Planned, Spec, read},
    login::{self, Wait},
    step::{DockerRun, ExecuteQemu, GuestDrive},
};
use job::{
    FaultClass,
    definition::{Boot, QemuBoot},
    document::Cursor,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>, boot: &Boot, qemu: &QemuBoot) -> Planned {
    let method = match boot.method.as_str() {
        "qemu-nfs" => "qemu-nfs",
        _ => "qemu",
    };
    let device = require_method(builder, method)?;
    let step = if method == "qemu-nfs" {
        Step::Unsupported {
            what: "boot method: qemu-nfs".to_owned(),
        }
    } else {
        Step::ExecuteQemu(Box::new(execute(builder, &device, qemu)?))
    };
    builder.nest(Spec::group("boot-image-retry").retrying(), |builder| {
        builder.nest(Spec::group("boot-qemu-image").retrying(), |builder| {
            builder.add(Spec::new("execute-qemu", step).on_timeout(FaultClass::Infrastructure));
            Ok(())
        })?;
        login::add_with_shell(builder, boot, Wait { method, boot: true })
    })
}

fn execute(
    builder: &mut Builder<'_, '_>,
    device: &Cursor<'_>,
    qemu: &QemuBoot,
) -> Planned<ExecuteQemu> {
    let parameters = device.get("parameters");
    let command = parameters
        .as_ref()
        .and_then(|parameters| parameters.set("command")?.as_text());
    let Some(command) = command else {
        return Err(device
            .problem("the device does not say which program emulates it")
            .with_hint("set `parameters.command` of the method, `qemu-system-x86_64`"));
    };
    let options = read(|problems| {
        let lists = ["options", "extra"].map(|key| {
            parameters
                .as_ref()
                .map_or_else(Vec::new, |parameters| parameters.texts_at(key, problems))
        });
        lists.concat()
    })?;
    check_architecture(builder);
    let namespace = builder.namespace().clone();
    let deployed = builder.state_ref().deployed(&namespace);
    let guest = deployed.is_some_and(|deployed| deployed.guest);
    let images = deployed.map_or_else(Vec::new, |deployed| deployed.images.clone());
    Ok(ExecuteQemu {
        command,
        options,
        images,
        guest: guest.then(|| guest_drive(builder)),
        architecture: architecture(builder),
        docker: qemu.docker.as_ref().map(|docker| DockerRun {
            image: docker.image.clone(),
            local: docker.local,
            binary: docker.binary.clone(),
        }),
    })
}

fn architecture(builder: &Builder<'_, '_>) -> String {
    builder
        .definition()
        .context
        .get("arch")
        .and_then(|arch| arch.as_str())
        .unwrap_or_default()
        .to_owned()
}

/// LAVA refuses a job whose architecture the device does not list.
fn check_architecture(builder: &mut Builder<'_, '_>) {
    let arch = architecture(builder);
    let Some(known) = builder.device().at(&["available_architectures"]) else {
        return;
    };
    let known: Vec<_> = known
        .node()
        .as_sequence()
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    if known.contains(&arch.as_str()) {
        return;
    }
    let message = if arch.is_empty() {
        "the job does not say which architecture to emulate".to_owned()
    } else {
        format!("the device cannot emulate `{arch}`")
    };
    let problem = builder.cursor().problem(message).with_hint(format!(
        "set `arch` in the job's `context` to one of: {}",
        known.join(", ")
    ));
    builder.report(problem);
}

/// How the image with the overlay is attached, as the device says.
fn guest_drive(builder: &Builder<'_, '_>) -> GuestDrive {
    let value = |key: &str, default: &str| {
        builder
            .device()
            .deploy_method("image")
            .and_then(|image| image.get("parameters")?.get("guest")?.set(key)?.as_text())
            .unwrap_or_else(|| default.to_owned())
    };
    GuestDrive {
        interface: value("interface", "ide"),
        drive_id: value("driveid", "lavatest"),
    }
}
