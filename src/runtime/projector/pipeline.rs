//! Decoding, folding and writing, on threads of their own.
//!
//! Chunks of commits go in turn to the decoders, and the folding thread takes them back in the same turn: the order of the
//! log is kept without anybody sorting. Everything else that is done to the store passes through the same line, as a
//! call, so that it finds all earlier commits folded.

use super::{ProjectorError, ProjectorOptions};
use crate::{
    journal::Recorded,
    store::{Checkpoint, DecodedCommit, Folds, StoreError, StoreWriter},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc as sync,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Chunks that wait before and behind each decoder: decoding goes on while a large batch is written. The bytes are limited
/// beside.
const WAITING_CHUNKS: usize = 32;
/// Decoding costs about as much as folding and writing, which cannot be divided; more decoders would only wait.
const MAX_DECODERS: usize = 2;
/// Between two writes while the projector keeps up. Every write costs a checkpoint and wakes others, whether it is of one
/// commit or of a hundred. A commit that comes after a pause is written at once.
const KEEPING_UP_LINGER: Duration = Duration::from_millis(5);
/// Bytes are counted in this unit: a semaphore counts to 2^32 at most.
const PERMIT_BYTES: usize = 1024;

type Call = Box<dyn FnOnce(&mut Folding) + Send>;

/// Undecoded work.
enum Work {
    Commits(Vec<Recorded>, OwnedSemaphorePermit),
    Call(Call),
}

/// Decoded work.
enum Folded {
    /// Those before the first that could not be decoded; and why it could not.
    Commits(Vec<DecodedCommit>, Option<StoreError>, OwnedSemaphorePermit),
    Call(Call),
}

pub(super) struct Pipeline {
    decoders: Vec<mpsc::Sender<Work>>,
    turn: usize,
    bytes: Arc<Semaphore>,
    max_permits: usize,
    failures: mpsc::Receiver<StoreError>,
    keeps_up: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The folding thread's things.
struct Folding {
    writer: StoreWriter,
    /// Commits are passed over until somebody has taken note of the failure.
    failed: bool,
    failures: mpsc::Sender<StoreError>,
    last_write: Instant,
    max_commits: usize,
    max_bytes: usize,
}

impl Pipeline {
    pub(super) fn start(writer: StoreWriter, options: &ProjectorOptions) -> Result<Self, ProjectorError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let (failed, failures) = mpsc::channel(1);
        let keeps_up = Arc::new(AtomicBool::new(false));
        let max_permits = (options.max_unfolded_bytes / PERMIT_BYTES).clamp(1, u32::MAX as usize);
        let mut pipeline = Self {
            decoders: Vec::new(),
            turn: 0,
            bytes: Arc::new(Semaphore::new(max_permits)),
            max_permits,
            failures,
            keeps_up: keeps_up.clone(),
            threads: Vec::new(),
        };
        let mut decoded = Vec::new();
        for _ in 0..(cores / 2).clamp(1, MAX_DECODERS) {
            let (work, to_decode) = mpsc::channel(WAITING_CHUNKS);
            let (done, to_fold) = sync::sync_channel(WAITING_CHUNKS);
            let folds = writer.folds();
            pipeline.threads.push(spawn("kefu-decode", move || decode_all(&folds, to_decode, &done))?);
            pipeline.decoders.push(work);
            decoded.push(to_fold);
        }
        let folding = Folding {
            writer,
            failed: false,
            failures: failed,
            last_write: Instant::now(),
            max_commits: options.max_batch_commits,
            max_bytes: options.max_batch_bytes,
        };
        let linger = options.linger;
        pipeline.threads.push(spawn("kefu-fold", move || folding.run(&decoded, linger, &keeps_up))?);
        Ok(pipeline)
    }

    /// Hands commits on. Waits while too much is waiting.
    pub(super) async fn feed(&mut self, commits: Vec<Recorded>) -> Result<(), ProjectorError> {
        if commits.is_empty() {
            return Ok(());
        }
        let bytes: usize = commits.iter().map(|commit| commit.payload.len()).sum();
        // A chunk that is larger than all that may wait goes alone.
        let permits = (bytes / PERMIT_BYTES + 1).min(self.max_permits) as u32;
        let permit = self.bytes.clone().acquire_many_owned(permits).await.map_err(|_| broken())?;
        self.send(Work::Commits(commits, permit)).await
    }

    /// Does something with the store, after everything that was handed on before has been written.
    pub(super) async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&mut StoreWriter) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ProjectorError> {
        let (answer, answered) = oneshot::channel();
        self.send(Work::Call(Box::new(move |folding| {
            folding.write();
            let _ = answer.send(call(&mut folding.writer)); // nobody waits any more
        })))
        .await?;
        Ok(answered.await.map_err(|_| broken())??)
    }

    /// Makes the store ready to be fed from [`StoreWriter::start`] on again, whatever happened before.
    pub(super) async fn restart(&mut self) -> Result<Vec<(String, Option<Checkpoint>)>, ProjectorError> {
        self.keeps_up.store(false, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.send(Work::Call(Box::new(move |folding| {
            folding.write();
            folding.failed = false;
            let abandoned = folding.writer.abandon();
            let _ = answer.send(abandoned.map(|()| folding.writer.checkpoints()));
        })))
        .await?;
        let checkpoints = answered.await.map_err(|_| broken())?;
        // Of before: the call above came behind it.
        while self.failures.try_recv().is_ok() {}
        Ok(checkpoints?)
    }

    /// The end of the log has been reached: writes need not wait for more.
    pub(super) fn keeps_up(&self) {
        self.keeps_up.store(true, Ordering::Relaxed);
    }

    /// Returns when folding or writing has failed.
    pub(super) async fn failed(&mut self) -> ProjectorError {
        self.failures.recv().await.map_or_else(broken, ProjectorError::Store)
    }

    /// Writes what was handed on, puts it on disk, and ends the threads.
    pub(super) async fn stop(mut self) -> Result<(), ProjectorError> {
        let flushed = self.call(StoreWriter::flush).await;
        let failure = self.failures.try_recv().map_or(Ok(()), |error| Err(ProjectorError::Store(error)));
        self.decoders.clear();
        let threads = self.threads;
        // The last one closes the database, which may wait for the disk.
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
        let joined = if joined.await.unwrap_or(false) { Ok(()) } else { Err(broken()) };
        flushed.and(failure).and(joined)
    }

    async fn send(&mut self, work: Work) -> Result<(), ProjectorError> {
        self.decoders[self.turn].send(work).await.map_err(|_| broken())?;
        self.turn = (self.turn + 1) % self.decoders.len();
        Ok(())
    }
}

fn broken() -> ProjectorError {
    ProjectorError::Broken("a thread of the projector has panicked".to_owned())
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ProjectorError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(|| {
        give_way();
        body();
    });
    thread.map_err(|error| ProjectorError::Broken(format!("no thread: {error}")))
}

/// Customers wait for the owners, and nobody waits for the projector as long as it keeps up: where threads are more than
/// cores, it gets about a third of an owner's share.
fn give_way() {
    #[cfg(target_os = "linux")] // Elsewhere this would be the whole process's.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 5) {
        tracing::debug!(%error, "the projector keeps its priority");
    }
}

