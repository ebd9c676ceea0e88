//! The projection `aggregates`: snapshots, causes, timers and lists.
//!
//! What happens to an aggregate within a batch happens in memory; at the end of the batch its snapshot is written once,
//! with what has changed among the entries under which it is found.

use super::{
    Batch, DecodedCommit, Family, Projection, StoreError, StoreOptions, View,
    cache::ClockCache,
    commit::Header,
    entries::Entries,
    feeds::Feeds,
    folds::{CAUSES, FoldedState, Folds, SNAPSHOTS, TIMERS},
    keys,
    projection::{Shape, WriteParts},
    timers::{TimerChange, TimerHeads},
};
use kefu_events::{AggregateKind, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Counted up when what is written here changes, whatever the aggregates do.
const LAYOUT: u32 = 1;
/// Part of the memory budget for states that are kept between batches, so that busy aggregates need not be read back:
/// some thousand of them.
const KEPT_PART: u64 = 16;
/// The same while the log is read from far behind: nobody reads the store then, and a state that must be read back costs
/// more than all the rest that is done for a commit.
const KEPT_PART_BEHIND: u64 = 4;
/// What a state takes in memory beside the bytes of its snapshot: entries, keys, the allocator's share.
const STATE_OVERHEAD_BYTES: usize = 1_024;
/// A snapshot after an aggregate's first commits.
const FIRST_SNAPSHOT_BYTES: usize = 512;
/// Snapshots read before their list entries are written, when a list is filled.
const FILL_BATCH: usize = 4_096;

/// Counts of what should not happen, for metrics and `doctor`.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    /// Commits of kinds that this node does not know.
    pub(super) unknown: AtomicU64,
    /// Messages in the log that are no commits.
    pub(super) foreign: AtomicU64,
    /// Commits whose predecessor is missing.
    pub(super) gaps: AtomicU64,
}

pub(super) struct Aggregates {
    folds: Folds,
    version: u32,
    partitions: u16,
    partition_of: fn(&str, &str, u16) -> u16,
    cells: ClockCache<Cell>,
    kept_bytes: usize,
    kept_bytes_behind: usize,
    dirty: Vec<usize>,
    /// About what the dirty ones will take in the batch.
    dirty_bytes: usize,
    timers: Arc<TimerHeads>,
    timer_changes: Vec<TimerChange>,
    /// The last commit that was folded.
    last: u64,
    /// Keys and values of the causes in this batch.
    causes: Vec<([u8; 32], u64)>,
    oddities: Arc<Oddities>,
    feeds: Arc<Feeds>,
    // Kept between calls for their memory.
    path: Vec<u8>,
    snapshot: Vec<u8>,
    entries: Entries,
}

struct Cell {
    state: Box<dyn FoldedState>,
    partition: u16,
    digest: [u8; 16],
    /// The entries that the store has.
    entries: Entries,
    /// Of its last snapshot.
    bytes: usize,
    dirty: bool,
}

impl Aggregates {
    pub(super) fn new(
        folds: Folds,
        options: &StoreOptions,
        timers: Arc<TimerHeads>,
        oddities: Arc<Oddities>,
        feeds: Arc<Feeds>,
    ) -> Self {
        Self {
            version: version_of(&folds, options.partitions),
            folds,
            partitions: options.partitions,
            partition_of: options.partition_of,
            cells: ClockCache::default(),
            kept_bytes: (options.memory_bytes() / KEPT_PART) as usize,
            kept_bytes_behind: (options.memory_bytes() / KEPT_PART_BEHIND) as usize,
            dirty: Vec::new(),
            dirty_bytes: 0,
            timers,
            timer_changes: Vec::new(),
            last: 0,
            causes: Vec::new(),
            oddities,
            feeds,
            path: Vec::new(),
            snapshot: Vec::new(),
            entries: Entries::default(),
        }
    }

