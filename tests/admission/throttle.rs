//! The bound on how much one namespace may ask at once: what is asked already, or known, costs nothing.

use std::time::Duration;

use futures_util::future::join_all;
use pullproof::settings::Registries;
use serde_json::Value;

use super::hook::{Answer, Hook, Setup, image, pod, registry, review, sent_to};
use crate::support::{Config, FakeRegistry};

/// Nearly nothing is refilled while a test runs.
fn bounded(setup: Setup, burst: u32) -> Setup {
    Setup { rate: (1, burst), ..setup }
}

async fn slow() -> FakeRegistry {
    let registry = FakeRegistry::start(Config::open().latency(Duration::from_millis(700))).await;
    registry.push_image("app", "1", "linux/amd64");
    registry
}

async fn at_once(hook: &Hook, path: &str, reviews: Vec<Value>) -> Vec<Answer> {
    join_all(reviews.iter().map(|review| hook.send(path, review))).await
}

fn throttled(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.text().contains("[throttled]")).count()
}

#[tokio::test]
async fn f30_equal_cold_pods_at_once_are_one_question_of_their_namespace() {
    let registry = slow().await;
    let hook = bounded(Setup::of(&[registry.host()]).deny(), 20).start().await;
    let pods = vec![review(pod(&[&image(&registry, "app:1")])); 200];
    let answers = at_once(&hook, "validate?timeout=5s", pods.clone()).await;
    assert_eq!(throttled(&answers), 0);
    assert!(answers.iter().all(|answer| answer.warnings().is_empty()), "{:?}", answers[0]);
    let hook = bounded(Setup::of(&[registry.host()]).pin(), 20).start().await;
    let answers = at_once(&hook, "mutate?timeout=5s", pods).await;
    let pinned = answers.iter().filter(|answer| !answer.patch().is_empty()).count();
    assert_eq!(pinned, 200, "{:?}", answers[0]);
}

#[tokio::test]
async fn f30_what_a_mirror_answered_is_known() {
    let (origin, mirror) = (registry().await, registry().await);
    let text = format!(
        "[registry.\"{}\"]\nplain_http = true\nmirrors = [{{ url = \"{}\" }}]\n",
        origin.host(),
        mirror.url()
    );
    let mut setup = bounded(Setup::default(), 2);
    let mut registries = Registries::parse(&text, std::path::Path::new("registries.toml")).unwrap();
    registries.allow_addresses = setup.settings.registries.allow_addresses;
    setup.settings.registries = registries;
    let hook = setup.start().await;
    for nth in 0..20 {
        let answer = hook.validate(pod(&[&image(&origin, "app:1")])).await;
        assert!(answer.warnings().is_empty(), "{nth}: {answer:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[tokio::test]
async fn f30_a_namespace_that_asks_too_much_is_told_and_another_that_asks_the_same_is_not() {
    let registry = slow().await;
    for nth in 0..40 {
        registry.push_image("app", &format!("v{nth}"), "linux/amd64");
    }
    let hook = bounded(Setup::of(&[registry.host()]).deny(), 10).start().await;
    let images: Vec<_> = (0..40).map(|nth| image(&registry, &format!("app:v{nth}"))).collect();
    let loud = images.iter().map(|image| review(pod(&[image])));
    let quiet = images[20..28].iter().map(|image| sent_to("quiet", review(pod(&[image]))));
    let all: Vec<_> = loud.chain(quiet).collect();
    let answers = at_once(&hook, "validate?timeout=5s", all).await;
    let (loud, quiet) = answers.split_at(40);
    assert!((15..=30).contains(&throttled(loud)), "{}", throttled(loud));
    assert_eq!(throttled(quiet), 0, "{quiet:?}");
    assert!(answers.iter().all(Answer::allowed));
    // What was not asked is not remembered as an answer.
    let later = sent_to("later", review(pod(&[&images[39]])));
    let answer = hook.send("validate?timeout=5s", &later).await;
    assert!(answer.warnings().is_empty(), "{answer:?}");
}
