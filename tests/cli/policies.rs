//! `validate --policy`: what a policy makes of a finding, of doubt and of hygiene.

use serde_json::json;

use super::manifests::{docker_config, pod, pod_with, pod_with_secret, policy, secret};
use super::sandbox::{Report, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    registry.push_image("app", "latest", "linux/amd64");
    registry.fault(Fault::in_repository("down").answer(503));
    registry
}

/// A good image, an absent one, one that cannot be told, and one with a moving tag.
fn pods(registry: &FakeRegistry) -> String {
    let image = |name: &str| pod("p", &format!("{}/{name}", registry.host()));
    ["app:1", "app:nope", "down:1", "app"].map(image).concat()
}

fn judged(registry: &FakeRegistry, manifests: &str, spec: &str) -> Report {
    let sandbox = Sandbox::with("pods.yaml", manifests);
    let file = sandbox.write_home("policy.yaml", policy(spec));
    let _ = registry;
    sandbox.validate(&["--policy", file.to_str().unwrap()])
}

fn verdicts(report: &Report) -> Vec<&str> {
    report.results().iter().map(|it| it["verdict"].as_str().unwrap()).collect()
}

#[test]
fn a_policy_decides_and_is_named() {
    let registry = registry();
    for (spec, expected, code) in [
        ("{action: Deny}", ["allow", "deny", "warn", "allow"], 1),
        ("{action: Warn}", ["allow", "warn", "warn", "allow"], 0),
        ("{action: Audit}", ["allow", "audit", "warn", "allow"], 0),
        ("{action: Allow, inconclusive: Allow}", ["allow", "allow", "allow", "allow"], 0),
        ("{action: Audit, inconclusive: Deny}", ["allow", "audit", "deny", "allow"], 1),
        (
            "{action: Deny, causes: [{id: tag-not-found, action: Warn}]}",
            ["allow", "warn", "warn", "allow"],
            0,
        ),
        ("{causes: [{id: latest-tag, action: Deny}]}", ["allow", "deny", "warn", "deny"], 1),
        (
            "{causes: [{id: unpinned, action: Warn}], inconclusive: Audit}",
            ["warn", "deny", "warn", "warn"],
            1,
        ),
    ] {
        let report = judged(&registry, &pods(&registry), spec);
        assert_eq!(verdicts(&report), expected, "{spec}");
        assert_eq!(report.code, code, "{spec}");
        assert!(report.results().iter().all(|it| it["policy"] == "p"), "{spec}");
    }
}

#[test]
fn a_guess_is_never_an_error_alone() {
    let registry = registry();
    let guess = |name: &str| format!("    env: [{{name: IMAGE, value: \"{name}\"}}]\n");
    let image = |name: &str| format!("{}/{name}", registry.host());
    let run = |manifests: &str, spec: &str| {
        let sandbox = Sandbox::with("pods.yaml", manifests);
        let file = sandbox.write_home("policy.yaml", policy(spec));
        let more = match spec {
            "" => vec!["--deep"],
            _ => vec!["--deep", "--policy", file.to_str().unwrap()],
        };
        sandbox.validate(&more)
    };
    let alone = pod("p", &image("app:1")) + &guess(&image("app:nope"));
    for spec in ["", "{action: Deny}", "{causes: [{id: tag-not-found, action: Deny}]}"] {
        let report = run(&alone, spec);
        assert_eq!(report.of("app:nope")["verdict"], "warn", "{spec}");
        assert_eq!(report.code, 0, "{spec}");
        report.says("app:nope", "this is a guess");
    }
    let unsure = pod("p", &image("app:1")) + &guess(&image("down:1"));
    let report = run(&unsure, "{inconclusive: Deny}");
    assert_eq!((report.of("down:1")["verdict"].as_str(), report.code), (Some("warn"), 0));
    let latest = pod("p", &image("app:1")) + &guess(&image("app:latest"));
    let report = run(&latest, "{causes: [{id: latest-tag, action: Deny}]}");
    assert_eq!((report.of("app:latest")["verdict"].as_str(), report.code), (Some("warn"), 0));
    let audited = run(&alone, "{action: Audit}");
    assert_eq!(audited.of("app:nope")["verdict"], "audit");
    // Where the same image stands in a container, it counts.
    let both = alone + &pod("q", &image("app:nope"));
    assert_eq!(run(&both, "").code, 1);
}

