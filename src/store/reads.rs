//! What everybody else may ask of the store. Every method can be called from any thread, and takes some microseconds when
//! what is asked for is in memory.

use super::{
    DecodedCommit, DueTimer, Settings, StoreError, View,
    aggregates::Oddities,
    feeds::{Feeds, ListFeed},
    folds::{CAUSES, Folds, SNAPSHOTS, TIMERS},
    keys,
    relay::{CommitFeed, Relay},
    settings::Shown,
    timers::TimerHeads,
    writer::ProjectionStatus,
};
use crate::{aggregate::Cause, runtime::Tenants};
use kefu_events::{AggregateKind, Timestamp};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering},
};
use tokio::sync::watch;

/// The store, for reading. Cheap to clone. [`StoreWriter`](super::StoreWriter) is its other half.
#[derive(Clone)]
pub struct Store(pub(super) Arc<Shared>);

pub(super) struct Shared {
    /// What the projection `aggregates` has written.
    pub(super) aggregates: View,
    pub(super) folds: Folds,
    pub(super) timers: Arc<TimerHeads>,
    pub(super) settings: Shown,
    pub(super) oddities: Arc<Oddities>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) relay: Relay<DecodedCommit>,
    pub(super) projected: watch::Sender<u64>,
    pub(super) served: RwLock<BTreeMap<&'static str, View>>,
    pub(super) statuses: RwLock<Vec<ProjectionStatus>>,
}

/// Figures about the store, for metrics and for the query `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreFigures {
    /// Bytes of memory for blocks, indexes, filters and memtables.
    pub memory_bytes: u64,
    /// Bytes of files.
    pub disk_bytes: u64,
    /// Aggregates, by RocksDB's estimate.
    pub aggregates: u64,
    /// Bytes that compaction has still to rewrite, by RocksDB's estimate.
    pub compaction_pending_bytes: u64,
    /// Compactions under way.
    pub compactions: u64,
    /// Whether RocksDB takes no writes.
    pub writes_stopped: bool,
    /// Commits of kinds that this node does not know, since the start.
    pub commits_of_unknown_kinds: u64,
    /// Messages in the log that are no commits, since the start.
    pub foreign_messages: u64,
    /// Commits whose predecessor is missing, since the start.
    pub gaps: u64,
}

impl Store {
    /// Commits as they are folded from now on, and the last one before them.
    pub fn watch_commits(&self) -> (CommitFeed, u64) {
        self.0.relay.subscribe()
    }

    /// The last commit that [`watch_commits`](Self::watch_commits) would have brought.
    pub fn last_folded(&self) -> u64 {
        self.0.relay.last()
    }

    /// An aggregate's snapshot, for [`Kind::restore`](crate::aggregate::kind::Kind::restore); `None` if it has no commit
    /// up to [`projected`](Self::projected).
    ///
    /// # Errors
    /// The store could not be read.
    pub fn snapshot(&self, tenant: &str, kind: AggregateKind, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.aggregates.get(SNAPSHOTS, &keys::path(tenant, kind, key))
    }

    /// The commit that an input led to, if there is one up to [`projected`](Self::projected).
    ///
    /// # Errors
    /// The store could not be read.
    pub fn seq_of_cause(
        &self,
        tenant: &str,
        kind: AggregateKind,
        key: &str,
        cause: Cause,
    ) -> Result<Option<u64>, StoreError> {
        let digest = keys::path_digest(&keys::path(tenant, kind, key));
        let found = self.0.aggregates.get(CAUSES, &[digest, cause.to_bytes()].concat())?;
        Ok(found.and_then(|seq| Some(u64::from_be_bytes(*seq.first_chunk()?))))
    }

