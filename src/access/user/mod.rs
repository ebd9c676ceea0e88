//! The user: a name, roles with their reach, a password's hash, sessions and tokens.
//!
//! Pure, as all aggregates. This folder may not know what a password or a secret is: it gets their hashes, which were made
//! outside, and never sees what they are hashes of. What a role permits is not decided here either.
//!
//! Lists are bounded, because a state is in memory and in every snapshot: a user has at most one reach for each role,
//! [`MAX_SESSIONS`] sessions (one more ends the oldest: nobody is locked out by browsers forgotten elsewhere) and
//! [`MAX_TOKENS`] tokens (one more is refused: ending one would stop a program that nobody is looking at). What has expired
//! is dropped by whatever happens next. Uses of powers are in the log, and not in the state.

mod decide;
mod evolve;
mod state;
#[cfg(test)]
mod tests;

pub use decide::{MAX_NAME_CHARS, MAX_QUEUES, MAX_SESSIONS, MAX_TOKENS};
pub use state::{PublicSession, PublicToken, PublicUser, Session, State, Token};

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, LookUp, TenantConfig};
use kefu_events::{
    AggregateKind, Commit, Refusal,
    user::{UserCommand, UserEvent},
};

/// The aggregate.
#[derive(Debug)]
pub struct User;

impl Aggregate for User {
    const KIND: AggregateKind = AggregateKind::User;
    const STATE_VERSION: u32 = 1;

    type State = State;
    type Event = UserEvent;
    type Command = UserCommand;

    crate::common_events!(UserEvent, UserCommand);

    fn decide(state: &State, input: &Input<UserCommand>, context: &Context) -> Result<Vec<UserEvent>, Refusal> {
        decide::decide(state, input, context)
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &UserEvent) {
        evolve::evolve(state, commit, event);
    }

    fn effects(_: &Commit<UserEvent>) -> Vec<Effect> {
        Vec::new()
    }

    fn deadlines(_: &State) -> Vec<Deadline> {
        Vec::new()
    }

    fn look_ups(state: &State, input: &Input<UserCommand>, _: &TenantConfig) -> Vec<LookUp> {
        if decide::takes_an_administrator(state, input) { vec![LookUp::Administrators] } else { Vec::new() }
    }
}
