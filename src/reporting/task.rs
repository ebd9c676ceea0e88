//! Feeds the rollup: a task follows the log, and a thread of low priority folds and writes, so that nobody's message waits for it.
//!
//! A rebuild is a second one of these beside the first: the old figures are kept up to date and served until the new ones have caught
//! up; then the new ones take their place.

use super::rollup::{GENERATIONS, NAME, Rollup, VERSION};
use crate::{
    journal::{Journal, JournalError, Recorded},
    runtime::{
        follow::{FollowError, Portion, follow},
        polite::politely,
        projector::compare,
    },
    store::{DecodedCommit, Folds, Store, StoreError, StoreWriter},
};
use serde::Serialize;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Portions on their way to the rollup. Beyond that the log waits where it is.
const ON_THE_WAY: usize = 64;
/// Between two writes: figures are about so much behind. Each write reads and writes every cell that something was added to.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Commits in one write, at most, while it is far behind.
const MAX_UNWRITTEN: usize = 262_144;
/// Bytes of a write, about, at most.
const MAX_UNWRITTEN_BYTES: usize = 64 * 1024 * 1024;
/// After a failure of the bus or of the disk.
const PAUSE: Duration = Duration::from_secs(1);
/// Commits that a rebuild may be behind the store when it takes the old figures' place.
const CAUGHT_UP: u64 = 5_000;

/// How far the figures are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReportingStatus {
    /// The last commit that is in the figures.
    pub seq: u64,
    /// The last commit of the log when they were opened: until then they are being built.
    pub end: u64,
    /// A rebuild under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<Rebuild>,
    /// How many rebuilds have ended since the start.
    pub rebuilt: u64,
    /// How many have failed since the start, and left the figures as they were.
    pub failed: u64,
    /// Whether they have been opened.
    #[serde(skip)]
    opened: bool,
}

impl ReportingStatus {
    /// Whether they are being built for the first time: there is nothing that could be served beside a rebuild.
    fn is_first_build(&self) -> bool {
        !self.opened || self.seq < self.end
    }
}

/// Why nothing is built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRebuild {
    /// They are being built for the first time.
    #[error("the figures are still being read out of the log for the first time: there is nothing to be built anew")]
    FirstBuild,
    /// One is under way.
    #[error("the figures are being built anew already")]
    UnderWay,
}

/// A rebuild under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    /// The last commit that it has read.
    pub seq: u64,
    /// Where it began to count as caught up.
    pub end: u64,
}

/// Says how far the figures are, and has them built anew. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    status: Arc<Mutex<ReportingStatus>>,
    rebuilds: mpsc::Sender<()>,
}

impl Default for Progress {
    /// Of figures that nobody feeds.
    fn default() -> Self {
        Self { status: Arc::default(), rebuilds: mpsc::channel(1).0 }
    }
}

impl Progress {
    /// How far the figures are.
    pub fn status(&self) -> ReportingStatus {
        self.lock().clone()
    }

    /// Has them built anew from the whole log.
    ///
    /// # Errors
    /// See [`NoRebuild`].
    pub fn rebuild(&self) -> Result<(), NoRebuild> {
        let status = self.lock();
        if status.is_first_build() {
            return Err(NoRebuild::FirstBuild);
        }
        // The channel holds one, and is full while one is asked for.
        let begins = status.rebuild.is_none() && self.rebuilds.try_send(()).is_ok();
        begins.then_some(()).ok_or(NoRebuild::UnderWay)
    }

