//! One connection to the bus: how to reach it, who we are, and whether it stands.

use crate::journal::JournalError;
use async_nats::{ConnectErrorKind, Event, ServerAddr, connection::State};
use percent_encoding::percent_decode_str;
use std::{path::PathBuf, time::Duration};
use tokio::sync::watch;

/// Lowest nats-server that has all that kefu uses: batched direct gets came with 2.11, the second error code of a wrong
/// expected sequence (10164) and the work queues' behaviour that was measured here with 2.12.
const MIN_SERVER: (u32, u32, u32) = (2, 12, 0);

/// A message over 512 KiB is refused by the inbox, one over 256 KiB by the engine; a rejected one is stored with its
/// origin in headers, and a commit quotes what it was caused by. 1 MiB (the server's own default) has room for all.
const MIN_MAX_PAYLOAD: usize = 1 << 20;

/// Who connects.
#[derive(Clone, Default)]
pub enum Auth {
    /// Nobody in particular (or the URL says it).
    #[default]
    None,
    /// A user of the server's configuration.
    UserPassword {
        /// Its name.
        user: String,
        /// Its password.
        password: String,
    },
    /// A token of the server's configuration.
    Token(String),
    /// A `.creds` file.
    CredentialsFile(PathBuf),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::UserPassword { user, .. } => write!(f, "UserPassword({user:?}, …)"),
            Self::Token(_) => f.write_str("Token(…)"),
            Self::CredentialsFile(path) => write!(f, "CredentialsFile({path:?})"),
        }
    }
}

/// How to reach a NATS server.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `nats://host:port`, several separated by commas.
    pub url: String,
    /// Who connects.
    pub auth: Auth,
    /// What the server's connection list calls this client.
    pub name: String,
    /// Under which prefix answers come back, where the user may not listen to all of `_INBOX.>`.
    pub inbox_prefix: Option<String>,
}

impl ConnectOptions {
    /// A connection to `url` as nobody in particular.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), auth: Auth::None, name: "kefu".into(), inbox_prefix: None }
    }

    /// The same as `user`.
    pub fn user(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.auth = Auth::UserPassword { user: user.into(), password: password.into() };
        self
    }
}

/// Whether the connection stands. `lost` counts the losses, so that a short one is not overlooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Whether it stands now.
    pub connected: bool,
    /// How often it was lost so far.
    pub lost: u64,
}

pub(super) async fn connect(
    options: &ConnectOptions,
) -> Result<(async_nats::Client, watch::Receiver<Connection>), JournalError> {
    let (sender, receiver) = watch::channel(Connection { connected: true, lost: 0 });
    let mut builder = async_nats::ConnectOptions::new()
        .name(&options.name)
        .connection_timeout(Duration::from_secs(5))
        // A dead peer is noticed after two unanswered pings; what matters sooner (leases, pulls) has its own heartbeat.
        .ping_interval(Duration::from_secs(5))
        // Soon at first, because a restarted server is back within a second; then once a second, for ever.
        .reconnect_delay_callback(|attempts| Duration::from_millis((50 << attempts.min(5)).min(1_000) as u64))
        .event_callback(move |event| {
            record(&sender, &event);
            async {}
        });
    if let Some(prefix) = &options.inbox_prefix {
        builder = builder.custom_inbox_prefix(prefix);
    }
    builder = match &options.auth {
        // The client library does not look there.
        Auth::None => match user_in(&options.url) {
            Some((user, password)) => builder.user_and_password(user, password),
            None => builder,
        },
        Auth::UserPassword { user, password } => builder.user_and_password(user.clone(), password.clone()),
        Auth::Token(token) => builder.token(token.clone()),
        Auth::CredentialsFile(path) => builder.credentials_file(path).await.map_err(|error| {
            JournalError::Refused(format!("the credentials file {} cannot be read: {error}", path.display()))
        })?,
    };
    let addresses: Vec<&str> = options.url.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
    let client = builder.connect(addresses).await.map_err(|error| match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => JournalError::Refused(format!(
            "the NATS server at {} refuses these credentials: check user and password",
            redact(&options.url)
        )),
        ConnectErrorKind::ServerParse => {
            JournalError::Refused(format!("{} is no address of a NATS server: {error}", redact(&options.url)))
        }
        _ => JournalError::Unavailable(format!(
            "cannot connect to the NATS server at {}: {}",
            redact(&options.url),
            chain(&error)
        )),
    })?;
    check_server(&client)?;
    Ok((client, receiver))
}

