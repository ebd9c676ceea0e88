//! The tenants' search bases, and what changes them.
//!
//! One task follows the list of approved entries; what changes is applied a tenant at a time on a thread that may wait,
//! while readers go on with what was there. Some time after the last change the base learns from what it holds.

use crate::{
    search::{
        base::{Base, Change, Embed, EntryText, Reader},
        embed::{EmbedError, Embeddings, ModelIdentity, Role},
    },
    store::{ANSWERS, ApprovedEntry, Store, StoreError, tenant_and_key},
};
use kefu_events::faq::EntryContent;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinSet,
    time::Instant,
};

/// Without a change for so long, a base learns from what it holds. An import of many entries is over by then, and nobody waits:
/// a new entry answers before.
const QUIET: Duration = Duration::from_secs(2);
/// Tenants that are worked on at once: beside the answering, which uses the same cores.
const AT_WORK: usize = 1;
/// After a failure of the store or of the disk.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries that are applied at a time while a base is built, so that the first of them answer before the last are read.
const CHUNK: usize = 256;

/// All tenants' bases. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    embeddings: Option<Arc<Embeddings>>,
    shelves: Mutex<BTreeMap<String, Arc<Shelf>>>,
}

/// One tenant's base.
#[derive(Default)]
struct Shelf {
    reader: Mutex<Option<Reader>>,
    entries: AtomicUsize,
    /// Who changes it holds this.
    base: Mutex<Option<Base>>,
    pending: AtomicUsize,
}

/// How far a base is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseStatus {
    /// Entries that can be found.
    pub entries: usize,
    /// Changes that are not taken in yet.
    pub pending: usize,
}

/// What one tenant's base still has to take in.
#[derive(Default)]
struct Due {
    changes: BTreeMap<String, Option<ApprovedEntry>>,
    /// Compare with the whole list first.
    compare: bool,
    /// Learn then, if nothing has changed.
    learn_at: Option<Instant>,
    /// Not before then: something failed.
    after: Option<Instant>,
    at_work: bool,
}

/// What became of the work on a base.
type Done = (String, Result<bool, String>);

impl Library {
    /// Bases in this folder. Nothing is in them before [`run`](Self::run).
    pub fn new(dir: PathBuf, embeddings: Option<Arc<Embeddings>>) -> Self {
        Self(Arc::new(Inner { dir, embeddings, shelves: Mutex::default() }))
    }

