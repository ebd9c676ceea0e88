//! What decided beside the agents and conversations that the log shows: the overlay, faded counts, what was refused.
//!
//! It is recorded with each decision, as short as it can be. A floor that is fed from the log as it was at the decision's
//! sequence, and is told this, decides the same again with the same scores: see [`Floor::decide_again`].

mod brief;

use super::{AgentIx, Ask, ConversationKey, DecisionId, Demand, Floor, Load, Match, Question, QueueEntry};
use crate::scheduler::{Decision, policy::PolicyName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Entries that are recorded of each kind. A decision is a part of a commit, and must not grow with the tenant.
const MAX_RECORDED: usize = 512;

/// See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// Reservations that had been asked for and were not seen yet.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "brief")]
    pub asked: Vec<AskedFor>,
    /// Those of them whose conversation waits again all the same, and can be asked for.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "brief")]
    pub overtaken: Vec<AskedFor>,
    /// Conversations that still waited though a reservation for them was seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirmed: Vec<ConversationKey>,
    /// Agents that were listed with other free slots than they had, because they had just become free.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub listed: BTreeMap<String, u32>,
    /// Demand of late, for policies that look at it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub demands: Vec<DemandCount>,
    /// All arrivals, faded.
    #[serde(skip_serializing_if = "is_zero")]
    pub arrivals: f64,
    /// Those that found nobody free.
    #[serde(skip_serializing_if = "is_zero")]
    pub blocked: f64,
    /// Conversations that came when their queue overflowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overflowing: Vec<ConversationKey>,
    /// Queues that were behind their targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<String>,
    /// Agents who had refused a reservation a moment before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// As of when agents' speed and quality had been estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimates: Option<EstimatesAt>,
    /// There was more than could be recorded: the decision may come out another way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// A reservation that was asked for: agent, conversation, slots, and when, in ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedFor(pub String, pub ConversationKey, pub u32, pub i64);

/// An agent who is not asked for a conversation until then, in ms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused(pub ConversationKey, pub String, pub i64);

/// As of which commit, and for which moment in ms, estimates were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimatesAt {
    /// The last commit that was known.
    pub sequence: u64,
    /// The moment that cases had faded to.
    pub at_ms: i64,
}

