//! `registries.toml`: how hosts are reached, what is never asked, and who may see a login.

use std::time::Duration;

use super::manifests::{bare_account, docker_config, pod, pod_with_secret, secret};
use super::sandbox::{Report, Run, Sandbox};
use crate::support::tls::Authority;
use crate::support::{Config, FakeRegistry, Trap, closed_port};

fn with_image(config: Config) -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("app", "1", "linux/amd64");
    registry
}

fn image(registry: &FakeRegistry) -> String {
    format!("{}/app:1", registry.host())
}

fn validate(sandbox: &Sandbox, settings: &str) -> Report {
    let file = sandbox.write_home("registries.toml", settings);
    sandbox.validate(&["--registries", file.to_str().unwrap()])
}

fn check(manifests: &str, settings: &str) -> Report {
    validate(&Sandbox::with("all.yaml", manifests), settings)
}

#[test]
fn plain_http_is_asked_at_once() {
    let registry = with_image(Config::open());
    let settings = format!("[registry.\"{}\"]\nplain_http = true\n", registry.host());
    assert_eq!(check(&pod("p", &image(&registry)), &settings).told(), ["app:1 pullable allow"]);
    assert_eq!(registry.connections(), 1, "no try with TLS before");
}

#[test]
fn a_private_authority_is_trusted_when_it_is_named_and_only_then() {
    let authority = Authority::new();
    let registry = with_image(Config::open().tls(&authority.valid()));
    let sandbox = Sandbox::with("pod.yaml", pod("p", &image(&registry)));
    sandbox.write_home("ca/internal.pem", authority.pem());
    sandbox.write_home("ca/other.pem", Authority::new().pem());
    let settings = |file: &str| format!("[registry.\"127.0.0.1:*\"]\nca = \"ca/{file}\"\n");
    assert_eq!(validate(&sandbox, &settings("internal.pem")).told(), ["app:1 pullable allow"]);
    assert_eq!(
        validate(&sandbox, &settings("other.pem")).told(),
        ["app:1 inconclusive tls-untrusted warn"]
    );
}

#[test]
fn the_folder_of_the_person_is_read_without_a_flag() {
    let registry = with_image(Config::open());
    let sandbox = Sandbox::with("pod.yaml", pod("p", &image(&registry)));
    sandbox
        .write_home("conf/pullproof/registries.toml", "[registry.\"127.0.0.1:*\"]\nask = false\n");
    let mut command = sandbox.command();
    command.env("XDG_CONFIG_HOME", sandbox.home().join("conf"));
    let report = Run::of(command.args(["validate", ".", "-o", "json"])).report();
    assert_eq!(report.told(), ["app:1 inconclusive not-asked allow"]);
}

#[test]
fn a_host_that_must_not_be_asked_and_a_local_name_are_not() {
    let registry = with_image(Config::open());
    let manifests = pod("p", &image(&registry));
    for settings in [
        "[registry.\"127.0.0.1:*\"]\nask = false\n",
        "local = [\"127.0.0.1:*/app\"]\n",
        "local = [\"127.0.0.1:*/**\"]\n",
    ] {
        let report = check(&manifests, settings);
        assert_eq!(report.told(), ["app:1 inconclusive not-asked allow"], "{settings}");
    }
    assert_eq!(registry.connections(), 0);
    let short = check(&pod("p", "october-web:dev"), "local = [\"october-*\"]\n");
    assert_eq!(short.told(), ["october-web:dev inconclusive not-asked allow"]);
}

#[test]
fn nodes_that_may_log_in_make_a_credential_finding_likely() {
    let registry = with_image(Config::basic());
    let manifests = pod("p", &image(&registry)) + &bare_account("default");
    let told = |known: &str| {
        let settings =
            format!("[registry.\"{}\"]\nnode_credentials = \"{known}\"\n", registry.host());
        check(&manifests, &settings)
    };
    assert_eq!(told("none").told(), ["app:1 finding credentials-missing certain deny"]);
    let likely = told("unknown");
    assert_eq!(likely.told(), ["app:1 finding credentials-missing likely warn"]);
    assert_eq!(likely.code, 0);
}

