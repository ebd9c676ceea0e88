//! What a base learns, and how it is kept.

use super::{
    Base, BaseError, EntryText, GRAPH, journal, pieces,
    snapshot::{Snapshot, Trained},
};
use crate::search::{
    lexical::Part,
    rank::{
        Ranker, Spread,
        train::{self, Example, Knowledge, Report},
    },
    text::{Analyzer, Language},
    vectors::{Graph, Vectors},
};
use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

/// Pairs of texts that the spread of cosines is taken from.
const PAIRS: usize = 4_000;

/// Name of the file of what was learned.
const LEARNED: &str = "learned";

/// A question that no entry answers, with its vector where there is a model.
#[derive(Debug, Clone)]
pub struct OutOfScope {
    /// What was asked.
    pub text: String,
    /// What it means.
    pub vector: Option<Vec<f32>>,
}

/// What a base holds at one moment, to be learned from aside while the base goes on changing.
pub struct Lesson {
    snapshot: Arc<Snapshot>,
    entries: Vec<(EntryText, u32)>,
}

/// What came of a [`Lesson`].
pub struct Learned {
    ranker: Option<(Ranker, Report)>,
    graph: Option<Graph>,
    /// Numbers that the entries had, by id.
    numbers: BTreeMap<String, u32>,
}

impl Lesson {
    /// Learns, and makes the graph of the vectors if one is due. Takes seconds to minutes.
    ///
    /// # Errors
    ///
    /// The graph cannot be made.
    pub fn learn(&self, out_of_scope: &[OutOfScope]) -> Result<Learned, BaseError> {
        let wanted = self.snapshot.vectors.as_ref().filter(|vectors| vectors.wants_graph());
        let graph = wanted.map(|vectors| Graph::build(vectors.rows())).transpose();
        let graph = graph.map_err(|error| journal::failed(Path::new(GRAPH), error))?;
        let numbers = self.entries.iter().map(|(entry, number)| (entry.id.clone(), *number)).collect();
        Ok(Learned { ranker: self.ranker(out_of_scope), graph, numbers })
    }

    /// `None`: there is too little to learn from.
    fn ranker(&self, out_of_scope: &[OutOfScope]) -> Option<(Ranker, Report)> {
        let snapshot = &self.snapshot;
        let live: Vec<(&EntryText, u32)> = self.entries.iter().map(|(entry, number)| (entry, *number)).collect();
        let variants: usize = live.iter().map(|(entry, _)| entry.questions().count()).sum();
        if !train::is_enough(live.len(), variants) {
            return None;
        }
        let mut vectors = Vec::new();
        let mut questions = Vec::new();
        for (class, (entry, number)) in live.iter().enumerate() {
            let first = snapshot.entries[*number as usize].as_ref().and_then(|known| known.questions.first().copied());
            for (slot, _, text) in
                pieces(entry, first.unwrap_or_default()).filter(|(_, part, _)| *part == Part::Question)
            {
                questions.push((class as u32, slot, text));
                vectors.push(snapshot.vectors.as_ref().map(|vectors| {
                    let mut vector = vec![0.0; vectors.rows().width()];
                    vectors.rows().read(slot, &mut vector);
                    vector
                }));
            }
        }
        let inside = questions.iter().zip(&vectors).map(|((class, _, text), vector)| Example {
            entry: Some(*class),
            text,
            vector: vector.as_deref(),
        });
        let outside = out_of_scope.iter().map(|question| Example {
            entry: None,
            text: &question.text,
            vector: question.vector.as_deref().filter(|_| snapshot.vectors.is_some()),
        });
        let examples: Vec<Example<'_>> = inside.chain(outside).collect();
        let knowledge = Known {
            snapshot,
            classes: live.iter().enumerate().map(|(class, (_, number))| (*number, class as u32)).collect(),
            examples: questions.iter().enumerate().map(|(at, (_, slot, _))| (*slot, at)).collect(),
        };
        let chinese = questions.iter().filter(|(_, _, text)| Language::of(text) == Language::Chinese).count();
        let language = if chinese * 2 > questions.len() { Language::Chinese } else { Language::English };
        let ids = live.iter().map(|(entry, _)| entry.id.clone()).collect();
        Some(train::train(ids, &examples, language, snapshot.question_spread, &knowledge))
    }
}

impl Base {
    /// The same as [`train`](Base::train), with questions that are known to be out of scope.
    ///
    /// # Errors
    ///
    /// What was learned cannot be written.
    pub fn train_with(&mut self, out_of_scope: &[OutOfScope]) -> Result<Option<Report>, BaseError> {
        let learned = self.lesson().learn(out_of_scope)?;
        self.take_up(learned)
    }

    /// What there is to learn from now.
    pub fn lesson(&self) -> Lesson {
        let entries = self.entries.values().map(|(number, entry)| (entry.clone(), *number)).collect();
        Lesson { snapshot: self.snapshot.load_full(), entries }
    }

    /// Takes up what was learned from a lesson of this very base, opened once. Entries that have changed since are as if they
    /// had not been learned.
    ///
    /// # Errors
    ///
    /// What was learned cannot be written; readers go on with what was learned before.
    pub fn take_up(&mut self, learned: Learned) -> Result<Option<Report>, BaseError> {
        let Learned { ranker, graph, numbers } = learned;
        if let Some(graph) = graph {
            self.take_up_graph(graph)?;
        }
        let Some((ranker, report)) = ranker else { return Ok(None) };
        if let Some(dir) = &self.dir {
            ranker.save(&dir.join(LEARNED)).map_err(|error| journal::failed(dir, error))?;
        }
        self.publish(ranker, |id, number| numbers.get(id) == Some(&number));
        Ok(Some(report))
    }

