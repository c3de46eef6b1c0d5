//! The chart on a real node, as `helm install` leaves it: what is good runs, and pinned where a policy
//! asks for it; what is bad is refused; what is already there comes back after an eviction even when
//! its tag is gone; a replica that dies takes no review with it; and a scan of it all finds nothing.
//! Everything fails open by default, so a refusal proves the whole chain.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::node::{Node, REGISTRY};
use crate::support::{Said, assets, own_image, until};

const SYSTEM: &str = "pullproof-system";
const CHART: &str = "app.kubernetes.io/name=pullproof";
/// Where a review that fails is a refusal.
const STRICT: &str = "strict";
/// Where something runs since before the webhook, which therefore knows nothing of it.
const OLD: &str = "old";
const SETTINGS: &str = "[registry.\"REGISTRY\"]\nplain_http = true\n";

fn settings() -> String {
    SETTINGS.replace("REGISTRY", REGISTRY)
}

fn file(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

fn image(name: &str) -> String {
    format!("{REGISTRY}/{name}")
}

fn pod_spec(name: &str) -> Value {
    json!({"containers": [{"name": "c", "image": image(name)}], "terminationGracePeriodSeconds": 0})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": pod_spec(name)})
}

fn deployment(name: &str, image: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(image)}}})
}

/// A node with the chart and two of the ready-made policies; nothing on it is unhealthy but what a
/// test makes so in its own namespace.
struct Place(Node);

impl Place {
    /// The one that the tests here share, one after the other: a replica that one of them kills would
    /// reset the review of another.
    async fn shared() -> tokio::sync::MutexGuard<'static, Self> {
        static SHARED: OnceLock<tokio::sync::Mutex<Place>> = OnceLock::new();
        let shared = || SHARED.get_or_init(|| tokio::sync::Mutex::new(Place(Node::start())));
        let place = tokio::task::block_in_place(shared).lock().await;
        static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        INSTALLED.get_or_init(|| place.install()).await;
        place
    }

    async fn install(&self) {
        self.0.push_pullproof("test");
        self.0.push(REGISTRY, "shop", "1");
        self.0.push(REGISTRY, "old", "1");
        for namespace in [OLD, STRICT, "shop", "prod"] {
            self.kubectl(&["create", "namespace", namespace]).expect_ok();
        }
        self.create(OLD, &deployment("old", "old:1")).expect_ok();
        self.available(OLD, "old");
        self.helm();
        for policy in ["deny-missing", "pin-production"] {
            self.kubectl(&["apply", "-f", &file(&format!("policies/{policy}.yaml"))]).expect_ok();
        }
        let accepted = "jsonpath={.items[*].status.conditions[?(@.type==\"Accepted\")].status}";
        // The API server learns of webhooks, and the webhook of policies, a moment after they are told.
        until("the webhook acts on both policies", async || {
            let told = self.kubectl(&["get", "icheck", "-o", accepted]).expect_ok();
            (told == "True True"
                && !self.asked("shop", "shop:absent").ok
                && !self.asked(STRICT, "shop:absent").ok
                && self.asked("prod", "shop:1").out.contains("@sha256:"))
            .then_some(())
        })
        .await;
    }

    fn helm(&self) {
        let helm = assets::program("helm").display().to_string();
        let (chart, values) = (
            file("charts/pullproof"),
            json!({
                "image": {"repository": image("pullproof"), "tag": "test"},
                "registries": settings(),
                "strictNamespaces": [STRICT],
            }),
        );
        let install =
            [&helm, "install", "pullproof", &chart, "--namespace", SYSTEM, "--create-namespace"];
        let wait = ["--values", "-", "--wait", "--timeout", "180s"];
        let said = self.0.inside(&[&install[..], &wait].concat(), &values.to_string());
        if !said.ok {
            let pods = self.kubectl(&["get", "pods,events", "-n", SYSTEM, "-o", "wide"]);
            let logs = self.kubectl(&["logs", "-n", SYSTEM, "-l", CHART, "--tail=20"]);
            panic!("{}\n{}\n{}{}", said.errors, pods.out, logs.out, logs.errors);
        }
    }

    fn kubectl(&self, line: &[&str]) -> Said {
        self.0.kubectl(line, "")
    }

    fn create(&self, namespace: &str, object: &Value) -> Said {
        self.0.kubectl(&["create", "-n", namespace, "-f", "-"], &object.to_string())
    }

    /// What would be made of a Pod of this image.
    fn asked(&self, namespace: &str, image: &str) -> Said {
        let line = ["create", "-n", namespace, "--dry-run=server", "-o", "yaml", "-f", "-"];
        self.0.kubectl(&line, &pod(image).to_string())
    }

    fn list(&self, namespace: &str, what: &str, selector: &str) -> Vec<Value> {
        let line = ["get", what, "-n", namespace, "-l", selector, "-o", "json"];
        let mut list: Value = serde_json::from_str(&self.kubectl(&line).expect_ok()).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    #[track_caller]
    fn available(&self, namespace: &str, deployment: &str) {
        let deployment = format!("deployment/{deployment}");
        let said =
            self.kubectl(&["rollout", "status", "-n", namespace, "--timeout=120s", &deployment]);
        if !said.ok {
            panic!("{}{}", said.errors, self.kubectl(&["get", "events", "-n", namespace]).out);
        }
    }

    /// The report of a scan, as JSON.
    fn scan(&self, arguments: &[&str]) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let registries = folder.path().join("registries.toml");
        std::fs::write(&registries, settings()).unwrap();
        let registries = registries.display().to_string();
        let scan =
            [env!("CARGO_BIN_EXE_pullproof"), "scan", "-o", "json", "--registries", &registries];
        let said = self.0.inside(&[&scan[..], arguments].concat(), "");
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.errors))
    }
}

