//! What a tenant's own entries teach.
//!
//! The head learns from all variants. How far to trust it beside the other evidence, and what a question looks like to which no
//! entry belongs, is learned from questions that a head has not seen: in each of some rounds a part of the variants is held
//! out, and a part of the *entries* with all that they say. Variants of entries that are held out are questions out of scope
//! of the hardest kind: about the same business, and not in the knowledge base.

use super::{
    CANDIDATES, Evidence, KINDS, Ranker, SIGNS, Scope, Signs, Spread, Weights, crowd,
    features::Featurizer,
    fit::{Choice, choices, kinds},
    head::{Head, Row},
    row,
};
use crate::search::text::{Analyzer, Language};

/// From how many variants per entry, on average, a head is better than the nearest variant.
pub const VARIANTS_PER_ENTRY: usize = 5;

/// Numbers that a head may consist of (128 MB). Rare features are left out where entries are many; above this many entries
/// none is trained.
const MAX_WEIGHTS: usize = 32_000_000;

/// Pairs of entry and variant that a head is trained on at most: each is looked at some times, and this many take a minute or
/// two. A base with more is ranked by the usual weights.
const MAX_PAIRS: usize = 6_000_000;

/// Features at most, even for few entries.
const MAX_FEATURES: usize = 60_000;

/// Parts that variants and entries are dealt into; one of each is held out in a round.
const PARTS: usize = 4;

/// Questions held out in all rounds together are at most about so many: each is compared with all variants.
const MAX_PROBES: usize = 3_000;

/// How many held-out questions it takes to believe them rather than the usual weights.
const FORCE: f32 = 10.0;

/// A variant of an entry, or a question that is known to be out of scope.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Number of the entry; none if it is out of scope.
    pub entry: Option<u32>,
    /// What it says.
    pub text: &'a str,
    /// What it means; none without a model.
    pub vector: Option<&'a [f32]>,
}

/// The rest of what is known of the entries: what words say, and the answers.
pub trait Knowledge {
    /// Share of the question's words that the best of the examples that may be used has, per entry, and that any piece has.
    /// `usable` is asked for an example's number.
    fn question_words(
        &self,
        analyzer: &mut Analyzer,
        text: &str,
        usable: &dyn Fn(usize) -> bool,
    ) -> (Vec<(u32, f32)>, f32);

    /// The same of the answers, per entry.
    fn answer_words(&self, analyzer: &mut Analyzer, text: &str) -> Vec<(u32, f32)>;

    /// Cosine with each entry's answer, in standard deviations.
    fn answer_meanings(&self, vector: &[f32]) -> Vec<(u32, f32)>;
}

/// What training found, for people.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Report {
    /// Entries that the head knows.
    pub entries: usize,
    /// Variants that it was trained on.
    pub variants: usize,
    /// Features of the head.
    pub features: usize,
    /// Questions that were held out.
    pub held_out: usize,
    /// Share of them that the first candidate was right for, where their entry was not held out.
    pub accuracy: f32,
}

/// Whether there is enough to learn from.
pub fn is_enough(entries: usize, variants: usize) -> bool {
    let fits = entries.saturating_mul(variants) <= MAX_PAIRS && entries.saturating_mul(2_000) <= MAX_WEIGHTS;
    entries >= 2 && variants >= VARIANTS_PER_ENTRY * entries && fits
}

