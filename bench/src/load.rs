//! The load generator: customers who write and read, without knowing whether kefu or the raw loop answers.
//!
//! It publishes as a channel's adapter does, with a message id and with JetStream's acknowledgement, and reads the
//! outbox through a consumer that acknowledges nothing, which is the cheapest for the server. It takes no message apart:
//! a reply belongs to the oldest unanswered message of its conversation, because replies keep the order.

use crate::{Result, bus::Bus, engine::TENANT};
use async_nats::{
    Client, HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream::ReadyChunks};
use hdrhistogram::Histogram;
use kefu::journal::subjects::Subjects;
use kefu_events::{Timestamp, key::conversation_key};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The channel.
pub const CHANNEL: &str = "web";

/// A reply that takes longer than this never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Latencies above this are counted as this.
const LONGEST_US: u64 = 120_000_000;

/// What customers write. No answer is an order's number.
const TEXT: &str = "I have been waiting for my parcel since last week, can you tell me where it is?";

type Replies = Pin<Box<dyn Stream<Item = Result<async_nats::Message>> + Send>>;

struct Conversation {
    thread: String,
    sender: usize,
    subject: String,
    /// When each unanswered message was sent, or should have been; oldest first.
    unanswered: VecDeque<Instant>,
}

/// Customers with their conversations.
pub struct Load {
    client: Client,
    conversations: Vec<Conversation>,
    by_key: HashMap<String, usize>,
    /// Conversations in the order in which they write next.
    turn: VecDeque<usize>,
    replies: ReadyChunks<Replies>,
    acks_to: String,
    acked: Arc<Acked>,
    sent: u64,
    subjects: Subjects,
    generation: u64,
}

#[derive(Default)]
struct Acked {
    count: AtomicU64,
    refused: OnceLock<String>,
}

/// What one run of the generator measured.
pub struct Measured {
    /// Messages sent and answered.
    pub messages: u64,
    /// From the first publish to the last reply.
    pub seconds: f64,
    latency_us: Histogram<u64>,
}

impl Measured {
    /// Messages per second.
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }

    /// Milliseconds within which this share of the messages was answered.
    pub fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// For the report.
    pub fn latencies(&self) -> Value {
        json!({
            "p50_ms": self.latency_ms(0.5),
            "p90_ms": self.latency_ms(0.9),
            "p99_ms": self.latency_ms(0.99),
            "p999_ms": self.latency_ms(0.999),
            "max_ms": self.latency_us.max() as f64 / 1000.0,
        })
    }
}

impl Load {
    /// `conversations` of `senders` customers, none of whom has written yet.
    pub async fn new(bus: &Bus, conversations: usize, senders: usize) -> Result<Self> {
        let client = bus.login().connect("bench load").await?;
        let subjects = bus.journal.subjects();
        let conversations: Vec<Conversation> = (0..conversations)
            .map(|index| {
                let thread = format!("thread-{index}");
                let subject = subjects.inbound(TENANT, CHANNEL, &conversation_key(CHANNEL, &thread));
                Conversation { thread, sender: index % senders, subject, unanswered: VecDeque::new() }
            })
            .collect();
        let keyed = conversations.iter().enumerate();
        let by_key = keyed.map(|(index, one)| (conversation_key(CHANNEL, &one.thread), index)).collect();
        let replies = replies(&client, &subjects.outbox_stream()).await?.ready_chunks(512);
        let inbox = client.new_inbox();
        let acked = Arc::new(Acked::default());
        tokio::spawn(count_acks(client.subscribe(inbox.clone()).await?, Arc::clone(&acked)));
        Ok(Self {
            turn: (0..conversations.len()).collect(),
            client,
            conversations,
            by_key,
            replies,
            acks_to: inbox,
            acked,
            sent: 0,
            subjects: subjects.clone(),
            generation: 0,
        })
    }

    /// The same customers begin as many new conversations.
    pub fn begin_others(&mut self) {
        self.generation += 1;
        for (index, conversation) in self.conversations.iter_mut().enumerate() {
            conversation.thread = format!("thread-{index}-{}", self.generation);
            let key = conversation_key(CHANNEL, &conversation.thread);
            conversation.subject = self.subjects.inbound(TENANT, CHANNEL, &key);
        }
        let keyed = self.conversations.iter().enumerate();
        self.by_key = keyed.map(|(index, one)| (conversation_key(CHANNEL, &one.thread), index)).collect();
    }

    /// Sends one message in each conversation, so that every session is open.
    pub async fn open_all(&mut self, window: usize) -> Result<Measured> {
        self.closed(self.conversations.len() as u64, window).await
    }

    /// Closed loop: `window` customers write at once, each again when answered.
    pub async fn closed(&mut self, messages: u64, window: usize) -> Result<Measured> {
        let mut latency_us = histogram()?;
        let (mut sent, mut answered) = (0, 0);
        let began = Instant::now();
        while answered < messages {
            while sent < messages && sent - answered < window as u64 {
                let Some(next) = self.turn.pop_front() else { break };
                self.send(next, Instant::now()).await?;
                sent += 1;
            }
            answered += self.take_replies(&mut latency_us).await?;
        }
        let seconds = began.elapsed().as_secs_f64();
        self.all_acked().await?;
        Ok(Measured { messages, seconds, latency_us })
    }

