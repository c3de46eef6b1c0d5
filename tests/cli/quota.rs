//! What is left of a pull limit, told by headers.

use serde_json::{Value, json};

use super::manifests::docker_config;
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

const REPOSITORY: &str = "ratelimitpreview/test";

fn registry(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image(REPOSITORY, "latest", "linux/amd64");
    registry
}

/// A registry that tells what is left.
fn limited(config: Config, remaining: &str) -> FakeRegistry {
    let config = config.header("ratelimit-limit", "100;w=21600");
    let config = config.header("ratelimit-remaining", remaining);
    registry(config.header("docker-ratelimit-source", "203.0.113.7"))
}

fn quota(registry: &FakeRegistry, sandbox: &Sandbox, more: &[&str]) -> Run {
    let image = format!("{}/{REPOSITORY}:latest", registry.host());
    sandbox.run(["quota", "--image", &image].iter().chain(more))
}

fn answers(registry: &FakeRegistry, sandbox: &Sandbox, more: &[&str]) -> (i32, Value) {
    let run = quota(registry, sandbox, &[&["-o", "json"], more].concat());
    let json = run.json();
    assert_eq!(json["schema"], "pullproof.quota.v1");
    assert_eq!(json["registry"], registry.host());
    (run.code, json["answers"].clone())
}

fn own_login(registry: &FakeRegistry, password: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("auth.json", docker_config(registry.host(), "ci", password));
    sandbox
}

const AUTHFILE: [&str; 2] = ["--authfile", "auth.json"];

#[test]
fn what_is_left_is_told_without_a_pull() {
    let registry = limited(Config::bearer(), "76;w=21600");
    let (code, told) = answers(&registry, &Sandbox::new(), &[]);
    let answer = json!({"credential": null, "limit": 100, "remaining": 76, "window_seconds": 21600,
                        "source": "203.0.113.7", "error": null});
    assert_eq!((code, told), (0, json!([answer])));
    assert_eq!(registry.count_of("GET", "/v2/"), 0);
    let run = quota(&registry, &Sandbox::new(), &[]).exits(0);
    let text = "WHO            LIMIT       LEFT  COUNTED FOR\n\
                without login  100 in 6 h  76    203.0.113.7\n";
    assert_eq!(run.stdout, text);
}

#[test]
fn too_few_end_with_1_and_the_limit_is_the_persons() {
    let registry = limited(Config::open(), "19;w=21600");
    let run = quota(&registry, &Sandbox::new(), &[]).exits(1);
    assert!(run.stdout.contains("warning: 19 left without login, fewer than 20"), "{}", run.stdout);
    quota(&registry, &Sandbox::new(), &["--warn-below", "19"]).exits(0);
    quota(&registry, &Sandbox::new(), &["--warn-below", "x"]).exits(2);
}

#[test]
fn each_login_is_asked_beside_nobody() {
    let registry = limited(Config::bearer().user("ci", "pw-long"), "76");
    let (_, told) = answers(&registry, &own_login(&registry, "pw-long"), &AUTHFILE);
    let credential = json!({"user": "ci", "source": "docker config auth.json"});
    assert_eq!((&told[0]["credential"], &told[1]["credential"]), (&Value::Null, &credential));
    assert_eq!((&told[1]["remaining"], &told[1]["error"]), (&json!(76), &Value::Null));
}

#[test]
fn a_login_that_is_refused_is_told_as_such_and_not_replaced_by_nobody() {
    let registry = limited(Config::bearer().user("ci", "pw-long"), "76");
    let (code, told) = answers(&registry, &own_login(&registry, "s3cret-wrong"), &AUTHFILE);
    assert_eq!((code, &told[0]["remaining"], &told[1]["remaining"]), (0, &json!(76), &Value::Null));
    let error = format!("{}: 401 the token service refuses the login", registry.host());
    assert_eq!(told[1]["error"], error);
    assert!(!told.to_string().contains("s3cret-wrong"));
}

#[test]
fn a_registry_without_the_headers_tells_no_limit() {
    let registry = registry(Config::open());
    let run = quota(&registry, &Sandbox::new(), &[]).exits(0);
    assert!(run.stdout.contains("without login  none told  -"), "{}", run.stdout);
    let (_, told) = answers(&registry, &Sandbox::new(), &[]);
    assert_eq!((&told[0]["limit"], &told[0]["error"]), (&Value::Null, &Value::Null));
}

#[test]
fn who_is_refused_for_pulling_too_much_has_nothing_left() {
    let registry = registry(Config::open());
    registry.fault(Fault::on("*", "*").answer(429));
    let (code, told) = answers(&registry, &Sandbox::new(), &[]);
    assert_eq!((code, &told[0]["remaining"]), (1, &json!(0)));
    let error = told[0]["error"].as_str().unwrap();
    assert!(error.contains("429 too many requests"), "{error}");
}

#[test]
fn what_cannot_be_asked_is_no_shortage() {
    let registry = registry(Config::open());
    registry.fault(Fault::on("*", "*").answer(503));
    let (code, told) = answers(&registry, &Sandbox::new(), &[]);
    assert_eq!((code, &told[0]["remaining"]), (0, &Value::Null));
    let error = format!("{}: 503 an error of its own", registry.host());
    assert_eq!(told[0]["error"], error);
}

#[test]
fn other_registries_need_an_image_of_theirs() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(["quota", "ghcr.io"]).exits(2);
    assert!(run.stderr.contains("ghcr.io is not known to tell a pull limit"), "{}", run.stderr);
    assert!(run.stderr.contains("--image ghcr.io/"), "{}", run.stderr);
    sandbox.run(["quota", "ghcr.io", "--image", "quay.io/a/b:1"]).exits(2);
    sandbox.run(["quota", "--image", "A"]).exits(2);
}
