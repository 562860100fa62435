//! Images with overlays in them, read back by the tools that others use.

use crate::support::{build, command, has, inline, overlay, script};
use dispatcher::overlay::inject::{Format, InjectReport, Injection, OverlayInput, inject};
use fs_err as fs;
use job::{Fault, FaultClass};
use proptest::prelude::*;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How to compress, as people do for Linux.
const PACKINGS: [(&str, &str); 6] = [
    ("none", "cat"),
    ("gz", "gzip -9n"),
    ("bz2", "bzip2"),
    ("xz", "xz --check=crc32"),
    ("zstd", "zstd -q -19"),
    ("lz4", "lz4 -q -l"),
];

struct Workshop {
    directory: TempDir,
}

impl Workshop {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn script(&self, text: &str) -> String {
        script(self.directory.path(), text)
    }

    /// A small root with what is easily lost: modes, owners, links and devices.
    fn root_archive(&self) -> PathBuf {
        self.script(
            "mkdir -p root/usr/lib root/tmp root/etc; ln -s usr/lib root/lib; \
             chmod 1777 root/tmp; echo hi > root/etc/motd; ln root/etc/motd root/etc/issue; \
             cp /bin/sh root/suid; chmod 4755 root/suid; \
             (cd root && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 12:34) > root.cpio; \
             (cd / && printf 'dev\\ndev/null\\n' | cpio --quiet -o -H newc) > dev.cpio",
        );
        self.path("root.cpio")
    }

    fn directory_overlay(&self) -> OverlayInput {
        self.script(
            "mkdir -p over/lava-1/bin over/lib/firmware; echo '#!/bin/sh' > over/lava-1/bin/run; \
             chmod 755 over/lava-1/bin/run; ln -s run over/lava-1/bin/walk; \
             echo blob > over/lib/firmware/blob",
        );
        OverlayInput::Directory {
            directory: self.path("over"),
            at: "/".to_owned(),
        }
    }

    fn inject(&self, image: &str, overlays: &[OverlayInput]) -> Result<InjectReport, Fault> {
        self.inject_as(Format::Cpio, image, overlays)
    }

    fn inject_as(
        &self,
        format: Format,
        image: &str,
        overlays: &[OverlayInput],
    ) -> Result<InjectReport, Fault> {
        let (image, output) = (self.path(image), self.path("out"));
        let injection = Injection {
            image: &image,
            format,
            compression: None,
            overlays,
            output: &output,
        };
        inject(&injection, &CancellationToken::new())
    }

    /// Nothing but what the test made: no half a result.
    fn assert_no_leftovers(&self) {
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with('.'), "{name:?}");
        }
    }
}

/// The listing of an archive by the real `cpio`, without times and links.
fn listing(archive: &[u8]) -> Vec<String> {
    let mut child = command("cpio")
        .args(["--quiet", "-itvn"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(archive).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let name = words[8..].join(" ");
            format!("{} {} {} {name}", words[0], words[2], words[3])
        })
        .collect()
}

