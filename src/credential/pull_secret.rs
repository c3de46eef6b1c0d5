//! Pull secrets: which Secrets count, and what they hold.

/// A Secret as read from a manifest or the API server.
#[derive(Debug)]
pub struct PullSecret {}
