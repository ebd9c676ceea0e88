//! Questions with their answers: for customers who wait, and for whoever asks by a query.

use super::{
    library::{Library, Shown as Base},
    writers::Writers,
};
use crate::{
    aggregate::kind::to_json,
    faq::{
        answer::{self, Asker, Candidate, Choice, Reply},
        llm::{self, LlmOutcome, SourceEntry, Speaker, Turn},
    },
    journal::{Journal, Outgoing},
    runtime::{leaders::Led, metrics::METRICS},
    search::{
        base::{self, Reader},
        embed::Role,
    },
    store::{ApprovedEntry, QUESTIONS, Question, Store, StoreError, tenant_and_key},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, Content, Timestamp, V,
    conversation::{AnswerSource, ConversationCommand, NoAnswerReason},
    envelope::Command,
    settings::TenantSettings,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::{broadcast::error::RecvError, watch};

/// Questions that are being answered at once: what waits for a model waits there, in a bounded queue of its own.
const UNDER_WAY: usize = 256;
/// Entries that are looked at for one question.
const CANDIDATES: usize = 10;
/// A model that has not answered so long before the deadline is not waited for: words alone can still answer.
const MARGIN: Duration = Duration::from_millis(500);
/// The longest that a query waits for a model.
const QUERY_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked which tenants this node leads now.
const LOOK: Duration = Duration::from_millis(500);
/// After a failure of the store.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers questions. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    store: Store,
    library: Library,
    writers: Option<Writers>,
}

/// What is answered to a query: what a customer would get, and how it was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    /// `answer`, `choices` or `decline`.
    pub outcome: &'static str,
    /// What a customer would be told, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<NoAnswerReason>,
    /// Calibrated probability that the question is one for this knowledge base, 0 to 1.
    pub in_scope: f64,
    /// Whether a model was asked, or words alone.
    pub by_meaning: bool,
    /// What was found, the likeliest first.
    pub candidates: Vec<Shown>,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

/// One entry that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// Its id.
    pub entry: String,
    /// The approved version of its content.
    pub entry_version: u64,
    /// Its question.
    pub question: String,
    /// The answer, as a customer would get it.
    pub answer: String,
    /// Calibrated probability that it is the one, 0 to 1.
    pub probability: f64,
    /// Whether a customer may be given it now.
    pub may_answer: bool,
}

/// What was found for a question.
struct Found {
    /// Id, probability that it is the right one, and what it says; the likeliest first.
    entries: Vec<(String, f64, ApprovedEntry)>,
    in_scope: f64,
    by_meaning: bool,
}

/// A question that waits, with what is done about it.
struct Waiting {
    question: Question,
    under_way: bool,
}

/// Whose conversation, and which.
type Place = (String, String);

impl Desk {
    /// Answers out of these.
    pub fn new(store: Store, library: Library, writers: Option<Writers>) -> Self {
        Self { store, library, writers }
    }

