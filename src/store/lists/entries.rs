//! Knowledge-base entries by status, category and language.
//!
//! Key: `<tenant>/<facet letter><what>\0<key>`. No value. Nobody finds an entry that was never written: a command that went
//! to a wrong key makes none.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    aggregate::Tracked,
    faq::entry::{Entry, EntryStatus, FeedbackCounts, State},
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{AggregateKind, Timestamp, faq::EntryContent, key::token_of};
use serde::Serialize;

/// Bytes of content after which a page ends: NATS lets a megabyte through, and one entry has a quarter of it at most.
const MAX_CONTENT_BYTES: usize = 512 * 1024;

/// See the module's text.
pub const ENTRIES: List<Entry> = List { name: "entries", version: 1, entries };

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let state = &tracked.state;
    let Some(newest) = state.newest() else { return };
    let mut add = |filter: EntryFilter<'_>| entries.add(&[&filter.prefix(subject.tenant), subject.key.as_bytes()], &[]);
    add(EntryFilter::All);
    add(EntryFilter::Status(state.status().as_str()));
    if state.has_draft() {
        add(EntryFilter::Waiting);
    }
    newest.content.category.iter().for_each(|category| add(EntryFilter::Category(category)));
    newest.content.language.iter().for_each(|language| add(EntryFilter::Language(language)));
}

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntryFilter<'a> {
    /// All of them.
    #[default]
    All,
    /// Those with this status.
    Status(&'a str),
    /// Those with a version that waits for approval.
    Waiting,
    /// Those of this category.
    Category(&'a str),
    /// Those in this language.
    Language(&'a str),
}

impl EntryFilter<'_> {
    /// What all keys begin with under which these entries are found. The letters stand in stored keys: never change one.
    fn prefix(&self, tenant: &str) -> Vec<u8> {
        let (letter, what) = match self {
            Self::All => (b"a", ""),
            Self::Status(status) => (b"s", *status),
            Self::Waiting => (b"w", ""),
            Self::Category(category) => (b"c", *category),
            Self::Language(language) => (b"l", *language),
        };
        let what = if what.is_empty() { String::new() } else { token_of(what) };
        [tenant.as_bytes(), b"/", letter, what.as_bytes(), b"\0"].concat()
    }
}

/// An entry, as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntrySummary {
    /// Its id.
    pub id: String,
    /// Where it is on its way.
    pub status: EntryStatus,
    /// The newest version of its content.
    pub entry_version: u64,
    /// The version that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<u64>,
    /// All that the newest version says, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<EntryContent>,
    /// Its question, in the newest version.
    pub question: String,
    /// Other ways of asking it, in the newest version.
    pub similar: usize,
    /// Its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// What people made of it.
    pub feedback: FeedbackCounts,
    /// Whether it was set aside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// When something last happened.
    pub at: Timestamp,
    /// The aggregate's version.
    pub version: u64,
}

impl EntrySummary {
    /// An entry's state as a list shows it; `None`: it was never written.
    pub fn of(key: &str, tracked: &Tracked<State>) -> Option<Self> {
        let state = &tracked.state;
        let newest = state.newest()?;
        Some(Self {
            id: key.to_owned(),
            status: state.status(),
            entry_version: state.entry_version,
            approved: state.approved,
            content: None,
            question: newest.content.question.clone(),
            similar: newest.content.similar.len(),
            language: newest.content.language.clone(),
            category: newest.content.category.clone(),
            feedback: state.all_feedback(),
            quarantined: tracked.quarantined,
            at: tracked.at,
            version: tracked.version,
        })
    }
}

impl Store {
    /// Entries of a tenant by id, at most `limit`, after the place that the page before named; with what they say, where
    /// `with_content`.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn entries(
        &self,
        tenant: &str,
        filter: EntryFilter<'_>,
        with_content: bool,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<EntrySummary>, PageError> {
        let after = after.map(|cursor| place_of(cursor).ok_or(WrongCursor)).transpose()?;
        // One more than wanted, to know whether there are more.
        let wanted = limit.min(MAX_LOOKED_AT) + 1;
        let mut keys: Vec<String> = Vec::new();
        let prefix = filter.prefix(tenant);
        let start = after.map_or_else(Vec::new, just_after);
        self.list(ENTRIES.name, &prefix, &[&prefix[..], &start].concat(), |key, _| {
            keys.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
            keys.len() < wanted
        })?;
        let more = keys.len() == wanted;
        keys.truncate(wanted - 1);
        let mut next = keys.last().filter(|_| more).map(|key| cursor_of(key.as_bytes()));
        let mut items = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for (index, key) in keys.iter().enumerate() {
            if let Some(snapshot) = self.snapshot(tenant, AggregateKind::Faq, key)? {
                let tracked: Tracked<State> = serde_json::from_slice(&snapshot)
                    .map_err(|error| StoreError::Damaged(format!("entry {key}: {error}")))?;
                let Some(mut item) = EntrySummary::of(key, &tracked) else { continue };
                if let Some(newest) = tracked.state.newest().filter(|_| with_content) {
                    bytes += serde_json::to_string(&newest.content).map_or(0, |json| json.len());
                    item.content = Some(newest.content.clone());
                }
                items.push(item);
                if bytes > MAX_CONTENT_BYTES && index + 1 < keys.len() {
                    next = Some(cursor_of(key.as_bytes()));
                    break;
                }
            }
        }
        Ok(Page { items, next })
    }
}
