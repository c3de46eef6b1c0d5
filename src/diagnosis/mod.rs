//! From what was seen to what it means: the closed list of causes, the evidence, and the reading of
//! one by the other. Plain functions: no clock, no network.

pub mod advice;
pub mod cause;
pub mod diagnose;
pub mod evidence;
mod families;
pub mod kubelet;
mod platforms;
pub mod question;
mod reading;
mod seen;
mod standing;
pub mod suggest;

pub use cause::{Cause, Certainty, Class, Reason};
pub use diagnose::{diagnose, without_asking};
pub use evidence::{Answer, Attempt};
pub use question::{Context, PodLogin, Question};
pub use standing::{Standing, standing};

use std::time::Duration;

use crate::image::{Digest, Platform};

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The manifest is there for this Pod, as far as was asked.
    Pullable,
    /// The image is wrong, or the Pod's right to it.
    Finding { cause: Cause, certainty: Certainty },
    /// It could not be told; never called a bad image.
    Inconclusive { reason: Reason },
}

/// An outcome with everything a report says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub outcome: Outcome,
    /// One sentence without a full stop: what is the matter, in words.
    pub summary: String,
    /// Two or three words beside the caret, for example `no such tag`.
    pub label: String,
    /// Digest of what the reference names now (of the index, where it is one).
    pub digest: Option<Digest>,
    /// Platforms the image offers; empty when they were not asked.
    pub offered: Vec<Platform>,
    /// Would a node's pull succeed, as far as the manifest? `None`: not known.
    pub pulls: Option<bool>,
    /// Would it run on the platforms wanted? `None`: not known or not asked.
    pub runs: Option<bool>,
    /// All that was found, the outcome's own cause first, hygiene too.
    pub findings: Vec<Listed>,
    pub evidence: Vec<Seen>,
    /// What to do next, one sentence each, best first.
    pub advice: Vec<String>,
    /// Why a finding is only likely, or another remark a reader needs.
    pub remarks: Vec<String>,
    /// How long ago an earlier run saw that the image is there; `None` when it was asked now.
    pub age: Option<Duration>,
    /// No node pulls it (`imagePullPolicy: Never`, a local name), so nothing had to be told.
    pub never_pulled: bool,
    /// It is a placeholder and no image.
    pub is_placeholder: bool,
    /// Platforms wanted that it is not there for.
    pub lacking: Lacking,
}

/// The platforms wanted that an image is not there for, and whom that concerns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    pub platforms: Vec<Platform>,
    /// One of them is wanted by more than a policy: the Pod's nodes, its constraints, a flag.
    pub concerns_pod: bool,
    /// The image is there for none of those that the Pod meets today.
    pub everywhere: bool,
}

/// One entry of the list of all that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub cause: Cause,
    pub text: String,
}

/// One thing that was seen, told for people and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The host that answered, or was to answer.
    pub host: String,
    pub status: Option<u16>,
    /// Error codes of the registry, for example `MANIFEST_UNKNOWN`.
    pub codes: Vec<String>,
    /// User and source of the credential that was used; `None` without login.
    pub credential: Option<(String, String)>,
    /// What was asked and what came, in words.
    pub text: String,
}
