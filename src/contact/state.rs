//! What a contact remembers.

use kefu_events::{
    Timestamp,
    contact::{ContactDetails, Identity},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;

/// Attributes that a contact can have of its own. What a channel sends beyond that is passed over.
pub const MAX_ATTRIBUTES: usize = 100;
/// Characters of an attribute's name.
pub const MAX_ATTRIBUTE_NAME_CHARS: usize = 64;
/// Bytes of JSON of an attribute's value.
pub const MAX_ATTRIBUTE_BYTES: usize = 2_000;
/// Characters of a name that a channel knows.
pub const MAX_NAME_CHARS: usize = 200;
/// Tags that a contact can have of its own.
pub const MAX_TAGS: usize = 100;
/// Contacts that can be merged into one. One person has a handful of channels; a hundred are a rule gone wrong.
pub const MAX_ABSORBED: usize = 100;
/// Contacts that a contact remembers to have been separated from.
pub const MAX_APART: usize = 100;

/// A contact's memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When the person first wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// When the person last began a session, or something about them changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What it knows itself.
    pub own: ContactDetails,
    /// What the contacts brought that were merged into this one, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<Absorbed>,
    /// The contact that this one is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<PartOf>,
    /// The contact that this one was part of, which has not confirmed the separation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undoing: Option<Undoing>,
    /// Contacts that this one was separated from, the last ones: no rule merges them again.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub apart: VecDeque<String>,
}

/// What a contact brought that was merged into this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Absorbed {
    /// Its key.
    pub from: String,
    /// Names the merge.
    pub merge: String,
    /// What it brought.
    pub details: ContactDetails,
}

/// The contact that this one is part of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartOf {
    /// Names the merge.
    pub merge: String,
    /// Its key.
    pub into: String,
    /// How often the merge has been redirected.
    #[serde(default)]
    pub hops: u32,
    /// By which rule, if not by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// It has not been confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
}

/// The contact that this one was part of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undoing {
    /// Names the merge.
    pub merge: String,
    /// Its key.
    pub from: String,
    /// It has not been confirmed.
    pub pending: Pending,
}

/// A confirmation that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// It is asked for again then.
    pub deadline: Timestamp,
    /// How often it has been asked for again.
    pub attempt: u32,
}

impl State {
    /// Whether anybody has ever seen this person, here or through a merge.
    pub fn exists(&self) -> bool {
        self.first_seen.is_some()
    }

    /// What is known of the person: its own first, then what others brought, in order.
    pub fn details(&self) -> ContactDetails {
        let mut all = self.own.clone();
        for Absorbed { details, .. } in &self.absorbed {
            all.name = all.name.or_else(|| details.name.clone());
            for identity in &details.identities {
                if !all.identities.contains(identity) {
                    all.identities.push(identity.clone());
                }
            }
            for (name, value) in &details.attributes {
                if !all.attributes.contains_key(name) {
                    all.attributes.insert(name.clone(), value.clone());
                }
            }
            for tag in &details.tags {
                if !all.tags.contains(tag) {
                    all.tags.push(tag.clone());
                }
            }
        }
        all
    }

    /// The value of an attribute, as [`details`](Self::details) has it.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.each().find_map(|details| details.attributes.get(name))
    }

    /// Whether the person has this tag, as [`details`](Self::details) has it.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.each().any(|details| details.tags.iter().any(|has| has == tag))
    }

    /// What it knows itself, or what `via` brought.
    pub(super) fn known_by(&self, via: Option<&str>) -> Option<&ContactDetails> {
        let Some(via) = via else { return Some(&self.own) };
        self.absorbed.iter().find(|absorbed| absorbed.from == via).map(|absorbed| &absorbed.details)
    }

    pub(super) fn known_by_mut(&mut self, via: Option<&str>) -> Option<&mut ContactDetails> {
        let Some(via) = via else { return Some(&mut self.own) };
        self.absorbed.iter_mut().find(|absorbed| absorbed.from == via).map(|absorbed| &mut absorbed.details)
    }

    pub(super) fn knows(&self, identity: &Identity, via: Option<&str>) -> bool {
        self.known_by(via).is_some_and(|details| details.identities.contains(identity))
    }

    fn each(&self) -> impl Iterator<Item = &ContactDetails> {
        std::iter::once(&self.own).chain(self.absorbed.iter().map(|absorbed| &absorbed.details))
    }
}

/// An attribute's value as rules compare it; `None` where there is nothing to compare.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
