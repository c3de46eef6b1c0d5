//! What memory answers without asking: whether a question is cold, and what a pinned image names.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Place, Registry, sender};
use crate::diagnosis::Question;
use crate::diagnosis::evidence::Reply;
use crate::image::reference::Target;
use crate::registry::cache::{Fact, ManifestKey};

impl Registry {
    /// Whether a question would be put to a registry: nothing of it is remembered that still counts.
    pub async fn is_cold(&self, question: &Question) -> bool {
        let Ok(way) = self.hosts.way(&question.reference) else { return false };
        let mask = super::mask(question);
        let place = way.place(question, Instant::now(), &mask);
        let first = sender(question.candidates.first()).filter(|_| place.host.takes_logins);
        let target = match place.reference.target() {
            Target::Tag(tag) => tag.to_owned(),
            Target::Digest(digest) => digest.to_string(),
        };
        let key = ManifestKey {
            registry: place.host.key.clone(),
            repository: place.reference.endpoint_repository().to_owned(),
            target,
            identity: first.map(|candidate| self.identity(candidate)),
        };
        let known = self.facts.manifests.get(&key).await;
        place.fresh || known.is_none_or(|fact| fact.until <= Instant::now())
    }

    /// A tag that is pinned is asked for by its digest next: what was said of one holds for the other.
    pub(super) async fn know_digest(&self, place: &Place<'_>, key: &ManifestKey, fact: &Arc<Fact>) {
        if let (true, Reply::Found(found)) = (place.fresh, &fact.reply) {
            let key = ManifestKey { target: found.digest.to_string(), ..key.clone() };
            self.facts.manifests.insert(key, Arc::clone(fact)).await;
        }
    }
}
