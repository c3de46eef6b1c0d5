//! `--credentials`: the Pod's, the person's own, or both.

use super::*;
use crate::support::Config;

fn private() -> FakeRegistry {
    registry(Config::basic().user("pod", "right").user("own", "right"))
}

/// What each choice comes to, and who logged in.
fn check(registry: &FakeRegistry, secret: Option<&str>) -> Vec<(String, Vec<String>)> {
    let place = Place::new();
    place.write("home/.docker/config.json", config(registry.host(), "own", "right"));
    place.write("work/pod.yaml", pod(&image(registry), secret));
    let run = |whose: &&str| {
        registry.reset_counts();
        let run = place.run(&["validate", ".", "-o", "json", "--credentials", whose]);
        (run.told(), users(registry))
    };
    ["pod", "own", "any"].iter().map(run).collect()
}

fn row(told: &str, users: &[&str]) -> (String, Vec<String>) {
    (told.to_owned(), users.iter().map(|user| (*user).to_owned()).collect())
}

#[test]
fn a_good_secret_of_the_pod() {
    let registry = private();
    let secret = config(registry.host(), "pod", "right");
    let expected = [
        row("pullable allow", &["pod"]),
        row("pullable allow", &["own"]),
        row("pullable allow", &["pod"]),
    ];
    assert_eq!(check(&registry, Some(&secret)), expected);
}

#[test]
fn a_secret_that_was_not_there_to_be_read() {
    let registry = private();
    let expected = [
        row("finding credentials-missing likely warn", &[]),
        row("pullable allow", &["own"]),
        row("pullable allow", &["own"]),
    ];
    assert_eq!(check(&registry, None), expected);
}

#[test]
fn a_wrong_or_broken_secret_is_not_judged_by_own() {
    let registry = private();
    let wrong = config(registry.host(), "pod", "wrong");
    let rejected = "finding credentials-rejected certain deny";
    let expected =
        [row(rejected, &["pod"]), row("pullable allow", &["own"]), row(rejected, &["pod", "own"])];
    assert_eq!(check(&registry, Some(&wrong)), expected);
    let invalid = "finding secret-invalid certain deny";
    let expected = [row(invalid, &[]), row("pullable allow", &["own"]), row(invalid, &[])];
    assert_eq!(check(&registry, Some("no JSON")), expected);
}

#[test]
fn own_alone_never_claims_what_the_pod_may_do() {
    let place = Place::new();
    let registry = private();
    place.write("work/pod.yaml", pod(&image(&registry), None));
    let arguments = ["validate", ".", "--credentials", "own"];
    let run = place.run(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(run.told(), "finding credentials-missing likely warn");
    let text = place.run(&arguments).stdout;
    assert!(text.contains("the pull secrets of Pod shop/web were not used"), "{text}");
    place.write("home/.docker/config.json", config(registry.host(), "own", "wrong"));
    let run = place.run(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(run.told(), "finding credentials-rejected likely warn");
    place.write("home/.docker/config.json", config(registry.host(), "own", "right"));
    let run = place.run(&[&arguments[..], &["-o", "json"]].concat());
    assert_eq!(run.json()["results"][0]["pulls"], Value::Null);
}

#[test]
fn pod_does_not_even_read_the_persons_files() {
    let (place, registry) = (Place::new(), private());
    place.write("home/.docker/config.json", "no JSON");
    let image = image(&registry);
    let run = place.run(&["validate", "--image", &image, "--credentials", "pod"]);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    assert_eq!(place.run(&["validate", "--image", &image, "--credentials", "all"]).code, 2);
}
