//! Registries that are out of order for long: after a few failures they are left alone, each caller by
//! itself, and nobody else is held up. One that asks to wait is waited for.

use futures_util::future::join_all;

use super::*;
use crate::support::{Config, FakeRegistry, Fault, closed_port};

async fn registry(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start(config).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn tag(registry: &FakeRegistry, tag: impl std::fmt::Display) -> Ask {
    image(format!("{}/app:{tag}", registry.host()))
}

/// The client of the webhook, for plain http hosts; with breakers that are tried every second.
fn webhook(registries: &[&FakeRegistry]) -> Registry {
    let mut settings = Settings { limits: Limits::webhook(), ..Settings::default() };
    settings.limits.breaker_try = Duration::from_secs(1);
    for registry in registries {
        settings.registries = settings.registries.with_host(registry.host(), plain_http());
    }
    client(&settings)
}

#[tokio::test]
async fn f01_in_the_webhook_a_refused_connection_is_told_at_once() {
    let client = webhook(&[]);
    // Once to load the system's authorities, which takes its time.
    image(format!("{}/app:1", closed_port())).of(&client).await;
    let asked = image(format!("{}/app:1", closed_port())).of(&client).await;
    assert_eq!(asked.id(), "connection-refused");
    assert!(asked.took < Duration::from_millis(300), "{:?}", asked.took);
}

#[tokio::test]
async fn f11_a_flood_of_errors_opens_the_breaker_and_touches_no_other_host() {
    let (broken, well) = (registry(Config::open()).await, registry(Config::open()).await);
    broken.fault(Fault::on("*", "*").answer(503));
    let client = webhook(&[&broken, &well]);
    for n in 0..5 {
        tag(&broken, format!("t{n}")).of(&client).await;
    }
    let sent = broken.count();
    assert!((5..=7).contains(&sent), "{:?}", broken.log());
    let began = Instant::now();
    for n in 0..200 {
        let asked = tag(&broken, format!("u{n}")).of(&client).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("breaker-open", true), "{asked:?}");
        assert!(asked.text().contains("last: 503"), "{asked:?}");
    }
    assert!(began.elapsed() / 200 < Duration::from_millis(5), "{:?}", began.elapsed());
    assert_eq!(broken.count(), sent);
    let stats = client.stats();
    assert_eq!(stats.registries[broken.host()].breaker, Breaker::Open);
    assert_eq!(tag(&well, 1).of(&client).await.id(), "pullable");
    assert_eq!(
        stats.registries.get(well.host()).map_or(Breaker::Closed, |it| it.breaker),
        Breaker::Closed
    );
    for tries in 1..=2 {
        tokio::time::sleep(Duration::from_millis(1050)).await;
        for n in 0..20 {
            tag(&broken, format!("v{tries}{n}")).of(&client).await;
        }
        assert_eq!(broken.count(), sent + tries, "one try a time: {:?}", broken.log());
    }
    broken.clear_faults();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(tag(&broken, 1).of(&client).await.id(), "pullable");
    assert_eq!(client.stats().registries[broken.host()].breaker, Breaker::Closed);
}

#[tokio::test]
async fn f11_refusals_and_limits_are_answers_and_open_no_breaker() {
    for status in [401, 403, 404, 429] {
        let registry = registry(Config::open()).await;
        registry.fault(Fault::on("*", "*").answer(status));
        let client = webhook(&[&registry]);
        for n in 0..10 {
            let asked = tag(&registry, format!("t{n}")).of(&client).await;
            assert_ne!(asked.id(), "breaker-open", "{status}");
        }
    }
}

#[tokio::test]
async fn f11_a_login_that_fails_leaves_nobody_else_alone() {
    let registry = registry(Config::basic().user("ci", CANARY)).await;
    let client = webhook(&[&registry]);
    assert_eq!(tag(&registry, 1).login("ci", CANARY).of(&client).await.id(), "pullable");
    registry.fault(Fault::on("*", "*").answer(500));
    for n in 0..5 {
        tag(&registry, format!("t{n}")).login("other", CANARY).of(&client).await;
    }
    let other = tag(&registry, "last").login("other", CANARY).of(&client).await;
    assert_eq!(other.id(), "breaker-open");
    registry.clear_faults();
    registry.push_image("app", "2", "linux/amd64");
    assert_eq!(tag(&registry, 2).login("ci", CANARY).of(&client).await.id(), "pullable");
}

