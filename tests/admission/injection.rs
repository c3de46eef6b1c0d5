//! Pull secrets that policies add to Pods: which, where, and why not.

use serde_json::{Value, json};

use super::cluster::{PASSWORD, account_path, api, judged, pod_with, private, secret, secret_path};
use super::hook::{Setup, image, pod};
use crate::cluster_room::stub::Fault as StubFault;
use crate::support::{Config, FakeRegistry};

pub fn injecting(registry: &FakeRegistry) -> Setup {
    let rule = json!([{"registry": registry.host(), "secret": "ghcr-pull"}]);
    Setup::of(&[registry.host()]).policy("inject", json!({"pullSecrets": rule, "pin": true}))
}

#[tokio::test]
async fn a_pull_secret_is_added_where_nothing_of_the_pods_matches_and_counts_for_the_pin() {
    let (api, registry) = (api().await, private().await);
    api.put(&secret_path("ghcr-pull"), secret(registry.host(), PASSWORD));
    api.put(&secret_path("other"), secret("other.example", "x"));
    let hook = injecting(&registry).start_in(&api).await;
    let name = image(&registry, "team/app:1");
    for (object, names) in [
        (pod(&[&name]), json!([{"name": "ghcr-pull"}])),
        (pod_with(&name, &[]), json!([{"name": "ghcr-pull"}])),
        (pod_with(&name, &["other"]), json!([{"name": "other"}, {"name": "ghcr-pull"}])),
    ] {
        let answer = hook.mutate(object.clone()).await;
        assert!(answer.warnings().is_empty(), "{answer:?}");
        let applied = answer.applied(object);
        assert_eq!(applied["spec"]["imagePullSecrets"], names);
        let pinned = applied["spec"]["containers"][0]["image"].as_str().unwrap();
        assert!(pinned.starts_with(&format!("{name}@sha256:")), "{pinned}");
        hook.mutate(applied.clone()).await.silent();
        judged(&hook, applied).await.silent();
    }
    // Its own credential matches: nothing is added, good or not.
    api.put(&secret_path("own"), secret(registry.host(), "wrong"));
    let answer = hook.mutate(pod_with(&name, &["own"])).await;
    assert!(answer.patch().is_empty(), "{answer:?}");
    // Of another registry.
    let answer = hook.mutate(pod(&["127.0.0.1:1/app:1"])).await;
    assert!(answer.patch().is_empty(), "{answer:?}");
}

/// One secret for each image, by the first policy in the order of names that has a rule for it.
#[tokio::test]
async fn of_several_policies_that_inject_the_first_by_name_counts_for_each_image() {
    let (api, one, two) = (api().await, private().await, private().await);
    for (name, registry) in
        [("a", &one), ("b", &one), ("c", &one), ("two", &two), ("two-too", &two)]
    {
        api.put(&secret_path(name), secret(registry.host(), PASSWORD));
    }
    let rule = |registry: &str, secret: &str| json!({"registry": registry, "secret": secret});
    let (first, second) = (one.host(), two.host());
    let namespaces = json!({"namespaces": ["elsewhere"]});
    let hook = Setup::of(&[first, second])
        .policy("p3", json!({"pullSecrets": [rule(second, "two-too"), rule(first, "c")]}))
        .policy("p0", json!({"pullSecrets": [rule(first, "c")], "match": namespaces}))
        .policy("p2", json!({"pullSecrets": [rule(first, "b"), rule(second, "two")]}))
        .policy("p1", json!({"pullSecrets": [rule(first, "a"), rule(first, "b")]}))
        .deny()
        .start_in(&api)
        .await;
    let (of_one, of_two) = (image(&one, "team/app:1"), image(&two, "team/app:1"));
    for (images, names) in [
        (vec![&*of_one], json!([{"name": "a"}])),
        (vec![&*of_two], json!([{"name": "two"}])),
        (vec![&*of_one, &of_two, &of_one], json!([{"name": "a"}, {"name": "two"}])),
    ] {
        let object = pod(&images);
        let answer = hook.mutate(object.clone()).await;
        assert!(answer.warnings().is_empty(), "{answer:?}");
        let applied = answer.applied(object);
        assert_eq!(applied["spec"]["imagePullSecrets"], names);
        hook.mutate(applied.clone()).await.silent();
        judged(&hook, applied).await.silent();
    }
    // Where the first one's is not there, no other takes its place.
    api.remove(&secret_path("a"));
    let hook = Setup::of(&[first])
        .policy("p1", json!({"pullSecrets": [rule(first, "gone")]}))
        .policy("p2", json!({"pullSecrets": [rule(first, "b")]}))
        .start_in(&api)
        .await;
    let answer = hook.mutate(pod(&[&of_one])).await;
    answer.warns("policy p1: secret gone is not added");
    assert!(answer.patch().is_empty(), "{answer:?}");
}

