//! `append-overlays`: puts overlays into a downloaded image.

use crate::{
    actions::StepRun,
    overlay::{
        HostCommands,
        ext::image::{self, ExtInjection},
        inject::{Format, Injection, OverlayInput, inject},
    },
    run::{Context, Extra, NamespaceState},
};
use job::Fault;
use plan::step::{AppendOverlays, OverlaySource};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Replaces the image by one with the overlays in it.
pub async fn append(
    step: &StepRun<'_>,
    append: &AppendOverlays,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let format = match append.format.as_str() {
        "cpio.newc" => Format::Cpio,
        "tar" => Format::Tar,
        "ext4" if !append.sparse => return ext(step, append, context).await,
        other => {
            return Err(crate::actions::unsupported(&format!(
                "overlays in images of format {other}"
            )));
        }
    };
    let (image, overlays) = inputs(step, append, context)?;
    put_into(image, format, append.compression.clone(), overlays, context).await
}

/// Puts overlays into an image that is no file system, in its place.
pub(super) async fn put_into(
    image: PathBuf,
    format: Format,
    compression: Option<String>,
    overlays: Vec<OverlayInput>,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let report = super::blocking(context, move |cancel| {
        let injection = Injection {
            image: &image,
            format,
            compression: compression.as_deref(),
            overlays: &overlays,
            output: &image,
        };
        inject(&injection, &cancel)
    })
    .await?;
    for note in report.notes {
        context.log.log(note.level, note.message);
    }
    Ok(Extra::new())
}

/// As [`append`], for an image that holds an ext file system.
async fn ext(
    step: &StepRun<'_>,
    append: &AppendOverlays,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let (image, overlays) = inputs(step, append, context)?;
    let injection = ExtInjection {
        image,
        partition: append.partition,
        overlays,
    };
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let report = tokio::select! {
        report = image::inject(&injection, &HostCommands, &cancel, step.deadline) => report?,
        never = context.consoles.drain() => match never {},
    };
    for note in report.notes {
        context.log.log(note.level, note.message);
    }
    Ok(Extra::new())
}

fn inputs(
    step: &StepRun<'_>,
    append: &AppendOverlays,
    context: &mut Context,
) -> Result<(PathBuf, Vec<OverlayInput>), Fault> {
    let state = context.namespace(&step.action.namespace);
    let overlays = append.overlays.iter();
    // A job without tests has no overlay of its own: nobody would look for it.
    let overlays = overlays
        .filter(|overlay| state.overlay.is_some() || !matches!(overlay, OverlaySource::Lava))
        .map(|overlay| input(state, overlay));
    Ok((
        state.file(&append.label)?,
        overlays.collect::<Result<_, _>>()?,
    ))
}

fn input(state: &NamespaceState, overlay: &OverlaySource) -> Result<OverlayInput, Fault> {
    Ok(match overlay {
        OverlaySource::Lava => OverlayInput::Directory {
            directory: state.overlay()?.directory().to_owned(),
            at: "/".to_owned(),
        },
        OverlaySource::File {
            label,
            is_tar: true,
            path,
        } => OverlayInput::Tar {
            archive: state.file(label)?,
            at: path.clone(),
        },
        OverlaySource::File {
            label,
            is_tar: false,
            path,
        } => OverlayInput::File {
            file: state.file(label)?,
            at: path.clone(),
        },
    })
}