#[test]
fn without_a_policy_that_matches_the_default_decides() {
    let registry = registry();
    for spec in [
        "{action: Audit, match: {namespaces: [prod-*]}}",
        "{action: Audit, match: {exclude: {namespaces: [shop]}}}",
        "{action: Audit, match: {images: [\"ghcr.io/**\"]}}",
        "{action: Audit, match: {exclude: {images: [\"127.0.0.1:*/**\"]}}}",
        "{action: Audit, match: {exclude: {serviceAccounts: [default]}}}",
        "{action: Audit, match: {namespaceSelector: {matchLabels: {team: red}}}}",
    ] {
        let report = judged(&registry, &pods(&registry), spec);
        assert_eq!(verdicts(&report), ["allow", "deny", "warn", "audit"], "{spec}");
        assert!(report.results().iter().all(|it| it["policy"].is_null()), "{spec}");
    }
}

#[test]
fn a_policy_sees_the_labels_of_namespaces_in_the_manifests() {
    let registry = registry();
    let labelled = pods(&registry)
        + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: red}}\n";
    for selector in
        ["{matchLabels: {team: red}}", "{matchLabels: {kubernetes.io/metadata.name: shop}}"]
    {
        let spec = format!("{{action: Audit, match: {{namespaceSelector: {selector}}}}}");
        let report = judged(&registry, &labelled, &spec);
        assert_eq!(verdicts(&report), ["allow", "audit", "warn", "allow"], "{spec}");
    }
}

#[test]
fn registries_outside_of_the_list_are_told_and_denied_when_asked_for() {
    let registry = registry();
    let manifests = pod("p", &format!("{}/app:1", registry.host()));
    let told = judged(&registry, &manifests, "{registries: {allow: [ghcr.io]}}");
    let findings = &told.of("app:1")["findings"];
    assert_eq!(
        (&findings[0]["id"], &findings[0]["class"]),
        (&json!("registry-not-allowed"), &json!("hygiene"))
    );
    let spec =
        "{registries: {allow: [ghcr.io]}, causes: [{id: registry-not-allowed, action: Deny}]}";
    let denied = judged(&registry, &manifests, spec);
    assert_eq!(denied.told(), ["app:1 pullable deny"]);
    let spec = format!(
        "{{registries: {{allow: [\"{}\"]}}, causes: [{{id: registry-not-allowed, action: Deny}}]}}",
        registry.host()
    );
    let allowed = judged(&registry, &manifests, &spec);
    assert_eq!(allowed.told(), ["app:1 pullable allow"]);
    assert_eq!(allowed.of("app:1")["findings"], json!([]));
}

#[test]
fn the_heading_names_the_rule_that_decided() {
    let registry = registry();
    let sandbox = Sandbox::with(
        "pods.yaml",
        pods(&registry) + &pod("p", &format!("{}/down", registry.host())),
    );
    let spec = "{causes: [{id: latest-tag, action: Deny}, {id: unpinned, action: Warn}]}";
    let file = sandbox.write_home("policy.yaml", policy(spec));
    let labels = |arguments: &[&str]| {
        let all = ["validate", ".", "-o", "concise", "--policy", file.to_str().unwrap()];
        let text = sandbox.run(all.iter().chain(arguments)).exits(1).stdout;
        let words = text.lines().filter_map(|line| line.split(": ").nth(1)).map(str::to_owned);
        words.take(5).collect::<Vec<_>>()
    };
    let online = [
        "warning[unpinned]",
        "error[tag-not-found]",
        "could not tell[registry-error]",
        "error[latest-tag]",
        "error[latest-tag]",
    ];
    assert_eq!(labels(&[]), online);
    let offline = [
        "warning[unpinned]",
        "warning[unpinned]",
        "warning[unpinned]",
        "error[latest-tag]",
        "error[latest-tag]",
    ];
    assert_eq!(labels(&["--offline"]), offline);
}

