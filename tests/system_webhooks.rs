//! Webhooks of a real `kefu serve`: whatever the receiver does, and however often kefu is killed, every commit that is wanted
//! arrives, in order, under an id that does not change, signed.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/http.rs"]
mod http;
#[path = "support/nats.rs"]
mod nats;
mod support;

use http::{Reply, Request, Server};
use kefu::journal::Journal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use support::{
    eventually,
    kefu::{External, Kefu},
    load::Load,
    log::read_log,
    skip,
};

/// What the webhook wants.
const WANTED: [&str; 2] = ["session_opened", "message_received"];

/// A receiver that takes nothing at first, and is in all sorts of bad moods afterwards.
struct Receiver {
    server: Server,
    /// What it took, in that order.
    taken: Arc<Mutex<Vec<Request>>>,
    well: Arc<AtomicBool>,
}

impl Receiver {
    async fn start(port: u16) -> Self {
        let (taken, well) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (takes, is_well) = (Arc::clone(&taken), Arc::clone(&well));
        let server = Server::start_on(port, move |number, request| {
            let mood = if is_well.load(Ordering::SeqCst) { 1 } else { number % 13 };
            match mood {
                0 => Reply::Whole(500, "", "not today".to_owned()),
                3 => Reply::Whole(429, "Retry-After: 2\r\n", String::new()),
                6 => Reply::Closed,
                9 => Reply::Whole(302, "Location: http://127.0.0.1:9/elsewhere\r\n", String::new()),
                // Only once: it costs all the patience that the sender has.
                11 if number == 11 => Reply::Silence,
                _ => {
                    takes.lock().unwrap().push(request.clone());
                    Reply::Whole(200, "", String::new())
                }
            }
        });
        Self { server: server.await, taken, well }
    }

    fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap().clone()
    }

    /// The commits that it took, each once, in the order in which they came first.
    fn seqs(&self, since: usize) -> Vec<u64> {
        let mut seqs: Vec<u64> = Vec::new();
        for request in &self.taken()[since..] {
            if let Some(seq) = request.body["seq"].as_u64().filter(|seq| !seqs.contains(seq)) {
                seqs.push(seq);
            }
        }
        seqs
    }
}

/// The commits that the webhook wants.
async fn wanted(kefu: &Kefu) -> Vec<(u64, Value)> {
    let log = read_log(&kefu.journal().await).await;
    let wants = |events: &[Value]| events.iter().any(|event| WANTED.iter().any(|wanted| event["type"] == *wanted));
    let found = log.iter().filter(|logged| logged.commit.tenant == "demo" && wants(&logged.commit.events));
    found.map(|logged| (logged.seq, serde_json::to_value(&logged.commit).unwrap())).collect()
}

fn seqs(commits: &[(u64, Value)]) -> Vec<u64> {
    commits.iter().map(|(seq, _)| *seq).collect()
}

