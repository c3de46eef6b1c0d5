//! What differs between registries: one row a family, host names decide. A host in none of the rows
//! gets the weaker cause. Also the words by which registries tell their own policy from a right.

use super::evidence::{Auth, Refusal};

/// How the registries of one family answer.
struct Family {
    /// Host names without port; `*` stands for anything.
    hosts: &'static [&'static str],
    /// Its token service refuses nobody in particular alike for what is absent and what is private.
    token_hides: bool,
    /// It hides what may not be seen before it looks for a manifest, so a 404 speaks of the tag.
    not_found_is_of_tags: bool,
    /// Beside a login it says NAME_UNKNOWN of a repository and MANIFEST_UNKNOWN of a tag alone.
    codes_tell: bool,
    /// Nodes normally log in by a credential plugin or a pull secret of the whole cluster.
    nodes_log_in: bool,
}

/// A registry of which nothing is known; also Harbor, Nexus and others that have no names of their own.
const OTHER: Family = Family {
    hosts: &[],
    token_hides: false,
    not_found_is_of_tags: false,
    codes_tell: false,
    nodes_log_in: false,
};

const FAMILIES: &[Family] = &[
    // Docker Hub: a token for everyone, then 401 insufficient_scope for absent and private alike.
    Family {
        hosts: &["docker.io", "index.docker.io", "registry-1.docker.io"],
        token_hides: true,
        not_found_is_of_tags: true,
        ..OTHER
    },
    // GHCR: the token itself is refused, 401 or 403, for absent, private and stale logins.
    Family { hosts: &["ghcr.io"], token_hides: true, not_found_is_of_tags: true, ..OTHER },
    // Quay: 401 UNAUTHORIZED for absent and private alike.
    Family { hosts: &["quay.io"], token_hides: true, not_found_is_of_tags: true, ..OTHER },
    // GitLab: 403 of the token service of another host, for absent and private alike.
    Family {
        hosts: &["registry.gitlab.com"],
        token_hides: true,
        not_found_is_of_tags: true,
        ..OTHER
    },
    // ECR: Basic from everyone; with a login 404 NAME_UNKNOWN is said apart from 403.
    Family {
        hosts: &["*.dkr.ecr*.amazonaws.com", "*.dkr.ecr*.amazonaws.com.cn", "*.dkr-ecr*.on.aws"],
        codes_tell: true,
        nodes_log_in: true,
        ..OTHER
    },
    // ECR Public: 404 for what is absent; there is nothing private.
    Family { hosts: &["public.ecr.aws"], ..OTHER },
    // Artifact Registry and Container Registry: 403 "denied on resource (or it may not exist)".
    Family {
        hosts: &["gcr.io", "*.gcr.io", "*.pkg.dev"],
        token_hides: true,
        not_found_is_of_tags: true,
        nodes_log_in: true,
        ..OTHER
    },
    // ACR: its token service refuses nobody in particular as such, unless anonymous pull is on.
    Family {
        hosts: &["*.azurecr.io", "*.azurecr.cn", "*.azurecr.us"],
        not_found_is_of_tags: true,
        nodes_log_in: true,
        ..OTHER
    },
    // OpenShift: nodes have the pull secret of the cluster.
    Family {
        hosts: &[
            "image-registry.openshift-image-registry.svc*",
            "default-route-openshift-image-registry.*",
        ],
        nodes_log_in: true,
        ..OTHER
    },
];

fn of(registry: &str) -> &'static Family {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host).to_ascii_lowercase();
    let names = |family: &&Family| family.hosts.iter().any(|pattern| fits(pattern, &host));
    FAMILIES.iter().find(names).unwrap_or(&OTHER)
}

/// Whether a host fits a pattern; a leading star stands for one character or more.
fn fits(pattern: &str, host: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == host };
    let Some(tail) = host.strip_prefix(head) else { return false };
    let least = usize::from(head.is_empty());
    if !rest.contains('*') {
        return tail.len() >= rest.len() + least && tail.ends_with(rest);
    }
    tail.char_indices()
        .map(|(at, _)| at)
        .chain([tail.len()])
        .skip(least)
        .any(|at| fits(rest, &tail[at..]))
}

/// Whether the token service answers alike for what is absent and what is private.
pub(super) fn token_service_hides(registry: &str) -> bool {
    of(registry).token_hides
}

/// Whether a 404 on a manifest speaks of the tag alone.
pub(super) fn says_not_found_only_of_tags(registry: &str) -> bool {
    of(registry).not_found_is_of_tags
}

