//! Customers on their own pages: tokens for one thread, what a customer sees of it, and what a customer says.

use super::{answer::Failure, limit, upstream::Upstream};
use crate::{
    access::{
        Credential, Permission, Principal, Resource,
        customer::{self, CUSTOMER_KEY_PREFIX, Claims},
        secret::new_secret,
    },
    journal::Journal,
};
use kefu_events::{
    Content, Inbound, Sender, Timestamp,
    key::{RESERVED_CHANNELS, conversation_key, is_token},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The note that holds the key of all customers' tokens.
const KEY_NOTE: &str = "customer-tokens";
/// A key that was changed, so that all tokens end, is good no longer than this on nodes that do not know.
const KEY_IS_FRESH: Duration = Duration::from_secs(60);
/// How long a token is good, unless it is said, and at most.
const USUAL_S: u64 = 3_600;
const LONGEST_S: u64 = 24 * 3_600;
/// Bytes of a thread or a sender, as for every channel.
const MAX_ID_BYTES: usize = 512;
/// Characters of what a customer says in one message.
const MAX_TEXT_CHARS: usize = 16_000;

/// The key, once it was read, and when.
#[derive(Default)]
pub(super) struct Customers(Mutex<Option<(String, Instant)>>);

impl Customers {
    /// Who shows this token, as far as that is known without asking the bus.
    pub fn known(&self, token: &str) -> Option<Principal> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (key, _) = known.filter(|(_, read)| read.elapsed() < KEY_IS_FRESH)?;
        customer::read(&key, token, chrono::Utc::now().into()).ok().map(Claims::principal)
    }

    /// The key of now; one is made where there is none yet.
    async fn key(&self, journal: &impl Journal) -> Result<String, Failure> {
        loop {
            if let Some(note) = journal.note(KEY_NOTE).await? {
                let key = String::from_utf8_lossy(&note.value).into_owned();
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((key.clone(), Instant::now()));
                return Ok(key);
            }
            let key = new_secret(CUSTOMER_KEY_PREFIX).map_err(|error| Failure::internal(&error))?;
            // If somebody else was quicker, theirs is read.
            journal.put_note(KEY_NOTE, 0, key.into()).await?;
        }
    }

    /// Who shows this token, by the key that is on the bus now.
    pub async fn authenticate(&self, journal: &impl Journal, token: &str) -> Result<Principal, Failure> {
        Ok(customer::read(&self.key(journal).await?, token, chrono::Utc::now().into())?.principal())
    }
}

/// For whom a token is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channel: String,
    thread: String,
    sender: Option<String>,
    name: Option<String>,
    expires_s: Option<u64>,
}

/// Makes a token, if `who` may.
pub(super) async fn issue(up: &Upstream, who: &Principal, wanted: Wanted) -> Result<Value, Failure> {
    up.access.check(who, Permission::AdmitCustomer, &Resource::Tenant)?;
    let Wanted { channel, thread, sender, name, expires_s } = wanted;
    if !is_token(&channel) || RESERVED_CHANNELS.contains(&channel.as_str()) {
        return Err(Failure::invalid(format!("{channel:?} is no channel: 1 to 64 letters, digits, `_` and `-`")));
    }
    let sender = sender.unwrap_or_else(|| thread.clone());
    for (field, id) in [("thread", &thread), ("sender", &sender)] {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err(Failure::invalid(format!("`{field}` has 1 to {MAX_ID_BYTES} bytes")));
        }
    }
    let expires_s = expires_s.unwrap_or(USUAL_S);
    if !(1..=LONGEST_S).contains(&expires_s) {
        return Err(Failure::invalid(format!("`expires_s` is 1 to {LONGEST_S}")));
    }
    let ms = i64::try_from(expires_s * 1_000).unwrap_or(i64::MAX);
    let expires_at = Timestamp::from_millis(chrono::Utc::now().timestamp_millis().saturating_add(ms));
    let conversation = conversation_key(&channel, &thread);
    let claims = Claims { tenant: who.tenant.clone(), channel, thread, sender, name, expires_at };
    let token = customer::issue(&up.customers.key(&up.journal).await?, &claims);
    Ok(json!({ "token": token, "expires_at": expires_at, "conversation": conversation }))
}

