//! The kubelet's keyring.

/// Credentials by registry key.
#[derive(Debug)]
pub struct Keyring {}
/// What a look-up found.
#[derive(Debug)]
pub struct Lookup {}
/// Whether the order of the candidates is defined.
#[derive(Debug)]
pub enum Order {}
