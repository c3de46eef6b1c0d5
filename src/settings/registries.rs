//! `registries.toml`: how each registry host is reached and what its nodes know. Transport is set
//! here alone, never by a file of the repository that is checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;

use super::Error;
use super::mirrors::{self, CertsFolder, Endpoint, Route};
use crate::policy::glob::Glob;

/// Largest `registries.toml` and largest CA file, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// The settings of all hosts.
#[derive(Debug, Clone, Default)]
pub struct Registries {
    hosts: Vec<(Glob, HostSettings)>,
    /// containerd's folder of `hosts.toml` files.
    containerd: CertsFolder,
    /// Addresses a webhook may connect to although its door would refuse them.
    pub allow_addresses: Vec<AllowedAddress>,
    /// Refuse private ranges too.
    pub public_only: bool,
    /// Names (registry/repository, or as written) that only exist on developers' machines.
    pub local: Vec<Glob>,
}

/// How one registry host is reached and what its nodes know.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// The file and PEM text of the authorities trusted for this host, beside the system's.
    pub ca: Option<CertificateFile>,
    pub plain_http: bool,
    /// URL prefixes of token services that may see this host's logins.
    pub token_realms: Vec<String>,
    /// Whether nodes may have logins of their own for this host; `None`: by the host's family.
    pub node_credentials: Option<NodeCredentials>,
    pub ask: bool,
    pub requests_in_flight: Option<usize>,
    /// Requests that may begin in a second.
    pub rate: Option<f64>,
    /// Asked in order before the host itself.
    pub mirrors: Vec<Endpoint>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            ca: None,
            plain_http: false,
            token_realms: Vec::new(),
            node_credentials: None,
            ask: true,
            requests_in_flight: None,
            rate: None,
            mirrors: Vec::new(),
        }
    }
}

/// A PEM file, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CertificateFile {
    pub file: PathBuf,
    pub pem: String,
}

/// Whether nodes may bring a login of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeCredentials {
    None,
    Unknown,
}

/// A mirror of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    pub url: String,
    /// Whether logins for the registry are offered to the mirror.
    #[serde(default)]
    pub credentials: bool,
}

/// An address or range that may be connected to, with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedAddress {
    pub net: IpNet,
    /// `None`: every port.
    pub port: Option<u16>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    allow_addresses: Vec<String>,
    public_only: bool,
    local: Vec<Glob>,
    containerd_hosts: Option<PathBuf>,
    registry: BTreeMap<String, FileHost>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FileHost {
    ca: Option<PathBuf>,
    plain_http: bool,
    token_realms: Vec<String>,
    node_credentials: Option<NodeCredentials>,
    ask: Option<bool>,
    requests_in_flight: Option<usize>,
    rate: Option<f64>,
    mirrors: Vec<Mirror>,
}

impl Registries {
    /// The entry that is for this host, as it is written in the file.
    pub fn named(&self, registry: &str) -> Option<&str> {
        self.hosts
            .iter()
            .map(|(glob, _)| glob)
            .find(|glob| glob.matches(registry))
            .map(Glob::as_str)
    }

    /// Reads and checks a `registries.toml`; relative paths in it start at its folder.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = super::read(file, MAX_SIZE)?;
        Self::parse(&text, file)
    }

    /// Parses the text of the file named; reads the CA files and the `hosts.toml` folder that it
    /// names.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Error> {
        let invalid = |reason: String| Error::Invalid { file: file.to_owned(), reason };
        let parsed: File = toml::from_str(text).map_err(|error| invalid(toml_reason(&error)))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut hosts = Vec::new();
        for (host, settings) in parsed.registry {
            let settings = check_host(&host, settings, folder).map_err(|error| match error {
                HostError::Invalid(reason) => invalid(format!("[registry.{host:?}]: {reason}")),
                HostError::Settings(error) => error,
            })?;
            hosts.push((Glob::new(host), settings));
        }
        // The most telling pattern first: a literal name, then the longer pattern.
        hosts.sort_by(|(a, _), (b, _)| {
            let rank = |glob: &Glob| (!glob.is_literal(), std::cmp::Reverse(glob.as_str().len()));
            rank(a).cmp(&rank(b)).then_with(|| a.cmp(b))
        });
        let allow_addresses = parsed
            .allow_addresses
            .iter()
            .map(|text| {
                allowed_address(text)
                    .ok_or_else(|| invalid(format!("allow_addresses: {text:?} is no address")))
            })
            .collect::<Result<_, _>>()?;
        let containerd = match parsed.containerd_hosts {
            Some(certs) => CertsFolder::read(&folder.join(certs))?,
            None => CertsFolder::default(),
        };
        let (public_only, local) = (parsed.public_only, parsed.local);
        Ok(Self { hosts, containerd, allow_addresses, public_only, local })
    }

    /// The settings of a registry as images write it (`host[:port]`), the most telling pattern winning.
    pub fn host(&self, registry: &str) -> HostSettings {
        let found = self.hosts.iter().find(|(glob, _)| glob.matches(registry));
        found.map(|(_, settings)| settings.clone()).unwrap_or_default()
    }

    /// The hosts to ask for a registry, whose own host is contacted as `own`.
    pub fn route(&self, registry: &str, own: &str) -> Route {
        let HostSettings { mirrors, plain_http, .. } = self.host(registry);
        match mirrors.is_empty() {
            true => self.containerd.route(registry, own, plain_http),
            false => Route { mirrors, origin: None },
        }
    }

    /// Adds settings for one host, as if the file named it.
    pub fn with_host(mut self, registry: &str, settings: HostSettings) -> Self {
        self.hosts.insert(0, (Glob::new(registry), settings));
        self
    }
}

