//! The machine by hand: one test per defect that the simulation, or reading it, once found.

use super::*;
use crate::{
    aggregate::{Effect, kind::KindOf},
    conversation::Conversation,
    journal::{
        LogPosition, Queue, Recorded,
        memory::{MemoryCore, MemoryOptions, Next, PublishFault, Taken},
    },
    runtime::{Tenants, machine::Happened},
};
use bytes::Bytes;
use kefu_events::key::conversation_key;
use serde_json::json;
use std::{cell::Cell as Counter, sync::Arc};

struct Bench {
    bus: MemoryCore,
    taken: Taken,
    machine: Machine,
    tenants: Tenants,
    ids: Counter<u64>,
}

impl Bench {
    fn new() -> Self {
        let mut bus = MemoryCore::new(MemoryOptions { partitions: 1, ..MemoryOptions::default() });
        let taken = bus.take_over(0, 1, 100).unwrap();
        let tenants = [("t".to_owned(), Arc::new(TenantConfig::default()))].into();
        Self { bus, taken, machine: Self::machine(), tenants, ids: Counter::new(0) }
    }

    fn machine() -> Machine {
        Machine::new(Kinds::new(vec![KindOf::<Conversation>::boxed()]), Limits::default())
    }

    /// Another owner, who gets everything that is unacked once more.
    fn take_over(&mut self) {
        self.taken = self.bus.take_over(0, 2, 100).unwrap();
        self.machine = Self::machine();
    }

    fn send(&mut self, id: &str) {
        let body = json!({"id": id, "channel": "web", "thread": "x", "sender": {"id": "s"},
            "sent_at": "2026-11-22T13:14:35.007Z", "content": {"kind": "text", "text": "hello"}});
        let (key, now) = (conversation_key("web", "x"), chrono::DateTime::default());
        let body = Bytes::from(body.to_string());
        self.bus.publish_inbound(now, "t", "web", &key, id, body, PublishFault::None).unwrap();
    }

    fn ask(&mut self, id: &str, actor: &str) {
        let key = conversation_key("web", "x");
        let body = json!({"id": id, "aggregate": "conversation", "key": key, "actor": {"kind": actor, "id": "a"},
            "at": "2026-11-22T13:14:35.007Z", "type": "note", "v": 1, "text": "noted"});
        let command = Outgoing::Command {
            tenant: "t".into(),
            source: actor.into(),
            key,
            id: id.into(),
            payload: Bytes::from(body.to_string()),
        };
        self.bus.publish(chrono::DateTime::default(), command, PublishFault::None).unwrap();
    }

    fn next(&mut self, queue: Queue) -> Happened {
        match self.bus.next(self.taken, queue) {
            Next::Delivery(delivery) => Happened::Delivered(delivery),
            other => panic!("no delivery: {other:?}"),
        }
    }

    fn step(&mut self, happened: Happened) -> Vec<Action> {
        let new_id = || {
            self.ids.set(self.ids.get() + 1);
            format!("id{}", self.ids.get())
        };
        let env = Env { now: Timestamp::from_millis(1), tenants: &self.tenants, new_id: &new_id };
        let mut actions = Vec::new();
        self.machine.step(happened, &env, &mut actions);
        actions
    }

    /// The first message is decided, up to its append.
    fn first_append(&mut self) -> Bytes {
        self.send("m1");
        let delivery = self.next(Queue::Inbox);
        self.step(Happened::Ready);
        self.step(delivery);
        appended(self.step(Happened::Loaded(id(), None)))
    }
}

fn id() -> AggregateId {
    AggregateId {
        tenant: "t".into(),
        kind: kefu_events::AggregateKind::Conversation,
        key: conversation_key("web", "x"),
    }
}

fn appended(mut actions: Vec<Action>) -> Bytes {
    match actions.pop() {
        Some(Action::Append { payload, .. }) => payload,
        other => panic!("no append: {other:?}"),
    }
}

fn recorded(seq: u64, payload: &Bytes) -> Recorded {
    Recorded { seq, subject: String::new(), payload: payload.clone() }
}

