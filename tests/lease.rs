//! Who leads, against an API server that keeps one Lease and fails as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use pullproof::cluster::lease::{Clocks, End, Lease};
use serde_json::{Value, json};

const CLOCKS: Clocks = Clocks {
    renew: Duration::from_millis(100),
    give_up: Duration::from_millis(800),
    expire: Duration::from_secs(2),
};

/// How the server treats writes.
#[derive(Clone, Copy, PartialEq)]
enum Writes {
    Work,
    /// Refused by a fault of the server.
    Fail,
    /// Never answered.
    Hang,
    /// Done, but the answer is lost.
    DoneButFail,
}

struct Server {
    lease: Mutex<Option<Value>>,
    version: AtomicUsize,
    writes: Mutex<Writes>,
}

impl Server {
    /// Starts it with a Lease that is there already, if any; returns it and its port.
    async fn start(lease: Option<Value>) -> (Arc<Self>, u16) {
        let server = Arc::new(Self {
            lease: Mutex::new(lease),
            version: AtomicUsize::new(1),
            writes: Mutex::new(Writes::Work),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&server));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, port)
    }

    fn set(&self, writes: Writes) {
        *self.writes.lock().unwrap() = writes;
    }

    /// Writes with the resourceVersion that is there, or refuses.
    fn write(&self, mut new: Value, creates: bool) -> (StatusCode, Value) {
        let mut lease = self.lease.lock().unwrap();
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        match &*lease {
            Some(_) if creates => return refusal(409),
            Some(old) if version(old) != version(&new) => return refusal(409),
            None if !creates => return refusal(404),
            _ => {}
        }
        let next = self.version.fetch_add(1, Ordering::SeqCst);
        new["metadata"]["resourceVersion"] = json!(next.to_string());
        *lease = Some(new.clone());
        (StatusCode::OK, new)
    }
}

fn refusal(code: u16) -> (StatusCode, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": "told", "code": code});
    (StatusCode::from_u16(code).unwrap(), status)
}

async fn answer(
    State(server): State<Arc<Server>>,
    method: Method,
    body: String,
) -> (StatusCode, String) {
    let (status, body) = match method {
        Method::GET => match &*server.lease.lock().unwrap() {
            Some(lease) => (StatusCode::OK, lease.clone()),
            None => refusal(404),
        },
        _ => {
            let new: Value = serde_json::from_str(&body).unwrap();
            let creates = method == Method::POST;
            let writes = *server.writes.lock().unwrap();
            match writes {
                Writes::Work => server.write(new, creates),
                Writes::Fail => refusal(500),
                Writes::Hang => std::future::pending().await,
                Writes::DoneButFail => {
                    server.write(new, creates);
                    refusal(500)
                }
            }
        }
    };
    (status, body.to_string())
}

fn lease(port: u16, identity: &str) -> Lease {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = kube::Config::new(format!("http://127.0.0.1:{port}").parse().unwrap());
    let client = kube::Client::try_from(config).unwrap();
    Lease::new(client, "checks", "controller", identity, CLOCKS)
}

fn held_by(holder: &str, renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "controller", "namespace": "checks", "resourceVersion": "0"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 2, "renewTime": renewed,
                 "acquireTime": renewed, "leaseTransitions": 7},
    })
}

fn nobody_asks(_: bool) {}

/// Notes when the work that holds it was dropped.
struct Worked<'a>(&'a Mutex<Option<Instant>>);

impl Drop for Worked<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = Some(Instant::now());
    }
}

/// A leader whose writes begin to fail, and another that waits: when the first one's work ended and
/// when the second's began.
async fn hand_over(writes: Writes) -> (Duration, Instant, Instant) {
    let (server, port) = Server::start(None).await;
    let (first, second) = (lease(port, "first"), lease(port, "second"));
    let term = first.acquire(&nobody_asks).await;
    let ended = Mutex::new(None);
    let work = async {
        let _worked = Worked(&ended);
        // It works well past one whole expiry.
        tokio::time::sleep(CLOCKS.expire + CLOCKS.expire / 2).await;
        server.set(writes);
        std::future::pending::<()>().await;
    };
    let other = async {
        let term = second.acquire(&nobody_asks).await;
        let began = Instant::now();
        drop(term);
        began
    };
    let begun = Instant::now();
    let heal = async {
        let lost = term.lead(work).await;
        assert_eq!(lost, End::Lost);
        let failed = begun.elapsed() - (CLOCKS.expire + CLOCKS.expire / 2);
        server.set(Writes::Work);
        failed
    };
    let (failed, began) = tokio::join!(heal, other);
    (failed, ended.into_inner().unwrap().unwrap(), began)
}

