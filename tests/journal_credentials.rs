//! What each credential can and cannot do, shown on a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "support/nats.rs"]
mod nats;

use async_nats::{
    Client, ConnectErrorKind, Event, ServerError,
    jetstream::{self, consumer::pull},
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use kefu::journal::{
    Journal, NatsJournal, Outgoing,
    credentials::{AccountKind, CredentialsError, Secret},
    subjects::Subjects,
};
use nats::TestServer;
use serde_json::json;
use std::{future::Future, time::Duration};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should not take so long")
}

/// A client with somebody's credentials, as any program would connect.
struct Outsider {
    client: Client,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Outsider {
    async fn connect(server: &TestServer, secret: &Secret) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let client = async_nats::ConnectOptions::with_user_and_password(secret.user.clone(), secret.password.clone())
            .custom_inbox_prefix(&secret.inbox_prefix)
            .event_callback(move |event| {
                let _ = sender.send(event);
                async {}
            })
            .connect(server.server.url())
            .await
            .unwrap();
        Self { client, events }
    }

    /// The server says no to everything that is asked until this returns.
    async fn denied(&mut self, verb: &str, subject: &str) {
        self.client.flush().await.unwrap();
        loop {
            let event = soon(self.events.recv()).await.expect("the connection should stand");
            if let Event::ServerError(ServerError::Other(text)) = &event {
                let text = text.to_lowercase();
                assert!(text.contains("permissions violation") && text.contains(verb), "{text}");
                assert!(text.contains(&subject.to_lowercase()), "{text} is not about {subject}");
                return;
            }
        }
    }

    async fn cannot_publish(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), Bytes::from("{}")).await.unwrap();
        self.denied("publish", subject).await;
    }

    async fn cannot_subscribe(&mut self, subject: &str) {
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.denied("subscription", subject).await;
    }
}

/// What must not happen, whoever tries: none of it concerns the one who asks.
const NOBODY_PUBLISHES: &[&str] = &[
    // another tenant, another channel, the engine's own subjects
    "kefu.in.demo.sms.k",
    "kefu.in.other.web.k",
    "kefu.in.demo.agent.k",
    "kefu.cmd.demo.agent.k",
    "kefu.cmd.demo.system.k",
    "kefu.inbox.0.demo.web.k",
    "kefu.command.0.demo.agent.k",
    "kefu.events.demo.conversation.k",
    "kefu.out.demo.web.k",
    "kefu.rejected.demo.web",
    "kefu.result.demo.c1",
    "$KV.KEFU_OWNERS.partition-0",
    "$O.KEFU_FILES.M.eA==",
    // consumers, which can be aimed anywhere
    "$JS.API.CONSUMER.CREATE.KEFU_OUTBOX",
    "$JS.API.CONSUMER.CREATE.KEFU_OUTBOX.x.kefu.out.demo.web.>",
    "$JS.API.CONSUMER.DURABLE.CREATE.KEFU_OUTBOX.out=demo=web",
    "$JS.API.CONSUMER.CREATE.KEFU_EVENTS.x",
    "$JS.API.CONSUMER.CREATE.KEFU_EVENTS.analyst=ann",
    "$JS.API.CONSUMER.DELETE.KEFU_OUTBOX.out=demo=web",
    "$JS.API.CONSUMER.DELETE.KEFU_INBOX.inbox-0-e1",
    "$JS.API.CONSUMER.MSG.NEXT.KEFU_INBOX.inbox-0-e1",
    "$JS.API.CONSUMER.MSG.NEXT.KEFU_COMMANDS.commands-0-e1",
    "$JS.API.CONSUMER.MSG.NEXT.KEFU_OUTBOX.out=demo=sms",
    "$JS.API.CONSUMER.MSG.NEXT.KEFU_OUTBOX.out=other=web",
    "$JS.API.CONSUMER.RESET.KEFU_OUTBOX.out=demo=web",
    "$JS.API.CONSUMER.PAUSE.KEFU_INBOX.inbox-0-e1",
    "$JS.ACK.KEFU_INBOX.inbox-0-e1.1.1.1.1.0",
    "$JS.ACK.KEFU_OUTBOX.out=demo=sms.1.1.1.1.0",
    // streams
    "$JS.API.STREAM.CREATE.X",
    "$JS.API.STREAM.UPDATE.KEFU_EVENTS",
    "$JS.API.STREAM.DELETE.KEFU_EVENTS",
    "$JS.API.STREAM.PURGE.KEFU_EVENTS",
    "$JS.API.STREAM.MSG.DELETE.KEFU_EVENTS",
    "$JS.API.STREAM.MSG.GET.KEFU_INBOX",
    "$JS.API.STREAM.MSG.GET.KEFU_EVENTS",
    "$JS.API.STREAM.SNAPSHOT.KEFU_EVENTS",
    "$JS.API.STREAM.RESTORE.KEFU_EVENTS",
    "$JS.API.DIRECT.GET.KEFU_OUTBOX",
    "$JS.API.DIRECT.GET.KEFU_REJECTED",
    "$JS.API.DIRECT.GET.KEFU_EVENTS.kefu.events.other.conversation.k",
    "$SYS.REQ.SERVER.PING",
];

