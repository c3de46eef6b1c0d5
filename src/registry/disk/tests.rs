//! Entries against the clock, damage and each other's names.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::credential::Credential;
use crate::image::Platform;
use crate::image::media_type::Kind;
use crate::registry::content::{Listed, Manifest};
use crate::registry::identity::{Identities, Identity};

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn disk(folder: &TempDir) -> Disk {
    let settings =
        DiskCache { folder: folder.path().join("cache"), refresh: false, loopback: true };
    Disk::open(&settings).unwrap()
}

fn key(target: &str, identity: Option<Identity>) -> ManifestKey {
    ManifestKey {
        registry: "r.example".to_owned(),
        repository: "app".to_owned(),
        target: target.to_owned(),
        identity,
    }
}

fn found() -> Found {
    Found {
        host: "r.example".to_owned(),
        digest: Digest::parse(D).unwrap(),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        pulls_left: Some(7),
        auth: None,
    }
}

fn content_key() -> ContentKey {
    ContentKey { part: Part::Manifest, digest: Digest::parse(D).unwrap() }
}

fn index() -> Content {
    let platform = Some(Platform::new("linux", "arm64"));
    let listed = Listed { digest: Digest::parse(D).unwrap(), kind: Kind::Manifest, platform };
    Content::Manifest(Manifest::Index(vec![listed]))
}

#[test]
fn another_process_reads_what_one_kept() {
    let folder = TempDir::new().unwrap();
    let way = HostSettings::default();
    let one = disk(&folder);
    one.keep_present(&key("1", None), &way, &found());
    one.keep_content(&content_key(), &index(), |_| false);
    let other = disk(&folder);
    let (read, age) = other.present(&key("1", None), &way).unwrap();
    assert_eq!((read.digest.to_string().as_str(), read.pulls_left), (D, None));
    assert!(age < Duration::from_secs(60));
    assert_eq!(other.content(&content_key()), Some(index()));
    assert_eq!(one.identity_key(), other.identity_key());
}

#[test]
fn t11_who_asks_what_and_how_are_all_in_the_name() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    let identities = Identities::with_key(disk.identity_key());
    let [a, b] = ["a", "b"].map(|user| Some(identities.of(&Credential::new(user, "pw"))));
    let way = HostSettings::default();
    let plain = HostSettings { plain_http: true, ..HostSettings::default() };
    let trusting = HostSettings { token_realms: vec!["https://sso".into()], ..way.clone() };
    disk.keep_present(&key("1", a), &way, &found());
    assert!(disk.present(&key("1", a), &way).is_some());
    for other in [key("1", b), key("1", None), key("2", a)] {
        assert_eq!(disk.present(&other, &way), None, "{other:?}");
    }
    let elsewhere =
        ManifestKey { registry: "r.exampleapp".into(), repository: "".into(), ..key("1", a) };
    assert_eq!(disk.present(&elsewhere, &way), None);
    assert_eq!(disk.present(&key("1", a), &plain), None);
    assert_eq!(disk.present(&key("1", a), &trusting), None);
    let config = ContentKey { part: Part::Config, ..content_key() };
    disk.keep_content(&content_key(), &index(), |_| false);
    assert_eq!(disk.content(&config), None);
    disk.forget_present(&key("1", a), &way);
    assert_eq!(disk.present(&key("1", a), &way), None);
}

#[test]
fn an_entry_ends_by_its_own_time_and_by_that_of_its_file() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    let now = SystemTime::now();
    let fact = serde_json::value::to_raw_value(&index()).unwrap();
    let bytes = disk.seal("n", &fact, now).unwrap();
    let read = |name, modified, now| {
        disk.unseal::<Content>(name, &bytes, modified, PRESENT, now).map(|(_, age)| age.as_secs())
    };
    let minute = Duration::from_secs(60);
    assert_eq!(read("n", now + 3 * minute, now + 3 * minute).map(|age| age / 60), Some(3));
    assert_eq!(read("n", now, now + 10 * minute), None);
    assert_eq!(read("n", now + 11 * minute, now + 11 * minute), None);
    assert_eq!(read("n", now - 11 * minute, now + minute), None);
    assert_eq!(read("n", now, now - minute), None, "a clock that was set back");
    assert_eq!(read("m", now, now + minute), None, "an entry under another's name");
}

