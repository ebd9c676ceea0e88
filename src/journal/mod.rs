//! The bus: streams, work queues, leases and queries on NATS JetStream; the managed server; an in-memory twin.

pub mod memory;
mod port;
mod streams;
pub mod subjects;

pub use port::*;
pub use streams::InboxBounds;
