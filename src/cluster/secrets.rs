//! The login of a Pod from the cluster: its pull secrets, or its ServiceAccount's. Only `get`, only
//! in the namespace the caller names, and each object is kept for a few seconds under its typed
//! name. Not there, not allowed and no answer stay three different things; see [`crate::logins`]
//! for what each means.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use moka::future::Cache;
use serde_json::Value;

use super::Cluster;
use super::get::{self, Kind, Name, Trouble};
use crate::credential::PullSecret;
use crate::credential::pull_secret::{KEY_DOCKER_CONFIG_JSON, KEY_DOCKERCFG};
use crate::image::usage::Workload;
use crate::logins::{self, Login, Looked, Usable, account_of, assemble};

/// How long an answer is taken for true.
const FRESH: Duration = Duration::from_secs(5);
/// How soon an API server that gave no answer is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// How long a read may take before the last good answer stands in: the registry is still to be asked.
const WORTH_WAITING: Duration = Duration::from_millis(500);
/// How long the last good answer stands in for an API server that gives none.
const LAST_GOOD: Duration = Duration::from_secs(15 * 60);
/// Most bytes kept, of secrets and of ServiceAccounts.
const MAX_SECRETS: u64 = 32 << 20;
const MAX_ACCOUNTS: u64 = 8 << 20;
/// Most pull secrets of one Pod that are read; a Pod names one or two.
const MAX_NAMES: usize = 32;
/// Requests of one Pod at a time.
const AT_ONCE: usize = 4;

/// The pull secrets and ServiceAccounts of a cluster.
#[derive(Clone)]
pub struct Secrets {
    client: kube::Client,
    secrets: Cache<Name, Kept<Usable>>,
    accounts: Cache<Name, Kept<Account>>,
}

/// What is kept of a ServiceAccount.
#[derive(Debug)]
struct Account {
    /// `imagePullSecrets`, in order.
    pull_secrets: Vec<String>,
    /// Its Pods may name no other secrets.
    enforces: bool,
}

/// An answer, when it came, and when to ask again.
struct Kept<T> {
    answer: Result<Arc<T>, Trouble>,
    seen: Instant,
    until: Instant,
    bytes: usize,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { answer: self.answer.clone(), ..*self }
    }
}

impl Secrets {
    pub fn new(cluster: &Cluster) -> Self {
        Self {
            client: cluster.client.clone(),
            secrets: cache(MAX_SECRETS),
            accounts: cache(MAX_ACCOUNTS),
        }
    }

    /// What a workload of this namespace pulls with, as far as it can be read before the deadline.
    /// The namespace that the workload's text names does not count.
    pub async fn login(
        &self,
        namespace: &str,
        workload: &Workload,
        deadline: Instant,
    ) -> Arc<Login> {
        let account = match account_of(workload) {
            Some(account) => Some(self.account(namespace, account, deadline).await),
            None => None,
        };
        let names = match &account {
            Some(Looked::Found(names)) => names.as_slice(),
            Some(_) => &[],
            None => &workload.pull_secrets,
        };
        let read = self.named(namespace, names, deadline).await;
        let account = account.as_ref().map(|account| match account {
            Looked::Found(names) => Looked::Found(names.as_slice()),
            Looked::Absent => Looked::Absent,
            Looked::Unread => Looked::Unread,
            Looked::Forbidden(right) => Looked::Forbidden(right.clone()),
        });
        let secret = |name: &str| match read.get(name) {
            Some(Looked::Found(secret)) => Looked::Found(secret.as_ref()),
            Some(Looked::Absent) => Looked::Absent,
            Some(Looked::Forbidden(right)) => Looked::Forbidden(right.clone()),
            Some(Looked::Unread) | None => Looked::Unread,
        };
        Arc::new(assemble(namespace, workload, account, secret))
    }

    /// The secrets of these names, a few at a time.
    async fn named(
        &self,
        namespace: &str,
        names: &[String],
        deadline: Instant,
    ) -> HashMap<String, Looked<Arc<Usable>>> {
        let (mut waiting, mut reading) = (names.iter().take(MAX_NAMES), FuturesUnordered::new());
        let mut read = HashMap::new();
        loop {
            while reading.len() < AT_ONCE
                && let Some(name) = waiting.next()
            {
                reading.push(self.one(namespace, name, deadline));
            }
            let Some((name, secret)) = reading.next().await else { return read };
            read.insert(name, secret);
        }
    }

    async fn one(
        &self,
        namespace: &str,
        name: &str,
        deadline: Instant,
    ) -> (String, Looked<Arc<Usable>>) {
        (name.to_owned(), self.secret(namespace, name, deadline).await)
    }

