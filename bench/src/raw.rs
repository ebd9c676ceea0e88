//! The limit: the same work on the bus without kefu, written directly on the client library.
//!
//! [`work`] takes messages out of the inbox's sixteen partitions, appends one commit each under the expected last sequence
//! of its subject, publishes one reply under a message id, and acknowledges: in this order, messages of one key one after
//! the other, as the contract demands of kefu. Beside it, one ordered reader follows the log. It decides nothing, reads no
//! JSON and keeps nothing but each key's last sequence; what it appends and publishes are commits and replies that
//! kefu made in the same run, so that bytes and compression are the same.
//!
//! [`read`] is the limit of `rebuild`: it counts the messages of the log.

use crate::{
    Result,
    bus::{Login, PARTITIONS},
    process,
};
use async_nats::jetstream::{
    self, Context, Message,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::ContextBuilder,
    message::PublishMessage,
};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::{HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::io::AsyncReadExt;

/// Every so many acknowledgements one is confirmed, as kefu does and for the same reason.
const CONFIRM_EVERY: u64 = 128;

/// Where the password comes from: other users of the machine can read a command line.
pub const PASSWORD: &str = "KEFU_BENCH_PASSWORD";

#[derive(Debug, Clone, Args)]
pub struct Connection {
    #[arg(long)]
    url: String,
    #[arg(long)]
    user: String,
}

impl Connection {
    async fn open(&self, name: &str) -> Result<async_nats::Client> {
        let password = std::env::var(PASSWORD).unwrap_or_default();
        Login { url: self.url.clone(), user: self.user.clone(), password }.connect(name).await
    }

    /// The arguments that make it, for the process that starts this one.
    pub fn arguments(login: &Login) -> [String; 4] {
        ["--url".to_owned(), login.url.clone(), "--user".to_owned(), login.user.clone()]
    }
}

#[derive(Debug, Args)]
pub struct WorkerOptions {
    #[command(flatten)]
    connection: Connection,
    /// Recorded commits and replies, one per line
    #[arg(long)]
    commits: PathBuf,
    #[arg(long)]
    replies: PathBuf,
    /// Messages of one partition that are held unacknowledged, at most
    #[arg(long, default_value_t = 1_000)]
    window: usize,
}

#[derive(Debug, Args)]
pub struct ReaderOptions {
    #[command(flatten)]
    connection: Connection,
    #[arg(long)]
    messages: u64,
}

struct Shared {
    context: Context,
    commits: Vec<Bytes>,
    replies: Vec<Bytes>,
    done: AtomicU64,
}

/// Does the work until its standard input is closed.
pub async fn work(options: WorkerOptions) -> Result<()> {
    let client = options.connection.open("bench raw").await?;
    let shared = Arc::new(Shared {
        context: ContextBuilder::new().max_ack_inflight(16_384).build(client.clone()),
        commits: lines(&options.commits)?,
        replies: lines(&options.replies)?,
        done: AtomicU64::new(0),
    });
    let mut tasks = tokio::task::JoinSet::new();
    for partition in 0..PARTITIONS {
        let messages = queue(&shared.context, partition, options.window).await?;
        tasks.spawn(owner(Arc::clone(&shared), messages));
    }
    let log = log(&shared.context).await?;
    tasks.spawn(async move {
        log.for_each(|_| std::future::ready(())).await;
        Ok(())
    });
    println!("ready");
    let mut nothing = Vec::new();
    tokio::select! {
        _ = async { tokio::io::stdin().read_to_end(&mut nothing).await } => Ok(()),
        Some(ended) = tasks.join_next() => ended?.and(Err("the raw loop's consumer ended".into())),
    }
}

/// The consumer that kefu's owner of a partition makes.
async fn queue(context: &Context, partition: u16, window: usize) -> Result<pull::Stream> {
    let config = pull::Config {
        durable_name: Some(format!("raw-{partition}")),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(600),
        max_deliver: -1,
        max_ack_pending: i64::try_from(window)?,
        filter_subject: format!("kefu.inbox.{partition}.>"),
        ..Default::default()
    };
    let consumer = context.create_consumer_on_stream(config, "KEFU_INBOX").await?;
    let pull = consumer.stream().max_messages_per_batch(window);
    Ok(pull.heartbeat(Duration::from_secs(3)).expires(Duration::from_secs(30)).messages().await?)
}

/// The consumer that kefu's projector makes.
async fn log(context: &Context) -> Result<pull::Stream> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::None,
        inactive_threshold: Duration::from_secs(60),
        num_replicas: 1,
        memory_storage: true,
        ..Default::default()
    };
    let consumer = context.create_consumer_on_stream(config, "KEFU_EVENTS").await?;
    let pull = consumer.stream().max_messages_per_batch(4_096).max_bytes_per_batch(16 << 20);
    Ok(pull.heartbeat(Duration::from_secs(3)).expires(Duration::from_secs(30)).messages().await?)
}

