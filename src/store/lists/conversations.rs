//! Conversations by phase, the last active first.
//!
//! Key: `<tenant>/<phase letter><time, inverted><key>`. Value: `<channel>\0<agent>`, to filter by without reading states.

use super::{MAX_LOOKED_AT, Page, PageError, WrongCursor, cursor_of, just_after, place_of};
use crate::{
    aggregate::Tracked,
    conversation::{Conversation, State, state::Phase},
    store::{Entries, List, Store, StoreError, Subject, keys},
};
use kefu_events::{AggregateKind, Sender, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// See the module's text.
pub const CONVERSATIONS: List<Conversation> = List { name: "conversations", version: 1, entries };

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
        &[tracked.state.channel.as_bytes(), b"\0", agent.as_bytes()],
    );
}

/// Eight bytes that sort later times first.
fn inverted(time: Timestamp) -> [u8; 8] {
    keys::time_bytes(time).map(|byte| !byte)
}

/// Which conversations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter<'a> {
    /// In this phase.
    pub phase: Option<&'a str>,
    /// On this channel.
    pub channel: Option<&'a str>,
    /// With this agent, or offered to this agent.
    pub agent: Option<&'a str>,
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
    /// When something last happened.
    pub at: Timestamp,
    /// Its version.
    pub version: u64,
    /// Whether it was set aside.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

impl ConversationSummary {
    fn of(key: &str, tracked: Tracked<State>) -> Self {
        let phase = tracked.state.phase_name();
        let agent = tracked.state.holder().map(|holder| holder.agent.clone());
        let waiting = match tracked.state.phase() {
            Some(Phase::Queued(waiting) | Phase::Offered(waiting, _)) => Some(waiting.clone()),
            _ => None,
        };
        let (waits_since, waits_for, abandon_at) =
            waiting.map_or((None, None, None), |it| (Some(it.since), it.agent, it.abandon_at));
        let State { channel, thread, sender, language, tags, sessions, session, .. } = tracked.state;
        let (queue, priority, collected) = session.map_or((None, None, BTreeMap::new()), |session| {
            let collected = session.collected.into_iter().filter_map(|(field, value)| Some((field, value?)));
            let priority = session.queue.is_some().then_some(session.priority);
            (session.queue, priority, collected.collect())
        });
        Self {
            key: key.to_owned(),
            channel,
            thread,
            sender,
            phase,
            session: sessions,
            queue,
            agent,
            priority,
            waits_since,
            waits_for,
            abandon_at,
            language: collected.get("language").cloned().or(language),
            collected,
            tags,
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
            let (channel, agent) = value.split_at(value.iter().position(|byte| *byte == 0).unwrap_or(value.len()));
            let is_wanted = filter.channel.is_none_or(|wanted| wanted.as_bytes() == channel)
                && filter.agent.is_none_or(|wanted| agent.strip_prefix(b"\0") == Some(wanted.as_bytes()));
            if is_wanted && place.len() > 8 {
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
