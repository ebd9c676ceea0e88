//! The public contract of kefu, and nothing else: what channel adapters, agents' tools and analysts may rely on.
//!
//! In reading order:
//!
//! - [`time`]: the one way in which times are written;
//! - [`key`]: how subjects' tokens and the keys of conversations and contacts are made;
//! - [`message`]: what customers send and receive;
//! - [`json`]: JSON that is passed on and not read; `tagged`: how commands and events are read quickly;
//! - [`envelope`]: commands, their results, and commits;
//! - [`conversation`], [`contact`], [`agent`], [`faq`], [`settings`], [`user`]: the commands and events of each aggregate;
//! - [`routing`]: where conversations go, as a settings document; [`access`]: what a tenant permits and forbids, as another;
//!   [`webhook`]: who is told over HTTP what happens, as a third;
//! - [`query`]: what can be asked, and how the answer looks;
//! - [`bridge`]: the frames that agents' consoles and others exchange with kefu over a WebSocket;
//! - [`upcast`]: how events of older versions stay readable;
//! - [`schema`]: the generated JSON Schemas and the AsyncAPI document.
//!
//! This crate knows nothing of NATS, of RocksDB or of how decisions are taken, and imports nothing of kefu's.

pub mod access;
pub mod agent;
pub mod bridge;
pub mod contact;
pub mod conversation;
pub mod envelope;
pub mod faq;
pub mod json;
pub mod key;
pub mod message;
pub mod query;
pub mod routing;
pub mod schema;
pub mod settings;
mod tagged;
pub mod time;
pub mod upcast;
pub mod user;
pub mod webhook;

pub use envelope::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandRefused, CommandResult, Commit, Concerns, QuarantineLifted,
    Quarantined, Refusal, V,
};
pub use json::Json;
pub use message::{Author, AuthorKind, Content, Inbound, Outbound, Sender};
pub use time::Timestamp;
