//! The in-memory twin of the bus: for tests of everything above the journal, and for the seeded simulation.
//!
//! [`MemoryCore`] is the model, a plain synchronous value; [`MemoryJournal`] puts a lock, a clock and wake-ups around it
//! and implements [`Journal`](super::Journal). It models what kefu depends on and what was measured: stream-wide
//! deduplication within a window, take-over by delete and create, expected sequences, leases with expiry, stale reads,
//! publishes that land late, streams that lost their end. It may not know anything about NATS, and it is not fast.

mod core;
mod faults;
mod leases;
mod notes;
mod publish;
mod queue;
mod stored;

pub use self::{
    core::{MemoryCore, MemoryOptions, MemoryReply, MemoryResult, MemoryStream, Taken},
    faults::{AckFault, AppendFault, Fault, PublishFault},
    queue::Next,
};

use super::{
    AckToken, AppendError, Backlog, Deliveries, Journal, JournalError, Lease, LogPosition, Note, Outgoing, Queue,
    Recorded, RejectedRecord,
};
use bytes::Bytes;
use chrono::Utc;
use futures::{StreamExt, stream, stream::BoxStream};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// The twin as a [`Journal`]. Clones share one bus.
#[derive(Debug, Clone)]
pub struct MemoryJournal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes, so that waiting streams look again.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    core: MemoryCore,
    faults: VecDeque<Fault>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new(MemoryOptions::default())
    }
}

impl MemoryJournal {
    /// An empty bus.
    pub fn new(options: MemoryOptions) -> Self {
        Self::with_core(MemoryCore::new(options))
    }

    /// A bus that goes on where `core` stands.
    pub fn with_core(core: MemoryCore) -> Self {
        let state = Mutex::new(State { core, faults: VecDeque::new() });
        Self { shared: Arc::new(Shared { state, changes: watch::Sender::new(0) }) }
    }

    /// Adds a fault, which hits the next call of its kind.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Looks into the model, or changes it.
    pub fn core<T>(&self, act: impl FnOnce(&mut MemoryCore) -> T) -> T {
        let result = act(&mut self.state().core);
        self.shared.changes.send_modify(|changes| *changes += 1);
        result
    }

