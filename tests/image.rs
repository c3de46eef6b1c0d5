//! Image texts that nobody means well, and the forms that have to come out as one.

use std::collections::HashSet;

use proptest::prelude::*;

use pullproof::image::Reference;
use pullproof::image::reference::{Error, LONGEST_TEXT, Target};

fn class(text: &str) -> &'static str {
    Reference::parse(text).map_or_else(Error::id, |_| "ok")
}

fn hex(length: usize) -> String {
    "0123456789abcdef".repeat(length / 16)
}

#[test]
fn b12_an_image_of_64_kib_or_300_segments_is_refused_by_length() {
    assert_eq!(class(&"a".repeat(64 * 1024)), "too_long");
    assert_eq!(class(&["a"; 300].join("/")), "too_long");
    assert_eq!(class(&format!("r.io/{}", "é".repeat(LONGEST_TEXT))), "too_long");
    assert_eq!(class(&["a"; 128].join("/")), "ok");
    assert_eq!(class(&["a"; 129].join("/")), "too_long");
}

#[test]
fn b13_control_bidi_and_zero_width_characters_are_refused_and_placed() {
    for c in ['\0', '\r', '\n', '\u{1b}', '\u{202e}', '\u{200b}', '\u{feff}', '\u{a0}'] {
        for text in [format!("ngi{c}nx"), format!("r.io/a{c}b:1"), format!("a:1{c}")] {
            let error = Reference::parse(&text).unwrap_err();
            assert_eq!(error, Error::Format, "{text:?}");
            assert_eq!(error.position(&text), text.find(c), "{text:?}");
            assert!(!error.to_string().contains(c));
        }
    }
}

#[test]
fn b14_url_parts_are_refused() {
    for text in [
        "https://r.io/a",
        "docker://nginx",
        "user@r.io/a",
        "a@b",
        "r.io/../a",
        "../a",
        "./a",
        "r.io/a%2fb",
        "r.io/a?b=c",
        "r.io/a#b",
        "r.io\\a",
        "r.io/a\\b",
        "//r.io/a",
        "/a",
    ] {
        assert_eq!(class(text), "format", "{text}");
    }
}

#[test]
fn b15_the_case_of_a_host_is_kept_and_a_repository_has_none() {
    let reference = Reference::parse("GHCR.IO/org/app:V1").unwrap();
    assert_eq!((reference.registry(), reference.tag()), ("GHCR.IO", Some("V1")));
    assert_ne!(reference, Reference::parse("ghcr.io/org/app:V1").unwrap());
    for (text, at) in [("ghcr.io/Org/app", 8), ("Nginx", 0), ("Foo_bar.com/app", 0), ("a/B", 2)] {
        assert_eq!(class(text), "uppercase");
        assert_eq!(Error::Uppercase.position(text), Some(at), "{text}");
    }
}

#[test]
fn b16_ports_are_digits_of_any_value() {
    for port in ["0", "65536", "00443", "99999999999999999999"] {
        let reference = Reference::parse(&format!("r.io:{port}/a")).unwrap();
        assert_eq!(reference.endpoint_host(), Some(format!("r.io:{port}")));
    }
    for port in ["-1", "http", "", "80:80", "8o"] {
        assert_eq!(class(&format!("r.io:{port}/a")), "format", "{port}");
    }
}

#[test]
fn b17_tags_and_digests_are_as_long_and_as_low_as_the_grammar_says() {
    assert_eq!(class(&format!("a:{}", "t".repeat(128))), "ok");
    assert_eq!(class(&format!("a:{}", "t".repeat(129))), "format");
    assert_eq!(class(&format!("a@sha512:{}", hex(128))), "ok");
    assert_eq!(class(&format!("a@sha384:{}", hex(96))), "ok");
    assert_eq!(class(&format!("a@sha256:{}", hex(48))), "digest_length");
    assert_eq!(class(&format!("a@sha256:{}", hex(16))), "format");
    assert_eq!(class(&format!("a@sha256:{}", hex(64).to_uppercase())), "digest_format");
    assert_eq!(class(&format!("a@md5:{}", hex(32))), "digest_unsupported");
    assert_eq!(class(&format!("a:1@SHA256:{}", hex(64))), "digest_format");
    let reference = Reference::parse(&format!("a:none@sha256:{}", hex(64))).unwrap();
    assert!(matches!(reference.target(), Target::Digest(d) if d.hex() == hex(64)));
    assert_eq!(reference.tag(), Some("none"));
}

#[test]
fn b20_docker_hub_spellings_are_one_question() {
    let spellings = [
        "nginx",
        "library/nginx",
        "docker.io/nginx",
        "docker.io/library/nginx",
        "index.docker.io/nginx",
        "index.docker.io/library/nginx",
        "nginx:latest",
    ];
    let parsed: HashSet<Reference> =
        spellings.iter().map(|text| Reference::parse(text).unwrap()).collect();
    assert_eq!(parsed.len(), 1);
    for other in ["registry-1.docker.io/library/nginx", "nginx:1", "user/nginx", "localhost/nginx"]
    {
        assert!(!parsed.contains(&Reference::parse(other).unwrap()), "{other}");
    }
}

#[test]
fn b21_hosts_that_look_alike_stay_apart() {
    assert_eq!(class("bücher.io/a"), "format");
    assert_eq!(class("gсr.io/a"), "format");
    assert_eq!(class("gcr.io./a"), "format");
    assert_eq!(class("xn--bcher-kva.io/a"), "ok");
    let plain = Reference::parse("gcr.io/a").unwrap();
    let port = Reference::parse("gcr.io:443/a").unwrap();
    assert_ne!(plain, port);
    assert_eq!(port.keyring_lookup(), "gcr.io:443/a");
}

#[test]
fn b23_a_bare_id_is_refused_and_a_digest_alone_is_fine() {
    assert_eq!(class(&hex(64)), "hex64_identifier");
    assert_eq!(class(&format!("{}:1", hex(64))), "ok");
    assert_eq!(class(&format!("sha256:{}", hex(64))), "ok");
    let reference = Reference::parse(&format!("r.io/a@sha256:{}", hex(64))).unwrap();
    assert_eq!((reference.tag(), reference.cri_image().as_str()), (None, reference.text()));
}

#[test]
fn an_underscore_host_is_asked_though_the_registry_is_empty() {
    let reference = Reference::parse("my_reg.local/team/app:1").unwrap();
    assert_eq!((reference.registry(), reference.repository()), ("", "my_reg.local/team/app"));
    assert_eq!(reference.endpoint_host().as_deref(), Some("my_reg.local"));
    assert_eq!(reference.endpoint_repository(), "team/app");
}

proptest! {
    #[test]
    fn parsing_never_panics_and_places_errors_inside_the_text(text in any::<String>()) {
        if let Err(error) = Reference::parse(&text) {
            let at = error.position(&text).unwrap_or(0);
            prop_assert!(text.is_char_boundary(at), "{text:?} {at}");
        }
    }

    #[test]
    fn what_is_pulled_parses_to_itself(text in "[a-zA-Z0-9._:/@\\[\\]-]{1,24}(@sha256:[0-9a-f]{64})?") {
        if let Ok(reference) = Reference::parse(&text) {
            let again = Reference::parse(&reference.pull_ref()).unwrap();
            prop_assert_eq!(&again, &reference);
            prop_assert_eq!(again.pull_ref(), reference.pull_ref());
            prop_assert_eq!(again.endpoint_host(), reference.endpoint_host());
            prop_assert_eq!(again.registry(), reference.registry());
            prop_assert_eq!(reference.text(), text);
        }
    }
}
