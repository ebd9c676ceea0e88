//! How a client command reaches the engine: finds the server, asks queries, sends commands and waits for what follows.

use super::{
    error::{CliError, Exit},
    output::note,
};
use crate::{
    config::{Config, Layers, keys, units::without_password},
    journal::{ConnectOptions, NatsJournal, Outgoing, RejectedRecord, server::RunFile, subjects::Subjects},
    runtime::intake::header,
};
use bytes::Bytes;
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandResult, Timestamp,
    envelope::Command,
    query::{QueryResponse, name},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a query may take: a page of the store is read in milliseconds, on a machine that is busy compiling too.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether something has become visible. A query costs under a millisecond.
pub const POLL: Duration = Duration::from_millis(50);

/// Between looks into the rejected inputs while a result is awaited: it is there when it is there, so that a person does
/// not wait for the whole time-out, and rarely enough to cost nothing.
const REJECTED_POLL: Duration = Duration::from_millis(300);

/// Items on a page: the most that a node gives.
const PAGE: usize = 500;

/// A connection to the engine.
pub struct Client {
    /// The bus.
    pub journal: NatsJournal,
    /// `run.json`, where that is how the server was found.
    pub run: Option<RunFile>,
    /// The effective configuration.
    pub config: Config,
}

/// A command to be sent.
pub struct Ask<'a, B> {
    /// Whose aggregate.
    pub tenant: &'a str,
    /// Its kind.
    pub aggregate: AggregateKind,
    /// Its key.
    pub key: &'a str,
    /// Who asks.
    pub actor: Actor,
    /// The same for every retry; a new one if absent.
    pub id: Option<String>,
    /// Decide only at this version.
    pub expected_version: Option<u64>,
    /// What is asked.
    pub body: B,
}

/// What the command line does is done by an operator, unless it says otherwise.
pub fn operator() -> Actor {
    Actor::new(ActorKind::System, "operator")
}

/// A new id: sorts by time, unique for ever.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The time.
pub fn now() -> Timestamp {
    chrono::Utc::now().into()
}

/// Whether the server is to be found by its URL, and not by a data directory: whichever was said more emphatically.
pub fn goes_by_url(layers: &Layers) -> bool {
    layers.get(keys::NATS_URL).is_some() && layers.origin(keys::NATS_URL).weight() >= layers.origin(keys::DATA).weight()
}

/// Where the server is and as whom to connect.
pub fn locate(layers: &Layers, config: &Config) -> Result<(ConnectOptions, Subjects, Option<RunFile>), CliError> {
    if goes_by_url(layers) {
        let url = config.nats.url.clone().unwrap_or_default();
        return Ok((named(config.nats.connect_options(&url)), config.subjects.clone(), None));
    }
    let path = RunFile::path(&config.data);
    let run = RunFile::read(&config.data).map_err(|error| CliError::failure(format!("{}: {error}", path.display())))?;
    let Some(run) = run else {
        if let Some(starting) = super::serve::starting(&config.data) {
            return Err(starting);
        }
        return Err(CliError::new(
            Exit::Unreachable,
            "not_running",
            format!("no kefu is running on {}", config.data.display()),
        )
        .hint("start one with `kefu serve`, or say where one runs with --data DIR or --nats URL"));
    };
    let mut options = match (&run.user, &run.password) {
        (Some(user), Some(password)) => ConnectOptions::new(&run.nats).user(user, password),
        _ => config.nats.connect_options(&run.nats),
    };
    options.name = "kefu command line".to_owned();
    let subjects = match &run.prefix {
        Some(prefix) => Subjects::new(prefix).map_err(|error| CliError::failure(error.to_string()))?,
        None => config.subjects.clone(),
    };
    Ok((options, subjects, Some(run)))
}

