//! HTTPS of a real `kefu serve`, with certificates made here.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use reqwest::{Certificate, Client, header};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde_json::{Value, json};
use std::{fs, path::Path, sync::Arc};
use support::{eventually, kefu::Kefu, socket::Socket};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Writes a certificate and its key, as somebody who renews them does; the certificate.
fn certificate(directory: &Path) -> rcgen::Certificate {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert
}

fn client(trusts: &rcgen::Certificate) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trusted = Certificate::from_der(trusts.der()).unwrap();
    Client::builder().tls_certs_only([trusted]).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_everything_is_as_without_and_cookies_are_for_tls_only_and_a_renewed_certificate_is_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let first = certificate(directory.path());
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let files = [("KEFU_TLS_CERTIFICATE", &*path("cert.pem")), ("KEFU_TLS_KEY", &*path("key.pem"))];
    let kefu = Kefu::start_announced(&files).await;
    let url = kefu.run_file().http.unwrap();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let port = kefu.http_port();

    let https = client(&first);
    let ready = https.get(format!("{url}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert!(ready.headers()[header::STRICT_TRANSPORT_SECURITY].to_str().unwrap().contains("max-age="));
    assert!(kefu.http("/readyz").is_none_or(|answer| !answer.contains("200")), "without TLS there is no answer");

    let mut add = kefu.command();
    add.args(["user", "add", "ann", "--role", "agent"]).stdin(std::process::Stdio::piped());
    let mut child = add.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"correct horse battery\n").unwrap();
    assert!(child.wait().unwrap().success());
    let sign_in = json!({ "tenant": "demo", "user": "ann", "password": "correct horse battery" });
    let signed_in = eventually("ann can sign in", async || {
        let answer = https.post(format!("{url}/api/v1/session")).json(&sign_in).send().await.unwrap();
        (answer.status() == 200).then_some(answer)
    });
    let cookie = signed_in.await.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.contains("Secure") && cookie.contains("HttpOnly"), "{cookie}");

    // A WebSocket, too.
    let token = kefu.run(&["user", "token", "add", "ann", "--name", "test"])["secret"].as_str().unwrap().to_owned();
    let mut roots = RootCertStore::empty();
    roots.add(first.der().clone()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let mut socket = Socket::over(tls, &format!("wss://localhost:{port}/api/v1/socket"), Some(&token)).await;
    let reset: Value = socket.begin().await;
    assert_eq!((&reset["type"], &reset["user"]), (&json!("reset"), &json!("ann")));

    // Renewed; connections that stand go on.
    let second = certificate(directory.path());
    eventually("the new certificate", async || {
        client(&second).get(format!("{url}/healthz")).send().await.ok().filter(|answer| answer.status() == 200)
    })
    .await;
    assert!(client(&first).get(format!("{url}/healthz")).send().await.is_err(), "the old one is not used any more");
    socket.send(json!({ "type": "ping" })).await;
    socket.until("a heartbeat", |frame| frame["type"] == "heartbeat").await;
    // A broken one is not taken up.
    fs::write(directory.path().join("cert.pem"), "-----BEGIN NOTHING-----").unwrap();
    eventually("word of it", async || kefu.last_words().contains("the one before goes on").then_some(())).await;
    assert_eq!(client(&second).get(format!("{url}/healthz")).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_wrong_certificate_ends_the_start_with_the_name_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path());
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let data = path("data");
    for (certificate, key, part) in [
        (path("none.pem"), Some(path("key.pem")), "none.pem: No such file"),
        (path("key.pem"), Some(path("key.pem")), "key.pem holds no certificate"),
        (path("cert.pem"), None, "TLS needs both"),
    ] {
        let mut command = Kefu::bare_command();
        command.args(["--data", &data, "serve", "--listen", "127.0.0.1:0", "--tls-certificate", &certificate]);
        if let Some(key) = &key {
            command.args(["--tls-key", key]);
        }
        let output = command.env("KEFU_NATS_LISTEN_PORT", "0").output().unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && complained.contains(part), "{part}: {complained}");
    }
}
