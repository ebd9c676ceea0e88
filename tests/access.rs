//! Accounts on a real engine with a real nats-server: signing in and out, tokens, revocation, policies.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::future::join_all;
use kefu::{
    access::{
        Access, AccountError, AuthError, Credential, Grant, NewToken, Permission, Principal, Resource, Role, Scope,
        SignInError, password,
    },
    engine::{Engine, EngineOptions},
    journal::{Journal, NatsJournal, Outgoing},
    settings::demo_settings,
};
use kefu_events::{AggregateKind, CommandResult, Timestamp, V, user::UserCommand};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "korrekt pferd batterie";

/// An engine with two tenants, each with a user Ann.
struct Office {
    server: nats::TestServer,
    journal: NatsJournal,
    engine: Engine,
    access: Access,
    asked: AtomicU32,
}

impl Office {
    async fn open() -> Self {
        let server = nats::TestServer::start().await;
        let journal = server.journal().await;
        let store = server.data.path().join("store");
        let options = EngineOptions::new(journal.clone(), journal.subjects().clone(), journal.partitions(), store);
        let engine = Engine::start(options).unwrap();
        let access = Access::new(engine.store().clone(), engine.projector().progress(), journal.clone());
        let office = Self { server, journal, engine, access, asked: AtomicU32::new(0) };
        let mut progress = office.engine.projector().progress();
        tokio::time::timeout(PATIENCE, progress.wait_for(|progress| progress.is_ready())).await.unwrap().unwrap();
        for tenant in ["demo", "other"] {
            office.does(tenant, "settings", "tenant", json!({"type": "set", "value": demo_settings()})).await;
            let grants = json!([{"role": "agent", "scope": "my_queues"}]);
            office.does(tenant, "user", "ann", json!({"type": "create", "name": "Ann", "grants": grants})).await;
            let hash = password::hash("ann", PASSWORD).unwrap();
            office.does(tenant, "user", "ann", json!({"type": "set_password", "hash": hash})).await;
        }
        office
    }

    async fn asks(&self, tenant: &str, aggregate: &str, key: &str, body: Value) -> CommandResult {
        let id = format!("ask-{}", self.asked.fetch_add(1, Ordering::Relaxed));
        let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
            "actor": {"kind": "system", "id": "test"}, "at": "2026-11-22T00:00:00.000Z"});
        for (name, value) in body.as_object().unwrap() {
            command[name] = value.clone();
        }
        let outgoing = Outgoing::Command {
            tenant: tenant.to_owned(),
            source: "system".to_owned(),
            key: key.to_owned(),
            id,
            payload: Bytes::from(command.to_string()),
        };
        let result = self.journal.request_command(outgoing, PATIENCE).await.unwrap().expect("a result in time");
        let result: CommandResult = serde_json::from_slice(&result).unwrap();
        let seq = result.seq.unwrap();
        let mut projected = self.engine.store().watch_projected();
        tokio::time::timeout(PATIENCE, projected.wait_for(|projected| *projected >= seq)).await.unwrap().unwrap();
        result
    }

    async fn does(&self, tenant: &str, aggregate: &str, key: &str, body: Value) {
        let result = self.asks(tenant, aggregate, key, body.clone()).await;
        assert!(result.ok, "{body}: {result:?}");
    }

    async fn signed_in(&self, tenant: &str, user: &str) -> (String, Principal) {
        let signed_in = self.access.sign_in(tenant, user, PASSWORD, "127.0.0.1").await.unwrap();
        (signed_in.secret, signed_in.principal)
    }

    fn administrator(&self) -> Principal {
        Principal {
            tenant: "demo".to_owned(),
            user: "root".to_owned(),
            name: "Root".to_owned(),
            grants: vec![Grant { role: Role::Administrator, scope: Scope::All }],
            credential: Credential::Session("admitted".to_owned()),
            only: None,
            expires_at: None,
            queues: BTreeSet::new(),
        }
    }

    /// All events of a user, as the log has them.
    async fn history(&self, tenant: &str, user: &str) -> Vec<Value> {
        let commits = self.journal.history(&self.journal.subjects().events(tenant, "user", user), 0).await.unwrap();
        let events = commits.iter().flat_map(|record| {
            let mut commit: Value = serde_json::from_slice(&record.payload).unwrap();
            serde_json::from_value::<Vec<Value>>(commit["events"].take()).unwrap()
        });
        events.collect()
    }

    async fn close(self) {
        self.engine.stop().await.unwrap();
    }
}

