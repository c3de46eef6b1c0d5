//! What differs between registries: how each family hides or tells. Host names decide; the rows are
//! those of the registries' own behaviour, and a host that is in none of them gets the weaker cause.

use super::evidence::{Auth, Refusal};

/// The host without its port, in lower case.
fn host(registry: &str) -> String {
    registry.rsplit_once(':').map_or(registry, |(host, _)| host).to_ascii_lowercase()
}

fn is_google(host: &str) -> bool {
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev")
}

/// Families whose token service answers alike for what is absent and what is private.
pub(super) fn token_service_hides(registry: &str) -> bool {
    let host = host(registry);
    matches!(
        host.as_str(),
        "docker.io" | "registry-1.docker.io" | "ghcr.io" | "quay.io" | "registry.gitlab.com"
    ) || is_google(&host)
}

/// Families that hide what is private before a manifest is looked for, so that their 404 on a
/// manifest speaks of the tag.
pub(super) fn says_not_found_only_of_tags(registry: &str) -> bool {
    let host = host(registry);
    matches!(
        host.as_str(),
        "docker.io" | "registry-1.docker.io" | "ghcr.io" | "quay.io" | "registry.gitlab.com"
    ) || is_google(&host)
        || host.ends_with(".azurecr.io")
}

/// GHCR answers a wrong or expired login with 403 at its token service.
pub(super) fn token_403_means_bad_login(registry: &str) -> bool {
    host(registry) == "ghcr.io"
}

/// ECR says so in words: a login lasts twelve hours.
pub(super) fn says_login_expired(refusal: &Refusal) -> bool {
    refusal.auth == Auth::BasicSent
        && refusal.text.to_ascii_lowercase().contains("token has expired")
}

/// The registry's own policy speaks: by status, or in words beside a denial.
pub(super) fn is_blocked(refusal: &Refusal) -> bool {
    const WORDS: &[&str] = &[
        "blocked",
        "quarantin",
        "polic",
        "scan",
        "vulnerab",
        "quota",
        "not allowed access",
        "ip address",
        "firewall",
    ];
    match refusal.status {
        402 | 412 | 451 => true,
        403 => {
            let text = refusal.text.to_ascii_lowercase();
            WORDS.iter().any(|word| text.contains(word))
        }
        _ => false,
    }
}
