//! Given, when, then.

use super::*;
use crate::scheduler::{
    decision::{Decision, Reason, WhyNot},
    settings::{Overflow, Relaxation, Target},
};

fn pairs(expected: &[(u128, &str)]) -> Vec<(u128, String)> {
    expected.iter().map(|(key, agent)| (*key, (*agent).to_owned())).collect()
}

#[test]
fn a_free_agent_gets_the_oldest_and_a_conversation_the_longest_idle() {
    let mut floor = floor(PolicyName::LongestIdle);
    floor.put_waiting(&conversation(1, &[("billing", 1)], 20), 30);
    floor.put_waiting(&conversation(2, &[("billing", 1)], 10), 30);
    assert_eq!(pump(&mut floor, 30), []);
    floor.put_agent(&agent("ann", &[("billing", 3)], 1), 40);
    assert_eq!(pump(&mut floor, 40), pairs(&[(2, "ann")]));
    floor.put_agent(&AgentView { idle_since_ms: Some(45), ..agent("bob", &[("billing", 3)], 2) }, 50);
    floor.put_agent(&AgentView { idle_since_ms: Some(44), ..agent("eve", &[("billing", 3)], 1) }, 50);
    assert_eq!(pump(&mut floor, 50), pairs(&[(1, "bob")]));
    floor.put_waiting(&conversation(3, &[("billing", 1)], 60), 60);
    assert_eq!(pump(&mut floor, 60), pairs(&[(3, "eve")]));
}

#[test]
fn nobody_gets_what_does_not_fit() {
    let mut floor = floor(PolicyName::Index);
    let others = [
        AgentView { online: false, ..agent("gone", &[("billing", 5)], 1) },
        AgentView { status: Status::Away, ..agent("away", &[("billing", 5)], 1) },
        AgentView { status: Status::TransfersOnly, ..agent("named", &[("billing", 5)], 1) },
        agent("novice", &[("billing", 2)], 1),
        AgentView { queues: ["other".to_owned()].into(), ..agent("other", &[("billing", 5)], 1) },
        AgentView { languages: ["en".to_owned()].into(), ..agent("english", &[("billing", 5)], 1) },
        AgentView {
            load: [(ConversationKey(9), 1)].into(),
            languages: ["zh".to_owned()].into(),
            ..agent("full", &[("billing", 5)], 1)
        },
    ];
    for other in &others {
        floor.put_agent(other, 0);
    }
    let wanted = WaitingView { language: Some("zh".to_owned()), ..conversation(1, &[("billing", 3)], 0) };
    floor.put_waiting(&wanted, 0);
    assert_eq!(pump(&mut floor, 1), []);
    let why = floor.why_waiting(ConversationKey(1), 2_000).unwrap();
    assert_eq!(why.waited_s, 2.0);
    assert_eq!(why.ahead, Some(0));
    let expected = [
        (Reason::Offline, 1),
        (Reason::Away, 1),
        (Reason::TransfersOnly, 1),
        (Reason::Queue, 1),
        (Reason::Language, 2),
        (Reason::Full, 1),
    ];
    assert_eq!(why.excluded, expected.into());
    let why = floor.why_not(ConversationKey(1), "novice", 1, 0);
    assert_eq!(why, WhyNot::Impossible { reason: Reason::Language });
    assert_eq!(floor.why_not(ConversationKey(1), "nobody", 1, 0), WhyNot::Impossible { reason: Reason::Unknown });
    floor.release(5 + 1, ConversationKey(9), 3);
    assert_eq!(pump(&mut floor, 3), pairs(&[(1, "full")]));
    assert_eq!(floor.why_not(ConversationKey(1), "novice", 3, 0), WhyNot::AskedFor { agent: "full".to_owned() });
}

