//! Pods and events as `kubectl get -o json` prints them, to what their containers wait for.

use proptest::prelude::*;
use pullproof::diagnosis::Cause;
use pullproof::diagnosis::kubelet::{Event, Stuck, stuck};
use serde_json::{Value, json};

const BACK_OFF: &str = "Back-off pulling image \"r.example/web:1\"";

fn pod(status: Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": "web-1", "namespace": "shop"},
        "spec": {
            "initContainers": [{"name": "init", "image": "r.example/init:1"}],
            "containers": [{"name": "web", "image": "r.example/web:1"}],
            "ephemeralContainers": [{"name": "debug", "image": "r.example/debug:1"}],
            "volumes": [{"name": "model", "image": {"reference": "r.example/model:1"}}],
        },
        "status": status,
    })
}

fn waiting(list: &str, name: &str, reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(json!({"phase": "Pending", list: [{"name": name, "state": state}]}))
}

fn event(path: &str, reason: &str, message: &str, at: &str) -> Event {
    let about = json!({"kind": "Pod", "namespace": "shop", "name": "web-1", "fieldPath": path});
    Event::of(&json!({
        "kind": "Event",
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }))
    .unwrap()
}

fn web(message: &str) -> Value {
    waiting("containerStatuses", "web", "ImagePullBackOff", message)
}

