//! All vectors, one row each, in the order in which they came.
//!
//! A row is kept in bfloat16 (the upper half of an `f32`): half the memory and half the file, and the cosine of two
//! embeddings changes by about 10⁻⁴. The file is a head and the rows, each with its checksum; it only grows. Rows at its end
//! that were written but never committed are cut off when it is opened.

use pulp::Arch;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

/// Rows per block: blocks are shared between versions, and only the last one is copied when a row is added.
const BLOCK: usize = 1024;

/// First bytes of the file; the digit is the layout's version.
const MAGIC: &[u8; 8] = b"kefuvec1";

/// Bytes before the first row: the magic and the width.
const HEAD: usize = 16;

/// The file of vectors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It is not there, truncated, changed, or of another width: embed again.
    #[error("{path} is damaged ({reason}): the vectors have to be computed again")]
    Damaged {
        /// Where it is.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The disk fails.
    #[error("{path}: {error}")]
    Failed {
        /// Where it is.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// Vectors of one width. Cheap to clone; a clone does not change.
#[derive(Debug, Clone)]
pub struct Rows {
    width: usize,
    len: usize,
    blocks: Vec<Arc<Vec<u16>>>,
}

impl Rows {
    /// None yet.
    pub fn new(width: usize) -> Self {
        Self { width, len: 0, blocks: Vec::new() }
    }

    /// Numbers per row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// These rows and more. A vector of another width is made to fit, as zeros: it is like nothing.
    #[must_use]
    pub fn with<'a>(&self, vectors: impl IntoIterator<Item = &'a [f32]>) -> Self {
        let mut rows = self.clone();
        for vector in vectors {
            let mut row = vec![0; self.width];
            if vector.len() == self.width {
                row.iter_mut().zip(vector).for_each(|(half, value)| *half = to_half(*value));
            }
            rows.push(&row);
        }
        rows
    }

    fn push(&mut self, row: &[u16]) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::new(Vec::with_capacity(BLOCK * self.width)));
        }
        if let Some(block) = self.blocks.last_mut() {
            Arc::make_mut(block).extend_from_slice(row);
            self.len += 1;
        }
    }

    /// The first `count` of them.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let mut rows = Self::new(self.width);
        (0..count.min(self.len) as u32).for_each(|row| rows.push(self.row(row)));
        rows
    }

    fn row(&self, row: u32) -> &[u16] {
        let (block, at) = (row as usize / BLOCK, row as usize % BLOCK * self.width);
        &self.blocks[block][at..at + self.width]
    }

    /// Copies a row. `vector` has the rows' width.
    pub fn read(&self, row: u32, vector: &mut [f32]) {
        vector.iter_mut().zip(self.row(row)).for_each(|(value, half)| *value = from_half(*half));
    }

    /// The product of a row with a vector, which for vectors of length 1 is their cosine.
    pub fn cosine(&self, row: u32, vector: &[f32]) -> f32 {
        Arch::new().dispatch(
            #[inline(always)]
            || dot(self.row(row), vector),
        )
    }

    /// The `limit` live rows nearest to a vector among those from row `from` on, in no order that matters.
    pub fn nearest(&self, vector: &[f32], limit: usize, from: usize, live: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        if vector.len() != self.width || limit == 0 {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(self.len.saturating_sub(from));
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (number, block) in self.blocks.iter().enumerate().skip(from / BLOCK) {
                    for (at, row) in block.chunks_exact(self.width).enumerate() {
                        let row_number = (number * BLOCK + at) as u32;
                        if row_number as usize >= from && live(row_number) {
                            found.push((row_number, dot(row, vector)));
                        }
                    }
                }
            },
        );
        if found.len() > limit {
            found.select_nth_unstable_by(limit - 1, |one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
            found.truncate(limit);
        }
        found
    }

    /// Reads the first `count` rows of a file and cuts off what follows them.
    pub fn open(path: &Path, width: usize, count: usize) -> Result<Self, RowsError> {
        let damaged = |reason: &str| RowsError::Damaged { path: path.display().to_string(), reason: reason.to_owned() };
        let bytes = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("it is not there"),
            _ => RowsError::Failed { path: path.display().to_string(), error },
        })?;
        if bytes.len() < HEAD || bytes[..HEAD] != head(width) {
            return Err(damaged("it does not begin as one of this width"));
        }
        let row_bytes = 2 * width + 4;
        let length = count.checked_mul(row_bytes).and_then(|length| length.checked_add(HEAD));
        let kept = length.and_then(|length| bytes.get(HEAD..length)).ok_or_else(|| damaged("it is truncated"))?;
        let mut rows = Self::new(width);
        let mut row = vec![0; width];
        for written in kept.chunks_exact(row_bytes) {
            let (values, checksum) = written.split_at(2 * width);
            if crc32fast::hash(values).to_le_bytes() != checksum {
                return Err(damaged("a row has changed"));
            }
            row.iter_mut().zip(values.as_chunks().0).for_each(|(half, bytes)| *half = u16::from_le_bytes(*bytes));
            rows.push(&row);
        }
        if bytes.len() > HEAD + kept.len() {
            let cut =
                OpenOptions::new().write(true).open(path).and_then(|file| file.set_len((HEAD + kept.len()) as u64));
            cut.map_err(|error| RowsError::Failed { path: path.display().to_string(), error })?;
        }
        Ok(rows)
    }

    /// Appends the rows from `from` on to a file that holds those before it, and begins the file if `from` is 0. When it
    /// returns they are on the disk.
    pub fn append_to(&self, path: &Path, from: usize) -> Result<(), RowsError> {
        let write = || -> io::Result<()> {
            let mut file: File = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
            file.set_len(if from == 0 { 0 } else { (HEAD + from * (2 * self.width + 4)) as u64 })?;
            file.seek(SeekFrom::End(0))?;
            let mut bytes = if from == 0 { head(self.width).to_vec() } else { Vec::new() };
            for row in from..self.len {
                let start = bytes.len();
                bytes.extend(self.row(row as u32).iter().flat_map(|half| half.to_le_bytes()));
                let checksum = crc32fast::hash(&bytes[start..]);
                bytes.extend(checksum.to_le_bytes());
            }
            file.write_all(&bytes)?;
            file.sync_data()
        };
        write().map_err(|error| RowsError::Failed { path: path.display().to_string(), error })
    }
}

