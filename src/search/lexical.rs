//! The text index: which pieces of text share words with a question (BM25, by tantivy).
//!
//! A document is one piece of one entry: a question variant or the answer, in a field each, because a word in an answer of
//! ten lines says less than one in a question. A piece is known by its slot, a number that the caller gives it once.
//!
//! Readers hold a [`Searcher`] and never wait for a writer. Whatever is wrong with the files is an [`IndexError`] that says
//! so: the caller drops the folder and builds it again from the entries.

use super::text::{Analyzer, spelling::Vocabulary};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, OnceLock},
};
use tantivy::{
    Index, IndexReader, IndexSettings, ReloadPolicy, TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
};

/// Name under which tantivy knows the [`Analyzer`].
const TOKENIZER: &str = "kefu";

/// What a writer may hold in memory before it writes a segment; the least that tantivy takes.
const WRITER_BYTES: usize = 15_000_000;

/// Distinct words of a question that are looked up. A long text says what it is about in its first sentences.
const MAX_WORDS: usize = 64;

/// The most that a word counts in BM25, times its inverse document frequency (tantivy's k1 is 1.2).
const BM25_K1_PLUS_1: f32 = 2.2;

/// The text index cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Files are missing, truncated or changed: drop the folder and build the index again.
    #[error("the index in {folder} is damaged ({reason}): it has to be built again")]
    Damaged {
        /// Where it is.
        folder: String,
        /// What tantivy says.
        reason: String,
    },
    /// The disk or the system fails: try again once that is mended.
    #[error("the index cannot be written or read: {0}")]
    Failed(#[from] tantivy::TantivyError),
    /// The folder cannot be made or removed.
    #[error("{folder}: {error}")]
    Folder {
        /// Where.
        folder: String,
        /// Why.
        error: std::io::Error,
    },
}

/// Which text of an entry a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A way of asking.
    Question,
    /// What is answered.
    Answer,
}

/// One change of the index.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A piece that was not there before.
    Add {
        /// Its number.
        slot: u32,
        /// What it is.
        part: Part,
        /// What it says.
        text: &'a str,
    },
    /// A piece that is no more.
    Remove {
        /// Its number.
        slot: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Fields {
    slot: Field,
    question: Field,
    answer: Field,
}

/// The index of one tenant, for its one writer.
pub struct TextIndex {
    index: Index,
    fields: Fields,
    reader: IndexReader,
}

/// The index as it was at one time. Cheap to clone.
#[derive(Clone)]
pub struct Searcher {
    searcher: tantivy::Searcher,
    fields: Fields,
    vocabulary: Arc<OnceLock<Vocabulary>>,
}

/// What a question becomes before it is looked up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Distinct words, those that no piece has replaced by the nearest known ones where there is one.
    pub words: Vec<String>,
    /// Which share of the words that were asked any piece has, by the information they carry, 0 to 1.
    pub coverage: f32,
    /// What a piece would score at most that had nothing but all of the words: scores over this are shares.
    pub best_score: f32,
}

impl TextIndex {
    /// A new index. With a folder it is kept there; whatever was in it is removed.
    pub fn create(folder: Option<&Path>) -> Result<Self, IndexError> {
        let schema = schema();
        let index = match folder {
            None => Index::create_in_ram(schema),
            Some(folder) => {
                let failed = |error| IndexError::Folder { folder: folder.display().to_string(), error };
                if folder.exists() {
                    fs::remove_dir_all(folder).map_err(failed)?;
                }
                fs::create_dir_all(folder).map_err(failed)?;
                Index::builder().schema(schema).settings(IndexSettings::default()).create_in_dir(folder)?
            }
        };
        Self::with(index)
    }

