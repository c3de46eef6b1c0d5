//! The status of ImageCheckPolicies: whether each is in force, and what it risks. The webhook reads the
//! same policies by the same rules, so that what is said here is what happens there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::tell::{About, Tell};
use super::{Error, ask};
use crate::policy::ImageCheckPolicy;
use crate::policy::image_check_policy::{API_VERSION, KIND};

/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(2);
const MAX_MESSAGE: usize = 1000;

const ACCEPTED: &str = "Accepted";
const RISK: &str = "Risk";
const IN_FORCE: &str = "the policy is in force";
const INCONCLUSIVE_DENIED: &str = "inconclusive: Deny refuses Pods whose images could not be checked: while a registry is down, \
     slow or limits requests, nothing that this policy matches can be deployed or scaled";

struct Context {
    api: Api<DynamicObject>,
    store: Store<DynamicObject>,
    tell: Tell,
}

/// Keeps the status of all policies; ends only when it is dropped.
pub async fn keep(client: Client, tell: Tell) {
    let kind = kind();
    let api: Api<DynamicObject> = Api::all_with(client, &kind);
    let controller = Controller::new_with(api.clone(), watcher::Config::default(), kind);
    let context = Arc::new(Context { api, store: controller.store(), tell: tell.clone() });
    let failed = |policy: Arc<DynamicObject>, error: &Error, context: Arc<Context>| {
        // A conflict means that there is a newer one, which comes by itself.
        if !error.is_conflict() {
            tracing::warn!(policy = policy.name_any(), error = %error, "no status was written");
            context.tell.metrics.failed("policy-status");
        }
        Action::requeue(AGAIN)
    };
    let mut seen = std::pin::pin!(controller.run(write_status, failed, context));
    let mut told = String::new();
    while let Some(result) = seen.next().await {
        if let Err(kube::runtime::controller::Error::QueueError(error)) = result {
            let error = crate::text::clean(&format!("{error}"), 300);
            tell.metrics.failed("policy-watch");
            if error != told {
                tracing::warn!(error, "ImageCheckPolicies can not be watched");
                told = error;
            }
        }
    }
}

fn kind() -> ApiResource {
    let (group, version) = API_VERSION.split_once('/').unwrap_or_default();
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, KIND))
}

async fn write_status(policy: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, Error> {
    context.count();
    let name = policy.name_any();
    let told = Told::of(&policy);
    let before = policy.data.get("status");
    let status = told.status(policy.metadata.generation, before, Time(Timestamp::now()));
    if before != Some(&status) {
        let mut written = (*policy).clone();
        written.data["status"] = status;
        let params = PostParams::default();
        ask(KIND, context.api.replace_status(&name, &params, &written)).await?;
        if !told.is_accepted() && accepted(before) != Some("False") {
            let about =
                About::new(API_VERSION, KIND, None, &name).with_uid(policy.uid().as_deref());
            context.tell.warn(&about, "PolicyInvalid", &told.message);
        }
    }
    Ok(Action::await_change())
}

impl Context {
    fn count(&self) {
        let policies = self.store.state();
        let accepted = policies.iter().filter(|policy| Told::of(policy).is_accepted()).count();
        self.tell.metrics.policies(accepted, policies.len() - accepted);
    }
}

/// What a status says of a policy.
struct Told {
    reason: &'static str,
    message: String,
    risk: bool,
}

impl Told {
    fn of(policy: &DynamicObject) -> Self {
        let object = json!({
            "apiVersion": API_VERSION, "kind": KIND,
            "metadata": {"name": policy.name_any()}, "spec": policy.data.get("spec"),
        });
        match ImageCheckPolicy::from_value(&object) {
            Ok(Some(policy)) => Self {
                reason: "Valid",
                message: IN_FORCE.to_owned(),
                risk: policy.spec.inconclusive == Some(crate::policy::Action::Deny),
            },
            Ok(None) => Self::invalid("it is of another kind"),
            Err(error) => Self::invalid(&error.reason),
        }
    }

    fn invalid(reason: &str) -> Self {
        let message =
            format!("the policy is left out: {}", crate::text::clean(reason, MAX_MESSAGE));
        Self { reason: "Invalid", message, risk: false }
    }

    fn is_accepted(&self) -> bool {
        self.reason == "Valid"
    }

    /// The whole status; times of conditions that stay as they were are kept.
    fn status(&self, generation: Option<i64>, before: Option<&Value>, now: Time) -> Value {
        let yes_or_no = |yes: bool| if yes { "True" } else { "False" };
        let (reason, message) = match self.risk {
            true => ("InconclusiveDenied", INCONCLUSIVE_DENIED),
            false => ("NoneKnown", "what could not be checked is not denied"),
        };
        let mut conditions = [
            condition(ACCEPTED, yes_or_no(self.is_accepted()), self.reason, &self.message),
            condition(RISK, yes_or_no(self.risk), reason, message),
        ];
        for condition in &mut conditions {
            condition.observed_generation = generation;
            let since = conditions_of(before)
                .find(|old| old["type"] == *condition.type_ && old["status"] == *condition.status)
                .and_then(|old| serde_json::from_value(old["lastTransitionTime"].clone()).ok());
            condition.last_transition_time = since.unwrap_or_else(|| now.clone());
        }
        json!({"observedGeneration": generation, "conditions": conditions})
    }
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        observed_generation: None,
    }
}

