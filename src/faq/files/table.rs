//! Tables: CSV and spreadsheets. Both become rows of texts, and are read from there on alike.

use super::{FileError, Format, Row, RowError};
use calamine::{Data, Reader, Xlsx, open_workbook_from_rs};
use kefu_events::faq::{Audience, EntryContent};
use rust_xlsxwriter::{Workbook, XlsxError};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
};

/// Characters that a cell of an Excel workbook can hold.
const MAX_CELL_CHARS: usize = 32_767;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Id,
    Question,
    Similar,
    Answer,
    ChannelAnswer(String),
    Variables,
    Language,
    Category,
    Audience,
    ValidFrom,
    ValidUntil,
    /// Written for people, and passed over when it is read.
    Remark,
}

impl Column {
    /// By its heading, in the words that spreadsheets of help desks use.
    fn named(heading: &str) -> Option<Self> {
        let heading = heading.trim();
        if let Some(channel) = heading.strip_prefix("answer.").or_else(|| heading.strip_prefix("答案.")) {
            return Some(Self::ChannelAnswer(channel.to_owned()));
        }
        Some(match heading.to_lowercase().as_str() {
            "id" | "编号" | "faq_id" => Self::Id,
            "question" | "问题" | "标准问" | "标准问题" => Self::Question,
            "similar" | "相似问" | "相似问题" | "similar questions" => Self::Similar,
            "answer" | "答案" | "回答" => Self::Answer,
            "variables" | "变量" => Self::Variables,
            "language" | "语言" => Self::Language,
            "category" | "分类" | "类别" => Self::Category,
            "audience" | "受众" => Self::Audience,
            "valid_from" | "生效时间" => Self::ValidFrom,
            "valid_until" | "失效时间" => Self::ValidUntil,
            "status" | "状态" | "comment" | "备注" => Self::Remark,
            _ => return None,
        })
    }

    fn heading(&self) -> String {
        match self {
            Self::Id => "id".to_owned(),
            Self::Question => "question".to_owned(),
            Self::Similar => "similar".to_owned(),
            Self::Answer => "answer".to_owned(),
            Self::ChannelAnswer(channel) => format!("answer.{channel}"),
            Self::Variables => "variables".to_owned(),
            Self::Language => "language".to_owned(),
            Self::Category => "category".to_owned(),
            Self::Audience => "audience".to_owned(),
            Self::ValidFrom => "valid_from".to_owned(),
            Self::ValidUntil => "valid_until".to_owned(),
            Self::Remark => "comment".to_owned(),
        }
    }
}

type Parsed = Result<(Vec<Row>, Vec<RowError>), FileError>;

pub(super) fn parse_csv(bytes: &[u8]) -> Parsed {
    let broken = |what: String| FileError::Broken { format: Format::Csv, what };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| broken(format!("byte {} is not UTF-8; save it as \"CSV UTF-8\"", error.valid_up_to() + 1)))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<(usize, Vec<String>)> = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| broken(error.to_string()))?;
        rows.push((index + 1, record.iter().map(str::to_owned).collect()));
    }
    parse(Format::Csv, rows)
}

pub(super) fn parse_xlsx(bytes: &[u8]) -> Parsed {
    let broken = |what: String| FileError::Broken { format: Format::Xlsx, what };
    // The reader is somebody else's code over a zip archive that may be anything: a panic in it is a broken file.
    let read = std::panic::catch_unwind(|| {
        let mut book: Xlsx<_> =
            open_workbook_from_rs(Cursor::new(bytes)).map_err(|error: calamine::XlsxError| error.to_string())?;
        let sheet = book.worksheet_range_at(0).ok_or_else(|| "it has no sheet".to_owned())?;
        sheet.map_err(|error: calamine::XlsxError| error.to_string())
    });
    let sheet = read.unwrap_or_else(|_| Err("its structure is damaged".to_owned())).map_err(broken)?;
    let first = sheet.start().map_or(0, |(row, _)| row as usize);
    let rows = sheet.rows().enumerate().map(|(index, cells)| (first + index + 1, cells.iter().map(text_of).collect()));
    parse(Format::Xlsx, rows.collect())
}

/// A cell as somebody would type it.
fn text_of(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        // An id such as 17 is a number to Excel.
        Data::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        other => other.to_string(),
    }
}

fn parse(format: Format, table: Vec<(usize, Vec<String>)>) -> Parsed {
    let broken = |what: String| FileError::Broken { format, what };
    let mut rows = table.into_iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.trim().is_empty()));
    let Some((heading_row, heading)) = rows.next() else { return Ok((Vec::new(), Vec::new())) };
    let mut columns = Vec::with_capacity(heading.len());
    let mut seen = BTreeSet::new();
    for name in &heading {
        if name.trim().is_empty() {
            columns.push(Column::Remark);
            continue;
        }
        let column = Column::named(name).ok_or_else(|| {
            broken(format!(
                "row {heading_row}: there is no column {name:?}; there are id, question, similar, answer, \
                            answer.<channel>, variables, language, category, audience, valid_from, valid_until, comment"
            ))
        })?;
        if column != Column::Remark && !seen.insert(column.clone()) {
            return Err(broken(format!("row {heading_row}: the column {name:?} is there twice")));
        }
        columns.push(column);
    }
    for needed in [Column::Question, Column::Answer] {
        if !seen.contains(&needed) {
            return Err(broken(format!("row {heading_row}: there is no column {:?}", needed.heading())));
        }
    }
    let (mut good, mut errors) = (Vec::new(), Vec::new());
    for (row, cells) in rows {
        match entry(&columns, &cells) {
            Ok((id, content)) => good.push(Row { row, id, content }),
            Err(what) => errors.push(RowError { row, what }),
        }
    }
    Ok((good, errors))
}

