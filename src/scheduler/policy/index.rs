//! kefu's own policy.
//!
//! A free agent is worth what the agent gets done on this conversation beside the others (speed and the marginal gain
//! of one more at once), less what the agent would be worth to others: a flexible agent is expensive while few others
//! are free for what many customers ask, and the more so the faster the agent is at it. A waiting conversation is worth
//! the length of its line per agent that there is for it, and its age; one that has waited past the cap comes before all
//! younger ones, so that a small skill is never starved by large ones.
//!
//! Where this comes from:
//!
//! - One conversation at a time, equal work: every choice of an agent costs the same now, so only who is left counts. The
//!   price is the first difference of a separable value function, Σ over demands of a convex, decreasing function of the
//!   agents free for it; one such decision ahead of it is a step of policy iteration (Bertsekas, "Dynamic Programming and
//!   Optimal Control"). That flexible agents are to be kept for where they are needed soon: Bell and Williams, "Dynamic
//!   scheduling of a system with two parallel servers in heavy traffic", Ann. Appl. Probab. 11 (2001). That two skills per
//!   agent give nearly what all would: Wallace and Whitt, "A Staffing Algorithm for Call Centers with Skill-Based
//!   Routing", M&SOM 7 (2005).
//! - Which line: max-weight (Tassiulas and Ephremides, IEEE Trans. Autom. Control 37, 1992) and the generalised c-mu rule
//!   (Mandelbaum and Stolyar, "Scheduling Flexible Servers with Convex Delay Costs", Oper. Res. 52, 2004).
//! - No agent is left idle while somebody fits. With agents of very different speed it can pay to wait for a fast one
//!   (Lin and Kumar, "Optimal Control of a Queueing System with Two Heterogeneous Servers", IEEE Trans. Autom. Control 29,
//!   1984); `bench/scenarios/README.md` says how much, and why it is not done.

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
