//! The overlay: what a leader has asked of agents and has not yet seen happen.
//!
//! The leader's view of the log lags behind what it asks. Until an answer is seen, the agent's slot counts as taken and
//! the conversation as served, so that nothing is asked twice. An answer that never comes is undone by the leader after
//! a time ([`Floor::asked_before`]), and the level-triggered matching asks again.

use super::{AgentIx, ConversationKey, Floor, Load, Match};

/// Names a decision; made by the leader, never used twice.
pub type DecisionId = u128;

/// A reservation asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// For whom.
    pub conversation: ConversationKey,
    /// Of whom.
    pub agent: AgentIx,
    /// When, in ms.
    pub at_ms: i64,
}

impl Floor {
    /// The leader asks for what was matched.
    pub fn reserve(&mut self, matched: &Match, decision: DecisionId) {
        let waiting = self.waiting[matched.waiting as usize].as_ref();
        let weight = waiting.map_or(1, |waiting| self.demands[waiting.demand as usize].demand.weight);
        self.reserve_slots(matched, decision, weight);
    }

    /// The same, where the conversation takes so many slots of this agent.
    pub fn reserve_slots(&mut self, matched: &Match, decision: DecisionId, weight: u32) {
        let now_ms = matched.now_ms;
        let ix = matched.waiting;
        // The match may be older than the conversation's end.
        let known = self.waiting[ix as usize].as_ref();
        if known.is_none_or(|known| known.key != matched.conversation.0 || known.asked.is_some()) {
            return;
        }
        self.stand_nowhere(ix);
        let Some(waiting) = &mut self.waiting[ix as usize] else { return };
        waiting.asked = Some(decision);
        let queue = self.demands[waiting.demand as usize].demand.queue;
        let (wait_ms, expected_ms) =
            (now_ms - waiting.counts_from_ms.unwrap_or(waiting.since_ms), waiting.expected_ms.take());
        let known = &mut self.queue_states[queue as usize];
        known.service.assigned(wait_ms, expected_ms, known.rules.target.as_ref(), now_ms);
        let load = Load { conversation: matched.conversation.0, weight, asked: Some(decision) };
        self.change_load(matched.agent, |loads| {
            // The same conversation again, after it came back: it takes its slots once.
            loads.retain(|known| known.conversation != load.conversation);
            loads.push(load);
        });
        self.agents[matched.agent as usize].assigned_ms = now_ms;
        let ask = Ask { conversation: matched.conversation, agent: matched.agent, at_ms: now_ms };
        self.asked.insert(decision, ask);
    }

    /// The agent's reservation was seen in the log: it is the agent's load now. The conversation is out of the line
    /// until it is [removed](Self::remove_waiting), or [put](Self::put_waiting) back after [`undo`](Self::undo).
    pub fn confirm(&mut self, decision: DecisionId) {
        let Some(ask) = self.asked.remove(&decision) else { return };
        for load in &mut self.agents[ask.agent as usize].load {
            if load.asked == Some(decision) {
                load.asked = None;
            }
        }
        if self.find(ask.conversation).is_some_and(|waiting| waiting.asked == Some(decision)) {
            self.confirmed.insert(ask.conversation.0);
        }
    }

    /// The reservation was refused, or never came about: the slot is free, the conversation waits as before. Also after
    /// [`confirm`](Self::confirm), for an offer that came to nothing: then [release](Self::release) the agent and put
    /// the conversation back with [`requeue`](Self::requeue).
    pub fn undo(&mut self, decision: DecisionId, now_ms: i64) {
        let Some(ask) = self.asked.remove(&decision) else { return };
        self.change_load(ask.agent, |load| load.retain(|known| known.asked != Some(decision)));
        self.wait_again(ask.conversation, decision, now_ms);
    }

    /// A conversation whose reservation was confirmed waits again after all: it was rejected, or not answered.
    pub fn requeue(&mut self, conversation: ConversationKey, now_ms: i64) {
        if let Some(decision) = self.find(conversation).and_then(|waiting| waiting.asked) {
            self.wait_again(conversation, decision, now_ms);
        }
    }

    fn wait_again(&mut self, conversation: ConversationKey, decision: DecisionId, now_ms: i64) {
        let Some(ix) = self.number(conversation) else { return };
        if let Some(waiting) = self.waiting[ix as usize].as_mut().filter(|waiting| waiting.asked == Some(decision)) {
            waiting.asked = None;
            self.confirmed.remove(&conversation.0);
            self.stand_again(ix, now_ms);
        }
    }

    /// What is asked for and not answered, by decision.
    pub fn asked(&self) -> impl Iterator<Item = (DecisionId, &Ask)> {
        self.asked.iter().map(|(decision, ask)| (*decision, ask))
    }

    /// What was asked for before a moment (in ms) and is still not answered.
    pub fn asked_before(&self, moment_ms: i64) -> Vec<DecisionId> {
        self.asked().filter(|(_, ask)| ask.at_ms < moment_ms).map(|(decision, _)| decision).collect()
    }
}
