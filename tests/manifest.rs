//! From manifests to image uses: kinds, places and hostile text.

#![allow(clippy::unwrap_used)]

mod delivery;
mod folders;
mod kinds;
mod speed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pullproof::image::usage::{Ownership, Source};
use pullproof::image::{ImageUse, PullPolicy, Role};
use pullproof::manifest::{Extraction, extract_source};

fn extraction(text: &str) -> Extraction {
    extract_source(&Arc::new(Source { name: "x.yaml".into(), text: text.into() }))
}

fn seen(found: &Extraction) -> Vec<(&str, &str, Role)> {
    found.uses.iter().map(|one| (one.text.as_str(), one.site.path.as_str(), one.role)).collect()
}

fn images(found: &Extraction) -> Vec<&str> {
    found.uses.iter().map(|one| one.text.as_str()).collect()
}

fn notes(found: &Extraction) -> Vec<&str> {
    found.notes.iter().map(|note| note.id).collect()
}

fn written(one: &ImageUse) -> &str {
    let place = one.site.place.as_ref().unwrap();
    &place.source.text[place.span.clone()]
}

fn line_and_column(one: &ImageUse) -> (usize, usize) {
    let place = one.site.place.as_ref().unwrap();
    (place.line, place.column)
}

/// A manifest whose Pod spec stands at `path`, in flow style.
fn manifest(api_version: &str, kind: &str, path: &str, pod_spec: &str) -> String {
    let depth = path.split('.').count();
    let open: String = path.split('.').map(|key| format!("{{{key}: ")).collect();
    let body = format!("{open}{pod_spec}{}", "}".repeat(depth));
    format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: n}}, {}", &body[1..])
}

const SPEC: &str = "{containers: [{name: a, image: 'r.io/a:1'}]}";

#[test]
fn every_built_in_kind_yields_its_images() {
    let template = "spec.template.spec";
    for (api_version, kind, path) in [
        ("v1", "Pod", "spec"),
        ("v1", "ReplicationController", template),
        ("v1", "PodTemplate", "template.spec"),
        ("apps/v1", "Deployment", template),
        ("apps/v1beta1", "Deployment", template),
        ("apps/v1", "ReplicaSet", template),
        ("apps/v1", "StatefulSet", template),
        ("apps/v1", "DaemonSet", template),
        ("extensions/v1beta1", "Deployment", template),
        ("extensions/v1beta1", "DaemonSet", template),
        ("extensions/v1beta1", "ReplicaSet", template),
        ("batch/v1", "Job", template),
        ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
        ("batch/v1beta1", "CronJob", "spec.jobTemplate.spec.template.spec"),
        ("apps.openshift.io/v1", "DeploymentConfig", template),
        ("v1", "DeploymentConfig", template),
    ] {
        let text = manifest(api_version, kind, path, SPEC);
        let found = extraction(&text);
        let at = format!("{path}.containers[0].image");
        assert_eq!(seen(&found), [("r.io/a:1", at.as_str(), Role::Container)], "{kind}");
        let object = &found.uses[0].workload.object;
        assert_eq!((object.api_version.as_str(), object.kind.as_str()), (api_version, kind));
        let bare = kind == "Pod";
        assert_eq!(found.uses[0].workload.ownership == Ownership::BarePod, bare);
        assert_eq!((found.files, found.notes.len()), (1, 0), "{:?}", found.notes);
    }
}

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  generateName: web-
  namespace: shop
  ownerReferences:
  - {kind: Node, controller: false}
  - {kind: ReplicaSet, controller: true}
spec:
  serviceAccountName: runner
  imagePullSecrets: [{name: one}, {}, {name: two}]
  nodeSelector: {kubernetes.io/arch: arm64, zone: 1}
  os: {name: linux}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: kubernetes.io/os, operator: In, values: [linux]}]
        - {}
        - matchExpressions: [{key: gpu, operator: Exists}]
  initContainers:
  - {name: i, image: init:1}
  - {name: s, image: side:1, restartPolicy: Always}
  containers:
  - {name: c, image: main:1, imagePullPolicy: IfNotPresent}
  ephemeralContainers:
  - {name: e, image: debug:1}
  volumes:
  - name: data
    image: {reference: data:1, pullPolicy: Never}
  - name: other
    emptyDir: {}
