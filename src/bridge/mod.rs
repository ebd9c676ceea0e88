//! The bridge: kefu over HTTP and WebSocket, for agents, scripts and supervisors of machines.
//!
//! A thin layer. It says who somebody is (`caller`), looks whether that is permitted (`commands`, `hub::reach`), and translates;
//! it holds no truth, and a client's place is a sequence of the log. In reading order: `routes` is the table of all that
//! can be asked over HTTP, `api` what each does; `socket` is one WebSocket, `hub` the log as clients see it, `poll` the same by
//! long polling; `inbox` the lists; `customers` those who write from pages of their own; `presence` tells agents' aggregates who
//! is there; `oidc` signing in at a provider; `tls` the certificate; `front` names and proxies; `live` is what is of no moment a minute later; `console` the
//! web page; `pages` what a machine's supervisor and Prometheus ask; `measure` counts.
//!
//! It may not decide anything: commands go to the aggregates like everybody's. While kefu starts, there is no node behind it
//! ([`Bridge::connect`]), and it says so.
//!
//! actix-web is named here only, and runs on a thread of its own, so that a busy engine does not answer late when it is
//! asked whether it lives, and so that whoever starts it needs no actor system.

mod answer;
mod answers;
mod api;
mod caller;
mod commands;
mod console;
mod customers;
mod front;
mod hub;
mod inbox;
mod limit;
mod live;
mod measure;
mod oidc;
mod openapi;
mod pages;
mod poll;
mod presence;
mod routes;
mod socket;
mod tls;
mod upstream;

pub use front::Front;
pub use oidc::{OidcOptions, UserClaim};
pub use openapi::document as openapi;
pub use routes::{Door, ROUTES, Route};
pub use tls::{Tls, TlsError, TlsFiles};
pub use upstream::UpstreamOptions;

use crate::telemetry::Figures;
use actix_web::{App, HttpRequest, HttpServer, dev::ServerHandle, middleware, web};
use answer::Failure;
use caller::Shared;
use limit::Limits;
use pages::MetricsGuard;
use serde::Serialize;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock},
    thread::JoinHandle,
};
use upstream::Upstream;

/// Requests are short; a stop does not wait longer than this for the last ones.
const STOP_TIMEOUT_S: u64 = 2;

/// Threads that serve HTTP and sockets. What is slow is done elsewhere.
const WORKERS: usize = 2;
/// Bytes of a JSON body: a command's limit, and some room.
const MAX_BODY_BYTES: usize = 300 * 1024;

/// What the node says of itself when it is asked.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Why it is not ready; empty if it is.
    pub waiting_for: Vec<String>,
    /// Partitions in all.
    #[serde(skip)]
    pub partitions: u64,
    /// Partitions that it owns.
    #[serde(skip)]
    pub partitions_owned: usize,
    /// Last commit that the projector has passed.
    #[serde(skip)]
    pub projector_seq: u64,
    /// Last commit of the log, as last seen.
    #[serde(skip)]
    pub log_seq: u64,
}

/// Asks the node. It must answer at once.
#[derive(Clone)]
pub struct Probe {
    /// How it is.
    pub report: Arc<dyn Fn() -> Report + Send + Sync>,
    /// What is measured of it. May take some milliseconds.
    pub figures: Arc<dyn Fn() -> Figures + Send + Sync>,
}

/// Where to listen.
#[derive(Clone)]
pub struct BridgeOptions {
    /// The address.
    pub address: SocketAddr,
    /// Take a free port where this one is in use.
    pub or_free: bool,
    /// What whoever reads the metrics must show; `None`: only this machine may read them.
    pub metrics_token: Option<String>,
    /// The certificate, where it is HTTPS.
    pub tls: Option<Arc<Tls>>,
    /// Its names, and the proxies before it.
    pub front: Front,
}

/// The running server. Dropping it leaves it running.
pub struct Bridge {
    address: SocketAddr,
    is_tls: bool,
    shared: Arc<Shared>,
    server: ServerHandle,
    thread: JoinHandle<()>,
}