/// Computes each signature anew, in another language; what was wrong with it.
fn verified_in_python(requests: &[Request], secret: &str) -> Option<Result<(), String>> {
    const PROGRAM: &str = r#"
import hashlib, hmac, json, sys
secret, count = sys.argv[1].encode(), 0
for line in sys.stdin:
    request = json.loads(line)
    signed = hmac.new(secret, f"{request['timestamp']}.".encode() + request["body"].encode(), hashlib.sha256).hexdigest()
    assert "v1=" + signed in request["signature"].split(","), request
    assert not hmac.compare_digest(signed, hmac.new(secret, request["body"].encode(), hashlib.sha256).hexdigest())
    count += 1
print(count)
"#;
    let program = std::env::var("KEFU_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(program);
    command.args(["-c", PROGRAM, secret]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut lines = String::new();
    for request in requests {
        let header = |name| request.header(name).unwrap_or_default();
        let (timestamp, signature) = (header("Kefu-Timestamp"), header("Kefu-Signature"));
        lines += &json!({ "timestamp": timestamp, "signature": signature, "body": request.text }).to_string();
        lines.push('\n');
    }
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let right = output.status.success() && said == requests.len().to_string();
    Some(if right { Ok(()) } else { Err(format!("{said} {}", String::from_utf8_lossy(&output.stderr))) })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_wanted_commit_arrives_in_order_while_the_receiver_fails_and_kefu_is_killed() {
    let mut kefu = Kefu::start_with(&[("KEFU_WEBHOOKS_PRIVATE", "true")]).await;
    let before = wanted(&kefu).await.len();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/v1/hook");
    let added = kefu.run(&[
        "webhook",
        "add",
        "crm",
        &url,
        "--event",
        WANTED[0],
        "--event",
        WANTED[1],
        "--aggregate",
        "conversation",
    ]);
    let secret = added["secret"].as_str().unwrap().to_owned();

    // Nobody listens there: it says so, and waits.
    let load = Load::new("web", 6, 3);
    let journal = kefu.journal().await;
    load.publish(&journal, 0, 1).await;
    let failing = eventually("a webhook that fails", async || {
        let state = kefu.run(&["webhook", "show", "crm"])["state"]["failing"].clone();
        (state["attempts"].as_u64()? >= 2).then_some(state)
    });
    assert!(failing.await["error"].as_str().unwrap().contains("cannot be reached"));

    let receiver = Receiver::start(port).await;
    for round in 1..4 {
        load.publish(&kefu.journal().await, round, round + 1).await;
        let so_far = receiver.taken().len();
        eventually("some deliveries", async || (receiver.taken().len() > so_far + 2).then_some(())).await;
        kefu.kill();
        kefu.spawn();
        kefu.ready().await;
    }
    load.publish(&kefu.journal().await, 4, 6).await;
    receiver.well.store(true, Ordering::SeqCst);

    let commits = eventually("all wanted commits", async || {
        let wanted = wanted(&kefu).await.split_off(before);
        (receiver.seqs(0) == seqs(&wanted) && wanted.len() >= 36).then_some(wanted)
    })
    .await;
    let taken = receiver.taken();
    let by_seq: BTreeMap<u64, Value> = commits.into_iter().collect();
    let mut ids: BTreeMap<u64, String> = BTreeMap::new();
    for request in receiver.server.requests() {
        let seq = request.body["seq"].as_u64().unwrap();
        let id = request.header("Kefu-Delivery").unwrap().to_owned();
        assert_eq!(request.body["delivery"], id.as_str());
        assert_eq!(*ids.entry(seq).or_insert_with(|| id.clone()), id, "the id of a commit's delivery changed");
        assert_eq!(request.body["commit"]["commit_id"], by_seq[&seq]["commit_id"], "seq {seq}");
        assert_eq!(request.body["commit"]["events"], by_seq[&seq]["events"], "seq {seq}");
    }
    let repeated =
        receiver.server.requests().iter().filter(|request| request.header("Kefu-Attempt") != Some("1")).count();
    assert!(repeated > 3, "the receiver's moods were felt: {repeated}");
    match verified_in_python(&taken, &secret) {
        Some(verified) => verified.unwrap(),
        None => skip("the signature in another language", "there is no Python"),
    }
    assert!(matches!(verified_in_python(&taken[..1], "another secret"), None | Some(Err(_))));

    // Told again on demand, under the same ids; signed with both secrets while one takes over.
    let so_far = receiver.taken().len();
    let first = *by_seq.keys().next().unwrap();
    kefu.run(&["webhook", "replay", "crm", "--from", &first.to_string()]);
    let all: Vec<u64> = by_seq.keys().copied().collect();
    eventually("all of it again", async || (receiver.seqs(so_far) == all).then_some(())).await;
    for request in &receiver.taken()[so_far..] {
        assert_eq!(request.header("Kefu-Delivery").unwrap(), ids[&request.body["seq"].as_u64().unwrap()]);
    }
    let rotated = kefu.run(&["webhook", "secret", "rotate", "crm"]);
    let tested = kefu.run(&["webhook", "test", "crm"]);
    assert_eq!((&tested["ok"], &tested["status"]), (&json!(true), &json!(200)));
    let last = receiver.taken().pop().unwrap();
    assert_eq!((&last.body["test"], &last.body["delivery"]), (&json!(true), &tested["delivery"]));
    for secret in [secret.as_str(), rotated["secret"].as_str().unwrap()] {
        assert!(matches!(verified_in_python(std::slice::from_ref(&last), secret), None | Some(Ok(()))), "{secret}");
    }
    let shown = kefu.run(&["webhook", "show", "crm"]);
    assert!(shown["state"]["failing"].is_null() && !shown.to_string().contains("kefu_w_"), "{shown}");

    // Disabled, it misses nothing; removed, it is told nothing, and its secret is gone.
    kefu.run(&["webhook", "disable", "crm"]);
    let so_far = receiver.taken().len();
    load.publish(&kefu.journal().await, 6, 7).await;
    kefu.run(&["webhook", "enable", "crm"]);
    eventually("what was missed", async || (receiver.seqs(so_far).len() == load.threads).then_some(())).await;
    kefu.run(&["webhook", "remove", "crm"]);
    eventually("the end of its note", async || {
        kefu.journal().await.note("webhook.demo.crm").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_goes_on_where_the_one_that_delivered_was_killed() {
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let allowed = [("KEFU_WEBHOOKS_PRIVATE", "true")];
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let mut kefu = Kefu::spawn_on_with(&external, &allowed);
        kefu.ready().await;
        nodes.push(kefu);
    }
    let receiver = Receiver::start(free_port()).await;
    receiver.well.store(true, Ordering::SeqCst);
    nodes[0].run(&["webhook", "add", "crm", &receiver.server.url, "--event", "message_received"]);
    let load = Load::new("web", 5, 5);
    let journal = nodes[0].journal().await;
    let holder = async || {
        eventually("somebody who delivers", async || {
            journal.leases().await.unwrap_or_default().get("webhooks-demo").cloned()
        })
        .await
    };
    let (mut published, mut hits) = (0, 0);
    // Which of the two delivers follows from their names, which they get when they start: until it was that one.
    for victim in [0, 1].into_iter().cycle().take(12) {
        load.publish(&journal, published, published + 1).await;
        published += 1;
        let delivers = holder().await;
        nodes[victim].kill();
        load.publish(&journal, published, published + 1).await;
        published += 1;
        let enough = load.threads * published;
        eventually("all of it", async || (receiver.seqs(0).len() == enough).then_some(())).await;
        hits += usize::from(holder().await != delivers);
        nodes[victim].spawn();
        nodes[victim].ready().await;
        if hits > 0 {
            break;
        }
    }
    assert!(hits > 0, "one of the two was the one that delivers");
    let seqs = receiver.seqs(0);
    assert!(seqs.is_sorted(), "{seqs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_into_the_servers_own_network_and_wrong_addresses_are_refused_with_what_to_change() {
    let kefu = Kefu::start().await;
    let server = Server::start(|_, _| Reply::Whole(200, "", String::new())).await;
    for (url, part) in [
        ("crm.example/hook", "is no address such as https://"),
        ("ftp://crm.example/hook", "begins neither with https:// nor with http://"),
        ("https://me:secret@crm.example/hook", "leave them out"),
    ] {
        let output = kefu.command().args(["webhook", "add", "crm", url]).output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complained.contains(part), "{url}: {complained}");
    }
    assert!(kefu.journal().await.notes("webhook").await.unwrap().is_empty(), "nothing is left of what was refused");
    let port = server.url.rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    for (name, host) in [("address", "127.0.0.1"), ("name", "localhost"), ("number", "2130706433"), ("six", "[::1]")] {
        kefu.run(&["webhook", "add", name, &format!("http://{host}:{port}/")]);
        let output = kefu.command().args(["webhook", "test", name]).output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(
            complained.contains("private network") && complained.contains("webhooks.private_addresses"),
            "{complained}"
        );
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}
