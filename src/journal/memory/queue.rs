//! A work queue of the twin: partitions, one consumer each, messages held until they are acked.

use crate::journal::{AckToken, Delivery, Queue};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// How many removed messages are remembered, so that a lost write can bring them back: more than a server's disk
/// could be behind in a simulation's steps, and little memory.
const REMEMBERED_REMOVED: usize = 256;

/// A message in a work queue.
#[derive(Debug, Clone)]
pub(super) struct Queued {
    pub partition: u16,
    pub tenant: String,
    pub source: String,
    pub key: String,
    pub id: String,
    pub payload: Bytes,
}

#[derive(Debug, Clone)]
struct Consumer {
    generation: u64,
    max_pending: usize,
    /// Everything below was delivered at least once.
    cursor: u64,
    /// Delivered and not acked.
    pending: BTreeSet<u64>,
    /// Delivered, not acked, and to be delivered again before anything new.
    again: VecDeque<u64>,
}

/// What a pull gives.
#[derive(Debug, Clone)]
pub enum Next {
    /// A message.
    Delivery(Delivery),
    /// No message now: the queue is empty, or as many are held as may be.
    Nothing,
    /// Somebody else took over, or the connection was lost: there will never be one again.
    Ended,
}

#[derive(Debug, Clone)]
pub(super) struct WorkQueue {
    queue: Queue,
    messages: BTreeMap<u64, Queued>,
    by_partition: BTreeMap<u16, BTreeSet<u64>>,
    /// Messages stored per tenant, source and key, for the bound per subject.
    by_subject: HashMap<(String, String, String), usize>,
    consumers: BTreeMap<u16, Consumer>,
    last: u64,
    removed: VecDeque<(u64, Queued)>,
}

