//! The wall of an earlier moment over HTTP and on the command line: what every role was shown live is what it is shown of that
//! moment later, and no more; who may not see the wall, and whose it is not, is refused.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use kefu_events::{Timestamp, key::conversation_key};
use reqwest::Client;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use support::{eventually, kefu::Kefu, pause};

/// Users with their roles, and whether they are agents.
const USERS: [(&str, &str, bool); 6] = [
    ("olga", "agent=own", true),
    ("quinn", "agent=my-queues", true),
    ("sam", "supervisor=support", true),
    ("vera", "supervisor=vip", false),
    ("mona", "administrator=all", false),
    ("robot", "service=all", false),
];

struct World {
    kefu: Kefu,
    http: Client,
    tokens: BTreeMap<String, String>,
}

/// What one user is shown: waiting conversations by queue, agents, and how many wait in each queue.
#[derive(Debug, PartialEq)]
struct Seen {
    waiting: BTreeSet<(String, String)>,
    agents: Value,
    queues: BTreeMap<String, u64>,
}

fn texts(rows: &Value, names: [&str; 2]) -> BTreeSet<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.as_array().unwrap().iter().map(|row| (text(row, names[0]), text(row, names[1]))).collect()
}

impl Seen {
    fn of(waiting: &Value, agents: &Value, queues: &Value) -> Self {
        let queues = queues.as_array().unwrap().iter();
        let queues =
            queues.map(|queue| (queue["queue"].as_str().unwrap().to_owned(), queue["waiting"].as_u64().unwrap()));
        Self { waiting: texts(waiting, ["key", "queue"]), agents: agents.clone(), queues: queues.collect() }
    }
}

