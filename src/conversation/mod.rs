//! Conversations: one thread of one channel, for ever, with its sessions. What a customer-service engine is about.
//!
//! Pure: given the state, an input, the settings and the time, what happens? In reading order: [`state`] (what is
//! remembered), `decide/` (one function per command), `evolve`, `deadlines`, `effects`, `route` (to which queue), `words`
//! (reading what customers write). This folder may not know how agents are found and how many conversations they can take (an offer brings a
//! reservation, which is given back when it is over, and that is all), where answers come from, what a contact or a
//! setting is beyond its public type, or what any of this is stored in.
//!
//! # The way of a session
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> bot: first message, or the next one after closed
//!     bot --> bot: collect, ask, answer_given
//!     bot --> queued: answer_declined, timed out, customer asks for a person, request_handoff, no bot
//!     bot --> closed: customer left, silent after the prompt, out of hours, close
//!     queued --> offered: offer
//!     queued --> queued: transfer (scheduler, operator)
//!     queued --> bot: return_to_bot (operator)
//!     queued --> closed: nobody had time, customer left, close
//!     offered --> active: accept
//!     offered --> queued: reject, timed out, rescind, transfer
//!     offered --> bot: return_to_bot (operator)
//!     offered --> closed: customer left, close
//!     active --> active: reply, hold, resume, snooze, unsnooze, consult
//!     active --> queued: transfer, quarantine
//!     active --> bot: return_to_bot
//!     active --> wrap_up: wrap_up, customer left
//!     active --> closed: close, silent after the prompt
//!     wrap_up --> active: customer writes again, resume
//!     wrap_up --> queued: quarantine
//!     wrap_up --> closed: close, its time is over
//!     closed --> [*]
//! ```
//!
//! `tests/table.rs` holds every transition, and that every other is refused.
//!
//! | phase | deadline ([`timer`]) | when it passes |
//! |---|---|---|
//! | bot, a question asked | `answer`: `bot.answer_deadline_s` | declined, handed off |
//! | bot, the customer's turn | `inactivity`: `inactivity.prompt_after_s`, then `close_after_s` | prompted, then closed |
//! | queued | `queue`: `queue_abandon_s`, if it is not 0 | closed as abandoned |
//! | offered | `offer`: `offer_timeout_s` | queued again |
//! | active, the customer's turn | `inactivity`, as above | prompted, then closed |
//! | active, snoozed | `snooze`: until when the agent said | taken up again |
//! | wrap_up | `wrap_up`: `wrap_up_s` | closed |
//!
//! A session that waits for an agent's next word has no deadline: whom to remind, and when, is the scheduler's.
//! Deadlines are moments that stand in events, so that a change of settings moves none that is already set.
//!
//! # Decisions that were free to take
//!
//! **What customers write**
//! - An `event` (a page was opened, a menu clicked) is recorded and changes nothing; it opens only the very first
//!   session, so that somebody who follows an account is greeted.
//! - Messages that come while an answer is pending are kept, in the order in which they were sent, and asked together
//!   when the answer is there. An edit changes a message that has not been asked about; later edits are only recorded.
//! - A question is what the customer said, not what they answered to the bot's own questions. At most 16 messages and
//!   4,000 characters; an image or file is asked about by its name.
//! - Words that ask for a person come before everything else in the bot's phase, also before the pattern of what is
//!   being collected. Asked for twice, a person comes without the rest being collected.
//! - `late` compares with the latest `sent_at` seen, but a channel's clock that is ahead counts as now.
//! - In wrap-up a message reactivates the session with the agent who had it; a courtesy does not. On hold, it waits.
//! - After the end, within their windows, a courtesy opens nothing and a number from 1 to 5 is the rating that was asked
//!   for, once. Both are recorded under the session that ended.
//! - Who leaves while snoozed is not lost from sight: when it is taken up again, wrap-up begins. Leaving in `active`
//!   begins wrap-up at once; leaving before an agent has it ends the session.
//!
//! **Answers**
//! - An answer after its deadline is refused as `too_late` even where the timer has not fired yet. An offer, by
//!   contrast, can be accepted until its time-out is in the log: the agent is there, and the slot is still reserved.
//! - A hand-off drops a pending question without an `answer_declined`: `handoff_requested` says what became of it.
//! - Fields to collect `opening` are asked for before the first answer, also after a return to the bot; those for
//!   `handoff` before the queue. A customer who is silent then is prompted like any other.
//!
//! **Queues**
//! - Who names a queue gets it; else the tenant's rules decide, as they are at that moment, and `queued` says all that
//!   followed from them. What a rule wants to be asked as well is asked before; the rules are then read again.
//! - What rules require stays with the conversation while it goes from agent to agent in their queue; a transfer to another
//!   queue, or to the bot, leaves it behind.
//! - Out of hours, where nobody may wait, the session is closed at once, before anything is collected.
//!
//! **Agents**
//! - Nobody but the agent concerned and operators (`system`) acts on an offered, active or wrapped-up conversation;
//!   `not_yours` says who has it. Notes and tags are everybody's, in every phase.
//! - A transfer to an agent waits for that agent; rejected, timed out, or with the agent gone, it waits for anybody. A
//!   queued or offered conversation is transferred by the scheduler or an operator only.
//! - A reply ends a hold or a snooze. A snoozed conversation keeps its agent and its slot: to give them up, transfer it.
//! - Silence ends an active session without wrap-up; its disposition can be set by the agent afterwards, until the next
//!   session opens.
//! - A rating is asked for where an agent took part and the customer is still there; not after an abandoned queue.
//!
//! **Slots**
//! - Whoever offers hands a reservation over. From then on this conversation gives it back, once, by the event that
//!   ends the offer or the agent's part; a refused offer gives it back too (`offer_refused` beside
//!   `command_refused`), unless it is the one that is held here.
//! - Asked by the agent's side what became of a reservation, it says so (`reservation_checked`), by which the slot is
//!   released, occupied, or left as it is. Once it has said that it holds nothing, an offer under that reservation is refused.
//! - A quarantine gives it back: an offer is rescinded; from an agent the conversation goes back to the queue, for that
//!   agent.

mod concerns;
mod deadlines;
mod decide;
mod effects;
mod evolve;
mod route;
pub mod state;
#[cfg(test)]
mod tests;
mod words;

pub use deadlines::timer;
pub use route::destination;
pub use state::State;

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input};
use kefu_events::{
    AggregateKind, CommandRefused, Commit, Concerns, Quarantined, Refusal, Timestamp, V,
    conversation::{ConversationCommand, ConversationEvent},
    key::contact_key,
};

/// The aggregate.
#[derive(Debug)]
pub struct Conversation;

impl Aggregate for Conversation {
    const KIND: AggregateKind = AggregateKind::Conversation;
    const STATE_VERSION: u32 = 5;
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

    fn concerns(before: &State, events: &[ConversationEvent]) -> Concerns {
        concerns::concerns(before, events)
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
