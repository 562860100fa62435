//! URLs of downloads: which there are, what they are called here, and how they are shown.

use super::failure::Failure;
use crate::archive::Compression;
use plan::step::Download;
use reqwest::Url;
use std::path::{Component, Path, PathBuf};

/// Longest file name taken from a URL; file systems end at 255 bytes.
const LONGEST_NAME: usize = 200;

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A file of this host.
    File(PathBuf),
    /// A web server's.
    Http(Url),
}

impl Location {
    /// Where a download comes from.
    pub(super) fn of(download: &Download) -> Result<Self, Failure> {
        let url = Url::parse(download.url.trim()).map_err(|error| Failure::BadUrl {
            detail: error.to_string(),
        })?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Http(url)),
            "file" => match url.to_file_path() {
                Ok(path) => Ok(Self::File(path)),
                Err(()) => Err(Failure::BadUrl {
                    detail: "a file URL needs an absolute path: file:///path".into(),
                }),
            },
            scheme => Err(Failure::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    /// The path the file gets.
    pub(super) fn destination(
        &self,
        download: &Download,
        deploy_directory: &Path,
    ) -> Result<PathBuf, Failure> {
        let mut path = deploy_directory.to_owned();
        if let Some(directory) = &download.directory {
            path.push(single_name(directory).ok_or_else(|| Failure::BadName {
                name: directory.clone(),
            })?);
        }
        let label = single_name(&download.label).ok_or_else(|| Failure::BadName {
            name: download.label.clone(),
        })?;
        let name = self.file_name().unwrap_or_else(|| PathBuf::from(label));
        let decompressed = compression(download)?.is_some() && download.decompress;
        // LAVA drops the last suffix, whatever it is.
        path.push(match name.file_stem() {
            Some(stem) if decompressed => Path::new(stem),
            _ => name.as_path(),
        });
        Ok(path)
    }

    /// The last part of the path, decoded.
    fn file_name(&self) -> Option<PathBuf> {
        let name = match self {
            Self::File(path) => path.file_name()?.to_owned().into(),
            Self::Http(url) => PathBuf::from(percent_decoded(url.path().rsplit('/').next()?)?),
        };
        single_name(name.to_str()?).map(PathBuf::from)
    }
}

/// How a download says it is compressed.
pub(super) fn compression(download: &Download) -> Result<Option<Compression>, Failure> {
    download
        .compression
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|error: crate::archive::UnknownCompression| Failure::Compression(error))
}

/// The text when it is one name of a directory: not empty, no `/`, not `..`, not too long.
fn single_name(text: &str) -> Option<&str> {
    let mut components = Path::new(text).components();
    let single = matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(only)), None) if only == text
    );
    (single && text.len() <= LONGEST_NAME && !text.contains('\0')).then_some(text)
}

pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digits = (byte == b'%').then(|| (ahead.next(), ahead.next()));
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match digits.and_then(|(high, low)| Some(digit(high)? << 4 | digit(low)?)) {
            Some(value) => {
                bytes.push(u8::try_from(value).ok()?);
                rest = ahead;
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A URL as it may be shown and logged: without user and password, without the values of query
/// parameters that look like credentials. Otherwise unchanged, to the byte; what cannot be parsed,
/// perhaps a URL with a typing error, is masked all the same.
pub fn masked(text: &str) -> String {
    let (address, query) = match text.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (text, None),
    };
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = address.split_at(after_scheme);
    // A password may hold a slash although it should not: better too much hidden than too little.
    let end = if after_scheme > 0 && Url::parse(text.trim()).is_ok() {
        rest.find('/').unwrap_or(rest.len())
    } else {
        rest.len()
    };
    let mut shown = match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}***{}", &rest[at..]),
        None => address.to_owned(),
    };
    if let Some(query) = query {
        shown.push('?');
        let parts = query.split('&').map(masked_parameter);
        shown.push_str(&parts.collect::<Vec<_>>().join("&"));
    }
    shown
}

