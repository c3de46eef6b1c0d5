//! The two webhook configurations: what is asked about, and why it can not lock a cluster.

use serde_json::{Value, json};

use super::helm::{
    NAME, NAMESPACE, RELEASE, kinds_of_install, object, of_kind, read, render, render_file,
    strings, try_render,
};

const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

fn webhooks(objects: &[Value]) -> Vec<&Value> {
    let kinds = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];
    let configurations = kinds.iter().flat_map(|kind| of_kind(objects, kind));
    configurations.flat_map(|it| it["webhooks"].as_array().unwrap()).collect()
}

#[track_caller]
fn webhook<'o>(objects: &'o [Value], name: &str) -> &'o Value {
    let found: Vec<&Value> =
        webhooks(objects).into_iter().filter(|it| it["name"] == name).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0]
}

/// Namespaces that a webhook's selector leaves out by their name.
fn excluded(webhook: &Value) -> Vec<&str> {
    let expressions = webhook["namespaceSelector"]["matchExpressions"].as_array().unwrap();
    let by_name = |it: &&Value| it["key"] == NAMESPACE_NAME && it["operator"] == "NotIn";
    expressions.iter().filter(by_name).flat_map(|it| strings(&it["values"])).collect()
}

/// `group/resource` of every rule.
fn resources(webhook: &Value) -> Vec<String> {
    let mut resources = Vec::new();
    for rule in webhook["rules"].as_array().unwrap() {
        assert_eq!(rule["scope"], "Namespaced", "{rule}");
        assert_eq!(rule["apiVersions"], json!(["v1"]), "{rule}");
        for group in strings(&rule["apiGroups"]) {
            resources.extend(strings(&rule["resources"]).iter().map(|it| format!("{group}/{it}")));
        }
    }
    resources
}

/// Three lines of the templates do it: `failurePolicy: Ignore` (a call that fails lets the request
/// pass), `NotIn` with kube-system and the release's namespace (the webhook never decides about its
/// own Pods or those that run the cluster), and rules without Nodes, Leases, RBAC or wildcards (so the
/// control plane and whoever repairs it are never asked about). Each kind of install is held to it; a
/// strict entry is only there for namespaces that the values name.
#[test]
fn an_install_can_not_lock_a_cluster() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        let strict = file.ends_with("full-values.yaml");
        assert!(!webhooks(&objects).is_empty());
        for webhook in webhooks(&objects) {
            let name = webhook["name"].as_str().unwrap();
            if name.starts_with("strict.") {
                assert!(strict, "{}: {name}", file.display());
                continue;
            }
            assert_eq!(webhook["failurePolicy"], "Ignore", "{}: {name}", file.display());
            let excluded = excluded(webhook);
            assert!(excluded.contains(&"kube-system") && excluded.contains(&NAMESPACE), "{name}");
            for resource in resources(webhook) {
                assert!(WATCHED.contains(&resource.as_str()), "{name} asks about {resource}");
            }
        }
    }
}

const WATCHED: [&str; 10] = [
    "/pods",
    "/pods/ephemeralcontainers",
    "/replicationcontrollers",
    "/podtemplates",
    "apps/deployments",
    "apps/statefulsets",
    "apps/daemonsets",
    "apps/replicasets",
    "batch/jobs",
    "batch/cronjobs",
];

#[test]
fn pods_and_workloads_are_validated_when_they_are_made_and_changed() {
    let objects = render(&[]);
    let validate = webhook(&objects, "validate.pullproof.dev");
    assert_eq!(resources(validate), WATCHED);
    for rule in validate["rules"].as_array().unwrap() {
        assert_eq!(rule["operations"], json!(["CREATE", "UPDATE"]));
    }
    assert_eq!(validate["clientConfig"]["service"]["path"], "/validate");
    let pods_only = render(&["webhook.workloads=false"]);
    let validate = webhook(&pods_only, "validate.pullproof.dev");
    assert_eq!(resources(validate), ["/pods", "/pods/ephemeralcontainers"]);
}

