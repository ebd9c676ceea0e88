//! Decisions: one function per command, in a file named by its verb or, while they are short, shared by its kin.
//!
//! A decision is taken step by step on a copy of the state that takes every event in as it is made ([`Step`]), so that
//! a later step sees what an earlier one did. A refusal drops the copy, and with it everything that was made.

mod annotate;
mod answer;
mod close;
mod consult;
mod offer;
mod pause;
mod proceed;
mod rate;
mod receive;
mod refuse;
mod reply;
mod route;
mod step;
mod timer;
mod transfer;

pub(super) use offer::{refuse, set_aside};

use super::state::State;
use crate::aggregate::{Context, Input};
use kefu_events::{
    ActorKind, Refusal,
    conversation::{ConversationCommand, ConversationEvent},
};
use step::Step;

pub(super) fn decide(
    state: &State,
    input: &Input<ConversationCommand>,
    context: &Context,
) -> Result<Vec<ConversationEvent>, Refusal> {
    let mut step = Step::new(state, input, context);
    match input {
        Input::Message(message) => receive::receive(&mut step, message),
        Input::Command(_, command) => {
            // That nothing is held here is an answer, and whoever waits for it must get it.
            let answerable = matches!(command, ConversationCommand::CheckReservation { .. });
            if state.sessions == 0 && !answerable {
                return Err(Refusal::new("not_found", "nobody has written in this conversation yet"));
            }
            let asker = step.actor.kind;
            if !may_ask(asker, command) {
                let message = format!("this is not for a {} to ask", asker.as_str());
                return Err(Refusal::new("not_allowed", message));
            }
            carry_out(&mut step, command)?;
        }
    }
    Ok(step.into_events())
}

/// Which kinds of actors may ask for what. Which of them — the agent who has the conversation — is decided with each
/// command; what a person's role permits is not decided here at all.
fn may_ask(asker: ActorKind, command: &ConversationCommand) -> bool {
    use ActorKind::{Agent, Bot, Customer, Scheduler, System, Timer};
    use ConversationCommand as Command;
    let askers: &[ActorKind] = match command {
        Command::GiveAnswer { .. } | Command::OfferChoices { .. } | Command::DeclineAnswer { .. } => &[Bot],
        Command::RateAnswer { .. } | Command::RateSatisfaction { .. } => &[Customer, Bot],
        Command::RequestHandoff { .. } => &[Bot, Agent],
        Command::Offer { .. } | Command::Rescind { .. } | Command::TellPosition { .. } => &[Scheduler],
        Command::Transfer { .. } => &[Agent, Scheduler],
        Command::Note { .. } | Command::Tag { .. } | Command::Untag { .. } => &[Agent, Bot, Scheduler],
        Command::Accept { .. }
        | Command::Reject { .. }
        | Command::Reply { .. }
        | Command::Hold { .. }
        | Command::Resume { .. }
        | Command::ReturnToBot { .. }
        | Command::Consult { .. }
        | Command::EndConsult { .. }
        | Command::Join { .. }
        | Command::TakeOver { .. }
        | Command::Reassign { .. }
        | Command::Snooze { .. }
        | Command::Unsnooze { .. }
        | Command::WrapUp { .. }
        | Command::SetDisposition { .. }
        | Command::Close { .. } => &[Agent],
        Command::TimerFired { .. } => &[Timer],
        // The agent's aggregate asks.
        Command::CheckReservation { .. } => &[],
        Command::LiftQuarantine { .. } => &[Agent, Bot, Scheduler],
    };
    asker == System || askers.contains(&asker)
}

fn carry_out(step: &mut Step, command: &ConversationCommand) -> Result<(), Refusal> {
    use ConversationCommand as Command;
    match command {
        Command::GiveAnswer { request, content, confidence, sources, .. } => {
            answer::give(step, request, content, *confidence, sources)
        }
        Command::OfferChoices { request, content, confidence, choices, .. } => {
            answer::offer_choices(step, request, content, *confidence, choices)
        }
        Command::DeclineAnswer { request, reason, confidence, .. } => {
            answer::decline(step, request, *reason, *confidence)
        }
        Command::RateAnswer { request, helpful, .. } => answer::rate(step, request, *helpful),
        Command::RequestHandoff { queue, note, .. } => {
            transfer::request_handoff(step, queue.as_deref(), note.as_deref())
        }
        Command::Offer { agent, reservation, session, decision, practice, .. } => {
            offer::make(step, agent, reservation.as_deref(), *session, decision.as_ref(), practice.as_ref())
        }
        Command::Accept { offer, name, .. } => offer::accept(step, offer.as_deref(), name.as_deref()),
        Command::Reject { offer, reason, .. } => offer::reject(step, offer.as_deref(), reason.as_deref()),
        Command::Rescind { offer, reservation, reason, .. } => {
            offer::rescind(step, offer.as_deref(), reservation.as_deref(), *reason)
        }
        Command::TellPosition { session, position, wait_s, .. } => {
            offer::tell_position(step, *session, *position, *wait_s)
        }
        Command::CheckReservation { agent, reservation, .. } => {
            offer::check(step, agent, reservation);
            Ok(())
        }
        Command::Reply { content, reply_to, .. } => reply::reply(step, content, reply_to.as_deref()),
        Command::Note { text, .. } => annotate::note(step, text),
        Command::Hold { .. } => pause::hold(step),
        Command::Resume { .. } => pause::resume(step),
        Command::Transfer { to, note, .. } => transfer::transfer(step, to, note.as_deref()),
        Command::ReturnToBot { .. } => transfer::return_to_bot(step),
        Command::Consult { with, note, .. } => consult::start(step, with, note.as_deref()),
        Command::EndConsult { .. } => consult::end(step),
        Command::Join { .. } => consult::join(step),
        Command::TakeOver { name, .. } => transfer::take_over(step, name.as_deref()),
        Command::Reassign { to, note, .. } => transfer::reassign(step, to, note.as_deref()),
        Command::Tag { tags, .. } => annotate::tag(step, tags),
        Command::Untag { tags, .. } => annotate::untag(step, tags),
        Command::Snooze { until, .. } => pause::snooze(step, *until),
        Command::Unsnooze { .. } => pause::unsnooze(step),
        Command::WrapUp { .. } => close::wrap_up(step),
        Command::SetDisposition { code, note, .. } => annotate::set_disposition(step, code, note.as_deref()),
        Command::Close { .. } => close::close(step),
        Command::RateSatisfaction { score, comment, .. } => rate::satisfaction(step, *score, comment.as_deref()),
        Command::TimerFired { timer, due, .. } => timer::fired(step, timer, *due),
        // The runtime lifts a quarantine without asking; so there is none.
        Command::LiftQuarantine { .. } => Err(Refusal::new("not_quarantined", "this conversation is not quarantined")),
    }
}
