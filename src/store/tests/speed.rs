//! How fast commits of real conversations are decoded, folded and written. Not a test: a figure to look at.
//!
//! `cargo nextest run --release --lib --run-ignored only --no-capture store::tests::speed`, with `KEFU_SPEED_COMMITS` and
//! `KEFU_SPEED_BATCH` for other sizes than 200,000 and 65,536.

use super::{traffic::traffic, *};
use std::time::Instant;

/// As in the binary: the figures mean nothing with another one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[test]
#[ignore = "a measurement"]
fn of_decoding_folding_and_writing() {
    let numbers = |name: &str, otherwise: usize| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let batch = numbers("KEFU_SPEED_BATCH", 65_536);
    let all = numbers("KEFU_SPEED_COMMITS", 200_000);
    for messages in [20, 4, 1] {
        let conversations = all / messages;
        let log = traffic(conversations, messages);
        let bytes: usize = log.iter().map(|(_, payload)| payload.len()).sum();
        println!("{} commits of {} bytes, {conversations} conversations", log.len(), bytes / log.len());
        let dir = TempDir::new().unwrap();
        let (store, mut writer) = Store::open(&dir.path().join("store"), &options(), Folds::all(), vec![]).unwrap();
        let folds = writer.folds();
        writer.follow("log", log.len() as u64).unwrap();
        let (mut decoding, mut folding, mut writing) = (Vec::new(), Vec::new(), Vec::new());
        let mut seq = 0;
        for batch in log.chunks(batch) {
            for chunk in batch.chunks(512) {
                let began = Instant::now();
                let commits: Vec<_> = chunk
                    .iter()
                    .map(|(subject, payload)| {
                        seq += 1;
                        DecodedCommit::decode(&folds, seq, subject, payload).unwrap()
                    })
                    .collect();
                decoding.push(began.elapsed().as_secs_f64() * 1e6 / chunk.len() as f64);
                let began = Instant::now();
                writer.fold(&commits).unwrap();
                drop(commits);
                let folded = began.elapsed();
                if writer.unwritten_bytes() > 32 << 20 {
                    let (began, count) = (Instant::now(), writer.unwritten());
                    writer.write().unwrap();
                    writing.push(began.elapsed().as_secs_f64() * 1e6 / count as f64);
                }
                folding.push(folded.as_secs_f64() * 1e6 / chunk.len() as f64);
            }
            let (began, count) = (Instant::now(), writer.unwritten().max(1));
            writer.write().unwrap();
            writing.push(began.elapsed().as_secs_f64() * 1e6 / count as f64);
        }
        for (what, mut each) in [("decode", decoding), ("fold", folding), ("write", writing)] {
            each.sort_by(f64::total_cmp);
            // On a busy machine only the quickest chunks were not interrupted.
            println!(
                "{what}: {:.2} µs per commit, a tenth of the chunks {:.2}",
                each[each.len() / 2],
                each[each.len() / 10]
            );
        }
        println!("{:?}", store.figures());
    }
}
