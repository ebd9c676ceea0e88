//! The tables: their columns, and the rows that commits add to them.

#[cfg(test)]
mod tests;

use super::{
    parquet::{Cell, Column, Shape},
    personal::Personal,
};
use crate::reporting::metric::{Category, ConversationFold, Count, Rules, Session, Sink, Slices, Timing};
use kefu_events::{
    AggregateKind, AuthorKind, Commit, Content, Timestamp,
    conversation::{ConversationEvent, NoAnswerReason},
    faq::FaqEvent,
    settings::SettingsEvent,
    upcast::decode_commit,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Events,
    Sessions,
    Messages,
    Assignments,
    Answers,
}

const fn column(name: &'static str, shape: Shape, help: &'static str) -> Column {
    Column { name, shape, help, personal: false }
}

const fn personal(name: &'static str, shape: Shape, help: &'static str) -> Column {
    Column { name, shape, help, personal: true }
}

use Shape::{Integer, Number, Text, Time, Truth};

const EVENTS: &[Column] = &[
    column("seq", Integer, "sequence of the commit in the log"),
    column("index", Integer, "place of the event in its commit, from 0"),
    column("at", Time, "when it was decided"),
    column("aggregate", Text, "kind of the aggregate"),
    column("key", Text, "key of the aggregate"),
    column("version", Integer, "version of the aggregate after the commit"),
    column("type", Text, "type of the event"),
    column("actor_kind", Text, "who caused it"),
    column("actor_id", Text, "which one"),
    column("contact", Text, "key of the contact that it is about"),
    column("commit_id", Text, "id of the commit"),
    column("cause", Text, "id of the message or command that caused it"),
    column("correlation", Text, "the start of the chain"),
    column("event", Text, "the whole event as JSON, without what tells of a person unless that was asked for"),
];

const SESSIONS: &[Column] = &[
    column(
        "seq",
        Integer,
        "the commit by which the row came to be: of a session's rows the one with the highest holds",
    ),
    column("conversation", Text, "key of the conversation"),
    column("session", Integer, "its number, from 1"),
    column("channel", Text, "the channel"),
    column("contact", Text, "key of the contact"),
    column("opened_at", Time, "when it began"),
    column("closed_at", Time, "when it ended"),
    column("reason", Text, "why it ended"),
    column("handed_off_at", Time, "when a person was first asked for"),
    column("served_at", Time, "when an agent first had it"),
    column("agent_replied_at", Time, "when an agent first replied"),
    column("queue", Text, "the last queue"),
    column("agent", Text, "the last agent"),
    column("intent", Text, "category of the first answer's entry"),
    column("questions", Integer, "questions to the bot"),
    column("answers", Integer, "answers of the bot"),
    column("waited_ms", Integer, "milliseconds in queues"),
    column("talk_ms", Integer, "milliseconds of talk"),
    column("hold_ms", Integer, "milliseconds on hold"),
    column("wrap_up_ms", Integer, "milliseconds of wrap-up"),
    column("from_customer", Integer, "messages of the customer"),
    column("from_bot", Integer, "replies of the bot"),
    column("from_agents", Integer, "replies of agents"),
    column("transfers", Integer, "how often an agent gave it away"),
    column("abandoned", Integer, "waits that were given up"),
    column("disposition", Text, "the agent's code for how it ended"),
    column("rating", Integer, "the customer's rating, 1 to 5"),
    column("reopened", Truth, "it began soon after the session before"),
    column("followed_up", Truth, "the customer came back soon after it"),
];

const MESSAGES: &[Column] = &[
    column("seq", Integer, "sequence of the commit in the log"),
    column("at", Time, "when it was received or sent"),
    column("conversation", Text, "key of the conversation"),
    column("session", Integer, "number of the session"),
    column("id", Text, "the message's id"),
    column("direction", Text, "inbound: from the customer; outbound: to the customer"),
    column("author_kind", Text, "customer, bot, agent or system"),
    column("author_id", Text, "which agent"),
    column("kind", Text, "kind of its content"),
    personal("text", Text, "what it says"),
    column("characters", Integer, "length of what it says"),
    column("reply_to", Text, "id of the message that it answers"),
];

