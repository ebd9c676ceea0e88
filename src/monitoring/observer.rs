//! Follows the commits that the store folds, and counts what they say of conversations.
//!
//! Commits from before the process's start are not counted: a store that is built anew reads the whole log. Who is too slow
//! for the commits counts that it missed some, and reads from the store what is going on.

use super::talks::{Measured, Talk, Talks};
use crate::{
    aggregate::Tracked,
    conversation::{State, state::Phase},
    journal::subjects,
    runtime::{node::Ownership, projector::Progress},
    scheduler::ConversationKey,
    store::{DecodedCommit, Store, StoreError},
    telemetry::catalogue,
};
use kefu_events::{AggregateKind, Timestamp, conversation::ConversationEvent};
use prometheus::{HistogramVec, IntCounter, IntCounterVec};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
};

/// After a failure to read the store.
const PAUSE: Duration = Duration::from_millis(500);

/// The counters; see the catalogue.
struct Counted {
    messages: IntCounterVec,
    opened: IntCounterVec,
    closed: IntCounterVec,
    handoffs: IntCounterVec,
    offers: IntCounterVec,
    handoff_to_offer: HistogramVec,
    first_response: HistogramVec,
    agent_response: HistogramVec,
    confidence: HistogramVec,
    missed: IntCounter,
}

static COUNTED: LazyLock<Counted> = LazyLock::new(|| Counted {
    messages: catalogue::MESSAGES.counter(),
    opened: catalogue::SESSIONS_OPENED.counter(),
    closed: catalogue::SESSIONS_CLOSED.counter(),
    handoffs: catalogue::HANDOFFS.counter(),
    offers: catalogue::OFFERS.counter(),
    handoff_to_offer: catalogue::HANDOFF_TO_OFFER.histogram(),
    first_response: catalogue::FIRST_RESPONSE.histogram(),
    agent_response: catalogue::AGENT_RESPONSE.histogram(),
    confidence: catalogue::ANSWER_CONFIDENCE.histogram(),
    missed: catalogue::OBSERVER_MISSED.counter().with_label_values::<&str>(&[]),
});

impl Counted {
    fn add(&self, tenant: &str, measured: &Measured<'_>) {
        match *measured {
            Measured::Message { channel, author } => {
                self.messages.with_label_values(&[tenant, channel, author]).inc();
            }
            Measured::Opened(channel) => self.opened.with_label_values(&[tenant, channel]).inc(),
            Measured::Closed(reason) => self.closed.with_label_values(&[tenant, reason]).inc(),
            Measured::HandedOff(reason) => self.handoffs.with_label_values(&[tenant, reason]).inc(),
            // Its waits are shown with nothing in them before there is one: a rate needs to see the first case come.
            Measured::Queued(queue) => {
                for waits in [&self.handoff_to_offer, &self.first_response, &self.agent_response] {
                    waits.with_label_values(&[tenant, queue]);
                }
            }
            Measured::Offer(outcome) => self.offers.with_label_values(&[tenant, outcome]).inc(),
            Measured::HandoffToOffer(queue, seconds) => {
                self.handoff_to_offer.with_label_values(&[tenant, queue]).observe(seconds);
            }
            Measured::FirstResponse(queue, seconds) => {
                self.first_response.with_label_values(&[tenant, queue]).observe(seconds);
            }
            Measured::AgentResponse(queue, seconds) => {
                self.agent_response.with_label_values(&[tenant, queue]).observe(seconds);
            }
            Measured::Confidence(outcome, confidence) => {
                self.confidence.with_label_values(&[tenant, outcome]).observe(confidence);
            }
        }
    }
}

/// What is going on in conversations, for whoever asks. Cheap to clone.
#[derive(Clone)]
pub struct Observed {
    talks: Arc<Mutex<Talks>>,
    /// When the last commit that was folded had been decided, in ms.
    last_ms: Arc<AtomicI64>,
    ownership: Ownership,
}

impl Observed {
    /// When the last commit that the store has folded had been decided; `None`: it has folded none since the start.
    pub fn last_commit(&self) -> Option<Timestamp> {
        Some(self.last_ms.load(Ordering::Relaxed)).filter(|ms| *ms > 0).map(Timestamp::from_millis)
    }

    /// By tenant the conversations of this node's partitions in which an agent owes a reply, and since when the longest.
    pub fn owed(&self) -> BTreeMap<String, (u64, Timestamp)> {
        let owned = self.ownership.owned();
        let mut owed: BTreeMap<String, (u64, Timestamp)> = BTreeMap::new();
        for (tenant, key, since) in self.talks().owed() {
            let partition = subjects::partition(tenant, &key.to_string(), self.ownership.partitions());
            if !owned.contains(&partition) {
                continue;
            }
            match owed.get_mut(tenant) {
                Some((count, oldest)) => (*count, *oldest) = (*count + 1, (*oldest).min(since)),
                None => drop(owed.insert(tenant.to_owned(), (1, since))),
            }
        }
        owed
    }

