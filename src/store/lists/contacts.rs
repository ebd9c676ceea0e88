//! Contacts by attribute, tag and channel. Those that are part of another are not in it: what they know is found there.
//!
//! Key: `<tenant>/<facet letter><what>\0<key>`, where what is `<name>\0<value>` for an attribute. No value.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    aggregate::Tracked,
    contact::{Contact, State, as_text},
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{
    AggregateKind, Timestamp,
    contact::{ContactDetails, Identity},
    key::short_hash,
};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// See the module's text.
pub const CONTACTS: List<Contact> = List { name: "contacts", version: 1, entries };

/// Longer texts are found by their hash: keys stay short.
const MAX_TEXT_BYTES: usize = 200;
/// Contacts that a decision is told to have a value: it looks at the first few, and a value that more people have names
/// nobody.
const MAX_FOUND: usize = 100;

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let state = &tracked.state;
    if state.part_of.is_some() {
        return;
    }
    // Nearly no contact has absorbed another, and details are copied.
    let details = if state.absorbed.is_empty() { Cow::Borrowed(&state.own) } else { Cow::Owned(state.details()) };
    let mut add = |facet: &Facet<'_>| entries.add(&[&facet.prefix(subject.tenant), subject.key.as_bytes()], &[]);
    for (name, value) in &details.attributes {
        if let Some(value) = as_text(value) {
            add(&Facet::Attribute(name, &value));
        }
    }
    for tag in &details.tags {
        add(&Facet::Tag(tag));
    }
    let mut channels: Vec<&str> = details.identities.iter().map(|identity| identity.channel.as_str()).collect();
    channels.sort_unstable();
    channels.dedup();
    channels.into_iter().for_each(|channel| add(&Facet::Channel(channel)));
}

/// One way to find contacts.
enum Facet<'a> {
    Attribute(&'a str, &'a str),
    Tag(&'a str),
    Channel(&'a str),
}

impl Facet<'_> {
    /// What all keys begin with under which contacts are found in this way.
    fn prefix(&self, tenant: &str) -> Vec<u8> {
        let (letter, one, two) = match self {
            Self::Attribute(name, value) => (b"a", name, Some(value)),
            Self::Tag(tag) => (b"t", tag, None),
            Self::Channel(channel) => (b"c", channel, None),
        };
        let mut prefix = [tenant.as_bytes(), b"/", letter].concat();
        for text in [Some(one), two].into_iter().flatten() {
            prefix.extend_from_slice(comparable(text).as_bytes());
            prefix.push(0);
        }
        prefix
    }
}

/// Texts that people take for the same are the same: `Ann@example.org ` and `ann@example.org`.
fn comparable(text: &str) -> String {
    let text = text.trim().to_lowercase();
    if text.len() > MAX_TEXT_BYTES || text.contains('\0') { format!("#{}", short_hash(&text)) } else { text }
}

/// Which contacts are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContactFilter<'a> {
    /// All of them, also those that are part of another.
    #[default]
    All,
    /// Those whose attribute has this value, whatever its case.
    Attribute(&'a str, &'a str),
    /// Those with this tag.
    Tag(&'a str),
    /// Those that are known on this channel.
    Channel(&'a str),
}

/// A contact, as a list shows it: its own details, and those of the contacts that are part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContactSummary {
    /// Its key.
    pub key: String,
    /// The name that a channel knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Ways in which the person is known.
    pub identities: Vec<Identity>,
    /// Attributes.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The contact that this one is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// When the person was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Its version.
    pub version: u64,
}

impl ContactSummary {
    fn of(key: &str, snapshot: &[u8]) -> Result<Self, StoreError> {
        let tracked: Tracked<State> =
            serde_json::from_slice(snapshot).map_err(|error| StoreError::Damaged(format!("contact {key}: {error}")))?;
        let ContactDetails { name, identities, attributes, tags } = tracked.state.details();
        let part_of = tracked.state.part_of.map(|part_of| part_of.into);
        let (key, last_seen, version) = (key.to_owned(), tracked.state.last_seen, tracked.version);
        Ok(Self { key, name, identities, attributes, tags, part_of, last_seen, version })
    }
}

impl Store {
    /// Keys of a tenant's contacts, not part of another, whose attribute has this value, whatever its case. The first
    /// hundred.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn contacts_by_attribute(&self, tenant: &str, name: &str, value: &str) -> Result<Vec<String>, StoreError> {
        let prefix = Facet::Attribute(name, value).prefix(tenant);
        let mut keys = Vec::new();
        self.list(CONTACTS.name, &prefix, b"", |key, _| {
            keys.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
            keys.len() < MAX_FOUND
        })?;
        Ok(keys)
    }

    /// Contacts of a tenant by key, at most `limit`, after the place that the page before named.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn contacts(
        &self,
        tenant: &str,
        filter: ContactFilter<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ContactSummary>, PageError> {
        let after = after.map(|cursor| place_of(cursor).ok_or(WrongCursor)).transpose()?;
        // One more than wanted, to know whether there are more.
        let wanted = limit.min(MAX_LOOKED_AT) + 1;
        let mut keys: Vec<String> = Vec::new();
        let facet = match filter {
            ContactFilter::All => None,
            ContactFilter::Attribute(name, value) => Some(Facet::Attribute(name, value)),
            ContactFilter::Tag(tag) => Some(Facet::Tag(tag)),
            ContactFilter::Channel(channel) => Some(Facet::Channel(channel)),
        };
        let start = after.map_or_else(Vec::new, just_after);
        match facet {
            Some(facet) => {
                let prefix = facet.prefix(tenant);
                self.list(CONTACTS.name, &prefix, &[&prefix[..], &start].concat(), |key, _| {
                    keys.push(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
                    keys.len() < wanted
                })?;
            }
            None => {
                let start = String::from_utf8_lossy(&start);
                self.snapshots(tenant, AggregateKind::Contact, &start, |key, _| {
                    keys.push(key.to_owned());
                    keys.len() < wanted
                })?;
            }
        }
        let more = keys.len() == wanted;
        keys.truncate(wanted - 1);
        let next = keys.last().filter(|_| more).map(|key| cursor_of(key.as_bytes()));
        let mut items = Vec::with_capacity(keys.len());
        for key in &keys {
            if let Some(snapshot) = self.snapshot(tenant, AggregateKind::Contact, key)? {
                items.push(ContactSummary::of(key, &snapshot)?);
            }
        }
        Ok(Page { items, next })
    }
}
