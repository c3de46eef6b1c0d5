//! The way to one registry host: how many requests may be under way and how many begin in a second,
//! whether the host is left alone, and what it all came to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::{Breakers, End, is_failure};
use super::stats::Counters;
use super::transport::Response;
use crate::diagnosis::cause::Reason;
use crate::diagnosis::evidence::Trouble;
use crate::settings::Limits;

/// What the requests of one host, and those to its token service, share.
pub(super) struct Lane {
    pub permits: Semaphore,
    pub breakers: Breakers,
    pub counters: Arc<Counters>,
    bucket: Option<Bucket>,
}

impl Lane {
    pub fn new(
        in_flight: usize,
        rate: Option<f64>,
        limits: &Limits,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            permits: Semaphore::new(in_flight),
            breakers: Breakers::new(limits),
            counters,
            bucket: rate.map(Bucket::new),
        }
    }

    /// Waits for this request's turn by the rate that the settings give.
    pub async fn turn(&self, host: &str, deadline: Instant) -> Result<(), Trouble> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        match bucket.take(Instant::now(), deadline) {
            Some(turn) => tokio::time::sleep_until(turn).await,
            None => {
                return Err(Trouble {
                    reason: Reason::OutOfTime,
                    host: host.to_owned(),
                    status: None,
                    text: "its turn comes too late, by the rate in the settings".to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// What an answer to a request to `host` says of it. A redirect's target may be dead; that says
/// nothing of the host.
pub(super) fn end(sent: &Result<Response, Trouble>, host: &str) -> End {
    match sent {
        Ok(response) if response.host != host => End::Neither,
        Ok(response) if response.status == 429 => End::Neither,
        Ok(response) if response.status >= 500 && response.status != 501 => {
            End::Bad(response.status.to_string())
        }
        Ok(_) => End::Good,
        Err(trouble) if trouble.host == host && is_failure(trouble) => {
            End::Bad(trouble.text.clone())
        }
        Err(_) => End::Neither,
    }
}

/// So many in a second, and as many at once after a quiet second.
struct Bucket {
    between: Duration,
    burst: Duration,
    /// When the next begins if none is saved up.
    next: Mutex<Option<Instant>>,
}

impl Bucket {
    fn new(rate: f64) -> Self {
        let between = Duration::from_secs_f64(1.0 / rate);
        let burst = Duration::from_secs(1).saturating_sub(between);
        Self { between, burst, next: Mutex::default() }
    }

    /// When the caller's turn is; `None`, and none is taken, when that is too late.
    fn take(&self, now: Instant, deadline: Instant) -> Option<Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = now.checked_sub(self.burst).unwrap_or(now);
        let turn = next.unwrap_or(saved).max(saved);
        if turn > deadline {
            return None;
        }
        *next = Some(turn + self.between);
        Some(turn.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_second_of_requests_pass_and_then_one_at_a_time() {
        let bucket = Bucket::new(5.0);
        let now = Instant::now() + Duration::from_secs(60);
        let late = now + Duration::from_secs(60);
        let wait = || (bucket.take(now, late).unwrap() - now).as_millis();
        assert_eq!([wait(), wait(), wait(), wait(), wait()], [0; 5]);
        assert_eq!([wait(), wait()], [200, 400]);
        assert!(bucket.take(now, now + Duration::from_millis(500)).is_none());
        assert!(bucket.take(now, now + Duration::from_millis(700)).is_some());
    }

    #[test]
    fn a_rate_below_one_waits_between_any_two() {
        let bucket = Bucket::new(0.5);
        let now = Instant::now();
        let late = now + Duration::from_secs(60);
        let turns = [(); 3].map(|()| (bucket.take(now, late).unwrap() - now).as_secs());
        assert_eq!(turns, [0, 2, 4]);
    }
}
