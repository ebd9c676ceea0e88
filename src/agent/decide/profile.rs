//! Who the agent is, what the agent can do, and how much at once.

use super::{Step, invalid, not_removed, slot, unchanged};
use crate::{
    agent::state::{DEFAULT_SLOTS, MAX_SLOTS},
    routing::hours,
};
use kefu_events::{
    Refusal, V,
    agent::{AgentEvent, Shifts},
    key::{is_token, token_of},
};
use std::collections::{BTreeMap, BTreeSet};

const MAX_ID_CHARS: usize = 200;
const MAX_NAME_CHARS: usize = 200;
/// Skills, languages and queues of one agent, each: what a list can show, and a scheduler can look through per decision.
const MAX_SKILLS: usize = 200;
const MAX_PROFICIENCY: u8 = 5;
const MAX_LANGUAGE_CHARS: usize = 35;
const MAX_WEIGHTS: usize = 100;

pub(super) fn register(step: &mut Step, id: Option<&str>, name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(invalid(format!("a name has 1 to {MAX_NAME_CHARS} characters")));
    }
    if let Some(id) = id
        && (id.chars().count() > MAX_ID_CHARS || (id != step.context.key && token_of(id) != step.context.key))
    {
        return Err(invalid(format!("{id:?} is not the id of which the key {:?} is made", step.context.key)));
    }
    let state = &step.state;
    let is_new = !state.exists();
    if !is_new && !state.removed && state.name == name && id.is_none_or(|id| id == state.id) {
        return Err(unchanged(format!("{} has this name already", state.id)));
    }
    // A name that is given without the id leaves the id as it was.
    let id = id.map(str::to_owned).or_else(|| (!is_new).then(|| state.id.clone()));
    let id = id.filter(|id| id != step.context.key);
    step.emit(AgentEvent::AgentRegistered { v: V, id, name: name.to_owned() });
    if is_new {
        step.emit(AgentEvent::CapacityChanged { v: V, slots: DEFAULT_SLOTS, weights: BTreeMap::new() });
    }
    Ok(())
}

pub(super) fn set_skills(
    step: &mut Step,
    skills: Option<&BTreeMap<String, u8>>,
    languages: Option<&[String]>,
    queues: Option<&[String]>,
) -> Result<(), Refusal> {
    not_removed(step)?;
    for (skill, proficiency) in skills.into_iter().flatten() {
        if !is_token(skill) || *proficiency > MAX_PROFICIENCY {
            let rule = "a skill is 1 to 64 of A-Z, a-z, 0-9, _ and -, with a proficiency of 0 to 5";
            return Err(invalid(format!("{skill:?} = {proficiency}: {rule}")));
        }
    }
    let is_language = |language: &str| {
        let plain = language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (1..=MAX_LANGUAGE_CHARS).contains(&language.len()) && plain
    };
    different("language", languages.unwrap_or_default(), is_language)?;
    different("queue", queues.unwrap_or_default(), is_token)?;
    if skills.is_some_and(|skills| skills.len() > MAX_SKILLS) {
        return Err(invalid(format!("an agent has at most {MAX_SKILLS} skills")));
    }
    let state = &step.state;
    let skills = skills.unwrap_or(&state.skills).clone();
    let languages = languages.unwrap_or(&state.languages).to_vec();
    let queues = queues.unwrap_or(&state.queues).to_vec();
    if (&skills, &languages, &queues) == (&state.skills, &state.languages, &state.queues) {
        return Err(unchanged("the agent has these skills, languages and queues already"));
    }
    step.emit(AgentEvent::SkillsChanged { v: V, skills, languages, queues });
    Ok(())
}

pub(super) fn set_capacity(
    step: &mut Step,
    slots: u32,
    weights: Option<&BTreeMap<String, u32>>,
) -> Result<(), Refusal> {
    not_removed(step)?;
    if slots > MAX_SLOTS {
        return Err(invalid(format!("an agent has at most {MAX_SLOTS} slots")));
    }
    if weights.is_some_and(|weights| weights.len() > MAX_WEIGHTS) {
        return Err(invalid(format!("at most {MAX_WEIGHTS} channels have a weight of their own")));
    }
    for (channel, weight) in weights.into_iter().flatten() {
        if !is_token(channel) || !(1..=MAX_SLOTS).contains(weight) {
            return Err(invalid(format!("{channel:?} = {weight}: a conversation takes 1 to {MAX_SLOTS} slots")));
        }
    }
    let weights = weights.unwrap_or(&step.state.weights).clone();
    if slots == step.state.slots && weights == step.state.weights {
        return Err(unchanged("the agent has this capacity already"));
    }
    step.emit(AgentEvent::CapacityChanged { v: V, slots, weights });
    Ok(())
}

pub(super) fn set_shifts(step: &mut Step, shifts: Option<&Shifts>) -> Result<(), Refusal> {
    not_removed(step)?;
    if let Some(Shifts { time_zone, hours }) = shifts {
        hours::check(time_zone, hours).map_err(|(path, message)| invalid(format!("{path}: {message}")))?;
    }
    if shifts == step.state.shifts.as_ref() {
        return Err(unchanged("the agent has these shifts already"));
    }
    step.emit(AgentEvent::ShiftsChanged { v: V, shifts: shifts.cloned() });
    Ok(())
}

pub(super) fn remove(step: &mut Step) -> Result<(), Refusal> {
    not_removed(step)?;
    step.emit(AgentEvent::AgentRemoved { v: V });
    slot::withdraw(step);
    Ok(())
}

fn different(what: &str, names: &[String], is_allowed: impl Fn(&str) -> bool) -> Result<(), Refusal> {
    if names.len() > MAX_SKILLS {
        return Err(invalid(format!("an agent has at most {MAX_SKILLS} of each: {what}")));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !is_allowed(name) || !seen.insert(*name)) {
        Some(name) => Err(invalid(format!("{what} {name:?} is there twice, or cannot be one"))),
        None => Ok(()),
    }
}
