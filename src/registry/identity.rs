//! Who asks, as a cache key may know it: a keyed hash, so that no cache, log or dump holds a secret.
//! The key is each process's own, or that of the cache on disk which processes of one person share.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::credential::Credential;

/// A credential's identity under the key of its process or cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity([u8; 16]);

impl Identity {
    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Turns credentials into identities; one a process.
pub struct Identities {
    key: [u8; 32],
}

impl Identities {
    pub fn new() -> Self {
        Self { key: rand::random() }
    }

    /// Under the key of a cache, so that another process tells the same credentials apart alike.
    pub(super) fn with_key(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// Equal credentials have equal identities, and nothing else does.
    pub fn of(&self, credential: &Credential) -> Identity {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(&(credential.user_bytes().len() as u64).to_le_bytes());
        mac.update(credential.user_bytes());
        mac.update(credential.password_bytes());
        let digest = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        Identity(short)
    }
}

impl Default for Identities {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_keep_user_and_password_apart_and_differ_between_processes() {
        let identities = Identities::new();
        let id = |user: &str, password: &str| identities.of(&Credential::new(user, password));
        assert_eq!(id("a", "bc"), id("a", "bc"));
        assert_ne!(id("a", "bc"), id("ab", "c"));
        assert_ne!(id("a", "bc"), Identities::new().of(&Credential::new("a", "bc")));
    }
}
