//! The floor's tests: given agents and conversations, what is matched ([`stories`]); and the same as a naive scan,
//! whatever happens ([`properties`]).

mod properties;
mod stories;

use super::*;
use crate::scheduler::{
    settings::{QueueRules, Scheduling},
    views::{AgentView, Preferred, WaitingView},
};

/// An available agent of the queue `main`.
fn agent(id: &str, skills: &[(&str, u8)], slots: u32) -> AgentView {
    AgentView {
        id: id.to_owned(),
        status: Status::Available,
        online: true,
        skills: skills.iter().map(|(skill, level)| ((*skill).to_owned(), *level)).collect(),
        performance: BTreeMap::new(),
        languages: BTreeSet::new(),
        queues: ["main".to_owned()].into(),
        slots,
        load: BTreeMap::new(),
        idle_since_ms: Some(0),
    }
}

/// A conversation in the queue `main`.
fn conversation(key: u128, required: &[(&str, u8)], since_ms: i64) -> WaitingView {
    WaitingView {
        conversation: ConversationKey(key),
        session: 1,
        queue: "main".to_owned(),
        channel: "cli".to_owned(),
        priority: 0,
        required: required.iter().map(|(skill, least)| ((*skill).to_owned(), *least)).collect(),
        wished: BTreeSet::new(),
        language: None,
        preferred: None,
        wanted: None,
        weight: 1,
        since_ms,
        excluded: BTreeMap::new(),
    }
}

fn floor(policy: PolicyName) -> Floor {
    let default = QueueRules { policy, ..QueueRules::default() };
    Floor::new(Scheduling { default, ..Scheduling::default() })
}

/// Everything that can be matched now, as (conversation, agent), asked for.
fn pump(floor: &mut Floor, now_ms: i64) -> Vec<(u128, String)> {
    let mut matched = Vec::new();
    while let Some(next) = floor.next(now_ms, 42) {
        let decision = floor.explain(&next).unwrap();
        assert_eq!(decision.candidates[0].agent, decision.agent, "{decision:?}");
        assert_eq!(decision.candidates[0].conversation, decision.conversation, "{decision:?}");
        matched.push((next.conversation.0, decision.agent));
        floor.reserve(&next, next.conversation.0 << 64 | now_ms as u128);
    }
    matched
}
