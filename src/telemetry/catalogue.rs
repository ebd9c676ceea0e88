//! Every metric of kefu in one list: name, kind, labels, and what it means. `scripts/monitoring/README.md` is the same list
//! for people, and a test holds both against what a real server serves.
//!
//! The names are part of the contract: dashboards and alerts are built on them. They follow Prometheus' conventions: base
//! units, `_total` for what only grows. Labels are bounded by what an operator sets up (tenants, channels, queues) or by this
//! code (outcomes, reasons); nobody's key, name or text is ever a label.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, core::Collector};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the process's start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts cases by size, with these upper bounds.
    Histogram(&'static [f64]),
}

/// A metric.
#[derive(Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in a line.
    pub help: &'static str,
}

/// From a quiet loopback to the time-out of an append, in seconds.
const APPENDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_8, 0.025_6, 0.051_2, 0.102_4,
    0.204_8, 0.409_6, 0.819_2, 1.638_4, 3.276_8, 6.553_6,
];
/// What a machine does while somebody waits for it, in seconds.
const QUICK: &[f64] = &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From a machine's answer to the longest line, in seconds.
const WAITS: &[f64] =
    &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// What people take, in seconds. 8 is what an alert looks at.
const REPLIES: &[f64] = &[0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// Probabilities.
const PROBABILITIES: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0];

