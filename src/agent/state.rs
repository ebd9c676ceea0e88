//! What an agent remembers.

use crate::{routing::hours::on_shift, scheduler::estimates::Sums};
use kefu_events::{
    Timestamp,
    agent::{Handled, Practice, ReservationKind, RoutingStatus, Shifts},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Slots of an agent of whom nobody has said how many: what people handle of chats side by side.
pub const DEFAULT_SLOTS: u32 = 3;
/// Slots that an agent can have. More than a person can do; a program that takes conversations is several agents.
pub const MAX_SLOTS: u32 = 1_000;
/// Ended reservations that are remembered: more than an agent can have in a day's work, and a message that is late by
/// more than that has been asked about and refused long ago.
pub const MAX_ENDED: usize = 128;
/// Connections of one agent: browser tabs and telephones. More are old ones whose end was not noticed.
pub const MAX_CONNECTIONS: usize = 32;

/// Skills in which an agent's work is remembered; the one with the fewest cases is forgotten first. As many as an agent
/// can have.
pub const MAX_PRACTISED: usize = 200;

/// An agent's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The agent's id, of which the key is made; empty before the first registration.
    pub id: String,
    /// The name that colleagues see.
    pub name: String,
    /// No agent any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
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
    /// Which ones, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<String>,
    /// The agent counts as gone then, if no connection has come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Timestamp>,
    /// Skill → proficiency, 0 to 5.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, u8>,
    /// Languages, the best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// Queues that the agent serves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Slots in all.
    pub slots: u32,
    /// Channel → slots that a conversation on it takes; the tenant's number where it is not named.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// When the agent works; absent: whenever available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shifts: Option<Shifts>,
    /// What is reserved or occupied, by reservation. At most as many as there were slots at a time.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, Slot>,
    /// Reservations that ended last, oldest first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub ended: VecDeque<String>,
    /// Since when nothing is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<Timestamp>,
    /// When a slot was last reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// Id of the command that was refused last: how a scheduler learns that its reservation was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// When a slot was last released.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freed_at: Option<Timestamp>,
    /// Skill → how the work in it went.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub practised: BTreeMap<String, Sums>,
    /// Up to when the time that slots are occupied has been counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_to: Option<Timestamp>,
}

/// Slots that are kept under one reservation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// The conversation's key.
    pub conversation: String,
    /// How many slots.
    pub weight: u32,
    /// How far it is.
    pub phase: SlotPhase,
    /// Since when it has been reserved, or occupied.
    pub since: Timestamp,
    /// The conversation is asked about it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// How often it has been asked since.
    #[serde(default)]
    pub attempt: u32,
    /// Of which skills it is a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<Practice>,
    /// Since it was occupied: the agent's occupied slots, summed up over the time, in ms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shared_ms: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How far a slot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotPhase {
    /// The conversation is offered, or about to be.
    Reserved,
    /// The agent has the conversation.
    Occupied,
    /// The agent writes up.
    WrapUp,
}

impl State {
    /// Whether anybody has ever been registered under this key.
    pub fn exists(&self) -> bool {
        !self.id.is_empty()
    }

    /// Slots that are reserved or occupied.
    pub fn in_use(&self) -> u32 {
        self.held.values().map(|slot| slot.weight).fold(0, u32::saturating_add)
    }

    /// Slots that could be reserved now, were the agent ready.
    pub fn free(&self) -> u32 {
        self.slots.saturating_sub(self.in_use())
    }

    /// Counts the time up to now in which slots were occupied beside each other.
    pub(super) fn count_to(&mut self, now: Timestamp) {
        let since = self.counted_to.replace(now);
        let elapsed = since.map_or(0, |since| u64::try_from(now.millis_since(since)).unwrap_or_default());
        let is_occupied = |slot: &&mut Slot| slot.phase != SlotPhase::Reserved;
        let at_once = self.held.values_mut().filter(is_occupied).count() as u64;
        for slot in self.held.values_mut().filter(is_occupied) {
            slot.shared_ms = slot.shared_ms.saturating_add(elapsed.saturating_mul(at_once));
        }
        if at_once == 0 {
            self.counted_to = None;
        }
    }

    /// How the agent has worked on what is held under a reservation, if it is a case of anything. The time must have been
    /// counted up to now.
    pub(super) fn handled(&self, reservation: &str, now: Timestamp) -> Option<Handled> {
        let slot = self.held.get(reservation).filter(|slot| slot.phase != SlotPhase::Reserved)?;
        let practice = slot.practice.clone()?;
        let ms = now.millis_since(slot.since).max(1) as f64;
        Some(Handled { practice, seconds: ms / 1_000.0, at_once: (slot.shared_ms as f64 / ms).max(1.0) })
    }

    /// The sums of a skill, to be added to.
    pub(super) fn sums(&mut self, skill: &str, now: Timestamp) -> &mut Sums {
        if !self.practised.contains_key(skill) && self.practised.len() >= MAX_PRACTISED {
            let now_ms = now.as_millis();
            let cases = |sums: &Sums| sums.at(now_ms, sums.half_life_days).cases;
            let least = self.practised.iter().min_by(|a, b| cases(a.1).total_cmp(&cases(b.1)));
            if let Some(least) = least.map(|(skill, _)| skill.clone()) {
                self.practised.remove(&least);
            }
        }
        self.practised.entry(skill.to_owned()).or_default()
    }

    /// Whether the agent is at work, by shifts and by what was said, at this moment; and when that may change.
    pub fn at_work(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        match &self.shifts {
            Some(shifts) => on_shift(&shifts.time_zone, &shifts.hours, self.status_since, now),
            None => (true, None),
        }
    }

    /// Why no slot can be reserved now for this, whatever its weight; `None` if one can.
    pub fn not_ready_for(&self, kind: ReservationKind) -> Option<&'static str> {
        match (self.status, kind) {
            _ if self.removed => Some("removed"),
            (RoutingStatus::Available, _) | (RoutingStatus::TransfersOnly, ReservationKind::Transfer) => {
                (!self.online).then_some("without a connection")
            }
            (status, _) => Some(status.as_str()),
        }
    }
}