    /// The index that was kept in a folder. All of its files are read once and compared with their checksums.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let damaged = |reason: String| IndexError::Damaged { folder: folder.display().to_string(), reason };
        let index = Index::open_in_dir(folder).map_err(|error| damaged(error.to_string()))?;
        if index.schema() != schema() {
            return Err(damaged("its fields are those of another version".to_owned()));
        }
        let wrong = index.validate_checksum().map_err(|error| damaged(error.to_string()))?;
        if let Some(file) = wrong.iter().next() {
            return Err(damaged(format!("{} has changed", file.display())));
        }
        Self::with(index).map_err(|error| damaged(error.to_string()))
    }

    fn with(index: Index) -> Result<Self, IndexError> {
        index.tokenizers().register(TOKENIZER, Analyzer::default());
        let schema = index.schema();
        let fields = Fields {
            slot: schema.get_field("slot")?,
            question: schema.get_field("question")?,
            answer: schema.get_field("answer")?,
        };
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, fields, reader })
    }

    /// Makes the changes, all of them or none, together with a note that [`note`](Self::note) gives back. When it returns
    /// they are on the disk, and seen by a [`searcher`](Self::searcher) that is asked for afterwards.
    pub fn write<'a>(&self, changes: impl IntoIterator<Item = Change<'a>>, note: &str) -> Result<(), IndexError> {
        let mut writer = self.index.writer_with_num_threads::<TantivyDocument>(1, WRITER_BYTES)?;
        for change in changes {
            match change {
                Change::Add { slot, part, text } => {
                    let mut document = TantivyDocument::default();
                    document.add_u64(self.fields.slot, u64::from(slot));
                    document.add_text(self.fields.of(part), text);
                    writer.add_document(document)?;
                }
                Change::Remove { slot } => {
                    writer.delete_term(Term::from_field_u64(self.fields.slot, u64::from(slot)));
                }
            }
        }
        let mut commit = writer.prepare_commit()?;
        commit.set_payload(note);
        commit.commit()?;
        // A writer that goes away in the middle of a merge leaves files behind.
        writer.wait_merging_threads()?;
        self.reader.reload()?;
        Ok(())
    }

    /// The note of the last [`write`](Self::write).
    pub fn note(&self) -> Result<Option<String>, IndexError> {
        Ok(self.index.load_metas()?.payload)
    }

    /// The index as it is now.
    pub fn searcher(&self) -> Searcher {
        Searcher { searcher: self.reader.searcher(), fields: self.fields, vocabulary: Arc::default() }
    }
}

impl Fields {
    fn of(self, part: Part) -> Field {
        match part {
            Part::Question => self.question,
            Part::Answer => self.answer,
        }
    }
}

fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_u64_field("slot", INDEXED | FAST);
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(indexing);
    schema.add_text_field("question", text.clone());
    schema.add_text_field("answer", text);
    schema.build()
}

impl Searcher {
    /// The words of a question as they are looked up.
    pub fn terms(&self, analyzer: &mut Analyzer, question: &str) -> Result<Terms, IndexError> {
        let mut terms = Terms::default();
        let (mut known, mut all) = (0.0, 0.0);
        // The inverse document frequency of BM25, over all pieces.
        let count = self.searcher.num_docs() as f32;
        let weight = |frequency: u64| (1.0 + (count - frequency as f32 + 0.5).max(0.0) / (frequency as f32 + 0.5)).ln();
        for word in analyzer.words(question) {
            if terms.words.contains(&word.text) {
                continue;
            }
            let frequency = self.frequency(&word.text)?;
            all += weight(frequency);
            if frequency > 0 {
                known += weight(frequency);
                terms.words.push(word.text);
            } else if let Some(meant) = self.vocabulary()?.correct(&word.text) {
                known += weight(frequency) / 2.0;
                if !terms.words.iter().any(|word| word == meant) {
                    terms.words.push(meant.to_owned());
                }
            }
            if terms.words.len() == MAX_WORDS {
                break;
            }
        }
        terms.coverage = if all > 0.0 { known / all } else { 0.0 };
        terms.best_score = all * BM25_K1_PLUS_1;
        Ok(terms)
    }

