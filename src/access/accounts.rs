//! Signs in and out, makes tokens, changes users: each checked first, and asked of the user's aggregate.
//!
//! What was done is true on this node when the call returns: it waits until the node's store has seen the commit.

use super::{
    Access, AuthError, Credential, Denied, Permission, Principal, Resource, lock, now,
    password::{self, PasswordError},
    secret::{self, NoChance, SESSION_PREFIX, TOKEN_PREFIX},
    throttle::Throttle,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandResult, Refusal, Timestamp, V,
    envelope::Command,
    key::is_token,
    user::{PowerTarget, UserCommand},
};
use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// How long a session lasts.
const SESSION_MS: i64 = 7 * 86_400_000;
/// How long the log's and the store's answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Passwords that are hashed at once: 19 MiB and a core each.
const HASHED_AT_ONCE: usize = 2;
/// Passwords that wait to be hashed, at most: a second or so of work.
const WAITING_AT_ONCE: usize = 64;

/// Carries commands to aggregates, and brings their results.
pub trait Commands: Send + Sync + 'static {
    /// Sends the JSON of a command from `source` to the aggregate `key`, and waits for its result. The error says, for
    /// people, why there is none.
    fn send(
        &self,
        tenant: &str,
        source: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> BoxFuture<'_, Result<CommandResult, String>>;
}

/// Somebody has signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedIn {
    /// What the browser shows from now on. It is nowhere else.
    pub secret: String,
    /// Who it is.
    pub principal: Principal,
    /// When the session ends.
    pub expires_at: Timestamp,
}

/// Why somebody cannot sign in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// There is no such user, or this is not the password, or there is none. Which of them is nobody's business.
    #[error("the user name or the password is wrong")]
    Wrong,
    /// The password was right.
    #[error("this user is disabled: ask an administrator")]
    Disabled,
    /// Too many tries.
    #[error("too many tries: wait for {} s", wait.as_secs().max(1))]
    Throttled {
        /// How long to wait.
        wait: Duration,
    },
    /// Too many sign in at once, or this node or the log cannot be reached.
    #[error("nobody can sign in here now: {0}; try again in a while")]
    Unavailable(String),
}

/// What a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it is for, in the user's words.
    pub name: String,
    /// For these permissions only; `None`: for all that the user may do.
    pub scopes: Option<BTreeSet<String>>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its id.
    pub id: String,
    /// What a program shows. It is nowhere else.
    pub secret: String,
    /// What its user decided.
    pub result: CommandResult,
}

/// Why something about an account was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// A permission is missing.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The user's aggregate refused it, or it can only be asked in another way.
    #[error("{} ({})", .0.message, .0.code)]
    Refused(Refusal),
    /// The new password is no good.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The present password is wrong, or was tried too often.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// The result is not known.
    #[error("{0}")]
    Unavailable(String),
}

impl From<NoChance> for AccountError {
    fn from(error: NoChance) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What signing in shares.
pub(super) struct Desk {
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
    waiting: AtomicUsize,
}

impl Default for Desk {
    fn default() -> Self {
        let throttle = Mutex::default();
        Self { throttle, hashing: Semaphore::new(HASHED_AT_ONCE), waiting: AtomicUsize::new(0) }
    }
}

impl Desk {
    /// Runs what takes a core for a while where that may be, some at a time.
    pub(super) async fn hash<T: Send + 'static>(&self, run: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        struct Leaves<'a>(&'a AtomicUsize);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _leaves = Leaves(&self.waiting);
        if ahead >= WAITING_AT_ONCE {
            return Err("too many sign in at once".to_owned());
        }
        let _permit = self.hashing.acquire().await.map_err(|error| error.to_string())?;
        tokio::task::spawn_blocking(run).await.map_err(|error| error.to_string())
    }
}

impl Access {
    /// Begins a session for whoever knows the password. It takes as long for a user who does not exist. `from` is the address
    /// that it comes from.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn sign_in(&self, tenant: &str, user: &str, password: &str, from: &str) -> Result<SignedIn, SignInError> {
        self.prove(tenant, user, password, from).await?;
        self.begin_session(tenant, user, from).await
    }

    /// Begins a session for somebody whom a provider that the operator trusts has proven to be this user.
    ///
    /// # Errors
    /// See [`SignInError`]; `Wrong`: there is no such user.
    pub async fn sign_in_as(&self, tenant: &str, user: &str, from: &str) -> Result<SignedIn, SignInError> {
        let node = self.0.node.as_ref().filter(|node| node.progress.borrow().is_ready());
        let Some(node) = node else {
            return Err(SignInError::Unavailable(AuthError::Unavailable.to_string()));
        };
        let can_be = is_token(tenant) && is_token(user);
        let found = if can_be { node.store.user(tenant, user) } else { Ok(None) };
        let found = found.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        let state = found.filter(|tracked| !tracked.quarantined).map(|tracked| tracked.state);
        match state {
            None => Err(SignInError::Wrong),
            Some(state) if !state.is_enabled() => Err(SignInError::Disabled),
            Some(_) => self.begin_session(tenant, user, from).await,
        }
    }

