//! Agents coming, going, changing; and their places in the lists of the demands that they fit.

use super::{AgentIx, DecisionId, DemandIx, Floor, Link, Load};
use crate::scheduler::{
    demand::{Abilities, queue_skill},
    views::{AgentView, ConversationKey, Performance, Status},
};
use std::collections::BTreeMap;

impl Floor {
    /// An agent is new or has changed. What was asked for stays in the overlay until it shows in the view's load, is
    /// confirmed or undone.
    pub fn put_agent(&mut self, view: &AgentView, now_ms: i64) -> AgentIx {
        let ix = self.agent_ix(&view.id);
        let skill = |(skill, level): (&String, &u8)| (self.skills.number(skill), *level);
        let mut abilities = Abilities { skills: view.skills.iter().map(skill).collect(), ..Abilities::default() };
        abilities.languages = view.languages.iter().map(|language| self.languages.number(language)).collect();
        abilities.queues = view.queues.iter().map(|queue| self.queues.number(queue)).collect();
        abilities.skills.sort_unstable();
        abilities.languages.sort_unstable();
        abilities.queues.sort_unstable();
        let performance = self.numbered(&view.performance);
        let agent = &mut self.agents[ix as usize];
        let (was_open, used_before) = (agent.is_open(), agent.used);
        let relink = agent.abilities != abilities || agent.performance != performance;
        // Out of the indexes with the old load and status, in again with the new ones.
        self.leave_lists(ix);
        let agent = &mut self.agents[ix as usize];
        agent.abilities = abilities;
        agent.performance = performance;
        agent.known = true;
        agent.status = view.status;
        agent.online = view.online;
        agent.slots = view.slots;
        agent.load.retain(|load| load.asked.is_some() && !view.load.contains_key(&ConversationKey(load.conversation)));
        let seen = |(key, weight): (&ConversationKey, &u32)| Load { conversation: key.0, weight: *weight, asked: None };
        agent.load.extend(view.load.iter().map(seen));
        agent.used = agent.load.iter().map(|load| load.weight).sum();
        let observed = (!was_open && agent.is_open()) || agent.used < used_before;
        agent.idle_since_ms = view.idle_since_ms.unwrap_or(if observed { now_ms } else { agent.idle_since_ms });
        if relink {
            self.link_agent(ix);
        }
        self.enter_lists(ix);
        self.mark_agent(ix);
        self.stand_again_all(ix, now_ms);
        ix
    }

    fn numbered(&mut self, performance: &BTreeMap<String, Performance>) -> Vec<(u32, Performance)> {
        let mut numbered: Vec<_> =
            performance.iter().map(|(skill, known)| (self.skills.number(skill), *known)).collect();
        numbered.sort_unstable_by_key(|(skill, _)| *skill);
        numbered
    }

    /// An agent works as described from now on. That makes no match possible that was not before, so nothing is marked.
    pub fn set_performance(&mut self, ix: AgentIx, performance: &BTreeMap<String, Performance>) {
        let performance = self.numbered(performance);
        if self.agents[ix as usize].performance != performance {
            self.leave_lists(ix);
            self.agents[ix as usize].performance = performance;
            self.link_agent(ix);
            self.enter_lists(ix);
        }
    }

    /// When a conversation was last assigned to an agent, in ms, as the log shows it; what is asked for counts as well.
    pub fn set_assigned(&mut self, ix: AgentIx, at_ms: i64) {
        let asked = self.agents[ix as usize].load.iter().filter_map(|load| Some(self.asked.get(&load.asked?)?.at_ms));
        self.agents[ix as usize].assigned_ms = asked.max().unwrap_or(0).max(at_ms);
    }

    /// An agent's status or connection has changed, and nothing else.
    pub fn set_status(&mut self, ix: AgentIx, status: Status, online: bool, now_ms: i64) {
        let was_open = self.agents[ix as usize].is_open();
        self.leave_lists(ix);
        let agent = &mut self.agents[ix as usize];
        agent.status = status;
        agent.online = online;
        if agent.is_open() && !was_open {
            agent.idle_since_ms = now_ms;
        }
        self.enter_lists(ix);
        self.mark_agent(ix);
        self.stand_again_all(ix, now_ms);
    }

    /// An agent has gone for good. What was asked of this agent is forgotten and waits again.
    pub fn remove_agent(&mut self, id: &str, now_ms: i64) {
        let Some(ix) = self.agent_names.known(id) else { return };
        let asked: Vec<DecisionId> = self.agents[ix as usize].load.iter().filter_map(|load| load.asked).collect();
        for decision in asked {
            self.undo(decision, now_ms);
        }
        self.leave_lists(ix);
        let agent = &mut self.agents[ix as usize];
        agent.known = false;
        agent.online = false;
        agent.status = Status::Offline;
        agent.load.clear();
        agent.used = 0;
        agent.slots = 0;
        agent.abilities = Abilities::default();
        self.link_agent(ix);
        self.enter_lists(ix);
        self.stand_again_all(ix, now_ms);
    }

    /// An agent has one more conversation, which the leader saw in the log.
    pub fn occupy(&mut self, agent: AgentIx, conversation: ConversationKey, weight: u32) {
        self.change_load(agent, |load| {
            load.retain(|known| known.conversation != conversation.0);
            load.push(Load { conversation: conversation.0, weight, asked: None });
        });
    }

    /// An agent's slot is free again.
    pub fn release(&mut self, agent: AgentIx, conversation: ConversationKey, now_ms: i64) {
        self.change_load(agent, |load| load.retain(|known| known.conversation != conversation.0));
        self.agents[agent as usize].idle_since_ms = now_ms;
    }

