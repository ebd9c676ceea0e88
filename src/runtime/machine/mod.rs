//! One partition, as a pure step machine.
//!
//! [`Machine::step`] is told one thing that happened ([`Happened`]) and appends what is to be done ([`Action`]) to a list.
//! Whoever drives it carries the actions out, retries what is unavailable, and tells the outcome. The machine:
//!
//! - keeps one mailbox per aggregate and handles one message of it at a time, in delivery order;
//! - decides, appends under the expected version, publishes the effects, acks: in this order, whatever breaks between;
//! - explains every conflict by loading what is missing, and decides again;
//! - reads the log back where an append's outcome is unknown;
//! - recognises inputs that were decided before, publishes their effects again and acks them;
//! - rejects input for a tenant only when it is certain that there is none: when the store knows all that the log held;
//! - sets an aggregate aside whose input cannot be decided, and rejects what follows for it, in order;
//! - forgets idle aggregates once the store knows all of them.
//!
//! It must not know: NATS, RocksDB, actix, the clock, randomness.

mod partition;

pub use partition::Machine;

use crate::{
    aggregate::{Cause, LookUp},
    journal::{AckToken, AppendError, Delivery, LogPosition, Outgoing, Recorded},
};
use bytes::Bytes;
use kefu_events::AggregateKind;
use std::fmt;

/// Names one aggregate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateId {
    /// Whose it is.
    pub tenant: String,
    /// Its kind.
    pub kind: AggregateKind,
    /// Its key.
    pub key: String,
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.kind, self.key)
    }
}

/// What is to be done. Actions about one aggregate never overlap, except acks.
#[derive(Debug)]
pub enum Action {
    /// Read the aggregate's snapshot; answer with [`Happened::Loaded`].
    Load(AggregateId),
    /// Ask the store; answer with [`Happened::LookedUp`].
    LookUp {
        /// Who asks.
        id: AggregateId,
        /// The input whose commit is looked for, if it may be an old one.
        cause: Option<Cause>,
        /// What the decision needs.
        questions: Vec<LookUp>,
    },
    /// Append one commit; answer with [`Happened::Appended`].
    Append {
        /// Whose commit.
        id: AggregateId,
        /// Sequence of the aggregate's last commit.
        expected: u64,
        /// The commit.
        payload: Bytes,
        /// How many times this input was tried before: wait accordingly.
        attempt: u32,
    },
    /// Read the aggregate's last commit from the leader, and where the log stands; answer with [`Happened::LastRead`].
    ReadLast {
        /// Whose.
        id: AggregateId,
        /// How many times this input was tried before: wait accordingly.
        attempt: u32,
    },
    /// Read the aggregate's commits above `after`; answer with [`Happened::HistoryRead`].
    ReadHistory {
        /// Whose.
        id: AggregateId,
        /// The last one that is known.
        after: u64,
        /// How many times this input was tried before: wait accordingly.
        attempt: u32,
    },
    /// Read the commit at `seq`; answer with [`Happened::Recalled`].
    Recall {
        /// Whose.
        id: AggregateId,
        /// Its sequence in the log.
        seq: u64,
    },
    /// Publish all of these in order, trying until it succeeds; answer with [`Happened::Published`].
    Publish {
        /// Whose effects.
        id: AggregateId,
        /// What to publish.
        outgoing: Vec<Outgoing>,
    },
    /// Read where the log ends; answer with [`Happened::EndRead`].
    ReadEnd,
    /// Publish the rejection of an input that belongs to no aggregate, then ack it. No answer.
    Reject {
        /// The record, and for a command its result.
        outgoing: Vec<Outgoing>,
        /// Acked once they are stored.
        ack: AckToken,
    },
    /// Ack. No answer.
    Ack(AckToken),
    /// Give the partition up and take it over again: what the text says must not go on.
    Stop(String),
    /// After [`Happened::Drain`]: everything that had been begun is finished.
    Drained,
}

/// What happened.
#[derive(Debug)]
pub enum Happened {
    /// The work queues delivered.
    Delivered(Delivery),
    /// Aggregates may be loaded: the projector has passed the end of the log that was seen at take-over, and both queues
    /// have delivered what the former owner may hold (everything there was, or as much as may be held unacked). Its last
    /// commits may lack their effects, which must come out before those of anything decided from now on.
    Ready,
    /// The store now knows all commits up to here.
    Projected(u64),
    /// A snapshot was read; `None`: there is none.
    Loaded(AggregateId, Option<Vec<u8>>),
    /// The store answered.
    LookedUp {
        /// Who asked.
        id: AggregateId,
        /// Sequence of the commit that the input led to, if it did before.
        seen: Option<u64>,
        /// The answers, in the order of the questions.
        found: Vec<Vec<String>>,
    },
    /// An append ended.
    Appended(AggregateId, Result<u64, AppendError>),
    /// The last commit was read, and then where the log stands.
    LastRead(AggregateId, Option<Recorded>, LogPosition),
    /// Commits were read, oldest first.
    HistoryRead(AggregateId, Vec<Recorded>),
    /// A commit was read; `None`: the log holds it no more.
    Recalled(AggregateId, Option<Recorded>),
    /// Everything was published.
    Published(AggregateId),
    /// The log ended here, at some moment since it was asked.
    EndRead(u64),
    /// Time passed: forget idle aggregates.
    Tick,
    /// Finish what was begun, begin nothing.
    Drain,
}

/// Limits of one partition.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Milliseconds after which an idle aggregate is forgotten.
    pub idle_ms: i64,
    /// Aggregates in memory, at most, beside those that are at work: the longest idle are forgotten first.
    pub max_active: usize,
    /// Tries for one input, with conflicts and unknown outcomes, before the partition is given up. A conflict is
    /// resolved by one reload unless somebody else writes all the time, so more than a few mean that something is wrong.
    pub max_attempts: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle_ms: 300_000, max_active: 20_000, max_attempts: 30 }
    }
}

/// Counters, for monitoring. They only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commits appended.
    pub commits: u64,
    /// Of these, refusals.
    pub refusals: u64,
    /// Inputs that had been decided before.
    pub duplicates: u64,
    /// Conflicts met.
    pub conflicts: u64,
    /// Appends whose outcome was unknown.
    pub unknown_outcomes: u64,
    /// Inputs rejected.
    pub rejected: u64,
    /// Aggregates set aside.
    pub quarantined: u64,
    /// Aggregates taken into memory.
    pub activated: u64,
    /// Aggregates that left it because they were idle.
    pub passivated: u64,
}
