//! What the controller counts. Labels come from closed sets.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::webhooks::{Drift, Kind};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    configuration: &'static str,
    drift: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    configuration: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkLabels {
    work: &'static str,
}

/// All metrics of the controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub leads: Gauge,
    pub certificate_expiry: Gauge,
    pub authority_expiry: Gauge,
    pub renewals: Counter,
    drift: Family<DriftLabels, Gauge>,
    mended: Family<KindLabels, Counter>,
    policies: Family<StateLabels, Gauge>,
    failures: Family<WorkLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pullproof");
        let leads = Gauge::default();
        registry.register(
            "controller_leader",
            "Whether this process holds the Lease",
            leads.clone(),
        );
        let certificate_expiry = Gauge::default();
        let help = "When the webhook's certificate ends, in seconds since 1970";
        registry.register(
            "controller_certificate_expiry_seconds",
            help,
            certificate_expiry.clone(),
        );
        let authority_expiry = Gauge::default();
        let help = "When the certificate authority ends, in seconds since 1970";
        registry.register("controller_authority_expiry_seconds", help, authority_expiry.clone());
        let renewals = Counter::default();
        registry.register("controller_certificate_renewals", "Certificates made", renewals.clone());
        let drift = Family::default();
        let help = "Whether a webhook configuration is not as it should be";
        registry.register("webhook_configuration_drift", help, drift.clone());
        let mended = Family::default();
        registry.register(
            "controller_ca_bundles_mended",
            "caBundles that were written",
            mended.clone(),
        );
        let policies = Family::default();
        registry.register("controller_policies", "Policies, by state", policies.clone());
        let failures = Family::default();
        registry.register(
            "controller_failures",
            "Work that failed and is tried again",
            failures.clone(),
        );
        Self {
            registry,
            leads,
            certificate_expiry,
            authority_expiry,
            renewals,
            drift,
            mended,
            policies,
            failures,
        }
    }
}

impl Metrics {
    /// Sets which drifts a configuration shows now.
    pub fn drift(&self, kind: Kind, found: &[Drift]) {
        for drift in Drift::ALL {
            let labels = DriftLabels { configuration: kind.id(), drift: drift.id() };
            self.drift.get_or_create(&labels).set(i64::from(found.contains(&drift)));
        }
    }

    /// What only a leader knows is no longer known.
    pub fn forget(&self) {
        self.leads.set(0);
        self.drift.clear();
        self.policies.clear();
    }

    /// Counts a caBundle that was written.
    pub fn mended(&self, kind: Kind) {
        self.mended.get_or_create(&KindLabels { configuration: kind.id() }).inc();
    }

    /// Sets how many policies there are.
    pub fn policies(&self, accepted: usize, invalid: usize) {
        for (state, count) in [("accepted", accepted), ("invalid", invalid)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.policies.get_or_create(&StateLabels { state }).set(count);
        }
    }

    /// Counts work that failed.
    pub fn failed(&self, work: &'static str) {
        self.failures.get_or_create(&WorkLabels { work }).inc();
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
