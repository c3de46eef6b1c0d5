//! Keeps the webhook's certificates: a Secret with an authority and a pair, and the caBundle of both
//! webhook configurations. Each pass reads what is there and writes only what differs, with the
//! resourceVersion it read; a pass that was cut anywhere is completed by the next one. The order is
//! such that the API server trusts a new authority before anything it signed is served.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::authority::{Due, Held, Lifetimes, service_names, unix};
use super::bundles::Bundles;
use super::tell::{About, Tell};
use super::{Error, Settings, ask};

/// Marks a Secret as one that we may write.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pullproof-controller");
const KEYS: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

/// The Secret of the certificates and how it is filled.
pub struct Certificates {
    secrets: Api<Secret>,
    secret: String,
    namespace: String,
    names: Vec<String>,
    lifetimes: Lifetimes,
    tell: Tell,
}

impl Certificates {
    pub fn new(client: &Client, settings: &Settings, secret: &str, tell: Tell) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &settings.namespace),
            secret: secret.to_owned(),
            namespace: settings.namespace.clone(),
            names: service_names(&settings.service, &settings.namespace),
            lifetimes: settings.lifetimes.clone(),
            tell,
        }
    }

    /// Makes everything right once; returns how long nothing is due.
    pub async fn pass(&self, bundles: &Bundles) -> Result<Duration, Error> {
        let now = SystemTime::now();
        let (mut secret, mut held) = self.held(now).await?;
        if let Due::Authority(why) = held.due(&self.names, now) {
            held = held.with_new_authority(&self.lifetimes, now)?;
            secret = self.write(secret, &held, why).await?;
        }
        bundles.look(Some(&held.authorities)).await?;
        if let Due::Pair(why) = held.due(&self.names, now) {
            held = held.with_new_pair(&self.names, &self.lifetimes, now)?;
            self.write(secret, &held, why).await?;
        }
        let times =
            [held.authority_validity(), held.pair_validity()].map(|v| v.unwrap_or_default());
        self.tell.metrics.authority_expiry.set(times[0].until);
        self.tell.metrics.certificate_expiry.set(times[1].until);
        Ok(times.map(|time| time.until_two_thirds(unix(now))).into_iter().min().unwrap_or_default())
    }

    /// What the Secret holds; where there is none, it is made.
    async fn held(&self, now: SystemTime) -> Result<(Secret, Held), Error> {
        let what = "the certificate Secret";
        if let Some(secret) = ask(what, self.secrets.get_opt(&self.secret)).await? {
            let is_empty = secret.data.as_ref().is_none_or(BTreeMap::is_empty);
            if !is_empty && !is_ours(&secret) {
                return Err(Error::Foreign(self.secret.clone()));
            }
            if let Some(held) = read(&secret) {
                return Ok((secret, held));
            }
            let held = Held::new(&self.names, &self.lifetimes, now)?;
            let secret = self.write(secret, &held, "the Secret lacked certificates").await?;
            return Ok((secret, held));
        }
        let held = Held::new(&self.names, &self.lifetimes, now)?;
        let metadata = ObjectMeta { name: Some(self.secret.clone()), ..ObjectMeta::default() };
        let secret =
            Secret { metadata, type_: Some("kubernetes.io/tls".to_owned()), ..Secret::default() };
        let secret = filled(secret, &held);
        let made = ask(what, self.secrets.create(&PostParams::default(), &secret)).await?;
        self.made("there was no Secret");
        Ok((made, held))
    }

    async fn write(&self, secret: Secret, held: &Held, why: &'static str) -> Result<Secret, Error> {
        let secret = filled(secret, held);
        let params = PostParams::default();
        let write = self.secrets.replace(&self.secret, &params, &secret);
        let secret = ask("the certificate Secret", write).await?;
        self.made(why);
        Ok(secret)
    }

    fn made(&self, why: &'static str) {
        self.tell.metrics.renewals.inc();
        let about = About::new("v1", "Secret", Some(&self.namespace), &self.secret);
        self.tell.note(&about, "CertificateMade", &format!("made certificates: {why}"));
    }
}

fn is_ours(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|by| by == MANAGED_BY.1)
}

/// `None`: a part is missing or no text.
fn read(secret: &Secret) -> Option<Held> {
    let data = secret.data.as_ref()?;
    let [authorities, authority_key, pair, pair_key] =
        KEYS.map(|key| String::from_utf8(data.get(key)?.0.clone()).ok());
    Some(Held {
        authorities: authorities?,
        authority_key: authority_key?,
        pair: pair?,
        pair_key: pair_key?,
    })
}

/// The Secret with these certificates; what else it holds stays.
fn filled(mut secret: Secret, held: &Held) -> Secret {
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    let parts = [&held.authorities, &held.authority_key, &held.pair, &held.pair_key];
    let data = secret.data.get_or_insert_default();
    for (key, part) in KEYS.into_iter().zip(parts) {
        data.insert(key.to_owned(), ByteString(part.clone().into_bytes()));
    }
    secret
}
