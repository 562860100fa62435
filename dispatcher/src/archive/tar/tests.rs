//! Archives as tools make them, and as nobody should.

use super::*;
use fs_err as fs;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// Builds an archive member by member, with names that the `tar` crate's own builder refuses.
#[derive(Default)]
struct Archive(Vec<u8>);

impl Archive {
    fn member(mut self, kind: u8, name: &str, link: &str, contents: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::new(kind));
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_mode(0o4755);
        header.set_mtime(1_600_000_000);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, contents: &str) -> Self {
        self.member(b'0', name, "", contents.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

struct Place {
    outer: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("inner")).unwrap();
        Self { outer }
    }

    fn inner(&self) -> PathBuf {
        self.outer.path().join("inner")
    }

    fn unpack(&self, archive: &[u8]) -> Result<Unpacked, ArchiveError> {
        unpack_tar(archive, &self.inner(), &UnpackOptions::default())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.inner().join(name)).unwrap()
    }

    /// Asserts that nothing but the directory itself is there.
    fn assert_clean_outside(&self) {
        let names: Vec<_> = fs::read_dir(self.outer.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["inner"]);
    }
}

#[test]
fn files_directories_and_links_are_unpacked() {
    let place = Place::new();
    let archive = Archive::default()
        .member(b'5', "./", "", b"")
        .member(b'5', "./bin/", "", b"")
        .file("./bin/busybox", "program")
        .member(b'2', "./bin/sh", "busybox", b"")
        .member(b'1', "./bin/ash", "./bin/busybox", b"")
        .file("deep/er/file", "text")
        .member(b'2', "lib", "deep", b"")
        .file("lib/through", "a link inside")
        .file("bin/busybox", "replaced")
        .end();
    let unpacked = place.unpack(&archive).unwrap();
    assert_eq!(unpacked.members, 8);
    assert_eq!(unpacked.bytes, 7 + 4 + 13 + 8);
    assert_eq!(place.read("bin/sh"), "replaced");
    assert_eq!(place.read("bin/ash"), "program");
    assert_eq!(place.read("deep/through"), "a link inside");
    let metadata = fs::metadata(place.inner().join("bin/busybox")).unwrap();
    assert_eq!(
        metadata.permissions().mode() & 0o7777,
        0o755,
        "no set-id bits"
    );
    assert_eq!(metadata.mtime(), 1_600_000_000);
}

#[test]
fn device_nodes_are_left_out_and_told() {
    let place = Place::new();
    let archive = Archive::default()
        .member(b'3', "dev/console", "", b"")
        .member(b'6', "dev/initctl", "", b"")
        .file("init", "x")
        .end();
    let unpacked = place.unpack(&archive).unwrap();
    assert_eq!(unpacked.skipped, ["dev/console", "dev/initctl"]);
    assert_eq!((unpacked.skipped_count, unpacked.members), (2, 1));
    assert!(!place.inner().join("dev").exists());
}

#[test]
fn leading_directories_are_stripped_of_names_and_hard_links() {
    let place = Place::new();
    let archive = Archive::default()
        .member(b'5', "project-1.0/", "", b"")
        .file("project-1.0/test.yaml", "steps")
        .member(b'1', "project-1.0/same.yaml", "project-1.0/test.yaml", b"")
        .file("top", "left out")
        .end();
    let options = UnpackOptions {
        strip_components: 1,
        ..UnpackOptions::default()
    };
    unpack_tar(archive.as_slice(), &place.inner(), &options).unwrap();
    assert_eq!(place.read("same.yaml"), "steps");
    assert!(!place.inner().join("top").exists());
}

#[test]
fn no_member_leaves_the_directory() {
    let absolute = Place::new().outer.path().join("absolute");
    let absolute = absolute.to_str().unwrap().to_owned();
    let attacks = [
        Archive::default().file("../evil", "x"),
        Archive::default().file("a/../../evil", "x"),
        Archive::default().file("..", "x"),
        Archive::default().file(&absolute, "x"),
        Archive::default().member(b'5', "../evil/", "", b""),
        Archive::default().member(b'2', "../evil", "x", b""),
        Archive::default()
            .member(b'2', "out", "..", b"")
            .file("out/evil", "x"),
        Archive::default()
            .member(b'2', "out", "/tmp", b"")
            .file("out/evil", "x"),
        Archive::default()
            .member(b'2', "out", "..", b"")
            .member(b'5', "out/evil/", "", b""),
        Archive::default()
            .member(b'2', "out", "..", b"")
            .member(b'2', "out/evil", "x", b""),
        Archive::default().member(b'1', "hard", "../inner", b""),
        Archive::default().member(b'1', "hard", "/etc/passwd", b""),
        Archive::default()
            .member(b'2', "out", "/etc", b"")
            .member(b'1', "hard", "out/passwd", b""),
        Archive::default()
            .member(b'2', "a", "..", b"")
            .member(b'2', "b", "a", b"")
            .file("b/inner/../evil", "x"),
        Archive::default()
            .file("dir/first", "keeps the directory open")
            .member(b'2', "dir/up", "../..", b"")
            .file("dir/up/evil", "x"),
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let place = Place::new();
        let error = place.unpack(&attack.end()).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Escapes { .. }),
            "{number}: {error:?}"
        );
        place.assert_clean_outside();
        let fault = error.into_fault("rootfs");
        assert_eq!(fault.class, job::FaultClass::Job);
        assert!(
            fault.message.contains("climbs out of its directory"),
            "{}",
            fault.message
        );
    }
}

