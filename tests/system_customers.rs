//! Pages of customers' own, and bots, at the WebSocket of a real `kefu serve`.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use kefu_events::key::conversation_key;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use support::{eventually, kefu::Kefu, socket::Socket};

/// Stands in everything that is not for customers.
const INTERNAL: &str = "zebra";

async fn post(kefu: &Kefu, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = Client::new().post(format!("{}/api/v1{path}", kefu.http_url())).bearer_auth(token);
    let answer = request.json(&body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// A service's token for this.
fn service(kefu: &Kefu, name: &str, scopes: &[&str]) -> String {
    kefu.run(&["user", "add", name, "--role", "service=all", "--no-password"]);
    let mut arguments = vec!["user", "token", "add", name, "--name", "test"];
    for scope in scopes {
        arguments.extend(["--scope", scope]);
    }
    kefu.run(&arguments)["secret"].as_str().unwrap().to_owned()
}

fn texts(frame: &Value) -> Vec<&str> {
    let events = frame["commit"]["events"].as_array().into_iter().flatten();
    events
        .filter_map(|event| event["content"]["text"].as_str().or(event["message"]["content"]["text"].as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_page_says_and_sees_its_own_conversation_and_nothing_of_what_is_behind_it() {
    let kefu = Kefu::start().await;
    let backend = service(&kefu, "backend", &["customer.admit"]);
    let wanted = json!({ "channel": "page", "thread": "alice", "sender": "alice", "name": "Alice" });
    let (status, made) = post(&kefu, "/customers/tokens", &backend, wanted).await;
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap().to_owned();
    assert_eq!(made["conversation"], conversation_key("page", "alice"));
    // Somebody else's conversation goes on beside.
    kefu.run(&["send", "--channel", "page", "--from", "bob", "--wait", "0s", "I am bob"]);

    let mut page = Socket::of_page(kefu.http_port(), &token).await;
    let reset = page.begin().await;
    assert_eq!((&reset["type"], &reset["seq"], &reset["conversations"]), (&json!("reset"), &json!(0), &json!([])));
    page.send(json!({ "type": "say", "id": "m1", "text": "human please" })).await;
    let said = page.until("the result", |frame| frame["type"] == "result").await;
    assert_eq!(said["result"]["ok"], true, "{said}");
    page.until("what was said", |frame| texts(frame).contains(&"human please")).await;
    // The same again is the same message.
    page.send(json!({ "type": "say", "id": "m1", "text": "human please" })).await;

    let conversation = "page:alice";
    eventually("somebody is asked for", async || {
        let listed = kefu.command().args(["--json", "show", conversation]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).contains("queued").then_some(())
    })
    .await;
    kefu.run(&["act", conversation, "tag", INTERNAL]);
    kefu.run(&["act", conversation, "offer", "--agent", INTERNAL]);
    let agent = format!("agent:{INTERNAL}");
    kefu.run(&["act", conversation, "--as", &agent, "accept", "--name", "Ann"]);
    kefu.run(&["act", conversation, "--as", &agent, "note", &format!("{INTERNAL} is what we call this customer")]);
    kefu.run(&["act", conversation, "--as", &agent, "reply", "Hello, Alice!"]);
    let mut seen = Vec::new();
    loop {
        let frame = page.next().await.unwrap();
        let done = texts(&frame).contains(&"Hello, Alice!");
        seen.push(frame);
        if done {
            break;
        }
    }
    let reply = &seen.last().unwrap()["commit"]["events"][0];
    assert_eq!(reply["author"], json!({ "kind": "agent", "name": "Ann" }));

    // A page that is opened again has all of it, once, in order, and nothing more.
    let mut again = Socket::of_page(kefu.http_port(), &token).await;
    again.begin().await;
    let (mut last, mut all) = (0, Vec::new());
    loop {
        let frame = again.next().await.unwrap();
        assert_eq!(frame["prev"], last, "{frame}");
        last = frame["seq"].as_u64().unwrap();
        all.extend(texts(&frame).into_iter().map(str::to_owned));
        seen.push(frame);
        if all.iter().any(|text| text == "Hello, Alice!") {
            break;
        }
    }
    assert_eq!(all.iter().filter(|text| *text == "human please").count(), 1, "{all:?}");
    let everything = serde_json::to_string(&seen).unwrap();
    for hidden in [INTERNAL, "I am bob", "queued", "concerns", "\"actor\"", "\"contact\""] {
        assert!(!everything.contains(hidden), "{hidden} in {everything}");
    }

    // It may do nothing else.
    let command = json!({ "command": { "type": "note", "text": "x" } });
    let own = conversation_key("page", "alice");
    let command = json!({ "type": "command", "id": "c1", "aggregate": "conversation", "key": own, "command": command["command"] });
    again.send(command).await;
    let refused = again.until("a result", |frame| frame["type"] == "result").await;
    assert_eq!(refused["result"]["ok"], false, "{refused}");
    again.send(json!({ "type": "watch", "conversation": own })).await;
    again.until("a refusal", |frame| frame["type"] == "error").await;
    let get = |path: String| {
        let request = Client::new().get(format!("{}/api/v1{path}", kefu.http_url())).bearer_auth(&token);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for path in ["/conversations", "/events?wait=0", "/users", "/settings", "/agents/zebra", "/webhooks"] {
        assert!(matches!(get(path.to_owned()).await, 403 | 404), "{path}");
    }
    assert_eq!(get(format!("/conversations/{own}/commits")).await, 403);

    // Neither longer than it is for, nor after a change of a letter; nobody makes one who may not.
    let short = json!({ "channel": "page", "thread": "alice", "expires_s": 1 });
    let short = post(&kefu, "/customers/tokens", &backend, short).await.1["token"].as_str().unwrap().to_owned();
    let session = |token: String| {
        let request = Client::new().get(format!("{}/api/v1/session", kefu.http_url())).bearer_auth(token);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    eventually("the token's end", async || (session(short.clone()).await == 401).then_some(())).await;
    let (said, signed) = token.split_once('.').unwrap();
    let other = if signed.starts_with('A') { "B" } else { "A" };
    assert_eq!(session(format!("{said}.{other}{}", &signed[1..])).await, 401);
    let other = service(&kefu, "other", &["report.read"]);
    let wanted = json!({ "channel": "page", "thread": "alice" });
    assert_eq!(post(&kefu, "/customers/tokens", &other, wanted.clone()).await.0, 403);
    assert_eq!(post(&kefu, "/customers/tokens", &token, wanted).await.0, 403);
    let reserved = json!({ "channel": "agent", "thread": "alice" });
    assert_eq!(post(&kefu, "/customers/tokens", &backend, reserved).await.0, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_hears_questions_at_the_socket_and_answers_them_and_one_without_the_permission_does_not() {
    let kefu = Kefu::start().await;
    kefu.run(&["settings", "set", "bot.answer_deadline_s=60"]);
    let bot = service(&kefu, "oracle", &["conversation.read", "answer.give"]);
    let reader = service(&kefu, "reader", &["conversation.read"]);
    let mut socket = Socket::open(kefu.http_port(), &bot).await;
    socket.begin().await;
    kefu.run(&["send", "--channel", "web", "--from", "alice", "--wait", "0s", "What is the answer?"]);
    let asks = |frame: &Value| {
        let events = frame["commit"]["events"].as_array().cloned().unwrap_or_default();
        events.into_iter().find(|event| event["type"] == "answer_requested")
    };
    let frame = socket.until("a question", |frame| asks(frame).is_some()).await;
    let request = asks(&frame).unwrap()["request"].clone();
    let key = frame["commit"]["key"].as_str().unwrap().to_owned();
    let answer = json!({ "type": "give_answer", "request": request, "confidence": 0.99,
        "content": { "kind": "text", "text": "42" } });
    let (status, told) =
        post(&kefu, &format!("/conversations/{key}/commands"), &reader, json!({ "command": answer })).await;
    assert_eq!((status, &told["error"]["permission"]), (StatusCode::FORBIDDEN, &json!("answer.give")), "{told}");
    socket
        .send(json!({ "type": "command", "id": "a1", "aggregate": "conversation", "key": key, "command": answer }))
        .await;
    let given = socket.until("the result", |frame| frame["type"] == "result").await;
    assert_eq!(given["result"]["ok"], true, "{given}");
}
