//! One tenant's knowledge base, ready to be asked: texts, vectors, and what was learned, kept in a folder.
//!
//! - [`Base`] is the one writer: [`Base::apply`] takes changes, [`Base::train`] learns; both block and belong on a thread of
//!   their own;
//! - [`Reader`] asks. It holds the newest snapshot by an atomic pointer, and never waits for the writer;
//! - `journal` is the file that says what is committed; `snapshot` is the asking; `learning` the training; `context` joins
//!   follow-up questions with the one before.
//!
//! The folder can always be thrown away: it is rebuilt from the entries. It says itself whether it is damaged, or was made
//! by another model or another version ([`BaseError::is_rebuild`]).
//!
//! It knows entries as texts with an id and a version. It may not know of events, of who may see what, or of conversations.

mod context;
mod journal;
mod learning;
mod snapshot;
#[cfg(test)]
mod tests;

pub use learning::{Learned, Lesson, OutOfScope};

use self::{
    journal::Line,
    snapshot::{Known, Slot, Snapshot},
};
use super::{
    embed::{EmbedError, ModelIdentity, Role},
    lexical::{Change as Write, IndexError, Part, TextIndex},
    rank::{Evidence, Spread, train::Report},
    text::Analyzer,
    vectors::{Graph, Rows, RowsError, Vectors},
};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Texts that are embedded in one call: enough to fill a batch, few enough to show progress.
const EMBEDDED_AT_ONCE: usize = 64;

/// Variants of one entry that are used. More say nothing new.
const MAX_VARIANTS: usize = 1_000;

/// An entry as it is searched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryText {
    /// Its key.
    pub id: String,
    /// The version that was approved; given back with every answer.
    pub entry_version: u64,
    /// The question in its ordinary form.
    pub question: String,
    /// Other ways of asking it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub similar: Vec<String>,
    /// The answer; empty where only the questions count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub answer: String,
    /// BCP 47 tag of its language, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl EntryText {
    /// All ways of asking it.
    fn questions(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.question).chain(&self.similar).map(String::as_str).take(MAX_VARIANTS)
    }
}

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// This is what the entry says now.
    Put(EntryText),
    /// It may not be used any more. Its id.
    Remove(String),
}

/// A base cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// Files are missing, truncated or changed. Delete the folder and build it again.
    #[error("the search index is damaged ({0}): it has to be built again")]
    Damaged(String),
    /// It was made by another version of kefu or by another model. Delete the folder and build it again.
    #[error("the search index was made by another model or version: it has to be built again")]
    OtherIdentity,
    /// The disk or the system fails; nothing was changed that readers see.
    #[error("the search index cannot be written or read: {0}")]
    Failed(String),
    /// The model fails; nothing was changed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

impl BaseError {
    /// Whether the folder is of no use and has to be built again.
    pub fn is_rebuild(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::OtherIdentity)
    }
}

impl From<IndexError> for BaseError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged { .. } => Self::Damaged(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<RowsError> for BaseError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Damaged { .. } => Self::Damaged(error.to_string()),
            RowsError::Failed { .. } => Self::Failed(error.to_string()),
        }
    }
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What was asked.
    pub text: &'a str,
    /// Questions of the same session before it, oldest first.
    pub earlier: &'a [String],
    /// BCP 47 tag of the customer's language, where it is known; not used where the text itself tells.
    pub language: Option<&'a str>,
    /// The vector of [`Reader::text_to_embed`]; none where there is no model, or it is not available now.
    pub vector: Option<&'a [f32]>,
}

/// What was found, best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// Candidates; their probabilities add up to 1.
    pub candidates: Vec<Found>,
    /// Probability that any entry answers the question, 0 to 1.
    pub in_scope: f64,
    /// BCP 47 tag of the question's language; `und` where search makes no difference.
    pub language: &'static str,
}

