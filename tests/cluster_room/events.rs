//! Events: written once in a while, never waited for.

use std::time::{Duration, Instant};

use pullproof::cluster::Events;
use pullproof::cluster::events::Note;
use pullproof::image::usage::ObjectName;

use super::stub::{ApiServer, Fault, eventually};

fn note(namespace: &str, text: &str) -> Note {
    Note {
        about: ObjectName {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: namespace.into(),
            name: "web-1".into(),
        },
        uid: "u".into(),
        reason: "ImageWillNotPull",
        action: "Warned",
        warns: true,
        text: text.into(),
    }
}

#[tokio::test]
async fn an_event_is_written_once_and_one_of_another_text_is_another() {
    let api = ApiServer::start().await;
    let (events, work) = Events::new(&api.cluster().await, "webhook", "pullproof-0");
    for _ in 0..5 {
        events.tell(note("shop", "no such tag\u{1b}[31m"));
    }
    events.tell(note("shop", &"x".repeat(5000)));
    events.tell(note("../kube-system", "a namespace that is none"));
    drop(events);
    work.await;
    let posted = api.posted();
    assert_eq!(posted.len(), 3, "{posted:?}");
    let first = &posted[0];
    assert_eq!(first["regarding"]["name"], "web-1");
    assert_eq!(first["type"], "Warning");
    assert_eq!(first["reason"], "ImageWillNotPull");
    assert_eq!(first["reportingController"], "pullproof.dev/webhook");
    assert!(!first["note"].as_str().unwrap().contains('\u{1b}'));
    assert!(posted[1]["note"].as_str().unwrap().len() <= 1024);
    assert_eq!(api.asked("/apis/events.k8s.io/v1/namespaces/shop/events"), 2);
    assert_eq!(api.asked("/apis/events.k8s.io/v1/namespaces/default/events"), 1);
}

#[tokio::test]
async fn telling_never_waits_and_what_is_lost_is_counted() {
    let api = ApiServer::start().await;
    api.fail("/apis", Fault::Delay(Duration::from_secs(60)));
    let (events, work) = Events::new(&api.cluster().await, "webhook", "pullproof-0");
    let work = tokio::spawn(work);
    let started = Instant::now();
    for nth in 0..2000 {
        events.tell(note("shop", &nth.to_string()));
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(events.dropped() > 1000, "{}", events.dropped());
    eventually(|| api.asked("/apis/events.k8s.io/v1/namespaces/shop/events") == 1, "not sent")
        .await;
    work.abort();
}
