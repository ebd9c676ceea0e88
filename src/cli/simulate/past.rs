//! The log folded into a tenant's past: who waited, who was there.

use crate::{
    agent::{Agent, State as AgentState},
    aggregate::{Aggregate, CommitMeta},
    conversation::{
        Conversation, State,
        state::{Phase, Waiting},
    },
    scheduler::{
        Scheduling,
        simulator::history::{End, History, Recorded, Wait, Wanted},
    },
};
use kefu_events::{
    AggregateKind, Commit, Timestamp,
    agent::RoutingStatus,
    conversation::{CloseReason, ConversationEvent},
    settings::{SCHEDULING_DOCUMENT, SettingsEvent},
    upcast::{DecodeError, decode_commit},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeMap};

const DAY_MS: i64 = 86_400_000;

/// Folds commits, in the order of the log, from the first on.
pub struct Past {
    tenant: String,
    conversations: BTreeMap<String, Talk>,
    agents: BTreeMap<String, Person>,
    scheduling: Option<serde_json::Value>,
    waits: Vec<Ended>,
    last: Option<Timestamp>,
}

/// One conversation, and what it waits for or who has it.
#[derive(Default)]
struct Talk {
    state: State,
    waits: Option<Open>,
    had: Option<usize>,
}

/// A wait that has not ended.
struct Open {
    since: Timestamp,
    wanted: Wanted,
    abandon_at: Option<Timestamp>,
    /// When the last offer was made that nobody has answered yet.
    offered_at: Option<Timestamp>,
}

/// A wait that has.
struct Ended {
    open: Open,
    at: Timestamp,
    how: How,
}

enum How {
    Served { agent: String, until: Option<Timestamp> },
    Left,
    Cut,
}

#[derive(Default)]
struct Person {
    state: AgentState,
    since: Option<Timestamp>,
    there: Vec<(Timestamp, Option<Timestamp>)>,
}

#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    aggregate: AggregateKind,
}

impl Past {
    /// Of this tenant.
    pub fn new(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            conversations: BTreeMap::new(),
            agents: BTreeMap::new(),
            scheduling: None,
            waits: Vec::new(),
            last: None,
        }
    }

    /// One commit, as it is stored; other tenants' are passed over.
    pub fn take_in(&mut self, commit: &[u8]) -> Result<(), DecodeError> {
        let whose: Whose<'_> = serde_json::from_slice(commit)?;
        if whose.tenant != self.tenant {
            return Ok(());
        }
        match whose.aggregate {
            AggregateKind::Conversation => self.conversation(&decode_commit(commit)?),
            AggregateKind::Agent => {
                let commit = decode_commit(commit)?;
                let person = self.agents.entry(commit.key.clone()).or_default();
                fold::<Agent>(&mut person.state, &commit);
                person.at(commit.at);
                self.last = self.last.max(Some(commit.at));
            }
            AggregateKind::Settings => {
                let commit: Commit<SettingsEvent> = decode_commit(commit)?;
                for event in commit.events.into_iter().filter(|_| commit.key == SCHEDULING_DOCUMENT) {
                    if let SettingsEvent::DocumentChanged { value, .. } = event {
                        self.scheduling = Some(value);
                    }
                }
            }
            AggregateKind::Contact | AggregateKind::Faq | AggregateKind::User => {}
        }
        Ok(())
    }

    fn conversation(&mut self, commit: &Commit<ConversationEvent>) {
        let talk = self.conversations.entry(commit.key.clone()).or_default();
        let at = commit.at;
        self.last = self.last.max(Some(at));
        fold::<Conversation>(&mut talk.state, commit);
        let phase = talk.state.phase();
        let holder = match phase {
            Some(Phase::Active(_) | Phase::WrapUp(..)) => talk.state.holder().map(|holder| &holder.agent),
            _ => None,
        };
        // Who had it has it no longer.
        if let Some(known) = talk.had
            && let How::Served { agent, until } = &mut self.waits[known].how
            && holder != Some(agent)
        {
            *until = Some(at);
            talk.had = None;
        }
        let waiting = match phase {
            Some(Phase::Queued(waiting)) => Some((waiting, None)),
            Some(Phase::Offered(waiting, _)) => Some((waiting, Some(at))),
            _ => None,
        };
        match waiting {
            Some((waiting, offered_at)) => {
                let wanted = wanted(&talk.state, waiting);
                match &mut talk.waits {
                    // Still the same wait, though it may ask for something else by now.
                    Some(open) => {
                        open.wanted = wanted;
                        open.offered_at = offered_at.map(|at| open.offered_at.unwrap_or(at));
                    }
                    None => {
                        let abandon_at = waiting.abandon_at;
                        talk.waits = Some(Open { since: waiting.since, wanted, abandon_at, offered_at });
                    }
                }
            }
            None => {
                if let Some(open) = talk.waits.take() {
                    let (at, how) = match holder {
                        Some(agent) => {
                            talk.had = Some(self.waits.len());
                            (open.offered_at.unwrap_or(at), How::Served { agent: agent.clone(), until: None })
                        }
                        None => (at, if given_up(commit) { How::Cut } else { How::Left }),
                    };
                    self.waits.push(Ended { open, at, how });
                }
            }
        }
    }

    /// What happened to those who began to wait from `from` on and before `to`.
    ///
    /// # Errors
    /// The tenant's scheduling settings cannot be read.
    pub fn into_history(self, from: Option<Timestamp>, to: Option<Timestamp>) -> Result<History, serde_json::Error> {
        let last = self.last.unwrap_or_default();
        let end = to.map_or(last, |to| to.min(last));
        let open = self.conversations.into_values().filter_map(|talk| talk.waits);
        let mut waits: Vec<Ended> = self.waits;
        waits.extend(open.map(|open| Ended { open, at: last, how: How::Cut }));
        let inside = |since: Timestamp| from.is_none_or(|from| from <= since) && to.is_none_or(|to| since < to);
        waits.retain(|wait| inside(wait.open.since));
        waits.sort_by_key(|wait| wait.open.since);
        let first = waits.first().map_or(last, |wait| wait.open.since);
        let midnight_ms = first.as_millis().div_euclid(DAY_MS) * DAY_MS;
        let seconds = |at: Timestamp| (at.as_millis() - midnight_ms) as f64 / 1_000.0;
        let between = |from: Timestamp, to: Timestamp| (to.as_millis() - from.as_millis()).max(0) as f64 / 1_000.0;
        let waits = waits.into_iter().map(|Ended { open, at, how }| Wait {
            at_s: seconds(open.since),
            waited_s: between(open.since, at),
            end: match how {
                How::Served { agent, until } => {
                    let handle_s = between(at, until.unwrap_or(last));
                    End::Served { agent, handle_s, whole: until.is_some() }
                }
                How::Left => End::Left,
                How::Cut => End::Cut,
            },
            limit_s: open.abandon_at.map(|limit| between(open.since, limit)),
            wanted: open.wanted,
        });
        let waits: Vec<Wait> = waits.collect();
        let agents = self.agents.into_iter().map(|(key, person)| {
            let state = person.state;
            let there = person.there.into_iter().map(|(from, to)| {
                // Whoever is there at the end stays.
                (from.as_millis() - midnight_ms, to.map_or(i64::MAX, |to| to.as_millis() - midnight_ms))
            });
            let recorded = Recorded {
                skills: state.skills,
                languages: state.languages.into_iter().collect(),
                queues: state.queues.into_iter().collect(),
                slots: state.slots,
                there_ms: there.map(|(from, to)| (from.max(0), to)).filter(|(from, to)| from < to).collect(),
            };
            (key, recorded)
        });
        Ok(History {
            title: format!("{}, {first} to {end}", self.tenant),
            waits,
            agents: agents.filter(|(_, agent)| !agent.there_ms.is_empty()).collect(),
            scheduling: self.scheduling.map_or_else(|| Ok(Scheduling::default()), serde_json::from_value)?,
        })
    }
}

