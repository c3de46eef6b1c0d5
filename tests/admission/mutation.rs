//! What Pods are changed to: digests and pull secrets, once and no more than asked.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::hook::{
    Setup, deployment, image, owned_pod, pod, registry, review, sent_to, update, with,
};
use crate::support::Fault;

const ANNOTATION: &str = "pullproof.dev/original-images";

#[tokio::test]
async fn a_pin_keeps_spelling_and_tag_takes_the_digest_of_the_index_and_keeps_the_original() {
    let registry = registry().await;
    let digest = registry.push_index("app", "2", &["linux/amd64".into(), "linux/arm64".into()]);
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:2");
    let mut object = pod(&[&written]);
    object["spec"]["initContainers"] = json!([{"name": "init", "image": written}]);
    object["spec"]["volumes"] = json!([{"name": "model", "image": {"reference": written}}]);
    let answer = hook.mutate(object.clone()).await;
    let pinned = format!("{written}@{digest}");
    let paths = [
        "/spec/containers/0/image",
        "/spec/initContainers/0/image",
        "/spec/volumes/0/image/reference",
    ];
    let mut expected: Vec<Value> = Vec::new();
    for path in paths {
        expected.push(json!({"op": "test", "path": path, "value": written}));
        expected.push(json!({"op": "replace", "path": path, "value": pinned}));
    }
    let patch = answer.patch();
    assert_eq!(patch[..6], expected);
    assert_eq!(answer.0["patchType"], "JSONPatch");
    assert_eq!(patch.len(), 7);
    let mut wanted = object.clone();
    wanted["spec"]["containers"][0]["image"] = json!(pinned);
    wanted["spec"]["initContainers"][0]["image"] = json!(pinned);
    wanted["spec"]["volumes"][0]["image"]["reference"] = json!(pinned);
    let originals = json!({"c0": written, "init": written, "volume/model": written}).to_string();
    wanted["metadata"]["annotations"] = json!({ANNOTATION: originals});
    let applied = answer.applied(object);
    assert_eq!(applied, wanted);
    hook.mutate(applied.clone()).await.silent();
    hook.validate(applied).await.silent();
}

#[tokio::test]
async fn without_a_tag_the_digest_of_latest_is_written_and_a_digest_is_left_alone() {
    let registry = registry().await;
    let digest = registry.push_index("app", "latest", &["linux/amd64".into()]);
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let bare = image(&registry, "app");
    let applied = hook.mutate(pod(&[&bare])).await.applied(pod(&[&bare]));
    assert_eq!(applied["spec"]["containers"][0]["image"], format!("{bare}@{digest}"));
    let before = registry.count();
    hook.mutate(pod(&[&format!("{bare}@{digest}")])).await.silent();
    hook.mutate(pod(&[&format!("{bare}:gone@{digest}")])).await.silent();
    assert_eq!(registry.count(), before);
}

#[tokio::test]
async fn f24_f25_a_pin_is_what_the_registry_says_now_and_a_pinned_pod_keeps_its_digest() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:1");
    let pinned =
        |applied: &Value| applied["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let mut first = String::new();
    for nth in 0..3 {
        let digest = registry.push_index("app", "1", &["linux/amd64".into()]);
        // The other webhook's answer may be minutes old; a pin is not.
        hook.validate(pod(&[&written])).await.silent();
        let applied = hook.mutate(pod(&[&written])).await.applied(pod(&[&written]));
        assert_eq!(pinned(&applied), format!("{written}@{digest}"), "{nth}");
        if nth == 0 {
            first = pinned(&applied);
        }
    }
    hook.mutate(pod(&[&first])).await.silent();
    hook.validate(pod(&[&first])).await.silent();
}

#[tokio::test]
async fn f27_a_registry_that_is_down_pins_nothing_and_says_so() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:1");
    hook.mutate(pod(&[&written])).await.applied(pod(&[&written]));
    registry.fault(Fault::on("*", "*").answer(503));
    let answer = hook.mutate(pod(&[&written])).await;
    answer.warns("is not pinned to a digest");
    assert!(answer.patch().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn workloads_updates_and_subresources_are_never_changed() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:1");
    hook.mutate(deployment(&written)).await.silent();
    hook.send("mutate", &update(&pod(&["a"]), &pod(&[&written]))).await.silent();
    assert_eq!(hook.mutate(owned_pod(&written)).await.patch().len(), 3);
    assert!(hook.validate(pod(&[&written])).await.patch().is_empty());
}

