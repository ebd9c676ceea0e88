//! Measurements of kefu, each beside a peer or a limit in the same run. One command prints JSON.
//!
//! - [`throughput`]: messages per second and latency through a real `kefu serve`, beside [`raw`], which does the same
//!   work on the bus without kefu;
//! - [`memory`]: resident bytes per active and per passive conversation;
//! - [`rebuild`]: an empty store filled from the log, beside a mere reader of the same log;
//! - [`dispatch`]: from hand-off to offer, and a burst;
//! - [`reporting`]: from the log to figures, and how long a report takes;
//! - [`sockets`]: from a commit to the frames of two thousand sockets;
//! - [`waiting`]: a scheduler that starts while a hundred thousand wait;
//! - [`scheduler`]: one scheduling decision, beside the same job on [`redis`];
//! - [`vectors`]: nearest neighbours, beside hnswlib and faiss;
//! - [`faq`]: from a question to a decision, and from approval to an answer; words alone beside tantivy.
//!
//! Shared: [`bus`] a nats-server with kefu's streams, [`engine`] a `kefu serve` on it, [`load`] the one load generator,
//! [`process`] what the operating system says of a process, [`report`] what is printed.

mod bus;
mod dispatch;
mod engine;
mod faq;
mod load;
mod memory;
mod process;
mod raw;
mod rebuild;
mod redis;
mod report;
mod reporting;
mod scheduler;
mod sockets;
mod throughput;
mod vectors;
mod waiting;

use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value, json};
use std::{path::PathBuf, process::ExitCode};

/// Any failure ends the run: its text is for the person who started it.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures kefu, each figure beside a peer or a limit in the same run. Prints JSON on standard output; progress and a
/// table go to standard error.
///
/// Every benchmark starts its own nats-server and its own kefu on free ports, with stores in a temporary directory, and
/// removes them again. nats-server is found as `kefu serve` finds it (KEFU_NATS_SERVER, PATH, .tools/bin). bench/README.md
/// says what each figure means.
#[derive(Debug, Parser)]
#[command(name = "kefu-bench", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Args)]
struct Common {
    /// Print JSON only: no progress and no table
    #[arg(long, global = true)]
    json: bool,
    /// The kefu program to measure [default: the one beside this program]
    #[arg(long, global = true, value_name = "PATH")]
    kefu: Option<PathBuf>,
    /// Keep the temporary stores in this directory instead of the system's
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Messages per second and latency from publish to committed reply, beside the same bus work without kefu
    Throughput(throughput::Options),
    /// Resident memory per active and per passive conversation
    Memory(memory::Options),
    /// Commits per second from the log into an empty store, beside a mere reader of the log
    Rebuild(rebuild::Options),
    /// Latency from hand-off to offer at a given rate, and a burst
    Dispatch(dispatch::Options),
    /// From the log to rollups beside a mere reader and DuckDB; reports over ten million events; export
    Reporting(reporting::Options),
    /// The bridge under 2,000 sockets: from commit to frame, beside an echo server
    Sockets(sockets::Options),
    /// Time and memory of a scheduler that starts on a store in which many wait
    Waiting(waiting::Options),
    /// One scheduling decision with its index update, beside the same job on Redis (needs redis-server on PATH)
    Scheduler(scheduler::Options),
    /// Nearest neighbours among 100,000 vectors: recall and questions per second, beside hnswlib and faiss
    Vectors(vectors::Options),
    /// From a question to a decision, one by one and many at once; words alone beside tantivy; opening; approving
    Faq(faq::Options),
    /// All of them, with their defaults
    All,
    /// The bus work without kefu (a process of `throughput`)
    #[command(hide = true)]
    RawWorker(raw::WorkerOptions),
    /// A mere reader of the log (a process of `rebuild`)
    #[command(hide = true)]
    RawReader(raw::ReaderOptions),
}

/// The same as kefu's, so that the peers have it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kefu-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    let common = &cli.common;
    let measured = match cli.what {
        What::RawWorker(options) => return raw::work(options).await,
        What::RawReader(options) => return raw::read(options).await,
        What::Throughput(options) => vec![("throughput", throughput::run(&prepared(common).await?, options).await?)],
        What::Memory(options) => vec![("memory", memory::run(&prepared(common).await?, options).await?)],
        What::Rebuild(options) => vec![("rebuild", rebuild::run(&prepared(common).await?, options).await?)],
        What::Reporting(options) => vec![("reporting", reporting::run(&prepared(common).await?, options).await?)],
        What::Sockets(options) => vec![("sockets", sockets::run(&prepared(common).await?, options).await?)],
        What::Dispatch(options) => vec![("dispatch", dispatch::run(&prepared(common).await?, options).await?)],
        What::Waiting(options) => vec![("waiting", waiting::run(&prepared(common).await?, options).await?)],
        What::Scheduler(options) => vec![("scheduler", on_scheduler(common, options).await?)],
        What::Vectors(options) => {
            let progress = report::Progress::new(!common.json);
            vec![("vectors", tokio::task::spawn_blocking(move || vectors::run(&options, progress)).await??)]
        }
        What::Faq(options) => vec![("faq", faq::run(&prepared(common).await?, options).await?)],
        What::All => {
            let world = prepared(common).await?;
            vec![
                ("throughput", throughput::run(&world, Default::default()).await?),
                ("memory", memory::run(&world, Default::default()).await?),
                ("rebuild", rebuild::run(&world, Default::default()).await?),
                ("dispatch", dispatch::run(&world, Default::default()).await?),
                ("waiting", waiting::run(&world, Default::default()).await?),
                ("scheduler", on_scheduler(common, Default::default()).await?),
            ]
        }
    };
    let mut all = Map::new();
    all.insert("machine".to_owned(), report::machine());
    all.extend(measured.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let all = Value::Object(all);
    if !common.json {
        report::table(&all);
    }
    println!("{}", serde_json::to_string_pretty(&all).unwrap_or_else(|_| json!(null).to_string()));
    Ok(())
}

/// It computes and never waits, so it gets a thread of its own.
async fn on_scheduler(common: &Common, options: scheduler::Options) -> Result<Value> {
    let progress = report::Progress::new(!common.json);
    tokio::task::spawn_blocking(move || scheduler::run(&options, progress)).await?
}

/// What every benchmark of the whole engine needs.
struct World {
    kefu: PathBuf,
    dir: Option<PathBuf>,
    progress: report::Progress,
}

async fn prepared(common: &Common) -> Result<World> {
    let progress = report::Progress::new(!common.json);
    let kefu = match &common.kefu {
        Some(path) => path.clone(),
        None => engine::built(progress).await?,
    };
    Ok(World { kefu, dir: common.dir.clone(), progress })
}