impl Bridge {
    /// Listens.
    ///
    /// # Errors
    /// The address is in use, or cannot be listened on.
    pub fn start(options: BridgeOptions, probe: Probe) -> io::Result<Self> {
        let listener = listen(&options)?;
        let tls = options.tls;
        let (is_tls, config) = (tls.is_some(), tls.as_ref().map(Tls::config).transpose().map_err(io::Error::other)?);
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { upstream: OnceLock::new(), limits: Limits::default(), front: options.front });
        let asked = Arc::clone(&shared);
        let guard = MetricsGuard::new(options.metrics_token.as_deref());
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("kefu-http".to_owned()).spawn(move || {
            let served = actix_web::rt::System::new().block_on(async move {
                let make = move || {
                    App::new()
                        .app_data(web::Data::new(Probe::clone(&probe)))
                        .app_data(web::Data::new(guard.clone()))
                        .app_data(web::Data::new(Arc::clone(&asked)))
                        .app_data(web::PayloadConfig::new(api::files::MAX_FILE_BYTES))
                        .app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES).error_handler(wrong_body))
                        .app_data(web::QueryConfig::default().error_handler(wrong_query))
                        .wrap(middleware::from_fn(front::only_known_hosts))
                        .wrap(secure_headers(is_tls))
                        .wrap(middleware::from_fn(measure::counted))
                        .configure(pages::routes)
                        .configure(routes::configure)
                        .default_service(web::get().to(console::page))
                };
                let server = HttpServer::new(make).workers(WORKERS).disable_signals().shutdown_timeout(STOP_TIMEOUT_S);
                let server = match config {
                    Some(config) => server.listen_rustls_0_23(listener, config)?.run(),
                    None => server.listen(listener)?.run(),
                };
                let _ = tell.send(server.handle());
                let follow = async {
                    match &tls {
                        Some(tls) => tls.follow().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    ended = server => ended,
                    () = follow => Ok(()),
                }
            });
            if let Err(error) = served {
                tracing::error!(%error, "HTTP ended");
            }
        })?;
        let server = told.recv().map_err(io::Error::other)?;
        Ok(Self { address, is_tls, shared, server, thread })
    }

    /// From now on there is a node behind it. Within a tokio runtime, which it goes on using.
    pub fn connect(&self, options: UpstreamOptions) {
        // A second node is never put behind one bridge.
        let _ = self.shared.upstream.set(Upstream::start(options));
    }

    /// Clients that are told of what happens, now.
    pub fn clients(&self) -> usize {
        self.shared.upstream.get().map_or(0, |upstream| upstream.hub.clients())
    }

    /// Whether the agents' web page is part of this program.
    pub fn has_console() -> bool {
        console::is_built()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Answers what has been asked, and ends.
    pub async fn stop(self) {
        self.server.stop(true).await;
        // It has ended by now, but for its last instructions.
        let _ = self.thread.join();
        if let Some(upstream) = self.shared.upstream.get() {
            upstream.stop().await;
        }
    }
}

/// What every answer says to browsers (OWASP, "HTTP security response headers").
fn secure_headers(is_tls: bool) -> middleware::DefaultHeaders {
    let headers = middleware::DefaultHeaders::new()
        .add(("Content-Security-Policy", console::POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("X-Frame-Options", "DENY"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
        .add(("Permissions-Policy", "camera=(), geolocation=(), microphone=()"));
    // Two years, as browsers' own lists ask for.
    if is_tls { headers.add(("Strict-Transport-Security", "max-age=63072000")) } else { headers }
}

fn wrong_body(error: actix_web::error::JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    use actix_web::error::JsonPayloadError as Wrong;
    match error {
        Wrong::ContentType => {
            Failure::invalid("the body is JSON, and `Content-Type` must say so: application/json").into()
        }
        Wrong::Overflow { .. } | Wrong::OverflowKnownLength { .. } => {
            Failure::too_large(format!("a body may have {MAX_BODY_BYTES} bytes")).into()
        }
        error => Failure::invalid(format!("the body: {error}")).into(),
    }
}

fn wrong_query(error: actix_web::error::QueryPayloadError, _: &HttpRequest) -> actix_web::Error {
    Failure::invalid(error.to_string()).into()
}

fn listen(options: &BridgeOptions) -> io::Result<TcpListener> {
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
