//! Compose services beside the device.

use crate::{
    bootloader,
    builder::{Builder, Planned, Spec, read},
    download,
};
use job::{FaultClass, definition::UrlBlock, document::Cursor};
use std::collections::BTreeMap;

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    let services = builder.cursor().get("services");
    let services = read(|problems| services.map_or_else(Vec::new, |list| list.items(problems)))?;
    builder.nest(Spec::group("lava-test-services"), |builder| {
        for service in &services {
            let retry = Spec::group("lava-test-service-retry").retrying();
            builder.nest(retry, |builder| {
                let spec = bootloader::later(builder, "lava-test-service");
                builder.nest(spec.on_timeout(FaultClass::Test).skippable(), |builder| {
                    fetch(builder, service)
                })
            })?;
        }
        Ok(())
    })
}

/// Fetches a compose file that comes in an archive; git is asked when the service starts.
fn fetch(builder: &mut Builder<'_, '_>, service: &Cursor<'_>) -> Planned {
    let from = read(|problems| service.text_at("from", problems))?;
    if from.as_deref() != Some("url") {
        return Ok(());
    }
    let (name, url, compression) = read(|problems| {
        (
            service.text_at("name", problems),
            service.text_at("repository", problems),
            service.text_at("compression", problems),
        )
    })?;
    let archive = UrlBlock {
        url: url.ok_or_else(|| service.missing("repository"))?,
        headers: BTreeMap::new(),
        compression,
        archive: Some("tar".to_owned()),
        md5sum: None,
        sha256sum: None,
        sha512sum: None,
        use_cache: true,
        image_arg: None,
        injection: None,
    };
    let label = name.ok_or_else(|| service.missing("name"))?;
    download::add(builder, &label, &archive, service, true)
}
