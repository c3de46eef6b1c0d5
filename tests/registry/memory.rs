//! What is answered from memory, how old it may be, and what it saves: equal questions at once are
//! one, a fresh answer comes from the registry, and a known image outlives its registry for a while.

use std::sync::Arc;

use futures_util::future::join_all;

use super::*;
use crate::support::{Config, FakeRegistry, Fault};

const MANIFEST: &str = "/v2/app/manifests/1";

async fn registry(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start(config).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host()))
}

/// Facts that are old after a moment.
fn hasty(host: &str) -> Registry {
    let mut settings = settings_for(host, plain_http());
    settings.limits.present = Duration::from_millis(150);
    settings.limits.unreachable = Duration::from_millis(100);
    client(&settings)
}

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn f28_a_thousand_equal_cold_questions_at_once_take_three_requests() {
    let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let registry = registry(config.latency(Duration::from_millis(20))).await;
    let client = plain_client(registry.host());
    let asks = (0..1000).map(|_| app(&registry).login("ci", CANARY).of(&client));
    let answers = join_all(asks).await;
    assert!(answers.iter().all(|asked| asked.id() == "pullable"));
    assert!(answers.iter().all(|asked| asked.origin() == Origin::Asked));
    let log = registry.log();
    assert_eq!(registry.count(), 3, "{log:?}");
    let hub = &client.stats().registries[registry.host()];
    assert_eq!((hub.requests, hub.misses), (3, 1000));
    assert!(hub.time >= Duration::from_millis(60), "{hub:?}");
    let again = app(&registry).login("ci", CANARY).of(&client).await;
    assert!(matches!(again.origin(), Origin::Memory(_)), "{again:?}");
    assert_eq!((registry.count(), client.stats().registries[registry.host()].hits), (3, 1));
}

#[tokio::test]
async fn f28_each_credential_is_asked_once_and_none_is_told_what_another_saw() {
    let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let registry = registry(config.latency(Duration::from_millis(20))).await;
    let client = plain_client(registry.host());
    let ask = |n: usize| match n % 2 {
        0 => app(&registry).login("ci", CANARY).of(&client),
        _ => app(&registry).login("ci", "CANARY-wrong-pass").of(&client),
    };
    for (n, asked) in join_all((0..500).map(ask)).await.iter().enumerate() {
        assert_eq!(asked.id() == "pullable", n % 2 == 0, "{asked:?}");
    }
    let tokens = registry.log().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(tokens, 2, "{:?}", registry.log());
}

#[tokio::test]
async fn a_fresh_answer_comes_from_the_registry_and_equal_ones_at_once_are_one() {
    let registry = registry(Config::open().latency(Duration::from_millis(20))).await;
    let client = plain_client(registry.host());
    app(&registry).of(&client).await;
    registry.push_image("app", "2", "linux/arm64");
    let moved = registry.push_image("app", "1", "linux/arm64");
    registry.reset_counts();
    let old = app(&registry).of(&client).await;
    assert!(old.diagnosis.digest.as_ref().unwrap().to_string() != moved, "known for a minute");
    let fresh = join_all((0..50).map(|_| app(&registry).fresh().of(&client))).await;
    for asked in &fresh {
        assert_eq!(asked.diagnosis.digest.as_ref().unwrap().to_string(), moved);
        assert_eq!(asked.origin(), Origin::Asked);
    }
    assert_eq!(registry.log(), [format!("HEAD {MANIFEST}")]);
    app(&registry).fresh().of(&client).await;
    assert_eq!(registry.count(), 2, "the next review asks again");
    let other = app(&registry).of(&client).await;
    assert_eq!(other.diagnosis.digest.unwrap().to_string(), moved, "all others learn it");
    assert_eq!(registry.count(), 2);
}

#[tokio::test]
async fn f12_f37_what_is_known_is_told_while_its_registry_is_out_of_order() {
    for fault in [
        Fault::on("*", "*").answer(503),
        Fault::on("*", "*").close(),
        Fault::on("*", "*").hang(),
        Fault::on("*", "*").retry_after("7"),
    ] {
        let registry = registry(Config::open()).await;
        let client = hasty(registry.host());
        let first = app(&registry).of(&client).await;
        a_moment().await;
        registry.fault(fault);
        let stale = app(&registry).of(&client).await;
        assert_eq!(stale.id(), "pullable", "{stale:?}");
        assert_eq!(stale.diagnosis.digest, first.diagnosis.digest);
        assert!(matches!(stale.origin(), Origin::Stale(_)), "{stale:?}");
        assert!(stale.text().contains("out of order since"), "{stale:?}");
        assert_eq!(client.stats().registries[registry.host()].stale, 1);
        let fresh = app(&registry).fresh().of(&client).await;
        assert!(fresh.is_inconclusive(), "never for a pin: {fresh:?}");
        let unknown = image(format!("{}/app:2", registry.host())).of(&client).await;
        assert!(unknown.is_inconclusive(), "{unknown:?}");
    }
}

