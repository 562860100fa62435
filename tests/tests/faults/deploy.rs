//! Files and test definitions that are not what the job says.

use crate::table::{Definition, INFRASTRUCTURE, JOB, section};
use flate2::{Compression, write::GzEncoder};
use integration::{Answer, BOOT, Finished, Lab, OVERLAY, Server, definition, deploy, inline, job};
use std::io::Write;

section! {
    "Files and test definitions";

    url_gone: "a URL that is gone"
        => JOB, "the server answered 404 (Not Found)", "",
        |lab| with_server(lab, "/gone", []);
    server_fails: "a server that fails"
        => INFRASTRUCTURE, "the server answered 500", "",
        |lab| with_server(lab, "/kernel", [("/kernel", Answer::Status(500))]);
    server_refuses: "a server that does not run"
        => INFRASTRUCTURE, "the server cannot be reached: Connection refused", "",
        |lab| Some(untouched(lab, &short(&deploy(&[("kernel", "url: 'http://127.0.0.1:1/kernel'")]))));
    server_breaks_off: "a server that breaks off"
        => INFRASTRUCTURE, "the transfer ended after 1000 of 4096 bytes", "",
        |lab| {
            let answer = Answer::BreakOff(vec![7; 4096], 1000);
            with_server(lab, "/kernel", [("/kernel", answer)])
        };
    server_stalls: "a server that sends nothing"
        => INFRASTRUCTURE, "there was no time left", "raise the timeout",
        |lab| with_server(lab, "/kernel", [("/kernel", Answer::Stall(4096))]);
    file_missing: "a file that is not there"
        => JOB, "nowhere.bin cannot be read: No such file or directory", "",
        |lab| with_image(lab, &format!("url: '{}'", lab.url("nowhere.bin")));
    scheme_unknown: "a URL of an unknown scheme"
        => Definition, "`gopher://localhost/kernel` cannot be downloaded", "",
        |lab| with_image(lab, "url: 'gopher://localhost/kernel'");
    checksum_wrong: "a wrong checksum"
        => JOB, "wrong checksum", "digest",
        |lab| {
            lab.file("kernel", "a kernel");
            let digest = "0".repeat(64);
            with_image(lab, &format!("url: '{}', sha256sum: '{digest}'", lab.url("kernel")))
        };
    compression_truncated: "a compressed file that is cut off"
        => JOB, "kernel.gz is unusable: it ends in the middle", "",
        |lab| {
            let whole = gzip(&noise(100_000));
            lab.file("kernel.gz", &whole[..whole.len() / 2]);
            with_image(lab, &format!("url: '{}', compression: gz", lab.url("kernel.gz")))
        };
    compression_wrong: "a compressed file that is of another kind"
        => JOB, "kernel.gz is unusable: it is damaged or of another kind", "",
        |lab| {
            lab.file("kernel.gz", noise(100_000));
            with_image(lab, &format!("url: '{}', compression: gz", lab.url("kernel.gz")))
        };
    archive_truncated: "an archive that is cut off"
        => JOB, "it ends in the middle of its member `etc/hostname`", "",
        |lab| {
            let whole = archive("etc/hostname", &noise(10_000));
            lab.file("rootfs.tar", &whole[..2000]);
            with_image(lab, &format!("url: '{}', archive: tar", lab.url("rootfs.tar")))
        };
    archive_climbs: "an archive that climbs out of its directory (`../`)"
        => JOB, "its member `../escaped` climbs out of its directory", "",
        |lab| climbing(lab, &archive("../escaped", b"out"));
    archive_absolute: "an archive with an absolute path"
        => JOB, "climbs out of its directory: an absolute name", "",
        |lab| {
            let target = lab.path("escaped").display().to_string();
            climbing(lab, &archive(&target, b"out"))
        };
    archive_link: "an archive that writes through its own symbolic link"
        => JOB, "climbs out of its directory: a link on its way points out of it", "",
        |lab| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut link = tar::Header::new_gnu();
            link.set_entry_type(tar::EntryType::Symlink);
            link.set_size(0);
            builder.append_link(&mut link, "way", lab.path("")).unwrap();
            let mut content = builder.into_inner().unwrap();
            content.truncate(512);
            content.extend(archive("way/escaped", b"out"));
            climbing(lab, &content)
        };
    initramfs_is_none: "an initramfs that is none"
        => JOB, "is no usable initramfs", "",
        |lab| {
            lab.file("ramdisk.cpio", noise(10_000));
            let keys = "format: cpio.newc, overlays: {lava: true}";
            with_ramdisk(lab, &format!("url: '{}', {keys}", lab.url("ramdisk.cpio")))
        };
    initramfs_compressed_wrong: "an initramfs that is not compressed as the job says"
        => JOB, "is no usable initramfs", "",
        |lab| {
            lab.file("ramdisk.cpio.gz", noise(10_000));
            let keys = "compression: gz, format: cpio.newc, overlays: {lava: true}";
            with_ramdisk(lab, &format!("url: '{}', {keys}", lab.url("ramdisk.cpio.gz")))
        };

    git_gone: "a git repository that is gone"
        => JOB, "does not appear to be a git repository", "check the repository",
        |lab| with_definition(lab, &git(&lab.url("nowhere"), "test.yaml"));
    git_is_none: "a directory that is no git repository"
        => JOB, "does not appear to be a git repository", "check the repository",
        |lab| {
            lab.file("plain/test.yaml", "run: {steps: [true]}\n");
            with_definition(lab, &git(&lab.url("plain"), "test.yaml"))
        };
    git_path_missing: "a path that the git repository does not have"
        => JOB, "the test definition \"nowhere.yaml\" does not exist", "",
        |lab| {
            repository(lab, "run: {steps: ['true']}\n")?;
            with_definition(lab, &git(&lab.url("repository"), "nowhere.yaml"))
        };
    git_revision_missing: "a revision that the git repository does not have"
        => JOB, "has no revision \"0123456789012345678901234567890123456789\"", "",
        |lab| {
            repository(lab, "run: {steps: ['true']}\n")?;
            let revision = "0123456789012345678901234567890123456789";
            let keys = git(&lab.url("repository"), "test.yaml");
            with_definition(lab, &format!("{keys}, revision: '{revision}'"))
        };
    definition_is_no_yaml: "a test definition that is not YAML"
        => JOB, "the test definition \"test.yaml\" is no YAML", "",
        |lab| {
            repository(lab, "run: [\n")?;
            with_definition(lab, &git(&lab.url("repository"), "test.yaml"))
        };
    definition_is_no_map: "a test definition that is no map"
        => JOB, "is a list, not a map", "",
        |lab| {
            repository(lab, "- one\n- two\n")?;
            with_definition(lab, &git(&lab.url("repository"), "test.yaml"))
        };
    definition_archive_gone: "an archive of test definitions that is gone"
        => JOB, "the server answered 404", "",
        |lab| {
            let server = Server::start([]);
            with_definition(lab, &url(&server.url("/tests.tar.gz")))
        };
    definition_archive_climbs: "an archive of test definitions that climbs out of its directory"
        => JOB, "its member `../escaped` climbs out of its directory", "",
        |lab| {
            let content = gzip(&archive("../escaped", b"out"));
            let server = Server::start([("/tests.tar.gz", Answer::File(content))]);
            with_definition(lab, &url(&server.url("/tests.tar.gz")))
        };
}

