//! Redirects and links: followed a little, never with a login to another origin, never to where we
//! may not connect.

use pullproof::diagnosis::evidence::{Auth, Reply};

use super::*;
use crate::support::{Config, FakeRegistry, Fault, Trap};

const MANIFEST: &str = "/v2/app/manifests/1";

/// Wants a login for everything.
async fn private() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host())).login("ci", CANARY)
}

#[tokio::test]
async fn f21_redirects_in_circles_and_long_chains_are_left_after_five() {
    for fault in
        [Fault::on("*", MANIFEST).redirect_to_self(), Fault::on("*", MANIFEST).redirect_chain(20)]
    {
        let registry = private().await;
        registry.fault(fault);
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("too-many-redirects", true));
        assert_eq!(registry.count(), 6);
    }
    let registry = private().await;
    registry.fault(Fault::on("*", MANIFEST).redirect_chain(5));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable", "the same origin may see the login: {asked:?}");
}

#[tokio::test]
async fn f22_t05_a_redirect_to_another_port_or_host_carries_no_login() {
    for origin in ["http://127.0.0.1", "http://localhost"] {
        let (registry, trap) = (private().await, Trap::start().await);
        let port = trap.host().rsplit_once(':').unwrap().1.to_owned();
        // The first request is anonymous and refused; the one with the login is led away.
        let away = Fault::on("*", MANIFEST).redirect_to_host(&format!("{origin}:{port}"));
        registry.fault(away.after(1));
        app(&registry).of(&plain_client(registry.host())).await;
        assert!(trap.connections() > 0, "{origin} was asked");
        assert!(!trap.heard(CANARY) && !trap.text().to_lowercase().contains("authorization"));
    }
}

#[tokio::test]
async fn f22_t05_a_token_is_not_led_to_another_origin_either() {
    let registry =
        FakeRegistry::start(Config::bearer().user("ci", CANARY).private("app", &["ci"])).await;
    registry.push_image("app", "1", "linux/amd64");
    let trap = Trap::start().await;
    let away = format!("http://{}", trap.host());
    registry.fault(Fault::on("GET", "/v2/app/").redirect_to_host(&away));
    let asked = app(&registry).platform("linux/amd64").of(&plain_client(registry.host())).await;
    assert!(trap.text().starts_with("GET /v2/app/manifests/sha256:"), "{asked:?}");
    assert!(!trap.text().to_lowercase().contains("authorization"));
    assert!(!trap.heard(CANARY));
}

#[tokio::test]
async fn f22_a_redirect_from_https_to_http_is_refused() {
    let authority = crate::support::tls::Authority::new();
    let config = Config::basic().user("ci", CANARY).tls(&authority.valid());
    let registry = FakeRegistry::start(config).await;
    let trap = Trap::start().await;
    let away = Fault::on("*", MANIFEST).redirect_to_host(&format!("http://{}", trap.host()));
    registry.fault(away);
    let client = client(&settings_for(registry.host(), trusting(&authority)));
    let asked = app(&registry).of(&client).await;
    assert_eq!((asked.id(), trap.connections()), ("bad-answer", 0), "{asked:?}");
}

#[tokio::test]
async fn b35_locations_that_lead_nowhere_good_are_refused() {
    let long = format!("/{}", "a".repeat(64 << 10));
    for location in [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://ci:hunter2hunter2@127.0.0.1:1/",
        "http://",
        "http://[::1",
        &long,
    ] {
        let registry = private().await;
        registry.fault(Fault::on("*", MANIFEST).redirect(location));
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
        assert!(!asked.text().contains("hunter2"), "{asked:?}");
    }
    let registry = private().await;
    registry.fault(Fault::on("*", MANIFEST).answer_with(307, "", ""));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "bad-answer", "no Location at all");
}

#[tokio::test]
async fn b35_a_location_with_a_line_break_splits_no_request() {
    let registry = private().await;
    let answer = "HTTP/1.1 307 X\r\nlocation: /v2/\r\n x-injected: 1\r\ncontent-length: 0\r\n\r\n";
    registry.fault(Fault::on("*", MANIFEST).raw(answer));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
    assert!(registry.requests().iter().all(|r| !r.headers.contains_key("x-injected")));
}

