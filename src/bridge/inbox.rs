//! The inbox's lists: which conversations are in which, and how many.
//!
//! Open conversations of a tenant are scanned out of the store's list, kept for a moment, and shared by all who ask; a page's
//! rows are then read one by one. Closed ones are read page by page: there may be millions.

use super::answer::Failure;
use crate::{
    access::{Access, Permission, Principal, Resource},
    aggregate::Tracked,
    conversation::State,
    store::{
        CONVERSATIONS, ConversationEntry, ConversationFilter, ConversationSummary, Page, PageError, Store, StoreError,
    },
};
use kefu_events::AggregateKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What was scanned is good for so many times as long as the scan took, so that it never takes more than a tenth of a core.
const GOOD_FOR: u32 = 10;
/// At least for so long.
const GOOD_FOR_LEAST: Duration = Duration::from_millis(20);

/// A list of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum List {
    /// With this agent: offered, active, in wrap-up, or consulted.
    Mine,
    /// Open, in queues that the agent serves.
    Queues,
    /// Waiting for anybody.
    Unassigned,
    /// With the bot.
    Bot,
    /// Put aside.
    Snoozed,
    /// Closed.
    Closed,
    /// All that one may read.
    All,
}

/// How many open conversations are in each list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Counts {
    mine: usize,
    queues: usize,
    unassigned: usize,
    bot: usize,
    snoozed: usize,
    /// All open ones.
    all: usize,
}

struct Row {
    key: String,
    phase: &'static str,
    at_ms: i64,
    agent: String,
    queue: String,
    consulted: String,
    snoozed: bool,
}

impl Row {
    fn of(entry: &ConversationEntry<'_>) -> Self {
        let ConversationEntry { key, phase, at_ms, agent, queue, consulted, snoozed, .. } = *entry;
        let [key, agent, queue, consulted] = [key, agent, queue, consulted].map(str::to_owned);
        Self { key, phase, at_ms, agent, queue, consulted, snoozed }
    }

    fn is_in(&self, list: List, principal: &Principal) -> bool {
        let own = self.agent == principal.user || self.consulted == principal.user;
        match list {
            List::Mine => own && !self.snoozed,
            List::Queues => principal.queues.contains(&self.queue),
            List::Unassigned => matches!(self.phase, "queued" | "offered"),
            List::Bot => self.phase == "bot",
            List::Snoozed => self.snoozed,
            List::Closed => false,
            List::All => true,
        }
    }

    fn is_seen_by(&self, access: &Access, principal: &Principal) -> bool {
        may_read(access, principal, &self.queue, [&self.agent, &self.consulted])
    }
}

pub(super) fn may_read(access: &Access, principal: &Principal, queue: &str, agents: [&str; 2]) -> bool {
    let queues: Vec<String> = Some(queue).filter(|queue| !queue.is_empty()).map(str::to_owned).into_iter().collect();
    let agents: Vec<String> =
        agents.iter().filter(|agent| !agent.is_empty()).map(|agent| (*agent).to_owned()).collect();
    let resource = Resource::Conversation { queues: &queues, agents: &agents };
    access.check(principal, Permission::ReadConversation, &resource).is_ok()
}

struct Scanned {
    rows: Vec<Row>,
    projected: u64,
    at: Instant,
    took: Duration,
}

/// The lists of all tenants.
#[derive(Default)]
pub(super) struct Inbox(Mutex<HashMap<String, Arc<Scanned>>>);

