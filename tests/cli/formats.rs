//! Further formats of a report, and files that a run writes.

use std::fs;

use serde_json::Value;

use super::manifests::pod;
use super::sandbox::Sandbox;
use crate::support::{Config, FakeRegistry};

/// A good image and one whose tag is missing.
fn two() -> (FakeRegistry, Sandbox) {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let image = |tag: &str| pod(&format!("p{tag}"), &format!("{}/app:{tag}", registry.host()));
    let sandbox = Sandbox::with("all.yaml", image("1") + &image("2"));
    (registry, sandbox)
}

#[test]
fn json_lines_end_with_the_summary() {
    let (_registry, sandbox) = two();
    let run = sandbox.run(["validate", ".", "-o", "json-lines"]).exits(1);
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["result", "result", "summary"]);
    assert_eq!(lines[1]["cause"], "tag-not-found");
    assert_eq!(lines[2]["deny"], 1);
}

#[test]
fn several_formats_are_written_in_one_run() {
    let (registry, sandbox) = two();
    let arguments = ["--report", "json=a.json", "--report", "markdown=b.md", "-o", "concise"];
    let run = sandbox.run(["validate", "all.yaml"].iter().chain(&arguments)).exits(1);
    assert!(run.stdout.contains("error[tag-not-found]"), "{}", run.stdout);
    let json = fs::read_to_string(sandbox.work().join("a.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], "pullproof.report.v1");
    let comment = fs::read_to_string(sandbox.work().join("b.md")).unwrap();
    assert!(comment.starts_with("<!-- pullproof -->\n## pullproof: 1 error\n"), "{comment}");
    assert!(
        comment.contains("| <code>all.yaml:16:12</code> | <code>tag-not-found</code> |"),
        "{comment}"
    );
    assert_eq!(registry.count_of("HEAD", "/v2/app/manifests/1"), 1);
    assert_eq!(fs::read_dir(sandbox.work()).unwrap().count(), 3, "no draft is left over");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_asked() {
    let (registry, sandbox) = two();
    for target in ["json=no/such/folder.json", "json=.", "json=-", "json", "word=a"] {
        sandbox.run(["validate", "all.yaml", "--report", target]).exits(2);
    }
    let twice = ["validate", "all.yaml", "--report", "json=a", "--report", "concise=./a"];
    sandbox.run(twice).exits(2);
    sandbox.run(["validate", "all.yaml", "--write-baseline", "no/such/b.json"]).exits(2);
    assert_eq!(registry.count(), 0);
    assert_eq!(fs::read_dir(sandbox.work()).unwrap().count(), 1);
}

#[test]
fn a_run_that_finds_nothing_to_check_leaves_the_files_alone() {
    let sandbox = Sandbox::with("a.txt", "x");
    sandbox.write("report.json", "before");
    sandbox.run(["validate", ".", "--report", "json=report.json"]).exits(2);
    assert_eq!(fs::read_to_string(sandbox.work().join("report.json")).unwrap(), "before");
}
