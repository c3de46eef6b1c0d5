//! What a tag or digest names, and what its repository lists: from memory as long as that counts, or
//! asked once for all who want to know at the same time.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Place, Registry};
use crate::credential::Candidate;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::{Origin, Reply, Repository, Trouble};
use crate::image::Digest;
use crate::image::reference::Target;
use crate::registry::body;
use crate::registry::cache::{Fact, Listing, ManifestKey, RepositoryKey, cut_at, has_more_time};
use crate::registry::content::ACCEPT;
use crate::registry::host::Host;
use crate::registry::mask::Mask;
use crate::registry::stats::Source;
use crate::registry::transport::{Response, bad_answer};

/// At most this many tags are kept of a listing.
const MAX_TAGS: usize = 10_000;

impl Registry {
    /// What a tag or digest names, to one credential.
    pub(super) async fn manifest(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
    ) -> (Reply, Origin) {
        let (target, digest) = match place.reference.target() {
            Target::Tag(tag) => (tag.to_owned(), None),
            Target::Digest(digest) => (digest.to_string(), Some(digest)),
        };
        let key = ManifestKey {
            registry: place.host.key.clone(),
            repository: place.reference.endpoint_repository().to_owned(),
            target,
            identity: sender.map(|candidate| self.identity(candidate)),
        };
        let known = self.facts.manifests.get(&key).await;
        if let Some(fact) = known.filter(|fact| place.is_content_with(fact)) {
            return self.told(place, &fact, Source::Memory);
        }
        // A request is large as a future; what is answered from memory must not carry it about.
        Box::pin(self.asked_manifest(place, sender, key, digest)).await
    }

    /// The same where memory alone does not tell.
    async fn asked_manifest(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
        key: ManifestKey,
        digest: Option<&Digest>,
    ) -> (Reply, Origin) {
        let (facts, from) = (&self.facts.manifests, Source::Asking);
        loop {
            let before = facts.get(&key).await;
            if let Some(fact) = before.as_ref().filter(|fact| place.is_content_with(fact)) {
                return self.told(place, fact, from);
            }
            let ask = async {
                let (reply, kept) = self.kept_or_asked(place, sender, &key, digest).await;
                let (before, deadline) = (before.as_deref(), place.deadline);
                Arc::new(Fact::new(reply, kept, before, deadline, &self.limits))
            };
            let entry = facts.entry_by_ref(&key);
            let entry = entry.or_insert_with_if(ask, |fact| !place.is_content_with(fact)).await;
            let fact = entry.into_value();
            self.know_digest(place, &key, &fact).await;
            if place.takes(&fact) {
                return self.told(place, &fact, from);
            }
        }
    }

    fn told(&self, place: &Place<'_>, fact: &Fact, from: Source) -> (Reply, Origin) {
        let (reply, origin) = fact.told(place.began, place.fresh, self.limits.stale);
        if fact.was_throttled() {
            return (reply, origin);
        }
        let is_stale = matches!(origin, Origin::Stale(_));
        place.host.lane.counters.answered(if is_stale { Source::Stale } else { from });
        (reply, origin)
    }

    /// Reads the codes of a 404 that came to a HEAD, which has no body, where the tags are not told.
    pub(super) async fn reread(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
        reply: &mut Reply,
    ) {
        let Reply::Refused(refusal) = reply else { return };
        let target = match place.reference.target() {
            Target::Tag(tag) => tag.to_owned(),
            Target::Digest(digest) => digest.to_string(),
        };
        let client = self.client(place, sender);
        let path = format!("v2/{}/manifests/{target}", client.repository);
        let sent = client.get(&path, ACCEPT, self.limits.manifest_bytes).await;
        if let Ok(response) = sent
            && response.status == refusal.status
        {
            let (codes, _) = body::error(&response, self.limits.error_bytes, client.mask);
            let is_code =
                |code: &String| code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            refusal.codes = codes.into_iter().filter(is_code).collect();
        }
    }

