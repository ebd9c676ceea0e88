//! Answers to what was asked.

use super::{
    proceed,
    refuse::{check_sendable, invalid},
    step::Step,
};
use crate::conversation::state::Asked;
use kefu_events::{
    Author, Content, Refusal, V,
    conversation::{AnswerSource, ConversationEvent, HandoffReason, NoAnswerReason},
};

pub(super) fn give(
    step: &mut Step,
    request: &str,
    content: &Content,
    confidence: f64,
    sources: &[AnswerSource],
) -> Result<(), Refusal> {
    let asked = pending(step, request)?;
    check_confidence(Some(confidence))?;
    check_sendable(content)?;
    if confidence < step.settings.bot.min_confidence {
        give_up(step, asked, NoAnswerReason::NotConfident, Some(confidence));
        return Ok(());
    }
    let request = asked.request;
    step.emit(ConversationEvent::AnswerGiven { v: V, request, confidence, sources: sources.to_vec() });
    step.send(Author::bot(), content.clone(), Some(asked.message));
    // What came in the meantime is asked next; else it is the customer's turn.
    proceed::proceed(step);
    Ok(())
}

pub(super) fn decline(
    step: &mut Step,
    request: &str,
    reason: NoAnswerReason,
    confidence: Option<f64>,
) -> Result<(), Refusal> {
    let asked = pending(step, request)?;
    check_confidence(confidence)?;
    give_up(step, asked, reason, confidence);
    Ok(())
}

/// There is no answer, so a person must help.
pub(super) fn give_up(step: &mut Step, asked: Asked, reason: NoAnswerReason, confidence: Option<f64>) {
    step.emit(ConversationEvent::AnswerDeclined { v: V, request: asked.request, reason, confidence });
    let reason = match reason {
        NoAnswerReason::TimedOut => HandoffReason::AnswerTimedOut,
        NoAnswerReason::NotConfident => HandoffReason::NotConfident,
        NoAnswerReason::OutOfScope | NoAnswerReason::Failed => HandoffReason::BotAsked,
    };
    step.emit(ConversationEvent::HandoffRequested { v: V, reason, queue: None, note: None });
    proceed::proceed(step);
}

pub(super) fn rate(step: &mut Step, request: &str, helpful: bool) -> Result<(), Refusal> {
    if !step.state.rateable.iter().any(|rateable| rateable == request) {
        return Err(Refusal::new("unknown_request", "no answer to this request can be rated, or it has been rated"));
    }
    step.emit(ConversationEvent::AnswerRated { v: V, request: request.to_owned(), helpful });
    Ok(())
}

fn pending(step: &Step, request: &str) -> Result<Asked, Refusal> {
    match step.state.bot().and_then(|bot| bot.asked.as_ref()) {
        Some(asked) if asked.request == request && step.now <= asked.deadline => Ok(asked.clone()),
        _ => Err(Refusal::new("too_late", "this request is not waiting for an answer any more")),
    }
}

fn check_confidence(confidence: Option<f64>) -> Result<(), Refusal> {
    if confidence.is_none_or(|confidence| (0.0..=1.0).contains(&confidence)) {
        return Ok(());
    }
    Err(invalid("a confidence is between 0 and 1"))
}
