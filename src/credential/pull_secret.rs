//! Pull secrets: which Secrets count, and what they hold.
//!
//! Follows `pkg/credentialprovider/secrets/secrets.go` of the kubelet: the type decides which data
//! key is read, other Secrets are no error but nothing, and one bad entry fails the whole Secret.
//! Matching is left to the keyring.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::Source;
use super::entries::{self, Document, Entries, Error, Form, Reason};

/// The type of a Secret that holds a `config.json`.
pub const TYPE_DOCKER_CONFIG_JSON: &str = "kubernetes.io/dockerconfigjson";
/// The data key of a Secret that holds a `config.json`.
pub const KEY_DOCKER_CONFIG_JSON: &str = ".dockerconfigjson";
/// The type of a Secret that holds a legacy `.dockercfg`.
pub const TYPE_DOCKERCFG: &str = "kubernetes.io/dockercfg";
/// The data key of a Secret that holds a legacy `.dockercfg`.
pub const KEY_DOCKERCFG: &str = ".dockercfg";
/// The type the API server gives a Secret that names none.
pub const TYPE_OPAQUE: &str = "Opaque";

/// A Secret as read from a manifest or the API server.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    /// The namespace; empty where the manifest names none.
    pub namespace: String,
    /// The name in that namespace.
    pub name: String,
    /// The `type` field.
    pub secret_type: String,
    /// The decoded data.
    pub data: BTreeMap<String, Vec<u8>>,
}

impl PullSecret {
    /// Reads `type`, `data` and `stringData` of a Secret manifest; `stringData` wins.
    pub fn from_value(
        namespace: impl Into<String>,
        name: impl Into<String>,
        manifest: &Value,
    ) -> Result<Self, Error> {
        let mut secret = Self {
            namespace: namespace.into(),
            name: name.into(),
            secret_type: TYPE_OPAQUE.to_owned(),
            data: BTreeMap::new(),
        };
        let Value::Object(manifest) = manifest else {
            return Err(secret.error(None, Reason::NotAnObject));
        };
        match manifest.get("type") {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => secret.secret_type.clone_from(text),
            Some(_) => return Err(secret.error(None, Reason::NotAString("type"))),
        }
        secret.take_data(manifest.get("data"), |text| entries::decode_base64(text, true))?;
        secret.take_data(manifest.get("stringData"), |text| Some(text.as_bytes().to_vec()))?;
        Ok(secret)
    }

    fn take_data(
        &mut self,
        values: Option<&Value>,
        decode: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<(), Error> {
        let values = match values {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(values)) => values,
            Some(_) => return Err(self.error(None, Reason::NotAnObject)),
        };
        for (key, value) in values {
            let bytes = match value {
                Value::Null => Vec::new(),
                Value::String(text) => {
                    decode(text).ok_or_else(|| self.error(Some(key), Reason::DataNotBase64))?
                }
                _ => return Err(self.error(Some(key), Reason::DataNotAString)),
            };
            self.data.insert(key.clone(), bytes);
        }
        Ok(())
    }

    fn error(&self, key: Option<&String>, reason: Reason) -> Error {
        Error { origin: self.source(), key: key.cloned(), reason }
    }

    /// Where credentials of this Secret come from.
    pub fn source(&self) -> Source {
        Source::Secret { namespace: self.namespace.clone(), name: self.name.clone() }
    }

    /// Whether a kubelet looks into this Secret: type and data key agree and the data is not empty.
    pub fn counts(&self) -> bool {
        self.document().is_some()
    }

    /// The registries it has entries for, sorted; none where a kubelet could not read it.
    pub fn registries(&self) -> Vec<String> {
        self.entries().map(|e| entries::registries(e.keys())).unwrap_or_default()
    }

    /// Says what is wrong with this Secret for a kubelet, if anything is.
    pub fn check(&self) -> Result<(), Error> {
        self.entries().map(|_| ())
    }

    /// The entries by key as written; empty for a Secret that does not count.
    pub(super) fn entries(&self) -> Result<Entries, Error> {
        let Some((form, bytes)) = self.document() else {
            return Ok(Entries::new());
        };
        Document::read(bytes, form)
            .and_then(Document::strict)
            .map_err(|problem| problem.at(self.source()))
    }

    fn document(&self) -> Option<(Form, &[u8])> {
        let (form, key) = match self.secret_type.as_str() {
            TYPE_DOCKER_CONFIG_JSON => (Form::ConfigJson, KEY_DOCKER_CONFIG_JSON),
            TYPE_DOCKERCFG => (Form::Dockercfg, KEY_DOCKERCFG),
            _ => return None,
        };
        let bytes = self.data.get(key)?;
        (!bytes.is_empty()).then_some((form, bytes))
    }
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("secret_type", &self.secret_type)
            .field("data", &self.data.keys().map(|k| (k, "***")).collect::<BTreeMap<_, _>>())
            .finish()
    }
}
