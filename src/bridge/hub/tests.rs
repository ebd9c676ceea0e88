//! Feeds over the in-memory bus: whatever is cut, and wherever the client comes back to, it gets each commit once.

use super::*;
use crate::{
    access::{Access, Credential, Grant, Principal, Role, Scope},
    journal::memory::{MemoryJournal, MemoryStream},
};
use bytes::Bytes;
use kefu_events::bridge::{LastCommit, View, default_topics};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

/// Commits of the long test. The last one concerns everybody: a client that has it has all.
const EVENTS: u64 = 201;
const QUEUES: [&str; 3] = ["support", "sales", "legal"];

fn principal(user: &str, scope: Scope) -> Principal {
    Principal {
        tenant: "demo".to_owned(),
        user: user.to_owned(),
        name: user.to_owned(),
        grants: vec![Grant { role: Role::Agent, scope }],
        credential: Credential::Token(user.to_owned()),
        only: None,
        expires_at: None,
        queues: ["support".to_owned()].into(),
    }
}

fn reach(user: &str, scope: Scope) -> Reach {
    let queues = QUEUES.map(str::to_owned);
    Reach::new(Access::default(), principal(user, scope), default_topics(), View::All, &queues)
}

/// The `number`th commit of a log in which conversations go from hand to hand, of two tenants.
fn commit(number: u64) -> (String, Bytes) {
    let everybody = number.is_multiple_of(EVENTS);
    let tenant = if number.is_multiple_of(5) { "other" } else { "demo" };
    let key = format!("c{}", number % 7);
    let queues: Vec<&str> =
        QUEUES.iter().copied().filter(|queue| everybody || !(number + queue.len() as u64).is_multiple_of(3)).collect();
    let agents: Vec<&str> =
        ["ann", "bob"].into_iter().filter(|agent| everybody || (number / agent.len() as u64) % 4 == 1).collect();
    let commit = json!({
        "commit_id": format!("id-{number}"), "tenant": tenant, "aggregate": "conversation", "key": key,
        "version": number, "concerns": { "queues": queues, "agents": agents }, "events": [],
    });
    (format!("kefu.events.{tenant}.conversation.{key}-{number}"), commit.to_string().into())
}

async fn append(journal: &MemoryJournal, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let (subject, payload) = commit(number);
        journal.append(&subject, 0, payload).await.unwrap();
    }
}

/// A node's hub over this log.
fn node(journal: &MemoryJournal) -> (Hub, tokio::task::JoinHandle<()>) {
    let hub = Hub::new();
    (hub.clone(), tokio::spawn(run(hub, journal.clone(), None)))
}

async fn reaches(hub: &Hub, seq: u64) {
    let mut position = hub.0.position.subscribe();
    position.wait_for(|position| position.seq >= seq).await.unwrap();
}

/// What a client has.
#[derive(Debug, Default, Clone, PartialEq)]
struct Client {
    place: Place,
    seen: Vec<u64>,
}

impl Client {
    /// Takes in what there is, at most so many commits.
    async fn takes(&mut self, hub: &Hub, journal: &MemoryJournal, reach: &Reach, most: usize) -> Start {
        let (mut feed, start) = Feed::open(hub, journal, reach.clone(), self.place.clone()).await.unwrap();
        self.place.epoch = Some(hub.position().epoch);
        let (Start::From(seq) | Start::Anew { seq, .. }) = start;
        self.place.last_seq = Some(seq);
        for _ in 0..most {
            if self.place.last_seq == Some(EVENTS) {
                break;
            }
            match feed.next().await {
                Happened::Seen(seen) => {
                    self.place.last_seq = Some(seen.seq);
                    self.place.last_commit = Some(LastCommit { seq: seen.seq, id: seen.commit_id.clone() });
                    self.seen.push(seen.seq);
                }
                other => panic!("{other:?}"),
            }
        }
        start
    }
}

fn seen_by(reach: &Reach, last: u64) -> Vec<u64> {
    let all = (1..=last).map(|number| Seen::read(number, commit(number).1).unwrap());
    all.filter(|seen| reach.sees(seen)).map(|seen| seen.seq).collect()
}

