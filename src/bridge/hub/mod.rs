//! The log, as the bridge's clients see it.
//!
//! One task per node follows the log ([`run`]) and keeps the newest commits in memory; each client has a [`Feed`]: what it
//! missed, out of memory or out of the log, and then what comes. A client's place is a sequence of the log, so that it may
//! come back to any node. What a client may see is decided by its [`Reach`] from each commit alone.
//!
//! Nothing is ever left out for a client that is slow: its mailbox has a bound, and where that is reached, the client is
//! told so and cut off, and comes back from where it stands.

mod audience;
mod feed;
mod reach;
mod seen;
#[cfg(test)]
mod tests;

pub(super) use feed::{Feed, Happened, Place, Start};
pub(super) use reach::Reach;
pub(super) use seen::Seen;

use crate::journal::{Journal, JournalError};
use audience::{Audience, Mailbox};
use futures::StreamExt;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

/// Commits that are kept in memory, at most, for clients that come back soon: a minute at a thousand a second, if they are small.
const MAX_KEPT: usize = 65_536;
/// Bytes of them.
const MAX_KEPT_BYTES: usize = 24 << 20;
/// How often it is looked whether the log is still the one that clients were told.
const CHECK: Duration = Duration::from_secs(15);
/// After a failure to read the log.
const PAUSE: Duration = Duration::from_millis(500);

/// How far the log has been read for clients, and which log that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The log's name; empty before it was first read.
    pub epoch: String,
    /// The last sequence that was handed out.
    pub seq: u64,
}

/// The newest commits, and who waits for more. Cheap to clone.
#[derive(Clone)]
pub(super) struct Hub(Arc<Inner>);

struct Inner {
    shared: Mutex<Shared>,
    position: watch::Sender<Position>,
}

#[derive(Default)]
struct Shared {
    kept: VecDeque<Arc<Seen>>,
    kept_bytes: usize,
    audience: Audience,
}

impl Hub {
    pub fn new() -> Self {
        Self(Arc::new(Inner { shared: Mutex::default(), position: watch::Sender::default() }))
    }

    /// How far the log has been read.
    pub fn position(&self) -> Position {
        self.0.position.borrow().clone()
    }

    /// Clients that listen now.
    pub fn clients(&self) -> usize {
        self.shared().audience.len()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the log has been read at all.
    async fn opened(&self) -> Position {
        let mut position = self.0.position.subscribe();
        match position.wait_for(|position| !position.epoch.is_empty()).await {
            Ok(position) => position.clone(),
            Err(_) => Position::default(),
        }
    }

    /// Begins anew: another log, or one that has lost its end. All clients are cut off.
    fn begin(&self, position: Position) {
        let mut shared = self.shared();
        let audience = shared.audience.emptied();
        *shared = Shared { audience, ..Shared::default() };
        self.0.position.send_replace(position);
    }

    /// The last commit that was handed out, if it is kept.
    fn last(&self) -> Option<Arc<Seen>> {
        self.shared().kept.back().cloned()
    }

    /// Takes the next commit in. The position moves last: whoever reads it finds in its mailbox all that comes before.
    fn take(&self, seen: Seen) {
        let seen = Arc::new(seen);
        let mut shared = self.shared();
        shared.kept_bytes += seen.payload.len();
        shared.kept.push_back(Arc::clone(&seen));
        while shared.kept.len() > MAX_KEPT || shared.kept_bytes > MAX_KEPT_BYTES {
            let Some(oldest) = shared.kept.pop_front() else { break };
            shared.kept_bytes -= oldest.payload.len();
        }
        shared.audience.tell(&seen);
        self.0.position.send_modify(|position| position.seq = seen.seq);
    }

    /// Adds a client: its mailbox gets all commits after the position that is returned, and those that are kept up to there
    /// and after `after` are returned as well. `None` in their place: not all of them are kept.
    fn join(&self, reach: &Reach, after: Option<u64>) -> (u64, Mailbox, Option<Vec<Arc<Seen>>>) {
        let mut shared = self.shared();
        let seq = self.0.position.borrow().seq;
        let missed = after.and_then(|after| {
            let first = shared.kept.front().map_or(seq + 1, |seen| seen.seq);
            let all = after + 1 >= first;
            let start = shared.kept.partition_point(|seen| seen.seq <= after);
            all.then(|| shared.kept.range(start..).filter(|seen| reach.may_concern(seen)).cloned().collect())
        });
        let mailbox = shared.audience.join(self.clone(), reach);
        (seq, mailbox, missed)
    }

    fn leave(&self, tenant: &str, client: u64) {
        self.shared().audience.leave(tenant, client);
    }
}

/// Follows the log until it is dropped.
pub(super) async fn run(hub: Hub, journal: impl Journal) {
    loop {
        if let Err(error) = follow(&hub, &journal).await {
            tracing::warn!(%error, "the bridge's clients wait: the log cannot be read; tries again");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Until the log is another one than it was.
async fn follow(hub: &Hub, journal: &impl Journal) -> Result<(), JournalError> {
    let log = journal.position().await?;
    let known = hub.position();
    let after = if known.epoch == log.identity && known.seq <= log.last && !has_grown_otherwise(hub, journal).await? {
        known.seq
    } else {
        hub.begin(Position { epoch: log.identity, seq: log.last });
        log.last
    };
    let mut commits = journal.tail(after, None).await?;
    let mut checks = tokio::time::interval(CHECK);
    loop {
        let commit = tokio::select! {
            commit = commits.next() => match commit {
                Some(commit) => commit?,
                None => return Ok(()),
            },
            _ = checks.tick() => match has_grown_otherwise(hub, journal).await? {
                true => return Ok(()),
                false => continue,
            },
        };
        match Seen::read(commit.seq, commit.payload) {
            Ok(seen) => hub.take(seen),
            // Nobody's commit: counted and said where the store reads it.
            Err(error) => tracing::debug!(seq = commit.seq, %error, "passed over"),
        }
    }
}

/// Whether the log has another commit where the last one was that clients were told: it lost its end, and has grown since.
async fn has_grown_otherwise(hub: &Hub, journal: &impl Journal) -> Result<bool, JournalError> {
    let Some(last) = hub.last() else { return Ok(false) };
    // One that is not there any more was archived, or the end of the log says enough.
    let Some(stored) = journal.read(last.seq).await? else { return Ok(false) };
    Ok(Seen::read(stored.seq, stored.payload).map_or(true, |stored| stored.commit_id != last.commit_id))
}
