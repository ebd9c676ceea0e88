//! The sources of the configuration, laid over one another, with the origin of each value.

use super::{ConfigError, file, keys, units};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// Where a value came from. Later variants weigh more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// The file.
    File(PathBuf),
    /// This environment variable.
    Env(&'static str),
    /// This flag.
    Flag(&'static str),
}

impl Origin {
    /// Which of two origins weighs more, whatever their names.
    pub fn weight(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Env(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value that a flag of the command line sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Name of the key.
    pub key: &'static str,
    /// The flag, as it was typed.
    pub flag: &'static str,
    /// The value.
    pub value: String,
}

/// One key with its value, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the key.
    pub key: &'static str,
    /// Its value; `None`: not set.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: Origin,
}

/// All layers.
#[derive(Debug, Clone)]
pub struct Layers {
    values: BTreeMap<&'static str, (String, Origin)>,
    file: Option<PathBuf>,
}

impl Layers {
    /// Reads the file (`named`, or the default one if it is there), the environment and the flags.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has a key that does not exist.
    pub fn read(
        named: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
        flags: Vec<Flag>,
    ) -> Result<Self, ConfigError> {
        let file = match named.map(Path::to_owned).or_else(|| env("KEFU_CONFIG").map(PathBuf::from)) {
            Some(path) => Some(path),
            None => file::default_file().filter(|path| path.exists()),
        };
        let mut layers = Self { values: BTreeMap::new(), file };
        for key in keys::KEYS {
            let default = key.default.map(str::to_owned);
            let default = if key.name == keys::DATA { file::default_data(&env) } else { default };
            if let Some(value) = default {
                layers.values.insert(key.name, (value, Origin::Default));
            }
        }
        if let Some(path) = layers.file.clone() {
            for (key, value) in file::read(&path)? {
                layers.values.insert(key, (value, Origin::File(path.clone())));
            }
        }
        for key in keys::KEYS {
            // An empty variable counts as none: that is how one unsets it for a single command.
            if let Some(value) = env(key.env).filter(|value| !value.is_empty()) {
                layers.values.insert(key.name, (value, Origin::Env(key.env)));
            }
        }
        for Flag { key, flag, value } in flags {
            layers.values.insert(key, (value, Origin::Flag(flag)));
        }
        Ok(layers)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// Where it came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.values.get(key).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// The file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The value of a key, as `parse` understands it.
    ///
    /// # Errors
    /// It does not; the text names the key, the value and its origin.
    pub fn parse<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, ConfigError> {
        let Some((value, origin)) = self.values.get(key) else { return Ok(None) };
        let wrong = |wanted: String| ConfigError(format!("{key} = {value:?} ({origin}): {wanted}"));
        parse(value).map(Some).map_err(wrong)
    }

    /// Every key, for showing; secrets are hidden.
    pub fn entries(&self) -> Vec<Entry> {
        let entry = |key: &keys::Key| {
            let value = self.get(key.name).map(|value| match key.name {
                _ if key.secret => "(hidden)".to_owned(),
                keys::NATS_URL => units::without_password(value),
                _ => value.to_owned(),
            });
            Entry { key: key.name, value, origin: self.origin(key.name) }
        };
        keys::KEYS.iter().map(entry).collect()
    }
}
