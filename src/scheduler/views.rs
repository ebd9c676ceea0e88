//! What a leader tells the floor: agents and waiting conversations, as the log shows them.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

/// A conversation's key: 32 hex digits, held as the number that they write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationKey(pub u128);

impl fmt::Display for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The text is not 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a conversation's key is 32 hex digits")]
pub struct BadKey;

impl FromStr for ConversationKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.map(Self).ok_or(BadKey)
    }
}

impl Serialize for ConversationKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConversationKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What an agent is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// New conversations.
    Available,
    /// Nothing for now.
    Away,
    /// Only what colleagues hand over to this agent by name.
    TransfersOnly,
    /// Not at work.
    Offline,
    /// Available, but the shift is over, and nothing was said since.
    OffShift,
}

/// How an agent works, compared with the group: 1 is like everybody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Work done per time: 2 needs half as long.
    pub speed: f64,
    /// Ratings.
    pub quality: f64,
}

impl Default for Performance {
    fn default() -> Self {
        Self { speed: 1.0, quality: 1.0 }
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// The agent's id.
    pub id: String,
    /// What the agent is ready for.
    pub status: Status,
    /// Whether a connection is there.
    pub online: bool,
    /// Skill → proficiency, 0 to 5.
    pub skills: BTreeMap<String, u8>,
    /// Skill → how the agent works there. Absent: like everybody.
    #[serde(default)]
    pub performance: BTreeMap<String, Performance>,
    /// Languages spoken.
    #[serde(default)]
    pub languages: BTreeSet<String>,
    /// Queues served.
    pub queues: BTreeSet<String>,
    /// Capacity in slots.
    pub slots: u32,
    /// Conversation → slots that it takes now: reserved, active and in wrap-up.
    #[serde(default)]
    pub load: BTreeMap<ConversationKey, u32>,
    /// Since when the agent's load has not shrunk, in ms; absent: the floor observes it.
    #[serde(default)]
    pub idle_since_ms: Option<i64>,
}

/// An agent who is hoped for, until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferred {
    /// Who: the customer's own agent, or the last one.
    pub agent: String,
    /// While this moment has not come and the agent is available, nobody else is asked. In ms.
    pub until_ms: i64,
}

/// One conversation that waits for an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingView {
    /// Its key.
    pub conversation: ConversationKey,
    /// The session that waits.
    pub session: u32,
    /// The queue that it stands in.
    pub queue: String,
    /// The channel that it came by. Its weight follows from it; the floor itself does not look at it.
    #[serde(default)]
    pub channel: String,
    /// 0 to 10, most urgent last.
    #[serde(default)]
    pub priority: u8,
    /// Skill → least proficiency: an agent without it is not asked.
    #[serde(default)]
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited, without excluding others.
    #[serde(default)]
    pub wished: BTreeSet<String>,
    /// A language that the agent must speak.
    #[serde(default)]
    pub language: Option<String>,
    /// An agent who is hoped for.
    #[serde(default)]
    pub preferred: Option<Preferred>,
    /// The only agent who may get it, whatever the agent's skills: a transfer by name.
    #[serde(default)]
    pub wanted: Option<String>,
    /// Slots that it takes.
    pub weight: u32,
    /// Since when it waits, in ms.
    pub since_ms: i64,
    /// Agents who rejected it or let it time out → until when they are not asked again, in ms.
    #[serde(default)]
    pub excluded: BTreeMap<String, i64>,
}
