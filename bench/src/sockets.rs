//! The bridge under many sockets: how long from a commit to the frame that tells of it, whether each is told, and what an idle
//! socket costs. Beside it an echo server on the same libraries, at the same number of frames per second: what the machine and
//! the libraries take without kefu.
//!
//! Some more supervisors do not read while there is load: they are cut off, come back with `resume`, and must have all in the end.
//!
//! Agents have one conversation each, and see that one; some supervisors see all. So an event has one frame and one more
//! for each supervisor.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits, TENANT},
    load::histogram,
    report,
};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use clap::Args;
use futures::{SinkExt, StreamExt};
use hdrhistogram::Histogram;
use kefu::{
    access::secret::{hash_of, new_secret},
    journal::{NatsJournal, Outgoing},
};
use kefu_events::key::conversation_key;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpStream, sync::watch, task::JoinSet};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

const CHANNEL: &str = "web";
/// Past this something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct Options {
    /// Sockets in all
    #[arg(long, default_value_t = 2_000)]
    sockets: usize,
    /// Of these, supervisors', who see everything
    #[arg(long, default_value_t = 5)]
    supervisors: usize,
    /// Supervisors more, who do not read while there is load
    #[arg(long, default_value_t = 3)]
    slow: usize,
    /// Events per second
    #[arg(long, default_value_t = 1_000.0)]
    rate: f64,
    /// Seconds of load
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { sockets: 2_000, supervisors: 5, slow: 3, rate: 1_000.0, seconds: 20 }
    }
}

