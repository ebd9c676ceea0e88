//! The events: customers come, get an agent, are done, or leave; agents begin and end their shifts.

use super::{
    arrivals::{Arrival, Customers},
    history::{self, History, Staffing},
    outcome::{Ended, Outcome, Tally},
    random::Stream,
    recorded::{self, Log},
    scenario::{AgentGroup, BadScenario, DemandSpec, Scenario, Speed},
};
use crate::scheduler::{
    floor::{AgentIx, Entry, Floor, Match},
    policy::PolicyName,
    settings::{Scheduling, Weights},
    views::{AgentView, ConversationKey, Performance, Status, WaitingView},
};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap},
};

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The centre.
    pub scenario: &'a Scenario,
    /// The policy of every queue.
    pub policy: PolicyName,
    /// The seed.
    pub seed: u64,
    /// How many customers come.
    pub arrivals: u64,
    /// The text of the file that the scenario [needs](Scenario::needs).
    pub data: Option<&'a str>,
    /// Other weights than the scenario's.
    pub weights: Option<Weights>,
}

/// Whom the centre employs, with the truth about each.
#[derive(Debug, Clone)]
pub(super) struct Staff {
    pub view: AgentView,
    pub shifts: Shifts,
}

/// When somebody is at work.
#[derive(Debug, Clone)]
pub(super) enum Shifts {
    Always,
    /// From and to in each day, in seconds.
    Daily(f64, f64),
    /// From and to, in seconds from the beginning.
    Listed(Vec<(f64, f64)>),
}

/// The centre: everything but its customers.
#[derive(Debug, Clone)]
pub(super) struct Centre {
    pub demands: Vec<DemandSpec>,
    pub staff: Vec<Staff>,
    pub scheduling: Scheduling,
}

const DAY_S: f64 = 86_400.0;

/// The seed from which agents' speeds are drawn: a centre does not change with the customers.
const STAFF_SEED: u64 = 0;

impl Centre {
    fn of(scenario: &Scenario) -> Self {
        let scheduling = scenario.scheduling.clone();
        let mut centre = Self { demands: scenario.demands.clone(), staff: Vec::new(), scheduling };
        centre.employ(&scenario.agents);
        centre
    }

    /// Hires groups of agents.
    pub fn employ(&mut self, groups: &[AgentGroup]) {
        let mut stream = Stream::new(STAFF_SEED, 0);
        let staff = &mut self.staff;
        for group in groups {
            for _ in 0..group.count {
                let mut speed = |speed: &Speed| match speed {
                    Speed::Same(speed) => *speed,
                    Speed::Between([low, high]) => low + (high - low) * stream.unit(),
                };
                let performance = |(skill, known): (&String, &Speed)| {
                    (skill.clone(), Performance { speed: speed(known), quality: 1.0 })
                };
                let view = AgentView {
                    id: format!("agent-{:05}", staff.len()),
                    status: Status::Available,
                    online: true,
                    skills: group.skills.clone(),
                    performance: group.speed.iter().map(performance).collect(),
                    languages: group.languages.iter().cloned().collect(),
                    queues: group.queues.iter().cloned().collect(),
                    slots: group.slots,
                    load: BTreeMap::new(),
                    idle_since_ms: Some(0),
                };
                let shifts =
                    group.shift_h.map_or(Shifts::Always, |[from, to]| Shifts::Daily(from * 3_600.0, to * 3_600.0));
                staff.push(Staff { view, shifts });
            }
        }
    }
}

/// Runs it; `progress` is told the part of the arrivals that has come, now and then.
pub fn run(run: &Run<'_>, progress: &mut dyn FnMut(f64)) -> Result<Outcome, BadScenario> {
    if run.scenario.recorded.is_some() {
        let log = Log::parse(run.data.unwrap_or_default(), run.seed)?;
        let happened = log.happened();
        let (mut centre, arrivals) = log.into_centre();
        centre.scheduling = run.scenario.scheduling.clone();
        let left = (arrivals.len() as u64).min(run.arrivals);
        let mut outcome = World::new(run, &centre, left).play(arrivals.into_iter().take(left as usize), progress);
        outcome.happened = Some(happened);
        outcome.counterfactual = recorded::COUNTERFACTUAL;
        return Ok(outcome);
    }
    let centre = Centre::of(run.scenario);
    let customers = Customers::new(run.scenario, run.seed, run.arrivals, run.data)?;
    let left = customers.left();
    Ok(World::new(run, &centre, left).play(customers, progress))
}