    async fn begin_session(&self, tenant: &str, user: &str, from: &str) -> Result<SignedIn, SignInError> {
        let unavailable = |error: String| SignInError::Unavailable(error);
        let new = secret::new_secret(SESSION_PREFIX).map_err(|error| unavailable(error.to_string()))?;
        let expires_at = Timestamp::from_millis(now().as_millis() + SESSION_MS);
        let command = UserCommand::StartSession {
            v: V,
            session: new_id(),
            hash: secret::hash_of(&new).unwrap_or_default(),
            expires_at,
            from: Some(from.chars().take(100).collect()),
        };
        let asked = self.ask(tenant, user, kefu(), None, None, command).await;
        match asked.map_err(|error| unavailable(error.to_string()))?.refusal {
            Some(refusal) if refusal.code == "disabled" => return Err(SignInError::Disabled),
            Some(refusal) => return Err(unavailable(refusal.message)),
            None => {}
        }
        let principal = self.authenticate(&new).map_err(|error| unavailable(error.to_string()))?;
        Ok(SignedIn { secret: new, principal, expires_at })
    }

    /// Whether this is the user's password.
    async fn prove(&self, tenant: &str, user: &str, password: &str, from: &str) -> Result<(), SignInError> {
        let node = self.0.node.as_ref().filter(|node| node.progress.borrow().is_ready());
        let Some(node) = node else {
            return Err(SignInError::Unavailable(AuthError::Unavailable.to_string()));
        };
        let who = format!("{}/{}", cut(tenant), cut(user));
        let begun = lock(&self.0.accounts.throttle).begin(&who, from, now().as_millis());
        begun.map_err(|wait| SignInError::Throttled { wait })?;
        let can_be = is_token(tenant) && is_token(user);
        let found = if can_be { node.store.user(tenant, user) } else { Ok(None) };
        let found = found.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        let state = found.filter(|tracked| !tracked.quarantined).map(|tracked| tracked.state);
        let (hash, password) = (state.as_ref().and_then(|state| state.password.clone()), password.to_owned());
        let verified = self.0.accounts.hash(move || password::verify(hash.as_deref(), &password)).await;
        if !verified.map_err(SignInError::Unavailable)? {
            return Err(SignInError::Wrong);
        }
        lock(&self.0.accounts.throttle).succeeded(&who, from);
        if state.is_some_and(|state| !state.is_enabled()) {
            return Err(SignInError::Disabled);
        }
        Ok(())
    }

