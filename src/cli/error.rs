//! How a command of the command line fails: with a number for programs, a text for people, and what to do about it.

use crate::{
    config::ConfigError,
    journal::{JournalError, credentials::CredentialsError, server::ServerError},
    telemetry::BadFilter,
};
use kefu_events::{Refusal, query::QueryError};
use serde_json::{Value, json};
use std::{fmt, io};

/// Exit codes, as `kefu --help` lists them. They are part of the contract: never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It went wrong, or `doctor` found something.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The engine refused the command, or rejected the input.
    Refused = 3,
    /// No kefu or no NATS is there, or it is not ready.
    Unreachable = 4,
    /// The command was published, but nothing came back in time.
    TimedOut = 5,
}

/// The list for `kefu --help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it went wrong, or `kefu doctor` found something to mend
  2  the command line or the configuration is wrong
  3  the engine refused the command, or rejected the input
  4  no kefu is running there, NATS is not reachable, or kefu is not ready yet
  5  nothing came back in time; what was sent is kept and will be worked off";

/// A failure.
#[derive(Debug)]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The reader of the output has gone, which is no failure: `kefu replay | head`.
    pub broken_pipe: bool,
}

impl CliError {
    /// A failure with this exit code and text.
    pub fn new(exit: Exit, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), hint: None, broken_pipe: false }
    }

    /// Something went wrong.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, "failed", message)
    }

    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Nothing came back in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(Exit::TimedOut, "timed_out", message)
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// For `--json`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = hint.clone().into();
        }
        json!({ "error": error })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        match &error {
            JournalError::Unavailable(_) => Self::new(Exit::Unreachable, "unreachable", error.to_string()),
            JournalError::Refused(_) => Self::new(Exit::Failure, "refused_by_server", error.to_string()),
            JournalError::Misconfigured(_) => Self::new(Exit::Failure, "misconfigured", error.to_string()),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, "configuration", error.to_string())
    }
}

impl From<BadFilter> for CliError {
    fn from(error: BadFilter) -> Self {
        Self::new(Exit::Usage, "configuration", error.to_string())
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        let code = match &error {
            ServerError::AlreadyRunning { .. } => "already_running",
            ServerError::NotFound { .. } => "no_nats_server",
            _ => "nats_server",
        };
        Self::new(Exit::Failure, code, error.to_string())
    }
}

impl From<CredentialsError> for CliError {
    fn from(error: CredentialsError) -> Self {
        let code = match &error {
            CredentialsError::Exists { .. } => "exists",
            CredentialsError::Name(_) => return Self::usage(error.to_string()),
            _ => "credentials",
        };
        Self::new(Exit::Failure, code, error.to_string())
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let message = format!("refused ({}): {}", refusal.code, refusal.message);
        Self::new(Exit::Refused, refusal.code, message)
    }
}

impl From<QueryError> for CliError {
    fn from(error: QueryError) -> Self {
        let exit = if error.code == "not_ready" { Exit::Unreachable } else { Exit::Failure };
        Self::new(exit, error.code, error.message)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..Self::failure(error.to_string()) }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        Self::failure(format!("unexpected JSON: {error}"))
    }
}
