//! What a cause means when a kubelet told of it, and what to do then. The catalogue speaks of what is
//! seen from here; a node has its own resolver, proxy, authorities and clock, so the words differ for
//! all that stands between a node and its registry. Names are as they came: to be cleaned when shown.

use super::Reading;
use crate::diagnosis::Cause;

/// What is the matter, one phrase.
pub fn summary(cause: Cause, reading: &Reading) -> String {
    let host = reading.contacted.as_ref().or(reading.host.as_ref());
    let host = host.map_or("the registry", String::as_str);
    match cause {
        Cause::TagNotFound => format!("{} does not have this tag", registry(reading)),
        Cause::DigestNotFound => format!("{} does not have this digest", registry(reading)),
        Cause::RepositoryNotFound => format!("{} has no such repository", registry(reading)),
        Cause::AbsentOrPrivate => {
            format!("it is absent or private; {} does not say which", registry(reading))
        }
        Cause::CredentialsMissing => format!("{host} wants a login and none was sent"),
        Cause::CredentialsRejected => format!("{host} refuses the login as wrong or expired"),
        Cause::AccessDenied => format!("{host} forbids the pull"),
        Cause::Unauthorized => format!("{host} does not accept the login, or wants one"),
        Cause::PlatformMissing => "it has nothing for the platform of the node".to_owned(),
        Cause::PlatformWrong => "it is built for another platform than the node's".to_owned(),
        Cause::DnsFailure => format!("the node cannot resolve the name of {host}"),
        Cause::ConnectionRefused => format!("{host} refuses the node's connection"),
        Cause::Unreachable => format!("the node cannot reach {host}, or the connection broke"),
        Cause::Timeout => format!("{host} did not answer the node in time"),
        Cause::TlsUntrusted => format!("the node does not trust the certificate of {host}"),
        Cause::TlsExpired => {
            format!("the certificate of {host} is out of date, or the node's clock is wrong")
        }
        Cause::TlsHandshake => format!("the TLS handshake of the node with {host} failed"),
        Cause::SchemeMismatch => {
            format!("the node speaks https to {host}, which speaks http, or the other way round")
        }
        Cause::ProxyFailure => format!("the node's HTTP proxy did not let it through to {host}"),
        Cause::RegistryError => format!("{host} answered with an error of its own"),
        Cause::Unknown => "the kubelet does not say why it did not pull".to_owned(),
        other => other.means().to_owned(),
    }
}

fn registry(reading: &Reading) -> &str {
    reading.host.as_deref().unwrap_or("the registry")
}

/// What to do now, best first.
pub fn help(cause: Cause) -> &'static [&'static str] {
    match cause {
        Cause::DnsFailure => &[
            "Check the spelling of the host, and the resolver of the node (not that of the cluster).",
        ],
        Cause::ConnectionRefused => &[
            "Check host and port, whether the registry runs, and what `localhost` means on the node.",
        ],
        Cause::Unreachable => &["Check routes and firewalls between the node and the registry."],
        Cause::Timeout => &[
            "Check firewalls, the proxy setting of the node's runtime and the registry itself; the kubelet tries again.",
        ],
        Cause::TlsUntrusted => &[
            "Install the authority's certificate on the nodes, for the runtime (certs.d of containerd or CRI-O).",
        ],
        Cause::TlsExpired => &["Renew the registry's certificate, or set the clock of the node."],
        Cause::SchemeMismatch => &[
            "If the registry really speaks plain http, tell the runtime of every node (hosts.toml of containerd, `insecure` in registries.conf of CRI-O).",
        ],
        Cause::ProxyFailure => &[
            "Check HTTPS_PROXY and NO_PROXY in the environment of the node's runtime, and the proxy's rules for this host.",
        ],
        other => other.cure(),
    }
}
