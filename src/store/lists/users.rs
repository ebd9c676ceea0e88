//! Users by name and by role, and the users behind sessions and tokens.
//!
//! `users`: key `<tenant>/<facet letter><what>\0<key>`, or for names `<tenant>/n<name>\0<key>`, with the name in small
//! letters so that people find it where they look for it. Value: the aggregate's version, so that the list's feed tells of
//! everything that happens to a user. Nobody is in it who was never made.
//!
//! `credentials`: key: the SHA-256 of a session's or token's secret, of whatever tenant; value: `<tenant>/<user>`.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    access::user::{State, User},
    aggregate::Tracked,
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{
    AggregateKind, Timestamp,
    user::{Grant, Role},
};
use serde::Serialize;

/// See the module's text.
pub const USERS: List<User> = List { name: "users", version: 1, entries };

/// See the module's text.
pub const CREDENTIALS: List<User> = List { name: "credentials", version: 1, entries: credentials };

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let state = &tracked.state;
    if !state.exists() {
        return;
    }
    let (key, version) = (subject.key.as_bytes(), tracked.version.to_be_bytes());
    let name = state.name.to_lowercase();
    entries.add(&[&UserFilter::All.prefix(subject.tenant), name.as_bytes(), b"\0", key], &[&version]);
    for role in state.grants.keys() {
        entries.add(&[&UserFilter::Role(*role).prefix(subject.tenant), name.as_bytes(), b"\0", key], &[]);
    }
    if state.is_administrator() {
        entries.add(&[&administrators(subject.tenant), key], &[]);
    }
}

fn credentials(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let state = &tracked.state;
    if !state.is_enabled() {
        return;
    }
    let sessions = state.sessions.values().map(|session| &session.hash);
    for hash in sessions.chain(state.tokens.values().map(|token| &token.hash)) {
        entries.add(&[hash.as_bytes()], &[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()]);
    }
}

/// What the keys begin with of those who can set everything up now. The letters stand in stored keys: never change one.
fn administrators(tenant: &str) -> Vec<u8> {
    [tenant.as_bytes(), b"/a\0"].concat()
}

/// Which users are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserFilter {
    /// All of them.
    #[default]
    All,
    /// Those with this role.
    Role(Role),
}

impl UserFilter {
    /// What all keys begin with under which these users are found. The letters stand in stored keys: never change one.
    fn prefix(self, tenant: &str) -> Vec<u8> {
        match self {
            Self::All => [tenant.as_bytes(), b"/n"].concat(),
            Self::Role(role) => [tenant.as_bytes(), b"/r", role.as_str().as_bytes(), b"\0"].concat(),
        }
    }
}

/// A user, as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserSummary {
    /// The user's id.
    pub id: String,
    /// The name that colleagues see.
    pub name: String,
    /// The roles with their reach.
    pub grants: Vec<Grant>,
    /// Whether there is a password to sign in with.
    pub has_password: bool,
    /// Sessions that have not ended.
    pub sessions: usize,
    /// Tokens that have not ended.
    pub tokens: usize,
    /// Since when the user is let in no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// When somebody last signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_in_at: Option<Timestamp>,
    /// Whether it was set aside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// When something last happened.
    pub at: Timestamp,
    /// The aggregate's version.
    pub version: u64,
}

impl UserSummary {
    fn of(key: &str, tracked: &Tracked<State>, now: Timestamp) -> Self {
        let state = &tracked.state;
        Self {
            id: key.to_owned(),
            name: state.name.clone(),
            grants: state.granted(),
            has_password: state.password.is_some(),
            sessions: state.sessions.values().filter(|session| now < session.expires_at).count(),
            tokens: state.tokens.values().filter(|token| token.is_valid(now)).count(),
            disabled_at: state.disabled_at,
            signed_in_at: state.signed_in_at,
            quarantined: tracked.quarantined,
            at: tracked.at,
            version: tracked.version,
        }
    }
}

impl Store {
    /// A user; `None`: there is none of this id.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn user(&self, tenant: &str, user: &str) -> Result<Option<Tracked<State>>, StoreError> {
        let Some(snapshot) = self.snapshot(tenant, AggregateKind::User, user)? else { return Ok(None) };
        let tracked: Tracked<State> = serde_json::from_slice(&snapshot)
            .map_err(|error| StoreError::Damaged(format!("user {user} of {tenant}: {error}")))?;
        Ok(tracked.state.exists().then_some(tracked))
    }

    /// Users of a tenant by name, at most `limit`, after the place that the page before named, as of `now`.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn users(
        &self,
        tenant: &str,
        filter: UserFilter,
        now: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<UserSummary>, PageError> {
        let after = after.map(|cursor| place_of(cursor).ok_or(WrongCursor)).transpose()?;
        // One more than wanted, to know whether there are more.
        let wanted = limit.min(MAX_LOOKED_AT) + 1;
        let mut places: Vec<Vec<u8>> = Vec::new();
        let prefix = filter.prefix(tenant);
        let start = after.map_or_else(Vec::new, just_after);
        self.list(USERS.name, &prefix, &[&prefix[..], &start].concat(), |key, _| {
            places.push(key[prefix.len()..].to_vec());
            places.len() < wanted
        })?;
        let more = places.len() == wanted;
        places.truncate(wanted - 1);
        let next = places.last().filter(|_| more).map(|place| cursor_of(place));
        let mut items = Vec::with_capacity(places.len());
        for place in &places {
            let key = place.rsplit(|byte| *byte == 0).next().unwrap_or_default();
            let key = String::from_utf8_lossy(key);
            items.extend(self.user(tenant, &key)?.map(|tracked| UserSummary::of(&key, &tracked, now)));
        }
        Ok(Page { items, next })
    }

    /// Ids of those who can set everything up in a tenant now: the first few.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn administrators(&self, tenant: &str) -> Result<Vec<String>, StoreError> {
        const ENOUGH: usize = 8;
        let mut found = Vec::new();
        let prefix = administrators(tenant);
        self.list(USERS.name, &prefix, &prefix, |key, _| {
            found.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
            found.len() < ENOUGH
        })?;
        Ok(found)
    }

    /// Whether a tenant has any user at all.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn has_users(&self, tenant: &str) -> Result<bool, StoreError> {
        let (prefix, mut any) = (UserFilter::All.prefix(tenant), false);
        self.list(USERS.name, &prefix, &prefix, |_, _| {
            any = true;
            false
        })?;
        Ok(any)
    }

    /// Tenant and user of the session or token with this hash.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn user_of_credential(&self, hash: &str) -> Result<Option<(String, String)>, StoreError> {
        let mut found = None;
        self.list(CREDENTIALS.name, hash.as_bytes(), hash.as_bytes(), |key, value| {
            if key == hash.as_bytes() {
                let user = super::tenant_and_key(value);
                found = user.map(|(tenant, user)| (tenant.to_owned(), user.to_owned()));
            }
            false
        })?;
        Ok(found)
    }

    /// Tenant and user in a key of the list `users` that tells of everything that happens to a user.
    pub fn changed_user(key: &[u8]) -> Option<(&str, &str)> {
        let (tenant, rest) = super::tenant_and_key(key)?;
        let (_, user) = rest.strip_prefix('n')?.rsplit_once('\0')?;
        Some((tenant, user))
    }
}
