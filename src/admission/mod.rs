//! The webhook's door: AdmissionReviews in, verdicts, warnings and patches out. The road between is
//! the same as for every other door. [`server`] speaks HTTP and TLS; [`handler`] decides; the rest are
//! plain functions.

pub mod deadline;
pub mod entries;
mod events;
pub mod exempt;
pub mod handler;
pub mod inject;
mod mutate;
pub mod object;
pub mod patch;
mod patience;
pub mod review;
pub mod server;
pub mod sources;
pub mod throttle;
pub mod tls;
pub mod words;

pub use handler::{Decision, Endpoint, Webhook};
pub use sources::Sources;
pub use words::Detail;