impl Inbox {
    fn open(&self, store: &Store, tenant: &str) -> Result<Arc<Scanned>, StoreError> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        let is_good = |scanned: &Arc<Scanned>| {
            scanned.projected == store.projected() || scanned.at.elapsed() < GOOD_FOR_LEAST.max(scanned.took * GOOD_FOR)
        };
        if let Some(scanned) = known.filter(is_good) {
            return Ok(scanned);
        }
        let (projected, begun) = (store.projected(), Instant::now());
        let mut rows = Vec::new();
        let prefix = format!("{tenant}/");
        // One scan per phase, so that the closed ones are not walked through.
        for phase in ConversationEntry::OPEN_PHASES {
            let prefix = [prefix.as_bytes(), &[phase]].concat();
            store.list(CONVERSATIONS.name, &prefix, &prefix, |key, value| {
                rows.extend(ConversationEntry::read(key, value).map(|entry| Row::of(&entry)));
                true
            })?;
        }
        rows.sort_unstable_by(|one, other| other.at_ms.cmp(&one.at_ms).then_with(|| one.key.cmp(&other.key)));
        let scanned = Arc::new(Scanned { rows, projected, at: Instant::now(), took: begun.elapsed() });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), Arc::clone(&scanned));
        Ok(scanned)
    }

    /// How many are in each list.
    pub fn counts(&self, store: &Store, access: &Access, principal: &Principal) -> Result<Counts, StoreError> {
        let scanned = self.open(store, &principal.tenant)?;
        let mut counts = Counts::default();
        for row in scanned.rows.iter().filter(|row| row.is_seen_by(access, principal)) {
            let count = |list| usize::from(row.is_in(list, principal));
            counts.mine += count(List::Mine);
            counts.queues += count(List::Queues);
            counts.unassigned += count(List::Unassigned);
            counts.bot += count(List::Bot);
            counts.snoozed += count(List::Snoozed);
            counts.all += 1;
        }
        Ok(counts)
    }

    /// A page of a list, the last active first.
    pub fn page(
        &self,
        store: &Store,
        access: &Access,
        principal: &Principal,
        list: List,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ConversationSummary>, Failure> {
        if matches!(list, List::Closed | List::All) {
            let permits = |entry: &ConversationEntry<'_>| {
                may_read(access, principal, entry.queue, [entry.agent, entry.consulted])
            };
            let phase = (list == List::Closed).then_some("closed");
            let filter = ConversationFilter { phase, permits: Some(&permits), ..ConversationFilter::default() };
            return store.conversations(&principal.tenant, &filter, after, limit).map_err(|error| match error {
                PageError::Cursor(error) => Failure::invalid(error.to_string()),
                PageError::Store(error) => error.into(),
            });
        }
        let scanned = self.open(store, &principal.tenant)?;
        let after = after.map(|after| place(after).ok_or_else(|| Failure::invalid("`after` is no place of a page")));
        let after = after.transpose()?;
        let is_later = |row: &&Row| after.is_none_or(|(at_ms, key)| (row.at_ms, key) < (at_ms, row.key.as_str()));
        let found = scanned.rows.iter().filter(is_later).filter(|row| row.is_in(list, principal));
        let mut found: Vec<&Row> = found.filter(|row| row.is_seen_by(access, principal)).take(limit + 1).collect();
        let next = (found.len() > limit).then(|| {
            found.truncate(limit);
            found.last().map(|row| format!("{}:{}", row.at_ms, row.key)).unwrap_or_default()
        });
        let mut items = Vec::with_capacity(found.len());
        for row in found {
            items.extend(summary(store, &principal.tenant, &row.key)?.map(|(summary, _)| summary));
        }
        Ok(Page { items, next })
    }

    /// Open conversations that the client's view holds, the last active first, `limit` at most, and whether that is all.
    pub fn snapshot(
        &self,
        store: &Store,
        sees: impl Fn(&[String], &[String]) -> bool,
        tenant: &str,
        limit: usize,
    ) -> Result<(Vec<ConversationSummary>, bool), StoreError> {
        let scanned = self.open(store, tenant)?;
        let named =
            |names: [&String; 2]| names.into_iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<_>>();
        let empty = String::new();
        let seen = |row: &&Row| sees(&named([&row.queue, &empty]), &named([&row.agent, &row.consulted]));
        let mut found: Vec<&Row> = scanned.rows.iter().filter(seen).take(limit + 1).collect();
        let truncated = found.len() > limit;
        found.truncate(limit);
        let mut items = Vec::with_capacity(found.len());
        for row in found {
            items.extend(summary(store, tenant, &row.key)?.map(|(summary, _)| summary));
        }
        Ok((items, truncated))
    }
}

fn place(after: &str) -> Option<(i64, &str)> {
    let (at_ms, key) = after.split_once(':')?;
    Some((at_ms.parse().ok()?, key))
}

/// One conversation as a list shows it, and its state.
pub(super) fn summary(
    store: &Store,
    tenant: &str,
    key: &str,
) -> Result<Option<(ConversationSummary, Tracked<State>)>, StoreError> {
    let Some(snapshot) = store.snapshot(tenant, AggregateKind::Conversation, key)? else { return Ok(None) };
    let tracked: Tracked<State> = serde_json::from_slice(&snapshot)
        .map_err(|error| StoreError::Damaged(format!("conversation {key}: {error}")))?;
    Ok(Some((ConversationSummary::of(key, tracked.clone()), tracked)))
}
