//! The FAQ entry: a question in its variants with its answer, and the way of each version of it from draft to approval.
//!
//! Pure, as all aggregates. This folder may not know how entries are found, nor what a conversation is beyond its key.
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> draft: draft
//!     draft --> approved: approve
//!     approved --> approved: draft (a newer version waits), approve (it takes over)
//!     draft --> retired: retire
//!     approved --> retired: retire
//!     retired --> draft: draft, rollback
//!     retired --> approved: approve
//! ```
//!
//! An edit never takes an answer away: what is approved goes on answering until a newer version is approved in its place.
//! A rollback is an edit, so it wants approval like any other. What is approved is named by its version: whoever approves
//! a text that has been changed meanwhile is told so.

mod content;
mod decide;
mod evolve;
mod state;
#[cfg(test)]
mod tests;

pub use content::{MAX_ANSWER_CHARS, MAX_QUESTION_CHARS, MAX_SIMILAR, check, render, tidied};
pub use state::{Approval, EntryStatus, EntryVersion, FeedbackCounts, MAX_HISTORY, State};

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input};
use kefu_events::{
    AggregateKind, Commit, Refusal,
    faq::{FaqCommand, FaqEvent},
};

/// The aggregate.
#[derive(Debug)]
pub struct Entry;

impl Aggregate for Entry {
    const KIND: AggregateKind = AggregateKind::Faq;
    const STATE_VERSION: u32 = 1;

    type State = State;
    type Event = FaqEvent;
    type Command = FaqCommand;

    crate::common_events!(FaqEvent, FaqCommand);

    fn decide(state: &State, input: &Input<FaqCommand>, context: &Context) -> Result<Vec<FaqEvent>, Refusal> {
        decide::decide(state, input, context)
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &FaqEvent) {
        evolve::evolve(state, commit, event);
    }

    fn effects(_: &Commit<FaqEvent>) -> Vec<Effect> {
        Vec::new()
    }

    fn deadlines(_: &State) -> Vec<Deadline> {
        Vec::new()
    }
}