    /// Tenants that have a base.
    pub fn tenants(&self) -> Vec<String> {
        let shelves = self.shelves();
        let has_entries = |shelf: &Shelf| shelf.entries.load(Ordering::Relaxed) > 0;
        shelves.iter().filter(|(_, shelf)| has_entries(shelf)).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// A tenant's base, for reading; `None`: it has no approved entry, or is not ready.
    pub fn reader(&self, tenant: &str) -> Option<Reader> {
        let shelf = self.shelves().get(tenant)?.clone();
        lock(&shelf.reader).clone().filter(|_| shelf.entries.load(Ordering::Relaxed) > 0)
    }

    /// Where each tenant's base stands.
    pub fn status(&self) -> BTreeMap<String, BaseStatus> {
        let of = |shelf: &Shelf| BaseStatus {
            entries: shelf.entries.load(Ordering::Relaxed),
            pending: shelf.pending.load(Ordering::Relaxed),
        };
        self.shelves().iter().map(|(tenant, shelf)| (tenant.clone(), of(shelf))).collect()
    }

    /// Which model it is; `None`: words alone.
    pub fn model(&self) -> Option<&ModelIdentity> {
        self.0.embeddings.as_ref().map(|embeddings| embeddings.identity())
    }

    /// What turns texts into vectors; `None`: words alone.
    pub fn embeddings(&self) -> Option<&Arc<Embeddings>> {
        self.0.embeddings.as_ref()
    }

    fn shelves(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Shelf>>> {
        lock(&self.0.shelves)
    }

    fn shelf(&self, tenant: &str) -> Arc<Shelf> {
        self.shelves().entry(tenant.to_owned()).or_default().clone()
    }

    /// Follows the list of approved entries until it is told to stop.
    pub(super) async fn run(self, store: Store, mut stopped: watch::Receiver<bool>) {
        loop {
            match self.follow(&store, &mut stopped).await {
                Ok(true) => break,
                Ok(false) => tracing::info!("the approved entries are read anew"),
                Err(error) => {
                    tracing::error!(%error, "the approved entries cannot be read; tries again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// `true`: it was told to stop.
    async fn follow(&self, store: &Store, stopped: &mut watch::Receiver<bool>) -> Result<bool, StoreError> {
        let missing = || StoreError::Damaged("the list of approved entries is missing".to_owned());
        let (mut feed, _) = store.watch_lists(&[ANSWERS.name]).ok_or_else(missing)?;
        let mut due: BTreeMap<String, Due> = BTreeMap::new();
        for tenant in self.known_tenants(store)? {
            due.entry(tenant).or_default().compare = true;
        }
        let mut work: JoinSet<Done> = JoinSet::new();
        let end = loop {
            self.begin(store, &mut due, &mut work);
            let now = Instant::now();
            let next = due.values().filter(|due| !due.at_work).filter_map(|due| due.next(now)).min();
            let wait = next.unwrap_or(now + Duration::from_secs(3_600));
            tokio::select! {
                _ = stopped.changed() => break true,
                Some(done) = work.join_next(), if !work.is_empty() => match done {
                    Ok(done) => self.done(done, &mut due),
                    Err(error) => tracing::error!(%error, "work on a search base has ended badly"),
                },
                () = tokio::time::sleep_until(wait), if work.len() < AT_WORK => {}
                changes = feed.recv() => match changes {
                    Ok(batch) => for change in batch.changes.iter().filter(|change| change.list == ANSWERS.name) {
                        let Some((tenant, id)) = tenant_and_key(&change.key) else { continue };
                        // What cannot be read is no entry that this code can answer with.
                        let entry = change.value.as_deref().and_then(|value| serde_json::from_slice(value).ok());
                        due.entry(tenant.to_owned()).or_default().changes.insert(id.to_owned(), entry);
                    },
                    Err(RecvError::Closed | RecvError::Lagged(_)) => break false,
                },
            }
        };
        // What is being written is finished, so that nothing is left half-written.
        while work.join_next().await.is_some() {}
        Ok(end)
    }

    /// Tenants with approved entries, and tenants with a folder.
    fn known_tenants(&self, store: &Store) -> Result<BTreeSet<String>, StoreError> {
        let mut tenants = BTreeSet::new();
        store.answers(None, |tenant, _, _| {
            if !tenants.contains(tenant) {
                tenants.insert(tenant.to_owned());
            }
            true
        })?;
        // A folder that cannot be listed has nothing in it that could be used.
        for entry in fs::read_dir(&self.0.dir).into_iter().flatten().flatten() {
            tenants.extend(entry.file_name().into_string().ok());
        }
        Ok(tenants)
    }

    /// Begins what is due, a tenant at a time.
    fn begin(&self, store: &Store, due: &mut BTreeMap<String, Due>, work: &mut JoinSet<Done>) {
        let now = Instant::now();
        for (tenant, due) in due.iter_mut() {
            if work.len() >= AT_WORK {
                return;
            }
            if due.at_work || due.next(now).is_none_or(|at| at > now) {
                continue;
            }
            due.at_work = true;
            due.after = None;
            let shelf = self.shelf(tenant);
            let (library, store, tenant) = (self.clone(), store.clone(), tenant.clone());
            if due.compare || !due.changes.is_empty() {
                let (compare, changes) = (std::mem::take(&mut due.compare), std::mem::take(&mut due.changes));
                shelf.pending.store(changes.len(), Ordering::Relaxed);
                work.spawn_blocking(move || {
                    let result = library.take_in(&store, &tenant, &shelf, compare, changes);
                    (tenant, result.map(|()| true).map_err(|error| error.to_string()))
                });
            } else {
                due.learn_at = None;
                work.spawn_blocking(move || {
                    let result = learn(&tenant, &shelf).map(|()| false);
                    (tenant, result.map_err(|error| error.to_string()))
                });
            }
        }
    }

    fn done(&self, (tenant, result): Done, due: &mut BTreeMap<String, Due>) {
        let due = due.entry(tenant.clone()).or_default();
        due.at_work = false;
        match result {
            Ok(true) => due.learn_at = Some(Instant::now() + QUIET),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error, tenant, "a search base could not be changed; it is compared with the log again");
                *lock(&self.shelf(&tenant).base) = None;
                due.compare = true;
                due.after = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Brings a base up to date: with the whole list, if `compare`, and with these changes.
    fn take_in(
        &self,
        store: &Store,
        tenant: &str,
        shelf: &Shelf,
        compare: bool,
        changes: BTreeMap<String, Option<ApprovedEntry>>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut held = lock(&shelf.base);
        let base = match &mut *held {
            Some(base) => base,
            none => none.insert(self.open(tenant)?),
        };
        // From now on it shows whatever the base has.
        *lock(&shelf.reader) = Some(base.reader());
        shelf.entries.store(base.entries().count(), Ordering::Relaxed);
        let mut wanted: Vec<Change> = Vec::new();
        if compare {
            let mut known: BTreeMap<String, u64> =
                base.entries().map(|(id, version)| (id.to_owned(), version)).collect();
            store.answers(Some(tenant), |_, id, entry| {
                if known.remove(id) != Some(entry.entry_version) {
                    wanted.push(Change::Put(text_of(id, entry)));
                }
                true
            })?;
            wanted.extend(known.into_keys().map(Change::Remove));
        }
        wanted.extend(changes.into_iter().map(|(id, entry)| match entry {
            Some(entry) => Change::Put(text_of(&id, entry)),
            None => Change::Remove(id),
        }));
        let total = wanted.len();
        if total > CHUNK {
            tracing::info!(tenant, entries = total, "takes entries into the search base");
        }
        let embed = self.0.embeddings.clone().map(|embeddings| {
            move |texts: &[&str], role: Role| -> Result<Vec<Vec<f32>>, EmbedError> {
                embeddings.embed_all(texts, role, |_| {})
            }
        });
        let mut left = total;
        while !wanted.is_empty() {
            let chunk: Vec<Change> = wanted.drain(..CHUNK.min(wanted.len())).collect();
            left -= chunk.len();
            base.apply(chunk, embed.as_ref().map(|embed| embed as &Embed<'_>), &|_, _| {})?;
            shelf.entries.store(base.entries().count(), Ordering::Relaxed);
            shelf.pending.store(left, Ordering::Relaxed);
            if total > CHUNK {
                tracing::info!(tenant, done = total - left, of = total, "search base");
            }
        }
        Ok(())
    }

    /// Opens a base, or begins a new one where there is none that can be used.
    fn open(&self, tenant: &str) -> Result<Base, Box<dyn std::error::Error + Send + Sync>> {
        let dir = self.0.dir.join(tenant);
        let model = self.0.embeddings.as_ref().map(|embeddings| embeddings.identity());
        match Base::open(&dir, model) {
            Ok(base) => Ok(base),
            Err(error) => {
                tracing::warn!(%error, tenant, "the search base is built anew");
                remove(&dir)?;
                Ok(Base::open(&dir, model)?)
            }
        }
    }
}

impl Due {
    /// When there is something to do; `None`: nothing.
    fn next(&self, now: Instant) -> Option<Instant> {
        let is_behind = self.compare || !self.changes.is_empty();
        is_behind.then(|| self.after.map_or(now, |after| after.max(now))).or(self.learn_at)
    }
}

fn learn(tenant: &str, shelf: &Shelf) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut held = lock(&shelf.base);
    let Some(base) = &mut *held else { return Ok(()) };
    base.train()?;
    tracing::debug!(tenant, "the search base has learnt from what it holds");
    Ok(())
}

fn text_of(id: &str, entry: ApprovedEntry) -> EntryText {
    let EntryContent { question, similar, answer, language, .. } = entry.content;
    EntryText { id: id.to_owned(), entry_version: entry.entry_version, question, similar, answer, language }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is behind these locks is whole after every change: a poisoned one is of no meaning.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
