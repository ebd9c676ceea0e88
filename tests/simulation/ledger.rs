//! What must hold, whatever goes wrong: every observation is written down here and compared at once.

use super::store::{Store, hash, read};
use bytes::Bytes;
use kefu::{
    aggregate::kind::{Cell, CommitFacts, Kinds},
    journal::{Outgoing, Queue, Recorded, memory::MemoryCore},
    runtime::{
        intake::{header, reason},
        machine::AggregateId,
        outgoing::outgoing,
    },
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is expected of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// It ends in exactly one commit.
    Good,
    /// It is rejected for a reason of its own.
    Malformed,
}

/// One message in a work queue, as it was stored.
#[derive(Debug, Clone)]
pub struct StoredInput {
    /// Counts everything that was ever stored, in order.
    pub serial: u64,
    /// `None`: malformed.
    pub cause: Option<String>,
    payload_hash: u64,
    pub rejected: bool,
    pub acked: bool,
    /// Stored before the last power loss: it may be gone.
    pub lenient: bool,
}

#[derive(Debug, Clone, Default)]
pub struct InputRecord {
    /// Stored copies of it.
    pub copies: Vec<(Queue, u64)>,
    /// Whether it was ever set aside, or rejected because its aggregate was.
    pub quarantined: bool,
    /// Whether all copies were stored before the last power loss.
    pub lenient: bool,
}

struct ExpectedEffect {
    bytes: Bytes,
    seq: u64,
    index: usize,
    /// The conversation whose customer sees it.
    conversation: Option<String>,
    published: bool,
}

struct Entry {
    id: AggregateId,
    facts: CommitFacts,
    effects: Vec<String>,
    lenient: bool,
}

#[derive(Default)]
pub struct Ledger {
    /// The whole log, also what was archived.
    pub history: Vec<Recorded>,
    entries: Vec<Entry>,
    /// The fold of the whole log.
    pub fold: Store,
    /// Fingerprints of each aggregate's state after each of its commits.
    marks: BTreeMap<AggregateId, Vec<(u64, u64)>>,
    causes: HashMap<String, u64>,
    effects: HashMap<String, ExpectedEffect>,
    /// Effects of commits that a power loss took.
    orphans: HashMap<String, Bytes>,
    shown: HashMap<String, (u64, usize)>,
    decided: HashMap<(AggregateId, Queue), u64>,
    pub inputs: BTreeMap<String, InputRecord>,
    pub stored: BTreeMap<(Queue, u64), StoredInput>,
    serial: u64,
    pub broken: Vec<String>,
    /// Whether power was ever lost.
    pub lost_power: bool,
}

impl Ledger {
    fn violated(&mut self, text: String) {
        self.broken.push(text);
    }

