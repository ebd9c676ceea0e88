//! A leader by hand, with lists as the store shows them.

use super::*;
use crate::store::HeldSlot;
use kefu_events::Timestamp;
use serde_json::{Value, json};

const START_MS: i64 = 1_000_000;

struct World {
    leader: Leader,
    agents: BTreeMap<String, StaffEntry>,
    now_ms: i64,
    random: u128,
}

impl World {
    fn new(settings: Value) -> Self {
        let leader = Leader::new(serde_json::from_value(settings).unwrap());
        Self { leader, agents: BTreeMap::new(), now_ms: START_MS, random: 0 }
    }

    fn agent(&mut self, key: &str, slots: u32) {
        let entry = json!({"status": "available", "online": true, "queues": ["q"], "slots": slots});
        self.agents.insert(key.to_owned(), serde_json::from_value(entry).unwrap());
        self.show(key);
    }

    fn show(&mut self, key: &str) {
        self.leader.take_in(Change::Agent(key.to_owned(), self.agents.get(key).cloned()), self.now_ms);
    }

    fn holds(&mut self, order: &Order) {
        let slot = HeldSlot { conversation: order.conversation.to_string(), weight: order.weight };
        self.agents.get_mut(&order.agent).unwrap().held.insert(order.reservation.clone(), slot);
        self.show(&order.agent);
    }

    fn releases(&mut self, order: &Order) {
        self.agents.get_mut(&order.agent).unwrap().held.remove(&order.reservation);
        self.show(&order.agent);
    }

    fn waits(&mut self, key: u128, more: Value) {
        let mut entry = json!({"session": 1, "channel": "web", "queue": "q", "priority": 0,
            "since": Timestamp::from_millis(START_MS)});
        for (name, value) in more.as_object().unwrap() {
            entry[name] = value.clone();
        }
        let entry = serde_json::from_value(entry).unwrap();
        self.leader.take_in(Change::Conversation(ConversationKey(key), Some(entry)), self.now_ms);
    }

    fn gone(&mut self, key: u128) {
        self.leader.take_in(Change::Conversation(ConversationKey(key), None), self.now_ms);
    }

    fn orders(&mut self) -> Vec<Order> {
        let random = || {
            self.random += 1;
            self.random
        };
        self.leader.orders(self.now_ms, 100, random)
    }

    fn asked(&mut self) -> Vec<String> {
        self.orders().iter().map(|order| format!("{} for {}", order.agent, order.conversation.0)).collect()
    }
}

#[test]
fn nobody_is_asked_twice_while_the_lists_lag_behind() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    world.waits(2, json!({}));
    assert_eq!(world.asked(), ["ann for 1"]);
    assert_eq!(world.asked().len(), 0);
    // The same entry again: the feed repeats what the scan had read.
    world.show("ann");
    world.waits(1, json!({}));
    assert_eq!(world.asked().len(), 0);
}

#[test]
fn a_conversation_goes_from_waiting_to_served_and_the_slot_is_free_at_its_end() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    assert_eq!((order.session, order.weight, order.kind), (1, 1, ReservationKind::Offer));
    assert_eq!(order.decision.value()["agent"], "ann");
    world.holds(&order);
    world.gone(1);
    world.waits(2, json!({}));
    assert_eq!(world.asked().len(), 0, "the slot is taken");
    world.releases(&order);
    assert_eq!(world.asked(), ["ann for 2"]);
}

#[test]
fn who_refused_is_left_alone_for_a_moment_and_the_next_is_asked_at_once() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    world.agents.get_mut("ann").unwrap().refused = Some(order.reservation.clone());
    world.show("ann");
    assert_eq!(world.asked().len(), 0);
    world.agent("bob", 1);
    assert_eq!(world.asked(), ["bob for 1"]);
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    world.agents.get_mut("ann").unwrap().refused = Some(order.reservation);
    world.show("ann");
    world.now_ms += REFUSED_MS;
    assert_eq!(world.asked(), ["ann for 1"]);
}

#[test]
fn what_is_not_answered_is_asked_again() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    assert_eq!(world.leader.next_due_ms(), Some(START_MS + ANSWER_MS));
    world.now_ms += ANSWER_MS + 1;
    let again = world.orders().remove(0);
    assert_ne!(again.reservation, order.reservation, "an id that was used would be swallowed");

    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    world.leader.not_sent(&order, world.now_ms);
    assert_eq!(world.asked(), ["ann for 1"]);
}

#[test]
fn a_reservation_whose_offer_came_to_nothing_lets_the_conversation_wait_again() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    world.holds(&order);
    // The conversation's entry never changed: its offer was refused.
    world.releases(&order);
    assert_eq!(world.asked(), ["ann for 1"]);
}

#[test]
fn who_declined_is_not_asked_again_for_the_configured_time() {
    let mut world = World::new(json!({"declined_s": 60.0}));
    world.agent("ann", 1);
    world.waits(1, json!({"declined": [{"agent": "ann", "at": Timestamp::from_millis(START_MS)}]}));
    assert_eq!(world.asked().len(), 0);
    world.now_ms += 60_000;
    assert_eq!(world.asked(), ["ann for 1"]);
}