    /// What is behind this lock is whole after every change: a poisoned one is of no meaning.
    fn lock(&self) -> MutexGuard<'_, ReportingStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task.
pub struct ReportingTask {
    progress: Progress,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl ReportingTask {
    /// Starts it.
    pub fn start<J: Journal>(journal: J, store: Store) -> Self {
        let (rebuilds, requests) = mpsc::channel(1);
        let progress = Progress { status: Arc::default(), rebuilds };
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper { journal, store, progress: progress.clone(), stopped };
        let task = tokio::spawn(keeper.run(requests));
        Self { progress, stop, task }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Writes what has been folded, and ends; what is on its way is read from the log again.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

/// Why feeding ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the folding thread has ended")]
    Thread,
}

struct Keeper<J> {
    journal: J,
    store: Store,
    progress: Progress,
    stopped: watch::Receiver<bool>,
}

impl<J: Journal> Keeper<J> {
    async fn run(mut self, mut requests: mpsc::Receiver<()>) {
        let mut generation = None;
        loop {
            match self.keep(&mut generation, &mut requests).await {
                Ok(false) => break,
                Ok(true) => continue,
                Err(error) => tracing::warn!(%error, "reports are behind; tries again"),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = self.stopped.changed() => break,
            }
        }
    }

    /// Until it is told to stop (`false`), or a rebuild has taken the place of what it kept (`true`).
    async fn keep(&mut self, generation: &mut Option<u32>, requests: &mut mpsc::Receiver<()>) -> Result<bool, Broken> {
        let current = match *generation {
            Some(generation) => generation,
            None => self.stored_generation()?,
        };
        *generation = Some(current);
        let mut feed = self.start(current, true).await?;
        let mut stopped = self.stopped.clone();
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => return feed.stop().await.map(|()| false),
                ended = feed.ended() => return ended.and(Err(Broken::Thread)),
                Some(()) = requests.recv() => {}
            }
            // It may have had to begin anew since that was asked for. Beside a first build, what is built anew would be dropped as
            // an older version of it.
            if !self.progress.lock().is_first_build() {
                break;
            }
            self.progress.lock().failed += 1;
            tracing::warn!("reports are not built anew: they are still being built");
        }
        let next = (current + 1) % GENERATIONS;
        let built = self.build_beside(&mut feed, next).await;
        self.progress.lock().rebuild = None;
        // Two that write into one generation would count twice: whatever has happened, this one has ended before another begins.
        let ended = feed.stop().await;
        match built {
            Ok(true) => {
                *generation = Some(next);
                self.progress.lock().rebuilt += 1;
                tracing::info!("reports have been built anew");
                Ok(true)
            }
            Ok(false) => ended.map(|()| false),
            Err(error) => {
                self.progress.lock().failed += 1;
                tracing::error!(%error, "reports could not be built anew");
                // Which of the two is there is looked up.
                *generation = None;
                Err(error)
            }
        }
    }

    /// Builds a generation beside the one that is fed here, up to where it has taken its place; `false`: it was told to stop. The new
    /// one is not fed any more when this comes back.
    async fn build_beside(&self, feed: &mut Feed, next: u32) -> Result<bool, Broken> {
        let mut new = self.start(next, false).await?;
        tracing::info!(to = self.store.last_folded(), "reports are built anew");
        let mut stopped = self.stopped.clone();
        let caught_up = tokio::select! {
            biased;
            _ = stopped.changed() => Ok(false),
            ended = feed.ended() => ended.and(Err(Broken::Thread)),
            caught_up = self.catch_up(&mut new) => caught_up.map(|()| true),
        };
        let placed = match caught_up {
            // Nobody may write into what is dropped now.
            Ok(true) => match feed.stop().await {
                Ok(()) => new.take_place().await.map(|()| true),
                Err(error) => Err(error),
            },
            other => other,
        };
        // Why its thread ended says more than that it has.
        let ended = new.stop().await;
        match placed {
            Err(Broken::Thread) => ended.and(Err(Broken::Thread)),
            Err(error) => Err(error),
            Ok(placed) => ended.map(|()| placed),
        }
    }

    /// Until the new figures have read nearly as much as the store.
    async fn catch_up(&self, new: &mut Feed) -> Result<(), Broken> {
        loop {
            let (seq, end) = (*new.seq.borrow_and_update(), self.store.last_folded());
            self.progress.lock().rebuild = Some(Rebuild { seq, end });
            if seq + CAUGHT_UP >= end {
                return Ok(());
            }
            tokio::select! {
                changed = new.seq.changed() => changed.map_err(|_| Broken::Thread)?,
            }
        }
    }

    /// The last one that was built; 0 where none was.
    fn stored_generation(&self) -> Result<u32, Broken> {
        let stored = self.store.stored_versions(NAME)?;
        let built = stored.into_iter().filter(|(version, built)| *built && version / GENERATIONS == VERSION);
        Ok(built.map(|(version, _)| version % GENERATIONS).max().unwrap_or(0))
    }

