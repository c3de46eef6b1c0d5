//! What a Pod of a cluster knows of itself, for the long-running roles: from the variables that the
//! chart sets by the downward API, else from what every Pod has.

use std::path::Path;

/// Mounted into every Pod that may speak to the API server.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// Longest name of a namespace, and room for a line's end.
const NAMESPACE_BYTES: usize = 65;

/// The namespace of the Pod that we run in: `POD_NAMESPACE`, else the file of its ServiceAccount.
pub fn namespace() -> Option<String> {
    let named = text("POD_NAMESPACE");
    let read = || super::read(Path::new(NAMESPACE_FILE), NAMESPACE_BYTES).ok();
    let name = named.or_else(read)?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

/// The name of the Pod that we run in: `POD_NAME`, else the machine's name, which is the same.
pub fn name() -> Option<String> {
    text("POD_NAME").or_else(|| text("HOSTNAME"))
}

fn text(variable: &str) -> Option<String> {
    super::variable(variable)?.into_os_string().into_string().ok()
}
