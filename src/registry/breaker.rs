//! A host that fails again and again is left alone, for each caller by itself: after some failures in
//! a row within a short time nothing is sent, but for one try every now and then. Refusals and 429
//! are answers and no failures.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::identity::Identity;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;
use crate::settings::Limits;

/// At most this many callers of one host are remembered while it fails.
const MAX_CALLERS: usize = 1000;

/// How long an open breaker is told of after its next try was due.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Who gave up on a request after this long was kept waiting by the host.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether requests to a host are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Breaker {
    /// All are.
    #[default]
    Closed,
    /// None but one try now and then.
    Open,
}

/// The breakers of one host, one for each caller.
pub(super) struct Breakers {
    failures: u32,
    window: Duration,
    between_tries: Duration,
    rows: Mutex<HashMap<Option<Identity>, Row>>,
}

/// Failures in a row.
struct Row {
    began: Instant,
    failures: u32,
    /// When the next try may be made, once the breaker is open.
    next_try: Option<Instant>,
    /// What happened last.
    last: String,
}

/// A request under way, whose end is told to the breaker.
pub(super) struct Watch<'a> {
    breakers: &'a Breakers,
    caller: Option<Identity>,
    began: Instant,
    settled: bool,
}

/// How a request ended, as far as it says something of the host.
pub(super) enum End {
    Good,
    Bad(String),
    /// It says nothing.
    Neither,
}

impl Breakers {
    pub fn new(limits: &Limits) -> Self {
        Self {
            failures: limits.breaker_failures,
            window: limits.breaker_window,
            between_tries: limits.breaker_try,
            rows: Mutex::default(),
        }
    }

