//! Kinds of demand. Conversations that ask for the same are interchangeable but for their place in the line, so the
//! floor keeps one line, and one list of free agents, per kind.

use super::{
    names::Names,
    settings::{QueueRules, Relaxation},
    views::WaitingView,
};

/// What a conversation asks of an agent. Names are numbers here; lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Demand {
    /// The queue that it stands in: its rules hold.
    pub queue: u32,
    /// Queues whose agents may be asked, that one among them.
    pub queues: Vec<u32>,
    /// Skill and least proficiency.
    pub required: Vec<(u32, u8)>,
    /// Skills that make an agent better suited.
    pub wished: Vec<u32>,
    /// Language that the agent must speak.
    pub language: Option<u32>,
    /// Slots that it takes.
    pub weight: u32,
}

/// What stands in the place of a skill where a queue requires none. No skill can be called so.
pub fn queue_skill(queue: &str) -> String {
    format!("queue:{queue}")
}

/// Why an agent does not fit a demand, whatever the agent's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Does not serve its queues.
    Queue,
    /// Does not speak its language.
    Language,
    /// Lacks a skill, or proficiency in it.
    Skill,
}

/// What of an agent decides whether a demand fits. Lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Abilities {
    /// Skill and proficiency.
    pub skills: Vec<(u32, u8)>,
    /// Languages spoken.
    pub languages: Vec<u32>,
    /// Queues served.
    pub queues: Vec<u32>,
}

impl Abilities {
    /// Proficiency in a skill, if there is any.
    pub fn proficiency(&self, skill: u32) -> Option<u8> {
        self.skills.binary_search_by_key(&skill, |known| known.0).ok().map(|at| self.skills[at].1)
    }
}

impl Demand {
    pub(super) fn of(view: &WaitingView, skills: &mut Names, queues: &mut Names, languages: &mut Names) -> Self {
        let mut required: Vec<_> = view.required.iter().map(|(skill, least)| (skills.number(skill), *least)).collect();
        required.sort_unstable();
        let mut wished: Vec<_> = view.wished.iter().map(|skill| skills.number(skill)).collect();
        wished.sort_unstable();
        let queue = queues.number(&view.queue);
        let language = view.language.as_ref().map(|language| languages.number(language));
        Self { queue, queues: vec![queue], required, wished, language, weight: view.weight }
    }

    /// Why `agent` does not fit, if so.
    pub fn misfit(&self, agent: &Abilities) -> Option<Misfit> {
        let skilled = |&(skill, least): &(u32, u8)| agent.proficiency(skill).is_some_and(|known| known >= least);
        if !self.queues.iter().any(|queue| agent.queues.binary_search(queue).is_ok()) {
            Some(Misfit::Queue)
        } else if self.language.is_some_and(|language| agent.languages.binary_search(&language).is_err()) {
            Some(Misfit::Language)
        } else if !self.required.iter().all(skilled) {
            Some(Misfit::Skill)
        } else {
            None
        }
    }

    /// The same after one relaxation step: what is dropped is wished from then on.
    pub(super) fn relaxed(&self, step: &Relaxation, skills: &mut Names, queues: &mut Names) -> Self {
        let dropped: Vec<u32> = step.drop.iter().map(|skill| skills.number(skill)).collect();
        let mut relaxed = self.clone();
        relaxed.required.retain(|(skill, _)| !dropped.contains(skill));
        for (_, least) in &mut relaxed.required {
            *least = least.saturating_sub(step.lower);
        }
        let lost = self.required.iter().map(|required| required.0).filter(|skill| dropped.contains(skill));
        relaxed.wished.extend(lost);
        relaxed.wished.sort_unstable();
        relaxed.wished.dedup();
        relaxed.widen(step.also.iter().map(|queue| queues.number(queue)));
        relaxed
    }

    /// The same for agents of more queues.
    pub(super) fn widen(&mut self, queues: impl Iterator<Item = u32>) {
        self.queues.extend(queues);
        self.queues.sort_unstable();
        self.queues.dedup();
    }
}

/// How many of a queue's relaxation steps hold after a wait, and when the next one does, both in ms.
pub(super) fn steps_after(rules: &QueueRules, since_ms: i64, now_ms: i64) -> (usize, Option<i64>) {
    let due = |step: &Relaxation| since_ms.saturating_add((step.after_s * 1_000.0).round() as i64);
    let steps = rules.relaxation.iter().take_while(|step| due(step) <= now_ms).count();
    (steps, rules.relaxation.get(steps).map(due))
}
