//! Figures: how fast the log becomes rollups, beside a mere reader of the same log and beside DuckDB on the exported Parquet; how
//! long a report takes over ten million events; how fast the log is exported, and how small it becomes.
//!
//! The first log was written by kefu in the same run. It is folded in this process, on one thread, as the server's task does it: read
//! from the bus in order, decoded, folded, written. The ten million events are of a year's sessions that are made here; they are folded
//! without a bus.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits},
    load::Load,
    rebuild::raw_reader,
    report,
};
use clap::Args;
use futures::StreamExt;
use hdrhistogram::Histogram;
use kefu::{
    journal::{Journal, subjects},
    reporting::{Asked, AskedSessions, Reports, Rollup},
    store::{DecodedCommit, Folds, Store, StoreOptions, StoreWriter},
};
use kefu_events::{Timestamp, key::conversation_key};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};
use tokio::process::Command;

/// Commits in one write, as the server's task does it while it is far behind.
const PORTION: usize = 262_144;
const QUEUES: u64 = 10;
const AGENTS: u64 = 100;

#[derive(Debug, Args)]
pub struct Options {
    /// Commits in the log, at least
    #[arg(long, default_value_t = 300_000)]
    commits: u64,
    /// Rounds of folding and reading, alternating
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Events that reports are read over
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Reports of each kind
    #[arg(long, default_value_t = 200)]
    reports: usize,
    /// Python with duckdb, which aggregates the exported events in the same run
    #[arg(long)]
    python: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { commits: 300_000, rounds: 3, events: 10_000_000, reports: 200, python: None }
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let mut result = fold_and_export(world, &options).await?;
    let year = tokio::task::block_in_place(|| read(world, &options))?;
    let p99 = year["p99_ms"].as_f64().unwrap_or(f64::MAX);
    if let Some(goals) = result["goals"].as_array_mut() {
        goals.push(report::at_most("a report over 10 million events, p99, ms", p99, 50.0));
    }
    result["reports"] = year;
    Ok(result)
}

fn store(dir: &std::path::Path) -> Result<(Store, StoreWriter, StoreWriter)> {
    let options = StoreOptions { memory_budget_bytes: None, partitions: 16, partition_of: subjects::partition };
    let (store, main) = Store::open(dir, &options, Folds::all(), Vec::new())?;
    let writer = store.beside(vec![Box::new(Rollup::new(0))])?;
    Ok((store, main, writer))
}

async fn fold_and_export(world: &World, options: &Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    engine.make_tenant(&bus).await?;
    let at_once = 20_000;
    let mut load = Load::new(&bus, at_once, at_once).await?;
    while bus.journal.position().await?.last < options.commits {
        load.closed(15 * at_once as u64, 1_000).await?;
        load.begin_others();
    }
    let commits = bus.rest().await?;
    drop(load);
    world.progress.say(format!("{commits} commits are in the log"));

    let folder = tempfile::tempdir()?;
    let lake = folder.path().join("lake");
    let began = Instant::now();
    let exported = Engine::command(world, &bus, &["export", "--to", &lake.to_string_lossy()]).await?;
    let export_s = began.elapsed().as_secs_f64();
    engine.stop().await?;
    world.progress.say(format!("exported: {exported}"));

    let (mut folded, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let (seconds, _) = raw_reader(&bus, commits).await?;
        raw.push(commits as f64 / seconds.as_secs_f64());
        let seconds = fold(&bus, commits).await?;
        folded.push(commits as f64 / seconds);
        world.progress.say(format!("read {:.0}/s, folded {:.0}/s", raw[raw.len() - 1], folded[folded.len() - 1]));
    }
    bus.stop().await;
    let duckdb = match &options.python {
        Some(python) => Some(aggregate(python, &lake).await?),
        None => None,
    };
    let events = exported["rows"].as_f64().unwrap_or_default();
    let (bytes, json_bytes) =
        (exported["bytes"].as_f64().unwrap_or(0.0), exported["json_bytes"].as_f64().unwrap_or(1.0));
    let (fold_rate, raw_rate) = (report::median(&folded), report::median(&raw));
    Ok(json!({
        "commits": commits,
        "fold_per_s": report::rounded(fold_rate),
        "raw_per_s": report::rounded(raw_rate),
        "ratio": report::rounded(fold_rate / raw_rate),
        "duckdb": duckdb,
        "export": {
            "rows": events, "rows_per_s": report::rounded(events / export_s), "seconds": report::rounded(export_s),
            "bytes_per_commit": report::rounded(bytes / commits as f64),
            "json_bytes_per_commit": report::rounded(json_bytes / commits as f64),
            "share_of_json": report::rounded(bytes / json_bytes),
        },
        "goals": [report::at_least("log to rollups / raw ordered reading", fold_rate / raw_rate, 0.5)],
    }))
}

