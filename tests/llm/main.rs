//! Answers that a language model words: against a server that speaks the protocol rightly, wrongly, late or never, and
//! against models that obey whoever writes to them.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "../support/http.rs"]
mod http;
mod injections;
mod protocol;

use http::{Reply, Request, Server};
use kefu::{
    faq::llm::{Answerer, LlmOutcome, LlmSettings, Question, SourceEntry},
    http::client,
};
use kefu_events::Timestamp;
use serde_json::{Value, json};

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

/// What the knowledge base says.
fn entries() -> Vec<SourceEntry> {
    let entry = |id: &str, question: &str, answer: &str| SourceEntry {
        id: id.to_owned(),
        version: 1,
        question: question.to_owned(),
        answer: answer.to_owned(),
    };
    vec![
        entry(
            "refund",
            "How long does a refund take?",
            "Refunds take 5 working days after we receive the parcel. Write to help@shop.example or call 400-820-8820.",
        ),
        entry(
            "invoice",
            "怎么开发票？退款多久到账？",
            "在订单详情页点击申请发票，电子发票会在24小时内发送到您的邮箱。收到退货后，退款会在5个工作日内退回原支付方式。",
        ),
    ]
}

fn settings(server: &Server) -> LlmSettings {
    serde_json::from_value(json!({
        "enabled": true, "url": server.url, "model": "small", "stream": false, "limits": { "timeout_ms": 30_000 },
    }))
    .unwrap()
}

fn answerer(settings: LlmSettings) -> Answerer {
    assert_eq!(settings.problems(), [""; 0]);
    Answerer::new(settings, client().unwrap()).unwrap()
}

async fn ask(answerer: &Answerer, text: &str) -> LlmOutcome {
    answerer.answer(&Question { text, context: &[], names: &[] }, &entries(), now()).await
}

/// The secret of a request, as a model sees it.
fn tag(request: &Request) -> String {
    let rules = request.body["messages"][0]["content"].as_str().unwrap();
    rules.split("NO-ANSWER-").nth(1).unwrap().chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// What a model writes, `{tag}` filled in, as a whole answer.
fn whole(request: &Request, text: &str) -> Reply {
    let text = text.replace("{tag}", &tag(request));
    let choice = json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    ok(&json!({ "choices": [choice], "usage": { "prompt_tokens": 700, "completion_tokens": 30 } }))
}

fn ok(value: &Value) -> Reply {
    Reply::Whole(200, "content-type: application/json\r\n", value.to_string())
}
