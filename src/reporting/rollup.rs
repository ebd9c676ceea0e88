//! The projection `reporting`: cells by minute, hour and day, what the folds remember, and the sessions behind the figures.
//!
//! What it has written follows from the log alone, byte by byte, whatever was killed or written in which portions: cells add up in
//! any order, and what is dropped for its age is dropped by the log's time, at the commit that begins a new day.

use super::metric::{
    AgentFold, Cell, ConversationFold, Dimension, Ledger, Level, Place, Rules, Session, cell_key, cell_prefix, date_of,
    fold_entry, number_of, parse_cell_key,
};
use crate::{
    routing::hours::{date_in, midnight_in},
    store::{Batch, DecodedCommit, Family, Projection, Shape, StoreError, View},
};
use chrono::Days;
use hashbrown::HashMap;
use kefu_events::{
    AggregateKind, Timestamp, agent::AgentEvent, conversation::ConversationEvent, faq::FaqEvent,
    settings::SettingsEvent,
};
use lru::LruCache;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, num::NonZeroUsize};

/// The projection's name.
pub const NAME: &str = "reporting";
/// Counted up when what is counted, or how it is stored, changes.
pub const VERSION: u32 = 2;
/// Rebuilds of one version are told apart by the digits below.
pub const GENERATIONS: u32 = 1_000;

/// Cells, by [`cell_key`].
pub const CELLS: usize = 0;
/// `<tenant>/<key>` → what the fold remembers of a conversation.
pub const CONVERSATIONS: usize = 1;
/// `<tenant>/<key>` → what the fold remembers of an agent.
pub const AGENTS: usize = 2;
/// `<tenant>` → what the settings say about figures, and how far back they are kept.
pub const TENANTS: usize = 3;
/// `<tenant>/<entry>` → its category.
pub const CATEGORIES: usize = 4;
/// `<tenant>/<when it ended><key><number>` → the session.
pub const SESSIONS: usize = 5;

/// Conversations whose state is kept in memory, at most: about 20 MB.
const CACHED: NonZeroUsize = NonZeroUsize::new(65_536).expect("is not zero");
/// Cells of minutes that are counted before they are rolled up, at most: about 30 MB.
const MAX_MINUTES: usize = 100_000;

/// What is known of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantNote {
    /// Its settings.
    pub rules: Rules,
    /// The newest day (where the tenant is) that commits of two aggregates have seen.
    pub newest: u32,
    /// A later day that commits of one aggregate have seen only: its clock may be wrong.
    ahead: Option<Ahead>,
    /// Cells of minutes and of hours, and sessions, from before these moments are gone. Milliseconds, computed when the day began: the
    /// tenant may change its time zone.
    minutes_from: i64,
    /// See above.
    hours_from: i64,
    /// See above.
    sessions_from: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ahead {
    day: u32,
    /// Kind and key of the aggregate.
    by: String,
}

impl TenantNote {
    /// A commit of this moment has come, of this aggregate.
    fn see(&mut self, at: Timestamp, kind: AggregateKind, key: &str) -> Seen {
        let day = number_of(date_in(self.rules.zone(), at));
        if day <= self.newest {
            return Seen::Nothing;
        }
        let by = format!("{kind}/{key}");
        let ahead = match self.ahead.take() {
            Some(ahead) if ahead.by != by => ahead,
            own => {
                let latest = own.as_ref().map_or(0, |own| own.day).max(day);
                let is_known = own.is_some_and(|own| own.day == latest);
                self.ahead = Some(Ahead { day: latest, by });
                return if is_known { Seen::Nothing } else { Seen::Ahead };
            }
        };
        let today = day.min(ahead.day);
        self.ahead = [Ahead { day, by }, ahead].into_iter().find(|ahead| ahead.day > today);
        self.newest = today;
        let keep = self.rules.reporting();
        let begins = |days: u32| self.begins(today.saturating_sub(days)).as_millis();
        // An edge of single minutes consists of whole hours, too.
        let hours = begins(keep.keep_hours_days.max(keep.keep_minutes_days));
        let (minutes, sessions) = (begins(keep.keep_minutes_days), begins(keep.keep_sessions_days));
        // Never back: what is gone is gone.
        self.minutes_from = self.minutes_from.max(minutes);
        self.hours_from = self.hours_from.max(hours);
        self.sessions_from = self.sessions_from.max(sessions);
        Seen::NewDay
    }