impl Person {
    /// Notes whether the agent is there from this moment on.
    fn at(&mut self, at: Timestamp) {
        let there = self.state.online && self.state.status == RoutingStatus::Available && !self.state.removed;
        match self.since.filter(|_| !there) {
            Some(since) => {
                self.since = None;
                if let Some(last) = self.there.last_mut().filter(|last| last.0 == since) {
                    last.1 = Some(at);
                }
            }
            None if there && self.since.is_none() => {
                self.since = Some(at);
                self.there.push((at, None));
            }
            None => {}
        }
    }
}

fn fold<A: Aggregate>(state: &mut A::State, commit: &Commit<A::Event>)
where
    A::Event: DeserializeOwned,
{
    let meta = CommitMeta::of(commit);
    for event in &commit.events {
        A::evolve(state, &meta, event);
    }
}

fn wanted(state: &State, waiting: &Waiting) -> Wanted {
    let session = state.session.as_ref();
    Wanted {
        queue: session.and_then(|session| session.queue.clone()).unwrap_or_default(),
        channel: state.channel.clone(),
        priority: session.map_or(0, |session| session.priority).clamp(0, 10) as u8,
        required: session.map(|session| session.required.clone()).unwrap_or_default(),
        wished: session.map(|session| session.wished.clone()).unwrap_or_default(),
        language: state.language.clone(),
        agent: waiting.agent.clone(),
    }
}

