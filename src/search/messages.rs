//! The index of all that was ever said: one document per message, whatever the tenant.
//!
//! Words are those of [`text`](super::text). A run of Chinese characters is looked for as it stands, character by character,
//! so that any part of a sentence finds it, whether or not a dictionary has it as a word. All that is asked for must be
//! there; the newest comes first, or what fits best.
//!
//! The tenant is part of every query, not of the caller's care: there is no way to ask without one.

use super::{
    lexical::IndexError,
    text::{
        Analyzer, Word,
        find::{Piece, snippet},
        words::is_asian,
    },
};
use serde::Serialize;
use std::{collections::BTreeSet, fs, io, ops::Bound, path::Path};
use tantivy::{
    Index, IndexReader, IndexWriter, Order, ReloadPolicy, TantivyDocument, Term,
    collector::{Count, TopDocs},
    query::{AllQuery, BooleanQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value},
};

/// Counted up whenever a document changes meaning: an index of another version is built anew.
pub const VERSION: u32 = 2;

/// Name under which tantivy knows the [`Analyzer`].
const TOKENIZER: &str = "kefu";
/// What the writer may hold in memory before it writes a segment.
const WRITER_BYTES: usize = 32_000_000;
/// Words that are looked for, at most: a question is not a text.
const MAX_WORDS: usize = 32;
/// Messages that can be paged through: beyond that one asks more exactly.
pub const MAX_REACH: usize = 10_000;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose.
    pub tenant: String,
    /// Its id, unique within the conversation.
    pub id: String,
    /// Key of the conversation.
    pub conversation: String,
    /// Number of the session.
    pub session: u32,
    /// The channel's name; empty where it is not known.
    pub channel: String,
    /// Who wrote it: `customer`, `agent`, `bot`, `system`, or `note` for what only colleagues see.
    pub author: &'static str,
    /// The agent's id.
    pub author_id: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    pub text: String,
}

/// Which messages are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Words that must all occur; none: all messages.
    pub text: &'a str,
    /// Only in this conversation.
    pub conversation: Option<&'a str>,
    /// Only on this channel.
    pub channel: Option<&'a str>,
    /// Only by this kind of author.
    pub author: Option<&'a str>,
    /// Only by this agent.
    pub agent: Option<&'a str>,
    /// Only from then on, in milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// Only before then.
    pub to_ms: Option<i64>,
    /// Without what only colleagues see.
    pub without_notes: bool,
    /// What fits best first, not the newest.
    pub by_relevance: bool,
    /// So many are passed over, at most [`MAX_REACH`].
    pub offset: usize,
    /// So many are wanted.
    pub limit: usize,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Key of the conversation.
    pub conversation: String,
    /// Number of the session.
    pub session: u64,
    /// The channel's name.
    pub channel: String,
    /// Who wrote it: `customer`, `agent`, `bot`, `system` or `note`.
    pub author: String,
    /// The agent's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author_id: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The part of it that was looked for; joined, it is a part of the text.
    pub snippet: Vec<Piece>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// How many messages there are in all.
    pub total: usize,
    /// Those that were wanted.
    pub items: Vec<Hit>,
}

#[derive(Debug, Clone, Copy)]
struct Fields {
    key: Field,
    tenant: Field,
    id: Field,
    conversation: Field,
    session: Field,
    channel: Field,
    author: Field,
    author_id: Field,
    at: Field,
    text: Field,
}

impl Fields {
    fn schema() -> (Schema, Self) {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let fields = Self {
            key: schema.add_text_field("key", STRING),
            tenant: schema.add_text_field("tenant", STRING),
            id: schema.add_text_field("id", STORED),
            conversation: schema.add_text_field("conversation", STRING | STORED),
            session: schema.add_u64_field("session", STORED),
            channel: schema.add_text_field("channel", STRING | STORED),
            author: schema.add_text_field("author", STRING | STORED),
            author_id: schema.add_text_field("author_id", STRING | STORED),
            at: schema.add_i64_field("at", INDEXED | STORED | FAST),
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(indexing).set_stored()),
        };
        (schema.build(), fields)
    }
}

