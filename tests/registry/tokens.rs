//! Token services: dead, useless, hostile, or merely quick to let a token end.

use super::*;
use crate::support::{Config, FakeRegistry, Fault, closed_port};

const MANIFEST: &str = "/v2/app/manifests/1";

async fn private(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start(config.user("ci", CANARY).private("app", &["ci"])).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host())).login("ci", CANARY)
}

#[tokio::test]
async fn f17_a_dead_token_service_is_named_and_no_secret_goes_elsewhere() {
    let registry = private(Config::bearer()).await;
    let dead = closed_port();
    registry.set_realm(&format!("http://{dead}/token"));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("connection-refused", true));
    assert!(asked.diagnosis.summary.contains(&dead), "{asked:?}");
    assert!(asked.diagnosis.summary.contains("token service"), "{asked:?}");
    assert_eq!(registry.log(), [format!("HEAD {MANIFEST}")]);
    assert!(registry.requests()[0].authorization.is_none());
}

#[tokio::test]
async fn f18_tokens_that_end_at_once_are_renewed_by_one_request_at_a_time() {
    let config = Config::bearer().expires_in(1).latency(Duration::from_millis(20));
    let registry = private(config).await;
    let tags: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
    for tag in &tags {
        registry.push_image("app", tag, "linux/amd64");
    }
    let client = plain_client(registry.host());
    let asks = tags
        .iter()
        .map(|tag| image(format!("{}/app:{tag}", registry.host())).login("ci", CANARY).of(&client));
    let asked = futures_util::future::join_all(asks).await;
    assert!(asked.iter().all(|asked| asked.id() == "pullable"), "{asked:?}");
    let tokens: Vec<_> =
        registry.requests().into_iter().filter(|r| r.method == "POST").map(|r| r.at).collect();
    // 101 manifests of 20 ms, 16 at a time, end within a second or little more.
    assert!((1..=4).contains(&tokens.len()), "{} tokens", tokens.len());
    assert!(tokens.windows(2).all(|w| w[1] - w[0] >= Duration::from_millis(900)), "{tokens:?}");
}

#[tokio::test]
async fn f19_a_token_answer_without_a_token_is_a_bad_answer() {
    for (media_type, body) in [
        ("application/json", ""),
        ("application/json", "{}"),
        ("application/json", "[]"),
        ("text/html", "<html>sign in</html>"),
        ("application/json", "{\"token\":\"\"}"),
        ("application/json", "{\"token\":\"a\\r\\nx-injected: 1\"}"),
    ] {
        let registry = private(Config::bearer()).await;
        registry.fault(Fault::on("*", "/token").answer_with(200, media_type, body));
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{body}");
        assert!(registry.count_of("*", "/token") <= 2, "{body}");
        assert!(registry.requests().iter().all(|r| !r.headers.contains_key("x-injected")));
    }
}

#[tokio::test]
async fn a_token_service_that_is_none_is_a_bad_answer_and_no_refusal() {
    for status in [404, 405, 410, 418] {
        let registry = private(Config::bearer()).await;
        registry.fault(Fault::on("*", "/token").answer(status));
        let anonymous = image(format!("{}/app:1", registry.host()));
        let asked = anonymous.of(&plain_client(registry.host())).await;
        let told = (asked.id(), asked.is_inconclusive());
        assert_eq!(told, ("bad-answer", true), "{status} {asked:?}");
        assert!(asked.diagnosis.summary.contains("token service"), "{asked:?}");
    }
    for status in [400, 401, 403] {
        let registry = private(Config::bearer()).await;
        registry.fault(Fault::on("*", "/token").answer(status));
        let anonymous = image(format!("{}/app:1", registry.host()));
        let asked = anonymous.of(&plain_client(registry.host())).await;
        assert!(!asked.is_inconclusive(), "{status} {asked:?}");
    }
}

#[tokio::test]
async fn a_login_that_nobody_asked_for_is_not_said_to_be_sent() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let absent = image(format!("{}/app:2", registry.host())).login("ci", CANARY);
    let asked = absent.of(&plain_client(registry.host())).await;
    let seen = &asked.diagnosis.evidence[0];
    assert!(seen.text.contains("without login (none was asked for)"), "{asked:?}");
    assert!(seen.credential.is_none() && !seen.text.contains("with the login"), "{asked:?}");
    assert!(registry.requests().iter().all(|it| it.authorization.is_none()));
}

#[tokio::test]
async fn f20_tokens_that_never_work_end_as_a_refusal_after_two() {
    let registry = private(Config::bearer().tokens_never_work()).await;
    let client = plain_client(registry.host());
    let asked = app(&registry).of(&client).await;
    assert_eq!(asked.pulls(), Some(false), "{asked:?}");
    assert!(registry.count_of("*", "/token") <= 2, "{:?}", registry.log());
    registry.reset_counts();
    app(&registry).of(&client).await;
    assert_eq!(registry.count(), 0, "the refusal is remembered");
}

#[tokio::test]
async fn f20_a_token_that_was_revoked_is_renewed_once() {
    let registry = private(Config::bearer()).await;
    registry.push_image("app", "2", "linux/amd64");
    let client = plain_client(registry.host());
    assert_eq!(app(&registry).of(&client).await.id(), "pullable");
    registry.revoke_tokens();
    registry.reset_counts();
    let second = image(format!("{}/app:2", registry.host())).login("ci", CANARY);
    assert_eq!(second.of(&client).await.id(), "pullable");
    let manifest = "HEAD /v2/app/manifests/2";
    assert_eq!(registry.log(), [manifest, "POST /token", manifest]);
}

