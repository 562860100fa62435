//! `to: overlay`: nothing but the tests, for a system that is already there.

use super::require_method;
use crate::{
    builder::{Builder, Planned},
    overlay_tree::{self, Form},
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "overlay", "overlay")?;
    overlay_tree::add(builder, "lava-overlay", Form::Archive)
}
