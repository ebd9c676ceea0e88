//! What supervisors do, and whom commits concern.

use super::*;
use kefu_events::Concerns;

fn concerned(outcome: &Outcome, before: &State) -> (Vec<String>, Vec<String>) {
    let Concerns { queues, agents } = Conversation::concerns(before, &outcome.events);
    (queues, agents)
}

#[test]
fn a_conversation_that_is_taken_over_leaves_its_agent_and_frees_the_slot() {
    let mut world = World::demo().queued();
    world.does(system(), json!({"type": "offer", "agent": "ann", "reservation": "r1"}));
    world.does(agent("ann"), json!({"type": "accept"}));
    let outcome = world.does(agent("boss"), json!({"type": "take_over", "name": "Bea"}));
    assert_eq!(outcome.types(), ["taken_over"]);
    assert_eq!(outcome.slots(), ["release_slot r1 → ann"]);
    assert_eq!(world.state.holder().map(|holder| holder.agent.as_str()), Some("boss"));
    assert_eq!(world.asks(agent("ann"), json!({"type": "hold"})).code(), Some("not_yours"));
    assert_eq!(world.asks(agent("boss"), json!({"type": "take_over"})).code(), Some("unchanged"));
}

#[test]
fn whoever_has_just_lost_it_is_told_and_nobody_hears_of_what_follows() {
    let mut world = World::demo().active();
    let before = world.state.clone();
    let outcome = world.does(agent("ann"), json!({"type": "transfer", "to": {"queue": "sales"}}));
    let (queues, agents) = concerned(&outcome, &before);
    assert_eq!((queues, agents), (vec!["sales".to_owned(), "support".to_owned()], vec!["ann".to_owned()]));
    let before = world.state.clone();
    let outcome = world.does(agent("ann"), json!({"type": "note", "text": "wants a discount"}));
    assert_eq!(concerned(&outcome, &before), (vec!["sales".to_owned()], Vec::new()));
}

#[test]
fn what_comes_after_the_end_concerns_who_had_it_and_a_new_session_does_not() {
    let mut world = World::demo().closed();
    let before = world.state.clone();
    let outcome = world.says("5");
    assert_eq!(concerned(&outcome, &before), (vec!["support".to_owned()], vec!["ann".to_owned()]));
    let before = world.state.clone();
    let outcome = world.says("and another thing");
    assert_eq!(concerned(&outcome, &before), (Vec::new(), Vec::new()));
}

#[test]
fn the_preview_is_the_start_of_what_was_said_last() {
    let mut world = World::demo().active();
    world.says(&"长".repeat(200));
    let preview = world.state.preview.clone().unwrap();
    assert_eq!((preview.text.chars().count(), preview.by), (super::super::state::MAX_PREVIEW_CHARS, None));
    world.does(agent("ann"), json!({"type": "reply", "content": {"kind": "text", "text": "Here."}}));
    assert_eq!(world.state.preview.as_ref().map(|preview| preview.text.as_str()), Some("Here."));
}