#[test]
fn only_new_pods_are_changed_and_once_more_when_others_change_them_after() {
    let objects = render(&[]);
    let mutate = webhook(&objects, "mutate.pullproof.dev");
    assert_eq!(resources(mutate), ["/pods"]);
    assert_eq!(mutate["rules"][0]["operations"], json!(["CREATE"]));
    assert_eq!(mutate["reinvocationPolicy"], "IfNeeded");
    assert_eq!(mutate["clientConfig"]["service"]["path"], "/mutate");
    let without = render(&["webhook.mutate=false"]);
    assert!(of_kind(&without, "MutatingWebhookConfiguration").is_empty());
}

#[test]
fn every_webhook_calls_the_service_and_waits_briefly() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        let service = object(&objects, "Service", NAME);
        assert_eq!(service["spec"]["ports"][0]["port"], 443);
        for webhook in webhooks(&objects) {
            let called = &webhook["clientConfig"]["service"];
            assert_eq!((&called["name"], &called["namespace"]), (&json!(NAME), &json!(NAMESPACE)));
            assert_eq!(called["port"], 443);
            assert_eq!(webhook["admissionReviewVersions"], json!(["v1"]));
            assert_eq!(webhook["sideEffects"], "NoneOnDryRun");
            assert_eq!(webhook["matchPolicy"], "Equivalent");
            let expected = if file.ends_with("full-values.yaml") { 10 } else { 5 };
            assert_eq!(webhook["timeoutSeconds"], expected);
        }
    }
}

#[test]
fn conditions_spare_calls_and_never_those_about_new_pods() {
    let objects = render(&["strictNamespaces=[\"payments\"]"]);
    for name in ["validate.pullproof.dev", "strict.validate.pullproof.dev"] {
        let conditions = webhook(&objects, name)["matchConditions"].as_array().unwrap();
        let expression = |name: &str| {
            let found = conditions.iter().find(|it| it["name"] == name);
            found.unwrap_or_else(|| panic!("{name}"))["expression"].as_str().unwrap()
        };
        assert_eq!(conditions.len(), 3);
        // The API server's word, and not what somebody wrote into a new object.
        assert_eq!(
            expression("is-not-going-away"),
            "request.operation != 'UPDATE' || !has(oldObject.metadata.deletionTimestamp)"
        );
        assert!(
            expression("may-change-an-image").starts_with("request.operation != 'UPDATE' || (")
        );
        let owner = expression("owner-was-not-judged");
        assert!(owner.starts_with("request.kind.kind == 'Pod' || "), "{owner}");
        for (made, maker) in [("ReplicaSet", "Deployment"), ("Job", "CronJob")] {
            let pair = format!("request.kind.kind == '{made}' && owner.kind == '{maker}'");
            assert!(owner.contains(&pair), "{owner}");
        }
        assert!(owner.contains("has(owner.controller) && owner.controller"), "{owner}");
    }
    // Nothing is spared of a mutation: it is asked for new Pods only.
    assert!(webhook(&objects, "mutate.pullproof.dev").get("matchConditions").is_none());
}

#[test]
fn strict_namespaces_fail_closed_and_are_judged_once() {
    let objects = render(&["strictNamespaces=[\"payments\",\"ledger\"]"]);
    let strict = webhook(&objects, "strict.validate.pullproof.dev");
    let open = webhook(&objects, "validate.pullproof.dev");
    assert_eq!(strict["failurePolicy"], "Fail");
    assert_eq!(
        strict["namespaceSelector"],
        json!({"matchExpressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": ["payments", "ledger"]}]})
    );
    assert_eq!(excluded(open), ["kube-system", NAMESPACE, "payments", "ledger"]);
    assert_eq!(strict["rules"], open["rules"]);
    assert_eq!(strict["matchConditions"], open["matchConditions"]);
    // Pods there are pinned like others.
    assert_eq!(excluded(webhook(&objects, "mutate.pullproof.dev")), ["kube-system", NAMESPACE]);
    assert!(webhooks(&render(&[])).iter().all(|it| it["failurePolicy"] == "Ignore"));
}

