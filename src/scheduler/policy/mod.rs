//! How pairs of an agent and a conversation are scored. One policy per queue, by name.
//!
//! A policy answers two questions with scores, of which the highest wins: which agent for a conversation, which
//! conversation for an agent. It sees one [`Pair`] at a time and may know nothing else: no clock, no dice, no other
//! candidate. Ties go to the agent who has been idle longest, or to the conversation that is first in line.
//!
//! Each score is a sum of at most [`PARTS`] named parts, so that a decision can be explained with the very numbers that
//! made it.

mod index;
mod scored;
mod simple;

use super::floor::Pair;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Parts of a score.
pub const PARTS: usize = 4;

/// A score by parts, in the order of [`Policy::agent_parts`] or [`Policy::conversation_parts`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores(pub [f64; PARTS]);

impl Scores {
    /// The score.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// A way to choose.
pub trait Policy: fmt::Debug + Sync {
    /// What an agent is worth to a conversation.
    fn agent(&self, pair: &Pair<'_>) -> Scores;

    /// What a conversation is worth to an agent. Unless a policy knows better: most urgent first, then oldest.
    fn conversation(&self, pair: &Pair<'_>) -> Scores {
        first_come(pair)
    }

    /// Names of the parts of [`agent`](Self::agent).
    fn agent_parts(&self) -> &'static [&'static str];

    /// Names of the parts of [`conversation`](Self::conversation).
    fn conversation_parts(&self) -> &'static [&'static str] {
        FIRST_COME
    }

    /// Whether the choice of an agent is a draw with equal chances.
    fn draws(&self) -> bool {
        false
    }
}

const FIRST_COME: &[&str] = &["priority", "age_s"];

/// Seconds by which one step of priority comes first: longer than anybody waits.
const PRIORITY_S: f64 = 1e8;

fn first_come(pair: &Pair<'_>) -> Scores {
    Scores([PRIORITY_S * pair.priority(), pair.age_s(), 0.0, 0.0])
}

/// The policies there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// Any free agent.
    Random,
    /// The agent whose last assignment is longest ago.
    RoundRobin,
    /// The agent who has been idle longest.
    LongestIdle,
    /// The agent with the smallest part of the slots taken.
    LeastLoaded,
    /// Skill .4, load .3, performance .2, preference .1.
    #[serde(rename = "score-4321")]
    Score4321,
    /// Skill .5, 1 - load .2, priority .3.
    #[serde(rename = "score-523")]
    Score523,
    /// The fastest agent; the conversation whose delay costs most (generalised c-mu).
    FastestGcmu,
    /// kefu's own: what is gained, less the price of using up a flexible agent.
    Index,
}

impl PolicyName {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Random,
        Self::RoundRobin,
        Self::LongestIdle,
        Self::LeastLoaded,
        Self::Score4321,
        Self::Score523,
        Self::FastestGcmu,
        Self::Index,
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::RoundRobin => "round-robin",
            Self::LongestIdle => "longest-idle",
            Self::LeastLoaded => "least-loaded",
            Self::Score4321 => "score-4321",
            Self::Score523 => "score-523",
            Self::FastestGcmu => "fastest-gcmu",
            Self::Index => "index",
        }
    }

    /// The policy itself.
    pub fn policy(self) -> &'static dyn Policy {
        match self {
            Self::Random => &simple::Random,
            Self::RoundRobin => &simple::RoundRobin,
            Self::LongestIdle => &simple::LongestIdle,
            Self::LeastLoaded => &simple::LeastLoaded,
            Self::Score4321 => &scored::Score4321,
            Self::Score523 => &scored::Score523,
            Self::FastestGcmu => &scored::FastestGcmu,
            Self::Index => &index::Index,
        }
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no policy of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no policy {0:?}; there are: random, round-robin, longest-idle, least-loaded, score-4321, score-523, fastest-gcmu, index"
)]
pub struct UnknownPolicy(String);

impl FromStr for PolicyName {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| UnknownPolicy(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_and_read_in_one_way() {
        for name in PolicyName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert!("fastest".parse::<PolicyName>().unwrap_err().to_string().contains("fastest-gcmu"));
    }

    #[test]
    fn every_part_has_a_name() {
        for name in PolicyName::ALL {
            let policy = name.policy();
            assert!((1..=PARTS).contains(&policy.agent_parts().len()));
            assert!((1..=PARTS).contains(&policy.conversation_parts().len()));
        }
    }
}
