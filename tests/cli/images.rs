//! `images`: `pullproof.images.v1` field by field, the list, and the places of one image.

use serde_json::{Value, json};

use super::sandbox::{Run, Sandbox};

const WORKLOADS: &str = r#"# every role of a Pod, several documents, a List
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      serviceAccountName: puller
      initContainers:
        - name: setup
          image: "ghcr.io/acme/setup:1"
        - name: mesh
          image: 'ghcr.io/acme/mesh:2'
          restartPolicy: Always
      containers:
        - name: web
          image: nginx
        - {name: side, image: "nginx:1.27@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
      volumes:
        - name: model
          image:
            reference: quay.io/acme/model:v1
---
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: night, namespace: jobs}
    spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: nginx}]}}}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: puller, namespace: shop}
imagePullSecrets: [{name: pull}]
---
apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: shop}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{}}'}
"#;

const POD: &str = r#"{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "debugged"},
  "spec": {
    "containers": [{"name": "é", "image": "Not/An:Image"}],
    "ephemeralContainers": [{"name": "shell", "image": "busybox:1.36"}]
  }
}
"#;

const CUSTOM: &str = "apiVersion: example.com/v1\nkind: Fleet\nmetadata: {name: f}\nspec:\n  pod:\n    containers:\n    - name: c\n      image: \u{feff}'ghcr.io/acme/fleet:1'\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with("apps/workloads.yaml", WORKLOADS);
    sandbox.write("apps/pod.json", POD);
    sandbox.write("apps/fleet.yml", CUSTOM.replace('\u{feff}', ""));
    sandbox.write("apps/readme.txt", "image: none");
    sandbox.write(
        "apps/doubled.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nkind: Namespace\n",
    );
    sandbox
}

fn images(sandbox: &Sandbox) -> Value {
    let run = sandbox.run(["images", "apps", "-o", "json"]).exits(0);
    assert_eq!(run.stderr, "");
    run.json()
}

fn image<'a>(document: &'a Value, name: &str) -> &'a Value {
    let images = document["images"].as_array().unwrap();
    images
        .iter()
        .find(|it| it["image"] == name)
        .unwrap_or_else(|| panic!("no {name}: {document:#}"))
}

fn object(api_version: &str, kind: &str, namespace: Value, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name})
}

#[test]
fn images_json_is_what_the_schema_says() {
    let document = images(&sandbox());
    let web = object("apps/v1", "Deployment", json!("shop"), "web");
    assert_eq!(document["schema"], "pullproof.images.v1");
    assert_eq!(document.as_object().unwrap().len(), 3);
    assert_eq!(document["images"].as_array().unwrap().len(), 8);
    assert_eq!(
        *image(&document, "nginx"),
        json!({
            "image": "nginx",
            "reference": {"registry": "docker.io", "repository": "library/nginx", "tag": null, "digest": null},
            "uses": [
                {"file": "apps/workloads.yaml", "line": 19, "column": 18, "object": web,
                 "path": "spec.template.spec.containers[0].image", "role": "container", "guess": false},
                {"file": "apps/workloads.yaml", "line": 32, "column": 81,
                 "object": object("batch/v1", "CronJob", json!("jobs"), "night"),
                 "path": "items[0].spec.jobTemplate.spec.template.spec.containers[0].image",
                 "role": "container", "guess": false},
            ],
        })
    );
    assert_eq!(
        *image(&document, "Not/An:Image"),
        json!({
            "image": "Not/An:Image", "reference": null,
            "uses": [{"file": "apps/pod.json", "line": 4, "column": 44,
                "object": object("v1", "Pod", Value::Null, "debugged"),
                "path": "spec.containers[0].image", "role": "container", "guess": false}],
        })
    );
    let notes = json!([{
        "id": "duplicate-key", "text": "key \"kind\" is written twice, the last one counts",
        "file": "apps/doubled.yaml", "line": 4,
    }]);
    assert_eq!(document["notes"], notes);
}

#[test]
fn every_role_is_named_and_stands_at_its_first_character() {
    let document = images(&sandbox());
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let pinned = format!("nginx:1.27@{digest}");
    for (name, role, line, column) in [
        ("ghcr.io/acme/setup:1", "init", 13, 19),
        ("ghcr.io/acme/mesh:2", "sidecar", 15, 19),
        (pinned.as_str(), "container", 20, 32),
        ("quay.io/acme/model:v1", "volume", 24, 24),
        ("busybox:1.36", "ephemeral", 5, 57),
        ("ghcr.io/acme/fleet:1", "container", 8, 15),
    ] {
        let place = &image(&document, name)["uses"][0];
        let got = (&place["role"], &place["line"], &place["column"]);
        assert_eq!(got, (&json!(role), &json!(line), &json!(column)), "{name}");
    }
    let volume = &image(&document, "quay.io/acme/model:v1")["uses"][0]["path"];
    assert_eq!(volume, "spec.template.spec.volumes[0].image.reference");
    let parts = &image(&document, &pinned)["reference"];
    let expected = json!({"registry": "docker.io", "repository": "library/nginx", "tag": "1.27", "digest": digest});
    assert_eq!(*parts, expected);
}

