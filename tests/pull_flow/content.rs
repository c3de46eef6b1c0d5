//! Images that are there: how their manifest is found, and what their platforms come to.

use super::*;

#[tokio::test]
async fn flw_001_plain_public_image() {
    let flow = Flow::new("flw-001", Config::open()).await;
    let digest = flow.registry.push_image("ok", "1", "linux/amd64");
    let asked = flow.expect(flow.image("ok:1"), "pullable").await;
    assert_eq!(flow.log(), ["HEAD /v2/ok/manifests/1"]);
    assert_eq!(asked.diagnosis.digest.unwrap().to_string(), digest);
    let accept = flow.registry.requests()[0].accept.join(",");
    for part in ["image.manifest.v1+json", "image.index.v1+json", "list.v2+json", "*/*"] {
        assert!(accept.contains(part), "{accept}");
    }
}

#[tokio::test]
async fn flw_025_head_that_answers_405() {
    let flow = Flow::new("flw-025", Config::open()).await;
    let digest = flow.registry.push_image("nohead", "1", "linux/amd64");
    flow.registry.fault(Fault::on("HEAD", "/v2/nohead/manifests/1").answer(405));
    let asked = flow.expect(flow.image("nohead:1"), "pullable").await;
    assert_eq!(flow.log(), ["HEAD /v2/nohead/manifests/1", "GET /v2/nohead/manifests/1"]);
    assert_eq!(asked.diagnosis.digest.unwrap().to_string(), digest);
}

#[tokio::test]
async fn flw_029_no_digest_header() {
    let flow = Flow::new("flw-029", Config::open()).await;
    let digest = flow.registry.push_image("nodigest", "1", "linux/amd64");
    let fault = Fault::in_repository("nodigest").without_header("docker-content-digest");
    flow.registry.fault(fault);
    let asked = flow.expect(flow.image("nodigest:1"), "pullable").await;
    assert_eq!(flow.log(), ["HEAD /v2/nodigest/manifests/1", "GET /v2/nodigest/manifests/1"]);
    assert_eq!(asked.diagnosis.digest.unwrap().to_string(), digest);
}

async fn foreign_platform(id: &'static str, platform: &str) {
    let flow = Flow::new(id, Config::open()).await;
    let digest = flow.registry.push_image("foreign", "1", platform);
    let asked =
        flow.expect(flow.image("foreign:1").platform("linux/amd64"), "platform-wrong").await;
    assert_eq!(asked.diagnosis.runs, Some(false));
    let log = flow.log();
    assert_eq!(log[0], "HEAD /v2/foreign/manifests/1");
    assert_eq!(log[1], format!("GET /v2/foreign/manifests/{digest}"));
    assert!(log[2].starts_with("GET /v2/foreign/blobs/sha256:") && log.len() == 3, "{log:?}");
}

#[tokio::test]
async fn flw_032_plain_manifest_for_arm64_pulls_and_does_not_run() {
    foreign_platform("flw-032", "linux/arm64").await;
}

#[tokio::test]
async fn flw_033_plain_manifest_for_windows_pulls_and_does_not_run() {
    foreign_platform("flw-033", "windows/amd64").await;
}

/// An index asked for linux/amd64; the log without the first HEAD.
async fn index(id: &'static str, entries: &[PlatformSpec], cause: &str) -> (Asked, Vec<String>) {
    let flow = Flow::new(id, Config::open()).await;
    flow.registry.push_index("idx", "1", entries);
    let asked = flow.expect(flow.image("idx:1").platform("linux/amd64"), cause).await;
    let log = flow.log();
    assert_eq!(log[0], "HEAD /v2/idx/manifests/1");
    (asked, log[1..].to_vec())
}

#[tokio::test]
async fn flw_034_index_with_linux_386_only_differs_between_modes() {
    let (_, log) = index("flw-034", &["linux/386".into()], "runtime-unknown").await;
    assert_eq!(log.len(), 1, "{log:?}");
}

#[tokio::test]
async fn flw_035_index_with_linux_arm64_only() {
    let (asked, log) = index("flw-035", &["linux/arm64".into()], "platform-missing").await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(asked.diagnosis.summary.contains("linux/arm64"), "{asked:?}");
}

#[tokio::test]
async fn flw_036_index_with_linux_amd64_v3_only() {
    index("flw-036", &["linux/amd64/v3".into()], "platform-missing").await;
}

#[tokio::test]
async fn flw_039_entry_without_platform_and_config_for_arm64() {
    let entry = PlatformSpec::from("linux/arm64").undeclared();
    let (_, log) = index("flw-039", &[entry], "platform-missing").await;
    // The index, the child's manifest and its config.
    assert_eq!(log.len(), 3, "{log:?}");
}

#[tokio::test]
async fn flw_040_two_entries_without_platform_and_only_the_first_counts() {
    let entries = ["linux/arm64", "linux/amd64"].map(|p| PlatformSpec::from(p).undeclared());
    index("flw-040", &entries, "platform-missing").await;
}

#[tokio::test]
async fn flw_041_entry_says_amd64_and_its_config_arm64() {
    let entry = PlatformSpec::from("linux/amd64").config_says("linux/arm64");
    let (_, log) = index("flw-041", &[entry], "pullable").await;
    assert_eq!(log.len(), 1, "the entry is believed: {log:?}");
}

#[tokio::test]
async fn flw_042_index_in_an_index() {
    let entry = PlatformSpec::nested(&["linux/amd64".into()]);
    let (_, log) = index("flw-042", &[entry], "pullable").await;
    assert_eq!(log.len(), 2, "{log:?}");
}

#[tokio::test]
async fn flw_043_artifact_pulls_and_is_no_container_image() {
    let flow = Flow::new("flw-043", Config::open()).await;
    flow.registry.push_artifact("artifact", "1");
    let ask = flow.image("artifact:1").platform("linux/amd64");
    let asked = flow.expect(ask, "unsupported-manifest").await;
    assert_eq!(asked.diagnosis.runs, Some(false));
}
