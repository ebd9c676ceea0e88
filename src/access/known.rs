//! Users and agents as this node knows them, kept in memory until something happens to them.
//!
//! The store's feed of changed list entries says what is not true any more. It is read whenever somebody is asked for, so
//! that no task is needed: what was changed before the question is never answered from memory.

use super::{Credential, Principal, user};
use crate::{
    agent,
    aggregate::Tracked,
    store::{ListFeed, STAFF, Store, StoreError, USERS, tenant_and_key},
};
use kefu_events::AggregateKind;
use lru::LruCache;
use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};
use tokio::sync::broadcast::error::TryRecvError;

/// People that are kept in memory, at most: some kilobytes each.
const MAX_PEOPLE: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// Credentials whose users are kept in memory, at most: some 200 bytes each.
const MAX_CREDENTIALS: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// Somebody, as user and as agent.
#[derive(Debug)]
pub(super) struct Person {
    /// The user; `None`: there is none, or it was set aside.
    pub(super) user: Option<user::State>,
    /// Queues of the agent with this key.
    pub(super) queues: BTreeSet<String>,
}

type Name = (String, String);

pub(super) struct Known {
    feed: Option<ListFeed>,
    people: LruCache<Name, Arc<Person>>,
    /// Whose a hash was when it was last looked up. A hint: whether it still is, the person says.
    owners: LruCache<String, Name>,
}

impl Default for Known {
    fn default() -> Self {
        Self { feed: None, people: LruCache::new(MAX_PEOPLE), owners: LruCache::new(MAX_CREDENTIALS) }
    }
}

impl Known {
    /// Somebody, as of now.
    pub(super) fn person(&mut self, store: &Store, tenant: &str, key: &str) -> Result<Arc<Person>, StoreError> {
        self.catch_up(store);
        let name = (tenant.to_owned(), key.to_owned());
        if let Some(person) = self.people.get(&name) {
            return Ok(person.clone());
        }
        let user = store.user(tenant, key)?.filter(|tracked| !tracked.quarantined).map(|tracked| tracked.state);
        let person = Arc::new(Person { user, queues: queues_of(store, tenant, key)? });
        // Without a feed nobody would say when it is not true any more.
        if self.feed.is_some() {
            self.people.put(name, person.clone());
        }
        Ok(person)
    }

    /// Who has the credential with this hash.
    pub(super) fn by_hash(&mut self, store: &Store, hash: &str) -> Result<Option<Principal>, StoreError> {
        if let Some((tenant, user)) = self.owners.get(hash).cloned() {
            let person = self.person(store, &tenant, &user)?;
            if let Some(principal) = with_hash(&person, &tenant, &user, hash) {
                return Ok(Some(principal));
            }
            self.owners.pop(hash);
        }
        let Some((tenant, user)) = store.user_of_credential(hash)? else { return Ok(None) };
        let person = self.person(store, &tenant, &user)?;
        let principal = with_hash(&person, &tenant, &user, hash);
        if principal.is_some() {
            self.owners.put(hash.to_owned(), (tenant, user));
        }
        Ok(principal)
    }

    /// The same principal, as of now.
    pub(super) fn again(&mut self, store: &Store, principal: &Principal) -> Result<Option<Principal>, StoreError> {
        let (tenant, key) = (&principal.tenant, &principal.user);
        let person = self.person(store, tenant, key)?;
        Ok(with_credential(&person, tenant, key, &principal.credential))
    }

    /// Forgets what the feed says has changed.
    fn catch_up(&mut self, store: &Store) {
        loop {
            let Some(feed) = &mut self.feed else {
                // Subscribed first and read afterwards, so that nothing falls between.
                self.people.clear();
                self.feed = store.watch_lists(&[USERS.name, STAFF.name]).map(|(feed, _)| feed);
                return;
            };
            match feed.try_recv() {
                Ok(batch) => {
                    for change in &batch.changes {
                        let name = match change.list {
                            list if list == USERS.name => Store::changed_user(&change.key),
                            _ => tenant_and_key(&change.key),
                        };
                        if let Some((tenant, key)) = name {
                            self.people.pop(&(tenant.to_owned(), key.to_owned()));
                        }
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => self.feed = None,
            }
        }
    }
}

fn queues_of(store: &Store, tenant: &str, key: &str) -> Result<BTreeSet<String>, StoreError> {
    let Some(snapshot) = store.snapshot(tenant, AggregateKind::Agent, key)? else { return Ok(BTreeSet::new()) };
    let tracked: Tracked<agent::State> = serde_json::from_slice(&snapshot)
        .map_err(|error| StoreError::Damaged(format!("agent {key} of {tenant}: {error}")))?;
    let serves = tracked.state.exists() && !tracked.state.removed;
    Ok(if serves { tracked.state.queues.into_iter().collect() } else { BTreeSet::new() })
}

fn with_hash(person: &Person, tenant: &str, key: &str, hash: &str) -> Option<Principal> {
    let user = person.user.as_ref()?;
    let session = user.sessions.iter().find(|(_, session)| session.hash == hash);
    let token = || user.tokens.iter().find(|(_, token)| token.hash == hash);
    let credential = match session {
        Some((id, _)) => Credential::Session(id.clone()),
        None => Credential::Token(token()?.0.clone()),
    };
    with_credential(person, tenant, key, &credential)
}

fn with_credential(person: &Person, tenant: &str, key: &str, credential: &Credential) -> Option<Principal> {
    let user = person.user.as_ref().filter(|user| user.is_enabled())?;
    let (only, expires_at) = match credential {
        Credential::Session(id) => (None, Some(user.sessions.get(id)?.expires_at)),
        Credential::Token(id) => {
            let token = user.tokens.get(id)?;
            (token.scopes.clone(), token.expires_at)
        }
        Credential::Customer { .. } => return None,
    };
    Some(Principal {
        tenant: tenant.to_owned(),
        user: key.to_owned(),
        name: user.name.clone(),
        grants: user.granted(),
        credential: credential.clone(),
        only,
        expires_at,
        queues: person.queues.clone(),
    })
}
