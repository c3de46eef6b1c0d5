//! B44, B45: file names, images, manifests and answers that mean harm. What is shown drives no
//! terminal and no CI system, and what cannot be read stops nothing else.

use super::manifests::pod;
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

/// Nothing that a terminal obeys, and no line or word that a CI system does.
#[track_caller]
fn is_tame(run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let wild = text.chars().find(|c| *c != '\n' && pullproof::text::is_unsafe(*c));
        assert_eq!(wild, None, "{text:?}");
        assert!(!text.contains("##[") && !text.contains("##vso["), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("::")), "{text}");
    }
}

const NAMES: [&str; 6] = [
    "\u{1b}[2Jcleared.yaml",
    "::error::title.yaml",
    "new\n::error::line.yaml",
    "##[group]x.yaml",
    "\u{202e}lmay.yaml",
    "\"quoted\" <b> & 'more'.yaml",
];
const IMAGES: [&str; 6] = [
    "\"a\\e[31mb\"",
    "\"::error::x\"",
    "\"a\\n::set-output name=x::y\"",
    "\"##[group]x\"",
    "\"\\u202Ex\"",
    "'<script>\"&'",
];

#[test]
fn b45_names_and_images_drive_nothing() {
    let sandbox = Sandbox::new();
    for (name, image) in NAMES.iter().zip(IMAGES) {
        sandbox.write(name, pod("p", image) + &pod("\"\\e]0;title\\a\"", "nginx"));
        sandbox.write(format!("broken {name}"), format!("apiVersion: v1\nkind: [\n# {name}"));
    }
    for format in ["full", "concise", "json"] {
        let run = sandbox.run(["validate", ".", "--offline", "-o", format]).exits(1);
        is_tame(&run);
        is_tame(&sandbox.run(["images", ".", "-o", format]).exits(0));
        if format == "json" {
            let report = run.report();
            let files: Vec<&str> =
                report.results().iter().filter_map(|it| it["uses"][0]["file"].as_str()).collect();
            for name in NAMES {
                assert!(files.contains(&name), "{name:?} {files:?}");
            }
        }
    }
    for name in NAMES {
        let missing = format!("{name}x");
        is_tame(&sandbox.run(["validate", &missing]).exits(2));
        is_tame(&sandbox.run(["validate", name, "--offline", "--policy", &missing]).exits(2));
        is_tame(&sandbox.run(["validate", name, "--offline", "-o", &missing]).exits(2));
    }
    for image in ["\u{1b}[2J", "::error::x", "##[group]", "a\n::error::b", "\u{202e}"] {
        is_tame(&sandbox.run(["explain", image]).exits(2));
        is_tame(&sandbox.run(["auth", "plan", image]).exits(0));
        is_tame(&sandbox.run(["auth", "plan", image, "-o", "json"]).exits(0));
        is_tame(&sandbox.run(["images", ".", "--why", image]));
        is_tame(&sandbox.run(["validate", "--offline", "--image", image]).exits(1));
        is_tame(&sandbox.run(["validate", "--platform", image]).exits(2));
        is_tame(&sandbox.run([image]).exits(2));
    }
}

#[test]
fn b42_what_a_registry_says_drives_nothing() {
    let registry = FakeRegistry::start_blocking(Config::open());
    let said = "\u{1b}[2J\u{9b}31m \u{202e}\n::error::x ##[group] <!channel> ".to_owned()
        + &"x".repeat(1 << 16);
    registry.fault(Fault::in_repository("app").error(403, "DENIED\n::error::", &said));
    registry.fault(Fault::in_repository("html").answer_with(
        403,
        "text/html",
        format!("<b>{said}</b>"),
    ));
    registry.push_image("tags", "\u{1b}[31mv1", "linux/amd64");
    registry.push_raw("type", "1", "application/x ##[group]", said.clone());
    let pods: String = ["app:1", "html:1", "tags:v1", "type:1"]
        .iter()
        .map(|name| pod("p", &format!("{}/{name}", registry.host())))
        .collect();
    let sandbox = Sandbox::with("pods.yaml", pods);
    for format in ["full", "concise", "json"] {
        let run = sandbox.run(["validate", ".", "-o", format, "--platform=linux/amd64"]);
        is_tame(&run);
        assert!(run.all().len() < 40_000, "{}", run.all().len());
        is_tame(&sandbox.run(["validate", ".", "-o", format, "-v"]));
    }
}

