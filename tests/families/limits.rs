//! Hosts that ask to wait: F12, F13 and F14 over the wire, and a limit that is used up beside a good
//! answer.

use std::time::{Duration, Instant};

use pullproof::settings::Limits;

use super::*;
use crate::support::{Config, Fault};

const SOON: Duration = Duration::from_millis(250);

/// A plain registry with `app:1`, and settings with these limits that lead to it.
async fn plain(config: Config, limits: Limits) -> (FakeRegistry, Settings) {
    let server = FakeRegistry::start(config).await;
    server.push_image("app", "1", "linux/amd64");
    let entry = HostSettings { plain_http: true, ..HostSettings::default() };
    let mut settings = Settings { limits, ..Settings::default() };
    settings.registries = settings.registries.with_host(server.host(), entry);
    (server, settings)
}

struct Asker<'a> {
    server: &'a FakeRegistry,
    settings: &'a Settings,
    client: Registry,
}

impl<'a> Asker<'a> {
    fn new(server: &'a FakeRegistry, settings: &'a Settings) -> Self {
        Self { server, settings, client: client(settings) }
    }

    async fn about(&self, image: &str, login: Option<(&str, &str)>) -> &'static str {
        let text = format!("{}/{image}", self.server.host());
        id(&ask(self.settings, &self.client, &question(&text, self.server.host(), login)).await)
    }
}

fn quick() -> Limits {
    Limits {
        pause_shortest: SOON,
        pause_longest: Duration::from_secs(2),
        backoff_longest: 4 * SOON,
        ..Limits::default()
    }
}

#[tokio::test]
async fn f12_a_host_that_asks_for_two_seconds_gets_them_for_all_its_images() {
    let (server, settings) = plain(Config::open(), Limits::default()).await;
    server.fault(Fault::in_repository("limited").retry_after("2"));
    let asker = Asker::new(&server, &settings);
    let begun = Instant::now();
    assert_eq!(asker.about("limited:1", None).await, "rate-limited");
    while begun.elapsed() < Duration::from_millis(1500) {
        assert_eq!(asker.about("app:1", None).await, "rate-limited");
        assert_eq!(asker.about("limited:1", None).await, "rate-limited");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(server.count(), 1, "{:?}", server.log());
    tokio::time::sleep(Duration::from_millis(2300).saturating_sub(begun.elapsed())).await;
    assert_eq!(asker.about("app:1", None).await, "pullable");
}

#[tokio::test]
async fn f12_what_was_seen_shortly_before_is_still_told() {
    let (server, settings) = plain(Config::open(), Limits::default()).await;
    let asker = Asker::new(&server, &settings);
    assert_eq!(asker.about("app:1", None).await, "pullable");
    server.fault(Fault::on("*", "*").retry_after("60"));
    assert_eq!(asker.about("app:2", None).await, "rate-limited");
    assert_eq!(asker.about("app:1", None).await, "pullable");
    assert_eq!(server.count(), 2, "{:?}", server.log());
}

#[tokio::test]
async fn f12_another_login_goes_on_and_nobody_in_particular_waits() {
    let (server, settings) = plain(Config::open(), Limits::default()).await;
    server.fault(Fault::in_repository("app").retry_after("60").once());
    let asker = Asker::new(&server, &settings);
    assert_eq!(asker.about("app:1", None).await, "rate-limited");
    assert_eq!(asker.about("app:1", Some(("ci", "good"))).await, "pullable");
    assert_eq!(asker.about("app:2", None).await, "rate-limited");
    assert_eq!(asker.about("app:2", Some(("ci", "good"))).await, "tag-not-found");
}

#[tokio::test]
async fn f12_a_token_service_that_asks_to_wait_is_left_alone_and_named() {
    let world = World::of("docker-hub").await;
    world.server.fault(Fault::on("GET", "/token").retry_after("60"));
    let client = world.client();
    let first = world.ask(&client, "team/public:1", None).await;
    assert_eq!(id(&first), "rate-limited");
    assert!(first.summary.contains("auth.docker.io"), "{}", first.summary);
    assert_eq!(id(&world.ask(&client, "team/last:1", None).await), "rate-limited");
    assert_eq!(world.server.count_of("*", "/token"), 1);
}

#[tokio::test]
async fn f13_whatever_a_registry_asks_for_the_pause_stays_within_bounds() {
    for odd in ["1000000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let limits = Limits { pause_longest: 2 * SOON, ..quick() };
        let (server, settings) = plain(Config::open(), limits).await;
        server.fault(Fault::on("*", "*").retry_after(odd).once());
        let asker = Asker::new(&server, &settings);
        assert_eq!(asker.about("app:1", None).await, "rate-limited", "{odd}");
        assert_eq!(asker.about("app:1", None).await, "rate-limited", "{odd}");
        assert_eq!(server.count(), 1, "{odd}");
        tokio::time::sleep(2 * SOON).await;
        assert_eq!(asker.about("app:1", None).await, "pullable", "{odd}");
    }
    for odd in ["-1", "0", "soon", "", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let (server, settings) = plain(Config::open(), quick()).await;
        server.fault(Fault::on("*", "*").retry_after(odd).once());
        let asker = Asker::new(&server, &settings);
        assert_eq!(asker.about("app:1", None).await, "rate-limited", "{odd}");
        assert_eq!(server.count(), 1, "{odd}");
        tokio::time::sleep(SOON + SOON / 2).await;
        assert_eq!(asker.about("app:1", None).await, "pullable", "{odd}");
    }
}

#[tokio::test]
async fn f14_without_a_header_each_refusal_in_a_row_doubles_the_pause() {
    let (server, settings) = plain(Config::open(), quick()).await;
    server.fault(Fault::on("*", "*").answer(429).times(2));
    let asker = Asker::new(&server, &settings);
    let begun = Instant::now();
    while asker.about("app:1", None).await == "rate-limited" {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    // One pause of 250 ms and one of 500 ms, each ±20 %.
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    assert_eq!(server.count(), 3, "{:?}", server.log());
}

#[tokio::test]
async fn f14_a_limit_used_up_beside_a_good_answer_is_a_remark_on_a_pullable_image() {
    let world = World::of("docker-hub").await;
    let diagnosis = world.ask(&world.client(), "team/last:1", None).await;
    assert_eq!(id(&diagnosis), "pullable");
    assert_eq!(diagnosis.pulls, Some(true));
    assert!(
        diagnosis.remarks.iter().any(|remark| remark.contains("no pulls left for this address")),
        "{:?}",
        diagnosis.remarks
    );
    for left in ["1;w=21600", "none", "-0", ""] {
        let config = Config::open().header("ratelimit-remaining", left);
        let (server, settings) = plain(config, Limits::default()).await;
        let text = format!("{}/app:1", server.host());
        let client = client(&settings);
        let diagnosis = ask(&settings, &client, &question(&text, server.host(), None)).await;
        assert_eq!((id(&diagnosis), diagnosis.remarks.len()), ("pullable", 0), "{left}");
    }
}
