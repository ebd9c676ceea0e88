//! The two questions: which conversation for an agent, which agent for a conversation.

use super::{Agent, AgentIx, Concurrency, ConversationKey, Floor, Line, Link, Place, WaitIx, power};
use crate::scheduler::policy::{PolicyName, Scores};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Which question was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// An agent has room: which conversation.
    WhichConversation,
    /// A conversation has come, or asks for less: which agent.
    WhichAgent,
}

/// A conversation and the agent who should get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The conversation.
    pub conversation: ConversationKey,
    /// The session that waits.
    pub session: u32,
    /// The agent: [`Floor::agent_id`] has the name.
    pub agent: AgentIx,
    /// What was asked.
    pub question: Question,
    /// When, in ms.
    pub now_ms: i64,
    /// The random draw that was handed in.
    pub draw: u64,
    /// Whether only this agent was allowed: wanted, or preferred for now.
    pub named: bool,
    pub(super) waiting: WaitIx,
}

/// An agent and a conversation that fit, for a policy to score.
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    floor: &'a Floor,
    pub(super) agent_ix: AgentIx,
    pub(super) agent: &'a Agent,
    link: Link,
    line: &'a Line,
    pub(super) place: Place,
    now_ms: i64,
    draw: u64,
}

impl Pair<'_> {
    /// The conversation.
    pub fn conversation(&self) -> ConversationKey {
        ConversationKey(self.floor.waiting[self.place.waiting as usize].as_ref().map_or(0, |waiting| waiting.key))
    }

    /// Mean proficiency in the required skills, 0 to 1.
    pub fn skill(&self) -> f64 {
        f64::from(self.link.skill)
    }

    /// Part of the agent's slots that is taken, 0 to 1.
    pub fn load(&self) -> f64 {
        f64::from(self.agent.used) / f64::from(self.agent.slots.max(1))
    }

    /// The agent's speed on this conversation, when working on it alone; 1 is the group's mean.
    pub fn speed(&self) -> f64 {
        f64::from(self.link.speed)
    }

    /// The agent's ratings; 1 is the group's mean.
    pub fn quality(&self) -> f64 {
        f64::from(self.link.quality)
    }

    /// Factor of the speed when the agent has this conversation as well.
    pub fn concurrent_speed(&self) -> f64 {
        Concurrency::at(&self.floor.concurrency.speed, self.agent.load.len())
    }

    /// How much more the agent gets done per time with one more conversation.
    pub fn marginal_gain(&self) -> f64 {
        Concurrency::at(&self.floor.concurrency.gain, self.agent.load.len())
    }

    /// 1 for the preferred agent, else the share of the wished skills that the agent has.
    pub fn preference(&self) -> f64 {
        let waiting = self.floor.waiting[self.place.waiting as usize].as_ref();
        let preferred = waiting.and_then(|waiting| waiting.preferred).is_some_and(|(agent, _)| agent == self.agent_ix);
        if preferred { 1.0 } else { f64::from(self.link.wished) }
    }

    /// For how long the agent's load has not shrunk, in seconds.
    pub fn idle_s(&self) -> f64 {
        (self.now_ms - self.agent.idle_since_ms) as f64 / 1_000.0
    }

    /// When the agent got a conversation last, in seconds since 1970; 0 without any.
    pub fn last_assignment(&self) -> f64 {
        self.agent.assigned_ms as f64 / 1_000.0
    }

    /// How long the conversation has waited, in seconds.
    pub fn age_s(&self) -> f64 {
        (self.now_ms - self.place.since_ms) as f64 / 1_000.0
    }

    /// The conversation's priority, 0 to 10 and more after relaxation.
    pub fn priority(&self) -> f64 {
        f64::from(u8::MAX - self.place.urgency)
    }

    /// How many wait for the same.
    pub fn queue_length(&self) -> f64 {
        self.line.places.len() as f64
    }

    /// Available agents who fit what it asks for.
    pub fn staff(&self) -> f64 {
        f64::from(self.line.open)
    }

    /// Share of arrivals that ask for the same.
    pub fn share(&self) -> f64 {
        self.line.arrivals / self.floor.arrivals.max(f64::MIN_POSITIVE)
    }

    /// What the agent is worth elsewhere: the sum, over other demands that the agent fits, of their share of arrivals
    /// divided by the free slots there, each weighed by the agent's speed there as it would be if it were chosen for it.
    pub fn price(&self) -> f64 {
        let exponent = self.weights().speed;
        let others = self.agent.links.iter().filter(|link| link.demand != self.link.demand);
        let worth =
            |link: &Link| self.floor.demands[link.demand as usize].scarcity * power(f64::from(link.speed), exponent);
        let sum: f64 = others.map(worth).sum();
        let strain = (self.floor.blocked + 1.0) / (self.floor.arrivals + 1.0);
        sum / self.floor.arrivals.max(f64::MIN_POSITIVE) / power(strain, self.weights().strain)
    }

    /// How often arrivals that ask for the same found nobody free, compared with all arrivals.
    pub fn strain(&self) -> f64 {
        let part = |blocked: f64, arrivals: f64| (blocked + 1.0) / (arrivals + 1.0);
        part(self.line.blocked, self.line.arrivals) / part(self.floor.blocked, self.floor.arrivals)
    }

    /// A number in 0 to 1 for this agent, the same in whatever order candidates are met.
    pub fn lot(&self) -> f64 {
        // SplitMix64's finaliser.
        let mut z = self.draw ^ self.agent.hash;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The weights in force.
    pub fn weights(&self) -> &crate::scheduler::settings::Weights {
        &self.floor.settings.weights
    }
}

