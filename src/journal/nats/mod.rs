//! The bus on NATS JetStream.
//!
//! One connection, one file per thing that is done over it: [`connect`] the connection, `log` the commits, `queues` the
//! work queues and their acknowledgements, `leases`, `notes`, `effects` what is published, `follow` the self-healing reader that
//! tails are made of, `direct` batched gets, `clients` what command line and bridge need (queries, results, outbox,
//! refused input), `files`. Nothing here knows what a commit or a command says.

mod clients;
mod connect;
mod direct;
mod effects;
mod errors;
mod files;
mod follow;
mod leases;
mod log;
mod notes;
mod queues;

pub use clients::{OutboxRecord, OutboxStart, QueryReply};
pub use connect::{Auth, ConnectOptions, Connection};
pub use files::StoredFile;

pub(in crate::journal) use errors::request_error as request_failed;

use self::queues::AckSlots;
use super::{
    AckToken, AppendError, Deliveries, Journal, JournalError, Lease, LogPosition, Note, Outgoing, Recorded,
    streams::{self, StreamOptions},
    subjects::{self, Subjects},
};
use async_nats::{
    Client,
    jetstream::{self, context::ContextBuilder},
};
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::watch;

/// How long an append or a publish waits for its acknowledgement. Longer than a busy disk takes, shorter than a person
/// waits; a lost one is then looked up, so it costs time only.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request to the server's own interface waits: creating a stream on a busy disk may take seconds.
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes under way at once. More than all partitions' actors together have, so that it never is the limit; a bound
/// all the same, because each one holds its payload.
const MAX_IN_FLIGHT: usize = 16_384;

/// The bus on NATS JetStream. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct NatsJournal {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    /// For publishes: short patience, many in flight.
    publisher: jetstream::Context,
    /// For the server's own interface.
    api: jetstream::Context,
    subjects: Subjects,
    partitions: u16,
    lease_ttl: Duration,
    connection: watch::Receiver<Connection>,
    acks: AckSlots,
}

impl std::fmt::Debug for NatsJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsJournal").field("subjects", &self.inner.subjects).finish_non_exhaustive()
    }
}

impl NatsJournal {
    /// Connects as the engine: checks the server, makes the streams that are missing and checks those that exist.
    pub async fn open(connect: ConnectOptions, options: StreamOptions) -> Result<Self, JournalError> {
        let (client, connection) = connect::connect(&connect).await?;
        let api = api_context(&client);
        let facts = streams::ensure(&api, &options).await?;
        Ok(Self::new(client, connection, api, options.subjects, facts))
    }

    /// Connects as a client of a kefu that runs elsewhere: makes nothing, and fails if its streams are not there.
    pub async fn attach(connect: ConnectOptions, subjects: Subjects) -> Result<Self, JournalError> {
        let (client, connection) = connect::connect(&connect).await?;
        let api = api_context(&client);
        let facts = streams::inspect(&api, &subjects).await?;
        Ok(Self::new(client, connection, api, subjects, facts))
    }

