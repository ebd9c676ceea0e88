//! The port: everything that the rest of kefu may ask of the bus, in kefu's own words.
//!
//! [`Journal`] has two implementations, NATS JetStream and an in-memory twin, which are held to one conformance
//! suite. Nothing here names a client library's type, so that neither implementation leaks into its users.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, stream::BoxStream};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

/// One stored commit, as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Sequence in the log, from 1, without two commits ever sharing one.
    pub seq: u64,
    /// `kefu.events.<tenant>.<aggregate>.<key>`.
    pub subject: String,
    /// The commit's JSON.
    pub payload: Bytes,
}

/// Where the log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPosition {
    /// Names this very log: the time of the stream's creation, in nanoseconds. A log that was deleted and made again differs.
    pub identity: String,
    /// First sequence that is still stored, or `last + 1` when nothing is.
    pub first: u64,
    /// Sequence of the last commit, 0 when there was none yet.
    pub last: u64,
}

/// Why an append did not report success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to this aggregate: load what is missing and decide again.
    #[error("the aggregate has a newer commit than the one expected")]
    Conflict,
    /// It may be stored now, later, or never: read the last commit back before doing anything else.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// It was certainly not stored, and the same bytes never will be (too large, not permitted).
    #[error("refused by the server: {0}")]
    Refused(String),
}

/// Why a call to the bus failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The server did not answer or is not there: try the same again.
    #[error("the server is not reachable: {0}")]
    Unavailable(String),
    /// The server said no for good: tell a person.
    #[error("{0}")]
    Refused(String),
    /// A stream or bucket is not as kefu needs it; the text says what differs and how to mend it.
    #[error("{0}")]
    Misconfigured(String),
}

impl JournalError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The two work queues, the only causes of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// `KEFU_INBOX`: what customers sent.
    Inbox,
    /// `KEFU_COMMANDS`: what agents, timers, bots, the scheduler and other aggregates ask.
    Commands,
}

/// One message out of a work queue, held until it is acked.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The queue it came from.
    pub queue: Queue,
    /// Its sequence in that queue's stream: the same at every redelivery.
    pub stream_seq: u64,
    /// Tenant, from the subject.
    pub tenant: String,
    /// Channel (inbox) or kind of sender (commands), from the subject.
    pub source: String,
    /// Key of the aggregate, from the subject.
    pub key: String,
    /// The body, untouched.
    pub payload: Bytes,
    /// Where its acknowledgement goes; opaque.
    pub ack: AckToken,
}

/// What a partition's two queues deliver to whoever took it over; see [`Journal::take_over`].
pub struct Deliveries {
    stream: BoxStream<'static, Delivery>,
    backlog: Backlog,
}

impl Deliveries {
    pub(crate) fn new(stream: BoxStream<'static, Delivery>, backlog: Backlog) -> Self {
        Self { stream, backlog }
    }

    /// What the former owner may have held.
    pub fn backlog(&self) -> Backlog {
        self.backlog
    }
}

impl Stream for Deliveries {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut task::Context) -> Poll<Option<Delivery>> {
        self.stream.as_mut().poll_next(context)
    }
}

/// How many messages each queue held at take-over, as far as a former owner can have held them unacked: they come before
/// all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    inbox: u64,
    commands: u64,
}

impl Backlog {
    pub(crate) fn new(inbox: u64, commands: u64, max_pending: usize) -> Self {
        let most = u64::try_from(max_pending).unwrap_or(u64::MAX);
        Self { inbox: inbox.min(most), commands: commands.min(most) }
    }

    /// One of them was delivered.
    pub fn count_down(&mut self, queue: Queue) {
        let left = match queue {
            Queue::Inbox => &mut self.inbox,
            Queue::Commands => &mut self.commands,
        };
        *left = left.saturating_sub(1);
    }

    /// Whether all of them were.
    pub fn is_delivered(&self) -> bool {
        *self == Self::default()
    }
}

/// Where an acknowledgement goes. Opaque: only the journal that made it can use it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AckToken(pub(crate) String);

/// What is published after a commit, or instead of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A reply for a customer, into `KEFU_OUTBOX`.
    Reply {
        /// Tenant of the conversation.
        tenant: String,
        /// Channel that delivers it.
        channel: String,
        /// Conversation key.
        key: String,
        /// Message id, the same whenever this effect is computed again.
        id: String,
        /// The outbound message's JSON.
        payload: Bytes,
    },
    /// A command, into `KEFU_COMMANDS`.
    Command {
        /// Tenant of the receiving aggregate.
        tenant: String,
        /// Kind of sender: `agent`, `timer`, `bot`, `scheduler`, `system`.
        source: String,
        /// Key of the receiving aggregate.
        key: String,
        /// Command id, the same whenever this effect is computed again.
        id: String,
        /// The command's JSON.
        payload: Bytes,
    },
    /// The result of a command, to whoever waits on `kefu.result.<tenant>.<command id>`; not stored.
    Result {
        /// Tenant of the command.
        tenant: String,
        /// Command id; hashed into a subject token where it is not one already.
        id: String,
        /// The result's JSON.
        payload: Bytes,
    },
    /// Input that was not decided, into `KEFU_REJECTED`, as it came.
    Rejected {
        /// Tenant of the subject that it came by.
        tenant: String,
        /// Channel or kind of sender that it came from.
        source: String,
        /// Unique per refused input: the same whenever it is refused again.
        id: String,
        /// Reason and origin, as headers.
        headers: BTreeMap<String, String>,
        /// The payload as it came.
        payload: Bytes,
    },
}

