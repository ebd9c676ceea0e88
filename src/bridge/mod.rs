//! kefu over HTTP.
//!
//! For now what a machine's supervisor and Prometheus ask: `/healthz`, `/readyz`, `/metrics`, and a page at `/` that says
//! what this is. It asks the node through a [`Probe`], and may not know what is behind it.
//!
//! actix-web is named here only, and runs on a thread of its own, so that a busy engine does not answer late when it is
//! asked whether it lives, and so that whoever starts it needs no actor system.

mod host;
mod pages;

use crate::telemetry::Sample;
use actix_web::{App, HttpServer, dev::ServerHandle, middleware, web};
use serde::Serialize;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
};

/// Requests are short; a stop does not wait longer than this for the last ones.
const STOP_TIMEOUT_S: u64 = 2;

/// What the node says of itself when it is asked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Why it is not ready; empty if it is.
    pub waiting_for: Vec<String>,
    /// Its figures.
    #[serde(skip)]
    pub sample: Sample,
}

/// Asks the node. It must answer at once.
pub type Probe = Arc<dyn Fn() -> Report + Send + Sync>;

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct BridgeOptions {
    /// The address.
    pub address: SocketAddr,
    /// Take a free port where this one is in use.
    pub or_free: bool,
}

/// The running server. Dropping it leaves it running.
#[derive(Debug)]
pub struct Bridge {
    address: SocketAddr,
    server: ServerHandle,
    thread: JoinHandle<()>,
}

impl Bridge {
    /// Listens.
    ///
    /// # Errors
    /// The address is in use, or cannot be listened on.
    pub fn start(options: BridgeOptions, probe: Probe) -> io::Result<Self> {
        let listener = listen(options)?;
        let address = listener.local_addr()?;
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("kefu-http".to_owned()).spawn(move || {
            let served = actix_web::rt::System::new().block_on(async move {
                let make = move || {
                    App::new()
                        .app_data(web::Data::new(Probe::clone(&probe)))
                        .wrap(middleware::from_fn(host::only_known_hosts))
                        .configure(pages::routes)
                };
                let server = HttpServer::new(make).workers(1).disable_signals().shutdown_timeout(STOP_TIMEOUT_S);
                let server = server.listen(listener)?.run();
                let _ = tell.send(server.handle());
                server.await
            });
            if let Err(error) = served {
                tracing::error!(%error, "HTTP ended");
            }
        })?;
        let server = told.recv().map_err(io::Error::other)?;
        Ok(Self { address, server, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers what has been asked, and ends.
    pub async fn stop(self) {
        self.server.stop(true).await;
        // It has ended by now, but for its last instructions.
        let _ = self.thread.join();
    }
}

fn listen(options: BridgeOptions) -> io::Result<TcpListener> {
    let listener = match TcpListener::bind(options.address) {
        Err(error) if options.or_free && error.kind() == io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::new(options.address.ip(), 0))?
        }
        listener => listener?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
