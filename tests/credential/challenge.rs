//! What a hostile registry may ask for: challenges that decide which secret would be sent.

use std::time::Duration;

use proptest::prelude::*;
use pullproof::registry::challenge::{self, MAX_HEADER, Scheme, Unusable, Use};

use super::quickest;

const GOOD: &str = r#"Bearer realm="https://r.local/t",service="s""#;

fn chosen(header: &str) -> Use {
    challenge::choose(&challenge::parse(&[header]))
}

fn realm(realm: &str) -> Option<String> {
    let quoted = realm.replace('\\', "\\\\").replace('"', "\\\"");
    match chosen(&format!("Bearer realm=\"{quoted}\"")) {
        Use::Bearer(bearer) => Some(bearer.realm),
        _ => None,
    }
}

#[test]
fn b34_long_and_many_headers_take_little_time() {
    let many_parameters = format!("Bearer {}", "a=\"\\b\",".repeat(2_000));
    let headers = [
        format!("Bearer realm=\"{}\"", "a".repeat(64 << 10)),
        format!("Bearer realm=\"{}", "\\\"".repeat(8_000)),
        many_parameters[..MAX_HEADER.min(many_parameters.len())].to_owned(),
        format!("Bearer {}", " ".repeat(16_000)),
    ];
    for header in headers {
        let copies = vec![header; 500];
        let taken = quickest(|| drop(challenge::choose(&challenge::parse(&copies))));
        assert!(taken < Duration::from_secs(10), "{taken:?}");
    }
}

#[test]
fn b34_a_header_above_the_cap_is_ignored_and_the_next_one_counts() {
    let long = format!("Bearer realm=\"https://evil.test/{}\"", "a".repeat(64 << 10));
    let challenges = challenge::parse(&[long.as_str(), "Basic realm=\"r\""]);
    assert_eq!(challenge::choose(&challenges), Use::Basic { realm: "r".to_owned() });
}

#[test]
fn b34_five_hundred_copies_are_the_first_one() {
    let mut headers = vec!["Basic realm=\"r\"".to_owned()];
    headers.extend((0..500).map(|i| format!("Bearer realm=\"https://r{i}.local/t\"")));
    let challenges = challenge::parse(&headers);
    assert_eq!((challenges.len(), challenges[500].scheme), (501, Scheme::Basic));
    let Use::Bearer(bearer) = challenge::choose(&challenges) else { panic!("no bearer") };
    assert_eq!(bearer.realm, "https://r0.local/t");
}

#[test]
fn b34_open_quotes_make_an_empty_value_and_end_the_line() {
    let Use::Bearer(bearer) = chosen("Bearer realm=\"https://r.local/t,service=\"s\"") else {
        panic!("no bearer")
    };
    assert_eq!(
        (bearer.realm.as_str(), bearer.service.as_str()),
        ("https://r.local/t,service=", "")
    );
    let Use::Bearer(bearer) = chosen("Bearer service=\"s\",realm=\"https://r.local/t") else {
        panic!("no bearer")
    };
    assert_eq!((bearer.realm.as_str(), bearer.service.as_str()), ("", "s"));
}

#[test]
fn b34_a_missing_or_unreadable_realm_is_named_and_basic_is_no_way_out() {
    for (header, expected) in [
        ("Bearer", Unusable::NoRealm),
        ("Bearer service=\"s\"", Unusable::NoRealm),
        ("Bearer realm=\"http://[::1/t\"", Unusable::InvalidRealm),
        ("Bearer realm=\"https://r.local/%zz\"", Unusable::InvalidRealm),
        ("Bearer realm=\"https://r.local:port/t\"", Unusable::InvalidRealm),
        ("Bearer realm=\"https://r.local/\t\"", Unusable::InvalidRealm),
        ("Bearer realm=\"https://a b/t\"", Unusable::InvalidRealm),
    ] {
        let challenges = challenge::parse(&["Basic realm=\"r\"", header]);
        match challenge::choose(&challenges) {
            Use::BearerUnusable { reason, .. } => assert_eq!(reason, expected, "{header}"),
            other => panic!("{header}: {other:?}"),
        }
    }
}

#[test]
fn b34_odd_realms_are_handed_on_as_they_are_for_the_guard_to_refuse() {
    for text in [
        "",
        "/token",
        "token",
        "//other.test/t",
        "file:///etc/passwd",
        "gopher://x:70/_",
        "http://169.254.169.254/latest",
        "https://u:p@r.local/t",
        "http://[::ffff:127.0.0.1]:80/t",
    ] {
        assert_eq!(realm(text).as_deref(), Some(text));
    }
    assert_eq!(realm("https://r.local/a b").as_deref(), Some("https://r.local/a%20b"));
}

#[test]
fn b34_two_challenges_in_one_line_are_the_first_and_commas_in_quotes_stay() {
    let Use::Bearer(bearer) = chosen(&format!("{GOOD}, Basic realm=\"r\"")) else {
        panic!("no bearer")
    };
    assert_eq!(bearer.service, "s");
    let scoped = format!("{GOOD},scope=\"repository:a:pull,push b\"");
    let Use::Bearer(bearer) = chosen(&scoped) else { panic!("no bearer") };
    assert_eq!(bearer.scopes, ["repository:a:pull,push", "b"]);
}

proptest! {
    #[test]
    fn b34_parsing_never_panics(headers in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..80), 0..4,
    )) {
        let challenges = challenge::parse(&headers);
        prop_assert!(challenges.len() <= headers.len());
        challenge::choose(&challenges);
    }

    #[test]
    fn b34_realms_never_panic(text in r#"(https?:)?[a-c:/?#%@\[\]0-9 "\\.-]{0,40}"#) {
        if let Some(url) = realm(&text) {
            // What was written once is not changed by a second reading.
            prop_assert_eq!(realm(&url), Some(url));
        }
    }
}
