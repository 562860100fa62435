//! Ext file systems with overlays in them, read back by e2fsprogs.

use crate::support::{build, has, inline, overlay, runtime, script};
use dispatcher::overlay::{
    HostCommands,
    ext::{
        guest,
        image::{ExtInjection, inject},
    },
    inject::{InjectReport, OverlayInput},
};
use fs_err as fs;
use job::{Fault, FaultClass};
use std::{future::Future, path::Path, time::Duration};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn a_guest_image_holds_the_overlay_owned_by_root() {
    if !has("mke2fs") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut overlay = overlay(Path::new("/"), "/bin/sh");
    overlay.results_dir = "/lava-1003".to_owned();
    let definition = inline(&overlay, 0, "a", "run: {steps: [echo a]}");
    let builder = build(&directory.path().join("tree"), &overlay, &[definition]);
    let results = builder.results_directory();
    // As when somebody else than root runs the job.
    let owned = script(
        &results,
        "ln -s bin link; chown -h 1234:5678 link bin/lava-test-case tests 2>/dev/null && echo changed || true",
    );
    let image = directory.path().join("guest.img");
    let made = block_on(guest::create(&results, 64, &image, &HostCommands, soon())).unwrap();
    assert_eq!(made.path, image);
    let image_text = script(
        directory.path(),
        "e2fsck -fn guest.img >/dev/null 2>&1; \
         dumpe2fs -h guest.img 2>/dev/null | sed -n 's/^Filesystem UUID: *//p'; \
         for path in / /bin /0/tests/0_a; do debugfs -R \"ls -p $path\" guest.img 2>/dev/null; done",
    );
    let mut lines = image_text.lines();
    assert_eq!(lines.next(), Some(made.uuid.as_str()));
    let entries: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    for (place, mode) in [
        ("lava-test-case", "100755"),
        ("run.sh", "100755"),
        ("environment", "100644"),
        ("link", "120777"),
    ] {
        let wanted = format!("/{mode}/0/0/{place}/");
        assert!(
            entries.iter().any(|line| line.contains(&wanted)),
            "{wanted} {owned}\n{entries:#?}"
        );
    }
    for entry in &entries {
        let owner: Vec<&str> = entry.split('/').skip(3).take(2).collect();
        assert_eq!(owner, ["0", "0"], "{entry}");
    }
    // Sparse: what is not used takes no room.
    let used = script(directory.path(), "stat -c %b guest.img");
    assert!(
        used.trim().parse::<u64>().unwrap() * 512 < 16 << 20,
        "{used}"
    );
}

#[test]
fn an_overlay_too_large_for_the_guest_image_is_the_jobs_fault() {
    if !has("mke2fs") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("large"), vec![1; 5 << 20]).unwrap();
    let image = directory.path().join("guest.img");
    let fault = block_on(guest::create(&tree, 4, &image, &HostCommands, soon())).unwrap_err();
    assert_eq!(fault.class, FaultClass::Job, "{fault}");
    assert!(fault.hint.unwrap().contains("guestfs_size"));
}

struct Workshop {
    directory: TempDir,
}

impl Workshop {
    /// A file system with a link, and overlays of each kind.
    fn new(make: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let workshop = Self { directory };
        workshop.script(
            "mkdir -p root/usr/lib/firmware root/etc root/tmp over/lava-1/bin over/lib/firmware; \
             ln -s usr/lib root/lib; echo old > root/etc/motd; echo old > root/usr/lib/firmware/blob; \
             chmod 1777 root/tmp; chmod 700 root/usr/lib; \
             echo run > over/lava-1/bin/run; chmod 755 over/lava-1/bin/run; \
             ln over/lava-1/bin/run over/lava-1/bin/again; ln -s run over/lava-1/bin/walk; \
             echo new > over/lib/firmware/blob; echo odd > 'over/a \"b\" c'; \
             tar --owner=7 --group=8 --mtime=@1000000000 -C over -cf over.tar .; echo fresh > motd",
        );
        workshop.script(make);
        workshop
    }

    fn script(&self, text: &str) -> String {
        script(self.directory.path(), text)
    }

    fn overlays(&self) -> Vec<OverlayInput> {
        vec![
            OverlayInput::Tar {
                archive: self.directory.path().join("over.tar"),
                at: "/".to_owned(),
            },
            OverlayInput::File {
                file: self.directory.path().join("motd"),
                at: "/etc/motd".to_owned(),
            },
        ]
    }

