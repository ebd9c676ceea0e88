//! The state after an event. Never fails and never judges: what is in the log has happened.

use super::{
    state::{
        Active, Asked, Awaited, Bot, Closed, Collecting, Declined, Handoff, Holder, MAX_DECLINED, MAX_EARLIER,
        MAX_EARLIER_CHARS, MAX_GIVEN_UP, MAX_KNOWN, MAX_KNOWN_CHARS, MAX_KNOWN_NAME_CHARS, MAX_LANGUAGE_CHARS,
        MAX_NAME_CHARS, MAX_PREVIEW_CHARS, MAX_QUESTION_CHARS, MAX_RATEABLE_ANSWERS, MAX_RATED_ENTRIES, MAX_SAID_CHARS,
        MAX_UNASKED, MAX_VALUE_CHARS, Offer, Phase, Preview, Rateable, Session, State, Unasked, Waiting, WantedRating,
    },
    words,
};
use crate::aggregate::CommitMeta;
use kefu_events::{
    AuthorKind, Content, Sender, Timestamp,
    conversation::{ConversationEvent, HandoffReason, Held, ReceivedMessage, RescindReason},
};
use serde_json::{Map, Value};

pub(super) fn evolve(state: &mut State, commit: &CommitMeta, event: &ConversationEvent) {
    use ConversationEvent as Event;
    match event {
        Event::SessionOpened { session, channel, thread, sender, .. } => {
            state.channel.clone_from(channel);
            state.thread.clone_from(thread);
            know(state, sender);
            state.sessions = *session;
            state.closed = None;
            state.session = Some(Box::new(opened(*session, commit.at)));
        }
        Event::CustomerChanged { sender, .. } => know(state, sender),
        Event::ReservationChecked { reservation, held: Held::No, .. } if !state.given_up.contains(reservation) => {
            if state.given_up.len() == MAX_GIVEN_UP {
                state.given_up.pop_front();
            }
            state.given_up.push_back(reservation.clone());
        }
        Event::MessageReceived { message, .. } => {
            show(state, commit.at, None, &message.content);
            received(state, commit.at, message);
        }
        Event::MessageSent { author, content, .. } => show(state, commit.at, Some(author.kind), content),
        Event::SessionClosed { reason, agent, .. } => {
            let queue = state.session.take().and_then(|session| session.queue);
            state.closed = Some(Closed { at: commit.at, reason: *reason, agent: agent.clone(), queue });
        }
        Event::SatisfactionRequested { session, deadline, agent, practice, .. } => {
            let (agent, practice) = (agent.clone(), practice.clone().map(Box::new));
            state.rating = Some(WantedRating { session: *session, deadline: *deadline, agent, practice });
        }
        Event::SatisfactionRated { .. } => state.rating = None,
        Event::AnswerRated { request, .. } => state.rateable.retain(|rateable| rateable.request != *request),
        Event::Tagged { tags, .. } => state.tags.extend(tags.iter().cloned()),
        Event::Untagged { tags, .. } => state.tags.retain(|tag| !tags.contains(tag)),
        Event::OfferAccepted { agent, .. } | Event::TakenOver { agent, .. } => {
            state.last_agent = Some(agent.clone());
            if let Some(session) = &mut state.session {
                evolve_session(session, commit.at, event);
            }
        }
        Event::AnswerGiven { request, sources, .. } => {
            if state.rateable.len() == MAX_RATEABLE_ANSWERS {
                state.rateable.pop_front();
            }
            let entries = sources.iter().take(MAX_RATED_ENTRIES).map(|source| source.entry.clone()).collect();
            state.rateable.push_back(Rateable { request: request.clone(), entries });
            if let Some(session) = &mut state.session {
                evolve_session(session, commit.at, event);
            }
        }
        _ => {
            if let Some(session) = &mut state.session {
                evolve_session(session, commit.at, event);
            }
        }
    }
}