/// Seconds from the first commit of the log to all of them in rollups on disk.
async fn fold(bus: &Bus, commits: u64) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let (_store, _main, mut writer) = store(dir.path())?;
    writer.follow("log", commits)?;
    let (send, mut receive) = tokio::sync::mpsc::channel::<Vec<kefu::journal::Recorded>>(64);
    let began = Instant::now();
    let folding = std::thread::spawn(move || -> std::result::Result<(), String> {
        let folds = Folds::all();
        while let Some(recorded) = receive.blocking_recv() {
            let decode =
                |one: &kefu::journal::Recorded| DecodedCommit::decode(&folds, one.seq, &one.subject, &one.payload);
            let decoded = recorded.iter().map(decode).collect::<std::result::Result<Vec<_>, _>>();
            writer.fold(&decoded.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
            if writer.unwritten() >= PORTION {
                writer.write().map_err(|error| error.to_string())?;
            }
        }
        writer.write().and_then(|()| writer.flush()).map_err(|error| error.to_string())
    });
    let mut tail = bus.journal.tail(0, None).await?.ready_chunks(512);
    let mut last = 0;
    while last < commits {
        let Some(chunk) = tail.next().await else { break };
        let chunk = chunk.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
        last = chunk.last().map_or(last, |commit| commit.seq);
        send.send(chunk).await.map_err(|_| "folding has ended")?;
    }
    drop(send);
    tokio::task::spawn_blocking(move || folding.join()).await?.map_err(|_| "folding has panicked")??;
    Ok(began.elapsed().as_secs_f64())
}

/// What DuckDB takes for the same counts, by hour and channel, out of the exported events.
async fn aggregate(python: &PathBuf, lake: &std::path::Path) -> Result<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/reporting.py");
    let output = Command::new(python).arg(script).arg(lake).output().await?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
    }
}

/// The commits of one session: twelve events, or so.
fn session(number: u64, at: Timestamp) -> (String, Vec<Value>) {
    let thread = format!("t-{number}");
    let key = conversation_key("web", &thread);
    let (queue, agent) = (format!("q{}", number % QUEUES), format!("a{}", number % AGENTS));
    let wait = (number * 7 % 90) as i64;
    let handled = 60 + (number * 13 % 600) as i64;
    let says = json!({"type": "message_received", "v": 1, "session": 1, "message": {"id": "m", "sent_at": at, "content": {"kind": "text", "text": "hello"}}});
    let replies = json!({"type": "message_sent", "v": 1, "session": 1, "id": "o", "channel": "web", "thread": thread,
        "author": {"kind": "agent", "id": agent}, "content": {"kind": "text", "text": "hello"}});
    let steps = vec![
        (
            0,
            vec![
                json!({"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": thread, "sender": {"id": "s"}}),
                says.clone(),
                json!({"type": "handoff_requested", "v": 1, "reason": "customer_asked"}),
                json!({"type": "queued", "v": 1, "queue": queue, "priority": 0}),
            ],
        ),
        (wait, vec![json!({"type": "offer_made", "v": 1, "offer": "o", "agent": agent, "deadline": at})]),
        (wait + 2, vec![json!({"type": "offer_accepted", "v": 1, "offer": "o", "agent": agent})]),
        (wait + 10, vec![replies.clone()]),
        (wait + 20, vec![says]),
        (wait + 35, vec![replies]),
        (wait + handled, vec![json!({"type": "wrap_up_started", "v": 1, "agent": agent, "deadline": at})]),
        (
            wait + handled + 20,
            vec![
                json!({"type": "session_closed", "v": 1, "session": 1, "reason": "wrapped_up", "agent": agent}),
                json!({"type": "satisfaction_requested", "v": 1, "session": 1, "deadline": at}),
            ],
        ),
    ];
    let commits = steps.into_iter().enumerate().map(|(version, (after, events))| {
        json!({"commit_id": format!("{number}-{version}"), "tenant": "year", "aggregate": "conversation", "key": key,
            "version": version + 1, "at": at.plus_seconds(after), "actor": {"kind": "system", "id": "bench"},
            "cause": "c", "cause_seq": 1, "correlation": "c", "events": events})
    });
    (format!("kefu.events.year.conversation.{key}"), commits.collect())
}

