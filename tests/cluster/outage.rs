//! The webhook when something is away: itself, or its way to the API server. The API server goes on
//! sending reviews all the while, over the real configurations.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::registries::Config;
use crate::support::{Cluster, State, define_policies, until};
use crate::webhook::{Place, pod};

/// How soon the webhook works after the API server is back.
const SOON: Duration = Duration::from_secs(5);

/// With its own way to the API server.
async fn prepare(stem: &str, config: Config, state: State) -> Place {
    let cluster = Cluster::shared();
    define_policies(cluster);
    let mut place = Place::prepare(cluster, stem, config).await;
    place.allow_secrets();
    place.link = Some(cluster.link(state).await);
    place
}

fn set(place: &Place, state: State) {
    place.link.as_ref().unwrap().set(state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_down_admits_under_ignore_and_refuses_under_fail() {
    let mut place = Place::new("down", Config::open(), json!({"action": "Deny"})).await;
    let bad = pod("bad", &json!({"image": place.image("shop/web:1")}));
    place.stop();
    // This is how it is registered here; the chart does so for the strict namespaces only.
    let said = place.create(&bad, true).expect_refused();
    assert!(said.contains("failed calling webhook"), "{said}");
    let ignore = json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]);
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let line = ["patch", kind, &place.namespace, "--type=json", "-p", &ignore.to_string()];
        place.cluster.kubectl(&line).expect_ok();
    }
    until("it is admitted", async || place.create(&bad, true).ok.then_some(())).await;
    place.start().await;
    until("it is denied again", async || {
        let said = place.create(&bad, true);
        said.errors.contains("denied the request").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f36_started_before_the_api_server_it_waits_and_is_ready_soon_after() {
    for (stem, state) in [("refused", State::Refuses), ("hung", State::Hangs)] {
        let mut place = prepare(stem, Config::open(), state).await;
        place.policy(json!({"action": "Deny"}));
        place.begin();
        let reason = until("the probes' port", async || place.told("readyz").await).await;
        assert_eq!(reason.0, 503, "{reason:?}");
        // Long enough for the pauses between two tries to have grown.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(12) {
            let (status, _) = place.told("readyz").await.expect("it answers");
            assert_eq!(status, 503, "ready without policies");
            assert_eq!(place.told("livez").await.expect("it answers").0, 200);
            assert!(place.lives(), "{}", place.log());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let back = Instant::now();
        set(&place, State::Open);
        until("ready", async || place.is_ready().await.then_some(())).await;
        let took = back.elapsed();
        assert!(took <= SOON, "{stem}: ready after {took:?}");
        place.register().await;
        let bad = pod("bad", &json!({"image": place.image("shop/web:1")}));
        assert!(place.create(&bad, true).expect_refused().contains("denied the request"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_f40_without_the_api_server_what_is_known_counts_and_nobody_else_is_denied() {
    let config = Config::basic().user("ci", "secret");
    let mut place = prepare("cut", config, State::Open).await;
    place.registry.push_image("shop/web", "1", "linux/amd64");
    let host = place.registry.host().to_owned();
    for name in ["pull", "other"] {
        place.secret(name, &host, "secret");
    }
    place.policy(json!({"action": "Deny"}));
    place.start().await;
    place.register().await;
    let of = |secret: &str, tag: &str| -> Value {
        let image = place.image(&format!("shop/web:{tag}"));
        let mut pod = pod("web", &json!({"image": image}));
        pod["spec"]["imagePullSecrets"] = json!([{"name": secret}]);
        pod
    };
    let is_fine = |pod: &Value| {
        let said = place.create(pod, true);
        said.ok && !said.errors.contains("Warning")
    };
    until("the secret is read", async || is_fine(&of("pull", "1")).then_some(())).await;
    place.create(&of("pull", "2"), true).expect_refused();

    for state in [State::Hangs, State::Refuses] {
        set(&place, state);
        // A secret is read again after five seconds.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let said = place.create(&of("pull", "1"), true);
        assert!(said.ok && !said.errors.contains("Warning"), "{state:?}: {}", said.errors);
        let said = place.create(&of("pull", "2"), true).expect_refused();
        assert!(said.contains("no tag"), "{state:?}: {said}");
        for unknown in [of("other", "1"), of("other", "2")] {
            let said = place.create(&unknown, true);
            assert!(said.ok, "{state:?}: our own trouble denies nobody: {}", said.errors);
            assert!(said.errors.contains("Warning"), "{state:?}: nothing is said");
        }
        assert!(place.is_ready().await, "{state:?}: it can still decide");
    }

    // What changes in the meantime is seen afterwards.
    place.policy(json!({"action": "Warn"}));
    tokio::time::sleep(Duration::from_secs(1)).await;
    place.create(&of("pull", "2"), true).expect_refused();
    set(&place, State::Open);
    until("the unknown secret is read", async || is_fine(&of("other", "1")).then_some(())).await;
    until("the changed policy counts", async || {
        let said = place.create(&of("pull", "2"), true);
        (said.ok && said.errors.contains("[tag-not-found]")).then_some(())
    })
    .await;
}