macro_rules! catalogue {
    ($($id:ident: $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(#[doc = $help] pub static $id: Definition =
            Definition { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// All of them.
        pub static ALL: &[&Definition] = &[$(&$id),*];
    };
}

catalogue! {
    BUILD_INFO: "kefu_build_info", Kind::Gauge, ["version"], "Always 1; says which version runs";
    READY: "kefu_ready", Kind::Gauge, [], "1 while this node is caught up and owns its partitions";
    NATS_CONNECTED: "kefu_nats_connected", Kind::Gauge, [], "1 while the connection to NATS stands";
    NATS_LOST: "kefu_nats_lost_total", Kind::Counter, [], "Times that the connection to NATS was lost";
    PARTITIONS: "kefu_partitions", Kind::Gauge, [], "Partitions of this installation";
    PARTITIONS_OWNED: "kefu_partitions_owned", Kind::Gauge, [], "Partitions that this node owns";
    TAKEOVERS: "kefu_takeovers_total", Kind::Counter, [], "Partitions taken over";

    INPUTS: "kefu_inputs_total", Kind::Counter, ["outcome"],
        "What became of inputs: commits, refusals (of these), duplicates, conflicts, unknown_outcomes, quarantined";
    REJECTED: "kefu_rejected_total", Kind::Counter, ["reason"], "Inputs put into KEFU_REJECTED, by reason";
    EFFECTS: "kefu_effects_total", Kind::Counter, ["kind"], "Effects published: reply, command, result, rejected";
    APPEND_SECONDS: "kefu_append_seconds", Kind::Histogram(APPENDS), [], "From sending a commit to the log's answer";
    TIMERS_SENT: "kefu_timers_sent_total", Kind::Counter, [], "Deadlines told to their aggregates";
    MAILBOX_HELD: "kefu_mailbox_held", Kind::Gauge, [], "Inputs held in mailboxes, not yet acknowledged";
    ACTIVE_AGGREGATES: "kefu_active_aggregates", Kind::Gauge, [], "Aggregates in memory (active)";
    STORE_AGGREGATES: "kefu_store_aggregates", Kind::Gauge, [],
        "Aggregates that the store knows, those in memory and those that are not (passive): RocksDB's estimate";
    ACTIVATIONS: "kefu_activations_total", Kind::Counter, [], "Aggregates taken into memory";
    PASSIVATIONS: "kefu_passivations_total", Kind::Counter, [], "Aggregates that left the memory because they were idle";

    LOG_SEQ: "kefu_log_seq", Kind::Gauge, [], "Last sequence of the log, a second old at most";
    PROJECTOR_SEQ: "kefu_projector_seq", Kind::Gauge, [], "Sequence in the log that the projector has passed";
    PROJECTOR_LAG: "kefu_projector_lag", Kind::Gauge, [], "Commits that the projector has not passed yet";
    PROJECTOR_LAG_SECONDS: "kefu_projector_lag_seconds", Kind::Gauge, [],
        "Age of the last commit that the projector has passed, while there are newer ones; 0 otherwise, and before it has passed \
         any since the start";
    LOG_ODDITIES: "kefu_log_oddities_total", Kind::Counter, ["kind"],
        "What should not be in the log, as met by the projector: gap, foreign (no commit), unknown_kind";
    STREAM_MESSAGES: "kefu_stream_messages", Kind::Gauge, ["stream"],
        "Messages in a stream: inbox and commands are work not done yet; 10 seconds old at most";
    STREAM_BYTES: "kefu_stream_bytes", Kind::Gauge, ["stream"], "Bytes of a stream; 10 seconds old at most";

    STORE_MEMORY: "kefu_store_memory_bytes", Kind::Gauge, [], "Memory of RocksDB: caches, indexes, write buffers";
    STORE_DISK: "kefu_store_disk_bytes", Kind::Gauge, [], "Files of RocksDB";
    STORE_COMPACTION_PENDING: "kefu_store_compaction_pending_bytes", Kind::Gauge, [],
        "Bytes that RocksDB's compaction has still to rewrite: its estimate";
    STORE_COMPACTIONS: "kefu_store_compactions_running", Kind::Gauge, [], "RocksDB's compactions under way";
    STORE_WRITES_STOPPED: "kefu_store_writes_stopped", Kind::Gauge, [], "1 while RocksDB takes no writes";
    DISK_FREE: "kefu_disk_free_bytes", Kind::Gauge, [], "Free space of the disk that holds the data directory";
    DISK_SIZE: "kefu_disk_size_bytes", Kind::Gauge, [], "Size of that disk";

    MESSAGES: "kefu_messages_total", Kind::Counter, ["tenant", "channel", "author"],
        "Messages in conversations by author: customer, bot, agent, system";
    SESSIONS_OPENED: "kefu_sessions_opened_total", Kind::Counter, ["tenant", "channel"], "Sessions that began";
    SESSIONS_CLOSED: "kefu_sessions_closed_total", Kind::Counter, ["tenant", "reason"], "Sessions that ended, by reason";
    HANDOFFS: "kefu_handoffs_total", Kind::Counter, ["tenant", "reason"], "Times that a person was asked for, by reason";
    OFFERS: "kefu_offers_total", Kind::Counter, ["tenant", "outcome"],
        "Offers to agents: made, accepted, rejected, timed_out, rescinded, refused (came too late)";
    HANDOFF_TO_OFFER: "kefu_handoff_to_offer_seconds", Kind::Histogram(WAITS), ["tenant", "queue"],
        "From being queued to the first offer to an agent after it";
    FIRST_RESPONSE: "kefu_first_response_seconds", Kind::Histogram(REPLIES), ["tenant", "queue"],
        "From being queued to the first reply of an agent after it";
    AGENT_RESPONSE: "kefu_agent_response_seconds", Kind::Histogram(REPLIES), ["tenant", "queue"],
        "From a customer's message to an agent who has the conversation (or from the moment the agent took it) to the agent's \
         reply; of several messages in a row the first counts";
    AGENT_RESPONSE_PENDING: "kefu_agent_response_pending", Kind::Gauge, ["tenant"],
        "Conversations in which an agent owes a reply";
    AGENT_RESPONSE_OLDEST: "kefu_agent_response_oldest_seconds", Kind::Gauge, ["tenant"],
        "For how long the longest of these has waited";

    QUEUE_WAITING: "kefu_queue_waiting", Kind::Gauge, ["tenant", "queue"],
        "Conversations that wait for an agent; every node shows all of them";
    QUEUE_OLDEST: "kefu_queue_oldest_wait_seconds", Kind::Gauge, ["tenant", "queue"],
        "For how long the oldest has waited, 0 where nobody does; every node shows it";
    QUEUE_TARGET_SECONDS: "kefu_queue_target_seconds", Kind::Gauge, ["tenant", "queue"],
        "Time within which the queue's target wants customers to get an agent; every node shows it";
    QUEUE_TARGET_RATIO: "kefu_queue_target_ratio", Kind::Gauge, ["tenant", "queue"],
        "Share of customers for whom the target wants that, 0 to 1; every node shows it";
    QUEUE_SERVICE_LEVEL: "kefu_queue_service_level_ratio", Kind::Gauge, ["tenant", "queue"],
        "Share of those served lately who got an agent within the target's time (an hour ago counts a sixteenth), 0 to 1, once there were cases enough; \
         shown by the node that leads the tenant's scheduling";
    QUEUE_ESTIMATED_WAIT: "kefu_queue_estimated_wait_seconds", Kind::Gauge, ["tenant", "queue"],
        "What a customer who comes now would be told; shown by the leading node, once there were cases enough";
    AGENTS: "kefu_agents", Kind::Gauge, ["tenant", "status"],
        "Agents by status: available, away, transfers_only, offline (also those who are not connected); every node shows all";
    AGENT_SLOTS: "kefu_agent_slots", Kind::Gauge, ["tenant", "state"],
        "Slots of agents who are connected and available: free, used; every node shows all";
    SCHEDULER_LEADS: "kefu_scheduler_leads", Kind::Gauge, ["tenant"], "1 if this node leads the tenant's scheduling";
    RESERVATIONS: "kefu_reservations_total", Kind::Counter, ["outcome"],
        "Decisions of the scheduler, each a reservation asked of an agent: sent, or not_sent because the bus was away";
    SCHEDULER_ROUND_SECONDS: "kefu_scheduler_round_seconds", Kind::Histogram(APPENDS), [],
        "Time that the scheduler computed until nothing more could be matched";
    SCHEDULING: "kefu_scheduling_total", Kind::Counter, ["tenant", "outcome"],
        "Conversations for which the scheduler found a free agent who fits: offered within 2 s from then, or late. Those who \
         had gone before are in neither";
    SCHEDULING_SECONDS: "kefu_scheduling_seconds", Kind::Histogram(QUICK), ["tenant"],
        "From finding a free agent who fits to the offer";

    ANSWERS: "kefu_answers_total", Kind::Counter, ["outcome"],
        "Questions of customers that were dealt with: answered, asked_back, declined";
    ANSWER_SECONDS: "kefu_answer_seconds", Kind::Histogram(QUICK), [], "From taking a question up to the answer";
    ANSWER_CONFIDENCE: "kefu_answer_confidence", Kind::Histogram(PROBABILITIES), ["tenant", "outcome"],
        "Calibrated probability that the answer is right, by what came of it: answered, asked_back, declined";
    SEARCH_ENTRIES: "kefu_search_entries", Kind::Gauge, [], "Knowledge-base entries that can be found";
    SEARCH_PENDING: "kefu_search_pending", Kind::Gauge, [], "Changes of entries that search has not taken in yet";
    ARCHIVE_SEQ: "kefu_archive_seq", Kind::Gauge, [], "Sequence in the log up to which messages can be found";
    EMBEDDINGS: "kefu_embeddings_total", Kind::Counter, ["outcome"],
        "Texts by what became of them: computed, cached, refused, failed";
    EMBEDDINGS_WAITING: "kefu_embeddings_waiting", Kind::Gauge, [], "Texts that wait for the model of questions";
    EMBEDDING_SECONDS: "kefu_embedding_seconds_total", Kind::Counter, [], "Time that the model has computed";

    SOCKETS: "kefu_sockets", Kind::Gauge, [], "Clients that are told of what happens now, by WebSocket or long polling";
    SOCKETS_OPENED: "kefu_sockets_opened_total", Kind::Counter, [], "WebSockets opened";
    SOCKETS_CUT: "kefu_sockets_cut_total", Kind::Counter, [], "Clients cut off because they were too slow";
    HTTP_REQUESTS: "kefu_http_requests_total", Kind::Counter, ["status"],
        "Requests answered over HTTP by class of status: 1xx (WebSockets), 2xx, 3xx, 4xx, 5xx";
    HTTP_SECONDS: "kefu_http_request_seconds", Kind::Histogram(QUICK), [],
        "From a request to the beginning of its answer; long polling waits on purpose and is left out";

    OBSERVER_MISSED: "kefu_observer_missed_total", Kind::Counter, [],
        "Times that commits came faster than they could be counted here: figures of conversations are too low by those";
    SERIES_DROPPED: "kefu_metrics_series_dropped", Kind::Gauge, [],
        "Series left out because a metric would have had more than 2,000";
}

impl Definition {
    /// Adds it to what this process serves, as a counter.
    pub fn counter(&self) -> IntCounterVec {
        served(IntCounterVec::new(Opts::new(self.name, self.help), self.labels))
    }

    /// Adds it to what this process serves, as a gauge.
    pub fn gauge(&self) -> IntGaugeVec {
        served(IntGaugeVec::new(Opts::new(self.name, self.help), self.labels))
    }

    /// Adds it to what this process serves, as a histogram.
    pub fn histogram(&self) -> HistogramVec {
        let Kind::Histogram(buckets) = self.kind else { unreachable!("{} is no histogram", self.name) };
        served(HistogramVec::new(HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec()), self.labels))
    }
}

/// Names and labels are constants of this file, and each is added once, so that a failure is a defect of kefu, met at the
/// first start.
fn served<C: Collector + Clone + 'static>(collector: prometheus::Result<C>) -> C {
    let register = |collector: C| prometheus::register(Box::new(collector.clone())).map(|()| collector);
    match collector.and_then(register) {
        Ok(collector) => collector,
        Err(error) => unreachable!("two metrics of one name, or a wrong name: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Kind};
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_the_conventions_and_stand_once() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{} stands twice", metric.name);
            assert!(metric.name.starts_with("kefu_"), "{}", metric.name);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}: only counters end with _total", metric.name);
            for wrong in ["_ms", "_minutes", "_percent", "_kb", "_mb"] {
                assert!(!metric.name.contains(wrong), "{}: base units are needed", metric.name);
            }
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{}", metric.name);
            }
        }
    }
}