fn conversation<'a>(queues: &'a [String], agents: &'a [String]) -> Resource<'a> {
    Resource::Conversation { queues, agents }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_is_known_at_once_and_signs_out() {
    let office = Office::open().await;
    let (secret, ann) = office.signed_in("demo", "ann").await;
    assert_eq!((ann.tenant.as_str(), ann.user.as_str(), ann.name.as_str()), ("demo", "ann", "Ann"));
    assert!(ann.has(Role::Agent) && matches!(ann.credential, Credential::Session(_)));
    assert_eq!(office.access.authenticate(&secret).unwrap(), ann);
    let (other_secret, other) = office.signed_in("other", "ann").await;
    assert_eq!(office.access.authenticate(&other_secret).unwrap().tenant, "other", "each secret has its tenant");
    assert_ne!(other.credential, ann.credential);
    for nobody in ["", "kefu_s_", &secret[1..], &format!("{secret}0"), &secret.to_uppercase(), "é"] {
        assert_eq!(office.access.authenticate(nobody), Err(AuthError::Unknown), "{nobody}");
    }

    office.access.sign_out(&ann).await.unwrap();
    assert_eq!(office.access.authenticate(&secret), Err(AuthError::Unknown));
    assert_eq!(office.access.again(&ann), Err(AuthError::Unknown));
    assert!(office.access.authenticate(&other_secret).is_ok());
    let log = serde_json::to_string(&office.history("demo", "ann").await).unwrap();
    assert!(log.contains("session_started") && log.contains("session_ended"), "{log}");
    for hidden in [&secret, &secret["kefu_s_".len()..], PASSWORD] {
        assert!(!log.contains(hidden), "no secret is in the log");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_whoever_guesses_and_whether_the_user_exists_or_not() {
    let office = Office::open().await;
    for (tenant, user) in [("demo", "ann"), ("demo", "nobody"), ("nowhere", "ann"), ("demo", "../ann")] {
        // All at once, so that no time passes between the tries.
        let from = |n: usize| format!("10.1.{}.{n}", user.len());
        let tries = (0..12).map(async |n| {
            let password = if n == 11 { PASSWORD.to_owned() } else { format!("wrong password {n}") };
            office.access.sign_in(tenant, user, &password, &from(n)).await.unwrap_err()
        });
        let refused = join_all(tries).await;
        let wrong = refused.iter().filter(|error| **error == SignInError::Wrong).count();
        let throttled = refused.iter().filter(|error| matches!(error, SignInError::Throttled { .. })).count();
        assert_eq!((wrong, throttled), (5, 7), "{tenant}/{user}, even with the right password: {refused:?}");
    }
    // Another user is not kept waiting by that; but one address is, whoever it tries.
    assert!(office.access.sign_in("other", "ann", PASSWORD, "10.9.9.9").await.is_ok());
    let tries = (0..30).map(async |n| {
        office.access.sign_in("demo", &format!("u{n}"), "wrong password", "10.8.8.8").await.unwrap_err()
    });
    let throttled = join_all(tries).await;
    let throttled = throttled.iter().filter(|error| matches!(error, SignInError::Throttled { .. })).count();
    assert_eq!(throttled, 10);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_or_gets_another_password_is_out_at_once() {
    let office = Office::open().await;
    let root = office.administrator();
    let (secret, ann) = office.signed_in("demo", "ann").await;
    let disable = UserCommand::Disable { v: V, reason: None };
    let refused = office.access.change(&ann, "ann", disable.clone(), None, None).await;
    assert!(matches!(refused, Err(AccountError::Denied(denied)) if denied.permission == Permission::ManageUser));
    let result = office.access.change(&root, "ann", disable, None, None).await.unwrap();
    assert!(result.ok, "{result:?}");
    assert_eq!(office.access.authenticate(&secret), Err(AuthError::Unknown));
    let refused = office.access.sign_in("demo", "ann", PASSWORD, "127.0.0.1").await;
    assert_eq!(refused.unwrap_err(), SignInError::Disabled, "whoever knows the password is told why");
    let refused = office.access.sign_in("demo", "ann", "another password", "127.0.0.1").await;
    assert_eq!(refused.unwrap_err(), SignInError::Wrong);

    office.access.change(&root, "ann", UserCommand::Enable { v: V }, None, None).await.unwrap();
    let (first, _) = office.signed_in("demo", "ann").await;
    let (second, ann) = office.signed_in("demo", "ann").await;
    let new = "ein anderes langes wort";
    for present in [None, Some("not the present one")] {
        let refused = office.access.set_password(&ann, "ann", present, new, "127.0.0.1").await;
        assert_eq!(refused.unwrap_err(), AccountError::SignIn(SignInError::Wrong));
    }
    let short = office.access.set_password(&ann, "ann", Some(PASSWORD), "short", "127.0.0.1").await;
    assert!(matches!(short, Err(AccountError::Password(_))));
    let set = office.access.set_password(&ann, "ann", Some(PASSWORD), new, "127.0.0.1").await.unwrap();
    assert!(set.ok);
    assert_eq!(office.access.authenticate(&first), Err(AuthError::Unknown));
    assert!(office.access.authenticate(&second).is_ok(), "the session in which it was asked goes on");
    assert!(office.access.set_password(&ann, "bob", None, new, "127.0.0.1").await.is_err(), "that is for managers");
    assert!(office.access.set_password(&root, "ann", None, PASSWORD, "127.0.0.1").await.unwrap().ok);
    assert_eq!(office.access.authenticate(&second), Err(AuthError::Unknown));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_scoped_expire_and_are_revoked() {
    let office = Office::open().await;
    let (_, ann) = office.signed_in("demo", "ann").await;
    let scopes: BTreeSet<String> = ["conversation.read", "file.read", "token.own"].map(str::to_owned).into();
    let new = |scopes: Option<&BTreeSet<String>>, ends_ms: Option<i64>| NewToken {
        name: "till".to_owned(),
        scopes: scopes.cloned(),
        expires_at: ends_ms.map(|ends_ms| Timestamp::from_millis(chrono::Utc::now().timestamp_millis() + ends_ms)),
    };
    let issued = office.access.issue_token(&ann, "ann", new(Some(&scopes), Some(600_000))).await.unwrap();
    let till = office.access.authenticate(&issued.secret).unwrap();
    assert_eq!((&till.only, &till.credential), (&Some(scopes.clone()), &Credential::Token(issued.id.clone())));
    let may = |permission| office.access.check(&till, permission, &Resource::Tenant);
    assert!(may(Permission::ReadConversation).is_ok());
    assert_eq!(may(Permission::WorkConversation).unwrap_err().permission, Permission::WorkConversation);
    assert!(office.access.check(&ann, Permission::WorkConversation, &Resource::Tenant).is_ok());

    // It makes no token that may more than itself, and none for others; and it is not its user.
    for too_much in [None, Some(["conversation.work".to_owned()].into())] {
        let refused = office.access.issue_token(&till, "ann", new(too_much.as_ref(), None)).await;
        assert!(matches!(refused, Err(AccountError::Refused(refusal)) if refusal.code == "not_allowed"));
    }
    let less = office.access.issue_token(&till, "ann", new(Some(&["file.read".to_owned()].into()), None)).await;
    assert!(office.access.authenticate(&less.unwrap().secret).is_ok());
    assert!(matches!(office.access.issue_token(&ann, "bob", new(None, None)).await, Err(AccountError::Denied(_))));
    let refused = office.access.set_password(&till, "ann", Some(PASSWORD), "ein anderes wort", "127.0.0.1").await;
    assert!(matches!(refused, Err(AccountError::Denied(_))));
    let past = office.access.issue_token(&ann, "ann", new(None, Some(-1_000))).await;
    assert!(matches!(past, Err(AccountError::Refused(refusal)) if refusal.code == "invalid"));

    // Nobody brings a hash.
    let hash = "0".repeat(64);
    let body = json!({"type": "start_session", "v": 1, "session": "s", "hash": hash, "expires_at": "2027-01-01T00:00:00.000Z"});
    let command: UserCommand = serde_json::from_value(body).unwrap();
    let refused = office.access.change(&office.administrator(), "ann", command, None, None).await;
    assert!(matches!(refused, Err(AccountError::Refused(_))));

    let brief = office.access.issue_token(&ann, "ann", new(None, Some(400))).await.unwrap();
    let until = async {
        loop {
            match office.access.authenticate(&brief.secret) {
                Err(AuthError::Expired) => return,
                Err(AuthError::Unknown) => panic!("nothing has happened to the user that would drop it"),
                // waits because a token's end is a matter of time
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, until).await.unwrap();

    assert!(office.access.revoke_token(&ann, "ann", &issued.id).await.unwrap().ok);
    assert_eq!(office.access.authenticate(&issued.secret), Err(AuthError::Unknown));
    assert_eq!(office.access.again(&till), Err(AuthError::Unknown));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_queues_and_policies_take_effect_at_once() {
    let office = Office::open().await;
    let (secret, ann) = office.signed_in("demo", "ann").await;
    let (tax, bob) = (["tax".to_owned()], ["bob".to_owned()]);
    let theirs = conversation(&tax, &bob);
    let reads = |who: &Principal| office.access.check(who, Permission::ReadConversation, &theirs).is_ok();
    assert!(!reads(&ann) && ann.queues.is_empty(), "she is no agent yet");
    office.does("demo", "agent", "ann", json!({"type": "register", "name": "Ann"})).await;
    office.does("demo", "agent", "ann", json!({"type": "set_skills", "queues": ["tax"]})).await;
    let ann = office.access.again(&ann).unwrap();
    assert!(reads(&ann) && office.access.authenticate(&secret).unwrap() == ann);
    let take = |who: &Principal| office.access.check(who, Permission::TakeConversation, &theirs);
    assert_eq!(
        take(&ann).unwrap_err().to_string().split(':').next(),
        Some("ann lacks the permission conversation.take_over here")
    );

    let grant = UserCommand::Grant { v: V, role: Role::Supervisor, scope: Scope::Queues(["tax".to_owned()].into()) };
    office.access.change(&office.administrator(), "ann", grant, None, None).await.unwrap();
    assert!(take(&ann).is_err(), "as whom she was known then");
    let ann = office.access.again(&ann).unwrap();
    assert!(take(&ann).is_ok());
    let manages = |who: &Principal, agent| {
        office.access.check(who, Permission::ManageAgent, &Resource::Agent { key: agent }).is_ok()
    };
    office.does("demo", "agent", "bob", json!({"type": "register", "name": "Bob"})).await;
    assert!(!manages(&ann, "bob"));
    office.does("demo", "agent", "bob", json!({"type": "set_skills", "queues": ["law", "tax"]})).await;
    assert!(manages(&ann, "bob"), "they share a queue");

    let mut checker = office.access.checker(ann.clone());
    assert!(checker.may(Permission::TakeConversation, &theirs));
    let policy = "forbid (principal, action == Action::\"conversation.take_over\", resource);";
    let set =
        |policy: &str| json!({"type": "set", "value": {"policies": [{"name": "nobody takes", "policy": policy}]}});
    let wrong = office.asks("demo", "settings", "access", set("forbid (principal);")).await.refusal.unwrap();
    assert!(wrong.code == "invalid" && wrong.message.starts_with("policies[0].policy: "), "{wrong:?}");
    office.does("demo", "settings", "access", set(policy)).await;
    assert!(take(&ann).is_err() && !checker.may(Permission::TakeConversation, &theirs));
    assert!(reads(&ann) && checker.may(Permission::ReadConversation, &theirs));
    let mut other = ann.clone();
    other.tenant = "other".to_owned();
    assert!(take(&other).is_ok(), "a tenant's policies are its own");
    office.does("demo", "settings", "access", json!({"type": "set", "value": {"policies": []}})).await;
    assert!(take(&ann).is_ok() && checker.may(Permission::TakeConversation, &theirs));

    office
        .access
        .record_power(&ann, Permission::TakeConversation, AggregateKind::Conversation, "abc", "c-1")
        .await
        .unwrap();
    office
        .access
        .record_power(&ann, Permission::TakeConversation, AggregateKind::Conversation, "abc", "c-1")
        .await
        .unwrap();
    office
        .access
        .record_power(&ann, Permission::ReadConversation, AggregateKind::Conversation, "abc", "c-2")
        .await
        .unwrap();
    let history = office.history("demo", "ann").await;
    let powers: Vec<&Value> = history.iter().filter(|event| event["type"] == "power_used").collect();
    assert_eq!(powers.len(), 1, "each once, and no reading: {powers:?}");
    assert_eq!((&powers[0]["permission"], &powers[0]["on"]["key"]), (&json!("conversation.take_over"), &json!("abc")));
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_keeps_an_administrator() {
    let office = Office::open().await;
    let all = json!({"type": "grant", "role": "administrator", "scope": "all"});
    office.does("demo", "user", "ann", all.clone()).await;
    let revoke = json!({"type": "revoke", "role": "administrator"});
    let refused = office.asks("demo", "user", "ann", revoke.clone()).await.refusal.unwrap();
    assert_eq!(refused.code, "last_administrator");
    assert_eq!(
        office.asks("demo", "user", "ann", json!({"type": "disable"})).await.refusal.unwrap().code,
        refused.code
    );
    office.does("other", "user", "bob", json!({"type": "create", "name": "Bob"})).await;
    office.does("other", "user", "bob", all.clone()).await;
    let still = office.asks("demo", "user", "ann", revoke.clone()).await.refusal.unwrap();
    assert_eq!(still.code, "last_administrator", "another tenant's does not count");
    office.does("demo", "user", "bob", json!({"type": "create", "name": "Bob"})).await;
    office.does("demo", "user", "bob", all).await;
    office.does("demo", "user", "ann", revoke.clone()).await;
    assert_eq!(office.asks("demo", "user", "bob", revoke).await.refusal.unwrap().code, "last_administrator");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_user_is_made_once_by_whoever_has_the_code() {
    let office = Office::open().await;
    let access = &office.access;
    assert_eq!(access.setup_code("demo"), None, "there are users");
    assert_eq!(access.setup_code("nowhere"), None, "there is no such tenant");
    office.does("fresh", "settings", "tenant", json!({"type": "set", "value": demo_settings()})).await;
    let outdated = access.setup_code("fresh").unwrap();
    let code = access.setup_code("fresh").unwrap();
    let set_up =
        async |code: &str, user: &str, password: &str| access.set_up(code, user, "Ada", password, "127.0.0.1").await;
    let refused = |error: AccountError| match error {
        AccountError::Refused(refusal) => refusal.code,
        other => other.to_string(),
    };
    for wrong in [&outdated, "", "kefu_f_0"] {
        assert_eq!(refused(set_up(wrong, "ada", PASSWORD).await.unwrap_err()), "wrong_code");
    }
    assert!(matches!(set_up(&code, "ada", "short").await.unwrap_err(), AccountError::Password(_)));
    assert_eq!(refused(set_up(&code, "a b", PASSWORD).await.unwrap_err()), "invalid");
    // A mistake does not use the code up; two at once do not both succeed.
    let (one, other) = tokio::join!(set_up(&code, "ada", PASSWORD), set_up(&code, "eve", PASSWORD));
    let (signed_in, late) = match one {
        Ok(signed_in) => (signed_in, other),
        Err(_) => (other.unwrap(), one),
    };
    assert_eq!(refused(late.unwrap_err()), "wrong_code");
    assert!(signed_in.principal.has(Role::Administrator) && signed_in.principal.tenant == "fresh");
    assert!(access.authenticate(&signed_in.secret).is_ok());
    assert_eq!(refused(set_up(&code, "eve", PASSWORD).await.unwrap_err()), "wrong_code");
    assert_eq!(access.setup_code("fresh"), None);
    let tokens = [&outdated, &code].map(|code| access.authenticate(code));
    assert_eq!(tokens, [Err(AuthError::Unknown), Err(AuthError::Unknown)], "a code is no session");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_user_that_was_made_by_half_is_made_whole_by_the_same_code() {
    let office = Office::open().await;
    office.does("fresh", "settings", "tenant", json!({"type": "set", "value": demo_settings()})).await;
    let code = office.access.setup_code("fresh").unwrap();
    // As where the bus failed between the two commands.
    let half = json!({"type": "create", "name": "Ada", "grants": [{"role": "administrator", "scope": "all"}]});
    office.does("fresh", "user", "ada", half).await;
    let set_up = async |user: &str| office.access.set_up(&code, user, "Ada", PASSWORD, "127.0.0.1").await;
    assert!(matches!(set_up("eve").await.unwrap_err(), AccountError::Refused(refusal) if refusal.code == "exists"));
    let signed_in = set_up("ada").await.unwrap();
    assert!(signed_in.principal.has(Role::Administrator));
    assert!(set_up("ada").await.is_err(), "the code is good once");
    office.close().await;
}

/// Not a test of speed: prints what it measures, for whoever asks.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures: cargo test --release --test access -- --ignored --nocapture"]
async fn figures() {
    use std::time::Instant;
    let office = Office::open().await;
    let began = Instant::now();
    let (secret, ann) = office.signed_in("demo", "ann").await;
    println!("sign_in: {:?}", began.elapsed());
    let began = Instant::now();
    password::verify(Some(&password::hash("ann", PASSWORD).unwrap()), PASSWORD);
    println!("argon2id, two of them: {:?}", began.elapsed());
    let each = |what: &str, count: u32, mut run: Box<dyn FnMut(u32) + '_>| {
        let began = Instant::now();
        (0..count).for_each(&mut *run);
        println!("{what}: {:?} each", began.elapsed() / count);
    };
    each("authenticate", 100_000, Box::new(|_| drop(office.access.authenticate(&secret).unwrap())));
    each("again", 100_000, Box::new(|_| drop(office.access.again(&ann).unwrap())));
    let (queue, agents) = (["support".to_owned()], ["bob".to_owned()]);
    let on = conversation(&queue, &agents);
    each(
        "check, decided before",
        100_000,
        Box::new(|_| drop(office.access.check(&ann, Permission::ReadConversation, &on))),
    );
    each(
        "check, anew",
        2_000,
        Box::new(|n| {
            let queues = [format!("q{n}")];
            drop(office.access.check(&ann, Permission::ReadConversation, &conversation(&queues, &agents)));
        }),
    );
    let mut checker = office.access.checker(ann.clone());
    each("checker, decided before", 1_000_000, Box::new(|_| drop(checker.check(Permission::ReadConversation, &on))));
    office.close().await;
}
