//! One suite for both journals: what the rest of kefu relies on, asked of the twin and of a real nats-server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use kefu::journal::{
    AppendError, Deliveries, Delivery, Journal, JournalError, NatsJournal, Outgoing, Queue, Recorded, RejectedRecord,
    memory::MemoryJournal, subjects::Subjects,
};
use std::{collections::BTreeMap, future::Future, time::Duration};

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the suite needs beside the port: to publish as an adapter does, and to look at refused input.
trait Bus: Journal {
    fn inbound(&self, key: &str, id: &str, payload: &str) -> impl Future<Output = Result<u64, JournalError>> + Send;
    fn refused(&self, from: u64) -> impl Future<Output = Result<Vec<RejectedRecord>, JournalError>> + Send;
    fn partition_of(&self, key: &str) -> u16;
}

impl Bus for MemoryJournal {
    async fn inbound(&self, key: &str, id: &str, payload: &str) -> Result<u64, JournalError> {
        self.publish_inbound("t", "web", key, id, Bytes::from(payload.to_owned())).await
    }
    async fn refused(&self, from: u64) -> Result<Vec<RejectedRecord>, JournalError> {
        self.rejected(Some("t"), from, 100).await
    }
    fn partition_of(&self, key: &str) -> u16 {
        kefu::journal::subjects::partition("t", key, 16)
    }
}

impl Bus for NatsJournal {
    async fn inbound(&self, key: &str, id: &str, payload: &str) -> Result<u64, JournalError> {
        self.publish_inbound("t", "web", key, id, Bytes::from(payload.to_owned())).await
    }
    async fn refused(&self, from: u64) -> Result<Vec<RejectedRecord>, JournalError> {
        self.rejected(Some("t"), from, 100).await
    }
    fn partition_of(&self, key: &str) -> u16 {
        self.partition("t", key)
    }
}

/// Leases live so long in tests that are not about their end: no busy machine lets one expire by accident.
const LONG_LEASE: Duration = Duration::from_secs(60);

/// What expires soon enough to be waited for.
const SHORT_LEASE: Duration = Duration::from_secs(2);

macro_rules! conformance {
    ($($name:ident $lease:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                let lease_ttl = chrono::TimeDelta::from_std(super::$lease).unwrap();
                let options = kefu::journal::memory::MemoryOptions { lease_ttl, ..Default::default() };
                super::$name(super::MemoryJournal::new(options)).await;
            })*
        }
        mod nats_server {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let server = super::nats::TestServer::start().await;
                let options = kefu::journal::StreamOptions { lease_ttl: Some(super::$lease), ..Default::default() };
                super::$name(server.journal_with(options).await).await;
                server.server.stop().await;
            })*
        }
    };
}

conformance!(
    an_empty_log_has_a_position LONG_LEASE,
    appends_are_numbered_and_read_back LONG_LEASE,
    an_unexpected_sequence_is_a_conflict LONG_LEASE,
    one_of_two_simultaneous_appends_wins LONG_LEASE,
    a_commit_that_is_too_large_is_refused LONG_LEASE,
    history_is_complete_and_of_one_subject LONG_LEASE,
    a_tail_gives_what_is_stored_and_what_comes LONG_LEASE,
    a_tail_can_be_filtered LONG_LEASE,
    a_tail_beyond_the_end_waits LONG_LEASE,
    both_queues_are_delivered_in_order LONG_LEASE,
    a_partition_gets_its_own_messages_only LONG_LEASE,
    what_is_acked_is_not_delivered_again LONG_LEASE,
    take_over_redelivers_everything_unacked_in_order LONG_LEASE,
    the_backlog_is_what_a_former_owner_may_hold LONG_LEASE,
    take_over_ends_the_former_owners_stream LONG_LEASE,
    the_same_epoch_can_take_over_again LONG_LEASE,
    an_old_owners_ack_does_not_count LONG_LEASE,
    no_more_than_max_pending_are_held LONG_LEASE,
    a_repeated_message_id_is_stored_once LONG_LEASE,
    effects_are_stored_once LONG_LEASE,
    ids_count_over_the_whole_stream LONG_LEASE,
    refused_input_is_kept_as_it_came LONG_LEASE,
    a_result_needs_no_listener LONG_LEASE,
    names_that_cannot_be_subjects_are_refused LONG_LEASE,
    a_lease_has_one_holder LONG_LEASE,
    a_lease_that_is_not_renewed_expires SHORT_LEASE,
    a_released_lease_is_free_at_once LONG_LEASE,
    epochs_only_grow SHORT_LEASE,
    leases_are_listed LONG_LEASE,
    of_two_writers_of_a_note_one_loses LONG_LEASE,
    a_removed_note_can_be_written_anew LONG_LEASE,
);