#[tokio::test]
async fn f20_tokens_revoked_under_many_questions_are_renewed_once_for_all() {
    let registry = private(Config::bearer().latency(Duration::from_millis(10))).await;
    let tags: Vec<String> = (0..40).map(|n| format!("t{n}")).collect();
    for tag in &tags {
        registry.push_image("app", tag, "linux/amd64");
    }
    let client = plain_client(registry.host());
    assert_eq!(app(&registry).of(&client).await.id(), "pullable");
    registry.revoke_tokens();
    registry.reset_counts();
    let asks = tags
        .iter()
        .map(|tag| image(format!("{}/app:{tag}", registry.host())).login("ci", CANARY).of(&client));
    let asked = futures_util::future::join_all(asks).await;
    assert!(asked.iter().all(|asked| asked.id() == "pullable"), "{asked:?}");
    assert_eq!(registry.count_of("POST", "/token"), 1, "{:?}", registry.log());
}

#[tokio::test]
async fn f20_a_new_token_that_is_called_invalid_is_renewed_once() {
    let registry = private(Config::bearer()).await;
    let challenge = format!(
        "Bearer realm=\"{}/token\",service=\"fake-registry\",error=\"invalid_token\"",
        registry.url()
    );
    // It ended while its request waited for a turn; a runtime asks for another one, too.
    registry.fault(Fault::on("HEAD", MANIFEST).challenge(&[&challenge]).nth(2));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
    assert_eq!(registry.count_of("*", "/token"), 2);
}

#[tokio::test]
async fn b41_a_token_of_ten_mebibytes_is_not_read() {
    let registry = private(Config::bearer()).await;
    let body = format!("{{\"token\":\"{}\"}}", "a".repeat(10 << 20));
    registry.fault(Fault::on("*", "/token").answer_with(200, "application/json", body));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("too-large", true), "{asked:?}");
}

#[tokio::test]
async fn b41_odd_lifetimes_do_not_spoil_a_good_token() {
    for odd in [
        serde_json::json!(-5),
        serde_json::json!("soon"),
        serde_json::json!(1e18),
        serde_json::json!(null),
        serde_json::json!([]),
    ] {
        let extra = serde_json::json!({ "expires_in": odd });
        let registry = private(Config::bearer().token_extra(extra)).await;
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!(asked.id(), "pullable", "{odd}");
    }
}

#[tokio::test]
async fn b41_access_token_is_used_before_token() {
    let registry = private(Config::bearer()).await;
    let both = serde_json::json!({ "token": "one", "access_token": "two" }).to_string();
    registry.fault(Fault::on("*", "/token").answer_with(200, "application/json", both));
    app(&registry).of(&plain_client(registry.host())).await;
    let sent: Vec<_> = registry.requests().into_iter().filter_map(|r| r.authorization).collect();
    assert!(!sent.is_empty() && sent.iter().all(|header| header == "Bearer two"), "{sent:?}");
}

#[tokio::test]
async fn t04_a_token_service_that_redirects_gets_no_second_host_the_login() {
    let trap = crate::support::Trap::start().await;
    let registry = private(Config::bearer()).await;
    let away = format!("http://{}", trap.host());
    registry.fault(Fault::on("*", "/token").redirect_to_host(&away));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert!(asked.is_inconclusive(), "{asked:?}");
    assert!(!trap.heard(CANARY), "{}", trap.text());
}

#[tokio::test]
async fn tokens_of_one_login_are_not_used_for_another() {
    let config = Config::bearer().user("other", "other-password").private("app", &["ci"]);
    let registry = private(config).await;
    let client = plain_client(registry.host());
    assert_eq!(app(&registry).of(&client).await.id(), "pullable");
    let other = image(format!("{}/app:1", registry.host())).login("other", "other-password");
    let asked = other.of(&client).await;
    assert_eq!(asked.pulls(), Some(false), "{asked:?}");
    let nobody = image(format!("{}/app:1", registry.host())).of(&client).await;
    assert_eq!(nobody.pulls(), Some(false), "{nobody:?}");
    assert_eq!((registry.count_of("POST", "/token"), registry.count_of("GET", "/token")), (2, 1));
}

#[tokio::test]
async fn a_token_that_came_too_late_for_one_is_fetched_again_for_who_has_time() {
    for at_once in [true, false] {
        let registry = private(Config::bearer()).await;
        registry.push_image("app", "2", "linux/amd64");
        let client = plain_client(registry.host());
        registry.fault(Fault::on("POST", "/token").hang().once());
        let hurried = app(&registry).within(Duration::from_millis(700)).of(&client);
        let patient = async {
            tokio::time::sleep(Duration::from_millis(if at_once { 350 } else { 800 })).await;
            let image = image(format!("{}/app:2", registry.host())).login("ci", CANARY);
            image.of(&client).await
        };
        let (hurried, patient) = tokio::join!(hurried, patient);
        let ids = (hurried.id(), patient.id());
        assert_eq!(ids, ("timeout", "pullable"), "{at_once}: {patient:?}");
        assert_eq!(registry.count_of("POST", "/token"), 2);
    }
}

#[tokio::test]
async fn a_list_of_tags_that_came_too_late_for_one_is_read_for_who_has_time() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let client = plain_client(registry.host());
    let list = "/v2/app/tags/list";
    registry.fault(Fault::on("GET", list).hang().once());
    let gone = image(format!("{}/app:gone", registry.host()));
    gone.clone().within(Duration::from_millis(600)).of(&client).await;
    let patient = gone.of(&client).await;
    assert_eq!((patient.id(), patient.pulls()), ("tag-not-found", Some(false)), "{patient:?}");
    assert_eq!(registry.count_of("GET", list), 2);
}
