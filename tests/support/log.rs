//! The whole log, the whole outbox, and what must be true of both whatever was killed.

use super::PATIENCE;
use futures::{StreamExt, TryStreamExt};
use kefu::journal::{Journal, NatsJournal, OutboxStart, Recorded, RejectedRecord};
use kefu_events::{Commit, key::conversation_key};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// One customer's message whose publication was acknowledged.
#[derive(Debug, Clone)]
pub struct Published {
    pub tenant: String,
    pub channel: String,
    pub thread: String,
    pub id: String,
    pub text: String,
}

impl Published {
    /// Key of its conversation.
    pub fn key(&self) -> String {
        conversation_key(&self.channel, &self.thread)
    }

    /// What its commit names as its cause.
    pub fn cause(&self) -> String {
        format!("{}/{}/{}/{}", self.tenant, self.channel, self.key(), self.id)
    }
}

/// One commit.
#[derive(Debug)]
pub struct Logged {
    pub seq: u64,
    pub subject: String,
    pub commit: Commit<Value>,
}

impl Logged {
    fn read(recorded: &Recorded) -> Self {
        let commit = serde_json::from_slice(&recorded.payload)
            .unwrap_or_else(|error| panic!("commit {} is not readable: {error}", recorded.seq));
        Self { seq: recorded.seq, subject: recorded.subject.clone(), commit }
    }

    /// Its events of one type.
    pub fn events<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.commit.events.iter().filter(move |event| event["type"] == kind)
    }
}

/// The log, the outbox and the refused inputs of one moment.
#[derive(Debug, Default)]
pub struct Everything {
    pub commits: Vec<Logged>,
    /// Replies by id: conversation key and payload of each copy.
    pub outbox: BTreeMap<String, Vec<(String, Value)>>,
    pub rejected: Vec<RejectedRecord>,
    /// The last commit of which the replies are all out, if that is so at all: customers are told their place in the line also
    /// while this is read.
    told_up_to: u64,
}

impl Everything {
    /// The first copy of each reply.
    pub fn replies(&self) -> BTreeMap<String, Value> {
        self.outbox.iter().map(|(id, copies)| (id.clone(), copies[0].1.clone())).collect()
    }
}

/// What was found where all is as it must be.
#[derive(Debug, Default)]
pub struct Figures {
    pub commits: usize,
    pub messages: usize,
    pub threads: usize,
    pub replies: usize,
    /// Copies of replies beyond the first of each.
    pub copies: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { commits, messages, threads, replies, copies } = self;
        write!(
            f,
            "{messages} messages in {threads} threads, {commits} commits, {replies} replies ({copies} stored twice)"
        )
    }
}

/// Reads the log up to its end of now.
pub async fn read_log(journal: &NatsJournal) -> Vec<Logged> {
    let last = journal.position().await.expect("the log's end").last;
    follow_log(journal, |seen| seen.is_some_and(|logged| logged.seq >= last) || last == 0).await
}

/// Follows the log from its start until `enough` of what was seen last.
async fn follow_log(journal: &NatsJournal, mut enough: impl FnMut(Option<&Logged>) -> bool) -> Vec<Logged> {
    let mut commits = Vec::new();
    if enough(None) {
        return commits;
    }
    let mut tail = journal.tail(0, None).await.expect("the log");
    loop {
        let next = tokio::time::timeout(PATIENCE, tail.next()).await;
        let Ok(next) = next else { panic!("nothing new in the log for {PATIENCE:?}, after {} commits", commits.len()) };
        commits.push(Logged::read(&next.expect("the log goes on").expect("a commit")));
        if enough(commits.last()) {
            return commits;
        }
    }
}

/// Waits until the log has a commit of each of these causes.
pub async fn until_committed(journal: &NatsJournal, causes: impl IntoIterator<Item = String>) {
    let mut missing: BTreeSet<String> = causes.into_iter().collect();
    let count = missing.len();
    let followed = follow_log(journal, |seen| {
        if let Some(logged) = seen {
            missing.remove(&logged.commit.cause);
        }
        missing.is_empty()
    });
    let waited = tokio::time::timeout(PATIENCE, followed).await;
    if waited.is_err() {
        panic!("{} of {count} inputs are in no commit, such as {:?}", missing.len(), missing.first());
    }
}

