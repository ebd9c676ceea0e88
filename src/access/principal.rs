//! Somebody who has shown a credential.

use crate::policy::Subject;
use kefu_events::Timestamp;
pub use kefu_events::user::{Grant, Role, Scope};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
};

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A browser's session, by its id.
    Session(String),
    /// A token of the interface, by its id.
    Token(String),
    /// A customer's token: for one thread of one channel.
    Customer {
        /// The channel.
        channel: String,
        /// The thread.
        thread: String,
        /// The channel's id of the customer.
        sender: String,
        /// The customer's name.
        name: Option<String>,
    },
}

impl Credential {
    /// As policies call it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Token(_) => "token",
            Self::Customer { .. } => "customer",
        }
    }
}

/// Somebody who has shown a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose. Nothing of another tenant is ever seen.
    pub tenant: String,
    /// The user's id, which is also the agent's key.
    pub user: String,
    /// The name that colleagues see.
    pub name: String,
    /// What the user is.
    pub grants: Vec<Grant>,
    /// What was shown.
    pub credential: Credential,
    /// Where the credential is for some permissions only: their names.
    pub only: Option<BTreeSet<String>>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The queues that the agent of this id serves.
    pub queues: BTreeSet<String>,
}

impl Principal {
    /// Whether the user has this role, however far it reaches.
    pub fn has(&self, role: Role) -> bool {
        self.grants.iter().any(|grant| grant.role == role)
    }

    /// As policies see it.
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            user: &self.user,
            grants: &self.grants,
            only: self.only.as_ref(),
            queues: &self.queues,
            credential: self.credential.as_str(),
        }
    }

    /// A fingerprint of all that policies see of it.
    pub(super) fn fingerprint(&self, with: &(RandomState, RandomState)) -> (u64, u64) {
        let seen = (&self.user, &self.grants, &self.only, &self.queues, self.credential.as_str());
        (with.0.hash_one(seen), with.1.hash_one(seen))
    }
}
