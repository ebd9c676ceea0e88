//! What one client may see, and wants to.

use super::Seen;
use crate::access::{Access, Credential, Permission, Principal, Resource};
use crate::bridge::customers;
use kefu_events::{
    AggregateKind,
    bridge::{Topic, View},
    key::conversation_key,
};
use std::{borrow::Cow, collections::BTreeSet};

/// By what a commit finds its audience.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Interest {
    /// Conversations that concern this agent, and the agent itself.
    Agent(String),
    /// Conversations that concern this queue.
    Queue(String),
    /// This conversation.
    Conversation(String),
    /// All commits of this kind.
    All(AggregateKind),
}

/// What one client may see, and wants to.
#[derive(Clone)]
pub(in crate::bridge) struct Reach {
    access: Access,
    /// Who it is.
    pub principal: Principal,
    topics: BTreeSet<Topic>,
    view: View,
    /// The only conversation of a customer.
    thread: Option<String>,
    everything: bool,
    queues: Vec<String>,
}

impl Reach {
    /// Of a tenant with these queues.
    pub fn new(access: Access, principal: Principal, topics: BTreeSet<Topic>, view: View, queues: &[String]) -> Self {
        let thread = match &principal.credential {
            Credential::Customer { channel, thread, .. } => Some(conversation_key(channel, thread)),
            Credential::Session(_) | Credential::Token(_) => None,
        };
        let reads = |queues: &[String]| {
            let resource = Resource::Conversation { queues, agents: &[] };
            access.check(&principal, Permission::ReadConversation, &resource).is_ok()
        };
        let everything = view == View::All && thread.is_none() && reads(&[]);
        let within = |queue: &&String| view == View::All || principal.queues.contains(*queue);
        let queues = match view {
            View::Own => Vec::new(),
            View::Queues | View::All => {
                let may = |queue: &&String| thread.is_none() && reads(std::slice::from_ref(*queue));
                queues.iter().filter(within).filter(may).cloned().collect()
            }
        };
        Self { access, principal, topics, view, thread, everything, queues }
    }

    /// The only conversation of a customer, by its key.
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }

    /// A commit that this client [sees](Self::sees), as it may see it; `None`: nothing of it.
    pub fn shown<'a>(&self, seen: &'a Seen) -> Option<Cow<'a, str>> {
        match self.thread {
            None => Some(Cow::Borrowed(seen.text())),
            Some(_) => customers::projected(&seen.payload).map(|shown| Cow::Owned(shown.to_string())),
        }
    }

    /// Whether somebody else by the same name may see other things by now.
    pub fn is_of(&self, principal: &Principal) -> bool {
        let Principal { grants, queues, only, .. } = &self.principal;
        *grants == principal.grants && *queues == principal.queues && *only == principal.only
    }

    /// The same client with other rights.
    pub fn renewed(&self, principal: Principal, queues: &[String]) -> Self {
        Self::new(self.access.clone(), principal, self.topics.clone(), self.view, queues)
    }

    pub(super) fn interests(&self) -> Vec<Interest> {
        let mut interests = vec![Interest::Agent(self.principal.user.clone())];
        if let Some(thread) = &self.thread {
            return vec![Interest::Conversation(thread.clone())];
        }
        if self.topics.contains(&Topic::Conversations) {
            if self.everything {
                interests.push(Interest::All(AggregateKind::Conversation));
            } else {
                interests.extend(self.queues.iter().cloned().map(Interest::Queue));
            }
        }
        let wants = [
            (Topic::Agents, AggregateKind::Agent),
            (Topic::Contacts, AggregateKind::Contact),
            (Topic::Entries, AggregateKind::Faq),
            (Topic::Settings, AggregateKind::Settings),
        ];
        interests.extend(
            wants.iter().filter(|(topic, _)| self.topics.contains(topic)).map(|(_, kind)| Interest::All(*kind)),
        );
        interests
    }

    /// What a commit is found by.
    pub(super) fn interests_of(seen: &Seen) -> impl Iterator<Item = Interest> {
        let agents = seen.concerns.agents.iter().cloned().map(Interest::Agent);
        let queues = seen.concerns.queues.iter().cloned().map(Interest::Queue);
        let itself = match seen.kind {
            AggregateKind::Conversation => Interest::Conversation(seen.key.clone()),
            // Users have the ids of agents.
            _ => Interest::Agent(seen.key.clone()),
        };
        [Interest::All(seen.kind), itself].into_iter().chain(agents).chain(queues)
    }

    /// Cheap, and never wrongly `false`: whether a commit may be one that this client sees or must know of.
    pub(super) fn may_concern(&self, seen: &Seen) -> bool {
        seen.tenant == self.principal.tenant
    }

    /// Whether this commit changes what the client may see.
    pub fn is_changed_by(&self, seen: &Seen) -> bool {
        let own = seen.key == self.principal.user;
        self.thread.is_none() && own && !matches!(seen.kind, AggregateKind::Conversation | AggregateKind::Contact)
    }

    /// Whether the client sees a conversation that concerns these.
    pub fn sees_conversation(&self, queues: &[String], agents: &[String]) -> bool {
        let own = agents.contains(&self.principal.user);
        let in_view = match self.view {
            View::All => true,
            View::Queues => own || queues.iter().any(|queue| self.principal.queues.contains(queue)),
            View::Own => own,
        };
        let resource = Resource::Conversation { queues, agents };
        in_view && self.access.check(&self.principal, Permission::ReadConversation, &resource).is_ok()
    }

    /// Whether the client sees this commit.
    pub fn sees(&self, seen: &Seen) -> bool {
        if seen.tenant != self.principal.tenant {
            return false;
        }
        if let Some(thread) = &self.thread {
            return seen.kind == AggregateKind::Conversation && seen.key == *thread;
        }
        let may =
            |permission, resource: &Resource<'_>| self.access.check(&self.principal, permission, resource).is_ok();
        let wants = |topic| self.topics.contains(&topic);
        match seen.kind {
            AggregateKind::Conversation => {
                wants(Topic::Conversations) && self.sees_conversation(&seen.concerns.queues, &seen.concerns.agents)
            }
            AggregateKind::Agent if seen.key == self.principal.user => true,
            AggregateKind::Agent => {
                wants(Topic::Agents) && may(Permission::ReadAgent, &Resource::Agent { key: &seen.key })
            }
            AggregateKind::Contact => wants(Topic::Contacts) && may(Permission::ReadContact, &Resource::Tenant),
            // They hold hashes of secrets; what is for people's eyes has a query.
            AggregateKind::User => false,
            AggregateKind::Faq => wants(Topic::Entries) && may(Permission::ReadEntry, &Resource::Tenant),
            AggregateKind::Settings => {
                wants(Topic::Settings) && may(Permission::ReadSettings, &Resource::Document(&seen.key))
            }
        }
    }
}
