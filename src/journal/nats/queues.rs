//! The two work queues: taking a partition over, and acknowledging what was delivered.

use super::{
    NatsJournal,
    connect::{self, chain},
    errors::api_error,
};
use crate::journal::{
    AckToken, Backlog, Deliveries, Delivery, JournalError, Queue, streams::EMPTY, subjects::Subjects,
};
use async_nats::{
    client::RequestErrorKind,
    jetstream::{
        self,
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::ConsumerErrorKind,
    },
};
use bytes::Bytes;
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt, future,
    stream::{self, BoxStream},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tokio::sync::Mutex;

/// Take-over, and not this time-out, is the means of redelivery: a message may wait long behind the head of its
/// aggregate's line, and a second delivery would only be noise.
const ACK_WAIT: Duration = Duration::from_secs(600);

/// The server says this often that it has nothing; two missing ones end the stream of deliveries. What it must catch is
/// a server that forgot the pull (its leader changed); a lost connection is noticed without it.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How long one pull stands before it is renewed.
const EXPIRES: Duration = Duration::from_secs(30);

/// Two owners may take over at the same time; each deletes the other's consumer. The lease decides within a few rounds.
const ATTEMPTS: usize = 5;

/// "filtered consumer not unique on workqueue stream": the other one was quicker.
const NOT_UNIQUE: u64 = 10100;
/// "consumer not found": somebody else deleted it.
const CONSUMER_NOT_FOUND: u64 = 10014;

/// So many acknowledgements of one consumer may be unconfirmed. After a million shuffled ones without confirmation half
/// were not applied three seconds later; at 128 a confirmation costs less than 1 % of the rate.
const UNCONFIRMED_ACKS: u32 = 128;

/// How long a confirmation may take; as long as a publish.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);

/// Counters of unconfirmed acknowledgements. Consumers share them by hash: with 32 consumers few share one, and those
/// that do are confirmed more often than they need.
pub(super) struct AckSlots([Mutex<u32>; 64]);

impl Default for AckSlots {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(0)))
    }
}

impl AckSlots {
    fn of(&self, token: &AckToken) -> &Mutex<u32> {
        let mut hasher = DefaultHasher::new();
        consumer_of(&token.0).hash(&mut hasher);
        &self.0[hasher.finish() as usize % self.0.len()]
    }
}

/// Stream and consumer in `$JS.ACK.<stream>.<consumer>.…`; in the longer form, domain and account come before them, and
/// are the same for all.
fn consumer_of(reply: &str) -> &str {
    let wanted = if reply.split('.').count() >= 11 { 6 } else { 4 };
    match reply.match_indices('.').nth(wanted - 1) {
        Some((end, _)) => &reply[..end],
        None => reply,
    }
}

impl NatsJournal {
    pub(super) async fn take_over_partition(
        &self,
        partition: u16,
        epoch: u64,
        max_pending: usize,
    ) -> Result<Deliveries, JournalError> {
        let disconnected = self.disconnected();
        connect::connected(&self.inner.client)?;
        let subjects = &self.inner.subjects;
        let ((inbox, in_inbox), (commands, in_commands)) = future::try_join(
            self.own_queue(Queue::Inbox, subjects.inbox_stream(), partition, epoch, max_pending),
            self.own_queue(Queue::Commands, subjects.commands_stream(), partition, epoch, max_pending),
        )
        .await?;
        // An owner of one queue alone is no owner: the end of either ends both.
        let ending =
            |deliveries: BoxStream<'static, Delivery>| deliveries.map(Some).chain(stream::once(future::ready(None)));
        let merged = stream::select(ending(inbox), ending(commands))
            .take_while(|delivery| future::ready(delivery.is_some()))
            .filter_map(future::ready);
        let backlog = Backlog::new(in_inbox, in_commands, max_pending);
        Ok(Deliveries::new(merged.take_until(disconnected.boxed()).boxed(), backlog))
    }

