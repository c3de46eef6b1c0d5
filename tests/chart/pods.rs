//! The two Deployments and what stands around them: hardening, spread, stop, network, metrics.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::helm::{
    NAME, NAMESPACE, kinds_of_install, object, of_kind, read, render, render_file, strings,
    try_render,
};

fn pod<'o>(objects: &'o [Value], name: &str) -> &'o Value {
    &object(objects, "Deployment", name)["spec"]["template"]["spec"]
}

fn arguments(objects: &[Value], name: &str) -> Vec<String> {
    let list = strings(&pod(objects, name)["containers"][0]["args"]);
    list.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_pod_has_no_more_rights_than_it_needs() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        for name in [NAME, "check-pullproof-controller"] {
            let pod = pod(&objects, name);
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["runAsUser"], 65532);
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
            assert_eq!(pod["serviceAccountName"], name);
            assert!(pod.get("hostNetwork").is_none() && pod.get("hostPID").is_none());
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
                assert!(container["resources"]["requests"]["cpu"].is_string());
                assert!(container["resources"]["limits"]["memory"].is_string());
                for probe in ["readinessProbe", "livenessProbe"] {
                    assert_eq!(container[probe]["httpGet"]["port"], "metrics");
                }
            }
        }
    }
}

#[test]
fn the_webhook_survives_the_loss_of_a_node() {
    let objects = render(&[]);
    let serve = object(&objects, "Deployment", NAME);
    assert_eq!(serve["spec"]["replicas"], 2);
    assert_eq!(serve["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let keys: Vec<&str> = pod(&objects, NAME)["topologySpreadConstraints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]);
    let budget = object(&objects, "PodDisruptionBudget", NAME);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"], serve["spec"]["selector"]);
    let priority = object(&objects, "PriorityClass", NAME);
    assert_eq!(pod(&objects, NAME)["priorityClassName"], NAME);
    assert!(priority.get("globalDefault").is_none());
    // One replica with a budget would hold up every drain.
    assert!(of_kind(&render(&["serve.replicas=1"]), "PodDisruptionBudget").is_empty());
}

