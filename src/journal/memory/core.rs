//! The twin's synchronous core: what the streams hold, without a lock, a clock or a task.
//!
//! It models what was measured on the real server and what kefu depends on. Every fault is chosen by the caller, every
//! time is passed in, so that a seeded simulation repeats exactly.

use super::{
    faults::{AckFault, AppendFault},
    leases::Leases,
    notes::Notes,
    queue::{self, Next, WorkQueue},
    stored::{Kept, Log, Window},
};
use crate::journal::{
    AckToken, AppendError, JournalError, Lease, LogPosition, Outgoing, Queue, Recorded, RejectedRecord,
    subjects::{self, Subjects},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, VecDeque};

/// What a twin is made with. The defaults are those of the real streams.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// Names of subjects.
    pub subjects: Subjects,
    /// Number of partitions.
    pub partitions: u16,
    /// For how long a stream remembers message ids.
    pub duplicate_window: TimeDelta,
    /// How long a lease lives without renewal.
    pub lease_ttl: TimeDelta,
    /// Messages in the inbox beyond which a publish is refused.
    pub inbox_messages: usize,
    /// Messages of one thread in the inbox beyond which a publish is refused.
    pub inbox_messages_per_subject: usize,
    /// Bytes beyond which an inbound message is refused at the door.
    pub inbox_message_bytes: usize,
    /// Bytes beyond which nothing is accepted.
    pub max_payload: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        let inbox = crate::journal::InboxBounds::default();
        Self {
            subjects: Subjects::default(),
            partitions: 16,
            duplicate_window: TimeDelta::minutes(2),
            lease_ttl: TimeDelta::seconds(2),
            inbox_messages: inbox.messages as usize,
            inbox_messages_per_subject: inbox.messages_per_subject as usize,
            inbox_message_bytes: inbox.message_bytes as usize,
            max_payload: 1 << 20,
        }
    }
}

/// A stream of the twin, for [`MemoryCore::rollback`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryStream {
    /// `KEFU_INBOX`.
    Inbox,
    /// `KEFU_COMMANDS`.
    Commands,
    /// `KEFU_EVENTS`.
    Events,
    /// `KEFU_OUTBOX`.
    Outbox,
    /// `KEFU_REJECTED`.
    Rejected,
}

/// A partition that was taken over; pulls are made with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The partition.
    pub partition: u16,
    /// The epoch of its lease.
    pub epoch: u64,
    /// Counts take-overs, so that the same epoch taken over twice is two owners.
    generation: u64,
}

/// A stored reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryReply {
    /// Sequence in the outbox.
    pub seq: u64,
    /// Tenant.
    pub tenant: String,
    /// Channel.
    pub channel: String,
    /// Conversation key.
    pub key: String,
    /// Message id.
    pub id: String,
    /// The outbound message's JSON.
    pub payload: Bytes,
}

/// A result that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryResult {
    /// Tenant.
    pub tenant: String,
    /// Command id.
    pub id: String,
    /// The result's JSON.
    pub payload: Bytes,
}

#[derive(Debug, Clone)]
pub(super) enum Late {
    Append { subject: String, expected: u64, payload: Bytes },
    Publish(Outgoing),
    Inbound { tenant: String, channel: String, key: String, id: String, payload: Bytes },
}

/// The bus in memory, as a plain value. See the module for what it models.
#[derive(Debug, Clone)]
pub struct MemoryCore {
    pub(super) options: MemoryOptions,
    pub(super) inbox: WorkQueue,
    pub(super) commands: WorkQueue,
    events: Log,
    pub(super) outbox: Kept<(String, MemoryReply)>,
    pub(super) rejected: Kept<(String, RejectedRecord)>,
    pub(super) results: VecDeque<MemoryResult>,
    pub(super) windows: [Window; 4],
    pub(super) late: Vec<Late>,
    leases: Leases,
    pub(super) notes: Notes,
    generation: u64,
    /// Counts how often the log was deleted and made again.
    log_number: u64,
    available: bool,
}

impl MemoryCore {
    /// An empty bus.
    pub fn new(options: MemoryOptions) -> Self {
        Self {
            options,
            inbox: WorkQueue::new(Queue::Inbox),
            commands: WorkQueue::new(Queue::Commands),
            events: Log::default(),
            outbox: Kept::default(),
            rejected: Kept::default(),
            results: VecDeque::new(),
            windows: Default::default(),
            late: Vec::new(),
            leases: Leases::default(),
            notes: Notes::default(),
            generation: 0,
            log_number: 1,
            available: true,
        }
    }

    /// What it was made with.
    pub fn options(&self) -> &MemoryOptions {
        &self.options
    }

    /// Whether the server answers. While it does not, every call fails as a call to an absent server does.
    pub fn set_available(&mut self, available: bool) {
        self.available = available;
        if !available {
            self.disconnect();
        }
    }