impl Ranked {
    /// Probability that the first candidate is the right answer: that any is, times that it is this one.
    pub fn confidence(&self) -> f64 {
        self.candidates.first().map_or(0.0, |first| first.probability * self.in_scope)
    }
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Id of the entry.
    pub entry: String,
    /// Its version.
    pub entry_version: u64,
    /// Probability that it is the right one, given that one is.
    pub probability: f64,
    /// What speaks for it.
    pub parts: Parts,
}

/// What speaks for a candidate, as [`Evidence`] says it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Parts {
    /// What the tenant's own head says.
    pub learned: f32,
    /// Likeness of meaning to the nearest variant, in standard deviations.
    pub question_meaning: f32,
    /// To the answer.
    pub answer_meaning: f32,
    /// Share of the words in the best variant.
    pub question_words: f32,
    /// In the answer.
    pub answer_words: f32,
    /// Likeness of meaning to many of its variants.
    pub crowd: f32,
}

impl From<Evidence> for Parts {
    fn from(evidence: Evidence) -> Self {
        let Evidence { margin, question_meaning, answer_meaning, question_words, answer_words, crowd } = evidence;
        Self { learned: margin, question_meaning, answer_meaning, question_words, answer_words, crowd }
    }
}

/// Asks a base. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    snapshot: Arc<ArcSwap<Snapshot>>,
}

thread_local! {
    /// It is mutable while it works, and too dear to make for every question.
    static ANALYZER: RefCell<Analyzer> = RefCell::new(Analyzer::default());
}

impl Reader {
    /// Ranks the entries for a question. Takes below a millisecond and waits for nobody.
    ///
    /// # Errors
    ///
    /// The files of the index cannot be read any more.
    pub fn ask(&self, question: &Question<'_>) -> Result<Ranked, BaseError> {
        let snapshot = self.snapshot.load();
        ANALYZER.with_borrow_mut(|analyzer| Ok(snapshot.ask(analyzer, question)?))
    }

    /// What has to be embedded (as [`Role::Question`]) for a question: with what was asked before, if it is a follow-up.
    pub fn text_to_embed(question: &Question<'_>) -> String {
        context::with_context(question)
    }
}

/// Turns texts into vectors; a function and not a trait, so that the caller's pool, cache and limits apply.
pub type Embed<'a> = dyn Fn(&[&str], Role) -> Result<Vec<Vec<f32>>, EmbedError> + 'a;

/// One tenant's entries, for their one writer.
pub struct Base {
    /// None keeps nothing.
    dir: Option<PathBuf>,
    texts: TextIndex,
    rows: Option<Rows>,
    entries: BTreeMap<String, (u32, EntryText)>,
    commits: u64,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

/// Names of files.
const ENTRIES: &str = "entries.jsonl";
const TEXTS: &str = "texts";
const ROWS: &str = "vectors";
const GRAPH: &str = "graph";

impl Base {
    /// An empty base that is kept in memory only: to evaluate.
    ///
    /// # Errors
    ///
    /// Memory.
    pub fn in_memory(model: Option<&ModelIdentity>) -> Result<Self, BaseError> {
        Self::with(None, TextIndex::create(None)?, model.map(|model| Rows::new(model.dimensions)), Vec::new(), None)
    }