#[test]
fn settings_hold_for_those_who_wait_already() {
    let mut world = World::new(json!({"default": {"required": {"french": 3}}}));
    world.agent("ann", 4);
    world.waits(1, json!({}));
    assert_eq!(world.asked().len(), 0);
    let settings = json!({"channel_weights": {"web": 2}});
    world.leader.set_settings(serde_json::from_value(settings).unwrap(), world.now_ms);
    assert_eq!(world.orders()[0].weight, 2);
}

#[test]
fn the_last_agent_is_waited_for_and_a_transfer_by_name_is_for_that_agent_only() {
    let mut world = World::new(json!({"default": {"last_agent_s": 30.0}}));
    world.agent("ann", 1);
    world.agent("bob", 1);
    world.waits(1, json!({"agent": "bob", "transferred": true}));
    let order = world.orders().remove(0);
    assert_eq!((order.agent.as_str(), order.kind), ("bob", ReservationKind::Transfer));
    world.holds(&order);
    world.gone(1);
    world.waits(2, json!({"last_agent": "bob"}));
    assert_eq!(world.asked().len(), 0, "bob is busy, and is hoped for");
    world.now_ms += 30_000;
    assert_eq!(world.asked(), ["ann for 2"]);
}

#[test]
fn an_agent_who_is_removed_is_not_asked_and_what_was_asked_of_them_waits_again() {
    let mut world = World::new(json!({}));
    world.agent("ann", 1);
    world.waits(1, json!({}));
    assert_eq!(world.asked(), ["ann for 1"]);
    world.agents.remove("ann");
    world.show("ann");
    world.agent("bob", 1);
    assert_eq!(world.asked(), ["bob for 1"]);
}

#[test]
fn what_a_routing_rule_requires_is_required_beside_what_the_queue_does() {
    let mut world = World::new(json!({"default": {"required": {"german": 2}}}));
    for (agent, german, refunds) in [("ann", 5, 0), ("bob", 3, 1), ("cyd", 4, 2)] {
        let skills = json!({"german": german, "refunds": refunds});
        let entry = json!({"status": "available", "online": true, "queues": ["q"], "slots": 1, "skills": skills});
        world.agents.insert(agent.to_owned(), serde_json::from_value(entry).unwrap());
        world.show(agent);
    }
    world.waits(1, json!({"required": {"german": 4, "refunds": 2}}));
    assert_eq!(world.asked(), ["cyd for 1"]);
    world.waits(2, json!({"required": {"german": 1, "refunds": 1}}));
    assert_eq!(world.asked(), ["bob for 2"], "the higher of the two holds: German 2");
    world.waits(3, json!({"required": {"refunds": 2}}));
    assert_eq!(world.asked().len(), 0);
    // Whoever is named gets it, whatever a rule said of others.
    world.waits(4, json!({"required": {"refunds": 2}, "agent": "ann", "transferred": true}));
    assert_eq!(world.asked(), ["ann for 4"]);
}

