//! Registries that refuse, and names that lead nowhere.

use super::*;

#[tokio::test]
async fn flw_002_tag_that_does_not_exist() {
    let flow = Flow::new("flw-002", Config::open()).await;
    flow.registry.push_image("ok", "1", "linux/amd64");
    flow.expect(flow.image("ok:none"), "tag-not-found").await;
    assert_eq!(flow.log(), ["HEAD /v2/ok/manifests/none", "GET /v2/ok/tags/list"]);
}

#[tokio::test]
async fn flw_003_repository_that_does_not_exist() {
    let flow = Flow::new("flw-003", Config::open()).await;
    flow.expect(flow.image("norepo:1"), "repository-not-found").await;
    assert_eq!(flow.log(), ["HEAD /v2/norepo/manifests/1", "GET /v2/norepo/tags/list"]);
}

async fn missing_digest(id: &'static str, digest: &str) {
    let flow = Flow::new(id, Config::open()).await;
    flow.registry.push_image("ok", "1", "linux/amd64");
    flow.expect(flow.image(&format!("ok@{digest}")), "digest-not-found").await;
    let head = format!("HEAD /v2/ok/manifests/{digest}");
    assert_eq!(flow.log(), [head.as_str(), "GET /v2/ok/tags/list"]);
}

#[tokio::test]
async fn flw_004_digest_that_does_not_exist() {
    missing_digest("flw-004", &format!("sha256:{}", "0".repeat(64))).await;
}

#[tokio::test]
async fn flw_056_sha512_digest_that_does_not_exist() {
    missing_digest("flw-056", &format!("sha512:{}", "0".repeat(128))).await;
}

#[tokio::test]
async fn flw_010_private_with_the_right_login() {
    let config = Config::bearer().service("svc").user("good", "pw").private("priv-g", &["good"]);
    let flow = Flow::new("flw-010", config).await;
    flow.registry.push_image("priv-g", "1", "linux/amd64");
    flow.expect(flow.image("priv-g:1").login("good", "pw"), "pullable").await;
    let manifest = "HEAD /v2/priv-g/manifests/1";
    assert_eq!(flow.log(), [manifest, "POST /token", manifest]);
    let requests = flow.registry.requests();
    let mut form: Vec<&str> = requests[1].form.split('&').collect();
    form.sort_unstable();
    assert_eq!(
        form.join("&"),
        "client_id=containerd-client&grant_type=password&password=pw&scope=repository%3Apriv-g%3Apull&service=svc&username=good"
    );
    assert!(requests[1].authorization.is_none());
    assert!(requests[2].authorization.as_deref().is_some_and(|a| a.starts_with("Bearer ")));
}

#[tokio::test]
async fn flw_012_anonymous_token_then_insufficient_scope() {
    let config = Config::bearer().service("svc").private("privinsuf", &["good"]);
    let flow = Flow::new("flw-012", config).await;
    flow.registry.push_image("privinsuf", "1", "linux/amd64");
    let asked = flow.expect(flow.image("privinsuf:1"), "absent-or-private").await;
    let manifest = "HEAD /v2/privinsuf/manifests/1";
    let token = "GET /token?scope=repository%3Aprivinsuf%3Apull&service=svc";
    assert_eq!(flow.log(), [manifest, token, manifest]);
    assert!(asked.diagnosis.evidence[0].text.contains("insufficient_scope"), "{asked:?}");
}

#[tokio::test]
async fn flw_014_anonymous_token_then_404_that_hides() {
    let config = Config::bearer().private_with("priv404", &["good"], Denial::NotFound);
    let flow = Flow::new("flw-014", config).await;
    flow.registry.push_image("priv404", "1", "linux/amd64");
    // The tags are hidden as well, so whether it is absent or private stays open.
    flow.expect(flow.image("priv404:1"), "absent-or-private").await;
}

