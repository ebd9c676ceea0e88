//! Which tenants this node leads in something: the leases, kept by a task of its own, so that no work waits for them.
//!
//! For each tenant one node leads: the one that the tenant falls to by the same hashing as partitions. A lease saves work,
//! nothing more: whatever a leader does must be harmless when two do it.

use crate::{
    journal::{Journal, Lease},
    runtime::node::falls_to,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The tenants that this node leads now.
#[derive(Clone, Default)]
pub struct Led(Arc<Mutex<BTreeMap<String, Lease>>>);

impl Led {
    /// Whether this one is among them.
    pub fn has(&self, tenant: &str) -> bool {
        self.lock().contains_key(tenant)
    }

    /// All of them.
    pub fn tenants(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A lease is there or not after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps them.
pub struct Keeper<J, T> {
    /// Where the leases are.
    pub journal: J,
    /// The node's name.
    pub node: String,
    /// What is led: leases are called `<what>-<tenant>`.
    pub what: &'static str,
    /// The tenants that somebody must lead.
    pub tenants: T,
    /// Where it is told which this node leads.
    pub led: Led,
}

impl<J: Journal, T: Fn() -> Vec<String> + Send + Sync> Keeper<J, T> {
    /// Until it is told to stop; then the leases are given up.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut period = tokio::time::interval(self.journal.lease_ttl() / 4);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                _ = period.tick() => self.keep().await,
            }
        }
        let leases = std::mem::take(&mut *self.led.lock());
        for lease in leases.values() {
            if let Err(error) = self.journal.release(lease).await {
                tracing::debug!(%error, "a lease runs out by itself");
            }
        }
    }

    /// Keeps the leases of the tenants that fall to this node, and gives up those that no longer do.
    async fn keep(&self) {
        let leases = match self.journal.leases().await {
            Ok(leases) => leases,
            Err(error) => {
                tracing::debug!(%error, what = self.what, "leases are kept later");
                return;
            }
        };
        let nodes: Vec<&str> = leases.keys().filter_map(|name| name.strip_prefix("node-")).collect();
        for tenant in (self.tenants)() {
            let mine = falls_to(&nodes, &tenant) == Some(self.node.as_str());
            let held = self.led.lock().get(&tenant).cloned();
            let kept = match (held, mine) {
                (Some(lease), true) => self.journal.renew(&lease).await,
                (Some(lease), false) => self.journal.release(&lease).await.map(|()| None),
                (None, true) => self.journal.acquire(&format!("{}-{tenant}", self.what), &self.node).await,
                (None, false) => continue,
            };
            let kept = kept.unwrap_or_else(|error| {
                tracing::debug!(%error, tenant, what = self.what, "a lease is kept later");
                None
            });
            match kept {
                Some(lease) => drop(self.led.lock().insert(tenant, lease)),
                None => drop(self.led.lock().remove(&tenant)),
            }
        }
    }
}