    /// The `limit` pieces of this part that share most with these words: slot and BM25 score, best first. Ties are in the
    /// order of slots.
    pub fn search(&self, words: &[String], part: Part, limit: usize) -> Result<Vec<(u32, f32)>, IndexError> {
        if words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let field = self.fields.of(part);
        let clause = |word: &String| {
            let query = TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs);
            (Occur::Should, Box::new(query) as Box<dyn Query>)
        };
        let query = BooleanQuery::new(words.iter().map(clause).collect());
        let found = self.searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        let mut columns = BTreeMap::new();
        let mut slots = Vec::with_capacity(found.len());
        for (score, address) in found {
            let column = match columns.entry(address.segment_ord) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let segment = self.searcher.segment_reader(address.segment_ord);
                    entry.insert(segment.fast_fields().column_first_or_default::<u64>("slot")?)
                }
            };
            slots.push((column.get_val(address.doc_id) as u32, score));
        }
        slots.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        Ok(slots)
    }

    /// How many pieces have a word, whether in questions or in answers.
    fn frequency(&self, word: &str) -> Result<u64, IndexError> {
        let of = |field| self.searcher.doc_freq(&Term::from_field_text(field, word));
        Ok(of(self.fields.question)? + of(self.fields.answer)?)
    }

    /// All words of the index, read when the first unknown one comes.
    fn vocabulary(&self) -> Result<&Vocabulary, IndexError> {
        if let Some(vocabulary) = self.vocabulary.get() {
            return Ok(vocabulary);
        }
        let mut words: BTreeMap<String, u32> = BTreeMap::new();
        for segment in self.searcher.segment_readers() {
            for field in [self.fields.question, self.fields.answer] {
                let index = segment.inverted_index(field)?;
                let mut stream = index.terms().stream().map_err(tantivy::TantivyError::from)?;
                while stream.advance() {
                    if let Ok(word) = std::str::from_utf8(stream.key()) {
                        *words.entry(word.to_owned()).or_default() += stream.value().doc_freq;
                    }
                }
            }
        }
        let vocabulary = Vocabulary::new(words.iter().map(|(word, count)| (word.as_str(), *count)));
        Ok(self.vocabulary.get_or_init(|| vocabulary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(slot: u32, part: Part, text: &str) -> Change<'_> {
        Change::Add { slot, part, text }
    }

    fn find(searcher: &Searcher, question: &str, part: Part) -> Vec<u32> {
        let terms = searcher.terms(&mut Analyzer::default(), question).expect("terms");
        searcher.search(&terms.words, part, 10).expect("search").into_iter().map(|(slot, _)| slot).collect()
    }

    fn filled(folder: Option<&Path>) -> TextIndex {
        let index = TextIndex::create(folder).expect("index");
        let changes = [
            add(1, Part::Question, "How do I reset my password?"),
            add(2, Part::Answer, "Choose 'forgotten password' where you log in."),
            add(3, Part::Question, "信用卡逾期了怎么办"),
            add(4, Part::Question, "Where is my refund?"),
        ];
        index.write(changes, "7").expect("written");
        index
    }

    #[test]
    fn finds_stems_typos_and_chinese_in_either_script() {
        let index = filled(None);
        let searcher = index.searcher();
        assert_eq!(find(&searcher, "passwords", Part::Question), [1]);
        assert_eq!(find(&searcher, "pasword", Part::Question), [1]);
        assert_eq!(find(&searcher, "password", Part::Answer), [2]);
        assert_eq!(find(&searcher, "信用卡逾期", Part::Question), [3]);
        assert_eq!(find(&searcher, "信用卡逾期怎麼辦", Part::Question), [3]);
        assert_eq!(find(&searcher, "卡", Part::Question), [3]);
        assert_eq!(find(&searcher, "bicycle", Part::Question), [0; 0]);
    }

    #[test]
    fn coverage_says_how_much_of_a_question_is_known() {
        let searcher = filled(None).searcher();
        let coverage = |question: &str| searcher.terms(&mut Analyzer::default(), question).expect("terms").coverage;
        assert_eq!(coverage("reset my password"), 1.0);
        assert_eq!(coverage("bicycle"), 0.0);
        assert!((0.2..0.8).contains(&coverage("refund bicycle")));
        assert_eq!(coverage(""), 0.0);
    }

    #[test]
    fn a_searcher_keeps_seeing_what_it_saw() {
        let index = filled(None);
        let before = index.searcher();
        index.write([Change::Remove { slot: 1 }, add(9, Part::Question, "Open an account")], "8").expect("written");
        assert_eq!(find(&before, "password", Part::Question), [1]);
        assert_eq!(find(&index.searcher(), "password", Part::Question), [0; 0]);
        assert_eq!(find(&index.searcher(), "accounts", Part::Question), [9]);
        assert_eq!(index.note().expect("note").as_deref(), Some("8"));
    }

    #[test]
    fn what_was_written_is_there_after_opening_again_and_damage_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("text");
        drop(filled(Some(&path)));
        let index = TextIndex::open(&path).expect("opened");
        assert_eq!(index.note().expect("note").as_deref(), Some("7"));
        assert_eq!(find(&index.searcher(), "refund", Part::Question), [4]);
        drop(index);

        let files = || fs::read_dir(&path).expect("folder").map(|file| file.expect("file").path());
        let largest = files().filter(|file| file.extension().is_some_and(|end| end == "term" || end == "store"));
        let file = largest.max_by_key(|file| fs::metadata(file).expect("file").len()).expect("a file");
        let mut bytes = fs::read(&file).expect("file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&file, bytes).expect("file");
        assert!(matches!(TextIndex::open(&path), Err(IndexError::Damaged { .. })));
        fs::write(path.join("meta.json"), "{").expect("file");
        assert!(matches!(TextIndex::open(&path), Err(IndexError::Damaged { .. })));
        fs::remove_dir_all(&path).expect("folder");
        assert!(matches!(TextIndex::open(&path), Err(IndexError::Damaged { .. })));
    }
}
