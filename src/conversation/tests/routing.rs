//! Where conversations go: by rules, by name, and out of hours.

use super::*;
use crate::conversation::state::{Phase, Waiting};
use std::collections::{BTreeMap, BTreeSet};

fn ruled(mut settings: Value, rules: Value) -> World {
    settings["queues"] = json!(["support", "sales", "refunds"]);
    let mut world = World::new(settings);
    world.config.routing = Arc::new(serde_json::from_value(json!({ "rules": rules })).unwrap());
    world
}

fn refunds() -> Value {
    json!([
        {"name": "german", "when": "language == 'de'", "then": {"required": {"german": 3}}, "go_on": true},
        {"name": "refunds", "when": "text.contains('money back')",
         "then": {"queue": "refunds", "priority": 4, "required": {"refunds": 2}, "wished": ["calm"], "tags": ["refund"]}},
    ])
}

/// Queue, priority and rules of the `queued` among the events.
fn queued(outcome: &Outcome) -> (String, i32, Vec<String>) {
    let queued = outcome.events.iter().find_map(|event| match event {
        Event::Queued { queue, priority, rules, .. } => Some((queue.clone(), *priority, rules.clone())),
        _ => None,
    });
    queued.unwrap_or_else(|| panic!("not queued: {outcome:?}"))
}

#[test]
fn a_rule_sends_a_conversation_to_a_queue_with_what_is_asked_of_its_agent() {
    let mut world = ruled(json!({}), refunds());
    let mut message = world.inbound(Content::text("I want my money back"));
    message.metadata = json!({"language": "de", "plan": "gold"}).as_object().unwrap().clone();
    world.message(message);
    let outcome = world.fires("answer");
    assert_eq!(outcome.types(), ["answer_declined", "handoff_requested", "tagged", "message_sent", "queued"]);
    assert_eq!(queued(&outcome), ("refunds".to_owned(), 4, vec!["german".to_owned(), "refunds".to_owned()]));
    let required = BTreeMap::from([("german".to_owned(), 3), ("refunds".to_owned(), 2)]);
    let session = world.state.session.clone().unwrap();
    assert_eq!((&session.required, session.wished), (&required, BTreeSet::from(["calm".to_owned()])));
    assert_eq!(
        (world.state.tags.as_slice(), &world.state.known["plan"]),
        (["refund".to_owned()].as_slice(), &json!("gold"))
    );

    // From agent to agent it stays; to another queue it does not go along.
    world.does(scheduler(), json!({"type": "offer", "agent": "ann", "reservation": "r1"}));
    world.does(agent("ann"), json!({"type": "accept"}));
    world.does(agent("ann"), json!({"type": "transfer", "to": {"agent": "bob"}}));
    assert_eq!(world.state.session.as_ref().unwrap().required, required);
    world.does(scheduler(), json!({"type": "offer", "agent": "bob", "reservation": "r2"}));
    world.does(agent("bob"), json!({"type": "reject"}));
    assert_eq!(world.state.session.as_ref().unwrap().required, required);
    world.does(system(), json!({"type": "transfer", "to": {"queue": "sales"}}));
    assert_eq!(world.state.session.as_ref().unwrap().required, BTreeMap::new());
}

#[test]
fn without_a_rule_that_holds_it_is_the_first_queue_and_a_named_queue_stands() {
    let mut world = ruled(json!({}), refunds());
    let outcome = world.says("human");
    assert_eq!(queued(&outcome), ("support".to_owned(), 0, vec![]));
    let mut world = ruled(json!({}), refunds());
    world.says("money back");
    let outcome = world.does(bot(), json!({"type": "request_handoff", "queue": "sales"}));
    assert_eq!(queued(&outcome), ("sales".to_owned(), 0, vec![]), "who names a queue knows better");
}

#[test]
fn a_rule_that_names_no_queue_of_the_tenants_is_told_of() {
    let rules = json!([{"name": "gone", "when": "wants_person", "then": {"queue": "gone", "priority": 2}}]);
    let mut world = ruled(json!({}), rules);
    let outcome = world.says("human");
    assert_eq!(queued(&outcome), ("support".to_owned(), 2, vec!["gone".to_owned()]));
    let errors = outcome.events.iter().find_map(|event| match event {
        Event::Queued { rule_errors, .. } => Some(rule_errors.clone()),
        _ => None,
    });
    assert_eq!(errors.unwrap()[0].error, "there is no queue \"gone\"");
}

#[test]
fn the_text_is_what_was_said_since_the_last_answer() {
    let rules = json!([{"name": "r", "when": "text == 'second\\nhuman' && wants_person", "then": {"queue": "sales"}}]);
    let mut world = ruled(json!({}), rules);
    world.says("first");
    world.says("second");
    let answer = json!({"type": "give_answer", "request": world.request(), "confidence": 0.9,
                        "content": {"kind": "text", "text": "So it is."}});
    world.does(bot(), answer);
    let outcome = world.says("human");
    assert_eq!(queued(&outcome).0, "sales", "{:?}", world.state);
}

#[test]
fn a_rule_can_ask_for_more_and_is_read_again_with_the_answer() {
    let rules = json!([
        {"name": "known", "when": "has(collected.order) && collected.order.startsWith('9')", "then": {"queue": "sales"}},
        {"name": "ask", "when": "true", "then": {"queue": "refunds", "collect": ["order", "unknown"]}},
    ]);
    let fields = json!([{"field": "order", "prompt": "Which order?", "when": "rule"}]);
    let mut world = ruled(json!({ "collect": fields }), rules);
    let outcome = world.says("human");
    assert_eq!(outcome.texts().last(), Some(&"Which order?"));
    assert_eq!(queued(&world.says("9876")).0, "sales");

    let mut other = ruled(json!({ "collect": fields }), json!([]));
    assert_eq!(queued(&other.says("human")).0, "support", "without a rule nobody asks");
}

