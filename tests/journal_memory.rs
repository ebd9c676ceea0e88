//! The twin's faults: each one does what it says, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt;
use kefu::journal::{
    AppendError, Delivery, Journal, JournalError, Outgoing, Queue,
    memory::{
        AckFault, AppendFault, Fault, MemoryCore, MemoryJournal, MemoryOptions, MemoryStream, Next, PublishFault, Taken,
    },
    subjects::Subjects,
};

fn core() -> MemoryCore {
    MemoryCore::new(MemoryOptions { partitions: 1, ..Default::default() })
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn subject(key: &str) -> String {
    Subjects::default().events("t", "conversation", key)
}

fn append(core: &mut MemoryCore, key: &str, expected: u64, fault: AppendFault) -> Result<u64, AppendError> {
    core.append(&subject(key), expected, Bytes::from_static(b"{}"), fault)
}

fn inbound(core: &mut MemoryCore, now: DateTime<Utc>, id: &str, fault: PublishFault) -> Result<u64, JournalError> {
    core.publish_inbound(now, "t", "web", "k", id, Bytes::from(id.to_owned()), fault)
}

fn command(id: &str) -> Outgoing {
    Outgoing::Command {
        tenant: "t".into(),
        source: "agent".into(),
        key: "k".into(),
        id: id.into(),
        payload: Bytes::from(id.to_owned()),
    }
}

fn next(core: &mut MemoryCore, taken: Taken) -> Option<Delivery> {
    match core.next(taken, Queue::Inbox) {
        Next::Delivery(delivery) => Some(delivery),
        _ => None,
    }
}

fn drain(core: &mut MemoryCore, taken: Taken) -> Vec<String> {
    std::iter::from_fn(|| next(core, taken)).map(|d| String::from_utf8(d.payload.to_vec()).unwrap()).collect()
}

fn unknown<T>(result: &Result<T, AppendError>) -> bool {
    matches!(result, Err(AppendError::Unknown(_)))
}

#[test]
fn a_lost_append_is_not_stored_and_one_with_a_lost_ack_is() {
    let mut core = core();
    assert!(unknown(&append(&mut core, "a", 0, AppendFault::Lost)));
    assert_eq!(core.position().unwrap().last, 0);
    assert!(unknown(&append(&mut core, "a", 0, AppendFault::AckLost)));
    assert_eq!(core.position().unwrap().last, 1);
    // The expectation counts even when nobody hears of it.
    assert!(unknown(&append(&mut core, "a", 0, AppendFault::AckLost)));
    assert_eq!(core.position().unwrap().last, 1);
}

#[test]
fn a_late_append_checks_its_expectation_when_it_lands() {
    let mut core = core();
    assert!(unknown(&append(&mut core, "a", 0, AppendFault::Late)));
    assert!(unknown(&append(&mut core, "b", 0, AppendFault::Late)));
    assert_eq!((core.late(), core.position().unwrap().last), (2, 0));
    append(&mut core, "a", 0, AppendFault::None).unwrap();
    core.land(at(0), 0);
    assert_eq!(core.position().unwrap().last, 1, "somebody else was first");
    core.land(at(0), 0);
    assert_eq!(core.last(&subject("b")).unwrap().unwrap().seq, 2);
    core.land(at(0), 0);
    assert!(unknown(&append(&mut core, "c", 0, AppendFault::Late)));
    core.lose_late();
    assert_eq!(core.late(), 0);
}

#[test]
fn a_late_publish_is_a_duplicate_of_its_own_retry() {
    let mut core = core();
    assert!(core.publish(at(0), command("1"), PublishFault::Late).is_err());
    core.publish(at(1), command("1"), PublishFault::None).unwrap();
    core.land(at(2), 0);
    assert_eq!(core.backlog(Queue::Commands), 1);
    // After the window it is a new message, as on the real server.
    assert!(core.publish(at(3), command("2"), PublishFault::Late).is_err());
    core.publish(at(4), command("2"), PublishFault::None).unwrap();
    core.land(at(4 + 120), 0);
    assert_eq!(core.backlog(Queue::Commands), 3);
}

#[test]
fn a_publish_whose_ack_is_lost_is_stored() {
    let mut core = core();
    assert!(core.publish(at(0), command("1"), PublishFault::Lost).is_err());
    assert_eq!(core.backlog(Queue::Commands), 0);
    assert!(core.publish(at(0), command("1"), PublishFault::AckLost).is_err());
    assert_eq!(core.backlog(Queue::Commands), 1);
    let sent = core.publish(at(0), command("1"), PublishFault::None);
    assert_eq!(sent, Ok(1), "the retry is a duplicate, which is a success");
}

#[test]
fn a_lost_ack_means_a_redelivery_to_the_next_owner() {
    let mut core = core();
    for id in ["1", "2", "3"] {
        inbound(&mut core, at(0), id, PublishFault::None).unwrap();
    }
    let first = core.take_over(0, 1, 10).unwrap();
    let held: Vec<Delivery> = std::iter::from_fn(|| next(&mut core, first)).collect();
    assert!(!core.ack(&held[0].ack, AckFault::Lost));
    assert!(core.ack(&held[1].ack, AckFault::None));
    let second = core.take_over(0, 2, 10).unwrap();
    assert!(matches!(core.next(first, Queue::Inbox), Next::Ended));
    assert!(!core.ack(&held[2].ack, AckFault::None), "a former owner's ack does not count");
    assert_eq!(drain(&mut core, second), ["1", "3"]);
}

#[test]
fn a_duplicate_delivery_comes_before_what_is_new() {
    let mut core = core();
    for id in ["1", "2"] {
        inbound(&mut core, at(0), id, PublishFault::None).unwrap();
    }
    let taken = core.take_over(0, 1, 10).unwrap();
    assert_eq!(drain(&mut core, taken), ["1", "2"]);
    inbound(&mut core, at(0), "3", PublishFault::None).unwrap();
    core.redeliver(taken, Queue::Inbox);
    let again = next(&mut core, taken).unwrap();
    assert!(core.ack(&again.ack, AckFault::None));
    assert_eq!(drain(&mut core, taken), ["2", "3"]);
}

#[test]
fn a_stale_history_lacks_the_newest_commits_of_the_log() {
    let mut core = core();
    for (key, expected) in [("a", 0), ("b", 0), ("a", 1), ("b", 2)] {
        append(&mut core, key, expected, AppendFault::None).unwrap();
    }
    let seqs = |stale| core.history(&subject("a"), 0, stale).unwrap().iter().map(|c| c.seq).collect::<Vec<_>>();
    assert_eq!(seqs(0), [1, 3]);
    assert_eq!(seqs(1), [1, 3]);
    assert_eq!(seqs(2), [1]);
    assert_eq!(seqs(9), [] as [u64; 0]);
}

#[test]
fn a_rolled_back_log_grows_again_under_the_same_sequences() {
    let mut core = core();
    for (key, expected) in [("a", 0), ("a", 1), ("b", 0)] {
        append(&mut core, key, expected, AppendFault::None).unwrap();
    }
    let identity = core.position().unwrap().identity;
    core.rollback(MemoryStream::Events, 1);
    assert_eq!((core.position().unwrap().last, core.last(&subject("b")).unwrap()), (1, None));
    assert_eq!(append(&mut core, "a", 2, AppendFault::None), Err(AppendError::Conflict));
    assert_eq!(append(&mut core, "a", 1, AppendFault::None), Ok(2));
    assert_eq!(core.position().unwrap().identity, identity);
    core.recreate_log();
    assert_ne!(core.position().unwrap().identity, identity);
}

#[test]
fn an_archived_log_expects_nothing_of_an_aggregate_without_commits() {
    let mut core = core();
    for (key, expected) in [("a", 0), ("b", 0)] {
        append(&mut core, key, expected, AppendFault::None).unwrap();
    }
    core.truncate_front(1);
    assert_eq!((core.position().unwrap().first, core.position().unwrap().last), (2, 2));
    assert_eq!(core.read(1).unwrap(), None);
    assert_eq!(append(&mut core, "a", 1, AppendFault::None), Err(AppendError::Conflict));
    assert_eq!(append(&mut core, "a", 0, AppendFault::None), Ok(3));
    assert_eq!(core.tail(0, None).unwrap().unwrap().seq, 2);
}

#[test]
fn a_restarted_server_forgets_the_ids_of_what_was_worked_off() {
    let mut core = core();
    for id in ["1", "2"] {
        inbound(&mut core, at(0), id, PublishFault::None).unwrap();
    }
    let taken = core.take_over(0, 1, 10).unwrap();
    let first = next(&mut core, taken).unwrap();
    core.ack(&first.ack, AckFault::None);
    assert_eq!(inbound(&mut core, at(1), "1", PublishFault::None), Ok(1), "a duplicate");
    core.restart();
    assert!(matches!(core.next(taken, Queue::Inbox), Next::Ended));
    assert_eq!(inbound(&mut core, at(2), "2", PublishFault::None), Ok(2), "still stored, still known");
    assert_eq!(inbound(&mut core, at(2), "1", PublishFault::None), Ok(3), "a new message");
}

#[test]
fn a_rolled_back_queue_loses_its_end_and_may_regain_what_was_acked() {
    let mut core = core();
    for id in ["1", "2", "3"] {
        inbound(&mut core, at(0), id, PublishFault::None).unwrap();
    }
    let taken = core.take_over(0, 1, 10).unwrap();
    for _ in 0..2 {
        let delivery = next(&mut core, taken).unwrap();
        core.ack(&delivery.ack, AckFault::None);
    }
    core.rollback(MemoryStream::Inbox, 2);
    core.restore_acked(Queue::Inbox, 1);
    let taken = core.take_over(0, 2, 10).unwrap();
    assert_eq!(drain(&mut core, taken), ["2"]);
    assert_eq!(inbound(&mut core, at(1), "3", PublishFault::None), Ok(3), "its id went with it");
}

#[test]
fn an_absent_server_answers_nothing_and_ends_what_was_owned() {
    let mut core = core();
    inbound(&mut core, at(0), "1", PublishFault::None).unwrap();
    let taken = core.take_over(0, 1, 10).unwrap();
    let held = next(&mut core, taken).unwrap();
    core.set_available(false);
    assert!(core.position().unwrap_err().is_transient());
    assert!(unknown(&append(&mut core, "a", 0, AppendFault::None)));
    assert!(inbound(&mut core, at(0), "2", PublishFault::None).unwrap_err().is_transient());
    assert!(core.take_over(0, 2, 10).is_err());
    core.set_available(true);
    assert!(!core.ack(&held.ack, AckFault::None));
    let taken = core.take_over(0, 3, 10).unwrap();
    assert_eq!(drain(&mut core, taken), ["1"]);
}

#[test]
fn the_inbox_has_the_bounds_of_the_real_one() {
    let options = MemoryOptions { inbox_messages: 2, inbox_messages_per_subject: 1, ..Default::default() };
    let mut core = MemoryCore::new(options);
    let mut send = |key: &str, id: &str| {
        core.publish_inbound(at(0), "t", "web", key, id, Bytes::new(), PublishFault::None).map_err(|e| e.to_string())
    };
    send("a", "1").unwrap();
    assert!(send("a", "2").unwrap_err().contains("thread"));
    send("b", "1").unwrap();
    assert!(send("c", "1").unwrap_err().contains("full"));
}

#[tokio::test]
async fn injected_faults_hit_the_next_call_of_their_kind() {
    let journal = MemoryJournal::default();
    journal.inject(Fault::StaleHistory(1));
    journal.inject(Fault::Append(AppendFault::AckLost));
    journal.inject(Fault::Unavailable);
    assert!(unknown(&journal.append(&subject("a"), 0, Bytes::from_static(b"{}")).await));
    assert!(journal.last(&subject("a")).await.is_err());
    assert!(journal.last(&subject("a")).await.unwrap().is_some());
    assert_eq!(journal.history(&subject("a"), 0).await.unwrap().len(), 0);
    assert_eq!(journal.history(&subject("a"), 0).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_disconnected_owners_stream_ends() {
    let journal = MemoryJournal::default();
    let mut deliveries = journal.take_over(0, 1, 10).await.unwrap();
    journal.core(MemoryCore::disconnect);
    assert!(deliveries.next().await.is_none());
}
