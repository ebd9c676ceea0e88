//! Policies from elsewhere that kefu's own is measured against.

use super::{Pair, Policy, Scores};

/// Skill .4, load .3, performance .2, preference .1.
#[derive(Debug)]
pub(super) struct Score4321;

impl Score4321 {
    fn score(pair: &Pair<'_>) -> Scores {
        // Performance as a number from 0 to 1 in which everybody is one half.
        let performance = pair.speed() * pair.quality();
        Scores([
            0.4 * pair.skill(),
            0.3 * (1.0 - pair.load()),
            0.2 * performance / (1.0 + performance),
            0.1 * pair.preference(),
        ])
    }
}

impl Policy for Score4321 {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Self::score(pair)
    }

    fn conversation(&self, pair: &Pair<'_>) -> Scores {
        Self::score(pair)
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["skill", "load", "performance", "preference"]
    }

    fn conversation_parts(&self) -> &'static [&'static str] {
        self.agent_parts()
    }
}

/// Skill .5, 1 - load .2, priority .3.
#[derive(Debug)]
pub(super) struct Score523;

impl Score523 {
    fn score(pair: &Pair<'_>) -> Scores {
        Scores([0.5 * pair.skill(), 0.2 * (1.0 - pair.load()), 0.3 * (pair.priority() / 10.0).min(1.0), 0.0])
    }
}

impl Policy for Score523 {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Self::score(pair)
    }

    fn conversation(&self, pair: &Pair<'_>) -> Scores {
        Self::score(pair)
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["skill", "load", "priority"]
    }

    fn conversation_parts(&self) -> &'static [&'static str] {
        self.agent_parts()
    }
}

/// Who is done first gets it; and what costs most to delay, by the speed at which this agent ends the delay. With a
/// cost that grows with the square of the wait, the cost of a moment more is the wait itself.
#[derive(Debug)]
pub(super) struct FastestGcmu;

impl Policy for FastestGcmu {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Scores([pair.speed() * pair.concurrent_speed(), 0.0, 0.0, 0.0])
    }

    fn conversation(&self, pair: &Pair<'_>) -> Scores {
        Scores([(1.0 + pair.priority()) * pair.age_s() * pair.speed(), 0.0, 0.0, 0.0])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["speed"]
    }

    fn conversation_parts(&self) -> &'static [&'static str] {
        &["delay_cost"]
    }
}
