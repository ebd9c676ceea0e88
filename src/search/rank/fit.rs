//! Two small fits over a handful of numbers per case: which candidate is right, and whether anything is.
//!
//! Both are convex and have few unknowns, so plain gradient descent with momentum (Nesterov) finds the optimum; what matters is
//! that the same cases always give the same weights.

/// Steps of descent; after 300 the weights of all sets that were tried stood still to four digits.
const STEPS: usize = 400;

/// A question whose answer is known: the numbers of each candidate, and which one is right.
#[derive(Debug, Clone)]
pub struct Choice<const N: usize> {
    /// One line per candidate.
    pub candidates: Vec<[f32; N]>,
    /// Number of the right one.
    pub right: usize,
}

/// Probabilities that go with scores: their softmax.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// 1 / (1 + e^-x).
pub fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The sum of products.
pub fn product<const N: usize>(one: &[f32; N], other: &[f32; N]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Weights under which the right candidates are likeliest (conditional logit), none of them below zero: more evidence never
/// counts against a candidate. They are held to `start` with the force of `force` cases.
pub fn choices<const N: usize>(cases: &[Choice<N>], start: [f32; N], force: f32) -> [f32; N] {
    let scale = scales(cases.iter().flat_map(|case| &case.candidates));
    let gradient = |weights: &[f32; N], sum: &mut [f32; N]| {
        for case in cases {
            let scores: Vec<f32> = case.candidates.iter().map(|candidate| product(weights, candidate)).collect();
            for (at, (candidate, probability)) in case.candidates.iter().zip(softmax(&scores)).enumerate() {
                let error = probability - if at == case.right { 1.0 } else { 0.0 };
                sum.iter_mut().zip(candidate).for_each(|(sum, value)| *sum += error * value);
            }
        }
    };
    descend(cases.len(), start, force, scale, gradient, |weight, _| weight.max(0.0))
}

/// Weights (the last one is the constant, of a number that is always 1) under which `true` cases are likely and others not; each
/// kind counts as much as the other, however many there are. They are held to `start` with the force of `force` cases.
pub fn kinds<const N: usize>(cases: &[([f32; N], bool)], start: [f32; N], force: f32) -> [f32; N] {
    let positive = cases.iter().filter(|(_, kind)| *kind).count().max(1) as f32;
    let negative = cases.iter().filter(|(_, kind)| !*kind).count().max(1) as f32;
    let scale = scales(cases.iter().map(|(case, _)| case));
    let half = cases.len() as f32 / 2.0;
    let gradient = |weights: &[f32; N], sum: &mut [f32; N]| {
        for (case, kind) in cases {
            let weight = half / if *kind { positive } else { negative };
            let error = weight * (logistic(product(weights, case)) - if *kind { 1.0 } else { 0.0 });
            sum.iter_mut().zip(case).for_each(|(sum, value)| *sum += error * value);
        }
    };
    descend(cases.len(), start, force, scale, gradient, |weight, _| weight)
}

/// Root mean square of each number.
fn scales<'a, const N: usize>(cases: impl Iterator<Item = &'a [f32; N]>) -> [f32; N] {
    let (mut sums, mut count) = ([0.0_f32; N], 0);
    for case in cases {
        sums.iter_mut().zip(case).for_each(|(sum, value)| *sum += value * value);
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1) as f32).sqrt().max(1e-3))
}

/// Descent in units of `scale`, in which all numbers are about as large.
fn descend<const N: usize>(
    cases: usize,
    start: [f32; N],
    force: f32,
    scale: [f32; N],
    gradient: impl Fn(&[f32; N], &mut [f32; N]),
    allowed: impl Fn(f32, usize) -> f32,
) -> [f32; N] {
    let cases = cases.max(1) as f32;
    // In these units no curvature is above a quarter of the sum of squares, which is N, nor above the force.
    let step = 1.0 / (N as f32 + force / cases);
    let (mut now, mut before) = (start, start);
    for round in 0..STEPS {
        let momentum = round as f32 / (round as f32 + 3.0);
        let mut ahead = now;
        (0..N).for_each(|at| ahead[at] += momentum * (now[at] - before[at]));
        let mut sum = [0.0; N];
        gradient(&ahead, &mut sum);
        before = now;
        for at in 0..N {
            let pull = force * (ahead[at] - start[at]) * scale[at] * scale[at];
            let slope = (sum[at] + pull) / cases / (scale[at] * scale[at]);
            now[at] = allowed(ahead[at] - step * slope, at);
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_weigh_what_tells_the_right_candidate() {
        let cases: Vec<Choice<2>> = (0..200)
            .map(|at| {
                let noise = |k: usize| ((at * 31 + k * 17) % 19) as f32 / 19.0;
                let right = at % 3;
                let tells = |k: usize| if k == right && at % 10 != 0 { 1.0 } else { 0.0 };
                Choice { candidates: (0..3).map(|k| [tells(k), noise(k)]).collect(), right }
            })
            .collect();
        let weights = choices(&cases, [0.0; 2], 1.0);
        assert!(weights[0] > 2.0 && weights[1] < 1.0, "{weights:?}");
        let right = |case: &Choice<2>| {
            softmax(&case.candidates.iter().map(|c| product(&weights, c)).collect::<Vec<_>>())[case.right]
        };
        let mean = cases.iter().map(right).sum::<f32>() / 200.0;
        assert!(mean > 0.8, "{mean}");
    }

    #[test]
    fn kinds_are_balanced_and_calibrated() {
        // A quarter of those with 1 are of the kind, three quarters of those with 0 are not.
        let cases: Vec<([f32; 2], bool)> =
            (0..400).map(|at| ([if at % 2 == 0 { 1.0 } else { 0.0 }, 1.0], at % 8 < 3)).collect();
        let weights = kinds(&cases, [0.0; 2], 0.01);
        let share = |value: f32| {
            let of: Vec<_> = cases.iter().filter(|(case, _)| case[0] == value).collect();
            let positive = of.iter().filter(|(_, kind)| *kind).count() as f32 / 150.0;
            positive / (positive + of.iter().filter(|(_, kind)| !*kind).count() as f32 / 250.0)
        };
        for value in [0.0, 1.0] {
            assert!((logistic(product(&weights, &[value, 1.0])) - share(value)).abs() < 0.02, "{weights:?}");
        }
    }
}
