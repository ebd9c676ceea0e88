//! The scenario file.

use super::random::Duration;
use crate::scheduler::settings::Scheduling;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A contact centre and its customers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it is, in a line.
    pub title: String,
    /// Seed, unless another is asked for.
    #[serde(default = "one")]
    pub seed: u64,
    /// How many customers come, unless asked otherwise. A recorded log has its own number.
    #[serde(default)]
    pub arrivals: u64,
    /// Part of the arrivals that is not counted, because the centre was empty before.
    #[serde(default = "five_percent")]
    pub warm_up: f64,
    /// Batches for the confidence intervals.
    #[serde(default = "forty")]
    pub batches: usize,
    /// Customers per second, all kinds together.
    #[serde(default)]
    pub rate_per_s: f64,
    /// How the rate varies.
    #[serde(default)]
    pub profile: Option<Profile>,
    /// Arrivals counted elsewhere, per interval, instead of a rate.
    #[serde(default)]
    pub counts: Option<Counts>,
    /// A recorded call log instead of generated arrivals, demands and agents.
    #[serde(default)]
    pub recorded: Option<Recorded>,
    /// Kinds of customers.
    #[serde(default, rename = "demand")]
    pub demands: Vec<DemandSpec>,
    /// How long customers' conversations take an agent of speed 1 who has nothing else.
    #[serde(default)]
    pub work: Option<Duration>,
    /// How long customers wait before they leave; absent: for ever.
    #[serde(default)]
    pub patience: Option<Duration>,
    /// Agents.
    #[serde(default)]
    pub agents: Vec<AgentGroup>,
    /// Rules, weights, and the slow-down by concurrency (which is the truth here, too).
    #[serde(default)]
    pub scheduling: Scheduling,
}

/// A rate that varies in steps and starts over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Length of one step, in seconds.
    pub step_s: f64,
    /// Factor of the rate in each step.
    pub factors: Vec<f64>,
}

/// A CSV file with a column `count`: arrivals per interval, spread evenly at random inside of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Path, relative to the folder of data.
    pub csv: String,
    /// Length of one interval, in seconds.
    pub step_s: f64,
}

/// A CSV file with one row per call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Path, relative to the folder of data.
    pub csv: String,
}

/// One kind of customers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemandSpec {
    /// Its name in the results; also the one skill required, unless others are given.
    pub name: String,
    /// Part of all customers; parts need not sum to 1.
    pub share: f64,
    /// Skills required → least proficiency.
    #[serde(default)]
    pub required: Option<BTreeMap<String, u8>>,
    /// Skills that make an agent better suited.
    #[serde(default)]
    pub wished: BTreeSet<String>,
    /// A language that the agent must speak.
    #[serde(default)]
    pub language: Option<String>,
    /// The only agent who may get it.
    #[serde(default)]
    pub agent: Option<String>,
    /// The queue.
    #[serde(default = "main_queue")]
    pub queue: String,
    /// 0 to 10.
    #[serde(default)]
    pub priority: u8,
    /// Slots.
    #[serde(default = "one_slot")]
    pub weight: u32,
    /// Its own work, instead of the scenario's.
    #[serde(default)]
    pub work: Option<Duration>,
    /// Its own patience, instead of the scenario's.
    #[serde(default)]
    pub patience: Option<Duration>,
}

/// Agents who are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentGroup {
    /// How many.
    #[serde(default = "one_slot")]
    pub count: u32,
    /// Skill → proficiency, 0 to 5.
    pub skills: BTreeMap<String, u8>,
    /// Skill → speed, or the ends of a range from which each agent's is drawn; 1 where absent.
    #[serde(default)]
    pub speed: BTreeMap<String, Speed>,
    /// Queues.
    #[serde(default = "main_queues")]
    pub queues: Vec<String>,
    /// Languages spoken.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Slots.
    #[serde(default = "one_slot")]
    pub slots: u32,
    /// From and to, in hours of each day; absent: always at work.
    #[serde(default)]
    pub shift_h: Option<[f64; 2]>,
}

/// Speed of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Speed {
    /// The same for all of a group.
    Same(f64),
    /// Drawn uniformly between these.
    Between([f64; 2]),
}

fn one() -> u64 {
    1
}

fn one_slot() -> u32 {
    1
}

fn forty() -> usize {
    40
}

fn five_percent() -> f64 {
    0.05
}

fn main_queue() -> String {
    "main".to_owned()
}

fn main_queues() -> Vec<String> {
    vec![main_queue()]
}

/// The scenario cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadScenario {
    /// It is no TOML, or has other fields.
    #[error("{0}")]
    Toml(String),
    /// Something is missing or impossible.
    #[error("{0}")]
    Content(String),
}

impl Scenario {
    /// Reads and checks a scenario file's text.
    pub fn parse(text: &str) -> Result<Self, BadScenario> {
        let scenario: Self = toml::from_str(text).map_err(|error| BadScenario::Toml(error.to_string()))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The file that the scenario needs beside itself, relative to the folder of data.
    pub fn needs(&self) -> Option<&str> {
        let counts = self.counts.as_ref().map(|counts| counts.csv.as_str());
        counts.or(self.recorded.as_ref().map(|recorded| recorded.csv.as_str()))
    }

    fn check(&self) -> Result<(), BadScenario> {
        let wrong = |text: &str| Err(BadScenario::Content(text.to_owned()));
        if self.batches < 2 || !(0.0..0.9).contains(&self.warm_up) {
            return wrong("batches must be 2 or more, warm_up at least 0 and below 0.9");
        }
        if self.recorded.is_some() {
            return Ok(());
        }
        if self.demands.is_empty() || self.agents.is_empty() {
            return wrong("a scenario needs [[demand]] and [[agents]], or [recorded]");
        }
        if self.demands.iter().any(|demand| demand.share <= 0.0 || demand.weight == 0) {
            return wrong("each demand's share and weight must be above 0");
        }
        if self.demands.iter().any(|demand| demand.work.is_none()) && self.work.is_none() {
            return wrong("a demand has no work of its own, so the scenario needs [work]");
        }
        if self.counts.is_none() && self.rate_per_s <= 0.0 {
            return wrong("rate_per_s must be above 0, unless [counts] is given");
        }
        if self.profile.as_ref().is_some_and(|profile| {
            profile.step_s <= 0.0
                || profile.factors.iter().sum::<f64>() <= 0.0
                || profile.factors.iter().any(|f| *f < 0.0)
        }) {
            return wrong("a profile needs a step above 0 s and factors that are not all 0");
        }
        check_groups(&self.agents)
    }
}

/// Whether there can be such agents.
pub(super) fn check_groups(groups: &[AgentGroup]) -> Result<(), BadScenario> {
    if groups.iter().any(|group| group.slots == 0 || group.count == 0) {
        return Err(BadScenario::Content("each group of agents needs a count and slots above 0".to_owned()));
    }
    Ok(())
}
