//! What one client gets: what it missed, and then what comes.

use super::{Hub, Reach, Seen, audience::Mailbox};
use crate::journal::{Journal, JournalError, Recorded};
use futures::{StreamExt, stream::BoxStream};
use kefu_events::bridge::LastCommit;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::mpsc::error::TryRecvError;

/// Commits of all tenants that are read from the log for one client that comes back, at most. Who missed more begins anew, which
/// is quicker.
const MAX_MISSED: u64 = 50_000;

/// Where a client says that it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::bridge) struct Place {
    /// The log's name.
    pub epoch: Option<String>,
    /// The last sequence that it has.
    pub last_seq: Option<u64>,
    /// The last commit that it has.
    pub last_commit: Option<LastCommit>,
}

/// Whether a client's place is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bridge) enum Start {
    /// It goes on from there.
    From(u64),
    /// It begins anew, with a snapshot that holds all up to here.
    Anew {
        /// Up to here.
        seq: u64,
        /// Why, for the client.
        reason: &'static str,
    },
}

/// What happened next.
#[derive(Debug)]
pub(in crate::bridge) enum Happened {
    /// The client sees this commit.
    Seen(Arc<Seen>),
    /// What the client may see may have changed by this commit.
    RightsChanged(Arc<Seen>),
    /// The client fell behind, or the log is another one: it must come back.
    Cut,
}

/// What one client gets.
pub(in crate::bridge) struct Feed {
    reach: Reach,
    mailbox: Mailbox,
    missed: Missed,
    /// Up to here it was missed; what the mailbox has comes after.
    joined_at: u64,
}

/// What came before the mailbox.
enum Missed {
    /// From memory.
    Kept(VecDeque<Arc<Seen>>),
    /// From the log.
    Log(BoxStream<'static, Result<Recorded, JournalError>>),
}

impl Feed {
    /// Begins where the client stands, if that is a place in this log.
    pub async fn open(
        hub: &Hub,
        journal: &impl Journal,
        reach: Reach,
        place: Place,
    ) -> Result<(Self, Start), JournalError> {
        let position = hub.opened().await;
        let reason = match (&place.epoch, place.last_seq) {
            (_, None) => Some("new"),
            (Some(epoch), Some(_)) if *epoch != position.epoch => Some("other_log"),
            (_, Some(seq)) if seq > position.seq && !reaches(hub, seq).await => Some("log_went_back"),
            _ if !is_there(journal, place.last_commit.as_ref()).await? => Some("log_went_back"),
            _ => None,
        };
        let after = place.last_seq.filter(|_| reason.is_none());
        let (joined_at, mailbox, kept) = hub.join(&reach, after);
        let (missed, start) = match (after, kept) {
            (Some(after), Some(kept)) => (Missed::Kept(kept.into()), Start::From(after)),
            (Some(after), None) if joined_at - after <= MAX_MISSED => {
                (Missed::Log(journal.tail(after, None).await?), Start::From(after))
            }
            (_, _) => {
                let reason = reason.unwrap_or("too_far_behind");
                (Missed::Kept(VecDeque::new()), Start::Anew { seq: joined_at, reason })
            }
        };
        Ok((Self { reach, mailbox, missed, joined_at }, start))
    }

    /// Who gets it.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// What happens next. Waits for it. May be dropped and asked again.
    pub async fn next(&mut self) -> Happened {
        if let Some(happened) = self.next_missed().await {
            return happened;
        }
        loop {
            let kept = match &mut self.missed {
                Missed::Kept(kept) => kept.pop_front(),
                Missed::Log(_) => None,
            };
            let seen = match kept {
                Some(seen) => Some(seen),
                None => self.mailbox.commits.recv().await,
            };
            let Some(seen) = seen else { return Happened::Cut };
            if let Some(happened) = self.judged(seen) {
                return happened;
            }
        }
    }

    /// What happens next of what is still to be read from the log; `None`: nothing is. May be dropped and asked again.
    pub async fn next_missed(&mut self) -> Option<Happened> {
        while let Missed::Log(log) = &mut self.missed {
            let (seen, is_last) = match log.next().await {
                Some(Ok(commit)) if commit.seq <= self.joined_at => {
                    (Seen::read(commit.seq, commit.payload).ok(), commit.seq == self.joined_at)
                }
                // The last one that was missed is gone from the log.
                Some(Ok(_)) => (None, true),
                Some(Err(_)) | None => return Some(Happened::Cut),
            };
            if is_last {
                self.missed = Missed::Kept(VecDeque::new());
            }
            if let Some(happened) = seen.and_then(|seen| self.judged(Arc::new(seen))) {
                return Some(happened);
            }
        }
        None
    }

    /// What has happened already, if anything has that is not still to be read from the log. Unlike a poll of
    /// [`next`](Self::next), it never says that there is nothing because this task has had its turn.
    pub fn try_next(&mut self) -> Option<Happened> {
        loop {
            let seen = match &mut self.missed {
                Missed::Log(_) => return None,
                Missed::Kept(kept) => match kept.pop_front() {
                    Some(seen) => seen,
                    None => match self.mailbox.commits.try_recv() {
                        Ok(seen) => seen,
                        Err(TryRecvError::Empty) => return None,
                        Err(TryRecvError::Disconnected) => return Some(Happened::Cut),
                    },
                },
            };
            if let Some(happened) = self.judged(seen) {
                return Some(happened);
            }
        }
    }

    fn judged(&self, seen: Arc<Seen>) -> Option<Happened> {
        if self.reach.is_changed_by(&seen) {
            return Some(Happened::RightsChanged(seen));
        }
        self.reach.sees(&seen).then(|| Happened::Seen(seen))
    }

    /// Whether what was missed is still being read from the log.
    pub fn is_reading(&self) -> bool {
        matches!(self.missed, Missed::Log(_))
    }
}

/// Another node was ahead: this one will have read as far in a moment, or the log has lost its end.
async fn reaches(hub: &Hub, seq: u64) -> bool {
    let mut position = hub.0.position.subscribe();
    let reached = position.wait_for(|position| position.seq >= seq);
    tokio::time::timeout(std::time::Duration::from_secs(2), reached).await.is_ok_and(|reached| reached.is_ok())
}

/// Whether the log still has this commit. One that was archived since is taken to be right.
async fn is_there(journal: &impl Journal, last: Option<&LastCommit>) -> Result<bool, JournalError> {
    let Some(last) = last else { return Ok(true) };
    let Some(stored) = journal.read(last.seq).await? else {
        return Ok(journal.position().await?.first > last.seq);
    };
    Ok(Seen::read(stored.seq, stored.payload).is_ok_and(|seen| seen.commit_id == last.id))
}
