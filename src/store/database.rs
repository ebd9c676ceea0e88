//! Opening RocksDB, its options and its column families.
//!
//! **No write-ahead log.** A batch is lost together with its checkpoint, so that the tail of the log is read again: at
//! most as many commits as fit into the memtables, about a second's work. In exchange, every byte is written once less,
//! and there is no log file to be damaged. This rests on `atomic_flush`: all column families always go to disk
//! together, as of one moment between two batches. Never turn it off.

use super::{StoreError, projection::Shape};
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, Direction, IteratorMode, Options,
    ReadOptions, WriteBatch, WriteBufferManager, WriteOptions, properties,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A quarter of a small machine's gigabyte: room for the hot part of some hundred thousand conversations.
const DEFAULT_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// Below this RocksDB would write a file every few batches.
const MIN_MEMORY_BYTES: u64 = 16 * 1024 * 1024;
/// 10 bits per key: 1 % of the searches for a cause that never was (nearly all of them) touch the disk.
const BLOOM_BITS: f64 = 10.0;
/// A file in which half of any 128 neighbours are deletions is rewritten: fired timers would be waded through otherwise.
const DELETIONS: (usize, usize) = (128, 64);
/// RocksDB's own log, for whoever hunts a fault in RocksDB: two files of this size.
const INFO_LOG_BYTES: usize = 4 * 1024 * 1024;
/// Says that the next start must put the directory aside, and why.
const DAMAGED_MARK: &str = "DAMAGED";
/// The column family of checkpoints.
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// How the store is to be opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Memory for blocks, indexes, filters and memtables together. The default is 256 MiB. States that the projector keeps
    /// come to a sixteenth of it beside, and to half of it while it is far behind.
    pub memory_budget_bytes: Option<u64>,
    /// Number of partitions, as fixed when the streams were created.
    pub partitions: u16,
    /// Which partition a tenant's key is in: the same function that the inbox's subject transform computes.
    pub partition_of: fn(tenant: &str, key: &str, partitions: u16) -> u16,
}

impl StoreOptions {
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_budget_bytes.unwrap_or(DEFAULT_MEMORY_BYTES).max(MIN_MEMORY_BYTES)
    }
}

pub(super) type FamilyHandle<'db> = Arc<BoundColumnFamily<'db>>;

/// The open database.
pub(super) struct Database {
    db: DB,
    /// Names of all column families, which RocksDB's interface does not tell once it is open.
    names: Mutex<BTreeSet<String>>,
    dir: PathBuf,
    cache: Cache,
    buffers: WriteBufferManager,
}

/// How busy RocksDB is with itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    pub compaction_pending_bytes: u64,
    pub compactions: u64,
    pub writes_stopped: bool,
}

