//! The projector: reads the log, from where the store left off, and feeds the store. One per node.
//!
//! - this file: the connection to the log. It checks the store's checkpoints against the log whenever it begins to read,
//!   and from time to time while it reads, and begins again whenever something breaks;
//! - `pipeline`: two threads and more, which decode, fold and write, so that nothing of it happens on the async
//!   runtime's threads;
//! - `progress`: what it tells people while it reads.
//!
//! It may not know what the commits say, nor where the store keeps what.

mod pipeline;
mod progress;
#[cfg(test)]
mod tests;

pub use progress::{Progress, ProjectorState};

use crate::{
    journal::{Journal, JournalError, LogPosition, Recorded},
    store::{Checkpoint, Relay, Store, StoreError, StoreWriter, commit_id_of},
};
use futures::StreamExt;
use pipeline::Pipeline;
use progress::Meter;
use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle, time};

/// Commits handed on at once: enough to make the hand-over cheap, few enough to be in the cache of one core.
const CHUNK_COMMITS: usize = 512;

/// How the projector works. The defaults suit every machine that was measured.
#[derive(Debug, Clone)]
pub struct ProjectorOptions {
    /// Commits in one write, at most. An aggregate's snapshot is written once per write, so larger ones save work; but
    /// progress is only seen from write to write.
    pub max_batch_commits: usize,
    /// Bytes in one write, about, at most.
    pub max_batch_bytes: usize,
    /// How long a write waits for more commits while the projector is behind. When it is not, a write waits five milliseconds.
    pub linger: Duration,
    /// JSON bytes of commits that were read and not yet folded, at most: the log is read no faster than that.
    pub max_unfolded_bytes: usize,
    /// How often the log's end is asked for and the last checkpoint compared with the log.
    pub check_every: Duration,
    /// First and longest pause before trying again when the bus or the disk fails.
    pub retry: (Duration, Duration),
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            max_batch_commits: 131_072,
            max_batch_bytes: 64 * 1024 * 1024,
            linger: Duration::from_millis(10),
            max_unfolded_bytes: 16 * 1024 * 1024,
            check_every: Duration::from_secs(2),
            retry: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

/// Why the projector gave up. Everything else is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectorError {
    /// The store cannot go on: see the error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus says no for good.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A defect.
    #[error("the projector's threads have ended: {0}")]
    Broken(String),
}

/// A running projector.
#[derive(Debug)]
pub struct Projector {
    progress: watch::Receiver<Progress>,
    log: Arc<Relay<Recorded>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), ProjectorError>>,
}