    /// Timers of a partition that are due at `now`, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn due_timers(&self, partition: u16, now: Timestamp, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        self.0.timers.first(&self.0.aggregates, partition, now, limit)
    }

    /// When the next timer of a partition is due.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn next_due(&self, partition: u16) -> Result<Option<Timestamp>, StoreError> {
        let first = self.0.timers.first(&self.0.aggregates, partition, Timestamp::from_millis(i64::MAX), 1)?;
        Ok(first.first().map(|timer| timer.due))
    }

    /// Whether a timer is still set for this very moment. It is in this partition.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn has_timer(&self, partition: u16, timer: &DueTimer) -> Result<bool, StoreError> {
        let mut key = Vec::new();
        let path = keys::path(&timer.tenant, timer.kind, &timer.key);
        keys::timer_into(&mut key, partition, timer.due, &path, &timer.timer);
        self.0.aggregates.has(TIMERS, &key)
    }

    /// The entries of a [`List`](super::List) in the order of their keys, from `start` on as long as they begin with
    /// `prefix`, until `visit` says `false`. All as of one moment.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn list(
        &self,
        list: &str,
        prefix: &[u8],
        start: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let Some(family) = self.0.folds.family_of(list) else { return Ok(()) };
        self.0.aggregates.scan(family, prefix, start, visit)
    }

    /// The changes of these [`List`](super::List)s from now on, and the last commit before; `None`: there is none of that
    /// name.
    pub fn watch_lists(&self, lists: &[&'static str]) -> Option<(ListFeed, u64)> {
        let family = |list: &&'static str| Some((self.0.folds.family_of(list)?, *list));
        Some(self.0.feeds.subscribe(lists.iter().map(family).collect::<Option<_>>()?))
    }

    /// Keys of a tenant's aggregates of a kind, with their snapshots, in the order of the keys, from `start` on, until
    /// `visit` says `false`.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn snapshots(
        &self,
        tenant: &str,
        kind: AggregateKind,
        start: &str,
        mut visit: impl FnMut(&str, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let prefix = keys::path(tenant, kind, "");
        self.0.aggregates.scan(SNAPSHOTS, &prefix, &keys::path(tenant, kind, start), |path, snapshot| {
            keys::parse_path(path).is_none_or(|(_, _, key, _)| visit(key, snapshot))
        })
    }

    /// The effective configuration of all tenants, as of [`projected`](Self::projected) or a little later.
    pub fn tenants(&self) -> Arc<Tenants> {
        self.0.settings.load().configs().clone()
    }

    /// The configuration of all tenants with their documents, as of [`projected`](Self::projected) or a little later.
    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// Whether nobody else has this store any more: dropping it closes RocksDB.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// The last commit that the store knows. Goes back (to 0, most often) when the store has to be built anew.
    pub fn projected(&self) -> u64 {
        *self.0.projected.borrow()
    }

    /// [`projected`](Self::projected), to wait for.
    pub fn watch_projected(&self) -> watch::Receiver<u64> {
        self.0.projected.subscribe()
    }

    /// What a projection has written: the last version of it that has been built, or an older one that its readers
    /// understand, as it was left. `None`: it is still being built.
    pub fn view(&self, projection: &str) -> Option<View> {
        // A map is read or an entry is set under the lock, so that a poisoned one is still whole.
        self.0.served.read().unwrap_or_else(PoisonError::into_inner).get(projection).cloned()
    }

    /// Where each projection stands.
    pub fn projections(&self) -> Vec<ProjectionStatus> {
        self.0.statuses.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Figures about the store.
    pub fn figures(&self) -> StoreFigures {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let database = &self.0.aggregates.database;
        let load = database.load();
        StoreFigures {
            memory_bytes: database.memory_bytes(),
            disk_bytes: database.disk_bytes(),
            aggregates: self.0.aggregates.estimated_entries(SNAPSHOTS),
            compaction_pending_bytes: load.compaction_pending_bytes,
            compactions: load.compactions,
            writes_stopped: load.writes_stopped,
            commits_of_unknown_kinds: count(&self.0.oddities.unknown),
            foreign_messages: count(&self.0.oddities.foreign),
            gaps: count(&self.0.oddities.gaps),
        }
    }
}
