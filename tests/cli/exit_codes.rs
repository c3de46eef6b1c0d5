//! The exit code tells a pipeline what to do; each code by what causes it.

use super::manifests::{pod, pod_with_secret, secret};
use super::sandbox::Sandbox;
use crate::support::{Config, FakeRegistry, Fault};

fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    registry.fault(Fault::in_repository("down").answer(503));
    registry
}

fn sandbox(registry: &FakeRegistry, names: &[&str]) -> Sandbox {
    let pods: String =
        names.iter().map(|name| pod("p", &format!("{}/{name}", registry.host()))).collect();
    Sandbox::with("pods.yaml", pods)
}

#[test]
fn success_is_0_also_with_warnings_and_doubt() {
    let registry = registry();
    for names in [&["app:1"][..], &["app:1", "down:1"], &["down:1"]] {
        sandbox(&registry, names).run(["validate", "."]).exits(0);
    }
    sandbox(&registry, &["app:1"]).run(["validate", ".", "--inconclusive=fail"]).exits(0);
}

#[test]
fn a_denial_is_1_and_wins_over_doubt() {
    let registry = registry();
    sandbox(&registry, &["app:nope"]).run(["validate", "."]).exits(1);
    sandbox(&registry, &["down:1", "app:nope"])
        .run(["validate", ".", "--inconclusive=fail"])
        .exits(1);
    for text in ["apiVersion: v1\nkind: [\n", "kind: Pod\n\tapiVersion: v1\n"] {
        Sandbox::with("broken.yaml", text).run(["validate", "."]).exits(1);
    }
}

#[test]
fn doubt_is_4_only_when_asked_for() {
    let registry = registry();
    let sandbox = sandbox(&registry, &["app:1", "down:1"]);
    sandbox.run(["validate", ".", "--inconclusive=fail"]).exits(4);
    sandbox.run(["validate", ".", "--inconclusive", "warn"]).exits(0);
    sandbox.run(["validate", ".", "--offline", "--inconclusive=fail"]).exits(0);
}

#[test]
fn misuse_is_2_and_says_what_to_do() {
    let sandbox =
        Sandbox::with("empty.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n");
    std::fs::create_dir(sandbox.work().join("folder")).unwrap();
    for (arguments, words) in [
        (&[][..], "Usage: pullproof"),
        (&["validate"], "nothing to check: name files, folders, `-` or --image"),
        (&["images"], "nothing to list"),
        (&["validate", "nowhere.yaml"], "no such file or folder: nowhere.yaml"),
        (&["images", "nowhere.yaml"], "no such file or folder: nowhere.yaml"),
        (&["validate", "empty.yaml"], "no image found in 1 manifest file\n"),
        (&["images", "folder"], "no Kubernetes manifest found\n"),
        (&["validate", "/dev/null"], "is a device, not a file or folder"),
        (&["validate", ".", "-o", "xml"], "possible values: full, concise, json"),
        (&["validate", ".", "--registries", "nowhere.toml"], "cannot read nowhere.toml"),
        (&["validate", ".", "--authfile", "empty.yaml"], "empty.yaml is not usable"),
        (&["validate", ".", "--exclude", "a{b"], "cannot be understood"),
        (&["auth", "plan", "a", "--secrets", "nowhere.yaml"], "cannot read nowhere.yaml"),
        (&["frobnicate"], "unrecognized subcommand"),
    ] {
        let run = sandbox.run(arguments).exits(2);
        assert!(run.stderr.contains(words), "{arguments:?}: {run:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_reader_that_hangs_up_is_no_failure_of_ours() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_pullproof"))
        .args(["completions", "bash"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_3() {
    use std::process::Command;
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pullproof"))
        .arg("explain")
        .env_clear()
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: cannot write to standard output: "), "{said}");
}

#[test]
fn a_secret_that_stops_a_pod_is_1_even_offline() {
    let manifests = pod_with_secret("p", "ghcr.io/acme/web:1") + &secret("not json");
    let report = Sandbox::with("all.yaml", manifests).validate(&["--offline"]);
    assert_eq!(report.told(), ["acme/web:1 finding secret-invalid certain deny"]);
    assert_eq!(report.code, 1);
}