    /// A pull secret by its namespace and name, as a person names it.
    pub async fn secret(
        &self,
        namespace: &str,
        name: &str,
        deadline: Instant,
    ) -> Looked<Arc<Usable>> {
        let kept = self.kept(&self.secrets, Kind::Secret, pull_secret, (namespace, name), deadline);
        looked(kept.await)
    }

    /// Whether the Pods of a ServiceAccount may name a secret: not where the account enforces a list
    /// that the secret is not on.
    pub async fn may_mount(
        &self,
        namespace: &str,
        account: &str,
        secret: &str,
        deadline: Instant,
    ) -> Looked<bool> {
        match self.read_account(namespace, account, deadline).await {
            Looked::Found(account) => Looked::Found(account.lets(secret)),
            // Without the account there is no Pod to enforce anything for.
            Looked::Absent => Looked::Found(true),
            Looked::Unread => Looked::Unread,
            Looked::Forbidden(right) => Looked::Forbidden(right),
        }
    }

    /// The pull secrets that a ServiceAccount names.
    pub async fn account(
        &self,
        namespace: &str,
        name: &str,
        deadline: Instant,
    ) -> Looked<Arc<Vec<String>>> {
        match self.read_account(namespace, name, deadline).await {
            Looked::Found(account) => Looked::Found(Arc::new(account.pull_secrets.clone())),
            // Without it there is no Pod; it may be made in the same breath, and bring secrets.
            Looked::Absent | Looked::Unread => Looked::Unread,
            Looked::Forbidden(right) => Looked::Forbidden(right),
        }
    }

    async fn read_account(
        &self,
        namespace: &str,
        name: &str,
        deadline: Instant,
    ) -> Looked<Arc<Account>> {
        let (accounts, kind) = (&self.accounts, Kind::ServiceAccount);
        looked(self.kept(accounts, kind, Account::read, (namespace, name), deadline).await)
    }

    /// One answer for all who ask within a few seconds. The read is the caller's who came first; when
    /// that one's deadline is over the next takes its turn.
    async fn kept<T: Weigh + Send + Sync + 'static>(
        &self,
        cache: &Cache<Name, Kept<T>>,
        kind: Kind,
        read: fn(&Name, &Value) -> T,
        (namespace, name): (&str, &str),
        deadline: Instant,
    ) -> Result<Arc<T>, Trouble> {
        let Some(name) = Name::new(namespace, name) else { return Err(Trouble::Absent) };
        let is_old = |kept: &Kept<T>| Instant::now() >= kept.until;
        if let Some(kept) = cache.get(&name).await.filter(|kept| !is_old(kept)) {
            return kept.answer;
        }
        let last = cache.get(&name).await;
        let now = Instant::now();
        let good = last.as_ref().and_then(|last| Some((last.clone(), last.good(now)?)));
        // In a box, as it is large and lies in the future of every review.
        let mut reading = {
            let (client, cache, name) = (self.client.clone(), cache.clone(), name.clone());
            Box::pin(async move {
                let asked = name.clone();
                let answer = async move {
                    let object = get::get(&client, kind, &asked, patience()).await;
                    let object = object.map(|object| read(&asked, &object));
                    Kept::new(object, last.as_ref(), asked.len())
                };
                cache.entry(name).or_insert_with_if(answer, is_old).await.into_value().answer
            })
        };
        let Some((last, good)) = good else { return get::before(deadline, reading).await? };
        match get::before(deadline.min(now + WORTH_WAITING), &mut reading).await {
            Ok(answer) => answer,
            Err(_) => {
                // Whoever asks next need not wait as well, and a slow answer still counts when it comes.
                cache.insert(name, Kept { until: Instant::now() + RETRY, ..last }).await;
                tokio::spawn(reading);
                Ok(good)
            }
        }
    }
}

/// Shows how much is kept and nothing of it.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("secrets", &self.secrets.entry_count())
            .field("accounts", &self.accounts.entry_count())
            .finish_non_exhaustive()
    }
}

impl<T: Weigh> Kept<T> {
    /// What to keep of an answer, given the last one.
    fn new(answer: Result<T, Trouble>, last: Option<&Self>, name: usize) -> Self {
        let now = Instant::now();
        let unavailable = matches!(answer, Err(Trouble::Unavailable(_)));
        if unavailable && let Some(last) = last.filter(|last| last.good(now).is_some()) {
            return Self { until: now + RETRY, ..last.clone() };
        }
        Self {
            bytes: name + answer.as_ref().map_or(0, Weigh::bytes),
            answer: answer.map(Arc::new),
            seen: now,
            until: now + if unavailable { RETRY } else { FRESH },
        }
    }
}

