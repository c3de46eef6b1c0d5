//! The program against Distribution, the registry most others are built on: tags, logins, TLS and
//! platforms, end to end. Run by `cargo test --test registry`; needs the registry's binary and says
//! so where it is missing.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic where they broke")]

#[path = "../examples/image/layout.rs"]
mod layout;
#[path = "cli/manifests.rs"]
mod manifests;
#[path = "../examples/image/push.rs"]
mod push;
#[path = "cli/sandbox.rs"]
mod sandbox;
mod support;
#[path = "../examples/image/tar.rs"]
mod tar;

use serde_json::json;

use manifests::{account, docker_config, pod, pod_with_secret, secret};
use sandbox::{Report, Sandbox};
use support::tls::Authority;
use support::{RealRegistry, Setup};

const USER: &str = "ci";
const PASSWORD: &str = "s3cret";

/// A registry with an image and two indexes, and the digest of the image.
fn filled(setup: Setup) -> (RealRegistry, String) {
    let registry = RealRegistry::start_blocking(setup).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let digest = runtime.block_on(async {
        let both = ["linux/amd64".into(), "linux/arm64".into()];
        registry.push_index("team/both", "1.2.0", &both).await.unwrap();
        registry.push_index("team/arm", "1", &["linux/arm64".into()]).await.unwrap();
        registry.push_image("team/app", "1.4.1", "linux/arm64").await.unwrap();
        registry.push_image("team/app", "1.4.2", "linux/amd64").await.unwrap()
    });
    (registry, digest)
}

fn image(registry: &RealRegistry, name: &str) -> String {
    format!("{}/{name}", registry.host())
}

fn pods(registry: &RealRegistry, names: &[&str]) -> String {
    names.iter().map(|name| pod("p", &image(registry, name))).collect()
}

fn check(manifests: &str, arguments: &[&str]) -> Report {
    Sandbox::with("all.yaml", manifests).validate(arguments)
}

fn login(registry: &RealRegistry, password: &str) -> String {
    secret(&docker_config(registry.host(), USER, password))
}

#[test]
fn tags_digests_and_repositories_that_are_there_and_that_are_not() {
    let (registry, digest) = filled(Setup::open());
    let absent = format!("team/app@sha256:{}", "0".repeat(64));
    let pinned = format!("team/app@{digest}");
    let names = ["team/app:1.4.2", "team/app:1.4.3", "team/nothing:1", &pinned, &absent];
    let report = check(&pods(&registry, &names), &[]);
    let expected = [
        "team/app:1.4.2 pullable allow".to_owned(),
        "team/app:1.4.3 finding tag-not-found certain deny".to_owned(),
        "team/nothing:1 finding repository-not-found certain deny".to_owned(),
        format!("{pinned} pullable allow"),
        format!("{absent} finding digest-not-found certain deny"),
    ];
    assert_eq!(report.told(), expected);
    assert_eq!(report.code, 1);
    assert_eq!(report.of("app:1.4.2")["digest"], json!(digest));
    assert_eq!(report.of("app:1.4.3")["advice"][0], "nearest tags: 1.4.1, 1.4.2");
}

