//! Answers to the queries of [`kefu_events::query`], out of the store. Knows nothing of how they arrive.

mod entries;
mod figures;
#[cfg(test)]
mod tests;
mod users;
mod wall;

use super::projector::Progress;
use crate::{
    agent,
    aggregate::Tracked,
    answering::Desk,
    archive::Archive,
    contact,
    dispatch::Floors,
    faq::entry,
    reporting::Reports,
    scheduler::{ConversationKey, views::BadKey},
    search::messages::{MAX_REACH, Wanted},
    settings,
    store::{AgentFilter, ContactFilter, ConversationFilter, EntryFilter, Page, PageError, Store, StoreError},
    wall::Walls,
};
use kefu_events::{
    AggregateKind, Timestamp,
    key::{contact_key, conversation_key, token_of},
    query::{QueryError, QueryResponse, name},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::watch;

/// Items on a page, where the question does not say how many: a screenful.
const DEFAULT_LIMIT: usize = 50;
/// Items on a page, at most: some hundred kilobytes, which every NATS server lets through.
const MAX_LIMIT: usize = 500;

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Queries {
    store: Store,
    progress: watch::Receiver<Progress>,
    floors: Floors,
    desk: Desk,
    archive: Archive,
    reports: Reports,
    walls: Option<Walls>,
    node: Arc<dyn Fn() -> Value + Send + Sync>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneConversation {
    key: Option<String>,
    channel: Option<String>,
    thread: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyConversations {
    phase: Option<String>,
    channel: Option<String>,
    agent: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneContact {
    key: Option<String>,
    channel: Option<String>,
    sender: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyContacts {
    attribute: Option<String>,
    value: Option<String>,
    tag: Option<String>,
    channel: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneAgent {
    key: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyAgents {
    status: Option<String>,
    queue: Option<String>,
    skill: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneEntry {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyEntries {
    status: Option<String>,
    #[serde(default)]
    waiting: bool,
    category: Option<String>,
    language: Option<String>,
    #[serde(default)]
    content: bool,
    after: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManyMessages {
    #[serde(default)]
    text: String,
    conversation: Option<String>,
    channel: Option<String>,
    author: Option<String>,
    agent: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    notes: Option<bool>,
    #[serde(default)]
    by_relevance: bool,
    offset: Option<usize>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    question: String,
    channel: Option<String>,
    #[serde(default)]
    earlier: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Why {
    conversation: String,
    agent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneDocument {
    document: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What is answered about one aggregate.
#[derive(Serialize)]
struct Shown<'a, S> {
    tenant: &'a str,
    key: &'a str,
    version: u64,
    seq: u64,
    at: Timestamp,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    quarantined: bool,
    state: &'a S,
}

impl<'a, S> Shown<'a, S> {
    fn of(tenant: &'a str, key: &'a str, tracked: &'a Tracked<S>) -> Self {
        let Tracked { version, seq, at, quarantined, state, .. } = tracked;
        Self { tenant, key, version: *version, seq: *seq, at: *at, quarantined: *quarantined, state }
    }
}

impl Queries {
    /// Answers out of this store, which this projector feeds. `node` says what else the query `status` tells.
    pub fn new(
        store: Store,
        progress: watch::Receiver<Progress>,
        floors: Floors,
        desk: Desk,
        archive: Archive,
        reports: Reports,
        node: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Self {
        Self { store, progress, floors, desk, archive, reports, walls: None, node: Arc::new(node) }
    }

    /// Tells walls of the past, too.
    pub fn with_walls(self, walls: Walls) -> Self {
        Self { walls: Some(walls), ..self }
    }

    /// The answer to the query `query` of a tenant with these parameters. Reads RocksDB: not for a thread that must not wait.
    pub fn answer(&self, tenant: &str, query: &str, parameters: &[u8]) -> QueryResponse {
        match self.find(tenant, query, parameters) {
            Ok(answer) => QueryResponse::Ok(answer),
            Err(error) => QueryResponse::Error(error),
        }
    }

    fn find(&self, tenant: &str, query: &str, parameters: &[u8]) -> Result<Value, QueryError> {
        if query != name::STATUS && !self.progress.borrow().is_ready() {
            return Err(QueryError::new(
                "not_ready",
                "this node has not read all of the log yet; ask again in a while",
            ));
        }
        match query {
            name::CONVERSATION => self.conversation(tenant, &read(parameters)?),
            name::CONVERSATIONS => self.conversations(tenant, &read(parameters)?),
            name::CONTACT => self.contact(tenant, &read(parameters)?),
            name::CONTACTS => self.contacts(tenant, &read(parameters)?),
            name::AGENT => self.agent(tenant, &read(parameters)?),
            name::AGENTS => self.agents(tenant, &read(parameters)?),
            name::ENTRY => self.entry(tenant, &read(parameters)?),
            name::ENTRIES => self.entries(tenant, &read(parameters)?),
            name::SEARCH_ENTRIES => self.search_entries(tenant, &read(parameters)?),
            name::SEARCH_MESSAGES => self.search_messages(tenant, &read(parameters)?),
            name::ASK => self.ask(tenant, &read(parameters)?),
            name::QUEUES => self.queues(tenant, &read(parameters)?),
            name::WALL => self.wall(tenant, &read(parameters)?),
            name::WHY => self.why(tenant, &read(parameters)?),
            name::REPORT => self.report(tenant, &read(parameters)?),
            name::REPORT_SESSIONS => self.report_sessions(tenant, &read(parameters)?),
            name::METRICS => self.metrics(&read(parameters)?),
            name::REPORT_STATUS => self.report_status(&read(parameters)?),
            name::USER => self.user(tenant, &read(parameters)?),
            name::USERS => self.users(tenant, &read(parameters)?),
            name::SETTINGS => self.document(tenant, &read(parameters)?),
            name::DOCUMENTS => self.documents(tenant, &read(parameters)?),
            name::TENANTS => self.tenants(&read(parameters)?),
            name::STATUS => self.status(&read(parameters)?),
            other => Err(QueryError::new("unknown_query", format!("there is no query {other:?}"))),
        }
    }

    fn conversation(&self, tenant: &str, asked: &OneConversation) -> Result<Value, QueryError> {
        let key = match asked {
            OneConversation { key: Some(key), channel: None, thread: None } => key.clone(),
            OneConversation { key: None, channel: Some(channel), thread: Some(thread) } => {
                conversation_key(channel, thread)
            }
            _ => return Err(invalid("a conversation is named by its key, or by its channel and thread")),
        };
        let tracked: Tracked<Value> = self.tracked(tenant, AggregateKind::Conversation, &key)?;
        Ok(to_value(&Shown::of(tenant, &key, &tracked)))
    }

    fn conversations(&self, tenant: &str, asked: &ManyConversations) -> Result<Value, QueryError> {
        let filter = ConversationFilter {
            phase: asked.phase.as_deref(),
            channel: asked.channel.as_deref(),
            agent: asked.agent.as_deref(),
            permits: None,
        };
        page(self.store.conversations(tenant, &filter, asked.after.as_deref(), limit(asked.limit)?))
    }

    fn contact(&self, tenant: &str, asked: &OneContact) -> Result<Value, QueryError> {
        let key = match asked {
            OneContact { key: Some(key), channel: None, sender: None } => key.clone(),
            OneContact { key: None, channel: Some(channel), sender: Some(sender) } => contact_key(channel, sender),
            _ => return Err(invalid("a contact is named by its key, or by its channel and sender")),
        };
        let tracked: Tracked<contact::State> = self.tracked(tenant, AggregateKind::Contact, &key)?;
        let mut answer = to_value(&Shown::of(tenant, &key, &tracked));
        answer["details"] = to_value(&tracked.state.details());
        Ok(answer)
    }

    fn contacts(&self, tenant: &str, asked: &ManyContacts) -> Result<Value, QueryError> {
        let filter = match asked {
            ManyContacts { attribute: None, value: None, tag: None, channel: None, .. } => ContactFilter::All,
            ManyContacts { attribute: Some(name), value: Some(value), tag: None, channel: None, .. } => {
                ContactFilter::Attribute(name, value)
            }
            ManyContacts { attribute: None, value: None, tag: Some(tag), channel: None, .. } => ContactFilter::Tag(tag),
            ManyContacts { attribute: None, value: None, tag: None, channel: Some(channel), .. } => {
                ContactFilter::Channel(channel)
            }
            _ => return Err(invalid("contacts are found by an attribute with its value, by a tag, or by a channel")),
        };
        page(self.store.contacts(tenant, filter, asked.after.as_deref(), limit(asked.limit)?))
    }

    fn agent(&self, tenant: &str, asked: &OneAgent) -> Result<Value, QueryError> {
        let key = match asked {
            OneAgent { key: Some(key), id: None } => key.clone(),
            OneAgent { key: None, id: Some(id) } => token_of(id),
            _ => return Err(invalid("an agent is named by the key, or by the id")),
        };
        let tracked: Tracked<agent::State> = self.tracked(tenant, AggregateKind::Agent, &key)?;
        // A command that went to a wrong key was refused there, and made no agent.
        if !tracked.state.exists() {
            return Err(not_found(AggregateKind::Agent, &key));
        }
        let mut answer = to_value(&Shown::of(tenant, &key, &tracked));
        answer["in_use"] = tracked.state.in_use().into();
        let estimates = self.floors.ask(tenant, |leader| leader.estimates(&key, now_ms()));
        answer["estimates"] = to_value(&estimates.unwrap_or_default());
        Ok(answer)
    }

    fn agents(&self, tenant: &str, asked: &ManyAgents) -> Result<Value, QueryError> {
        let filter = match asked {
            ManyAgents { status: None, queue: None, skill: None, .. } => AgentFilter::All,
            ManyAgents { status: Some(status), queue: None, skill: None, .. } => AgentFilter::Status(status),
            ManyAgents { status: None, queue: Some(queue), skill: None, .. } => AgentFilter::Queue(queue),
            ManyAgents { status: None, queue: None, skill: Some(skill), .. } => AgentFilter::Skill(skill),
            _ => return Err(invalid("agents are found by a status, by a queue, or by a skill")),
        };
        page(self.store.agents(tenant, filter, asked.after.as_deref(), limit(asked.limit)?))
    }

    fn entry(&self, tenant: &str, asked: &OneEntry) -> Result<Value, QueryError> {
        let tracked: Tracked<entry::State> = self.tracked(tenant, AggregateKind::Faq, &asked.id)?;
        // A command that went to a wrong id was refused there, and made no entry.
        if !tracked.state.exists() {
            return Err(not_found(AggregateKind::Faq, &asked.id));
        }
        let mut answer = to_value(&Shown::of(tenant, &asked.id, &tracked));
        answer["status"] = tracked.state.status().as_str().into();
        Ok(answer)
    }

    fn entries(&self, tenant: &str, asked: &ManyEntries) -> Result<Value, QueryError> {
        let filter = match asked {
            ManyEntries { status: None, waiting: false, category: None, language: None, .. } => EntryFilter::All,
            ManyEntries { status: Some(status), waiting: false, category: None, language: None, .. } => {
                EntryFilter::Status(status)
            }
            ManyEntries { status: None, waiting: true, category: None, language: None, .. } => EntryFilter::Waiting,
            ManyEntries { status: None, waiting: false, category: Some(category), language: None, .. } => {
                EntryFilter::Category(category)
            }
            ManyEntries { status: None, waiting: false, category: None, language: Some(language), .. } => {
                EntryFilter::Language(language)
            }
            _ => return Err(invalid("entries are found by a status, a category or a language, or as waiting")),
        };
        page(self.store.entries(tenant, filter, asked.content, asked.after.as_deref(), limit(asked.limit)?))
    }

    fn search_messages(&self, tenant: &str, asked: &ManyMessages) -> Result<Value, QueryError> {
        let offset = asked.offset.unwrap_or_default();
        if offset > MAX_REACH {
            return Err(invalid(&format!("offset is {offset}, and may be up to {MAX_REACH}: ask more exactly")));
        }
        let wanted = Wanted {
            text: &asked.text,
            conversation: asked.conversation.as_deref(),
            channel: asked.channel.as_deref(),
            author: asked.author.as_deref(),
            agent: asked.agent.as_deref(),
            from_ms: asked.from.map(Timestamp::as_millis),
            to_ms: asked.to.map(Timestamp::as_millis),
            without_notes: asked.notes == Some(false),
            by_relevance: asked.by_relevance,
            offset,
            limit: limit(asked.limit)?,
        };
        let found = self.archive.find(tenant, &wanted).map_err(|error| {
            tracing::error!(%error, "messages could not be searched");
            QueryError::new("internal", "the index of messages could not be read; the node's log says why")
        })?;
        let hits = found.ok_or_else(|| QueryError::new("not_ready", "the index of messages is being opened"))?;
        let mut answer = to_value(&hits);
        answer["archive"] = to_value(&self.archive.status());
        Ok(answer)
    }

    fn ask(&self, tenant: &str, asked: &Ask) -> Result<Value, QueryError> {
        let channel = asked.channel.as_deref().unwrap_or_default();
        // This thread may wait: see `answer`.
        let handle = tokio::runtime::Handle::current();
        let answered = handle.block_on(self.desk.ask(tenant, channel, &asked.question, &asked.earlier));
        match answered.map_err(|error| internal(&error))? {
            Some(answered) => Ok(to_value(&answered)),
            None if self.desk.library().status().get(tenant).is_some_and(|base| base.pending > 0) => {
                Err(QueryError::new("not_ready", "the entries are being taken into the search; ask again in a while"))
            }
            None => Err(QueryError::new("not_found", format!("tenant {tenant:?} has no approved entry"))),
        }
    }

    fn queues(&self, tenant: &str, Nothing {}: &Nothing) -> Result<Value, QueryError> {
        let queues = self.floors.ask(tenant, |leader| leader.queues(now_ms())).unwrap_or_default();
        let items: Vec<Value> = queues
            .iter()
            .map(|(name, state)| {
                let mut item = to_value(state);
                item["queue"] = name.clone().into();
                item
            })
            .collect();
        Ok(json!({ "items": items }))
    }

    fn why(&self, tenant: &str, asked: &Why) -> Result<Value, QueryError> {
        let key: ConversationKey =
            asked.conversation.parse().map_err(|error: BadKey| invalid(&format!("conversation: {error}")))?;
        let now = now_ms();
        let answer = self.floors.ask(tenant, |leader| {
            let agent = asked.agent.as_ref().map(|agent| leader.why_not(key, agent, now));
            json!({ "waiting": leader.why_waiting(key, now), "agent": agent })
        });
        Ok(answer.unwrap_or_else(|| json!({ "waiting": null, "agent": null })))
    }

    fn document(&self, tenant: &str, asked: &OneDocument) -> Result<Value, QueryError> {
        let tracked: Tracked<settings::State> = self.tracked(tenant, AggregateKind::Settings, &asked.document)?;
        let Some(value) = tracked.state.value() else {
            return Err(not_found(AggregateKind::Settings, &asked.document));
        };
        Ok(json!({
            "tenant": tenant,
            "document": asked.document,
            "version": tracked.version,
            "seq": tracked.seq,
            "at": tracked.at,
            "document_version": tracked.state.document_version,
            "value": value,
            "history": tracked.state.history,
        }))
    }

    fn documents(&self, tenant: &str, Nothing {}: &Nothing) -> Result<Value, QueryError> {
        let settings = self.store.settings();
        let names: Vec<&str> = settings.documents(tenant).collect();
        if names.is_empty() {
            return Err(QueryError::new("not_found", format!("there is no tenant {tenant:?}")));
        }
        Ok(json!({"items": names}))
    }

    fn tenants(&self, Nothing {}: &Nothing) -> Result<Value, QueryError> {
        let tenants = self.store.tenants();
        let items: Vec<Value> = tenants
            .iter()
            .map(|(tenant, config)| {
                let channels: Vec<&String> = config.channels.keys().collect();
                json!({"tenant": tenant, "name": config.tenant.name, "channels": channels})
            })
            .collect();
        Ok(json!({"items": items}))
    }

    fn status(&self, Nothing {}: &Nothing) -> Result<Value, QueryError> {
        let progress = self.progress.borrow().clone();
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": progress.is_ready(),
            "projector": progress,
            "projections": self.store.projections(),
            "store": self.store.figures(),
            "archive": self.archive.status(),
            "search": { "models": self.desk.library().models().names(), "bases": self.desk.library().status() },
            "node": (self.node)(),
        }))
    }

    fn tracked<S: DeserializeOwned + Serialize>(
        &self,
        tenant: &str,
        kind: AggregateKind,
        key: &str,
    ) -> Result<Tracked<S>, QueryError> {
        let snapshot = self.store.snapshot(tenant, kind, key).map_err(|error| internal(&error))?;
        let snapshot = snapshot.ok_or_else(|| not_found(kind, key))?;
        serde_json::from_slice(&snapshot)
            .map_err(|error| internal(&StoreError::Damaged(format!("{kind} {key}: {error}"))))
    }
}

fn read<'a, T: Deserialize<'a>>(parameters: &'a [u8]) -> Result<T, QueryError> {
    let parameters = if parameters.trim_ascii().is_empty() { b"{}" } else { parameters };
    serde_json::from_slice(parameters).map_err(|error| invalid(&format!("the parameters are wrong: {error}")))
}

fn limit(asked: Option<usize>) -> Result<usize, QueryError> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        limit => Err(invalid(&format!("limit is {limit}, and may be 1 to {MAX_LIMIT}"))),
    }
}

fn page<T: Serialize>(page: Result<Page<T>, PageError>) -> Result<Value, QueryError> {
    match page {
        Ok(page) => Ok(to_value(&page)),
        Err(PageError::Cursor(error)) => Err(invalid(&format!("after: {error}"))),
        Err(PageError::Store(error)) => Err(internal(&error)),
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

fn to_value<T: Serialize>(value: &T) -> Value {
    // Types of kefu's own, which JSON can write.
    serde_json::to_value(value).unwrap_or_default()
}

fn invalid(message: &str) -> QueryError {
    QueryError::new("invalid", message)
}

fn not_found(kind: AggregateKind, key: &str) -> QueryError {
    QueryError::new("not_found", format!("there is no {kind} {key:?}"))
}

fn internal(error: &StoreError) -> QueryError {
    tracing::error!(%error, "a query could not be answered");
    QueryError::new("internal", "the node's store could not be read; its log says why")
}
