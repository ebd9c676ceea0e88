//! Whatever happens: the same as a naive scan over the views.

use super::*;
use crate::scheduler::{
    floor::matching::{by_agent, by_waiting},
    settings::Relaxation,
};
use proptest::{collection, prelude::*, sample::select};

const SKILLS: [&str; 3] = ["a", "b", "c"];
const NAMES: [&str; 5] = ["v", "w", "x", "y", "z"];

/// Something that can happen.
#[derive(Debug, Clone)]
enum Step {
    Agent {
        name: &'static str,
        skills: Vec<(&'static str, u8)>,
        slots: u32,
        status: Status,
        online: bool,
        also: bool,
    },
    Gone {
        name: &'static str,
    },
    Arrives {
        key: u128,
        required: Vec<(&'static str, u8)>,
        weight: u32,
        priority: u8,
        named: Option<(&'static str, bool)>,
        other: bool,
    },
    Excludes {
        key: u128,
        name: &'static str,
        for_ms: i64,
    },
    Leaves {
        key: u128,
    },
    Released {
        at: usize,
    },
    Undone {
        at: usize,
    },
    Confirmed {
        at: usize,
    },
    Passes {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let skills = || collection::vec((select(&SKILLS[..]), 0..=5_u8), 0..3);
    let status =
        select(vec![Status::Available, Status::Available, Status::Available, Status::Away, Status::TransfersOnly]);
    let name = || select(&NAMES[..]);
    let key = || 1..12_u128;
    prop_oneof![
        3 => (name(), skills(), 0..4_u32, status, prop::bool::weighted(0.9), any::<bool>())
            .prop_map(|(name, skills, slots, status, online, also)| Step::Agent { name, skills, slots, status, online, also }),
        1 => name().prop_map(|name| Step::Gone { name }),
        8 => (key(), skills(), 1..3_u32, 0..3_u8, prop::option::weighted(0.3, (name(), any::<bool>())), any::<bool>())
            .prop_map(|(key, required, weight, priority, named, other)| Step::Arrives { key, required, weight, priority, named, other }),
        1 => (key(), name(), 1..20_000_i64).prop_map(|(key, name, for_ms)| Step::Excludes { key, name, for_ms }),
        1 => key().prop_map(|key| Step::Leaves { key }),
        5 => (0..8_usize).prop_map(|at| Step::Released { at }),
        1 => (0..8_usize).prop_map(|at| Step::Undone { at }),
        3 => (0..8_usize).prop_map(|at| Step::Confirmed { at }),
        4 => (1..15_000_i64).prop_map(|ms| Step::Passes { ms }),
    ]
}

/// What a leader would know.
#[derive(Default)]
struct World {
    agents: BTreeMap<String, AgentView>,
    waiting: BTreeMap<u128, WaitingView>,
    /// Decision → conversation, agent, weight; confirmed or not.
    asked: BTreeMap<DecisionId, (u128, String, u32)>,
    decisions: DecisionId,
    now_ms: i64,
}

fn settings(policy: PolicyName) -> Scheduling {
    let relaxation = vec![
        Relaxation { after_s: 5.0, lower: 2, raise: 1, ..Relaxation::default() },
        Relaxation {
            after_s: 10.0,
            drop: ["a".to_owned()].into(),
            also: ["other".to_owned()].into(),
            ..Relaxation::default()
        },
    ];
    let default = QueueRules { policy, relaxation, ..QueueRules::default() };
    let other = QueueRules { policy: PolicyName::LongestIdle, ..QueueRules::default() };
    Scheduling {
        default,
        queues: [("other".to_owned(), other)].into(),
        concurrency: vec![1.0, 0.9, 0.75],
        ..Scheduling::default()
    }
}

impl World {
    fn free(&self, agent: &AgentView) -> i64 {
        let asked = self
            .asked
            .values()
            .filter(|(key, name, _)| *name == agent.id && !agent.load.contains_key(&ConversationKey(*key)));
        i64::from(agent.slots)
            - agent.load.values().map(|w| i64::from(*w)).sum::<i64>()
            - asked.map(|ask| i64::from(ask.2)).sum::<i64>()
    }

    /// Whether the demand fits, with what has been relaxed by now.
    fn fits(&self, agent: &AgentView, waiting: &WaitingView) -> bool {
        let waited = self.now_ms - waiting.since_ms;
        let relaxes = waiting.queue == "main";
        let (lower, drop) = (if relaxes && waited >= 5_000 { 2 } else { 0 }, relaxes && waited >= 10_000);
        let skilled = waiting.required.iter().all(|(skill, least)| {
            (drop && skill == "a") || agent.skills.get(skill).is_some_and(|level| *level >= least.saturating_sub(lower))
        });
        skilled && (agent.queues.contains(&waiting.queue) || (drop && agent.queues.contains("other")))
    }

    fn eligible(&self, agent: &AgentView, waiting: &WaitingView) -> bool {
        if self.asked.values().any(|ask| ask.0 == waiting.conversation.0) {
            return false;
        }
        let excluded = |name: &str| waiting.excluded.get(name).is_some_and(|until| self.now_ms < *until);
        if !agent.online || excluded(&agent.id) || self.free(agent) < i64::from(waiting.weight) {
            return false;
        }
        if let Some(wanted) = &waiting.wanted {
            return *wanted == agent.id && matches!(agent.status, Status::Available | Status::TransfersOnly);
        }
        let open = |agent: &AgentView| agent.online && agent.status == Status::Available;
        let held = waiting.preferred.as_ref().filter(|preferred| {
            let known = self.agents.get(&preferred.agent);
            let there = known.is_some_and(|known| open(known) && known.slots > 0 && self.fits(known, waiting));
            self.now_ms < preferred.until_ms && there && !excluded(&preferred.agent)
        });
        open(agent) && self.fits(agent, waiting) && held.is_none_or(|held| held.agent == agent.id)
    }

    fn eligible_pairs(&self) -> Vec<(u128, String)> {
        let pairs = self.waiting.values().flat_map(|waiting| {
            let agents = self.agents.values().filter(|agent| self.eligible(agent, waiting));
            agents.map(|agent| (waiting.conversation.0, agent.id.clone())).collect::<Vec<_>>()
        });
        pairs.collect()
    }

    fn happen(&mut self, step: &Step, floor: &mut Floor) {
        let nth = |at: usize, asked: &BTreeMap<DecisionId, (u128, String, u32)>| asked.keys().nth(at).copied();
        match step.clone() {
            Step::Agent { name, skills, slots, status, online, also } => {
                let mut view = agent(name, &skills, slots);
                view.idle_since_ms = None;
                (view.status, view.online) = (status, online);
                if also {
                    view.queues.insert("other".to_owned());
                }
                if let Some(old) = self.agents.get(name) {
                    view.load = old.load.clone();
                }
                floor.put_agent(&view, self.now_ms);
                self.agents.insert(name.to_owned(), view);
            }
            Step::Gone { name } => {
                floor.remove_agent(name, self.now_ms);
                self.agents.remove(name);
                self.asked.retain(|_, ask| ask.1 != name);
            }
            Step::Arrives { key, required, weight, priority, named, other } => {
                if self.asked.values().any(|ask| ask.0 == key)
                    || self.agents.values().any(|a| a.load.contains_key(&ConversationKey(key)))
                {
                    return;
                }
                let mut view = conversation(key, &required, self.now_ms);
                (view.weight, view.priority) = (weight, priority);
                if other {
                    view.queue = "other".to_owned();
                }
                match named {
                    Some((name, true)) => view.wanted = Some(name.to_owned()),
                    Some((name, false)) => {
                        view.preferred = Some(Preferred { agent: name.to_owned(), until_ms: self.now_ms + 7_000 });
                    }
                    None => {}
                }
                floor.put_waiting(&view, self.now_ms);
                self.waiting.insert(key, view);
            }
            Step::Excludes { key, name, for_ms } => {
                if let Some(view) = self.waiting.get_mut(&key) {
                    view.excluded.insert(name.to_owned(), self.now_ms + for_ms);
                    floor.put_waiting(view, self.now_ms);
                }
            }
            Step::Leaves { key } => {
                floor.remove_waiting(ConversationKey(key));
                self.waiting.remove(&key);
            }
            Step::Released { at } => {
                let busy =
                    self.agents.values_mut().filter_map(|agent| Some((agent.load.keys().next().copied()?, agent)));
                if let Some((key, agent)) = busy.collect::<Vec<_>>().into_iter().nth(at) {
                    agent.load.remove(&key);
                    let ix = floor.agent_ix(&agent.id.clone());
                    floor.release(ix, key, self.now_ms);
                }
            }
            Step::Undone { at } => {
                if let Some(decision) = nth(at, &self.asked) {
                    floor.undo(decision, self.now_ms);
                    self.asked.remove(&decision);
                }
            }
            Step::Confirmed { at } => {
                if let Some(decision) = nth(at, &self.asked)
                    && let Some((key, name, weight)) = self.asked.remove(&decision)
                {
                    floor.confirm(decision);
                    floor.remove_waiting(ConversationKey(key));
                    self.waiting.remove(&key);
                    if let Some(agent) = self.agents.get_mut(&name) {
                        agent.load.insert(ConversationKey(key), weight);
                    }
                }
            }
            Step::Passes { ms } => self.now_ms += ms,
        }
    }

    /// Matches until nothing is left, and checks every match against a scan of everything.
    fn pump(&mut self, floor: &mut Floor) -> Result<Vec<Match>, TestCaseError> {
        let mut all = Vec::new();
        loop {
            let eligible = self.eligible_pairs();
            let next = floor.next(self.now_ms, 7 + all.len() as u64);
            check_indexes(floor);
            let Some(next) = next else {
                prop_assert!(eligible.is_empty(), "left: {:?}", eligible);
                return Ok(all);
            };
            let name = floor.agent_id(next.agent).to_string();
            prop_assert!(eligible.contains(&(next.conversation.0, name.clone())), "{:?} not in {:?}", next, eligible);
            if !next.named {
                let naive = naive(floor, &next, &eligible);
                prop_assert_eq!(naive, (next.conversation, next.agent), "{:?}", next);
            }
            let decision = floor.explain(&next);
            let best = decision
                .as_ref()
                .map(|decision| (decision.candidates[0].agent.clone(), decision.candidates[0].conversation));
            prop_assert_eq!(best, Some((name.clone(), next.conversation)));
            self.decisions += 1;
            floor.reserve(&next, self.decisions);
            let weight = self.waiting[&next.conversation.0].weight;
            self.asked.insert(self.decisions, (next.conversation.0, name.clone(), weight));
            prop_assert!(self.free(&self.agents[&name]) >= 0, "{} is over capacity", name);
            all.push(next);
        }
    }
}

/// The best of all eligible pairs that the question is about.
fn naive(floor: &Floor, next: &Match, eligible: &[(u128, String)]) -> (ConversationKey, AgentIx) {
    let waiting_ix = |key: u128| floor.number(ConversationKey(key)).unwrap();
    match next.question {
        Question::WhichAgent => {
            let rivals = eligible.iter().filter(|(key, _)| *key == next.conversation.0);
            let best = rivals.map(|(key, name)| {
                let ix = floor.agent_names.known(name).unwrap();
                let pair = floor.pair(ix, waiting_ix(*key), next.now_ms, next.draw).unwrap();
                (floor.policy_of(floor.waiting[pair.place.waiting as usize].as_ref().unwrap().demand).agent(&pair), ix)
            });
            let order = |a: &(_, AgentIx), b: &(_, AgentIx)| {
                by_agent((&a.0, &floor.agents[a.1 as usize]), (&b.0, &floor.agents[b.1 as usize]))
            };
            (next.conversation, best.min_by(order).unwrap().1)
        }
        Question::WhichConversation => {
            let id = floor.agent_id(next.agent);
            let places: Vec<_> = eligible
                .iter()
                .filter(|(_, name)| **name == **id)
                .map(|(key, _)| floor.waiting[waiting_ix(*key) as usize].as_ref().unwrap().place(waiting_ix(*key)))
                .collect();
            let policy_of = |place: &Place| {
                floor.demands[floor.waiting[place.waiting as usize].as_ref().unwrap().demand as usize].policy
            };
            let leader = policy_of(places.iter().min().unwrap());
            // Inside of a line the order is fixed: a policy compares those who are first.
            let line_of = |place: &Place| floor.waiting[place.waiting as usize].as_ref().unwrap().demand;
            let is_first =
                |place: &Place| places.iter().all(|other| line_of(other) != line_of(place) || place <= other);
            let best =
                places.iter().copied().filter(is_first).filter(|place| policy_of(place) == leader).map(|place| {
                    let pair = floor.pair(next.agent, place.waiting, next.now_ms, next.draw).unwrap();
                    (leader.policy().conversation(&pair), place)
                });
            let best = best.min_by(|a, b| by_waiting((a.0.total(), a.1), (b.0.total(), b.1))).unwrap();
            (ConversationKey(best.1.key.into()), next.agent)
        }
    }
}

/// Counts and lists are what a count from nothing gives.
fn check_indexes(floor: &Floor) {
    for (ix, line) in floor.demands.iter().enumerate() {
        let fitting = floor.agents.iter().filter(|agent| line.demand.misfit(&agent.abilities).is_none());
        assert_eq!(fitting.clone().count(), line.agents.len());
        let open: Vec<_> = fitting.filter(|agent| agent.is_open()).collect();
        assert_eq!(open.len(), line.open as usize);
        assert_eq!(line.head, line.places.first().copied());
        assert_eq!(open.iter().map(|agent| agent.listed).sum::<u32>(), line.room);
        assert_eq!(open.iter().filter(|agent| agent.listed >= line.demand.weight).count(), line.free);
        for (at, (agent, number)) in line.agents.iter().enumerate() {
            let agent = &floor.agents[*agent as usize];
            let link = agent.links[*number as usize];
            assert_eq!((link.demand as usize, link.at as usize), (ix, at));
            let free = agent.is_open() && agent.listed >= line.demand.weight;
            assert_eq!(at < line.free, free);
        }
    }
    for agent in &floor.agents {
        assert!(agent.marked || agent.listed == agent.room());
        assert_eq!(agent.used, agent.load.iter().map(|load| load.weight).sum::<u32>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn indexes_choose_what_a_scan_of_everything_would(
        steps in collection::vec(step(), 1..80),
        policy in select(&PolicyName::ALL[..]),
    ) {
        let mut floor = Floor::new(settings(policy));
        let mut again = Floor::new(settings(policy));
        let (mut world, mut twin) = (World::default(), World::default());
        for step in &steps {
            world.happen(step, &mut floor);
            twin.happen(step, &mut again);
            let matched = world.pump(&mut floor)?;
            prop_assert_eq!(matched, twin.pump(&mut again)?, "the same inputs, other decisions");
        }
    }
}