fn subject(key: &str) -> String {
    Subjects::default().events("t", "conversation", key)
}

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take so long")
}

async fn take(deliveries: &mut Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(soon(deliveries.next()).await.expect("the stream should not end"));
    }
    taken
}

fn texts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| String::from_utf8(delivery.payload.to_vec()).unwrap()).collect()
}

async fn commits(tail: &mut BoxStream<'static, Result<Recorded, JournalError>>, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.len() < count {
        seqs.push(soon(tail.next()).await.expect("a tail should not end").expect("a tail should heal").seq);
    }
    seqs
}

async fn an_empty_log_has_a_position(journal: impl Bus) {
    let position = journal.position().await.unwrap();
    assert_eq!((position.first, position.last), (1, 0));
    assert!(!position.identity.is_empty());
    assert_eq!(journal.last(&subject("a")).await, Ok(None));
    assert_eq!(journal.read(1).await, Ok(None));
    assert_eq!(journal.read(0).await, Ok(None));
    assert_eq!(journal.history(&subject("a"), 0).await, Ok(vec![]));
}

async fn appends_are_numbered_and_read_back(journal: impl Bus) {
    let before = journal.position().await.unwrap();
    assert_eq!(journal.append(&subject("a"), 0, bytes("1")).await, Ok(1));
    assert_eq!(journal.append(&subject("b"), 0, bytes("2")).await, Ok(2));
    assert_eq!(journal.append(&subject("a"), 1, bytes("3")).await, Ok(3));
    let position = journal.position().await.unwrap();
    assert_eq!((position.first, position.last), (1, 3));
    assert_eq!(position.identity, before.identity);
    let third = Recorded { seq: 3, subject: subject("a"), payload: bytes("3") };
    assert_eq!(journal.last(&subject("a")).await, Ok(Some(third.clone())));
    assert_eq!(journal.read(3).await, Ok(Some(third)));
    assert_eq!(journal.read(4).await, Ok(None));
}

async fn an_unexpected_sequence_is_a_conflict(journal: impl Bus) {
    assert_eq!(journal.append(&subject("a"), 5, bytes("x")).await, Err(AppendError::Conflict));
    assert_eq!(journal.append(&subject("a"), 0, bytes("1")).await, Ok(1));
    assert_eq!(journal.append(&subject("b"), 0, bytes("2")).await, Ok(2));
    assert_eq!(journal.append(&subject("a"), 0, bytes("x")).await, Err(AppendError::Conflict));
    // The last sequence of the log is not that of the subject.
    assert_eq!(journal.append(&subject("a"), 2, bytes("x")).await, Err(AppendError::Conflict));
    assert_eq!(journal.position().await.unwrap().last, 2);
}

async fn one_of_two_simultaneous_appends_wins(journal: impl Bus) {
    let name = subject("a");
    let appends = (0..20).map(|_| journal.append(&name, 0, bytes("x")));
    let results = soon(futures::future::join_all(appends)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(AppendError::Conflict))), "{results:?}");
}

async fn a_commit_that_is_too_large_is_refused(journal: impl Bus) {
    let large = Bytes::from(vec![b'x'; (1 << 20) + 1]);
    assert!(matches!(journal.append(&subject("a"), 0, large).await, Err(AppendError::Refused(_))));
    assert_eq!(journal.position().await.unwrap().last, 0);
}

