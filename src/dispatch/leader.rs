//! One tenant's scheduling: what the lists say goes in, what agents are to be asked comes out.
//!
//! Pure: times, random numbers and ids are arguments. It holds the floor, and beside it what was last seen of everybody,
//! so that other settings can be laid over the same facts. It remembers what it asked for until the lists show what
//! became of it: reserved, refused, or nothing within [`ANSWER_MS`].

mod promptness;
mod views;

pub use promptness::Scheduled;

use crate::{
    scheduler::{
        ConversationKey, Decision, Floor, Scheduling,
        decision::{WhyNot, WhyWaiting},
        estimates::{Estimate, Group, Practised},
        floor::{Beside, DecisionId, EstimatesAt, Refused},
        service::QueueState,
    },
    store::{StaffEntry, WaitingEntry},
};
use kefu_events::{
    Json,
    agent::{Practice, ReservationKind, RoutingStatus},
};
use promptness::Promptness;
use std::collections::{BTreeMap, BTreeSet};
use views::{Performances, agent_view, at_work, waiting_view, weight_of};

/// How long an answer may take before the same is asked of whoever is best then. An answer takes milliseconds; one that is
/// still under way then does no harm, since a conversation takes one offer only.
pub const ANSWER_MS: i64 = 5_000;
/// An agent who refused a reservation is not asked for the same conversation for so long: what the list says of the
/// agent must have been old, and is new by then.
const REFUSED_MS: i64 = 1_000;
/// Who has just come is not told a place: most are offered before anybody could read it.
const FIRST_TOLD_MS: i64 = 10_000;
/// Agents' speed and quality are estimated anew after this time: they change slowly, and an agent with other estimates is
/// matched with every kind of demand again.
const ESTIMATE_EVERY_MS: i64 = 600_000;
/// An agent whose own weight of a conversation does not fit is passed over for so long.
const NO_ROOM_MS: i64 = 1_000;
/// Reservations asked for and not answered, at most. An answer takes about ten milliseconds, so these are ten thousand a
/// second; more would only wait in the owners' queues, and stand in every decision that is taken meanwhile.
const MAX_ASKED: usize = 128;

/// What a list says now; `None`: nothing any more.
#[derive(Debug, Clone)]
pub enum Change {
    /// Of an agent, by key.
    Agent(String, Option<StaffEntry>),
    /// Of a conversation that waits, by key.
    Conversation(ConversationKey, Option<WaitingEntry>),
    /// Of an agent's work, by key.
    Practice(String, Option<Practised>),
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
    pub decision: Json,
    /// Of which skills it is a case.
    pub practice: Option<Practice>,
}

/// A customer is to be told how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Telling {
    /// The conversation's key.
    pub conversation: ConversationKey,
    /// Its session.
    pub session: u32,
    /// The channel that it came by.
    pub channel: String,
    /// Place in the line, from 1.
    pub position: u32,
    /// How long it will still take, in seconds.
    pub wait_s: Option<u32>,
}