#[test]
fn what_was_asked_for_is_not_asked_again_until_it_is_undone() {
    let mut floor = floor(PolicyName::LongestIdle);
    let ann = floor.put_agent(&agent("ann", &[], 1), 0);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    let matched = floor.next(5, 0).unwrap();
    assert_eq!(floor.next(5, 0).as_ref(), Some(&matched), "a match that is not reserved comes again");
    floor.reserve(&matched, 77);
    floor.put_waiting(&conversation(1, &[], 0), 6);
    floor.put_waiting(&conversation(2, &[], 0), 6);
    assert_eq!(floor.next(6, 0), None);
    let why = floor.why_waiting(ConversationKey(2), 6).unwrap();
    assert_eq!(why.excluded, [(Reason::Reserved, 1)].into());
    assert_eq!(floor.asked_before(5), []);
    assert_eq!(floor.asked_before(6), [77]);
    floor.undo(77, 7);
    assert_eq!(floor.used_slots(ann), 0);
    assert_eq!(pump(&mut floor, 7), pairs(&[(1, "ann")]));
}

#[test]
fn a_confirmed_reservation_counts_once() {
    let mut floor = floor(PolicyName::LongestIdle);
    let ann = floor.put_agent(&agent("ann", &[], 2), 0);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    let matched = floor.next(1, 0).unwrap();
    floor.reserve(&matched, 5);
    // The agent's view shows it before the leader has matched the commit's cause, and the other way round.
    let view = AgentView { load: [(ConversationKey(1), 1)].into(), ..agent("ann", &[], 2) };
    floor.put_agent(&view, 2);
    assert_eq!(floor.used_slots(ann), 1);
    floor.confirm(5);
    floor.undo(5, 3);
    floor.occupy(ann, ConversationKey(1), 1);
    assert_eq!(floor.used_slots(ann), 1);
    floor.remove_waiting(ConversationKey(1));
    assert_eq!(floor.waiting_count(), 0);
    floor.release(ann, ConversationKey(1), 4);
    assert_eq!(floor.used_slots(ann), 0);
}

#[test]
fn a_rejected_offer_waits_again_for_somebody_else() {
    let mut floor = floor(PolicyName::LongestIdle);
    let ann = floor.put_agent(&agent("ann", &[], 1), 0);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    let matched = floor.next(1, 0).unwrap();
    floor.reserve(&matched, 5);
    floor.confirm(5);
    floor.release(ann, ConversationKey(1), 2);
    let rejected = WaitingView { excluded: [("ann".to_owned(), 10_000)].into(), ..conversation(1, &[], 0) };
    floor.put_waiting(&rejected, 2);
    floor.requeue(ConversationKey(1), 2);
    assert_eq!(pump(&mut floor, 3), []);
    assert_eq!(floor.why_not(ConversationKey(1), "ann", 3, 0), WhyNot::Impossible { reason: Reason::Excluded });
    assert_eq!(floor.next_due_ms(), Some(10_000));
    assert_eq!(pump(&mut floor, 10_000), pairs(&[(1, "ann")]));
}

#[test]
fn the_preferred_agent_is_waited_for_while_available_and_not_for_ever() {
    let preferring = |key| WaitingView {
        preferred: Some(Preferred { agent: "ann".to_owned(), until_ms: 1_000 }),
        ..conversation(key, &[], 0)
    };
    let mut floor = floor(PolicyName::LongestIdle);
    let busy = AgentView { load: [(ConversationKey(9), 1)].into(), ..agent("ann", &[], 1) };
    floor.put_agent(&busy, 0);
    floor.put_agent(&agent("bob", &[], 3), 0);
    floor.put_waiting(&preferring(1), 0);
    assert_eq!(pump(&mut floor, 1), []);
    let reasons = floor.why_waiting(ConversationKey(1), 1).unwrap().excluded;
    assert_eq!(reasons, [(Reason::ReservedForAnother, 1), (Reason::Full, 1)].into());
    assert_eq!(pump(&mut floor, 1_000), pairs(&[(1, "bob")]));
    floor.put_waiting(&preferring(2), 10);
    floor.put_agent(&AgentView { status: Status::Away, ..busy }, 20);
    assert_eq!(pump(&mut floor, 20), pairs(&[(2, "bob")]));
    floor.put_agent(&agent("ann", &[], 1), 30);
    floor.put_waiting(&preferring(3), 30);
    assert_eq!(pump(&mut floor, 30), pairs(&[(3, "ann")]));
}

