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
    // A log has gaps, and what is no commit, only where somebody was at work by hand.
    for seq in seq..end {
        if let Some(commit) = journal.read(seq).await?
            && let Ok(At { at }) = serde_json::from_slice(&commit.payload)
        {
            return Ok(Some((seq, at)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{journal::memory::MemoryJournal, store::tests::traffic::traffic};

    #[tokio::test]
    async fn a_moment_is_found_past_what_is_no_commit() {
        let journal = MemoryJournal::default();
        let commits = traffic(1, 4);
        let (subject, last) = commits.last().unwrap();
        let payloads = [&commits[0].1, &b"by hand".to_vec(), &b"{}".to_vec(), last];
        for (known, payload) in (0..).zip(payloads) {
            journal.append(subject, known, payload.clone().into()).await.unwrap();
        }
        // One conversation's messages are a millisecond apart.
        let moment = |ms: i64| first_not_before(&journal, Timestamp::from_millis(1_700_000_000_000 + ms));
        let (begin, within, end) = (moment(0).await.unwrap(), moment(3).await.unwrap(), moment(4).await.unwrap());
        assert_eq!((begin, end), (1, 5));
        assert!((2..=4).contains(&within), "only what is no commit may lie between, but {within}");
    }
}