impl World {
    async fn start() -> Self {
        // Whoever was first has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kefu = Kefu::start().await;
        kefu.run(&["settings", "set", r#"queues=["support", "vip"]"#, "bot.answer_deadline_s=600"]);
        let mut world = Self { kefu, http: Client::new(), tokens: BTreeMap::new() };
        for (user, role, is_agent) in USERS {
            if is_agent {
                world.kefu.run(&["agent", "add", user, "--name", user, "--queue", "support"]);
            }
            world.user("demo", user, role);
        }
        world.kefu.run(&["tenant", "create", "other"]);
        world.user("other", "eve", "administrator=all");
        world
    }

    fn user(&mut self, tenant: &str, user: &str, role: &str) {
        self.kefu.run(&["user", "add", user, "--tenant", tenant, "--role", role, "--no-password"]);
        let token = self.kefu.run(&["user", "token", "add", user, "--tenant", tenant, "--name", "test"]);
        self.tokens.insert(user.to_owned(), token["secret"].as_str().unwrap().to_owned());
    }

    async fn get(&self, user: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}/api/v1{path}", self.kefu.http_url()));
        let response = request.bearer_auth(&self.tokens[user]).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn found(&self, user: &str, path: &str) -> Value {
        let (status, answer) = self.get(user, path).await;
        assert_eq!(status, 200, "{path} for {user}: {answer}");
        answer
    }

    async fn command(&self, user: &str, path: &str, command: Value) {
        let request = self.http.post(format!("{}/api/v1{path}/commands", self.kefu.http_url()));
        let request = request.bearer_auth(&self.tokens[user]).json(&json!({ "command": command }));
        let response = request.send().await.unwrap();
        let status = response.status();
        assert_eq!(status, 200, "{path}: {}", response.text().await.unwrap());
    }

    async fn live(&self, user: &str) -> Seen {
        let waiting = self.found(user, "/conversations?inbox=unassigned").await;
        let (agents, queues) = (self.found(user, "/agents").await, self.found(user, "/queues").await);
        Seen::of(&waiting["items"], &agents["items"], &queues["items"])
    }

    async fn then(&self, user: &str, at: Timestamp) -> Seen {
        let wall = self.found(user, &format!("/wall?at={at}")).await;
        assert_eq!(wall["at"], json!(at));
        Seen::of(&wall["waiting"], &wall["agents"], &wall["queues"])
    }

    /// A customer writes, and is to wait in a queue.
    async fn waits(&self, name: &str, queue: &str) -> String {
        self.kefu.run(&["send", "--channel", "web", "--from", name, "--name", name, "--wait", "0s", "hello"]);
        let key = conversation_key("web", name);
        eventually("the conversation", async || {
            (self.get("mona", &format!("/conversations/{key}")).await.0 == 200).then_some(())
        })
        .await;
        self.command("mona", &format!("/conversations/{key}"), json!({"type": "request_handoff", "queue": queue}))
            .await;
        key
    }
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_shown_of_a_moment_what_they_were_shown_then_and_no_more() {
    let world = World::start().await;
    let viewers = ["olga", "quinn", "sam", "vera", "mona"];
    let mut recorded: Vec<(Timestamp, BTreeMap<&str, Seen>)> = Vec::new();
    let mut moved = String::new();
    for step in 0..7 {
        let expected = match step {
            0 => (0, 0),
            1 => {
                world.waits("alice", "support").await;
                (1, 0)
            }
            2 => {
                world.waits("bob", "vip").await;
                (1, 1)
            }
            3 => {
                moved = world.waits("carol", "support").await;
                (2, 1)
            }
            4 => {
                world.command("olga", "/agents/olga", json!({"type": "set_status", "status": "away"})).await;
                (2, 1)
            }
            5 => {
                world.command("mona", &format!("/conversations/{moved}"), json!({"type": "take_over"})).await;
                (1, 1)
            }
            _ => {
                let to = json!({"type": "transfer", "to": {"queue": "vip"}});
                world.command("mona", &format!("/conversations/{moved}"), to).await;
                (1, 2)
            }
        };
        eventually("the floor has heard of it", async || {
            let queues = world.live("mona").await.queues;
            let waiting = |queue| queues.get(queue).copied().unwrap_or_default();
            ((waiting("support"), waiting("vip")) == expected).then_some(())
        })
        .await;
        let mut seen = BTreeMap::new();
        for viewer in viewers {
            seen.insert(viewer, world.live(viewer).await);
        }
        recorded.push((now(), seen));
        pause().await;
    }
    for (step, (at, seen)) in recorded.iter().enumerate() {
        for viewer in viewers {
            let mut then = world.then(viewer, *at).await;
            // Who may not read it any more is not shown it.
            let withheld = matches!(viewer, "sam" | "quinn") && matches!(step, 3 | 4);
            if withheld {
                assert!(then.waiting.insert((moved.clone(), "support".to_owned())), "step {step}: {viewer}");
            }
            assert_eq!(then, seen[viewer], "step {step}, {viewer}");
        }
    }
    let (at, seen) = &recorded[3];
    let of = |viewer: &str| seen[viewer].waiting.len();
    assert_eq!(viewers.map(of), [0, 2, 2, 1, 3], "own, my queues, a queue each, all");

    // A customer's name is told of what an agent had, to those who may read it.
    let (taken, _) = &recorded[5];
    let wall = world.found("mona", &format!("/wall?at={taken}")).await;
    assert_eq!(wall["totals"], json!({"agents": 3, "waiting": 2}));
    assert_eq!(world.found("mona", &format!("/wall?at={at}&limit=1")).await["waiting"].as_array().unwrap().len(), 1);

    refuses(&world, *at).await;
    command_line(&world, *at, seen["mona"].waiting.len());
}

/// Who may not, what cannot be, and another tenant.
async fn refuses(world: &World, at: Timestamp) {
    let (status, answer) = world.get("robot", &format!("/wall?at={at}")).await;
    assert_eq!((status, &answer["error"]["permission"]), (403, &json!("agent.read")), "{answer}");
    for (path, words) in [
        ("/wall?at=2001-02-03T04:05:06Z", "there was no wall before"),
        ("/wall?at=2199-02-03T04:05:06Z", "in the future"),
        ("/wall?at=yesterday", "at"),
        ("/wall?limit=0", "limit"),
        ("/wall?moment=1", "moment"),
    ] {
        let (status, answer) = world.get("mona", path).await;
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer.to_string().contains(words), "{path}: {answer}");
    }
    // The other tenant began later than that, and has nothing now.
    let foreign = world.found("eve", "/wall").await;
    assert_eq!((&foreign["agents"], &foreign["waiting"], &foreign["queues"]), (&json!([]), &json!([]), &json!([])));
    let (status, answer) = world.get("eve", &format!("/wall?at={at}")).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("alice") && !answer.to_string().contains("olga"), "{answer}");
}

fn command_line(world: &World, at: Timestamp, waiting: usize) {
    let at = at.to_string();
    let wall = world.kefu.run(&["wall", "--at", &at]);
    assert_eq!((wall["at"].as_str(), wall["waiting"].as_array().unwrap().len()), (Some(at.as_str()), waiting));
    let run = |arguments: &[&str]| {
        let output = world.kefu.command().args(arguments).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, said, _) = run(&["wall", "--at", &at]);
    assert!(said.contains("web:alice") && said.contains("olga") && said.contains("as of"), "{said}");
    let (_, said, _) = run(&["queue", "--at", &at, "--json"]);
    let queues: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(queues.iter().map(|queue| queue["waiting"].as_u64().unwrap()).sum::<u64>(), 3, "{said}");
    let (_, said, _) = run(&["agent", "list", "--at", &at, "--status", "offline"]);
    assert!(said.contains("olga"), "{said}");
    let (_, said, _) = run(&["agent", "list", "--at", &at, "--status", "away"]);
    assert!(!said.contains("olga"), "{said}");
    let (succeeded, _, complained) = run(&["wall", "--at", "2001-02-03"]);
    assert!(!succeeded && complained.contains("there was no wall before"), "{complained}");
}
