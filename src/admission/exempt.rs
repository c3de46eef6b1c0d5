//! What passes untouched, and which images of an update are new. Nobody's bypass: what a caller could
//! write into an object exempts it only where the API server vouches for the caller.

use std::collections::HashSet;

use super::object::Admitted;
use super::review::Request;
use crate::image::ImageUse;

/// The annotation of the Pods that kubelets report for the static ones on their disk.
const MIRROR: &str = "kubernetes.io/config.mirror";
const KUBELETS: &str = "system:node:";

/// Why a request is answered without a look at its object.
pub fn by_request(request: &Request<'_>) -> Option<&'static str> {
    if !matches!(&*request.operation, "CREATE" | "UPDATE") {
        return Some("operation");
    }
    if !matches!(&*request.sub_resource, "" | "ephemeralcontainers") {
        return Some("subresource");
    }
    request.object.is_none().then_some("no-object")
}

/// Why an object passes untouched.
pub fn by_object(request: &Request<'_>, object: &Admitted<'_>) -> Option<&'static str> {
    let is_update = request.operation == "UPDATE";
    if is_update && !object.metadata.deletion_timestamp.is_empty() {
        return Some("deleted");
    }
    let annotations = object.metadata.annotations.as_ref();
    let is_mirror = object.is_pod() && annotations.is_some_and(|all| all.contains_key(MIRROR));
    (is_mirror && request.user_info.username.starts_with(KUBELETS)).then_some("mirror-pod")
}

/// The uses whose image the old object does not name anywhere.
pub fn changed(mut uses: Vec<ImageUse>, old: Option<&Admitted<'_>>) -> Vec<ImageUse> {
    if let Some(old) = old {
        let known: HashSet<&str> = old.texts().collect();
        uses.retain(|found| !known.contains(found.text.as_str()));
    }
    uses
}
