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
mod fit;
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
}

impl Evidence {
    fn numbers(&self) -> [f32; 5] {
        [self.margin, self.question_meaning, self.answer_meaning, self.question_words, self.answer_words]
    }
}

/// How much each kind of evidence counts, in units of log-odds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Weights([f32; 5]);

impl Weights {
    /// Where nothing was learned. Chosen on English sets with few variants and on a set of Chinese questions of our own
    /// (tests/data), so that no part alone decides; without a model only words count.
    pub fn usual(language: Language, model: bool) -> Self {
        if !model {
            return Self([0.0, 0.0, 0.0, 14.0, 5.0]);
        }
        match language {
            Language::Chinese => Self([0.0, 1.6, 0.3, 9.0, 2.0]),
            Language::English | Language::Other => Self([0.0, 1.8, 0.4, 5.0, 1.0]),
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
    /// The nearest variant's cosine, in standard deviations.
    pub nearest: f32,
    /// The mean of the five nearest ones.
    pub nearest_five: f32,
    /// Share of the question's words that any piece has.
    pub coverage: f32,
    /// The best variant's share of them.
    pub words: f32,
    /// Probability of the best candidate among the candidates.
    pub probability: f32,
}

impl Signs {
    fn numbers(&self) -> [f32; 7] {
        // Log-odds, bounded: a certain choice among wrong candidates must not outweigh all else.
        let sure = (self.probability.clamp(0.02, 0.98) / (1.0 - self.probability.clamp(0.02, 0.98))).ln();
        [self.margin, self.nearest, self.nearest_five, self.coverage, self.words, sure, 1.0]
    }
}

/// How much each sign counts, in units of log-odds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scope([f32; 7]);

impl Scope {
    /// Where nothing was learned.
    pub fn usual(model: bool) -> Self {
        if model { Self([0.0, 1.0, 0.0, 1.5, 1.0, 0.2, -2.2]) } else { Self([0.0, 0.0, 0.0, 3.0, 5.0, 0.2, -2.0]) }
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
/// `signs.probability` need not be set.
pub fn judge(weights: &Weights, scope: &Scope, candidates: &[Evidence], mut signs: Signs) -> (Vec<f32>, f32) {
    if candidates.is_empty() {
        return (Vec::new(), 0.0);
    }
    let probabilities = softmax(&candidates.iter().map(|candidate| weights.score(candidate)).collect::<Vec<_>>());
    signs.probability = probabilities.iter().copied().fold(0.0, f32::max);
    let in_scope = logistic(product(&scope.0, &signs.numbers()));
    (probabilities, in_scope)
}