#[derive(Default)]
struct Key {
    last: u64,
    busy: bool,
    waiting: VecDeque<Message>,
}

/// One partition: messages of different keys at once, those of one key one after the other.
async fn owner(shared: Arc<Shared>, mut messages: pull::Stream) -> Result<()> {
    let mut keys: HashMap<String, Key> = HashMap::new();
    let mut jobs = FuturesUnordered::new();
    let mut acks = 0;
    loop {
        tokio::select! {
            message = messages.next() => {
                let message = message.ok_or("the queue's consumer ended")??;
                let name = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let key = keys.entry(name.clone()).or_default();
                if key.busy {
                    key.waiting.push_back(message);
                    continue;
                }
                key.busy = true;
                acks += 1;
                jobs.push(one(Arc::clone(&shared), name, key.last, message, acks % CONFIRM_EVERY == 0));
            }
            Some(done) = jobs.next(), if !jobs.is_empty() => {
                let (name, last) = done?;
                let key = keys.entry(name.clone()).or_default();
                key.last = last;
                key.busy = false;
                if let Some(message) = key.waiting.pop_front() {
                    key.busy = true;
                    acks += 1;
                    jobs.push(one(Arc::clone(&shared), name, last, message, acks % CONFIRM_EVERY == 0));
                }
            }
        }
    }
}

/// One message: append, reply, acknowledge.
async fn one(
    shared: Arc<Shared>,
    key: String,
    expected: u64,
    message: Message,
    confirm: bool,
) -> Result<(String, u64)> {
    let number = shared.done.fetch_add(1, Ordering::Relaxed);
    let sample = |of: &[Bytes]| of.get(number as usize % of.len().max(1)).cloned().unwrap_or_default();
    let commit = PublishMessage::build().payload(sample(&shared.commits)).expected_last_subject_sequence(expected);
    let appended = shared.context.send_publish(format!("kefu.events.bench.conversation.{key}"), commit).await?.await?;
    let seq = appended.sequence;
    let reply = PublishMessage::build().payload(sample(&shared.replies)).message_id(format!("bench/{seq:032}-1"));
    shared.context.send_publish(format!("kefu.out.bench.web.{key}"), reply).await?.await?;
    match confirm {
        true => message.double_ack().await?,
        false => message.ack().await?,
    }
    Ok((key, seq))
}

fn lines(path: &Path) -> Result<Vec<Bytes>> {
    let text = std::fs::read_to_string(path)?;
    Ok(text.lines().map(|line| Bytes::from(line.to_owned())).collect())
}

/// Reads `messages` messages of the log in order, and ends.
pub async fn read(options: ReaderOptions) -> Result<()> {
    let client = options.connection.open("bench raw reader").await?;
    let mut log = log(&jetstream::new(client)).await?;
    for expected in 1..=options.messages {
        let message = log.next().await.ok_or("the log's consumer ended")??;
        let found = message.info()?.stream_sequence;
        if found != expected {
            return Err(format!("message {found} came where {expected} was due").into());
        }
    }
    // For whoever started this.
    println!("{}", process::cpu(std::process::id())?.as_micros());
    Ok(())
}
