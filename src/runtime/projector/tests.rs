//! The projector on the in-memory twin of the bus.

use super::*;
use crate::{
    journal::memory::{MemoryJournal, MemoryStream},
    store::{
        Folds,
        tests::{contents, options as store_options, traffic::traffic},
    },
};
use bytes::Bytes;
use std::path::Path;
use tempfile::TempDir;

type Commits = Vec<(String, Vec<u8>)>;

/// Quick, so that tests are.
fn options() -> ProjectorOptions {
    ProjectorOptions {
        check_every: Duration::from_millis(50),
        retry: (Duration::from_millis(10), Duration::from_millis(50)),
        ..ProjectorOptions::default()
    }
}

fn open(dir: &Path) -> (Store, StoreWriter) {
    Store::open(&dir.join("store"), &store_options(), Folds::all(), Vec::new()).unwrap()
}

fn append(journal: &MemoryJournal, commits: &[(String, Vec<u8>)]) {
    journal.core(|core| {
        for (subject, payload) in commits {
            let expected = core.last(subject).unwrap().map_or(0, |last| last.seq);
            core.append(subject, expected, Bytes::from(payload.clone()), Default::default()).unwrap();
        }
    });
}

fn journal_with(commits: &[(String, Vec<u8>)]) -> MemoryJournal {
    let journal = MemoryJournal::default();
    append(&journal, commits);
    journal
}

async fn until_projected(projector: &Projector, seq: u64) {
    let mut progress = projector.progress();
    let reached = progress.wait_for(|progress| progress.is_ready() && progress.projected == seq);
    time::timeout(Duration::from_secs(30), reached).await.expect("in time").expect("it runs");
}

/// What a new store holds that has read this log.
async fn built_from(journal: &MemoryJournal) -> Vec<String> {
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let projector = Projector::start(journal.clone(), writer, options());
    until_projected(&projector, journal.core(|core| core.last_seq(MemoryStream::Events))).await;
    let contents = contents(&store);
    projector.stop().await.unwrap();
    contents
}

