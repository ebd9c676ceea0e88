//! The lists that kefu keeps, and how they are read in pages.
//!
//! Each list is a pure function from a state to the keys under which it is found; the store writes the differences.
//! These are the only files of the store that know what a conversation, a contact, an agent or a knowledge-base entry is.

mod agents;
mod answers;
mod contacts;
mod conversations;
mod entries;
mod practice;
mod questions;
mod staff;
mod waiting;

pub use agents::{AGENTS, AgentFilter, AgentSummary};
pub use answers::{ANSWERS, ApprovedEntry};
pub use contacts::{CONTACTS, ContactFilter, ContactSummary};
pub use conversations::{CONVERSATIONS, ConversationEntry, ConversationFilter, ConversationSummary};
pub use entries::{ENTRIES, EntryFilter, EntrySummary};
pub use practice::PRACTICE;
pub use questions::{QUESTIONS, Question};
pub use staff::{HeldSlot, STAFF, StaffEntry};
pub use waiting::{WAITING, WaitingEntry};

use serde::Serialize;

/// Entries that one page looks at, at most, however few of them it wants: a filter that matches nothing must not walk
/// through millions. The page is short then, and says where to go on.
const MAX_LOOKED_AT: usize = 10_000;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page<T> {
    /// What was found. Can be short of the limit, even empty, though there is more.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Tenant and key in `<tenant>/<key>`, for lists that are read as a whole.
pub fn tenant_and_key(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.split_once('/')
}

/// A place in a list, as text.
fn cursor_of(place: &[u8]) -> String {
    place.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The place that [`cursor_of`] wrote; `None` if it did not write it.
fn place_of(cursor: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let pairs = cursor.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// The smallest key after `key`.
fn just_after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// The cursor is none that a page has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no place that a page has named as the next one")]
pub struct WrongCursor;

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The question is wrong.
    #[error(transparent)]
    Cursor(#[from] WrongCursor),
    /// The store is.
    #[error(transparent)]
    Store(#[from] super::StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_back_and_others_are_refused() {
        let place = [0, 1, 254, 255];
        assert_eq!(cursor_of(&place), "0001feff");
        assert_eq!(place_of("0001feff"), Some(place.to_vec()));
        assert_eq!(place_of(""), Some(Vec::new()));
        for wrong in ["0", "0g", "+1", "é", "zz"] {
            assert_eq!(place_of(wrong), None, "{wrong}");
        }
    }
}
