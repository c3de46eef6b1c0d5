//! Docker configuration files: the node's own and a person's own, as text that the caller has read.
//!
//! A node's file is decoded as `pkg/credentialprovider/config.go` of the kubelet does, where one bad
//! entry makes it drop the file. A person's file is read more kindly: what cannot be used yet
//! (helpers, identity tokens, bad entries) is told in notes.

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
    notes: Vec<Note>,
}

/// Something in a person's configuration file that pullproof does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// `credsStore` names a helper for all registries.
    CredsStore { helper: String },
    /// `credHelpers` names a helper for one registry.
    CredHelper { registry: String, helper: String },
    /// An entry holds an `identitytoken` or `registrytoken`.
    Token { key: String, field: &'static str },
    /// An entry cannot be read and was skipped.
    Skipped { key: String, reason: Reason },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |s: &str| text::clean(s, text::SHOWN);
        match self {
            Note::CredsStore { helper } => {
                write!(f, "credsStore \"{}\" is not used yet", show(helper))
            }
            Note::CredHelper { registry, helper } => write!(
                f,
                "credHelpers \"{}\" for \"{}\" is not used yet",
                show(helper),
                show(registry)
            ),
            Note::Token { key, field } => {
                write!(f, "{field} of entry \"{}\" is not used yet", show(key))
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
        Ok(Self { source, entries, notes: Vec::new() })
    }

    /// Reads a person's file: bad entries are skipped and noted.
    pub fn own(file: impl Into<String>, content: &[u8]) -> Result<Self, Error> {
        let source = Source::OwnConfig { file: file.into() };
        let document = read(&source, content)?;
        let mut config = Self { source, entries: Entries::new(), notes: Vec::new() };
        for (registry, helper) in document.helpers {
            config.notes.push(match registry {
                None => Note::CredsStore { helper },
                Some(registry) => Note::CredHelper { registry, helper },
            });
        }
        for (key, field) in document.unused_tokens {
            config.notes.push(Note::Token { key, field });
        }
        for (key, entry) in document.entries {
            match entry {
                Ok(credential) => drop(config.entries.insert(key, credential)),
                Err(reason) => {
                    config.notes.push(Note::Skipped { key: entries::shown_key(&key), reason });
                }
            }
        }
        Ok(config)
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
        entries::registries(self.entries.keys())
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }
}

impl fmt::Debug for DockerConfig {
    /// Shows no key as written, since user info may stand in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig")
            .field("source", &self.source)
            .field("registries", &self.registries())
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
