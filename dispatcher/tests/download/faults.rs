//! Downloads that cannot work: whose fault that is, what it says, and that nothing is left.

use crate::{
    lab::{Lab, again, compressed, files, in_time, kernel, noise, sha256, through},
    server::{Reply, Server, Then},
};
use dispatcher::download::CacheOptions;
use job::FaultClass;
use plan::step::Download;
use std::{path::Path, time::Duration};

#[tokio::test]
async fn a_preflight_reports_all_problems_at_once() {
    let server = Server::start(|request, number| match request.path.as_str() {
        "/fine" => Reply::ok("x"),
        "/gone" => Reply::status(410),
        "/missing" => Reply::status(404),
        "/private" => Reply::status(401),
        "/only-get" if request.method == "HEAD" => Reply::status(405),
        "/only-get" => Reply::ok("x"),
        "/busy" if number < 10 => Reply::status(503),
        "/busy" => Reply::ok("x"),
        "/broken" => Reply::status(500),
        other => panic!("{other}"),
    })
    .await;
    let mut lab = Lab::new();
    lab.options.preflight_attempts = 12;
    let file = lab.directory.path().join("vmlinuz");
    fs_err::write(&file, "x").unwrap();
    let urls = [
        (server.url("/fine"), None),
        (
            server.url("/gone"),
            Some((FaultClass::Job, "410 (Gone)", "it is gone")),
        ),
        (server.url("/only-get"), None),
        (
            server.url("/missing"),
            Some((FaultClass::Job, "404 (Not Found)", "it is gone")),
        ),
        (server.url("/busy"), None),
        (
            server.url("/private"),
            Some((FaultClass::Job, "401", "`headers`")),
        ),
        (
            server.url("/broken"),
            Some((FaultClass::Infrastructure, "500", "")),
        ),
        (format!("file://{}", file.display()), None),
        (
            "file:///nowhere/vmlinuz".into(),
            Some((FaultClass::Job, "/nowhere/vmlinuz", "paths on")),
        ),
        (
            "file:///etc".into(),
            Some((FaultClass::Job, "no regular file", "")),
        ),
        (
            "ftp://host/vmlinuz".into(),
            Some((FaultClass::Job, "scheme `ftp`", "http, https and file")),
        ),
        (
            "vmlinuz".into(),
            Some((FaultClass::Job, "makes no sense", "")),
        ),
        (
            "http://127.0.0.1:1/vmlinuz".into(),
            Some((
                FaultClass::Infrastructure,
                "refused (os error 111) (after 12 attempts)",
                "reach",
            )),
        ),
    ];
    let downloads: Vec<_> = urls.iter().map(|(url, _)| kernel(url.as_str())).collect();
    let downloads: Vec<_> = downloads.iter().collect();
    let problems = lab.downloader().preflight(&downloads, in_time()).await;
    let expected: Vec<_> = urls
        .iter()
        .filter_map(|(url, problem)| Some((url, (*problem)?)))
        .collect();
    for (problem, (url, (class, message, hint))) in problems.iter().zip(&expected) {
        assert_eq!(&problem.url, *url);
        assert_eq!(problem.fault.class, *class, "{problem:?}");
        assert!(problem.fault.message.contains(message), "{problem:?}");
        assert!(
            problem.fault.message.contains("kernel from "),
            "{problem:?}"
        );
        assert!(
            problem
                .fault
                .hint
                .as_deref()
                .unwrap_or_default()
                .contains(hint),
            "{problem:?}"
        );
    }
    assert_eq!(problems.len(), expected.len());
}

#[tokio::test]
async fn an_unknown_host_is_not_asked_for_long() {
    let lab = Lab::new();
    let download = kernel("http://no-such-host.invalid/k");
    let problems = lab.downloader().preflight(&[&download], in_time()).await;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].fault.class, FaultClass::Infrastructure);
    assert!(
        problems[0].fault.message.contains("cannot be reached"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn a_preflight_ends_with_its_deadline() {
    let server = Server::start(|_, _| Reply::ok("x").then(Then::Hang)).await;
    let silent = Server::start(|_, _| Reply::silent()).await;
    let lab = Lab::new();
    let (quick, slow) = (kernel(server.url("/quick")), kernel(silent.url("/slow")));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    let problems = lab.downloader().preflight(&[&quick, &slow], deadline).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].fault.timed_out_after.is_some());
}

