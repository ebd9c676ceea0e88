//! The whole world of one seed, and the loop that moves it.

use super::{
    clients::Clients,
    ledger::{Label, Ledger},
    node::Node,
    operations::Op,
    profile::{Defect, Profile},
    rng::Rng,
    scenario::{Message, Scenario, TENANT},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use kefu::{
    aggregate::kind::Kinds,
    journal::{
        AckToken, AppendError, JournalError, Outgoing, Queue,
        memory::{AckFault, AppendFault, MemoryCore, MemoryOptions, MemoryStream, PublishFault},
        subjects::Subjects,
    },
    runtime::{
        Tenants,
        machine::{AggregateId, Counters},
    },
};
use std::{cell::Cell, collections::VecDeque, fmt, ops::AddAssign};

/// Steps with faults, at most: some times what the largest plan needs, so that a hostile world is calmed at last.
const STEPS: u64 = 20_000;
/// Sweeps over everything, once calm, in which all must come to rest. Each moves every operation by one step.
const SWEEPS: usize = 3_000;
/// Lines of the trace that a failure shows.
const TRACE: usize = 60;

/// Something that late publishes are, so that it is known what landed.
pub enum Shadow {
    Append,
    Effect(Outgoing, bool),
    Message(Message),
}

/// What was seen, over many seeds: that the faults did happen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats {
    pub seeds: u64,
    pub steps: u64,
    pub commits: u64,
    pub refusals: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    pub unknown: u64,
    pub rejected: u64,
    pub quarantined: u64,
    pub crashes: u64,
    pub take_overs: u64,
    pub stops: u64,
    pub power_losses: u64,
    pub archivings: u64,
}

impl Stats {
    pub fn add(&mut self, counters: &Counters) {
        self.refusals += counters.refusals;
        self.duplicates += counters.duplicates;
        self.conflicts += counters.conflicts;
        self.unknown += counters.unknown_outcomes;
        self.rejected += counters.rejected;
        self.quarantined += counters.quarantined;
    }
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.commits += other.commits;
        self.refusals += other.refusals;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.unknown += other.unknown;
        self.rejected += other.rejected;
        self.quarantined += other.quarantined;
        self.crashes += other.crashes;
        self.take_overs += other.take_overs;
        self.stops += other.stops;
        self.power_losses += other.power_losses;
        self.archivings += other.archivings;
    }
}

/// A seed in whose world something did not hold.
pub struct Failure {
    pub seed: u64,
    pub broken: Vec<String>,
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the last {} steps of seed {}:", self.trace.len(), self.seed)?;
        for line in &self.trace {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "what did not hold:")?;
        for broken in self.broken.iter().take(10) {
            writeln!(f, "  {broken}")?;
        }
        writeln!(f, "repeat with: KEFU_SIM_SEED={} scripts/test simulation", self.seed)
    }
}

pub struct World {
    pub rng: Rng,
    pub profile: Profile,
    pub bus: MemoryCore,
    subjects: Subjects,
    pub now: i64,
    pub tenants: Tenants,
    pub kinds: Kinds,
    pub nodes: Vec<Node>,
    pub ops: Vec<Op>,
    /// What machines had asked for that are gone since.
    pub ghosts: Vec<Op>,
    /// What the bus holds as late, in its order.
    pub shadows: Vec<Shadow>,
    pub ledger: Ledger,
    pub clients: Clients,
    pub steps: u64,
    pub calm: bool,
    pub ids: Cell<u64>,
    pub incarnations: u64,
    pub stats: Stats,
    trace: Option<VecDeque<String>>,
    tenants_when: fn(bool) -> Tenants,
    conserved: fn(&Ledger) -> Vec<String>,
}

/// What makes a seed's scenario.
pub type Scenarios = fn(&mut Rng, &Profile) -> Scenario;

/// Runs one seed. A failing one is run again, to show what happened.
pub fn run(seed: u64, defect: Defect, scenario: Scenarios) -> Result<Stats, Box<Failure>> {
    let mut world = World::new(seed, defect, scenario, false);
    world.run();
    if world.ledger.broken.is_empty() {
        return Ok(world.stats);
    }
    let mut world = World::new(seed, defect, scenario, true);
    world.run();
    let trace = world.trace.unwrap_or_default().into();
    Err(Box::new(Failure { seed, broken: world.ledger.broken, trace }))
}

