//! What is measured at the moment somebody asks, and not counted as it happens.

use super::catalogue::{self, Definition, Kind};
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder, core::Collector, proto::MetricFamily};
use std::collections::BTreeMap;

/// Series of one metric, at most: a name that somebody makes up a thousand times must not fill Prometheus.
const MAX_SERIES: usize = 2_000;

/// Gauges, and counters that somebody else keeps, with their values at one moment.
#[derive(Debug, Default)]
pub struct Figures {
    series: BTreeMap<&'static str, (&'static Definition, BTreeMap<Vec<String>, f64>)>,
    dropped: u64,
}

impl Figures {
    /// Sets one value. `labels` are those of the definition, in its order.
    pub fn set<const N: usize>(&mut self, metric: &'static Definition, labels: [&str; N], value: impl Into<Value>) {
        debug_assert_eq!(metric.labels.len(), N, "{}", metric.name);
        let (_, values) = self.series.entry(metric.name).or_insert_with(|| (metric, BTreeMap::new()));
        let labels = labels.map(str::to_owned).to_vec();
        if values.len() >= MAX_SERIES && !values.contains_key(&labels) {
            self.dropped += 1;
            return;
        }
        values.insert(labels, value.into().0);
    }

    /// A value that was set.
    pub fn get<const N: usize>(&self, metric: &Definition, labels: [&str; N]) -> Option<f64> {
        self.series.get(metric.name)?.1.get(labels.map(str::to_owned).as_slice()).copied()
    }

    /// All metrics of this process in the text that Prometheus reads: these, what was counted as it happened, and the
    /// process's own.
    pub fn render(mut self) -> String {
        self.set(&catalogue::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1_u64);
        self.set(&catalogue::SERIES_DROPPED, [], self.dropped);
        let mut text = String::new();
        let written = self.families().and_then(|mut families| {
            families.extend(prometheus::gather());
            families.sort_by(|one, other| one.name().cmp(other.name()));
            TextEncoder::new().encode_utf8(&families, &mut text)
        });
        if let Err(error) = written {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    fn families(&self) -> prometheus::Result<Vec<MetricFamily>> {
        let registry = Registry::new();
        for (metric, values) in self.series.values() {
            let options = Opts::new(metric.name, metric.help);
            let collector: Box<dyn Collector> = match metric.kind {
                Kind::Counter => {
                    let counter = CounterVec::new(options, metric.labels)?;
                    for (labels, value) in values {
                        counter.get_metric_with_label_values(labels)?.inc_by(value.max(0.0));
                    }
                    Box::new(counter)
                }
                Kind::Gauge => {
                    let gauge = GaugeVec::new(options, metric.labels)?;
                    for (labels, value) in values {
                        gauge.get_metric_with_label_values(labels)?.set(*value);
                    }
                    Box::new(gauge)
                }
                Kind::Histogram(_) => unreachable!("{} is counted as it happens", metric.name),
            };
            registry.register(collector)?;
        }
        Ok(registry.gather())
    }
}

/// A number, as Prometheus has them.
#[derive(Debug, Clone, Copy)]
pub struct Value(f64);

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self(value as f64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_not_shown_again_and_no_metric_grows_without_end() {
        let mut figures = Figures::default();
        figures.set(&catalogue::QUEUE_WAITING, ["demo", "sales"], 3_u64);
        figures.set(&catalogue::NATS_LOST, [], 2_u64);
        let text = figures.render();
        for line in [
            "kefu_queue_waiting{queue=\"sales\",tenant=\"demo\"} 3",
            "# TYPE kefu_nats_lost_total counter",
            "kefu_nats_lost_total 2",
            "kefu_build_info{version=",
            "process_resident_memory_bytes",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let mut figures = Figures::default();
        for queue in 0..MAX_SERIES + 7 {
            figures.set(&catalogue::QUEUE_WAITING, ["demo", &queue.to_string()], 1_u64);
        }
        let text = figures.render();
        assert!(!text.contains("sales"), "of the time before");
        assert_eq!(text.matches("kefu_queue_waiting{").count(), MAX_SERIES);
        assert!(text.contains("kefu_metrics_series_dropped 7"), "{text}");
    }
}
