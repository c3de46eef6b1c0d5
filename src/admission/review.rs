//! `AdmissionReview` of `admission.k8s.io/v1`: what is read of a request, borrowed from its bytes, and
//! the answer as bytes. Own types, since nothing is cloned to read five fields of an object, which is
//! read in the same go, and the patch is base64 as the API says. Follows `k8s.io/api/admission/v1`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::entries::{self, MAX_ENTRIES, Unread};
use super::object::{Admitted, Object, Shape};

pub const API_VERSION: &str = "admission.k8s.io/v1";
pub const KIND: &str = "AdmissionReview";

/// Why bytes are no review; told to the caller with status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoReview {
    #[error("the body is not JSON of an AdmissionReview: {0}")]
    Json(String),
    #[error("the body is not an {KIND} of {API_VERSION}")]
    OtherKind,
    #[error("the AdmissionReview has no request")]
    NoRequest,
    #[error("the request has no uid")]
    NoUid,
    #[error("its objects have more than {MAX_ENTRIES} entries or {MAX_IMAGES} images")]
    TooMany,
    #[error("the object's {0} is not that of the request")]
    Mismatch(&'static str),
    #[error("the request's {0} is longer than {MAX_NAME} bytes")]
    TooLong(&'static str),
}

/// No object, kind or namespace has a longer name. Names are logged, told as Events and kept as keys,
/// so what is longer goes no further.
pub const MAX_NAME: usize = 253;

/// Places of an object that name an image. What an API server can store has fewer: it fills in each
/// container, so that 1.5 MB have room for 10,000.
pub const MAX_IMAGES: usize = 20_000;

#[derive(Deserialize)]
#[serde(bound(deserialize = "O: Deserialize<'de>"))]
struct Review<'a, O> {
    #[serde(borrow, default, rename = "apiVersion")]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    request: Option<Request<'a, O>>,
}

/// What a request brings: an object, or why it is none of the shape that those have which make Pods.
pub type Brought<'a> = Result<Box<Object<'a>>, Unread>;

/// The request of a review, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub struct Request<'a, O = Brought<'a>> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub uid: Cow<'a, str>,
    /// The kind of `object`, which may be an older or newer version of what was sent.
    #[serde(borrow, default)]
    pub kind: Kind<'a>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub sub_resource: Cow<'a, str>,
    /// The namespace of the request: the only one that is ever believed.
    #[serde(borrow, default, deserialize_with = "text")]
    pub namespace: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub operation: Cow<'a, str>,
    #[serde(borrow, default)]
    pub user_info: UserInfo<'a>,
    #[serde(default)]
    pub object: Option<O>,
    #[serde(default)]
    pub old_object: Option<O>,
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// A group, version and kind.
#[derive(Debug, Default, Deserialize)]
pub struct Kind<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub group: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub version: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "text")]
    pub kind: Cow<'a, str>,
}

impl Kind<'_> {
    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone().into_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// Who sent the request to the API server.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo<'a> {
    #[serde(borrow, default, deserialize_with = "text")]
    pub username: Cow<'a, str>,
}

/// A string; `null` is an empty one, as for a Go server.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let text = Option::<Borrowed<'de>>::deserialize(deserializer)?;
    Ok(text.map(|Borrowed(text)| text).unwrap_or_default())
}

/// Reads a request from a body: its objects in the same go where they have the shape that is expected,
/// which nearly all have, and else each for itself.
pub fn parse(body: &[u8]) -> Result<Request<'_>, NoReview> {
    // Once for all, and not for each string.
    let text = std::str::from_utf8(body)
        .map_err(|error| NoReview::Json(format!("no UTF-8 at byte {}", error.valid_up_to())))?;
    let request = match of_review::<Box<Object<'_>>>(text) {
        Err(NoReview::Json(_)) => of_review::<&RawValue>(text)?.map(Object::read),
        read => read?.map(Ok),
    };
    request.check()?;
    Ok(request)
}

fn of_review<'a, O: Deserialize<'a>>(text: &'a str) -> Result<Request<'a, O>, NoReview> {
    let review: Review<'a, O> = entries::read(text).map_err(|error| match error {
        Unread::Json(error) => NoReview::Json(position(&error)),
        Unread::TooMany => NoReview::TooMany,
    })?;
    if review.api_version != API_VERSION || review.kind != KIND {
        return Err(NoReview::OtherKind);
    }
    review.request.ok_or(NoReview::NoRequest)
}