/// The index, for its one writer.
pub struct MessageIndex {
    index: Index,
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
}

/// The index, for reading. Cheap to clone; sees what was committed last.
#[derive(Clone)]
pub struct MessageReader {
    reader: IndexReader,
    fields: Fields,
}

impl MessageIndex {
    /// The index in this folder, or a new one where there is none.
    ///
    /// # Errors
    /// [`IndexError::Damaged`]: drop the folder and build it again. Anything else is the disk's fault.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let damaged = |reason: String| IndexError::Damaged { folder: folder.display().to_string(), reason };
        let failed = |error: io::Error| IndexError::Folder { folder: folder.display().to_string(), error };
        let (schema, fields) = Fields::schema();
        let is_new = !folder.join("meta.json").exists();
        let index = if is_new {
            if folder.exists() {
                fs::remove_dir_all(folder).map_err(failed)?;
            }
            fs::create_dir_all(folder).map_err(failed)?;
            Index::create_in_dir(folder, schema)?
        } else {
            let index = Index::open_in_dir(folder).map_err(|error| damaged(error.to_string()))?;
            if index.schema() != schema {
                return Err(damaged("its fields are those of another version".to_owned()));
            }
            let wrong = index.validate_checksum().map_err(|error| damaged(error.to_string()))?;
            if let Some(file) = wrong.iter().next() {
                return Err(damaged(format!("{} has changed", file.display())));
            }
            index
        };
        index.tokenizers().register(TOKENIZER, Analyzer::default());
        let writer = index.writer_with_num_threads(1, WRITER_BYTES).map_err(|error| damaged(error.to_string()))?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, writer, reader, fields })
    }

    /// The note of the last [`commit`](Self::commit).
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn note(&self) -> Result<Option<String>, IndexError> {
        Ok(self.index.load_metas()?.payload)
    }

    /// Takes a message in, in the place of an earlier one of this id. It is found from the next [`commit`](Self::commit) on.
    ///
    /// # Errors
    /// The disk fails.
    pub fn replace(&mut self, message: &Message) -> Result<(), IndexError> {
        self.writer.delete_term(Term::from_field_text(self.fields.key, &key_of(message)));
        self.add(message)
    }

    /// Takes a message in that is not there yet: an earlier one is not looked for. It is found from the next
    /// [`commit`](Self::commit) on.
    ///
    /// # Errors
    /// The disk fails.
    pub fn add(&mut self, message: &Message) -> Result<(), IndexError> {
        let (fields, key) = (self.fields, key_of(message));
        let mut document = TantivyDocument::default();
        document.add_text(fields.key, &key);
        document.add_text(fields.tenant, &message.tenant);
        document.add_text(fields.id, &message.id);
        document.add_text(fields.conversation, &message.conversation);
        document.add_u64(fields.session, u64::from(message.session));
        document.add_text(fields.channel, &message.channel);
        document.add_text(fields.author, message.author);
        if let Some(id) = &message.author_id {
            document.add_text(fields.author_id, id);
        }
        document.add_i64(fields.at, message.at_ms);
        document.add_text(fields.text, &message.text);
        self.writer.add_document(document)?;
        Ok(())
    }

    /// Makes everything since the last commit durable and visible, with a note that [`note`](Self::note) gives back.
    ///
    /// # Errors
    /// The disk fails.
    pub fn commit(&mut self, note: &str) -> Result<(), IndexError> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(note);
        commit.commit()?;
        self.reader.reload()?;
        Ok(())
    }

    /// For reading.
    pub fn reader(&self) -> MessageReader {
        MessageReader { reader: self.reader.clone(), fields: self.fields }
    }
}

/// Customers name their messages themselves: by no name can they take the place of what others wrote.
fn key_of(message: &Message) -> String {
    let Message { tenant, conversation, id, .. } = message;
    let side = match message.author {
        "customer" => "in",
        "note" => "note",
        _ => "out",
    };
    format!("{tenant}/{conversation}/{side}/{id}")
}