    /// Ends the session that `principal` has shown. A token is not ended by it.
    ///
    /// # Errors
    /// The result is not known.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AccountError> {
        let Credential::Session(session) = &principal.credential else { return Ok(()) };
        let command = UserCommand::EndSession { v: V, session: session.clone() };
        self.ask(&principal.tenant, &principal.user, actor(principal), None, None, command).await?;
        Ok(())
    }

    /// Sets a password: the own one for whoever knows the `present` one, anybody's for those who manage users. All sessions of
    /// the user end but the one in which it was asked.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn set_password(
        &self,
        by: &Principal,
        user: &str,
        present: Option<&str>,
        new: &str,
        from: &str,
    ) -> Result<CommandResult, AccountError> {
        let session = match &by.credential {
            Credential::Session(session) if by.user == user => Some(session.clone()),
            _ => None,
        };
        // Whoever finds a browser open must not be able to keep it, and a token is not its user.
        if session.is_some() {
            self.prove(&by.tenant, user, present.unwrap_or_default(), from).await?;
        } else {
            self.check(by, Permission::ManageUser, &Resource::User(user))?;
        }
        let (name, new) = (user.to_owned(), new.to_owned());
        let hashed = self.0.accounts.hash(move || password::hash(&name, &new)).await;
        let hash = hashed.map_err(AccountError::Unavailable)??;
        let command = UserCommand::SetPassword { v: V, hash: Some(hash), keep: session };
        self.ask(&by.tenant, user, actor(by), None, None, command).await
    }

    /// Makes a token: for oneself with `token.own`, for others with `user.manage`. It never may more than what it was asked
    /// with.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn issue_token(&self, by: &Principal, user: &str, new: NewToken) -> Result<Issued, AccountError> {
        self.check_tokens(by, user)?;
        if let Some(only) = &by.only
            && new.scopes.as_ref().is_none_or(|scopes| !scopes.is_subset(only))
        {
            let message = "a token makes only tokens for permissions that it names itself";
            return Err(AccountError::Refused(Refusal::new("not_allowed", message)));
        }
        let (id, made) = (new_id(), secret::new_secret(TOKEN_PREFIX)?);
        let command = UserCommand::IssueToken {
            v: V,
            token: id.clone(),
            name: new.name,
            hash: secret::hash_of(&made).unwrap_or_default(),
            scopes: new.scopes,
            expires_at: new.expires_at,
        };
        let result = self.ask(&by.tenant, user, actor(by), None, None, command).await?;
        match result.refusal {
            Some(refusal) => Err(AccountError::Refused(refusal)),
            None => Ok(Issued { id, secret: made, result }),
        }
    }

    /// Revokes a token: the own one with `token.own`, others' with `user.manage`.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn revoke_token(&self, by: &Principal, user: &str, token: &str) -> Result<CommandResult, AccountError> {
        self.check_tokens(by, user)?;
        let command = UserCommand::RevokeToken { v: V, token: token.to_owned() };
        self.ask(&by.tenant, user, actor(by), None, None, command).await
    }

    fn check_tokens(&self, by: &Principal, user: &str) -> Result<(), Denied> {
        let permission = if by.user == user { Permission::OwnTokens } else { Permission::ManageUser };
        self.check(by, permission, &Resource::User(user))
    }

    /// Carries out any other command about a user, for those who manage users; one's own name and sessions are everybody's own.
    /// A refusal is a result.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub async fn change(
        &self,
        by: &Principal,
        user: &str,
        command: UserCommand,
        id: Option<String>,
        expected_version: Option<u64>,
    ) -> Result<CommandResult, AccountError> {
        let own = by.user == user && matches!(by.credential, Credential::Session(_));
        match command {
            UserCommand::Rename { .. } | UserCommand::EndSession { .. } if own => {}
            UserCommand::RevokeToken { .. } => self.check_tokens(by, user)?,
            // What brings a hash is made here, so that nobody brings one whose secret others know.
            UserCommand::SetPassword { .. }
            | UserCommand::StartSession { .. }
            | UserCommand::IssueToken { .. }
            | UserCommand::UsePower { .. } => {
                let message = "passwords, sessions, tokens and records of powers are not made by commands from outside";
                return Err(AccountError::Refused(Refusal::new("not_allowed", message)));
            }
            _ => self.check(by, Permission::ManageUser, &Resource::User(user))?,
        }
        self.ask(&by.tenant, user, actor(by), id, expected_version, command).await
    }

    /// Puts on record that `principal` has used a [power](Permission::is_power): call it where that was permitted. Nothing is
    /// done for other permissions.
    ///
    /// # Errors
    /// The result is not known.
    pub async fn record_power(
        &self,
        principal: &Principal,
        permission: Permission,
        aggregate: AggregateKind,
        key: &str,
        command: &str,
    ) -> Result<(), AccountError> {
        if !permission.is_power() {
            return Ok(());
        }
        let body = UserCommand::UsePower {
            v: V,
            permission: permission.as_str().to_owned(),
            on: PowerTarget { aggregate, key: key.to_owned() },
            command: command.to_owned(),
        };
        // The same for every retry of the command.
        let id = format!("power:{command}");
        self.ask(&principal.tenant, &principal.user, actor(principal), Some(id), None, body).await?;
        Ok(())
    }

    /// Sends a command to a user, and waits until this node has seen what it led to.
    pub(super) async fn ask(
        &self,
        tenant: &str,
        user: &str,
        actor: Actor,
        id: Option<String>,
        expected_version: Option<u64>,
        body: UserCommand,
    ) -> Result<CommandResult, AccountError> {
        let none = || AccountError::Unavailable("this node keeps no accounts".to_owned());
        let node = self.0.node.as_ref().ok_or_else(none)?;
        if !is_token(user) {
            let message = format!("{user:?} is no user: 1 to 64 of A-Z, a-z, 0-9, _ and -");
            return Err(AccountError::Refused(Refusal::new("invalid", message)));
        }
        let id = id.unwrap_or_else(new_id);
        let source = actor.kind.as_str();
        let header = CommandHeader {
            id: id.clone(),
            aggregate: AggregateKind::User,
            key: user.to_owned(),
            expected_version,
            actor,
            at: now(),
            correlation: None,
        };
        let payload = crate::aggregate::kind::to_json(&Command { header, body });
        let sent = node.commands.send(tenant, source, user, &id, payload.into());
        let result = tokio::time::timeout(PATIENCE, sent).await;
        let result = result
            .unwrap_or_else(|_| Err(format!("no result within {PATIENCE:?}")))
            .map_err(AccountError::Unavailable)?;
        if let Some(seq) = result.seq.filter(|_| result.ok) {
            let mut projected = node.store.watch_projected();
            let seen = tokio::time::timeout(PATIENCE, projected.wait_for(|projected| *projected >= seq)).await;
            if !matches!(seen, Ok(Ok(_))) {
                tracing::warn!(seq, "what was done to a user is not visible on this node yet: it is behind the log");
            }
        }
        Ok(result)
    }
}

fn new_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

pub(super) fn kefu() -> Actor {
    Actor::new(ActorKind::System, "access")
}

fn actor(principal: &Principal) -> Actor {
    Actor::new(ActorKind::Agent, &principal.user)
}

/// What cannot be a name is not remembered at any length.
fn cut(name: &str) -> String {
    name.chars().take(65).collect()
}