/// What all clients have seen.
struct Seen {
    commits: AtomicU64,
    gaps: AtomicU64,
    connected: AtomicUsize,
    latency_us: Mutex<Histogram<u64>>,
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let bus = Bus::start(world).await?;
    let engine = Engine::start(world, &bus, &Limits::default()).await?;
    let none = json!({"prompt_after_s": 0, "close_after_s": 0});
    let texts = json!({"welcome": "", "handoff": "", "accepted": "", "satisfaction_request": ""});
    let document =
        json!({"name": "Bench", "texts": texts, "bot": {"enabled": false}, "inactivity": none, "queues": ["q"]});
    engine.set_tenant(&bus, document).await?;
    let agents = options.sockets - options.supervisors;
    let mut tokens = Vec::new();
    for n in 0..options.supervisors {
        tokens.push(user(&bus.journal, &format!("boss{n}"), "supervisor", "all").await?);
    }
    for batch in (0..agents).collect::<Vec<_>>().chunks(200) {
        let mut adding = JoinSet::new();
        for n in batch.iter().copied() {
            let journal = bus.journal.clone();
            adding.spawn(async move {
                let token =
                    user(&journal, &format!("agent{n}"), "agent", "own").await.map_err(|error| error.to_string())?;
                let key = publish(&journal, n, 0).await.map_err(|error| error.to_string())?;
                // The message may come later than the command, in another queue: it is asked for again, under another id.
                let mut attempt = 0;
                loop {
                    let id = format!("take-{n}-{attempt}");
                    let taken = command("conversation", &key, &id, &format!("agent{n}"), json!({"type": "take_over"}));
                    match ask(&journal, taken).await.map_err(|error| error.to_string()) {
                        Err(error) if attempt < 100 && error.contains("\"not_found\"") => attempt += 1,
                        taken => break taken?,
                    }
                }
                Ok::<String, String>(token)
            });
        }
        while let Some(added) = adding.join_next().await {
            tokens.push(added??);
        }
    }
    world.progress.say(format!("{} users are there, each agent with a conversation", tokens.len()));
    let before = engine.resident_bytes()?;
    let seen = Arc::new(Seen {
        commits: AtomicU64::new(0),
        gaps: AtomicU64::new(0),
        connected: AtomicUsize::new(0),
        latency_us: Mutex::new(histogram()?),
    });
    let url = format!("ws://{}/api/v1/socket", engine.address());
    let mut clients = JoinSet::new();
    for token in tokens {
        clients.spawn(follow(url.clone(), token, Arc::clone(&seen)));
        // The limit of a machine's half-open connections is none of ours.
        while clients.len() > seen.connected.load(Ordering::Relaxed) + 64 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    until("all sockets", || seen.connected.load(Ordering::Relaxed) == options.sockets).await?;
    let idle_bytes = engine.resident_bytes()?.saturating_sub(before) as f64 / options.sockets as f64;
    world.progress.say(format!("{} sockets, {idle_bytes:.0} bytes each", options.sockets));

    let count = (options.rate * options.seconds as f64) as u64;
    let (calm, is_calm) = watch::channel(false);
    let mut slow = JoinSet::new();
    for n in 0..options.slow {
        let token = user(&bus.journal, &format!("slow{n}"), "supervisor", "all").await?;
        slow.spawn(lag(url.clone(), token, count, is_calm.clone(), Arc::clone(&seen)));
    }
    until("the slow ones", || seen.connected.load(Ordering::Relaxed) == options.sockets + options.slow).await?;
    let frames = count * (1 + options.supervisors as u64);
    let already = seen.commits.load(Ordering::Relaxed);
    load(&bus.journal, agents, count, options.rate).await?;
    let all = until("all frames", || seen.commits.load(Ordering::Relaxed) >= already + frames).await;
    let told = seen.commits.load(Ordering::Relaxed) - already;
    all.map_err(|error| format!("{error}: {told} of {frames}"))?;
    calm.send_replace(true);
    let (mut cut, mut missed_by_slow) = (0, 0);
    while let Some(done) = slow.join_next().await {
        let (was_cut, has) = done??;
        (cut, missed_by_slow) = (cut + usize::from(was_cut), missed_by_slow + count.saturating_sub(has));
    }
    let latency = lock(&seen.latency_us).clone();
    let gaps = seen.gaps.load(Ordering::Relaxed);
    clients.abort_all();
    engine.stop().await?;
    bus.stop().await;
    let echo = echo(options.sockets, options.rate * (1 + options.supervisors) as f64, options.seconds.min(10)).await?;
    let p99 = latency.value_at_quantile(0.99) as f64 / 1000.0;
    Ok(json!({
        "sockets": options.sockets,
        "supervisors": options.supervisors,
        "events_per_s": options.rate,
        "frames": told,
        "frames_missed": frames.saturating_sub(told),
        "gaps": gaps,
        "slow": { "clients": options.slow, "cut": cut, "missed": missed_by_slow },
        "bytes_per_idle_socket": report::rounded(idle_bytes),
        "commit_to_frame_ms": quantiles(&latency),
        "echo_ms": quantiles(&echo),
        "goals": [
            report::at_most("sockets: p99 from commit to frame, ms", p99, 100.0),
            report::at_most("sockets: frames missed", frames.saturating_sub(told) as f64, 0.0),
            report::at_most("sockets: messages missed by who was cut off", missed_by_slow as f64, 0.0),
        ],
    }))
}

/// A user with a role; the secret of a token.
async fn user(journal: &NatsJournal, user: &str, role: &str, scope: &str) -> Result<String> {
    let secret = new_secret("kefu_").map_err(|error| error.to_string())?;
    let create = json!({"type": "create", "name": user, "grants": [{"role": role, "scope": scope}]});
    let issue = json!({"type": "issue_token", "token": format!("{user}-token"), "name": "bench",
        "hash": hash_of(&secret).unwrap_or_default()});
    for (n, body) in [create, issue].into_iter().enumerate() {
        ask(journal, operator("user", user, &format!("{user}-{n}"), body)).await?;
    }
    Ok(secret)
}

async fn ask(journal: &NatsJournal, command: Outgoing) -> Result<()> {
    let answer = journal.request_command(command, PATIENCE).await?.ok_or("no answer")?;
    let answer: Value = serde_json::from_slice(&answer)?;
    if answer["ok"] == true { Ok(()) } else { Err(answer.to_string().into()) }
}

/// A message of the customer of this agent; the conversation's key.
async fn publish(journal: &NatsJournal, agent: usize, number: u64) -> Result<String> {
    let thread = format!("customer-{agent}");
    let key = conversation_key(CHANNEL, &thread);
    let body = json!({"id": number.to_string(), "channel": CHANNEL, "thread": thread, "sender": {"id": thread},
        "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "Where is my order?"}});
    journal.publish_inbound(TENANT, CHANNEL, &key, &number.to_string(), Bytes::from(body.to_string())).await?;
    Ok(key)
}

async fn load(journal: &NatsJournal, agents: usize, count: u64, rate: f64) -> Result<()> {
    let began = Instant::now();
    let mut publishing = JoinSet::new();
    for n in 0..count {
        tokio::time::sleep_until((began + Duration::from_secs_f64(n as f64 / rate)).into()).await;
        let journal = journal.clone();
        let agent = usize::try_from(n).unwrap_or_default() % agents;
        publishing
            .spawn(async move { publish(&journal, agent, n + 1).await.map(drop).map_err(|error| error.to_string()) });
        while let Some(done) = publishing.try_join_next() {
            done??;
        }
    }
    while let Some(done) = publishing.join_next().await {
        done??;
    }
    Ok(())
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(url: &str, token: &str, resume: &Value) -> Option<Socket> {
    let mut request = url.into_client_request().ok()?;
    request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().ok()?);
    let (mut socket, _) = connect_async(request).await.ok()?;
    socket.send(Message::text(resume.to_string())).await.ok()?;
    Some(socket)
}

/// A client that does not read until it is calm: whether it was cut off, and how many messages it has when it has come back as often
/// as it took.
async fn lag(
    url: String,
    token: String,
    count: u64,
    mut calm: watch::Receiver<bool>,
    seen: Arc<Seen>,
) -> std::result::Result<(bool, u64), String> {
    let (mut resume, mut has, mut connections) = (json!({"type": "resume"}), 0, 0);
    while has < count && connections < 20 {
        let mut socket = connect(&url, &token, &resume).await.ok_or("a slow client gets no connection")?;
        connections += 1;
        while has < count {
            let next = tokio::time::timeout(PATIENCE, socket.next()).await.map_err(|_| format!("{has} of {count}"))?;
            let Some(Ok(message)) = next else { break };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            match frame["type"].as_str().unwrap_or_default() {
                "reset" if connections == 1 => {
                    resume = json!({"type": "resume", "epoch": frame["epoch"], "last_seq": frame["seq"]});
                    seen.connected.fetch_add(1, Ordering::Relaxed);
                    calm.wait_for(|calm| *calm).await.map_err(|error| error.to_string())?;
                }
                "reset" => return Err(format!("it had to begin anew, with {has} of {count}")),
                "commit" => {
                    has += u64::from(frame["commit"]["events"][0]["type"] == "message_received");
                    resume["last_seq"] = frame["seq"].clone();
                }
                "error" => break,
                _ => {}
            }
        }
    }
    Ok((connections > 1, has))
}

/// One client: begins with what is there, and then counts what it is told.
async fn follow(url: String, token: String, seen: Arc<Seen>) {
    let Some(mut socket) = connect(&url, &token, &json!({"type": "resume"})).await else { return };
    let mut last = 0;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let Ok(frame) = serde_json::from_str::<Value>(&text) else { continue };
        let seq = frame["seq"].as_u64().unwrap_or_default();
        match frame["type"].as_str().unwrap_or_default() {
            "reset" => {
                seen.connected.fetch_add(1, Ordering::Relaxed);
            }
            "commit" => {
                if frame["prev"].as_u64() != Some(last) {
                    seen.gaps.fetch_add(1, Ordering::Relaxed);
                }
                let is_message = frame["commit"]["events"][0]["type"] == "message_received";
                if is_message && let Ok(at) = frame["commit"]["at"].as_str().unwrap_or_default().parse() {
                    let at: kefu_events::Timestamp = at;
                    let at_us = u128::try_from(at.as_millis()).unwrap_or_default() * 1_000;
                    lock(&seen.latency_us).saturating_record(now.saturating_sub(at_us) as u64);
                    seen.commits.fetch_add(1, Ordering::Relaxed);
                }
            }
            "heartbeat" => {}
            _ => continue,
        }
        last = seq;
    }
}

/// An echo server on the same libraries, and as many sockets that send as many frames.
async fn echo(sockets: usize, rate: f64, seconds: u64) -> Result<Histogram<u64>> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(|| App::new().route("/", web::get().to(echoes))).workers(2).disable_signals();
            let server = server.listen(listener)?.run();
            let _ = tell.send(server.handle());
            server.await
        });
    });
    let server = told.recv()?;
    let latency = Arc::new(Mutex::new(histogram()?));
    let per_socket = Duration::from_secs_f64(sockets as f64 / rate);
    let mut clients = JoinSet::new();
    for n in 0..sockets {
        let (url, latency) = (url.clone(), Arc::clone(&latency));
        let offset = per_socket.mul_f64(n as f64 / sockets as f64);
        clients.spawn(async move {
            let Ok((mut socket, _)) = connect_async(url).await else { return };
            let mut due = Instant::now() + Duration::from_secs(2) + offset;
            let end = due + Duration::from_secs(seconds);
            // About as long as a commit of a message.
            let text = "x".repeat(600);
            while due < end {
                tokio::time::sleep_until(due.into()).await;
                let began = Instant::now();
                if socket.send(Message::text(text.clone())).await.is_err() {
                    return;
                }
                let Some(Ok(_)) = socket.next().await else { return };
                lock(&latency).saturating_record(began.elapsed().as_micros() as u64);
                due += per_socket;
            }
        });
    }
    while clients.join_next().await.is_some() {}
    server.stop(false).await;
    let latency = lock(&latency).clone();
    Ok(latency)
}

