//! Leases of the twin: compare-and-set by revision, gone when they are not renewed.

use crate::journal::Lease;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
struct Held {
    holder: String,
    revision: u64,
    expires: DateTime<Utc>,
}

/// The bucket. Its revision counts all writes, so that an epoch (the revision at the acquisition) never repeats.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    held: BTreeMap<String, Held>,
    revision: u64,
}

impl Leases {
    pub fn acquire(&mut self, now: DateTime<Utc>, ttl: TimeDelta, name: &str, holder: &str) -> Option<Lease> {
        if self.held.get(name).is_some_and(|held| held.expires > now) {
            return None;
        }
        let revision = self.put(now + ttl, name, holder);
        Some(Lease { name: name.to_owned(), holder: holder.to_owned(), epoch: revision, revision })
    }

    pub fn renew(&mut self, now: DateTime<Utc>, ttl: TimeDelta, lease: &Lease) -> Option<Lease> {
        let held = self.held.get(&lease.name)?;
        if held.revision != lease.revision || held.expires <= now {
            return None;
        }
        let revision = self.put(now + ttl, &lease.name, &lease.holder);
        Some(Lease { revision, ..lease.clone() })
    }

    pub fn release(&mut self, lease: &Lease) {
        if self.held.get(&lease.name).is_some_and(|held| held.revision == lease.revision) {
            self.revision += 1; // the real bucket writes a delete marker
            self.held.remove(&lease.name);
        }
    }

    pub fn list(&self, now: DateTime<Utc>) -> BTreeMap<String, String> {
        let held = self.held.iter().filter(|(_, held)| held.expires > now);
        held.map(|(name, held)| (name.clone(), held.holder.clone())).collect()
    }

    fn put(&mut self, expires: DateTime<Utc>, name: &str, holder: &str) -> u64 {
        self.revision += 1;
        let held = Held { holder: holder.to_owned(), revision: self.revision, expires };
        self.held.insert(name.to_owned(), held);
        self.revision
    }
}
