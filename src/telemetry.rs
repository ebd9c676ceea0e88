//! What kefu tells of itself: log lines and metrics.
//!
//! The names of metrics are part of the contract: dashboards and alerts are built on them.

use crate::{runtime::metrics::METRICS, search::embed::EmbeddingCounts};
use prometheus::{Counter, IntCounter, IntCounterVec, IntGauge, Opts, TextEncoder, core::Collector};
use std::{io::IsTerminal, sync::LazyLock};
use tracing_subscriber::{EnvFilter, fmt};

/// Which lines `kefu serve` logs unless it is told: its own, and of the libraries' only warnings.
pub const SERVE_LEVEL: &str = "warn,kefu=info";

/// Which lines a client command logs unless it is told: none, because what went wrong is its error text.
pub const CLIENT_LEVEL: &str = "off";

/// How to log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A level or a filter, if one was asked for.
    pub level: Option<String>,
    /// The filter otherwise.
    pub default_level: &'static str,
    /// One JSON object per line.
    pub json: bool,
}

/// The filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a level (error, warn, info, debug, trace) nor a filter such as warn,kefu=debug")]
pub struct BadFilter(String);

/// Begins to log, on stderr.
///
/// # Errors
/// The filter cannot be read.
pub fn init_logs(options: &LogOptions) -> Result<(), BadFilter> {
    let filter = filter(options)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where something logs already, as in tests.
    let _ = if options.json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    Ok(())
}

fn filter(options: &LogOptions) -> Result<EnvFilter, BadFilter> {
    let text = match options.level.as_deref() {
        // A bare level is meant for kefu: everybody else's debug lines would bury its own.
        Some(level @ ("debug" | "trace" | "info")) => format!("warn,kefu={level}"),
        Some(text) => text.to_owned(),
        None => options.default_level.to_owned(),
    };
    EnvFilter::try_new(&text).map_err(|_| BadFilter(text))
}

/// A node's state at one moment, as its metrics show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Whether it is caught up and decides for all that falls to it.
    pub ready: bool,
    /// Partitions in all.
    pub partitions: u64,
    /// Partitions that it owns.
    pub partitions_owned: u64,
    /// Aggregates in memory.
    pub active_aggregates: u64,
    /// Inputs held in mailboxes.
    pub mailbox_held: u64,
    /// Last commit that the projector has passed.
    pub projector_seq: u64,
    /// Last commit of the log, as last seen.
    pub log_seq: u64,
    /// Whether the connection to NATS stands.
    pub nats_connected: bool,
    /// How often it was lost.
    pub nats_lost: u64,
    /// Memory of the store.
    pub store_memory_bytes: u64,
    /// Its files.
    pub store_disk_bytes: u64,
    /// Knowledge-base entries that can be found, over all tenants.
    pub search_entries: u64,
    /// Changes of entries that search has not taken in yet.
    pub search_pending: u64,
    /// Last commit whose messages can be found.
    pub archive_seq: u64,
    /// What the model of questions has done.
    pub embeddings: EmbeddingCounts,
}

/// What of a node is measured, and not counted: set from a [`Sample`] whenever somebody asks. (What is counted is in
/// [`runtime::metrics`](crate::runtime::metrics).) Both are in Prometheus's default registry, which has the process's
/// own figures, too.
struct Gauges {
    ready: IntGauge,
    partitions: IntGauge,
    partitions_owned: IntGauge,
    active_aggregates: IntGauge,
    mailbox_held: IntGauge,
    projector_seq: IntGauge,
    projector_lag: IntGauge,
    log_seq: IntGauge,
    nats_connected: IntGauge,
    nats_lost: IntCounter,
    store_memory: IntGauge,
    store_disk: IntGauge,
    search_entries: IntGauge,
    search_pending: IntGauge,
    archive_seq: IntGauge,
    embeddings_waiting: IntGauge,
    embeddings: IntCounterVec,
    embedding_seconds: Counter,
}

static GAUGES: LazyLock<Gauges> = LazyLock::new(Gauges::register);

