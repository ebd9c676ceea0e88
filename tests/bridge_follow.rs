//! A client in another language, written from the schemas alone, follows a real kefu: its socket is cut after every event, it
//! moves to another server process and back, and kefu is killed; it has each event once, and the same state every time.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use kefu_events::key::conversation_key;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use support::{
    kefu::{External, Kefu},
    skip,
};

const END: &str = "that is all";

/// Python with the library, or why there is none.
fn python() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("KEFU_TEST_PYTHON");
    let program = named.map_or_else(|| root.join(".tools/venv/bin/python"), PathBuf::from);
    let imported = Command::new(&program).args(["-c", "import websockets"]).stderr(Stdio::null()).status();
    match imported {
        Ok(status) if status.success() => Ok(program),
        _ => Err(format!("{} has no websockets: run scripts/setup, or set KEFU_TEST_PYTHON", program.display())),
    }
}

fn follow(python: &Path, urls: &[String], token: &str, cut: &str) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/follower.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--token", token, "--until", END, "--cut", cut]);
    for url in urls {
        command.args(["--url", url]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a follower has at the end; it has noticed nothing missing and nothing twice.
async fn end_of(follower: Child) -> Value {
    let output = tokio::task::spawn_blocking(|| follower.wait_with_output()).await.unwrap().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    serde_json::from_str(&said).unwrap()
}

/// What one customer and one agent do with each other, in some forty commits.
fn talk(kefu: &Kefu, customer: &str) {
    let send = |text: &str| kefu.run(&["send", "--channel", "web", "--from", customer, "--wait", "0s", text]);
    let conversation = format!("web:{customer}");
    send("human please");
    eventually_queued(kefu, customer);
    let act = |words: &[&str]| {
        let mut all = vec!["act", &conversation];
        all.extend(words);
        kefu.run(&all);
    };
    act(&["offer", "--agent", "anna"]);
    act(&["accept", "--as", "agent:anna"]);
    for number in 0..12 {
        send(&format!("question {number}"));
        act(&["reply", &format!("answer {number}"), "--as", "agent:anna"]);
    }
    act(&["tag", "vip"]);
    act(&["wrap-up", "--as", "agent:anna"]);
    act(&["disposition", "solved", "--as", "agent:anna"]);
    act(&["close", "--as", "agent:anna"]);
}

/// Its message is a command's forerunner: a conversation must be there before anything can be asked of it.
fn eventually_queued(kefu: &Kefu, customer: &str) {
    let key = conversation_key("web", customer);
    for _ in 0..500 {
        let listed = kefu.command().args(["--json", "show", &key]).output().unwrap();
        if String::from_utf8_lossy(&listed.stdout).contains("queued") {
            return;
        }
    }
    panic!("{customer} does not wait");
}

fn supervisor(kefu: &Kefu) -> String {
    kefu.run(&["user", "add", "sam", "--role", "supervisor=all", "--no-password"]);
    let token = kefu.run(&["user", "token", "add", "sam", "--name", "follower"]);
    token["secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_schemas_that_is_cut_after_every_event_and_moves_between_servers_misses_nothing() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip("the follower", &reason),
    };
    let first = Kefu::start().await;
    let run = first.run_file();
    let external = External { url: run.nats, user: run.user.unwrap(), password: run.password.unwrap() };
    let mut second = Kefu::spawn_on(&external);
    second.ready().await;
    let token = supervisor(&first);
    let count = if support::long() { 6 } else { 3 };
    for customer in 0..count {
        talk(&first, &format!("customer-{customer}"));
    }
    first.run(&["act", "web:customer-0", "note", END]);
    let urls = [first.socket_url(), second.socket_url()];
    let seen = end_of(follow(&python, &urls, &token, "each")).await;
    let commits = seen["commits"].as_u64().unwrap();
    assert!(commits >= 30 * count, "{commits} commits");
    assert!(seen["connections"].as_u64().unwrap() > commits, "cut once after each of them: {seen}");
    let often = end_of(follow(&python, &urls, &token, "every:3")).await;
    assert_eq!(often["state"], seen["state"]);
    println!("follower: {commits} commits, {} connections", seen["connections"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_misses_nothing_when_kefu_is_killed_again_and_again_beneath_it() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip("the follower beneath which kefu is killed", &reason),
    };
    let mut kefu = Kefu::start().await;
    let token = supervisor(&kefu);
    let urls = [kefu.socket_url()];
    let live = follow(&python, &urls, &token, "none");
    for round in 0..3 {
        talk(&kefu, &format!("customer-{round}"));
        kefu.kill();
        kefu.spawn();
        kefu.ready().await;
    }
    kefu.run(&["act", "web:customer-0", "note", END]);
    let live = end_of(live).await;
    let afterwards = end_of(follow(&python, &urls, &token, "none")).await;
    assert_eq!(live["state"], afterwards["state"]);
    assert_eq!(live["commits"], afterwards["commits"]);
    assert!(live["connections"].as_u64().unwrap() > 1, "it was cut off: {live}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_broken_frames_and_one_that_is_too_large_harm_nobody() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skip("broken frames", &reason),
    };
    let mut kefu = Kefu::start().await;
    let token = supervisor(&kefu);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/fuzzer.py");
    let mut command = Command::new(python);
    command.arg(script).args(["--url", &kefu.socket_url(), "--token", &token, "--frames", "10000"]);
    let fuzzer = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let figures = end_of(fuzzer).await;
    assert_eq!(figures["frames"], 10_000);
    assert!(figures["answers"].as_u64().unwrap() > 1_000, "what is wrong is told: {figures}");
    assert!(kefu.ended().is_none(), "the same process still serves");
    assert!(!kefu.last_words().contains("panicked"));
}
