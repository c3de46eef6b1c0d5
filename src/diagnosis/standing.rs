//! What one login comes to when it is asked alone: it works, it is refused, or that cannot be told.

use super::evidence::{Attempt, By, Refusal, Reply, Repository};
use super::seen;

/// How a login stands with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `None`: it could not be told.
    pub works: Option<bool>,
    pub status: Option<u16>,
    /// What was answered, in words.
    pub text: String,
}

/// Reads one attempt.
pub fn standing(attempt: &Attempt) -> Standing {
    let works = match (&attempt.reply, &attempt.repository) {
        (Reply::Found(_), _) | (Reply::Refused(_), Repository::Readable { .. }) => Some(true),
        (Reply::Refused(refusal), _) => is_no(refusal).then_some(false),
        (Reply::Trouble(_), _) => None,
    };
    let answered = seen::answered(attempt);
    Standing { works, status: answered.status, text: answered.text }
}

/// A 404 may be the image's, other refusals the registry's own rules; these are about the login.
fn is_no(refusal: &Refusal) -> bool {
    match refusal.by {
        By::TokenService => true,
        By::Registry => matches!(refusal.status, 401 | 403),
    }
}
