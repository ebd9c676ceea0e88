//! Agents, as the scheduler sees them.
//!
//! Key: `<tenant>/<key>`. Value: a [`StaffEntry`] as JSON, so that a scheduler starts by one scan and goes on by the list's
//! feed, and never reads a state.

use crate::{
    agent::{Agent, State},
    aggregate::Tracked,
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{
    Timestamp,
    agent::{RoutingStatus, Shifts},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// See the module's text.
pub const STAFF: List<Agent> = List { name: "staff", version: 2, entries };

/// As many as can end in what a projector writes at once, nearly always; others are undone after a while.
const MAX_ENDED_SHOWN: usize = 8;

/// An agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StaffEntry {
    /// What the agent is ready for.
    pub status: RoutingStatus,
    /// Whether a connection is there.
    pub online: bool,
    /// Skill → proficiency, 0 to 5.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, u8>,
    /// Languages, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Queues that the agent serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Slots in all.
    pub slots: u32,
    /// Channel → slots that a conversation on it takes, where it is not the tenant's number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// Reservation → what it holds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, HeldSlot>,
    /// Since when nothing is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// The command that was refused last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Reservations that ended last, the oldest first: one can be over before a list ever showed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    /// Since when the status has been what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_since: Option<Timestamp>,
    /// When a slot was last released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freed_at: Option<Timestamp>,
    /// When a slot was last reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// When the agent works; absent: whenever available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shifts: Option<Shifts>,
}

/// What one reservation holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldSlot {
    /// The conversation's key.
    pub conversation: String,
    /// Slots.
    pub weight: u32,
}

impl StaffEntry {
    /// What a scheduler sees of an agent in this state; `None`: nobody who could be asked.
    pub fn of(tracked: &Tracked<State>) -> Option<Self> {
        let state = &tracked.state;
        if !state.exists() || state.removed || tracked.quarantined {
            return None;
        }
        let held = state.held.iter().map(|(reservation, slot)| {
            (reservation.clone(), HeldSlot { conversation: slot.conversation.clone(), weight: slot.weight })
        });
        Some(Self {
            status: state.status,
            online: state.online,
            skills: state.skills.clone(),
            languages: state.languages.clone(),
            queues: state.queues.clone(),
            slots: state.slots,
            weights: state.weights.clone(),
            held: held.collect(),
            idle_since: state.idle_since,
            refused: state.refused.clone(),
            ended: state.ended.iter().skip(state.ended.len().saturating_sub(MAX_ENDED_SHOWN)).cloned().collect(),
            status_since: state.status_since,
            freed_at: state.freed_at,
            assigned_at: state.assigned_at,
            shifts: state.shifts.clone(),
        })
    }
}

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    if let Some(json) = StaffEntry::of(tracked).and_then(|entry| serde_json::to_vec(&entry).ok()) {
        entries.add(&[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()], &[&json]);
    }
}

impl Store {
    /// Agents of all tenants, with tenant and key, in the order of these.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn staff(&self, mut visit: impl FnMut(&str, &str, StaffEntry)) -> Result<(), StoreError> {
        self.list(STAFF.name, b"", b"", |key, value| {
            if let (Some((tenant, key)), Ok(entry)) = (super::tenant_and_key(key), serde_json::from_slice(value)) {
                visit(tenant, key, entry);
            }
            true
        })
    }
}