    /// One that keeps minutes from this moment on, and everything else for ever.
    #[cfg(test)]
    pub fn kept(rules: Rules, minutes_from: Timestamp) -> Self {
        Self { rules, minutes_from: minutes_from.as_millis(), ..Self::default() }
    }

    /// When a day begins.
    pub fn begins(&self, day: u32) -> Timestamp {
        date_of(day).map_or(Timestamp::from_millis(0), |date| midnight_in(self.rules.zone(), date))
    }

    /// Cells of this level are kept from here on.
    pub fn kept_from(&self, level: Level) -> Timestamp {
        Timestamp::from_millis(match level {
            Level::Minute => self.minutes_from,
            Level::Hour => self.hours_from,
            Level::Day => i64::MIN,
        })
    }

    /// Sessions that ended at this moment or later are kept.
    pub fn sessions_from(&self) -> Timestamp {
        Timestamp::from_millis(self.sessions_from)
    }

    /// The first minute, hour or day of which cells are kept.
    fn first(&self, level: Level) -> u32 {
        let unit_ms = match level {
            Level::Minute => 60_000,
            Level::Hour => 3_600_000,
            Level::Day => return 0,
        };
        u32::try_from(self.kept_from(level).as_millis().max(0) / unit_ms).unwrap_or(u32::MAX)
    }
}

/// What a commit's moment changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// One aggregate has seen a later day.
    Ahead,
    /// A new day has begun, and what is too old now is to go.
    NewDay,
}

#[derive(Default)]
struct Tenant {
    note: TenantNote,
    ledger: Ledger,
    /// Cells of this portion, rolled up by the day that was the newest then.
    cells: BTreeMap<Place, Cell>,
    changed: bool,
    /// Something stored may be too old.
    ages: bool,
}