impl<'a, O> Request<'a, O> {
    fn map<P>(self, read: impl Fn(O) -> P) -> Request<'a, P> {
        Request {
            uid: self.uid,
            kind: self.kind,
            sub_resource: self.sub_resource,
            namespace: self.namespace,
            name: self.name,
            operation: self.operation,
            user_info: self.user_info,
            object: self.object.map(&read),
            old_object: self.old_object.map(&read),
            dry_run: self.dry_run,
        }
    }
}

impl Request<'_> {
    /// Whether an API server could have sent it.
    fn check(&self) -> Result<(), NoReview> {
        if self.uid.is_empty() {
            return Err(NoReview::NoUid);
        }
        let too_long = self.names().into_iter().find(|(_, name)| name.len() > MAX_NAME);
        if let Some((field, _)) = too_long {
            return Err(NoReview::TooLong(field));
        }
        let brought = [&self.object, &self.old_object];
        if brought.into_iter().any(|it| matches!(it, Some(Err(Unread::TooMany)))) {
            return Err(NoReview::TooMany);
        }
        let (Some(shape), Some(Ok(object))) = (Shape::of(&self.kind), &self.object) else {
            return Ok(());
        };
        let (kind, namespace) = (&object.kind, &object.metadata.namespace);
        if !kind.is_empty() && *kind != self.kind.kind {
            return Err(NoReview::Mismatch("kind"));
        }
        if !namespace.is_empty() && *namespace != self.namespace {
            return Err(NoReview::Mismatch("namespace"));
        }
        match Admitted::new(shape, object).texts().nth(MAX_IMAGES) {
            Some(_) => Err(NoReview::TooMany),
            None => Ok(()),
        }
    }

    /// The names of the request by their fields, and not those inside its object.
    fn names(&self) -> [(&'static str, &str); 8] {
        [
            ("uid", &self.uid),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("operation", &self.operation),
            ("subResource", &self.sub_resource),
            ("kind", &self.kind.kind),
            ("kind's group", &self.kind.group),
            ("kind's version", &self.kind.version),
        ]
    }
}