#[test]
fn the_image_is_one_static_program_and_nothing_that_could_load_another() {
    let files = own_image::files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "pullproof"]
    );
    own_image::elf::runs_alone(&files[3].1).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pods_of_the_chart_run_that_image_and_answer() {
    let place = Place::shared().await;
    let digest = own_image::digest();
    for (component, replicas) in [("serve", 2), ("controller", 1)] {
        let selector = format!("{CHART},app.kubernetes.io/component={component}");
        let pods = place.list(SYSTEM, "pods", &selector);
        assert_eq!(pods.len(), replicas, "{pods:#?}");
        for pod in pods {
            let status = &pod["status"]["containerStatuses"][0];
            let running = status["imageID"].as_str().unwrap();
            assert!(status["ready"] == true && running.ends_with(&digest), "{digest}: {status:#}");
            let name = pod["metadata"]["name"].as_str().unwrap();
            let path = format!("/api/v1/namespaces/{SYSTEM}/pods/{name}:9090/proxy/metrics");
            let metrics = place.kubectl(&["get", "--raw", &path]).expect_ok();
            assert!(metrics.contains("pullproof_"), "{component}: {metrics}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_deployment_runs_with_its_image_pinned_and_a_bad_one_is_refused() {
    let place = Place::shared().await;
    place.create("prod", &deployment("web", "shop:1")).expect_ok();
    place.available("prod", "web");
    let pods = place.list("prod", "pods", "app=web");
    let [pod] = pods.as_slice() else { panic!("{pods:?}") };
    let pinned = pod["spec"]["containers"][0]["image"].as_str().unwrap();
    let digest = pinned.strip_prefix(&format!("{}@", image("shop:1"))).expect(pinned);
    let running = pod["status"]["containerStatuses"][0]["imageID"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && running.ends_with(digest), "{pinned} runs {running}");
    let kept = pod["metadata"]["annotations"]["pullproof.dev/original-images"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(kept).unwrap(), json!({"c": image("shop:1")}));
    let line = ["get", "deployment", "web", "-n", "prod", "-o", "jsonpath={..image}"];
    assert_eq!(place.kubectl(&line).expect_ok(), image("shop:1"), "a workload is never changed");

    let is_a_denial = |said: Said| {
        let refusal = said.expect_refused();
        assert!(refusal.contains("denied the request"), "{refusal}");
        assert!(refusal.contains("shop:absent") && refusal.contains("no tag"), "{refusal}");
    };
    for namespace in ["shop", "prod", STRICT] {
        is_a_denial(place.create(namespace, &deployment("bad", "shop:absent")));
        is_a_denial(place.create(namespace, &pod_named("bad", "shop:absent")));
    }
    // A rollout to it is refused as well, and what runs goes on.
    let bad = format!("c={}", image("shop:absent"));
    is_a_denial(place.kubectl(&["set", "image", "-n", "prod", "deployment/web", &bad]));
    place.available("prod", "web");
}

fn pod_named(name: &str, image: &str) -> Value {
    let mut pod = pod(image);
    pod["metadata"] = json!({"name": name});
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_pod_whose_tag_is_gone_comes_back_with_a_warning_and_scan_tells_of_it() {
    let place = Place::shared().await;
    let report = place.scan(&["-A"]);
    let images = report["results"].to_string();
    assert!(images.contains("/old:1") && images.contains("/pullproof:test"), "{report:#}");
    for trouble in ["findings", "inconclusive", "deny", "warn"] {
        assert_eq!(report["summary"][trouble], 0, "{report:#}");
    }

    place.0.forget("old", "1");
    let report = place.scan(&["-A"]);
    let of = |result: &&Value| result["outcome"] != "pullable";
    let bad: Vec<_> = report["results"].as_array().unwrap().iter().filter(of).collect();
    let [gone] = bad.as_slice() else { panic!("{report:#}") };
    assert_eq!(gone["image"], json!(image("old:1")));
    assert_eq!(gone["verdict"], "deny", "what Deny would refuse");
    let remarks = gone["remarks"].to_string();
    assert!(remarks.contains("after a drain they would not come back"), "{remarks}");

    let first = place.list(OLD, "pods", "app=old").remove(0);
    let name = first["metadata"]["name"].as_str().unwrap();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name, "namespace": OLD}});
    let path = format!("/api/v1/namespaces/{OLD}/pods/{name}/eviction");
    place.0.kubectl(&["create", "--raw", &path, "-f", "-"], &eviction.to_string()).expect_ok();
    let uid = &first["metadata"]["uid"];
    until("another Pod runs: the node still holds the image", async || {
        let pods = place.list(OLD, "pods", "app=old");
        let ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
        pods.iter().any(|pod| pod["metadata"]["uid"] != *uid && ready(pod)).then_some(())
    })
    .await;
    let note = until("an Event about the ReplicaSet", async || {
        let line = ["get", "events.events.k8s.io", "-n", OLD, "-o", "json"];
        let events: Value = serde_json::from_str(&place.kubectl(&line).expect_ok()).unwrap();
        let events = events["items"].as_array().unwrap().clone();
        let ours = events.into_iter().find(|event| event["reason"] == "ImageWillNotPull")?;
        assert_eq!(ours["regarding"]["kind"], "ReplicaSet");
        assert_eq!(ours["type"], "Warning");
        Some(ours["note"].to_string())
    })
    .await;
    assert!(note.contains("old:1") && note.contains("no tag"), "{note}");
    // The workload itself would be refused now.
    let again = place.create(OLD, &deployment("again", "old:1")).expect_refused();
    assert!(again.contains("denied the request"), "{again}");
}

/// F44. Each replica is the one that is killed once: which of them the API server is connected to is
/// its own affair.
#[tokio::test(flavor = "multi_thread")]
async fn f44_a_killed_replica_fails_no_review_that_came_after_it() {
    let place = Place::shared().await;
    place.asked(STRICT, "shop:1").expect_ok();
    let ended = AtomicBool::new(false);
    let begun = Instant::now();
    let (failures, kills) = std::thread::scope(|scope| {
        let creating = scope.spawn(|| {
            let (mut count, mut failures) = (0, Vec::new());
            while !ended.load(Ordering::Relaxed) {
                let at = begun.elapsed();
                let said = place.asked(STRICT, "shop:1");
                count += 1;
                if !said.ok {
                    failures.push((at, said.errors));
                }
            }
            assert!(count >= 10, "only {count} Pods were asked about");
            failures
        });
        let kills: Vec<Duration> = replicas(&place)
            .into_iter()
            .map(|name| {
                let at = begun.elapsed();
                let force = ["--grace-period=0", "--force", "--wait=false"];
                let line = [&["delete", "pod", "-n", SYSTEM, &name], &force[..]].concat();
                place.kubectl(&line).expect_ok();
                std::thread::sleep(Duration::from_secs(4));
                place.available(SYSTEM, "pullproof");
                at
            })
            .collect();
        ended.store(true, Ordering::Relaxed);
        (creating.join().unwrap(), kills)
    });
    assert_eq!(kills.len(), 2);
    let in_flight = |at: &Duration| {
        kills.iter().any(|kill| {
            *kill <= *at + Duration::from_secs(1) && *at <= *kill + Duration::from_secs(1)
        })
    };
    let late: Vec<_> = failures.iter().filter(|(at, _)| !in_flight(at)).collect();
    assert!(late.is_empty(), "killed at {kills:?}: {late:#?}");
}

fn replicas(place: &Place) -> Vec<String> {
    let name = |pod: Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    let selector = format!("{CHART},app.kubernetes.io/component=serve");
    place.list(SYSTEM, "pods", &selector).into_iter().map(name).collect()
}
