//! Stories.

use super::*;
use crate::agent::{DEFAULT_SLOTS, MAX_ENDED, MAX_PRACTISED, timer};
use ActorKind::{Agent as TheAgent, Scheduler, System};

#[test]
fn registered_renamed_removed_and_back() {
    let mut world = World::nobody();
    let register = |name: &str| json!({"type": "register", "name": name});
    for (by, body, code) in [
        (System, json!({"type": "set_status", "status": "away"}), "unknown_agent"),
        (Scheduler, reserve("r1", 1), "unknown_agent"),
        (System, about("release_slot", "r1"), "unknown_agent"),
        (System, register(" "), "invalid"),
        (System, json!({"type": "register", "name": "Ann", "agent": "bob"}), "invalid"),
        (TheAgent, register("Ann"), "not_allowed"),
    ] {
        assert_eq!(world.asks(by, body.clone()).code(), Some(code), "{body}");
    }
    assert_eq!(world.does(System, register("Ann")).types(), ["agent_registered", "capacity_changed"]);
    assert_eq!((world.state.id.as_str(), world.state.name.as_str(), world.state.slots), ("ann", "Ann", DEFAULT_SLOTS));
    assert_eq!(world.asks(System, register("Ann")).code(), Some("unchanged"));
    assert_eq!(world.does(System, register("Anna")).types(), ["agent_registered"]);
    assert_eq!((world.state.name.as_str(), world.state.idle_since), ("Anna", Some(world.now)));

    assert_eq!(world.does(System, json!({"type": "remove"})).types(), ["agent_removed"]);
    for (by, body) in [
        (System, json!({"type": "remove"})),
        (TheAgent, json!({"type": "set_status", "status": "available"})),
        (TheAgent, json!({"type": "set_presence", "online": true})),
        (System, json!({"type": "set_skills", "skills": {"tax": 3}})),
        (System, json!({"type": "set_capacity", "slots": 9})),
    ] {
        assert_eq!(world.asks(by, body.clone()).code(), Some("removed"), "{body}");
    }
    world.does(System, register("Anna"));
    assert!(!world.state.removed);
}

#[test]
fn an_id_that_cannot_stand_in_a_subject_is_kept_beside_the_key() {
    let id = "ann@example.com";
    let key = kefu_events::key::token_of(id);
    let command = serde_json::from_value(json!({"type": "register", "v": 1, "agent": id, "name": "Ann"})).unwrap();
    let mut world = World::nobody();
    let header = CommandHeader {
        id: "x".to_owned(),
        aggregate: AggregateKind::Agent,
        key: key.clone(),
        expected_version: None,
        actor: actor(System),
        at: world.now,
        correlation: None,
    };
    let context = Context {
        tenant: "demo",
        key: &key,
        version: 0,
        now: world.now,
        commit_id: "c",
        settings: &world.config.clone(),
        found: &[],
    };
    let events = Agent::decide(&world.state, &Input::Command(header, command), &context).unwrap();
    world.commit(actor(System), events, None);
    assert_eq!(world.state.id, id);
    // Under its id and under its key it may speak for itself.
    let status = |status: &str| json!({"type": "set_status", "status": status});
    assert!(world.asks_as(Actor::new(TheAgent, id), status("away")).refusal.is_none());
    assert_eq!(world.asks_as(Actor::new(TheAgent, "bob"), status("available")).code(), Some("not_yours"));
}