#[test]
fn a_mirror_that_cannot_be_asked_makes_every_finding_likely() {
    let registry = with_image(Config::open());
    let settings = format!(
        "[registry.\"{}\"]\nmirrors = [{{ url = \"http://{}\" }}]\n",
        registry.host(),
        closed_port()
    );
    let report = check(&pod("p", &format!("{}/app:2", registry.host())), &settings);
    assert_eq!(report.told(), ["app:2 finding tag-not-found likely warn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_to_a_foreign_realm_only_when_the_settings_trust_it() {
    let config = Config::bearer().user("ci", "right").private("app", &["ci"]);
    let registry = FakeRegistry::start_blocking(config.clone());
    registry.push_image("app", "1", "linux/amd64");
    let tokens = FakeRegistry::start_token_server(config, &registry).await;
    // The same machine under another name is another host.
    let realm = tokens.url().replace("127.0.0.1", "localhost") + "/token";
    registry.set_realm(&realm);
    let document = docker_config(registry.host(), "ci", "right");
    let manifests = pod_with_secret("p", &image(&registry)) + &secret(&document);
    let untrusted = check(&manifests, "");
    assert_eq!(untrusted.told(), ["app:1 inconclusive realm-not-trusted warn"]);
    assert!(tokens.requests().iter().all(|it| it.authorization.is_none() && it.form.is_empty()));
    let settings = format!("[registry.\"{}\"]\ntoken_realms = [\"{realm}\"]\n", registry.host());
    assert_eq!(check(&manifests, &settings).told(), ["app:1 pullable allow"]);
}

#[test]
fn no_more_requests_are_in_flight_than_the_settings_allow() {
    let registry = FakeRegistry::start_blocking(Config::open().latency(Duration::from_millis(30)));
    let mut manifests = String::new();
    for name in 0..12 {
        registry.push_image(&format!("app{name}"), "1", "linux/amd64");
        manifests += &pod("p", &format!("{}/app{name}:1", registry.host()));
    }
    let settings = |most: usize| {
        format!(
            "[registry.\"{}\"]\nplain_http = true\nrequests_in_flight = {most}\n",
            registry.host()
        )
    };
    assert_eq!(check(&manifests, &settings(2)).told().len(), 12);
    assert_eq!(registry.peak_in_flight(), 2);
    registry.reset_counts();
    check(&manifests, &settings(8));
    assert!((3..=8).contains(&registry.peak_in_flight()), "{}", registry.peak_in_flight());
}

#[test]
fn settings_that_are_wrong_are_misuse_and_name_the_place() {
    let sandbox = Sandbox::with("pod.yaml", pod("p", "nginx"));
    for (text, words) in [
        ("plain_http = true\n", "plain_http"),
        ("[registry.\"r.io\"]\nplain_htp = true\n", "plain_htp"),
        ("[registry.\"https://r.io\"]\n", "host as images write it"),
        ("[registry.\"r.io\"]\nca = \"nowhere.pem\"\n", "nowhere.pem"),
        (
            "[registry.\"r.io\"]\nplain_http = true\nca = \"registries.toml\"\n",
            "exclude each other",
        ),
        ("[registry.\"r.io\"]\nca = \"registries.toml\"\n", "no PEM certificate"),
        ("[registry.\"r.io\"]\nrequests_in_flight = 0\n", "at least 1"),
        ("[registry.\"r.io\"]\nnode_credentials = \"some\"\n", "unknown variant"),
        ("[registry.\"r.io\"]\ntoken_realms = [\"sso\"]\n", "token_realms"),
        ("allow_addresses = [\"here\"]\n", "allow_addresses"),
        ("[registry\n", "registries.toml is not usable"),
    ] {
        let file = sandbox.write_home("registries.toml", text);
        let run = sandbox
            .run(["validate", ".", "--offline", "--registries", file.to_str().unwrap()])
            .exits(2);
        assert!(run.stderr.contains(words), "{words}: {run:?}");
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn t47_files_of_the_repository_that_is_checked_say_nothing_about_transport() {
    let registry = with_image(Config::bearer().user("ci", "right").private("app", &["ci"]));
    let trap = Trap::start_blocking();
    registry
        .set_realm(&format!("http://localhost:{}/token", trap.host().rsplit(':').next().unwrap()));
    let hostile = format!(
        "[registry.\"127.0.0.1:*\"]\nplain_http = true\ntoken_realms = [\"http://localhost\"]\n\
         mirrors = [{{ url = \"http://{}\", credentials = true }}]\n",
        trap.host()
    );
    let manifests = pod("p", &image(&registry)) + &pod("q", &format!("{}/app:1", trap.host()));
    let sandbox = Sandbox::with("pods.yaml", manifests);
    for name in [
        "registries.toml",
        "pullproof/registries.toml",
        ".config/pullproof/registries.toml",
        "below/pullproof.toml",
        ".pullproof.toml",
    ] {
        sandbox.write(name, &hostile);
    }
    for name in [".docker/config.json", "config.json", "auth.json"] {
        sandbox.write(name, docker_config(trap.host(), "ci", "stolen"));
    }
    let own = sandbox.write_home("own.json", docker_config(registry.host(), "ci", "right"));
    let report = sandbox.validate(&["--authfile", own.to_str().unwrap()]);
    assert!(report.told().iter().all(|line| !line.contains("pullable")), "{:?}", report.told());
    assert!(trap.connections() > 0);
    let received = String::from_utf8_lossy(&trap.received()).to_lowercase();
    assert!(!received.contains("authorization") && !received.contains("right"), "{received}");
}

#[test]
fn f29_a_thousand_images_on_a_host_that_hangs_hold_up_no_image_of_another() {
    let (hung, well) = (with_image(Config::open()), with_image(Config::open()));
    hung.fault(crate::support::Fault::on("*", "*").hang());
    let mut pods = String::new();
    for n in 0..1000 {
        pods += &pod("hung", &format!("{}/aaa/app:{n}", hung.host()));
    }
    for n in 0..300 {
        well.push_image("zzz/app", &n.to_string(), "linux/amd64");
        pods += &pod("well", &format!("{}/zzz/app:{n}", well.host()));
    }
    let sandbox = Sandbox::with("all.yaml", pods);
    let host = |host: &str| format!("[registry.\"{host}\"]\nplain_http = true\n");
    let settings = host(hung.host()) + &host(well.host());
    let began = std::time::Instant::now();
    let report = std::thread::scope(|scope| {
        let run = scope.spawn(|| validate(&sandbox, &settings));
        while well.count() < 300 && began.elapsed() < Duration::from_secs(12) {
            std::thread::sleep(Duration::from_millis(50));
        }
        // The host that hangs is given twenty seconds for its first answer.
        assert!(well.count() >= 300 && !run.is_finished(), "{} asked", well.count());
        run.join().unwrap()
    });
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    let told = report.told();
    assert_eq!(told.iter().filter(|line| line.contains(" pullable ")).count(), 300);
    assert_eq!(told.iter().filter(|line| line.contains(" timeout ")).count(), 1000, "{told:?}");
}
