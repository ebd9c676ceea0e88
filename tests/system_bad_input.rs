//! Bad input on the real bus: each ends in `KEFU_REJECTED` with its reason, as it came, or is decided normally; kefu
//! stays alive and ready, and what comes after flows.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use bytes::Bytes;
use kefu::journal::{NatsJournal, Outgoing, RejectedRecord};
use kefu_events::key::conversation_key;
use serde_json::{Value, json};
use support::{
    eventually,
    kefu::Kefu,
    load,
    log::{self, Published},
};

/// What to publish and what should become of it.
struct Case {
    name: &'static str,
    /// Tenant, source and key of the subject.
    address: (&'static str, &'static str, String),
    command: bool,
    payload: Bytes,
    reason: &'static str,
}

fn key(thread: &str) -> String {
    conversation_key("web", thread)
}

fn message(thread: &str, id: &str) -> Value {
    json!({
        "id": id, "channel": "web", "thread": thread, "sender": {"id": thread},
        "sent_at": "2026-01-05T10:00:00.000Z", "content": {"kind": "text", "text": "hello"},
    })
}

fn command(id: &str, fields: &Value) -> Value {
    let mut command = json!({
        "id": id, "type": "note", "v": 1, "aggregate": "conversation", "key": key("alice"), "text": "a note",
        "actor": {"kind": "agent", "id": "ann"}, "at": "2026-01-05T10:00:00.000Z",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        command[name] = value.clone();
    }
    command
}

fn with(mut message: Value, pointer: &str, value: Value) -> Value {
    *message.pointer_mut(pointer).expect("a field") = value;
    message
}

/// An input that is to be rejected out of the inbox.
fn inbox(name: &'static str, reason: &'static str, payload: impl Into<Bytes>) -> Case {
    Case { name, address: ("demo", "web", key("alice")), command: false, payload: payload.into(), reason }
}

/// The same out of the commands.
fn commands(name: &'static str, reason: &'static str, payload: impl Into<Bytes>) -> Case {
    Case { name, address: ("demo", "agent", key("alice")), command: true, payload: payload.into(), reason }
}

fn nested(depth: usize) -> String {
    let text = message("alice", "nested").to_string();
    let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    text.replacen('{', &format!("{{\"metadata\":{{\"deep\":{deep}}},"), 1)
}

fn cases() -> Vec<Case> {
    let good = message("alice", "m");
    let mut wrong_utf8 = good.to_string().into_bytes();
    let position = wrong_utf8.windows(5).position(|part| part == b"hello").expect("the text");
    wrong_utf8[position] = 0xff;
    let large = with(good.clone(), "/content/text", "x".repeat(300 << 10).into());
    let other_channel = with(good.clone(), "/channel", "mail".into());
    let mut cases = vec![
        inbox("not JSON", "malformed", "{\"id\":"),
        inbox("nothing", "malformed", ""),
        inbox("a number", "malformed", "42"),
        inbox("nulls", "malformed", vec![0; 1000]),
        inbox("wrong UTF-8", "malformed", wrong_utf8),
        inbox("half a surrogate", "malformed", good.to_string().replace("hello", "\\ud800")),
        inbox("a field missing", "malformed", json!({"id": "m", "channel": "web", "thread": "alice"}).to_string()),
        inbox("no id", "malformed", with(good.clone(), "/id", "".into()).to_string()),
        inbox("a long id", "malformed", with(good.clone(), "/id", "i".repeat(513).into()).to_string()),
        inbox("a number for an id", "malformed", with(good.clone(), "/id", 1.into()).to_string()),
        inbox("unknown content", "malformed", with(good.clone(), "/content/kind", "hologram".into()).to_string()),
        inbox("no time", "malformed", with(good.clone(), "/sent_at", "yesterday".into()).to_string()),
        inbox("deep nesting", "malformed", nested(100_000)),
        inbox("300 KiB", "too_large", large.to_string()),
        inbox("another thread", "subject_mismatch", message("bob", "m").to_string()),
        inbox("another channel", "subject_mismatch", other_channel.to_string()),
        commands("a command that is not JSON", "malformed", "]"),
        commands("a deep command", "malformed", nested(100_000)),
        commands("an unknown command", "unknown_command", command("c1", &json!({"type": "explode"})).to_string()),
        commands("a command's field missing", "unknown_command", command("c2", &json!({"text": null})).to_string()),
        commands("a command of the future", "unknown_command", command("c3", &json!({"v": 99})).to_string()),
        commands("an unknown aggregate", "malformed", command("c4", &json!({"aggregate": "ship"})).to_string()),
        commands("another key", "subject_mismatch", command("c5", &json!({"key": key("bob")})).to_string()),
        commands(
            "an agent who says that it is a timer",
            "subject_mismatch",
            command("c6", &json!({"actor": {"kind": "timer", "id": "t"}})).to_string(),
        ),
    ];
    let address = |tenant, source| (tenant, source, key("alice"));
    cases.push(Case {
        address: address("nobody", "web"),
        ..inbox("an unknown tenant", "unknown_tenant", good.to_string())
    });
    for reserved in ["agent", "timer", "bot", "scheduler", "system"] {
        let payload = with(good.clone(), "/channel", reserved.into()).to_string();
        let case = inbox("a reserved channel", "reserved_channel", payload);
        cases.push(Case { address: ("demo", reserved, conversation_key(reserved, "alice")), ..case });
    }
    let payload = command("c7", &json!({})).to_string();
    let case = commands("a command for an unknown tenant", "unknown_tenant", payload);
    cases.push(Case { address: address("nobody", "agent"), ..case });
    let payload = command("c8", &json!({"actor": {"kind": "customer", "id": "eve"}})).to_string();
    cases.push(commands("a customer's command", "malformed", payload));
    let case = commands("a source that is none", "subject_mismatch", command("c9", &json!({})).to_string());
    cases.push(Case { address: address("demo", "root"), ..case });
    cases
}

async fn publish(journal: &NatsJournal, number: usize, case: &Case) {
    let (tenant, source, key) = &case.address;
    let id = format!("bad-{number}");
    let published = if case.command {
        let (tenant, source, key) = ((*tenant).to_owned(), (*source).to_owned(), key.clone());
        journal_publish(journal, Outgoing::Command { tenant, source, key, id, payload: case.payload.clone() }).await
    } else {
        journal.publish_inbound(tenant, source, key, &id, case.payload.clone()).await.map(drop)
    };
    published.unwrap_or_else(|error| panic!("{}: {error}", case.name));
}

async fn journal_publish(journal: &NatsJournal, outgoing: Outgoing) -> Result<(), kefu::journal::JournalError> {
    kefu::journal::Journal::publish(journal, outgoing).await
}

async fn rejected(journal: &NatsJournal, count: usize) -> Vec<RejectedRecord> {
    eventually(&format!("{count} rejected inputs"), || async {
        let records = journal.rejected(None, 1, 10_000).await.ok()?;
        (records.len() >= count).then_some(records)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_is_rejected_as_it_came_and_nothing_stops() {
    let mut kefu = Kefu::start().await;
    let journal = kefu.journal().await;
    let cases = cases();
    for (number, case) in cases.iter().enumerate() {
        publish(&journal, number, case).await;
    }
    let records = rejected(&journal, cases.len()).await;
    for case in &cases {
        // Payloads tell the cases apart, but for the empty one and the reserved channels, whose sources do.
        let record = records.iter().find(|record| record.payload == case.payload && record.source == case.address.1);
        let record = record.unwrap_or_else(|| panic!("{}: is not among the rejected as it came", case.name));
        let header = |name: &str| record.headers.get(name).map_or("", String::as_str);
        assert_eq!(header("Kefu-Reason"), case.reason, "{}: {}", case.name, header("Kefu-Detail"));
        assert!(!header("Kefu-Detail").is_empty(), "{}: says nothing", case.name);
        assert_eq!(record.tenant, case.address.0, "{}", case.name);
        assert_eq!(header("Kefu-Key"), case.address.2, "{}", case.name);
        assert_eq!(header("Kefu-Queue"), if case.command { "commands" } else { "inbox" }, "{}", case.name);
    }
    assert_eq!(records.len(), cases.len(), "each is rejected once");

    // What is larger than the inbox takes fails where it is published.
    for bytes in [600 << 10, 10 << 20] {
        let refused = journal.publish_inbound("demo", "web", &key("alice"), "big", vec![b'x'; bytes].into()).await;
        assert!(refused.is_err(), "{bytes} bytes were accepted");
    }

    // Odd, but nothing is wrong with it.
    let deep_enough = format!("{{\"metadata\":{{\"deep\":{}1{}}},", "[".repeat(100), "]".repeat(100));
    let odd = [
        with(message("odd", "1970"), "/sent_at", "1970-01-01T00:00:00Z".into()).to_string(),
        with(message("odd", "0000"), "/sent_at", "0000-01-01T00:00:00+14:00".into()).to_string(),
        with(message("odd", "9999"), "/sent_at", "9999-12-31T23:59:59.999999999-12:00".into()).to_string(),
        with(message("odd", "empty"), "/content/text", "".into()).to_string(),
        with(message("odd", "nul"), "/content/text", "\u{0}\u{1b}[2J\u{202e}\u{feff}".into()).to_string(),
        with(message("odd", "right below 256 KiB"), "/content/text", "界".repeat(86_000).into()).to_string(),
        message("odd", "deep").to_string().replacen('{', &deep_enough, 1),
        message("odd", "../../etc/passwd\n\"'; DROP TABLE").to_string(),
    ];
    let mut causes = Vec::new();
    for body in odd {
        let id = serde_json::from_str::<Value>(&body).expect("JSON")["id"].as_str().expect("an id").to_owned();
        journal.publish_inbound("demo", "web", &key("odd"), &id, body.into()).await.expect("it is stored");
        causes.push(format!("demo/web/{}/{id}", key("odd")));
    }
    log::until_committed(&journal, causes).await;

    // A refusal is an answer and no rejection.
    let payload = command("refused", &json!({"key": key("odd"), "type": "accept"})).to_string();
    let refused = Outgoing::Command {
        tenant: "demo".into(),
        source: "agent".into(),
        key: key("odd"),
        id: "refused".into(),
        payload: payload.into(),
    };
    let result = journal.request_command(refused, support::PATIENCE).await.expect("the bus").expect("a result");
    let result: Value = serde_json::from_slice(&result).expect("JSON");
    assert_eq!((&result["ok"], &result["refusal"]["code"]), (&json!(false), &json!("wrong_state")), "{result}");

    // And everything goes on.
    let said = Published {
        tenant: "demo".into(),
        channel: "web".into(),
        thread: "alice".into(),
        id: "after all that".into(),
        text: "hello".into(),
    };
    load::publish(&journal, &said).await;
    log::until_committed(&journal, [said.cause()]).await;
    log::until_drained(&journal).await;
    assert!(kefu.ended().is_none() && kefu.is_ready());
    assert_eq!(kefu.http_status("/healthz"), Some(200));
    assert_eq!(rejected(&journal, cases.len()).await.len(), cases.len(), "nothing more was rejected");
}
