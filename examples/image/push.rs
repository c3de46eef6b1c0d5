//! Pushes an OCI layout to a registry by plain HTTP and without a login. Blobs that are there already
//! are not sent again.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use super::layout::{INDEX, MANIFEST, blob};
use super::tar;

/// Pushes to `host:port/repository[:tag]`, default tag `latest`; the digest of the index.
pub async fn push(layout: &[u8], destination: &str) -> Result<String> {
    let (host, path) = destination.split_once('/').context("HOST:PORT/REPOSITORY[:TAG]")?;
    let (repository, tag) = path.split_once(':').unwrap_or((path, "latest"));
    let base = Url::parse(&format!("http://{host}/v2/{repository}/"))?;
    let files = tar::files(layout)?.into_iter().collect();
    let registry = Registry { client: Client::new(), base, files };

    let entry = registry.json("index.json")?;
    let digest = text(&entry["manifests"][0], "digest")?;
    let index = registry.json(&blob(digest))?;
    for image in list(&index, "manifests")? {
        let image = text(image, "digest")?;
        let manifest = registry.json(&blob(image))?;
        for descriptor in list(&manifest, "layers")?.iter().chain([&manifest["config"]]) {
            registry.push_blob(text(descriptor, "digest")?).await?;
        }
        registry.push_manifest(image, image, MANIFEST).await?;
    }
    registry.push_manifest(digest, tag, INDEX).await?;
    Ok(digest.to_owned())
}

struct Registry<'a> {
    client: Client,
    base: Url,
    files: BTreeMap<String, &'a [u8]>,
}

impl Registry<'_> {
    fn file(&self, name: &str) -> Result<&[u8]> {
        self.files.get(name).copied().with_context(|| format!("the layout has no {name}"))
    }

    fn json(&self, name: &str) -> Result<Value> {
        serde_json::from_slice(self.file(name)?).with_context(|| format!("{name} is no JSON"))
    }

    async fn push_blob(&self, digest: &str) -> Result<()> {
        let there = self.client.head(self.base.join(&format!("blobs/{digest}"))?).send().await?;
        if there.status().is_success() {
            return Ok(());
        }
        let begun = self.client.post(self.base.join("blobs/uploads/")?).send().await?;
        let begun = accepted(begun).await?;
        let place = begun.headers().get(LOCATION).context("an upload without a place")?;
        let mut place = begun.url().join(place.to_str()?)?;
        place.query_pairs_mut().append_pair("digest", digest);
        let content = self.file(&blob(digest))?.to_vec();
        let sent = self.client.put(place).header(CONTENT_TYPE, "application/octet-stream");
        accepted(sent.body(content).send().await?).await?;
        Ok(())
    }

    async fn push_manifest(&self, digest: &str, name: &str, media_type: &str) -> Result<()> {
        let place = self.base.join(&format!("manifests/{name}"))?;
        let sent = self.client.put(place).header(CONTENT_TYPE, media_type);
        accepted(sent.body(self.file(&blob(digest))?.to_vec()).send().await?).await?;
        Ok(())
    }
}

async fn accepted(answer: Response) -> Result<Response> {
    let (status, url) = (answer.status(), answer.url().clone());
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.text().await.unwrap_or_default();
    bail!("{url} answered {status}: {}", body.trim())
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key].as_str().with_context(|| format!("the layout lacks {key}"))
}

fn list<'v>(value: &'v Value, key: &str) -> Result<&'v Vec<Value>> {
    value[key].as_array().with_context(|| format!("the layout lacks {key}"))
}
