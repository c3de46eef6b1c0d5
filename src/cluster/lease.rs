//! One leader at a time, by a `coordination.k8s.io/v1` Lease. Every write is a replace with the
//! resourceVersion that was read, so that of two who try one fails; how old a record is, is told by
//! our own monotonic clock, never by the times in it; and the leader's work is dropped well before
//! anyone else may take over, whether or not the API server can be reached.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease as Record, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// The clocks of an election: `renew` < `give_up` < `expire`.
#[derive(Debug, Clone)]
pub struct Clocks {
    /// From one renewal to the next, and from one look of those who wait to the next.
    pub renew: Duration,
    /// So long after the start of its last renewal that succeeded, a leader ends its work.
    pub give_up: Duration,
    /// So long after the last change that they saw, others may take over.
    pub expire: Duration,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            renew: Duration::from_secs(2),
            give_up: Duration::from_secs(10),
            expire: Duration::from_secs(15),
        }
    }
}

/// A Lease that several processes try to hold.
pub struct Lease {
    api: Api<Record>,
    name: String,
    identity: String,
    clocks: Clocks,
}

/// How a time as leader ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End<T> {
    /// The work ended of itself; the Lease was given back.
    Done(T),
    /// Someone else holds it, or it could not be renewed in time. The work was dropped.
    Lost,
}

/// A record as it was when it was last seen to change.
struct Observed {
    record: Record,
    since: Instant,
}

impl Lease {
    /// `identity` must be this process's alone: one that starts again under the same name would
    /// believe that it still leads.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: &str,
        clocks: Clocks,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            clocks,
        }
    }

    /// Waits until the Lease is ours. `seen` hears after each look whether the API server answered.
    pub async fn acquire(&self, seen: &(impl Fn(bool) + Sync)) -> Term<'_> {
        let mut observed: Option<Observed> = None;
        loop {
            let begun = Instant::now();
            let patience = self.clocks.give_up / 2;
            let tried = timeout_at(begun + patience, self.try_take(&mut observed)).await;
            match tried {
                Ok(Ok(taken)) => {
                    seen(true);
                    if let Some(record) = taken {
                        tracing::info!(lease = self.name, "leads");
                        return Term { lease: self, record, renewed: begun };
                    }
                }
                Ok(Err(error)) => {
                    // A conflict is an answer, too: another one was faster.
                    seen(matches!(&error, kube::Error::Api(status) if status.code == 409));
                    tracing::debug!(lease = self.name, error = %told(&error), "not taken");
                }
                Err(_) => seen(false),
            }
            sleep(self.clocks.renew).await;
        }
    }

    /// Takes the Lease if it is nobody's, or was not renewed for as long as we have watched it.
    async fn try_take(
        &self,
        observed: &mut Option<Observed>,
    ) -> Result<Option<Record>, kube::Error> {
        let Some(record) = self.api.get_opt(&self.name).await? else {
            let record = self.claim(&Record {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: None,
            });
            return self.api.create(&PostParams::default(), &record).await.map(Some);
        };
        if !self.is_free(&record, observed) {
            return Ok(None);
        }
        let params = PostParams::default();
        self.api.replace(&self.name, &params, &self.claim(&record)).await.map(Some)
    }

    fn is_free(&self, record: &Record, observed: &mut Option<Observed>) -> bool {
        // Ours from an earlier term: that work has ended.
        if holder(record).is_none_or(|holder| *holder == self.identity) {
            return true;
        }
        let version = |record: &Record| record.metadata.resource_version.clone();
        match observed {
            Some(known) if version(&known.record) == version(record) => {
                // What the holder promised counts, where it is longer than our own clocks.
                let seconds = record.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
                let promised = Duration::from_secs(seconds.unwrap_or(0).clamp(0, 300) as u64);
                known.since.elapsed() >= promised.max(self.clocks.expire)
            }
            _ => {
                *observed = Some(Observed { record: record.clone(), since: Instant::now() });
                false
            }
        }
    }

    /// The record with us as its holder, from now.
    fn claim(&self, record: &Record) -> Record {
        let mut record = record.clone();
        let ours = holder(&record) == Some(&self.identity);
        let spec = record.spec.get_or_insert_with(LeaseSpec::default);
        let now = MicroTime(Timestamp::now());
        if !ours {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.identity.clone());
        let seconds = self.clocks.expire.as_millis().div_ceil(1000);
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        spec.renew_time = Some(now);
        record
    }
}

/// The time in which the Lease is ours.
pub struct Term<'a> {
    lease: &'a Lease,
    record: Record,
    /// When the last renewal that succeeded was begun: others count from later on.
    renewed: Instant,
}

impl Term<'_> {
    /// Does the work while the Lease is ours. The work is dropped before the Lease may be another's.
    pub async fn lead<T>(mut self, work: impl Future<Output = T>) -> End<T> {
        let done = {
            tokio::select! {
                done = work => Some(done),
                () = self.renew() => None,
            }
        };
        match done {
            Some(done) => {
                self.release().await;
                End::Done(done)
            }
            None => {
                tracing::warn!(lease = self.lease.name, "leads no more");
                End::Lost
            }
        }
    }

    /// Renews until the Lease is lost.
    async fn renew(&mut self) {
        loop {
            let deadline = self.renewed + self.lease.clocks.give_up;
            tokio::select! {
                () = sleep(self.lease.clocks.renew) => {}
                () = sleep_until(deadline) => return,
            }
            let begun = Instant::now();
            match timeout_at(deadline, self.renew_once()).await {
                Ok(Ok(true)) => self.renewed = begun,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.lease.name, error = %told(&error), "not renewed");
                }
            }
        }
    }

    /// `false`: it is another's.
    async fn renew_once(&mut self) -> Result<bool, kube::Error> {
        let lease = self.lease;
        let params = PostParams::default();
        match lease.api.replace(&lease.name, &params, &lease.claim(&self.record)).await {
            Ok(record) => self.record = record,
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {
                // Our own write whose answer was lost, a person's edit, or someone who took over.
                match lease.api.get_opt(&lease.name).await? {
                    Some(record) if holder(&record) == Some(&lease.identity) => {
                        self.record = record;
                        let claim = lease.claim(&self.record);
                        self.record = lease.api.replace(&lease.name, &params, &claim).await?;
                    }
                    _ => return Ok(false),
                }
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Gives the Lease back, so that nobody has to wait for it; where that fails it expires.
    async fn release(self) {
        let lease = self.lease;
        let mut record = self.record;
        if let Some(spec) = &mut record.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        let params = PostParams::default();
        let deadline = self.renewed + lease.clocks.give_up;
        let given = timeout_at(deadline, lease.api.replace(&lease.name, &params, &record)).await;
        if matches!(given, Ok(Ok(_))) {
            tracing::info!(lease = lease.name, "gave the Lease back");
        }
    }
}

fn holder(record: &Record) -> Option<&String> {
    let holder = record.spec.as_ref()?.holder_identity.as_ref()?;
    (!holder.is_empty()).then_some(holder)
}

fn told(error: &kube::Error) -> String {
    crate::text::clean(&error.to_string(), 200)
}