    /// Opens a generation and begins to feed it. One that is served alone drops what else there is of older ones.
    async fn start(&self, generation: u32, alone: bool) -> Result<Feed, Broken> {
        // Nobody can be served before the store is there, and everybody without reports.
        let log = self.journal.position().await?;
        let mut projected = self.store.watch_projected();
        let mut stopped = self.stopped.clone();
        tokio::select! {
            _ = stopped.changed() => {}
            reached = projected.wait_for(|seq| *seq >= log.last) => drop(reached.map_err(|_| FollowError::ReadAnew)?),
        }
        let store = self.store.clone();
        let open = move || store.beside(vec![Box::new(Rollup::new(generation))]);
        let mut writer = tokio::task::spawn_blocking(open).await.map_err(|_| Broken::Thread)??;
        for (id, checkpoint) in writer.checkpoints() {
            if let Some(checkpoint) = checkpoint
                && let Some(reason) = compare(&self.journal, &log, &checkpoint).await?
            {
                writer.reset(&id, &reason)?;
            }
        }
        if alone {
            writer.drop_older_versions()?;
        }
        writer.follow(&log.identity, if alone { log.last } else { u64::MAX })?;
        let after = writer.start();
        if alone {
            let mut status = self.progress.lock();
            (status.seq, status.end, status.opened) = (after, log.last, true);
        }
        let (send, receive) = mpsc::channel(ON_THE_WAY);
        let (seq, seen) = watch::channel(after);
        let (finish, finished) = mpsc::channel(1);
        let (stop, mut stopping) = watch::channel(false);
        let status = self.progress.clone();
        let folder = Folder {
            folds: Folds::all(),
            writer,
            identity: log.identity,
            seq,
            status,
            alone,
            handle: Handle::current(),
            finished,
            stopping: stopping.clone(),
        };
        let thread = politely("reporting", move || folder.run(receive))?;
        let (journal, store) = (self.journal.clone(), self.store.clone());
        let task = tokio::spawn(async move {
            let ended = tokio::select! {
                biased;
                _ = stopping.changed() => Ok(()),
                Err(error) = follow(&journal, &store, after, &send) => Err(Broken::from(error)),
            };
            drop(send);
            match tokio::task::spawn_blocking(move || thread.join()).await {
                Ok(Ok(Err(error))) => Err(error.into()),
                Ok(Ok(Ok(()))) => ended,
                _ => Err(Broken::Thread),
            }
        });
        Ok(Feed { task: Some(task), stop, seq: seen, finish })
    }
}

/// A generation that is being fed.
struct Feed {
    /// `None`: it has ended.
    task: Option<JoinHandle<Result<(), Broken>>>,
    stop: watch::Sender<bool>,
    seq: watch::Receiver<u64>,
    finish: mpsc::Sender<oneshot::Sender<()>>,
}

impl Feed {
    /// Until it ends; nothing is written any more then.
    async fn ended(&mut self) -> Result<(), Broken> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let ended = task.await.unwrap_or(Err(Broken::Thread));
        self.task = None;
        ended
    }

    async fn stop(&mut self) -> Result<(), Broken> {
        let _ = self.stop.send(true);
        self.ended().await
    }

    /// It is served from now on, and what was served before is dropped.
    async fn take_place(&mut self) -> Result<(), Broken> {
        let (done, is_done) = oneshot::channel();
        self.finish.send(done).await.map_err(|_| Broken::Thread)?;
        is_done.await.map_err(|_| Broken::Thread)
    }
}

/// The thread that folds and writes.
struct Folder {
    folds: Folds,
    writer: StoreWriter,
    identity: String,
    seq: watch::Sender<u64>,
    status: Progress,
    alone: bool,
    handle: Handle,
    finished: mpsc::Receiver<oneshot::Sender<()>>,
    stopping: watch::Receiver<bool>,
}

enum Next {
    Portion(Option<Portion>),
    Finish(oneshot::Sender<()>),
    Write,
}

impl Folder {
    fn run(mut self, mut receive: mpsc::Receiver<Portion>) -> Result<(), StoreError> {
        let mut written = Instant::now();
        while !*self.stopping.borrow() {
            match self.next(&mut receive, written) {
                Next::Portion(None) => break,
                Next::Portion(Some(portion)) => {
                    if self.writer.unwritten() == 0 {
                        written = Instant::now();
                    }
                    match portion {
                        Portion::Read(recorded) => self.fold_recorded(&recorded)?,
                        Portion::Folded(commits, known) => self.writer.fold(&commits[known..])?,
                    }
                    let is_large = self.writer.unwritten() >= MAX_UNWRITTEN
                        || self.writer.unwritten_bytes() >= MAX_UNWRITTEN_BYTES;
                    if is_large {
                        self.write()?;
                    }
                }
                Next::Write => self.write()?,
                Next::Finish(done) => {
                    self.write()?;
                    let last = self.writer.start();
                    self.writer.follow(&self.identity, last)?;
                    self.alone = true;
                    let _ = done.send(()); // nobody waits any more
                }
            }
        }
        self.write()?;
        self.writer.flush()
    }

    fn next(&mut self, receive: &mut mpsc::Receiver<Portion>, written: Instant) -> Next {
        if let Ok(portion) = receive.try_recv() {
            return Next::Portion(Some(portion));
        }
        let waits = self.writer.unwritten() > 0;
        let left = WRITE_EVERY.saturating_sub(written.elapsed());
        let finished = &mut self.finished;
        self.handle.block_on(async {
            tokio::select! {
                portion = receive.recv() => Next::Portion(portion),
                Some(done) = finished.recv() => Next::Finish(done),
                () = tokio::time::sleep(left), if waits => Next::Write,
            }
        })
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.writer.write()?;
        let seq = self.writer.start();
        if self.alone {
            self.status.lock().seq = seq;
        }
        self.seq.send_replace(seq);
        Ok(())
    }

