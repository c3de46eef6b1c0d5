//! `pullproof diagnose` as a person runs it.

use assert_cmd::Command;
use serde_json::{Value, json};

const MESSAGE: &str = "Back-off pulling image \"r.example/web:1\": ErrImagePull: failed to resolve image: r.example/web:1: not found";

fn diagnose(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::cargo_bin("pullproof").unwrap();
    let done = command.arg("diagnose").args(arguments).write_stdin(input).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn pod(name: &str, message: &str) -> Value {
    let waiting = json!({"reason": "ImagePullBackOff", "message": message});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": "r.example/web:1"}]},
        "status": {"containerStatuses": [{"name": "web", "state": {"waiting": waiting}}]},
    })
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn pods_of_standard_input_are_told_once_an_image_with_a_count() {
    let pods = list(&[
        pod("web-1", MESSAGE),
        pod("web-2", MESSAGE),
        pod("web-3", "Back-off pulling image \"r.example/web:1\""),
    ]);
    let (code, out, err) = diagnose(&["-"], &pods);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("error[tag-not-found]: Pod shop/web-1, container \"web\" (and 1 more): image r.example/web:1: r.example does not have this tag\n"), "{out}");
    assert!(out.contains("= also: Pod shop/web-2, container \"web\"\n"), "{out}");
    assert!(out.contains("error[unknown]: Pod shop/web-3"), "{out}");
    assert!(out.contains("--events FILE"), "{out}");
    assert!(out.ends_with("3 Pods read: 3 containers wait for an image\n"), "{out}");
}

#[test]
fn json_holds_every_container_and_the_most_frequent_cause() {
    let pods = list(&[
        pod("a", "x509: certificate signed by unknown authority"),
        pod("b", MESSAGE),
        pod("c", MESSAGE),
    ]);
    let (code, out, _) = diagnose(&["-", "-o", "json"], &pods);
    assert_eq!(code, 0);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["schema"], "pullproof.diagnosis.v1");
    assert_eq!(told["cause"], "tag-not-found");
    assert_eq!(
        told["causes"],
        json!(["tag-not-found", "repository-not-found", "absent-or-private"])
    );
    assert_eq!((&told["certainty"], &told["host"]), (&json!("certain"), &json!("r.example")));
    let causes: Vec<&Value> =
        told["pods"].as_array().unwrap().iter().map(|it| &it["cause"]).collect();
    assert_eq!(causes, ["tls-untrusted", "tag-not-found", "tag-not-found"]);
    let first = &told["pods"][0];
    assert_eq!(
        (&first["namespace"], &first["name"], &first["container"], &first["image"]),
        (&json!("shop"), &json!("a"), &json!("web"), &json!("r.example/web:1"))
    );
}

#[test]
fn events_tell_what_old_kubelets_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.json");
    let about = json!({"kind": "Pod", "namespace": "shop", "name": "web-1", "fieldPath": "spec.containers{web}"});
    let event = json!({"kind": "Event", "involvedObject": about, "reason": "Failed", "message": "Failed to pull image \"r.example/web:1\": no basic auth credentials"});
    std::fs::write(&file, list(std::slice::from_ref(&event))).unwrap();
    let pod = pod("web-1", "Back-off pulling image \"r.example/web:1\"");
    let (_, out, _) = diagnose(&["-", "--events", file.to_str().unwrap()], &pod.to_string());
    assert!(out.contains("error[credentials-missing]: Pod shop/web-1"), "{out}");
    let (_, out, _) = diagnose(&["-"], &list(&[pod, event]));
    assert!(
        out.contains("error[credentials-missing]: Pod shop/web-1"),
        "one list may hold both: {out}"
    );
}

#[test]
fn one_text_is_read_alone() {
    let (code, out, _) = diagnose(&["--message", MESSAGE], "");
    assert_eq!(code, 0);
    assert!(
        out.starts_with(
            "error[tag-not-found]: image r.example/web:1: r.example does not have this tag\n"
        ),
        "{out}"
    );
    let (code, out, _) = diagnose(&["--message", "-", "-o", "json"], "Started container web");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["cause"], &told["pods"]), (0, &Value::Null, &json!([])));
    let (code, out, _) = diagnose(&["--message", "Started container web"], "");
    assert_eq!((code, out.as_str()), (0, "the text tells of no pull that failed\n"));
}