#[tokio::test]
async fn a_client_that_is_cut_after_any_event_and_comes_back_to_another_node_has_each_event_once() {
    let journal = MemoryJournal::default();
    let (first, _first) = node(&journal);
    first.opened().await;
    append(&journal, 1..=EVENTS / 2).await;
    reaches(&first, EVENTS / 2).await;
    // A node that came later has none of that in memory, and reads it from the log.
    let (second, _second) = node(&journal);
    second.opened().await;
    append(&journal, EVENTS / 2 + 1..=EVENTS).await;
    reaches(&first, EVENTS).await;
    reaches(&second, EVENTS).await;
    for reach in [reach("ann", Scope::Own), reach("ann", Scope::MyQueues), reach("boss", Scope::All)] {
        let expected = seen_by(&reach, EVENTS);
        assert!(expected.len() > 20, "the test has something to miss");
        for cut in 0..=expected.len() {
            let epoch = Some(first.position().epoch);
            let mut client = Client { place: Place { epoch, last_seq: Some(0), last_commit: None }, seen: Vec::new() };
            assert_eq!(client.takes(&first, &journal, &reach, cut).await, Start::From(0));
            client.takes(&second, &journal, &reach, usize::MAX).await;
            assert_eq!(client.seen, expected, "cut after {cut}");
        }
    }
}

