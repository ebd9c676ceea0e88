//! kefu's own policy.
//!
//! A free agent is worth what the agent gets done on this conversation beside the others (speed and the marginal gain
//! of one more at once), less what the agent would be worth to others: a flexible agent is expensive while few others
//! are free for what many customers ask. A waiting conversation is worth the length of its line per agent that there
//! is for it, and its age; one that has waited past the cap comes before all younger ones, so that a small skill is
//! never starved by large ones.

use super::{Pair, Policy, Scores};
use crate::scheduler::floor::power;

/// Speed × gain - price.
#[derive(Debug)]
pub(super) struct Index;

/// More than any other part of a conversation's score can be.
const PAST_THE_CAP: f64 = 1e9;

impl Policy for Index {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        let weights = pair.weights();
        let gained = power(pair.speed(), weights.speed) * power(pair.marginal_gain().max(0.0), weights.gain);
        let price = weights.price * pair.price();
        Scores([gained, -price, weights.preference * (pair.skill() + pair.preference()), 0.0])
    }

    fn conversation(&self, pair: &Pair<'_>) -> Scores {
        let weights = pair.weights();
        let age_s = pair.age_s();
        let speed = power(pair.speed(), weights.swiftness);
        let pressure = power(pair.queue_length(), weights.queue) * power(pair.strain(), weights.urgency)
            / power(pair.staff().max(1.0), weights.staff);
        let capped = if age_s >= weights.age_cap_s { PAST_THE_CAP + age_s } else { 0.0 };
        let priority = weights.priority * pair.priority();
        Scores([speed * pressure, speed * weights.age * age_s / 60.0, priority, capped])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["gain", "price", "preference"]
    }

    fn conversation_parts(&self) -> &'static [&'static str] {
        &["queue", "age", "priority", "past_cap"]
    }
}
