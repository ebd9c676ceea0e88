//! From hand-off to offer, through a real kefu: a conversation is queued, the scheduler decides, the agent's slot is
//! reserved, the conversation is offered. Agents take every offer and end it at once, so that slots come back.
//!
//! Both moments are those at which a reader of the log gets the commits, as an agent's workstation does. Beside it stands
//! what one publish into the work queue takes in the same run: the offer is four such steps behind the hand-off.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits, TENANT},
    load::histogram,
    report,
};
use bytes::Bytes;
use clap::Args;
use futures::StreamExt;
use hdrhistogram::Histogram;
use kefu::journal::{Journal, NatsJournal, Outgoing};
use kefu_events::key::conversation_key;
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};

const CHANNEL: &str = "web";
/// The bus answers in milliseconds; past this something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct Options {
    /// Hand-offs per second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Seconds of load
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Agents, with four slots each
    #[arg(long, default_value_t = 300)]
    agents: usize,
    /// For one minute's arrivals in three seconds after that, as a burst: factor of the rate (0: no burst)
    #[arg(long, default_value_t = 20.0)]
    burst: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { rate: 500.0, seconds: 20, agents: 300, burst: 20.0 }
    }
}

/// What the reader of the log has seen.
struct Seen {
    queued: HashMap<String, Instant>,
    offer_us: Histogram<u64>,
    offers: u64,
    repeated: u64,
    closed: u64,
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    let none = json!({"prompt_after_s": 0, "close_after_s": 0});
    let texts = json!({"welcome": "", "handoff": "", "accepted": "", "satisfaction_request": ""});
    let document = json!({"name": "Bench", "texts": texts, "bot": {"enabled": false}, "inactivity": none,
        "satisfaction": {"enabled": false}, "queues": ["q"]});
    engine.set_tenant(&bus, document).await?;
    hire(&bus.journal, options.agents).await?;
    world.progress.say(format!("{} agents are there", options.agents));

    let seen = Arc::new(Mutex::new(Seen {
        queued: HashMap::new(),
        offer_us: histogram()?,
        offers: 0,
        repeated: 0,
        closed: 0,
    }));
    let working = tokio::spawn(work(bus.journal.clone(), Arc::clone(&seen)));
    let mut publish_us = histogram()?;

    // The first seconds warm everything up and are not counted.
    let warm = hand_off(&bus.journal, 0, options.rate, Duration::from_secs(3), &mut publish_us).await?;
    until_closed(&seen, warm).await?;
    lock(&seen).offer_us.reset();
    publish_us.reset();
    let all = hand_off(&bus.journal, warm, options.rate, Duration::from_secs(options.seconds), &mut publish_us).await?;
    until_closed(&seen, all).await?;
    let offer = quantiles(&lock(&seen).offer_us);
    let offers = lock(&seen).offers;
    world.progress.say(format!("hand-off to offer: {offer}"));

    let mut burst = Value::Null;
    if options.burst > 0.0 {
        lock(&seen).offer_us.reset();
        let began = Instant::now();
        let rate = options.rate * options.burst;
        let mut ignored = histogram()?;
        let after = hand_off(&bus.journal, all, rate, Duration::from_secs(3), &mut ignored).await?;
        let published = began.elapsed();
        until_closed(&seen, after).await?;
        let state = lock(&seen);
        burst = json!({
            "conversations": after - all,
            "published_in_s": report::rounded(published.as_secs_f64()),
            "all_ended_after_s": report::rounded(began.elapsed().as_secs_f64()),
            "hand_off_to_offer_ms": quantiles(&state.offer_us),
            "offered_twice": state.repeated,
        });
        world.progress.say(format!("burst: {burst}"));
    }
    working.abort();
    let p99 = offer["p99"].as_f64().unwrap_or_default();
    let inputs = engine.metric("kefu_inputs_total").await?;
    engine.stop().await?;
    bus.stop().await;
    Ok(json!({
        "rate": options.rate,
        "agents": options.agents,
        "conversations": all,
        "offers": offers,
        "hand_off_to_offer_ms": offer,
        "publish_ms": quantiles(&publish_us),
        "inputs": inputs,
        "burst": burst,
        "goals": [report::at_most("hand-off to offer, p99, ms", p99, 20.0)],
    }))
}

