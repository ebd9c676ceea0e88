//! Every input in every situation, by every kind of actor: what the table allows happens as it says, and everything
//! else is refused and changes nothing.
//!
//! The names of commands and of kinds of content are read from the types themselves, so that a new one fails here until
//! it is in the table (or is refused everywhere).

use super::*;
use std::collections::BTreeSet;

/// In which situations (`*`: every one where somebody has written) each input, by these actors (`*`: every kind but
/// timer and customer), leads to which events and into which phase (`=`: the same one).
const TABLE: &[(&str, &str, &str, &str, &str)] = &[
    // The bot's part.
    ("give_answer", "asked", "bot system", "answer_given message_sent customer_awaited", "bot"),
    ("offer_choices", "asked", "bot system", "choices_offered message_sent customer_awaited", "bot"),
    ("decline_answer", "asked", "bot system", "answer_declined handoff_requested message_sent queued", "queued"),
    ("timer:answer", "asked", "timer system", "answer_declined handoff_requested message_sent queued", "queued"),
    ("rate_answer", "idle", "customer bot system", "answer_rated", "="),
    ("request_handoff", "asked idle", "ann bob bot system", "handoff_requested message_sent queued", "queued"),
    (
        "request_handoff",
        "collecting",
        "ann bob bot system",
        "handoff_requested information_requested message_sent customer_awaited",
        "bot",
    ),
    ("request_handoff", "handing_off", "ann bob bot system", "handoff_requested message_sent queued", "queued"),
    // Waiting for a person.
    ("offer", "queued", "scheduler system", "offer_made", "offered"),
    ("offer", "queued_for", "system", "offer_made", "offered"),
    ("accept", "offered", "ann system", "offer_accepted", "active"),
    ("reject", "offered", "ann system", "offer_rejected", "queued"),
    ("rescind", "offered", "scheduler system", "offer_rescinded", "queued"),
    ("timer:offer", "offered", "timer system", "offer_timed_out", "queued"),
    ("timer:queue", "queued queued_for", "timer system", "message_sent session_closed", "closed"),
    ("tell_position", "queued queued_for", "scheduler system", "position_told message_sent", "queued"),
    ("check_reservation", "new *", "system", "reservation_checked", "="),
    // With a person.
    ("reply", "active prompted consulting", "ann system", "message_sent customer_awaited", "active"),
    ("reply", "held", "ann system", "resumed message_sent customer_awaited", "active"),
    ("reply", "snoozed", "ann system", "unsnoozed message_sent customer_awaited", "active"),
    ("hold", "active prompted consulting", "ann system", "held", "active"),
    ("resume", "held", "ann system", "resumed", "active"),
    ("resume", "wrap_up", "ann system", "reactivated", "active"),
    ("snooze", "active prompted consulting snoozed", "ann system", "snoozed", "active"),
    ("unsnooze", "snoozed", "ann system", "unsnoozed", "active"),
    ("timer:snooze", "snoozed", "timer system", "unsnoozed", "active"),
    ("consult", "active prompted held snoozed", "ann system", "consult_started", "active"),
    ("end_consult", "consulting", "ann bob system", "consult_ended", "active"),
    // To somebody else.
    ("transfer", "active prompted held snoozed", "ann system", "transferred queued", "queued"),
    ("transfer", "consulting", "ann system", "consult_ended transferred queued", "queued"),
    ("transfer", "queued queued_for", "scheduler system", "queued", "queued"),
    ("transfer", "offered", "scheduler system", "offer_rescinded queued", "queued"),
    ("return_to_bot", "active prompted held snoozed", "ann system", "returned_to_bot customer_awaited", "bot"),
    ("return_to_bot", "consulting", "ann system", "consult_ended returned_to_bot customer_awaited", "bot"),
    ("return_to_bot", "queued queued_for", "system", "returned_to_bot customer_awaited", "bot"),
    ("return_to_bot", "offered", "system", "offer_rescinded returned_to_bot customer_awaited", "bot"),
    // What supervisors do, whoever has it.
    ("join", "active prompted held snoozed", "bob system", "consult_started", "active"),
    ("take_over", "asked idle collecting handing_off queued queued_for", "ann bob system", "taken_over", "active"),
    ("take_over", "offered", "ann bob system", "offer_rescinded taken_over", "active"),
    ("take_over", "active prompted held snoozed wrap_up", "bob system", "taken_over", "active"),
    ("take_over", "consulting", "bob system", "consult_ended taken_over", "active"),
    ("reassign", "asked idle collecting handing_off", "ann bob system", "handoff_requested queued", "queued"),
    ("reassign", "queued queued_for", "ann bob system", "queued", "queued"),
    ("reassign", "offered", "ann bob system", "offer_rescinded queued", "queued"),
    ("reassign", "active prompted held snoozed", "ann bob system", "transferred queued", "queued"),
    ("reassign", "consulting", "ann bob system", "consult_ended transferred queued", "queued"),
    // Ends.
    ("wrap_up", "active prompted held snoozed", "ann system", "wrap_up_started", "wrap_up"),
    ("wrap_up", "consulting", "ann system", "consult_ended wrap_up_started", "wrap_up"),
    ("close", "asked idle collecting handing_off queued", "system", "session_closed", "closed"),
    ("close", "queued_for", "system", "session_closed satisfaction_requested message_sent", "closed"),
    ("close", "offered", "system", "offer_rescinded session_closed", "closed"),
    (
        "close",
        "active prompted held snoozed wrap_up",
        "ann system",
        "session_closed satisfaction_requested message_sent",
        "closed",
    ),
    ("close", "consulting", "ann system", "consult_ended session_closed satisfaction_requested message_sent", "closed"),
    ("timer:wrap_up", "wrap_up", "timer system", "session_closed satisfaction_requested message_sent", "closed"),
    ("timer:inactivity", "idle collecting handing_off", "timer system", "inactivity_prompted message_sent", "="),
    (
        "timer:inactivity",
        "prompted",
        "timer system",
        "message_sent session_closed satisfaction_requested message_sent",
        "closed",
    ),
    ("rate_satisfaction", "closed", "customer bot system", "satisfaction_rated message_sent", "="),
    // Beside it.
    ("note", "*", "*", "noted", "="),
    ("tag", "*", "*", "tagged", "="),
    ("untag", "*", "*", "untagged", "="),
    ("set_disposition", "active prompted held snoozed consulting wrap_up closed", "ann system", "disposition_set", "="),
    // What customers write.
    ("says", "new closed", "customer", "session_opened message_received message_sent answer_requested", "bot"),
    ("says", "asked queued queued_for offered active prompted held consulting", "customer", "message_received", "="),
    ("says", "idle", "customer", "message_received answer_requested", "="),
    ("says", "collecting", "customer", "message_received information_collected answer_requested", "="),
    ("says", "handing_off", "customer", "message_received information_requested message_sent customer_awaited", "="),
    ("says", "snoozed", "customer", "message_received unsnoozed", "="),
    ("says", "wrap_up", "customer", "message_received reactivated", "active"),
    (
        "says:human",
        "new closed",
        "customer",
        "session_opened message_received message_sent handoff_requested message_sent queued",
        "queued",
    ),
    ("says:human", "asked idle", "customer", "message_received handoff_requested message_sent queued", "queued"),
    (
        "says:human",
        "collecting",
        "customer",
        "message_received handoff_requested information_requested message_sent customer_awaited",
        "=",
    ),
    ("says:human", "handing_off", "customer", "message_received message_sent queued", "queued"),
    ("says:thanks", "wrap_up closed", "customer", "message_received", "="),
    ("says:5", "closed", "customer", "message_received satisfaction_rated message_sent", "="),
    ("event", "new", "customer", "session_opened message_received message_sent customer_awaited", "bot"),
    ("event", "*", "customer", "message_received", "="),
    ("edit", "new *", "customer", "message_edited", "="),
    ("receipt", "new *", "customer", "delivery_reported", "="),
    ("left", "new snoozed wrap_up closed", "customer", "customer_left", "="),
    (
        "left",
        "asked idle collecting handing_off queued queued_for",
        "customer",
        "customer_left session_closed",
        "closed",
    ),
    ("left", "offered", "customer", "customer_left offer_rescinded session_closed", "closed"),
    ("left", "active prompted held", "customer", "customer_left wrap_up_started", "wrap_up"),
    ("left", "consulting", "customer", "customer_left consult_ended wrap_up_started", "wrap_up"),
];

