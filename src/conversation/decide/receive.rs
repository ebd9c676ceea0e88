//! What a customer sends. Never refused: every message is in the log, whatever becomes of it.

use super::{close, proceed, rate, route, step::Step};
use crate::conversation::{
    evolve::fingerprint,
    state::{Collecting, Phase},
    words,
};
use kefu_events::{
    Content, Inbound, V,
    conversation::{CloseReason, ConversationEvent, HandoffReason, ReceivedMessage},
};

pub(super) fn receive(step: &mut Step, message: &Inbound) {
    match &message.content {
        Content::Edit { of, text } => step.emit(ConversationEvent::MessageEdited {
            v: V,
            of: of.clone(),
            text: text.clone(),
            sent_at: message.sent_at,
        }),
        Content::Receipt { of, state, detail } => step.emit(ConversationEvent::DeliveryReported {
            v: V,
            of: of.clone(),
            state: *state,
            detail: detail.clone(),
        }),
        Content::Left => left(step),
        Content::Text { .. } | Content::Image(_) | Content::File(_) | Content::Card { .. } | Content::Event { .. } => {
            written(step, message);
        }
    }
}

/// The customer has gone: nobody needs to be found any more. An agent who has it writes up, unless it is put aside.
fn left(step: &mut Step) {
    step.emit(ConversationEvent::CustomerLeft { v: V });
    match step.state.phase() {
        Some(Phase::Bot(_) | Phase::Queued(_) | Phase::Offered(..)) => close::end(step, CloseReason::CustomerLeft),
        Some(Phase::Active(active)) if active.snoozed_until.is_none() => close::begin_wrap_up(step),
        Some(Phase::Active(_) | Phase::WrapUp(..)) | None => {}
    }
}

fn written(step: &mut Step, message: &Inbound) {
    let opens = step.state.session.is_none();
    if opens && !opens_session(step, message) {
        record(step, message);
        rate_in_words(step, message);
        return;
    }
    if opens {
        let session = step.state.sessions + 1;
        let previous_closed_at = step.state.closed.as_ref().map(|closed| closed.at);
        step.emit(ConversationEvent::SessionOpened {
            v: V,
            session,
            channel: message.channel.clone(),
            thread: message.thread.clone(),
            sender: message.sender.clone(),
            previous_closed_at,
        });
    } else if is_news(step, message) {
        step.emit(ConversationEvent::CustomerChanged {
            v: V,
            channel: message.channel.clone(),
            sender: message.sender.clone(),
            metadata: message.metadata.clone(),
        });
    }
    record(step, message);
    if opens {
        step.say(|texts| &texts.welcome);
    }
    if is_event(message) {
        if opens {
            step.await_customer();
        }
        return;
    }
    match step.state.phase() {
        Some(Phase::Bot(_)) => heard_by_bot(step, message),
        Some(Phase::Active(active)) if active.snoozed_until.is_some() => {
            step.emit(ConversationEvent::Unsnoozed { v: V });
        }
        Some(Phase::WrapUp(holder, _)) if !is_courtesy(step, message) => {
            let (agent, reservation) = (holder.agent.clone(), holder.reservation.clone());
            step.emit(ConversationEvent::Reactivated { v: V, agent, reservation });
        }
        _ => {}
    }
}

/// Something that happened at the customer's side, and nothing that a person said.
fn is_event(message: &Inbound) -> bool {
    matches!(message.content, Content::Event { .. })
}

/// Whether a message, no session being open, opens one.
fn opens_session(step: &Step, message: &Inbound) -> bool {
    let Some(closed) = &step.state.closed else { return true };
    // Whoever opens a page or clicks a menu has been greeted once; a session begins when they say something.
    if is_event(message) {
        return false;
    }
    let window_ms = i64::from(step.settings.after_close.courtesy_window_s) * 1000;
    let courteous = is_courtesy(step, message) && step.now.millis_since(closed.at) < window_ms;
    !courteous && rating_of(step, message).is_none()
}

/// Whether the message is a mere courtesy. With a window of 0 nothing is.
fn is_courtesy(step: &Step, message: &Inbound) -> bool {
    let settings = &step.settings.after_close;
    let text = match &message.content {
        Content::Text { text } => text,
        _ => return false,
    };
    settings.courtesy_window_s > 0 && words::is_phrase(text, &settings.courtesies)
}

/// The rating that the message is, if one is wanted.
fn rating_of(step: &Step, message: &Inbound) -> Option<u8> {
    let wanted = step.state.rating.as_ref().filter(|wanted| step.now <= wanted.deadline);
    match (&message.content, wanted) {
        (Content::Text { text }, Some(_)) => words::as_rating(text),
        _ => None,
    }
}

fn rate_in_words(step: &mut Step, message: &Inbound) {
    if let Some(score) = rating_of(step, message) {
        rate::record(step, score, None);
    }
}

/// Whether the channel tells something of the customer that is not known. What it leaves out is no news.
fn is_news(step: &Step, message: &Inbound) -> bool {
    let Some(known) = &step.state.sender else { return true };
    let name = message.sender.name.as_ref().map(|name| words::cut(name, crate::conversation::state::MAX_NAME_CHARS));
    known.id != message.sender.id
        || (name.is_some() && name != known.name.as_deref())
        || (!message.metadata.is_empty() && fingerprint(&message.metadata) != step.state.metadata)
}

fn record(step: &mut Step, message: &Inbound) {
    step.emit(ConversationEvent::MessageReceived {
        v: V,
        session: step.state.sessions,
        message: ReceivedMessage {
            id: message.id.clone(),
            sent_at: message.sent_at,
            content: message.content.clone(),
            metadata: message.metadata.clone(),
        },
        late: message.sent_at < step.state.last_sent_at,
    });
}

fn heard_by_bot(step: &mut Step, message: &Inbound) {
    let Some(bot) = step.state.bot() else { return };
    // First of all, so that no pattern and no pending answer stands between a customer and a person.
    if let Content::Text { text } = &message.content
        && words::contains_phrase(text, &step.settings.bot.handoff_words)
    {
        if bot.handoff.is_some() {
            // Asked twice: what is still to be collected is less important.
            route::to_queue(step);
        } else {
            step.emit(ConversationEvent::HandoffRequested {
                v: V,
                reason: HandoffReason::CustomerAsked,
                queue: None,
                note: None,
            });
            proceed::proceed(step);
        }
    } else if let Some(Collecting { field, attempt }) = bot.collecting.clone() {
        proceed::answered(step, &field, attempt, words::readable(&message.content));
    } else if bot.asked.is_none() {
        proceed::proceed(step);
    }
}