    pub(super) fn reachable(&self) -> Result<(), JournalError> {
        self.available.then_some(()).ok_or_else(unavailable)
    }

    // ---- the log ----

    /// Where the log stands.
    pub fn position(&self) -> Result<LogPosition, JournalError> {
        self.reachable()?;
        let identity = format!("memory-{}", self.log_number);
        Ok(LogPosition { identity, first: self.events.first(), last: self.events.last() })
    }

    /// Appends a commit; see [`AppendFault`] for what may go wrong.
    pub fn append(
        &mut self,
        subject: &str,
        expected: u64,
        payload: Bytes,
        fault: AppendFault,
    ) -> Result<u64, AppendError> {
        if !self.available {
            return Err(AppendError::Unknown("the server is not reachable".into()));
        }
        match fault {
            AppendFault::None => self.append_now(subject, expected, payload),
            AppendFault::Lost => Err(AppendError::Unknown("injected: the append was lost".into())),
            AppendFault::AckLost => {
                let _ = self.append_now(subject, expected, payload);
                Err(AppendError::Unknown("injected: the acknowledgement was lost".into()))
            }
            AppendFault::Late => {
                self.late.push(Late::Append { subject: subject.to_owned(), expected, payload });
                Err(AppendError::Unknown("injected: the append is late".into()))
            }
        }
    }

    pub(super) fn append_now(&mut self, subject: &str, expected: u64, payload: Bytes) -> Result<u64, AppendError> {
        if self.options.subjects.parse_events(subject).is_none() {
            return Err(AppendError::Refused(format!("{subject} is no subject of the log")));
        }
        if payload.len() > self.options.max_payload {
            return Err(AppendError::Refused(too_large(payload.len(), self.options.max_payload)));
        }
        if self.events.last_of(subject) != expected {
            return Err(AppendError::Conflict);
        }
        Ok(self.events.push(subject, payload))
    }

    /// The last commit of a subject, from the leader.
    pub fn last(&self, subject: &str) -> Result<Option<Recorded>, JournalError> {
        self.reachable()?;
        Ok(self.events.get(self.events.last_of(subject)).cloned())
    }

    /// The commit at `seq`.
    pub fn read(&self, seq: u64) -> Result<Option<Recorded>, JournalError> {
        self.reachable()?;
        Ok(self.events.get(seq).cloned())
    }

    /// Commits of a subject above `after`, from a follower that lacks the log's newest `stale` commits (0: it lacks none).
    pub fn history(&self, subject: &str, after: u64, stale: u64) -> Result<Vec<Recorded>, JournalError> {
        self.reachable()?;
        let visible = self.events.last().saturating_sub(stale);
        Ok(self.events.of(subject, after).take_while(|commit| commit.seq <= visible).cloned().collect())
    }

    /// The first commit above `after` that matches `filter`.
    pub fn tail(&self, after: u64, filter: Option<&str>) -> Result<Option<Recorded>, JournalError> {
        self.reachable()?;
        Ok(self.events.next(after, filter).cloned())
    }

    /// Everything up to `to` is archived: it is gone from the log, and an aggregate without a commit left expects 0 again.
    pub fn truncate_front(&mut self, to: u64) {
        self.events.truncate_front(to);
    }

    /// The log is deleted and made again, empty, under another identity.
    pub fn recreate_log(&mut self) {
        self.events = Log::default();
        self.log_number += 1;
    }

    // ---- the work queues ----

    /// Takes both queues of a partition over: the former owner's pulls end.
    pub fn take_over(&mut self, partition: u16, epoch: u64, max_pending: usize) -> Result<Taken, JournalError> {
        self.reachable()?;
        self.generation += 1;
        self.inbox.take_over(partition, self.generation, max_pending);
        self.commands.take_over(partition, self.generation, max_pending);
        Ok(Taken { partition, epoch, generation: self.generation })
    }

    /// How many messages one queue of a partition holds.
    pub fn depth(&self, queue: Queue, partition: u16) -> u64 {
        match queue {
            Queue::Inbox => self.inbox.depth_of(partition),
            Queue::Commands => self.commands.depth_of(partition),
        }
    }

    /// The next message of one queue of an owned partition.
    pub fn next(&mut self, taken: Taken, queue: Queue) -> Next {
        self.queue(queue).next(taken.partition, taken.generation)
    }

    /// Whether nobody else has taken over since.
    pub fn holds(&self, taken: Taken) -> bool {
        self.inbox.holds(taken.partition, taken.generation)
    }

    /// Delivers everything that an owner holds in one queue once more, in order, before anything new.
    pub fn redeliver(&mut self, taken: Taken, queue: Queue) {
        self.queue(queue).redeliver(taken.partition, taken.generation);
    }

    /// Acknowledges a delivery. Whether it counted: one of a former owner does not.
    pub fn ack(&mut self, token: &AckToken, fault: AckFault) -> bool {
        let Some((queue, partition, generation, seq)) = queue::parse(token) else {
            return false;
        };
        self.available && fault == AckFault::None && self.queue(queue).ack(partition, generation, seq)
    }