#[test]
fn platforms_of_images_and_indexes() {
    let (registry, _) = filled(Setup::open());
    let manifests =
        pods(&registry, &["team/both:1.2.0", "team/arm:1", "team/app:1.4.1", "team/app:1.4.2"]);
    let report = check(&manifests, &["--platform", "linux/amd64"]);
    let expected = [
        "team/both:1.2.0 pullable allow",
        "team/arm:1 finding platform-missing certain deny",
        "team/app:1.4.1 finding platform-wrong certain deny",
        "team/app:1.4.2 pullable allow",
    ];
    assert_eq!(report.told(), expected);
    assert_eq!(report.of("both:1.2.0")["platforms"], json!(["linux/amd64", "linux/arm64"]));
    let report = check(&manifests, &["--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(report.told()[1], "team/arm:1 finding platform-partial certain warn");
}

#[test]
fn good_bad_and_missing_logins() {
    let (registry, _) = filled(Setup::open().with_login());
    let with_secret = |name: &str| pod_with_secret("p", &image(&registry, name));
    let good = login(&registry, PASSWORD);
    let told = |manifests: String| check(&manifests, &[]).told();
    assert_eq!(told(with_secret("team/app:1.4.2") + &good), ["team/app:1.4.2 pullable allow"]);
    assert_eq!(
        told(with_secret("team/app:9") + &good),
        ["team/app:9 finding tag-not-found certain deny"]
    );
    assert_eq!(
        told(with_secret("team/nothing:9") + &good),
        ["team/nothing:9 finding repository-not-found certain deny"]
    );
    assert_eq!(
        told(with_secret("team/app:1.4.2") + &login(&registry, "wrong")),
        ["team/app:1.4.2 finding credentials-rejected certain deny"]
    );
    // The default ServiceAccount, which is not among the files, may be patched to bring a login.
    assert_eq!(
        told(pods(&registry, &["team/app:1.4.2"])),
        ["team/app:1.4.2 finding credentials-missing likely warn"]
    );
    assert_eq!(
        told(pods(&registry, &["team/app:1.4.2"]) + &account("default") + &good),
        ["team/app:1.4.2 pullable allow"]
    );
    let elsewhere = secret(&docker_config("ghcr.io", USER, PASSWORD));
    assert_eq!(
        told(with_secret("team/app:1.4.2") + &elsewhere),
        ["team/app:1.4.2 finding secret-registry-mismatch certain deny"]
    );
}

#[test]
fn an_own_login_and_platforms_behind_a_login() {
    let (registry, _) = filled(Setup::open().with_login());
    let sandbox = Sandbox::with("all.yaml", pods(&registry, &["team/both:1.2.0", "team/arm:1"]));
    let own = sandbox.write_home("auth.json", docker_config(registry.host(), USER, PASSWORD));
    let report = sandbox.validate(&["--authfile", own.to_str().unwrap(), "--platform=linux/amd64"]);
    let expected =
        ["team/both:1.2.0 pullable allow", "team/arm:1 finding platform-missing certain deny"];
    assert_eq!(report.told(), expected);
}

#[test]
fn a_private_authority_by_the_settings() {
    let authority = Authority::new();
    let (registry, _) = filled(Setup::open().with_login().with_tls(&authority));
    let manifests =
        pod_with_secret("p", &image(&registry, "team/app:1.4.2")) + &login(&registry, PASSWORD);
    let sandbox = Sandbox::with("all.yaml", manifests);
    sandbox.write_home("internal.pem", authority.pem());
    sandbox.write_home("other.pem", Authority::new().pem());
    let told = |ca: &str| {
        let text = format!("[registry.\"{}\"]\nca = \"{ca}\"\n", registry.host());
        let file = sandbox.write_home("registries.toml", text);
        sandbox.validate(&["--registries", file.to_str().unwrap()]).told()
    };
    assert_eq!(told("internal.pem"), ["team/app:1.4.2 pullable allow"]);
    assert_eq!(told("other.pem"), ["team/app:1.4.2 inconclusive tls-untrusted warn"]);
}

#[test]
fn a_plain_answer_to_https_and_the_other_way_round() {
    let (plain, _) = filled(Setup::open());
    let sandbox = Sandbox::with("all.yaml", pods(&plain, &["team/app:1.4.2"]));
    sandbox.write_home("ca.pem", Authority::new().pem());
    let file =
        sandbox.write_home("registries.toml", "[registry.\"127.0.0.1:*\"]\nca = \"ca.pem\"\n");
    let report = sandbox.validate(&["--registries", file.to_str().unwrap()]);
    assert_eq!(report.told(), ["team/app:1.4.2 inconclusive scheme-mismatch warn"]);
    let (tls, _) = filled(Setup::open().with_tls(&Authority::new()));
    let sandbox = Sandbox::with("all.yaml", pods(&tls, &["team/app:1.4.2"]));
    let file =
        sandbox.write_home("registries.toml", "[registry.\"127.0.0.1:*\"]\nplain_http = true\n");
    let report = sandbox.validate(&["--registries", file.to_str().unwrap()]);
    assert_eq!(report.told(), ["team/app:1.4.2 inconclusive scheme-mismatch warn"]);
}

/// What `make image-push` sends is an image that the registry takes and that a node would pull.
#[test]
fn the_projects_own_image_can_be_pushed_and_is_found_pullable() {
    let registry = RealRegistry::start_blocking(Setup::open()).unwrap();
    let platforms = ["amd64", "arm64"].map(|architecture| {
        (("linux".to_owned(), architecture.to_owned()), format!("binary of {architecture}").into())
    });
    let platforms = platforms.into_iter().collect();
    let image = layout::Image { version: "1.2.3", roots: b"roots", platforms: &platforms };
    let (digest, file) = image.layout().unwrap();
    let destination = format!("{}/team/pullproof:1.2.3", registry.host());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The second time the blobs are there already.
    for _ in 0..2 {
        assert_eq!(runtime.block_on(push::push(&file, &destination)).unwrap(), digest);
    }
    let wanted = ["--platform", "linux/amd64,linux/arm64"];
    let report = check(&pods(&registry, &["team/pullproof:1.2.3"]), &wanted);
    assert_eq!(report.told(), ["team/pullproof:1.2.3 pullable allow"]);
    assert_eq!(report.results()[0]["digest"], digest);
}