";

#[test]
fn b26_every_image_of_a_pod_is_found_once() {
    let found = extraction(POD);
    assert_eq!(
        seen(&found),
        [
            ("init:1", "spec.initContainers[0].image", Role::Init),
            ("side:1", "spec.initContainers[1].image", Role::Sidecar),
            ("main:1", "spec.containers[0].image", Role::Container),
            ("debug:1", "spec.ephemeralContainers[0].image", Role::Ephemeral),
            ("data:1", "spec.volumes[0].image.reference", Role::Volume),
        ]
    );
    let policies: Vec<_> = found.uses.iter().map(|one| one.pull_policy).collect();
    let (kept, never) = (Some(PullPolicy::IfNotPresent), Some(PullPolicy::Never));
    assert_eq!(policies, [None, None, kept, None, never]);
}

#[test]
fn what_decides_the_pull_comes_with_the_use() {
    let found = extraction(POD);
    let workload = &found.uses[0].workload;
    assert_eq!(workload.object.namespace, "shop");
    assert_eq!(workload.object.name, "web-");
    assert_eq!(workload.ownership, Ownership::OwnedPod);
    assert_eq!(workload.service_account.as_deref(), Some("runner"));
    assert_eq!(workload.pull_secrets, ["one", "", "two"]);
    assert_eq!(workload.constraints.os_name.as_deref(), Some("linux"));
    assert_eq!(workload.constraints.node_selector["kubernetes.io/arch"], "arm64");
    assert_eq!(workload.constraints.node_selector["zone"], "1");
    let terms = &workload.constraints.affinity_terms;
    assert_eq!(terms.len(), 2);
    assert_eq!(
        (terms[0][0].key.as_str(), terms[0][0].values.as_slice()),
        ("kubernetes.io/os", &["linux".into()][..])
    );
    assert_eq!(terms[1][0].operator, "Exists");
    let legacy = extraction(
        "{apiVersion: v1, kind: Pod, spec: {serviceAccount: old, containers: [{image: a}]}}",
    );
    assert_eq!(legacy.uses[0].workload.service_account.as_deref(), Some("old"));
    assert_eq!(legacy.uses[0].workload.ownership, Ownership::BarePod);
}

#[test]
fn lists_in_lists_are_walked_with_their_path() {
    let inner = manifest("apps/v1", "Deployment", "spec.template.spec", SPEC);
    let text = format!(
        "{{apiVersion: v1, kind: List, items: [{{apiVersion: v1, kind: Service}}, \
         {{apiVersion: v1, kind: List, items: [{inner}]}}]}}"
    );
    let path = "items[1].items[0].spec.template.spec.containers[0].image";
    assert_eq!(seen(&extraction(&text)), [("r.io/a:1", path, Role::Container)]);
    let text = format!(
        "{{apiVersion: v1, kind: PodList, items: [{{metadata: {{name: p}}, spec: {SPEC}}}]}}"
    );
    let found = extraction(&text);
    assert_eq!(found.uses[0].workload.object.kind, "Pod");
    assert_eq!(found.uses[0].workload.object.name, "p");
    assert_eq!(found.uses[0].workload.ownership, Ownership::BarePod);
}

#[test]
fn other_kinds_are_searched_for_containers() {
    let text = "
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: r}
spec:
  template:
    odd key/x:
      serviceAccountName: sa
      imagePullSecrets: [{name: s}]
      nodeSelector: {a: b}
      containers:
      - {name: a, image: a:1}
      - {name: no-image}
      - image: no-name:1
      - {name: p, image: '${IMG}'}
      - {name: q, image: '*:latest'}
      - {name: k, image: ko://example.com/x}
      initContainers: [{name: i, image: i:1, restartPolicy: Always}]
      volumes: [{name: v, image: {reference: v:1}}]
";
    let found = extraction(text);
    let base = "spec.template[\"odd key/x\"]";
    assert_eq!(
        seen(&found),
        [
            ("a:1", format!("{base}.containers[0].image").as_str(), Role::Container),
            ("i:1", format!("{base}.initContainers[0].image").as_str(), Role::Sidecar),
            ("v:1", format!("{base}.volumes[0].image.reference").as_str(), Role::Volume),
        ]
    );
    assert!(found.notes.is_empty());
    let workload = &found.uses[0].workload;
    assert_eq!((workload.service_account.as_deref(), workload.pull_secrets.len()), (Some("sa"), 1));
    assert_eq!(workload.ownership, Ownership::Workload);
}

