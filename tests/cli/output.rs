//! How a report reads: one rich sample in full and in lines, colour, and who sees what.

use super::manifests::{account, docker_config, pod, pod_with, pod_with_secret, policy, secret};
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

/// A registry and manifests with a bit of everything; the registry must outlive the runs.
fn sample() -> (Sandbox, FakeRegistry) {
    let config = Config::bearer().user("ci", "right").private("team/private", &["ci"]);
    let registry = FakeRegistry::start_blocking(config);
    for tag in ["1.27.9-alpine", "1.27-alpine", "latest"] {
        registry.push_image("nginx", tag, "linux/amd64");
    }
    registry.push_index("arm", "1", &["linux/arm64".into()]);
    registry.push_index("both", "1", &["linux/amd64".into(), "linux/arm64".into()]);
    registry.push_image("team/private", "1", "linux/amd64");
    registry.push_artifact("chart", "1");
    registry.fault(Fault::in_repository("busy").retry_after("120"));
    let image = |name: &str| format!("{}/{name}", registry.host());
    let sandbox = Sandbox::with("apps/web.yaml", pod("web", &image("nginx:1.27.9-alpine")));
    sandbox.write(
        "apps/typo.yaml",
        pod("typo", &format!("\"{}\"", image("nginx:1.27.9-alpin"))).repeat(2),
    );
    let amd64 = &["nodeSelector: {kubernetes.io/arch: amd64}"];
    sandbox.write("apps/arm.yaml", pod_with("arm", &image("arm:1"), amd64));
    sandbox.write(
        "apps/private.yaml",
        pod_with_secret("private", &image("team/private:1"))
            + &secret(&docker_config(registry.host(), "ci", "wrong")),
    );
    sandbox.write(
        "apps/bare.yaml",
        pod_with("bare", &image("team/private:1"), &["serviceAccountName: bare"])
            + &account("bare").replace("{name: pull}", ""),
    );
    sandbox.write("apps/busy.yaml", pod("busy", &image("busy:1")));
    sandbox.write("apps/latest.yaml", pod("latest", &image("nginx")));
    sandbox.write("apps/chart.yaml", pod_with("chart", &image("chart:1"), amd64));
    sandbox.write("apps/bad.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"bad\"}, \"spec\": {\"containers\": [{\"name\": \"é\", \"image\": \"Nginx:1\"}]}}\n");
    sandbox
        .write("apps/broken.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: [\n");
    sandbox.write("apps/placeholder.yaml", pod("later", "\"repo/app:${TAG}\""));
    (sandbox, registry)
}

/// The text with what differs in every run replaced.
fn steady(text: &str, registry: &FakeRegistry) -> String {
    let mut text = text.replace(registry.host(), "REGISTRY");
    if let Some(at) = text.rfind(" requests, ") {
        let end = text[at..].find(')').unwrap();
        text.replace_range(at..at + end, " requests, TIME");
    }
    text
}

#[test]
fn full_reads_like_a_compiler() {
    let (sandbox, registry) = sample();
    let run = sandbox.run(["validate", "apps"]).exits(1);
    assert_eq!(run.stderr, "", "no progress where nobody looks");
    insta::assert_snapshot!(steady(&run.stdout, &registry));
}

#[test]
fn concise_is_one_line_a_place() {
    let (sandbox, registry) = sample();
    let run = sandbox.run(["validate", "apps", "-o", "concise"]).exits(1);
    insta::assert_snapshot!(steady(&run.stdout, &registry));
}

#[test]
fn an_offline_run_with_a_policy_reads_as_well() {
    let (sandbox, registry) = sample();
    let spec = "{causes: [{id: latest-tag, action: Deny}, {id: unpinned, action: Warn}], registries: {allow: [ghcr.io]}}";
    let file = sandbox.write_home("policy.yaml", policy(spec));
    let run =
        sandbox.run(["validate", "apps", "--offline", "--policy", file.to_str().unwrap()]).exits(1);
    insta::assert_snapshot!(steady(&run.stdout, &registry));
}

#[test]
fn colour_follows_the_flag_the_environment_and_the_output() {
    let (sandbox, _registry) = sample();
    let coloured = |setting: Option<(&str, &str)>, arguments: &[&str]| {
        let mut command = sandbox.command();
        command.env_remove("NO_COLOR");
        command.envs(setting).args(["validate", "apps", "--offline"]).args(arguments);
        Run::of(&mut command).all().contains('\u{1b}')
    };
    assert!(!coloured(None, &[]), "not into a file or pipe");
    assert!(coloured(None, &["--color", "always"]));
    assert!(!coloured(None, &["--color=never"]));
    assert!(coloured(Some(("CLICOLOR_FORCE", "1")), &[]));
    assert!(!coloured(Some(("CLICOLOR_FORCE", "1")), &["--color=never"]));
    assert!(!coloured(Some(("NO_COLOR", "1")), &[]));
    assert!(
        coloured(Some(("NO_COLOR", "1")), &["--color=always"]),
        "a flag says more than a variable"
    );
    assert!(!coloured(None, &["--color=always", "-o", "json"]));
}

#[test]
fn the_report_is_alike_in_every_run() {
    let (sandbox, registry) = sample();
    let run = || steady(&sandbox.run(["validate", "apps"]).stdout, &registry);
    assert_eq!(run(), run());
}