#[test]
fn skills_and_capacity_are_set_and_what_is_absent_stays() {
    let mut world = World::registered();
    let skills = json!({"type": "set_skills", "skills": {"tax": 3, "law": 5}, "languages": ["en", "zh-Hant"],
                        "queues": ["support"]});
    assert_eq!(world.does(System, skills.clone()).types(), ["skills_changed"]);
    assert_eq!(world.asks(System, skills).code(), Some("unchanged"));
    world.does(System, json!({"type": "set_skills", "languages": ["en"]}));
    assert_eq!((world.state.skills.len(), &world.state.languages[..]), (2, &["en".to_owned()][..]));
    assert_eq!(world.state.queues, ["support"]);
    for wrong in [
        json!({"skills": {"tax": 6}}),
        json!({"skills": {"a b": 1}}),
        json!({"languages": ["en", "en"]}),
        json!({"languages": ["e n"]}),
        json!({"queues": [""]}),
    ] {
        let mut body = wrong.clone();
        body["type"] = json!("set_skills");
        assert_eq!(world.asks(System, body).code(), Some("invalid"), "{wrong}");
    }
    let capacity = json!({"type": "set_capacity", "slots": 5, "weights": {"voice": 5}});
    assert_eq!(world.does(System, capacity.clone()).types(), ["capacity_changed"]);
    assert_eq!(world.asks(System, capacity).code(), Some("unchanged"));
    world.does(System, json!({"type": "set_capacity", "slots": 6}));
    assert_eq!((world.state.slots, world.state.weights["voice"]), (6, 5));
    for wrong in
        [json!({"slots": 1001}), json!({"slots": 1, "weights": {"web": 0}}), json!({"slots": 1, "weights": {"": 1}})]
    {
        let mut body = wrong.clone();
        body["type"] = json!("set_capacity");
        assert_eq!(world.asks(System, body).code(), Some("invalid"), "{wrong}");
    }
}

#[test]
fn a_slot_is_reserved_offered_occupied_and_released() {
    let mut world = World::ready();
    let mut body = reserve("r1", 2);
    body["decision"] = json!({"policy": "index"});
    let outcome = world.does(Scheduler, body);
    assert_eq!(outcome.types(), ["slot_reserved"]);
    let offer = json!({"type": "offer", "v": 1, "agent": "ann", "reservation": "r1", "session": 1,
                       "decision": {"policy": "index"}});
    let expected = Effect::Command { aggregate: AggregateKind::Conversation, key: "c1".to_owned(), body: offer.into() };
    assert_eq!(outcome.effects, [expected]);
    assert_eq!((world.state.in_use(), world.state.free(), world.state.idle_since), (2, 1, None));
    assert_eq!(world.state.assigned_at, Some(world.now));

    assert_eq!(world.later(5).does(System, about("occupy_slot", "r1")).types(), ["slot_occupied"]);
    assert_eq!(world.asks(System, about("occupy_slot", "r1")).code(), Some("unchanged"));
    assert_eq!(world.does(System, about("start_wrap_up", "r1")).types(), ["wrap_up_started"]);
    assert_eq!(world.asks(System, about("start_wrap_up", "r1")).code(), Some("unchanged"));
    assert_eq!(world.does(System, about("occupy_slot", "r1")).types(), ["wrap_up_ended"]);
    world.does(System, about("start_wrap_up", "r1"));
    assert_eq!(world.state.in_use(), 2, "whoever writes up has no hands free");
    assert_eq!(world.does(System, about("release_slot", "r1")).types(), ["wrap_up_ended", "slot_released"]);
    assert_eq!((world.state.in_use(), world.state.idle_since), (0, Some(world.now)));
    assert_eq!(world.deadlines(), []);
}

#[test]
fn what_does_not_fit_is_refused_and_less_capacity_throws_nobody_out() {
    let mut world = World::reserved();
    assert_eq!(world.asks(Scheduler, reserve("r2", 3)).code(), Some("no_capacity"));
    world.does(Scheduler, reserve("r2", 2));
    assert_eq!(world.asks(Scheduler, reserve("r3", 1)).code(), Some("no_capacity"));
    world.does(System, json!({"type": "set_capacity", "slots": 2}));
    assert_eq!((world.state.in_use(), world.state.free()), (3, 0));
    world.does(System, about("release_slot", "r1"));
    assert_eq!(world.asks(Scheduler, reserve("r3", 1)).code(), Some("no_capacity"), "2 of 2 are in use still");
    world.does(System, about("release_slot", "r2"));
    world.does(Scheduler, reserve("r3", 1));
    for wrong in [
        json!({"weight": 0}),
        json!({"weight": 1001}),
        json!({"ttl_s": 0}),
        json!({"ttl_s": 86_401}),
        json!({"reservation": ""}),
        json!({"reservation": "x".repeat(129)}),
        json!({"conversation": "a.b"}),
    ] {
        let mut body = reserve("r9", 1);
        wrong.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        assert_eq!(world.asks(Scheduler, body).code(), Some("invalid"), "{wrong}");
    }
}

