//! Conversations by phase, the last active first.
//!
//! Key: `<tenant>/<phase letter><time, inverted><key>`. Value: channel, agent, queue, colleague who is consulted, and `s` where
//! it is snoozed, with a zero byte between: to filter by, and to count by, without reading states.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    aggregate::Tracked,
    conversation::{
        Conversation, State,
        state::{Phase, Preview},
    },
    store::{Entries, List, Store, StoreError, Subject, keys},
};
use kefu_events::{AggregateKind, Sender, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module's text.
pub const CONVERSATIONS: List<Conversation> = List { name: "conversations", version: 2, entries };

/// The letters stand in stored keys: never change one.
const PHASES: [(&str, u8); 6] =
    [("bot", b'b'), ("queued", b'q'), ("offered", b'o'), ("active", b'a'), ("wrap_up", b'w'), ("closed", b'c')];

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let phase = tracked.state.phase_name();
    // One that was never opened (a command went to a wrong key) is no conversation to anybody.
    let Some((_, letter)) = PHASES.iter().find(|(name, _)| *name == phase) else { return };
    let agent = tracked.state.holder().map_or("", |holder| &holder.agent);
    entries.add(
        &[subject.tenant.as_bytes(), b"/", &[*letter], &inverted(tracked.at), subject.key.as_bytes()],
        &[
            tracked.state.channel.as_bytes(),
            b"\0",
            agent.as_bytes(),
            b"\0",
            tracked.state.queue().unwrap_or_default().as_bytes(),
            b"\0",
            tracked.state.consulted().unwrap_or_default().as_bytes(),
            b"\0",
            if tracked.state.snoozed_until().is_some() { b"s" } else { b"" },
        ],
    );
}

/// One entry of the list, read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationEntry<'a> {
    /// Its tenant.
    pub tenant: &'a str,
    /// Its key.
    pub key: &'a str,
    /// `bot`, `queued`, `offered`, `active`, `wrap_up` or `closed`.
    pub phase: &'static str,
    /// When something last happened, in milliseconds.
    pub at_ms: i64,
    /// The channel's name.
    pub channel: &'a str,
    /// Who has it, or is being asked to take it; empty: nobody.
    pub agent: &'a str,
    /// The queue that it is in, or was in last; empty: none.
    pub queue: &'a str,
    /// The colleague who is consulted; empty: nobody.
    pub consulted: &'a str,
    /// Whether it is put aside.
    pub snoozed: bool,
}

impl<'a> ConversationEntry<'a> {
    /// The letters of the phases of open sessions, as they stand in keys after the tenant.
    pub const OPEN_PHASES: [u8; 5] = [b'b', b'q', b'o', b'a', b'w'];

    /// Reads what this module wrote; `None` if it did not write it.
    pub fn read(key: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let slash = key.iter().position(|byte| *byte == b'/')?;
        let (tenant, rest) = (std::str::from_utf8(&key[..slash]).ok()?, &key[slash + 1..]);
        let (letter, place) = rest.split_first()?;
        let (phase, _) = PHASES.iter().find(|(_, known)| known == letter)?;
        let (time, key) = place.split_at_checked(8)?;
        let at_ms = keys::time_of(<[u8; 8]>::try_from(time).ok()?.map(|byte| !byte)).as_millis();
        let mut parts = std::str::from_utf8(value).ok()?.split('\0');
        let [channel, agent, queue, consulted] = [(); 4].map(|()| parts.next().unwrap_or_default());
        let snoozed = parts.next() == Some("s");
        let key = std::str::from_utf8(key).ok()?;
        Some(Self { tenant, key, phase, at_ms, channel, agent, queue, consulted, snoozed })
    }
}

/// Eight bytes that sort later times first.
fn inverted(time: Timestamp) -> [u8; 8] {
    keys::time_bytes(time).map(|byte| !byte)
}

/// Which conversations are wanted.
#[derive(Clone, Copy, Default)]
pub struct ConversationFilter<'a> {
    /// In this phase.
    pub phase: Option<&'a str>,
    /// On this channel.
    pub channel: Option<&'a str>,
    /// With this agent, or offered to this agent.
    pub agent: Option<&'a str>,
    /// And only those of which this says so.
    pub permits: Option<&'a dyn Fn(&ConversationEntry<'_>) -> bool>,
}

/// A conversation, as a list shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConversationSummary {
    /// Its key.
    pub key: String,
    /// The channel's name.
    pub channel: String,
    /// The channel's id of the thread.
    pub thread: String,
    /// Who wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// `bot`, `queued`, `offered`, `active`, `wrap_up` or `closed`.
    pub phase: &'static str,
    /// The number of the last session.
    pub session: u32,
    /// The queue that the session was in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Who has it, or is being asked to take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The priority that the session had there; larger is served first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Since when it waits for a person, while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_since: Option<Timestamp>,
    /// It waits for this agent only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// It is given up then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abandon_at: Option<Timestamp>,
    /// The customer's language, as collected (`language`), or as the channel says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What the customer gave when asked for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub collected: BTreeMap<String, String>,
    /// Tags of the thread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The start of what was said last; without `by`, the customer said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The open offer: its id, to whom, until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<OpenOffer>,
    /// Whether the customer is on hold.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// It is put aside until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Timestamp>,
    /// The colleague who is consulted, or has joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consult: Option<String>,
    /// Wrap-up ends then by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrap_up_until: Option<Timestamp>,
    /// How it ended, in the agent's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// When the open session began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// When something last happened.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
    /// Whether it was set aside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