    pub fn expect(&mut self, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            self.broken.push(text());
        }
    }

    /// Whether this input has a commit.
    pub fn committed(&self, cause: &str) -> Option<u64> {
        self.causes.get(cause).copied()
    }

    /// A message was stored in a work queue.
    pub fn stored(&mut self, queue: Queue, seq: u64, cause: Option<String>, payload: &[u8]) {
        self.serial += 1;
        if let Some(cause) = &cause {
            let record = self.inputs.entry(cause.clone()).or_default();
            record.copies.push((queue, seq));
            record.lenient = false;
        }
        let (serial, payload_hash) = (self.serial, hash(payload));
        let input = StoredInput { serial, cause, payload_hash, rejected: false, acked: false, lenient: false };
        self.stored.insert((queue, seq), input);
    }

    /// A commit appeared in the log.
    pub fn appended(&mut self, kinds: &Kinds, recorded: Recorded) {
        let commit = read(kinds, &recorded);
        let facts = commit.facts.clone();
        let id = AggregateId { tenant: facts.tenant.clone(), kind: facts.kind, key: facts.key.clone() };
        let seq = recorded.seq;
        self.expect(seq == self.history.len() as u64 + 1, || format!("commit {seq} has no place in the log"));
        let cell = self.fold.cells.get(&id);
        let (version, at) = cell.map_or((0, Default::default()), |cell| (cell.version(), cell.at()));
        let is = cell.and_then(|cell| cell.state()["digest"].as_u64()).unwrap_or(0);
        self.expect(facts.version == version + 1, || {
            format!("{id}: version {} follows version {version} (commit {seq})", facts.version)
        });
        self.expect(facts.at >= at, || format!("{id}: commit {seq} is older than the one before it"));
        if let Some(saw) = digest_seen(&recorded.payload) {
            self.expect(saw == is, || {
                format!("{id}: commit {seq} was decided on another state than that of version {version}")
            });
        }
        self.fold.project(kinds, &recorded);
        let snapshot = self.fold.snapshot(&id).unwrap_or_default();
        self.marks.entry(id.clone()).or_default().push((seq, hash(&snapshot)));
        self.caused(&id, &facts, seq);
        let mut effects = Vec::new();
        for (index, effect) in outgoing(&commit, seq).into_iter().enumerate() {
            let (name, bytes, conversation) = named(&effect);
            effects.push(name.clone());
            let expected = ExpectedEffect { bytes, seq, index, conversation, published: false };
            let before = self.effects.insert(name.clone(), expected);
            self.expect(before.is_none(), || format!("two effects have the id {name}"));
        }
        self.history.push(recorded);
        self.entries.push(Entry { id, facts, effects, lenient: false });
    }

    fn caused(&mut self, id: &AggregateId, facts: &CommitFacts, seq: u64) {
        let cause = facts.cause.as_str();
        let queue = if facts.is_command { Queue::Commands } else { Queue::Inbox };
        if let Some(input) = cause.strip_prefix("quarantine:") {
            self.inputs.entry(input.to_owned()).or_default().quarantined = true;
            return;
        }
        if let Some(first) = self.causes.insert(cause.to_owned(), seq) {
            self.violated(format!("{id}: {cause} was decided twice, in commits {first} and {seq}"));
        }
        let Some(record) = self.inputs.get(cause) else {
            self.violated(format!("{id}: commit {seq} has a cause that nobody sent: {cause}"));
            return;
        };
        let Some(stored) = self.stored.get(&(queue, facts.cause_seq)).filter(|s| s.cause.as_deref() == Some(cause))
        else {
            if !record.lenient {
                self.violated(format!("{id}: commit {seq} names a wrong place in its queue for {cause}"));
            }
            return;
        };
        if record.quarantined || record.lenient {
            return; // Sent again by an operator, behind what came later; or a power loss brought it back.
        }
        let serial = stored.serial;
        let last = self.decided.insert((id.clone(), queue), serial).unwrap_or(0);
        self.expect(serial > last, || format!("{id}: {cause} was decided after a later input (commit {seq})"));
    }

    /// A machine published this, or what a machine had published arrived late.
    pub fn published(&mut self, effect: &Outgoing) {
        if let Outgoing::Rejected { headers, .. } = effect {
            return self.rejected(headers);
        }
        let (name, bytes, _) = named(effect);
        if let Some(expected) = self.effects.get_mut(&name) {
            let same = expected.bytes == bytes;
            let first = !std::mem::replace(&mut expected.published, true);
            let place = (expected.seq, expected.index);
            let conversation = expected.conversation.clone();
            // An input that waited out a quarantine has two results: that it was rejected, and later the real one.
            self.expect(same || is_result_of_a_rejection(effect), || format!("{name} was published with other bytes"));
            if let Some(conversation) = conversation.filter(|_| first) {
                let before = self.shown.get(&conversation).copied().unwrap_or_default();
                self.shown.insert(conversation.clone(), place.max(before));
                let lenient = self.entries[place.0 as usize - 1].lenient;
                self.expect(place > before || lenient, || {
                    format!(
                        "{conversation}: {name} of commit {} was published after one of commit {}",
                        place.0, before.0
                    )
                });
            }
            return;
        }
        let orphan = self.orphans.contains_key(&name);
        self.expect(orphan || is_result_of_a_rejection(effect), || format!("{name} was published without its commit"));
    }

    fn rejected(&mut self, headers: &BTreeMap<String, String>) {
        let queue = if headers[header::QUEUE] == "inbox" { Queue::Inbox } else { Queue::Commands };
        let seq: u64 = headers[header::QUEUE_SEQ].parse().unwrap();
        let reason = headers[header::REASON].clone();
        let Some(stored) = self.stored.get_mut(&(queue, seq)) else {
            self.violated(format!("rejected {queue:?} {seq}, which nobody sent"));
            return;
        };
        stored.rejected = true;
        let cause = stored.cause.clone();
        match cause {
            Some(cause) => {
                self.expect(reason == "quarantined", || format!("{cause} was rejected as {reason}"));
                self.inputs.entry(cause).or_default().quarantined = true;
            }
            None => self.expect(reason != "quarantined", || format!("{queue:?} {seq}, malformed, was quarantined")),
        }
    }

    /// An acknowledgement counted: the message is gone from its queue.
    pub fn acked(&mut self, queue: Queue, seq: u64) {
        let Some(stored) = self.stored.get_mut(&(queue, seq)) else { return };
        stored.acked = true;
        let (rejected, lenient) = (stored.rejected, stored.lenient);
        let Some(cause) = stored.cause.clone() else {
            return self.expect(rejected, || format!("{queue:?} {seq}, malformed, was acked and is not in rejected"));
        };
        let Some(at) = self.committed(&cause) else {
            return self.expect(rejected || lenient, || format!("{cause} was acked without a commit or a rejection"));
        };
        let entry = &self.entries[at as usize - 1];
        if entry.facts.cause_seq != seq || entry.lenient {
            return;
        }
        let missing = entry.effects.iter().find(|name| !self.effects[*name].published).cloned();
        self.expect(missing.is_none() || rejected, || {
            format!("{cause} was acked before its effect {missing:?} was out")
        });
    }

    /// What a machine has in memory is what the log says.
    pub fn check_cell(&mut self, who: &str, id: &AggregateId, cell: &dyn Cell) {
        let seq = cell.seq();
        if seq == 0 {
            return self.expect(cell.version() == 0, || format!("{who} has {id} at version {}", cell.version()));
        }
        let marks = self.marks.get(id).map_or(&[][..], Vec::as_slice);
        let mark = marks.binary_search_by_key(&seq, |(seq, _)| *seq).ok().map(|index| marks[index].1);
        let same = mark == Some(hash(&cell.snapshot()));
        self.expect(same, || format!("{who} has {id} at {seq}, version {}, not as the log has it", cell.version()));
    }

    /// Power was lost, and with it what this says. What was there before may be gone; see the folder's text.
    pub fn power_lost(&mut self, kinds: &Kinds, log_to: u64) {
        self.lost_power = true;
        let kept: Vec<Recorded> = self.history.drain(..).take(log_to as usize).collect();
        let effects = std::mem::take(&mut self.effects);
        self.entries.clear();
        self.marks.clear();
        self.causes.clear();
        self.shown.clear();
        self.decided.clear();
        self.fold = Store::default();
        for input in self.inputs.values_mut() {
            input.lenient = true;
        }
        for stored in self.stored.values_mut() {
            stored.lenient = true;
        }
        for commit in kept {
            self.appended(kinds, commit);
        }
        for entry in &mut self.entries {
            entry.lenient = true;
        }
        for (name, was) in effects {
            match self.effects.get_mut(&name).filter(|_| was.published) {
                Some(effect) => {
                    effect.published = true;
                    if let Some(conversation) = &effect.conversation {
                        let place = self.shown.entry(conversation.clone()).or_default();
                        *place = (*place).max((effect.seq, effect.index));
                    }
                }
                None => {
                    self.orphans.insert(name, was.bytes);
                }
            }
        }
    }

    /// A queue lost its end.
    pub fn queue_lost(&mut self, queue: Queue, to: u64) {
        self.stored.retain(|(of, seq), _| *of != queue || *seq <= to);
        for input in self.inputs.values_mut() {
            input.copies.retain(|(of, seq)| *of != queue || *seq <= to);
        }
    }

    /// The disk never had these acknowledgements.
    pub fn unacked(&mut self, queue: Queue) {
        for ((of, _), stored) in &mut self.stored {
            if *of == queue {
                stored.acked = false;
            }
        }
    }

    /// Everything has come to rest.
    pub fn at_rest(&mut self) {
        let mut broken = Vec::new();
        for (cause, input) in &self.inputs {
            let rejected = input.copies.iter().any(|copy| self.stored.get(copy).is_some_and(|stored| stored.rejected));
            match self.causes.get(cause) {
                None if input.lenient => {}
                None if input.copies.is_empty() => broken.push(format!("{cause} was quarantined but never sent")),
                None => broken.push(format!("{cause} has no commit (rejected: {rejected})")),
                Some(_) if rejected && !input.quarantined => broken.push(format!("{cause} is committed and rejected")),
                Some(_) => {}
            }
        }
        for ((queue, seq), stored) in &self.stored {
            if !stored.acked && !stored.lenient {
                broken.push(format!("{queue:?} {seq} was never acked"));
            }
            if stored.cause.is_none() && !stored.rejected && !stored.lenient {
                broken.push(format!("{queue:?} {seq} is malformed and not in rejected"));
            }
        }
        for entry in self.entries.iter().filter(|entry| !entry.lenient) {
            for name in entry.effects.iter().filter(|name| !self.effects[*name].published) {
                broken.push(format!("{}: {name} was never published", entry.id));
            }
        }
        self.broken.extend(broken);
    }

    /// What the streams of replies and of rejected input hold is what was observed.
    pub fn compare_streams(&mut self, bus: &MemoryCore) {
        let mut shown = HashMap::new();
        for reply in bus.outbox(0) {
            let name = format!("reply {}", reply.id);
            let first = shown.entry(name.clone()).or_insert_with(|| reply.payload.clone());
            self.expect(*first == reply.payload, || format!("{name} is in the outbox with different bytes"));
        }
        let mut rejected = BTreeSet::new();
        for record in bus.rejected(1) {
            let queue = if record.headers[header::QUEUE] == "inbox" { Queue::Inbox } else { Queue::Commands };
            rejected.insert((queue, record.headers[header::QUEUE_SEQ].clone(), hash(&record.payload)));
        }
        let replies = self.entries.iter().filter(|entry| !entry.lenient).flat_map(|entry| &entry.effects);
        let missing = replies.filter(|name| name.starts_with("reply ") && !shown.contains_key(*name));
        let mut broken: Vec<String> = missing.map(|name| format!("{name} is not in the outbox")).collect();
        for ((queue, seq), stored) in self.stored.iter().filter(|(_, stored)| stored.rejected && !stored.lenient) {
            if !rejected.contains(&(*queue, seq.to_string(), stored.payload_hash)) {
                broken.push(format!("{queue:?} {seq} was rejected, but its payload is not stored as such"));
            }
        }
        self.broken.extend(broken);
    }

    pub fn commits(&self) -> usize {
        self.history.len()
    }

    /// Sequence of the first commit whose input still waits in a queue: what may not be archived yet.
    pub fn first_unacked_commit(&self) -> u64 {
        let waiting: BTreeSet<&str> =
            self.stored.values().filter(|stored| !stored.acked).filter_map(|stored| stored.cause.as_deref()).collect();
        let first = waiting.iter().filter_map(|cause| self.causes.get(*cause)).min();
        first.copied().unwrap_or(u64::MAX)
    }
}