#[test]
fn only_who_is_online_and_ready_gets_a_reservation_and_transfers_only_means_that() {
    let mut transfer = reserve("r1", 1);
    transfer["kind"] = json!("transfer");
    // status, online; whether an offer and whether a transfer can be reserved for
    for (status, online, offer, by_transfer) in [
        ("available", true, true, true),
        ("available", false, false, false),
        ("transfers_only", true, false, true),
        ("transfers_only", false, false, false),
        ("away", true, false, false),
    ] {
        let mut world = World::registered();
        world.does(TheAgent, json!({"type": "set_status", "status": status}));
        if online {
            world.does(TheAgent, json!({"type": "set_presence", "online": true}));
        }
        let code = |world: &World, body: &Value| world.clone().asks(Scheduler, body.clone()).code().map(str::to_owned);
        let expected = |can: bool| (!can).then(|| "not_available".to_owned());
        assert_eq!(code(&world, &reserve("r1", 1)), expected(offer), "{status} {online}");
        assert_eq!(code(&world, &transfer), expected(by_transfer), "{status} {online}");
    }
    let mut world = World::ready();
    world.does(System, json!({"type": "remove"}));
    assert_eq!(world.asks(Scheduler, transfer).code(), Some("not_available"));
}

#[test]
fn a_reservation_is_carried_out_once_however_often_and_late_it_is_asked_for() {
    let mut world = World::reserved();
    let again = world.asks(Scheduler, reserve("r1", 1));
    assert_eq!((again.code(), again.effects.len()), (Some("already_reserved"), 0));
    let mut elsewhere = about("release_slot", "r1");
    elsewhere["conversation"] = json!("c7");
    assert_eq!(world.asks(System, elsewhere).code(), Some("unknown_reservation"), "it is another's");
    world.does(System, about("release_slot", "r1"));
    for (by, body) in [
        (Scheduler, reserve("r1", 1)),
        (System, about("occupy_slot", "r1")),
        (System, about("release_slot", "r1")),
        (System, about("start_wrap_up", "r1")),
        (System, about("force_release", "r1")),
    ] {
        let outcome = world.asks(by, body.clone());
        assert_eq!((outcome.code(), outcome.effects.len()), (Some("reservation_over"), 0), "{body}");
    }
    for what in ["occupy_slot", "release_slot", "start_wrap_up", "force_release"] {
        assert_eq!(world.asks(System, about(what, "r9")).code(), Some("unknown_reservation"));
    }
    // A release that comes before its reservation does no harm.
    world.does(Scheduler, reserve("r9", 1));
    for number in 0..2 * MAX_ENDED {
        let reservation = format!("r{}", 100 + number);
        world.does(Scheduler, reserve(&reservation, 1));
        world.does(System, about("release_slot", &reservation));
    }
    assert_eq!(world.state.ended.len(), MAX_ENDED, "what is remembered is bounded");
    assert_eq!(world.state.in_use(), 1);
}