/// Runs a tenant's own past again, under another policy or with other staff; `wanted` says which policy, seed and weights.
pub fn replay(
    wanted: &Run<'_>,
    history: &History,
    staffing: &Staffing,
    progress: &mut dyn FnMut(f64),
) -> Result<Outcome, BadScenario> {
    if history.waits.is_empty() {
        return Err(BadScenario::Content("nobody waited for a person there".to_owned()));
    }
    let (centre, arrivals) = history.centre(staffing, wanted.seed);
    let left = (arrivals.len() as u64).min(wanted.arrivals);
    let world = World::new(wanted, &centre, left);
    let mut outcome = world.play(arrivals.into_iter().take(left as usize), progress);
    outcome.happened = Some(history.happened());
    outcome.counterfactual = history::COUNTERFACTUAL;
    Ok(outcome)
}

/// A moment in seconds, ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At(f64);

impl Eq for At {}

impl Ord for At {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What happens at a moment. Some have been overtaken by the time they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// One of an agent's conversations is done, unless the agent's stamp has changed.
    Done { agent: AgentIx, stamp: u32 },
    /// A customer leaves, unless served.
    Leaves { key: u128 },
    /// An agent's shift begins or ends.
    Shift { agent: AgentIx, begins: bool, number: u32 },
}

/// A conversation under way.
#[derive(Debug, Clone, Copy)]
struct Job {
    key: u128,
    remaining_s: f64,
    speed: f64,
    weight: u32,
}

/// An agent's work.
#[derive(Debug, Clone, Default)]
struct Desk {
    jobs: Vec<Job>,
    since_s: f64,
    stamp: u32,
    speeds: Vec<f64>,
    slots: u32,
    on_shift: bool,
}

/// A customer who waits.
#[derive(Debug, Clone, Copy)]
struct Guest {
    arrival: Arrival,
    number: u64,
    key: u128,
    waits: bool,
}

struct World<'a> {
    floor: Floor,
    centre: &'a Centre,
    entries: Vec<Entry>,
    desks: Vec<Desk>,
    concurrency: Vec<f64>,
    guests: Vec<Guest>,
    vacant: Vec<u32>,
    events: BinaryHeap<Reverse<(At, Event)>>,
    draws: Stream,
    decisions: u128,
    tally: Tally,
    now_s: f64,
    arrivals: u64,
}

fn ms(at_s: f64) -> i64 {
    (at_s * 1_000.0).round() as i64
}

impl<'a> World<'a> {
    fn new(run: &Run<'_>, centre: &'a Centre, arrivals: u64) -> Self {
        let mut scheduling = centre.scheduling.clone();
        scheduling.default.policy = run.policy;
        for rules in scheduling.queues.values_mut() {
            rules.policy = run.policy;
        }
        if let Some(weights) = run.weights {
            scheduling.weights = weights;
        }
        let concurrency = scheduling.concurrency.clone();
        let mut floor = Floor::new(scheduling);
        for staff in &centre.staff {
            floor.put_agent(&staff.view, 0);
        }
        let entry = |demand: &DemandSpec| {
            let required = demand.required.clone().unwrap_or_else(|| BTreeMap::from([(demand.name.clone(), 0)]));
            floor.entry(&WaitingView {
                conversation: ConversationKey(0),
                session: 1,
                queue: demand.queue.clone(),
                channel: String::new(),
                priority: demand.priority,
                required,
                wished: demand.wished.clone(),
                language: demand.language.clone(),
                preferred: None,
                wanted: demand.agent.clone(),
                weight: demand.weight,
                since_ms: 0,
                excluded: BTreeMap::new(),
            })
        };
        let entries = centre.demands.iter().map(entry).collect();
        let names: Vec<String> = centre.demands.iter().map(|demand| demand.name.clone()).collect();
        let speed = |staff: &Staff, demand: &DemandSpec| {
            let of = |skill: &String| staff.view.performance.get(skill).map_or(1.0, |known| known.speed);
            match &demand.required {
                Some(required) if !required.is_empty() => required.keys().map(of).sum::<f64>() / required.len() as f64,
                Some(_) => 1.0,
                None => of(&demand.name),
            }
        };
        let desk = |staff: &Staff| Desk {
            speeds: centre.demands.iter().map(|demand| speed(staff, demand)).collect(),
            slots: staff.view.slots,
            on_shift: true,
            ..Desk::default()
        };
        let desks = centre.staff.iter().map(desk).collect();
        let tally = Tally::new(run, &names, arrivals);
        let draws = Stream::new(run.seed, 5);
        let (guests, vacant, events) = (Vec::new(), Vec::new(), BinaryHeap::new());
        let mut world = Self {
            floor,
            centre,
            entries,
            desks,
            concurrency,
            guests,
            vacant,
            events,
            draws,
            tally,
            arrivals,
            decisions: 0,
            now_s: 0.0,
        };
        for agent in 0..world.desks.len() {
            world.first_shift(agent as AgentIx);
        }
        world
    }

