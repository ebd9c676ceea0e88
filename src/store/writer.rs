//! The writing half of the store: feeds the projections and writes each batch with its checkpoints.

use super::{
    Batch, Checkpoint, DecodedCommit, Family, Folds, Projection, Settings, Store, StoreError, StoreOptions, View,
    aggregates::{Aggregates, Oddities},
    database::{CHECKPOINTS, Database},
    feeds::Feeds,
    projection::{family_name, id_of, parse_family_name},
    reads::Shared,
    relay::Relay,
    settings::SettingsProjection,
    timers::TimerHeads,
};
use arc_swap::ArcSwap;
use rocksdb::WriteBatch;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;

/// Memory kept ready for the next batch, at most: most of a large batch of a rebuild.
const MAX_RESERVED_BYTES: usize = 8 * 1024 * 1024;

/// Where a projection stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u32,
    /// The last commit that it has folded.
    pub seq: u64,
    /// Whether it has been built once, to the log's end of that time.
    pub built: bool,
    /// Whether a node without it can do nothing.
    pub essential: bool,
}

/// The writing half of the store. There is one, and whoever holds it feeds it the log, in order.
pub struct StoreWriter {
    store: Store,
    database: Arc<Database>,
    running: Vec<Running>,
    writes: WriteBatch,
    /// Which log the commits are of.
    identity: String,
    /// The end of the log when following began.
    target: u64,
    /// The last commit folded, written or not.
    last: u64,
    last_commit_id: String,
    unwritten: usize,
    /// It is not the one that everybody waits for, but one [`beside`](Store::beside) it.
    is_beside: bool,
}

struct Running {
    projection: Box<dyn Projection>,
    id: String,
    families: Vec<Family>,
    view: View,
    checkpoint: Option<Checkpoint>,
    /// Whether the store knows which families the checkpoint covers.
    families_noted: bool,
    built: bool,
}

impl Store {
    /// Opens the store in `dir`, or makes it, with the projections that kefu cannot do without and `more`.
    ///
    /// # Errors
    /// See [`StoreError`]. A damaged store is no error: it is put aside, and a new one is begun.
    pub fn open(
        dir: &Path,
        options: &StoreOptions,
        folds: Folds,
        more: Vec<Box<dyn Projection>>,
    ) -> Result<(Self, StoreWriter), StoreError> {
        let timers = Arc::new(TimerHeads::new(options.partitions));
        let oddities = Arc::new(Oddities::default());
        let settings = Arc::new(ArcSwap::from_pointee(Settings::default()));
        let feeds = Arc::new(Feeds::default());
        let aggregates = Aggregates::new(folds.clone(), options, timers.clone(), oddities.clone(), feeds.clone());
        let mut projections: Vec<Box<dyn Projection>> =
            vec![Box::new(aggregates), Box::new(SettingsProjection::new(settings.clone()))];
        projections.extend(more);

        let shapes = projections.iter().flat_map(|projection| {
            let names = names_of(&**projection, projection.version());
            names.into_iter().zip(projection.families().into_iter().map(|family| family.shape)).collect::<Vec<_>>()
        });
        let database = Arc::new(Database::open(dir, options, &shapes.collect::<BTreeMap<_, _>>())?);
        let running: Vec<Running> = projections.into_iter().map(|new| Running::of(new, &database)).collect();
        let shared = Shared {
            aggregates: running[0].view.clone(),
            folds,
            timers,
            settings,
            oddities,
            feeds,
            relay: Relay::default(),
            projected: watch::Sender::new(0),
            served: RwLock::default(),
            statuses: RwLock::default(),
        };
        let store = Self(Arc::new(shared));
        let mut writer = StoreWriter {
            store: store.clone(),
            database,
            running,
            writes: WriteBatch::default(),
            identity: String::new(),
            target: 0,
            last: 0,
            last_commit_id: String::new(),
            unwritten: 0,
            is_beside: false,
        };
        writer.open()?;
        Ok((store, writer))
    }

