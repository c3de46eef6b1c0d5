//! Helpers as `validate` runs them: only where they can help, and a failure reaches the reader.

use super::*;
use crate::support::Config;

fn private() -> FakeRegistry {
    registry(Config::basic().user("ci", "right"))
}

fn with_helper(script: &str) -> Place {
    let place = Place::new();
    place.helper("kept", script);
    place.write("home/.docker/config.json", r#"{"credsStore": "kept"}"#);
    place
}

#[test]
fn a_helper_is_run_once_for_all_images_of_a_registry() {
    let (place, registry) = (with_helper(&answer("ci", "right")), private());
    registry.push_image("team/other", "1", "linux/amd64");
    let other = format!("{}/team/other:1", registry.host());
    place.write("work/a.yaml", pod(&image(&registry), None));
    place.write("work/b.yaml", pod(&other, None));
    let run = place.run(&["validate", ".", "-o", "json"]);
    assert_eq!(run.json()["summary"]["pullable"], 2, "{}", run.all());
    assert_eq!(place.asked("kept"), [format!("get {}", registry.host())]);
    assert!(run.stdout.contains("docker-credential-kept of docker config "), "{}", run.stdout);
}

#[test]
fn a_helper_is_not_run_where_nobody_needs_it() {
    let place = with_helper(&answer("ci", "right"));
    let (public, private) = (registry(Config::bearer()), private());
    let login = config(private.host(), "ci", "right");
    place.write("work/public.yaml", pod(&image(&public), None));
    place.write("work/pod.yaml", pod(&image(&private), Some(&login)));
    for arguments in [
        vec!["validate", "."],
        vec!["validate", ".", "--offline"],
        vec!["validate", "pod.yaml", "--credentials", "pod"],
        vec!["images", "."],
    ] {
        let run = place.run(&arguments);
        assert_eq!(run.code, 0, "{}", run.all());
    }
    // Neither where the Pod may not use it, nor where another login would change nothing.
    let (unknown, absent) = (image(&private), format!("{}/team/app:none", public.host()));
    place.run(&["validate", "--image", &unknown, "--credentials", "pod"]);
    place.run(&["validate", "--image", &unknown, "--offline"]);
    place.run(&["validate", "--image", &absent]);
    assert_eq!(place.asked("kept"), [""; 0]);
}

#[test]
fn a_helper_that_a_manifest_names_is_never_run() {
    let (place, registry) = (Place::new(), private());
    place.helper("evil", "true");
    let document = json!({"auths": {}, "credsStore": "evil",
        "credHelpers": {registry.host(): "evil"}});
    place.write("work/pod.yaml", pod(&image(&registry), Some(&document.to_string())));
    place.run(&["validate", "."]);
    let node = place.write("node.json", document.to_string()).display().to_string();
    place.run(&["auth", "check", &image(&registry), "--node-config", &node]);
    assert_eq!(place.asked("evil"), [""; 0]);
}

#[test]
fn a_failed_helper_is_a_note_and_a_remark_and_no_denial() {
    let (place, registry) = (with_helper("echo 'the keychain is locked'; exit 1"), private());
    let image = image(&registry);
    let failure = format!(
        "docker-credential-kept for {} failed (exit status: 1): the keychain is locked",
        registry.host()
    );
    let run = place.run(&["validate", "-o", "json", "--image", &image]);
    let notes = run.json()["notes"].clone();
    assert_eq!(notes.as_array().unwrap().len(), 1, "{notes}");
    assert_eq!(notes[0]["id"], "credential-helper-failed");
    assert!(notes[0]["text"].as_str().unwrap().starts_with(&failure), "{notes}");
    assert!(notes[0]["text"].as_str().unwrap().contains("/home/.docker/config.json"), "{notes}");
    assert_eq!(run.told(), "finding credentials-missing likely warn");
    let text = place.run(&["validate", "--image", &image]).stdout;
    assert!(text.contains(&format!("your own login was not tried: {failure}")), "{text}");
    assert!(text.contains("only a warning, since that login could have been let in"), "{text}");
}

#[test]
fn a_failed_helper_changes_nothing_that_is_known_of_the_pod() {
    let (place, registry) = (with_helper("exit 1"), private());
    let wrong = config(registry.host(), "ci", "wrong");
    place.write("work/pod.yaml", pod(&image(&registry), Some(&wrong)));
    let run = place.run(&["validate", ".", "-o", "json"]);
    assert_eq!(run.told(), "finding credentials-rejected certain deny");
    assert_eq!(run.json()["notes"][0]["id"], "credential-helper-failed");
}

#[test]
fn a_failed_helper_does_not_hide_the_next_source() {
    let (place, registry) = (with_helper("exit 1"), private());
    let mut command = place.command();
    command.env("DOCKER_AUTH_CONFIG", config(registry.host(), "ci", "right"));
    command.args(["validate", "-o", "json", "--image", &image(&registry)]);
    let run = Run::of(&mut command);
    assert_eq!(run.told(), "pullable allow");
    assert_eq!(run.json()["notes"][0]["id"], "credential-helper-failed");
}
