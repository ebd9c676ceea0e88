//! The bus: streams, work queues, leases and queries on NATS JetStream; the managed server; an in-memory twin.

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