#[tokio::test]
async fn a_policy_pins_what_it_matches_alone() {
    let registry = registry().await;
    let spec = json!({"pin": true, "match": {"namespaces": ["prod"], "images": ["**/app"]}});
    let hook = Setup::of(&[registry.host()]).policy("p", spec).start().await;
    registry.push_image("other", "1", "linux/amd64");
    let object = pod(&[&image(&registry, "app:1"), &image(&registry, "other:1")]);
    hook.mutate(object.clone()).await.silent();
    let answer = hook.send("mutate", &sent_to("prod", review(object))).await;
    let patch = answer.patch();
    assert_eq!(patch.iter().filter(|it| it["op"] == "replace").count(), 1, "{patch:?}");
    assert_eq!(patch[0]["path"], "/spec/containers/0/image");
}

/// A short name is looked up on the node; only containerd is known to mean Docker Hub by it.
#[tokio::test]
async fn a_short_name_is_not_pinned_unless_all_nodes_run_containerd() {
    // Not asked at all: there is no way to Docker Hub from here.
    let hook = Setup::default().pin().start().await;
    hook.mutate(pod(&["nginx:1", "library/nginx:1"])).await.silent();
    let mut setup = Setup::default().pin().containerd();
    setup.settings.limits.connect = std::time::Duration::from_millis(1);
    setup
        .settings
        .addresses
        .insert("registry-1.docker.io".into(), crate::support::closed_port().parse().unwrap());
    let hook = setup.start().await;
    hook.mutate(pod(&["nginx:1"])).await.warns("nginx:1 is not pinned");
}

#[tokio::test]
async fn f60_the_same_review_twice_gets_the_same_answer() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().pin().start().await;
    for name in ["app:1", "app:gone"] {
        for path in ["mutate", "validate"] {
            let review = review(pod(&[&image(&registry, name)]));
            let first = hook.send(path, &review).await;
            assert_eq!(first, hook.send(path, &review).await);
            assert_eq!(first, hook.send(path, &with(review, "dryRun", true)).await);
        }
    }
}

#[tokio::test]
async fn b29_names_that_a_pointer_must_escape_and_hundreds_of_containers_give_a_patch_that_applies()
{
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:1");
    let mut object = pod(&vec![&*written; 1000]);
    object["metadata"]["annotations"] = json!({"a/b~c": "d", "~1": "e", ANNOTATION: "no JSON"});
    object["spec"]["containers"][0]["name"] = json!("a/b~0\"c");
    let answer = hook.mutate(object.clone()).await;
    assert_eq!(answer.patch().len(), 2001);
    let applied = answer.applied(object);
    let text = applied["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
    let originals: Value = serde_json::from_str(text).unwrap();
    assert_eq!(originals.as_object().unwrap().len(), 1000);
    assert_eq!(originals["a/b~0\"c"], written);
    assert_eq!(applied["metadata"]["annotations"]["a/b~c"], "d");
    hook.mutate(applied).await.silent();
}

#[tokio::test]
async fn an_annotation_of_another_type_is_not_patched_into_something_worse() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).pin().start().await;
    let written = image(&registry, "app:1");
    for annotations in
        [Value::Null, json!({}), json!({ANNOTATION: "{\"c0\":\"what people wrote\"}"})]
    {
        let mut object = pod(&[&written]);
        object["metadata"]["annotations"] = annotations.clone();
        let applied = hook.mutate(object.clone()).await.applied(object);
        let text = applied["metadata"]["annotations"][ANNOTATION].as_str().unwrap();
        let expected =
            if annotations[ANNOTATION].is_string() { "what people wrote" } else { &written };
        assert_eq!(serde_json::from_str::<Value>(text).unwrap()["c0"], expected);
    }
}

/// A list of containers by the numbers of their images, and whether it is there at all.
fn any_list() -> impl Strategy<Value = Option<Vec<(usize, u8)>>> {
    proptest::option::of(proptest::collection::vec((0..6usize, 0..4u8), 0..4))
}

fn any_annotations() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        "[ -~]{0,20}".prop_map(|text| json!({"x": text})),
        "[ -~]{0,20}".prop_map(|text| json!({ANNOTATION: text})),
        Just(json!({ANNOTATION: "{\"c\":\"d\"}"})),
    ]
}