/// Waits until both work queues are empty: everything that was begun is done, and acked.
pub async fn until_drained(journal: &NatsJournal) {
    for stream in ["KEFU_INBOX", "KEFU_COMMANDS"] {
        super::eventually(&format!("{stream} is empty"), || async {
            let info = journal.stream_info(stream).await.ok()?;
            (info["state"]["messages"] == 0).then_some(())
        })
        .await;
    }
}

/// Waits until every session that asked for an answer got one or was handed over: no deadline was lost.
pub async fn until_deadlines_passed(journal: &NatsJournal) {
    let last = journal.position().await.expect("the log's end").last;
    let mut open: BTreeSet<String> = BTreeSet::new();
    let followed = follow_log(journal, |seen| {
        let Some(logged) = seen else { return last == 0 };
        for event in &logged.commit.events {
            match event["type"].as_str() {
                Some("answer_requested") => {
                    open.insert(logged.subject.clone());
                }
                Some("answer_given" | "answer_declined" | "queued" | "session_closed") => {
                    open.remove(&logged.subject);
                }
                _ => {}
            }
        }
        open.is_empty() && logged.seq >= last
    });
    if tokio::time::timeout(PATIENCE, followed).await.is_err() {
        panic!("{} answers' deadlines were never noticed, such as that of {:?}", open.len(), open.first());
    }
}

