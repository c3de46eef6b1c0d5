//! What one run keeps for the next: nothing is asked twice, nobody sees what another was told, and a
//! cache that is damaged or out of reach costs requests, never an answer.

mod hostile;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::manifests::{docker_config, pod, pod_with_secret, secret};
use super::sandbox::{Report, Sandbox};
use crate::support::{Config, FakeRegistry};

/// The cache that the runs of a sandbox share here.
fn folder(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join("kept")
}

/// `validate` with the cache of the sandbox.
fn validate(sandbox: &Sandbox, more: &[&str]) -> Report {
    let folder = folder(sandbox).display().to_string();
    sandbox.validate(&[&["--cache-dir", &folder], more].concat())
}

/// The entries of the cache, by how their names begin.
fn entries(sandbox: &Sandbox, start: &str) -> Vec<PathBuf> {
    let read = fs::read_dir(folder(sandbox)).unwrap().map(|entry| entry.unwrap().path());
    read.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(start)).collect()
}

fn set_back(files: &[PathBuf], seconds: u64) {
    for path in files {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }
}

/// Twenty repositories with three tags each behind tokens, and Pods that name them all.
fn sixty() -> (FakeRegistry, Sandbox) {
    let registry = FakeRegistry::start_blocking(Config::bearer());
    let mut pods = String::new();
    for nth in 0..20 {
        for tag in 0..3 {
            let unique = format!("10.0.{nth}.{tag}");
            let windows = crate::support::PlatformSpec::from("windows/amd64").os_version(&unique);
            let repository = format!("team/app-{nth}");
            registry.push_index(&repository, &format!("1.{tag}"), &["linux/amd64".into(), windows]);
            pods += &pod("p", &format!("{}/{repository}:1.{tag}", registry.host()));
        }
    }
    (registry, Sandbox::with("pods.yaml", pods))
}

#[test]
fn the_last_line_tells_how_many_answers_are_old_and_how_old() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    registry.push_image("app", "2", "linux/amd64");
    let image = |tag| pod("p", &format!("{}/app:{tag}", registry.host()));
    let sandbox = Sandbox::with("pods.yaml", image(1));
    assert_eq!(validate(&sandbox, &[]).json["summary"]["cached"], 0);
    sandbox.write("pods.yaml", image(1) + &image(2));
    let folder = folder(&sandbox).display().to_string();
    let last = |more: &[&str]| {
        let arguments = [&["validate", ".", "--cache-dir", &folder], more].concat();
        sandbox.run(arguments).exits(0).stdout.lines().last().unwrap().to_owned()
    };
    let told = "; 1 from an answer ";
    assert!(last(&["--refresh"]).contains("2 pullable") && !last(&["--refresh"]).contains(told));
    set_back(&entries(&sandbox, "p"), 400);
    for format in ["full", "concise", "markdown"] {
        let line =
            sandbox.run(["validate", ".", "--cache-dir", &folder, "-o", format]).exits(0).stdout;
        assert!(line.contains("; 2 from answers up to 6 min old (--refresh asks anew)"), "{line}");
    }
    let summary = &validate(&sandbox, &[]).json["summary"];
    assert_eq!(summary["cached"], 2);
    assert!(summary["oldestSeconds"].as_u64() >= Some(400), "{summary}");
}

#[test]
fn a_second_run_asks_nothing_and_says_how_old_its_answers_are() {
    let (registry, sandbox) = sixty();
    let linux = ["--platform", "linux/amd64"];
    let first = validate(&sandbox, &linux);
    assert_eq!(first.json["summary"]["pullable"], 60);
    assert!(!first.json.to_string().contains("from the cache"));
    registry.reset_counts();
    let second = validate(&sandbox, &linux);
    assert_eq!((registry.count(), registry.connections()), (0, 0), "{:?}", registry.log());
    assert_eq!(second.json["summary"]["requests"], 0);
    assert_eq!((second.told(), second.stderr.as_str()), (first.told(), ""));
    let age = " s ago)";
    for result in second.results() {
        let text = result["evidence"][0]["text"].as_str().unwrap();
        assert!(text.contains(" (from the cache of ") && text.ends_with(age), "{text}");
    }
    let fields = ["digest", "platforms", "outcome", "pulls"];
    for (one, other) in first.results().iter().zip(second.results()) {
        assert_eq!(fields.map(|field| &one[field]), fields.map(|field| &other[field]));
    }
}

#[test]
fn refresh_asks_again_and_keeps_and_no_cache_does_neither() {
    let (registry, sandbox) = sixty();
    let without = sandbox.validate(&["--no-cache"]);
    let cost = registry.count();
    assert_eq!(without.json["summary"]["requests"], cost);
    assert_eq!(fs::read_dir(sandbox.home()).unwrap().count(), 0);
    for (arguments, expected) in [(&[][..], cost), (&[], 0), (&["--refresh"], cost), (&[], 0)] {
        registry.reset_counts();
        assert_eq!(validate(&sandbox, arguments).json["summary"]["pullable"], 60);
        assert_eq!(registry.count(), expected, "{arguments:?}");
    }
    registry.reset_counts();
    sandbox.validate(&["--no-cache"]);
    assert_eq!(registry.count(), cost);
    assert_eq!(sandbox.run(["validate", ".", "--no-cache", "--refresh"]).code, 2);
}

