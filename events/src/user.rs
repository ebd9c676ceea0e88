//! The user's commands and events: who may sign in, what they are to the tenant, and how they show that they are it.
//!
//! A user's key is the key of the agent that this person is, if the person is one. No secret is ever in here: of a password
//! there is a slow hash, of the secrets of sessions and tokens their SHA-256.

use crate::{AggregateKind, CommandRefused, QuarantineLifted, Quarantined, Timestamp, V};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// What somebody is to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// A program: may do what its token names, and nothing else.
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Conversations that this agent has, is offered, or is consulted on.
    Own,
    /// Those, and those in the queues that the agent serves.
    MyQueues,
    /// Those, and those in these queues.
    Queues(BTreeSet<String>),
    /// The whole tenant.
    All,
}

/// A role and how far it reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// How far.
    pub scope: Scope,
}

/// What a power was used on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PowerTarget {
    /// Kind of the aggregate.
    pub aggregate: AggregateKind,
    /// Its key.
    pub key: String,
}

/// Why a session is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Somebody asked for it: the user, or who manages users.
    Asked,
    /// The user has too many: the oldest gave way to a new one.
    Replaced,
}

/// What may be asked of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserCommand {
    /// Make the user.
    Create {
        /// Version of this command.
        v: V<1>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
        /// What the user is: each role once.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grants: Vec<Grant>,
    },
    /// Change the name.
    Rename {
        /// Version of this command.
        v: V<1>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
    },
    /// Give a role, or change how far one reaches.
    Grant {
        /// Version of this command.
        v: V<1>,
        /// The role.
        role: Role,
        /// How far it reaches.
        scope: Scope,
    },
    /// Take a role away.
    Revoke {
        /// Version of this command.
        v: V<1>,
        /// The role.
        role: Role,
    },
    /// Set the password, whose hash this is. All sessions end but the one that is named.
    SetPassword {
        /// Version of this command.
        v: V<1>,
        /// Argon2id, as a PHC string; absent: the user cannot sign in with a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true, "x-secret" = true))]
        hash: Option<String>,
        /// The session that goes on: the one in which the user changes the own password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<String>,
    },
    /// Begin a session. Only kefu itself asks for it, once it has seen the password or what stands for one.
    StartSession {
        /// Version of this command.
        v: V<1>,
        /// Its id.
        session: String,
        /// SHA-256 of its secret, in hexadecimal digits.
        #[schemars(extend("x-secret" = true))]
        hash: String,
        /// When it ends.
        expires_at: Timestamp,
        /// The address that it was begun from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        from: Option<String>,
    },
    /// End a session.
    EndSession {
        /// Version of this command.
        v: V<1>,
        /// Its id.
        session: String,
    },
    /// Make a token for programs.
    IssueToken {
        /// Version of this command.
        v: V<1>,
        /// Its id.
        token: String,
        /// What it is for, in the user's words.
        name: String,
        /// SHA-256 of its secret, in hexadecimal digits.
        #[schemars(extend("x-secret" = true))]
        hash: String,
        /// For these permissions only, out of what the user may do; absent: for all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<BTreeSet<String>>,
        /// When it ends; absent: when it is revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// Take a token back.
    RevokeToken {
        /// Version of this command.
        v: V<1>,
        /// Its id.
        token: String,
    },
    /// Let the user in no longer, and end all sessions.
    Disable {
        /// Version of this command.
        v: V<1>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Let the user in again. Tokens that were not revoked count again.
    Enable {
        /// Version of this command.
        v: V<1>,
    },
    /// Put on record that the user has used a power over others' work.
    UsePower {
        /// Version of this command.
        v: V<1>,
        /// Name of the permission that it took.
        permission: String,
        /// On what.
        on: PowerTarget,
        /// Id of the command that was permitted.
        command: String,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
}

/// What can have happened to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum UserEvent {
    /// The user was made.
    UserCreated {
        /// Version of this event.
        v: V<1>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
        /// What the user is: each role once.
        grants: Vec<Grant>,
    },
    /// The name has changed.
    UserRenamed {
        /// Version of this event.
        v: V<1>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
    },
    /// A role was given, or its reach changed.
    RoleGranted {
        /// Version of this event.
        v: V<1>,
        /// The role.
        role: Role,
        /// How far it reaches.
        scope: Scope,
    },
    /// A role was taken away.
    RoleRevoked {
        /// Version of this event.
        v: V<1>,
        /// The role.
        role: Role,
    },
    /// The password was set, or taken away.
    PasswordSet {
        /// Version of this event.
        v: V<1>,
        /// Argon2id, as a PHC string; absent: the user cannot sign in with a password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true, "x-secret" = true))]
        hash: Option<String>,
        /// The session that goes on; all others have ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<String>,
    },
    /// Somebody has signed in.
    SessionStarted {
        /// Version of this event.
        v: V<1>,
        /// Its id.
        session: String,
        /// SHA-256 of its secret, in hexadecimal digits.
        #[schemars(extend("x-secret" = true))]
        hash: String,
        /// When it ends.
        expires_at: Timestamp,
        /// The address that it was begun from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(extend("x-personal" = true))]
        from: Option<String>,
    },
    /// A session was ended before its time.
    SessionEnded {
        /// Version of this event.
        v: V<1>,
        /// Its id.
        session: String,
        /// Why.
        reason: SessionEnd,
    },
    /// A token was made.
    TokenIssued {
        /// Version of this event.
        v: V<1>,
        /// Its id.
        token: String,
        /// What it is for.
        name: String,
        /// SHA-256 of its secret, in hexadecimal digits.
        #[schemars(extend("x-secret" = true))]
        hash: String,
        /// For these permissions only; absent: for all that the user may do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scopes: Option<BTreeSet<String>>,
        /// When it ends; absent: when it is revoked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A token was taken back.
    TokenRevoked {
        /// Version of this event.
        v: V<1>,
        /// Its id.
        token: String,
    },
    /// The user is let in no longer, and all sessions have ended.
    UserDisabled {
        /// Version of this event.
        v: V<1>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The user is let in again.
    UserEnabled {
        /// Version of this event.
        v: V<1>,
    },
    /// The user has used a power over others' work.
    PowerUsed {
        /// Version of this event.
        v: V<1>,
        /// Name of the permission that it took.
        permission: String,
        /// On what.
        on: PowerTarget,
        /// Id of the command that was permitted.
        command: String,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}
