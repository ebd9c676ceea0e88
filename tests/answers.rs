//! Questions of customers and the knowledge base, on a real nats-server: from the draft of an entry to the answer, and what
//! becomes of it.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "support/http.rs"]
mod http;
#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use kefu::{
    answering::{Answered, DEFAULT_MODEL, ENGLISH_MODEL},
    engine::{Engine, EngineOptions},
    faq::{
        entry::{EntryStatus, State},
        llm::LlmSettings,
    },
    journal::{JournalError, NatsJournal, OutboxRecord, OutboxStart, Outgoing},
};
use kefu_events::{AggregateKind, Outbound, key::conversation_key};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// A help desk with its engine.
struct Desk {
    server: nats::TestServer,
    journal: NatsJournal,
    engine: Option<Engine>,
    model: Option<String>,
    llm: Option<LlmSettings>,
    asked: u32,
}

impl Desk {
    /// An engine without a model, with the tenant's settings laid over what the tests need.
    async fn open(settings: Value) -> Self {
        Self::with(settings, None, None).await
    }

    async fn with(settings: Value, model: Option<&str>, llm: Option<LlmSettings>) -> Self {
        let server = nats::TestServer::start().await;
        let journal = server.journal().await;
        let mut desk = Self { server, journal, engine: None, model: model.map(str::to_owned), llm, asked: 0 };
        desk.start();
        // A machine that compiles beside the tests takes its time.
        let mut value = json!({"texts": {"welcome": ""}, "bot": {"answer_deadline_s": 60}});
        for (name, more) in settings.as_object().unwrap() {
            for (field, set) in more.as_object().unwrap() {
                value[name][field] = set.clone();
            }
        }
        desk.asks("settings", "tenant", json!({"type": "set", "value": value})).await;
        desk
    }

    fn start(&mut self) {
        let journal = self.journal.clone();
        let store = self.server.data.path().join("store");
        let mut options = EngineOptions::new(journal.clone(), journal.subjects().clone(), journal.partitions(), store);
        options.answering.llm.clone_from(&self.llm);
        if let Some(model) = &self.model {
            options.answering.model = Some(model.clone()).filter(|model| !model.is_empty());
            options.answering.models = models().unwrap();
        }
        self.engine = Some(Engine::start(options).unwrap());
    }

    async fn stop(&mut self) {
        self.engine.take().unwrap().stop().await.unwrap();
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    async fn asks_as(&mut self, actor: &str, aggregate: &str, key: &str, body: Value) -> Value {
        self.asked += 1;
        let id = format!("test-{}", self.asked);
        let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
            "actor": {"kind": actor, "id": "test"}, "at": "2026-11-22T00:00:00.000Z"});
        for (name, value) in body.as_object().unwrap() {
            command[name] = value.clone();
        }
        let (tenant, source) = ("demo".to_owned(), actor.to_owned());
        let payload = Bytes::from(command.to_string());
        let outgoing = Outgoing::Command { tenant, source, key: key.to_owned(), id, payload };
        let result = self.journal.request_command(outgoing, PATIENCE).await.unwrap().expect("a result in time");
        serde_json::from_slice(&result).unwrap()
    }

    async fn asks(&mut self, aggregate: &str, key: &str, body: Value) {
        let result = self.asks_as("system", aggregate, key, body).await;
        assert_eq!(result["ok"], true, "{result}");
    }

    async fn approved(&mut self, entry: &str, question: &str, answer: &str) {
        let content = json!({"question": question, "answer": answer});
        self.asks("faq", entry, json!({"type": "draft", "content": content})).await;
        self.asks("faq", entry, json!({"type": "approve"})).await;
    }

    /// What the desk would answer, as soon as that is what is expected.
    async fn until(
        &self,
        question: &str,
        what: &str,
        expected: impl Fn(Option<&Answered>) -> bool,
    ) -> Option<Answered> {
        let looks = async {
            loop {
                let answered = self.engine().desk().ask("demo", "web", question, &[]).await.unwrap();
                if expected(answered.as_ref()) {
                    return answered;
                }
                // waits because an index does not announce what it has taken in
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_| panic!("{question:?}: never {what}"))
    }

    async fn says(&self, thread: &str, id: &str, text: &str) {
        let message = json!({"id": id, "channel": "web", "thread": thread, "sender": {"id": thread, "name": "Alice"},
            "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": text}});
        let key = conversation_key("web", thread);
        self.journal.publish_inbound("demo", "web", &key, id, Bytes::from(message.to_string())).await.unwrap();
    }

    /// An entry's state, once there is one.
    async fn entry(&self, entry: &str) -> State {
        let mut projected = self.engine().store().watch_projected();
        let snapshot = loop {
            if let Some(snapshot) = self.engine().store().snapshot("demo", AggregateKind::Faq, entry).unwrap() {
                break snapshot;
            }
            projected.changed().await.unwrap();
        };
        serde_json::from_value(serde_json::from_slice::<Value>(&snapshot).unwrap()["state"].clone()).unwrap()
    }
}