fn masked_parameter(parameter: &str) -> String {
    const SECRETS: [&str; 9] = [
        "token",
        "secret",
        "password",
        "passwd",
        "signature",
        "credential",
        "auth",
        "key",
        "sig",
    ];
    match parameter.split_once('=') {
        Some((name, value)) if !value.is_empty() => {
            let lower = name.to_ascii_lowercase();
            let secret = SECRETS.iter().any(|secret| lower.contains(secret));
            if secret {
                format!("{name}=***")
            } else {
                parameter.to_owned()
            }
        }
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::checksum::tests::download, *};
    use proptest::prelude::*;

    fn destination(change: impl FnOnce(&mut Download)) -> Result<String, Failure> {
        let mut download = download("http://host/dir/Image.gz");
        change(&mut download);
        let path = Location::of(&download)?.destination(&download, Path::new("/d"))?;
        Ok(path.to_str().unwrap().to_owned())
    }

    #[test]
    fn files_get_the_name_of_the_url_in_the_directory_of_the_key() {
        assert_eq!(destination(|_| ()).unwrap(), "/d/kernel/Image.gz");
        assert_eq!(destination(|d| d.directory = None).unwrap(), "/d/Image.gz");
        let gz = |d: &mut Download| d.compression = Some("gz".into());
        assert_eq!(destination(gz).unwrap(), "/d/kernel/Image");
        let kept = |d: &mut Download| {
            gz(d);
            d.decompress = false;
        };
        assert_eq!(destination(kept).unwrap(), "/d/kernel/Image.gz");
        let plain = |d: &mut Download| {
            gz(d);
            d.url = "file:///srv/Image".into();
        };
        assert_eq!(destination(plain).unwrap(), "/d/kernel/Image");
        let encoded = |d: &mut Download| d.url = "http://h/my%20image?x=/y#z".into();
        assert_eq!(destination(encoded).unwrap(), "/d/kernel/my image");
    }

    #[test]
    fn a_url_without_a_usable_name_takes_the_label() {
        for url in [
            "http://h/",
            "http://h",
            "http://h/a%2Fb",
            "http://h/..%2f",
            "http://h/%00",
        ] {
            assert_eq!(
                destination(|d| d.url = url.into()).unwrap(),
                "/d/kernel/kernel",
                "{url}"
            );
        }
        let long = format!("http://h/{}", "x".repeat(300));
        assert_eq!(destination(|d| d.url = long).unwrap(), "/d/kernel/kernel");
    }

    #[test]
    fn labels_and_directories_never_climb() {
        for bad in ["..", "a/b", "/etc", "", "."] {
            assert!(destination(|d| d.label = bad.into()).is_err(), "{bad}");
            assert!(
                destination(|d| d.directory = Some(bad.into())).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        for url in ["scp://host/file", "ftp://host/file", "downloads://x"] {
            assert!(matches!(
                destination(|d| d.url = url.into()),
                Err(Failure::Scheme { .. })
            ));
        }
        for url in ["vmlinuz", "http://", "file://host/x", ""] {
            assert!(
                matches!(
                    destination(|d| d.url = url.into()),
                    Err(Failure::BadUrl { .. })
                ),
                "{url}"
            );
        }
    }

    #[test]
    fn secrets_are_masked_and_nothing_else_is_touched() {
        for (url, shown) in [
            ("http://h/a?b=c&d", "http://h/a?b=c&d"),
            ("HTTP://h:80/%7e", "HTTP://h:80/%7e"),
            ("http://user:pass@h/a", "http://***@h/a"),
            ("http://token@h/a", "http://***@h/a"),
            (
                "https://h/a?X-Amz-Signature=abc&x=1",
                "https://h/a?X-Amz-Signature=***&x=1",
            ),
            (
                "https://h/a?private_token=abc",
                "https://h/a?private_token=***",
            ),
            ("http://user:pa ss@h:x/a", "http://***@h:x/a"),
            ("htp//me:pass@h?token=x", "***@h?token=***"),
            ("http://h/@file", "http://h/@file"),
            ("/relative?sig=x&a", "/relative?sig=***&a"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }

    proptest! {
        #[test]
        fn a_destination_is_always_below_its_directory(url in "(http://h|file://)/[a-z%0-9./?#\\\\]{0,20}", label in ".{0,6}") {
            if let Ok(path) = destination(|d| { d.url = url; d.label = label; }) {
                let rest = path.strip_prefix("/d/kernel/").unwrap();
                prop_assert!(!rest.is_empty() && !rest.contains('/') && rest != "..");
            }
        }

        #[test]
        fn a_password_is_never_shown(password in "[a-zA-Z0-9!~]{6,12}") {
            let shown = masked(&format!("https://me:{password}@host/file?token={password}&a=b"));
            prop_assert!(!shown.contains(&password), "{shown}");
        }
    }
}
