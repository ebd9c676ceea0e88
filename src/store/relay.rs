//! What one reader of the log has read, for those on this node who follow the log beside it: it is read from the bus once for all
//! of them, and decoded once for those who want it decoded.
//!
//! Who is slow misses some, is told so, and reads the log for itself from where it stands.

use super::DecodedCommit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Portions that a reader may be behind before it misses some.
const MAX_BEHIND: usize = 32;

/// Portions of the log, in its order. Ended: the reader begins anew, from another place or with another log.
pub type Feed<T> = broadcast::Receiver<Arc<Vec<T>>>;

/// Commits as the store folds them.
pub type CommitFeed = Feed<DecodedCommit>;

/// See the module's text.
#[derive(Debug)]
pub struct Relay<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    sender: broadcast::Sender<Arc<Vec<T>>>,
    /// The last commit that was passed on, or would have been.
    last: u64,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(MAX_BEHIND), last: 0 }
    }
}

impl<T> Default for Relay<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Relay<T> {
    /// The state is whole after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes from now on, and the last commit before it.
    pub fn subscribe(&self) -> (Feed<T>, u64) {
        let state = self.lock();
        (state.sender.subscribe(), state.last)
    }

    /// The last commit that was passed on, or would have been.
    pub fn last(&self) -> u64 {
        self.lock().last
    }

    /// The next portion, which is made only where somebody listens, and its last commit.
    pub fn pass_on(&self, last: u64, portion: impl FnOnce() -> Vec<T>) {
        let mut state = self.lock();
        state.last = last;
        if state.sender.receiver_count() > 0 {
            // Nobody reads it any more, then.
            let _ = state.sender.send(Arc::new(portion()));
        }
    }

    /// Ends all feeds.
    pub fn end(&self) {
        *self.lock() = State::default();
    }

    /// What was read up to here is never passed on: it was read before this start. Who has not read it reads the log.
    pub fn begin(&self, last: u64) {
        self.lock().last = last;
    }
}