fn unpacked(bytes: &[u8], packing: &str) -> Vec<u8> {
    let program = match packing {
        "none" => return bytes.to_vec(),
        "gz" => "gzip",
        "bz2" => "bzip2",
        "xz" => "xz",
        "zstd" => "zstd",
        "lz4" => "lz4",
        other => panic!("{other}"),
    };
    let mut child = command(program)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

#[test]
fn an_archive_is_appended_and_the_image_is_not_touched() {
    if !has("cpio") {
        return;
    }
    for (name, compress) in PACKINGS {
        if name != "none" && !has(compress.split(' ').next().unwrap()) {
            continue;
        }
        let workshop = Workshop::new();
        workshop.root_archive();
        workshop.script(&format!("{compress} < root.cpio > image"));
        let overlay = workshop.directory_overlay();
        let report = workshop.inject("image", &[overlay]).unwrap();
        let (image, out) = (
            fs::read(workshop.path("image")).unwrap(),
            fs::read(workshop.path("out")).unwrap(),
        );
        assert_eq!(report.size, out.len() as u64);
        assert!(out.starts_with(&image), "{name}");
        let appended = match name {
            // Whose frames follow each other without padding.
            "lz4" => image.len(),
            _ => image.len().next_multiple_of(4),
        };
        assert!(out[image.len()..appended].iter().all(|&byte| byte == 0));
        assert_eq!(
            listing(&unpacked(&out[appended..], name)),
            [
                "drwxr-xr-x 0 0 lava-1",
                "drwxr-xr-x 0 0 lava-1/bin",
                "-rwxr-xr-x 0 0 lava-1/bin/run",
                "lrwxrwxrwx 0 0 lava-1/bin/walk -> run",
                // Through the image's own link, and without touching usr/lib.
                "drwxr-xr-x 0 0 usr/lib/firmware",
                "-rw-r--r-- 0 0 usr/lib/firmware/blob",
            ],
            "{name}"
        );
        workshop.assert_no_leftovers();
    }
}

#[test]
fn images_of_several_archives_are_read_to_their_end() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    // Microcode first, as distributions have it; padding; two streams; a plain one at the end.
    workshop.script(
        "mkdir -p early/kernel/x86/microcode; echo x > early/kernel/x86/microcode/blob.bin; \
         (cd early && find . | cpio --quiet -o -H newc) > early.cpio; \
         gzip -c root.cpio > one.gz; gzip -c dev.cpio > two.gz; \
         head -c 300 /dev/zero > zeros; \
         cat early.cpio one.gz zeros two.gz > image; \
         truncate -s %4 image; cat dev.cpio zeros >> image",
    );
    let overlay = workshop.directory_overlay();
    let report = workshop.inject("image", &[overlay]).unwrap();
    let text: Vec<&str> = report
        .notes
        .iter()
        .map(|note| note.message.as_str())
        .collect();
    let archives = text
        .iter()
        .filter(|message| message.starts_with("* archive at byte"))
        .count();
    assert_eq!(archives, 4, "{text:#?}");
    assert!(
        text.iter()
            .any(|message| message.contains("archive at byte 0 (none)")),
        "{text:#?}"
    );
}

#[test]
fn a_boot_configuration_stays_last() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    let mut image = fs::read(workshop.path("root.cpio")).unwrap();
    let archive = image.len();
    let data = b"kernel.console = ttyS0\n\0";
    image.extend(data);
    image.extend((data.len() as u32).to_le_bytes());
    image.extend(
        data.iter()
            .map(|&byte| u32::from(byte))
            .sum::<u32>()
            .to_le_bytes(),
    );
    image.extend(b"#BOOTCONFIG\n");
    fs::write(workshop.path("image"), &image).unwrap();
    workshop
        .inject("image", &[workshop.directory_overlay()])
        .unwrap();
    let out = fs::read(workshop.path("out")).unwrap();
    assert!(out.starts_with(&image[..archive]));
    assert!(out.ends_with(&image[archive..]));
    assert!(out.len() > image.len());
}

#[test]
fn a_tar_overlay_keeps_owners_modes_devices_and_hard_links() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    let long = format!("deep/{}file", "directory-with-a-long-name/".repeat(6));
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind: tar::EntryType, link: &str, contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o4751);
        header.set_uid(1000);
        header.set_gid(50);
        header.set_mtime(1);
        header.set_size(contents.len() as u64);
        if kind.is_character_special() {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        if link.is_empty() {
            builder.append_data(&mut header, name, contents).unwrap();
        } else {
            builder.append_link(&mut header, name, link).unwrap();
        }
    };
    add("console", tar::EntryType::Char, "", b"");
    add("first", tar::EntryType::Regular, "", b"contents");
    add("second", tar::EntryType::Link, "first", b"");
    add(&long, tar::EntryType::Regular, "", b"x");
    let archive = builder.into_inner().unwrap();
    fs::write(workshop.path("over.tar"), archive).unwrap();
    workshop.script("gzip over.tar");
    let input = OverlayInput::Tar {
        archive: workshop.path("over.tar.gz"),
        at: "/srv/".to_owned(),
    };
    workshop.inject("root.cpio", &[input]).unwrap();
    let image = fs::metadata(workshop.path("root.cpio")).unwrap().len() as usize;
    let out = fs::read(workshop.path("out")).unwrap();
    let appended = &out[image..];
    let lines = listing(appended);
    assert_eq!(lines[0], "drwxr-xr-x 0 0 srv");
    // Devices have two numbers where files have a size.
    assert!(lines[1].starts_with("crwsr-x--x 1000 50 "), "{lines:?}");
    assert!(lines[1].ends_with(" srv/console"), "{lines:?}");
    assert_eq!(lines[2], "-rwsr-x--x 1000 50 srv/first");
    assert_eq!(lines[3], "-rwsr-x--x 1000 50 srv/second");
    let last = lines.last().unwrap();
    assert!(last.ends_with(&format!("srv/{long}")), "{last}");
    fs::write(workshop.path("appended.cpio"), appended).unwrap();
    let linked = workshop.script(
        "mkdir there; cd there; cpio --quiet -idm --no-absolute-filenames \
         'srv/first' 'srv/second' < ../appended.cpio; cat srv/second; stat -c %h srv/first",
    );
    assert_eq!(linked, "contents2\n");
}

