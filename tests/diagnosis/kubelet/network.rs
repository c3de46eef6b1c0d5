//! Errors of requests, as Go's packages word them, inside the words of every runtime.

use super::{check, check_inside};

#[test]
fn errors_of_a_request_mean_the_same_in_every_runtime() {
    check_inside(&[
        (r#"failed to do request: Head "{U}": dial tcp 203.0.113.7:443: i/o timeout"#, "timeout"),
        (
            r#"Get "https://registry.acme.example/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)"#,
            "timeout",
        ),
        (r#"Get "{U}": net/http: timeout awaiting response headers"#, "timeout"),
        (r#"Get "{U}": dial tcp 203.0.113.7:443: connect: connection timed out"#, "timeout"),
        (r#"Get "{U}": context deadline exceeded"#, "timeout"),
        (
            r#"Get "{U}": dial tcp 203.0.113.7:443: connectex: A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond."#,
            "timeout",
        ),
        (
            r#"Get "{U}": dial tcp 203.0.113.7:443: connect: connection refused"#,
            "connection-refused",
        ),
        (
            r#"Get "{U}": dial tcp 203.0.113.7:443: connectex: No connection could be made because the target machine actively refused it."#,
            "connection-refused",
        ),
        (
            r#"Get "{U}": dial tcp [2001:db8::7]:443: connect: network is unreachable"#,
            "unreachable",
        ),
        (r#"Get "{U}": dial tcp 203.0.113.7:443: connect: no route to host"#, "unreachable"),
        (
            r#"Get "{U}": read tcp 10.0.0.4:41234->203.0.113.7:443: read: connection reset by peer"#,
            "unreachable",
        ),
        (
            r#"Get "{U}": write tcp 10.0.0.4:41234->203.0.113.7:443: write: broken pipe"#,
            "unreachable",
        ),
        (
            r#"Get "{U}": dial tcp: lookup registry.acme.example on 10.0.0.2:53: no such host"#,
            "dns-failure",
        ),
        (
            r#"Get "{U}": dial tcp: lookup registry.acme.example: Temporary failure in name resolution"#,
            "dns-failure",
        ),
        (
            r#"Get "{U}": dial tcp: lookup registry.acme.example on 10.0.0.2:53: server misbehaving"#,
            "dns-failure",
        ),
        (
            r#"Get "{U}": dial tcp: lookup registry.acme.example on 10.0.0.2:53: read udp 10.0.0.4:55001->10.0.0.2:53: i/o timeout"#,
            "dns-failure",
        ),
        (
            r#"Get "{U}": dial tcp: lookup registry.acme.example on 10.0.0.2:53: read udp 10.0.0.4:55001->10.0.0.2:53: read: connection refused"#,
            "dns-failure",
        ),
        (
            r#"Get "{U}": tls: failed to verify certificate: x509: certificate signed by unknown authority"#,
            "tls-untrusted",
        ),
        (
            r#"Get "{U}": x509: certificate is valid for ingress.local, not registry.acme.example"#,
            "tls-untrusted",
        ),
        (
            r#"Get "{U}": x509: cannot validate certificate for 10.1.2.3 because it doesn't contain any IP SANs"#,
            "tls-untrusted",
        ),
        (
            r#"Get "{U}": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-05-01T10:00:00Z is after 2026-04-30T23:59:59Z"#,
            "tls-expired",
        ),
        (r#"Get "{U}": net/http: TLS handshake timeout"#, "tls-handshake"),
        (r#"Get "{U}": remote error: tls: handshake failure"#, "tls-handshake"),
        (r#"Get "{U}": remote error: tls: protocol version not supported"#, "tls-handshake"),
        (r#"Get "{U}": http: server gave HTTP response to HTTPS client"#, "scheme-mismatch"),
        (r#"Get "{U}": tls: first record does not look like a TLS handshake"#, "scheme-mismatch"),
        (
            r#"Get "{U}": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x15\x03\x01\x00\x02\x02""#,
            "scheme-mismatch",
        ),
        (
            r#"Get "{U}": proxyconnect tcp: dial tcp 10.0.0.9:3128: connect: connection refused"#,
            "proxy-failure",
        ),
        (
            r#"Get "{U}": proxyconnect tcp: dial tcp: lookup proxy.acme.example on 10.0.0.2:53: no such host"#,
            "proxy-failure",
        ),
        (
            r#"Get "{U}": proxyconnect tcp: tls: first record does not look like a TLS handshake"#,
            "proxy-failure",
        ),
        (r#"Get "{U}": Proxy Authentication Required"#, "proxy-failure"),
        (r#"Get "{U}": Bad Gateway"#, "registry-error"),
        (
            r#"unexpected status from HEAD request to {U}: 503 Service Unavailable"#,
            "registry-error",
        ),
        (r#"received unexpected HTTP status: 502 Bad Gateway"#, "registry-error"),
        (r#"Get "https://registry.acme.example/v2/": EOF"#, "registry-error"),
        (r#"unexpected status from GET request to {U}: 429 Too Many Requests"#, "rate-limited"),
        (
            r#"toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit"#,
            "rate-limited",
        ),
        (r#"toomanyrequests: Rate exceeded"#, "rate-limited"),
        (
            r#"failed to authorize: failed to fetch anonymous token: Get "https://auth.acme.example/token?scope=repository%3Ateam%2Fweb%3Apull&service=registry": dial tcp 203.0.113.9:443: i/o timeout"#,
            "timeout",
        ),
        (
            r#"failed to authorize: failed to fetch oauth token: Post "https://auth.acme.example/token": dial tcp 203.0.113.9:443: connect: connection refused"#,
            "connection-refused",
        ),
    ]);
}

#[test]
fn words_of_one_runtime() {
    check(&[
        (
            "RegistryUnavailable: pinging container registry registry.acme.example:5000: Get \"http://registry.acme.example:5000/v2/\": dial tcp 10.3.2.1:5000: connect: connection refused",
            "connection-refused",
        ),
        (
            "image pull failed for {X} because the registry is unavailable: dial tcp 10.3.2.1:5000",
            "connection-refused",
        ),
        ("too many requests to registry", "rate-limited"),
        (
            "error pulling image configuration: download failed after attempts=6: dial tcp 203.0.113.4:443: i/o timeout",
            "timeout",
        ),
        (
            "error pulling image configuration: received unexpected HTTP status: 503 Service Unavailable",
            "registry-error",
        ),
        (
            "failed to copy: read tcp 10.0.0.4:41234->203.0.113.7:443: use of closed network connection",
            "unreachable",
        ),
        ("Error: Status 502 trying to pull repository team/web: \"Bad Gateway\"", "registry-error"),
        (
            "pulling from host registry.acme.example failed with status code [manifests 1.4]: 503 Service Unavailable",
            "registry-error",
        ),
        ("unexpected status code [manifests 1.4]: 429 Too Many Requests", "rate-limited"),
        (
            "error pinging docker registry registry.acme.example: Get https://registry.acme.example/v2/: dial tcp 203.0.113.7:443: connect: no route to host",
            "unreachable",
        ),
        (
            "failed to resolve reference \"{X}\": unexpected status from HEAD request to {U}: 402 Payment Required",
            "registry-error",
        ),
    ]);
}

#[test]
fn numbers_are_no_statuses() {
    check(&[
        (
            "Failed to pull image \"{X}\": failed to copy sha256:429f73ca0321 at 20260429T0012, pid 10429",
            "unknown",
        ),
        (
            "Failed to pull image \"registry.acme.example:500/web:404\": something odd in 503 steps",
            "unknown",
        ),
        ("Failed to pull image \"{X}\": API error (500): something odd", "unknown"),
        ("Failed to pull image \"{X}\": exit status 401", "unknown"),
    ]);
}