/// The first conversation of a line, as scored for an agent.
pub(super) struct Steered<'a> {
    /// By the policy.
    pub scores: Scores,
    /// For the queue's target.
    pub target: f64,
    pub place: Place,
    pub pair: Pair<'a>,
}

impl Steered<'_> {
    pub fn total(&self) -> f64 {
        self.scores.total() + self.target
    }
}

/// Best first: score, then longest idle, then id.
pub(super) fn by_agent(a: (&Scores, &Agent), b: (&Scores, &Agent)) -> Ordering {
    let score = b.0.total().total_cmp(&a.0.total());
    score.then_with(|| a.1.idle_since_ms.cmp(&b.1.idle_since_ms)).then_with(|| a.1.id.cmp(&b.1.id))
}

/// Best first: score, then place in line.
pub(super) fn by_waiting(a: (f64, Place), b: (f64, Place)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}

impl Floor {
    /// The next match, if anything can be matched now. The caller [reserves](Self::reserve) it and asks again; not
    /// reserving it gives the same match again. `draw` is a random number, for policies that draw.
    pub fn next(&mut self, now_ms: i64, draw: u64) -> Option<Match> {
        self.pass_time(now_ms);
        while let Some(&agent) = self.marked_agents.front() {
            if let Some(waiting) = self.conversation_for(agent, now_ms, draw) {
                return self.matched(agent, waiting, Question::WhichConversation, now_ms, draw);
            }
            self.marked_agents.pop_front();
            self.agents[agent as usize].marked = false;
            self.list_again(agent);
        }
        while let Some(&(ix, key)) = self.marked_waiting.front() {
            // The place may be somebody else's by now.
            if self.waiting[ix as usize].as_ref().is_some_and(|waiting| waiting.key == key) {
                if let Some(agent) = self.agent_for(ix, now_ms, draw) {
                    return self.matched(agent, ix, Question::WhichAgent, now_ms, draw);
                }
                if let Some(waiting) = &mut self.waiting[ix as usize] {
                    waiting.marked = false;
                }
            }
            self.marked_waiting.pop_front();
        }
        None
    }