    /// Whole after every call: a poisoned lock is of no meaning.
    fn talks(&self) -> MutexGuard<'_, Talks> {
        self.talks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, commits: &[DecodedCommit], from: Timestamp, owned: &BTreeSet<u16>) {
        let mut talks = self.talks();
        for decoded in commits {
            let Some(commit) = decoded.events_of::<ConversationEvent>() else { continue };
            let partition = || subjects::partition(&commit.tenant, &commit.key, self.ownership.partitions());
            let counts = commit.at >= from && owned.contains(&partition());
            talks.take_in(commit, &mut |measured| {
                if counts {
                    COUNTED.add(&commit.tenant, &measured);
                }
            });
        }
        if let Some(last) = commits.iter().rev().find_map(DecodedCommit::header) {
            self.last_ms.store(last.at.as_millis(), Ordering::Relaxed);
        }
    }

    /// What is going on, as the store knows it, in the place of what was known.
    fn load(&self, store: &Store) -> Result<(), StoreError> {
        let mut held: Vec<(String, String)> = Vec::new();
        store.staff(|tenant, _, entry| {
            held.extend(entry.held.into_values().map(|slot| (tenant.to_owned(), slot.conversation)));
        })?;
        let mut talks = self.talks();
        talks.clear();
        store.waiting(|tenant, key, entry| {
            let Ok(key) = key.parse() else { return };
            let since = entry.resumed.unwrap_or(entry.since);
            let queued = entry.declined.is_empty().then_some(since);
            let queue = entry.queue.as_str().into();
            talks.put(tenant, key, Talk { queue, queued, unanswered: Some(since), ..Talk::default() });
        })?;
        for (tenant, key) in held {
            let Ok(number) = key.parse::<ConversationKey>() else { continue };
            let Some(snapshot) = store.snapshot(&tenant, AggregateKind::Conversation, &key)? else { continue };
            let Ok(tracked) = serde_json::from_slice::<Tracked<State>>(&snapshot) else { continue };
            let active = matches!(tracked.state.phase(), Some(Phase::Active(_)));
            let queue = tracked.state.queue().unwrap_or_default().into();
            talks.put(&tenant, number, Talk { queue, active, ..Talk::default() });
        }
        Ok(())
    }
}

/// The task that observes.
pub struct Observer {
    observed: Observed,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Observer {
    /// Starts it.
    pub fn start(store: Store, ownership: Ownership, progress: watch::Receiver<Progress>) -> Self {
        LazyLock::force(&COUNTED);
        let observed = Observed { talks: Arc::default(), last_ms: Arc::default(), ownership };
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(run(observed.clone(), store, progress, stopped));
        Self { observed, stop, task }
    }

    /// What it sees.
    pub fn observed(&self) -> Observed {
        self.observed.clone()
    }

    /// Ends it. When this returns, it does not hold the store any more.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn run(
    observed: Observed,
    store: Store,
    mut progress: watch::Receiver<Progress>,
    mut stopped: watch::Receiver<bool>,
) {
    let from = Timestamp::from(chrono::Utc::now());
    loop {
        let (mut feed, folded) = store.watch_commits();
        // What was folded before is found in the store once it is written.
        let mut written = store.watch_projected();
        tokio::select! {
            reached = written.wait_for(|seq| *seq >= folded) => if reached.is_err() { return },
            _ = stopped.changed() => return,
        }
        if let Err(error) = observed.load(&store) {
            tracing::error!(%error, "what is going on cannot be read from the store; tries again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => continue,
                _ = stopped.changed() => return,
            }
        }
        loop {
            let commits = tokio::select! {
                commits = feed.recv() => commits,
                _ = stopped.changed() => return,
            };
            match commits {
                Ok(commits) => observed.take_in(&commits, from, &observed.ownership.owned()),
                Err(RecvError::Lagged(portions)) => {
                    // What is read after a start is nothing to be counted.
                    if progress.borrow().is_ready() {
                        COUNTED.missed.inc();
                    }
                    tracing::debug!(portions, "commits came faster than they could be counted");
                    break;
                }
                Err(RecvError::Closed) => break,
            }
        }
        // While the log is read from far behind, the store would be read again and again.
        tokio::select! {
            ready = progress.wait_for(Progress::is_ready) => if ready.is_err() { return },
            _ = stopped.changed() => return,
        }
    }
}