/// The projection.
pub struct Rollup {
    generation: u32,
    view: Option<View>,
    tenants: BTreeMap<String, Tenant>,
    categories: HashMap<Vec<u8>, String>,
    agents: HashMap<Vec<u8>, AgentFold>,
    /// Encoded, as they are stored: far smaller than in the form in which they are folded.
    conversations: LruCache<Vec<u8>, Box<[u8]>>,
    changed_conversations: HashMap<Vec<u8>, ConversationFold>,
    changed_agents: BTreeMap<Vec<u8>, ()>,
    changed_categories: BTreeMap<Vec<u8>, ()>,
    sessions: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Rollup {
    /// The projection of this version and generation.
    pub fn new(generation: u32) -> Self {
        Self {
            generation: generation % GENERATIONS,
            view: None,
            tenants: BTreeMap::new(),
            categories: HashMap::new(),
            agents: HashMap::new(),
            conversations: LruCache::new(CACHED),
            changed_conversations: HashMap::new(),
            changed_agents: BTreeMap::new(),
            changed_categories: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }
}

/// `<tenant>/<key>`.
pub fn path(tenant: &str, key: &str) -> Vec<u8> {
    [tenant.as_bytes(), b"/", key.as_bytes()].concat()
}

/// The key of an ended session.
fn session_key(tenant: &str, ended_at: Timestamp, key: &str, number: u32) -> Vec<u8> {
    [&session_prefix(tenant, ended_at)[..], key.as_bytes(), &number.to_be_bytes()].concat()
}

/// What the keys of sessions begin with that ended at this moment.
pub fn session_prefix(tenant: &str, ended_at: Timestamp) -> Vec<u8> {
    let at = u64::try_from(ended_at.as_millis()).unwrap_or(0);
    [tenant.as_bytes(), b"/", &at.to_be_bytes()].concat()
}

/// The conversation's key in a session's.
pub fn conversation_of(key: &[u8], tenant: &str) -> Option<String> {
    let rest = key.get(tenant.len() + 1 + 8..)?;
    let conversation = rest.get(..rest.len().checked_sub(4)?)?;
    Some(std::str::from_utf8(conversation).ok()?.to_owned())
}

/// Reads what this projection wrote.
///
/// # Errors
/// It did not write it.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|error| StoreError::Damaged(format!("the projection {NAME}: {error}")))
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Numbers and texts: cannot fail.
    postcard::to_allocvec(value).unwrap_or_default()
}

impl Projection for Rollup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        VERSION * GENERATIONS + self.generation
    }

    fn families(&self) -> Vec<Family> {
        vec![
            Family::new("", Shape::Ranges),
            Family::new("conversations", Shape::Points),
            Family::new("agents", Shape::Ranges),
            Family::new("tenants", Shape::Ranges),
            Family::new("categories", Shape::Ranges),
            Family::new("sessions", Shape::Ranges),
        ]
    }

    fn reads(&self, older_version: u32) -> bool {
        older_version / GENERATIONS == VERSION
    }

    fn load(&mut self, view: &View) -> Result<(), StoreError> {
        *self = Self::new(self.generation);
        self.view = Some(view.clone());
        let mut damaged = Ok(());
        view.scan(TENANTS, b"", b"", |tenant, note| {
            match (std::str::from_utf8(tenant), serde_json::from_slice(note)) {
                (Ok(tenant), Ok(note)) => {
                    self.tenants.insert(tenant.to_owned(), Tenant { note, ..Tenant::default() });
                }
                _ => damaged = Err(StoreError::Damaged(format!("the projection {NAME}: a tenant's note"))),
            }
            damaged.is_ok()
        })?;
        view.scan(AGENTS, b"", b"", |path, state| {
            match decode(state) {
                Ok(state) => drop(self.agents.insert(path.to_vec(), state)),
                Err(error) => damaged = Err(error),
            }
            damaged.is_ok()
        })?;
        view.scan(CATEGORIES, b"", b"", |path, category| {
            self.categories.insert(path.to_vec(), String::from_utf8_lossy(category).into_owned());
            true
        })?;
        damaged
    }

    fn fold(&mut self, commit: &DecodedCommit, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let Some(header) = commit.header() else { return Ok(()) };
        if !self.tenants.contains_key(header.tenant) {
            self.tenants.insert(header.tenant.to_owned(), Tenant::default());
        }
        let Some(tenant) = self.tenants.get_mut(header.tenant) else { return Ok(()) };
        let seen = tenant.note.see(header.at, header.kind, header.key);
        tenant.changed |= seen != Seen::Nothing;
        tenant.ages |= seen == Seen::NewDay;
        let path = path(header.tenant, header.key);
        if let Some(commit) = commit.events_of::<ConversationEvent>() {
            let mut state = match (self.changed_conversations.remove(&path), self.conversations.pop(&path)) {
                (Some(state), _) => state,
                (None, Some(bytes)) => decode(&bytes)?,
                (None, None) => match batch.get(CONVERSATIONS, &path)? {
                    Some(bytes) => decode(&bytes)?,
                    None => ConversationFold::default(),
                },
            };
            let categories = &self.categories;
            let category = |entry: &str| categories.get(&self::path(header.tenant, entry)).cloned();
            let changed = state.fold(commit, &tenant.note.rules, &category, &mut tenant.ledger);
            let first = tenant.note.sessions_from();
            for ended in changed.into_iter().filter_map(|number| state.ended(number)) {
                if let Some(ended_at) = ended.closed_at.filter(|at| *at >= first) {
                    let key = session_key(header.tenant, ended_at, header.key, ended.number);
                    self.sessions.insert(key, encode(ended));
                }
            }
            self.changed_conversations.insert(path, state);
        } else if let Some(commit) = commit.events_of::<AgentEvent>() {
            let state = self.agents.entry_ref(path.as_slice()).or_default();
            state.fold(commit, &mut tenant.ledger);
            self.changed_agents.insert(path, ());
        } else if let Some(commit) = commit.events_of::<FaqEvent>() {
            for event in &commit.events {
                let (FaqEvent::EntryDrafted { content, .. } | FaqEvent::EntryEdited { content, .. }) = event else {
                    continue;
                };
                // An entry without a category is an intent of its own, under its id.
                let category = content.category.clone().unwrap_or_else(|| header.key.to_owned());
                self.categories.insert(path.clone(), category);
                self.changed_categories.insert(path.clone(), ());
            }
            let category = self.categories.get(&path).map(String::as_str);
            fold_entry(commit, category, &mut tenant.ledger);
        } else if let Some(commit) = commit.events_of::<SettingsEvent>() {
            for event in &commit.events {
                if let SettingsEvent::DocumentChanged { value, .. } = event {
                    // Days of what happened before are those of the zone of then.
                    tenant.ledger.roll_up(tenant.note.rules.zone());
                    tenant.changed |= tenant.note.rules.set(header.key, value);
                }
            }
        }
        debug_assert!(AggregateKind::ALL.contains(&header.kind));
        if tenant.ages || tenant.ledger.len() > MAX_MINUTES {
            tenant.roll_up();
        }
        Ok(())
    }

    fn finish(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        for (name, tenant) in &mut self.tenants {
            tenant.roll_up();
            for ((level, dimension, time, value), cell) in std::mem::take(&mut tenant.cells) {
                if time < tenant.note.first(level) {
                    continue;
                }
                let key = cell_key(name, level, dimension, time, &value);
                let mut whole = match batch.get(CELLS, &key)? {
                    Some(stored) => decode::<Cell>(&stored)?,
                    None => Cell::default(),
                };
                whole.merge(&cell);
                batch.put(CELLS, &key, &encode(&whole));
            }
            if std::mem::take(&mut tenant.changed) {
                batch.put(TENANTS, name.as_bytes(), &serde_json::to_vec(&tenant.note).unwrap_or_default());
            }
            if std::mem::take(&mut tenant.ages)
                && let Some(view) = &self.view
            {
                let sessions_from = session_prefix(name, tenant.note.sessions_from());
                self.sessions.retain(|key, _| !key.starts_with(&path(name, "")) || *key >= sessions_from);
                drop_old(name, &tenant.note, view, batch)?;
            }
        }
        for (key, session) in std::mem::take(&mut self.sessions) {
            batch.put(SESSIONS, &key, &session);
        }
        for (path, state) in self.changed_conversations.drain() {
            let bytes = encode(&state);
            batch.put(CONVERSATIONS, &path, &bytes);
            self.conversations.put(path, bytes.into());
        }
        for (path, ()) in std::mem::take(&mut self.changed_agents) {
            if let Some(state) = self.agents.get(&path) {
                batch.put(AGENTS, &path, &encode(state));
            }
        }
        for (path, ()) in std::mem::take(&mut self.changed_categories) {
            if let Some(category) = self.categories.get(&path) {
                batch.put(CATEGORIES, &path, category.as_bytes());
            }
        }
        Ok(())
    }

    fn pending_bytes(&self) -> usize {
        // About what a state, a session, and a cell come to; one that is not rolled up is in three levels then.
        let cells = self.tenants.values().map(|tenant| 3 * tenant.ledger.len() + tenant.cells.len());
        (self.changed_conversations.len() + self.sessions.len()) * 300 + cells.sum::<usize>() * 200
    }
}