#[test]
fn an_unanswered_reservation_is_asked_about_at_growing_intervals_and_ends_by_the_answer_only() {
    let mut world = World::reserved();
    let mut waits = vec![world.due(timer::QUESTION).unwrap().millis_since(world.now) / 1000];
    for attempt in 1..12 {
        let outcome = world.fires(timer::QUESTION);
        assert_eq!((outcome.types().len(), outcome.asks()), (1, vec!["check_reservation r1 → c1".to_owned()]));
        assert!(matches!(outcome.events[0], Event::ReservationQuestioned { attempt: asked, .. } if asked == attempt));
        waits.push(world.due(timer::QUESTION).unwrap().millis_since(world.now) / 1000);
    }
    assert_eq!((&waits[..4], waits[11]), (&[45, 30, 60, 120][..], 3600));
    assert_eq!(world.phase("r1"), Some(SlotPhase::Reserved));
    world.does(System, about("occupy_slot", "r1"));
    assert_eq!(world.due(timer::QUESTION), Some(world.now.plus_seconds(86_400)), "occupied slots rarely");
    let outcome = world.fires(timer::QUESTION);
    assert_eq!(outcome.asks(), ["check_reservation r1 → c1"]);
    assert_eq!(world.due(timer::QUESTION), Some(world.now.plus_seconds(86_400)));

    let mut world = World::reserved();
    world.configure(json!({"slot_check_s": 0}));
    world.does(System, about("occupy_slot", "r1"));
    assert_eq!(world.deadlines(), [], "or never");
    let mut world = World::ready();
    let mut body = reserve("r1", 1);
    body["ttl_s"] = json!(7);
    world.does(Scheduler, body);
    world.later(1).does(Scheduler, reserve("r2", 1));
    assert_eq!(world.due(timer::QUESTION), Some(world.now.plus_seconds(6)));
    assert_eq!(world.fires(timer::QUESTION).asks(), ["check_reservation r1 → c1"], "and nothing that is not due");
    let body = json!({"type": "timer_fired", "timer": timer::QUESTION, "due": world.now});
    assert_eq!(world.asks(ActorKind::Timer, body).code(), Some("obsolete"));
}

#[test]
fn word_of_the_acceptance_that_got_lost_is_made_good_by_wrap_up() {
    let mut world = World::reserved();
    assert_eq!(world.does(System, about("start_wrap_up", "r1")).types(), ["slot_occupied", "wrap_up_started"]);
}

#[test]
fn who_comes_back_within_the_grace_has_never_been_away() {
    let mut world = World::reserved();
    let before = State { refused: Some("command".to_owned()), ..world.state.clone() };
    world.does(TheAgent, json!({"type": "set_presence", "online": false}));
    assert_eq!(world.due(timer::PRESENCE), Some(world.now.plus_seconds(30)));
    assert_eq!(world.asks(Scheduler, reserve("r2", 1)).code(), Some("not_available"));
    world.later(29).does(TheAgent, json!({"type": "set_presence", "online": true}));
    assert_eq!(world.state, before);
}

#[test]
fn who_does_not_come_back_is_away_and_what_was_offered_is_taken_back() {
    let mut world = World::occupied();
    world.does(Scheduler, reserve("r2", 1));
    world.does(TheAgent, json!({"type": "set_presence", "online": false}));
    let outcome = world.fires(timer::PRESENCE);
    assert_eq!(outcome.types(), ["connection_lost", "status_changed", "reservation_withdrawn"]);
    assert_eq!(outcome.asks(), ["rescind r2 → c2"], "what the agent has is kept");
    assert_eq!(world.state.reason.as_deref(), Some("connection_lost"));
    assert_eq!(world.phase("r2"), Some(SlotPhase::Reserved), "the conversation ends it");
    assert_eq!(world.due(timer::PRESENCE), None);
    // Back again, but not ready before the agent says so.
    world.does(TheAgent, json!({"type": "set_presence", "online": true}));
    assert_eq!(world.asks(Scheduler, reserve("r3", 1)).code(), Some("not_available"));

    let mut world = World::registered();
    world.does(TheAgent, json!({"type": "set_presence", "online": true}));
    world.does(TheAgent, json!({"type": "set_status", "status": "away", "reason": "lunch"}));
    world.does(TheAgent, json!({"type": "set_presence", "online": false}));
    assert_eq!(world.fires(timer::PRESENCE).types(), ["connection_lost"]);
    assert_eq!(world.state.reason.as_deref(), Some("lunch"));
}

