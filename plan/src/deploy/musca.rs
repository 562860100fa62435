//! `to: musca`: Musca boards, which are a disk.

use super::{require_key, require_method};
use crate::{
    builder::{Builder, Planned, Spec},
    download, power,
};

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "musca", "musca")?;
    let images = require_key(&builder.cursor(), "images")?;
    let binary = require_key(&images, "test_binary")?;
    builder.nest(Spec::group("musca-deploy"), |builder| {
        power::disconnect(builder);
        download::add_at(builder, "test_binary", &binary, true)?;
        power::reset(builder)?;
        for name in [
            "wait-musca-path",
            "mount-musca-usbmsd",
            "deploy-musca-test-binary",
            "unmount-musca-usbmsd",
            "wait-musca-path",
            "mount-musca-usbmsd",
            "check-musca-flash",
            "unmount-musca-usbmsd",
        ] {
            builder.later(name);
        }
        Ok(())
    })
}
