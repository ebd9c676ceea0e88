//! Following the log beside the projector: out of the log until the store is reached, and from then on what the store reads, so
//! that the log is read and decoded once for everybody who keeps up.

use crate::{
    journal::{Journal, JournalError, Recorded},
    store::{CommitFeed, DecodedCommit, Store},
};
use futures::StreamExt;
use std::{convert::Infallible, sync::Arc};
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// Commits in a portion that is read from the log, at most.
const PORTION: usize = 512;

/// Commits on their way to somebody.
pub enum Portion {
    /// Out of the log.
    Read(Vec<Recorded>),
    /// As the store got them; so many at the beginning are known.
    Folded(Arc<Vec<DecodedCommit>>, usize),
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The bus: try again from where it was.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Whoever was to get the commits is gone.
    #[error("whoever takes the commits has ended")]
    Ended,
    /// Begin with comparing the log: it may be another.
    #[error("the store reads the log anew")]
    ReadAnew,
}

/// Hands the log on, from the commit after `after` on, without end.
///
/// # Errors
/// See [`FollowError`].
pub async fn follow<J: Journal>(
    journal: &J,
    store: &Store,
    mut after: u64,
    send: &mpsc::Sender<Portion>,
) -> Result<Infallible, FollowError> {
    loop {
        let mut feed = read_log(journal, store, &mut after, send).await?;
        loop {
            let commits = match feed.recv().await {
                Ok(commits) => commits,
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Err(FollowError::ReadAnew),
            };
            let known = commits.partition_point(|commit| commit.seq <= after);
            let (Some(first), Some(last)) = (commits.get(known), commits.last()) else { continue };
            // Not of the log's making, as a rule: something was missed.
            if first.seq > after + 1 {
                break;
            }
            after = last.seq;
            send.send(Portion::Folded(commits, known)).await.map_err(|_| FollowError::Ended)?;
        }
    }
}

/// Hands the log on until the store has not read more of it; then what the store reads comes back.
async fn read_log<J: Journal>(
    journal: &J,
    store: &Store,
    after: &mut u64,
    send: &mpsc::Sender<Portion>,
) -> Result<CommitFeed, FollowError> {
    // Nobody has read more already: there is nothing to be waited for, which the log would not announce.
    let mut reached = subscribed(store, *after);
    if let Some((feed, _)) = reached.take_if(|(_, from)| *after >= *from) {
        return Ok(feed);
    }
    let mut tail = journal.tail(*after, None).await?.ready_chunks(PORTION);
    while let Some(chunk) = tail.next().await {
        let mut failed = None;
        let mut commits = Vec::with_capacity(chunk.len());
        for item in chunk {
            match item {
                Ok(recorded) => commits.push(recorded),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if let Some(last) = commits.last() {
            *after = last.seq;
            send.send(Portion::Read(commits)).await.map_err(|_| FollowError::Ended)?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if reached.is_none() {
            reached = subscribed(store, *after);
        }
        // What was read beside it, up to the moment from which it tells everything.
        if let Some((feed, _)) = reached.take_if(|(_, from)| *after >= *from) {
            return Ok(feed);
        }
    }
    Err(JournalError::Unavailable("the log's reader has ended".to_owned()).into())
}

fn subscribed(store: &Store, after: u64) -> Option<(CommitFeed, u64)> {
    (after >= store.last_folded()).then(|| store.watch_commits())
}
