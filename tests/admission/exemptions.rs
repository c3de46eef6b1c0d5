//! What is looked at and what passes untouched.

use serde_json::{Value, json};

use super::hook::{
    Setup, deployment, image, owned_pod, pod, pod_spec, registry, review, update, with, workloads,
};

#[tokio::test]
async fn every_kind_that_makes_pods_is_judged_and_a_good_one_passes_in_silence() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let (good, bad) = (image(&registry, "app:1"), image(&registry, "app:gone"));
    let mut objects = workloads(&pod_spec(&[&good]));
    objects.push(pod(&[&good]));
    assert_eq!(objects.len(), 9);
    for object in objects {
        hook.validate(object.clone()).await.silent();
        let broken = object.to_string().replace(&good, &bad);
        let answer = hook.validate(serde_json::from_str(&broken).unwrap()).await;
        answer.denies("container \"c0\"");
        assert!(answer.message().contains("tag-not-found"), "{answer:?}");
        hook.mutate(object).await.silent();
    }
    for (version, kind) in
        [("v1", "ConfigMap"), ("example.com/v1", "Deployment"), ("apps/v1", "Pod")]
    {
        let object = json!({"apiVersion": version, "kind": kind, "spec": pod_spec(&[&bad]),
            "template": {"spec": pod_spec(&[&bad])}});
        hook.validate(object).await.silent();
    }
}

#[tokio::test]
async fn b27_an_update_is_judged_by_the_images_it_changes() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let (good, bad, other) =
        (image(&registry, "app:1"), image(&registry, "app:gone"), image(&registry, "app:lost"));
    for (old, new) in
        workloads(&pod_spec(&[&bad, &good])).into_iter().zip(workloads(&pod_spec(&[&bad, &other])))
    {
        // Nothing of the images changes: scaled, labelled, a finalizer taken away.
        let mut labelled = old.clone();
        labelled["metadata"]["labels"] = json!({"a": "b"});
        labelled["metadata"]["finalizers"] = json!([]);
        labelled["spec"]["replicas"] = json!(0);
        hook.send("validate", &update(&old, &labelled)).await.silent();
        let answer = hook.send("validate", &update(&old, &new)).await;
        answer.denies("app:lost");
        assert!(!answer.text().contains("app:gone"), "{answer:?}");
        // The same image in one more container is no new image.
        let moved: Value = serde_json::from_str(&old.to_string().replace(&good, &bad)).unwrap();
        hook.send("validate", &update(&old, &moved)).await.silent();
    }
    assert!(registry.log().iter().all(|line| !line.contains("gone")), "{:?}", registry.log());
}

#[tokio::test]
async fn b27_what_is_being_deleted_is_left_alone_but_nobody_is_born_deleted() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let bad = image(&registry, "app:gone");
    let old = pod(&[&image(&registry, "app:1")]);
    let mut new = pod(&[&bad]);
    new["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    hook.send("validate", &update(&old, &new)).await.silent();
    hook.validate(new.clone()).await.denies("app:gone");
    // An empty one is none, as for the API server.
    new["metadata"]["deletionTimestamp"] = Value::Null;
    hook.send("validate", &update(&old, &new)).await.denies("app:gone");
    // An old object counts on UPDATE alone.
    let forged = with(review(pod(&[&bad])), "oldObject", pod(&[&bad]));
    hook.send("validate", &forged).await.denies("app:gone");
}

#[tokio::test]
async fn b28_the_mirror_annotation_exempts_for_kubelets_alone() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let annotated = |mut object: Value| {
        object["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
        review(object)
    };
    let bad = image(&registry, "app:gone");
    let as_user = |review: Value, name: &str| with(review, "userInfo", json!({"username": name}));
    let mirror = || annotated(pod(&[&bad]));
    hook.send("validate", &as_user(mirror(), "system:node:a")).await.silent();
    for user in ["alice", "system:node", "system:nodes:a", "xsystem:node:a", ""] {
        hook.send("validate", &as_user(mirror(), user)).await.denies("app:gone");
    }
    let plain = review(pod(&[&bad]));
    hook.send("validate", &as_user(plain, "system:node:a")).await.denies("app:gone");
    let workload = annotated(deployment(&bad));
    hook.send("validate", &as_user(workload, "system:node:a")).await.denies("app:gone");
}

#[tokio::test]
async fn b08_other_operations_and_subresources_pass_and_cause_no_request() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().pin().start().await;
    let bad = || review(pod(&[&image(&registry, "app:gone")]));
    for path in ["validate", "mutate"] {
        for operation in ["DELETE", "CONNECT", "", "create", "PATCH"] {
            hook.send(path, &with(bad(), "operation", operation)).await.silent();
        }
        for subresource in ["status", "eviction", "binding", "exec", "scale", "resize", "log"] {
            hook.send(path, &with(bad(), "subResource", subresource)).await.silent();
        }
        hook.send(path, &with(bad(), "object", Value::Null)).await.silent();
    }
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 3}});
    hook.send("validate", &with(review(scale), "subResource", "scale")).await.silent();
    assert_eq!(registry.count(), 0);
}

