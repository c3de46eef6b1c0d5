//! The kubelet's keyring: which credentials it tries for an image, and in which order.
//!
//! Follows `pkg/credentialprovider/keyring.go`: keys are filed by host and path, all keys that match
//! are used in reverse byte order, and Docker Hub's key is a fallback of each keyring by itself.
//! Reading Secrets and files is left to their own modules.

use std::collections::BTreeMap;

use super::docker_config::DockerConfig;
use super::entries::{Entries, Error, index_key, shown_key};
use super::pull_secret::PullSecret;
use super::{Candidate, Credential, Source, glob, go_url};

/// The key that serves Docker Hub when nothing else matched.
pub(super) const HUB: &[u8] = b"index.docker.io";

/// The credentials of a Pod's secrets, then those of one docker configuration file.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    secrets: Ring,
    config: Ring,
}

/// What a look-up found; no candidate means one anonymous pull.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lookup {
    /// The credentials in the order a kubelet tries them; duplicates are kept.
    pub candidates: Vec<Candidate>,
    /// Whether that order is the same in every run of a kubelet.
    pub order: Order,
}

/// Whether the order of the candidates is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// A kubelet always tries them in this order.
    #[default]
    Fixed,
    /// Two spellings of one key in one place hold different credentials; a kubelet takes them as
    /// they come out of a Go map.
    Undefined,
}

impl Keyring {
    /// Files the entries of the secrets in the order of the Pod, and those of a configuration file;
    /// one bad entry in any secret fails the whole keyring, as on a node.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a PullSecret>,
        config: Option<&DockerConfig>,
    ) -> Result<Self, Error> {
        let mut keyring = Self::default();
        let mut filed = Filed::default();
        for secret in secrets {
            filed.add(secret.source(), &secret.entries()?);
        }
        keyring.secrets = filed.into_ring();
        if let Some(config) = config {
            keyring.config = Self::of(config.source(), config.entries()).config;
        }
        Ok(keyring)
    }

    /// A keyring of the entries of one configuration file.
    pub(super) fn of(source: &Source, entries: &Entries) -> Self {
        let mut filed = Filed::default();
        filed.add(source.clone(), entries);
        Self { secrets: Ring::default(), config: filed.into_ring() }
    }

    /// The credentials for an image, by its normal name without tag and digest.
    pub fn lookup(&self, name: &str) -> Lookup {
        let mut lookup = self.secrets.lookup(name);
        let more = self.config.lookup(name);
        lookup.candidates.extend(more.candidates);
        if more.order == Order::Undefined {
            lookup.order = Order::Undefined;
        }
        lookup
    }

    /// Whether it holds no entry at all.
    pub fn is_empty(&self) -> bool {
        self.secrets.index.is_empty() && self.config.index.is_empty()
    }
}

/// Entries on their way into a ring, by the key they are filed under.
#[derive(Default)]
struct Filed {
    origins: Vec<Source>,
    entries: BTreeMap<Vec<u8>, Vec<Held>>,
}

impl Filed {
    fn add(&mut self, source: Source, entries: &Entries) {
        let origin = self.origins.len();
        self.origins.push(source);
        for (key, credential) in entries {
            if let Some(index) = index_key(key) {
                let held = Held { origin, key: shown_key(key), credential: credential.clone() };
                self.entries.entry(index).or_default().push(held);
            }
        }
    }

    fn into_ring(self) -> Ring {
        let index = self.entries.into_iter().rev();
        let index = index.map(|(key, held)| Filing { place: Place::parse(&key), key, held });
        Ring { origins: self.origins, index: index.collect() }
    }
}

/// One keyring: keys in reverse byte order.
#[derive(Debug, Clone, Default)]
struct Ring {
    origins: Vec<Source>,
    index: Vec<Filing>,
}

/// All that is filed under one key.
#[derive(Debug, Clone)]
struct Filing {
    key: Vec<u8>,
    /// `None` for a key that cannot be read a second time, and so matches nothing.
    place: Option<Place>,
    held: Vec<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    /// Which of the ring's origins holds it.
    origin: usize,
    key: String,
    credential: Credential,
}

impl Filing {
    /// Two different credentials from one place: they were spellings of one key.
    fn is_undefined(&self) -> bool {
        let differ = |w: &[Held]| w[0].origin == w[1].origin && w[0].credential != w[1].credential;
        self.held.windows(2).any(differ)
    }
}

impl Ring {
    fn lookup(&self, name: &str) -> Lookup {
        if self.index.is_empty() {
            return Lookup::default();
        }
        let target = Place::parse(name.as_bytes());
        let mut found: Vec<_> = self
            .index
            .iter()
            .filter(|f| f.place.as_ref().zip(target.as_ref()).is_some_and(|(p, t)| p.covers(t)))
            .collect();
        if found.is_empty() && is_hub(name) {
            found.extend(self.index.iter().find(|f| f.key == HUB));
        }
        let order =
            if found.iter().any(|f| f.is_undefined()) { Order::Undefined } else { Order::Fixed };
        let candidates = found.iter().flat_map(|f| &f.held).map(|held| self.candidate(held));
        Lookup { candidates: candidates.collect(), order }
    }

    fn candidate(&self, held: &Held) -> Candidate {
        Candidate {
            credential: held.credential.clone(),
            source: self.origins[held.origin].clone(),
            key: held.key.clone(),
        }
    }
}

/// Host labels, port and path of a key or an image.
#[derive(Debug, Clone)]
struct Place {
    labels: Vec<Vec<u8>>,
    port: Vec<u8>,
    path: Vec<u8>,
}

impl Place {
    fn parse(text: &[u8]) -> Option<Self> {
        let url = go_url::parse(&[b"https://", text].concat()).ok()?;
        let (host, port) = go_url::split_host_port(&url.host);
        let labels = host.split(|b| *b == b'.').map(<[u8]>::to_vec).collect();
        Some(Self { labels, port: port.to_vec(), path: url.path })
    }

    /// Whether this key, with its globs, is for that image.
    fn covers(&self, image: &Place) -> bool {
        self.port == image.port
            && self.labels.len() == image.labels.len()
            && image.path.starts_with(&self.path)
            && self.labels.iter().zip(&image.labels).all(|(g, label)| glob::matches(g, label))
    }
}

/// Whether an entry under this key would be tried for an image, by its normal name without tag and
/// digest.
pub fn covers(key: &str, name: &str) -> bool {
    let key = index_key(key).and_then(|key| Place::parse(&key));
    key.zip(Place::parse(name.as_bytes())).is_some_and(|(key, image)| key.covers(&image))
}

/// Whether Docker Hub's key may serve this name: also names like `localhost/app`.
fn is_hub(name: &str) -> bool {
    match name.split_once('/') {
        None => !name.is_empty(),
        Some(("", _)) => false,
        Some(("docker.io" | "index.docker.io", _)) => true,
        Some((first, _)) => !first.contains(['.', ':']),
    }
}