    /// The tenants' bases.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// What a customer on this channel would get to this question, after these; `None`: the tenant has no approved entry.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn ask(
        &self,
        tenant: &str,
        channel: &str,
        text: &str,
        earlier: &[String],
    ) -> Result<Option<Answered>, StoreError> {
        let start = Instant::now();
        let Some(base) = self.library.shown(tenant) else { return Ok(None) };
        let found = self.find(tenant, &base, text, earlier, None, QUERY_PATIENCE).await?;
        let settings = self.settings(tenant, channel);
        let asker = Asker { channel, customer_name: None };
        let reply = decide(&found, &asker, 0, &settings);
        let now = now();
        let shown = found.entries.iter().map(|(id, probability, entry)| Shown {
            entry: id.clone(),
            entry_version: entry.entry_version,
            question: entry.content.question.clone(),
            answer: answer::text_for(&entry.content, &asker).unwrap_or_else(|wrong| wrong),
            probability: *probability,
            may_answer: answer::is_answer(&entry.content, now),
        });
        let (outcome, text, reason) = match reply {
            Reply::Answer { text, .. } => ("answer", Some(text), None),
            Reply::Choices { text, .. } => ("choices", Some(text), None),
            Reply::Decline { reason, .. } => ("decline", None, Some(reason)),
        };
        Ok(Some(Answered {
            outcome,
            text,
            reason,
            in_scope: found.in_scope,
            by_meaning: found.by_meaning,
            candidates: shown.collect(),
            took_ms: start.elapsed().as_secs_f64() * 1e3,
        }))
    }

    /// Answers customers until it is told to stop.
    pub(super) async fn serve<J: Journal>(
        self,
        journal: J,
        node: String,
        led: Led,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            match self.follow(&journal, &node, &led, &mut stopped).await {
                Ok(true) => break,
                Ok(false) => tracing::info!("the questions are read anew"),
                Err(error) => {
                    tracing::error!(%error, "the questions cannot be read; tries again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// `true`: it was told to stop.
    async fn follow<J: Journal>(
        &self,
        journal: &J,
        node: &str,
        led: &Led,
        stopped: &mut watch::Receiver<bool>,
    ) -> Result<bool, StoreError> {
        let missing = || StoreError::Damaged("the list of questions is missing".to_owned());
        let (mut feed, _) = self.store.watch_lists(&[QUESTIONS.name]).ok_or_else(missing)?;
        let mut waiting: BTreeMap<Place, Waiting> = BTreeMap::new();
        self.store.questions(|tenant, key, question| {
            waiting.insert((tenant.to_owned(), key.to_owned()), Waiting { question, under_way: false });
        })?;
        // Those to be looked at now; and those for which nothing can be done now, which are looked at again now and then: there
        // are thousands of them where a tenant answers elsewhere.
        let mut fresh: Vec<Place> = waiting.keys().cloned().collect();
        let mut idle: Vec<Place> = Vec::new();
        let mut work: FuturesUnordered<BoxFuture<'_, (Place, String, bool)>> = FuturesUnordered::new();
        let mut period = tokio::time::interval(LOOK);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            for place in fresh.drain(..) {
                let Some(asked) = waiting.get_mut(&place).filter(|asked| !asked.under_way) else { continue };
                if asked.question.deadline < now() {
                    continue;
                }
                let base = self.library.shown(&place.0).filter(|_| led.has(&place.0) && work.len() < UNDER_WAY);
                let Some(base) = base else {
                    idle.push(place);
                    continue;
                };
                asked.under_way = true;
                let question = asked.question.clone();
                work.push(self.answer(journal, node, place, question, base).boxed());
            }
            tokio::select! {
                _ = stopped.changed() => return Ok(true),
                _ = period.tick() => fresh.append(&mut idle),
                Some((place, request, done)) = work.next(), if !work.is_empty() => {
                    // What could not be sent is tried again until its deadline.
                    let same = |asked: &&mut Waiting| asked.question.request == request;
                    if let Some(asked) = waiting.get_mut(&place).filter(same).filter(|_| !done) {
                        asked.under_way = false;
                        idle.push(place);
                    }
                }
                changes = feed.recv() => match changes {
                    Ok(batch) => for change in batch.changes.iter().filter(|change| change.list == QUESTIONS.name) {
                        let Some((tenant, key)) = tenant_and_key(&change.key) else { continue };
                        let place = (tenant.to_owned(), key.to_owned());
                        let question = change.value.as_deref().map(serde_json::from_slice::<Question>);
                        let Some(Ok(question)) = question else {
                            waiting.remove(&place);
                            continue;
                        };
                        let known = waiting.get(&place);
                        if known.is_none_or(|known| known.question.request != question.request) {
                            waiting.insert(place.clone(), Waiting { question, under_way: false });
                            fresh.push(place);
                        }
                    },
                    Err(RecvError::Closed | RecvError::Lagged(_)) => return Ok(false),
                },
            }
        }
    }

    /// Answers one question: which, under which request, and whether it is done with.
    async fn answer<J: Journal>(
        &self,
        journal: &J,
        node: &str,
        place: Place,
        question: Question,
        base: Base,
    ) -> (Place, String, bool) {
        let (tenant, key) = &place;
        let began = Instant::now();
        let reply = match self.reply(tenant, &question, &base).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(%error, tenant, key, "a question cannot be answered");
                Reply::Decline { reason: NoAnswerReason::Failed, confidence: None }
            }
        };
        METRICS.answer_seconds.observe(began.elapsed().as_secs_f64());
        METRICS.answered(outcome_of(&reply));
        let command = command(tenant, key, node, &question.request, reply);
        let sent = journal.publish(command).await;
        if let Err(error) = &sent {
            tracing::debug!(%error, tenant, "an answer is sent later");
        }
        (place, question.request, sent.is_ok())
    }

    async fn reply(&self, tenant: &str, question: &Question, base: &Base) -> Result<Reply, StoreError> {
        let settings = self.settings(tenant, &question.channel);
        let asker = Asker { channel: &question.channel, customer_name: question.customer_name.as_deref() };
        match answer::chosen(&question.question, &question.choices) {
            Choice::Chosen(choice) => {
                let entry =
                    self.store.answer(tenant, &choice.entry)?.filter(|entry| answer::is_answer(&entry.content, now()));
                let text = entry.as_ref().and_then(|entry| answer::text_for(&entry.content, &asker).ok());
                return Ok(match (text, entry) {
                    // The customer has said so.
                    (Some(text), Some(entry)) => {
                        let source = AnswerSource {
                            entry: choice.entry.clone(),
                            entry_version: Some(entry.entry_version),
                            score: None,
                        };
                        Reply::Answer { text, confidence: 1.0, sources: vec![source] }
                    }
                    // It was retired in the meantime.
                    _ => Reply::Decline { reason: NoAnswerReason::Failed, confidence: None },
                });
            }
            Choice::NoneOfThem => return Ok(Reply::Decline { reason: NoAnswerReason::NotConfident, confidence: None }),
            Choice::Other => {}
        }
        let patience = patience_until(question.deadline);
        let language = question.language.as_deref();
        let found = self.find(tenant, base, &question.question, &question.earlier, language, patience).await?;
        let reply = decide(&found, &asker, question.choice_rounds, &settings);
        Ok(self.worded(tenant, question, &found, &asker, &settings, reply).await)
    }

    /// An answer in the words of the language model, where the tenant wants that and the model is in time; else as it is.
    async fn worded(
        &self,
        tenant: &str,
        question: &Question,
        found: &Found,
        asker: &Asker<'_>,
        settings: &TenantSettings,
        reply: Reply,
    ) -> Reply {
        let (Some(writers), Reply::Answer { confidence, .. }) = (&self.writers, &reply) else { return reply };
        if !settings.bot.generated_answers {
            return reply;
        }
        let Some(llm) = writers.of(tenant) else { return reply };
        let confidence = *confidence;
        let now = now();
        let usable = found.entries.iter().filter(|(_, _, entry)| answer::is_answer(&entry.content, now));
        let sources: Vec<SourceEntry> = usable
            .filter_map(|(id, _, entry)| {
                let answer = answer::text_for(&entry.content, asker).ok()?;
                let question = entry.content.question.clone();
                Some(SourceEntry { id: id.clone(), version: entry.entry_version, question, answer })
            })
            .collect();
        let context: Vec<Turn<'_>> =
            question.earlier.iter().map(|text| Turn { speaker: Speaker::Customer, text }).collect();
        let names: Vec<&str> = asker.customer_name.into_iter().collect();
        let asked = llm::Question { text: &question.question, context: &context, names: &names };
        let patience = patience_until(question.deadline);
        match tokio::time::timeout(patience, llm.answer(&asked, &sources, now)).await {
            Ok(LlmOutcome::Answered { text, sources, .. }) => {
                let score =
                    |entry: &str| found.entries.iter().find(|(id, _, _)| id == entry).map(|(_, score, _)| *score);
                let source = |source: llm::SourceRef| AnswerSource {
                    score: score(&source.id),
                    entry: source.id,
                    entry_version: Some(source.version),
                };
                Reply::Answer { text, confidence, sources: sources.into_iter().map(source).collect() }
            }
            outcome => {
                tracing::debug!(?outcome, tenant, "the language model gave no answer; the entry is given as it is");
                reply
            }
        }
    }

    /// Entries that may be meant, by meaning where a model answers in time, else by words alone.
    async fn find(
        &self,
        tenant: &str,
        base: &Base,
        text: &str,
        earlier: &[String],
        language: Option<&str>,
        patience: Duration,
    ) -> Result<Found, StoreError> {
        let mut question = base::Question { text, earlier, language, vector: None };
        let vector = match &base.embeddings {
            None => None,
            Some(embeddings) => {
                let text = Reader::text_to_embed(&question);
                match tokio::time::timeout(patience, embeddings.embed(&text, Role::Question)).await {
                    Ok(Ok(vector)) => Some(vector),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, tenant, "a question is looked up by its words alone");
                        None
                    }
                    Err(_) => None,
                }
            }
        };
        question.vector = vector.as_deref();
        let ranked = match base.reader.ask(&question) {
            Ok(ranked) => ranked,
            // Its files are gone or damaged; it is built anew when it is next opened.
            Err(error) => {
                tracing::error!(%error, tenant, "the search base cannot be read");
                return Ok(Found { entries: Vec::new(), in_scope: 0.0, by_meaning: false });
            }
        };
        let mut entries = Vec::new();
        for candidate in ranked.candidates.into_iter().take(CANDIDATES) {
            // An index may be a moment behind: what is not approved any more, or in another version, answers nothing.
            if let Some(entry) = self.store.answer(tenant, &candidate.entry)? {
                // That any entry answers it, and that it is this one.
                entries.push((candidate.entry, candidate.probability * ranked.in_scope, entry));
            }
        }
        Ok(Found { entries, in_scope: ranked.in_scope, by_meaning: question.vector.is_some() })
    }

    fn settings(&self, tenant: &str, channel: &str) -> TenantSettings {
        let settings = self.store.settings();
        settings.tenant(tenant).map(|config| config.for_channel(channel).clone()).unwrap_or_default()
    }
}

