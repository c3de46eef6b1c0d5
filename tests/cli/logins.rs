//! `validate`: which login each image is asked with, and what a wrong or missing one comes to.

use serde_json::{Value, json};

use super::manifests::{
    account, bare_account, docker_config, pod, pod_with, pod_with_secret, policy, secret,
    secret_in, secret_in_words,
};
use super::sandbox::{Report, Run, Sandbox};
use crate::support::{Config, FakeRegistry, Fault};

/// Wants the login `ci:right` for everything.
fn private() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::basic().user("ci", "right"));
    registry.push_image("team/app", "1", "linux/amd64");
    registry
}

fn image(registry: &FakeRegistry) -> String {
    format!("{}/team/app:1", registry.host())
}

fn login(registry: &FakeRegistry) -> String {
    docker_config(registry.host(), "ci", "right")
}

fn check(manifests: &[String]) -> Report {
    Sandbox::with("all.yaml", manifests.concat()).validate(&[])
}

fn users(registry: &FakeRegistry) -> Vec<String> {
    let mut users: Vec<String> =
        registry.requests().iter().filter_map(|it| Some(it.basic()?.0)).collect();
    users.dedup();
    users
}

#[test]
fn the_secret_of_the_pod_is_used_from_data_and_from_string_data() {
    let registry = private();
    for secret in [secret(&login(&registry)), secret_in_words(&login(&registry))] {
        let report = check(&[pod_with_secret("web", &image(&registry)), secret]);
        assert_eq!(report.told(), ["team/app:1 pullable allow"]);
        assert_eq!(report.code, 0);
        let evidence = &report.of("app:1")["evidence"];
        let answered = evidence.as_array().unwrap().last().unwrap();
        assert_eq!(answered["credential"], json!({"user": "ci", "source": "secret shop/pull"}));
        let workload = &report.of("app:1")["uses"][0]["workload"];
        assert_eq!(workload["imagePullSecrets"], json!(["pull"]));
    }
}