    fn play(mut self, mut customers: impl Iterator<Item = Arrival>, progress: &mut dyn FnMut(f64)) -> Outcome {
        let mut number = 0;
        let mut next = customers.next();
        // Progress is told a hundred times.
        let step = (self.arrivals / 100).max(1);
        loop {
            let arrives_s = next.map_or(f64::INFINITY, |arrival| arrival.at_s);
            let happens_s = self.events.peek().map_or(f64::INFINITY, |event| event.0.0.0);
            let due_s = self.floor.next_due_ms().map_or(f64::INFINITY, |due| due as f64 / 1_000.0);
            if next.is_none() && self.floor.waiting_count() == 0 {
                break;
            }
            let at_s = arrives_s.min(happens_s).min(due_s);
            if at_s == f64::INFINITY {
                // Whoever waits now waits for ever: nobody is left to serve them.
                break;
            }
            self.pass(at_s);
            if due_s <= at_s {
                // Only time had to pass.
            } else if happens_s <= at_s {
                let Some(Reverse((_, event))) = self.events.pop() else { break };
                if !self.happen(event) {
                    continue;
                }
            } else if let Some(arrival) = next {
                if number % step == 0 {
                    progress(number as f64 / self.arrivals as f64);
                }
                self.tally.arrived(number);
                self.arrive(arrival, number);
                number += 1;
                next = customers.next();
            }
            self.pump();
        }
        self.tally.finish()
    }

    fn pass(&mut self, at_s: f64) {
        self.tally.pass(at_s - self.now_s);
        self.now_s = at_s;
    }

    /// Whether anything came of it.
    fn happen(&mut self, event: Event) -> bool {
        match event {
            Event::Done { agent, stamp } => {
                if self.desks[agent as usize].stamp != stamp {
                    return false;
                }
                self.work(agent);
                self.finish_one(agent);
            }
            Event::Leaves { key } => {
                let ix = key as u32 as usize;
                if !self.guests[ix].waits || self.guests[ix].key != key {
                    return false;
                }
                self.floor.remove_waiting(ConversationKey(key));
                self.end(ix, true);
            }
            Event::Shift { agent, begins, number } => self.shift(agent, begins, number),
        }
        true
    }

    fn arrive(&mut self, arrival: Arrival, number: u64) {
        let ix = self.vacant.pop().unwrap_or_else(|| {
            self.guests.push(Guest { arrival, number, key: 0, waits: false });
            (self.guests.len() - 1) as u32
        });
        // In the order of arrival, and with the place of the guest in it.
        let key = u128::from(number) << 32 | u128::from(ix);
        self.guests[ix as usize] = Guest { arrival, number, key, waits: true };
        let mut entry = self.entries[arrival.demand].clone();
        entry.conversation = ConversationKey(key);
        entry.since_ms = ms(arrival.at_s);
        self.floor.put(entry, ms(self.now_s));
        if arrival.patience_s.is_finite() {
            self.events.push(Reverse((At(arrival.at_s + arrival.patience_s), Event::Leaves { key })));
        }
    }

    fn pump(&mut self) {
        let now_ms = ms(self.now_s);
        loop {
            let draw = self.draws.bits();
            let Some(matched) = self.floor.next(now_ms, draw) else { return };
            self.decisions += 1;
            self.floor.reserve(&matched, self.decisions);
            self.floor.confirm(self.decisions);
            self.floor.remove_waiting(matched.conversation);
            self.begin(&matched);
        }
    }

    fn begin(&mut self, matched: &Match) {
        let key = matched.conversation.0;
        let ix = key as u32 as usize;
        let arrival = self.guests[ix].arrival;
        self.work(matched.agent);
        let weight = self.centre.demands[arrival.demand].weight;
        let desk = &mut self.desks[matched.agent as usize];
        let speed = desk.speeds[arrival.demand];
        desk.jobs.push(Job { key, remaining_s: arrival.work_s, speed, weight });
        self.tally.busy(i64::from(weight));
        self.schedule(matched.agent);
        self.end(ix, false);
    }