#[test]
fn a_transfer_by_name_goes_to_that_agent_only_and_needs_no_skill() {
    let mut floor = floor(PolicyName::Index);
    floor.put_agent(&agent("bob", &[("billing", 5)], 1), 0);
    floor.put_waiting(&WaitingView { wanted: Some("ann".to_owned()), ..conversation(1, &[("billing", 1)], 0) }, 0);
    assert_eq!(pump(&mut floor, 1), []);
    floor.put_agent(&AgentView { status: Status::TransfersOnly, ..agent("ann", &[], 1) }, 2);
    assert_eq!(pump(&mut floor, 2), pairs(&[(1, "ann")]));
}

#[test]
fn asking_for_less_over_time() {
    let steps = vec![
        Relaxation { after_s: 10.0, lower: 2, ..Relaxation::default() },
        Relaxation { after_s: 20.0, drop: ["billing".to_owned()].into(), raise: 3, ..Relaxation::default() },
        Relaxation { after_s: 30.0, also: ["other".to_owned()].into(), ..Relaxation::default() },
    ];
    let rules = QueueRules { relaxation: steps, policy: PolicyName::LongestIdle, ..QueueRules::default() };
    let mut floor = Floor::new(Scheduling { default: rules, ..Scheduling::default() });
    floor.put_agent(&agent("low", &[("billing", 2)], 1), 0);
    floor.put_agent(&agent("none", &[], 1), 0);
    floor.put_agent(&AgentView { queues: ["other".to_owned()].into(), ..agent("other", &[], 1) }, 0);
    for key in 1..=3 {
        floor.put_waiting(&conversation(key, &[("billing", 4)], 0), 0);
    }
    assert_eq!(pump(&mut floor, 9_999), []);
    assert_eq!(floor.next_due_ms(), Some(10_000));
    assert_eq!(pump(&mut floor, 10_000), pairs(&[(1, "low")]));
    assert_eq!(pump(&mut floor, 20_000), pairs(&[(2, "none")]));
    assert_eq!(pump(&mut floor, 30_000), pairs(&[(3, "other")]));
}

#[test]
fn a_long_queue_overflows_to_others_for_those_who_come_then() {
    let rules = QueueRules {
        overflow: Some(Overflow { from: 2, also: ["other".to_owned()].into() }),
        policy: PolicyName::LongestIdle,
        ..QueueRules::default()
    };
    let mut floor = Floor::new(Scheduling { default: rules, ..Scheduling::default() });
    for key in 1..=3 {
        floor.put_waiting(&conversation(key, &[], 0), 0);
    }
    floor.put_agent(&AgentView { queues: ["other".to_owned()].into(), ..agent("other", &[], 9) }, 1);
    assert_eq!(pump(&mut floor, 1), pairs(&[(3, "other")]));
}

#[test]
fn priority_comes_first_and_position_says_so() {
    let mut floor = floor(PolicyName::LongestIdle);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    floor.put_waiting(&WaitingView { priority: 5, ..conversation(2, &[], 5) }, 5);
    assert_eq!(floor.position(ConversationKey(1)), Some(1));
    assert_eq!(floor.position(ConversationKey(2)), Some(0));
    floor.put_agent(&agent("ann", &[], 1), 6);
    assert_eq!(pump(&mut floor, 6), pairs(&[(2, "ann")]));
}

