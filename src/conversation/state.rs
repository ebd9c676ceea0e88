//! What a conversation remembers: what its decisions need, and no message that has been dealt with.
//!
//! Everything that can grow has a bound, stated beside it, because a hundred thousand of these lie in memory at once.

use kefu_events::{
    AuthorKind, Concerns, Sender, Timestamp,
    agent::Practice,
    conversation::{AnswerChoice, CloseReason},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Messages that can wait for the answer to an earlier one, to be asked together next. More are in the log, for the
/// agent, but not in the question: somebody who writes 17 messages in 3 seconds is not asking 17 things.
pub const MAX_UNASKED: usize = 16;
/// Characters of a question. Longer ones are cut: what they are about stands at the start.
pub const MAX_QUESTION_CHARS: usize = 4_000;
/// Answers that can still be rated: the last ones.
pub const MAX_RATEABLE_ANSWERS: usize = 8;
/// Earlier questions that a question is put with: what "and for children?" is about stands in the last two or three.
pub const MAX_EARLIER: usize = 3;
/// Characters that are kept of each.
pub const MAX_EARLIER_CHARS: usize = 300;
/// Entries that a customer is given to choose from.
pub const MAX_CHOICES: usize = 5;
/// Characters that the answer which one was meant may have.
pub const MAX_CHOICE_CHARS: usize = 500;
/// Sources of an answer that are remembered while it can be rated.
pub const MAX_RATED_ENTRIES: usize = 5;
/// Characters that are kept of what the customer said to the bot, for routing rules. Longer ones are cut, as questions are.
pub const MAX_SAID_CHARS: usize = 2_000;
/// Entries that are kept of what a channel knows beside a message, for routing rules: those that are a text, a number, or
/// true or false.
pub const MAX_KNOWN: usize = 20;
/// Characters that such an entry's name may have; one with a longer name is not kept.
pub const MAX_KNOWN_NAME_CHARS: usize = 64;
/// Characters that are kept of such a text.
pub const MAX_KNOWN_CHARS: usize = 200;
/// Characters that are kept of a collected value.
pub const MAX_VALUE_CHARS: usize = 1_000;
/// Characters that are kept of a customer's name.
pub const MAX_NAME_CHARS: usize = 200;
/// Agents that are remembered for not having taken a session; the earliest are forgotten first.
pub const MAX_DECLINED: usize = 20;
/// Reservations that are remembered to have been given up before their offer came. One is an accident already.
pub const MAX_GIVEN_UP: usize = 4;
/// Characters that are kept of a language's name, such as `zh-Hant-TW`.
pub const MAX_LANGUAGE_CHARS: usize = 35;
/// Characters that are kept of what was said last: a line of a list.
pub const MAX_PREVIEW_CHARS: usize = 80;
/// Tags that a conversation can have.
pub const MAX_TAGS: usize = 50;

/// A conversation's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The channel's name; empty before the first session.
    pub channel: String,
    /// The channel's id of the thread.
    pub thread: String,
    /// Who wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// Fingerprint of what the channel knew last beside the message, so that a change is noticed. 0: nothing yet.
    pub metadata: u64,
    /// What the channel knew last beside a message, as much of it as is kept.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub known: Map<String, Value>,
    /// The customer's language, where the channel says it: `language` of what it knows beside the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Reservations of which the agent's side has been told that nothing is held, the last ones.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub given_up: VecDeque<String>,
    /// Tags of the thread, whatever the session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The latest time at which a received message was sent, by the channel's clock, but never after its arrival.
    pub last_sent_at: Timestamp,
    /// How many sessions there have been.
    pub sessions: u32,
    /// The open session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Box<Session>>,
    /// How the last session ended, while none is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// Requests whose answers can still be rated, oldest first.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub rateable: VecDeque<Rateable>,
    /// The rating that the customer has been asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<WantedRating>,
    /// The start of what was said last, by whomever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Who took part last, in whatever session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_agent: Option<String>,
}

/// The start of what was said last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// At most [`MAX_PREVIEW_CHARS`]; of a file its name.
    pub text: String,
    /// Who said it; absent: the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AuthorKind>,
    /// When.
    pub at: Timestamp,
}

/// The open session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub opened_at: Timestamp,
    /// Where it is on its way.
    pub phase: Phase,
    /// It is the customer's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
    /// What has been asked for and, where the customer gave it, the value. At most as many as the settings may name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collected: BTreeMap<String, Option<String>>,
    /// The queue that it was in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The priority that it had there.
    #[serde(default)]
    pub priority: i32,
    /// Skill → least proficiency that was asked of whoever takes it, by routing rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, u8>,
    /// Skills that they wished for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub wished: BTreeSet<String>,
    /// Whether an agent has taken part.
    #[serde(default)]
    pub served: bool,
    /// Who was asked and did not take it, at most [`MAX_DECLINED`], the earliest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declined: Vec<Declined>,
    /// Whether the customer has gone, and not written since.
    #[serde(default)]
    pub customer_left: bool,
    /// How it ended, in the agent's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
}

/// Where a session is on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The automatic part has it.
    Bot(Bot),
    /// It waits for a person.
    Queued(Waiting),
    /// A person has been asked.
    Offered(Waiting, Offer),
    /// A person has it.
    Active(Active),
    /// The talk is over, and a person writes up.
    WrapUp(Holder, Timestamp),
}

