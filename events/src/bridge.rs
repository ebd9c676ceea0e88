//! What travels over the bridge: the frames of its WebSocket, and the JSON of its HTTP interface that has no other home.
//!
//! One frame is one JSON object in one text message. The first frame of a client is [`ClientFrame::Resume`]; what follows
//! is in the order of the log. A client keeps the `seq` of the last frame that had one, with the `epoch`, and hands both
//! over when it comes back, to whatever node: it gets what it missed, or a [`ServerFrame::Reset`].

use crate::{AggregateKind, CommandResult, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// What a client wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Commits of conversations that it may read.
    Conversations,
    /// Commits of all agents, for whoever looks after them. The user's own agent is always told of.
    Agents,
    /// Commits of contacts.
    Contacts,
    /// Commits of the knowledge base.
    Entries,
    /// Commits of the settings.
    Settings,
}

/// How far a client wants to look, at most: what it may not read it does not get, whatever it says here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Conversations that this agent has, is offered, is consulted on, or has just had.
    Own,
    /// Those, and those in the agent's queues.
    Queues,
    /// Everything that it may read.
    #[default]
    All,
}

/// The topics of a client that names none.
pub fn default_topics() -> BTreeSet<Topic> {
    [Topic::Conversations].into()
}

/// A commit that a client has taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastCommit {
    /// Its sequence in the log.
    pub seq: u64,
    /// Its `commit_id`.
    pub id: String,
}

/// From a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// The first frame: where this client stands. Without `last_seq` it begins anew.
    Resume {
        /// The log that `last_seq` belongs to, from `hello` or `reset`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
        /// The `seq` of the last frame that was taken in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_seq: Option<u64>,
        /// The last commit that was taken in: so that a log that lost its end, and grew again otherwise, is noticed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_commit: Option<LastCommit>,
        /// What to hear of.
        #[serde(default = "default_topics")]
        topics: BTreeSet<Topic>,
        /// How far to look.
        #[serde(default)]
        view: View,
    },
    /// Asks an aggregate to do something; a `result` answers.
    Command {
        /// Unique among all that this user ever sends. Sent again, it is not carried out twice: the first result comes again.
        #[schemars(length(min = 1, max = 128))]
        id: String,
        /// Kind of the aggregate.
        aggregate: AggregateKind,
        /// Its key.
        key: String,
        /// The version that the user saw. If something has happened since, the command is refused as `stale`, and the result
        /// says what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_version: Option<u64>,
        /// `type`, `v` and fields, as in the schema of this aggregate's commands.
        command: Value,
    },
    /// The user has begun, or stopped, to write in a conversation. Outside of the sequence, and kept nowhere.
    Typing {
        /// Which conversation.
        conversation: String,
        /// Whether the user writes.
        on: bool,
    },
    /// The conversation that is on the user's screen, so that colleagues see who else is looking at it.
    Watch {
        /// Which one; absent: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<String>,
    },
    /// A customer says something, with a customer's token; a `result` answers.
    Say {
        /// The page's id of the message, unique within the thread for ever. Sent again, it is the same message.
        #[schemars(length(min = 1, max = 512))]
        id: String,
        /// What the customer says.
        #[schemars(length(min = 1, max = 16000))]
        text: String,
    },
    /// Asks for a heartbeat at once.
    Ping,
}

/// To a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The first frame, once the client's `resume` is read and its place in the log is good: the gap follows.
    Hello {
        /// The log's name: a `seq` means nothing in another one.
        epoch: String,
        /// Up to here the client has been told everything.
        seq: u64,
        /// Who the client is.
        user: String,
        /// A heartbeat comes at least this often, in seconds. After two without one, connect again.
        heartbeat_s: u32,
    },
    /// In the place of `hello`, or later where what the client may see has changed: what the client has is of no use. It drops
    /// everything, takes this in, and goes on from `seq`.
    Reset {
        /// The log's name.
        epoch: String,
        /// The snapshot holds everything up to here; what a conversation has beyond it comes again, with a `version` that
        /// the snapshot has already.
        seq: u64,
        /// Who the client is.
        user: String,
        /// See `hello`.
        heartbeat_s: u32,
        /// Why: `new`, `other_log`, `log_went_back`, `too_far_behind`, `permissions_changed`.
        reason: String,
        /// Open conversations within the client's view, the last active first, as the list `conversations` shows them.
        conversations: Vec<Value>,
        /// There are more than are listed here: the lists of the HTTP interface have all of them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        truncated: bool,
        /// The user's own agent, as the query `agent` shows it, if the user is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Value>,
    },
    /// One commit that this client may see.
    Commit {
        /// Its sequence in the log.
        seq: u64,
        /// The `seq` of the frame with one before this. If it is not the one that the client has, something was lost: connect
        /// again, with `resume`.
        prev: u64,
        /// The commit, as in the log.
        commit: Value,
    },
    /// Everything up to here has been sent. Its `seq` counts as the last one.
    Heartbeat {
        /// How far the log has been looked through for this client.
        seq: u64,
        /// The `seq` of the frame with one before this.
        prev: u64,
        /// The server's clock.
        at: Timestamp,
    },
    /// What became of a command.
    Result {
        /// The client's id of the command.
        id: String,
        /// The result.
        result: CommandResult,
        /// Where it was refused as `stale`: the commits since the version that the user saw.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<Value>,
    },
    /// Somebody has begun, or stopped, to write.
    Typing {
        /// In which conversation.
        conversation: String,
        /// Who: a user, or `customer`.
        user: String,
        /// Whether they write.
        on: bool,
    },
    /// Who is looking at a conversation now, beside this client.
    Viewers {
        /// Which conversation.
        conversation: String,
        /// Their user names.
        users: Vec<String>,
    },
    /// The client did something wrong. Where `fatal`, the connection ends with this frame.
    Error {
        /// Stable, for programs: `malformed`, `forbidden`, `too_slow`, `unauthenticated`, `unavailable`, ….
        code: String,
        /// For people: what is wrong, and what would be right.
        message: String,
        /// The connection ends.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fatal: bool,
    },
}

/// What is asked over HTTP of an aggregate: the same as by a frame `command`, its address being in the path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRequest {
    /// Unique among all that this user ever sends; a retry under the same id gets the first result. One is made if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
    /// The version that the user saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_version: Option<u64>,
    /// `type`, `v` and fields.
    pub command: Value,
}

/// The answer to a command over HTTP: with status 200, or 409 where it was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandResponse {
    /// The result.
    #[serde(flatten)]
    pub result: CommandResult,
    /// Where it was refused as `stale`: the commits since the version that the user saw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Value>,
}
