//! Who gets which conversation: one tenant's agents and waiting conversations, and the matching over them.
//!
//! Pure. Times, random draws and ids of decisions are arguments; nothing here reads a clock, awaits, or iterates a map
//! whose order could show. The folder may not know of NATS, of RocksDB, of actors, nor of a conversation's or an
//! agent's state machine: a leader feeds it [`views`] and carries out what it matches. Production and the
//! [`simulator`] run the same [`floor`] and the same policies.
//!
//! In reading order:
//!
//! - [`views`]: what the leader says of an agent and of a waiting conversation;
//! - [`settings`]: rules per queue, weights;
//! - [`demand`]: the kinds of demand that conversations are sorted into, and how a kind relaxes as time passes;
//! - [`floor`]: the indexes, the two questions ("an agent is free: which conversation", "a conversation came: which
//!   agent"), the overlay of reservations that were asked for but not seen yet;
//! - [`policy`]: how pairs are scored, one policy per queue;
//! - [`decision`]: why a choice was made, and why another was not;
//! - [`estimates`]: how fast and how well an agent works, from few cases;
//! - [`service`]: rates that fade, service level, estimated wait;
//! - [`simulator`]: a day, or a million days, of a contact centre over the same floor.

pub mod decision;
pub mod demand;
pub mod estimates;
pub mod floor;
mod names;
pub mod policy;
pub mod service;
pub mod settings;
pub mod simulator;
pub mod views;

pub use decision::Decision;
pub use floor::{Floor, Match};
pub use settings::Scheduling;
pub use views::{AgentView, ConversationKey, WaitingView};