enum HostError {
    Invalid(String),
    Settings(Error),
}

fn check_host(host: &str, settings: FileHost, folder: &Path) -> Result<HostSettings, HostError> {
    let FileHost {
        ca,
        plain_http,
        token_realms,
        node_credentials,
        ask,
        requests_in_flight,
        rate,
        mirrors,
    } = settings;
    let invalid = |reason: &str| Err(HostError::Invalid(reason.to_owned()));
    if host.is_empty() || host.contains('/') {
        return invalid(
            "the name is a host as images write it, such as \"registry.internal:5000\"",
        );
    }
    if plain_http && ca.is_some() {
        return invalid("plain_http and ca exclude each other");
    }
    if requests_in_flight == Some(0) {
        return invalid("requests_in_flight must be at least 1");
    }
    if rate.is_some_and(|rate| !(0.01..=10_000.0).contains(&rate)) {
        return invalid("rate is requests in a second, from 0.01 to 10000");
    }
    for realm in &token_realms {
        if !matches!(url::Url::parse(realm), Ok(url) if url.host().is_some() && url.scheme().starts_with("http"))
        {
            return Err(HostError::Invalid(format!("token_realms: {realm:?} is no http(s) URL")));
        }
    }
    let mirrors = mirrors
        .iter()
        .map(mirrors::endpoint)
        .collect::<Result<_, _>>()
        .map_err(|reason| HostError::Invalid(format!("mirrors: {reason}")))?;
    let ca = match ca {
        None => None,
        Some(path) => {
            let file = folder.join(path);
            let pem = super::read(&file, MAX_SIZE).map_err(HostError::Settings)?;
            if !pem.contains("-----BEGIN CERTIFICATE-----") {
                return Err(HostError::Invalid(format!(
                    "{} holds no PEM certificate",
                    file.display()
                )));
            }
            Some(CertificateFile { file, pem })
        }
    };
    Ok(HostSettings {
        ca,
        plain_http,
        token_realms,
        node_credentials,
        ask: ask.unwrap_or(true),
        requests_in_flight,
        rate,
        mirrors,
    })
}

fn allowed_address(text: &str) -> Option<AllowedAddress> {
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(AllowedAddress { net, port: None });
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(AllowedAddress { net: address.into(), port: None });
    }
    let socket: std::net::SocketAddr = text.parse().ok()?;
    Some(AllowedAddress { net: socket.ip().into(), port: Some(socket.port()) })
}

/// The message of the TOML reader with its line, without the source text.
pub(super) fn toml_reason(error: &toml::de::Error) -> String {
    error.to_string().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Registries, Error> {
        Registries::parse(text, Path::new("registries.toml"))
    }

    #[test]
    fn a_literal_host_wins_over_a_glob_and_a_longer_glob_over_a_shorter() {
        let registries = parse(
            "[registry.\"*.example\"]\nask = false\n[registry.\"*.eu.example\"]\nplain_http = true\nrate = 0.5\n[registry.\"a.eu.example\"]\nrequests_in_flight = 3\nrate = 20\n",
        )
        .unwrap();
        assert!(!registries.host("x.example").ask);
        assert!(registries.host("b.eu.example").plain_http);
        assert_eq!(registries.host("a.eu.example").requests_in_flight, Some(3));
        assert_eq!(registries.host("b.eu.example").rate, Some(0.5));
        assert_eq!(registries.host("a.eu.example").rate, Some(20.0));
        assert!(registries.host("docker.io").ask);
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused_with_the_place() {
        for (text, word) in [
            ("registryy = 1", "registryy"),
            ("[registry.\"a\"]\nplain_htp = true", "plain_htp"),
            ("[registry.\"a\"]\nrequests_in_flight = 0", "at least 1"),
            ("[registry.\"a\"]\nrate = 0", "from 0.01 to 10000"),
            ("[registry.\"a\"]\nrate = nan", "from 0.01 to 10000"),
            ("[registry.\"a\"]\ntoken_realms = [\"sso\"]", "no http(s) URL"),
            ("[registry.\"https://a\"]\nask = false", "host as images write it"),
            ("allow_addresses = [\"there\"]", "no address"),
            ("[registry.\"a\"]\nca = \"/no/such/ca.pem\"", "cannot read"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn addresses_are_single_ranges_or_with_a_port() {
        assert_eq!(allowed_address("127.0.0.1:5000").unwrap().port, Some(5000));
        assert!(
            allowed_address("10.0.0.0/8")
                .unwrap()
                .net
                .contains(&"10.2.3.4".parse::<IpAddr>().unwrap())
        );
        assert_eq!(allowed_address("nope"), None);
    }
}