#[test]
fn a_pod_has_time_to_answer_the_last_reviews() {
    for delay in [0, 10, 60] {
        let objects = render(&[&format!("serve.shutdownDelay={delay}")]);
        let argument = format!("--shutdown-delay={delay}");
        assert!(arguments(&objects, NAME).contains(&argument));
        let grace = pod(&objects, NAME)["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace >= delay + 10, "{grace} for {delay}");
    }
}

#[test]
fn the_services_reach_the_pods_they_mean() {
    let objects = render(&[]);
    for (service, deployments) in
        [(NAME, vec![NAME]), ("check-pullproof-metrics", vec![NAME, "check-pullproof-controller"])]
    {
        let selector =
            object(&objects, "Service", service)["spec"]["selector"].as_object().unwrap();
        for deployment in of_kind(&objects, "Deployment") {
            let labels = &deployment["spec"]["template"]["metadata"]["labels"];
            let selected = selector.iter().all(|(key, value)| labels.get(key) == Some(value));
            let name = deployment["metadata"]["name"].as_str().unwrap();
            assert_eq!(selected, deployments.contains(&name), "{service} and {name}");
        }
    }
}

#[test]
fn values_become_arguments_and_files() {
    let objects = render(&[
        "serve={\"platforms\":[\"linux/amd64\",\"linux/arm64\"],\"answerDetail\":\"coarse\",\"namespaceRate\":7,\"extraArgs\":[\"--x=y z\"]}",
        "registries=\"[registry.\\\"a\\\"]\\nca = \\\"ca.pem\\\"\\n\"",
        "registryCertificates={\"ca.pem\":\"PEM\"}",
        "clientCA={\"bundle\":\"-----BEGIN CERTIFICATE-----\",\"names\":[\"kube-apiserver\"]}",
    ]);
    let serve = arguments(&objects, NAME);
    for argument in [
        "--platform=linux/amd64",
        "--platform=linux/arm64",
        "--answer-detail=coarse",
        "--namespace-rate=7",
        "--registries=/etc/pullproof/registries/registries.toml",
        "--client-ca=/etc/pullproof/client-ca/ca.crt",
        "--client-name=kube-apiserver",
        "--tls-cert=/etc/pullproof/tls/tls.crt",
        "--tls-key=/etc/pullproof/tls/tls.key",
        "--x=y z",
    ] {
        assert!(serve.iter().any(|it| it == argument), "{argument} in {serve:?}");
    }
    let files = &object(&objects, "ConfigMap", "check-pullproof-registries")["data"];
    assert_eq!(files["registries.toml"], "[registry.\"a\"]\nca = \"ca.pem\"\n");
    assert_eq!(files["ca.pem"], "PEM");
    let pod = pod(&objects, NAME);
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    for mount in mounts {
        assert_eq!(mount["readOnly"], true);
        let volumes = pod["volumes"].as_array().unwrap();
        assert!(volumes.iter().any(|volume| volume["name"] == mount["name"]), "{mount}");
    }
    assert_eq!(mounts.len(), 3);
    let refused = try_render(&["--set-json", "clientCA.names=[\"a\"]"]).unwrap_err();
    assert!(refused.contains("clientCA.names is nothing without"), "{refused}");
}

#[test]
fn new_settings_start_new_pods() {
    let sum = |values: &[&str]| {
        let objects = render(values);
        let template = &object(&objects, "Deployment", NAME)["spec"]["template"];
        template["metadata"]["annotations"]["checksum/files"].as_str().unwrap().to_owned()
    };
    assert_eq!(sum(&[]), sum(&[]));
    assert_ne!(sum(&["registries=\"a = 1\""]), sum(&["registries=\"a = 2\""]));
}

#[test]
fn the_controller_is_told_what_it_looks_after() {
    for (mode, manages) in [("managed", "managed"), ("certManager", "off")] {
        let objects = render(&[&format!("certificates.mode=\"{mode}\"")]);
        let arguments = arguments(&objects, "check-pullproof-controller");
        for argument in [
            format!("--namespace={NAMESPACE}"),
            format!("--service={NAME}"),
            format!("--certificate-secret={NAME}-tls"),
            format!("--certificates={manages}"),
            format!("--webhook-configuration={NAME}"),
            format!("--lease={NAME}-controller"),
        ] {
            assert!(arguments.contains(&argument), "{argument} in {arguments:?}");
        }
        let secret = &pod(&objects, NAME)["volumes"][0]["secret"];
        assert_eq!(secret["secretName"], format!("{NAME}-tls"));
        // A Pod must not start without its certificate.
        assert!(secret.get("optional").is_none());
    }
}

#[test]
fn a_digest_wins_over_the_tag() {
    let image = |values: &[&str]| {
        let objects = render(values);
        pod(&objects, NAME)["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(image(&[]), format!("ghcr.io/pullproof/pullproof:{version}"));
    assert_eq!(image(&["image={\"repository\":\"r:5000/p\",\"tag\":\"t\"}"]), "r:5000/p:t");
    let digest = format!("sha256:{}", "1".repeat(64));
    let value = format!("image={{\"repository\":\"r/p\",\"tag\":\"t\",\"digest\":\"{digest}\"}}");
    assert_eq!(image(&[&value]), format!("r/p@{digest}"));
}

#[test]
fn the_network_is_narrowed_to_what_the_values_name() {
    let objects = render(&[
        "networkPolicy={\"webhookFrom\":[\"10.0.0.0/8\"],\"apiServerCIDRs\":[\"10.96.0.1/32\"],\"apiServerPorts\":[6443],\"registryCIDRs\":[\"192.0.2.0/24\"],\"registryPorts\":[5000]}",
    ]);
    let serve = &object(&objects, "NetworkPolicy", "check-pullproof-serve")["spec"];
    assert_eq!(serve["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(serve["ingress"][0]["from"], json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]));
    let port = |port: u16| json!([{"port": port, "protocol": "TCP"}]);
    let to = |cidr: &str| json!([{"ipBlock": {"cidr": cidr}}]);
    let egress = serve["egress"].as_array().unwrap();
    assert_eq!(egress[1], json!({"ports": port(6443), "to": to("10.96.0.1/32")}));
    assert_eq!(egress[2], json!({"ports": port(5000), "to": to("192.0.2.0/24")}));
    let controller = &object(&objects, "NetworkPolicy", "check-pullproof-controller")["spec"];
    // It has no business with registries.
    assert_eq!(controller["egress"].as_array().unwrap().len(), 2);
    assert_eq!(controller["ingress"].as_array().unwrap().len(), 1);
    assert!(of_kind(&render(&["networkPolicy.enabled=false"]), "NetworkPolicy").is_empty());
}

/// The metrics that the program has.
const METRICS: [&str; 15] = [
    "pullproof_reviews_total",
    "pullproof_results_total",
    "pullproof_cache_total",
    "pullproof_upstream_requests_total",
    "pullproof_upstream_seconds",
    "pullproof_review_seconds",
    "pullproof_own_seconds",
    "pullproof_reviews_in_flight",
    "pullproof_certificate_expiry_seconds",
    "pullproof_certificate_reload_errors_total",
    "pullproof_handshake_errors_total",
    "pullproof_policies",
    "pullproof_breaker_open",
    "pullproof_registry_ratelimit_remaining",
    "pullproof_webhook_configuration_drift",
];

/// Every word that starts like a metric, a histogram's parts taken as the histogram.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    text.match_indices("pullproof_")
        .map(|(at, _)| {
            let end = text[at..].find(|c| !is_part(c)).unwrap_or(text.len() - at);
            text[at..at + end].trim_end_matches("_bucket").to_owned()
        })
        .collect()
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_are_there() {
    let objects = render(&[
        "metrics={\"prometheusRule\":{\"enabled\":true},\"dashboard\":{\"enabled\":true},\"serviceMonitor\":{\"enabled\":true}}",
    ]);
    let alerts = object(&objects, "PrometheusRule", NAME)["spec"].to_string();
    let dashboard = object(&objects, "ConfigMap", "check-pullproof-dashboard");
    let dashboard = dashboard["data"]["pullproof.json"].as_str().unwrap();
    let panels: Value = serde_json::from_str(dashboard).unwrap();
    assert!(panels["panels"].as_array().unwrap().len() > 10);
    for name in metrics(&alerts).iter().chain(&metrics(dashboard)) {
        assert!(METRICS.contains(&name.as_str()), "{name}");
    }
    let shown = metrics(dashboard);
    for name in METRICS {
        assert!(shown.contains(name), "the dashboard does not show {name}");
    }
    assert!(alerts.contains("{{ $labels.registry }}"), "{alerts}");
    object(&objects, "ServiceMonitor", NAME);
    // Nobody without the operator is troubled by its kinds.
    let plain = render(&[]);
    assert!(plain.iter().all(|it| it["apiVersion"] != "monitoring.coreos.com/v1"));
}

#[test]
fn the_version_is_that_of_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    let chart = read("Chart.yaml");
    assert!(chart.contains(&format!("\nversion: {version}\n")), "{chart}");
    assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")), "{chart}");
}
