//! `kefu replay --into`: recorded traffic, sent again into another kefu in its own time pattern.
//!
//! Messages of one thread are sent one after the other, each when the one before is stored; those of different threads do
//! not wait for each other. Whoever falls behind the schedule says by how much, and leaves nothing out.

use super::{
    Progress,
    traffic::{Origin, again, sent},
};
use crate::{
    cli::{
        Session,
        client::{Client, locate, new_id, now},
        error::CliError,
        output::{Output, note},
    },
    config::units,
    journal::{ConnectOptions, Journal, JournalError, NatsJournal, Recorded, subjects::Subjects},
};
use clap::Args;
use futures::{Stream, StreamExt};
use hdrhistogram::Histogram;
use kefu_events::{AggregateKind, Commit, Inbound, Timestamp, conversation::ConversationEvent, upcast::decode_commit};
use lru::LruCache;
use serde_json::json;
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    num::NonZeroUsize,
    str::FromStr,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Threads that send at once: more than an inbox takes in while one message is on its way.
const LANES: usize = 64;
/// Messages that wait in one lane, at most; then the log is not read on.
const IN_LANE: usize = 64;
/// Conversations whose origin is remembered; of others it is read from the log again.
const ORIGINS: usize = 100_000;
/// How long is waited for a server that does not take a message: it may be away, or its inbox full.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Where to send it, and how fast.
#[derive(Debug, Args)]
pub(super) struct IntoArgs {
    /// Send what customers wrote again, into the kefu with this prefix, in its own time pattern
    #[arg(long, value_name = "PREFIX", value_parser = units::subjects, conflicts_with_all = ["flat", "aggregate"])]
    into: Option<Subjects>,
    /// On this NATS server, with user and password in it if need be [default: the one that is read from]
    #[arg(long, value_name = "URL", requires = "into")]
    into_nats: Option<String>,
    /// For this tenant there [default: of the same name]
    #[arg(long, value_name = "TENANT", requires = "into", value_parser = units::token)]
    into_tenant: Option<String>,
    /// How much faster than it was: 10x, 0.5x, or max
    #[arg(long, value_name = "FACTOR", requires = "into", default_value = "1x")]
    speed: Speed,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// So many times faster than it was.
    Times(f64),
    /// As fast as it is taken.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let factor = text.strip_suffix('x').unwrap_or(text).parse().ok();
        let factor = factor.filter(|factor: &f64| (0.001..=1_000_000.0).contains(factor));
        factor.map(Self::Times).ok_or_else(|| "a factor is needed, such as 10x or 0.5x, or max".to_owned())
    }
}

impl Speed {
    /// How long after the first one comes what was so much later.
    fn after(self, recorded_ms: i64) -> Duration {
        match self {
            Self::Times(factor) => Duration::from_secs_f64(recorded_ms.max(0) as f64 / 1e3 / factor),
            Self::Max => Duration::ZERO,
        }
    }

    /// The time that something has in the replay, which began then.
    fn moment(self, began: Timestamp, recorded_ms: i64) -> Timestamp {
        match self {
            Self::Times(factor) => Timestamp::from_millis(began.as_millis() + (recorded_ms as f64 / factor) as i64),
            Self::Max => now(),
        }
    }
}

/// A message on its way.
struct Due {
    tenant: String,
    key: String,
    message: Inbound,
    at: Instant,
}

/// What became of all messages of one lane.
struct Lane {
    sent: u64,
    /// Milliseconds behind the schedule, until they were stored.
    behind_ms: Histogram<u64>,
}

impl IntoArgs {
    /// Whether there is anywhere to send it.
    pub fn is_wanted(&self) -> bool {
        self.into.is_some()
    }

