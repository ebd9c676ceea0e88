//! `kefu serve`: starting, stopping, health, and what the doctor says.

use crate::program::{Serving, run, serve};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
};

fn get(kefu: &Serving, path: &str) -> String {
    let address = kefu.ready["http"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_signal_ends_it_well_and_the_next_start_goes_on() {
    let kefu = Serving::start();
    let pid = kefu.ready["pid"].as_u64();
    kefu.say("Hello", &[]);
    let written: Value =
        serde_json::from_slice(&std::fs::read(kefu.path().join("run.json")).unwrap()).unwrap();
    assert_eq!(written["pid"].as_u64(), pid);

    // A second one on the same directory is refused, and does not disturb the first.
    let second = serve(kefu.path(), &[]).wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    kefu.run(&["show", "cli:alice"]).exits(0);

    kefu.signal(Signal::SIGTERM);
    let (code, data) = kefu.wait();
    assert_eq!(code, Some(0));
    assert!(!data.path().join("run.json").exists());
    run(data.path(), &["show", "cli:alice"]).exits(4);

    let kefu = Serving::start_in(data, &[]);
    let shown = kefu.ask(&["show", "cli:alice"]).json();
    assert_eq!(shown["state"]["sessions"], 1);
    assert_eq!(kefu.ask(&["settings", "history"]).lines().len(), 1, "the demo is made once");
    kefu.signal(Signal::SIGINT);
    assert_eq!(kefu.wait().0, Some(0));
}

#[test]
fn after_a_kill_the_next_start_goes_on_and_nothing_leads_astray() {
    let kefu = Serving::start();
    kefu.say("Hello", &[]);
    kefu.signal(Signal::SIGKILL);
    let (code, data) = kefu.wait();
    assert_eq!(code, None);
    let ran = run(data.path(), &["tenant", "list", "--json"]).exits(4);
    assert_eq!(ran.error_code(), "not_running");
    let kefu = Serving::start_in(data, &[]);
    assert_eq!(kefu.ask(&["show", "cli:alice"]).json()["state"]["sessions"], 1);
}

#[test]
fn health_and_metrics_are_on_http() {
    let kefu = Serving::start();
    kefu.say("Hello", &[]);
    assert!(get(&kefu, "/healthz").starts_with("HTTP/1.1 200"));
    let ready = get(&kefu, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("\"partitions_owned\":16"), "{ready}");
    let metrics = get(&kefu, "/metrics");
    for line in ["kefu_ready 1", "kefu_partitions_owned 16", "kefu_nats_connected 1", "kefu_inputs_total{"] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(get(&kefu, "/").contains("ready"));
}

#[test]
fn without_the_demo_there_is_no_tenant() {
    let kefu = Serving::start_in(tempfile::tempdir().unwrap(), &["--no-demo", "--partitions", "3"]);
    assert!(kefu.ask(&["tenant", "list"]).stdout.is_empty());
    assert!(get(&kefu, "/readyz").contains("\"partitions\":3"));
    let rejected = kefu.run(&["send", "--from", "alice", "hi", "--json"]).exits(3);
    assert_eq!(rejected.error_code(), "unknown_tenant");
}

#[test]
fn the_doctor_finds_nothing_wrong_where_nothing_is() {
    let kefu = Serving::start();
    let found = kefu.ask(&["doctor"]).json();
    let names: Vec<&str> =
        found["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in ["disk", "server", "nats", "log", "stream settings", "readiness", "projector"] {
        assert!(names.contains(&name), "{name}: {found}");
    }
    assert_ne!(found["verdict"], "wrong", "{found}");
    let text = kefu.run(&["doctor"]).exits(0).stdout;
    assert!(text.contains("nats-server"), "{text}");
}
