//! One JSON object per line: the fields of [`EntryContent`], and `id`.

use super::{Row, RowError};
use kefu_events::faq::EntryContent;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(flatten)]
    content: EntryContent,
}

pub(super) fn parse(bytes: &[u8]) -> (Vec<Row>, Vec<RowError>) {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let row = index + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        match line_of(line) {
            Ok(Line { id, content }) => rows.push(Row { row, id, content }),
            Err(error) => errors.push(RowError { row, what: error.to_string() }),
        }
    }
    (rows, errors)
}

fn line_of(line: &[u8]) -> Result<Line, serde_json::Error> {
    let value: Value = serde_json::from_slice(line)?;
    serde_json::from_value(value)
}

pub(super) fn to_bytes(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        let line = Line { id: row.id.clone(), content: row.content.clone() };
        // Cannot fail: no map in it has keys other than strings, and memory takes what is written.
        let _ = serde_json::to_writer(&mut bytes, &line);
        bytes.push(b'\n');
    }
    bytes
}