    /// Open loop: `rate` messages per second whatever becomes of them. A latency counts from the moment at which the
    /// message should have been sent, so that a stall is not hidden by what it held back.
    pub async fn open(&mut self, rate: f64, duration: Duration) -> Result<Measured> {
        let mut latency_us = histogram()?;
        let messages = (rate * duration.as_secs_f64()).ceil() as u64;
        let (mut sent, mut answered) = (0u64, 0);
        let began = Instant::now();
        let due = |sent: u64| began + Duration::from_secs_f64(sent as f64 / rate);
        while answered < messages {
            while sent < messages && due(sent) <= Instant::now() {
                let next = (sent % self.conversations.len() as u64) as usize;
                self.send(next, due(sent)).await?;
                sent += 1;
            }
            if sent == messages {
                answered += self.take_replies(&mut latency_us).await?;
                continue;
            }
            tokio::select! {
                count = self.take_replies(&mut latency_us) => answered += count?,
                () = tokio::time::sleep_until(due(sent).into()) => {}
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        self.all_acked().await?;
        // In whatever order the next run is.
        self.turn = (0..self.conversations.len()).collect();
        Ok(Measured { messages, seconds, latency_us })
    }

    async fn send(&mut self, index: usize, at: Instant) -> Result<()> {
        self.sent += 1;
        let conversation = &mut self.conversations[index];
        let id = format!("m{}", self.sent);
        let now = Timestamp::from(chrono::Utc::now());
        let Conversation { thread, sender, .. } = &conversation;
        let payload = format!(
            r#"{{"id":"{id}","channel":"{CHANNEL}","thread":"{thread}","sender":{{"id":"customer-{sender}","name":"Customer {sender}"}},"sent_at":"{now}","content":{{"kind":"text","text":"{TEXT}"}}}}"#
        );
        let mut headers = HeaderMap::new();
        let key = conversation.subject.rsplit('.').next().unwrap_or_default();
        headers.insert(NATS_MESSAGE_ID, format!("{TENANT}/{CHANNEL}/{key}/{id}"));
        let subject = conversation.subject.clone();
        conversation.unanswered.push_back(at);
        let sent =
            self.client.publish_with_reply_and_headers(subject, self.acks_to.clone(), headers, Bytes::from(payload));
        Ok(sent.await?)
    }

    /// Waits for replies and takes all that are there; how many.
    async fn take_replies(&mut self, latency_us: &mut Histogram<u64>) -> Result<u64> {
        let chunk = tokio::time::timeout(PATIENCE, self.replies.next()).await;
        let chunk = chunk.map_err(|_| self.stalled())?.ok_or("the outbox cannot be read any more")?;
        let now = Instant::now();
        let mut count = 0;
        for reply in chunk {
            let reply = reply?;
            let key = reply.subject.rsplit('.').next().unwrap_or_default();
            let index = *self.by_key.get(key).ok_or_else(|| format!("a reply for nobody: {}", reply.subject))?;
            let sent = self.conversations[index].unanswered.pop_front();
            let sent = sent.ok_or_else(|| format!("a reply too many: {}", reply.subject))?;
            let micros = u64::try_from(now.saturating_duration_since(sent).as_micros()).unwrap_or(u64::MAX);
            latency_us.saturating_record(micros);
            self.turn.push_back(index);
            count += 1;
        }
        Ok(count)
    }

    fn stalled(&self) -> String {
        let waiting: usize = self.conversations.iter().map(|one| one.unanswered.len()).sum();
        let acked = self.acked.count.load(Ordering::Relaxed);
        let refused = self.acked.refused.get().map_or("", String::as_str);
        format!(
            "no reply for {PATIENCE:?}: {waiting} messages of {} are unanswered, {acked} were accepted {refused}",
            self.sent
        )
    }

    /// Every publish was accepted: otherwise the figures are about nothing.
    async fn all_acked(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.acked.count.load(Ordering::Relaxed) < self.sent && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        match self.acked.refused.get() {
            Some(refused) => Err(format!("the inbox refused a message: {refused}").into()),
            None if self.acked.count.load(Ordering::Relaxed) < self.sent => Err(self.stalled().into()),
            None => Ok(()),
        }
    }

    /// Bytes of text in every message.
    pub fn text_bytes() -> usize {
        TEXT.len()
    }
}

pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST_US, 3)?)
}

async fn replies(client: &Client, stream: &str) -> Result<Replies> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: Duration::from_secs(60),
        ..Default::default()
    };
    let consumer = jetstream::new(client.clone()).create_consumer_on_stream(config, stream).await?;
    let messages = consumer.stream().max_messages_per_batch(4_096).expires(Duration::from_secs(30)).messages().await?;
    Ok(messages.map(|message| Ok(message?.message)).boxed())
}

async fn count_acks(mut acks: async_nats::Subscriber, acked: Arc<Acked>) {
    while let Some(ack) = acks.next().await {
        // What was stored is answered with stream and sequence, and a refusal with an error.
        if ack.payload.starts_with(b"{\"error\"") || ack.status.is_some() {
            let text = String::from_utf8_lossy(&ack.payload).into_owned();
            let _ = acked.refused.set(text);
        }
        acked.count.fetch_add(1, Ordering::Relaxed);
    }
}
