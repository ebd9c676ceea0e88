//! The tenants' search bases, and what changes them.
//!
//! One task follows the list of approved entries; what changes is applied in small portions, a tenant at a time, on a thread
//! that may wait, while readers go on with what was there. The tenant that was served longest ago comes first, so that a
//! tenant who imports a hundred thousand entries holds nobody up. Some time after the last change a base learns from what it
//! holds.

use super::models::Models;
use crate::{
    search::{
        base::{Base, BaseError, Change, Embed, EntryText, Reader},
        embed::{EmbedError, Embeddings, Role},
        text::Language,
    },
    store::{ANSWERS, ApprovedEntry, Store, StoreError, tenant_and_key},
};
use kefu_events::faq::EntryContent;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
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
/// Tenants that are worked on at once: one may learn while another takes entries in.
const AT_WORK: usize = 2;
/// After a failure of the store or of the disk.
const PAUSE: Duration = Duration::from_secs(5);
/// Entries that are applied at a time, so that the first of many answer before the last are read, and others have their turn.
const PORTION: usize = 16;

/// All tenants' bases. Cheap to clone.
#[derive(Clone)]
pub struct Library(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    models: Models,
    shelves: Mutex<BTreeMap<String, Arc<Shelf>>>,
}

/// One tenant's base.
#[derive(Default)]
struct Shelf {
    shown: Mutex<Option<Shown>>,
    entries: AtomicUsize,
    /// Who changes it holds this.
    base: Mutex<Option<Kept>>,
    pending: AtomicUsize,
}

/// A base, for asking, with what turns questions into vectors for it (`None`: words alone).
#[derive(Clone)]
pub struct Shown {
    /// Asks.
    pub reader: Reader,
    /// The model of its vectors.
    pub embeddings: Option<Arc<Embeddings>>,
}

/// A base, for changing.
struct Kept {
    /// Tells it from one that was opened before or after: what was learned from another is of no use.
    opened: Arc<()>,
    base: Base,
    embeddings: Option<Arc<Embeddings>>,
    all_english: bool,
    /// Everything that is approved was taken in once.
    is_whole: bool,
    /// Questions are looked up in it.
    is_shown: bool,
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
    /// When it was its turn last.
    served: Option<Instant>,
    /// Changes are being taken in.
    at_work: bool,
    /// It is learned from aside, while changes are taken in.
    learning: bool,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What became of the work on a base.
enum Done {
    /// Changes were taken in; these are left.
    TookIn(BTreeMap<String, Option<ApprovedEntry>>),
    /// It must be compared with the whole list: it is of another model now.
    Reopened,
    /// Something was learned, or not.
    Learnt(Result<(), Failure>),
}

impl Library {
    /// Bases in this folder. Nothing is in them before [`run`](Self::run).
    pub fn new(dir: PathBuf, models: Models) -> Self {
        Self(Arc::new(Inner { dir, models, shelves: Mutex::default() }))
    }

