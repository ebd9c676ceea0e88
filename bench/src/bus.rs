//! A nats-server with kefu's streams, for one round.

use crate::{Result, World};
use kefu::journal::{
    Journal, NatsJournal, StreamOptions,
    server::{ManagedServer, Port, ServerOptions},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// kefu's number of partitions unless configured.
pub const PARTITIONS: u16 = 16;

/// How long the bus may take to come to rest.
const REST: Duration = Duration::from_secs(120);
/// Nothing new for this long is rest.
const SILENCE: Duration = Duration::from_millis(300);

/// Who may connect.
#[derive(Debug, Clone)]
pub struct Login {
    pub url: String,
    pub user: String,
    pub password: String,
}

impl Login {
    /// A connection of this program's own, on the client library and not through kefu.
    pub async fn connect(&self, name: &str) -> Result<async_nats::Client> {
        let options = async_nats::ConnectOptions::with_user_and_password(self.user.clone(), self.password.clone());
        Ok(options.name(name).connect(&self.url).await?)
    }
}

/// A server of its own, configured as `kefu serve` configures the one that it starts, with kefu's streams.
pub struct Bus {
    server: ManagedServer,
    pub journal: NatsJournal,
    dir: TempDir,
}

impl Bus {
    /// Starts one, with an empty store.
    pub async fn start(world: &World) -> Result<Self> {
        let dir = match &world.dir {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let options = ServerOptions { port: Port::Free, ..ServerOptions::new(dir.path().join("bus")) };
        let server = ManagedServer::start(options).await?;
        let options = StreamOptions { partitions: Some(PARTITIONS), ..StreamOptions::default() };
        let journal = NatsJournal::open(server.connect_options(), options).await?;
        Ok(Self { server, journal, dir })
    }

    /// A directory that goes with the bus.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn login(&self) -> Login {
        let (user, password) = self.server.engine_login();
        Login { url: self.server.url(), user: user.to_owned(), password: password.to_owned() }
    }

    /// Process of the server.
    pub fn pid(&self) -> Result<u32> {
        self.server.pid().ok_or_else(|| "nats-server died".into())
    }

    pub fn version(&self) -> String {
        self.journal.server_version()
    }

    /// Waits until the work queues are empty and the log grows no more; the log's last sequence.
    pub async fn rest(&self) -> Result<u64> {
        let until = Instant::now() + REST;
        let mut before = (u64::MAX, u64::MAX);
        loop {
            let last = self.journal.position().await?.last;
            let subjects = self.journal.subjects();
            let mut waiting = 0;
            for stream in [subjects.inbox_stream(), subjects.commands_stream()] {
                waiting += self.messages(&stream).await?;
            }
            if waiting == 0 && before == (last, waiting) {
                return Ok(last);
            }
            if Instant::now() > until {
                return Err(format!("{waiting} messages are still in the work queues after {REST:?}").into());
            }
            before = (last, waiting);
            tokio::time::sleep(SILENCE).await;
        }
    }

    /// Messages in a stream.
    pub async fn messages(&self, stream: &str) -> Result<u64> {
        let info = self.journal.stream_info(stream).await?;
        info["state"]["messages"].as_u64().ok_or_else(|| format!("{stream}: no count of messages").into())
    }

    /// Stops the server; its files go with it.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
