//! `kefu serve`: everything, wired together, until a signal ends it.
//!
//! The order of starting is that of need: the data directory's lock and the bus, HTTP (so that a supervisor hears why it
//! is not ready), the engine (the store, its projector, the owners), and last the answers to queries. Stopping goes the other way
//! round. [`Running`] is what runs between the two.

use super::{
    Session,
    client::{Client, is_alive},
    error::{CliError, Exit},
    output::{Style, note},
    probe::{describe, metrics_token, probe},
    serving,
    settings::set,
};
use crate::{
    access::Access,
    answering::NO_MODEL,
    bridge::{Bridge, BridgeOptions, Front, Probe, UpstreamOptions},
    config::{Config, Flag, Listen, keys, units::without_password},
    engine::{Engine, EngineOptions},
    faq::llm::LlmSettings,
    journal::{
        ConnectOptions, Journal, JournalError, NatsJournal, StreamOptions,
        server::{DataLock, ManagedServer, Port, RunFile, ServerOptions},
    },
    monitoring::watch_streams,
    runtime::{
        projector::{Progress, ProjectorState},
        queries::Queries,
    },
    search::embed::{Embedder, RemoteEmbedder, RemoteSettings},
    settings::demo_settings,
};
use bytes::Bytes;
use clap::Args;
use kefu_events::{
    Actor, ActorKind, V,
    query::{QueryError, QueryResponse},
    settings::{SettingsCommand, TENANT_DOCUMENT},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::{
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
    time::{interval, timeout},
};

/// The tenant that a fresh data directory has.
const DEMO_TENANT: &str = "demo";

/// How long the demo tenant may take: a commit and its projection.
const DEMO_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked whether the node is ready, or has given up.
const LOOK: Duration = Duration::from_millis(20);
/// After a failure of the bus.
const PAUSE: Duration = Duration::from_millis(300);

/// Start kefu on this machine: its own NATS server unless --nats names one, the engine, health and metrics over HTTP
#[derive(Debug, Args)]
#[command(after_help = "\
Everything that it keeps is under --data. SIGTERM and Ctrl-C finish what was begun and then stop; a second one stops at
once. While it runs, --data DIR/run.json tells the other commands where it is.

Examples:
  kefu serve
  kefu serve --data /var/lib/kefu --listen 127.0.0.1:7071
  kefu serve --nats nats://nats.example:4222      (see also `kefu nats config`)
  kefu serve --log debug --log-format json")]
pub struct Serve {
    /// Address and port of HTTP [env: KEFU_LISTEN] [default: 127.0.0.1:7070, else a free port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    tls: serving::TlsArgs,
    /// The nats-server program [env: KEFU_NATS_SERVER] [default: in PATH, or in .tools/bin]
    #[arg(long, value_name = "PATH")]
    nats_server: Option<String>,
    /// Port of kefu's own NATS server [env: KEFU_NATS_LISTEN_PORT] [default: 4222, else a free port]
    #[arg(long, value_name = "PORT")]
    nats_port: Option<String>,
    /// Number of partitions of new streams; fixed once they exist [env: KEFU_PARTITIONS] [default: 16]
    #[arg(long, value_name = "N")]
    partitions: Option<String>,
    /// Replicas of new streams [env: KEFU_REPLICAS] [default: 1]
    #[arg(long, value_name = "N")]
    replicas: Option<String>,
    /// Memory that the store may use, such as 512MiB [env: KEFU_MEMORY] [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Idle time after which a conversation leaves the memory [env: KEFU_IDLE] [default: 5m]
    #[arg(long, value_name = "DURATION")]
    idle: Option<String>,
    /// Conversations in memory, at most [env: KEFU_MAX_ACTIVE] [default: 200000]
    #[arg(long, value_name = "N")]
    max_active: Option<String>,
    /// Unanswered messages held per partition and queue, at most [env: KEFU_MAX_PENDING] [default: 1000]
    #[arg(long, value_name = "N")]
    max_pending: Option<String>,
    /// The model that turns questions into vectors: its folder in --models, or a TOML file about one that runs elsewhere;
    /// none: words alone [env: KEFU_MODEL]
    /// [default: multilingual-e5-small-q4 where it is there]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Where the models' folders are [env: KEFU_MODELS] [default: kefu/models in the cache directory]
    #[arg(long, value_name = "DIR")]
    models: Option<String>,
    /// File with the token that whoever reads /metrics must send; without it, only this machine may read them [env:
    /// KEFU_METRICS_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    metrics_token_file: Option<String>,
    /// TOML file about a language model that words answers, see the README [env: KEFU_LLM]
    #[arg(long, value_name = "FILE")]
    llm: Option<String>,
    /// Leave the tenant `demo` out of a fresh data directory [env: KEFU_DEMO=false]
    #[arg(long)]
    no_demo: bool,
}

impl Serve {
    /// What the flags set.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        for (key, flag, value) in [
            (keys::LISTEN, "--listen", &self.listen),
            (keys::NATS_SERVER, "--nats-server", &self.nats_server),
            (keys::NATS_PORT, "--nats-port", &self.nats_port),
            (keys::PARTITIONS, "--partitions", &self.partitions),
            (keys::REPLICAS, "--replicas", &self.replicas),
            (keys::MEMORY, "--memory", &self.memory),
            (keys::IDLE, "--idle", &self.idle),
            (keys::MAX_ACTIVE, "--max-active", &self.max_active),
            (keys::MAX_PENDING, "--max-pending", &self.max_pending),
            (keys::MODEL, "--model", &self.model),
            (keys::MODELS, "--models", &self.models),
            (keys::LLM, "--llm", &self.llm),
            (keys::METRICS_TOKEN_FILE, "--metrics-token-file", &self.metrics_token_file),
        ] {
            flags.extend(value.clone().map(|value| Flag { key, flag, value }));
        }
        flags.extend(self.tls.flags());
        if self.no_demo {
            flags.push(Flag { key: keys::DEMO, flag: "--no-demo", value: "false".to_owned() });
        }
        flags
    }

    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        self.run_with(session, true, async |_, _| std::future::pending().await).await
    }

    /// The same, with something beside it: it gets a client, and the address of HTTP. When it fails, all ends. `first_users`: it is
    /// said how tenants without users get one.
    pub(super) async fn run_with(
        self,
        session: &mut Session,
        first_users: bool,
        beside: impl AsyncFnOnce(Arc<Client>, String) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let config = session.config()?;
        let mut signals = Signals::new()?;
        let engine = tokio::select! {
            engine = Running::start(&config) => engine?,
            () = signals.next() => {
                note("stopped before it was ready");
                return Ok(());
            }
        };
        engine.announce(session, &config)?;
        if first_users {
            let told = serving::first_users(session, &engine.access, &engine.tenants(), &engine.bridge.url());
            // Who read that it is ready may have closed its output since: no reason to stop serving.
            told.or_else(|error| if error.broken_pipe { Ok(()) } else { Err(error) })?;
        }
        let client = Client { journal: engine.journal.clone(), run: None, config: config.clone() };
        let ended = tokio::select! {
            error = engine.fails() => Err(error),
            Err(error) = beside(Arc::new(client), engine.bridge.url()) => Err(error),
            () = signals.next() => Ok(()),
        };
        if ended.is_ok() {
            tracing::info!("stopping: what was begun is finished first; a second signal does not wait");
        }
        tokio::select! {
            () = engine.stop(&config) => ended,
            () = signals.next() => Err(CliError::failure("stopped at once; what was begun is done again at the next start")),
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, CliError> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How the bus came to be.
enum Bus {
    /// kefu's own server.
    Managed(Box<ManagedServer>),
    /// Somebody else's; only the data directory is ours.
    Foreign(#[expect(dead_code, reason = "held")] DataLock),
}

/// Everything that runs.
struct Running {
    bus: Bus,
    journal: NatsJournal,
    run: RunFile,
    bridge: Bridge,
    access: Access,
    engine: Shared,
    progress: watch::Receiver<Progress>,
    queries: JoinHandle<()>,
    watching: JoinHandle<()>,
}

/// What HTTP looks at, and a stop takes away.
pub(super) type Shared = Arc<Mutex<Option<Engine>>>;

/// The engine, if there is one.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Option<Engine>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Starts everything and returns when it is ready.
    async fn start(config: &Config) -> Result<Self, CliError> {
        let metrics_token = config.metrics_token.as_deref().map(metrics_token).transpose()?;
        // Before anything is started that would have to be stopped.
        let (tls, oidc) = (serving::tls(config)?, serving::oidc(config)?);
        let (bus, connect) = start_bus(config).await?;
        // Of a kefu that was killed: whoever reads it now would be led astray.
        RunFile::remove(&config.data)?;
        let mut run = run_file(config, &bus);
        let journal = NatsJournal::open(connect, stream_options(config)).await?;
        let fresh = through_gaps(async || journal.position().await).await?.last == 0;

        let engine = Shared::default();
        let (streams, watching) = watch_streams(journal.clone());
        let probe = probe(journal.connection_events(), &engine, streams, config.data.clone());
        let Listen { address, or_free } = config.listen;
        let front = Front { names: config.http_names.clone(), proxies: config.trusted_proxies.clone() };
        let options = BridgeOptions { address, or_free, metrics_token, tls, front };
        let bridge = Bridge::start(options, probe.clone()).map_err(|error| serving::listen_error(config, &error))?;
        run.http = Some(bridge.url());

        let started = start_engine(config, &journal).await?;
        let (store, progress) = (started.store().clone(), started.projector().progress());
        let (floors, desk, archive) = (started.floors(), started.desk(), started.archive());
        let (reports, walls, log) = (started.reports(), started.walls(), started.projector().log());
        let node_name = started.status().name;
        *lock(&engine) = Some(started);
        let (told, name) = (probe.clone(), node_name.clone());
        let node = move || {
            let mut node = serde_json::to_value((told.report)()).unwrap_or_default();
            node["name"] = name.as_str().into();
            node
        };
        let queries =
            Queries::new(store.clone(), progress.clone(), floors, desk, archive, reports, node).with_walls(walls);
        let access = Access::new(store.clone(), progress.clone(), journal.clone());
        bridge.connect(UpstreamOptions {
            journal: journal.clone(),
            store,
            queries: queries.clone(),
            access: access.clone(),
            node: node_name,
            oidc,
            log,
        });
        let answering = through_gaps(async || {
            let queries = queries.clone();
            journal.serve_queries(move |tenant, name, body| answer(queries.clone(), tenant, name, body)).await
        });
        let queries = tokio::spawn(answering.await?);

        until_ready(&probe, progress.clone()).await?;
        let running = Self { bus, journal, run, bridge, access, engine, progress, queries, watching };
        if fresh && config.demo {
            running.make_demo(config).await?;
        }
        running.run.write(&config.data)?;
        Ok(running)
    }

    /// The tenant that a newcomer plays with, by an ordinary command.
    async fn make_demo(&self, config: &Config) -> Result<(), CliError> {
        let client = Client { journal: self.journal.clone(), run: None, config: config.clone() };
        let comment = Some("the demo of a fresh data directory".to_owned());
        let command = SettingsCommand::Set { v: V, value: demo_settings(), merge: false, comment };
        let actor = Actor::new(ActorKind::System, "kefu");
        match set(&client, DEMO_TENANT, TENANT_DOCUMENT, command, actor, DEMO_TIMEOUT).await {
            // Another node of the same fresh cluster was first.
            Err(error) if error.code == "unchanged" => Ok(()),
            made => made.map(drop),
        }
    }

    /// Says where to look: once, for whoever has just started it.
    fn announce(&self, session: &mut Session, config: &Config) -> Result<(), CliError> {
        let nats = without_password(&self.run.nats);
        let http = self.bridge.url();
        let value = json!({
            "ready": true,
            "version": self.run.version,
            "pid": self.run.pid,
            "data": config.data,
            "nats": nats,
            "http": http,
        });
        if session.out.is_json() {
            session.out.json_line(&value)?;
            return session.out.flush();
        }
        let whose = match self.bus {
            Bus::Managed(_) => "kefu's own",
            Bus::Foreign(_) => "as configured",
        };
        // What one has to type in another terminal, which does not have this one's flags and variables.
        let by_default = [keys::DATA, keys::NATS_URL].iter().all(|key| session.layers.origin(key).weight() <= 1);
        let option = if by_default { String::new() } else { format!(" --data {}", config.data.display()) };
        let text = format!(
            "{}\n\n  data  {}\n  NATS  {nats}  ({whose})\n  HTTP  {http}  (/readyz, /metrics)\n\n\
             Try, in another terminal:\n  kefu{option} send --from alice --wait 5s \"Hello!\"\n  kefu{option} chat\n  \
             kefu{option} doctor\n\nCtrl-C stops it.",
            session.out.styled(Style::Bold, format!("kefu {} is ready.", self.run.version)),
            config.data.display(),
        );
        session.out.line(text)?;
        session.out.flush()
    }

    /// All tenants.
    fn tenants(&self) -> Vec<String> {
        let settings = lock(&self.engine).as_ref().map(|engine| engine.store().settings().clone());
        settings.iter().flat_map(|settings| settings.tenants().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Returns when it cannot go on.
    async fn fails(&self) -> CliError {
        let mut progress = self.progress.clone();
        match progress.wait_for(|progress| matches!(progress.state, ProjectorState::Failed(_))).await {
            Ok(progress) => CliError::failure(describe(&progress)),
            Err(_) => CliError::failure("the projector has ended"),
        }
    }

    /// Finishes what was begun, and stops.
    async fn stop(self, config: &Config) {
        if let Err(error) = RunFile::remove(&config.data) {
            tracing::warn!(%error, "run.json cannot be removed");
        }
        for task in [self.queries, self.watching] {
            task.abort();
            let _ = task.await;
        }
        let engine = lock(&self.engine).take();
        let store = engine.as_ref().map(|engine| engine.store().clone());
        if let Some(engine) = engine
            && let Err(error) = engine.stop().await
        {
            tracing::warn!(%error, "the store was not written to its end; the next start reads that part of the log again");
        }
        let _ = timeout(Duration::from_secs(2), self.journal.flush()).await;
        self.bridge.stop().await;
        // Threads that are just ending may hold it. RocksDB aborts if one of them closes it while the process exits.
        let gone = async {
            while store.as_ref().is_some_and(|store| !store.is_last()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout(Duration::from_secs(3), gone).await.is_err() {
            tracing::debug!("something still holds the store");
        }
        drop(store);
        if let Bus::Managed(server) = self.bus {
            server.stop().await;
        }
        tracing::info!("stopped");
    }
}

/// The server was there a moment ago, and comes back: kefu's own is started again where it ended, and others' are restarted, too.
async fn through_gaps<T>(attempt: impl AsyncFn() -> Result<T, JournalError>) -> Result<T, JournalError> {
    loop {
        match attempt().await {
            Err(JournalError::Unavailable(reason)) => {
                tracing::warn!(reason, "starting goes on when the bus is there");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Answers a query. The store is read on a thread that may wait for the disk.
async fn answer(queries: Queries, tenant: String, name: String, body: Bytes) -> Bytes {
    let answered = tokio::task::spawn_blocking(move || queries.answer(&tenant, &name, &body));
    let answer = answered.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a query could not be answered");
        QueryResponse::Error(QueryError::new("internal", "answering failed; the node's log says why"))
    });
    serde_json::to_vec(&answer).unwrap_or_default().into()
}

/// The message for a data directory without a `run.json`, if a kefu is on the way there.
pub(super) fn starting(data: &Path) -> Option<CliError> {
    let pid = std::fs::read_to_string(data.join("kefu.lock")).ok()?.trim().parse().ok()?;
    is_alive(pid).then(|| {
        let message = format!("kefu (process {pid}) is starting, or stopping, on {}", data.display());
        CliError::new(Exit::Unreachable, "not_ready", message).hint("wait a moment; its log and /readyz say what for")
    })
}

async fn start_bus(config: &Config) -> Result<(Bus, ConnectOptions), CliError> {
    if let Some(url) = &config.nats.url {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&config.data).map_err(|error| {
            CliError::failure(format!("the data directory {} cannot be made: {error}", config.data.display()))
        })?;
        let lock = DataLock::acquire(&config.data)?;
        return Ok((Bus::Foreign(lock), config.nats.connect_options(url)));
    }
    let options = ServerOptions {
        data: config.data.clone(),
        program: config.nats.server.clone(),
        port: match config.nats.port {
            None => Port::Preferred,
            Some(0) => Port::Free,
            Some(port) => Port::Exactly(port),
        },
        subjects: config.subjects.clone(),
    };
    let server = ManagedServer::start(options).await?;
    let connect = server.connect_options();
    Ok((Bus::Managed(Box::new(server)), connect))
}

fn run_file(config: &Config, bus: &Bus) -> RunFile {
    let (nats, user, password) = match bus {
        Bus::Managed(server) => {
            let (user, password) = server.engine_login();
            (server.url(), Some(user.to_owned()), Some(password.to_owned()))
        }
        Bus::Foreign(_) => {
            let url = config.nats.url.clone().unwrap_or_default();
            (url, config.nats.user.clone(), config.nats.password.clone())
        }
    };
    RunFile {
        nats,
        http: None,
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        user,
        password,
        prefix: Some(config.subjects.prefix().to_owned()),
    }
}

fn stream_options(config: &Config) -> StreamOptions {
    StreamOptions {
        subjects: config.subjects.clone(),
        partitions: config.partitions,
        replicas: config.replicas,
        ..StreamOptions::default()
    }
}

async fn start_engine(config: &Config, journal: &NatsJournal) -> Result<Engine, CliError> {
    let (subjects, partitions) = (journal.subjects().clone(), journal.partitions());
    let mut options = EngineOptions::new(journal.clone(), subjects, partitions, config.data.join("store"));
    options.memory_budget_bytes = config.memory;
    options.max_pending = config.limits.max_pending;
    options.limits.idle_ms = i64::try_from(config.limits.idle.as_millis()).unwrap_or(i64::MAX);
    // As if this node had to own all of them, which it does when it is the last one.
    options.limits.max_active = (config.limits.max_active / usize::from(partitions.max(1))).max(1);
    options.private_webhooks = config.private_webhooks;
    options.archive_dir = Some(config.data.join("archive"));
    match config.model.as_deref().filter(|model| model.ends_with(".toml")) {
        Some(file) => {
            options.answering.elsewhere = model_elsewhere(Path::new(file)).await?;
            // In the place of a model that cannot be reached now, no other one: its vectors would be thrown away again.
            options.answering.model = Some(NO_MODEL.to_owned());
        }
        None => options.answering.model.clone_from(&config.model),
    }
    options.answering.models.clone_from(&config.models);
    options.answering.llm = config.llm.as_deref().map(llm_settings).transpose()?;
    // Opening the store reads indexes from disk; nothing else is waiting for this thread yet.
    Engine::start(options).map_err(|error| CliError::failure(format!("the engine cannot be started: {error}")))
}

/// The model of questions that a file names. One that cannot be reached stops nobody: words alone can answer until the next
/// start.
async fn model_elsewhere(path: &Path) -> Result<Option<Arc<dyn Embedder>>, CliError> {
    let settings: RemoteSettings = read_toml(path)?;
    match RemoteEmbedder::connect(settings).await {
        Ok(embedder) => Ok(Some(Arc::new(embedder))),
        Err(error) => {
            tracing::error!(%error, "the model of questions cannot be used; they are found by their words alone");
            Ok(None)
        }
    }
}

fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, CliError> {
    let wrong = |what: String| CliError::new(Exit::Usage, "configuration", format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The settings of the language model in a file.
fn llm_settings(path: &Path) -> Result<LlmSettings, CliError> {
    let wrong = |what: String| CliError::new(Exit::Usage, "configuration", format!("{}: {what}", path.display()));
    let settings: LlmSettings = read_toml(path)?;
    match settings.problems() {
        problems if problems.is_empty() => Ok(settings),
        problems => Err(wrong(problems.join("; "))),
    }
}

/// Waits until the probe finds nothing missing.
async fn until_ready(probe: &Probe, progress: watch::Receiver<Progress>) -> Result<(), CliError> {
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        if (probe.report)().waiting_for.is_empty() {
            return Ok(());
        }
        let progress = progress.borrow().clone();
        if let ProjectorState::Failed(_) = progress.state {
            return Err(CliError::failure(describe(&progress)));
        }
    }
}
