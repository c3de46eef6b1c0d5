//! What the two ServiceAccounts may do: read only for the webhook, named objects for the controller.

use serde_json::{Value, json};

use super::helm::{NAME, NAMESPACE, kinds_of_install, of_kind, render, render_file, strings};

const READ: [&str; 3] = ["get", "list", "watch"];

/// Every rule that a ServiceAccount is given, with the namespace it holds in (empty: everywhere).
fn rules<'o>(objects: &'o [Value], account: &str) -> Vec<(String, &'o Value)> {
    let mut rules = Vec::new();
    for (binding, role) in [("ClusterRoleBinding", "ClusterRole"), ("RoleBinding", "Role")] {
        for bound in of_kind(objects, binding) {
            let is_account = |it: &Value| {
                it == &json!({"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE})
            };
            if !bound["subjects"].as_array().unwrap().iter().any(is_account) {
                continue;
            }
            assert_eq!(bound["roleRef"]["kind"], role);
            let namespace = bound["metadata"]["namespace"].as_str().unwrap_or_default();
            let is_role = |it: &&Value| {
                it["metadata"]["name"] == bound["roleRef"]["name"]
                    && it["metadata"]["namespace"].as_str().unwrap_or_default() == namespace
            };
            let found: Vec<&Value> = of_kind(objects, role).into_iter().filter(is_role).collect();
            assert_eq!(found.len(), 1, "the role of {bound}");
            let listed = found[0]["rules"].as_array().unwrap();
            rules.extend(listed.iter().map(|rule| (namespace.to_owned(), rule)));
        }
    }
    assert!(!rules.is_empty(), "{account} has no rights");
    rules
}

fn names(rule: &Value, resource: &str) -> bool {
    strings(&rule["resources"]).contains(&resource)
}

#[test]
fn nobody_is_given_a_wildcard() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        for kind in ["Role", "ClusterRole"] {
            for role in of_kind(&objects, kind) {
                assert!(!role["rules"].to_string().contains('*'), "{role}");
            }
        }
    }
}

#[test]
fn the_webhook_reads_and_writes_events_only() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        for (_, rule) in rules(&objects, NAME) {
            let verbs = strings(&rule["verbs"]);
            if rule["resources"] == json!(["events"]) {
                assert_eq!(verbs, ["create"]);
            } else {
                assert!(verbs.iter().all(|verb| READ.contains(verb)), "{rule}");
            }
        }
    }
}

#[test]
fn secrets_are_read_by_name_and_never_listed() {
    for file in kinds_of_install() {
        let objects = render_file(&file);
        for account in [NAME, &format!("{NAME}-controller")] {
            for (_, rule) in rules(&objects, account) {
                if names(rule, "secrets") || names(rule, "serviceaccounts") {
                    let verbs = strings(&rule["verbs"]);
                    assert!(!verbs.contains(&"list") && !verbs.contains(&"watch"), "{rule}");
                }
            }
        }
    }
}

#[test]
fn pull_secrets_are_read_everywhere_in_named_namespaces_or_nowhere() {
    let places = |values: &[&str]| -> Vec<String> {
        let objects = render(values);
        let all = rules(&objects, NAME);
        let secrets = all.iter().filter(|(_, rule)| names(rule, "secrets"));
        secrets
            .map(|(namespace, rule)| {
                assert_eq!(rule["resources"], json!(["secrets", "serviceaccounts"]));
                assert_eq!(rule["verbs"], json!(["get"]));
                namespace.clone()
            })
            .collect()
    };
    assert_eq!(places(&[]), [""]);
    let two = "secrets={\"access\":\"namespaces\",\"namespaces\":[\"shop\",\"payments\"]}";
    assert_eq!(places(&[two]), ["shop", "payments"]);
    assert!(places(&["secrets.access=\"none\""]).is_empty());
}

/// `create` can not be narrowed by a name, so it is given in the own namespace only.
#[test]
fn the_controller_changes_named_objects_only() {
    let controller = format!("{NAME}-controller");
    for file in kinds_of_install() {
        let objects = render_file(&file);
        for (namespace, rule) in rules(&objects, &controller) {
            let resources = strings(&rule["resources"]);
            let writes = strings(&rule["verbs"]).iter().any(|verb| !READ.contains(verb));
            match resources.as_slice() {
                _ if !writes => {}
                ["events"] => assert_eq!(rule["verbs"], json!(["create", "patch"])),
                ["imagecheckpolicies/status"] => {}
                ["leases" | "secrets"] => {
                    assert_eq!(namespace, NAMESPACE);
                    let created = rule["verbs"] == json!(["create"]);
                    assert!(created || rule["resourceNames"].is_array(), "{rule}");
                }
                _ => assert_eq!(rule["resourceNames"], json!([NAME]), "{rule}"),
            }
        }
    }
}

#[test]
fn without_certificates_to_manage_the_controller_has_no_secret_and_no_configuration_to_change() {
    let controller = format!("{NAME}-controller");
    for (mode, manages) in [("managed", true), ("certManager", false)] {
        let objects = render(&[&format!("certificates.mode=\"{mode}\"")]);
        let all = rules(&objects, &controller);
        assert_eq!(all.iter().any(|(_, rule)| names(rule, "secrets")), manages, "{mode}");
        let is_configuration = |rule: &Value| names(rule, "validatingwebhookconfigurations");
        let (_, rule) = all.iter().find(|(_, rule)| is_configuration(rule)).unwrap();
        let verbs = strings(&rule["verbs"]);
        assert_eq!(verbs.contains(&"update") || verbs.contains(&"patch"), manages, "{mode}");
        assert!(!verbs.contains(&"create") && !verbs.contains(&"delete"), "{mode}");
    }
}
