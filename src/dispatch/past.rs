//! A tenant's scheduling as it was at an earlier commit: the log is folded up to there, and a decision is taken again.
//!
//! Pure. Fed with all commits of a tenant's agents, conversations and settings, in their order, up to a decision's
//! sequence, it has what the leader's lists said then; what decided beside them is in the decision (see
//! [`Beside`](crate::scheduler::floor::Beside)). So the decision comes out the same, or something is wrong: the log, the
//! record, or kefu.

use super::leader::Leader;
use crate::{
    agent::{self, Agent},
    aggregate::{Gathered, Tracked},
    conversation::{self, Conversation},
    scheduler::{
        ConversationKey, Decision, Scheduling,
        decision::{Candidate, WhyNot},
        estimates::Practised,
    },
    store::{StaffEntry, WaitingEntry},
};
use kefu_events::{
    AggregateKind, Commit,
    agent::AgentEvent,
    conversation::ConversationEvent,
    settings::{SCHEDULING_DOCUMENT, SettingsEvent},
    upcast::{DecodeError, decode_commit},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Scores that differ by less than this part are the same: sums may have been added up in another order.
const SAME: f64 = 1e-6;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Past {
    agents: Gathered<agent::State>,
    /// Those with an open session.
    conversations: Gathered<conversation::State>,
    /// Those with an open session whose earlier ones were forgotten.
    incomplete: BTreeSet<String>,
    /// The document `scheduling`, by its version.
    scheduling: BTreeMap<u64, Value>,
    /// Commits as of which agents' work is to be remembered.
    marks: BTreeSet<u64>,
    practised: BTreeMap<u64, BTreeMap<String, Practised>>,
}

/// What came of taking a decision again.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// The decision, if anybody could be chosen at all.
    pub decision: Option<Decision>,
    /// In what it differs from the recorded one; empty: it is the same.
    pub differences: Vec<String>,
}

/// A decision cannot be taken again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    /// It was recorded by a version of kefu that did not record all that decided.
    #[error("an older version of kefu recorded this decision, without all that decided")]
    Unrecorded,
    /// The settings are not in the log.
    #[error("the log does not have version {0} of the scheduling settings")]
    Settings(u64),
    /// The settings can no longer be read.
    #[error("version {0} of the scheduling settings cannot be read: {1}")]
    Unreadable(u64, String),
}

#[derive(Deserialize)]
struct Kind {
    aggregate: AggregateKind,
}