fn evolve_session(session: &mut Session, at: Timestamp, event: &ConversationEvent) {
    use ConversationEvent as Event;
    match event {
        Event::MessageEdited { .. }
        | Event::InformationRequested { .. }
        | Event::InformationCollected { .. }
        | Event::AnswerRequested { .. }
        | Event::ChoicesOffered { .. }
        | Event::AnswerGiven { .. }
        | Event::AnswerDeclined { .. }
        | Event::HandoffRequested { .. } => evolve_bot(session, event),
        Event::Queued { queue, priority, agent, abandon_at, required, wished, not_before, .. } => {
            // After a rejected transfer it is queued again, and has waited since the first time.
            let (since, transferred) = match &session.phase {
                Phase::Queued(waiting) => (waiting.since, waiting.transferred),
                Phase::Active(_) | Phase::WrapUp(..) => (at, true),
                Phase::Bot(_) | Phase::Offered(..) => (at, false),
            };
            let (agent, abandon_at, not_before) = (agent.clone(), *abandon_at, *not_before);
            session.phase = Phase::Queued(Waiting { since, agent, abandon_at, transferred, not_before, resumed: None });
            session.queue = Some(queue.clone());
            session.priority = *priority;
            session.required.clone_from(required);
            session.wished.clone_from(wished);
            session.awaited = None;
        }
        Event::CallbackDue { .. } => {
            if let Phase::Queued(waiting) = &mut session.phase {
                (waiting.not_before, waiting.resumed) = (None, Some(at));
            }
        }
        Event::OfferMade { offer, agent, reservation, deadline, practice, .. } => {
            let waiting = match &session.phase {
                Phase::Queued(waiting) => waiting.clone(),
                _ => Waiting {
                    since: at,
                    agent: None,
                    abandon_at: None,
                    transferred: false,
                    not_before: None,
                    resumed: None,
                },
            };
            let (agent, reservation) = (agent.clone(), reservation.clone());
            let to = Holder { agent, name: None, reservation, practice: practice.clone().map(Box::new) };
            session.phase = Phase::Offered(waiting, Offer { id: offer.clone(), to, deadline: *deadline });
        }
        Event::OfferAccepted { agent, name, reservation, .. } => {
            let practice = match &session.phase {
                Phase::Offered(_, offer) => offer.to.practice.clone(),
                _ => None,
            };
            let (agent, name, reservation) = (agent.clone(), name.clone(), reservation.clone());
            let holder = Holder { agent, name, reservation, practice };
            session.phase = Phase::Active(with(holder));
            session.served = true;
        }
        Event::TakenOver { agent, name, .. } => {
            let (agent, name) = (agent.clone(), name.clone());
            session.phase = Phase::Active(with(Holder { agent, name, reservation: None, practice: None }));
            session.served = true;
            session.awaited = None;
        }
        Event::OfferRejected { .. } | Event::OfferTimedOut { .. } | Event::OfferRescinded { .. } => {
            // An offer that was taken back says nothing about the agent, unless the agent was gone.
            if let Event::OfferRejected { agent, .. }
            | Event::OfferTimedOut { agent, .. }
            | Event::OfferRescinded { agent, reason: RescindReason::AgentGone, .. } = event
            {
                session.declined.retain(|declined| declined.agent != *agent);
                session.declined.push(Declined { agent: agent.clone(), at });
                if session.declined.len() > MAX_DECLINED {
                    session.declined.remove(0);
                }
            }
            if let Phase::Offered(waiting, _) = &session.phase {
                session.phase = Phase::Queued(waiting.clone());
            }
        }
        Event::ReturnedToBot { .. } => {
            session.phase = Phase::Bot(Bot::default());
            session.awaited = None;
        }
        Event::WrapUpStarted { deadline, .. } => {
            if let Phase::Active(active) = &session.phase {
                session.phase = Phase::WrapUp(active.holder.clone(), *deadline);
            }
            session.awaited = None;
        }
        Event::Reactivated { .. } => {
            if let Phase::WrapUp(holder, _) = &session.phase {
                session.phase = Phase::Active(with(holder.clone()));
            }
        }
        Event::CustomerAwaited { prompt_at, .. } => session.awaited = Some(Awaited::Prompt(*prompt_at)),
        Event::InactivityPrompted { close_at, .. } => session.awaited = close_at.map(Awaited::Close),
        Event::CustomerLeft { .. } => session.customer_left = true,
        Event::DispositionSet { code, .. } => session.disposition = Some(code.clone()),
        Event::Held { .. } | Event::Snoozed { .. } => {
            session.awaited = None;
            evolve_active(session, event);
        }
        _ => evolve_active(session, event),
    }
}

