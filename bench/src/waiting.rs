//! How long a scheduler takes to know everybody who waits, out of RocksDB, and what that takes in memory.
//!
//! Conversations are handed off for which nobody is there, so that all of them wait. Then kefu is stopped and started again
//! on the same store: timed from the process's start until it answers queries, and until the query `queues` counts all
//! that wait. Memory is the process's, without what RocksDB holds as kefu's own metric says, beside the same kefu
//! started on a store in which nobody waits.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits, TENANT},
    load::Load,
    report,
};
use clap::Args;
use kefu_events::query::name;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Messages under way while the line grows.
const WINDOW: usize = 1_000;
/// One contact has this many conversations: contacts do not count here.
const CONVERSATIONS_OF_ONE: usize = 100;
/// Past this something is broken.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub struct Options {
    /// Conversations that wait
    #[arg(long, default_value_t = 100_000)]
    conversations: usize,
    /// Starts that are timed; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { conversations: 100_000, rounds: 5 }
    }
}

/// One start.
struct Start {
    ready: Duration,
    known: Duration,
    bytes: u64,
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    let none = json!({"prompt_after_s": 0, "close_after_s": 0});
    let texts = json!({"welcome": "", "handoff": "One moment, please."});
    let document =
        json!({"name": "Bench", "texts": texts, "bot": {"enabled": false}, "inactivity": none, "queues": ["q"]});
    engine.set_tenant(&bus, document).await?;
    bus.rest().await?;
    engine.stop().await?;
    let empty = starts(world, &bus, 0, options.rounds).await?;

    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    let mut load = Load::new(&bus, options.conversations, options.conversations.div_ceil(CONVERSATIONS_OF_ONE)).await?;
    load.open_all(WINDOW).await?;
    bus.rest().await?;
    drop(load);
    engine.stop().await?;
    world.progress.say(format!("{} wait", options.conversations));
    let full = starts(world, &bus, options.conversations as u64, options.rounds).await?;
    bus.stop().await;

    let median = |starts: &[Start], of: fn(&Start) -> f64| report::median(&starts.iter().map(of).collect::<Vec<_>>());
    let known = |starts: &[Start]| median(starts, |start| start.known.as_secs_f64());
    let bytes = |starts: &[Start]| median(starts, |start| start.bytes as f64);
    let shown = |starts: &[Start]| {
        json!({
            "ready_s": report::rounded(median(starts, |start| start.ready.as_secs_f64())),
            "all_known_s": report::rounded(known(starts)),
            "bytes_without_store": bytes(starts),
        })
    };
    let each = (bytes(&full) - bytes(&empty)) / options.conversations as f64;
    Ok(json!({
        "conversations": options.conversations,
        "nobody_waits": shown(&empty),
        "all_wait": shown(&full),
        "longer_by_s": report::rounded(known(&full) - known(&empty)),
        "bytes_per_waiting": report::rounded(each),
    }))
}

/// Starts kefu again and again, each time until it knows that so many wait.
async fn starts(world: &World, bus: &Bus, waiting: u64, rounds: usize) -> Result<Vec<Start>> {
    let client = bus.login().connect("bench waiting").await?;
    let mut starts = Vec::new();
    for _ in 0..rounds {
        let engine = Engine::start(world, bus, &Limits::default()).await?;
        let (ready, began) = (engine.ready_after, Instant::now());
        while count(&client, &bus.journal.subjects().query(TENANT, name::QUEUES)).await? < waiting {
            if began.elapsed() > PATIENCE {
                return Err(format!("after {PATIENCE:?} not all {waiting} are known to wait").into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let known = ready + began.elapsed();
        let store = engine.metric("kefu_store_memory_bytes").await?.unwrap_or(0.0) as u64;
        let bytes = engine.resident_bytes()?.saturating_sub(store);
        world.progress.say(format!(
            "ready after {ready:.2?}, {waiting} known after {known:.2?}, {} MiB without the store",
            bytes >> 20
        ));
        starts.push(Start { ready, known, bytes });
        engine.stop().await?;
    }
    Ok(starts)
}

/// How many wait in all queues.
async fn count(client: &async_nats::Client, subject: &str) -> Result<u64> {
    let answer = client.request(subject.to_owned(), "{}".into()).await?;
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    let items = answer["ok"]["items"].as_array().ok_or_else(|| format!("the query queues was answered {answer}"))?;
    Ok(items.iter().filter_map(|queue| queue["waiting"].as_u64()).sum())
}
