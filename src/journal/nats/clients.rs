//! What the command line and the bridge need: queries, results of commands, the outbox, refused input.

use super::{
    NatsJournal,
    connect::{self, chain},
    direct::{Direct, Unserved},
    effects::is_reserved,
    errors::api_error,
    log::found,
};
use crate::journal::{
    JournalError, Outgoing, RejectedRecord,
    credentials::{AccountKind, analyst_consumer, analyst_subjects, outbox_consumer},
    streams::EMPTY,
    subjects::token,
};
use async_nats::{
    HeaderMap, Subscriber,
    client::RequestErrorKind,
    jetstream::{
        ErrorCode,
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::ConsumerErrorKind,
    },
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use serde_json::json;
use std::{future::Future, time::Duration};

/// "sequence … not found": deleted already.
const SEQUENCE_NOT_FOUND: u64 = 10043;

/// Queries that one node answers at once; more wait in the connection. Each may read a page out of the store.
const QUERIES_AT_ONCE: usize = 64;

/// Messages that an adapter may hold unacked: some seconds of a busy channel.
const CLIENT_PENDING: i64 = 10_000;

/// How long an adapter may take over one reply before it gets it again.
const CLIENT_ACK_WAIT: Duration = Duration::from_secs(30);

/// A reply as `KEFU_OUTBOX` stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Sequence in `KEFU_OUTBOX`.
    pub seq: u64,
    /// When the server stored it.
    pub at: DateTime<Utc>,
    /// Tenant, from the subject.
    pub tenant: String,
    /// Channel, from the subject.
    pub channel: String,
    /// Conversation key, from the subject.
    pub key: String,
    /// The outbound message's JSON.
    pub payload: Bytes,
}

/// Where reading the outbox begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxStart {
    /// After this sequence (0: from the oldest stored).
    After(u64),
    /// With what comes from now on.
    New,
}

/// What a handler of queries gives back: the JSON of the answer.
pub type QueryReply = Bytes;

impl NatsJournal {
    /// Answers queries. When this returns, the node is asked; the returned future answers until it is dropped or the
    /// connection is closed. `handler` gets tenant, name and body.
    pub async fn serve_queries<H, F>(
        &self,
        handler: H,
    ) -> Result<impl Future<Output = ()> + Send + use<H, F>, JournalError>
    where
        H: Fn(String, String, Bytes) -> F + Send + Sync + 'static,
        F: Future<Output = QueryReply> + Send + 'static,
    {
        connect::connected(&self.inner.client)?;
        let client = self.inner.client.clone();
        let group = self.inner.subjects.prefix().to_owned();
        let subscribed = client.queue_subscribe(self.inner.subjects.query("*", "*"), group).await;
        let queries = subscribed.map_err(|error| JournalError::Unavailable(chain(&error)))?;
        self.flush().await?;
        let subjects = self.inner.subjects.clone();
        Ok(async move {
            let (handler, client, subjects) = (&handler, &client, &subjects);
            let answers = queries.for_each_concurrent(QUERIES_AT_ONCE, |query| async move {
                let Some(reply) = query.reply else { return };
                let Some((tenant, name)) = subjects.parse_query(&query.subject) else {
                    return;
                };
                let mut answer = handler(tenant, name, query.payload).await;
                if answer.len() > client.max_payload() {
                    let error = json!({ "error": {
                        "code": "answer_too_large",
                        "message": "the answer does not fit into one message: ask for smaller pages",
                    } });
                    answer = error.to_string().into();
                }
                if let Err(error) = client.publish(reply, answer).await {
                    tracing::debug!(%error, "an answer could not be sent");
                }
            });
            answers.await;
        })
    }