fn decide(found: &Found, asker: &Asker<'_>, rounds: u32, settings: &TenantSettings) -> Reply {
    let now = now();
    let candidates: Vec<Candidate<'_>> = found
        .entries
        .iter()
        .filter(|(_, _, entry)| answer::is_answer(&entry.content, now))
        .map(|(id, probability, entry)| Candidate {
            entry: id,
            entry_version: entry.entry_version,
            content: &entry.content,
            probability: *probability,
        })
        .collect();
    answer::reply(&candidates, found.in_scope, asker, rounds, &settings.bot, &settings.texts)
}

fn outcome_of(reply: &Reply) -> &'static str {
    match reply {
        Reply::Answer { .. } => "answered",
        Reply::Choices { .. } => "asked_back",
        Reply::Decline { .. } => "declined",
    }
}

fn command(tenant: &str, key: &str, node: &str, request: &str, reply: Reply) -> Outgoing {
    let request = request.to_owned();
    let body = match reply {
        Reply::Answer { text, confidence, sources } => {
            ConversationCommand::GiveAnswer { v: V, request, content: Content::text(text), confidence, sources }
        }
        Reply::Choices { text, confidence, choices } => {
            ConversationCommand::OfferChoices { v: V, request, content: Content::text(text), confidence, choices }
        }
        Reply::Decline { reason, confidence } => {
            ConversationCommand::DeclineAnswer { v: V, request, reason, confidence }
        }
    };
    // A fresh one for every try: a known one would be swallowed by the queue's memory after a refusal.
    let id = format!("answer-{}", uuid::Uuid::now_v7().simple());
    let header = CommandHeader {
        id: id.clone(),
        aggregate: AggregateKind::Conversation,
        key: key.to_owned(),
        expected_version: None,
        actor: Actor::new(ActorKind::Bot, node),
        at: now(),
        correlation: None,
    };
    let payload = Bytes::from(to_json(&Command { header, body }));
    let source = ActorKind::Bot.as_str().to_owned();
    Outgoing::Command { tenant: tenant.to_owned(), source, key: key.to_owned(), id, payload }
}

/// How long may be waited for a model, so that the answer is still in time.
fn patience_until(deadline: Timestamp) -> Duration {
    let left = deadline.as_millis() - now().as_millis();
    Duration::from_millis(left.max(0) as u64).saturating_sub(MARGIN)
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}
