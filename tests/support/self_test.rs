//! The test servers tested: each behaves on the wire as its name says.

mod faults;
mod logins;
mod peers;
mod reading;

use super::{FakeRegistry, tls};

/// A client that follows no redirect and trusts the given root, if any.
fn client(ca_pem: Option<&str>) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    match ca_pem {
        Some(pem) => {
            let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
            builder.tls_certs_only([root]).build().unwrap()
        }
        None => builder.build().unwrap(),
    }
}

async fn get(registry: &FakeRegistry, path: &str) -> reqwest::Response {
    client(None).get(format!("{}{path}", registry.url())).send().await.unwrap()
}

async fn head(registry: &FakeRegistry, path: &str) -> reqwest::Response {
    client(None).head(format!("{}{path}", registry.url())).send().await.unwrap()
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn json(response: reqwest::Response) -> serde_json::Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}
