//! Parquet files: columns of plain types, written row group by row group under a temporary name.

use parquet::{
    basic::{Compression, ConvertedType, Repetition, Type as Physical},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::Type,
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows of a row group: enough for compression, little enough to be held in memory many times over.
const GROUP_ROWS: usize = 65_536;

/// What a column holds. All can be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Integer,
    Number,
    Truth,
    /// Milliseconds of UTC since 1970.
    Time,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub name: &'static str,
    pub shape: Shape,
    /// What it says, for people.
    pub help: &'static str,
    /// It tells of a person: null unless that was asked for.
    pub personal: bool,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Number(f64),
    Truth(bool),
    Time(i64),
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<kefu_events::Timestamp> for Cell {
    fn from(at: kefu_events::Timestamp) -> Self {
        Self::Time(at.as_millis())
    }
}

impl From<Option<kefu_events::Timestamp>> for Cell {
    fn from(at: Option<kefu_events::Timestamp>) -> Self {
        at.map_or(Self::Null, Self::from)
    }
}

/// A file being written: it has its name only once it is whole.
pub(super) struct Part {
    columns: &'static [Column],
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    rows: Vec<Vec<Cell>>,
}

fn schema(columns: &[Column]) -> Result<Type, ParquetError> {
    let fields = columns.iter().map(|column| {
        let (physical, converted) = match column.shape {
            Shape::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
            Shape::Integer => (Physical::INT64, ConvertedType::INT_64),
            Shape::Number => (Physical::DOUBLE, ConvertedType::NONE),
            Shape::Truth => (Physical::BOOLEAN, ConvertedType::NONE),
            Shape::Time => (Physical::INT64, ConvertedType::TIMESTAMP_MILLIS),
        };
        let field = Type::primitive_type_builder(column.name, physical).with_converted_type(converted);
        Ok(Arc::new(field.with_repetition(Repetition::OPTIONAL).build()?))
    });
    Type::group_type_builder("row").with_fields(fields.collect::<Result<_, ParquetError>>()?).build()
}

impl Part {
    pub(super) fn create(path: &Path, columns: &'static [Column]) -> Result<Self, ParquetError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = File::create(unfinished(path))?;
        let writer = SerializedFileWriter::new(file, Arc::new(schema(columns)?), Arc::new(properties))?;
        Ok(Self { columns, path: path.to_owned(), writer, rows: Vec::new() })
    }

    pub(super) fn add(&mut self, row: Vec<Cell>) -> Result<(), ParquetError> {
        self.rows.push(row);
        if self.rows.len() == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for at in 0..self.columns.len() {
            let Some(mut column) = group.next_column()? else { break };
            let cells = rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null));
            let levels: Vec<i16> = cells.clone().map(|cell| i16::from(*cell != Cell::Null)).collect();
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(writer) => {
                    let text = |cell: &Cell| match cell {
                        Cell::Text(text) => Some(ByteArray::from(text.as_bytes().to_vec())),
                        _ => None,
                    };
                    writer.write_batch(&cells.filter_map(text).collect::<Vec<_>>(), Some(&levels), None)?;
                }
                ColumnWriter::Int64ColumnWriter(writer) => {
                    let number = |cell: &Cell| match cell {
                        Cell::Integer(number) | Cell::Time(number) => Some(*number),
                        _ => None,
                    };
                    writer.write_batch(&cells.filter_map(number).collect::<Vec<_>>(), Some(&levels), None)?;
                }
                ColumnWriter::DoubleColumnWriter(writer) => {
                    let number = |cell: &Cell| match cell {
                        Cell::Number(number) => Some(*number),
                        _ => None,
                    };
                    writer.write_batch(&cells.filter_map(number).collect::<Vec<_>>(), Some(&levels), None)?;
                }
                ColumnWriter::BoolColumnWriter(writer) => {
                    let truth = |cell: &Cell| match cell {
                        Cell::Truth(truth) => Some(*truth),
                        _ => None,
                    };
                    writer.write_batch(&cells.filter_map(truth).collect::<Vec<_>>(), Some(&levels), None)?;
                }
                _ => return Err(ParquetError::General("a column of another type".to_owned())),
            }
            column.close()?;
        }
        group.close()?;
        Ok(())
    }

    /// Writes what is left, and gives the file its name; its size comes back.
    pub(super) fn finish(mut self) -> Result<u64, ParquetError> {
        self.write_group()?;
        let file = self.writer.into_inner()?;
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        fs::rename(unfinished(&self.path), &self.path)?;
        Ok(bytes)
    }
}

/// The name of a file that is not whole: no reader takes it for one.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("unfinished")
}

/// Deletes files of an export that was cut off: those that are not whole, and those that begin behind `seq`.
pub(super) fn clear(folder: &Path, seq: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            clear(&path, seq)?;
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let first = stem.strip_prefix("part-").and_then(|number| number.parse::<u64>().ok());
        let is_ours = matches!(path.extension().and_then(|name| name.to_str()), Some("parquet" | "unfinished"));
        if is_ours
            && first.is_some_and(|first| first > seq || path.extension().is_some_and(|name| name == "unfinished"))
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