#[test]
fn a_heavy_conversation_needs_its_slots() {
    let mut floor = floor(PolicyName::LeastLoaded);
    let ann = floor.put_agent(&agent("ann", &[], 3), 0);
    floor.put_waiting(&WaitingView { weight: 2, ..conversation(1, &[], 0) }, 0);
    floor.put_waiting(&WaitingView { weight: 2, ..conversation(2, &[], 0) }, 0);
    floor.put_waiting(&conversation(3, &[], 0), 0);
    assert_eq!(pump(&mut floor, 1).len(), 2);
    assert_eq!(floor.used_slots(ann), 3);
    let smaller = AgentView { slots: 1, ..agent("ann", &[], 1) };
    floor.put_agent(&smaller, 2);
    assert_eq!(pump(&mut floor, 2), []);
}

#[test]
fn a_decision_survives_the_commit() {
    let mut floor = floor(PolicyName::Random);
    for number in 0..30 {
        floor.put_agent(&agent(&format!("agent-{number}"), &[("billing", 3)], 1), 0);
    }
    floor.set_sequence(99);
    floor.put_waiting(&conversation(1, &[("billing", 3)], 0), 0);
    // The agents were looked at when they came.
    let matched = floor.next(1, 0xfeed_f00d).unwrap();
    let decision = floor.explain(&matched).unwrap();
    let read: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
    assert_eq!(read, decision);
    assert_eq!(decision.sequence, 99);
    assert!(decision.candidates.len() <= 20);
}

#[test]
fn a_draw_has_equal_chances_and_says_so() {
    let mut floor = floor(PolicyName::Random);
    for number in 0..4 {
        floor.put_agent(&agent(&format!("agent-{number}"), &[], 1), 0);
    }
    assert_eq!(floor.next(0, 0), None);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    let mut counts: BTreeMap<AgentIx, u32> = BTreeMap::new();
    for draw in 0..4_000_u64 {
        let matched = floor.next(1, draw.wrapping_mul(0x9e37_79b9_7f4a_7c15)).unwrap();
        *counts.entry(matched.agent).or_default() += 1;
        assert_eq!(floor.explain(&matched).unwrap().propensity, 0.25);
    }
    assert!(counts.len() == 4 && counts.values().all(|count| (850..1_150).contains(count)), "{counts:?}");
}

#[test]
fn a_flexible_agent_is_kept_for_those_who_need_one() {
    let mut floor = floor(PolicyName::Index);
    floor.put_agent(&agent("both", &[("billing", 3), ("technical", 3)], 1), 0);
    floor.put_agent(&agent("one", &[("billing", 3)], 1), 0);
    // Something must have asked for the other skill, or flexibility is worth nothing.
    floor.put_waiting(&conversation(1, &[("technical", 1)], 0), 0);
    assert_eq!(pump(&mut floor, 0), pairs(&[(1, "both")]));
    floor.release(0, ConversationKey(1), 1);
    floor.remove_waiting(ConversationKey(1));
    assert_eq!(pump(&mut floor, 1), []);
    floor.put_waiting(&conversation(2, &[("billing", 1)], 1), 1);
    assert_eq!(pump(&mut floor, 1), pairs(&[(2, "one")]));
}

#[test]
fn the_age_cap_ends_starvation() {
    let mut floor = floor(PolicyName::Index);
    let skills = [("large", 3), ("small", 3)];
    floor.put_agent(&AgentView { status: Status::Away, ..agent("ann", &skills, 1) }, 0);
    floor.put_waiting(&conversation(1, &[("small", 1)], 0), 0);
    for key in 10..200 {
        floor.put_waiting(&conversation(key, &[("large", 1)], 100), 100);
    }
    let cap_ms = (floor.settings().weights.age_cap_s * 1_000.0) as i64;
    floor.put_agent(&agent("ann", &skills, 1), 1_000);
    let early = floor.next(1_000, 0).unwrap();
    assert_ne!(early.conversation.0, 1);
    let late = floor.next(cap_ms, 0).unwrap();
    assert_eq!(late.conversation.0, 1);
}

