//! Looks at both webhook configurations: writes the caBundle where the certificates are ours, and tells
//! what is not as it should be, once for each time it begins.

use std::collections::BTreeMap;

use futures_util::stream::select;
use futures_util::{Stream, StreamExt};
use kube::api::PostParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::Mutex;

use super::tell::{About, Tell};
use super::webhooks::{self, Drift, Kind, Target};
use super::{Error, Settings, ask};

/// The two configurations, and what was seen of them.
pub struct Bundles {
    configurations: [(Kind, Api<DynamicObject>); 2],
    name: String,
    target: Target,
    seen: Mutex<BTreeMap<Kind, Seen>>,
    tell: Tell,
}

#[derive(Default)]
struct Seen {
    configuration: Option<Value>,
    told: Vec<Drift>,
}

impl Bundles {
    pub fn new(client: &Client, settings: &Settings, tell: Tell) -> Self {
        Self {
            configurations: Kind::BOTH.map(|kind| (kind, configurations(client, kind))),
            name: settings.webhook_configuration.clone(),
            target: Target {
                namespace: settings.namespace.clone(),
                service: settings.service.clone(),
            },
            seen: Mutex::default(),
            tell,
        }
    }

    /// Whenever one of the two configurations changes. Where that can not be watched, the looks every
    /// while remain.
    pub fn changes(&self) -> impl Stream<Item = ()> + Unpin + use<> {
        let [mutating, validating] = &self.configurations;
        let watch = |api: &Api<DynamicObject>| {
            let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
            watcher::watcher(api.clone(), config)
                .default_backoff()
                .filter_map(|event| std::future::ready(event.ok().map(|_| ())))
                .boxed()
        };
        select(watch(&mutating.1), watch(&validating.1))
    }

    /// Looks at both, also when the first can not be written. `None`: the bundles are someone else's.
    pub async fn look(&self, authorities: Option<&str>) -> Result<(), Error> {
        let mut done = Ok(());
        for (kind, api) in &self.configurations {
            done = self.look_at(*kind, api, authorities).await.and(done);
        }
        done
    }

    async fn look_at(
        &self,
        kind: Kind,
        api: &Api<DynamicObject>,
        authorities: Option<&str>,
    ) -> Result<(), Error> {
        let Some(mut object) = ask(kind.name(), api.get_opt(&self.name)).await? else {
            self.drifted(kind, None, &[Drift::Missing]).await;
            return Ok(());
        };
        let mut found = webhooks::drifts(&object.data, &self.target);
        let uid = object.metadata.uid.clone();
        self.compare(kind, uid.as_deref(), &object.data).await;
        let changed =
            authorities.and_then(|pem| webhooks::set_bundle(&mut object.data, &self.target, pem));
        if let Some(was_another) = changed {
            let params = PostParams::default();
            ask(kind.name(), api.replace(&self.name, &params, &object)).await?;
            self.tell.metrics.mended(kind);
            tracing::info!(configuration = kind.id(), "wrote the caBundle");
            if was_another {
                found.push(Drift::Bundle);
            }
        }
        self.drifted(kind, uid.as_deref(), &found).await;
        Ok(())
    }

    async fn drifted(&self, kind: Kind, uid: Option<&str>, found: &[Drift]) {
        self.tell.metrics.drift(kind, found);
        let mut seen = self.seen.lock().await;
        let told = std::mem::replace(&mut seen.entry(kind).or_default().told, found.to_vec());
        for drift in found.iter().filter(|drift| !told.contains(drift)) {
            let about = self.about(kind, uid);
            self.tell.warn(&about, "WebhookConfigurationDrift", drift.text());
        }
    }

    /// Tells which fields someone changed since the last look.
    async fn compare(&self, kind: Kind, uid: Option<&str>, now: &Value) {
        let mut seen = self.seen.lock().await;
        let before = seen.entry(kind).or_default().configuration.replace(now.clone());
        let changed = before.map_or_else(Vec::new, |before| webhooks::changes(&before, now));
        if !changed.is_empty() {
            let text = format!("changed by someone: {}", changed.join(", "));
            self.tell.note(&self.about(kind, uid), "WebhookConfigurationChanged", &text);
        }
    }

    fn about(&self, kind: Kind, uid: Option<&str>) -> About {
        let version = "admissionregistration.k8s.io/v1";
        About::new(version, kind.name(), None, &self.name).with_uid(uid)
    }
}

fn configurations(client: &Client, kind: Kind) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind.name());
    Api::all_with(client.clone(), &ApiResource::from_gvk(&kind))
}
