//! `make demo`: the main job on embedded parts. Three registries on loopback are filled with images,
//! `pullproof validate examples/shop` asks them, and its exit code is shown. Needs no network.

#![expect(clippy::print_stdout, reason = "a demo shows something")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::error::Error;

use pullproof::cli::{self, Exit};
use pullproof::diagnosis::Outcome;
use pullproof::manifest::{self, SourceOptions};
use pullproof::pipeline::{Options, Road};
use pullproof::registry::{Guard, Registry};
use pullproof::report::Report;
use pullproof::settings::Settings;
use support::{Config, FakeRegistry, Fault, PlatformSpec};

/// The ports that the manifests in `examples/shop` name; nothing listens on the one between.
const TOKEN_PORT: u16 = 15_000;
const BASIC_PORT: u16 = 15_002;
const LIMITED_PORT: u16 = 15_003;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Without a provider the HTTP client panics when it is first built; a second install is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for port in [TOKEN_PORT, BASIC_PORT, LIMITED_PORT] {
        std::net::TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            format!("the demo's registry needs port {port} on loopback, which is taken: {error}")
        })?;
    }
    let tokens = with_tokens().await;
    let basic = FakeRegistry::start(Config::basic().port(BASIC_PORT).user("auditor", "demo")).await;
    basic.push_image("audit/agent", "1.0", "linux/amd64");
    // On a host of its own, since one that says so is left alone for whatever else it holds.
    let limited = FakeRegistry::start(Config::bearer().port(LIMITED_PORT)).await;
    limited.push_image("limited/notify", "1", "linux/amd64");
    limited.fault(Fault::on("*", "/v2/limited/").answer(429).retry_after("2460"));

    // What an earlier run of the demo saw must not answer for this one.
    let arguments = ["validate", "--no-cache", "examples/shop"];
    println!("$ pullproof {}\n", arguments.join(" "));
    let line = std::iter::once("pullproof").chain(arguments).map(Into::into).collect::<Vec<_>>();
    let exit = tokio::task::spawn_blocking(|| cli::main(line)).await?;
    println!("\nvalidate ended with exit code {} ({})", exit.code(), meaning(exit));
    let count = tokens.count() + basic.count() + limited.count();
    println!("{count} requests reached the registries of the demo\n");
    tell_apart(&through_the_library().await?);
    Ok(())
}

/// The same question through the library, as another door would ask it.
async fn through_the_library() -> Result<Report, Box<dyn Error>> {
    let settings = Settings::default();
    let options = Options::default();
    let registry = Registry::new(&settings, Guard::default());
    let road = Road { settings: &settings, policies: &[], registry: &registry, options: &options };
    let extraction = manifest::extract(&["examples/shop".to_owned()], &SourceOptions::default())?;
    Ok(road.check(extraction, &|_, _| {}).await)
}

/// Which images were good, and which causes the others had.
fn tell_apart(report: &Report) {
    let mut causes = BTreeSet::new();
    println!("good images:");
    for result in &report.results {
        match result.diagnosis.outcome {
            Outcome::Pullable => println!("  {}", result.image),
            // No image, so it is told by its rule.
            _ if result.diagnosis.is_placeholder => {
                causes.extend(result.diagnosis.findings.iter().map(|listed| listed.cause.id()));
            }
            Outcome::Finding { cause, .. } => drop(causes.insert(cause.id())),
            Outcome::Inconclusive { reason } => drop(causes.insert(reason.id())),
        }
    }
    let listed: Vec<&str> = causes.into_iter().collect();
    println!("{} causes for the others: {}", listed.len(), listed.join(", "));
}

/// A registry as most are: tokens for everyone, and private repositories.
async fn with_tokens() -> FakeRegistry {
    let shop = ["cart", "report"].map(|name| format!("shop/{name}"));
    let mut config = Config::bearer()
        .realm("http://localhost:15000/token")
        .port(TOKEN_PORT)
        .user("shop-ci", "demo")
        .user("finance-ci", "demo");
    for repository in &shop {
        config = config.private(repository, &["shop-ci"]);
    }
    let registry = FakeRegistry::start(config.private("finance/ledger", &["finance-ci"])).await;
    let both = [PlatformSpec::from("linux/amd64"), PlatformSpec::from("linux/arm64")];
    for (repository, tags) in [
        ("shop/web", &["1.27.8-alpine", "1.27.9-alpine", "1.27-alpine", "stable"][..]),
        ("shop/migrate", &["2.3.0"]),
        ("shop/proxy", &["1.9"]),
        ("shop/cart", &["3.0.0", "3.1.0"]),
        ("shop/metrics", &["0.4"]),
        ("shop/report", &["5"]),
        ("finance/ledger", &["12"]),
        ("shop/logger", &["4"]),
        ("shop/toolbox", &["latest"]),
        ("shop/model", &["7"]),
    ] {
        for tag in tags {
            registry.push_index(repository, tag, &both);
        }
    }
    registry.push_index("shop/search", "8.2", &["linux/amd64".into()]);
    registry.push_image("shop/exporter", "1.1", "linux/amd64");
    registry.push_artifact("shop/chart", "0.9.0");
    registry
}

fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Success => "nothing is denied",
        Exit::Denied => "at least one image will not pull",
        Exit::Misuse => "usage, or nothing to check",
        Exit::Fault => "a fault of pullproof",
        Exit::Inconclusive => "an image could not be judged",
    }
}