#[test]
fn a_queue_reports_its_service() {
    let mut settings = Scheduling::default();
    settings.default.target = Some(Target::new(80.0, 20.0));
    let mut floor = Floor::new(settings);
    let ann = floor.put_agent(&agent("ann", &[], 1), 0);
    for key in 1..=20 {
        let since_ms = key as i64 * 10_000;
        floor.put_waiting(&conversation(key, &[], since_ms), since_ms);
        assert_eq!(pump(&mut floor, since_ms).len(), 1);
        floor.remove_waiting(ConversationKey(key));
        floor.release(ann, ConversationKey(key), since_ms + 1);
    }
    floor.occupy(ann, ConversationKey(99), 1);
    floor.put_waiting(&conversation(50, &[], 200_000), 200_000);
    let state = floor.queue_state("main", 210_000);
    assert_eq!((state.waiting, state.oldest_s), (1, Some(10.0)));
    assert_eq!(state.service_level, Some(100.0));
    let estimate = floor.estimated_wait_s(ConversationKey(50), 210_000).unwrap();
    assert!((8.0..12.0).contains(&estimate), "one every 10 s, but {estimate} s");
}

#[test]
fn an_agent_who_goes_for_good_leaves_nothing_behind() {
    let mut floor = floor(PolicyName::LongestIdle);
    floor.put_agent(&agent("ann", &[], 1), 0);
    floor.put_waiting(&conversation(1, &[], 0), 0);
    assert_eq!(pump(&mut floor, 0).len(), 1);
    floor.remove_agent("ann", 1);
    assert_eq!(floor.asked().count(), 0);
    floor.put_agent(&agent("bob", &[], 1), 2);
    assert_eq!(pump(&mut floor, 2), pairs(&[(1, "bob")]));
}

#[test]
fn who_is_about_to_miss_the_target_comes_first_as_long_as_the_queue_is_behind() {
    let settings = |steer: f64| {
        let mut settings = Scheduling::default();
        settings.default.policy = PolicyName::LongestIdle;
        let target = Target { steer, ..Target::new(80.0, 20.0) };
        settings.queues.insert("billing".to_owned(), QueueRules { target: Some(target), ..settings.default.clone() });
        settings
    };
    let served = |settings: Scheduling, before: u32| {
        let mut floor = Floor::new(settings);
        let view = AgentView { queues: ["main", "billing"].map(str::to_owned).into(), ..agent("ann", &[], 1) };
        floor.put_agent(&view, 0);
        // Conversations of the queue that were served at once.
        for number in 0..before {
            let key = 1_000 + u128::from(number);
            floor.put_waiting(&WaitingView { queue: "billing".to_owned(), ..conversation(key, &[], 0) }, 0);
            let matched = floor.next(0, 0).unwrap();
            floor.reserve(&matched, key);
            floor.undo(key, 0);
            floor.remove_waiting(ConversationKey(key));
        }
        floor.occupy(0, ConversationKey(99), 1);
        assert_eq!(floor.next(0, 0), None);
        floor.put_waiting(&conversation(1, &[], 0), 0);
        floor.put_waiting(&WaitingView { queue: "billing".to_owned(), ..conversation(2, &[], 12_000) }, 12_000);
        floor.release(0, ConversationKey(99), 30_000);
        let matched = floor.next(30_000, 0).unwrap();
        let decision = floor.explain(&matched).unwrap();
        assert_eq!(decision.candidates[0].conversation, matched.conversation, "the reasons are those of the choice");
        let sum: f64 = decision.candidates[0].parts.values().sum();
        assert!((sum - decision.candidates[0].score).abs() < 1e-9);
        (matched.conversation.0, decision.candidates[0].parts.contains_key("target"))
    };
    // 18 s of 20 have gone: four fifths of the way from 10 s on, so 18 + 0.8 × 30 against 30.
    assert_eq!(served(settings(1.0), 0), (2, true));
    assert_eq!(served(settings(0.0), 0), (1, false), "it is only measured");
    assert_eq!(served(settings(0.1), 0), (1, false), "the other has waited longer by more than that");
    assert_eq!(served(settings(1.0), 10), (1, false), "the queue meets its target");
}
