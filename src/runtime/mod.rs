//! What drives the aggregates: one owner per partition, one projector per node, timers.
//!
//! - [`machine`]: router, mailboxes, take-over and retries of one partition, as a pure step machine. It is told what
//!   happened and says what is to be done; it does nothing itself. The seeded simulation runs exactly this code.
//! - [`intake`] and [`outgoing`]: from a queue's bytes to an input, and from a commit to what is published after it. Pure.
//! - [`owner`]: the actor around one machine; [`node`]: leases and owners of one process; `timers`: deadlines.
//! - `asking`: how parts that may not know the bus have commands sent over it;
//! - [`leaders`]: which tenants a node leads in something that one node does for all;
//! - [`follow`]: the log for those who follow it beside the projector;
//! - [`places`]: where in the log a time is;
//! - [`polite`]: threads that go behind whoever waits for an answer;
//! - [`projector`]: reads the log and feeds the store; [`queries`]: answers out of the store.
//!
//! actix is named in [`owner`] and [`node`] only, and is no part of their interfaces to the rest of kefu: it is in maintenance
//! mode and must stay replaceable.
//!
//! The runtime knows aggregates only by [`Kind`](crate::aggregate::kind::Kind): nothing here knows what a conversation is.

mod asking;
pub mod follow;
pub mod intake;
pub mod leaders;
pub mod machine;
pub mod metrics;
pub mod node;
pub mod outgoing;
pub mod owner;
pub mod places;
pub mod polite;
pub mod projector;
pub mod queries;
mod timers;

use crate::aggregate::TenantConfig;
use std::{collections::BTreeMap, sync::Arc};

/// All tenants' effective configuration.
pub type Tenants = BTreeMap<String, Arc<TenantConfig>>;

/// Where tenants' effective configuration is found.
pub trait TenantConfigs {
    /// The configuration; `None`: there is no such tenant.
    fn config(&self, tenant: &str) -> Option<&Arc<TenantConfig>>;
}

impl TenantConfigs for Tenants {
    fn config(&self, tenant: &str) -> Option<&Arc<TenantConfig>> {
        self.get(tenant)
    }
}

impl TenantConfigs for crate::store::Settings {
    fn config(&self, tenant: &str) -> Option<&Arc<TenantConfig>> {
        self.tenant(tenant)
    }
}

/// What the pure parts may know of the world at one step.
pub struct Env<'a> {
    /// The time.
    pub now: kefu_events::Timestamp,
    /// All tenants' effective configuration.
    pub tenants: &'a dyn TenantConfigs,
    /// Makes ids that are unique for ever.
    pub new_id: &'a dyn Fn() -> String,
}