/// A job that downloads `kernel` from a server.
fn with_server<const N: usize>(
    lab: &Lab,
    path: &str,
    answers: [(&'static str, Answer); N],
) -> Option<Finished> {
    let server = Server::start(answers);
    let deploy = deploy(&[("kernel", &format!("url: '{}'", server.url(path)))]);
    Some(untouched(lab, &short(&deploy)))
}

/// A job that is over after a few seconds, for what is tried again until then.
fn short(deploy: &str) -> String {
    let job = job(&[deploy, BOOT]);
    job.replace("{minutes: 2}", "{seconds: 3}")
        .replace("{minutes: 1}", "{seconds: 3}")
}

fn with_image(lab: &Lab, keys: &str) -> Option<Finished> {
    Some(untouched(lab, &job(&[&deploy(&[("rootfs", keys)]), BOOT])))
}

fn with_ramdisk(lab: &Lab, keys: &str) -> Option<Finished> {
    let deploy = deploy(&[("ramdisk", keys)]);
    Some(untouched(lab, &job(&[&deploy, BOOT, &inline("")])))
}

fn climbing(lab: &Lab, content: &[u8]) -> Option<Finished> {
    lab.file("rootfs.tar", content);
    let finished = with_image(
        lab,
        &format!("url: '{}', archive: tar", lab.url("rootfs.tar")),
    );
    assert!(!lab.path("escaped").exists(), "the archive got out");
    finished
}

fn with_definition(lab: &Lab, keys: &str) -> Option<Finished> {
    let finished = untouched(lab, &job(&[OVERLAY, BOOT, &definition(keys, "")]));
    assert!(!lab.path("output/escaped").exists(), "the archive got out");
    Some(finished)
}

/// A run that has to fail before it touches the board.
fn untouched(lab: &Lab, job: &str) -> Finished {
    let connect = lab.board_of_the_rack("linux.board", "");
    let finished = lab.run(job, &lab.device(&connect)).finish();
    assert!(
        !lab.noted("power").contains(&"on".to_owned()),
        "the board was touched"
    );
    finished
}

fn git(url: &str, path: &str) -> String {
    format!("from: git, repository: '{url}', path: {path}")
}

fn url(url: &str) -> String {
    format!("from: url, repository: '{url}', path: test.yaml, compression: gz")
}

/// A git repository with this definition in it; `None` without git.
fn repository(lab: &Lab, definition: &str) -> Option<()> {
    lab.file("repository/test.yaml", definition);
    let script = "cd \"$1\" && git init -q -b main && git add . && \
         git -c user.name=test -c user.email=test@localhost commit -q -m definitions";
    let made = integration::shell(script, &lab.path("repository"));
    if made.is_none() {
        integration::skipped("git is not installed");
    }
    made.map(drop)
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive with one file, whose name may be anything.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

/// Bytes without meaning, the same in every run (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}
