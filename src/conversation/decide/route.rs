//! Where a conversation goes that is handed to people: by name, by the tenant's rules, or, out of hours, nowhere.

use super::{close, proceed, step::Step};
use crate::{
    conversation::{
        route::{destination, first_queue},
        state::MAX_TAGS,
    },
    routing::{Routed, hours::Hours},
};
use kefu_events::{
    Timestamp, V,
    conversation::{CloseReason, ConversationEvent, RuleError},
    settings::OutOfHoursAction,
};
use std::collections::{BTreeMap, BTreeSet};

/// A place in a queue, and what is asked of whoever takes the conversation from there.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Which queue.
    pub queue: String,
    /// For this agent only.
    pub agent: Option<String>,
    /// Other than before.
    pub priority: Option<i32>,
    /// The rules that decided.
    pub rules: Vec<String>,
    /// Skill → least proficiency.
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited.
    pub wished: BTreeSet<String>,
    /// What was wrong with rules.
    pub errors: Vec<RuleError>,
    /// Nobody is asked before.
    pub not_before: Option<Timestamp>,
}

impl Place {
    /// A queue that was named: nothing is asked but what the queue asks itself.
    pub fn named(queue: String) -> Self {
        Self { queue, ..Self::default() }
    }

    /// The queue that it was in last, with what was asked there.
    pub fn as_before(step: &Step) -> Self {
        let Some(session) = &step.state.session else { return Self::named(first_queue(step.settings)) };
        Self {
            queue: session.queue.clone().unwrap_or_else(|| first_queue(step.settings)),
            required: session.required.clone(),
            wished: session.wished.clone(),
            ..Self::default()
        }
    }
}

/// Everything that is asked of everybody has been answered: asks what the rules want to know as well, or queues it.
pub(super) fn hand_over(step: &mut Step) {
    let destination = find(step);
    let known = step.state.session.as_ref().map(|session| &session.collected);
    let is_missing = |name: &String| known.is_none_or(|known| !known.contains_key(name));
    let missing = destination.collect.iter().filter(|name| is_missing(name));
    let field = missing.filter_map(|name| step.settings.collect.iter().find(|field| field.field == *name)).next();
    match field {
        Some(field) => proceed::request(step, field, 1),
        None => put(step, destination),
    }
}

/// Puts the conversation where it belongs, whatever is not known yet.
pub(super) fn to_queue(step: &mut Step) {
    if turned_away(step) {
        return;
    }
    let destination = find(step);
    put(step, destination);
}

/// Closes the session where nobody is there and nobody may wait.
pub(super) fn turned_away(step: &mut Step) -> bool {
    let settings = step.settings;
    // Where all queues have the same hours, it need not be known which one it is.
    let queue = if settings.queue_hours.is_empty() { None } else { find(step).queue };
    let hours = Hours::of(settings, queue.as_deref());
    let away = hours.out_of_hours.action == OutOfHoursAction::Close && !hours.is_open(step.now);
    if away {
        step.say_text(&hours.out_of_hours.text);
        close::end(step, CloseReason::OutOfHours);
    }
    away
}

fn find(step: &Step) -> Routed {
    destination(&step.state, step.settings, step.routing, step.now)
}

fn put(step: &mut Step, destination: Routed) {
    let Routed { rules, queue, priority, required, wished, tags, errors, .. } = destination;
    let queue = queue.unwrap_or_else(|| first_queue(step.settings));
    let hours = Hours::of(step.settings, Some(&queue));
    let away = Some(hours.out_of_hours.action).filter(|_| !hours.is_open(step.now));
    // Looked for only where it is needed: it goes through the days.
    let calls_back = away == Some(OutOfHoursAction::Callback);
    let not_before = calls_back.then(|| hours.opens_after(step.now)).flatten();
    let place = Place { queue, agent: None, priority, rules, required, wished, errors, not_before };
    let room = MAX_TAGS.saturating_sub(step.state.tags.len());
    let new = tags.into_iter().filter(|tag| !step.state.tags.contains(tag)).take(room);
    let new: Vec<String> = new.collect();
    if !new.is_empty() {
        step.emit(ConversationEvent::Tagged { v: V, tags: new });
    }
    match away {
        Some(OutOfHoursAction::Message | OutOfHoursAction::Callback) => step.say_text(&hours.out_of_hours.text),
        Some(OutOfHoursAction::Queue | OutOfHoursAction::Close) | None => step.say(|texts| &texts.handoff),
    }
    enqueue(step, place);
}

/// Puts the conversation into a queue.
pub(super) fn enqueue(step: &mut Step, place: Place) {
    let Place { queue, agent, priority, rules, required, wished, errors, not_before } = place;
    let before = step.state.session.as_ref().map_or(0, |session| session.priority);
    let patience_s = step.settings.queue_abandon_s;
    let from = not_before.unwrap_or(step.now);
    let abandon_at = (patience_s > 0).then(|| from.plus_seconds(i64::from(patience_s)));
    step.emit(ConversationEvent::Queued {
        v: V,
        queue,
        priority: priority.unwrap_or(before),
        agent,
        abandon_at,
        rules,
        required,
        wished,
        rule_errors: errors,
        not_before,
    });
}
