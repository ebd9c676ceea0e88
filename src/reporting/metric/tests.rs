//! Figures of generated sessions: whatever happens in whatever order, the parts come to the whole.

use super::*;
use crate::routing::hours::midnight_in;
use kefu_events::{
    Actor, ActorKind, AggregateKind, Commit, Concerns, agent::AgentEvent, conversation::ConversationEvent,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + ms)
}

fn commit<E: serde::de::DeserializeOwned>(
    kind: AggregateKind,
    key: &str,
    at: Timestamp,
    events: &[Value],
) -> Commit<E> {
    Commit {
        commit_id: "c".to_owned(),
        tenant: "demo".to_owned(),
        aggregate: kind,
        key: key.to_owned(),
        version: 1,
        at,
        actor: Actor::new(ActorKind::System, "test"),
        contact: None,
        concerns: Concerns::default(),
        cause: String::new(),
        cause_seq: 1,
        correlation: String::new(),
        events: events.iter().map(|event| serde_json::from_value(event.clone()).unwrap()).collect(),
    }
}

fn conversation(at: Timestamp, events: &[Value]) -> Commit<ConversationEvent> {
    commit(AggregateKind::Conversation, "k", at, events)
}

/// The figures of the whole, of everything that was counted.
fn whole(ledger: &Ledger) -> Cell {
    ledger.within(Dimension::All, 0..u32::MAX).remove("").unwrap_or_default()
}

fn figure(cell: &Cell, name: &str) -> Option<f64> {
    metric(name).unwrap().of(cell)
}

fn opened(number: u32) -> Value {
    json!({"type": "session_opened", "v": 1, "session": number, "channel": "web", "thread": "t", "sender": {"id": "s"}})
}

fn says() -> Value {
    json!({"type": "message_received", "v": 1, "session": 1,
        "message": {"id": "m", "sent_at": at(0), "content": {"kind": "text", "text": "hi"}}})
}

fn replies(kind: &str, id: Option<&str>) -> Value {
    json!({"type": "message_sent", "v": 1, "session": 1, "id": "o", "channel": "web", "thread": "t",
        "author": {"kind": kind, "id": id}, "content": {"kind": "text", "text": "hi"}})
}

fn closed(number: u32, reason: &str) -> Value {
    json!({"type": "session_closed", "v": 1, "session": number, "reason": reason})
}

/// Every event of a session that figures are made of, as it may follow any other.
fn anything() -> impl Strategy<Value = Value> {
    let agents = prop::sample::select(vec!["ann", "bob"]);
    let queues = prop::sample::select(vec!["billing", "support"]);
    prop_oneof![
        3 => Just(says()),
        3 => agents.clone().prop_map(|agent| replies("agent", Some(agent))),
        1 => Just(replies("bot", None)),
        1 => Just(json!({"type": "answer_requested", "v": 1, "request": "r", "question": "q", "message": "m", "deadline": at(0)})),
        1 => Just(json!({"type": "answer_given", "v": 1, "request": "r", "confidence": 0.7, "sources": [{"entry": "e"}]})),
        1 => Just(json!({"type": "answer_declined", "v": 1, "request": "r", "reason": "not_confident"})),
        1 => Just(json!({"type": "answer_rated", "v": 1, "request": "r", "helpful": true})),
        1 => Just(json!({"type": "handoff_requested", "v": 1, "reason": "customer_asked"})),
        3 => queues.prop_map(|queue| json!({"type": "queued", "v": 1, "queue": queue, "priority": 0})),
        2 => agents.clone().prop_map(|agent| json!({"type": "offer_made", "v": 1, "offer": "o", "agent": agent, "deadline": at(0),
            "practice": {"skills": ["french"], "half_life_days": 1.0}})),
        4 => agents.clone().prop_map(|agent| json!({"type": "offer_accepted", "v": 1, "offer": "o", "agent": agent})),
        1 => agents.clone().prop_map(|agent| json!({"type": "offer_timed_out", "v": 1, "offer": "o", "agent": agent})),
        1 => agents.clone().prop_map(|agent| json!({"type": "taken_over", "v": 1, "agent": agent})),
        2 => prop::sample::select(vec!["held", "resumed", "unsnoozed", "callback_due", "customer_left"])
            .prop_map(|name| json!({"type": name, "v": 1})),
        1 => Just(json!({"type": "snoozed", "v": 1, "until": at(0)})),
        1 => agents.clone().prop_map(|agent| json!({"type": "wrap_up_started", "v": 1, "agent": agent, "deadline": at(0)})),
        1 => agents.clone().prop_map(|agent| json!({"type": "reactivated", "v": 1, "agent": agent})),
        1 => agents.prop_map(|agent| json!({"type": "transferred", "v": 1, "from": agent, "to": {"queue": "billing"}})),
        1 => Just(json!({"type": "returned_to_bot", "v": 1})),
        2 => Just(closed(1, "wrapped_up")),
        1 => Just(closed(1, "customer_left")),
        2 => Just(opened(1)),
        1 => Just(json!({"type": "satisfaction_rated", "v": 1, "session": 1, "score": 4})),
    ]
}

