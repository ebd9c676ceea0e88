//! Rates that fade, and what a queue's customers are told and get: position, estimated wait, service level.

use super::settings::Target;
use serde::{Deserialize, Serialize};

/// Weighs newer things more: after a half-life a thing counts half.
///
/// Instead of making all counters smaller as time passes, newer things get larger weights. So counters of the same
/// fade can be compared without looking at the clock, and only [`Fade::rebase`] makes them all smaller, rarely.
#[derive(Debug, Clone)]
pub struct Fade {
    half_life_ms: f64,
    base_ms: Option<i64>,
}

/// Half-lives after which weights are made small again: 2^40 is far from where an f64 loses a count of one.
const REBASE_AFTER: f64 = 40.0;

impl Fade {
    /// With a half-life in seconds.
    pub fn new(half_life_s: f64) -> Self {
        Self { half_life_ms: (half_life_s * 1_000.0).max(1.0), base_ms: None }
    }

    /// Another half-life, in seconds; what was counted keeps its weight.
    pub fn set_half_life(&mut self, half_life_s: f64) {
        self.half_life_ms = (half_life_s * 1_000.0).max(1.0);
    }

    /// What one thing at this moment weighs.
    pub fn weight(&mut self, now_ms: i64) -> f64 {
        let base = *self.base_ms.get_or_insert(now_ms);
        ((now_ms - base) as f64 / self.half_life_ms).exp2()
    }

    /// By what all counters are to be multiplied now, if it is time to.
    pub fn rebase(&mut self, now_ms: i64) -> Option<f64> {
        let base = self.base_ms?;
        let lives = (now_ms - base) as f64 / self.half_life_ms;
        (lives > REBASE_AFTER).then(|| {
            self.base_ms = Some(now_ms);
            (-lives).exp2()
        })
    }
}

/// A count whose parts fade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Faded {
    value: f64,
    at_ms: i64,
}

impl Faded {
    pub(super) fn at(self, now_ms: i64, half_life_ms: f64) -> f64 {
        self.value * (-((now_ms - self.at_ms).max(0) as f64) / half_life_ms).exp2()
    }

    pub(super) fn add(&mut self, amount: f64, now_ms: i64, half_life_ms: f64) {
        *self = Self { value: self.at(now_ms, half_life_ms) + amount, at_ms: now_ms.max(self.at_ms) };
    }
}

/// After this time what a queue did counts half, in ms: long enough to be steady, short enough to follow a day.
const HALF_LIFE_MS: f64 = 900_000.0;
/// Fewer (faded) assignments than this say nothing of a rate.
const LEAST_CASES: f64 = 5.0;

/// What one queue has done lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueService {
    assigned: Faded,
    within_target: Faded,
    first_ms: Option<i64>,
    error_ms: Faded,
    estimates: Faded,
}

/// A queue's state, for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueState {
    /// Conversations that wait.
    pub waiting: u32,
    /// How long the oldest has waited, in seconds.
    pub oldest_s: Option<f64>,
    /// Percent that got an agent within the target's time; none without target, or without cases enough lately.
    pub service_level: Option<f64>,
    /// What a conversation that arrives now would be told, in seconds.
    pub estimated_wait_s: Option<f64>,
    /// How far estimates were off on average, in seconds.
    pub estimate_error_s: Option<f64>,
}

impl QueueService {
    /// A conversation got an agent after this wait; on arrival it was told `expected_ms`.
    pub fn assigned(&mut self, wait_ms: i64, expected_ms: Option<f64>, target: Option<&Target>, now_ms: i64) {
        self.first_ms.get_or_insert(now_ms);
        self.assigned.add(1.0, now_ms, HALF_LIFE_MS);
        if target.is_some_and(|target| wait_ms as f64 <= target.within_s * 1_000.0) {
            self.within_target.add(1.0, now_ms, HALF_LIFE_MS);
        }
        if let Some(expected) = expected_ms {
            self.estimates.add(1.0, now_ms, HALF_LIFE_MS);
            self.error_ms.add((wait_ms as f64 - expected).abs(), now_ms, HALF_LIFE_MS);
        }
    }

