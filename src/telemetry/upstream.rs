//! What registries cost and gave, as metrics: the counts of [`Stats`] under
//! names out of a closed set, taken whole at each scrape.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use crate::registry::{Breaker, RegistryStats, SECONDS, Stats};

type NoLabels = [(&'static str, &'static str); 0];

/// The counts of the last scrape, by label.
#[derive(Debug, Default)]
pub struct Upstream(Mutex<BTreeMap<String, RegistryStats>>);

impl Upstream {
    /// Takes counts; `label` gives a registry its name here.
    pub fn set(&self, stats: &Stats, label: impl Fn(&str) -> String) {
        let mut by_label: BTreeMap<String, RegistryStats> = BTreeMap::new();
        let other = (OTHER.to_owned(), &stats.other);
        let named = stats.registries.iter().map(|(name, counted)| (label(name), counted));
        for (label, counted) in named.chain([other]) {
            by_label.entry(label).or_default().add(counted);
        }
        *self.lock() = by_label;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, RegistryStats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every registry without a name of its own.
pub const OTHER: &str = "other";

impl Collector for Upstream {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.lock();
        let mut counter = |name, help, of: &dyn Fn(&RegistryStats) -> Vec<(&'static str, u64)>| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (registry, counted) in all.iter() {
                for (result, count) in of(counted) {
                    let mut labels = vec![("registry", registry.as_str())];
                    if !result.is_empty() {
                        labels.insert(0, ("result", result));
                    }
                    let mut one = metric.encode_family(&labels)?;
                    one.encode_counter(&count, None::<&Exemplar<NoLabels, u64>>)?;
                }
            }
            fmt::Result::Ok(())
        };
        counter("cache", "Questions, by where their answers came from.", &|counted| {
            vec![("hit", counted.hits), ("miss", counted.misses), ("stale", counted.stale)]
        })?;
        let help = "Requests sent to registries and their token services.";
        counter("upstream_requests", help, &|counted| vec![("", counted.requests)])?;
        let mut gauge = |name, help, of: &dyn Fn(&RegistryStats) -> Option<u64>| {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (registry, counted) in all.iter() {
                if let Some(value) = of(counted) {
                    let labels = [("registry", registry.as_str())];
                    metric.encode_family(&labels)?.encode_gauge(&value)?;
                }
            }
            fmt::Result::Ok(())
        };
        gauge("breaker_open", "Whether a registry is left alone since it keeps failing.", &|it| {
            Some(u64::from(it.breaker == Breaker::Open))
        })?;
        let help = "Pulls that a registry still grants us, where it says so.";
        gauge("registry_ratelimit_remaining", help, &|counted| counted.pulls_left)?;
        let mut sum = RegistryStats::default();
        all.values().for_each(|counted| sum.add(counted));
        let bounds = SECONDS.into_iter().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sum.seconds).collect();
        let help = "Time of one request to a registry.";
        encoder
            .encode_descriptor("upstream_seconds", help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabels>(sum.time.as_secs_f64(), sum.requests, &buckets, None)
    }
}
