//! The same choice again, with reasons. Slower than the choice: it looks at every agent.

use super::{AgentIx, ConversationKey, Floor, Match, Pair, Question, Standing, Waiting, matching::by_agent};
use crate::scheduler::{
    decision::{CANDIDATES, Candidate, Decision, Reason, WhyNot, WhyWaiting},
    demand::{Misfit, queue_skill},
    policy::{PolicyName, Scores},
    views::Status,
};
use std::collections::BTreeMap;

impl Floor {
    /// Why this was matched. To be asked before it is reserved: on the state that the choice was made on, it comes out
    /// the same.
    pub fn explain(&self, matched: &Match) -> Option<Decision> {
        let waiting = self.find(matched.conversation)?;
        let policy = self.demands[waiting.demand as usize].policy;
        let (candidates, drawn_from) = if matched.named {
            (vec![self.only_candidate(matched)], 1)
        } else {
            match matched.question {
                Question::WhichAgent => {
                    let (candidates, compared) = self.agents_compared(matched);
                    (candidates, if policy.policy().draws() { compared } else { 1 })
                }
                Question::WhichConversation => (self.conversations_compared(matched), 1),
            }
        };
        let propensity = 1.0 / drawn_from.max(1) as f64;
        Some(Decision {
            conversation: matched.conversation,
            session: matched.session,
            agent: self.agent_id(matched.agent).to_string(),
            question: matched.question,
            at_ms: matched.now_ms,
            policy,
            weights: (policy == PolicyName::Index).then_some(self.settings.weights),
            settings_version: self.settings.version,
            sequence: self.sequence,
            draw: format!("{:016x}", matched.draw),
            named: matched.named,
            propensity,
            candidates,
            excluded: self.exclusions(waiting, matched.now_ms),
            beside: Some(self.beside(policy, matched.now_ms)),
        })
    }

    /// Of which skills a waiting conversation is a case, were it served now: those that it requires, or its queue where it
    /// requires none. As [`Practised`](crate::scheduler::estimates::Practised) names them.
    pub fn practice(&self, conversation: ConversationKey) -> Vec<String> {
        let Some(waiting) = self.find(conversation) else { return Vec::new() };
        let demand = &self.demands[waiting.demand as usize].demand;
        let required = demand.required.iter().map(|(skill, _)| self.skills.name(*skill).to_string());
        let skills: Vec<String> = required.collect();
        if skills.is_empty() { vec![queue_skill(self.queues.name(demand.queue))] } else { skills }
    }

    /// Why an agent does not get a conversation now, or what the agent would score.
    pub fn why_not(&self, conversation: ConversationKey, agent: &str, now_ms: i64, draw: u64) -> WhyNot {
        let Some(ix) = self.number(conversation) else { return WhyNot::NotWaiting };
        let Some(waiting) = self.find(conversation) else { return WhyNot::NotWaiting };
        if let Some(agent) = self.asked_agent(waiting) {
            return WhyNot::AskedFor { agent };
        }
        let Some(agent_ix) = self.agent_names.known(agent) else {
            return WhyNot::Impossible { reason: Reason::Unknown };
        };
        if !self.agents[agent_ix as usize].known {
            return WhyNot::Impossible { reason: Reason::Unknown };
        }
        if let Some(reason) = self.reason(agent_ix, waiting, now_ms) {
            return WhyNot::Impossible { reason };
        }
        let candidate = match self.pair(agent_ix, ix, now_ms, draw) {
            Some(pair) => {
                let policy = self.policy_of(waiting.demand);
                candidate(&pair, &policy.agent(&pair), policy.agent_parts())
            }
            None => named(agent, conversation),
        };
        WhyNot::Possible { candidate }
    }

    /// Why a conversation still waits; none if it does not.
    pub fn why_waiting(&self, conversation: ConversationKey, now_ms: i64) -> Option<WhyWaiting> {
        let waiting = self.find(conversation)?;
        Some(WhyWaiting {
            waited_s: (now_ms - waiting.since_ms) as f64 / 1_000.0,
            asked: self.asked_agent(waiting),
            ahead: self.position(conversation),
            excluded: self.exclusions(waiting, now_ms),
            changes_at_ms: waiting.due_ms,
        })
    }

    fn asked_agent(&self, waiting: &Waiting) -> Option<String> {
        let ask = self.asked.get(&waiting.asked?)?;
        Some(self.agent_id(ask.agent).to_string())
    }

