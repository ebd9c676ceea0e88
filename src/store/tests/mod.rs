//! Tests of the store, without a bus: the log is a list of commits.

mod damage;
mod exactly_once;
mod reading;
mod speed;
pub(crate) mod traffic;
mod versions;

use super::*;
use crate::{
    aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, Tracked},
    common_events,
};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandRefused, Commit, QuarantineLifted, Quarantined, Refusal, Timestamp, V,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};
use tempfile::TempDir;

/// A tally with two deadlines. It takes the place of a conversation.
struct Tally;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct TallyState {
    total: i64,
    first: Option<Timestamp>,
    second: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TallyEvent {
    Added { v: V<1>, number: i64 },
    Awaited { v: V<1>, second: bool, due: Option<Timestamp> },
    CommandRefused(CommandRefused),
    Quarantined(Quarantined),
    QuarantineLifted(QuarantineLifted),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum TallyCommand {
    LiftQuarantine { v: V<1> },
}

impl Aggregate for Tally {
    const KIND: AggregateKind = AggregateKind::Conversation;
    const STATE_VERSION: u32 = 1;

    type State = TallyState;
    type Event = TallyEvent;
    type Command = TallyCommand;

    common_events!(TallyEvent, TallyCommand);

    fn decide(_: &TallyState, _: &Input<TallyCommand>, _: &Context) -> Result<Vec<TallyEvent>, Refusal> {
        Err(Refusal::new("never", "the store decides nothing"))
    }

    fn evolve(state: &mut TallyState, _: &CommitMeta, event: &TallyEvent) {
        match event {
            TallyEvent::Added { number, .. } => state.total += number,
            TallyEvent::Awaited { second: false, due, .. } => state.first = *due,
            TallyEvent::Awaited { second: true, due, .. } => state.second = *due,
            _ => {}
        }
    }

    fn effects(_: &Commit<TallyEvent>) -> Vec<Effect> {
        panic!("the store computes no effects");
    }

    fn deadlines(state: &TallyState) -> Vec<Deadline> {
        let first = state.first.map(|due| Deadline { timer: "first", due });
        let second = state.second.map(|due| Deadline { timer: "second", due });
        first.into_iter().chain(second).collect()
    }
}

fn by_total(subject: Subject<'_>, tally: &Tracked<TallyState>, entries: &mut Entries) {
    let total = (tally.state.total as u64 ^ (1 << 63)).to_be_bytes();
    entries.add(&[subject.tenant.as_bytes(), b"/", &total, subject.key.as_bytes()], &[&tally.version.to_be_bytes()]);
}

const BY_TOTAL: List<Tally> = List { name: "by_total", version: 1, entries: by_total };

fn folds() -> Folds {
    Folds::new().with::<Tally>(&[BY_TOTAL]).with::<settings_kind::Documents>(&[])
}

pub(crate) fn options() -> StoreOptions {
    // Few partitions, so that several aggregates meet in each.
    StoreOptions { memory_budget_bytes: None, partitions: 4, partition_of: |_, key, all| key.len() as u16 % all }
}

fn open(dir: &TempDir) -> (Store, StoreWriter) {
    open_with(dir.path(), Vec::new())
}

fn open_with(dir: &Path, more: Vec<Box<dyn Projection>>) -> (Store, StoreWriter) {
    Store::open(&dir.join("store"), &options(), folds(), more).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A log under construction.
#[derive(Clone)]
struct Log {
    identity: String,
    commits: Vec<(String, Vec<u8>)>,
    versions: BTreeMap<String, u64>,
}

impl Log {
    fn new() -> Self {
        Self { identity: "log-1".to_owned(), commits: Vec::new(), versions: BTreeMap::new() }
    }

    fn push<E: Serialize>(&mut self, kind: AggregateKind, key: &str, events: Vec<E>) -> u64 {
        let subject = format!("kefu.events.acme.{kind}.{key}");
        let version = self.versions.entry(subject.clone()).or_default();
        *version += 1;
        let seq = self.commits.len() as u64 + 1;
        let commit = Commit {
            commit_id: format!("commit-{}-{seq}", self.identity),
            tenant: "acme".to_owned(),
            aggregate: kind,
            key: key.to_owned(),
            version: *version,
            at: at(1_000 * seq as i64),
            actor: Actor::new(ActorKind::System, "test"),
            contact: None,
            concerns: kefu_events::Concerns::default(),
            cause: cause(seq),
            cause_seq: seq,
            correlation: cause(seq),
            events,
        };
        self.commits.push((subject, serde_json::to_vec(&commit).unwrap()));
        seq
    }

    fn add(&mut self, key: &str, number: i64) -> u64 {
        self.push(AggregateKind::Conversation, key, vec![TallyEvent::Added { v: V, number }])
    }

    fn wait(&mut self, key: &str, second: bool, due: Option<Timestamp>) -> u64 {
        self.push(AggregateKind::Conversation, key, vec![TallyEvent::Awaited { v: V, second, due }])
    }

    fn end(&self) -> u64 {
        self.commits.len() as u64
    }

    fn decode(&self, folds: &Folds, seq: u64) -> Result<DecodedCommit, StoreError> {
        let (subject, payload) = &self.commits[seq as usize - 1];
        DecodedCommit::decode(folds, seq, subject, payload)
    }

    /// Feeds what the writer does not know yet, up to `end`, in batches of these sizes, the last one over and over.
    fn feed_to(&self, end: u64, writer: &mut StoreWriter, batches: &[usize]) {
        let folds = writer.folds();
        writer.follow(&self.identity, self.end()).unwrap();
        let mut sizes = batches.iter().copied().chain(std::iter::repeat(*batches.last().unwrap()));
        let mut next = writer.start() + 1;
        while next <= end {
            let size = sizes.next().unwrap().max(1) as u64;
            let commits: Vec<_> =
                (next..=end.min(next + size - 1)).map(|seq| self.decode(&folds, seq).unwrap()).collect();
            next += size;
            writer.fold(&commits).unwrap();
            writer.write().unwrap();
        }
    }

    fn feed(&self, writer: &mut StoreWriter) {
        self.feed_to(self.end(), writer, &[100]);
    }
}

/// Id of the input that led to the commit at `seq`.
fn cause(seq: u64) -> String {
    format!("acme/web/input-{seq}")
}

/// Everything that the projections have written, in readable form.
pub(crate) fn contents(store: &Store) -> Vec<String> {
    let view = &store.0.aggregates;
    let mut all = Vec::new();
    for (family, name) in view.families.iter().enumerate() {
        view.scan(family, b"", b"", |key, value| {
            all.push(format!("{name} {} = {}", key.escape_ascii(), value.escape_ascii()));
            true
        })
        .unwrap();
    }
    for tenant in store.settings().tenants() {
        all.push(format!("{tenant}: {:?}", store.settings().tenant(tenant)));
    }
    all
}

/// What a store that has read this part of the log must hold: built in one go in a directory of its own.
fn contents_after(log: &Log, end: u64) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed_to(end, &mut writer, &[1_000_000]);
    contents(&store)
}

/// A copy of the files as they are now: what a power cut, or SIGKILL, leaves.
fn killed(dir: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_all(dir.path(), copy.path());
    copy
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Settings documents, as far as the store cares.
mod settings_kind {
    use super::*;
    use kefu_events::settings::{SettingsCommand, SettingsEvent};

    pub(super) struct Documents;

    impl Aggregate for Documents {
        const KIND: AggregateKind = AggregateKind::Settings;
        const STATE_VERSION: u32 = 1;

        type State = u64;
        type Event = SettingsEvent;
        type Command = SettingsCommand;

        common_events!(SettingsEvent, SettingsCommand);

        fn decide(_: &u64, _: &Input<SettingsCommand>, _: &Context) -> Result<Vec<SettingsEvent>, Refusal> {
            Err(Refusal::new("never", "the store decides nothing"))
        }

        fn evolve(state: &mut u64, _: &CommitMeta, _: &SettingsEvent) {
            *state += 1;
        }

        fn effects(_: &Commit<SettingsEvent>) -> Vec<Effect> {
            Vec::new()
        }

        fn deadlines(_: &u64) -> Vec<Deadline> {
            Vec::new()
        }
    }

    impl Log {
        pub(super) fn set(&mut self, document: &str, value: serde_json::Value) -> u64 {
            let event = SettingsEvent::DocumentChanged {
                v: V,
                document_version: 1,
                value,
                comment: None,
                rolled_back_to: None,
            };
            self.push(AggregateKind::Settings, document, vec![event])
        }
    }
}
