//! The controller: one leader (by a Lease) keeps the webhook's certificates, the caBundles that trust
//! them, and the status of policies. Every write is made from what was just read and carries its
//! resourceVersion, so that killing it anywhere, or running two, converges. Nothing is spawned that
//! is not joined: when one part ends, all end.

pub mod authority;
mod bundles;
mod certificates;
pub mod metrics;
mod policy_status;
mod tell;
mod validity;
pub mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use crate::cluster::lease::{Clocks, End, Lease};
use crate::cluster::{Cluster, Events};
use crate::telemetry::health::Told;
use authority::Lifetimes;
use bundles::Bundles;
use certificates::Certificates;
use metrics::Metrics;
use tell::Tell;

/// Longest wait for one answer of the API server; shorter than what a leader has before its end.
const ANSWER: Duration = Duration::from_secs(5);
/// Between two passes, however often others change things.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause after passes that failed.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// What the controller is told from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the Service, the Secret and the Lease are.
    pub namespace: String,
    /// The Service that the webhooks call.
    pub service: String,
    /// The Secret of the certificates; `None`: someone else makes them, and what trusts them.
    pub certificate_secret: Option<String>,
    /// The name of both webhook configurations.
    pub webhook_configuration: String,
    pub lease: String,
    /// Tells this process from all others, also from itself before a restart.
    pub identity: String,
    pub lifetimes: Lifetimes,
    pub clocks: Clocks,
    /// So often everything is looked at, changed or not.
    pub look_again: Duration,
}

/// Why something could not be done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what}: the API server did not answer in {} s", ANSWER.as_secs())]
    Late { what: &'static str },
    #[error("{what}: {}", crate::text::clean(&source.to_string(), 300))]
    Api { what: &'static str, source: Box<kube::Error> },
    #[error(
        "the Secret {0} is not pullproof's: it holds data and no label of pullproof's controller"
    )]
    Foreign(String),
    #[error("no certificate could be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Error::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 409))
    }
}

/// One call to the API server, within its time.
async fn ask<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(answer) => answer.map_err(|source| Error::Api { what, source: Box::new(source) }),
        Err(_) => Err(Error::Late { what }),
    }
}

/// What the health port is told.
#[derive(Debug, Default)]
pub struct Health {
    pub metrics: Arc<Metrics>,
    /// Whether the API server answered the last time it was asked about the Lease.
    answered: AtomicBool,
}

impl Told for Health {
    fn not_ready(&self) -> Option<String> {
        let answered = self.answered.load(Ordering::Relaxed);
        (!answered).then(|| "the API server does not answer".to_owned())
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }
}

/// Runs until `stop` is done, and gives the Lease back then. One that lost the Lease waits for it
/// again.
pub async fn run(
    cluster: &Cluster,
    settings: &Settings,
    health: &Health,
    stop: impl Future<Output = ()>,
) {
    let clocks = settings.clocks.clone();
    let lease = Lease::new(
        cluster.client(),
        &settings.namespace,
        &settings.lease,
        &settings.identity,
        clocks,
    );
    let seen = |answered: bool| health.answered.store(answered, Ordering::Relaxed);
    let mut stop = std::pin::pin!(stop);
    loop {
        let term = tokio::select! {
            term = lease.acquire(&seen) => term,
            () = &mut stop => return,
        };
        health.metrics.leads.set(1);
        let work = async {
            tokio::select! {
                () = &mut stop => {}
                () = work(cluster, settings, health) => {}
            }
        };
        let end = term.lead(work).await;
        health.metrics.forget();
        seen(end != End::Lost);
        if end == End::Done(()) {
            return;
        }
    }
}

/// What only the leader does; ends only when it is dropped.
async fn work(cluster: &Cluster, settings: &Settings, health: &Health) {
    let client = cluster.client();
    let (events, events_work) = Events::new(cluster, "pullproof-controller", &settings.identity);
    let tell = Tell { metrics: Arc::clone(&health.metrics), events };
    let policies = policy_status::keep(client.clone(), tell.clone());
    let bundles = Bundles::new(&client, settings, tell.clone());
    let certificates = settings
        .certificate_secret
        .as_ref()
        .map(|secret| Certificates::new(&client, settings, secret, tell));
    let kept = keep(certificates, bundles, settings.look_again, &health.metrics);
    tokio::join!(policies, kept, events_work);
}

/// A pass now, when something changes, when something is due, and every while.
async fn keep(
    certificates: Option<Certificates>,
    bundles: Bundles,
    look_again: Duration,
    metrics: &Metrics,
) {
    let mut changes = bundles.changes();
    let mut pause = PAUSE;
    loop {
        let passed = match &certificates {
            Some(certificates) => certificates.pass(&bundles).await,
            None => bundles.look(None).await.map(|()| look_again),
        };
        match passed {
            Ok(due) => {
                pause = PAUSE;
                let wait = due.clamp(PAUSE, look_again.max(PAUSE));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    Some(()) = changes.next() => tokio::time::sleep(PAUSE).await,
                }
            }
            Err(error) => {
                if !error.is_conflict() {
                    tracing::warn!(error = %error, "certificates are not as they should be");
                    metrics.failed("certificates");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}
