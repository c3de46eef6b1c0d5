//! `pullproof.toml`: where it is found, what it says, what flags take from it, and T47: that it sends
//! nobody anywhere.

use serde_json::Value;

use super::manifests::{docker_config, pod, policy};
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Trap};

/// The images that a run in this folder of the sandbox lists.
fn images(sandbox: &Sandbox, folder: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = sandbox.command();
    command.current_dir(sandbox.work().join(folder));
    let run = Run::of(command.args(["images", "-o", "json"]).args(arguments)).exits(0);
    let images = run.json()["images"].as_array().unwrap().clone();
    images.iter().map(|image| image["image"].as_str().unwrap().to_owned()).collect()
}

/// A repository with three Pods below `apps`, one of them in `apps/old`, and one in `other`.
fn repository(settings: &str) -> Sandbox {
    let sandbox = Sandbox::with("pullproof.toml", settings);
    for file in ["apps/a", "apps/old/b", "other/c"] {
        let name = file.rsplit('/').next().unwrap();
        sandbox.write(format!("{file}.yaml"), pod(name, name));
    }
    sandbox
}

#[test]
fn inputs_and_patterns_count_from_the_folder_of_the_file() {
    let sandbox = repository("inputs = ['apps']\nexclude = ['/apps/old/']\n");
    assert_eq!(images(&sandbox, ".", &[]), ["a"]);
    assert_eq!(images(&sandbox, "other", &[]), ["a"]);
    assert_eq!(images(&sandbox, "apps/old", &[]), ["a"]);
    assert_eq!(images(&sandbox, "other", &["--config", "../pullproof.toml"]), ["a"]);
    // Names and patterns of the person win.
    assert_eq!(images(&sandbox, ".", &["other"]), ["c"]);
    assert_eq!(images(&sandbox, "apps", &["."]), ["a"]);
    assert_eq!(images(&sandbox, "apps", &[".", "--exclude", "nothing"]), ["a", "b"]);
    assert_eq!(images(&sandbox, ".", &[".", "--isolated"]), ["a", "b", "c"]);
    let included = repository("inputs = ['.']\ninclude = ['/other/*.yaml']\n");
    assert_eq!(images(&included, "apps", &[]), ["c"]);
}

#[test]
fn the_nearest_file_within_the_repository_counts() {
    let sandbox = repository("inputs = ['apps']\n");
    sandbox.write("other/pullproof.toml", "inputs = ['.']\n");
    assert_eq!(images(&sandbox, "other", &[]), ["c"]);
    assert_eq!(images(&sandbox, "apps", &[]), ["a", "b"]);
    // Another repository begins here.
    sandbox.write("apps/.git", "gitdir: elsewhere\n");
    let mut command = sandbox.command();
    command.current_dir(sandbox.work().join("apps/old"));
    let run = Run::of(command.arg("images")).exits(2);
    assert!(run.stderr.contains("nothing to list"), "{run:?}");
    for command in ["images", "validate"] {
        let run = sandbox.run([command, "--isolated"]).exits(2);
        assert!(run.stderr.contains("nothing to"), "{run:?}");
        sandbox.run([command, "--config", "none.toml"]).exits(2);
        sandbox.run([command, "--config", "pullproof.toml", "--isolated"]).exits(2);
    }
}

#[test]
fn rules_and_guesses_find_more_images() {
    let fleet = "apiVersion: acme.io/v1\nkind: Fleet\nmetadata: {name: f}\n\
                 spec: {runner: {picture: 'r.io/fleet:1'}}\n---\n";
    let rule = "[[extract]]\ngroup = 'acme.io'\nkind = 'Fleet'\npath = 'spec.runner.picture'\n";
    let sandbox = Sandbox::with("all.yaml", fleet.to_owned() + &pod("p", "a"));
    sandbox
        .write("more.yaml", pod("q", "a") + "    env: [{name: IMAGE, value: \"r.io/tool:2\"}]\n");
    assert_eq!(images(&sandbox, ".", &["."]), ["a"]);
    sandbox.write("pullproof.toml", rule);
    assert_eq!(images(&sandbox, ".", &["."]), ["a", "r.io/fleet:1"]);
    sandbox.write("pullproof.toml", format!("deep = true\n{rule}"));
    assert_eq!(images(&sandbox, ".", &["."]), ["a", "r.io/fleet:1", "r.io/tool:2"]);
    sandbox.write("pullproof.toml", rule.replace("spec.runner.picture", "spec..picture"));
    let run = sandbox.run(["images", "."]).exits(2);
    assert!(run.stderr.contains("pullproof.toml is not usable: the path"), "{run:?}");
}

