//! The cache by itself; with downloads it is tested in `tests/download.rs`.

use super::*;
use std::{os::unix::fs::PermissionsExt, time::Duration};

fn cache(directory: &tempfile::TempDir, max_bytes: u64) -> Cache {
    Cache::new(CacheOptions {
        directory: directory.path().join("cache"),
        max_bytes,
    })
}

async fn store(cache: &Cache, url: &str, contents: &[u8], age: Duration) -> Entry {
    let key = sha256_of([url.as_bytes()]);
    let mut partial = cache
        .partial(&key, || panic!("nobody else is here"))
        .await
        .unwrap();
    let validator = Validator {
        etag: Some(format!("\"{url}\"")),
        last_modified: None,
    };
    partial.begin(&validator).unwrap();
    partial.file().unwrap().write_all(contents).unwrap();
    let entry = Entry {
        sha256: sha256_of([contents]),
        validator,
    };
    cache
        .store(partial, &key, &entry, Some(&format!("512-{url}")))
        .unwrap();
    let time = std::time::SystemTime::now() - age;
    let (file, _) = cache
        .content(&entry.sha256)
        .unwrap_or_else(|| panic!("{url} was not kept"));
    file.set_modified(time).unwrap();
    entry
}

fn used_long_ago(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[tokio::test]
async fn contents_are_found_by_url_and_digests() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 1000);
    let entry = store(&cache, "a", b"contents", Duration::ZERO).await;
    assert_eq!(cache.entry(&sha256_of([&b"a"[..]])), Some(entry.clone()));
    assert_eq!(cache.by_sha512("512-a"), Some(entry.sha256.clone()));
    let (mut file, _) = cache.content(&entry.sha256).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "contents");
    let mode = fs::metadata(&cache.directory).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "others must not read private contents");
    cache.forget(&entry.sha256);
    assert_eq!(cache.entry(&sha256_of([&b"a"[..]])), None);
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes_first() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 25);
    let old = store(&cache, "old", &[1; 10], used_long_ago(3)).await;
    let used = store(&cache, "used", &[2; 10], used_long_ago(5)).await;
    assert!(
        cache.content(&used.sha256).is_some(),
        "which counts as a use"
    );
    let new = store(&cache, "new", &[3; 10], Duration::ZERO).await;
    assert!(cache.content(&old.sha256).is_none());
    assert!(cache.has(&used.sha256) && cache.has(&new.sha256));
    assert_eq!(cache.by_sha512("512-old"), None);
    assert_eq!(
        fs::read_dir(cache.directory.join("sha512"))
            .unwrap()
            .count(),
        2
    );
    assert_eq!(
        fs::read_dir(cache.directory.join("url")).unwrap().count(),
        2
    );
    // One that is larger than all of the cache is kept until the next one comes.
    let large = store(&cache, "large", &[4; 100], Duration::ZERO).await;
    assert!(cache.has(&large.sha256) && !cache.has(&new.sha256));
}

#[tokio::test]
async fn a_partial_file_has_one_owner_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 1000);
    let mut first = cache.partial("key", || ()).await.unwrap();
    first
        .begin(&Validator {
            etag: Some("\"1\"".into()),
            last_modified: None,
        })
        .unwrap();
    first.file().unwrap().write_all(b"half").unwrap();
    let mut told = false;
    {
        let second = cache.partial("key", || told = true);
        tokio::pin!(second);
        assert!(
            tokio::time::timeout(Duration::from_millis(40), &mut second)
                .await
                .is_err()
        );
        drop(first);
        let second = second.await.unwrap();
        let (length, validator) = second.resumable().unwrap();
        assert_eq!((length, validator.etag.as_deref()), (4, Some("\"1\"")));
    }
    assert!(told);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_another_download_forever() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 1000);
    let _held = cache.partial("key", || ()).await.unwrap();
    let error = cache.partial("key", || ()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn who_waited_for_a_transfer_that_is_done_gets_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 1000);
    let key = sha256_of([&b"a"[..]]);
    let path = cache.directory.join("partial").join(&key);
    let first = cache.partial(&key, || ()).await.unwrap();
    // Opens the file that is about to be renamed, as a process does that waits for its lock.
    let waiting = fs::File::open(&path).unwrap();
    let entry = Entry {
        sha256: sha256_of([&b""[..]]),
        validator: Validator::default(),
    };
    cache.store(first, &key, &entry, None).unwrap();
    let second = Partial::try_lock(&path).unwrap().unwrap();
    assert_ne!(
        std::os::unix::fs::MetadataExt::ino(&waiting.metadata().unwrap()),
        std::os::unix::fs::MetadataExt::ino(&second.file().unwrap().metadata().unwrap()),
    );
    assert_eq!(second.resumable(), None);
}

#[test]
fn only_strong_validators_vouch_for_ranges() {
    let validator = |etag: Option<&str>, date: Option<&str>| Validator {
        etag: etag.map(str::to_owned),
        last_modified: date.map(str::to_owned),
    };
    assert_eq!(validator(Some("\"x\""), Some("d")).strong(), Some("\"x\""));
    assert_eq!(validator(Some("W/\"x\""), Some("d")).strong(), None);
    assert_eq!(validator(None, Some("d")).strong(), Some("d"));
    assert_eq!(validator(None, None).strong(), None);
}

#[test]
fn an_index_that_is_damaged_is_as_good_as_none() {
    let directory = tempfile::tempdir().unwrap();
    let cache = cache(&directory, 1000);
    fs::create_dir_all(cache.directory.join("url")).unwrap();
    fs::create_dir_all(cache.directory.join("sha512")).unwrap();
    for bytes in [
        "",
        "{",
        "null",
        r#"{"sha256":"../../etc/passwd","validator":{}}"#,
    ] {
        fs::write(cache.entry_path("key"), bytes).unwrap();
        assert_eq!(cache.entry("key"), None);
    }
    fs::write(cache.directory.join("sha512/x"), "\"../y\"").unwrap();
    assert_eq!(cache.by_sha512("x"), None);
}
