//! What a conversation is waiting for.

use super::state::{Awaited, Phase, State, Waiting};
use crate::aggregate::Deadline;

/// Names of the deadlines, as timers carry them.
pub mod timer {
    /// The answer to a question.
    pub const ANSWER: &str = "answer";
    /// An agent's answer to an offer.
    pub const OFFER: &str = "offer";
    /// Anybody who takes it out of the queue.
    pub const QUEUE: &str = "queue";
    /// The queue's opening.
    pub const OPENING: &str = "opening";
    /// The end of wrap-up.
    pub const WRAP_UP: &str = "wrap_up";
    /// The time until which it was put aside.
    pub const SNOOZE: &str = "snooze";
    /// A word from the customer, before the prompt and after it.
    pub const INACTIVITY: &str = "inactivity";

    /// All of them.
    pub const ALL: [&str; 7] = [ANSWER, OFFER, QUEUE, OPENING, WRAP_UP, SNOOZE, INACTIVITY];
}

/// The deadlines, each named at most once.
pub(super) fn deadlines(state: &State) -> Vec<Deadline> {
    let Some(session) = &state.session else { return Vec::new() };
    let of_phase = match &session.phase {
        Phase::Bot(bot) => bot.asked.as_ref().map(|asked| (timer::ANSWER, asked.deadline)),
        // Patience with the queue begins when it opens.
        Phase::Queued(Waiting { not_before: Some(due), .. }) => Some((timer::OPENING, *due)),
        Phase::Queued(waiting) => waiting.abandon_at.map(|due| (timer::QUEUE, due)),
        // Patience with the queue does not run out while an agent is being asked: it is looked at again afterwards.
        Phase::Offered(_, offer) => Some((timer::OFFER, offer.deadline)),
        Phase::Active(active) => active.snoozed_until.map(|due| (timer::SNOOZE, due)),
        Phase::WrapUp(_, deadline) => Some((timer::WRAP_UP, *deadline)),
    };
    let of_silence = session.awaited.map(|awaited| match awaited {
        Awaited::Prompt(due) | Awaited::Close(due) => (timer::INACTIVITY, due),
    });
    of_phase.into_iter().chain(of_silence).map(|(timer, due)| Deadline { timer, due }).collect()
}
