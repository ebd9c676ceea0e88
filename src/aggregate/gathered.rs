//! Aggregates of one kind, folded out of the log up to some commit of it: what a projector would have remembered then.

use super::{Aggregate, Tracked};
use kefu_events::Commit;
use std::{collections::BTreeMap, sync::Arc};

/// Their states, by key. Cloning shares what does not change afterwards.
#[derive(Debug, Clone)]
pub struct Gathered<S>(BTreeMap<String, Arc<Tracked<S>>>);

impl<S> Default for Gathered<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S: Default + Clone> Gathered<S> {
    /// Takes in the next commit of one of them, which the log holds at `seq`.
    pub fn take<A: Aggregate<State = S>>(&mut self, commit: &Commit<A::Event>, seq: u64) -> &Tracked<S> {
        let known = self.0.entry(commit.key.clone()).or_default();
        let tracked = Arc::make_mut(known);
        tracked.apply::<A>(commit, seq);
        tracked
    }
}

impl<S> Gathered<S> {
    /// Takes in one as it is, in the place of what was known of it.
    pub fn put(&mut self, key: String, tracked: Tracked<S>) {
        self.0.insert(key, Arc::new(tracked));
    }

    /// Forgets one.
    pub fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Whether anything is known of this one.
    pub fn knows(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tracked<S>)> {
        self.0.iter().map(|(key, tracked)| (key.as_str(), &**tracked))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