/// Codes that a refusal in the table's place may have.
const CODES: [&str; 10] = [
    "unchanged",
    "not_found",
    "not_allowed",
    "not_yours",
    "wrong_state",
    "obsolete",
    "too_late",
    "unknown_request",
    "reserved_for",
    "not_quarantined",
];

/// The names that serde knows for the variants of an enum, out of its complaint about one that it does not know.
fn variants<T: serde::de::DeserializeOwned>(tag: &str) -> Vec<String> {
    let error = serde_json::from_value::<T>(json!({tag: "?"})).err().expect("there is no variant `?`").to_string();
    let (_, known) = error.split_once("expected one of").expect("a list of variants");
    known.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn situations() -> Vec<(&'static str, World)> {
    let collect = json!({"collect": [
        {"field": "language", "prompt": "Language?", "when": "opening"},
        {"field": "order", "prompt": "Order number?", "pattern": "[0-9]{4}", "max_attempts": 0},
    ], "queues": ["support", "sales"]});
    let then = |mut world: World, actor: Actor, body: Value| {
        world.does(actor, body);
        world
    };
    let mut idle = World::demo().asked();
    idle.asks(bot(), sample("give_answer", &idle));
    let mut collecting = World::new(collect);
    collecting.says("my parcel?");
    let mut handing_off = collecting.clone();
    handing_off.says("human");
    let transfer = json!({"type": "transfer", "to": {"agent": "bob"}});
    let mut prompted = World::demo().active();
    prompted.does(agent("ann"), sample_reply());
    prompted.fires("inactivity");
    let until = World::demo().now.plus_seconds(3600);
    let mut all = vec![
        ("new", World::demo()),
        ("asked", World::demo().asked()),
        ("idle", idle),
        ("collecting", collecting),
        ("handing_off", handing_off),
        ("queued", World::demo().queued()),
        ("queued_for", then(World::demo().active(), agent("ann"), transfer)),
        ("offered", World::demo().offered()),
        ("active", World::demo().active()),
        ("prompted", prompted),
        ("held", then(World::demo().active(), agent("ann"), json!({"type": "hold"}))),
        ("snoozed", then(World::demo().active(), agent("ann"), json!({"type": "snooze", "until": until}))),
        ("consulting", then(World::demo().active(), agent("ann"), json!({"type": "consult", "with": "bob"}))),
        ("wrap_up", World::demo().wrap_up()),
        ("closed", World::demo().closed()),
    ];
    for (_, world) in &mut all[1..] {
        world.does(system(), json!({"type": "tag", "tags": ["old"]}));
    }
    all
}

fn sample_reply() -> Value {
    json!({"type": "reply", "content": {"kind": "text", "text": "Here you are."}})
}

/// A command of this type that would be right, if the situation were.
fn sample(name: &str, world: &World) -> Value {
    let asked = world.state.bot().and_then(|bot| bot.asked.as_ref()).map_or("none", |asked| &asked.request);
    let rateable = world.state.rateable.back().map_or("none", |rateable| &rateable.request);
    let mut fields = match name {
        "give_answer" => {
            json!({"request": asked, "confidence": 0.9, "content": {"kind": "text", "text": "On its way."}})
        }
        "offer_choices" => json!({
            "request": asked, "confidence": 0.3, "content": {"kind": "text", "text": "Which one?"},
            "choices": [{"entry": "a", "question": "A?"}, {"entry": "b", "question": "B?"}],
        }),
        "decline_answer" => json!({"request": asked, "reason": "failed"}),
        "rate_answer" => json!({"request": rateable, "helpful": true}),
        "offer" => json!({"agent": "ann"}),
        "check_reservation" => json!({"agent": "ann", "reservation": "r1"}),
        "rescind" => json!({"reason": "reassigned"}),
        "tell_position" => json!({"session": world.state.sessions, "position": 2, "wait_s": 90}),
        "reply" => sample_reply(),
        "note" => json!({"text": "knows Greek"}),
        "transfer" | "reassign" => json!({"to": {"queue": "sales"}}),
        "consult" => json!({"with": "bob"}),
        "tag" => json!({"tags": ["new"]}),
        "untag" => json!({"tags": ["old"]}),
        "snooze" => json!({"until": world.now.plus_seconds(60)}),
        "set_disposition" => json!({"code": "solved"}),
        "rate_satisfaction" => json!({"score": 5}),
        "timer_fired" => json!({"timer": "lunch", "due": world.now}),
        _ => json!({}),
    };
    fields["type"] = json!(name);
    fields
}

fn content(kind: &str) -> Value {
    let mut fields = match kind {
        "text" => json!({"text": "hello there"}),
        "image" | "file" => json!({"object": "o", "name": "parcel.png", "mime": "image/png", "size": 1}),
        "card" => json!({"title": "A parcel"}),
        "event" => json!({"name": "clicked"}),
        "edit" => json!({"of": "m1", "text": "changed"}),
        "receipt" => json!({"of": "c1-1", "state": "read"}),
        _ => json!({}),
    };
    fields["kind"] = json!(kind);
    fields
}

fn actors() -> Vec<(&'static str, Actor)> {
    vec![
        ("ann", agent("ann")),
        ("bob", agent("bob")),
        ("system", system()),
        ("scheduler", scheduler()),
        ("bot", bot()),
        ("timer", Actor::new(ActorKind::Timer, "timer")),
        ("customer", Actor::new(ActorKind::Customer, "alice")),
    ]
}

/// The row that allows this, if one does. Rows that name the situation come before those for all.
fn allowed(input: &str, situation: &str, actor: &str) -> Option<(usize, Vec<&'static str>, &'static str)> {
    let names = |list: &str, name: &str| list.split(' ').any(|listed| listed == name);
    let rows = || TABLE.iter().enumerate().filter(|(_, (of, ..))| *of == input);
    let by = |actors: &str| names(actors, actor) || (actors == "*" && !["timer", "customer"].contains(&actor));
    let named = rows().find(|(_, (_, situations, actors, ..))| names(situations, situation) && by(actors));
    let any = || rows().find(|(_, (_, all, actors, ..))| names(all, "*") && situation != "new" && by(actors));
    named.or_else(any).map(|(row, (_, _, _, events, phase))| (row, events.split(' ').collect(), *phase))
}

#[test]
fn every_transition_is_as_the_table_says_and_every_other_is_refused() {
    let mut used = BTreeSet::new();
    for (situation, world) in situations() {
        world.assert_sound();
        for name in variants::<Command>("type") {
            let samples = if name == "timer_fired" {
                let due = |timer| world.due(timer).unwrap_or(world.now);
                let fired =
                    |timer| (format!("timer:{timer}"), json!({"type": name, "timer": timer, "due": due(timer)}));
                timer::ALL.map(fired).to_vec()
            } else {
                vec![(name.clone(), sample(&name, &world))]
            };
            for ((input, body), (actor, who)) in
                samples.iter().flat_map(|sample| actors().into_iter().map(move |actor| (sample, actor)))
            {
                let mut after = world.clone();
                let outcome = after.asks(who, body.clone());
                let what = format!("{input} by {actor} in {situation}: {outcome:?}");
                match allowed(input, situation, actor) {
                    Some((row, events, phase)) => {
                        assert_eq!(outcome.types(), events, "{what}");
                        assert_eq!(after.phase(), if phase == "=" { world.phase() } else { phase }, "{what}");
                        used.insert(row);
                    }
                    None => {
                        assert!(outcome.code().is_some_and(|code| CODES.contains(&code)), "{what}");
                        assert_eq!((&after.state, outcome.effects.len()), (&world.state, 0), "{what}");
                    }
                }
                after.assert_sound();
            }
        }
    }
    for (input, situation, world) in messages() {
        let (name, body) = input;
        let mut after = world.clone();
        let outcome = after.sends(body);
        // What has no row of its own is a message like any other.
        let expected = allowed(&name, situation, "customer").or_else(|| allowed("says", situation, "customer"));
        let Some((row, events, phase)) = expected else { panic!("{name} in {situation} is not in the table") };
        assert_eq!(outcome.types(), events, "{name} in {situation}");
        assert_eq!(after.phase(), if phase == "=" { world.phase() } else { phase }, "{name} in {situation}");
        after.assert_sound();
        used.insert(row);
    }
    let unused: Vec<_> = (0..TABLE.len()).filter(|row| !used.contains(row)).map(|row| TABLE[row]).collect();
    assert!(unused.is_empty(), "rows that nothing uses: {unused:?}");
}

type NamedMessage = ((String, Value), &'static str, World);

fn messages() -> Vec<NamedMessage> {
    let text = |text: &str| json!({"kind": "text", "text": text});
    let mut inputs: Vec<(String, Value)> =
        variants::<Content>("kind").into_iter().map(|kind| (kind.clone(), content(&kind))).collect();
    inputs.extend(["human", "thanks", "5"].map(|word| (format!("says:{word}"), text(word))));
    let all = situations();
    let pairs = inputs.iter().flat_map(|input| all.iter().map(move |(situation, world)| (input, *situation, world)));
    pairs.map(|(input, situation, world)| (input.clone(), situation, world.clone())).collect()
}

#[test]
fn nothing_can_be_asked_of_a_conversation_in_which_nobody_has_written() {
    // What is not held there is said all the same, to whoever waits for it.
    for name in variants::<Command>("type").into_iter().filter(|name| name != "check_reservation") {
        let mut world = World::demo();
        let outcome = world.asks(system(), sample(&name, &world));
        assert_eq!(outcome.code(), Some("not_found"), "{name}");
    }
}
