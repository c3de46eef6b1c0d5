//! The Pod's logins: tried in the kubelet's order, never followed by an anonymous try, and what their
//! refusal means.

use super::*;
use crate::support::{Anonymous, Config, Denial, FakeRegistry};

async fn registry(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start(config.user("ci", CANARY)).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host()))
}

#[tokio::test]
async fn a_wrong_login_before_a_good_one_still_pulls() {
    for config in [Config::bearer(), Config::basic()] {
        let registry = registry(config.private("app", &["ci"])).await;
        let ask = app(&registry).login("ci", "expired-password").login("ci", CANARY);
        let asked = ask.of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.pulls()), ("pullable", Some(true)), "{asked:?}");
        let sources: Vec<String> = asked
            .answer
            .attempts
            .iter()
            .map(|attempt| attempt.login.as_ref().unwrap().source.to_string())
            .collect();
        assert_eq!(sources, ["secret shop/pull-1", "secret shop/pull-2"]);
    }
}

#[tokio::test]
async fn a_good_login_ends_the_row() {
    let registry = registry(Config::basic()).await;
    let ask = app(&registry).login("ci", CANARY).login("ci", "expired-password");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.answer.attempts.len()), ("pullable", 1));
    assert_eq!(registry.count(), 2);
}

#[tokio::test]
async fn two_logins_of_one_user_in_one_secret_are_told_apart_when_content_is_read() {
    let registry = registry(Config::bearer().private("app", &["ci"])).await;
    let ask = app(&registry)
        .login_from("pull", "ci", "expired-password")
        .login_from("pull", "ci", CANARY)
        .platform("linux/amd64");
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
}

#[tokio::test]
async fn a_wrong_login_breaks_a_public_image_where_a_token_is_demanded() {
    let registry = registry(Config::bearer()).await;
    let asked =
        app(&registry).login("ci", "expired-password").of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-rejected", Some(false)), "{asked:?}");
    assert!(!asked.is_likely());
    assert_eq!(registry.count_of("HEAD", "*"), 1, "no anonymous try at the end");
    assert_eq!(registry.count_of("*", "/token"), 2, "POST, then GET with Basic");
}

#[tokio::test]
async fn a_wrong_login_does_no_harm_where_none_is_demanded() {
    let registry = registry(Config::open()).await;
    let asked =
        app(&registry).login("ci", "expired-password").of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("pullable", Some(true)));
    assert_eq!(registry.count(), 1);
}

#[tokio::test]
async fn a_wrong_login_does_no_harm_to_a_public_image_beside_private_ones() {
    // Only some repositories demand a login, and the host is known to by the time it is asked.
    let registry = registry(Config::open()).await;
    registry.push_image("private", "1", "linux/amd64");
    let basic = crate::support::Fault::in_repository("private").challenge(&["Basic realm=\"x\""]);
    registry.fault(basic);
    let client = plain_client(registry.host());
    let private = image(format!("{}/private:1", registry.host())).login("ci", "expired-password");
    assert_eq!(private.of(&client).await.id(), "credentials-rejected");
    let asked = app(&registry).login("ci", "expired-password").of(&client).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
}

#[tokio::test]
async fn basic_tells_a_wrong_login_from_a_missing_one_and_a_missing_right() {
    let registry =
        registry(Config::basic().user("guest", "guest-password").private("app", &["ci"])).await;
    let client = plain_client(registry.host());
    for (login, id) in [
        (None, "credentials-missing"),
        (Some(("ci", "expired-password")), "credentials-rejected"),
        // Nothing proves that there is such a repository.
        (Some(("guest", "guest-password")), "absent-or-private"),
    ] {
        let ask = app(&registry);
        let ask = match login {
            Some((user, password)) => ask.login(user, password),
            None => ask,
        };
        let asked = ask.of(&client).await;
        assert_eq!((asked.id(), asked.pulls()), (id, Some(false)), "{asked:?}");
    }
}