fn position(first: u64, last: u64) -> LogPosition {
    LogPosition { identity: String::new(), first, last }
}

fn snapshot(payload: &Bytes, seq: u64) -> Vec<u8> {
    let kind = KindOf::<Conversation>::boxed();
    let mut cell = kind.fresh();
    cell.apply(&kind.read(payload).unwrap(), seq);
    cell.snapshot()
}

#[test]
fn effects_of_a_dead_owners_last_commit_are_not_overtaken_by_the_other_queue() {
    let mut bench = Bench::new();
    let commit = bench.first_append();
    // It is stored, and its owner dies before its effects are out. Meanwhile an agent has asked something.
    bench.ask("c1", "agent");
    bench.take_over();
    let (command, message) = (bench.next(Queue::Commands), bench.next(Queue::Inbox));
    bench.step(command);
    bench.step(message);
    bench.step(Happened::Ready);
    let actions = bench.step(Happened::Loaded(id(), Some(snapshot(&commit, 1))));
    assert!(matches!(&actions[..], [Action::Recall { seq: 1, .. }]), "{actions:?}");
    let actions = bench.step(Happened::Recalled(id(), Some(recorded(1, &commit))));
    assert!(matches!(&actions[..], [Action::Publish { .. }]), "{actions:?}");
}

#[test]
fn a_stale_owner_does_not_go_on_after_the_next_ones_commit() {
    let mut bench = Bench::new();
    let commit = bench.first_append();
    bench.step(Happened::Appended(id(), Ok(1)));
    bench.step(Happened::Published(id()));
    bench.send("m2");
    let delivery = bench.next(Queue::Inbox);
    let second = appended(bench.step(delivery));
    // The next owner has decided something that this one was never given.
    let text = String::from_utf8(second.to_vec()).unwrap().replace("/m2\"", "/m3\"");
    let foreign = Bytes::from(text);
    bench.step(Happened::Appended(id(), Err(AppendError::Conflict)));
    bench.step(Happened::LastRead(id(), Some(recorded(2, &foreign)), position(1, 2)));
    let actions = bench.step(Happened::HistoryRead(id(), vec![recorded(1, &commit), recorded(2, &foreign)]));
    assert!(matches!(&actions[..], [Action::Stop(why)] if why.contains("another owner")), "{actions:?}");
}

#[test]
fn a_gap_in_the_history_is_not_taken_for_history() {
    let mut bench = Bench::new();
    let commit = bench.first_append();
    let later = Bytes::from(String::from_utf8(commit.to_vec()).unwrap().replace("\"version\":1", "\"version\":3"));
    bench.step(Happened::Appended(id(), Err(AppendError::Conflict)));
    bench.step(Happened::LastRead(id(), Some(recorded(9, &later)), position(8, 9)));
    let actions = bench.step(Happened::HistoryRead(id(), vec![recorded(9, &later)]));
    assert!(matches!(&actions[..], [Action::Stop(why)] if why.contains("version 3")), "{actions:?}");
}

#[test]
fn a_damaged_snapshot_of_an_archived_aggregate_does_not_begin_a_second_history() {
    let mut bench = Bench::new();
    bench.send("m1");
    let delivery = bench.next(Queue::Inbox);
    bench.step(Happened::Ready);
    bench.step(delivery);
    let actions = bench.step(Happened::Loaded(id(), Some(b"{".to_vec())));
    assert!(matches!(&actions[..], [Action::ReadLast { .. }]), "{actions:?}");
    let actions = bench.step(Happened::LastRead(id(), None, position(8, 9)));
    assert!(matches!(&actions[..], [Action::Stop(why)] if why.contains("damaged")), "{actions:?}");
}

