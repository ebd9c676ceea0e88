//! Nodes: which partitions they drive, what they project, how they come and go.

use super::{
    operations::Phase,
    profile::Defect,
    store::{Store, hash},
    world::World,
};
use kefu::{
    journal::{
        Lease, Queue,
        memory::{AckFault, Next, Taken},
    },
    runtime::{
        Env,
        machine::{Happened, Machine},
    },
};
use kefu_events::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// One partition that a node drives.
pub struct Part {
    pub machine: Machine,
    pub taken: Taken,
    pub lease: Option<Lease>,
    /// Tells answers to this machine from those to one that drove the same partition before.
    pub incarnation: u64,
    pub ready: bool,
    /// The end of the log at take-over.
    target: u64,
    /// Whether the queues have delivered all that the former owner held.
    caught_up: [bool; 2],
    /// It was taken over by somebody else, and does not notice until this step.
    pub lingers_until: Option<u64>,
    pub draining: bool,
    told: u64,
    /// Timers that were sent: attempt and time.
    pub timers: HashMap<String, (u32, i64)>,
}

#[derive(Default)]
pub struct Node {
    pub up: bool,
    pub store: Store,
    /// Whether the store was compared with the log since the connection was made.
    pub attached: bool,
    pub parts: BTreeMap<u16, Part>,
}

impl World {
    pub fn part(&mut self, node: usize, partition: u16) -> Option<&mut Part> {
        self.nodes[node].parts.get_mut(&partition)
    }

    /// Tells a machine what happened and begins what it wants done.
    pub fn feed(&mut self, node: usize, partition: u16, incarnation: u64, happened: Happened) {
        self.note(|| format!("node {node} partition {partition}: {}", super::operations::short(&happened)));
        let Some(part) = self.nodes[node].parts.get_mut(&partition).filter(|part| part.incarnation == incarnation)
        else {
            return;
        };
        let ids = &self.ids;
        let new_id = || {
            ids.set(ids.get() + 1);
            format!("id{:06}", ids.get())
        };
        let env = Env { now: Timestamp::from_millis(self.now), tenants: &self.tenants, new_id: &new_id };
        let mut actions = Vec::new();
        part.machine.step(happened, &env, &mut actions);
        // Of each queue as many as may be unacked, and once more what was delivered again while its ack was under way.
        let (held, most) = (part.machine.held(), 4 * self.profile.max_pending);
        self.ledger.expect(held <= most, || format!("{held} inputs are held where {most} are allowed"));
        for action in actions {
            self.begin(node, partition, incarnation, action);
        }
    }

    /// The next message of a queue.
    pub fn deliver(&mut self, node: usize, partition: u16, queue: Queue) {
        let Some(part) = self.nodes[node].parts.get_mut(&partition) else { return };
        if part.draining || part.lingers_until.is_some() {
            return;
        }
        let (taken, incarnation) = (part.taken, part.incarnation);
        match self.bus.next(taken, queue) {
            Next::Delivery(delivery) => {
                if self.profile.defect == Defect::AckBeforeCommit {
                    self.ack(&delivery.ack, AckFault::None);
                }
                self.feed(node, partition, incarnation, Happened::Delivered(delivery));
            }
            Next::Nothing => {
                let part = self.part(node, partition);
                part.into_iter().for_each(|part| part.caught_up[queue as usize] = true);
            }
            Next::Ended => {
                let lingers = self.rng.chance(self.profile.linger) && !self.calm;
                let until = self.steps + self.rng.range(20, 800);
                match self.part(node, partition) {
                    Some(part) if lingers => part.lingers_until = Some(until),
                    _ => self.drop_part(node, partition, "its pulls ended"),
                }
            }
        }
    }