#[test]
fn the_secrets_of_the_service_account_are_copied_when_the_pod_names_none() {
    let registry = private();
    let image = image(&registry);
    let of_account = [account("puller"), secret(&login(&registry))].concat();
    let named = pod_with("web", &image, &["serviceAccountName: puller"]);
    assert_eq!(check(&[named, of_account.clone()]).told(), ["team/app:1 pullable allow"]);
    let default = [pod("web", &image), account("default"), secret(&login(&registry))];
    assert_eq!(check(&default).told(), ["team/app:1 pullable allow"]);
    let blocked =
        pod_with("web", &image, &["serviceAccountName: puller", "imagePullSecrets: [{}]"]);
    registry.reset_counts();
    let report = check(&[blocked, of_account]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing certain deny"]);
    assert!(users(&registry).is_empty());
}

#[test]
fn a_secret_of_another_namespace_is_not_used() {
    let registry = private();
    let manifests =
        pod_with_secret("web", &image(&registry)) + &secret_in("other", &login(&registry));
    let sandbox = Sandbox::with("all.yaml", manifests);
    let report = sandbox.validate(&[]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing likely warn"]);
    let text = sandbox.run(["validate", "."]).exits(0).stdout;
    assert!(text.contains("only a warning, since secret pull could not be read here"), "{text}");
    assert!(users(&registry).is_empty());
}

#[test]
fn an_account_that_is_not_there_to_be_read_leaves_the_finding_likely() {
    let registry = private();
    let named = pod_with("web", &image(&registry), &["serviceAccountName: elsewhere"]);
    let sandbox = Sandbox::with("pod.yaml", named);
    let report = sandbox.validate(&[]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing likely warn"]);
    assert_eq!(report.of("app:1")["uses"][0]["workload"]["serviceAccount"], "elsewhere");
    let text = sandbox.run(["validate", "."]).exits(0).stdout;
    assert!(text.contains("ServiceAccount elsewhere could not be read here"), "{text}");
}

#[test]
fn a_wrong_password_is_credentials_rejected() {
    let registry = private();
    let wrong = docker_config(registry.host(), "ci", "wrong");
    let report = check(&[pod_with_secret("web", &image(&registry)), secret(&wrong)]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-rejected certain deny"]);
    assert_eq!(report.code, 1);
    report.says("app:1", "secret shop/pull");
}

#[test]
fn a_secret_without_an_entry_is_secret_registry_mismatch() {
    let registry = private();
    let other = docker_config("ghcr.io", "ci", "right");
    let report = check(&[pod_with_secret("web", &image(&registry)), secret(&other)]);
    assert_eq!(report.told(), ["team/app:1 finding secret-registry-mismatch certain deny"]);
    report.says("app:1", "secret shop/pull has entries for ghcr.io only");
    assert!(users(&registry).is_empty());
}

#[test]
fn a_secret_that_cannot_be_decoded_stops_every_image_of_the_pod() {
    let registry = private();
    registry.push_image("team/other", "1", "linux/amd64");
    let two = pod_with_secret("web", &image(&registry))
        + &format!("  - name: second\n    image: {}/team/other:1\n", registry.host());
    let free = pod("free", &image(&registry));
    for document in ["not json", r#"{"auths":{"other.io":{"auth":"!!!"}}}"#] {
        registry.reset_counts();
        let report = check(&[two.clone(), secret(document)]);
        let expected = [
            "team/app:1 finding secret-invalid certain deny",
            "team/other:1 finding secret-invalid certain deny",
        ];
        assert_eq!(report.told(), expected);
        assert_eq!(registry.count(), 0);
    }
    let report = check(&[two, secret("not json"), free, bare_account("default")]);
    assert_eq!(report.told()[2], "team/app:1 finding credentials-missing certain deny");
}

#[test]
fn a_default_account_that_was_not_read_may_bring_the_login() {
    let registry = private();
    let report = check(&[pod("web", &image(&registry))]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing likely warn"]);
    report.says("app:1", "ServiceAccount default could not be read here and may bring the login");
    assert_eq!(report.code, 0);
    let report = check(&[pod("web", &image(&registry)), bare_account("default")]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing certain deny"]);
    assert_eq!(report.code, 1);
}

#[test]
fn what_only_a_login_of_ones_own_pulls_is_counted_apart() {
    let registry = private();
    registry.push_image("team/app", "2", "linux/amd64");
    let sandbox = Sandbox::with("all.yaml", pod("web", &image(&registry)));
    sandbox.write("auth.txt", login(&registry));
    let flag = format!("{}/team/app:2", registry.host());
    let arguments = ["validate", ".", "--image", &flag, "--authfile", "auth.txt"];
    let text = sandbox.run(arguments).exits(0).stdout;
    let counts = "2 images in 1 file: 1 pullable, 1 pullable with your login only, 2 notes";
    assert!(text.contains(counts), "{text}");
    let title = format!("note: {} pulls with your own login only\n", image(&registry));
    assert!(text.contains(&title), "{text}");
    let report = sandbox.validate(&arguments[2..]);
    let summary = &report.json["summary"];
    assert_eq!((&summary["pullable"], &summary["ownOnly"]), (&2.into(), &1.into()));
}

#[test]
fn a_login_that_was_never_asked_for_is_not_blamed() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("team/app", "1", "linux/amd64");
    registry.fault(Fault::in_repository("team/app").answer(403));
    let report = check(&[pod_with_secret("web", &image(&registry)), secret(&login(&registry))]);
    assert_eq!(report.told(), ["team/app:1 finding absent-or-private certain deny"]);
    let finding = report.of("app:1")["findings"][0]["text"].as_str().unwrap();
    let host = registry.host();
    let expected = format!("{host}/team/app:1 is absent or private; {host} does not say which");
    assert_eq!(finding, expected);
}

#[test]
fn the_host_that_a_registry_redirects_to_is_named_where_it_refuses() {
    let (registry, other) = (
        FakeRegistry::start_blocking(Config::open()),
        FakeRegistry::start_blocking(Config::open()),
    );
    other.fault(Fault::in_repository("team/app").answer(403));
    let away = format!("http://{}", other.host());
    registry.fault(Fault::in_repository("team/app").redirect_to_host(&away));
    let report = check(&[pod("web", &image(&registry)), bare_account("default")]);
    assert_eq!(report.told(), ["team/app:1 finding absent-or-private certain deny"]);
    let who =
        format!("{}, where {} redirects to, does not say which", other.host(), registry.host());
    report.says("app:1", &who);
}

#[test]
fn no_namespace_and_the_namespace_default_are_the_same() {
    let registry = private();
    let here = |text: String, namespace: &str| text.replace("namespace: shop", namespace);
    let (default, none) = ("namespace: default", "labels: {}");
    for (of_pod, of_secret) in [(default, none), (none, default), (none, none)] {
        let manifests = [
            here(pod_with_secret("web", &image(&registry)), of_pod),
            here(secret(&login(&registry)), of_secret),
        ];
        let report = check(&manifests);
        assert_eq!(report.told(), ["team/app:1 pullable allow"], "{of_pod} {of_secret}");
    }
    let elsewhere =
        [pod_with_secret("web", &image(&registry)), secret_in("other", &login(&registry))];
    assert_ne!(check(&elsewhere).told(), ["team/app:1 pullable allow"]);
}

#[test]
fn what_is_named_and_not_among_the_files_is_told_once() {
    let registry = private();
    let two =
        pod_with_secret("web", &image(&registry)) + &pod_with_secret("api", &image(&registry));
    let account = pod_with("job", &image(&registry), &["serviceAccountName: builder"]);
    let report = check(&[two, account, pod("free", &image(&registry))]);
    let notes = report.json["notes"].as_array().unwrap();
    let told: Vec<_> = notes.iter().filter(|note| note["id"] == "login-not-read").collect();
    assert_eq!(told.len(), 1, "{notes:?}");
    let text = told[0]["text"].as_str().unwrap();
    let listed = "ServiceAccount builder in namespace shop, secret pull in namespace shop";
    assert!(text.ends_with(listed), "{text}");
}

#[test]
fn a_secret_that_no_image_of_its_pod_needs_is_listed_and_a_policy_can_act_on_it() {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_image("team/app", "1", "linux/amd64");
    let unused = secret(&docker_config("ghcr.io", "ci", "right"));
    let used = secret(&docker_config(registry.host(), "ci", "right"));
    for (secret, expected) in [(unused, true), (used, false)] {
        let web = pod_with_secret("web", &image(&registry));
        let sandbox = Sandbox::with("all.yaml", web + &secret);
        let report = sandbox.validate(&[]);
        assert_eq!(report.told(), ["team/app:1 pullable allow"]);
        let findings = report.results()[0]["findings"].to_string();
        assert_eq!(findings.contains("credential-unused"), expected, "{findings}");
        sandbox
            .write("policy.yml.txt", policy("{causes: [{id: credential-unused, action: Deny}]}"));
        let report = sandbox.validate(&["--policy", "policy.yml.txt"]);
        assert_eq!(report.code == 1, expected, "{}", report.json);
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_told_and_not_used() {
    let registry = private();
    let opaque = secret(&login(&registry)).replace("kubernetes.io/dockerconfigjson", "Opaque");
    let report = check(&[pod_with_secret("web", &image(&registry)), opaque]);
    assert_eq!(report.told(), ["team/app:1 finding secret-invalid certain deny"]);
    report.says("app:1", "is ignored by the kubelet: type Opaque");
    assert!(users(&registry).is_empty());
}

#[test]
fn an_own_login_answers_where_the_pods_is_not_known_and_says_so() {
    let registry = private();
    let sandbox = Sandbox::with("pod.yaml", pod("web", &image(&registry)));
    sandbox.write_home("mine/config.json", login(&registry));
    let folder = sandbox.home().join("mine");
    let file = folder.join("config.json").display().to_string();
    let run = |variable: &str, value: &str, arguments: &[&str]| {
        let mut command = sandbox.command();
        command.env(variable, value).args(["validate", "pod.yaml", "-o", "json"]).args(arguments);
        Run::of(&mut command).report()
    };
    sandbox.write_home("run/containers/auth.json", login(&registry));
    let runtime = sandbox.home().join("run").display().to_string();
    let reports = [
        run("X", "x", &["--authfile", &file]),
        run("DOCKER_CONFIG", &folder.display().to_string(), &[]),
        run("REGISTRY_AUTH_FILE", &file, &[]),
        run("DOCKER_AUTH_CONFIG", &login(&registry), &[]),
        run("XDG_RUNTIME_DIR", &runtime, &[]),
    ];
    let podman = format!("{runtime}/containers/auth.json");
    let origins = [file.as_str(), &file, &file, "DOCKER_AUTH_CONFIG", &podman];
    for (report, origin) in reports.iter().zip(origins) {
        assert_eq!(report.told(), ["team/app:1 pullable allow"], "{origin}");
        assert_eq!(report.of("app:1")["pulls"], Value::Null);
        report.says("app:1", &format!("docker config {origin}"));
    }
    let text = sandbox.run(["validate", "pod.yaml", "--authfile", &file]).exits(0).stdout;
    assert!(text.contains("pulled with your own login (docker config "), "{text}");
    assert!(text.contains("Pod shop/web was not let in"), "{text}");
    sandbox.run(["validate", "pod.yaml", "--authfile", "nowhere.json"]).exits(2);
    let mut command = sandbox.command();
    command.env("DOCKER_AUTH_CONFIG", "{CANARY").args(["validate", "pod.yaml"]);
    let run = Run::of(&mut command).exits(2);
    assert_eq!(run.stderr, "error: DOCKER_AUTH_CONFIG is not usable: not valid JSON\n");
}

#[test]
fn an_own_login_does_not_hide_that_the_pod_brings_none() {
    let registry = private();
    let bare = account("default").replace("{name: pull}", "");
    let sandbox = Sandbox::with("all.yaml", pod("web", &image(&registry)) + &bare);
    let file = sandbox.write_home("auth.json", login(&registry)).display().to_string();
    let report = sandbox.validate(&["--authfile", &file]);
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing certain deny"]);
}

#[test]
fn an_image_named_by_a_flag_is_asked_with_the_own_login() {
    let registry = private();
    let sandbox = Sandbox::new();
    sandbox.write_home(".docker/config.json", login(&registry));
    let mut command = sandbox.command();
    command.env_remove("DOCKER_CONFIG").args(["validate", "-o", "json", "--image"]);
    let report = Run::of(command.arg(image(&registry))).report();
    assert_eq!(report.told(), ["team/app:1 pullable allow"]);
    assert_eq!(report.of("app:1")["pulls"], json!(true));
    let place = &report.of("app:1")["uses"][0];
    let absent = ["file", "line", "column", "path"].map(|field| &place[field]);
    assert_eq!(absent, [&Value::Null; 4], "{place}");
}

#[test]
fn two_workloads_with_two_logins_are_two_questions_and_equal_ones_are_one() {
    let registry = private();
    let wrong = secret_in("shop", &docker_config(registry.host(), "ci", "wrong"))
        .replace("name: pull", "name: bad");
    let manifests = [
        pod_with_secret("a", &image(&registry)),
        pod_with_secret("b", &image(&registry)),
        pod_with("c", &image(&registry), &["imagePullSecrets: [{name: bad}]"]),
        secret(&login(&registry)),
        wrong,
    ];
    let report = check(&manifests);
    let expected =
        ["team/app:1 pullable allow", "team/app:1 finding credentials-rejected certain deny"];
    assert_eq!(report.told(), expected);
    assert_eq!(report.results()[0]["uses"].as_array().unwrap().len(), 2);
}

#[test]
fn every_login_of_the_pod_is_tried_in_its_order() {
    let registry = private();
    let wrong = secret(&docker_config(registry.host(), "first", "wrong"))
        .replace("name: pull", "name: old");
    let pod =
        pod_with("web", &image(&registry), &["imagePullSecrets: [{name: old}, {name: pull}]"]);
    let report = check(&[pod, wrong, secret(&login(&registry))]);
    assert_eq!(report.told(), ["team/app:1 pullable allow"]);
    assert_eq!(users(&registry)[..2], ["first", "ci"]);
}

#[test]
fn a_good_login_without_the_right_is_access_denied() {
    let config = Config::bearer().user("ci", "right").private("team/app", &["other"]);
    let registry = FakeRegistry::start_blocking(config);
    registry.push_image("team/app", "1", "linux/amd64");
    let report = check(&[pod_with_secret("web", &image(&registry)), secret(&login(&registry))]);
    let told = report.told();
    assert!(told == ["team/app:1 finding absent-or-private certain deny"], "{told:?}");
    report.says("app:1", "the login of secret shop/pull");
}

#[test]
fn logins_that_are_not_used_are_told_on_standard_error() {
    let registry = private();
    let sandbox = Sandbox::with("pod.yaml", pod("web", &image(&registry)));
    let helpers = json!({"credsStore": "desktop", "credHelpers": {"ghcr.io": "gh"}, "auths": {"r.io": {"auth": "!"}}});
    let file = sandbox.write_home("auth.json", helpers.to_string());
    let run =
        sandbox.run(["validate", ".", "-o", "json", "--authfile", file.to_str().unwrap()]).exits(0);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("note: ")).count(), 1, "{run:?}");
    let report = run.report();
    assert_eq!(report.told(), ["team/app:1 finding credentials-missing likely warn"]);
    assert_eq!(report.json["notes"][0]["id"], "credential-helper-failed");
}

#[test]
fn of_two_secrets_with_one_name_the_last_counts_and_a_legacy_one_is_read() {
    let registry = private();
    let first = secret(&docker_config(registry.host(), "old", "wrong"));
    let report =
        check(&[first, secret(&login(&registry)), pod_with_secret("web", &image(&registry))]);
    assert_eq!(report.told(), ["team/app:1 pullable allow"]);
    let entries: Value = serde_json::from_str(&login(&registry)).unwrap();
    let legacy = secret(&entries["auths"].to_string())
        .replace("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")
        .replace(".dockerconfigjson:", ".dockercfg:");
    let report = check(&[legacy, pod_with_secret("web", &image(&registry))]);
    assert_eq!(report.told(), ["team/app:1 pullable allow"]);
}
