//! Messages per second and latency from publish to committed reply, through a real kefu and through the raw loop.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits, TENANT},
    load::{Load, Measured},
    process, raw, report,
};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use kefu::journal::{Journal, OutboxStart};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Commits and replies of kefu's that the raw loop repeats.
const SAMPLES: usize = 512;

#[derive(Debug, Args)]
pub struct Options {
    /// Rounds of each, alternating
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Messages per round
    #[arg(long, default_value_t = 40_000)]
    messages: u64,
    /// Conversations, each with one unanswered message at most while the maximum is measured
    #[arg(long, default_value_t = 1_000)]
    conversations: usize,
    /// Seconds of load at half of kefu's maximum, per round
    #[arg(long, default_value_t = 10)]
    latency_seconds: u64,
    /// Leave one of both out, for profiling: `raw` or `kefu`
    #[arg(long, value_name = "WHICH")]
    only: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rounds: 5, messages: 40_000, conversations: 1_000, latency_seconds: 10, only: None }
    }
}

/// What a round is to do once the sessions are open.
#[derive(Clone, Copy)]
enum Shape {
    Closed { messages: u64 },
    Open { rate: f64, duration: Duration },
}

struct Round {
    measured: Measured,
    /// Where the log and the outbox ended before.
    log_before: u64,
    outbox_before: u64,
    /// Processor time per message, in microseconds.
    cpu_us: [(&'static str, f64); 3],
}

impl Round {
    fn shown(&self) -> Value {
        let mut shown = self.measured.latencies();
        shown["per_second"] = report::rounded(self.measured.rate());
        shown["messages"] = json!(self.measured.messages);
        for (name, micros) in self.cpu_us {
            shown["cpu_us_per_message"][name] = report::rounded(micros);
        }
        shown
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let samples = match options.only.as_deref() {
        Some("raw") => Samples::made_up()?,
        _ => Samples::record(world, &options).await?,
    };
    let closed = Shape::Closed { messages: options.messages };
    let wants = |which: &str| options.only.as_deref().is_none_or(|only| only == which);
    let (mut raw, mut kefu) = (Vec::new(), Vec::new());
    for number in 0..options.rounds {
        // Whoever comes second has the warmer machine: it is each one's turn.
        for turn in 0..2 {
            let (which, rounds) = if (number + turn) % 2 == 0 { ("raw", &mut raw) } else { ("kefu", &mut kefu) };
            if !wants(which) {
                continue;
            }
            let round = match which {
                "raw" => raw_round(world, &options, &samples, closed).await?,
                _ => kefu_round(world, &options, closed).await?,
            };
            world.progress.say(format!("{which:<5} {:>8.0} messages/s  {}", round.measured.rate(), shown_cpu(&round)));
            rounds.push(round);
        }
    }
    let maximum =
        |rounds: &[Round]| report::median(&rounds.iter().map(|round| round.measured.rate()).collect::<Vec<_>>());
    let (raw_max, kefu_max) = (maximum(&raw), maximum(&kefu));
    let ratios: Vec<f64> =
        raw.iter().zip(&kefu).map(|(raw, kefu)| kefu.measured.rate() / raw.measured.rate()).collect();

    let half = Shape::Open { rate: kefu_max / 2.0, duration: Duration::from_secs(options.latency_seconds) };
    let (mut raw_half, mut kefu_half) = (Vec::new(), Vec::new());
    if options.latency_seconds > 0 && kefu_max > 0.0 {
        for _ in 0..options.rounds.min(3) {
            kefu_half.push(kefu_round(world, &options, half).await?);
            raw_half.push(raw_round(world, &options, &samples, half).await?);
        }
    }
    let quantile = |rounds: &[Round], quantile: f64| {
        report::median(&rounds.iter().map(|round| round.measured.latency_ms(quantile)).collect::<Vec<_>>())
    };
    let shown = |rounds: &[Round]| rounds.iter().map(Round::shown).collect::<Vec<_>>();
    let latency = |rounds: &[Round]| {
        json!({
            "p50_ms": quantile(rounds, 0.5),
            "p99_ms": quantile(rounds, 0.99),
            "rounds": shown(rounds),
        })
    };
    let ratio = kefu_max / raw_max;
    Ok(json!({
        "nats_server": samples.server,
        "conversations": options.conversations,
        "commit_bytes": report::rounded(samples.commit_bytes),
        "reply_bytes": report::rounded(samples.reply_bytes),
        "kefu": {"per_second": report::rounded(kefu_max), "rounds": shown(&kefu)},
        "raw": {"per_second": report::rounded(raw_max), "rounds": shown(&raw)},
        "ratio": report::rounded(ratio),
        "ratios": ratios.into_iter().map(report::rounded).collect::<Vec<_>>(),
        "at_half": {
            "per_second": report::rounded(kefu_max / 2.0),
            "kefu": latency(&kefu_half),
            "raw": latency(&raw_half),
        },
        "goals": [
            report::at_least("kefu's maximum / raw maximum", ratio, 0.6),
            report::at_most("p99 at half of the maximum, ms", quantile(&kefu_half, 0.99), 50.0),
        ],
    }))
}

fn shown_cpu(round: &Round) -> String {
    let parts = round.cpu_us.iter().map(|(name, micros)| format!("{name} {micros:.0}"));
    format!("(µs of CPU per message: {})", parts.collect::<Vec<_>>().join(", "))
}

async fn kefu_round(world: &World, options: &Options, shape: Shape) -> Result<Round> {
    let (round, bus, engine) = kefu_round_left_running(world, options, shape).await?;
    engine.stop().await?;
    bus.stop().await;
    Ok(round)
}

async fn kefu_round_left_running(world: &World, options: &Options, shape: Shape) -> Result<(Round, Bus, Engine)> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    engine.make_tenant(&bus).await?;
    let mut load = Load::new(&bus, options.conversations, options.conversations).await?;
    let round = measure(&bus, engine.pid()?, "kefu", &mut load, options, shape).await?;
    Ok((round, bus, engine))
}

async fn raw_round(world: &World, options: &Options, samples: &Samples, shape: Shape) -> Result<Round> {
    let bus = Bus::start(world).await?;
    let worker = Worker::start(&bus, samples).await?;
    let mut load = Load::new(&bus, options.conversations, options.conversations).await?;
    let round = measure(&bus, worker.pid()?, "raw", &mut load, options, shape).await?;
    drop(worker);
    bus.stop().await;
    Ok(round)
}

/// Opens the sessions, waits for rest, measures, and checks that every message led to one commit and one reply.
async fn measure(
    bus: &Bus,
    worker: u32,
    name: &'static str,
    load: &mut Load,
    options: &Options,
    shape: Shape,
) -> Result<Round> {
    load.open_all(options.conversations).await?;
    // Everybody's caches, connections and files are warm after a few messages each.
    load.closed(4 * options.conversations as u64, options.conversations).await?;
    let log_before = bus.rest().await?;
    let outbox = bus.journal.subjects().outbox_stream();
    let outbox_before = bus.messages(&outbox).await?;
    let processes = [("nats-server", bus.pid()?), (name, worker), ("load", std::process::id())];
    let cpu_before = processes.map(|(_, pid)| process::cpu(pid));
    let measured = match shape {
        Shape::Closed { messages } => load.closed(messages, options.conversations).await?,
        Shape::Open { rate, duration } => load.open(rate, duration).await?,
    };
    let mut cpu_us = processes.map(|(name, _)| (name, 0.0));
    for ((shown, before), (_, pid)) in cpu_us.iter_mut().zip(cpu_before).zip(processes) {
        shown.1 = (process::cpu(pid)? - before?).as_secs_f64() * 1e6 / measured.messages as f64;
    }
    let commits = bus.rest().await? - log_before;
    let replies = bus.messages(&outbox).await? - outbox_before;
    if (commits, replies) != (measured.messages, measured.messages) {
        let sent = measured.messages;
        return Err(format!("{name}: {sent} messages led to {commits} commits and {replies} replies").into());
    }
    Ok(Round { measured, log_before, outbox_before, cpu_us })
}

/// What kefu commits and replies, as the raw loop repeats it.
struct Samples {
    _dir: TempDir,
    commits: PathBuf,
    replies: PathBuf,
    commit_bytes: f64,
    reply_bytes: f64,
    server: String,
}

impl Samples {
    /// From a round of kefu's that is not measured.
    async fn record(world: &World, options: &Options) -> Result<Self> {
        let messages = (2 * SAMPLES as u64).max(options.conversations as u64);
        let shape = Shape::Closed { messages };
        let (round, bus, engine) = kefu_round_left_running(world, options, shape).await?;
        world.progress.say(format!("recorded {SAMPLES} commits of kefu's for the raw loop"));
        let log = bus.journal.tail(round.log_before, None).await?;
        let commits = log.take(SAMPLES).map_ok(|commit| commit.payload).try_collect::<Vec<Bytes>>().await?;
        let start = OutboxStart::After(round.outbox_before);
        let outbox = bus.journal.outbox(TENANT, None, start).await?;
        let replies = outbox.take(SAMPLES).map_ok(|reply| reply.payload).try_collect::<Vec<Bytes>>().await?;
        let server = bus.version();
        engine.stop().await?;
        bus.stop().await;
        Self::of(&commits, &replies, server)
    }

    /// Where kefu does not run: of about the size of kefu's.
    fn made_up() -> Result<Self> {
        let of = |bytes: usize| [Bytes::from("x".repeat(bytes))];
        Self::of(&of(900), &of(450), String::new())
    }

    fn of(commits: &[Bytes], replies: &[Bytes], server: String) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (commits_at, replies_at) = (dir.path().join("commits"), dir.path().join("replies"));
        Ok(Self {
            commit_bytes: write(&commits_at, commits)?,
            reply_bytes: write(&replies_at, replies)?,
            commits: commits_at,
            replies: replies_at,
            server,
            _dir: dir,
        })
    }
}

/// Writes one per line; their mean length.
fn write(path: &Path, all: &[Bytes]) -> Result<f64> {
    let text: Vec<&[u8]> = all.iter().map(|bytes| &bytes[..]).collect();
    std::fs::write(path, text.join(&b'\n'))?;
    Ok(all.iter().map(Bytes::len).sum::<usize>() as f64 / all.len() as f64)
}

/// The raw loop, in a process of its own.
struct Worker(Child);

impl Worker {
    async fn start(bus: &Bus, samples: &Samples) -> Result<Self> {
        let login = bus.login();
        let mut child = Command::new(std::env::current_exe()?)
            .arg("raw-worker")
            .args(raw::Connection::arguments(&login))
            .arg("--commits")
            .arg(&samples.commits)
            .arg("--replies")
            .arg(&samples.replies)
            .env(raw::PASSWORD, &login.password)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let out = child.stdout.take().ok_or("the raw loop has no output")?;
        match BufReader::new(out).lines().next_line().await? {
            Some(line) if line == "ready" => Ok(Self(child)),
            _ => Err("the raw loop did not start".into()),
        }
    }

    fn pid(&self) -> Result<u32> {
        self.0.id().ok_or_else(|| "the raw loop died".into())
    }
}