    /// The base that is kept in `dir`; an empty one, if there is no such folder yet. `model` is the one that the vectors are
    /// of; none means words only.
    ///
    /// # Errors
    ///
    /// See [`BaseError`]. Where [`BaseError::is_rebuild`] says so, delete the folder and open it again.
    pub fn open(dir: &Path, model: Option<&ModelIdentity>) -> Result<Self, BaseError> {
        let path = dir.join(ENTRIES);
        if !dir.exists() || fs::read_dir(dir).is_ok_and(|mut files| files.next().is_none()) {
            fs::create_dir_all(dir).map_err(|error| journal::failed(dir, error))?;
            let texts = TextIndex::create(Some(&dir.join(TEXTS)))?;
            let rows = model.map(|model| Rows::new(model.dimensions));
            if let Some(rows) = &rows {
                rows.append_to(&dir.join(ROWS), 0)?;
            }
            // Last, since a folder without it is damaged.
            journal::create(&path, model)?;
            return Self::with(Some(dir), texts, rows, Vec::new(), None);
        }
        let lines = journal::read(&path, model)?;
        let (count, slots) = lines.iter().rev().find_map(commit).unwrap_or_default();
        let rows = model.map(|model| Rows::open(&dir.join(ROWS), model.dimensions, slots as usize)).transpose()?;
        let graph = model.and_then(|model| Graph::open(&dir.join(GRAPH), model.dimensions).ok());
        let texts = match TextIndex::open(&dir.join(TEXTS)) {
            Ok(texts) if texts.note()?.unwrap_or_default() == note(count) => texts,
            // It was written after the entries, or not at all; they have all that it needs.
            _ => {
                let texts = TextIndex::create(Some(&dir.join(TEXTS)))?;
                let state = State::of(&lines);
                let pieces: Vec<_> = state.entries.values().flat_map(|(_, slot, entry)| pieces(entry, *slot)).collect();
                texts.write(
                    pieces.into_iter().map(|(slot, part, text)| Write::Add { slot, part, text }),
                    &note(count),
                )?;
                texts
            }
        };
        let base = Self::with(Some(dir), texts, rows, lines, graph)?;
        base.read_learned();
        Ok(base)
    }

    fn with(
        dir: Option<&Path>,
        texts: TextIndex,
        rows: Option<Rows>,
        lines: Vec<Line>,
        graph: Option<Graph>,
    ) -> Result<Self, BaseError> {
        let commits = lines.iter().rev().find_map(commit).unwrap_or_default().0;
        let state = State::of(&lines);
        let graph = graph.map(Arc::new);
        let vectors = rows.clone().map(|rows| Vectors::new(rows, graph));
        let mut snapshot = Snapshot {
            answers: answers(&state.known),
            slots: Arc::new(state.slots),
            entries: Arc::new(state.known),
            searcher: texts.searcher(),
            vectors,
            trained: None,
            question_spread: Spread::of(&[]),
            answer_spread: Spread::of(&[]),
        };
        (snapshot.question_spread, snapshot.answer_spread) = learning::spreads(&snapshot);
        Ok(Self {
            dir: dir.map(Path::to_owned),
            texts,
            rows,
            entries: state.entries.into_iter().map(|(id, (number, _, entry))| (id, (number, entry))).collect(),
            commits,
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
        })
    }

    /// Id and version of every entry.
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.entries.values().map(|(_, entry)| (entry.id.as_str(), entry.entry_version))
    }

    /// Who asks.
    pub fn reader(&self) -> Reader {
        Reader { snapshot: Arc::clone(&self.snapshot) }
    }

