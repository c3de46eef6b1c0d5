//! T08, T29, T47: where a person's login never goes, and what is never taken for one.

use super::*;
use crate::support::{Config, Fault, Trap};

const CANARY: &str = "CANARY-own-77b2";

#[track_caller]
fn is_clean(run: &Run) {
    let basic = STANDARD.encode(format!("ci:{CANARY}"));
    for text in [CANARY, &basic] {
        assert!(!run.all().contains(text), "{}", run.all());
    }
}

#[test]
fn t08_a_login_for_one_host_never_goes_to_another() {
    let place = Place::new();
    let a = registry(Config::basic().user("ci", CANARY));
    let (b, c) = (Trap::start_blocking(), registry(Config::basic().user("ci", CANARY)));
    let (_, port) = a.host().split_once(':').unwrap();
    let entry = json!({"auth": STANDARD.encode(format!("ci:{CANARY}"))});
    let document = json!({"auths": {
        a.host(): entry, "127.0.0.1": entry, "https://index.docker.io/v1/": entry,
        format!("other.test:{port}"): entry,
        format!("{}.other.test", b.host()): entry,
    }});
    place.write("home/.docker/config.json", document.to_string());
    place.helper("a", &answer("ci", CANARY));
    place.write("run/containers/auth.json", json!({"credHelpers": {a.host(): "a"}}).to_string());
    for host in [b.host(), c.host(), a.host()] {
        let mut command = place.command();
        command.env("XDG_RUNTIME_DIR", place.path("run"));
        let image = format!("{host}/team/app:1");
        is_clean(&Run::of(command.args(["validate", "-v", "--image", &image])));
    }
    assert!(b.connections() > 0 && !b.heard(CANARY), "{}", b.text());
    assert!(users(&c).is_empty());
    assert_eq!(users(&a), ["ci"]);
}

#[test]
fn t08_a_login_does_not_follow_a_realm_on_another_host() {
    let place = Place::new();
    let trap = Trap::start_blocking();
    let realm = format!("http://localhost:{}/token", trap.host().split_once(':').unwrap().1);
    let registry = registry(Config::bearer().private("team/app", &["ci"]).realm(&realm));
    for document in [
        config(registry.host(), "ci", CANARY),
        json!({"auths": {registry.host(): {"identitytoken": CANARY}}}).to_string(),
    ] {
        place.write("home/.docker/config.json", document);
        is_clean(&place.run(&["validate", "-v", "--image", &image(&registry)]));
        is_clean(&place.run(&["auth", "check", &image(&registry)]));
    }
    assert!(trap.connections() > 0 && !trap.heard(CANARY), "{}", trap.text());
}

#[tokio::test]
async fn t08_the_login_of_docker_hub_serves_docker_hub_alone() {
    use pullproof::credential::DockerConfig;
    use pullproof::image::Reference;
    use pullproof::settings::Settings;

    let hub = config("https://index.docker.io/v1/", "ci", CANARY);
    let settings = Settings {
        own_logins: vec![DockerConfig::own("config.json", hub.as_bytes()).unwrap()],
        ..Settings::default()
    };
    let logins = settings.own_logins();
    for (image, expected) in [
        ("nginx", 1),
        ("docker.io/acme/app:1", 1),
        ("index.docker.io/acme/app", 1),
        ("localhost/app", 0),
        ("localhost:5000/app", 0),
        ("Foo/app", 0),
        ("index.docker.io.evil.test/app", 0),
    ] {
        let found = logins.of(&Reference::parse(image).unwrap()).await;
        assert_eq!(found.candidates.len(), expected, "{image}");
    }
}

#[test]
fn t29_no_output_shows_a_secret() {
    let place = Place::new();
    let registry = registry(Config::basic().user("ci", "other"));
    place.helper("kept", &answer("ci", CANARY));
    let document = json!({
        "auths": {registry.host(): {"auth": STANDARD.encode(format!("ci:{CANARY}")),
            "identitytoken": CANARY, "registrytoken": CANARY}},
        "credsStore": "kept",
    });
    place.write("home/.docker/config.json", document.to_string());
    place.write("work/pod.yaml", pod(&image(&registry), None));
    for output in ["full", "concise", "json"] {
        let run = place.run(&["validate", ".", "-v", "-o", output]);
        assert!(run.all().contains("docker-credential-kept"), "{}", run.all());
        is_clean(&run);
    }
    for output in ["text", "json"] {
        let run = place.run(&["auth", "check", &image(&registry), "-v", "-o", output]);
        assert!(run.stdout.contains("docker-credential-kept"), "{}", run.all());
        is_clean(&run);
    }
    // A gateway that says back what it was sent, also to the next who asks.
    let echo = format!("bad login Basic {} {CANARY}", STANDARD.encode(format!("ci:{CANARY}")));
    registry.fault(Fault::in_repository("team/app").error(403, "DENIED", &echo));
    let run = place.run(&["auth", "check", &image(&registry), "-o", "json"]);
    assert!(run.stdout.contains("bad login"), "{}", run.all());
    is_clean(&run);
}

#[test]
fn t47_nothing_in_the_checked_folder_is_a_login_a_helper_or_a_setting() {
    let place = Place::new();
    let trap = Trap::start_blocking();
    let realm = format!("http://localhost:{}/token", trap.host().split_once(':').unwrap().1);
    let registry =
        registry(Config::bearer().user("evil", "pw").private("team/app", &["evil"]).realm(&realm));
    place.write("home/.docker/config.json", config(registry.host(), "ci", CANARY));
    let evil = json!({
        "auths": {registry.host(): {"auth": STANDARD.encode("evil:pw")}},
        "credsStore": "evil",
    });
    let evil = evil.to_string();
    for name in [
        "config.json",
        "auth.json",
        ".dockercfg",
        ".docker/config.json",
        "containers/auth.json",
        ".config/containers/auth.json",
    ] {
        place.write(&format!("work/{name}"), &evil);
    }
    let settings = format!(
        "[registry.\"{host}\"]\nplain_http = true\ntoken_realms = [\"{realm}\"]\n\
         mirrors = [{{ url = \"http://{trap}\", credentials = true }}]\n",
        host = registry.host(),
        trap = trap.host()
    );
    for name in [
        "registries.toml",
        "below/pullproof.toml",
        "pullproof/registries.toml",
        ".config/pullproof/registries.toml",
    ] {
        place.write(&format!("work/{name}"), &settings);
    }
    place.helper("evil", "true");
    fs::rename(place.path("bin/docker-credential-evil"), place.path("work/docker-credential-evil"))
        .unwrap();
    place.write("home/.config/containers/auth.json", r#"{"credsStore": "evil"}"#);
    place.write("work/pod.yaml", pod(&image(&registry), None));
    let mut command = place.command();
    command.env("PATH", ".::work:/usr/bin:/bin").args(["validate", ".", "-v"]);
    let run = Run::of(&mut command);
    is_clean(&run);
    assert!(run.stdout.contains("docker-credential-evil for "), "{}", run.all());
    assert!(run.stdout.contains("is not in PATH"), "{}", run.all());
    assert_eq!(place.asked("evil"), [""; 0]);
    assert!(users(&registry).is_empty());
    // The realm is asked, and by nobody in particular.
    assert!(trap.connections() > 0);
    assert!(!trap.heard(CANARY) && !trap.heard("evil"), "{}", trap.text());
}
