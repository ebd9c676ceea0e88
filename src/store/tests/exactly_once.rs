//! Whatever happens between two batches, the store holds what the log says, each commit counted once.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Add(u8, i8),
    Wait(u8, bool, Option<u8>),
    Set(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..6_u8, any::<i8>()).prop_map(|(key, number)| Step::Add(key, number)),
        (0..6_u8, any::<bool>(), any::<Option<u8>>()).prop_map(|(key, second, due)| Step::Wait(key, second, due)),
        (0..3_u8).prop_map(Step::Set),
    ];
    prop::collection::vec(step, 1..120)
}

fn log_of(steps: &[Step]) -> Log {
    let mut log = Log::new();
    let key = |number: &u8| "k".repeat(usize::from(*number) + 1);
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Add(which, number) => log.add(&key(which), i64::from(*number)),
            Step::Wait(which, second, due) => {
                log.wait(&key(which), *second, due.map(|due| at(i64::from(due) * 100 - 5_000)))
            }
            Step::Set(0) => log.set("tenant", serde_json::json!({"name": format!("Acme {index}")})),
            Step::Set(channel) => log.set(&format!("channel-c{channel}"), serde_json::json!({"wrap_up_s": index})),
        };
    }
    log
}

proptest! {
    // Each case opens four databases, which takes tenths of a second. PROPTEST_CASES does more.
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_and_any_kills_give_the_same_store(
        steps in steps(),
        batches in prop::collection::vec(1..20_usize, 1..10),
        flush_at in any::<prop::sample::Index>(),
        kill_at in any::<prop::sample::Index>(),
    ) {
        let log = log_of(&steps);
        let end = log.end();
        let kill_at = kill_at.index(steps.len()) as u64 + 1;
        let flush_at = flush_at.index(kill_at as usize) as u64;

        let dir = TempDir::new().unwrap();
        let (_store, mut writer) = open(&dir);
        log.feed_to(flush_at, &mut writer, &batches);
        writer.flush().unwrap();
        log.feed_to(kill_at, &mut writer, &batches);
        let left = killed(&dir);

        let (store, mut writer) = open(&left);
        // What was flushed is there and nothing else, or it would be counted twice.
        prop_assert_eq!(writer.start(), flush_at);
        prop_assert_eq!(store.projected(), flush_at);
        prop_assert_eq!(contents(&store), contents_after(&log, flush_at));
        log.feed_to(end, &mut writer, &batches);
        prop_assert_eq!(store.projected(), end);
        prop_assert_eq!(contents(&store), contents_after(&log, end));
    }
}

#[test]
fn a_rebuilt_store_equals_the_first_one() {
    let mut log = Log::new();
    for number in 0..3_000 {
        log.add(&format!("key-{}", number % 700), number);
        if number % 3 == 0 {
            log.wait(&format!("key-{}", number % 400), number % 2 == 0, Some(at(number)));
        }
    }
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    let first = contents(&store);
    drop((store, writer));
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();

    let (store, mut writer) = open(&dir);
    assert_eq!((writer.start(), contents(&store).len()), (0, 0));
    log.feed(&mut writer);
    assert_eq!(contents(&store), first);
}

#[test]
fn a_store_that_was_closed_reads_nothing_again() {
    let mut log = Log::new();
    (0..10).for_each(|number| _ = log.add("k", number));
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    let before = contents(&store);
    drop((store, writer));

    let (store, writer) = open(&dir);
    assert_eq!((writer.start(), store.projected()), (10, 10));
    assert_eq!(contents(&store), before);
}

#[test]
fn what_was_folded_but_not_written_is_forgotten() {
    let mut log = Log::new();
    log.add("k", 1);
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    log.add("k", 10);
    log.set("tenant", serde_json::json!({}));
    let folds = writer.folds();
    let folded: Vec<_> = (2..=3).map(|seq| log.decode(&folds, seq).unwrap()).collect();
    writer.fold(&folded).unwrap();
    assert_eq!(contents(&store), contents_after(&log, 1));

    writer.abandon().unwrap();
    log.feed(&mut writer);
    assert_eq!(contents(&store), contents_after(&log, 3));
}

#[test]
fn commits_out_of_order_are_refused() {
    let mut log = Log::new();
    (0..3).for_each(|number| _ = log.add("k", number));
    let dir = TempDir::new().unwrap();
    let (_store, mut writer) = open(&dir);
    log.feed(&mut writer);
    let again = log.decode(&writer.folds(), 3).unwrap();
    assert_eq!(writer.fold(&[again]), Err(StoreError::OutOfOrder { seq: 3, after: 3 }));
}