const ASSIGNMENTS: &[Column] = &[
    column("seq", Integer, "sequence of the commit in the log"),
    column("at", Time, "when it was offered"),
    column("conversation", Text, "key of the conversation"),
    column("offer", Text, "the offer's id"),
    column("rank", Integer, "place among the candidates, from 1: the first was chosen"),
    column("agent", Text, "the candidate"),
    column("chosen", Truth, "whether it was offered to this one"),
    column("score", Number, "the sum of the parts; null: nobody decided, somebody offered it by hand"),
    column("parts", Text, "the score by parts, as JSON"),
    column("policy", Text, "the policy that chose"),
    column("propensity", Number, "with what chance a policy that draws would have chosen so"),
    column("excluded", Text, "how many agents could not get it, by reason, as JSON"),
    column("settings_version", Integer, "version of the scheduling document"),
];

const ANSWERS: &[Column] = &[
    column(
        "seq",
        Integer,
        "the commit by which the row came to be: of a request's rows the one with the highest holds",
    ),
    column("conversation", Text, "key of the conversation"),
    column("session", Integer, "number of the session"),
    column("request", Text, "names the question"),
    column("asked_at", Time, "when it was asked"),
    column("at", Time, "when that ended"),
    column("outcome", Text, "given, choices, timed_out, not_confident, out_of_scope or failed"),
    column("confidence", Number, "probability that the answer is right"),
    column("entry", Text, "the first entry that it rests on"),
    column("intent", Text, "its category then"),
    column("helpful", Truth, "what the customer said of it"),
    personal("question", Text, "what was asked"),
];

impl Table {
    pub(super) const ALL: [Self; 5] = [Self::Events, Self::Sessions, Self::Messages, Self::Assignments, Self::Answers];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Sessions => "sessions",
            Self::Messages => "messages",
            Self::Assignments => "assignments",
            Self::Answers => "answers",
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Events => EVENTS,
            Self::Sessions => SESSIONS,
            Self::Messages => MESSAGES,
            Self::Assignments => ASSIGNMENTS,
            Self::Answers => ANSWERS,
        }
    }
}

/// A row, with the tenant and the moment that say in which file it is.
pub(super) struct Row {
    pub table: Table,
    pub tenant: String,
    pub at: Timestamp,
    pub cells: Vec<Cell>,
}

/// A question that was put to the knowledge base, as long as it can still change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Asked {
    session: u32,
    question: String,
    asked_at: Option<Timestamp>,
    at: Option<Timestamp>,
    outcome: String,
    confidence: Option<f64>,
    entry: Option<String>,
    intent: Option<String>,
    helpful: Option<bool>,
}

/// Something in the log that is no commit, and why.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoCommit {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("it says of itself that it belongs elsewhere")]
    Elsewhere,
}

/// What must be remembered from commit to commit.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// `<tenant>/<key>`.
    conversations: BTreeMap<String, Conversation>,
    rules: BTreeMap<String, Rules>,
    /// `<tenant>/<entry>`.
    categories: BTreeMap<String, String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Conversation {
    fold: ConversationFold,
    asked: BTreeMap<String, Asked>,
}

/// Conversations are remembered for so much longer than they could change: deadlines may fire late.
const SPARE_MS: u64 = 7 * 24 * 3_600_000;

/// Figures are of no interest here, only what the fold remembers of sessions.
struct Nowhere;

impl Sink for Nowhere {
    fn count(&mut self, _: Timestamp, _: Count, _: i64, _: Slices<'_>) {}
    fn time(&mut self, _: Timestamp, _: Timing, _: u64, _: Slices<'_>) {}
}

/// Makes rows of commits.
pub(super) struct Rows {
    pub memory: Memory,
    /// When the last commit of each tenant was decided.
    latest: BTreeMap<String, Timestamp>,
    personal: Option<Personal>,
}

#[derive(Deserialize)]
struct TypeOnly<'a> {
    #[serde(rename = "type")]
    event_type: std::borrow::Cow<'a, str>,
}

impl Rows {
    /// `personal`: with what tells of persons.
    pub(super) fn new(memory: Memory, personal: bool) -> Self {
        Self { memory, latest: BTreeMap::new(), personal: (!personal).then(Personal::new) }
    }

