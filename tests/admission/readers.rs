//! The webhook and the walker of manifests read the same of the same object.

use std::sync::Arc;

use proptest::prelude::*;
use pullproof::admission::object::{Admitted, Object, Shape};
use pullproof::admission::review::{Kind, Request, UserInfo};
use pullproof::image::ImageUse;
use pullproof::image::usage::Source;
use pullproof::manifest::extract_source;
use serde_json::{Map, Value, json};

use super::hook::workloads;

/// What of a use both must agree on.
fn seen(uses: &[ImageUse]) -> Vec<String> {
    let mut all: Vec<String> = uses
        .iter()
        .map(|it| {
            let workload = &it.workload;
            format!(
                "{} {:?} {} {:?} {:?} {:?} {:?} {:?} {:?}",
                it.text,
                it.role,
                it.site.path,
                it.pull_policy,
                it.reference.is_ok(),
                workload.ownership,
                workload.service_account,
                workload.pull_secrets,
                workload.constraints
            )
        })
        .collect();
    all.sort();
    all
}

fn by_admission(object: &Value) -> Vec<ImageUse> {
    let version = object["apiVersion"].as_str().unwrap();
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let kind = Kind {
        group: group.into(),
        version: version.into(),
        kind: object["kind"].as_str().unwrap().into(),
    };
    let raw = serde_json::value::to_raw_value(object).unwrap();
    let request = request(kind);
    let object = Object::read(&raw).unwrap();
    Admitted::new(Shape::of(&request.kind).unwrap(), &object).uses(&request)
}

/// A creation by one of the cluster's controllers.
fn request(kind: Kind<'_>) -> Request<'_> {
    let username = "system:serviceaccount:kube-system:replicaset-controller".into();
    let (namespace, operation) = ("shop".into(), "CREATE".into());
    Request {
        uid: "u".into(),
        kind,
        sub_resource: "".into(),
        namespace,
        name: "".into(),
        operation,
        user_info: UserInfo { username },
        object: None,
        old_object: None,
        dry_run: None,
    }
}

fn by_manifest(object: &Value) -> Vec<ImageUse> {
    let source = Source { name: "x.json".into(), text: object.to_string() };
    let mut uses = extract_source(&Arc::new(source)).uses;
    // An image that is missing is a finding in a file; in a cluster it is the API server's to refuse.
    uses.retain(|found| !found.text.is_empty());
    uses
}

fn text() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9-]{0,6}"
}

fn image() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z]{1,5}(\\.io)?/[a-z]{1,6}(:[a-z0-9.]{1,4})?",
        1 => "[a-z]{1,6}(:[0-9]{1,3})?",
        1 => Just("UP/case".to_owned()),
        1 => Just("a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef".to_owned()),
    ]
}

/// A field that is there, is `null`, or is not there.
fn field(
    name: &'static str,
    value: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Option<(String, Value)>> {
    prop_oneof![
        3 => value.prop_map(move |value| Some((name.to_owned(), value))),
        1 => Just(Some((name.to_owned(), Value::Null))),
        1 => Just(None),
    ]
    .boxed()
}

fn object_of(fields: Vec<BoxedStrategy<Option<(String, Value)>>>) -> BoxedStrategy<Value> {
    fields.prop_map(|all| Value::Object(all.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

fn list(of: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    proptest::collection::vec(of, 0..=most).prop_map(Value::Array).boxed()
}

fn string(of: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Value> {
    of.prop_map(Value::String).boxed()
}

fn one_of(all: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(all).prop_map(|it| json!(it)).boxed()
}

fn container() -> BoxedStrategy<Value> {
    object_of(vec![
        field("name", string(text())),
        field("image", string(image())),
        field("imagePullPolicy", one_of(&["Always", "IfNotPresent", "Never", ""])),
        field("restartPolicy", one_of(&["Always", "Never"])),
    ])
}

fn requirement() -> BoxedStrategy<Value> {
    object_of(vec![
        field("key", one_of(&["kubernetes.io/arch", "pool", "metadata.name"])),
        field("operator", one_of(&["In", "NotIn", "Exists", "Gt"])),
        field("values", list(string(text()), 2)),
    ])
}

fn spec() -> BoxedStrategy<Value> {
    let named = || object_of(vec![field("name", string(text()))]);
    let volume = object_of(vec![
        field("name", string(text())),
        field(
            "image",
            object_of(vec![
                field("reference", string(image())),
                field("pullPolicy", one_of(&["Always", "Never"])),
            ]),
        ),
    ]);
    let term = object_of(vec![
        field("matchExpressions", list(requirement(), 2)),
        field("matchFields", list(requirement(), 1)),
    ]);
    let required = object_of(vec![field("nodeSelectorTerms", list(term, 2))]);
    let node_affinity =
        object_of(vec![field("requiredDuringSchedulingIgnoredDuringExecution", required)]);
    let toleration = object_of(vec![
        field("key", string(text())),
        field("operator", one_of(&["Exists", "Equal"])),
        field("value", string(text())),
        field("effect", one_of(&["NoSchedule", "NoExecute"])),
    ]);
    object_of(vec![
        field("containers", list(container(), 3)),
        field("initContainers", list(container(), 2)),
        field("ephemeralContainers", list(container(), 1)),
        field("volumes", list(volume, 2)),
        field("imagePullSecrets", list(named(), 2)),
        field("serviceAccountName", string(text())),
        field(
            "nodeSelector",
            object_of(vec![
                field("pool", string(text()))
                    .prop_map(|it| it.filter(|(_, value)| !value.is_null()))
                    .boxed(),
            ]),
        ),
        field("affinity", object_of(vec![field("nodeAffinity", node_affinity)])),
        field("tolerations", list(toleration, 2)),
        field("nodeName", string(text())),
        field("os", named()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_webhook_and_the_walker_of_manifests_read_the_same(spec in spec(), owned in any::<bool>()) {
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec});
        if owned {
            pod["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "r", "controller": true}]);
        }
        let objects = workloads(&spec).into_iter().chain([pod]);
        for object in objects {
            prop_assert_eq!(seen(&by_admission(&object)), seen(&by_manifest(&object)), "{}", object);
        }
    }

    /// Whatever is sent, the reader answers and does not panic.
    #[test]
    fn any_json_is_read_or_refused(text in "[\\[\\]{}\":,a-z0-9 ]{0,200}") {
        let kind = Kind { group: "apps".into(), version: "v1".into(), kind: "Deployment".into() };
        if let Ok(raw) = serde_json::value::RawValue::from_string(text)
            && let Ok(object) = Object::read(&raw)
        {
            let shape = Shape::of(&kind).unwrap();
            Admitted::new(shape, &object).uses(&request(kind));
        }
    }
}