#[test]
fn single_files_go_to_their_place() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    workshop.script("echo new > motd; chmod 640 motd");
    let file = |at: &str| OverlayInput::File {
        file: workshop.path("motd"),
        at: at.to_owned(),
    };
    workshop
        .inject("root.cpio", &[file("/etc/motd"), file("/lib/new/")])
        .unwrap();
    let image = fs::metadata(workshop.path("root.cpio")).unwrap().len() as usize;
    let out = fs::read(workshop.path("out")).unwrap();
    assert_eq!(
        listing(&out[image..]),
        [
            "-rw-r----- 0 0 etc/motd",
            "drwxr-xr-x 0 0 usr/lib/new",
            "-rw-r----- 0 0 usr/lib/new/motd",
        ]
    );
    for wrong in ["/etc", "/etc/../../x", ".."] {
        let fault = workshop.inject("root.cpio", &[file(wrong)]).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{wrong}: {fault}");
    }
}

#[test]
fn what_is_no_initramfs_is_refused_with_a_hint() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    workshop.script(
        "printf '<html>404</html>' > page; : > empty; head -c 5000 /dev/zero > zeros; \
         printf '\\047\\005\\031\\126header' > uimage; \
         gzip -c root.cpio > whole.gz; head -c 5000 whole.gz > cut.gz; \
         head -c 5000 root.cpio > cut; echo text | gzip > text.gz; \
         (cat root.cpio; echo more) > trailing; (cd root; echo etc | cpio --quiet -o) > odc; \
         (cd root; echo etc | cpio --quiet -o -H odc) > odc; \
         (head -c 20000 root.cpio; printf 'XXXX'; tail -c +20005 root.cpio) > damaged; \
         cp whole.gz flipped.gz; printf 'XXXX' | dd of=flipped.gz bs=1 seek=9000 conv=notrunc 2>/dev/null; \
         tar -cf tar root",
    );
    let overlay = workshop.directory_overlay();
    for (image, part) in [
        ("page", "web page"),
        ("empty", "no file in it"),
        ("zeros", "no file in it"),
        ("uimage", "U-Boot"),
        ("cut.gz", "ends in the middle"),
        ("cut", "ends in the middle"),
        ("text.gz", "no cpio header"),
        ("trailing", "something else"),
        ("odc", "odc"),
        ("tar", "neither"),
        ("flipped.gz", "no usable initramfs"),
    ] {
        let fault = workshop
            .inject(image, std::slice::from_ref(&overlay))
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{image}: {fault}");
        assert!(fault.message.contains(part), "{image}: {fault}");
        assert!(fault.hint.is_some(), "{image}");
        assert!(!workshop.path("out").exists(), "{image}");
    }
    let fault = workshop.inject("missing", &[]).unwrap_err();
    assert_eq!(fault.class, FaultClass::Infrastructure);
    workshop.assert_no_leftovers();
}

