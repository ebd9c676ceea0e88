//! The floor: agents, waiting conversations, and indexes that make a decision cheap.
//!
//! A conversation stands in the line of its [`Demand`]; an agent is listed with every demand that fits, those with room
//! first. So "who is free for this" and "what waits for me" look at few candidates, and changes move a few list
//! entries. Whatever could make a new match possible marks an agent or a conversation; [`Floor::next`] looks at the
//! marked only, and finds nothing at once where nothing is marked.
//!
//! - this file: what is kept;
//! - `agents`: agents coming, going, changing;
//! - `line`: conversations coming, going, relaxing;
//! - `matching`: the two questions;
//! - `asked`: reservations asked for but not seen yet;
//! - `explain`: the same choice again, with reasons;
//! - `beside`: what decided beside agents and conversations, and the same choice again from that.
//!
//! The floor may not know why an agent is away or what a conversation is about, and never decides the same thing twice
//! by itself: what is asked for is left out until the leader confirms or undoes it.

mod agents;
mod asked;
mod beside;
mod explain;
mod line;
pub(super) mod matching;
#[cfg(test)]
mod tests;

pub use asked::{Ask, DecisionId};
pub use beside::{AskedFor, Beside, DemandCount, EstimatesAt, Refused};
pub use line::Entry;
pub use matching::{Match, Pair, Question};

use super::{
    demand::{Abilities, Demand},
    names::Names,
    policy::{Policy, PolicyName},
    service::{Fade, QueueService},
    settings::{QueueRules, Scheduling},
    views::{ConversationKey, Performance, Status},
};
use hashbrown::HashTable;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// Number of an agent on one floor.
pub type AgentIx = u32;
/// Number of a demand on one floor.
pub type DemandIx = u32;
/// Number of a place for a waiting conversation; used again when the conversation has gone.
type WaitIx = u32;

/// Keys are hashes already; the multiplication is for keys that were counted up instead, as the simulator's.
fn hash(key: u128) -> u64 {
    ((key >> 64) as u64 ^ key as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// One tenant's agents and waiting conversations.
#[derive(Debug, Clone)]
pub struct Floor {
    settings: Scheduling,
    concurrency: Concurrency,
    skills: Names,
    queues: Names,
    languages: Names,
    agent_names: Names,
    agents: Vec<Agent>,
    demands: Vec<Line>,
    demand_numbers: BTreeMap<Demand, DemandIx>,
    relaxed: BTreeMap<(DemandIx, usize), DemandIx>,
    waiting: Vec<Option<Waiting>>,
    vacant: Vec<WaitIx>,
    /// Places of waiting conversations by the hash of their key. Never iterated: its order shows what was removed.
    by_key: HashTable<WaitIx>,
    /// When something about a conversation changes by itself, in ms.
    timers: BTreeSet<(i64, WaitIx)>,
    asked: BTreeMap<DecisionId, Ask>,
    marked_agents: VecDeque<AgentIx>,
    marked_waiting: VecDeque<(WaitIx, u128)>,
    /// By queue.
    queue_states: Vec<QueueEntry>,
    /// (1 + room) ^ -scarcity for small numbers: a power costs more than the rest of a decision.
    scarcities: Vec<f64>,
    fade: Fade,
    /// Faded count of all arrivals.
    arrivals: f64,
    /// Faded count of all arrivals that found nobody free.
    blocked: f64,
    /// Conversations that wait though an agent's reservation for them was seen: they are about to go.
    confirmed: BTreeSet<u128>,
    /// Conversations that came when their queue was so long that agents of others may be asked.
    overflowing: BTreeSet<u128>,
    /// Whether that is known and not to be decided.
    overflow_known: bool,
    /// Queues that are behind their targets, where that is known and not to be computed.
    behind: Option<BTreeSet<u32>>,
    sequence: u64,
}

/// Rooms with a ready power: more free slots for one demand are rare.
const READY_POWERS: u32 = 512;

/// A queue's rules, looked up once, and what it has done.
#[derive(Debug, Clone)]
struct QueueEntry {
    rules: Arc<QueueRules>,
    service: QueueService,
}

/// What a further conversation at once costs and brings, by the number that an agent has.
#[derive(Debug, Clone, Default)]
struct Concurrency {
    speed: Vec<f64>,
    gain: Vec<f64>,
}

impl Concurrency {
    fn new(speeds: &[f64]) -> Self {
        let speed = |at_once: usize| speeds.get(at_once - 1).or(speeds.last()).copied().unwrap_or(1.0);
        let total = |at_once: usize| if at_once == 0 { 0.0 } else { at_once as f64 * speed(at_once) };
        // Past the configured values the last gain holds.
        let known = speeds.len().max(1);
        Self {
            speed: (1..=known).map(speed).collect(),
            gain: (0..known).map(|at_once| total(at_once + 1) - total(at_once)).collect(),
        }
    }

    fn at(values: &[f64], at_once: usize) -> f64 {
        values.get(at_once).or(values.last()).copied().unwrap_or(1.0)
    }
}

/// One agent, as indexed.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) id: Arc<str>,
    /// Of the id: makes random choices independent of the order in which candidates are met.
    pub(super) hash: u64,
    pub(super) status: Status,
    pub(super) online: bool,
    pub(super) abilities: Abilities,
    performance: Vec<(u32, Performance)>,
    pub(super) slots: u32,
    pub(super) used: u32,
    pub(super) load: Vec<Load>,
    pub(super) idle_since_ms: i64,
    /// Whether there is such an agent: one may be named who has gone, or was never there.
    pub(super) known: bool,
    /// When a conversation was last assigned, in ms; 0: never.
    pub(super) assigned_ms: i64,
    pub(super) links: Vec<Link>,
    /// Conversations that name this agent as wanted or preferred.
    naming: BTreeSet<WaitIx>,
    /// Those of them that only this agent may get now.
    own: BTreeSet<Place>,
    marked: bool,
    /// The room with which the agent stands in the lists. While the agent is marked it may differ from the true one:
    /// who becomes free and gets the next conversation at once is in no list in between.
    listed: u32,
}

/// A conversation that an agent has.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) conversation: u128,
    pub(super) weight: u32,
    /// Asked for, not seen yet.
    pub(super) asked: Option<DecisionId>,
}