#[test]
fn nothing_wrong_is_no_failure_and_what_is_no_pod_is_misuse() {
    let mut well = pod("web-1", "");
    well["status"] = json!({});
    let (code, out, _) = diagnose(&["-"], &well.to_string());
    assert_eq!((code, out.as_str()), (0, "1 Pod read: no container waits for an image\n"));
    for input in ["", "{", "hello", "{\"kind\": \"Service\"}", "[]"] {
        let (code, out, err) = diagnose(&["-"], input);
        assert_eq!((code, out.as_str()), (2, ""), "{input}: {err}");
        assert!(err.starts_with("error: standard input"), "{input}: {err}");
    }
    assert_eq!(diagnose(&[], "").0, 2);
    assert_eq!(diagnose(&["/no/such/file"], "").0, 2);
    assert_eq!(diagnose(&["-", "--events", "-"], "").0, 2);
    assert_eq!(diagnose(&["-", "--message", "x"], "").0, 2);
}

#[test]
fn b42_b45_no_text_drives_a_terminal_or_a_ci_system() {
    let hostile =
        "\u{1b}[31m\u{202e}##[error]x\n::error::y https://bot:hunter2@r.example/v2/?sig=hunter2";
    let mut pod = pod(hostile, &format!("Back-off pulling image \"{hostile}\": {hostile}"));
    pod["spec"]["containers"][0]["image"] = json!(hostile);
    for arguments in [&["-"][..], &["-", "-o", "json"]] {
        let (code, out, _) = diagnose(arguments, &pod.to_string());
        assert_eq!(code, 0);
        assert!(!out.contains(|c| c != '\n' && pullproof::text::is_unsafe(c)), "{out}");
        assert!(!out.contains("##["), "{out}");
        assert!(!out.lines().any(|line| line.trim_start().starts_with("::")), "{out}");
    }
    let (_, out, _) = diagnose(&["--message", hostile], "");
    assert!(!out.contains("hunter2"), "{out}");
}

#[test]
fn ask_tells_what_the_registry_says_beside_what_the_kubelet_said() {
    use crate::support::{Config, FakeRegistry};
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("web", "1", "linux/amd64");
    let stuck = |name: &str, tag: &str| {
        let image = format!("{}/web:{tag}", registry.host());
        let mut pod = pod(name, &MESSAGE.replace("r.example/web:1", &image));
        pod["spec"]["containers"][0]["image"] = image.into();
        pod
    };
    let pods = list(&[stuck("a", "1"), stuck("b", "2"), stuck("c", "2")]);
    let (code, out, _) = diagnose(&["-", "-o", "json"], &pods);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["pods"][0]["asked"]), (0, &Value::Null));
    assert_eq!(registry.connections(), 0, "nobody is asked without the flag");
    let own = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(own.path(), "{}").unwrap();
    let own = own.path().to_str().unwrap();
    let (code, out, _) = diagnose(&["-", "--ask", "--authfile", own, "-o", "json"], &pods);
    let told: Value = serde_json::from_str(&out).unwrap();
    let asked: Vec<&Value> =
        told["pods"].as_array().unwrap().iter().map(|it| &it["asked"]).collect();
    let absent = json!({"outcome": "finding", "cause": "tag-not-found", "certainty": "certain"});
    let there = json!({"outcome": "pullable", "cause": null, "certainty": null});
    assert_eq!((code, asked), (0, vec![&there, &absent, &absent]));
    assert_eq!(registry.count_of("HEAD", "/v2/web/manifests/2"), 1);
    let (_, out, _) = diagnose(&["-", "--ask", "--authfile", own], &pods);
    assert!(out.contains("= seen by the kubelet: Back-off"), "{out}");
    assert!(
        out.contains("it pulls\n") && out.contains("= seen from here: tag-not-found: "),
        "{out}"
    );
    assert_eq!(diagnose(&["--ask", "--message", MESSAGE], "").0, 2);
}
