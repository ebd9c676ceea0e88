//! Commits as the projections got them, for those on this node who follow the log beside the store: it is read from the bus
//! and decoded once for all of them.
//!
//! Who is slow misses some, is told so, and reads the log for itself from where it stands.

use super::DecodedCommit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Portions that a reader may be behind before it misses some.
const MAX_BEHIND: usize = 32;

/// Portions of the log, in its order. Ended: the store reads the log anew, from another place or as another log.
pub type CommitFeed = broadcast::Receiver<Arc<Vec<DecodedCommit>>>;

#[derive(Debug)]
pub(super) struct Relay(Mutex<State>);

#[derive(Debug)]
struct State {
    sender: broadcast::Sender<Arc<Vec<DecodedCommit>>>,
    /// The last commit that was passed on, or would have been.
    last: u64,
}

impl Default for Relay {
    fn default() -> Self {
        Self(Mutex::new(State { sender: broadcast::Sender::new(MAX_BEHIND), last: 0 }))
    }
}

impl Relay {
    /// The state is whole after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes from now on, and the last commit before it.
    pub(super) fn subscribe(&self) -> (CommitFeed, u64) {
        let state = self.lock();
        (state.sender.subscribe(), state.last)
    }

    pub(super) fn last(&self) -> u64 {
        self.lock().last
    }

    pub(super) fn pass_on(&self, commits: Vec<DecodedCommit>) {
        let Some(last) = commits.last() else { return };
        let mut state = self.lock();
        state.last = last.seq;
        if state.sender.receiver_count() > 0 {
            // Nobody reads it any more, then.
            let _ = state.sender.send(Arc::new(commits));
        }
    }

    /// Ends all feeds.
    pub(super) fn end(&self) {
        *self.lock() = Self::default().0.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    /// What was folded up to here is never passed on: it was folded before this start. Who has not read it reads the log.
    pub(super) fn begin(&self, last: u64) {
        self.lock().last = last;
    }
}
