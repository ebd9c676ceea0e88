//! Resident memory per conversation, in a real kefu.
//!
//! Memory of the process is read from `/proc` three times: with a warm process that holds no conversation, with all of
//! them active (each has been written to once and waits for the customer), and after all have been passivated by idle
//! time. Memory that RocksDB holds, as kefu's own metric says, is taken off each: it is bounded by an option and does not
//! grow with the number of conversations. The texts that active conversations hold are taken off, too.

use crate::{
    Result, World,
    bus::Bus,
    engine::{self, Engine, Limits},
    load::Load,
    process, report,
};
use clap::Args;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One contact has this many conversations, so that contacts, which are aggregates too, hardly count.
const CONVERSATIONS_OF_ONE: usize = 100;

/// Conversations that make a process warm.
const WARM: usize = 1_000;

#[derive(Debug, Args)]
pub struct Options {
    /// Conversations
    #[arg(long, default_value_t = 100_000)]
    conversations: usize,
    /// Seconds of silence after which conversations are passivated; all must have been opened before
    #[arg(long, default_value_t = 60)]
    idle_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { conversations: 100_000, idle_seconds: 60 }
    }
}

/// One reading.
struct Reading {
    resident: u64,
    store: u64,
    active: u64,
}

impl Reading {
    async fn take(engine: &Engine) -> Result<Self> {
        let store = engine.metric("kefu_store_memory_bytes").await?.unwrap_or(0.0) as u64;
        let active = engine.metric("kefu_active_aggregates").await?.ok_or("kefu shows no kefu_active_aggregates")?;
        Ok(Self { resident: engine.resident_bytes()?, store, active: active as u64 })
    }

    fn without_store(&self) -> f64 {
        self.resident.saturating_sub(self.store) as f64
    }

    fn shown(&self) -> Value {
        json!({"resident_bytes": self.resident, "of_these_store": self.store, "active_aggregates": self.active})
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let limits = Limits {
        idle: Some(format!("{}s", options.idle_seconds)),
        max_active: Some(10 * options.conversations),
        ..Limits::default()
    };
    let engine = Engine::start(world, &bus, &limits).await?;
    engine.make_tenant(&bus).await?;

    // Threads, buffers and tables of the process in their usual size; then nothing in memory.
    let mut load = Load::new(&bus, options.conversations + WARM, options.conversations / CONVERSATIONS_OF_ONE).await?;
    load.closed(WARM as u64, WARM).await?;
    bus.rest().await?;
    let quiet = passivated(&engine, &options).await?;
    world.progress.say(format!("warm, none active: {} MiB", quiet.resident >> 20));

    let began = Instant::now();
    load.closed(options.conversations as u64, WARM).await?;
    bus.rest().await?;
    let active = Reading::take(&engine).await?;
    world.progress.say(format!("{} active: {} MiB", active.active, active.resident >> 20));
    if (active.active as usize) < options.conversations {
        return Err(format!(
            "only {} are active after {:?}: a longer --idle-seconds is needed",
            active.active,
            began.elapsed()
        )
        .into());
    }
    let passive = passivated(&engine, &options).await?;
    world.progress.say(format!("all passive: {} MiB", passive.resident >> 20));

    let server = process::resident_bytes(bus.pid()?)?;
    let conversations = options.conversations as f64;
    let text = Load::text_bytes() as f64;
    let per_active = (active.without_store() - quiet.without_store()) / conversations - text;
    let per_passive = (passive.without_store() - quiet.without_store()) / conversations;
    engine.stop().await?;
    bus.stop().await;
    Ok(json!({
        "conversations": options.conversations,
        "limits": engine::shown(&limits),
        "quiet": quiet.shown(),
        "active": active.shown(),
        "passive": passive.shown(),
        "text_bytes": text,
        "bytes_per_active_beyond_text": report::rounded(per_active),
        "bytes_per_passive": report::rounded(per_passive),
        "nats_server_resident_bytes": server,
        "goals": [report::at_most("bytes per active conversation, beyond its text", per_active, 4096.0)],
    }))
}

/// Waits until nothing is in memory any more.
async fn passivated(engine: &Engine, options: &Options) -> Result<Reading> {
    let until = Instant::now() + Duration::from_secs(options.idle_seconds + 60);
    loop {
        let reading = Reading::take(engine).await?;
        if reading.active == 0 {
            return Ok(reading);
        }
        if Instant::now() > until {
            return Err(format!("{} aggregates are still active long after their idle time", reading.active).into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