    fn new(
        client: Client,
        connection: watch::Receiver<Connection>,
        api: jetstream::Context,
        subjects: Subjects,
        facts: streams::Facts,
    ) -> Self {
        let publisher = ContextBuilder::new()
            .timeout(PUBLISH_TIMEOUT)
            .ack_timeout(PUBLISH_TIMEOUT)
            .max_ack_inflight(MAX_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let (partitions, lease_ttl) = (facts.partitions, facts.lease_ttl);
        let acks = AckSlots::default();
        let inner = Inner { client, publisher, api, subjects, partitions, lease_ttl, connection, acks };
        Self { inner: Arc::new(inner) }
    }

    /// The names of subjects and streams.
    pub fn subjects(&self) -> &Subjects {
        &self.inner.subjects
    }

    /// Number of partitions, as the streams were created with.
    pub fn partitions(&self) -> u16 {
        self.inner.partitions
    }

    /// Which partition a key of a tenant belongs to.
    pub fn partition(&self, tenant: &str, key: &str) -> u16 {
        subjects::partition(tenant, key, self.inner.partitions)
    }

    /// Whether the connection stands, and every change of that. Whoever owns something should let go of it when
    /// `lost` grows, and take over again once `connected`.
    pub fn connection_events(&self) -> watch::Receiver<Connection> {
        self.inner.connection.clone()
    }

    /// Version of the server that this connection reached.
    pub fn server_version(&self) -> String {
        self.inner.client.server_info().version
    }

    /// Waits until the server has handled everything that was sent so far: it answers one connection in order.
    pub async fn flush(&self) -> Result<(), JournalError> {
        let answer: Result<serde_json::Value, _> = self.api("INFO".into(), &streams::EMPTY).await?;
        answer.map(|_| ()).map_err(|error| errors::api_error("flushing", &error))
    }

    /// Ends when the connection that stands now is lost.
    fn disconnected(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut connection = self.inner.connection.clone();
        let lost = connection.borrow().lost;
        async move {
            // The sender lives as long as the connection: an error means that it is gone for good.
            let _ = connection.wait_for(|now| now.lost > lost).await;
        }
    }

    /// A request to the server's own interface, `$JS.API.<subject>`; the inner result is its answer.
    async fn api<T: DeserializeOwned>(
        &self,
        subject: String,
        request: &impl Serialize,
    ) -> Result<Result<T, jetstream::Error>, JournalError> {
        connect::connected(&self.inner.client)?;
        streams::api(&self.inner.api, subject, request).await
    }
}

/// Whether a connection can be made at all.
pub(in crate::journal) async fn try_connect(options: &ConnectOptions) -> Result<(), JournalError> {
    connect::connect(options).await.map(|_| ())
}

fn api_context(client: &Client) -> jetstream::Context {
    ContextBuilder::new().timeout(API_TIMEOUT).build(client.clone())
}

impl Journal for NatsJournal {
    async fn position(&self) -> Result<LogPosition, JournalError> {
        self.stream_position(&self.inner.subjects.events_stream()).await
    }

    async fn append(&self, subject: &str, expected: u64, payload: Bytes) -> Result<u64, AppendError> {
        self.append_commit(subject, expected, payload).await
    }

    async fn last(&self, subject: &str) -> Result<Option<Recorded>, JournalError> {
        self.last_commit(subject).await
    }

    async fn read(&self, seq: u64) -> Result<Option<Recorded>, JournalError> {
        self.commit_at(seq).await
    }

    async fn history(&self, subject: &str, after: u64) -> Result<Vec<Recorded>, JournalError> {
        self.commits_of(subject, after).await
    }

    async fn tail(
        &self,
        after: u64,
        filter: Option<String>,
    ) -> Result<BoxStream<'static, Result<Recorded, JournalError>>, JournalError> {
        self.tail_commits(after, filter).await
    }

    async fn take_over(&self, partition: u16, epoch: u64, max_pending: usize) -> Result<Deliveries, JournalError> {
        self.take_over_partition(partition, epoch, max_pending).await
    }

    async fn ack(&self, token: &AckToken) -> Result<(), JournalError> {
        self.acknowledge(token).await
    }

    async fn publish(&self, outgoing: Outgoing) -> Result<(), JournalError> {
        self.publish_effect(outgoing).await
    }

    async fn acquire(&self, name: &str, holder: &str) -> Result<Option<Lease>, JournalError> {
        self.acquire_lease(name, holder).await
    }

    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, JournalError> {
        self.renew_lease(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), JournalError> {
        self.release_lease(lease).await
    }

    async fn leases(&self) -> Result<BTreeMap<String, String>, JournalError> {
        self.held_leases().await
    }

    fn lease_ttl(&self) -> Duration {
        self.inner.lease_ttl
    }

    async fn note(&self, name: &str) -> Result<Option<Note>, JournalError> {
        self.get_note(name).await
    }

    async fn put_note(&self, name: &str, expected: u64, value: Bytes) -> Result<Option<u64>, JournalError> {
        self.write_note(name, expected, value).await
    }

    async fn remove_note(&self, name: &str, expected: u64) -> Result<bool, JournalError> {
        self.delete_note(name, expected).await
    }

    async fn notes(&self, start: &str) -> Result<BTreeMap<String, Note>, JournalError> {
        self.all_notes(start).await
    }
}