#[test]
fn overlays_that_climb_out_or_are_damaged_are_refused() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    workshop.script(
        "mkdir d; echo x > d/x; tar -cPf up.tar d/../d/x; tar -czf ok.tar.gz root; \
         head -c 2000 ok.tar.gz > cut.tar.gz; echo '<html>' > page.tar",
    );
    for name in ["up.tar", "cut.tar.gz", "page.tar"] {
        let input = OverlayInput::Tar {
            archive: workshop.path(name),
            at: "/".to_owned(),
        };
        let fault = workshop.inject("root.cpio", &[input]).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{name}: {fault}");
        assert!(fault.message.contains(name), "{name}: {fault}");
    }
    assert!(!workshop.path("out").exists());
    workshop.assert_no_leftovers();
}

#[test]
fn a_canceled_injection_ends_soon_and_leaves_nothing() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let (image, output) = (workshop.path("root.cpio"), workshop.path("out"));
    let injection = Injection {
        image: &image,
        format: Format::Cpio,
        compression: None,
        overlays: &[workshop.directory_overlay()],
        output: &output,
    };
    let fault = inject(&injection, &cancel).unwrap_err();
    assert_eq!(fault.class, FaultClass::Canceled);
    workshop.assert_no_leftovers();
}

#[test]
fn a_full_disk_is_the_labs_fault() {
    let Some(full) = FullDisk::new() else { return };
    let workshop = Workshop::new();
    workshop.root_archive();
    let image = workshop.path("root.cpio");
    let output = full.path().join("out");
    let injection = Injection {
        image: &image,
        format: Format::Cpio,
        compression: None,
        overlays: &[workshop.directory_overlay()],
        output: &output,
    };
    let fault = inject(&injection, &CancellationToken::new()).unwrap_err();
    assert_eq!(fault.class, FaultClass::Infrastructure, "{fault}");
    assert!(fault.message.contains("no room left"), "{fault}");
    assert!(fault.hint.is_some());
    assert_eq!(fs::read_dir(full.path()).unwrap().count(), 0);
}

/// A file system with room for little, where this host allows one.
struct FullDisk(TempDir);

impl FullDisk {
    fn new() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = command("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "none"])
            .arg(directory.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(directory));
        }
        eprintln!("SKIPPED: a small file system cannot be mounted here");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let _ = command("umount").arg(self.0.path()).output();
    }
}

#[test]
fn tar_images_keep_their_members_and_get_those_of_the_overlay() {
    for (name, compress) in &PACKINGS[..5] {
        let workshop = Workshop::new();
        workshop.script(&format!(
            "mkdir -p root/usr/lib/{{a,b}} root/etc; ln -s usr/lib root/lib; chmod 700 root/usr/lib; \
             echo hi > root/etc/motd; \
             mkdir -p root/long/$(printf 'x%.0s' $(seq 90))/$(printf 'y%.0s' $(seq 90)); \
             tar --owner=12 --group=34 --numeric-owner -C root -cf root.tar .; \
             {compress} < root.tar > image"
        ));
        let overlay = workshop.directory_overlay();
        workshop
            .inject_as(Format::Tar, "image", &[overlay])
            .unwrap();
        let out = fs::read(workshop.path("out")).unwrap();
        fs::write(workshop.path("out.tar"), unpacked(&out, name)).unwrap();
        let before = workshop.script("tar --numeric-owner -tvf root.tar");
        let after = workshop.script("tar --numeric-owner -tvf out.tar");
        let added = after
            .strip_prefix(before.as_str())
            .unwrap_or_else(|| panic!("{name}\n{before}\n{after}"));
        let added: Vec<String> = added
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                format!("{} {} {}", words[0], words[1], words[5..].join(" "))
            })
            .collect();
        assert_eq!(
            added,
            [
                "drwxr-xr-x 0/0 lava-1/",
                "drwxr-xr-x 0/0 lava-1/bin/",
                "-rwxr-xr-x 0/0 lava-1/bin/run",
                "lrwxrwxrwx 0/0 lava-1/bin/walk -> run",
                "drwxr-xr-x 0/0 usr/lib/firmware/",
                "-rw-r--r-- 0/0 usr/lib/firmware/blob",
            ]
        );
        workshop.assert_no_leftovers();
    }
}

