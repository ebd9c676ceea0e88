//! Envelopes: what every command, result and commit has in common.

use crate::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{borrow::Cow, fmt, str::FromStr};

/// The version of one kind of event or command, as a type: `v: V` writes the version that the field's type names, and
/// reading any other fails, which is how [`upcast`](crate::upcast) notices an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct V<const N: u16>;

impl<const N: u16> Serialize for V<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(N)
    }
}

impl<'de, const N: u16> Deserialize<'de> for V<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u16::deserialize(deserializer)? {
            found if found == N => Ok(Self),
            found => Err(D::Error::custom(format!("version {found} where version {N} is current"))),
        }
    }
}

impl<const N: u16> JsonSchema for V<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("V{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"const": N})
    }
}

/// The kinds of aggregates: things with a state machine of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AggregateKind {
    /// One thread of one channel, with all its sessions.
    Conversation,
    /// One person, whatever channels they use.
    Contact,
    /// One member of staff.
    Agent,
    /// One entry of the knowledge base.
    Faq,
    /// One document of a tenant's configuration.
    Settings,
    /// Somebody, or something, who may sign in.
    User,
}

impl AggregateKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Conversation, Self::Contact, Self::Agent, Self::Faq, Self::Settings, Self::User];

    /// As it stands in subjects and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Contact => "contact",
            Self::Agent => "agent",
            Self::Faq => "faq",
            Self::Settings => "settings",
            Self::User => "user",
        }
    }
}

impl fmt::Display for AggregateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AggregateKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is no kind of aggregate"))
    }
}

/// Who causes something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// What sort of actor.
    pub kind: ActorKind,
    /// Which one: an agent's id, a bot's name, a customer's contact key.
    pub id: String,
}

impl Actor {
    /// An actor of this kind and id.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

/// The kinds of actors. All but `customer` are also sources of commands, as they stand in `kefu.cmd.<tenant>.<source>.<key>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person who is served.
    Customer,
    /// A member of staff.
    Agent,
    /// A deadline.
    Timer,
    /// The answering machinery.
    Bot,
    /// Whatever assigns conversations to agents.
    Scheduler,
    /// kefu itself, another aggregate, or an operator.
    System,
}

impl ActorKind {
    /// As it stands in subjects and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Timer => "timer",
            Self::Bot => "bot",
            Self::Scheduler => "scheduler",
            Self::System => "system",
        }
    }
}

/// What every command says, whatever it asks. The fields of its `type` stand beside these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandHeader {
    /// Unique for ever; a retry under the same id gets the first one's result.
    #[schemars(length(min = 1, max = 512))]
    pub id: String,
    /// Kind of the receiving aggregate.
    pub aggregate: AggregateKind,
    /// Its key, the same as in the subject.
    pub key: String,
    /// Decide only if the aggregate is at this version; refuse as `stale` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// Who asks. The kind must be the subject's source.
    pub actor: Actor,
    /// When it was asked.
    pub at: Timestamp,
    /// What started the chain that this command belongs to, if it did not start one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
}

/// A command with its body, for writing. The body is a `type`, its version `v` and fields.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Command<B> {
    /// What this one asks. It comes first: its type, read first, says how to read the rest.
    #[serde(flatten)]
    pub body: B,
    /// What every command says.
    #[serde(flatten)]
    pub header: CommandHeader,
}

/// Why a command was not carried out: a value, not a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Stable, for programs: `stale`, `wrong_state`, `not_yours`, `invalid`, ….
    pub code: String,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// The result of a command, on `kefu.result.<tenant>.<command id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandResult {
    /// Id of the command.
    pub id: String,
    /// Whether it was carried out.
    pub ok: bool,
    /// Version of the aggregate after the commit. A refusal is a commit too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The commit's sequence in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Why not, if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

/// Event of every aggregate: a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRefused {
    /// Version of this event.
    pub v: V<1>,
    /// Id of the command.
    pub command: String,
    /// Its type.
    pub command_type: String,
    /// Why not.
    pub refusal: Refusal,
}

/// Event of every aggregate: deciding an input failed, so this aggregate decides nothing more until somebody lifts
/// the quarantine. The input is in `KEFU_REJECTED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantined {
    /// Version of this event.
    pub v: V<1>,
    /// Id of the message or command that could not be decided.
    pub input: String,
    /// What went wrong, for a developer.
    pub error: String,
}

/// Event of every aggregate: inputs are decided again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineLifted {
    /// Version of this event.
    pub v: V<1>,
}

/// Whom of the tenant's people a commit concerns, so that who may see it follows from the commit alone, whenever it is read:
/// what it was with before, and what it is with afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concerns {
    /// The queue that a conversation is in, and one that it has just left; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<String>,
    /// Agents who have it, are offered it, are consulted, or have just had it; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
}

impl Concerns {
    /// Whether it concerns nobody in particular.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.agents.is_empty()
    }
}

/// One atomic step of one aggregate: one message in `KEFU_EVENTS`, on `kefu.events.<tenant>.<aggregate>.<key>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Commit<E> {
    /// Unique for ever.
    pub commit_id: String,
    /// Whose aggregate this is.
    pub tenant: String,
    /// Kind of the aggregate.
    pub aggregate: AggregateKind,
    /// Key of the aggregate.
    pub key: String,
    /// 1, 2, 3, … per aggregate, without gaps.
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// Key of the person whom this commit is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Whom of the tenant's people it concerns.
    #[serde(default, skip_serializing_if = "Concerns::is_empty")]
    pub concerns: Concerns,
    /// Id of the message (`<tenant>/<channel>/<key>/<message id>`) or command that caused it: one input, one commit.
    pub cause: String,
    /// Sequence of that input in its work queue.
    pub cause_seq: u64,
    /// The cause at the start of the chain of messages and commands that led here.
    pub correlation: String,
    /// What happened, in order.
    pub events: Vec<E>,
}