/// How often something was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemandCount {
    /// The queue whose rules hold.
    pub queue: String,
    /// Other queues whose agents may be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Skill → least proficiency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wished: Vec<String>,
    /// Language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Slots.
    pub weight: u32,
    /// Faded count of arrivals.
    pub arrivals: f64,
    /// Faded count of those that found nobody free.
    pub blocked: f64,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Floor {
    /// What decides now beside what the log shows. What the floor itself does not know is left open.
    pub(super) fn beside(&self, policy: PolicyName, now_ms: i64) -> Beside {
        let mut partial = false;
        let asked_for = |ask: &Ask| {
            let agent = &self.agents[ask.agent as usize];
            let weight = agent.load.iter().find(|load| load.conversation == ask.conversation.0);
            AskedFor(agent.id.to_string(), ask.conversation, weight.map_or(1, |load| load.weight), ask.at_ms)
        };
        let waits_again = |(decision, ask): &(&DecisionId, &Ask)| {
            self.find(ask.conversation).is_some_and(|waiting| waiting.asked != Some(**decision))
        };
        let (overtaken, asked): (Vec<_>, Vec<_>) = self.asked.iter().partition(waits_again);
        let asked = first(asked.into_iter().map(|(_, ask)| asked_for(ask)), &mut partial);
        let overtaken = first(overtaken.into_iter().map(|(_, ask)| asked_for(ask)), &mut partial);
        let confirmed = first(self.confirmed.iter().map(|key| ConversationKey(*key)), &mut partial);
        let overflowing = first(self.overflowing.iter().map(|key| ConversationKey(*key)), &mut partial);
        let differing = self.agents.iter().filter(|agent| agent.listed != agent.room());
        let listed = first(differing.map(|agent| (agent.id.to_string(), agent.listed)), &mut partial);
        let beside = Beside {
            asked,
            overtaken,
            confirmed,
            overflowing,
            listed: listed.into_iter().collect(),
            behind: self.behind(now_ms),
            ..Beside::default()
        };
        if !looks_at_demand(policy) {
            return Beside { partial, ..beside };
        }
        let asked_for = self.demands.iter().filter(|line| line.arrivals > 0.0);
        let demands = asked_for.map(|line| self.count(&line.demand, line.arrivals, line.blocked));
        let demands = first(demands, &mut partial);
        Beside { demands, arrivals: self.arrivals, blocked: self.blocked, partial, ..beside }
    }

    fn behind(&self, now_ms: i64) -> Vec<String> {
        let is_behind = |(queue, known): &(usize, &QueueEntry)| match (&self.behind, &known.rules.target) {
            (Some(behind), _) => behind.contains(&(*queue as u32)),
            (None, Some(target)) => known.service.is_behind(target, now_ms),
            (None, None) => false,
        };
        let behind = self.queue_states.iter().enumerate().filter(is_behind);
        behind.map(|(queue, _)| self.queues.name(queue as u32).to_string()).collect()
    }

    fn count(&self, demand: &Demand, arrivals: f64, blocked: f64) -> DemandCount {
        let name = |number: &u32| self.skills.name(*number).to_string();
        let others = demand.queues.iter().filter(|queue| **queue != demand.queue);
        DemandCount {
            queue: self.queues.name(demand.queue).to_string(),
            also: others.map(|queue| self.queues.name(*queue).to_string()).collect(),
            required: demand.required.iter().map(|(skill, least)| (name(skill), *least)).collect(),
            wished: demand.wished.iter().map(name).collect(),
            language: demand.language.map(|language| self.languages.name(language).to_string()),
            weight: demand.weight,
            arrivals,
            blocked,
        }
    }

    /// For a new floor, before it is told of anybody: what is counted in their order adds up to the last digit.
    pub fn recall_demand(&mut self, beside: &Beside) {
        for count in &beside.demands {
            let mut required: Vec<_> =
                count.required.iter().map(|(skill, least)| (self.skills.number(skill), *least)).collect();
            required.sort_unstable();
            let mut wished: Vec<_> = count.wished.iter().map(|skill| self.skills.number(skill)).collect();
            wished.sort_unstable();
            let queue = self.queues.number(&count.queue);
            let language = count.language.as_ref().map(|language| self.languages.number(language));
            let mut demand = Demand { queue, queues: vec![queue], required, wished, language, weight: count.weight };
            demand.widen(count.also.iter().map(|queue| self.queues.number(queue)));
            self.demand_ix(demand);
        }
        self.overflowing = beside.overflowing.iter().map(|key| key.0).collect::<BTreeSet<_>>();
        self.overflow_known = true;
        self.behind = Some(beside.behind.iter().map(|queue| self.queues.number(queue)).collect());
    }

    /// For the same floor, after it was told of everybody.
    pub fn recall(&mut self, beside: &Beside) {
        let asked = beside.asked.iter().chain(&beside.overtaken);
        for (number, AskedFor(agent, conversation, weight, at_ms)) in asked.enumerate() {
            let (decision, agent) = (number as DecisionId, self.agent_ix(agent));
            if number < beside.asked.len() {
                self.hide(*conversation, decision);
            }
            let load = Load { conversation: conversation.0, weight: *weight, asked: Some(decision) };
            self.change_load(agent, |loads| {
                loads.retain(|known| known.conversation != load.conversation);
                loads.push(load);
            });
            let known = &mut self.agents[agent as usize];
            known.assigned_ms = known.assigned_ms.max(*at_ms);
            self.asked.insert(decision, Ask { conversation: *conversation, agent, at_ms: *at_ms });
        }
        for conversation in &beside.confirmed {
            self.hide(*conversation, DecisionId::MAX);
            self.confirmed.insert(conversation.0);
        }
        for agent in 0..self.agents.len() as AgentIx {
            self.list_again(agent);
        }
        for (agent, listed) in &beside.listed {
            let agent = self.agent_ix(agent);
            self.list_with(agent, *listed);
        }
        (self.arrivals, self.blocked) = (beside.arrivals, beside.blocked);
        for (number, line) in self.demands.iter_mut().enumerate() {
            // Recalled ones have the first numbers, in their order.
            let count = beside.demands.get(number);
            (line.arrivals, line.blocked) = count.map_or((0.0, 0.0), |count| (count.arrivals, count.blocked));
        }
        (0..self.demands.len()).for_each(|number| self.weigh_need(number));
    }

    /// Takes a conversation out of the line: it was asked for.
    fn hide(&mut self, conversation: ConversationKey, decision: DecisionId) {
        let Some(ix) = self.number(conversation) else { return };
        self.stand_nowhere(ix);
        if let Some(waiting) = &mut self.waiting[ix as usize] {
            waiting.asked = Some(decision);
        }
    }

    /// Answers the question of a decision again. The floor must be as it was then: see the module's text.
    pub fn decide_again(&mut self, decision: &Decision) -> Option<Match> {
        let (at_ms, question) = (decision.at_ms, decision.question);
        let draw = u64::from_str_radix(&decision.draw, 16).ok()?;
        self.pass_time(at_ms);
        let (agent, waiting) = match question {
            Question::WhichConversation => {
                let agent = self.agent_names.known(&decision.agent)?;
                (agent, self.conversation_for(agent, at_ms, draw)?)
            }
            Question::WhichAgent => {
                let waiting = self.number(decision.conversation)?;
                (self.agent_for(waiting, at_ms, draw)?, waiting)
            }
        };
        self.matched(agent, waiting, question, at_ms, draw)
    }
}

/// Whether the policy looks at faded counts. Those that compare agents and ages only do not.
fn looks_at_demand(policy: PolicyName) -> bool {
    use PolicyName as Name;
    !matches!(
        policy,
        Name::Random
            | Name::RoundRobin
            | Name::LongestIdle
            | Name::LeastLoaded
            | Name::Score4321
            | Name::Score523
            | Name::FastestGcmu
    )
}

/// As many as are recorded.
fn first<T>(items: impl Iterator<Item = T>, partial: &mut bool) -> Vec<T> {
    let mut items = items;
    let kept = items.by_ref().take(MAX_RECORDED).collect();
    *partial |= items.next().is_some();
    kept
}
