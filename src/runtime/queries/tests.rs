//! Queries about real conversations, contacts and settings.

use super::*;
use crate::{
    agent::Agent,
    aggregate::{
        Context, TenantConfig,
        kind::{Kind, KindOf},
    },
    answering::{Desk, Library, Models},
    archive::Archive,
    contact::Contact,
    faq::entry::Entry,
    runtime::projector::ProjectorState,
    settings::Settings,
    store::{
        DecodedCommit, Folds, StoreWriter,
        tests::{options, traffic::traffic},
    },
};
use kefu_events::{Actor, ActorKind, CommandHeader, Timestamp};
use std::collections::HashMap;
use tempfile::TempDir;

struct Fixture {
    queries: Queries,
    progress: watch::Sender<Progress>,
    writer: StoreWriter,
    kinds: HashMap<AggregateKind, Box<dyn Kind>>,
    cells: HashMap<(AggregateKind, String), Box<dyn crate::aggregate::kind::Cell>>,
    seq: u64,
    _dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let (store, writer) = Store::open(&dir.path().join("store"), &options(), Folds::all(), Vec::new()).unwrap();
        let state = ProjectorState::Following;
        let (progress, shown) =
            watch::channel(Progress { state, projected: 0, end: 0, commits_per_s: 0.0, left_s: None });
        let kinds = [
            (AggregateKind::Contact, KindOf::<Contact>::boxed()),
            (AggregateKind::Settings, KindOf::<Settings>::boxed()),
            (AggregateKind::Agent, KindOf::<Agent>::boxed()),
            (AggregateKind::Faq, KindOf::<Entry>::boxed()),
        ];
        let desk = Desk::new(store.clone(), Library::new(dir.path().join("search"), Models::default()), None);
        let queries = Queries::new(
            store.clone(),
            shown,
            Floors::default(),
            desk,
            Archive::default(),
            Reports::new(store, Default::default()),
            || json!({"name": "test"}),
        );
        Self { queries, progress, writer, kinds: kinds.into(), cells: HashMap::new(), seq: 0, _dir: dir }
    }

    fn feed(&mut self, commits: &[(String, Vec<u8>)]) {
        let folds = self.writer.folds();
        for (subject, payload) in commits {
            self.seq += 1;
            self.writer.fold(&[DecodedCommit::decode(&folds, self.seq, subject, payload).unwrap()]).unwrap();
        }
        self.writer.write().unwrap();
    }

    fn command(&mut self, kind: AggregateKind, key: &str, body: Value) {
        let header = CommandHeader {
            id: format!("command-{}", self.seq),
            aggregate: kind,
            key: key.to_owned(),
            expected_version: None,
            actor: Actor::new(ActorKind::System, "test"),
            at: Timestamp::default(),
            correlation: None,
        };
        let rules = &self.kinds[&kind];
        let input = rules.command(header, 1, body.to_string().as_bytes()).unwrap();
        let cell = self.cells.entry((kind, key.to_owned())).or_insert_with(|| rules.fresh());
        let (commit_id, settings) = (format!("commit-{}", self.seq), TenantConfig::default());
        let context = Context {
            tenant: "acme",
            key,
            version: cell.version(),
            now: Timestamp::from_millis(self.seq as i64 * 1_000),
            commit_id: &commit_id,
            settings: &settings,
            found: &[],
        };
        let decision = cell.decide(&input, &context).unwrap();
        assert_eq!(decision.commit.facts.refusal, None);
        cell.apply(&decision.commit, self.seq + 1);
        self.feed(&[(format!("kefu.events.acme.{kind}.{key}"), decision.payload.to_vec())]);
    }

    fn see(&mut self, sender: &str, attributes: Value) {
        let identity = json!({"channel": "web", "id": sender});
        let body = json!({"type": "see", "v": 1, "identity": identity, "name": sender, "attributes": attributes,
                          "conversation": "c"});
        self.command(AggregateKind::Contact, &contact_key("web", sender), body);
    }

    fn ask(&self, tenant: &str, query: &str, parameters: Value) -> Value {
        match self.queries.answer(tenant, query, parameters.to_string().as_bytes()) {
            QueryResponse::Ok(answer) => answer,
            QueryResponse::Error(error) => panic!("{error}"),
        }
    }

    fn error(&self, tenant: &str, query: &str, parameters: Value) -> String {
        match self.queries.answer(tenant, query, parameters.to_string().as_bytes()) {
            QueryResponse::Ok(answer) => panic!("{answer}"),
            QueryResponse::Error(error) => error.code,
        }
    }
}

