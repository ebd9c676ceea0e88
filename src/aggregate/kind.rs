//! Aggregates of every kind behind one face, so that one runtime can drive them all.
//!
//! [`Kind`] is what the runtime knows of a kind; [`Cell`] is one aggregate of it; [`Recorded`] is one commit of it, decided
//! just now or read back from the log. The types behind them are known only here.

use super::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, LookUp, TenantConfig, Tracked, tracked::Cause};
use bytes::Bytes;
use kefu_events::{
    Actor, AggregateKind, CommandHeader, CommandRefused, Commit, Inbound, Quarantined, Refusal, Timestamp, V,
    envelope::Command,
    upcast::{DecodeError, decode_commit},
};
use serde::Deserialize;
use serde_json::Value;
use std::{any::Any, borrow::Cow, marker::PhantomData, sync::Arc};

/// One input with what the runtime must know of it.
#[derive(Debug)]
pub struct ParsedInput {
    /// Kind of the aggregate that it is for.
    pub kind: AggregateKind,
    /// Id that makes it unique for ever.
    pub cause: String,
    /// Its sequence in its work queue.
    pub cause_seq: u64,
    /// Who caused it.
    pub actor: Actor,
    /// The start of the chain that it belongs to.
    pub correlation: String,
    /// What only commands have.
    pub command: Option<CommandFacts>,
    typed: Box<dyn Any + Send>,
}

/// What the runtime must know of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandFacts {
    /// Its id.
    pub id: String,
    /// Its type.
    pub command_type: String,
    /// Decide only at this version.
    pub expected_version: Option<u64>,
    /// Whether it lifts a quarantine.
    pub lifts_quarantine: bool,
}

/// Deciding failed in a way that it would always fail: a defect, not an outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison(pub String);

/// What the runtime must know of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitFacts {
    /// Unique for ever.
    pub commit_id: String,
    /// Whose aggregate this is.
    pub tenant: String,
    /// Kind of the aggregate.
    pub kind: AggregateKind,
    /// Its key.
    pub key: String,
    /// The aggregate's version after it.
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Id of the input.
    pub cause: String,
    /// Sequence of the input in its work queue.
    pub cause_seq: u64,
    /// The start of the chain.
    pub correlation: String,
    /// Whether a command caused it, whose sender waits for a result.
    pub is_command: bool,
    /// Why the command was refused, if it was.
    pub refusal: Option<Refusal>,
}

/// One commit, decided just now or read back from the log.
#[derive(Debug)]
pub struct Recorded {
    /// What the runtime must know of it.
    pub facts: CommitFacts,
    /// What follows from it.
    pub effects: Vec<Effect>,
    typed: Box<dyn Any + Send + Sync>,
}

/// A decision: a commit that is not in the log yet.
#[derive(Debug)]
pub struct Decision {
    /// The commit.
    pub commit: Arc<Recorded>,
    /// Its JSON.
    pub payload: Bytes,
}

/// What the runtime knows of one kind of aggregate.
pub trait Kind: Send + Sync {
    /// Which kind.
    fn kind(&self) -> AggregateKind;
    /// See [`Aggregate::STATE_VERSION`].
    fn state_version(&self) -> u32;
    /// See [`Aggregate::TAKES_MESSAGES`].
    fn takes_messages(&self) -> bool;
    /// See [`Aggregate::founds_tenants`].
    fn founds_tenants(&self, key: &str) -> bool;
    /// An input out of a customer's message.
    fn message(&self, cause: String, cause_seq: u64, actor: Actor, message: Inbound) -> ParsedInput;
    /// An input out of a command's JSON, whose header has been read.
    ///
    /// # Errors
    /// The type is unknown, or its fields are wrong.
    fn command(&self, header: CommandHeader, cause_seq: u64, payload: &[u8]) -> Result<ParsedInput, serde_json::Error>;
    /// An aggregate that has no commits.
    fn fresh(&self) -> Box<dyn Cell>;
    /// An aggregate out of its snapshot.
    ///
    /// # Errors
    /// The snapshot is damaged or of another version.
    fn restore(&self, snapshot: &[u8]) -> Result<Box<dyn Cell>, serde_json::Error>;
    /// A commit out of the log.
    ///
    /// # Errors
    /// It is damaged or newer than this code.
    fn read(&self, payload: &[u8]) -> Result<Recorded, DecodeError>;
    /// The JSON of the command that tells of a passed deadline; `None` where there are no deadlines.
    fn timer_command(&self, header: CommandHeader, timer: &str, due: Timestamp) -> Option<Vec<u8>>;
}

