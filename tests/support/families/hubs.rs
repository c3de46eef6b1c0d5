//! Docker Hub, GHCR, Quay and GitLab: registries that say the same of what is absent and what is
//! private.

use super::*;

pub fn all() -> Vec<Family> {
    vec![docker_hub(), ghcr(), quay(), gitlab()]
}

/// A token for everyone; then 401 insufficient_scope. Limits are told in headers.
fn docker_hub() -> Family {
    Family {
        name: "docker-hub",
        registry: "docker.io",
        hosts: &["docker.io", "registry-1.docker.io", "auth.docker.io"],
        user: "ci",
        scheme: Scheme::Bearer {
            realm: "https://auth.docker.io/token",
            service: "registry.docker.io",
            scope: None,
            post: None,
        },
        no_token: |who, _| {
            let details = json!({ "details": "incorrect username or password" });
            matches!(who, Who::Bad | Who::Expired).then(|| Answer::json(401, &details))
        },
        refuse: |family, ask| match ask.repository {
            "team/limited" => {
                let text = "You have reached your unauthenticated pull rate limit. \
                            https://www.docker.com/increase-rate-limit";
                Some(
                    Answer::error(429, "TOOMANYREQUESTS", text)
                        .with("retry-after", "2460")
                        .with("ratelimit-limit", "100;w=21600")
                        .with("ratelimit-remaining", "0;w=21600")
                        .with("docker-ratelimit-source", "203.0.113.7"),
                )
            }
            "team/abused" => Some(Answer::new(429, "text/plain", "Too Many Requests (HAP429)")),
            // A good answer with the last pull spent: the digest is all a HEAD needs.
            "team/last" if ask.kind == Kind::Manifest => {
                let digest = format!("sha256:{}", "ab".repeat(32));
                Some(
                    Answer::new(200, "application/vnd.oci.image.index.v1+json", "")
                        .with("docker-content-digest", &digest)
                        .with("ratelimit-limit", "100;w=21600")
                        .with("ratelimit-remaining", "0;w=21600"),
                )
            }
            _ if ask.is_hidden() => {
                Some(family.challenge(ask.repository, Some("insufficient_scope")))
            }
            _ => None,
        },
    }
}

/// The token itself is refused; a stale login is refused it for public images too.
fn ghcr() -> Family {
    Family {
        name: "ghcr",
        registry: "ghcr.io",
        hosts: &["ghcr.io"],
        user: "ci",
        scheme: Scheme::Bearer {
            realm: "https://ghcr.io/token",
            service: "ghcr.io",
            scope: None,
            post: Some(405),
        },
        no_token: |who, repository| match (who, repository) {
            (Who::Bad | Who::Expired, _) => Some(Answer::error(403, "DENIED", "denied")),
            (Who::Nobody, Some("team/hidden")) => {
                Some(Answer::error(401, "UNAUTHORIZED", "authentication required"))
            }
            (_, Some(name)) if is_hidden(who, name) => {
                Some(Answer::error(403, "DENIED", "requested access to the resource is denied"))
            }
            _ => None,
        },
        refuse: nothing,
    }
}

/// 401 of the registry, without `error=`; a tag may expire.
fn quay() -> Family {
    Family {
        name: "quay",
        registry: "quay.io",
        hosts: &["quay.io"],
        user: "acme+ci",
        scheme: Scheme::Bearer {
            realm: "https://quay.io/v2/auth",
            service: "quay.io",
            scope: None,
            post: Some(405),
        },
        no_token: |who, _| {
            matches!(who, Who::Bad | Who::Expired)
                .then(|| Answer::error(401, "UNAUTHORIZED", "Invalid Username or Password"))
        },
        refuse: |family, ask| {
            if ask.is_hidden() {
                let challenge = family.challenge(ask.repository, None);
                let text = "access to the requested resource is not authorized";
                let answer = Answer::error(401, "UNAUTHORIZED", text);
                let header = challenge.headers["www-authenticate"].to_str().expect("text");
                return Some(answer.with("www-authenticate", header));
            }
            (ask.target == "expired" && ask.kind == Kind::Manifest).then(|| {
                let text =
                    "Tag expired was deleted or has expired. To pull, revive via time machine";
                Answer::error(404, "TAG_EXPIRED", text)
            })
        },
    }
}

/// The token service of another host refuses with 403.
fn gitlab() -> Family {
    Family {
        name: "gitlab",
        registry: "registry.gitlab.com",
        hosts: &["registry.gitlab.com", "gitlab.com"],
        user: "gitlab+deploy-token-1",
        scheme: Scheme::Bearer {
            realm: "https://gitlab.com/jwt/auth",
            service: "container_registry",
            scope: None,
            post: Some(404),
        },
        no_token: |who, repository| match (who, repository) {
            (Who::Bad | Who::Expired, _) => {
                Some(Answer::error(401, "UNAUTHORIZED", "HTTP Basic: Access denied"))
            }
            // A project without this image.
            (_, Some("team/hollow")) => None,
            (_, Some(name)) if is_hidden(who, name) => {
                Some(Answer::error(403, "DENIED", "access forbidden"))
            }
            _ => None,
        },
        refuse: nothing,
    }
}
