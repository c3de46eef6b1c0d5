//! `imagePullPolicy`, `pullPolicy` of image volumes, and the default that the API server fills in
//! (`pkg/apis/core/v1/defaults.go` of Kubernetes). The AlwaysPullImages plugin may override both.

use std::fmt;

use super::Reference;
use super::reference::Target;

/// When a kubelet pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// The policy of that exact spelling; the API server refuses any other.
    pub fn parse(text: &str) -> Option<PullPolicy> {
        match text {
            "Always" => Some(PullPolicy::Always),
            "IfNotPresent" => Some(PullPolicy::IfNotPresent),
            "Never" => Some(PullPolicy::Never),
            _ => None,
        }
    }

    /// The spelling in a manifest.
    pub fn id(self) -> &'static str {
        match self {
            PullPolicy::Always => "Always",
            PullPolicy::IfNotPresent => "IfNotPresent",
            PullPolicy::Never => "Never",
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// The policy after defaulting, for an image as written.
///
/// Without an explicit one it is `Always` when the tag is `latest`, written or implied; a digest
/// implies no tag, and a text that does not parse has none.
pub fn effective(text: &str, explicit: Option<PullPolicy>) -> PullPolicy {
    explicit.unwrap_or_else(|| match Reference::parse(text) {
        Ok(reference) if is_latest(&reference) => PullPolicy::Always,
        _ => PullPolicy::IfNotPresent,
    })
}

fn is_latest(reference: &Reference) -> bool {
    match reference.tag() {
        Some(tag) => tag == "latest",
        None => matches!(reference.target(), Target::Tag(_)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_exact_and_comes_back() {
        for policy in [PullPolicy::Always, PullPolicy::IfNotPresent, PullPolicy::Never] {
            assert_eq!(PullPolicy::parse(&policy.to_string()), Some(policy));
        }
        assert_eq!(PullPolicy::parse("always"), None);
        assert_eq!(PullPolicy::parse(""), None);
    }

    #[test]
    fn latest_beside_a_digest_still_means_always() {
        let text = format!("nginx:latest@sha256:{}", "0".repeat(64));
        assert_eq!(effective(&text, None), PullPolicy::Always);
        assert_eq!(effective(&text, Some(PullPolicy::Never)), PullPolicy::Never);
    }
}
