//! Which credentials a kubelet would try for an image, in which order and from where:
//! `pullproof.auth.v1` and a numbered list. Never a password.

use serde::Serialize;

use super::{json, outside};
use crate::credential::Candidate;

/// What is known about the credentials for one image.
#[derive(Debug, Clone, Copy)]
pub struct AuthPlan<'a> {
    /// As asked.
    pub image: &'a str,
    /// The name that credentials are looked up by; empty when the image is no reference.
    pub lookup: &'a str,
    /// Why no credential can be used, for example a pull secret that does not decode.
    pub error: Option<&'a str>,
    /// Whether every kubelet tries them in this order.
    pub order_is_fixed: bool,
    pub candidates: &'a [Candidate],
}

/// `pullproof.auth.v1`
pub fn json(plan: &AuthPlan) -> String {
    json::document(&Document {
        schema: "pullproof.auth.v1",
        image: plan.image,
        lookup: Some(plan.lookup).filter(|lookup| !lookup.is_empty()),
        error: plan.error,
        order: if plan.order_is_fixed { "fixed" } else { "undefined" },
        candidates: plan.candidates.iter().map(Entry::of).collect(),
    })
}

/// What a kubelet would try, as a numbered list.
pub fn text(plan: &AuthPlan) -> String {
    let image = outside::first(plan.image);
    let lookup = outside::sentence(plan.lookup);
    let mut out = match plan.lookup {
        "" => format!("{image}\n"),
        _ => format!("{image} (looked up as {lookup})\n"),
    };
    if let Some(error) = plan.error {
        out.push_str(&format!("  no credential can be used: {}\n", outside::sentence(error)));
    } else if plan.candidates.is_empty() {
        out.push_str("  no credential matches: one anonymous pull\n");
    }
    for (at, candidate) in plan.candidates.iter().enumerate() {
        out.push_str(&format!("  {}. {}\n", at + 1, described(candidate)));
    }
    if !plan.candidates.is_empty() {
        out.push_str("  a kubelet tries them in this order until one pulls; it never falls back to an anonymous pull\n");
    }
    if !plan.order_is_fixed {
        out.push_str("  note: the order is not defined: one key is spelt in two ways with different logins\n");
    }
    out
}

/// `ci-bot from secret shop/ghcr-pull, key ghcr.io`
fn described(candidate: &Candidate) -> String {
    let user = candidate.credential.user();
    let user = if user.is_empty() { "no user".into() } else { outside::sentence(&user) };
    let (source, key) = (candidate.source.to_string(), &candidate.key);
    let (source, key) = (outside::sentence(&source), outside::sentence(key));
    let empty = if candidate.credential.sends_nothing() {
        " (no password: a runtime sends nothing for it)"
    } else {
        ""
    };
    format!("{user} from {source}, key {key}{empty}")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    image: &'a str,
    lookup: Option<&'a str>,
    error: Option<&'a str>,
    order: &'static str,
    candidates: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    user: String,
    source: String,
    key: &'a str,
}

impl<'a> Entry<'a> {
    fn of(candidate: &'a Candidate) -> Self {
        Self {
            user: candidate.credential.user().into_owned(),
            source: candidate.source.to_string(),
            key: &candidate.key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{Credential, Source};
    use crate::report::sample::HOSTILE;

    fn candidate(user: &str, password: &str, key: &str) -> Candidate {
        let source = Source::Secret { namespace: "shop".into(), name: "ghcr-pull".into() };
        Candidate { credential: Credential::new(user, password), source, key: key.into() }
    }

    fn plan(candidates: &[Candidate]) -> AuthPlan<'_> {
        let (image, lookup) = ("ghcr.io/acme/web:1", "ghcr.io/acme/web");
        AuthPlan { image, lookup, error: None, order_is_fixed: true, candidates }
    }

    #[test]
    fn lists_what_a_kubelet_would_try() {
        let candidates =
            [candidate("ci-bot", "canary", "ghcr.io"), candidate("", "", "https://ghcr.io/v1/")];
        let plan = AuthPlan { order_is_fixed: false, ..plan(&candidates) };
        insta::assert_snapshot!("text", text(&plan));
        insta::assert_snapshot!("json", json(&plan));
    }

    #[test]
    fn says_when_the_pull_is_anonymous_or_fails_before_it() {
        assert!(text(&plan(&[])).contains("no credential matches: one anonymous pull"));
        let broken = AuthPlan { error: Some("secret shop/x holds no JSON"), ..plan(&[]) };
        let text = text(&broken);
        assert!(text.contains("no credential can be used: secret shop/x"), "{text}");
        assert!(!text.contains("anonymous"), "{text}");
    }

    #[test]
    fn b45_no_secret_and_no_command_is_shown() {
        let candidates = [candidate(HOSTILE, "canary", HOSTILE)];
        let plan = AuthPlan { image: "::error::x", error: Some(HOSTILE), ..plan(&candidates) };
        for shown in [text(&plan), json(&plan)] {
            assert!(!shown.contains(|c| c != '\n' && crate::text::is_unsafe(c)), "{shown}");
            assert!(!shown.contains("##[") && !shown.contains("canary"), "{shown}");
            assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
        }
    }
}
