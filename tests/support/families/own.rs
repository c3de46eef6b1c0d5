//! Harbor, OpenShift's own registry, Artifactory and Nexus: registries people run themselves, under
//! names that tell nothing, and with rules of their own.

use super::*;

pub fn all() -> Vec<Family> {
    vec![harbor(), openshift(), artifactory(), artifactory_closed(), nexus(), nexus_closed()]
}

/// A token for everyone; 401 of the registry; NOT_FOUND for repository and tag; 412 by policy.
fn harbor() -> Family {
    Family {
        name: "harbor",
        registry: "harbor.acme.example",
        hosts: &["harbor.acme.example"],
        user: "robot$ci",
        scheme: Scheme::Bearer {
            realm: "https://harbor.acme.example/service/token",
            service: "harbor-registry",
            scope: None,
            post: Some(405),
        },
        no_token: only_logins,
        refuse: |family, ask| match ask.repository {
            "team/scanned" => Some(Answer::error(
                412,
                "PROJECTPOLICYVIOLATION",
                "current image with \"Pending\" status of vulnerability scanning cannot be pulled \
                 due to configured policy in 'Prevent images with vulnerability severity of \"High\"'",
            )),
            "team/unsigned" => Some(Answer::error(
                412,
                "PROJECTPOLICYVIOLATION",
                "The image is not signed by cosign.",
            )),
            "absent/app" => {
                Some(Answer::error(500, "UNKNOWN", "bad request: invalid repository name: app"))
            }
            "team/absent" if ask.who == Who::Good => {
                Some(Answer::error(404, "NOT_FOUND", "repository team/absent not found"))
            }
            name if ask.is_hidden() => Some(family.challenge(name, None)),
            name if ask.kind == Kind::Manifest && ask.target == "9" => {
                Some(Answer::error(404, "NOT_FOUND", &format!("artifact {name}:9 not found")))
            }
            _ => None,
        },
    }
}

/// A token for everyone but a wrong one; 401 for nobody, 403 for who has no right.
fn openshift() -> Family {
    Family {
        name: "openshift",
        registry: "default-route-openshift-image-registry.apps.acme.example",
        hosts: &["default-route-openshift-image-registry.apps.acme.example"],
        user: "serviceaccount",
        scheme: Scheme::Bearer {
            realm: "https://default-route-openshift-image-registry.apps.acme.example/openshift/token",
            service: "",
            scope: None,
            post: Some(405),
        },
        no_token: only_logins,
        refuse: |family, ask| match ask.who {
            Who::Nobody if ask.is_hidden() => Some(family.challenge(ask.repository, None)),
            _ if ask.is_hidden() => {
                Some(Answer::error(403, "DENIED", "requested access to the resource is denied"))
            }
            _ => None,
        },
    }
}

/// Anonymous access is on: 403 or 404 of the registry. Xray blocks with 403, or hides with 404.
fn artifactory() -> Family {
    Family {
        name: "artifactory",
        registry: "acme.jfrog.io",
        hosts: &["acme.jfrog.io"],
        user: "ci",
        scheme: Scheme::Bearer {
            realm: "https://acme.jfrog.io/artifactory/api/docker/docker/v2/token",
            service: "acme.jfrog.io",
            scope: None,
            post: Some(404),
        },
        no_token: |who, _| {
            let error = json!({ "errors": [{ "status": 401, "message": "Bad credentials" }] });
            matches!(who, Who::Bad | Who::Expired).then(|| Answer::json(401, &error))
        },
        refuse: |_, ask| match (ask.who, ask.repository) {
            (_, "team/xray") => Some(Answer::error(
                403,
                "DENIED",
                "Artifact download request rejected: team/xray/1/manifest.json was not downloaded \
                 due to the download blocking policy configured in Xray for docker-local.",
            )),
            (Who::Good, "team/virtual") if ask.kind == Kind::Manifest => {
                Some(Answer::error(404, "MANIFEST_UNKNOWN", "The named manifest is not known"))
            }
            (Who::Nobody, "team/private") => {
                Some(Answer::error(403, "DENIED", "requested access to the resource is denied"))
            }
            _ => None,
        },
    }
}

/// Anonymous access is off: Basic from everyone.
fn artifactory_closed() -> Family {
    Family {
        name: "artifactory-closed",
        registry: "docker.acme.example",
        hosts: &["docker.acme.example"],
        user: "ci",
        scheme: Scheme::Basic { realm: "Artifactory Realm" },
        no_token: |_, _| None,
        refuse: wrong_basic,
    }
}

/// With the realm for Docker tokens: nobody may have a token; 401 of the registry.
fn nexus() -> Family {
    Family {
        name: "nexus",
        registry: "nexus.acme.example",
        hosts: &["nexus.acme.example"],
        user: "ci",
        scheme: Scheme::Bearer {
            realm: "https://nexus.acme.example/v2/token",
            service: "https://nexus.acme.example/v2/token",
            scope: None,
            post: Some(404),
        },
        no_token: only_logins,
        refuse: |family, ask| match (ask.who, ask.repository) {
            (_, "team/unpaid") => Some(Answer::empty(402)),
            (Who::Nobody, name) if ask.is_hidden() => Some(family.challenge(name, None)),
            _ => None,
        },
    }
}

/// Without it: Basic from everyone.
fn nexus_closed() -> Family {
    Family {
        name: "nexus-closed",
        registry: "nexus.closed.example",
        hosts: &["nexus.closed.example"],
        user: "ci",
        scheme: Scheme::Basic { realm: "Sonatype Nexus Repository Manager" },
        no_token: |_, _| None,
        refuse: |family, ask| match (ask.who, ask.repository) {
            (Who::Good, "team/foreign") => Some(Answer::error(403, "DENIED", "access denied")),
            (Who::Good, "team/unpaid") => Some(Answer::empty(402)),
            _ => wrong_basic(family, ask),
        },
    }
}

fn wrong_basic(family: &Family, ask: &Ask<'_>) -> Option<Answer> {
    (ask.who != Who::Good).then(|| family.challenge(ask.repository, None))
}