#[test]
fn schemas_config_maps_and_policies_hold_no_images() {
    let schema = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, spec: {versions: [{schema: \
                  {openAPIV3Schema: {default: {containers: [{name: a, image: b}]}}}}]}}";
    let map = "apiVersion: v1\nkind: ConfigMap\ndata:\n  pod.yaml: |\n    kind: Pod\n    spec: {containers: [{name: a, image: b}]}\n";
    let policy = "{apiVersion: kyverno.io/v1, kind: ClusterPolicy, spec: {rules: [{validate: {pattern: {spec: \
                  {containers: [{name: '*', image: '!*:latest'}]}}}}]}}";
    for text in [schema, map, policy] {
        let found = extraction(text);
        assert_eq!((images(&found).len(), found.notes.len(), found.files), (0, 0, 1), "{text}");
    }
}

#[test]
fn two_paths_to_one_anchor_show_one_span() {
    let text = "
apiVersion: v1
kind: Pod
spec:
  containers:
  - &base {name: a, image: &img nginx:1}
  - <<: *base
    name: b
  - name: c
    image: *img
";
    let found = extraction(text);
    assert_eq!(images(&found), ["nginx:1"; 3]);
    assert!(
        found.uses.iter().all(|one| line_and_column(one) == (6, 33) && written(one) == "nginx:1")
    );
    let paths: Vec<_> = found.uses.iter().map(|one| one.site.path.as_str()).collect();
    assert_eq!(
        paths,
        ["spec.containers[0].image", "spec.containers[1].image", "spec.containers[2].image"]
    );
}

#[test]
fn places_count_lines_and_characters_from_one() {
    let text = "apiVersion: v1\r\nkind: Pod\r\nspec:\r\n  containers:\r\n  - {name: é, image: \"ä:1\"}\r\n  \
                - image: b:1\t# c\r\n  - image: 'c:1'\r\n  - image: |-\r\n      d:1\r\n  - image:\te:1\r\n  - image: '1.10'\r\n";
    let found = extraction(text);
    assert_eq!(images(&found), ["ä:1", "b:1", "c:1", "d:1", "e:1", "1.10"]);
    let places: Vec<_> = found.uses.iter().map(line_and_column).collect();
    assert_eq!(places, [(5, 23), (6, 12), (7, 13), (9, 7), (10, 12), (11, 13)]);
    assert!(found.uses.iter().all(|one| written(one) == one.text));
}

#[test]
fn json_manifests_have_places_too() {
    let text = "\u{feff}{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\",\n\t\"spec\": {\"containers\": [\n\t\t{\"name\": \"ü\", \"image\": \"r.io\\/a:1\"},\n\t\t{\"image\": \"b:2\"}]}\n}\n";
    let found = extraction(text);
    assert_eq!(images(&found), ["r.io/a:1", "b:2"]);
    assert_eq!(line_and_column(&found.uses[0]), (5, 27));
    assert_eq!(line_and_column(&found.uses[1]), (6, 14));
    assert_eq!((written(&found.uses[0]), written(&found.uses[1])), ("r.io\\/a:1", "b:2"));
}

#[test]
fn empty_images_count_in_pods_and_are_noted_in_templates() {
    let list = "{containers: [{name: a, image: ''}, {name: b, image: null}, {name: c}, {name: d, image: }]}";
    let found = extraction(&manifest("v1", "Pod", "spec", list));
    assert_eq!(images(&found), ["", "", ""]);
    let found = extraction(&manifest("apps/v1", "Deployment", "spec.template.spec", list));
    assert_eq!((images(&found).len(), notes(&found)), (0, vec!["empty-image"; 3]));
    assert_eq!(found.notes[0].object.as_ref().unwrap().kind, "Deployment");
}