#[test]
fn strict_namespaces_that_would_stop_the_repair_are_refused() {
    for name in ["kube-system", NAMESPACE] {
        let value = format!("strictNamespaces=[\"{name}\"]");
        let refused = try_render(&["--set-json", &value]).unwrap_err();
        assert!(refused.contains("is never asked about"), "{refused}");
    }
    let both = ["strictNamespaces=[\"a\"]", "webhook.excludeNamespaces=[\"a\"]"];
    let refused = try_render(&["--set-json", both[0], "--set-json", both[1]]).unwrap_err();
    assert!(refused.contains("excludeNamespaces too"), "{refused}");
}

#[test]
fn further_selectors_narrow_and_never_widen() {
    let objects = render(&[
        "webhook.excludeNamespaces=[\"dev\"]",
        "webhook.namespaceSelector={\"matchLabels\":{\"a\":\"b\"},\"matchExpressions\":[{\"key\":\"c\",\"operator\":\"Exists\"}]}",
        "webhook.objectSelector={\"matchLabels\":{\"d\":\"e\"}}",
    ]);
    for webhook in webhooks(&objects) {
        assert_eq!(excluded(webhook), ["kube-system", NAMESPACE, "dev"]);
        let selector = &webhook["namespaceSelector"];
        assert_eq!(selector["matchLabels"], json!({"a": "b"}));
        assert_eq!(selector["matchExpressions"][1], json!({"key": "c", "operator": "Exists"}));
        assert_eq!(webhook["objectSelector"], json!({"matchLabels": {"d": "e"}}));
    }
}

#[test]
fn the_notes_tell_the_off_switch_and_it_fits_the_labels() {
    let label = "app.kubernetes.io/instance";
    let switch = format!(
        "kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration -l {label}={{{{ .Release.Name }}}}"
    );
    assert!(read("templates/NOTES.txt").contains(&switch));
    let objects = render(&[]);
    for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
        assert_eq!(object(&objects, kind, NAME)["metadata"]["labels"][label], RELEASE);
    }
}

#[test]
fn each_certificate_mode_brings_its_own_ca_bundle() {
    let managed = render(&[]);
    assert!(webhooks(&managed).iter().all(|it| it["clientConfig"].get("caBundle").is_none()));
    assert!(of_kind(&managed, "Certificate").is_empty());

    let by_manager = render(&["certificates.mode=\"certManager\""]);
    let certificate = object(&by_manager, "Certificate", NAME);
    let host = format!("{NAME}.{NAMESPACE}.svc");
    assert!(strings(&certificate["spec"]["dnsNames"]).contains(&host.as_str()));
    assert_eq!(certificate["spec"]["secretName"], format!("{NAME}-tls"));
    assert_eq!(certificate["spec"]["issuerRef"]["name"], NAME);
    assert_eq!(object(&by_manager, "Certificate", &format!("{NAME}-ca"))["spec"]["isCA"], true);
    for kind in ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] {
        let annotations = &object(&by_manager, kind, NAME)["metadata"]["annotations"];
        let from = format!("{NAMESPACE}/{NAME}");
        assert_eq!(annotations["cert-manager.io/inject-ca-from"], from);
    }

    let existing = render(&[
        "certificates={\"mode\":\"existing\",\"secretName\":\"pair\",\"caBundle\":\"-----BEGIN CERTIFICATE-----\"}",
    ]);
    for webhook in webhooks(&existing) {
        assert_eq!(webhook["clientConfig"]["caBundle"], "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t");
    }
    let refused = try_render(&["--set", "certificates.mode=existing"]).unwrap_err();
    assert!(refused.contains("needs certificates.secretName"), "{refused}");
}