    /// The slot of the aggregate that the commit is of, and whose path is in `self.path`; `None` if its kind is unknown.
    fn cell(&mut self, commit: &Header<'_>, batch: &Batch<'_>) -> Result<Option<usize>, StoreError> {
        if let Some(slot) = self.cells.find(&self.path) {
            return Ok(Some(slot));
        }
        let Some(fold) = self.folds.get(commit.kind) else { return Ok(None) };
        // The first commit of an aggregate: nothing to read. In a rebuild most are cold, and each read would cost more
        // than all the rest.
        let stored = if commit.version == 1 { None } else { batch.get(SNAPSHOTS, &self.path)? };
        let bytes = stored.as_ref().map_or(0, Vec::len);
        let state = match stored {
            Some(snapshot) => fold.restore(&snapshot).map_err(|error| {
                let path = String::from_utf8_lossy(&self.path);
                batch.database.noticed(StoreError::Damaged(format!("snapshot of {path}: {error}")))
            })?,
            None => fold.fresh(),
        };
        let partition = (self.partition_of)(commit.tenant, commit.key, self.partitions);
        let mut entries = Entries::default();
        if state.version() > 0 {
            state.entries_into(partition, &self.path, &mut entries);
        }
        let cell = Cell { state, partition, digest: keys::path_digest(&self.path), entries, bytes, dirty: false };
        Ok(Some(self.cells.insert(&self.path, cell, bytes + STATE_OVERHEAD_BYTES)))
    }
}

