//! What a projection is, what it writes into, and what it reads from.

use super::{
    DecodedCommit, StoreError,
    database::{Database, FamilyHandle},
    keys,
};
use rocksdb::WriteBatch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Writes one part of something large: what the inner function adds to the batch.
pub type WriteParts<'a> = dyn FnMut(&mut dyn FnMut(&mut Batch<'_>)) -> Result<(), StoreError> + 'a;

/// Something that is known because the log was read: folded from every commit, in order, each exactly once.
///
/// The writes of a batch of commits, of all projections, and their checkpoints are one atomic write. So a projection
/// need not care for repeated or missing commits: it never sees any.
pub trait Projection: Send + 'static {
    /// Its name: `[a-z_]+`.
    fn name(&self) -> &'static str;

    /// Counted up whenever what it writes changes meaning. It is built anew, from the first commit on, beside what the
    /// older version wrote.
    fn version(&self) -> u32;

    /// Where it writes.
    fn families(&self) -> Vec<Family>;

    /// Whether a node without it can do nothing at all. All others are built while the node works.
    fn is_essential(&self) -> bool {
        false
    }

    /// Whether its readers also understand what this older version wrote: it is served, as it was left, until this one
    /// has been built.
    fn reads(&self, _older_version: u32) -> bool {
        false
    }

    /// Forgets what it has in memory and reads back what it needs. Called before the first commit, and whenever commits
    /// had been folded but could not be written.
    ///
    /// # Errors
    /// The store could not be read.
    fn load(&mut self, view: &View) -> Result<(), StoreError>;

    /// Fills families that it has gained since it was last written, out of its other families. `false`: it cannot, and is
    /// built anew. What is written is written with `write`, as often as there is enough for a batch.
    ///
    /// # Errors
    /// The store could not be read or written.
    fn fill(&mut self, _gained: &[usize], _view: &View, _write: &mut WriteParts<'_>) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Takes a commit in.
    ///
    /// # Errors
    /// The store could not be read.
    fn fold(&mut self, commit: &DecodedCommit, batch: &mut Batch<'_>) -> Result<(), StoreError>;

    /// The last call before the batch is written: here goes what was only noted so far.
    ///
    /// # Errors
    /// The store could not be read.
    fn finish(&mut self, _batch: &mut Batch<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    /// About how many bytes [`finish`](Self::finish) will add to the batch: a large one is written early.
    fn pending_bytes(&self) -> usize {
        0
    }

    /// The batch has been written: what is served from memory may be shown now. `is_behind`: more of the log is there to be
    /// read.
    fn written(&mut self, _is_behind: bool) {}
}

/// One column family of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name within the projection: `[a-z_]*`.
    pub name: &'static str,
    /// What it is for.
    pub shape: Shape,
    /// Its own version beside the projection's, 0 if it has none: see [`Projection::fill`].
    pub version: u32,
}

/// What a column family is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Single keys are looked up, many of them in vain.
    Points,
    /// Ranges of keys are read.
    Ranges,
    /// Ranges of keys are read, and deleted soon.
    Queue,
}

impl Family {
    /// A family of this name and shape.
    pub const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, version: 0 }
    }
}

/// A projection's name and version, as its column families and its checkpoint are called.
pub(super) fn id_of(name: &str, version: u32) -> String {
    format!("{name}@{version}")
}

/// Name of a family: `<projection>@<version>`, or `<projection>.<family>@<version>[.<family's version>]`.
pub(super) fn family_name(projection: &str, version: u32, family: &Family) -> String {
    let dot = if family.name.is_empty() { "" } else { "." };
    let id = format!("{projection}{dot}{}@{version}", family.name);
    if family.version == 0 { id } else { format!("{id}.{}", family.version) }
}

/// Which projection, in which version, the family of this name belongs to.
pub(super) fn parse_family_name(name: &str) -> Option<(&str, u32)> {
    let (front, version) = name.split_once('@')?;
    let projection = front.split('.').next()?;
    Some((projection, version.split('.').next()?.parse().ok()?))
}

/// How far a projection has read, in which log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which log: see [`LogPosition`](crate::journal::LogPosition).
    pub identity: String,
    /// The last commit that was folded.
    pub seq: u64,
    /// Its id. A log that went back and grew again has another commit there.
    pub commit_id: String,
}

/// A projection's part of a batch.
pub struct Batch<'a> {
    pub(super) database: &'a Database,
    pub(super) families: &'a [FamilyHandle<'a>],
    pub(super) writes: &'a mut WriteBatch,
}

impl Batch<'_> {
    /// Sets a key of a family. Families are counted as [`Projection::families`] names them.
    pub fn put(&mut self, family: usize, key: &[u8], value: &[u8]) {
        self.writes.put_cf(&self.families[family], key, value);
    }

    /// Deletes a key of a family.
    pub fn delete(&mut self, family: usize, key: &[u8]) {
        self.writes.delete_cf(&self.families[family], key);
    }

    /// What the store had under a key before this batch. What this batch changes is not seen: a projection keeps
    /// what it changes in memory until [`Projection::finish`].
    ///
    /// # Errors
    /// The store could not be read.
    pub fn get(&self, family: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.get(&self.families[family], key).map_err(|error| self.database.noticed(error))
    }
}

/// What a projection has written, for reading. Cheap to clone; can be used from any thread.
#[derive(Clone)]
pub struct View {
    pub(super) database: Arc<Database>,
    pub(super) families: Arc<[String]>,
}

impl View {
    fn family(&self, family: usize) -> Option<FamilyHandle<'_>> {
        self.database.family(self.families.get(family)?)
    }

    /// What is under a key. Families are counted as [`Projection::families`] names them.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn get(&self, family: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // It is gone for a moment while it is being dropped and made again.
        let Some(family) = self.family(family) else { return Ok(None) };
        self.database.get(&family, key).map_err(|error| self.database.noticed(error))
    }

    /// How many keys a family has, by RocksDB's estimate.
    pub(super) fn estimated_entries(&self, family: usize) -> u64 {
        self.family(family).map_or(0, |family| self.database.estimated_entries(&family))
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn has(&self, family: usize, key: &[u8]) -> Result<bool, StoreError> {
        let Some(family) = self.family(family) else { return Ok(false) };
        self.database.has(&family, key).map_err(|error| self.database.noticed(error))
    }

    /// Keys and values, in the order of the keys, from `start` on as long as they begin with `prefix`, until `visit`
    /// says `false`. All as of one moment.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn scan(
        &self,
        family: usize,
        prefix: &[u8],
        start: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let Some(family) = self.family(family) else { return Ok(()) };
        self.database
            .scan(&family, start.max(prefix), keys::after_prefix(prefix), visit)
            .map_err(|error| self.database.noticed(error))
    }
}
