//! A remote model, against a server that answers rightly, wrongly, late or never.

#[path = "../support/http.rs"]
mod http;

use super::cosine;
use http::{Reply, Server};
use kefu::{
    http::{Fault, KeySource},
    search::embed::{EmbedError, Embedder, RemoteEmbedder, RemoteSettings, Role},
};
use serde_json::{Value, json};
use std::{io::Write, sync::Arc};

fn settings(server: &Server) -> RemoteSettings {
    let settings = json!({ "url": server.url, "model": "some-model", "batch": 2, "timeout_ms": 30_000 });
    serde_json::from_value(settings).unwrap()
}

/// A vector per text of the request, last one first, as servers are free to do: `[characters, 1]`.
fn right(request: &http::Request) -> Value {
    let texts = request.body["input"].as_array().unwrap();
    let row = |(index, text): (usize, &Value)| json!({ "index": index, "embedding": [text.as_str().unwrap().chars().count(), 1], "object": "embedding" });
    json!({ "object": "list", "data": texts.iter().enumerate().map(row).rev().collect::<Vec<_>>() })
}

fn ok(value: &Value) -> Reply {
    Reply::Whole(200, "content-type: application/json\r\n", value.to_string())
}

/// A model behind a server that behaves for the first request, with which `connect` asks for the vectors' length.
async fn connected(
    later: impl Fn(usize, &http::Request) -> Reply + Send + Sync + 'static,
) -> (Server, Arc<RemoteEmbedder>) {
    let reply =
        move |number, request: &http::Request| if number == 0 { ok(&right(request)) } else { later(number, request) };
    let server = Server::start(reply).await;
    let embedder = RemoteEmbedder::connect(settings(&server)).await.unwrap();
    (server, Arc::new(embedder))
}

async fn embed(embedder: &Arc<RemoteEmbedder>, texts: &'static [&'static str]) -> Result<Vec<Vec<f32>>, EmbedError> {
    let embedder = Arc::clone(embedder);
    tokio::task::spawn_blocking(move || embedder.embed(texts, Role::Question)).await.unwrap()
}

