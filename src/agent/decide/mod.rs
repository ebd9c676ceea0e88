//! Decisions, in a file per thing that they are about: who the agent is, whether the agent is there, and slots.
//!
//! A decision is taken step by step on a copy of the state that takes every event in as it is made ([`Step`]). A refusal
//! drops the copy, and with it everything that was made.
//!
//! Codes of refusals are stable: `unknown_agent`, `removed`, `not_allowed`, `not_yours`, `invalid`, `unchanged`,
//! `not_available`, `no_capacity`, `already_reserved`, `reservation_over`, `unknown_reservation`, `obsolete`,
//! `not_quarantined`.

mod presence;
mod profile;
mod slot;

pub(super) use slot::withdrawals;

use super::{evolve, state::State, timer};
use crate::aggregate::{CommitMeta, Context, Input};
use kefu_events::{
    Actor, ActorKind, Refusal, Timestamp,
    agent::{AgentCommand, AgentEvent},
};

/// A decision under way: the state as it is after the events made so far, and those events.
struct Step<'a> {
    state: State,
    context: &'a Context<'a>,
    meta: CommitMeta,
    events: Vec<AgentEvent>,
}

impl Step<'_> {
    /// Makes an event and takes it in.
    fn emit(&mut self, event: AgentEvent) {
        evolve::evolve(&mut self.state, &self.meta, &event);
        self.events.push(event);
    }

    /// The moment so many seconds from now.
    fn after(&self, seconds: u32) -> Timestamp {
        self.context.now.plus_seconds(i64::from(seconds))
    }
}

pub(super) fn decide(
    state: &State,
    input: &Input<AgentCommand>,
    context: &Context,
) -> Result<Vec<AgentEvent>, Refusal> {
    let Input::Command(header, command) = input else {
        return Err(invalid("an agent takes no messages"));
    };
    let asker = header.actor.kind;
    if !may_ask(asker, command) {
        return Err(Refusal::new("not_allowed", format!("this is not for a {} to ask", asker.as_str())));
    }
    if !state.exists() && !matches!(command, AgentCommand::Register { .. }) {
        return Err(Refusal::new("unknown_agent", format!("there is no agent {:?}", context.key)));
    }
    if asker == ActorKind::Agent && header.actor.id != context.key && header.actor.id != state.id {
        return Err(Refusal::new("not_yours", format!("only {} says this", state.id)));
    }
    let meta = CommitMeta {
        at: context.now,
        actor: Actor::clone(&header.actor),
        version: context.version + 1,
        key: context.key.to_owned(),
        commit_id: context.commit_id.to_owned(),
    };
    let mut step = Step { state: state.clone(), context, meta, events: Vec::new() };
    carry_out(&mut step, command)?;
    Ok(step.events)
}

/// Which kinds of actors may ask for what. What a person's role permits is not decided here.
fn may_ask(asker: ActorKind, command: &AgentCommand) -> bool {
    use ActorKind::{Agent, Bot, Scheduler, System, Timer};
    use AgentCommand as Command;
    let askers: &[ActorKind] = match command {
        Command::SetPresence { .. } | Command::SetStatus { .. } => &[Agent],
        Command::ReserveSlot { .. } => &[Scheduler],
        Command::TimerFired { .. } => &[Timer],
        Command::LiftQuarantine { .. } => &[Agent, Bot, Scheduler],
        // An operator's; and conversations', which ask as `system` as well.
        Command::Register { .. }
        | Command::SetSkills { .. }
        | Command::SetCapacity { .. }
        | Command::SetShifts { .. }
        | Command::Remove { .. }
        | Command::OccupySlot { .. }
        | Command::ReleaseSlot { .. }
        | Command::Rate { .. }
        | Command::StartWrapUp { .. }
        | Command::ForceRelease { .. } => &[],
    };
    asker == System || askers.contains(&asker)
}

fn carry_out(step: &mut Step, command: &AgentCommand) -> Result<(), Refusal> {
    use AgentCommand as Command;
    match command {
        Command::Register { agent, name, .. } => profile::register(step, agent.as_deref(), name),
        Command::SetSkills { skills, languages, queues, .. } => {
            profile::set_skills(step, skills.as_ref(), languages.as_deref(), queues.as_deref())
        }
        Command::SetCapacity { slots, weights, .. } => profile::set_capacity(step, *slots, weights.as_ref()),
        Command::SetShifts { shifts, .. } => profile::set_shifts(step, shifts.as_ref()),
        Command::Remove { .. } => profile::remove(step),
        Command::SetPresence { online, connection, .. } => presence::set(step, *online, connection.as_deref()),
        Command::SetStatus { status, reason, .. } => presence::set_status(step, *status, reason.as_deref()),
        Command::ReserveSlot { .. } => slot::reserve(step, command),
        Command::OccupySlot { reservation, conversation, .. } => slot::occupy(step, reservation, conversation),
        Command::ReleaseSlot { reservation, conversation, completed, .. } => {
            slot::release(step, reservation, conversation, *completed)
        }
        Command::Rate { conversation, session, score, practice, .. } => {
            slot::rate(step, conversation, *session, *score, practice)
        }
        Command::StartWrapUp { reservation, conversation, .. } => {
            slot::start_wrap_up(step, reservation, conversation.as_deref())
        }
        Command::ForceRelease { reservation, reason, .. } => slot::force_release(step, reservation, reason),
        Command::TimerFired { timer, due, .. } => timer_fired(step, timer, *due),
        // The runtime lifts a quarantine without asking; so there is none.
        Command::LiftQuarantine { .. } => Err(Refusal::new("not_quarantined", "this agent is not quarantined")),
    }
}

fn timer_fired(step: &mut Step, named: &str, due: Timestamp) -> Result<(), Refusal> {
    let is_set = <super::Agent as crate::aggregate::Aggregate>::deadlines(&step.state)
        .iter()
        .any(|deadline| deadline.timer == named && deadline.due == due);
    match named {
        timer::PRESENCE if is_set => presence::lost(step),
        timer::QUESTION if is_set => slot::question(step, due),
        _ => return Err(Refusal::new("obsolete", format!("nothing waits for {named} at {due}"))),
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("invalid", message)
}

fn unchanged(message: impl Into<String>) -> Refusal {
    Refusal::new("unchanged", message)
}

/// What is said of somebody who is no agent any more is said in vain.
fn not_removed(step: &Step) -> Result<(), Refusal> {
    match step.state.removed {
        true => Err(Refusal::new("removed", format!("{} was removed; register brings them back", step.state.id))),
        false => Ok(()),
    }
}
