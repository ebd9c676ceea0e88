//! Agents as they were: their histories are read from the first commit on, which takes a while in a long log, so that places
//! on the way are kept, to go on from.

use super::NoWall;
use crate::{
    agent::{self, Agent},
    aggregate::Gathered,
    journal::{Journal, LogPosition},
};
use futures::StreamExt;
use kefu_events::{Commit, Timestamp, agent::AgentEvent, upcast::decode_commit};
use std::{collections::VecDeque, time::Instant};
use tokio::time::timeout_at;

/// States of agents that are kept in all places together, at most. One has up to some ten kilobytes, most of which it shares
/// with the place before.
const MAX_KEPT: usize = 16_384;
/// One place is kept for so long a time …
const EVERY_MS: i64 = 3_600_000;
/// … as far back from the moment that is asked for as one looks around most.
const AROUND_MS: i64 = 25 * EVERY_MS;

/// All agents of a tenant as of a commit: what they did up to it is in it.
#[derive(Debug, Clone)]
pub struct Staff {
    tenant: String,
    /// The commit.
    seq: u64,
    /// The last moment at which any of it was decided.
    latest: Timestamp,
    /// Their states.
    pub agents: Gathered<agent::State>,
}

/// Places from which reading can go on, the one that was used last at the end.
#[derive(Debug, Default)]
pub struct Kept {
    /// Of which log.
    identity: String,
    places: VecDeque<Staff>,
}

/// What of the log is read.
pub struct Reach {
    /// Everything of the tenant's agents, as a subject pattern.
    pub filter: String,
    /// Only what was decided up to this moment.
    pub at: Timestamp,
    /// Nothing after this commit was.
    pub end: u64,
    /// The last commit of any agent that the log is known to have.
    pub last: u64,
    /// When to give up.
    pub until: Instant,
}

impl Kept {
    /// What is kept of another log, or of a part of it that is gone, is forgotten.
    pub fn check(&mut self, log: &LogPosition) {
        if self.identity != log.identity {
            self.identity.clone_from(&log.identity);
            self.places.clear();
        }
        self.places.retain(|place| place.seq <= log.last);
    }

    /// The nearest place before a moment.
    fn best(&mut self, tenant: &str, at: Timestamp) -> Option<Staff> {
        let fits = |place: &&Staff| place.tenant == tenant && place.latest <= at;
        let seq = self.places.iter().filter(fits).map(|place| place.seq).max()?;
        let index = self.places.iter().position(|place| place.tenant == tenant && place.seq == seq)?;
        let place = self.places.remove(index)?;
        self.places.push_back(place.clone());
        Some(place)
    }

    fn keep(&mut self, place: &Staff) {
        self.places.retain(|kept| kept.tenant != place.tenant || kept.seq != place.seq);
        self.places.push_back(place.clone());
        let mut states: usize = self.places.iter().map(|place| place.agents.len().max(1)).sum();
        while states > MAX_KEPT && self.places.len() > 1 {
            states -= self.places.pop_front().map_or(0, |oldest| oldest.agents.len().max(1));
        }
    }

    /// All agents of a tenant as they were at a moment.
    ///
    /// # Errors
    /// The log cannot be read, or not in time: what was read is kept, and the next attempt goes on from there.
    pub async fn read<J: Journal>(
        &mut self,
        journal: &J,
        tenant: &str,
        reach: &Reach,
    ) -> Result<Gathered<agent::State>, NoWall> {
        let &Reach { at, end, last, .. } = reach;
        let mut staff = self.best(tenant, at).unwrap_or_else(|| Staff {
            tenant: tenant.to_owned(),
            seq: 0,
            latest: Timestamp::default(),
            agents: Gathered::default(),
        });
        if staff.seq >= last.min(end) {
            return Ok(staff.agents);
        }
        let mut log = journal.tail(staff.seq, Some(reach.filter.clone())).await?;
        // As long as nothing was left out, it can be gone on from.
        let mut whole = true;
        loop {
            let next = timeout_at(reach.until.into(), log.next()).await;
            let Ok(Some(recorded)) = next else {
                if whole {
                    self.keep(&staff);
                }
                return Err(NoWall::Behind(format!(
                    "the agents' history is long: it has been read up to {}; ask again, and it goes on from there",
                    staff.latest
                )));
            };
            let recorded = recorded?;
            if recorded.seq > end {
                break;
            }
            let commit: Commit<AgentEvent> = decode_commit(&recorded.payload)?;
            if commit.at <= at {
                let hour = |time: Timestamp| time.as_millis().div_euclid(EVERY_MS);
                let is_near = at.as_millis() - commit.at.as_millis() < AROUND_MS;
                if whole && is_near && staff.seq > 0 && hour(commit.at) > hour(staff.latest) {
                    self.keep(&staff);
                }
                staff.agents.take::<Agent>(&commit, recorded.seq);
                staff.latest = staff.latest.max(commit.at);
            } else if whole {
                // What follows is of later moments, but for what nodes with other clocks decided.
                self.keep(&staff);
                whole = false;
            }
            if whole {
                staff.seq = recorded.seq;
            }
            if recorded.seq >= last {
                break;
            }
        }
        if whole {
            self.keep(&staff);
        }
        Ok(staff.agents)
    }
}
