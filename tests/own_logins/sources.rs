//! Where logins are read, and in which order they are tried.

use super::*;
use crate::support::Config;

fn private() -> FakeRegistry {
    registry(Config::basic().user("ci", "right"))
}

/// Every place with a wrong login of its own name.
fn everywhere(place: &Place, host: &str) -> assert_cmd::Command {
    place.write("home/.docker/config.json", config(host, "docker-home", "w"));
    place.write("run/containers/auth.json", config(host, "podman-run", "w"));
    place.write("home/.config/containers/auth.json", config(host, "podman-home", "w"));
    let mut command = place.command();
    command
        .env("DOCKER_AUTH_CONFIG", config(host, "variable", "w"))
        .env("XDG_RUNTIME_DIR", place.path("run"))
        .args(["validate", "-o", "json", "--image", &format!("{host}/team/app:1")]);
    command
}

#[test]
fn every_usual_place_is_read_in_order_and_each_answer_says_from_where() {
    let (place, registry) = (Place::new(), private());
    let run = Run::of(&mut everywhere(&place, registry.host()));
    let order = ["docker-home", "variable", "podman-run", "podman-home"];
    assert_eq!(users(&registry), order, "{}", run.all());
    let evidence = run.json()["results"][0]["evidence"].clone();
    let sources: Vec<&str> =
        (1..5).map(|at| evidence[at]["credential"]["source"].as_str().unwrap()).collect();
    let home = place.path("home");
    assert_eq!(sources[0], format!("docker config {}/.docker/config.json", home.display()));
    assert_eq!(sources[1], "docker config DOCKER_AUTH_CONFIG");
    assert!(sources[2].ends_with("/run/containers/auth.json"), "{sources:?}");
    assert!(sources[3].ends_with("/home/.config/containers/auth.json"), "{sources:?}");
    assert_eq!(run.told(), "finding credentials-rejected certain deny");
}

#[test]
fn docker_config_and_xdg_config_home_move_their_files() {
    let (place, registry) = (Place::new(), private());
    place.write("docker/config.json", config(registry.host(), "docker-env", "w"));
    place.write("xdg/containers/auth.json", config(registry.host(), "xdg", "w"));
    let mut command = everywhere(&place, registry.host());
    command.env("DOCKER_CONFIG", place.path("docker")).env("XDG_CONFIG_HOME", place.path("xdg"));
    Run::of(&mut command);
    assert_eq!(users(&registry), ["docker-env", "variable", "podman-run", "xdg"]);
}

#[test]
fn a_named_file_is_used_alone() {
    let (place, registry) = (Place::new(), private());
    let named = place.write("named.json", config(registry.host(), "named", "w"));
    let flag = place.write("flag.json", config(registry.host(), "flag", "w"));
    Run::of(everywhere(&place, registry.host()).env("REGISTRY_AUTH_FILE", &named));
    assert_eq!(users(&registry), ["named"]);
    registry.reset_counts();
    let mut command = everywhere(&place, registry.host());
    Run::of(command.env("REGISTRY_AUTH_FILE", named).arg("--authfile").arg(flag));
    assert_eq!(users(&registry), ["flag"]);
}

#[test]
fn the_first_login_that_works_ends_the_search() {
    let (place, registry) = (Place::new(), private());
    let mut command = everywhere(&place, registry.host());
    command.env("DOCKER_AUTH_CONFIG", config(registry.host(), "ci", "right"));
    let run = Run::of(&mut command);
    assert_eq!(run.told(), "pullable allow");
    assert_eq!(users(&registry), ["docker-home", "ci"]);
}

#[test]
fn an_unusable_file_is_misuse_when_named_and_a_note_where_it_lies() {
    let (place, registry) = (Place::new(), private());
    let mut command = everywhere(&place, registry.host());
    let broken = place.write("home/.docker/config.json", "{\"auths\": \"CANARY");
    let run = Run::of(command.env("DOCKER_AUTH_CONFIG", config(registry.host(), "ci", "right")));
    assert_eq!(run.told(), "pullable allow");
    let expected = format!("{} is not usable: not valid JSON", broken.display());
    assert!(run.stderr.contains(&expected), "{}", run.stderr);
    assert!(!run.all().contains("CANARY"), "{}", run.all());
    let named = broken.display().to_string();
    let image = image(&registry);
    assert_eq!(place.run(&["validate", "--image", &image, "--authfile", &named]).code, 2);
    assert_eq!(place.run(&["validate", "--image", &image, "--authfile", "no.json"]).code, 2);
    let mut command = place.command();
    command.env("REGISTRY_AUTH_FILE", "no.json").args(["validate", "--image", &image]);
    assert_eq!(Run::of(&mut command).code, 2);
}

#[test]
fn empty_entries_are_passed_over_and_what_is_not_used_is_noted() {
    let (place, registry) = (Place::new(), private());
    let host = registry.host();
    let document = json!({"auths": {
        host: {},
        format!("https://{host}/v1/"): {"auth": "", "email": "me@x"},
        format!("{host}/team"): {"auth": STANDARD.encode("ci:")},
        "other.io": {"registrytoken": "CANARY"},
        "bad.io": {"auth": "CANARY!"},
    }});
    place.write("home/.docker/config.json", document.to_string());
    let run = place.run(&["validate", "-o", "json", "--image", &image(&registry)]);
    assert_eq!(run.json()["results"][0]["evidence"].as_array().unwrap().len(), 1);
    assert_eq!(run.told(), "finding credentials-missing certain deny");
    assert!(users(&registry).is_empty());
    assert!(run.stderr.contains("registrytoken of entry \"other.io\" is not used"));
    assert!(run.stderr.contains("entry \"bad.io\" is skipped: auth is illegal base64"));
    assert!(!run.all().contains("CANARY"), "{}", run.all());
}
