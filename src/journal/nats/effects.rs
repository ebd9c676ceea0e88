//! What is published: effects of commits, refused input, customers' messages.

use super::{
    NatsJournal,
    connect::{self, chain},
    errors::{self, Refusal},
};
use crate::journal::{
    JournalError, Outgoing,
    subjects::{id_token, token},
};
use async_nats::{HeaderMap, HeaderName, HeaderValue, header::NATS_MESSAGE_ID, jetstream::message::PublishMessage};
use bytes::Bytes;
use std::{collections::BTreeMap, str::FromStr};

/// Longest message id that is sent as it is. Servers keep every id of the last two minutes in memory.
const MAX_ID_BYTES: usize = 512;

/// Longest header value: a reason is a sentence, and whatever quotes the input must not outgrow it.
const MAX_HEADER_BYTES: usize = 4_096;

/// Most headers of one refused input.
const MAX_HEADERS: usize = 32;

impl NatsJournal {
    pub(super) async fn publish_effect(&self, outgoing: Outgoing) -> Result<(), JournalError> {
        let subjects = &self.inner.subjects;
        match outgoing {
            Outgoing::Reply { tenant, channel, key, id, payload } => {
                check([("tenant", &tenant), ("channel", &channel), ("key", &key)])?;
                let subject = subjects.outbound(&tenant, &channel, &key);
                self.store(subject, message_headers(&format!("{tenant}/{id}")), payload).await
            }
            Outgoing::Command { tenant, source, key, id, payload } => {
                check([("tenant", &tenant), ("source", &source), ("key", &key)])?;
                let subject = subjects.command(&tenant, &source, &key);
                self.store(subject, message_headers(&format!("{tenant}/{id}")), payload).await
            }
            Outgoing::Rejected { tenant, source, id, headers, payload } => {
                // The subject may be what was wrong with it.
                let subject = subjects.rejected(&id_token(&tenant), &id_token(&source));
                self.store(subject, rejected_headers(&id, &headers), payload).await
            }
            Outgoing::Result { tenant, id, payload } => {
                check([("tenant", &tenant)])?;
                connect::connected(&self.inner.client)?;
                let sent = self.inner.client.publish(subjects.result(&tenant, &id), payload).await;
                sent.map_err(|error| JournalError::Unavailable(format!("sending a result: {}", chain(&error))))
            }
        }
    }

    /// Publishes a command whose sender waits for the result. Its id is the aggregate's to recognise: to the stream every try is
    /// a new message, since a try that the stream took for a duplicate would never be answered.
    pub(super) async fn publish_again(
        &self,
        tenant: &str,
        source: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> Result<(), JournalError> {
        check([("tenant", tenant), ("source", source), ("key", key)])?;
        let subject = self.inner.subjects.command(tenant, source, key);
        let this_try = self.inner.client.new_inbox();
        self.store(subject, message_headers(&format!("{tenant}/{id}/{this_try}")), payload).await
    }

    /// Publishes and waits until it is stored. A duplicate is stored already.
    async fn store(&self, subject: String, headers: HeaderMap, payload: Bytes) -> Result<(), JournalError> {
        let what = subject.clone();
        let result = self.publish_stored(subject, headers, payload).await;
        result.map(|_| ()).map_err(|error| errors::publish_error(&what, &error))
    }

    async fn publish_stored(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<u64, async_nats::jetstream::context::PublishError> {
        if connect::connected(&self.inner.client).is_err() {
            use async_nats::jetstream::context::{PublishError, PublishErrorKind};
            return Err(PublishError::new(PublishErrorKind::BrokenPipe));
        }
        let message = PublishMessage::build().payload(payload).headers(headers);
        Ok(self.inner.publisher.send_publish(subject, message).await?.await?.sequence)
    }

    /// Publishes a customer's message, as a channel adapter does; its sequence in the inbox.
    pub async fn publish_inbound(
        &self,
        tenant: &str,
        channel: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> Result<u64, JournalError> {
        check([("tenant", tenant), ("channel", channel), ("key", key)])?;
        let subject = self.inner.subjects.inbound(tenant, channel, key);
        let headers = message_headers(&format!("{tenant}/{channel}/{key}/{id}"));
        let result = self.publish_stored(subject, headers, payload).await;
        result.map_err(|error| match errors::refusal(&error) {
            Refusal::Full(text) if text.contains("per subject") => JournalError::Refused(format!(
                "too many messages of this thread wait already ({text}): wait until they are worked off, or raise \
                 max_msgs_per_subject of {}",
                self.inner.subjects.inbox_stream()
            )),
            Refusal::Full(text) => JournalError::Refused(format!(
                "the inbox is full ({text}): is an engine running? See max_msgs and max_bytes of {}",
                self.inner.subjects.inbox_stream()
            )),
            _ => errors::publish_error("publishing the message", &error),
        })
    }
}

fn check<const N: usize>(tokens: [(&'static str, &str); N]) -> Result<(), JournalError> {
    for (what, text) in tokens {
        token(what, text).map_err(|error| JournalError::Refused(error.to_string()))?;
    }
    Ok(())
}

fn message_headers(id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, message_id(id));
    headers
}

/// An id that can stand in a header. What cannot, because of its length or a line break in it, is hashed.
fn message_id(id: &str) -> HeaderValue {
    if id.len() <= MAX_ID_BYTES
        && !id.chars().any(char::is_control)
        && let Ok(value) = HeaderValue::from_str(id)
    {
        return value;
    }
    // A slash makes it no token, so that it is hashed whatever its characters are.
    HeaderValue::from_str(&id_token(&format!("/{id}"))).unwrap_or_else(|_| HeaderValue::new())
}

/// Headers of refused input. Names that NATS acts on are left out: a header that came from outside must not purge or
/// expire what is stored.
fn rejected_headers(id: &str, given: &BTreeMap<String, String>) -> HeaderMap {
    let mut headers = message_headers(id);
    for (name, value) in given.iter().take(MAX_HEADERS) {
        if is_reserved(name) {
            continue;
        }
        let Ok(name) = HeaderName::from_str(name) else { continue };
        let end = value.floor_char_boundary(MAX_HEADER_BYTES.min(value.len()));
        let line: String = value[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let Ok(value) = HeaderValue::from_str(line.trim()) else {
            continue;
        };
        headers.insert(name, value);
    }
    headers
}

/// Whether the server gives a header of this name a meaning.
pub(super) fn is_reserved(name: &str) -> bool {
    name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_with_a_line_break_cannot_make_a_header() {
        assert_eq!(message_id("t/web/k/1").as_str(), "t/web/k/1");
        assert_eq!(message_id("a\r\nNats-Rollup: all").as_str().len(), 32);
        assert_eq!(message_id(&"x".repeat(1_000)).as_str().len(), 32);
    }

    #[test]
    fn headers_of_refused_input_cannot_steer_the_server() {
        let given = [("Nats-Rollup", "all"), ("Kefu-Reason", "two\nlines"), ("bad name:", "x")];
        let given = given.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let headers = rejected_headers("id", &given);
        assert!(headers.get("Nats-Rollup").is_none());
        assert_eq!(headers.get("Kefu-Reason").map(|value| value.as_str()), Some("two lines"));
    }
}
