//! What is damaged is never served: it is put aside, and a new store is begun.

use super::*;
use std::{fs, path::PathBuf};

/// A store with some files.
fn written() -> (TempDir, Log) {
    let mut log = Log::new();
    (0..500).for_each(|number| _ = log.add(&format!("key-{number}"), number));
    let dir = TempDir::new().unwrap();
    let (_store, mut writer) = open(&dir);
    log.feed(&mut writer);
    writer.flush().unwrap();
    (dir, log)
}

fn file(dir: &TempDir, found: impl Fn(&str) -> bool) -> PathBuf {
    let files = fs::read_dir(dir.path().join("store")).unwrap().map(|entry| entry.unwrap());
    let file = files.into_iter().find(|file| found(&file.file_name().to_string_lossy())).unwrap();
    file.path()
}

fn assert_rebuilds(dir: &TempDir, log: &Log) {
    let (store, mut writer) = open(dir);
    assert_eq!((writer.start(), store.projected()), (0, 0));
    assert!(dir.path().join("store.damaged").exists());
    log.feed(&mut writer);
    assert_eq!(contents(&store), contents_after(log, log.end()));
    drop((store, writer));
    assert_eq!(open(dir).1.start(), log.end(), "the mark is gone with the damage");
}

#[test]
fn a_truncated_file() {
    let (dir, log) = written();
    let sst = file(&dir, |name| name.ends_with(".sst"));
    let half = fs::metadata(&sst).unwrap().len() / 2;
    fs::File::options().write(true).open(&sst).unwrap().set_len(half).unwrap();
    assert_rebuilds(&dir, &log);
}

#[test]
fn a_missing_file() {
    let (dir, log) = written();
    fs::remove_file(file(&dir, |name| name.ends_with(".sst"))).unwrap();
    assert_rebuilds(&dir, &log);
}

#[test]
fn no_current_file() {
    let (dir, log) = written();
    fs::remove_file(dir.path().join("store/CURRENT")).unwrap();
    assert_rebuilds(&dir, &log);
    // And once more: what had been put aside before gives way.
    fs::remove_file(dir.path().join("store/CURRENT")).unwrap();
    assert_rebuilds(&dir, &log);
}

#[test]
fn a_manifest_that_is_gone_or_is_something_else() {
    let (dir, log) = written();
    fs::remove_file(file(&dir, |name| name.starts_with("MANIFEST"))).unwrap();
    assert_rebuilds(&dir, &log);
    fs::write(file(&dir, |name| name.starts_with("MANIFEST")), b"no manifest").unwrap();
    assert_rebuilds(&dir, &log);
}

#[test]
fn a_flipped_bit_is_noticed_when_it_is_read_and_mended_at_the_next_start() {
    let (dir, log) = written();
    // The snapshots' file is the largest.
    let files = fs::read_dir(dir.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
    let sst = files.filter(|path| path.extension().is_some_and(|name| name == "sst"));
    let sst = sst.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&sst).unwrap();
    for position in (0..bytes.len() / 2).step_by(100) {
        bytes[position] ^= 1;
    }
    fs::write(&sst, bytes).unwrap();
    let (store, writer) = open(&dir);
    let read = |number: u64| store.snapshot("acme", AggregateKind::Conversation, &format!("key-{number}"));
    let error = (0..500).find_map(|number| read(number).err()).unwrap();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    drop((store, writer));
    assert_rebuilds(&dir, &log);
}

#[test]
fn a_store_that_is_in_use_is_not_taken_for_damaged() {
    let (dir, _) = written();
    let _open = open(&dir);
    let second = Store::open(&dir.path().join("store"), &options(), folds(), Vec::new());
    let error = second.err().unwrap();
    assert_eq!(error, StoreError::Locked(dir.path().join("store")));
    assert!(!dir.path().join("store.damaged").exists());
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("store"), b"a file").unwrap();
    let error = Store::open(&dir.path().join("store"), &options(), folds(), Vec::new()).err().unwrap();
    assert!(matches!(error, StoreError::Io(_)), "{error:?}");
}

#[test]
fn a_full_disk_is_reported() {
    // A process of its own, whose files may not grow: the same as a full disk, but for the number of the error.
    let dir = TempDir::new().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 256; exec \"$0\" --ignored --exact --nocapture \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("store::tests::damage::in_a_process_whose_files_may_not_grow")
        .env("KEFU_TEST_DIR", dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.contains("1 passed"), "{output}");
}

#[test]
#[ignore = "run by a_full_disk_is_reported"]
fn in_a_process_whose_files_may_not_grow() {
    let Some(dir) = std::env::var_os("KEFU_TEST_DIR") else { return };
    let (store, mut writer) = open_with(Path::new(&dir), Vec::new());
    let mut log = Log::new();
    // More than the 128 KiB that a file may have, compressed too.
    (0..20_000).for_each(|number| _ = log.add(&kefu_events::key::short_hash(&number.to_string()), number));
    log.feed_to(10_000, &mut writer, &[1_000]);
    let error = writer.flush().unwrap_err();
    assert!(matches!(error, StoreError::DiskFull(_)), "{error:?}");
    // Nor is a later write taken for written.
    writer.fold(&[log.decode(&writer.folds(), 10_001).unwrap()]).unwrap();
    assert!(writer.write().is_err());
    assert_eq!(store.projected(), 10_000);
}