#[test]
fn online_as_long_as_one_connection_is_there() {
    let mut world = World::registered();
    let presence =
        |online: bool, connection: &str| json!({"type": "set_presence", "online": online, "connection": connection});
    world.does(TheAgent, presence(true, "tab-1"));
    world.does(TheAgent, presence(true, "tab-2"));
    assert_eq!(world.asks(TheAgent, presence(true, "tab-2")).code(), Some("unchanged"));
    assert_eq!(world.asks(TheAgent, presence(false, "tab-3")).code(), Some("unchanged"));
    assert_eq!(world.asks(TheAgent, presence(true, "")).code(), Some("invalid"));
    world.does(TheAgent, presence(false, "tab-1"));
    assert!(world.state.online && world.deadlines().is_empty());
    world.does(TheAgent, presence(true, "tab-1"));
    world.does(TheAgent, json!({"type": "set_presence", "online": false}));
    assert!(!world.state.online && world.state.connections.is_empty());
    assert_eq!(world.asks(TheAgent, json!({"type": "set_presence", "online": false})).code(), Some("unchanged"));
    for number in 0..100 {
        world.does(TheAgent, presence(true, &format!("tab-{number}")));
    }
    assert!(world.state.connections.len() <= 32 && world.state.connections.contains(&"tab-99".to_owned()));
}

#[test]
fn who_goes_home_is_removed_or_set_aside_is_not_waited_for() {
    let mut world = World::reserved();
    assert_eq!(world.does(TheAgent, json!({"type": "set_status", "status": "away"})).asks(), [""; 0]);
    let outcome = world.does(TheAgent, json!({"type": "set_status", "status": "offline"}));
    assert_eq!((outcome.types().len(), outcome.asks()), (2, vec!["rescind r1 → c1".to_owned()]));
    assert_eq!(World::reserved().does(System, json!({"type": "remove"})).asks(), ["rescind r1 → c1"]);
    assert_eq!(World::reserved().quarantine().asks(), ["rescind r1 → c1"]);
    assert_eq!(World::occupied().quarantine().types(), ["quarantined"]);
    let long = json!({"type": "set_status", "status": "away", "reason": "x".repeat(101)});
    assert_eq!(world.asks(TheAgent, long).code(), Some("invalid"));
}

#[test]
fn a_supervisor_frees_a_slot_whatever_the_conversation_says() {
    let force = about("force_release", "r1");
    assert_eq!(World::reserved().asks(TheAgent, force.clone()).code(), Some("not_allowed"));
    let outcome = World::reserved().does(System, force.clone());
    assert_eq!(outcome.types(), ["reservation_withdrawn", "slot_released"]);
    assert_eq!(outcome.asks(), ["rescind r1 → c1"]);
    let mut world = World::wrap_up();
    assert_eq!(world.does(System, force).types(), ["wrap_up_ended", "slot_released"]);
    assert_eq!(world.state.in_use(), 0);
    assert_eq!(world.asks(System, about("release_slot", "r1")).code(), Some("reservation_over"));
}

/// Reserves a slot for a case of `tax`, takes it, and gives the reservation's name.
fn takes(world: &mut World, reservation: &str) {
    let mut body = reserve(reservation, 1);
    body["practice"] = json!({"skills": ["tax"], "half_life_days": 30.0});
    let outcome = world.does(Scheduler, body);
    let [Effect::Command { body, .. }] = &outcome.effects[..] else { panic!("{outcome:?}") };
    assert_eq!(body.value()["practice"]["skills"], json!(["tax"]), "the conversation is told");
    world.does(System, about("occupy_slot", reservation));
}

fn ends(world: &mut World, reservation: &str, completed: bool) -> Option<kefu_events::agent::Handled> {
    let mut body = about("release_slot", reservation);
    body["completed"] = json!(completed);
    let outcome = world.does(System, body);
    let released = outcome.events.into_iter().find_map(|event| match event {
        Event::SlotReleased { handled, .. } => Some(handled),
        _ => None,
    });
    released.unwrap()
}

