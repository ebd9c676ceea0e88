//! The configuration of the process: where data lies, which server, which ports and limits.
//!
//! Four layers, each heavier than the one before: defaults, one TOML file, environment variables `KEFU_…`, flags of the
//! command line. [`keys`] is the one list of everything that can be set; [`layers`] lays the sources over one another
//! and remembers where each value came from; this file turns the result into types.
//!
//! What is configured *per tenant* (texts, deadlines, queues) is no business of this folder: those are settings, which
//! are events and change while the process runs.

mod file;
pub mod keys;
mod layers;
pub mod units;

pub use file::default_file;
pub use layers::{Entry, Flag, Layers, Origin};

use crate::journal::{Auth, ConnectOptions, subjects::Subjects};
use ipnet::IpNet;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Why the configuration cannot be used. The text names the source and says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// An address, and whether it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Where to listen.
    pub address: SocketAddr,
    /// Nobody named it, so a free port will do where it is taken.
    pub or_free: bool,
}

/// How to reach NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsConfig {
    /// A server that runs already; kefu starts its own where there is none.
    pub url: Option<String>,
    /// User of that server.
    pub user: Option<String>,
    /// Password of that user.
    pub password: Option<String>,
    /// Or a token.
    pub token: Option<String>,
    /// Or a `.creds` file.
    pub credentials: Option<PathBuf>,
    /// The nats-server program to start.
    pub server: Option<PathBuf>,
    /// Its port.
    pub port: Option<u16>,
}

impl NatsConfig {
    /// How to connect to `url`, as whom this configuration says.
    pub fn connect_options(&self, url: &str) -> ConnectOptions {
        let mut options = ConnectOptions::new(url);
        options.auth = match (&self.credentials, &self.token, &self.user) {
            (Some(path), _, _) => Auth::CredentialsFile(path.clone()),
            (None, Some(token), _) => Auth::Token(token.clone()),
            (None, None, Some(user)) => {
                Auth::UserPassword { user: user.clone(), password: self.password.clone().unwrap_or_default() }
            }
            (None, None, None) => Auth::None,
        };
        options
    }
}

/// Bounds of the engine's appetite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitsConfig {
    /// After which time an idle conversation leaves the memory.
    pub idle: Duration,
    /// Conversations and other aggregates in memory, over all partitions.
    pub max_active: usize,
    /// Messages per queue and partition that are held unanswered.
    pub max_pending: usize,
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OidcConfig {
    /// Its address; `None`: there is none.
    pub issuer: Option<String>,
    /// kefu's id there.
    pub client_id: Option<String>,
    /// kefu's secret there.
    pub client_secret: Option<String>,
    /// Where it sends browsers back to.
    pub redirect_url: Option<String>,
    /// Whose users these are; `None`: of the tenant that client commands mean.
    pub tenant: Option<String>,
    /// `preferred_username` or `sub`.
    pub user_claim: String,
}

/// The effective configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// kefu's directory.
    pub data: PathBuf,
    /// HTTP.
    pub listen: Listen,
    /// Names by which it is reached, besides addresses.
    pub http_names: Vec<String>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// PEM file of the certificate with which HTTPS is served.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
    /// The provider at which people sign in.
    pub oidc: OidcConfig,
    /// The tenant that client commands mean unless they name one.
    pub tenant: String,
    /// Start of all subjects' and streams' names.
    pub subjects: Subjects,
    /// NATS.
    pub nats: NatsConfig,
    /// Number of partitions, for new streams.
    pub partitions: Option<u16>,
    /// Replicas, for new streams.
    pub replicas: Option<usize>,
    /// Bytes that the store may keep in memory.
    pub memory: Option<u64>,
    /// Bounds.
    pub limits: LimitsConfig,
    /// Which lines are logged; `None`: what suits the command.
    pub log_level: Option<String>,
    /// How they look.
    pub log_format: LogFormat,
    /// The model of questions; `None`: the default one, where it is there.
    pub model: Option<String>,
    /// The file about the language model that words answers.
    pub llm: Option<PathBuf>,
    /// The file with the token for metrics.
    pub metrics_token: Option<PathBuf>,
    /// Where models are.
    pub models: PathBuf,
    /// Whether webhooks may send to private addresses.
    pub private_webhooks: bool,
    /// Whether a fresh data directory gets the tenant `demo`.
    pub demo: bool,
}

