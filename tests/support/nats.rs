//! A real nats-server for a test: on a free port, with a store of its own, gone when the test ends.

#![allow(dead_code, reason = "not every test file uses everything")]

use kefu::journal::{
    NatsJournal, StreamOptions,
    server::{ManagedServer, Port, ServerOptions},
};
use tempfile::TempDir;

/// A server and its directory.
pub struct TestServer {
    pub server: ManagedServer,
    pub data: TempDir,
}

impl TestServer {
    /// Starts one.
    pub async fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let server = ManagedServer::start(options(&data)).await.expect("a nats-server");
        Self { server, data }
    }

    /// A journal on it, as the engine.
    pub async fn journal(&self) -> NatsJournal {
        self.journal_with(StreamOptions::default()).await
    }

    /// The same with options.
    pub async fn journal_with(&self, options: StreamOptions) -> NatsJournal {
        NatsJournal::open(self.server.connect_options(), options).await.expect("a journal")
    }
}

/// How a test's server is started: never on a port that another test could want.
pub fn options(data: &TempDir) -> ServerOptions {
    ServerOptions { port: Port::Free, ..ServerOptions::new(data.path()) }
}
