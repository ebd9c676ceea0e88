//! From evidence to a decision: which entry answers a question, how likely that is right, and whether any does.
//!
//! - [`features`]: a text as words and letters; [`head`]: a linear rule per entry over those and the embedding;
//! - [`fit`]: two small fits; [`train`]: how a tenant's own entries teach all of that, with parts of them held out;
//! - this file: what is known of a question ([`Evidence`]) becomes probabilities ([`Ranker::judge`]).
//!
//! Evidence is in units that do not depend on the model: cosines are counted in standard deviations above the mean of
//! pairs of the tenant's own texts, because one model's 0.8 is another's 0.95. Weights are learned from the tenant's entries
//! where there are enough variants, and else are defaults per language; see ARCHITECTURE.md for what each part adds.
//!
//! Nothing here knows where texts and vectors are kept, or what is done with a decision.

pub mod features;
mod file;
pub mod fit;
pub mod head;
pub mod train;

use super::text::Language;
use features::Featurizer;
use fit::{logistic, product, softmax};
use head::{Head, Row};

/// Candidates that share the probability. The right one is among the first 20 for 99 of 100 questions in scope, on all sets.
pub const CANDIDATES: usize = 20;

/// What speaks for one candidate, each number about 0 where nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// What the head's rule says; 0 without a head.
    pub margin: f32,
    /// Cosine with the nearest variant of the question, in standard deviations.
    pub question_meaning: f32,
    /// Cosine with the answer, likewise.
    pub answer_meaning: f32,
    /// Share of the question's words, by their weight, that the best variant has: 0 to about 1.
    pub question_words: f32,
    /// The same of the answer.
    pub answer_words: f32,
    /// Mean cosine with the nearest fifth of the entry's variants, in standard deviations: one variant may be near by chance,
    /// many are not. See [`crowd`].
    pub crowd: f32,
}

impl Evidence {
    fn numbers(&self) -> [f32; KINDS] {
        [self.margin, self.question_meaning, self.answer_meaning, self.question_words, self.answer_words, self.crowd]
    }
}

/// The mean of the nearest fifth of some cosines, of one at least and of 20 at most. Of all signs that were tried this one
/// tells questions out of scope best: AUROC on banking77_oos 0.94, that of the nearest variant 0.87.
pub fn crowd(cosines: &mut [f32]) -> f32 {
    let most = cosines.len().div_ceil(5).min(20);
    if most == 0 {
        return f32::NEG_INFINITY;
    }
    cosines.select_nth_unstable_by(most - 1, |one, other| other.total_cmp(one));
    cosines[..most].iter().sum::<f32>() / most as f32
}

/// Kinds of evidence.
const KINDS: usize = 6;

/// How much each kind of evidence counts, in units of log-odds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weights([f32; KINDS]);

impl Weights {
    /// Where nothing was learned. Chosen on English sets with few variants and on a set of Chinese questions of our own
    /// (tests/data), so that no part alone decides; without a model only words count.
    pub fn usual(language: Language, model: bool) -> Self {
        if !model {
            return Self([0.0, 0.0, 0.0, 14.0, 5.0, 0.0]);
        }
        match language {
            Language::Chinese => Self([0.0, 4.0, 0.6, 5.5, 3.5, 0.0]),
            Language::English | Language::Other => Self([0.0, 3.0, 0.6, 8.0, 1.6, 0.0]),
        }
    }

    /// The same for a head that was just trained, from which [`train`] starts.
    fn with_head(self) -> Self {
        let mut weights = self.0;
        weights.iter_mut().for_each(|weight| *weight *= 0.5);
        weights[0] = 3.0;
        Self(weights)
    }

    pub(super) fn score(&self, evidence: &Evidence) -> f32 {
        product(&self.0, &evidence.numbers())
    }
}

/// What says whether a question is in scope at all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Signs {
    /// The best rule's margin; 0 without a head.
    pub margin: f32,
    /// The best candidate's [`Evidence::crowd`]; 0 without a model.
    pub crowd: f32,
    /// Share of the question's words that the best variant has, where there is no model. Where there is one, it only adds
    /// noise: AUROC on banking77_oos falls by 0.004.
    pub words: f32,
    /// Share of the question's words that any piece has.
    pub coverage: f32,
}