impl Projection for Aggregates {
    fn name(&self) -> &'static str {
        "aggregates"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn families(&self) -> Vec<Family> {
        let own = [("snapshots", Shape::Points), ("causes", Shape::Points), ("timers", Shape::Queue)];
        let own = own.map(|(name, shape)| Family::new(name, shape));
        let lists =
            self.folds.lists().iter().map(|(name, version)| Family { name, shape: Shape::Ranges, version: *version });
        own.into_iter().chain(lists).collect()
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn load(&mut self, _: &View) -> Result<(), StoreError> {
        self.cells.clear();
        self.dirty.clear();
        self.dirty_bytes = 0;
        self.timer_changes.clear();
        self.causes.clear();
        self.timers.forget();
        self.feeds.end();
        Ok(())
    }

    fn fill(&mut self, gained: &[usize], view: &View, write: &mut WriteParts<'_>) -> Result<bool, StoreError> {
        if !gained.iter().all(|family| Folds::is_list(*family)) {
            return Ok(false);
        }
        let mut start = Vec::new();
        loop {
            let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            view.scan(SNAPSHOTS, b"", &start, |path, snapshot| {
                found.push((path.to_vec(), snapshot.to_vec()));
                found.len() < FILL_BATCH
            })?;
            let Some((last, _)) = found.last() else { return Ok(true) };
            start = [last.as_slice(), b"\0"].concat();
            let mut damaged = None;
            write(&mut |batch| {
                for (path, snapshot) in &found {
                    let Some((kind, tenant, key, _)) = keys::parse_path(path) else { continue };
                    let Some(fold) = self.folds.get(kind) else { continue };
                    let state = match fold.restore(snapshot) {
                        Ok(state) => state,
                        Err(error) => {
                            damaged = Some(format!("snapshot of {}: {error}", String::from_utf8_lossy(path)));
                            return;
                        }
                    };
                    state.entries_into((self.partition_of)(tenant, key, self.partitions), path, &mut self.entries);
                    for (family, key, value) in self.entries.iter().filter(|entry| gained.contains(&entry.0)) {
                        batch.put(family, key, value);
                    }
                }
            })?;
            if let Some(reason) = damaged {
                tracing::warn!(reason, "a list cannot be filled from the snapshots");
                return Ok(false);
            }
        }
    }

    fn fold(&mut self, commit: &DecodedCommit, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        self.last = commit.seq;
        let Some(known) = commit.known() else {
            let counter = if commit.is_foreign() { &self.oddities.foreign } else { &self.oddities.unknown };
            noted(counter, commit, if commit.is_foreign() { "no commit" } else { "a commit of an unknown kind" });
            return Ok(());
        };
        let header = known.header();
        keys::path_into(&mut self.path, header.tenant, header.kind, header.key);
        let Some(slot) = self.cell(&header, batch)? else { return Ok(()) };
        let Some((_, cell)) = self.cells.get_mut(slot) else { return Ok(()) };
        if header.version != cell.state.version() + 1 {
            noted(&self.oddities.gaps, commit, "a commit whose predecessor is missing");
        }
        if let Some(cause) = cell.state.apply(known, commit.seq) {
            let mut key = [0; 32];
            key[..16].copy_from_slice(&cell.digest);
            key[16..].copy_from_slice(&cause.to_bytes());
            self.causes.push((key, commit.seq));
        }
        if !cell.dirty {
            cell.dirty = true;
            self.dirty.push(slot);
            // Of the snapshot, which is the most of it; a first one is about so large.
            self.dirty_bytes += cell.bytes.max(FIRST_SNAPSHOT_BYTES);
        }
        Ok(())
    }

    fn finish(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        // RocksDB takes keys in order faster: each is sought from where the one before was found, as far as caches go.
        self.causes.sort_unstable();
        for (key, seq) in self.causes.drain(..) {
            batch.put(CAUSES, &key, &seq.to_be_bytes());
        }
        let fed = self.feeds.wanted();
        self.dirty.sort_unstable_by(|one, other| self.cells.key(*one).cmp(&self.cells.key(*other)));
        for slot in self.dirty.drain(..) {
            let Some((path, cell)) = self.cells.get_mut(slot) else { continue };
            cell.dirty = false;
            self.snapshot.clear();
            if let Err(error) = cell.state.snapshot_into(&mut self.snapshot) {
                return Err(StoreError::Io(format!("snapshot of {}: {error}", String::from_utf8_lossy(path))));
            }
            batch.put(SNAPSHOTS, path, &self.snapshot);
            cell.bytes = self.snapshot.len();
            cell.state.entries_into(cell.partition, path, &mut self.entries);
            for (family, key, _) in cell.entries.iter().filter(|(family, key, _)| !self.entries.has_key(*family, key)) {
                batch.delete(family, key);
                if let Some((_, list)) = fed.iter().find(|list| list.0 == family) {
                    self.feeds.note(list, key, None);
                }
            }
            for (family, key, value) in self.entries.iter().filter(|entry| !cell.entries.has(*entry)) {
                batch.put(family, key, value);
                if family == TIMERS {
                    self.timer_changes.push(TimerChange::of(key));
                }
                if let Some((_, list)) = fed.iter().find(|list| list.0 == family) {
                    self.feeds.note(list, key, Some(value));
                }
            }
            std::mem::swap(&mut cell.entries, &mut self.entries);
            self.cells.resize(slot, self.snapshot.len() + STATE_OVERHEAD_BYTES);
        }
        self.dirty_bytes = 0;
        Ok(())
    }

    fn pending_bytes(&self) -> usize {
        self.dirty_bytes
    }

    fn written(&mut self, is_behind: bool) {
        self.timers.changed(self.timer_changes.drain(..));
        self.feeds.written(self.last);
        self.cells.shrink_to(if is_behind { self.kept_bytes_behind } else { self.kept_bytes });
    }
}

/// Counts something odd, and says so at the 1st, 2nd, 4th, 8th … of them.
fn noted(counter: &AtomicU64, commit: &DecodedCommit, what: &str) {
    let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() {
        tracing::warn!(seq = commit.seq, header = ?commit.header(), count, "{what} in the log");
    }
}

/// Changes with every kind's state version, and with what else decides what is written.
fn version_of(folds: &Folds, partitions: u16) -> u32 {
    let mut kinds: Vec<(AggregateKind, u32)> = folds.iter().map(|fold| (fold.kind(), fold.state_version())).collect();
    kinds.sort();
    let digest = Sha256::digest(format!("{LAYOUT} {partitions} {kinds:?}").as_bytes());
    digest[..4].iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

impl TimerChange {
    fn of(key: &[u8]) -> Self {
        let partition = key.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes));
        let due =
            key.get(2..).and_then(<[u8]>::first_chunk).map_or(Timestamp::default(), |bytes| keys::time_of(*bytes));
        Self { partition, due }
    }
}
