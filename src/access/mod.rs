//! Who may do what.
//!
//! A [`Principal`] is somebody who has shown a credential; [`Permission`] is one thing that can be allowed, [`Resource`]
//! what it is allowed on, and [`Denied`] says which permission is missing. It may not know what HTTP or a socket is, nor how a
//! permitted thing is done, nor what carries its commands.
//!
//! - [`user`]: the aggregate: roles, the password's hash, sessions, tokens;
//! - [`principal`]: who has shown what;
//! - `known`: users and agents in memory, until something happens to them;
//! - `decisions`: what was decided by [`policy`](crate::policy), so that it need not be decided again;
//! - `accounts`: signs in and out, makes tokens, changes users; `setup`: the first user;
//! - [`customer`]: tokens of customers, which are kept nowhere;
//! - [`password`], [`secret`], `throttle`: hashes, secrets, and who has to wait.

mod accounts;
pub mod customer;
mod decisions;
mod known;
pub mod password;
pub mod principal;
pub mod secret;
mod setup;
mod throttle;
pub mod user;

pub use crate::policy::{
    Denied, Permission, Resource,
    permission::{self},
};
pub use accounts::{AccountError, Commands, Issued, NewToken, SignInError, SignedIn};
pub use decisions::Checker;
pub use principal::{Credential, Grant, Principal, Role, Scope};
pub(crate) use throttle::network_of;

use crate::{policy::Class, runtime::projector::Progress, store::Store};
use kefu_events::Timestamp;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// Why nobody is known by a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no such credential, or it was revoked.
    #[error("this token or session is not known here: sign in again")]
    Unknown,
    /// It was good until some time ago.
    #[error("this token or session has expired: sign in again")]
    Expired,
    /// This node cannot tell: it has not read all of the log yet, or its store fails. The credential may be good.
    #[error("this node cannot tell yet who you are: try again in a while")]
    Unavailable,
}

/// Knows credentials and policies. Cheap to clone.
#[derive(Clone, Default)]
pub struct Access(Arc<Inner>);

#[derive(Default)]
struct Inner {
    node: Option<Node>,
    /// By the hash of the secret.
    admitted: Mutex<HashMap<String, Principal>>,
    decisions: decisions::Decisions,
    accounts: accounts::Desk,
    /// Tenants without users, by the hash of the code that makes the first one.
    setup: Mutex<HashMap<String, String>>,
}

/// What knows users, and asks for changes.
struct Node {
    store: Store,
    progress: watch::Receiver<Progress>,
    commands: Arc<dyn Commands>,
    known: Mutex<known::Known>,
}

/// All that is locked here is whole after every call: a poisoned lock is of no meaning.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The time.
fn now() -> Timestamp {
    chrono::Utc::now().into()
}

impl Access {
    /// Knows the users of this store, which a projector with this progress feeds, and changes them by these commands. Without
    /// all that ([`Access::default`]) only those are known who were [admitted](Self::admit).
    pub fn new(store: Store, progress: watch::Receiver<Progress>, commands: impl Commands) -> Self {
        let node = Node { store, progress, commands: Arc::new(commands), known: Mutex::default() };
        Self(Arc::new(Inner { node: Some(node), ..Inner::default() }))
    }

    /// Who shows this token or session. From memory, or some reads of the store: 100 microseconds at most, unless the disk is
    /// slow.
    ///
    /// # Errors
    /// It is not known, or not valid any more, or that cannot be told now.
    pub fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        let hash = secret::hash_of(token).ok_or(AuthError::Unknown)?;
        if let Some(principal) = lock(&self.0.admitted).get(&hash) {
            return in_time(principal.clone());
        }
        self.known(|known, store| known.by_hash(store, &hash))
    }

    /// The same principal with the roles and queues of now: for whoever has been connected for a while. Cheap while nothing
    /// has happened to the user.
    ///
    /// # Errors
    /// The credential was revoked or has expired, or the user was disabled, or that cannot be told now.
    pub fn again(&self, principal: &Principal) -> Result<Principal, AuthError> {
        if let Credential::Customer { .. } = principal.credential {
            // Nothing is known of it but what it said itself.
            return in_time(principal.clone());
        }
        let same = |admitted: &&Principal| {
            (&admitted.tenant, &admitted.credential) == (&principal.tenant, &principal.credential)
        };
        if let Some(admitted) = lock(&self.0.admitted).values().find(same) {
            return in_time(admitted.clone());
        }
        self.known(|known, store| known.again(store, principal))
    }

    fn known(
        &self,
        find: impl FnOnce(&mut known::Known, &Store) -> Result<Option<Principal>, crate::store::StoreError>,
    ) -> Result<Principal, AuthError> {
        let node = self.0.node.as_ref().ok_or(AuthError::Unknown)?;
        if !node.progress.borrow().is_ready() {
            return Err(AuthError::Unavailable);
        }
        let found = find(&mut lock(&node.known), &node.store).map_err(|error| {
            tracing::error!(%error, "a credential could not be looked up");
            AuthError::Unavailable
        });
        in_time(found?.ok_or(AuthError::Unknown)?)
    }

    /// Knows this token from now on, on this node, whatever the log says: for whoever starts the node, and for tests.
    pub fn admit(&self, token: &str, principal: Principal) {
        if let Some(hash) = secret::hash_of(token) {
            lock(&self.0.admitted).insert(hash, principal);
        }
    }

    /// Whether `principal` may do this there, by the policies of now.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, principal: &Principal, permission: Permission, resource: &Resource<'_>) -> Result<(), Denied> {
        let settings = self.store().map(Store::settings);
        let policies = self.0.decisions.policies(&principal.tenant, settings.as_deref());
        let class = self.class(principal, resource);
        let may = self.0.decisions.decide(&policies, principal, permission, class);
        if may { Ok(()) } else { Err(decisions::denied(principal, permission)) }
    }

    /// [Checks](Self::check) again and again for one principal.
    pub fn checker(&self, principal: Principal) -> Checker {
        Checker::new(self.clone(), principal)
    }

    /// The permissions that `principal` has on the tenant as a whole: for a console that shows what can be done.
    pub fn permissions(&self, principal: &Principal) -> Vec<Permission> {
        let may = |permission: &Permission| self.check(principal, *permission, &Resource::Tenant).is_ok();
        Permission::ALL.iter().copied().filter(may).collect()
    }

    fn store(&self) -> Option<&Store> {
        self.0.node.as_ref().map(|node| &node.store)
    }

    fn class(&self, principal: &Principal, resource: &Resource<'_>) -> Class {
        let (Resource::Agent { key }, Some(node)) = (resource, &self.0.node) else {
            return decisions::class_of(principal, resource);
        };
        match lock(&node.known).person(&node.store, &principal.tenant, key) {
            Ok(agent) => Class::of(&principal.user, resource, &agent.queues),
            // An agent without queues is in nobody's reach but those who reach everything.
            Err(_) => decisions::class_of(principal, resource),
        }
    }
}

fn in_time(principal: Principal) -> Result<Principal, AuthError> {
    match principal.expires_at {
        Some(ends) if ends <= now() => Err(AuthError::Expired),
        _ => Ok(principal),
    }
}
