//! Every command in every situation: what the table allows happens as it says, and everything else is refused, changes
//! nothing and asks nothing of anybody.
//!
//! The names of commands are read from the type itself, so that a new one fails here until it is in the table.

use super::*;
use crate::agent::timer;
use std::collections::BTreeSet;

/// In which situations each command, by these actors, leads to which events.
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("register", "nobody", "system", "agent_registered capacity_changed"),
    ("register", "offline ready gone reserved occupied wrap_up removed", "system", "agent_registered"),
    ("set_presence:online", "offline gone", "agent system", "presence_changed"),
    ("set_presence:offline", "ready reserved occupied wrap_up removed", "agent system", "presence_changed"),
    ("set_status:away", "offline ready gone reserved occupied wrap_up", "agent system", "status_changed"),
    ("set_status:offline", "ready gone occupied wrap_up", "agent system", "status_changed"),
    ("set_status:offline", "reserved", "agent system", "status_changed reservation_withdrawn"),
    ("set_skills", "offline ready gone reserved occupied wrap_up", "system", "skills_changed"),
    ("set_capacity", "offline ready gone reserved occupied wrap_up", "system", "capacity_changed"),
    ("set_shifts", "offline ready gone reserved occupied wrap_up", "system", "shifts_changed"),
    ("remove", "offline ready gone occupied wrap_up", "system", "agent_removed"),
    ("remove", "reserved", "system", "agent_removed reservation_withdrawn"),
    ("reserve_slot", "ready reserved occupied wrap_up", "scheduler system", "slot_reserved"),
    ("occupy_slot", "reserved", "system", "slot_occupied"),
    ("occupy_slot", "wrap_up", "system", "wrap_up_ended"),
    ("release_slot", "reserved occupied", "system", "slot_released"),
    ("release_slot", "wrap_up", "system", "wrap_up_ended slot_released"),
    ("rate", "offline ready gone reserved occupied wrap_up", "system", "rated"),
    ("start_wrap_up", "reserved", "system", "slot_occupied wrap_up_started"),
    ("start_wrap_up", "occupied", "system", "wrap_up_started"),
    ("force_release", "reserved", "system", "reservation_withdrawn slot_released"),
    ("force_release", "occupied", "system", "slot_released"),
    ("force_release", "wrap_up", "system", "wrap_up_ended slot_released"),
    ("timer:question", "reserved occupied wrap_up", "timer system", "reservation_questioned"),
    ("timer:presence", "gone", "timer system", "connection_lost status_changed"),
];

/// Codes that a refusal in the table's place may have.
const CODES: [&str; 10] = [
    "unknown_agent",
    "removed",
    "not_allowed",
    "unchanged",
    "not_available",
    "unknown_reservation",
    "obsolete",
    "not_quarantined",
    "already_reserved",
    "no_capacity",
];

fn situations() -> Vec<(&'static str, World)> {
    let mut gone = World::ready();
    gone.does(ActorKind::Agent, json!({"type": "set_presence", "online": false}));
    let mut removed = World::ready();
    removed.does(ActorKind::System, json!({"type": "remove"}));
    vec![
        ("nobody", World::nobody()),
        ("offline", World::registered()),
        ("ready", World::ready()),
        ("gone", gone),
        ("reserved", World::reserved()),
        ("occupied", World::occupied()),
        ("wrap_up", World::wrap_up()),
        ("removed", removed),
    ]
}

/// Commands of this type that would be right, if the situation were.
fn samples(name: &str, world: &World) -> Vec<(String, Value)> {
    let plain = |body: Value| vec![(name.to_owned(), body)];
    let due = |timer| world.due(timer).unwrap_or(world.now);
    let mut samples = match name {
        "register" => plain(json!({"name": "Anna"})),
        "set_presence" => [true, false]
            .map(|online| (format!("{name}:{}", if online { "online" } else { "offline" }), json!({"online": online})))
            .to_vec(),
        "set_status" => ["away", "offline"].map(|it| (format!("{name}:{it}"), json!({"status": it}))).to_vec(),
        "set_skills" => plain(json!({"skills": {"tax": 1}})),
        "set_shifts" => plain(json!({"shifts": {"time_zone": "UTC", "hours": {"monday": ["09:00-17:00"]}}})),
        "set_capacity" => plain(json!({"slots": 7})),
        "rate" => plain(json!({"conversation": "c1", "session": 1, "score": 4,
            "practice": {"skills": ["tax"], "half_life_days": 30.0}})),
        "reserve_slot" => plain(reserve("r2", 1)),
        "timer_fired" => [timer::PRESENCE, timer::QUESTION]
            .map(|timer| (format!("timer:{timer}"), json!({"timer": timer, "due": due(timer)})))
            .to_vec(),
        _ => plain(about(name, "r1")),
    };
    samples.iter_mut().for_each(|(_, body)| body["type"] = json!(name));
    samples
}

#[test]
fn every_command_does_what_the_table_says_and_every_other_is_refused() {
    let error = serde_json::from_value::<Command>(json!({"type": "?"})).unwrap_err().to_string();
    let (_, known) = error.split_once("expected one of").unwrap();
    let commands: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    let kinds = [
        ActorKind::Customer,
        ActorKind::Agent,
        ActorKind::Timer,
        ActorKind::Bot,
        ActorKind::Scheduler,
        ActorKind::System,
    ];
    let names = |list: &str, name: &str| list.split(' ').any(|listed| listed == name);
    let mut used = BTreeSet::new();
    for (situation, world) in situations() {
        for (input, body) in commands.iter().flat_map(|name| samples(name, &world)) {
            for kind in kinds {
                let mut after = world.clone();
                let outcome = after.asks(kind, body.clone());
                let what = format!("{input} by {} in {situation}: {outcome:?}", kind.as_str());
                let is_row = |(of, in_which, by, _): &&(&str, &str, &str, &str)| {
                    *of == input && names(in_which, situation) && names(by, kind.as_str())
                };
                match TABLE.iter().position(|row| is_row(&row)) {
                    Some(row) => {
                        assert_eq!(outcome.types().join(" "), TABLE[row].3, "{what}");
                        used.insert(row);
                    }
                    None => {
                        assert!(outcome.code().is_some_and(|code| CODES.contains(&code)), "{what}");
                        let before = State { refused: after.state.refused.clone(), ..world.state.clone() };
                        assert_eq!((&after.state, outcome.effects.len()), (&before, 0), "{what}");
                    }
                }
            }
        }
    }
    let unused: Vec<_> = (0..TABLE.len()).filter(|row| !used.contains(row)).map(|row| TABLE[row]).collect();
    assert!(unused.is_empty(), "rows that nothing uses: {unused:?}");
}
