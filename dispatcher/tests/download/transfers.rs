//! Transfers that work, if need be on the second try.

use crate::{
    lab::{Lab, files, in_time, kernel, noise, read, retries, sha256, through},
    server::{Reply, Server, Then},
};
use dispatcher::download::{Progress, RemoteCache};
use job::FaultClass;
use plan::step::Checksums;
use std::{os::unix::fs::MetadataExt, time::Duration};

#[tokio::test]
async fn a_local_file_is_copied_and_measured() {
    let lab = Lab::new();
    let original = lab.directory.path().join("vmlinuz");
    let contents = noise(3_000_000);
    fs_err::write(&original, &contents).unwrap();
    let download = kernel(format!("file://{}", original.display()));
    let (result, told) = lab.fetch_told(&download).await;
    let fetched = result.unwrap();
    assert_eq!(fetched.path, lab.deploy().join("kernel/vmlinuz"));
    assert_eq!(
        (fetched.size, fetched.sha256),
        (3_000_000, sha256(&contents))
    );
    assert_eq!((fetched.unpacked, fetched.from_cache), (None, false));
    assert_eq!(
        told.first(),
        Some(&Progress::Started {
            total: Some(3_000_000)
        })
    );
    let end = Progress::Advanced {
        done: 3_000_000,
        total: Some(3_000_000),
    };
    assert_eq!(told.last(), Some(&end));
    assert!(read(&fetched.path) == contents);
    let inode = |path| fs_err::metadata(path).unwrap().ino();
    assert_ne!(
        inode(&fetched.path),
        inode(&original),
        "the job may change its own copy"
    );
}