/// An agent's entry with one demand that fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) demand: DemandIx,
    /// Where it is in the demand's list of agents.
    at: u32,
    /// Mean proficiency over the required skills, 0 to 1.
    pub(super) skill: f32,
    /// Share of the wished skills that the agent has.
    pub(super) wished: f32,
    pub(super) speed: f32,
    pub(super) quality: f32,
}

/// Place in a line: most urgent first, then oldest, then by key. Half of the key, which is as good as all of it, keeps
/// lines small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// 255 minus priority.
    urgency: u8,
    since_ms: i64,
    key: u64,
    waiting: WaitIx,
}

/// One demand: its line and its agents.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) demand: Demand,
    pub(super) policy: PolicyName,
    /// Whether its queue has a target.
    has_target: bool,
    pub(super) places: BTreeSet<Place>,
    /// First of the places, so that comparing heads looks at no tree.
    pub(super) head: Option<Place>,
    /// How many of the places exclude somebody.
    pub(super) excluding: u32,
    /// Agents that fit, with the number of their link; those with room first.
    agents: Vec<(AgentIx, u32)>,
    free: usize,
    /// Agents of these that are available.
    pub(super) open: u32,
    /// Free slots of those with room.
    room: u32,
    /// Faded count of arrivals.
    arrivals: f64,
    /// Faded count of arrivals that found nobody free.
    blocked: f64,
    /// Arrivals × (their part that found nobody free) ^ strain.
    need: f64,
    /// What one free agent here is worth: need ÷ (1 + room) ^ scarcity.
    scarcity: f64,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nowhere: it is asked for.
    Nowhere,
    /// In its demand's line.
    Line,
    /// With the only agent who may get it now.
    With(AgentIx),
}

/// A waiting conversation, as indexed.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) key: u128,
    pub(super) session: u32,
    /// What it asked for on arrival.
    base: DemandIx,
    /// What it asks for now.
    pub(super) demand: DemandIx,
    /// Priority on arrival.
    base_priority: u8,
    /// Priority now.
    pub(super) priority: u8,
    pub(super) since_ms: i64,
    pub(super) preferred: Option<(AgentIx, i64)>,
    pub(super) wanted: Option<AgentIx>,
    pub(super) excluded: Vec<(AgentIx, i64)>,
    asked: Option<DecisionId>,
    standing: Standing,
    due_ms: Option<i64>,
    marked: bool,
    /// Since when its wait counts, in ms, where that is later than when it came.
    counts_from_ms: Option<i64>,
    /// What was said on arrival, in ms, to learn how wrong it was.
    expected_ms: Option<f64>,
}