    /// Takes up what was learned before, if it is there and of use; otherwise it is learned again when the caller says so.
    pub(super) fn read_learned(&self) {
        let Some(dir) = &self.dir else { return };
        let width = self.rows.as_ref().map_or(0, |rows| rows.width());
        if let Ok(ranker) = Ranker::open(&dir.join(LEARNED), width) {
            self.publish(ranker, |_, _| true);
        }
    }

    fn publish(&self, ranker: Ranker, is_same: impl Fn(&str, u32) -> bool) {
        let number =
            |id: &String| self.entries.get(id).map(|(number, _)| *number).filter(|number| is_same(id, *number));
        let numbers: Vec<Option<u32>> = ranker.entries.iter().map(number).collect();
        let classes = numbers.iter().enumerate().filter_map(|(class, number)| Some(((*number)?, class))).collect();
        let trained = Trained { ranker, classes, numbers };
        self.snapshot
            .store(Arc::new(Snapshot { trained: Some(Arc::new(trained)), ..Snapshot::clone(&self.snapshot.load()) }));
    }

    /// Rows that came after it was begun are compared one by one.
    fn take_up_graph(&mut self, graph: Graph) -> Result<(), BaseError> {
        let snapshot = self.snapshot.load_full();
        let Some(vectors) = &snapshot.vectors else { return Ok(()) };
        if let Some(dir) = &self.dir {
            graph.save(&dir.join(GRAPH)).map_err(|error| journal::failed(dir, error))?;
        }
        let vectors = Vectors::new(vectors.rows().clone(), Some(Arc::new(graph)));
        self.snapshot.store(Arc::new(Snapshot { vectors: Some(vectors), ..Snapshot::clone(&snapshot) }));
        Ok(())
    }
}

/// A snapshot as training looks at it.
struct Known<'a> {
    snapshot: &'a Snapshot,
    classes: BTreeMap<u32, u32>,
    /// Numbers of examples by their pieces.
    examples: BTreeMap<u32, usize>,
}

impl Known<'_> {
    fn shares(
        &self,
        analyzer: &mut Analyzer,
        text: &str,
        part: Part,
        usable: &dyn Fn(u32) -> bool,
    ) -> (Vec<(u32, f32)>, f32) {
        // Words that cannot be looked up say nothing; asking will say what is wrong.
        let (shares, coverage) = self.snapshot.words(analyzer, text, part, usable).unwrap_or_default();
        (shares.into_iter().filter_map(|(entry, share)| Some((*self.classes.get(&entry)?, share))).collect(), coverage)
    }
}

impl Knowledge for Known<'_> {
    fn question_words(
        &self,
        analyzer: &mut Analyzer,
        text: &str,
        usable: &dyn Fn(usize) -> bool,
    ) -> (Vec<(u32, f32)>, f32) {
        self.shares(analyzer, text, Part::Question, &|slot| self.examples.get(&slot).is_some_and(|at| usable(*at)))
    }

    fn answer_words(&self, analyzer: &mut Analyzer, text: &str) -> Vec<(u32, f32)> {
        self.shares(analyzer, text, Part::Answer, &|_| true).0
    }

    fn answer_meanings(&self, vector: &[f32]) -> Vec<(u32, f32)> {
        let Some(vectors) = &self.snapshot.vectors else { return Vec::new() };
        let answers = self.classes.iter().filter_map(|(number, class)| {
            let slot = self.snapshot.entries[*number as usize].as_ref()?.answer?;
            Some((*class, self.snapshot.answer_spread.units(vectors.rows().cosine(slot, vector))))
        });
        answers.collect()
    }
}

/// The spread of cosines between questions of different entries, and between questions and answers.
pub(super) fn spreads(snapshot: &Snapshot) -> (Spread, Spread) {
    let Some(vectors) = &snapshot.vectors else { return (Spread::of(&[]), Spread::of(&[])) };
    let of =
        |part| -> Vec<u32> { (0..snapshot.slots.len() as u32).filter(|slot| snapshot.is_live(*slot, part)).collect() };
    let (questions, answers) = (of(Part::Question), of(Part::Answer));
    let entry = |slot: u32| snapshot.slots[slot as usize].entry;
    let sample = |others: &[u32]| {
        let mut cosines = Vec::new();
        let mut vector = vec![0.0; vectors.rows().width()];
        for pair in 0..PAIRS.min(questions.len() * others.len()) {
            // Multipliers without common divisors with any count in use walk over all pairs evenly.
            let one = questions[pair * 7_919 % questions.len()];
            let other = others[(pair * 104_729 + 1) % others.len()];
            if entry(one) != entry(other) {
                vectors.rows().read(one, &mut vector);
                cosines.push(vectors.rows().cosine(other, &vector));
            }
        }
        Spread::of(&cosines)
    };
    (sample(&questions), sample(&answers))
}

impl Ranker {
    /// Writes it to a file, which is complete or not there at all.
    fn save(&self, path: &Path) -> io::Result<()> {
        let bytes = self.to_bytes()?;
        let aside = path.with_extension("new");
        fs::write(&aside, bytes)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(aside, path)
    }

    fn open(path: &Path, width: usize) -> io::Result<Self> {
        Self::from_bytes(&fs::read(path)?, width)
    }
}
