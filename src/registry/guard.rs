//! Where we may connect, and who may see a secret. Addresses are judged as parsed and as resolved,
//! never as text, and again at every redirect and token realm.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::settings::registries::AllowedAddress;

/// Which door the question came through; in-cluster roles are refused more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    /// A person or a pipeline: loopback is theirs.
    #[default]
    CommandLine,
    /// `serve` and `controller`: loopback is refused unless allowed.
    Cluster,
}

/// The rules that decide whether an address may be connected to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    pub door: Door,
    pub allow: Vec<AllowedAddress>,
    pub public_only: bool,
    /// Refused unless allowed: the API server is no registry.
    pub refuse: Vec<SocketAddr>,
}

impl Guard {
    /// Whether an address may be connected to. Link-local, metadata, unspecified, multicast and
    /// broadcast addresses never may, whatever the settings allow.
    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        let address = unwrap_embedded(address);
        if is_never_connected(address) {
            return false;
        }
        let allowed = |rule: &AllowedAddress| {
            rule.net.contains(&address) && rule.port.is_none_or(|p| p == port)
        };
        if self.allow.iter().any(allowed) {
            return true;
        }
        if self.refuse.contains(&SocketAddr::new(address, port)) {
            return false;
        }
        let inside = address.is_loopback();
        !(inside && self.door == Door::Cluster)
            && !(self.public_only && (inside || is_private(address)))
    }

    /// The port, where a rule names it; else 0, which is judged as all ports are that no rule names.
    pub fn judged_port(&self, port: u16) -> u16 {
        let refused = self.refuse.iter().any(|address| address.port() == port);
        match refused || self.allow.iter().any(|rule| rule.port == Some(port)) {
            true => port,
            false => 0,
        }
    }

    /// Judges a URL whose host is an address; a name is judged when it is resolved.
    pub fn allows_literal(&self, url: &Url) -> bool {
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            Some(Host::Ipv4(address)) => self.allows(address.into(), port),
            Some(Host::Ipv6(address)) => self.allows(address.into(), port),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }
}

/// The IPv4 address inside an IPv4-mapped, NAT64 or 6to4 IPv6 address, where there is one.
fn unwrap_embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let s = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

