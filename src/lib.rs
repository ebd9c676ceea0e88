//! kefu: an event-sourced customer-service engine on NATS JetStream.
//!
//! In reading order:
//!
//! - `kefu_events` (its own crate): the contract, what enters and leaves;
//! - [`aggregate`]: what a state machine is here; [`conversation`], [`contact`], [`agent`], [`settings`]: the state
//!   machines, pure;
//! - [`runtime`]: what drives them: one pure machine per partition ([`runtime::machine`]), its actor, the node's leases,
//!   the projector, timers, queries;
//! - [`routing`]: rules that say where a conversation goes, pure;
//! - [`scheduler`]: who gets which conversation, pure, and a simulator of it; [`dispatch`]: its leaders, and what they
//!   ask of agents;
//! - [`journal`]: the bus; [`store`]: what a node remembers of it;
//! - [`faq`]: the knowledge base, what an answer is; [`search`]: what is near in words and meaning; [`answering`]: keeps
//!   the indexes true, and answers customers; [`archive`]: finds what was ever said; [`http`]: how servers of others are
//!   asked;
//! - [`reporting`]: figures; [`wall`]: who waited and who worked at a moment of the past;
//! - [`policy`]: what is permitted and forbidden, pure;
//! - [`webhooks`]: other systems are told what happens;
//! - [`engine`]: all of that put together, as one node;
//! - [`monitoring`]: what machines are told of all that;
//! - [`access`]: users, and who may do what; [`bridge`]: HTTP and WebSocket for those who may;
//! - [`cli`], [`config`], [`telemetry`]: how people and machines meet it.
//!
//! ARCHITECTURE.md says why it is so. `tests/tidy.rs` holds who may import whom.

pub mod access;
pub mod agent;
pub mod aggregate;
pub mod answering;
pub mod archive;
pub mod bridge;
pub mod cli;
pub mod config;
pub mod contact;
pub mod conversation;
pub mod dispatch;
pub mod engine;
pub mod faq;
pub mod http;
pub mod journal;
pub mod monitoring;
pub mod policy;
pub mod reporting;
pub mod routing;
pub mod runtime;
pub mod scheduler;
pub mod search;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod wall;
pub mod webhooks;
