//! The knowledge-base entry's commands and events: a question in its variants, its answer, who approved it, and what
//! people made of it.

use crate::{CommandRefused, QuarantineLifted, Quarantined, Timestamp, V, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an entry says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryContent {
    /// The question in its ordinary form.
    pub question: String,
    /// Other ways of asking it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<String>,
    /// The answer. `{name}` stands for a variable, `{{` for a brace.
    pub answer: String,
    /// Channel → the answer in the form that this channel wants, in the place of `answer`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub channel_answers: BTreeMap<String, String>,
    /// Variable → what stands for it in the answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// BCP 47 tag of the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Who may be given the answer.
    #[serde(default, skip_serializing_if = "Audience::is_customers")]
    pub audience: Audience,
    /// It is no answer before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// It is no answer from this moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// Who may be given an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everybody.
    #[default]
    Customers,
    /// Agents only: it is suggested to them, and never sent by the bot.
    Agents,
}

impl Audience {
    fn is_customers(&self) -> bool {
        *self == Self::Customers
    }
}

/// What somebody made of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// An agent sent it as it is.
    Adopted,
    /// An agent sent it with changes.
    Edited,
    /// An agent did not want it.
    Rejected,
    /// It helped a customer.
    Helpful,
    /// It did not.
    Unhelpful,
}

/// What may be asked of an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "FaqCommand", tag = "type")]
pub enum FaqCommand {
    /// Write it, or change what it says. What is approved goes on answering until this is approved in its place.
    Draft {
        /// Version of this command.
        v: V<1>,
        /// All that it is to say.
        content: EntryContent,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Let it answer.
    Approve {
        /// Version of this command.
        v: V<1>,
        /// The version of its content that was looked at; the last one, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry_version: Option<u64>,
    },
    /// Let it answer no longer.
    Retire {
        /// Version of this command.
        v: V<1>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Make what it said in an earlier version the newest draft.
    Rollback {
        /// Version of this command.
        v: V<1>,
        /// The version of its content to go back to.
        to: u64,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Say what became of its answer.
    GiveFeedback {
        /// Version of this command.
        v: V<1>,
        /// What somebody made of it.
        feedback: Feedback,
        /// Key of the conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
        /// The version of its content that was used; the approved one, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry_version: Option<u64>,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
}

tagged!(FaqCommand);

/// What can have happened to an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "FaqEvent", tag = "type")]
pub enum FaqEvent {
    /// Somebody wrote it.
    EntryDrafted {
        /// Version of this event.
        v: V<1>,
        /// What it says.
        content: EntryContent,
    },
    /// Somebody changed it.
    EntryEdited {
        /// Version of this event.
        v: V<1>,
        /// What it says now.
        content: EntryContent,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The version of its content that it was taken back to, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rolled_back_to: Option<u64>,
    },
    /// It may be used for answers.
    EntryApproved {
        /// Version of this event.
        v: V<1>,
        /// Who approved it.
        reviewer: String,
        /// The version of its content that answers from now on; the last one, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry_version: Option<u64>,
    },
    /// It may not be used any more.
    EntryRetired {
        /// Version of this event.
        v: V<1>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Somebody used or judged it.
    FeedbackGiven {
        /// Version of this event.
        v: V<1>,
        /// What they made of it.
        feedback: Feedback,
        /// In which conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
        /// The version of its content that was used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry_version: Option<u64>,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}

tagged!(FaqEvent);