#[tokio::test]
async fn b35_a_location_without_scheme_or_to_metadata_brings_no_login_there() {
    let (registry, trap) = (private().await, Trap::start().await);
    let away = format!("//{}/x", trap.host());
    registry.fault(Fault::on("*", MANIFEST).redirect(&away).after(1));
    app(&registry).of(&plain_client(registry.host())).await;
    assert!(!trap.text().to_lowercase().contains("authorization"));

    let registry = private().await;
    registry.fault(Fault::on("*", MANIFEST).redirect("http://169.254.169.254/latest/meta-data/"));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("address-refused", true), "{asked:?}");
    registry.clear_faults();
    registry.push_image("other", "1", "linux/amd64");
    let other = image(format!("{}/other:1", registry.host())).login("ci", CANARY);
    let client = plain_client(registry.host());
    assert_eq!(other.of(&client).await.id(), "pullable", "the registry itself is not refused");
}

#[tokio::test]
async fn b36_a_link_to_another_host_is_never_followed() {
    let (registry, trap) = (private().await, Trap::start().await);
    let link = format!("<http://{}/v2/app/tags/list?last=1>; rel=\"next\"", trap.host());
    registry.fault(Fault::on("*", "*").header("link", &link).after(1));
    let ask = image(format!("{}/app:none", registry.host())).login("ci", CANARY);
    let asked = ask.of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "tag-not-found", "{asked:?}");
    assert_eq!((trap.connections(), registry.count_of("GET", "/v2/app/tags/list")), (0, 1));
}

#[tokio::test]
async fn t06_one_page_of_tags_is_asked_and_no_more() {
    let registry = FakeRegistry::start(Config::open().page_size(2)).await;
    for tag in ["1.0", "1.1", "1.2", "1.3"] {
        registry.push_image("app", tag, "linux/amd64");
    }
    let client = plain_client(registry.host());
    for tag in ["1.00", "1.01", "1.02"] {
        let asked = image(format!("{}/app:{tag}", registry.host())).of(&client).await;
        assert_eq!(asked.id(), "tag-not-found");
        assert!(asked.diagnosis.advice[0].starts_with("nearest tags: 1."), "{asked:?}");
    }
    assert_eq!(registry.count_of("GET", "/v2/app/tags/list"), 1);
}

#[tokio::test]
async fn a_token_service_that_redirects_is_not_followed_even_within_its_origin() {
    for (login, method) in [(true, "*"), (false, "GET")] {
        for status in [301, 302, 307, 308] {
            let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
            let registry = FakeRegistry::start(config).await;
            registry.push_image("app", "1", "linux/amd64");
            let moved = Fault::on(method, "/token").answer(status);
            registry.fault(moved.header("location", "/elsewhere"));
            let ask = image(format!("{}/app:1", registry.host()));
            let ask = if login { ask.login("ci", CANARY) } else { ask };
            let asked = ask.of(&plain_client(registry.host())).await;
            assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
            assert!(asked.text().contains("a redirect, which is not followed"), "{asked:?}");
            assert_eq!(registry.count_of("*", "/elsewhere"), 0);
        }
    }
}

#[tokio::test]
async fn an_authority_that_is_trusted_for_one_host_is_not_trusted_for_where_it_leads() {
    let authority = crate::support::tls::Authority::new();
    let config = || Config::open().tls(&authority.for_names(&["127.0.0.1", "localhost"]));
    let (one, two) = (FakeRegistry::start(config()).await, FakeRegistry::start(config()).await);
    for registry in [&one, &two] {
        registry.push_image("app", "1", "linux/amd64");
    }
    let port = two.host().rsplit_once(':').unwrap().1;
    let away = format!("https://localhost:{port}");
    one.fault(Fault::on("*", "/v2/app/manifests/").redirect_to_host(&away));
    let settings = settings_for(one.host(), trusting(&authority));
    let ask = image(format!("{}/app:1", one.host()));
    let asked = ask.clone().of(&client(&settings)).await;
    assert_eq!((asked.id(), two.count()), ("tls-untrusted", 0), "{asked:?}");
    let mut both = settings;
    both.registries = both.registries.with_host(&format!("localhost:{port}"), trusting(&authority));
    assert_eq!(ask.of(&client(&both)).await.id(), "pullable", "named for both");
    assert_eq!(two.count(), 1);
}

#[tokio::test]
async fn a_refusal_behind_a_redirect_is_told_of_its_host_and_blames_no_login() {
    let (registry, store) = (private().await, FakeRegistry::start(Config::open()).await);
    registry.fault(Fault::on("*", MANIFEST).redirect_to_host(&store.url()).after(1));
    store.fault(Fault::on("*", "*").answer(403));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    let attempt = &asked.answer.attempts[0];
    let Reply::Refused(refusal) = &attempt.reply else { panic!("{asked:?}") };
    assert_eq!((refusal.host.as_str(), refusal.auth), (store.host(), Auth::NotDemanded));
    assert_eq!(attempt.login_was_sent(), Some(false));
}
