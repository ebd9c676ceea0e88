//! The head: for each entry a linear rule that says of a question's features whether it belongs there.
//!
//! One rule per entry against all others, squared hinge loss with L2 regularisation, by dual coordinate descent (Hsieh et al.,
//! "A Dual Coordinate Descent Method for Large-scale Linear SVM", ICML 2008, algorithm 3 with the shrinking of its section
//! 3.2; the solver of LIBLINEAR). Unlike a softmax, such rules can all say no, which is what a question out of scope looks like.

use super::features::Sparse;
use pulp::Arch;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Loss of one misplaced example beside one of regularisation. 0.3 to 1 give the same to within 0.3 % on all sets.
const COST: f32 = 0.7;

/// Passes over the examples of a rule at most, and how near to the optimum it stops (LIBLINEAR's default).
const PASSES: usize = 60;
const TOLERANCE: f32 = 0.1;

/// Features of a text.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What it says.
    pub sparse: Sparse,
    /// What it means; empty without a model.
    pub dense: Vec<f32>,
}

impl Row {
    /// The square of its length, with the constant feature 1.
    fn square(&self) -> f32 {
        let sparse: f32 = self.sparse.iter().map(|(_, value)| value * value).sum();
        let dense: f32 = self.dense.iter().map(|value| value * value).sum();
        1.0 + sparse + dense
    }
}

/// Rules of all classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    classes: usize,
    /// Sparse features, then dense ones, then the constant: for each, the weight in every class's rule.
    weights: Vec<f32>,
    features: usize,
    width: usize,
}

impl Head {
    /// Learns from rows and their classes (below `classes`). `features` and `width` are those of the rows.
    pub fn train(rows: &[&Row], labels: &[u32], classes: usize, features: usize, width: usize) -> Self {
        let squares: Vec<f32> = rows.iter().map(|row| row.square()).collect();
        let size = features + width + 1;
        let mut weights = vec![0.0; size * classes];
        for class in 0..classes {
            let rule = rule(rows, &squares, |row| labels[row] as usize == class, features, size);
            for (feature, weight) in rule.into_iter().enumerate() {
                weights[feature * classes + class] = weight;
            }
        }
        Self { classes, weights, features, width }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What each class's rule says: above 0 yes, below no; about 1 where it is certain.
    pub fn margins(&self, row: &Row) -> Vec<f32> {
        let mut margins = vec![0.0; self.classes];
        if row.dense.len() != self.width {
            return margins;
        }
        let dense = row.dense.iter().enumerate().map(|(at, value)| (self.features + at, *value));
        let sparse = row.sparse.iter().map(|(feature, value)| (*feature as usize, *value));
        let constant = (self.features + self.width, 1.0);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (feature, value) in sparse.chain(dense).chain([constant]) {
                    let weights = &self.weights[feature * self.classes..(feature + 1) * self.classes];
                    margins.iter_mut().zip(weights).for_each(|(margin, weight)| *margin += weight * value);
                }
            },
        );
        margins
    }

    /// The numbers it consists of: classes, features, width, and the weights.
    pub fn parts(&self) -> (usize, usize, usize, &[f32]) {
        (self.classes, self.features, self.width, &self.weights)
    }

    /// Of [`parts`](Self::parts); nothing, if they do not fit.
    pub fn from_parts(classes: usize, features: usize, width: usize, weights: Vec<f32>) -> Option<Self> {
        let size = features.checked_add(width)?.checked_add(1)?.checked_mul(classes)?;
        (size == weights.len()).then_some(Self { classes, weights, features, width })
    }
}

/// One class's rule against all others.
fn rule(rows: &[&Row], squares: &[f32], belongs: impl Fn(usize) -> bool, features: usize, size: usize) -> Vec<f32> {
    let diagonal = 0.5 / COST;
    let mut weights = vec![0.0; size];
    let mut alphas = vec![0.0_f32; rows.len()];
    let mut active: Vec<usize> = (0..rows.len()).collect();
    let mut random = StdRng::seed_from_u64(rows.len() as u64);
    let mut highest_before = f32::INFINITY;
    Arch::new().dispatch(
        #[inline(always)]
        || {
            for _ in 0..PASSES {
                active.shuffle(&mut random);
                let (mut highest, mut lowest) = (f32::NEG_INFINITY, f32::INFINITY);
                let mut at = 0;
                while at < active.len() {
                    let row = active[at];
                    let sign = if belongs(row) { 1.0 } else { -1.0 };
                    let gradient = sign * product(&weights, rows[row], features) - 1.0 + diagonal * alphas[row];
                    let mut projected = gradient;
                    if alphas[row] == 0.0 {
                        if gradient > highest_before {
                            // Far on the right side: leave it out until the rest is settled.
                            active.swap_remove(at);
                            continue;
                        }
                        projected = gradient.min(0.0);
                    }
                    highest = highest.max(projected);
                    lowest = lowest.min(projected);
                    if projected.abs() > 1e-10 {
                        let before = alphas[row];
                        alphas[row] = (before - gradient / (squares[row] + diagonal)).max(0.0);
                        add(&mut weights, rows[row], features, (alphas[row] - before) * sign);
                    }
                    at += 1;
                }
                if highest - lowest <= TOLERANCE {
                    if active.len() == rows.len() {
                        break;
                    }
                    active = (0..rows.len()).collect();
                    highest_before = f32::INFINITY;
                    continue;
                }
                highest_before = if highest <= 0.0 { f32::INFINITY } else { highest };
            }
        },
    );
    weights
}