#[tokio::test]
async fn a_place_that_is_none_begins_anew_and_says_why() {
    let journal = MemoryJournal::default();
    let (hub, _task) = node(&journal);
    hub.opened().await;
    append(&journal, 1..=9).await;
    reaches(&hub, 9).await;
    let epoch = hub.position().epoch;
    let place = |epoch: &str, seq, id: &str| Place {
        epoch: Some(epoch.to_owned()),
        last_seq: Some(seq),
        last_commit: Some(LastCommit { seq, id: id.to_owned() }),
    };
    let cases = [
        (Place::default(), "new"),
        (place("another", 3, "id-3"), "other_log"),
        (place(&epoch, 3, "id-of-a-commit-that-was-lost"), "log_went_back"),
        (place(&epoch, 12, "id-12"), "log_went_back"),
    ];
    for (place, expected) in cases {
        let opened = Feed::open(&hub, &journal, reach("boss", Scope::All), place).await.unwrap();
        assert_eq!(opened.1, Start::Anew { seq: 9, reason: expected });
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_others_are_not() {
    let journal = MemoryJournal::default();
    let (hub, _task) = node(&journal);
    hub.opened().await;
    let boss = reach("boss", Scope::All);
    let (mut slow, _) = Feed::open(&hub, &journal, boss.clone(), Place::default()).await.unwrap();
    let (mut quick, _) = Feed::open(&hub, &journal, boss.clone(), Place::default()).await.unwrap();
    let mut quick_saw = 0;
    for number in 1..=6_000 {
        let (_, payload) = commit(number);
        hub.take(Seen::read(number, payload).unwrap());
        while let Some(Happened::Seen(_)) = quick.try_next() {
            quick_saw += 1;
        }
    }
    assert_eq!(quick_saw, seen_by(&boss, 6_000).len());
    let mut slow_saw = 0;
    while let Some(Happened::Seen(_)) = slow.try_next() {
        slow_saw += 1;
    }
    assert!(matches!(slow.try_next(), Some(Happened::Cut)));
    assert!(slow_saw < quick_saw, "it was cut off with {slow_saw} of {quick_saw}, and in order up to there");
    assert_eq!(hub.clients(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_its_end_and_grew_otherwise_cuts_its_clients_off() {
    let journal = MemoryJournal::default();
    let (hub, _task) = node(&journal);
    hub.opened().await;
    append(&journal, 1..=9).await;
    reaches(&hub, 9).await;
    let boss = reach("boss", Scope::All);
    let (mut before, _) = Feed::open(&hub, &journal, boss.clone(), Place::default()).await.unwrap();
    // As if all of it came while the reader was away: it compares the log's end only.
    journal.core(|core| core.rollback(MemoryStream::Events, 7));
    for number in 18..=19 {
        let (subject, payload) = commit(number);
        journal.append(&subject, 0, payload).await.unwrap();
    }
    let happened = tokio::time::timeout(4 * CHECK, before.next()).await.expect("it is noticed");
    assert!(matches!(happened, Happened::Cut), "{happened:?}");
    let (_after, _) = Feed::open(&hub, &journal, boss, Place::default()).await.unwrap();
    drop(before);
    assert_eq!(hub.clients(), 1, "who is dropped later is not taken for who came since");
}

#[tokio::test]
async fn what_was_missed_is_read_from_the_log_to_its_end_without_waiting_for_more() {
    let journal = MemoryJournal::default();
    append(&journal, 1..=40).await;
    let (hub, _task) = node(&journal);
    let place = Place { epoch: Some(hub.opened().await.epoch), last_seq: Some(3), last_commit: None };
    let boss = reach("boss", Scope::All);
    let (mut feed, start) = Feed::open(&hub, &journal, boss.clone(), place).await.unwrap();
    assert_eq!(start, Start::From(3));
    let mut seen = Vec::new();
    while let Some(Happened::Seen(one)) = feed.next_missed().await {
        seen.push(one.seq);
    }
    let expected: Vec<u64> = seen_by(&boss, 40).into_iter().filter(|seq| *seq > 3).collect();
    assert_eq!((seen, feed.is_reading()), (expected, false));
}

#[tokio::test]
async fn what_is_passed_on_and_what_was_missed_of_it_come_once_and_in_order() {
    let journal = MemoryJournal::default();
    let relay = Arc::<Relay<Recorded>>::default();
    let pass_on = async |numbers: std::ops::RangeInclusive<u64>| {
        for number in numbers {
            let commit = journal.read(number).await.unwrap().expect("the commit");
            relay.pass_on(number, || vec![commit]);
        }
    };
    append(&journal, 1..=9).await;
    relay.begin(3);
    let hub = Hub::new();
    let _task = tokio::spawn(run(hub.clone(), journal.clone(), Some(relay.clone())));
    hub.opened().await;
    let boss = reach("boss", Scope::All);
    let (mut feed, _) = Feed::open(&hub, &journal, boss.clone(), Place::default()).await.unwrap();
    append(&journal, 10..=300).await;
    // Some that are known, some that are new.
    pass_on(4..=20).await;
    reaches(&hub, 20).await;
    // More than are kept for whoever is slow: those are read from the log. Nothing is awaited in between.
    let mut commits = Vec::new();
    for number in 21..=200 {
        commits.push(journal.read(number).await.unwrap().expect("the commit"));
    }
    tokio::task::yield_now().await;
    commits.into_iter().for_each(|commit| relay.pass_on(commit.seq, || vec![commit]));
    reaches(&hub, 200).await;
    pass_on(201..=300).await;
    reaches(&hub, 300).await;
    let mut seen = Vec::new();
    while let Some(Happened::Seen(one)) = feed.try_next() {
        seen.push(one.seq);
    }
    let expected: Vec<u64> = seen_by(&boss, 300).into_iter().filter(|seq| *seq > 9).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn who_has_gone_is_forgotten() {
    let journal = MemoryJournal::default();
    let (hub, _task) = node(&journal);
    hub.opened().await;
    let opened = Feed::open(&hub, &journal, reach("ann", Scope::MyQueues), Place::default()).await.unwrap();
    assert_eq!(hub.clients(), 1);
    drop(opened);
    assert_eq!(hub.clients(), 0);
    assert!(hub.shared().audience.is_empty());
}

proptest! {
    /// What a commit is found by leads to everybody who sees it.
    #[test]
    fn whoever_sees_a_commit_is_told_of_it(number in 1_u64..10_000, user in "ann|bob|cat", scope in 0..4) {
        let scope = match scope {
            0 => Scope::Own,
            1 => Scope::MyQueues,
            2 => Scope::Queues(BTreeSet::from(["legal".to_owned()])),
            _ => Scope::All,
        };
        let reach = reach(&user, scope);
        let seen = Seen::read(number, commit(number).1).unwrap();
        let interests = reach.interests();
        let told = Reach::interests_of(&seen).any(|interest| interests.contains(&interest));
        prop_assert!(told && seen.tenant == "demo" || !reach.sees(&seen));
    }
}
