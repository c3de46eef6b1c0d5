//! The login of the person who asks: only after the Pod's was refused, and never taken for the Pod's.

use super::*;
use crate::support::{Config, Denial, FakeRegistry, Fault};

async fn registry(config: Config) -> FakeRegistry {
    let config = config.user("me", CANARY).user("pod", "pod-password");
    let registry = FakeRegistry::start(config.private("app", &["me"])).await;
    registry.push_image("app", "1", "linux/amd64");
    registry.push_image("open", "1", "linux/amd64");
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host())).own("me", CANARY)
}

/// The ServiceAccount of the Pod could not be seen.
fn unread(context: &mut Context) {
    context.pod_login.is_known = false;
    context.pod_login.unread = vec!["ServiceAccount builder".to_owned()];
}

#[tokio::test]
async fn it_is_not_sent_where_the_pod_is_let_in_or_the_trouble_is_another() {
    let registry = registry(Config::bearer()).await;
    let client = plain_client(registry.host());
    let open = image(format!("{}/open:1", registry.host())).own("me", CANARY);
    assert_eq!(open.of(&client).await.id(), "pullable");
    let none = image(format!("{}/open:2", registry.host())).own("me", CANARY);
    assert_eq!(none.of(&client).await.id(), "tag-not-found", "readable without any login");
    registry.fault(Fault::in_repository("app").answer(429));
    assert_eq!(app(&registry).of(&client).await.id(), "rate-limited");
    assert_eq!(registry.count_of("POST", "/token"), 0);
}

#[tokio::test]
async fn it_proves_that_the_pod_of_a_known_login_misses_one() {
    let registry = registry(Config::bearer()).await;
    let client = plain_client(registry.host());
    let asked = app(&registry).of(&client).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-missing", Some(false)), "{asked:?}");
    assert!(!asked.is_likely());
    assert_eq!(asked.answer.attempts.len(), 2);
}

#[tokio::test]
async fn it_proves_that_the_pods_login_lacks_the_right() {
    for config in [Config::bearer(), Config::basic(), Config::bearer().denial(Denial::Forbidden)] {
        let registry = registry(config).await;
        let ask = app(&registry).login("pod", "pod-password");
        let asked = ask.of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.pulls()), ("access-denied", Some(false)), "{asked:?}");
    }
}

#[tokio::test]
async fn beside_a_login_that_sends_nothing_it_proves_a_missing_one() {
    let registry = registry(Config::bearer()).await;
    let ask = app(&registry).login("pod", "");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-missing", Some(false)), "{asked:?}");
}

#[tokio::test]
async fn a_rejected_login_of_the_pod_stays_rejected() {
    let registry = registry(Config::bearer()).await;
    let ask = app(&registry).login("pod", "expired-password");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-rejected", Some(false)), "{asked:?}");
}

#[tokio::test]
async fn for_a_pod_whose_login_was_not_read_it_proves_the_image_and_leaves_the_pull_open() {
    let registry = registry(Config::bearer()).await;
    let asked = app(&registry).knowing(unread).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("pullable", None), "{asked:?}");
    let remarks = asked.diagnosis.remarks.join(" ");
    assert!(
        remarks.contains("pulled with your own login (docker config config.json)"),
        "{remarks}"
    );
    assert!(remarks.contains("Pod shop/cart was not let in"), "{remarks}");
}

#[tokio::test]
async fn without_a_pod_it_is_the_login_that_counts() {
    let registry = registry(Config::bearer()).await;
    let alone = |context: &mut Context| context.asker.clear();
    let asked = app(&registry).knowing(alone).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("pullable", Some(true)), "{asked:?}");
}

#[tokio::test]
async fn an_absence_it_sees_is_an_absence_for_the_pod() {
    let registry = registry(Config::bearer().absent_looks_private()).await;
    let ask = image(format!("{}/app:none", registry.host())).own("me", CANARY);
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("tag-not-found", Some(false)), "{asked:?}");
}

#[tokio::test]
async fn refused_as_well_it_changes_nothing() {
    let registry = registry(Config::bearer()).await;
    let ask = image(format!("{}/app:1", registry.host())).own("me", "expired-password");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "absent-or-private", "{asked:?}");
}

#[tokio::test]
async fn platforms_are_read_with_the_login_that_was_let_in() {
    let registry = registry(Config::bearer()).await;
    let ask = app(&registry).login("pod", "pod-password").knowing(unread).platform("linux/amd64");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!(asked.diagnosis.runs, Some(true), "{asked:?}");
}