impl WorkQueue {
    pub fn new(queue: Queue) -> Self {
        Self {
            queue,
            messages: BTreeMap::new(),
            by_partition: BTreeMap::new(),
            by_subject: HashMap::new(),
            consumers: BTreeMap::new(),
            last: 0,
            removed: VecDeque::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn messages(&self) -> impl Iterator<Item = (u64, &Queued)> {
        self.messages.iter().map(|(seq, message)| (*seq, message))
    }

    /// How many messages of this tenant, source and key are stored.
    pub fn depth(&self, tenant: &str, source: &str, key: &str) -> usize {
        let subject = (tenant.to_owned(), source.to_owned(), key.to_owned());
        self.by_subject.get(&subject).copied().unwrap_or(0)
    }

    /// How many messages of this partition are stored.
    pub fn depth_of(&self, partition: u16) -> u64 {
        self.by_partition.get(&partition).map_or(0, |seqs| seqs.len() as u64)
    }

    pub fn push(&mut self, message: Queued) -> u64 {
        self.last += 1;
        self.insert(self.last, message);
        self.last
    }

    fn insert(&mut self, seq: u64, message: Queued) {
        self.by_partition.entry(message.partition).or_default().insert(seq);
        *self.by_subject.entry(subject_of(&message)).or_default() += 1;
        self.messages.insert(seq, message);
    }

    fn remove(&mut self, seq: u64) -> Option<Queued> {
        let message = self.messages.remove(&seq)?;
        if let Some(seqs) = self.by_partition.get_mut(&message.partition) {
            seqs.remove(&seq);
        }
        let subject = subject_of(&message);
        if let Some(count) = self.by_subject.get_mut(&subject) {
            *count -= 1;
            if *count == 0 {
                self.by_subject.remove(&subject);
            }
        }
        Some(message)
    }

    pub fn take_over(&mut self, partition: u16, generation: u64, max_pending: usize) {
        let consumer =
            Consumer { generation, max_pending, cursor: 0, pending: BTreeSet::new(), again: VecDeque::new() };
        self.consumers.insert(partition, consumer);
    }

    /// Ends the pulls of every owner, as a lost connection does.
    pub fn disconnect(&mut self) {
        self.consumers.clear();
    }

    pub fn holds(&self, partition: u16, generation: u64) -> bool {
        self.consumers.get(&partition).is_some_and(|consumer| consumer.generation == generation)
    }

    pub fn next(&mut self, partition: u16, generation: u64) -> Next {
        let Some(consumer) = self.consumers.get_mut(&partition).filter(|c| c.generation == generation) else {
            return Next::Ended;
        };
        // A message to be delivered again is held already, so it does not count against `max_pending`.
        while let Some(seq) = consumer.again.pop_front() {
            if consumer.pending.contains(&seq)
                && let Some(message) = self.messages.get(&seq)
            {
                return Next::Delivery(delivery(self.queue, seq, message, generation));
            }
        }
        if consumer.pending.len() >= consumer.max_pending {
            return Next::Nothing;
        }
        let Some(seq) = self.by_partition.get(&partition).and_then(|seqs| seqs.range(consumer.cursor..).next()) else {
            return Next::Nothing;
        };
        consumer.cursor = seq + 1;
        consumer.pending.insert(*seq);
        Next::Delivery(delivery(self.queue, *seq, &self.messages[seq], generation))
    }

    /// Whether the acknowledgement counted.
    pub fn ack(&mut self, partition: u16, generation: u64, seq: u64) -> bool {
        let consumer = self.consumers.get_mut(&partition).filter(|c| c.generation == generation);
        if !consumer.is_some_and(|consumer| consumer.pending.remove(&seq)) {
            return false;
        }
        if let Some(message) = self.remove(seq) {
            self.removed.push_back((seq, message));
            if self.removed.len() > REMEMBERED_REMOVED {
                self.removed.pop_front();
            }
        }
        true
    }

    /// Delivers held messages of a partition once more, in order, before anything new.
    pub fn redeliver(&mut self, partition: u16, generation: u64) {
        if let Some(consumer) = self.consumers.get_mut(&partition).filter(|c| c.generation == generation) {
            consumer.again = consumer.pending.iter().copied().collect();
        }
    }

    /// Everything after `to` was never on the disk.
    pub fn rollback(&mut self, to: u64) {
        let lost: Vec<u64> = self.messages.range(to + 1..).map(|(seq, _)| *seq).collect();
        for seq in lost {
            self.remove(seq);
        }
        self.removed.retain(|(seq, _)| *seq <= to);
        self.last = self.last.min(to);
        self.disconnect();
    }

    /// The last `count` acknowledgements were never on the disk: their messages are back.
    pub fn restore(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((seq, message)) = self.removed.pop_back() {
                self.insert(seq, message);
            }
        }
        self.disconnect();
    }
}

fn subject_of(message: &Queued) -> (String, String, String) {
    (message.tenant.clone(), message.source.clone(), message.key.clone())
}

fn delivery(queue: Queue, seq: u64, message: &Queued, generation: u64) -> Delivery {
    Delivery {
        queue,
        stream_seq: seq,
        tenant: message.tenant.clone(),
        source: message.source.clone(),
        key: message.key.clone(),
        payload: message.payload.clone(),
        ack: token(queue, message.partition, generation, seq),
    }
}

fn token(queue: Queue, partition: u16, generation: u64, seq: u64) -> AckToken {
    let queue = match queue {
        Queue::Inbox => "inbox",
        Queue::Commands => "commands",
    };
    AckToken(format!("{queue}/{partition}/{generation}/{seq}"))
}

/// Queue, partition, generation and sequence of a token that this twin made.
pub(super) fn parse(token: &AckToken) -> Option<(Queue, u16, u64, u64)> {
    let mut parts = token.0.split('/');
    let queue = match parts.next()? {
        "inbox" => Queue::Inbox,
        "commands" => Queue::Commands,
        _ => return None,
    };
    let partition = parts.next()?.parse().ok()?;
    let generation = parts.next()?.parse().ok()?;
    let seq = parts.next()?.parse().ok()?;
    Some((queue, partition, generation, seq))
}