    /// A writer of its own for projections that nobody's message waits for: it is fed at its own pace, and writes into the same
    /// database with checkpoints of its own. Versions of these projections that are not in use are dropped.
    ///
    /// # Errors
    /// The store could not be read or written.
    pub fn beside(&self, projections: Vec<Box<dyn Projection>>) -> Result<StoreWriter, StoreError> {
        let database = self.0.aggregates.database.clone();
        let running = projections.into_iter().map(|new| Running::of(new, &database)).collect();
        let mut writer = StoreWriter {
            store: self.clone(),
            database,
            running,
            writes: WriteBatch::default(),
            identity: String::new(),
            target: u64::MAX,
            last: 0,
            last_commit_id: String::new(),
            unwritten: 0,
            is_beside: true,
        };
        writer.open()?;
        Ok(writer)
    }

    /// The versions of a projection of which something is stored, and whether they were built.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn stored_versions(&self, projection: &str) -> Result<Vec<(u32, bool)>, StoreError> {
        let database = self.0.aggregates.database.clone();
        let families = database.family_names();
        let named = families.iter().filter_map(|family| parse_family_name(family));
        let versions: BTreeSet<u32> =
            named.filter(|(name, _)| *name == projection).map(|(_, version)| version).collect();
        let notes = View { database, families: Arc::new([CHECKPOINTS.to_owned()]) };
        let built = |version| notes.has(0, Notes::built(&id_of(projection, version)).as_bytes());
        versions.into_iter().map(|version| Ok((version, built(version)?))).collect()
    }
}

impl Running {
    fn of(projection: Box<dyn Projection>, database: &Arc<Database>) -> Self {
        let families = names_of(&*projection, projection.version());
        Self {
            id: id_of(projection.name(), projection.version()),
            families: projection.families(),
            view: View { database: database.clone(), families: families.into() },
            projection,
            checkpoint: None,
            families_noted: false,
            built: false,
        }
    }

    fn seq(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.seq)
    }
}

/// Names of a projection's families, were it of this version.
fn names_of(projection: &dyn Projection, version: u32) -> Vec<String> {
    projection.families().iter().map(|family| family_name(projection.name(), version, family)).collect()
}

/// What is stored about a projection beside its families.
struct Notes;

impl Notes {
    fn checkpoint(id: &str) -> String {
        id.to_owned()
    }

    fn families(id: &str) -> String {
        format!("{id}/families")
    }

    fn built(id: &str) -> String {
        format!("{id}/built")
    }
}

impl StoreWriter {
    fn open(&mut self) -> Result<(), StoreError> {
        for index in 0..self.running.len() {
            self.prepare(index)?;
        }
        // Beside, another version may be at work until this one takes its place.
        if !self.is_beside {
            self.drop_older_versions()?;
        }
        self.serve_what_is_built();
        self.start_over();
        Ok(())
    }

    /// The store that this writes.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How commits are to be decoded.
    pub fn folds(&self) -> Folds {
        self.store.0.folds.clone()
    }

    /// Where each projection stands, by name with version; `None`: at the beginning.
    pub fn checkpoints(&self) -> Vec<(String, Option<Checkpoint>)> {
        self.running.iter().map(|running| (running.id.clone(), running.checkpoint.clone())).collect()
    }

    /// The commit after which the log is to be read: the least advanced projection's.
    pub fn start(&self) -> u64 {
        self.running.iter().map(Running::seq).min().unwrap_or_default()
    }

    /// From now on the commits are those of this log, which ends at `target` now. What is there already must have been
    /// checked against it: see [`reset`](Self::reset).
    ///
    /// # Errors
    /// The store could not be written.
    pub fn follow(&mut self, identity: &str, target: u64) -> Result<(), StoreError> {
        identity.clone_into(&mut self.identity);
        self.target = target;
        self.note_built()
    }

    /// Takes commits in, which may be written with [`write`](Self::write) only. Those that a projection knows already are
    /// passed over by it.
    ///
    /// # Errors
    /// After any, [`abandon`](Self::abandon) and read the log from [`start`](Self::start) on again.
    pub fn fold(&mut self, commits: &[DecodedCommit]) -> Result<(), StoreError> {
        // Looked up once for all of them.
        let handles = self.running.iter().map(|running| handles(&self.database, &running.view));
        let handles = handles.collect::<Result<Vec<_>, _>>()?;
        for commit in commits {
            if commit.seq <= self.last {
                return Err(StoreError::OutOfOrder { seq: commit.seq, after: self.last });
            }
            for (running, families) in self.running.iter_mut().zip(&handles) {
                if commit.seq > running.seq() {
                    let mut batch = Batch { database: &self.database, families, writes: &mut self.writes };
                    running.projection.fold(commit, &mut batch)?;
                }
            }
            self.last = commit.seq;
        }
        if let Some(commit) = commits.last() {
            commit.commit_id().clone_into(&mut self.last_commit_id);
        }
        self.unwritten += commits.len();
        Ok(())
    }

