//! A commit out of the log, decoded once for all projections.

use super::{StoreError, folds::Folds};
use kefu_events::{Actor, AggregateKind, Commit, Timestamp};
use serde::{Deserialize, de::IgnoredAny};
use std::{any::Any, fmt};

/// A commit out of the log.
pub struct DecodedCommit {
    /// Its sequence in the log.
    pub seq: u64,
    /// How large it is, as JSON.
    pub bytes: usize,
    content: Content,
}

enum Content {
    /// Of a kind that this node knows.
    Known(Box<dyn AnyCommit>),
    /// Of a kind that it does not know.
    Unknown(Box<Commit<IgnoredAny>>),
    /// No commit at all.
    Foreign,
}

/// A commit of whatever kind.
pub(super) trait AnyCommit: Any + Send + Sync {
    fn header(&self) -> Header<'_>;
}

/// What all commits have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Unique for ever.
    pub commit_id: &'a str,
    /// Whose aggregate this is.
    pub tenant: &'a str,
    /// Kind of the aggregate.
    pub kind: AggregateKind,
    /// Key of the aggregate.
    pub key: &'a str,
    /// The aggregate's version after it.
    pub version: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: &'a Actor,
    /// Key of the person whom it is about.
    pub contact: Option<&'a str>,
    /// Id of the input that caused it.
    pub cause: &'a str,
    /// The start of the chain.
    pub correlation: &'a str,
}

impl<E: Send + Sync + 'static> AnyCommit for Commit<E> {
    fn header(&self) -> Header<'_> {
        Header {
            commit_id: &self.commit_id,
            tenant: &self.tenant,
            kind: self.aggregate,
            key: &self.key,
            version: self.version,
            at: self.at,
            actor: &self.actor,
            contact: self.contact.as_deref(),
            cause: &self.cause,
            correlation: &self.correlation,
        }
    }
}

impl DecodedCommit {
    /// Reads what the log holds at `seq`.
    ///
    /// What is no commit at all (no version of kefu wrote it) is passed over by all projections: see
    /// [`is_foreign`](Self::is_foreign).
    ///
    /// # Errors
    /// It is a commit, but of a newer version of kefu: to pass over it would be to serve wrong states.
    pub fn decode(folds: &Folds, seq: u64, subject: &str, payload: &[u8]) -> Result<Self, StoreError> {
        let content = match kind_of(subject).and_then(|kind| folds.get(kind)) {
            Some(fold) => match fold.decode(payload) {
                Ok(commit) if names(subject, &commit.header()) => Content::Known(commit),
                Ok(_) => Content::Foreign,
                Err(error) => match serde_json::from_slice::<Commit<IgnoredAny>>(payload) {
                    Ok(commit) if names(subject, &commit.header()) => {
                        let subject = subject.to_owned();
                        return Err(StoreError::Unreadable { seq, subject, error: error.to_string() });
                    }
                    _ => Content::Foreign,
                },
            },
            None => serde_json::from_slice(payload).map_or(Content::Foreign, Content::Unknown),
        };
        Ok(Self { seq, bytes: payload.len(), content })
    }

    /// What all commits have in common; `None` if this is none.
    pub fn header(&self) -> Option<Header<'_>> {
        match &self.content {
            Content::Known(commit) => Some(commit.header()),
            Content::Unknown(commit) => Some(commit.header()),
            Content::Foreign => None,
        }
    }

    /// The whole commit, if its events are these.
    pub fn events_of<E: 'static>(&self) -> Option<&Commit<E>> {
        (self.known()? as &dyn Any).downcast_ref()
    }

    /// Whether this is no commit at all.
    pub fn is_foreign(&self) -> bool {
        matches!(self.content, Content::Foreign)
    }

    /// The commit, if this node knows its kind.
    pub(super) fn known(&self) -> Option<&dyn AnyCommit> {
        match &self.content {
            Content::Known(commit) => Some(&**commit),
            _ => None,
        }
    }

    /// Its id, for a checkpoint; empty if this is no commit.
    pub(super) fn commit_id(&self) -> &str {
        self.header().map_or("", |header| header.commit_id)
    }
}

impl fmt::Debug for DecodedCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedCommit").field("seq", &self.seq).field("header", &self.header()).finish()
    }
}

/// The kind in `<prefix>.events.<tenant>.<kind>.<key>`.
fn kind_of(subject: &str) -> Option<AggregateKind> {
    subject.rsplit('.').nth(1)?.parse().ok()
}

/// Whether the subject and the body say the same.
fn names(subject: &str, header: &Header<'_>) -> bool {
    let mut tokens = subject.rsplit('.');
    tokens.next() == Some(header.key)
        && tokens.next() == Some(header.kind.as_str())
        && tokens.next() == Some(header.tenant)
}

/// The id of a stored commit, to compare with a checkpoint's; empty if it is none.
pub fn commit_id_of(payload: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Id {
        commit_id: String,
    }
    serde_json::from_slice::<Id>(payload).map(|id| id.commit_id).unwrap_or_default()
}