/// User and password in the first of the addresses that has them.
fn user_in(url: &str) -> Option<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    url.split(',').find_map(|address| {
        let address: ServerAddr = address.trim().parse().ok()?;
        Some((decoded(address.username()?), decoded(address.password().unwrap_or_default())))
    })
}

/// Fails fast while the connection is down: the client would otherwise hold a request back until it stands again, and
/// deliver it at a time when nobody expects it any more.
pub(super) fn connected(client: &async_nats::Client) -> Result<(), JournalError> {
    match client.connection_state() {
        State::Connected => Ok(()),
        _ => Err(JournalError::Unavailable("not connected to the NATS server".into())),
    }
}

fn record(connection: &watch::Sender<Connection>, event: &Event) {
    match event {
        Event::Connected => {
            connection.send_if_modified(|state| !std::mem::replace(&mut state.connected, true));
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!("the connection to the NATS server is lost");
            connection.send_modify(|state| {
                state.connected = false;
                state.lost += 1;
            });
        }
        Event::LameDuckMode | Event::Draining => tracing::info!("NATS: {event}"),
        Event::SlowConsumer(_) | Event::ServerError(_) | Event::ClientError(_) => tracing::warn!("NATS: {event}"),
    }
}

fn check_server(client: &async_nats::Client) -> Result<(), JournalError> {
    let info = client.server_info();
    let (major, minor, patch) = MIN_SERVER;
    if parse_version(&info.version).is_none_or(|version| version < MIN_SERVER) {
        return Err(JournalError::Misconfigured(format!(
            "the NATS server is version {}, but kefu needs {major}.{minor}.{patch} or later: upgrade nats-server",
            info.version
        )));
    }
    if info.max_payload < MIN_MAX_PAYLOAD {
        return Err(JournalError::Misconfigured(format!(
            "the NATS server accepts messages of {} bytes, but kefu needs {MIN_MAX_PAYLOAD}: \
             set `max_payload: 1MB` in the server's configuration",
            info.max_payload
        )));
    }
    Ok(())
}

fn parse_version(version: &str) -> Option<(u32, u32, u32)> {
    let release = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
}

/// The URL without a password in it, for messages.
pub(super) fn redact(url: &str) -> String {
    let redacted = url.split(',').map(|url| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        (None, Some(at)) => format!("…{}", &url[at..]),
        _ => url.to_owned(),
    });
    redacted.collect::<Vec<_>>().join(",")
}

/// An error with its causes: the client library's own text often ends before the reason.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_url_is_who_connects() {
        let found = user_in("nats://first.example:4222, nats://ann:a%40b@second.example");
        assert_eq!(found, Some(("ann".to_owned(), "a@b".to_owned())));
        assert_eq!(user_in("nats://127.0.0.1:4222"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("2.15.1"), Some((2, 15, 1)));
        assert_eq!(parse_version("2.12.0-RC.3"), Some((2, 12, 0)));
        assert_eq!(parse_version("v3.0"), Some((3, 0, 0)));
        assert_eq!(parse_version("dev"), None);
        assert!(parse_version("2.9.25") < Some(MIN_SERVER));
    }

    #[test]
    fn passwords_do_not_reach_messages() {
        assert_eq!(redact("nats://u:p@h:1,nats://h2:2"), "nats://…@h:1,nats://h2:2");
        assert_eq!(redact("u:p@h"), "…@h");
    }
}
