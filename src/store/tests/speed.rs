//! How fast commits of real conversations are decoded, folded and written. Not a test: a figure to look at.
//!
//! `cargo nextest run --release --lib --run-ignored only --no-capture store::tests::speed`, with `KEFU_SPEED_COMMITS` and
//! `KEFU_SPEED_BATCH` for other sizes than 200,000 and 8,192.

use super::{traffic::traffic, *};
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn of_decoding_folding_and_writing() {
    let numbers = |name: &str, otherwise: usize| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let batch = numbers("KEFU_SPEED_BATCH", 8_192);
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
                folding.push(began.elapsed().as_secs_f64() * 1e6 / chunk.len() as f64);
            }
            let began = Instant::now();
            writer.write().unwrap();
            writing.push(began.elapsed().as_secs_f64() * 1e6 / batch.len() as f64);
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
