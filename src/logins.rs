//! The credentials of each workload, from what was read: its pull secrets, or its ServiceAccount's
//! when it names none, in the order of the kubelet, and what is known of those that were not there.
//! Follows kubernetes `pkg/kubelet/kubelet_pods.go` and the ServiceAccount admission plugin.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::credential::{self, Keyring, PullSecret, Source};
use crate::diagnosis::PodLogin;
use crate::image::usage::Workload;
use crate::manifest::{Extraction, FoundSecret, Note};

/// What one workload pulls with.
#[derive(Debug, Default)]
pub struct Login {
    pub keyring: Keyring,
    /// All but what depends on the image's registry.
    pub known: PodLogin,
    /// A secret that cannot be decoded, which stops every image of the Pod.
    pub broken: Option<(Source, String)>,
    /// Some of it stands in for what could not be read now.
    pub stale: bool,
}

impl Login {
    /// An object of this kind stands in for what could not be read now, so that nothing that a login
    /// could change is certain. A keyring that it breaks may be whole again.
    pub(crate) fn stands_in(&mut self, kind: &str, name: &str, namespace: &str) {
        self.stale = true;
        unread(&mut self.known, kind, name, None);
        let it = Source::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        self.broken.take_if(|(source, _)| kind != "secret" || *source == it);
    }
}

/// A namespace and a name in it.
type Name = (String, String);
/// What decides a workload's login: namespace, ServiceAccount, pull secrets.
pub type Key = (String, Option<String>, Vec<String>);

/// An object whose manifest names no namespace lands in this one, as one that names it does.
fn namespace(written: &str) -> String {
    if written.is_empty() { DEFAULT_NAMESPACE.to_owned() } else { written.to_owned() }
}

/// Workloads with equal keys pull with the same login.
pub fn key(workload: &Workload) -> Key {
    (
        namespace(&workload.object.namespace),
        workload.service_account.clone(),
        workload.pull_secrets.clone(),
    )
}

/// The pull secrets and ServiceAccounts that were read.
pub struct Logins {
    secrets: HashMap<Name, Usable>,
    accounts: HashMap<Name, Vec<String>>,
    /// The names of the images that are pulled with a login.
    images: HashMap<Key, HashSet<String>>,
    made: Mutex<HashMap<Key, Arc<Login>>>,
}

/// Where an object lands whose manifest names no namespace.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The ServiceAccount of a Pod that names none.
pub const DEFAULT_ACCOUNT: &str = "default";
/// What was not among the files is listed up to this many names.
const LISTED: usize = 10;

/// What came of looking for an object that a workload names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked<T> {
    Found(T),
    /// It is known not to exist.
    Absent,
    /// It was not there to be read: in no file, or the API server gave no answer.
    Unread,
    /// It may not be read; the right that is missing.
    Forbidden(String),
}

/// A pull secret, or why its data cannot be read at all.
pub type Usable = Result<PullSecret, (Source, String)>;

impl Logins {
    /// Files what an extraction found; the last of two objects with one name wins.
    pub fn new(extraction: &Extraction) -> Self {
        let secrets = extraction
            .secrets
            .iter()
            .map(|found| ((namespace(&found.namespace), found.name.clone()), usable(found)))
            .collect();
        let accounts = extraction
            .service_accounts
            .iter()
            .map(|found| {
                ((namespace(&found.namespace), found.name.clone()), found.pull_secrets.clone())
            })
            .collect();
        let mut images: HashMap<Key, HashSet<String>> = HashMap::new();
        for found in &extraction.uses {
            let Ok(reference) = &found.reference else { continue };
            let names = images.entry(key(&found.workload)).or_default();
            if !names.contains(reference.keyring_lookup()) {
                names.insert(reference.keyring_lookup().to_owned());
            }
        }
        Self { secrets, accounts, images, made: Mutex::default() }
    }

    /// A secret among the files.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<&Usable> {
        self.secrets.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The pull secrets that a ServiceAccount among the files names.
    pub fn account(&self, namespace: &str, name: &str) -> Option<&[String]> {
        self.accounts.get(&(namespace.to_owned(), name.to_owned())).map(Vec::as_slice)
    }

    /// The login of a workload; equal ones are made once.
    pub fn of(&self, workload: &Workload) -> Arc<Login> {
        let key = key(workload);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        match made.get(&key) {
            Some(login) => login.clone(),
            None => {
                let login = Arc::new(self.make(workload, &key));
                made.entry(key).or_insert(login).clone()
            }
        }
    }