impl World {
    fn new(seed: u64, defect: Defect, scenario: Scenarios, traced: bool) -> Self {
        let mut rng = Rng::new(seed);
        let profile = Profile::of(&mut rng, defect);
        let scenario = scenario(&mut rng, &profile);
        let options = MemoryOptions {
            partitions: profile.partitions,
            duplicate_window: TimeDelta::seconds(120),
            lease_ttl: TimeDelta::seconds(2),
            inbox_messages: 60,
            inbox_messages_per_subject: 20,
            inbox_message_bytes: profile.max_payload / 2,
            max_payload: profile.max_payload,
            ..MemoryOptions::default()
        };
        let bus = MemoryCore::new(options);
        let nodes = (0..profile.nodes).map(|_| Node { up: true, ..Node::default() }).collect();
        Self {
            rng,
            profile,
            bus,
            subjects: Subjects::default(),
            now: 1_700_000_000_000,
            tenants: (scenario.tenants)(false),
            kinds: scenario.kinds,
            nodes,
            ops: Vec::new(),
            ghosts: Vec::new(),
            shadows: Vec::new(),
            ledger: Ledger::default(),
            clients: Clients::new(scenario.threads, scenario.requests),
            steps: 0,
            calm: false,
            ids: Cell::new(0),
            incarnations: 0,
            stats: Stats { seeds: 1, ..Stats::default() },
            trace: traced.then(VecDeque::new),
            tenants_when: scenario.tenants,
            conserved: scenario.conserved,
        }
    }

