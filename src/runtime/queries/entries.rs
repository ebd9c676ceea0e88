//! Entries of the knowledge base by what they say: drafts and retired ones as well, which the bot's search does not hold.
//!
//! All of a tenant's entries are looked at. That takes about as long as reading them, and there are thousands, not millions; an index
//! would have to be kept up to date by every node for a few who edit.

use super::{Queries, internal, invalid, limit, to_value};
use crate::{
    search::text::find::{Parts, Piece, Seen, snippet},
    store::{EntryFilter, EntrySummary, PageError},
};
use kefu_events::{faq::EntryContent, query::QueryError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::iter::once;

/// Entries that are read at a time.
const PORTION: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedEntries {
    text: String,
    status: Option<String>,
    #[serde(default)]
    waiting: bool,
    category: Option<String>,
    language: Option<String>,
    offset: Option<usize>,
    limit: Option<usize>,
}

/// An entry that says what was looked for.
#[derive(Serialize)]
struct Hit {
    #[serde(flatten)]
    entry: EntrySummary,
    /// Where: `question`, `similar`, `answer` or `id`.
    found_in: Place,
    /// The part of it that was looked for.
    snippet: Vec<Piece>,
}

/// Where something was found, the most telling place first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Question,
    Similar,
    Answer,
    Id,
}

impl Queries {
    pub(super) fn search_entries(&self, tenant: &str, asked: &WantedEntries) -> Result<Value, QueryError> {
        let parts = Parts::of(&asked.text);
        if parts.is_empty() {
            return Err(invalid("`text` has no word"));
        }
        let filter = match &asked.status {
            _ if asked.waiting => EntryFilter::Waiting,
            Some(status) => EntryFilter::Status(status),
            None => EntryFilter::All,
        };
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let (mut hits, mut after) = (Vec::new(), None::<String>);
        loop {
            let page =
                self.store.entries(tenant, filter, true, after.as_deref(), PORTION).map_err(|error| match error {
                    PageError::Store(error) => internal(&error),
                    PageError::Cursor(error) => invalid(&error.to_string()),
                })?;
            for mut entry in page.items {
                let Some(content) = entry.content.take() else { continue };
                let is_there = asked.status.as_ref().is_none_or(|status| entry.status.as_str() == status);
                if is_there && fits(&asked.category, &entry.category) && fits(&asked.language, &entry.language) {
                    hits.extend(look(&parts, entry, &content));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        // Stable: those found in the same place stay in the order of their ids.
        hits.sort_by_key(|hit| hit.found_in);
        let total = hits.len();
        let shown = hits.into_iter().skip(asked.offset.unwrap_or_default()).take(limit(asked.limit)?);
        let items: Vec<Value> = shown.map(|hit| to_value(&hit)).collect();
        Ok(json!({ "total": total, "items": items }))
    }
}

/// The entry with the place that has most of what is looked for, if it has all of it.
fn look(parts: &Parts, entry: EntrySummary, content: &EntryContent) -> Option<Hit> {
    let similar = content.similar.iter().map(|text| (Place::Similar, text.as_str()));
    let answers = once(&content.answer).chain(content.channel_answers.values());
    let answers = answers.map(|text| (Place::Answer, text.as_str()));
    let named = [(Place::Question, content.question.as_str())].into_iter();
    let texts = named.chain(similar).chain(answers).chain(once((Place::Id, entry.id.as_str())));
    let seen: Vec<(Place, &str, Seen)> = texts.map(|(place, text)| (place, text, parts.look(text))).collect();
    if !parts.are_all_in(seen.iter().map(|(_, _, seen)| seen)) {
        return None;
    }
    // The first one of those that have the most.
    let most = seen.iter().map(|(_, _, seen)| seen.count()).max()?;
    let (found_in, text, seen) = seen.into_iter().find(|(_, _, seen)| seen.count() == most)?;
    let snippet = snippet(text, seen.hits);
    Some(Hit { found_in, snippet, entry })
}
