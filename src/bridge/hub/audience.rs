//! Who listens, found by what a commit concerns.

use super::{Hub, Reach, Seen, reach::Interest};
use crate::bridge::measure::MEASURED;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::mpsc;

/// Commits that wait for one client, at most: some seconds of a busy tenant. A client that is further behind is cut off.
const MAX_WAITING: usize = 4_096;

/// Who listens.
#[derive(Default)]
pub(super) struct Audience {
    tenants: HashMap<String, Clients>,
    made: u64,
}

#[derive(Default)]
struct Clients {
    boxes: HashMap<u64, (mpsc::Sender<Arc<Seen>>, Vec<Interest>)>,
    by_interest: HashMap<Interest, BTreeSet<u64>>,
}

/// What one client has been told and not yet taken. Ends where the client fell behind, or the log is another one.
pub(super) struct Mailbox {
    hub: Hub,
    tenant: String,
    client: u64,
    /// Commits to come.
    pub commits: mpsc::Receiver<Arc<Seen>>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.hub.leave(&self.tenant, self.client);
    }
}

impl Audience {
    pub fn len(&self) -> usize {
        self.tenants.values().map(|clients| clients.boxes.len()).sum()
    }

    /// Whether nothing is left of anybody.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.tenants.is_empty()
    }

    /// Nobody any more. Numbers go on: a mailbox of before that is dropped later is not taken for one of after.
    pub fn emptied(&self) -> Self {
        Self { tenants: HashMap::new(), made: self.made }
    }

    pub fn join(&mut self, hub: Hub, reach: &Reach) -> Mailbox {
        self.made += 1;
        let client = self.made;
        let (sender, commits) = mpsc::channel(MAX_WAITING);
        let tenant = reach.principal.tenant.clone();
        let clients = self.tenants.entry(tenant.clone()).or_default();
        let interests = reach.interests();
        for interest in &interests {
            clients.by_interest.entry(interest.clone()).or_default().insert(client);
        }
        clients.boxes.insert(client, (sender, interests));
        Mailbox { hub, tenant, client, commits }
    }

    pub fn leave(&mut self, tenant: &str, client: u64) {
        let Some(clients) = self.tenants.get_mut(tenant) else { return };
        clients.leave(client);
        if clients.boxes.is_empty() {
            self.tenants.remove(tenant);
        }
    }

    /// Hands a commit to all whom it may concern.
    pub fn tell(&mut self, seen: &Arc<Seen>) {
        let Some(clients) = self.tenants.get_mut(&seen.tenant) else { return };
        let found = Reach::interests_of(seen).filter_map(|interest| clients.by_interest.get(&interest));
        let told: BTreeSet<u64> = found.flatten().copied().collect();
        for client in told {
            let behind =
                clients.boxes.get(&client).is_some_and(|(sender, _)| sender.try_send(Arc::clone(seen)).is_err());
            if behind {
                // Its mailbox ends; the client learns why when it has read what is in it.
                clients.leave(client);
                MEASURED.sockets_cut.inc();
            }
        }
    }
}

impl Clients {
    fn leave(&mut self, client: u64) {
        let Some((_, interests)) = self.boxes.remove(&client) else { return };
        for interest in interests {
            if let Some(all) = self.by_interest.get_mut(&interest) {
                all.remove(&client);
                if all.is_empty() {
                    self.by_interest.remove(&interest);
                }
            }
        }
    }
}
