//! The catalogue: each field of each kind is found once, at its place, and nothing beside it.

use std::collections::BTreeMap;

use pullproof::image::Role;
use pullproof::manifest::kinds::{BUILT_IN, CUSTOM, Field, Row};

use super::{extraction, images, notes, seen, written};

/// Flow YAML in which the field at `path` holds `value`: lists have one item, wildcards some key.
fn at(path: &str, value: &str) -> String {
    let parts = path.split('.').filter(|part| *part != "**");
    parts.rev().fold(value.to_owned(), |inner, part| {
        let key = part.trim_end_matches("[]");
        let lists = part.matches("[]").count();
        let inner = format!("{}{inner}{}", "[".repeat(lists), "]".repeat(lists));
        let key = if key == "*" { "any" } else { key };
        if key.is_empty() { inner } else { format!("{{{key}: {inner}}}") }
    })
}

/// What stands at a field, and the image it means.
fn sample(field: Field) -> (String, &'static str) {
    let keys = |repository: &str, tag: &str| {
        let tag = if tag.is_empty() { String::new() } else { format!(", {tag}: '1'") };
        format!("{{{repository}: r.io/a{tag}}}")
    };
    let text = match field {
        Field::PodSpec(_) => "{containers: [{name: a, image: 'r.io/a:1'}]}".to_owned(),
        Field::Container { .. } => "{image: 'r.io/a:1'}".to_owned(),
        Field::Parts { keys: of, .. } if of.tag.is_empty() => {
            return (keys(of.repository, ""), "r.io/a");
        }
        Field::Parts { keys: of, .. } => keys(of.repository, of.tag),
        Field::From(_) => "{kind: DockerImage, name: 'r.io/a:1'}".to_owned(),
        Field::Kustomize(_) => "{name: a, newName: r.io/a, newTag: '1'}".to_owned(),
        Field::SetImage(_) => "'a=r.io/a:1'".to_owned(),
        Field::Image { .. } => "'r.io/a:1'".to_owned(),
        Field::Values(_) => "{image: {repository: r.io/a, tag: '1'}}".to_owned(),
        Field::ValuesText(_) => "'image: {repository: r.io/a, tag: \"1\"}'".to_owned(),
        Field::Manifests(_) => {
            "'{apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: \"r.io/a:1\"}]}}'"
                .to_owned()
        }
    };
    (text, "r.io/a:1")
}

fn rows() -> impl Iterator<Item = &'static Row> {
    BUILT_IN.iter().chain(CUSTOM.iter().copied().flatten())
}

#[test]
fn every_field_of_every_listed_kind_is_found_once() {
    let mut kinds = 0;
    for row in rows() {
        for kind in row.kinds {
            kinds += 1;
            for field in row.fields {
                let version =
                    if row.group.is_empty() { "v1".into() } else { format!("{}/v1", row.group) };
                let (value, image) = sample(*field);
                let body = at(field.path(), &value);
                let text = format!("{{apiVersion: {version}, kind: {kind}, {}", &body[1..]);
                let found = extraction(&text);
                assert_eq!(images(&found), [image], "{text}");
                assert!(
                    found.notes.is_empty() && found.broken.is_empty(),
                    "{text}: {:?}",
                    found.notes
                );
            }
        }
    }
    assert!(kinds > 150, "{kinds}");
}

/// Image to path and role.
fn fixture(text: &str) -> BTreeMap<String, (String, Role)> {
    let found = extraction(text);
    let uses = found.uses.iter();
    let map: BTreeMap<_, _> =
        uses.map(|one| (one.text.clone(), (one.site.path.clone(), one.role))).collect();
    assert_eq!(map.len(), found.uses.len(), "each once: {:?}", seen(&found));
    for one in &found.uses {
        assert!(one.text.contains(written(one)) && !one.guess, "{one:?}");
    }
    map
}

fn names(found: &BTreeMap<String, (String, Role)>) -> Vec<&str> {
    found.keys().map(|name| name.strip_prefix("r.io/").unwrap()).collect()
}

#[test]
fn steps_of_workflows_need_no_name() {
    let found = fixture(include_str!("kinds/workflow.yaml"));
    assert_eq!(
        names(&found),
        ["container:1", "default:1", "init:1", "inline:1", "script:1", "set:1", "sidecar:1"]
    );
    let inline = "spec.templates[3].dag.tasks[0].inline.container.image";
    assert_eq!(found["r.io/inline:1"], (inline.to_owned(), Role::Container));
    assert_eq!((found["r.io/init:1"].1, found["r.io/sidecar:1"].1), (Role::Init, Role::Sidecar));
    let all = extraction(include_str!("kinds/workflow.yaml"));
    assert!(all.uses.iter().all(|one| one.workload.pull_secrets == ["hub"]));
    let found = fixture(include_str!("kinds/tekton.yaml"));
    assert_eq!(names(&found), ["base:1", "last:1", "side:1", "step:1"]);
    let all = extraction(include_str!("kinds/tekton.yaml"));
    assert_eq!(
        (all.uses[0].workload.pull_secrets.as_slice(), all.notes.len()),
        (&["hub".into()][..], 0)
    );
}

