//! Which hosts are asked for a registry: its mirrors in order, then its origin. Mirrors of
//! `registries.toml` win over containerd's folder of `hosts.toml` files.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::Error;
use super::hosts_toml::{self, Entry, HostsToml};
use super::registries::{CertificateFile, Mirror};

/// Most folders below containerd's `config_path`.
const MAX_FOLDERS: usize = 4096;

/// Largest CA file, in bytes.
const MAX_CA: usize = 1 << 20;

/// A host that stands for a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and port.
    pub url: Url,
    /// Path of the API, without a slash at the end.
    pub api: String,
    pub verify: Verify,
    /// Whether logins for the registry may be sent to it.
    pub credentials: bool,
    /// Asked what a tag names.
    pub resolve: bool,
    /// Asked for content by digest.
    pub pull: bool,
    /// Nodes send it more than is known here, so its refusal says nothing about them.
    pub nodes_know_more: bool,
}

/// How a host's certificate is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// By the settings of its own name, or as the system does.
    ByName,
    With(CertificateFile),
    /// Not at all: `skip_verify` names the host.
    Never,
}

/// The hosts of a registry, in the order asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    pub mirrors: Vec<Endpoint>,
    /// `None`: the host that the image names.
    pub origin: Option<Endpoint>,
}

/// A mirror of `registries.toml`.
pub(super) fn endpoint(mirror: &Mirror) -> Result<Endpoint, String> {
    if !mirror.url.starts_with("http://") && !mirror.url.starts_with("https://") {
        return Err("a url begins with https:// or http://".to_owned());
    }
    let (url, api) = hosts_toml::address(&mirror.url, false)?;
    Ok(Endpoint {
        url,
        api,
        verify: Verify::ByName,
        credentials: mirror.credentials,
        resolve: true,
        pull: true,
        nodes_know_more: false,
    })
}

/// containerd's `config_path`, read: what each folder says, the authorities included.
#[derive(Debug, Clone, Default)]
pub(super) struct CertsFolder {
    folders: BTreeMap<String, (HostsToml, BTreeMap<Vec<std::path::PathBuf>, CertificateFile>)>,
}

impl CertsFolder {
    /// Reads all of it, so that a mistake is told before anything is asked.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read { file: folder.to_owned(), source };
        let mut folders = BTreeMap::new();
        for found in std::fs::read_dir(folder).map_err(failed)? {
            let found = found.map_err(failed)?;
            let Ok(name) = found.file_name().into_string() else { continue };
            if !found.path().is_dir() {
                continue;
            }
            if folders.len() == MAX_FOLDERS {
                let reason = format!("more than {MAX_FOLDERS} folders");
                return Err(Error::Invalid { file: folder.to_owned(), reason });
            }
            folders.insert(name, read_host(&found.path())?);
        }
        Ok(Self { folders })
    }

    /// The first folder that there is for a registry, as containerd looks for it.
    fn of(&self, registry: &str) -> Option<&(HostsToml, Authorities)> {
        let with_port = match registry.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => format!("{host}_{port}_"),
            _ => registry.to_owned(),
        };
        [with_port.as_str(), registry, "_default"].iter().find_map(|name| self.folders.get(*name))
    }

    /// The hosts for `registry`, whose own host is contacted as `own`. containerd offers the Pod's
    /// login to every one of them; here only the image's own host and port may see it, encrypted
    /// unless the settings say that it speaks plain HTTP, or on loopback.
    pub fn route(&self, registry: &str, own: &str, plain_http: bool) -> Route {
        let Some((file, authorities)) = self.of(registry) else { return Route::default() };
        let endpoint = |entry: &Entry, url: Url| {
            let authority = authority(&url);
            let is_own = authority == own || authority == registry;
            let is_private = url.scheme() == "https" || plain_http || is_loopback(&url);
            let verify = match authorities.get(&entry.ca) {
                _ if entry.skip_verify => Verify::Never,
                Some(ca) => Verify::With(ca.clone()),
                None => Verify::ByName,
            };
            Endpoint {
                url,
                api: entry.api.clone(),
                verify,
                credentials: is_own && is_private,
                resolve: entry.resolve,
                pull: entry.pull,
                nodes_know_more: entry.nodes_know_more,
            }
        };
        let mirrors = file.hosts.iter().filter_map(|entry| {
            let url = entry.url.clone()?;
            Some(endpoint(entry, url))
        });
        let says_something = file.server != Entry::default();
        let url = file.server.url.clone().or_else(|| match says_something && !plain_http {
            true => Url::parse(&format!("https://{own}/")).ok(),
            false => None,
        });
        Route { mirrors: mirrors.collect(), origin: url.map(|url| endpoint(&file.server, url)) }
    }
}

/// What CA files hold, by the list that names them.
type Authorities = BTreeMap<Vec<std::path::PathBuf>, CertificateFile>;

fn read_host(folder: &Path) -> Result<(HostsToml, Authorities), Error> {
    let file = folder.join(hosts_toml::FILE);
    // containerd takes a folder without the file, and an empty file, for one that says nothing.
    if !file.exists() {
        return Ok(Default::default());
    }
    let text = super::read(&file, hosts_toml::MAX_SIZE)?;
    let parsed = hosts_toml::parse(&text, folder)?;
    let mut authorities = BTreeMap::new();
    for entry in parsed.hosts.iter().chain([&parsed.server]) {
        let Some(first) = entry.ca.first() else { continue };
        let mut pem = String::new();
        for ca in &entry.ca {
            let text = super::read(ca, MAX_CA)?;
            if !text.contains("-----BEGIN CERTIFICATE-----") {
                let reason = format!("{} holds no PEM certificate", ca.display());
                return Err(Error::Invalid { file, reason });
            }
            pem.push_str(&text);
            pem.push('\n');
        }
        authorities.insert(entry.ca.clone(), CertificateFile { file: first.clone(), pem });
    }
    Ok((parsed, authorities))
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