impl Gauges {
    fn register() -> Self {
        let gauge = |name: &str, help: &str| added(IntGauge::new(name, help));
        let build = Opts::new("kefu_build_info", "Always 1; says which version runs");
        added(IntGauge::with_opts(build.const_label("version", env!("CARGO_PKG_VERSION")))).set(1);
        Self {
            ready: gauge("kefu_ready", "1 while this node is caught up and owns its partitions"),
            partitions: gauge("kefu_partitions", "Partitions of this installation"),
            partitions_owned: gauge("kefu_partitions_owned", "Partitions that this node owns"),
            active_aggregates: gauge("kefu_active_aggregates", "Aggregates in memory"),
            mailbox_held: gauge("kefu_mailbox_held", "Inputs held in mailboxes, not yet acknowledged"),
            projector_seq: gauge("kefu_projector_seq", "Sequence in the log that the projector has passed"),
            projector_lag: gauge("kefu_projector_lag", "Commits that the projector has not passed yet"),
            log_seq: gauge("kefu_log_seq", "Last sequence of the log, a second old at most"),
            nats_connected: gauge("kefu_nats_connected", "1 while the connection to NATS stands"),
            nats_lost: added(IntCounter::new("kefu_nats_lost_total", "Times that the connection to NATS was lost")),
            store_memory: gauge("kefu_store_memory_bytes", "Memory of the store: caches, indexes, write buffers"),
            store_disk: gauge("kefu_store_disk_bytes", "Files of the store"),
            search_entries: gauge("kefu_search_entries", "Knowledge-base entries that can be found"),
            search_pending: gauge("kefu_search_pending", "Changes of entries that search has not taken in yet"),
            archive_seq: gauge("kefu_archive_seq", "Sequence in the log up to which messages can be found"),
            embeddings_waiting: gauge("kefu_embeddings_waiting", "Texts that wait for the model of questions"),
            embeddings: added(IntCounterVec::new(
                Opts::new("kefu_embeddings_total", "Texts by what became of them: computed, cached, refused, failed"),
                &["outcome"],
            )),
            embedding_seconds: added(Counter::new("kefu_embedding_seconds_total", "Time that the model has computed")),
        }
    }

    fn set(&self, sample: &Sample) {
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.ready, sample.ready.into());
        set(&self.partitions, sample.partitions);
        set(&self.partitions_owned, sample.partitions_owned);
        set(&self.active_aggregates, sample.active_aggregates);
        set(&self.mailbox_held, sample.mailbox_held);
        set(&self.projector_seq, sample.projector_seq);
        set(&self.projector_lag, sample.log_seq.saturating_sub(sample.projector_seq));
        set(&self.log_seq, sample.log_seq);
        set(&self.nats_connected, sample.nats_connected.into());
        self.nats_lost.inc_by(sample.nats_lost.saturating_sub(self.nats_lost.get()));
        set(&self.store_memory, sample.store_memory_bytes);
        set(&self.store_disk, sample.store_disk_bytes);
        set(&self.search_entries, sample.search_entries);
        set(&self.search_pending, sample.search_pending);
        set(&self.archive_seq, sample.archive_seq);
        let counts = sample.embeddings;
        set(&self.embeddings_waiting, counts.waiting);
        for (outcome, count) in [
            ("computed", counts.computed),
            ("cached", counts.cached),
            ("refused", counts.refused),
            ("failed", counts.failed),
        ] {
            let counter = self.embeddings.with_label_values(&[outcome]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.embedding_seconds.inc_by((counts.busy_us as f64 / 1e6 - self.embedding_seconds.get()).max(0.0));
    }
}

/// All metrics in the text that Prometheus reads, with the gauges as `sample` says.
pub fn render_metrics(sample: &Sample) -> String {
    GAUGES.set(sample);
    // Shown from the start: an alert on a metric that is not there yet never fires.
    LazyLock::force(&METRICS);
    let mut text = String::new();
    if let Err(error) = TextEncoder::new().encode_utf8(&prometheus::gather(), &mut text) {
        tracing::error!(%error, "the metrics cannot be written");
    }
    text
}

/// Names are constants of this file, so that a failure is a defect of it and not of its user.
fn added<C: Collector + Clone + 'static>(collector: prometheus::Result<C>) -> C {
    let register = |collector: C| prometheus::register(Box::new(collector.clone())).map(|()| collector);
    match collector.and_then(register) {
        Ok(collector) => collector,
        Err(error) => unreachable!("two metrics of one name, or a wrong name: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_metrics_are_kept() {
        let sample = Sample { ready: true, log_seq: 7, projector_seq: 5, nats_lost: 2, ..Sample::default() };
        let embeddings = EmbeddingCounts { cached: 3, ..EmbeddingCounts::default() };
        let sample = Sample { embeddings, ..sample };
        render_metrics(&sample);
        let text = render_metrics(&sample);
        for line in [
            "kefu_ready 1",
            "kefu_projector_lag 2",
            "kefu_nats_lost_total 2",
            "kefu_nats_connected 0",
            "kefu_append_seconds_count",
            "kefu_timers_sent_total",
            "kefu_embeddings_total{outcome=\"cached\"} 3",
            "kefu_build_info{version=",
            "process_resident_memory_bytes",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_bare_level_is_for_kefu_and_a_filter_for_everybody() {
        let options = |level: &str| LogOptions { level: Some(level.into()), default_level: SERVE_LEVEL, json: false };
        assert_eq!(filter(&options("debug")).unwrap().to_string(), "kefu=debug,warn");
        assert!(filter(&options("async_nats=trace")).is_ok());
        assert!(filter(&options("kefu=loud")).is_err());
    }
}
