//! The vector index beside hnswlib and faiss, on the same vectors, in the same run, one thread each.
//!
//! Vectors are drawn around centres, as embeddings of a knowledge base lie: texts about one thing near each other. Peers run in
//! Python (bench/vectors.py with hnswlib and faiss-cpu from PyPI); their time is measured inside of one call with all
//! questions, so that Python itself costs nothing.

use crate::{
    Result,
    report::{Progress, at_least, rounded},
};
use clap::Args;
use kefu::search::vectors::{Graph, Rows, Vectors};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{io::Write, path::PathBuf, process::Command, sync::Arc, time::Instant};

/// How large the job is.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Vectors
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Numbers per vector
    #[arg(long, default_value_t = 384)]
    width: usize,
    /// Questions
    #[arg(long, default_value_t = 2_000)]
    questions: usize,
    /// Centres that vectors are drawn around
    #[arg(long, default_value_t = 2_000)]
    centres: usize,
    /// How often all questions are asked; the best round counts, for everybody
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A Python that has numpy, hnswlib and faiss-cpu [env: KEFU_BENCH_PYTHON]; without one there are no peers
    #[arg(long, env = "KEFU_BENCH_PYTHON", value_name = "PATH")]
    python: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 100_000, width: 384, questions: 2_000, centres: 2_000, rounds: 5, python: None }
    }
}

/// Neighbours that are looked for.
const NEAREST: usize = 10;

pub fn run(options: &Options, progress: Progress) -> Result<Value> {
    let mut random = StdRng::seed_from_u64(1);
    let centres: Vec<Vec<f32>> = (0..options.centres).map(|_| gaussian(&mut random, options.width)).collect();
    let mut draw = |count: usize| -> Vec<Vec<f32>> {
        let vector = |_| {
            let centre = &centres[random.random_range(0..centres.len())];
            let noise = gaussian(&mut random, options.width);
            unit(centre.iter().zip(noise).map(|(centre, noise)| centre + noise).collect())
        };
        (0..count).map(vector).collect()
    };
    let (vectors, questions) = (draw(options.rows), draw(options.questions));
    let rows = Rows::new(options.width).with(vectors.iter().map(Vec::as_slice));
    progress.say("exact neighbours");
    let exact: Vec<Vec<u32>> = questions.iter().map(|question| nearest(&vectors, question)).collect();
    progress.say("graph");
    let building = Instant::now();
    let graph = Graph::build(&rows)?;
    let build_s = building.elapsed().as_secs_f64();
    let index = Vectors::new(rows, Some(Arc::new(graph)));
    let (mut best_s, mut found) = (f64::INFINITY, Vec::new());
    for _ in 0..options.rounds {
        let asking = Instant::now();
        found = questions.iter().map(|question| index.search(question, NEAREST, |_| true)).collect();
        best_s = best_s.min(asking.elapsed().as_secs_f64());
    }
    let right: usize = found
        .iter()
        .zip(&exact)
        .map(|(found, exact)| found.iter().filter(|(row, _)| exact.contains(row)).count())
        .sum();
    let recall = right as f64 / (NEAREST * questions.len()) as f64;
    let per_s = questions.len() as f64 / best_s;
    let mut value = json!({
        "rows": options.rows, "width": options.width,
        "kefu": {"recall_at_10": recall, "per_s": rounded(per_s), "build_s": rounded(build_s)},
    });
    let mut goals = vec![at_least("recall@10", recall, 0.995)];
    if let Some(python) = &options.python {
        progress.say("peers");
        let peers = peers(python, options, &vectors, &questions, &exact)?;
        for name in ["hnswlib", "faiss"] {
            let peer = peers[name]["per_s"].as_f64().ok_or("a peer gave no figure")?;
            goals.push(at_least(&format!("queries per second beside {name}'s"), per_s / peer, 1.0));
        }
        value["peers"] = peers;
    }
    value["goals"] = json!(goals);
    Ok(value)
}

fn gaussian(random: &mut StdRng, width: usize) -> Vec<f32> {
    // The sum of twelve uniform numbers less six is as good as normal here.
    (0..width).map(|_| (0..12).map(|_| random.random_range(0.0..1.0_f32)).sum::<f32>() - 6.0).collect()
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

fn nearest(vectors: &[Vec<f32>], question: &[f32]) -> Vec<u32> {
    let product = |vector: &Vec<f32>| vector.iter().zip(question).map(|(one, other)| one * other).sum::<f32>();
    let mut all: Vec<(f32, u32)> = vectors.iter().map(product).zip(0..).collect();
    all.select_nth_unstable_by(NEAREST - 1, |one, other| other.0.total_cmp(&one.0));
    all.into_iter().take(NEAREST).map(|(_, row)| row).collect()
}

fn peers(
    python: &PathBuf,
    options: &Options,
    vectors: &[Vec<f32>],
    questions: &[Vec<f32>],
    exact: &[Vec<u32>],
) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, bytes: &mut dyn Iterator<Item = [u8; 4]>| -> Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(folder.path().join(name))?);
        for number in bytes {
            file.write_all(&number)?;
        }
        Ok(file.flush()?)
    };
    write("vectors", &mut vectors.iter().flatten().map(|value| value.to_le_bytes()))?;
    write("questions", &mut questions.iter().flatten().map(|value| value.to_le_bytes()))?;
    write("exact", &mut exact.iter().flatten().map(|row| row.to_le_bytes()))?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors.py");
    let (width, rounds) = (options.width.to_string(), options.rounds.to_string());
    let output = Command::new(python).arg(script).arg(folder.path()).args([width, rounds]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
