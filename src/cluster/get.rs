//! One object by its name: a bounded read with a deadline, and three kinds of no: it is not there,
//! it may not be read, nobody answered. Bodies never reach a message.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Limited};
use kube::api::{GetParams, ListParams};
use kube::client::Body;
use serde_json::Value;

/// Longest answer that is read: etcd holds 1.5 MiB an object.
const MAX_BODY: usize = 4 << 20;
/// Longest that one read may take, whatever the caller's patience.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

/// Why an object is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("it does not exist")]
    Absent,
    /// The right that is missing, as a rule of a Role.
    #[error("it may not be read: {0}")]
    Forbidden(String),
    #[error("the API server gave no answer: {0}")]
    Unavailable(String),
}

/// What can be read by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Secret,
    ServiceAccount,
    Namespace,
    Pod,
}

impl Kind {
    fn resource(self) -> &'static str {
        match self {
            Kind::Secret => "secrets",
            Kind::ServiceAccount => "serviceaccounts",
            Kind::Namespace => "namespaces",
            Kind::Pod => "pods",
        }
    }
}

/// The name of an object; made of checked parts alone, so that no spelling leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Name {
    namespace: String,
    name: String,
}

impl Name {
    /// `None`: no object can have this name.
    pub fn new(namespace: &str, name: &str) -> Option<Self> {
        (is_label(namespace) && is_subdomain(name))
            .then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn len(&self) -> usize {
        self.namespace.len() + self.name.len()
    }
}

/// A DNS-1123 label, as the name of a namespace is.
pub(super) fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS-1123 subdomain, as the names of most objects are. The parts of one may be longer than a
/// label.
fn is_subdomain(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_inner =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty()
            && part.bytes().all(is_inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Reads one object before the deadline.
pub(super) async fn get(
    client: &kube::Client,
    kind: Kind,
    name: &Name,
    deadline: Instant,
) -> Result<Value, Trouble> {
    let path = match kind {
        Kind::Namespace => "/api/v1/namespaces".to_owned(),
        kind => format!("/api/v1/namespaces/{}/{}", name.namespace, kind.resource()),
    };
    let right = || match kind {
        Kind::Namespace => "give get on namespaces to this ServiceAccount or user".to_owned(),
        kind => format!(
            "give get on {} in namespace {} to this ServiceAccount or user (resourceNames: [\"{}\"] is enough)",
            kind.resource(),
            name.namespace,
            name.name
        ),
    };
    let (status, body) =
        before(deadline, fetch(client, &path, Ask::Named(&name.name), MAX_BODY)).await??;
    match status {
        200 => serde_json::from_slice(&body)
            .map_err(|_| Trouble::Unavailable("its answer is no JSON".to_owned())),
        404 => Err(Trouble::Absent),
        401 => Err(Trouble::Unavailable("401, it does not know this login".to_owned())),
        403 => Err(Trouble::Forbidden(right())),
        status => Err(Trouble::Unavailable(format!("status {status}"))),
    }
}

/// What is asked of a collection.
pub(super) enum Ask<'a> {
    Named(&'a str),
    Page(&'a ListParams),
}

/// The status and the bounded body that a collection answers with.
pub(super) async fn fetch(
    client: &kube::Client,
    path: &str,
    ask: Ask<'_>,
    most: usize,
) -> Result<(u16, Vec<u8>), Trouble> {
    let collection = kube::core::Request::new(path);
    let request = match ask {
        Ask::Named(name) => collection.get(name, &GetParams::default()),
        Ask::Page(page) => collection.list(page),
    };
    let request = request
        .map_err(|_| Trouble::Unavailable("no request can be made of it".to_owned()))?
        .map(Body::from);
    let answer = client.send(request).await.map_err(|error| failed(&error))?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), most).collect().await.map_err(|_| {
        Trouble::Unavailable("its answer broke off or is larger than is read".to_owned())
    })?;
    Ok((status, body.to_bytes().to_vec()))
}

/// What failed on the way, in words of our own: the client's may hold more than is to be told.
pub(super) fn failed(error: &kube::Error) -> Trouble {
    let text = match error {
        kube::Error::Auth(_) => "the login for it could not be had",
        kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => "the connection broke off",
        kube::Error::Service(_) => "it could not be reached",
        kube::Error::Api(status) => {
            return Trouble::Unavailable(format!("status {}", status.code));
        }
        _ => "the exchange with it failed",
    };
    Trouble::Unavailable(text.to_owned())
}

/// Bounds a piece of work by a moment.
pub(super) async fn before<T>(
    deadline: Instant,
    work: impl Future<Output = T>,
) -> Result<T, Trouble> {
    tokio::time::timeout_at(deadline.into(), work)
        .await
        .map_err(|_| Trouble::Unavailable("not in time".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_an_object_can_have_are_asked_for() {
        for name in ["pull", "a.b-c", "0", &"a".repeat(253)] {
            assert!(Name::new("shop", name).is_some(), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a?b",
            "a%2fb",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "a\n",
            &"a".repeat(254),
        ] {
            assert!(Name::new("shop", name).is_none(), "{name}");
        }
        for namespace in ["", "../kube-system", "a.b", "a/b", "kube-system/secrets", "Shop"] {
            assert!(Name::new(namespace, "pull").is_none(), "{namespace}");
        }
    }
}
