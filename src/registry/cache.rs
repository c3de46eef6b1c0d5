//! Facts in memory, each with the identity of the credential that saw it: what a tag or digest names
//! (briefly), the tags of a repository, and parsed content by digest (long, bounded by bytes).
//! Never a decision. Equal questions in flight are asked once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use serde::{Deserialize, Serialize};

use super::content::Manifest;
use super::identity::Identity;
use crate::diagnosis::evidence::{Reply, Repository, Trouble};
use crate::image::{Digest, Platform};

/// What one credential was told about one tag or digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ManifestKey {
    /// As images write it.
    pub registry: String,
    pub repository: String,
    /// A tag or a digest.
    pub target: String,
    pub identity: Option<Identity>,
}

/// Who may list a repository's tags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RepositoryKey {
    pub registry: String,
    pub repository: String,
    pub identity: Option<Identity>,
}

/// Content by its digest, and as what it is read: the same bytes may be a manifest to one image and,
/// to a hostile one, a config.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ContentKey {
    pub part: Part,
    pub digest: Digest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Manifest,
    Config,
}

/// Content that a digest names.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Content {
    Manifest(Manifest),
    Config(Platform),
}

const PRESENT: Duration = Duration::from_secs(60);
const ABSENT: Duration = Duration::from_secs(15);
const DENIED: Duration = Duration::from_secs(30);
const UNREACHABLE: Duration = Duration::from_secs(5);
const CONTENT: Duration = Duration::from_secs(24 * 3600);

/// Entries of the two small caches.
const MAX_FACTS: u64 = 150_000;

/// The caches of one process.
pub(super) struct Facts {
    pub manifests: Cache<ManifestKey, Arc<Reply>>,
    pub repositories: Cache<RepositoryKey, Arc<Result<Repository, Trouble>>>,
    pub contents: Cache<ContentKey, Arc<Content>>,
}

impl Facts {
    pub fn new(content_bytes: u64) -> Self {
        Self {
            manifests: Cache::builder().max_capacity(MAX_FACTS).expire_after(ByReply).build(),
            repositories: Cache::builder()
                .max_capacity(MAX_FACTS / 10)
                .time_to_live(ABSENT)
                .build(),
            contents: Cache::builder()
                .max_capacity(content_bytes)
                .weigher(|_, content: &Arc<Content>| weight(content))
                .time_to_live(CONTENT)
                .build(),
        }
    }
}

struct ByReply;

impl Expiry<ManifestKey, Arc<Reply>> for ByReply {
    fn expire_after_create(
        &self,
        _: &ManifestKey,
        reply: &Arc<Reply>,
        _: Instant,
    ) -> Option<Duration> {
        Some(match reply.as_ref() {
            Reply::Found(_) => PRESENT,
            Reply::Refused(refusal) if refusal.status == 404 => ABSENT,
            Reply::Refused(_) => DENIED,
            // Not asked: the end of the pause decides when it is.
            Reply::Trouble(trouble) if trouble.is_rate_limit() && trouble.status.is_none() => {
                Duration::ZERO
            }
            Reply::Trouble(_) => UNREACHABLE,
        })
    }
}

/// Roughly the bytes an entry holds.
fn weight(content: &Content) -> u32 {
    const ENTRY: usize = 320;
    let entries = match content {
        Content::Manifest(Manifest::Index(entries)) => entries.len() + 1,
        _ => 1,
    };
    u32::try_from(entries * ENTRY).unwrap_or(u32::MAX)
}