/// Sends what a customer says into the inbox, as any channel does. The same id again is the same message.
pub(super) async fn say(up: &Upstream, who: &Principal, id: &str, text: &str) -> Result<(), Failure> {
    let Credential::Customer { channel, thread, sender, name } = &who.credential else {
        return Err(Failure::forbidden("`say` is for customers; agents answer by a command"));
    };
    if id.is_empty() || id.len() > MAX_ID_BYTES {
        return Err(Failure::invalid(format!("the id of a message has 1 to {MAX_ID_BYTES} bytes")));
    }
    if text.trim().is_empty() || text.chars().count() > MAX_TEXT_CHARS {
        return Err(Failure::invalid(format!("a message has 1 to {MAX_TEXT_CHARS} characters")));
    }
    up.said.take(&format!("{}/{}", who.tenant, who.user), limit::SAYING, Instant::now())?;
    let message = Inbound {
        id: id.to_owned(),
        channel: channel.clone(),
        thread: thread.clone(),
        sender: Sender { id: sender.clone(), name: name.clone() },
        sent_at: Timestamp::from(chrono::Utc::now()),
        content: Content::Text { text: text.to_owned() },
        metadata: Map::new(),
    };
    let body = serde_json::to_vec(&message).map_err(|error| Failure::internal(&error))?;
    let key = conversation_key(channel, thread);
    up.journal.publish_inbound(&who.tenant, channel, &key, id, body.into()).await?;
    Ok(())
}

/// A commit as the customer sees it: what was said to and by the customer, without who is behind it or why. `None`: nothing of it is
/// for customers.
pub(super) fn projected(commit: &[u8]) -> Option<Value> {
    let commit: Value = serde_json::from_slice(commit).ok()?;
    let events: Vec<Value> = commit["events"].as_array()?.iter().filter_map(visible).collect();
    if events.is_empty() {
        return None;
    }
    let mut shown = json!({ "events": events });
    for field in ["commit_id", "at", "aggregate", "key", "version"] {
        shown[field] = commit[field].clone();
    }
    Some(shown)
}

/// An event with those of its fields that a customer may know: what is not named here is not for customers.
fn visible(event: &Value) -> Option<Value> {
    let with = |names: &[&str]| -> Value {
        let named = names.iter().filter_map(|name| Some(((*name).to_owned(), event.get(*name)?.clone())));
        Value::Object(named.collect())
    };
    match event["type"].as_str()? {
        "session_opened" => Some(with(&["type", "v", "session"])),
        "session_closed" => Some(with(&["type", "v", "session"])),
        "message_received" => {
            let mut shown = with(&["type", "v", "session", "message"]);
            // What the channel knows of the customer is not what the customer said.
            shown["message"].as_object_mut()?.remove("metadata");
            Some(shown)
        }
        "message_edited" => Some(with(&["type", "v", "of", "text", "sent_at"])),
        "message_sent" => {
            let mut shown = with(&["type", "v", "session", "id", "content", "reply_to"]);
            let author = &event["author"];
            shown["author"] = json!({ "kind": author["kind"] });
            if let Some(name) = author.get("name") {
                shown["author"]["name"] = name.clone();
            }
            Some(shown)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_sees_what_was_said_and_neither_notes_nor_decisions_nor_who_is_behind_it() {
        let commit = json!({
            "commit_id": "c1", "at": "2026-11-22T10:00:00.000Z", "tenant": "demo", "aggregate": "conversation", "key": "k",
            "version": 7, "actor": { "kind": "agent", "id": "ann" }, "contact": "secret", "concerns": { "queues": ["secret"] },
            "events": [
                { "type": "noted", "v": 1, "text": "secret" },
                { "type": "queued", "v": 1, "queue": "secret" },
                { "type": "message_received", "v": 1, "session": 1,
                    "message": { "id": "m1", "content": { "kind": "text", "text": "hi" }, "metadata": { "score": "secret" } } },
                { "type": "message_sent", "v": 1, "session": 1, "id": "r1", "channel": "secret", "thread": "secret",
                    "author": { "kind": "agent", "id": "secret", "name": "Ann" },
                    "content": { "kind": "text", "text": "hello" } },
                { "type": "session_closed", "v": 1, "session": 1, "reason": "secret", "agent": "secret" },
            ],
        });
        let shown = projected(commit.to_string().as_bytes()).unwrap();
        assert!(!shown.to_string().contains("secret"), "{shown}");
        let types: Vec<&str> = shown["events"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(types, ["message_received", "message_sent", "session_closed"]);
        assert_eq!(shown["events"][1]["author"], json!({ "kind": "agent", "name": "Ann" }));
        let internal = json!({ "events": [{ "type": "noted", "text": "x" }] });
        assert_eq!(projected(internal.to_string().as_bytes()), None);
    }
}
