//! Everything that can be set, in one list: the names in the file, the environment variables, the defaults.

/// kefu's directory.
pub const DATA: &str = "data";
/// Where HTTP listens.
pub const LISTEN: &str = "listen";
/// Names by which kefu is reached.
pub const HTTP_NAMES: &str = "http.names";
/// Proxies whose word is taken.
pub const TRUSTED_PROXIES: &str = "http.trusted_proxies";
/// The certificate of HTTPS.
pub const TLS_CERTIFICATE: &str = "tls.certificate";
/// Its key.
pub const TLS_KEY: &str = "tls.key";
/// The provider by which people sign in.
pub const OIDC_ISSUER: &str = "oidc.issuer";
/// kefu's id there.
pub const OIDC_CLIENT_ID: &str = "oidc.client_id";
/// kefu's secret there.
pub const OIDC_CLIENT_SECRET: &str = "oidc.client_secret";
/// Where it sends browsers back to.
pub const OIDC_REDIRECT_URL: &str = "oidc.redirect_url";
/// Whose users these are.
pub const OIDC_TENANT: &str = "oidc.tenant";
/// Which of them somebody is.
pub const OIDC_USER_CLAIM: &str = "oidc.user_claim";
/// The tenant that client commands mean.
pub const TENANT: &str = "tenant";
/// Start of all subjects.
pub const PREFIX: &str = "prefix";
/// A server that runs already.
pub const NATS_URL: &str = "nats.url";
/// User on it.
pub const NATS_USER: &str = "nats.user";
/// Password on it.
pub const NATS_PASSWORD: &str = "nats.password";
/// Token on it.
pub const NATS_TOKEN: &str = "nats.token";
/// A `.creds` file for it.
pub const NATS_CREDENTIALS: &str = "nats.credentials";
/// The program of kefu's own server.
pub const NATS_SERVER: &str = "nats.server";
/// The port of kefu's own server.
pub const NATS_PORT: &str = "nats.port";
/// Number of partitions.
pub const PARTITIONS: &str = "streams.partitions";
/// Replicas of the streams.
pub const REPLICAS: &str = "streams.replicas";
/// Memory of the store.
pub const MEMORY: &str = "limits.memory";
/// Idle time.
pub const IDLE: &str = "limits.idle";
/// Aggregates in memory.
pub const MAX_ACTIVE: &str = "limits.max_active";
/// Messages held.
pub const MAX_PENDING: &str = "limits.max_pending";
/// The model of questions.
pub const MODEL: &str = "answers.model";
/// The language model that words answers.
pub const LLM: &str = "answers.llm";
/// Where models are.
pub const MODELS: &str = "answers.models";
/// Where the token for metrics is.
pub const METRICS_TOKEN_FILE: &str = "metrics.token_file";
/// Whether webhooks may send to private addresses.
pub const WEBHOOKS_PRIVATE: &str = "webhooks.private_addresses";
/// Which lines are logged.
pub const LOG_LEVEL: &str = "log.level";
/// How they look.
pub const LOG_FORMAT: &str = "log.format";
/// The demo tenant.
pub const DEMO: &str = "demo";

/// One thing that can be set.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in the file, tables joined by dots.
    pub name: &'static str,
    /// Its environment variable. Names that a container platform makes of service names (`KEFU_PORT`,
    /// `KEFU_NATS_PORT`, `KEFU_SERVICE_HOST`) are not used, because their values are not ours.
    pub env: &'static str,
    /// The value where nobody sets one.
    pub default: Option<&'static str>,
    /// Not to be shown.
    pub secret: bool,
    /// What it is for.
    pub help: &'static str,
}

const fn key(name: &'static str, env: &'static str, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, env, default, secret: false, help }
}

