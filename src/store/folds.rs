//! The states of aggregates of every kind behind one face, as the projector needs them.
//!
//! [`Kinds`](crate::aggregate::kind::Kinds) does the same for deciding. It also computes the effects of each commit,
//! which cost more than all that is done here, and are of no use to a projector.

use super::{
    AGENTS, ANSWERS, CONTACTS, CONVERSATIONS, CREDENTIALS, ENTRIES, PRACTICE, QUESTIONS, STAFF, USERS, WAITING,
    commit::AnyCommit, entries::Entries, keys,
};
use crate::{
    access::user::User,
    agent::Agent,
    aggregate::{Aggregate, Cause, Tracked},
    contact::Contact,
    conversation::Conversation,
    faq::entry::Entry,
    settings::Settings,
};
use kefu_events::{
    AggregateKind, Commit,
    upcast::{DecodeError, decode_commit},
};
use std::{any::Any, sync::Arc};

/// Whose state it is.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// Key of the aggregate.
    pub key: &'a str,
}

/// A list in which aggregates of a kind are found by something in their state.
///
/// It has a column family of its own, which always fits the snapshots. A new list, or a new version of one, is filled
/// from the snapshots when the store is opened, without reading the log.
pub struct List<A: Aggregate> {
    /// Its name: `[a-z_]+`.
    pub name: &'static str,
    /// Counted up whenever `entries` changes meaning. From 1.
    pub version: u32,
    /// The entries under which an aggregate in this state is found. Pure.
    pub entries: fn(subject: Subject<'_>, state: &Tracked<A::State>, entries: &mut Entries),
}

impl<A: Aggregate> Clone for List<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Aggregate> Copy for List<A> {}

/// The families that the projection `aggregates` has for itself; those of lists follow.
pub(super) const SNAPSHOTS: usize = 0;
pub(super) const CAUSES: usize = 1;
pub(super) const TIMERS: usize = 2;
const FIRST_LIST: usize = 3;

/// The kinds that a node knows, with their lists.
#[derive(Clone, Default)]
pub struct Folds {
    kinds: Vec<Arc<dyn Fold>>,
    lists: Vec<(&'static str, u32)>,
}

impl Folds {
    /// All that kefu has, with their lists.
    pub fn all() -> Self {
        Self::new()
            .with::<Conversation>(&[CONVERSATIONS, WAITING, QUESTIONS])
            .with::<Contact>(&[CONTACTS])
            .with::<Settings>(&[])
            .with::<Agent>(&[AGENTS, STAFF, PRACTICE])
            .with::<Entry>(&[ENTRIES, ANSWERS])
            .with::<User>(&[USERS, CREDENTIALS])
    }

    /// No kinds.
    pub fn new() -> Self {
        Self::default()
    }

    /// These, and the kind `A` with its lists.
    #[must_use]
    pub fn with<A: Aggregate>(mut self, lists: &[List<A>]) -> Self {
        let numbered = lists.iter().map(|list| {
            self.lists.push((list.name, list.version));
            (FIRST_LIST + self.lists.len() - 1, list.entries)
        });
        let fold = FoldOf::<A> { lists: numbered.collect() };
        self.kinds.push(Arc::new(fold));
        self
    }

    pub(super) fn get(&self, kind: AggregateKind) -> Option<&dyn Fold> {
        self.iter().find(|fold| fold.kind() == kind)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn Fold> {
        self.kinds.iter().map(|fold| &**fold)
    }

    /// Name and version of each list.
    pub(super) fn lists(&self) -> &[(&'static str, u32)] {
        &self.lists
    }

    /// The family of a list.
    pub(super) fn family_of(&self, list: &str) -> Option<usize> {
        Some(FIRST_LIST + self.lists.iter().position(|(name, _)| *name == list)?)
    }

    /// Whether a family is a list.
    pub(super) fn is_list(family: usize) -> bool {
        family >= FIRST_LIST
    }
}

/// One kind.
pub(super) trait Fold: Send + Sync {
    fn kind(&self) -> AggregateKind;
    fn state_version(&self) -> u32;
    fn decode(&self, payload: &[u8]) -> Result<Box<dyn AnyCommit>, DecodeError>;
    fn fresh(&self) -> Box<dyn FoldedState>;
    fn restore(&self, snapshot: &[u8]) -> Result<Box<dyn FoldedState>, serde_json::Error>;
}

/// One aggregate's state.
pub(super) trait FoldedState: Send {
    fn version(&self) -> u64;
    /// Takes a commit in; the fingerprint of its cause comes back, `None` if it is a commit of another kind.
    fn apply(&mut self, commit: &dyn AnyCommit, seq: u64) -> Option<Cause>;
    /// Writes the snapshot, as [`Kind::restore`](crate::aggregate::kind::Kind::restore) reads it, behind what is there.
    fn snapshot_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    /// All entries under which it is to be found in this state, its timers being some of them.
    fn entries_into(&self, partition: u16, path: &[u8], out: &mut Entries);
}

type ListEntries<A> = fn(Subject<'_>, &Tracked<<A as Aggregate>::State>, &mut Entries);

struct FoldOf<A: Aggregate> {
    lists: Arc<[(usize, ListEntries<A>)]>,
}

struct StateOf<A: Aggregate> {
    tracked: Tracked<A::State>,
    lists: Arc<[(usize, ListEntries<A>)]>,
}

impl<A: Aggregate> Fold for FoldOf<A> {
    fn kind(&self) -> AggregateKind {
        A::KIND
    }

    fn state_version(&self) -> u32 {
        A::STATE_VERSION
    }

    fn decode(&self, payload: &[u8]) -> Result<Box<dyn AnyCommit>, DecodeError> {
        // Checked for UTF-8 as a whole, which is quicker than string by string. What cannot be read like this is left to the
        // one place that knows older events.
        let current = std::str::from_utf8(payload).ok().and_then(|text| serde_json::from_str(text).ok());
        let commit: Commit<A::Event> = match current {
            Some(commit) => commit,
            None => decode_commit(payload)?,
        };
        Ok(Box::new(commit))
    }

    fn fresh(&self) -> Box<dyn FoldedState> {
        Box::new(StateOf::<A> { tracked: Tracked::default(), lists: self.lists.clone() })
    }

    fn restore(&self, snapshot: &[u8]) -> Result<Box<dyn FoldedState>, serde_json::Error> {
        Ok(Box::new(StateOf::<A> { tracked: serde_json::from_slice(snapshot)?, lists: self.lists.clone() }))
    }
}

impl<A: Aggregate> FoldedState for StateOf<A> {
    fn version(&self) -> u64 {
        self.tracked.version
    }

    fn apply(&mut self, commit: &dyn AnyCommit, seq: u64) -> Option<Cause> {
        let commit = (commit as &dyn Any).downcast_ref::<Commit<A::Event>>()?;
        self.tracked.apply::<A>(commit, seq);
        // Not computed a second time: it is a hash, and this runs for every commit of a rebuild.
        self.tracked.recent.back().map(|(cause, _)| *cause)
    }

    fn snapshot_into(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, &self.tracked)
    }

    fn entries_into(&self, partition: u16, path: &[u8], out: &mut Entries) {
        out.clear();
        out.in_family(TIMERS);
        for deadline in A::deadlines(&self.tracked.state) {
            out.add_with(|key| keys::timer_into(key, partition, deadline.due, path, deadline.timer), &[]);
        }
        if let Some((_, tenant, key, _)) = keys::parse_path(path) {
            for (family, entries) in &*self.lists {
                out.in_family(*family);
                entries(Subject { tenant, key }, &self.tracked, out);
            }
        }
    }
}
