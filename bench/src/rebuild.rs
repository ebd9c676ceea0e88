//! How fast an empty store is filled from the log, beside a mere reader of the same log.
//!
//! Both are processes, and both are timed from their start: kefu until it says that it is ready, which is when its
//! projections have passed the end of the log; the reader until it has got the last message. The log was written by
//! kefu itself, in the same run: twenty thousand conversations at a time, of fifteen messages each.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits},
    load::Load,
    process, raw, report,
};
use clap::Args;
use kefu::journal::Journal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::process::Command;

#[derive(Debug, Args)]
pub struct Options {
    /// Commits in the log, at least
    #[arg(long, default_value_t = 300_000)]
    commits: u64,
    /// Messages of each conversation
    #[arg(long, default_value_t = 15)]
    messages_each: u64,
    /// Conversations that go on at the same time: their commits lie mixed in the log
    #[arg(long, default_value_t = 20_000)]
    at_once: usize,
    /// Rounds of each, alternating
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { commits: 300_000, messages_each: 15, at_once: 20_000, rounds: 3 }
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    engine.make_tenant(&bus).await?;
    let at_once = options.at_once.max(1);
    let mut load = Load::new(&bus, at_once, at_once).await?;
    while bus.journal.position().await?.last < options.commits {
        load.closed(options.messages_each * at_once as u64, 1_000).await?;
        load.begin_others();
    }
    let commits = bus.rest().await?;
    drop(load);
    let bytes = bus.journal.stream_info(&bus.journal.subjects().events_stream()).await?["state"]["bytes"].clone();
    world.progress.say(format!("{commits} commits are in the log"));
    let data = engine.stop().await?;

    let (mut kefu, mut raw) = (Vec::new(), Vec::new());
    let mut cpu: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..options.rounds {
        for turn in 0..2 {
            let server_before = process::cpu(bus.pid()?)?;
            let (name, seconds, own) = if (round + turn) % 2 == 0 {
                let (seconds, own) = raw_reader(&bus, commits).await?;
                ("raw", seconds, own)
            } else {
                std::fs::remove_dir_all(data.join("store"))?;
                let engine = Engine::start(world, &bus, &Limits::default()).await?;
                let (seconds, own) = (engine.ready_after, process::cpu(engine.pid()?)?);
                engine.stop().await?;
                ("kefu", seconds, own)
            };
            let server = process::cpu(bus.pid()?)?.saturating_sub(server_before);
            let micros = |time: Duration| time.as_secs_f64() * 1e6 / commits as f64;
            cpu.entry(name).or_default().push(micros(own));
            let rate = commits as f64 / seconds.as_secs_f64();
            let cpu = format!("{name} {:.1}, nats-server {:.1}", micros(own), micros(server));
            world.progress.say(format!("{name:<5} {rate:>8.0} commits/s  (µs of CPU per commit: {cpu})"));
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
        "conversations_at_once": options.at_once,
        "kefu": {"per_second": report::rounded(kefu_rate), "rounds": all(&kefu), "cpu_us_per_commit": all(&cpu["kefu"])},
        "raw": {"per_second": report::rounded(raw_rate), "rounds": all(&raw), "cpu_us_per_commit": all(&cpu["raw"])},
        "ratio": report::rounded(kefu_rate / raw_rate),
        "goals": [report::at_least("kefu's rebuild / raw ordered reading", kefu_rate / raw_rate, 0.6)],
    }))
}

/// How long the reader took, and its processor time.
pub async fn raw_reader(bus: &Bus, messages: u64) -> Result<(Duration, Duration)> {
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
    let elapsed = began.elapsed();
    match output.status.success() {
        true => Ok((elapsed, Duration::from_micros(String::from_utf8_lossy(&output.stdout).trim().parse()?))),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}
