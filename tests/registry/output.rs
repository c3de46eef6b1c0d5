//! The program from end to end beside a registry that says back what it hears: no output holds it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{CANARY, spellings_of};
use crate::support::{Config, FakeRegistry, Fault};

/// A Pod, and the secret it pulls with.
fn manifest(host: &str) -> String {
    let auth = STANDARD.encode(format!("ci:{CANARY}"));
    let config = json!({ "auths": { host: { "auth": auth } } }).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": { "name": "pull", "namespace": "shop" },
        "data": { ".dockerconfigjson": STANDARD.encode(config) },
    });
    let images = ["app:1", "app:2", "denied:1", "echo:1", "hub:1"];
    let containers: Vec<_> = images
        .iter()
        .enumerate()
        .map(|(n, image)| json!({ "name": format!("c{n}"), "image": format!("{host}/{image}") }))
        .collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "cart", "namespace": "shop" },
        "spec": { "imagePullSecrets": [{ "name": "pull" }], "containers": containers },
    });
    format!("{secret}\n---\n{pod}\n")
}

#[test]
fn a_secret_that_cannot_be_decoded_stops_every_image_and_nothing_is_asked() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("app", "1", "linux/amd64");
    let folder = tempfile::tempdir().unwrap();
    let pods = folder.path().join("pods.yaml");
    let broken = STANDARD.encode(format!("{{\"auths\":{{\"x\":{{\"auth\":\"{CANARY}\"}}}}}}"));
    let text = manifest(registry.host());
    let (_, pod) = text.split_once("\n---\n").unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": { "name": "pull", "namespace": "shop" },
        "data": { ".dockerconfigjson": broken },
    });
    std::fs::write(&pods, format!("{secret}\n---\n{pod}")).unwrap();
    let run = assert_cmd::Command::cargo_bin("pullproof")
        .unwrap()
        .env_clear()
        .args(["validate", "-o", "json"])
        .arg(&pods)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&run.stdout).into_owned();
    let report: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 5, "{shown}");
    assert!(results.iter().all(|result| result["cause"] == "secret-invalid"), "{shown}");
    assert!(results.iter().all(|result| result["pulls"] == false), "{shown}");
    assert_eq!((registry.count(), shown.contains(CANARY)), (0, false));
}

#[test]
fn b42_no_output_of_the_program_holds_a_login() {
    let registry = FakeRegistry::start_blocking(Config::bearer().user("ci", CANARY));
    registry.push_image("app", "1", "linux/amd64");
    let [plain, basic, alone] = spellings_of("ci", CANARY);
    let words = format!("got {plain}, {basic} and {alone}");
    registry.fault(Fault::in_repository("denied").error(403, "DENIED", &words).after(1));
    registry.fault(Fault::in_repository("echo").error(500, &plain, &words).after(1));
    registry.fault(Fault::in_repository("hub").error(404, &plain, &words).after(1));
    let folder = tempfile::tempdir().unwrap();
    let pods = folder.path().join("pods.yaml");
    std::fs::write(&pods, manifest(registry.host())).unwrap();
    let registries = folder.path().join("registries.toml");
    let entry = format!("[registry.\"{}\"]\nplain_http = true\n", registry.host());
    std::fs::write(&registries, entry).unwrap();
    for format in ["full", "concise", "json"] {
        let run = assert_cmd::Command::cargo_bin("pullproof")
            .unwrap()
            .env_clear()
            .args(["--verbose", "validate", "--platform", "linux/amd64", "-o", format])
            .arg("--registries")
            .arg(&registries)
            .arg(&pods)
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert!(shown.contains("denied") && shown.contains("asked"), "{format}: {shown}");
        for secret in [&plain, &basic, &alone] {
            assert!(!shown.contains(secret.as_str()), "{format}: {shown}");
        }
    }
    let heard = registry.requests().iter().any(|request| request.form.contains(CANARY));
    assert!(heard, "the login was sent, so that it could have been said back");
}