    /// Messages that wait or are held in a queue.
    pub fn backlog(&self, queue: Queue) -> usize {
        match queue {
            Queue::Inbox => self.inbox.len(),
            Queue::Commands => self.commands.len(),
        }
    }

    fn queue(&mut self, queue: Queue) -> &mut WorkQueue {
        match queue {
            Queue::Inbox => &mut self.inbox,
            Queue::Commands => &mut self.commands,
        }
    }

    // ---- leases ----

    /// Takes a lease if nobody holds it.
    pub fn acquire(&mut self, now: DateTime<Utc>, name: &str, holder: &str) -> Result<Option<Lease>, JournalError> {
        self.reachable()?;
        if !subjects::is_lease_name(name) {
            return Err(JournalError::Refused(format!("{name:?} cannot name a lease")));
        }
        Ok(self.leases.acquire(now, self.options.lease_ttl, name, holder))
    }

    /// Keeps a lease; `None` if it was lost.
    pub fn renew(&mut self, now: DateTime<Utc>, lease: &Lease) -> Result<Option<Lease>, JournalError> {
        self.reachable()?;
        Ok(self.leases.renew(now, self.options.lease_ttl, lease))
    }

    /// Gives a lease up.
    pub fn release(&mut self, lease: &Lease) -> Result<(), JournalError> {
        self.reachable()?;
        self.leases.release(lease);
        Ok(())
    }

    /// All leases held now.
    pub fn leases(&self, now: DateTime<Utc>) -> Result<BTreeMap<String, String>, JournalError> {
        self.reachable()?;
        Ok(self.leases.list(now))
    }

    // ---- the machine ----

    /// The connection is lost for everybody: all pulls end; nothing stored changes.
    pub fn disconnect(&mut self) {
        self.inbox.disconnect();
        self.commands.disconnect();
    }

    /// The server was restarted: all pulls end, and ids of messages that are no longer stored are forgotten.
    pub fn restart(&mut self) {
        self.disconnect();
        for kind in [Kind::Inbox, Kind::Commands, Kind::Outbox, Kind::Rejected] {
            self.forget_unstored(kind);
        }
    }

    /// The machine lost power before the disk had everything after sequence `to` of one stream.
    /// The stream grows again from there, with the same sequences.
    pub fn rollback(&mut self, stream: MemoryStream, to: u64) {
        match stream {
            MemoryStream::Events => self.events.rollback(to),
            MemoryStream::Inbox => self.inbox.rollback(to),
            MemoryStream::Commands => self.commands.rollback(to),
            MemoryStream::Outbox => self.outbox.rollback(to),
            MemoryStream::Rejected => self.rejected.rollback(to),
        }
        self.restart();
    }

    /// The machine lost power before the disk had the last `count` acknowledgements: those messages are back.
    pub fn restore_acked(&mut self, queue: Queue, count: usize) {
        self.queue(queue).restore(count);
        self.restart();
    }

    /// Sequence of the last message ever stored in a stream.
    pub fn last_seq(&self, stream: MemoryStream) -> u64 {
        match stream {
            MemoryStream::Events => self.events.last(),
            MemoryStream::Inbox => self.inbox.last(),
            MemoryStream::Commands => self.commands.last(),
            MemoryStream::Outbox => self.outbox.last(),
            MemoryStream::Rejected => self.rejected.last(),
        }
    }

    fn forget_unstored(&mut self, kind: Kind) {
        let stored: BTreeMap<u64, &str> = match kind {
            Kind::Inbox => self.inbox.messages().map(|(seq, message)| (seq, &*message.id)).collect(),
            Kind::Commands => self.commands.messages().map(|(seq, message)| (seq, &*message.id)).collect(),
            Kind::Outbox => self.outbox.iter().map(|(id, reply)| (reply.seq, &**id)).collect(),
            Kind::Rejected => self.rejected.iter().map(|(id, record)| (record.seq, &**id)).collect(),
        };
        self.windows[kind as usize].keep(|id, seq| stored.get(&seq) == Some(&id));
    }
}

/// The streams that remember message ids; the log does not, because a known id can hide a conflict.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Inbox,
    Commands,
    Outbox,
    Rejected,
}

pub(super) fn unavailable() -> JournalError {
    JournalError::Unavailable("the server does not answer".into())
}

pub(super) fn too_large(bytes: usize, limit: usize) -> String {
    format!("{bytes} bytes are more than the {limit} that are accepted")
}

pub(super) fn check_tokens<const N: usize>(tokens: [(&'static str, &str); N]) -> Result<(), JournalError> {
    for (what, text) in tokens {
        subjects::token(what, text).map_err(|error| JournalError::Refused(error.to_string()))?;
    }
    Ok(())
}