/// The ready-made policy as it is shipped, with its registries led to one that wants a login.
#[tokio::test]
async fn the_ready_made_inject_pull_secrets_adds_what_makes_the_image_pull() {
    let (api, config) = (api().await, Config::basic().user("ci", PASSWORD));
    let registry = FakeRegistry::start(config.private("acme/app", &["ci"])).await;
    registry.push_image("acme/app", "1", "linux/amd64");
    api.put(&secret_path("ghcr-pull"), secret("ghcr.io", PASSWORD));
    api.put(&secret_path("internal-pull"), secret("registry.internal:5000", PASSWORD));
    let mut setup = Setup::of(&["ghcr.io"]);
    setup.settings.addresses.insert("ghcr.io".into(), registry.host().parse().unwrap());
    setup.policies = vec![crate::policies::read("inject-pull-secrets")];
    let hook = setup.start_in(&api).await;
    let bare = pod(&["ghcr.io/acme/app:1"]);
    judged(&hook, bare.clone()).await.warns("[credentials-missing]");
    let applied = hook.mutate(bare.clone()).await.applied(bare);
    assert_eq!(applied["spec"]["imagePullSecrets"], json!([{"name": "ghcr-pull"}]));
    assert_eq!(applied["spec"]["containers"][0]["image"], "ghcr.io/acme/app:1");
    judged(&hook, applied).await.silent();
    let other = pod(&["registry.internal:5000/team/app:1"]);
    let applied = hook.mutate(other.clone()).await.applied(other);
    assert_eq!(applied["spec"]["imagePullSecrets"], json!([{"name": "internal-pull"}]));
    // A repository that the policy does not name.
    hook.mutate(pod(&["ghcr.io/other/app:1"])).await.silent();
}

#[tokio::test]
async fn each_reason_not_to_add_a_pull_secret_has_a_warning_of_its_own() {
    let (api, registry) = (api().await, private().await);
    let hook = injecting(&registry).start_in(&api).await;
    let name = image(&registry, "team/app:1");
    let cases: [(&str, Option<Value>, Option<StubFault>, Value); 7] = [
        ("it is not in this namespace", None, None, json!({})),
        (
            "may not read it",
            Some(secret(registry.host(), PASSWORD)),
            Some(StubFault::Status(403)),
            json!({}),
        ),
        (
            "could not be read",
            Some(secret(registry.host(), PASSWORD)),
            Some(StubFault::Status(500)),
            json!({}),
        ),
        (
            "no pull secret that can be decoded",
            Some(json!({"type": "Opaque", "data": {"a": "eA=="}})),
            None,
            json!({}),
        ),
        (
            "no pull secret that can be decoded",
            Some(
                json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "%%%"}}),
            ),
            None,
            json!({}),
        ),
        ("no entry for this image", Some(secret("other.example", PASSWORD)), None, json!({})),
        (
            "does not let it be mounted",
            Some(secret(registry.host(), PASSWORD)),
            None,
            json!({"kubernetes.io/enforce-mountable-secrets": "true"}),
        ),
    ];
    for (part, object, fault, annotations) in cases {
        // The webhook looks again after five seconds.
        api.mend();
        api.remove(&secret_path("ghcr-pull"));
        if let Some(object) = object {
            api.put(&secret_path("ghcr-pull"), object);
        }
        if let Some(fault) = fault {
            api.fail(&secret_path("ghcr-pull"), fault);
        }
        api.put(
            &account_path("default"),
            json!({"kind": "ServiceAccount", "metadata": {"annotations": annotations}}),
        );
        let hook = injecting(&registry).start_in(&api).await;
        let answer = hook.mutate(pod(&[&name])).await;
        answer.warns(part);
        answer.warns("secret ghcr-pull is not added");
        assert!(
            answer.patch().iter().all(|it| !it.to_string().contains("imagePullSecrets")),
            "{answer:?}"
        );
        assert!(!answer.0.to_string().contains(PASSWORD));
        let hook = Setup { detail: pullproof::admission::Detail::Coarse, ..injecting(&registry) }
            .start_in(&api)
            .await;
        let answer = hook.mutate(pod(&[&name])).await;
        assert!(!answer.text().contains(part), "coarse answers tell a stranger: {answer:?}");
    }
    drop(hook);
}

#[tokio::test]
async fn an_account_that_could_not_be_read_is_told_as_such_and_one_that_was_is_kept() {
    let (api, registry) = (api().await, private().await);
    let name = image(&registry, "team/app:1");
    // A secret of its own, so that the account is asked for the injection alone.
    api.put(&secret_path("own"), secret("other.example", "x"));
    api.put(&secret_path("ghcr-pull"), secret(registry.host(), PASSWORD));
    for (fault, part) in [
        (StubFault::Status(403), "may not read the Pod's ServiceAccount"),
        (StubFault::Status(500), "the Pod's ServiceAccount could not be read"),
    ] {
        api.fail(&account_path("default"), fault);
        let hook = injecting(&registry).start_in(&api).await;
        let answer = hook.mutate(pod_with(&name, &["own"])).await;
        answer.warns(part);
        assert!(!answer.patch().iter().any(|it| it.to_string().contains("ghcr-pull")));
        api.mend();
    }
    api.put(&account_path("default"), json!({"kind": "ServiceAccount"}));
    let hook = injecting(&registry).start_in(&api).await;
    let before = api.asked(&account_path("default"));
    for _ in 0..3 {
        let answer = hook.mutate(pod_with(&name, &["own"])).await;
        assert!(answer.patch().iter().any(|it| it.to_string().contains("ghcr-pull")));
    }
    assert!(api.asked(&account_path("default")) - before <= 2, "asked for each Pod");
}