/// One aggregate.
pub trait Cell: Send + Sync {
    /// Number of commits so far.
    fn version(&self) -> u64;
    /// The last commit's sequence in the log; 0 before the first.
    fn seq(&self) -> u64;
    /// When the last commit was decided.
    fn at(&self) -> Timestamp;
    /// Whether inputs are refused until somebody looks at what went wrong.
    fn quarantined(&self) -> bool;
    /// See [`Tracked::recent_seq_of`].
    fn recent_seq_of(&self, cause: Cause) -> Option<u64>;
    /// See [`Tracked::forgotten_before`].
    fn forgotten_before(&self) -> Option<u64>;
    /// See [`Aggregate::look_ups`].
    fn look_ups(&self, input: &ParsedInput, settings: &TenantConfig) -> Vec<LookUp>;
    /// What follows from `input`. A panic inside is caught and is [`Poison`].
    ///
    /// # Errors
    /// The decision is defective and would be so again.
    fn decide(&self, input: &ParsedInput, context: &Context) -> Result<Decision, Poison>;
    /// The commit that sets this aggregate aside because `input` cannot be decided.
    fn quarantine(&self, input: &ParsedInput, context: &Context, error: &str) -> Decision;
    /// Takes a commit in, which the log holds at `seq`. Older ones than the state's are passed over.
    fn apply(&mut self, commit: &Recorded, seq: u64);
    /// The whole state, for the store.
    fn snapshot(&self) -> Vec<u8>;
    /// The aggregate's own state, for people and queries.
    fn state(&self) -> Value;
    /// See [`Aggregate::deadlines`].
    fn deadlines(&self) -> Vec<Deadline>;
}

/// [`Kind`] of the aggregate `A`.
pub struct KindOf<A>(PhantomData<fn() -> A>);

impl<A: Aggregate> KindOf<A> {
    /// For a [`Kinds`] registry.
    pub fn boxed() -> Box<dyn Kind> {
        Box::new(Self(PhantomData))
    }
}

/// The kinds that a node drives.
#[derive(Clone)]
pub struct Kinds(Arc<[Box<dyn Kind>]>);

impl Kinds {
    /// A registry of these.
    pub fn new(kinds: Vec<Box<dyn Kind>>) -> Self {
        Self(kinds.into())
    }

    /// The kind, if this node drives it.
    pub fn get(&self, kind: AggregateKind) -> Option<&dyn Kind> {
        self.iter().find(|known| known.kind() == kind)
    }

    /// The kind that takes customers' messages.
    pub fn for_messages(&self) -> Option<&dyn Kind> {
        self.iter().find(|known| known.takes_messages())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Kind> {
        self.0.iter().map(|kind| &**kind)
    }
}

impl std::fmt::Debug for Kinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(Kind::kind)).finish()
    }
}

/// The `type` of a command, before the rest is read.
#[derive(Deserialize)]
struct TypeOnly<'a> {
    #[serde(rename = "type", borrow)]
    command_type: Cow<'a, str>,
}

impl<A: Aggregate> Kind for KindOf<A> {
    fn kind(&self) -> AggregateKind {
        A::KIND
    }

    fn state_version(&self) -> u32 {
        A::STATE_VERSION
    }

    fn takes_messages(&self) -> bool {
        A::TAKES_MESSAGES
    }

