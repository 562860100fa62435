//! `method: schroot`: a change of root on a running system.

use super::{require_key, require_method};
use crate::builder::{Builder, Planned};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "schroot")?;
    require_key(&builder.cursor(), "schroot")?;
    builder.later("schroot-login");
    Ok(())
}
