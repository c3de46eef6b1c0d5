//! Mirrors of `registries.toml` and of containerd's `hosts.toml` files: asked in order and then the
//! origin, told which registry they stand for, and no login sent where none may go.

use super::*;
use crate::support::tls::Identity;
use crate::support::{Config, FakeRegistry, Fault, Trap, closed_port};

async fn open() -> FakeRegistry {
    FakeRegistry::start(Config::open()).await
}

/// A client whose `origin` has these mirrors.
fn with_mirrors(origin: &FakeRegistry, mirrors: &[(&str, bool)]) -> Registry {
    let mirrors: Vec<String> = mirrors
        .iter()
        .map(|(url, credentials)| format!("{{ url = \"{url}\", credentials = {credentials} }}"))
        .collect();
    let text = format!(
        "[registry.\"{}\"]\nplain_http = true\nmirrors = [{}]\n",
        origin.host(),
        mirrors.join(", ")
    );
    toml_client(&text, std::path::Path::new("."))
}

/// A client by the text of a `registries.toml` in this folder.
pub fn toml_client(text: &str, folder: &std::path::Path) -> Registry {
    let file = folder.join("registries.toml");
    let registries = pullproof::settings::Registries::parse(text, &file).unwrap();
    client(&Settings { registries, ..settings() })
}

/// A client by the `hosts.toml` of one folder.
pub fn hosts_toml_client(folder: &str, text: &str) -> Registry {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("certs.d").join(folder)).unwrap();
    std::fs::write(root.path().join("certs.d").join(folder).join("hosts.toml"), text).unwrap();
    toml_client("containerd_hosts = \"certs.d\"\n", root.path())
}

fn app(registry: &FakeRegistry) -> Ask {
    image(format!("{}/app:1", registry.host()))
}

/// A token that was issued to nobody is no login.
fn no_login(registry: &FakeRegistry) -> bool {
    registry.requests().iter().all(|it| it.basic().is_none() && it.form.is_empty())
}

#[tokio::test]
async fn what_a_mirror_has_is_found_there_and_the_origin_is_not_asked() {
    let (origin, mirror) = (open().await, open().await);
    mirror.push_image("app", "1", "linux/amd64");
    let client = with_mirrors(&origin, &[(&mirror.url(), false)]);
    let asked = app(&origin).platform("linux/amd64").of(&client).await;
    assert_eq!((asked.id(), asked.pulls()), ("pullable", Some(true)), "{asked:?}");
    assert_eq!(origin.count(), 0);
    let ns = format!("?ns={}", origin.host().replace(':', "%3A"));
    assert!(mirror.log().iter().all(|line| line.ends_with(&ns)), "{:?}", mirror.log());
    assert!(mirror.count() >= 3, "the content comes from there, too: {:?}", mirror.log());
    let text = &asked.diagnosis.evidence[0].text;
    assert!(text.contains(mirror.host()) && text.contains("(a mirror)"), "{text}");
}

#[tokio::test]
async fn a_refusal_of_mirror_and_origin_is_certain_and_read_from_the_origin() {
    let (origin, mirror) = (open().await, open().await);
    origin.push_image("app", "2", "linux/amd64");
    let client = with_mirrors(&origin, &[(&format!("{}/hub", mirror.url()), false)]);
    let asked = app(&origin).of(&client).await;
    assert_eq!((asked.id(), asked.pulls()), ("tag-not-found", Some(false)), "{asked:?}");
    assert!(mirror.log()[0].starts_with("HEAD /hub/v2/app/manifests/1?ns="), "{:?}", mirror.log());
    assert_eq!((mirror.count(), asked.diagnosis.evidence.len()), (1, 2), "{asked:?}");
    assert!(origin.log().iter().all(|line| !line.contains("ns=")), "{:?}", origin.log());
}