    fn exclusions(&self, waiting: &Waiting, now_ms: i64) -> BTreeMap<Reason, u32> {
        let mut counts = BTreeMap::new();
        for agent in (0..self.agents.len() as AgentIx).filter(|agent| self.agents[*agent as usize].known) {
            if let Some(reason) = self.reason(agent, waiting, now_ms) {
                *counts.entry(reason).or_default() += 1;
            }
        }
        counts
    }

    /// The first reason why an agent cannot get a conversation now.
    fn reason(&self, agent_ix: AgentIx, waiting: &Waiting, now_ms: i64) -> Option<Reason> {
        let agent = &self.agents[agent_ix as usize];
        let demand = &self.demands[waiting.demand as usize].demand;
        let only = match waiting.standing {
            Standing::With(only) => Some(only),
            Standing::Line | Standing::Nowhere => waiting.wanted,
        };
        let by_name = waiting.wanted == Some(agent_ix);
        let status = match agent.status {
            _ if !agent.online => Some(Reason::Offline),
            Status::Offline => Some(Reason::Offline),
            Status::Away => Some(Reason::Away),
            Status::OffShift => Some(Reason::OffShift),
            Status::TransfersOnly if !by_name => Some(Reason::TransfersOnly),
            Status::TransfersOnly | Status::Available => None,
        };
        let ability = match demand.misfit(&agent.abilities) {
            _ if by_name => None,
            Some(Misfit::Queue) => Some(Reason::Queue),
            Some(Misfit::Language) => Some(Reason::Language),
            Some(Misfit::Skill) => Some(Reason::Skill),
            None => None,
        };
        let asked: u32 = agent.load.iter().filter(|load| load.asked.is_some()).map(|load| load.weight).sum();
        let full = match agent.room() {
            room if room >= demand.weight => None,
            room if room + asked >= demand.weight => Some(Reason::Reserved),
            _ => Some(Reason::Full),
        };
        status
            .or(only.is_some_and(|only| only != agent_ix).then_some(Reason::ReservedForAnother))
            .or(ability)
            .or(waiting.excludes(agent_ix, now_ms).then_some(Reason::Excluded))
            .or(full)
    }

    fn only_candidate(&self, matched: &Match) -> Candidate {
        named(self.agent_id(matched.agent), matched.conversation)
    }

    /// The best of those who could have got it, and how many there were.
    fn agents_compared(&self, matched: &Match) -> (Vec<Candidate>, usize) {
        let Some(waiting) = self.find(matched.conversation) else { return (Vec::new(), 0) };
        let policy = self.policy_of(waiting.demand);
        let line = &self.demands[waiting.demand as usize];
        let free = line.agents[..line.free].iter().filter(|(agent, _)| !waiting.excludes(*agent, matched.now_ms));
        let pairs = free.filter_map(|(agent, _)| self.pair(*agent, matched.waiting, matched.now_ms, matched.draw));
        let mut scored: Vec<(Scores, Pair<'_>)> = pairs.map(|pair| (policy.agent(&pair), pair)).collect();
        let compared = scored.len();
        let order = |a: &(Scores, Pair<'_>), b: &(Scores, Pair<'_>)| by_agent((&a.0, a.1.agent), (&b.0, b.1.agent));
        if compared > CANDIDATES {
            scored.select_nth_unstable_by(CANDIDATES, order);
            scored.truncate(CANDIDATES);
        }
        scored.sort_by(order);
        let best = scored.iter().map(|(scores, pair)| candidate(pair, scores, policy.agent_parts()));
        (best.collect(), compared)
    }

    fn conversations_compared(&self, matched: &Match) -> Vec<Candidate> {
        let Some(name) = self.leading_policy(matched.agent, matched.now_ms) else { return Vec::new() };
        let heads = self.steered(matched.agent, name, matched.now_ms, matched.draw);
        let parts = name.policy().conversation_parts();
        let explained = heads.iter().take(CANDIDATES).map(|head| {
            let mut explained = candidate(&head.pair, &head.scores, parts);
            if head.target > 0.0 {
                explained.parts.insert("target".to_owned(), head.target);
                explained.score = head.total();
            }
            explained
        });
        explained.collect()
    }
}

fn candidate(pair: &Pair<'_>, scores: &Scores, names: &[&str]) -> Candidate {
    let parts = names.iter().zip(scores.0).map(|(name, part)| ((*name).to_owned(), part)).collect();
    Candidate { agent: pair.agent.id.to_string(), conversation: pair.conversation(), score: scores.total(), parts }
}

/// The candidate where a name decided, and no score.
fn named(agent: &str, conversation: ConversationKey) -> Candidate {
    let parts = BTreeMap::from([("named".to_owned(), 1.0)]);
    Candidate { agent: agent.to_owned(), conversation, score: 1.0, parts }
}
