//! What the bridge asks: the node behind it. There is none while kefu is starting.

use super::{
    answer::Failure,
    customers::Customers,
    hub::{self, Hub},
    inbox::Inbox,
    limit::Limits,
    live::Live,
    oidc::OidcOptions,
};
use crate::{
    access::Access,
    journal::{Journal, NatsJournal, Outgoing, Recorded},
    runtime::queries::Queries,
    store::{Relay, Store},
};
use bytes::Bytes;
use kefu_events::{AggregateKind, CommandHeader, CommandResult, envelope::Command, query::QueryResponse};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, task::JoinHandle};

/// How long a command may take before the client is told that its result is not known yet.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a reader waits for the store to have seen what the client has.
const CATCH_UP: Duration = Duration::from_secs(3);

/// What the bridge is made of.
pub struct UpstreamOptions {
    /// The bus.
    pub journal: NatsJournal,
    /// What the node remembers.
    pub store: Store,
    /// Answers queries.
    pub queries: Queries,
    /// Who may do what.
    pub access: Access,
    /// Names this node among the others; unique per running process.
    pub node: String,
    /// A provider by which people sign in, if there is one.
    pub oidc: Option<OidcOptions>,
    /// The log as the projector reads it.
    pub log: Arc<Relay<Recorded>>,
}

/// The node behind the bridge.
pub(super) struct Upstream {
    pub journal: NatsJournal,
    pub store: Store,
    pub access: Access,
    pub hub: Hub,
    pub inbox: Inbox,
    pub live: Live,
    pub customers: Customers,
    pub oidc: Option<OidcOptions>,
    /// How often customers may say something.
    pub said: Limits,
    pub node: String,
    queries: Queries,
    runtime: Handle,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Upstream {
    /// Begins to follow the log. Within a tokio runtime, which it goes on using.
    pub fn start(options: UpstreamOptions) -> Arc<Self> {
        let UpstreamOptions { journal, store, queries, access, node, oidc, log } = options;
        let (hub, live) = (Hub::new(), Live::default());
        let tasks = vec![
            tokio::spawn(hub::run(hub.clone(), journal.clone(), Some(log))),
            tokio::spawn(super::presence::run(journal.clone(), store.clone())),
        ];
        let (inbox, runtime) = (Inbox::default(), Handle::current());
        let tasks = Mutex::new(tasks);
        let customers = Customers::default();
        Arc::new(Self {
            journal,
            store,
            access,
            hub,
            inbox,
            live,
            customers,
            oidc,
            said: Limits::default(),
            node,
            queries,
            runtime,
            tasks,
        })
    }

    /// Ends what runs. When this returns, none of it holds the store any more: RocksDB must not be closed by a thread that is
    /// still at it while the process exits.
    pub async fn stop(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
    }

    /// Runs what reads the store on a thread that may wait.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let this = Arc::clone(self);
        let done = self.runtime.spawn_blocking(move || read(&this)).await;
        done.map_err(|error| Failure::internal(&error))?
    }

    /// Asks a query.
    pub async fn query(self: &Arc<Self>, tenant: &str, name: &'static str, asked: Value) -> Result<Value, Failure> {
        let tenant = tenant.to_owned();
        let answer = self.read(move |this| Ok(this.queries.answer(&tenant, name, asked.to_string().as_bytes())));
        match answer.await? {
            QueryResponse::Ok(value) => Ok(value),
            QueryResponse::Error(error) => Err(error.into()),
        }
    }

    /// Waits until the store knows what the hub has handed out.
    pub async fn caught_up(&self) -> Result<(), Failure> {
        self.projected(self.hub.position().seq).await
    }

    /// Waits until the store knows this commit.
    pub async fn projected(&self, seq: u64) -> Result<(), Failure> {
        let mut projected = self.store.watch_projected();
        let reached = projected.wait_for(|projected| *projected >= seq);
        match tokio::time::timeout(CATCH_UP, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::unavailable("this node is behind; try again in a moment")),
        }
    }

    /// The commits of one aggregate, oldest first, with their sequences.
    pub async fn commits(
        &self,
        tenant: &str,
        kind: AggregateKind,
        key: &str,
        after: u64,
    ) -> Result<Vec<(u64, Value)>, Failure> {
        let subject = self.journal.subjects().events(tenant, kind.as_str(), key);
        let commits = self.journal.history(&subject, after).await?;
        let read = commits.into_iter().map(|commit| {
            let value = serde_json::from_slice(&commit.payload).map_err(|error| Failure::internal(&error))?;
            Ok((commit.seq, value))
        });
        read.collect()
    }

    /// Sends a command and waits for its result.
    pub async fn command(&self, tenant: &str, header: CommandHeader, body: Value) -> Result<CommandResult, Failure> {
        let (source, key, id) = (header.actor.kind.as_str().to_owned(), header.key.clone(), header.id.clone());
        let payload = serde_json::to_vec(&Command { header, body }).map_err(|error| Failure::internal(&error))?;
        if payload.len() > MAX_COMMAND_BYTES {
            return Err(Failure::too_large(format!(
                "a command may have {MAX_COMMAND_BYTES} bytes, this one has {}; files go to POST files",
                payload.len()
            )));
        }
        let payload = Bytes::from(payload);
        let command =
            Outgoing::Command { tenant: tenant.to_owned(), source, key: key.to_owned(), id: id.clone(), payload };
        match self.journal.request_command(command, COMMAND_TIMEOUT).await? {
            Some(result) => serde_json::from_slice(&result).map_err(|error| Failure::internal(&error)),
            None => Err(Failure::unavailable(format!(
                "no result within {} s; it is kept, and sent again under the same id it is not carried out twice",
                COMMAND_TIMEOUT.as_secs()
            ))),
        }
    }
}

/// What enters is at most so large; see the README.
const MAX_COMMAND_BYTES: usize = 256 * 1024;