    /// Hands commits that were folded on to those who [watch](Store::watch_commits) them.
    pub fn pass_on(&self, commits: Vec<DecodedCommit>) {
        if let Some(last) = commits.last().map(|commit| commit.seq) {
            self.store.0.relay.pass_on(last, || commits);
        }
    }

    /// How many commits were folded since the last [`write`](Self::write).
    pub fn unwritten(&self) -> usize {
        self.unwritten
    }

    /// About how many bytes [`write`](Self::write) would write.
    pub fn unwritten_bytes(&self) -> usize {
        let pending = self.running.iter().map(|running| running.projection.pending_bytes());
        self.writes.size_in_bytes() + pending.sum::<usize>()
    }

    /// Writes what was folded, with the checkpoints, and shows it to readers.
    ///
    /// # Errors
    /// After any, [`abandon`](Self::abandon) and read the log from [`start`](Self::start) on again.
    pub fn write(&mut self) -> Result<(), StoreError> {
        if self.unwritten == 0 {
            return Ok(());
        }
        let checkpoint =
            Checkpoint { identity: self.identity.clone(), seq: self.last, commit_id: self.last_commit_id.clone() };
        let notes = handle(&self.database, CHECKPOINTS)?;
        let encoded = json(&checkpoint);
        for running in self.running.iter_mut().filter(|running| running.seq() < checkpoint.seq) {
            let families = handles(&self.database, &running.view)?;
            let mut batch = Batch { database: &self.database, families: &families, writes: &mut self.writes };
            running.projection.finish(&mut batch)?;
            self.writes.put_cf(&notes, Notes::checkpoint(&running.id), &encoded);
            if !running.families_noted {
                self.writes.put_cf(&notes, Notes::families(&running.id), json(&*running.view.families));
            }
        }
        drop(notes);
        // The next one will be about as large: not grown step by step, copying what is there.
        let next = WriteBatch::with_capacity_bytes(self.writes.size_in_bytes().min(MAX_RESERVED_BYTES));
        self.database.write(std::mem::replace(&mut self.writes, next))?;
        self.unwritten = 0;
        for running in self.running.iter_mut().filter(|running| running.seq() < checkpoint.seq) {
            running.checkpoint = Some(checkpoint.clone());
            running.families_noted = true;
            running.projection.written(checkpoint.seq < self.target);
        }
        self.note_built()?;
        self.show();
        Ok(())
    }

