//! Facts in memory, each with the identity of the credential that saw it: what a tag or digest names
//! (briefly, and for longer where its registry is out of order), the tags of a repository, and parsed
//! content by digest (long). All bounded by bytes. Never a decision. Equal questions in flight are
//! asked once.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use moka::Expiry;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::content::Manifest;
use super::identity::Identity;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Found, Origin, Reply, Repository, Trouble};
use crate::image::{Digest, Platform};
use crate::settings::Limits;

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

const CONTENT: Duration = Duration::from_secs(24 * 3600);

/// Bytes of facts about tags and digests, and entries of the listings.
const FACT_BYTES: u64 = 64 << 20;
const MAX_LISTINGS: u64 = 15_000;

/// The caches of one process.
pub(super) struct Facts {
    pub manifests: Cache<ManifestKey, Arc<Fact>>,
    pub repositories: Cache<RepositoryKey, Arc<Listing>>,
    pub contents: Cache<ContentKey, Arc<Content>>,
}

impl Facts {
    pub fn new(limits: &Limits) -> Self {
        let listings = ByListing { known: limits.absent, untold: limits.unreachable };
        Self {
            manifests: Cache::builder()
                .max_capacity(FACT_BYTES)
                .weigher(|key, fact: &Arc<Fact>| fact_weight(key, fact))
                .expire_after(ByFact)
                .build(),
            repositories: Cache::builder()
                .max_capacity(MAX_LISTINGS)
                .expire_after(listings)
                .build(),
            contents: Cache::builder()
                .max_capacity(limits.content_cache_bytes)
                .weigher(|_, content: &Arc<Content>| weight(content))
                .time_to_live(CONTENT)
                .build(),
        }
    }
}

/// What a tag or digest was last said to be, and what it was before the registry went out of order.
pub(super) struct Fact {
    pub reply: Reply,
    /// When the registry answered so, or failed to.
    pub seen: Instant,
    /// How old the reply was by then, where an earlier run was told so.
    pub kept: Option<Duration>,
    /// What it named when the registry last said so, and when that was; only where it fails now.
    pub earlier: Option<(Found, Instant)>,
    /// Failures in a row.
    pub failures: u32,
    /// Nobody asks again until then.
    pub until: Instant,
    /// The deadline that cut the asking short: who has more time may ask again.
    pub cut: Option<Instant>,
    /// How long it is of any use.
    keep: Duration,
}

impl Fact {
    /// What was learnt now, after `before`, by somebody who had time until `deadline`.
    pub fn new(
        reply: Reply,
        kept: Option<Duration>,
        before: Option<&Fact>,
        deadline: Instant,
        limits: &Limits,
    ) -> Self {
        let seen = Instant::now();
        let failures = before.map_or(0, |before| before.failures);
        let failures = match &reply {
            Reply::Trouble(trouble) if was_not_sent(trouble) => failures,
            Reply::Trouble(_) => failures.saturating_add(1),
            _ => 0,
        };
        let earlier = match &reply {
            Reply::Trouble(trouble) if is_out_of_order(trouble) => {
                before.and_then(|before| before.last_found(limits.stale))
            }
            _ => None,
        };
        let cut = match &reply {
            Reply::Trouble(trouble) if earlier.is_none() => cut_at(trouble, deadline),
            _ => None,
        };
        let lifetime = match &reply {
            _ if cut.is_some() => Duration::ZERO,
            Reply::Found(_) => limits.present,
            Reply::Refused(refusal) if refusal.status == 404 => limits.absent,
            Reply::Refused(_) => limits.denied,
            // Not asked: what keeps from asking decides when it is.
            Reply::Trouble(trouble) if was_not_sent(trouble) => Duration::ZERO,
            Reply::Trouble(_) => {
                let doubled =
                    limits.unreachable.saturating_mul(1 << failures.saturating_sub(1).min(16));
                doubled.min(limits.unreachable_longest)
            }
        };
        let of_use = match (&reply, &earlier) {
            (Reply::Found(_), _) => limits.stale,
            (_, Some((_, at))) => limits.stale.saturating_sub(at.elapsed()),
            _ => Duration::ZERO,
        };
        let keep = lifetime.max(of_use);
        Self { reply, seen, kept, earlier, failures, until: seen + lifetime, cut, keep }
    }

    fn last_found(&self, stale: Duration) -> Option<(Found, Instant)> {
        match &self.reply {
            Reply::Found(found) if self.kept.is_none() => Some((found.clone(), self.seen)),
            _ => self.earlier.clone(),
        }
        .filter(|(_, at)| at.elapsed() < stale)
    }