/// The images that random Pods name: two good ones, a pinned one, one that is gone, none, broken.
struct Images([String; 6]);

impl Images {
    fn object(
        &self,
        lists: [&Option<Vec<(usize, u8)>>; 3],
        annotations: &Value,
        pulled: &[u8],
    ) -> Value {
        let mut object =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}});
        if !annotations.is_null() {
            object["metadata"]["annotations"] = annotations.clone();
        }
        for (field, list) in ["containers", "initContainers", "volumes"].into_iter().zip(lists) {
            let Some(list) = list else { continue };
            let entry = |(nth, (image, policy)): (usize, &(usize, u8))| {
                let image = &self.0[*image];
                let policy = ["Always", "IfNotPresent", "Never", ""][usize::from(*policy)];
                let name = format!("{}{nth}", &field[..1]);
                if field == "volumes" {
                    json!({"name": name, "image": {"reference": image, "pullPolicy": policy}})
                } else {
                    json!({"name": name, "image": image, "imagePullPolicy": policy})
                }
            };
            object["spec"][field] = list.iter().enumerate().map(entry).collect();
        }
        if !pulled.is_empty() {
            object["spec"]["imagePullSecrets"] =
                pulled.iter().map(|n| json!({"name": format!("s{n}")})).collect();
        }
        object
    }

    /// The Pod that is meant: good images with their digests, the rest as it was.
    fn intended(&self, object: &Value, digests: &[String; 2]) -> Value {
        let (mut wanted, mut originals) = (object.clone(), serde_json::Map::new());
        for field in ["containers", "initContainers", "volumes"] {
            let list = wanted["spec"].get_mut(field).and_then(Value::as_array_mut);
            for entry in list.into_iter().flatten() {
                let name = entry["name"].as_str().unwrap();
                let name =
                    if field == "volumes" { format!("volume/{name}") } else { name.to_owned() };
                let place = if field == "volumes" { &mut entry["image"] } else { entry };
                let (image, policy) = if field == "volumes" {
                    ("reference", "pullPolicy")
                } else {
                    ("image", "imagePullPolicy")
                };
                let text = place[image].as_str().unwrap().to_owned();
                let good = self.0[..2].iter().position(|it| *it == text);
                if let Some(nth) = good.filter(|_| place[policy] != "Never") {
                    place[image] = json!(format!("{text}@{}", digests[nth]));
                    originals.insert(name, json!(text));
                }
            }
        }
        if !originals.is_empty() {
            let earlier =
                object["metadata"]["annotations"][ANNOTATION].as_str().unwrap_or_default();
            if let Ok(Value::Object(earlier)) = serde_json::from_str(earlier) {
                originals.extend(earlier);
            }
            let mut sorted: Vec<_> = originals.into_iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            let text = Value::Object(sorted.into_iter().collect()).to_string();
            wanted["metadata"]["annotations"][ANNOTATION] = json!(text);
        }
        wanted
    }
}

#[test]
fn a_mutated_pod_is_the_one_that_is_meant_and_is_not_mutated_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(registry());
    let digests = [
        registry.push_index("app", "1", &["linux/amd64".into()]),
        registry.push_image("team/other", "latest", "linux/amd64"),
    ];
    let images = Images([
        image(&registry, "app:1"),
        image(&registry, "team/other"),
        format!("{}@{}", image(&registry, "app:1"), digests[0]),
        image(&registry, "app:gone"),
        String::new(),
        "not an image".to_owned(),
    ]);
    let mut setup = Setup::of(&[registry.host()]).pin();
    // What is gone is asked about again and again here; that is another test's.
    setup.settings.limits.absent = std::time::Duration::from_secs(600);
    let hook = runtime.block_on(setup.start());
    let config =
        ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(
        containers in any_list(), init in any_list(), volumes in any_list(),
        annotations in any_annotations(), pulled in proptest::collection::vec(0..9u8, 0..3),
    )| {
        let object = images.object([&containers, &init, &volumes], &annotations, &pulled);
        let answer = runtime.block_on(hook.mutate(object.clone()));
        let applied = answer.applied(object.clone());
        prop_assert_eq!(&applied, &images.intended(&object, &digests));
        let again = runtime.block_on(hook.mutate(applied));
        prop_assert!(again.patch().is_empty(), "{:?}", again);
    });
}
