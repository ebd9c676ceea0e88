//! The conversation's commands and events.
//!
//! A conversation is one thread of one channel. It lives for ever and has sessions, numbered from 1; at most one is
//! open. Sessions run `bot → queued → offered → active → wrap_up → closed`.

use crate::{
    Author, CommandRefused, Content, QuarantineLifted, Quarantined, Sender, Timestamp, V, message::DeliveryState,
};
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

/// What may be asked of a conversation, beside the customer's messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConversationCommand {
    /// From the answerer: here is the answer to what was asked.
    GiveAnswer {
        /// Version of this command.
        v: V<1>,
        /// The request that it answers, from `answer_requested`.
        request: String,
        /// The answer, ready for the customer.
        content: Content,
        /// Calibrated probability that it is right, 0 to 1.
        confidence: f64,
        /// What it rests on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sources: Vec<AnswerSource>,
    },
    /// From the answerer: there will be no answer.
    DeclineAnswer {
        /// Version of this command.
        v: V<1>,
        /// The request that it declines, from `answer_requested`.
        request: String,
        /// Why.
        reason: NoAnswerReason,
        /// Probability of the best candidate, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    /// The customer says whether an answer helped.
    RateAnswer {
        /// Version of this command.
        v: V<1>,
        /// The request whose answer is rated.
        request: String,
        /// Whether it helped.
        helpful: bool,
    },
    /// To a person, please.
    RequestHandoff {
        /// Version of this command.
        v: V<1>,
        /// Queue to wait in; the tenant's first one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        queue: Option<String>,
        /// For whoever takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// From the scheduler (or a person in its place): this agent, whose slot is reserved, may have it.
    Offer {
        /// Version of this command.
        v: V<1>,
        /// Whom to offer to.
        agent: String,
        /// The reservation that holds the agent's slot; absent where no slot was reserved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// The session for which it was decided; refused if another is open by now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u32>,
        /// The scheduler's decision, for `kefu why`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Value>,
    },
    /// The agent takes it.
    Accept {
        /// Version of this command.
        v: V<1>,
        /// The offer, from `offer_made`; the open one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<String>,
        /// The agent's name as customers may see it; the agent's id stands in for it if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// The agent does not take it.
    Reject {
        /// Version of this command.
        v: V<1>,
        /// The offer, from `offer_made`; the open one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Take the open offer back.
    Rescind {
        /// Version of this command.
        v: V<1>,
        /// The offer, from `offer_made`; the open one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offer: Option<String>,
        /// Why.
        reason: RescindReason,
    },
    /// The agent writes to the customer.
    Reply {
        /// Version of this command.
        v: V<1>,
        /// What to say.
        content: Content,
        /// Id of the customer's message that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<String>,
    },
    /// A remark that the customer never sees.
    Note {
        /// Version of this command.
        v: V<1>,
        /// The remark.
        #[schemars(extend("x-personal" = true))]
        text: String,
    },
    /// Put the customer on hold.
    Hold {
        /// Version of this command.
        v: V<1>,
    },
    /// End the hold, or take the talk up again out of wrap-up.
    Resume {
        /// Version of this command.
        v: V<1>,
    },
    /// Give it to another agent or queue.
    Transfer {
        /// Version of this command.
        v: V<1>,
        /// To whom.
        to: Target,
        /// For whoever takes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Give it back to the bot.
    ReturnToBot {
        /// Version of this command.
        v: V<1>,
    },
    /// Ask a colleague, who may then read along and write notes.
    Consult {
        /// Version of this command.
        v: V<1>,
        /// The colleague.
        with: String,
        /// What to ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// The colleague is not needed any more.
    EndConsult {
        /// Version of this command.
        v: V<1>,
    },
    /// Add tags.
    Tag {
        /// Version of this command.
        v: V<1>,
        /// The tags.
        tags: Vec<String>,
    },
    /// Remove tags.
    Untag {
        /// Version of this command.
        v: V<1>,
        /// The tags.
        tags: Vec<String>,
    },
    /// Put it aside until then, or until the customer writes.
    Snooze {
        /// Version of this command.
        v: V<1>,
        /// Until when.
        until: Timestamp,
    },
    /// Take it up again now.
    Unsnooze {
        /// Version of this command.
        v: V<1>,
    },
    /// The talk is over; wrap-up begins.
    WrapUp {
        /// Version of this command.
        v: V<1>,
    },
    /// What it was about and how it ended.
    SetDisposition {
        /// Version of this command.
        v: V<1>,
        /// One of the tenant's codes.
        code: String,
        /// A remark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// End the session, from whatever phase.
    Close {
        /// Version of this command.
        v: V<1>,
    },
    /// The customer's rating, where a channel has a form for it (a number as text is understood as well).
    RateSatisfaction {
        /// Version of this command.
        v: V<1>,
        /// 1 (bad) to 5 (good).
        score: u8,
        /// In the customer's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        comment: Option<String>,
    },
    /// A deadline of this conversation has passed.
    TimerFired {
        /// Version of this command.
        v: V<1>,
        /// Which deadline.
        timer: String,
        /// When it was due: one that was moved since is ignored.
        due: Timestamp,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
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

/// What can have happened to a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
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
        decision: Option<Value>,
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
    /// An offer was refused (`command_refused` says why) whose slot had been reserved: it is given back.
    OfferRefused {
        /// Version of this event.
        v: V<1>,
        /// To whom it was to be offered.
        agent: String,
        /// The reservation, to be released.
        reservation: String,
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
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
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}
