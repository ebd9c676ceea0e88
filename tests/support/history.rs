//! Logs of real traffic in its own time: what the real state machines decide when messages, clicks and deadlines come at the
//! moments that the data says. No clock, no bus: a day of a contact centre takes a second.

use kefu::{
    aggregate::{
        Context, Effect, TenantConfig,
        kind::{Cell, Kinds, ParsedInput},
    },
    engine,
    settings::effective,
};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, Content, Inbound, Sender, Timestamp,
    key::{contact_key, conversation_key},
};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::{Path, PathBuf},
};

type Id = (AggregateKind, String);

/// A tenant's traffic as it goes on.
pub struct History {
    tenant: String,
    kinds: Kinds,
    cells: HashMap<Id, Box<dyn Cell>>,
    /// The deadlines of each, and all of them by time.
    deadlines: HashMap<Id, Vec<(Timestamp, &'static str)>>,
    due: BTreeSet<(Timestamp, u8, String, &'static str)>,
    documents: BTreeMap<String, Value>,
    config: TenantConfig,
    now: Timestamp,
    under_way: VecDeque<(AggregateKind, String, Actor, Value)>,
    inputs: u64,
    /// Subjects and commits.
    pub log: Vec<(String, Vec<u8>)>,
    /// Commands that were refused, with why: data that contradicts itself.
    pub refused: Vec<String>,
}

impl History {
    /// A new tenant with these settings, at this moment.
    pub fn new(tenant: &str, settings: &Value, now: Timestamp) -> Self {
        let mut history = Self {
            tenant: tenant.to_owned(),
            kinds: engine::kinds(),
            cells: HashMap::new(),
            deadlines: HashMap::new(),
            due: BTreeSet::new(),
            documents: BTreeMap::new(),
            config: TenantConfig::default(),
            now,
            under_way: VecDeque::new(),
            inputs: 0,
            log: Vec::new(),
            refused: Vec::new(),
        };
        history.set("tenant", settings);
        history
    }

    /// Sets a document.
    pub fn set(&mut self, document: &str, value: &Value) {
        self.system(AggregateKind::Settings, document, json!({"type": "set", "value": value}));
        self.documents.insert(document.to_owned(), value.clone());
        let mut others = self.documents.clone();
        let tenant = others.remove("tenant").unwrap_or_else(|| json!({}));
        self.config = effective(&tenant, &others);
    }

    /// Lets time pass, deadlines firing as they come.
    pub fn until(&mut self, at: Timestamp) {
        let mut fired = 0;
        while let Some(first) = self.due.first().filter(|(due, ..)| *due <= at).cloned() {
            let (due, kind, key, timer) = first.clone();
            self.due.remove(&first);
            fired += 1;
            assert!(fired < 100_000, "{kind:?} {key}: the deadline {timer} of {due} fires without end");
            self.now = self.now.max(due);
            let kind = AggregateKind::ALL[usize::from(kind)];
            let header = self.header(kind, &key, Actor::new(ActorKind::Timer, timer));
            if let Some(payload) = self.kinds.get(kind).and_then(|kind| kind.timer_command(header, timer, due)) {
                let body: Value = serde_json::from_slice(&payload).unwrap();
                self.under_way.push_back((kind, key, Actor::new(ActorKind::Timer, timer), body));
                self.settle();
            }
        }
        self.now = self.now.max(at);
    }

    /// The state of a conversation.
    pub fn state(&self, channel: &str, thread: &str) -> Value {
        let id = (AggregateKind::Conversation, conversation_key(channel, thread));
        self.cells.get(&id).map_or(Value::Null, |cell| cell.state())
    }

    /// A customer's message.
    pub fn says(&mut self, channel: &str, thread: &str, content: Content) {
        let key = conversation_key(channel, thread);
        self.inputs += 1;
        let id = format!("m-{}", self.inputs);
        let message = Inbound {
            id: id.clone(),
            channel: channel.to_owned(),
            thread: thread.to_owned(),
            sender: Sender { id: thread.to_owned(), name: Some(format!("Customer {thread}")) },
            sent_at: self.now,
            content,
            metadata: Map::new(),
        };
        let actor = Actor::new(ActorKind::Customer, contact_key(channel, thread));
        let cause = format!("{}/{channel}/{key}/{id}", self.tenant);
        let input = self.kinds.for_messages().expect("a kind").message(cause, self.inputs, actor, message);
        self.decide(AggregateKind::Conversation, &key, &input);
        self.settle();
    }

    /// A command to a conversation, from this actor.
    pub fn asks(&mut self, channel: &str, thread: &str, actor: Actor, body: Value) {
        self.under_way.push_back((AggregateKind::Conversation, conversation_key(channel, thread), actor, body));
        self.settle();
    }

    /// A command of kefu's own.
    pub fn system(&mut self, kind: AggregateKind, key: &str, body: Value) {
        self.under_way.push_back((kind, key.to_owned(), Actor::new(ActorKind::System, "operator"), body));
        self.settle();
    }

    /// An agent, ready for work.
    pub fn staffs(&mut self, agent: &str, slots: u32) {
        let bodies = [
            json!({"type": "register", "name": agent}),
            json!({"type": "set_capacity", "slots": slots}),
            json!({"type": "set_presence", "online": true}),
            json!({"type": "set_status", "status": "available"}),
        ];
        bodies.into_iter().for_each(|body| self.system(AggregateKind::Agent, agent, body));
    }

    /// The scheduler's part: reserves the agent's slot, which leads to the offer.
    pub fn offers(&mut self, channel: &str, thread: &str, agent: &str, skills: &[&str]) {
        let session = self.state(channel, thread)["session"]["number"].as_u64().unwrap_or(1);
        let body = json!({
            "type": "reserve_slot",
            "reservation": format!("r-{}", self.inputs),
            "conversation": conversation_key(channel, thread),
            "session": session,
            "weight": 1,
            "practice": {"skills": skills, "half_life_days": 30.0},
        });
        self.under_way.push_back((
            AggregateKind::Agent,
            agent.to_owned(),
            Actor::new(ActorKind::Scheduler, "scheduler"),
            body,
        ));
        self.settle();
    }

    fn header(&mut self, kind: AggregateKind, key: &str, actor: Actor) -> CommandHeader {
        self.inputs += 1;
        CommandHeader {
            id: format!("{}-c-{}", self.tenant, self.inputs),
            aggregate: kind,
            key: key.to_owned(),
            expected_version: None,
            actor,
            at: self.now,
            correlation: None,
        }
    }

    fn settle(&mut self) {
        while let Some((kind, key, actor, mut body)) = self.under_way.pop_front() {
            let Some(of_kind) = self.kinds.get(kind) else { continue };
            if body.get("v").is_none() {
                body["v"] = json!(1);
            }
            let payload = body.to_string().into_bytes();
            let kinds = self.kinds.clone();
            let _ = of_kind;
            let header = self.header(kind, &key, actor);
            let input = kinds.get(kind).expect("a kind").command(header, self.inputs, &payload);
            let input = input.unwrap_or_else(|error| panic!("{body}: {error}"));
            self.decide(kind, &key, &input);
        }
    }

    fn decide(&mut self, kind: AggregateKind, key: &str, input: &ParsedInput) {
        let id = (kind, key.to_owned());
        let mut cell = self.cells.remove(&id).unwrap_or_else(|| self.kinds.get(kind).expect("a kind").fresh());
        let look_ups = cell.look_ups(input, &self.config);
        let found = vec![Vec::new(); look_ups.len()];
        let seq = self.log.len() as u64 + 1;
        let commit_id = format!("{}-{seq:08}", self.tenant);
        let context = Context {
            tenant: &self.tenant,
            key,
            version: cell.version(),
            now: self.now.max(cell.at()),
            commit_id: &commit_id,
            settings: &self.config,
            found: &found,
        };
        let decision = cell.decide(input, &context).unwrap_or_else(|poison| panic!("{poison:?}"));
        if let Some(refusal) = &decision.commit.facts.refusal {
            let what = input.command.as_ref().map_or("message", |command| &command.command_type);
            self.refused.push(format!("{what} of {kind} {key}: {}", refusal.message));
        }
        cell.apply(&decision.commit, seq);
        self.log.push((format!("kefu.events.{}.{kind}.{key}", self.tenant), decision.payload.to_vec()));
        for effect in &decision.commit.effects {
            if let Effect::Command { aggregate, key, body } = effect {
                let actor = Actor::new(ActorKind::System, kind.as_str());
                self.under_way.push_back((*aggregate, key.clone(), actor, body.value()));
            }
        }
        let number = AggregateKind::ALL.iter().position(|known| *known == kind).unwrap_or(0) as u8;
        for (due, timer) in self.deadlines.remove(&id).unwrap_or_default() {
            self.due.remove(&(due, number, key.to_owned(), timer));
        }
        let deadlines: Vec<_> = cell.deadlines().into_iter().map(|deadline| (deadline.due, deadline.timer)).collect();
        self.due.extend(deadlines.iter().map(|(due, timer)| (*due, number, key.to_owned(), *timer)));
        self.deadlines.insert(id.clone(), deadlines);
        self.cells.insert(id, cell);
    }
}

/// The folder of real data, where it is there.
pub fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("KEFU_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// What happens at a moment.
enum Deed {
    Calls { queue: String },
    GivesUp,
    Taken { agent: String, skill: String },
    Says(String),
    Replies { agent: String, text: String },
    Holds(String),
    Resumes(String),
    Transfers { agent: String, queue: String },
    WrapsUp(String),
    Disposes(String),
    Closes(String),
    Rates(u8),
    Rates2 { helpful: bool },
    Answers { entry: Option<&'static str>, confidence: f64 },
}

/// Deeds by time; those of one moment in the order in which they were planned.
#[derive(Default)]
struct Plan(BTreeMap<(Timestamp, usize), (String, String, Deed)>);

impl Plan {
    fn at(&mut self, at: Timestamp, channel: &str, thread: &str, deed: Deed) {
        let number = self.0.len();
        self.0.insert((at, number), (channel.to_owned(), thread.to_owned(), deed));
    }

    fn carry_out(self, history: &mut History) {
        let mut staffed = BTreeSet::new();
        for ((at, _), (channel, thread, deed)) in self.0 {
            history.until(at);
            let (channel, thread) = (channel.as_str(), thread.as_str());
            let agent = |agent: &str| Actor::new(ActorKind::Agent, agent);
            match deed {
                Deed::Calls { queue } => {
                    history.says(channel, thread, Content::text("hello"));
                    let body = json!({"type": "request_handoff", "queue": queue});
                    history.asks(channel, thread, Actor::new(ActorKind::System, "ivr"), body);
                }
                Deed::GivesUp => history.says(channel, thread, Content::Left),
                Deed::Taken { agent: name, skill } => {
                    if staffed.insert(name.clone()) {
                        history.staffs(&name, 20);
                    }
                    history.offers(channel, thread, &name, &[&skill]);
                    history.asks(channel, thread, agent(&name), json!({"type": "accept"}));
                }
                Deed::Says(text) => history.says(channel, thread, Content::text(text)),
                Deed::Replies { agent: name, text } => {
                    let body = json!({"type": "reply", "content": {"kind": "text", "text": text}});
                    history.asks(channel, thread, agent(&name), body);
                }
                Deed::Holds(name) => history.asks(channel, thread, agent(&name), json!({"type": "hold"})),
                Deed::Resumes(name) => history.asks(channel, thread, agent(&name), json!({"type": "resume"})),
                Deed::Transfers { agent: name, queue } => {
                    history.asks(channel, thread, agent(&name), json!({"type": "transfer", "to": {"queue": queue}}));
                }
                Deed::WrapsUp(name) => history.asks(channel, thread, agent(&name), json!({"type": "wrap_up"})),
                Deed::Disposes(name) => {
                    let body = json!({"type": "set_disposition", "code": "solved"});
                    history.asks(channel, thread, agent(&name), body);
                }
                Deed::Closes(name) => history.asks(channel, thread, agent(&name), json!({"type": "close"})),
                Deed::Rates(score) => {
                    let body = json!({"type": "rate_satisfaction", "score": score});
                    history.asks(channel, thread, Actor::new(ActorKind::System, "form"), body);
                }
                Deed::Rates2 { helpful } => {
                    let state = history.state(channel, thread);
                    if let Some(request) = state["rateable"][0]["request"].as_str() {
                        let body = json!({"type": "rate_answer", "request": request, "helpful": helpful});
                        history.asks(channel, thread, Actor::new(ActorKind::System, "form"), body);
                    }
                }
                Deed::Answers { entry, confidence } => {
                    let state = history.state(channel, thread);
                    let Some(request) = state["session"]["phase"]["bot"]["asked"]["request"].as_str() else { continue };
                    let body = match entry {
                        Some(entry) => json!({
                            "type": "give_answer", "request": request, "confidence": confidence,
                            "content": {"kind": "text", "text": "here you are"}, "sources": [{"entry": entry}],
                        }),
                        None => {
                            json!({"type": "decline_answer", "request": request, "reason": "not_confident", "confidence": confidence})
                        }
                    };
                    history.asks(channel, thread, Actor::new(ActorKind::Bot, "faq"), body);
                }
            }
        }
    }
}

/// Calls of a real contact centre (`agents/technion_calls_1999_01.dev.csv`): those of one day, as conversations at the seconds
/// at which they came, were taken, given up and ended. What the data does not have (holds, transfers, messages, ratings, people who
/// come back) is added by rules on the row's number, so that every figure has something to count.
pub fn technion(data: &Path, tenant: &str, day: &str) -> History {
    let mut rows = csv::Reader::from_path(data.join("agents/technion_calls_1999_01.dev.csv")).expect("the calls");
    let start: Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
    let settings = json!({
        "name": "Bank", "time_zone": "Asia/Jerusalem",
        "queues": ["PS", "NW", "NE", "TT", "IN", "PE", "back-office"],
        "hours": {"sunday": ["08:00-16:00"], "monday": ["08:00-16:00"], "tuesday": ["08:00-16:00"],
                  "wednesday": ["08:00-16:00"], "thursday": ["08:00-16:00"]},
        "offer_timeout_s": 600, "wrap_up_s": 600,
    });
    let mut history = History::new(tenant, &settings, start);
    history.set("scheduling", &json!({"queues": {"NW": {"target": {"percent": 80.0, "within_s": 60.0}}}}));
    let mut plan = Plan::default();
    let mut number = 0usize;
    for row in rows.records().map(|row| row.expect("a call")) {
        let field = |at: usize| row.get(at).unwrap_or_default();
        if !field(0).starts_with(day) || field(3) == "PHANTOM" {
            continue;
        }
        number += 1;
        let seconds = |at: usize| field(at).parse::<i64>().unwrap_or(0);
        let arrival: Timestamp = format!("{}Z", field(0)).parse().expect("a time");
        let called = arrival.plus_seconds(seconds(4));
        let queue = field(1).to_owned();
        // Every ninth customer is one who has been there: the same thread.
        let thread = format!("call-{}", if number.is_multiple_of(9) { number - 8 } else { number });
        let thread = thread.as_str();
        let channel = if number.is_multiple_of(4) { "app" } else { "phone" };
        let left = called.plus_seconds(seconds(5));
        plan.at(called, channel, thread, Deed::Calls { queue: queue.clone() });
        if field(3) != "AGENT" {
            plan.at(left, channel, thread, Deed::GivesUp);
            continue;
        }
        let agent = if field(7).is_empty() { "somebody" } else { field(7) };
        let agent = agent.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let (taken, service) = (left, seconds(6));
        let ends = taken.plus_seconds(service);
        plan.at(taken, channel, thread, Deed::Taken { agent: agent.clone(), skill: queue.clone() });
        if !number.is_multiple_of(3) {
            let replies = |text: &str| Deed::Replies { agent: agent.clone(), text: text.to_owned() };
            plan.at(taken.plus_seconds(service / 4), channel, thread, replies("Good morning"));
            plan.at(taken.plus_seconds(service / 3), channel, thread, Deed::Says("it is about my account".to_owned()));
            plan.at(taken.plus_seconds(service / 2), channel, thread, replies("One moment"));
        }
        if number.is_multiple_of(7) {
            plan.at(taken.plus_seconds(service / 2), channel, thread, Deed::Holds(agent.clone()));
            plan.at(taken.plus_seconds(service * 3 / 4), channel, thread, Deed::Resumes(agent.clone()));
        }
        let mut last = agent.clone();
        let mut end = ends;
        if number.is_multiple_of(11) {
            "back-office".clone_into(&mut last);
            plan.at(ends, channel, thread, Deed::Transfers { agent, queue: "back-office".to_owned() });
            plan.at(
                ends.plus_seconds(45),
                channel,
                thread,
                Deed::Taken { agent: last.clone(), skill: "papers".to_owned() },
            );
            end = ends.plus_seconds(200);
        }
        plan.at(end, channel, thread, Deed::WrapsUp(last.clone()));
        plan.at(end.plus_seconds(20), channel, thread, Deed::Disposes(last.clone()));
        plan.at(end.plus_seconds(25), channel, thread, Deed::Closes(last));
        if number.is_multiple_of(5) {
            plan.at(end.plus_seconds(3_000), channel, thread, Deed::Rates((number / 5 % 5) as u8 + 1));
        }
    }
    plan.carry_out(&mut history);
    // Everybody goes home.
    let next = start.plus_seconds(36 * 3_600);
    history.until(next);
    let agents: Vec<String> =
        history.cells.keys().filter(|(kind, _)| *kind == AggregateKind::Agent).map(|(_, key)| key.clone()).collect();
    let mut agents = agents;
    agents.sort();
    for agent in agents {
        history.system(AggregateKind::Agent, &agent, json!({"type": "set_status", "status": "offline"}));
    }
    history
}

/// Real chats with the seconds at which they were written (`dialog/star_en.dev.jsonl`), two minutes after one another, with a bot
/// in front: every fourth is answered by it, every eighth is asked something it cannot answer and given up.
pub fn star(data: &Path, tenant: &str, count: usize) -> History {
    let text = std::fs::read_to_string(data.join("dialog/star_en.dev.jsonl")).expect("the chats");
    let start: Timestamp = "2026-03-02T06:00:00Z".parse().unwrap();
    let settings = json!({
        "name": "Service", "time_zone": "Europe/Berlin", "queues": ["chat"], "offer_timeout_s": 600, "wrap_up_s": 600,
        "bot": {"answer_deadline_s": 60}, "inactivity": {"prompt_after_s": 900, "close_after_s": 300},
    });
    let mut history = History::new(tenant, &settings, start);
    for (entry, category) in [("opening-hours", Some("general")), ("refund", Some("money")), ("trip", None)] {
        let content = json!({
            "question": entry, "answer": "…", "language": "en", "category": category,
        });
        history.system(AggregateKind::Faq, entry, json!({"type": "draft", "content": content}));
    }
    let mut plan = Plan::default();
    for (number, line) in text.lines().take(count).enumerate() {
        let chat: Value = serde_json::from_str(line).expect("a chat");
        let thread = format!("chat-{number}");
        let begin = start.plus_seconds(number as i64 * 120);
        let agent = format!("worker_{}", number % 17);
        let turns = chat["turns"].as_array().expect("turns");
        let at = |turn: &Value| begin.plus_seconds(turn["offset_s"].as_i64().unwrap_or(0));
        let mut taken = false;
        let mut last = begin;
        for turn in turns {
            let text = turn["text"].as_str().unwrap_or_default().to_owned();
            last = last.max(at(turn));
            if turn["speaker"] == "customer" {
                plan.at(last, "web", &thread, Deed::Says(text));
                if !taken {
                    let confidence = 0.5 + (number % 50) as f64 / 100.0;
                    let entry = ["opening-hours", "refund", "trip"][number % 3];
                    if number.is_multiple_of(4) {
                        plan.at(last.plus_seconds(2), "web", &thread, Deed::Answers { entry: Some(entry), confidence });
                        plan.at(last.plus_seconds(60), "web", &thread, Deed::Rates2 { helpful: number % 8 == 0 });
                        break;
                    }
                    plan.at(last.plus_seconds(3), "web", &thread, Deed::Answers { entry: None, confidence: 0.1 });
                    if number % 8 == 1 {
                        plan.at(last.plus_seconds(2 + number as i64 % 9), "web", &thread, Deed::GivesUp);
                        break;
                    }
                    plan.at(
                        last.plus_seconds(8),
                        "web",
                        &thread,
                        Deed::Taken { agent: agent.clone(), skill: "english".to_owned() },
                    );
                    last = last.plus_seconds(8);
                    taken = true;
                }
            } else if taken {
                plan.at(last, "web", &thread, Deed::Replies { agent: agent.clone(), text });
            }
        }
        if taken {
            plan.at(last.plus_seconds(5), "web", &thread, Deed::WrapsUp(agent.clone()));
            plan.at(last.plus_seconds(15), "web", &thread, Deed::Closes(agent));
            if number.is_multiple_of(3) {
                plan.at(last.plus_seconds(60), "web", &thread, Deed::Rates((number % 5) as u8 + 1));
            }
        }
    }
    plan.carry_out(&mut history);
    let end = history.now.plus_seconds(7_200);
    history.until(end);
    history
}
