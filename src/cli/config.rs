//! `kefu config`: the configuration of the process.

use super::{Session, error::CliError};
use crate::config::{default_file, keys};
use clap::Subcommand;
use serde_json::{Map, Value, json};

/// Look at the configuration of the process
#[derive(Debug, Subcommand)]
#[command(after_help = "\
One TOML file, environment variables and flags, in that order of increasing weight:

  # config.toml
  data = \"/var/lib/kefu\"
  listen = \"127.0.0.1:7070\"
  [nats]
  url = \"nats://nats.example:4222\"
  [log]
  format = \"json\"")]
pub enum ConfigVerb {
    /// Print every value that is in effect, and where it came from
    Show,
    /// Print where the configuration file is looked for
    Path,
}

impl ConfigVerb {
    pub(super) fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Show => show(session),
            Self::Path => {
                let path = session.layers.file().map(std::path::Path::to_owned).or_else(default_file);
                let path = path.ok_or_else(|| CliError::failure("this system has no directory for configuration"))?;
                let value = json!({ "path": path, "exists": path.exists() });
                session.out.result(&value, || path.display().to_string())
            }
        }
    }
}

fn show(session: &mut Session) -> Result<(), CliError> {
    let entries = session.layers.entries();
    if session.out.is_json() {
        let entry = |entry: &crate::config::Entry| {
            let env = keys::find(entry.key).map(|key| key.env);
            json!({ "value": entry.value, "origin": entry.origin.to_string(), "env": env })
        };
        let values: Map<String, Value> = entries.iter().map(|found| (found.key.to_owned(), entry(found))).collect();
        return session.out.json(&values);
    }
    let rows: Vec<[String; 4]> = entries
        .into_iter()
        .map(|entry| {
            let env = keys::find(entry.key).map_or("", |key| key.env);
            let unset = "(not set)".to_owned();
            let origin = if entry.value.is_some() { entry.origin.to_string() } else { String::new() };
            [entry.key.to_owned(), entry.value.unwrap_or(unset), origin, env.to_owned()]
        })
        .collect();
    session.out.table(["KEY", "VALUE", "FROM", "ENVIRONMENT"], &rows)
}
