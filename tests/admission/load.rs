//! Many at once: equal questions are asked once, other registries and namespaces do not suffer, and
//! memory has an end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::hook::{Hook, Setup, image, pod, registry, review, sent_to};
use super::process::Strict;
use crate::support::{Config, FakeRegistry, Fault};

/// So many reviews at once, over some connections of HTTP/2; their answers and times.
async fn at_once(hook: &Arc<Hook>, reviews: Vec<Value>) -> Vec<(super::hook::Answer, Duration)> {
    let sent = reviews.into_iter().map(|review| {
        let hook = Arc::clone(hook);
        tokio::spawn(async move {
            let began = Instant::now();
            (hook.send("validate?timeout=5s", &review).await, began.elapsed())
        })
    });
    join_all(sent).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn f28_a_thousand_equal_cold_reviews_are_three_requests() {
    let registry = FakeRegistry::start(Config::bearer()).await;
    registry.push_index("app", "1", &["linux/amd64".into()]);
    let hook = Arc::new(Setup::of(&[registry.host()]).start().await);
    let reviews = vec![review(pod(&[&image(&registry, "app:1")])); 1000];
    for (answer, _) in at_once(&hook, reviews).await {
        answer.silent();
    }
    assert_eq!(registry.count(), 3, "{:?}", registry.log());
}

#[tokio::test]
async fn f11_a_registry_that_keeps_failing_is_left_alone_and_answered_for_at_once() {
    const SLOW: Duration = Duration::from_millis(400);
    let (sick, well) = (FakeRegistry::start(Config::open().latency(SLOW)).await, registry().await);
    sick.fault(Fault::on("*", "*").answer(503));
    let hook = Arc::new(Setup::of(&[sick.host(), well.host()]).deny().start().await);
    for nth in 0..20 {
        hook.validate(pod(&[&image(&sick, &format!("app:{nth}"))])).await.warns("could not tell");
    }
    let before = sick.count();
    let reviews =
        (0..300).map(|nth| review(pod(&[&image(&sick, &format!("app:x{nth}"))]))).collect();
    for (answer, _) in at_once(&hook, reviews).await {
        answer.warns("could not tell");
    }
    assert!(sick.count() - before <= 2, "{} requests", sick.count() - before);
    // One after another, since that is what each of them waits; a probe now and then asks it anew.
    let mut took = Vec::new();
    for nth in 0..40 {
        let began = Instant::now();
        hook.validate(pod(&[&image(&sick, &format!("app:y{nth}"))])).await.warns("could not tell");
        took.push(began.elapsed());
    }
    took.sort();
    // Below 5 ms where the machine has nothing else to do and the code is optimised.
    assert!(took[20] < Duration::from_millis(100) && took[35] < SLOW, "{took:?}");
    hook.validate(pod(&[&image(&well, "app:1")])).await.silent();
}

#[tokio::test]
async fn f27_a_registry_that_is_down_for_a_while_costs_no_denial_of_what_was_known() {
    let registry = registry().await;
    let mut setup = Setup::of(&[registry.host()])
        .policy("p", json!({"action": "Deny", "inconclusive": "Deny"}));
    setup.settings.limits.present = Duration::from_millis(100);
    let hook = setup.start().await;
    let known = pod(&[&image(&registry, "app:1")]);
    hook.validate(known.clone()).await.silent();
    registry.fault(Fault::on("*", "*").answer(503));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert!(hook.validate(known.clone()).await.allowed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    registry.clear_faults();
    assert!(hook.validate(known).await.allowed());
}

#[tokio::test]
async fn f29_a_hung_registry_does_not_hold_up_the_others() {
    let (hung, well) = (registry().await, registry().await);
    hung.fault(Fault::on("*", "*").hang());
    for nth in 0..60 {
        well.push_image("app", &format!("{nth}"), "linux/amd64");
    }
    let hook = Arc::new(Setup::of(&[hung.host(), well.host()]).deny().start().await);
    let waiting: Vec<Value> =
        (0..100).map(|nth| review(pod(&[&image(&hung, &format!("app{nth}:1"))]))).collect();
    let background = {
        let hook = Arc::clone(&hook);
        tokio::spawn(async move { at_once(&hook, waiting).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut slowest = Duration::ZERO;
    for nth in 0..60 {
        let began = Instant::now();
        hook.validate(pod(&[&image(&well, &format!("app:{nth}"))])).await.silent();
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    for (answer, took) in background.await.unwrap() {
        assert!(answer.allowed() && took < Duration::from_millis(4990), "{took:?}");
    }
}

/// The time that all but one in a hundred reviews of distinct images of a healthy registry take, at a
/// hundred a second for so many reviews.
async fn p99(strict: &Strict, well: &FakeRegistry, name: &str, reviews: usize) -> Duration {
    for nth in 0..reviews {
        well.push_index("app", &format!("{name}-{nth}"), &["linux/amd64".into()]);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut asked = tokio::task::JoinSet::new();
    for nth in 0..reviews {
        tick.tick().await;
        let (client, url) = (strict.client.clone(), strict.url());
        let body = review(pod(&[&image(well, &format!("app:{name}-{nth}"))])).to_string();
        asked.spawn(async move {
            let began = Instant::now();
            let answer = client.post(url).body(body).send().await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("warnings") && !text.contains("\"allowed\":false"), "{text}");
            began.elapsed()
        });
    }
    let mut took = asked.join_all().await;
    took.sort();
    took[reviews * 99 / 100 - 1]
}

/// A thousand distinct images of a host that hangs come in meanwhile. A hundredth of the reviews is
/// two, so a machine that is busy with something else can spoil any one comparison: the best
/// of three counts, and 40 ms are allowed for what the thousand cost by being read at all. That is a
/// bound, far below what a host that hangs would cost; the ratio is shown by the bench.
#[tokio::test(flavor = "multi_thread")]
async fn f29_a_thousand_images_on_a_hung_host_move_the_p99_of_another_by_milliseconds() {
    const SLACK: Duration = Duration::from_millis(40);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (hung, well) = (registry().await, registry().await);
        hung.fault(Fault::on("*", "*").hang());
        let more = ["--namespace-rate", "0"];
        let strict = Arc::new(Strict::start(&[&hung, &well], &more));
        p99(&strict, &well, "first", 50).await;
        let without = p99(&strict, &well, "without", 200).await;
        let host = hung.host().to_owned();
        let flood = {
            let strict = Arc::clone(&strict);
            tokio::spawn(async move {
                let mut asked = tokio::task::JoinSet::new();
                for nth in 0..100 {
                    let images: Vec<String> =
                        (0..10).map(|more| format!("{host}/app{nth}-{more}:1")).collect();
                    let images: Vec<&str> = images.iter().map(String::as_str).collect();
                    let (strict, object) = (Arc::clone(&strict), pod(&images));
                    asked.spawn(async move { strict.validate(object).await });
                    tokio::time::sleep(Duration::from_millis(15)).await;
                }
                asked.join_all().await
            })
        };
        super::hook::wait(|| hung.count() > 0).await;
        let with = p99(&strict, &well, "with", 200).await;
        let answers = flood.await.unwrap();
        answers.iter().for_each(|answer| answer.warns("could not tell"));
        assert!(hung.count() > 0, "nothing hung");
        seen.push((without, with));
        if with < 2 * without + SLACK {
            return;
        }
    }
    panic!("p99 without and with a host that hangs: {seen:?}");
}

#[tokio::test]
async fn f30_a_namespace_that_floods_is_stopped_and_another_is_served() {
    let registry = registry().await;
    for nth in 0..10 {
        registry.push_image("quiet", &nth.to_string(), "linux/amd64");
    }
    let setup = Setup { rate: (50, 200), ..Setup::of(&[registry.host()]).deny() };
    let hook = Arc::new(setup.start().await);
    let flood = (0..600)
        .map(|nth| sent_to("loud", review(pod(&[&image(&registry, &format!("loud{nth}:1"))]))))
        .collect();
    let flooding = {
        let hook = Arc::clone(&hook);
        tokio::spawn(async move { at_once(&hook, flood).await })
    };
    super::hook::wait(|| hook.metric("pullproof_reviews_in_flight") > 0.0).await;
    let mut took = Vec::new();
    for nth in 0..10 {
        let began = Instant::now();
        hook.validate(pod(&[&image(&registry, &format!("quiet:{nth}"))])).await.silent();
        took.push(began.elapsed());
    }
    took.sort();
    assert!(took[8] < Duration::from_secs(1), "{took:?}");
    let answers = flooding.await.unwrap();
    let is_fair =
        |answer: &super::hook::Answer| answer.allowed() || !answer.text().contains("[throttled]");
    assert!(answers.iter().all(|(answer, _)| is_fair(answer)));
    let stopped =
        answers.iter().filter(|(answer, _)| answer.text().contains("[throttled]")).count();
    assert!(stopped > 100, "{stopped}");
    assert!(registry.count() < 3 * (600 - stopped + 10), "{stopped} of 600 were stopped");
}

fn rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() << 10
}

/// As large as they may be, and more of them than there is room for: the others are told so at once.
#[tokio::test]
async fn b06_many_large_bodies_at_once_are_read_within_bounds() {
    let hook = Arc::new(Setup::default().start().await);
    let mut object = pod(&[]);
    object["metadata"]["annotations"] = json!({"pad": "x".repeat(7 << 20)});
    let body = axum::body::Bytes::from(review(object).to_string());
    let before = rss();
    let sent = (0..30).map(|_| {
        let (hook, body) = (Arc::clone(&hook), body.clone());
        tokio::spawn(async move { hook.post("validate?timeout=30s", body).await.status().as_u16() })
    });
    let peak = tokio::spawn(async {
        let mut peak = 0;
        for _ in 0..100 {
            peak = peak.max(rss());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        peak
    });
    let answered: Vec<u16> = join_all(sent).await.into_iter().map(Result::unwrap).collect();
    assert!(answered.iter().all(|status| matches!(status, 200 | 408 | 503)), "{answered:?}");
    assert!(answered.iter().filter(|status| **status == 200).count() >= 8, "{answered:?}");
    let grown = peak.await.unwrap().saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB", grown >> 20);
    hook.validate(pod(&[])).await.silent();
}
