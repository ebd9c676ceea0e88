//! The file of a base's entries: what was put and removed, one JSON object per line, a line that commits after each batch.
//!
//! It is the truth of the folder: vectors beyond its last commit are cut off, and a text index of another commit is built
//! again from it.

use super::{BaseError, EntryText};
use crate::search::{embed::ModelIdentity, text};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

/// Counts up when the folder's layout changes.
const FORMAT: u32 = 1;

/// What a folder must agree on to be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    format: u32,
    text: u32,
    model: Option<ModelIdentity>,
}

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// An entry in its new form: the number that it is known by, and its first piece; the others follow.
    Put { entry: EntryText, number: u32, slot: u32 },
    /// It is no more.
    Remove { id: String },
    /// All before this counts: how many commits there were, and how many pieces.
    Commit { count: u64, slots: u32 },
}

/// Begins a file.
pub(super) fn create(path: &Path, model: Option<&ModelIdentity>) -> Result<(), BaseError> {
    let identity = Identity { format: FORMAT, text: text::VERSION, model: model.cloned() };
    let line = serde_json::to_string(&identity).map_err(io::Error::other).map_err(|error| failed(path, error))?;
    fs::write(path, line + "\n").map_err(|error| failed(path, error))
}

/// Appends lines, on the disk when it returns.
pub(super) fn append(path: &Path, lines: &[Line]) -> Result<(), BaseError> {
    let write = || -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        let mut file = OpenOptions::new().append(true).open(path)?;
        file.write_all(&bytes)?;
        file.sync_data()
    };
    write().map_err(|error| failed(path, error))
}

/// All committed lines. What follows the last commit was never finished and is cut off.
pub(super) fn read(path: &Path, model: Option<&ModelIdentity>) -> Result<Vec<Line>, BaseError> {
    let damaged = |reason: String| BaseError::Damaged(format!("{}: {reason}", path.display()));
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged("it is not there".to_owned()),
        _ => failed(path, error),
    })?;
    let expected = Identity { format: FORMAT, text: text::VERSION, model: model.cloned() };
    let (mut lines, mut committed, mut end) = (Vec::new(), 0, 0);
    let mut at = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        at += line.len();
        if !line.ends_with(b"\n") {
            break;
        }
        if number == 0 {
            let identity: Identity = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            if identity != expected {
                return Err(BaseError::OtherIdentity);
            }
            end = at;
            continue;
        }
        let line: Line =
            serde_json::from_slice(line).map_err(|error| damaged(format!("line {}: {error}", number + 1)))?;
        let commits = matches!(line, Line::Commit { .. });
        lines.push(line);
        if commits {
            (committed, end) = (lines.len(), at);
        }
    }
    if end == 0 {
        return Err(damaged("it has no beginning".to_owned()));
    }
    lines.truncate(committed);
    if end < bytes.len() {
        let cut = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.set_len(end as u64)?;
            file.seek(SeekFrom::End(0))?;
            file.sync_data()
        };
        cut().map_err(|error| failed(path, error))?;
    }
    Ok(lines)
}

pub(super) fn failed(path: &Path, error: io::Error) -> BaseError {
    BaseError::Failed(format!("{}: {error}", path.display()))
}