#[test]
fn a_conversation_by_key_or_by_thread() {
    let mut fixture = Fixture::new();
    fixture.feed(&traffic(3, 2));
    let key = conversation_key("web", "thread-1");
    let by_key = fixture.ask("acme", name::CONVERSATION, json!({"key": key}));
    let by_thread = fixture.ask("acme", name::CONVERSATION, json!({"channel": "web", "thread": "thread-1"}));
    assert_eq!(by_key, by_thread);
    assert_eq!((&by_key["tenant"], &by_key["version"], &by_key["seq"]), (&json!("acme"), &json!(2), &json!(5)));
    assert_eq!(by_key["state"]["thread"], "thread-1");
    assert_eq!(by_key.get("recent"), None);

    assert_eq!(fixture.error("acme", name::CONVERSATION, json!({"key": "nobody"})), "not_found");
    assert_eq!(fixture.error("other", name::CONVERSATION, json!({"key": key})), "not_found");
    for wrong in
        [json!({}), json!({"channel": "web"}), json!({"key": key, "thread": "x"}), json!({"kay": key}), json!([])]
    {
        assert_eq!(fixture.error("acme", name::CONVERSATION, wrong), "invalid");
    }
}

#[test]
fn conversations_the_last_active_first_in_pages_and_filtered() {
    let mut fixture = Fixture::new();
    fixture.feed(&traffic(30, 2));
    let threads = |answer: &Value| -> Vec<String> {
        let items = answer["items"].as_array().unwrap();
        items.iter().map(|item| item["thread"].as_str().unwrap().to_owned()).collect()
    };
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = fixture.ask("acme", name::CONVERSATIONS, json!({"limit": 7, "after": after}));
        all.extend(threads(&page));
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    let expected: Vec<String> = (0..30).rev().map(|number| format!("thread-{number}")).collect();
    assert_eq!(all, expected);

    let bot = fixture.ask("acme", name::CONVERSATIONS, json!({"phase": "bot", "channel": "web"}));
    assert_eq!(threads(&bot), expected);
    assert_eq!(bot["items"][0]["phase"], "bot");
    for none in [json!({"phase": "closed"}), json!({"channel": "we"}), json!({"agent": "ann"}), json!({"phase": "x"})] {
        assert_eq!(fixture.ask("acme", name::CONVERSATIONS, none), json!({"items": []}));
    }
    for wrong in [json!({"limit": 0}), json!({"limit": 501}), json!({"after": "x"}), json!({"limit": -1})] {
        assert_eq!(fixture.error("acme", name::CONVERSATIONS, wrong), "invalid");
    }
}

#[test]
fn contacts_by_attribute_tag_and_channel() {
    let mut fixture = Fixture::new();
    fixture.see("ann", json!({"email": "Ann@Example.org ", "vip": true}));
    fixture.see("bob", json!({"email": "ann@example.org", "n": 7}));
    fixture.see("eve", json!({"email": "eve@example.org"}));
    fixture.command(
        AggregateKind::Contact,
        &contact_key("web", "eve"),
        json!({"type": "tag", "v": 1, "tags": ["VIP"]}),
    );
    let names = |fixture: &Fixture, parameters: Value| -> Vec<String> {
        let answer = fixture.ask("acme", name::CONTACTS, parameters);
        let items = answer["items"].as_array().unwrap();
        let mut names: Vec<_> = items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&fixture, json!({"attribute": "email", "value": "ann@EXAMPLE.org"})), ["ann", "bob"]);
    assert_eq!(names(&fixture, json!({"attribute": "n", "value": "7"})), ["bob"]);
    assert_eq!(names(&fixture, json!({"attribute": "email", "value": "ann"})), [""; 0]);
    assert_eq!(names(&fixture, json!({"tag": "vip"})), ["eve"]);
    assert_eq!(names(&fixture, json!({"channel": "web"})), ["ann", "bob", "eve"]);
    assert_eq!(names(&fixture, json!({})), ["ann", "bob", "eve"]);
    let mut found = fixture.queries.store.contacts_by_attribute("acme", "email", "ann@example.org").unwrap();
    found.sort();
    let mut keys = ["ann", "bob"].map(|sender| contact_key("web", sender));
    keys.sort();
    assert_eq!(found, keys);

    let (mut all, mut after) = (0, Value::Null);
    for _ in 0..3 {
        let page = fixture.ask("acme", name::CONTACTS, json!({"channel": "web", "limit": 1, "after": after}));
        all += page["items"].as_array().unwrap().len();
        after = page["next"].clone();
    }
    assert_eq!((all, after), (3, Value::Null));
    for wrong in [json!({"attribute": "email"}), json!({"tag": "a", "channel": "b"}), json!({"value": "x"})] {
        assert_eq!(fixture.error("acme", name::CONTACTS, wrong), "invalid");
    }

    // One that became part of another is found by its key only.
    let body = json!({"type": "merge", "v": 1, "into": contact_key("web", "ann")});
    fixture.command(AggregateKind::Contact, &contact_key("web", "bob"), body);
    assert_eq!(names(&fixture, json!({"attribute": "email", "value": "ann@example.org"})), ["ann"]);
    assert_eq!(names(&fixture, json!({})), ["ann", "bob", "eve"]);
    let bob = fixture.ask("acme", name::CONTACT, json!({"channel": "web", "sender": "bob"}));
    assert_eq!(bob["state"]["part_of"]["into"], json!(contact_key("web", "ann")));
    assert_eq!(bob["details"]["name"], "bob");
    assert_eq!(fixture.error("acme", name::CONTACT, json!({"channel": "web", "sender": "nobody"})), "not_found");
}

