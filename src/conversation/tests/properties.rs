//! Whatever happens, in whatever order.

use super::*;
use kefu_events::{Quarantined, conversation::Held};
use proptest::prelude::*;
use std::collections::BTreeMap;

const AGENTS: [&str; 3] = ["ann", "bob", "cyd"];
const TEXTS: [&str; 8] = ["where is my parcel?", "human", "转人工", "thanks", "5", "1234", "", "another thing"];

#[derive(Debug, Clone)]
enum Deed {
    Says(usize),
    Sends(Value),
    Waits(u32),
    /// The deadline of this number fires, or one that is not set.
    Fires(usize),
    Asks(usize, Value),
    /// An offer with a reservation of its own, or the one that is held already.
    Offers(usize, bool),
    Answers(bool, f64),
    /// The agent's side asks about the reservation that is held, or about one that is not.
    Checks(bool),
    Quarantine,
    Configures(usize),
}

fn contents() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"kind": "left"}),
        json!({"kind": "event", "name": "clicked"}),
        json!({"kind": "image", "object": "o", "name": "p.png", "mime": "image/png", "size": 1}),
        json!({"kind": "card", "title": "card"}),
        json!({"kind": "edit", "of": "m2", "text": "changed"}),
        json!({"kind": "receipt", "of": "c1-1", "state": "failed", "detail": "gone"}),
    ])
}

fn commands() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "accept"}),
        json!({"type": "accept"}),
        json!({"type": "accept", "name": "Ann"}),
        json!({"type": "reject"}),
        json!({"type": "rescind", "reason": "agent_gone"}),
        json!({"type": "reply", "content": {"kind": "text", "text": "Yes?"}}),
        json!({"type": "reply", "content": {"kind": "left"}}),
        json!({"type": "note", "text": "n"}),
        json!({"type": "hold"}),
        json!({"type": "resume"}),
        json!({"type": "transfer", "to": {"queue": "sales"}}),
        json!({"type": "transfer", "to": {"agent": "bob"}}),
        json!({"type": "return_to_bot"}),
        json!({"type": "request_handoff", "queue": "sales"}),
        json!({"type": "consult", "with": "bob"}),
        json!({"type": "end_consult"}),
        json!({"type": "join"}),
        json!({"type": "take_over"}),
        json!({"type": "reassign", "to": {"agent": "bob"}}),
        json!({"type": "reassign", "to": {"queue": "sales"}}),
        json!({"type": "tag", "tags": ["a"]}),
        json!({"type": "untag", "tags": ["a"]}),
        json!({"type": "snooze", "until": "2026-11-22T13:00:00Z"}),
        json!({"type": "unsnooze"}),
        json!({"type": "wrap_up"}),
        json!({"type": "set_disposition", "code": "solved"}),
        json!({"type": "close"}),
        json!({"type": "rate_satisfaction", "score": 3}),
        json!({"type": "rate_answer", "request": "c1-1", "helpful": false}),
    ])
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (0..TEXTS.len()).prop_map(Deed::Says),
        1 => contents().prop_map(Deed::Sends),
        2 => (0u32..100_000).prop_map(Deed::Waits),
        3 => (0usize..3).prop_map(Deed::Fires),
        8 => (0usize..7, commands()).prop_map(|(who, body)| Deed::Asks(who, body)),
        4 => (0usize..3, prop::bool::weighted(0.9)).prop_map(|(who, fresh)| Deed::Offers(who, fresh)),
        2 => (any::<bool>(), 0.0..1.0).prop_map(|(gives, confidence)| Deed::Answers(gives, confidence)),
        2 => any::<bool>().prop_map(Deed::Checks),
        1 => Just(Deed::Quarantine),
        1 => (0usize..6).prop_map(Deed::Configures),
    ]
}