#[tokio::test]
async fn a_wrong_checksum_shows_both() {
    let server = Server::file("kernel").await;
    for key in ["md5", "sha256", "sha512"] {
        let mut download = kernel(server.url("/k"));
        let wrong = Some("0123456789abcdef".to_owned());
        match key {
            "md5" => download.checksums.md5 = wrong,
            "sha256" => download.checksums.sha256 = wrong,
            _ => download.checksums.sha512 = wrong,
        }
        let fault = Lab::new().fault(&download, FaultClass::Job).await;
        assert!(
            fault.message.contains(&format!("{key}sum")),
            "{}",
            fault.message
        );
        assert!(
            fault.message.contains("0123456789abcdef"),
            "{}",
            fault.message
        );
        if key == "sha256" {
            assert!(
                fault.message.contains(&sha256(b"kernel")),
                "{}",
                fault.message
            );
        }
        assert!(fault.hint.is_some());
    }
    assert_eq!(
        server.requests().len(),
        3,
        "what did not match is not asked for again"
    );
}

#[tokio::test]
async fn a_length_that_never_comes_is_the_labs_fault() {
    let server = Server::start(|_, _| Reply::ok(noise(1000)).cut(600)).await;
    let fault = Lab::new()
        .fault(&kernel(server.url("/k")), FaultClass::Infrastructure)
        .await;
    assert!(
        fault.message.contains("ended after 600 of 1000 bytes"),
        "{}",
        fault.message
    );
    assert!(
        fault.message.contains("after 15 attempts"),
        "{}",
        fault.message
    );
    assert_eq!(server.requests().len(), 15);
}

#[tokio::test]
async fn a_server_that_only_redirects_is_the_jobs_fault() {
    let server = Server::start(|_, _| Reply::status(302).with("Location", "/k")).await;
    let fault = Lab::new()
        .fault(&kernel(server.url("/k")), FaultClass::Job)
        .await;
    assert!(
        fault.message.contains("redirects more than 10 times"),
        "{}",
        fault.message
    );
    assert_eq!(server.requests().len(), 11);
    let server = Server::start(|_, _| {
        Reply::status(302).with("Location", "file:///etc/passwd?token=hidden")
    })
    .await;
    let fault = Lab::new()
        .fault(&kernel(server.url("/k")), FaultClass::Job)
        .await;
    assert!(
        fault.message.contains("no web address"),
        "{}",
        fault.message
    );
    assert!(!fault.message.contains("hidden"), "{}", fault.message);
}

#[tokio::test]
async fn an_endless_body_is_bounded() {
    let server = Server::start(|_, _| {
        let mut reply = Reply::ok("").with("ETag", "\"1\"").then(Then::Endless);
        reply.headers.remove(0);
        reply
    })
    .await;
    let mut lab = Lab::with_cache();
    lab.options.limits.fetched_bytes = 5_000_000;
    let fault = lab.fault(&kernel(server.url("/k")), FaultClass::Job).await;
    assert!(
        fault.message.contains("larger than 5000000 bytes"),
        "{}",
        fault.message
    );
    assert!(files(&lab.directory.path().join("cache/partial")).is_empty());
}

#[tokio::test]
async fn the_deadline_ends_a_download() {
    let server = Server::start(|_, _| Reply::ok(noise(1000)).cut(600).then(Then::Hang)).await;
    for lab in [Lab::new(), Lab::with_cache()] {
        let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        let download = kernel(server.url("/k"));
        let downloader = lab.downloader();
        let fault = downloader
            .fetch(&download, &lab.deploy(), deadline, &mut |_| ())
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Infrastructure);
        let allowed = fault.timed_out_after.unwrap();
        assert!(allowed <= Duration::from_millis(200), "{allowed:?}");
        lab.assert_nothing_left();
    }
}

