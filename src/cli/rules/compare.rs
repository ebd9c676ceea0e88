//! Recorded hand-offs under other rules: what would have gone elsewhere.

use crate::{
    aggregate::{Aggregate, CommitMeta, TenantConfig},
    conversation::{Conversation, State, destination},
    routing::Routed,
};
use kefu_events::{
    Commit, Timestamp,
    conversation::{ConversationEvent, RuleError},
    routing::RoutingSettings,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where a conversation went, or would have gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Went {
    pub queue: String,
    pub priority: i32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, u8>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub wished: BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// One hand-off that would have gone elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    pub seq: u64,
    pub at: Timestamp,
    pub key: String,
    pub conversation: String,
    pub before: Went,
    pub after: Went,
    /// What the rules would have asked the customer beforehand: with the answer they may decide otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// Hand-offs that were looked at.
    pub handoffs: u64,
    /// How many would have gone elsewhere.
    pub moved: u64,
    /// How often each new rule decided, alone or with others; those that never did with 0.
    pub by_rule: BTreeMap<String, u64>,
    /// Hand-offs that no new rule decided.
    pub by_no_rule: u64,
    /// How often each new rule could not be read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// What was wrong the first time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub first_errors: Vec<RuleError>,
}

/// Folds conversations out of the log, and reads the rules at each hand-off.
pub struct Comparison {
    config: TenantConfig,
    rules: RoutingSettings,
    states: BTreeMap<String, State>,
    pub found: Found,
}

impl Comparison {
    /// Under these rules, with the tenant's other settings as they are now.
    pub fn new(config: TenantConfig, rules: RoutingSettings) -> Self {
        let by_rule = rules.rules.iter().map(|rule| (rule.name.clone(), 0)).collect();
        Self { config, rules, states: BTreeMap::new(), found: Found { by_rule, ..Found::default() } }
    }

    /// Takes in the next commit, and gives the hand-off in it that would have gone elsewhere. Those before the beginning of
    /// what is asked about are folded only (`wanted` is false).
    pub fn take_in(&mut self, seq: u64, commit: &Commit<ConversationEvent>, wanted: bool) -> Option<Moved> {
        let state = self.states.entry(commit.key.clone()).or_default();
        let meta = CommitMeta::of(commit);
        let (mut before_tags, mut moved) = (None, None);
        for event in &commit.events {
            match event {
                // Rules tag: what they said must not be seen by them.
                ConversationEvent::Tagged { .. } if state.handed_off() => before_tags = Some(state.clone()),
                ConversationEvent::Queued { queue, priority, required, wished, rules, .. }
                    if wanted && state.handed_off() =>
                {
                    let before = Went {
                        queue: queue.clone(),
                        priority: *priority,
                        required: required.clone(),
                        wished: wished.clone(),
                        rules: rules.clone(),
                    };
                    let state = before_tags.as_ref().unwrap_or(state);
                    let settings = self.config.for_channel(&state.channel);
                    let routed = destination(state, settings, &self.rules, commit.at);
                    let priority = state.session.as_ref().map_or(0, |session| session.priority);
                    let (after, asks) = self.found.count(state, routed, priority);
                    let same = (&before.queue, before.priority, &before.required, &before.wished)
                        == (&after.queue, after.priority, &after.required, &after.wished);
                    if !same {
                        self.found.moved += 1;
                        let conversation = format!("{}:{}", state.channel, state.thread);
                        let key = commit.key.clone();
                        moved = Some(Moved { seq, at: commit.at, key, conversation, before, after, asks });
                    }
                }
                _ => {}
            }
            Conversation::evolve(state, &meta, event);
        }
        moved
    }
}

impl Found {
    fn count(&mut self, state: &State, routed: Routed, priority: i32) -> (Went, Vec<String>) {
        self.handoffs += 1;
        if routed.rules.is_empty() {
            self.by_no_rule += 1;
        }
        for rule in &routed.rules {
            *self.by_rule.entry(rule.clone()).or_default() += 1;
        }
        for error in routed.errors {
            let count = self.errors.entry(error.rule.clone()).or_default();
            *count += 1;
            if *count == 1 {
                self.first_errors.push(error);
            }
        }
        let known = state.session.as_ref().map(|session| &session.collected);
        let is_missing = |field: &String| known.is_none_or(|known| !known.contains_key(field));
        let after = Went {
            queue: routed.queue.unwrap_or_default(),
            priority: routed.priority.unwrap_or(priority),
            required: routed.required,
            wished: routed.wished,
            rules: routed.rules,
        };
        (after, routed.collect.into_iter().filter(is_missing).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn commit(version: u64, events: Value) -> Commit<ConversationEvent> {
        let commit = json!({"commit_id": "c", "tenant": "demo", "aggregate": "conversation", "key": "k",
            "version": version, "at": "2026-11-22T12:00:00Z", "actor": {"kind": "system", "id": "t"},
            "cause": "x", "cause_seq": 1, "correlation": "x", "events": events});
        serde_json::from_value(commit).unwrap()
    }

    #[test]
    fn a_recorded_hand_off_is_decided_again_on_what_was_known_then() {
        let rules = json!({"rules": [
            {"name": "tagged", "when": "'money' in tags", "then": {"queue": "default", "priority": 9}},
            {"name": "refunds", "when": "text.contains('refund')", "then": {"priority": 3}},
            {"name": "idle", "when": "false", "then": {}},
        ]});
        let mut comparison = Comparison::new(TenantConfig::default(), serde_json::from_value(rules).unwrap());
        let message =
            json!({"id": "m", "sent_at": "2026-11-22T12:00:00Z", "content": {"kind": "text", "text": "refund"}});
        let opened = json!([
            {"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": "t", "sender": {"id": "a"}},
            {"type": "message_received", "v": 1, "session": 1, "message": message},
        ]);
        assert_eq!(comparison.take_in(1, &commit(1, opened), false), None);
        let handed_over = json!([
            {"type": "handoff_requested", "v": 1, "reason": "no_bot"},
            {"type": "tagged", "v": 1, "tags": ["money"]},
            {"type": "queued", "v": 1, "queue": "default", "priority": 0},
        ]);
        let moved = comparison.take_in(2, &commit(2, handed_over), true).unwrap();
        assert_eq!((moved.before.priority, moved.after.priority), (0, 3));
        assert_eq!(moved.after.rules, ["refunds"], "a tag that the old rules gave says nothing to the new ones");
        assert_eq!((comparison.found.handoffs, comparison.found.moved), (1, 1));
        assert_eq!(comparison.found.by_rule["idle"], 0);
    }
}
