//! Labels of namespaces: from the watch, or by name where watching is not allowed.

use std::time::{Duration, Instant};

use pullproof::cluster::{Namespaces, Trouble};
use serde_json::{Value, json};

use super::stub::{ApiServer, Fault};

const ALL: &str = "/api/v1/namespaces";

fn namespace(name: &str, team: &str) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": name, "uid": name, "resourceVersion": "1", "labels": {"team": team}}})
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn labels_come_from_the_watch_without_a_request_each() {
    let api = ApiServer::start().await;
    api.list(ALL, vec![namespace("shop", "red"), namespace("bank", "blue")]);
    let (namespaces, work) = Namespaces::new(&api.cluster().await);
    let work = tokio::spawn(work);
    api.watched(ALL).await;
    for _ in 0..10 {
        assert_eq!(namespaces.labels("shop", soon()).await.unwrap()["team"], "red");
    }
    assert_eq!(api.asked("/api/v1/namespaces/shop"), 0);
    // One made a moment ago is asked for by its name.
    api.put("/api/v1/namespaces/new", namespace("new", "green"));
    assert_eq!(namespaces.labels("new", soon()).await.unwrap()["team"], "green");
    assert_eq!(namespaces.labels("none", soon()).await, Err(Trouble::Absent));
    work.abort();
}

#[tokio::test]
async fn without_the_right_to_watch_each_is_read_by_name_and_kept() {
    let api = ApiServer::start().await;
    api.put("/api/v1/namespaces/shop", namespace("shop", "red"));
    let (namespaces, work) = Namespaces::new(&api.cluster().await);
    // The work never runs, as good as a watch that is forbidden.
    drop(work);
    for _ in 0..10 {
        assert_eq!(namespaces.labels("shop", soon()).await.unwrap()["team"], "red");
    }
    assert_eq!(api.asked("/api/v1/namespaces/shop"), 1);
    for name in ["", "../nodes", "a/b"] {
        assert_eq!(namespaces.labels(name, soon()).await, Err(Trouble::Absent), "{name}");
    }
    assert_eq!(api.requests().len(), 1);
}

#[tokio::test]
async fn a_failure_is_told_apart_and_in_time() {
    let api = ApiServer::start().await;
    let (namespaces, work) = Namespaces::new(&api.cluster().await);
    drop(work);
    api.fail("/api/v1/namespaces/a", Fault::Status(403));
    api.fail("/api/v1/namespaces/b", Fault::Delay(Duration::from_secs(30)));
    let forbidden = namespaces.labels("a", soon()).await;
    assert!(
        matches!(&forbidden, Err(Trouble::Forbidden(right)) if right.contains("namespaces")),
        "{forbidden:?}"
    );
    let started = Instant::now();
    let late = namespaces.labels("b", started + Duration::from_millis(300)).await;
    assert!(matches!(late, Err(Trouble::Unavailable(_))), "{late:?}");
    assert!(started.elapsed() < Duration::from_secs(8));
}
