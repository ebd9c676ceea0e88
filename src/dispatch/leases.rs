//! Which tenants this node leads: the leases, kept by a task of its own, so that no decision waits for them.

use super::Floors;
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
pub(super) struct Led(Arc<Mutex<BTreeMap<String, Lease>>>);

impl Led {
    pub(super) fn has(&self, tenant: &str) -> bool {
        self.lock().contains_key(tenant)
    }

    pub(super) fn tenants(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A lease is there or not after every call: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Lease>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps them.
pub(super) struct Keeper<J> {
    pub journal: J,
    /// The node's name.
    pub node: String,
    pub floors: Floors,
    pub led: Led,
}

impl<J: Journal> Keeper<J> {
    /// Until it is told to stop; then the leases are given up.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
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
                tracing::debug!(%error, "the scheduler's leases are kept later");
                return;
            }
        };
        let nodes: Vec<&str> = leases.keys().filter_map(|name| name.strip_prefix("node-")).collect();
        for tenant in self.floors.tenants() {
            let mine = falls_to(&nodes, &tenant) == Some(self.node.as_str());
            let held = self.led.lock().get(&tenant).cloned();
            let kept = match (held, mine) {
                (Some(lease), true) => self.journal.renew(&lease).await,
                (Some(lease), false) => self.journal.release(&lease).await.map(|()| None),
                (None, true) => self.journal.acquire(&format!("scheduler-{tenant}"), &self.node).await,
                (None, false) => continue,
            };
            let kept = kept.unwrap_or_else(|error| {
                tracing::debug!(%error, tenant, "a lease of the scheduler is kept later");
                None
            });
            match kept {
                Some(lease) => drop(self.led.lock().insert(tenant, lease)),
                None => drop(self.led.lock().remove(&tenant)),
            }
        }
    }
}