/// The same commits under other ids: another history.
fn otherwise(commits: &[(String, Vec<u8>)]) -> Commits {
    let other = |payload: &[u8]| {
        let mut commit: serde_json::Value = serde_json::from_slice(payload).unwrap();
        let id = format!("x{}", commit["commit_id"].as_str().unwrap());
        commit["commit_id"] = id.into();
        serde_json::to_vec(&commit).unwrap()
    };
    commits.iter().map(|(subject, payload)| (subject.clone(), other(payload))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_what_there_is_and_follows_and_goes_on_after_a_stop() {
    let commits = traffic(300, 10);
    let journal = journal_with(&commits[..2_000]);
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let projector = Projector::start(journal.clone(), writer, options());
    until_projected(&projector, 2_000).await;
    append(&journal, &commits[2_000..2_500]);
    until_projected(&projector, 2_500).await;
    assert_eq!(projector.progress().borrow().lag(), 0);
    projector.stop().await.unwrap();
    drop(store);

    append(&journal, &commits[2_500..]);
    let (store, writer) = open(dir.path());
    assert_eq!(writer.start(), 2_500);
    let projector = Projector::start(journal.clone(), writer, options());
    until_projected(&projector, 3_000).await;
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn small_limits_change_nothing_but_the_speed() {
    let journal = journal_with(&traffic(50, 6));
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let small = ProjectorOptions { max_batch_commits: 3, max_batch_bytes: 1, max_unfolded_bytes: 1, ..options() };
    let projector = Projector::start(journal.clone(), writer, small);
    until_projected(&projector, 300).await;
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

/// Reads `first`, stops, lets something happen to the log, and starts again.
async fn after_a_stop(
    happens: impl FnOnce(&MemoryJournal, &Commits),
) -> (MemoryJournal, Store, Projector, u64, TempDir) {
    let commits = traffic(40, 5);
    let journal = journal_with(&commits);
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let projector = Projector::start(journal.clone(), writer, options());
    until_projected(&projector, 200).await;
    projector.stop().await.unwrap();
    drop(store);
    happens(&journal, &commits);
    let (store, writer) = open(dir.path());
    assert_eq!(writer.start(), 200);
    let end = journal.core(|core| core.last_seq(MemoryStream::Events));
    let mut seen = store.watch_projected();
    let projector = Projector::start(journal.clone(), writer, options());
    // It goes back before it goes on, if it goes back at all.
    let _ = time::timeout(Duration::from_millis(500), seen.wait_for(|seq| *seq < 200)).await;
    until_projected(&projector, end).await;
    (journal, store, projector, end, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_the_checkpoint_is_read_again() {
    let (journal, store, projector, end, _dir) =
        after_a_stop(|journal, _| journal.core(|core| core.rollback(MemoryStream::Events, 150))).await;
    assert_eq!(end, 150);
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grew_again_differently_is_read_again() {
    let (journal, store, projector, end, _dir) = after_a_stop(|journal, commits| {
        journal.core(|core| core.rollback(MemoryStream::Events, 150));
        append(journal, &otherwise(&commits[150..]));
    })
    .await;
    assert_eq!(end, 200);
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_log_is_read_from_its_beginning() {
    let (journal, store, projector, _, _dir) = after_a_stop(|journal, commits| {
        journal.core(crate::journal::memory::MemoryCore::recreate_log);
        append(journal, &otherwise(commits));
    })
    .await;
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_archived_is_not_forgotten() {
    let commits = traffic(40, 5);
    let whole = built_from(&journal_with(&commits)).await;
    let (_, store, projector, _, _dir) = after_a_stop(|journal, _| journal.core(|core| core.truncate_front(201))).await;
    assert!(contents(&store) == whole);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_goes_back_while_it_is_followed_is_read_again() {
    let commits = traffic(40, 5);
    let journal = journal_with(&commits);
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let projector = Projector::start(journal.clone(), writer, options());
    until_projected(&projector, 200).await;
    let mut seen = store.watch_projected();
    journal.core(|core| core.rollback(MemoryStream::Events, 190));
    append(&journal, &otherwise(&commits[190..]));
    time::timeout(Duration::from_secs(30), seen.wait_for(|seq| *seq < 200)).await.unwrap().unwrap();
    until_projected(&projector, 200).await;
    assert!(contents(&store) == built_from(&journal).await);
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_a_bus_that_is_not_there() {
    let journal = journal_with(&traffic(10, 1));
    journal.core(|core| core.set_available(false));
    let dir = TempDir::new().unwrap();
    let (_store, writer) = open(dir.path());
    let projector = Projector::start(journal.clone(), writer, options());
    let mut progress = projector.progress();
    progress.wait_for(|progress| matches!(progress.state, ProjectorState::Waiting(_))).await.unwrap();
    journal.core(|core| core.set_available(true));
    until_projected(&projector, 10).await;
    journal.core(|core| core.set_available(false));
    progress.wait_for(|progress| matches!(progress.state, ProjectorState::Waiting(_))).await.unwrap();
    projector.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_a_newer_version_ends_it_behind_the_one_before() {
    let mut commits = traffic(10, 1);
    let (subject, payload) = commits[7].clone();
    let newer = String::from_utf8(payload).unwrap().replace("\"message_received\"", "\"invented_later\"");
    commits[7] = (subject, newer.into_bytes());
    let journal = journal_with(&commits);
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let mut projector = Projector::start(journal, writer, options());
    let error = time::timeout(Duration::from_secs(30), projector.ended()).await.unwrap().unwrap_err();
    assert!(matches!(error, ProjectorError::Store(StoreError::Unreadable { seq: 8, .. })), "{error}");
    assert!(matches!(projector.progress().borrow().state, ProjectorState::Failed(_)));
    assert_eq!(store.projected(), 7);
}

#[test]
fn a_checkpoint_is_compared_in_every_way() {
    let log = |identity: &str, first, last| LogPosition { identity: identity.to_owned(), first, last };
    let checkpoint = Checkpoint { identity: "a".to_owned(), seq: 5, commit_id: "c".to_owned() };
    let check = |log: LogPosition, stored| mismatch(&log, &checkpoint, stored);
    assert_eq!(check(log("a", 1, 5), Some("c")), None);
    assert_eq!(check(log("a", 6, 9), None), None);
    assert!(check(log("b", 1, 5), Some("c")).unwrap().contains("log b"));
    assert!(check(log("a", 1, 4), None).unwrap().contains("ends at 4"));
    assert!(check(log("a", 1, 5), Some("d")).unwrap().contains("is d now"));
    assert!(check(log("a", 1, 5), None).unwrap().contains("no commit 5"));
}
