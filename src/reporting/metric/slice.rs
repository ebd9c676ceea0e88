//! What figures can be broken down by.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What figures can be broken down by. Each breakdown stands beside the whole, and is not combined with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Nothing: the tenant as a whole.
    All,
    /// The channel that the customer writes on.
    Channel,
    /// The queue that it waited in, or was handled out of.
    Queue,
    /// The agent who took, answered or ended it.
    Agent,
    /// A skill that it asked of the agent.
    Skill,
    /// The category of the knowledge base's entry that was the first answer.
    Intent,
    /// The knowledge base's entry.
    Entry,
}

impl Dimension {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::All, Self::Channel, Self::Queue, Self::Agent, Self::Skill, Self::Intent, Self::Entry];

    /// The letter by which it stands in stored keys: never change one.
    pub fn letter(self) -> u8 {
        match self {
            Self::All => b'*',
            Self::Channel => b'c',
            Self::Queue => b'q',
            Self::Agent => b'a',
            Self::Skill => b's',
            Self::Intent => b'i',
            Self::Entry => b'e',
        }
    }

    /// The dimension of this letter.
    pub fn of_letter(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|dimension| dimension.letter() == letter)
    }

    /// As it stands in commands and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Channel => "channel",
            Self::Queue => "queue",
            Self::Agent => "agent",
            Self::Skill => "skill",
            Self::Intent => "intent",
            Self::Entry => "entry",
        }
    }

    /// Whether single minutes are kept: of what has few values. Of skills, intents and entries, hours and days are.
    pub fn has_minutes(self) -> bool {
        matches!(self, Self::All | Self::Channel | Self::Queue | Self::Agent)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dimension {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|dimension| dimension.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|dimension| dimension.as_str()).collect();
            format!("{text:?} is nothing to break down by: {} are", known.join(", "))
        })
    }
}

/// What is known of something that is counted: it is counted once in the whole, and once under each of these.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slices<'a> {
    /// The channel.
    pub channel: Option<&'a str>,
    /// The queue.
    pub queue: Option<&'a str>,
    /// The agent.
    pub agent: Option<&'a str>,
    /// The skills.
    pub skills: &'a [String],
    /// The intent.
    pub intent: Option<&'a str>,
    /// The entry.
    pub entry: Option<&'a str>,
}

impl<'a> Slices<'a> {
    /// Every slice that it is counted in, the whole first.
    pub fn iter(self) -> impl Iterator<Item = (Dimension, &'a str)> {
        let one = |dimension, value: Option<&'a str>| value.map(|value| (dimension, value));
        [
            Some((Dimension::All, "")),
            one(Dimension::Channel, self.channel),
            one(Dimension::Queue, self.queue),
            one(Dimension::Agent, self.agent),
            one(Dimension::Intent, self.intent),
            one(Dimension::Entry, self.entry),
        ]
        .into_iter()
        .flatten()
        .chain(self.skills.iter().map(|skill| (Dimension::Skill, skill.as_str())))
        .filter(|(dimension, value)| *dimension == Dimension::All || !value.is_empty())
    }
}
