//! B31, T29: passwords, tokens and their base64 are in no output of any command in any format.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE},
};
use serde_json::json;

use super::manifests::{docker_config, pod_with_secret, secret, secret_in_words};
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

const CANARIES: [&str; 3] = ["CANARY-pod-5f1d", "CANARY-own-77b2", "CANARY-node-90ac"];

/// The canaries as they are, and their base64 alone and behind the user.
fn forbidden() -> Vec<String> {
    let mut texts = Vec::new();
    for canary in CANARIES {
        texts.push(canary.to_owned());
        for plain in [canary.to_owned(), format!("ci:{canary}")] {
            texts.extend([
                STANDARD.encode(&plain),
                STANDARD_NO_PAD.encode(&plain),
                URL_SAFE.encode(&plain),
                hex::encode(&plain),
            ]);
        }
    }
    texts
}

#[track_caller]
fn is_clean(run: &Run, what: &str) {
    let all = run.all();
    for text in forbidden() {
        assert!(!all.contains(&text), "{what} shows {text}: {all}");
    }
    assert!(!all.to_lowercase().contains("canary"), "{what}: {all}");
}

/// Documents with the Pod's canary at each place where a kubelet or we may stumble.
fn documents(host: &str) -> Vec<String> {
    let canary = CANARIES[0];
    let auth = STANDARD.encode(format!("ci:{canary}"));
    let entry = |fields: serde_json::Value| json!({"auths": {host: fields}}).to_string();
    vec![
        docker_config(host, "ci", canary),
        entry(json!({"username": "ci", "password": canary})),
        entry(json!({"auth": format!("{auth}!")})),
        entry(json!({"auth": canary})),
        entry(json!({"auth": STANDARD.encode(canary)})),
        entry(json!({"auth": [auth]})),
        entry(json!({"auth": auth, "identitytoken": canary})),
        entry(json!({"password": {"value": canary}})),
        json!({"auths": {format!("ci:{canary}@{host}"): {"auth": auth}}}).to_string(),
        json!({"auths": {host: auth}}).to_string(),
        format!("{{\"auths\":{{\"{host}\":{{\"password\":\"{canary}\""),
        canary.to_owned(),
    ]
}

#[test]
fn b31_no_command_shows_a_password() {
    let registry = FakeRegistry::start_blocking(Config::basic().user("ci", "other"));
    let host = registry.host();
    for (at, document) in documents(host).iter().enumerate() {
        let sandbox = Sandbox::new();
        let pod = pod_with_secret("web", &format!("{host}/app:1"));
        sandbox.write("all.yaml", pod.clone() + &secret(document));
        sandbox.write("words.yaml", pod + &secret_in_words(document));
        let own = docker_config(host, "ci", CANARIES[1]);
        sandbox.write_home("own.json", &own);
        sandbox.write_home("node.json", docker_config(host, "ci", CANARIES[2]));
        let own = sandbox.home().join("own.json").display().to_string();
        let node = sandbox.home().join("node.json").display().to_string();
        let image = format!("{host}/app:1");
        for format in ["full", "concise", "json"] {
            for file in ["all.yaml", "words.yaml"] {
                for more in [&["-v"][..], &["--offline"]] {
                    let arguments = ["validate", file, "-o", format, "--authfile", &own];
                    let run = sandbox.run(arguments.iter().chain(more));
                    is_clean(&run, &format!("validate -o {format} {more:?} of document {at}"));
                }
                let run = sandbox.run(["images", file, "-o", format, "-v"]);
                is_clean(&run, &format!("images -o {format} of document {at}"));
            }
        }
        for format in ["text", "json"] {
            let arguments =
                ["auth", "plan", &image, "--secrets", "all.yaml", "--node-config", &node];
            let run = sandbox.run(arguments.iter().chain(&["-o", format, "-v"]));
            is_clean(&run, &format!("auth plan -o {format} of document {at}"));
        }
    }
}

#[test]
fn b42_a_login_that_is_repeated_in_an_error_is_not_shown() {
    let registry = FakeRegistry::start_blocking(Config::basic().user("ci", CANARIES[0]));
    let login = STANDARD.encode(format!("ci:{}", CANARIES[0]));
    // The last one is cut in the middle of the login.
    for said in [format!("Basic {login} ({})", CANARIES[0]), "x".repeat(230) + &login] {
        registry.clear_faults();
        registry.fault(Fault::in_repository("app").error(403, "DENIED", &said));
        let document = docker_config(registry.host(), "ci", CANARIES[0]);
        let pod = pod_with_secret("web", &format!("{}/app:1", registry.host()));
        let sandbox = Sandbox::with("all.yaml", pod + &secret(&document));
        for format in ["full", "concise", "json"] {
            let run = sandbox.run(["validate", ".", "-v", "-o", format]).exits(1);
            is_clean(&run, format);
            assert!(!run.all().contains(&login[..8]), "{run:?}");
        }
    }
}

#[test]
fn b31_a_broken_file_does_not_show_its_secrets() {
    let canary = CANARIES[0];
    for text in [
        format!("apiVersion: v1\nkind: Secret\nstringData:\n  password: {canary}: x\n"),
        format!("apiVersion: v1\nkind: Secret\nstringData: {{a: '{canary}\n"),
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"stringData\": {{\"a\": \"{canary}\" \"b\"}}}}"
        ),
        format!(
            "apiVersion: v1\nkind: Secret\ndata: {{{canary}: !!binary '*'}}\ndata: {canary}\n---\n{canary}: [\n"
        ),
    ] {
        let sandbox = Sandbox::with("secret.yaml", &text);
        for format in ["full", "concise", "json"] {
            is_clean(&sandbox.run(["validate", ".", "-o", format, "-v"]), &text);
            is_clean(&sandbox.run(["images", ".", "-o", format]), &text);
        }
        is_clean(&sandbox.run(["auth", "plan", "r.io/a", "--secrets", "secret.yaml"]), &text);
    }
    let sandbox = Sandbox::with(
        "pod.yaml",
        "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: nginx}]}\n",
    );
    let file =
        sandbox.write_home("auth.json", format!("{{\"auths\": {{\"r.io\": {{\"auth\": \"{canary}"));
    is_clean(
        &sandbox.run(["validate", ".", "--authfile", file.to_str().unwrap()]).exits(2),
        "authfile",
    );
}

#[test]
fn the_log_goes_to_standard_error_and_tells_what_was_asked() {
    let registry = FakeRegistry::start_blocking(
        Config::bearer().user("ci", CANARIES[0]).private("app", &["ci"]),
    );
    registry.push_image("app", "1", "linux/amd64");
    let document = docker_config(registry.host(), "ci", CANARIES[0]);
    let manifests =
        pod_with_secret("web", &format!("{}/app:1", registry.host())) + &secret(&document);
    let sandbox = Sandbox::with("all.yaml", manifests);
    let run = sandbox.run(["validate", ".", "-v", "-o", "json"]).exits(0);
    assert!(run.stderr.contains("/v2/app/manifests/1"), "{run:?}");
    is_clean(&run, "validate -v");
    assert!(!run.stderr.contains("Bearer") && !run.stderr.contains("Basic "), "{run:?}");
    assert_eq!(run.report().told(), ["app:1 pullable allow"]);
    assert_eq!(sandbox.run(["validate", ".", "-o", "json"]).stderr, "");
}