fn decode_all(folds: &Folds, mut work: mpsc::Receiver<Work>, done: &sync::SyncSender<Folded>) {
    while let Some(work) = work.blocking_recv() {
        let folded = match work {
            Work::Call(call) => Folded::Call(call),
            Work::Commits(recorded, permit) => {
                let mut commits = Vec::with_capacity(recorded.len());
                let mut failed = None;
                for Recorded { seq, subject, payload } in recorded {
                    match DecodedCommit::decode(folds, seq, &subject, &payload) {
                        Ok(commit) => commits.push(commit),
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                Folded::Commits(commits, failed, permit)
            }
        };
        if done.send(folded).is_err() {
            return;
        }
    }
}

impl Folding {
    fn run(mut self, decoded: &[sync::Receiver<Folded>], linger: Duration, keeps_up: &AtomicBool) {
        let mut turn = 0;
        let mut write_at = Instant::now();
        loop {
            let next = &decoded[turn];
            let work = if self.writer.unwritten() == 0 {
                let work = next.recv();
                write_at = self.last_write + KEEPING_UP_LINGER;
                work.map_err(|_| sync::RecvTimeoutError::Disconnected)
            } else if keeps_up.load(Ordering::Relaxed) {
                match write_at.saturating_duration_since(Instant::now()) {
                    Duration::ZERO => Err(sync::RecvTimeoutError::Timeout),
                    left => next.recv_timeout(left),
                }
            } else {
                next.recv_timeout(linger)
            };
            match work {
                Err(sync::RecvTimeoutError::Timeout) => {
                    self.write();
                    continue;
                }
                Err(sync::RecvTimeoutError::Disconnected) => return,
                Ok(Folded::Call(call)) => call(&mut self),
                Ok(Folded::Commits(commits, failed, permit)) => {
                    self.fold(commits, failed);
                    drop(permit);
                }
            }
            turn = (turn + 1) % decoded.len();
        }
    }

    fn fold(&mut self, commits: Vec<DecodedCommit>, failed: Option<StoreError>) {
        if self.failed {
            return;
        }
        if let Err(error) = self.writer.fold(&commits) {
            return self.fail(error);
        }
        self.writer.pass_on(commits);
        let is_large = self.writer.unwritten() >= self.max_commits || self.writer.unwritten_bytes() >= self.max_bytes;
        if is_large || failed.is_some() {
            self.write();
        }
        if let Some(error) = failed {
            self.fail(error);
        }
    }

    fn write(&mut self) {
        if self.failed {
            return;
        }
        if let Err(error) = self.writer.write() {
            self.fail(error);
        }
        self.last_write = Instant::now();
    }

    fn fail(&mut self, error: StoreError) {
        if !self.failed {
            self.failed = true;
            // Holds one; a second can only come after a restart, which empties it.
            let _ = self.failures.try_send(error);
        }
    }
}
