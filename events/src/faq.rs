//! The knowledge-base entry's events, as the contract fixes them; the commands come with its state machine.

use crate::{CommandRefused, QuarantineLifted, Quarantined, V};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EntryContent {
    /// The question in its ordinary form.
    pub question: String,
    /// Other ways of asking it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<String>,
    /// The answer.
    pub answer: String,
    /// BCP 47 tag of the language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// What somebody made of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// What can have happened to an entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
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
    },
    /// It may be used for answers.
    EntryApproved {
        /// Version of this event.
        v: V<1>,
        /// Who approved it.
        reviewer: String,
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
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}