fn configs() -> [TenantConfig; 6] {
    [
        json!({"queues": ["support", "sales"]}),
        json!({"queues": ["sales"], "bot": {"enabled": false}, "wrap_up_s": 0, "queue_abandon_s": 60}),
        json!({"queues": ["sales"], "satisfaction": {"enabled": false}, "inactivity": {"prompt_after_s": 5}, "collect": [
            {"field": "order", "prompt": "?", "pattern": "[0-9]{4}", "max_attempts": 1},
            {"field": "language", "prompt": "?", "when": "opening", "max_attempts": 0},
        ]}),
        json!({"queues": ["sales"], "texts": {"welcome": "", "handoff": "", "satisfaction_request": ""},
               "after_close": {"courtesy_window_s": 0}}),
        json!({"queues": ["support", "sales"], "hours": {"sunday": ["12:00-12:05"]},
               "out_of_hours": {"action": "close", "text": "We are closed."}}),
        json!({"queues": ["support", "sales"], "collect": [{"field": "order", "prompt": "?", "when": "rule"}]}),
    ]
    .map(|settings| {
        let rules = json!({"rules": [
            {"name": "ask", "when": "!has(collected.order)", "then": {"collect": ["order"], "tags": ["a"]}, "go_on": true},
            {"name": "sales", "when": "text.contains('parcel') || wants_person",
             "then": {"queue": "sales", "priority": 3, "required": {"calm": 1}}},
            {"name": "broken", "when": "collected.nothing == ''", "then": {"queue": "support"}},
        ]});
        let mut config = World::new(settings).config;
        config.routing = Arc::new(serde_json::from_value(rules).unwrap());
        config
    })
}

fn actor(who: usize) -> Actor {
    match who {
        0..=2 => agent(AGENTS[who]),
        3 => scheduler(),
        4 => bot(),
        _ => system(),
    }
}

/// What the log says, as a second opinion on the state.
#[derive(Default)]
struct Ledger {
    sessions: u32,
    open: Option<u32>,
    offer: Option<String>,
    /// Reservations that were handed to this conversation: whether they are held still.
    held: BTreeMap<String, bool>,
    reservations: usize,
}

impl Ledger {
    fn note(&mut self, outcome: &Outcome) {
        for event in &outcome.events {
            match event {
                Event::SessionOpened { session, .. } => {
                    assert_eq!((self.open, *session), (None, self.sessions + 1), "numbers count up, one is open");
                    (self.sessions, self.open) = (*session, Some(*session));
                }
                Event::SessionClosed { session, .. } => {
                    assert_eq!(self.open.take(), Some(*session));
                    assert_eq!(self.offer, None, "no offer outlives its session");
                }
                Event::MessageReceived { session, .. } | Event::MessageSent { session, .. } => {
                    assert_eq!(*session, self.sessions);
                }
                Event::OfferMade { offer, reservation, .. } => {
                    assert!(self.open.is_some() && self.offer.is_none(), "offers never overlap");
                    self.offer = Some(offer.clone());
                    if let Some(reservation) = reservation {
                        assert_eq!(self.held.insert(reservation.clone(), true), None);
                    }
                }
                Event::OfferAccepted { offer, .. }
                | Event::OfferRejected { offer, .. }
                | Event::OfferTimedOut { offer, .. }
                | Event::OfferRescinded { offer, .. } => assert_eq!(self.offer.take().as_ref(), Some(offer)),
                Event::OfferRefused { reservation, .. } => {
                    assert_eq!(self.held.insert(reservation.clone(), true), None, "released while it is held");
                }
                _ => {}
            }
        }
        if let [Event::ReservationChecked { reservation, held, .. }] = &outcome.events[..] {
            assert_eq!(self.held.get(reservation) == Some(&true), *held != Held::No, "{reservation}");
            let released = outcome.slots().iter().any(|slot| slot.starts_with("release_slot"));
            assert_eq!(released, *held == Held::No, "what is not held is released, once more if need be");
            return;
        }
        for slot in outcome.slots() {
            let [what, reservation, ..] = slot.split(' ').collect::<Vec<_>>()[..] else { panic!("{slot}") };
            let held = self.held.get_mut(reservation).unwrap_or_else(|| panic!("{slot} was never handed over"));
            assert!(*held, "{slot} was released before");
            *held = what != "release_slot";
        }
        if self.open.is_none() {
            assert!(self.held.values().all(|held| !held), "a slot outlives the session: {:?}", self.held);
        }
    }
}

