//! A deadline has passed.

use super::{answer, close, offer, pause, step::Step};
use crate::{
    aggregate::Deadline,
    conversation::{deadlines, state::Awaited, timer},
};
use kefu_events::{
    Refusal, Timestamp, V,
    conversation::{CloseReason, ConversationEvent, NoAnswerReason},
};

pub(super) fn fired(step: &mut Step, named: &str, due: Timestamp) -> Result<(), Refusal> {
    let obsolete = || Refusal::new("obsolete", format!("nothing waits for {named} at {due}"));
    let Deadline { timer, .. } = deadlines::deadlines(&step.state)
        .into_iter()
        .find(|deadline| deadline.timer == named && deadline.due == due)
        .ok_or_else(obsolete)?;
    match timer {
        timer::ANSWER => {
            let asked = step.state.bot().and_then(|bot| bot.asked.clone()).ok_or_else(obsolete)?;
            answer::give_up(step, asked, NoAnswerReason::TimedOut, None);
        }
        timer::OFFER => offer::time_out(step)?,
        timer::OPENING => {
            step.emit(ConversationEvent::CallbackDue { v: V });
            step.say(|texts| &texts.callback);
        }
        timer::QUEUE => close::end(step, CloseReason::Abandoned),
        timer::WRAP_UP => close::end(step, CloseReason::WrappedUp),
        timer::SNOOZE => pause::take_up(step),
        timer::INACTIVITY => match step.state.session.as_ref().and_then(|session| session.awaited) {
            Some(Awaited::Prompt(_)) => prompt(step),
            Some(Awaited::Close(_)) => close::end(step, CloseReason::Inactivity),
            None => return Err(obsolete()),
        },
        _ => return Err(obsolete()),
    }
    Ok(())
}

fn prompt(step: &mut Step) {
    let close_after_s = step.settings.inactivity.close_after_s;
    let close_at = (close_after_s > 0).then(|| step.after(close_after_s));
    step.emit(ConversationEvent::InactivityPrompted { v: V, close_at });
    step.say(|texts| &texts.inactivity_prompt);
}