#[tokio::test(flavor = "multi_thread")]
async fn f42_a_leader_whose_renewals_fail_stops_before_another_may_begin() {
    let both = tokio::join!(hand_over(Writes::Fail), hand_over(Writes::Hang));
    for (failed, ended, began) in [both.0, both.1] {
        assert!(ended < began, "two worked at a time");
        assert!(failed < CLOCKS.expire, "it worked on for {failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_answer_was_lost_is_none_that_failed() {
    let (server, port) = Server::start(None).await;
    let only = lease(port, "only");
    let term = only.acquire(&nobody_asks).await;
    let work = async {
        for _ in 0..3 {
            server.set(Writes::DoneButFail);
            tokio::time::sleep(CLOCKS.renew * 3 / 2).await;
            server.set(Writes::Work);
            tokio::time::sleep(CLOCKS.give_up).await;
        }
    };
    assert_eq!(term.lead(work).await, End::Done(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_try_one_leads_at_a_time() {
    let (_server, port) = Server::start(None).await;
    let (now, most, terms) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let one = async |name: usize| {
        let lease = lease(port, &format!("member-{name}"));
        let term = lease.acquire(&nobody_asks).await;
        let done = term
            .lead(async {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(CLOCKS.renew * 2).await;
                now.fetch_sub(1, Ordering::SeqCst);
            })
            .await;
        assert_eq!(done, End::Done(()));
        terms.fetch_add(1, Ordering::SeqCst);
    };
    futures_util::future::join_all((0..8).map(one)).await;
    assert_eq!((most.into_inner(), terms.into_inner()), (1, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn f48_the_clocks_of_others_are_not_believed() {
    for renewed in ["2000-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z"] {
        let (_server, port) = Server::start(Some(held_by("someone", renewed))).await;
        let begun = Instant::now();
        lease(port, "us").acquire(&nobody_asks).await;
        assert!(begun.elapsed() >= CLOCKS.expire, "{renewed}: taken after {:?}", begun.elapsed());
    }
}

/// Its leader's clock jumps by an hour either way; it renews, and that is what counts.
#[tokio::test(flavor = "multi_thread")]
async fn f48_a_leader_whose_clock_jumps_is_not_taken_for_dead() {
    let (server, port) = Server::start(Some(held_by("someone", &clock(0)))).await;
    let us = lease(port, "us");
    let mut taking = std::pin::pin!(us.acquire(&nobody_asks));
    let ends = Instant::now() + CLOCKS.expire * 3 / 2;
    for jump in [-1, 1].into_iter().cycle() {
        if Instant::now() > ends {
            break;
        }
        let renewed = server.lease.lock().unwrap().clone().map(|mut lease| {
            lease["spec"]["renewTime"] = json!(clock(jump));
            lease
        });
        server.write(renewed.unwrap(), false);
        let waited = tokio::time::timeout(CLOCKS.expire / 4, &mut taking).await;
        assert!(waited.is_err(), "taken from one who renews");
    }
    // It renews no more, and its last word is of the future.
    let begun = Instant::now();
    taking.await;
    assert!(begun.elapsed() < CLOCKS.expire * 2, "{:?}", begun.elapsed());
}

/// The time, so many hours off.
fn clock(hours: i64) -> String {
    use k8s_openapi::jiff::{Timestamp, ToSpan as _};
    let now = Timestamp::now() + hours.hours();
    format!("{now:.6}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_given_back_is_taken_at_once() {
    let (server, port) = Server::start(None).await;
    let (first, second) = (lease(port, "first"), lease(port, "second"));
    let term = first.acquire(&nobody_asks).await;
    assert_eq!(term.lead(async { 7 }).await, End::Done(7));
    let begun = Instant::now();
    second.acquire(&nobody_asks).await;
    assert!(begun.elapsed() < CLOCKS.expire);
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn someone_else_s_name_in_the_lease_ends_the_work() {
    let (server, port) = Server::start(None).await;
    let only = lease(port, "only");
    let term = only.acquire(&nobody_asks).await;
    let work = async {
        let mut usurped = held_by("usurper", "2026-01-01T00:00:00.000000Z");
        usurped["metadata"]["resourceVersion"] = json!("usurped");
        *server.lease.lock().unwrap() = Some(usurped);
        std::future::pending::<()>().await;
    };
    let begun = Instant::now();
    assert_eq!(term.lead(work).await, End::Lost);
    assert!(begun.elapsed() < CLOCKS.give_up, "it waited for its end: {:?}", begun.elapsed());
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "usurper");
}
