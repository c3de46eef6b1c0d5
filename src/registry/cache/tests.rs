use std::process::Command;

use super::*;
use crate::diagnosis::evidence::Auth;

const FACTS: usize = 50_000;

fn key(n: usize) -> ManifestKey {
    ManifestKey {
        registry: "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned(),
        repository: format!("platform/team-{}/service-{n}", n % 97),
        target: format!("v1.{n}.0-20260801.{n:06}"),
        identity: None,
    }
}

fn found(n: usize) -> Reply {
    Reply::Found(Found {
        host: "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned(),
        digest: Digest::parse(&format!("sha256:{n:064x}")).unwrap(),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        pulls_left: None,
        auth: Some(Auth::LoginToken),
    })
}

async fn fill(facts: &Facts, numbers: std::ops::Range<usize>) {
    let limits = Limits::default();
    for n in numbers {
        let fact = Fact::new(found(n), None, None, Instant::now(), &limits);
        facts.manifests.insert(key(n), Arc::new(fact)).await;
    }
    facts.manifests.run_pending_tasks().await;
}

/// Bytes of memory that this process holds.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[tokio::test]
#[ignore = "run by the test below, in a process of its own"]
async fn fifty_thousand_facts_alone() {
    let Some(before) = resident() else { return };
    let facts = Facts::new(&Limits::default());
    fill(&facts, 0..FACTS).await;
    let held = resident().unwrap().saturating_sub(before);
    assert!(facts.manifests.entry_count() as usize > FACTS * 9 / 10);
    assert!(held < 128 << 20, "{} MiB", held >> 20);
    assert!(held > 1 << 20, "nothing was measured");
    let weight = facts.manifests.weighted_size();
    assert!(weight > held * 2 / 3, "{weight} weighed, {held} held: bounds would be too wide");
}

#[test]
fn fifty_thousand_facts_fit_into_128_mib() {
    let this = std::env::current_exe().unwrap();
    let name = "registry::cache::tests::fifty_thousand_facts_alone";
    let run = Command::new(this).args([name, "--exact", "--ignored"]).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
async fn f47_facts_without_end_are_bounded_by_their_bytes() {
    let facts = Facts::new(&Limits::default());
    for thousand in 0..200 {
        fill(&facts, thousand * 1000..(thousand + 1) * 1000).await;
        assert!(facts.manifests.weighted_size() <= FACT_BYTES);
    }
    assert!(facts.manifests.entry_count() > 10_000);
}
