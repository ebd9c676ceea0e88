//! `kefu serve`: starting, stopping, health, and what the doctor says.

use crate::program::{Serving, run, serve};
use kefu::journal::server::find_nats_server;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
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
    let written: Value = serde_json::from_slice(&std::fs::read(kefu.path().join("run.json")).unwrap()).unwrap();
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

fn nats_pid(data: &Path) -> Pid {
    let text = std::fs::read_to_string(data.join("nats/nats-server.pid")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap())
}

#[test]
fn a_nats_server_that_dies_is_started_again_and_the_work_goes_on() {
    let kefu = Serving::start();
    kefu.say("Hello", &[]);
    let before = nats_pid(kefu.path());
    kill(before, Signal::SIGKILL).unwrap();
    // It is not reachable for a moment, and then kefu takes its partitions over again.
    let killed = Instant::now();
    loop {
        let ran = kefu.run(&["act", "cli:alice", "--id", "tag-1", "--timeout", "5s", "tag", "after"]);
        if ran.code == Some(0) {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(60), "{ran:?}");
        assert!([Some(4), Some(5)].contains(&ran.code), "{ran:?}");
    }
    assert_ne!(nats_pid(kefu.path()), before);
    kefu.run(&["doctor"]).exits(0);
    kefu.signal(Signal::SIGTERM);
    assert_eq!(kefu.wait().0, Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let kefu = Serving::start();
    let nats = nats_pid(kefu.path());
    // A server that does not answer: nothing that was begun can be finished.
    kill(nats, Signal::SIGSTOP).unwrap();
    kefu.signal(Signal::SIGTERM);
    kefu.until_logged("a second signal does not wait");
    kefu.signal(Signal::SIGTERM);
    let (code, _data) = kefu.wait();
    assert_eq!(code, Some(1));
    // It was told to end when kefu did.
    kill(nats, Signal::SIGCONT).unwrap();
}

/// A nats-server that is not kefu's.
struct Foreign(Child);

impl Foreign {
    fn start(directory: &Path) -> (Self, String) {
        let mut server = Command::new(find_nats_server(None).unwrap());
        server.args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"]).arg(directory);
        server.arg("--ports_file_dir").arg(directory).stderr(Stdio::null());
        let server = Self(server.spawn().unwrap());
        let file = directory.join(format!("nats-server_{}.ports", server.0.id()));
        let ports = loop {
            // Written at once, when it listens.
            match std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok()) {
                Some(ports) => break ports,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        (server, ports["nats"][0].as_str().unwrap().to_owned())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_runs_already_is_used_by_its_url() {
    let directory = tempfile::tempdir().unwrap();
    let (_server, url) = Foreign::start(directory.path());
    let kefu = Serving::start_in(tempfile::tempdir().unwrap(), &["--nats", &url, "--prefix", "other"]);
    assert_eq!(kefu.ready["nats"], url);
    assert!(!kefu.path().join("nats/nats-server.conf").exists());
    // Found by the data directory, or from anywhere by the URL.
    kefu.run(&["send", "--from", "alice", "hi"]).exits(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let tenants = run(elsewhere.path(), &["tenant", "list", "--nats", &url, "--prefix", "other"]).exits(0).stdout;
    assert!(tenants.contains("demo"), "{tenants}");
    // Under another prefix there is no kefu.
    run(elsewhere.path(), &["tenant", "list", "--nats", &url]).exits(1);
    kefu.run(&["doctor"]).exits(0);
    kefu.signal(Signal::SIGTERM);
    assert_eq!(kefu.wait().0, Some(0));
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
    assert!(get(&kefu, "/api/v1/openapi.json").contains("\"openapi\":\"3.1.0\""));
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
