//! Decisions.
//!
//! Codes of refusals are stable: `unknown_user`, `exists`, `not_allowed`, `invalid`, `unchanged`, `disabled`,
//! `unknown_session`, `unknown_token`, `too_many`, `last_administrator`, `not_quarantined`.

use super::state::{Session, State};
use crate::aggregate::{Context, Input};
use kefu_events::{
    Actor, ActorKind, CommandHeader, Refusal, Timestamp, V,
    key::is_token,
    user::{Grant, Role, Scope, SessionEnd, UserCommand, UserEvent},
};
use std::collections::{BTreeMap, BTreeSet};

/// Sessions of one user. A person has some devices with some browsers on each.
pub const MAX_SESSIONS: usize = 20;
/// Tokens of one user.
pub const MAX_TOKENS: usize = 50;
/// Queues that the reach of one role may name: as many as a tenant may have.
pub const MAX_QUEUES: usize = 100;
/// Characters of a user's or a token's name.
pub const MAX_NAME_CHARS: usize = 200;
/// Permissions that a token may name. There are about thirty.
const MAX_SCOPES: usize = 100;
/// Characters of a reason.
const MAX_REASON_CHARS: usize = 1_000;
/// Bytes of a password's hash as a PHC string: about a hundred.
const MAX_HASH_BYTES: usize = 512;
/// Characters of the address that a session is begun from.
const MAX_FROM_CHARS: usize = 200;
const DAY_MS: i64 = 86_400_000;
/// How long a session may last, at most.
const MAX_SESSION_MS: i64 = 90 * DAY_MS;

pub(super) fn decide(state: &State, input: &Input<UserCommand>, context: &Context) -> Result<Vec<UserEvent>, Refusal> {
    let Input::Command(header, command) = input else {
        return Err(invalid("a user takes no messages"));
    };
    if !may_ask(&header.actor, context.key, command) {
        let asker = header.actor.kind.as_str();
        return Err(Refusal::new("not_allowed", format!("this is not for a {asker} to ask")));
    }
    match command {
        UserCommand::Create { name, grants, .. } => {
            return create(state, context, name, grants).map(|event| vec![event]);
        }
        _ if !state.exists() => {
            return Err(Refusal::new("unknown_user", format!("there is no user {:?}", context.key)));
        }
        UserCommand::StartSession { session, hash, expires_at, from, .. } => {
            return start_session(state, context.now, session, hash, *expires_at, from.as_deref());
        }
        _ => {}
    }
    if takes_an_administrator(state, input) {
        another_administrator(context)?;
    }
    change(state, header, command, context.now).map(|event| vec![event])
}

/// Which kinds of actors may ask for what. What a person's role permits is not decided here.
fn may_ask(asker: &Actor, user: &str, command: &UserCommand) -> bool {
    let own = asker.kind == ActorKind::Agent && asker.id == user;
    let kefu = asker.kind == ActorKind::System;
    match command {
        // Whoever could ask for a session of somebody else could be that somebody.
        UserCommand::StartSession { .. } => kefu,
        UserCommand::UsePower { .. } => kefu || own,
        _ => kefu || asker.kind == ActorKind::Agent,
    }
}

/// Whether this takes the power to set everything up from somebody who has it.
pub(super) fn takes_an_administrator(state: &State, input: &Input<UserCommand>) -> bool {
    let takes = matches!(
        input,
        Input::Command(_, UserCommand::Revoke { role: Role::Administrator, .. } | UserCommand::Disable { .. })
    );
    takes && state.is_administrator()
}

/// As far as the read models know: two administrators who take each other's role in the same moment both succeed, and an
/// operator has to make a new one.
fn another_administrator(context: &Context) -> Result<(), Refusal> {
    let others = context.found.first().is_some_and(|found| found.iter().any(|user| user != context.key));
    if others {
        return Ok(());
    }
    Err(Refusal::new("last_administrator", "nobody else is an administrator here: give somebody the role first"))
}

fn create(state: &State, context: &Context, name: &str, grants: &[Grant]) -> Result<UserEvent, Refusal> {
    if state.exists() {
        return Err(Refusal::new("exists", format!("there is a user {:?} already", context.key)));
    }
    if !is_token(context.key) {
        return Err(invalid(format!("{:?} is not 1 to 64 of A-Z, a-z, 0-9, _ and -", context.key)));
    }
    check_name(name)?;
    let mut roles = BTreeSet::new();
    for Grant { role, scope } in grants {
        check_scope(*role, scope)?;
        if !roles.insert(*role) {
            return Err(invalid(format!("the role {role} is there twice: name all its queues in one")));
        }
    }
    Ok(UserEvent::UserCreated { v: V, name: name.trim().to_owned(), grants: grants.to_vec() })
}

