//! F61: the program itself under steady reviews, while faults take turns at all of its registries.
//! Five seconds long in the default run; `PULLPROOF_SOAK_SECONDS` names another length, and a run of
//! twenty minutes (1200) stands in for one of eight hours. With `--nocapture` it tells its figures.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;

use super::hook::{Answer, client, pod, registry, review};
use super::process::{Program, plain};
use crate::support::{FakeRegistry, Fault};

/// One review every so often.
const STEP: Duration = Duration::from_millis(20);
/// The API server's time and ours.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tags of each registry that are asked for again and again.
const TAGS: usize = 200;

const POLICY: &str = "apiVersion: pullproof.dev/v1alpha1
kind: ImageCheckPolicy
metadata: {name: strict}
spec: {action: Deny, requirePlatforms: [linux/amd64]}
";

/// What goes wrong in turn, and in between nothing.
fn faults() -> Vec<Option<Fault>> {
    let any = || Fault::on("*", "*");
    let short = Duration::from_millis(100);
    vec![
        None,
        Some(any().answer(503)),
        Some(any().hang()),
        Some(any().close()),
        Some(any().retry_after("1")),
        None,
        Some(any().captive_portal()),
        Some(any().short_body()),
        Some(any().slow_headers(short)),
        Some(any().without_header("docker-content-digest")),
        None,
        Some(any().every_other().answer(500)),
        Some(any().delayed(3 * short)),
        Some(any().reset_mid_body()),
        Some(any().endless_body()),
    ]
}

fn length() -> Duration {
    let named = std::env::var("PULLPROOF_SOAK_SECONDS").ok();
    Duration::from_secs(named.map_or(5, |text| text.parse().expect("a number of seconds")))
}

#[derive(Default)]
struct Seen {
    reviews: usize,
    warned: usize,
    longest: Duration,
}

/// Every image is there, so any denial comes of our own trouble or of a registry's.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "figures for who makes it long")]
async fn f61_a_soak_under_rotating_faults_denies_nothing_and_grows_by_nothing() {
    let length = length();
    let mut registries = Vec::new();
    for _ in 0..5 {
        let registry = registry().await;
        for nth in 0..TAGS {
            registry.push_index("app", &format!("t{nth}"), &["linux/amd64".into()]);
        }
        registries.push(registry);
    }
    let settings = plain(&registries.iter().collect::<Vec<_>>());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("strict.yaml"), POLICY).unwrap();
    let policies = folder.path().to_str().unwrap();
    let program =
        Program::start_with(&settings, &["--policies", policies, "--namespace-rate", "0"]);
    let client = client(&program.authority).build().unwrap();
    let url = format!("https://{}/validate?timeout=5s", program.address);

    let ask = |image: String| asked(client.clone(), url.clone(), image);
    ask(format!("{}/app:1", registries[0].host())).await.0.silent();
    let start = program.usage();
    // Facts of the images that come again fill their place first.
    let mut settled = program.usage();
    let (began, mut seen, mut turn) = (Instant::now(), Seen::default(), 0);
    let faults = faults().len();
    let a_turn = (length / 15).min(Duration::from_secs(60)).max(STEP);
    let mut answers = JoinSet::new();
    let mut tick = tokio::time::interval(STEP);
    while began.elapsed() < length {
        if began.elapsed() >= a_turn * turn {
            rotate(&registries, turn as usize);
            turn += 1;
            if began.elapsed() < length / 3 {
                settled = program.usage();
            }
        }
        tick.tick().await;
        let nth = seen.reviews;
        let registry = &registries[nth % registries.len()];
        // One in eight is new.
        let tag = match nth % 8 {
            0 => format!("n{nth}"),
            _ => format!("t{}", nth / registries.len() % TAGS),
        };
        if nth % 8 == 0 {
            registry.push_index("app", &tag, &["linux/amd64".into()]);
        }
        seen.reviews += 1;
        answers.spawn(ask(format!("{}/app:{tag}", registry.host())));
        while let Some(answered) = answers.try_join_next() {
            seen.take(answered.unwrap());
        }
    }
    while let Some(answered) = answers.join_next().await {
        seen.take(answered.unwrap());
    }
    registries.iter().for_each(FakeRegistry::clear_faults);
    let end = program.usage();
    println!(
        "soak of {} s, {faults} faults, {turn} turns: {} reviews, {} with a warning, none denied; \
         slowest answer {:?} of {TIMEOUT:?}; MiB {} at the start, {} after a third, {} at the end; \
         descriptors {}, {}, {}; threads {}, {}",
        length.as_secs(),
        seen.reviews,
        seen.warned,
        seen.longest,
        start.rss >> 20,
        settled.rss >> 20,
        end.rss >> 20,
        start.descriptors,
        settled.descriptors,
        end.descriptors,
        start.threads,
        end.threads,
    );
    assert!(seen.warned > 0, "no fault was felt");
    assert!(seen.warned < seen.reviews, "nothing was ever known");
    // New images are facts to remember, some 1.5 KiB each; the allocator keeps what a burst took.
    let facts = seen.reviews / 8 * (4 << 10);
    let grown = end.rss.saturating_sub(settled.rss);
    assert!(grown < facts + (24 << 20), "{} MiB more", grown >> 20);
    // Connections that are kept to five registries, and some that hung and are not closed yet.
    assert!(end.descriptors < start.descriptors + 200, "{} descriptors", end.descriptors);
    assert!(end.threads <= start.threads + 8, "{} threads", end.threads);
    let metrics = program.metrics().await;
    assert!(metrics.contains("pullproof_panics_total 0\n"), "{metrics}");
    assert!(metrics.contains("pullproof_reviews_in_flight 0\n"), "{metrics}");
}

async fn asked(client: reqwest::Client, url: String, image: String) -> (Answer, Duration) {
    let (began, review) = (Instant::now(), review(pod(&[&image])));
    let sent = client.post(&url).body(review.to_string()).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let body: Value = sent.json().await.unwrap();
    (Answer::of(body, &review["request"]["uid"]), began.elapsed())
}

/// Each registry suffers something else than its neighbours.
fn rotate(registries: &[FakeRegistry], turn: usize) {
    for (nth, registry) in registries.iter().enumerate() {
        registry.clear_faults();
        registry.reset_counts();
        let mut faults = faults();
        let at = (turn + 3 * nth) % faults.len();
        if let Some(fault) = faults.swap_remove(at) {
            registry.fault(fault);
        }
    }
}

impl Seen {
    fn take(&mut self, (answer, took): (Answer, Duration)) {
        assert!(answer.allowed(), "{answer:?}");
        assert!(took < TIMEOUT, "{took:?}");
        self.warned += usize::from(!answer.warnings().is_empty());
        self.longest = self.longest.max(took);
    }
}
