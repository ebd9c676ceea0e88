//! The customer's rating of a session.

use super::{
    refuse::{check_note, invalid},
    step::Step,
};
use kefu_events::{Refusal, V, conversation::ConversationEvent};

/// By a form of the channel's: also while the next session is open, because a form does not go away.
pub(super) fn satisfaction(step: &mut Step, score: u8, comment: Option<&str>) -> Result<(), Refusal> {
    if step.state.rating.as_ref().is_none_or(|wanted| step.now > wanted.deadline) {
        return Err(Refusal::new("too_late", "no rating is wanted, or its time is over, or it has been given"));
    }
    if !(1..=5).contains(&score) {
        return Err(invalid("a rating is 1 to 5"));
    }
    check_note(comment)?;
    record(step, score, comment);
    Ok(())
}

/// Takes the rating that is wanted.
pub(super) fn record(step: &mut Step, score: u8, comment: Option<&str>) {
    let Some(wanted) = &step.state.rating else { return };
    let (session, agent) = (wanted.session, wanted.agent.clone());
    let practice = wanted.practice.as_deref().cloned();
    let comment = comment.map(str::to_owned);
    step.emit(ConversationEvent::SatisfactionRated { v: V, session, score, comment, agent, practice });
    step.say(|texts| &texts.satisfaction_thanks);
}