#[test]
fn a_broken_file_is_a_note_of_the_json_and_a_line_of_the_others() {
    let sandbox = sandbox();
    sandbox.write("apps/broken.yaml", "apiVersion: v1\nkind: [\n");
    let document = images(&sandbox);
    let note = &document["notes"][0];
    assert_eq!(
        (&note["id"], &note["file"]),
        (&json!("unparsable-manifest"), &json!("apps/broken.yaml"))
    );
    assert!(note["line"].is_u64() && note["text"].is_string(), "{note}");
    let run = sandbox.run(["images", "apps", "-o", "concise"]).exits(0);
    assert!(
        run.stderr.contains("apps/broken.yaml:")
            && run.stderr.contains("error[unparsable-manifest]"),
        "{run:?}"
    );
    assert!(run.stdout.lines().any(|line| line == "busybox:1.36"), "{run:?}");
}

#[test]
fn the_list_names_each_image_once_and_the_table_its_first_place() {
    let sandbox = sandbox();
    let list = sandbox.run(["images", "apps", "--output=concise"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 8, "{list}");
    assert_eq!(list.lines().filter(|line| *line == "nginx").count(), 1);
    let table = sandbox.run(["images", "apps"]).exits(0).stdout;
    let row = table.lines().find(|line| line.starts_with("nginx ")).unwrap();
    assert!(row.ends_with("  2       apps/workloads.yaml:19:18"), "{table}");
}

#[test]
fn why_tells_every_place_of_an_image_however_it_is_spelt() {
    let sandbox = sandbox();
    for spelling in ["nginx", "docker.io/library/nginx:latest", "docker.io/nginx"] {
        let text = sandbox.run(["images", "apps", "--why", spelling]).exits(0).stdout;
        assert!(text.contains("apps/workloads.yaml:19:18  Deployment shop/web  "), "{text}");
        assert!(text.contains("apps/workloads.yaml:32:81  CronJob jobs/night  "), "{text}");
    }
    let run = sandbox.run(["images", "apps", "--why", "redis"]).exits(2);
    assert_eq!(run.stderr, "error: redis is in none of these manifests\n");
}

#[test]
fn standard_input_folders_and_patterns_are_read() {
    let sandbox = sandbox();
    let run =
        Run::of(sandbox.command().args(["images", "-", "-o", "json"]).write_stdin(POD)).exits(0);
    assert_eq!(image(&run.json(), "busybox:1.36")["uses"][0]["file"], "<stdin>");
    let only = |more: [&str; 2]| {
        sandbox.run(["images", "apps", "-o", "concise"].into_iter().chain(more)).exits(0).stdout
    };
    assert_eq!(only(["--include", "*.yml"]), "ghcr.io/acme/fleet:1\n");
    assert!(!only(["--exclude", "workloads.yaml"]).contains("nginx"));
    sandbox.write("apps/.gitignore", "fleet.yml\n");
    assert!(!only(["--exclude", "x"]).contains("fleet"));
    assert!(sandbox.run(["images", "apps", "--no-ignore"]).stdout.contains("fleet"));
}

#[test]
fn files_are_named_by_a_file_or_by_standard_input() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c d"] {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: m, image: \"{}:1\"}}]}}\n",
            name.replace(' ', "-")
        );
        sandbox.write(format!("{name}.yaml"), text);
    }
    sandbox.write("lines.txt", "a.yaml\r\n\nc d.yaml\n");
    sandbox.write("zeros.txt", "b.yaml\0c d.yaml\0");
    let list = |arguments: &[&str]| {
        sandbox.run(["images", "-o", "concise"].iter().chain(arguments)).exits(0).stdout
    };
    assert_eq!(list(&["--files-from", "lines.txt"]), "a:1\nc-d:1\n");
    assert_eq!(list(&["--files-from", "zeros.txt"]), "b:1\nc-d:1\n");
    assert_eq!(list(&["b.yaml", "--files-from", "lines.txt"]), "a:1\nb:1\nc-d:1\n");
    let mut command = sandbox.command();
    command.args(["images", "-o", "concise", "--files-from", "-"]).write_stdin("b.yaml\n");
    assert_eq!(Run::of(&mut command).exits(0).stdout, "b:1\n");
    sandbox.run(["images", "--files-from", "absent.txt"]).exits(2);
    sandbox.write("wrong.txt", "nowhere.yaml\n");
    let run = sandbox.run(["images", "--files-from", "wrong.txt"]).exits(2);
    assert!(run.stderr.contains("nowhere.yaml"), "{}", run.stderr);
    let mut command = sandbox.command();
    command.args(["images", "-", "--files-from", "-"]).write_stdin("b.yaml\n");
    assert!(Run::of(&mut command).exits(2).stderr.contains("standard input"));
}
