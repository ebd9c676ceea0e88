//! What the lists say, as the floor sees it.

use crate::{
    routing::{hours::on_shift, require},
    scheduler::{
        AgentView, ConversationKey, Scheduling, WaitingView,
        views::{Performance, Preferred, Status},
    },
    store::{StaffEntry, WaitingEntry},
};
use kefu_events::{Timestamp, agent::RoutingStatus};
use std::collections::BTreeMap;

/// Skill → how an agent works there.
pub(super) type Performances = BTreeMap<String, Performance>;

/// Slots that a conversation on this channel takes.
pub(super) fn weight_of(settings: &Scheduling, channel: &str) -> u32 {
    settings.channel_weights.get(channel).copied().unwrap_or(1)
}

/// An agent, as the floor sees one.
pub(super) fn agent_view(
    key: &str,
    entry: &StaffEntry,
    performance: Option<&Performances>,
    at_work: bool,
) -> AgentView {
    let mut load: BTreeMap<ConversationKey, u32> = BTreeMap::new();
    for held in entry.held.values() {
        // A key that is none of a conversation's takes its slots all the same: under the key 0, which no hash has.
        let conversation = held.conversation.parse().unwrap_or(ConversationKey(0));
        *load.entry(conversation).or_default() += held.weight;
    }
    AgentView {
        id: key.to_owned(),
        status: match entry.status {
            RoutingStatus::Available | RoutingStatus::TransfersOnly if !at_work => Status::OffShift,
            RoutingStatus::Available => Status::Available,
            RoutingStatus::Away => Status::Away,
            RoutingStatus::TransfersOnly => Status::TransfersOnly,
            RoutingStatus::Offline => Status::Offline,
        },
        online: entry.online,
        skills: entry.skills.clone(),
        performance: performance.cloned().unwrap_or_default(),
        languages: entry.languages.iter().cloned().collect(),
        queues: entry.queues.iter().cloned().collect(),
        slots: entry.slots,
        load,
        // From the log alone, so that it is the same whoever looks when.
        idle_since_ms: entry.freed_at.max(entry.status_since).max(entry.idle_since).map(|since| since.as_millis()),
    }
}

/// Whether an agent is at work, by shifts and by what was said; and when that may change, in ms.
pub(super) fn at_work(entry: &StaffEntry, now_ms: i64) -> (bool, Option<i64>) {
    let Some(shifts) = &entry.shifts else { return (true, None) };
    let now = Timestamp::from_millis(now_ms);
    let (at_work, changes) = on_shift(&shifts.time_zone, &shifts.hours, entry.status_since, now);
    (at_work, changes.map(|at| at.as_millis()))
}

/// A conversation that waits, as the floor sees one.
pub(super) fn waiting_view(
    settings: &Scheduling,
    key: ConversationKey,
    entry: &WaitingEntry,
    refused: Option<&BTreeMap<String, i64>>,
) -> WaitingView {
    let rules = settings.rules(&entry.queue);
    let since_ms = entry.since.as_millis();
    let declined_ms = (settings.declined_s * 1_000.0) as i64;
    let mut excluded: BTreeMap<String, i64> =
        entry.declined.iter().map(|declined| (declined.agent.clone(), declined.at.as_millis() + declined_ms)).collect();
    for (agent, until) in refused.into_iter().flatten() {
        let known = excluded.entry(agent.clone()).or_insert(*until);
        *known = (*known).max(*until);
    }
    let last = entry.last_agent.as_ref().filter(|_| rules.last_agent_s > 0.0);
    let preferred = last
        .map(|agent| Preferred { agent: agent.clone(), until_ms: since_ms + (rules.last_agent_s * 1_000.0) as i64 });
    let (mut required, mut wished) = (rules.required.clone(), rules.wished.clone());
    // Whoever hands it to one agent knows better than a rule what that agent can do.
    if entry.agent.is_none() {
        require(&mut required, &entry.required);
        wished.extend(entry.wished.iter().cloned());
    }
    WaitingView {
        conversation: key,
        session: entry.session,
        queue: entry.queue.clone(),
        channel: entry.channel.clone(),
        priority: entry.priority.clamp(0, 10) as u8,
        required,
        wished,
        language: entry.language.clone().filter(|_| rules.match_language),
        preferred,
        wanted: entry.agent.clone(),
        weight: weight_of(settings, &entry.channel),
        since_ms,
        excluded,
    }
}
