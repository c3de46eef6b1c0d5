//! What the cluster's answer about a secret makes of a registry's refusal.

use std::time::{Duration, Instant};

use pullproof::cluster::Secrets;
use pullproof::image::usage::Workload;
use serde_json::json;

use super::secrets::secret;
use super::stub::{ApiServer, Fault};
use crate::registry::{Asked, image, plain_client};
use crate::support::{Config, FakeRegistry};

const SECRET: &str = "/api/v1/namespaces/shop/secrets/pull";

/// Asked for a Pod in namespace shop that names the secret `pull`.
async fn asked(api: &ApiServer, registry: &FakeRegistry, name: &str) -> Asked {
    let secrets = Secrets::new(&api.cluster().await);
    let pod = Workload { pull_secrets: vec!["pull".into()], ..Workload::default() };
    let login = secrets.login("shop", &pod, Instant::now() + Duration::from_secs(20)).await;
    let known = login.known.clone();
    let text = format!("{}/{name}", registry.host());
    image(text)
        .knowing(|context| context.pod_login = known)
        .of(&plain_client(registry.host()))
        .await
}

async fn private() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::basic()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

async fn open() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_makes_a_login_problem_inconclusive() {
    let (api, registry) = (ApiServer::start().await, private().await);
    api.fail(SECRET, Fault::Status(403));
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!((found.id(), found.is_inconclusive()), ("no-permission", true));
    let shown = found.text();
    assert!(shown.contains("get on secrets in namespace shop"), "{shown}");
}

#[tokio::test]
async fn a_secret_that_nobody_could_read_leaves_a_login_problem_likely() {
    let (api, registry) = (ApiServer::start().await, private().await);
    api.fail(SECRET, Fault::Status(503));
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!((found.id(), found.is_likely()), ("credentials-missing", true));
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_the_cause_only_where_a_login_is_wanted() {
    let (api, registry) = (ApiServer::start().await, private().await);
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!(
        (found.id(), found.is_likely(), found.pulls()),
        ("secret-missing", false, Some(false))
    );
    assert!(found.diagnosis.summary.contains("secret shop/pull does not exist"), "{found:?}");
    let registry = open().await;
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!((found.id(), found.pulls()), ("pullable", Some(true)));
    let listed: Vec<_> = found.diagnosis.findings.iter().map(|it| it.cause.id()).collect();
    assert_eq!(listed, ["secret-missing"]);
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_changes_nothing_for_what_no_login_cures() {
    for fault in [403, 503] {
        let (api, registry) = (ApiServer::start().await, open().await);
        api.fail(SECRET, Fault::Status(fault));
        assert_eq!(asked(&api, &registry, "app:1").await.id(), "pullable", "{fault}");
        let found = asked(&api, &registry, "app:gone").await;
        assert_eq!((found.id(), found.is_likely()), ("tag-not-found", false), "{fault}");
    }
}

#[tokio::test]
async fn a_secret_without_an_entry_for_the_registry_is_certain() {
    let (api, registry) = (ApiServer::start().await, private().await);
    api.put(SECRET, secret("ghcr.io", "pw"));
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!((found.id(), found.is_likely()), ("secret-registry-mismatch", false));
    api.put(SECRET, json!({"type": "Opaque"}));
    let found = asked(&api, &registry, "app:1").await;
    assert_eq!((found.id(), found.is_likely()), ("secret-invalid", false));
}
