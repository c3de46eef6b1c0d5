//! Hosts that answered 429 are left alone for as long as they ask, each for the caller it was said
//! to: another login, or none, may be let in. `Retry-After` counts as seconds or as a date, within
//! bounds; without a usable one the pause doubles with every 429 in a row.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use tokio::time::Instant;

use super::body;
use super::identity::Identity;
use super::transport::jitter;
use crate::diagnosis::cause::{Cause, Reason};
use crate::diagnosis::evidence::Trouble;
use crate::settings::Limits;

/// At most this many callers are remembered; pauses that are over make room first.
const MAX_CALLERS: usize = 10_000;

/// The pauses of all hosts, by `host[:port]` and caller.
pub(super) struct Pauses {
    shortest: Duration,
    longest: Duration,
    longest_backoff: Duration,
    waited: Duration,
    paused: Mutex<HashMap<(String, Option<Identity>), Pause>>,
}

#[derive(Clone, Copy)]
struct Pause {
    until: Instant,
    /// How many 429 in a row.
    strikes: u32,
}

impl Pauses {
    pub fn new(limits: &Limits) -> Self {
        Self {
            shortest: limits.pause_shortest,
            longest: limits.pause_longest,
            longest_backoff: limits.backoff_longest,
            waited: limits.pause_waited,
            paused: Mutex::default(),
        }
    }

    /// Waits for the end of a short pause; the trouble of a longer one.
    pub async fn wait(
        &self,
        host: &str,
        identity: Option<Identity>,
        deadline: Instant,
    ) -> Result<(), Trouble> {
        while let Some(until) = self.until(host, identity) {
            let waited = self.waited.min(deadline.saturating_duration_since(Instant::now()));
            match self.refuses(host, identity) {
                Some(trouble) if until >= Instant::now() + waited => return Err(trouble),
                _ => tokio::time::sleep_until(until).await,
            }
        }
        Ok(())
    }

    /// When the pause ends, while there is one.
    fn until(&self, host: &str, identity: Option<Identity>) -> Option<Instant> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let until = paused.get(&(host.to_owned(), identity))?.until;
        (until > Instant::now()).then_some(until)
    }

    /// Why a host may not be asked now, if so.
    pub fn refuses(&self, host: &str, identity: Option<Identity>) -> Option<Trouble> {
        let left = self.until(host, identity)?.saturating_duration_since(Instant::now());
        Some(Trouble {
            reason: Reason::Seen(Cause::RateLimited),
            host: host.to_owned(),
            status: None,
            text: format!(
                "too many requests; not asked again for {}",
                body::in_words(left.as_secs() + 1)
            ),
        })
    }

    /// Learns from an answer: 429 begins a pause, success ends the row of them.
    pub fn note(
        &self,
        host: &str,
        identity: Option<Identity>,
        status: StatusCode,
        headers: &HeaderMap,
    ) {
        let is_limit = status == StatusCode::TOO_MANY_REQUESTS;
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_empty() && !is_limit {
            return;
        }
        let key = (host.to_owned(), identity);
        if is_limit {
            let now = Instant::now();
            let before = paused.get(&key).copied();
            let strikes = before.map_or(0, |pause| pause.strikes);
            let asked = retry_after(headers).map(|asked| asked.clamp(self.shortest, self.longest));
            // One pause is for all requests that were under way when it began.
            if let Some(before) = before.filter(|pause| pause.until > now) {
                let until = before.until.max(now + asked.unwrap_or_default());
                paused.insert(key, Pause { until, ..before });
                return;
            }
            let pause = asked.unwrap_or_else(|| self.backoff(strikes));
            if paused.len() >= MAX_CALLERS {
                paused.retain(|_, pause| pause.until > now);
            }
            if paused.len() < MAX_CALLERS {
                paused
                    .insert(key, Pause { until: now + pause, strikes: strikes.saturating_add(1) });
            }
        } else if status.is_success() {
            paused.remove(&key);
        }
    }

    fn backoff(&self, strikes: u32) -> Duration {
        let doubled = self.shortest.saturating_mul(1 << strikes.min(16));
        jitter(doubled.min(self.longest_backoff))
    }
}