impl Projector {
    /// Begins to feed the store.
    pub fn start<J: Journal>(journal: J, writer: StoreWriter, options: ProjectorOptions) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (meter, progress) = Meter::new(writer.store().clone());
        let log = Arc::<Relay<Recorded>>::default();
        let reader = Reader { journal, store: writer.store().clone(), log: log.clone(), options, stopping, meter };
        Self { progress, log, stop, task: tokio::spawn(reader.run(writer)) }
    }

    /// The log as it is read, for others who follow it on this node.
    pub fn log(&self) -> Arc<Relay<Recorded>> {
        self.log.clone()
    }

    /// How far it is, to wait for.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Returns when it has given up, with the reason.
    ///
    /// # Errors
    /// See [`ProjectorError`].
    pub async fn ended(&mut self) -> Result<(), ProjectorError> {
        (&mut self.task).await.unwrap_or_else(|error| Err(ProjectorError::Broken(error.to_string())))
    }

    /// Writes what has been read, puts it on disk, and ends.
    ///
    /// # Errors
    /// What was read last could not be written: the next start reads it again.
    pub async fn stop(mut self) -> Result<(), ProjectorError> {
        let _ = self.stop.send(true); // fails if it has ended already
        self.ended().await
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

struct Reader<J> {
    journal: J,
    store: Store,
    log: Arc<Relay<Recorded>>,
    options: ProjectorOptions,
    stopping: watch::Receiver<bool>,
    meter: Meter,
}

impl<J: Journal> Reader<J> {
    async fn run(mut self, writer: StoreWriter) -> Result<(), ProjectorError> {
        let mut pipeline = Pipeline::start(writer, &self.options)?;
        let mut pause = self.options.retry.0;
        let result = loop {
            let before = self.store.projected();
            let error = match self.read(&mut pipeline).await {
                None => break Ok(()),
                Some(error) if !may_pass(&error) => break Err(error),
                Some(error) => error,
            };
            if self.store.projected() > before {
                pause = self.options.retry.0;
            }
            tracing::warn!(%error, retry_in = ?pause, "the log cannot be followed");
            self.meter.waits(error.to_string());
            let mut stopping = self.stopping.clone();
            tokio::select! {
                () = time::sleep(pause) => {}
                _ = stopping.wait_for(|stop| *stop) => break Ok(()),
            }
            pause = (pause * 2).min(self.options.retry.1);
        };
        let flushed = pipeline.stop().await;
        let result = result.and(flushed);
        match &result {
            Ok(()) => self.meter.stopped(),
            Err(error) => {
                tracing::error!(%error, "the projector has given up");
                self.meter.failed(error.to_string());
            }
        }
        result
    }

    /// Checks what is there, and follows the log until it is asked to stop (`None`) or something breaks.
    async fn read(&mut self, pipeline: &mut Pipeline) -> Option<ProjectorError> {
        let mut stopping = self.stopping.clone();
        let stopped = async move {
            // Fails if nobody can stop it any more: then it stops as well.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            () = stopped => None,
            Err(error) = self.follow(pipeline) => Some(error),
        }
    }

    async fn follow(&mut self, pipeline: &mut Pipeline) -> Result<Infallible, ProjectorError> {
        let log = self.begin(pipeline).await?;
        let after = pipeline.call(|writer| Ok(writer.start())).await?;
        self.meter.begins(after, log.last);
        self.log.end();
        self.log.begin(after);
        tracing::info!(after, end = log.last, "following the log");
        let tail = self.journal.tail(after, None).await?;
        let mut chunks = tail.ready_chunks(CHUNK_COMMITS);
        let mut ticks = time::interval(self.options.check_every.min(Meter::INTERVAL));
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut checked = time::Instant::now();
        loop {
            tokio::select! {
                error = pipeline.failed() => return Err(error),
                chunk = chunks.next() => self.take(chunk, pipeline).await?,
                _ = ticks.tick() => {
                    if self.meter.tick() {
                        pipeline.keeps_up();
                    }
                    if checked.elapsed() >= self.options.check_every {
                        self.check(&log.identity, pipeline).await?;
                        checked = time::Instant::now();
                    }
                }
            }
        }
    }

    async fn take(
        &mut self,
        chunk: Option<Vec<Result<Recorded, JournalError>>>,
        pipeline: &mut Pipeline,
    ) -> Result<(), ProjectorError> {
        let ended = || JournalError::Unavailable("the log's tail has ended".to_owned());
        let chunk = chunk.ok_or_else(ended)?;
        let mut failed = None;
        let mut commits = Vec::with_capacity(chunk.len());
        for item in chunk {
            match item {
                Ok(commit) => commits.push(commit),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        self.meter.reads(commits.len());
        // First: they do not wait for the store.
        if let Some(last) = commits.last() {
            self.log.pass_on(last.seq, || commits.clone());
        }
        pipeline.feed(commits).await?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Drops what does not match the log, and says which log it is from now on.
    async fn begin(&mut self, pipeline: &mut Pipeline) -> Result<LogPosition, ProjectorError> {
        let checkpoints = pipeline.restart().await?;
        let log = self.journal.position().await?;
        let mismatches = self.mismatches(&log, checkpoints).await?;
        let (identity, last) = (log.identity.clone(), log.last);
        pipeline
            .call(move |writer| {
                for (projection, reason) in &mismatches {
                    writer.reset(projection, reason)?;
                }
                writer.follow(&identity, last)
            })
            .await?;
        Ok(log)
    }

    /// Whether the log is still the one that was read: a machine that lost power may have lost its last part, and the
    /// connection may have healed since.
    async fn check(&mut self, identity: &str, pipeline: &mut Pipeline) -> Result<(), ProjectorError> {
        let checkpoints = pipeline.call(|writer| Ok(writer.checkpoints())).await?;
        let log = self.journal.position().await?;
        self.meter.log_ends_at(log.last);
        let mismatches = self.mismatches(&log, checkpoints).await?;
        if log.identity == identity && mismatches.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = mismatches.into_iter().map(|(_, reason)| reason).collect();
        Err(JournalError::Unavailable(format!("the log went back: {}", reasons.join("; "))).into())
    }

    /// The projections whose checkpoints do not match the log, with the reason.
    async fn mismatches(
        &self,
        log: &LogPosition,
        checkpoints: Vec<(String, Option<Checkpoint>)>,
    ) -> Result<Vec<(String, String)>, JournalError> {
        let mut stored: BTreeMap<u64, Option<String>> = BTreeMap::new();
        let mut mismatches = Vec::new();
        for (projection, checkpoint) in checkpoints {
            let Some(checkpoint) = checkpoint else { continue };
            let seq = checkpoint.seq;
            if !stored.contains_key(&seq)
                && log.identity == checkpoint.identity
                && (log.first..=log.last).contains(&seq)
            {
                let found = self.journal.read(seq).await?.map(|commit| commit_id_of(&commit.payload));
                stored.insert(seq, found);
            }
            if let Some(reason) = mismatch(log, &checkpoint, stored.get(&seq).and_then(Option::as_deref)) {
                mismatches.push((projection, reason));
            }
        }
        Ok(mismatches)
    }
}

/// What is wrong with a checkpoint, if anything is: where it does not match the log, what follows from it does not either.
///
/// # Errors
/// The log could not be read.
pub async fn compare<J: Journal>(
    journal: &J,
    log: &LogPosition,
    checkpoint: &Checkpoint,
) -> Result<Option<String>, JournalError> {
    let found = if log.identity == checkpoint.identity && (log.first..=log.last).contains(&checkpoint.seq) {
        journal.read(checkpoint.seq).await?.map(|commit| commit_id_of(&commit.payload))
    } else {
        None
    };
    Ok(mismatch(log, checkpoint, found.as_deref()))
}

/// What is wrong with a checkpoint, if anything is. `stored` is the id of the commit that the log has there now.
fn mismatch(log: &LogPosition, checkpoint: &Checkpoint, stored: Option<&str>) -> Option<String> {
    let Checkpoint { identity, seq, commit_id } = checkpoint;
    if *identity != log.identity {
        return Some(format!("it is of log {identity}, and this is log {}", log.identity));
    }
    if *seq > log.last {
        return Some(format!("it has read up to commit {seq}, and the log ends at {}", log.last));
    }
    if *seq < log.first {
        // Archived since. What was read of it is more than could be read again.
        if seq + 1 < log.first {
            tracing::warn!(seq, first = log.first, "commits were archived that had never been read");
        }
        return None;
    }
    match stored {
        Some(stored) if stored == commit_id => None,
        Some(stored) => Some(format!("commit {seq} was {commit_id}, and is {stored} now")),
        None => Some(format!("the log has no commit {seq} any more")),
    }
}

/// Whether trying again can help.
fn may_pass(error: &ProjectorError) -> bool {
    match error {
        ProjectorError::Store(error) => {
            matches!(error, StoreError::DiskFull(_) | StoreError::Io(_) | StoreError::OutOfOrder { .. })
        }
        ProjectorError::Journal(error) => error.is_transient(),
        ProjectorError::Broken(_) => false,
    }
}