/// Where and what kind; the words of the parser may repeat the body.
fn position(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        serde_json::error::Category::Data => "a field of the wrong type",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "a syntax error",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

/// What is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Why it is refused; `None`: it is allowed.
    pub denied: Option<String>,
    pub warnings: Vec<String>,
    /// A JSON patch (RFC 6902), serialised; `None`: nothing to change.
    pub patch: Option<Vec<u8>>,
    /// For the audit log of the API server.
    pub annotations: Vec<(&'static str, String)>,
}

impl Answer {
    /// Allowed, with nothing to say.
    pub fn allow() -> Self {
        Self::default()
    }

    /// Allowed, with one warning.
    pub fn warn(warning: impl Into<String>) -> Self {
        Self { warnings: vec![warning.into()], ..Self::default() }
    }

    /// The review that carries the answer to the request of that uid.
    pub fn to_bytes(&self, uid: &str) -> Vec<u8> {
        let review = Reply {
            api_version: API_VERSION,
            kind: KIND,
            response: Response {
                uid,
                allowed: self.denied.is_none(),
                status: self.denied.as_deref().map(|message| Status {
                    status: "Failure",
                    message,
                    reason: "Forbidden",
                    code: 403,
                }),
                patch: self.patch.as_ref().map(|patch| STANDARD.encode(patch)),
                patch_type: self.patch.is_some().then_some("JSONPatch"),
                audit_annotations: self
                    .annotations
                    .iter()
                    .map(|(key, value)| (*key, value.as_str()))
                    .collect(),
                warnings: &self.warnings,
            },
        };
        serde_json::to_vec(&review).expect("strings and booleans always serialise")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    audit_annotations: std::collections::BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(request: Value) -> Vec<u8> {
        json!({"apiVersion": API_VERSION, "kind": KIND, "request": request})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_request_is_borrowed() {
        let body =
            body(json!({"uid": "u1", "operation": "CREATE", "namespace": "shop", "dryRun": true,
            "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "object": {"metadata": {"uid": "o1"}}}));
        let request = parse(&body).unwrap();
        assert!(matches!(request.uid, Cow::Borrowed("u1")));
        assert_eq!(request.kind.api_version(), "apps/v1");
        let object = request.object.unwrap().unwrap();
        assert!(matches!(object.metadata.uid, Cow::Borrowed("o1")));
        assert!(request.old_object.is_none() && request.dry_run == Some(true));
    }

    #[test]
    fn an_object_of_another_shape_is_told_apart_from_its_request() {
        let body =
            body(json!({"uid": "u", "operation": "UPDATE", "object": {"spec": {"volumes": 1}},
            "oldObject": {"metadata": {"name": "a"}}}));
        let request = parse(&body).unwrap();
        assert!(request.object.unwrap().is_err());
        assert_eq!(request.old_object.unwrap().unwrap().metadata.name(), "a");
    }

    #[test]
    fn an_object_reads_the_same_in_one_go_and_for_itself() {
        let pod = json!({"containers": [{"name": "a\n", "image": "b"}], "os": null, "nodeSelector": {"c": "d"},
            "imagePullSecrets": null, "volumes": [{"image": {"reference": "e"}}], "unknown": [{}]});
        let jobs = json!({"jobTemplate": {"spec": {"template": {"spec": pod}, "template2": 1}}});
        let owner = json!([{"kind": "ReplicaSet", "controller": true}]);
        for spec in [pod.clone(), json!({"template": {"spec": pod}}), jobs, json!(null)] {
            let object = json!({"metadata": {"ownerReferences": owner}, "spec": spec,
                "template": {"spec": pod}});
            let body = body(json!({"uid": "u", "object": object, "oldObject": object}));
            let text = std::str::from_utf8(&body).unwrap();
            let at_once: Request<'_> = of_review::<Box<Object<'_>>>(text).unwrap().map(Ok);
            let apart = of_review::<&RawValue>(text).unwrap().map(Object::read);
            assert_eq!(format!("{at_once:?}"), format!("{apart:?}"));
        }
    }

    #[test]
    fn too_many_entries_are_refused_beside_an_old_object_of_another_shape_too() {
        let many = vec![json!({}); MAX_ENTRIES + 1];
        let (object, old) = (json!({"spec": {"volumes": many}}), json!({"spec": 1}));
        for (object, old) in [(object.clone(), old.clone()), (old, object)] {
            let body = body(json!({"uid": "u", "oldObject": old, "object": object,
                "kind": {"version": "v1", "kind": "Pod"}}));
            assert!(matches!(parse(&body), Err(NoReview::TooMany)));
        }
    }

    #[test]
    fn nulls_and_unknown_fields_are_no_trouble() {
        let body = body(json!({"uid": "u", "namespace": null, "oldObject": null, "x": {"y": 1},
            "userInfo": {"username": "a", "extra": {"k": ["v"]}}, "options": null}));
        let request = parse(&body).unwrap();
        assert_eq!((&*request.namespace, &*request.user_info.username), ("", "a"));
        assert!(request.old_object.is_none());
    }

    #[test]
    fn b01_what_is_no_review_is_named_without_repeating_it() {
        let secret = br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":7,"password":"hunter2"}}"#;
        let error = parse(secret).unwrap_err().to_string();
        assert!(error.contains("wrong type") && !error.contains("hunter2"), "{error}");
        let other = br#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview"}"#;
        assert_eq!(parse(other).unwrap_err(), NoReview::OtherKind);
        assert_eq!(parse(&body(json!({"uid": ""}))).unwrap_err(), NoReview::NoUid);
        assert!(matches!(parse(b"\x00\xff"), Err(NoReview::Json(_))));
        assert!(matches!(parse(b""), Err(NoReview::Json(_))));
        let deep = [b"{\"request\":".as_slice(), &vec![b'['; 200_000]].concat();
        assert!(matches!(parse(&deep), Err(NoReview::Json(_))));
    }

    #[test]
    fn the_answer_echoes_the_uid_and_carries_a_base64_patch() {
        let answer = Answer { patch: Some(b"[]".to_vec()), ..Answer::warn("careful") };
        let review: Value = serde_json::from_slice(&answer.to_bytes("u\"1")).unwrap();
        let response = json!({"uid": "u\"1", "allowed": true, "patch": "W10=", "patchType": "JSONPatch",
            "warnings": ["careful"]});
        assert_eq!(review, json!({"apiVersion": API_VERSION, "kind": KIND, "response": response}));
        let denied = Answer { denied: Some("no".into()), ..Answer::allow() };
        let review: Value = serde_json::from_slice(&denied.to_bytes("u")).unwrap();
        assert_eq!(review["response"]["status"]["message"], "no");
        assert_eq!(
            (&review["response"]["allowed"], &review["response"]["status"]["code"]),
            (&json!(false), &json!(403))
        );
    }
}
