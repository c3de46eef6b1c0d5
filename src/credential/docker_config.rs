//! Docker configuration files: the node's own and a person's own, as text that the caller has read.
//!
//! A node's file is decoded as `pkg/credentialprovider/config.go` of the kubelet does, where one bad
//! entry makes it drop the file. A person's file is read more kindly, as Docker and podman read it:
//! it may name helpers and hold identity tokens, empty entries are passed over, and what cannot be
//! used (bad entries, registry tokens) is told in notes.

use std::collections::BTreeMap;
use std::fmt;

use super::Source;
use super::entries::{self, Document, Entries, Error, Form, Reason};
use crate::text;

/// The largest configuration file that is read, in bytes.
pub const MAX_FILE: usize = entries::MAX_DOCUMENT;

/// The entries of one docker configuration file.
#[derive(Clone, PartialEq, Eq)]
pub struct DockerConfig {
    source: Source,
    entries: Entries,
    /// Of a person's file only, like the helpers.
    identity_tokens: Entries,
    /// `credsStore`, for all registries that `helpers` does not name.
    store: Option<String>,
    /// `credHelpers` by server; an empty name stands for no helper.
    helpers: BTreeMap<String, String>,
    notes: Vec<Note>,
}

/// Something in a person's configuration file that pullproof does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// An entry holds a `registrytoken`.
    RegistryToken { key: String },
    /// An entry cannot be read and was skipped.
    Skipped { key: String, reason: Reason },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |s: &str| text::clean(s, text::SHOWN);
        match self {
            Note::RegistryToken { key } => {
                write!(f, "registrytoken of entry \"{}\" is not used", show(key))
            }
            Note::Skipped { key, reason } => {
                write!(f, "entry \"{}\" is skipped: {reason}", show(key))
            }
        }
    }
}

impl DockerConfig {
    /// Reads a node's file as a kubelet does; a kubelet goes on without a file that is an error here.
    pub fn node(file: impl Into<String>, content: &[u8]) -> Result<Self, Error> {
        let source = Source::NodeConfig { file: file.into() };
        let entries = read(&source, content)?.strict().map_err(|p| p.at(source.clone()))?;
        Ok(Self { entries, ..Self::empty(source) })
    }

    /// Reads a person's file: bad entries are skipped and noted, empty ones are skipped.
    pub fn own(file: impl Into<String>, content: &[u8]) -> Result<Self, Error> {
        let source = Source::OwnConfig { file: file.into() };
        let document = read(&source, content)?;
        let mut config = Self { identity_tokens: document.identity_tokens, ..Self::empty(source) };
        for (registry, helper) in document.helpers {
            match registry {
                None => config.store = Some(helper),
                Some(registry) => drop(config.helpers.insert(server_of(&registry), helper)),
            }
        }
        let tokens = document.registry_tokens.into_iter();
        config.notes.extend(tokens.map(|key| Note::RegistryToken { key }));
        for (key, entry) in document.entries {
            match entry {
                // Docker leaves one behind where a helper keeps the login.
                Ok(credential) if credential.sends_nothing() => {}
                Ok(credential) => drop(config.entries.insert(key, credential)),
                Err(reason) => {
                    config.notes.push(Note::Skipped { key: entries::shown_key(&key), reason });
                }
            }
        }
        Ok(config)
    }

    fn empty(source: Source) -> Self {
        Self {
            source,
            entries: Entries::new(),
            identity_tokens: Entries::new(),
            store: None,
            helpers: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The helper that keeps the login for a server, if the file names one.
    pub(super) fn helper(&self, server: &str) -> Option<&str> {
        let named = self.helpers.get(&server_of(server)).or(self.store.as_ref());
        named.map(String::as_str).filter(|helper| !helper.is_empty())
    }

    /// Where its credentials come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the file holds that is not used; always empty for a node's file.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The registries it has entries for, sorted.
    pub fn registries(&self) -> Vec<String> {
        entries::registries(self.entries.keys().chain(self.identity_tokens.keys()))
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    pub(super) fn identity_tokens(&self) -> &Entries {
        &self.identity_tokens
    }
}

impl fmt::Debug for DockerConfig {
    /// Shows no key as written, since user info may stand in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig")
            .field("source", &self.source)
            .field("registries", &self.registries())
            .field("helpers", &self.helpers.values().chain(&self.store).collect::<Vec<_>>())
            .field("notes", &self.notes)
            .finish()
    }
}

fn read(source: &Source, content: &[u8]) -> Result<Document, Error> {
    let (Source::NodeConfig { file } | Source::OwnConfig { file }) = source else {
        return Ok(Document::default());
    };
    let form = if file.ends_with(".dockercfg") { Form::Dockercfg } else { Form::ConfigJson };
    Document::read(content, form).map_err(|problem| problem.at(source.clone()))
}

/// A server as `credHelpers` is searched for it: the host alone, one name for Docker Hub.
fn server_of(written: &str) -> String {
    let bare = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://"));
    let bare = bare.unwrap_or(written).trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    match bare {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}
