//! Pull secrets and ServiceAccounts by name: who may see what, and what a failure means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use pullproof::cluster::Secrets;
use pullproof::credential::Source;
use pullproof::image::usage::{ObjectName, Workload};
use pullproof::logins::Login;
use serde_json::{Value, json};

use super::stub::{ApiServer, Fault, connect};

const CANARY: &str = "canary-password";

fn base64(text: impl AsRef<[u8]>) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A pull secret as the API server gives it.
pub fn secret(registry: &str, password: &str) -> Value {
    let auth = base64(format!("robot:{password}"));
    let config = json!({"auths": {registry: {"auth": auth}}}).to_string();
    docker_config(&config)
}

fn docker_config(config: impl AsRef<[u8]>) -> Value {
    json!({"kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": base64(config)}})
}

fn workload(secrets: &[&str]) -> Workload {
    Workload {
        pull_secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
        ..Workload::default()
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

fn account(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
}

fn users(login: &Login) -> Vec<String> {
    let found = login.keyring.lookup("ghcr.io/acme/web").candidates;
    found.iter().map(|candidate| candidate.credential.user().into_owned()).collect()
}

fn has_password(login: &Login, password: &str) -> bool {
    let found = login.keyring.lookup("ghcr.io/acme/web").candidates;
    found.iter().any(|candidate| candidate.credential.password_bytes() == password.as_bytes())
}

#[tokio::test]
async fn a_pod_pulls_with_the_secrets_it_names() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    let secrets = Secrets::new(&api.cluster().await);
    let login = secrets.login("shop", &workload(&["pull"]), soon()).await;
    assert_eq!(users(&login), ["robot"]);
    assert!(has_password(&login, CANARY));
    assert!(login.known.is_known && login.known.unread.is_empty());
    assert_eq!(api.asked(&account("shop", "default")), 0, "the ServiceAccount does not count");
}

#[tokio::test]
async fn a_pod_without_secrets_pulls_with_those_of_its_account() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    api.put(&account("shop", "robot"), json!({"imagePullSecrets": [{"name": "pull"}, {}]}));
    api.put(&account("shop", "default"), json!({}));
    let secrets = Secrets::new(&api.cluster().await);
    let named = Workload { service_account: Some("robot".into()), ..Workload::default() };
    assert_eq!(users(&*secrets.login("shop", &named, soon()).await), ["robot"]);
    let login = secrets.login("shop", &Workload::default(), soon()).await;
    assert!(users(&login).is_empty() && login.known.is_known);
    // An entry without a name blocks the copy, as for a kubelet.
    let blocked = Workload { pull_secrets: vec![String::new()], ..named };
    let login = secrets.login("shop", &blocked, soon()).await;
    assert!(users(&login).is_empty() && login.known.is_known);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    api.fail("/api", Fault::Delay(Duration::from_millis(300)));
    let secrets = Secrets::new(&api.cluster().await);
    let workload = workload(&["pull"]);
    let many = (0..50).map(|_| secrets.login("shop", &workload, soon()));
    let logins = futures_util::future::join_all(many).await;
    assert!(logins.iter().all(|login| users(login) == ["robot"]));
    assert_eq!(api.asked(&path("shop", "pull")), 1);
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_missing_and_the_others_count() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    let secrets = Secrets::new(&api.cluster().await);
    let login = secrets.login("shop", &workload(&["gone", "pull"]), soon()).await;
    let gone = Source::Secret { namespace: "shop".into(), name: "gone".into() };
    assert_eq!(login.known.missing, [gone]);
    assert!(login.known.is_known && login.known.unread.is_empty());
    assert_eq!(users(&login), ["robot"]);
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_names_the_right_that_is_missing() {
    let api = ApiServer::start().await;
    api.fail("/api/v1/namespaces/shop/secrets", Fault::Status(403));
    let secrets = Secrets::new(&api.cluster().await);
    let login = secrets.login("shop", &workload(&["pull"]), soon()).await;
    assert!(!login.known.is_known && login.known.missing.is_empty());
    assert_eq!(login.known.unread, ["secret pull"]);
    let right = &login.known.rights_missing[0];
    assert!(right.contains("get on secrets in namespace shop"), "{right}");
    assert!(right.contains("\"pull\""), "{right}");
}

#[tokio::test]
async fn an_account_that_may_not_be_read_is_no_account_without_secrets() {
    let api = ApiServer::start().await;
    api.fail("/api/v1/namespaces/shop/serviceaccounts", Fault::Status(403));
    let secrets = Secrets::new(&api.cluster().await);
    let login = secrets.login("shop", &Workload::default(), soon()).await;
    assert!(!login.known.is_known);
    assert_eq!(login.known.unread, ["ServiceAccount default"]);
    assert!(login.known.rights_missing[0].contains("serviceaccounts"));
}

#[tokio::test]
async fn no_answer_is_neither_missing_nor_forbidden() {
    for fault in [Fault::Status(429), Fault::Status(500), Fault::Status(401), Fault::Garbage] {
        let api = ApiServer::start().await;
        api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
        api.fail("/api", fault.clone());
        let secrets = Secrets::new(&api.cluster().await);
        let login = secrets.login("shop", &workload(&["pull"]), soon()).await;
        assert!(!login.known.is_known && login.known.missing.is_empty(), "{fault:?}");
        assert_eq!(login.known.unread, ["secret pull"], "{fault:?}");
        assert!(login.known.rights_missing.is_empty(), "{fault:?}");
        assert!(login.broken.is_none(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_slow_api_server_costs_no_more_than_the_deadline() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    api.fail("/api", Fault::Delay(Duration::from_secs(30)));
    let secrets = Secrets::new(&api.cluster().await);
    let started = Instant::now();
    let deadline = started + Duration::from_millis(500);
    let login = secrets.login("shop", &workload(&["pull", "b", "c"]), deadline).await;
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(login.known.unread.len(), 3);
    // What a hurried caller could not wait for is there for the next.
    api.mend();
    assert_eq!(users(&*secrets.login("shop", &workload(&["pull"]), soon()).await), ["robot"]);
}

#[tokio::test]
async fn a_rotated_secret_is_used_within_seconds_and_a_deleted_one_is_not() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", "old"));
    let secrets = Secrets::new(&api.cluster().await);
    let pod = workload(&["pull"]);
    assert!(has_password(&*secrets.login("shop", &pod, soon()).await, "old"));
    api.put(&path("shop", "pull"), secret("ghcr.io", "new"));
    let rotated = Instant::now();
    while !has_password(&*secrets.login("shop", &pod, soon()).await, "new") {
        assert!(rotated.elapsed() < Duration::from_secs(15), "the old one is still used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(api.asked(&path("shop", "pull")) <= 4, "asked only as often as needed");
    api.remove(&path("shop", "pull"));
    let deleted = Instant::now();
    while secrets.login("shop", &pod, soon()).await.known.missing.is_empty() {
        assert!(deleted.elapsed() < Duration::from_secs(15), "the deleted one is still used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn the_last_good_secret_stands_in_for_an_api_server_that_is_gone() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    let secrets = Secrets::new(&api.cluster().await);
    let pod = workload(&["pull"]);
    assert_eq!(users(&*secrets.login("shop", &pod, soon()).await), ["robot"]);
    api.fail("/api", Fault::Status(503));
    let asked = || api.asked(&path("shop", "pull"));
    let since = Instant::now();
    while asked() < 3 {
        assert!(since.elapsed() < Duration::from_secs(30), "it is not asked again");
        let login = secrets.login("shop", &pod, soon()).await;
        assert_eq!(users(&login), ["robot"], "the last good one");
        assert!(login.known.unread.is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A secret that was never read stays unread.
    let login = secrets.login("shop", &workload(&["other"]), soon()).await;
    assert_eq!(login.known.unread, ["secret other"]);
    // That it is gone, or may no longer be read, is an answer and beats the last good one.
    api.mend();
    api.fail("/api", Fault::Status(403));
    let since = Instant::now();
    while secrets.login("shop", &pod, soon()).await.known.rights_missing.is_empty() {
        assert!(since.elapsed() < Duration::from_secs(15), "the secret is used without the right");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_hung_api_server_leaves_time_for_the_registry_where_a_good_secret_is_known() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "pull"), secret("ghcr.io", "old"));
    let secrets = Secrets::new(&api.cluster().await);
    let pod = workload(&["pull"]);
    assert!(has_password(&*secrets.login("shop", &pod, soon()).await, "old"));
    api.put(&path("shop", "pull"), secret("ghcr.io", "new"));
    api.fail("/api", Fault::Delay(Duration::from_secs(3)));
    // Old enough to be read again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let started = Instant::now();
    assert!(has_password(&*secrets.login("shop", &pod, soon()).await, "old"), "the last good one");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // The slow answer is waited for by nobody, and counts when it comes.
    while !has_password(&*secrets.login("shop", &pod, soon()).await, "new") {
        assert!(started.elapsed() < Duration::from_secs(15), "the old one is still used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_api_server_that_is_not_there_leaves_logins_unread() {
    let api = ApiServer::start().await;
    let host = api.stop().await;
    let secrets = Secrets::new(&connect(&host).await);
    let login = secrets.login("shop", &workload(&["pull"]), soon()).await;
    assert_eq!(login.known.unread, ["secret pull"]);
    let again = ApiServer::start_at(&host).await;
    again.put(&path("shop", "pull"), secret("ghcr.io", CANARY));
    let mut is_back = false;
    for _ in 0..100 {
        is_back = users(&*secrets.login("shop", &workload(&["pull"]), soon()).await) == ["robot"];
        if is_back {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(is_back);
}

#[tokio::test]
async fn no_spelling_in_one_namespace_reads_the_secret_of_another() {
    let api = ApiServer::start().await;
    api.put(&path("bank", "pull"), secret("ghcr.io", CANARY));
    api.put(&account("bank", "robot"), json!({"imagePullSecrets": [{"name": "pull"}]}));
    let secrets = Secrets::new(&api.cluster().await);
    // The victim's own login is in the cache, to be borrowed.
    assert_eq!(users(&*secrets.login("bank", &workload(&["pull"]), soon()).await), ["robot"]);
    let before = api.requests().len();
    for name in [
        "pull",
        "bank/pull",
        "../bank/pull",
        "../../bank/secrets/pull",
        "..%2f..%2fbank%2fsecrets%2fpull",
        "../../../../api/v1/namespaces/bank/secrets/pull",
        "pull?namespace=bank",
        "pull#",
        "/pull",
        "PULL",
        "pull\n",
        "bank\u{0}pull",
        "b\u{e4}nk",
        " pull",
    ] {
        let mut thief = workload(&[name]);
        // What the object's text claims does not count.
        thief.object = ObjectName { namespace: "bank".into(), ..ObjectName::default() };
        let login = secrets.login("shop", &thief, soon()).await;
        assert!(users(&login).is_empty(), "{name:?}");
        let thief = Workload { service_account: Some(name.to_owned()), ..Workload::default() };
        assert!(users(&*secrets.login("shop", &thief, soon()).await).is_empty(), "{name:?}");
    }
    for namespace in
        ["", "bank/", "../bank", "shop/../bank", "bank/secrets/pull/x", "Bank", "bank."]
    {
        let login = secrets.login(namespace, &workload(&["pull"]), soon()).await;
        assert!(users(&login).is_empty(), "{namespace:?}");
    }
    for asked in &api.requests()[before..] {
        assert!(asked.starts_with("/api/v1/namespaces/shop/"), "{asked}");
        assert!(!asked.contains("bank") && !asked.contains(".."), "{asked}");
    }
}

#[tokio::test]
async fn an_account_can_not_lead_to_another_namespace() {
    let api = ApiServer::start().await;
    api.put(&path("bank", "pull"), secret("ghcr.io", CANARY));
    let names = json!([{"name": "../../bank/secrets/pull"}, {"name": "pull", "namespace": "bank"}]);
    api.put(
        &account("shop", "default"),
        json!({"imagePullSecrets": names, "metadata": {"namespace": "bank"}}),
    );
    let secrets = Secrets::new(&api.cluster().await);
    let login = secrets.login("shop", &Workload::default(), soon()).await;
    assert!(users(&login).is_empty());
    assert_eq!(api.asked(&path("bank", "pull")), 0);
}

#[tokio::test]
async fn secrets_are_got_one_by_one_and_never_listed_or_watched() {
    let api = ApiServer::start().await;
    api.put(&path("shop", "a"), secret("ghcr.io", CANARY));
    api.put(
        &account("shop", "default"),
        json!({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}),
    );
    let secrets = Secrets::new(&api.cluster().await);
    secrets.login("shop", &Workload::default(), soon()).await;
    let expected = [account("shop", "default"), path("shop", "a"), path("shop", "b")];
    let mut asked = api.requests();
    asked.sort();
    let mut wanted = expected.to_vec();
    wanted.sort();
    assert_eq!(asked, wanted);
}

#[tokio::test]
async fn what_a_secret_holds_is_told_as_a_kubelet_sees_it_and_never_shown() {
    let api = ApiServer::start().await;
    let cases: [(&str, Value); 8] = [
        ("auth-no-base64", docker_config(json!({"auths": {"ghcr.io": {"auth": format!("{CANARY}!")}}}).to_string())),
        ("no-json", docker_config(format!("{{\"auths\": {CANARY}"))),
        ("no-colon", docker_config(json!({"auths": {"ghcr.io": {"auth": base64(CANARY)}}}).to_string())),
        ("colon", docker_config(json!({"auths": {"ghcr.io": {"auth": base64(format!("robot:{CANARY}:{CANARY}"))}}}).to_string())),
        ("not-utf8", docker_config([b"{\"auths\": \xff\xfe".as_slice(), CANARY.as_bytes()].concat())),
        ("conflict", docker_config(json!({"auths": {"ghcr.io": {"username": "other", "password": CANARY, "auth": base64(format!("robot:{CANARY}"))}}}).to_string())),
        ("identity", docker_config(json!({"auths": {"ghcr.io": {"identitytoken": CANARY}}}).to_string())),
        ("opaque", json!({"type": "Opaque", "data": {".dockerconfigjson": base64(CANARY)}})),
    ];
    for (name, object) in &cases {
        api.put(&path("shop", name), object.clone());
    }
    let secrets = Secrets::new(&api.cluster().await);
    for (name, _) in &cases {
        let login: Arc<Login> = secrets.login("shop", &workload(&[name]), soon()).await;
        assert!(login.known.is_known && login.known.unread.is_empty(), "{name}");
        let is_broken = ["auth-no-base64", "no-json", "no-colon", "not-utf8"].contains(name);
        assert_eq!(login.broken.is_some(), is_broken, "{name}: {:?}", login.broken);
        assert_eq!(login.known.ignored.len(), usize::from(*name == "opaque"), "{name}");
        let shown = format!("{login:?} {secrets:?}");
        assert!(!shown.contains(CANARY) && !shown.contains(&base64(CANARY)), "{name}: {shown}");
    }
}

#[tokio::test]
async fn a_cluster_shows_no_login_and_a_bad_kubeconfig_is_not_repeated() {
    use pullproof::cluster::{Cluster, Options};
    let api = ApiServer::start().await;
    let cluster = api.cluster().await;
    let shown = format!("{cluster:?} {:?}", Secrets::new(&cluster));
    assert!(!shown.contains(super::stub::TOKEN), "{shown}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    for text in [
        format!("users:\n- {{name: a, user: {{token: {CANARY}}}\n"),
        format!("apiVersion: v1\nkind: Config\ncurrent-context: {{{CANARY}: 1}}\n"),
        CANARY.to_owned(),
        String::new(),
    ] {
        std::fs::write(&path, text).unwrap();
        let options = Options { kubeconfig: Some(path.clone()), context: None };
        let error = Cluster::connect(&options).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(shown.contains("kubeconfig"), "{shown}");
    }
    let missing = Options { kubeconfig: Some(folder.path().join("none")), context: None };
    let shown = Cluster::connect(&missing).await.unwrap_err().to_string();
    assert!(shown.contains("none"), "{shown}");
    let options = Options { kubeconfig: Some(api.kubeconfig()), context: Some("nowhere".into()) };
    let shown = Cluster::connect(&options).await.unwrap_err().to_string();
    assert!(shown.contains("nowhere"), "{shown}");
}