#[test]
fn b44_a_broken_file_is_a_finding_and_the_others_go_on() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let good = pod("p", &format!("{}/app:1", registry.host()));
    let bomb = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, at| {
        let row = vec![format!("*a{}", at - 1); 10].join(",");
        format!("{text}a{at}: &a{at} [{row}]\n")
    });
    let object = "apiVersion: v1\nkind: Pod\n";
    for (name, text) in [
        ("bomb", format!("{object}{bomb}")),
        ("deep", format!("{object}spec: {}", "[".repeat(100_000))),
        ("deep-map", format!("{object}spec: {}", "{a: ".repeat(100_000))),
        ("cycle", format!("{object}spec: &a [*a]\n")),
        ("tab", "apiVersion: v1\nkind: Pod\nspec:\n\tcontainers: []\n".to_owned()),
        ("json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", ".to_owned()),
        ("nul", format!("{object}a: \u{0}\n")),
    ] {
        let sandbox = Sandbox::with("good.yaml", &good);
        sandbox.write("a/broken.yaml", text);
        sandbox.write("z/good.yaml", &good);
        let report = sandbox.validate(&[]);
        let expected = ["- finding unparsable-manifest certain deny", "app:1 pullable allow"];
        assert_eq!(report.told(), expected, "{name}");
        assert_eq!(report.code, 1);
        assert_eq!(report.of("app:1")["uses"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn b44_documents_after_a_broken_one_and_beside_a_huge_file_are_read() {
    let broken = "---\napiVersion: v1\nkind: [\n";
    let sandbox = Sandbox::with("mid.yaml", pod("a", "No/One") + broken + &pod("b", "No/Two"));
    let huge = std::fs::File::create(sandbox.work().join("huge.yaml")).unwrap();
    std::io::Write::write_all(&mut &huge, b"apiVersion: v1\nkind: Pod\n").unwrap();
    huge.set_len(100 << 20).unwrap();
    sandbox.write("latin1.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: \xe9}\n");
    let report = sandbox.validate(&["--offline"]);
    let expected = [
        "- finding unparsable-manifest certain deny",
        "- finding unparsable-manifest certain deny",
        "One finding invalid-reference certain deny",
        "- finding unparsable-manifest certain deny",
        "Two finding invalid-reference certain deny",
    ];
    assert_eq!(report.told(), expected);
    let files = report.results().iter().map(|it| it["uses"][0]["file"].as_str().unwrap());
    let expected = ["huge.yaml", "latin1.yaml", "mid.yaml", "mid.yaml", "mid.yaml"];
    assert_eq!(files.collect::<Vec<_>>(), expected);
}

#[cfg(target_os = "linux")]
#[test]
fn b45_a_name_that_is_no_text_is_shown_without_its_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    sandbox.write(std::ffi::OsStr::from_bytes(b"bad\xff.yaml"), pod("p", "No/Image"));
    let text = sandbox.run(["validate", ".", "--offline", "-o", "concise"]).exits(1).stdout;
    assert!(text.starts_with("bad\u{fffd}.yaml:8:12: error[invalid-reference]"), "{text}");
}

#[test]
fn b44_odd_but_good_manifests_are_read() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let good = pod("p", &format!("{}/app:1", registry.host()));
    let helm =
        "apiVersion: v1\nkind: Pod\nspec:\n  {{- if .Values.x }}\n  containers: []\n  {{- end }}\n";
    let sandbox = Sandbox::new();
    sandbox.write("crlf.yaml", good.replace('\n', "\r\n"));
    sandbox.write("bom.yaml", format!("\u{feff}{good}"));
    sandbox.write("helm.yaml", helm);
    sandbox.write("many.yaml", good.repeat(2000));
    let report = sandbox.validate(&[]);
    assert_eq!(report.told(), ["app:1 pullable allow"]);
    assert_eq!(report.of("app:1")["uses"].as_array().unwrap().len(), 2002);
    assert_eq!(report.json["notes"][0]["id"], "helm-template");
    assert_eq!(report.code, 0);
}

#[cfg(unix)]
#[test]
fn b44_a_fifo_a_loop_and_a_device_do_not_block() {
    use std::os::unix::fs::symlink;
    let sandbox = Sandbox::with("pod.yaml", pod("p", "No/Image"));
    let made = std::process::Command::new("mkfifo").arg(sandbox.work().join("pipe.yaml")).status();
    assert!(made.unwrap().success());
    symlink(sandbox.work(), sandbox.work().join("loop")).unwrap();
    symlink("self.yaml", sandbox.work().join("self.yaml")).unwrap();
    symlink("/dev/zero", sandbox.work().join("zero.yaml")).unwrap();
    let report = sandbox.validate(&["--offline"]);
    assert_eq!(report.told(), ["Image finding invalid-reference certain deny"]);
    let ids: Vec<&str> = report.json["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["id"].as_str())
        .collect();
    assert_eq!(ids, ["symlinked-folder", "special-file", "dangling-link", "special-file"]);
}