#[tokio::test]
async fn what_the_registry_takes_back_is_not_told_from_memory_and_the_registry_is_believed_again() {
    let registry = registry(Config::open()).await;
    let client = hasty(registry.host());
    app(&registry).of(&client).await;
    a_moment().await;
    registry.fault(Fault::on("*", "*").answer(503).times(2));
    assert!(matches!(app(&registry).of(&client).await.origin(), Origin::Stale(_)));
    a_moment().await;
    registry.forget("app", "1");
    assert_eq!(app(&registry).of(&client).await.id(), "tag-not-found");
    registry.fault(Fault::on("*", "*").answer(503));
    a_moment().await;
    assert_eq!(app(&registry).fresh().of(&client).await.id(), "registry-error");
    assert_eq!(app(&registry).of(&client).await.id(), "registry-error", "it was gone");
}

#[tokio::test]
async fn a_known_image_is_forgotten_after_its_hour() {
    let registry = registry(Config::open()).await;
    let mut settings = settings_for(registry.host(), plain_http());
    settings.limits.present = Duration::from_millis(100);
    settings.limits.stale = Duration::from_millis(600);
    let client = client(&settings);
    app(&registry).of(&client).await;
    registry.fault(Fault::on("*", "*").answer(503));
    a_moment().await;
    assert_eq!(app(&registry).of(&client).await.id(), "pullable");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(app(&registry).of(&client).await.id(), "registry-error");
}

#[tokio::test]
async fn a_question_that_is_given_up_takes_no_answer_from_those_who_wait_for_the_same() {
    let registry = registry(Config::open().latency(Duration::from_millis(300))).await;
    let client = Arc::new(plain_client(registry.host()));
    let ask = app(&registry);
    let first = {
        let (client, ask) = (client.clone(), ask.clone());
        tokio::spawn(async move { ask.of(&client).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = (0..20).map(|_| {
        let (client, ask) = (client.clone(), ask.clone());
        tokio::spawn(async move { ask.of(&client).await })
    });
    let waiting: Vec<_> = waiting.collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.abort();
    for asked in join_all(waiting).await {
        assert_eq!(asked.unwrap().id(), "pullable");
    }
    assert_eq!(registry.count(), 2, "{:?}", registry.log());
}

#[tokio::test]
async fn who_has_more_time_than_the_first_to_ask_still_gets_an_answer() {
    let registry = registry(Config::open().latency(Duration::from_millis(400))).await;
    let client = plain_client(registry.host());
    let (hurried, patient) = tokio::join!(
        app(&registry).within(Duration::from_millis(100)).of(&client),
        app(&registry).of(&client)
    );
    assert_eq!((hurried.id(), patient.id()), ("timeout", "pullable"), "{hurried:?} {patient:?}");
    assert!(hurried.took < Duration::from_millis(350), "{:?}", hurried.took);
}

#[tokio::test]
async fn f14_the_pulls_that_are_left_are_counted_down_to_none() {
    let registry = registry(Config::open()).await;
    let client = plain_client(registry.host());
    let left = || client.stats().registries[registry.host()].pulls_left;
    registry.fault(Fault::on("*", MANIFEST).header("ratelimit-remaining", "76;w=21600"));
    app(&registry).of(&client).await;
    assert_eq!(left(), Some(76));
    registry.clear_faults();
    let limited = Fault::on("*", "*").answer(429).header("ratelimit-remaining", "0;w=21600");
    registry.fault(limited);
    image(format!("{}/app:2", registry.host())).of(&client).await;
    assert_eq!(left(), Some(0));
}

#[tokio::test]
async fn an_answer_from_memory_takes_no_time_worth_counting() {
    const TIMES: u32 = 2000;
    let registry = registry(Config::bearer().user("ci", CANARY)).await;
    let client = plain_client(registry.host());
    let ask = app(&registry).login("ci", CANARY);
    ask.clone().of(&client).await;
    let began = Instant::now();
    for _ in 0..TIMES {
        client.ask(&ask.question, client.deadline()).await;
    }
    let each = began.elapsed() / TIMES;
    // Not optimised, and on a busy machine.
    assert!(each < Duration::from_micros(500), "{each:?}");
}
