//! `download-retry`: fetch a file and put overlays into it.

use crate::{
    Step,
    builder::{Builder, Planned, Spec, read},
    step::{AppendOverlays, Checksums, Download, OverlaySource},
};
use job::{
    FaultClass, Problem,
    definition::{Injection, OverlayEntry, UrlBlock},
    document::{Cursor, python_str},
};
use yaml::Map;

/// Fetches a file under the key that names it.
///
/// `own_directory`: whether it gets a directory of its own below that of the deploy.
pub(crate) fn add(
    builder: &mut Builder<'_, '_>,
    label: &str,
    file: &UrlBlock,
    at: &Cursor<'_>,
    own_directory: bool,
) -> Planned {
    let name = action_name(&file.url, at)?;
    // A system boots a compressed ramdisk as it is.
    let decompress = label != "ramdisk";
    builder.nest(Spec::group("download-retry").retrying(), |builder| {
        let download = Download {
            label: label.to_owned(),
            url: substitute(&file.url, &builder.device().static_info),
            directory: own_directory.then(|| label.to_owned()),
            compression: file.compression.clone(),
            decompress,
            unpack_tar: file.archive.as_deref() == Some("tar"),
            checksums: Checksums {
                md5: file.md5sum.clone(),
                sha256: file.sha256sum.clone(),
                sha512: file.sha512sum.clone(),
            },
            headers: file.headers.clone(),
            use_cache: file.use_cache,
        };
        builder.add(
            Spec::new(name, Step::Download(Box::new(download)))
                .on_timeout(FaultClass::Infrastructure)
                .url(&file.url),
        );
        let Some(injection) = &file.injection else {
            return Ok(());
        };
        let overlays = overlays(builder, label, injection, at)?;
        builder.add(Spec::new(
            "append-overlays",
            Step::AppendOverlays(Box::new(AppendOverlays {
                label: label.to_owned(),
                format: injection.format.clone(),
                compression: file.compression.clone().filter(|_| !decompress),
                partition: injection.partition,
                sparse: injection.sparse,
                overlays,
            })),
        ));
        Ok(())
    })
}

/// Fetches the file that a key of a block describes, where it is set.
pub(crate) fn add_key(builder: &mut Builder<'_, '_>, block: &Cursor<'_>, key: &str) -> Planned {
    match block.set(key) {
        Some(at) => add_at(builder, key, &at, true),
        None => Ok(()),
    }
}

/// Fetches the file that a part of the job describes.
pub(crate) fn add_at(
    builder: &mut Builder<'_, '_>,
    label: &str,
    at: &Cursor<'_>,
    own_directory: bool,
) -> Planned {
    let Some(file) = read(|problems| UrlBlock::read(at, problems))? else {
        return Err(at.missing("url"));
    };
    add(builder, label, &file, at, own_directory)
}

/// The images of a block; refuses a block without.
pub(crate) fn images<'a>(block: &Cursor<'a>) -> Planned<Vec<(String, Cursor<'a>)>> {
    let Some(images) = block.set("images") else {
        return Err(block
            .missing("images")
            .with_hint("these are the files to fetch"));
    };
    read(|problems| images.entries(problems))
}

/// Fetches what is to be put into an image.
fn overlays(
    builder: &mut Builder<'_, '_>,
    image: &str,
    injection: &Injection,
    at: &Cursor<'_>,
) -> Planned<Vec<OverlaySource>> {
    let mut overlays = Vec::new();
    for (name, entry) in &injection.overlays {
        let OverlayEntry::File(injected) = entry else {
            overlays.push(OverlaySource::Lava);
            continue;
        };
        let label = format!("{image}.{name}");
        add(builder, &label, &injected.file, at, true)?;
        overlays.push(OverlaySource::File {
            label,
            is_tar: injected.format == "tar",
            path: injected.path.clone(),
        });
    }
    Ok(overlays)
}

/// The name of the action for the scheme of a URL.
fn action_name(url: &str, at: &Cursor<'_>) -> Planned<&'static str> {
    let (scheme, _) = url.split_once(':').unwrap_or(("", url));
    Ok(match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => "http-download",
        "file" => "file-download",
        "scp" => "scp-download",
        "rclone" => "rclone-download",
        "downloads" => "pre-downloaded",
        _ => return Err(unknown_scheme(url, at)),
    })
}

fn unknown_scheme(url: &str, at: &Cursor<'_>) -> Problem {
    at.problem(format!("`{url}` cannot be downloaded"))
        .with_hint("a URL begins with http, https, file, scp, rclone or downloads")
}

/// Replaces `{key}` by the device's value of any key of its `static_info`.
fn substitute(url: &str, static_info: &[Map]) -> String {
    if !url.contains('{') {
        return url.to_owned();
    }
    static_info
        .iter()
        .flat_map(Map::iter)
        .fold(url.to_owned(), |url, (key, value)| {
            url.replace(
                &format!("{{{}}}", python_str(&key.value)),
                &python_str(&value.value),
            )
        })
}
