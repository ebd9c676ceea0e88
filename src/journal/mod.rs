//! The bus: streams, work queues, leases and queries on NATS JetStream; the managed server; an in-memory twin.
//!
//! `port` says in kefu's own words what the rest of kefu may ask; [`NatsJournal`] answers on a real server,
//! [`memory::MemoryJournal`] in memory, and one conformance suite (`tests/journal_conformance.rs`) holds both to it.
//! `subjects` has all names, `streams` what is made and checked at the start, [`server`] kefu's own nats-server,
//! [`credentials`] who may do what on the bus.
//!
//! Nothing here may know what a commit, a command or a reply says: payloads are bytes. Nobody else may know that there
//! is NATS: no type of its client library leaves this folder.

pub mod credentials;
pub mod memory;
mod nats;
mod port;
pub mod server;
mod streams;
pub mod subjects;

pub use nats::*;
pub use port::*;
pub use streams::{InboxBounds, StreamOptions};
