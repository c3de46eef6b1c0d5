//! A baseline, written by one run and read by the next.

use std::fs;

use super::manifests::pod;
use super::sandbox::Sandbox;
use crate::support::{Config, FakeRegistry};

struct Setting {
    registry: FakeRegistry,
    sandbox: Sandbox,
}

impl Setting {
    /// Manifests for these tags of an image that only has the tag 1.
    fn new(tags: &[&str]) -> Self {
        let registry = FakeRegistry::start_blocking(Config::open());
        registry.push_image("app", "1", "linux/amd64");
        let setting = Self { registry, sandbox: Sandbox::new() };
        setting.write("all.yaml", tags);
        setting
    }

    fn write(&self, file: &str, tags: &[&str]) {
        let image =
            |tag: &&str| pod(&format!("p{tag}"), &format!("{}/app:{tag}", self.registry.host()));
        self.sandbox.write(file, tags.iter().map(image).collect::<String>());
    }

    /// Exit code, told lines and notes.
    fn check(&self) -> (i32, Vec<String>, Vec<String>) {
        let report = self.sandbox.validate(&["--exclude", "b.json", "--baseline", "b.json"]);
        let notes = report.json["notes"].as_array().unwrap();
        let notes = notes.iter().map(|note| note["text"].as_str().unwrap().to_owned()).collect();
        (report.code, report.told(), notes)
    }
}

const KNOWN: &str = "app:2 finding tag-not-found certain allow";
const NEW: &str = "app:3 finding tag-not-found certain deny";

#[test]
fn known_findings_are_allowed_and_new_ones_count() {
    let setting = Setting::new(&["2"]);
    setting.sandbox.run(["validate", "all.yaml", "--write-baseline", "b.json"]).exits(1);
    assert_eq!(setting.check(), (0, vec![KNOWN.to_owned()], vec![]));
    setting.write("all.yaml", &["2", "3"]);
    assert_eq!(setting.check(), (1, vec![KNOWN.to_owned(), NEW.to_owned()], vec![]));
}

#[test]
fn moving_a_manifest_makes_nothing_new() {
    let setting = Setting::new(&["2"]);
    setting.sandbox.run(["validate", "all.yaml", "--write-baseline", "b.json"]).exits(1);
    fs::remove_file(setting.sandbox.work().join("all.yaml")).unwrap();
    setting.write("other/place.yaml", &["1", "2"]);
    assert_eq!(setting.check().0, 0);
}

#[test]
fn what_is_gone_is_told_and_leaves_with_the_next_writing() {
    let setting = Setting::new(&["2", "3"]);
    setting.sandbox.run(["validate", "all.yaml", "--write-baseline", "b.json"]).exits(1);
    setting.write("all.yaml", &["1", "2"]);
    let (code, _, notes) = setting.check();
    let gone = format!(
        "tag-not-found {}/app:3 (Pod shop p3 spec.containers[0].image) is not found any more",
        setting.registry.host()
    );
    assert_eq!((code, notes), (0, vec![gone]));
    let both = ["validate", "all.yaml", "--baseline", "b.json", "--write-baseline", "b.json"];
    setting.sandbox.run(both).exits(0);
    assert_eq!(setting.check().2, Vec::<String>::new());
    assert_eq!(setting.check().1[1], KNOWN);
}

#[test]
fn equal_findings_make_equal_files() {
    let setting = Setting::new(&["2", "3"]);
    let read = |file: &str| {
        setting.sandbox.run(["validate", "all.yaml", "--write-baseline", file]).exits(1);
        fs::read_to_string(setting.sandbox.work().join(file)).unwrap()
    };
    let first = read("a.json");
    setting.write("all.yaml", &["3", "1", "2"]);
    assert_eq!(first, read("b.json"));
}

#[test]
fn a_file_that_is_no_baseline_is_misuse() {
    let setting = Setting::new(&["1"]);
    setting.sandbox.write("b.json", "{\"schema\":\"other\"}");
    let run = setting.sandbox.run(["validate", "all.yaml", "--baseline", "b.json"]).exits(2);
    assert!(run.stderr.contains("not a pullproof.baseline.v1"), "{}", run.stderr);
    setting.sandbox.run(["validate", "all.yaml", "--baseline", "none.json"]).exits(2);
    assert_eq!(setting.registry.count(), 0);
}
