//! What is counted while the runtime, the scheduler and the answers work. What each metric means stands in the
//! [`catalogue`](crate::telemetry::catalogue).

use super::{intake::reason, machine::Counters};
use crate::{journal::Outgoing, telemetry::catalogue};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec};
use std::sync::LazyLock;

/// The one set of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// See each field's definition in the catalogue.
pub struct Metrics {
    /// [`catalogue::APPEND_SECONDS`].
    pub append_seconds: Histogram,
    /// [`catalogue::TIMERS_SENT`].
    pub timers_sent: IntCounter,
    /// [`catalogue::TAKEOVERS`].
    pub takeovers: IntCounter,
    /// [`catalogue::SCHEDULER_ROUND_SECONDS`].
    pub scheduler_round_seconds: Histogram,
    /// [`catalogue::ANSWER_SECONDS`].
    pub answer_seconds: Histogram,
    activations: IntCounter,
    passivations: IntCounter,
    outcomes: IntCounterVec,
    reservations: IntCounterVec,
    scheduling: IntCounterVec,
    scheduling_seconds: HistogramVec,
    answered: IntCounterVec,
    published: IntCounterVec,
    rejected: IntCounterVec,
}

impl Metrics {
    fn register() -> Self {
        let counter = |counters: IntCounterVec| counters.with_label_values::<&str>(&[]);
        let histogram = |histograms: HistogramVec| histograms.with_label_values::<&str>(&[]);
        Self {
            append_seconds: histogram(catalogue::APPEND_SECONDS.histogram()),
            timers_sent: counter(catalogue::TIMERS_SENT.counter()),
            takeovers: counter(catalogue::TAKEOVERS.counter()),
            scheduler_round_seconds: histogram(catalogue::SCHEDULER_ROUND_SECONDS.histogram()),
            answer_seconds: histogram(catalogue::ANSWER_SECONDS.histogram()),
            activations: counter(catalogue::ACTIVATIONS.counter()),
            passivations: counter(catalogue::PASSIVATIONS.counter()),
            outcomes: from_zero(
                catalogue::INPUTS.counter(),
                &["commits", "refusals", "duplicates", "conflicts", "unknown_outcomes", "quarantined"],
            ),
            reservations: from_zero(catalogue::RESERVATIONS.counter(), &["sent", "not_sent"]),
            scheduling: catalogue::SCHEDULING.counter(),
            scheduling_seconds: catalogue::SCHEDULING_SECONDS.histogram(),
            answered: from_zero(catalogue::ANSWERS.counter(), &["answered", "asked_back", "declined"]),
            published: from_zero(catalogue::EFFECTS.counter(), &["reply", "command", "result", "rejected"]),
            rejected: from_zero(catalogue::REJECTED.counter(), &reason::ALL),
        }
    }

    /// Adds what a machine counted since `before`.
    pub fn add(&self, before: Counters, now: Counters) {
        let pairs = [
            ("commits", before.commits, now.commits),
            ("refusals", before.refusals, now.refusals),
            ("duplicates", before.duplicates, now.duplicates),
            ("conflicts", before.conflicts, now.conflicts),
            ("unknown_outcomes", before.unknown_outcomes, now.unknown_outcomes),
            ("quarantined", before.quarantined, now.quarantined),
        ];
        for (outcome, before, now) in pairs {
            self.outcomes.with_label_values(&[outcome]).inc_by(now.saturating_sub(before));
        }
        self.activations.inc_by(now.activated.saturating_sub(before.activated));
        self.passivations.inc_by(now.passivated.saturating_sub(before.passivated));
    }

    /// Counts a reservation that the scheduler asked for.
    pub fn reserved(&self, sent: bool) {
        self.reservations.with_label_values(&[if sent { "sent" } else { "not_sent" }]).inc();
    }

    /// Counts what became of a conversation for which a free agent was found: `offered` or `late`.
    pub fn scheduled(&self, tenant: &str, outcome: &str) {
        self.scheduling.with_label_values(&[tenant, outcome]).inc();
    }

    /// It was offered after so many seconds.
    pub fn scheduling_took(&self, tenant: &str, seconds: f64) {
        self.scheduling_seconds.with_label_values(&[tenant]).observe(seconds);
    }

    /// Shows the counters of a tenant's scheduling before there is anything to count: a first failure must be seen as a change.
    pub fn schedules_for(&self, tenant: &str) {
        for outcome in ["offered", "late"] {
            self.scheduling.with_label_values(&[tenant, outcome]);
        }
        self.scheduling_seconds.with_label_values(&[tenant]);
    }

    /// Counts a customer's question that was dealt with.
    pub fn answered(&self, outcome: &str) {
        self.answered.with_label_values(&[outcome]).inc();
    }

    /// Counts one effect.
    pub fn published(&self, outgoing: &Outgoing) {
        let kind = match outgoing {
            Outgoing::Reply { .. } => "reply",
            Outgoing::Command { .. } => "command",
            Outgoing::Result { .. } => "result",
            Outgoing::Rejected { headers, .. } => {
                let reason = headers.get(super::intake::header::REASON).map_or("", String::as_str);
                self.rejected.with_label_values(&[reason]).inc();
                "rejected"
            }
        };
        self.published.with_label_values(&[kind]).inc();
    }
}

/// Series that are there from the start: an alert on one that comes with its first case never sees that case.
fn from_zero(counters: IntCounterVec, values: &[&str]) -> IntCounterVec {
    for value in values {
        counters.with_label_values(&[value]);
    }
    counters
}