fn is_never_connected(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let metadata = [
                Ipv4Addr::new(100, 100, 100, 200),
                Ipv4Addr::new(168, 63, 129, 16),
                Ipv4Addr::new(192, 0, 0, 192),
            ];
            v4.octets()[0] == 0
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || metadata.contains(&v4)
        }
        IpAddr::V6(v6) => {
            const EC2_METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6 == EC2_METADATA
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Token services on another host that are known to belong to a registry.
const PINNED_REALMS: &[(&str, &str)] = &[
    ("docker.io", "auth.docker.io"),
    ("registry-1.docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("docker.elastic.co", "docker-auth.elastic.co"),
];

/// Whether the login of a registry may be sent to its token realm: the same host name (any port;
/// https unless the registry itself is plain http), a pinned pair, or a realm that the settings trust.
pub fn realm_may_see_secret(
    registry: &str,
    registry_url: &Url,
    realm: &Url,
    trusted: &[String],
) -> bool {
    if !realm.username().is_empty() || realm.password().is_some() {
        return false;
    }
    if trusted.iter().any(|prefix| is_below(realm, prefix)) {
        return true;
    }
    let encrypted =
        realm.scheme() == "https" || (realm.scheme() == "http" && registry_url.scheme() == "http");
    if !encrypted {
        return false;
    }
    if realm.host().is_some() && realm.host() == registry_url.host() {
        return true;
    }
    let pinned = |(from, to): &(&str, &str)| *from == registry && realm.host_str() == Some(to);
    realm.scheme() == "https" && realm.port().is_none() && PINNED_REALMS.iter().any(pinned)
}

/// Whether `realm` has the origin of `prefix` and lies at or below its path.
fn is_below(realm: &Url, prefix: &str) -> bool {
    let Ok(prefix) = Url::parse(prefix) else { return false };
    let path = prefix.path().trim_end_matches('/');
    let rest = realm.path().strip_prefix(path);
    realm.origin() == prefix.origin()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn b18_metadata_and_link_local_are_refused_in_every_spelling() {
        let guard = Guard::default();
        for text in [
            "http://169.254.169.254/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://[2002:a9fe:a9fe::]/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(!guard.allows_literal(&url(text)), "{text}");
        }
    }

    #[test]
    fn b18_loopback_spellings_are_the_command_lines_and_never_the_clusters() {
        let cluster = Guard { door: Door::Cluster, ..Guard::default() };
        for text in [
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://127.0.0.1./",
        ] {
            assert!(Guard::default().allows_literal(&url(text)), "{text}");
            assert!(!cluster.allows_literal(&url(text)), "{text}");
        }
    }

    #[test]
    fn an_allowed_address_opens_loopback_for_the_cluster_but_never_metadata() {
        let allow = |net: &str, port| AllowedAddress { net: net.parse().unwrap(), port };
        let guard = Guard {
            door: Door::Cluster,
            allow: vec![allow("127.0.0.1/32", Some(5000)), allow("169.254.0.0/16", None)],
            public_only: true,
            ..Guard::default()
        };
        assert!(guard.allows("127.0.0.1".parse().unwrap(), 5000));
        assert!(!guard.allows("127.0.0.1".parse().unwrap(), 5001));
        assert!(!guard.allows("169.254.169.254".parse().unwrap(), 80));
        assert!(!guard.allows("10.0.0.1".parse().unwrap(), 443));
        assert!(guard.allows("93.184.216.34".parse().unwrap(), 443));
    }

    #[test]
    fn t01_the_api_server_is_refused_by_its_address_and_port_alone() {
        let refuse = vec!["10.0.0.1:443".parse().unwrap()];
        let guard = Guard { door: Door::Cluster, refuse, ..Guard::default() };
        let allows = |address: &str, port| guard.allows(address.parse().unwrap(), port);
        assert!(!allows("10.0.0.1", 443) && !allows("::ffff:10.0.0.1", 443));
        assert!(allows("10.0.0.1", 5000) && allows("10.0.0.2", 443));
    }

    #[test]
    fn t01_a_port_that_no_rule_names_is_judged_as_all_such_ports_are() {
        let allow = vec![AllowedAddress { net: "127.0.0.0/8".parse().unwrap(), port: Some(5000) }];
        let refuse = vec!["10.0.0.1:443".parse().unwrap()];
        let guard = Guard { door: Door::Cluster, allow, refuse, ..Guard::default() };
        for port in [1, 80, 443, 5000, 5001, 6443, u16::MAX] {
            for address in ["10.0.0.1", "127.0.0.1", "93.184.216.34"] {
                let address = address.parse().unwrap();
                let judged = guard.judged_port(port);
                assert_eq!(guard.allows(address, judged), guard.allows(address, port), "{port}");
            }
        }
        assert_eq!([443, 5000, 80].map(|port| guard.judged_port(port)), [443, 5000, 0]);
    }

    #[test]
    fn t04_a_secret_goes_to_the_same_host_a_pinned_pair_or_a_trusted_realm_only() {
        let https = url("https://registry.example:5000/v2/");
        let may =
            |realm: &str| realm_may_see_secret("registry.example:5000", &https, &url(realm), &[]);
        assert!(may("https://registry.example/token"));
        assert!(may("https://registry.example:5001/token"));
        assert!(!may("http://registry.example/token"));
        assert!(!may("https://auth.registry.example/token"));
        assert!(!may("https://registry.example.evil.test/token"));
        assert!(!may("https://user:pw@registry.example/token"));
        let hub = url("https://registry-1.docker.io/v2/");
        assert!(realm_may_see_secret("docker.io", &hub, &url("https://auth.docker.io/token"), &[]));
        assert!(!realm_may_see_secret(
            "docker.io",
            &hub,
            &url("https://auth.docker.io:8443/token"),
            &[]
        ));
        assert!(!realm_may_see_secret("other.io", &hub, &url("https://auth.docker.io/token"), &[]));
    }

    #[test]
    fn a_trusted_realm_is_a_prefix_by_path_components() {
        let registry = url("https://r.example/v2/");
        let trusted = ["https://sso.internal/token".to_owned()];
        let may = |realm: &str| realm_may_see_secret("r.example", &registry, &url(realm), &trusted);
        assert!(may("https://sso.internal/token") && may("https://sso.internal/token/x?y=1"));
        assert!(!may("https://sso.internal/tokens") && !may("https://sso.internal:444/token"));
        assert!(!may("http://sso.internal/token"));
    }
}
