//! Content digests as go-digest accepts them: `sha256`, `sha384` and `sha512`, lower-case hex of
//! exact length.

/// A content digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {}
