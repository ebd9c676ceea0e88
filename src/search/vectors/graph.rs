//! A graph over vectors (HNSW), made once and never changed.

use super::Rows;
use std::{fs, io, path::Path};
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

/// Neighbours per row, and candidates while building and searching: recall@10 of 0.995 to 0.996 on 100,000 × 384 (`kefu-bench vectors`).
/// With 48 candidates it is half of one in a thousand more, at seven eighths of the questions per second.
const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;
const EXPANSION_SEARCH: usize = 40;

/// The graph.
pub struct Graph {
    index: Index,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph of {} rows", self.len())
    }
}

impl Graph {
    /// Of all of these rows. Takes about a millisecond per row, on this thread: do it aside.
    pub fn build(rows: &Rows) -> Result<Self, io::Error> {
        let index = empty(rows.width())?;
        index.reserve(rows.len()).map_err(io::Error::other)?;
        let mut vector = vec![0.0; rows.width()];
        for row in 0..rows.len() as u32 {
            rows.read(row, &mut vector);
            index.add(u64::from(row), &vector).map_err(io::Error::other)?;
        }
        Ok(Self { index })
    }

    /// Reads what [`save`](Self::save) wrote. An error says that it is not there or of no use, and another one can be made.
    pub fn open(path: &Path, width: usize) -> Result<Self, io::Error> {
        // usearch's own checks of a truncated file are not complete; the length is written last.
        let bytes = fs::read(path)?;
        let (body, end) = bytes.split_at(bytes.len().saturating_sub(8));
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", path.display()));
        let checksum = u64::from(crc32fast::hash(body));
        if end != checksum.to_le_bytes() {
            return Err(damaged());
        }
        let index = empty(width)?;
        index.load_from_buffer(body).map_err(|_| damaged())?;
        if index.dimensions() != width {
            return Err(damaged());
        }
        index.change_expansion_search(EXPANSION_SEARCH);
        Ok(Self { index })
    }

    /// Writes it to a file, which is complete or not there at all.
    pub fn save(&self, path: &Path) -> Result<(), io::Error> {
        let mut bytes = vec![0; self.index.serialized_length()];
        self.index.save_to_buffer(&mut bytes).map_err(io::Error::other)?;
        bytes.extend(u64::from(crc32fast::hash(&bytes)).to_le_bytes());
        let aside = path.with_extension("new");
        fs::write(&aside, bytes)?;
        fs::File::open(&aside)?.sync_all()?;
        fs::rename(aside, path)
    }

    /// How many rows it has: those with the numbers below this one.
    pub fn len(&self) -> usize {
        self.index.size()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About the `limit` nearest rows that are live, in no order that matters.
    pub fn search(&self, vector: &[f32], limit: usize, live: impl Fn(u32) -> bool) -> Vec<u32> {
        let rows =
            |matches: usearch::ffi::Matches| -> Vec<u32> { matches.keys.into_iter().map(|row| row as u32).collect() };
        // Asking for each row whether it is live takes a third of the time, and mostly all of them are.
        let found = self.index.search(vector, limit).map(rows).unwrap_or_default();
        if found.iter().all(|row| live(*row)) {
            return found;
        }
        // It fails when memory ends or the vector is of another width; the rows after the graph still answer.
        self.index.filtered_search(vector, limit, |row| live(row as u32)).map(rows).unwrap_or_default()
    }
}

fn empty(width: usize) -> Result<Index, io::Error> {
    Index::new(&IndexOptions {
        dimensions: width,
        metric: MetricKind::IP,
        quantization: ScalarKind::BF16,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_ADD,
        expansion_search: EXPANSION_SEARCH,
        multi: false,
    })
    .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_graph_is_the_same_and_a_damaged_one_is_told() {
        let rows = Rows::new(4)
            .with((0..50).map(|_| [0.6, 0.8, 0.0, 0.0]).collect::<Vec<_>>().iter().map(|row| row.as_slice()));
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("graph");
        Graph::build(&rows).expect("built").save(&path).expect("saved");
        let graph = Graph::open(&path, 4).expect("opened");
        assert_eq!((graph.len(), graph.search(&[0.6, 0.8, 0.0, 0.0], 5, |_| true).len()), (50, 5));
        assert!(Graph::open(&path, 8).is_err());
        let bytes = fs::read(&path).expect("file");
        for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).expect("file");
            assert!(Graph::open(&path, 4).is_err(), "cut to {cut}");
        }
    }
}
