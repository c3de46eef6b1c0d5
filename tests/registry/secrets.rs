//! Who hears a login, and who is shown it: hostile challenges, foreign realms, registries that say
//! back what they were sent.

use super::*;
use crate::support::{Config, FakeRegistry, Fault, Trap};

const MANIFEST: &str = "/v2/app/manifests/1";

/// A registry whose challenges are these, one header line each.
async fn challenging(challenges: &[&str]) -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    registry.fault(Fault::on("*", "/v2/").challenge(challenges));
    registry
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host())).login("ci", CANARY)
}

/// Nothing that arrived holds the login in any spelling.
fn heard_nothing(registry: &FakeRegistry, what: &str) {
    for request in registry.requests() {
        let all = format!("{:?} {}", request.headers, request.form);
        assert!(request.basic().is_none(), "{what}: {request:?}");
        for secret in spellings_of("ci", CANARY) {
            assert!(!all.contains(&secret), "{what}: {request:?}");
        }
    }
}

#[tokio::test]
async fn b34_t04_a_realm_on_another_host_name_never_hears_the_login() {
    let trap = Trap::start().await;
    let port = trap.host().rsplit_once(':').unwrap().1.to_owned();
    for realm in [
        format!("http://localhost:{port}/token"),
        format!("http://127.0.0.2@localhost:{port}/token"),
        format!("http://[::ffff:127.0.0.1]:{port}/token"),
        format!("http://ci:x@127.0.0.1:{port}/token"),
        format!("http://127.0.0.1@localhost:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let registry = challenging(&[&format!("Bearer realm=\"{realm}\",service=\"s\"")]).await;
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert_eq!((asked.id(), asked.is_inconclusive()), ("realm-not-trusted", true), "{realm}");
        heard_nothing(&registry, &realm);
        assert!(!trap.heard(CANARY), "{realm}: {}", trap.text());
    }
    assert!(trap.text().contains("GET /token"), "the token was asked for anonymously");
}

#[tokio::test]
async fn b34_challenges_that_cannot_be_used_are_bad_answers() {
    let long = format!("Bearer realm=\"http://127.0.0.1/{}\"", "a".repeat(64 << 10));
    for challenge in [
        "Bearer",
        "Bearer service=\"s\"",
        "Bearer realm=\"\"",
        "Bearer realm=\"http://127.0.0.1:1/token",
        "Bearer realm=\"/token\"",
        "Bearer realm=\"//127.0.0.1/token\"",
        "Bearer realm=\"file:///etc/passwd\"",
        "Bearer realm=\"gopher://127.0.0.1/\"",
        "Bearer realm=\"http://\"",
        "Digest realm=\"x\", nonce=\"y\"",
        "Negotiate",
        "",
        &long,
    ] {
        let registry = challenging(&[challenge]).await;
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        let shown = &challenge[..challenge.len().min(60)];
        assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{shown}");
        heard_nothing(&registry, shown);
        assert!(registry.count() <= 2, "{shown}: {:?}", registry.log());
    }
}

#[tokio::test]
async fn b34_five_hundred_challenges_are_a_bad_answer() {
    let many = vec!["Bearer realm=\"http://127.0.0.1:1/token\""; 500];
    let registry = challenging(&many).await;
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("bad-answer", true), "{asked:?}");
    heard_nothing(&registry, "500");
}

#[tokio::test]
async fn b34_of_two_challenges_bearer_is_followed_and_quotes_may_hold_commas() {
    let trap = Trap::start().await;
    let realm = format!("http://localhost:{}/token", trap.host().rsplit_once(':').unwrap().1);
    let bearer = format!("Bearer realm=\"{realm}\",service=\"a, Basic realm=b\"");
    let registry = challenging(&["Basic realm=\"x\"", &bearer]).await;
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "realm-not-trusted");
    heard_nothing(&registry, "two challenges");
    assert!(trap.text().contains("service=a%2C+Basic+realm%3Db"), "{}", trap.text());
}

#[tokio::test]
async fn t04_a_realm_that_the_settings_trust_hears_the_login() {
    let registry =
        FakeRegistry::start(Config::bearer().user("ci", CANARY).private("app", &["ci"])).await;
    registry.push_image("app", "1", "linux/amd64");
    let port = registry.host().rsplit_once(':').unwrap().1.to_owned();
    registry.set_realm(&format!("http://localhost:{port}/token"));
    let realms = |realms: &[String]| HostSettings { token_realms: realms.to_vec(), ..plain_http() };
    for (trusted, id) in [
        (vec![], "realm-not-trusted"),
        (vec![format!("http://localhost:{port}/tok")], "realm-not-trusted"),
        (vec![format!("https://localhost:{port}/token")], "realm-not-trusted"),
        (vec![format!("http://localhost:{port}/token")], "pullable"),
    ] {
        let client = client(&settings_for(registry.host(), realms(&trusted)));
        let asked = app(&registry).of(&client).await;
        assert_eq!(asked.id(), id, "{trusted:?}");
    }
}

#[tokio::test]
async fn t04_an_https_registry_sends_no_login_to_a_plain_realm_of_its_own_name() {
    let authority = crate::support::tls::Authority::new();
    let config = Config::bearer().user("ci", CANARY).tls(&authority.valid());
    let registry = FakeRegistry::start(config.private("app", &["ci"])).await;
    registry.push_image("app", "1", "linux/amd64");
    let trap = Trap::start().await;
    registry.set_realm(&format!("http://{}/token", trap.host()));
    let client = client(&settings_for(registry.host(), trusting(&authority)));
    let asked = app(&registry).of(&client).await;
    assert_eq!((asked.id(), trap.heard(CANARY)), ("realm-not-trusted", false), "{asked:?}");
}

