//! Timers in the order in which they are due.
//!
//! Fired timers leave deletions at the very place where the search for the next one begins. So each partition's
//! earliest due time is remembered, and the search begins there.

use super::{StoreError, View, folds::TIMERS, keys};
use kefu_events::{AggregateKind, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A deadline that has passed, or will.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueTimer {
    /// When it is due.
    pub due: Timestamp,
    /// Whose aggregate waits.
    pub tenant: String,
    /// Kind of the aggregate.
    pub kind: AggregateKind,
    /// Its key.
    pub key: String,
    /// Which of its deadlines.
    pub timer: String,
}

/// A timer that was set.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimerChange {
    pub(super) partition: u16,
    pub(super) due: Timestamp,
}

/// For each partition a time before which nothing is due.
#[derive(Debug)]
pub(super) struct TimerHeads(Vec<Mutex<Head>>);

#[derive(Debug, Clone, Copy)]
struct Head {
    not_before: i64,
    /// Counts changes, so that a search does not overwrite what was set while it searched.
    changes: u64,
}

impl TimerHeads {
    pub(super) fn new(partitions: u16) -> Self {
        let head = || Mutex::new(Head { not_before: i64::MIN, changes: 0 });
        Self((0..partitions).map(|_| head()).collect())
    }

    fn head(&self, partition: u16) -> Option<MutexGuard<'_, Head>> {
        // Two numbers are set under the lock and nothing can panic there.
        self.0.get(usize::from(partition)).map(|head| head.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nothing is known any more: the store was read back or dropped.
    pub(super) fn forget(&self) {
        for partition in 0..self.0.len() as u16 {
            if let Some(mut head) = self.head(partition) {
                *head = Head { not_before: i64::MIN, changes: head.changes + 1 };
            }
        }
    }

    /// Timers were set, and have been written.
    pub(super) fn changed(&self, changes: impl Iterator<Item = TimerChange>) {
        for change in changes {
            if let Some(mut head) = self.head(change.partition) {
                head.not_before = head.not_before.min(change.due.as_millis());
                head.changes += 1;
            }
        }
    }

    /// The first timers of a partition, due at `until` at the latest.
    pub(super) fn first(
        &self,
        view: &View,
        partition: u16,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        let mut timers = Vec::new();
        let Some(before) = self.head(partition).map(|head| *head) else { return Ok(timers) };
        if before.not_before > until.as_millis() || limit == 0 {
            return Ok(timers);
        }
        let prefix = partition.to_be_bytes();
        let start = [&prefix[..], &keys::time_bytes(Timestamp::from_millis(before.not_before))].concat();
        let mut first = None;
        view.scan(TIMERS, &prefix, &start, |key, _| {
            let Some(timer) = parse(key) else { return true };
            first = first.or(Some(timer.due));
            if timer.due > until {
                return false;
            }
            timers.push(timer);
            timers.len() < limit
        })?;
        if let Some(mut head) = self.head(partition)
            && head.changes == before.changes
        {
            head.not_before = first.map_or(i64::MAX, Timestamp::as_millis);
        }
        Ok(timers)
    }
}

fn parse(key: &[u8]) -> Option<DueTimer> {
    let due = keys::time_of(*key.get(2..)?.first_chunk()?);
    let (kind, tenant, key, timer) = keys::parse_path(key.get(10..)?)?;
    Some(DueTimer { due, tenant: tenant.to_owned(), kind, key: key.to_owned(), timer: timer.to_owned() })
}