    fn fold_recorded(&mut self, recorded: &[Recorded]) -> Result<(), StoreError> {
        let decode = |one: &Recorded| DecodedCommit::decode(&self.folds, one.seq, &one.subject, &one.payload);
        let commits = recorded.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
        self.writer.fold(&commits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::memory::{Fault, MemoryJournal},
        store::tests::{options, traffic::traffic},
    };
    use std::collections::BTreeMap;

    type Commits = [(String, Vec<u8>)];

    fn append(journal: &MemoryJournal, writer: &mut StoreWriter, commits: &Commits) {
        let folds = writer.folds();
        let append = |(subject, payload): &(String, Vec<u8>)| {
            let seq = journal.core(|core| {
                let expected = core.last(subject).unwrap().map_or(0, |last| last.seq);
                core.append(subject, expected, payload.clone().into(), Default::default()).unwrap()
            });
            DecodedCommit::decode(&folds, seq, subject, payload).unwrap()
        };
        let commits: Vec<DecodedCommit> = commits.iter().map(append).collect();
        writer.fold(&commits).unwrap();
        writer.write().unwrap();
        writer.pass_on(commits);
    }

    async fn until(what: &str, progress: &Progress, is: impl Fn(&ReportingStatus) -> bool) {
        let reached = async {
            while !is(&progress.status()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect(what);
    }

    fn stored(store: &Store) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
        let view = store.view(NAME).expect("figures that were built");
        let family = |family| {
            let mut found = BTreeMap::new();
            let all = view.scan(family, b"", b"", |key, value| found.insert(key.to_vec(), value.to_vec()).is_none());
            all.unwrap();
            found
        };
        (0..6).map(family).collect()
    }

    /// What is stored after all of these, the second half of which come when `happens` is done.
    async fn stored_after<F: Future<Output = ()>>(
        commits: &Commits,
        happens: impl FnOnce(MemoryJournal, Progress) -> F,
    ) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
        let (dir, journal) = (tempfile::tempdir().unwrap(), MemoryJournal::default());
        let (store, mut writer) = Store::open(&dir.path().join("store"), &options(), Folds::all(), Vec::new()).unwrap();
        let (first, second) = commits.split_at(commits.len() / 2);
        append(&journal, &mut writer, first);
        let task = ReportingTask::start(journal.clone(), store.clone());
        let progress = task.progress();
        until("the first half", &progress, |status| status.seq == first.len() as u64).await;
        happens(journal.clone(), progress.clone()).await;
        for portion in second.chunks(50) {
            append(&journal, &mut writer, portion);
        }
        until("all of it", &progress, |status| status.seq == commits.len() as u64).await;
        task.stop().await;
        stored(&store)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn after_a_rebuild_that_failed_no_commit_counts_twice_and_it_is_known_that_it_failed() {
        let commits = traffic(40, 10);
        let undisturbed = stored_after(&commits, |_, _| async {}).await;
        let disturbed = stored_after(&commits, |journal, progress| async move {
            journal.inject(Fault::Unavailable);
            progress.rebuild().unwrap();
            until("a failure", &progress, |status| status.failed == 1).await;
            assert_eq!((progress.status().rebuilt, progress.status().rebuild), (0, None));
        })
        .await;
        assert!(disturbed == undisturbed);
        let anew = stored_after(&commits, |_, progress| async move {
            progress.rebuild().unwrap();
            until("a rebuild", &progress, |status| status.rebuilt == 1).await;
        })
        .await;
        assert!(anew == undisturbed);
    }

    #[test]
    fn nothing_is_built_anew_beside_the_first_build_which_would_drop_it() {
        let (rebuilds, mut requests) = mpsc::channel(1);
        let progress = Progress { status: Arc::default(), rebuilds };
        assert_eq!(progress.rebuild(), Err(NoRebuild::FirstBuild), "not even opened");
        *progress.lock() = ReportingStatus { seq: 9, end: 10, opened: true, ..ReportingStatus::default() };
        assert_eq!(progress.rebuild(), Err(NoRebuild::FirstBuild));
        assert!(requests.try_recv().is_err());
        progress.lock().seq = 10;
        assert_eq!(progress.rebuild(), Ok(()));
        assert_eq!(progress.rebuild(), Err(NoRebuild::UnderWay));
    }
}
