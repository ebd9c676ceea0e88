//! Conversations that wait for a person, as the scheduler sees them.
//!
//! Key: `<tenant>/<key>`. Value: a [`WaitingEntry`] as JSON, so that a scheduler starts by one scan and goes on by the
//! list's feed, and never reads a state.

use crate::{
    aggregate::Tracked,
    conversation::{
        Conversation, State,
        state::{Declined, Phase, Waiting},
    },
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::{Timestamp, key::contact_key};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// See the module's text.
pub const WAITING: List<Conversation> = List { name: "waiting", version: 3, entries };

/// A conversation that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitingEntry {
    /// Number of the session.
    pub session: u32,
    /// The channel's name.
    pub channel: String,
    /// Which queue.
    pub queue: String,
    /// Higher is sooner.
    pub priority: i32,
    /// Skill → least proficiency that routing rules require, beside the queue's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub required: BTreeMap<String, u8>,
    /// Skills that they wish for, beside the queue's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub wished: BTreeSet<String>,
    /// Since when it waits for a person.
    pub since: Timestamp,
    /// When the queue opened for which it had been put off: it has waited from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Timestamp>,
    /// Only this agent may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// It is given up then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abandon_at: Option<Timestamp>,
    /// An agent handed it over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub transferred: bool,
    /// Who was asked and did not take it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declined: Vec<Declined>,
    /// Who talked with this customer last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_agent: Option<String>,
    /// The customer's language (BCP 47), where the channel says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Tags of the thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What the customer was asked for and gave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub collected: BTreeMap<String, String>,
    /// The customer's contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

impl WaitingEntry {
    /// What a scheduler sees of a conversation in this state; `None`: it waits for nobody, or was set aside.
    pub fn of(tracked: &Tracked<State>) -> Option<Self> {
        // Nobody can be asked to work on one that was set aside.
        let state = Some(&tracked.state).filter(|_| !tracked.quarantined)?;
        let session = state.session.as_ref()?;
        // One that was put off until the queue opens is in it from then on.
        let Phase::Queued(waiting @ Waiting { not_before: None, .. }) = &session.phase else { return None };
        let given = session.collected.iter().filter_map(|(field, value)| Some((field.clone(), value.clone()?)));
        Some(Self {
            session: session.number,
            channel: state.channel.clone(),
            queue: session.queue.clone().unwrap_or_default(),
            priority: session.priority,
            required: session.required.clone(),
            wished: session.wished.clone(),
            since: waiting.since,
            resumed: waiting.resumed,
            agent: waiting.agent.clone(),
            abandon_at: waiting.abandon_at,
            transferred: waiting.transferred,
            declined: session.declined.clone(),
            last_agent: state.last_agent.clone(),
            language: state.language.clone(),
            tags: state.tags.clone(),
            collected: given.collect(),
            contact: state.sender.as_ref().map(|sender| contact_key(&state.channel, &sender.id)),
        })
    }
}

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    if let Some(json) = WaitingEntry::of(tracked).and_then(|entry| serde_json::to_vec(&entry).ok()) {
        entries.add(&[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()], &[&json]);
    }
}

impl Store {
    /// Conversations of all tenants that wait for a person, with tenant and key, in the order of these.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn waiting(&self, mut visit: impl FnMut(&str, &str, WaitingEntry)) -> Result<(), StoreError> {
        self.list(WAITING.name, b"", b"", |key, value| {
            if let (Some((tenant, key)), Ok(entry)) = (super::tenant_and_key(key), serde_json::from_slice(value)) {
                visit(tenant, key, entry);
            }
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn listed(waiting: Value) -> Option<WaitingEntry> {
        let session = json!({"number": 1, "opened_at": "2026-11-22T00:00:00.000Z", "phase": {"queued": waiting}});
        let state = json!({"channel": "web", "sessions": 1, "session": session});
        let state: State = serde_json::from_value(state).unwrap();
        WaitingEntry::of(&Tracked { state, ..Tracked::default() })
    }

    #[test]
    fn who_was_put_off_is_not_in_the_line_before_the_queue_opens() {
        let (asked, opens) = ("2026-11-22T00:00:00.000Z", "2026-11-23T01:00:00.000Z");
        assert_eq!(listed(json!({"since": asked, "not_before": opens})), None);
        let entry = listed(json!({"since": asked, "resumed": opens})).unwrap();
        assert_eq!(
            (entry.since.to_string(), entry.resumed.map(|at| at.to_string())),
            (asked.into(), Some(opens.into()))
        );
    }
}
