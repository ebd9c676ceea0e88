//! How fast and how well an agent works, from what was observed.
//!
//! Few cases say little, so an agent's figure is pulled towards the group's (shrinkage: as if some cases of the group's
//! mean had been seen first); old cases say less than new ones (a half-life, which is also how a skill without practice
//! fades to the group's mean); below a stated number of cases nothing is said at all.
//!
//! Handle times are compared by their logarithms: they are close to lognormal (Brown and others, *Statistical Analysis of a
//! Telephone Call Center*, 2005), so that the ratio of geometric means is the ratio of means, and one conversation
//! that lay about for a day does not make an agent slow. What an agent does beside other conversations takes longer in each;
//! so the time is multiplied by the speed that the settings say an agent has with so many at once.

use super::views::Performance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How much to believe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Belief {
    /// Whether policies are told of agents' speed and quality. They are counted and shown in any case.
    pub enabled: bool,
    /// After this time a case counts half, in days.
    #[schemars(range(min = 0.01, max = 36500.0))]
    pub half_life_days: f64,
    /// So many cases of the group's mean are added to everybody's.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub prior_cases: f64,
    /// With fewer (faded) cases an agent is taken to be like everybody.
    #[schemars(range(min = 1.0, max = 1e6))]
    pub least_cases: f64,
}

impl Default for Belief {
    fn default() -> Self {
        Self { enabled: true, half_life_days: 30.0, prior_cases: 20.0, least_cases: 10.0 }
    }
}

/// Handle times are taken to be within these, in seconds: less is a mistake, and more is no work.
const HANDLE_S: (f64, f64) = (1.0, 86_400.0);

/// Sums over one agent's cases in one skill, all of which fade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// As of this moment, in ms.
    pub at_ms: i64,
    /// By which half-life they have faded up to then, in days.
    pub half_life_days: f64,
    /// Cases.
    pub cases: f64,
    /// Logarithms of their handle times in seconds.
    pub ln_handle: f64,
    /// Logarithms of the number of conversations at once.
    pub ln_at_once: f64,
    /// Ratings that were given.
    pub rated: f64,
    /// Their sum, each 1 to 5.
    pub ratings: f64,
}

impl Sums {
    /// One more case, of this handle time in seconds, with so many conversations at once on average.
    pub fn add_case(&mut self, handle_s: f64, at_once: f64, at_ms: i64, half_life_days: f64) {
        *self = self.at(at_ms, half_life_days);
        self.cases += 1.0;
        self.ln_handle += handle_s.clamp(HANDLE_S.0, HANDLE_S.1).ln();
        self.ln_at_once += at_once.max(1.0).ln();
    }

    /// One more rating, 1 to 5.
    pub fn add_rating(&mut self, rating: f64, at_ms: i64, half_life_days: f64) {
        *self = self.at(at_ms, half_life_days);
        self.rated += 1.0;
        self.ratings += rating;
    }

    /// What is left of them at a moment, in ms. One before their own changes nothing.
    #[must_use]
    pub fn at(&self, now_ms: i64, half_life_days: f64) -> Self {
        let half_life_ms = (half_life_days * 86_400_000.0).max(1.0);
        let left = (-((now_ms - self.at_ms).max(0) as f64) / half_life_ms).exp2();
        Self { at_ms: now_ms.max(self.at_ms), half_life_days, ..self.times(left) }
    }

    fn times(&self, factor: f64) -> Self {
        let Self { cases, ln_handle, ln_at_once, rated, ratings, .. } = *self;
        Self {
            cases: cases * factor,
            ln_handle: ln_handle * factor,
            ln_at_once: ln_at_once * factor,
            rated: rated * factor,
            ratings: ratings * factor,
            ..*self
        }
    }