    /// Deletes the partition's consumers of other owners, makes ours, and pulls from it. Also how many messages wait.
    async fn own_queue(
        &self,
        queue: Queue,
        stream: String,
        partition: u16,
        epoch: u64,
        max_pending: usize,
    ) -> Result<(BoxStream<'static, Delivery>, u64), JournalError> {
        let (kind, filter) = match queue {
            Queue::Inbox => ("inbox", self.inner.subjects.inbox_partition(partition)),
            Queue::Commands => ("commands", self.inner.subjects.commands_partition(partition)),
        };
        let owned = format!("{kind}-{partition}-e");
        let config = pull::Config {
            durable_name: Some(format!("{owned}{epoch}")),
            description: Some("kefu: the owner of this partition; deleted by the next one".into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: i64::try_from(max_pending).unwrap_or(i64::MAX),
            filter_subject: filter,
            ..Default::default()
        };
        for _ in 0..ATTEMPTS {
            self.delete_consumers(&stream, &owned).await?;
            match self.inner.api.create_consumer_on_stream(config.clone(), stream.clone()).await {
                Ok(consumer) => {
                    let waiting = consumer.cached_info().num_pending;
                    return Ok((self.pull_from(queue, consumer, max_pending).await?, waiting));
                }
                Err(error) => match error.kind() {
                    ConsumerErrorKind::JetStream(answer) if answer.error_code().0 == NOT_UNIQUE => {}
                    ConsumerErrorKind::JetStream(answer) => return Err(api_error(&stream, &answer)),
                    _ => return Err(JournalError::Unavailable(format!("{stream}: {}", chain(&error)))),
                },
            }
        }
        let text = format!("{stream}: others take partition {partition} over at the same time");
        Err(JournalError::Unavailable(text))
    }

    /// All epochs, this one too: whoever takes over gets every unacked message from the first.
    async fn delete_consumers(&self, stream: &str, prefix: &str) -> Result<(), JournalError> {
        let handle = self.stream_handle(stream).await?;
        let mut names = handle.consumer_names();
        while let Some(name) = names.try_next().await.map_err(|error| unavailable(stream, &error))? {
            let epoch = name.strip_prefix(prefix);
            if !epoch.is_some_and(|epoch| epoch.bytes().all(|byte| byte.is_ascii_digit())) {
                continue;
            }
            let deleted: Result<serde_json::Value, _> =
                self.api(format!("CONSUMER.DELETE.{stream}.{name}"), &EMPTY).await?;
            match deleted {
                Err(error) if error.error_code().0 != CONSUMER_NOT_FOUND => return Err(api_error(stream, &error)),
                _ => {}
            }
        }
        Ok(())
    }

    async fn pull_from(
        &self,
        queue: Queue,
        consumer: jetstream::consumer::Consumer<pull::Config>,
        max_pending: usize,
    ) -> Result<BoxStream<'static, Delivery>, JournalError> {
        let pull = consumer.stream().max_messages_per_batch(max_pending.max(1)).heartbeat(HEARTBEAT).expires(EXPIRES);
        let messages = pull.messages().await.map_err(|error| JournalError::Unavailable(chain(&error)))?;
        Ok(deliveries(queue, self.inner.subjects.clone(), messages).boxed())
    }

    pub(super) async fn acknowledge(&self, token: &AckToken) -> Result<(), JournalError> {
        // The count is held while a confirmation is under way, so that no more can pile up behind it.
        let mut unconfirmed = self.inner.acks.of(token).lock().await;
        connect::connected(&self.inner.client)?;
        *unconfirmed += 1;
        let subject = token.0.clone();
        if *unconfirmed < UNCONFIRMED_ACKS {
            let sent = self.inner.client.publish(subject, ACK).await;
            return sent.map_err(|error| JournalError::Unavailable(format!("acknowledging: {error}")));
        }
        let request = async_nats::Request::new().payload(ACK).timeout(Some(CONFIRM_TIMEOUT));
        let confirmed = self.inner.client.send_request(subject, request).await;
        *unconfirmed = 0;
        match confirmed {
            Ok(_) => Ok(()),
            // The consumer is gone, so somebody else has the message now.
            Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Err(error) => Err(JournalError::Unavailable(format!("acknowledging: {}", chain(&error)))),
        }
    }
}

const ACK: Bytes = Bytes::from_static(b"+ACK");

/// Ends at the first error: the consumer was deleted, the heartbeat is missing, or the pull could not be sent. The
/// client library would go on after some of these; but then nobody knows what was delivered to whom.
fn deliveries(queue: Queue, subjects: Subjects, messages: pull::Stream) -> impl Stream<Item = Delivery> + Send {
    let healthy = messages.take_while(move |message| {
        if let Err(error) = message {
            tracing::debug!(?queue, %error, "deliveries end");
        }
        future::ready(message.is_ok())
    });
    healthy
        .filter_map(move |message| future::ready(message.ok().and_then(|message| delivery(queue, &subjects, message))))
}

fn delivery(queue: Queue, subjects: &Subjects, message: jetstream::Message) -> Option<Delivery> {
    let stream_seq = message.info().ok()?.stream_sequence;
    let message = message.message;
    let Some(address) = subjects.parse_queue(&message.subject) else {
        // The stream's own transform makes these subjects, so this is another program's stream.
        tracing::error!(subject = %message.subject, "a message with a foreign subject is left alone");
        return None;
    };
    let ack = AckToken(message.reply?.into_string());
    Some(Delivery {
        queue,
        stream_seq,
        tenant: address.tenant,
        source: address.source,
        key: address.key,
        payload: message.payload,
        ack,
    })
}

fn unavailable(what: &str, error: &dyn std::error::Error) -> JournalError {
    JournalError::Unavailable(format!("{what}: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_found_in_both_forms_of_an_ack_subject() {
        assert_eq!(consumer_of("$JS.ACK.S.c.1.2.3.4.5"), "$JS.ACK.S.c");
        assert_eq!(consumer_of("$JS.ACK._.hash.S.c.1.2.3.4.5"), "$JS.ACK._.hash.S.c");
    }
}
