//! An aggregate's state with what the runtime keeps beside it.

use super::{Aggregate, CommitMeta};
use kefu_events::{Commit, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// How many inputs an aggregate remembers by itself; older ones are looked up in the store, once the projector is known
/// to have passed them. 32 covers the bursts of one conversation; 24 bytes each.
pub const RECENT_CAUSES: usize = 32;

/// The fingerprint of an input's id: 128 bits of SHA-256, so that a collision is out of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cause(u64, u64);

impl Cause {
    /// The fingerprint of `id`.
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let half = |from: usize| digest[from..from + 8].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        Self(half(0), half(8))
    }

    /// Its 16 bytes, for keys in the store.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.1.to_be_bytes());
        bytes
    }
}

/// State, version, and the inputs seen last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "S: Serialize + serde::de::DeserializeOwned")]
pub struct Tracked<S> {
    /// Number of commits so far.
    pub version: u64,
    /// The last commit's sequence in the log: what the next append expects. 0 before the first.
    pub seq: u64,
    /// When the last commit was decided.
    pub at: Timestamp,
    /// Whether inputs are refused until somebody looks at what went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// The last inputs and the commits that they led to, oldest first.
    pub recent: VecDeque<(Cause, u64)>,
    /// The aggregate's own state.
    pub state: S,
}

impl<S: Default> Default for Tracked<S> {
    fn default() -> Self {
        Self {
            version: 0,
            seq: 0,
            at: Timestamp::default(),
            quarantined: false,
            recent: VecDeque::new(),
            state: S::default(),
        }
    }
}

impl<S> Tracked<S> {
    /// The commit that this input led to, if it is among the last ones.
    pub fn recent_seq_of(&self, cause: Cause) -> Option<u64> {
        self.recent.iter().rev().find(|(seen, _)| *seen == cause).map(|(_, seq)| *seq)
    }

    /// Up to which commit the store must know this aggregate before a look-up there is conclusive: inputs that were
    /// forgotten here are older than every remembered one. `None`: nothing has been forgotten, no look-up is needed.
    pub fn forgotten_before(&self) -> Option<u64> {
        let remembers_all = self.version <= self.recent.len() as u64;
        if remembers_all { None } else { Some(self.recent.front().map_or(self.seq, |(_, seq)| *seq)) }
    }

    /// The state after `commit`, which the log holds at `seq`.
    pub fn apply<A: Aggregate<State = S>>(&mut self, commit: &Commit<A::Event>, seq: u64) {
        let meta = CommitMeta::of(commit);
        for event in &commit.events {
            if let Some(quarantined) = A::quarantine(event) {
                self.quarantined = quarantined;
            }
            A::evolve(&mut self.state, &meta, event);
        }
        self.version = commit.version;
        self.seq = seq;
        self.at = commit.at;
        if self.recent.len() == RECENT_CAUSES {
            self.recent.pop_front();
        }
        self.recent.push_back((Cause::of(&commit.cause), seq));
    }
}
