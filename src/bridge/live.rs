//! What is of no moment a minute later: who is writing, who is looking. Outside of the log's sequence, and of this node only.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
};
use tokio::sync::broadcast;

/// Notices that a slow client may be behind; the oldest are then of no interest any more.
const MAX_BEHIND: usize = 256;

/// Somebody writes, or looks at something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// Somebody has begun, or stopped, to write.
    Typing {
        /// In which conversation.
        conversation: String,
        /// Who.
        user: String,
        /// Whether they write.
        on: bool,
    },
    /// Others are looking at a conversation now.
    Viewers {
        /// Which one.
        conversation: String,
        /// Their names.
        users: BTreeSet<String>,
    },
}

/// All tenants' notices.
#[derive(Default)]
pub(super) struct Live(Mutex<HashMap<String, Tenant>>);

struct Tenant {
    notices: broadcast::Sender<Notice>,
    /// Conversation → client → user.
    viewers: BTreeMap<String, BTreeMap<u64, String>>,
}

impl Default for Tenant {
    fn default() -> Self {
        Self { notices: broadcast::Sender::new(MAX_BEHIND), viewers: BTreeMap::new() }
    }
}

impl Live {
    fn with<T>(&self, tenant: &str, act: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(tenants.entry(tenant.to_owned()).or_default())
    }

    /// A tenant's notices from now on.
    pub fn listen(&self, tenant: &str) -> broadcast::Receiver<Notice> {
        self.with(tenant, |tenant| tenant.notices.subscribe())
    }

    /// Somebody writes.
    pub fn typing(&self, tenant: &str, conversation: String, user: String, on: bool) {
        // Nobody listening is no failure.
        self.with(tenant, |tenant| tenant.notices.send(Notice::Typing { conversation, user, on }).ok());
    }

    /// A client looks at another conversation now, or at none.
    pub fn watch(&self, tenant: &str, client: u64, user: &str, conversation: Option<&str>) {
        self.with(tenant, |tenant| {
            let mut changed: Vec<String> = Vec::new();
            tenant.viewers.retain(|watched, clients| {
                if Some(watched.as_str()) != conversation && clients.remove(&client).is_some() {
                    changed.push(watched.clone());
                }
                !clients.is_empty()
            });
            if let Some(conversation) = conversation {
                tenant.viewers.entry(conversation.to_owned()).or_default().insert(client, user.to_owned());
                changed.push(conversation.to_owned());
            }
            for conversation in changed {
                let users = tenant.viewers.get(&conversation).map(|clients| clients.values().cloned().collect());
                let users = users.unwrap_or_default();
                tenant.notices.send(Notice::Viewers { conversation, users }).ok();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Live, Notice};

    #[test]
    fn who_looks_is_told_and_whoever_goes_is_not_shown_any_more() {
        let live = Live::default();
        let mut notices = live.listen("demo");
        live.watch("demo", 1, "ann", Some("c1"));
        live.watch("demo", 2, "bob", Some("c1"));
        live.watch("demo", 1, "ann", None);
        let mut seen = Vec::new();
        while let Ok(Notice::Viewers { conversation, users }) = notices.try_recv() {
            seen.push((conversation, users.into_iter().collect::<Vec<_>>().join(" ")));
        }
        let c1 = |users: &str| ("c1".to_owned(), users.to_owned());
        assert_eq!(seen, [c1("ann"), c1("ann bob"), c1("bob")]);
    }
}