#[test]
fn what_an_agent_brings_to_its_end_is_a_case_of_its_skills() {
    let mut world = World::ready();
    takes(&mut world, "r1");
    world.later(60);
    takes(&mut world, "r2");
    world.later(30);
    let first = ends(&mut world, "r1", true).unwrap();
    assert_eq!((first.seconds, first.practice.skills.as_slice()), (90.0, ["tax".to_owned()].as_slice()));
    // A minute alone, half a minute beside the other.
    assert!((first.at_once - (60.0 + 30.0 * 2.0) / 90.0).abs() < 1e-9, "{first:?}");
    world.later(30);
    world.does(System, about("start_wrap_up", "r2"));
    world.later(60);
    let second = ends(&mut world, "r2", true).unwrap();
    assert_eq!(second.seconds, 120.0, "wrap-up is work");
    assert!((second.at_once - (30.0 * 2.0 + 90.0) / 120.0).abs() < 1e-9, "{second:?}");
    let sums = world.state.practised["tax"];
    assert!((sums.cases - 2.0).abs() < 1e-4 && (sums.ln_handle - (90_f64.ln() + 120_f64.ln())).abs() < 1e-3);
    world.later(3_600);
    takes(&mut world, "r3");
    world.later(10);
    assert_eq!(ends(&mut world, "r3", true).unwrap().at_once, 1.0, "time without any counts for none");
}

#[test]
fn what_is_handed_on_or_never_taken_is_no_case() {
    let mut world = World::ready();
    takes(&mut world, "r1");
    world.later(5);
    assert_eq!(ends(&mut world, "r1", false), None);
    world.does(Scheduler, {
        let mut body = reserve("r2", 1);
        body["practice"] = json!({"skills": ["tax"], "half_life_days": 30.0});
        body
    });
    world.later(5);
    assert_eq!(ends(&mut world, "r2", true), None, "it was only offered");
    world.does(Scheduler, reserve("r3", 1));
    world.does(System, about("occupy_slot", "r3"));
    assert_eq!(ends(&mut world, "r3", true), None, "nobody said of what");
    assert!(world.state.practised.is_empty());
}

#[test]
fn a_rating_is_remembered_with_its_skills_and_many_skills_are_not_kept_for_ever() {
    let rate = |skill: String, score: u8| {
        json!({"type": "rate", "conversation": "c1", "session": 1, "score": score,
               "practice": {"skills": [skill], "half_life_days": 30.0}})
    };
    let mut world = World::ready();
    world.does(System, rate("tax".to_owned(), 4));
    world.does(System, rate("tax".to_owned(), 5));
    let sums = world.state.practised["tax"];
    assert_eq!((sums.rated, sums.ratings, sums.cases), (2.0, 9.0, 0.0));
    assert_eq!(world.asks(System, rate("tax".to_owned(), 6)).code(), Some("invalid"));
    for number in 0..2 * MAX_PRACTISED {
        world.does(System, rate(format!("skill{number}"), 3));
    }
    assert_eq!(world.state.practised.len(), MAX_PRACTISED);
}

#[test]
fn after_the_shift_available_is_said_again_by_who_stays() {
    let mut world = World::ready();
    let shifts = json!({"time_zone": "Europe/Berlin", "hours": {"sunday": ["09:00-14:00"]}});
    world.does(System, json!({"type": "set_shifts", "shifts": shifts}));
    assert!(world.state.at_work(world.now).0, "it is 13:00 in Berlin");
    let again = json!({"type": "set_status", "status": "available"});
    assert_eq!(world.asks(TheAgent, again.clone()).code(), Some("unchanged"));
    world.later(3_600);
    assert!(!world.state.at_work(world.now).0);
    assert_eq!(world.does(TheAgent, again).types(), ["status_changed"]);
    assert!(world.state.at_work(world.now).0);
    let wrong = json!({"type": "set_shifts", "shifts": {"time_zone": "Mars/Base", "hours": {}}});
    assert_eq!(world.asks(System, wrong).code(), Some("invalid"));
    world.does(System, json!({"type": "set_shifts"}));
    assert_eq!(world.state.shifts, None);
}
