//! Answers to what was asked.

use super::{
    proceed,
    refuse::{check_sendable, invalid},
    step::Step,
};
use crate::conversation::state::{Asked, MAX_CHOICE_CHARS, MAX_CHOICES};
use kefu_events::{
    Author, Content, Refusal, V,
    conversation::{AnswerChoice, AnswerSource, ConversationEvent, HandoffReason, NoAnswerReason},
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

/// In the place of an answer: which of these is meant?
pub(super) fn offer_choices(
    step: &mut Step,
    request: &str,
    content: &Content,
    confidence: f64,
    choices: &[AnswerChoice],
) -> Result<(), Refusal> {
    let asked = pending(step, request)?;
    check_confidence(Some(confidence))?;
    check_sendable(content)?;
    if !(2..=MAX_CHOICES).contains(&choices.len()) {
        return Err(invalid(format!("there are 2 to {MAX_CHOICES} choices")));
    }
    let fits = |choice: &AnswerChoice| {
        choice.entry.len() <= MAX_CHOICE_CHARS && choice.question.chars().count() <= MAX_CHOICE_CHARS
    };
    if !choices.iter().all(fits) {
        return Err(invalid(format!("a choice has at most {MAX_CHOICE_CHARS} characters")));
    }
    let settings = &step.settings.bot;
    let rounds = step.state.bot().map_or(0, |bot| bot.choice_rounds);
    // Who has been asked so often does not find the answer here.
    if confidence < settings.min_choice_confidence || rounds >= settings.max_choice_rounds {
        give_up(step, asked, NoAnswerReason::NotConfident, Some(confidence));
        return Ok(());
    }
    let request = asked.request;
    step.emit(ConversationEvent::ChoicesOffered { v: V, request, confidence, choices: choices.to_vec() });
    step.send(Author::bot(), content.clone(), Some(asked.message));
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
    let Some(rateable) = step.state.rateable.iter().find(|rateable| rateable.request == request) else {
        return Err(Refusal::new("unknown_request", "no answer to this request can be rated, or it has been rated"));
    };
    let entries = rateable.entries.clone();
    step.emit(ConversationEvent::AnswerRated { v: V, request: request.to_owned(), helpful, entries });
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
