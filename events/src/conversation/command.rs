//! What may be asked of a conversation.

use super::{AnswerChoice, AnswerSource, NoAnswerReason, RescindReason, Target};
use crate::{Content, Json, Timestamp, V, agent::Practice, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be asked of a conversation, beside the customer's messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "ConversationCommand", tag = "type")]
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
    /// From the answerer: which of these is meant?
    OfferChoices {
        /// Version of this command.
        v: V<1>,
        /// The request that it is about, from `answer_requested`.
        request: String,
        /// The question back, ready for the customer.
        content: Content,
        /// Calibrated probability that the first choice is right, 0 to 1.
        confidence: f64,
        /// The entries, the likeliest first; 2 to 5 of them.
        choices: Vec<AnswerChoice>,
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
        #[schemars(extend("x-personal" = true))]
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
        decision: Option<Json>,
        /// Of which of the agent's skills it is a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
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
        #[schemars(extend("x-personal" = true))]
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
        /// Only if it was made under this reservation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reservation: Option<String>,
        /// Why.
        reason: RescindReason,
    },
    /// From the scheduler: tell the customer who waits how far it is.
    TellPosition {
        /// Version of this command.
        v: V<1>,
        /// The session for which it was computed.
        session: u32,
        /// Place in the line, from 1.
        position: u32,
        /// How long it will still take, in seconds, where that can be estimated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_s: Option<u32>,
    },
    /// From the agent's side, which has not heard of a reservation for long: what has become of it?
    CheckReservation {
        /// Version of this command.
        v: V<1>,
        /// Whose slot it is.
        agent: String,
        /// The reservation.
        reservation: String,
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
        #[schemars(extend("x-personal" = true))]
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
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// A supervisor reads along, and may write notes; the agent sees it.
    Join {
        /// Version of this command.
        v: V<1>,
    },
    /// A supervisor takes it, whoever has it: the bot, the queue, or a colleague.
    TakeOver {
        /// Version of this command.
        v: V<1>,
        /// The supervisor's name as customers may see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A supervisor gives it to another agent or queue, whoever has it.
    Reassign {
        /// Version of this command.
        v: V<1>,
        /// To whom.
        to: Target,
        /// For whoever takes it.
        #[schemars(extend("x-personal" = true))]
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
        #[schemars(extend("x-personal" = true))]
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

tagged!(ConversationCommand);
