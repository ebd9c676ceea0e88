//! Several contacts with the commands between them, which arrive in order per pair but interleaved at will.

use super::*;
use kefu_events::{
    Actor, ActorKind, CommandHeader,
    contact::{ContactDetails, Identity},
    key::contact_key,
    settings::TenantSettings,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

struct World {
    contacts: BTreeMap<String, State>,
    /// Commands under way, by receiver: work queues keep the order.
    queues: BTreeMap<String, VecDeque<ContactCommand>>,
    now: Timestamp,
    config: TenantConfig,
    commits: u64,
}

/// The key of the person on this channel.
fn key(channel: &str) -> String {
    contact_key(channel, "p")
}

impl World {
    fn new(rules: &[&str]) -> Self {
        let tenant = TenantSettings {
            merge_contacts_by: rules.iter().map(|rule| (*rule).to_owned()).collect(),
            ..TenantSettings::default()
        };
        let config = TenantConfig { tenant: Arc::new(tenant), ..TenantConfig::default() };
        Self {
            contacts: BTreeMap::new(),
            queues: BTreeMap::new(),
            now: Timestamp::from_millis(1_000_000),
            config,
            commits: 0,
        }
    }

    fn state(&self, channel: &str) -> State {
        self.contacts.get(&key(channel)).cloned().unwrap_or_default()
    }

    fn details(&self, channel: &str) -> ContactDetails {
        self.state(channel).details()
    }

    fn seen(&mut self, channel: &str, attributes: Value) {
        let see = json!({"type": "see", "identity": {"channel": channel, "id": "p"}, "name": format!("P on {channel}"),
                         "attributes": attributes, "conversation": "c"});
        self.does(ActorKind::System, channel, see);
    }

    fn does(&mut self, kind: ActorKind, channel: &str, body: Value) {
        self.asks(kind, channel, body).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    }

    fn asks(&mut self, kind: ActorKind, channel: &str, mut body: Value) -> Result<(), Refusal> {
        body["v"] = json!(1);
        self.decide(kind, &key(channel), serde_json::from_value(body).unwrap())
    }

    fn found(&self, look_ups: &[LookUp]) -> Vec<Vec<String>> {
        let holds = |state: &State, look_up: &LookUp| {
            let LookUp::ContactsByAttribute { name, value } = look_up else { unreachable!() };
            state.part_of.is_none() && state.attribute(name).and_then(as_text).as_ref() == Some(value)
        };
        let matching = |look_up: &LookUp| {
            self.contacts.iter().filter(|(_, state)| holds(state, look_up)).map(|(key, _)| key.clone()).collect()
        };
        look_ups.iter().map(matching).collect()
    }

    fn decide(&mut self, kind: ActorKind, key: &str, command: ContactCommand) -> Result<(), Refusal> {
        self.commits += 1;
        self.now = self.now.plus_seconds(1);
        let actor = Actor::new(kind, "test");
        let header = CommandHeader {
            id: format!("{}", self.commits),
            aggregate: AggregateKind::Contact,
            key: key.to_owned(),
            expected_version: None,
            actor: actor.clone(),
            at: self.now,
            correlation: None,
        };
        let state = self.contacts.entry(key.to_owned()).or_default().clone();
        let input = Input::Command(header, command);
        let commit_id = format!("c{}", self.commits);
        let found = self.found(&Contact::look_ups(&state, &input, &self.config));
        let context = Context {
            tenant: "t",
            key,
            version: 0,
            now: self.now,
            commit_id: &commit_id,
            settings: &self.config,
            found: &found,
        };
        let events = Contact::decide(&state, &input, &context)?;
        assert!(!events.is_empty(), "{input:?}");
        let commit = Commit {
            commit_id,
            tenant: "t".to_owned(),
            aggregate: AggregateKind::Contact,
            key: key.to_owned(),
            version: 1,
            at: self.now,
            actor,
            contact: None,
            concerns: kefu_events::Concerns::default(),
            cause: String::new(),
            cause_seq: 1,
            correlation: String::new(),
            events,
        };
        let read: Commit<ContactEvent> = serde_json::from_slice(&serde_json::to_vec(&commit).unwrap()).unwrap();
        assert_eq!(read, commit);
        let state = self.contacts.get_mut(key).unwrap();
        for event in &commit.events {
            Contact::evolve(state, &CommitMeta::of(&commit), event);
        }
        assert_eq!(serde_json::from_value::<State>(json!(state)).unwrap(), *state);
        let effects = Contact::effects(&read);
        assert_eq!(effects, Contact::effects(&commit));
        for effect in effects {
            let Effect::Command { aggregate: AggregateKind::Contact, key, body } = effect else { panic!("{effect:?}") };
            self.queues.entry(key).or_default().push_back(body.read().unwrap());
        }
        Ok(())
    }

    /// Delivers the next command to one of the receivers; whether there was one.
    fn deliver(&mut self, pick: usize) -> bool {
        let waiting: Vec<String> =
            self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(key, _)| key.clone()).collect();
        let Some(to) = waiting.get(pick % waiting.len().max(1)) else { return false };
        let command = self.queues.get_mut(to).and_then(VecDeque::pop_front).unwrap();
        let _refused_or_not = self.decide(ActorKind::System, &to.clone(), command);
        true
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.deliver(0) {
                return;
            }
        }
        panic!("the contacts never come to rest: {:?}", self.contacts);
    }

    fn merge(&mut self, from: &str, into: &str) -> Result<(), Refusal> {
        self.asks(ActorKind::Agent, from, json!({"type": "merge", "into": key(into)}))
    }

    fn unmerge(&mut self, from: &str) -> Result<(), Refusal> {
        self.asks(ActorKind::Agent, from, json!({"type": "unmerge"}))
    }

    fn assert_no_cycles(&self) {
        for start in self.contacts.keys() {
            let mut at = start;
            for _ in 0..=self.contacts.len() {
                // Two may be on their way into each other, until one of them hears of it.
                let part_of = self.contacts[at].part_of.as_ref();
                let Some(part_of) = part_of.filter(|part_of| part_of.pending.is_none()) else { break };
                at = &part_of.into;
                assert_ne!(at, start, "a cycle: {:?}", self.contacts);
            }
        }
    }

    /// At rest, both sides of every merge agree.
    fn assert_agreement(&self) {
        for (key, state) in &self.contacts {
            assert!(state.undoing.is_none(), "{state:?}");
            if let Some(part_of) = &state.part_of {
                assert_eq!(part_of.pending, None);
                let survivor = &self.contacts[&part_of.into];
                assert!(
                    survivor.absorbed.iter().any(|absorbed| absorbed.from == *key && absorbed.merge == part_of.merge)
                );
            }
            for absorbed in &state.absorbed {
                let brought = &self.contacts[&absorbed.from];
                assert_eq!(brought.part_of.as_ref().map(|part_of| &part_of.into), Some(key), "{absorbed:?}");
            }
        }
    }
}

