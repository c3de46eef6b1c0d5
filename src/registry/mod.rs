//! Questions to registries. [`ask`] turns a [`Question`](crate::diagnosis::Question) into an [`Answer`](crate::diagnosis::Answer)
//! of facts; what they mean is decided elsewhere.

mod ask;
mod body;
mod breaker;
mod cache;
pub mod challenge;
mod client;
pub mod content;
mod disk;
mod error;
pub mod guard;
mod host;
mod hosts;
pub mod identity;
mod lane;
mod mask;
mod pause;
mod quota;
mod redirect;
mod resolve;
mod stats;
mod token;
mod transport;
mod urls;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;

pub use ask::{Registry, Toll, another_login_may_help};
pub use breaker::Breaker;
pub use guard::{Door, Guard};
pub use stats::{RegistryStats, SECONDS, Stats};

use crate::credential::Credential;

/// The value of a Basic Authorization header, marked as a secret.
fn basic(login: &Credential) -> HeaderValue {
    let joined = [login.user_bytes(), b":", login.password_bytes()].concat();
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(joined)))
        .expect("base64 fits a header");
    value.set_sensitive(true);
    value
}