    /// Publishes a customer's message, as a channel adapter does.
    pub async fn publish_inbound(
        &self,
        tenant: &str,
        channel: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> Result<u64, JournalError> {
        let fault = self.publish_fault();
        self.core(|core| core.publish_inbound(Utc::now(), tenant, channel, key, id, payload, fault))
    }

    /// Refused input with a sequence from `from`, of one tenant or of all, `limit` at most.
    pub async fn rejected(
        &self,
        tenant: Option<&str>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RejectedRecord>, JournalError> {
        let state = self.state();
        let records = state.core.rejected(from).filter(|record| tenant.is_none_or(|tenant| record.tenant == tenant));
        Ok(records.take(limit).cloned().collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first fault that `pick` accepts out of the plan.
    fn fault<T>(&self, pick: impl Fn(Fault) -> Option<T>) -> Option<T> {
        let mut state = self.state();
        let index = state.faults.iter().position(|fault| pick(*fault).is_some())?;
        state.faults.remove(index).and_then(pick)
    }

    fn publish_fault(&self) -> PublishFault {
        self.fault(|fault| if let Fault::Publish(fault) = fault { Some(fault) } else { None }).unwrap_or_default()
    }

    /// Runs a call that an injected fault may make fail.
    fn call<T>(&self, act: impl FnOnce(&mut MemoryCore) -> Result<T, JournalError>) -> Result<T, JournalError> {
        if self.fault(|fault| (fault == Fault::Unavailable).then_some(())).is_some() {
            return Err(JournalError::Unavailable("injected".into()));
        }
        self.core(act)
    }
}

impl Journal for MemoryJournal {
    async fn position(&self) -> Result<LogPosition, JournalError> {
        self.call(|core| core.position())
    }

    async fn append(&self, subject: &str, expected: u64, payload: Bytes) -> Result<u64, AppendError> {
        let fault = self.fault(|fault| if let Fault::Append(fault) = fault { Some(fault) } else { None });
        self.core(|core| core.append(subject, expected, payload, fault.unwrap_or_default()))
    }

    async fn last(&self, subject: &str) -> Result<Option<Recorded>, JournalError> {
        self.call(|core| core.last(subject))
    }

    async fn read(&self, seq: u64) -> Result<Option<Recorded>, JournalError> {
        self.call(|core| core.read(seq))
    }

    async fn history(&self, subject: &str, after: u64) -> Result<Vec<Recorded>, JournalError> {
        let stale = self.fault(|fault| if let Fault::StaleHistory(stale) = fault { Some(stale) } else { None });
        self.call(|core| core.history(subject, after, stale.unwrap_or(0)))
    }

    async fn tail(
        &self,
        after: u64,
        filter: Option<String>,
    ) -> Result<BoxStream<'static, Result<Recorded, JournalError>>, JournalError> {
        let start = (self.clone(), self.shared.changes.subscribe(), after, filter);
        let commits = stream::unfold(start, |(journal, mut changes, after, filter)| async move {
            loop {
                changes.mark_unchanged();
                let next = journal.state().core.tail(after, filter.as_deref());
                // While the server is away the real stream heals itself: this one waits.
                if let Ok(Some(commit)) = next {
                    let after = commit.seq;
                    return Some((Ok(commit), (journal, changes, after, filter)));
                }
                changes.changed().await.ok()?;
            }
        });
        Ok(commits.boxed())
    }

    async fn take_over(&self, partition: u16, epoch: u64, max_pending: usize) -> Result<Deliveries, JournalError> {
        let (taken, backlog) = self.call(|core| {
            let (inbox, commands) = (core.depth(Queue::Inbox, partition), core.depth(Queue::Commands, partition));
            let taken = core.take_over(partition, epoch, max_pending)?;
            Ok((taken, Backlog::new(inbox, commands, max_pending)))
        })?;
        let start = (self.clone(), self.shared.changes.subscribe(), Queue::Inbox);
        let deliveries = stream::unfold(start, move |(journal, mut changes, first)| async move {
            let second = if first == Queue::Inbox { Queue::Commands } else { Queue::Inbox };
            loop {
                changes.mark_unchanged();
                for queue in [first, second] {
                    let next = journal.state().core.next(taken, queue);
                    match next {
                        // The other queue is asked first next time, so that neither starves.
                        Next::Delivery(delivery) => {
                            let other = if queue == first { second } else { first };
                            return Some((delivery, (journal, changes, other)));
                        }
                        Next::Nothing => {}
                        Next::Ended => return None,
                    }
                }
                changes.changed().await.ok()?;
            }
        });
        Ok(Deliveries::new(deliveries.boxed(), backlog))
    }

    async fn ack(&self, token: &AckToken) -> Result<(), JournalError> {
        let fault = self.fault(|fault| if let Fault::Ack(fault) = fault { Some(fault) } else { None });
        self.core(|core| core.ack(token, fault.unwrap_or_default()));
        Ok(())
    }

    async fn publish(&self, outgoing: Outgoing) -> Result<(), JournalError> {
        let fault = self.publish_fault();
        self.core(|core| core.publish(Utc::now(), outgoing, fault)).map(|_| ())
    }

    async fn acquire(&self, name: &str, holder: &str) -> Result<Option<Lease>, JournalError> {
        self.call(|core| core.acquire(Utc::now(), name, holder))
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, JournalError> {
        self.call(|core| core.renew(Utc::now(), lease))
    }

    async fn release(&self, lease: &Lease) -> Result<(), JournalError> {
        self.call(|core| core.release(lease))
    }

    async fn leases(&self) -> Result<BTreeMap<String, String>, JournalError> {
        self.call(|core| core.leases(Utc::now()))
    }

    fn lease_ttl(&self) -> Duration {
        self.state().core.options().lease_ttl.to_std().unwrap_or(Duration::ZERO)
    }

    async fn note(&self, name: &str) -> Result<Option<Note>, JournalError> {
        self.call(|core| core.note(name))
    }

    async fn put_note(&self, name: &str, expected: u64, value: Bytes) -> Result<Option<u64>, JournalError> {
        self.call(|core| core.put_note(name, expected, value))
    }

    async fn remove_note(&self, name: &str, expected: u64) -> Result<bool, JournalError> {
        self.call(|core| core.remove_note(name, expected))
    }

    async fn notes(&self, start: &str) -> Result<BTreeMap<String, Note>, JournalError> {
        self.call(|core| core.notes(start))
    }
}