#[test]
fn seen_and_kept_current() {
    let mut world = World::new(&[]);
    world.seen("web", json!({"language": "zh", "nothing": null}));
    let details = world.details("web");
    assert_eq!(details.identities, [Identity { channel: "web".to_owned(), id: "p".to_owned() }]);
    assert_eq!(
        (details.name.as_deref(), &details.attributes),
        (Some("P on web"), json!({"language": "zh"}).as_object().unwrap())
    );
    world.seen("web", json!({"language": "en"}));
    assert_eq!(
        (world.details("web").identities.len(), &world.details("web").attributes["language"]),
        (1, &json!("en"))
    );
    let huge = json!({"page": "x".repeat(3_000), "plan": "gold"});
    world.seen("web", huge.clone());
    assert!(
        world.details("web").attributes.contains_key("plan") && !world.details("web").attributes.contains_key("page")
    );
    let set = json!({"type": "set_attributes", "attributes": huge});
    assert_eq!(world.asks(ActorKind::Agent, "web", set).unwrap_err().code, "invalid", "a person is told");
}

#[test]
fn tags_and_attributes_by_hand() {
    let mut world = World::new(&[]);
    assert_eq!(
        world.asks(ActorKind::Agent, "web", json!({"type": "tag", "tags": ["vip"]})).unwrap_err().code,
        "not_found"
    );
    world.seen("web", json!({}));
    world.does(ActorKind::Agent, "web", json!({"type": "tag", "tags": ["vip", "vip"]}));
    assert_eq!(world.details("web").tags, ["vip"]);
    assert_eq!(
        world.asks(ActorKind::Agent, "web", json!({"type": "tag", "tags": ["vip"]})).unwrap_err().code,
        "unchanged"
    );
    world.does(ActorKind::Agent, "web", json!({"type": "untag", "tags": ["vip", "other"]}));
    world.does(ActorKind::Agent, "web", json!({"type": "set_attributes", "attributes": {"plan": "gold"}}));
    world.does(ActorKind::Agent, "web", json!({"type": "set_attributes", "attributes": {"plan": null}}));
    assert_eq!(world.details("web").attributes.len() + world.details("web").tags.len(), 0);
    let see = json!({"type": "see", "identity": {"channel": "app", "id": "p"}, "conversation": "c"});
    assert_eq!(world.asks(ActorKind::System, "web", see.clone()).unwrap_err().code, "invalid", "another's identity");
    assert_eq!(world.asks(ActorKind::Agent, "app", see).unwrap_err().code, "not_allowed");
}

