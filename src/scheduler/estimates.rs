//! How fast and how well an agent works, from what was observed.
//!
//! Few cases say little, so an agent's figure is pulled towards the group's (shrinkage: as if some cases of the group's
//! mean had been seen first); old cases say less than new ones (a half-life, which is also how a skill without practice
//! fades to the group's mean); below a stated number of cases nothing is said at all.

use super::{service::Faded, views::Performance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much to believe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Belief {
    /// After this time a case counts half, in days.
    pub half_life_days: f64,
    /// So many cases of the group's mean are added to everybody's.
    pub prior_cases: f64,
    /// With fewer (faded) cases an agent is taken to be like everybody.
    pub least_cases: f64,
}

impl Default for Belief {
    fn default() -> Self {
        Self { half_life_days: 30.0, prior_cases: 20.0, least_cases: 10.0 }
    }
}

/// One conversation that an agent ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Case<'a> {
    /// Who.
    pub agent: &'a str,
    /// In which skill.
    pub skill: &'a str,
    /// When it ended, in ms.
    pub at_ms: i64,
    /// Handle time, in seconds, per conversation (not per slot).
    pub handle_s: f64,
    /// The customer's rating, 1 to 5.
    pub rating: Option<f64>,
}

/// Sums of one agent, or of the group, in one skill.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    cases: Faded,
    handle_s: Faded,
    rated: Faded,
    ratings: Faded,
}

impl Sums {
    fn add(&mut self, case: &Case<'_>, half_life_ms: f64) {
        self.cases.add(1.0, case.at_ms, half_life_ms);
        self.handle_s.add(case.handle_s, case.at_ms, half_life_ms);
        if let Some(rating) = case.rating {
            self.rated.add(1.0, case.at_ms, half_life_ms);
            self.ratings.add(rating, case.at_ms, half_life_ms);
        }
    }
}

/// What was observed of a tenant's agents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    belief: Belief,
    group: BTreeMap<String, Sums>,
    /// Agent → skill → sums.
    agents: BTreeMap<String, BTreeMap<String, Sums>>,
}

impl Estimates {
    /// Nothing observed yet.
    pub fn new(belief: Belief) -> Self {
        Self { belief, ..Self::default() }
    }

    fn half_life_ms(&self) -> f64 {
        (self.belief.half_life_days * 86_400_000.0).max(1.0)
    }

    /// One more case.
    pub fn observe(&mut self, case: &Case<'_>) {
        let half_life_ms = self.half_life_ms();
        self.group.entry(case.skill.to_owned()).or_default().add(case, half_life_ms);
        let skills = self.agents.entry(case.agent.to_owned()).or_default();
        skills.entry(case.skill.to_owned()).or_default().add(case, half_life_ms);
    }

    /// An agent in a skill, compared with the group; none below the number of cases stated.
    pub fn performance(&self, agent: &str, skill: &str, now_ms: i64) -> Option<Performance> {
        let half_life_ms = self.half_life_ms();
        let (group, own) = (self.group.get(skill)?, self.agents.get(agent)?.get(skill)?);
        let at = |faded: &Faded| faded.at(now_ms, half_life_ms);
        let cases = at(&own.cases);
        if cases < self.belief.least_cases {
            return None;
        }
        // Both sums fade alike, so the group's mean needs no clock.
        let group_handle_s = at(&group.handle_s) / at(&group.cases);
        let prior = self.belief.prior_cases;
        let handle_s = (at(&own.handle_s) + prior * group_handle_s) / (cases + prior);
        let speed = if handle_s > 0.0 { group_handle_s / handle_s } else { 1.0 };
        let (rated, group_rated) = (at(&own.rated), at(&group.rated));
        let quality = if rated < self.belief.least_cases || group_rated <= 0.0 {
            1.0
        } else {
            let group_rating = at(&group.ratings) / group_rated;
            (at(&own.ratings) + prior * group_rating) / (rated + prior) / group_rating
        };
        Some(Performance { speed, quality })
    }

    /// All that is known of an agent, for an [`AgentView`](super::AgentView).
    pub fn of_agent(&self, agent: &str, now_ms: i64) -> BTreeMap<String, Performance> {
        let skills = self.agents.get(agent).into_iter().flat_map(BTreeMap::keys);
        skills.filter_map(|skill| Some((skill.clone(), self.performance(agent, skill, now_ms)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn observed(belief: Belief, cases: &[(&str, f64, u32)]) -> Estimates {
        let mut estimates = Estimates::new(belief);
        for &(agent, handle_s, count) in cases {
            for _ in 0..count {
                let rating = Some(if handle_s < 100.0 { 5.0 } else { 3.0 });
                estimates.observe(&Case { agent, skill: "billing", at_ms: 0, handle_s, rating });
            }
        }
        estimates
    }

    #[test]
    fn too_few_cases_say_nothing() {
        let estimates = observed(Belief::default(), &[("ann", 50.0, 9), ("bob", 200.0, 100)]);
        assert_eq!(estimates.performance("ann", "billing", 0), None);
        assert!(estimates.performance("bob", "billing", 0).is_some());
        assert_eq!(estimates.performance("bob", "other", 0), None);
        assert_eq!(estimates.of_agent("ann", 0), BTreeMap::new());
    }

    #[test]
    fn few_cases_are_pulled_to_the_group_and_many_are_not() {
        let speed = |count| {
            let estimates = observed(Belief::default(), &[("ann", 50.0, count), ("rest", 100.0, 100_000)]);
            estimates.performance("ann", "billing", 0).unwrap().speed
        };
        assert!((1.1..1.3).contains(&speed(10)), "{}", speed(10));
        assert!((1.8..2.0).contains(&speed(500)), "{}", speed(500));
    }

    #[test]
    fn without_practice_an_agent_becomes_like_everybody() {
        let mut estimates = observed(Belief::default(), &[("ann", 50.0, 400), ("rest", 100.0, 1_000)]);
        let speed = |estimates: &Estimates, day| estimates.performance("ann", "billing", day * DAY_MS).map(|p| p.speed);
        let fresh = speed(&estimates, 0).unwrap();
        for _ in 0..1_000 {
            let case = Case { agent: "rest", skill: "billing", at_ms: 90 * DAY_MS, handle_s: 100.0, rating: None };
            estimates.observe(&case);
        }
        let rusty = speed(&estimates, 90).unwrap();
        assert!(rusty < fresh && rusty > 1.0, "{fresh} → {rusty}");
        assert_eq!(speed(&estimates, 365), None);
    }

    #[test]
    fn better_ratings_are_better_quality() {
        let estimates = observed(Belief::default(), &[("ann", 50.0, 200), ("bob", 150.0, 200)]);
        let quality = |agent| estimates.performance(agent, "billing", 0).unwrap().quality;
        assert!(quality("ann") > 1.1 && quality("bob") < 0.9);
    }
}
