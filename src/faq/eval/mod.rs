//! How good the answers would be: a knowledge base is built of a file, asked the questions of another one, and what comes first
//! is compared with what is right.
//!
//! What is measured is what runs: [`Base`] with its training, and the same decision. Labels of the questions are looked at after
//! the answer only.
//!
//! - [`rows`]: the files; [`measures`]: the figures; [`thresholds`]: what each threshold would do.

pub mod measures;
pub mod rows;
pub mod thresholds;

use crate::search::{
    base::{Base, BaseError, Change, Embed, EntryText, OutOfScope, Question, Ranked, Reader},
    embed::{ModelIdentity, Role},
};
use measures::Figures;
use rows::{Asked, Known};
use std::time::{Duration, Instant};

/// Questions in one call of the model when throughput is measured.
const BATCH: usize = 32;

/// Questions that throughput is measured on: enough for a steady figure, few enough not to double the time of an evaluation.
const MEASURED: usize = 512;

/// How far an evaluation is.
pub trait Progress {
    /// `done` of `all` of this step are done.
    fn step(&self, name: &str, done: usize, all: usize);
}

/// What one question got.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Place of a right answer among the candidates, from 1; none if it is not among them.
    pub place: Option<usize>,
    /// Whether any entry would be right.
    pub in_scope: bool,
    /// Probability of the first candidate, given that one is right.
    pub probability: f64,
    /// Probability that any is.
    pub scope: f64,
}

impl Outcome {
    /// Probability that the first candidate is right.
    pub fn confidence(&self) -> f64 {
        self.probability * self.scope
    }
}

/// Outcomes of all questions, and what they took.
#[derive(Debug, Clone, Default)]
pub struct Outcomes {
    /// In the order of the questions.
    pub all: Vec<Outcome>,
    /// From the question to the decision, one at a time, with the model.
    pub latencies: Vec<Duration>,
    /// Time that the first of them took with the model in batches.
    pub batched: Duration,
    /// Time of embedding and indexing the entries, and of training.
    pub built: Duration,
    /// Time of training alone.
    pub trained: Duration,
    /// What training said; none where there are too few variants.
    pub report: Option<crate::search::rank::train::Report>,
}

/// Builds a base of `known` in memory, trains it and asks all of `asked`. `model` is the model with its function; none
/// means words only.
///
/// # Errors
///
/// Those of the model and of the index.
pub fn evaluate(
    known: &Known,
    asked: &[Asked],
    model: Option<(&ModelIdentity, &Embed<'_>)>,
    progress: &dyn Progress,
) -> Result<Outcomes, BaseError> {
    let started = Instant::now();
    let mut base = Base::in_memory(model.map(|(identity, _)| identity))?;
    let changes = known.entries.iter().cloned().map(Change::Put).collect();
    base.apply(changes, model.map(|(_, embed)| embed), &|done, all| progress.step("embedding entries", done, all))?;
    let mut outside = Vec::new();
    for texts in known.out_of_scope.chunks(BATCH) {
        let vectors = match model {
            Some((_, embed)) => embed(&texts.iter().map(String::as_str).collect::<Vec<_>>(), Role::Question)?
                .into_iter()
                .map(Some)
                .collect(),
            None => vec![None; texts.len()],
        };
        outside.extend(texts.iter().zip(vectors).map(|(text, vector)| OutOfScope { text: text.clone(), vector }));
    }
    let training = Instant::now();
    progress.step("training", 0, 1);
    let report = base.train_with(&outside)?;
    let (built, trained) = (started.elapsed(), training.elapsed());
    let reader = base.reader();
    // The first question loads what is loaded once: the dictionary of Chinese, the vocabulary.
    let warm = asked.first().map(|asked| ask(&reader, asked, model)).transpose()?;
    drop(warm);

    let mut outcomes = Outcomes { built, trained, report, ..Outcomes::default() };
    for (at, question) in asked.iter().enumerate() {
        let asking = Instant::now();
        let ranked = ask(&reader, question, model)?;
        outcomes.latencies.push(asking.elapsed());
        outcomes.all.push(outcome(question, &ranked));
        progress.step("asking", at + 1, asked.len());
    }
    let batched = Instant::now();
    for questions in asked[..asked.len().min(MEASURED)].chunks(BATCH) {
        let texts: Vec<String> = questions.iter().map(|asked| Reader::text_to_embed(&question(asked, None))).collect();
        let vectors = model
            .map(|(_, embed)| embed(&texts.iter().map(String::as_str).collect::<Vec<_>>(), Role::Question))
            .transpose()?;
        for (at, asked) in questions.iter().enumerate() {
            reader.ask(&question(asked, vectors.as_ref().map(|vectors| vectors[at].as_slice())))?;
        }
    }
    outcomes.batched = batched.elapsed();
    Ok(outcomes)
}

fn question<'a>(asked: &'a Asked, vector: Option<&'a [f32]>) -> Question<'a> {
    Question { text: &asked.text, earlier: &asked.earlier, language: None, vector }
}

/// One question, as the engine asks it.
fn ask(reader: &Reader, asked: &Asked, model: Option<(&ModelIdentity, &Embed<'_>)>) -> Result<Ranked, BaseError> {
    let text = Reader::text_to_embed(&question(asked, None));
    let vector = model
        .map(|(_, embed)| embed(&[&text], Role::Question))
        .transpose()?
        .and_then(|vectors| vectors.into_iter().next());
    reader.ask(&question(asked, vector.as_deref()))
}

fn outcome(asked: &Asked, ranked: &Ranked) -> Outcome {
    let place = ranked.candidates.iter().position(|found| asked.right.contains(&found.entry)).map(|at| at + 1);
    Outcome {
        place,
        in_scope: !asked.right.is_empty(),
        probability: ranked.candidates.first().map_or(0.0, |first| first.probability),
        scope: ranked.in_scope,
    }
}

/// Figures of outcomes, and what they took.
pub fn figures(outcomes: &Outcomes) -> Figures {
    let measured = outcomes.all.len().min(MEASURED) as f64;
    let batched = outcomes.batched.as_secs_f64();
    let queries_per_s = if batched > 0.0 { measured / batched } else { 0.0 };
    Figures::of(&outcomes.all).with_times(&outcomes.latencies, queries_per_s)
}

/// A copy of a base with every entry's last variant taken out as a question: what an evaluation can ask where nobody has
/// questions of its own. Entries with one variant stay and are not asked.
pub fn leave_one_out(known: &Known) -> (Known, Vec<Asked>) {
    let mut asked = Vec::new();
    let entries = known.entries.iter().cloned().map(|mut entry: EntryText| {
        if let Some(text) = entry.similar.pop() {
            asked.push(Asked { text, right: vec![entry.id.clone()], earlier: Vec::new(), group: None });
        }
        entry
    });
    let entries = entries.collect();
    let known = Known { entries, out_of_scope: known.out_of_scope.clone() };
    (known, asked)
}
