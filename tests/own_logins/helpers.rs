//! Credential helpers one by one: what they answer, how they fail, how often they run.

use std::time::Instant;

use pullproof::credential::helper::What;
use pullproof::credential::own::Own;
use pullproof::credential::{DockerConfig, OwnLogins};
use pullproof::image::Reference;
use pullproof::settings::{Limits, Settings};

use super::*;

fn logins(place: &Place, documents: &[Value]) -> OwnLogins {
    let config = |it: &Value| DockerConfig::own("config.json", it.to_string().as_bytes()).unwrap();
    let settings = Settings {
        own_logins: documents.iter().map(config).collect(),
        helper_folders: vec![place.path("bin")],
        limits: Limits { helper: Duration::from_secs(5), ..Limits::default() },
        ..Settings::default()
    };
    settings.own_logins()
}

fn impatient(place: &Place, document: Value) -> OwnLogins {
    let config = DockerConfig::own("config.json", document.to_string().as_bytes()).unwrap();
    let settings = Settings {
        own_logins: vec![config],
        helper_folders: vec![place.path("bin")],
        limits: Limits { helper: Duration::from_millis(400), ..Limits::default() },
        ..Settings::default()
    };
    settings.own_logins()
}

async fn of(logins: &OwnLogins, image: &str) -> Own {
    logins.of(&Reference::parse(image).unwrap()).await
}

/// Users, sources and keys, with `token` for an identity token.
fn found(own: &Own) -> Vec<String> {
    let of = |it: &pullproof::credential::Candidate| {
        let user = it.credential.user();
        let user = if user.is_empty() { "token" } else { &user };
        format!("{user} {} {}", it.source, it.key)
    };
    own.candidates.iter().map(of).collect()
}

#[tokio::test]
async fn a_helper_is_asked_for_the_server_as_docker_writes_it() {
    let place = Place::new();
    place.helper("good", &answer("ci", "pw"));
    let logins = logins(&place, &[json!({"credsStore": "good"})]);
    let own = of(&logins, "nginx:1").await;
    let source = "docker-credential-good of docker config config.json";
    assert_eq!(found(&own), [format!("ci {source} https://index.docker.io/v1/")]);
    let own = of(&logins, "r.io:5000/team/app:1").await;
    assert_eq!(found(&own), [format!("ci {source} r.io:5000")]);
    assert_eq!(place.asked("good"), ["get https://index.docker.io/v1/", "get r.io:5000"]);
}

#[tokio::test]
async fn a_helper_runs_once_a_registry_however_many_ask() {
    let place = Place::new();
    place.helper("good", &format!("sleep 0.2\n{}", answer("ci", "pw")));
    let document = json!({"credsStore": "good"});
    let logins = logins(&place, &[document.clone(), document]);
    let images: Vec<String> = (0..24).map(|at| format!("r{}.io/app{at}:1", at % 3)).collect();
    let all = images.iter().map(|image| of(&logins, image));
    for own in futures_util::future::join_all(all).await {
        assert_eq!(own.candidates.len(), 2);
    }
    assert_eq!(place.asked("good").len(), 3);
}

#[tokio::test]
async fn cred_helpers_win_over_the_store_and_a_helper_over_the_file() {
    let place = Place::new();
    place.helper("one", &answer("one", "pw"));
    place.helper("store", &answer("store", "pw"));
    place.helper("none", "echo 'credentials not found in native keychain'; exit 1");
    let file = STANDARD.encode("file:pw");
    let document = json!({
        "auths": {"a.io": {"auth": file}, "b.io": {}, "c.io": {"auth": file}, "d.io": {"auth": file},
            "https://index.docker.io/v1/": {"auth": file}},
        "credsStore": "store",
        "credHelpers": {"https://a.io/v1/": "one", "c.io": "none", "d.io": "", "docker.io": "one"},
    });
    let logins = logins(&place, &[document]);
    let mut users = Vec::new();
    for image in ["a.io/x", "b.io/x", "c.io/x", "d.io/x", "e.io/x", "nginx", "a.io.evil.test/x"] {
        let own = of(&logins, image).await;
        assert!(own.failures.is_empty(), "{:?}", own.failures);
        let names = own.candidates.iter().map(|it| it.credential.user().into_owned());
        users.push(names.collect::<Vec<_>>().join(","));
    }
    assert_eq!(users, ["one,file", "store", "file", "file", "store", "one,file", "store"]);
    assert_eq!(place.asked("none"), ["get c.io"]);
}