/// What is looked for in a text.
enum Sought {
    Word(String),
    /// Characters that follow each other.
    Run(Vec<String>),
}

/// The words of a question: words as they are, and each run of Chinese as its characters.
fn sought(words: &[Word]) -> Vec<Sought> {
    let mut all: Vec<Sought> = Vec::new();
    let mut run: Vec<(usize, String)> = Vec::new();
    let close = |run: &mut Vec<(usize, String)>| {
        let characters: Vec<String> = run.drain(..).map(|(_, text)| text).collect();
        match characters.len() {
            0 => None,
            1 => characters.into_iter().next().map(Sought::Word),
            _ => Some(Sought::Run(characters)),
        }
    };
    let is_character = |word: &&Word| word.text.chars().count() == 1 && word.text.chars().all(is_asian);
    let mut characters: Vec<&Word> = words.iter().filter(is_character).collect();
    characters.sort_by_key(|word| word.position);
    characters.dedup_by_key(|word| word.position);
    for word in characters {
        if run.last().is_some_and(|(end, _)| *end != word.from) {
            all.extend(close(&mut run));
        }
        run.push((word.to, word.text.clone()));
    }
    all.extend(close(&mut run));
    let others = words.iter().filter(|word| !word.text.chars().all(is_asian));
    let others: BTreeSet<&str> = others.map(|word| word.text.as_str()).collect();
    all.extend(others.into_iter().map(|word| Sought::Word(word.to_owned())));
    all.truncate(MAX_WORDS);
    all
}

impl MessageReader {
    /// Messages of a tenant.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn find(&self, tenant: &str, wanted: &Wanted<'_>) -> Result<Hits, IndexError> {
        let (fields, searcher) = (self.fields, self.reader.searcher());
        let sought = sought(&Analyzer::default().words(wanted.text));
        // Something was asked that has no words: nothing has them.
        if sought.is_empty() && !wanted.text.trim().is_empty() {
            return Ok(Hits { total: 0, items: Vec::new() });
        }
        let query = self.query(tenant, wanted, &sought);
        let top = TopDocs::with_limit(wanted.limit.max(1)).and_offset(wanted.offset.min(MAX_REACH));
        let (total, addresses) = if wanted.by_relevance {
            let (total, found) = searcher.search(&query, &(Count, top.order_by_score()))?;
            (total, found.into_iter().map(|(_, address)| address).collect::<Vec<_>>())
        } else {
            let newest = top.order_by_fast_field::<i64>("at", Order::Desc);
            let (total, found) = searcher.search(&query, &(Count, newest))?;
            (total, found.into_iter().map(|(_, address)| address).collect())
        };
        let mut items = Vec::with_capacity(addresses.len());
        for address in addresses.into_iter().take(wanted.limit) {
            let document: TantivyDocument = searcher.doc(address)?;
            let text =
                |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            let said = text(fields.text);
            items.push(Hit {
                id: text(fields.id),
                conversation: text(fields.conversation),
                session: document.get_first(fields.session).and_then(|value| value.as_u64()).unwrap_or_default(),
                channel: text(fields.channel),
                author: text(fields.author),
                author_id: Some(text(fields.author_id)).filter(|id| !id.is_empty()),
                at_ms: document.get_first(fields.at).and_then(|value| value.as_i64()).unwrap_or_default(),
                snippet: snippet(&said, hits(&said, &sought)),
            });
        }
        Ok(Hits { total, items })
    }

    fn query(&self, tenant: &str, wanted: &Wanted<'_>, sought: &[Sought]) -> BooleanQuery {
        let fields = self.fields;
        let exactly = |field, text: &str| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
        };
        let mut parts: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, exactly(fields.tenant, tenant))];
        for (field, value) in [
            (fields.conversation, wanted.conversation),
            (fields.channel, wanted.channel),
            (fields.author, wanted.author),
            (fields.author_id, wanted.agent),
        ] {
            parts.extend(value.map(|value| (Occur::Must, exactly(field, value))));
        }
        if wanted.without_notes {
            parts.push((Occur::MustNot, exactly(fields.author, "note")));
        }
        if wanted.from_ms.is_some() || wanted.to_ms.is_some() {
            let at = |at: Option<i64>, bound: fn(Term) -> Bound<Term>| {
                at.map_or(Bound::Unbounded, |at| bound(Term::from_field_i64(fields.at, at)))
            };
            let range = RangeQuery::new(at(wanted.from_ms, Bound::Included), at(wanted.to_ms, Bound::Excluded));
            parts.push((Occur::Must, Box::new(range)));
        }
        for sought in sought {
            let term = |text: &String| Term::from_field_text(fields.text, text);
            let query: Box<dyn Query> = match sought {
                Sought::Word(word) => Box::new(TermQuery::new(term(word), IndexRecordOption::WithFreqs)),
                Sought::Run(characters) => Box::new(PhraseQuery::new(characters.iter().map(term).collect())),
            };
            parts.push((Occur::Must, query));
        }
        if sought.is_empty() {
            parts.push((Occur::Must, Box::new(AllQuery)));
        }
        BooleanQuery::new(parts)
    }
}

