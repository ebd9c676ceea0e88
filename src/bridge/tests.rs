use super::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
};

fn get(address: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn options(or_free: bool) -> BridgeOptions {
    BridgeOptions {
        address: ([127, 0, 0, 1], 0).into(),
        or_free,
        metrics_token: None,
        tls: None,
        front: Front::default(),
    }
}

#[tokio::test]
async fn it_says_why_the_node_is_not_ready_and_then_that_it_is() {
    let ready = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ready);
    let report = move || match seen.load(Ordering::SeqCst) {
        true => Report::default(),
        false => Report { waiting_for: vec!["reads the log: 3 of 9".to_owned()], ..Report::default() },
    };
    let probe = Probe { report: Arc::new(report), figures: Arc::new(Figures::default) };
    let bridge = Bridge::start(options(false), probe).unwrap();
    let address = bridge.address();
    let answer = get(address, "localhost", "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("3 of 9"), "{answer}");
    assert!(get(address, "localhost", "/healthz").starts_with("HTTP/1.1 200"));
    ready.store(true, Ordering::SeqCst);
    assert!(get(address, &address.to_string(), "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(address, "localhost", "/metrics").contains("kefu_build_info"));
    let page = get(address, "localhost", "/");
    assert_eq!(page.contains("<!doctype html>"), Bridge::has_console(), "{page}");
    assert!(page.contains("script-src 'self'"), "{page}");
    assert!(get(address, "localhost", "/assets/nothing.js").starts_with("HTTP/1.1 404"));
    assert!(get(address, "localhost", "/api/v1/nothing").starts_with("HTTP/1.1 404"));
    assert!(get(address, "localhost", "/api/v1/session").starts_with("HTTP/1.1 503"), "there is no node behind it");
    assert!(get(address, "evil.example", "/").starts_with("HTTP/1.1 421"));
    let rebound = "evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost";
    assert!(get(address, rebound, "/").starts_with("HTTP/1.1 421"), "a page may set these headers");
    bridge.stop().await;
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_an_error_only_where_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = listen(&BridgeOptions { address, ..options(false) }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let other = listen(&BridgeOptions { address, ..options(true) }).unwrap();
    assert_ne!(other.local_addr().unwrap(), address);
}