    pub(super) fn matched(
        &self,
        agent: AgentIx,
        ix: WaitIx,
        question: Question,
        now_ms: i64,
        draw: u64,
    ) -> Option<Match> {
        let waiting = self.waiting[ix as usize].as_ref()?;
        Some(Match {
            conversation: ConversationKey(waiting.key),
            session: waiting.session,
            agent,
            question,
            now_ms,
            draw,
            named: matches!(waiting.standing, super::Standing::With(_)),
            waiting: ix,
        })
    }

    /// The pair, if the conversation's demand fits the agent.
    pub(super) fn pair(&self, agent_ix: AgentIx, ix: WaitIx, now_ms: i64, draw: u64) -> Option<Pair<'_>> {
        let agent = &self.agents[agent_ix as usize];
        let waiting = self.waiting[ix as usize].as_ref()?;
        let link = *agent.link_to(waiting.demand)?;
        let line = &self.demands[waiting.demand as usize];
        Some(Pair { floor: self, agent_ix, agent, link, line, place: waiting.place(ix), now_ms, draw })
    }

    /// The conversation that an agent should get.
    pub(super) fn conversation_for(&self, agent_ix: AgentIx, now_ms: i64, draw: u64) -> Option<WaitIx> {
        let agent = &self.agents[agent_ix as usize];
        if agent.room() == 0 || !agent.takes_transfers() {
            return None;
        }
        if let Some(own) = self.own_head(agent_ix, now_ms) {
            return Some(own);
        }
        if !agent.is_open() {
            return None;
        }
        let policy = self.leading_policy(agent_ix, now_ms)?;
        let (mut best, mut at_risk): (Option<(f64, Place)>, bool) = (None, false);
        for (link, line, place) in self.heads(agent_ix, now_ms) {
            if line.policy != policy {
                continue;
            }
            let pair = Pair { floor: self, agent_ix, agent, link: *link, line, place, now_ms, draw };
            let score = policy.policy().conversation(&pair).total();
            at_risk |= line.has_target && self.risk(line, place, now_ms) > 0.0;
            if best.is_none_or(|best| by_waiting((score, place), best).is_lt()) {
                best = Some((score, place));
            }
        }
        if at_risk {
            return self.steered(agent_ix, policy, now_ms, draw).first().map(|first| first.place.waiting);
        }
        best.map(|(_, place)| place.waiting)
    }

    /// How much sooner the first of a line is to be served for its queue's target, 0 where it is not at risk or the queue
    /// as a whole meets the target: 1 is as much as the best conversation's score.
    fn risk(&self, line: &Line, place: Place, now_ms: i64) -> f64 {
        let known = &self.queue_states[line.demand.queue as usize];
        let Some(target) = known.rules.target.filter(|target| target.steer > 0.0) else { return 0.0 };
        let risk = target.risk((now_ms - place.since_ms) as f64 / 1_000.0);
        let is_behind = || match &self.behind {
            Some(behind) => behind.contains(&line.demand.queue),
            None => known.service.is_behind(&target, now_ms),
        };
        if risk > 0.0 && is_behind() { risk * target.steer } else { 0.0 }
    }

    /// The first in each line that an agent could get, under this policy, the best first, with what is added for targets.
    ///
    /// What is added is a part of the best score among those that are not past the age cap: so it means the same under every
    /// policy, and who has waited past the cap still comes first.
    pub(super) fn steered(&self, agent_ix: AgentIx, policy: PolicyName, now_ms: i64, draw: u64) -> Vec<Steered<'_>> {
        let agent = &self.agents[agent_ix as usize];
        let heads = self.heads(agent_ix, now_ms).filter(|(_, line, _)| line.policy == policy);
        let mut heads: Vec<Steered<'_>> = heads
            .map(|(link, line, place)| {
                let pair = Pair { floor: self, agent_ix, agent, link: *link, line, place, now_ms, draw };
                Steered { scores: policy.policy().conversation(&pair), target: 0.0, place, pair }
            })
            .collect();
        let cap_s = self.settings.weights.age_cap_s;
        let young = heads.iter().filter(|head| head.pair.age_s() < cap_s).map(|head| head.scores.total());
        let best = young.fold(0.0, f64::max);
        for head in &mut heads {
            head.target = self.risk(head.pair.line, head.place, now_ms) * best;
        }
        heads.sort_by(|a, b| by_waiting((a.total(), a.place), (b.total(), b.place)));
        heads
    }

    /// First of the conversations that only this agent may get now.
    fn own_head(&self, agent_ix: AgentIx, now_ms: i64) -> Option<WaitIx> {
        let agent = &self.agents[agent_ix as usize];
        let fits = |place: &&Place| {
            self.waiting[place.waiting as usize].as_ref().is_some_and(|waiting| {
                let weight = self.demands[waiting.demand as usize].demand.weight;
                let allowed = waiting.wanted.is_some() || agent.is_open();
                allowed && agent.room() >= weight && !waiting.excludes(agent_ix, now_ms)
            })
        };
        agent.own.iter().find(fits).map(|place| place.waiting)
    }

    /// The first in each line that fits an agent, those left out who may not go there.
    pub(super) fn heads(&self, agent_ix: AgentIx, now_ms: i64) -> impl Iterator<Item = (&Link, &Line, Place)> {
        let agent = &self.agents[agent_ix as usize];
        let room = agent.room();
        agent.links.iter().filter_map(move |link| {
            let line = &self.demands[link.demand as usize];
            let head = line.head.filter(|_| line.demand.weight <= room)?;
            if line.excluding == 0 {
                return Some((link, line, head));
            }
            let allowed = |place: &&Place| {
                let waiting = self.waiting[place.waiting as usize].as_ref();
                waiting.is_some_and(|waiting| !waiting.excludes(agent_ix, now_ms))
            };
            line.places.iter().find(allowed).map(|place| (link, line, *place))
        })
    }

    /// The policy that decides for an agent: that of the queue of the very first in all lines that fit. Scores of
    /// different policies cannot be compared, so it decides among the lines with the same policy.
    pub(super) fn leading_policy(&self, agent_ix: AgentIx, now_ms: i64) -> Option<PolicyName> {
        let first = self.heads(agent_ix, now_ms).min_by(|a, b| a.2.cmp(&b.2));
        first.map(|(_, line, _)| line.policy)
    }

    /// The agent who should get a conversation.
    pub(super) fn agent_for(&self, ix: WaitIx, now_ms: i64, draw: u64) -> Option<AgentIx> {
        let waiting = self.waiting[ix as usize].as_ref()?;
        let line = &self.demands[waiting.demand as usize];
        match waiting.standing {
            super::Standing::Nowhere => return None,
            super::Standing::With(agent_ix) => {
                let agent = &self.agents[agent_ix as usize];
                let allowed = if waiting.wanted.is_some() { agent.takes_transfers() } else { agent.is_open() };
                let free = allowed && agent.room() >= line.demand.weight && !waiting.excludes(agent_ix, now_ms);
                return free.then_some(agent_ix);
            }
            super::Standing::Line => {}
        }
        let (policy, place) = (self.policy_of(waiting.demand), waiting.place(ix));
        let mut best: Option<(Scores, AgentIx)> = None;
        for &(agent_ix, number) in &line.agents[..line.free] {
            if waiting.excludes(agent_ix, now_ms) {
                continue;
            }
            let agent = &self.agents[agent_ix as usize];
            let link = agent.links[number as usize];
            let pair = Pair { floor: self, agent_ix, agent, link, line, place, now_ms, draw };
            let scores = policy.agent(&pair);
            let better =
                |best: &(Scores, AgentIx)| by_agent((&scores, agent), (&best.0, &self.agents[best.1 as usize])).is_lt();
            if best.as_ref().is_none_or(better) {
                best = Some((scores, agent_ix));
            }
        }
        best.map(|(_, agent)| agent)
    }
}