/// Where in a text what was looked for is, from which byte to which.
fn hits(text: &str, sought: &[Sought]) -> Vec<(usize, usize)> {
    let words = Analyzer::default().words(text);
    let mut hits: Vec<(usize, usize)> = Vec::new();
    for sought in sought {
        match sought {
            Sought::Word(wanted) => {
                hits.extend(words.iter().filter(|word| word.text == *wanted).map(|word| (word.from, word.to)));
            }
            Sought::Run(characters) => {
                let mut singles: Vec<&Word> = words.iter().filter(|word| word.text.chars().count() == 1).collect();
                singles.sort_by_key(|word| word.position);
                singles.dedup_by_key(|word| word.position);
                for window in singles.windows(characters.len()) {
                    let follow = window.windows(2).all(|pair| pair[0].position + 1 == pair[1].position);
                    if follow && window.iter().zip(characters).all(|(word, wanted)| word.text == *wanted) {
                        hits.push((window[0].from, window[window.len() - 1].to));
                    }
                }
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tempfile::TempDir;

    fn message(id: &str, text: &str) -> Message {
        Message {
            tenant: "demo".into(),
            id: id.into(),
            conversation: "c1".into(),
            session: 1,
            channel: "web".into(),
            author: "customer",
            author_id: None,
            at_ms: 1_000 + id.len() as i64,
            text: text.into(),
        }
    }

    fn index(messages: &[Message]) -> (TempDir, MessageIndex) {
        let dir = TempDir::new().unwrap();
        let mut index = MessageIndex::open(&dir.path().join("messages")).unwrap();
        messages.iter().for_each(|message| index.add(message).unwrap());
        index.commit("1").unwrap();
        (dir, index)
    }

    fn ids(index: &MessageIndex, tenant: &str, wanted: Wanted<'_>) -> Vec<String> {
        let wanted = Wanted { limit: 100, ..wanted };
        index.reader().find(tenant, &wanted).unwrap().items.into_iter().map(|hit| hit.id).collect()
    }

    fn text(text: &str) -> Wanted<'_> {
        Wanted { text, ..Wanted::default() }
    }

    #[test]
    fn words_are_found_in_any_form_and_chinese_by_any_part_of_it() {
        let (_dir, index) = index(&[message("a", "Where are my shoes?"), message("bb", "我想退貨，鞋子太小了")]);
        for (asked, found) in [
            ("shoe", vec!["a"]),
            ("WHERE shoes", vec!["a"]),
            ("where boots", vec![]),
            ("退货", vec!["bb"]),
            ("子太", vec!["bb"]),
            ("货退", vec![]),
            ("鞋 退", vec!["bb"]),
            ("", vec!["bb", "a"]),
            ("?!", vec![]),
        ] {
            assert_eq!(ids(&index, "demo", text(asked)), found, "{asked}");
        }
    }

    #[test]
    fn another_tenants_messages_are_never_found() {
        let other = Message { tenant: "other".into(), ..message("x", "secret shoes") };
        let (_dir, index) = index(&[message("a", "shoes"), other]);
        assert_eq!(ids(&index, "demo", text("shoes")), ["a"]);
        assert_eq!(ids(&index, "demo", text("secret")), Vec::<String>::new());
        assert_eq!(ids(&index, "oth", text("")), Vec::<String>::new());
    }

    #[test]
    fn a_customers_message_takes_no_place_of_what_others_wrote_under_its_id() {
        let reply = Message { author: "agent", ..message("1", "your shoes are here") };
        let (_dir, mut index) = index(&[reply]);
        index.replace(&message("1", "ok")).unwrap();
        index.commit("2").unwrap();
        assert_eq!(ids(&index, "demo", text("shoes")), ["1"]);
        assert_eq!(ids(&index, "demo", text("ok")), ["1"]);
    }

    #[test]
    fn filters_narrow_and_an_edit_takes_the_place_of_what_it_edits() {
        let note =
            Message { author: "note", author_id: Some("ann".into()), at_ms: 5_000, ..message("n", "likes shoes") };
        let (_dir, mut index) = index(&[message("a", "shoes"), note]);
        let shoes = || text("shoes");
        assert_eq!(ids(&index, "demo", shoes()), ["n", "a"], "the newest first");
        assert_eq!(ids(&index, "demo", Wanted { without_notes: true, ..shoes() }), ["a"]);
        assert_eq!(ids(&index, "demo", Wanted { author: Some("note"), ..shoes() }), ["n"]);
        assert_eq!(ids(&index, "demo", Wanted { agent: Some("ann"), ..shoes() }), ["n"]);
        assert_eq!(ids(&index, "demo", Wanted { from_ms: Some(5_000), ..shoes() }), ["n"]);
        assert_eq!(ids(&index, "demo", Wanted { to_ms: Some(5_000), ..shoes() }), ["a"]);
        assert_eq!(ids(&index, "demo", Wanted { conversation: Some("c2"), ..shoes() }), Vec::<String>::new());
        assert_eq!(ids(&index, "demo", Wanted { offset: 1, ..shoes() }), ["a"]);
        index.replace(&message("a", "boots")).unwrap();
        index.commit("2").unwrap();
        assert_eq!(ids(&index, "demo", shoes()), ["n"]);
        assert_eq!(ids(&index, "demo", text("boots")), ["a"]);
    }

    #[test]
    fn what_was_looked_for_is_marked() {
        let (_dir, index) = index(&[message("a", "They said my red shoes are lost; 我的鞋子丢了。")]);
        let marked = |asked| {
            let hits = index.reader().find("demo", &Wanted { limit: 1, ..text(asked) }).unwrap();
            hits.items[0].snippet.iter().filter(|piece| piece.hit).map(|piece| piece.text.clone()).collect::<Vec<_>>()
        };
        assert_eq!(marked("shoe lost"), ["shoes", "lost"]);
        assert_eq!(marked("鞋子"), ["鞋子"]);
    }

    #[test]
    fn what_was_committed_is_there_again_and_a_damaged_file_is_told_from_it() {
        let (dir, index) = index(&[message("a", "shoes")]);
        let folder = dir.path().join("messages");
        drop(index);
        let reopened = MessageIndex::open(&folder).unwrap();
        assert_eq!(reopened.note().unwrap().as_deref(), Some("1"));
        assert_eq!(ids(&reopened, "demo", text("shoes")), ["a"]);
        drop(reopened);
        for file in fs::read_dir(&folder).unwrap().flatten() {
            fs::write(file.path(), b"junk").unwrap();
        }
        assert!(matches!(MessageIndex::open(&folder), Err(IndexError::Damaged { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_snippet_is_a_part_of_the_text(said in "[a-c 你我他\u{301}é🎉。]{0,400}", asked in "[a-c 你我]{0,6}") {
            let pieces = snippet(&said, hits(&said, &sought(&Analyzer::default().words(&asked))));
            let joined: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            prop_assert!(said.contains(&joined));
            prop_assert!(pieces.iter().all(|piece| !piece.text.is_empty()));
        }
    }
}