impl Config {
    /// The typed form of what the layers say.
    ///
    /// # Errors
    /// A value is not what its key needs; the text names key and source.
    pub fn from_layers(layers: &Layers) -> Result<Self, ConfigError> {
        let text = |key: &str| layers.get(key).map(str::to_owned);
        let path = |key: &str| layers.get(key).map(PathBuf::from);
        let data = path(keys::DATA).ok_or_else(|| {
            ConfigError("this system has no conventional place for data: say where with --data DIR".to_owned())
        })?;
        Ok(Self {
            data,
            listen: Listen {
                address: layers.parse(keys::LISTEN, units::address)?.unwrap_or(units::DEFAULT_ADDRESS),
                or_free: layers.origin(keys::LISTEN) == Origin::Default,
            },
            http_names: layers.parse(keys::HTTP_NAMES, |text| units::list(text, units::host))?.unwrap_or_default(),
            trusted_proxies: layers
                .parse(keys::TRUSTED_PROXIES, |text| units::list(text, units::network))?
                .unwrap_or_default(),
            tls_certificate: path(keys::TLS_CERTIFICATE),
            tls_key: path(keys::TLS_KEY),
            oidc: OidcConfig {
                issuer: text(keys::OIDC_ISSUER),
                client_id: text(keys::OIDC_CLIENT_ID),
                client_secret: text(keys::OIDC_CLIENT_SECRET),
                redirect_url: text(keys::OIDC_REDIRECT_URL),
                tenant: layers.parse(keys::OIDC_TENANT, units::token)?,
                user_claim: text(keys::OIDC_USER_CLAIM).unwrap_or_default(),
            },
            tenant: layers.parse(keys::TENANT, units::token)?.unwrap_or_default(),
            subjects: layers.parse(keys::PREFIX, units::subjects)?.unwrap_or_default(),
            nats: NatsConfig {
                url: text(keys::NATS_URL),
                user: text(keys::NATS_USER),
                password: text(keys::NATS_PASSWORD),
                token: text(keys::NATS_TOKEN),
                credentials: path(keys::NATS_CREDENTIALS),
                server: path(keys::NATS_SERVER),
                port: layers.parse(keys::NATS_PORT, units::port)?,
            },
            partitions: layers.parse(keys::PARTITIONS, |text| units::number(text, 1..=1024))?,
            replicas: layers.parse(keys::REPLICAS, |text| units::number(text, 1..=5))?,
            memory: layers.parse(keys::MEMORY, units::bytes)?,
            limits: LimitsConfig {
                idle: layers.parse(keys::IDLE, units::duration)?.unwrap_or_default(),
                max_active: layers.parse(keys::MAX_ACTIVE, |text| units::number(text, 1..=100_000_000))?.unwrap_or(1),
                max_pending: layers.parse(keys::MAX_PENDING, |text| units::number(text, 1..=100_000))?.unwrap_or(1),
            },
            log_level: text(keys::LOG_LEVEL),
            log_format: layers.parse(keys::LOG_FORMAT, units::log_format)?.unwrap_or(LogFormat::Human),
            model: text(keys::MODEL),
            llm: path(keys::LLM),
            metrics_token: path(keys::METRICS_TOKEN_FILE),
            // Without a home there is no cache; a folder that does not exist has no model, which is said then.
            models: path(keys::MODELS)
                .or_else(|| dirs::cache_dir().map(|cache| cache.join("kefu").join("models")))
                .unwrap_or_else(|| PathBuf::from("models")),
            private_webhooks: layers.parse(keys::WEBHOOKS_PRIVATE, units::flag)?.unwrap_or(false),
            demo: layers.parse(keys::DEMO, units::flag)?.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests;
