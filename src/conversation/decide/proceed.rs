//! What the automatic part does next: collect, ask for an answer, hand off, or wait for the customer.

use super::{route, step::Step};
use crate::{
    conversation::state::{MAX_QUESTION_CHARS, Unasked},
    conversation::words,
    settings::compile_pattern,
};
use kefu_events::{
    V,
    conversation::{ConversationEvent, HandoffReason},
    settings::{CollectField, CollectWhen},
};

/// Takes the next step, when nothing is awaited.
pub(super) fn proceed(step: &mut Step) {
    let Some(bot) = step.state.bot() else { return };
    let handing_off = bot.handoff.is_some();
    let heard = !bot.unasked.is_empty();
    let when = if handing_off { CollectWhen::Handoff } else { CollectWhen::Opening };
    if !handing_off && !heard {
        step.await_customer();
    } else if handing_off && route::turned_away(step) {
        // Whoever is sent away is not asked for anything before.
    } else if let Some(field) = next_field(step, when) {
        request(step, field, 1);
    } else if handing_off {
        route::hand_over(step);
    } else if step.settings.bot.enabled {
        ask(step);
    } else {
        step.emit(ConversationEvent::HandoffRequested { v: V, reason: HandoffReason::NoBot, queue: None, note: None });
        proceed(step);
    }
}

/// The customer answered, or not, what was asked for.
pub(super) fn answered(step: &mut Step, name: &str, attempt: u32, answer: Option<&str>) {
    let settings = step.settings;
    let field = settings.collect.iter().find(|field| field.field == name);
    // A field that the settings no longer have asks nothing of its answer.
    let fits = |answer: &str| {
        field.and_then(|field| field.pattern.as_ref()).is_none_or(|pattern| {
            // The settings accept no pattern that does not compile.
            compile_pattern(pattern).is_ok_and(|pattern| pattern.is_match(answer))
        })
    };
    let value = answer.filter(|answer| fits(answer)).map(str::to_owned);
    match field {
        Some(field) if value.is_none() && (field.max_attempts == 0 || attempt < field.max_attempts) => {
            request(step, field, attempt.saturating_add(1));
        }
        _ => {
            step.emit(ConversationEvent::InformationCollected { v: V, field: name.to_owned(), value });
            proceed(step);
        }
    }
}

fn next_field<'s>(step: &Step<'s>, when: CollectWhen) -> Option<&'s CollectField> {
    let collected = &step.state.session.as_ref()?.collected;
    step.settings.collect.iter().find(|field| field.when == when && !collected.contains_key(&field.field))
}

/// Asks for a piece of information.
pub(super) fn request(step: &mut Step, field: &CollectField, attempt: u32) {
    step.emit(ConversationEvent::InformationRequested { v: V, field: field.field.clone(), attempt });
    let retry = field.retry_prompt.as_ref().filter(|_| attempt > 1);
    step.say_text(retry.unwrap_or(&field.prompt));
    step.await_customer();
}

/// Asks for an answer to everything that the customer has said since the last question.
fn ask(step: &mut Step) {
    let Some(bot) = step.state.bot() else { return };
    let mut unasked: Vec<&Unasked> = bot.unasked.iter().collect();
    // In the order in which the customer wrote, where a channel delivered it in another. The sort is stable.
    unasked.sort_by_key(|message| message.sent_at);
    let Some(message) = unasked.last().map(|last| last.id.clone()) else { return };
    let texts: Vec<&str> = unasked.iter().map(|message| message.text.as_str()).collect();
    let question = words::cut(&texts.join("\n"), MAX_QUESTION_CHARS).to_owned();
    let (earlier, choices) = (bot.earlier.iter().cloned().collect(), bot.choices.clone());
    let request = step.new_id();
    let deadline = step.after(step.settings.bot.answer_deadline_s);
    step.emit(ConversationEvent::AnswerRequested { v: V, request, question, message, deadline, earlier, choices });
}