fn entry(columns: &[Column], cells: &[String]) -> Result<(String, EntryContent), String> {
    let (mut id, mut content) = (String::new(), EntryContent::default());
    for (index, cell) in cells.iter().enumerate() {
        let text = cell.trim();
        if text.is_empty() {
            continue;
        }
        let column = columns.get(index).ok_or_else(|| format!("there is a cell {text:?} without a heading"))?;
        match column {
            Column::Id => id = text.to_owned(),
            Column::Question => content.question = text.to_owned(),
            Column::Similar => content.similar = text.lines().map(|line| line.trim().to_owned()).collect(),
            Column::Answer => content.answer = text.to_owned(),
            Column::ChannelAnswer(channel) => {
                content.channel_answers.insert(channel.clone(), text.to_owned());
            }
            Column::Variables => content.variables = variables(text)?,
            Column::Language => content.language = Some(text.to_owned()),
            Column::Category => content.category = Some(text.to_owned()),
            Column::Audience => content.audience = word(column, text)?,
            Column::ValidFrom => content.valid_from = Some(word(column, text)?),
            Column::ValidUntil => content.valid_until = Some(word(column, text)?),
            Column::Remark => {}
        }
    }
    Ok((id, content))
}

/// What the contract writes as a JSON string.
fn word<T: DeserializeOwned>(column: &Column, text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| format!("{}: {error}", column.heading()))
}

fn variables(text: &str) -> Result<BTreeMap<String, String>, String> {
    let pair = |line: &str| {
        let (name, value) = line.split_once('=').ok_or_else(|| format!("variables: {line:?} is not name=value"))?;
        Ok((name.trim().to_owned(), value.to_owned()))
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}

/// The table of these entries, its heading first.
fn table_of(rows: &[Row]) -> Result<Vec<Vec<String>>, FileError> {
    let channels: BTreeSet<&String> = rows.iter().flat_map(|row| row.content.channel_answers.keys()).collect();
    let mut columns = vec![Column::Id, Column::Question, Column::Similar, Column::Answer];
    columns.extend(channels.into_iter().map(|channel| Column::ChannelAnswer(channel.clone())));
    columns.extend([Column::Variables, Column::Language, Column::Category, Column::Audience]);
    columns.extend([Column::ValidFrom, Column::ValidUntil]);
    let mut table = vec![columns.iter().map(Column::heading).collect()];
    let mut errors = Vec::new();
    for row in rows {
        // What has a line break in it would be read back as two.
        let lines = row.content.similar.iter().chain(row.content.variables.values());
        if lines.into_iter().any(|text| text.contains(['\n', '\r'])) {
            let what = format!("{}: a way of asking or a variable has a line break; a table cannot hold that", row.id);
            errors.push(RowError { row: table.len() + 1, what });
        }
        table.push(columns.iter().map(|column| cell(row, column)).collect());
    }
    if errors.is_empty() { Ok(table) } else { Err(FileError::Rows(errors)) }
}

fn cell(row: &Row, column: &Column) -> String {
    let content = &row.content;
    match column {
        Column::Id => row.id.clone(),
        Column::Question => content.question.clone(),
        Column::Similar => content.similar.join("\n"),
        Column::Answer => content.answer.clone(),
        Column::ChannelAnswer(channel) => content.channel_answers.get(channel).cloned().unwrap_or_default(),
        Column::Variables => {
            let lines: Vec<String> = content.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.join("\n")
        }
        Column::Language => content.language.clone().unwrap_or_default(),
        Column::Category => content.category.clone().unwrap_or_default(),
        Column::Audience if content.audience == Audience::Agents => "agents".to_owned(),
        Column::Audience | Column::Remark => String::new(),
        Column::ValidFrom => content.valid_from.map(|at| at.to_string()).unwrap_or_default(),
        Column::ValidUntil => content.valid_until.map(|at| at.to_string()).unwrap_or_default(),
    }
}

pub(super) fn to_csv(rows: &[Row]) -> Result<Vec<u8>, FileError> {
    // The mark by which Excel knows UTF-8.
    let mut bytes = "\u{feff}".as_bytes().to_vec();
    let mut writer = csv::Writer::from_writer(&mut bytes);
    for cells in table_of(rows)? {
        writer.write_record(&cells).map_err(std::io::Error::other)?;
    }
    writer.flush()?;
    drop(writer);
    Ok(bytes)
}

pub(super) fn to_xlsx(rows: &[Row]) -> Result<Vec<u8>, FileError> {
    let table = table_of(rows)?;
    let large = |(index, cells): (usize, &Vec<String>)| {
        let large = cells.iter().any(|cell| cell.chars().count() > MAX_CELL_CHARS);
        let what = format!("a cell can hold {MAX_CELL_CHARS} characters; write jsonl or csv");
        large.then_some(RowError { row: index + 1, what })
    };
    let errors: Vec<RowError> = table.iter().enumerate().filter_map(large).collect();
    if !errors.is_empty() {
        return Err(FileError::Rows(errors));
    }
    let failed = |error: XlsxError| FileError::Io(std::io::Error::other(error));
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (row, cells) in table.iter().enumerate() {
        for (column, text) in cells.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            // Both fit: a sheet has a million rows, and there are few columns.
            sheet.write_string(row as u32, column as u16, text).map_err(failed)?;
        }
    }
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    book.save_to_buffer().map_err(failed)
}
