//! Credentials for image pulls: the kubelet's decoding, matching and order, exactly; and the logins
//! of the person who asks. No I/O but in [`helper`], which runs credential helpers.
//!
//! Secrets live in [`Credential`], whose Debug hides them; where a credential came from travels
//! with it as a [`Source`], because that is part of every answer.

pub mod docker_config;
mod entries;
mod glob;
mod go_json;
pub(crate) mod go_url;
pub mod helper;
pub mod keyring;
pub mod own;
pub mod pull_secret;

use std::borrow::Cow;
use std::fmt;

pub use docker_config::DockerConfig;
pub use entries::{Error, Reason};
pub use keyring::{Keyring, Lookup, Order};
pub use own::OwnLogins;
pub use pull_secret::PullSecret;

/// A user and a password as a kubelet hands them to a runtime. Bytes, because Go's strings are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Credential {
    user: Vec<u8>,
    password: Vec<u8>,
}

impl Credential {
    pub fn new(user: impl Into<Vec<u8>>, password: impl Into<Vec<u8>>) -> Self {
        Self { user: user.into(), password: password.into() }
    }

    /// An identity token, which takes the place of user and password: it is exchanged for an access
    /// token as a refresh token, and never sent by Basic.
    pub fn identity_token(token: impl Into<Vec<u8>>) -> Self {
        Self::new("", token)
    }

    /// The user name, for people; bytes that are no UTF-8 are replaced.
    pub fn user(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.user)
    }

    pub fn user_bytes(&self) -> &[u8] {
        &self.user
    }

    /// The password. Only `registry` may call this, to send it.
    pub fn password_bytes(&self) -> &[u8] {
        &self.password
    }

    /// A runtime sends nothing for a credential without a password: Basic fails with "no basic auth credentials" and a token is asked anonymously.
    pub fn sends_nothing(&self) -> bool {
        self.password.is_empty()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user()).field("password", &"***").finish()
    }
}

/// Where a credential was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A pull secret; the namespace is empty where the manifest names none.
    Secret { namespace: String, name: String },
    /// The node's own docker configuration file.
    NodeConfig { file: String },
    /// The docker configuration of the person or pipeline that runs pullproof; `file` is
    /// `DOCKER_AUTH_CONFIG` for the variable of that name.
    OwnConfig { file: String },
    /// The credential helper that such a configuration names.
    OwnHelper { file: String, helper: String },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Secret { namespace, name } if namespace.is_empty() => {
                write!(f, "secret {name}")
            }
            Source::Secret { namespace, name } => write!(f, "secret {namespace}/{name}"),
            Source::NodeConfig { file } => write!(f, "node config {file}"),
            Source::OwnConfig { file } => write!(f, "docker config {file}"),
            Source::OwnHelper { file, helper } => {
                write!(f, "docker-credential-{helper} of docker config {file}")
            }
        }
    }
}

/// A credential that matches an image, where it came from, and the key that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub credential: Credential,
    pub source: Source,
    /// The key of the entry as written, for example `https://index.docker.io/v1/`.
    pub key: String,
}
