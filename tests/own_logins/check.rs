//! `auth check`: each credential alone.

use super::*;
use crate::support::{Config, Fault, closed_port};

fn private() -> FakeRegistry {
    registry(Config::basic().user("ci", "CANARY-right").user("node", "CANARY-node"))
}

fn secrets(place: &Place, documents: &[String]) -> String {
    let item = |(at, document): (usize, &String)| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"name": format!("pull-{at}"), "namespace": "shop"},
            "data": {".dockerconfigjson": STANDARD.encode(document)}})
    };
    let items: Vec<Value> = documents.iter().enumerate().map(item).collect();
    place.write("secrets.json", Value::from(items).to_string()).display().to_string()
}

fn check(place: &Place, image: &str, more: &[&str]) -> Run {
    let run = place.run(&[&["auth", "check", image, "-o", "json"], more].concat());
    assert!(!run.all().contains("CANARY"), "{}", run.all());
    run
}

/// User, source, and whether it works with which status.
fn told(run: &Run) -> Vec<String> {
    let of = |it: &Value| {
        let text = |field: &str| it[field].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", text("user"), text("source"), it["works"], it["status"])
    };
    run.json()["candidates"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn every_candidate_is_asked_alone_and_in_order() {
    let (place, registry) = (Place::new(), private());
    let host = registry.host();
    let wrong = config(host, "ci", "CANARY-wrong");
    let file = secrets(&place, &[wrong, config(host, "ci", "CANARY-right")]);
    let node = place.write("node.json", config(host, "node", "CANARY-node")).display().to_string();
    let own = place.write("own.json", config(host, "own", "CANARY-own")).display().to_string();
    let arguments = ["--secrets", &file, "--node-config", &node, "--authfile", &own];
    let run = check(&place, &image(&registry), &arguments);
    let expected = [
        "ci secret shop/pull-0 false 401".to_owned(),
        "ci secret shop/pull-1 true 200".to_owned(),
        format!("node node config {node} true 200"),
        format!("own docker config {own} false 401"),
        "- anonymous false 401".to_owned(),
    ];
    assert_eq!(told(&run), expected);
    assert_eq!(run.code, 1);
    let document = run.json();
    assert_eq!(document["schema"], "pullproof.auth-check.v1");
    assert_eq!(document["lookup"], format!("{host}/team/app"));
    assert_eq!(
        (&document["error"], &document["candidates"][0]["key"]),
        (&Value::Null, &json!(host))
    );
    let text = place.run(&[&["auth", "check", &image(&registry)], &arguments[..]].concat()).stdout;
    assert!(text.contains("works: 200 sha256:"), "{text}");
    assert!(text.contains("refused with 401"), "{text}");
    assert!(!text.contains("CANARY"), "{text}");
}

#[test]
fn the_anonymous_try_counts_only_where_there_is_no_login() {
    let (place, registry) = (Place::new(), private());
    let run = check(&place, &image(&registry), &[]);
    assert_eq!((told(&run), run.code), (vec!["- anonymous false 401".to_owned()], 1));
    let own = config(registry.host(), "ci", "CANARY-right");
    place.write("home/.docker/config.json", own);
    assert_eq!(check(&place, &image(&registry), &[]).code, 0);
    let open = super::registry(Config::open());
    assert_eq!(check(&place, &image(&open), &[]).code, 0);
}

#[test]
fn what_could_not_be_told_is_no_refusal() {
    let place = Place::new();
    let host = closed_port();
    place.write("home/.docker/config.json", config(&host, "ci", "CANARY"));
    let run = check(&place, &format!("{host}/team/app:1"), &[]);
    assert_eq!((run.json()["candidates"][0]["works"].clone(), run.code), (Value::Null, 0));

    let registry = private();
    registry.fault(Fault::in_repository("team/app").answer(429));
    place.write("home/.docker/config.json", config(registry.host(), "ci", "CANARY"));
    let run = check(&place, &image(&registry), &[]);
    assert!(told(&run)[0].ends_with("null 429"), "{:?}", told(&run));
    let text = place.run(&["auth", "check", &image(&registry)]).stdout;
    assert!(text.contains("could not tell: 429"), "{text}");

    place.helper("locked", "echo locked; exit 1");
    place.write("home/.docker/config.json", r#"{"credsStore": "locked"}"#);
    let run = check(&place, &image(&private()), &[]);
    let row = &run.json()["candidates"][0];
    assert_eq!((&row["works"], run.code), (&Value::Null, 0));
    assert!(row["text"].as_str().unwrap().contains("the credential helper failed: "), "{row}");
}

#[test]
fn a_login_that_sees_the_repository_works_though_the_tag_is_missing() {
    let (place, registry) = (Place::new(), private());
    place.write("home/.docker/config.json", config(registry.host(), "ci", "CANARY-right"));
    let run = check(&place, &format!("{}/team/app:none", registry.host()), &[]);
    assert!(told(&run)[0].ends_with("true 404"), "{:?}", told(&run));
    assert_eq!(run.code, 0);
}

#[test]
fn a_secret_that_a_kubelet_cannot_read_is_told() {
    let (place, registry) = (Place::new(), private());
    let file = secrets(&place, &["CANARY".to_owned()]);
    let run = check(&place, &image(&registry), &["--secrets", &file]);
    assert_eq!(run.json()["error"], "keyring: secret shop/pull-0: not valid JSON");
    assert_eq!(run.code, 1);
}

#[test]
fn misuse_is_told() {
    let place = Place::new();
    let settings = place.write("registries.toml", "[registry.\"r.io\"]\nask = false\n");
    let settings = settings.display().to_string();
    for arguments in [
        vec!["auth", "check"],
        vec!["auth", "check", "r.io/UPPER"],
        vec!["auth", "check", "r.io/app", "--authfile", "no.json"],
        vec!["auth", "check", "r.io/app", "--secrets", "no.json"],
        vec!["auth", "check", "r.io/app", "--registries", &settings],
    ] {
        let run = place.run(&arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
    }
}