impl Database {
    /// Opens what is in `dir`, or makes it. What is damaged is put aside, loudly. `shapes` says what the families that
    /// are in use are for; those that are not in use any more are opened, too, because RocksDB wants all of them.
    pub(super) fn open(
        dir: &Path,
        options: &StoreOptions,
        shapes: &BTreeMap<String, Shape>,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|error| StoreError::Io(format!("{}: {error}", dir.display())))?;
        if let Some(reason) = damage(dir) {
            put_aside(dir, &reason)?;
        }
        match Self::open_once(dir, options, shapes) {
            Err(StoreError::Damaged(reason)) => {
                put_aside(dir, &reason)?;
                Self::open_once(dir, options, shapes)
            }
            opened => opened,
        }
    }

    fn open_once(dir: &Path, options: &StoreOptions, shapes: &BTreeMap<String, Shape>) -> Result<Self, StoreError> {
        let budget = options.memory_bytes() as usize;
        let cache = Cache::new_lru_cache(budget);
        // A quarter for memtables, taken out of the cache's share. No stall at the limit: it is reached for moments only,
        // while full memtables are being written, and the number of those is limited below.
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(budget / 4, false, cache.clone());
        let mut db_options = Options::default();
        db_options.create_if_missing(true);
        db_options.create_missing_column_families(true);
        db_options.set_atomic_flush(true);
        db_options.set_write_buffer_manager(&buffers);
        db_options.set_max_background_jobs(2);
        // One thread writes.
        db_options.set_allow_concurrent_memtable_write(false);
        db_options.set_keep_log_file_num(2);
        db_options.set_max_log_file_size(INFO_LOG_BYTES);
        db_options.set_stats_dump_period_sec(0);
        let existing = match dir.join("CURRENT").exists() {
            true => DB::list_cf(&db_options, dir).map_err(|error| opening_failed(dir, error))?,
            false => Vec::new(),
        };
        let mut names: BTreeSet<String> = existing.into_iter().collect();
        names.extend(["default", CHECKPOINTS].map(str::to_owned));
        let families = names.iter().map(|name| {
            let shape = shapes.get(name).copied().unwrap_or(Shape::Ranges);
            ColumnFamilyDescriptor::new(name, family_options(shape, &cache, budget))
        });
        let db = DB::open_cf_descriptors(&db_options, dir, families).map_err(|error| opening_failed(dir, error))?;
        Ok(Self { db, names: Mutex::new(names), dir: dir.to_owned(), cache, buffers })
    }

    /// The family of this name, if there is one.
    pub(super) fn family(&self, name: &str) -> Option<FamilyHandle<'_>> {
        self.db.cf_handle(name)
    }

    /// Names of all families that there are.
    pub(super) fn family_names(&self) -> BTreeSet<String> {
        self.names().clone()
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // Names are added and removed one at a time: a poisoned set is still whole.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a family, which does not exist yet.
    pub(super) fn create_family(&self, name: &str, shape: Shape) -> Result<(), StoreError> {
        let options = family_options(shape, &self.cache, self.buffers.get_buffer_size() * 4);
        self.db.create_cf(name, &options)?;
        self.names().insert(name.to_owned());
        Ok(())
    }

    /// Drops a family with all that is in it.
    pub(super) fn drop_family(&self, name: &str) -> Result<(), StoreError> {
        self.db.drop_cf(name)?;
        self.names().remove(name);
        Ok(())
    }

    pub(super) fn get(&self, family: &FamilyHandle<'_>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get_cf(family, key)?)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, family: &FamilyHandle<'_>, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.db.get_pinned_cf(family, key)?.is_some())
    }

    /// Entries from `start` on, up to and without `end`, until `visit` says `false`. All as of one moment.
    pub(super) fn scan(
        &self,
        family: &FamilyHandle<'_>,
        start: &[u8],
        end: Option<Vec<u8>>,
        mut visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let mut read = ReadOptions::default();
        if let Some(end) = end {
            if start >= end.as_slice() {
                return Ok(());
            }
            read.set_iterate_upper_bound(end);
        }
        for entry in self.db.iterator_cf_opt(family, read, IteratorMode::From(start, Direction::Forward)) {
            let (key, value) = entry?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    /// Writes a batch: all of it or nothing.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        self.db.write_opt(batch, &options).map_err(|error| self.noticed(error.into()))
    }

    /// Puts everything on disk.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let names = self.family_names();
        let families: Vec<_> = names.iter().filter_map(|name| self.family(name)).collect();
        let families: Vec<_> = families.iter().collect();
        self.db.flush_cfs_opt(&families, &rocksdb::FlushOptions::default()).map_err(|error| self.noticed(error.into()))
    }

    /// Leaves a mark for the next start where an error means that what is on disk cannot be trusted.
    pub(super) fn noticed(&self, error: StoreError) -> StoreError {
        if let StoreError::Damaged(reason) = &error
            && let Err(failed) = fs::write(self.dir.join(DAMAGED_MARK), reason)
        {
            tracing::error!(%failed, dir = %self.dir.display(), "the damaged store could not be marked: delete it by hand");
        }
        error
    }

    /// Bytes of memory that RocksDB's cache and memtables take.
    pub(super) fn memory_bytes(&self) -> u64 {
        // Memtables are charged to the cache.
        self.cache.get_usage() as u64
    }

    /// How many entries a family has, by RocksDB's estimate: entries that were overwritten and not yet compacted count again.
    pub(super) fn estimated_entries(&self, family: &FamilyHandle<'_>) -> u64 {
        self.db.property_int_value_cf(family, properties::ESTIMATE_NUM_KEYS).ok().flatten().unwrap_or(0)
    }

    /// How busy RocksDB is with itself, over all families.
    pub(super) fn load(&self) -> Load {
        let mut load = Load::default();
        for family in self.family_names().iter().filter_map(|name| self.family(name)) {
            let of = |property| self.db.property_int_value_cf(&family, property).ok().flatten().unwrap_or(0);
            load.compaction_pending_bytes += of(properties::ESTIMATE_PENDING_COMPACTION_BYTES);
            // Of the whole database, whichever family is asked.
            load.compactions = of(properties::NUM_RUNNING_COMPACTIONS);
            load.writes_stopped = of(properties::IS_WRITE_STOPPED) > 0;
        }
        load
    }

    /// Bytes of the files on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.db.live_files().map_or(0, |files| files.iter().map(|file| file.size as u64).sum())
    }
}

fn family_options(shape: Shape, cache: &Cache, budget: usize) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    // So that they count against the budget; the hot ones stay.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    if shape == Shape::Points {
        table.set_bloom_filter(BLOOM_BITS, false);
        table.set_optimize_filters_for_memory(true);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    // Large enough that the shared budget, and not a single family, decides when all are written.
    options.set_write_buffer_size(budget / 4);
    // One that fills, one that is being written, and one to spare before writers wait.
    options.set_max_write_buffer_number(3);
    if shape == Shape::Queue {
        let (window, trigger) = DELETIONS;
        options.add_compact_on_deletion_collector_factory(window, trigger, 0.5);
    }
    options
}

fn opening_failed(dir: &Path, error: rocksdb::Error) -> StoreError {
    match StoreError::from(error) {
        StoreError::Io(text) if text.contains("/LOCK") => StoreError::Locked(dir.to_owned()),
        // A file that the others name is gone.
        StoreError::Io(text) if text.contains("No such file") => StoreError::Damaged(text),
        other => other,
    }
}

/// What is wrong with the files, as far as RocksDB would not notice.
fn damage(dir: &Path) -> Option<String> {
    if let Ok(reason) = fs::read_to_string(dir.join(DAMAGED_MARK)) {
        return Some(reason);
    }
    if dir.join("CURRENT").exists() {
        return None;
    }
    // RocksDB takes a directory without CURRENT for a new database, and would begin one amid the old files.
    let names = fs::read_dir(dir).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let leftover = names.into_iter().find(|name| name.ends_with(".sst") || name.starts_with("MANIFEST-"))?;
    Some(format!("{leftover} is there, but CURRENT is not"))
}

/// Renames the directory, so that somebody can look at it, and deletes what was put aside before: one is enough to
/// look at, and more could fill the disk.
fn put_aside(dir: &Path, reason: &str) -> Result<(), StoreError> {
    let mut aside = dir.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    tracing::error!(reason, dir = %dir.display(), aside = %aside.display(),
        "the store is damaged: it is put aside, and a new one is built from the log");
    let failed = |error: std::io::Error| StoreError::Io(format!("putting {} aside: {error}", dir.display()));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    fs::rename(dir, &aside).map_err(failed)?;
    fs::create_dir_all(dir).map_err(failed)
}
