//! Counts for whoever watches the process: requests, their time and what the cache saved, for each
//! registry. Only so many registries have a name here; the others are counted together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::breaker::Breaker;

/// Registries that are counted by name.
const MAX_NAMED: usize = 100;

/// Bounds of the times that requests are counted by; what took longer is counted behind the last.
pub const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

/// What all registries cost and gave since the process began.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// By name, as images write it.
    pub registries: BTreeMap<String, RegistryStats>,
    /// All that have no place above.
    pub other: RegistryStats,
}

/// What one registry cost and gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistryStats {
    /// HTTP requests that reached it or its token service.
    pub requests: u64,
    /// How long those took together.
    pub time: Duration,
    /// Requests by the first of [`SECONDS`] that they did not take longer than.
    pub seconds: [u64; SECONDS.len() + 1],
    /// Questions answered from memory, by asking, and by what was known before it went out of order.
    pub hits: u64,
    pub misses: u64,
    pub stale: u64,
    pub breaker: Breaker,
    /// The `ratelimit-remaining` that it told last.
    pub pulls_left: Option<u64>,
}

impl RegistryStats {
    /// Counts another registry in.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.time += other.time;
        for (count, more) in self.seconds.iter_mut().zip(other.seconds) {
            *count += more;
        }
        self.hits += other.hits;
        self.misses += other.misses;
        self.stale += other.stale;
        self.breaker = self.breaker.max(other.breaker);
        self.pulls_left = match (self.pulls_left, other.pulls_left) {
            (Some(own), Some(more)) => Some(own.min(more)),
            (own, more) => own.or(more),
        };
    }
}

/// The counters of one registry.
#[derive(Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    micros: AtomicU64,
    seconds: [AtomicU64; SECONDS.len() + 1],
    hits: AtomicU64,
    misses: AtomicU64,
    stale: AtomicU64,
    /// One more than was told; 0: nothing was.
    pulls_left: AtomicU64,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Memory,
    Asking,
    Stale,
}

impl Counters {
    pub fn sent(&self, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        let bucket = SECONDS.iter().position(|bound| took.as_secs_f64() <= *bound);
        self.seconds[bucket.unwrap_or(SECONDS.len())].fetch_add(1, Relaxed);
    }

    pub fn answered(&self, from: Source) {
        let counter = match from {
            Source::Memory => &self.hits,
            Source::Asking => &self.misses,
            Source::Stale => &self.stale,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub fn told(&self, pulls_left: u64) {
        self.pulls_left.store(pulls_left.saturating_add(1), Relaxed);
    }

    fn read(&self) -> RegistryStats {
        RegistryStats {
            requests: self.requests.load(Relaxed),
            time: Duration::from_micros(self.micros.load(Relaxed)),
            seconds: std::array::from_fn(|bucket| self.seconds[bucket].load(Relaxed)),
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            stale: self.stale.load(Relaxed),
            breaker: Breaker::Closed,
            pulls_left: self.pulls_left.load(Relaxed).checked_sub(1),
        }
    }
}

/// The counters of all registries.
#[derive(Default)]
pub(super) struct Meters {
    named: Mutex<BTreeMap<String, Arc<Counters>>>,
    other: Arc<Counters>,
}

impl Meters {
    /// Where a registry is counted.
    pub fn of(&self, registry: &str) -> Arc<Counters> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = named.get(registry) {
            return counters.clone();
        }
        if named.len() >= MAX_NAMED {
            return self.other.clone();
        }
        let counters = Arc::<Counters>::default();
        named.insert(registry.to_owned(), counters.clone());
        counters
    }

    /// All counts, with the breakers of the hosts that are known.
    pub fn read<'a>(&self, breakers: impl Iterator<Item = (&'a str, Breaker)>) -> Stats {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let registries = named.iter().map(|(name, counters)| (name.clone(), counters.read()));
        let mut stats = Stats { registries: registries.collect(), other: self.other.read() };
        for (registry, breaker) in breakers {
            let counted = stats.registries.get_mut(registry).unwrap_or(&mut stats.other);
            counted.breaker = counted.breaker.max(breaker);
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b46_a_hundred_thousand_hosts_are_a_hundred_names_and_the_others() {
        let meters = Meters::default();
        for n in 0..100_000 {
            meters.of(&format!("r{n}.example")).answered(Source::Asking);
        }
        let stats = meters.read([("r1.example", Breaker::Open), ("x", Breaker::Open)].into_iter());
        assert_eq!((stats.registries.len(), stats.other.misses), (100, 99_900));
        assert_eq!(stats.registries["r1.example"].breaker, Breaker::Open);
        assert_eq!((stats.other.breaker, stats.other.pulls_left), (Breaker::Open, None));
    }
}
