//! What changes in lists, for those who keep some of it in memory.
//!
//! Subscribe, then read the lists, then take in what the feed brings: it may repeat what was read, and ends at the present.
//! All lists come by one feed, a written batch at a time with its last commit, so that whoever has taken a batch in knows
//! exactly what the lists were after that commit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Written batches that a reader may be behind before it has to read the lists anew.
const MAX_BEHIND: usize = 1_024;

/// One entry was written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    /// The list's name.
    pub list: &'static str,
    /// Its key.
    pub key: Vec<u8>,
    /// What stands there now; `None`: it is gone.
    pub value: Option<Vec<u8>>,
}

/// What a written batch has changed in the lists that somebody reads. There is one for every batch, also where nothing has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListBatch {
    /// The last commit in it.
    pub seq: u64,
    /// In no order but that of what happened to one entry.
    pub changes: Vec<ListChange>,
}

/// Batches, once they can be read in the store. Ended, or `Lagged`: begin anew.
pub type ListFeed = broadcast::Receiver<Arc<ListBatch>>;

/// Who reads which lists, and what the batch under way will bring them.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sender: Option<broadcast::Sender<Arc<ListBatch>>>,
    /// Families of the lists that are read, with their names. Not forgotten while anybody reads any.
    wanted: Vec<(usize, &'static str)>,
    pending: Vec<ListChange>,
    /// Of how many of them the batch under way notes the changes.
    noting: usize,
    /// The last batch that was sent, or would have been.
    seq: u64,
}

impl State {
    fn is_read(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.receiver_count() > 0)
    }
}

impl Feeds {
    /// The state is whole after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The feed from now on, and the last commit before it.
    pub(super) fn subscribe(&self, lists: Vec<(usize, &'static str)>) -> (ListFeed, u64) {
        let mut state = self.lock();
        for list in lists {
            if !state.wanted.contains(&list) {
                state.wanted.push(list);
            }
        }
        let feed = state.sender.get_or_insert_with(|| broadcast::Sender::new(MAX_BEHIND)).subscribe();
        (feed, state.seq)
    }

    /// Families that somebody reads, with the names of the lists.
    pub(super) fn wanted(&self) -> Vec<(usize, &'static str)> {
        let mut state = self.lock();
        if !state.is_read() {
            state.wanted.clear();
        }
        state.noting = state.wanted.len();
        state.wanted.clone()
    }

    pub(super) fn note(&self, list: &'static str, key: &[u8], value: Option<&[u8]>) {
        self.lock().pending.push(ListChange { list, key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
    }

    /// What was noted can be read in the store, as of this commit.
    pub(super) fn written(&self, seq: u64) {
        let mut state = self.lock();
        state.seq = seq;
        let changes = std::mem::take(&mut state.pending);
        if state.noting != state.wanted.len() {
            // Somebody came after the changes of this batch had been noted, and would miss some: begin anew.
            *state = State { seq, ..State::default() };
        } else if let Some(sender) = state.sender.as_ref().filter(|sender| sender.receiver_count() > 0) {
            // Nobody reads it any more, then.
            let _ = sender.send(Arc::new(ListBatch { seq, changes }));
        }
    }

    /// The store is being built anew, or goes on after a failure: what readers hold may be wrong. Ends all feeds.
    pub(super) fn end(&self) {
        *self.lock() = State::default();
    }
}