    /// The rows that a commit adds.
    ///
    /// # Errors
    /// It is none; nothing has changed.
    pub(super) fn of(&mut self, seq: u64, subject: &str, payload: &[u8]) -> Result<Vec<Row>, NoCommit> {
        let commit: Commit<Box<serde_json::value::RawValue>> = serde_json::from_slice(payload)?;
        let place = [commit.tenant.as_str(), commit.aggregate.as_str(), commit.key.as_str()];
        if !subject.rsplit('.').take(place.len()).eq(place.into_iter().rev()) {
            return Err(NoCommit::Elsewhere);
        }
        let mut rows = Vec::new();
        self.events(seq, &commit, &mut rows)?;
        self.latest.insert(commit.tenant.clone(), commit.at);
        let path = format!("{}/{}", commit.tenant, commit.key);
        match commit.aggregate {
            AggregateKind::Conversation => {
                if let Ok(commit) = decode_commit::<ConversationEvent>(payload) {
                    self.conversation(seq, &path, &commit, &mut rows);
                }
            }
            AggregateKind::Faq => {
                for event in decode_commit::<FaqEvent>(payload).into_iter().flat_map(|commit| commit.events) {
                    if let FaqEvent::EntryDrafted { content, .. } | FaqEvent::EntryEdited { content, .. } = event {
                        let category = content.category.unwrap_or_else(|| commit.key.clone());
                        self.memory.categories.insert(path.clone(), category);
                    }
                }
            }
            AggregateKind::Settings => {
                for event in decode_commit::<SettingsEvent>(payload).into_iter().flat_map(|commit| commit.events) {
                    if let SettingsEvent::DocumentChanged { value, .. } = event {
                        self.memory.rules.entry(commit.tenant.clone()).or_default().set(&commit.key, &value);
                    }
                }
            }
            AggregateKind::Agent | AggregateKind::Contact | AggregateKind::User => {}
        }
        Ok(rows)
    }

    /// Forgets conversations that nothing can change any more: without an open session, and ended longer ago than a rating, or a return of
    /// the customer, can be later.
    pub(super) fn forget(&mut self) {
        let (Memory { conversations, rules, .. }, latest) = (&mut self.memory, &self.latest);
        let none = Rules::default();
        conversations.retain(|path, conversation| {
            let tenant = path.split('/').next().unwrap_or_default();
            let Conversation { fold, asked } = conversation;
            let Some(now) = latest.get(tenant).filter(|_| fold.open.is_none()) else { return true };
            let Some(ended_at) = fold.closed.as_ref().and_then(|closed| closed.closed_at) else {
                return !asked.is_empty();
            };
            // Clocks of two machines may disagree: it may have ended after the last commit.
            let ago = u64::try_from(now.millis_since(ended_at)).unwrap_or(0);
            ago <= rules.get(tenant).unwrap_or(&none).changes_within_ms() + SPARE_MS
        });
    }

    fn events(
        &self,
        seq: u64,
        commit: &Commit<Box<serde_json::value::RawValue>>,
        rows: &mut Vec<Row>,
    ) -> Result<(), serde_json::Error> {
        for (index, event) in commit.events.iter().enumerate() {
            let TypeOnly { event_type } = serde_json::from_str(event.get())?;
            let json = match &self.personal {
                None => event.get().to_owned(),
                Some(personal) => {
                    let mut value: Value = serde_json::from_str(event.get())?;
                    personal.strip(&event_type, &mut value);
                    value.to_string()
                }
            };
            // A contact's key is a hash, and so is a conversation's; causes name keys and the channel's ids of messages.
            let cells = vec![
                Cell::Integer(seq as i64),
                Cell::Integer(index as i64),
                commit.at.into(),
                commit.aggregate.as_str().into(),
                commit.key.as_str().into(),
                Cell::Integer(commit.version as i64),
                event_type.as_ref().into(),
                commit.actor.kind.as_str().into(),
                commit.actor.id.as_str().into(),
                commit.contact.clone().into(),
                commit.commit_id.as_str().into(),
                commit.cause.as_str().into(),
                commit.correlation.as_str().into(),
                Cell::Text(json),
            ];
            rows.push(Row { table: Table::Events, tenant: commit.tenant.clone(), at: commit.at, cells });
        }
        Ok(())
    }

