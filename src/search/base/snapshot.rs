//! What readers see: one state of a tenant's entries, never changed, and the asking.

use super::{Found, Parts, Question, Ranked, context};
use crate::search::{
    lexical::{IndexError, Part, Searcher},
    rank::{self, CANDIDATES, Evidence, Ranker, Scope, Signs, Spread, Weights},
    text::{Analyzer, Language},
    vectors::Vectors,
};
use std::{collections::BTreeMap, sync::Arc};

/// Pieces that a question is compared with in full. Of 10,000 variants the right entry's best one is among the first 100 by
/// meaning or by words for 99.7 % of the questions of all sets.
const NEAREST: usize = 100;

/// The same for answers, of which each entry has one.
const NEAREST_ANSWERS: usize = 30;

/// A piece of text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Number of its entry; none if it is no more.
    pub entry: Option<u32>,
    pub part: Part,
}

/// An entry as it is searched.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub id: Arc<str>,
    pub version: u64,
    /// Of its questions.
    pub questions: Vec<u32>,
    pub answer: Option<u32>,
}

/// What was learned, and which entries' numbers its classes are.
#[derive(Debug)]
pub(super) struct Trained {
    pub ranker: Ranker,
    pub classes: BTreeMap<u32, usize>,
    pub numbers: Vec<Option<u32>>,
}

/// One state.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub slots: Arc<Vec<Slot>>,
    pub entries: Arc<Vec<Option<Known>>>,
    /// How many answers there are.
    pub answers: usize,
    pub searcher: Searcher,
    pub vectors: Option<Vectors>,
    pub trained: Option<Arc<Trained>>,
    pub question_spread: Spread,
    pub answer_spread: Spread,
}

impl Snapshot {
    pub(super) fn is_live(&self, slot: u32, part: Part) -> bool {
        self.slots.get(slot as usize).is_some_and(|slot| slot.entry.is_some() && slot.part == part)
    }

    fn entry_of(&self, slot: u32) -> Option<u32> {
        self.slots.get(slot as usize).and_then(|slot| slot.entry)
    }

    /// Shares of a question's words, best per entry, among pieces that may be used; and what any piece has.
    pub(super) fn words(
        &self,
        analyzer: &mut Analyzer,
        text: &str,
        part: Part,
        usable: &dyn Fn(u32) -> bool,
    ) -> Result<(Vec<(u32, f32)>, f32), IndexError> {
        let terms = self.searcher.terms(analyzer, text)?;
        let limit = if part == Part::Question { NEAREST } else { NEAREST_ANSWERS };
        let mut best = BTreeMap::new();
        for (slot, score) in self.searcher.search(&terms.words, part, limit)? {
            if let Some(entry) = self.entry_of(slot).filter(|_| usable(slot)) {
                // Best first: the first of an entry is its best.
                best.entry(entry).or_insert(score / terms.best_score.max(f32::MIN_POSITIVE));
            }
        }
        Ok((best.into_iter().collect(), terms.coverage))
    }

    pub(super) fn ask(&self, analyzer: &mut Analyzer, question: &Question<'_>) -> Result<Ranked, IndexError> {
        let text = context::with_context(question);
        let language = Language::of(&text);
        let vector = question
            .vector
            .filter(|vector| self.vectors.as_ref().is_some_and(|all| all.rows().width() == vector.len()));
        let (mut found, mut signs) = self.retrieve(analyzer, &text, vector)?;

        let mut margins = Vec::new();
        if let Some(trained) = &self.trained {
            margins = trained.ranker.margins(analyzer, &text, vector);
            signs.margin = margins.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut first: Vec<usize> = (0..margins.len()).collect();
            first.sort_unstable_by(|one, other| margins[*other].total_cmp(&margins[*one]));
            for class in first.into_iter().take(CANDIDATES / 2) {
                if let Some(entry) = trained.numbers[class].filter(|entry| self.entries[*entry as usize].is_some()) {
                    found.entry(entry).or_default();
                }
            }
        }
        let mut candidates: Vec<(u32, Evidence, bool)> = found
            .into_iter()
            .map(|(entry, mut evidence)| {
                let class = self.trained.as_ref().and_then(|trained| trained.classes.get(&entry));
                evidence.margin = class.map_or(0.0, |class| margins[*class]);
                if let Some(vector) = vector {
                    self.compare(entry, vector, &mut evidence);
                }
                (entry, evidence, class.is_some())
            })
            .collect();
        let weights = Weights::usual(language, vector.is_some());
        let learned = self.trained.as_ref().map(|trained| &trained.ranker);
        let order = |known: bool, evidence: &Evidence| match learned {
            Some(ranker) if known => ranker.weights.score(evidence),
            _ => weights.score(evidence),
        };
        candidates
            .sort_by(|one, other| order(other.2, &other.1).total_cmp(&order(one.2, &one.1)).then(one.0.cmp(&other.0)));
        candidates.truncate(CANDIDATES);

        let (probabilities, in_scope) = self.judge(&candidates, signs, weights, vector.is_some());
        let mut ranked: Vec<Found> = candidates
            .iter()
            .zip(probabilities)
            .filter_map(|((entry, evidence, _), probability)| {
                let known = self.entries[*entry as usize].as_ref()?;
                Some(Found {
                    entry: known.id.to_string(),
                    entry_version: known.version,
                    probability: f64::from(probability),
                    parts: Parts::from(*evidence),
                })
            })
            .collect();
        ranked.sort_by(|one, other| {
            other.probability.total_cmp(&one.probability).then_with(|| one.entry.cmp(&other.entry))
        });
        Ok(Ranked { candidates: ranked, in_scope: f64::from(in_scope), language: language.tag() })
    }

