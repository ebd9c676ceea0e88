//! Queries: NATS requests on `kefu.query.<tenant>.<name>`, answered by any node that is caught up.
//!
//! The request is the query's parameters as a JSON object (an empty body is an empty object). The response is
//! `{"ok": …}` or `{"error": {"code", "message"}}`. Lists are paged: `next`, if present, is the `after` of the next page.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// In the place of the tenant, for queries about all of them or about the node. No tenant may begin with an underscore.
pub const ALL_TENANTS: &str = "_all";

/// Names of the queries, as they stand in the subject.
pub mod name {
    /// State of one conversation: `{key}` or `{channel, thread}`.
    pub const CONVERSATION: &str = "conversation";
    /// Conversations, the last active first: `{phase?, channel?, agent?, after?, limit?}`. Those that wait for a person say
    /// since when, in which queue, with which priority and, after a transfer, for whom.
    pub const CONVERSATIONS: &str = "conversations";
    /// State of one contact: `{key}` or `{channel, sender}`.
    pub const CONTACT: &str = "contact";
    /// Contacts by attribute, tag or channel: `{attribute?, value?, after?, limit?}`.
    pub const CONTACTS: &str = "contacts";
    /// State of one agent: `{key}`, or its `{id}`.
    pub const AGENT: &str = "agent";
    /// Agents by status, queue or skill, those who were removed only by the status `removed`:
    /// `{status?, queue?, skill?, after?, limit?}`.
    pub const AGENTS: &str = "agents";
    /// A tenant's queues: who waits, for how long, and how well the target is met.
    pub const QUEUES: &str = "queues";
    /// Who waited in which queue, and what every agent had and was ready for, at an earlier moment: `{at?, limit?}`, with how many
    /// agents and waiting conversations there were in all. `not_ready` may mean that much of the log has to be read: the next
    /// attempt goes on from there.
    pub const WALL: &str = "wall";
    /// Why a conversation still waits, and why an agent does not get it: `{conversation, agent?}`.
    pub const WHY: &str = "why";
    /// State of one knowledge-base entry, with its versions: `{id}`.
    pub const ENTRY: &str = "entry";
    /// Entries by status, category or language, or those with a version that waits for approval:
    /// `{status?, waiting?, category?, language?, content?, after?, limit?}`; with `content`, what their newest versions say.
    pub const ENTRIES: &str = "entries";
    /// What a customer would get to a question: `{question, channel?, earlier?}`, with what was found and how probable it is.
    pub const ASK: &str = "ask";
    /// Entries that have all of these words, or parts of words, in what their newest versions say, whatever their status: `{text,
    /// status?, waiting?, category?, language?, offset?, limit?}`; with how many there are in all, and where each was found.
    pub const SEARCH_ENTRIES: &str = "search_entries";
    /// Messages of the whole history that have all of these words, the newest first: `{text?, conversation?, channel?,
    /// author?, agent?, from?, to?, notes?, by_relevance?, offset?, limit?}`. `author` is `customer`, `agent`, `bot`,
    /// `system` or `note`; `notes: false` leaves out what only colleagues see. With how many there are in all.
    pub const SEARCH_MESSAGES: &str = "search_messages";
    /// Figures of a stretch of time: `{from, to, by?, value?, step?, metrics?}`. `by` is `all`, `channel`, `queue`, `agent`, `skill`,
    /// `intent` or `entry`; `step` is `minute`, `hour` or `day`.
    pub const REPORT: &str = "report";
    /// Ended sessions behind a figure: `{from, to, metric?, by?, value?, after?, limit?}`.
    pub const REPORT_SESSIONS: &str = "report_sessions";
    /// What every figure means: its formula, sources and edge cases.
    pub const METRICS: &str = "metrics";
    /// How far the figures are: `{rebuild?}`; with `rebuild`, they are built anew out of the whole log, and the old ones are served
    /// meanwhile.
    pub const REPORT_STATUS: &str = "report_status";
    /// One user, without any hash: `{id}`.
    pub const USER: &str = "user";
    /// Users by name, or those with a role: `{role?, after?, limit?}`. Without any hash.
    pub const USERS: &str = "users";
    /// One settings document with its earlier versions: `{document}`.
    pub const SETTINGS: &str = "settings";
    /// Names of a tenant's settings documents.
    pub const DOCUMENTS: &str = "documents";
    /// All tenants.
    pub const TENANTS: &str = "tenants";
    /// This node's own state: position, lag, partitions, store.
    pub const STATUS: &str = "status";
}

/// What a query answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryResponse {
    /// The answer.
    Ok(Value),
    /// Why there is none.
    Error(QueryError),
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message} ({code})")]
pub struct QueryError {
    /// Stable, for programs: `not_found`, `invalid`, `not_ready`, `unknown_query`, `internal`.
    pub code: String,
    /// For people.
    pub message: String,
}

impl QueryError {
    /// An error with this code and message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}
