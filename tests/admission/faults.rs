//! Trouble of our own and of registries denies nothing, and is over when it is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hook::{Setup, deployment, image, owned_pod, pod, registry, review};
use crate::support::{Fault, closed_port};

#[tokio::test]
async fn the_default_install_admits_everything_with_a_dead_registry_and_says_why() {
    let closed = closed_port();
    let hook = Setup::of(&[&closed]).start().await;
    let image = format!("{closed}/app:1");
    for object in [pod(&[&image]), owned_pod(&image), deployment(&image)] {
        hook.validate(object.clone()).await.warns("could not tell");
        hook.mutate(object).await.silent();
    }
}

/// F61, in seconds: a fault takes the place of the last again and again, under steady reviews.
#[tokio::test]
async fn f61_rotating_faults_deny_nothing_answer_in_time_and_leave_nothing_behind() {
    let registry = registry().await;
    let mut setup = Setup::of(&[registry.host()]).deny();
    let limits = &mut setup.settings.limits;
    limits.present = Duration::from_millis(50);
    limits.unreachable = Duration::from_millis(50);
    limits.unreachable_longest = Duration::from_millis(100);
    limits.breaker_try = Duration::from_millis(200);
    limits.backoff_longest = Duration::from_millis(500);
    limits.pause_shortest = Duration::from_millis(50);
    for nth in 0..20 {
        registry.push_index("app", &format!("t{nth}"), &["linux/amd64".into()]);
    }
    let hook = Arc::new(setup.start().await);
    let any = || Fault::on("*", "*");
    let faults: Vec<Box<dyn Fn() -> Fault>> = vec![
        Box::new(move || any().answer(503)),
        Box::new(move || any().hang()),
        Box::new(move || any().close()),
        Box::new(move || any().retry_after("1")),
        Box::new(move || any().captive_portal()),
        Box::new(move || any().short_body()),
        Box::new(move || any().slow_headers(Duration::from_millis(100))),
        Box::new(move || any().without_header("docker-content-digest")),
        Box::new(move || any().every_other().answer(500)),
        Box::new(move || any().delayed(Duration::from_millis(300))),
    ];
    for (round, fault) in faults.iter().enumerate() {
        registry.clear_faults();
        registry.fault(fault());
        let reviews = (0..30).map(|nth| {
            let image = image(&registry, &format!("app:t{}", nth % 20));
            let hook = Arc::clone(&hook);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(nth * 20)).await;
                let began = Instant::now();
                let answer = hook.send("validate?timeout=2s", &review(pod(&[&image]))).await;
                (answer, began.elapsed())
            })
        });
        for reviewed in futures_util::future::join_all(reviews).await {
            let (answer, took) = reviewed.unwrap();
            assert!(answer.allowed(), "round {round}: {answer:?}");
            assert!(took < Duration::from_millis(1990), "round {round}: {took:?}");
        }
    }
    registry.clear_faults();
    let began = Instant::now();
    loop {
        let answer = hook.validate(pod(&[&image(&registry, "app:t0")])).await;
        if answer.warnings().is_empty() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(hook.metric("pullproof_reviews_in_flight"), 0.0);
    assert_eq!(hook.metric("pullproof_panics_total"), 0.0);
}
