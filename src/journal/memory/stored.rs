//! The twin's streams that are kept rather than worked off: the log, the outbox, refused input; and the window of ids.

use super::super::{Recorded, subjects::matches};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// The log of commits. Sequences start at 1 and have no gaps, except that the front may have been archived.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    first: u64,
    commits: VecDeque<Recorded>,
    by_subject: HashMap<String, VecDeque<u64>>,
}

impl Log {
    pub fn first(&self) -> u64 {
        self.first + 1
    }

    pub fn last(&self) -> u64 {
        self.first + self.commits.len() as u64
    }

    pub fn get(&self, seq: u64) -> Option<&Recorded> {
        let index = seq.checked_sub(self.first + 1)?;
        self.commits.get(usize::try_from(index).ok()?)
    }

    /// Sequence of the subject's last stored commit, 0 if there is none.
    pub fn last_of(&self, subject: &str) -> u64 {
        self.by_subject.get(subject).and_then(|seqs| seqs.back()).copied().unwrap_or(0)
    }

    pub fn of<'a>(&'a self, subject: &str, after: u64) -> impl Iterator<Item = &'a Recorded> {
        let seqs = self.by_subject.get(subject);
        let start = seqs.map_or(0, |seqs| seqs.partition_point(|seq| *seq <= after));
        seqs.into_iter().flat_map(move |seqs| seqs.range(start..)).filter_map(|seq| self.get(*seq))
    }

    pub fn next(&self, after: u64, filter: Option<&str>) -> Option<&Recorded> {
        let start = usize::try_from(after.saturating_sub(self.first)).ok()?;
        if start >= self.commits.len() {
            return None;
        }
        self.commits.range(start..).find(|commit| filter.is_none_or(|filter| matches(filter, &commit.subject)))
    }

    pub fn push(&mut self, subject: &str, payload: Bytes) -> u64 {
        let seq = self.last() + 1;
        self.commits.push_back(Recorded { seq, subject: subject.to_owned(), payload });
        self.by_subject.entry(subject.to_owned()).or_default().push_back(seq);
        seq
    }

    pub fn rollback(&mut self, to: u64) {
        while self.last() > to.max(self.first) {
            let Some(lost) = self.commits.pop_back() else { break };
            if let Some(seqs) = self.by_subject.get_mut(&lost.subject) {
                seqs.pop_back();
            }
        }
    }

    /// Everything up to `to` was archived elsewhere and is gone from the stream.
    pub fn truncate_front(&mut self, to: u64) {
        while self.first < to {
            let Some(gone) = self.commits.pop_front() else { break };
            self.first += 1;
            if let Some(seqs) = self.by_subject.get_mut(&gone.subject) {
                seqs.pop_front();
            }
        }
    }
}

/// A stream that is kept by age. The twin keeps everything: a simulation ends before seven days have passed.
#[derive(Debug, Clone)]
pub(super) struct Kept<T> {
    records: BTreeMap<u64, T>,
    last: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { records: BTreeMap::new(), last: 0 }
    }
}

impl<T> Kept<T> {
    pub fn push(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        self.last += 1;
        self.records.insert(self.last, make(self.last));
        self.last
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.records.values()
    }

    pub fn after(&self, after: u64) -> impl Iterator<Item = &T> {
        self.records.range(after.saturating_add(1)..).map(|(_, record)| record)
    }

    pub fn get(&self, seq: u64) -> Option<&T> {
        self.records.get(&seq)
    }

    pub fn remove(&mut self, seq: u64) -> bool {
        self.records.remove(&seq).is_some()
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn rollback(&mut self, to: u64) {
        self.records.split_off(&(to + 1));
        self.last = self.last.min(to);
    }
}

/// Ids that a stream has seen within its duplicate window. The ids are compared over the whole stream, as JetStream does.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    seen: HashMap<String, u64>,
    by_age: VecDeque<(DateTime<Utc>, String)>,
}

impl Window {
    /// Under which sequence the id is known.
    pub fn seen(&mut self, now: DateTime<Utc>, window: TimeDelta, id: &str) -> Option<u64> {
        while let Some((_, id)) = self.by_age.pop_front_if(|(at, _)| *at + window <= now) {
            self.seen.remove(&id);
        }
        self.seen.get(id).copied()
    }

    pub fn remember(&mut self, now: DateTime<Utc>, id: String, seq: u64) {
        self.by_age.push_back((now, id.clone()));
        self.seen.insert(id, seq);
    }

    /// After a restart a server knows only the ids of messages that are still stored.
    pub fn keep(&mut self, stored: impl Fn(&str, u64) -> bool) {
        self.seen.retain(|id, seq| stored(id, *seq));
        let seen = &self.seen;
        self.by_age.retain(|(_, id)| seen.contains_key(id));
    }
}
