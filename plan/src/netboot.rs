//! Which kernel a boot loader gets, and how it is told to boot it.

use crate::{
    builder::Builder,
    step::netboot::{ImageHeader, Placeholder, PrepareKernel},
};
use job::document::Cursor;

/// What a ramdisk's place in a boot command is when there is none.
const NO_RAMDISK: &str = "-";

/// Names without braces, and what stands for them.
pub(crate) type Placeholders = Vec<(String, Placeholder)>;

/// A kernel's boot command and the addresses that the device gives for it.
struct KernelCommand<'a> {
    /// `booti`, `bootm`, `bootz`.
    name: &'static str,
    /// Whether the kernel needs a header for it.
    needs_header: bool,
    addresses: Option<Cursor<'a>>,
}

/// How a kernel of a type is booted on this device, as LAVA 2026.07 decides it.
fn command<'a>(builder: &Builder<'a, '_>, kernel_type: &str) -> Option<KernelCommand<'a>> {
    let has = |name: &str| builder.device().at(&["parameters", name]).is_some();
    let (name, needs_header) = match kernel_type {
        "uimage" => ("bootm", false),
        "zimage" if has("bootz") => ("bootz", false),
        "image" if has("booti") => ("booti", false),
        "zimage" | "image" => ("bootm", true),
        _ => return None,
    };
    Some(KernelCommand {
        name,
        needs_header,
        addresses: builder.device().at(&["parameters", name]),
    })
}

impl KernelCommand<'_> {
    fn address(&self, of: &str) -> Option<String> {
        let text = self.addresses.as_ref()?.set(of)?.as_text()?;
        (!text.is_empty()).then_some(text)
    }
}

/// What a device wants of deployed files: `actions.deploy.parameters`.
fn deploy_parameter<'a>(builder: &Builder<'a, '_>, key: &str) -> Option<Cursor<'a>> {
    builder
        .device()
        .at(&["actions", "deploy", "parameters"])?
        .set(key)
}

fn adds_header(builder: &Builder<'_, '_>) -> Option<String> {
    deploy_parameter(builder, "add_header").and_then(|header| header.as_text())
}

/// U-Boot's header for an image at `address`; reports a device that does not say for which
/// architecture.
fn header(builder: &mut Builder<'_, '_>, address: u32, in_place: bool) -> Option<ImageHeader> {
    let architecture = deploy_parameter(builder, "mkimage_arch").and_then(|arch| arch.as_text());
    if architecture.is_none() {
        let problem = builder
            .cursor()
            .problem("the device wants headers of U-Boot's, but not for which architecture")
            .with_hint("set `actions.deploy.parameters.mkimage_arch` of the device, `arm64`");
        builder.report(problem);
    }
    architecture.map(|architecture| ImageHeader {
        architecture,
        address,
        in_place,
    })
}

/// The header of a ramdisk, where the device wants one.
pub(crate) fn ramdisk_header(builder: &mut Builder<'_, '_>) -> Option<ImageHeader> {
    match adds_header(builder)?.as_str() {
        "u-boot" => header(builder, 0, false),
        _ => None,
    }
}

/// What `uboot-prepare-kernel` has to do for a kernel of a type. Reports a device that has no
/// addresses for it.
pub(crate) fn prepare(builder: &mut Builder<'_, '_>, kernel_type: &str) -> PrepareKernel {
    let append_dtb =
        deploy_parameter(builder, "append_dtb").is_some_and(|flag| flag.node().is_truthy());
    let in_place = deploy_parameter(builder, "use_xip").is_some_and(|flag| flag.node().is_truthy());
    let Some(command) = command(builder, kernel_type) else {
        return PrepareKernel::default();
    };
    let Some(address) = command.address("kernel") else {
        let name = command.name;
        let problem = builder
            .cursor()
            .problem(format!(
                "the device has no addresses to boot a kernel by `{name}`"
            ))
            .with_hint(format!("set `parameters.{name}.kernel` of the device"));
        builder.report(problem);
        return PrepareKernel::default();
    };
    let header = if command.needs_header {
        match number(&address) {
            Some(address) => header(builder, address, in_place),
            None => {
                let problem = builder.cursor().problem(format!(
                    "the device's address of the kernel, `{address}`, is no number below 2^32"
                ));
                builder.report(problem);
                None
            }
        }
    } else {
        None
    };
    PrepareKernel { append_dtb, header }
}

/// `0x40400000`, or decimal.
fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The placeholders that depend on the kernel's type, in LAVA's order, and the addresses that it
/// reports.
pub(crate) fn placeholders(
    builder: &Builder<'_, '_>,
    method: &str,
) -> (Placeholders, Vec<(String, String)>) {
    let deployed = builder.state_ref().deployed(builder.namespace());
    let Some(deployed) = deployed else {
        return Default::default();
    };
    let Some(command) = deployed
        .kernel_type
        .as_deref()
        .and_then(|kernel_type| command(builder, kernel_type))
    else {
        return Default::default();
    };
    let has = |label: &str| deployed.boot_files.iter().any(|known| known == label);
    let kinds = ["kernel", "dtb", "ramdisk", "tee", "dtbo"];
    let values: Vec<_> = kinds
        .iter()
        .map(|kind| (*kind, command.address(kind)))
        .collect();
    let address = |wanted: &str| {
        let found = values.iter().find(|(kind, _)| *kind == wanted);
        found
            .and_then(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    let add_header = adds_header(builder).unwrap_or_default();
    let raw = add_header == "raw";
    // LAVA hands a ramdisk to U-Boot only where it knows how U-Boot wants it.
    let usable = method != "u-boot" || raw || add_header == "u-boot";
    let ramdisk = if has("initrd") || (has("ramdisk") && usable) {
        address("ramdisk")
    } else {
        NO_RAMDISK.to_owned()
    };
    let ramdisk = if ramdisk != NO_RAMDISK && (has("initrd") || raw) {
        format!("{ramdisk}:${{initrd_size}}")
    } else {
        ramdisk
    };
    let entry = if has("tee") {
        address("tee")
    } else {
        address("kernel")
    };
    let boot = format!("{} {entry} {ramdisk} {}", command.name, address("dtb"));
    let mut placeholders = vec![("BOOTX".to_owned(), Placeholder::Text(boot))];
    let mut reported = Vec::new();
    for (kind, value) in values {
        let name = format!("{}_ADDR", kind.to_uppercase());
        if let Some(value) = &value
            && kind != "dtbo"
        {
            reported.push((format!("{kind}_addr"), value.clone()));
        }
        let value = value.map_or(Placeholder::Nothing, Placeholder::Text);
        placeholders.push((name, value));
    }
    (placeholders, reported)
}