impl Waiting {
    fn excludes(&self, agent: AgentIx, now_ms: i64) -> bool {
        self.excluded.iter().any(|&(excluded, until)| excluded == agent && now_ms < until)
    }

    fn place(&self, ix: WaitIx) -> Place {
        Place { urgency: u8::MAX - self.priority, since_ms: self.since_ms, key: self.key as u64, waiting: ix }
    }
}

impl Line {
    /// Need or room have changed.
    fn weigh(&mut self, scarcities: &[f64], exponent: f64) {
        let ready = scarcities.get(self.room as usize).copied();
        self.scarcity = self.need * ready.unwrap_or_else(|| power(1.0 + f64::from(self.room), -exponent));
    }
}

impl Agent {
    fn new(id: Arc<str>) -> Self {
        // FNV-1a: the same everywhere and for ever.
        let hash = id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self {
            id,
            hash,
            status: Status::Offline,
            online: false,
            abilities: Abilities::default(),
            performance: Vec::new(),
            slots: 0,
            used: 0,
            load: Vec::new(),
            idle_since_ms: 0,
            known: false,
            assigned_ms: 0,
            links: Vec::new(),
            naming: BTreeSet::new(),
            own: BTreeSet::new(),
            marked: false,
            listed: 0,
        }
    }

    /// Whether conversations that anybody may get can go here.
    pub(super) fn is_open(&self) -> bool {
        self.online && self.status == Status::Available
    }

    /// Whether conversations handed over by name can go here.
    pub(super) fn takes_transfers(&self) -> bool {
        self.online && matches!(self.status, Status::Available | Status::TransfersOnly)
    }

    pub(super) fn room(&self) -> u32 {
        self.slots.saturating_sub(self.used)
    }

    fn link_to(&self, demand: DemandIx) -> Option<&Link> {
        self.links.binary_search_by_key(&demand, |link| link.demand).ok().map(|at| &self.links[at])
    }
}

