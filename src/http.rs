//! Asking servers of others over HTTP: models for embeddings and for answers, receivers of webhooks.
//!
//! What every such client needs and none may forget: TLS by ring, no redirects (a key must not travel to another host), a
//! limit on what is read, faults that say whether to ask again, and keys that no log shows. It may not know what is asked.

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, header::RETRY_AFTER, redirect::Policy};
use std::{env, fmt, fs, path::PathBuf, time::Duration};

/// Characters of a server's error message that are passed on: enough to see what is wrong, too few to flood a log.
const MAX_MESSAGE_CHARS: usize = 300;

/// Bytes read of the body of an error.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Time for the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that wants to be left alone for longer is asked again all the same: it may have written anything.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Why a server gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke. May pass.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long. May pass.
    #[error("the server did not answer in time")]
    Timeout,
    /// It wants to be asked less. Passes.
    #[error("the server is asked too often{}", .retry_after.map(|wait| format!(", wants {} s of rest", wait.as_secs())).unwrap_or_default())]
    RateLimited {
        /// How long it wants to be left alone, if it says.
        retry_after: Option<Duration>,
    },
    /// It failed. May pass.
    #[error("the server failed with {status}: {message}")]
    Failed {
        /// 5xx.
        status: u16,
        /// The beginning of what it says.
        message: String,
    },
    /// It refuses the request; the same one will be refused again. Check address, model and key.
    #[error("the server refuses with {status}: {message}")]
    Refused {
        /// 3xx or 4xx.
        status: u16,
        /// The beginning of what it says.
        message: String,
    },
    /// The answer is longer than anything that was asked for.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The answer is not what the protocol says.
    #[error("the answer cannot be understood: {0}")]
    Malformed(String),
}

impl Fault {
    /// Whether the same request may succeed a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Timeout | Self::RateLimited { .. } | Self::Failed { .. })
    }

    /// How long to wait before attempt `attempt` (the first repetition is 1): what the server wants, up to an hour, else 200 ms, doubled
    /// each time; `spread` in [0, 1) makes it up to half longer, so that many clients do not come back at once.
    pub fn wait_before(&self, attempt: u32, spread: f64) -> Duration {
        let own = Duration::from_millis(200).saturating_mul(1 << attempt.saturating_sub(1).min(10));
        let wait = match self {
            Self::RateLimited { retry_after: Some(wait) } => (*wait).min(LONGEST_WAIT),
            _ => own,
        };
        wait.mul_f64(1.0 + spread.clamp(0.0, 1.0) / 2.0)
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::Timeout;
        }
        // The address may hold a key as a parameter, and the innermost cause says most.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Unreachable(cause.to_string())
    }
}

/// A client for one or more servers; it keeps connections open, so make one and clone it.
///
/// # Errors
///
/// The system's certificates cannot be read.
pub fn client() -> Result<Client, Fault> {
    client_with(|builder| builder)
}

/// The same with more said about it.
///
/// # Errors
///
/// The system's certificates cannot be read.
pub fn client_with(more: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Fault> {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(Policy::none()).connect_timeout(CONNECT_TIMEOUT);
    more(client.user_agent(concat!("kefu/", env!("CARGO_PKG_VERSION")))).build().map_err(Fault::from)
}

/// Sends a request and gives the response if its status says success.
///
/// # Errors
///
/// Every [`Fault`] but [`Fault::TooLong`] and [`Fault::Malformed`].
pub async fn send(request: RequestBuilder) -> Result<Response, Fault> {
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        return Err(Fault::RateLimited { retry_after: seconds.map(Duration::from_secs) });
    }
    // What the body says helps; that it cannot be read does not.
    let body = read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
    let message = String::from_utf8_lossy(&body).chars().take(MAX_MESSAGE_CHARS).collect();
    let status = status.as_u16();
    Err(if status >= 500 { Fault::Failed { status, message } } else { Fault::Refused { status, message } })
}

/// The whole body.
///
/// # Errors
///
/// It is longer than `limit` bytes, or the connection breaks before its end.
pub async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(Fault::TooLong(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A key. No output shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// One that was found where only the server looks.
    pub fn new(key: String) -> Self {
        Self(key)
    }

    /// To put into a request.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a key is: settings name the place and never hold the key, because settings are events, kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeySource {
    /// The name of an environment variable of the server.
    Environment(String),
    /// A file on the server; its first line is the key.
    File(PathBuf),
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Set it where kefu is started.
    #[error("the environment variable {0} is not set")]
    NotSet(String),
    /// Make the file readable for kefu alone.
    #[error("the key file {path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// The place is there and empty, or holds what cannot be in a header.
    #[error("{0} holds no key: one line of printable characters is expected")]
    NotAKey(String),
}

impl KeySource {
    /// Reads the key.
    ///
    /// # Errors
    ///
    /// It is not there.
    pub fn read(&self) -> Result<Secret, KeyError> {
        let (place, text) = match self {
            Self::Environment(name) => (name.clone(), env::var(name).map_err(|_| KeyError::NotSet(name.clone()))?),
            Self::File(path) => {
                let unreadable =
                    |error: std::io::Error| KeyError::Unreadable { path: path.clone(), error: error.to_string() };
                (path.display().to_string(), fs::read_to_string(path).map_err(unreadable)?)
            }
        };
        let key = text.lines().next().unwrap_or_default().trim();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(KeyError::NotAKey(place));
        }
        Ok(Secret(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn waits_double_and_the_server_has_the_last_word() {
        let failed = Fault::Failed { status: 500, message: String::new() };
        assert_eq!(failed.wait_before(1, 0.0), Duration::from_millis(200));
        assert_eq!(failed.wait_before(3, 0.0), Duration::from_millis(800));
        assert!(failed.wait_before(u32::MAX, 0.99) < Duration::from_secs(400));
        let limited = Fault::RateLimited { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(limited.wait_before(1, 0.0), Duration::from_secs(7));
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_for_ages_breaks_nothing() {
        let limited = Fault::RateLimited { retry_after: Some(Duration::from_secs(u64::MAX)) };
        assert!(limited.wait_before(1, 0.99) <= 2 * LONGEST_WAIT);
    }

    #[test]
    fn a_refusal_does_not_pass() {
        assert!(!Fault::Refused { status: 401, message: String::new() }.may_pass());
        assert!(!Fault::Malformed(String::new()).may_pass());
        assert!(Fault::Timeout.may_pass());
    }

    #[test]
    fn a_key_is_the_first_line_of_its_file_and_is_not_shown() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "  abc123 \nsecond line").expect("written");
        let key = KeySource::File(file.path().to_owned()).read().expect("a key");
        assert_eq!(key.expose(), "abc123");
        assert!(!format!("{key:?}").contains("abc"));
    }

    #[test]
    fn an_empty_file_and_an_unset_variable_are_no_keys() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(matches!(KeySource::File(file.path().to_owned()).read(), Err(KeyError::NotAKey(_))));
        let unset = KeySource::Environment("KEFU_TEST_NO_SUCH_KEY".to_owned());
        assert_eq!(unset.read(), Err(KeyError::NotSet("KEFU_TEST_NO_SUCH_KEY".to_owned())));
        assert!(KeySource::File("/nowhere/at/all".into()).read().is_err());
    }
}