#[test]
fn what_is_no_tar_archive_is_refused_with_a_hint() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    workshop.script(
        ": > empty; echo '<html>' > page; tar -czf ok.tar.gz root; head -c 2000 ok.tar.gz > cut",
    );
    let overlay = workshop.directory_overlay();
    for image in ["empty", "page", "cut", "root.cpio"] {
        let fault = workshop
            .inject_as(Format::Tar, image, std::slice::from_ref(&overlay))
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{image}: {fault}");
        assert!(fault.message.contains("no "), "{image}: {fault}");
    }
    workshop.assert_no_leftovers();
}

/// The overlay of a job, on a root made by the tools of a distribution.
#[test]
fn the_overlay_of_a_job_unpacks_as_it_was_built() {
    if !has("cpio") {
        return;
    }
    let workshop = Workshop::new();
    workshop.root_archive();
    let tree = workshop.path("tree");
    let mut overlay = overlay(Path::new("/"), "/bin/sh");
    overlay.results_dir = "/lava-1003".to_owned();
    let definition = inline(&overlay, 0, "a", "run: {steps: [echo a]}");
    let builder = build(&tree, &overlay, &[definition]);
    let archive = workshop.path("overlay-1.1.3.tar.gz");
    dispatcher::overlay::archive::compress(builder.directory(), &archive).unwrap();
    let input = OverlayInput::Tar {
        archive,
        at: "/".to_owned(),
    };
    workshop.inject("root.cpio", &[input]).unwrap();
    workshop.script(
        "tail -c +$(($(stat -c %s root.cpio) + 1)) out > appended.cpio; mkdir there; \
         (cd there; cpio --quiet -idm < ../appended.cpio); \
         diff -r --no-dereference tree there; test -x there/lava-1003/bin/lava-test-runner",
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Damaged images are refused or taken; nothing panics, nothing is left behind.
    #[test]
    fn damaged_images_never_panic(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        packed in any::<bool>(),
        seed in archives(),
    ) {
        let workshop = Workshop::new();
        let mut image = seed;
        if packed {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&image).unwrap();
            image = encoder.finish().unwrap();
        }
        for (at, byte) in damage {
            let at = at.index(image.len());
            image[at] = byte;
        }
        if let Some(cut) = cut {
            image.truncate(cut.index(image.len()));
        }
        fs::write(workshop.path("image"), &image).unwrap();
        fs::write(workshop.path("file"), "contents").unwrap();
        let input = OverlayInput::File { file: workshop.path("file"), at: "/a/b/file".to_owned() };
        for format in [Format::Cpio, Format::Tar] {
            match workshop.inject_as(format, "image", std::slice::from_ref(&input)) {
                Ok(report) => prop_assert!(report.added > 0),
                Err(fault) => prop_assert_eq!(fault.class, FaultClass::Job, "{}", fault),
            }
        }
        workshop.assert_no_leftovers();
    }
}

/// Archives of a few members, written by hand so that every field may be odd.
fn archives() -> impl Strategy<Value = Vec<u8>> {
    let member = (
        proptest::sample::select(vec![0o100_644_u32, 0o040_755, 0o120_777, 0o020_600, 0]),
        "[a-c./]{1,12}",
        proptest::collection::vec(any::<u8>(), 0..40),
    );
    proptest::collection::vec(member, 0..6).prop_map(|members| {
        let mut out = Vec::new();
        for (mode, name, body) in members {
            push_member(&mut out, mode, &name, &body);
        }
        push_member(&mut out, 0, "TRAILER!!!", b"");
        out
    })
}

fn push_member(out: &mut Vec<u8>, mode: u32, name: &str, body: &[u8]) {
    let size = body.len();
    let name_size = name.len() + 1;
    let header = format!(
        "070701{:08X}{mode:08X}{:08X}{:08X}{:08X}{:08X}{size:08X}{:08X}{:08X}{:08X}{:08X}{name_size:08X}{:08X}",
        1, 0, 0, 1, 0, 0, 0, 0, 0, 0
    );
    out.extend(header.as_bytes());
    out.extend(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(body);
    out.resize(out.len().next_multiple_of(4), 0);
}