/// What nobody listens to: others' answers, and what passes by.
const NOBODY_HEARS: &[&str] = &[
    ">",
    "_INBOX.>",
    "_INBOX_engine.>",
    "kefu.>",
    "kefu.in.demo.web.k",
    "kefu.out.demo.web.k",
    "kefu.out.demo.sms.k",
    "kefu.events.demo.>",
    "kefu.result.demo.*",
    "kefu.query.*.*",
    "$JS.>",
    "$KV.>",
];

async fn reply(journal: &NatsJournal, tenant: &str, channel: &str, id: &str) {
    let reply = Outgoing::Reply {
        tenant: tenant.into(),
        channel: channel.into(),
        key: "k".into(),
        id: id.into(),
        payload: Bytes::from(format!("{tenant}/{channel}/{id}")),
    };
    journal.publish(reply).await.unwrap();
}

/// Makes an account and its consumer, as `kefu channel add` does.
async fn account(server: &TestServer, journal: &NatsJournal, secret: Secret) -> Secret {
    let accounts = server.server.credentials().list().unwrap();
    let account = accounts.into_iter().find(|account| account.user == secret.user).unwrap();
    let consumer = journal.ensure_consumer_of(&account.user, &account.kind).await.unwrap();
    assert_eq!(consumer.as_deref(), Some(&*secret.consumer));
    // Making it twice is harmless.
    journal.ensure_consumer_of(&account.user, &account.kind).await.unwrap();
    server.server.reload().await.unwrap();
    secret
}

