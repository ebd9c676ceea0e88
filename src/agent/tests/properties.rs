//! Whatever happens, in whatever order.

use super::*;
use crate::agent::MAX_ENDED;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Deed {
    Reserves { number: usize, weight: u32, transfer: bool },
    Says { what: usize, number: usize },
    Asks(Value),
    Waits(u32),
    Fires(usize),
    Quarantine,
}

const WHAT: [&str; 4] = ["occupy_slot", "release_slot", "start_wrap_up", "force_release"];

fn deeds() -> impl Strategy<Value = Deed> {
    let commands = prop::sample::select(vec![
        json!({"type": "set_capacity", "slots": 0}),
        json!({"type": "set_capacity", "slots": 2}),
        json!({"type": "set_capacity", "slots": 6}),
        json!({"type": "set_status", "status": "available"}),
        json!({"type": "set_status", "status": "available"}),
        json!({"type": "set_status", "status": "transfers_only"}),
        json!({"type": "set_status", "status": "away", "reason": "lunch"}),
        json!({"type": "set_status", "status": "offline"}),
        json!({"type": "set_presence", "online": true}),
        json!({"type": "set_presence", "online": true, "connection": "tab"}),
        json!({"type": "set_presence", "online": false, "connection": "tab"}),
        json!({"type": "set_presence", "online": false}),
        json!({"type": "set_skills", "skills": {"tax": 2}}),
        json!({"type": "register", "name": "Ann"}),
        json!({"type": "remove"}),
    ]);
    prop_oneof![
        8 => (0usize..20, 1u32..4, any::<bool>())
            .prop_map(|(number, weight, transfer)| Deed::Reserves { number, weight, transfer }),
        8 => (0..WHAT.len(), 0usize..20).prop_map(|(what, number)| Deed::Says { what, number }),
        4 => commands.prop_map(Deed::Asks),
        1 => (0u32..10_000).prop_map(Deed::Waits),
        3 => (0usize..2).prop_map(Deed::Fires),
        1 => Just(Deed::Quarantine),
    ]
}

fn do_it(world: &mut World, deed: &Deed) -> Option<Outcome> {
    Some(match deed {
        Deed::Reserves { number, weight, transfer } => {
            let mut body = reserve(&format!("r{number}"), *weight);
            body["kind"] = json!(if *transfer { "transfer" } else { "offer" });
            world.asks(ActorKind::Scheduler, body)
        }
        Deed::Says { what, number } => world.asks(ActorKind::System, about(WHAT[*what], &format!("r{number}"))),
        Deed::Asks(body) => world.asks(ActorKind::System, body.clone()),
        Deed::Waits(seconds) => {
            world.later(i64::from(*seconds));
            return None;
        }
        Deed::Fires(which) => {
            let Deadline { timer, due } = world.deadlines().get(*which).cloned()?;
            world.now = world.now.max(due);
            world.asks(ActorKind::Timer, json!({"type": "timer_fired", "timer": timer, "due": due}))
        }
        Deed::Quarantine => world.quarantine(),
    })
}

/// What the log says, as a second opinion on the state.
#[derive(Default)]
struct Ledger {
    slots: u32,
    /// Reservations and their weights, while they are held.
    held: BTreeMap<String, u32>,
    /// How often each ended.
    ended: BTreeMap<String, u32>,
}

impl Ledger {
    fn note(&mut self, outcome: &Outcome) {
        for event in &outcome.events {
            match event {
                Event::CapacityChanged { slots, .. } => self.slots = *slots,
                Event::SlotReserved { reservation, weight, .. } => {
                    assert!(!self.ended.contains_key(reservation), "a reservation is made once");
                    assert_eq!(self.held.insert(reservation.clone(), *weight), None);
                    let in_use: u32 = self.held.values().sum();
                    assert!(in_use <= self.slots, "no reservation is accepted above the capacity");
                }
                Event::SlotOccupied { reservation, .. }
                | Event::WrapUpStarted { reservation, .. }
                | Event::WrapUpEnded { reservation, .. }
                | Event::ReservationQuestioned { reservation, .. }
                | Event::ReservationWithdrawn { reservation, .. } => {
                    assert!(self.held.contains_key(reservation), "{event:?} of what is not held");
                }
                Event::SlotReleased { reservation, .. } => {
                    assert!(self.held.remove(reservation).is_some(), "{reservation} was not held");
                    *self.ended.entry(reservation.clone()).or_default() += 1;
                }
                _ => {}
            }
        }
        assert!(self.ended.values().all(|times| *times == 1), "a reservation ends at most once: {:?}", self.ended);
    }
}

proptest! {
    /// Nobody is ever given more than fits, slots and weights agree, a reservation is made and ended at most once, a
    /// refusal changes nothing, and whatever waits has a deadline.
    #[test]
    fn never_above_capacity_and_never_twice_whatever_happens(deeds in prop::collection::vec(deeds(), 1..120)) {
        let mut world = World::ready();
        let mut ledger = Ledger { slots: world.state.slots, ..Ledger::default() };
        for deed in deeds {
            let before = world.state.clone();
            let Some(outcome) = do_it(&mut world, &deed) else { continue };
            ledger.note(&outcome);
            if outcome.refusal.is_some() {
                let before = State { refused: world.state.refused.clone(), ..before };
                prop_assert_eq!(&world.state, &before, "a refusal changes nothing else: {:?}", deed);
                prop_assert!(outcome.effects.is_empty());
            }
            prop_assert_eq!(world.state.in_use(), ledger.held.values().sum::<u32>());
            prop_assert_eq!(world.state.slots, ledger.slots);
            prop_assert_eq!(world.state.idle_since.is_some(), world.state.held.is_empty());
            prop_assert!(world.state.ended.len() <= MAX_ENDED);
            for slot in world.state.held.values().filter(|slot| slot.phase == SlotPhase::Reserved) {
                prop_assert!(slot.deadline.is_some(), "nothing is reserved without a deadline");
            }
            prop_assert!(!world.state.online || world.state.gone_at.is_none());
        }
        // The conversations can always end it all, and then nothing is held and nothing waited for.
        for reservation in ledger.held.keys() {
            world.does(ActorKind::System, about("release_slot", reservation));
        }
        prop_assert_eq!((world.state.in_use(), world.due("question")), (0, None));
    }
}