/// Whether all that the registry has under this name is public, so that a login finds nothing more.
pub(super) fn holds_nothing_private(registry: &str, repository: &str) -> bool {
    let host = registry.to_ascii_lowercase();
    let is_hub = matches!(host.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io");
    // Docker's own images.
    host == "public.ecr.aws" || is_hub && repository.starts_with("library/")
}

/// Whether its MANIFEST_UNKNOWN to a login speaks of the tag alone.
pub(super) fn codes_tell(registry: &str) -> bool {
    of(registry).codes_tell
}

/// Whether nodes normally have a login of their own for this registry.
pub(super) fn nodes_log_in(registry: &str) -> bool {
    of(registry).nodes_log_in
}

/// ECR says so in words: a login lasts twelve hours.
pub(super) fn says_login_expired(refusal: &Refusal) -> bool {
    let with_login = matches!(
        refusal.auth,
        Auth::BasicSent | Auth::LoginToken | Auth::LoginTokenRefused | Auth::LoginRefused
    );
    with_login && refusal.text.to_ascii_lowercase().contains("token has expired")
}

/// The registry's own policy speaks: by status, or in words beside a denial. The names of the
/// repository are no such words.
pub(super) fn is_blocked(refusal: &Refusal, repository: &str) -> bool {
    const RULE: &[&str] = &["blocked", "quarantin", "polic", "scan", "vulnerab", "quota", "xray"];
    match refusal.status {
        402 | 412 | 451 => true,
        403 => {
            let text = words(refusal, repository);
            is_about_place(&text) || (!is_about_right(&text) && has_any(&text, RULE))
        }
        _ => false,
    }
}

/// The rule is about where the request came from; a node asks from another place.
pub(super) fn depends_on_place(refusal: &Refusal, repository: &str) -> bool {
    refusal.status == 403 && is_about_place(&words(refusal, repository))
}

fn is_about_place(text: &str) -> bool {
    const PLACE: &[&str] = &[
        "with ip",
        "ip address",
        "is not allowed access",
        "firewall",
        "service perimeter",
        "vpcservicecontrols",
        "prohibited by organization's policy",
    ];
    has_any(text, PLACE)
}

/// AWS names the policies that would grant a right where none does.
fn is_about_right(text: &str) -> bool {
    has_any(text, &["not authorized to perform", "permission"])
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// The refusal's text without the names of the repository, in lower case.
fn words(refusal: &Refusal, repository: &str) -> String {
    let names = std::iter::once(repository).chain(repository.split('/'));
    names
        // Shorter ones are found in ordinary words.
        .filter(|name| name.len() > 3)
        .fold(refusal.text.to_ascii_lowercase(), |text, name| text.replace(name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::evidence::By;

    fn refusal(status: u16, text: &str) -> Refusal {
        Refusal {
            host: "r.io".to_owned(),
            by: By::Registry,
            status,
            codes: Vec::new(),
            text: text.to_owned(),
            auth: Auth::LoginToken,
            challenge_error: None,
        }
    }

    #[test]
    fn nodes_log_in_to_the_clouds_and_to_openshift() {
        for registry in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "gcr.io",
            "eu.gcr.io",
            "Europe-West1-docker.pkg.dev",
            "acme.azurecr.io",
            "acme.azurecr.cn",
            "image-registry.openshift-image-registry.svc:5000",
            "image-registry.openshift-image-registry.svc.cluster.local:5000",
            "default-route-openshift-image-registry.apps.acme.example",
        ] {
            assert!(nodes_log_in(registry), "{registry}");
        }
    }

    #[test]
    fn names_that_only_look_like_a_family_are_none_of_it() {
        for registry in [
            "docker.io",
            "public.ecr.aws",
            "ghcr.io",
            "quay.io",
            "azurecr.io",
            ".gcr.io",
            "gcr.io.acme.example",
            "acme.azurecr.io.evil.test",
            "dkr.ecr.amazonaws.com",
            "",
        ] {
            assert!(!nodes_log_in(registry), "{registry}");
        }
        assert!(!token_service_hides("ghcr.io.evil.test") && token_service_hides("ghcr.io"));
    }

    #[test]
    fn a_name_with_policy_or_scan_in_it_blocks_nothing() {
        let denied = refusal(403, "requested access to acme/policy-scanner is denied");
        assert!(!is_blocked(&denied, "acme/policy-scanner"));
        assert!(is_blocked(&denied, "acme/app"));
    }

    #[test]
    fn a_missing_right_is_no_block_though_it_names_policies() {
        let text = "User: arn:aws:sts::1:assumed-role/ci is not authorized to perform: \
                    ecr:BatchGetImage because no resource-based policy allows it";
        assert!(!is_blocked(&refusal(403, text), "team/app"));
    }

    #[test]
    fn a_rule_about_addresses_is_told_from_one_about_images() {
        let firewall = refusal(403, "client with IP '203.0.113.7' is not allowed access");
        let xray = refusal(403, "Artifact blocked by Xray policy");
        assert!(is_blocked(&firewall, "app") && depends_on_place(&firewall, "app"));
        assert!(is_blocked(&xray, "app") && !depends_on_place(&xray, "app"));
    }
}