async fn pull_from(client: &Client, secret: &Secret) -> pull::Stream {
    let stream = jetstream::new(client.clone()).get_stream_no_info(&secret.stream).await.unwrap();
    let consumer: jetstream::consumer::PullConsumer = stream.get_consumer(&secret.consumer).await.unwrap();
    consumer.messages().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adapter_can_do_its_work_and_nothing_else() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let (credentials, subjects) = (server.server.credentials(), Subjects::default());
    let secret = account(&server, &journal, credentials.add_channel("demo", "web", &subjects).unwrap()).await;
    let other = account(&server, &journal, credentials.add_channel("demo", "sms", &subjects).unwrap()).await;
    for (tenant, channel) in [("demo", "web"), ("demo", "sms"), ("other", "web")] {
        reply(&journal, tenant, channel, "1").await;
    }
    let mut adapter = Outsider::connect(&server, &secret).await;

    // What it can do: publish with acknowledgement, read and ack its own replies.
    let context = jetstream::new(adapter.client.clone());
    let ack = context.publish("kefu.in.demo.web.k", "hello".into()).await.unwrap().await.unwrap();
    assert_eq!((&*ack.stream, ack.sequence), ("KEFU_INBOX", 1));
    let mut replies = pull_from(&adapter.client, &secret).await;
    let first = soon(replies.next()).await.unwrap().unwrap();
    assert_eq!(first.payload, "demo/web/1");
    first.double_ack().await.unwrap();
    reply(&journal, "demo", "web", "2").await;
    let second = soon(replies.next()).await.unwrap().unwrap();
    assert_eq!(second.payload, "demo/web/2", "only its own replies, and the first one not again");

    // What it cannot.
    for subject in NOBODY_PUBLISHES {
        adapter.cannot_publish(subject).await;
    }
    for subject in NOBODY_HEARS {
        adapter.cannot_subscribe(subject).await;
    }
    adapter.cannot_subscribe(&format!("{}.>", other.inbox_prefix)).await;
    adapter.cannot_publish("kefu.query.demo.show").await;
    adapter.cannot_publish("$JS.API.DIRECT.GET.KEFU_EVENTS").await;
    adapter.cannot_publish("$JS.API.STREAM.INFO.KEFU_EVENTS").await;
    assert_eq!(journal.position().await.unwrap().last, 0);
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_reads_one_tenant_and_changes_nothing() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let (credentials, subjects) = (server.server.credentials(), Subjects::default());
    for (n, tenant) in ["demo", "other", "demo"].into_iter().enumerate() {
        let subject = subjects.events(tenant, "conversation", &format!("k{n}"));
        journal.append(&subject, 0, Bytes::from(tenant)).await.unwrap();
    }
    journal.append(&subjects.events("demo", "user", "ann"), 0, Bytes::from("a password's hash")).await.unwrap();
    journal.append(&subjects.events("demo", "agent", "ann"), 0, Bytes::from("demo")).await.unwrap();
    let secret = credentials.add_analyst("bob", Some("demo"), &subjects).unwrap();
    let secret = account(&server, &journal, secret).await;
    let answers = journal.serve_queries(|tenant, _, _| async move { Bytes::from(tenant) }).await.unwrap();
    let serving = tokio::spawn(answers);
    let mut analyst = Outsider::connect(&server, &secret).await;

    // What it can do: read its tenant's events from any point, ask queries.
    let context = jetstream::new(analyst.client.clone());
    let mut events = pull_from(&analyst.client, &secret).await;
    for expected in [1, 3, 5] {
        let event = soon(events.next()).await.unwrap().unwrap();
        assert_eq!((event.info().unwrap().stream_sequence, &event.payload[..]), (expected, &b"demo"[..]));
        event.double_ack().await.unwrap();
    }
    drop(events);
    let reset = format!("CONSUMER.RESET.KEFU_EVENTS.{}", secret.consumer);
    let _: serde_json::Value = context.request(reset, &json!({ "seq": 2 })).await.unwrap();
    let mut events = pull_from(&analyst.client, &secret).await;
    let event = soon(events.next()).await.unwrap().unwrap();
    assert_eq!(event.info().unwrap().stream_sequence, 3, "reading begins where it was reset to");
    let answer = analyst.client.request("kefu.query.demo.show", "".into()).await.unwrap();
    assert_eq!(answer.payload, "demo");
    let last = "$JS.API.DIRECT.GET.KEFU_EVENTS.kefu.events.demo.conversation.k2";
    assert_eq!(analyst.client.request(last, "".into()).await.unwrap().payload, "demo");

    // What it cannot.
    for subject in NOBODY_PUBLISHES {
        analyst.cannot_publish(subject).await;
    }
    for subject in NOBODY_HEARS {
        analyst.cannot_subscribe(subject).await;
    }
    analyst.cannot_publish("kefu.in.demo.web.k").await;
    analyst.cannot_publish("kefu.query.other.show").await;
    analyst.cannot_publish("$JS.API.DIRECT.GET.KEFU_EVENTS.kefu.events.demo.user.ann").await;
    // These name what they want in the body, where no permission sees it.
    analyst.cannot_publish("$JS.API.DIRECT.GET.KEFU_EVENTS").await;
    analyst.cannot_publish("$JS.API.STREAM.INFO.KEFU_EVENTS").await;
    analyst.cannot_publish("$JS.API.CONSUMER.RESET.KEFU_EVENTS.analyst=ann").await;
    assert_eq!(journal.position().await.unwrap().last, 5);
    serving.abort();
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_of_all_tenants_reads_everything_and_changes_nothing() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let (credentials, subjects) = (server.server.credentials(), Subjects::default());
    for tenant in ["demo", "other"] {
        journal.append(&subjects.events(tenant, "agent", "a"), 0, Bytes::from(tenant)).await.unwrap();
    }
    let secret = credentials.add_analyst("eve", None, &subjects).unwrap();
    let secret = account(&server, &journal, secret).await;
    let mut analyst = Outsider::connect(&server, &secret).await;
    let events = pull_from(&analyst.client, &secret).await;
    let found: Vec<_> = soon(events.take(2).map_ok(|event| event.payload.clone()).try_collect()).await.unwrap();
    assert_eq!(found, ["demo", "other"]);
    let get = json!({ "seq": 2 }).to_string();
    let answer = analyst.client.request("$JS.API.DIRECT.GET.KEFU_EVENTS", get.into()).await.unwrap();
    assert_eq!(answer.payload, "other");
    let own = "$JS.API.DIRECT.GET.KEFU_EVENTS.kefu.events.other.conversation.k";
    for subject in NOBODY_PUBLISHES.iter().filter(|subject| **subject != own) {
        analyst.cannot_publish(subject).await;
    }
    for subject in NOBODY_HEARS {
        analyst.cannot_subscribe(subject).await;
    }
    server.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_revoked_ends_at_once() {
    let server = TestServer::start().await;
    let journal = server.journal().await;
    let (credentials, subjects) = (server.server.credentials(), Subjects::default());
    let secret = account(&server, &journal, credentials.add_channel("demo", "web", &subjects).unwrap()).await;
    let kept = account(&server, &journal, credentials.add_channel("demo", "sms", &subjects).unwrap()).await;
    let again = credentials.add_channel("demo", "web", &subjects);
    assert!(matches!(again, Err(CredentialsError::Exists { .. })));
    let mut revoked = Outsider::connect(&server, &secret).await;
    let other = Outsider::connect(&server, &kept).await;
    let losses = journal.connection_events().borrow().lost;

    let account = credentials.revoke(&secret.user).unwrap().unwrap();
    assert!(matches!(account.kind, AccountKind::Channel { .. }));
    server.server.reload().await.unwrap();
    journal.delete_consumer_of(&account.user, &account.kind).await.unwrap();
    while !matches!(soon(revoked.events.recv()).await.unwrap(), Event::Disconnected) {}
    let options = async_nats::ConnectOptions::with_user_and_password(secret.user.clone(), secret.password.clone());
    let error = options.connect(server.server.url()).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);

    // Nobody else is disturbed, and the same channel can have new credentials.
    let context = jetstream::new(other.client.clone());
    context.publish("kefu.in.demo.sms.k", "x".into()).await.unwrap().await.unwrap();
    assert_eq!(journal.connection_events().borrow().lost, losses);
    let renewed = credentials.add_channel("demo", "web", &subjects).unwrap();
    server.server.reload().await.unwrap();
    assert_ne!(renewed.password, secret.password);
    Outsider::connect(&server, &renewed).await;
    server.server.stop().await;
}
