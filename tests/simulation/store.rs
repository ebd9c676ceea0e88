//! A node's store, as far as the machine can see it: always a fold of the log up to its checkpoint.

use kefu::{
    aggregate::{
        Cause, Deadline,
        kind::{Cell, Kinds},
    },
    journal::Recorded,
    runtime::machine::AggregateId,
};
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
pub struct Store {
    /// Which log this is a fold of.
    pub identity: String,
    pub checkpoint: u64,
    /// The commit there, so that a log that went back and grew again is noticed.
    pub checkpoint_hash: u64,
    pub cells: BTreeMap<AggregateId, Box<dyn Cell>>,
    pub causes: HashMap<(AggregateId, Cause), u64>,
}

impl Store {
    pub fn project(&mut self, kinds: &Kinds, recorded: &Recorded) {
        let commit = read(kinds, recorded);
        let id =
            AggregateId { tenant: commit.facts.tenant.clone(), kind: commit.facts.kind, key: commit.facts.key.clone() };
        let fresh = || kinds.get(id.kind).unwrap().fresh();
        self.cells.entry(id.clone()).or_insert_with(fresh).apply(&commit, recorded.seq);
        self.causes.insert((id, Cause::of(&commit.facts.cause)), recorded.seq);
        self.checkpoint = recorded.seq;
        self.checkpoint_hash = hash(&recorded.payload);
    }

    pub fn snapshot(&self, id: &AggregateId) -> Option<Vec<u8>> {
        self.cells.get(id).map(|cell| cell.snapshot())
    }

    /// Deadlines that have passed.
    pub fn due(&self, now: i64) -> Vec<(AggregateId, Deadline)> {
        let all = self.cells.iter().flat_map(|(id, cell)| cell.deadlines().into_iter().map(move |d| (id.clone(), d)));
        all.filter(|(_, deadline)| deadline.due.as_millis() <= now).collect()
    }
}

pub fn read(kinds: &Kinds, recorded: &Recorded) -> kefu::aggregate::kind::Recorded {
    #[derive(serde::Deserialize)]
    struct KindOnly {
        aggregate: kefu_events::AggregateKind,
    }
    let kind: KindOnly = serde_json::from_slice(&recorded.payload).unwrap();
    kinds.get(kind.aggregate).unwrap().read(&recorded.payload).unwrap()
}

pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