    /// Tenants that have a base.
    pub fn tenants(&self) -> Vec<String> {
        let shelves = self.shelves();
        let has_entries = |shelf: &Shelf| shelf.entries.load(Ordering::Relaxed) > 0;
        shelves.iter().filter(|(_, shelf)| has_entries(shelf)).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// A tenant's base, for asking; `None`: it has no approved entry, or none yet.
    pub fn shown(&self, tenant: &str) -> Option<Shown> {
        let shelf = self.shelves().get(tenant)?.clone();
        lock(&shelf.shown).clone().filter(|_| shelf.entries.load(Ordering::Relaxed) > 0)
    }

    /// Where each tenant's base stands.
    pub fn status(&self) -> BTreeMap<String, BaseStatus> {
        let of = |shelf: &Shelf| BaseStatus {
            entries: shelf.entries.load(Ordering::Relaxed),
            pending: shelf.pending.load(Ordering::Relaxed),
        };
        self.shelves().iter().map(|(tenant, shelf)| (tenant.clone(), of(shelf))).collect()
    }

    /// What turns texts into vectors.
    pub fn models(&self) -> &Models {
        &self.0.models
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
        let mut work: JoinSet<(String, Result<Done, Failure>)> = JoinSet::new();
        let end = loop {
            self.begin(store, &mut due, &mut work);
            let now = Instant::now();
            let may_learn = !due.values().any(|due| due.learning);
            let next = due.values().filter_map(|due| due.next(now, may_learn)).min();
            let wait = next.unwrap_or(now + Duration::from_secs(3_600));
            tokio::select! {
                _ = stopped.changed() => break true,
                Some(done) = work.join_next(), if !work.is_empty() => match done {
                    Ok((tenant, done)) => self.done(&tenant, done, due.entry(tenant.clone()).or_default()),
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

    /// Begins what is due, of the tenant that was served longest ago first.
    fn begin(
        &self,
        store: &Store,
        due: &mut BTreeMap<String, Due>,
        work: &mut JoinSet<(String, Result<Done, Failure>)>,
    ) {
        while work.len() < AT_WORK {
            let now = Instant::now();
            // One learns at a time, so that there is always room for changes.
            let may_learn = !due.values().any(|due| due.learning);
            let ready = due.iter_mut().filter(|(_, due)| due.next(now, may_learn).is_some_and(|at| at <= now));
            let Some((tenant, due)) = ready.min_by_key(|(_, due)| due.served) else { return };
            (due.after, due.served) = (None, Some(now));
            let (library, store, tenant) = (self.clone(), store.clone(), tenant.clone());
            let shelf = self.shelf(&tenant);
            if due.is_behind() {
                due.at_work = true;
                let (compare, changes) = (std::mem::take(&mut due.compare), std::mem::take(&mut due.changes));
                shelf.pending.store(changes.len(), Ordering::Relaxed);
                work.spawn_blocking(move || {
                    let done = caught(|| library.take_in(&store, &tenant, &shelf, compare, changes));
                    (tenant, done)
                });
            } else {
                (due.learn_at, due.learning) = (None, true);
                work.spawn_blocking(move || {
                    let done = Done::Learnt(caught(|| learn(&tenant, &shelf)));
                    (tenant, Ok(done))
                });
            }
        }
    }

    fn done(&self, tenant: &str, done: Result<Done, Failure>, due: &mut Due) {
        match done {
            Ok(Done::TookIn(left)) => {
                due.at_work = false;
                // What has come meanwhile is newer.
                for (id, entry) in left {
                    due.changes.entry(id).or_insert(entry);
                }
                due.learn_at = Some(Instant::now() + QUIET);
            }
            Ok(Done::Reopened) => (due.at_work, due.compare) = (false, true),
            Ok(Done::Learnt(result)) => {
                due.learning = false;
                if let Err(error) = result {
                    tracing::error!(%error, tenant, "nothing was learned from a search base; it answers as before");
                }
            }
            Err(error) => {
                due.at_work = false;
                tracing::error!(%error, tenant, "a search base could not be changed; it is compared with the log again");
                *lock(&self.shelf(tenant).base) = None;
                due.compare = true;
                due.after = Some(Instant::now() + PAUSE);
            }
        }
    }

    /// Brings a base nearer to what is approved: compares it with the whole list, if `compare`, and takes a portion of what
    /// has changed in.
    fn take_in(
        &self,
        store: &Store,
        tenant: &str,
        shelf: &Shelf,
        compare: bool,
        mut changes: BTreeMap<String, Option<ApprovedEntry>>,
    ) -> Result<Done, Failure> {
        let mut held = lock(&shelf.base);
        let kept = match &mut *held {
            Some(kept) => kept,
            none => {
                let all_english = all_english(store, tenant)?;
                none.insert(self.open(tenant, all_english)?)
            }
        };
        if kept.all_english && !changes.values().flatten().all(is_english) {
            // The model for English cannot tell other languages apart. What was there answers until it is built anew.
            let reopened = self.open(tenant, false)?;
            *kept = reopened;
            return Ok(Done::Reopened);
        }
        if compare {
            let mut known: BTreeMap<String, u64> =
                kept.base.entries().map(|(id, version)| (id.to_owned(), version)).collect();
            store.answers(Some(tenant), |_, id, entry| {
                if known.remove(id) != Some(entry.entry_version) {
                    changes.entry(id.to_owned()).or_insert(Some(entry));
                }
                true
            })?;
            for id in known.into_keys() {
                changes.entry(id).or_insert(None);
            }
            if changes.len() > PORTION {
                tracing::info!(tenant, entries = changes.len(), "takes entries into the search base");
            }
        }
        let left = changes.keys().nth(PORTION).cloned().map(|next| changes.split_off(&next)).unwrap_or_default();
        let portion = changes.into_iter().map(|(id, entry)| match entry {
            Some(entry) => Change::Put(text_of(&id, entry)),
            None => Change::Remove(id),
        });
        let embed = kept.embeddings.clone().map(|embeddings| {
            move |texts: &[&str], role: Role| -> Result<Vec<Vec<f32>>, EmbedError> {
                embeddings.embed_all(texts, role, |_| {})
            }
        });
        kept.base.apply(portion.collect(), embed.as_ref().map(|embed| embed as &Embed<'_>), &|_, _| {})?;
        kept.is_whole |= left.is_empty();
        let mut shown = lock(&shelf.shown);
        // A part of the entries is better than none, and worse than all of them by the model of before.
        if kept.is_whole || kept.is_shown || shown.is_none() {
            kept.is_shown = true;
            *shown = Some(Shown { reader: kept.base.reader(), embeddings: kept.embeddings.clone() });
            shelf.entries.store(kept.base.entries().count(), Ordering::Relaxed);
        }
        drop(shown);
        shelf.pending.store(left.len(), Ordering::Relaxed);
        Ok(Done::TookIn(left))
    }

    /// Opens a base, or begins a new one where there is none that can be used.
    fn open(&self, tenant: &str, all_english: bool) -> Result<Kept, Failure> {
        let dir = self.0.dir.join(tenant);
        let embeddings = self.0.models.choose(all_english);
        let model = embeddings.as_ref().map(|embeddings| embeddings.identity());
        let base = match Base::open(&dir, model) {
            Err(error) if BaseError::is_rebuild(&error) => {
                match error {
                    // Entries in another language have come, or another version of kefu.
                    BaseError::OtherIdentity => {
                        tracing::info!(tenant, "the search base is built anew for another model or version")
                    }
                    error => tracing::warn!(%error, tenant, "the search base is built anew"),
                }
                remove(&dir)?;
                Base::open(&dir, model)?
            }
            base => base?,
        };
        Ok(Kept { opened: Arc::default(), base, embeddings, all_english, is_whole: false, is_shown: false })
    }
}

impl Due {
    fn is_behind(&self) -> bool {
        self.compare || !self.changes.is_empty()
    }

    /// When there is something to do that can be done; `None`: nothing.
    fn next(&self, now: Instant, may_learn: bool) -> Option<Instant> {
        if self.at_work {
            return None;
        }
        if self.is_behind() {
            return Some(self.after.map_or(now, |after| after.max(now)));
        }
        self.learn_at.filter(|_| may_learn)
    }
}

/// Does it, a panic being a failure like any other: the base would count as being worked on for ever.
fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of a kind that says nothing")).into())
    })
}

fn learn(tenant: &str, shelf: &Shelf) -> Result<(), Failure> {
    let held = lock(&shelf.base);
    let Some(lesson) = held.as_ref().map(|kept| (kept.opened.clone(), kept.base.lesson())) else { return Ok(()) };
    drop(held);
    let (opened, lesson) = lesson;
    let learned = lesson.learn(&[])?;
    let mut held = lock(&shelf.base);
    let Some(kept) = held.as_mut().filter(|kept| Arc::ptr_eq(&kept.opened, &opened)) else { return Ok(()) };
    kept.base.take_up(learned)?;
    tracing::debug!(tenant, "the search base has learnt from what it holds");
    Ok(())
}

fn all_english(store: &Store, tenant: &str) -> Result<bool, StoreError> {
    let mut all = true;
    store.answers(Some(tenant), |_, _, entry| {
        all = is_english(&entry);
        all
    })?;
    Ok(all)
}

fn is_english(entry: &ApprovedEntry) -> bool {
    match &entry.content.language {
        Some(tag) => tag.split('-').next().is_some_and(|language| language.eq_ignore_ascii_case("en")),
        None => Language::of(&entry.content.question) == Language::English,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_whose_work_panicked_is_worked_on_again() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().to_owned(), Models::default());
        let mut due = Due { at_work: true, ..Due::default() };
        library.done("demo", caught(|| panic!("in the middle")), &mut due);
        assert!(due.next(Instant::now(), true).is_some() && due.compare, "it is compared with the log again");
        let mut due = Due { learning: true, ..Due::default() };
        library.done("demo", Ok(Done::Learnt(caught(|| panic!("in {}", "between")))), &mut due);
        assert!(!due.learning);
    }
}