impl Tenant {
    /// Rolls up what was counted, and forgets what is too old already: by the day that is the newest now, not by the one that will be
    /// when it is written.
    fn roll_up(&mut self) {
        self.ledger.roll_up(self.note.rules.zone());
        let firsts = Level::ALL.map(|level| (level, self.note.first(level)));
        let first = |level: Level| firsts.iter().find(|(known, _)| *known == level).map_or(0, |(_, first)| *first);
        for (place, cell) in self.ledger.take() {
            if place.2 >= first(place.0) {
                self.cells.entry(place).or_default().merge(&cell);
            }
        }
    }
}

/// Deletes what is too old.
fn drop_old(tenant: &str, note: &TenantNote, view: &View, batch: &mut Batch<'_>) -> Result<(), StoreError> {
    for level in [Level::Minute, Level::Hour] {
        let first = note.first(level);
        for dimension in Dimension::ALL {
            let prefix = cell_prefix(tenant, level, dimension);
            view.scan(CELLS, &prefix, &prefix, |key, _| {
                let old = parse_cell_key(key, prefix.len()).is_some_and(|(time, _)| time < first);
                if old {
                    batch.delete(CELLS, key);
                }
                old
            })?;
        }
    }
    let end = session_prefix(tenant, note.sessions_from());
    let prefix = path(tenant, "");
    view.scan(SESSIONS, &prefix, &prefix, |key, _| {
        let old = key < end.as_slice();
        if old {
            batch.delete(SESSIONS, key);
        }
        old
    })
}