fn conditions_of(status: Option<&Value>) -> impl Iterator<Item = &Value> {
    status.and_then(|status| status["conditions"].as_array()).into_iter().flatten()
}

fn accepted(status: Option<&Value>) -> Option<&str> {
    conditions_of(status).find(|old| old["type"] == ACCEPTED)?["status"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(spec: Value) -> DynamicObject {
        let mut policy = DynamicObject::new("p", &kind());
        policy.data = json!({"spec": spec});
        policy
    }

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn status(spec: Value, before: Option<&Value>, second: i64) -> Value {
        Told::of(&policy(spec)).status(Some(3), before, at(second))
    }

    #[test]
    fn a_valid_policy_is_accepted() {
        let status = status(json!({"action": "Deny"}), None, 0);
        assert_eq!(status["observedGeneration"], 3);
        assert_eq!(accepted(Some(&status)), Some("True"));
        assert_eq!(status["conditions"][0]["message"], IN_FORCE);
        assert_eq!(status["conditions"][1]["status"], "False");
    }

    #[test]
    fn an_invalid_policy_says_which_field_is_wrong() {
        let status = status(json!({"causes": [{"id": "tag-not-foud", "action": "Deny"}]}), None, 0);
        assert_eq!(accepted(Some(&status)), Some("False"));
        let message = status["conditions"][0]["message"].as_str().unwrap();
        assert!(message.contains("spec.causes[0].id") && message.contains("tag-not-foud"));
    }

    #[test]
    fn a_policy_that_denies_what_could_not_be_checked_names_its_risk() {
        let status = status(json!({"inconclusive": "Deny"}), None, 0);
        assert_eq!(accepted(Some(&status)), Some("True"));
        assert_eq!(status["conditions"][1]["status"], "True");
        assert_eq!(status["conditions"][1]["reason"], "InconclusiveDenied");
    }

    #[test]
    fn what_stays_keeps_its_time_so_that_nothing_is_written_twice() {
        let first = status(json!({"action": "Deny"}), None, 10);
        let same = status(json!({"action": "Deny"}), Some(&first), 20);
        assert_eq!(first, same);
        let worse = status(json!({"action": "deny"}), Some(&first), 20);
        assert_ne!(
            worse["conditions"][0]["lastTransitionTime"],
            first["conditions"][0]["lastTransitionTime"]
        );
        assert_eq!(
            worse["conditions"][1]["lastTransitionTime"],
            first["conditions"][1]["lastTransitionTime"]
        );
    }
}
