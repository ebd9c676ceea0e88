//! What can have happened to a conversation.

use super::{
    AnswerChoice, AnswerSource, CloseReason, HandoffReason, Held, NoAnswerReason, ReceivedMessage, RescindReason,
    RuleError, Target,
};
use crate::{
    Author, CommandRefused, Content, Json, QuarantineLifted, Quarantined, Sender, Timestamp, V, agent::Practice,
    message::DeliveryState, tagged::tagged,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What can have happened to a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "ConversationEvent", tag = "type")]
pub enum ConversationEvent {
    /// A session began.
    SessionOpened {
        /// Version of this event.
        v: V<1>,
        /// Its number, from 1.
        session: u32,
        /// The channel's name.
        channel: String,
        /// The channel's id of the thread.
        #[schemars(extend("x-personal" = true))]
        thread: String,
        /// Who writes.
        sender: Sender,
        /// When the session before it ended, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous_closed_at: Option<Timestamp>,
    },
    /// What the channel tells of the customer changed: another sender in the thread, another name, other metadata.
    CustomerChanged {
        /// Version of this event.
        v: V<1>,
        /// The channel's name.
        channel: String,
        /// Who writes now.
        sender: Sender,
        /// What the channel knows now.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        #[schemars(extend("x-personal" = true))]
        metadata: Map<String, Value>,
    },
    /// The customer wrote.
    MessageReceived {
        /// Version of this event.
        v: V<1>,
        /// The session that it belongs to.
        session: u32,
        /// The message.
        message: ReceivedMessage,
        /// Sent before a message that had already been received.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        late: bool,
    },
    /// The customer changed an earlier message.
    MessageEdited {
        /// Version of this event.
        v: V<1>,
        /// Id of the message that was changed.
        of: String,
        /// Its text now.
        #[schemars(extend("x-personal" = true))]
        text: String,
        /// When, by the channel's clock.
        sent_at: Timestamp,
    },
    /// A reply was decided; it is published to the channel after this commit.
    MessageSent {
        /// Version of this event.
        v: V<1>,
        /// The session that it belongs to.
        session: u32,
        /// Id of the outbound message.
        id: String,
        /// The channel that delivers it.
        channel: String,
        /// The channel's id of the thread.
        #[schemars(extend("x-personal" = true))]
        thread: String,
        /// Who wrote it.
        author: Author,
        /// What it says.
        content: Content,
        /// Id of the customer's message that it answers, if it answers one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
    },
    /// The channel reported what became of a reply.
    DeliveryReported {
        /// Version of this event.
        v: V<1>,
        /// Id of the outbound message.
        of: String,
        /// What became of it.
        state: DeliveryState,
        /// The channel's reason, for `failed`.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The customer was asked for a piece of information.
    InformationRequested {
        /// Version of this event.
        v: V<1>,
        /// Name of the field.
        field: String,
        /// How often it has been asked for, from 1.
        attempt: u32,
    },
    /// The customer gave a piece of information, or the attempts ran out.
    InformationCollected {
        /// Version of this event.
        v: V<1>,
        /// Name of the field.
        field: String,
        /// What the customer gave; absent when the attempts ran out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        value: Option<String>,
    },
    /// An answer is wanted from the knowledge base.
    AnswerRequested {
        /// Version of this event.
        v: V<1>,
        /// Names this request.
        request: String,
        /// The customer's messages that it is about, joined.
        #[schemars(extend("x-personal" = true))]
        question: String,
        /// Id of the last of them.
        message: String,
        /// An answer after this moment is too late.
        deadline: Timestamp,
        /// What was asked before in this part of the session, the earliest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(extend("x-personal" = true))]
        earlier: Vec<String>,
        /// What the customer was given to choose from just before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<AnswerChoice>,
    },
    /// In the place of an answer, the customer was asked which of these was meant.
    ChoicesOffered {
        /// Version of this event.
        v: V<1>,
        /// The request that led to it.
        request: String,
        /// Calibrated probability that the first one is right, 0 to 1.
        confidence: f64,
        /// The entries, the likeliest first.
        choices: Vec<AnswerChoice>,
    },
    /// The answer came in time and was sure enough.
    AnswerGiven {
        /// Version of this event.
        v: V<1>,
        /// The request that it answers.
        request: String,
        /// Calibrated probability that it is right, 0 to 1.
        confidence: f64,
        /// What it rests on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<AnswerSource>,
    },
    /// There was no answer, or none in time, or none that was sure enough.
    AnswerDeclined {
        /// Version of this event.
        v: V<1>,
        /// The request that stays unanswered.
        request: String,
        /// Why.
        reason: NoAnswerReason,
        /// Probability of the best candidate, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    /// The customer said whether an answer helped.
    AnswerRated {
        /// Version of this event.
        v: V<1>,
        /// The request whose answer was rated.
        request: String,
        /// Whether it helped.
        helpful: bool,
        /// Ids of the entries that the answer rested on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        entries: Vec<String>,
    },
    /// A person is wanted.
    HandoffRequested {
        /// Version of this event.
        v: V<1>,
        /// Why.
        reason: HandoffReason,
        /// The queue that was asked for, if one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// For whoever takes it.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It waits for a person.
    Queued {
        /// Version of this event.
        v: V<1>,
        /// In which queue.
        queue: String,
        /// Larger is served first; 0 is ordinary.
        priority: i32,
        /// For this agent only, after a transfer to one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// It is given up then, if nobody has taken it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        abandon_at: Option<Timestamp>,
        /// Names of the routing rules that decided this, in their order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<String>,
        /// Skill → least proficiency that an agent must have, beside what the queue requires.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        required: BTreeMap<String, u8>,
        /// Skills that make an agent better suited, beside those of the queue.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        wished: BTreeSet<String>,
        /// Routing rules that did not hold because something was wrong with them, and what.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rule_errors: Vec<RuleError>,
        /// Nobody is asked before: the queue opens then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// The queue has opened: whoever was put off until then waits for a person now.
    CallbackDue {
        /// Version of this event.
        v: V<1>,
    },
    /// It was offered to an agent.
    OfferMade {
        /// Version of this event.
        v: V<1>,
        /// Names this offer.
        offer: String,
        /// To whom.
        agent: String,
        /// The reservation that holds the agent's slot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// It times out then.
        deadline: Timestamp,
        /// The scheduler's decision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Json>,
        /// Of which of the agent's skills it is a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
    },
    /// The agent took it.
    OfferAccepted {
        /// Version of this event.
        v: V<1>,
        /// Which offer.
        offer: String,
        /// Who.
        agent: String,
        /// The agent's name as customers may see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The reservation, now an occupied slot.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// The agent did not take it.
    OfferRejected {
        /// Version of this event.
        v: V<1>,
        /// Which offer.
        offer: String,
        /// Who.
        agent: String,
        /// The reservation, to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// In the agent's words.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The agent did not answer in time.
    OfferTimedOut {
        /// Version of this event.
        v: V<1>,
        /// Which offer.
        offer: String,
        /// Who.
        agent: String,
        /// The reservation, to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// The offer was withdrawn.
    OfferRescinded {
        /// Version of this event.
        v: V<1>,
        /// Which offer.
        offer: String,
        /// Who had it.
        agent: String,
        /// The reservation, to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// Why.
        reason: RescindReason,
    },
    /// The customer was told how far it is (`message_sent` has the words).
    PositionTold {
        /// Version of this event.
        v: V<1>,
        /// Place in the line, from 1.
        position: u32,
        /// How long it would still take, in seconds, as far as could be estimated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_s: Option<u32>,
    },
    /// An offer was refused (`command_refused` says why) whose slot had been reserved: it is given back.
    OfferRefused {
        /// Version of this event.
        v: V<1>,
        /// To whom it was to be offered.
        agent: String,
        /// The reservation, to be released.
        reservation: String,
    },
    /// The agent's side asked what has become of a reservation; this is the answer.
    ReservationChecked {
        /// Version of this event.
        v: V<1>,
        /// Whose slot it is.
        agent: String,
        /// The reservation.
        reservation: String,
        /// What is held under it.
        held: Held,
    },
    /// The agent put the customer on hold.
    Held {
        /// Version of this event.
        v: V<1>,
    },
    /// The hold ended.
    Resumed {
        /// Version of this event.
        v: V<1>,
    },
    /// The agent gave it to somebody else; it is queued next.
    Transferred {
        /// Version of this event.
        v: V<1>,
        /// Who gave it away.
        from: String,
        /// The slot to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// To whom.
        to: Target,
        /// For whoever takes it.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// It went back to the bot.
    ReturnedToBot {
        /// Version of this event.
        v: V<1>,
        /// Who gave it back, if an agent had it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The slot to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// A colleague was asked.
    ConsultStarted {
        /// Version of this event.
        v: V<1>,
        /// Who asks.
        agent: String,
        /// The colleague.
        with: String,
        /// What was asked.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// Nobody asked: the colleague, a supervisor, came by themselves.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        joined: bool,
    },
    /// A supervisor took it: from the bot, from a queue, or from a colleague.
    TakenOver {
        /// Version of this event.
        v: V<1>,
        /// Who has it now.
        agent: String,
        /// The name as customers may see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Who had it, if an agent had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The slot to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// The colleague is not needed any more.
    ConsultEnded {
        /// Version of this event.
        v: V<1>,
        /// The colleague.
        with: String,
    },
    /// A remark that the customer never sees.
    Noted {
        /// Version of this event.
        v: V<1>,
        /// Who wrote it.
        by: String,
        /// The remark.
        #[schemars(extend("x-personal" = true))]
        text: String,
    },
    /// Tags were added.
    Tagged {
        /// Version of this event.
        v: V<1>,
        /// Those that were not there yet.
        tags: Vec<String>,
    },
    /// Tags were removed.
    Untagged {
        /// Version of this event.
        v: V<1>,
        /// Those that had been there.
        tags: Vec<String>,
    },
    /// It was put aside.
    Snoozed {
        /// Version of this event.
        v: V<1>,
        /// Until when.
        until: Timestamp,
    },
    /// It was taken up again: by a person, because the time came, or because the customer wrote.
    Unsnoozed {
        /// Version of this event.
        v: V<1>,
    },
    /// It is the customer's turn to write.
    CustomerAwaited {
        /// Version of this event.
        v: V<1>,
        /// A customer who is silent until then is asked whether that was all.
        prompt_at: Timestamp,
    },
    /// The customer, silent for a while, was asked whether that was all.
    InactivityPrompted {
        /// Version of this event.
        v: V<1>,
        /// The session is closed then, if the customer stays silent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        close_at: Option<Timestamp>,
    },
    /// The customer has gone.
    CustomerLeft {
        /// Version of this event.
        v: V<1>,
    },
    /// The talk is over; the agent writes up.
    WrapUpStarted {
        /// Version of this event.
        v: V<1>,
        /// Who.
        agent: String,
        /// The slot, which stays occupied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// It ends by itself then.
        deadline: Timestamp,
    },
    /// The talk goes on, out of wrap-up: the customer wrote again, or the agent took it up.
    Reactivated {
        /// Version of this event.
        v: V<1>,
        /// Who has it.
        agent: String,
        /// The slot, which stays occupied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// What it was about and how it ended.
    DispositionSet {
        /// Version of this event.
        v: V<1>,
        /// The session, which may just have been closed.
        session: u32,
        /// One of the tenant's codes.
        code: String,
        /// A remark.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The session ended.
    SessionClosed {
        /// Version of this event.
        v: V<1>,
        /// Its number.
        session: u32,
        /// Why.
        reason: CloseReason,
        /// Who had it, if an agent had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// The slot to be released.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
    },
    /// The customer was asked to rate the session.
    SatisfactionRequested {
        /// Version of this event.
        v: V<1>,
        /// The session.
        session: u32,
        /// A rating after this moment does not count.
        deadline: Timestamp,
        /// Who brought the session to its end, if an agent did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// Of which of the agent's skills it was a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
    },
    /// The customer rated the session.
    SatisfactionRated {
        /// Version of this event.
        v: V<1>,
        /// The session.
        session: u32,
        /// 1 (bad) to 5 (good).
        score: u8,
        /// In the customer's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        comment: Option<String>,
        /// Who brought the session to its end, if an agent did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        /// Of which of the agent's skills it was a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}

tagged!(ConversationEvent);
