//! Image references and what Kubernetes does with them: grammar and normal form, pull policy,
//! platform choice, and the places where an image is named. No I/O.

pub mod digest;
pub mod media_type;
pub mod platform;
pub mod pull_policy;
pub mod reference;
pub mod usage;

pub use digest::Digest;
pub use platform::Platform;
pub use pull_policy::PullPolicy;
pub use reference::Reference;
pub use usage::{ImageUse, Role, Site};