#[test]
fn placeholders_and_non_strings_are_noted() {
    let text = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: ${IMG}\n  - image: r/$(x):1\n  \
                - image: {{ .Values.image }}\n  - image: ko://x\n  - image: [a]\n  - image: {a: b}\n  - image: <IMAGE>\n";
    let found = extraction(text);
    assert_eq!(images(&found), ["<IMAGE>"]);
    let placeholder = "unresolved-placeholder";
    let not = "image-not-a-string";
    assert_eq!(notes(&found), [placeholder, placeholder, placeholder, not, not]);
    assert_eq!(found.notes[1].place, Some(("x.yaml".into(), 6)));
    assert!(found.notes[0].text.contains("${IMG}"));
}

#[test]
fn numbers_and_booleans_are_no_image_names_as_kubectl_reads_them() {
    let listed = ["1.10", "12345", "0x1F", "yes", "off", "TRUE", "1_000", "010"];
    let list = |quote: &str| {
        let items: Vec<String> =
            listed.iter().map(|text| format!("{{name: a, image: {quote}{text}{quote}}}")).collect();
        format!("{{containers: [{}]}}", items.join(", "))
    };
    let found = extraction(&manifest("v1", "Pod", "spec", &list("")));
    assert_eq!(images(&found), [""; 0]);
    assert_eq!(notes(&found), ["image-not-a-string"; 8]);
    let number =
        "spec.containers[0].image is the number 1.10, not an image name; quote it if it is one";
    assert_eq!(found.notes[0].text, number);
    assert!(found.notes[3].text.contains("is the boolean yes"), "{}", found.notes[3].text);
    let found = extraction(&manifest("v1", "Pod", "spec", &list("'")));
    assert_eq!(images(&found), listed);
    // Strings to kubectl, also where YAML 1.1 has numbers in base 60 and dates.
    let strings =
        "{containers: [{name: a, image: '1.2.3'}, {name: b, image: 10:20}, {name: c, image: 1a}]}";
    let found = extraction(&manifest("v1", "Pod", "spec", strings));
    assert_eq!(images(&found), ["1.2.3", "10:20", "1a"]);
    let kind = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec: \
                {templates: [{name: t, container: {image: 12}}, {name: u, container: {image: '12'}}]}\n";
    assert_eq!(images(&extraction(kind)), ["12"]);
}

#[test]
fn pull_secrets_may_be_a_list_of_names() {
    let text = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: pi}\n\
                spec: {image: 'r.io/spark:3', imagePullSecrets: [one, two]}\n";
    let found = extraction(text);
    assert_eq!(images(&found), ["r.io/spark:3"]);
    assert_eq!(found.uses[0].workload.pull_secrets, ["one", "two"]);
}

#[test]
fn b10_wrong_types_everywhere_yield_nothing_and_no_panic() {
    for spec in [
        "null",
        "[]",
        "x",
        "{containers: null}",
        "{containers: {a: b}}",
        "{containers: [null, 1, [], {}]}",
        "{containers: [], initContainers: x, volumes: {image: x}}",
        "{volumes: [x, {image: y}, {image: {reference: }}]}",
        "{imagePullSecrets: x, affinity: [], nodeSelector: 1, os: linux, containers: }",
    ] {
        for text in [manifest("v1", "Pod", "spec", spec), manifest("x.io/v1", "X", "spec", spec)] {
            let found = extraction(&text);
            assert!(images(&found).iter().all(|image| image.is_empty()), "{text}");
            assert!(found.broken.is_empty(), "{text}: {:?}", found.broken);
        }
    }
    for text in [
        "{apiVersion: v1, kind: [Pod]}",
        "{apiVersion: , kind: Pod}",
        "{kind: List, apiVersion: v1, items: x}",
        "{apiVersion: v1, kind: Pod, metadata: [], spec: {containers: [{image: a}]}}",
        "{apiVersion: v1, kind: Pod, metadata: {ownerReferences: x, name: [1]}}",
        "{apiVersion: v1, kind: Secret}",
        "{apiVersion: v1, kind: ServiceAccount, imagePullSecrets: {a: b}}",
    ] {
        assert!(extraction(text).broken.is_empty());
    }
}