    /// One note of the secrets and ServiceAccounts that Pods name and that were not there to be read:
    /// whether they are good was not looked at.
    pub fn not_read(&self) -> Option<Note> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names = BTreeSet::new();
        for ((namespace, ..), login) in made.iter() {
            let named = login.known.unread.iter().filter(|name| *name != DEFAULT_UNREAD);
            names.extend(named.map(|name| format!("{name} in namespace {namespace}")));
        }
        if names.is_empty() {
            return None;
        }
        let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
        let more = names.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!(
            "not among the files, so its login was neither used nor judged: {}{more}",
            shown.join(", ")
        );
        let text = crate::text::clean(&text, crate::text::SHOWN);
        Some(Note { id: "login-not-read", text, place: None, object: None })
    }

    fn make(&self, workload: &Workload, key: &Key) -> Login {
        let namespace = &key.0;
        let name = |name: &str| (namespace.clone(), name.to_owned());
        let account = account_of(workload).map(|account| {
            // A flag that names an image, or values of a chart: there is no Pod to have an account.
            let other =
                if workload.object.kind.is_empty() { Looked::Absent } else { Looked::Unread };
            self.accounts.get(&name(account)).map_or(other, |names| Looked::Found(&names[..]))
        });
        let mut login = assemble(namespace, workload, account, |secret| {
            self.secrets.get(&name(secret)).map_or(Looked::Unread, Looked::Found)
        });
        login.known.unused = self.unused(key, &login.keyring, &login.known);
        login
    }

    /// Secrets with no entry for any of the images that are pulled with this login.
    fn unused(&self, key: &Key, keyring: &Keyring, known: &PodLogin) -> Vec<Source> {
        let Some(images) = self.images.get(key) else { return Vec::new() };
        let mut unused: Vec<Source> =
            known.without_entry.iter().map(|(source, _)| source.clone()).collect();
        for image in images {
            if unused.is_empty() {
                break;
            }
            let found = keyring.lookup(image);
            unused.retain(|source| !found.candidates.iter().any(|it| it.source == *source));
        }
        unused
    }
}

/// The account that a Pod has which names none, where it was not there to be read.
const DEFAULT_UNREAD: &str = "ServiceAccount default";

/// The ServiceAccount whose pull secrets are copied: that of a Pod that names none itself.
pub fn account_of(workload: &Workload) -> Option<&str> {
    let account = workload.service_account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
    workload.pull_secrets.is_empty().then_some(account)
}

/// Puts a login together from what was looked up: the pull secrets of the ServiceAccount of
/// [`account_of`], and each secret by its name.
pub fn assemble<'s>(
    namespace: &str,
    workload: &'s Workload,
    account: Option<Looked<&'s [String]>>,
    secret: impl Fn(&str) -> Looked<&'s Usable>,
) -> Login {
    let mut login = Login::default();
    let names: &[String] = match account {
        Some(account) => of_account(workload, account, &mut login.known),
        None => {
            login.known.is_known = true;
            &workload.pull_secrets
        }
    };
    let mut secrets = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        match secret(name) {
            Looked::Unread => unread(&mut login.known, "secret", name, None),
            Looked::Forbidden(right) => unread(&mut login.known, "secret", name, Some(right)),
            Looked::Absent => login.known.missing.push(Source::Secret {
                namespace: namespace.to_owned(),
                name: crate::text::clean(name, 80),
            }),
            Looked::Found(Err(broken)) => login.broken = login.broken.or(Some(broken.clone())),
            Looked::Found(Ok(secret)) if !secret.counts() => {
                let reason = format!(
                    "type {} and its keys do not make a docker login",
                    crate::text::clean(&secret.secret_type, 80)
                );
                login.known.ignored.push((secret.source(), reason));
            }
            Looked::Found(Ok(secret)) => {
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
fn of_account<'s>(
    workload: &Workload,
    account: Looked<&'s [String]>,
    known: &mut PodLogin,
) -> &'s [String] {
    let name = workload.service_account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
    match account {
        Looked::Found(names) => {
            known.is_known = true;
            return names;
        }
        // There is no Pod to have one.
        Looked::Absent => {}
        // An account that is not there to be read may bring secrets, also the default one, which is
        // seldom written down and often patched.
        Looked::Unread => unread(known, "ServiceAccount", name, None),
        Looked::Forbidden(right) => unread(known, "ServiceAccount", name, Some(right)),
    }
    &[]
}

fn unread(known: &mut PodLogin, kind: &str, name: &str, right: Option<String>) {
    known.is_known = false;
    known.unread.push(format!("{kind} {}", crate::text::clean(name, 80)));
    known.rights_missing.extend(right);
}

/// The secret and what is wrong in it.
pub(crate) fn reason(error: &credential::Error) -> (Source, String) {
    let text = match &error.key {
        Some(key) => format!("entry \"{key}\": {}", error.reason),
        None => error.reason.to_string(),
    };
    (error.origin.clone(), crate::text::clean(&text, crate::text::SHOWN))
}

/// A secret of a manifest, or why its data cannot be read at all.
fn usable(found: &FoundSecret) -> Usable {
    found.secret.as_ref().map_err(reason).cloned()
}
