//! ImageCheckPolicy: what a team wants to be denied, warned of, or only counted. [`wants`] speaks
//! before the registry is asked, [`judge`] after.

pub mod glob;
pub mod hygiene;
pub mod image_check_policy;
pub mod judge;
pub mod matching;
pub mod waiver;
pub mod wants;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use image_check_policy::ImageCheckPolicy;
pub use waiver::{IgnoreRule, Waiver};

/// What is to be done about a result; the greater one is stricter.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
pub enum Action {
    Allow,
    Audit,
    Warn,
    Deny,
}

impl Action {
    /// The name used in JSON.
    pub fn id(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Audit => "audit",
            Action::Warn => "warn",
            Action::Deny => "deny",
        }
    }
}

/// What certain findings come to where no policy says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByDefault {
    /// On a command line they are errors.
    #[default]
    Deny,
    /// In a cluster nothing is denied that nobody asked to be denied.
    Warn,
}

/// What is judged by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    pub policies: &'a [ImageCheckPolicy],
    pub by_default: ByDefault,
}

/// An action, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub action: Action,
    /// Name of the policy; `None`: the built-in default.
    pub policy: Option<String>,
    /// The rule inside it, for example `causes[tag-not-found]` or `action`.
    pub rule: String,
}