#[test]
fn objects_inside_objects_are_objects() {
    let all = extraction(include_str!("kinds/sensor.yaml"));
    let objects: Vec<_> =
        all.uses.iter().map(|one| (one.text.as_str(), one.workload.object.name.as_str())).collect();
    assert_eq!(objects, [("r.io/sensor:1", "outer"), ("r.io/inner:1", "inner")]);
    let path = "spec.triggers[0].template.k8s.source.resource.spec.templates[0].container.image";
    assert_eq!(all.uses[1].site.path, path);
    let all = extraction(include_str!("kinds/template.yaml"));
    assert_eq!(images(&all), ["r.io/a:1", "r.io/builder:1"]);
    assert_eq!(all.uses[0].site.path, "objects[0].spec.template.spec.containers[0].image");
    assert_eq!(notes(&all), ["unresolved-placeholder"]);
    let wrapped = "{apiVersion: workload.codeflare.dev/v1beta2, kind: AppWrapper, spec: {components: [{template: \
                   {apiVersion: v1, kind: Pod, metadata: {name: in}, spec: {containers: [{name: a, image: b}]}}}]}}";
    assert_eq!(extraction(wrapped).uses[0].workload.object.name, "in");
}

#[test]
fn parts_of_an_image_are_joined_and_the_last_one_is_its_place() {
    let all = extraction(include_str!("kinds/prometheus.yaml"));
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let old = format!("r.io/thanos-old@{digest}");
    assert_eq!(
        seen(&all),
        [
            ("r.io/prometheus:v2.1", "spec.tag", Role::Custom),
            ("r.io/proxy:1", "spec.containers[1].image", Role::Container),
            ("r.io/thanos:1", "spec.thanos.image", Role::Custom),
            (old.as_str(), "spec.thanos.sha", Role::Custom),
        ]
    );
    assert_eq!(written(&all.uses[0]), "v2.1");
    for one in &all.uses {
        assert_eq!(one.workload.pull_secrets, ["quay"]);
        assert_eq!(one.workload.service_account.as_deref(), Some("prometheus"));
    }
    assert_eq!(names(&fixture(include_str!("kinds/kserve.yaml"))), ["c:1", "custom:1", "model:1"]);
}

#[test]
fn patterns_reports_and_status_hold_no_images() {
    for text in [
        include_str!("kinds/policy.yaml"),
        "{apiVersion: v1, kind: Node, status: {images: [{names: [a]}]}, spec: {containers: [{name: a, image: b}]}}",
        "{apiVersion: x.io/v1, kind: X, status: {last: {containers: [{name: a, image: 'b:1'}]}}}",
        "{apiVersion: image.toolkit.fluxcd.io/v1, kind: ImageRepository, spec: {image: r.io/a}}",
        "{apiVersion: tekton.dev/v1, kind: Task, spec: {steps: [{image: 'ko://x'}, {image: '*:latest'}, {image: [a]}, {image: }]}}",
        "{apiVersion: v1, kind: Pod, spec: {containers: [{name: istio-proxy, image: auto}]}}",
    ] {
        let found = extraction(text);
        assert_eq!((images(&found).len(), found.notes.len(), found.files), (0, 0, 1), "{text}");
    }
}

#[test]
fn encrypted_values_are_no_images() {
    let found = extraction(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'ENC[AES256_GCM,data:x]'}, \
         {name: b, image: b}]}\nsops: {mac: 'ENC[x]', version: 3.7.1}\n",
    );
    assert_eq!((images(&found), notes(&found)), (vec!["b"], vec!["sops-encrypted"]));
}

#[test]
fn anchors_defined_again_are_told_and_resolved() {
    let found = extraction(
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {name: a, image: &i a:1}\n  - {name: b, image: *i}\n  \
         - {name: c, image: &i c:1}\n  - {name: d, image: *i}\n",
    );
    assert_eq!(
        (images(&found), notes(&found)),
        (vec!["a:1", "a:1", "c:1", "c:1"], vec!["anchor-redefined"])
    );
    assert_eq!(found.notes[0].place, Some(("x.yaml".into(), 7)));
}
