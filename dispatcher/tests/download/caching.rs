//! What the local cache saves, and what it must never do.

use crate::{
    lab::{Lab, files, in_time, kernel, noise, read, sha256, through},
    server::{Reply, Server},
};
use dispatcher::download::Progress;
use sha2::Digest;
use std::path::PathBuf;

fn contents_of(lab: &Lab) -> Vec<PathBuf> {
    files(&lab.directory.path().join("cache/content"))
}

#[tokio::test]
async fn a_declared_digest_needs_no_request() {
    let contents = noise(100_000);
    let server = Server::file(contents.clone()).await;
    let lab = Lab::with_cache();
    let sha512: String = sha2::Sha512::digest(&contents)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut by_sha512 = kernel(server.url("/k"));
    by_sha512.checksums.sha512 = Some(sha512.to_uppercase());
    assert!(lab.bytes(&by_sha512).await == contents);
    let mut by_sha256 = kernel("http://unreachable.invalid/elsewhere");
    by_sha256.checksums.sha256 = Some(sha256(&contents));
    by_sha512.url = "http://unreachable.invalid/elsewhere".into();
    for download in [by_sha256, by_sha512] {
        assert!(
            lab.downloader()
                .preflight(&[&download], in_time())
                .await
                .is_empty()
        );
        let fetched = lab.fetch(&download).await.unwrap();
        assert!(fetched.from_cache);
        assert_eq!((fetched.size, fetched.sha256), (100_000, sha256(&contents)));
        assert!(read(&fetched.path) == contents);
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_url_is_asked_whether_it_changed() {
    let server = Server::start(|request, number| match number {
        0..3 => Reply::file(request, b"old", "\"old\""),
        _ => Reply::file(request, b"new", "\"new\""),
    })
    .await;
    let lab = Lab::with_cache();
    let download = kernel(server.url("/k"));
    for (expected, from_cache) in [("old", false), ("old", true), ("old", true), ("new", false)] {
        let fetched = lab.fetch(&download).await.unwrap();
        assert_eq!(read(&fetched.path), expected.as_bytes());
        assert_eq!(fetched.from_cache, from_cache);
    }
    assert_eq!(
        server.requests()[1].header("if-none-match"),
        Some("\"old\"")
    );
}

#[tokio::test]
async fn a_job_that_changes_its_file_does_not_change_the_cache() {
    let server = Server::file("kernel").await;
    let lab = Lab::with_cache();
    let download = kernel(server.url("/k"));
    for _ in 0..3 {
        let fetched = lab.fetch(&download).await.unwrap();
        assert_eq!(read(&fetched.path), b"kernel");
        fs_err::write(&fetched.path, "changed by the job").unwrap();
    }
}

#[tokio::test]
async fn a_damaged_content_is_dropped_and_fetched_again() {
    let contents = noise(100_000);
    let gzipped = through("gzip", &["-c"], &contents).expect("gzip is everywhere");
    for (compression, body) in [(None, contents.clone()), (Some("gz"), gzipped)] {
        let server = Server::file(body.clone()).await;
        let lab = Lab::with_cache();
        let mut download = kernel(server.url("/k.gz"));
        download.compression = compression.map(str::to_owned);
        assert!(lab.bytes(&download).await == contents);
        let mut flipped = body.clone();
        flipped[50_000] ^= 1;
        for damage in [&flipped[..], b"shorter", &vec![0; 100_000], b""] {
            let [content] = &contents_of(&lab)[..] else {
                panic!("one content")
            };
            fs_err::write(content, damage).unwrap();
            let (result, told) = lab.fetch_told(&download).await;
            assert!(read(&result.unwrap().path) == contents);
            let dropped =
                |told: &Progress| matches!(told, Progress::Note(note) if note.contains("dropped"));
            assert!(told.iter().any(dropped), "{told:?}");
        }
        assert!(lab.fetch(&download).await.unwrap().from_cache);
    }
}

#[tokio::test]
async fn the_same_url_at_once_is_transferred_once() {
    let contents = noise(500_000);
    let server = Server::file(contents.clone()).await;
    let lab = Lab::with_cache();
    let jobs: Vec<_> = (0..6)
        .map(|job| lab.directory.path().join(format!("job{job}")))
        .collect();
    // Each has a downloader of its own, as processes do.
    let fetches = jobs.iter().map(|directory| async {
        let downloader = lab.downloader();
        let download = kernel(server.url("/k"));
        downloader
            .fetch(&download, directory, in_time(), &mut |_| ())
            .await
            .unwrap()
    });
    let fetched = futures_util::future::join_all(fetches).await;
    assert_eq!(
        fetched.iter().filter(|fetched| !fetched.from_cache).count(),
        1
    );
    assert!(
        fetched
            .iter()
            .all(|fetched| read(&fetched.path) == contents)
    );
    let full = server
        .requests()
        .iter()
        .filter(|r| r.header("if-none-match").is_none())
        .count();
    assert_eq!(full, 1);
    assert_eq!(contents_of(&lab).len(), 1);
    assert!(files(&lab.directory.path().join("cache/partial")).is_empty());
}

#[tokio::test]
async fn what_one_token_may_see_another_may_not() {
    let server = Server::start(|request, _| match request.header("token") {
        Some("right") => Reply::file(request, b"secret kernel", "\"1\""),
        _ => Reply::status(403),
    })
    .await;
    let lab = Lab::with_cache();
    let mut download = kernel(server.url("/k"));
    download.headers.insert("token".into(), "right".into());
    assert_eq!(lab.bytes(&download).await, b"secret kernel");
    fs_err::remove_dir_all(lab.deploy()).unwrap();
    download.headers.insert("token".into(), "wrong".into());
    let fault = lab.fault(&download, job::FaultClass::Job).await;
    assert!(fault.message.contains("403"), "{}", fault.message);
    assert_eq!(server.requests()[1].header("if-none-match"), None);
}

#[tokio::test]
async fn a_download_that_wants_no_cache_leaves_none() {
    let server = Server::file("kernel").await;
    let lab = Lab::with_cache();
    let mut download = kernel(server.url("/k"));
    download.use_cache = false;
    lab.fetch(&download).await.unwrap();
    assert!(files(&lab.directory.path().join("cache")).is_empty());
}

#[tokio::test]
async fn a_cache_that_cannot_be_used_is_no_reason_to_fail() {
    let server = Server::file("kernel").await;
    let lab = Lab::with_cache();
    fs_err::write(
        lab.directory.path().join("cache"),
        "a file stands in its way",
    )
    .unwrap();
    let (result, told) = lab.fetch_told(&kernel(server.url("/k"))).await;
    assert_eq!(read(&result.unwrap().path), b"kernel");
    assert!(
        told.iter()
            .any(|told| matches!(told, Progress::Note(note) if note.contains("cache")))
    );
}

#[tokio::test]
async fn what_failed_its_check_is_not_kept() {
    let server = Server::file("kernel").await;
    let lab = Lab::with_cache();
    let mut download = kernel(server.url("/k"));
    download.checksums.sha256 = Some(sha256(b"another"));
    lab.fault(&download, job::FaultClass::Job).await;
    assert!(contents_of(&lab).is_empty());
    assert!(files(&lab.directory.path().join("cache/partial")).is_empty());
}
