//! An [`Embedder`] for many callers: worker threads, batches of what waits, a cache, and a bound on what may wait.

use super::{EmbedError, Embedder, ModelIdentity, Role};
use lru::LruCache;
use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A vector that several may hold.
pub type Vector = Arc<[f32]>;

/// How many threads, how much may wait, how much is remembered.
#[derive(Debug, Clone)]
pub struct EmbeddingsOptions {
    /// Worker threads. Each computes one batch at a time, on one core.
    pub workers: NonZeroUsize,
    /// Texts that may wait. The next one is refused at once: whoever asks then can still hand over to a person in time,
    /// instead of learning it after the answer's deadline.
    pub queue: usize,
    /// Most texts that one worker takes at a time. More would make the first of them wait longer than batching gains.
    pub batch: NonZeroUsize,
    /// Vectors kept for texts that come again (a vector of 384 numbers and its text take about 2 kB).
    pub cache: NonZeroUsize,
}

impl Default for EmbeddingsOptions {
    /// One worker for each two cores, since the engine's own threads need some; 256 waiting texts are 2 to 4 seconds of
    /// work; batches of 16; 10,000 texts kept.
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let size = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
        Self { workers: size(cores / 2), queue: 256, batch: size(16), cache: size(10_000) }
    }
}

/// What has happened since the start. Read for metrics; all but `waiting` only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EmbeddingCounts {
    /// Texts that were asked for one by one.
    pub asked: u64,
    /// Of those, answered from the cache.
    pub cached: u64,
    /// Of those, refused because too much waited.
    pub refused: u64,
    /// Texts whose vectors were computed, those of bulk calls included.
    pub computed: u64,
    /// Batches they were computed in.
    pub batches: u64,
    /// Batches that failed.
    pub failed: u64,
    /// Microseconds that workers have spent computing.
    pub busy_us: u64,
    /// Texts that wait now.
    pub waiting: u64,
}

#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    cached: AtomicU64,
    refused: AtomicU64,
    computed: AtomicU64,
    batches: AtomicU64,
    failed: AtomicU64,
    busy_us: AtomicU64,
}

