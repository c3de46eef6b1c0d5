//! `validate -o json` against a registry: what each answer of it comes to, and the report's schema.

use serde_json::{Value, json};

use super::manifests::{docker_config, pod, pod_with};
use super::sandbox::{Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault, closed_port};

fn open() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    for tag in ["1.4.1", "1.4.2", "1.5.0", "latest"] {
        registry.push_image("app", tag, "linux/amd64");
    }
    registry
}

fn keys(value: &Value) -> String {
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.join(" ")
}

#[test]
fn the_report_has_the_fields_of_its_schema_and_no_others() {
    let registry = open();
    let host = registry.host();
    let digest = registry.push_index("app", "multi", &["linux/amd64".into(), "linux/arm64".into()]);
    let sandbox = Sandbox::with(
        "pods.yaml",
        pod_with(
            "good",
            &format!("{host}/app:multi"),
            &["nodeSelector: {kubernetes.io/arch: arm64}"],
        ) + &pod("bad", &format!("\"{host}/app:1.4.3\"")),
    );
    sandbox.write("broken.yaml", "apiVersion: v1\nkind: {\n");
    let report = sandbox.run(["validate", ".", "-o", "json"]).exits(1).report();
    let document = &report.json;
    assert_eq!(document["schema"], "pullproof.report.v1");
    assert_eq!(keys(document), "notes results schema summary");
    let summary = &document["summary"];
    assert_eq!(
        keys(summary),
        "cached deny findings images inconclusive neverPulled oldestSeconds ownOnly pullable \
         requests seconds warn"
    );
    let counts = ["images", "pullable", "findings", "inconclusive", "deny", "warn"];
    assert_eq!(counts.map(|name| summary[name].as_u64().unwrap()), [2, 1, 2, 0, 2, 0]);
    assert_eq!(summary["requests"], registry.count());
    assert!(summary["seconds"].is_f64());

    let good = report.of(":multi");
    let fields = "advice cause certainty digest evidence findings image outcome platforms policy pulls remarks rule runs uses verdict wanted";
    assert_eq!(keys(good), fields);
    let place = json!({
        "file": "pods.yaml", "line": 9, "column": 12, "path": "spec.containers[0].image",
        "role": "container", "guess": false,
        "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "good"},
        "workload": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "good",
            "serviceAccount": null, "imagePullSecrets": []},
    });
    let head =
        [json!("pullable"), Value::Null, Value::Null, json!(true), json!(true), json!("allow")];
    let names = ["outcome", "cause", "certainty", "pulls", "runs", "verdict"];
    assert_eq!(names.map(|name| good[name].clone()), head);
    assert_eq!((&good["digest"], &good["policy"]), (&json!(digest), &Value::Null));
    assert_eq!(good["platforms"], json!(["linux/amd64", "linux/arm64"]));
    assert_eq!(good["wanted"], json!(["linux/arm64"]));
    assert_eq!(good["uses"], json!([place]));
    assert_eq!((&good["findings"], &good["advice"]), (&json!([]), &json!([])));
    let seen = &good["evidence"][0];
    let head = json!({"seenBy": "registry", "host": host, "status": 200, "codes": [],
        "credential": null, "text": seen["text"]});
    assert_eq!(*seen, head);

    let bad = report.of(":1.4.3");
    let names = ["outcome", "cause", "certainty", "pulls", "runs", "digest"];
    let head = [
        json!("finding"),
        json!("tag-not-found"),
        json!("certain"),
        json!(false),
        json!(false),
        Value::Null,
    ];
    assert_eq!(names.map(|name| bad[name].clone()), head);
    assert_eq!(keys(&bad["findings"][0]), "class id text waived");
    assert_eq!(bad["findings"][0]["class"], "image");
    assert_eq!(bad["evidence"][0]["codes"], json!([]));
    assert_eq!(bad["uses"][0]["column"], 13, "after the quote");
    assert_eq!((&bad["wanted"], &bad["platforms"]), (&json!([]), &json!([])));

    let broken = &report.results()[0];
    assert_eq!((&broken["image"], &broken["cause"]), (&Value::Null, &json!("unparsable-manifest")));
    assert_eq!(
        (&broken["uses"][0]["workload"], &broken["uses"][0]["role"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(broken["uses"][0]["file"], "broken.yaml");
}

#[test]
fn an_absent_tag_is_told_with_the_nearest_ones() {
    let registry = open();
    let sandbox = Sandbox::with("pod.yaml", pod("web", &format!("{}/app:1.4.3", registry.host())));
    let report = sandbox.validate(&[]);
    assert_eq!(report.told(), ["app:1.4.3 finding tag-not-found certain deny"]);
    assert_eq!(report.of("app:1.4.3")["advice"][0], "nearest tags: 1.4.1, 1.4.2, 1.5.0");
}

#[test]
fn what_a_registry_may_answer_has_its_cause() {
    let registry = open();
    registry.push_artifact("chart", "1");
    registry.push_schema1("old", "1");
    registry.fault(Fault::in_repository("busy").answer(429));
    registry.fault(Fault::in_repository("down").answer(503));
    registry.fault(Fault::in_repository("portal").captive_portal());
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pods: String = [
        "app:1.4.1".to_owned(),
        "chart:1".into(),
        "old:1".into(),
        "busy:1".into(),
        "down:1".into(),
        "portal:1".into(),
        "nowhere:1".into(),
        format!("app@{digest}"),
    ]
    .iter()
    .map(|name| pod("p", &format!("{}/{name}", registry.host())))
    .collect();
    let refused = closed_port();
    let sandbox = Sandbox::with(
        "pods.yaml",
        pods + &pod("p", &format!("{refused}/app:1")) + &pod("p", "App:1"),
    );
    let report = sandbox.validate(&["--platform", "linux/amd64"]);
    let expected = [
        "app:1.4.1 pullable allow",
        "chart:1 finding unsupported-manifest certain deny",
        "old:1 finding unsupported-manifest certain deny",
        "busy:1 inconclusive rate-limited warn",
        "down:1 inconclusive registry-error warn",
        "portal:1 inconclusive bad-answer warn",
        "nowhere:1 finding repository-not-found certain deny",
        &format!("app@{digest} finding digest-not-found certain deny"),
        "app:1 inconclusive connection-refused warn",
        "App:1 finding invalid-reference certain deny",
    ];
    assert_eq!(report.told(), expected);
    let seen = |image: &str| report.of(image)["evidence"][0].clone();
    let unreached = seen(&format!("{refused}/app:1"));
    assert_eq!((&unreached["status"], &unreached["credential"]), (&Value::Null, &Value::Null));
    assert_eq!(unreached["host"], refused.as_str());
    assert_eq!(seen("busy:1")["status"], 429);
    let doubt = report.of("busy:1");
    let open = ["certainty", "pulls", "runs", "digest"].map(|field| doubt[field].clone());
    assert_eq!(open, [const { Value::Null }; 4]);
}

#[test]
fn offline_asks_nothing_and_calls_nothing_pullable() {
    let registry = open();
    let sandbox = Sandbox::with(
        "pods.yaml",
        pod("a", &format!("{}/app:1.4.1", registry.host())) + &pod("b", "No/Image"),
    );
    let report = sandbox.validate(&["--offline"]);
    let expected =
        ["app:1.4.1 inconclusive not-asked allow", "Image finding invalid-reference certain deny"];
    assert_eq!(report.told(), expected);
    assert_eq!((registry.count(), registry.connections()), (0, 0));
    assert_eq!(report.json["summary"]["requests"], 0);
    let text = sandbox.run(["validate", ".", "--offline", "-o", "concise"]).exits(1).stdout;
    assert!(!text.contains("pullable") && !text.contains("not-asked"), "{text}");
}

#[test]
fn an_image_that_is_never_pulled_is_not_asked() {
    let registry = open();
    let manifest =
        pod("a", &format!("{}/app:1.4.1", registry.host())) + "    imagePullPolicy: Never\n";
    let report = Sandbox::with("pod.yaml", manifest).validate(&["--inconclusive=fail"]);
    assert_eq!(report.told(), ["app:1.4.1 inconclusive not-asked allow"]);
    assert_eq!((report.code, registry.count()), (0, 0));
}

#[test]
fn an_image_that_is_never_pulled_is_no_doubt_and_no_block_of_lines() {
    let registry = open();
    let manifest =
        pod("a", &format!("{}/app:1.4.1", registry.host())) + "    imagePullPolicy: Never\n";
    let sandbox = Sandbox::with("pod.yaml", manifest);
    let text = sandbox.run(["validate", "."]).exits(0).stdout;
    assert!(text.starts_with("1 image in 1 file: 0 pullable, 1 never pulled ("), "{text}");
    let summary = &sandbox.validate(&[]).json["summary"];
    assert_eq!((&summary["inconclusive"], &summary["neverPulled"]), (&0.into(), &1.into()));
}

#[test]
fn a_flag_and_a_pod_that_name_one_image_are_two_questions() {
    let registry = FakeRegistry::start_blocking(Config::basic().user("ci", "right"));
    registry.push_image("app", "1", "linux/amd64");
    let image = format!("{}/app:1", registry.host());
    let account = "---\napiVersion: v1\nkind: ServiceAccount\n\
                   metadata: {name: default, namespace: shop}\n";
    let sandbox = Sandbox::with("pod.yaml", pod("a", &image) + account);
    sandbox.write("auth.txt", docker_config(registry.host(), "ci", "right"));
    let report = sandbox.validate(&["--image", &image, "--authfile", "auth.txt"]);
    let expected = ["app:1 finding credentials-missing certain deny", "app:1 pullable allow"];
    assert_eq!(report.told(), expected);
}

#[test]
fn standard_input_and_flags_name_images_too() {
    let registry = open();
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command.args([
        "check",
        "-",
        "-o",
        "json",
        "--image",
        &format!("{}/app:1.5.0", registry.host()),
    ]);
    let run = Run::of(command.write_stdin(pod("web", &format!("{}/app:1.4.1", registry.host()))));
    let report = run.exits(0).report();
    assert_eq!(report.told(), ["app:1.4.1 pullable allow", "app:1.5.0 pullable allow"]);
    assert_eq!(report.results()[0]["uses"][0]["file"], "<stdin>");
    assert_eq!(report.json["summary"]["images"], 2);
}

#[test]
fn equal_images_are_asked_once_whatever_their_number() {
    let registry = open();
    let many: String =
        (0..50).map(|_| pod("p", &format!("{}/app:1.4.1", registry.host()))).collect();
    let report = Sandbox::with("pods.yaml", many).validate(&[]);
    assert_eq!(report.told().len(), 1);
    assert_eq!(registry.count_of("HEAD", "/v2/app/manifests/1.4.1"), 1, "{:?}", registry.log());
    assert_eq!(report.of("1.4.1")["uses"].as_array().unwrap().len(), 50);
}