/// Reads everything, in an order in which an effect never seems to be there before its cause.
pub async fn read_everything(journal: &NatsJournal) -> Everything {
    let so_far = read_log(journal).await;
    let told_up_to = so_far.last().map_or(0, |logged| logged.seq);
    let due = so_far.iter().flat_map(|logged| logged.events("message_sent"));
    let due: Vec<&str> = due.filter_map(|event| event["id"].as_str()).collect();
    let began = Instant::now();
    let outbox = loop {
        let outbox = read_outbox(journal).await;
        if due.iter().all(|id| outbox.contains_key(*id)) || began.elapsed() > PATIENCE {
            break outbox;
        }
        // A stream's growth is not announced.
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let rejected = journal.rejected(None, 1, 100_000).await.expect("the rejected");
    Everything { commits: read_log(journal).await, outbox, rejected, told_up_to }
}

async fn read_outbox(journal: &NatsJournal) -> BTreeMap<String, Vec<(String, Value)>> {
    let info = journal.stream_info("KEFU_OUTBOX").await.expect("the outbox");
    let mut left = info["state"]["messages"].as_u64().expect("a count");
    let mut outbox: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    let mut tenants: BTreeSet<String> = BTreeSet::new();
    for logged in read_log(journal).await {
        tenants.insert(logged.commit.tenant);
    }
    for tenant in tenants {
        // The last message is not announced: the stream's count says when all were read.
        let mut records = journal.outbox(&tenant, None, OutboxStart::After(0)).await.expect("the outbox");
        while left > 0 {
            let next = tokio::time::timeout(PATIENCE, records.try_next()).await;
            let Ok(Some(record)) = next.expect("a reply in time") else { panic!("the outbox ended") };
            let body: Value = serde_json::from_slice(&record.payload).expect("a reply's JSON");
            let id = body["id"].as_str().expect("a reply's id").to_owned();
            outbox.entry(id).or_default().push((record.key, body));
            left -= 1;
        }
    }
    outbox
}

/// Checks all that must be true of every log.
///
/// # Panics
/// Something is not; it says what.
pub fn check(all: &Everything, published: &[Published]) -> Figures {
    let mut wrong = Vec::new();
    versions_have_no_gaps(all, &mut wrong);
    no_cause_has_two_commits(all, &mut wrong);
    messages_are_in_one_commit_in_order(all, published, &mut wrong);
    replies_are_out_under_one_id(all, &mut wrong);
    let shown: Vec<_> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} violations, such as {shown:#?}", wrong.len());
    let threads: BTreeSet<_> = published.iter().map(|message| (&message.channel, &message.thread)).collect();
    Figures {
        commits: all.commits.len(),
        messages: published.len(),
        threads: threads.len(),
        replies: all.outbox.len(),
        copies: all.outbox.values().map(|copies| copies.len() - 1).sum(),
    }
}

fn versions_have_no_gaps(all: &Everything, wrong: &mut Vec<String>) {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for logged in &all.commits {
        let Commit { tenant, aggregate, key, version, .. } = &logged.commit;
        let expected = format!("kefu.events.{tenant}.{aggregate}.{key}");
        if logged.subject != expected {
            wrong.push(format!("commit {} is on {} and says {expected}", logged.seq, logged.subject));
        }
        let last = versions.insert(&logged.subject, *version).unwrap_or(0);
        if *version != last + 1 {
            wrong.push(format!("{} has version {version} after {last}, at {}", logged.subject, logged.seq));
        }
        if logged.commit.events.is_empty() {
            wrong.push(format!("commit {} has no events", logged.seq));
        }
    }
}

fn no_cause_has_two_commits(all: &Everything, wrong: &mut Vec<String>) {
    let mut seen: HashMap<(&str, &str), u64> = HashMap::new();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for logged in &all.commits {
        if let Some(first) = seen.insert((&logged.subject, &logged.commit.cause), logged.seq) {
            wrong.push(format!("{} is in the commits {first} and {}", logged.commit.cause, logged.seq));
        }
        if !ids.insert(&logged.commit.commit_id) {
            wrong.push(format!("commit id {} exists twice", logged.commit.commit_id));
        }
    }
}

fn messages_are_in_one_commit_in_order(all: &Everything, published: &[Published], wrong: &mut Vec<String>) {
    // Per thread what was committed, in order.
    let mut committed: HashMap<(&str, String), Vec<(&str, &str)>> = HashMap::new();
    for logged in &all.commits {
        let thread = (logged.commit.tenant.as_str(), logged.commit.key.clone());
        for event in logged.events("message_received") {
            let message = &event["message"];
            let id = message["id"].as_str().unwrap_or_default();
            let text = message["content"]["text"].as_str().unwrap_or_default();
            committed.entry(thread.clone()).or_default().push((id, text));
            if !logged.commit.cause.ends_with(&format!("/{id}")) {
                wrong.push(format!("commit {} of {} holds message {id}", logged.seq, logged.commit.cause));
            }
        }
    }
    let mut threads: BTreeMap<(&str, String), Vec<(&str, &str)>> = BTreeMap::new();
    for message in published {
        threads.entry((&message.tenant, message.key())).or_default().push((&message.id, &message.text));
    }
    for ((tenant, key), sent) in threads {
        let received = committed.remove(&(tenant, key.clone())).unwrap_or_default();
        if received != sent {
            let ids = |messages: &[(&str, &str)]| messages.iter().map(|(id, _)| (*id).to_owned()).collect::<Vec<_>>();
            wrong.push(format!("{tenant}/{key}: {:?} published, {:?} committed", ids(&sent), ids(&received)));
        }
    }
    for ((tenant, key), messages) in committed {
        wrong.push(format!("{tenant}/{key} has {} messages that nobody published", messages.len()));
    }
}

fn replies_are_out_under_one_id(all: &Everything, wrong: &mut Vec<String>) {
    let mut unknown: BTreeSet<&str> = all.outbox.keys().map(String::as_str).collect();
    let mut sent: BTreeSet<&str> = BTreeSet::new();
    for logged in &all.commits {
        for event in logged.events("message_sent") {
            let id = event["id"].as_str().unwrap_or_default();
            unknown.remove(id);
            if !sent.insert(id) {
                wrong.push(format!("two messages_sent have the id {id}"));
            }
            let Some(copies) = all.outbox.get(id) else {
                if logged.seq > all.told_up_to {
                    continue;
                }
                wrong.push(format!("reply {id} of commit {} is not in the outbox", logged.seq));
                continue;
            };
            for (key, body) in copies {
                let same = *key == logged.commit.key
                    && ["content", "thread", "channel", "session", "author"]
                        .iter()
                        .all(|name| body[*name] == event[*name]);
                if !same || copies[0].1 != *body {
                    wrong.push(format!("reply {id} of commit {} is {body} in the outbox", logged.seq));
                }
            }
        }
    }
    wrong.extend(unknown.iter().map(|id| format!("reply {id} is in the outbox and in no commit")));
}

/// Waits until all is done that follows from `published`, reads everything and checks it.
pub async fn settle_and_check(journal: &NatsJournal, published: &[Published]) -> (Everything, Figures) {
    until_committed(journal, published.iter().map(Published::cause)).await;
    until_deadlines_passed(journal).await;
    until_drained(journal).await;
    let all = read_everything(journal).await;
    let figures = check(&all, published);
    (all, figures)
}
