//! Short manifests, written as people write them.

#![allow(dead_code, reason = "each including binary uses its own part")]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// A bare Pod with one container.
pub fn pod(name: &str, image: &str) -> String {
    pod_with(name, image, &[])
}

/// A Pod with further lines in its spec, such as `imagePullSecrets: [{name: pull}]`.
pub fn pod_with(name: &str, image: &str, spec: &[&str]) -> String {
    let more: String = spec.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n{more}  \
         containers:\n  - name: main\n    image: {image}\n"
    )
}

/// A Pod that names one pull secret, `pull`.
pub fn pod_with_secret(name: &str, image: &str) -> String {
    pod_with(name, image, &["imagePullSecrets: [{name: pull}]"])
}

/// The text of a docker `config.json` with one login.
pub fn docker_config(registry: &str, user: &str, password: &str) -> String {
    let auth = STANDARD.encode(format!("{user}:{password}"));
    json!({ "auths": { registry: { "auth": auth } } }).to_string()
}

/// The Secret `pull` in namespace `shop` with this document as data.
pub fn secret(document: &str) -> String {
    secret_in("shop", document)
}

pub fn secret_in(namespace: &str, document: &str) -> String {
    let data = STANDARD.encode(document);
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: {namespace}}}\n\
         type: kubernetes.io/dockerconfigjson\ndata:\n  .dockerconfigjson: {data}\n"
    )
}

/// The same, the document in `stringData` as it is.
pub fn secret_in_words(document: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: pull, namespace: shop}}\n\
         type: kubernetes.io/dockerconfigjson\nstringData:\n  .dockerconfigjson: |\n    {document}\n"
    )
}

/// A ServiceAccount in namespace `shop` that brings the Secret `pull`.
pub fn account(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: shop}}\n\
         imagePullSecrets: [{{name: pull}}]\n"
    )
}

/// A ServiceAccount in namespace `shop` that brings nothing.
pub fn bare_account(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: shop}}\n"
    )
}

/// An ImageCheckPolicy named `p` with this spec, in JSON or in one line of YAML.
pub fn policy(spec: &str) -> String {
    format!(
        "apiVersion: pullproof.dev/v1alpha1\nkind: ImageCheckPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
}