/// Whatever is one event, and asked of a user who exists.
fn change(state: &State, header: &CommandHeader, command: &UserCommand, now: Timestamp) -> Result<UserEvent, Refusal> {
    Ok(match command {
        UserCommand::Rename { name, .. } => {
            check_name(name)?;
            let name = name.trim().to_owned();
            if name == state.name {
                return Err(unchanged("this is the user's name already"));
            }
            UserEvent::UserRenamed { v: V, name }
        }
        UserCommand::Grant { role, scope, .. } => {
            check_scope(*role, scope)?;
            if state.grants.get(role) == Some(scope) {
                return Err(unchanged("the user has this role already, with this reach"));
            }
            UserEvent::RoleGranted { v: V, role: *role, scope: scope.clone() }
        }
        UserCommand::Revoke { role, .. } => {
            if !state.grants.contains_key(role) {
                return Err(unchanged(format!("the user does not have the role {role}")));
            }
            UserEvent::RoleRevoked { v: V, role: *role }
        }
        UserCommand::SetPassword { hash, keep, .. } => {
            check_password(hash.as_deref())?;
            if hash.is_none() && state.password.is_none() {
                return Err(unchanged("the user has no password"));
            }
            // Only the user knows in which session this was asked.
            let own = header.actor.kind != ActorKind::Agent || header.actor.id == header.key;
            let kept = keep.clone().filter(|session| own && state.sessions.contains_key(session));
            UserEvent::PasswordSet { v: V, hash: hash.clone(), kept }
        }
        UserCommand::EndSession { session, .. } => {
            if !state.sessions.contains_key(session) {
                return Err(Refusal::new("unknown_session", "there is no such session, or it has ended"));
            }
            UserEvent::SessionEnded { v: V, session: session.clone(), reason: SessionEnd::Asked }
        }
        UserCommand::IssueToken { .. } => issue_token(state, command, now)?,
        UserCommand::RevokeToken { token, .. } => {
            if !state.tokens.contains_key(token) {
                return Err(Refusal::new("unknown_token", "there is no such token, or it was revoked"));
            }
            UserEvent::TokenRevoked { v: V, token: token.clone() }
        }
        UserCommand::Disable { reason, .. } => {
            if state.disabled_at.is_some() {
                return Err(unchanged("the user is disabled already"));
            }
            if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
                return Err(invalid(format!("a reason has at most {MAX_REASON_CHARS} characters")));
            }
            UserEvent::UserDisabled { v: V, reason: reason.clone() }
        }
        UserCommand::Enable { .. } => {
            if state.disabled_at.is_none() {
                return Err(unchanged("the user is not disabled"));
            }
            UserEvent::UserEnabled { v: V }
        }
        UserCommand::UsePower { permission, on, command, .. } => {
            if permission.is_empty() || permission.len() > 64 || on.key.len() > 64 || command.len() > 512 {
                return Err(invalid("a permission and a key have at most 64 bytes, and the id of a command has 512"));
            }
            let (permission, on, command) = (permission.clone(), on.clone(), command.clone());
            UserEvent::PowerUsed { v: V, permission, on, command }
        }
        // The runtime lifts a quarantine without asking; so there is none.
        UserCommand::LiftQuarantine { .. } => {
            return Err(Refusal::new("not_quarantined", "this user is not quarantined"));
        }
        UserCommand::Create { .. } | UserCommand::StartSession { .. } => return Err(invalid("decided elsewhere")),
    })
}

fn start_session(
    state: &State,
    now: Timestamp,
    session: &str,
    hash: &str,
    expires_at: Timestamp,
    from: Option<&str>,
) -> Result<Vec<UserEvent>, Refusal> {
    if state.disabled_at.is_some() {
        return Err(Refusal::new("disabled", "this user is disabled"));
    }
    check_id("session", session)?;
    check_sha256(hash)?;
    if from.is_some_and(|from| from.chars().count() > MAX_FROM_CHARS) {
        return Err(invalid(format!("an address has at most {MAX_FROM_CHARS} characters")));
    }
    let lasts_ms = expires_at.as_millis() - now.as_millis();
    if !(1..=MAX_SESSION_MS).contains(&lasts_ms) {
        return Err(invalid(format!("a session ends within {} days", MAX_SESSION_MS / DAY_MS)));
    }
    let open: BTreeMap<&String, &Session> =
        state.sessions.iter().filter(|(_, session)| now < session.expires_at).collect();
    if state.sessions.contains_key(session) || open.values().any(|open| open.hash == hash) {
        return Err(Refusal::new("exists", "there is such a session already"));
    }
    let mut events = Vec::new();
    if open.len() >= MAX_SESSIONS {
        let mut oldest: Vec<_> = open.iter().map(|(id, session)| (session.at, *id)).collect();
        oldest.sort();
        let too_many = oldest.len() + 1 - MAX_SESSIONS;
        let ended = oldest.into_iter().take(too_many);
        events.extend(ended.map(|(_, id)| {
            let (session, reason) = (id.clone(), SessionEnd::Replaced);
            UserEvent::SessionEnded { v: V, session, reason }
        }));
    }
    let (session, hash, from) = (session.to_owned(), hash.to_owned(), from.map(str::to_owned));
    events.push(UserEvent::SessionStarted { v: V, session, hash, expires_at, from });
    Ok(events)
}

