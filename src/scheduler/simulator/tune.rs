//! A cross-entropy search for the index policy's weights: draw weights, simulate, keep the best, draw around them.

use super::random::Stream;
use crate::scheduler::settings::Weights;
use serde::Serialize;

/// How long to search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effort {
    /// Rounds.
    pub generations: usize,
    /// Weights tried in each.
    pub population: usize,
    /// The best of them, around which the next round is drawn.
    pub elite: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { generations: 10, population: 20, elite: 5 }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tuned {
    /// The best weights that were tried.
    pub weights: Weights,
    /// What they cost.
    pub cost: f64,
    /// What the weights cost that the search began with.
    pub cost_before: f64,
}

/// What is searched: exponents and factors. The age cap is a promise to customers, preference and priority are wishes of
/// the tenant's: no simulation knows them.
const TUNED: usize = 10;

fn parts(weights: &mut Weights) -> [&mut f64; TUNED] {
    let Weights { speed, swiftness, gain, price, scarcity, strain, urgency, queue, staff, age, .. } = weights;
    [speed, swiftness, gain, price, scarcity, strain, urgency, queue, staff, age]
}

/// How far the first round looks, in logarithms: one deviation is a factor of 1.6.
const FIRST_SPREAD: f64 = 0.5;
/// How much of the last round's centre and spread stays, so that one lucky round does not end the search.
const INERTIA: f64 = 0.3;

/// Searches; `costs` says what each of these weights costs (with the same customers for all), `progress` is told after
/// each round.
pub fn search(
    start: Weights,
    seed: u64,
    effort: Effort,
    costs: &mut dyn FnMut(&[Weights]) -> Vec<f64>,
    progress: &mut dyn FnMut(usize, &Tuned),
) -> Tuned {
    let mut stream = Stream::new(seed, 0);
    let mut first = start;
    let mut centre = parts(&mut first).map(|weight| weight.max(0.01).ln());
    let mut spread = [FIRST_SPREAD; TUNED];
    let cost_before = costs(&[start]).first().copied().unwrap_or(f64::INFINITY);
    let mut best = Tuned { weights: start, cost: cost_before, cost_before };
    for generation in 0..effort.generations {
        let draws: Vec<[f64; TUNED]> = (0..effort.population)
            .map(|_| std::array::from_fn(|at| centre[at] + spread[at] * stream.normal()))
            .collect();
        let tried: Vec<Weights> = draws.iter().map(|draw| of(draw, start)).collect();
        let cost = costs(&tried);
        let mut order: Vec<usize> = (0..draws.len().min(cost.len())).collect();
        order.sort_by(|a, b| cost[*a].total_cmp(&cost[*b]));
        if let Some(&winner) = order.first().filter(|winner| cost[**winner] < best.cost) {
            best = Tuned { weights: tried[winner], cost: cost[winner], cost_before };
        }
        order.truncate(effort.elite.max(2));
        let count = order.len().max(1) as f64;
        for at in 0..TUNED {
            let mean = order.iter().map(|one| draws[*one][at]).sum::<f64>() / count;
            let variance = order.iter().map(|one| (draws[*one][at] - mean).powi(2)).sum::<f64>() / count;
            centre[at] = INERTIA * centre[at] + (1.0 - INERTIA) * mean;
            spread[at] = INERTIA * spread[at] + (1.0 - INERTIA) * variance.sqrt();
        }
        progress(generation + 1, &best);
    }
    best
}

fn of(draw: &[f64; TUNED], start: Weights) -> Weights {
    let mut weights = start;
    // Two digits: nobody reads more into a weight.
    for (weight, log) in parts(&mut weights).into_iter().zip(draw) {
        *weight = (log.exp() * 100.0).round() / 100.0;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_a_valley() {
        let mut costs = |tried: &[Weights]| -> Vec<f64> {
            tried.iter().map(|w| (w.price - 3.0).powi(2) + (w.queue - 0.5).powi(2)).collect()
        };
        let effort = Effort { generations: 20, population: 30, elite: 6 };
        let tuned = search(Weights::default(), 1, effort, &mut costs, &mut |_, _| {});
        assert!(tuned.cost < 0.05 && tuned.cost < tuned.cost_before, "{tuned:?}");
    }
}
