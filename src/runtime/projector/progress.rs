//! How far the projector is, for people, for `readyz`, and for whoever waits.

use crate::store::Store;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How far the projector is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// What it is doing.
    pub state: ProjectorState,
    /// The last commit that the store knows.
    pub projected: u64,
    /// The log's end, when it was last asked for.
    pub end: u64,
    /// Commits per second, lately.
    pub commits_per_s: f64,
    /// Seconds until it reaches the end, while it is behind.
    pub left_s: Option<f64>,
}

/// What the projector is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectorState {
    /// It compares the store with the log.
    Starting,
    /// It reads what the store does not know yet. The store is not to be relied on.
    Rebuilding,
    /// It has reached the end that the log had when it began, and follows.
    Following,
    /// The bus or the disk fails; it tries again.
    Waiting(String),
    /// It was stopped.
    Stopped,
    /// It gave up.
    Failed(String),
}

impl Progress {
    /// Whether what the store says can be relied on.
    pub fn is_ready(&self) -> bool {
        self.state == ProjectorState::Following
    }

    /// Commits in the log that the store does not know yet.
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.projected)
    }
}

pub(super) struct Meter {
    store: Store,
    shown: watch::Sender<Progress>,
    /// Where it began, and the end that it has to reach.
    from: u64,
    target: u64,
    began: Instant,
    commits: u64,
    last: (Instant, u64),
    logged: Option<Instant>,
}

impl Meter {
    /// How often progress is shown: a person sees that it moves, and a log file does not fill.
    pub(super) const INTERVAL: Duration = Duration::from_millis(500);
    const LOG_INTERVAL: Duration = Duration::from_secs(1);

    pub(super) fn new(store: Store) -> (Self, watch::Receiver<Progress>) {
        let progress = Progress {
            state: ProjectorState::Starting,
            projected: store.projected(),
            end: 0,
            commits_per_s: 0.0,
            left_s: None,
        };
        let (shown, receiver) = watch::channel(progress);
        let now = Instant::now();
        let meter = Self { store, shown, from: 0, target: 0, began: now, commits: 0, last: (now, 0), logged: None };
        (meter, receiver)
    }

    /// Reading begins after commit `from`, and `target` is the log's end.
    pub(super) fn begins(&mut self, from: u64, target: u64) {
        let now = Instant::now();
        (self.from, self.target, self.began, self.last, self.logged) = (from, target, now, (now, self.commits), None);
        self.shown.send_modify(|progress| progress.end = target);
        self.tick();
    }

    pub(super) fn reads(&mut self, commits: usize) {
        self.commits += commits as u64;
    }

    pub(super) fn log_ends_at(&mut self, end: u64) {
        self.shown.send_modify(|progress| progress.end = end);
    }

    /// Shows how far it is. Whether the end has been reached comes back.
    pub(super) fn tick(&mut self) -> bool {
        let projected = self.store.projected();
        let caught_up = projected >= self.target;
        let (then, commits) = self.last;
        let elapsed = then.elapsed().as_secs_f64();
        let rate = if elapsed > 0.0 { (self.commits - commits) as f64 / elapsed } else { 0.0 };
        self.last = (Instant::now(), self.commits);
        let all = self.commits_since_start();
        let left_s = (!caught_up && all > 0.0).then(|| (self.target - projected) as f64 / all);
        let was_ready = self.shown.borrow().is_ready();
        let state = if caught_up { ProjectorState::Following } else { ProjectorState::Rebuilding };
        self.shown.send_modify(|progress| {
            *progress = Progress { state, projected, commits_per_s: rate, left_s, end: progress.end.max(projected) };
        });
        let now = Instant::now();
        if !caught_up && self.logged.is_none_or(|logged| now - logged >= Self::LOG_INTERVAL) {
            let whole = (self.target - self.from).max(1);
            let percent = projected.saturating_sub(self.from) * 100 / whole;
            let left = left_s.map(|seconds| format!("{} s", seconds.ceil()));
            tracing::info!(
                commit = projected,
                of = self.target,
                commits_per_s = rate.round(),
                left = left.as_deref().unwrap_or("unknown"),
                "reading the log: {percent} %"
            );
            self.logged = Some(now);
        }
        if caught_up && !was_ready {
            let took = self.began.elapsed();
            tracing::info!(commit = projected, ?took, "the store has caught up with the log");
        }
        caught_up
    }

    /// Commits per second that the store has taken since reading began.
    fn commits_since_start(&self) -> f64 {
        let done = self.store.projected().saturating_sub(self.from) as f64;
        done / self.began.elapsed().as_secs_f64().max(0.001)
    }

    pub(super) fn waits(&mut self, reason: String) {
        self.show(ProjectorState::Waiting(reason));
    }

    pub(super) fn stopped(&mut self) {
        self.show(ProjectorState::Stopped);
    }

    pub(super) fn failed(&mut self, reason: String) {
        self.show(ProjectorState::Failed(reason));
    }

    fn show(&mut self, state: ProjectorState) {
        let projected = self.store.projected();
        self.shown.send_modify(|progress| {
            *progress = Progress { state, projected, end: progress.end, commits_per_s: 0.0, left_s: None };
        });
    }
}
