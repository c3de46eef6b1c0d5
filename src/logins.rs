//! The credentials of each workload, from what was read: its pull secrets, or its ServiceAccount's
//! when it names none, in the order of the kubelet, and what is known of those that were not there.
//! Follows kubernetes `pkg/kubelet/kubelet_pods.go` and the ServiceAccount admission plugin.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::credential::{self, Keyring, PullSecret, Source};
use crate::diagnosis::PodLogin;
use crate::image::usage::Workload;
use crate::manifest::{Extraction, FoundSecret};

/// What one workload pulls with.
#[derive(Debug, Default)]
pub struct Login {
    pub keyring: Keyring,
    /// All but what depends on the image's registry.
    pub known: PodLogin,
    /// A secret that cannot be decoded, which stops every image of the Pod.
    pub broken: Option<(Source, String)>,
}

/// The namespace as written and a name.
type Name = (String, String);
/// What decides a workload's login: namespace, ServiceAccount, pull secrets.
type Key = (String, Option<String>, Vec<String>);

/// The pull secrets and ServiceAccounts that were read.
pub struct Logins {
    secrets: HashMap<Name, Result<PullSecret, (Source, String)>>,
    accounts: HashMap<Name, Vec<String>>,
    made: Mutex<HashMap<Key, Arc<Login>>>,
}

const DEFAULT_ACCOUNT: &str = "default";

impl Logins {
    /// Files what an extraction found; the last of two objects with one name wins.
    pub fn new(extraction: &Extraction) -> Self {
        let secrets = extraction
            .secrets
            .iter()
            .map(|found| ((found.namespace.clone(), found.name.clone()), usable(found)))
            .collect();
        let accounts = extraction
            .service_accounts
            .iter()
            .map(|found| {
                ((found.namespace.clone(), found.name.clone()), found.pull_secrets.clone())
            })
            .collect();
        Self { secrets, accounts, made: Mutex::default() }
    }

    /// The login of a workload; equal ones are made once.
    pub fn of(&self, workload: &Workload) -> Arc<Login> {
        let key = (
            workload.object.namespace.clone(),
            workload.service_account.clone(),
            workload.pull_secrets.clone(),
        );
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(key).or_insert_with(|| Arc::new(self.make(workload))).clone()
    }

    fn make(&self, workload: &Workload) -> Login {
        let namespace = &workload.object.namespace;
        let mut login = Login::default();
        let names: &[String] = if workload.pull_secrets.is_empty() {
            self.of_account(workload, &mut login.known)
        } else {
            login.known.is_known = true;
            &workload.pull_secrets
        };
        let mut secrets = Vec::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            match self.secrets.get(&(namespace.clone(), name.clone())) {
                None => {
                    login.known.is_known = false;
                    login.known.unread.push(format!("secret {}", crate::text::clean(name, 80)));
                }
                Some(Err(broken)) => login.broken = login.broken.or(Some(broken.clone())),
                Some(Ok(secret)) if !secret.counts() => {
                    let reason = format!(
                        "type {} and its keys do not make a docker login",
                        crate::text::clean(&secret.secret_type, 80)
                    );
                    login.known.ignored.push((secret.source(), reason));
                }
                Some(Ok(secret)) => {
                    login.known.without_entry.push((secret.source(), secret.registries()));
                    secrets.push(secret);
                }
            }
        }
        match Keyring::new(secrets, None) {
            Ok(keyring) => login.keyring = keyring,
            Err(error) => login.broken = login.broken.or_else(|| Some(reason(&error))),
        }
        login
    }

    /// The ServiceAccount's pull secrets, which are copied only when the Pod names none.
    fn of_account(&self, workload: &Workload, known: &mut PodLogin) -> &[String] {
        let name = workload.service_account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
        let key = (workload.object.namespace.clone(), name.to_owned());
        match self.accounts.get(&key) {
            Some(names) => {
                known.is_known = true;
                names
            }
            None => {
                // A named account that is not there to be read may bring secrets; the default one,
                // which is seldom written down, is taken to bring none.
                if name != DEFAULT_ACCOUNT {
                    known.unread.push(format!("ServiceAccount {}", crate::text::clean(name, 80)));
                }
                &[]
            }
        }
    }
}

/// The secret and what is wrong in it.
fn reason(error: &credential::Error) -> (Source, String) {
    let text = match &error.key {
        Some(key) => format!("entry \"{key}\": {}", error.reason),
        None => error.reason.to_string(),
    };
    (error.origin.clone(), crate::text::clean(&text, crate::text::SHOWN))
}

/// A secret of a manifest, or why its data cannot be read at all.
fn usable(found: &FoundSecret) -> Result<PullSecret, (Source, String)> {
    found.secret.as_ref().map_err(reason).cloned()
}