    fn plus(&self, other: &Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            ln_handle: self.ln_handle + other.ln_handle,
            ln_at_once: self.ln_at_once + other.ln_at_once,
            rated: self.rated + other.rated,
            ratings: self.ratings + other.ratings,
            ..*self
        }
    }

    /// Logarithm of the work of a case in seconds, were it done alone; 0 without cases.
    fn ln_work(&self, concurrency: &[f64]) -> f64 {
        if self.cases <= 0.0 {
            return 0.0;
        }
        let at_once = (self.ln_at_once / self.cases).exp();
        self.ln_handle / self.cases + speed_at(concurrency, at_once).ln()
    }
}

/// Speed per conversation with so many at once, which need not be a whole number.
fn speed_at(concurrency: &[f64], at_once: f64) -> f64 {
    let at = |number: f64| concurrency.get(number as usize - 1).or(concurrency.last()).copied().unwrap_or(1.0);
    let (below, part) = (at_once.max(1.0).floor(), at_once.max(1.0).fract());
    // A speed of 0 would make a case infinitely little work.
    (at(below) * (1.0 - part) + at(below + 1.0) * part).max(0.01)
}

/// Skill → sums, of one agent.
pub type Practised = BTreeMap<String, Sums>;

/// What is known of an agent in one skill.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Work done per time, compared with the group; 1 where too few cases are known.
    pub speed: f64,
    /// Ratings, compared with the group; 1 where too few are known.
    pub quality: f64,
    /// (Faded) cases.
    pub cases: f64,
    /// (Faded) ratings.
    pub rated: f64,
    /// Whether there are cases enough to say anything.
    pub enough: bool,
}

/// The group's sums, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    belief: Belief,
    concurrency: Vec<f64>,
    now_ms: i64,
    skills: BTreeMap<String, Sums>,
}