fn named(mut options: ConnectOptions) -> ConnectOptions {
    options.name = "kefu command line".to_owned();
    options
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// No server is there; the hint says what to do.
    pub async fn connect(layers: &Layers) -> Result<Self, CliError> {
        let config = Config::from_layers(layers)?;
        let (options, subjects, run) = locate(layers, &config)?;
        let url = without_password(&options.url);
        let journal = NatsJournal::attach(options, subjects).await.map_err(|error| {
            let error = CliError::from(error);
            match (&run, error.exit) {
                (Some(run), Exit::Unreachable) if !is_alive(run.pid) => {
                    let data = config.data.display();
                    let message = format!("no kefu is running on {data}: process {} has ended", run.pid);
                    CliError::new(Exit::Unreachable, "not_running", message).hint("start it again with `kefu serve`")
                }
                (None, Exit::Unreachable) => error.hint(format!("is {url} the right server? See --nats and --data")),
                _ => error,
            }
        })?;
        Ok(Self { journal, run, config })
    }

    /// Asks a query about a tenant.
    pub async fn query<T: DeserializeOwned>(
        &self,
        tenant: &str,
        name: &str,
        parameters: &Value,
    ) -> Result<T, CliError> {
        let body = Bytes::from(parameters.to_string());
        let answer = self.journal.query(tenant, name, body, QUERY_TIMEOUT).await.map_err(CliError::from)?;
        match serde_json::from_slice(&answer)? {
            QueryResponse::Ok(value) => Ok(serde_json::from_value(value)?),
            QueryResponse::Error(error) => Err(error.into()),
        }
    }

    /// The same, and `None` where there is no such thing.
    pub async fn find<T: DeserializeOwned>(
        &self,
        tenant: &str,
        name: &str,
        parameters: &Value,
    ) -> Result<Option<T>, CliError> {
        match self.query(tenant, name, parameters).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.code == "not_found" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A list, page by page, `limit` items at most.
    pub async fn pages(
        &self,
        tenant: &str,
        name: &str,
        mut parameters: Value,
        limit: usize,
    ) -> Result<Vec<Value>, CliError> {
        let mut items: Vec<Value> = Vec::new();
        while items.len() < limit {
            parameters["limit"] = (limit - items.len()).min(PAGE).into();
            let page: Page = self.query(tenant, name, &parameters).await?;
            items.extend(page.items);
            let Some(next) = page.next else { return Ok(items) };
            parameters["after"] = next;
        }
        note(format!("there may be more than {limit}: see --limit"));
        Ok(items)
    }

    /// Sends a command and waits for its result. A refusal is a result, too.
    ///
    /// # Errors
    /// The command was rejected without a result, or nothing came back in time.
    pub async fn ask<B: Serialize>(&self, ask: Ask<'_, B>, timeout: Duration) -> Result<CommandResult, CliError> {
        let id = ask.id.unwrap_or_else(new_id);
        let source = ask.actor.kind.as_str().to_owned();
        let header = CommandHeader {
            id: id.clone(),
            aggregate: ask.aggregate,
            key: ask.key.to_owned(),
            expected_version: ask.expected_version,
            actor: ask.actor,
            at: now(),
            correlation: None,
        };
        let payload = serde_json::to_vec(&Command { header, body: ask.body })?;
        let command = Outgoing::Command {
            tenant: ask.tenant.to_owned(),
            source,
            key: ask.key.to_owned(),
            id: id.clone(),
            payload: payload.into(),
        };
        let rejected_before = self.last_rejected().await?;
        let is_mine = |record: &RejectedRecord| {
            serde_json::from_slice::<Value>(&record.payload).is_ok_and(|body| body["id"] == *id)
        };
        let result = self.journal.request_command(command, timeout);
        let rejected = self.await_rejected(ask.tenant, rejected_before, is_mine);
        let result = tokio::select! {
            biased;
            result = result => result?,
            rejected = rejected => return Err(rejected_error(&rejected?)),
        };
        match result {
            Some(result) => Ok(serde_json::from_slice(&result)?),
            None => Err(CliError::timed_out(format!("no result within {timeout:?}; the command {id} is kept"))
                .hint("is the engine ready? See `kefu doctor`. Sent again with --id, it is not carried out twice")),
        }
    }

    /// The same, where a refusal is an error.
    pub async fn command<B: Serialize>(&self, ask: Ask<'_, B>, timeout: Duration) -> Result<CommandResult, CliError> {
        let result = self.ask(ask, timeout).await?;
        match result.refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(result),
        }
    }

    /// The last sequence in `KEFU_REJECTED`.
    pub async fn last_rejected(&self) -> Result<u64, CliError> {
        let info = self.journal.stream_info(&self.journal.subjects().rejected_stream()).await?;
        Ok(info["state"]["last_seq"].as_u64().unwrap_or_default())
    }

    /// Waits for a record in `KEFU_REJECTED` after `after`; ends when there is one, or by being dropped.
    pub async fn await_rejected(
        &self,
        tenant: &str,
        mut after: u64,
        is_mine: impl Fn(&RejectedRecord) -> bool,
    ) -> Result<RejectedRecord, CliError> {
        loop {
            tokio::time::sleep(REJECTED_POLL).await;
            for record in self.journal.rejected(Some(tenant), after + 1, 100).await? {
                after = record.seq;
                if is_mine(&record) {
                    return Ok(record);
                }
            }
        }
    }

    /// Asks until `found` gives something: for what becomes visible once the projector has passed it.
    pub async fn until<T, F>(&self, timeout: Duration, found: impl Fn() -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<Option<T>, CliError>>,
    {
        let start = Instant::now();
        loop {
            if let Some(found) = found().await? {
                return Ok(found);
            }
            if start.elapsed() > timeout {
                return Err(CliError::timed_out(format!("it is committed, but not visible within {timeout:?}"))
                    .hint("the engine is behind: see `kefu doctor`"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether this tenant exists; a warning where it does not, because what is sent to it will be rejected.
    pub async fn tenant_exists(&self, tenant: &str) -> Result<bool, CliError> {
        let document = json!({ "document": kefu_events::settings::TENANT_DOCUMENT });
        Ok(self.find::<Value>(tenant, name::SETTINGS, &document).await?.is_some())
    }
}

/// One page of a list.
#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next: Option<Value>,
}

/// The error that tells of rejected input.
pub fn rejected_error(record: &RejectedRecord) -> CliError {
    let text = |name: &str| record.headers.get(name).map_or("", String::as_str);
    let reason = text(header::REASON);
    CliError::new(Exit::Refused, reason, format!("rejected ({reason}): {}", text(header::DETAIL)))
        .hint(format!("it is kept: `kefu rejected show {}`", record.seq))
}

/// Whether a process of this number exists.
pub fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) {
        Ok(()) => true,
        Err(error) => error == nix::errno::Errno::EPERM,
    }
}

/// A remark that something was done to no effect.
pub fn already(text: &str) {
    note(format!("nothing to do: {text}"));
}
