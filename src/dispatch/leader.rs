//! One tenant's scheduling: what the lists say goes in, what agents are to be asked comes out.
//!
//! Pure: times, random numbers and ids are arguments. It holds the floor, and beside it what was last seen of everybody,
//! so that other settings can be laid over the same facts. It remembers what it asked for until the lists show what
//! became of it: reserved, refused, or nothing within [`ANSWER_MS`].

use crate::{
    routing::require,
    scheduler::{
        AgentView, ConversationKey, Floor, Scheduling, WaitingView,
        decision::{WhyNot, WhyWaiting},
        floor::DecisionId,
        service::QueueState,
        views::{Preferred, Status},
    },
    store::{StaffEntry, WaitingEntry},
};
use kefu_events::agent::{ReservationKind, RoutingStatus};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How long an answer may take before the same is asked of whoever is best then. An answer takes milliseconds; one that is
/// still under way then does no harm, since a conversation takes one offer only.
pub const ANSWER_MS: i64 = 5_000;
/// An agent who refused a reservation is not asked for the same conversation for so long: what the list says of the
/// agent must have been old, and is new by then.
const REFUSED_MS: i64 = 1_000;
/// Who has just come is not told a place: most are offered before anybody could read it.
const FIRST_TOLD_MS: i64 = 10_000;
/// Reservations asked for and not answered, at most: what two partitions' owners decide in the time of one answer. More
/// would only wait in their queues.
const MAX_ASKED: usize = 512;

/// What a list says now; `None`: nothing any more.
#[derive(Debug, Clone)]
pub enum Change {
    /// Of an agent, by key.
    Agent(String, Option<StaffEntry>),
    /// Of a conversation that waits, by key.
    Conversation(ConversationKey, Option<WaitingEntry>),
}

/// An agent is to be asked to reserve a slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Names the decision.
    pub id: DecisionId,
    /// The agent's key.
    pub agent: String,
    /// Names the reservation.
    pub reservation: String,
    /// The conversation's key.
    pub conversation: ConversationKey,
    /// Its session.
    pub session: u32,
    /// Slots.
    pub weight: u32,
    /// What for.
    pub kind: ReservationKind,
    /// Why: see [`Decision`](crate::scheduler::Decision).
    pub decision: Value,
}

/// A customer is to be told how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// The conversation's key.
    pub conversation: ConversationKey,
    /// Its session.
    pub session: u32,
    /// Place in the line, from 1.
    pub position: u32,
    /// How long it will still take, in seconds.
    pub wait_s: Option<u32>,
}

/// A reservation that was asked for.
#[derive(Debug, Clone)]
struct Asked {
    agent: String,
    conversation: ConversationKey,
    reservation: String,
    /// The agent's list entry shows it.
    seen: bool,
}

/// See the module's text.
pub struct Leader {
    floor: Floor,
    agents: BTreeMap<String, StaffEntry>,
    conversations: BTreeMap<ConversationKey, WaitingEntry>,
    asked: BTreeMap<DecisionId, Asked>,
    /// Decisions by the agent who was asked, so that an agent's change finds them.
    by_agent: BTreeMap<String, BTreeSet<DecisionId>>,
    refused: BTreeMap<ConversationKey, BTreeMap<String, i64>>,
    /// When each conversation is looked at next, to tell its customer the place in the line, in ms.
    to_tell: BTreeSet<(i64, ConversationKey)>,
    /// The place that was told last, and when the next look is, in ms.
    told: BTreeMap<ConversationKey, (Option<u32>, i64)>,
}