    /// Makes changes. When it returns they are on the disk and readers see them. Without `embed` a base that has a model
    /// finds these entries by words only. `progress` is told how many of how many texts are embedded.
    ///
    /// # Errors
    ///
    /// See [`BaseError`]. Nothing is changed then; after [`BaseError::Failed`] open the folder again.
    pub fn apply(
        &mut self,
        changes: Vec<Change>,
        embed: Option<&Embed<'_>>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<(), BaseError> {
        // Of several changes of one entry the last one counts.
        let mut last: BTreeMap<String, Option<EntryText>> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Put(entry) => last.insert(entry.id.clone(), Some(entry)),
                Change::Remove(id) => last.insert(id, None),
            };
        }
        last.retain(|id, change| match (change, self.entries.get(id)) {
            (None, known) => known.is_some(),
            (Some(entry), Some((_, known))) => entry != known,
            (Some(_), None) => true,
        });
        if last.is_empty() {
            return Ok(());
        }
        let before = self.snapshot.load_full();
        let vectors = match &self.rows {
            Some(rows) => self.vectors_of(rows, &before, last.values().flatten(), embed, progress)?,
            None => HashMap::new(),
        };

        let (mut slots, mut known) = (before.slots.to_vec(), before.entries.to_vec());
        let (mut lines, mut gone, mut puts) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = self.rows.clone();
        let mut new_vectors = Vec::new();
        for (id, change) in &last {
            let old = self.entries.get(id);
            if let Some((number, _)) = old {
                for slot in known[*number as usize]
                    .take()
                    .map(|known| known.questions.into_iter().chain(known.answer))
                    .into_iter()
                    .flatten()
                {
                    slots[slot as usize].entry = None;
                    gone.push(slot);
                }
            }
            let Some(entry) = change else {
                lines.push(Line::Remove { id: id.clone() });
                continue;
            };
            // An entry that asks otherwise is a new one to what was learned.
            let same = old.filter(|(_, old)| old.questions().eq(entry.questions()));
            let number = same.map_or(known.len() as u32, |(number, _)| *number);
            let first = slots.len() as u32;
            for (_, part, text) in pieces(entry, first) {
                slots.push(Slot { entry: Some(number), part });
                if rows.is_some() {
                    new_vectors.push(vectors.get(&(part, text)).map_or(&[][..], Vec::as_slice));
                }
            }
            let shown = Known::new(entry, first);
            match known.get_mut(number as usize) {
                Some(known) => *known = Some(shown),
                None => known.push(Some(shown)),
            }
            lines.push(Line::Put { entry: entry.clone(), number, slot: first });
            puts.push((id.clone(), number, entry.clone(), first));
        }
        if let Some(rows) = &mut rows {
            *rows = rows.with(new_vectors);
        }

        // Vectors, then entries, then texts: what a crash leaves behind is cut off or made again.
        let commits = self.commits + 1;
        if let Some(dir) = &self.dir {
            if let (Some(rows), Some(old)) = (&rows, &self.rows) {
                rows.append_to(&dir.join(ROWS), old.len())?;
            }
            lines.push(Line::Commit { count: commits, slots: slots.len() as u32 });
            journal::append(&dir.join(ENTRIES), &lines)?;
        }
        let removed = gone.into_iter().map(|slot| Write::Remove { slot });
        let added = puts.iter().flat_map(|(_, _, entry, first)| pieces(entry, *first));
        let added = added.map(|(slot, part, text)| Write::Add { slot, part, text });
        self.texts.write(removed.chain(added), &note(commits))?;

        self.commits = commits;
        self.rows = rows;
        last.keys().for_each(|id| drop(self.entries.remove(id)));
        self.entries.extend(puts.into_iter().map(|(id, number, entry, _)| (id, (number, entry))));
        let mut snapshot = Snapshot {
            answers: answers(&known),
            slots: Arc::new(slots),
            entries: Arc::new(known),
            searcher: self.texts.searcher(),
            vectors: self.rows.clone().map(|rows| {
                let graph = before.vectors.as_ref().and_then(|vectors| vectors.graph().cloned());
                Vectors::new(rows, graph)
            }),
            ..Snapshot::clone(&before)
        };
        (snapshot.question_spread, snapshot.answer_spread) = learning::spreads(&snapshot);
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Vectors of the texts of entries, by part and text; those that are known already are not computed again.
    fn vectors_of<'a>(
        &self,
        rows: &Rows,
        before: &Snapshot,
        entries: impl Iterator<Item = &'a EntryText>,
        embed: Option<&Embed<'_>>,
        progress: &dyn Fn(usize, usize),
    ) -> Result<HashMap<(Part, &'a str), Vec<f32>>, BaseError> {
        let (mut vectors, mut missing) = (HashMap::new(), BTreeMap::new());
        for entry in entries {
            let mut old = HashMap::new();
            if let Some((number, known)) = self.entries.get(&entry.id)
                && let Some(shown) = &before.entries[*number as usize]
            {
                let first = shown.questions.first().copied().unwrap_or_default();
                old.extend(pieces(known, first).map(|(slot, part, text)| ((part, text), slot)));
            }
            for (_, part, text) in pieces(entry, 0) {
                match old.get(&(part, text)) {
                    Some(slot) => {
                        let mut vector = vec![0.0; rows.width()];
                        rows.read(*slot, &mut vector);
                        vectors.insert((part, text), vector);
                    }
                    None => drop(missing.insert((part, text), ())),
                }
            }
        }
        let Some(embed) = embed else { return Ok(vectors) };
        missing.retain(|piece, ()| !vectors.contains_key(piece));
        let mut missing: Vec<(Part, &str)> = missing.into_keys().collect();
        // A batch of texts of one length is computed fastest.
        missing.sort_unstable_by_key(|(part, text)| (*part, text.len()));
        let mut done = 0;
        for part in [Part::Question, Part::Answer] {
            let role = if part == Part::Question { Role::Question } else { Role::Passage };
            let texts: Vec<&'a str> = missing.iter().filter(|(of, _)| *of == part).map(|(_, text)| *text).collect();
            for texts in texts.chunks(EMBEDDED_AT_ONCE) {
                let computed = embed(texts, role)?;
                vectors.extend(texts.iter().map(|text| (part, *text)).zip(computed));
                done += texts.len();
                progress(done, missing.len());
            }
        }
        Ok(vectors)
    }

    /// Learns from what is there now, and makes the graph of the vectors if one is due. Takes seconds to minutes; readers go on
    /// with what was learned before.
    ///
    /// # Errors
    ///
    /// What was learned cannot be written.
    pub fn train(&mut self) -> Result<Option<Report>, BaseError> {
        self.train_with(&[])
    }
}