#[test]
fn a_merge_shows_both_and_its_undoing_takes_back_what_was_brought() {
    let mut world = World::new(&[]);
    world.seen("web", json!({"language": "zh", "plan": "gold"}));
    world.seen("app", json!({"language": "en", "os": "ios"}));
    world.does(ActorKind::Agent, "app", json!({"type": "tag", "tags": ["beta"]}));
    let before = (world.details("web"), world.details("app"));
    world.merge("app", "web").unwrap();
    assert_eq!(world.asks(ActorKind::Agent, "app", json!({"type": "tag", "tags": ["x"]})).unwrap_err().code, "merged");
    world.settle();
    world.assert_agreement();
    let merged = world.details("web");
    assert_eq!(
        (merged.identities.len(), &merged.attributes["language"], &merged.attributes["os"]),
        (2, &json!("zh"), &json!("ios"))
    );
    assert_eq!(merged.tags, ["beta"]);
    assert_eq!(world.merge("app", "web").unwrap_err().code, "already_merged");

    // Seen while merged: recorded, and passed on.
    world.seen("app", json!({"os": "android"}));
    world.settle();
    assert_eq!(world.details("web").attributes["os"], json!("android"));
    // What an agent removes stays removed, and is still known to who brought it.
    world.does(ActorKind::Agent, "web", json!({"type": "untag", "tags": ["beta"]}));

    world.unmerge("app").unwrap();
    world.settle();
    world.assert_agreement();
    assert_eq!(world.details("web"), before.0);
    assert_eq!(world.details("app").tags, ["beta"]);
    assert_eq!(world.details("app").attributes["os"], json!("android"));
    assert_eq!(world.unmerge("app").unwrap_err().code, "wrong_state");
}

#[test]
fn a_chain_of_merges_passes_everything_to_its_end() {
    let mut world = World::new(&[]);
    for channel in ["web", "app", "mail"] {
        world.seen(channel, json!({channel: 1}));
    }
    world.merge("mail", "app").unwrap();
    world.settle();
    world.merge("app", "web").unwrap();
    world.settle();
    world.seen("mail", json!({"mail": 2}));
    world.settle();
    assert_eq!(world.details("web").attributes, *json!({"web": 1, "app": 1, "mail": 2}).as_object().unwrap());
    world.unmerge("mail").unwrap();
    world.settle();
    world.assert_agreement();
    assert_eq!(world.details("web").attributes, *json!({"web": 1, "app": 1}).as_object().unwrap());
}

#[test]
fn a_merge_into_a_part_goes_to_the_whole_and_one_into_nobody_fails() {
    let mut world = World::new(&[]);
    for channel in ["web", "app", "mail"] {
        world.seen(channel, json!({}));
    }
    world.merge("app", "web").unwrap();
    world.settle();
    world.merge("mail", "app").unwrap();
    world.settle();
    world.assert_agreement();
    assert_eq!(world.state("mail").part_of.unwrap().into, key("web"));
    assert_eq!(world.merge("web", "app").unwrap_err().code, "already_merged");
    world.merge("web", "nobody").unwrap();
    world.settle();
    assert_eq!(world.state("web").part_of, None);
    assert_eq!(world.merge("web", "web").unwrap_err().code, "invalid");
}

#[test]
fn two_that_merge_into_each_other_at_once_do_not_go_in_circles() {
    let mut world = World::new(&[]);
    world.seen("web", json!({}));
    world.seen("app", json!({}));
    world.merge("app", "web").unwrap();
    world.merge("web", "app").unwrap();
    world.settle();
    world.assert_no_cycles();
    world.assert_agreement();
}

#[test]
fn a_lost_answer_is_asked_for_again_at_growing_intervals() {
    let mut world = World::new(&[]);
    world.seen("web", json!({}));
    world.seen("app", json!({"os": "ios"}));
    world.merge("app", "web").unwrap();
    world.queues.clear();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let [Deadline { timer, due }] = Contact::deadlines(&world.state("app"))[..] else { panic!("one deadline") };
        waits.push(due.millis_since(world.now) / 1000);
        assert_eq!(
            world
                .asks(
                    ActorKind::Timer,
                    "app",
                    json!({"type": "timer_fired", "timer": timer, "due": due.plus_seconds(1)})
                )
                .unwrap_err()
                .code,
            "obsolete"
        );
        world.does(ActorKind::Timer, "app", json!({"type": "timer_fired", "timer": timer, "due": due}));
    }
    assert_eq!((waits[0], waits[8]), (30, 3600));
    world.settle();
    world.assert_agreement();
    assert_eq!(Contact::deadlines(&world.state("app")), []);
}

