//! Answers of registries and token services, as runtimes pass them on.

use super::{check, check_inside};

#[test]
fn answers_mean_the_same_in_every_runtime() {
    check_inside(&[
        ("unexpected status from HEAD request to {U}: 401 Unauthorized", "unauthorized"),
        ("unauthorized: authentication required", "unauthorized"),
        ("unauthorized: access to the requested resource is not authorized", "unauthorized"),
        ("authorization failed: no basic auth credentials", "credentials-missing"),
        ("Get {U}: no basic auth credentials", "credentials-missing"),
        (
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://registry.acme.example/oauth2/token?scope=repository%3Ateam%2Fweb%3Apull&service=registry.acme.example: 401 Unauthorized",
            "credentials-missing",
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://registry.acme.example/oauth2/token?service=registry.acme.example: 401 Unauthorized",
            "credentials-rejected",
        ),
        (
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=repository%3Aacme%2Fweb%3Apull&service=ghcr.io: 403 Forbidden",
            "access-denied",
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://ghcr.io/token: 403 Forbidden",
            "credentials-rejected",
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://git.acme.example/jwt/auth: 403 Forbidden",
            "access-denied",
        ),
        (
            "unable to retrieve auth token: invalid username/password: unauthorized: Invalid credentials",
            "credentials-rejected",
        ),
        ("unauthorized: incorrect username or password", "credentials-rejected"),
        (
            "denied: Your authorization token has expired. Reauthenticate and try again.",
            "credentials-rejected",
        ),
        ("unexpected status from HEAD request to {U}: 403 Forbidden", "access-denied"),
        (
            "unexpected status from HEAD request to {U}: 403 Forbidden\ndenied: requests from here are not welcome",
            "access-denied",
        ),
        ("Head \"{U}\": Forbidden", "access-denied"),
        ("denied: access forbidden", "access-denied"),
        (
            "denied: User: arn:aws:sts::123456789012:assumed-role/node/i-0abc is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:123456789012:repository/web",
            "access-denied",
        ),
        (
            "denied: Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"projects/acme/locations/europe/repositories/web\" (or it may not exist)",
            "access-denied",
        ),
        (
            "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            "absent-or-private",
        ),
        (
            "pull access denied for team/web, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
            "absent-or-private",
        ),
        (
            "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n",
            "absent-or-private",
        ),
        (
            "unexpected status from HEAD request to {U}: 412 Precondition Failed",
            "blocked-by-registry",
        ),
        (
            "denied: client with IP '203.0.113.7' is not allowed access. Refer https://acme.example/firewall to grant access.",
            "blocked-by-registry",
        ),
        ("denied: the image was put into quarantine by the scanner", "blocked-by-registry"),
        ("name unknown: repository team/web not found", "repository-not-found"),
        (
            "name unknown: The repository with name 'team/web' does not exist in the registry with id '123456789012'",
            "repository-not-found",
        ),
        (
            "NAME_UNKNOWN: repository name not known to registry; map[name:team/web]",
            "repository-not-found",
        ),
        ("manifest unknown: manifest unknown", "tag-not-found"),
        ("manifest unknown: The named manifest is not known to the registry.", "tag-not-found"),
        ("manifest unknown: Requested image not found", "tag-not-found"),
        ("unknown: artifact team/web:1.4 not found", "tag-not-found"),
        (
            "manifest unknown: Tag 1.4 was deleted or has expired. To pull, revive via time machine",
            "tag-not-found",
        ),
        ("unexpected status from HEAD request to {U}: 404 Not Found", "tag-not-found"),
    ]);
}