    /// Keeps leases, takes what is free.
    pub fn keep_house(&mut self, node: usize, partition: u16) {
        if !self.nodes[node].up {
            return;
        }
        let (now, name, holder) = (self.time(), format!("partition-{partition}"), format!("node-{node}"));
        let lease = self.part(node, partition).map(|part| part.lease.clone());
        match lease {
            Some(Some(lease)) => {
                let renewed = self.bus.renew(now, &lease).unwrap_or(None);
                let lost = renewed.is_none();
                let lingers = self.rng.chance(self.profile.linger) && !self.calm;
                self.part(node, partition).unwrap().lease = renewed;
                if lost && !lingers {
                    self.drop_part(node, partition, "its lease was lost");
                }
            }
            Some(None) => {
                let lease = self.bus.acquire(now, &name, &holder).unwrap_or(None);
                self.part(node, partition).unwrap().lease = lease;
            }
            None => {
                if let Ok(Some(lease)) = self.bus.acquire(now, &name, &holder) {
                    self.take_over(node, partition, Some(lease));
                }
            }
        }
    }

    pub fn take_over(&mut self, node: usize, partition: u16, lease: Option<Lease>) {
        self.drop_part(node, partition, "it is taken over anew");
        let epoch = lease.as_ref().map_or(0, |lease| lease.epoch);
        let Ok(taken) = self.bus.take_over(partition, epoch, self.profile.max_pending) else { return };
        self.incarnations += 1;
        self.stats.take_overs += 1;
        let part = Part {
            machine: Machine::new(self.kinds.clone(), self.profile.limits),
            taken,
            lease,
            incarnation: self.incarnations,
            ready: false,
            target: self.bus.position().unwrap().last,
            caught_up: [false; 2],
            lingers_until: None,
            draining: false,
            told: 0,
            timers: HashMap::new(),
        };
        self.note(|| format!("node {node} takes partition {partition} over"));
        self.nodes[node].parts.insert(partition, part);
    }

    /// The machine is gone. What it had asked for may still happen.
    pub fn drop_part(&mut self, node: usize, partition: u16, why: &str) {
        let Some(part) = self.nodes[node].parts.remove(&partition) else { return };
        self.note(|| format!("node {node} drops partition {partition}: {why}"));
        if let Some(lease) = &part.lease
            && self.nodes[node].up
        {
            let _ = self.bus.release(lease);
        }
        let counters = part.machine.counters();
        self.stats.add(&counters);
        let mut index = 0;
        while index < self.ops.len() {
            if self.ops[index].incarnation != part.incarnation {
                index += 1;
                continue;
            }
            let op = self.ops.swap_remove(index);
            if matches!(op.phase, Phase::Asked(_)) && self.rng.chance(self.profile.ghost) {
                self.ghosts.push(op);
            }
        }
    }

    /// Reads the log on, some commits.
    pub fn project(&mut self, node: usize, commits: usize) {
        if !self.nodes[node].up {
            return;
        }
        if !self.nodes[node].attached {
            self.attach(node);
        }
        for _ in 0..commits {
            let store = &mut self.nodes[node].store;
            // What the log holds no more is read from the archive.
            let Some(next) = self.ledger.history.get(store.checkpoint as usize) else { break };
            store.project(&self.kinds, next);
            if self.profile.defect == Defect::StoreForgetsInputs {
                store.causes.clear();
            }
        }
        self.tell(node, false);
    }

    /// Compares the store with the log: where they differ, the store is dropped.
    fn attach(&mut self, node: usize) {
        let position = self.bus.position().unwrap();
        let store = &mut self.nodes[node].store;
        let there = self.ledger.history.get((store.checkpoint as usize).wrapping_sub(1));
        let same = store.checkpoint == 0
            || store.identity == position.identity && there.is_some_and(|c| hash(&c.payload) == store.checkpoint_hash);
        if !same && self.profile.defect != Defect::KeepsStoreAfterRollback {
            *store = Store::default();
            self.note(|| format!("node {node} drops its store: the log went back"));
        }
        self.nodes[node].store.identity = position.identity;
        self.nodes[node].attached = true;
    }