    /// Sends it.
    pub async fn run(
        &self,
        session: &mut Session,
        source: &Client,
        commits: impl Stream<Item = Result<Recorded, JournalError>> + Unpin,
        end: Option<u64>,
        progress: &Progress,
    ) -> Result<(), CliError> {
        let target = self.target(session, source).await?;
        let replay = new_id();
        let mut lanes = JoinSet::new();
        let senders: Vec<mpsc::Sender<Due>> = (0..LANES)
            .map(|_| {
                let (sender, receiver) = mpsc::channel(IN_LANE);
                lanes.spawn(send(target.journal.clone(), receiver));
                sender
            })
            .collect();
        let mut run = Run {
            args: self,
            source,
            target: &target,
            replay,
            began: (Instant::now(), now()),
            first: None,
            origins: LruCache::new(NonZeroUsize::new(ORIGINS).unwrap_or(NonZeroUsize::MIN)),
            threads: BTreeSet::new(),
            tenants: BTreeSet::new(),
            last_ms: 0,
            passed_over: 0,
        };
        let read = tokio::select! {
            read = run.schedule(commits, end, &senders, progress) => read.map(|()| false),
            _ = tokio::signal::ctrl_c() => Ok(true),
            // A lane ends before its sender only when the server takes nothing any more.
            Some(ended) = lanes.join_next() => Err(match ended {
                Ok(Err(error)) => error,
                _ => CliError::failure("sending has ended"),
            }),
        };
        // What is on its way is finished.
        drop(senders);
        let mut total = Lane::new()?;
        while let Some(ended) = lanes.join_next().await {
            let lane = ended.map_err(|error| CliError::failure(error.to_string()))??;
            total.sent += lane.sent;
            total.behind_ms.add(&lane.behind_ms).map_err(|error| CliError::failure(error.to_string()))?;
        }
        progress.clear();
        let stopped = read?;
        run.report(&total, stopped, &mut session.out)
    }

    /// The kefu that it goes to.
    async fn target(&self, session: &Session, source: &Client) -> Result<Client, CliError> {
        let subjects = self.into.clone().unwrap_or_default();
        let options = match &self.into_nats {
            Some(url) => ConnectOptions { name: "kefu replay".to_owned(), ..source.config.nats.connect_options(url) },
            None => {
                let (options, own, _) = locate(&session.layers, &source.config)?;
                if own == subjects {
                    return Err(CliError::usage(format!(
                        "--into {}: that is the kefu that is read from; its customers would write everything twice",
                        subjects.prefix()
                    ))
                    .hint("start another one with --prefix, and name that, or another server with --into-nats"));
                }
                options
            }
        };
        let journal = NatsJournal::attach(options, subjects).await.map_err(|error| {
            CliError::from(error).hint("is a kefu running there? It makes its streams when it is started")
        })?;
        Ok(Client { journal, run: None, config: source.config.clone() })
    }
}

/// One replay.
struct Run<'a> {
    args: &'a IntoArgs,
    source: &'a Client,
    target: &'a Client,
    /// Names it, in the ids of its messages.
    replay: String,
    began: (Instant, Timestamp),
    /// When the first message was received, when it was recorded.
    first: Option<Timestamp>,
    origins: LruCache<(String, String), Origin>,
    threads: BTreeSet<(String, String)>,
    tenants: BTreeSet<String>,
    last_ms: i64,
    /// What customers sent and cannot be sent again: what became of replies that the other kefu does not make, and that
    /// somebody left who had never said anything, of whom the log does not know the thread.
    passed_over: u64,
}