#[test]
fn the_strictest_of_several_policies_wins() {
    let registry = registry();
    let sandbox = Sandbox::with("pods.yaml", pods(&registry));
    let second = policy("{action: Deny}").replace("name: p", "name: strict");
    let both = format!("{}---\n{second}", policy("{action: Audit}"));
    let file = sandbox.write_home("policies.yaml", both);
    let report = sandbox.validate(&["--policy", file.to_str().unwrap()]);
    assert_eq!(report.of("app:nope")["policy"], "strict");
    assert_eq!(report.code, 1);
}

#[test]
fn what_was_not_asked_is_no_doubt_of_a_policy() {
    let registry = registry();
    let sandbox = Sandbox::with("pods.yaml", pods(&registry));
    let file = sandbox.write_home("policy.yaml", policy("{action: Deny, inconclusive: Deny}"));
    let arguments = ["--policy", file.to_str().unwrap(), "--offline", "--inconclusive=fail"];
    let report = sandbox.validate(&arguments);
    assert_eq!((report.code, verdicts(&report)), (0, vec!["allow"; 4]));
}

#[test]
fn a_policy_of_one_namespace_decides_nothing_in_another() {
    let registry = registry();
    let image = format!("{}/app:1", registry.host());
    let there = pod("a", &image).replace("namespace: shop", "namespace: prod");
    let only_prod = "{match: {namespaces: [prod]}, action: Warn, registries: {allow: [ghcr.io]}}";
    let second =
        policy("{match: {namespaces: [shop]}, causes: [{id: registry-not-allowed, action: Deny}]}");
    let both = format!("{}---\n{}", policy(only_prod), second.replace("name: p", "name: q"));
    for manifests in [there.clone() + &pod("b", &image), pod("b", &image) + &there] {
        let sandbox = Sandbox::with("pods.yaml", manifests);
        let file = sandbox.write_home("policies.yaml", &both);
        let report = sandbox.validate(&["--policy", file.to_str().unwrap()]);
        assert_eq!(report.told(), ["app:1 pullable allow"]);
        assert_eq!(report.of("app:1")["findings"][0]["id"], "registry-not-allowed");
    }
}

#[test]
fn what_is_only_likely_is_never_denied_and_owned_pods_only_when_named() {
    let private = FakeRegistry::start_blocking(Config::basic().user("ci", "right"));
    let image = format!("{}/app:1", private.host());
    let unread = pod_with_secret("web", &image);
    assert_eq!(
        judged(&private, &unread, "{action: Deny}").told(),
        ["app:1 finding credentials-missing likely warn"]
    );

    let owned = pod_with_secret("web", &image).replace(
        "namespace: shop}",
        "namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, controller: true}]}",
    ) + &secret(&docker_config(private.host(), "ci", "wrong"));
    assert_eq!(
        judged(&private, &owned, "{action: Deny}").told(),
        ["app:1 finding credentials-rejected certain warn"]
    );
    let named = judged(&private, &owned, "{action: Deny, enforceOn: [OwnedPod]}");
    assert_eq!(named.told(), ["app:1 finding credentials-rejected certain deny"]);
}