    /// Tells machines how far the store is.
    pub fn tell(&mut self, node: usize, all: bool) {
        let checkpoint = self.nodes[node].store.checkpoint;
        let early = self.profile.defect == Defect::ReadyTooEarly;
        let partitions: Vec<u16> = self.nodes[node].parts.keys().copied().collect();
        for partition in partitions {
            if !all && self.rng.chance(3000) {
                continue;
            }
            let attached = self.nodes[node].attached;
            let Some(part) = self.part(node, partition) else { continue };
            let incarnation = part.incarnation;
            if part.told < checkpoint {
                part.told = checkpoint;
                self.feed(node, partition, incarnation, Happened::Projected(checkpoint));
            }
            let Some(part) = self.part(node, partition) else { continue };
            let caught_up = checkpoint >= part.target && part.caught_up == [true; 2];
            if !part.ready && !part.draining && attached && (caught_up || early) {
                part.ready = true;
                self.feed(node, partition, incarnation, Happened::Ready);
            }
        }
    }

    /// The process dies. The store has some prefix of what it had; the rest is lost.
    pub fn crash(&mut self, node: usize) {
        self.note(|| format!("node {node} crashes"));
        self.stats.crashes += 1;
        self.nodes[node].up = false;
        let partitions: Vec<u16> = self.nodes[node].parts.keys().copied().collect();
        for partition in partitions {
            self.drop_part(node, partition, "its node crashed");
        }
        // A store that is lost as a whole is restored from the backup that was made when the log was archived last.
        let least = self.bus.position().unwrap().first - 1;
        let had = self.nodes[node].store.checkpoint.min(self.ledger.history.len() as u64);
        let keeps = match self.rng.below(4) {
            0 => least,
            1 => had,
            _ => least.max(had.saturating_sub(self.rng.below(10))),
        };
        if !self.nodes[node].attached {
            return; // It has not been compared with the log yet: what it holds may be of another one.
        }
        let identity = self.nodes[node].store.identity.clone();
        let mut store = Store { identity, ..Store::default() };
        for commit in &self.ledger.history[..keeps.min(had) as usize] {
            store.project(&self.kinds, commit);
        }
        self.nodes[node].store = store;
        self.nodes[node].attached = false;
    }

    /// The connection ends for everybody. `forgetful`: nothing that is under way arrives later.
    pub fn disconnected(&mut self, forgetful: bool) {
        for node in 0..self.nodes.len() {
            let partitions: Vec<u16> = self.nodes[node].parts.keys().copied().collect();
            for partition in partitions {
                self.drop_part(node, partition, "the connection was lost");
            }
            self.nodes[node].attached = false;
        }
        if forgetful {
            self.ghosts.clear();
            self.shadows.clear();
            self.bus.lose_late();
        }
    }

    /// Deadlines that have passed become commands; one that stays unanswered is sent again under a new attempt number.
    pub fn fire_timers(&mut self, node: usize, partition: u16) {
        let twice = self.rng.chance(self.profile.timer_twice);
        let now = self.now;
        for (id, deadline) in self.nodes[node].store.due(now) {
            let of = kefu::journal::subjects::partition(&id.tenant, &id.key, self.profile.partitions);
            let Some(part) = self.nodes[node].parts.get_mut(&partition) else { return };
            if of != partition || !part.ready || part.draining {
                continue;
            }
            let name = format!("timer/{}/{}/{}/{}", id.kind, id.key, deadline.timer, deadline.due.as_millis());
            let sent = part.timers.entry(name.clone()).or_insert((0, i64::MIN));
            if sent.1.saturating_add(2000) > now && !twice {
                continue;
            }
            *sent = (sent.0 + 1, now);
            let attempt = sent.0;
            self.send_timer(&id, &deadline, format!("{name}/{attempt}"));
        }
    }
}