#[test]
fn customers_are_told_their_place_when_it_has_changed_and_not_too_often() {
    let mut world = World::new(json!({"tell_position_every_s": 30.0}));
    for key in 1..=3 {
        world.waits(key, json!({"since": Timestamp::from_millis(START_MS + key as i64)}));
    }
    let told = |world: &mut World, after_ms: i64| -> Vec<(u128, u32)> {
        world.now_ms = START_MS + after_ms;
        world
            .leader
            .tellings(world.now_ms, 10)
            .iter()
            .map(|telling| (telling.conversation.0, telling.position))
            .collect()
    };
    assert_eq!(told(&mut world, 5_000), [], "they have just come");
    assert_eq!(told(&mut world, 10_000), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(told(&mut world, 20_000), []);
    world.gone(1);
    assert_eq!(told(&mut world, 30_000), [], "not so often");
    assert_eq!(told(&mut world, 40_000), [(2, 1), (3, 2)]);
    assert_eq!(told(&mut world, 80_000), [], "nothing has changed");
    let never = json!({"tell_position_every_s": 0.0});
    world.leader.set_settings(serde_json::from_value(never).unwrap(), world.now_ms);
    world.gone(2);
    assert_eq!(told(&mut world, 500_000), []);
}

#[test]
fn an_agents_own_weight_is_heeded_before_anything_is_asked() {
    let mut world = World::new(json!({}));
    world.agent("ann", 2);
    world.agents.get_mut("ann").unwrap().weights.insert("web".to_owned(), 2);
    world.show("ann");
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    assert_eq!(order.weight, 2);
    world.waits(2, json!({}));
    assert_eq!(world.asked().len(), 0, "what is asked for takes two slots, too");
    world.holds(&order);
    world.gone(1);
    world.agents.get_mut("ann").unwrap().slots = 3;
    world.show("ann");
    assert_eq!(world.asked().len(), 0, "one slot is free, and the conversation takes two");
    world.agent("bob", 1);
    assert_eq!(world.asked(), ["bob for 2"]);
}

#[test]
fn conversations_are_cases_of_the_skills_that_they_require_or_of_their_queue() {
    let mut world = World::new(json!({"estimates": {"half_life_days": 7.0}}));
    world.agent("ann", 2);
    world.agents.get_mut("ann").unwrap().skills.insert("tax".to_owned(), 3);
    world.show("ann");
    world.waits(1, json!({"required": {"tax": 2}}));
    world.waits(2, json!({}));
    let practice = |order: &Order| order.practice.clone().unwrap();
    let orders = world.orders();
    assert_eq!((practice(&orders[0]).skills, practice(&orders[0]).half_life_days), (vec!["tax".to_owned()], 7.0));
    assert_eq!(practice(&orders[1]).skills, ["queue:q"]);
}

fn worked(handle_s: f64, cases: u32) -> Practised {
    let mut sums = crate::scheduler::estimates::Sums::default();
    (0..cases).for_each(|_| sums.add_case(handle_s, 1.0, START_MS, 30.0));
    BTreeMap::from([("queue:q".to_owned(), sums)])
}

#[test]
fn who_is_faster_is_asked_first_where_the_policy_looks_at_it() {
    let settings = json!({"default": {"policy": "fastest-gcmu"}, "estimates": {"least_cases": 5.0}});
    let mut world = World::new(settings);
    for agent in ["ann", "bob", "cyd"] {
        world.agent(agent, 1);
    }
    let took = [("ann", 300.0, 50), ("bob", 200.0, 50), ("cyd", 10.0, 4)];
    for (agent, handle_s, cases) in took {
        let practised = Some(worked(handle_s, cases));
        world.leader.take_in(Change::Practice(agent.to_owned(), practised), world.now_ms);
    }
    assert_eq!(world.asked().len(), 0, "nobody waits");
    world.waits(1, json!({}));
    let order = world.orders().remove(0);
    assert_eq!(order.agent, "bob", "cyd's four cases say nothing yet");
    assert_eq!(order.decision.value()["beside"]["estimates"], json!({"sequence": 0, "at_ms": START_MS}));
    let estimates = world.leader.estimates("cyd", world.now_ms);
    assert!(!estimates["queue:q"].enough && estimates["queue:q"].speed == 1.0);

    // Estimates are made now and then, not with every case.
    world.leader.take_in(Change::Practice("ann".to_owned(), Some(worked(100.0, 500))), world.now_ms);
    world.agent("bob", 2);
    assert_eq!(world.asked().len(), 0);
    world.waits(2, json!({}));
    assert_eq!(world.orders()[0].agent, "bob");
    world.agent("bob", 3);
    world.now_ms += ESTIMATE_EVERY_MS;
    let asked = world.asked();
    assert_eq!(asked, ["bob for 1", "bob for 2"], "what was not answered is asked again");
    world.waits(3, json!({}));
    assert_eq!(world.orders()[0].agent, "ann");
    let mut doubted = World::new(json!({"default": {"policy": "fastest-gcmu"}, "estimates": {"enabled": false}}));
    doubted.agent("ann", 1);
    doubted.agent("bob", 1);
    doubted.leader.take_in(Change::Practice("bob".to_owned(), Some(worked(10.0, 50))), START_MS);
    doubted.leader.take_in(Change::Practice("ann".to_owned(), Some(worked(100.0, 50))), START_MS);
    assert_eq!(doubted.asked().len(), 0);
    doubted.waits(1, json!({}));
    assert_eq!(doubted.orders()[0].agent, "ann", "the first of two who are alike");
}

#[test]
fn nothing_is_offered_after_the_shift_and_again_when_the_next_begins() {
    let mut world = World::new(json!({}));
    // 1970-01-01, a Thursday, 00:16:40.
    world.agent("ann", 1);
    let shifts = json!({"time_zone": "UTC", "hours": {"thursday": ["00:00-00:20"], "friday": ["09:00-17:00"]}});
    let ann = world.agents.get_mut("ann").unwrap();
    ann.shifts = serde_json::from_value(shifts).unwrap();
    ann.status_since = Some(Timestamp::from_millis(0));
    world.show("ann");
    assert_eq!(world.leader.next_due_ms(), Some(1_200_000), "the end of the shift");
    world.now_ms = 1_200_000;
    world.waits(1, json!({}));
    assert_eq!(world.asked().len(), 0);
    let why = world.leader.why_not(ConversationKey(1), "ann", world.now_ms);
    assert_eq!(serde_json::to_value(why).unwrap()["reason"], "off_shift");
    world.now_ms = (24 + 9) * 3_600_000;
    assert_eq!(world.leader.next_due_ms(), Some(world.now_ms));
    assert_eq!(world.asked(), ["ann for 1"]);
}
