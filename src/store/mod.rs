//! The store: what a node remembers of the log, in RocksDB, so that it need not read the log again.
//!
//! Everything in here follows from the log and can be deleted at any time: the next start reads the log from the first
//! commit on. That decides the rest. There is no write-ahead log and no sync: a write is lost together with the
//! checkpoint that says it was made, so that the tail is simply read again (`database`). And nothing is ever served
//! that does not match the log: whatever is in doubt is dropped and built anew, and said so.
//!
//! In reading order:
//!
//! - `commit`: a commit, decoded once for everybody;
//! - `projection`: what a projection is, and the batch that it writes into;
//! - `folds`: the states of aggregates of every kind behind one face; `entries`: what is found by state;
//! - `aggregates`: the projection that keeps snapshots, causes, timers and lists;
//! - `lists`: conversations and contacts as people look for them; `feeds`: what changes in a list;
//! - `relay`: what one reader of the log has read, for whoever else follows it on this node;
//! - `settings`: the projection that keeps every tenant's configuration in memory;
//! - `writer`: feeds the projections, writes each batch with its checkpoints, and drops what does not match;
//! - `reads`: what everybody else may ask.
//!
//! To add a projection, implement [`Projection`] and hand it to [`Store::open`]. To find aggregates by something in
//! their state, add a [`List`]: a pure function from a state to the keys under which it is found.
//!
//! This folder may not know where commits come from, and nobody else may know RocksDB.

mod aggregates;
mod cache;
mod commit;
mod database;
mod entries;
mod error;
mod feeds;
mod folds;
mod keys;
pub mod lists;
mod projection;
mod reads;
mod relay;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod timers;
mod writer;

pub use commit::{DecodedCommit, Header, commit_id_of};
pub use database::StoreOptions;
pub use entries::Entries;
pub use error::StoreError;
pub use feeds::{ListBatch, ListChange, ListFeed};
pub use folds::{Folds, List, Subject};
pub use lists::{
    AGENTS, ANSWERS, AgentFilter, AgentSummary, ApprovedEntry, CONTACTS, CONVERSATIONS, CREDENTIALS, ContactFilter,
    ContactSummary, ConversationEntry, ConversationFilter, ConversationSummary, ENTRIES, EntryFilter, EntrySummary,
    HeldSlot, PRACTICE, Page, PageError, QUESTIONS, Question, STAFF, StaffEntry, USERS, UserFilter, UserSummary,
    WAITING, WaitingEntry, WrongCursor, tenant_and_key,
};
pub use projection::{Batch, Checkpoint, Family, Projection, Shape, View, WriteParts};
pub use reads::{Store, StoreFigures};
pub use relay::{CommitFeed, Feed, Relay};
pub use settings::Settings;
pub use timers::DueTimer;
pub use writer::{ProjectionStatus, StoreWriter};
