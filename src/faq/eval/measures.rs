//! Figures of an evaluation.

use super::Outcome;
use serde::Serialize;
use std::time::Duration;

/// Bins of the calibration error.
const BINS: usize = 15;

/// All figures. Those that have nothing to be computed from are none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Questions.
    pub n: usize,
    /// Of them those that some entry answers; accuracies and `ece` are over these.
    pub n_in_scope: usize,
    /// Share whose first candidate is right.
    pub accuracy_at_1: Option<f64>,
    /// Share with a right one among the first five.
    pub accuracy_at_5: Option<f64>,
    /// Mean of 1 / place of the first right one, 0 beyond the tenth.
    pub mrr_at_10: Option<f64>,
    /// Probability that a question in scope has a higher probability of being so than one out of scope.
    pub oos_auroc: Option<f64>,
    /// Share of the questions out of scope that are found at the threshold at which 95 of 100 found ones are out of scope.
    pub oos_recall_at_95_precision: Option<f64>,
    /// Expected calibration error of the first candidate's probability, questions in scope, 15 bins of one width.
    pub ece: Option<f64>,
    /// The same over all questions, of the probability that one is in scope times the candidate's; any answer to one out of
    /// scope is wrong.
    pub ece_with_oos: Option<f64>,
    /// Time from question to decision, the model's included, one at a time.
    pub latency_ms_p50: f64,
    /// The same.
    pub latency_ms_p99: f64,
    /// Questions per second with the model in batches, one thread.
    pub queries_per_s: f64,
}

impl Figures {
    /// Of outcomes, without times.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let inside: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.in_scope).collect();
        let outside: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.in_scope).collect();
        let mean = |of: &dyn Fn(&Outcome) -> f64| {
            (!inside.is_empty()).then(|| inside.iter().map(|outcome| of(outcome)).sum::<f64>() / inside.len() as f64)
        };
        let within = |most: usize| {
            move |outcome: &Outcome| f64::from(u8::from(outcome.place.is_some_and(|place| place <= most)))
        };
        let reciprocal =
            |outcome: &Outcome| outcome.place.filter(|place| *place <= 10).map_or(0.0, |place| 1.0 / place as f64);
        let right = |outcome: &Outcome| outcome.place == Some(1);
        let both = !inside.is_empty() && !outside.is_empty();
        Self {
            n: outcomes.len(),
            n_in_scope: inside.len(),
            accuracy_at_1: mean(&within(1)),
            accuracy_at_5: mean(&within(5)),
            mrr_at_10: mean(&reciprocal),
            oos_auroc: both.then(|| auroc(outcomes)),
            oos_recall_at_95_precision: both.then(|| recall_at(outcomes, 0.95)),
            ece: (!inside.is_empty())
                .then(|| calibration_error(inside.iter().map(|outcome| (outcome.probability, right(outcome))))),
            ece_with_oos: both.then(|| {
                calibration_error(
                    outcomes.iter().map(|outcome| (outcome.confidence(), outcome.in_scope && right(outcome))),
                )
            }),
            ..Self::default()
        }
    }

    /// With times: one per question, and those of some questions in batches, as questions per second.
    #[must_use]
    pub fn with_times(mut self, latencies: &[Duration], queries_per_s: f64) -> Self {
        let mut sorted: Vec<f64> = latencies.iter().map(|latency| latency.as_secs_f64() * 1_000.0).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied()
        };
        self.latency_ms_p50 = at(0.5).unwrap_or_default();
        self.latency_ms_p99 = at(0.99).unwrap_or_default();
        self.queries_per_s = queries_per_s;
        self
    }

    /// The mean of several, each counting the same; counts are added up.
    pub fn mean(of: &[Self]) -> Self {
        let mean = |get: &dyn Fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = of.iter().filter_map(get).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            n: of.iter().map(|figures| figures.n).sum(),
            n_in_scope: of.iter().map(|figures| figures.n_in_scope).sum(),
            accuracy_at_1: mean(&|figures| figures.accuracy_at_1),
            accuracy_at_5: mean(&|figures| figures.accuracy_at_5),
            mrr_at_10: mean(&|figures| figures.mrr_at_10),
            oos_auroc: mean(&|figures| figures.oos_auroc),
            oos_recall_at_95_precision: mean(&|figures| figures.oos_recall_at_95_precision),
            ece: mean(&|figures| figures.ece),
            ece_with_oos: mean(&|figures| figures.ece_with_oos),
            latency_ms_p50: mean(&|figures| Some(figures.latency_ms_p50)).unwrap_or_default(),
            latency_ms_p99: mean(&|figures| Some(figures.latency_ms_p99)).unwrap_or_default(),
            queries_per_s: mean(&|figures| Some(figures.queries_per_s)).unwrap_or_default(),
        }
    }
}