#[test]
fn b44_a_broken_document_is_reported_and_the_others_count() {
    let pod = manifest("v1", "Pod", "spec", SPEC);
    let found = extraction(&format!("{pod}\n---\nkind: Pod\nspec: [\n---\n{pod}\n"));
    assert_eq!((images(&found).len(), found.broken.len()), (2, 1));
    let place = &found.broken[0].place;
    assert!(place.line >= 4 && place.source.name == "x.yaml", "{place:?}");
    let other = extraction("a: [\n");
    assert_eq!((other.broken.len(), notes(&other)), (0, vec!["unparsable-file"]));
    assert!(extraction("a: 1\na: 2\n").notes.is_empty(), "what is no manifest is passed over");
}

#[test]
fn b44_helm_templates_are_skipped_with_a_note() {
    let found =
        extraction("apiVersion: v1\nkind: Pod\nmetadata:\n  {{- include \"x\" . | nindent 2 }}\n");
    assert_eq!((found.broken.len(), notes(&found)), (0, vec!["helm-template"]));
    let found = extraction("apiVersion: v1\nkind: X\nsummary: \"{{ $labels.x }}\"\nb: [\n");
    assert_eq!((found.broken.len(), notes(&found)), (1, vec![]));
    let found = extraction("apiVersion: v1\nkind: ConfigMap\ndata: {a: '{{ x }}'}\n");
    assert_eq!((found.broken.len(), found.notes.len()), (0, 0));
}

#[test]
fn b44_bombs_are_refused_and_named() {
    let mut bomb =
        "apiVersion: v1\nkind: Pod\na0: &a0 {containers: [{name: a, image: b}]}\n".to_owned();
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
    }
    let deep = format!("apiVersion: v1\nkind: Pod\nspec: {}", "[".repeat(100_000));
    let cycle = "apiVersion: v1\nkind: Pod\nspec: &a [*a]\n".to_owned();
    for text in [bomb, deep, cycle] {
        let found = extraction(&text);
        assert_eq!((found.uses.len(), found.broken.len()), (0, 1));
    }
    let duplicates =
        extraction("apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a, image: b}]}\n");
    assert_eq!((images(&duplicates), notes(&duplicates)), (vec!["b"], vec!["duplicate-key"]));
    assert_eq!(
        images(&extraction(
            "{apiVersion: v1, kind: Pod, spec: {containers: [{image: !!binary eA==}]}}"
        )),
        ["x"]
    );
}

#[test]
fn b44_ten_thousand_documents_are_read_in_time() {
    let started = Instant::now();
    let found =
        extraction(&format!("{}\n---\n", manifest("v1", "Pod", "spec", SPEC)).repeat(10_000));
    assert_eq!((found.uses.len(), found.broken.len()), (10_000, 0));
    assert!(started.elapsed() < Duration::from_secs(20));
}

proptest! {
    #[test]
    fn mutated_manifests_never_panic_and_spans_hold(
        at in 0usize..POD.len(), cut in 0usize..40, insert in "[\\PC\n\t]{0,12}", wrap in 0usize..3,
    ) {
        let mut text = POD.to_owned();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &insert);
        if wrap == 1 {
            text = text.replace('\n', "\r\n");
        }
        let started = Instant::now();
        for one in &extraction(&text).uses {
            let place = one.site.place.as_ref().unwrap();
            let written = &text[place.span.clone()];
            let line_start = text[..place.span.start].rfind('\n').map_or(0, |at| at + 1);
            if !text.contains('\r') || wrap == 1 {
                prop_assert_eq!(place.column, text[line_start..place.span.start].trim_start_matches('\u{feff}').chars().count() + 1);
            }
            if !written.contains(['\\', '\'', '\n', '"']) && !one.text.is_empty() {
                prop_assert_eq!(written, &one.text);
            }
        }
        prop_assert!(started.elapsed() < Duration::from_secs(5));
    }
}