/// Whether the session was closed because nobody had time, and not by the customer.
fn given_up(commit: &Commit<ConversationEvent>) -> bool {
    commit
        .events
        .iter()
        .any(|event| matches!(event, ConversationEvent::SessionClosed { reason: CloseReason::Abandoned, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Commits of one tenant, a version further each time.
    struct Log(Past, BTreeMap<String, u64>);

    impl Log {
        fn new() -> Self {
            Self(Past::new("demo"), BTreeMap::new())
        }

        fn add(&mut self, aggregate: &str, key: &str, at: &str, events: Value) {
            let version = self.1.entry(format!("{aggregate}/{key}")).or_default();
            *version += 1;
            let commit = json!({"seq": 1, "commit_id": "c", "tenant": "demo", "aggregate": aggregate, "key": key,
                "version": *version, "at": format!("2026-11-22T{at}Z"), "actor": {"kind": "system", "id": "t"},
                "cause": "x", "cause_seq": 1, "correlation": "x", "events": events});
            self.0.take_in(commit.to_string().as_bytes()).unwrap();
        }

        fn waits(&mut self, key: &str, at: &str, queue: &str) {
            let opened = json!({"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": key,
                "sender": {"id": key}});
            let queued = json!({"type": "queued", "v": 1, "queue": queue, "priority": 2, "required": {"tax": 3},
                "abandon_at": "2026-11-22T20:00:00Z"});
            let wanted = json!({"type": "handoff_requested", "v": 1, "reason": "no_bot"});
            self.add("conversation", key, at, json!([opened, wanted, queued]));
        }

        fn offered(&mut self, key: &str, at: &str, offer: &str, agent: &str) {
            let made = json!({"type": "offer_made", "v": 1, "offer": offer, "agent": agent,
                "deadline": "2026-11-22T20:00:00Z"});
            self.add("conversation", key, at, json!([made]));
        }
    }

    #[test]
    fn waits_hours_and_settings_are_found_in_the_log() {
        let mut log = Log::new();
        log.add(
            "settings",
            "scheduling",
            "08:00:00",
            json!([
            {"type": "document_changed", "v": 1, "document_version": 1, "value": {"concurrency": [1.0, 0.8]}}]),
        );
        log.add(
            "agent",
            "ann",
            "09:00:00",
            json!([
            {"type": "agent_registered", "v": 1, "id": "ann", "name": "Ann"},
            {"type": "capacity_changed", "v": 1, "slots": 2},
            {"type": "skills_changed", "v": 1, "skills": {"tax": 4}, "queues": ["money"]}]),
        );
        log.add("agent", "ann", "09:30:00", json!([{"type": "presence_changed", "v": 1, "online": true}]));
        log.add("agent", "ann", "10:00:00", json!([{"type": "status_changed", "v": 1, "status": "available"}]));
        log.waits("a", "10:00:00", "money");
        log.offered("a", "10:00:20", "o1", "bob");
        log.add(
            "conversation",
            "a",
            "10:00:50",
            json!([
            {"type": "offer_timed_out", "v": 1, "offer": "o1", "agent": "bob"}]),
        );
        log.offered("a", "10:01:00", "o2", "ann");
        log.add(
            "conversation",
            "a",
            "10:01:10",
            json!([
            {"type": "offer_accepted", "v": 1, "offer": "o2", "agent": "ann"}]),
        );
        log.waits("b", "10:02:00", "money");
        log.add(
            "conversation",
            "b",
            "10:02:30",
            json!([
            {"type": "customer_left", "v": 1},
            {"type": "session_closed", "v": 1, "session": 1, "reason": "customer_left"}]),
        );
        log.waits("c", "10:03:00", "money");
        log.add(
            "conversation",
            "a",
            "10:06:00",
            json!([
            {"type": "session_closed", "v": 1, "session": 1, "reason": "closed_by_agent", "agent": "ann"}]),
        );
        log.add("agent", "ann", "11:00:00", json!([{"type": "status_changed", "v": 1, "status": "away"}]));
        let history = log.0.into_history(None, None).unwrap();
        assert_eq!(history.scheduling.concurrency, [1.0, 0.8]);
        let ten = 36_000.0;
        let found: Vec<_> = history.waits.iter().map(|wait| (wait.at_s, wait.waited_s, wait.end.clone())).collect();
        // The second offer was accepted; the time that it rang is part of the work.
        let served = End::Served { agent: "ann".to_owned(), handle_s: 300.0, whole: true };
        assert_eq!(found, [(ten, 60.0, served), (ten + 120.0, 30.0, End::Left), (ten + 180.0, 57.0 * 60.0, End::Cut)]);
        let wanted = &history.waits[0].wanted;
        assert_eq!((wanted.queue.as_str(), wanted.priority, wanted.required["tax"]), ("money", 2, 3));
        assert_eq!(history.waits[0].limit_s, Some(36_000.0));
        let ann = &history.agents["ann"];
        assert_eq!((ann.slots, ann.skills["tax"], &ann.there_ms[..]), (2, 4, &[(36_000_000, 39_600_000)][..]));
    }

    #[test]
    fn other_tenants_and_other_times_are_passed_over() {
        let mut log = Log::new();
        log.waits("a", "10:00:00", "money");
        log.waits("b", "11:00:00", "money");
        let other = log.0.tenant.replace("demo", "other");
        log.0.tenant = other;
        log.waits("c", "12:00:00", "money");
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let past = log.0.into_history(Some(time("2026-11-22T10:30:00Z")), Some(time("2026-11-22T11:30:00Z")));
        assert_eq!(past.unwrap().waits.len(), 1);
    }
}
