//! The commands that tell about pullproof itself: `explain`, `completions`, `version`, help.

use pullproof::diagnosis::{Cause, Reason};

use super::sandbox::Sandbox;

fn said(arguments: &[&str]) -> String {
    let run = Sandbox::new().run(arguments).exits(0);
    assert_eq!(run.stderr, "", "{arguments:?}");
    run.stdout
}

#[test]
fn every_cause_and_every_reason_is_explained_and_listed() {
    let list = said(&["explain"]);
    let ids = Cause::all().map(Cause::id).chain(Reason::own().map(Reason::id));
    for id in ids {
        let text = said(&["explain", id]);
        assert!(text.starts_with(&format!("{id} (")) && text.lines().count() > 3, "{text}");
        assert!(list.lines().any(|line| line.split_whitespace().next() == Some(id)), "{id}");
    }
}

#[test]
fn a_name_is_explained_as_a_runtime_understands_it() {
    let text = said(&["explain", "nginx"]);
    for row in [
        "  registry     docker.io\n",
        "  repository   library/nginx\n",
        "  pulled       docker.io/library/nginx:latest\n",
        "  host asked   registry-1.docker.io\n",
        "  pull policy  Always, unless the manifest names one\n",
    ] {
        assert!(text.contains(row), "{row}{text}");
    }
}

#[test]
fn a_text_that_is_no_reference_is_told_and_misuse() {
    let run = Sandbox::new().run(["explain", "Nginx"]).exits(2);
    assert!(run.stdout.contains("invalid-reference: "), "{}", run.stdout);
}

#[test]
fn a_mistyped_cause_names_the_nearest_one() {
    for (typed, meant) in [
        ("tag-not-foud", "tag-not-found"),
        ("Tag-Not-Found", "tag-not-found"),
        ("tag_not_found", "tag-not-found"),
        ("TIMEOUT", "timeout"),
        ("realm-not-trustd", "realm-not-trusted"),
    ] {
        let run = Sandbox::new().run(["explain", typed]).exits(2);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains(&format!("there is no cause \"{typed}\"")), "{}", run.stderr);
        assert!(
            run.stderr.contains(&format!("hint: pullproof explain {meant}\n")),
            "{}",
            run.stderr
        );
    }
    // Images all of them, however short.
    for image in ["redis", "tag-not-foud:1", "team/timeot", "node", "postgres"] {
        Sandbox::new().run(["explain", image]).exits(0);
    }
}

#[test]
fn reasons_of_the_webhook_are_marked() {
    let list = said(&["explain"]);
    for reason in Reason::own() {
        let line = list.lines().find(|line| line.trim_start().starts_with(reason.id())).unwrap();
        assert_eq!(line.ends_with(" (webhook only)"), reason.is_of_webhook(), "{line}");
        let text = said(&["explain", reason.id()]);
        assert_eq!(text.contains("Only the webhook"), reason.is_of_webhook(), "{text}");
    }
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = said(&["completions", shell]);
        assert!(script.contains("pullproof") && script.contains("validate"), "{shell}");
    }
}

#[test]
fn the_version_is_told_to_people_and_to_programs() {
    let version = env!("CARGO_PKG_VERSION");
    let json: serde_json::Value = serde_json::from_str(&said(&["version", "-o", "json"])).unwrap();
    let expected = serde_json::json!({"schema": "pullproof.version.v1", "version": version});
    assert_eq!(json, expected);
    assert_eq!(said(&["version"]), format!("pullproof {version}\n"));
    assert_eq!(said(&["--version"]), format!("pullproof {version}\n"));
}

#[test]
fn help_tells_the_exit_codes_and_every_command_has_its_own() {
    let help = said(&["--help"]);
    assert!(help.contains("Exit codes: 0 no Deny, 1 at least one Deny, 2 "), "{help}");
    for command in ["validate", "images", "explain", "auth", "completions", "version"] {
        assert!(help.contains(&format!("  {command}")), "{help}");
        let own = said(&[command, "--help"]);
        assert!(own.contains("Usage: pullproof"), "{own}");
    }
    assert!(said(&["auth", "plan", "--help"]).contains("--node-config"));
}
