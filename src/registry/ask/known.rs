//! What asking costs whoever asks, and what a pinned image names without being asked for again.

use std::sync::{Arc, OnceLock};

use super::{Place, Registry};
use crate::diagnosis::cause::Reason;
use crate::diagnosis::evidence::{Reply, Trouble};
use crate::registry::cache::{Fact, ManifestKey};

/// Whether one question may be put to a registry. It is taken where a request would be sent, once for
/// all hosts of the question: what is known, or asked already for somebody else, costs nothing.
pub struct Toll<'a> {
    admits: Option<&'a (dyn Fn() -> bool + Send + Sync)>,
    taken: OnceLock<bool>,
}

/// Nobody takes anything.
pub(super) static FREE: Toll<'static> = Toll { admits: None, taken: OnceLock::new() };

impl<'a> Toll<'a> {
    /// `admits` takes the question when it is called; false when it may not be asked.
    pub fn by(admits: Option<&'a (dyn Fn() -> bool + Send + Sync)>) -> Self {
        Self { admits, taken: OnceLock::new() }
    }

    fn admits(&self) -> bool {
        self.admits.is_none_or(|admits| *self.taken.get_or_init(admits))
    }

    /// Whether it was to be asked and might not be.
    pub fn was_refused(&self) -> bool {
        self.taken.get() == Some(&false)
    }
}

impl Registry {
    /// A tag that is pinned is asked for by its digest next: what was said of one holds for the other.
    pub(super) async fn know_digest(&self, place: &Place<'_>, key: &ManifestKey, fact: &Arc<Fact>) {
        if let (true, Reply::Found(found)) = (place.fresh, &fact.reply) {
            let key = ManifestKey { target: found.digest.to_string(), ..key.clone() };
            self.facts.manifests.insert(key, Arc::clone(fact)).await;
        }
    }
}

impl Place<'_> {
    /// The trouble of a question that may not be asked.
    pub(super) fn refused(&self) -> Option<Trouble> {
        (!self.toll.admits()).then(|| Trouble {
            reason: Reason::Throttled,
            host: self.host.registry.clone(),
            status: None,
            text: "not asked, too many images are asked for at once".to_owned(),
        })
    }
}