/// Reports over a year.
fn read(world: &World, options: &Options) -> Result<Value> {
    let dir = tempfile::tempdir()?;
    let (store, _main, mut writer) = store(dir.path())?;
    let folds = Folds::all();
    let start: Timestamp = "2025-01-01T00:00:00Z".parse()?;
    let year_ms = 365 * 86_400_000_i64;
    let sessions = options.events / 12;
    writer.follow("year", u64::MAX)?;
    let (mut seq, mut events, mut decoded) = (0, 0_u64, Vec::new());
    let began = Instant::now();
    for number in 0..sessions {
        let at = Timestamp::from_millis(start.as_millis() + year_ms / sessions as i64 * number as i64);
        let (subject, commits) = session(number, at);
        for commit in commits {
            seq += 1;
            events += commit["events"].as_array().map_or(0, |events| events.len() as u64);
            decoded.push(DecodedCommit::decode(&folds, seq, &subject, commit.to_string().as_bytes())?);
        }
        if decoded.len() >= 4_096 {
            writer.fold(&std::mem::take(&mut decoded))?;
            if writer.unwritten() >= PORTION {
                writer.write()?;
            }
        }
    }
    writer.fold(&decoded)?;
    writer.write()?;
    writer.follow("year", seq)?;
    world.progress.say(format!("{events} events of a year in {:.0} s", began.elapsed().as_secs_f64()));

    let reports = Reports::new(store, kefu::reporting::Progress::default());
    let now = Timestamp::from_millis(start.as_millis() + year_ms);
    let day = |day: i64| Timestamp::from_millis(start.as_millis() + day * 86_400_000).to_string();
    let asked: Vec<(&str, Asked)> = [
        ("summary of the year", json!({"from": day(0), "to": day(365)})),
        ("the year day by day", json!({"from": day(0), "to": day(365), "step": "day"})),
        ("a month by queue", json!({"from": day(300), "to": day(330), "by": "queue"})),
        ("a month by agent", json!({"from": day(300), "to": day(330), "by": "agent"})),
        (
            "a month by agent, day by day",
            json!({"from": day(300), "to": day(330), "by": "agent", "step": "day",
            "metrics": ["handled", "aht", "frt_mean"]}),
        ),
        ("a week hour by hour", json!({"from": day(350), "to": day(357), "step": "hour"})),
        ("a day by queue, hour by hour", json!({"from": day(364), "to": day(365), "by": "queue", "step": "hour"})),
    ]
    .into_iter()
    .map(|(name, asked)| Ok((name, serde_json::from_value(asked)?)))
    .collect::<Result<_>>()?;
    let mut all = Histogram::<u64>::new(3)?;
    let mut kinds = serde_json::Map::new();
    for (name, asked) in &asked {
        let mut took = Histogram::<u64>::new(3)?;
        let mut rows = 0;
        for _ in 0..options.reports {
            let began = Instant::now();
            let report = reports.report("year", asked, now)?;
            rows = report.rows.len();
            let json = serde_json::to_vec(&report)?;
            std::hint::black_box(json);
            let us = began.elapsed().as_micros() as u64;
            took.record(us)?;
            all.record(us)?;
        }
        let ms = |share| report::rounded(took.value_at_quantile(share) as f64 / 1000.0);
        kinds.insert((*name).to_owned(), json!({"rows": rows, "p50_ms": ms(0.5), "p99_ms": ms(0.99)}));
    }
    let behind: AskedSessions =
        serde_json::from_value(json!({"from": day(340), "to": day(365), "metric": "csat", "limit": 50}))?;
    let began = Instant::now();
    reports.sessions("year", &behind)?;
    Ok(json!({
        "events": events, "commits": seq, "kinds": kinds,
        "p99_ms": report::rounded(all.value_at_quantile(0.99) as f64 / 1000.0),
        "sessions_without_a_hit_in_25_days_ms": report::rounded(began.elapsed().as_secs_f64() * 1000.0),
    }))
}
