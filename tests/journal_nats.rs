//! The real journal: what the conformance suite cannot ask of a twin.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "support/nats.rs"]
mod nats;

use async_nats::jetstream::stream::Compression;
use bytes::Bytes;
use futures::StreamExt;
use kefu::journal::{
    ConnectOptions, InboxBounds, Journal, JournalError, NatsJournal, OutboxStart, Outgoing, StreamOptions,
    server::ManagedServer,
    subjects::{self, Subjects},
};
use nats::TestServer;
use std::{future::Future, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take so long")
}

fn subject(key: &str) -> String {
    Subjects::default().events("t", "conversation", key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_those_of_the_server() {
    let server = TestServer::start().await;
    let journal = server.journal_with(StreamOptions { partitions: Some(7), ..Default::default() }).await;
    let names = (0..300).map(|n| (format!("tenant{}", n % 13), format!("{:032x}", n * 0x9e37_79b9_u64)));
    let mut expected = vec![0; 7];
    for (tenant, key) in names {
        journal.publish_inbound(&tenant, "web", &key, "1", Bytes::new()).await.unwrap();
        expected[usize::from(subjects::partition(&tenant, &key, 7))] += 1;
    }
    for (partition, count) in expected.into_iter().enumerate() {
        assert!(count > 0, "300 names should reach every partition");
        let mut deliveries = journal.take_over(partition as u16, 1, 1_000).await.unwrap();
        for _ in 0..count {
            let delivery = soon(deliveries.next()).await.unwrap();
            assert_eq!(journal.partition(&delivery.tenant, &delivery.key), partition as u16);
        }
    }
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_partitions_is_fixed() {
    let server = TestServer::start().await;
    let journal = server.journal_with(StreamOptions { partitions: Some(4), ..Default::default() }).await;
    assert_eq!(journal.partitions(), 4);
    assert_eq!(server.journal().await.partitions(), 4, "read back when not asked for");
    let other = StreamOptions { partitions: Some(8), ..Default::default() };
    let error = NatsJournal::open(server.server.connect_options(), other).await.unwrap_err();
    assert!(matches!(&error, JournalError::Misconfigured(text) if text.contains("4") && text.contains("8")), "{error}");
    // Another prefix is another installation on the same server.
    let other = StreamOptions { subjects: Subjects::new("shop").unwrap(), ..Default::default() };
    assert_eq!(server.journal_with(other).await.partitions(), 16);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_differs_is_an_error_that_says_how_to_mend_it() {
    let server = TestServer::start().await;
    let client = raw(&server.server).await;
    let context = async_nats::jetstream::new(client);
    let foreign = async_nats::jetstream::stream::Config {
        name: "KEFU_EVENTS".into(),
        subjects: vec!["kefu.events.>".into()],
        max_age: Duration::from_secs(3600),
        allow_direct: true,
        ..Default::default()
    };
    context.create_stream(foreign.clone()).await.unwrap();
    let opened = NatsJournal::open(server.server.connect_options(), StreamOptions::default()).await;
    let error = opened.unwrap_err().to_string();
    for part in ["KEFU_EVENTS", "max_age", "3600s", "nats stream edit KEFU_EVENTS --max-age"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    // What does not matter is accepted, and left as it is.
    let mended = async_nats::jetstream::stream::Config { max_age: Duration::ZERO, ..foreign };
    context.update_stream(mended).await.unwrap();
    server.journal().await;
    let info = context.get_stream("KEFU_EVENTS").await.unwrap();
    assert_eq!(info.cached_info().config.compression, Some(Compression::None), "an existing stream is not changed");
    server.server.stop().await;
}

async fn raw(server: &ManagedServer) -> async_nats::Client {
    let (user, password) = server.engine_login();
    let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
    options.connect(server.url()).await.unwrap()
}

/// A server that says what a test wants, and nothing else.
async fn pretend_server(info: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let hello = format!("INFO {info}\r\n");
                let mut buffer = [0; 1024];
                let _ = socket.write_all(hello.as_bytes()).await;
                while socket.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    let _ = socket.write_all(b"PONG\r\n").await;
                }
            });
        }
    });
    format!("nats://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_too_old_or_too_small_is_refused() {
    let old = r#"{"server_id":"X","version":"2.9.25","proto":1,"max_payload":1048576,"headers":true}"#;
    let small = r#"{"server_id":"X","version":"2.15.1","proto":1,"max_payload":65536,"headers":true}"#;
    for (info, parts) in [(old, ["2.9.25", "2.12.0"]), (small, ["65536", "max_payload"])] {
        let url = pretend_server(info).await;
        let opened = soon(NatsJournal::open(ConnectOptions::new(url), StreamOptions::default())).await;
        let error = opened.unwrap_err();
        assert!(matches!(error, JournalError::Misconfigured(_)), "{error:?}");
        for part in parts {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_entered_says_so() {
    let server = TestServer::start().await;
    let wrong = ConnectOptions::new(server.server.url()).user("engine", "wrong");
    let error = NatsJournal::open(wrong, StreamOptions::default()).await.unwrap_err();
    assert!(matches!(error, JournalError::Refused(_)), "{error:?}");
    let attached = NatsJournal::attach(server.server.connect_options(), Subjects::default()).await;
    let error = attached.unwrap_err();
    assert!(error.to_string().contains("KEFU_INBOX"), "{error}");
    let url = server.server.url();
    server.server.stop().await;
    let error = NatsJournal::open(ConnectOptions::new(url), StreamOptions::default()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_refuses_loudly_and_says_which_bound() {
    let server = TestServer::start().await;
    let inbox = InboxBounds { messages: 5, messages_per_subject: 2, ..InboxBounds::default() };
    let journal = server.journal_with(StreamOptions { inbox, ..Default::default() }).await;
    let send = async |key: &str, id: &str| journal.publish_inbound("t", "web", key, id, Bytes::from("x")).await;
    send("a", "1").await.unwrap();
    send("a", "2").await.unwrap();
    let error = send("a", "3").await.unwrap_err().to_string();
    assert!(error.contains("thread") && error.contains("max_msgs_per_subject"), "{error}");
    for key in ["b", "c", "d"] {
        send(key, "1").await.unwrap();
    }
    let error = send("e", "1").await.unwrap_err().to_string();
    assert!(error.contains("inbox is full"), "{error}");
    let large = Bytes::from(vec![b'x'; 600 << 10]);
    let error = journal.publish_inbound("t", "web", "f", "1", large).await.unwrap_err();
    assert!(matches!(error, JournalError::Refused(_)), "{error:?}");
    // Commands have bounds of their own.
    let command = Outgoing::Command {
        tenant: "t".into(),
        source: "agent".into(),
        key: "a".into(),
        id: "c".into(),
        payload: Bytes::from("{}"),
    };
    journal.publish(command).await.unwrap();
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_does_without_direct_gets() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let mut last = 0;
    for n in 0..50 {
        last = journal.append(&subject("a"), last, Bytes::from(n.to_string())).await.unwrap();
    }
    let by_direct_get = journal.history(&subject("a"), 10).await.unwrap();
    assert_eq!(by_direct_get.len(), 40);
    let context = async_nats::jetstream::new(raw(&server.server).await);
    let mut config = context.get_stream("KEFU_EVENTS").await.unwrap().cached_info().config.clone();
    config.allow_direct = false;
    context.update_stream(config).await.unwrap();
    assert_eq!(soon(journal.history(&subject("a"), 10)).await.unwrap(), by_direct_get);
    assert_eq!(soon(journal.history(&subject("none"), 0)).await.unwrap(), []);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_log_begins_later_and_expects_nothing() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    for key in ["a", "b", "c"] {
        journal.append(&subject(key), 0, Bytes::from("x")).await.unwrap();
    }
    let context = async_nats::jetstream::new(raw(&server.server).await);
    context.get_stream("KEFU_EVENTS").await.unwrap().purge().sequence(3).await.unwrap();
    let position = journal.position().await.unwrap();
    assert_eq!((position.first, position.last), (3, 3));
    assert_eq!(journal.append(&subject("a"), 0, Bytes::from("y")).await, Ok(4));
    context.get_stream("KEFU_EVENTS").await.unwrap().purge().await.unwrap();
    let position = journal.position().await.unwrap();
    assert_eq!((position.first, position.last), (5, 4));
    let mut tail = journal.tail(0, None).await.unwrap();
    journal.append(&subject("a"), 0, Bytes::from("z")).await.unwrap();
    assert_eq!(soon(tail.next()).await.unwrap().unwrap().seq, 5);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_made_again_ends_its_readers() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    journal.append(&subject("a"), 0, Bytes::from("x")).await.unwrap();
    let before = journal.position().await.unwrap().identity;
    let mut tail = journal.tail(0, None).await.unwrap();
    assert_eq!(soon(tail.next()).await.unwrap().unwrap().seq, 1);
    let context = async_nats::jetstream::new(raw(&server.server).await);
    context.delete_stream("KEFU_EVENTS").await.unwrap();
    server.journal().await;
    let error = soon(tail.next()).await.unwrap().unwrap_err();
    assert!(!error.is_transient(), "{error:?}");
    assert!(soon(tail.next()).await.is_none());
    assert_ne!(journal.position().await.unwrap().identity, before);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_hears_its_result() {
    let server = TestServer::start().await;
    let (engine, client) = (server.journal().await, server.journal().await);
    let command = |id: &str| Outgoing::Command {
        tenant: "t".into(),
        source: "agent".into(),
        key: "k".into(),
        id: id.into(),
        payload: Bytes::from(id.to_owned()),
    };
    let mut deliveries = engine.take_over(engine.partition("t", "k"), 1, 10).await.unwrap();
    let decide = tokio::spawn(async move {
        let delivery = deliveries.next().await.unwrap();
        let id = String::from_utf8(delivery.payload.to_vec()).unwrap();
        engine.publish(Outgoing::Result { tenant: "t".into(), id, payload: Bytes::from("done") }).await.unwrap();
        engine.ack(&delivery.ack).await.unwrap();
        deliveries
    });
    // An id that is no token is hashed on both sides.
    let result = client.request_command(command("order/7"), PATIENCE).await.unwrap();
    assert_eq!(result.as_deref(), Some(&b"done"[..]));
    let _owner = decide.await.unwrap();
    let unanswered = client.request_command(command("8"), Duration::from_millis(50)).await;
    assert_eq!(unanswered, Ok(None), "stored, but not decided in time");
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_are_answered_by_whoever_serves() {
    let server = TestServer::start().await;
    let (engine, client) = (server.journal().await, server.journal().await);
    let nobody = client.query("t", "show", Bytes::new(), PATIENCE).await.unwrap_err();
    assert!(nobody.is_transient(), "{nobody:?}");
    let answers = engine
        .serve_queries(|tenant, name, body: Bytes| async move {
            match &*name {
                "large" => Bytes::from(vec![b'x'; 2 << 20]),
                _ => Bytes::from(format!("{tenant} {name} {}", String::from_utf8_lossy(&body))),
            }
        })
        .await
        .unwrap();
    let serving = tokio::spawn(answers);
    let answer = client.query("t", "show", Bytes::from("x"), PATIENCE).await.unwrap();
    assert_eq!(answer, "t show x");
    let answer = client.query("t", "large", Bytes::new(), PATIENCE).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("answer_too_large"));
    serving.abort();
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_outbox_can_be_read_from_any_point() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let reply = |channel: &str, id: &str| Outgoing::Reply {
        tenant: "t".into(),
        channel: channel.into(),
        key: "k".into(),
        id: id.into(),
        payload: Bytes::from(id.to_owned()),
    };
    journal.publish(reply("web", "1")).await.unwrap();
    journal.publish(reply("sms", "2")).await.unwrap();
    let mut all = journal.outbox("t", None, OutboxStart::After(0)).await.unwrap();
    let mut web = journal.outbox("t", Some("web"), OutboxStart::After(0)).await.unwrap();
    let mut new = journal.outbox("t", Some("web"), OutboxStart::New).await.unwrap();
    journal.publish(reply("web", "3")).await.unwrap();
    for (stream, expected) in [(&mut all, vec!["1", "2", "3"]), (&mut web, vec!["1", "3"]), (&mut new, vec!["3"])] {
        for id in expected {
            let record = soon(stream.next()).await.unwrap().unwrap();
            assert_eq!(record.payload, id);
            assert_eq!((&*record.tenant, &*record.key), ("t", "k"));
        }
    }
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_input_is_paged_and_taken_out() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    for n in 0..300 {
        let rejected = Outgoing::Rejected {
            tenant: if n % 3 == 0 { "a".into() } else { "b".into() },
            source: "web".into(),
            id: n.to_string(),
            headers: [("Kefu-Reason".to_owned(), format!("reason {n}"))].into(),
            payload: Bytes::from(n.to_string()),
        };
        journal.publish(rejected).await.unwrap();
    }
    let mut pages = vec![];
    let mut from = 0;
    loop {
        let page = journal.rejected(Some("a"), from, 30).await.unwrap();
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        pages.extend(page);
    }
    assert_eq!(pages.len(), 100);
    assert!(pages.iter().all(|record| record.tenant == "a"));
    assert_eq!(journal.rejected(None, 0, 1_000).await.unwrap().len(), 300);
    let first = journal.rejected_get(pages[1].seq).await.unwrap().unwrap();
    assert_eq!(first, pages[1]);
    assert!(journal.rejected_delete(first.seq).await.unwrap());
    assert!(!journal.rejected_delete(first.seq).await.unwrap());
    assert_eq!(journal.rejected_get(first.seq).await.unwrap(), None);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_back_as_they_were() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let data: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    let stored = journal.put_file("t/pictures/1.png", "image/png", &mut &data[..]).await.unwrap();
    assert_eq!(stored.size, data.len() as u64);
    let (found, mut reader) = journal.get_file("t/pictures/1.png").await.unwrap().unwrap();
    assert_eq!(found, stored);
    let mut bytes = vec![];
    reader.read_to_end(&mut bytes).await.unwrap();
    assert!(bytes == data);
    assert!(journal.delete_file("t/pictures/1.png").await.unwrap());
    assert!(!journal.delete_file("none").await.unwrap());
    assert!(journal.get_file("t/pictures/1.png").await.unwrap().is_none());
    server.server.stop().await;
}
