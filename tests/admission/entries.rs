//! Reviews of objects with more entries than an API server can store.

use pullproof::admission::entries::MAX_ENTRIES;
use pullproof::admission::review::MAX_IMAGES;
use serde_json::json;

use super::hook::{Hook, Setup, image, pod, registry, review};

async fn status(hook: &Hook, body: String) -> (u16, String) {
    let response = hook.client.post(hook.url("validate")).body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Three bytes of a body become a hundred in memory; eight MiB of them would be a quarter of a GiB.
#[tokio::test]
async fn b06_tiny_entries_are_read_up_to_a_bound_and_refused_beyond() {
    let hook = Setup::default().start().await;
    let many = |entry: &str, count: usize| vec![entry; count].join(",");
    let tiny = many("{}", (7 << 20) / 3);
    for (field, list) in [
        ("containers", tiny.clone()),
        ("volumes", tiny.clone()),
        ("tolerations", tiny.clone()),
        ("imagePullSecrets", tiny.clone()),
        ("containers\":[],\"initContainers", tiny),
    ] {
        let body = review(json!({"kind": "Pod"})).to_string();
        let body = body.replace(
            r#""object":{"kind":"Pod"}"#,
            &format!(r#""object":{{"kind":"Pod","spec":{{"{field}":[{list}]}}}}"#),
        );
        assert!(body.len() > 7 << 20);
        let (status, text) = status(&hook, body).await;
        assert!(status == 400 && text.contains("entries"), "{field}: {status} {text}");
    }
    let terms = json!([{"matchExpressions": [{"key": "a", "values": vec!["b"; MAX_ENTRIES]}]}]);
    let mut object = pod(&["a"]);
    object["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"] = terms;
    assert_eq!(status(&hook, review(object).to_string()).await.0, 400);
}

#[tokio::test]
async fn b11_more_images_than_an_object_can_have_are_refused() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).start().await;
    let name = image(&registry, "app:1");
    let object = |count: usize| review(pod(&vec![&*name; count])).to_string();
    let (most, text) = status(&hook, object(MAX_IMAGES)).await;
    assert!(most == 200 && text.contains("\"allowed\":true"), "{most} {text}");
    let (more, text) = status(&hook, object(MAX_IMAGES + 1)).await;
    assert!(more == 400 && text.contains("images"), "{more} {text}");
}