#[test]
fn ignores_policies_platforms_and_the_format_are_used_and_flags_win() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let host = registry.host();
    let manifests = pod("p", &format!("{host}/app:1")) + &pod("q", &format!("{host}/app:2"));
    let sandbox = Sandbox::with("all.yaml", manifests);
    sandbox.write("ci/policy.yaml", policy("{action: Audit}"));
    let deny = sandbox.write_home("deny.yaml", policy("{action: Deny}"));
    let run = |settings: &str, more: &[&str]| {
        sandbox
            .write("pullproof.toml", format!("inputs = ['all.yaml']\noutput = 'json'\n{settings}"));
        sandbox.run(["validate"].iter().chain(more)).report()
    };
    let verdicts = |settings: &str, more: &[&str]| {
        let report = run(settings, more);
        let verdict = |it: &Value| it["verdict"].as_str().unwrap().to_owned();
        (report.code, report.results().iter().map(verdict).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(verdicts("", &[]), (1, "allow deny".to_owned()));
    let audit = "policy = ['ci/policy.yaml']\n";
    assert_eq!(verdicts(audit, &[]), (0, "allow audit".to_owned()));
    let flag = ["--policy", deny.to_str().unwrap()];
    assert_eq!(verdicts(audit, &flag), (1, "allow deny".to_owned()));
    assert_eq!(verdicts(audit, &["--isolated", ".", "-o", "json"]), (1, "allow deny".to_owned()));
    let platform = "platforms = ['linux/arm64']\n";
    assert_eq!(verdicts(platform, &[]), (1, "deny deny".to_owned()));
    assert_eq!(verdicts(platform, &["--platform", "linux/amd64"]).1, "allow deny");
    let ignore = format!(
        "[[ignore]]\nimage = '{host}/*'\ncause = 'tag-not-found'\nreason = 'pushed later'\n"
    );
    let ignored = run(&ignore, &[]);
    assert_eq!((ignored.code, &ignored.of("app:2")["rule"]), (0, &"ignored: pushed later".into()));
    let concise = sandbox.run(["validate", "-o", "concise"]).exits(0);
    assert!(!concise.stdout.starts_with('{'), "{concise:?}");
    // An image by name is all that was asked for.
    let report = run("", &["--image", &format!("{host}/app:1")]);
    assert_eq!(report.told(), ["app:1 pullable allow"]);
}

#[test]
fn what_is_wrong_is_misuse_and_named() {
    let sandbox = Sandbox::with("pod.yaml", pod("p", "nginx"));
    for (text, words) in [
        ("inputs = ['..']", "must lie inside"),
        ("policy = ['/etc/policy.yaml']", "must lie inside"),
        ("policy = ['none.yaml']", "cannot read none.yaml"),
        ("policy = ['link.yaml']", "leads out of the repository"),
        ("output = 'pdf'", "use one of"),
        ("colour = true", "colour"),
        ("inputs = ['none']", "none"),
    ] {
        sandbox.write("pullproof.toml", text);
        #[cfg(unix)]
        {
            let outside = sandbox.write_home("policy.yaml", policy("{action: Allow}"));
            let _ = std::os::unix::fs::symlink(outside, sandbox.work().join("link.yaml"));
        }
        let named = if text.starts_with("inputs") { &[][..] } else { &["."] };
        let run = sandbox.run(["validate", "--offline"].iter().chain(named)).exits(2);
        assert!(run.stderr.contains(words), "{words}: {run:?}");
        assert!(!run.all().contains('\u{1b}'), "{run:?}");
    }
    sandbox.write("pullproof.toml", "#".repeat((1 << 20) + 1));
    let run = sandbox.run(["validate", "--offline"]).exits(2);
    assert!(run.stderr.contains("larger than"), "{run:?}");
}

/// What a stranger may write to have the pipeline's login sent elsewhere.
fn attempts(registry: &str, trap: &str) -> Vec<String> {
    let host = format!("[registry.\"{registry}\"]\n");
    vec![
        format!("{host}mirrors = [{{ url = \"http://{trap}\", credentials = true }}]\n"),
        format!("{host}token_realms = [\"http://{trap}/\"]\n"),
        format!("{host}plain_http = true\n"),
        format!("{host}ca = \"ca.pem\"\n"),
        host.replace("registry.", "registries."),
        format!("registries = \"registries.toml\"\nallow_addresses = [\"{trap}\"]\n"),
        format!("allow_addresses = [\"{trap}\"]\n"),
        "public_only = false\n".to_owned(),
        "authfile = \"own.json\"\n".to_owned(),
        format!("mirrors = [\"http://{trap}\"]\n"),
        format!("token_realms = [\"http://{trap}/\"]\n"),
        format!("token-realms = [\"http://{trap}/\"]\n"),
        format!("Mirrors = [\"http://{trap}\"]\n"),
        "ca = \"ca.pem\"\n".to_owned(),
        format!("proxy = \"http://{trap}\"\n"),
        format!("[hosts]\n\"{registry}\" = \"{trap}\"\n"),
        format!("[addresses]\n\"{registry}\" = \"{trap}\"\n"),
        format!("[auths.\"{trap}\"]\nauth = \"x\"\n"),
    ]
}

#[test]
fn t47_a_repository_cannot_send_the_pipelines_login_to_a_host_of_its_own() {
    let trap = Trap::start_blocking();
    let config = Config::basic().user("ci", "CANARY-pipeline");
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("app", "1", "linux/amd64");
    let (host, lure) = (registry.host(), trap.host());
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{host}/app:1")));
    let own = sandbox.write_home("own.json", docker_config(host, "ci", "CANARY-pipeline"));
    let own = own.to_str().unwrap();
    for attempt in attempts(host, lure) {
        sandbox.write("pullproof.toml", format!("inputs = [\".\"]\n{attempt}"));
        for arguments in [&["validate"][..], &["validate", "."], &["images"]] {
            let more: &[&str] = if arguments[0] == "validate" { &["--authfile", own] } else { &[] };
            let run = sandbox.run(arguments.iter().chain(more)).exits(2);
            assert!(run.stderr.contains("cannot be set here"), "{attempt}: {run:?}");
            assert!(run.stderr.contains("registries.toml"), "{attempt}: {run:?}");
        }
    }
    assert_eq!((registry.connections(), trap.connections()), (0, 0));
    // The same settings lying about under the names that count elsewhere are not read either.
    let transport = attempts(host, lure)[..2].concat().replacen(
        "[registry.",
        "[registry.\"x\"]\n[registry.",
        1,
    );
    for name in [
        "registries.toml",
        "pullproof/registries.toml",
        ".config/pullproof/registries.toml",
        "hosts.toml",
    ] {
        sandbox.write(name, &transport);
    }
    for name in ["config.json", ".docker/config.json", "auth.json", ".config/containers/auth.json"]
    {
        sandbox.write(name, docker_config(lure, "x", "y"));
    }
    sandbox
        .write("pullproof.toml", "inputs = [\".\"]\ninclude = [\"*.yaml\"]\noutput = \"json\"\n");
    let report = sandbox.run(["validate", "--authfile", own]).report();
    assert_eq!(report.told(), ["app:1 pullable allow"]);
    assert!(registry.requests().iter().any(|it| it.authorization.is_some()));
    assert_eq!((trap.connections(), trap.received().len()), (0, 0));
}

#[test]
fn the_schemas_are_printed_and_name_every_format() {
    let sandbox = Sandbox::new();
    let project = sandbox.run(["config", "schema"]).exits(0);
    assert_eq!(project.stdout, sandbox.run(["config", "schema", "project"]).stdout);
    let formats: Vec<Value> =
        pullproof::report::Format::ALL.iter().map(|format| format.id().into()).collect();
    assert_eq!(project.json()["properties"]["output"]["enum"], Value::from(formats));
    let registries = sandbox.run(["config", "schema", "registries"]).exits(0).json();
    assert_eq!(registries["title"], "registries.toml");
    sandbox.run(["config", "schema", "policy"]).exits(2);
}

#[test]
fn ignore_rules_that_nothing_came_of_are_told() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let host = registry.host();
    let rule = |image: &str, cause: &str| {
        format!("[[ignore]]\nimage = '{image}'\ncause = '{cause}'\nreason = 'x'\n")
    };
    let settings = "inputs = ['apps']\n".to_owned()
        + &rule(&format!("{host}/app"), "tag-not-found")
        + &rule("ghcr.io/**", "tag-not-found")
        + &rule(&format!("{host}/gone"), "tag-not-found");
    let sandbox = Sandbox::with("pullproof.toml", settings);
    registry.push_image("gone", "1", "linux/amd64");
    sandbox.write("apps/a.yaml", pod("a", &format!("{host}/app:1")));
    sandbox.write("apps/b.yaml", pod("b", &format!("{host}/gone:2")));
    let notes = |arguments: &[&str]| -> Vec<String> {
        let run = sandbox.run(["validate", "-o", "json"].iter().chain(arguments)).exits(0);
        let notes = run.json()["notes"].as_array().unwrap().clone();
        notes.iter().map(|note| format!("{} {}", note["id"], note["text"])).collect()
    };
    let all = notes(&[]);
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("unused-ignore") && all[0].contains("/app\\\""), "{all:?}");
    assert!(all[1].contains("unmet-ignore") && all[1].contains("ghcr.io/**"), "{all:?}");
    // Of a part of the repository a rule for the rest says nothing.
    assert_eq!(notes(&["apps/b.yaml"]), [""; 0]);
    assert_eq!(notes(&["apps/a.yaml"]).len(), 1);
}