    fn founds_tenants(&self, key: &str) -> bool {
        A::founds_tenants(key)
    }

    fn message(&self, cause: String, cause_seq: u64, actor: Actor, message: Inbound) -> ParsedInput {
        ParsedInput {
            kind: A::KIND,
            correlation: cause.clone(),
            cause,
            cause_seq,
            actor,
            command: None,
            typed: Box::new(Input::<A::Command>::Message(message)),
        }
    }

    fn command(&self, header: CommandHeader, cause_seq: u64, payload: &[u8]) -> Result<ParsedInput, serde_json::Error> {
        let TypeOnly { command_type } = serde_json::from_slice(payload)?;
        let body: A::Command = serde_json::from_slice(payload)?;
        Ok(ParsedInput {
            kind: A::KIND,
            cause: header.id.clone(),
            cause_seq,
            actor: header.actor.clone(),
            correlation: header.correlation.clone().unwrap_or_else(|| header.id.clone()),
            command: Some(CommandFacts {
                id: header.id.clone(),
                command_type: command_type.into_owned(),
                expected_version: header.expected_version,
                lifts_quarantine: A::lifts_quarantine(&body),
            }),
            typed: Box::new(Input::Command(header, body)),
        })
    }

    fn fresh(&self) -> Box<dyn Cell> {
        Box::new(CellOf::<A>(Tracked::default()))
    }

    fn restore(&self, snapshot: &[u8]) -> Result<Box<dyn Cell>, serde_json::Error> {
        Ok(Box::new(CellOf::<A>(serde_json::from_slice(snapshot)?)))
    }

    fn read(&self, payload: &[u8]) -> Result<Recorded, DecodeError> {
        Ok(record::<A>(decode_commit(payload)?))
    }

    fn timer_command(&self, header: CommandHeader, timer: &str, due: Timestamp) -> Option<Vec<u8>> {
        let body = A::timer_fired(timer, due)?;
        Some(to_json(&Command { header, body }))
    }
}

struct CellOf<A: Aggregate>(Tracked<A::State>);

impl<A: Aggregate> CellOf<A> {
    fn commit(&self, input: &ParsedInput, context: &Context, cause: String, events: Vec<A::Event>) -> Decision {
        let typed = input.typed.downcast_ref::<Input<A::Command>>();
        let commit = Commit {
            commit_id: context.commit_id.to_owned(),
            tenant: context.tenant.to_owned(),
            aggregate: A::KIND,
            key: context.key.to_owned(),
            version: self.0.version + 1,
            at: context.now,
            actor: input.actor.clone(),
            contact: A::contact(&self.0.state, context.key, typed),
            concerns: A::concerns(&self.0.state, &events),
            cause,
            cause_seq: input.cause_seq,
            correlation: input.correlation.clone(),
            events,
        };
        let payload = Bytes::from(to_json(&commit));
        Decision { commit: Arc::new(record::<A>(commit)), payload }
    }

    fn events(&self, input: &ParsedInput, context: &Context) -> Result<Vec<A::Event>, Poison> {
        let Some(typed) = input.typed.downcast_ref::<Input<A::Command>>() else {
            return Err(Poison("an input of another kind of aggregate".to_owned()));
        };
        let decided = match &input.command {
            Some(command) if command.lifts_quarantine && self.0.quarantined => Ok(vec![A::quarantine_lifted()]),
            Some(CommandFacts { expected_version: Some(expected), .. }) if *expected != self.0.version => {
                let message = format!("decided at version {expected}, but the version is {} by now", self.0.version);
                Err(Refusal::new("stale", message))
            }
            _ => A::decide(&self.0.state, typed, context),
        };
        match (decided, &input.command) {
            (Ok(events), _) if events.is_empty() => Err(Poison("the decision has no events".to_owned())),
            (Ok(events), _) => Ok(events),
            (Err(refusal), Some(command)) => Ok(A::refuse(
                &self.0.state,
                typed,
                CommandRefused {
                    v: V,
                    command: command.id.clone(),
                    command_type: command.command_type.clone(),
                    refusal,
                },
            )),
            (Err(refusal), None) => Err(Poison(format!("a customer's message was refused: {}", refusal.message))),
        }
    }
}