/// Everybody registers, is there, and is available.
async fn hire(journal: &NatsJournal, agents: usize) -> Result<()> {
    let mut hiring = JoinSet::new();
    for agent in (0..agents).map(|n| format!("agent{n}")) {
        let journal = journal.clone();
        hiring.spawn(async move {
            let commands = [
                json!({"type": "register", "name": agent}),
                json!({"type": "set_skills", "queues": ["q"]}),
                json!({"type": "set_capacity", "slots": 4}),
                json!({"type": "set_presence", "online": true}),
                json!({"type": "set_status", "status": "available"}),
            ];
            for (n, body) in commands.into_iter().enumerate() {
                let command = command("agent", &agent, &format!("hire-{agent}-{n}"), ("system", "bench"), body);
                let answer = journal.request_command(command, PATIENCE).await;
                answer.map_err(|error| error.to_string())?.ok_or("no answer")?;
            }
            Ok::<(), String>(())
        });
    }
    while let Some(hired) = hiring.join_next().await {
        hired??;
    }
    Ok(())
}

/// Customers who want a person, each in a conversation of its own; how many there were in all.
async fn hand_off(
    journal: &NatsJournal,
    from: u64,
    rate: f64,
    duration: Duration,
    publish_us: &mut Histogram<u64>,
) -> Result<u64> {
    let count = (rate * duration.as_secs_f64()).ceil() as u64;
    let began = Instant::now();
    let mut publishing = JoinSet::new();
    for n in 0..count {
        let due = began + Duration::from_secs_f64(n as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let (journal, thread) = (journal.clone(), format!("customer-{}", from + n));
        publishing.spawn(async move {
            let key = conversation_key(CHANNEL, &thread);
            let body = json!({"id": "1", "channel": CHANNEL, "thread": thread, "sender": {"id": thread},
                "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "Where is my order?"}});
            let began = Instant::now();
            let done = journal.publish_inbound(TENANT, CHANNEL, &key, "1", Bytes::from(body.to_string())).await;
            done.map(|_| began.elapsed())
        });
    }
    while let Some(published) = publishing.join_next().await {
        publish_us.saturating_record(published??.as_micros() as u64);
    }
    Ok(from + count)
}

/// The agents: take what they are offered, and end it.
async fn work(journal: NatsJournal, seen: Arc<Mutex<Seen>>) -> Result<()> {
    let (send, orders) = mpsc::unbounded_channel::<Outgoing>();
    let sender = journal.clone();
    let sending = futures::stream::unfold(orders, |mut orders| async move { Some((orders.recv().await?, orders)) });
    tokio::spawn(sending.for_each_concurrent(256, move |order| {
        let journal = sender.clone();
        async move {
            while journal.publish(order.clone()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }));
    let filter = journal.subjects().events(TENANT, "conversation", "*");
    let mut log = journal.tail(0, Some(filter)).await?;
    while let Some(commit) = log.next().await {
        let commit = commit?;
        let now = Instant::now();
        let commit: Value = serde_json::from_slice(&commit.payload)?;
        let key = commit["key"].as_str().unwrap_or_default();
        for event in commit["events"].as_array().into_iter().flatten() {
            let id = || format!("{}-answer", commit["commit_id"].as_str().unwrap_or_default());
            let agent = event["agent"].as_str().unwrap_or_default();
            let mut seen = lock(&seen);
            match event["type"].as_str().unwrap_or_default() {
                "queued" => drop(seen.queued.insert(key.to_owned(), now)),
                "offer_made" => {
                    match seen.queued.remove(key) {
                        Some(since) => seen.offer_us.saturating_record((now - since).as_micros() as u64),
                        None => seen.repeated += 1,
                    }
                    seen.offers += 1;
                    let body = json!({"type": "accept", "offer": event["offer"]});
                    send.send(command("conversation", key, &id(), ("agent", agent), body))?;
                }
                "offer_accepted" => {
                    send.send(command("conversation", key, &id(), ("agent", agent), json!({"type": "close"})))?;
                }
                "session_closed" => seen.closed += 1,
                _ => {}
            }
        }
    }
    Err("the log ended".into())
}

async fn until_closed(seen: &Mutex<Seen>, count: u64) -> Result<()> {
    let mut last = (0, Instant::now());
    loop {
        let closed = lock(seen).closed;
        if closed >= count {
            return Ok(());
        }
        if closed > last.0 {
            last = (closed, Instant::now());
        }
        if last.1.elapsed() > PATIENCE {
            return Err(format!("only {closed} of {count} conversations ended, and nothing goes on").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn command(aggregate: &str, key: &str, id: &str, actor: (&str, &str), body: Value) -> Outgoing {
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": actor.0, "id": actor.1}, "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().into_iter().flatten() {
        command[name] = value.clone();
    }
    Outgoing::Command {
        tenant: TENANT.to_owned(),
        source: actor.0.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
    }
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let ms = |quantile: f64| report::rounded(histogram.value_at_quantile(quantile) as f64 / 1000.0);
    json!({"p50": ms(0.5), "p99": ms(0.99), "max": report::rounded(histogram.max() as f64 / 1000.0)})
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