#[test]
fn a_damaged_snapshot_is_made_again_from_the_log() {
    let mut bench = Bench::new();
    let commit = bench.first_append();
    bench.send("m2");
    bench.take_over();
    let (first, second) = (bench.next(Queue::Inbox), bench.next(Queue::Inbox));
    bench.step(first);
    bench.step(second);
    bench.step(Happened::Ready);
    bench.step(Happened::Loaded(id(), Some(b"{".to_vec())));
    let actions = bench.step(Happened::LastRead(id(), Some(recorded(1, &commit)), position(1, 1)));
    assert!(matches!(&actions[..], [Action::ReadHistory { after: 0, .. }]), "{actions:?}");
    let actions = bench.step(Happened::HistoryRead(id(), vec![recorded(1, &commit)]));
    assert!(matches!(&actions[..], [Action::Recall { seq: 1, .. }]), "{actions:?}");
}

#[test]
fn a_commit_that_is_too_large_after_a_conflict_sets_the_aggregate_aside_and_not_the_partition() {
    let mut bench = Bench::new();
    bench.first_append();
    bench.step(Happened::Appended(id(), Err(AppendError::Unknown("no answer".into()))));
    bench.step(Happened::LastRead(id(), None, position(1, 0)));
    let actions = bench.step(Happened::Appended(id(), Err(AppendError::Refused("too large".into()))));
    let quarantine = String::from_utf8(appended(actions).to_vec()).unwrap();
    assert!(quarantine.contains("\"cause\":\"quarantine:"), "{quarantine}");
    let actions = bench.step(Happened::Appended(id(), Err(AppendError::Refused("too large".into()))));
    assert!(matches!(&actions[..], [Action::Stop(_)]), "{actions:?}");
}

