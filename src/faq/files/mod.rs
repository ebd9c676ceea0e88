//! Entries in files: JSON Lines, CSV and spreadsheets, read and written.
//!
//! A file is read as a whole before anything is done with it: every row that is wrong is named with its number, and
//! nothing of a file with a wrong row is used. What is written can be read again and means the same.
//!
//! In a table, the first row names the columns: `id`, `question`, `similar` (one way of asking per line of the cell),
//! `answer`, `answer.<channel>`, `variables` (`name=value` per line), `language`, `category`, `audience`, `valid_from`,
//! `valid_until`. The usual Chinese names are understood as well. A row without an id gets one that is made of its question.
//!
//! This folder may not know where entries go to.

mod jsonl;
mod table;
#[cfg(test)]
mod tests;

use super::entry;
use kefu_events::{faq::EntryContent, key::is_token};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

/// Entries that a file may have: ten times what the largest known help centres have.
pub const MAX_ROWS: usize = 200_000;
/// Wrong rows that are told of: more say nothing new.
pub const MAX_ERRORS: usize = 50;

/// One entry of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its row in the file, from 1, the heading of a table being one.
    pub row: usize,
    /// The entry's id.
    pub id: String,
    /// What it says.
    pub content: EntryContent,
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row in the file, from 1.
    pub row: usize,
    /// What is wrong, with the column.
    pub what: String,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}: {}", self.row, self.what)
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened, read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The name says nothing about the format.
    #[error("{0:?} is none of the formats that are known: jsonl, csv, xlsx")]
    Format(String),
    /// It is not what it seems to be.
    #[error("this is no readable {format} file: {what}")]
    Broken {
        /// The format that was expected.
        format: Format,
        /// What is wrong.
        what: String,
    },
    /// Rows are wrong. Nothing of the file was used.
    #[error("{}", rows_text(.0))]
    Rows(Vec<RowError>),
}

fn rows_text(errors: &[RowError]) -> String {
    let lines: Vec<String> = errors.iter().take(MAX_ERRORS).map(RowError::to_string).collect();
    let more =
        if errors.len() > MAX_ERRORS { format!("\n… and {} more", errors.len() - MAX_ERRORS) } else { String::new() };
    format!("{} wrong; nothing was used\n{}{more}", plural(errors.len()), lines.join("\n"))
}

fn plural(rows: usize) -> String {
    if rows == 1 { "1 row is".to_owned() } else { format!("{rows} rows are") }
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Jsonl,
    /// Values separated by commas, in UTF-8.
    Csv,
    /// An Excel workbook; the first sheet counts.
    Xlsx,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jsonl => "JSONL",
            Self::Csv => "CSV",
            Self::Xlsx => "XLSX",
        })
    }
}

impl Format {
    /// By its name, or by the end of a file's name.
    ///
    /// # Errors
    /// [`FileError::Format`].
    pub fn named(name: &str) -> Result<Self, FileError> {
        let end = name.rsplit('.').next().unwrap_or(name);
        match end.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" | "json" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            "xlsx" => Ok(Self::Xlsx),
            _ => Err(FileError::Format(name.to_owned())),
        }
    }
}

/// All entries of a file, tidied and checked.
///
/// # Errors
/// See [`FileError`]; with [`FileError::Rows`] all rows that are wrong.
pub fn read(path: &Path, format: Format) -> Result<Vec<Row>, FileError> {
    let mut file = BufReader::new(File::open(path)?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    parse(&bytes, format)
}

/// The same out of memory.
///
/// # Errors
/// See [`read`].
pub fn parse(bytes: &[u8], format: Format) -> Result<Vec<Row>, FileError> {
    let (mut rows, mut errors) = match format {
        Format::Jsonl => jsonl::parse(bytes),
        Format::Csv => table::parse_csv(bytes)?,
        Format::Xlsx => table::parse_xlsx(bytes)?,
    };
    if rows.len() > MAX_ROWS {
        return Err(FileError::Broken {
            format,
            what: format!("it has {} entries; {MAX_ROWS} can be taken", rows.len()),
        });
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for row in &mut rows {
        row.content = entry::tidied(std::mem::take(&mut row.content));
        if row.id.is_empty() {
            row.id = id_of(&row.content.question);
        }
        let mut wrong = |what: String| errors.push(RowError { row: row.row, what });
        if !is_token(&row.id) {
            wrong(format!("id: {:?} is not 1 to 64 of A-Z, a-z, 0-9, _ and -", row.id));
        }
        if let Err(refusal) = entry::check(&row.content) {
            wrong(refusal.message);
        }
        if let Some(first) = seen.insert(row.id.clone(), row.row) {
            wrong(format!("id: {:?} stands in row {first} already", row.id));
        }
    }
    if errors.is_empty() {
        return Ok(rows);
    }
    errors.sort_by_key(|error| error.row);
    Err(FileError::Rows(errors))
}

/// Writes entries so that [`read`] gives them back.
///
/// # Errors
/// The file cannot be written, or an entry is too large for a cell of a spreadsheet.
pub fn write(path: &Path, format: Format, rows: &[Row]) -> Result<(), FileError> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&to_bytes(format, rows)?)?;
    Ok(file.flush()?)
}

/// The same into memory.
///
/// # Errors
/// See [`write`].
pub fn to_bytes(format: Format, rows: &[Row]) -> Result<Vec<u8>, FileError> {
    match format {
        Format::Jsonl => Ok(jsonl::to_bytes(rows)),
        Format::Csv => table::to_csv(rows),
        Format::Xlsx => table::to_xlsx(rows),
    }
}

/// The id of an entry that has none: the same for the same question, so that a file can be imported again.
pub fn id_of(question: &str) -> String {
    let digest = Sha256::digest(question.trim().as_bytes());
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("q-{hex}")
}
