//! Agents by status, queue and skill; those who were removed only by the status `removed`.
//!
//! Key: `<tenant>/<facet letter><what>\0<key>`. No value. Nobody is in it who was never registered: a command that went to
//! a wrong key makes no agent.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    agent::{Agent, Slot, State},
    aggregate::Tracked,
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{AggregateKind, Timestamp, agent::RoutingStatus, key::token_of};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module's text.
pub const AGENTS: List<Agent> = List { name: "agents", version: 1, entries };

/// In the place of a status, for those who are no agents any more.
const REMOVED: &str = "removed";

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let state = &tracked.state;
    if !state.exists() {
        return;
    }
    let mut add = |filter: AgentFilter<'_>| entries.add(&[&filter.prefix(subject.tenant), subject.key.as_bytes()], &[]);
    if state.removed {
        add(AgentFilter::Status(REMOVED));
        return;
    }
    add(AgentFilter::All);
    add(AgentFilter::Status(state.status.as_str()));
    state.queues.iter().for_each(|queue| add(AgentFilter::Queue(queue)));
    state.skills.keys().for_each(|skill| add(AgentFilter::Skill(skill)));
}

/// Which agents are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AgentFilter<'a> {
    /// All who have not been removed.
    #[default]
    All,
    /// Those with this routing status, or `removed`.
    Status(&'a str),
    /// Those who serve this queue.
    Queue(&'a str),
    /// Those with this skill, whatever the proficiency.
    Skill(&'a str),
}

impl AgentFilter<'_> {
    /// What all keys begin with under which these agents are found. The letters stand in stored keys: never change one.
    fn prefix(&self, tenant: &str) -> Vec<u8> {
        let (letter, what) = match self {
            Self::All => (b"a", ""),
            Self::Status(status) => (b"s", *status),
            Self::Queue(queue) => (b"q", *queue),
            Self::Skill(skill) => (b"k", *skill),
        };
        // What is asked for may be anything; what is stored are tokens.
        let what = if what.is_empty() { String::new() } else { token_of(what) };
        [tenant.as_bytes(), b"/", letter, what.as_bytes(), b"\0"].concat()
    }
}

/// An agent, as a list shows it: all that a scheduler must know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgentSummary {
    /// The key, under which conversations know the agent.
    pub key: String,
    /// The agent's id, of which the key is made.
    pub id: String,
    /// The name that colleagues see.
    pub name: String,
    /// What the agent is ready for.
    pub status: RoutingStatus,
    /// Why, in the tenant's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_since: Option<Timestamp>,
    /// Whether a connection is there.
    pub online: bool,
    /// Skill → proficiency, 0 to 5.
    pub skills: BTreeMap<String, u8>,
    /// Languages, the best first.
    pub languages: Vec<String>,
    /// Queues that the agent serves.
    pub queues: Vec<String>,
    /// Slots in all.
    pub slots: u32,
    /// Channel → slots that a conversation on it takes; the tenant's number where it is not named.
    pub weights: BTreeMap<String, u32>,
    /// Slots that are reserved or occupied.
    pub in_use: u32,
    /// By which reservations, and for which conversations.
    pub held: BTreeMap<String, Slot>,
    /// Since when nothing is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// When a slot was last reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// No agent any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Whether it was set aside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// When something last happened.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
}

impl AgentSummary {
    /// An agent's state as a list shows it.
    pub fn of(key: &str, tracked: Tracked<State>) -> Self {
        let Tracked { state, at, version, quarantined, .. } = tracked;
        let in_use = state.in_use();
        Self {
            key: key.to_owned(),
            id: state.id,
            name: state.name,
            status: state.status,
            reason: state.reason,
            status_since: state.status_since,
            online: state.online,
            skills: state.skills,
            languages: state.languages,
            queues: state.queues,
            slots: state.slots,
            weights: state.weights,
            in_use,
            held: state.held,
            idle_since: state.idle_since,
            assigned_at: state.assigned_at,
            removed: state.removed,
            quarantined,
            at,
            version,
        }
    }
}

impl Store {
    /// Agents of a tenant by key, at most `limit`, after the place that the page before named.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn agents(
        &self,
        tenant: &str,
        filter: AgentFilter<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<AgentSummary>, PageError> {
        let after = after.map(|cursor| place_of(cursor).ok_or(WrongCursor)).transpose()?;
        // One more than wanted, to know whether there are more.
        let wanted = limit.min(MAX_LOOKED_AT) + 1;
        let mut keys: Vec<String> = Vec::new();
        let prefix = filter.prefix(tenant);
        let start = after.map_or_else(Vec::new, just_after);
        self.list(AGENTS.name, &prefix, &[&prefix[..], &start].concat(), |key, _| {
            keys.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
            keys.len() < wanted
        })?;
        let more = keys.len() == wanted;
        keys.truncate(wanted - 1);
        let next = keys.last().filter(|_| more).map(|key| cursor_of(key.as_bytes()));
        let mut items = Vec::with_capacity(keys.len());
        for key in &keys {
            if let Some(snapshot) = self.snapshot(tenant, AggregateKind::Agent, key)? {
                let tracked = serde_json::from_slice(&snapshot)
                    .map_err(|error| StoreError::Damaged(format!("agent {key}: {error}")))?;
                items.push(AgentSummary::of(key, tracked));
            }
        }
        Ok(Page { items, next })
    }
}
