//! Somebody who has shown a credential.

use kefu_events::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// What somebody is to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves customers.
    Agent,
    /// Looks after agents and queues.
    Supervisor,
    /// Sets everything up.
    Administrator,
    /// Reads everything, changes nothing.
    Analyst,
    /// A program.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Agent, Self::Supervisor, Self::Administrator, Self::Analyst, Self::Service];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Supervisor => "supervisor",
            Self::Administrator => "administrator",
            Self::Analyst => "analyst",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a role reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Conversations that this agent has, is offered, or is consulted on.
    Own,
    /// Those, and those in the queues that the agent serves.
    MyQueues,
    /// Those in these queues.
    Queues(BTreeSet<String>),
    /// The whole tenant.
    All,
}

/// A role and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// How far.
    pub scope: Scope,
}

/// What was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A browser's session.
    Session(String),
    /// A token of the interface.
    Token(String),
    /// A customer's token: for one thread of one channel.
    Customer {
        /// The channel.
        channel: String,
        /// The thread.
        thread: String,
    },
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
}