impl Floor {
    /// An empty floor.
    pub fn new(settings: Scheduling) -> Self {
        Self {
            concurrency: Concurrency::new(&settings.concurrency),
            scarcities: ready_powers(settings.weights.scarcity),
            fade: Fade::new(settings.demand_half_life_s),
            settings,
            skills: Names::default(),
            queues: Names::default(),
            languages: Names::default(),
            agent_names: Names::default(),
            agents: Vec::new(),
            demands: Vec::new(),
            demand_numbers: BTreeMap::new(),
            relaxed: BTreeMap::new(),
            waiting: Vec::new(),
            vacant: Vec::new(),
            by_key: HashTable::new(),
            timers: BTreeSet::new(),
            asked: BTreeMap::new(),
            marked_agents: VecDeque::new(),
            marked_waiting: VecDeque::new(),
            queue_states: Vec::new(),
            arrivals: 0.0,
            blocked: 0.0,
            confirmed: BTreeSet::new(),
            overflowing: BTreeSet::new(),
            overflow_known: false,
            behind: None,
            sequence: 0,
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Scheduling {
        &self.settings
    }

    /// Other settings hold from now on. Costs as much as feeding every conversation again.
    pub fn set_settings(&mut self, settings: Scheduling, now_ms: i64) {
        self.concurrency = Concurrency::new(&settings.concurrency);
        self.scarcities = ready_powers(settings.weights.scarcity);
        self.fade.set_half_life(settings.demand_half_life_s);
        self.settings = settings;
        self.relaxed.clear();
        for (queue, known) in self.queue_states.iter_mut().enumerate() {
            known.rules = Arc::new(self.settings.rules(self.queues.name(queue as u32)).clone());
        }
        for demand in 0..self.demands.len() {
            let queue = self.demands[demand].demand.queue;
            self.demands[demand].policy = self.rules(queue).policy;
            self.demands[demand].has_target = self.rules(queue).target.is_some();
            self.weigh_need(demand);
        }
        for ix in 0..self.waiting.len() {
            if self.waiting[ix].is_some() {
                self.stand_again(ix as WaitIx, now_ms);
            }
        }
    }

    /// The last input of the log that the floor was told of; decisions name it.
    pub fn set_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// The number of an agent, who need not be known yet.
    pub fn agent_ix(&mut self, id: &str) -> AgentIx {
        let ix = self.agent_names.number(id);
        if ix as usize == self.agents.len() {
            self.agents.push(Agent::new(self.agent_names.name(ix).clone()));
        }
        ix
    }

    /// The number of an agent who is known.
    pub fn find_agent(&self, id: &str) -> Option<AgentIx> {
        self.agent_names.known(id).filter(|ix| (*ix as usize) < self.agents.len())
    }

    /// The id behind an agent's number.
    pub fn agent_id(&self, agent: AgentIx) -> &Arc<str> {
        &self.agents[agent as usize].id
    }

    /// Slots that an agent's conversations take, those asked for among them.
    pub fn used_slots(&self, agent: AgentIx) -> u32 {
        self.agents[agent as usize].used
    }

    /// Slots that an agent has left.
    pub fn free_slots(&self, agent: AgentIx) -> u32 {
        self.agents[agent as usize].room()
    }

    /// How many conversations wait, those asked for among them.
    pub fn waiting_count(&self) -> usize {
        self.by_key.len()
    }

    /// The number of a demand; a new one is matched with every agent.
    fn demand_ix(&mut self, demand: Demand) -> DemandIx {
        if let Some(&ix) = self.demand_numbers.get(&demand) {
            return ix;
        }
        while self.queue_states.len() <= demand.queue as usize {
            let name = self.queues.name(self.queue_states.len() as u32);
            let rules = Arc::new(self.settings.rules(name).clone());
            self.queue_states.push(QueueEntry { rules, service: QueueService::default() });
        }
        let ix = self.demands.len() as DemandIx;
        self.demand_numbers.insert(demand.clone(), ix);
        self.demands.push(Line {
            policy: self.rules(demand.queue).policy,
            has_target: self.rules(demand.queue).target.is_some(),
            demand,
            places: BTreeSet::new(),
            head: None,
            excluding: 0,
            agents: Vec::new(),
            free: 0,
            open: 0,
            room: 0,
            arrivals: 0.0,
            blocked: 0.0,
            need: 0.0,
            scarcity: 0.0,
        });
        for agent in 0..self.agents.len() as AgentIx {
            let Some(link) = self.link(agent, ix) else { continue };
            let known = &self.agents[agent as usize];
            if known.is_open() {
                let room = known.listed;
                let line = &mut self.demands[ix as usize];
                line.open += 1;
                line.room += room;
                if room >= line.demand.weight {
                    self.set_free(link, true);
                }
            }
        }
        ix
    }

    /// Arrivals have changed.
    fn weigh_need(&mut self, demand: usize) {
        let line = &mut self.demands[demand];
        // As if everybody had been met once by nobody free: no part is 0, and few cases say little.
        let strain = (line.blocked + 1.0) / (line.arrivals + 1.0);
        line.need = line.arrivals * power(strain, self.settings.weights.strain);
        line.weigh(&self.scarcities, self.settings.weights.scarcity);
    }

    /// The rules of a queue that a demand names.
    fn rules(&self, queue: u32) -> &Arc<QueueRules> {
        &self.queue_states[queue as usize].rules
    }

    fn mark_agent(&mut self, ix: AgentIx) {
        let agent = &mut self.agents[ix as usize];
        if !agent.marked {
            agent.marked = true;
            self.marked_agents.push_back(ix);
        }
    }

    fn policy_of(&self, demand: DemandIx) -> &'static dyn Policy {
        self.demands[demand as usize].policy.policy()
    }
}

fn ready_powers(scarcity: f64) -> Vec<f64> {
    (0..READY_POWERS).map(|room| power(1.0 + f64::from(room), -scarcity)).collect()
}

/// `base ^ exponent`, quick for the exponents that settings usually have.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 1.0 {
        base
    } else if exponent == 0.0 || base == 1.0 {
        1.0
    } else if exponent == 2.0 {
        base * base
    } else if exponent == 3.0 {
        base * base * base
    } else if exponent == 0.5 {
        base.sqrt()
    } else {
        base.powf(exponent)
    }
}