#[test]
fn words_of_one_runtime() {
    check(&[
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{X}\": failed to resolve reference \"{X}\": {X}: not found",
            "tag-not-found",
        ),
        (
            "rpc error: code = NotFound desc = failed to pull and unpack image \"{X}\": failed to resolve image: {X}: not found",
            "tag-not-found",
        ),
        (
            "Error response from daemon: manifest for {X} not found: manifest unknown: manifest unknown",
            "tag-not-found",
        ),
        ("Error response from daemon: manifest for {X} not found", "tag-not-found"),
        (
            "image pull failed for {X}, this may be because there are no credentials on this request.  details: (Tag 1.4 not found in repository registry.acme.example/team/web)",
            "tag-not-found",
        ),
        (
            "reading manifest 1.4 in registry.acme.example/team/web: manifest unknown",
            "tag-not-found",
        ),
        (
            "initializing source docker://registry.acme.example/team/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef: reading manifest sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef in registry.acme.example/team/web: manifest unknown",
            "digest-not-found",
        ),
        (
            "failed to pull and unpack image \"registry.acme.example/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\": failed to resolve image: registry.acme.example/web@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef: not found",
            "digest-not-found",
        ),
        (
            "Error response from daemon: repository team/web not found: does not exist or no pull access",
            "absent-or-private",
        ),
        (
            "Error response from daemon: repository registry.acme.example/team/web not found: name unknown: repository not found",
            "repository-not-found",
        ),
        ("Error: image team/web:1.4 not found", "repository-not-found"),
        (
            "reading manifest 1.4 in registry.acme.example/team/web: error parsing HTTP 404 response body: invalid character '<' looking for beginning of value: \"<html><title>not found</title>\"",
            "repository-not-found",
        ),
        (
            "error parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<html>\"",
            "access-denied",
        ),
        (
            "error parsing HTTP 401 response body: no error details found in HTTP response body: \"{}\"",
            "unauthorized",
        ),
        (
            "error parsing HTTP 429 response body: invalid character 'S' looking for beginning of value: \"Slow down\"",
            "rate-limited",
        ),
        (
            "Requesting bearer token: invalid status code from registry 403 (Forbidden)",
            "access-denied",
        ),
        ("error from registry: denied", "access-denied"),
        (
            "failed to authorize: failed to handle basic auth because missing username or secret",
            "credentials-missing",
        ),
        (
            "pulling from host registry.acme.example failed with status code [manifests 1.4]: 401 Unauthorized",
            "unauthorized",
        ),
        (
            "pulling from host registry.acme.example failed with status code [manifests 1.4]: 403 Forbidden",
            "access-denied",
        ),
        (
            "registry registry.acme.example is blocked in /etc/containers/registries.conf",
            "blocked-by-registry",
        ),
        (
            "failed to pull and unpack image \"{X}\": failed to resolve image: failed to find supported auth scheme: not implemented",
            "bad-answer",
        ),
        (
            "Container image \"{X}\" is present with pull policy of \"IfNotPresent\" but does not have the proper auth (image secret) that was used to pull the image",
            "unauthorized",
        ),
    ]);
}

#[test]
fn of_several_attempts_the_furthest_counts() {
    let joined = |errors: &[&str]| {
        let around = |error: &&str| {
            format!(
                "rpc error: code = Unknown desc = failed to pull and unpack image \"{{X}}\": failed to resolve reference \"{{X}}\": {error}"
            )
        };
        let all: Vec<String> = errors.iter().map(around).collect();
        super::spelt(&format!("Failed to pull image \"{{X}}\": [{}]", all.join(", ")))
    };
    let rejected = "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://registry.acme.example/token: 401 Unauthorized";
    let anonymous = "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://registry.acme.example/token: 401 Unauthorized";
    let absent = "{X}: not found";
    let refused =
        "failed to do request: Head \"{U}\": dial tcp 203.0.113.7:443: connect: connection refused";
    for (errors, cause) in [
        (&[rejected, anonymous][..], "credentials-rejected"),
        (&[anonymous, rejected], "credentials-rejected"),
        (&[absent, anonymous], "tag-not-found"),
        (&[anonymous, absent, rejected], "tag-not-found"),
        (&[refused, anonymous], "credentials-missing"),
        (&[refused, refused], "connection-refused"),
    ] {
        assert_eq!(super::first(&joined(errors)), cause, "{errors:?}");
    }
    let note = super::of(&joined(&[absent, anonymous])).note;
    assert_eq!(note.unwrap(), "2 attempts were made; this is the one that got furthest");
}

#[test]
fn errors_of_mirrors_do_not_count() {
    check(&[(
        "initializing source docker://{X}: (Mirrors also failed: [mirror.acme.example/team/web:1.4: pinging container registry mirror.acme.example: Get \"https://mirror.acme.example/v2/\": dial tcp 10.0.0.8:443: connect: connection refused]): {X}: reading manifest 1.4 in registry.acme.example/team/web: manifest unknown",
        "tag-not-found",
    )]);
}
