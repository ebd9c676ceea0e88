//! One commit, as much of it as decides who sees it.

use bytes::Bytes;
use kefu_events::{AggregateKind, Concerns};
use serde::Deserialize;

/// One commit.
#[derive(Debug)]
pub(in crate::bridge) struct Seen {
    /// Its sequence in the log.
    pub seq: u64,
    /// Whose.
    pub tenant: String,
    /// Of what.
    pub kind: AggregateKind,
    /// Of which.
    pub key: String,
    /// Unique for ever.
    pub commit_id: String,
    /// Whom it concerns.
    pub concerns: Concerns,
    /// The commit's JSON.
    pub payload: Bytes,
}

#[derive(Deserialize)]
struct Head {
    commit_id: String,
    tenant: String,
    aggregate: AggregateKind,
    key: String,
    #[serde(default)]
    concerns: Concerns,
}

impl Seen {
    /// Reads the head of a stored commit.
    ///
    /// # Errors
    /// It is no commit that this version knows.
    pub fn read(seq: u64, payload: Bytes) -> Result<Self, serde_json::Error> {
        let Head { commit_id, tenant, aggregate: kind, key, concerns } = serde_json::from_slice(&payload)?;
        Ok(Self { seq, tenant, kind, key, commit_id, concerns, payload })
    }

    /// The commit as it stands in a frame.
    pub fn text(&self) -> &str {
        // What serde has read as JSON is UTF-8.
        std::str::from_utf8(&self.payload).unwrap_or("null")
    }
}
