//! `validate`: the platforms wanted by a flag, a Pod or a policy, and those an image offers.

use serde_json::json;

use super::manifests::{pod, pod_with, policy};
use super::sandbox::Sandbox;
use crate::support::{Config, FakeRegistry};

const AFFINITY: &str = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [\
    {matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64, s390x]}]}]}}}";

fn registry() -> FakeRegistry {
    let registry = FakeRegistry::start_blocking(Config::open());
    registry.push_index("both", "1", &["linux/amd64".into(), "linux/arm64".into()]);
    registry.push_index("arm", "1", &["linux/arm64".into()]);
    registry.push_image("plain", "1", "linux/arm64");
    registry
}

fn check(registry: &FakeRegistry, spec: &[&str], arguments: &[&str]) -> Vec<String> {
    let pods = ["both:1", "arm:1", "plain:1"]
        .map(|name| pod_with("p", &format!("{}/{name}", registry.host()), spec))
        .concat();
    Sandbox::with("pods.yaml", pods).validate(arguments).told()
}

#[test]
fn platforms_are_not_asked_where_nothing_tells_them() {
    let registry = registry();
    let expected = ["both:1 pullable allow", "arm:1 pullable allow", "plain:1 pullable allow"];
    assert_eq!(check(&registry, &[], &[]), expected);
    assert_eq!(registry.count_of("GET", "/v2/arm/"), 0, "a GET counts against a quota");
}

#[test]
fn a_flag_asks_for_platforms() {
    let registry = registry();
    let amd64 = check(&registry, &[], &["--platform", "linux/amd64"]);
    let expected = [
        "both:1 pullable allow",
        "arm:1 finding platform-missing certain deny",
        "plain:1 finding platform-wrong certain deny",
    ];
    assert_eq!(amd64, expected);
    let both = check(&registry, &[], &["--platform", "linux/amd64,linux/arm64"]);
    let expected = [
        "both:1 pullable allow",
        "arm:1 finding platform-partial certain warn",
        "plain:1 finding platform-partial certain warn",
    ];
    assert_eq!(both, expected);
}

#[test]
fn a_selector_and_an_affinity_ask_for_platforms() {
    let registry = registry();
    let selector = check(&registry, &["nodeSelector: {kubernetes.io/arch: amd64}"], &[]);
    assert_eq!(selector[1], "arm:1 finding platform-missing certain deny");
    let affinity = check(&registry, &[AFFINITY], &[]);
    let expected = [
        "both:1 finding platform-partial certain warn",
        "arm:1 finding platform-missing certain deny",
        "plain:1 finding platform-wrong certain deny",
    ];
    assert_eq!(affinity, expected);
    let narrowed = check(
        &registry,
        &["nodeSelector: {kubernetes.io/arch: arm64}"],
        &["--platform=linux/amd64,linux/arm64"],
    );
    assert_eq!(narrowed[1], "arm:1 pullable allow");
}

#[test]
fn all_expressions_of_a_term_must_hold_and_one_open_term_leaves_it_open() {
    let registry = registry();
    let wanted = |terms: &str| {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let spec =
            format!("affinity: {{nodeAffinity: {{{required}: {{nodeSelectorTerms: [{terms}]}}}}}}");
        let pod = pod_with("p", &format!("{}/both:1", registry.host()), &[&spec]);
        let report = Sandbox::with("pod.yaml", pod).validate(&[]);
        report.of("both:1")["wanted"].clone()
    };
    let arch = |operator: &str, values: &str| {
        format!("{{key: kubernetes.io/arch, operator: {operator}, values: [{values}]}}")
    };
    let (any, arm, not_arm) =
        (arch("In", "amd64, arm64"), arch("In", "arm64"), arch("NotIn", "arm64"));
    let term = |expressions: &[&String]| {
        let all: Vec<&str> = expressions.iter().map(|it| it.as_str()).collect();
        format!("{{matchExpressions: [{}]}}", all.join(", "))
    };
    assert_eq!(wanted(&term(&[&any, &arm])), json!(["linux/arm64"]));
    assert_eq!(wanted(&term(&[&any, &not_arm])), json!(["linux/amd64"]));
    assert_eq!(
        wanted(&format!("{}, {}", term(&[&any, &not_arm]), term(&[&arm]))),
        json!(["linux/amd64", "linux/arm64"])
    );
    assert_eq!(wanted(&format!("{}, {}", term(&[&arm]), term(&[&not_arm]))), json!([]));
    assert_eq!(wanted(&term(&[&not_arm])), json!([]));
}

#[test]
fn a_policy_asks_for_platforms_and_may_then_deny_a_part() {
    let registry = registry();
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{}/arm:1", registry.host())));
    let file = sandbox.write_home(
        "policy.yaml",
        policy("{action: Deny, requirePlatforms: [linux/amd64, linux/arm64]}"),
    );
    let report = sandbox.validate(&["--policy", file.to_str().unwrap()]);
    assert_eq!(report.told(), ["arm:1 finding platform-partial certain deny"]);
    assert_eq!(report.of("arm:1")["wanted"], json!(["linux/amd64", "linux/arm64"]));
    assert_eq!(report.of("arm:1")["platforms"], json!(["linux/arm64"]));
}

#[test]
fn an_image_that_pulls_and_does_not_run_says_both() {
    let registry = registry();
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{}/plain:1", registry.host())));
    let report = sandbox.validate(&["--platform=linux/amd64"]);
    let result = report.of("plain:1");
    assert_eq!((&result["pulls"], &result["runs"]), (&json!(true), &json!(false)));
}

#[test]
fn runtimes_that_choose_differently_leave_it_open_until_one_is_named() {
    let registry = FakeRegistry::start_blocking(Config::open());
    let undeclared = crate::support::PlatformSpec::from("linux/arm64").undeclared();
    registry.push_index("odd", "1", &[undeclared]);
    let sandbox = Sandbox::with("pod.yaml", pod("p", &format!("{}/odd:1", registry.host())));
    let told = |runtime: &[&str]| {
        let mut arguments = vec!["--platform=linux/amd64"];
        arguments.extend(runtime);
        sandbox.validate(&arguments).told()[0].clone()
    };
    let named = ["containerd-local", "containerd-transfer", "cri-o"]
        .map(|name| told(&[&format!("--runtime={name}")]));
    let open = told(&[]);
    let agree = named.windows(2).all(|pair| pair[0] == pair[1]);
    assert_eq!(open.contains("runtime-unknown"), !agree, "{open} {named:?}");
    assert!(named.iter().all(|told| !told.contains("runtime-unknown")), "{named:?}");
}

#[test]
fn a_wrong_platform_is_misuse() {
    let run = Sandbox::new().run(["validate", "--image", "a", "--platform", "linux"]).exits(2);
    assert!(run.stderr.contains("linux"), "{run:?}");
}