impl Past {
    /// Nothing has happened yet. `decisions` are those that will be taken again.
    pub fn new<'a>(decisions: impl Iterator<Item = &'a Decision>) -> Self {
        let marks = decisions.filter_map(|decision| Some(decision.beside.as_ref()?.estimates?.sequence));
        Self { marks: marks.collect(), ..Self::default() }
    }

    /// Takes the next commit of the tenant in.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn take(&mut self, seq: u64, payload: &[u8]) -> Result<(), DecodeError> {
        self.remember_up_to(seq);
        // Whatever is no commit is not in anybody's list either.
        let Ok(Kind { aggregate }) = serde_json::from_slice(payload) else { return Ok(()) };
        match aggregate {
            AggregateKind::Agent => {
                let commit: Commit<AgentEvent> = decode_commit(payload)?;
                self.agents.take::<Agent>(&commit, seq);
            }
            AggregateKind::Conversation => self.conversation(seq, &decode_commit(payload)?),
            AggregateKind::Settings => {
                let commit: Commit<SettingsEvent> = decode_commit(payload)?;
                for event in commit.events.into_iter().filter(|_| commit.key == SCHEDULING_DOCUMENT) {
                    if let SettingsEvent::DocumentChanged { document_version, value, .. } = event {
                        self.scheduling.insert(document_version, value);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Agents' work is kept as it was at the marks before this commit.
    fn remember_up_to(&mut self, seq: u64) {
        while let Some(mark) = self.marks.first().copied().filter(|mark| *mark < seq) {
            self.marks.remove(&mark);
            let practised = self.practised_now();
            self.practised.insert(mark, practised);
        }
    }

    fn practised_now(&self) -> BTreeMap<String, Practised> {
        let known = self.agents.iter().filter(|(_, agent)| !agent.state.practised.is_empty() && !agent.state.removed);
        known.map(|(key, agent)| (key.to_owned(), agent.state.practised.clone())).collect()
    }

    fn conversation(&mut self, seq: u64, commit: &Commit<ConversationEvent>) {
        let key = &commit.key;
        if commit.version == 1 || self.conversations.knows(key) {
            let tracked = self.conversations.take::<Conversation>(commit, seq);
            // Of closed ones there may be millions, and nobody waits in them.
            if tracked.state.session.is_none() && tracked.version > 1 {
                self.conversations.forget(key);
            }
            return;
        }
        for event in &commit.events {
            match event {
                ConversationEvent::SessionOpened { .. } => drop(self.incomplete.insert(key.clone())),
                ConversationEvent::SessionClosed { .. } => drop(self.incomplete.remove(key)),
                _ => {}
            }
        }
    }

    /// Keys of conversations whose commits must be taken in again, from their first on, with
    /// [`take_whole`](Self::take_whole): they have an open session, and had others before.
    pub fn incomplete(&self) -> impl Iterator<Item = &str> {
        self.incomplete.iter().map(String::as_str)
    }

    /// All commits of one conversation up to the decision, with their sequences.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn take_whole<'a>(&mut self, commits: impl Iterator<Item = (u64, &'a [u8])>) -> Result<(), DecodeError> {
        let mut tracked: Tracked<conversation::State> = Tracked::default();
        let mut key = None;
        for (seq, payload) in commits {
            let commit: Commit<ConversationEvent> = decode_commit(payload)?;
            tracked.apply::<Conversation>(&commit, seq);
            key = Some(commit.key);
        }
        if let Some(key) = key {
            self.incomplete.remove(&key);
            self.conversations.put(key, tracked);
        }
        Ok(())
    }

    /// Takes a decision again, on what has been taken in: all commits up to its sequence, and none after.
    ///
    /// # Errors
    /// See [`NotAgain`].
    pub fn again(&mut self, decision: &Decision) -> Result<Again, NotAgain> {
        let again = self.leader(decision)?.decide_again(decision);
        let differences = match &again {
            Some(again) => differences(decision, again),
            None => vec!["nobody could be chosen".to_owned()],
        };
        Ok(Again { decision: again, differences })
    }

    /// Why an agent did not get the conversation that a decision gave to another, or what the agent would have scored.
    ///
    /// # Errors
    /// See [`NotAgain`].
    pub fn why_not(&mut self, decision: &Decision, agent: &str) -> Result<WhyNot, NotAgain> {
        let draw = u64::from_str_radix(&decision.draw, 16).unwrap_or_default();
        Ok(self.leader(decision)?.why_not_drawn(decision.conversation, agent, decision.at_ms, draw))
    }

    fn leader(&mut self, decision: &Decision) -> Result<Leader, NotAgain> {
        let beside = decision.beside.as_ref().ok_or(NotAgain::Unrecorded)?;
        self.remember_up_to(decision.sequence + 1);
        let settings = self.settings(decision.settings_version)?;
        let agents = self.agents.iter().filter_map(|(key, agent)| Some((key.to_owned(), StaffEntry::of(agent)?)));
        let conversations = self.conversations.iter().filter_map(|(key, conversation)| {
            Some((key.parse::<ConversationKey>().ok()?, WaitingEntry::of(conversation)?))
        });
        let nothing = BTreeMap::new();
        let practised = beside.estimates.and_then(|at| self.practised.get(&at.sequence)).unwrap_or(&nothing);
        Ok(Leader::recalled(settings, agents, conversations, practised, decision))
    }

    fn settings(&self, version: u64) -> Result<Scheduling, NotAgain> {
        if version == 0 {
            return Ok(Scheduling::default());
        }
        let document = self.scheduling.get(&version).ok_or(NotAgain::Settings(version))?;
        let settings: Result<Scheduling, _> = serde_json::from_value(document.clone());
        let settings = settings.map_err(|error| NotAgain::Unreadable(version, error.to_string()))?;
        Ok(Scheduling { version, ..settings })
    }
}

/// In what two decisions differ, for people.
fn differences(recorded: &Decision, again: &Decision) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, same: bool, before: String, now: String| {
        if !same {
            found.push(format!("{what}: {before} was recorded, {now} comes out"));
        }
    };
    let (a, b) = (recorded, again);
    compare("agent", a.agent == b.agent, a.agent.clone(), b.agent.clone());
    let same = a.conversation == b.conversation;
    compare("conversation", same, a.conversation.to_string(), b.conversation.to_string());
    compare("policy", a.policy == b.policy, a.policy.to_string(), b.policy.to_string());
    let excluded = |decision: &Decision| format!("{:?}", decision.excluded);
    compare("who could not", a.excluded == b.excluded, excluded(a), excluded(b));
    let brief = |decision: &Decision| {
        let brief = decision.candidates.iter().map(|one| format!("{} {} {}", one.agent, one.conversation, one.score));
        brief.collect::<Vec<_>>().join(", ")
    };
    let same =
        a.candidates.len() == b.candidates.len() && a.candidates.iter().zip(&b.candidates).all(|(a, b)| is_same(a, b));
    compare("candidates", same, brief(a), brief(b));
    found
}

fn is_same(a: &Candidate, b: &Candidate) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= SAME * a.abs().max(b.abs()).max(1e-9);
    let parts = a.parts.len() == b.parts.len()
        && a.parts.iter().zip(&b.parts).all(|((name, a), (other, b))| name == other && close(*a, *b));
    a.agent == b.agent && a.conversation == b.conversation && close(a.score, b.score) && parts
}
