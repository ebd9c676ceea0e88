//! Batched direct gets: many stored messages of one subject (or pattern) for one request, without a consumer.

use super::{NatsJournal, connect};
use crate::journal::JournalError;
use async_nats::{HeaderMap, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde_json::json;
use std::time::Duration;

/// Messages per request. The server also ends a batch by bytes; a conversation rarely has more commits than this.
const BATCH: usize = 256;

/// How long the next message of a batch may take. They follow each other at once: longer means that the connection or
/// the replica is gone.
const NEXT_MESSAGE: Duration = Duration::from_secs(5);

/// A stored message, got directly.
#[derive(Debug)]
pub(super) struct Direct {
    pub seq: u64,
    pub subject: String,
    pub at: DateTime<Utc>,
    pub headers: HeaderMap,
    pub payload: Bytes,
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Unserved {
    /// Nobody offers direct gets of this stream now.
    NotOffered,
    Failed(JournalError),
}

impl From<JournalError> for Unserved {
    fn from(error: JournalError) -> Self {
        Self::Failed(error)
    }
}

enum Page {
    /// Whether more is stored than this page had.
    More(bool),
    Nothing,
}

impl NatsJournal {
    /// Messages that match `subject` with a sequence from `from`, in order, `limit` at most.
    pub(super) async fn direct_get(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Direct>, Unserved> {
        let mut messages = Vec::new();
        let mut next = from.max(1);
        while messages.len() < limit {
            let batch = BATCH.min(limit - messages.len());
            let known = messages.len();
            match self.direct_page(stream, subject, next, batch, &mut messages).await? {
                Page::Nothing => break,
                Page::More(more) => match messages.last() {
                    // A page without a message would make this loop endless.
                    Some(last) if more && messages.len() > known => next = last.seq + 1,
                    _ => break,
                },
            }
        }
        Ok(messages)
    }

    async fn direct_page(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
        batch: usize,
        messages: &mut Vec<Direct>,
    ) -> Result<Page, Unserved> {
        let client = &self.inner.client;
        connect::connected(client)?;
        let failed = |what: String| Unserved::Failed(JournalError::Unavailable(format!("reading {stream}: {what}")));
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| failed(error.to_string()))?;
        let request = json!({ "seq": from, "next_by_subj": subject, "batch": batch }).to_string();
        let address = format!("$JS.API.DIRECT.GET.{stream}");
        let sent = client.publish_with_reply(address, inbox, request.into()).await;
        sent.map_err(|error| failed(error.to_string()))?;
        loop {
            let answer = tokio::time::timeout(NEXT_MESSAGE, answers.next()).await;
            let Ok(Some(message)) = answer else {
                return Err(failed("no answer".into()));
            };
            let headers = message.headers.unwrap_or_default();
            match message.status.map(|status| status.as_u16()) {
                None | Some(200) => messages.push(direct(&headers, message.payload).map_err(failed)?),
                // The end of the batch says how many more match.
                Some(204) => {
                    return Ok(Page::More(header(&headers, "Nats-Num-Pending").is_some_and(|n| n != "0")));
                }
                Some(404) => return Ok(Page::Nothing),
                _ if message.status == Some(StatusCode::NO_RESPONDERS) => return Err(Unserved::NotOffered),
                Some(status) => {
                    return Err(failed(format!("{status} {}", message.description.unwrap_or_default())));
                }
            }
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.as_str())
}

/// The message inside a direct get's answer: what the server says about it is in `Nats-…` headers.
fn direct(headers: &HeaderMap, payload: Bytes) -> Result<Direct, String> {
    let seq = header(headers, "Nats-Sequence").and_then(|seq| seq.parse().ok()).ok_or("no sequence")?;
    let subject = header(headers, "Nats-Subject").ok_or("no subject")?.to_owned();
    let at = header(headers, "Nats-Time-Stamp").and_then(|at| at.parse().ok()).ok_or("no time")?;
    Ok(Direct { seq, subject, at, headers: headers.clone(), payload })
}