#[test]
fn a_file_never_follows_the_link_it_replaces() {
    let place = Place::new();
    let victim = place.outer.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let archive = Archive::default()
        .member(b'2', "name", "../victim", b"")
        .file("name", "overwritten")
        .end();
    place.unpack(&archive).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(place.read("name"), "overwritten");
}

#[test]
fn outward_links_are_kept_or_refused_as_asked() {
    for (name, link, outward) in [
        ("bin/sh", "/bin/busybox", true),
        ("bin/sh", "../../etc/shadow", true),
        ("bin/sh", "x/../../../etc", true),
        ("bin/sh", "../lib/x", false),
        ("sh", "bin/./sh", false),
    ] {
        let archive = Archive::default().member(b'2', name, link, b"").end();
        Place::new().unpack(&archive).unwrap();
        let options = UnpackOptions {
            refuse_outward_links: true,
            ..UnpackOptions::default()
        };
        let result = unpack_tar(archive.as_slice(), &Place::new().inner(), &options);
        assert_eq!(result.is_err(), outward, "{name} -> {link}");
    }
}

#[test]
fn limits_hold() {
    let place = Place::new();
    let archive = Archive::default().file("a", "x").file("b", "x").end();
    let with = |limits| UnpackOptions {
        limits,
        ..UnpackOptions::default()
    };
    let few = with(Limits {
        members: 1,
        ..Limits::default()
    });
    let error = unpack_tar(archive.as_slice(), &place.inner(), &few).unwrap_err();
    assert!(matches!(error, ArchiveError::TooManyMembers { limit: 1 }));
    let small = with(Limits {
        bytes: 1024,
        ..Limits::default()
    });
    let error = unpack_tar(archive.as_slice(), &place.inner(), &small).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { limit: 1024 }));
    // An endless tail is bounded as well.
    let error = unpack_tar(io::repeat(0), &place.inner(), &small).unwrap_err();
    assert!(matches!(error, ArchiveError::TooLarge { .. }));
}

#[test]
fn a_long_name_of_a_gigabyte_is_refused_at_once() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 30);
    header.set_cksum();
    let error = Place::new().unpack(header.as_bytes()).unwrap_err();
    assert!(matches!(error, ArchiveError::Corrupt { .. }), "{error:?}");
}

#[test]
fn what_is_no_archive_is_told_so() {
    for bytes in [&b"<!doctype html>"[..], &[7; 4096], b""] {
        let error = Place::new().unpack(bytes).unwrap_err();
        assert!(
            matches!(
                error,
                ArchiveError::Corrupt { .. } | ArchiveError::Truncated { .. }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_cut_names_the_member() {
    let archive = Archive::default()
        .file("etc/hostname", &"x".repeat(3000))
        .end();
    let error = Place::new().unpack(&archive[..2000]).unwrap_err();
    assert!(error.to_string().contains("etc/hostname"), "{error}");
    // Headers that are cut too, but not an archive without its end marker: some tools make those.
    assert!(Place::new().unpack(&archive[..100]).is_err());
    assert!(
        Place::new()
            .unpack(&archive[..archive.len() - 1024])
            .is_ok()
    );
}

#[test]
fn names_of_other_formats_are_read() {
    for format in [
        "--format=gnu",
        "--format=posix",
        "--format=ustar",
        "--format=v7",
    ] {
        let source = tempfile::tempdir().unwrap();
        let long =
            "directory/".repeat(8) + &"n".repeat(if format.ends_with("v7") { 9 } else { 90 });
        fs::create_dir_all(source.path().join(&long).parent().unwrap()).unwrap();
        fs::write(source.path().join(&long), "found").unwrap();
        let archive = source.path().join("a.tar");
        let Some(()) = tar_tool(&[
            "-C".as_ref(),
            source.path().as_os_str(),
            "-cf".as_ref(),
            archive.as_os_str(),
            format.as_ref(),
            "directory".as_ref(),
        ]) else {
            eprintln!("SKIPPED: tar(1) is not installed");
            return;
        };
        let place = Place::new();
        place.unpack(&fs::read(&archive).unwrap()).unwrap();
        assert_eq!(place.read(&long), "found", "{format}");
    }
}

/// Runs tar(1); `None` when there is none.
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its fixture with the real tool"
)]
fn tar_tool(arguments: &[&std::ffi::OsStr]) -> Option<()> {
    let status = std::process::Command::new("tar")
        .args(arguments)
        .status()
        .ok()?;
    assert!(status.success());
    Some(())
}

proptest! {
    /// Whatever the bytes are, nothing panics and nothing appears outside.
    #[test]
    fn mutated_archives_stay_inside(
        at in proptest::collection::vec((0_usize..4096, any::<u8>()), 0..6),
        fix in any::<bool>(),
        name in "[a-c./]{1,12}",
        link in "[a-c./]{1,12}",
        kinds in proptest::collection::vec(prop::sample::select(b"0125LKxg".to_vec()), 3),
    ) {
        let mut archive = Archive::default()
            .member(kinds[0], &name, &link, b"contents")
            .member(kinds[1], &link, &name, b"12 path=../a\n")
            .member(kinds[2], &name, "", b"more")
            .end();
        for (at, byte) in at {
            let length = archive.len();
            archive[at % length] = byte;
        }
        if fix {
            for start in (0..archive.len() - 511).step_by(1024) {
                let mut header = tar::Header::new_gnu();
                header.as_mut_bytes().copy_from_slice(&archive[start..start + 512]);
                header.set_cksum();
                archive[start..start + 512].copy_from_slice(header.as_bytes());
            }
        }
        let place = Place::new();
        let _ = place.unpack(&archive);
        place.assert_clean_outside();
    }
}