#[tokio::test]
async fn secrets_never_reach_a_message() {
    let server = Server::start(|_, _| Reply::status(403)).await;
    let url = server
        .url("/k?token=hunter2&x=1")
        .replace("http://", "http://me:hunter2@");
    let mut download = kernel(url);
    download
        .headers
        .insert("Authorization".into(), "Bearer hunter2".into());
    let lab = Lab::new();
    let fault = lab.fault(&download, FaultClass::Job).await;
    let problems = lab.downloader().preflight(&[&download], in_time()).await;
    download
        .headers
        .insert("Authorization".into(), "hunter2\n".into());
    let header = lab.fault(&download, FaultClass::Job).await;
    assert!(
        header
            .message
            .contains("the header `Authorization` cannot be sent"),
        "{header:?}"
    );
    for shown in [
        format!("{fault:?}"),
        format!("{problems:?}"),
        format!("{header:?}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("token=***&x=1"), "{shown}");
    }
}

#[tokio::test]
async fn labels_and_keys_that_climb_are_refused() {
    let server = Server::file("x").await;
    for label in ["../up", "", "a/b"] {
        let download = Download {
            label: label.into(),
            ..kernel(server.url("/"))
        };
        assert_eq!(
            Lab::new().fetch(&download).await.unwrap_err().class,
            FaultClass::Job
        );
        let download = Download {
            directory: Some(label.into()),
            ..kernel(server.url("/k"))
        };
        assert_eq!(
            Lab::new().fetch(&download).await.unwrap_err().class,
            FaultClass::Job
        );
    }
    assert!(server.requests().is_empty());
}

/// Runs in a process of its own, in which a small disk is mounted.
#[tokio::test]
async fn a_full_disk_is_the_labs_fault() {
    let Some(disk) = std::env::var_os("PUMICE_TEST_SMALL_DISK") else {
        let directory = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=1m tmpfs \"$PUMICE_TEST_SMALL_DISK\" && exec \"$@\"";
        let prefix = [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ];
        let variables = [("PUMICE_TEST_SMALL_DISK", directory.path())];
        let test = "faults::a_full_disk_is_the_labs_fault";
        if again(test, &prefix, &variables).is_none() {
            eprintln!(
                "SKIPPED: no small disk can be mounted: unshare(1) is missing or not allowed"
            );
        }
        return;
    };
    let disk = Path::new(&disk);
    let contents = noise(3_000_000);
    let gzipped = through("gzip", &["-c"], &contents).expect("gzip is everywhere");
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/k.gz" => Reply::file(request, &gzipped, "\"1\""),
        _ => Reply::file(request, &contents, "\"1\""),
    })
    .await;
    let lab = Lab::new();
    let local = lab.directory.path().join("local");
    fs_err::write(&local, noise(3_000_000)).unwrap();
    for download in [
        kernel(server.url("/k")),
        compressed(server.url("/k.gz"), "gz"),
        kernel(format!("file://{}", local.display())),
    ] {
        let downloader = lab.downloader();
        let fault = downloader
            .fetch(&download, disk, in_time(), &mut |_| ())
            .await
            .unwrap_err();
        assert_eq!(fault.class, FaultClass::Infrastructure, "{fault:?}");
        assert!(fault.message.contains("no room left"), "{}", fault.message);
        assert!(
            fault.message.contains(disk.to_str().unwrap()),
            "{}",
            fault.message
        );
        assert!(
            fault.message.contains("bytes are needed"),
            "{}",
            fault.message
        );
        assert!(fault.hint.is_some());
        assert!(files(disk).is_empty(), "nothing is left on the full disk");
    }
    // A cache that is full costs the copy, not the job.
    let mut lab = Lab::new();
    lab.options.cache = Some(CacheOptions {
        directory: disk.join("cache"),
        max_bytes: 1 << 30,
    });
    let fetched = lab.fetch(&kernel(server.url("/k"))).await.unwrap();
    assert_eq!(fetched.size, 3_000_000);
    assert!(files(&disk.join("cache/content")).is_empty());
}
