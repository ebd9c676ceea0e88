//! What changes in a list, for those who keep some of it in memory.
//!
//! Subscribe, then read the list, then take in what the feed brings: it may repeat what was read, and ends at the present.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

/// Written batches that a reader may be behind before it has to read the list anew.
const MAX_BEHIND: usize = 1_024;

/// One entry was written or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    /// Its key.
    pub key: Vec<u8>,
    /// What stands there now; `None`: it is gone.
    pub value: Option<Vec<u8>>,
}

/// The changes of one list, a batch at a time, once they can be read in the store. Ended, or `Lagged`: begin anew.
pub type ListFeed = broadcast::Receiver<Arc<Vec<ListChange>>>;

/// The feeds that somebody reads, by the list's family, with what the batch under way will bring them.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<BTreeMap<usize, Feed>>);

#[derive(Debug)]
struct Feed {
    sender: broadcast::Sender<Arc<Vec<ListChange>>>,
    pending: Vec<ListChange>,
}

impl Feeds {
    /// A feed is whole after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Feed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self, family: usize) -> ListFeed {
        let mut feeds = self.lock();
        let feed = feeds
            .entry(family)
            .or_insert_with(|| Feed { sender: broadcast::Sender::new(MAX_BEHIND), pending: Vec::new() });
        feed.sender.subscribe()
    }

    /// Families that somebody reads. Those that nobody reads any more are forgotten.
    pub(super) fn wanted(&self) -> Vec<usize> {
        let mut feeds = self.lock();
        feeds.retain(|_, feed| feed.sender.receiver_count() > 0);
        feeds.keys().copied().collect()
    }

    pub(super) fn note(&self, family: usize, key: &[u8], value: Option<&[u8]>) {
        if let Some(feed) = self.lock().get_mut(&family) {
            feed.pending.push(ListChange { key: key.to_vec(), value: value.map(<[u8]>::to_vec) });
        }
    }

    /// What was noted can be read in the store.
    pub(super) fn written(&self) {
        for feed in self.lock().values_mut().filter(|feed| !feed.pending.is_empty()) {
            // Nobody reads it any more, then.
            let _ = feed.sender.send(Arc::new(std::mem::take(&mut feed.pending)));
        }
    }

    /// The store is being built anew, or goes on after a failure: what readers hold may be wrong. Ends all feeds.
    pub(super) fn end(&self) {
        self.lock().clear();
    }
}