#[tokio::test]
async fn t04_a_public_image_behind_a_foreign_realm_is_read_without_the_login() {
    let registry = FakeRegistry::start(Config::bearer().user("ci", CANARY)).await;
    registry.push_image("app", "1", "linux/amd64");
    let port = registry.host().rsplit_once(':').unwrap().1.to_owned();
    registry.set_realm(&format!("http://localhost:{port}/token"));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
    heard_nothing(&registry, "foreign realm");
}

#[tokio::test]
async fn t08_a_login_is_sent_only_to_the_host_it_was_matched_with() {
    // Two hosts in one run: the login of one never reaches the other.
    let (trap, registry) = (Trap::start().await, FakeRegistry::start(Config::basic()).await);
    let client = plain_client("127.0.0.1:*");
    app(&registry).of(&client).await;
    image(format!("{}/app:1", trap.host())).of(&client).await;
    assert!(trap.connections() > 0 && !trap.heard(CANARY));
}

#[tokio::test]
async fn t08_a_registry_that_wants_no_login_hears_none() {
    let registry = FakeRegistry::start(Config::open()).await;
    registry.push_image("app", "1", "linux/amd64");
    let asked = app(&registry).platform("linux/amd64").of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "pullable");
    heard_nothing(&registry, "open");
}

#[tokio::test]
async fn b42_words_of_a_registry_are_cleaned_cut_and_keep_no_secret() {
    let [plain, basic, alone] = spellings_of("ci", CANARY);
    for message in [
        format!("bad login {plain}"),
        format!("you sent Authorization: Basic {basic}"),
        format!("token {alone} \u{1b}[31m<b>no</b> <!channel> \u{202e}"),
        format!("{}{plain}", "a".repeat(250)),
        format!("{plain} {}", "x".repeat(1 << 20)),
    ] {
        for status in [401, 403, 404, 500] {
            let registry = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
            // What follows the first, anonymous question meets the login and its echo.
            registry.fault(Fault::on("*", "/v2/").error(status, &plain, &message).after(1));
            let client = plain_client(registry.host());
            // `of` looks for the login in everything that comes back.
            let asked = app(&registry).of(&client).await;
            let text = format!("{:?} {:?}", asked.diagnosis.summary, asked.diagnosis.evidence);
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
            assert!(asked.diagnosis.summary.chars().count() < 700, "{text}");
            let cut = &plain[..plain.len() - 2];
            assert!(!text.contains(cut), "not even its beginning: {text}");
        }
    }
}

#[tokio::test]
async fn b42_a_token_service_that_says_the_login_back_is_not_quoted() {
    let registry =
        FakeRegistry::start(Config::bearer().user("ci", "other").private("app", &["ci"])).await;
    registry.push_image("app", "1", "linux/amd64");
    let form = format!("grant_type=password&username=ci&password={CANARY}");
    registry.fault(Fault::on("*", "/token").error(401, "UNAUTHORIZED", &form));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "credentials-rejected", "{asked:?}");
}

#[tokio::test]
async fn b42_a_tag_that_spells_the_password_is_no_suggestion() {
    let registry = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
    registry.push_image("app", CANARY, "linux/amd64");
    registry.push_image("app", "CANARY", "linux/amd64");
    let near = format!("{}/app:{}", registry.host(), &CANARY[1..]);
    let asked = image(near).login("ci", CANARY).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "tag-not-found");
}

#[tokio::test]
async fn b42_a_type_that_spells_the_password_is_not_shown() {
    let registry = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
    registry.push_image("app", "1", "linux/amd64");
    let odd = format!("application/{CANARY}");
    registry.fault(Fault::on("*", MANIFEST).header("content-type", &odd).after(1));
    let asked = app(&registry).of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "unsupported-manifest", "{asked:?}");
    let config = format!("{{\"config\":{{\"mediaType\":\"{odd}\",\"digest\":\"x\"}}}}");
    registry.push_raw("chart", "1", crate::support::media_type::MANIFEST, config);
    let ask = image(format!("{}/chart:1", registry.host())).login("ci", CANARY);
    let asked = ask.platform("linux/amd64").of(&plain_client(registry.host())).await;
    assert_eq!(asked.id(), "unsupported-manifest", "{asked:?}");
}

#[tokio::test]
async fn t29_links_in_a_registrys_words_lose_their_signatures_and_logins() {
    const WORDS: &str = "see https://ci:CANARY-user-info@s3.example/a?X-Sig=CANARY-query#CANARY-end \
        and s3.example/b?sig=CANARY-bare";
    let body = serde_json::json!({"errors": [
        {"code": "DENIED", "message": WORDS, "detail": "more //x:CANARY-more@h/c?t=CANARY-t"},
    ]});
    for status in [401, 403, 404, 418, 500, 503] {
        for basic in [false, true] {
            let config = if basic { Config::basic() } else { Config::bearer() };
            let registry = FakeRegistry::start(config.user("ci", CANARY)).await;
            let told = Fault::on("*", "/v2/").body(body.to_string()).answer(status);
            registry.fault(told.after(1));
            let client = plain_client(registry.host());
            let asked = app(&registry).platform("linux/amd64").of(&client).await;
            assert!(!asked.text().contains("CANARY-"), "{status}: {asked:?}");
        }
        let registry = FakeRegistry::start(Config::bearer().user("ci", CANARY)).await;
        registry.fault(Fault::on("*", "/token").body(body.to_string()).answer(status));
        let asked = app(&registry).of(&plain_client(registry.host())).await;
        assert!(!asked.text().contains("CANARY-"), "{status}: {asked:?}");
        if (401..=404).contains(&status) {
            assert!(asked.text().contains("see https://s3.example/a"), "{status}: {asked:?}");
        }
    }
}
