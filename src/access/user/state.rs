//! What a user remembers.

use kefu_events::{
    Timestamp,
    user::{Grant, Role, Scope},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A user's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The name that colleagues see; empty: there is no such user.
    pub name: String,
    /// Role → how far it reaches.
    pub grants: BTreeMap<Role, Scope>,
    /// Argon2id, as a PHC string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// When it was set, or taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_at: Option<Timestamp>,
    /// Sessions by id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, Session>,
    /// Tokens by id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, Token>,
    /// Since when the user is let in no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Why, where somebody has said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<String>,
    /// When the user was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When somebody last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// SHA-256 of its secret.
    pub hash: String,
    /// When it began.
    pub at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The address that it was begun from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// SHA-256 of its secret.
    pub hash: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub at: Timestamp,
    /// By whom: `<kind>:<id>`.
    pub by: String,
    /// For these permissions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<String>>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// Whether it still counts.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|ends| now < ends)
    }
}

impl State {
    /// Whether it was ever made: a command that went to a wrong key makes no user.
    pub fn exists(&self) -> bool {
        !self.name.is_empty()
    }

    /// Whether the user is let in.
    pub fn is_enabled(&self) -> bool {
        self.exists() && self.disabled_at.is_none()
    }

    /// Whether the user can set everything up now.
    pub fn is_administrator(&self) -> bool {
        self.is_enabled() && self.grants.contains_key(&Role::Administrator)
    }

    /// The roles, in their order.
    pub fn granted(&self) -> Vec<Grant> {
        self.grants.iter().map(|(role, scope)| Grant { role: *role, scope: scope.clone() }).collect()
    }

    /// What people and programs may see of it: no hash.
    pub fn public(&self, now: Timestamp) -> PublicUser {
        let sessions = self.sessions.iter().filter(|(_, session)| now < session.expires_at);
        PublicUser {
            name: self.name.clone(),
            grants: self.granted(),
            has_password: self.password.is_some(),
            password_at: self.password_at,
            disabled_at: self.disabled_at,
            disabled_for: self.disabled_for.clone(),
            created_at: self.created_at,
            signed_in_at: self.signed_in_at,
            sessions: sessions.map(|(id, session)| PublicSession::of(id, session)).collect(),
            tokens: self.tokens.iter().map(|(id, token)| PublicToken::of(id, token, now)).collect(),
        }
    }
}

/// A user, without any hash.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublicUser {
    /// The name that colleagues see.
    pub name: String,
    /// The roles with their reach.
    pub grants: Vec<Grant>,
    /// Whether there is a password to sign in with.
    pub has_password: bool,
    /// When it was set, or taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_at: Option<Timestamp>,
    /// Since when the user is let in no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_for: Option<String>,
    /// When the user was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When somebody last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
    /// Sessions that have not ended.
    pub sessions: Vec<PublicSession>,
    /// Tokens, the expired ones too, until something else happens to the user.
    pub tokens: Vec<PublicToken>,
}

/// A session, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicSession {
    /// Its id.
    pub id: String,
    /// When it began.
    pub at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The address that it was begun from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl PublicSession {
    fn of(id: &str, session: &Session) -> Self {
        let Session { hash: _, at, expires_at, from } = session;
        Self { id: id.to_owned(), at: *at, expires_at: *expires_at, from: from.clone() }
    }
}

/// A token, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicToken {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub at: Timestamp,
    /// By whom: `<kind>:<id>`.
    pub by: String,
    /// For these permissions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<String>>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// It has ended.
    pub expired: bool,
}

impl PublicToken {
    fn of(id: &str, token: &Token, now: Timestamp) -> Self {
        let Token { hash: _, name, at, by, scopes, expires_at } = token;
        Self {
            id: id.to_owned(),
            name: name.clone(),
            at: *at,
            by: by.clone(),
            scopes: scopes.clone(),
            expires_at: *expires_at,
            expired: !token.is_valid(now),
        }
    }
}