/// Learns. `entries` are the ids of the entries by number; `spread` is that of the questions' cosines. Takes some seconds
/// for 10,000 variants of 77 entries, and grows with the product of the two.
pub fn train(
    entries: Vec<String>,
    examples: &[Example<'_>],
    language: Language,
    spread: Spread,
    knowledge: &dyn Knowledge,
) -> (Ranker, Report) {
    let mut analyzer = Analyzer::default();
    let width = examples.iter().find_map(|example| example.vector).map_or(0, <[f32]>::len);
    let inside = || examples.iter().filter(|example| example.entry.is_some());
    let centre = mean(inside().filter_map(|example| example.vector), width);
    let most = (MAX_WEIGHTS / entries.len().max(1)).saturating_sub(width + 1).min(MAX_FEATURES);
    let featurizer = Featurizer::new(&mut analyzer, inside().map(|example| example.text), most);
    let rows: Vec<Row> =
        examples.iter().map(|example| row(&featurizer, &centre, &mut analyzer, example.text, example.vector)).collect();
    let mut held = HeldOut {
        classes: entries.len(),
        features: featurizer.count(),
        width,
        examples,
        rows: &rows,
        parts: dealt(examples),
        spread,
        knowledge,
        start: Weights::usual(language, width > 0).with_head(),
        analyzer,
        choices: Vec::new(),
        signs: Vec::new(),
    };
    let rounds = if examples.len() > MAX_PROBES { PARTS / 2 } else { PARTS };
    (0..rounds).for_each(|round| held.round(round, MAX_PROBES / rounds));
    let (weights, scope, accuracy) = held.fitted();
    let report = Report {
        entries: entries.len(),
        variants: inside().count(),
        features: featurizer.count(),
        held_out: held.signs.len(),
        accuracy,
    };
    let all: Vec<usize> = (0..examples.len()).collect();
    let head = held.head(&all);
    (Ranker { entries, featurizer, head, centre, weights, scope }, report)
}

/// For each example the part that it is dealt into, and the part of its entry. Out of scope, both are the same.
fn dealt(examples: &[Example<'_>]) -> Vec<(usize, Option<usize>)> {
    let mut counts = std::collections::BTreeMap::new();
    let deal = |example: &Example<'_>| {
        let count = counts.entry(example.entry).or_insert(0_usize);
        *count += 1;
        let entry = example.entry.map(part_of);
        (*count % PARTS, entry)
    };
    examples.iter().map(deal).collect()
}

/// The part that an entry is dealt into. Entries that stand beside each other are often alike; a multiplier spreads them.
fn part_of(entry: u32) -> usize {
    (entry.wrapping_mul(2_654_435_769) >> 16) as usize % PARTS
}

fn mean<'a>(vectors: impl Iterator<Item = &'a [f32]>, width: usize) -> Vec<f32> {
    let (mut sum, mut count) = (vec![0.0; width], 0.0_f32);
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|value| *value /= count.max(1.0));
    sum
}

/// The questions that were held out so far, and what they are compared with.
struct HeldOut<'a> {
    classes: usize,
    features: usize,
    width: usize,
    examples: &'a [Example<'a>],
    rows: &'a [Row],
    parts: Vec<(usize, Option<usize>)>,
    spread: Spread,
    knowledge: &'a dyn Knowledge,
    start: Weights,
    analyzer: Analyzer,
    /// Of questions in scope.
    choices: Vec<Choice<KINDS>>,
    /// Of all: candidates, signs, and whether the question is in scope.
    signs: Vec<(Vec<Evidence>, Signs, bool)>,
}