#[tokio::test]
async fn each_failure_is_named_and_shows_no_secret() {
    let place = Place::new();
    place.helper("huge", "head -c 200000 /dev/zero | tr '\\0' 'x'");
    place.helper("json", "echo '{\"Username\":\"ci\",\"Secret\":\"CANARY\"'");
    place.helper("said", "echo 'no session, run login'; echo trace >&2; exit 1");
    place.helper("echo", "echo \"asked for $server\" >&2; exit 3");
    place.helper("leak", "echo '{\"Secret\":\"CANARY\"}'; echo '{CANARY}' >&2; exit 1");
    place.helper("loud", "head -c 3000000 /dev/zero >&2; printf '\\033[31mred' >&2; exit 1");
    place.helper("silent", "exit 7");
    place.helper("killed", "kill -9 $$");
    for (helper, expected) in [
        ("huge", "answered more than 65536 bytes"),
        ("json", "answered with no JSON object"),
        ("said", "failed (exit status: 1): no session, run login"),
        ("echo", "failed (exit status: 3): asked for r.io"),
        ("leak", "failed (exit status: 1)"),
        ("silent", "failed (exit status: 7)"),
        ("killed", "failed (signal: 9 (SIGKILL))"),
        ("absent", "is not in PATH"),
        ("../bin/x", "is not run: no name of a program"),
    ] {
        let logins = logins(&place, &[json!({"credHelpers": {"r.io": helper}})]);
        let own = of(&logins, "r.io/app:1").await;
        assert!(own.candidates.is_empty());
        let text = own.failures[0].failure.to_string();
        assert_eq!(text, format!("docker-credential-{helper} for r.io {expected}"));
        assert_eq!(logins.failures(), own.failures);
        assert!(!format!("{own:?}").contains("CANARY"));
    }
    let loud = of(&logins(&place, &[json!({"credsStore": "loud"})]), "r.io/app:1").await;
    let text = loud.failures[0].failure.to_string();
    assert!(text.len() < 1000 && !text.contains('\u{1b}') && !text.contains('\0'), "{text}");
}

#[tokio::test]
async fn that_there_is_no_login_is_no_failure() {
    let place = Place::new();
    place.helper("none", "echo 'credentials not found in native keychain'; exit 1");
    place.helper("stderr", "echo 'credentials not found in native keychain' >&2; exit 1");
    place.helper("empty", &answer("", ""));
    for helper in ["none", "stderr", "empty"] {
        let logins = logins(&place, &[json!({"credsStore": helper})]);
        let own = of(&logins, "r.io/app:1").await;
        assert!(own.candidates.is_empty() && own.failures.is_empty(), "{own:?}");
        assert_eq!(place.asked(helper).len(), 1);
    }
}

#[tokio::test]
async fn a_late_helper_is_killed_with_its_children() {
    let place = Place::new();
    let child = place.path("child");
    place.helper("slow", &format!("sleep 600 & echo $! > '{}'; wait", child.display()));
    let logins = impatient(&place, json!({"credsStore": "slow"}));
    let started = Instant::now();
    let own = of(&logins, "r.io/app:1").await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(matches!(own.failures[0].failure.what, What::Late(_)), "{own:?}");
    assert_eq!(
        own.failures[0].failure.to_string(),
        "docker-credential-slow for r.io gave no answer in 400ms"
    );
    let child = fs::read_to_string(child).unwrap();
    // A killed process stays listed until somebody waits for it.
    let is_running = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(['S', 'R', 'D']))
    };
    for _ in 0..100 {
        if !is_running() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {child} is still running");
}

#[tokio::test]
async fn a_helper_that_leaves_its_output_open_is_late() {
    let place = Place::new();
    place.helper("open", &format!("sleep 600 & {}", answer("ci", "pw")));
    let own = of(&impatient(&place, json!({"credsStore": "open"})), "r.io/app:1").await;
    assert!(matches!(own.failures[0].failure.what, What::Late(_)), "{own:?}");
}

#[tokio::test]
async fn secrets_are_in_no_debug_output() {
    let place = Place::new();
    place.helper("good", &answer("ci", "CANARY"));
    let document = json!({
        "auths": {"r.io": {"auth": STANDARD.encode("ci:CANARY"), "identitytoken": "CANARY"}},
        "credsStore": "good",
    });
    let config = DockerConfig::own("config.json", document.to_string().as_bytes()).unwrap();
    let own = of(&logins(&place, &[document]), "r.io/app:1").await;
    assert_eq!(own.candidates.len(), 3);
    let said = format!("{config:#?} {own:#?}");
    assert!(!said.contains("CANARY") && said.contains("good"), "{said}");
}
