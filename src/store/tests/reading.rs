//! What can be asked.

use super::*;
use crate::aggregate::{
    Cause,
    kind::{Kind, KindOf},
};

#[test]
fn snapshots_are_what_the_runtime_restores() {
    let mut log = Log::new();
    log.add("k", 4);
    let last = log.add("k", 5);
    log.add("other", 6);
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);

    let snapshot = store.snapshot("acme", AggregateKind::Conversation, "k").unwrap().unwrap();
    let kind: Box<dyn Kind> = KindOf::<Tally>::boxed();
    let cell = kind.restore(&snapshot).unwrap();
    assert_eq!((cell.version(), cell.seq()), (2, last));
    assert_eq!(cell.state()["total"], 9);
    assert_eq!(store.snapshot("acme", AggregateKind::Agent, "k").unwrap(), None);
    assert_eq!(store.snapshot("acm", AggregateKind::Conversation, "e/k").unwrap(), None);
}

#[test]
fn an_input_is_found_by_its_id_for_ever_and_only_at_its_aggregate() {
    let mut log = Log::new();
    // Many more than an aggregate remembers by itself.
    (0..200).for_each(|number| _ = log.add("k", number));
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    for seq in 1..=200 {
        let found = store.seq_of_cause("acme", AggregateKind::Conversation, "k", Cause::of(&cause(seq))).unwrap();
        assert_eq!(found, Some(seq));
    }
    for (tenant, kind, key, id) in [
        ("acme", AggregateKind::Conversation, "k", cause(201)),
        ("acme", AggregateKind::Conversation, "l", cause(1)),
        ("acme", AggregateKind::Contact, "k", cause(1)),
        ("other", AggregateKind::Conversation, "k", cause(1)),
    ] {
        assert_eq!(store.seq_of_cause(tenant, kind, key, Cause::of(&id)).unwrap(), None);
    }
}

#[test]
fn timers_come_in_the_order_in_which_they_are_due_and_go_when_they_are_moved() {
    let mut log = Log::new();
    // Keys of one length are in one partition.
    log.wait("a", false, Some(at(300)));
    log.wait("b", false, Some(at(-200)));
    log.wait("b", true, Some(at(100)));
    log.wait("c", false, Some(at(200)));
    log.wait("dd", false, Some(at(50)));
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    let due = |now: i64, limit| {
        let timers = store.due_timers(1, at(now), limit).unwrap();
        timers.into_iter().map(|timer| (timer.key, timer.timer, timer.due.as_millis())).collect::<Vec<_>>()
    };
    let timer = |key: &str, timer: &str, due| (key.to_owned(), timer.to_owned(), due);

    assert_eq!(due(-201, 10), []);
    assert_eq!(due(200, 10), [timer("b", "first", -200), timer("b", "second", 100), timer("c", "first", 200)]);
    assert_eq!(due(200, 1), [timer("b", "first", -200)]);
    assert_eq!(store.next_due(1).unwrap(), Some(at(-200)));
    assert_eq!(store.next_due(2).unwrap(), Some(at(50)));
    assert_eq!(store.next_due(3).unwrap(), None);
    let first = store.due_timers(1, at(0), 1).unwrap().remove(0);
    assert_eq!((first.tenant.as_str(), first.kind), ("acme", AggregateKind::Conversation));
    assert!(store.has_timer(1, &first).unwrap());

    log.wait("b", false, None);
    log.wait("c", false, Some(at(-500)));
    log.feed(&mut writer);
    assert!(!store.has_timer(1, &first).unwrap());
    assert_eq!(due(0, 10), [timer("c", "first", -500)]);
    assert_eq!(due(1_000, 10), [timer("c", "first", -500), timer("b", "second", 100), timer("a", "first", 300)]);

    // Also with the head of the line remembered from before, and after it was emptied.
    for key in ["a", "b", "c"] {
        log.wait(key, false, None);
        log.wait(key, true, None);
    }
    log.feed(&mut writer);
    assert_eq!((due(10_000, 10), store.next_due(1).unwrap()), (vec![], None));
    log.wait("a", true, Some(at(7)));
    log.feed(&mut writer);
    assert_eq!(store.next_due(1).unwrap(), Some(at(7)));
    drop((store, writer));
    let (store, _writer) = open(&dir);
    assert_eq!(store.next_due(1).unwrap(), Some(at(7)));
}

#[test]
fn lists_are_kept_sorted_and_are_read_in_pages() {
    let mut log = Log::new();
    for number in 0..25 {
        log.add(&format!("key-{number}"), 100 - number);
    }
    log.add("key-3", 1_000);
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);

    let (mut start, mut pages) = (Vec::new(), Vec::new());
    loop {
        let mut page = Vec::new();
        store
            .list("by_total", b"acme/", &start, |key, _| {
                page.push(key.to_vec());
                page.len() < 10
            })
            .unwrap();
        let Some(last) = page.last() else { break };
        start = [last.as_slice(), b"\0"].concat();
        pages.push(page);
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let keys: Vec<String> = pages.concat().iter().map(|key| String::from_utf8_lossy(&key[13..]).into_owned()).collect();
    let expected: Vec<String> = (0..25).rev().filter(|n| *n != 3).chain([3]).map(|n| format!("key-{n}")).collect();
    assert_eq!(keys, expected);
    let mut others = 0;
    store
        .list("by_total", b"other/", b"", |_, _| {
            others += 1;
            true
        })
        .unwrap();
    assert_eq!(others, 0);
}

