//! What is denied, what is warned of, and in which words.

use std::time::Duration;

use serde_json::json;

use super::hook::{
    Setup, deployment, image, owned_pod, pod, pod_spec, registry, review, update, with, workloads,
};
use crate::support::{Config, FakeRegistry, Fault, RawServer, closed_port};

#[tokio::test]
async fn without_a_policy_what_is_wrong_is_warned_of_and_never_denied() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).start().await;
    for object in [
        pod(&[&image(&registry, "app:gone")]),
        owned_pod(&image(&registry, "app:gone")),
        deployment(&image(&registry, "app:gone")),
    ] {
        hook.validate(object).await.warns("[tag-not-found]");
    }
    hook.validate(pod(&["shop/UPPER:1"])).await.warns("[invalid-reference]");
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
}

#[tokio::test]
async fn a_denial_says_which_container_image_and_cause_and_what_to_do() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let gone = image(&registry, "app:gone");
    let answer = hook.validate(pod(&[&image(&registry, "app:1"), &gone])).await;
    let text = answer.message();
    for part in [
        "container \"c1\"",
        &gone,
        "tag-not-found",
        "policy strict",
        "docs/causes.md#tag-not-found",
        "404",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains('\n') && text.len() < 1300, "{text}");
    assert!(answer.warnings().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn a_denial_and_the_warnings_beside_it_are_both_told() {
    let registry = registry().await;
    registry.fault(Fault::in_repository("sick").answer(503));
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    let answer =
        hook.validate(pod(&[&image(&registry, "app:gone"), &image(&registry, "sick:1")])).await;
    answer.denies("app:gone");
    assert!(answer.warnings().iter().any(|it| it.contains("sick:1")), "{answer:?}");
}

/// The API server keeps them beside the request, as annotations named by the webhook.
#[tokio::test]
async fn the_causes_of_all_that_is_not_simply_allowed_are_told_for_the_audit_log() {
    let registry = registry().await;
    registry.fault(Fault::in_repository("sick").answer(503));
    let audit = json!([{"id": "latest-tag", "action": "Audit"}]);
    let setup = Setup::of(&[registry.host()]);
    let hook =
        setup.policy("p", json!({"action": "Deny", "causes": audit, "pin": true})).start().await;
    registry.push_index("app", "latest", &["linux/amd64".into()]);
    let images = |names: &[&str]| {
        let images: Vec<String> = names.iter().map(|name| image(&registry, name)).collect();
        pod(&images.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (names, causes) in [
        (&["app:1"][..], json!(null)),
        (&["app:latest"], json!({"causes": "latest-tag"})),
        (&["sick:1"], json!({"causes": "registry-error"})),
        (
            &["app:gone", "app:1", "app:gone-too", "sick:1", "nothing:1"],
            json!({"causes": "registry-error,repository-not-found,tag-not-found"}),
        ),
    ] {
        let answer = hook.validate(images(names)).await;
        assert_eq!(answer.0["auditAnnotations"], causes, "{names:?}: {answer:?}");
    }
    let pinned = hook.mutate(images(&["app:1"])).await;
    assert!(!pinned.patch().is_empty() && pinned.0["auditAnnotations"].is_null(), "{pinned:?}");
}

#[tokio::test]
async fn a_finding_that_is_only_likely_is_never_denied() {
    let config = Config::bearer().user("ci", "pw").absent_looks_private();
    let registry = FakeRegistry::start(config).await;
    let hook = Setup::of(&[registry.host()])
        .policy("all", json!({"action": "Deny", "enforceOn": ["Workload", "BarePod", "OwnedPod"],
            "causes": [{"id": "absent-or-private", "action": "Deny"}, {"id": "credentials-missing", "action": "Deny"}]}))
        .start()
        .await;
    // Nobody knows here what the named secret holds.
    let mut object = pod(&[&image(&registry, "team/app:1")]);
    object["spec"]["imagePullSecrets"] = json!([{"name": "pull"}]);
    let answer = hook.validate(object).await;
    assert!(answer.allowed() && !answer.warnings().is_empty(), "{answer:?}");
}

#[tokio::test]
async fn an_owned_pod_is_denied_only_where_a_policy_names_owned_pods() {
    let registry = registry().await;
    let bad = image(&registry, "app:gone");
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    hook.validate(owned_pod(&bad)).await.warns("tag-not-found");
    hook.validate(pod(&[&bad])).await.denies("tag-not-found");
    // Owned, but not by a controller; owned by its node.
    let mut kept = owned_pod(&bad);
    kept["metadata"]["ownerReferences"][0]["controller"] = json!(false);
    hook.validate(kept).await.denies("tag-not-found");
    // Anybody can write an owner into a Pod, and change the images of one that a controller made.
    let as_person = |review| with(review, "userInfo", json!({"username": "alice"}));
    hook.send("validate", &as_person(review(owned_pod(&bad)))).await.denies("tag-not-found");
    let changed = update(&owned_pod(&image(&registry, "app:1")), &owned_pod(&bad));
    hook.send("validate", &changed).await.denies("tag-not-found");
    let spec = json!({"action": "Deny", "enforceOn": ["OwnedPod"]});
    let hook = Setup::of(&[registry.host()]).policy("owned", spec).start().await;
    hook.validate(owned_pod(&bad)).await.denies("tag-not-found");
    hook.validate(pod(&[&bad])).await.warns("tag-not-found");
    for object in workloads(&pod_spec(&[&bad])) {
        hook.validate(object).await.warns("tag-not-found");
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_warned_of_and_denied_only_where_a_policy_says_so() {
    let registry = registry().await;
    registry.fault(Fault::in_repository("sick").answer(503));
    let sick = image(&registry, "sick:1");
    Setup::of(&[registry.host()])
        .start()
        .await
        .validate(pod(&[&sick]))
        .await
        .warns("could not tell");
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    hook.validate(pod(&[&sick])).await.warns("could not tell");
    let hook =
        Setup::of(&[registry.host()]).policy("sure", json!({"inconclusive": "Deny"})).start().await;
    hook.validate(pod(&[&sick])).await.denies("could not tell");
    let hook = Setup::of(&[registry.host()])
        .policy("calm", json!({"inconclusive": "Allow"}))
        .start()
        .await;
    hook.validate(pod(&[&sick])).await.silent();
}

#[tokio::test]
async fn the_strictest_of_several_policies_counts_and_an_excluded_team_is_free() {
    let registry = registry().await;
    let bad = image(&registry, "app:gone");
    let setup = || Setup::of(&[registry.host()]).policy("a-soft", json!({"action": "Allow"}));
    setup().start().await.validate(pod(&[&bad])).await.silent();
    let both = setup().policy("b-hard", json!({"action": "Deny"})).start().await;
    both.validate(pod(&[&bad])).await.denies("policy b-hard");
    for exclude in [
        json!({"namespaces": ["sh*"]}),
        json!({"images": ["**/app"]}),
        json!({"serviceAccounts": ["default"]}),
    ] {
        let spec = json!({"action": "Deny", "match": {"exclude": exclude}});
        setup().policy("b-hard", spec).start().await.validate(pod(&[&bad])).await.silent();
    }
    let elsewhere = json!({"action": "Deny", "match": {"namespaces": ["prod-*"]}});
    setup().policy("b-hard", elsewhere).start().await.validate(pod(&[&bad])).await.silent();
}

#[tokio::test]
async fn an_image_that_is_never_pulled_is_never_asked_about() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()])
        .policy("all", json!({"action": "Deny", "inconclusive": "Deny", "pin": true}))
        .start()
        .await;
    let mut object = pod(&[&image(&registry, "app:gone")]);
    object["spec"]["containers"][0]["imagePullPolicy"] = json!("Never");
    hook.validate(object.clone()).await.silent();
    hook.mutate(object).await.silent();
    assert_eq!(registry.count(), 0);
}

#[tokio::test]
async fn a_policy_acts_on_hygiene_registries_and_platforms() {
    let registry = registry().await;
    registry.push_index("app", "latest", &["linux/amd64".into()]);
    let latest = image(&registry, "app:latest");
    let hook = Setup::of(&[registry.host()])
        .policy("a", json!({"causes": [{"id": "latest-tag", "action": "Deny"}]}))
        .start()
        .await;
    hook.validate(pod(&[&latest])).await.denies("latest-tag");
    let hook = Setup::of(&[registry.host()])
        .policy("a", json!({"registries": {"allow": ["ghcr.io"]}, "causes": [{"id": "registry-not-allowed", "action": "Deny"}]}))
        .start()
        .await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.denies("registry-not-allowed");
    let spec = json!({"action": "Deny", "requirePlatforms": ["linux/amd64", "linux/arm64"]});
    let hook = Setup::of(&[registry.host()]).policy("a", spec).start().await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    hook.validate(pod(&[&latest])).await.denies("arm64");
}

#[tokio::test]
async fn many_wrong_images_are_told_within_the_limits_of_the_api_server() {
    let registry = registry().await;
    let images: Vec<String> =
        (0..60).map(|nth| image(&registry, &format!("app:{}-{nth}", "long".repeat(25)))).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let warned = Setup::of(&[registry.host()]).start().await.validate(pod(&images)).await;
    assert_eq!(warned.warnings().len(), 15, "{warned:?}");
    assert!(warned.warnings()[14].starts_with("and 46 more"), "{warned:?}");
    let denied = Setup::of(&[registry.host()]).deny().start().await.validate(pod(&images)).await;
    denied.denies("and 54 more images");
    assert!(denied.message().len() < 10_000);
}

#[tokio::test]
async fn b11_ten_thousand_containers_are_a_hundred_questions_and_the_rest_is_told() {
    let registry = registry().await;
    let hook =
        Setup::of(&[registry.host()]).policy("all", json!({"inconclusive": "Deny"})).start().await;
    let images: Vec<String> =
        (0..10_000).map(|nth| image(&registry, &format!("app{nth}:1"))).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let answer = hook.validate(pod(&images)).await;
    answer.denies("too-many-images");
    assert!(registry.count() <= 100 * 3 + 3, "{}", registry.count());
}

/// T30: refused, reset, silent, HTML and an address that may not be connected to.
#[tokio::test]
async fn t30_what_is_no_registry_reads_alike_whatever_stands_there() {
    let html = registry().await;
    html.fault(Fault::on("*", "*").captive_portal());
    let reset = RawServer::answering("").await;
    let mail = RawServer::answering("220 mail ESMTP\r\n").await;
    let closed = closed_port();
    let setup = Setup::of(&[html.host(), reset.host(), mail.host(), &closed]);
    let hook = setup.deny().start().await;
    let mut said = Vec::new();
    let hosts = [
        html.host(),
        reset.host(),
        mail.host(),
        &closed,
        "169.254.169.254",
        "10.0.0.1:1",
        "[::1]:1",
        "metadata.google.internal",
        "localhost",
        "0.0.0.0:80",
    ];
    for host in hosts {
        let answer = hook
            .send("validate?timeout=2s", &super::hook::review(pod(&[&format!("{host}/app:1")])))
            .await;
        assert!(answer.allowed(), "{answer:?}");
        said.push((host, answer.text().replace(host, "HOST")));
    }
    let refused: Vec<_> = said.iter().filter(|(_, text)| *text != said[0].1).collect();
    assert!(refused.is_empty(), "{:?} unlike {refused:?}", said[0]);
}

#[tokio::test]
async fn b18_a_refused_address_is_answered_at_once() {
    let hook = Setup::default().start().await;
    for host in ["169.254.169.254", "metadata.google.internal"] {
        let began = std::time::Instant::now();
        hook.validate(pod(&[&format!("{host}/app:1")])).await.warns("[no-answer]");
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}
