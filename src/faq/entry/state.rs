//! What an entry remembers.

use kefu_events::{
    Timestamp,
    faq::{EntryContent, Feedback},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Versions of its content that an entry remembers, to be compared and rolled back to: the last ones, and the approved one.
/// Older ones are in the log.
pub const MAX_HISTORY: usize = 50;

/// Bytes of JSON that they may have together, so that fifty large versions do not make every snapshot large.
pub(super) const MAX_HISTORY_BYTES: usize = 512 * 1024;

/// An entry's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The newest version of its content, counted from 1. 0: never written.
    pub entry_version: u64,
    /// Versions of its content, the newest last.
    pub history: VecDeque<EntryVersion>,
    /// The version that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<u64>,
    /// It was taken out of use, and not taken up again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// What people made of its answers, by version: those of the versions that are remembered.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub feedback: BTreeMap<u64, FeedbackCounts>,
}

/// One version of an entry's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryVersion {
    /// Its number.
    pub entry_version: u64,
    /// When it was written.
    pub at: Timestamp,
    /// By whom: `<kind>:<id>`.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The version that it repeats, where it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
    /// Who approved it; `None`: nobody yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What it says.
    pub content: EntryContent,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub reviewer: String,
}

/// Where an entry is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryStatus {
    /// Written, and never approved since.
    Draft,
    /// It answers.
    Approved,
    /// It answers no longer.
    Retired,
}

impl EntryStatus {
    /// As it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Retired => "retired",
        }
    }
}

/// How often something was made of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeedbackCounts {
    /// Agents sent it as it is.
    pub adopted: u64,
    /// Agents sent it with changes.
    pub edited: u64,
    /// Agents did not want it.
    pub rejected: u64,
    /// It helped a customer.
    pub helpful: u64,
    /// It did not.
    pub unhelpful: u64,
}

impl FeedbackCounts {
    pub(super) fn count(&mut self, feedback: Feedback) {
        let counter = match feedback {
            Feedback::Adopted => &mut self.adopted,
            Feedback::Edited => &mut self.edited,
            Feedback::Rejected => &mut self.rejected,
            Feedback::Helpful => &mut self.helpful,
            Feedback::Unhelpful => &mut self.unhelpful,
        };
        *counter += 1;
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            adopted: self.adopted + other.adopted,
            edited: self.edited + other.edited,
            rejected: self.rejected + other.rejected,
            helpful: self.helpful + other.helpful,
            unhelpful: self.unhelpful + other.unhelpful,
        }
    }
}

impl State {
    /// Whether it was ever written: a command that went to a wrong key makes no entry.
    pub fn exists(&self) -> bool {
        self.entry_version > 0
    }

    /// The newest version; `None` before the first.
    pub fn newest(&self) -> Option<&EntryVersion> {
        self.history.back()
    }

    /// A version that is remembered.
    pub fn version(&self, entry_version: u64) -> Option<&EntryVersion> {
        self.history.iter().find(|version| version.entry_version == entry_version)
    }

    /// The version that answers.
    pub fn answering(&self) -> Option<&EntryVersion> {
        self.approved.and_then(|approved| self.version(approved))
    }

    /// Whether a version waits for approval.
    pub fn has_draft(&self) -> bool {
        self.exists() && !self.retired && self.approved != Some(self.entry_version)
    }

    /// Where it is on its way.
    pub fn status(&self) -> EntryStatus {
        match (self.retired, self.approved) {
            (true, _) => EntryStatus::Retired,
            (false, Some(_)) => EntryStatus::Approved,
            (false, None) => EntryStatus::Draft,
        }
    }

    /// What people made of all versions that are remembered.
    pub fn all_feedback(&self) -> FeedbackCounts {
        self.feedback.values().fold(FeedbackCounts::default(), |sum, counts| sum.plus(*counts))
    }
}