impl Leader {
    /// An empty floor under these settings.
    pub fn new(settings: Scheduling) -> Self {
        Self {
            floor: Floor::new(settings),
            agents: BTreeMap::new(),
            conversations: BTreeMap::new(),
            asked: BTreeMap::new(),
            by_agent: BTreeMap::new(),
            refused: BTreeMap::new(),
            to_tell: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    /// Whether there is nothing to do for this tenant, now or later, until something changes.
    pub fn is_empty(&self) -> bool {
        self.conversations.is_empty() && self.asked.is_empty()
    }

    /// Conversations that wait, those for which an agent was asked among them.
    pub fn waiting(&self) -> usize {
        self.conversations.len()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Scheduling {
        self.floor.settings()
    }

    /// Other settings hold from now on.
    pub fn set_settings(&mut self, settings: Scheduling, now_ms: i64) {
        self.floor.set_settings(settings, now_ms);
        for (key, entry) in &self.conversations {
            let view = waiting_view(self.floor.settings(), *key, entry, self.refused.get(key));
            self.floor.put_waiting(&view, now_ms);
        }
    }

    /// The store knows all commits up to here.
    pub fn set_sequence(&mut self, sequence: u64) {
        self.floor.set_sequence(sequence);
    }

    /// Takes in what a list says.
    pub fn take_in(&mut self, change: Change, now_ms: i64) {
        match change {
            Change::Agent(key, Some(entry)) => {
                self.floor.put_agent(&agent_view(&key, &entry), now_ms);
                self.conclude(&key, &entry, now_ms);
                self.agents.insert(key, entry);
            }
            Change::Agent(key, None) => {
                self.floor.remove_agent(&key, now_ms);
                for decision in self.by_agent.remove(&key).unwrap_or_default() {
                    self.asked.remove(&decision);
                }
                self.agents.remove(&key);
            }
            Change::Conversation(key, Some(entry)) => {
                let view = waiting_view(self.floor.settings(), key, &entry, self.refused.get(&key));
                self.floor.put_waiting(&view, now_ms);
                if !self.conversations.contains_key(&key) {
                    self.look_at(key, None, now_ms + FIRST_TOLD_MS);
                }
                self.conversations.insert(key, entry);
            }
            Change::Conversation(key, None) => {
                self.floor.remove_waiting(key);
                self.conversations.remove(&key);
                self.refused.remove(&key);
                if let Some((_, at)) = self.told.remove(&key) {
                    self.to_tell.remove(&(at, key));
                }
            }
        }
    }

    fn look_at(&mut self, key: ConversationKey, told: Option<u32>, at_ms: i64) {
        self.told.insert(key, (told, at_ms));
        self.to_tell.insert((at_ms, key));
    }

    /// Which customers are to be told their place now, at most `limit`: those whose place has changed.
    pub fn tellings(&mut self, now_ms: i64, limit: usize) -> Vec<Telling> {
        let every_ms = (self.floor.settings().tell_position_every_s * 1_000.0) as i64;
        let mut tellings = Vec::new();
        // Looks are bounded, too: a place is counted from the front of the line.
        for _ in 0..limit {
            let Some(&(at, key)) = self.to_tell.first().filter(|(at, _)| *at <= now_ms && every_ms > 0) else { break };
            self.to_tell.remove(&(at, key));
            let before = self.told.get(&key).and_then(|told| told.0);
            let position = self.floor.position(key).map(|ahead| u32::try_from(ahead + 1).unwrap_or(u32::MAX));
            self.look_at(key, position.or(before), now_ms + every_ms);
            let session = self.conversations.get(&key).map(|entry| entry.session);
            if let (Some(position), Some(session)) = (position.filter(|place| before != Some(*place)), session) {
                let wait_s = self.floor.estimated_wait_s(key, now_ms).map(|seconds| seconds.round() as u32);
                tellings.push(Telling { conversation: key, session, position, wait_s });
            }
        }
        tellings
    }

    /// What became of what this agent was asked.
    fn conclude(&mut self, agent: &str, entry: &StaffEntry, now_ms: i64) {
        for decision in self.by_agent.get(agent).cloned().unwrap_or_default() {
            let Some(asked) = self.asked.get_mut(&decision) else { continue };
            if entry.held.contains_key(&asked.reservation) {
                asked.seen = true;
                self.floor.confirm(decision);
            } else if asked.seen {
                // It came to an end: where the conversation has been offered, its own entry was gone and came back; where
                // it has not, it waits as before.
                let conversation = asked.conversation;
                self.forget(decision);
                self.floor.requeue(conversation, now_ms);
            } else if entry.refused.as_ref() == Some(&asked.reservation) {
                let conversation = asked.conversation;
                self.refused.entry(conversation).or_default().insert(agent.to_owned(), now_ms + REFUSED_MS);
                self.forget(decision);
                self.floor.undo(decision, now_ms);
                if let Some(entry) = self.conversations.get(&conversation) {
                    let refused = self.refused.get(&conversation);
                    let view = waiting_view(self.floor.settings(), conversation, entry, refused);
                    self.floor.put_waiting(&view, now_ms);
                }
            }
        }
    }

    fn forget(&mut self, decision: DecisionId) {
        if let Some(asked) = self.asked.remove(&decision)
            && let Some(decisions) = self.by_agent.get_mut(&asked.agent)
        {
            decisions.remove(&decision);
            if decisions.is_empty() {
                self.by_agent.remove(&asked.agent);
            }
        }
    }

    /// Who is to be asked now, at most `limit`. Ids and draws are numbers that were never given before.
    pub fn orders(&mut self, now_ms: i64, limit: usize, mut random: impl FnMut() -> u128) -> Vec<Order> {
        for decision in self.floor.asked_before(now_ms - ANSWER_MS) {
            self.forget(decision);
            self.floor.undo(decision, now_ms);
        }
        let mut orders = Vec::new();
        // The floor's own: those that were seen stay in `asked` as long as the slot is held.
        let under_way = self.floor.asked().count();
        for _ in under_way..MAX_ASKED.min(under_way.saturating_add(limit)) {
            let draw = random();
            let Some(matched) = self.floor.next(now_ms, draw as u64) else { break };
            let Some(entry) = self.conversations.get(&matched.conversation) else { break };
            let decision = self.floor.explain(&matched);
            let (id, agent) = (random(), self.floor.agent_id(matched.agent).to_string());
            let asked = Asked {
                agent: agent.clone(),
                conversation: matched.conversation,
                reservation: format!("r-{id:032x}"),
                seen: false,
            };
            let kind = if entry.transferred { ReservationKind::Transfer } else { ReservationKind::Offer };
            orders.push(Order {
                id,
                agent: agent.clone(),
                reservation: asked.reservation.clone(),
                conversation: matched.conversation,
                session: matched.session,
                weight: self.weight_for(&agent, &entry.channel),
                kind,
                // Cannot fail: no map in it has keys other than text.
                decision: serde_json::to_value(decision).unwrap_or_default(),
            });
            self.floor.reserve(&matched, id);
            self.by_agent.entry(agent).or_default().insert(id);
            self.asked.insert(id, asked);
        }
        orders
    }

    /// Slots that a conversation on this channel takes of this agent.
    fn weight_for(&self, agent: &str, channel: &str) -> u32 {
        let own = self.agents.get(agent).and_then(|entry| entry.weights.get(channel).copied());
        own.unwrap_or_else(|| weight_of(self.floor.settings(), channel))
    }

    /// An order could not be sent.
    pub fn not_sent(&mut self, order: &Order, now_ms: i64) {
        self.forget(order.id);
        self.floor.undo(order.id, now_ms);
    }

    /// When something changes though no list does, in ms.
    pub fn next_due_ms(&self) -> Option<i64> {
        let answer = self.floor.asked().map(|(_, ask)| ask.at_ms + ANSWER_MS).min();
        [self.floor.next_due_ms(), answer].into_iter().flatten().min()
    }

    /// Why a conversation still waits.
    pub fn why_waiting(&self, conversation: ConversationKey, now_ms: i64) -> Option<WhyWaiting> {
        self.floor.why_waiting(conversation, now_ms)
    }

    /// Why an agent does not get a conversation.
    pub fn why_not(&self, conversation: ConversationKey, agent: &str, now_ms: i64) -> WhyNot {
        self.floor.why_not(conversation, agent, now_ms, 0)
    }

    /// The queues in which somebody waits or that an agent serves, with their state.
    pub fn queues(&self, now_ms: i64) -> BTreeMap<String, QueueState> {
        let served = self.agents.values().flat_map(|entry| entry.queues.iter());
        let waited = self.conversations.values().map(|entry| &entry.queue);
        let names: BTreeSet<&String> = served.chain(waited).collect();
        names.into_iter().map(|name| (name.clone(), self.floor.queue_state(name, now_ms))).collect()
    }
}

/// Slots that a conversation on this channel takes.
fn weight_of(settings: &Scheduling, channel: &str) -> u32 {
    settings.channel_weights.get(channel).copied().unwrap_or(1)
}

fn agent_view(key: &str, entry: &StaffEntry) -> AgentView {
    let mut load: BTreeMap<ConversationKey, u32> = BTreeMap::new();
    for held in entry.held.values() {
        // A key that is none of a conversation's takes its slots all the same: under the key 0, which no hash has.
        let conversation = held.conversation.parse().unwrap_or(ConversationKey(0));
        *load.entry(conversation).or_default() += held.weight;
    }
    AgentView {
        id: key.to_owned(),
        status: match entry.status {
            RoutingStatus::Available => Status::Available,
            RoutingStatus::Away => Status::Away,
            RoutingStatus::TransfersOnly => Status::TransfersOnly,
            RoutingStatus::Offline => Status::Offline,
        },
        online: entry.online,
        skills: entry.skills.clone(),
        performance: BTreeMap::new(),
        languages: entry.languages.iter().cloned().collect(),
        queues: entry.queues.iter().cloned().collect(),
        slots: entry.slots,
        load,
        idle_since_ms: entry.idle_since.map(|since| since.as_millis()),
    }
}

fn waiting_view(
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

#[cfg(test)]
mod tests;
