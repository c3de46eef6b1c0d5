//! The same error in other coats is the same cause, and no text takes long or breaks anything.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use pullproof::diagnosis::kubelet::{Text, read, shown};

use super::{first, of};

/// Errors with a cause of their own, for all kinds of coats.
const ERRORS: &[&str] = &[
    "rpc error: code = NotFound desc = failed to pull and unpack image \"r.example/a:1\": failed to resolve reference \"r.example/a:1\": r.example/a:1: not found",
    "failed to pull and unpack image \"r.example/a:1\": failed to resolve image: unexpected status from HEAD request to https://r.example/v2/a/manifests/1: 403 Forbidden\ndenied: no",
    "initializing source docker://r.example/a:1: pinging container registry r.example: Get \"https://r.example/v2/\": dial tcp: lookup r.example on 10.0.0.2:53: no such host",
    "Error response from daemon: Get \"https://r.example/v2/\": x509: certificate signed by unknown authority",
    "reading manifest 1 in r.example/a: unauthorized: access to the requested resource is not authorized",
    "[rpc error: code = Unknown desc = Get https://r.example/v2/: received unexpected HTTP status: 500 Internal Server Error, rpc error: code = Unknown desc = manifest unknown]",
    "no matching manifest for linux/arm64 in the manifest list entries",
    "failed commit on ref \"layer-sha256:01\": unexpected commit size 5, expected 7: failed precondition",
    "pull QPS exceeded",
    "context deadline exceeded",
    "something nobody has ever seen",
];

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_coat_changes_nothing(
        at in 0..ERRORS.len(),
        image in "[a-z0-9]{1,8}(\\.[a-z]{2,5})?(:[0-9]{1,4})?(/[a-z0-9_-]{1,9}){1,3}(:[a-z0-9.]{1,9})?",
        container in "[a-z]([a-z0-9-]{0,9}[a-z0-9])?",
    ) {
        let pulled = format!("Failed to pull image \"{image}\": {}", ERRORS[at]);
        let cause = first(&pulled);
        prop_assert!(!cause.is_empty());
        let backed_off = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", ERRORS[at]);
        prop_assert_eq!(first(&backed_off), cause);
        for text in [pulled, backed_off] {
            prop_assert_eq!(first(&escaped(&text)), cause);
            prop_assert_eq!(first(&escaped(&escaped(&text))), cause);
            for kind in ["containers", "initContainers", "ephemeralContainers"] {
                let named = format!("spec.{kind}{{{container}}}: {text}");
                prop_assert_eq!(first(&named), cause);
                prop_assert_eq!(of(&named).image, Some(image.clone()));
            }
        }
    }

    #[test]
    fn any_text_is_read_and_always_alike(
        message in r#"([a-z:"{}\[\]\\ \n,.=/@*_0-9é字]|not found|status 4|image "|spec\.|Get http://|\(Mirrors also failed: |\PC){0,200}"#,
        reason in proptest::option::of("[A-Za-z]{0,12}"),
    ) {
        let text = Text { message: &message, waiting_reason: reason.as_deref(), event_reason: None };
        prop_assert_eq!(read(&text), read(&text));
        prop_assert!(!shown(&message).contains(pullproof::text::is_unsafe));
    }
}

#[test]
fn a_megabyte_is_read_at_once() {
    let repeated = |piece: &str| piece.repeat((1 << 20) / piece.len());
    for text in [
        repeated("a"),
        repeated("\\"),
        repeated("\""),
        repeated("["),
        repeated(", rpc error:"),
        format!("[{}]", repeated("rpc error: x, ")),
        repeated("image \""),
        repeated("tag "),
        repeated("repository not "),
        repeated("Get http://a"),
        repeated("https://"),
        repeated("(Mirrors also failed: ]): "),
        repeated(": 429 "),
        repeated("no suc no space left on dev unexpected commit failed to resol manifest unknow "),
        repeated("spec.containers{"),
        repeated("\u{1f600}"),
        repeated("a "),
        repeated(": "),
        repeated("\"a/b\" "),
        repeated("https://a/b "),
        repeated("r.example/a:1 "),
        repeated("image \"a\" "),
    ] {
        // The best of several, for machines that do other things as well.
        let took = (0..5).map(|_| {
            let start = Instant::now();
            let _ = of(&text);
            start.elapsed()
        });
        let took = took.min().unwrap();

        assert!(
            took < Duration::from_secs(1),
            "{took:?}: {:?}",
            &text.chars().take(30).collect::<String>()
        );
    }
}

#[test]
fn secrets_in_addresses_are_not_shown() {
    let text =
        shown("Get \"https://bot:hunter2@blobs.example/a/b?X-Signature=abc&x=1\": \u{1b}[31mEOF");
    assert_eq!(text, "Get \"https://blobs.example/a/b?...\": \u{fffd}[31mEOF");
}
