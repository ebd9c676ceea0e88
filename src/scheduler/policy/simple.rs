//! Policies that look at one thing.

use super::{Pair, Policy, Scores};

/// Any free agent.
#[derive(Debug)]
pub(super) struct Random;

impl Policy for Random {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Scores([pair.lot(), 0.0, 0.0, 0.0])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["lot"]
    }

    fn draws(&self) -> bool {
        true
    }
}

/// The agent whose last assignment is longest ago.
#[derive(Debug)]
pub(super) struct RoundRobin;

impl Policy for RoundRobin {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Scores([-pair.last_assignment(), 0.0, 0.0, 0.0])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["last_assignment"]
    }
}

/// The agent who has been idle longest.
#[derive(Debug)]
pub(super) struct LongestIdle;

impl Policy for LongestIdle {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Scores([pair.idle_s(), 0.0, 0.0, 0.0])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["idle_s"]
    }
}

/// The agent with the smallest part of the slots taken.
#[derive(Debug)]
pub(super) struct LeastLoaded;

impl Policy for LeastLoaded {
    fn agent(&self, pair: &Pair<'_>) -> Scores {
        Scores([1.0 - pair.load(), 0.0, 0.0, 0.0])
    }

    fn agent_parts(&self) -> &'static [&'static str] {
        &["free"]
    }
}
