//! What kefu tells of itself: log lines and metrics.
//!
//! [`catalogue`] lists every metric. What is counted as it happens is kept by the part in which it happens; what is measured
//! when somebody asks comes as [`Figures`] (see [`monitoring`](crate::monitoring)).
//!
//! This folder knows nothing of what is measured.

pub mod catalogue;
mod figures;

pub use figures::{Figures, Value};

use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, fmt};

/// Which lines `kefu serve` logs unless it is told: its own, and of the libraries' only warnings.
pub const SERVE_LEVEL: &str = "warn,kefu=info";

/// Which lines a client command logs unless it is told: none, because what went wrong is its error text.
pub const CLIENT_LEVEL: &str = "off";

/// How to log.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// A level or a filter, if one was asked for.
    pub level: Option<String>,
    /// The filter otherwise.
    pub default_level: &'static str,
    /// One JSON object per line.
    pub json: bool,
}

/// The filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is neither a level (error, warn, info, debug, trace) nor a filter such as warn,kefu=debug")]
pub struct BadFilter(String);

/// Begins to log, on stderr.
///
/// # Errors
/// The filter cannot be read.
pub fn init_logs(options: &LogOptions) -> Result<(), BadFilter> {
    let filter = filter(options)?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where something logs already, as in tests.
    let _ = if options.json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    Ok(())
}

fn filter(options: &LogOptions) -> Result<EnvFilter, BadFilter> {
    let text = match options.level.as_deref() {
        // A bare level is meant for kefu: everybody else's debug lines would bury its own.
        Some(level @ ("debug" | "trace" | "info")) => format!("warn,kefu={level}"),
        Some(text) => text.to_owned(),
        None => options.default_level.to_owned(),
    };
    EnvFilter::try_new(&text).map_err(|_| BadFilter(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_level_is_for_kefu_and_a_filter_for_everybody() {
        let options = |level: &str| LogOptions { level: Some(level.into()), default_level: SERVE_LEVEL, json: false };
        assert_eq!(filter(&options("debug")).unwrap().to_string(), "kefu=debug,warn");
        assert!(filter(&options("async_nats=trace")).is_ok());
        assert!(filter(&options("kefu=loud")).is_err());
    }
}