#[tokio::test]
async fn f27_known_images_are_let_in_while_their_registry_is_down_and_one_question_finds_it_again()
{
    let registry = registry(Config::open()).await;
    let port: u16 = registry.host().rsplit_once(':').unwrap().1.parse().unwrap();
    let mut settings = Settings { limits: Limits::webhook(), ..Settings::default() };
    settings.registries = settings.registries.with_host(registry.host(), plain_http());
    settings.limits.present = Duration::from_millis(200);
    settings.limits.unreachable = Duration::from_millis(300);
    settings.limits.breaker_try = Duration::from_millis(300);
    settings.limits.unreachable_longest = Duration::from_millis(600);
    let client = client(&settings);
    let ask = tag(&registry, 1);
    assert_eq!(ask.clone().of(&client).await.id(), "pullable");
    registry.stop().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2500) {
        let asked = ask.clone().of(&client).await;
        assert_eq!(asked.id(), "pullable", "{asked:?}");
        assert!(asked.took < Duration::from_millis(500), "{:?}", asked.took);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(matches!(ask.clone().of(&client).await.origin(), Origin::Stale(_)));
    let again = registry_at(port).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let answers = join_all((0..100).map(|_| ask.clone().of(&client))).await;
    assert!(answers.iter().all(|asked| asked.id() == "pullable"));
    assert_eq!(again.count(), 1, "{:?}", again.log());
    assert!(!matches!(ask.of(&client).await.origin(), Origin::Stale(_)));
}

async fn registry_at(port: u16) -> FakeRegistry {
    registry(Config::open().port(port)).await
}

#[tokio::test]
async fn f12_in_the_webhook_a_pause_is_not_waited_for_and_ends_when_it_was_said() {
    let registry = registry(Config::open()).await;
    registry.fault(Fault::on("*", "*").retry_after("2").once());
    let client = webhook(&[&registry]);
    assert_eq!(tag(&registry, 1).of(&client).await.id(), "rate-limited");
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        let asked = tag(&registry, 2).of(&client).await;
        assert_eq!(asked.id(), "rate-limited");
        assert!(asked.took < Duration::from_millis(200), "{:?}", asked.took);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(registry.count(), 1);
    registry.push_image("app", "2", "linux/amd64");
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(tag(&registry, 2).of(&client).await.id(), "pullable");
}

#[tokio::test]
async fn f29_a_thousand_images_on_a_host_that_hangs_end_with_the_breaker() {
    let (hung, well) = (registry(Config::open()).await, registry(Config::open()).await);
    hung.fault(Fault::on("*", "*").hang());
    let client = webhook(&[&hung, &well]);
    let began = Instant::now();
    let asks = (0..1000).map(|n| tag(&hung, format!("t{n}")).of(&client));
    let (hung_answers, well_answers) =
        tokio::join!(join_all(asks), join_all((0..100).map(|_| tag(&well, 1).of(&client))));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(hung_answers.iter().all(Asked::is_inconclusive));
    assert!(well_answers.iter().all(|asked| asked.id() == "pullable"));
    assert!(well_answers.iter().all(|asked| asked.took < Duration::from_secs(2)));
    let next = tag(&hung, "next").of(&client).await;
    assert!(["breaker-open", "timeout"].contains(&next.id()), "{next:?}");
    assert!(hung.count() <= 1 + 2 * Limits::webhook().in_flight_host, "{}", hung.count());
}

#[tokio::test]
async fn a_rate_in_the_settings_spreads_requests_out() {
    let registry = registry(Config::open()).await;
    (0..8).for_each(|n| drop(registry.push_image("app", &format!("t{n}"), "linux/amd64")));
    let entry = HostSettings { rate: Some(4.0), ..plain_http() };
    let client = client(&settings_for(registry.host(), entry));
    let began = Instant::now();
    let answers = join_all((0..8).map(|n| tag(&registry, format!("t{n}")).of(&client))).await;
    assert!(answers.iter().all(|asked| asked.id() == "pullable"), "{answers:?}");
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    let late =
        join_all((0..20).map(|n| {
            tag(&registry, format!("u{n}")).within(Duration::from_millis(800)).of(&client)
        }));
    let late = late.await;
    assert!(late.iter().any(|asked| asked.id() == "out-of-time"), "{late:?}");
}