/// What the automatic part is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bot {
    /// The question whose answer is awaited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// Messages that have not been asked about, as they came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<Unasked>,
    /// What the customer said since the session began, or since the last answer, but for what was asked for: at most
    /// [`MAX_SAID_CHARS`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub said: String,
    /// What was asked before: the last [`MAX_EARLIER`], of each [`MAX_EARLIER_CHARS`].
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub earlier: VecDeque<String>,
    /// What the customer has been given to choose from, and has not answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<AnswerChoice>,
    /// How often in a row that was.
    #[serde(skip_serializing_if = "is_zero")]
    pub choice_rounds: u32,
    /// What the customer is being asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collecting: Option<Collecting>,
    /// A person is wanted, once everything is collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handoff: Option<Handoff>,
}

/// An answer that can still be rated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rateable {
    /// The request that it answered.
    pub request: String,
    /// Ids of the entries that it rested on, at most [`MAX_RATED_ENTRIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
}

/// A question whose answer is awaited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Names the request.
    pub request: String,
    /// The question.
    pub question: String,
    /// What the customer was given to choose from just before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<AnswerChoice>,
    /// The last message that it is about.
    pub message: String,
    /// An answer after this moment is too late.
    pub deadline: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A message that has not been asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unasked {
    /// Its id.
    pub id: String,
    /// What it says; all of them together have at most [`MAX_QUESTION_CHARS`].
    pub text: String,
    /// When it was sent, by the channel's clock.
    pub sent_at: Timestamp,
}

/// A piece of information that the customer is being asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collecting {
    /// Name of the field.
    pub field: String,
    /// How often it has been asked for.
    pub attempt: u32,
}

/// A person is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    /// From which queue, if one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The customer asked for one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_customer: bool,
}

/// Somebody was asked and did not take it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declined {
    /// The agent's id.
    pub agent: String,
    /// When the offer ended.
    pub at: Timestamp,
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Since when.
    pub since: Timestamp,
    /// Only this agent may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// It is given up then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandon_at: Option<Timestamp>,
    /// An agent handed it over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transferred: bool,
    /// Nobody is asked before: the queue opens then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// When the queue opened for which it had been put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Timestamp>,
}

/// A person has been asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Names the offer.
    pub id: String,
    /// Who, and the slot that is reserved.
    pub to: Holder,
    /// It times out then.
    pub deadline: Timestamp,
}

/// An agent, with the slot that this conversation takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The agent's id.
    pub agent: String,
    /// The agent's name as customers may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The reservation of the slot, if one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// Of which of the agent's skills it is a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<Box<Practice>>,
}

/// A person has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// Who.
    pub holder: Holder,
    /// The customer is on hold.
    #[serde(default)]
    pub held: bool,
    /// It is put aside until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// A colleague who helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consult: Option<String>,
}

/// It is the customer's turn; what silence leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// At this moment the customer is asked whether that was all.
    Prompt(Timestamp),
    /// The customer has been asked; at this moment the session is closed.
    Close(Timestamp),
}

/// How the last session ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: CloseReason,
    /// Who had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The queue that it was in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
}

/// A rating that the customer has been asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WantedRating {
    /// Of which session.
    pub session: u32,
    /// One after this moment does not count.
    pub deadline: Timestamp,
    /// Who brought it to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Of which of the agent's skills it was a case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub practice: Option<Box<Practice>>,
}

impl State {
    /// Where the conversation is: `bot`, `queued`, `offered`, `active`, `wrap_up`, `closed`, or `new` before the first
    /// session.
    pub fn phase_name(&self) -> &'static str {
        match self.session.as_ref().map(|session| &session.phase) {
            None if self.sessions == 0 => "new",
            None => "closed",
            Some(Phase::Bot(_)) => "bot",
            Some(Phase::Queued(_)) => "queued",
            Some(Phase::Offered(..)) => "offered",
            Some(Phase::Active(_)) => "active",
            Some(Phase::WrapUp(..)) => "wrap_up",
        }
    }

    /// Who has it, or is being asked to take it, and the slot.
    pub fn holder(&self) -> Option<&Holder> {
        match &self.session.as_ref()?.phase {
            Phase::Bot(_) | Phase::Queued(_) => None,
            Phase::Offered(_, offer) => Some(&offer.to),
            Phase::Active(active) => Some(&active.holder),
            Phase::WrapUp(holder, _) => Some(holder),
        }
    }

    /// The open session's phase.
    pub fn phase(&self) -> Option<&Phase> {
        self.session.as_ref().map(|session| &session.phase)
    }

    /// Whether the bot has it and a person is wanted.
    pub fn handed_off(&self) -> bool {
        self.bot().is_some_and(|bot| bot.handoff.is_some())
    }

    /// What the automatic part is doing, while it has the session.
    pub fn bot(&self) -> Option<&Bot> {
        match self.phase() {
            Some(Phase::Bot(bot)) => Some(bot),
            _ => None,
        }
    }

    /// The queue that the open session, or the last one, was in last.
    pub fn queue(&self) -> Option<&str> {
        match &self.session {
            Some(session) => session.queue.as_deref(),
            None => self.closed.as_ref()?.queue.as_deref(),
        }
    }

    /// The colleague who is consulted.
    pub fn consulted(&self) -> Option<&str> {
        self.active()?.consult.as_deref()
    }

    /// Until when it is put aside.
    pub fn snoozed_until(&self) -> Option<Timestamp> {
        self.active()?.snoozed_until
    }

    /// Whom of the tenant's people it concerns now.
    pub fn concerns(&self) -> Concerns {
        super::concerns::concerns(self, &[])
    }

    pub(super) fn active(&self) -> Option<&Active> {
        match self.phase() {
            Some(Phase::Active(active)) => Some(active),
            _ => None,
        }
    }
}