#[test]
fn effects_of_a_quarantine_are_published_by_the_next_owner_if_its_own_died() {
    let mut bench = Bench::new();
    bench.first_append();
    let actions = bench.step(Happened::Appended(id(), Err(AppendError::Refused("too large".into()))));
    let quarantine = appended(actions);
    bench.take_over();
    let delivery = bench.next(Queue::Inbox);
    bench.step(delivery);
    bench.step(Happened::Ready);
    let actions = bench.step(Happened::Loaded(id(), Some(snapshot(&quarantine, 1))));
    assert!(matches!(&actions[..], [Action::Recall { seq: 1, .. }]), "{actions:?}");
    let actions = bench.step(Happened::Recalled(id(), Some(recorded(1, &quarantine))));
    let [Action::Publish { outgoing, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert!(matches!(outgoing.last(), Some(Outgoing::Rejected { .. })), "{outgoing:?}");
}

#[test]
fn input_that_was_set_aside_is_decided_after_the_quarantine_though_its_copy_got_the_same_sequence() {
    let mut bench = Bench::new();
    bench.first_append();
    let actions = bench.step(Happened::Appended(id(), Err(AppendError::Refused("too large".into()))));
    let quarantine = appended(actions);
    let mut lift: serde_json::Value = serde_json::from_slice(&quarantine).unwrap();
    (lift["version"], lift["cause"]) = (json!(2), json!("lift"));
    lift["events"] = json!([{"type": "quarantine_lifted", "v": 1}]);
    let kind = KindOf::<Conversation>::boxed();
    let mut cell = kind.fresh();
    cell.apply(&kind.read(&quarantine).unwrap(), 1);
    cell.apply(&kind.read(lift.to_string().as_bytes()).unwrap(), 2);
    // The queue lost its end with a power failure, so the copy that was sent again has the sequence of the first one.
    bench.take_over();
    let delivery = bench.next(Queue::Inbox);
    bench.step(delivery);
    bench.step(Happened::Ready);
    let actions = bench.step(Happened::Loaded(id(), Some(cell.snapshot())));
    assert!(matches!(&actions[..], [Action::Append { expected: 2, .. }]), "{actions:?}");
}

#[test]
fn what_was_rejected_is_not_decided_after_the_quarantine_because_it_was_delivered_again_meanwhile() {
    let mut bench = Bench::new();
    bench.first_append();
    let actions = bench.step(Happened::Appended(id(), Err(AppendError::Refused("too large".into()))));
    appended(actions);
    bench.step(Happened::Appended(id(), Ok(1)));
    assert_eq!(told(&bench.step(Happened::Published(id()))), "Ack");
    // The server gave it out once more before it got the ack: then the message is gone, and only this copy is left.
    bench.bus.redeliver(bench.taken, Queue::Inbox);
    let again = bench.next(Queue::Inbox);
    assert_eq!(told(&bench.step(again)), "Ack");
    assert_eq!(bench.machine.held(), 0);
}

#[test]
fn an_aggregate_whose_commits_were_archived_is_read_anew_before_it_goes_on() {
    let mut bench = Bench::new();
    let first = bench.first_append();
    bench.step(Happened::Appended(id(), Ok(1)));
    bench.step(Happened::Published(id()));
    bench.send("m2");
    let delivery = bench.next(Queue::Inbox);
    let second = appended(bench.step(delivery));
    // Another owner has committed at 2, and the log was archived up to there.
    bench.step(Happened::Appended(id(), Err(AppendError::Conflict)));
    let actions = bench.step(Happened::LastRead(id(), None, position(3, 2)));
    assert_eq!(told(&actions), "", "the store does not know commit 2 yet");
    assert_eq!(told(&bench.step(Happened::Projected(2))), "Load");
    let kind = KindOf::<Conversation>::boxed();
    let mut cell = kind.fresh();
    cell.apply(&kind.read(&first).unwrap(), 1);
    cell.apply(&kind.read(&second).unwrap(), 2);
    let actions = bench.step(Happened::Loaded(id(), Some(cell.snapshot())));
    assert!(matches!(&actions[..], [Action::Recall { seq: 2, .. }]), "its input was decided: {actions:?}");
}

#[test]
fn redeliveries_before_readiness_are_held_once() {
    let mut bench = Bench::new();
    bench.send("m1");
    for _ in 0..3 {
        let delivery = bench.next(Queue::Inbox);
        bench.step(delivery);
        bench.bus.redeliver(bench.taken, Queue::Inbox);
    }
    assert_eq!(bench.machine.held(), 1);
}

#[test]
fn a_commands_id_cannot_pass_for_a_quarantine() {
    let mut bench = Bench::new();
    bench.ask("quarantine:c1", "agent");
    let delivery = bench.next(Queue::Commands);
    bench.step(Happened::Ready);
    let actions = bench.step(delivery);
    let [Action::Reject { outgoing, .. }] = &actions[..] else { panic!("not rejected: {actions:?}") };
    // Somebody may wait for the result.
    assert!(matches!(&outgoing[..], [Outgoing::Rejected { .. }, Outgoing::Result { .. }]), "{outgoing:?}");
}

#[test]
fn a_command_from_a_customer_is_rejected_because_nobody_would_get_its_result() {
    let mut bench = Bench::new();
    bench.ask("c1", "customer");
    let delivery = bench.next(Queue::Commands);
    bench.step(Happened::Ready);
    let actions = bench.step(delivery);
    assert!(matches!(&actions[..], [Action::Reject { .. }]), "{actions:?}");
}

#[test]
fn two_inputs_under_one_sequence_of_a_queue_that_lost_its_end_are_both_rejected() {
    let rejected = |payload: &'static [u8]| {
        let mut bench = Bench::new();
        let payload = Bytes::from_static(payload);
        bench.bus.publish_inbound(Default::default(), "t", "web", "k", "m", payload, PublishFault::None).unwrap();
        let delivery = bench.next(Queue::Inbox);
        bench.step(Happened::Ready);
        match bench.step(delivery).pop() {
            Some(Action::Reject { outgoing, .. }) => match &outgoing[..] {
                [Outgoing::Rejected { id, .. }] => id.clone(),
                other => panic!("not a record: {other:?}"),
            },
            other => panic!("not rejected: {other:?}"),
        }
    };
    assert_ne!(rejected(b"{"), rejected(b"["));
}

#[test]
fn an_effect_that_no_subject_can_name_sets_its_aggregate_aside_instead_of_being_tried_for_ever() {
    let reply = |key: &str| kefu_events::Outbound {
        id: "r".into(),
        tenant: "t".into(),
        channel: "web".into(),
        thread: "x".into(),
        key: key.into(),
        session: 1,
        at: Timestamp::default(),
        author: kefu_events::Author::system(),
        content: kefu_events::Content::text("hi"),
        reply_to: None,
    };
    let mut bench = Bench::new();
    let commit = bench.first_append();
    let kind = KindOf::<Conversation>::boxed();
    let with = |effect: Effect| {
        let mut recorded = kind.read(&commit).unwrap();
        recorded.effects = vec![effect];
        recorded
    };
    let command = |key: &str| Effect::Command { aggregate: id().kind, key: key.into(), body: json!({}).into() };
    assert_eq!(never_published(&with(Effect::Reply(reply("key"))), 100), None);
    assert_eq!(never_published(&with(command("key")), 100), None);
    assert!(never_published(&with(Effect::Reply(reply("a.b"))), 100).is_some());
    assert!(never_published(&with(command("客服")), 100).is_some());
    let large =
        Effect::Command { aggregate: id().kind, key: "key".into(), body: json!({"text": "x".repeat(300_000)}).into() };
    assert!(never_published(&with(large), 310_000).is_some());
}

fn told(actions: &[Action]) -> String {
    actions
        .iter()
        .map(|action| format!("{action:?}").chars().take_while(|c| c.is_alphanumeric()).collect())
        .collect::<Vec<String>>()
        .join(" ")
}

#[test]
fn a_tenant_that_was_just_created_is_not_unknown() {
    let mut bench = Bench::new();
    let known = std::mem::take(&mut bench.tenants);
    bench.step(Happened::Ready);
    bench.send("m1");
    bench.send("m2");
    let (first, second) = (bench.next(Queue::Inbox), bench.next(Queue::Inbox));
    assert_eq!(told(&bench.step(first)), "ReadEnd");
    assert_eq!(told(&bench.step(Happened::EndRead(7))), "", "the store does not know commit 7 yet");
    bench.tenants = known;
    // Not past the one that waits.
    assert_eq!(told(&bench.step(second)), "ReadEnd");
    let actions = bench.step(Happened::Projected(7));
    assert_eq!(told(&actions), "Load");
    assert_eq!(told(&bench.step(Happened::EndRead(7))), "");
    let payload = appended(bench.step(Happened::Loaded(id(), None)));
    assert!(String::from_utf8_lossy(&payload).contains("m1"));
    assert_eq!(bench.machine.held(), 2);
}

#[test]
fn input_for_a_tenant_that_is_not_there_is_rejected_once_that_is_certain() {
    let mut bench = Bench::new();
    bench.tenants.clear();
    bench.step(Happened::Ready);
    bench.send("m1");
    bench.send("m2");
    bench.send("m3");
    let deliveries = [bench.next(Queue::Inbox), bench.next(Queue::Inbox), bench.next(Queue::Inbox)];
    let asked: Vec<String> = deliveries.into_iter().map(|delivery| told(&bench.step(delivery))).collect();
    assert_eq!(asked, ["ReadEnd", "", ""], "one question at a time");
    bench.step(Happened::Projected(5));
    // The answer was asked for the first; the others came later, and one question more is good for both.
    assert_eq!(told(&bench.step(Happened::EndRead(5))), "ReadEnd Reject");
    assert_eq!(told(&bench.step(Happened::EndRead(5))), "Reject Reject");
    assert_eq!(bench.machine.held(), 0);
}

#[test]
fn a_drain_leaves_input_for_unknown_tenants_to_the_next_owner() {
    let mut bench = Bench::new();
    bench.tenants.clear();
    bench.step(Happened::Ready);
    bench.send("m1");
    let delivery = bench.next(Queue::Inbox);
    bench.step(delivery);
    assert_eq!(told(&bench.step(Happened::Drain)), "Drained");
    assert_eq!(told(&bench.step(Happened::EndRead(0))), "");
}
