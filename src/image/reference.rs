//! The grammar and normal form of image references, as `distribution/reference` v0.6.0 has them.

/// A parsed reference in normal form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {}
