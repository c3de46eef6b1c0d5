//! The metrics of the webhook. Labels come from closed sets: causes, verdicts, and the registries that
//! are known or set; a registry that anybody can name is `other`. Never an image, a tag or a namespace.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::upstream::Upstream;

/// Which review, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReviewLabels {
    pub endpoint: &'static str,
    /// `deny`, `warn`, `audit`, `allow`, or `exempt`, `bad-request`, `busy`, `failed`.
    pub verdict: &'static str,
}

/// What a question came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// A cause or reason by its id, or `pullable`.
    pub cause: &'static str,
    pub registry: String,
    pub verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// All metrics of the webhook.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    results: Family<ResultLabels, Counter>,
    review_seconds: Histogram,
    own_seconds: Histogram,
    /// What registries cost and gave.
    pub upstream: Arc<Upstream>,
    pub in_flight: Gauge,
    pub reload_errors: Counter,
    pub handshake_errors: Counter,
    pub panics: Counter,
    certificate_expiry: Gauge,
    policies: Family<StateLabels, Gauge>,
}

/// From a cached answer to the API server's patience.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pullproof");
        let reviews = Family::default();
        registry.register("reviews", "Reviews answered, by verdict", reviews.clone());
        let results = Family::default();
        registry.register("results", "Images judged, by cause", results.clone());
        let review_seconds = Histogram::new(SECONDS);
        let help = "Time from a review's headers to its answer";
        registry.register("review_seconds", help, review_seconds.clone());
        let own_seconds = Histogram::new(SECONDS);
        let help = "Time of a review that was not spent waiting for anybody";
        registry.register("own_seconds", help, own_seconds.clone());
        let upstream = Arc::<Upstream>::default();
        registry.register_collector(Box::new(Arc::clone(&upstream)));
        let in_flight = Gauge::default();
        registry.register("reviews_in_flight", "Reviews being answered", in_flight.clone());
        let reload_errors = Counter::default();
        let help = "Changed certificates that could not be used";
        registry.register("certificate_reload_errors", help, reload_errors.clone());
        let handshake_errors = Counter::default();
        let help = "TLS handshakes that failed; many mean a stale caBundle";
        registry.register("handshake_errors", help, handshake_errors.clone());
        let panics = Counter::default();
        registry.register("panics", "Reviews that met a fault of ours", panics.clone());
        let certificate_expiry = Gauge::default();
        let help = "When the served certificate ends, in seconds since 1970";
        registry.register("certificate_expiry_seconds", help, certificate_expiry.clone());
        let policies = Family::default();
        registry.register("policies", "Policies, by state", policies.clone());
        Self {
            registry,
            reviews,
            results,
            review_seconds,
            own_seconds,
            upstream,
            in_flight,
            reload_errors,
            handshake_errors,
            panics,
            certificate_expiry,
            policies,
        }
    }
}

impl Metrics {
    /// Counts a review: how long it took, and how much of that was our own work.
    pub fn review(
        &self,
        endpoint: &'static str,
        verdict: &'static str,
        took: Duration,
        own: Duration,
    ) {
        self.reviews.get_or_create(&ReviewLabels { endpoint, verdict }).inc();
        self.review_seconds.observe(took.as_secs_f64());
        self.own_seconds.observe(own.as_secs_f64());
    }

    /// Counts a question's result.
    pub fn result(&self, labels: &ResultLabels) {
        self.results.get_or_create(labels).inc();
    }

    /// The gauges that follow something else, before they are read.
    pub fn set(&self, expiry: i64, accepted: usize, invalid: usize) {
        self.certificate_expiry.set(expiry);
        let gauge = |state, count: usize| {
            self.policies
                .get_or_create(&StateLabels { state })
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        gauge("accepted", accepted);
        gauge("invalid", invalid);
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
