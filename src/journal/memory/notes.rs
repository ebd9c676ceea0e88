//! Notes of the twin: replaced by compare-and-set.

use super::MemoryCore;
use crate::journal::{JournalError, Note, subjects::is_note_name};
use bytes::Bytes;
use std::collections::BTreeMap;

/// The bucket. Its revision counts all writes, removals among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes {
    kept: BTreeMap<String, Note>,
    revision: u64,
}

impl Notes {
    fn is_at(&self, name: &str, expected: u64) -> bool {
        self.kept.get(name).map_or(0, |note| note.revision) == expected
    }
}

fn checked(name: &str) -> Result<(), JournalError> {
    if is_note_name(name) { Ok(()) } else { Err(JournalError::Refused(format!("{name:?} cannot name a note"))) }
}

impl MemoryCore {
    /// A note.
    pub fn note(&self, name: &str) -> Result<Option<Note>, JournalError> {
        self.reachable()?;
        checked(name)?;
        Ok(self.notes.kept.get(name).cloned())
    }

    /// Writes a note if its revision is `expected`; `None`: it is another.
    pub fn put_note(&mut self, name: &str, expected: u64, value: Bytes) -> Result<Option<u64>, JournalError> {
        self.reachable()?;
        checked(name)?;
        if !self.notes.is_at(name, expected) {
            return Ok(None);
        }
        self.notes.revision += 1;
        let revision = self.notes.revision;
        self.notes.kept.insert(name.to_owned(), Note { value, revision });
        Ok(Some(revision))
    }

    /// Removes a note if its revision is `expected`; `false`: it is another.
    pub fn remove_note(&mut self, name: &str, expected: u64) -> Result<bool, JournalError> {
        self.reachable()?;
        checked(name)?;
        let removed = expected != 0 && self.notes.is_at(name, expected);
        if removed {
            self.notes.revision += 1;
            self.notes.kept.remove(name);
        }
        Ok(removed)
    }

    /// All notes below `start`.
    pub fn notes(&self, start: &str) -> Result<BTreeMap<String, Note>, JournalError> {
        self.reachable()?;
        checked(start)?;
        let below = |name: &str| name.strip_prefix(start).is_some_and(|rest| rest.starts_with('.'));
        let found = self.notes.kept.iter().filter(|(name, _)| below(name));
        Ok(found.map(|(name, note)| (name.clone(), note.clone())).collect())
    }
}