    /// Asks a query; any node that is caught up answers.
    pub async fn query(
        &self,
        tenant: &str,
        name: &str,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<QueryReply, JournalError> {
        check(tenant, name)?;
        connect::connected(&self.inner.client)?;
        let request = async_nats::Request::new().payload(payload).timeout(Some(timeout));
        let answer = self.inner.client.send_request(self.inner.subjects.query(tenant, name), request).await;
        answer.map(|message| message.payload).map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => {
                JournalError::Unavailable("no kefu answers queries here: is one running, and caught up?".into())
            }
            RequestErrorKind::TimedOut => JournalError::Unavailable(format!("no answer within {timeout:?}")),
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                JournalError::Refused(chain(&error))
            }
            _ => JournalError::Unavailable(chain(&error)),
        })
    }

    /// Listens for the result of a command. Ask for it before the command is published: a result is sent once, and not
    /// kept for late listeners.
    pub async fn subscribe_result(&self, tenant: &str, id: &str) -> Result<BoxStream<'static, Bytes>, JournalError> {
        Ok(self.result_subscription(tenant, id).await?.map(|message| message.payload).boxed())
    }

    async fn result_subscription(&self, tenant: &str, id: &str) -> Result<Subscriber, JournalError> {
        check(tenant, "any")?;
        connect::connected(&self.inner.client)?;
        let subject = self.inner.subjects.result(tenant, id);
        let subscribed = self.inner.client.subscribe(subject).await;
        subscribed.map_err(|error| JournalError::Unavailable(chain(&error)))
    }

    /// Publishes a command and waits for its result. `None`: it is stored and will be decided, but not within `timeout`.
    pub async fn request_command(&self, command: Outgoing, timeout: Duration) -> Result<Option<Bytes>, JournalError> {
        let Outgoing::Command { tenant, source, key, id, payload } = &command else {
            return Err(JournalError::Refused("only a command has a result".into()));
        };
        // The server handles one connection's lines in order, so the subscription stands when the command arrives.
        let mut results = self.result_subscription(tenant, id).await?;
        self.publish_again(tenant, source, key, id, payload.clone()).await?;
        Ok(tokio::time::timeout(timeout, results.next()).await.ok().flatten().map(|message| message.payload))
    }

    /// Replies of one tenant, and of one channel or all.
    pub async fn outbox(
        &self,
        tenant: &str,
        channel: Option<&str>,
        start: OutboxStart,
    ) -> Result<BoxStream<'static, Result<OutboxRecord, JournalError>>, JournalError> {
        check(tenant, channel.unwrap_or("any"))?;
        let subjects = self.inner.subjects.clone();
        let stream = subjects.outbox_stream();
        let after = match start {
            OutboxStart::After(after) => after,
            OutboxStart::New => self.stream_position(&stream).await?.last,
        };
        let filter = subjects.outbound_of_channel(tenant, channel.unwrap_or("*"));
        let replies = self.follow(&stream, Some(filter), after).await?;
        let records = replies.map_ok(move |reply| {
            let (tenant, channel, key) = subjects.parse_outbound(&reply.subject).unwrap_or_default();
            OutboxRecord { seq: reply.seq, at: reply.at, tenant, channel, key, payload: reply.payload }
        });
        Ok(records.boxed())
    }

    /// Makes the durable consumer through which an adapter reads its replies, or an analyst the log, if it is not there
    /// yet; its name. The engine makes it because they may not: who may create consumers can aim one at any subject.
    pub async fn ensure_consumer_of(&self, user: &str, kind: &AccountKind) -> Result<Option<String>, JournalError> {
        let Some((stream, name, filter_subjects)) = self.consumer_of(user, kind)? else {
            return Ok(None);
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            description: Some(format!("kefu: for {user}")),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: CLIENT_ACK_WAIT,
            max_ack_pending: CLIENT_PENDING,
            filter_subjects,
            ..Default::default()
        };
        connect::connected(&self.inner.client)?;
        let made = self.inner.api.create_consumer_on_stream(config, stream.clone()).await;
        made.map_err(|error| match error.kind() {
            ConsumerErrorKind::JetStream(answer) => api_error(&stream, &answer),
            _ => JournalError::Unavailable(format!("{stream}: {}", chain(&error))),
        })?;
        Ok(Some(name))
    }

    /// The same for a channel's adapter.
    pub async fn ensure_outbox_consumer(&self, tenant: &str, channel: &str) -> Result<String, JournalError> {
        let kind = AccountKind::Channel { tenant: tenant.to_owned(), channel: channel.to_owned() };
        let name = self.ensure_consumer_of(&format!("{tenant}.{channel}"), &kind).await?;
        Ok(name.unwrap_or_default())
    }

    /// Deletes the consumer of somebody whose credentials were revoked.
    pub async fn delete_consumer_of(&self, user: &str, kind: &AccountKind) -> Result<(), JournalError> {
        let Some((stream, name, _)) = self.consumer_of(user, kind)? else {
            return Ok(());
        };
        let answer: Result<serde_json::Value, _> = self.api(format!("CONSUMER.DELETE.{stream}.{name}"), &EMPTY).await?;
        match answer {
            Err(error) if error.code() != 404 => Err(api_error(&stream, &error)),
            _ => Ok(()),
        }
    }

    /// Stream, name and filters of an account's consumer.
    fn consumer_of(
        &self,
        user: &str,
        kind: &AccountKind,
    ) -> Result<Option<(String, String, Vec<String>)>, JournalError> {
        let subjects = &self.inner.subjects;
        Ok(match kind {
            AccountKind::Engine => None,
            AccountKind::Channel { tenant, channel } => {
                check(tenant, channel)?;
                let filter = subjects.outbound_of_channel(tenant, channel);
                Some((subjects.outbox_stream(), outbox_consumer(tenant, channel), vec![filter]))
            }
            AccountKind::Analyst { tenant } => {
                let tenant = tenant.as_deref();
                check(tenant.unwrap_or("any"), "any")?;
                let filters = analyst_subjects(subjects, tenant);
                Some((subjects.events_stream(), analyst_consumer(user), filters))
            }
        })
    }

    /// Refused input with a sequence from `from`, oldest first, of one tenant or of all, `limit` at most. The next page
    /// begins after the last record's sequence.
    pub async fn rejected(
        &self,
        tenant: Option<&str>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RejectedRecord>, JournalError> {
        check(tenant.unwrap_or("any"), "any")?;
        let stream = self.inner.subjects.rejected_stream();
        let pattern = self.inner.subjects.rejected(tenant.unwrap_or("*"), "*");
        let messages = self.direct_get(&stream, &pattern, from, limit).await.map_err(|error| match error {
            Unserved::Failed(error) => error,
            Unserved::NotOffered => JournalError::Unavailable(format!("nobody answers for {stream}")),
        })?;
        Ok(messages.into_iter().filter_map(|message| self.rejected_record(message)).collect())
    }

    /// One refused input.
    pub async fn rejected_get(&self, seq: u64) -> Result<Option<RejectedRecord>, JournalError> {
        let stream = self.stream_handle(&self.inner.subjects.rejected_stream()).await?;
        let Some(message) = found(stream.get_raw_message(seq.max(1)).await)?.filter(|found| found.sequence == seq)
        else {
            return Ok(None);
        };
        let nanos = i64::try_from(message.time.unix_timestamp_nanos()).unwrap_or(0);
        Ok(self.rejected_record(Direct {
            seq,
            subject: message.subject.into_string(),
            at: DateTime::from_timestamp_nanos(nanos),
            headers: message.headers,
            payload: message.payload,
        }))
    }

    /// Takes one refused input out, once it was replayed. Whether it was there.
    pub async fn rejected_delete(&self, seq: u64) -> Result<bool, JournalError> {
        let stream = self.inner.subjects.rejected_stream();
        let answer: Result<serde_json::Value, _> =
            self.api(format!("STREAM.MSG.DELETE.{stream}"), &json!({ "seq": seq })).await?;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.error_code() == ErrorCode(SEQUENCE_NOT_FOUND) || error.code() == 404 => Ok(false),
            Err(error) => Err(api_error(&stream, &error)),
        }
    }

    fn rejected_record(&self, message: Direct) -> Option<RejectedRecord> {
        let (tenant, source) = self.inner.subjects.parse_rejected(&message.subject)?;
        let headers = own_headers(&message.headers);
        Some(RejectedRecord { seq: message.seq, at: message.at, tenant, source, headers, payload: message.payload })
    }

    /// A stream of this installation by name, for `doctor`: messages, bytes, first and last sequence and the like, as
    /// the server tells them.
    pub async fn stream_info(&self, stream: &str) -> Result<serde_json::Value, JournalError> {
        let answer = self.api(format!("STREAM.INFO.{stream}"), &EMPTY).await?;
        answer.map_err(|error| api_error(stream, &error))
    }
}

/// Headers without those that the server made.
fn own_headers(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    let own = headers.iter().filter(|(name, _)| !is_reserved(name.as_ref()));
    own.filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string()))).collect()
}

fn check(tenant: &str, other: &str) -> Result<(), JournalError> {
    for (what, text) in [("tenant", tenant), ("name", other)] {
        token(what, text).map_err(|error| JournalError::Refused(error.to_string()))?;
    }
    Ok(())
}
