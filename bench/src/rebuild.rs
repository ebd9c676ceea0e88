//! How fast an empty store is filled from the log, beside a mere reader of the same log.
//!
//! Both are processes, and both are timed from their start: kefu until it says that it is ready, which is when its
//! projections have passed the end of the log; the reader until it has got the last message. The log was written by
//! kefu itself, in the same run.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits},
    load::Load,
    raw, report,
};
use clap::Args;
use kefu::journal::Journal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::process::Command;

#[derive(Debug, Args)]
pub struct Options {
    /// Commits in the log, at least
    #[arg(long, default_value_t = 300_000)]
    commits: u64,
    /// Conversations that they belong to
    #[arg(long, default_value_t = 20_000)]
    conversations: usize,
    /// Rounds of each, alternating
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { commits: 300_000, conversations: 20_000, rounds: 3 }
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    engine.make_tenant(&bus).await?;
    let mut load = Load::new(&bus, options.conversations, options.conversations).await?;
    load.open_all(1_000).await?;
    world.progress.say("sessions are open");
    let missing = options.commits.saturating_sub(bus.rest().await?);
    load.closed(missing, 1_000).await?;
    let commits = bus.rest().await?;
    drop(load);
    let bytes = bus.journal.stream_info(&bus.journal.subjects().events_stream()).await?["state"]["bytes"].clone();
    world.progress.say(format!("{commits} commits are in the log"));
    let data = engine.stop().await?;

    let (mut kefu, mut raw) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for turn in 0..2 {
            let (name, seconds) = if (round + turn) % 2 == 0 {
                ("raw", raw_reader(&bus, commits).await?)
            } else {
                std::fs::remove_dir_all(data.join("store"))?;
                let engine = Engine::start(world, &bus, &Limits::default()).await?;
                let seconds = engine.ready_after;
                engine.stop().await?;
                ("kefu", seconds)
            };
            let rate = commits as f64 / seconds.as_secs_f64();
            world.progress.say(format!("{name:<5} {rate:>8.0} commits/s"));
            if name == "raw" { raw.push(rate) } else { kefu.push(rate) }
        }
    }
    let position = bus.journal.position().await?.last;
    bus.stop().await;
    if position != commits {
        return Err(format!("the log grew from {commits} to {position} commits while it was read").into());
    }
    let (kefu_rate, raw_rate) = (report::median(&kefu), report::median(&raw));
    let all = |rates: &[f64]| rates.iter().map(|rate| report::rounded(*rate)).collect::<Vec<_>>();
    Ok(json!({
        "commits": commits,
        "log_bytes": bytes,
        "conversations": options.conversations,
        "kefu": {"per_second": report::rounded(kefu_rate), "rounds": all(&kefu)},
        "raw": {"per_second": report::rounded(raw_rate), "rounds": all(&raw)},
        "ratio": report::rounded(kefu_rate / raw_rate),
        "goals": [report::at_least("kefu's rebuild / raw ordered reading", kefu_rate / raw_rate, 0.6)],
    }))
}

async fn raw_reader(bus: &Bus, messages: u64) -> Result<Duration> {
    let login = bus.login();
    let began = Instant::now();
    let output = Command::new(std::env::current_exe()?)
        .arg("raw-reader")
        .args(raw::Connection::arguments(&login))
        .args(["--messages", &messages.to_string()])
        .env(raw::PASSWORD, &login.password)
        .kill_on_drop(true)
        .output()
        .await?;
    match output.status.success() {
        true => Ok(began.elapsed()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