    /// Whether it is only that somebody might not ask; who else wants to know has to ask.
    pub fn was_throttled(&self) -> bool {
        matches!(&self.reply, Reply::Trouble(trouble) if trouble.reason == Reason::Throttled)
    }

    /// What it tells somebody who began to ask at `began`.
    pub fn told(&self, began: Instant, fresh: bool, stale: Duration) -> (Reply, Origin) {
        // Who asked too much is told so: the registry is not out of order.
        if let Some((found, at)) = self.earlier.as_ref().filter(|_| !fresh && !self.was_throttled())
            && at.elapsed() < stale
        {
            return (Reply::Found(found.clone()), Origin::Stale(at.elapsed()));
        }
        let origin = match self.kept {
            Some(age) => Origin::Disk(age + self.seen.elapsed()),
            None if self.seen >= began => Origin::Asked,
            None => Origin::Memory(self.seen.elapsed()),
        };
        (self.reply.clone(), origin)
    }
}

/// No answers came, as opposed to wrong ones.
fn is_out_of_order(trouble: &Trouble) -> bool {
    use Cause::*;
    let is_down = |cause| {
        matches!(
            cause,
            DnsFailure
                | ConnectionRefused
                | Unreachable
                | Timeout
                | ProxyFailure
                | RegistryError
                | RateLimited
        )
    };
    match trouble.reason {
        Reason::Seen(cause) => is_down(cause),
        reason => {
            matches!(reason, Reason::BreakerOpen | Reason::OutOfTime | Reason::Throttled)
        }
    }
}

/// The asker's own deadline, where it was what ended the asking: who has more time may ask again.
pub(super) fn cut_at(trouble: &Trouble, deadline: Instant) -> Option<Instant> {
    let is_about_time = matches!(trouble.reason, Reason::OutOfTime | Reason::Seen(Cause::Timeout));
    (is_about_time && Instant::now() >= deadline).then_some(deadline)
}

/// Too little time to ask anything in.
const A_LITTLE: Duration = Duration::from_millis(50);

/// Whether there is more time until `deadline` than there was for what ended at `cut`.
pub(super) fn has_more_time(deadline: Instant, cut: Option<Instant>) -> bool {
    cut.is_some_and(|cut| deadline > cut + A_LITTLE)
}

fn was_not_sent(trouble: &Trouble) -> bool {
    match trouble.reason {
        Reason::BreakerOpen | Reason::OutOfTime | Reason::Throttled => true,
        _ => trouble.is_rate_limit() && trouble.status.is_none(),
    }
}

struct ByFact;

impl Expiry<ManifestKey, Arc<Fact>> for ByFact {
    fn expire_after_create(
        &self,
        _: &ManifestKey,
        fact: &Arc<Fact>,
        _: StdInstant,
    ) -> Option<Duration> {
        Some(fact.keep)
    }

    fn expire_after_update(
        &self,
        _: &ManifestKey,
        fact: &Arc<Fact>,
        _: StdInstant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(fact.keep)
    }
}

/// What listing a repository's tags told after a 404.
pub(super) enum Listing {
    Known(Repository),
    /// It is no registry that answers.
    NoRegistry(Trouble),
    /// It was not told now, and may be another time.
    Untold(Trouble),
    /// The asker's time ended, at this deadline.
    Cut(Trouble, Instant),
}

struct ByListing {
    known: Duration,
    untold: Duration,
}

impl Expiry<RepositoryKey, Arc<Listing>> for ByListing {
    fn expire_after_create(
        &self,
        _: &RepositoryKey,
        listing: &Arc<Listing>,
        _: StdInstant,
    ) -> Option<Duration> {
        Some(match listing.as_ref() {
            Listing::Known(_) | Listing::NoRegistry(_) => self.known,
            Listing::Cut(..) => Duration::ZERO,
            Listing::Untold(trouble) if was_not_sent(trouble) => Duration::ZERO,
            Listing::Untold(_) => self.untold,
        })
    }
}

/// Roughly the bytes a fact holds.
fn fact_weight(key: &ManifestKey, fact: &Fact) -> u32 {
    const ENTRY: usize = 1100;
    let text = match &fact.reply {
        Reply::Found(found) => found.host.len() + found.media_type.len(),
        Reply::Refused(refusal) => {
            let codes = refusal.codes.iter().map(|code| code.len() + 24).sum::<usize>();
            refusal.host.len() + refusal.text.len() + codes
        }
        Reply::Trouble(trouble) => trouble.host.len() + trouble.text.len(),
    };
    let names = key.registry.len() + key.repository.len() + key.target.len();
    u32::try_from(ENTRY + names + text).unwrap_or(u32::MAX)
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

#[cfg(test)]
mod tests;