#[tokio::test]
async fn an_empty_password_sends_nothing_and_is_named() {
    for (config, id) in [
        (Config::basic(), "credentials-missing"),
        (Config::bearer(), "pullable"),
        (Config::bearer().anonymous(Anonymous::Refused(401)), "credentials-missing"),
    ] {
        let registry = registry(config).await;
        let asked = app(&registry).login("ci", "").of(&plain_client(registry.host())).await;
        assert_eq!(asked.id(), id, "{asked:?}");
        for request in registry.requests() {
            assert!(request.basic().is_none() && request.form.is_empty(), "{request:?}");
        }
        assert!(asked.diagnosis.evidence[0].text.contains("sends nothing"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_token_service_that_refuses_nobodies_misses_a_login() {
    let registry = registry(Config::bearer().anonymous(Anonymous::Refused(401))).await;
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-missing", Some(false)));
}

#[tokio::test]
async fn a_missing_tag_is_certain_once_the_login_reads_the_repository() {
    let registry = registry(Config::bearer().private("app", &["ci"]).absent_looks_private()).await;
    let client = plain_client(registry.host());
    let tag = |name: &str| image(format!("{}/{name}", registry.host()));
    assert_eq!(tag("app:2").login("ci", CANARY).of(&client).await.id(), "tag-not-found");
    assert_eq!(tag("app:2").of(&client).await.id(), "absent-or-private");
    assert_eq!(tag("none:1").login("ci", CANARY).of(&client).await.id(), "absent-or-private");
}

#[tokio::test]
async fn denials_of_every_kind_are_certain_to_fail_and_say_no_more_than_they_know() {
    for (denial, id) in [
        (Denial::InsufficientScope, "absent-or-private"),
        (Denial::Unauthorized, "absent-or-private"),
        (Denial::AtToken(403), "absent-or-private"),
        (Denial::Forbidden, "absent-or-private"),
        (Denial::NotFound, "absent-or-private"),
    ] {
        let registry = registry(Config::bearer().private_with("app", &["ci"], denial)).await;
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.pulls()), (id, Some(false)), "{denial:?}: {asked:?}");
    }
}

#[tokio::test]
async fn a_finding_about_logins_is_likely_where_nodes_log_in_or_a_secret_was_not_read() {
    let registry = registry(Config::bearer().private("app", &["ci"])).await;
    let client = plain_client(registry.host());
    let nodes = app(&registry).knowing(|context| context.nodes_may_log_in = Some(true));
    let unread = app(&registry).knowing(|context| {
        context.pod_login.is_known = false;
        context.pod_login.unread = vec!["secret pull".to_owned()];
    });
    for (ask, word) in [(nodes, "nodes"), (unread, "secret pull")] {
        let asked = ask.of(&client).await;
        assert!(asked.is_likely() && asked.pulls().is_none(), "{asked:?}");
        assert!(asked.diagnosis.remarks.join(" ").contains(word), "{asked:?}");
    }
    assert!(!app(&registry).of(&client).await.is_likely());
    let tag = image(format!("{}/open:2", registry.host()));
    registry.push_image("open", "1", "linux/amd64");
    let asked = tag.knowing(|context| context.nodes_may_log_in = Some(true)).of(&client).await;
    assert_eq!((asked.id(), asked.is_likely()), ("tag-not-found", false), "no login makes a tag");
}

#[tokio::test]
async fn a_secret_for_other_registries_or_of_a_wrong_kind_explains_a_missing_login() {
    let registry = registry(Config::basic()).await;
    let client = plain_client(registry.host());
    let mismatch = app(&registry).knowing(|context| {
        let other = vec!["ghcr.io".to_owned()];
        context.pod_login.without_entry = vec![(secret_source("pull"), other)];
    });
    let asked = mismatch.of(&client).await;
    assert_eq!(asked.id(), "secret-registry-mismatch");
    assert!(asked.diagnosis.advice[0].contains("entries for ghcr.io only"), "{asked:?}");
    let ignored = app(&registry).knowing(|context| {
        context.pod_login.ignored = vec![(secret_source("pull"), "type Opaque".to_owned())];
    });
    assert_eq!(ignored.of(&client).await.id(), "secret-invalid");
}

#[tokio::test]
async fn an_ignored_secret_is_told_beside_an_image_that_pulls() {
    let registry = registry(Config::open()).await;
    let ignored = app(&registry).knowing(|context| {
        context.pod_login.ignored = vec![(secret_source("pull"), "type Opaque".to_owned())];
    });
    let asked = ignored.of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable");
    assert_eq!(asked.diagnosis.findings[0].cause.id(), "secret-invalid", "{asked:?}");
}