    /// Lets a request pass, or says why not.
    pub fn pass(&self, host: &str, caller: Option<Identity>) -> Result<Watch<'_>, Trouble> {
        let now = Instant::now();
        if let Some(row) = self.rows().get_mut(&caller)
            && let Some(next_try) = row.next_try
        {
            if now < next_try {
                return Err(row.trouble(host, next_try - now));
            }
            row.next_try = Some(now + self.between_tries);
        }
        Ok(Watch { breakers: self, caller, began: now, settled: false })
    }

    /// Why nothing is sent now, if so; takes no try.
    pub fn refuses(&self, host: &str, caller: Option<Identity>) -> Option<Trouble> {
        let rows = self.rows();
        let row = rows.get(&caller)?;
        let left = row.next_try?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then(|| row.trouble(host, left))
    }

    /// Open when it is for anybody.
    pub fn state(&self) -> Breaker {
        let now = Instant::now();
        match self.rows().values().any(|row| row.is_open(now)) {
            true => Breaker::Open,
            false => Breaker::Closed,
        }
    }

    fn good(&self, caller: Option<Identity>) {
        self.rows().remove(&caller);
    }

    fn bad(&self, caller: Option<Identity>, text: String) {
        let now = Instant::now();
        let mut rows = self.rows();
        if rows.len() >= MAX_CALLERS && !rows.contains_key(&caller) {
            rows.retain(|_, row| row.is_open(now) || now < row.began + self.window);
            if rows.len() >= MAX_CALLERS {
                return;
            }
        }
        let new = || Row { began: now, failures: 0, next_try: None, last: String::new() };
        let row = rows.entry(caller).or_insert_with(new);
        if row.next_try.is_none() && now >= row.began + self.window {
            *row = new();
        }
        row.failures = row.failures.saturating_add(1);
        row.last = text;
        if row.next_try.is_none() && row.failures >= self.failures {
            row.next_try = Some(now + self.between_tries);
        }
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Option<Identity>, Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Row {
    /// A breaker that nobody tries any more is forgotten.
    fn is_open(&self, now: Instant) -> bool {
        self.next_try.is_some_and(|next_try| now < next_try + FORGOTTEN)
    }

    fn trouble(&self, host: &str, left: Duration) -> Trouble {
        Trouble {
            reason: Reason::BreakerOpen,
            host: host.to_owned(),
            status: None,
            text: format!(
                "it failed {} times in a row; not asked again for {} (last: {})",
                self.failures,
                super::body::in_words(left.as_secs() + 1),
                self.last
            ),
        }
    }
}

impl Watch<'_> {
    pub fn settle(mut self, end: End) {
        self.settled = true;
        match end {
            End::Good => self.breakers.good(self.caller),
            End::Bad(text) => self.breakers.bad(self.caller, text),
            End::Neither => {}
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.settled && self.began.elapsed() >= PATIENCE {
            self.breakers.bad(self.caller, "no complete answer in time".to_owned());
        }
    }
}

/// Whether a trouble is the host's failure to answer.
pub(super) fn is_failure(trouble: &Trouble) -> bool {
    use Cause::*;
    let Reason::Seen(cause) = trouble.reason else { return false };
    matches!(
        cause,
        DnsFailure
            | ConnectionRefused
            | Unreachable
            | Timeout
            | TlsUntrusted
            | TlsExpired
            | TlsHandshake
            | SchemeMismatch
            | ProxyFailure
            | RegistryError
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRY: Duration = Duration::from_millis(200);

    fn breakers(window: Duration) -> Breakers {
        let limits = Limits { breaker_window: window, breaker_try: TRY, ..Limits::default() };
        Breakers::new(&limits)
    }

    fn fail(breakers: &Breakers, times: usize) {
        for _ in 0..times {
            breakers.pass("r.io", None).unwrap().settle(End::Bad("503".to_owned()));
        }
    }

    #[tokio::test]
    async fn f11_five_failures_in_a_row_open_it_and_one_try_passes_now_and_then() {
        let breakers = breakers(Duration::from_secs(10));
        fail(&breakers, 4);
        assert_eq!(breakers.state(), Breaker::Closed);
        fail(&breakers, 1);
        for _ in 0..2 {
            assert_eq!(breakers.state(), Breaker::Open);
            assert_eq!(breakers.pass("r.io", None).err().unwrap().reason, Reason::BreakerOpen);
            tokio::time::sleep(TRY).await;
            let the_try = breakers.pass("r.io", None).unwrap();
            assert!(breakers.pass("r.io", None).is_err(), "one is enough");
            the_try.settle(End::Bad("503".to_owned()));
        }
        tokio::time::sleep(TRY).await;
        breakers.pass("r.io", None).unwrap().settle(End::Good);
        assert_eq!(breakers.state(), Breaker::Closed);
        fail(&breakers, 4);
        assert!(breakers.pass("r.io", None).is_ok());
    }

    #[tokio::test]
    async fn failures_with_a_success_between_or_far_apart_leave_it_closed() {
        let breakers = breakers(Duration::from_millis(100));
        fail(&breakers, 4);
        breakers.pass("r.io", None).unwrap().settle(End::Good);
        fail(&breakers, 4);
        tokio::time::sleep(Duration::from_millis(150)).await;
        fail(&breakers, 4);
        breakers.pass("r.io", None).unwrap().settle(End::Neither);
        assert_eq!(breakers.state(), Breaker::Closed);
    }

    #[tokio::test]
    async fn another_login_goes_on_and_a_request_given_up_late_counts() {
        let breakers = breakers(Duration::from_secs(10));
        let login = crate::credential::Credential::new("ci", "pw");
        let identity = Some(super::super::identity::Identities::new().of(&login));
        let late = [(); 5].map(|()| breakers.pass("r.io", identity));
        tokio::time::sleep(PATIENCE + Duration::from_millis(50)).await;
        drop(late);
        assert!(breakers.pass("r.io", identity).is_err() && breakers.pass("r.io", None).is_ok());
        for _ in 0..9 {
            drop(breakers.pass("r.io", None));
        }
        assert!(breakers.pass("r.io", None).is_ok(), "given up at once, it says nothing");
    }
}
