//! The TOML file, and the conventional places.

use super::{ConfigError, keys};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// `<configuration directory>/kefu/config.toml`: `~/.config/kefu/config.toml` on Linux.
pub fn default_file() -> Option<PathBuf> {
    dirs::config_dir().map(|directory| directory.join("kefu").join("config.toml"))
}

/// `<data directory>/kefu`: `~/.local/share/kefu` on Linux.
pub(super) fn default_data(env: &impl Fn(&str) -> Option<String>) -> Option<String> {
    // The systemd unit's own directory, where there is one.
    let state = env("STATE_DIRECTORY").and_then(|list| list.split(':').next().map(PathBuf::from));
    let directory = state.or_else(|| dirs::data_dir().map(|directory| directory.join("kefu")))?;
    Some(directory.to_string_lossy().into_owned())
}

/// The values in the file.
pub(super) fn read(path: &Path) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("the configuration file {} cannot be read: {error}", path.display())))?;
    let table: Table =
        text.parse().map_err(|error: toml::de::Error| ConfigError(format!("{}: {error}", path.display())))?;
    let mut values = Vec::new();
    flatten("", &table, &mut values).map_err(|error| ConfigError(format!("{}: {error}", path.display())))?;
    // Paths in the file are meant from where the file is, not from where kefu is started.
    let base = path.parent().unwrap_or(Path::new(""));
    for (key, value) in &mut values {
        if [keys::DATA, keys::NATS_SERVER, keys::NATS_CREDENTIALS, keys::TLS_CERTIFICATE, keys::TLS_KEY].contains(key) {
            *value = base.join(&*value).to_string_lossy().into_owned();
        }
    }
    Ok(values)
}

fn flatten(prefix: &str, table: &Table, values: &mut Vec<(&'static str, String)>) -> Result<(), String> {
    for (name, value) in table {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let known = keys::find(&name);
        let text = match (value, known) {
            (Value::Table(inner), None) if keys::KEYS.iter().any(|key| is_within(key.name, &name)) => {
                flatten(&name, inner, values)?;
                continue;
            }
            (_, None) => return Err(unknown(&name)),
            (Value::String(text), _) => text.clone(),
            (Value::Integer(number), _) => number.to_string(),
            (Value::Boolean(flag), _) => flag.to_string(),
            (other, _) => return Err(format!("{name} cannot be a {}", other.type_str())),
        };
        values.extend(known.map(|key| (key.name, text)));
    }
    Ok(())
}

fn is_within(name: &str, table: &str) -> bool {
    name.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'))
}

fn unknown(name: &str) -> String {
    match keys::nearest(name) {
        Some(nearest) => format!("there is no key {name:?}; did you mean {nearest:?}?"),
        None => format!("there is no key {name:?}; `kefu config show` lists them all"),
    }
}