    /// A customer's wait is over.
    fn end(&mut self, ix: usize, left: bool) {
        let guest = &mut self.guests[ix];
        guest.waits = false;
        let wait_s = self.now_s - guest.arrival.at_s;
        self.tally.ended(&Ended { number: guest.number, demand: guest.arrival.demand, wait_s, left });
        self.vacant.push(ix as u32);
    }

    fn pace(&self, at_once: usize) -> f64 {
        self.concurrency.get(at_once.max(1) - 1).or(self.concurrency.last()).copied().unwrap_or(1.0)
    }

    /// Brings an agent's conversations up to now.
    fn work(&mut self, agent: AgentIx) {
        let pace = self.pace(self.desks[agent as usize].jobs.len());
        let desk = &mut self.desks[agent as usize];
        let done_s = (self.now_s - desk.since_s) * pace;
        for job in &mut desk.jobs {
            job.remaining_s -= done_s * job.speed;
        }
        desk.since_s = self.now_s;
    }

    /// Notes when the agent's next conversation is done.
    fn schedule(&mut self, agent: AgentIx) {
        let pace = self.pace(self.desks[agent as usize].jobs.len());
        let desk = &mut self.desks[agent as usize];
        desk.stamp = desk.stamp.wrapping_add(1);
        let first = desk.jobs.iter().map(|job| job.remaining_s.max(0.0) / (job.speed * pace)).min_by(f64::total_cmp);
        if let Some(in_s) = first {
            self.events.push(Reverse((At(self.now_s + in_s), Event::Done { agent, stamp: desk.stamp })));
        }
    }

    fn finish_one(&mut self, agent: AgentIx) {
        let desk = &mut self.desks[agent as usize];
        let ends = |job: &Job| job.remaining_s / job.speed;
        let first = (0..desk.jobs.len()).min_by(|a, b| ends(&desk.jobs[*a]).total_cmp(&ends(&desk.jobs[*b])));
        let Some(first) = first else { return };
        let job = desk.jobs.swap_remove(first);
        self.floor.release(agent, ConversationKey(job.key), ms(self.now_s));
        if desk.on_shift {
            self.tally.busy(-i64::from(job.weight));
        } else {
            // Worked after hours: neither the slot nor the work was counted.
            self.tally.overtime(-i64::from(job.weight));
        }
        self.schedule(agent);
    }

    fn first_shift(&mut self, agent: AgentIx) {
        let shifts = &self.centre.staff[agent as usize].shifts;
        let first = match shifts {
            Shifts::Always => {
                self.tally.staff(i64::from(self.desks[agent as usize].slots));
                return;
            }
            Shifts::Daily(from, _) => Some(*from),
            Shifts::Listed(list) => list.first().map(|shift| shift.0),
        };
        self.desks[agent as usize].on_shift = false;
        self.floor.set_status(agent, Status::Offline, false, 0);
        if let Some(from_s) = first {
            self.events.push(Reverse((At(from_s), Event::Shift { agent, begins: true, number: 0 })));
        }
    }

    fn shift(&mut self, agent: AgentIx, begins: bool, number: u32) {
        let status = if begins { Status::Available } else { Status::Offline };
        self.floor.set_status(agent, status, begins, ms(self.now_s));
        let desk = &mut self.desks[agent as usize];
        desk.on_shift = begins;
        let used: i64 = desk.jobs.iter().map(|job| i64::from(job.weight)).sum();
        let (slots, sign) = (i64::from(desk.slots), if begins { 1 } else { -1 });
        self.tally.staff(sign * slots);
        self.tally.busy(sign * used);
        let next = match &self.centre.staff[agent as usize].shifts {
            Shifts::Always => None,
            Shifts::Daily(from, to) => {
                let day = f64::from(number) * DAY_S;
                Some(if begins { day + to } else { day + DAY_S + from })
            }
            Shifts::Listed(list) if begins => list.get(number as usize).map(|shift| shift.1),
            Shifts::Listed(list) => list.get(number as usize + 1).map(|shift| shift.0),
        };
        if let Some(at_s) = next {
            let number = if begins { number } else { number + 1 };
            self.events.push(Reverse((At(at_s), Event::Shift { agent, begins: !begins, number })));
        }
    }
}
