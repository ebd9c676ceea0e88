//! What clients do in one seed's world.

use super::{
    aggregates::{Account, MENDED, POISONED_AMOUNT, POISONS, Thread},
    corpus,
    ledger::{Label, Ledger},
    profile::Profile,
    rng::Rng,
};
use bytes::Bytes;
use kefu::{
    aggregate::{
        TenantConfig,
        kind::{KindOf, Kinds},
    },
    runtime::Tenants,
};
use kefu_events::{
    Content, Inbound, Sender, Timestamp,
    key::{contact_key, conversation_key},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

pub const TENANT: &str = "t";
pub const CHANNEL: &str = "web";

/// A message that an adapter is going to publish.
#[derive(Debug, Clone)]
pub struct Message {
    pub channel: String,
    pub key: String,
    pub id: String,
    pub payload: Bytes,
    pub label: Label,
}

impl Message {
    pub fn cause(&self) -> Option<String> {
        (self.label == Label::Good).then(|| format!("{TENANT}/{}/{}/{}", self.channel, self.key, self.id))
    }
}

/// A command that somebody is going to publish.
#[derive(Debug, Clone)]
pub struct Request {
    pub source: String,
    pub key: String,
    pub id: String,
    pub payload: Bytes,
    pub label: Label,
}

pub struct Scenario {
    pub kinds: Kinds,
    /// Per thread, in the order in which its adapter publishes.
    pub threads: Vec<VecDeque<Message>>,
    pub requests: VecDeque<Request>,
    /// The tenants' settings, before or after what was wrong with them is mended.
    pub tenants: fn(bool) -> Tenants,
    /// What must hold at the end beside the rest, if power was never lost.
    pub conserved: fn(&Ledger) -> Vec<String>,
}

fn tenants(mended: bool) -> Tenants {
    with_mark(TenantConfig::default(), mended)
}

fn real_tenants(mended: bool) -> Tenants {
    with_mark(kefu::settings::effective(&kefu::settings::demo_settings(), &Default::default()), mended)
}

fn with_mark(mut config: TenantConfig, mended: bool) -> Tenants {
    if mended {
        config.channels.insert(MENDED.to_owned(), Arc::default());
    }
    [(TENANT.to_owned(), Arc::new(config))].into()
}

pub fn request(source: &str, aggregate: &str, key: &str, id: &str, at: i64, body: Value) -> Request {
    let mut command = json!({
        "id": id, "aggregate": aggregate, "key": key, "actor": {"kind": source, "id": "somebody"},
        "at": Timestamp::from_millis(at).to_string(), "v": 1,
    });
    command.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    Request {
        source: source.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
        label: Label::Good,
    }
}

fn message(thread: &str, id: &str, content: Content) -> Message {
    let inbound = Inbound {
        id: id.to_owned(),
        channel: CHANNEL.to_owned(),
        thread: thread.to_owned(),
        sender: Sender { id: format!("of-{thread}"), name: None },
        sent_at: Timestamp::default(),
        content,
        metadata: Default::default(),
    };
    Message {
        channel: CHANNEL.to_owned(),
        key: conversation_key(CHANNEL, thread),
        id: id.to_owned(),
        payload: Bytes::from(serde_json::to_vec(&inbound).unwrap()),
        label: Label::Good,
    }
}

/// Threads that pay into accounts, and agents who note.
pub fn accounts(rng: &mut Rng, profile: &Profile) -> Scenario {
    let accounts: Vec<String> = (0..rng.range(1, 2)).map(|n| contact_key(CHANNEL, &format!("account-{n}"))).collect();
    let number = rng.range(1, 4);
    let mut threads = Vec::new();
    let mut requests = VecDeque::new();
    for t in 0..number {
        let thread = format!("thread-{t}");
        // More than an aggregate remembers by itself, in some worlds.
        let count = if profile.hot { rng.range(30, 60) } else { rng.range(2, 14) };
        let plan = (0..count).map(|m| {
            if rng.chance(profile.malformed) {
                return spoilt(rng, message(&thread, &format!("bad-{t}-{m}"), Content::text("say")));
            }
            let text = match rng.below(12) {
                _ if rng.chance(profile.poison) => (*rng.pick(&POISONS)).to_owned(),
                0..=3 => "say".to_owned(),
                4 => "twice".to_owned(),
                5 => "quiet".to_owned(),
                6 => format!("wait {}", rng.range(1, 3000)),
                7 => "who".to_owned(),
                _ if rng.chance(profile.poison) => format!("pay {} {POISONED_AMOUNT}", rng.pick(&accounts)),
                _ => format!("pay {} {}", rng.pick(&accounts), rng.range(1, 100)),
            };
            message(&thread, &format!("m{m}"), Content::text(text))
        });
        threads.push(plan.collect());
        for r in 0..rng.range(0, count / 2) {
            let key = if rng.chance(8000) { conversation_key(CHANNEL, &thread) } else { rng.pick(&accounts).clone() };
            let aggregate = if accounts.contains(&key) { "contact" } else { "conversation" };
            let mut body = match rng.below(10) {
                _ if rng.chance(profile.poison) => json!({"type": "note", "text": rng.pick(&POISONS)}),
                0 => json!({"type": "note", "text": "no"}),
                1 => json!({"type": "lift_quarantine"}),
                _ => json!({"type": "note", "text": "noted"}),
            };
            if rng.chance(2000) {
                body["expected_version"] = json!(rng.range(0, 10));
            }
            let mut request = request("agent", aggregate, &key, &format!("request-{t}-{r}"), 0, body);
            if rng.chance(profile.malformed) {
                request.payload = Bytes::from_static(b"{\"id\":7}");
                request.label = Label::Malformed;
            }
            requests.push_back(request);
        }
    }
    // Commands of different threads are not sent in the order of threads.
    let mut shuffled = VecDeque::new();
    while !requests.is_empty() {
        shuffled.extend(requests.remove(rng.index(requests.len())));
    }
    let kinds = Kinds::new(vec![KindOf::<Thread>::boxed(), KindOf::<Account>::boxed()]);
    Scenario { kinds, threads, requests: shuffled, tenants, conserved }
}

/// kefu's own conversations, contacts and settings.
pub fn conversations(rng: &mut Rng, profile: &Profile) -> Scenario {
    let number = rng.range(1, 4);
    let count = if profile.hot { rng.range(60, 150) } else { rng.range(5, 50) };
    let mut threads: BTreeMap<String, VecDeque<Message>> = BTreeMap::new();
    let mut requests = VecDeque::new();
    for n in 0..count {
        let (address, body) = corpus::message(rng, n, number);
        let id = body["id"].as_str().unwrap().to_owned();
        let (payload, label) = (Bytes::from(body.to_string()), Label::Good);
        let mut message = Message { channel: address.source, key: address.key, id, payload, label };
        if rng.chance(profile.malformed) {
            message.id = format!("bad-{n}");
            message = spoilt(rng, message);
        }
        threads.entry(message.key.clone()).or_default().push_back(message);
        if rng.chance(6000) {
            let (address, body) = corpus::command(rng, n, number);
            let id = body["id"].as_str().unwrap().to_owned();
            let (payload, label) = (Bytes::from(body.to_string()), Label::Good);
            requests.push_back(Request { source: address.source, key: address.key, id, payload, label });
        }
    }
    let kinds = kefu::engine::kinds();
    Scenario {
        kinds,
        threads: threads.into_values().collect(),
        requests,
        tenants: real_tenants,
        conserved: |_| Vec::new(),
    }
}

fn spoilt(rng: &mut Rng, message: Message) -> Message {
    let mut payload = message.payload.to_vec();
    match rng.below(3) {
        0 => payload.truncate(20),
        1 => payload[2] = 0xff,
        _ => payload = b"{\"id\":\"x\",\"channel\":\"other\"}".to_vec(),
    }
    Message { payload: payload.into(), label: Label::Malformed, ..message }
}

fn conserved(ledger: &Ledger) -> Vec<String> {
    let mut broken = Vec::new();
    let mut sum = 0;
    for (id, cell) in &ledger.fold.cells {
        let state = cell.state();
        sum += state["balance"].as_i64().unwrap();
        if state["twice"] != 0 {
            broken.push(format!("{id}: something was done twice"));
        }
        if state["unconfirmed"].as_array().is_some_and(|payments| !payments.is_empty()) {
            broken.push(format!("{id}: payments were never confirmed: {}", state["unconfirmed"]));
        }
    }
    if sum != 0 {
        broken.push(format!("all balances together are {sum}, not 0"));
    }
    broken
}