#[tokio::test]
async fn b26_every_field_that_names_an_image_is_looked_at_and_none_twice() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let gone = |name: &str| image(&registry, &format!("{name}:1"));
    let mut object = pod(&[&gone("container")]);
    object["spec"]["initContainers"] = json!([
        {"name": "init", "image": gone("init")},
        {"name": "sidecar", "image": gone("sidecar"), "restartPolicy": "Always"},
    ]);
    object["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": gone("debug")}]);
    object["spec"]["volumes"] = json!([
        {"name": "none", "emptyDir": {}},
        {"name": "model", "image": {"reference": gone("model"), "pullPolicy": "IfNotPresent"}},
    ]);
    let answer = hook.validate(object).await;
    for (kind, name, repository) in [
        ("container", "c0", "container"),
        ("container", "init", "init"),
        ("container", "sidecar", "sidecar"),
        ("container", "debug", "debug"),
        ("volume", "model", "model"),
    ] {
        let place = format!("{kind} \"{name}\": image {}", gone(repository));
        assert_eq!(answer.message().matches(&place).count(), 1, "{place} in {answer:?}");
    }
    assert!(!answer.allowed());
}

#[tokio::test]
async fn t31_an_ephemeral_container_is_judged_and_the_containers_beside_it_are_not() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let old = pod(&[&image(&registry, "app:gone")]);
    let mut new = old.clone();
    new["spec"]["ephemeralContainers"] =
        json!([{"name": "debug", "image": image(&registry, "app:1")}]);
    let of = |new: &Value| with(update(&old, new), "subResource", "ephemeralcontainers");
    hook.send("validate", &of(&new)).await.silent();
    new["spec"]["ephemeralContainers"][0]["image"] = json!(image(&registry, "app:lost"));
    let answer = hook.send("validate", &of(&new)).await;
    answer.denies("container \"debug\"");
    assert!(!answer.text().contains("app:gone"), "{answer:?}");
    hook.send("mutate", &of(&new)).await.silent();
}

#[tokio::test]
async fn t32_an_image_volume_that_is_changed_is_judged() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let spec = |model: &str| {
        let mut spec = pod_spec(&[&image(&registry, "app:1")]);
        spec["volumes"] =
            json!([{"name": "model", "image": {"reference": image(&registry, model)}}]);
        spec
    };
    for (old, new) in workloads(&spec("app:1")).iter().zip(workloads(&spec("app:lost"))) {
        hook.send("validate", &update(old, &new)).await.denies("volume \"model\"");
    }
}

#[tokio::test]
async fn b10_missing_and_null_lists_and_images_are_left_to_the_api_server() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().pin().start().await;
    for spec in [
        json!(null),
        json!({}),
        json!({"containers": null, "initContainers": null, "volumes": null}),
        json!({"containers": []}),
        json!({"containers": [{}, {"name": "a"}, {"name": "b", "image": null}, {"image": ""}]}),
        json!({"containers": [], "volumes": [{}, {"image": null}, {"image": {}}, {"image": {"reference": ""}}]}),
        json!({"containers": [], "imagePullSecrets": null, "affinity": null, "nodeSelector": null, "os": null, "tolerations": null}),
    ] {
        for path in ["validate", "mutate"] {
            let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": null, "spec": spec});
            hook.send(path, &review(object)).await.silent();
            for object in workloads(&spec) {
                hook.send(path, &review(object)).await.silent();
            }
        }
    }
    let bare = json!({"apiVersion": "v1", "kind": "Pod"});
    hook.validate(bare).await.silent();
    assert_eq!(hook.metric("pullproof_panics_total"), 0.0);
}

#[tokio::test]
async fn b09_unknown_fields_are_ignored_wherever_they_stand() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let mut object = owned_pod(&image(&registry, "app:1"));
    object["future"] = json!({"deep": [1, null, {"x": 1.5e300}]});
    object["spec"]["future"] = json!([[[]]]);
    object["spec"]["containers"][0]["resizePolicies"] = json!({"a": true});
    object["metadata"]["managedFields"] = json!([{"fieldsV1": {"f:spec": {}}}]);
    let mut review = review(object);
    review["future"] = json!(1);
    review["request"]["future"] = json!({"a": []});
    review["request"]["options"] = json!({"kind": "CreateOptions"});
    hook.send("validate", &review).await.silent();
}
