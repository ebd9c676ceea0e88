//! What goes wrong between two steps.

use super::{operations::Phase, operations::Task, world::Shadow, world::World};
use kefu::{
    journal::{Queue, memory::MemoryStream},
    runtime::machine::Happened,
};

impl World {
    /// Perhaps something goes wrong now.
    pub fn mishaps(&mut self, node: usize, partition: u16, queue: Queue) {
        let profile = self.profile.clone();
        if self.rng.chance(profile.crash) && self.nodes[node].up {
            self.crash(node);
        }
        if !self.nodes[node].up && self.rng.chance(200) {
            self.nodes[node].up = true;
        }
        if let Some(until) = self.part(node, partition).and_then(|part| part.lingers_until)
            && until <= self.steps
        {
            self.drop_part(node, partition, "it notices at last");
        }
        if self.rng.chance(profile.usurp) && self.nodes[node].up && !self.nodes[node].parts.contains_key(&partition) {
            self.note(|| format!("node {node} believes that partition {partition} is its own"));
            self.take_over(node, partition, None);
        }
        if self.rng.chance(profile.redeliver)
            && let Some(part) = self.nodes[node].parts.get(&partition)
        {
            let taken = part.taken;
            self.bus.redeliver(taken, queue);
        }
        if self.rng.chance(profile.drain)
            && let Some(part) = self.part(node, partition)
            && !part.draining
        {
            part.draining = true;
            let incarnation = part.incarnation;
            self.feed(node, partition, incarnation, Happened::Drain);
        }
        if self.rng.chance(profile.land) && !self.shadows.is_empty() {
            let index = self.rng.index(self.shadows.len());
            self.land(index);
        }
        if self.rng.chance(profile.land) && !self.ghosts.is_empty() {
            let index = self.rng.index(self.ghosts.len());
            self.haunt(index);
        }
        if self.rng.chance(profile.time_jump) {
            self.now += self.rng.range(1_000, 200_000) as i64;
        }
        if self.rng.chance(profile.disconnect) {
            self.note(|| "the connection is lost".to_owned());
            self.bus.disconnect();
            self.disconnected(false);
        }
        if self.rng.chance(profile.restart) {
            self.note(|| "the server restarts".to_owned());
            self.bus.restart();
            self.disconnected(false);
        }
        if self.rng.chance(profile.truncate) {
            self.archive();
        }
        if self.rng.chance(profile.rollback) {
            self.lose_power();
        }
        if self.rng.chance(profile.recreate) {
            self.note(|| "the log is deleted and made again".to_owned());
            self.stats.power_losses += 1;
            self.bus.recreate_log();
            self.bus.restart();
            self.disconnected(true);
            self.ledger.power_lost(&self.kinds, 0);
        }
    }

    /// The front of the log goes to the archive: what every store has, and whose inputs are done.
    fn archive(&mut self) {
        let appends = |phase: &Phase| matches!(phase, Phase::Asked(Task::Append { .. }));
        let under_way = self.shadows.iter().any(|shadow| matches!(shadow, Shadow::Append))
            || self.ghosts.iter().any(|op| appends(&op.phase));
        let known = self.nodes.iter().map(|node| node.store.checkpoint).min().unwrap_or(0);
        let position = self.bus.position().unwrap();
        let most = known.min(position.last).min(self.ledger.first_unacked_commit() - 1);
        if under_way || most < position.first {
            return;
        }
        let to = if self.rng.chance(5000) { most } else { self.rng.range(position.first, most) };
        self.note(|| format!("archived up to {to}"));
        self.stats.archivings += 1;
        self.bus.truncate_front(to);
    }

    /// The machine loses power before the disk has the end of one stream.
    fn lose_power(&mut self) {
        self.stats.power_losses += 1;
        let first = self.bus.position().unwrap().first;
        let back = self.rng.range(1, 6);
        let to = |last: u64| last.saturating_sub(back);
        let log_to = match self.rng.below(10) {
            0..=5 => {
                let to = to(self.bus.last_seq(MemoryStream::Events)).max(first - 1);
                self.bus.rollback(MemoryStream::Events, to);
                self.note(|| format!("power is lost: the log ends at {to}"));
                to
            }
            which => {
                let streams = [
                    (MemoryStream::Inbox, Some(Queue::Inbox)),
                    (MemoryStream::Commands, Some(Queue::Commands)),
                    (MemoryStream::Outbox, None),
                    (MemoryStream::Rejected, None),
                ];
                let (stream, queue) = streams[which as usize - 6];
                let to = to(self.bus.last_seq(stream));
                self.bus.rollback(stream, to);
                self.note(|| format!("power is lost: {stream:?} ends at {to}"));
                match queue {
                    Some(queue) => self.ledger.queue_lost(queue, to),
                    // Whoever reads on after a place must notice that it is gone: others come there.
                    None => self.clients.forget_rejected_after(self.bus.last_seq(MemoryStream::Rejected)),
                }
                self.bus.last_seq(MemoryStream::Events)
            }
        };
        for queue in [Queue::Inbox, Queue::Commands] {
            if self.rng.chance(5000) {
                let count = self.rng.range(1, 4) as usize;
                self.bus.restore_acked(queue, count);
                self.ledger.unacked(queue);
            }
        }
        self.disconnected(true);
        self.ledger.power_lost(&self.kinds, log_to);
    }

    /// Time passes for one machine.
    pub fn tick(&mut self, node: usize, partition: u16) {
        if let Some(part) = self.part(node, partition) {
            let incarnation = part.incarnation;
            self.feed(node, partition, incarnation, Happened::Tick);
        }
    }
}
