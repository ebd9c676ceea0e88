//! Conversations.

mod deadlines;
mod decide;
mod effects;
mod evolve;
pub mod state;
#[cfg(test)]
mod tests;
mod words;

pub use deadlines::timer;
pub use state::State;

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input};
use kefu_events::{
    AggregateKind, CommandRefused, Commit, Quarantined, Refusal, Timestamp, V,
    conversation::{ConversationCommand, ConversationEvent},
    key::contact_key,
};

/// The aggregate.
#[derive(Debug)]
pub struct Conversation;

impl Aggregate for Conversation {
    const KIND: AggregateKind = AggregateKind::Conversation;
    const STATE_VERSION: u32 = 1;
    const TAKES_MESSAGES: bool = true;

    type State = State;
    type Event = ConversationEvent;
    type Command = ConversationCommand;

    crate::common_events!(ConversationEvent, ConversationCommand);

    fn decide(
        state: &State,
        input: &Input<ConversationCommand>,
        context: &Context,
    ) -> Result<Vec<ConversationEvent>, Refusal> {
        decide::decide(state, input, context)
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &ConversationEvent) {
        evolve::evolve(state, commit, event);
    }

    fn effects(commit: &Commit<ConversationEvent>) -> Vec<Effect> {
        effects::effects(commit)
    }

    fn deadlines(state: &State) -> Vec<Deadline> {
        deadlines::deadlines(state)
    }

    fn timer_fired(timer: &str, due: Timestamp) -> Option<ConversationCommand> {
        Some(ConversationCommand::TimerFired { v: V, timer: timer.to_owned(), due })
    }

    fn contact(state: &State, _: &str, input: Option<&Input<ConversationCommand>>) -> Option<String> {
        if let Some(Input::Message(message)) = input {
            return Some(contact_key(&message.channel, &message.sender.id));
        }
        state.sender.as_ref().map(|sender| contact_key(&state.channel, &sender.id))
    }

    fn refuse(state: &State, input: &Input<ConversationCommand>, refused: CommandRefused) -> Vec<ConversationEvent> {
        match input {
            Input::Command(_, command) => decide::refuse(state, command, refused),
            Input::Message(_) => vec![ConversationEvent::CommandRefused(refused)],
        }
    }

    fn set_aside(state: &State, quarantined: Quarantined) -> Vec<ConversationEvent> {
        decide::set_aside(state, quarantined)
    }
}