impl HeldOut<'_> {
    fn head(&self, seen: &[usize]) -> Head {
        let rows: Vec<&Row> = seen.iter().map(|at| &self.rows[*at]).collect();
        // What is out of scope belongs to no class.
        let labels: Vec<u32> = seen.iter().map(|at| self.examples[*at].entry.unwrap_or(u32::MAX)).collect();
        Head::train(&rows, &labels, self.classes, self.features, self.width)
    }

    /// Trains without one part and asks about it; `most` questions.
    fn round(&mut self, round: usize, most: usize) {
        let (mut seen, mut inside, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (part, entry)) in self.parts.iter().enumerate() {
            match entry {
                Some(entry) if *entry == round => outside.push(at),
                Some(_) if *part == round => inside.push(at),
                None if *part == round => outside.push(at),
                _ => seen.push(at),
            }
        }
        let head = self.head(&seen);
        let mut is_seen = vec![false; self.examples.len()];
        seen.iter().for_each(|at| is_seen[*at] = true);
        for probes in [inside, outside] {
            let every = (probes.len() * 2).div_ceil(most).max(1);
            for at in probes.into_iter().step_by(every) {
                self.ask(at, round, &head, &is_seen);
            }
        }
    }

    /// What a head that has not seen the example, and the rest of the examples, say of it.
    fn ask(&mut self, at: usize, round: usize, head: &Head, is_seen: &[bool]) {
        let example = self.examples[at];
        let mut candidates =
            vec![
                Evidence { question_meaning: f32::NEG_INFINITY, crowd: f32::NEG_INFINITY, ..Evidence::default() };
                self.classes
            ];
        let mut signs = Signs::default();
        for (candidate, margin) in candidates.iter_mut().zip(head.margins(&self.rows[at])) {
            candidate.margin = margin;
        }
        if let Some(vector) = example.vector {
            let mut units = vec![Vec::new(); self.classes];
            for (other, _) in self.examples.iter().zip(is_seen).filter(|(_, seen)| **seen) {
                if let (Some(entry), Some(other)) = (other.entry, other.vector) {
                    units[entry as usize].push(self.spread.units(dot(vector, other)));
                }
            }
            for (candidate, units) in candidates.iter_mut().zip(&mut units) {
                candidate.question_meaning = units.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                candidate.crowd = crowd(units);
            }
            for (entry, units) in self.knowledge.answer_meanings(vector) {
                candidates[entry as usize].answer_meaning = units;
            }
        }
        let (words, coverage) =
            self.knowledge.question_words(&mut self.analyzer, example.text, &|other| is_seen[other]);
        signs.coverage = coverage;
        for (entry, share) in words {
            candidates[entry as usize].question_words = share;
            if example.vector.is_none() {
                signs.words = signs.words.max(share);
            }
        }
        for (entry, share) in self.knowledge.answer_words(&mut self.analyzer, example.text) {
            candidates[entry as usize].answer_words = share;
        }
        signs.margin = candidates.iter().map(|candidate| candidate.margin).fold(f32::NEG_INFINITY, f32::max);

        // Entries that are held out are not there.
        let held_out = |entry: usize| part_of(entry as u32) == round;
        let mut numbered: Vec<(usize, Evidence)> =
            candidates.into_iter().enumerate().filter(|(entry, _)| !held_out(*entry)).collect();
        for (_, candidate) in &mut numbered {
            let least = if self.width > 0 { -3.0 } else { 0.0 };
            candidate.question_meaning = candidate.question_meaning.max(least);
            candidate.crowd = candidate.crowd.max(least);
        }
        numbered.sort_by(|one, other| self.start.score(&other.1).total_cmp(&self.start.score(&one.1)));
        let right = example.entry.filter(|entry| !held_out(*entry as usize)).map(|entry| entry as usize);
        let place = right.and_then(|right| numbered.iter().position(|(entry, _)| *entry == right));
        if let Some(place) = place.filter(|place| *place >= CANDIDATES) {
            numbered.swap(place, CANDIDATES - 1);
        }
        numbered.truncate(CANDIDATES);
        let candidates: Vec<Evidence> = numbered.iter().map(|(_, candidate)| *candidate).collect();
        if let Some(place) = place {
            let right = place.min(CANDIDATES - 1);
            self.choices.push(Choice { candidates: candidates.iter().map(Evidence::numbers).collect(), right });
        }
        self.signs.push((candidates, signs, place.is_some()));
    }

    /// Weights and scope, and how often the first candidate was right.
    fn fitted(&self) -> (Weights, Scope, f32) {
        let weights = Weights(choices(&self.choices, self.start.0, FORCE));
        let first = |case: &Choice<KINDS>| {
            let scores = case.candidates.iter().map(|candidate| super::product(&weights.0, candidate));
            scores.enumerate().max_by(|one, other| one.1.total_cmp(&other.1)).map(|(at, _)| at)
        };
        let right = self.choices.iter().filter(|case| first(case) == Some(case.right)).count();
        let cases: Vec<([f32; SIGNS], bool)> = self
            .signs
            .iter()
            .map(|(candidates, signs, inside)| {
                let scores: Vec<f32> = candidates.iter().map(|candidate| weights.score(candidate)).collect();
                let best = scores.iter().zip(candidates).max_by(|one, other| one.0.total_cmp(other.0));
                (Signs { crowd: best.map_or(0.0, |(_, best)| best.crowd), ..*signs }.numbers(), *inside)
            })
            .collect();
        let scope = Scope(kinds(&cases, Scope::usual(self.width > 0).0, FORCE));
        (weights, scope, right as f32 / self.choices.len().max(1) as f32)
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut lanes = [0.0_f32; LANES];
            let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
            let rest: f32 = ones.remainder().iter().zip(others.remainder()).map(|(one, other)| one * other).sum();
            for (one, other) in ones.zip(others) {
                lanes.iter_mut().zip(one).zip(other).for_each(|((lane, one), other)| *lane += one * other);
            }
            lanes.iter().sum::<f32>() + rest
        },
    )
}