#[tokio::test]
async fn flw_015_token_service_that_takes_no_post() {
    let config = Config::bearer().user("good", "pw").private("privnopost", &["good"]);
    let flow = Flow::new("flw-015", config.service("svc").token_post_answers(404)).await;
    flow.registry.push_image("privnopost", "1", "linux/amd64");
    flow.expect(flow.image("privnopost:1").login("good", "pw"), "pullable").await;
    let manifest = "HEAD /v2/privnopost/manifests/1";
    let token = "GET /token?scope=repository%3Aprivnopost%3Apull&service=svc";
    assert_eq!(flow.log(), [manifest, "POST /token", token, manifest]);
    assert_eq!(flow.registry.requests()[2].basic(), Some(("good".into(), "pw".into())));
}

#[tokio::test]
async fn flw_016_token_service_that_answers_403_to_post() {
    let config = Config::bearer().user("good", "pw").private("privpost403", &["good"]);
    let flow = Flow::new("flw-016", config.token_post_answers(403)).await;
    flow.registry.push_image("privpost403", "1", "linux/amd64");
    flow.expect(flow.image("privpost403:1").login("good", "pw"), "unauthorized").await;
    assert_eq!(flow.log(), ["HEAD /v2/privpost403/manifests/1", "POST /token"]);
}

#[tokio::test]
async fn flw_020_basic_with_an_empty_login() {
    let flow = Flow::new("flw-020", Config::basic().user("good", "pw")).await;
    flow.registry.push_image("basic-e", "1", "linux/amd64");
    flow.expect(flow.image("basic-e:1").login("", ""), "credentials-missing").await;
    assert_eq!(flow.log(), ["HEAD /v2/basic-e/manifests/1"]);
    assert!(flow.registry.requests()[0].authorization.is_none());
}

#[tokio::test]
async fn flw_021_401_without_a_challenge() {
    let flow = Flow::new("flw-021", Config::open()).await;
    flow.registry.fault(Fault::in_repository("nochallenge").challenge(&[]));
    flow.expect(flow.image("nochallenge:1").login("good", "pw"), "bad-answer").await;
    assert_eq!(flow.log(), ["HEAD /v2/nochallenge/manifests/1"]);
}

#[tokio::test]
async fn flw_022_429_always() {
    let flow = Flow::new("flw-022", Config::open()).await;
    flow.registry.fault(Fault::in_repository("r429").answer(429));
    flow.expect(flow.image("r429:1"), "rate-limited").await;
    // A runtime asks five times; once is enough to know.
    assert_eq!(flow.log(), ["HEAD /v2/r429/manifests/1"]);
}

#[tokio::test]
async fn flw_024_403_always_with_an_error_body() {
    let flow = Flow::new("flw-024", Config::open()).await;
    flow.registry.fault(Fault::in_repository("r403").error(403, "DENIED", "blocked by policy"));
    let asked = flow.expect(flow.image("r403:1"), "blocked-by-registry").await;
    assert_eq!(flow.log(), ["HEAD /v2/r403/manifests/1", "GET /v2/r403/manifests/1"]);
    assert!(asked.diagnosis.summary.contains("blocked by policy"), "{asked:?}");
}

#[tokio::test]
async fn flw_044_connection_refused() {
    let asked = image(format!("{}/x:1", closed_port())).of(&client(&settings())).await;
    check("flw-044", &asked, "connection-refused");
}

#[test]
fn flw_045_name_that_is_no_reference() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("pod.yaml");
    std::fs::write(
        &manifest,
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: Bad/Image:1}]}\n",
    )
    .unwrap();
    let run = assert_cmd::Command::cargo_bin("pullproof")
        .unwrap()
        .env_clear()
        .args(["validate", "--offline", "-o", "json"])
        .arg(&manifest)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let result = &report["results"][0];
    assert_eq!((&result["cause"], &result["pulls"]), (&"invalid-reference".into(), &false.into()));
    assert_eq!(recorded("flw-045"), (false, false));
}