fn fault<T>(result: Result<T, EmbedError>) -> Fault {
    match result.err().unwrap() {
        EmbedError::Remote(fault) => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn vectors_come_in_batches_in_order_and_of_length_one() {
    let mut key = tempfile::NamedTempFile::new().unwrap();
    writeln!(key, "sk-very-secret").unwrap();
    let server = Server::start(|_, request| ok(&right(request))).await;
    let settings = RemoteSettings {
        key: Some(KeySource::File(key.path().to_owned())),
        question_prefix: "query: ".to_owned(),
        ..settings(&server)
    };
    let embedder = Arc::new(RemoteEmbedder::connect(settings).await.unwrap());
    assert_eq!(embedder.identity().dimensions, 2);
    let vectors = embed(&embedder, &["a", "bbb", "客服客服客服"]).await.unwrap();
    for (vector, characters) in vectors.iter().zip([8.0_f32, 10.0, 13.0]) {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-6 && (vector[0] / vector[1] - characters).abs() < 1e-4);
    }
    let requests = server.requests();
    assert_eq!(
        requests.iter().map(|request| request.body["input"].as_array().unwrap().len()).collect::<Vec<_>>(),
        [1, 2, 1]
    );
    assert!(requests[1].head.starts_with("POST /v1/embeddings "));
    assert!(requests[1].head.to_lowercase().contains("authorization: bearer sk-very-secret"));
    assert_eq!(requests[1].body["model"], "some-model");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let (server, embedder) = connected(|number, request| match number {
        1 => Reply::Whole(500, "", "oops".to_owned()),
        2 => Reply::Whole(429, "retry-after: 0\r\n", String::new()),
        3 => ok(&right(request)),
        4.. => Reply::Whole(401, "", "wrong key".to_owned()),
        _ => unreachable!(),
    })
    .await;
    assert!(embed(&embedder, &["a"]).await.is_ok());
    assert_eq!(fault(embed(&embedder, &["a"]).await), Fault::Refused { status: 401, message: "wrong key".to_owned() });
    assert_eq!(server.requests().len(), 5);
}

#[tokio::test]
async fn a_server_that_goes_on_failing_is_given_up() {
    let (server, embedder) = connected(|_, _| Reply::Whole(503, "", "overloaded".to_owned())).await;
    assert!(matches!(fault(embed(&embedder, &["a"]).await), Fault::Failed { status: 503, .. }));
    assert_eq!(server.requests().len(), 4, "the probe, one request and two repetitions");
}

#[tokio::test]
async fn a_server_that_wants_more_rest_than_there_is_time_is_not_waited_for() {
    let (server, embedder) = connected(|_, _| Reply::Whole(429, "retry-after: 3600\r\n", String::new())).await;
    assert!(matches!(fault(embed(&embedder, &["a"]).await), Fault::RateLimited { retry_after: Some(_) }));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn silence_and_a_body_without_end_are_timeouts() {
    for reply in [Reply::Silence, Reply::Hangs(vec!["{\"data\": [".to_owned()])] {
        let first = |request: &http::Request| ok(&right(request));
        let server =
            Server::start(move |number, request| if number == 0 { first(request) } else { reply.clone() }).await;
        let embedder =
            RemoteEmbedder::connect(RemoteSettings { timeout_ms: 300, ..settings(&server) }).await.map(Arc::new);
        assert_eq!(fault(embed(&embedder.unwrap(), &["a"]).await), Fault::Timeout);
    }
}

#[tokio::test]
async fn wrong_answers_are_refused() {
    let row = |index: usize, embedding: Value| json!({ "index": index, "embedding": embedding });
    let cases = [
        (Reply::Whole(200, "", "not json".to_owned()), "expected"),
        (ok(&json!({ "data": [] })), "0 vectors for 1"),
        (ok(&json!({ "data": [row(1, json!([1, 2]))] })), "index 1"),
        (ok(&json!({ "data": [row(0, json!([1, 2, 3]))] })), "3 numbers, expected 2"),
        (ok(&json!({ "data": [row(0, json!([0, 0]))] })), "without length"),
        (ok(&json!({ "data": [row(0, json!([1e300, 1]))] })), "out of range"),
        (ok(&json!({ "data": [row(0, json!([null, 1]))] })), "null"),
        (Reply::Whole(200, "", "{\"data\": [{\"index\": 0, \"embedding\": [NaN, 1]}]}".to_owned()), "expected"),
    ];
    for (reply, says) in cases {
        let (_server, embedder) = connected(move |_, _| reply.clone()).await;
        let fault = fault(embed(&embedder, &["a"]).await);
        assert!(matches!(&fault, Fault::Malformed(what) if what.contains(says)), "{says}: {fault}");
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let (_server, embedder) = connected(|_, _| Reply::Hangs(vec!["[".repeat(100_000); 20])).await;
    assert!(matches!(fault(embed(&embedder, &["a"]).await), Fault::TooLong(_)));
}

#[tokio::test]
async fn a_connection_that_breaks_and_a_server_that_is_not_there_are_unreachable() {
    let (_server, embedder) = connected(|_, _| Reply::Broken(vec!["{\"data\":".to_owned()])).await;
    assert!(matches!(fault(embed(&embedder, &["a"]).await), Fault::Unreachable(_)));
    let nobody = RemoteSettings { url: "http://127.0.0.1:1/v1".to_owned(), ..settings(&_server) };
    assert!(matches!(fault(RemoteEmbedder::connect(nobody).await), Fault::Unreachable(_)));
}

#[tokio::test]
async fn another_model_or_prefix_is_another_identity() {
    let server = Server::start(|_, request| ok(&right(request))).await;
    let one = settings(&server);
    let other = RemoteSettings { passage_prefix: "passage: ".to_owned(), ..one.clone() };
    let [one, other] = [RemoteEmbedder::connect(one).await, RemoteEmbedder::connect(other).await].map(Result::unwrap);
    assert_ne!(one.identity().sha256, other.identity().sha256);
}
