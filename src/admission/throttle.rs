//! A token bucket for each namespace: cold questions that one namespace may put to registries in a
//! second. A flood of one namespace is told so and leaves the others alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Namespaces that are remembered; a full bucket is no different from none.
const MOST: usize = 10_000;

/// Buckets by namespace.
#[derive(Debug)]
pub struct Throttle {
    /// Questions a second.
    rate: f64,
    burst: f64,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Throttle {
    /// `rate` questions a second, and `burst` at once; a rate of zero is no limit.
    pub fn new(rate: u32, burst: u32) -> Self {
        Self { rate: rate.into(), burst: burst.into(), buckets: Mutex::default() }
    }

    /// Takes one question of a namespace at an instant; false when it has asked too much.
    pub fn admits(&self, namespace: &str, now: Instant) -> bool {
        if self.rate == 0.0 {
            return true;
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MOST && !buckets.contains_key(namespace) {
            let refilled = Duration::from_secs_f64(self.burst / self.rate);
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < refilled);
            if buckets.len() >= MOST {
                return false;
            }
        }
        let full = Bucket { left: self.burst, at: now };
        let bucket = match buckets.get_mut(namespace) {
            Some(bucket) => bucket,
            None => buckets.entry(namespace.to_owned()).or_insert(full),
        };
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.rate;
        let left = (bucket.left + gained).min(self.burst);
        let is_admitted = left >= 1.0;
        *bucket = Bucket { left: if is_admitted { left - 1.0 } else { left }, at: now };
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f30_a_namespace_is_stopped_after_its_burst_and_the_next_is_not() {
        let (throttle, start) = (Throttle::new(50, 200), Instant::now());
        let admitted = (0..1000).filter(|_| throttle.admits("loud", start)).count();
        assert_eq!(admitted, 200);
        assert!(throttle.admits("quiet", start));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..1000).filter(|_| throttle.admits("loud", later)).count(), 50);
    }

    #[test]
    fn many_namespaces_are_forgotten_and_zero_is_no_limit() {
        let (throttle, start) = (Throttle::new(50, 200), Instant::now());
        for name in 0..20_000u32 {
            let now = start + Duration::from_millis(name.into());
            assert!(throttle.admits(&name.to_string(), now));
        }
        assert!(throttle.buckets.lock().unwrap().len() <= MOST);
        let open = Throttle::new(0, 0);
        assert!((0..1000).all(|_| open.admits("any", start)));
    }
}
