//! The state after an event. Never fails and never judges: what is in the log has happened.

use super::state::{Session, State, Token};
use crate::aggregate::CommitMeta;
use kefu_events::user::UserEvent;

pub(super) fn evolve(state: &mut State, commit: &CommitMeta, event: &UserEvent) {
    state.sessions.retain(|_, session| commit.at < session.expires_at);
    state.tokens.retain(|_, token| token.is_valid(commit.at));
    match event {
        UserEvent::UserCreated { name, grants, .. } => {
            (state.name, state.created_at) = (name.clone(), Some(commit.at));
            state.grants = grants.iter().map(|grant| (grant.role, grant.scope.clone())).collect();
        }
        UserEvent::UserRenamed { name, .. } => state.name.clone_from(name),
        UserEvent::RoleGranted { role, scope, .. } => {
            state.grants.insert(*role, scope.clone());
        }
        UserEvent::RoleRevoked { role, .. } => {
            state.grants.remove(role);
        }
        UserEvent::PasswordSet { hash, kept, .. } => {
            (state.password, state.password_at) = (hash.clone(), Some(commit.at));
            state.sessions.retain(|session, _| kept.as_ref() == Some(session));
        }
        UserEvent::SessionStarted { session, hash, expires_at, from, .. } => {
            state.signed_in_at = Some(commit.at);
            let begun = Session { hash: hash.clone(), at: commit.at, expires_at: *expires_at, from: from.clone() };
            state.sessions.insert(session.clone(), begun);
        }
        UserEvent::SessionEnded { session, .. } => {
            state.sessions.remove(session);
        }
        UserEvent::TokenIssued { token, name, hash, scopes, expires_at, .. } => {
            let issued = Token {
                hash: hash.clone(),
                name: name.clone(),
                at: commit.at,
                by: format!("{}:{}", commit.actor.kind.as_str(), commit.actor.id),
                scopes: scopes.clone(),
                expires_at: *expires_at,
            };
            state.tokens.insert(token.clone(), issued);
        }
        UserEvent::TokenRevoked { token, .. } => {
            state.tokens.remove(token);
        }
        UserEvent::UserDisabled { reason, .. } => {
            (state.disabled_at, state.disabled_for) = (Some(commit.at), reason.clone());
            state.sessions.clear();
        }
        UserEvent::UserEnabled { .. } => (state.disabled_at, state.disabled_for) = (None, None),
        UserEvent::PowerUsed { .. }
        | UserEvent::CommandRefused(_)
        | UserEvent::Quarantined(_)
        | UserEvent::QuarantineLifted(_) => {}
    }
}
