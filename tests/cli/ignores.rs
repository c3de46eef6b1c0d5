//! Ignores in manifests, from a comment or an annotation to the exit code.

use serde_json::Value;

use super::manifests::pod;
use super::sandbox::{Report, Sandbox};
use crate::support::{Config, FakeRegistry};

/// A registry that holds `app:1` and `app:latest`.
fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    for tag in ["1", "latest"] {
        registry.push_image("app", tag, "linux/amd64");
    }
    registry
}

fn check(text: &str) -> Report {
    Sandbox::with("all.yaml", text).validate(&[])
}

/// Id and line of each note.
fn notes(report: &Report) -> Vec<(String, u64)> {
    let notes = report.json["notes"].as_array().unwrap().iter();
    notes
        .map(|note| (note["id"].as_str().unwrap().to_owned(), note["line"].as_u64().unwrap_or(0)))
        .collect()
}

/// Image tag, verdict and rule of each result.
fn verdicts(report: &Report) -> Vec<String> {
    let line = |result: &Value| {
        let image = result["image"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        let word = |field: &str| result[field].as_str().unwrap().to_owned();
        [image, word("verdict"), word("rule")].join(" ")
    };
    report.results().iter().map(line).collect()
}

#[test]
fn a_comment_allows_a_finding_and_keeps_its_reason() {
    let registry = registry();
    let image = format!("{}/app:2", registry.host());
    let text =
        pod("p", &format!("{image}  # pullproof: ignore[tag-not-found] the release pushes it"));
    let sandbox = Sandbox::with("all.yaml", &text);
    let report = sandbox.validate(&[]);
    assert_eq!(report.code, 0);
    assert_eq!(verdicts(&report), ["2 allow ignored: the release pushes it"]);
    let result = report.of("app:2");
    assert_eq!(result["cause"], "tag-not-found");
    assert_eq!(result["findings"][0]["waived"], "ignored: the release pushes it");
    assert_eq!(notes(&report), []);
    for format in ["full", "concise", "markdown"] {
        let run = sandbox.run(["validate", ".", "-o", format]).exits(0);
        assert!(!run.stdout.contains("tag-not-found"), "{}", run.stdout);
        assert!(run.stdout.contains("1 ignored"), "{}", run.stdout);
    }
}

#[test]
fn one_place_is_ignored_and_the_other_is_not() {
    let registry = registry();
    let image = format!("{}/app:2", registry.host());
    let text = pod("a", &image) + &pod("b", &format!("{image} # pullproof: ignore[tag-not-found]"));
    let report = check(&text);
    assert_eq!(report.code, 1);
    assert_eq!(verdicts(&report), ["2 deny action", "2 allow ignored: no reason given"]);
    assert_eq!(report.results()[0]["uses"][0]["line"], 8);
    assert_eq!(report.results()[1]["uses"][0]["line"], 16);
    assert_eq!(registry.count_of("*", "/v2/app/manifests/2"), 1);
}

#[test]
fn an_annotation_allows_all_images_of_its_object() {
    let registry = registry();
    let text = pod("p", &format!("{}/app:2", registry.host()));
    let text = text.replace(
        "namespace: shop}",
        "namespace: shop, annotations: {pullproof.dev/ignore: \"latest-tag, tag-not-found\"}}",
    );
    let report = check(&text);
    let rule = "2 allow ignored: annotation pullproof.dev/ignore";
    assert_eq!((report.code, verdicts(&report)), (0, vec![rule.to_owned()]));
    assert_eq!(notes(&report), [("unused-ignore".to_owned(), 4)]);
}

#[test]
fn ignores_for_nothing_in_the_wrong_place_or_of_no_cause_are_told() {
    let registry = registry();
    let host = registry.host();
    let text = pod("p", &format!("{host}/app:1 # pullproof: ignore[tag-not-found] old"))
        + "# pullproof: ignore[latest-tag] nothing stands here\n"
        + &pod("q", &format!("{host}/app:1 # pullproof: ignore"))
        + &pod("r", &format!("{host}/app:1 # pullproof: ignore[tag-missing] x"));
    let report = check(&text);
    let lines =
        [("unused-ignore", 8), ("unused-ignore", 9), ("bad-ignore", 17), ("bad-ignore", 25)];
    assert_eq!(notes(&report), lines.map(|(id, line)| (id.to_owned(), line)));
    assert_eq!(report.code, 0);
}

#[test]
fn what_could_not_be_judged_leaves_its_ignore_alone() {
    let registry = registry();
    let image = format!("{}/app:2 # pullproof: ignore[tag-not-found] x", registry.host());
    let report = Sandbox::with("all.yaml", pod("p", &image)).validate(&["--offline"]);
    assert_eq!(notes(&report), []);
}

#[test]
fn a_placeholder_is_ignored_as_the_note_it_is() {
    let registry = registry();
    let text = pod("p", "${IMAGE} # pullproof: ignore[unresolved-placeholder] envsubst")
        + &pod("q", &format!("{}/app:1", registry.host()));
    assert_eq!(notes(&check(&text)), []);
}

#[test]
fn an_ignored_hygiene_rule_of_a_policy_does_not_deny() {
    let registry = registry();
    let policy = "apiVersion: pullproof.dev/v1alpha1\nkind: ImageCheckPolicy\nmetadata: {name: p}\n\
                  spec: {action: Deny, causes: [{id: latest-tag, action: Deny}]}\n";
    let run = |comment: &str| {
        let image = format!("{}/app{comment}", registry.host());
        let sandbox = Sandbox::with("all.yaml", pod("p", &image));
        let file = sandbox.write_home("policy.yaml", policy);
        let report = sandbox.validate(&["--policy", file.to_str().unwrap()]);
        let result = &report.results()[0];
        (report.code, result["rule"].as_str().unwrap().to_owned())
    };
    assert_eq!(run(""), (1, "causes[latest-tag]".to_owned()));
    assert_eq!(run(" # pullproof: ignore[latest-tag] a demo"), (0, "ignored: a demo".to_owned()));
}
