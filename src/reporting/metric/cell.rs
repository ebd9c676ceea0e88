//! A cell: everything that was counted and timed in one slice, over one stretch of time.

use super::{Count, Sketch, Timing};
use serde::{Deserialize, Serialize};

/// What was counted and timed. Adding cells to one another in any order gives the same cell, and the same bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Sorted by the measure.
    counts: Vec<(Count, i64)>,
    /// Sorted by the measure.
    timings: Vec<(Timing, Times)>,
}

/// Durations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// All of them together, in milliseconds.
    pub sum_ms: u64,
    /// Their quantiles.
    pub sketch: Sketch,
}

impl Cell {
    /// Adds to a count.
    pub fn count(&mut self, measure: Count, by: i64) {
        match self.counts.binary_search_by_key(&measure, |(known, _)| *known) {
            Ok(at) => self.counts[at].1 += by,
            Err(at) => self.counts.insert(at, (measure, by)),
        }
    }

    /// Adds a duration in milliseconds.
    pub fn time(&mut self, measure: Timing, ms: u64) {
        let times = self.times_mut(measure);
        times.count += 1;
        times.sum_ms += ms;
        times.sketch.add(ms);
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        for (measure, by) in &other.counts {
            self.count(*measure, *by);
        }
        for (measure, more) in &other.timings {
            let times = self.times_mut(*measure);
            times.count += more.count;
            times.sum_ms += more.sum_ms;
            times.sketch.merge(&more.sketch);
        }
    }

    fn times_mut(&mut self, measure: Timing) -> &mut Times {
        let at = match self.timings.binary_search_by_key(&measure, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) => {
                self.timings.insert(at, (measure, Times::default()));
                at
            }
        };
        &mut self.timings[at].1
    }

    /// How often.
    pub fn counted(&self, measure: Count) -> i64 {
        let found = self.counts.binary_search_by_key(&measure, |(known, _)| *known);
        found.map_or(0, |at| self.counts[at].1)
    }

    /// How long; `None`: never.
    pub fn timed(&self, measure: Timing) -> Option<&Times> {
        let found = self.timings.binary_search_by_key(&measure, |(known, _)| *known);
        found.ok().map(|at| &self.timings[at].1)
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.timings.is_empty()
    }

    /// All counts.
    pub fn counts(&self) -> &[(Count, i64)] {
        &self.counts
    }

    /// All durations.
    pub fn timings(&self) -> &[(Timing, Times)] {
        &self.timings
    }
}