fn folded(log: &[(i64, Value)]) -> Ledger {
    let (mut state, mut ledger, rules) = (ConversationFold::default(), Ledger::default(), Rules::default());
    for (ms, event) in log {
        state.fold(&conversation(at(*ms), std::slice::from_ref(event)), &rules, &|_| None, &mut ledger);
        // What is remembered is what is read back.
        let bytes = postcard::to_allocvec(&state).unwrap();
        state = postcard::from_bytes(&bytes).unwrap();
    }
    ledger
}

proptest! {
    #[test]
    fn parts_come_to_the_whole(steps in prop::collection::vec((0i64..200_000, anything()), 1..80)) {
        let mut now = 0;
        let log: Vec<(i64, Value)> = std::iter::once((0, opened(1))).chain(steps).map(|(gap, event)| { now += gap; (now, event) }).collect();
        let mut ledger = folded(&log);
        let all = whole(&ledger);
        // Everything happens on the one channel.
        let by_channel = ledger.within(Dimension::Channel, 0..u32::MAX).remove("web").unwrap_or_default();
        prop_assert_eq!(&by_channel, &all);
        // Talk, hold and wrap-up are all of the time.
        let sum = |timing| all.timed(timing).map_or(0, |times| times.sum_ms);
        prop_assert_eq!(sum(Timing::Talk) + sum(Timing::Hold) + sum(Timing::WrapUp), sum(Timing::Handled));
        // No duration is longer than all there was.
        for (timing, times) in all.timings() {
            prop_assert!(times.sum_ms <= times.count * now as u64, "{timing:?}");
        }
        // Of what has a queue and an agent, the parts are the whole as well.
        for (dimension, timing) in [(Dimension::Agent, Timing::Handled), (Dimension::Agent, Timing::WaitAnswered)] {
            let parts = ledger.within(dimension, 0..u32::MAX);
            let parts: u64 = parts.values().filter_map(|cell| cell.timed(timing)).map(|times| times.sum_ms).sum();
            prop_assert_eq!(parts, sum(timing));
        }
        for share in METRICS.iter().filter(|metric| metric.unit == Unit::Share) {
            if let Some(share_of) = share.of(&all) {
                // The illegal orders of this test can make more answers than questions; shares of people's work never.
                prop_assert!(share_of >= 0.0 || share.name == "fcr", "{}: {share_of}", share.name);
            }
        }
        // Hours and days hold what minutes hold.
        ledger.roll_up("Asia/Kathmandu");
        let rolled = ledger.take();
        for level in Level::ALL {
            let mut cell = Cell::default();
            for (_, part) in rolled.iter().filter(|((l, dimension, ..), _)| *l == level && *dimension == Dimension::All) {
                cell.merge(part);
            }
            prop_assert_eq!(&cell, &all, "{:?}", level);
        }
    }

    #[test]
    fn the_order_of_conversations_that_happen_at_the_same_moments_does_not_matter(
        first in prop::collection::vec(anything(), 1..30),
        second in prop::collection::vec(anything(), 1..30),
    ) {
        let rules = Rules::default();
        let run = |swapped: bool| {
            let mut states = [ConversationFold::default(), ConversationFold::default()];
            let mut ledger = Ledger::default();
            for step in 0..first.len().max(second.len()) + 1 {
                let order = if swapped { [1, 0] } else { [0, 1] };
                for which in order {
                    let events = [&first, &second][which];
                    let event = if step == 0 { Some(opened(1)) } else { events.get(step - 1).cloned() };
                    if let Some(event) = event {
                        states[which].fold(&conversation(at(step as i64 * 1_000), &[event]), &rules, &|_| None, &mut ledger);
                    }
                }
            }
            ledger.roll_up("UTC");
            ledger.take()
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn an_agents_time_is_all_of_it_and_the_same_in_any_portions(
        steps in prop::collection::vec((0i64..7_200_000, 0usize..6), 1..40),
    ) {
        let events = |step: usize| match step {
            0 => json!({"type": "status_changed", "v": 1, "status": "available"}),
            1 => json!({"type": "status_changed", "v": 1, "status": "away"}),
            2 => json!({"type": "status_changed", "v": 1, "status": "offline"}),
            3 => json!({"type": "slot_reserved", "v": 1, "reservation": "r", "conversation": "c", "weight": 1, "deadline": at(0)}),
            4 => json!({"type": "slot_occupied", "v": 1, "reservation": "r"}),
            _ => json!({"type": "slot_released", "v": 1, "reservation": "r"}),
        };
        let (mut state, mut ledger, mut now) = (AgentFold::default(), Ledger::default(), 0);
        for (gap, step) in &steps {
            now += gap;
            state.fold(&commit::<AgentEvent>(AggregateKind::Agent, "ann", at(now), &[events(*step)]), &mut ledger);
        }
        state.count_between("ann", at(0), at(now), &mut ledger);
        let all = whole(&ledger);
        let ms = |count| all.counted(count);
        prop_assert!(ms(Count::BusyMs) <= ms(Count::ReadyMs) && ms(Count::ReadyMs) <= ms(Count::DutyMs));
        prop_assert!(ms(Count::DutyMs) <= now);
        // One slot at most is occupied here.
        prop_assert_eq!(ms(Count::ConversationMs), ms(Count::BusyMs));
        // What a report computes of the time since the last change is what goes by minutes.
        let later = now + 5_000_000;
        for (from, to) in [(0, later), (now - 90_000, now + 61_000), (now + 1, now + 2), (later - 1, later)] {
            let (mut by_minutes, mut computed) = (Ledger::default(), Cell::default());
            state.count_between("ann", at(from), at(to), &mut by_minutes);
            for (measure, by) in state.uncounted(at(later)).iter().flat_map(|uncounted| uncounted.within(at(from), at(to))) {
                computed.count(measure, by);
            }
            prop_assert_eq!(whole(&by_minutes), computed);
        }
        // No minute has more than a minute.
        let minute = minute_of(at(now / 2));
        let within = ledger.within(Dimension::All, minute..minute + 1).remove("").unwrap_or_default();
        prop_assert!(within.counted(Count::DutyMs) <= 60_000);
    }
}

#[test]
fn a_rating_counts_where_its_session_ended_whenever_it_comes() {
    let log = [
        (0, opened(1)),
        (1_000, json!({"type": "queued", "v": 1, "queue": "billing", "priority": 0})),
        (2_000, json!({"type": "offer_accepted", "v": 1, "offer": "o", "agent": "ann"})),
        (60_000, closed(1, "wrapped_up")),
        (60_000, json!({"type": "satisfaction_requested", "v": 1, "session": 1, "deadline": at(0)})),
        (600_000, opened(2)),
        (700_000, closed(2, "customer_left")),
        (7_200_000, json!({"type": "satisfaction_rated", "v": 1, "session": 1, "score": 5})),
    ];
    let ledger = folded(&log);
    let then = minute_of(at(60_000));
    let cell = ledger.within(Dimension::Agent, then..then + 1).remove("ann").unwrap();
    assert_eq!(figure(&cell, "csat"), Some(1.0));
    // The customer came back, which is known at the end of the first session only later, too.
    assert_eq!(figure(&cell, "fcr"), Some(0.0));
    assert_eq!(figure(&whole(&ledger), "reopen_rate"), Some(0.5));
}

#[test]
fn what_the_bot_answered_is_not_waited_for_until_an_agent_replies_again() {
    let taken = || json!({"type": "offer_accepted", "v": 1, "offer": "o", "agent": "ann"});
    let log = [
        (0, opened(1)),
        (0, taken()),
        (5_000, replies("agent", Some("ann"))),
        (10_000, says()),
        // Back to the bot: what was not answered before is the bot's now.
        (20_000, json!({"type": "returned_to_bot", "v": 1})),
        (30_000, says()),
        (31_000, replies("bot", None)),
        (3_600_000, says()),
        (3_601_000, json!({"type": "queued", "v": 1, "queue": "billing", "priority": 0})),
        (3_610_000, taken()),
        // While an agent has it, it is the agent's reply that counts.
        (3_615_000, replies("bot", None)),
        (3_620_000, replies("agent", Some("ann"))),
    ];
    assert_eq!(figure(&whole(&folded(&log)), "nrt_mean"), Some(20.0));
}

#[test]
fn a_wait_goes_on_while_the_queue_changes_and_counts_where_it_ends() {
    let log = [
        (0, opened(1)),
        (0, json!({"type": "queued", "v": 1, "queue": "billing", "priority": 0})),
        (10_000, json!({"type": "queued", "v": 1, "queue": "support", "priority": 0})),
        (30_000, json!({"type": "taken_over", "v": 1, "agent": "boss"})),
    ];
    let ledger = folded(&log);
    let cell = ledger.within(Dimension::Queue, 0..u32::MAX).remove("support").unwrap();
    assert_eq!(figure(&cell, "asa"), Some(30.0));
    // 20 s is the target where nobody set another.
    assert_eq!(figure(&cell, "service_level"), Some(0.0));
}

#[test]
fn who_gives_up_at_once_is_neither_abandoned_nor_part_of_the_service_level() {
    let log = [
        (0, opened(1)),
        (0, json!({"type": "queued", "v": 1, "queue": "billing", "priority": 0})),
        (4_000, closed(1, "customer_left")),
    ];
    let cell = whole(&folded(&log));
    assert_eq!((figure(&cell, "waits"), figure(&cell, "abandonment")), (Some(1.0), None));
}

#[test]
fn every_definition_can_be_read_and_has_a_name_of_its_own() {
    let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for metric in METRICS {
        assert!(!metric.formula_text().is_empty() && !metric.sources().is_empty(), "{}", metric.name);
        assert!(metric.of(&Cell::default()).is_none_or(|figure| figure == 0.0), "{}", metric.name);
    }
}

#[test]
fn a_day_begins_where_the_tenant_is() {
    let mut ledger = Ledger::default();
    let zone = "Asia/Shanghai";
    let midnight = midnight_in(zone, "2026-11-23".parse().unwrap());
    for ms in [-1, 0] {
        let moment = Timestamp::from_millis(midnight.as_millis() + ms);
        ledger.count(moment, Count::SessionsOpened, 1, Slices::default());
    }
    ledger.roll_up(zone);
    let days: Vec<u32> =
        ledger.take().into_keys().filter(|(level, ..)| *level == Level::Day).map(|(_, _, day, _)| day).collect();
    assert_eq!(
        days.iter().map(|day| date_of(*day).unwrap().to_string()).collect::<Vec<_>>(),
        ["2026-11-22", "2026-11-23"]
    );
}