/// Reads an ended session.
///
/// # Errors
/// It is none.
pub fn decode_session(bytes: &[u8]) -> Result<Session, StoreError> {
    decode(bytes)
}

/// The first moment of the day after this one.
pub fn next_midnight(zone: &str, at: Timestamp) -> Timestamp {
    let date = date_in(zone, at);
    midnight_in(zone, date.checked_add_days(Days::new(1)).unwrap_or(date))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DAY_MS: i64 = 24 * 3_600_000;

    fn note(zone: &str) -> TenantNote {
        let mut note = TenantNote::default();
        note.rules.set("tenant", &json!({"time_zone": zone}));
        note.rules.set("reporting", &json!({"keep_minutes_days": 3, "keep_hours_days": 3, "keep_sessions_days": 3}));
        note
    }

    fn day(number: i64) -> Timestamp {
        Timestamp::from_millis(1_790_812_800_000 + number * DAY_MS)
    }

    #[test]
    fn one_commit_with_a_wrong_clock_makes_nothing_old() {
        let mut note = note("UTC");
        let mut see = |at: Timestamp, key: &str| {
            let seen = note.see(at, AggregateKind::Conversation, key);
            (seen, note.minutes_from)
        };
        let kept = |number: i64| day(number - 3).as_millis();
        assert_eq!(see(day(0), "a"), (Seen::Ahead, 0));
        assert_eq!(see(day(0), "a"), (Seen::Nothing, 0), "it is still one only");
        assert_eq!(see(day(0), "b"), (Seen::NewDay, kept(0)));
        // A year ahead; the others go on as they are, a day later when a second one is.
        assert_eq!(see(day(365), "wrong"), (Seen::Ahead, kept(0)));
        assert_eq!(see(day(0), "a"), (Seen::Nothing, kept(0)));
        assert_eq!(see(day(366), "wrong"), (Seen::Ahead, kept(0)), "however often one says so");
        assert_eq!(see(day(1), "a"), (Seen::NewDay, kept(1)));
        assert_eq!(see(day(2), "a"), (Seen::NewDay, kept(2)));
        // Two are of that day.
        assert_eq!(see(day(365), "b"), (Seen::NewDay, kept(365)));
        assert_eq!(see(day(3), "c"), (Seen::Nothing, kept(365)));
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_time_zone_of_later() {
        let mut note = note("Asia/Kolkata");
        note.see(day(0), AggregateKind::Conversation, "a");
        note.see(day(0), AggregateKind::Conversation, "b");
        let kept = Level::ALL.map(|level| (note.kept_from(level), note.first(level)));
        assert_eq!(kept[0].0, note.begins(note.newest - 3));
        for zone in ["UTC", "America/Los_Angeles", "Pacific/Kiritimati"] {
            note.rules.set("tenant", &json!({"time_zone": zone}));
            assert_eq!(Level::ALL.map(|level| (note.kept_from(level), note.first(level))), kept);
            assert_eq!(note.sessions_from(), kept[0].0);
        }
    }
}