#[test]
fn agents_by_status_queue_and_skill_with_what_they_have() {
    let mut fixture = Fixture::new();
    let mut tell = |key: &str, body: Value| {
        let mut body = body;
        body["v"] = json!(1);
        fixture.command(AggregateKind::Agent, key, body);
    };
    for (key, queue) in [("ann", "sales"), ("bob", "support"), ("eve", "sales")] {
        tell(key, json!({"type": "register", "name": key.to_uppercase()}));
        tell(key, json!({"type": "set_skills", "skills": {"tax": 2, queue: 1}, "queues": [queue]}));
        tell(key, json!({"type": "set_presence", "online": true}));
    }
    tell("ann", json!({"type": "set_status", "status": "available"}));
    let reserve = json!({"type": "reserve_slot", "reservation": "r1", "conversation": "c1", "session": 1, "weight": 2});
    tell("ann", reserve);
    tell("eve", json!({"type": "remove"}));
    let keys = |parameters: Value| -> Vec<String> {
        let answer = fixture.ask("acme", name::AGENTS, parameters);
        answer["items"].as_array().unwrap().iter().map(|item| item["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(keys(json!({})), ["ann", "bob"]);
    assert_eq!(keys(json!({"status": "available"})), ["ann"]);
    assert_eq!(keys(json!({"status": "offline"})), ["bob"]);
    assert_eq!(keys(json!({"status": "removed"})), ["eve"]);
    assert_eq!(keys(json!({"queue": "sales"})), ["ann"]);
    assert_eq!(keys(json!({"skill": "tax"})), ["ann", "bob"]);
    assert_eq!(keys(json!({"skill": "no such thing"})), [""; 0]);
    let first = fixture.ask("acme", name::AGENTS, json!({"limit": 1}));
    let second = fixture.ask("acme", name::AGENTS, json!({"limit": 1, "after": first["next"]}));
    assert_eq!((&second["items"][0]["key"], second.get("next")), (&json!("bob"), None));

    let ann = &first["items"][0];
    assert_eq!((&ann["in_use"], &ann["slots"], &ann["online"]), (&json!(2), &json!(3), &json!(true)));
    let held = &ann["held"]["r1"];
    assert_eq!((&held["conversation"], &held["weight"], &held["phase"]), (&json!("c1"), &json!(2), &json!("reserved")));
    let one = fixture.ask("acme", name::AGENT, json!({"id": "ann"}));
    assert_eq!(one, fixture.ask("acme", name::AGENT, json!({"key": "ann"})));
    assert_eq!((&one["state"]["name"], &one["in_use"]), (&json!("ANN"), &json!(2)));
    assert_eq!(fixture.error("acme", name::AGENT, json!({"id": "nobody"})), "not_found");
    for wrong in [json!({"status": "away", "queue": "sales"}), json!({"limit": 0}), json!({"name": "ann"})] {
        assert_eq!(fixture.error("acme", name::AGENTS, wrong), "invalid");
    }
    assert_eq!(fixture.error("acme", name::AGENT, json!({})), "invalid");
}

#[test]
fn entries_are_found_by_what_they_say_whatever_their_status() {
    let mut fixture = Fixture::new();
    let draft = |question: &str, similar: &str, answer: &str, language: &str| {
        let content = json!({"question": question, "similar": [similar], "answer": answer, "language": language});
        json!({"type": "draft", "v": 1, "content": content})
    };
    let entries = [
        ("returns", draft("Can I return shoes?", "send it back", "Within 14 days.", "en")),
        ("refunds", draft("When do I get my money?", "refund", "After the return has come in.", "en")),
        ("退货", draft("如何申請退貨？", "不想要了", "请在订单页申请。", "zh")),
    ];
    for (key, body) in entries {
        fixture.command(AggregateKind::Faq, key, body);
    }
    fixture.command(AggregateKind::Faq, "refunds", json!({"type": "approve", "v": 1, "entry_version": 1}));
    let found = |asked: Value| -> Vec<(String, String)> {
        let answer = fixture.ask("acme", name::SEARCH_ENTRIES, asked);
        let items = answer["items"].as_array().unwrap();
        assert!(answer["total"].as_u64().unwrap() >= items.len() as u64);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        items.iter().map(|item| (text(&item["id"]), text(&item["found_in"]))).collect()
    };
    let one = |id: &str, place: &str| (id.to_owned(), place.to_owned());
    assert_eq!(found(json!({"text": "Return"})), [one("returns", "question"), one("refunds", "answer")]);
    assert_eq!(found(json!({"text": "return", "status": "approved"})), [one("refunds", "answer")]);
    assert_eq!(found(json!({"text": "return", "waiting": true})), [one("returns", "question")]);
    assert_eq!(found(json!({"text": "return", "limit": 1, "offset": 1})), [one("refunds", "answer")]);
    assert_eq!(found(json!({"text": "退货"})), [one("退货", "question")]);
    assert_eq!(found(json!({"text": "refu"})), [one("refunds", "similar")]);
    assert_eq!(found(json!({"text": "money refund"})).len(), 1, "in two places");
    assert!(found(json!({"text": "return", "language": "zh"})).is_empty());
    assert!(found(json!({"text": "return tomorrow"})).is_empty());
    assert_eq!(fixture.ask("other", name::SEARCH_ENTRIES, json!({"text": "return"}))["total"], 0);
    for wrong in [json!({}), json!({"text": "  "}), json!({"text": "a", "limit": 0})] {
        assert_eq!(fixture.error("acme", name::SEARCH_ENTRIES, wrong), "invalid");
    }
}

#[test]
fn settings_with_their_earlier_versions() {
    let mut fixture = Fixture::new();
    let set = |value: Value| json!({"type": "set", "v": 1, "value": value});
    fixture.command(AggregateKind::Settings, "tenant", set(json!({"name": "Acme"})));
    fixture.command(AggregateKind::Settings, "tenant", set(json!({"name": "Acme Ltd"})));
    fixture.command(AggregateKind::Settings, "channel-web", set(json!({"wrap_up_s": 5})));
    let document = fixture.ask("acme", name::SETTINGS, json!({"document": "tenant"}));
    assert_eq!((&document["value"]["name"], &document["document_version"]), (&json!("Acme Ltd"), &json!(2)));
    assert_eq!(document["history"][0]["value"]["name"], "Acme");
    assert_eq!(fixture.error("acme", name::SETTINGS, json!({"document": "channel-x"})), "not_found");
    assert_eq!(fixture.ask("acme", name::DOCUMENTS, json!({})), json!({"items": ["channel-web", "tenant"]}));
    assert_eq!(fixture.error("other", name::DOCUMENTS, json!({})), "not_found");
    let tenants = fixture.ask("_all", name::TENANTS, json!({}));
    assert_eq!(tenants, json!({"items": [{"tenant": "acme", "name": "Acme Ltd", "channels": ["web"]}]}));
}

#[test]
fn a_node_that_is_behind_says_so_and_tells_its_status() {
    let mut fixture = Fixture::new();
    fixture.feed(&traffic(1, 1));
    fixture.progress.send_modify(|progress| progress.state = ProjectorState::Rebuilding);
    assert_eq!(fixture.error("acme", name::CONVERSATIONS, json!({})), "not_ready");
    let status = fixture.ask("_all", name::STATUS, json!({}));
    assert_eq!((&status["ready"], &status["node"]["name"]), (&json!(false), &json!("test")));
    assert_eq!(status["projections"][0]["seq"], 1);
    fixture.progress.send_modify(|progress| progress.state = ProjectorState::Following);
    assert_eq!(fixture.error("acme", "invented", json!({})), "unknown_query");
    assert!(matches!(fixture.queries.answer("acme", name::CONVERSATIONS, b""), QueryResponse::Ok(_)));
    assert!(matches!(fixture.queries.answer("acme", name::CONVERSATIONS, b"{"), QueryResponse::Error(_)));
}