fn evolve_bot(session: &mut Session, event: &ConversationEvent) {
    use ConversationEvent as Event;
    let Phase::Bot(bot) = &mut session.phase else { return };
    match event {
        Event::MessageEdited { of, text, .. } => {
            let text = fitting(bot, text, Some(of));
            if let Some(message) = bot.unasked.iter_mut().find(|message| message.id == *of) {
                message.text = text;
            }
        }
        Event::InformationRequested { field, attempt, .. } => {
            bot.collecting = Some(Collecting { field: field.clone(), attempt: *attempt });
        }
        Event::InformationCollected { field, value, .. } => {
            bot.collecting = None;
            let value = value.as_ref().map(|value| words::cut(value, MAX_VALUE_CHARS).to_owned());
            session.collected.insert(field.clone(), value);
        }
        Event::AnswerRequested { request, question, message, deadline, choices, .. } => {
            if bot.earlier.len() == MAX_EARLIER {
                bot.earlier.pop_front();
            }
            bot.earlier.push_back(words::cut(question, MAX_EARLIER_CHARS).to_owned());
            bot.choices.clear();
            bot.asked = Some(Asked {
                request: request.clone(),
                question: question.clone(),
                choices: choices.clone(),
                message: message.clone(),
                deadline: *deadline,
            });
            bot.unasked.clear();
            session.awaited = None;
        }
        Event::ChoicesOffered { choices, .. } => {
            bot.asked = None;
            bot.choices.clone_from(choices);
            bot.choice_rounds += 1;
        }
        Event::AnswerGiven { .. } => {
            bot.asked = None;
            bot.choice_rounds = 0;
            bot.said.clear();
            for message in &bot.unasked {
                say(&mut bot.said, &message.text);
            }
        }
        Event::AnswerDeclined { .. } => bot.asked = None,
        Event::HandoffRequested { queue, reason, .. } => {
            let before = bot.handoff.as_ref().is_some_and(|handoff| handoff.by_customer);
            let by_customer = before || *reason == HandoffReason::CustomerAsked;
            let handoff = Some(Handoff { queue: queue.clone(), by_customer });
            *bot = Bot { handoff, said: std::mem::take(&mut bot.said), ..Bot::default() };
        }
        _ => {}
    }
}

fn evolve_active(session: &mut Session, event: &ConversationEvent) {
    use ConversationEvent as Event;
    let Phase::Active(active) = &mut session.phase else { return };
    match event {
        Event::Held { .. } => active.held = true,
        Event::Resumed { .. } => active.held = false,
        Event::Snoozed { until, .. } => active.snoozed_until = Some(*until),
        Event::Unsnoozed { .. } => active.snoozed_until = None,
        Event::ConsultStarted { with, .. } => active.consult = Some(with.clone()),
        Event::ConsultEnded { .. } => active.consult = None,
        _ => {}
    }
}

/// Keeps the start of what was said last, for lists.
fn show(state: &mut State, at: Timestamp, by: Option<AuthorKind>, content: &Content) {
    let text = match content {
        Content::Text { text } => text.as_str(),
        Content::Image(file) | Content::File(file) => file.name.as_str(),
        Content::Card { title, .. } => title.as_str(),
        Content::Event { .. } | Content::Edit { .. } | Content::Receipt { .. } | Content::Left => return,
    };
    let text = words::cut(text.trim(), MAX_PREVIEW_CHARS).to_owned();
    state.preview = Some(Preview { text, by, at });
}

