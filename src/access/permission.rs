//! What can be allowed, and on what.

use super::principal::{Principal, Role, Scope};
use std::fmt;

macro_rules! permissions {
    ($($variant:ident = $name:literal: $text:literal,)*) => {
        /// One thing that can be allowed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $(#[doc = $text] $variant,)*
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name: the action in policies, and what a refusal names.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it allows, for people.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

permissions! {
    ReadConversation = "conversation.read": "Read a conversation and hear of what happens in it.",
    WorkConversation = "conversation.work": "Accept, reject, answer, transfer, snooze, write up and close one's own conversations.",
    AnnotateConversation = "conversation.annotate": "Write notes and set tags.",
    JoinConversation = "conversation.join": "Read along and write notes in a colleague's conversation, visibly.",
    TakeConversation = "conversation.take_over": "Take a conversation from whoever has it, or out of its queue.",
    AssignConversation = "conversation.assign": "Give a conversation to another agent or queue, whoever has it.",
    SearchMessages = "message.search": "Search what was ever said.",
    ReadContact = "contact.read": "Read a contact.",
    EditContact = "contact.edit": "Change a contact's attributes and tags, merge and split contacts.",
    ReadAgent = "agent.read": "Read colleagues' states, and how the queues are doing.",
    OwnStatus = "agent.own_status": "Say for what one is ready oneself.",
    ManageAgent = "agent.manage": "Register agents, set their skills, queues, capacity, shifts and status.",
    ReadEntry = "entry.read": "Read the knowledge base and ask it.",
    EditEntry = "entry.edit": "Draft and edit entries of the knowledge base.",
    ApproveEntry = "entry.approve": "Approve and retire entries.",
    RateEntry = "entry.feedback": "Say whether an entry helped.",
    ReadSettings = "settings.read": "Read the settings.",
    EditSettings = "settings.edit": "Change the settings.",
    ReadUser = "user.read": "Read users, their roles and their tokens' names.",
    ManageUser = "user.manage": "Add users, give and take roles, set passwords, revoke tokens.",
    OwnTokens = "token.own": "Make and revoke tokens for oneself.",
    ReadFile = "file.read": "Read files that customers and agents sent.",
    WriteFile = "file.write": "Upload files.",
    ManageWebhook = "webhook.manage": "Add, inspect, replay and remove webhooks.",
    ReadReport = "report.read": "Read reports.",
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What something is allowed on, within the principal's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// The tenant as a whole.
    Tenant,
    /// A conversation, by the queues and agents that it concerns.
    Conversation {
        /// Its queue, and the one that it has just left.
        queues: &'a [String],
        /// Who has it, is offered it, is consulted, or has just had it.
        agents: &'a [String],
    },
    /// An agent.
    Agent {
        /// Its key.
        key: &'a str,
    },
    /// A settings document.
    Document(&'a str),
    /// A user.
    User(&'a str),
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{user} lacks the permission {permission} here: {}", permission.description())]
pub struct Denied {
    /// Which permission.
    pub permission: Permission,
    /// Who lacks it.
    pub user: String,
}

/// The policies that kefu ships.
pub(super) fn shipped(principal: &Principal, permission: Permission, resource: &Resource<'_>) -> Result<(), Denied> {
    let denied = Denied { permission, user: principal.user.clone() };
    if principal.only.as_ref().is_some_and(|only| !only.contains(permission.as_str())) {
        return Err(denied);
    }
    let reaches = |scope: &Scope| match resource {
        Resource::Conversation { queues, agents } => {
            let own = agents.contains(&principal.user);
            match scope {
                Scope::All => true,
                Scope::Own => own,
                Scope::MyQueues => own || queues.iter().any(|queue| principal.queues.contains(queue)),
                Scope::Queues(named) => own || queues.iter().any(|queue| named.contains(queue)),
            }
        }
        _ => true,
    };
    let allowed = principal.grants.iter().any(|grant| may(grant.role, permission) && reaches(&grant.scope));
    if allowed { Ok(()) } else { Err(denied) }
}

fn may(role: Role, permission: Permission) -> bool {
    use Permission as P;
    match role {
        Role::Administrator | Role::Service => true,
        Role::Analyst => matches!(
            permission,
            P::ReadConversation | P::SearchMessages | P::ReadContact | P::ReadAgent | P::ReadEntry | P::ReadReport
        ),
        Role::Supervisor => !matches!(permission, P::ManageUser | P::EditSettings | P::ManageWebhook),
        Role::Agent => matches!(
            permission,
            P::ReadConversation
                | P::WorkConversation
                | P::AnnotateConversation
                | P::SearchMessages
                | P::ReadContact
                | P::EditContact
                | P::ReadAgent
                | P::OwnStatus
                | P::ReadEntry
                | P::EditEntry
                | P::RateEntry
                | P::ReadSettings
                | P::OwnTokens
                | P::ReadFile
                | P::WriteFile
        ),
    }
}
