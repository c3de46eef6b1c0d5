//! What `/metrics` tells, in names that charts and alerts rely on, without an end to its labels and
//! without a secret.

use std::collections::BTreeSet;

use serde_json::json;

use super::hook::{Setup, image, pod, registry, review, sent_to};
use crate::support::{Config, FakeRegistry, Fault};

/// Every word of the chart that names a metric of the webhook, a histogram's parts as the histogram.
fn of_chart() -> BTreeSet<String> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/pullproof");
    let files = ["files/dashboard.json", "templates/prometheusrule.yaml"];
    let texts = files.map(|file| std::fs::read_to_string(format!("{chart}/{file}")).unwrap());
    let text = texts.join("\n");
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.match_indices("pullproof_")
        .map(|(at, _)| &text[at..])
        .map(|rest| &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())])
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .filter(|name| !OF_CONTROLLER.contains(&name.as_str()))
        .collect()
}

const OF_CONTROLLER: [&str; 1] = ["pullproof_webhook_configuration_drift"];

/// The names in a text of metrics that have at least one value, a histogram's parts as the histogram.
fn valued(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| line.split(['{', ' ']).next());
    let histogram = |name: &str| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end).map(str::to_owned))
    };
    names.map(|name| histogram(name).unwrap_or(name.to_owned())).collect()
}

#[tokio::test]
async fn every_metric_that_the_chart_asks_for_has_a_value() {
    let registry =
        FakeRegistry::start(Config::open().header("ratelimit-remaining", "77;w=21600")).await;
    registry.push_image("app", "1", "linux/amd64");
    let hook = Setup::of(&[registry.host()]).deny().start().await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    hook.validate(pod(&[&image(&registry, "app:gone")])).await.denies("gone");
    let (asked, told) = (of_chart(), hook.metrics());
    let valued = valued(&told);
    assert!(asked.len() >= 12, "{asked:?}");
    let missing: Vec<_> = asked.difference(&valued).collect();
    assert!(missing.is_empty(), "{missing:?} in\n{told}");
    assert!(told.ends_with("# EOF\n"), "{told}");
    let host = registry.host();
    assert_eq!(
        hook.metric(&format!("pullproof_registry_ratelimit_remaining{{registry=\"{host}\"}}")),
        77.0
    );
    assert_eq!(
        hook.metric(&format!("pullproof_cache_total{{result=\"hit\",registry=\"{host}\"}}")),
        1.0
    );
    let requests =
        hook.metric(&format!("pullproof_upstream_requests_total{{registry=\"{host}\"}}"));
    assert_eq!(requests, registry.count() as f64);
    assert_eq!(hook.metric("pullproof_upstream_seconds_count"), requests);
    assert_eq!(hook.metric("pullproof_upstream_seconds_bucket{le=\"+Inf\"}"), requests);
    assert_eq!(hook.metric("pullproof_own_seconds_count"), 3.0);
    assert_eq!(hook.metric("pullproof_reviews_total{endpoint=\"validate\",verdict=\"deny\"}"), 1.0);
    assert_eq!(hook.metric("pullproof_policies{state=\"accepted\"}"), 1.0);
}

#[tokio::test]
async fn waiting_for_a_registry_is_no_time_of_our_own() {
    let registry =
        FakeRegistry::start(Config::open().latency(std::time::Duration::from_millis(400))).await;
    registry.push_image("app", "1", "linux/amd64");
    let hook = Setup::of(&[registry.host()]).start().await;
    hook.validate(pod(&[&image(&registry, "app:1")])).await.silent();
    let (own, all) =
        (hook.metric("pullproof_own_seconds_sum"), hook.metric("pullproof_review_seconds_sum"));
    assert!(all >= 0.4 && own < all / 2.0 && own > 0.0, "{own} of {all}");
}

#[tokio::test]
async fn an_open_breaker_is_told() {
    let registry = registry().await;
    registry.fault(Fault::on("*", "*").answer(503));
    let hook = Setup::of(&[registry.host()]).start().await;
    for nth in 0..8 {
        let _ = hook.validate(pod(&[&image(&registry, &format!("app:{nth}"))])).await;
    }
    let line = format!("pullproof_breaker_open{{registry=\"{}\"}}", registry.host());
    assert_eq!(hook.metric(&line), 1.0, "{}", hook.metrics());
    // But to nobody who sends reviews: what was seen last tells what stands behind an address.
    let answer = hook.validate(pod(&[&image(&registry, "app:9")])).await;
    answer.warns("[no-answer]");
    assert!(!answer.text().contains("503") && !answer.text().contains("last"), "{answer:?}");
}

#[tokio::test]
async fn b46_a_thousand_registries_images_and_namespaces_are_a_few_lines() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()]).start().await;
    let before = hook.metrics().lines().count();
    for round in 0..10 {
        let images: Vec<String> = (0..100)
            .map(|nth| format!("r{round}-{nth}.invalid.example:1/app-{nth}:{nth}"))
            .collect();
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        let review = sent_to(format!("team-{round}"), review(pod(&images)));
        let _ = hook.send("validate?timeout=500ms", &review).await;
    }
    let began = std::time::Instant::now();
    let text = hook.metrics();
    let took = began.elapsed();
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    assert!(text.lines().count() < before + 60, "{text}");
    for word in ["invalid.example", "app-", "team-"] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(text.contains("registry=\"other\""), "{text}");
}

#[tokio::test]
async fn a_denial_and_a_mutation_are_counted_for_what_they_were() {
    let registry = registry().await;
    let hook = Setup::of(&[registry.host()])
        .policy("p", json!({"action": "Deny", "pin": true}))
        .start()
        .await;
    let gone = pod(&[&image(&registry, "app:gone")]);
    hook.mutate(gone.clone()).await.silent();
    hook.validate(gone).await.denies("gone");
    let of = |endpoint: &str, verdict: &str| {
        hook.metric(&format!(
            "pullproof_reviews_total{{endpoint=\"{endpoint}\",verdict=\"{verdict}\"}}"
        ))
    };
    assert_eq!((of("validate", "deny"), of("mutate", "deny")), (1.0, 0.0), "{}", hook.metrics());
}