#[test]
fn a_returning_customer_is_known() {
    let rules = json!([{"name": "again", "when": "returning && session == 2", "then": {"queue": "sales"}}]);
    let mut world = ruled(json!({}), rules).closed();
    world.later(10_000);
    assert_eq!(queued(&world.says("human")).0, "sales");
}

/// It is a Sunday.
fn closed_today(action: &str) -> Value {
    json!({"time_zone": "Asia/Shanghai", "hours": {"monday": ["09:00-18:00"]},
           "collect": [{"field": "order", "prompt": "Which order?"}],
           "out_of_hours": {"action": action, "text": "We are back on Monday."}})
}

#[test]
fn out_of_hours_customers_wait_are_told_or_are_sent_away() {
    let mut world = ruled(closed_today("queue"), json!([]));
    world.says("human");
    assert_eq!(world.says("1").texts(), ["I am passing you on to a colleague. One moment, please."]);

    let rules = json!([{"name": "night", "when": "!open", "then": {"queue": "sales"}}]);
    let mut world = ruled(closed_today("message"), rules.clone());
    world.says("human");
    let outcome = world.says("1");
    assert_eq!((outcome.texts(), world.phase()), (vec!["We are back on Monday."], "queued"));
    assert_eq!(queued(&outcome).0, "sales");

    let mut world = ruled(closed_today("close"), rules.clone());
    let outcome = world.says("human");
    assert_eq!(outcome.types().last().unwrap(), "session_closed");
    assert_eq!(outcome.texts().last(), Some(&"We are back on Monday."), "and nothing is collected before");
    assert_eq!(serde_json::to_value(&world.state.closed).unwrap()["reason"], "out_of_hours");
    world.assert_sound();

    // On Monday at 9:00 in Shanghai it is open.
    let mut world = ruled(closed_today("close"), rules);
    world.now = "2026-11-23T01:00:00Z".parse().unwrap();
    world.says("human");
    assert_eq!(queued(&world.says("1")).0, "support");
}

#[test]
fn who_asks_before_a_queue_opens_is_put_off_until_then_and_keeps_the_place() {
    let mut settings = closed_today("callback");
    settings["queue_abandon_s"] = json!(600);
    settings["texts"] = json!({"callback": "We are here now."});
    let mut world = ruled(settings, json!([]));
    world.says("human");
    let asked_at = world.now;
    let outcome = world.says("1");
    assert_eq!((outcome.texts(), world.phase()), (vec!["We are back on Monday."], "queued"));
    // On Monday at 9:00 in Shanghai.
    let opens: Timestamp = "2026-11-23T01:00:00Z".parse().unwrap();
    assert_eq!(world.deadlines(), [Deadline { timer: "opening", due: opens }]);
    let outcome = world.fires("opening");
    assert_eq!((outcome.types()[0].as_str(), outcome.texts()), ("callback_due", vec!["We are here now."]));
    let Some(Phase::Queued(Waiting { since, not_before: None, resumed, .. })) = world.state.phase() else {
        panic!("{:?}", world.state.phase())
    };
    assert_eq!((*resumed, *since <= asked_at.plus_seconds(60)), (Some(opens), true));
    assert_eq!(world.deadlines(), [Deadline { timer: "queue", due: opens.plus_seconds(600) }], "patience begins now");
    world.assert_sound();
}

#[test]
fn each_queue_has_its_own_hours() {
    let mut settings = closed_today("close");
    settings["queue_hours"] = json!({"sales": {"hours": {"sunday": ["00:00-24:00"]}},
        "refunds": {"out_of_hours": {"action": "message", "text": "Refunds are slow today."}}});
    let sales = json!([{"name": "all", "when": "true", "then": {"queue": "sales"}}]);
    let mut world = ruled(settings.clone(), sales);
    world.says("human");
    assert_eq!(queued(&world.says("1")).0, "sales", "it is open");
    let refunds = json!([{"name": "all", "when": "true", "then": {"queue": "refunds"}}]);
    let mut world = ruled(settings.clone(), refunds);
    world.says("human");
    assert_eq!(world.says("1").texts(), ["Refunds are slow today."]);
    let mut world = ruled(settings, json!([]));
    assert_eq!(world.says("human").types().last().unwrap(), "session_closed");
}

#[test]
fn what_is_kept_for_rules_is_bounded() {
    let mut world = World::demo();
    let mut message = world.inbound(Content::text("x".repeat(9_000)));
    let many = (0..100).map(|n| (format!("k{n}"), json!("y".repeat(1_000))));
    message.metadata = many.chain([("list".to_owned(), json!([1])), ("z".repeat(100), json!(1))]).collect();
    world.message(message);
    world.says("more");
    let said = world.state.bot().unwrap().said.chars().count();
    assert!(said <= crate::conversation::state::MAX_SAID_CHARS, "{said}");
    assert!(world.state.known.len() == 20 && world.state.known.to_string_len() < 5_000);
}

trait Length {
    fn to_string_len(&self) -> usize;
}

impl Length for Map<String, Value> {
    fn to_string_len(&self) -> usize {
        serde_json::to_string(self).unwrap().len()
    }
}
