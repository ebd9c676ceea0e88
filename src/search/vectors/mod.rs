//! The vector index: which pieces of text mean the same as a question (cosine of embeddings).
//!
//! - [`Rows`]: all vectors, one after the other, in memory and in a file that only grows;
//! - [`Graph`]: a graph over the first of them (HNSW, by usearch), made from [`GRAPH_FROM`] rows on.
//!
//! Below [`GRAPH_FROM`] rows every one is compared, which is exact and takes less than a millisecond. A graph is never
//! changed: rows that came after it are compared one by one until a new one is made aside. So a search needs no lock, and
//! whoever holds a [`Vectors`] keeps seeing what it saw.
//!
//! It knows rows by number. Which entry a row belongs to, and whether that may still be used, is the caller's.

mod graph;
mod rows;

pub use graph::Graph;
pub use rows::{Rows, RowsError};

use std::sync::Arc;

/// From how many rows a graph is worth its making: below, an exact search takes less time than the rest of a decision.
pub const GRAPH_FROM: usize = 10_000;

/// Rows and the graph over the first of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vectors {
    rows: Rows,
    graph: Option<Arc<Graph>>,
}

impl Vectors {
    /// Of rows, and of a graph over the first of them where there is one. A graph of more rows than there are is of no use.
    pub fn new(rows: Rows, graph: Option<Arc<Graph>>) -> Self {
        let graph = graph.filter(|graph| graph.len() <= rows.len());
        Self { rows, graph }
    }

    /// All rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The graph, where there is one.
    pub fn graph(&self) -> Option<&Arc<Graph>> {
        self.graph.as_ref()
    }

    /// Whether a (new) graph should be made: there is none, or it leaves out a quarter of the rows.
    pub fn wants_graph(&self) -> bool {
        let covered = self.graph.as_ref().map_or(0, |graph| graph.len());
        let tail = self.rows.len() - covered;
        self.rows.len() >= GRAPH_FROM && (covered == 0 || tail >= GRAPH_FROM.max(covered / 4))
    }

    /// The `limit` rows nearest to a vector of length 1 among those that are `live`: row and cosine, best first. Ties are in
    /// the order of rows.
    pub fn search(&self, vector: &[f32], limit: usize, live: impl Fn(u32) -> bool) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        let mut from = 0;
        if let Some(graph) = &self.graph {
            let candidates = graph.search(vector, limit, &live);
            // The graph's distances are rounded more; what is compared with others must not be.
            found.extend(candidates.into_iter().map(|row| (row, self.rows.cosine(row, vector))));
            from = graph.len();
        }
        found.extend(self.rows.nearest(vector, limit, from, live));
        found.sort_unstable_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        found.truncate(limit);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    const WIDTH: usize = 32;

    fn unit(random: &mut StdRng) -> Vec<f32> {
        let vector: Vec<f32> = (0..WIDTH).map(|_| random.random_range(-1.0..1.0)).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.into_iter().map(|value| value / length).collect()
    }

    #[test]
    fn a_graph_and_the_rows_after_it_give_what_comparing_all_gives() {
        let mut random = StdRng::seed_from_u64(1);
        let vectors: Vec<Vec<f32>> = (0..3_000).map(|_| unit(&mut random)).collect();
        let rows = Rows::new(WIDTH).with(vectors.iter().map(Vec::as_slice));
        let graph = Graph::build(&rows.first(2_500)).expect("graph");
        let (exact, hybrid) = (Vectors::new(rows.clone(), None), Vectors::new(rows, Some(Arc::new(graph))));
        let live = |row: u32| !row.is_multiple_of(7);
        let mut same = 0;
        for _ in 0..100 {
            let question = unit(&mut random);
            let (all, found) = (exact.search(&question, 10, live), hybrid.search(&question, 10, live));
            assert!(found.iter().chain(&all).all(|(row, _)| live(*row)));
            assert!(all.is_sorted_by(|one, other| one.1 >= other.1));
            same += all.iter().filter(|(row, _)| found.iter().any(|(found, _)| found == row)).count();
        }
        assert!(same >= 950, "{same} of 1000");
    }

    #[test]
    fn whoever_holds_the_rows_keeps_seeing_what_it_saw() {
        let mut random = StdRng::seed_from_u64(2);
        let (first, second) = (unit(&mut random), unit(&mut random));
        let before = Rows::new(WIDTH).with([first.as_slice()]);
        let after = before.with([second.as_slice()]);
        let nearest = |rows: Rows| Vectors::new(rows, None).search(&second, 1, |_| true)[0].0;
        assert_eq!((nearest(before), nearest(after)), (0, 1));
    }

    #[test]
    fn no_rows_give_nothing() {
        assert!(Vectors::new(Rows::new(WIDTH), None).search(&[0.0; WIDTH], 5, |_| true).is_empty());
    }
}