    /// Writes a line into the trace, if there is one.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == TRACE {
                trace.pop_front();
            }
            trace.push_back(format!("{:>6} {:>8} ms: {:.220}", self.steps, self.now - 1_700_000_000_000, line()));
        }
    }

    pub fn time(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.now).unwrap()
    }

    pub fn subject(&self, id: &AggregateId) -> String {
        self.subjects.events(&id.tenant, id.kind.as_str(), &id.key)
    }

    fn run(&mut self) {
        while self.steps < STEPS && !self.clients.published_all() && self.ledger.broken.is_empty() {
            self.step();
        }
        // Some more with nothing new, so that faults hit what is left, too.
        let more = self.steps + self.rng.below(400);
        while self.steps < more && self.ledger.broken.is_empty() {
            self.step();
        }
        self.settle();
        self.stats.steps = self.steps;
        self.stats.commits = self.ledger.commits() as u64;
    }

    fn step(&mut self) {
        self.steps += 1;
        self.now += self.rng.below(self.profile.ms_per_step * 2) as i64;
        let node = self.rng.index(self.nodes.len());
        let partition = self.rng.below(u64::from(self.profile.partitions)) as u16;
        let queue = *self.rng.pick(&[Queue::Inbox, Queue::Commands]);
        match self.rng.below(100) {
            0..=39 if !self.ops.is_empty() => {
                let index = self.rng.index(self.ops.len());
                self.advance(index);
            }
            0..=59 => self.deliver(node, partition, queue),
            60..=72 => {
                let commits = self.rng.range(0, 6) as usize;
                self.project(node, commits);
            }
            73..=84 => self.act(),
            85..=92 => self.keep_house(node, partition),
            93..=94 => self.fire_timers(node, partition),
            95..=96 => self.tick(node, partition),
            _ => self.look_closer(node),
        }
        self.mishaps(node, partition, queue);
    }

    /// No more faults: everything must come to rest.
    fn settle(&mut self) {
        self.profile.calm();
        self.calm = true;
        self.note(|| "calm from here on".to_owned());
        self.mend();
        let mut rest = 0;
        for _ in 0..SWEEPS {
            if !self.ledger.broken.is_empty() {
                return;
            }
            self.sweep();
            rest = if self.at_rest() { rest + 1 } else { 0 };
            // More than once, because a sweep can pass between an expiry and what follows from it.
            if rest > 3 {
                self.finish();
                return;
            }
        }
        let waits = self.what_waits();
        self.ledger.broken.push(format!("stuck: {waits}"));
    }

    /// What made inputs poison is mended.
    pub fn mend(&mut self) {
        self.tenants = (self.tenants_when)(true);
    }

    fn sweep(&mut self) {
        self.steps += 1;
        self.now += 300;
        if self.ops.is_empty() && self.bus.backlog(Queue::Inbox) + self.bus.backlog(Queue::Commands) == 0 {
            // Nothing to do until the next deadline.
            let deadlines = self.ledger.fold.cells.values().flat_map(|cell| cell.deadlines());
            let next = deadlines.map(|deadline| deadline.due.as_millis()).min();
            self.now = self.now.max(next.unwrap_or(0));
        }
        for node in 0..self.nodes.len() {
            self.nodes[node].up = true;
            self.project(node, usize::MAX);
            self.tell(node, true);
            for partition in 0..self.profile.partitions {
                self.keep_house(node, partition);
                for queue in [Queue::Inbox, Queue::Commands] {
                    for _ in 0..self.profile.max_pending {
                        self.deliver(node, partition, queue);
                    }
                }
                self.fire_timers(node, partition);
                self.tick(node, partition);
                // The server lost patience with what was delivered and never acked.
                let taken = self.part(node, partition).map(|part| part.taken).filter(|_| self.steps.is_multiple_of(8));
                if let Some(taken) = taken {
                    self.bus.redeliver(taken, Queue::Inbox);
                    self.bus.redeliver(taken, Queue::Commands);
                }
                let overdue = self.part(node, partition).is_some_and(|part| part.lingers_until.is_some());
                if overdue {
                    self.drop_part(node, partition, "it notices at last");
                }
            }
            self.look_closer(node);
        }
        for _ in 0..3 * self.ops.len() {
            if !self.ops.is_empty() {
                let index = self.rng.index(self.ops.len());
                self.advance(index);
            }
        }
        while !self.ghosts.is_empty() {
            self.haunt(0);
        }
        while !self.shadows.is_empty() {
            self.land(0);
        }
        self.act_all();
    }

    fn at_rest(&self) -> bool {
        let idle = |node: &Node| node.parts.values().all(|part| part.machine.held() == 0 && part.machine.active() == 0);
        let waits = self.bus.backlog(Queue::Inbox) + self.bus.backlog(Queue::Commands) + self.ops.len();
        let timers = self.ledger.fold.cells.values().any(|cell| !cell.deadlines().is_empty());
        waits == 0 && self.clients.done() && !timers && self.nodes.iter().all(idle)
    }

    fn what_waits(&self) -> String {
        let held: usize = self.nodes.iter().flat_map(|node| node.parts.values()).map(|part| part.machine.held()).sum();
        let active: usize =
            self.nodes.iter().flat_map(|node| node.parts.values()).map(|part| part.machine.active()).sum();
        format!(
            "{} in the inbox, {} commands, {} operations, {held} held, {active} active, clients: {}",
            self.bus.backlog(Queue::Inbox),
            self.bus.backlog(Queue::Commands),
            self.ops.len(),
            self.clients.what_waits(),
        )
    }

    fn finish(&mut self) {
        self.ledger.at_rest();
        self.ledger.compare_streams(&self.bus);
        if !self.ledger.lost_power {
            self.ledger.broken.extend((self.conserved)(&self.ledger));
        }
        for node in 0..self.nodes.len() {
            let store = std::mem::take(&mut self.nodes[node].store);
            let last = self.ledger.history.len() as u64;
            self.ledger.expect(store.checkpoint == last, || format!("node {node} has not projected everything"));
            for (id, cell) in &store.cells {
                self.ledger.check_cell(&format!("the store of node {node}"), id, &**cell);
            }
            for part in std::mem::take(&mut self.nodes[node].parts).into_values() {
                self.stats.add(&part.machine.counters());
            }
        }
    }

    /// Compares what machines have in memory with the log.
    fn look_closer(&mut self, node: usize) {
        for (partition, part) in &self.nodes[node].parts {
            let who = format!("partition {partition} on node {node}");
            for (id, cell) in part.machine.cells() {
                self.ledger.check_cell(&who, id, cell);
            }
        }
    }

    // ---- the bus, watched ----

    pub fn append(
        &mut self,
        id: &AggregateId,
        expected: u64,
        payload: Bytes,
        fault: AppendFault,
    ) -> Result<u64, AppendError> {
        self.note(|| format!("append to {id} at {expected}, {fault:?}: {}", String::from_utf8_lossy(&payload)));
        let outcome = self.bus.append(&self.subject(id), expected, payload, fault);
        if fault == AppendFault::Late {
            self.shadows.push(Shadow::Append);
        }
        self.watch_log();
        outcome
    }

    fn watch_log(&mut self) {
        while let Some(recorded) = self.bus.tail(self.ledger.history.len() as u64, None).unwrap() {
            self.note(|| format!("the log has commit {}", recorded.seq));
            self.ledger.appended(&self.kinds, recorded);
        }
    }

    /// `by_machine`: as an effect, which must follow from a commit.
    pub fn publish(&mut self, outgoing: Outgoing, fault: PublishFault, by_machine: bool) -> Result<u64, JournalError> {
        self.note(|| format!("publish, {fault:?}: {outgoing:?}"));
        let before = self.bus.last_seq(MemoryStream::Commands);
        let outcome = self.bus.publish(self.time(), outgoing.clone(), fault);
        match fault {
            PublishFault::Late => self.shadows.push(Shadow::Effect(outgoing, by_machine)),
            PublishFault::None | PublishFault::AckLost => self.published(&outgoing, by_machine, before),
            PublishFault::Lost => {}
        }
        if let Err(JournalError::Refused(why)) = &outcome {
            self.ledger.broken.push(format!("the bus refuses an effect: {why}"));
        }
        outcome
    }

    fn published(&mut self, outgoing: &Outgoing, by_machine: bool, before: u64) {
        if by_machine {
            self.ledger.published(outgoing);
        }
        let seq = self.bus.last_seq(MemoryStream::Commands);
        if let Outgoing::Command { payload, .. } = outgoing
            && seq > before
        {
            // What asks a kind of aggregate that nobody drives is as good as malformed.
            let header = serde_json::from_slice::<kefu_events::CommandHeader>(payload).ok();
            let header = header.filter(|header| self.kinds.get(header.aggregate).is_some());
            let id = header.map(|header| header.id);
            self.ledger.stored(Queue::Commands, seq, id, payload);
        }
        for result in self.bus.take_results() {
            let unheard = self.rng.chance(self.profile.result_unheard);
            self.clients.heard(&result, unheard);
        }
    }

    /// Publishes a customer's message as an adapter does.
    pub fn send(&mut self, message: &Message, msg_id: &str, fault: PublishFault) -> Result<u64, JournalError> {
        self.note(|| format!("send {} {}, {fault:?}", message.key, msg_id));
        let before = self.bus.last_seq(MemoryStream::Inbox);
        let (time, payload) = (self.time(), message.payload.clone());
        let outcome = self.bus.publish_inbound(time, TENANT, &message.channel, &message.key, msg_id, payload, fault);
        if fault == PublishFault::Late {
            self.shadows.push(Shadow::Message(message.clone()));
        }
        self.sent(message, before);
        outcome
    }

    fn sent(&mut self, message: &Message, before: u64) {
        let seq = self.bus.last_seq(MemoryStream::Inbox);
        if seq > before {
            let cause = message.cause();
            debug_assert!(cause.is_some() || message.label == Label::Malformed);
            self.ledger.stored(Queue::Inbox, seq, cause, &message.payload);
        }
    }

    /// Something late arrives.
    pub fn land(&mut self, index: usize) {
        let shadow = self.shadows.remove(index);
        self.note(|| "something late arrives".to_owned());
        let inbox = self.bus.last_seq(MemoryStream::Inbox);
        let commands = self.bus.last_seq(MemoryStream::Commands);
        self.bus.land(self.time(), index);
        match shadow {
            Shadow::Append => self.watch_log(),
            Shadow::Effect(outgoing, by_machine) => self.published(&outgoing, by_machine, commands),
            Shadow::Message(message) => self.sent(&message, inbox),
        }
    }

    pub fn ack(&mut self, token: &AckToken, fault: AckFault) {
        // The twin's tokens say what they acknowledge, but only to it: so both queues are compared.
        let before = self.waiting(token);
        let counted = self.bus.ack(token, fault);
        if counted && let Some((queue, seq)) = before {
            self.note(|| format!("acked {queue:?} {seq}"));
            self.ledger.acked(queue, seq);
        }
    }

    fn waiting(&self, token: &AckToken) -> Option<(Queue, u64)> {
        let text = format!("{token:?}");
        let text = text.split('"').nth(1)?;
        let queue = if text.starts_with("inbox") { Queue::Inbox } else { Queue::Commands };
        Some((queue, text.rsplit('/').next()?.parse().ok()?))
    }
}