#[tokio::test]
async fn a_mirror_in_trouble_leads_to_the_origin_and_makes_findings_likely() {
    let (origin, ill) = (open().await, open().await);
    origin.push_image("app", "2", "linux/amd64");
    ill.fault(Fault::on("*", "*").answer(503));
    for url in [format!("http://{}", closed_port()), ill.url()] {
        let client = with_mirrors(&origin, &[(&url, false)]);
        let asked = app(&origin).of(&client).await;
        assert_eq!((asked.id(), asked.is_likely()), ("tag-not-found", true), "{asked:?}");
        assert!(asked.diagnosis.remarks.join(" ").contains("mirror"), "{asked:?}");
        let there = image(format!("{}/app:2", origin.host())).of(&client).await;
        assert_eq!((there.id(), there.pulls()), ("pullable", Some(true)), "{there:?}");
    }
}

#[tokio::test]
async fn a_mirror_that_hangs_leaves_time_for_the_origin() {
    let (origin, trap) = (open().await, Trap::start().await);
    origin.push_image("app", "1", "linux/amd64");
    let slow = FakeRegistry::start(Config::open().latency(Duration::from_secs(20))).await;
    let mirrors = [(slow.url(), false), (format!("http://{}", trap.host()), false)];
    let mirrors: Vec<(&str, bool)> = mirrors.iter().map(|(url, c)| (url.as_str(), *c)).collect();
    let asked = app(&origin).of(&with_mirrors(&origin, &mirrors)).await;
    assert_eq!(asked.id(), "pullable", "{asked:?}");
}

#[tokio::test]
async fn t04_a_mirror_gets_a_login_only_where_the_settings_say_so() {
    let private = || Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let origin = FakeRegistry::start(private()).await;
    for credentials in [false, true] {
        let mirror = FakeRegistry::start(private()).await;
        mirror.push_image("app", "1", "linux/amd64");
        let client = with_mirrors(&origin, &[(&mirror.url(), credentials)]);
        let ask = app(&origin).login("ci", CANARY).own("me", "CANARY-of-mine");
        let asked = ask.of(&client).await;
        assert_eq!(no_login(&mirror), !credentials, "{:?}", mirror.requests());
        assert_eq!(asked.id() == "pullable", credentials, "{asked:?}");
        // A node may send what was not sent from here.
        assert_eq!(asked.is_likely(), !credentials, "{asked:?}");
    }
}

#[tokio::test]
async fn t04_a_mirrors_realm_on_another_host_sees_no_login() {
    let config = Config::bearer().user("ci", CANARY).private("app", &["ci"]);
    let (origin, mirror) = (open().await, FakeRegistry::start(config.clone()).await);
    let tokens = FakeRegistry::start_token_server(config, &mirror).await;
    mirror.set_realm(&(tokens.url().replace("127.0.0.1", "localhost") + "/token"));
    let client = with_mirrors(&origin, &[(&mirror.url(), true)]);
    let asked = app(&origin).login("ci", CANARY).of(&client).await;
    assert!(no_login(&tokens) && tokens.count() > 0, "{:?}", tokens.requests());
    assert!(asked.is_likely(), "{asked:?}");
}

#[tokio::test]
async fn a_mirror_is_judged_by_the_guard_like_any_host() {
    let (origin, mirror) = (open().await, open().await);
    let text = format!(
        "allow_addresses = [\"{host}\"]\n[registry.\"{host}\"]\nplain_http = true\nmirrors = [{{ url = \"{}\" }}]\n",
        mirror.url(),
        host = origin.host()
    );
    let registries =
        pullproof::settings::Registries::parse(&text, "registries.toml".as_ref()).unwrap();
    let client = client_at(Door::Cluster, &Settings { registries, ..settings() });
    let asked = app(&origin).of(&client).await;
    assert!(asked.is_likely() && mirror.count() == 0 && origin.count() > 0, "{asked:?}");
}

#[tokio::test]
async fn a_pull_only_mirror_is_asked_for_digests_and_not_for_tags() {
    let (mirror, server) = (open().await, open().await);
    let digest = mirror.push_image("app", "1", "linux/amd64");
    server.push_image("app", "1", "linux/amd64");
    let text = format!(
        "server = \"{}\"\n[host.\"{}\"]\ncapabilities = [\"pull\"]\n",
        server.url(),
        mirror.url()
    );
    let client = hosts_toml_client("mirrored.test", &text);
    assert_eq!(image("mirrored.test/app:1").of(&client).await.id(), "pullable");
    assert_eq!((mirror.count(), server.count()), (0, 1));
    let asked = image(format!("mirrored.test/app@{digest}")).of(&client).await;
    assert_eq!(asked.id(), "pullable");
    let path = format!("HEAD /v2/app/manifests/{digest}?ns=mirrored.test");
    assert_eq!((mirror.log(), server.count()), (vec![path], 1));
}