fn only(mut found: Vec<Stuck>) -> Stuck {
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn containers_of_every_list_are_found() {
    for (list, name) in [
        ("initContainerStatuses", "init"),
        ("containerStatuses", "web"),
        ("ephemeralContainerStatuses", "debug"),
    ] {
        let message = format!(
            "Back-off pulling image \"r.example/{name}:1\": ErrImagePull: pull QPS exceeded"
        );
        let found = only(stuck(&waiting(list, name, "ImagePullBackOff", &message), &[]));
        assert_eq!(found.container.as_deref(), Some(name));
        assert_eq!(found.image, Some(format!("r.example/{name}:1")));
        assert_eq!(found.reading.causes, [Cause::PullThrottled]);
    }
}

#[test]
fn containers_that_wait_for_something_else_are_left_out() {
    for reason in
        ["ContainerCreating", "PodInitializing", "CrashLoopBackOff", "CreateContainerError"]
    {
        assert_eq!(stuck(&waiting("containerStatuses", "web", reason, ""), &[]), []);
    }
    assert_eq!(
        stuck(&pod(json!({"containerStatuses": [{"name": "web", "state": {"running": {}}}]})), &[]),
        []
    );
    assert_eq!(stuck(&json!({}), &[]), []);
}

#[test]
fn raw_words_of_a_decoder_as_reason_are_a_broken_secret() {
    for words in [
        "illegal base64 data at input byte 0",
        "unexpected end of JSON input",
        "invalid character 'x' looking for beginning of value",
    ] {
        let found = only(stuck(&waiting("containerStatuses", "web", words, words), &[]));
        assert_eq!(found.reading.causes, [Cause::SecretInvalid], "{words}");
    }
}

#[test]
fn an_image_volume_is_told_by_its_own_image() {
    let message = "Back-off pulling image \"r.example/model:1\": ErrImagePull: failed to resolve image: r.example/model:1: not found";
    let found = only(stuck(&web(message), &[]));
    assert_eq!(found.image.as_deref(), Some("r.example/model:1"));
    assert_eq!(found.container.as_deref(), Some("web"));
}

#[test]
fn an_event_tells_the_cause_where_the_state_does_not() {
    let refused = "Failed to pull image \"r.example/web:1\": dial tcp 10.0.0.1:443: connect: connection refused";
    let absent = "Failed to pull image \"r.example/web:1\": manifest unknown";
    let path = "spec.containers{web}";
    let other = "Failed to pull image \"r.example/init:1\": pull QPS exceeded";
    let events = [
        event("spec.initContainers{init}", "Failed", other, "2026-05-01T10:09:00Z"),
        event(path, "Failed", refused, "2026-05-01T10:01:00Z"),
        event(path, "BackOff", BACK_OFF, "2026-05-01T10:08:00Z"),
        event(path, "Failed", "Error: ImagePullBackOff", "2026-05-01T10:07:00Z"),
        event(path, "Failed", absent, "2026-05-01T10:05:00Z"),
    ];
    assert_eq!(only(stuck(&web(BACK_OFF), &[])).reading.causes, [Cause::Unknown]);
    let found = only(stuck(&web(BACK_OFF), &events));
    assert_eq!(found.reading.cause(), Some(Cause::TagNotFound), "the latest that tells");
    assert_eq!(found.message, absent);
    assert_eq!(found.reason, "ImagePullBackOff");
    let told = format!("{BACK_OFF}: ErrImagePull: context canceled");
    let found = only(stuck(&web(&told), &events));
    assert_eq!(found.reading.causes, [Cause::PullInterrupted], "the state's own word counts first");
}

#[test]
fn an_event_belongs_to_a_container_by_its_text_too() {
    let named = "spec.containers{web}: Failed to pull image \"r.example/web:1\": pull QPS exceeded";
    let by_image = "Failed to pull image \"r.example/web:1\": pull QPS exceeded";
    let foreign = "Failed to pull image \"r.example/other:1\": pull QPS exceeded";
    for (text, cause) in
        [(named, Cause::PullThrottled), (by_image, Cause::PullThrottled), (foreign, Cause::Unknown)]
    {
        let events = [event("", "Failed", text, "2026-05-01T10:00:00Z")];
        assert_eq!(only(stuck(&web(BACK_OFF), &events)).reading.cause(), Some(cause), "{text}");
    }
}

#[test]
fn events_of_the_newer_api_are_read_and_those_of_others_are_not() {
    let of = |about: Value| {
        Event::of(&json!({
            "kind": "Event",
            "regarding": about,
            "reason": "Failed",
            "note": "Failed to pull image \"r.example/web:1\": pull QPS exceeded",
            "series": {"lastObservedTime": "2026-05-01T10:00:00.000000Z"},
        }))
    };
    let about = json!({"kind": "Pod", "namespace": "shop", "name": "web-1", "fieldPath": "spec.containers{web}"});
    let mine = of(about).unwrap();
    assert_eq!(only(stuck(&web(BACK_OFF), &[mine])).reading.causes, [Cause::PullThrottled]);
    let elsewhere = json!({"kind": "Pod", "namespace": "other", "name": "web-1", "fieldPath": "spec.containers{web}"});
    let other = of(elsewhere).unwrap();
    assert_eq!(only(stuck(&web(BACK_OFF), &[other])).reading.causes, [Cause::Unknown]);
    assert!(of(json!({"kind": "Node", "name": "web-1"})).is_none());
    assert!(Event::of(&json!({"kind": "Pod"})).is_none());
}

#[test]
fn a_missing_secret_explains_a_refusal_and_nothing_else() {
    let missing = "Unable to retrieve some image pull secrets (regcred); attempting to pull the image may not succeed.";
    let events = [event("", "FailedToRetrieveImagePullSecret", missing, "2026-05-01T10:00:00Z")];
    let refused = format!("{BACK_OFF}: ErrImagePull: no basic auth credentials");
    let found = only(stuck(&web(&refused), &events)).reading;
    assert_eq!(found.causes[..2], [Cause::SecretMissing, Cause::CredentialsMissing]);
    let absent = format!("{BACK_OFF}: ErrImagePull: manifest unknown");
    let found = only(stuck(&web(&absent), &events)).reading;
    assert_eq!(found.cause(), Some(Cause::TagNotFound));
    assert_eq!(found.note.as_deref(), Some("a pull secret of the Pod was not found"));
}

#[test]
fn a_sandbox_without_its_image_is_told_of_the_pod() {
    let creating = waiting("containerStatuses", "web", "ContainerCreating", "");
    let text = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image \"registry.k8s.io/pause:3.9\": failed to pull image \"registry.k8s.io/pause:3.9\": x509: certificate signed by unknown authority";
    let events = [event("", "FailedCreatePodSandBox", text, "2026-05-01T10:00:00Z")];
    let found = only(stuck(&creating, &events));
    assert_eq!(
        (found.container, found.image.as_deref()),
        (None, Some("registry.k8s.io/pause:3.9"))
    );
    assert_eq!(found.reading.causes, [Cause::SandboxImageFailed, Cause::TlsUntrusted]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn objects_of_any_shape_are_read(
        field in "spec|status|metadata|containerStatuses|state|waiting|image|message",
        wrong in prop_oneof![
            Just(json!(null)), Just(json!(7)), Just(json!([])), Just(json!({})),
            Just(json!(["x", {"name": 3}])), Just(json!("\u{0}x")),
        ],
    ) {
        let mut object = web(BACK_OFF);
        replace(&mut object, &field, &wrong);
        let _ = stuck(&object, &[]);
        let _ = Event::of(&object);
    }
}

fn replace(value: &mut Value, field: &str, by: &Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                if key == field { *value = by.clone() } else { replace(value, field, by) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, field, by)),
        _ => {}
    }
}
