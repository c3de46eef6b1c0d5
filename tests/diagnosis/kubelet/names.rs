//! The image, its registry, and the host that was talked to.

use super::of;

#[test]
fn names_of_image_registry_and_host() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (
            r#"Failed to pull image "acme/web:1": failed to pull and unpack image "docker.io/acme/web:1": failed to resolve reference "docker.io/acme/web:1": failed to authorize: failed to fetch anonymous token: Get "https://auth.docker.io/token?scope=x": dial tcp 203.0.113.7:443: i/o timeout"#,
            "acme/web:1",
            "docker.io",
            "auth.docker.io",
        ),
        (
            r#"Back-off pulling image "reg.example:5000/web:1": ErrImagePull: initializing source docker://reg.example:5000/web:1: pinging container registry reg.example:5000: Get "http://reg.example:5000/v2/": dial tcp [::1]:5000: connect: connection refused"#,
            "reg.example:5000/web:1",
            "reg.example:5000",
            "reg.example:5000",
        ),
        (
            r#"Failed to pull image "quay.io/acme/web:1": toomanyrequests: read https://www.docker.com/increase-rate-limit"#,
            "quay.io/acme/web:1",
            "quay.io",
            "",
        ),
        (
            "Error response from daemon: manifest for reg.example/web:1 not found: manifest unknown",
            "reg.example/web:1",
            "reg.example",
            "",
        ),
        (
            "Error response from daemon: pull access denied for acme/web, repository does not exist or may require 'docker login'",
            "acme/web",
            "docker.io",
            "",
        ),
        (
            "pulling from host reg.example failed with status code [manifests 1]: 401 Unauthorized",
            "",
            "reg.example",
            "reg.example",
        ),
        ("reading manifest 1 in quay.io/acme/web: manifest unknown", "", "quay.io", ""),
        (
            r#"Failed to apply default image tag "https://reg.example/web": couldn't parse image reference "https://reg.example/web": invalid reference format"#,
            "https://reg.example/web",
            "reg.example",
            "",
        ),
        (
            r#"spec.initContainers{init}: Failed to pull image \"reg.example/web:1\": pull QPS exceeded"#,
            "reg.example/web:1",
            "reg.example",
            "",
        ),
        (
            "failed to pull image reg.example:5000/kube/scheduler:v1: output: manifest unknown",
            "reg.example:5000/kube/scheduler:v1",
            "reg.example:5000",
            "",
        ),
        ("Error: ImagePullBackOff", "", "", ""),
    ];
    for (text, image, host, contacted) in cases {
        let reading = of(text);
        let seen = [reading.image, reading.host, reading.contacted].map(Option::unwrap_or_default);
        assert_eq!(seen.each_ref().map(String::as_str), [*image, *host, *contacted], "{text}");
    }
}

#[test]
fn a_mirror_is_told() {
    let reading = of(
        r#"Failed to pull image "web:1": failed to resolve image: unexpected status from HEAD request to https://mirror.example/v2/library/web/manifests/1?ns=docker.io: 403 Forbidden"#,
    );
    assert_eq!(reading.host.as_deref(), Some("docker.io"));
    assert_eq!(reading.contacted.as_deref(), Some("mirror.example"));
    assert_eq!(reading.note.as_deref(), Some("a mirror was asked, too"));
}