    /// What is known of the repository after a 404: one bounded listing of its tags.
    pub(super) async fn listing(
        &self,
        place: &Place<'_>,
        sender: Option<&Candidate>,
    ) -> Arc<Listing> {
        let key = RepositoryKey {
            registry: place.host.key.clone(),
            repository: place.reference.endpoint_repository().to_owned(),
            identity: sender.map(|candidate| self.identity(candidate)),
        };
        loop {
            let ask = async {
                let listed = self.client(place, sender).tags().await;
                Arc::new(match self.read_tags(place.host, listed, place.mask) {
                    Listing::Untold(trouble) => match cut_at(&trouble, place.deadline) {
                        Some(cut) => Listing::Cut(trouble, cut),
                        None => Listing::Untold(trouble),
                    },
                    told => told,
                })
            };
            let listing = self.facts.repositories.get_with_by_ref(&key, ask).await;
            match listing.as_ref() {
                Listing::Cut(_, cut) if has_more_time(place.deadline, Some(*cut)) => {}
                _ => return listing,
            }
        }
    }

    fn read_tags(&self, host: &Host, listed: Result<Response, Trouble>, mask: &Mask) -> Listing {
        let response = match listed {
            Ok(response) => response,
            // A listing too long to read proves the repository all the same.
            Err(trouble) if trouble.reason == Reason::TooLarge => {
                return Listing::Known(Repository::Readable { tags: Vec::new() });
            }
            Err(trouble) => return Listing::Untold(trouble),
        };
        let no_registry =
            |text| Listing::NoRegistry(bad_answer(&response.host, response.status, text));
        let untold = |cause, text| {
            let (host, status) = (response.host.clone(), Some(response.status));
            Listing::Untold(Trouble { reason: Reason::Seen(cause), host, status, text })
        };
        match response.status {
            200 if response.is_html() => no_registry("a web page instead of a list of tags"),
            200 => {
                let readable = |mut tags: Vec<String>| {
                    tags.retain(|tag| !mask.covers(tag));
                    Repository::Readable { tags }
                };
                let tags = tag_names(&response.body);
                Listing::Known(tags.map_or(Repository::Unknown, readable))
            }
            404 if response.is_html() => no_registry("a web page instead of a registry's answer"),
            404 => {
                let (codes, _) = body::error(&response, self.limits.error_bytes, mask);
                let unknown = codes.iter().any(|code| code == "NAME_UNKNOWN");
                Listing::Known(if unknown {
                    Repository::NameUnknown { login_demanded: host.demands_login() }
                } else {
                    Repository::Unknown
                })
            }
            429 => untold(Cause::RateLimited, body::rate_limit_text(&response)),
            500..=599 => untold(Cause::RegistryError, "an error of its own".to_owned()),
            _ => Listing::Known(Repository::Unknown),
        }
    }
}

impl Place<'_> {
    /// Whether this needs no asking.
    fn is_content_with(&self, fact: &Fact) -> bool {
        match self.fresh {
            true => fact.seen >= self.began && self.takes(fact),
            false => Instant::now() < fact.until,
        }
    }

    /// Whether it will do, when it was just learnt: not what an earlier run was told where the
    /// registry itself must be asked, nor the end of another's time where there is more, nor what
    /// another might not ask.
    fn takes(&self, fact: &Fact) -> bool {
        let is_cut = has_more_time(self.deadline, fact.cut);
        let is_anothers = fact.was_throttled() && !self.toll.was_refused();
        !(is_cut || is_anothers || self.fresh && fact.kept.is_some())
    }
}

/// The names in a tags/list body; `None` when it is none.
fn tag_names(body: &[u8]) -> Option<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Tags {
        #[serde(default)]
        tags: Option<Vec<String>>,
    }
    let tags: Tags = serde_json::from_slice(body).ok()?;
    let usable = |tag: &String| tag.len() <= 128 && tag.bytes().all(|byte| byte.is_ascii_graphic());
    Some(tags.tags.unwrap_or_default().into_iter().filter(usable).take(MAX_TAGS).collect())
}
