//! Identity tokens: exchanged by POST as refresh tokens, never sent by Basic.

use super::*;
use crate::support::Config;

const TOKEN: &str = "CANARY-identity-3e9a";

fn held(place: &Place, host: &str) {
    let entry = json!({"auth": STANDARD.encode("00000000-0000:"), "identitytoken": TOKEN});
    place.write("home/.docker/config.json", json!({"auths": {host: entry}}).to_string());
}

fn validate(place: &Place, registry: &FakeRegistry) -> Run {
    let run = place.run(&["validate", "-v", "-o", "json", "--image", &image(registry)]);
    assert!(!run.all().contains("CANARY"), "{}", run.all());
    run
}

#[track_caller]
fn nothing_by_basic(registry: &FakeRegistry) {
    assert!(users(registry).is_empty(), "{:?}", registry.log());
}

#[test]
fn an_identity_token_is_exchanged_for_an_access_token() {
    let private = || Config::bearer().identity_token("ci", TOKEN).private("team/app", &["ci"]);
    let from_file = (Place::new(), registry(private()));
    held(&from_file.0, from_file.1.host());
    let from_helper = (Place::new(), registry(private()));
    from_helper.0.helper("good", &answer("<token>", TOKEN));
    from_helper.0.write("home/.docker/config.json", r#"{"credsStore": "good"}"#);
    for (place, registry) in [from_file, from_helper] {
        let run = validate(&place, &registry);
        assert_eq!(run.told(), "pullable allow", "{}", run.all());
        let requests = registry.requests();
        let posts: Vec<_> = requests.iter().filter(|it| it.method == "POST").collect();
        assert_eq!(posts.len(), 1);
        assert_eq!(posts[0].field("grant_type").as_deref(), Some("refresh_token"));
        assert_eq!(posts[0].field("refresh_token").as_deref(), Some(TOKEN));
        nothing_by_basic(&registry);
    }
}

#[test]
fn an_identity_token_is_never_sent_by_basic() {
    for config in [
        Config::basic().user("ci", "pw"),
        Config::bearer().private("team/app", &["ci"]).token_post_answers(404),
        Config::bearer().private("team/app", &["ci"]).token_post_answers(401),
        Config::bearer().private("team/app", &["ci"]),
    ] {
        let (place, registry) = (Place::new(), registry(config));
        held(&place, registry.host());
        let run = validate(&place, &registry);
        assert!(run.told().starts_with("finding "), "{}", run.all());
        nothing_by_basic(&registry);
    }
}

#[test]
fn a_password_beside_the_token_is_tried_after_it() {
    let place = Place::new();
    let registry = registry(Config::basic().user("ci", "pw"));
    let entry = json!({"auth": STANDARD.encode("ci:pw"), "identitytoken": TOKEN});
    let document = json!({"auths": {registry.host(): entry}}).to_string();
    place.write("home/.docker/config.json", document);
    assert_eq!(validate(&place, &registry).told(), "pullable allow");
}
