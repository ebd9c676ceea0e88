//! Stories: what customers and agents live through.

use super::*;

fn answer(world: &World, confidence: f64) -> Value {
    json!({"type": "give_answer", "request": world.request(), "confidence": confidence,
           "content": {"kind": "text", "text": "It is on its way."}})
}

#[test]
fn a_session_from_the_first_message_to_the_rating() {
    let mut world = World::demo();
    let outcome = world.says("where is my parcel?");
    assert_eq!(outcome.types(), ["session_opened", "message_received", "message_sent", "answer_requested"]);
    assert_eq!(outcome.texts(), ["Hello! How can we help you?"], "the welcome goes out at once");
    assert!(
        outcome.effects.iter().any(|effect| matches!(effect,
            Effect::Command { aggregate: AggregateKind::Contact, key, body }
                if *key == contact_key(CHANNEL, "alice") && body.value()["type"] == "see" && body.value()["name"] == "Alice")),
        "the contact hears of it: {:?}",
        outcome.effects
    );

    let outcome = world.fires("answer");
    assert_eq!(outcome.types(), ["answer_declined", "handoff_requested", "message_sent", "queued"]);
    assert_eq!(outcome.texts(), ["I am passing you on to a colleague. One moment, please."]);

    let offer = json!({"type": "offer", "agent": "ann", "reservation": "r1", "session": 1, "decision": {"score": 0.5},
        "practice": {"skills": ["orders"], "half_life_days": 30.0}});
    let outcome = world.does(scheduler(), offer);
    assert_eq!((outcome.types(), outcome.slots()), (vec!["offer_made".to_owned()], vec![]));
    let outcome = world.does(agent("ann"), json!({"type": "accept"}));
    assert_eq!(outcome.slots(), ["occupy_slot r1 → ann"]);

    let reply = json!({"type": "reply", "content": {"kind": "text", "text": "It arrives tomorrow."}, "reply_to": "m1"});
    let outcome = world.does(agent("ann"), reply);
    assert_eq!(outcome.types(), ["message_sent", "customer_awaited"]);
    let [reply] = outcome.replies()[..] else { panic!("one reply") };
    assert_eq!((reply.author.id.as_deref(), reply.session, reply.reply_to.as_deref()), (Some("ann"), 1, Some("m1")));
    assert_eq!((reply.thread.as_str(), reply.channel.as_str()), (THREAD, CHANNEL));

    world.does(agent("ann"), json!({"type": "wrap_up"}));
    world.does(agent("ann"), json!({"type": "set_disposition", "code": "solved"}));
    let outcome = world.does(agent("ann"), json!({"type": "close"}));
    assert_eq!(outcome.types(), ["session_closed", "satisfaction_requested", "message_sent"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
    assert_eq!(world.deadlines(), []);

    assert_eq!(world.says("Thank you!").types(), ["message_received"], "a courtesy opens nothing");
    let rated = world.says("５");
    assert_eq!(rated.types(), ["message_received", "satisfaction_rated", "message_sent"]);
    assert_eq!(rated.slots(), ["rate ? → ann"], "whoever brought it to its end hears of it");
    assert_eq!(world.says("5").types()[0], "session_opened", "a second rating is a new message");
    assert_eq!(world.state.sessions, 2);
}

#[test]
fn an_answer_in_time_is_the_reply_and_one_after_the_deadline_is_refused() {
    let mut world = World::demo().asked();
    let outcome = world.asks(bot(), answer(&world, 0.9));
    assert_eq!(outcome.types(), ["answer_given", "message_sent", "customer_awaited"]);
    assert_eq!(outcome.replies()[0].reply_to.as_deref(), Some("m1"));

    let mut world = World::demo().asked();
    let late = answer(&world, 0.9);
    assert_eq!(world.later(4).asks(bot(), late.clone()).code(), Some("too_late"), "though the timer has not fired");
    world.fires("answer");
    assert_eq!(world.asks(bot(), late).code(), Some("too_late"));
}

#[test]
fn an_answer_that_is_not_sure_enough_leads_to_a_person() {
    let mut world = World::demo().asked();
    let outcome = world.asks(bot(), answer(&world, 0.49));
    assert_eq!(outcome.types(), ["answer_declined", "handoff_requested", "message_sent", "queued"]);
    assert_eq!(outcome.texts().len(), 1, "the answer itself is not sent");
}

#[test]
fn messages_that_come_while_an_answer_is_pending_are_asked_together_in_the_order_they_were_sent() {
    let mut world = World::demo().asked();
    assert_eq!(world.later(1).says("it is red").types(), ["message_received"]);
    let mut earlier = world.inbound(Content::text("I mean the second one"));
    earlier.sent_at = earlier.sent_at.plus_seconds(-1);
    let outcome = world.message(earlier);
    assert!(matches!(&outcome.events[0], Event::MessageReceived { late: true, .. }));
    world.sends(json!({"kind": "edit", "of": "m2", "text": "it is blue"}));

    let outcome = world.asks(bot(), answer(&world, 0.9));
    assert_eq!(outcome.types(), ["answer_given", "message_sent", "answer_requested"]);
    let Event::AnswerRequested { question, message, .. } = &outcome.events[2] else { panic!("{outcome:?}") };
    assert_eq!((question.as_str(), message.as_str()), ("I mean the second one\nit is blue", "m2"));
}

#[test]
fn a_person_can_be_asked_for_at_any_time() {
    let mut world = World::demo();
    let outcome = world.says("Human, please");
    assert_eq!(outcome.types()[2..], ["message_sent", "handoff_requested", "message_sent", "queued"]);
    let mut world = World::demo().asked();
    assert_eq!(world.says("转人工").types()[1..], ["handoff_requested", "message_sent", "queued"]);
}

fn collecting() -> World {
    World::new(json!({
        "texts": {"welcome": "Hi", "handoff": "One moment"},
        "collect": [
            {"field": "language", "prompt": "Language?", "when": "opening", "max_attempts": 0},
            {"field": "order", "prompt": "Order number?", "pattern": "[0-9]{4}", "retry_prompt": "Four digits, please",
             "max_attempts": 2},
        ],
    }))
}

#[test]
fn information_is_collected_step_by_step() {
    let mut world = collecting();
    assert_eq!(world.says("my parcel?").texts(), ["Hi", "Language?"]);
    let outcome = world.says("English");
    assert_eq!(outcome.types(), ["message_received", "information_collected", "answer_requested"]);
    let Event::AnswerRequested { question, .. } = &outcome.events[2] else { panic!("{outcome:?}") };
    assert_eq!(question, "my parcel?", "what was asked is the question, not the collected answer");

    assert_eq!(world.fires("answer").texts(), ["Order number?"], "before a person takes over");
    let outcome = world.says("it is 1234");
    assert_eq!(outcome.texts(), ["Four digits, please"], "the whole answer must match");
    let outcome = world.says(" 1234 ");
    assert_eq!(outcome.types(), ["message_received", "information_collected", "message_sent", "queued"]);
    let session = world.state.session.as_ref().unwrap();
    assert_eq!(session.collected["order"].as_deref(), Some("1234"));
}

#[test]
fn after_the_last_attempt_it_goes_on_without_and_who_asks_twice_for_a_person_is_not_asked_more() {
    let mut world = collecting();
    world.says("human");
    world.says("no idea");
    let outcome = world.says("no idea at all");
    assert_eq!(outcome.types(), ["message_received", "information_collected", "message_sent", "queued"]);
    assert_eq!(world.state.session.as_ref().unwrap().collected["order"], None);

    let mut world = collecting();
    world.says("human");
    assert_eq!(world.says("HUMAN!").types(), ["message_received", "message_sent", "queued"]);
}

#[test]
fn without_a_bot_it_goes_straight_to_a_person() {
    let mut world = World::new(json!({"bot": {"enabled": false}, "texts": {"welcome": "", "handoff": ""}}));
    let outcome = world.says("hello");
    assert_eq!(
        outcome.types(),
        ["session_opened", "message_received", "handoff_requested", "queued"],
        "empty texts are not sent"
    );
    let mut world = World::demo().active();
    world.config = World::new(json!({"bot": {"enabled": false}})).config;
    assert_eq!(world.asks(agent("ann"), json!({"type": "return_to_bot"})).code(), Some("no_bot"));
}

#[test]
fn two_agents_accept_at_once_and_the_other_is_told_who_has_it() {
    let mut world = World::demo().offered();
    let outcome = world.asks(agent("bob"), json!({"type": "accept"}));
    assert_eq!(outcome.refusal.unwrap(), Refusal::new("not_yours", "ann has been asked to take this conversation"));
    world.does(agent("ann"), json!({"type": "accept"}));
    let outcome = world.asks(agent("bob"), json!({"type": "reply", "content": {"kind": "text", "text": "hi"}}));
    assert_eq!(outcome.refusal.unwrap(), Refusal::new("not_yours", "ann has this conversation"));
    assert_eq!(world.asks(agent("bob"), json!({"type": "accept"})).code(), Some("not_yours"));
}

#[test]
fn a_refused_offer_gives_its_slot_back_unless_it_is_the_one_that_is_held() {
    let mut world = World::demo().offered();
    let outcome = world.asks(scheduler(), json!({"type": "offer", "agent": "bob", "reservation": "r2"}));
    assert_eq!(
        (outcome.code(), outcome.types()),
        (Some("wrong_state"), vec!["command_refused".into(), "offer_refused".into()])
    );
    assert_eq!(outcome.slots(), ["release_slot r2 → bob"]);
    let outcome = world.asks(scheduler(), json!({"type": "offer", "agent": "ann", "reservation": "r1"}));
    assert_eq!((outcome.code(), outcome.slots()), (Some("wrong_state"), vec![]));
}

#[test]
fn offers_end_in_every_way_and_give_the_slot_back() {
    let queued_again = |mut world: World, outcome: Outcome, event: &str| {
        assert_eq!((outcome.types()[0].as_str(), world.phase()), (event, "queued"));
        assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
        world.does(scheduler(), json!({"type": "offer", "agent": "bob", "reservation": "r2"}));
    };
    let mut world = World::demo().offered();
    let outcome = world.does(agent("ann"), json!({"type": "reject", "reason": "lunch"}));
    queued_again(world, outcome, "offer_rejected");
    let mut world = World::demo().offered();
    let outcome = world.fires("offer");
    queued_again(world, outcome, "offer_timed_out");
    let mut world = World::demo().offered();
    let outcome = world.does(system(), json!({"type": "rescind", "reason": "agent_gone"}));
    queued_again(world, outcome, "offer_rescinded");
    let mut world = World::demo().offered();
    let outcome = world.sends(json!({"kind": "left"}));
    assert_eq!(outcome.types(), ["customer_left", "offer_rescinded", "session_closed"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
}

#[test]
fn asked_what_became_of_a_reservation_it_says_so_and_the_slot_is_put_right() {
    let checked = |mut world: World, reservation: &str| {
        let check = json!({"type": "check_reservation", "agent": "ann", "reservation": reservation});
        let outcome = world.does(system(), check);
        assert_eq!(outcome.types(), ["reservation_checked"]);
        outcome.slots()
    };
    assert_eq!(checked(World::demo().offered(), "r1"), [""; 0], "the offer has a deadline of its own");
    assert_eq!(checked(World::demo().active(), "r1"), ["occupy_slot r1 → ann"]);
    assert_eq!(checked(World::demo().wrap_up(), "r1"), ["start_wrap_up r1 → ann"]);
    for world in [World::demo(), World::demo().queued(), World::demo().closed()] {
        assert_eq!(checked(world, "r1"), ["release_slot r1 → ann"]);
    }
    assert_eq!(checked(World::demo().active(), "r2"), ["release_slot r2 → ann"]);

    // An offer that was overtaken by the question would be one without a slot.
    let mut world = World::demo().queued();
    world.does(system(), json!({"type": "check_reservation", "agent": "ann", "reservation": "r1"}));
    let outcome = world.asks(system(), json!({"type": "offer", "agent": "ann", "reservation": "r1"}));
    assert_eq!((outcome.code(), outcome.slots()), (Some("obsolete"), vec!["release_slot r1 → ann".to_owned()]));
    world.does(system(), json!({"type": "offer", "agent": "ann", "reservation": "r2"}));
    // The agent's side takes back what it has asked for, and nothing else.
    let rescind = |reservation: &str| json!({"type": "rescind", "reservation": reservation, "reason": "agent_gone"});
    assert_eq!(world.asks(system(), rescind("r1")).code(), Some("obsolete"));
    assert_eq!(world.does(system(), rescind("r2")).slots(), ["release_slot r2 → ann"]);
}

#[test]
fn a_slot_is_in_wrap_up_while_the_agent_writes_up() {
    let mut world = World::demo().active();
    assert_eq!(world.does(agent("ann"), json!({"type": "wrap_up"})).slots(), ["start_wrap_up r1 → ann"]);
    assert_eq!(world.does(agent("ann"), json!({"type": "resume"})).slots(), ["occupy_slot r1 → ann"]);
    world.config = World::new(json!({"wrap_up_s": 0})).config;
    let outcome = world.does(agent("ann"), json!({"type": "wrap_up"}));
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"], "with no time for it, there is none");
}

#[test]
fn a_transfer_frees_the_agent_and_waits_for_the_other_until_that_one_refuses() {
    let mut world = World::demo().active();
    world.does(agent("ann"), json!({"type": "consult", "with": "bob"}));
    let outcome = world.does(agent("ann"), json!({"type": "transfer", "to": {"agent": "bob"}, "note": "knows Greek"}));
    assert_eq!(outcome.types(), ["consult_ended", "transferred", "queued"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
    let outcome = world.asks(scheduler(), json!({"type": "offer", "agent": "cyd", "reservation": "r2"}));
    assert_eq!((outcome.code(), outcome.slots()), (Some("reserved_for"), vec!["release_slot r2 → cyd".to_owned()]));
    // The agent's side passes the scheduler's decision on, as `system`: that makes it no operator's.
    assert_eq!(
        world.asks(system(), json!({"type": "offer", "agent": "cyd", "reservation": "r2b"})).code(),
        Some("reserved_for")
    );
    world.does(scheduler(), json!({"type": "offer", "agent": "bob", "reservation": "r3"}));
    let outcome = world.fires("offer");
    assert_eq!(outcome.types(), ["offer_timed_out", "queued"], "now anybody may have it");
    world.does(scheduler(), json!({"type": "offer", "agent": "cyd", "reservation": "r4"}));

    let mut world = World::demo().active();
    let to = |queue: &str| json!({"type": "transfer", "to": {"queue": queue}});
    assert_eq!(world.asks(agent("ann"), to("garden")).code(), Some("unknown_queue"));
    assert_eq!(world.asks(scheduler(), to("sales")).code(), Some("not_allowed"));
    world.does(agent("ann"), to("sales"));
    assert_eq!(world.state.session.as_ref().unwrap().queue.as_deref(), Some("sales"));
    assert_eq!(world.asks(agent("ann"), to("support")).code(), Some("wrong_state"), "it is nobody's to give away");
    world.does(scheduler(), to("support"));
}

#[test]
fn back_to_the_bot_and_on_again() {
    let mut world = World::demo().active();
    let outcome = world.does(agent("ann"), json!({"type": "return_to_bot"}));
    assert_eq!(
        (outcome.types()[0].as_str(), outcome.slots()),
        ("returned_to_bot", vec!["release_slot r1 → ann".to_owned()])
    );
    assert_eq!(world.says("another thing").types(), ["message_received", "answer_requested"]);
}

#[test]
fn snoozed_until_the_time_comes_or_the_customer_writes() {
    let snoozed = || {
        let mut world = World::demo().active();
        let until = world.now.plus_seconds(3600);
        world.does(agent("ann"), json!({"type": "snooze", "until": until}));
        world
    };
    assert_eq!(snoozed().fires("snooze").types(), ["unsnoozed"]);
    assert_eq!(snoozed().says("one more thing").types(), ["message_received", "unsnoozed"]);
    let mut world = snoozed();
    assert_eq!(world.sends(json!({"kind": "left"})).types(), ["customer_left"], "put aside is put aside");
    assert_eq!(world.fires("snooze").types(), ["unsnoozed", "wrap_up_started"]);
    let mut world = World::demo().active();
    let past = world.now;
    assert_eq!(world.asks(agent("ann"), json!({"type": "snooze", "until": past})).code(), Some("invalid"));
}

#[test]
fn silence_is_prompted_and_then_ends_the_session() {
    let mut world = World::demo().active();
    world.does(agent("ann"), json!({"type": "reply", "content": {"kind": "text", "text": "Anything else?"}}));
    let outcome = world.fires("inactivity");
    assert_eq!(
        (outcome.types(), outcome.texts().len()),
        (vec!["inactivity_prompted".into(), "message_sent".into()], 1)
    );
    let outcome = world.clone().says("yes");
    assert_eq!(outcome.types(), ["message_received"]);
    let outcome = world.fires("inactivity");
    assert_eq!(outcome.types(), ["message_sent", "session_closed", "satisfaction_requested", "message_sent"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
    world.does(agent("ann"), json!({"type": "set_disposition", "code": "silent"}));

    let mut world = World::demo().asked();
    world.asks(bot(), answer(&world, 0.9));
    world.fires("inactivity");
    let outcome = world.fires("inactivity");
    assert_eq!(outcome.types(), ["message_sent", "session_closed"], "no agent took part, so no rating is asked for");
}

#[test]
fn silence_counts_only_while_it_is_the_customers_turn() {
    let mut world = World::demo().active();
    let reply = json!({"type": "reply", "content": {"kind": "text", "text": "Anything else?"}});
    world.does(agent("ann"), reply.clone());
    assert!(world.due("inactivity").is_some());
    world.says("wait");
    assert_eq!(world.due("inactivity"), None);
    world.does(agent("ann"), reply);
    world.does(agent("ann"), json!({"type": "hold"}));
    assert_eq!(world.due("inactivity"), None);
    world.sends(json!({"kind": "event", "name": "clicked"}));
    assert_eq!(world.phase(), "active");
}

#[test]
fn in_wrap_up_a_message_reactivates_and_a_courtesy_does_not() {
    let mut world = World::demo().wrap_up();
    assert_eq!(world.says("thanks").types(), ["message_received"]);
    assert_eq!(world.phase(), "wrap_up");
    assert_eq!(world.says("one more thing").types(), ["message_received", "reactivated"]);
    assert_eq!((world.phase(), world.due("wrap_up")), ("active", None));
    let mut world = World::demo().wrap_up();
    world.does(agent("ann"), json!({"type": "resume"}));
    let mut world = World::demo().wrap_up();
    assert_eq!(world.fires("wrap_up").types()[0], "session_closed");
}

#[test]
fn patience_with_the_queue_ends_and_not_while_an_agent_is_asked() {
    let mut world = World::demo().queued();
    let due = world.due("queue").unwrap();
    world.does(scheduler(), json!({"type": "offer", "agent": "ann"}));
    assert_eq!(world.due("queue"), None);
    world.does(agent("ann"), json!({"type": "reject"}));
    assert_eq!(world.due("queue"), Some(due), "waiting started when it was queued");
    let outcome = world.fires("queue");
    assert_eq!(outcome.types(), ["message_sent", "session_closed"]);
}

#[test]
fn who_has_left_is_not_looked_for_and_not_asked_how_it_was() {
    let mut world = World::demo().active();
    assert_eq!(world.sends(json!({"kind": "left"})).types(), ["customer_left", "wrap_up_started"]);
    assert_eq!(world.fires("wrap_up").types(), ["session_closed"]);
    assert_eq!(world.sends(json!({"kind": "left"})).types(), ["customer_left"], "nothing is open");
    let mut world = World::demo().asked();
    assert_eq!(world.sends(json!({"kind": "left"})).types(), ["customer_left", "session_closed"]);
}

#[test]
fn after_a_session_only_what_asks_for_something_opens_the_next() {
    let mut world = World::demo().closed();
    assert_eq!(world.sends(json!({"kind": "event", "name": "page_opened"})).types(), ["message_received"]);
    assert_eq!(world.sends(json!({"kind": "edit", "of": "m1", "text": "x"})).types(), ["message_edited"]);
    let receipt = json!({"kind": "receipt", "of": "c1-1", "state": "delivered"});
    assert_eq!(world.sends(receipt).types(), ["delivery_reported"]);
    world.later(601);
    let outcome = world.says("thanks");
    assert_eq!(outcome.types()[0], "session_opened", "the window is over");
    let Event::SessionOpened { session, previous_closed_at, .. } = &outcome.events[0] else { panic!() };
    assert_eq!((*session, previous_closed_at.is_some()), (2, true));
}

#[test]
fn a_rating_after_the_window_is_a_new_message_and_a_forms_rating_is_too_late() {
    let mut world = World::demo().closed();
    world.later(86_401);
    let rate = json!({"type": "rate_satisfaction", "score": 4, "comment": "fine"});
    assert_eq!(world.clone().asks(system(), rate.clone()).code(), Some("too_late"));
    assert_eq!(world.says("4").types()[0], "session_opened");
    let mut world = World::demo().closed();
    world.says("a new question");
    world.does(system(), rate.clone());
    assert_eq!(world.asks(agent("ann"), rate).code(), Some("not_allowed"), "agents do not rate themselves");
}

#[test]
fn a_greeting_event_opens_the_first_session_and_asks_nothing() {
    let mut world = World::demo();
    let outcome = world.sends(json!({"kind": "event", "name": "followed"}));
    assert_eq!(outcome.types(), ["session_opened", "message_received", "message_sent", "customer_awaited"]);
    assert_eq!(world.says("hi there").types(), ["message_received", "answer_requested"]);
}

#[test]
fn news_of_the_customer_reaches_the_contact_once() {
    let mut world = World::demo().asked();
    let mut message = world.inbound(Content::text("hello?"));
    message.sender.name = Some("Alice B.".to_owned());
    message.metadata.insert("language".to_owned(), json!("zh"));
    let outcome = world.message(message.clone());
    assert_eq!(outcome.types(), ["customer_changed", "message_received"]);
    assert!(
        matches!(&outcome.effects[0], Effect::Command { body, .. } if body.value()["attributes"] == json!({"language": "zh"}))
    );
    assert_eq!(world.message(message.clone()).types(), ["message_received"]);
    message.sender.name = None;
    message.metadata.clear();
    assert_eq!(world.message(message).types(), ["message_received"], "what is left out is no news");
}

#[test]
fn answers_are_rated_once() {
    let mut world = World::demo().asked();
    let request = world.request();
    world.asks(bot(), answer(&world, 0.9));
    let rate = json!({"type": "rate_answer", "request": request, "helpful": true});
    world.does(system(), rate.clone());
    assert_eq!(world.asks(system(), rate).code(), Some("unknown_request"));
}

#[test]
fn a_quarantine_gives_the_slot_back_and_the_agent_is_asked_again_afterwards() {
    let quarantined = |world: &World| {
        let quarantined = kefu_events::Quarantined { v: V, input: "x".to_owned(), error: "boom".to_owned() };
        Conversation::set_aside(&world.state, quarantined)
    };
    for (mut world, phase) in
        [(World::demo().offered(), "queued"), (World::demo().active(), "queued"), (World::demo().wrap_up(), "queued")]
    {
        let events = quarantined(&world);
        let outcome = world.commit(system(), None, events, None);
        assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
        assert_eq!(world.phase(), phase);
    }
    assert_eq!(quarantined(&World::demo().queued()).len(), 1);
}

#[test]
fn a_clock_that_is_ahead_or_in_1970_does_no_harm() {
    let mut world = World::demo().asked();
    for (sent_at, late) in [("9999-12-31T23:59:59Z", false), ("1970-01-01T00:00:00Z", true)] {
        let mut message = world.inbound(Content::text("hm"));
        message.sent_at = sent_at.parse().unwrap();
        let outcome = world.message(message);
        assert!(matches!(&outcome.events[0], Event::MessageReceived { late: is, .. } if *is == late), "{outcome:?}");
    }
    let outcome = world.says("now");
    assert!(matches!(&outcome.events[0], Event::MessageReceived { late: false, .. }));
}

#[test]
fn pauses_are_ended_by_a_reply() {
    let reply = json!({"type": "reply", "content": {"kind": "text", "text": "Back."}});
    let mut world = World::demo().active();
    world.does(agent("ann"), json!({"type": "hold"}));
    assert_eq!(world.does(agent("ann"), reply.clone()).types(), ["resumed", "message_sent", "customer_awaited"]);
    let until = world.now.plus_seconds(60);
    world.does(agent("ann"), json!({"type": "snooze", "until": until}));
    assert_eq!(world.does(agent("ann"), reply).types(), ["unsnoozed", "message_sent", "customer_awaited"]);
}

#[test]
fn without_time_for_wrap_up_the_session_ends_with_the_talk() {
    let mut world = World::new(json!({"wrap_up_s": 0, "satisfaction": {"enabled": false}})).active();
    let outcome = world.does(agent("ann"), json!({"type": "wrap_up"}));
    assert_eq!(outcome.types(), ["wrap_up_started", "session_closed"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
}

#[test]
fn who_did_not_take_it_is_remembered_for_the_scheduler_and_who_took_it_for_the_next_session() {
    let mut world = World::demo().queued();
    let asked = |world: &World| -> Vec<String> {
        world.state.session.as_ref().unwrap().declined.iter().map(|declined| declined.agent.clone()).collect()
    };
    world.does(scheduler(), json!({"type": "offer", "agent": "ann"}));
    world.does(agent("ann"), json!({"type": "reject"}));
    world.does(scheduler(), json!({"type": "offer", "agent": "bob"}));
    world.fires("offer");
    assert_eq!(asked(&world), ["ann", "bob"]);
    world.later(60).does(scheduler(), json!({"type": "offer", "agent": "ann"}));
    world.does(scheduler(), json!({"type": "rescind", "reason": "reassigned"}));
    assert_eq!(asked(&world), ["ann", "bob"], "an offer that was taken back says nothing about the agent");
    world.does(scheduler(), json!({"type": "offer", "agent": "ann"}));
    world.does(agent("ann"), json!({"type": "accept"}));
    world.does(agent("ann"), json!({"type": "transfer", "to": {"queue": "sales"}}));
    let Some(crate::conversation::state::Phase::Queued(waiting)) = world.state.phase() else { panic!("queued") };
    assert!(waiting.transferred);
    assert_eq!(world.state.last_agent.as_deref(), Some("ann"));
}

#[test]
fn who_waits_is_told_how_far_it_is() {
    let texts = json!({"queue_position": "{position}. about {minutes} min", "queue_position_only": "{position}."});
    let mut world = World::new(json!({"texts": texts})).queued();
    let tell = |position: u32, wait_s: Option<u32>| json!({"type": "tell_position", "session": 1, "position": position, "wait_s": wait_s});
    assert_eq!(world.does(scheduler(), tell(3, Some(61))).texts(), ["3. about 2 min"]);
    assert_eq!(world.does(scheduler(), tell(2, Some(0))).texts(), ["2. about 1 min"]);
    assert_eq!(world.does(scheduler(), tell(1, None)).texts(), ["1."]);
    let mut silent = World::new(json!({})).queued();
    assert_eq!(silent.asks(scheduler(), tell(1, None)).code(), Some("not_wanted"));
    let mut stale = tell(1, None);
    stale["session"] = json!(7);
    assert_eq!(world.asks(scheduler(), stale).code(), Some("obsolete"));
    world.does(scheduler(), json!({"type": "offer", "agent": "ann"}));
    assert_eq!(world.asks(scheduler(), tell(1, None)).code(), Some("wrong_state"));
}