    /// The wait of somebody with this many others ahead, in ms; none before there were cases enough.
    pub fn expected_ms(&self, ahead: usize, now_ms: i64) -> Option<f64> {
        let cases = self.assigned.at(now_ms, HALF_LIFE_MS);
        let observed = (now_ms - self.first_ms?).max(1) as f64;
        // A steady rate r fades to r × half-life ÷ ln 2; before that, to the part of it that was observed.
        let mean_life = HALF_LIFE_MS / std::f64::consts::LN_2;
        let window = mean_life * (1.0 - (-observed / mean_life).exp());
        (cases >= LEAST_CASES).then(|| (ahead + 1) as f64 * window / cases)
    }

    /// Whether fewer than this percentage were within the target lately; also before there were cases enough to say.
    pub fn is_behind(&self, target: &Target, now_ms: i64) -> bool {
        self.level(now_ms).is_none_or(|level| level < target.percent)
    }

    /// Percent within the target; none before there were cases enough, or when they are too long ago.
    pub fn level(&self, now_ms: i64) -> Option<f64> {
        let cases = self.assigned.at(now_ms, HALF_LIFE_MS);
        (cases >= LEAST_CASES).then(|| 100.0 * self.within_target.at(now_ms, HALF_LIFE_MS) / cases)
    }

    /// How far estimates were off on average, in ms.
    pub fn error_ms(&self, now_ms: i64) -> Option<f64> {
        let cases = self.estimates.at(now_ms, HALF_LIFE_MS);
        (cases > 0.0).then(|| self.error_ms.at(now_ms, HALF_LIFE_MS) / cases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_do_not_change_when_weights_are_made_small_again() {
        let mut fade = Fade::new(1.0);
        let old = fade.weight(0);
        let new = fade.weight(50_000);
        let by = fade.rebase(50_000).unwrap();
        assert!((new * by - 1.0).abs() < 1e-12 && old * by < 1e-12);
        assert_eq!(fade.weight(50_000), 1.0);
        assert!(fade.rebase(60_000).is_none());
    }

    #[test]
    fn an_estimate_needs_cases_and_counts_those_ahead() {
        let mut queue = QueueService::default();
        assert_eq!(queue.expected_ms(0, 0), None);
        for case in 0..200 {
            queue.assigned(1_000, None, None, case * 10_000);
        }
        let next = queue.expected_ms(0, 2_000_000).unwrap();
        assert!((9_000.0..11_000.0).contains(&next), "one every 10 s, but {next} ms");
        let fourth = queue.expected_ms(3, 2_000_000).unwrap();
        assert!((fourth / next - 4.0).abs() < 1e-9);
    }

    #[test]
    fn the_service_level_is_the_share_within_the_target() {
        let mut queue = QueueService::default();
        let target = Target::new(80.0, 20.0);
        for wait_ms in [5_000, 10_000, 20_000, 21_000, 15_000] {
            queue.assigned(wait_ms, Some(15_000.0), Some(&target), 0);
        }
        assert_eq!(queue.level(0), Some(80.0));
        assert_eq!(queue.error_ms(0), Some((10_000.0 + 5_000.0 + 5_000.0 + 6_000.0) / 5.0));
    }

    #[test]
    fn a_single_late_case_is_no_service_level_nor_one_of_last_evening() {
        let mut queue = QueueService::default();
        let target = Target::new(80.0, 20.0);
        for _ in 0..4 {
            queue.assigned(60_000, None, Some(&target), 0);
            assert_eq!(queue.level(0), None);
            assert!(queue.is_behind(&target, 0), "whoever waits is helped all the same");
        }
        queue.assigned(60_000, None, Some(&target), 0);
        assert_eq!(queue.level(0), Some(0.0));
        assert_eq!(queue.level(8 * 3_600_000), None);
    }
}
