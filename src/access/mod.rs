//! Who may do what.
//!
//! A [`Principal`] is somebody who has shown a credential; [`Permission`] is one thing that can be allowed, [`Resource`]
//! what it is allowed on, and [`Denied`] says which permission is missing. It may not know what HTTP or a socket is, nor how a
//! permitted thing is done.

pub mod permission;
mod principal;

pub use permission::{Denied, Permission, Resource};
pub use principal::{Credential, Grant, Principal, Role, Scope};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Why nobody is known by a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no such credential, or it was revoked.
    #[error("this token or session is not known here: sign in again")]
    Unknown,
    /// It was good until some time ago.
    #[error("this token or session has expired: sign in again")]
    Expired,
}

/// Knows credentials and policies. Cheap to clone.
#[derive(Clone, Default)]
pub struct Access {
    tokens: Arc<Mutex<HashMap<String, Principal>>>,
}

impl Access {
    /// Who shows this token or session.
    ///
    /// # Errors
    /// It is not known, or not valid any more.
    pub fn authenticate(&self, token: &str) -> Result<Principal, AuthError> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned().ok_or(AuthError::Unknown)
    }

    /// The same principal as it is now: what it may do can have changed, or its credential can have ended.
    ///
    /// # Errors
    /// Its credential is not valid any more.
    pub fn renew(&self, principal: &Principal) -> Result<Principal, AuthError> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.values().find(|known| known.credential == principal.credential).cloned().ok_or(AuthError::Unknown)
    }

    /// Knows this token from now on.
    pub fn admit(&self, token: &str, principal: Principal) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), principal);
    }

    /// Whether `principal` may do this there.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&self, principal: &Principal, permission: Permission, resource: &Resource<'_>) -> Result<(), Denied> {
        permission::shipped(principal, permission, resource)
    }
}