fn models() -> Option<PathBuf> {
    let dir = match std::env::var_os("KEFU_MODELS") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache/kefu/models"),
    };
    dir.join(DEFAULT_MODEL).is_dir().then_some(dir)
}

/// The next replies of a channel.
struct Replies(BoxStream<'static, Result<OutboxRecord, JournalError>>);

impl Replies {
    async fn next(&mut self) -> String {
        let record = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a reply in time").unwrap().unwrap();
        let reply: Outbound = serde_json::from_slice(&record.payload).unwrap();
        reply.content.as_text().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_entry_answers_and_a_retired_one_does_not() {
    let mut desk = Desk::open(json!({"bot": {"min_confidence": 0.01}})).await;
    let mut replies = Replies(desk.journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap());
    let content = json!({"question": "How can I return my shoes?", "answer": "Dear {customer_name}, within 14 days.",
        "variables": {"customer_name": "customer"}});
    desk.asks("faq", "returns", json!({"type": "draft", "content": content})).await;
    assert_eq!(desk.entry("returns").await.status(), EntryStatus::Draft);
    assert_eq!(desk.engine().desk().ask("demo", "web", "return my shoes", &[]).await.unwrap(), None, "a draft is none");
    desk.asks("faq", "returns", json!({"type": "approve"})).await;
    desk.approved("opening", "When are you open?", "From nine to five.").await;
    desk.until("when do you open", "found", |answered| {
        answered.is_some_and(|a| a.candidates.first().is_some_and(|first| first.entry == "opening"))
    })
    .await;

    desk.says("alice", "1", "how do I return shoes?").await;
    assert_eq!(replies.next().await, "Dear Alice, within 14 days.");

    desk.asks("faq", "returns", json!({"type": "retire"})).await;
    let gone =
        |answered: Option<&Answered>| answered.is_some_and(|a| a.candidates.iter().all(|c| c.entry != "returns"));
    desk.until("how do I return shoes?", "gone", gone).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sure_is_asked_back_and_the_number_that_comes_is_understood() {
    let mut desk = Desk::open(json!({"bot": {"min_confidence": 1.0, "min_choice_confidence": 0.0}})).await;
    let mut replies = Replies(desk.journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap());
    desk.approved("shoes", "How can I return shoes?", "Shoes: 14 days.").await;
    desk.approved("books", "How can I return books?", "Books: never.").await;
    desk.until("return", "both found", |answered| answered.is_some_and(|a| a.candidates.len() == 2)).await;

    desk.says("alice", "1", "how can I return").await;
    let asked = replies.next().await;
    assert!(asked.contains("1. How can I return") && asked.contains("2. How can I return"), "{asked}");
    let number = asked.lines().find(|line| line.contains("books")).unwrap().chars().next().unwrap();
    desk.says("alice", "2", &format!("{number}.")).await;
    assert_eq!(replies.next().await, "Books: never.");

    desk.says("bob", "1", "how can I return").await;
    replies.next().await;
    desk.says("bob", "2", "none of these").await;
    assert!(replies.next().await.contains("colleague"), "who means none of them is handed over");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_says_of_an_answer_reaches_the_entry() {
    let mut desk = Desk::open(json!({"bot": {"min_confidence": 0.01}})).await;
    let mut replies = Replies(desk.journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap());
    desk.approved("returns", "How can I return my shoes?", "Within 14 days.").await;
    desk.until("return shoes", "found", |answered| answered.is_some()).await;
    desk.says("alice", "1", "return my shoes").await;
    replies.next().await;
    let key = conversation_key("web", "alice");
    let mut projected = desk.engine().store().watch_projected();
    let request = loop {
        let snapshot = desk.engine().store().snapshot("demo", AggregateKind::Conversation, &key).unwrap();
        let state: Value = snapshot.map_or(Value::Null, |snapshot| serde_json::from_slice(&snapshot).unwrap());
        if let Some(request) = state["state"]["rateable"][0]["request"].as_str() {
            break request.to_owned();
        }
        projected.changed().await.unwrap();
    };
    let rated = json!({"type": "rate_answer", "request": request, "helpful": true});
    desk.asks("conversation", &key, rated).await;
    let mut projected = desk.engine().store().watch_projected();
    let counted = async {
        while desk.entry("returns").await.all_feedback().helpful != 1 {
            projected.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the entry hears of it");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_built_anew() {
    let mut desk = Desk::open(json!({})).await;
    for number in 0..20 {
        let question = format!("What is the rule of number {number} for shoes?");
        desk.approved(&format!("e{number}"), &question, "It depends.").await;
    }
    let all = |answered: Option<&Answered>| answered.is_some_and(|answered| answered.candidates.len() == 10);
    desk.until("rule for shoes", "found", all).await;
    desk.stop().await;
    let dir = desk.server.data.path().join("search").join("demo");
    let mut damaged = 0;
    damage(&dir, &mut damaged);
    assert!(damaged > 0, "nothing was kept in {}", dir.display());
    desk.start();
    desk.until("rule for shoes", "found again", all).await;
    desk.stop().await;
}

fn damage(path: &Path, damaged: &mut u32) {
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            damage(&entry.path(), damaged);
        } else {
            fs::write(entry.path(), b"no index").unwrap();
            *damaged += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_other_words_and_another_language_is_found_by_its_meaning() {
    if models().is_none() {
        eprintln!("SKIPPED: there is no model; `scripts/models` fetches it");
        return;
    }
    let mut desk = Desk::with(json!({}), Some(DEFAULT_MODEL), None).await;
    desk.approved("returns", "How can I return my shoes?", "Within 14 days.").await;
    desk.approved("opening", "When are you open?", "From nine to five.").await;
    desk.approved("password", "I forgot my password", "Reset it on the login page.").await;
    for (question, entry) in [("我忘记了密码怎么办", "password"), ("send the sneakers back", "returns")] {
        let found = |answered: Option<&Answered>| {
            answered.is_some_and(|a| a.by_meaning && a.candidates.first().is_some_and(|first| first.entry == entry))
        };
        desk.until(question, "found by its meaning", found).await;
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_model_words_the_answer_and_where_it_invents_the_entry_is_given_as_it_is() {
    let server = http::Server::start(|number, request| {
        let rules = request.body["messages"][0]["content"].as_str().unwrap();
        let tag: String =
            rules.split("NO-ANSWER-").nth(1).unwrap().chars().take_while(|c| c.is_alphanumeric()).collect();
        let text = match number {
            0 => format!("You can return shoes within 14 days. [{tag}-1]"),
            _ => format!("You can return shoes within 90 days. [{tag}-1]"),
        };
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
        let body = json!({"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}});
        http::Reply::Whole(200, "content-type: application/json\r\n", body.to_string())
    })
    .await;
    let llm = json!({"enabled": true, "url": server.url, "model": "small", "stream": false,
        "limits": {"timeout_ms": 30_000}});
    let bot = json!({"bot": {"min_confidence": 0.01, "generated_answers": true}});
    let mut desk = Desk::with(bot, None, Some(serde_json::from_value(llm).unwrap())).await;
    let mut replies = Replies(desk.journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap());
    let plain = "Shoes can be returned: within 14 days, in their box.";
    desk.approved("returns", "How can I return my shoes?", plain).await;
    desk.until("return shoes", "found", |answered| answered.is_some()).await;
    desk.says("alice", "1", "my number is 13812345678, how do I return shoes?").await;
    assert_eq!(replies.next().await, "You can return shoes within 14 days.");
    desk.says("bob", "1", "how do I return shoes?").await;
    assert_eq!(replies.next().await, plain, "no source says 90 days");
    let sent = server.requests().iter().map(|request| request.body.to_string()).collect::<String>();
    assert!(!sent.contains("13812345678"), "personal data are replaced before anything leaves");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_100_kb_and_hostile_text_are_dealt_with_like_any_other() {
    let mut desk = Desk::open(json!({"bot": {"min_confidence": 0.01}})).await;
    let mut replies = Replies(desk.journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap());
    let hostile = "<script>alert(1)</script> \u{202e}\u{0} \"; DROP TABLE faq; -- [[1]] {{braces}}";
    desk.approved("odd", "How do I return <b>shoes</b>? ' OR 1=1", hostile).await;
    desk.until("return shoes", "found", |answered| answered.is_some()).await;
    desk.says("alice", "1", &format!("how do I return shoes? {}", "退货 shoes \u{1f600} ".repeat(6_000))).await;
    assert!(replies.next().await.contains("<script>"), "a text is a text, whatever stands in it");
    for (number, text) in ["\u{0}\u{feff}\u{200d}", "((((((((", "* OR text:*", "/.*.*.*/"].iter().enumerate() {
        let thread = format!("t{number}");
        desk.says(&thread, "1", text).await;
        replies.next().await;
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_entry_in_another_language_takes_no_answer_away() {
    if models().is_none_or(|dir| !dir.join(ENGLISH_MODEL).is_dir()) {
        eprintln!("SKIPPED: the two models are not there; `scripts/models` fetches them");
        return;
    }
    // Which model is used follows from what the entries say.
    let mut desk = Desk::with(json!({}), Some(""), None).await;
    for number in 0..40 {
        desk.approved(&format!("e{number:02}"), &format!("What is the rule of number {number}?"), "It depends.").await;
    }
    let question = "What is the rule of number 39?";
    let first = |answered: Option<&Answered>| answered.is_some_and(|a| a.candidates.iter().any(|c| c.entry == "e39"));
    desk.until(question, "found", first).await;
    desk.approved("zh", "怎么退货？", "十四天内。").await;
    let told = |answered: Option<&Answered>| {
        answered
            .is_some_and(|a| a.candidates.first().is_some_and(|first| first.entry == "zh" && first.probability > 0.0))
    };
    let looks = async {
        loop {
            let desk = desk.engine().desk();
            let answered = desk.ask("demo", "web", question, &[]).await.unwrap();
            assert!(first(answered.as_ref()), "what was answered before is answered all the time: {answered:?}");
            if told(desk.ask("demo", "web", "退货", &[]).await.unwrap().as_ref()) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.expect("the new entry is found");
    desk.stop().await;
}