    fn inject(
        &self,
        partition: Option<u32>,
        overlays: Vec<OverlayInput>,
    ) -> Result<InjectReport, Fault> {
        let injection = ExtInjection {
            image: self.directory.path().join("image"),
            partition,
            overlays,
        };
        let result = block_on(inject(
            &injection,
            &HostCommands,
            &CancellationToken::new(),
            soon(),
        ));
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with('.'), "{name:?}");
        }
        result
    }

    fn assert_injected(&self, device: &str) {
        self.script(&format!("e2fsck -fn '{device}'"));
        let list = |path: &str| {
            let text = self.script(&format!("debugfs -R 'ls -p {path}' '{device}' 2>/dev/null"));
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| !line.is_empty())
                .map(|line| {
                    let parts: Vec<&str> = line.split('/').collect();
                    parts[2..6].join("/")
                })
                .filter(|line| !line.ends_with('.'))
                .collect();
            lines.sort();
            lines
        };
        let cat =
            |path: &str| self.script(&format!("debugfs -R 'cat {path}' '{device}' 2>/dev/null"));
        assert_eq!(
            list("/lava-1/bin"),
            ["100755/7/8/again", "100755/7/8/run", "120777/7/8/walk"]
        );
        assert_eq!(cat("/lava-1/bin/again"), "run\n");
        assert_eq!(cat("/usr/lib/firmware/blob"), "new\n");
        assert_eq!(cat("/etc/motd"), "fresh\n");
        let root = list("/");
        for entry in ["040755/7/8/lava-1", "100644/7/8/a \"b\" c"] {
            assert!(root.iter().any(|line| line == entry), "{entry} {root:#?}");
        }
        // Those of the image belong to whoever made it.
        let kept = |lines: &[String], mode: &str, name: &str| {
            let found = lines
                .iter()
                .any(|line| line.starts_with(mode) && line.ends_with(name));
            assert!(found, "{name}: {lines:#?}");
        };
        kept(&root, "120777/", "/lib");
        kept(&root, "041777/", "/tmp");
        kept(&list("/usr"), "040700/", "/lib");
        let time = self.script(&format!(
            "debugfs -R 'stat /lava-1/bin/run' '{device}' 2>/dev/null | grep mtime"
        ));
        assert!(time.contains("0x3b9aca00"), "{time}");
    }
}

#[test]
fn file_systems_of_all_generations_take_overlays() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    for (kind, options) in [
        ("ext2", ""),
        ("ext3", ""),
        ("ext4", ""),
        ("ext4", "-b 1024 -O ^metadata_csum"),
    ] {
        let workshop = Workshop::new(&format!(
            "mke2fs -q -t {kind} {options} -E root_owner=0:0 -d root image 16M"
        ));
        let report = workshop.inject(None, workshop.overlays()).unwrap();
        assert_eq!(report.size, 16 << 20);
        workshop.assert_injected("image");
    }
}

#[test]
fn a_partition_of_a_disk_takes_overlays() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    // A table with two entries: FAT at sector 64, Linux at sector 2048.
    let workshop = Workshop::new(
        "mke2fs -q -t ext4 -E root_owner=0:0 -d root part 16M; truncate -s 1M image; \
         printf '\\0\\0\\0\\0\\014\\0\\0\\0\\100\\0\\0\\0\\1\\0\\0\\0\\0\\0\\0\\0\\203\\0\\0\\0\\0\\010\\0\\0\\0\\200\\0\\0' \
         | dd of=image bs=1 seek=446 conv=notrunc 2>/dev/null; \
         printf '\\125\\252' | dd of=image bs=1 seek=510 conv=notrunc 2>/dev/null; cat part >> image",
    );
    workshop.inject(Some(1), workshop.overlays()).unwrap();
    workshop.assert_injected("image?offset=1048576");
    for (partition, part) in [(0, "no ext file system"), (5, "has 2 partitions")] {
        let fault = workshop
            .inject(Some(partition), workshop.overlays())
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Job);
        assert!(fault.message.contains(part), "{fault}");
    }
}

#[test]
fn a_full_file_system_grows_with_its_image() {
    if !has("mke2fs") || !has("debugfs") || !has("resize2fs") {
        return;
    }
    let workshop = Workshop::new("mke2fs -q -t ext4 -E root_owner=0:0 -d root image 8M");
    workshop.script("head -c 20000000 /dev/urandom > large");
    let mut overlays = workshop.overlays();
    overlays.push(OverlayInput::File {
        file: workshop.directory.path().join("large"),
        at: "/srv/large".to_owned(),
    });
    let report = workshop.inject(None, overlays).unwrap();
    assert!(report.size > 20_000_000);
    workshop.assert_injected("image");
    workshop.script("debugfs -R 'dump /srv/large back' image 2>/dev/null; cmp large back");
}

#[test]
fn a_file_system_that_was_not_unmounted_is_checked_first() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    let workshop = Workshop::new(
        "mke2fs -q -t ext4 -E root_owner=0:0 -d root image 16M; \
         debugfs -w -R 'set_super_value state 0' image 2>/dev/null",
    );
    let report = workshop.inject(None, workshop.overlays()).unwrap();
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.message.contains("not unmounted"))
    );
    workshop.assert_injected("image");
}

#[test]
fn what_is_no_ext_file_system_is_refused_with_a_hint() {
    if !has("mke2fs") || !has("debugfs") {
        return;
    }
    for make in [
        ": > image",
        "echo '<html>' > image",
        "head -c 100000 /dev/zero > image",
        "mke2fs -q -t ext4 image 8M; truncate -s 1000 image",
    ] {
        let workshop = Workshop::new(make);
        let fault = workshop.inject(None, workshop.overlays()).unwrap_err();
        assert_eq!(fault.class, FaultClass::Job, "{make}: {fault}");
        assert!(fault.hint.is_some(), "{make}");
    }
}
