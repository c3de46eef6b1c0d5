//! ECR, ECR Public, Artifact Registry and Container Registry, ACR: registries whose logins are short
//! and whose nodes log in by themselves.

use super::*;

pub fn all() -> Vec<Family> {
    vec![
        ecr(),
        ecr_public(),
        google(
            "gar",
            "europe-west1-docker.pkg.dev",
            "https://europe-west1-docker.pkg.dev/v2/token",
        ),
        google("gcr", "gcr.io", "https://gcr.io/v2/token"),
        acr(),
    ]
}

const EXPIRED: &str = "Your authorization token has expired. Reauthenticate and try again.";

/// Basic from everyone, for twelve hours; what is absent is said to who is logged in.
fn ecr() -> Family {
    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    Family {
        name: "ecr",
        registry: HOST,
        hosts: &[HOST],
        user: "AWS",
        scheme: Scheme::Basic { realm: "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/" },
        no_token: |_, _| None,
        refuse: |family, ask| match (ask.who, ask.repository) {
            (Who::Bad, _) => {
                let header = family.challenge("", None).headers["www-authenticate"].clone();
                let answer = Answer::new(401, "text/plain; charset=utf-8", "Not Authorized\n");
                Some(answer.with("www-authenticate", header.to_str().expect("text")))
            }
            (Who::Expired, _) => Some(Answer::error(403, "DENIED", EXPIRED)),
            (_, "team/foreign") => {
                let text = "User: arn:aws:sts::123456789012:assumed-role/ci/s is not authorized to \
                            perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:999999999999:\
                            repository/team/foreign because no resource-based policy allows the \
                            ecr:BatchGetImage action";
                Some(Answer::error(403, "DENIED", text))
            }
            (_, "team/mute") => Some(Answer::empty(403)),
            // A role that may pull and not list.
            (_, "team/unlisted" | "absent/unlisted") if ask.kind == Kind::Tags => {
                Some(Answer::error(403, "DENIED", "is not authorized to perform: ecr:ListImages"))
            }
            (_, "team/unlisted") => {
                Some(Answer::error(404, "MANIFEST_UNKNOWN", "Requested image not found"))
            }
            (_, name) if ask.is_hidden() => {
                let text = format!(
                    "The repository with name '{name}' does not exist in the registry with id '123456789012'"
                );
                Some(Answer::error(404, "NAME_UNKNOWN", &text))
            }
            _ => None,
        },
    }
}

/// All is public; an expired login is refused all the same.
fn ecr_public() -> Family {
    Family {
        name: "ecr-public",
        registry: "public.ecr.aws",
        hosts: &["public.ecr.aws"],
        user: "AWS",
        scheme: Scheme::Bearer {
            realm: "https://public.ecr.aws/token/",
            service: "public.ecr.aws",
            scope: Some("aws"),
            post: Some(404),
        },
        no_token: |who, _| match who {
            Who::Expired => Some(Answer::error(403, "DENIED", EXPIRED)),
            Who::Bad => Some(Answer::error(403, "DENIED", "Not Authorized")),
            _ => None,
        },
        refuse: |_, ask| {
            let text = "The repository with name 'absent' does not exist in the registry";
            ask.is_hidden().then(|| Answer::error(404, "NAME_UNKNOWN", text))
        },
    }
}

/// The token service says itself that it is ambiguous.
fn google(name: &'static str, registry: &'static str, realm: &'static str) -> Family {
    Family {
        name,
        registry,
        hosts: match name {
            "gcr" => &["gcr.io"],
            _ => &["europe-west1-docker.pkg.dev"],
        },
        user: "oauth2accesstoken",
        scheme: Scheme::Bearer { realm, service: registry, scope: None, post: Some(404) },
        no_token: |who, repository| match (who, repository) {
            (Who::Bad, _) if repository.is_none_or(|name| name == "team/strict") => {
                Some(Answer::error(403, "DENIED", "Unauthenticated request"))
            }
            (Who::Bad | Who::Expired, _) => {
                Some(Answer::error(401, "UNAUTHORIZED", "authentication failed"))
            }
            (_, Some("team/perimeter")) => {
                let text = "Request is prohibited by organization's policy. \
                            vpcServiceControlsUniqueIdentifier: 3kWkPT";
                Some(Answer::error(403, "DENIED", text))
            }
            (_, Some(name)) if is_hidden(who, name) => {
                let text = "Permission \"artifactregistry.repositories.downloadArtifacts\" denied on \
                            resource \"projects/acme/locations/europe-west1/repositories/team\" (or \
                            it may not exist)";
                Some(Answer::error(403, "DENIED", text))
            }
            _ => None,
        },
        refuse: nothing,
    }
}

/// The token service refuses nobody in particular as such; an IP rule speaks before the login.
fn acr() -> Family {
    Family {
        name: "acr",
        registry: "acme.azurecr.io",
        hosts: &["acme.azurecr.io"],
        user: "00000000-0000-0000-0000-000000000000",
        scheme: Scheme::Bearer {
            realm: "https://acme.azurecr.io/oauth2/token",
            service: "acme.azurecr.io",
            scope: None,
            post: Some(400),
        },
        no_token: |who, repository| match (who, repository) {
            (_, Some("team/firewalled")) => {
                let text = "client with IP '203.0.113.7' is not allowed access. Refer \
                            https://aka.ms/acr/firewall to grant access.";
                Some(Answer::error(403, "DENIED", text))
            }
            (Who::Bad | Who::Expired, _) => {
                let text = "authentication required, visit https://aka.ms/acr/authorization for \
                            more information.";
                Some(Answer::error(401, "UNAUTHORIZED", text))
            }
            (Who::Nobody, Some(name)) if is_hidden(who, name) => {
                Some(Answer::error(401, "UNAUTHORIZED", "authentication required"))
            }
            _ => None,
        },
        refuse: nothing,
    }
}