#[tokio::test]
async fn a_file_is_fetched_checked_and_told_about() {
    let contents = noise(1_000_000);
    let server = Server::file(contents.clone()).await;
    let lab = Lab::new();
    let mut download = kernel(server.url("/a%20dir/vmlinuz?build=7"));
    download.checksums = Checksums {
        sha256: Some(sha256(&contents)),
        ..Checksums::default()
    };
    download.headers.insert("X-Token".into(), "secret".into());
    let (result, told) = lab.fetch_told(&download).await;
    let fetched = result.unwrap();
    assert_eq!(fetched.path, lab.deploy().join("kernel/vmlinuz"));
    assert_eq!(fetched.verified, [("sha256sum", sha256(&contents))]);
    assert!(read(&fetched.path) == contents);
    assert_eq!(files(&lab.deploy()).len(), 1);
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("GET", "/a%20dir/vmlinuz?build=7")
    );
    assert_eq!(request.header("x-token"), Some("secret"));
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    let mut before = 0;
    for progress in &told[1..] {
        let Progress::Advanced {
            done,
            total: Some(1_000_000),
        } = progress
        else {
            panic!("{progress:?}")
        };
        assert!(*done > before);
        before = *done;
    }
    assert_eq!(before, 1_000_000);
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again() {
    let server = Server::start(|_, number| match number {
        0 => Reply::status(503),
        1 => Reply::status(429).with("Retry-After", "0"),
        _ => Reply::ok("kernel"),
    })
    .await;
    let lab = Lab::new();
    let (result, told) = lab.fetch_told(&kernel(server.url("/k"))).await;
    assert_eq!(read(&result.unwrap().path), b"kernel");
    assert_eq!(retries(&told), 2);
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_broke() {
    let contents = noise(400_000);
    let gzipped = through("gzip", &["-c"], &contents).expect("gzip is everywhere");
    for (compression, body) in [(None, contents.clone()), (Some("gz"), gzipped)] {
        let served = body.clone();
        let server = Server::start(move |request, number| {
            let reply = Reply::file(request, &served, "\"1\"");
            if number < 3 {
                reply.cut(100_000)
            } else {
                reply
            }
        })
        .await;
        for lab in [Lab::new(), Lab::with_cache()] {
            let earlier = server.requests().len();
            let mut download = kernel(server.url("/k.x"));
            download.compression = compression.map(str::to_owned);
            let (result, told) = lab.fetch_told(&download).await;
            let fetched = result.unwrap();
            assert!(read(&fetched.path) == contents);
            assert_eq!(fetched.sha256, sha256(&body));
            if earlier == 0 {
                assert_eq!(retries(&told), 3);
                for (number, request) in server.requests().iter().enumerate().skip(1) {
                    let range = format!("bytes={}-", number * 100_000);
                    assert_eq!(request.header("range"), Some(range.as_str()));
                    assert_eq!(request.header("if-range"), Some("\"1\""));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_ranges_sends_everything_again() {
    let contents = noise(300_000);
    let served = contents.clone();
    let server = Server::start(move |_, number| {
        let reply = Reply::ok(served.clone()).with("ETag", "\"1\"");
        if number == 0 {
            reply.cut(200_000)
        } else {
            reply
        }
    })
    .await;
    let lab = Lab::with_cache();
    let (result, told) = lab.fetch_told(&kernel(server.url("/k"))).await;
    assert!(read(&result.unwrap().path) == contents);
    let starts = told
        .iter()
        .filter(|p| matches!(p, Progress::Started { .. }))
        .count();
    assert_eq!(starts, 2);
}

#[tokio::test]
async fn a_file_without_validator_is_only_resumed_when_a_digest_settles_it() {
    let contents = noise(300_000);
    for declared in [false, true] {
        let served = contents.clone();
        let server = Server::start(move |request, number| {
            let mut reply = Reply::file(request, &served, "\"1\"");
            reply.headers.retain(|(name, _)| name != "ETag");
            if number == 0 {
                reply.cut(200_000)
            } else {
                reply
            }
        })
        .await;
        let mut download = kernel(server.url("/k"));
        download.checksums.sha256 = declared.then(|| sha256(&contents));
        assert!(Lab::new().bytes(&download).await == contents);
        assert_eq!(server.requests()[1].header("range").is_some(), declared);
    }
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_never_mixed() {
    let (old, new) = (
        noise(300_000),
        noise(300_000).into_iter().rev().collect::<Vec<_>>(),
    );
    for honest in [true, false] {
        let (old, served) = (old.clone(), new.clone());
        let server = Server::start(move |request, number| match number {
            0 => Reply::file(request, &old, "\"old\"").cut(100_000),
            // A server that does not know If-Range sends the rest of the wrong file.
            _ if !honest => {
                let mut request = request.clone();
                request.headers.remove("if-range");
                Reply::file(&request, &served, "\"new\"")
            }
            _ => Reply::file(request, &served, "\"new\""),
        })
        .await;
        for lab in [Lab::new(), Lab::with_cache()] {
            assert!(
                lab.bytes(&kernel(server.url("/k"))).await == new,
                "honest: {honest}"
            );
        }
    }
}

#[tokio::test]
async fn a_resumed_file_with_a_wrong_digest_is_fetched_once_more_in_full() {
    let contents = noise(300_000);
    let served = contents.clone();
    let server = Server::start(move |request, number| match number {
        0 => Reply::file(request, &vec![0; 300_000], "\"1\"").cut(100_000),
        _ => Reply::file(request, &served, "\"1\""),
    })
    .await;
    let mut download = kernel(server.url("/k"));
    download.checksums.sha256 = Some(sha256(&contents));
    assert!(Lab::with_cache().bytes(&download).await == contents);
    let ranges: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("range").is_some())
        .collect();
    assert_eq!(ranges, [false, true, false]);
}

#[tokio::test]
async fn silence_is_a_stall_and_slowness_is_not() {
    let contents = noise(30_000);
    let served = contents.clone();
    let server = Server::start(move |request, number| match number {
        0 => Reply::file(request, &served, "\"1\"")
            .cut(10_000)
            .then(Then::Hang),
        _ => {
            let mut reply = Reply::file(request, &served, "\"1\"");
            let bytes = std::mem::take(&mut reply.body);
            reply.then(Then::Drip {
                bytes,
                part: 1000,
                every: Duration::from_millis(60),
            })
        }
    })
    .await;
    let mut lab = Lab::new();
    lab.options.stall_timeout = Duration::from_millis(600);
    let (result, told) = lab.fetch_told(&kernel(server.url("/k"))).await;
    let fetched = result.unwrap();
    assert!(read(&fetched.path) == contents);
    assert!(
        fetched.duration > lab.options.stall_timeout * 2,
        "twenty parts took longer than that"
    );
    let [Progress::Retrying { reason, .. }] = &told
        .iter()
        .filter(|p| matches!(p, Progress::Retrying { .. }))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{told:?}")
    };
    assert!(reason.contains("sent nothing for 0.6 s"), "{reason}");
}

#[tokio::test]
async fn redirects_are_followed_without_the_headers_of_the_job() {
    let target = Server::start(|_, _| Reply::ok("kernel")).await;
    let away = target.url("/moved?token=t");
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/k" => Reply::status(302).with("Location", "here/k"),
        "/here/k" => Reply::status(307).with("Location", &away),
        other => panic!("{other}"),
    })
    .await;
    let mut download = kernel(server.url("/k"));
    download
        .headers
        .insert("Private-Token".into(), "secret".into());
    let lab = Lab::new();
    assert_eq!(lab.bytes(&download).await, b"kernel");
    for request in server.requests() {
        assert_eq!(request.header("private-token"), Some("secret"));
    }
    assert_eq!(target.requests()[0].header("private-token"), None);
    assert_eq!(target.requests()[0].path, "/moved?token=t");
    assert!(
        lab.deploy().join("kernel/k").is_file(),
        "the name is that of the job's URL"
    );
}

#[tokio::test]
async fn user_and_password_of_a_url_stay_with_their_server() {
    let target = Server::start(|_, _| Reply::ok("kernel")).await;
    let away = target.url("/k");
    let server = Server::start(move |request, _| match request.path.as_str() {
        "/k" => {
            let host = request.header("host").unwrap();
            Reply::status(302).with("Location", &format!("http://{host}/again"))
        }
        _ => Reply::status(302).with("Location", &away),
    })
    .await;
    let lab = Lab::new();
    let url = server.url("/k").replace("http://", "http://me:p%20w@");
    assert_eq!(lab.bytes(&kernel(url)).await, b"kernel");
    for request in server.requests() {
        assert_eq!(request.header("authorization"), Some("Basic bWU6cCB3"));
    }
    assert_eq!(server.requests().len(), 2);
    assert_eq!(target.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_body_of_unknown_length_ends_with_the_connection() {
    let server = Server::start(|_, _| {
        let mut reply = Reply::ok("kernel");
        reply.headers.clear();
        reply
    })
    .await;
    let lab = Lab::new();
    let (result, told) = lab.fetch_told(&kernel(server.url("/k"))).await;
    assert_eq!(result.unwrap().size, 6);
    assert_eq!(told[0], Progress::Started { total: None });
}

#[tokio::test]
async fn many_files_come_at_once() {
    let contents = noise(500_000);
    let server = Server::file(contents.clone()).await;
    let lab = Lab::with_cache();
    let downloader = lab.downloader();
    let downloads: Vec<_> = (0..12)
        .map(|number| {
            let mut download = kernel(server.url(&format!("/file{number}")));
            download.directory = Some(format!("key{number}"));
            download
        })
        .collect();
    let deploy = lab.deploy();
    let fetches = downloads.iter().map(|download| async {
        let fetched = downloader
            .fetch(download, &deploy, in_time(), &mut |_| ())
            .await;
        fetched.map(|fetched| read(&fetched.path) == contents)
    });
    let all = futures_util::future::join_all(fetches).await;
    assert!(all.into_iter().all(|same| same == Ok(true)));
}

#[tokio::test]
async fn a_dropped_download_leaves_nothing_for_the_job_and_the_rest_for_the_next() {
    let contents = noise(500_000);
    let served = contents.clone();
    let server = Server::start(move |request, number| {
        let reply = Reply::file(request, &served, "\"1\"");
        if number == 0 {
            reply.cut(300_000).then(Then::Hang)
        } else {
            reply
        }
    })
    .await;
    let lab = Lab::with_cache();
    let download = kernel(server.url("/k"));
    {
        let downloader = lab.downloader();
        let deploy = lab.deploy();
        let (sender, mut arrived) = tokio::sync::mpsc::unbounded_channel();
        let mut told = |progress| {
            if let Progress::Advanced { done: 300_000, .. } = progress {
                sender.send(()).unwrap();
            }
        };
        let fetch = downloader.fetch(&download, &deploy, in_time(), &mut told);
        tokio::select! {
            result = fetch => panic!("{result:?}"),
            _ = arrived.recv() => {}
        }
    }
    lab.assert_nothing_left();
    let (result, told) = lab.fetch_told(&download).await;
    assert!(read(&result.unwrap().path) == contents);
    let range = server.requests()[1]
        .header("range")
        .map(str::to_owned)
        .unwrap();
    let offset: u64 = range
        .strip_prefix("bytes=")
        .unwrap()
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!((1..=300_000).contains(&offset), "{range}");
    let resumed = Progress::Advanced {
        done: offset,
        total: Some(500_000),
    };
    assert_eq!(
        told.iter()
            .find(|told| matches!(told, Progress::Advanced { .. })),
        Some(&resumed)
    );
}

#[tokio::test]
async fn a_remote_cache_is_asked_first_and_the_origin_when_it_fails() {
    let origin = Server::file("from the origin").await;
    let broken = Server::start(|_, _| Reply::status(503)).await;
    let works = Server::file("from the cache").await;
    let remote = |server: &Server, exclude: &[&str], fallback| {
        let exclude: Vec<_> = exclude.iter().map(|&rule| rule.to_owned()).collect();
        Some(RemoteCache::new(&server.url("/fetch/?url=%s"), &[], &exclude, fallback).unwrap())
    };
    let mut lab = Lab::new();
    let mut download = kernel(origin.url("/k?x=y"));

    lab.options.remote_cache = remote(&works, &[], false);
    assert_eq!(lab.bytes(&download).await, b"from the cache");
    let quoted = format!(
        "/fetch/?url={}",
        download
            .url
            .replace(':', "%3A")
            .replace('/', "%2F")
            .replace('?', "%3F")
            .replace('=', "%3D")
    );
    assert_eq!(works.requests()[0].path, quoted);
    assert!(
        lab.downloader()
            .preflight(&[&download], in_time())
            .await
            .is_empty()
    );

    lab.options.remote_cache = remote(&works, &["[?]x="], false);
    assert_eq!(lab.bytes(&download).await, b"from the origin");

    lab.options.remote_cache = remote(&broken, &[], true);
    assert_eq!(lab.bytes(&download).await, b"from the origin");
    assert!(
        lab.downloader()
            .preflight(&[&download], in_time())
            .await
            .is_empty()
    );
    assert!(
        broken.requests().len() <= 6,
        "it is not asked for long when there is another way"
    );

    fs_err::remove_dir_all(lab.deploy()).unwrap();
    lab.options.remote_cache = remote(&broken, &[], false);
    let fault = lab.fault(&download, FaultClass::Infrastructure).await;
    assert!(fault.message.contains("503"), "{}", fault.message);
    download.use_cache = false;
    assert_eq!(lab.bytes(&download).await, b"from the origin");
}

/// Whatever a server does for a while, the file is the right one in the end.
#[tokio::test]
async fn any_sequence_of_faults_ends_with_the_right_file() {
    let contents = noise(120_000);
    let gzipped = through("gzip", &["-c"], &contents).expect("gzip is everywhere");
    for seed in 1..=60_u64 {
        let compress = seed % 2 == 0;
        let body = if compress {
            gzipped.clone()
        } else {
            contents.clone()
        };
        let mut other = body.clone();
        other.reverse();
        let server = Server::start(move |request, number| {
            let number = number as u64;
            let mut dice = seed
                .wrapping_mul(0x2545_f491_4f6c_dd1d)
                .wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            dice ^= dice >> 29;
            let at = usize::try_from(dice >> 40).unwrap() % body.len();
            let mut plain = request.clone();
            plain.headers.remove("range");
            if number >= 7 {
                return Reply::file(request, &body, "\"good\"");
            }
            match dice % 8 {
                0 => Reply::status(503),
                1 => Reply::file(request, &other, "\"other\"").cut(at),
                2 => Reply::file(&plain, &body, "\"good\"").cut(at),
                3 => Reply::file(request, &body, "W/\"weak\"").cut(at),
                4 => Reply::status(416),
                5 => {
                    let reply = Reply::file(request, &body, "\"good\"").cut(at);
                    reply.with("Content-Range", "bytes 7-8/9")
                }
                _ => Reply::file(request, &body, "\"good\"").cut(at),
            }
        })
        .await;
        let lab = if seed % 3 == 0 {
            Lab::new()
        } else {
            Lab::with_cache()
        };
        let mut download = kernel(server.url("/k.x"));
        download.compression = compress.then(|| "gz".to_owned());
        // 416 without a range is final, and so is the other file when it is seen to be no gzip:
        // the job is then tried again.
        let fetched = loop {
            match lab.fetch(&download).await {
                Ok(fetched) => break fetched,
                Err(fault) => {
                    let expected = ["416", "no valid gz stream"];
                    let is_expected = expected.iter().any(|text| fault.message.contains(text));
                    assert!(is_expected, "seed {seed}: {fault:?}");
                    lab.assert_nothing_left();
                }
            }
        };
        assert!(read(&fetched.path) == contents, "seed {seed}");
        assert_eq!(files(&lab.deploy()).len(), 1, "seed {seed}");
    }
}