impl Run<'_> {
    async fn schedule(
        &mut self,
        mut commits: impl Stream<Item = Result<Recorded, JournalError>> + Unpin,
        end: Option<u64>,
        lanes: &[mpsc::Sender<Due>],
        progress: &Progress,
    ) -> Result<(), CliError> {
        while let Some(recorded) = commits.next().await.transpose()? {
            if end.is_some_and(|end| recorded.seq > end) {
                break;
            }
            if let Some(due) = self.due(&recorded).await? {
                sleep_until(due.at).await;
                let mut hasher = DefaultHasher::new();
                (&due.tenant, &due.key).hash(&mut hasher);
                let lane = &lanes[(hasher.finish() % lanes.len() as u64) as usize];
                if lane.send(due).await.is_err() {
                    // Why is said where its end is awaited.
                    std::future::pending::<()>().await;
                }
            }
            progress.at(recorded.seq);
            if end.is_some_and(|end| recorded.seq >= end) {
                break;
            }
        }
        Ok(())
    }

    /// The message that a commit was caused by, and when it is due.
    async fn due(&mut self, recorded: &Recorded) -> Result<Option<Due>, CliError> {
        let Some(address) = self.source.journal.subjects().parse_events(&recorded.subject) else { return Ok(None) };
        if address.aggregate != AggregateKind::Conversation.as_str() {
            return Ok(None);
        }
        let commit = decode(recorded)?;
        let place = (commit.tenant.clone(), commit.key.clone());
        let known = self.origins.get(&place).cloned();
        let origin = Origin::after(known.clone(), &commit);
        if let Some(origin) = origin.clone().filter(|_| origin != known) {
            self.origins.put(place.clone(), origin);
        }
        let Some(sent) = sent(&commit) else {
            self.passed_over += u64::from(is_receipt(&commit));
            return Ok(None);
        };
        let origin = match origin {
            Some(origin) => origin,
            None => {
                let Some(origin) = self.origin_before(recorded).await? else {
                    self.passed_over += 1;
                    return Ok(None);
                };
                self.origins.put(place.clone(), origin.clone());
                origin
            }
        };
        let tenant = self.args.into_tenant.clone().unwrap_or_else(|| commit.tenant.clone());
        self.check_tenant(&tenant).await?;
        self.threads.insert(place);
        if self.first.is_none() {
            self.first = Some(commit.at);
            self.began = (Instant::now(), now());
        }
        let first = self.first.unwrap_or(commit.at);
        self.last_ms = self.last_ms.max(commit.at.millis_since(first));
        let at = self.began.0 + self.args.speed.after(commit.at.millis_since(first));
        let sent_ms = sent.sent_at.unwrap_or(commit.at).millis_since(first);
        let sent_at = self.args.speed.moment(self.began.1, sent_ms);
        let message = again(sent, &origin, &self.replay, sent_at);
        Ok(Some(Due { tenant, key: origin.key(), message, at }))
    }

    /// Where a conversation comes from that began before what is read.
    async fn origin_before(&self, recorded: &Recorded) -> Result<Option<Origin>, CliError> {
        origin_up_to(&self.source.journal.history(&recorded.subject, 0).await?, recorded.seq)
    }

    /// Says it before a thousand messages are rejected.
    async fn check_tenant(&mut self, tenant: &str) -> Result<(), CliError> {
        if !self.tenants.insert(tenant.to_owned()) {
            return Ok(());
        }
        match self.target.tenant_exists(tenant).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(CliError::usage(format!("there is no tenant {tenant} there"))
                .hint("make it with `kefu tenant create`, or name another with --into-tenant")),
            Err(error) => {
                note(format!("{}; what is sent waits in the inbox", error.message));
                Ok(())
            }
        }
    }

    fn report(&self, total: &Lane, stopped: bool, out: &mut Output) -> Result<(), CliError> {
        let behind = |quantile| total.behind_ms.value_at_quantile(quantile);
        let (recorded_s, took_s) = (self.last_ms as f64 / 1e3, self.began.0.elapsed().as_secs_f64());
        let value = json!({
            "replay": self.replay,
            "messages": total.sent,
            "threads": self.threads.len(),
            "passed_over": self.passed_over,
            "recorded_s": recorded_s,
            "took_s": took_s,
            "behind_ms": { "p50": behind(0.5), "p99": behind(0.99), "max": total.behind_ms.max() },
            "stopped": stopped,
        });
        out.result(&value, || {
            let mut text = format!(
                "{}{} messages of {} threads, recorded in {recorded_s:.0} s, sent in {took_s:.1} s",
                if stopped { "stopped: " } else { "" },
                total.sent,
                self.threads.len()
            );
            if self.args.speed != Speed::Max {
                let [p50, p99] = [behind(0.5), behind(0.99)];
                let longest = total.behind_ms.max();
                text += &format!("\nbehind the schedule: {p50} ms (median), {p99} ms (99 %), {longest} ms (longest)");
            }
            if self.passed_over > 0 {
                text += &format!(
                    "\npassed over: {} (reports on replies, and of threads that said nothing)",
                    self.passed_over
                );
            }
            text
        })
    }
}

