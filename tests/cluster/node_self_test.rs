//! The node itself: what the other tests of a whole node build on.

use crate::support::node::{Node, PRIVATE_REGISTRY, REGISTRY};
use crate::support::until;

fn pod(name: &str, image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [\
         {{name: c, image: '{image}'}}], terminationGracePeriodSeconds: 0}}}}\n---\n"
    )
}

/// Why the only container waits.
fn reason(node: &Node, pod: &str) -> String {
    let path = "jsonpath={.status.containerStatuses[0].state.waiting.reason}";
    node.kubectl(&["get", "pod", pod, "-o", path], "").expect_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_runs_when_its_image_is_there_and_waits_when_it_is_not() {
    let node = Node::shared();
    node.push(REGISTRY, "app", "1");
    node.push(PRIVATE_REGISTRY, "app", "1");
    let image = |name: &str| format!("{REGISTRY}/{name}");
    node.apply(&(pod("good", &image("app:1")) + &pod("absent", &image("app:2"))));
    node.apply(&pod("private", &format!("{PRIVATE_REGISTRY}/app:1")));
    node.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "pod/good"], "").expect_ok();
    for name in ["absent", "private"] {
        until("the kubelet's refusal", async || {
            let reason = reason(node, name);
            matches!(reason.as_str(), "ErrImagePull" | "ImagePullBackOff").then_some(())
        })
        .await;
    }
}

#[test]
fn pullproof_runs_as_a_pod() {
    let node = Node::shared();
    node.push_pullproof("test");
    let job = format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: version}}, spec: {{backoffLimit: 0, template: \
         {{spec: {{restartPolicy: Never, containers: [{{name: c, image: '{REGISTRY}/pullproof:test', \
         args: [version]}}]}}}}}}}}"
    );
    node.apply(&job);
    node.kubectl(&["wait", "--for=condition=Complete", "--timeout=60s", "job/version"], "")
        .expect_ok();
    let said = node.kubectl(&["logs", "job/version"], "").expect_ok();
    assert!(said.contains("pullproof"), "{said}");
}
