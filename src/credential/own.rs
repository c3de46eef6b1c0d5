//! The logins of the person or pipeline that runs pullproof: several configurations in a fixed order,
//! each with its own entries, identity tokens and helpers.
//!
//! A login goes to the registry it is for and to no other. That is stricter than the kubelet, whose
//! rule lends Docker Hub's login to hosts without a dot.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::docker_config::DockerConfig;
use super::entries::index_key;
use super::helper::{Failure, Helpers};
use super::keyring::{HUB, Keyring};
use super::{Candidate, Source};
use crate::image::Reference;

/// The server under which Docker keeps logins for Docker Hub.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A person's logins, ready to be looked up.
pub struct OwnLogins {
    configs: Vec<Config>,
    helpers: Helpers,
    failures: Mutex<BTreeMap<(String, String), HelperFailed>>,
}

struct Config {
    config: DockerConfig,
    identity_tokens: Keyring,
    entries: Keyring,
}

/// What there is for one image.
#[derive(Debug, Default)]
pub struct Own {
    /// In the order of the configurations; of one, the helper's login before identity tokens before
    /// entries.
    pub candidates: Vec<Candidate>,
    /// Helpers that could not tell whether there is a login.
    pub failures: Vec<HelperFailed>,
}

/// A helper that failed, and the configuration that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperFailed {
    pub source: Source,
    pub failure: Failure,
}

impl OwnLogins {
    /// Logins of these configurations, in this order.
    pub fn new(configs: &[DockerConfig], helpers: Helpers) -> Self {
        let configs = configs
            .iter()
            .map(|config| Config {
                identity_tokens: Keyring::of(config.source(), config.identity_tokens()),
                entries: Keyring::of(config.source(), config.entries()),
                config: config.clone(),
            })
            .collect();
        Self { configs, helpers, failures: Mutex::default() }
    }

    /// The logins for an image; this is where helpers are run.
    pub async fn of(&self, reference: &Reference) -> Own {
        let mut own = Own::default();
        let server = server(reference);
        for config in &self.configs {
            if let Some(server) = &server
                && let Some(helper) = config.config.helper(server)
            {
                self.ask(&config.config, helper, server, &mut own).await;
            }
            let name = reference.keyring_lookup();
            let held = [&config.identity_tokens, &config.entries];
            let held = held.into_iter().flat_map(|keyring| keyring.lookup(name).candidates);
            own.candidates.extend(held.filter(|candidate| is_for(candidate, reference)));
        }
        own
    }

    /// Every helper that failed so far.
    pub fn failures(&self) -> Vec<HelperFailed> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.values().cloned().collect()
    }

    async fn ask(&self, config: &DockerConfig, helper: &str, server: &str, own: &mut Own) {
        let file = match config.source() {
            Source::OwnConfig { file } => file.clone(),
            other => other.to_string(),
        };
        let source = Source::OwnHelper { file, helper: helper.to_owned() };
        match self.helpers.get(helper, server).await {
            Ok(None) => {}
            Ok(Some(credential)) => {
                own.candidates.push(Candidate { credential, source, key: server.to_owned() });
            }
            Err(failure) => {
                let failed = HelperFailed { source, failure };
                let key = (helper.to_owned(), server.to_owned());
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.entry(key).or_insert_with(|| failed.clone());
                own.failures.push(failed);
            }
        }
    }
}

/// What a helper is asked for.
fn server(reference: &Reference) -> Option<String> {
    match reference.registry() {
        _ if reference.is_docker_hub() => Some(HUB_SERVER.to_owned()),
        "" => reference.endpoint_host(),
        registry => Some(registry.to_owned()),
    }
}

/// Docker Hub's key serves Docker Hub alone.
fn is_for(candidate: &Candidate, reference: &Reference) -> bool {
    reference.is_docker_hub() || index_key(&candidate.key).is_none_or(|key| key != HUB)
}
