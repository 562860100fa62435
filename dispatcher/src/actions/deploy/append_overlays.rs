//! `append-overlays`: puts overlays into a downloaded image.

use crate::{
    actions::StepRun,
    overlay::inject::{Format, Injection, OverlayInput, inject},
    run::{Context, Extra, NamespaceState},
};
use job::Fault;
use plan::step::{AppendOverlays, OverlaySource};

/// Replaces the image by one with the overlays in it.
pub async fn append(
    step: &StepRun<'_>,
    append: &AppendOverlays,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let format = match append.format.as_str() {
        "cpio.newc" => Format::Cpio,
        "tar" => Format::Tar,
        other => {
            return Err(crate::actions::unsupported(&format!(
                "overlays in images of format {other}"
            )));
        }
    };
    let state = context.namespace(&step.action.namespace);
    let image = state.file(&append.label)?;
    let overlays: Vec<_> = append
        .overlays
        .iter()
        .map(|overlay| input(state, overlay))
        .collect::<Result<_, _>>()?;
    let compression = append.compression.clone();
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