/// What lines amount to.
#[derive(Default)]
struct State {
    /// By id: number, first piece, text.
    entries: BTreeMap<String, (u32, u32, EntryText)>,
    known: Vec<Option<Known>>,
    slots: Vec<Slot>,
}

impl State {
    fn of(lines: &[Line]) -> Self {
        let mut state = Self::default();
        for line in lines {
            match line {
                Line::Put { entry, number, slot } => {
                    state.forget(&entry.id);
                    let count = pieces(entry, *slot).count();
                    state.slots.resize(
                        (*slot as usize).max(state.slots.len()) + count,
                        Slot { entry: None, part: Part::Question },
                    );
                    for (slot, part, _) in pieces(entry, *slot) {
                        state.slots[slot as usize] = Slot { entry: Some(*number), part };
                    }
                    state.known.resize(state.known.len().max(*number as usize + 1), None);
                    state.known[*number as usize] = Some(Known::new(entry, *slot));
                    state.entries.insert(entry.id.clone(), (*number, *slot, entry.clone()));
                }
                Line::Remove { id } => state.forget(id),
                Line::Commit { .. } => {}
            }
        }
        state
    }

    fn forget(&mut self, id: &str) {
        let Some((number, slot, entry)) = self.entries.remove(id) else { return };
        self.known[number as usize] = None;
        pieces(&entry, slot).for_each(|(slot, _, _)| self.slots[slot as usize].entry = None);
    }
}

impl Known {
    fn new(entry: &EntryText, first: u32) -> Self {
        let of =
            |wanted: Part| pieces(entry, first).filter(move |(_, part, _)| *part == wanted).map(|(slot, _, _)| slot);
        Self {
            id: entry.id.as_str().into(),
            version: entry.entry_version,
            questions: of(Part::Question).collect(),
            answer: of(Part::Answer).next(),
        }
    }
}

/// The texts of an entry with the numbers of their pieces, of which the first is given.
fn pieces(entry: &EntryText, first: u32) -> impl Iterator<Item = (u32, Part, &str)> {
    let answer = Some(entry.answer.as_str()).filter(|answer| !answer.trim().is_empty());
    let questions = entry.questions().map(|text| (Part::Question, text));
    (first..)
        .zip(questions.chain(answer.map(|text| (Part::Answer, text))))
        .map(|(slot, (part, text))| (slot, part, text))
}

fn answers(known: &[Option<Known>]) -> usize {
    known.iter().flatten().filter(|known| known.answer.is_some()).count()
}

fn commit(line: &Line) -> Option<(u64, u32)> {
    match line {
        Line::Commit { count, slots } => Some((*count, *slots)),
        _ => None,
    }
}

/// What the text index keeps beside a commit; nothing before the first one.
fn note(commits: u64) -> String {
    if commits == 0 { String::new() } else { commits.to_string() }
}
