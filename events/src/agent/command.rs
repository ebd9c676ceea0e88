//! What may be asked of an agent.

use super::{Practice, ReservationKind, RoutingStatus, Shifts};
use crate::{Json, Timestamp, V, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What may be asked of an agent. The agent's key is its id where that can stand in a subject, else the id's hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "AgentCommand", tag = "type")]
pub enum AgentCommand {
    /// This person is an agent. Asked again, it changes the name, or brings back one who was removed.
    Register {
        /// Version of this command.
        v: V<1>,
        /// The agent's id, of which the key is made; the key itself if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
    },
    /// A connection came or went. An agent is online as long as one is there.
    SetPresence {
        /// Version of this command.
        v: V<1>,
        /// Whether it came.
        online: bool,
        /// Names the connection. Absent: the only one there is to be, or, when it goes, all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<String>,
    },
    /// The agent is ready for something else.
    SetStatus {
        /// Version of this command.
        v: V<1>,
        /// What for.
        status: RoutingStatus,
        /// Why, in the tenant's words: `lunch`, `training`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// What the agent can do. What is absent stays as it is.
    SetSkills {
        /// Version of this command.
        v: V<1>,
        /// Skill → proficiency, 0 to 5: all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        skills: Option<BTreeMap<String, u8>>,
        /// Languages (BCP 47), the best first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        languages: Option<Vec<String>>,
        /// Queues that the agent serves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queues: Option<Vec<String>>,
    },
    /// How much the agent can do at once. Nobody is thrown out where it is less than before.
    SetCapacity {
        /// Version of this command.
        v: V<1>,
        /// Slots in all.
        slots: u32,
        /// Channel → slots that a conversation on it takes; the tenant's number where it is not named. Absent: as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<BTreeMap<String, u32>>,
    },
    /// When the agent works.
    SetShifts {
        /// Version of this command.
        v: V<1>,
        /// Absent: whenever the agent says to be available.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shifts: Option<Shifts>,
    },
    /// No agent any more: no new reservations. What is held is kept to its end.
    Remove {
        /// Version of this command.
        v: V<1>,
    },
    /// From the scheduler: keep slots for this conversation, and offer it to the agent.
    ReserveSlot {
        /// Version of this command.
        v: V<1>,
        /// Names the reservation, for ever: a new name for every try.
        reservation: String,
        /// The conversation's key.
        conversation: String,
        /// The conversation's session for which it was decided.
        session: u32,
        /// Slots that it takes.
        weight: u32,
        /// Seconds after which an unanswered reservation is asked about; absent: a while after an offer has timed out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl_s: Option<u32>,
        /// The scheduler's decision, for `kefu why`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Json>,
        /// What for.
        #[serde(default)]
        kind: ReservationKind,
        /// Of which skills it is a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
    },
    /// From the conversation: the agent has it (again).
    OccupySlot {
        /// Version of this command.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
    },
    /// From the conversation: it is done with the agent.
    ReleaseSlot {
        /// Version of this command.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
        /// The agent brought it to its end, and did not hand it on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        completed: bool,
    },
    /// From the conversation: the customer has rated a session that the agent brought to its end.
    Rate {
        /// Version of this command.
        v: V<1>,
        /// The conversation's key.
        conversation: String,
        /// Which session.
        session: u32,
        /// 1 (bad) to 5 (good).
        score: u8,
        /// Of which skills it was a case.
        practice: Practice,
    },
    /// From the conversation: the talk is over, and the agent writes up.
    StartWrapUp {
        /// Version of this command.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// The conversation's key; unchecked if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
    },
    /// From a supervisor: the slot is free, whatever the conversation says.
    ForceRelease {
        /// Version of this command.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// Why.
        reason: String,
    },
    /// A deadline of this agent has passed.
    TimerFired {
        /// Version of this command.
        v: V<1>,
        /// Which deadline.
        timer: String,
        /// When it was due: one that was moved since is ignored.
        due: Timestamp,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
}

tagged!(AgentCommand);