    /// Changes an agent's load and, with it, the agent's place in the lists.
    pub(super) fn change_load(&mut self, ix: AgentIx, change: impl FnOnce(&mut Vec<Load>)) {
        let agent = &mut self.agents[ix as usize];
        let before = agent.room();
        change(&mut agent.load);
        agent.used = agent.load.iter().map(|load| load.weight).sum();
        let after = agent.room();
        if after > before {
            self.mark_agent(ix);
        } else if !self.agents[ix as usize].marked {
            self.list_again(ix);
        }
    }

    /// Moves an agent to where the agent's room belongs in the lists.
    pub(super) fn list_again(&mut self, ix: AgentIx) {
        self.list_with(ix, self.agents[ix as usize].room());
    }

    /// Lists an agent as one with so many free slots.
    pub(super) fn list_with(&mut self, ix: AgentIx, after: u32) {
        let agent = &mut self.agents[ix as usize];
        let before = std::mem::replace(&mut agent.listed, after);
        if before == after || !agent.is_open() {
            return;
        }
        for at in 0..self.agents[ix as usize].links.len() {
            let link = self.agents[ix as usize].links[at];
            let line = &mut self.demands[link.demand as usize];
            let weight = line.demand.weight;
            line.room = line.room + after - before;
            line.weigh(&self.scarcities, self.settings.weights.scarcity);
            match (before >= weight, after >= weight) {
                (true, false) => self.set_free(link, false),
                (false, true) => self.set_free(link, true),
                _ => {}
            }
        }
    }

    /// Moves an agent's entry between the two parts of a demand's list.
    pub(super) fn set_free(&mut self, link: Link, free: bool) {
        let line = &mut self.demands[link.demand as usize];
        let (from, to) = if free {
            line.free += 1;
            (link.at as usize, line.free - 1)
        } else {
            line.free -= 1;
            (link.at as usize, line.free)
        };
        line.agents.swap(from, to);
        for at in [from, to] {
            let (agent, number) = line.agents[at];
            self.agents[agent as usize].links[number as usize].at = at as u32;
        }
    }

    /// Takes an agent out of what counts open agents and their room.
    fn leave_lists(&mut self, ix: AgentIx) {
        self.count_in_lists(ix, false);
    }

    fn enter_lists(&mut self, ix: AgentIx) {
        let agent = &mut self.agents[ix as usize];
        agent.listed = agent.room();
        self.count_in_lists(ix, true);
    }

    fn count_in_lists(&mut self, ix: AgentIx, enter: bool) {
        let agent = &self.agents[ix as usize];
        if !agent.is_open() {
            return;
        }
        let room = agent.listed;
        for at in 0..agent.links.len() {
            let link = self.agents[ix as usize].links[at];
            let line = &mut self.demands[link.demand as usize];
            if enter {
                line.open += 1;
                line.room += room;
            } else {
                line.open -= 1;
                line.room -= room;
            }
            line.weigh(&self.scarcities, self.settings.weights.scarcity);
            if room >= line.demand.weight {
                self.set_free(link, enter);
            }
        }
    }

    /// Lists an agent with the demands that fit. The agent must have left the lists.
    fn link_agent(&mut self, ix: AgentIx) {
        let old = std::mem::take(&mut self.agents[ix as usize].links);
        for link in old {
            let line = &mut self.demands[link.demand as usize];
            line.agents.swap_remove(link.at as usize);
            if let Some(&(moved, number)) = line.agents.get(link.at as usize) {
                self.agents[moved as usize].links[number as usize].at = link.at;
            }
        }
        for demand in 0..self.demands.len() {
            self.link(ix, demand as DemandIx);
        }
    }

    /// Lists an agent with a demand, if it fits, as one without room.
    pub(super) fn link(&mut self, ix: AgentIx, demand: DemandIx) -> Option<Link> {
        let line = &mut self.demands[demand as usize];
        let agent = &mut self.agents[ix as usize];
        if line.demand.misfit(&agent.abilities).is_some() {
            return None;
        }
        let required = &line.demand.required;
        let known = |skill| {
            let found = agent.performance.binary_search_by_key(&skill, |known| known.0);
            found.map_or(Performance::default(), |at| agent.performance[at].1)
        };
        let mut link = Link { demand, at: line.agents.len() as u32, skill: 1.0, wished: 0.0, speed: 1.0, quality: 1.0 };
        if !required.is_empty() {
            let mean = |of: &dyn Fn(u32) -> f64| {
                (required.iter().map(|&(skill, _)| of(skill)).sum::<f64>() / required.len() as f64) as f32
            };
            link.skill = mean(&|skill| f64::from(agent.abilities.proficiency(skill).unwrap_or(0)) / 5.0);
            link.speed = mean(&|skill| known(skill).speed);
            link.quality = mean(&|skill| known(skill).quality);
        } else if !agent.performance.is_empty() {
            // Looked up only where somebody's work in queues is known: most floors know none.
            let queue = self.skills.known(&queue_skill(self.queues.name(line.demand.queue)));
            let known = queue.map_or(Performance::default(), known);
            (link.speed, link.quality) = (known.speed as f32, known.quality as f32);
        }
        let wished = &line.demand.wished;
        if !wished.is_empty() {
            let has = wished.iter().filter(|skill| agent.abilities.proficiency(**skill).is_some()).count();
            link.wished = has as f32 / wished.len() as f32;
        }
        line.agents.push((ix, agent.links.len() as u32));
        // Demands are linked in the order of their numbers, so the links stay sorted.
        agent.links.push(link);
        Some(link)
    }
}
