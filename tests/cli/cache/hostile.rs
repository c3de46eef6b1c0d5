//! Damaged, foreign and crowded caches, and what must never be in one.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::{entries, folder, sixty, validate};
use crate::cli::manifests::{docker_config, pod, pod_with_secret, secret};
use crate::cli::sandbox::Sandbox;
use crate::support::{Config, FakeRegistry};

const CANARY: &str = "CANARY-kept-81c4";

fn one() -> (FakeRegistry, Sandbox) {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{}/app:1", registry.host())));
    (registry, sandbox)
}

/// Runs once; the notes, after the image was found by asking.
fn asks(registry: &FakeRegistry, sandbox: &Sandbox) -> String {
    registry.reset_counts();
    let report = validate(sandbox, &["--platform", "linux/amd64"]);
    assert_eq!(report.told(), ["app:1 pullable allow"]);
    assert!(registry.count() > 0, "{}", report.stderr);
    report.stderr
}

#[test]
fn no_file_of_the_cache_holds_a_login() {
    let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("app", "1", "linux/amd64");
    // A registry that says the login back where it would be kept.
    let said = crate::support::PlatformSpec::from("linux/amd64").os_version(CANARY);
    registry.push_image("app", "2", said);
    let document = docker_config(registry.host(), "ci", CANARY);
    let image = |tag| pod_with_secret("web", &format!("{}/app:{tag}", registry.host()));
    let sandbox = Sandbox::with("all.yaml", image(1) + &image(2) + &secret(&document));
    validate(&sandbox, &["--platform", "linux/amd64"]);
    let files = entries(&sandbox, "");
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let text = format!("{} {}", file.display(), fs::read_to_string(&file).unwrap());
        for plain in [CANARY.to_owned(), format!("ci:{CANARY}")] {
            for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                assert!(!text.contains(&engine.encode(&plain)), "{text}");
            }
            assert!(!text.contains(&hex::encode(&plain)) && !text.contains(&plain), "{text}");
        }
        assert!(!text.contains("Bearer") && !text.contains("\"ci\""), "{text}");
    }
}

#[test]
fn damaged_entries_are_passed_over_and_replaced() {
    let (registry, sandbox) = one();
    assert_eq!(asks(&registry, &sandbox), "");
    for damage in ["", "{}", "{\"format\":\"1\"", "\u{0}\u{0}"] {
        for entry in [entries(&sandbox, "present-"), entries(&sandbox, "content-")].concat() {
            fs::write(entry, damage).unwrap();
        }
        assert_eq!(asks(&registry, &sandbox), "");
    }
    registry.reset_counts();
    validate(&sandbox, &["--platform", "linux/amd64"]);
    assert_eq!(registry.count(), 0);
}

#[test]
fn eight_runs_at_once_share_a_cache() {
    let (registry, sandbox) = sixty();
    let folder = folder(&sandbox);
    let runs: Vec<_> = std::thread::scope(|scope| {
        let run = || {
            let mut command = sandbox.command();
            let folder = folder.as_os_str();
            command.args(["validate", ".", "--platform", "linux/amd64", "--cache-dir"]).arg(folder);
            command.output().unwrap()
        };
        let spawned: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        spawned.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for run in runs {
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), said.as_str()), (Some(0), ""));
    }
    registry.reset_counts();
    validate(&sandbox, &["--platform", "linux/amd64"]);
    assert_eq!(registry.count(), 0, "{:?}", registry.log());
    assert_eq!(entries(&sandbox, "key").len(), 1);
    assert_eq!(entries(&sandbox, ".").len(), 0, "no draft is left");
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &std::path::Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn everything_is_the_owners_alone() {
        let (registry, sandbox) = one();
        asks(&registry, &sandbox);
        assert_eq!(mode(&folder(&sandbox)), 0o700);
        for file in entries(&sandbox, "") {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn links_are_not_followed_and_are_replaced() {
        let (registry, sandbox) = one();
        asks(&registry, &sandbox);
        let entry = entries(&sandbox, "present-").remove(0);
        let outside = sandbox.write_home("outside", fs::read(&entry).unwrap());
        fs::remove_file(&entry).unwrap();
        symlink(&outside, &entry).unwrap();
        let before = fs::read(&outside).unwrap();
        assert_eq!(asks(&registry, &sandbox), "");
        assert!(!fs::symlink_metadata(&entry).unwrap().is_symlink());
        assert_eq!(fs::read(&outside).unwrap(), before);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_used() {
        let (registry, sandbox) = one();
        asks(&registry, &sandbox);
        let before = entries(&sandbox, "").len();
        for mode in [0o777, 0o770, 0o1777, 0o702] {
            set_mode(&folder(&sandbox), mode);
            let said = asks(&registry, &sandbox);
            let reason = "is not used: others may write to it\n";
            assert!(said.starts_with("note: the cache ") && said.ends_with(reason), "{said}");
            assert_eq!(said.lines().count(), 1);
        }
        assert_eq!(entries(&sandbox, "").len(), before);
    }

    #[test]
    fn a_key_that_is_none_or_not_private_is_neither_used_nor_replaced() {
        for (text, key_mode, reason) in [
            ("ab".repeat(32), 0o644, "may be read by others"),
            ("a person's own key".to_owned(), 0o600, "is no key"),
            ("ab".repeat(31), 0o600, "is no key"),
        ] {
            let (registry, sandbox) = one();
            fs::create_dir(folder(&sandbox)).unwrap();
            let key = folder(&sandbox).join("key");
            fs::write(&key, &text).unwrap();
            set_mode(&key, key_mode);
            let said = asks(&registry, &sandbox);
            assert!(said.contains(reason), "{said}");
            assert_eq!(fs::read_to_string(&key).unwrap(), text);
            assert_eq!(entries(&sandbox, "").len(), 1);
        }
    }

    #[test]
    fn f52_a_folder_that_cannot_be_made_or_written_is_noted_once() {
        let (registry, sandbox) = one();
        sandbox.write_home("kept", "a file");
        let said = asks(&registry, &sandbox);
        assert!(said.starts_with("note: the cache ") && said.lines().count() == 1, "{said}");

        let (registry, sandbox) = one();
        asks(&registry, &sandbox);
        for entry in [entries(&sandbox, "present-"), entries(&sandbox, "content-")].concat() {
            fs::remove_file(&entry).unwrap();
            // A folder in its place stops everybody, root too.
            fs::create_dir(&entry).unwrap();
        }
        let said = asks(&registry, &sandbox);
        let start = "note: nothing more is kept in the cache ";
        assert!(said.starts_with(start) && said.lines().count() == 1, "{said}");
        assert_eq!(entries(&sandbox, ".").len(), 0, "no draft is left");
    }
}
