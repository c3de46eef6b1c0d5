//! A report is one ordered list of results and notes. Each format is one file; each renders the
//! whole list, escapes what came from outside, and keeps the order. No I/O but the writer given.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::diagnosis::Diagnosis;
use crate::image::{ImageUse, Platform};
use crate::manifest::{Broken, Note};
use crate::policy::Verdict;

/// Everything a run found, sorted by place.
#[derive(Debug)]
pub struct Report {
    pub results: Vec<Result>,
    pub notes: Vec<Note>,
    pub summary: Summary,
}

/// One question and its answer: an image, the credentials it is asked with, and all the places
/// that ask it; or a text that does not parse.
#[derive(Debug)]
pub struct Result {
    /// The image as first written; empty for a broken text.
    pub image: String,
    /// Sorted by file, line and column; empty for a broken text.
    pub uses: Vec<ImageUse>,
    /// The place of a text that does not parse.
    pub broken: Option<Broken>,
    pub diagnosis: Diagnosis,
    pub verdict: Verdict,
    /// Platforms wanted, and where each wish came from, for example `--platform`.
    pub wanted: BTreeMap<Platform, String>,
}

/// What the last line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Distinct results that name an image.
    pub images: usize,
    pub files: usize,
    pub pullable: usize,
    pub findings: usize,
    pub inconclusive: usize,
    pub deny: usize,
    pub warn: usize,
    /// HTTP requests sent, token requests included.
    pub requests: u64,
    pub elapsed: Duration,
    /// Whether any result had platforms asked.
    pub platforms_asked: bool,
    pub offline: bool,
}