    /// Forgets what was folded but not written.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn abandon(&mut self) -> Result<(), StoreError> {
        for running in &mut self.running {
            running.projection.load(&running.view)?;
        }
        if !self.is_beside {
            self.store.0.relay.end();
        }
        self.start_over();
        Ok(())
    }

    /// Drops what a projection (by name with version) has written, because it does not match the log.
    ///
    /// # Errors
    /// The store could not be written.
    pub fn reset(&mut self, id: &str, reason: &str) -> Result<(), StoreError> {
        let Some(index) = self.running.iter().position(|running| running.id == id) else { return Ok(()) };
        let from = self.running[index].seq();
        tracing::warn!(projection = id, from, reason, "what was read of the log does not match it: it is read again");
        self.begin_anew(index)?;
        self.abandon()
    }

    /// Puts everything on disk, so that the next start finds it. Without this it reads the last part of the log again.
    ///
    /// # Errors
    /// The store could not be written.
    pub fn flush(&mut self) -> Result<(), StoreError> {
        self.database.flush()
    }

    fn start_over(&mut self) {
        self.writes = WriteBatch::default();
        self.unwritten = 0;
        self.last = self.start();
        if !self.is_beside {
            self.store.0.relay.begin(self.last);
        }
        self.show();
    }

    /// Finds out what there is of a projection, and makes what is missing.
    fn prepare(&mut self, index: usize) -> Result<(), StoreError> {
        let running = &mut self.running[index];
        let id = running.id.clone();
        let notes = View { database: self.database.clone(), families: Arc::new([CHECKPOINTS.to_owned()]) };
        let note = |name: String| notes.get(0, name.as_bytes());
        running.checkpoint = note(Notes::checkpoint(&id))?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        running.built = note(Notes::built(&id))?.is_some();
        if running.checkpoint.is_none() {
            self.begin_anew(index)?;
        } else {
            let noted = note(Notes::families(&id))?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let noted: BTreeSet<String> = noted.unwrap_or_default();
            self.reconcile(index, &noted)?;
        }
        let running = &mut self.running[index];
        running.projection.load(&running.view)
    }

    /// Drops families that a projection does not have any more, and fills those that it has gained.
    fn reconcile(&mut self, index: usize, noted: &BTreeSet<String>) -> Result<(), StoreError> {
        let existing = self.database.family_names();
        let running = &self.running[index];
        let (name, version) = (running.projection.name(), running.projection.version());
        let wanted = running.view.families.clone();
        let is_whole = |family: &String| existing.contains(family) && noted.contains(family);
        let gained: Vec<usize> = (0..wanted.len()).filter(|family| !is_whole(&wanted[*family])).collect();
        let own = existing.iter().filter(|family| parse_family_name(family) == Some((name, version)));
        let outdated: Vec<&String> = own.filter(|family| !is_whole(family) || !wanted.contains(family)).collect();
        if gained.is_empty() && outdated.is_empty() {
            self.running[index].families_noted = true;
            return Ok(());
        }
        // First the note, on disk, that these are not whole: column families come and go at once, whatever is flushed.
        let kept: Vec<&String> = wanted.iter().filter(|family| is_whole(family)).collect();
        self.note(&Notes::families(&running.id), &json(&kept))?;
        self.database.flush()?;
        for family in outdated {
            self.database.drop_family(family)?;
        }
        for family in &gained {
            self.database.create_family(&wanted[*family], self.running[index].families[*family].shape)?;
        }
        if gained.is_empty() {
            self.running[index].families_noted = true;
            return Ok(());
        }
        let names: Vec<&String> = gained.iter().map(|family| &wanted[*family]).collect();
        tracing::info!(?names, "filling what is new in the store");
        let Running { projection, view, id, .. } = &mut self.running[index];
        let database = &self.database;
        let families = handles(database, view)?;
        let filled = projection.fill(&gained, view, &mut |put| {
            let mut writes = WriteBatch::default();
            put(&mut Batch { database, families: &families, writes: &mut writes });
            database.write(writes)
        })?;
        drop(families);
        if filled {
            let id = id.clone();
            self.note(&Notes::families(&id), &json(&*wanted))?;
            self.running[index].families_noted = true;
            return Ok(());
        }
        tracing::warn!(projection = %id, "cannot be filled from what is there: it is built anew from the log");
        self.begin_anew(index)
    }

    /// Makes a projection's families anew, and empty.
    fn begin_anew(&mut self, index: usize) -> Result<(), StoreError> {
        let running = &mut self.running[index];
        running.checkpoint = None;
        running.families_noted = false;
        running.built = false;
        let (id, families) = (running.id.clone(), running.view.families.clone());
        self.served_without(index);
        self.forget(&id, &families)?;
        for (family, name) in self.running[index].families.iter().zip(&*families) {
            self.database.create_family(name, family.shape)?;
        }
        Ok(())
    }

    /// Deletes a projection with all that is known about it.
    fn forget(&self, id: &str, families: &[String]) -> Result<(), StoreError> {
        let notes = handle(&self.database, CHECKPOINTS)?;
        let mut writes = WriteBatch::default();
        for note in [Notes::checkpoint(id), Notes::families(id), Notes::built(id)] {
            writes.delete_cf(&notes, note);
        }
        self.database.write(writes)?;
        // The checkpoint must be gone from the disk before what it vouches for: see `reconcile`.
        self.database.flush()?;
        let existing = self.database.family_names();
        families.iter().filter(|name| existing.contains(*name)).try_for_each(|name| self.database.drop_family(name))
    }

    fn note(&self, name: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        writes.put_cf(&handle(&self.database, CHECKPOINTS)?, name, value);
        self.database.write(writes)
    }

    /// Notes which projections have reached the target for the first time. They are served from now on, and older
    /// versions of them are dropped.
    fn note_built(&mut self) -> Result<(), StoreError> {
        let target = self.target;
        let is_done = |running: &Running| !running.built && running.checkpoint.is_some() && running.seq() >= target;
        let done: Vec<usize> = (0..self.running.len()).filter(|index| is_done(&self.running[*index])).collect();
        if done.is_empty() {
            return Ok(());
        }
        for index in done {
            let running = &mut self.running[index];
            running.built = true;
            let id = running.id.clone();
            tracing::info!(projection = %id, seq = target, "built");
            self.note(&Notes::built(&id), b"")?;
        }
        self.serve_what_is_built();
        self.drop_older_versions()?;
        self.show();
        Ok(())
    }

    /// Drops versions that no projection of this writer, of the same name, still needs.
    ///
    /// # Errors
    /// The store could not be written.
    pub fn drop_older_versions(&mut self) -> Result<(), StoreError> {
        let mut obsolete: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for family in self.database.family_names() {
            let Some((name, version)) = parse_family_name(&family) else { continue };
            let mut heirs = self.running.iter().filter(|running| running.projection.name() == name).peekable();
            // One that is not in use now may be again: after a downgrade, say. It is left alone.
            if heirs.peek().is_none() {
                continue;
            }
            let needs = |heir: &Running| {
                heir.projection.version() == version || (!heir.built && heir.projection.reads(version))
            };
            if !heirs.any(needs) {
                obsolete.entry(id_of(name, version)).or_default().push(family);
            }
        }
        for (id, families) in obsolete {
            tracing::info!(projection = %id, "dropped: another version has taken its place");
            self.forget(&id, &families)?;
        }
        Ok(())
    }

    /// Shows readers, of each name, the last version that has been built, or an older one that it reads.
    fn serve_what_is_built(&self) {
        let existing = self.database.family_names();
        let mut served = BTreeMap::new();
        for running in &self.running {
            let name = running.projection.name();
            if running.built {
                served.insert(name, running.view.clone());
            } else if !served.contains_key(name) {
                let versions = existing.iter().filter_map(|family| parse_family_name(family));
                let readable = versions.filter(|(found, version)| {
                    *found == name && *version != running.projection.version() && running.projection.reads(*version)
                });
                if let Some(version) = readable.map(|(_, version)| version).max() {
                    let families = names_of(&*running.projection, version).into();
                    served.insert(name, View { database: self.database.clone(), families });
                }
            }
        }
        let mut shown = self.store.0.served.write().unwrap_or_else(PoisonError::into_inner);
        // Those of other writers stay.
        shown.retain(|name, _| !self.running.iter().any(|running| running.projection.name() == *name));
        shown.extend(served);
    }

    fn served_without(&self, index: usize) {
        let Running { projection, view, .. } = &self.running[index];
        let mut shown = self.store.0.served.write().unwrap_or_else(PoisonError::into_inner);
        // Another version of it is served on.
        if shown.get(projection.name()).is_some_and(|served| served.families == view.families) {
            shown.remove(projection.name());
        }
    }

    /// Shows readers how far everything is.
    fn show(&self) {
        let statuses = self.running.iter().map(|running| ProjectionStatus {
            name: running.projection.name(),
            version: running.projection.version(),
            seq: running.seq(),
            built: running.built,
            essential: running.projection.is_essential(),
        });
        let statuses: Vec<ProjectionStatus> = statuses.collect();
        {
            let mut shown = self.store.0.statuses.write().unwrap_or_else(PoisonError::into_inner);
            shown.retain(|status| !self.running.iter().any(|running| running.projection.name() == status.name));
            shown.extend(statuses);
        }
        if self.is_beside {
            return;
        }
        let essential = self.running.iter().filter(|running| running.projection.is_essential());
        let projected = essential.map(Running::seq).min().unwrap_or_default();
        self.store.0.projected.send_if_modified(|before| std::mem::replace(before, projected) != projected);
    }
}

fn handle<'db>(database: &'db Database, name: &str) -> Result<super::database::FamilyHandle<'db>, StoreError> {
    database.family(name).ok_or_else(|| StoreError::Io(format!("the column family {name} is gone")))
}

fn handles<'db>(database: &'db Database, view: &View) -> Result<Vec<super::database::FamilyHandle<'db>>, StoreError> {
    view.families.iter().map(|name| handle(database, name)).collect()
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // Strings and numbers: cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