#[test]
fn a_policy_file_that_is_wrong_is_misuse_and_names_the_field() {
    let sandbox = Sandbox::with("pod.yaml", pod_with("p", "nginx", &[]));
    for (text, words) in [
        (policy("{actionn: Deny}"), "actionn"),
        (policy("{causes: [{id: tag-not-foud, action: Deny}]}"), "spec.causes[0].id"),
        (policy("{causes: [{id: timeout, action: Deny}]}"), "spec.inconclusive"),
        (policy("{requirePlatforms: [linux]}"), "linux"),
        (policy("{"), "policy.yaml:"),
        ("apiVersion: v1\nkind: Pod\n".to_owned(), "holds no ImageCheckPolicy"),
        (policy("{}").replace("v1alpha1", "v9"), "pullproof.dev/v1alpha1"),
    ] {
        let file = sandbox.write_home("policy.yaml", text);
        let run = sandbox
            .run(["validate", "pod.yaml", "--offline", "--policy", file.to_str().unwrap()])
            .exits(2);
        assert!(run.stderr.contains(words) && run.stderr.contains("policy.yaml"), "{run:?}");
        assert_eq!(run.stdout, "");
    }
    sandbox.run(["validate", "pod.yaml", "--offline", "--policy", "nowhere.yaml"]).exits(2);
}

#[test]
fn a_placeholder_is_warned_of_and_a_policy_says_otherwise() {
    let registry = registry();
    let text = pod("p", "repo/app:${TAG}");
    let sandbox = Sandbox::with("pods.yaml", &text);
    let run = sandbox.run(["validate", "."]).exits(0);
    assert!(run.stdout.contains("warning[unresolved-placeholder]: "), "{}", run.stdout);
    assert!(run.stdout.contains("no images in 1 file: 0 pullable, 1 warning ("), "{}", run.stdout);
    for (action, verdict) in [("Deny", "deny"), ("Warn", "warn"), ("Allow", "allow")] {
        let spec = format!("{{causes: [{{id: unresolved-placeholder, action: {action}}}]}}");
        let report = judged(&registry, &text, &spec);
        assert_eq!(verdicts(&report), [verdict]);
        assert_eq!(report.results()[0]["findings"][0]["id"], "unresolved-placeholder");
        assert_eq!(report.json["summary"]["images"], 0);
        assert_eq!(report.code, i32::from(action == "Deny"));
    }
    let listed = sandbox.run(["images", ".", "-o", "json"]).exits(2);
    assert_eq!(listed.stdout, "");
}

#[test]
fn a_pull_policy_that_does_not_fit_is_a_note_and_a_policy_may_deny_it() {
    let registry = registry();
    registry.push_image("app", "stable", "linux/amd64");
    let image = |tag: &str| format!("{}/app:{tag}", registry.host());
    let with = |tag: &str, policy: &str| {
        pod("p", &image(tag)) + &format!("    imagePullPolicy: {policy}\n")
    };
    let unfit = |report: &Report| {
        let findings = report.results()[0]["findings"].to_string();
        findings.contains("pull-policy-unfit")
    };
    for (tag, policy, expected) in [
        ("latest", "IfNotPresent", true),
        ("stable", "IfNotPresent", true),
        ("stable", "Always", false),
        ("latest", "Always", false),
        ("1", "IfNotPresent", false),
        ("1", "Always", false),
    ] {
        let sandbox = Sandbox::with("pods.yaml", with(tag, policy));
        let report = sandbox.validate(&[]);
        assert_eq!((unfit(&report), report.code), (expected, 0), "{tag} {policy}");
    }
    let note = Sandbox::with("pods.yaml", with("stable", "IfNotPresent"))
        .run(["validate", ".", "-o", "concise"])
        .exits(0);
    assert!(note.stdout.contains(": note[pull-policy-unfit]: "), "{}", note.stdout);
    let deny = "{causes: [{id: pull-policy-unfit, action: Deny}]}";
    assert_eq!(judged(&registry, &with("stable", "IfNotPresent"), deny).code, 1);
    assert_eq!(judged(&registry, &with("1", "IfNotPresent"), deny).code, 0);

    let sandbox = Sandbox::with("pods.yaml", pod("p", "october-web"));
    let settings = sandbox.write_home("registries.toml", "local = ['october-*']\n");
    let report = sandbox.validate(&["--registries", settings.to_str().unwrap()]);
    assert!(unfit(&report), "{}", report.json);
}
