//! kefu's own nats-server: found, started, kept running, stopped, and never two on one directory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::StreamExt;
use kefu::journal::{
    AppendError, Journal,
    server::{self, ManagedServer, Port, RunFile, ServerError, ServerEvent},
    subjects::Subjects,
};
use nats::{TestServer, options};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    future::Future,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take so long")
}

fn subject(key: &str) -> String {
    Subjects::default().events("t", "conversation", key)
}

fn send_signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).unwrap();
}

fn is_running(pid: u32) -> bool {
    // A zombie still has a number; what it holds is free.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_kefu_on_the_same_directory_is_refused() {
    let server = TestServer::start().await;
    let error = ManagedServer::start(options(&server.data)).await.unwrap_err();
    let pid = std::process::id();
    assert!(matches!(error, ServerError::AlreadyRunning { pid: Some(found), .. } if found == pid), "{error}");
    assert!(error.to_string().contains(&pid.to_string()), "{error}");
    // The first one is not disturbed.
    server.journal().await;
    let data = server.data;
    server.server.stop().await;
    ManagedServer::start(options(&data)).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_an_error_only_if_it_was_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let data = tempfile::tempdir().unwrap();
    let exactly = server::ServerOptions { port: Port::Exactly(port), ..options(&data) };
    let error = ManagedServer::start(exactly).await.unwrap_err();
    assert!(matches!(error, ServerError::PortInUse { port: found } if found == port), "{error}");
    // If 4222 cannot be bound here, somebody else has it, which is as good.
    let _default = std::net::TcpListener::bind("127.0.0.1:4222");
    let preferred = server::ServerOptions { port: Port::Preferred, ..options(&data) };
    let server = ManagedServer::start(preferred).await.unwrap();
    assert_ne!(server.port(), 4222);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_program_says_where_it_was_looked_for() {
    let data = tempfile::tempdir().unwrap();
    let program = Some(data.path().join("no-such-server"));
    let error = ManagedServer::start(server::ServerOptions { program, ..options(&data) }).await.unwrap_err();
    assert!(error.to_string().contains("no-such-server"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_comes_back_with_everything_and_readers_heal() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let mut last = 0;
    for n in 0..100 {
        last = journal.append(&subject("a"), last, Bytes::from(n.to_string())).await.unwrap();
    }
    journal.publish_inbound("t", "web", "k", "1", Bytes::from("held")).await.unwrap();
    let partition = journal.partition("t", "k");
    let mut tail = journal.tail(0, None).await.unwrap();
    let mut deliveries = journal.take_over(partition, 1, 10).await.unwrap();
    let held = soon(deliveries.next()).await.unwrap();
    assert_eq!(soon(tail.next()).await.unwrap().unwrap().seq, 1);
    let port = server.server.port();

    let mut events = server.server.events();
    let mut connection = journal.connection_events();
    send_signal(server.server.pid().unwrap(), Signal::SIGKILL);
    soon(events.wait_for(|event| matches!(event, ServerEvent::Started { starts: 2, .. }))).await.unwrap();
    assert!(soon(deliveries.next()).await.is_none(), "an owner hears of a lost connection");
    let back = soon(connection.wait_for(|state| state.connected && state.lost > 0)).await.unwrap().lost;
    assert!(back >= 1);
    assert_eq!(server.server.port(), port);

    // The connection stands again; JetStream may need a moment more.
    let appended = soon(async {
        loop {
            match journal.append(&subject("a"), last, Bytes::from("after")).await {
                Ok(seq) => return seq,
                Err(AppendError::Unknown(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
    assert_eq!(appended, 101);
    for expected in 2..=101 {
        assert_eq!(soon(tail.next()).await.unwrap().unwrap().seq, expected);
    }
    let mut deliveries = soon(async {
        loop {
            match journal.take_over(partition, 1, 10).await {
                Ok(deliveries) => return deliveries,
                Err(error) => assert!(error.is_transient(), "{error:?}"),
            }
        }
    })
    .await;
    let again = soon(deliveries.next()).await.unwrap();
    assert_eq!((again.stream_seq, &again.payload[..]), (held.stream_seq, &b"held"[..]));
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_gone() {
    let server = TestServer::start().await;
    let pid = server.server.pid().unwrap();
    server.server.stop().await;
    assert!(!is_running(pid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_an_earlier_kefu_is_stopped_first() {
    let server = TestServer::start().await;
    let data = server.data;
    server.server.stop().await;
    let config = data.path().canonicalize().unwrap().join("nats/nats-server.conf");
    let program = server::find_nats_server(None).unwrap();
    let mut orphan = Command::new(program).arg("--config").arg(config).spawn().unwrap();
    let pid_file = data.path().join("nats/nats-server.pid");
    soon(async {
        while !pid_file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let reaped = tokio::task::spawn_blocking(move || orphan.wait());
    let server = ManagedServer::start(options(&data)).await.unwrap();
    soon(reaped).await.unwrap().unwrap();
    server.stop().await;
}

/// Not a test: the process that `a_killed_kefu_takes_its_server_along` kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test"]
async fn helper_serve_until_killed() {
    let Some(data) = std::env::var_os("KEFU_TEST_DATA") else {
        return;
    };
    let options = server::ServerOptions { port: Port::Free, ..server::ServerOptions::new(data) };
    let server = ManagedServer::start(options).await.unwrap();
    println!("\npid={}", server.pid().unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_kefu_takes_its_server_along() {
    let data = tempfile::tempdir().unwrap();
    let mut kefu = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_serve_until_killed", "--ignored", "--nocapture"])
        .env("KEFU_TEST_DATA", data.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(kefu.stdout.take().unwrap());
    let found = tokio::task::spawn_blocking(move || {
        output.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("pid=")?.parse::<u32>().ok())
    });
    let pid = soon(found).await.unwrap().expect("the helper should say its server's process");
    assert!(is_running(pid));
    kefu.kill().unwrap();
    kefu.wait().unwrap();
    soon(async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // Nothing is left that would be in the way.
    ManagedServer::start(options(&data)).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_server_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let server = TestServer::start().await;
    let mode = |path: &str| server.data.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("nats"), 0o700);
    for file in ["nats/nats-server.conf", "nats/users.json", "nats/users.conf"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let (user, password) = server.server.engine_login();
    let run = RunFile {
        nats: server.server.url(),
        http: None,
        pid: 1,
        version: "0".into(),
        user: Some(user.into()),
        password: Some(password.into()),
        prefix: None,
    };
    assert_eq!(RunFile::read(server.data.path()).unwrap(), None);
    run.write(server.data.path()).unwrap();
    assert_eq!(mode("run.json"), 0o600);
    assert_eq!(RunFile::read(server.data.path()).unwrap(), Some(run));
    RunFile::remove(server.data.path()).unwrap();
    RunFile::remove(server.data.path()).unwrap();
    assert_eq!(RunFile::read(server.data.path()).unwrap(), None);
    server.server.stop().await;
}
