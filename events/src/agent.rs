//! The agent's events, as the contract fixes them; the commands come with the agent's state machine.

use crate::{CommandRefused, QuarantineLifted, Quarantined, Timestamp, V};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an agent is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingStatus {
    /// New conversations.
    Available,
    /// Nothing for now.
    Away,
    /// Only what colleagues hand over.
    TransfersOnly,
    /// Not at work.
    Offline,
}

/// What can have happened to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AgentEvent {
    /// The agent exists.
    AgentRegistered {
        /// Version of this event.
        v: V<1>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
    },
    /// A connection came or went.
    PresenceChanged {
        /// Version of this event.
        v: V<1>,
        /// Whether a connection is there.
        online: bool,
    },
    /// The agent is ready for something else.
    StatusChanged {
        /// Version of this event.
        v: V<1>,
        /// What for.
        status: RoutingStatus,
        /// One of the tenant's reasons.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Skills were set.
    SkillsChanged {
        /// Version of this event.
        v: V<1>,
        /// Skill → proficiency, 0 to 5.
        skills: BTreeMap<String, u8>,
    },
    /// The number of slots was set.
    CapacityChanged {
        /// Version of this event.
        v: V<1>,
        /// Slots in all.
        slots: u32,
    },
    /// A slot is kept for a conversation that will be offered.
    SlotReserved {
        /// Version of this event.
        v: V<1>,
        /// Names this reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
        /// Slots that it takes.
        weight: u32,
        /// What becomes of an unanswered reservation is asked for after this moment.
        deadline: Timestamp,
    },
    /// The conversation was accepted.
    SlotOccupied {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// The slot is free again.
    SlotReleased {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// Wrap-up of a conversation began.
    WrapUpStarted {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// Wrap-up ended.
    WrapUpEnded {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}