impl Lane {
    fn new() -> Result<Self, CliError> {
        let behind_ms = Histogram::new(3).map_err(|error| CliError::failure(error.to_string()))?;
        Ok(Self { sent: 0, behind_ms })
    }
}

/// Sends what comes, in its order, each when the one before is stored.
async fn send(journal: NatsJournal, mut messages: mpsc::Receiver<Due>) -> Result<Lane, CliError> {
    let mut lane = Lane::new()?;
    while let Some(Due { tenant, key, message, at }) = messages.recv().await {
        let payload: bytes::Bytes = serde_json::to_vec(&message)?.into();
        let patience = Instant::now() + PATIENCE;
        while let Err(error) =
            journal.publish_inbound(&tenant, &message.channel, &key, &message.id, payload.clone()).await
        {
            if Instant::now() > patience {
                return Err(error.into());
            }
            sleep(PAUSE).await;
        }
        lane.sent += 1;
        lane.behind_ms.saturating_record(at.elapsed().as_millis() as u64);
    }
    Ok(lane)
}

/// What a conversation's commits say of it up to this one, which may itself be of another customer than those before.
fn origin_up_to(history: &[Recorded], seq: u64) -> Result<Option<Origin>, CliError> {
    let known = history.iter().take_while(|commit| commit.seq <= seq);
    known.map(decode).try_fold(None, |origin, commit| Ok(Origin::after(origin, &commit?)))
}

fn is_receipt(commit: &Commit<ConversationEvent>) -> bool {
    commit.events.iter().any(|event| matches!(event, ConversationEvent::DeliveryReported { .. }))
}

fn decode(recorded: &Recorded) -> Result<Commit<ConversationEvent>, CliError> {
    decode_commit(&recorded.payload).map_err(|error| super::damaged(recorded, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_replayed_commit_may_be_of_another_customer_than_those_before() {
        let commit = |seq: u64, event: serde_json::Value| {
            let commit = json!({
                "commit_id": "c", "tenant": "demo", "aggregate": "conversation", "key": "k", "version": seq,
                "at": "2026-11-22T00:00:00.000Z", "actor": {"kind": "customer", "id": "x"},
                "cause": "demo/web/k/m", "cause_seq": 1, "correlation": "m", "events": [event],
            });
            Recorded { seq, subject: String::new(), payload: serde_json::to_vec(&commit).unwrap().into() }
        };
        let history = [
            commit(
                1,
                json!({"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": "t", "sender": {"id": "ann"}}),
            ),
            commit(5, json!({"type": "customer_changed", "v": 1, "channel": "web", "sender": {"id": "bob"}})),
            commit(7, json!({"type": "customer_changed", "v": 1, "channel": "web", "sender": {"id": "eve"}})),
        ];
        let sender = |seq| origin_up_to(&history, seq).unwrap().map(|origin| origin.sender.id);
        assert_eq!((sender(0), sender(4)), (None, Some("ann".to_owned())));
        assert_eq!((sender(5), sender(6)), (Some("bob".to_owned()), Some("bob".to_owned())));
    }

    #[test]
    fn a_speed_is_a_factor_or_all_that_is_possible() {
        assert_eq!("10x".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for wrong in ["", "x", "0x", "-1x", "nanx", "fast"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
        assert_eq!(Speed::Times(10.0).after(5_000), Duration::from_millis(500));
        assert_eq!(Speed::Max.after(5_000), Duration::ZERO);
    }
}
