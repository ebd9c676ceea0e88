//! A tenant's wall as it was at a moment: who waited where and since when, and who was at work on what.
//!
//! - [`Wall`]: what states make of it, by the lists and the floor that say it of now: pure;
//! - [`Walls`]: which states those were. The store tells which conversations can have waited then and what has not changed
//!   since; of the rest the log is read, and folded by the state machines;
//! - `staff`: the same for agents, whose histories are long: what was folded is kept in memory, to go on from.
//!
//! It may not know NATS or RocksDB, nor who may see what.

mod past;
mod staff;

pub use past::{NoWall, Walls};

use crate::{
    agent,
    aggregate::Gathered,
    conversation,
    dispatch::leader::{Change, Leader},
    scheduler::Scheduling,
    store::{AgentSummary, ConversationSummary, StaffEntry, WaitingEntry},
};
use kefu_events::Timestamp;
use serde::Serialize;

/// A wall. All commits that were decided up to its moment are in it, and none that came later.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wall {
    /// Which moment.
    pub at: Timestamp,
    /// When the tenant began: there is no wall before.
    pub began: Timestamp,
    /// Queues in which somebody waited or that an agent served, by name.
    pub queues: Vec<QueueThen>,
    /// Agents, by key, without those who had been removed.
    pub agents: Vec<AgentSummary>,
    /// Conversations that waited for a person, or that a person had been asked to take: those that had waited longest first.
    pub waiting: Vec<ConversationSummary>,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueThen {
    /// Its name.
    pub queue: String,
    /// How many waited in it, for whom nobody had been asked.
    pub waiting: u32,
    /// How long the oldest had waited, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_s: Option<f64>,
}

impl Wall {
    /// The wall of a moment that these states make, as they were then: those of all agents, and of all conversations that
    /// waited.
    pub fn of(
        at: Timestamp,
        began: Timestamp,
        agents: &Gathered<agent::State>,
        conversations: &Gathered<conversation::State>,
    ) -> Self {
        let now_ms = at.as_millis();
        // Lines are the same under any settings: those say who is asked next.
        let mut floor = Leader::new(Scheduling::default());
        for (key, agent) in agents.iter() {
            if let Some(entry) = StaffEntry::of(agent) {
                floor.take_in(Change::Agent(key.to_owned(), Some(entry)), now_ms);
            }
        }
        for (key, conversation) in conversations.iter() {
            if let (Ok(key), Some(entry)) = (key.parse(), WaitingEntry::of(conversation)) {
                floor.take_in(Change::Conversation(key, Some(entry)), now_ms);
            }
        }
        let queues = floor.queues(now_ms).into_iter();
        let queues = queues.map(|(queue, state)| {
            let (waiting, oldest_s) = (state.waiting, state.oldest_s);
            QueueThen { queue, waiting, oldest_s }
        });
        let present = agents.iter().filter(|(_, agent)| agent.state.exists() && !agent.state.removed);
        let waits = |phase: &str| matches!(phase, "queued" | "offered");
        let waited = conversations.iter().filter(|(_, conversation)| waits(conversation.state.phase_name()));
        let mut waiting: Vec<_> =
            waited.map(|(key, conversation)| ConversationSummary::of(key, conversation.clone())).collect();
        waiting.sort_by(|one, other| (one.waits_since, &one.key).cmp(&(other.waits_since, &other.key)));
        Self {
            at,
            began,
            queues: queues.collect(),
            agents: present.map(|(key, agent)| AgentSummary::of(key, agent.clone())).collect(),
            waiting,
        }
    }
}