    fn conversation(&mut self, seq: u64, path: &str, commit: &Commit<ConversationEvent>, rows: &mut Vec<Row>) {
        let Memory { conversations, rules, categories } = &mut self.memory;
        let state = conversations.entry(path.to_owned()).or_default();
        let none = Rules::default();
        let category = |entry: &str| categories.get(&format!("{}/{entry}", commit.tenant)).cloned();
        let category: &Category<'_> = &category;
        let changed = state.fold.fold(commit, rules.get(&commit.tenant).unwrap_or(&none), category, &mut Nowhere);
        let add = |rows: &mut Vec<Row>, table, at, cells| {
            rows.push(Row { table, tenant: commit.tenant.clone(), at, cells });
        };
        for ended in changed.into_iter().filter_map(|number| state.fold.ended(number)) {
            add(rows, Table::Sessions, ended.closed_at.unwrap_or(commit.at), session_row(seq, &commit.key, ended));
        }
        let shows_text = self.personal.is_none();
        for event in &commit.events {
            if let Some(cells) = message_row(seq, commit, event, shows_text) {
                add(rows, Table::Messages, commit.at, cells);
            }
            for cells in assignment_rows(seq, commit, event) {
                add(rows, Table::Assignments, commit.at, cells);
            }
            let session = state.fold.open.as_ref().map_or(0, |open| open.number);
            if let Some((at, cells)) = state.answer(seq, commit, session, event, category, shows_text) {
                add(rows, Table::Answers, at, cells);
            }
        }
    }
}

impl Conversation {
    /// The row of a question that has ended, or of which something was said.
    fn answer(
        &mut self,
        seq: u64,
        commit: &Commit<ConversationEvent>,
        session: u32,
        event: &ConversationEvent,
        category: &Category<'_>,
        shows_text: bool,
    ) -> Option<(Timestamp, Vec<Cell>)> {
        use ConversationEvent as Event;
        let (request, outcome) = match event {
            Event::AnswerRequested { request, question, .. } => {
                // Those of earlier sessions cannot be rated any more.
                self.asked.retain(|_, asked| asked.session + 1 >= session);
                let question = if shows_text { question.clone() } else { String::new() };
                let asked = Asked { session, question, asked_at: Some(commit.at), ..Asked::default() };
                self.asked.insert(request.clone(), asked);
                return None;
            }
            Event::AnswerGiven { request, .. } => (request, "given"),
            Event::ChoicesOffered { request, .. } => (request, "choices"),
            Event::AnswerDeclined { request, reason, .. } => (
                request,
                match reason {
                    NoAnswerReason::TimedOut => "timed_out",
                    NoAnswerReason::NotConfident => "not_confident",
                    NoAnswerReason::OutOfScope => "out_of_scope",
                    NoAnswerReason::Failed => "failed",
                },
            ),
            Event::AnswerRated { request, .. } => (request, ""),
            _ => return None,
        };
        let asked = self.asked.get_mut(request)?;
        if !outcome.is_empty() {
            outcome.clone_into(&mut asked.outcome);
            asked.at = Some(commit.at);
        }
        match event {
            Event::AnswerGiven { confidence, sources, .. } => {
                asked.confidence = Some(*confidence);
                asked.entry = sources.first().map(|source| source.entry.clone());
                asked.intent = asked.entry.as_deref().and_then(category);
            }
            Event::ChoicesOffered { confidence, .. } => asked.confidence = Some(*confidence),
            Event::AnswerDeclined { confidence, .. } => asked.confidence = *confidence,
            Event::AnswerRated { helpful, .. } => asked.helpful = Some(*helpful),
            _ => {}
        }
        let at = asked.at.unwrap_or(commit.at);
        let cells = vec![
            Cell::Integer(seq as i64),
            commit.key.as_str().into(),
            Cell::Integer(i64::from(asked.session)),
            request.as_str().into(),
            asked.asked_at.into(),
            at.into(),
            asked.outcome.as_str().into(),
            asked.confidence.map_or(Cell::Null, Cell::Number),
            asked.entry.clone().into(),
            asked.intent.clone().into(),
            asked.helpful.map_or(Cell::Null, Cell::Truth),
            if shows_text { asked.question.as_str().into() } else { Cell::Null },
        ];
        Some((at, cells))
    }
}

fn session_row(seq: u64, key: &str, session: &Session) -> Vec<Cell> {
    let count = |number: u32| Cell::Integer(i64::from(number));
    let ms = |number: u64| Cell::Integer(number as i64);
    vec![
        Cell::Integer(seq as i64),
        key.into(),
        count(session.number),
        session.channel.as_str().into(),
        session.contact.clone().into(),
        session.opened_at.into(),
        session.closed_at.into(),
        session.reason.clone().into(),
        session.handed_off_at.into(),
        session.served_at.into(),
        session.agent_replied_at.into(),
        session.queue.clone().into(),
        session.agent.clone().into(),
        session.intent.clone().into(),
        count(session.questions),
        count(session.answers),
        ms(session.waited_ms),
        ms(session.talk_ms),
        ms(session.hold_ms),
        ms(session.wrap_up_ms),
        count(session.from_customer),
        count(session.from_bot),
        count(session.from_agents),
        count(session.transfers),
        count(session.abandoned),
        session.disposition.clone().into(),
        session.rating.map_or(Cell::Null, |rating| Cell::Integer(i64::from(rating))),
        Cell::Truth(session.reopened),
        Cell::Truth(session.followed_up),
    ]
}

fn message_row(
    seq: u64,
    commit: &Commit<ConversationEvent>,
    event: &ConversationEvent,
    shows_text: bool,
) -> Option<Vec<Cell>> {
    let (session, id, direction, author, author_id, content, reply_to) = match event {
        ConversationEvent::MessageReceived { session, message, .. } => {
            (*session, &message.id, "inbound", "customer", None, &message.content, None)
        }
        ConversationEvent::MessageSent { session, id, author, content, reply_to, .. } => {
            let kind = match author.kind {
                AuthorKind::Bot => "bot",
                AuthorKind::Agent => "agent",
                AuthorKind::System => "system",
            };
            (*session, id, "outbound", kind, author.id.clone(), content, reply_to.clone())
        }
        _ => return None,
    };
    let (kind, text) = match content {
        Content::Text { text } => ("text", text.as_str()),
        Content::Image(file) => ("image", file.name.as_str()),
        Content::File(file) => ("file", file.name.as_str()),
        Content::Card { title, .. } => ("card", title.as_str()),
        Content::Event { .. } => ("event", ""),
        Content::Edit { .. } => ("edit", ""),
        Content::Receipt { .. } => ("receipt", ""),
        Content::Left => ("left", ""),
    };
    Some(vec![
        Cell::Integer(seq as i64),
        commit.at.into(),
        commit.key.as_str().into(),
        Cell::Integer(i64::from(session)),
        id.as_str().into(),
        direction.into(),
        author.into(),
        author_id.into(),
        kind.into(),
        if shows_text { text.into() } else { Cell::Null },
        Cell::Integer(text.chars().count() as i64),
        reply_to.into(),
    ])
}

fn assignment_rows(seq: u64, commit: &Commit<ConversationEvent>, event: &ConversationEvent) -> Vec<Vec<Cell>> {
    let ConversationEvent::OfferMade { offer, agent, decision, .. } = event else { return Vec::new() };
    let decision = decision.as_ref().map_or(Value::Null, kefu_events::Json::value);
    let row = |rank: usize, candidate: &str, score: Option<f64>, parts: Cell| {
        vec![
            Cell::Integer(seq as i64),
            commit.at.into(),
            commit.key.as_str().into(),
            offer.as_str().into(),
            Cell::Integer(rank as i64),
            candidate.into(),
            Cell::Truth(candidate == agent),
            score.map_or(Cell::Null, Cell::Number),
            parts,
            decision["policy"].as_str().map_or(Cell::Null, Cell::from),
            decision["propensity"].as_f64().map_or(Cell::Null, Cell::Number),
            decision.get("excluded").map_or(Cell::Null, |excluded| Cell::Text(excluded.to_string())),
            decision["settings_version"].as_i64().map_or(Cell::Null, Cell::Integer),
        ]
    };
    let candidates = decision["candidates"].as_array().map_or(&[][..], Vec::as_slice);
    if candidates.is_empty() {
        return vec![row(1, agent, None, Cell::Null)];
    }
    let ranked = candidates.iter().enumerate().map(|(at, candidate)| {
        let name = candidate["agent"].as_str().unwrap_or_default();
        row(at + 1, name, candidate["score"].as_f64(), Cell::Text(candidate["parts"].to_string()))
    });
    ranked.collect()
}
