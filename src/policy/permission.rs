//! What can be allowed, and on what.

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

            /// The permission of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|permission| permission.as_str() == name)
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
    AdmitCustomer = "customer.admit": "Make tokens with which customers' own pages attach to their conversation.",
    GiveAnswer = "answer.give": "Answer customers' questions as a bot: give or decline an answer, offer choices, ask for a person.",
    ReadReport = "report.read": "Read reports.",
}

impl Permission {
    /// Whether it is power over others' work: each use of it is put on record.
    pub fn is_power(self) -> bool {
        matches!(
            self,
            Self::JoinConversation
                | Self::TakeConversation
                | Self::AssignConversation
                | Self::ManageAgent
                | Self::ManageUser
        )
    }
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
