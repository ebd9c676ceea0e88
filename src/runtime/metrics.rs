//! What Prometheus sees of the runtime. Names are documented here and stay.

use super::machine::Counters;
use crate::journal::Outgoing;
use prometheus::{
    Histogram, IntCounter, IntCounterVec, register_histogram, register_int_counter, register_int_counter_vec,
};
use std::sync::LazyLock;

/// The one set of this process, in Prometheus's default registry.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::register);

/// See each field's help text.
pub struct Metrics {
    /// `kefu_append_seconds`.
    pub append_seconds: Histogram,
    /// `kefu_timers_sent_total`.
    pub timers_sent: IntCounter,
    /// `kefu_takeovers_total`.
    pub takeovers: IntCounter,
    outcomes: IntCounterVec,
    scheduled: IntCounterVec,
    answered: IntCounterVec,
    published: IntCounterVec,
    rejected: IntCounterVec,
}

impl Metrics {
    // A name registered twice is a defect of this file alone, met at the very first start.
    #[expect(clippy::expect_used, reason = "the names below are constants and registered once")]
    fn register() -> Self {
        const ONCE: &str = "registered once, under a valid name";
        // From a quiet loopback (50 µs) to the time-out of an append (5 s).
        let buckets = prometheus::exponential_buckets(0.000_05, 2.0, 18).expect(ONCE);
        let seconds =
            prometheus::histogram_opts!("kefu_append_seconds", "From sending a commit to the log's answer", buckets);
        let outcomes = "What became of inputs: commits, refusals, duplicates, conflicts, unknown_outcomes, quarantined";
        Self {
            append_seconds: register_histogram!(seconds).expect(ONCE),
            timers_sent: register_int_counter!("kefu_timers_sent_total", "Deadlines told to their aggregates")
                .expect(ONCE),
            takeovers: register_int_counter!("kefu_takeovers_total", "Partitions taken over").expect(ONCE),
            outcomes: register_int_counter_vec!("kefu_inputs_total", outcomes, &["outcome"]).expect(ONCE),
            scheduled: register_int_counter_vec!(
                "kefu_reservations_total",
                "Reservations that the scheduler asked for: sent, or not_sent because the bus was away",
                &["outcome"]
            )
            .expect(ONCE),
            answered: register_int_counter_vec!(
                "kefu_answers_total",
                "Questions of customers that were dealt with: answered, asked_back, declined",
                &["outcome"]
            )
            .expect(ONCE),
            published: register_int_counter_vec!("kefu_effects_total", "Effects published, by kind", &["kind"])
                .expect(ONCE),
            rejected: register_int_counter_vec!(
                "kefu_rejected_total",
                "Inputs in KEFU_REJECTED, by reason",
                &["reason"]
            )
            .expect(ONCE),
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
    }

    /// Counts a reservation that the scheduler asked for.
    pub fn scheduled(&self, sent: bool) {
        self.scheduled.with_label_values(&[if sent { "sent" } else { "not_sent" }]).inc();
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