#[test]
fn the_usual_folder_is_used_without_a_flag_and_not_offline_and_keeps_nothing_of_loopback() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{}/app:1", registry.host())));
    let usual = sandbox.home().join(".cache/pullproof");
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command();
        command.env_remove("XDG_CACHE_HOME").args(["validate", "."]).args(arguments);
        assert!(command.output().unwrap().status.success());
        registry.count()
    };
    assert_eq!((run(&["--offline"]), usual.exists()), (0, false));
    let cost = run(&[]);
    assert!(cost > 0 && usual.join("key").is_file());
    assert_eq!(run(&[]), 2 * cost);
    let mut relative = sandbox.command();
    relative.env("XDG_CACHE_HOME", "relative").args(["validate", "."]);
    assert!(relative.output().unwrap().status.success());
    assert!(!sandbox.work().join("relative").exists());
}

#[test]
fn t11_what_one_login_was_told_no_other_learns() {
    let config = Config::bearer().user("ci", "pw").user("eve", "pw").private("app", &["ci"]);
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let sandbox = Sandbox::new();
    let with = |user: &str, password: &str| {
        let document = docker_config(registry.host(), user, password);
        sandbox.write("all.yaml", pod_with_secret("web", &image) + &secret(&document));
        registry.reset_counts();
        let told = validate(&sandbox, &["--platform", "linux/amd64"]).told().remove(0);
        (told, registry.count() > 0)
    };
    let good = ("app:1 pullable allow".to_owned(), true);
    assert_eq!(with("ci", "pw"), good);
    assert_eq!(with("ci", "pw"), (good.0.clone(), false));
    for (user, password) in [("eve", "pw"), ("ci", "wrong"), ("eve", "wrong")] {
        for _ in 0..2 {
            let (told, asked) = with(user, password);
            assert!(told.contains("finding") && asked, "{user}: {told}");
        }
    }
    sandbox.write("all.yaml", pod("web", &image));
    registry.reset_counts();
    let told = validate(&sandbox, &["--platform", "linux/amd64"]).told().remove(0);
    assert!(told.contains("finding") && registry.count() > 0, "{told}");
    assert_eq!(with("ci", "pw"), (good.0, false));
}

#[test]
fn an_anonymous_success_is_the_anonymous_ones_alone() {
    let registry = FakeRegistry::start_blocking(Config::bearer().user("ci", "pw"));
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let sandbox = Sandbox::with("all.yaml", pod("web", &image));
    validate(&sandbox, &[]);
    registry.reset_counts();
    let wrong = docker_config(registry.host(), "ci", "wrong");
    sandbox.write("all.yaml", pod_with_secret("web", &image) + &secret(&wrong));
    let told = validate(&sandbox, &[]).told().remove(0);
    assert!(told.contains("credentials-rejected") && registry.count() > 0, "{told}");
}

#[test]
fn old_entries_are_asked_again_and_absent_tags_every_time() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let image = |tag: &str| pod("p", &format!("{}/app:{tag}", registry.host()));
    let sandbox = Sandbox::with("pods.yaml", image("1") + &image("2"));
    let run = || {
        registry.reset_counts();
        let told = validate(&sandbox, &["--platform", "linux/amd64"]).told();
        let count = |path: &str| registry.count_of("HEAD", path);
        let gets = registry.requests().iter().filter(|it| it.path().contains("sha256:")).count();
        (told, [count("/v2/app/manifests/1"), count("/v2/app/manifests/2"), gets])
    };
    let told =
        ["app:1 pullable allow", "app:2 finding tag-not-found certain deny"].map(str::to_owned);
    assert_eq!(run(), (told.to_vec(), [1, 1, 2]));
    assert_eq!(run(), (told.to_vec(), [0, 1, 0]));
    set_back(&entries(&sandbox, "present-"), 9 * 60);
    assert_eq!(run(), (told.to_vec(), [0, 1, 0]));
    validate(&sandbox, &[]).says("app:1", "(from the cache of 9 min ago)");
    set_back(&entries(&sandbox, "present-"), 601);
    assert_eq!(run(), (told.to_vec(), [1, 1, 0]));
    set_back(&entries(&sandbox, "content-"), 30 * 86_400 + 1);
    assert_eq!(run(), (told.to_vec(), [0, 1, 2]));

    // What is gone when it is asked anew is gone for the next run, too.
    registry.forget("app", "1");
    assert_eq!(run().0, told);
    let gone = validate(&sandbox, &["--refresh"]).told();
    assert!(gone[0].contains("tag-not-found"), "{gone:?}");
    assert_eq!(run().0, gone);
}
