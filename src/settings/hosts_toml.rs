//! containerd's `hosts.toml`: which hosts stand for a registry, in which order, and how they are
//! trusted. Parsing only: no file is read and nothing is asked. What containerd ignores is ignored.
//! Follows containerd `core/remotes/docker/config/hosts.go` and its `docs/hosts.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;
use url::Url;

use super::Error;
use crate::text::clean;

/// The name of the file in a host's folder.
pub const FILE: &str = "hosts.toml";

/// Largest file, in bytes.
pub const MAX_SIZE: usize = 1 << 20;

/// Most hosts in one file.
const MAX_HOSTS: usize = 64;

/// A file, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostsToml {
    /// In the order of the file.
    pub hosts: Vec<Entry>,
    /// Asked last: `server`, or the image's own host where that is not set.
    pub server: Entry,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Scheme, host and port; `None`: the image's own host.
    pub url: Option<Url>,
    /// Path of the API, `/v2` unless the file says otherwise; without a slash at the end.
    pub api: String,
    /// Gives content by digest.
    pub pull: bool,
    /// Says what a tag names.
    pub resolve: bool,
    /// Files with authorities that are trusted beside the system's.
    pub ca: Vec<PathBuf>,
    pub skip_verify: bool,
    /// Nodes send headers or certificates of their own to it, which nobody else has.
    pub nodes_know_more: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            url: None,
            api: "/v2".to_owned(),
            pull: true,
            resolve: true,
            ca: Vec::new(),
            skip_verify: false,
            nodes_know_more: false,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    server: String,
    host: BTreeMap<Spanned<String>, FileEntry>,
    // Those of `server`; flattening would lose the places of errors.
    capabilities: Vec<String>,
    ca: Option<Ca>,
    client: Option<IgnoredAny>,
    skip_verify: Option<bool>,
    override_path: bool,
    header: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FileEntry {
    capabilities: Vec<String>,
    ca: Option<Ca>,
    client: Option<IgnoredAny>,
    skip_verify: Option<bool>,
    override_path: bool,
    header: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ca {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// Parses the `hosts.toml` of a folder; relative paths in it start there. Neither a header nor an
/// address with a password is repeated by an error.
pub fn parse(text: &str, folder: &Path) -> Result<HostsToml, Error> {
    let invalid = |reason: String| Error::Invalid { file: folder.join(FILE), reason };
    if text.len() > MAX_SIZE {
        return Err(invalid(format!("larger than {MAX_SIZE} bytes")));
    }
    let at = |error: toml::de::Error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let message = clean(error.message(), 200);
        invalid(line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}")))
    };
    let file: File = toml::from_str(text).map_err(at)?;
    if file.host.len() > MAX_HOSTS {
        return Err(invalid(format!("more than {MAX_HOSTS} hosts")));
    }
    let mut listed: Vec<(Spanned<String>, FileEntry)> = file.host.into_iter().collect();
    listed.sort_by_key(|(name, _)| name.span().start);
    let hosts = listed
        .into_iter()
        .map(|(name, entry)| {
            let name = name.into_inner();
            match name.as_str() {
                "" => Err("[host.\"\"] names no host".to_owned()),
                name => check(name, entry, folder),
            }
        })
        .collect::<Result<_, _>>()
        .map_err(invalid)?;
    let server = FileEntry {
        capabilities: file.capabilities,
        ca: file.ca,
        client: file.client,
        skip_verify: file.skip_verify,
        override_path: file.override_path,
        header: file.header,
    };
    let server = check(&file.server, server, folder).map_err(invalid)?;
    Ok(HostsToml { hosts, server })
}

fn check(name: &str, entry: FileEntry, folder: &Path) -> Result<Entry, String> {
    let (url, api) = match name {
        "" => (None, "/v2".to_owned()),
        name => {
            let (url, api) = address(name, entry.override_path)?;
            (Some(url), api)
        }
    };
    let (mut pull, mut resolve) = (false, false);
    for capability in &entry.capabilities {
        match capability.to_lowercase().as_str() {
            "pull" => pull = true,
            "resolve" => resolve = true,
            "push" => {}
            _ => return Err(format!("unknown capability \"{}\"", clean(capability, 40))),
        }
    }
    // Whoever is the image's own host can do everything.
    if entry.capabilities.is_empty() || url.is_none() {
        (pull, resolve) = (true, true);
    }
    let ca = match entry.ca {
        None => Vec::new(),
        Some(Ca::One(file)) => vec![folder.join(file)],
        Some(Ca::Many(files)) => files.into_iter().map(|file| folder.join(file)).collect(),
    };
    let headers = entry.header.is_some_and(|header| !header.is_empty());
    Ok(Entry {
        url,
        api,
        pull,
        resolve,
        ca,
        skip_verify: entry.skip_verify == Some(true),
        nodes_know_more: headers || entry.client.is_some(),
    })
}

/// Scheme, host and port of an address, and the path of the API below it.
pub(super) fn address(text: &str, override_path: bool) -> Result<(Url, String), String> {
    let with_scheme = match text.starts_with("http") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let other_scheme = !text.starts_with("http") && text.contains("://");
    let url = Url::parse(&with_scheme)
        .ok()
        .filter(|_| !other_scheme)
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| {
            // The part before an @ may be a password.
            let shown = text.rsplit('@').next().unwrap_or_default();
            format!("\"{}\" is no http(s) address of a host", clean(shown, 200))
        })?;
    if !url.username().is_empty() || url.password().is_some() {
        let host = clean(url.host_str().unwrap_or_default(), 200);
        return Err(format!("the address of {host} holds a login, which is never sent"));
    }
    let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let mut api: String = parts.iter().map(|part| format!("/{part}")).collect();
    if !override_path && !api.ends_with("/v2") {
        api.push_str("/v2");
    }
    let mut origin = url;
    origin.set_path("");
    origin.set_query(None);
    origin.set_fragment(None);
    Ok((origin, api))
}

#[cfg(test)]
#[path = "hosts_toml/tests.rs"]
mod tests;
