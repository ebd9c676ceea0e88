//! Where a conversation goes that is handed to people: by name, or by the tenant's rules.

use super::state::State;
use crate::routing::{Facts, Routed, hours::LocalTime, route};
use kefu_events::{Timestamp, routing::RoutingSettings, settings::TenantSettings};

/// Where this conversation, which the bot has, goes if it is handed over now. A queue is always named.
pub fn destination(state: &State, settings: &TenantSettings, rules: &RoutingSettings, now: Timestamp) -> Routed {
    let wanted = state.bot().and_then(|bot| bot.handoff.as_ref()).and_then(|handoff| handoff.queue.clone());
    let is_there = |queue: &String| settings.queues.contains(queue);
    if let Some(queue) = wanted.filter(is_there) {
        return Routed { queue: Some(queue), ..Routed::default() };
    }
    let mut routed = route(rules, &facts(state, LocalTime::of(settings, now)));
    if let Some(queue) = routed.queue.take_if(|queue| !is_there(queue)) {
        // The first that names one is the one that was heard.
        let named = rules.rules.iter().find(|rule| routed.rules.contains(&rule.name) && rule.then.queue.is_some());
        let rule = named.map(|rule| rule.name.clone()).unwrap_or_default();
        routed.wrong(&rule, format!("there is no queue {queue:?}"));
    }
    routed.queue.get_or_insert_with(|| first_queue(settings));
    routed
}

/// Where conversations go that name no queue and that no rule sends elsewhere.
pub(super) fn first_queue(settings: &TenantSettings) -> String {
    // The settings always name one; a document of older rules may not.
    settings.queues.first().cloned().unwrap_or_else(|| "default".to_owned())
}

fn facts(state: &State, now: LocalTime) -> Facts<'_> {
    let bot = state.bot();
    let collected = state.session.iter().flat_map(|session| &session.collected);
    let sender = state.sender.as_ref();
    Facts {
        channel: &state.channel,
        language: state.language.as_deref().unwrap_or_default(),
        text: bot.map_or("", |bot| &bot.said),
        tags: &state.tags,
        collected: collected.filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?))).collect(),
        sender_id: sender.map_or("", |sender| &sender.id),
        sender_name: sender.and_then(|sender| sender.name.as_deref()).unwrap_or_default(),
        metadata: &state.known,
        session: state.sessions,
        returning: state.last_agent.is_some(),
        wants_person: bot.and_then(|bot| bot.handoff.as_ref()).is_some_and(|handoff| handoff.by_customer),
        now,
    }
}