fn issue_token(state: &State, command: &UserCommand, now: Timestamp) -> Result<UserEvent, Refusal> {
    let UserCommand::IssueToken { token, name, hash, scopes, expires_at, .. } = command else {
        return Err(invalid("no token"));
    };
    if state.disabled_at.is_some() {
        return Err(Refusal::new("disabled", "this user is disabled"));
    }
    check_id("token", token)?;
    check_sha256(hash)?;
    check_name(name)?;
    if expires_at.is_some_and(|ends| ends <= now) {
        return Err(invalid("the token would have expired already"));
    }
    check_scopes(scopes.as_ref())?;
    let valid = || state.tokens.values().filter(|token| token.is_valid(now));
    if state.tokens.contains_key(token) || valid().any(|there| there.hash == *hash) {
        return Err(Refusal::new("exists", "there is such a token already"));
    }
    if valid().count() >= MAX_TOKENS {
        return Err(Refusal::new("too_many", format!("a user has at most {MAX_TOKENS} tokens: revoke one first")));
    }
    Ok(UserEvent::TokenIssued {
        v: V,
        token: token.clone(),
        name: name.trim().to_owned(),
        hash: hash.clone(),
        scopes: scopes.clone(),
        expires_at: *expires_at,
    })
}

fn check_scopes(scopes: Option<&BTreeSet<String>>) -> Result<(), Refusal> {
    let Some(scopes) = scopes else { return Ok(()) };
    if scopes.is_empty() || scopes.len() > MAX_SCOPES {
        return Err(invalid(format!("a token is for 1 to {MAX_SCOPES} permissions, or for all: name none then")));
    }
    match scopes.iter().find(|name| crate::policy::Permission::named(name).is_none()) {
        Some(unknown) => Err(invalid(format!("there is no permission {unknown:?}"))),
        None => Ok(()),
    }
}

fn check_scope(role: Role, scope: &Scope) -> Result<(), Refusal> {
    if role == Role::Administrator && *scope != Scope::All {
        return Err(invalid("an administrator reaches the whole tenant: the scope is \"all\""));
    }
    let Scope::Queues(queues) = scope else { return Ok(()) };
    if queues.is_empty() || queues.len() > MAX_QUEUES {
        return Err(invalid(format!("a scope names 1 to {MAX_QUEUES} queues")));
    }
    match queues.iter().find(|queue| !is_token(queue)) {
        Some(wrong) => Err(invalid(format!("{wrong:?} is no queue: 1 to 64 of A-Z, a-z, 0-9, _ and -"))),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let chars = name.trim().chars().count();
    if chars == 0 || chars > MAX_NAME_CHARS || name.chars().any(char::is_control) {
        return Err(invalid(format!("a name has 1 to {MAX_NAME_CHARS} characters, none of which controls a terminal")));
    }
    Ok(())
}

fn check_password(hash: Option<&str>) -> Result<(), Refusal> {
    match hash {
        Some(hash) if !hash.starts_with("$argon2id$") || hash.len() > MAX_HASH_BYTES => {
            Err(invalid("a password is kept as an argon2id hash, as a PHC string"))
        }
        _ => Ok(()),
    }
}

fn check_id(what: &str, id: &str) -> Result<(), Refusal> {
    if is_token(id) { Ok(()) } else { Err(invalid(format!("the id of a {what} is 1 to 64 of A-Z, a-z, 0-9, _ and -"))) }
}

fn check_sha256(hash: &str) -> Result<(), Refusal> {
    if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(invalid("a secret is kept as its SHA-256, in 64 hexadecimal digits"))
}

fn unchanged(message: impl Into<String>) -> Refusal {
    Refusal::new("unchanged", message)
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("invalid", message)
}