fn do_it(world: &mut World, ledger: &Ledger, deed: Deed) -> Option<Outcome> {
    Some(match deed {
        Deed::Says(text) => world.says(TEXTS[text]),
        Deed::Sends(content) => world.sends(content),
        Deed::Waits(seconds) => {
            world.later(i64::from(seconds));
            return None;
        }
        Deed::Fires(which) => {
            let deadline = world.deadlines().get(which).cloned();
            let (timer, due) = deadline.map_or(("snooze", world.now), |deadline| (deadline.timer, deadline.due));
            world.now = world.now.max(due);
            world.asks(Actor::new(ActorKind::Timer, "t"), json!({"type": "timer_fired", "timer": timer, "due": due}))
        }
        Deed::Asks(who, body) => world.asks(actor(who), body),
        Deed::Offers(who, fresh) => {
            let held = world.state.holder().and_then(|holder| holder.reservation.clone()).filter(|_| !fresh);
            let reservation = held.unwrap_or_else(|| format!("r{}", ledger.reservations));
            world.asks(scheduler(), json!({"type": "offer", "agent": AGENTS[who], "reservation": reservation}))
        }
        Deed::Answers(gives, confidence) => {
            let request = world.state.bot().and_then(|bot| bot.asked.as_ref()).map_or("c", |asked| &asked.request);
            let body = if gives {
                json!({"type": "give_answer", "request": request, "confidence": confidence,
                       "content": {"kind": "text", "text": "so"}})
            } else {
                json!({"type": "decline_answer", "request": request, "reason": "failed"})
            };
            world.asks(bot(), body)
        }
        Deed::Checks(known) => {
            let holder = world.state.holder().filter(|_| known);
            let held = holder.and_then(|holder| Some((holder.agent.clone(), holder.reservation.clone()?)));
            let ended = || ledger.held.iter().find(|(_, held)| !**held).map_or("r0", |(ended, _)| ended);
            let (agent, reservation) = held.unwrap_or_else(|| (AGENTS[0].to_owned(), ended().to_owned()));
            world.asks(system(), json!({"type": "check_reservation", "agent": agent, "reservation": reservation}))
        }
        Deed::Quarantine => {
            let quarantined = Quarantined { v: V, input: "x".to_owned(), error: "boom".to_owned() };
            let events = Conversation::set_aside(&world.state, quarantined);
            world.commit(system(), None, events, None)
        }
        Deed::Configures(which) => {
            world.config = configs()[which].clone();
            return None;
        }
    })
}

proptest! {
    #[test]
    fn nothing_overlaps_and_nothing_is_lost_whatever_happens(deeds in prop::collection::vec(deeds(), 1..80), config in 0usize..6) {
        let mut world = World::new(json!({}));
        world.config = configs()[config].clone();
        let mut ledger = Ledger::default();
        for deed in deeds {
            ledger.reservations += 1;
            let before = world.state.clone();
            if let Some(outcome) = do_it(&mut world, &ledger, deed) {
                ledger.note(&outcome);
                world.assert_sound();
                if outcome.refusal.is_some() {
                    prop_assert_eq!(&world.state, &before, "a refusal changes nothing");
                }
            }
            prop_assert_eq!(ledger.open.is_some(), world.state.session.is_some());
            let bytes = serde_json::to_vec(&world.state).unwrap().len();
            prop_assert!(bytes <= 4096, "the state has {} bytes", bytes);
        }
        // An operator can always end it, and then nothing is held.
        if world.state.session.is_some() {
            let outcome = world.does(system(), json!({"type": "close"}));
            ledger.note(&outcome);
        }
    }

}

proptest! {
    // Long texts take their time, and there is little to vary.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_text_is_taken_and_the_state_stays_bounded(texts in prop::collection::vec("\\PC{0,3000}", 1..40)) {
        let mut world = World::new(json!({}));
        world.config = configs()[2].clone();
        for (n, text) in texts.iter().enumerate() {
            let mut message = world.inbound(Content::text(text.as_str()));
            message.sender.name = Some(text.clone());
            message.metadata.insert("page".to_owned(), json!(text));
            world.message(message);
            world.sends(json!({"kind": "edit", "of": format!("m{n}"), "text": text}));
            world.assert_sound();
        }
        // Characters that are kept: one question, one value, one name; at most 4 bytes each, and 6 where JSON escapes.
        let bytes = serde_json::to_vec(&world.state).unwrap().len();
        prop_assert!(bytes <= 4096 + 6 * (4_000 + 1_000 + 200), "the state has {} bytes", bytes);
    }
}

#[test]
fn an_active_conversation_is_small_in_memory() {
    let mut world = World::demo().active();
    world.does(system(), json!({"type": "tag", "tags": ["vip", "parcel"]}));
    let json = serde_json::to_vec(&world.state).unwrap().len();
    let fixed = size_of::<State>() + size_of::<crate::conversation::state::Session>();
    // Everything on the heap is a text that is in the JSON, too; an allocation costs at most 16 bytes beside it.
    assert!(fixed + json + 30 * 16 < 2048, "{fixed} bytes fixed, {json} of JSON");
}
