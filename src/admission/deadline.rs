//! `?timeout=` of the API server: a Go duration that ends the review, and how long before its end we
//! answer with what is known by then.

use std::time::Duration;

/// The longest that is waited for registries when the API server names no time, or a longer one.
const LONGEST: Duration = Duration::from_millis(4600);
/// Answered this long before the API server gives up.
const MARGIN: Duration = Duration::from_millis(400);
/// What is left at least: enough for what is known already.
const SHORTEST: Duration = Duration::from_millis(50);

/// How long a review may take, by the query of its URL.
pub fn budget(query: Option<&str>) -> Duration {
    let named = query.into_iter().flat_map(|query| query.split('&')).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == "timeout").then(|| duration(value)).flatten()
    });
    match named {
        Some(timeout) => timeout.saturating_sub(MARGIN).clamp(SHORTEST, LONGEST),
        None => LONGEST,
    }
}

/// A Go duration of at most a day, as `time.ParseDuration` reads it; the API server writes whole
/// seconds, or milliseconds below one.
fn duration(text: &str) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    let (mut rest, mut seconds) = (text, 0.0);
    if rest.is_empty() || rest.len() > 32 {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..].find(|c: char| c.is_ascii_digit() || c == '.');
        let unit = unit.map_or(rest.len(), |length| end + length);
        seconds += number
            * match &rest[end..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "%C2%B5s" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (seconds <= DAY).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(query: &str) -> u128 {
        budget(Some(query)).as_millis()
    }

    #[test]
    fn the_answer_comes_400_ms_before_the_api_server_gives_up() {
        assert_eq!((millis("timeout=5s"), millis("timeout=1s")), (4600, 600));
        assert_eq!((millis("x=1&timeout=2.5s"), millis("timeout=1m30s")), (2100, 4600));
        assert_eq!((millis("timeout=200ms"), millis("timeout=0s")), (50, 50));
    }

    #[test]
    fn what_is_no_duration_leaves_the_default() {
        for query in [
            "",
            "timeout",
            "timeout=",
            "timeout=5",
            "timeout=s",
            "timeout=-5s",
            "timeout=1e9h",
            "timeout=99999999999999999999999h",
        ] {
            assert_eq!(millis(query), 4600, "{query}");
        }
        assert_eq!(budget(None), LONGEST);
    }
}