#[test]
fn a_repeated_request_does_not_bring_back_what_was_removed() {
    let mut world = World::new(&[]);
    world.seen("web", json!({}));
    world.seen("app", json!({"os": "ios"}));
    world.merge("app", "web").unwrap();
    world.deliver(0);
    world.queues.clear();
    world.does(ActorKind::Agent, "web", json!({"type": "set_attributes", "attributes": {"os": null}}));
    let [Deadline { timer, due }] = Contact::deadlines(&world.state("app"))[..] else { panic!("one deadline") };
    world.does(ActorKind::Timer, "app", json!({"type": "timer_fired", "timer": timer, "due": due}));
    world.settle();
    world.assert_agreement();
    assert_eq!(world.details("web").attributes.get("os"), None);
}

#[test]
fn a_repeated_request_that_arrives_first_is_enough() {
    let mut world = World::new(&[]);
    world.seen("web", json!({}));
    world.seen("app", json!({"os": "ios"}));
    world.merge("app", "web").unwrap();
    world.queues.clear();
    let [Deadline { timer, due }] = Contact::deadlines(&world.state("app"))[..] else { panic!("one deadline") };
    world.does(ActorKind::Timer, "app", json!({"type": "timer_fired", "timer": timer, "due": due}));
    world.settle();
    world.assert_agreement();
    assert_eq!(world.details("web").attributes["os"], json!("ios"));
}

#[test]
fn by_rule_the_newer_becomes_part_of_the_older_whoever_finds_whom() {
    for finder in ["web", "app"] {
        let mut world = World::new(&["email"]);
        world.seen("web", json!({}));
        world.seen("app", json!({}));
        let other = if finder == "web" { "app" } else { "web" };
        world.seen(other, json!({"email": "p@example.org"}));
        world.seen(finder, json!({"email": " p@example.org "}));
        world.settle();
        world.assert_agreement();
        let part_of = world.state("app").part_of.unwrap();
        assert_eq!((part_of.into, part_of.rule.as_deref()), (key("web"), Some("email")));
        // Separated by hand, they stay so, whatever the rule says.
        world.unmerge("app").unwrap();
        world.settle();
        world.seen("app", json!({"email": "other@example.org"}));
        world.seen("app", json!({"email": "p@example.org"}));
        world.settle();
        assert_eq!(world.state("app").part_of, None);
        world.merge("app", "web").unwrap();
    }
}

fn step() -> impl Strategy<Value = (u8, usize, usize)> {
    (0u8..10, 0usize..4, 0usize..8)
}

proptest! {
    /// Whatever is merged, separated and seen, in whatever order the commands between the contacts arrive: there are no
    /// cycles at any time, both sides agree at rest, and separated contacts know what they knew.
    #[test]
    fn contacts_agree_and_are_restored(steps in prop::collection::vec(step(), 1..60), rule in any::<bool>()) {
        let channels = ["web", "app", "mail", "chat"];
        let mut world = World::new(if rule { &["email"] } else { &[] });
        for channel in channels {
            world.seen(channel, json!({channel: 0, "plan": channel}));
        }
        for (what, which, pick) in steps {
            let (one, other) = (channels[which], channels[pick % 4]);
            match what {
                0..=4 => drop(world.deliver(pick)),
                5 => drop(world.merge(one, other)),
                6 => drop(world.unmerge(one)),
                7 => world.seen(one, json!({one: pick, "email": format!("{}@x", pick % 2)})),
                8 => drop(world.asks(ActorKind::Agent, one, json!({"type": "tag", "tags": [other]}))),
                _ => {
                    for Deadline { timer, due } in Contact::deadlines(&world.state(one)) {
                        world.does(ActorKind::Timer, one, json!({"type": "timer_fired", "timer": timer, "due": due}));
                    }
                }
            }
            world.assert_no_cycles();
        }
        world.settle();
        world.assert_no_cycles();
        world.assert_agreement();
        let own: Vec<ContactDetails> = channels.map(|channel| world.state(channel).own).to_vec();
        for _ in channels {
            for channel in channels {
                drop(world.unmerge(channel));
                world.settle();
            }
        }
        for (channel, own) in channels.iter().zip(own) {
            prop_assert_eq!(world.details(channel), own, "nothing foreign is left at {}", channel);
        }
    }
}

#[test]
fn a_command_that_names_no_key_is_refused() {
    let mut world = World::new(&[]);
    world.seen("a", json!({}));
    let absorb = json!({"type": "absorb", "merge": "m", "from": "no key!", "attempt": 1, "again": false,
                        "details": {"identities": [], "attributes": {}, "tags": []}});
    for (actor, body) in [
        (ActorKind::System, absorb),
        (ActorKind::System, json!({"type": "confirm_merge", "merge": "m", "with": "no key!", "merged": true})),
        (ActorKind::Agent, json!({"type": "merge", "into": "no key!"})),
    ] {
        assert_eq!(world.asks(actor, "a", body).unwrap_err().code, "invalid");
    }
}