/// Area under the ROC curve of the probability of being in scope: ties count half.
fn auroc(outcomes: &[Outcome]) -> f64 {
    let mut sorted: Vec<(f64, bool)> = outcomes.iter().map(|outcome| (outcome.scope, outcome.in_scope)).collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut area) = (0.0, 0.0);
    for equal in sorted.chunk_by(|one, other| one.0 == other.0) {
        let inside = equal.iter().filter(|(_, inside)| *inside).count() as f64;
        let outside = equal.len() as f64 - inside;
        area += inside * (below + outside / 2.0);
        below += outside;
    }
    let inside = sorted.iter().filter(|(_, inside)| *inside).count() as f64;
    area / (inside * below)
}

/// The most of the questions out of scope that a threshold finds while `precision` of all that it finds are.
fn recall_at(outcomes: &[Outcome], precision: f64) -> f64 {
    let mut sorted: Vec<(f64, bool)> = outcomes.iter().map(|outcome| (outcome.scope, outcome.in_scope)).collect();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let outside = sorted.iter().filter(|(_, inside)| !inside).count() as f64;
    let (mut found, mut all, mut best) = (0.0, 0.0, 0.0_f64);
    for equal in sorted.chunk_by(|one, other| one.0 == other.0) {
        found += equal.iter().filter(|(_, inside)| !inside).count() as f64;
        all += equal.len() as f64;
        if found >= precision * all {
            best = best.max(found / outside);
        }
    }
    best
}

/// Expected calibration error (Guo et al., ICML 2017): by bins, how far the mean probability is from the share that is right.
fn calibration_error(cases: impl Iterator<Item = (f64, bool)>) -> f64 {
    let mut bins = [(0.0_f64, 0.0_f64, 0.0_f64); BINS];
    let mut count = 0.0;
    for (probability, right) in cases {
        let bin = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += probability;
        bin.1 += f64::from(u8::from(right));
        bin.2 += 1.0;
        count += 1.0;
    }
    bins.iter().map(|(probability, right, _)| (probability - right).abs()).sum::<f64>() / f64::max(count, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(place: Option<usize>, in_scope: bool, probability: f64, scope: f64) -> Outcome {
        Outcome { place, in_scope, probability, scope }
    }

    #[test]
    fn figures_of_a_few_outcomes_computed_by_hand() {
        let figures = Figures::of(&[
            outcome(Some(1), true, 0.9, 0.9),
            outcome(Some(2), true, 0.5, 0.8),
            outcome(None, true, 0.7, 0.3),
            outcome(Some(1), true, 1.0, 0.6),
            outcome(None, false, 0.5, 0.6),
            outcome(None, false, 0.5, 0.1),
        ]);
        assert_eq!((figures.n, figures.n_in_scope), (6, 4));
        assert_eq!(
            (figures.accuracy_at_1, figures.accuracy_at_5, figures.mrr_at_10),
            (Some(0.5), Some(0.75), Some(0.625))
        );
        // Pairs: against 0.6: 0.9 and 0.8 above, 0.6 equal, 0.3 below; against 0.1 all above.
        assert!((figures.oos_auroc.unwrap() - 6.5 / 8.0).abs() < 1e-12);
        assert_eq!(figures.oos_recall_at_95_precision, Some(0.5));
        // Bins: 0.5 (wrong), 0.7 (wrong), 0.9 (right), 1.0 (right).
        assert!((figures.ece.unwrap() - (0.5 + 0.7 + 0.1) / 4.0).abs() < 1e-9);
    }

    #[test]
    fn what_has_nothing_to_be_computed_from_is_none() {
        let figures = Figures::of(&[outcome(Some(1), true, 0.9, 0.9)]);
        assert_eq!((figures.oos_auroc, figures.accuracy_at_1), (None, Some(1.0)));
        assert_eq!(Figures::of(&[]).ece, None);
    }
}
