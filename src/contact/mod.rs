//! Contacts: who a person is, across channels.
//!
//! A contact's key is derived from a channel and the channel's id of the person, so that there is one for each such
//! identity and nothing has to be looked up to find it. Two of them that are one person are *merged*: the newer becomes
//! part of the older, which shows what both know.
//!
//! # How a merge stays reversible
//!
//! A contact never mixes what it knows itself ([`State::own`]) with what others brought ([`State::absorbed`]); what
//! people see ([`State::details`]) is computed: its own first, then what was brought, in order. A merged contact keeps
//! what it knows, goes on recording when it is seen, and passes that on to the one that it is part of, which files it
//! with what that contact brought. So undoing a merge takes back what was brought and nothing else. What an agent
//! removed from the survivor stays removed there, and is still known to the contact that brought it.
//!
//! # How two aggregates agree without a transaction
//!
//! ```text
//! merge      A: merged ──absorb──▶ B: absorbed ──confirm_merge──▶ A: merge_confirmed
//!                                  B: absorption_declined ──decline_merge──▶ A: merge_redirected (to where B went)
//!                                                                             or merge_failed
//! unmerge    A: merge_undone ──release──▶ B: released ──confirm_merge──▶ A: merge_confirmed
//! by rule    A: merge_proposed ──propose_merge──▶ B: merged (if B is the newer) or merge_invited ──merge──▶ A: merged
//! ```
//!
//! A repeats what is not confirmed, at growing intervals, without end: [`timer::MERGE`]. B answers a repetition as it
//! answered the first. Every merge has an id, so that an answer to an earlier one is not taken for one to a later.
//!
//! There are no cycles: a contact that is part of another, even if that is unconfirmed, declines to absorb a further
//! one and names the other; whoever is declined goes there, and a contact that is sent to itself gives up. Of two
//! contacts that find each other by a rule at once, both propose and both name the same one: the older, by the time of
//! the first message, then by key. Two that an agent separated are never merged by a rule again.
//!
//! This folder may not know how contacts are found by attribute (it is told, in [`Context::found`]), nor what a
//! conversation does with a contact.

mod decide;
mod effects;
mod evolve;
mod merge;
mod state;
#[cfg(test)]
mod tests;

pub use state::{Absorbed, PartOf, Pending, State, Undoing, as_text};

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, LookUp, TenantConfig};
use kefu_events::{
    AggregateKind, Commit, Refusal, Timestamp, V,
    contact::{ContactCommand, ContactEvent},
};

/// Names of the deadlines, as timers carry them.
pub mod timer {
    /// The other side's confirmation of a merge, or of its undoing.
    pub const MERGE: &str = "merge";
}

/// The aggregate.
#[derive(Debug)]
pub struct Contact;

impl Aggregate for Contact {
    const KIND: AggregateKind = AggregateKind::Contact;
    const STATE_VERSION: u32 = 1;

    type State = State;
    type Event = ContactEvent;
    type Command = ContactCommand;

    crate::common_events!(ContactEvent, ContactCommand);

    fn decide(state: &State, input: &Input<ContactCommand>, context: &Context) -> Result<Vec<ContactEvent>, Refusal> {
        decide::decide(state, input, context)
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &ContactEvent) {
        evolve::evolve(state, commit, event);
    }

    fn effects(commit: &Commit<ContactEvent>) -> Vec<Effect> {
        effects::effects(commit)
    }

    fn deadlines(state: &State) -> Vec<Deadline> {
        let merging = state.part_of.as_ref().and_then(|part_of| part_of.pending.as_ref());
        let undoing = state.undoing.as_ref().map(|undoing| &undoing.pending);
        let due = merging.or(undoing).map(|pending| pending.deadline);
        due.map(|due| Deadline { timer: timer::MERGE, due }).into_iter().collect()
    }

    fn timer_fired(timer: &str, due: Timestamp) -> Option<ContactCommand> {
        Some(ContactCommand::TimerFired { v: V, timer: timer.to_owned(), due })
    }

    fn look_ups(state: &State, input: &Input<ContactCommand>, settings: &TenantConfig) -> Vec<LookUp> {
        merge::look_ups(state, input, settings)
    }

    fn contact(_: &State, key: &str, _: Option<&Input<ContactCommand>>) -> Option<String> {
        Some(key.to_owned())
    }
}