async fn echoes(request: HttpRequest, body: web::Payload) -> std::result::Result<HttpResponse, actix_web::Error> {
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(async move {
        while let Some(Ok(actix_ws::Message::Text(text))) = messages.next().await {
            if session.text(text).await.is_err() {
                return;
            }
        }
    });
    Ok(response)
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !is_so() {
        if began.elapsed() > PATIENCE {
            return Err(format!("not seen within {PATIENCE:?}: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn operator(aggregate: &str, key: &str, id: &str, body: Value) -> Outgoing {
    as_actor(aggregate, key, id, ("system", "bench"), body)
}

fn command(aggregate: &str, key: &str, id: &str, agent: &str, body: Value) -> Outgoing {
    as_actor(aggregate, key, id, ("agent", agent), body)
}

fn as_actor(aggregate: &str, key: &str, id: &str, actor: (&str, &str), body: Value) -> Outgoing {
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": actor.0, "id": actor.1}, "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().into_iter().flatten() {
        command[name] = value.clone();
    }
    Outgoing::Command {
        tenant: TENANT.to_owned(),
        source: actor.0.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
    }
}

fn quantiles(histogram: &Histogram<u64>) -> Value {
    let ms = |quantile: f64| report::rounded(histogram.value_at_quantile(quantile) as f64 / 1000.0);
    json!({"p50": ms(0.5), "p99": ms(0.99), "max": report::rounded(histogram.max() as f64 / 1000.0)})
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
