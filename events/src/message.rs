//! Messages as channels see them, normalised: the same shape whatever the channel.

use crate::{Timestamp, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who wrote an inbound message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sender {
    /// The channel's own id of this person, unique within the channel.
    #[schemars(extend("x-personal" = true))]
    #[schemars(length(min = 1, max = 512))]
    pub id: String,
    /// A name to show, if the channel knows one.
    #[schemars(extend("x-personal" = true))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a message says. Bytes of images and files live in the object store `KEFU_FILES`; content refers to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "Content", tag = "kind")]
pub enum Content {
    /// Plain text.
    Text {
        /// The text, UTF-8.
        #[schemars(extend("x-personal" = true))]
        text: String,
    },
    /// A picture.
    Image(FileRef),
    /// Any other file.
    File(FileRef),
    /// A structured card (an order, a product, a menu), passed through to whoever can show it.
    Card {
        /// A title to show where the card itself cannot be shown.
        #[schemars(extend("x-personal" = true))]
        title: String,
        /// The card's own fields.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fields: Map<String, Value>,
    },
    /// Something that happened at the customer's side: followed, clicked a menu, opened a page.
    Event {
        /// The event's name, in the channel's words.
        name: String,
        /// Its details.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fields: Map<String, Value>,
    },
    /// The customer changed an earlier message. Inbound only.
    Edit {
        /// Id of the message that was changed.
        of: String,
        /// Its text now.
        #[schemars(extend("x-personal" = true))]
        text: String,
    },
    /// The channel reports what became of a reply. Inbound only.
    Receipt {
        /// Id of the outbound message.
        of: String,
        /// What became of it.
        state: DeliveryState,
        /// The channel's reason, for `failed`.
        #[schemars(extend("x-personal" = true))]
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// The customer has gone (closed the page, unfollowed). Inbound only.
    Left,
}

tagged!(Content, "kind");

impl Content {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// The text that a person would read, if there is any.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text } | Self::Edit { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A file in the object store `KEFU_FILES`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRef {
    /// Name of the object in `KEFU_FILES`.
    pub object: String,
    /// The file's name, as the sender called it.
    #[schemars(extend("x-personal" = true))]
    pub name: String,
    /// Media type, for example `image/png`.
    pub mime: String,
    /// Size in bytes.
    pub size: u64,
}

/// What became of a reply on its way to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// The channel's provider took it.
    Sent,
    /// It reached the customer's device.
    Delivered,
    /// The customer has seen it.
    Read,
    /// It will not arrive.
    Failed,
}

/// What a channel adapter publishes on `kefu.in.<tenant>.<channel>.<key>`, where the key is
/// [`conversation_key`](crate::key::conversation_key) of `channel` and `thread`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inbound {
    /// The channel's id of this message, unique within the thread for ever.
    #[schemars(length(min = 1, max = 512))]
    pub id: String,
    /// The channel's name, the same as in the subject.
    pub channel: String,
    /// The channel's id of the chat, ticket or page that replies go to.
    #[schemars(length(min = 1, max = 512))]
    pub thread: String,
    /// Who wrote it.
    pub sender: Sender,
    /// When the customer sent it, by the channel's clock.
    pub sent_at: Timestamp,
    /// What it says.
    pub content: Content,
    /// Anything else that the channel knows: language, page, campaign. Rules and agents can read it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(extend("x-personal" = true))]
    pub metadata: Map<String, Value>,
}

/// Who wrote a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// A bot, a person, or kefu itself.
    pub kind: AuthorKind,
    /// The agent's or bot's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name that customers may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The kinds of authors of replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorKind {
    /// The answering machinery.
    Bot,
    /// A person.
    Agent,
    /// Texts that the tenant configured: welcome, hand-off, reminders.
    System,
}

impl Author {
    /// Texts that the tenant configured.
    pub fn system() -> Self {
        Self { kind: AuthorKind::System, id: None, name: None }
    }

    /// The answering machinery.
    pub fn bot() -> Self {
        Self { kind: AuthorKind::Bot, id: None, name: None }
    }

    /// A person.
    pub fn agent(id: impl Into<String>) -> Self {
        Self { kind: AuthorKind::Agent, id: Some(id.into()), name: None }
    }
}

/// A reply, as adapters read it from `kefu.out.<tenant>.<channel>.<key>`. It may arrive more than once under one
/// `id`: deliver each id once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outbound {
    /// Unique for ever.
    pub id: String,
    /// Whose customer this is.
    pub tenant: String,
    /// The channel's name.
    pub channel: String,
    /// Where to deliver: the thread of the inbound messages.
    #[schemars(extend("x-personal" = true))]
    pub thread: String,
    /// The conversation's key.
    pub key: String,
    /// Which session of the conversation, from 1.
    pub session: u32,
    /// When it was decided.
    pub at: Timestamp,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub content: Content,
    /// Id of the customer's message that it answers, if it answers one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
}