/// A refused input as `KEFU_REJECTED` stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Sequence in `KEFU_REJECTED`.
    pub seq: u64,
    /// When the server stored it.
    pub at: DateTime<Utc>,
    /// Tenant, from the subject.
    pub tenant: String,
    /// Channel or kind of sender, from the subject.
    pub source: String,
    /// Reason and origin.
    pub headers: BTreeMap<String, String>,
    /// The payload as it came.
    pub payload: Bytes,
}

/// A held lease. `epoch` grows with every acquisition of the same name and never repeats, also after expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// `partition-<p>`, `scheduler-<tenant>` or `node-<id>`.
    pub name: String,
    /// Who holds it.
    pub holder: String,
    /// Counts acquisitions.
    pub epoch: u64,
    /// The journal's own mark of the last renewal (compare-and-set).
    pub(crate) revision: u64,
}

/// A small document of the engine's own, kept beside the log and not in it: it is replaced, and what it said before is gone.
/// For what must not be kept for ever (secrets), or is written too often to be history (how far something has got).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub value: Bytes,
    /// Counts the writes of all notes; names this very version.
    pub revision: u64,
}

/// The bus. Cheap to clone; all methods may be called concurrently.
pub trait Journal: Clone + Send + Sync + Unpin + 'static {
    /// Where the log stands now, from the leader.
    fn position(&self) -> impl Future<Output = Result<LogPosition, JournalError>> + Send;

    /// Appends one commit to `subject`, if the last one there has the sequence `expected` (0: there is none).
    /// Appends of one caller to different subjects may be in flight at once.
    fn append(
        &self,
        subject: &str,
        expected: u64,
        payload: Bytes,
    ) -> impl Future<Output = Result<u64, AppendError>> + Send;

    /// The last commit of `subject`, from the leader (never from a follower that may lag).
    fn last(&self, subject: &str) -> impl Future<Output = Result<Option<Recorded>, JournalError>> + Send;

    /// The commit at `seq`, if it is still stored.
    fn read(&self, seq: u64) -> impl Future<Output = Result<Option<Recorded>, JournalError>> + Send;

    /// Commits of `subject` with a sequence above `after`, oldest first, all of them.
    fn history(&self, subject: &str, after: u64) -> impl Future<Output = Result<Vec<Recorded>, JournalError>> + Send;

    /// All commits above `after`, in order, then those to come. Gaps are never skipped: on a broken connection the
    /// stream heals itself or ends with an error. `filter` is a subject pattern, or all of the log.
    fn tail(
        &self,
        after: u64,
        filter: Option<String>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<Recorded, JournalError>>, JournalError>> + Send;

    /// Takes both queues of a partition over: the consumers of all other epochs are deleted, so that their pulls end, and everything
    /// unacked is delivered from the first, in order per queue, to the returned stream. The stream ends when somebody else takes over (or the
    /// connection is lost). At most `max_pending` messages per queue are held unacked.
    fn take_over(
        &self,
        partition: u16,
        epoch: u64,
        max_pending: usize,
    ) -> impl Future<Output = Result<Deliveries, JournalError>> + Send;

    /// Acknowledges a delivery. Unconfirmed acknowledgements are bounded inside; a lost one means a redelivery.
    fn ack(&self, token: &AckToken) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Publishes one effect and waits until it is stored (a result: until it is sent).
    fn publish(&self, outgoing: Outgoing) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// Takes the lease `name` if nobody holds it. `None`: somebody does.
    fn acquire(&self, name: &str, holder: &str) -> impl Future<Output = Result<Option<Lease>, JournalError>> + Send;

    /// Keeps a lease. `None`: it was lost.
    fn renew(&self, lease: &Lease) -> impl Future<Output = Result<Option<Lease>, JournalError>> + Send;

    /// Gives a lease up at once.
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// All leases held now: name → holder.
    fn leases(&self) -> impl Future<Output = Result<BTreeMap<String, String>, JournalError>> + Send;

    /// How long a lease lives without renewal.
    fn lease_ttl(&self) -> Duration;

    /// The note `name` (tokens joined by dots), from the leader; `None`: there is none.
    fn note(&self, name: &str) -> impl Future<Output = Result<Option<Note>, JournalError>> + Send;

    /// Writes a note if its revision is `expected` (0: there is none) and gives the new revision. `None`: it is another.
    fn put_note(
        &self,
        name: &str,
        expected: u64,
        value: Bytes,
    ) -> impl Future<Output = Result<Option<u64>, JournalError>> + Send;

    /// Removes a note if its revision is `expected`. `false`: it is another.
    fn remove_note(&self, name: &str, expected: u64) -> impl Future<Output = Result<bool, JournalError>> + Send;

    /// All notes whose names begin with `start` (tokens) and another token.
    fn notes(&self, start: &str) -> impl Future<Output = Result<BTreeMap<String, Note>, JournalError>> + Send;
}