impl Group {
    /// All of these agents together. Their order decides nothing but the last digits.
    pub fn of<'a>(
        agents: impl Iterator<Item = &'a Practised>,
        belief: Belief,
        concurrency: &[f64],
        now_ms: i64,
    ) -> Self {
        let mut skills: BTreeMap<String, Sums> = BTreeMap::new();
        for (skill, sums) in agents.flatten() {
            let now = sums.at(now_ms, belief.half_life_days);
            match skills.get_mut(skill) {
                Some(known) => *known = known.plus(&now),
                None => drop(skills.insert(skill.clone(), now)),
            }
        }
        Self { belief, concurrency: concurrency.to_vec(), now_ms, skills }
    }

    /// An agent in a skill, compared with the group.
    pub fn estimate(&self, skill: &str, own: &Sums) -> Estimate {
        let Belief { half_life_days, prior_cases: prior, least_cases, .. } = self.belief;
        let own = own.at(self.now_ms, half_life_days);
        let group = self.skills.get(skill).copied().unwrap_or_default();
        let enough = own.cases >= least_cases;
        let speed = if enough {
            // The difference of the logarithms, as if the prior's cases had shown none.
            let faster = group.ln_work(&self.concurrency) - own.ln_work(&self.concurrency);
            (faster * own.cases / (own.cases + prior)).exp()
        } else {
            1.0
        };
        let quality = if own.rated >= least_cases && group.ratings > 0.0 {
            let group_rating = group.ratings / group.rated;
            (own.ratings + prior * group_rating) / (own.rated + prior) / group_rating
        } else {
            1.0
        };
        Estimate { speed, quality, cases: own.cases, rated: own.rated, enough }
    }

    /// What policies are to know of an agent: the skills in which there are cases enough.
    pub fn performance(&self, own: &Practised) -> BTreeMap<String, Performance> {
        if !self.belief.enabled {
            return BTreeMap::new();
        }
        let estimates = own.iter().map(|(skill, sums)| (skill, self.estimate(skill, sums)));
        let known = estimates.filter(|(_, estimate)| estimate.enough);
        known
            .map(|(skill, known)| (skill.clone(), Performance { speed: known.speed, quality: known.quality }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const SKILL: &str = "billing";

    fn sums(handle_s: f64, count: u32) -> Sums {
        let mut sums = Sums::default();
        for _ in 0..count {
            sums.add_case(handle_s, 1.0, 0, 30.0);
            sums.add_rating(if handle_s < 100.0 { 5.0 } else { 3.0 }, 0, 30.0);
        }
        sums
    }

    fn group(all: &[Sums], concurrency: &[f64], now_ms: i64) -> Group {
        let agents: Vec<Practised> = all.iter().map(|sums| BTreeMap::from([(SKILL.to_owned(), *sums)])).collect();
        Group::of(agents.iter(), Belief::default(), concurrency, now_ms)
    }

    #[test]
    fn too_few_cases_say_nothing() {
        let (ann, bob) = (sums(50.0, 9), sums(200.0, 100));
        let group = group(&[ann, bob], &[1.0], 0);
        let estimate = group.estimate(SKILL, &ann);
        assert_eq!((estimate.speed, estimate.quality, estimate.enough), (1.0, 1.0, false));
        assert_eq!(group.performance(&BTreeMap::from([(SKILL.to_owned(), ann)])), BTreeMap::new());
        assert!(group.estimate(SKILL, &bob).enough);
    }

    #[test]
    fn few_cases_are_pulled_to_the_group_and_many_are_not() {
        let speed = |count| {
            let own = sums(50.0, count);
            group(&[own, sums(100.0, 100_000)], &[1.0], 0).estimate(SKILL, &own).speed
        };
        assert!((1.1..1.3).contains(&speed(10)), "{}", speed(10));
        assert!((1.8..2.0).contains(&speed(500)), "{}", speed(500));
    }

    #[test]
    fn without_practice_an_agent_becomes_like_everybody() {
        let (ann, mut rest) = (sums(50.0, 400), sums(100.0, 100_000));
        let fresh = group(&[ann, rest], &[1.0], 0).estimate(SKILL, &ann);
        (0..10_000).for_each(|_| rest.add_case(100.0, 1.0, 90 * DAY_MS, 30.0));
        let at = |day| group(&[ann, rest], &[1.0], day * DAY_MS).estimate(SKILL, &ann);
        assert!(at(90).speed < fresh.speed && at(90).speed > 1.0, "{fresh:?} → {:?}", at(90));
        assert!(!at(365).enough);
    }

    #[test]
    fn better_ratings_are_better_quality() {
        let (ann, bob) = (sums(50.0, 200), sums(150.0, 200));
        let group = group(&[ann, bob], &[1.0], 0);
        assert!(group.estimate(SKILL, &ann).quality > 1.1 && group.estimate(SKILL, &bob).quality < 0.9);
    }

    #[test]
    fn who_has_more_at_once_is_not_slower_for_it() {
        let (mut alone, mut three) = (Sums::default(), Sums::default());
        for _ in 0..200 {
            alone.add_case(300.0, 1.0, 0, 30.0);
            three.add_case(400.0, 3.0, 0, 30.0);
        }
        let concurrency = [1.0, 0.9, 0.75];
        let group = group(&[alone, three], &concurrency, 0);
        assert!((group.estimate(SKILL, &three).speed - group.estimate(SKILL, &alone).speed).abs() < 1e-9);
    }

    #[test]
    fn one_conversation_that_lay_about_does_not_make_an_agent_slow() {
        let mut own = sums(100.0, 100);
        own.add_case(1e9, 1.0, 0, 30.0);
        let speed = group(&[own, sums(100.0, 10_000)], &[1.0], 0).estimate(SKILL, &own).speed;
        assert!(speed > 0.93, "{speed}");
    }

    #[test]
    fn sums_fade_alike_whenever_they_are_looked_at() {
        let mut sums = sums(80.0, 10);
        let half = sums.at(30 * DAY_MS, 30.0);
        assert!((half.cases - 5.0).abs() < 1e-9);
        sums.add_case(80.0, 1.0, 30 * DAY_MS, 30.0);
        assert!((sums.cases - 6.0).abs() < 1e-9 && sums.ln_handle > 0.0);
        let later = half.at(60 * DAY_MS, 30.0);
        assert!((later.cases - 2.5).abs() < 1e-9);
    }
}
