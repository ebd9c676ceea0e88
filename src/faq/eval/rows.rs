//! The files of an evaluation: JSON lines. Whatever is wrong with a row says in which file and which line.

use crate::search::base::EntryText;
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What a base is built of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// Its entries.
    pub entries: Vec<EntryText>,
    /// Questions that are known to be out of scope.
    pub out_of_scope: Vec<String>,
}

/// A question and what is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub text: String,
    /// Ids of the entries that are right; none, if it is out of scope.
    pub right: Vec<String>,
    /// What was asked before it in the same session.
    pub earlier: Vec<String>,
    /// Value of the field that questions are grouped by.
    pub group: Option<String>,
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// It cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A row is not what it has to be.
    #[error("{path}:{line}: {reason}", path = path.display())]
    Bad {
        /// In which file.
        path: PathBuf,
        /// In which line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
}

/// One row that is a JSON object.
#[derive(Debug, Clone)]
pub struct Row {
    path: PathBuf,
    line: usize,
    fields: Map<String, Value>,
}

impl Row {
    fn bad(&self, reason: impl Into<String>) -> RowError {
        RowError::Bad { path: self.path.clone(), line: self.line, reason: reason.into() }
    }

    fn optional(&self, name: &str) -> Result<Option<&str>, RowError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.bad(format!("\"{name}\" is {other}, expected a text"))),
        }
    }

    fn text(&self, name: &str) -> Result<&str, RowError> {
        let text = self.optional(name)?.ok_or_else(|| self.bad(format!("\"{name}\" is missing")))?;
        if text.trim().is_empty() { Err(self.bad(format!("\"{name}\" is empty"))) } else { Ok(text) }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, RowError> {
        let list = match self.fields.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(self.bad(format!("\"{name}\" is no list"))),
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        list.iter()
            .map(|value| text(value).ok_or_else(|| self.bad(format!("\"{name}\" holds what is no text"))))
            .collect()
    }

    /// Whether the field has this value. Numbers and truth values are compared as they are written.
    fn has(&self, name: &str, value: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::String(text)) => text == value,
            Some(Value::Bool(truth)) => value.parse() == Ok(*truth),
            Some(Value::Number(number)) => number.to_string().as_str() == value,
            Some(_) => false,
            None => false,
        }
    }
}

/// Which rows of the files count, and how.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only rows whose fields have these values.
    pub only: Vec<(String, String)>,
    /// The field that rows are grouped by, where they have it.
    pub group_by: Option<String>,
    /// The label of rows that are out of scope.
    pub oos_label: Option<String>,
    /// Variants per entry at most; a fixed draw.
    pub shots: Option<usize>,
}

/// All rows of a file that are selected. Empty lines are skipped.
pub fn read(path: &Path, selection: &Selection) -> Result<Vec<Row>, RowError> {
    let text = fs::read_to_string(path).map_err(|error| RowError::Unreadable { path: path.to_owned(), error })?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |reason: String| RowError::Bad { path: path.to_owned(), line: number + 1, reason };
        let fields = match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(bad("it is no JSON object".to_owned())),
            Err(error) => return Err(bad(error.to_string())),
        };
        let row = Row { path: path.to_owned(), line: number + 1, fields };
        if selection.only.iter().all(|(name, value)| row.has(name, value)) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Rows by the value of a field; all of them under none, if no row has it.
pub fn grouped(rows: Vec<Row>, field: Option<&str>) -> BTreeMap<Option<String>, Vec<Row>> {
    let mut groups: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for row in rows {
        let group = field
            .and_then(|field| row.fields.get(field))
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        groups.entry(group).or_default().push(row);
    }
    groups
}

/// Entries of rows `{id, question, similar?, answer?}`.
pub fn entries(rows: &[Row], selection: &Selection) -> Result<Known, RowError> {
    let mut ids = BTreeMap::new();
    let mut known = Known::default();
    for row in rows {
        let id = row.text("id")?.to_owned();
        if let Some(line) = ids.insert(id.clone(), row.line) {
            return Err(row.bad(format!("the id {id} was used in line {line} already")));
        }
        let mut similar = row.texts("similar")?;
        if let Some(shots) = selection.shots {
            similar.truncate(shots.saturating_sub(1));
        }
        known.entries.push(EntryText {
            id,
            entry_version: 1,
            question: row.text("question")?.to_owned(),
            similar,
            answer: row.optional("answer")?.unwrap_or_default().to_owned(),
            language: row.optional("language")?.map(str::to_owned),
        });
    }
    Ok(known)
}

