//! A memory of a pure function: it cannot be seen in any result.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

/// Results by argument. Beyond `limit` all are forgotten: whoever has so many pays for it, and nobody else.
pub(crate) struct Memory<T> {
    limit: usize,
    known: RwLock<BTreeMap<String, T>>,
}

impl<T: Clone> Memory<T> {
    /// An empty one.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, known: RwLock::new(BTreeMap::new()) }
    }

    /// The result for `argument`. Failures are not kept: they are refused where documents are set.
    pub(crate) fn get<E>(&self, argument: &str, make: impl FnOnce(&str) -> Result<T, E>) -> Result<T, E> {
        // An entry is set under the lock, so that a poisoned map is still whole.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(argument).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made = make(argument)?;
        let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.limit {
            all.clear();
        }
        all.insert(argument.to_owned(), made.clone());
        Ok(made)
    }
}
