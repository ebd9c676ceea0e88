//! The agent's commands and events: who can take conversations, how many at once, and what is being taken.
//!
//! An agent has slots. A slot (several, for a conversation of more weight) is *reserved* by a commit of the agent before a
//! conversation is offered, *occupied* once it was accepted, and *released* when the conversation is done with the agent.
//! Each of these names the reservation, so that it is carried out once, however often it is asked for.

mod command;
mod event;

pub use command::AgentCommand;
pub use event::AgentEvent;

use crate::settings::BusinessHours;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an agent is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoutingStatus {
    /// New conversations.
    Available,
    /// Nothing for now.
    Away,
    /// Only what colleagues hand over.
    TransfersOnly,
    /// Not at work.
    #[default]
    Offline,
}

impl RoutingStatus {
    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Away => "away",
            Self::TransfersOnly => "transfers_only",
            Self::Offline => "offline",
        }
    }
}

/// When an agent works. Outside of it nothing is offered, unless the agent has said meanwhile to be available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shifts {
    /// IANA name of the time zone in which they are meant, such as `Europe/Berlin`.
    pub time_zone: String,
    /// Per weekday.
    pub hours: BusinessHours,
}

/// Skills of which a conversation is a case: from how such cases went, an agent's speed and quality are estimated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Practice {
    /// What it asks of the agent. A conversation that asks for no skill is a case of its queue: `queue:<name>`.
    #[schemars(length(min = 1, max = 40))]
    pub skills: Vec<String>,
    /// After this time without practice an earlier case counts half, in days.
    pub half_life_days: f64,
}

/// How the agent worked on a conversation that was brought to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Handled {
    /// Of which it is a case.
    pub practice: Practice,
    /// From the acceptance to the release, wrap-up among it, in seconds.
    pub seconds: f64,
    /// How many conversations the agent had at once meanwhile, this one among them, on average over that time.
    pub at_once: f64,
}

/// Why a slot is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReservationKind {
    /// For a conversation out of a queue.
    #[default]
    Offer,
    /// For a conversation that a colleague hands over.
    Transfer,
}
