//! A reader of a stream that heals itself: in order, without gaps, for ever.
//!
//! It pulls from an unacknowledged consumer in memory, and makes a new one from the last sequence it handed out whenever
//! anything is odd: a missing heartbeat, a consumer that is gone, a gap in the consumer's own count. (The client
//! library has such a consumer too; this one also notices a stream that went back, and ends when a retry is in vain.)

use super::{NatsJournal, connect::chain, errors::api_error};
use crate::journal::{
    JournalError, Recorded,
    streams::{EMPTY, StreamInfo},
};
use async_nats::jetstream::{
    Message,
    consumer::{
        AckPolicy, DeliverPolicy,
        pull::{self, MessagesError},
    },
    stream::ConsumerErrorKind,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{
    FutureExt, Stream, StreamExt,
    stream::{self, BoxStream},
};
use std::time::Duration;

/// Messages asked for at once: enough that the wire is never idle at 200,000 messages a second, few enough that their
/// bytes are no burden.
const BATCH: usize = 4_096;
/// Bytes asked for at once, for streams of large messages.
const BATCH_BYTES: usize = 16 << 20;
/// The server says this often that it has nothing; two missing ones make a new consumer. Short, because a tail that
/// hangs unnoticed stalls activations; not shorter, because a busy machine may be silent for seconds.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long one pull stands.
const EXPIRES: Duration = Duration::from_secs(30);
/// The server forgets a consumer that nobody pulls from after this time: longer than a reconnect takes.
const INACTIVE: Duration = Duration::from_secs(60);
/// Pauses between attempts to make a new consumer: short at first, for a server that restarts.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// A message that was read.
#[derive(Debug)]
pub(super) struct Followed {
    pub seq: u64,
    pub at: DateTime<Utc>,
    pub subject: String,
    pub payload: Bytes,
}

impl Followed {
    pub fn into_recorded(self) -> Recorded {
        Recorded { seq: self.seq, subject: self.subject, payload: self.payload }
    }
}

struct Reader {
    journal: NatsJournal,
    stream: String,
    filter: Option<String>,
    /// Sequence of the last message that was handed out, or where reading began.
    after: u64,
    /// The stream that was read from, once something was.
    identity: Option<String>,
    delivered: bool,
    /// The consumer's own count of its last message.
    consumer_seq: u64,
    /// Ends with the connection, so that a lost one is not noticed by missing heartbeats only.
    pull: Option<BoxStream<'static, Result<Message, MessagesError>>>,
    ended: bool,
}

impl NatsJournal {
    /// Everything in `stream` above `after` that matches `filter`, then what comes.
    pub(super) async fn follow(
        &self,
        stream: &str,
        filter: Option<String>,
        after: u64,
    ) -> Result<impl Stream<Item = Result<Followed, JournalError>> + Send + use<>, JournalError> {
        Ok(self.follow_counted(stream, filter, after).await?.0)
    }

    /// The same, and how many messages were stored when reading began.
    pub(super) async fn follow_counted(
        &self,
        stream: &str,
        filter: Option<String>,
        after: u64,
    ) -> Result<(impl Stream<Item = Result<Followed, JournalError>> + Send + use<>, usize), JournalError> {
        let mut reader = Reader {
            journal: self.clone(),
            stream: stream.to_owned(),
            filter,
            after,
            identity: None,
            delivered: false,
            consumer_seq: 0,
            pull: None,
            ended: false,
        };
        let pending = reader.open().await?;
        let messages = stream::unfold(reader, |mut reader| async move {
            let next = reader.next().await?;
            reader.ended = next.is_err();
            Some((next, reader))
        });
        Ok((messages, usize::try_from(pending).unwrap_or(usize::MAX)))
    }
}

impl Reader {
    async fn next(&mut self) -> Option<Result<Followed, JournalError>> {
        let mut pause = RETRY_MIN;
        while !self.ended {
            let Some(pull) = &mut self.pull else {
                match self.open().await {
                    Ok(_) => continue,
                    Err(error) if error.is_transient() => {
                        tracing::debug!(stream = self.stream, %error, "reading is interrupted");
                        let mut connection = self.journal.connection_events();
                        let _ = connection.wait_for(|now| now.connected).await;
                        tokio::time::sleep(pause).await;
                        pause = RETRY_MAX.min(pause * 2);
                        continue;
                    }
                    Err(error) => return Some(Err(error)),
                }
            };
            let Some(Ok(message)) = pull.next().await else {
                self.pull = None;
                continue;
            };
            let Ok(info) = message.info() else {
                self.pull = None;
                continue;
            };
            if info.consumer_sequence != self.consumer_seq + 1 {
                self.pull = None; // something between was lost
                continue;
            }
            self.consumer_seq += 1;
            // A start beyond the stream's end is moved back to its end by the server.
            if info.stream_sequence <= self.after {
                continue;
            }
            self.after = info.stream_sequence;
            self.delivered = true;
            let nanos = i64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(0);
            let at = DateTime::from_timestamp_nanos(nanos);
            let message = message.message;
            let subject = message.subject.into_string();
            return Some(Ok(Followed { seq: self.after, at, subject, payload: message.payload }));
        }
        None
    }

    /// Makes a consumer from where reading stands; how many messages wait there.
    async fn open(&mut self) -> Result<u64, JournalError> {
        let disconnected = self.journal.disconnected();
        let info = self.journal.api::<StreamInfo>(format!("STREAM.INFO.{}", self.stream), &EMPTY).await?;
        let position = info.map_err(|error| api_error(&self.stream, &error))?.position();
        let identity = self.identity.get_or_insert_with(|| position.identity.clone());
        if *identity != position.identity {
            return Err(JournalError::Refused(format!(
                "the stream {} was deleted and made again while it was read",
                self.stream
            )));
        }
        if self.delivered && position.last < self.after {
            return Err(JournalError::Refused(format!(
                "the stream {} went back: it ends at {}, but {} was read from it",
                self.stream, position.last, self.after
            )));
        }
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.after.saturating_add(1) },
            ack_policy: AckPolicy::None,
            filter_subject: self.filter.clone().unwrap_or_default(),
            inactive_threshold: INACTIVE,
            num_replicas: 1,
            memory_storage: true,
            ..Default::default()
        };
        let created = self.journal.inner.api.create_consumer_on_stream(config, self.stream.clone()).await;
        let consumer = created.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(answer) => api_error(&self.stream, &answer),
            _ => JournalError::Unavailable(chain(&error)),
        })?;
        let pending = consumer.cached_info().num_pending;
        let pull = consumer
            .stream()
            .max_messages_per_batch(BATCH)
            .max_bytes_per_batch(BATCH_BYTES)
            .heartbeat(HEARTBEAT)
            .expires(EXPIRES);
        let messages = pull.messages().await.map_err(|error| JournalError::Unavailable(chain(&error)))?;
        self.pull = Some(messages.take_until(disconnected.boxed()).boxed());
        self.consumer_seq = 0;
        Ok(pending)
    }
}