async fn history_is_complete_and_of_one_subject(journal: impl Bus) {
    // More than any batch of the real journal, among commits of another aggregate.
    let (a, b) = (subject("a"), subject("b"));
    let (mut last_a, mut last_b) = (0, 0);
    for n in 0..700 {
        last_a = journal.append(&a, last_a, bytes(&n.to_string())).await.unwrap();
        if n % 100 == 0 {
            last_b = journal.append(&b, last_b, bytes("b")).await.unwrap();
        }
    }
    let all = soon(journal.history(&a, 0)).await.unwrap();
    let found: Vec<String> = all.iter().map(|c| String::from_utf8(c.payload.to_vec()).unwrap()).collect();
    assert_eq!(found, (0..700).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(all.iter().all(|commit| commit.subject == a));
    let late = journal.history(&a, all[689].seq).await.unwrap();
    assert_eq!(late, all[690..]);
    assert_eq!(journal.history(&b, 0).await.unwrap().len(), 7);
    assert_eq!(journal.history(&a, last_a).await, Ok(vec![]));
    assert_eq!(journal.history(&subject("none"), 0).await, Ok(vec![]));
}

async fn a_tail_gives_what_is_stored_and_what_comes(journal: impl Bus) {
    for n in 0..5 {
        journal.append(&subject(&format!("k{n}")), 0, bytes("x")).await.unwrap();
    }
    let mut tail = journal.tail(2, None).await.unwrap();
    assert_eq!(commits(&mut tail, 3).await, [3, 4, 5]);
    journal.append(&subject("k9"), 0, bytes("new")).await.unwrap();
    let next = soon(tail.next()).await.unwrap().unwrap();
    assert_eq!(next, Recorded { seq: 6, subject: subject("k9"), payload: bytes("new") });
}

async fn a_tail_can_be_filtered(journal: impl Bus) {
    let agent = Subjects::default().events("t", "agent", "a");
    journal.append(&subject("a"), 0, bytes("x")).await.unwrap();
    journal.append(&agent, 0, bytes("x")).await.unwrap();
    journal.append(&subject("b"), 0, bytes("x")).await.unwrap();
    journal.append(&agent, 2, bytes("x")).await.unwrap();
    let mut tail = journal.tail(0, Some(Subjects::default().events("t", "agent", "*"))).await.unwrap();
    assert_eq!(commits(&mut tail, 2).await, [2, 4]);
}

async fn a_tail_beyond_the_end_waits(journal: impl Bus) {
    journal.append(&subject("a"), 0, bytes("x")).await.unwrap();
    let mut tail = journal.tail(3, None).await.unwrap();
    for n in 0..3 {
        journal.append(&subject(&format!("k{n}")), 0, bytes("x")).await.unwrap();
    }
    assert_eq!(commits(&mut tail, 1).await, [4]);
}

async fn publish_command(journal: &impl Bus, key: &str, id: &str) {
    let command = Outgoing::Command {
        tenant: "t".into(),
        source: "agent".into(),
        key: key.into(),
        id: id.into(),
        payload: bytes(id),
    };
    journal.publish(command).await.unwrap();
}

async fn both_queues_are_delivered_in_order(journal: impl Bus) {
    for n in 0..20 {
        journal.inbound("k", &format!("m{n:02}"), &format!("m{n:02}")).await.unwrap();
        publish_command(&journal, "k", &format!("c{n:02}")).await;
    }
    let mut deliveries = journal.take_over(journal.partition_of("k"), 1, 100).await.unwrap();
    let all = take(&mut deliveries, 40).await;
    for (queue, letter, source) in [(Queue::Inbox, 'm', "web"), (Queue::Commands, 'c', "agent")] {
        let of: Vec<Delivery> = all.iter().filter(|delivery| delivery.queue == queue).cloned().collect();
        assert_eq!(texts(&of), (0..20).map(|n| format!("{letter}{n:02}")).collect::<Vec<_>>());
        assert!(of.iter().all(|d| d.tenant == "t" && d.source == source && d.key == "k"));
        assert!(of.windows(2).all(|pair| pair[0].stream_seq < pair[1].stream_seq));
    }
}

async fn a_partition_gets_its_own_messages_only(journal: impl Bus) {
    let own = journal.partition_of("k");
    let mut expected = vec![];
    for n in 0..40 {
        let key = format!("key{n}");
        journal.inbound(&key, "1", &key).await.unwrap();
        if journal.partition_of(&key) == own {
            expected.push(key);
        }
    }
    journal.inbound("k", "1", "end").await.unwrap();
    expected.push("end".into());
    let mut deliveries = journal.take_over(own, 1, 100).await.unwrap();
    assert_eq!(texts(&take(&mut deliveries, expected.len()).await), expected);
}

async fn what_is_acked_is_not_delivered_again(journal: impl Bus) {
    // More than the real journal leaves unconfirmed, so that a confirmation is among them.
    for n in 0..300 {
        journal.inbound("k", &n.to_string(), &n.to_string()).await.unwrap();
    }
    let partition = journal.partition_of("k");
    let mut first = journal.take_over(partition, 1, 1_000).await.unwrap();
    let held = take(&mut first, 300).await;
    for delivery in &held[..299] {
        journal.ack(&delivery.ack).await.unwrap();
    }
    let mut second = journal.take_over(partition, 2, 1_000).await.unwrap();
    // An ack that was on its way when the consumer was deleted may be lost, but the last message was never acked.
    let redelivered = texts(&take(&mut second, 1).await);
    assert!(redelivered[0].parse::<u32>().unwrap() >= 256, "confirmed acks are applied: {redelivered:?}");
}

async fn take_over_redelivers_everything_unacked_in_order(journal: impl Bus) {
    for n in 0..10 {
        journal.inbound("k", &n.to_string(), &n.to_string()).await.unwrap();
    }
    let partition = journal.partition_of("k");
    let mut first = journal.take_over(partition, 1, 100).await.unwrap();
    let held = take(&mut first, 10).await;
    let mut second = journal.take_over(partition, 2, 100).await.unwrap();
    let again = take(&mut second, 10).await;
    assert_eq!(texts(&again), texts(&held));
    assert_eq!(again[3].stream_seq, held[3].stream_seq);
    journal.inbound("k", "new", "new").await.unwrap();
    assert_eq!(texts(&take(&mut second, 1).await), ["new"]);
}

async fn the_backlog_is_what_a_former_owner_may_hold(journal: impl Bus) {
    for n in 0..10 {
        journal.inbound("k", &n.to_string(), &n.to_string()).await.unwrap();
    }
    for n in 0..3 {
        publish_command(&journal, "k", &format!("c{n}")).await;
    }
    let partition = journal.partition_of("k");
    let other = (0..16).find(|other| *other != partition).unwrap();
    assert!(journal.take_over(other, 1, 100).await.unwrap().backlog().is_delivered(), "nothing is there");
    for (max_pending, held) in [(100, 13), (4, 7)] {
        let mut deliveries = journal.take_over(partition, 1, max_pending).await.unwrap();
        let mut backlog = deliveries.backlog();
        for delivery in take(&mut deliveries, held).await {
            assert!(!backlog.is_delivered());
            backlog.count_down(delivery.queue);
        }
        assert!(backlog.is_delivered());
    }
}

async fn take_over_ends_the_former_owners_stream(journal: impl Bus) {
    let partition = journal.partition_of("k");
    let mut first = journal.take_over(partition, 1, 10).await.unwrap();
    let other = (partition + 1) % 16;
    let mut unrelated = journal.take_over(other, 1, 10).await.unwrap();
    let _second = journal.take_over(partition, 2, 10).await.unwrap();
    assert!(soon(first.next()).await.is_none());
    let waiting = tokio::time::timeout(Duration::from_millis(50), unrelated.next()).await;
    assert!(waiting.is_err(), "the other partition's stream goes on");
}

async fn the_same_epoch_can_take_over_again(journal: impl Bus) {
    journal.inbound("k", "1", "1").await.unwrap();
    let partition = journal.partition_of("k");
    let mut first = journal.take_over(partition, 7, 10).await.unwrap();
    take(&mut first, 1).await;
    let mut second = journal.take_over(partition, 7, 10).await.unwrap();
    assert!(soon(first.next()).await.is_none());
    assert_eq!(texts(&take(&mut second, 1).await), ["1"]);
}

async fn an_old_owners_ack_does_not_count(journal: impl Bus) {
    journal.inbound("k", "1", "1").await.unwrap();
    let partition = journal.partition_of("k");
    let mut first = journal.take_over(partition, 1, 10).await.unwrap();
    let held = take(&mut first, 1).await;
    let mut second = journal.take_over(partition, 2, 10).await.unwrap();
    take(&mut second, 1).await;
    journal.ack(&held[0].ack).await.unwrap();
    let mut third = journal.take_over(partition, 3, 10).await.unwrap();
    assert_eq!(texts(&take(&mut third, 1).await), ["1"]);
}

async fn no_more_than_max_pending_are_held(journal: impl Bus) {
    for n in 0..10 {
        journal.inbound("k", &n.to_string(), &n.to_string()).await.unwrap();
    }
    let mut deliveries = journal.take_over(journal.partition_of("k"), 1, 3).await.unwrap();
    let held = take(&mut deliveries, 3).await;
    assert!(tokio::time::timeout(Duration::from_millis(100), deliveries.next()).await.is_err());
    journal.ack(&held[0].ack).await.unwrap();
    assert_eq!(texts(&take(&mut deliveries, 1).await), ["3"]);
}

async fn a_repeated_message_id_is_stored_once(journal: impl Bus) {
    let first = journal.inbound("k", "1", "one").await.unwrap();
    assert_eq!(journal.inbound("k", "1", "two").await, Ok(first));
    assert!(journal.inbound("k", "2", "three").await.unwrap() > first);
    let mut deliveries = journal.take_over(journal.partition_of("k"), 1, 10).await.unwrap();
    assert_eq!(texts(&take(&mut deliveries, 2).await), ["one", "three"]);
}

async fn effects_are_stored_once(journal: impl Bus) {
    let reply = Outgoing::Reply {
        tenant: "t".into(),
        channel: "web".into(),
        key: "k".into(),
        id: "r1".into(),
        payload: bytes("hello"),
    };
    journal.publish(reply.clone()).await.unwrap();
    journal.publish(reply).await.unwrap();
    publish_command(&journal, "k", "c1").await;
    publish_command(&journal, "k", "c1").await;
    publish_command(&journal, "k", "c2").await;
    let mut deliveries = journal.take_over(journal.partition_of("k"), 1, 10).await.unwrap();
    assert_eq!(texts(&take(&mut deliveries, 2).await), ["c1", "c2"]);
}

async fn ids_count_over_the_whole_stream(journal: impl Bus) {
    // JetStream compares an id over the whole stream: the same command id under another key is a duplicate.
    publish_command(&journal, "k", "same").await;
    publish_command(&journal, "other", "same").await;
    publish_command(&journal, "other", "end").await;
    let mut deliveries = journal.take_over(journal.partition_of("other"), 1, 10).await.unwrap();
    let first = take(&mut deliveries, 1).await;
    assert_eq!(
        texts(&first),
        if journal.partition_of("k") == journal.partition_of("other") { ["same"] } else { ["end"] }
    );
}

async fn refused_input_is_kept_as_it_came(journal: impl Bus) {
    let headers = BTreeMap::from([("Kefu-Reason".to_owned(), "malformed".to_owned())]);
    for (id, payload) in [("x1", &b"\xff\x00not utf-8"[..]), ("x1", b"again"), ("x2", b"")] {
        let rejected = Outgoing::Rejected {
            tenant: "t".into(),
            source: "web".into(),
            id: id.into(),
            headers: headers.clone(),
            payload: Bytes::from_static(payload),
        };
        journal.publish(rejected).await.unwrap();
    }
    let records = journal.refused(0).await.unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(&records[0].payload[..], b"\xff\x00not utf-8");
    assert_eq!(records[0].headers, headers);
    assert_eq!((&*records[0].tenant, &*records[0].source), ("t", "web"));
    assert_eq!(records[1].payload.len(), 0);
    assert_eq!(journal.refused(records[0].seq + 1).await.unwrap(), records[1..]);
}

async fn a_result_needs_no_listener(journal: impl Bus) {
    let result = Outgoing::Result { tenant: "t".into(), id: "no token / at all".into(), payload: bytes("{}") };
    journal.publish(result).await.unwrap();
}

async fn names_that_cannot_be_subjects_are_refused(journal: impl Bus) {
    for key in ["", "a.b", "a b", "*", ">"] {
        assert!(matches!(journal.inbound(key, "1", "x").await, Err(JournalError::Refused(_))), "{key:?}");
        let reply = Outgoing::Reply {
            tenant: "t".into(),
            channel: "web".into(),
            key: key.into(),
            id: "1".into(),
            payload: bytes("x"),
        };
        assert!(matches!(journal.publish(reply).await, Err(JournalError::Refused(_))), "{key:?}");
    }
    // What is refused may have had such a name; it must be storable all the same.
    let rejected = Outgoing::Rejected {
        tenant: "t".into(),
        source: "we b".into(),
        id: "1".into(),
        headers: BTreeMap::new(),
        payload: bytes("x"),
    };
    journal.publish(rejected).await.unwrap();
    assert_eq!(journal.refused(0).await.unwrap().len(), 1);
}

async fn a_lease_has_one_holder(journal: impl Bus) {
    let lease = journal.acquire("partition-1", "a").await.unwrap().expect("it is free");
    assert_eq!(journal.acquire("partition-1", "b").await, Ok(None));
    assert_eq!(journal.acquire("partition-1", "a").await, Ok(None));
    assert!(journal.acquire("partition-2", "b").await.unwrap().is_some());
    let renewed = journal.renew(&lease).await.unwrap().expect("it is held");
    assert_eq!(renewed.epoch, lease.epoch);
    assert_eq!(journal.renew(&lease).await, Ok(None), "it was renewed by somebody since");
    assert!(journal.renew(&renewed).await.unwrap().is_some());
    assert!(matches!(journal.acquire("no name", "a").await, Err(JournalError::Refused(_))));
}

/// Acquires as soon as it can be had.
async fn acquired(journal: &impl Bus, name: &str, holder: &str) -> kefu::journal::Lease {
    soon(async {
        loop {
            if let Some(lease) = journal.acquire(name, holder).await.unwrap() {
                return lease;
            }
            // Expiry is not announced to anybody: asking again is how it is noticed.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

async fn a_lease_that_is_not_renewed_expires(journal: impl Bus) {
    let began = std::time::Instant::now();
    let lost = journal.acquire("partition-1", "a").await.unwrap().unwrap();
    let won = acquired(&journal, "partition-1", "b").await;
    assert!(began.elapsed() >= journal.lease_ttl() - Duration::from_millis(100), "too early: {:?}", began.elapsed());
    assert!(won.epoch > lost.epoch);
    assert_eq!(journal.renew(&lost).await, Ok(None));
    journal.release(&lost).await.unwrap();
    assert!(journal.renew(&won).await.unwrap().is_some(), "the former holder cannot release it");
}

async fn a_released_lease_is_free_at_once(journal: impl Bus) {
    let first = journal.acquire("partition-1", "a").await.unwrap().unwrap();
    journal.release(&first).await.unwrap();
    let second = journal.acquire("partition-1", "b").await.unwrap().expect("it is free");
    assert!(second.epoch > first.epoch);
    assert_eq!(journal.renew(&first).await, Ok(None));
}

async fn epochs_only_grow(journal: impl Bus) {
    let mut last = 0;
    for n in 0..5 {
        let lease = acquired(&journal, "partition-1", &format!("node{n}")).await;
        assert!(lease.epoch > last, "{} after {last}", lease.epoch);
        last = lease.epoch;
        if n % 2 == 0 {
            journal.release(&lease).await.unwrap();
        }
    }
}

async fn leases_are_listed(journal: impl Bus) {
    assert_eq!(journal.leases().await, Ok(BTreeMap::new()));
    journal.acquire("partition-1", "a").await.unwrap().unwrap();
    let released = journal.acquire("partition-2", "a").await.unwrap().unwrap();
    journal.acquire("node-b", "b").await.unwrap().unwrap();
    journal.release(&released).await.unwrap();
    let expected = [("node-b", "b"), ("partition-1", "a")];
    let expected = expected.map(|(name, holder)| (name.to_owned(), holder.to_owned()));
    assert_eq!(journal.leases().await, Ok(BTreeMap::from(expected)));
}

async fn of_two_writers_of_a_note_one_loses(journal: impl Bus) {
    assert_eq!(journal.note("webhook.t.crm").await, Ok(None));
    let first = journal.put_note("webhook.t.crm", 0, bytes("one")).await.unwrap().expect("there is none");
    assert_eq!(journal.put_note("webhook.t.crm", 0, bytes("other")).await, Ok(None), "there is one by now");
    let second = journal.put_note("webhook.t.crm", first, bytes("two")).await.unwrap().expect("nobody wrote since");
    assert!(second > first);
    assert_eq!(journal.put_note("webhook.t.crm", first, bytes("late")).await, Ok(None), "it is newer by now");
    assert_eq!(journal.remove_note("webhook.t.crm", first).await, Ok(false));
    let note = journal.note("webhook.t.crm").await.unwrap().expect("it is there");
    assert_eq!((note.value, note.revision), (bytes("two"), second));
    for bad in ["", "a b", "a..b", "a.*"] {
        assert!(matches!(journal.note(bad).await, Err(JournalError::Refused(_))), "{bad}");
    }
}

async fn a_removed_note_can_be_written_anew(journal: impl Bus) {
    let first = journal.put_note("webhook.t.crm", 0, bytes("one")).await.unwrap().unwrap();
    journal.put_note("webhook.u.crm", 0, bytes("of another")).await.unwrap().unwrap();
    assert_eq!(journal.remove_note("webhook.t.crm", first).await, Ok(true));
    assert_eq!(journal.note("webhook.t.crm").await, Ok(None));
    assert_eq!(journal.notes("webhook.t").await, Ok(BTreeMap::new()));
    assert_eq!(journal.put_note("webhook.t.crm", first, bytes("late")).await, Ok(None));
    let again = journal.put_note("webhook.t.crm", 0, bytes("again")).await.unwrap().expect("there is none");
    assert!(again > first);
    let all = journal.notes("webhook").await.unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["webhook.t.crm", "webhook.u.crm"]);
    assert_eq!(all["webhook.t.crm"].value, bytes("again"));
}