#[tokio::test]
async fn hosts_that_only_hosts_toml_names_get_no_login_and_are_not_judged_for_it() {
    let private = || Config::basic().user("ci", CANARY);
    let (mirror, server) =
        (FakeRegistry::start(private()).await, FakeRegistry::start(private()).await);
    let text = format!("server = \"{}\"\n[host.\"{}\"]\n", server.url(), mirror.url());
    let client = hosts_toml_client("_default", &text);
    let asked = image("mirrored.test/app:1").login("ci", CANARY).of(&client).await;
    assert_eq!((asked.id(), asked.is_inconclusive()), ("realm-not-trusted", true), "{asked:?}");
    assert!(no_login(&mirror) && no_login(&server) && mirror.count() > 0);
    // Who has no login is refused for good.
    let asked = image("mirrored.test/app:1").of(&client).await;
    assert_eq!((asked.id(), asked.pulls()), ("credentials-missing", Some(false)), "{asked:?}");
}

#[tokio::test]
async fn the_images_own_host_gets_its_login_although_hosts_toml_names_it() {
    let server = FakeRegistry::start(Config::basic().user("ci", CANARY)).await;
    server.push_image("app", "1", "linux/amd64");
    let folder = server.host().replace(':', "_") + "_";
    let client = hosts_toml_client(&folder, &format!("server = \"{}\"\n", server.url()));
    assert_eq!(app(&server).login("ci", CANARY).of(&client).await.id(), "pullable");
    assert!(server.log().iter().all(|line| !line.contains("ns=")), "{:?}", server.log());
}

#[tokio::test]
async fn t07_a_certificate_is_unverified_only_where_skip_verify_names_the_host() {
    let identity = Identity::self_signed();
    let mirror = FakeRegistry::start(Config::open().tls(&identity)).await;
    mirror.push_image("app", "1", "linux/amd64");
    let server = FakeRegistry::start(Config::open().tls(&identity)).await;
    server.push_image("other", "1", "linux/amd64");
    let text =
        format!("server = \"{}\"\n[host.\"{}\"]\nskip_verify = true\n", server.url(), mirror.url());
    let client = hosts_toml_client("mirrored.test", &text);
    assert_eq!(image("mirrored.test/app:1").of(&client).await.id(), "pullable");
    let asked = image("mirrored.test/other:1").of(&client).await;
    assert_eq!((asked.id(), server.count()), ("tls-untrusted", 0), "{asked:?}");
    // Nor where it leads.
    mirror.fault(Fault::on("*", "/v2/other/").redirect(&format!("{}/v2/x", server.url())));
    let again = hosts_toml_client("mirrored.test", &text);
    let asked = image("mirrored.test/other:1").of(&again).await;
    assert_eq!((asked.id(), server.count()), ("tls-untrusted", 0), "{asked:?}");
}

#[tokio::test]
async fn a_hosts_toml_without_a_host_that_resolves_leaves_a_tag_unasked_and_a_digest_asked() {
    let mirror = open().await;
    let digest = mirror.push_image("app", "1", "linux/amd64");
    let text = format!(
        "server = \"{url}\"\ncapabilities = [\"pull\"]\n[host.\"{url}\"]\ncapabilities = [\"pull\"]\n",
        url = mirror.url()
    );
    let client = hosts_toml_client("registry.example", &text);
    let tag = image("registry.example/app:1").of(&client).await;
    assert_eq!((tag.id(), tag.is_inconclusive()), ("not-asked", true), "{tag:?}");
    assert!(tag.text().contains("hosts.toml"), "{tag:?}");
    assert_eq!(mirror.count(), 0);
    let by_digest = image(format!("registry.example/app@{digest}")).of(&client).await;
    assert_eq!(by_digest.id(), "pullable", "{by_digest:?}");
}
