//! The ready-made policies in `policies`: each is read, and does what its first line says. What only
//! the webhook acts on (`pin`, `pullSecrets`) is tested there.

use pullproof::manifest::yaml;
use pullproof::policy::ImageCheckPolicy;

use crate::cli::manifests::pod;
use crate::cli::sandbox::{Report, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

const ALL: [&str; 6] =
    ["deny-missing", "inject-pull-secrets", "multiarch", "no-latest", "pin-production", "warn-all"];

fn text(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    std::fs::read_to_string(format!("{folder}/{name}.yaml")).unwrap()
}

pub fn read(name: &str) -> ImageCheckPolicy {
    let text = text(name);
    let parsed = yaml::parse(&text);
    assert_eq!((parsed.documents.len(), parsed.errors.len()), (1, 0), "{name}");
    let policy = ImageCheckPolicy::from_value(&parsed.documents[0].root().to_json());
    policy.unwrap().expect("a policy and no other kind")
}

/// `app:1` and `app:latest` for both platforms, `app:amd` for one; `down` answers nothing of use.
fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    for tag in ["1", "latest"] {
        registry.push_index("app", tag, &["linux/amd64".into(), "linux/arm64".into()]);
    }
    registry.push_index("app", "amd", &["linux/amd64".into()]);
    registry.fault(Fault::in_repository("down").answer(503));
    registry
}

/// What `validate --policy` says of these images in this namespace.
fn judged(name: &str, namespace: &str, images: &[&str]) -> Report {
    let registry = registry();
    let pods: String = images
        .iter()
        .map(|image| pod("p", &format!("{}/{image}", registry.host())))
        .map(|pod| pod.replace("namespace: shop", &format!("namespace: {namespace}")))
        .collect();
    let sandbox = Sandbox::with("pods.yaml", pods);
    let file = sandbox.write_home("policy.yaml", text(name));
    sandbox.validate(&["--policy", file.to_str().unwrap()])
}

fn verdicts(report: &Report) -> Vec<&str> {
    report.results().iter().map(|it| it["verdict"].as_str().unwrap()).collect()
}

#[test]
fn the_folder_holds_these_policies_and_each_is_named_like_its_file() {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies")).unwrap();
    let mut names: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|file| file.trim_end_matches(".yaml").to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ALL);
    for name in ALL {
        assert_eq!(read(name).name, name);
        assert!(text(name).starts_with("# "), "{name} says what it is for");
    }
}

#[test]
fn no_ready_made_policy_denies_what_could_not_be_told() {
    for name in ALL {
        let report = judged(name, "prod-eu", &["down:1"]);
        assert_eq!((verdicts(&report), report.code), (vec!["warn"], 0), "{name}");
    }
}

#[test]
fn warn_all_denies_nothing() {
    let report = judged("warn-all", "shop", &["app:1", "app:nope", "nothing:1", "app"]);
    assert_eq!(verdicts(&report), ["allow", "warn", "warn", "warn"]);
    assert_eq!(report.code, 0);
}

#[test]
fn deny_missing_denies_what_is_absent() {
    let report = judged("deny-missing", "shop", &["app:1", "app:nope", "nothing:1", "app"]);
    assert_eq!(verdicts(&report), ["allow", "deny", "deny", "allow"]);
    assert_eq!(report.code, 1);
    assert_eq!(report.of("app:nope")["policy"], "deny-missing");
}

#[test]
fn no_latest_denies_moving_tags_but_not_in_sandboxes() {
    for moving in ["app:latest", "app"] {
        assert_eq!(verdicts(&judged("no-latest", "shop", &["app:1", moving])), ["allow", "deny"]);
        let free = verdicts(&judged("no-latest", "sandbox-a", &["app:1", moving])).join(" ");
        assert!(!free.contains("deny"), "{free}");
    }
}

#[test]
fn multiarch_denies_what_lacks_a_platform() {
    let report = judged("multiarch", "shop", &["app:1", "app:amd", "app:nope"]);
    assert_eq!(verdicts(&report), ["allow", "deny", "warn"]);
    assert_eq!(report.of("app:amd")["cause"], "platform-partial");
}

#[test]
fn pin_production_pins_and_denies_in_production_only() {
    let policy = read("pin-production");
    assert!(policy.spec.pin);
    let report = judged("pin-production", "prod-eu", &["app:1", "app:nope", "app:latest"]);
    assert_eq!(verdicts(&report), ["allow", "deny", "deny"]);
    let elsewhere = judged("pin-production", "shop", &["app:latest"]);
    assert!(elsewhere.results()[0]["policy"].is_null(), "{:#}", elsewhere.json);
}

#[test]
fn inject_pull_secrets_names_a_secret_for_each_registry() {
    let policy = read("inject-pull-secrets");
    let rules: Vec<(&str, &str)> = policy
        .spec
        .pull_secrets
        .iter()
        .map(|rule| (rule.registry.as_str(), rule.secret.as_str()))
        .collect();
    assert_eq!(rules, [("ghcr.io/acme", "ghcr-pull"), ("registry.internal:5000", "internal-pull")]);
    assert!(!policy.spec.pin);
    // In files nothing is added; what is missing is warned of.
    let report = judged("inject-pull-secrets", "shop", &["app:nope"]);
    assert_eq!((verdicts(&report), report.code), (vec!["warn"], 0));
}