fn named(effect: &Outgoing) -> (String, Bytes, Option<String>) {
    match effect {
        Outgoing::Reply { tenant, key, id, payload, .. } => {
            (format!("reply {id}"), payload.clone(), Some(format!("{tenant}/{key}")))
        }
        Outgoing::Command { id, payload, .. } => (format!("command {id}"), payload.clone(), None),
        Outgoing::Result { id, payload, .. } => (format!("result {id}"), payload.clone(), None),
        Outgoing::Rejected { id, payload, .. } => (format!("rejected {id}"), payload.clone(), None),
    }
}

/// Codes of results that no commit stands behind.
const REJECTIONS: [&str; 5] = [
    reason::QUARANTINED,
    reason::MALFORMED,
    reason::UNKNOWN_COMMAND,
    reason::UNKNOWN_AGGREGATE,
    reason::SUBJECT_MISMATCH,
];

fn is_result_of_a_rejection(effect: &Outgoing) -> bool {
    let Outgoing::Result { payload, .. } = effect else { return false };
    serde_json::from_slice::<kefu_events::CommandResult>(payload)
        .is_ok_and(|result| result.refusal.is_some_and(|refusal| REJECTIONS.contains(&refusal.code.as_str())))
}

/// The digest that a test aggregate's first event says its decision saw.
fn digest_seen(payload: &[u8]) -> Option<u64> {
    let commit: serde_json::Value = serde_json::from_slice(payload).ok()?;
    commit["events"][0]["before"].as_u64()
}