impl<T> Kept<T> {
    /// The last good answer, while it may stand in.
    fn good(&self, now: Instant) -> Option<Arc<T>> {
        self.answer.clone().ok().filter(|_| now < self.seen + LAST_GOOD)
    }
}

/// How much memory an answer takes.
trait Weigh {
    fn bytes(&self) -> usize;
}

impl Weigh for Usable {
    fn bytes(&self) -> usize {
        let data = |secret: &PullSecret| secret.data.values().map(Vec::len).sum();
        self.as_ref().map_or(0, data)
    }
}

impl Weigh for Account {
    fn bytes(&self) -> usize {
        self.pull_secrets.iter().map(String::len).sum()
    }
}

fn cache<T: Send + Sync + 'static>(most: u64) -> Cache<Name, Kept<T>> {
    let weight = |_: &Name, kept: &Kept<T>| u32::try_from(kept.bytes + 512).unwrap_or(u32::MAX);
    Cache::builder().max_capacity(most).weigher(weight).time_to_live(LAST_GOOD).build()
}

fn patience() -> Instant {
    Instant::now() + get::LONGEST
}

fn looked<T>(answer: Result<Arc<T>, Trouble>) -> Looked<Arc<T>> {
    match answer {
        Ok(found) => Looked::Found(found),
        Err(Trouble::Absent) => Looked::Absent,
        Err(Trouble::Forbidden(right)) => Looked::Forbidden(right),
        Err(Trouble::Unavailable(_)) => Looked::Unread,
    }
}

/// The parts of a Secret that a kubelet looks into; the others are dropped here.
fn pull_secret(name: &Name, object: &Value) -> Usable {
    let mut secret = PullSecret::from_value(name.namespace(), name.name(), object)
        .map_err(|error| logins::reason(&error))?;
    let is_login = |key: &str| [KEY_DOCKER_CONFIG_JSON, KEY_DOCKERCFG].contains(&key);
    let data: BTreeMap<String, Vec<u8>> = std::mem::take(&mut secret.data);
    secret.data = data.into_iter().filter(|(key, _)| is_login(key)).collect();
    Ok(secret)
}

impl Account {
    fn read(_: &Name, object: &Value) -> Self {
        let list = object.get("imagePullSecrets").and_then(Value::as_array);
        let pull_secrets = list
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.get("name")?.as_str())
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        Self { pull_secrets, enforces: enforces(object) }
    }

    /// Follows kubernetes `plugin/pkg/admission/serviceaccount`: pull secrets are held against
    /// `imagePullSecrets` alone, the account's `secrets` are for volumes and variables.
    fn lets(&self, secret: &str) -> bool {
        !self.enforces || self.pull_secrets.iter().any(|name| name == secret)
    }
}

/// What Go's `strconv.ParseBool` takes for true.
fn enforces(account: &Value) -> bool {
    const ENFORCES: &str = "kubernetes.io/enforce-mountable-secrets";
    let annotation = account.pointer("/metadata/annotations").and_then(|all| all.get(ENFORCES));
    let is_true = |value: &str| ["1", "t", "T", "TRUE", "true", "True"].contains(&value);
    annotation.and_then(Value::as_str).is_some_and(is_true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account(enforces: &str, pull: &[&str], mounted: &[&str]) -> Account {
        let named =
            |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Value>();
        let object = json!({
            "metadata": {"annotations": {"kubernetes.io/enforce-mountable-secrets": enforces}},
            "imagePullSecrets": named(pull),
            "secrets": named(mounted),
        });
        Account::read(&Name::new("shop", "default").unwrap(), &object)
    }

    #[test]
    fn an_account_that_enforces_its_list_lets_its_own_pull_secrets_alone_be_named() {
        for yes in ["1", "t", "T", "TRUE", "true", "True"] {
            assert!(account(yes, &["pull"], &[]).lets("pull"), "{yes}");
            assert!(!account(yes, &["other"], &[]).lets("pull"), "{yes}");
            assert!(!account(yes, &[], &["pull"]).lets("pull"), "{yes}: only for volumes");
        }
        for no in ["", "0", "false", "False", "yes", "tRUE", " true", "on"] {
            assert!(account(no, &[], &[]).lets("pull"), "{no}");
        }
        let bare = Account::read(&Name::new("shop", "default").unwrap(), &json!({}));
        assert!(bare.lets("pull"));
    }
}
