//! The bus: streams, work queues, leases and queries on NATS JetStream; the managed server; an in-memory twin.

mod port;

pub use port::*;