/// An offer that nobody has answered yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenOffer {
    /// Names it.
    pub id: String,
    /// Who is asked.
    pub agent: String,
    /// It times out then.
    pub deadline: Timestamp,
}

impl ConversationSummary {
    /// The row of this conversation.
    pub fn of(key: &str, tracked: Tracked<State>) -> Self {
        let phase = tracked.state.phase_name();
        let agent = tracked.state.holder().map(|holder| holder.agent.clone());
        let waiting = match tracked.state.phase() {
            Some(Phase::Queued(waiting) | Phase::Offered(waiting, _)) => Some(waiting.clone()),
            _ => None,
        };
        let (waits_since, waits_for, abandon_at) =
            waiting.map_or((None, None, None), |it| (Some(it.since), it.agent, it.abandon_at));
        let (offer, wrap_up_until) = match tracked.state.phase() {
            Some(Phase::Offered(_, offer)) => {
                let (id, agent) = (offer.id.clone(), offer.to.agent.clone());
                (Some(OpenOffer { id, agent, deadline: offer.deadline }), None)
            }
            Some(Phase::WrapUp(_, deadline)) => (None, Some(*deadline)),
            _ => (None, None),
        };
        let held = matches!(tracked.state.phase(), Some(Phase::Active(active)) if active.held);
        let (snoozed_until, consult) = (tracked.state.snoozed_until(), tracked.state.consulted().map(str::to_owned));
        let last_queue = tracked.state.queue().map(str::to_owned);
        let State { channel, thread, sender, language, tags, sessions, session, preview, .. } = tracked.state;
        let opened_at = session.as_ref().map(|session| session.opened_at);
        let disposition = session.as_ref().and_then(|session| session.disposition.clone());
        let (priority, collected) = session.map_or((None, BTreeMap::new()), |session| {
            let collected = session.collected.into_iter().filter_map(|(field, value)| Some((field, value?)));
            let priority = session.queue.is_some().then_some(session.priority);
            (priority, collected.collect())
        });
        Self {
            key: key.to_owned(),
            channel,
            thread,
            sender,
            phase,
            session: sessions,
            queue: last_queue,
            agent,
            priority,
            waits_since,
            waits_for,
            abandon_at,
            language: collected.get("language").cloned().or(language),
            collected,
            tags,
            preview,
            offer,
            held,
            snoozed_until,
            consult,
            wrap_up_until,
            disposition,
            opened_at,
            at: tracked.at,
            version: tracked.version,
            quarantined: tracked.quarantined,
        }
    }
}

/// Places of conversations in one phase, and, if more were there than may be looked at, the last place that was.
type Places = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl Store {
    /// Conversations of a tenant, the last active first, at most `limit`, after the place that the page before named.
    ///
    /// One in which something happens moves to the front, so that whoever reads page after page does not see it again.
    ///
    /// # Errors
    /// See [`PageError`].
    pub fn conversations(
        &self,
        tenant: &str,
        filter: &ConversationFilter<'_>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ConversationSummary>, PageError> {
        let after = after.map(|cursor| place_of(cursor).ok_or(WrongCursor)).transpose()?;
        let (mut places, mut looked_up_to) = (Vec::new(), None::<Vec<u8>>);
        let phases = PHASES.iter().filter(|(name, _)| filter.phase.is_none_or(|phase| phase == *name));
        for (_, letter) in phases {
            let (found, stopped) = self.places(tenant, *letter, filter, after.as_deref(), limit + 1)?;
            places.extend(found);
            // Where one phase was not looked at to its end, the others' later places must wait.
            looked_up_to = match (looked_up_to, stopped) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        places.sort_unstable();
        let mut next = None;
        if let Some(end) = looked_up_to {
            places.retain(|place| *place <= end);
            next = Some(cursor_of(&end));
        }
        if places.len() > limit {
            places.truncate(limit);
            next = places.last().map(|place| cursor_of(place));
        }
        let mut items = Vec::with_capacity(places.len());
        for place in &places {
            let key = String::from_utf8_lossy(&place[8..]);
            let Some(snapshot) = self.snapshot(tenant, AggregateKind::Conversation, &key)? else { continue };
            let tracked = serde_json::from_slice(&snapshot);
            let tracked = tracked.map_err(|error| StoreError::Damaged(format!("conversation {key}: {error}")))?;
            items.push(ConversationSummary::of(&key, tracked));
        }
        Ok(Page { items, next })
    }

    fn places(
        &self,
        tenant: &str,
        letter: u8,
        filter: &ConversationFilter<'_>,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Places, StoreError> {
        let prefix = [tenant.as_bytes(), b"/", &[letter]].concat();
        let start = after.map_or_else(Vec::new, |place| just_after([&prefix, place].concat()));
        let (mut places, mut looked_at, mut stopped) = (Vec::new(), 0, None);
        self.list(CONVERSATIONS.name, &prefix, &start, |key, value| {
            let place = &key[prefix.len()..];
            let entry = ConversationEntry::read(key, value);
            let is_wanted = entry.is_some_and(|entry| {
                filter.channel.is_none_or(|wanted| wanted == entry.channel)
                    && filter.agent.is_none_or(|wanted| wanted == entry.agent)
                    && filter.permits.is_none_or(|permits| permits(&entry))
            });
            if is_wanted {
                places.push(place.to_vec());
            }
            looked_at += 1;
            if looked_at == MAX_LOOKED_AT && places.len() < limit {
                stopped = Some(place.to_vec());
            }
            places.len() < limit && stopped.is_none()
        })?;
        Ok((places, stopped))
    }
}