#[test]
fn settings_are_shown_when_they_are_written_and_after_a_restart() {
    let mut log = Log::new();
    log.set("channel-web", serde_json::json!({"wrap_up_s": 5}));
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    // A channel's document alone makes no tenant.
    assert_eq!(store.settings().tenants().count(), 0);

    log.set("tenant", serde_json::json!({"name": "Acme", "offer_timeout_s": 7}));
    log.feed(&mut writer);
    let check = |store: &Store| {
        let settings = store.settings();
        let config = settings.tenant("acme").unwrap();
        assert_eq!((config.tenant.name.as_str(), config.tenant.wrap_up_s), ("Acme", 60));
        let web = config.for_channel("web");
        assert_eq!((web.name.as_str(), web.offer_timeout_s, web.wrap_up_s), ("Acme", 7, 5));
        assert_eq!(settings.documents("acme").collect::<Vec<_>>(), ["channel-web", "tenant"]);
        assert_eq!(settings.document("acme", "channel-web").unwrap()["wrap_up_s"], 5);
        assert!(settings.tenant("other").is_none());
    };
    check(&store);
    drop((store, writer));
    check(&open(&dir).0);
}

#[test]
fn commits_of_unknown_kinds_and_messages_that_are_no_commits_are_counted() {
    let mut log = Log::new();
    log.push(AggregateKind::Agent, "ann", vec![serde_json::json!({"type": "agent_registered", "v": 1})]);
    log.commits.push(("kefu.events.acme.conversation.k".to_owned(), b"{}".to_vec()));
    log.commits.push(("somewhere.else".to_owned(), b"\xff".to_vec()));
    log.add("k", 1);
    // In a subject that is not its own.
    log.commits.push(("kefu.events.acme.conversation.l".to_owned(), log.commits[3].1.clone()));
    log.versions.insert("kefu.events.acme.conversation.k".to_owned(), 2);
    log.add("k", 2);
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed(&mut writer);
    let figures = store.figures();
    assert_eq!((figures.commits_of_unknown_kinds, figures.foreign_messages, figures.gaps), (1, 3, 1));
    assert_eq!(store.projected(), 6);
}

#[test]
fn a_commit_of_a_newer_version_is_an_error_and_not_passed_over() {
    let mut log = Log::new();
    log.push(AggregateKind::Conversation, "k", vec![serde_json::json!({"type": "invented_later", "v": 1})]);
    let error = log.decode(&folds(), 1).unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { seq: 1, .. }), "{error}");
    assert!(error.to_string().contains("kefu.events.acme.conversation.k"));
}

#[test]
fn a_feed_keeps_a_copy_of_a_list_true() {
    let mut log = Log::new();
    for number in 0..60_i64 {
        log.add(["a", "b", "c"][number as usize % 3], number % 5 - 2);
    }
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    log.feed_to(20, &mut writer, &[7]);
    let (mut feed, since) = store.watch_lists(&[BY_TOTAL.name]).unwrap();
    assert!(store.watch_lists(&["nothing"]).is_none());
    assert_eq!(since, store.projected());
    let list = || {
        let mut found = BTreeMap::new();
        let seen =
            store.list(BY_TOTAL.name, b"", b"", |key, value| found.insert(key.to_vec(), value.to_vec()).is_none());
        seen.map(|()| found).unwrap()
    };
    let mut copy = list();
    for end in [27, 28, 45, 60] {
        log.feed_to(end, &mut writer, &[4]);
        let mut last = 0;
        while let Ok(batch) = feed.try_recv() {
            last = batch.seq;
            for change in batch.changes.iter().cloned() {
                match change.value {
                    Some(value) => drop(copy.insert(change.key, value)),
                    None => drop(copy.remove(&change.key)),
                }
            }
        }
        assert_eq!((&copy, last), (&list(), store.projected()));
    }
    writer.abandon().unwrap();
    assert!(matches!(feed.try_recv(), Err(tokio::sync::broadcast::error::TryRecvError::Closed)), "begin anew");
}

#[test]
fn whoever_follows_the_commits_gets_all_of_them_or_is_told() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(&dir);
    let mut log = Log::new();
    for n in 0..200 {
        log.add("a", n);
    }
    let folds = writer.folds();
    let portion = |from: u64, to: u64| -> Vec<_> { (from..=to).map(|seq| log.decode(&folds, seq).unwrap()).collect() };
    let pass = |writer: &mut StoreWriter, from, to| {
        let commits = portion(from, to);
        writer.fold(&commits).unwrap();
        writer.pass_on(commits);
    };
    writer.follow(&log.identity, log.end()).unwrap();
    pass(&mut writer, 1, 10);
    let (mut feed, before) = store.watch_commits();
    assert_eq!((before, store.last_folded()), (10, 10));
    pass(&mut writer, 11, 12);
    pass(&mut writer, 13, 20);
    let mut seqs = Vec::new();
    while let Ok(commits) = feed.try_recv() {
        seqs.extend(commits.iter().map(|commit| commit.seq));
    }
    assert_eq!(seqs, (11..=20).collect::<Vec<_>>());
    // Who is too slow hears of it, and not of a part as if it were all.
    (21..=100).for_each(|seq| pass(&mut writer, seq, seq));
    assert!(matches!(feed.try_recv(), Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_))));
    // When the log is read anew, what a reader holds may be of another one.
    writer.abandon().unwrap();
    while let Ok(commits) = feed.try_recv() {
        assert!(commits[0].seq > 21);
    }
    assert!(matches!(feed.try_recv(), Err(tokio::sync::broadcast::error::TryRecvError::Closed)));
    assert_eq!(store.watch_commits().1, 0, "nothing was passed on yet");
}