impl<A: Aggregate> Cell for CellOf<A> {
    fn version(&self) -> u64 {
        self.0.version
    }

    fn seq(&self) -> u64 {
        self.0.seq
    }

    fn at(&self) -> Timestamp {
        self.0.at
    }

    fn quarantined(&self) -> bool {
        self.0.quarantined
    }

    fn recent_seq_of(&self, cause: Cause) -> Option<u64> {
        self.0.recent_seq_of(cause)
    }

    fn forgotten_before(&self) -> Option<u64> {
        self.0.forgotten_before()
    }

    fn look_ups(&self, input: &ParsedInput, settings: &TenantConfig) -> Vec<LookUp> {
        let typed = input.typed.downcast_ref::<Input<A::Command>>();
        typed.map_or_else(Vec::new, |typed| A::look_ups(&self.0.state, typed, settings))
    }

    fn decide(&self, input: &ParsedInput, context: &Context) -> Result<Decision, Poison> {
        // Also the serialisation and the effects, which must succeed before anything is in the log for ever.
        let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let events = self.events(input, context)?;
            Ok(self.commit(input, context, input.cause.clone(), events))
        }));
        decided.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(Poison(format!("panicked: {}", text.unwrap_or_default())))
        })
    }

    fn quarantine(&self, input: &ParsedInput, context: &Context, error: &str) -> Decision {
        let quarantined = Quarantined { v: V, input: input.cause.clone(), error: error.chars().take(500).collect() };
        // Not the input's own id: the input is not done, and must be decided when it is sent again after the quarantine.
        let cause = format!("quarantine:{}", input.cause);
        self.commit(input, context, cause, A::set_aside(&self.0.state, quarantined))
    }

    fn apply(&mut self, commit: &Recorded, seq: u64) {
        if let Some(commit) = commit.typed.downcast_ref::<Commit<A::Event>>()
            && seq > self.0.seq
        {
            self.0.apply::<A>(commit, seq);
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        to_json(&self.0)
    }

    fn state(&self) -> Value {
        serde_json::to_value(&self.0.state).unwrap_or_default()
    }

    fn deadlines(&self) -> Vec<Deadline> {
        A::deadlines(&self.0.state)
    }
}

fn record<A: Aggregate>(commit: Commit<A::Event>) -> Recorded {
    let refusal = commit.events.iter().find_map(|event| A::as_refused(event)).map(|refused| refused.refusal.clone());
    let facts = CommitFacts {
        commit_id: commit.commit_id.clone(),
        tenant: commit.tenant.clone(),
        kind: A::KIND,
        key: commit.key.clone(),
        version: commit.version,
        at: commit.at,
        cause: commit.cause.clone(),
        cause_seq: commit.cause_seq,
        correlation: commit.correlation.clone(),
        is_command: commit.actor.kind != kefu_events::ActorKind::Customer,
        refusal,
    };
    Recorded { facts, effects: A::effects(&commit), typed: Box::new(commit) }
}

/// JSON of one of our own types, which cannot fail: no map has keys other than strings.
/// A value of the contract as JSON.
pub fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Most commits have about so many bytes: a vector that grows into them is copied three times.
    let mut bytes = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => bytes,
        Err(error) => unreachable!("a type of the contract that JSON cannot write: {error}"),
    }
}

impl CommitMeta {
    /// The parts of `commit` that `evolve` may use.
    pub fn of<E>(commit: &Commit<E>) -> Self {
        Self {
            at: commit.at,
            actor: commit.actor.clone(),
            version: commit.version,
            key: commit.key.clone(),
            commit_id: commit.commit_id.clone(),
        }
    }
}