impl Signs {
    fn numbers(&self) -> [f32; SIGNS] {
        [self.margin, self.crowd, self.words, self.coverage, 1.0]
    }
}

/// Signs, and the constant.
const SIGNS: usize = 5;

/// How much each sign counts, in units of log-odds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scope([f32; SIGNS]);

/// Log-odds of a question being in scope before anything is known of it: three of four. What was held out has as many of
/// either kind.
const PRIOR: f32 = 1.1;

impl Scope {
    /// Where nothing was learned.
    pub fn usual(model: bool) -> Self {
        if model { Self([0.0, 1.2, 0.0, 1.5, -3.5]) } else { Self([0.0, 0.0, 6.0, 3.0, -3.0]) }
    }

    fn probability(&self, signs: &Signs) -> f32 {
        logistic(product(&self.0, &signs.numbers()) + PRIOR)
    }
}

/// Mean and spread of cosines between texts that have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// The mean.
    pub mean: f32,
    /// The standard deviation.
    pub deviation: f32,
}

impl Spread {
    /// Of samples. Where there are too few, what English sentence models have on average.
    pub fn of(samples: &[f32]) -> Self {
        let count = samples.len() as f32;
        if count < 10.0 {
            return Self { mean: 0.2, deviation: 0.15 };
        }
        let mean = samples.iter().sum::<f32>() / count;
        let deviation = (samples.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
        Self { mean, deviation: deviation.max(0.005) }
    }

    /// A cosine in standard deviations above the mean.
    pub fn units(self, cosine: f32) -> f32 {
        (cosine - self.mean) / self.deviation
    }
}

/// What was learned from one tenant's entries.
#[derive(Debug, Clone)]
pub struct Ranker {
    /// Ids of the entries that it knows, in the order of the head's classes.
    pub entries: Vec<String>,
    pub(super) featurizer: Featurizer,
    pub(super) head: Head,
    /// Mean of the questions' vectors; empty without a model.
    pub(super) centre: Vec<f32>,
    pub(super) weights: Weights,
    pub(super) scope: Scope,
}

impl Ranker {
    /// What each known entry's rule says of a question.
    pub fn margins(&self, analyzer: &mut super::text::Analyzer, text: &str, vector: Option<&[f32]>) -> Vec<f32> {
        self.head.margins(&row(&self.featurizer, &self.centre, analyzer, text, vector))
    }

    /// Probabilities of candidates, and that any is right. See [`judge`].
    pub fn judge(&self, candidates: &[Evidence], signs: Signs) -> (Vec<f32>, f32) {
        judge(&self.weights, &self.scope, candidates, signs)
    }
}

/// A text as the head wants it: the vector is centred, because what all of a tenant's questions share tells nothing.
fn row(
    features: &Featurizer,
    centre: &[f32],
    analyzer: &mut super::text::Analyzer,
    text: &str,
    vector: Option<&[f32]>,
) -> Row {
    let mut dense: Vec<f32> = match vector {
        Some(vector) if vector.len() == centre.len() => {
            vector.iter().zip(centre).map(|(value, mean)| value - mean).collect()
        }
        _ => vec![0.0; centre.len()],
    };
    let length = dense.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        dense.iter_mut().for_each(|value| *value /= length);
    }
    Row { sparse: features.vector(analyzer, text), dense }
}

/// Probabilities of candidates, in their order, given that one of them is right; and the probability that any is.
/// `signs.crowd` need not be set.
pub fn judge(weights: &Weights, scope: &Scope, candidates: &[Evidence], mut signs: Signs) -> (Vec<f32>, f32) {
    if candidates.is_empty() {
        return (Vec::new(), 0.0);
    }
    let probabilities = softmax(&candidates.iter().map(|candidate| weights.score(candidate)).collect::<Vec<_>>());
    let best = probabilities.iter().zip(candidates).max_by(|one, other| one.0.total_cmp(other.0));
    signs.crowd = best.map_or(0.0, |(_, candidate)| candidate.crowd);
    let in_scope = scope.probability(&signs);
    (probabilities, in_scope)
}
