//! `method: qdl`: flash in Qualcomm's emergency download mode.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "qdl")?;
    let block = builder.cursor();
    for key in ["firehose_program", "rawprogram"] {
        require_key(&block, key)?;
    }
    builder.nest(Spec::group("boot-qdl-retry").retrying(), |builder| {
        power::connect(builder);
        power::reset(builder)?;
        builder.later("enter-qdl");
        builder.later("wait-qdl-device");
        builder.later("flash-qdl");
        Ok(())
    })
}