/// How long the answer asks to wait; `None` when it does not say so in a way that can be read.
/// A date is taken by the answer's own clock, where it tells one.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(header::RETRY_AFTER).filter(|value| value.len() <= 64)?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let now = text(header::DATE).and_then(|now| httpdate::parse_http_date(now).ok());
    Some(date.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses() -> Pauses {
        Pauses::new(&Limits::default())
    }

    fn limited(pauses: &Pauses, headers: &[(&'static str, &str)]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        pauses.note("r.io", None, StatusCode::TOO_MANY_REQUESTS, &map);
    }

    /// Whole seconds until the host may be asked.
    fn left(pauses: &Pauses) -> Option<u64> {
        pauses.refuses("r.io", None)?;
        let paused = pauses.paused.lock().unwrap();
        let until = paused[&("r.io".to_owned(), None)].until;
        Some((until - Instant::now()).as_millis().div_ceil(1000) as u64)
    }

    #[test]
    fn f12_seconds_are_kept() {
        let pauses = pauses();
        limited(&pauses, &[("retry-after", "7")]);
        assert_eq!(left(&pauses), Some(7));
    }

    #[test]
    fn f13_whatever_it_says_a_pause_lasts_from_one_second_to_fifteen_minutes() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, seconds) in [
            ("0", 1..=1),
            ("1000000000", 900..=900),
            ("99999999999999999999", 1..=2),
            ("-1", 1..=2),
            ("soon", 1..=2),
            ("", 1..=2),
            ("1.5", 1..=2),
            ("Sun, 06 Nov 1994 08:50:07 GMT", 30..=30),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 1..=1),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 900..=900),
        ] {
            let pauses = pauses();
            limited(&pauses, &[("retry-after", value), ("date", DATE)]);
            assert!(left(&pauses).is_some_and(|left| seconds.contains(&left)), "{value:?}");
        }
    }

    #[test]
    fn f13_a_date_without_the_answers_own_clock_is_taken_by_ours() {
        let pauses = pauses();
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        limited(&pauses, &[("retry-after", &date)]);
        assert!(left(&pauses).is_some_and(|left| (58..=60).contains(&left)));
    }

    /// By how much our clock is off: a date is told by the registry's own, or stays within bounds.
    #[test]
    fn f48_a_clock_that_is_an_hour_off_neither_ends_nor_prolongs_a_pause_for_ever() {
        const MINUTE: Duration = Duration::from_secs(60);
        let hour = 60 * MINUTE;
        let now = SystemTime::now();
        for (registrys, without) in [(now - hour, 1..=1), (now + hour, 899..=900)] {
            let date = httpdate::fmt_http_date(registrys + MINUTE);
            let pauses = pauses();
            limited(&pauses, &[("retry-after", &date)]);
            assert!(left(&pauses).is_some_and(|left| without.contains(&left)));
            let pauses = self::pauses();
            let told = httpdate::fmt_http_date(registrys);
            limited(&pauses, &[("retry-after", &date), ("date", &told)]);
            assert!(left(&pauses).is_some_and(|left| (59..=60).contains(&left)));
        }
    }

    #[test]
    fn f14_without_a_header_the_pause_doubles_up_to_a_minute_and_begins_anew_after_success() {
        let pauses = pauses();
        for (strikes, expected) in [(0, 1.0), (1, 2.0), (5, 32.0), (6, 60.0), (4_000_000, 60.0)] {
            let pause = pauses.backoff(strikes).as_secs_f64();
            assert!((expected * 0.79..expected * 1.21).contains(&pause), "{pause} for {expected}");
        }
        for _ in 0..16 {
            limited(&pauses, &[]);
        }
        assert!(left(&pauses).is_some_and(|left| left <= 2), "those under way are one refusal");
        pauses.paused.lock().unwrap().values_mut().for_each(|pause| pause.strikes = 3);
        pauses.paused.lock().unwrap().values_mut().for_each(|pause| pause.until = Instant::now());
        limited(&pauses, &[]);
        assert!(left(&pauses).is_some_and(|left| (7..=10).contains(&left)));
        pauses.note("r.io", None, StatusCode::OK, &HeaderMap::new());
        limited(&pauses, &[]);
        assert!(left(&pauses).is_some_and(|left| left <= 2));
    }

    #[test]
    fn another_login_and_another_host_go_on() {
        let pauses = pauses();
        limited(&pauses, &[("retry-after", "7")]);
        let login = crate::credential::Credential::new("ci", "pw");
        let identity = super::super::identity::Identities::new().of(&login);
        assert!(pauses.refuses("r.io", None).is_some_and(|trouble| trouble.is_rate_limit()));
        assert!(pauses.refuses("r.io", Some(identity)).is_none());
        assert!(pauses.refuses("r.io:5000", None).is_none());
    }
}
