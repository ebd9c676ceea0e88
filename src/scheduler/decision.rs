//! Why a choice was made: goes into the committed offer, as JSON.

use super::{
    floor::{Beside, Question},
    policy::PolicyName,
    settings::Weights,
    views::ConversationKey,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The chosen and the next best, at most.
pub const CANDIDATES: usize = 20;

/// A decision with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The conversation.
    pub conversation: ConversationKey,
    /// Its session.
    pub session: u32,
    /// The agent chosen.
    pub agent: String,
    /// What was asked: which agent for the conversation, or which conversation for the agent.
    pub question: Question,
    /// When, in ms.
    pub at_ms: i64,
    /// The policy that chose.
    pub policy: PolicyName,
    /// Its weights, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// Version of the settings.
    pub settings_version: u64,
    /// The last input of the log that was known.
    pub sequence: u64,
    /// The random draw, in hex digits.
    pub draw: String,
    /// Whether only this agent was allowed: wanted by name, or preferred for now.
    pub named: bool,
    /// With what chance a policy that draws would have chosen this; 1 for one that does not.
    pub propensity: f64,
    /// The chosen first, then the next best.
    pub candidates: Vec<Candidate>,
    /// How many agents could not get the conversation, by the first reason that was found.
    pub excluded: BTreeMap<Reason, u32>,
    /// What else decided: with it and the log the same decision can be taken again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// A pair that was compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The agent.
    pub agent: String,
    /// The conversation.
    pub conversation: ConversationKey,
    /// The sum of the parts.
    pub score: f64,
    /// The score by parts.
    pub parts: BTreeMap<String, f64>,
}

/// Why an agent cannot get a conversation now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such agent.
    Unknown,
    /// Not connected, or not at work.
    Offline,
    /// Away.
    Away,
    /// The shift is over, or has not begun.
    OffShift,
    /// Takes only what is handed over by name.
    TransfersOnly,
    /// The conversation is for another agent: wanted by name, or preferred for now.
    ReservedForAnother,
    /// Does not serve the queue.
    Queue,
    /// Does not speak the language.
    Language,
    /// Lacks a skill, or proficiency in it.
    Skill,
    /// Rejected it, or let it time out, a short while ago.
    Excluded,
    /// The free slots are kept for conversations that are about to be offered.
    Reserved,
    /// No slots free.
    Full,
}

/// Why an agent did not get a conversation, or does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum WhyNot {
    /// The agent could not.
    Impossible {
        /// Why.
        reason: Reason,
    },
    /// The agent could, and scores this.
    Possible {
        /// The score by parts.
        candidate: Candidate,
    },
    /// The conversation does not wait.
    NotWaiting,
    /// An agent was asked for it already.
    AskedFor {
        /// Which.
        agent: String,
    },
}

/// Why a conversation still waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhyWaiting {
    /// For how long, in seconds.
    pub waited_s: f64,
    /// The agent who was asked and has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// How many are ahead among those who ask for the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<usize>,
    /// How many agents cannot get it now, by the first reason that was found.
    pub excluded: BTreeMap<Reason, u32>,
    /// When something about it changes by itself, in ms: the next relaxation step, the end of a preference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_at_ms: Option<i64>,
}