/// One entry per label, of rows `{text, label}`.
pub fn labelled(rows: &[Row], selection: &Selection) -> Result<Known, RowError> {
    let mut known = Known::default();
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let (text, label) = (row.text("text")?.to_owned(), row.text("label")?);
        if selection.oos_label.as_deref() == Some(label) {
            known.out_of_scope.push(text);
        } else {
            labels.entry(label.to_owned()).or_default().push(text);
        }
    }
    for (id, mut texts) in labels {
        if let Some(shots) = selection.shots {
            // A fixed draw that does not depend on the order of the rows: files are often sorted by something.
            texts.sort_by_key(|text| crc32fast::hash(text.as_bytes()));
            texts.truncate(shots);
        }
        let question = texts.remove(0);
        known.entries.push(EntryText {
            id,
            entry_version: 1,
            question,
            similar: texts,
            answer: String::new(),
            language: None,
        });
    }
    Ok(known)
}

/// Questions of rows `{text, faq_id | label, accept?, earlier?}`.
pub fn questions(rows: &[Row], selection: &Selection) -> Result<Vec<Asked>, RowError> {
    let question = |row: &Row| {
        let label = match row.optional("faq_id")? {
            Some(id) => id,
            None => row.optional("label")?.ok_or_else(|| row.bad("neither \"faq_id\" nor \"label\" is there"))?,
        };
        let mut right = row.texts("accept")?;
        if selection.oos_label.as_deref() != Some(label) {
            right.insert(0, label.to_owned());
        }
        // A question may be a lone full stop: that is what people send.
        let text = row.optional("text")?.ok_or_else(|| row.bad("\"text\" is missing"))?.to_owned();
        Ok(Asked { text, right, earlier: row.texts("earlier")?, group: None })
    };
    rows.iter().map(question).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn error(text: &str, parse: impl Fn(&[Row], &Selection) -> Result<(), RowError>) -> String {
        let (_folder, path) = file(text);
        let selection = Selection::default();
        let error = read(&path, &selection).and_then(|rows| parse(&rows, &selection)).unwrap_err().to_string();
        error.rsplit_once("rows.jsonl").map(|(_, rest)| rest.to_owned()).unwrap()
    }

    #[test]
    fn bad_rows_are_named_by_line() {
        let known = |rows: &[Row], selection: &Selection| entries(rows, selection).map(drop);
        assert!(error("{\"id\":\"a\",\"question\":\"q\"}\n\nnot json", known).starts_with(":3: "));
        assert_eq!(error("{\"id\":\"a\",\"question\":\"\"}", known), ":1: \"question\" is empty");
        assert_eq!(
            error("{\"id\":\"a\",\"question\":\"q\",\"similar\":[1]}", known),
            ":1: \"similar\" holds what is no text"
        );
        assert_eq!(
            error("{\"id\":\"a\",\"question\":\"q\"}\n{\"id\":\"a\",\"question\":\"r\"}", known),
            ":2: the id a was used in line 1 already"
        );
        assert_eq!(error("[1]", known), ":1: it is no JSON object");
        let asked = |rows: &[Row], selection: &Selection| questions(rows, selection).map(drop);
        assert_eq!(error("{\"text\":\"q\"}", asked), ":1: neither \"faq_id\" nor \"label\" is there");
        assert_eq!(error("{\"text\":7,\"label\":\"a\"}", asked), ":1: \"text\" is 7, expected a text");
    }

    #[test]
    fn labels_become_entries_and_one_label_means_out_of_scope() {
        let (_folder, path) = file(
            "{\"text\":\"a1\",\"label\":\"a\",\"bot\":\"x\"}\n{\"text\":\"b1\",\"label\":\"b\",\"bot\":\"x\"}\n\
             {\"text\":\"a2\",\"label\":\"a\",\"bot\":\"x\"}\n{\"text\":\"o\",\"label\":\"none\",\"bot\":\"x\"}\n{\"text\":\"y\",\"label\":\"a\",\"bot\":\"y\"}\n",
        );
        let selection = Selection {
            only: vec![("bot".into(), "x".into())],
            oos_label: Some("none".into()),
            ..Selection::default()
        };
        let rows = read(&path, &selection).unwrap();
        let known = labelled(&rows, &selection).unwrap();
        assert_eq!(known.out_of_scope, ["o"]);
        assert_eq!(
            known.entries.iter().map(|entry| (entry.id.as_str(), 1 + entry.similar.len())).collect::<Vec<_>>(),
            [("a", 2), ("b", 1)]
        );
        let asked = questions(&rows, &selection).unwrap();
        assert_eq!(asked.iter().map(|asked| asked.right.len()).collect::<Vec<_>>(), [1, 1, 1, 0]);
        let one = labelled(&rows, &Selection { shots: Some(1), ..selection }).unwrap();
        assert!(one.entries.iter().all(|entry| entry.similar.is_empty()));
        assert_eq!(grouped(read(&path, &Selection::default()).unwrap(), Some("bot")).len(), 2);
    }
}
