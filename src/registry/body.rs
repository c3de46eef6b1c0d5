//! Error bodies of registries: codes and words out of whatever came, bounded and cleaned.

use serde_json::Value;

use super::mask::Mask;
use super::transport::Response;
use super::urls;
use crate::text::{SHOWN, clean};

/// Error codes and words of an error body: OCI JSON, the shapes some token services use, or nothing.
/// HTML is dropped, since it is a proxy's page and not the registry's word; `mask` hides what was
/// sent, and addresses lose their queries and logins.
pub(super) fn error(response: &Response, cap: usize, mask: &Mask) -> (Vec<String>, String) {
    let body = &response.body[..response.body.len().min(cap)];
    let Ok(parsed) = serde_json::from_slice::<Value>(body) else {
        return (Vec::new(), String::new());
    };
    let errors = parsed.get("errors").and_then(Value::as_array);
    let mut codes = Vec::new();
    let mut words = Vec::new();
    for error in errors.into_iter().flatten().take(8) {
        codes.extend(
            error
                .get("code")
                .and_then(Value::as_str)
                .map(|code| clean(&urls::plain(&mask.hide(code)), 64)),
        );
        words.extend(error.get("message").and_then(Value::as_str));
        words.extend(error.get("detail").and_then(Value::as_str));
    }
    for name in ["details", "message", "error_description", "error"] {
        if words.is_empty() {
            words.extend(parsed.get(name).and_then(Value::as_str));
        }
    }
    (codes, clean(&urls::plain(&mask.hide(&words.join("; "))), SHOWN))
}

/// What a 429 says: its own words, and how long to wait.
pub(super) fn rate_limit_text(response: &Response) -> String {
    let wait =
        response.header("retry-after", 64).and_then(|value| value.trim().parse::<u64>().ok());
    match wait.filter(|seconds| *seconds > 0) {
        Some(seconds) => format!("too many requests; again in {}", in_words(seconds)),
        None => "too many requests".to_owned(),
    }
}

/// Seconds for people, at most thirty days.
pub(super) fn in_words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        _ => format!("{} min", seconds.min(30 * 86_400).div_ceil(60)),
    }
}
