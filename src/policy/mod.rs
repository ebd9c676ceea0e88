//! Who may do what, as policies: those that kefu ships, and what a tenant permits and forbids beside them.
//!
//! Pure: whoever asks brings all that a decision is about, and gets the same answer whenever it is asked again. This folder
//! may not know how somebody has shown who they are, nor what a permission protects.
//!
//! - [`permission`]: the list of all that can be permitted: the actions;
//! - `schema.cedarschema`: what policies are about, in Cedar's language; a test holds it against the list;
//! - `shipped.cedar`: the policies that kefu ships;
//! - `compiled`: both, with a tenant's own, ready to decide.
//!
//! The one place that knows Cedar.

mod compiled;
pub mod permission;
#[cfg(test)]
mod tests;

pub use compiled::{Policies, SCHEMA, SHIPPED, WrongPolicy};
pub use permission::{Denied, Permission, Resource};

use kefu_events::user::Grant;
use std::collections::BTreeSet;

/// Whoever wants something, as far as policies can tell.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The user's id, which is also the agent's key.
    pub user: &'a str,
    /// What the user is.
    pub grants: &'a [Grant],
    /// Where the credential is for some permissions only: their names.
    pub only: Option<&'a BTreeSet<String>>,
    /// The queues that the agent of this id serves.
    pub queues: &'a BTreeSet<String>,
    /// What was shown: `session`, `token` or `customer`.
    pub credential: &'a str,
}

/// All of a resource that a decision may depend on, so that decisions about things of the same class are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class {
    kind: Kind,
    /// The conversation is one's own, or the agent or account is oneself.
    own: bool,
    /// The queues of a conversation or an agent, sorted, each once.
    queues: Vec<String>,
    /// Which agent, document or account; none for a conversation: policies do not tell these apart.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Kind {
    Tenant,
    Conversation,
    Agent,
    Document,
    Account,
}

impl Class {
    /// The class of a resource for a user. Where it is an agent, these are its queues.
    pub fn of(user: &str, resource: &Resource<'_>, agent_queues: &BTreeSet<String>) -> Self {
        let of = |kind, own, name: &str| Self { kind, own, queues: Vec::new(), name: name.to_owned() };
        match resource {
            Resource::Tenant => of(Kind::Tenant, false, ""),
            Resource::Conversation { queues, agents } => {
                let own = agents.iter().any(|agent| agent == user);
                let mut queues = queues.to_vec();
                queues.sort();
                queues.dedup();
                Self { queues, ..of(Kind::Conversation, own, "") }
            }
            Resource::Agent { key } => {
                Self { queues: agent_queues.iter().cloned().collect(), ..of(Kind::Agent, *key == user, key) }
            }
            Resource::Document(name) => of(Kind::Document, false, name),
            Resource::User(id) => of(Kind::Account, *id == user, id),
        }
    }
}