#[inline(always)]
fn product(weights: &[f32], row: &Row, features: usize) -> f32 {
    const LANES: usize = 16;
    let sparse: f32 = row.sparse.iter().map(|(feature, value)| weights[*feature as usize] * value).sum();
    let mut lanes = [0.0_f32; LANES];
    let dense = &weights[features..];
    let (values, matching) = (row.dense.chunks_exact(LANES), dense.chunks_exact(LANES));
    for (values, weights) in values.zip(matching) {
        for ((lane, value), weight) in lanes.iter_mut().zip(values).zip(weights) {
            *lane += value * weight;
        }
    }
    let rest = row.dense.len() / LANES * LANES;
    let rest: f32 = row.dense[rest..].iter().zip(&dense[rest..]).map(|(value, weight)| value * weight).sum();
    sparse + lanes.iter().sum::<f32>() + rest + weights[weights.len() - 1]
}

#[inline(always)]
fn add(weights: &mut [f32], row: &Row, features: usize, step: f32) {
    for (feature, value) in &row.sparse {
        weights[*feature as usize] += step * value;
    }
    weights[features..].iter_mut().zip(&row.dense).for_each(|(weight, value)| *weight += step * value);
    if let Some(constant) = weights.last_mut() {
        *constant += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sparse: &[(u32, f32)], dense: &[f32]) -> Row {
        Row { sparse: sparse.to_vec(), dense: dense.to_vec() }
    }

    #[test]
    fn learns_what_sets_classes_apart_and_says_no_to_what_is_neither() {
        let rows: Vec<Row> = (0..60)
            .map(|at| {
                let noise = (at * 7 % 11) as f32 / 110.0;
                let mut dense = [0.0; 20];
                dense[at % 3] = 0.7 + noise;
                row(&[((at % 3) as u32, 0.7), (3 + (at % 5) as u32, 0.3)], &dense)
            })
            .collect();
        let labels: Vec<u32> = (0..60).map(|at| at % 3).collect();
        let head = Head::train(&rows.iter().collect::<Vec<_>>(), &labels, 3, 8, 20);
        for (row, label) in rows.iter().zip(&labels) {
            let margins = head.margins(row);
            assert!(
                margins.iter().enumerate().all(|(class, margin)| (*margin > 0.0) == (class == *label as usize)),
                "{margins:?}"
            );
        }
        let mut nothing = [0.0; 20];
        nothing[19] = 1.0;
        assert!(head.margins(&row(&[], &nothing)).iter().all(|margin| *margin < 0.0));
    }

    #[test]
    fn solves_the_problem_that_it_states() {
        // Of the primal: the gradient of ½|w|² + C·Σ max(0, 1 - y·w·x)² is near zero at the solution.
        let rows: Vec<Row> = (0..40)
            .map(|at| row(&[], &[((at * 37 % 17) as f32 - 8.0) / 8.0, ((at * 53 % 23) as f32 - 11.0) / 11.0]))
            .collect();
        let labels: Vec<u32> = rows.iter().map(|row| u32::from(row.dense[0] + 0.3 * row.dense[1] > 0.2)).collect();
        let references: Vec<&Row> = rows.iter().collect();
        let squares: Vec<f32> = rows.iter().map(Row::square).collect();
        let weights = rule(&references, &squares, |row| labels[row] == 1, 0, 3);
        let mut gradient = weights.clone();
        for (row, label) in rows.iter().zip(&labels) {
            let sign = if *label == 1 { 1.0 } else { -1.0 };
            let loss = (1.0 - sign * product(&weights, row, 0)).max(0.0);
            add(&mut gradient, row, 0, -2.0 * COST * loss * sign);
        }
        let scale = weights.iter().map(|weight| weight.abs()).fold(0.0, f32::max);
        assert!(gradient.iter().all(|value| value.abs() < 0.2 * scale.max(1.0)), "{gradient:?} beside {weights:?}");
    }
}
