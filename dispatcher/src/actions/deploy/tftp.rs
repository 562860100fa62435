//! `to: tftp`: files as boot loaders want them.
//!
//! Nothing is unpacked: an overlay is a further archive behind the ramdisk's (ADR 0004), a header
//! is written before it.

use super::append_overlays;
use crate::{
    actions::StepRun,
    bootfiles::image_header::{self, Kind},
    overlay::inject::{Format, OverlayInput},
    run::{Context, Extra},
};
use fs_err as fs;
use job::Fault;
use plan::{
    Action,
    step::netboot::{ImageHeader, PrepareKernel, Ramdisk},
};
use std::{
    io,
    path::{Path, PathBuf},
};

const RAMDISK: &str = "ramdisk";
const KERNEL: &str = "kernel";

/// `tftp-deploy`, before its children: a directory that is served.
pub async fn begin(step: &StepRun<'_>, context: &mut Context) -> Result<Extra, Fault> {
    let served = context.boot_files.directory(&context.undos).await?;
    context.serve_deploy(step.action, &served)?;
    Ok(Extra::new())
}

/// `tftp-deploy`, after its children: no file is too large for the boot loader.
pub fn check_sizes(action: &Action, limit: u64, context: &mut Context) -> Result<Extra, Fault> {
    context
        .log
        .debug(format!("Checking files for TFTP limit of {limit} bytes."));
    let state = context.namespace(&action.namespace);
    for (label, file) in &state.files {
        let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
        // The root file system is not fetched by TFTP.
        if size > limit && label != "nfsrootfs" {
            return Err(Fault::job(format!(
                "{label} is too large for TFTP: {size} bytes, at most {limit} can be fetched"
            )));
        }
    }
    Ok(Extra::new())
}

/// `extract-overlay-ramdisk`
pub async fn extract_ramdisk(
    step: &StepRun<'_>,
    ramdisk: Ramdisk,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if !ramdisk.has_header || !ramdisk.is_changed() {
        return Ok(Extra::new());
    }
    replace(step, RAMDISK, "bare", context, |input, output| {
        image_header::strip(input, output)
    })
    .await
}

/// `apply-overlay-tftp`
pub async fn apply_overlay(
    step: &StepRun<'_>,
    ramdisk: bool,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if !ramdisk {
        context
            .log
            .debug("The overlay goes nowhere: the job says so");
        return Ok(Extra::new());
    }
    let namespace = &step.action.namespace;
    let directory = context
        .namespace(namespace)
        .overlay()?
        .directory()
        .to_owned();
    context.log.info(format!(
        "[{namespace}] Applying overlay {} to ramdisk",
        directory.display()
    ));
    let at = "/".to_owned();
    append(step, OverlayInput::Directory { directory, at }, context).await
}

/// `extract-modules`
pub async fn install_modules(
    step: &StepRun<'_>,
    ramdisk: bool,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if !ramdisk {
        return Ok(Extra::new());
    }
    let archive = context.namespace(&step.action.namespace).file("modules")?;
    context.log.info("Adding the modules to the ramdisk");
    let at = "/".to_owned();
    append(step, OverlayInput::Tar { archive, at }, context).await
}

async fn append(
    step: &StepRun<'_>,
    overlay: OverlayInput,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let image = context.namespace(&step.action.namespace).file(RAMDISK)?;
    append_overlays::put_into(image, Format::Cpio, None, vec![overlay], context).await
}

/// `compress-ramdisk`
pub async fn compress_ramdisk(
    step: &StepRun<'_>,
    header: Option<&ImageHeader>,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let Some(header) = header.cloned() else {
        return Ok(Extra::new());
    };
    context.log.debug("Adding RAMdisk u-boot header.");
    replace(step, RAMDISK, "uboot", context, move |input, output| {
        image_header::write(&header, Kind::Ramdisk, input, output)
    })
    .await
}

/// `uboot-prepare-kernel`
pub async fn prepare_kernel(
    step: &StepRun<'_>,
    prepare: &PrepareKernel,
    context: &mut Context,
) -> Result<Extra, Fault> {
    if prepare.append_dtb {
        let state = context.namespace(&step.action.namespace);
        let tree = state.files.get("dtb").cloned();
        let tree = tree.ok_or_else(|| {
            Fault::job("the device wants the device tree behind the kernel, and the job has none")
                .with_hint("add `dtb` to the job's deploy")
        })?;
        context.log.info("Appending the device tree to the kernel");
        replace(step, KERNEL, "dtb", context, move |kernel, output| {
            concatenate(&[kernel, &tree], output).map_err(|error| crate::run::fault::of_io(&error))
        })
        .await?;
    }
    let Some(header) = prepare.header.clone() else {
        return Ok(Extra::new());
    };
    context.log.debug(format!(
        "Adding kernel u-boot header for {} at {:#x}.",
        header.architecture, header.address
    ));
    replace(step, KERNEL, "uimage", context, move |input, output| {
        image_header::write(&header, Kind::Kernel, input, output)
    })
    .await
}

fn concatenate(files: &[&Path], output: &Path) -> io::Result<()> {
    let mut output = fs::File::create(output)?;
    for file in files {
        io::copy(&mut fs::File::open(*file)?, &mut output)?;
    }
    Ok(())
}

/// Makes another file of the one with a label, beside it and with one more extension.
async fn replace(
    step: &StepRun<'_>,
    label: &str,
    extension: &str,
    context: &mut Context,
    make: impl FnOnce(&Path, &Path) -> Result<(), Fault> + Send + 'static,
) -> Result<Extra, Fault> {
    let namespace = &step.action.namespace;
    let input = context.namespace(namespace).file(label)?;
    let mut name = input.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{extension}"));
    let output = input.with_file_name(name);
    let made: PathBuf = output.clone();
    super::blocking(context, move |_| make(&input, &output)).await?;
    let files = &mut context.namespace(namespace).files;
    files.insert(label.to_owned(), made);
    Ok(Extra::new())
}
