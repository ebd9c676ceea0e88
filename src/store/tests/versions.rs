//! Versions of projections, of lists and of aggregates' states.

use super::*;
use std::sync::Arc;

/// Counts all commits.
struct Counter<const VERSION: u32> {
    count: u64,
    reads_older: bool,
}

impl<const VERSION: u32> Counter<VERSION> {
    fn boxed(reads_older: bool) -> Box<dyn Projection> {
        Box::new(Self { count: 0, reads_older })
    }
}

impl<const VERSION: u32> Projection for Counter<VERSION> {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::new("", Shape::Points)]
    }

    fn reads(&self, _: u32) -> bool {
        self.reads_older
    }

    fn load(&mut self, view: &View) -> Result<(), StoreError> {
        self.count = view.get(0, b"count")?.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
        Ok(())
    }

    fn fold(&mut self, _: &DecodedCommit, _: &mut Batch<'_>) -> Result<(), StoreError> {
        self.count += u64::from(VERSION);
        Ok(())
    }

    fn finish(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        batch.put(0, b"count", &self.count.to_be_bytes());
        Ok(())
    }
}

fn count(store: &Store) -> Option<u64> {
    let count = store.view("counter")?.get(0, b"count").unwrap()?;
    Some(u64::from_be_bytes(count.try_into().unwrap()))
}

fn ten_commits() -> Log {
    let mut log = Log::new();
    (0..10).for_each(|number| _ = log.add("k", number));
    log
}

#[test]
fn a_new_version_is_built_beside_the_old_one_which_is_served_meanwhile() {
    let log = ten_commits();
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open_with(dir.path(), vec![Counter::<1>::boxed(false)]);
    assert_eq!(count(&store), None);
    log.feed_to(5, &mut writer, &[2]);
    assert_eq!(count(&store), None, "half built is not served");
    log.feed(&mut writer);
    assert_eq!(count(&store), Some(10));
    drop((store, writer));

    let (store, mut writer) = open_with(dir.path(), vec![Counter::<2>::boxed(true)]);
    assert_eq!((writer.start(), store.projected()), (0, 10), "only the new one reads from the first commit on");
    assert_eq!(count(&store), Some(10));
    log.feed_to(5, &mut writer, &[2]);
    assert_eq!(count(&store), Some(10));
    writer.flush().unwrap();
    let half_way = killed(&dir);
    log.feed(&mut writer);
    assert_eq!(count(&store), Some(20));
    assert_eq!(contents(&store), contents_after(&log, 10));
    drop((store, writer));
    let families = rocksdb::DB::list_cf(&rocksdb::Options::default(), dir.path().join("store")).unwrap();
    assert!(families.contains(&"counter@2".to_owned()) && !families.contains(&"counter@1".to_owned()));

    let (store, mut writer) = open_with(half_way.path(), vec![Counter::<2>::boxed(true)]);
    assert_eq!((writer.start(), count(&store)), (5, Some(10)));
    log.feed(&mut writer);
    assert_eq!(count(&store), Some(20));
}

#[test]
fn an_old_version_that_nobody_can_read_is_dropped_and_two_versions_can_run_at_once() {
    let log = ten_commits();
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open_with(dir.path(), vec![Counter::<1>::boxed(false)]);
    log.feed(&mut writer);
    drop((store, writer));

    let (store, mut writer) = open_with(dir.path(), vec![Counter::<1>::boxed(false), Counter::<3>::boxed(false)]);
    assert_eq!(count(&store), Some(10));
    log.feed(&mut writer);
    assert_eq!(count(&store), Some(30));
    drop((store, writer));

    let (store, writer) = open_with(dir.path(), vec![Counter::<4>::boxed(false)]);
    assert_eq!((count(&store), writer.start()), (None, 0));
}

#[test]
fn a_new_list_is_filled_from_the_snapshots() {
    let log = ten_commits();
    let dir = TempDir::new().unwrap();
    let without = || Folds::new().with::<Tally>(&[]).with::<settings_kind::Documents>(&[]);
    let path = dir.path().join("store");
    let (store, mut writer) = Store::open(&path, &options(), without(), Vec::new()).unwrap();
    log.feed(&mut writer);
    drop((store, writer));

    let (store, writer) = open(&dir);
    assert_eq!(writer.start(), 10, "the log is not read again");
    assert_eq!(contents(&store), contents_after(&log, 10));
    drop((store, writer));

    // Another version of it, which finds everything under its key; then none at all.
    let entries: fn(Subject<'_>, &Tracked<TallyState>, &mut Entries) =
        |subject, _, entries| entries.add(&[subject.key.as_bytes()], &[]);
    let folds =
        Folds::new().with::<Tally>(&[List { version: 2, entries, ..BY_TOTAL }]).with::<settings_kind::Documents>(&[]);
    let (store, writer) = Store::open(&path, &options(), folds, Vec::new()).unwrap();
    let mut found = Vec::new();
    store
        .list("by_total", b"", b"", |key, _| {
            found.push(key.to_vec());
            true
        })
        .unwrap();
    assert_eq!((writer.start(), found), (10, vec![b"k".to_vec()]));
    drop((store, writer));
    drop(Store::open(&path, &options(), without(), Vec::new()).unwrap());
    let families = rocksdb::DB::list_cf(&rocksdb::Options::default(), &path).unwrap();
    assert!(!families.iter().any(|family| family.contains("by_total")), "{families:?}");
    let (store, _writer) = open(&dir);
    assert_eq!(contents(&store), contents_after(&log, 10));
}

#[test]
fn another_state_version_is_built_from_the_log() {
    let log = ten_commits();
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    drop((store, writer));
    // One kind less, as another version of one would be.
    let folds = Folds::new().with::<Tally>(&[BY_TOTAL]);
    let (store, mut writer) = Store::open(&dir.path().join("store"), &options(), folds, Vec::new()).unwrap();
    assert_eq!((writer.start(), store.projected()), (0, 0));
    assert_eq!(store.snapshot("acme", AggregateKind::Conversation, "k").unwrap(), None);
    log.feed(&mut writer);
    assert!(store.snapshot("acme", AggregateKind::Conversation, "k").unwrap().is_some());
    let settings = store.projections().into_iter().find(|status| status.name == "settings").unwrap();
    assert!(settings.built && settings.seq == 10);
}

#[test]
fn a_projection_that_does_not_match_the_log_is_dropped_and_the_others_are_not() {
    let log = ten_commits();
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open_with(dir.path(), vec![Counter::<1>::boxed(false)]);
    log.feed(&mut writer);
    let projected = store.watch_projected();
    writer.reset("counter@1", "a test").unwrap();
    assert_eq!((writer.start(), store.projected(), count(&store)), (0, 10, None));
    let (aggregates, _) = writer.checkpoints().remove(0);
    writer.reset(&aggregates, "a test").unwrap();
    assert_eq!((store.projected(), *projected.borrow()), (0, 0));
    assert!(contents(&store).is_empty());
    let left = killed(&dir);
    log.feed(&mut writer);
    assert_eq!((store.projected(), count(&store)), (10, Some(10)));
    assert_eq!(contents(&store), contents_after(&log, 10));

    // Killed between the drop and the first write.
    let (store, mut writer) = open_with(left.path(), vec![Counter::<1>::boxed(false)]);
    assert_eq!((writer.start(), store.projected(), count(&store)), (0, 0, None));
    log.feed(&mut writer);
    assert_eq!(contents(&store), contents_after(&log, 10));
    assert!(Arc::strong_count(&store.0) > 1);
}