struct Job {
    text: Box<str>,
    role: Role,
    reply: oneshot::Sender<Result<Vector, EmbedError>>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Shared {
    embedder: Arc<dyn Embedder>,
    options: EmbeddingsOptions,
    queue: Mutex<Queue>,
    filled: Condvar,
    cache: Mutex<LruCache<(Role, Box<str>), Vector>>,
    counters: Counters,
}

/// Handle of the service; workers end when it is dropped.
pub struct Embeddings {
    shared: Arc<Shared>,
    workers: Vec<thread::JoinHandle<()>>,
}

/// What a lock protects stays whole when its holder panics: each change is one push, pop or insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Embeddings {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// The system gives no more threads.
    pub fn start(embedder: Arc<dyn Embedder>, options: EmbeddingsOptions) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            embedder,
            queue: Mutex::default(),
            filled: Condvar::new(),
            cache: Mutex::new(LruCache::new(options.cache)),
            counters: Counters::default(),
            options,
        });
        let mut service = Self { shared, workers: Vec::new() };
        for number in 0..service.shared.options.workers.get() {
            let shared = Arc::clone(&service.shared);
            let worker = thread::Builder::new().name(format!("embed-{number}"));
            service.workers.push(worker.spawn(move || shared.work())?);
        }
        Ok(service)
    }

    /// Which model answers.
    pub fn identity(&self) -> &ModelIdentity {
        self.shared.embedder.identity()
    }

    /// The vector of one text: from the cache, or as soon as a worker has computed it. Whoever drops the future gives up
    /// the place in the queue.
    ///
    /// # Errors
    ///
    /// [`EmbedError::Busy`] at once, if too much waits; [`EmbedError::Stopped`]; what the model says.
    pub async fn embed(&self, text: &str, role: Role) -> Result<Vector, EmbedError> {
        let counters = &self.shared.counters;
        counters.asked.fetch_add(1, Relaxed);
        let key = (role, Box::from(text));
        if let Some(vector) = lock(&self.shared.cache).get(&key) {
            counters.cached.fetch_add(1, Relaxed);
            return Ok(Arc::clone(vector));
        }
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = lock(&self.shared.queue);
            if queue.jobs.len() >= self.shared.options.queue {
                // Those whose askers have given up free their places.
                queue.jobs.retain(|job| !job.reply.is_closed());
            }
            if queue.jobs.len() >= self.shared.options.queue {
                counters.refused.fetch_add(1, Relaxed);
                return Err(EmbedError::Busy);
            }
            queue.jobs.push_back(Job { text: key.1, role, reply });
        }
        self.shared.filled.notify_one();
        answer.await.unwrap_or(Err(EmbedError::Stopped))
    }

    /// The vectors of many texts, in their order, for building an index. Blocks the calling thread, computes on as many
    /// threads as there are workers, beside them; neither reads nor fills the cache. `progress` is told how many are done.
    ///
    /// # Errors
    ///
    /// The first that the model gives; the rest is not computed then.
    pub fn embed_all(
        &self,
        texts: &[&str],
        role: Role,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let shared = &self.shared;
        let chunks: Vec<&[&str]> = texts.chunks(shared.options.batch.get()).collect();
        let next = AtomicUsize::new(0);
        let mut vectors: Vec<Vec<Vec<f32>>> = vec![Vec::new(); chunks.len()];
        thread::scope(|scope| {
            let (done, results) = mpsc::channel();
            for _ in 0..shared.options.workers.get().min(chunks.len()) {
                let (done, next, chunks) = (done.clone(), &next, &chunks);
                scope.spawn(move || {
                    while let Some((number, chunk)) =
                        Some(next.fetch_add(1, Relaxed)).and_then(|at| Some((at, chunks.get(at)?)))
                    {
                        if done.send((number, shared.compute(chunk, role))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(done);
            let mut finished = 0;
            for (number, result) in results {
                vectors[number] = result?;
                finished += vectors[number].len();
                progress(finished);
            }
            Ok(vectors.into_iter().flatten().collect())
        })
    }

    /// What has happened so far.
    pub fn counts(&self) -> EmbeddingCounts {
        let counters = &self.shared.counters;
        EmbeddingCounts {
            asked: counters.asked.load(Relaxed),
            cached: counters.cached.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            computed: counters.computed.load(Relaxed),
            batches: counters.batches.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            busy_us: counters.busy_us.load(Relaxed),
            waiting: lock(&self.shared.queue).jobs.len() as u64,
        }
    }
}

impl Drop for Embeddings {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true;
        self.shared.filled.notify_all();
        for worker in self.workers.drain(..) {
            // A worker that panicked outside of the model has nothing left to say.
            let _ = worker.join();
        }
        lock(&self.shared.queue).jobs.clear();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(jobs) = self.take() {
            let texts: Vec<&str> = jobs.iter().map(|job| &*job.text).collect();
            let result = self.compute(&texts, jobs[0].role);
            match result {
                Ok(vectors) => {
                    for (job, vector) in jobs.into_iter().zip(vectors) {
                        let vector: Vector = vector.into();
                        lock(&self.cache).put((job.role, job.text), Arc::clone(&vector));
                        let _ = job.reply.send(Ok(vector)); // Nobody waits any more: fine.
                    }
                }
                Err(error) => jobs.into_iter().for_each(|job| {
                    let _ = job.reply.send(Err(error.clone()));
                }),
            }
        }
    }

    /// Waits for work, and takes what waits and has the same role, up to a batch. Nothing once the service is dropped.
    fn take(&self) -> Option<Vec<Job>> {
        let mut queue = lock(&self.queue);
        loop {
            while queue.jobs.is_empty() && !queue.closed {
                queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.closed {
                return None;
            }
            let mut batch: Vec<Job> = Vec::new();
            while batch.len() < self.options.batch.get()
                && let Some(job) =
                    queue.jobs.pop_front_if(|job| batch.first().is_none_or(|first| first.role == job.role))
            {
                if !job.reply.is_closed() {
                    batch.push(job);
                }
            }
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    fn compute(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        let started = Instant::now();
        // A panic in the model's arithmetic is an error of this batch, not the end of the worker.
        let result = catch_unwind(AssertUnwindSafe(|| self.embedder.embed(texts, role)))
            .unwrap_or_else(|_| Err(EmbedError::Model("it panicked".to_owned())));
        let result = result.and_then(|vectors| {
            if vectors.len() == texts.len() {
                Ok(vectors)
            } else {
                Err(EmbedError::Model("vectors are missing".to_owned()))
            }
        });
        let counters = &self.counters;
        counters.batches.fetch_add(1, Relaxed);
        match &result {
            Ok(vectors) => counters.computed.fetch_add(vectors.len() as u64, Relaxed),
            Err(_) => counters.failed.fetch_add(1, Relaxed),
        };
        let spent: Duration = started.elapsed();
        counters.busy_us.fetch_add(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX), Relaxed);
        result
    }
}
