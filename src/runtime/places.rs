//! Places in the log by time.

use crate::journal::{Journal, JournalError};
use kefu_events::Timestamp;
use serde::Deserialize;

/// The sequence of the first commit that is not before this time; the one after the last if there is none.
///
/// Commits are stored in the order of their times, but for the milliseconds by which nodes' clocks differ.
///
/// # Errors
/// The log cannot be read.
pub async fn first_not_before(journal: &impl Journal, time: Timestamp) -> Result<u64, JournalError> {
    let end = journal.position().await?;
    let (mut low, mut high) = (end.first, end.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match time_of(journal, middle, high).await? {
            Some((_, at)) if at < time => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The time of the first stored commit from `seq` on, below `end`.
async fn time_of(journal: &impl Journal, seq: u64, end: u64) -> Result<Option<(u64, Timestamp)>, JournalError> {
    #[derive(Deserialize)]
    struct At {
        at: Timestamp,
    }
    // A log has gaps only where somebody deleted messages by hand.
    for seq in seq..end {
        if let Some(commit) = journal.read(seq).await? {
            let read = serde_json::from_slice::<At>(&commit.payload);
            let At { at } = read.map_err(|error| JournalError::Refused(format!("commit {seq}: {error}")))?;
            return Ok(Some((seq, at)));
        }
    }
    Ok(None)
}
