use super::*;
use crate::aggregate::TenantConfig;
use kefu_events::{
    Actor, ActorKind, CommandHeader, Timestamp,
    user::{Role, Scope, UserEvent as Event},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

/// One user, with a clock.
struct World {
    state: State,
    version: u64,
    now_ms: i64,
    administrators: Vec<String>,
}

impl World {
    fn new() -> Self {
        Self { state: State::default(), version: 0, now_ms: 1_000, administrators: vec!["ann".to_owned()] }
    }

    /// The user Ann, an administrator with a colleague.
    fn ann() -> Self {
        let mut world = Self::new();
        let grants = json!([{"role": "administrator", "scope": "all"}, {"role": "agent", "scope": "my_queues"}]);
        world.does(json!({"type": "create", "name": "Ann", "grants": grants}));
        world.administrators.push("zoe".to_owned());
        world
    }

    fn asks_as(&mut self, actor: &Actor, mut body: Value) -> Result<Vec<Event>, Refusal> {
        let config = TenantConfig::default();
        body["v"] = json!(1);
        let header = CommandHeader {
            id: "x".to_owned(),
            aggregate: AggregateKind::User,
            key: "ann".to_owned(),
            expected_version: None,
            actor: actor.clone(),
            at: Timestamp::default(),
            correlation: None,
        };
        let command = serde_json::from_value(body).unwrap();
        let input = Input::Command(header, command);
        let asked = User::look_ups(&self.state, &input, &config);
        let found: Vec<Vec<String>> = asked.iter().map(|_| self.administrators.clone()).collect();
        let context = Context {
            tenant: "demo",
            key: "ann",
            version: self.version,
            now: Timestamp::from_millis(self.now_ms),
            commit_id: "c",
            settings: &config,
            found: &found,
        };
        let events = User::decide(&self.state, &input, &context)?;
        self.version += 1;
        let meta = CommitMeta {
            at: context.now,
            actor: actor.clone(),
            version: self.version,
            key: "ann".to_owned(),
            commit_id: "c".to_owned(),
        };
        for event in &events {
            User::evolve(&mut self.state, &meta, event);
        }
        Ok(events)
    }

    fn asks(&mut self, body: Value) -> Result<Vec<Event>, Refusal> {
        self.asks_as(&Actor::new(ActorKind::System, "operator"), body)
    }

    fn does(&mut self, body: Value) -> Vec<Event> {
        self.asks(body.clone()).unwrap_or_else(|refusal| panic!("{body}: {refusal:?}"))
    }

    fn code(&mut self, body: Value) -> String {
        self.asks(body).unwrap_err().code
    }

    fn session(&self, n: u64, lasts_ms: i64) -> Value {
        json!({"type": "start_session", "session": format!("s{n}"), "hash": hash(n),
               "expires_at": Timestamp::from_millis(self.now_ms + lasts_ms)})
    }

    fn token(&self, n: u64) -> Value {
        json!({"type": "issue_token", "token": format!("t{n}"), "name": "till", "hash": hash(n + 1_000_000)})
    }
}

fn hash(n: u64) -> String {
    format!("{n:064x}")
}

fn colleague() -> Actor {
    Actor::new(ActorKind::Agent, "bob")
}

#[test]
fn a_user_is_made_once_with_each_role_once() {
    let mut world = World::new();
    assert_eq!(world.code(json!({"type": "rename", "name": "Ann"})), "unknown_user");
    assert!(!world.state.exists(), "a command to a wrong key makes no user");
    let twice = json!([{"role": "agent", "scope": "own"}, {"role": "agent", "scope": "all"}]);
    assert_eq!(world.code(json!({"type": "create", "name": "Ann", "grants": twice})), "invalid");
    world.does(json!({"type": "create", "name": " Ann ", "grants": [{"role": "agent", "scope": "own"}]}));
    assert_eq!((world.state.name.as_str(), world.state.granted().len()), ("Ann", 1));
    assert_eq!(world.code(json!({"type": "create", "name": "Ann"})), "exists");
    world.does(json!({"type": "rename", "name": "Anna"}));
    assert_eq!(world.code(json!({"type": "rename", "name": "Anna"})), "unchanged");
    for bad in ["", "  ", "a\u{1b}[2J", &"x".repeat(201)] {
        assert_eq!(world.code(json!({"type": "rename", "name": bad})), "invalid", "{bad:?}");
    }
}

#[test]
fn roles_are_given_with_their_reach_and_taken() {
    let mut world = World::ann();
    let grant = |scope: Value| json!({"type": "grant", "role": "supervisor", "scope": scope});
    world.does(grant(json!({"queues": ["tax", "vip"]})));
    assert_eq!(world.code(grant(json!({"queues": ["vip", "tax"]}))), "unchanged");
    world.does(grant(json!("my_queues")));
    assert_eq!(world.state.grants[&Role::Supervisor], Scope::MyQueues, "one reach for each role");
    world.does(json!({"type": "revoke", "role": "supervisor"}));
    assert_eq!(world.code(json!({"type": "revoke", "role": "supervisor"})), "unchanged");
    let many: Vec<String> = (0..101).map(|n| format!("q{n}")).collect();
    for bad in [json!({"queues": []}), json!({"queues": ["a b"]}), json!({"queues": many})] {
        assert_eq!(world.code(grant(bad.clone())), "invalid", "{bad}");
    }
    let own = json!({"type": "grant", "role": "administrator", "scope": "own"});
    assert_eq!(world.code(own), "invalid", "it would be an administrator of nothing");
}

#[test]
fn the_last_administrator_stays_one() {
    let (revoke, disable) = (json!({"type": "revoke", "role": "administrator"}), json!({"type": "disable"}));
    let mut world = World::ann();
    world.administrators = vec!["ann".to_owned()];
    assert_eq!(world.code(revoke.clone()), "last_administrator");
    assert_eq!(world.code(disable.clone()), "last_administrator");
    world.does(json!({"type": "revoke", "role": "agent"}));
    world.administrators = vec!["ann".to_owned(), "zoe".to_owned()];
    world.does(revoke);
    world.administrators = vec!["zoe".to_owned()];
    world.does(disable);
    assert!(!world.state.is_enabled(), "whoever is none can always be disabled");
}

#[test]
fn a_password_is_kept_as_a_slow_hash_and_a_new_one_ends_sessions() {
    let mut world = World::ann();
    let set = |hash: &str, keep: Option<&str>| json!({"type": "set_password", "hash": hash, "keep": keep});
    for bad in ["korrekt pferd", "$2b$12$bcrypt", &format!("$argon2id${}", "x".repeat(600))] {
        assert_eq!(world.code(set(bad, None)), "invalid", "{bad}");
    }
    world.does(world.session(1, DAY_MS));
    world.does(world.session(2, DAY_MS));
    world.does(set("$argon2id$1", Some("s2")));
    assert_eq!(world.state.sessions.keys().collect::<Vec<_>>(), ["s2"], "the one in which it was asked goes on");
    world.asks_as(&colleague(), set("$argon2id$2", Some("s2"))).unwrap();
    assert!(world.state.sessions.is_empty(), "nobody keeps somebody else's");
    world.does(json!({"type": "set_password"}));
    assert_eq!((world.state.password.clone(), world.code(json!({"type": "set_password"}))), (None, "unchanged".into()));
}

#[test]
fn sessions_end_by_themselves_when_asked_and_when_there_are_too_many() {
    let mut world = World::ann();
    for n in 0..MAX_SESSIONS as u64 {
        world.now_ms += 1;
        assert_eq!(world.does(world.session(n, DAY_MS)).len(), 1);
    }
    world.now_ms += 1;
    let events = world.does(world.session(100, DAY_MS));
    assert!(matches!(&events[0], Event::SessionEnded { session, .. } if session == "s0"), "the oldest: {events:?}");
    assert_eq!((events.len(), world.state.sessions.len()), (2, MAX_SESSIONS));
    assert_eq!(world.code(world.session(100, DAY_MS)), "exists");
    world.does(json!({"type": "end_session", "session": "s100"}));
    assert_eq!(world.code(json!({"type": "end_session", "session": "s100"})), "unknown_session");
    world.now_ms += DAY_MS;
    world.does(json!({"type": "rename", "name": "Anna"}));
    assert!(world.state.sessions.is_empty(), "what has expired is dropped by whatever happens next");
    for lasts_ms in [0, -1, 91 * DAY_MS] {
        assert_eq!(world.code(world.session(200, lasts_ms)), "invalid", "{lasts_ms}");
    }
    let mut short = world.session(200, DAY_MS);
    short["hash"] = "abc".into();
    assert_eq!(world.code(short), "invalid");
}

#[test]
fn tokens_are_for_known_permissions_and_never_ended_by_others() {
    let mut world = World::ann();
    for n in 0..MAX_TOKENS as u64 {
        world.does(world.token(n));
    }
    assert_eq!(world.code(world.token(100)), "too_many", "none is ended for it: a program may depend on it");
    world.does(json!({"type": "revoke_token", "token": "t7"}));
    assert_eq!(world.code(json!({"type": "revoke_token", "token": "t7"})), "unknown_token");
    let with = |field: &str, value: Value| {
        let mut token = world.token(100);
        token[field] = value;
        token
    };
    let bad = [
        with("scopes", json!([])),
        with("scopes", json!(["file.burn"])),
        with("expires_at", json!(Timestamp::from_millis(world.now_ms))),
        with("token", json!("a b")),
        with("hash", json!(hash(1).to_uppercase().replace('0', "G"))),
        with("name", json!("")),
    ];
    let mut good = with("scopes", json!(["file.read"]));
    good["expires_at"] = json!(Timestamp::from_millis(world.now_ms + 1));
    for bad in bad {
        assert_eq!(world.code(bad.clone()), "invalid", "{bad}");
    }
    world.does(good);
    world.now_ms += 1;
    assert!(world.state.public(Timestamp::from_millis(world.now_ms)).tokens.iter().any(|token| token.expired));
    world.does(world.token(101));
    assert!(!world.state.tokens.contains_key("t100"), "it had expired");
}

#[test]
fn whoever_is_disabled_is_out_at_once() {
    let mut world = World::ann();
    world.does(world.session(1, DAY_MS));
    world.does(world.token(1));
    world.does(json!({"type": "disable", "reason": "left"}));
    assert!(world.state.sessions.is_empty() && !world.state.is_enabled());
    assert_eq!(world.code(world.session(2, DAY_MS)), "disabled");
    assert_eq!(world.code(world.token(2)), "disabled");
    assert_eq!(world.code(json!({"type": "disable"})), "unchanged");
    world.does(json!({"type": "enable"}));
    assert_eq!((world.state.is_enabled(), world.state.tokens.len()), (true, 1));
    assert_eq!(world.code(json!({"type": "enable"})), "unchanged");
}

#[test]
fn nobody_begins_a_session_or_uses_a_power_for_somebody_else() {
    let mut world = World::ann();
    let power = json!({"type": "use_power", "permission": "conversation.take_over", "command": "c-1",
                       "on": {"aggregate": "conversation", "key": "abc"}});
    let session = world.session(1, DAY_MS);
    let ann = Actor::new(ActorKind::Agent, "ann");
    for (actor, body) in [(&ann, &session), (&colleague(), &session), (&colleague(), &power)] {
        assert_eq!(world.asks_as(actor, body.clone()).unwrap_err().code, "not_allowed", "{actor:?} {body}");
    }
    let before = world.state.clone();
    assert!(matches!(&world.asks_as(&ann, power).unwrap()[..], [Event::PowerUsed { .. }]));
    assert_eq!(world.state, before, "it is in the log, and needs no memory");
    for kind in [ActorKind::Bot, ActorKind::Scheduler, ActorKind::Timer, ActorKind::Customer] {
        let refused = world.asks_as(&Actor::new(kind, "x"), json!({"type": "rename", "name": "X"}));
        assert_eq!(refused.unwrap_err().code, "not_allowed", "{kind:?}");
    }
}

#[test]
fn what_people_see_of_a_user_has_no_hash() {
    let mut world = World::ann();
    world.does(json!({"type": "set_password", "hash": "$argon2id$secret"}));
    world.does(world.session(1, DAY_MS));
    world.does(world.token(1));
    let shown = serde_json::to_string(&world.state.public(Timestamp::from_millis(world.now_ms))).unwrap();
    for secret in ["argon2id", &hash(1), &hash(1_000_001), "hash"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("\"s1\"") && shown.contains("\"till\""));
}

fn anything() -> impl Strategy<Value = Value> {
    let n = 0..60_u64;
    prop_oneof![
        (n.clone(), -2_i64..95).prop_map(|(n, days)| json!({"type": "start_session", "n": n, "days": days})),
        (n.clone(), -2_i64..95).prop_map(|(n, days)| json!({"type": "issue_token", "n": n, "days": days})),
        n.clone().prop_map(|n| json!({"type": "end_session", "session": format!("s{n}")})),
        n.prop_map(|n| json!({"type": "revoke_token", "token": format!("t{n}")})),
        Just(json!({"type": "set_password", "hash": "$argon2id$x", "keep": "s1"})),
        Just(json!({"type": "disable"})),
        Just(json!({"type": "enable"})),
        Just(json!({"type": "grant", "role": "administrator", "scope": "all"})),
        Just(json!({"type": "revoke", "role": "administrator"})),
        Just(json!({"type": "pass", "ms": DAY_MS})),
    ]
}

proptest! {
    #[test]
    fn lists_stay_bounded_and_nobody_gets_in_who_is_out(steps in proptest::collection::vec(anything(), 1..300)) {
        let mut world = World::ann();
        world.administrators = vec!["ann".to_owned()];
        for mut step in steps {
            if step["type"] == "pass" {
                world.now_ms += step["ms"].as_i64().unwrap();
                continue;
            }
            if let Some(days) = step["days"].as_i64() {
                let n = step["n"].as_u64().unwrap();
                let mut whole = if step["type"] == "issue_token" { world.token(n) } else { world.session(n, 0) };
                whole["expires_at"] = json!(Timestamp::from_millis(world.now_ms + days * DAY_MS));
                step = whole;
            }
            let before = world.state.clone();
            let done = world.asks(step);
            let now = Timestamp::from_millis(world.now_ms);
            if done.is_err() {
                prop_assert_eq!(&before, &world.state);
                continue;
            }
            prop_assert!(world.state.is_administrator(), "there is no other");
            prop_assert!(world.state.sessions.len() <= MAX_SESSIONS && world.state.tokens.len() <= MAX_TOKENS);
            prop_assert!(world.state.sessions.values().all(|session| now < session.expires_at));
            prop_assert!(world.state.tokens.values().all(|token| token.is_valid(now)));
            let again: State = serde_json::from_slice(&serde_json::to_vec(&world.state).unwrap()).unwrap();
            prop_assert_eq!(&again, &world.state);
        }
    }
}
