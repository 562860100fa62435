//! `to: recovery`: files for a board in recovery mode.

use super::require_method;
use crate::{
    builder::{Builder, Planned, Spec, read},
    download, power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let method = require_method(builder, "recovery", "recovery")?;
    let images = download::images(&builder.cursor())?;
    let tags = read(|problems| method.texts_at("tags", problems))?;
    builder.nest(Spec::group("deploy-recovery-mode"), |builder| {
        for (label, image) in images {
            download::add_at(builder, &label, &image, true)?;
        }
        if tags.iter().any(|tag| tag == "serial") {
            power::connect(builder);
        }
        Ok(())
    })
}
