//! The log of commits, `KEFU_EVENTS`.

use super::{
    NatsJournal, connect,
    direct::Unserved,
    errors::{self, api_error},
};
use crate::journal::{
    AppendError, JournalError, LogPosition, Recorded,
    streams::{EMPTY, StreamInfo},
};
use async_nats::jetstream::{
    ErrorCode,
    message::{PublishMessage, StreamMessage},
    stream::{LastRawMessageErrorKind, RawMessageError, Stream},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

/// "stream not found".
pub(super) const STREAM_NOT_FOUND: u64 = 10059;

impl NatsJournal {
    pub(super) async fn stream_position(&self, stream: &str) -> Result<LogPosition, JournalError> {
        let answer = self.api::<StreamInfo>(format!("STREAM.INFO.{stream}"), &EMPTY).await?;
        let info = answer.map_err(|error| match error.error_code() {
            ErrorCode(STREAM_NOT_FOUND) => JournalError::Misconfigured(format!(
                "the stream {stream} is gone: restore it from a backup, or restart kefu, which makes an empty one"
            )),
            _ => api_error(stream, &error),
        })?;
        Ok(info.position())
    }

    pub(super) async fn append_commit(&self, subject: &str, expected: u64, payload: Bytes) -> Result<u64, AppendError> {
        connect::connected(&self.inner.client).map_err(|error| AppendError::Unknown(error.to_string()))?;
        // No Nats-Msg-Id: with replicas, an id that is already known hides a conflict behind `duplicate: true`.
        let message = PublishMessage::build().payload(payload).expected_last_subject_sequence(expected);
        let sent = self.inner.publisher.send_publish(subject.to_owned(), message).await;
        let ack = sent.map_err(|error| errors::append_error(&error))?.await;
        ack.map(|ack| ack.sequence).map_err(|error| errors::append_error(&error))
    }

    /// By `STREAM.MSG.GET`, which the leader answers, unlike a direct get.
    pub(super) async fn last_commit(&self, subject: &str) -> Result<Option<Recorded>, JournalError> {
        let stream = self.stream_handle(&self.inner.subjects.events_stream()).await?;
        Ok(found(stream.get_last_raw_message_by_subject(subject).await)?.map(recorded))
    }

    pub(super) async fn commit_at(&self, seq: u64) -> Result<Option<Recorded>, JournalError> {
        if seq == 0 {
            return Ok(None); // the server takes 0 for "not given"
        }
        let stream = self.stream_handle(&self.inner.subjects.events_stream()).await?;
        Ok(found(stream.get_raw_message(seq).await)?.map(recorded))
    }

    /// The client library's handle of a stream, without asking the server.
    pub(super) async fn stream_handle(&self, stream: &str) -> Result<Stream<()>, JournalError> {
        connect::connected(&self.inner.client)?;
        let handle = self.inner.api.get_stream_no_info(stream).await;
        handle.map_err(|error| JournalError::Refused(format!("{stream}: {error}")))
    }

    /// From a batched direct get, which any replica may answer: on R3 it may lack the newest commits. The caller's next
    /// append then conflicts, and it loads again.
    pub(super) async fn commits_of(&self, subject: &str, after: u64) -> Result<Vec<Recorded>, JournalError> {
        let stream = self.inner.subjects.events_stream();
        match self.direct_get(&stream, subject, after.saturating_add(1), usize::MAX).await {
            Ok(messages) => {
                let commits = messages.into_iter().map(|message| Recorded {
                    seq: message.seq,
                    subject: message.subject,
                    payload: message.payload,
                });
                Ok(commits.collect())
            }
            Err(Unserved::NotOffered) => self.commits_by_consumer(&stream, subject, after).await,
            Err(Unserved::Failed(error)) => Err(error),
        }
    }

    /// The same by a consumer, where direct gets are not to be had (a mirror's leader election, an old replica).
    async fn commits_by_consumer(
        &self,
        stream: &str,
        subject: &str,
        after: u64,
    ) -> Result<Vec<Recorded>, JournalError> {
        let (messages, pending) = self.follow_counted(stream, Some(subject.to_owned()), after).await?;
        let commits = messages.take(pending).map_ok(|message| message.into_recorded());
        commits.try_collect().await
    }

    pub(super) async fn tail_commits(
        &self,
        after: u64,
        filter: Option<String>,
    ) -> Result<BoxStream<'static, Result<Recorded, JournalError>>, JournalError> {
        let messages = self.follow(&self.inner.subjects.events_stream(), filter, after).await?;
        Ok(messages.map_ok(|message| message.into_recorded()).boxed())
    }
}

fn recorded(message: StreamMessage) -> Recorded {
    Recorded { seq: message.sequence, subject: message.subject.into_string(), payload: message.payload }
}

/// The message, or that there is none.
pub(super) fn found(answer: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, JournalError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(answer) => Err(api_error("reading a message", &answer)),
            _ => Err(JournalError::Unavailable(format!("reading a message: {}", connect::chain(&error)))),
        },
    }
}