/// How many agents there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StaffCount {
    /// By status; who is not connected counts as offline.
    pub by_status: BTreeMap<&'static str, u32>,
    /// Free slots of those who are available.
    pub free: u32,
    /// Their used ones.
    pub used: u32,
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
    /// How agents' work went.
    practised: BTreeMap<String, Practised>,
    /// What the floor was told of it.
    performance: BTreeMap<String, Performances>,
    /// As of when.
    estimated: Option<EstimatesAt>,
    /// When it is estimated again, in ms.
    estimate_at_ms: i64,
    sequence: u64,
    /// When agents' shifts begin or end next, in ms.
    by_shift: BTreeSet<(i64, String)>,
    shift_ends: BTreeMap<String, i64>,
    promptness: Promptness,
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
            practised: BTreeMap::new(),
            performance: BTreeMap::new(),
            estimated: None,
            estimate_at_ms: i64::MIN,
            sequence: 0,
            by_shift: BTreeSet::new(),
            shift_ends: BTreeMap::new(),
            promptness: Promptness::default(),
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
            if let Some(resumed) = entry.resumed {
                self.floor.count_wait_from(*key, resumed.as_millis());
            }
        }
        // Before the next decision, as of what is known then.
        self.estimate_at_ms = i64::MIN;
    }

    /// All that the lists say as of this commit was taken in, and nothing of later ones.
    pub fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
        self.floor.set_sequence(sequence);
    }

    /// Estimates all agents' speed and quality, as of now.
    fn estimate(&mut self, now_ms: i64) {
        self.estimate_at_ms = now_ms + ESTIMATE_EVERY_MS;
        self.estimated = (!self.practised.is_empty()).then_some(EstimatesAt { sequence: self.sequence, at_ms: now_ms });
        let group = self.group(now_ms);
        let estimated = self.practised.iter().map(|(agent, own)| (agent.clone(), group.performance(own)));
        self.performance = estimated.collect();
        let like_everybody = Performances::new();
        for key in self.agents.keys() {
            let agent = self.floor.agent_ix(key);
            self.floor.set_performance(agent, self.performance.get(key).unwrap_or(&like_everybody));
        }
    }

    fn group(&self, now_ms: i64) -> Group {
        let settings = self.floor.settings();
        Group::of(self.practised.values(), settings.estimates, &settings.concurrency, now_ms)
    }

    /// How fast and how well an agent works, skill by skill, as of now.
    pub fn estimates(&self, agent: &str, now_ms: i64) -> BTreeMap<String, Estimate> {
        let group = self.group(now_ms);
        let practised = self.practised.get(agent).into_iter().flatten();
        practised.map(|(skill, sums)| (skill.clone(), group.estimate(skill, sums))).collect()
    }

    /// Takes in what a list says.
    pub fn take_in(&mut self, change: Change, now_ms: i64) {
        match change {
            Change::Agent(key, Some(entry)) => {
                self.put_agent(&key, &entry, now_ms);
                self.conclude(&key, &entry, now_ms);
                self.agents.insert(key, entry);
            }
            Change::Agent(key, None) => {
                self.floor.remove_agent(&key, now_ms);
                if let Some(at) = self.shift_ends.remove(&key) {
                    self.by_shift.remove(&(at, key.clone()));
                }
                for decision in self.by_agent.remove(&key).unwrap_or_default() {
                    self.asked.remove(&decision);
                }
                self.agents.remove(&key);
            }
            Change::Practice(key, Some(practised)) => drop(self.practised.insert(key, practised)),
            Change::Practice(key, None) => drop(self.practised.remove(&key)),
            Change::Conversation(key, Some(entry)) => {
                self.promptness.waits(key, now_ms);
                self.put_waiting(key, &entry, now_ms);
                if !self.conversations.contains_key(&key) {
                    self.look_at(key, None, now_ms + FIRST_TOLD_MS);
                }
                self.conversations.insert(key, entry);
            }
            Change::Conversation(key, None) => {
                self.promptness.gone(key, now_ms);
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

    fn put_agent(&mut self, key: &str, entry: &StaffEntry, now_ms: i64) {
        let (at_work, changes) = at_work(entry, now_ms);
        let agent = self.floor.put_agent(&agent_view(key, entry, self.performance.get(key), at_work), now_ms);
        self.floor.set_assigned(agent, entry.assigned_at.map_or(0, |at| at.as_millis()));
        let before = match changes {
            Some(at) => self.shift_ends.insert(key.to_owned(), at),
            None => self.shift_ends.remove(key),
        };
        if let Some(before) = before {
            self.by_shift.remove(&(before, key.to_owned()));
        }
        self.by_shift.extend(changes.map(|at| (at, key.to_owned())));
    }

    /// Shifts begin and end.
    fn shifts(&mut self, now_ms: i64) {
        while let Some((at, key)) = self.by_shift.first().cloned().filter(|(at, _)| *at <= now_ms) {
            self.by_shift.remove(&(at, key.clone()));
            self.shift_ends.remove(&key);
            if let Some(entry) = self.agents.get(&key).cloned() {
                self.put_agent(&key, &entry, now_ms);
            }
        }
    }

    fn put_waiting(&mut self, key: ConversationKey, entry: &WaitingEntry, now_ms: i64) {
        let view = waiting_view(self.floor.settings(), key, entry, self.refused.get(&key));
        self.floor.put_waiting(&view, now_ms);
        if let Some(resumed) = entry.resumed {
            self.floor.count_wait_from(key, resumed.as_millis());
        }
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
            let entry = self.conversations.get(&key).map(|entry| (entry.session, entry.channel.clone()));
            if let (Some(position), Some(entry)) = (position.filter(|place| before != Some(*place)), entry) {
                let (session, channel) = entry;
                let wait_s = self.floor.estimated_wait_s(key, now_ms).map(|seconds| seconds.round() as u32);
                tellings.push(Telling { conversation: key, session, channel, position, wait_s });
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
                self.promptness.reserved(asked.conversation);
                self.floor.confirm(decision);
            } else if asked.seen {
                // It came to an end: where the conversation has been offered, its own entry was gone and came back; where
                // it has not, it waits as before.
                let conversation = asked.conversation;
                self.forget(decision);
                self.floor.requeue(conversation, now_ms);
            } else if entry.ended.contains(&asked.reservation) {
                // Reserved and released before the list showed it.
                self.promptness.reserved(asked.conversation);
                self.forget(decision);
                self.floor.undo(decision, now_ms);
            } else if entry.refused.as_ref() == Some(&asked.reservation) {
                let conversation = asked.conversation;
                self.promptness.refused(conversation);
                self.forget(decision);
                self.floor.undo(decision, now_ms);
                self.pass_over(conversation, agent, now_ms, REFUSED_MS);
            }
        }
    }

    /// An agent is not asked for a conversation for a while.
    fn pass_over(&mut self, conversation: ConversationKey, agent: &str, now_ms: i64, for_ms: i64) {
        self.refused.entry(conversation).or_default().insert(agent.to_owned(), now_ms + for_ms);
        if let Some(entry) = self.conversations.get(&conversation).cloned() {
            self.put_waiting(conversation, &entry, now_ms);
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
        if now_ms >= self.estimate_at_ms {
            self.estimate(now_ms);
        }
        self.shifts(now_ms);
        let mut orders = Vec::new();
        // The floor's own: those that were seen stay in `asked` as long as the slot is held.
        let under_way = self.floor.asked().count();
        let room = MAX_ASKED.saturating_sub(under_way).min(limit);
        while orders.len() < room {
            let draw = random();
            let Some(matched) = self.floor.next(now_ms, draw as u64) else { break };
            let Some(entry) = self.conversations.get(&matched.conversation) else { break };
            let agent = self.floor.agent_id(matched.agent).to_string();
            let weight = self.weight_for(&agent, &entry.channel);
            // The floor counts with the tenant's weights; this agent's own may be larger.
            if weight > self.floor.free_slots(matched.agent) {
                self.pass_over(matched.conversation, &agent, now_ms, NO_ROOM_MS);
                continue;
            }
            let decision = self.floor.explain(&matched).map(|decision| self.with_beside(decision));
            let id = random();
            let asked = Asked {
                agent: agent.clone(),
                conversation: matched.conversation,
                reservation: format!("r-{id:032x}"),
                seen: false,
            };
            let kind = if entry.transferred { ReservationKind::Transfer } else { ReservationKind::Offer };
            let half_life_days = self.floor.settings().estimates.half_life_days;
            let skills = self.floor.practice(matched.conversation);
            orders.push(Order {
                id,
                agent: agent.clone(),
                reservation: asked.reservation.clone(),
                conversation: matched.conversation,
                session: matched.session,
                weight,
                kind,
                decision: Json::of(&decision),
                practice: (!skills.is_empty()).then_some(Practice { skills, half_life_days }),
            });
            self.promptness.found(matched.conversation, now_ms);
            self.floor.reserve_slots(&matched, id, weight);
            self.by_agent.entry(agent).or_default().insert(id);
            self.asked.insert(id, asked);
        }
        orders
    }

    /// A decision, with what only the leader knows.
    fn with_beside(&self, mut decision: Decision) -> Decision {
        if let Some(beside) = &mut decision.beside {
            let refused = self.refused.iter().flat_map(|(conversation, agents)| {
                agents.iter().map(|(agent, until)| Refused(*conversation, agent.clone(), *until))
            });
            beside.refused = refused.filter(|refused| decision.at_ms < refused.2).take(MAX_ASKED).collect();
            beside.estimates = self.estimated;
        }
        decision
    }

    /// Slots that a conversation on this channel takes of this agent.
    fn weight_for(&self, agent: &str, channel: &str) -> u32 {
        let own = self.agents.get(agent).and_then(|entry| entry.weights.get(channel).copied());
        own.unwrap_or_else(|| weight_of(self.floor.settings(), channel))
    }

    /// What has become, since this was asked last, of conversations for which an agent was found.
    pub fn scheduled(&mut self, now_ms: i64) -> Vec<Scheduled> {
        self.promptness.settle(now_ms)
    }

    /// An order could not be sent.
    pub fn not_sent(&mut self, order: &Order, now_ms: i64) {
        self.forget(order.id);
        self.floor.undo(order.id, now_ms);
    }

    /// When something changes though no list does, in ms.
    pub fn next_due_ms(&self) -> Option<i64> {
        let answer = self.floor.asked().map(|(_, ask)| ask.at_ms + ANSWER_MS).min();
        let shift = self.by_shift.first().map(|(at, _)| *at);
        [self.floor.next_due_ms(), answer, shift].into_iter().flatten().min()
    }

    /// The leader's floor as it was at a decision: from what the lists said then, and what decided beside them.
    pub(super) fn recalled(
        settings: Scheduling,
        agents: impl Iterator<Item = (String, StaffEntry)>,
        conversations: impl Iterator<Item = (ConversationKey, WaitingEntry)>,
        practised: &BTreeMap<String, Practised>,
        decision: &Decision,
    ) -> Self {
        let mut leader = Self::new(settings);
        let nothing = Beside::default();
        let beside = decision.beside.as_ref().unwrap_or(&nothing);
        leader.practised.clone_from(practised);
        if let Some(estimated) = beside.estimates {
            leader.sequence = estimated.sequence;
            leader.estimate(estimated.at_ms);
        }
        leader.set_sequence(decision.sequence);
        for Refused(conversation, agent, until) in &beside.refused {
            leader.refused.entry(*conversation).or_default().insert(agent.clone(), *until);
        }
        leader.floor.recall_demand(beside);
        for (key, entry) in agents {
            leader.take_in(Change::Agent(key, Some(entry)), decision.at_ms);
        }
        for (key, entry) in conversations {
            leader.take_in(Change::Conversation(key, Some(entry)), decision.at_ms);
        }
        leader.floor.recall(beside);
        leader
    }

    /// Takes a decision again: on the floor that it was [recalled](Self::recalled) for, it comes out the same.
    pub(super) fn decide_again(&mut self, decision: &Decision) -> Option<Decision> {
        let matched = self.floor.decide_again(decision)?;
        self.floor.explain(&matched)
    }

    /// Why a conversation still waits.
    pub fn why_waiting(&self, conversation: ConversationKey, now_ms: i64) -> Option<WhyWaiting> {
        self.floor.why_waiting(conversation, now_ms)
    }

    /// Why an agent does not get a conversation.
    pub fn why_not(&self, conversation: ConversationKey, agent: &str, now_ms: i64) -> WhyNot {
        self.floor.why_not(conversation, agent, now_ms, 0)
    }

    /// The same with the draw of a decision.
    pub(super) fn why_not_drawn(&self, conversation: ConversationKey, agent: &str, now_ms: i64, draw: u64) -> WhyNot {
        self.floor.why_not(conversation, agent, now_ms, draw)
    }

    /// Those who wait by queue: how many, and how long the oldest has waited, in ms.
    pub fn waits(&self, now_ms: i64) -> BTreeMap<&str, (usize, i64)> {
        let mut waits: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
        for entry in self.conversations.values() {
            let since = entry.resumed.unwrap_or(entry.since).as_millis();
            let (count, oldest_ms) = waits.entry(&entry.queue).or_default();
            *count += 1;
            *oldest_ms = (*oldest_ms).max(now_ms - since);
        }
        waits
    }

    /// Agents by status, and slots that are free and used of those who take conversations now.
    pub fn staff(&self) -> StaffCount {
        let mut count = StaffCount::default();
        for (key, entry) in &self.agents {
            let status = if entry.online { entry.status } else { RoutingStatus::Offline };
            *count.by_status.entry(status.as_str()).or_default() += 1;
            let open = status == RoutingStatus::Available;
            if let Some(agent) = self.floor.find_agent(key).filter(|_| open) {
                count.free += self.floor.free_slots(agent);
                count.used += self.floor.used_slots(agent);
            }
        }
        count
    }

    /// The queues in which somebody waits or that an agent serves, with their state.
    pub fn queues(&self, now_ms: i64) -> BTreeMap<String, QueueState> {
        let served = self.agents.values().flat_map(|entry| entry.queues.iter());
        let waited = self.conversations.values().map(|entry| &entry.queue);
        let names: BTreeSet<&String> = served.chain(waited).collect();
        names.into_iter().map(|name| (name.clone(), self.floor.queue_state(name, now_ms))).collect()
    }
}

#[cfg(test)]
mod tests;