/// The list.
pub const KEYS: &[Key] = &[
    key(DATA, "KEFU_DATA", None, "directory of everything that kefu keeps"),
    key(LISTEN, "KEFU_LISTEN", Some("127.0.0.1:7070"), "address and port of HTTP (health, metrics)"),
    key(
        HTTP_NAMES,
        "KEFU_HTTP_NAMES",
        None,
        "names by which a proxy on this machine asks for kefu, with commas between",
    ),
    key(
        TRUSTED_PROXIES,
        "KEFU_TRUSTED_PROXIES",
        None,
        "addresses or networks of proxies whose X-Forwarded-For and -Proto are believed, with commas between",
    ),
    key(TLS_CERTIFICATE, "KEFU_TLS_CERTIFICATE", None, "PEM file of the certificate with which HTTPS is served"),
    key(TLS_KEY, "KEFU_TLS_KEY", None, "PEM file of its private key"),
    key(OIDC_ISSUER, "KEFU_OIDC_ISSUER", None, "OpenID Connect provider at which people sign in"),
    key(OIDC_CLIENT_ID, "KEFU_OIDC_CLIENT_ID", None, "kefu's client id there"),
    Key { secret: true, ..key(OIDC_CLIENT_SECRET, "KEFU_OIDC_CLIENT_SECRET", None, "kefu's client secret there") },
    key(OIDC_REDIRECT_URL, "KEFU_OIDC_REDIRECT_URL", None, "https://<kefu>/api/v1/oidc/callback, as registered there"),
    key(OIDC_TENANT, "KEFU_OIDC_TENANT", None, "tenant whose users sign in there (that of client commands)"),
    key(
        OIDC_USER_CLAIM,
        "KEFU_OIDC_USER_CLAIM",
        Some("preferred_username"),
        "what of the provider's word is the user's id: preferred_username or sub",
    ),
    key(TENANT, "KEFU_TENANT", Some("demo"), "tenant that client commands mean unless they name one"),
    key(PREFIX, "KEFU_PREFIX", Some("kefu"), "start of the names of all subjects and streams"),
    key(DEMO, "KEFU_DEMO", Some("true"), "whether a fresh data directory gets the tenant demo"),
    key(NATS_URL, "KEFU_NATS", None, "a NATS server that runs already; else kefu starts its own"),
    key(NATS_USER, "KEFU_NATS_USER", None, "user on that server"),
    Key { secret: true, ..key(NATS_PASSWORD, "KEFU_NATS_PASSWORD", None, "password of that user") },
    Key { secret: true, ..key(NATS_TOKEN, "KEFU_NATS_TOKEN", None, "token for that server") },
    key(NATS_CREDENTIALS, "KEFU_NATS_CREDENTIALS", None, ".creds file for that server"),
    key(NATS_SERVER, "KEFU_NATS_SERVER", None, "nats-server program to start, where none runs"),
    key(NATS_PORT, "KEFU_NATS_LISTEN_PORT", None, "port of the server that kefu starts (4222, else a free one)"),
    key(PARTITIONS, "KEFU_PARTITIONS", None, "number of partitions of new streams (16); fixed once they exist"),
    key(REPLICAS, "KEFU_REPLICAS", None, "replicas of new streams (1)"),
    key(MEMORY, "KEFU_MEMORY", None, "memory that the store may use, such as 512MiB"),
    key(IDLE, "KEFU_IDLE", Some("5m"), "idle time after which a conversation leaves the memory"),
    key(MAX_ACTIVE, "KEFU_MAX_ACTIVE", Some("200000"), "conversations in memory, at most"),
    key(MAX_PENDING, "KEFU_MAX_PENDING", Some("1000"), "unanswered messages held per partition and queue, at most"),
    key(
        MODEL,
        "KEFU_MODEL",
        None,
        "model for questions (multilingual-e5-small-q4 where it is there); none: words alone",
    ),
    key(MODELS, "KEFU_MODELS", None, "directory of the models (kefu/models in the cache directory)"),
    key(LLM, "KEFU_LLM", None, "TOML file that says which language model words answers; none: none does"),
    key(
        METRICS_TOKEN_FILE,
        "KEFU_METRICS_TOKEN_FILE",
        None,
        "file with the token that whoever reads /metrics must send; none: only this machine may read them",
    ),
    key(
        WEBHOOKS_PRIVATE,
        "KEFU_WEBHOOKS_PRIVATE",
        Some("false"),
        "whether webhooks may send to addresses of private networks, this machine's among them",
    ),
    key(LOG_LEVEL, "KEFU_LOG", None, "which lines are logged: error, warn, info, debug, trace, or a tracing filter"),
    key(LOG_FORMAT, "KEFU_LOG_FORMAT", Some("human"), "how they look: human or json"),
];

/// The key of this name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The valid name that looks most like `name`, if one does.
pub fn nearest(name: &str) -> Option<&'static str> {
    // Half of the characters wrong is a guess and no typing error.
    let scored = KEYS.iter().map(|key| {
        let last = key.name.rsplit('.').next().unwrap_or(key.name);
        let score = strsim::normalized_damerau_levenshtein(name, key.name);
        // People leave the table out: `url` for `nats.url`.
        let score =
            score.max(strsim::normalized_damerau_levenshtein(name.rsplit('.').next().unwrap_or(name), last) - 0.05);
        (score, key.name)
    });
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.5).map(|(_, name)| name)
}