fn received(state: &mut State, at: Timestamp, message: &ReceivedMessage) {
    // A clock that is ahead must not make every later message look late.
    state.last_sent_at = state.last_sent_at.max(message.sent_at.min(at));
    if !message.metadata.is_empty() {
        state.metadata = fingerprint(&message.metadata);
        state.known = kept(&message.metadata);
        if let Some(Value::String(language)) = message.metadata.get("language") {
            state.language = Some(words::cut(language, MAX_LANGUAGE_CHARS).to_owned());
        }
    }
    let Some(session) = &mut state.session else { return };
    if matches!(message.content, Content::Event { .. }) {
        return;
    }
    session.awaited = None;
    session.customer_left = false;
    if let Phase::Bot(bot) = &mut session.phase
        && bot.collecting.is_none()
        && let Some(text) = words::readable(&message.content)
    {
        say(&mut bot.said, text);
        if bot.handoff.is_none() && bot.unasked.len() < MAX_UNASKED {
            let text = fitting(bot, text, None);
            bot.unasked.push(Unasked { id: message.id.clone(), text, sent_at: message.sent_at });
        }
    }
}

/// Adds a text to what was said, as far as there is room.
fn say(said: &mut String, text: &str) {
    let room = MAX_SAID_CHARS.saturating_sub(said.chars().count());
    if room > 1 {
        if !said.is_empty() {
            said.push('\n');
        }
        said.push_str(words::cut(text, room - 1));
    }
}

/// As much of what a channel knows as is kept.
fn kept(metadata: &Map<String, Value>) -> Map<String, Value> {
    let fits = |name: &str| name.chars().count() <= MAX_KNOWN_NAME_CHARS;
    let kept = metadata.iter().filter(|(name, _)| fits(name)).filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => words::cut(text, MAX_KNOWN_CHARS).into(),
            Value::Number(_) | Value::Bool(_) => value.clone(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), value))
    });
    kept.take(MAX_KNOWN).collect()
}

/// As much of a text as a question has room for, beside the other messages that it is made of.
fn fitting(bot: &Bot, text: &str, instead_of: Option<&str>) -> String {
    let others = bot.unasked.iter().filter(|message| Some(message.id.as_str()) != instead_of);
    let taken: usize = others.map(|message| message.text.chars().count()).sum();
    words::cut(text, MAX_QUESTION_CHARS.saturating_sub(taken)).to_owned()
}

/// Takes note of who writes; a name is not forgotten because one message lacks it.
fn know(state: &mut State, sender: &Sender) {
    let known = state.sender.take().filter(|known| known.id == sender.id).and_then(|known| known.name);
    let name = sender.name.as_ref().map(|name| words::cut(name, MAX_NAME_CHARS).to_owned());
    state.sender = Some(Sender { id: sender.id.clone(), name: name.or(known) });
}

fn opened(number: u32, opened_at: Timestamp) -> Session {
    Session {
        number,
        opened_at,
        phase: Phase::Bot(Bot::default()),
        awaited: None,
        collected: std::collections::BTreeMap::new(),
        queue: None,
        priority: 0,
        required: std::collections::BTreeMap::new(),
        wished: std::collections::BTreeSet::new(),
        served: false,
        declined: Vec::new(),
        customer_left: false,
        disposition: None,
    }
}

fn with(holder: Holder) -> Active {
    Active { holder, held: false, snoozed_until: None, consult: None }
}

/// FNV-1a over the JSON: a collision means one missed update of what a channel knows, which the next one mends.
pub(super) fn fingerprint(metadata: &Map<String, Value>) -> u64 {
    let json = serde_json::to_string(metadata).unwrap_or_default();
    json.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
