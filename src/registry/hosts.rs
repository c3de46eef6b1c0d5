//! The hosts of each registry, in the order asked, for as long as the registry is asked for: what was
//! learnt of them lives with them. Only so many are kept, since images may name any host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::breaker::Breaker;
use super::host::Host;
use super::stats::Meters;
use super::transport::authority;
use crate::image::Reference;
use crate::image::reference::Target;
use crate::settings::mirrors::Endpoint;
use crate::settings::{Limits, Registries};

/// At most this many registries are kept; then the half that was not asked for longest goes.
const MAX_REGISTRIES: usize = 2000;

/// The hosts of all registries.
pub(super) struct Hosts {
    settings: Arc<Registries>,
    limits: Limits,
    meters: Meters,
    known: RwLock<Known>,
    /// Counts uses, which tells the older from the newer.
    uses: AtomicU64,
}

/// By registry.
#[derive(Default)]
struct Known(HashMap<String, Routed>);

struct Routed {
    own: Arc<Host>,
    by_tag: Option<Arc<Way>>,
    by_digest: Option<Arc<Way>>,
    used: AtomicU64,
}

/// The hosts that are asked for a reference.
#[derive(Clone)]
pub(super) struct Way {
    pub mirrors: Vec<Arc<Host>>,
    pub origin: Arc<Host>,
}

/// Why there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nobody {
    /// The image names a host that is no usable address.
    NoAddress,
    /// The settings name hosts, and none of them is for this.
    NoHost,
}

impl Hosts {
    pub fn new(settings: Arc<Registries>, limits: Limits) -> Self {
        Self {
            settings,
            limits,
            meters: Meters::default(),
            known: RwLock::default(),
            uses: AtomicU64::new(0),
        }
    }

    /// The registry's own host.
    pub fn own(&self, reference: &Reference) -> Option<Arc<Host>> {
        self.routed(reference, |routed| routed.own.clone())
    }

    /// The hosts that are asked: for a tag those that resolve, for a digest those that give content.
    /// The last of them is the origin.
    pub fn way(&self, reference: &Reference) -> Result<Arc<Way>, Nobody> {
        let way = self.routed(reference, |routed| match reference.target() {
            Target::Tag(_) => routed.by_tag.clone(),
            Target::Digest(_) => routed.by_digest.clone(),
        });
        way.ok_or(Nobody::NoAddress)?.ok_or(Nobody::NoHost)
    }

    /// The counts of all registries.
    pub fn stats(&self) -> super::Stats {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let ways = known.0.values().flat_map(|routed| {
            let ways = routed.by_tag.iter().chain(&routed.by_digest);
            ways.flat_map(|way| way.mirrors.iter().chain([&way.origin])).chain([&routed.own])
        });
        let hosts = ways.map(|host| (host.registry.as_str(), host.lane.breakers.state()));
        let open = hosts.filter(|(_, breaker)| *breaker == Breaker::Open);
        self.meters.read(open)
    }

    fn routed<T>(&self, reference: &Reference, read: impl Fn(&Routed) -> T) -> Option<T> {
        let used = self.uses.fetch_add(1, Relaxed);
        let name = reference.registry();
        if !name.is_empty()
            && let Some(found) = self.known(name, used, &read)
        {
            return Some(found);
        }
        let endpoint = reference.endpoint_host()?;
        let registry = if name.is_empty() { endpoint.as_str() } else { name };
        if let Some(found) = self.known(registry, used, &read) {
            return Some(found);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(routed) = known.0.get(registry) {
            return Some(read(routed));
        }
        let routed = self.find(registry, &endpoint, used)?;
        let found = read(&routed);
        known.make_room();
        known.0.insert(registry.to_owned(), routed);
        Some(found)
    }

    /// Reviews of many threads look at the same few registries, so they only read.
    fn known<T>(&self, registry: &str, used: u64, read: impl Fn(&Routed) -> T) -> Option<T> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let routed = known.0.get(registry)?;
        routed.used.store(used, Relaxed);
        Some(read(routed))
    }

    fn find(&self, registry: &str, endpoint: &str, used: u64) -> Option<Routed> {
        let Self { settings, limits, meters, .. } = self;
        let own = Host::new(registry, endpoint, settings.host(registry), limits, meters)?;
        let own = Arc::new(own);
        let route = settings.route(registry, endpoint);
        let at = |endpoint: &Endpoint| {
            let settings = settings.host(&authority(&endpoint.url));
            Host::at(endpoint, registry, settings, limits, meters).map(Arc::new)
        };
        let mirrors = route.mirrors.iter().filter_map(at).collect();
        let origin = route.origin.as_ref().and_then(at).unwrap_or_else(|| own.clone());
        let way = Way { mirrors, origin };
        let by_tag = way.clone().of(|host| host.can.resolve);
        let by_digest = way.of(|host| host.can.pull);
        Some(Routed { own, by_tag, by_digest, used: AtomicU64::new(used) })
    }
}

impl Known {
    fn make_room(&mut self) {
        if self.0.len() < MAX_REGISTRIES {
            return;
        }
        let used = |routed: &Routed| routed.used.load(Relaxed);
        let mut uses: Vec<u64> = self.0.values().map(used).collect();
        let (_, median, _) = uses.select_nth_unstable(MAX_REGISTRIES / 2);
        let median = *median;
        self.0.retain(|_, routed| used(routed) >= median);
    }
}

impl Way {
    /// Those of its hosts that are asked.
    fn of(mut self, is_asked: impl Fn(&Host) -> bool) -> Option<Arc<Self>> {
        self.mirrors.retain(|host| is_asked(host));
        if !is_asked(&self.origin) {
            self.origin = self.mirrors.pop()?;
        }
        Some(Arc::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b46_of_a_hundred_thousand_registries_the_last_asked_are_kept() {
        let hosts = Hosts::new(Arc::default(), Limits::default());
        let asked = |name: &str| {
            let reference = Reference::parse(&format!("{name}/app:1")).unwrap();
            hosts.own(&reference).unwrap()
        };
        let mine = asked("mine.example");
        for n in 0..10_000 {
            asked(&format!("r{n}.example"));
            asked("mine.example");
        }
        assert!(hosts.known.read().unwrap().0.len() <= MAX_REGISTRIES);
        assert!(Arc::ptr_eq(&mine, &asked("mine.example")));
    }
}
