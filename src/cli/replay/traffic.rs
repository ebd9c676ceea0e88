//! What customers sent, made of what was recorded of it. Pure.
//!
//! A commit that a customer caused holds what the customer sent, but not to whom: thread and sender are in the commits by
//! which a session opened or the customer changed.

use kefu_events::{
    ActorKind, Commit, Content, Inbound, Sender, Timestamp, conversation::ConversationEvent, key::conversation_key,
};
use serde_json::Map;
use sha2::{Digest, Sha256};

/// Longest id that a message may have.
const MAX_ID_BYTES: usize = 512;

/// Where a conversation's messages come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The channel.
    pub channel: String,
    /// Its thread.
    pub thread: String,
    /// Who wrote last.
    pub sender: Sender,
}

impl Origin {
    /// What a commit says of it; `before` is what was known.
    pub fn after(before: Option<Self>, commit: &Commit<ConversationEvent>) -> Option<Self> {
        commit.events.iter().fold(before, |known, event| match event {
            ConversationEvent::SessionOpened { channel, thread, sender, .. } => {
                Some(Self { channel: channel.clone(), thread: thread.clone(), sender: sender.clone() })
            }
            ConversationEvent::CustomerChanged { sender, .. } => {
                known.map(|known| Self { sender: sender.clone(), ..known })
            }
            _ => known,
        })
    }

    /// Key of the conversation.
    pub fn key(&self) -> String {
        conversation_key(&self.channel, &self.thread)
    }
}

/// One message, and when it was sent when it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its id at that time.
    pub id: String,
    /// By the channel's clock; absent where that was not recorded.
    pub sent_at: Option<Timestamp>,
    /// What it said.
    pub content: Content,
    /// What else the channel knew.
    pub metadata: Map<String, serde_json::Value>,
}

/// What a customer sent that led to this commit: one message, or nothing.
pub fn sent(commit: &Commit<ConversationEvent>) -> Option<Sent> {
    if commit.actor.kind != ActorKind::Customer {
        return None;
    }
    // `<tenant>/<channel>/<key>/<id>`, and an id may have slashes.
    let id = commit.cause.splitn(4, '/').nth(3)?.to_owned();
    commit.events.iter().find_map(|event| {
        let (sent_at, content, metadata) = match event {
            ConversationEvent::MessageReceived { message, .. } => {
                (Some(message.sent_at), message.content.clone(), message.metadata.clone())
            }
            ConversationEvent::MessageEdited { of, text, sent_at, .. } => {
                (Some(*sent_at), Content::Edit { of: of.clone(), text: text.clone() }, Map::new())
            }
            ConversationEvent::CustomerLeft { .. } => (None, Content::Left, Map::new()),
            // What became of replies is told of replies that were made then.
            _ => return None,
        };
        Some(Sent { id: id.clone(), sent_at, content, metadata })
    })
}

/// The message as it is sent again, under an id of this replay.
pub fn again(sent: Sent, origin: &Origin, replay: &str, sent_at: Timestamp) -> Inbound {
    let content = match sent.content {
        Content::Edit { of, text } => Content::Edit { of: new_id(replay, &of), text },
        content => content,
    };
    Inbound {
        id: new_id(replay, &sent.id),
        channel: origin.channel.clone(),
        thread: origin.thread.clone(),
        sender: origin.sender.clone(),
        sent_at,
        content,
        metadata: sent.metadata,
    }
}

/// The same for the same message within one replay, so that an edit finds it, and a try after a failure is no second one.
fn new_id(replay: &str, id: &str) -> String {
    let new = format!("{replay}-{id}");
    if new.len() <= MAX_ID_BYTES {
        return new;
    }
    let digest = Sha256::digest(id.as_bytes());
    format!("{replay}-{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn commit(actor: &str, id: &str, events: Value) -> Commit<ConversationEvent> {
        let key = conversation_key("web", "t");
        let commit = json!({
            "commit_id": "c", "tenant": "demo", "aggregate": "conversation", "key": key, "version": 1,
            "at": "2026-11-22T00:00:00.000Z", "actor": {"kind": actor, "id": "x"},
            "cause": format!("demo/web/{key}/{id}"), "cause_seq": 1, "correlation": "m1", "events": events,
        });
        serde_json::from_value(commit).unwrap()
    }

    #[test]
    fn a_message_comes_out_as_it_went_in_under_a_new_id() {
        let opened = json!({"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": "t",
            "sender": {"id": "alice", "name": "Alice"}});
        let message = json!({"id": "a/b", "sent_at": "2026-11-21T23:59:59.000Z",
            "content": {"kind": "text", "text": "hi"}, "metadata": {"language": "en"}});
        let received = json!({"type": "message_received", "v": 1, "session": 1, "message": message});
        let commit = commit("customer", "a/b", json!([opened, received]));
        let origin = Origin::after(None, &commit).unwrap();
        let said = sent(&commit).unwrap();
        let again = again(said, &origin, "r", Timestamp::from_millis(0));
        assert_eq!((again.id.as_str(), again.sender.id.as_str(), origin.key()), ("r-a/b", "alice", commit.key));
        assert_eq!((again.content, again.metadata["language"].as_str()), (Content::text("hi"), Some("en")));
    }

    #[test]
    fn an_edit_finds_its_message_and_what_others_did_is_not_sent() {
        let edited = json!([{"type": "message_edited", "v": 1, "of": "m1", "text": "ho",
            "sent_at": "2026-11-22T00:00:00.000Z"}]);
        let origin =
            Origin { channel: "web".into(), thread: "t".into(), sender: Sender { id: "a".into(), name: None } };
        let edit = again(sent(&commit("customer", "m2", edited)).unwrap(), &origin, "r", Timestamp::from_millis(0));
        assert_eq!(edit.content, Content::Edit { of: new_id("r", "m1"), text: "ho".into() });
        let receipt = json!([{"type": "delivery_reported", "v": 1, "of": "c-1", "state": "read"}]);
        assert_eq!(sent(&commit("customer", "m3", receipt)), None);
        let tagged = json!([{"type": "tagged", "v": 1, "tags": ["x"]}]);
        assert_eq!(sent(&commit("agent", "m4", tagged.clone())), None);
        assert!(new_id("r", &"x".repeat(512)).len() <= MAX_ID_BYTES);
    }
}