fn head(width: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..].copy_from_slice(&(width as u64).to_le_bytes());
    head
}

/// The nearest bfloat16, ties to even.
fn to_half(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return 0;
    }
    (bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

fn from_half(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// In 32 lanes, since the order of a plain sum forbids vectors.
#[inline(always)]
fn dot(row: &[u16], vector: &[f32]) -> f32 {
    const LANES: usize = 32;
    let mut lanes = [0.0_f32; LANES];
    let (rows, vectors) = (row.chunks_exact(LANES), vector.chunks_exact(LANES));
    let rest = rows
        .remainder()
        .iter()
        .zip(vectors.remainder())
        .map(|(half, value)| f32::from_bits(u32::from(*half) << 16) * value);
    let rest: f32 = rest.sum();
    for (row, vector) in rows.zip(vectors) {
        for ((lane, half), value) in lanes.iter_mut().zip(row).zip(vector) {
            *lane += f32::from_bits(u32::from(*half) << 16) * value;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: usize, width: usize) -> Rows {
        let vectors: Vec<Vec<f32>> =
            (0..count).map(|row| (0..width).map(|at| ((row * 31 + at * 7) % 13) as f32 - 6.0).collect()).collect();
        Rows::new(width).with(vectors.iter().map(Vec::as_slice))
    }

    fn same(one: &Rows, other: &Rows) -> bool {
        one.len == other.len && (0..one.len as u32).all(|row| one.row(row) == other.row(row))
    }

    #[test]
    fn products_are_those_of_the_rounded_numbers() {
        let rows = sample(3, 40);
        let vector: Vec<f32> = (0..40).map(|at| at as f32 / 8.0).collect();
        let mut row = vec![0.0; 40];
        rows.read(2, &mut row);
        let plain: f32 = row.iter().zip(&vector).map(|(one, other)| one * other).sum();
        assert!((rows.cosine(2, &vector) - plain).abs() < 1e-3, "{plain}");
        assert_eq!((to_half(1.0), from_half(to_half(-0.5)), from_half(to_half(1.003_906_2))), (0x3f80, -0.5, 1.0));
    }

    #[test]
    fn what_was_written_is_read_and_what_was_not_committed_is_cut_off() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("rows");
        let rows = sample(BLOCK + 5, 8);
        rows.first(3).append_to(&path, 0).expect("written");
        rows.append_to(&path, 3).expect("written");
        assert!(same(&Rows::open(&path, 8, rows.len()).expect("read"), &rows));
        assert!(same(&Rows::open(&path, 8, 4).expect("read"), &rows.first(4)));
        assert!(matches!(Rows::open(&path, 8, 5), Err(RowsError::Damaged { .. })));
        // Rows that a lost commit left behind are overwritten by the next one.
        rows.append_to(&path, 4).expect("written");
        assert!(same(&Rows::open(&path, 8, rows.len()).expect("read"), &rows));
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("rows");
        assert!(matches!(Rows::open(&path, 8, 0), Err(RowsError::Damaged { .. })));
        sample(9, 8).append_to(&path, 0).expect("written");
        assert!(matches!(Rows::open(&path, 16, 9), Err(RowsError::Damaged { .. })));
        let bytes = fs::read(&path).expect("file");
        for place in [3, 20, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            fs::write(&path, changed).expect("file");
            assert!(matches!(Rows::open(&path, 8, 9), Err(RowsError::Damaged { .. })), "byte {place}");
        }
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("file");
        assert!(matches!(Rows::open(&path, 8, 9), Err(RowsError::Damaged { .. })));
    }
}
