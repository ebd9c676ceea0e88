//! The conversation's commands and events.
//!
//! A conversation is one thread of one channel. It lives for ever and has sessions, numbered from 1; at most one is
//! open. Sessions run `bot → queued → offered → active → wrap_up → closed`.

mod command;
mod event;

pub use command::ConversationCommand;
pub use event::ConversationEvent;

use crate::{Content, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a transfer goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// To one agent.
    Agent(String),
    /// To whoever serves this queue.
    Queue(String),
}

/// Why a conversation went, or goes, to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandoffReason {
    /// The customer asked for a person.
    CustomerAsked,
    /// No answer came before the deadline.
    AnswerTimedOut,
    /// The answerer was not confident enough.
    NotConfident,
    /// The answerer said that a person must do this.
    BotAsked,
    /// The tenant has no bot on this channel.
    NoBot,
    /// An agent or operator asked for it.
    AgentAsked,
}

/// Why an answer was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoAnswerReason {
    /// The deadline passed.
    TimedOut,
    /// Below the tenant's threshold.
    NotConfident,
    /// The question is not what this knowledge base is for.
    OutOfScope,
    /// The answerer failed.
    Failed,
}

/// Why an offer was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RescindReason {
    /// The customer left or the session was closed.
    SessionEnded,
    /// The agent lost the connection or went away.
    AgentGone,
    /// A person with the power to do so took it back.
    Reassigned,
    /// The conversation is quarantined.
    Quarantined,
}

/// What a conversation holds of an agent's slots under one reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Nothing, and it never will again.
    No,
    /// The agent has been asked.
    Offered,
    /// The agent has the conversation.
    Active,
    /// The agent writes up.
    WrapUp,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The agent finished wrap-up, or its time ran out.
    WrappedUp,
    /// An agent or operator closed it directly.
    ClosedByAgent,
    /// The bot's part was enough and the customer said nothing more.
    Inactivity,
    /// The customer has gone.
    CustomerLeft,
    /// Nobody had time for too long.
    Abandoned,
    /// A person was asked for outside of business hours.
    OutOfHours,
}

/// Something was wrong with a routing rule when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleError {
    /// The rule's name.
    pub rule: String,
    /// What was wrong.
    #[schemars(extend("x-personal" = true))]
    pub error: String,
}

/// One knowledge-base entry or other text that an answer rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerSource {
    /// Id of the entry.
    pub entry: String,
    /// Version of the entry that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_version: Option<u64>,
    /// The answerer's score for it, on the answerer's own scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// One entry that the customer may have meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerChoice {
    /// Id of the entry.
    pub entry: String,
    /// Its question, as the customer was shown it.
    pub question: String,
}

/// One message of a customer, as the conversation keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReceivedMessage {
    /// The channel's id of it.
    pub id: String,
    /// When the customer sent it, by the channel's clock.
    pub sent_at: Timestamp,
    /// What it says.
    pub content: Content,
    /// Anything else that the channel knew.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-personal" = true))]
    pub metadata: Map<String, Value>,
}