    /// Probabilities. Entries that came after the last training are weighed by the usual weights against all, and what they
    /// get is taken from the others evenly.
    fn judge(
        &self,
        candidates: &[(u32, Evidence, bool)],
        signs: Signs,
        usual: Weights,
        model: bool,
    ) -> (Vec<f32>, f32) {
        let all: Vec<Evidence> = candidates.iter().map(|(_, evidence, _)| *evidence).collect();
        let unlearned = || rank::judge(&usual, &Scope::usual(model), &all, signs);
        let Some(trained) = &self.trained else { return unlearned() };
        if candidates.iter().all(|(_, _, known)| *known) {
            return trained.ranker.judge(&all, signs);
        }
        let (mut probabilities, usual_scope) = unlearned();
        let of_new: f32 =
            probabilities.iter().zip(candidates).filter(|(_, (_, _, known))| !known).map(|(p, _)| p).sum();
        let old: Vec<Evidence> =
            candidates.iter().filter(|(_, _, known)| *known).map(|(_, evidence, _)| *evidence).collect();
        let (of_old, scope) = trained.ranker.judge(&old, signs);
        let mut of_old = of_old.into_iter();
        for (probability, _) in probabilities.iter_mut().zip(candidates).filter(|(_, (_, _, known))| *known) {
            *probability = of_old.next().unwrap_or_default() * (1.0 - of_new);
        }
        (probabilities, scope * (1.0 - of_new) + usual_scope * of_new)
    }

    /// Entries that words or meaning bring up, with what words say of them.
    fn retrieve(
        &self,
        analyzer: &mut Analyzer,
        text: &str,
        vector: Option<&[f32]>,
    ) -> Result<(BTreeMap<u32, Evidence>, Signs), IndexError> {
        let mut found: BTreeMap<u32, Evidence> = BTreeMap::new();
        let mut signs = Signs::default();
        let (questions, coverage) = self.words(analyzer, text, Part::Question, &|_| true)?;
        signs.coverage = coverage;
        for (entry, share) in questions {
            found.entry(entry).or_default().question_words = share;
            if vector.is_none() {
                signs.words = signs.words.max(share);
            }
        }
        for (entry, share) in self.words(analyzer, text, Part::Answer, &|_| true)?.0 {
            found.entry(entry).or_default().answer_words = share;
        }
        if let (Some(vector), Some(vectors)) = (vector, &self.vectors) {
            let near = vectors.search(vector, NEAREST, |slot| self.is_live(slot, Part::Question));
            let answers = self.near_answers(vectors, vector);
            for entry in near.iter().chain(&answers).filter_map(|(slot, _)| self.entry_of(*slot)) {
                found.entry(entry).or_default();
            }
        }
        Ok((found, signs))
    }

    /// Where few of the pieces are answers, a graph would be searched in vain for long: they are compared one by one.
    fn near_answers(&self, vectors: &Vectors, vector: &[f32]) -> Vec<(u32, f32)> {
        let is_answer = |slot| self.is_live(slot, Part::Answer);
        if self.answers == 0 {
            Vec::new()
        } else if self.answers * 4 < self.slots.len() {
            vectors.rows().nearest(vector, NEAREST_ANSWERS, 0, is_answer)
        } else {
            vectors.search(vector, NEAREST_ANSWERS, is_answer)
        }
    }

    /// Compares a question with all that an entry says.
    fn compare(&self, entry: u32, vector: &[f32], evidence: &mut Evidence) {
        let (Some(known), Some(vectors)) = (&self.entries[entry as usize], &self.vectors) else { return };
        let cosine = |slot: &u32| vectors.rows().cosine(*slot, vector);
        let mut units: Vec<f32> = known.questions.iter().map(|slot| self.question_spread.units(cosine(slot))).collect();
        evidence.question_meaning = units.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        evidence.crowd = rank::crowd(&mut units);
        evidence.answer_meaning = known.answer.map_or(0.0, |slot| self.answer_spread.units(cosine(&slot)));
    }
}