/// The clock was an hour ahead when it was written, or is an hour behind now.
#[test]
fn f48_what_was_written_in_the_future_is_not_believed_and_does_not_stay() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let fact = serde_json::value::to_raw_value(&index()).unwrap();
    for lifetime in [PRESENT, CONTENT] {
        let age = |written: SystemTime, modified: SystemTime| {
            let bytes = disk.seal("n", &fact, written).unwrap();
            let read = disk.unseal::<Content>("n", &bytes, modified, lifetime, now);
            read.map(|(_, age)| age.as_secs() / 60)
        };
        assert_eq!(age(now + hour, now + hour), None);
        assert_eq!(age(now + hour, now), None);
        // The time of a file alone may be a file server's.
        assert_eq!(age(now, now + hour), Some(0));
        let old = (hour < lifetime).then_some(60);
        assert_eq!(age(now - hour, now - hour), old);
    }
    let put = |name: &str, modified: SystemTime| {
        let path = disk.folder.path().join(name);
        fs::write(&path, "entry").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        path
    };
    let name = |start: &str, n: u8| format!("{start}{}", hex::encode([n; 32]));
    let future = [
        put(&name(PRESENT_NAME, 1), now + hour),
        put(&name(CONTENT_NAME, 2), now + 24 * 365 * hour),
        put(".pullproof-draft-1-a", now + 2 * hour),
    ];
    let kept = [
        put(&name(PRESENT_NAME, 3), now),
        put(&name(CONTENT_NAME, 4), now + Duration::from_secs(5)),
        put(&name(CONTENT_NAME, 5), now - hour),
        put(".pullproof-draft-1-b", now),
        put("content-of-a-person", now + hour),
    ];
    // Room for four: were those of the future the newest, they would take the place of the others.
    disk.folder.prune(lifetime, 20, now);
    assert!(future.iter().all(|path| !path.exists()), "{future:?}");
    assert!(kept.iter().all(|path| path.exists()), "{kept:?}");
}

#[test]
fn t12_a_changed_entry_is_passed_over_and_replaced() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    let file = disk.folder.path().join(disk.content_name(&content_key()));
    disk.keep_content(&content_key(), &index(), |_| false);
    let good = fs::read_to_string(&file).unwrap();
    let changes = [
        good.replace("arm64", "amd64"),
        good.replace(FORMAT, "0/0"),
        good.replace("\"seen\":", "\"seen\":1"),
        good[..good.len() / 2].to_owned(),
        String::new(),
        "null".to_owned(),
    ];
    for changed in changes {
        assert_ne!(changed, good);
        fs::write(&file, &changed).unwrap();
        assert_eq!(disk.content(&content_key()), None, "{changed}");
        disk.keep_content(&content_key(), &index(), |_| false);
        assert_eq!(disk.content(&content_key()), Some(index()));
    }
    fs::write(&file, vec![b' '; MAX_ENTRY + 1]).unwrap();
    assert_eq!(disk.content(&content_key()), None);
}

#[test]
fn what_is_secret_or_too_large_is_not_kept() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    disk.keep_content(&content_key(), &index(), |text| text.contains("arm64"));
    assert_eq!(disk.content(&content_key()), None);
    let config_type = "x".repeat(MAX_ENTRY);
    let large = Content::Manifest(Manifest::Artifact { config_type });
    disk.keep_content(&content_key(), &large, |_| false);
    assert_eq!((disk.content(&content_key()), disk.settle()), (None, None));
}

#[test]
fn pruning_takes_the_old_then_the_oldest_and_nothing_of_others() {
    let folder = TempDir::new().unwrap();
    let disk = disk(&folder);
    let now = SystemTime::now();
    let put = |name: &str, bytes: usize, age: u64| {
        let path = disk.folder.path().join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(age)).unwrap();
    };
    let name = |start: &str, n: u8| format!("{start}{}", hex::encode([n; 32]));
    put(&name(PRESENT_NAME, 1), 1, 601);
    put(&name(PRESENT_NAME, 2), 100, 500);
    put(&name(CONTENT_NAME, 3), 100, 700);
    put(&name(CONTENT_NAME, 4), 100, 600);
    put(&name(CONTENT_NAME, 5), 1, 31 * 24 * 3600);
    put(".pullproof-draft-1-a", 1, 3601);
    put("content-of-a-person", 1000, 99 * 24 * 3600);
    disk.folder.prune(lifetime, 200, now);
    let mut left: Vec<String> = fs::read_dir(disk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let kept =
        [name(CONTENT_NAME, 4), "content-of-a-person".into(), "key".into(), name(PRESENT_NAME, 2)];
    assert_eq!(left, kept);
}
