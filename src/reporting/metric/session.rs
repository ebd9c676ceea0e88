//! What the fold remembers of a conversation: the open session, and the last one, which later events can still change.

use kefu_events::Timestamp;
use serde::{Deserialize, Serialize};

/// Answers that can still be rated: as many as the conversation remembers.
const MAX_ANSWERS: usize = crate::conversation::state::MAX_RATEABLE_ANSWERS;

/// What the fold remembers of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConversationFold {
    /// The open session.
    pub open: Option<Box<Session>>,
    /// The one before.
    pub closed: Option<Box<Session>>,
    /// An earlier one that the customer was asked to rate and has not rated.
    pub unrated: Option<Box<Session>>,
}

/// One session, as far as figures go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its number, from 1.
    pub number: u32,
    /// The channel.
    pub channel: String,
    /// Whom it is about: the contact's key.
    pub contact: Option<String>,
    /// When it began.
    #[serde(with = "millis")]
    pub opened_at: Timestamp,
    /// When it ended.
    #[serde(with = "millis::option")]
    pub closed_at: Option<Timestamp>,
    /// Why: a `CloseReason`.
    pub reason: Option<String>,
    /// When the customer's first message came.
    #[serde(with = "millis::option")]
    pub first_message_at: Option<Timestamp>,
    /// When the bot first replied.
    #[serde(with = "millis::option")]
    pub bot_replied_at: Option<Timestamp>,
    /// When a person was first asked for.
    #[serde(with = "millis::option")]
    pub handed_off_at: Option<Timestamp>,
    /// When an agent first had it.
    #[serde(with = "millis::option")]
    pub served_at: Option<Timestamp>,
    /// When an agent first replied.
    #[serde(with = "millis::option")]
    pub agent_replied_at: Option<Timestamp>,
    /// The earliest message that waits for an agent's reply, after the first one. What the bot answered does not.
    #[serde(with = "millis::option")]
    pub unanswered_since: Option<Timestamp>,
    /// The last queue.
    pub queue: Option<String>,
    /// The last agent.
    pub agent: Option<String>,
    /// Skills that the last stint asked for.
    pub skills: Vec<String>,
    /// Category of the first answer's entry.
    pub intent: Option<String>,
    /// Questions to the bot.
    pub questions: u32,
    /// Answers of the bot.
    pub answers: u32,
    /// Questions that stayed unanswered.
    pub declined: u32,
    /// The question under way.
    pub asked: Option<String>,
    /// When it was asked.
    #[serde(with = "millis::option")]
    pub asked_at: Option<Timestamp>,
    /// The last answers.
    pub rateable: Vec<Answer>,
    /// The wait in a queue.
    pub wait: Option<Wait>,
    /// The agent at work.
    pub stint: Option<Stint>,
    /// Messages of the customer.
    pub from_customer: u32,
    /// Replies of the bot.
    pub from_bot: u32,
    /// Replies of agents.
    pub from_agents: u32,
    /// Times an agent gave it away.
    pub transfers: u32,
    /// Waits that a customer gave up.
    pub abandoned: u32,
    /// Milliseconds in queues.
    pub waited_ms: u64,
    /// Milliseconds of talk.
    pub talk_ms: u64,
    /// Milliseconds on hold.
    pub hold_ms: u64,
    /// Milliseconds of wrap-up.
    pub wrap_up_ms: u64,
    /// The agent's code for how it ended.
    pub disposition: Option<String>,
    /// Whether the customer was asked for a rating.
    pub rating_asked: bool,
    /// The customer's rating, 1 to 5.
    pub rating: Option<u8>,
    /// Whether the first response missed its target.
    pub sla_breached: bool,
    /// Whether it began soon after the session before.
    pub reopened: bool,
    /// Whether the customer came back soon after it.
    pub followed_up: bool,
}

/// An answer that may still be rated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The request that it answered.
    pub request: String,
    /// When it was given.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// The first entry that it rests on.
    pub entry: Option<String>,
    /// Its category then.
    pub intent: Option<String>,
}

/// A wait in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Since when.
    #[serde(with = "millis")]
    pub since: Timestamp,
    /// Nobody is asked before the queue opens.
    pub put_off: bool,
    /// The offer that is open: when it was made.
    #[serde(with = "millis::option")]
    pub offered_at: Option<Timestamp>,
    /// Skills that it is a case of.
    pub skills: Vec<String>,
}

/// An agent's work on a conversation, from taking it to giving it away or ending it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stint {
    /// Who.
    pub agent: String,
    /// Since when.
    #[serde(with = "millis")]
    pub since: Timestamp,
    /// On hold since.
    #[serde(with = "millis::option")]
    pub held_since: Option<Timestamp>,
    /// Put aside since.
    #[serde(with = "millis::option")]
    pub snoozed_since: Option<Timestamp>,
    /// In wrap-up since.
    #[serde(with = "millis::option")]
    pub wrap_up_since: Option<Timestamp>,
    /// Milliseconds on hold before.
    pub hold_ms: u64,
    /// Milliseconds put aside before.
    pub snoozed_ms: u64,
    /// Milliseconds of wrap-up before.
    pub wrap_up_ms: u64,
}

impl Stint {
    pub(super) fn begun(agent: String, since: Timestamp) -> Self {
        Self {
            agent,
            since,
            held_since: None,
            snoozed_since: None,
            wrap_up_since: None,
            hold_ms: 0,
            snoozed_ms: 0,
            wrap_up_ms: 0,
        }
    }

    /// Ends whatever is under way within it.
    pub(super) fn settle(&mut self, at: Timestamp) {
        if let Some(since) = self.snoozed_since.take() {
            self.snoozed_ms += between(since, at);
        }
        if let Some(since) = self.held_since.take() {
            self.hold_ms += between(since, at);
        }
        if let Some(since) = self.wrap_up_since.take() {
            self.wrap_up_ms += between(since, at);
        }
    }
}

impl Session {
    pub(super) fn remember(&mut self, answer: Answer) {
        if self.rateable.len() == MAX_ANSWERS {
            self.rateable.remove(0);
        }
        self.rateable.push(answer);
    }

    /// Whether the bot answered all of it: it was asked and answered, and nobody else was needed.
    pub fn is_intercepted(&self) -> bool {
        self.answers > 0 && self.is_contained()
    }

    /// Whether it stayed with the bot.
    pub fn is_contained(&self) -> bool {
        self.questions > 0 && self.handed_off_at.is_none() && self.served_at.is_none()
    }
}

/// Moments as numbers: these states are read and written with every commit of a session, and a date takes ten times as long.
pub(super) mod millis {
    use kefu_events::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_millis())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_millis)
    }

    pub mod option {
        use super::*;
        use serde::Serialize;

        #[expect(clippy::ref_option, reason = "what serde asks for")]
        pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            at.map(Timestamp::as_millis).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
            Ok(Option::<i64>::deserialize(deserializer)?.map(Timestamp::from_millis))
        }
    }
}

/// Milliseconds from one moment to another; clocks of two machines may disagree, and nothing takes less than no time.
pub(super) fn between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.millis_since(from)).unwrap_or(0)
}
