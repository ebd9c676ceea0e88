//! The protocol, and every way in which a server may not keep to it.

use super::{Reply, Request, Server, answerer, ask, entries, now, ok, settings, tag, whole};
use kefu::{
    faq::llm::{
        Answerer, LlmOutcome, LlmSettings, Question, Refusal, Skipped, Speaker, Turn,
        budget::{OverBudget, Spent},
        settings::LlmLimits,
    },
    http::{Fault, KeySource, client},
};
use kefu_events::Timestamp;
use serde_json::json;
use std::io::Write;

const HONEST: &str = "Refunds take 5 working days. [{tag}-1]";
const QUESTION: &str = "How long does a refund take?";

fn text(outcome: LlmOutcome) -> String {
    match outcome {
        LlmOutcome::Answered { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

fn fault(outcome: LlmOutcome) -> Fault {
    match outcome {
        LlmOutcome::Failed(fault) => fault,
        other => panic!("{other:?}"),
    }
}

/// Events of a stream that writes `text`, cut after every `size` bytes wherever that is.
fn events(request: &Request, text: &str, size: usize, end: &str) -> Vec<String> {
    let delta = |content: &str, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": { "content": content }, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "choices": [choice] }))
    };
    let text = text.replace("{tag}", &tag(request));
    let words = text.split_inclusive(' ').map(|word| delta(word, None));
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 500, "completion_tokens": 12 } });
    let stream: String = std::iter::once(": comment\r\n".to_owned())
        .chain(words)
        .chain([delta("", Some("stop")), format!("data: {usage}\n\n")])
        .collect();
    let stream: Vec<char> = (stream + end).chars().collect();
    stream.chunks(size).map(|piece| piece.iter().collect()).collect()
}

#[tokio::test]
async fn a_whole_answer_comes_back_checked_with_its_sources_and_usage() {
    let mut key = tempfile::NamedTempFile::new().unwrap();
    writeln!(key, "sk-very-secret").unwrap();
    let server = Server::start(|_, request| whole(request, HONEST)).await;
    let key = Some(KeySource::File(key.path().to_owned()));
    let answerer = answerer(LlmSettings { key, instructions: "Be brief.".to_owned(), ..settings(&server) });
    let LlmOutcome::Answered { text, sources, usage } = ask(&answerer, QUESTION).await else { panic!("no answer") };
    assert_eq!(text, "Refunds take 5 working days.");
    assert_eq!((sources[0].id.as_str(), sources[0].version, sources.len()), ("refund", 1, 1));
    assert_eq!((usage.input, usage.output, answerer.spent().tokens), (700, 30, 730));
    let request = server.requests().remove(0);
    assert!(request.head.starts_with("POST /v1/chat/completions "));
    assert!(request.head.to_lowercase().contains("authorization: bearer sk-very-secret"));
    assert_eq!((&request.body["model"], &request.body["stream"]), (&json!("small"), &json!(false)));
    assert!(request.body["messages"][0]["content"].as_str().unwrap().contains("Be brief."));
}

#[tokio::test]
async fn a_stream_is_put_together_wherever_it_is_cut() {
    for size in [1, 7, 1_000_000] {
        let answer = "退款会在5个工作日内退回原支付方式。 [{tag}-2]";
        let server =
            Server::start(move |_, request| Reply::Pieces(events(request, answer, size, "data: [DONE]\n\n"))).await;
        let answerer = answerer(LlmSettings { stream: true, ..settings(&server) });
        assert_eq!(text(ask(&answerer, "退款多久到账？").await), "退款会在5个工作日内退回原支付方式。");
        assert_eq!(answerer.spent().tokens, 512);
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_saying_done_is_whole_if_it_says_stop_and_half_if_not() {
    let server = Server::start(|_, request| Reply::Pieces(events(request, HONEST, 50, ""))).await;
    let stream = |server: &Server| answerer(LlmSettings { stream: true, ..settings(server) });
    assert!(text(ask(&stream(&server), QUESTION).await).starts_with("Refunds"));
    let half = |request: &Request| events(request, HONEST, 60, "")[..4].to_vec();
    let server = Server::start(move |_, request| Reply::Pieces(half(request))).await;
    assert!(matches!(fault(ask(&stream(&server), QUESTION).await), Fault::Malformed(_)));
    let server = Server::start(move |_, request| Reply::Broken(half(request))).await;
    assert!(matches!(fault(ask(&stream(&server), QUESTION).await), Fault::Unreachable(_)));
}

#[tokio::test]
async fn broken_events_and_errors_inside_a_stream_are_faults() {
    for (piece, malformed) in [
        ("data: {\"choices\": [\n\n", true),
        ("data: \u{fffd}\n\n", true),
        ("data: {\"error\": {\"message\": \"out of memory\"}}\n\n", false),
    ] {
        let server = Server::start(move |_, _| Reply::Pieces(vec![piece.to_owned()])).await;
        let limits = LlmLimits { retries: 0, ..settings(&server).limits };
        let answerer = answerer(LlmSettings { stream: true, limits, ..settings(&server) });
        let fault = fault(ask(&answerer, QUESTION).await);
        assert_eq!(matches!(fault, Fault::Malformed(_)), malformed, "{piece}: {fault}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_given_up_early() {
    let piece = "data: {\"choices\": [{\"delta\": {\"content\": \"refund refund refund refund \"}}]}\n\n";
    // It never ends: only giving up ends the test.
    let server = Server::start(move |_, _| Reply::Hangs(vec![piece.to_owned(); 500])).await;
    let answerer = answerer(LlmSettings { stream: true, ..settings(&server) });
    let outcome = ask(&answerer, QUESTION).await;
    assert!(matches!(outcome, LlmOutcome::Refused { reason: Refusal::TooLong, .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_huge_whole_answer_is_not_read_to_its_end() {
    let server = Server::start(|_, _| Reply::Hangs(vec![" ".repeat(100_000); 20])).await;
    assert!(matches!(fault(ask(&answerer(settings(&server)), QUESTION).await), Fault::TooLong(_)));
}

#[tokio::test]
async fn silence_and_half_a_stream_are_timeouts() {
    let start = "data: {\"choices\": [{\"delta\": {\"content\": \"Refunds\"}}]}\n\n".to_owned();
    for reply in [Reply::Silence, Reply::Hangs(vec![start])] {
        let server = Server::start(move |_, _| reply.clone()).await;
        let limits = LlmLimits { timeout_ms: 300, ..settings(&server).limits };
        let answerer = answerer(LlmSettings { stream: true, limits, ..settings(&server) });
        assert_eq!(fault(ask(&answerer, QUESTION).await), Fault::Timeout);
        assert!(answerer.spent().tokens > 400, "what it may have used stays spent: {:?}", answerer.spent());
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let server = Server::start(|number, request| match number {
        0 => Reply::Whole(429, "retry-after: 0\r\n", String::new()),
        1 => whole(request, HONEST),
        2 => Reply::Whole(500, "", "oops".to_owned()),
        3 => whole(request, HONEST),
        _ => Reply::Whole(401, "", "wrong key".to_owned()),
    })
    .await;
    let answerer = answerer(settings(&server));
    text(ask(&answerer, QUESTION).await);
    text(ask(&answerer, QUESTION).await);
    let spent = answerer.spent();
    assert_eq!(fault(ask(&answerer, QUESTION).await), Fault::Refused { status: 401, message: "wrong key".to_owned() });
    assert_eq!((server.requests().len(), answerer.spent()), (5, spent));
}

#[tokio::test]
async fn a_server_that_wants_an_hour_of_rest_is_not_waited_for() {
    let server = Server::start(|_, _| Reply::Whole(429, "retry-after: 3600\r\n", String::new())).await;
    assert!(matches!(fault(ask(&answerer(settings(&server)), QUESTION).await), Fault::RateLimited { .. }));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn broken_json_and_missing_parts_are_faults_or_refusals() {
    let stop = |message: serde_json::Value, finish: &str| json!({ "choices": [{ "message": message, "finish_reason": finish }] });
    let cases = [
        (Reply::Whole(200, "", "<html>".to_owned()), "fault"),
        (Reply::Whole(200, "", String::new()), "fault"),
        (ok(&json!({})), "fault"),
        (ok(&json!({ "choices": [] })), "fault"),
        (ok(&stop(json!({ "content": null, "tool_calls": [{}] }), "tool_calls")), "empty"),
        (ok(&stop(json!({ "content": "Refunds take" }), "length")), "too_long"),
        (ok(&stop(json!({ "content": "" }), "content_filter")), "withheld"),
    ];
    for (reply, expected) in cases {
        let said = format!("{reply:?}");
        let server = Server::start(move |_, _| reply.clone()).await;
        let got = match ask(&answerer(settings(&server)), QUESTION).await {
            LlmOutcome::Failed(Fault::Malformed(_)) => "fault",
            LlmOutcome::Refused { reason: Refusal::Empty, .. } => "empty",
            LlmOutcome::Refused { reason: Refusal::TooLong, .. } => "too_long",
            LlmOutcome::Refused { reason: Refusal::Withheld, .. } => "withheld",
            other => panic!("{said}: {other:?}"),
        };
        assert_eq!(got, expected, "{said}");
    }
}

#[tokio::test]
async fn after_failures_the_server_is_left_alone_and_then_tried_once() {
    let server = Server::start(|number, request| match number {
        0..3 => Reply::Whole(500, "", String::new()),
        _ => whole(request, HONEST),
    })
    .await;
    let limits = LlmLimits { retries: 0, breaker_failures: 3, breaker_open_ms: 1_000, ..settings(&server).limits };
    let answerer = answerer(LlmSettings { limits, ..settings(&server) });
    let entries = entries();
    let at = async |ms: i64| {
        let question = Question { text: QUESTION, context: &[], names: &[] };
        answerer.answer(&question, &entries, Timestamp::from_millis(ms)).await
    };
    for ms in 0..3 {
        assert!(matches!(at(ms).await, LlmOutcome::Failed(_)));
    }
    assert_eq!(at(500).await, LlmOutcome::Skipped(Skipped::Resting));
    assert_eq!(server.requests().len(), 3);
    text(at(1_100).await);
    text(at(1_101).await);
    let counts = answerer.counts();
    assert_eq!((counts.answered, counts.failed, counts.skipped, counts.input_tokens), (2, 3, 1, 1_400));
}

#[tokio::test]
async fn a_server_that_hangs_is_left_alone_even_if_nobody_waits_for_its_time_out() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let limits = LlmLimits { breaker_failures: 2, ..settings(&server).limits };
    let answerer = answerer(LlmSettings { limits, ..settings(&server) });
    for _ in 0..2 {
        let mut asked = Box::pin(ask(&answerer, QUESTION));
        assert!(futures::poll!(&mut asked).is_pending());
    }
    assert_eq!(ask(&answerer, QUESTION).await, LlmOutcome::Skipped(Skipped::Resting));
    assert!(answerer.spent().tokens > 800, "what was given up may have been used: {:?}", answerer.spent());
}

#[tokio::test]
async fn the_budget_of_a_day_is_not_exceeded_and_survives_a_restart() {
    let server = Server::start(|_, request| whole(request, HONEST)).await;
    let limits = LlmLimits { tokens_per_day: 3_000, ..settings(&server).limits };
    let settings = LlmSettings { limits, ..settings(&server) };
    let first = answerer(settings.clone());
    let mut answered = 0;
    while !matches!(ask(&first, QUESTION).await, LlmOutcome::Skipped(Skipped::OverBudget(OverBudget::Tokens))) {
        answered += 1;
    }
    assert_eq!(server.requests().len(), answered);
    assert!(answered >= 1 && first.spent().tokens <= 3_000);
    let kept: Spent = serde_json::from_value(serde_json::to_value(first.spent()).unwrap()).unwrap();
    let second = answerer(settings);
    second.restore(kept);
    assert!(matches!(ask(&second, QUESTION).await, LlmOutcome::Skipped(Skipped::OverBudget(_))));
}

#[tokio::test]
async fn personal_data_do_not_leave_and_come_back() {
    let server = Server::start(|_, request| {
        // The number of the name is the second placeholder that was made: the address comes first, in the earlier message.
        whole(request, "{{tag}-NAME-2}, refunds take 5 working days. [{tag}-1]")
    })
    .await;
    let answerer = answerer(settings(&server));
    let context = [Turn { speaker: Speaker::Customer, text: "mine is ann@mail.example" }];
    let question = Question {
        text: "I am Ann Lee, 13812345678. How long does a refund take?",
        context: &context,
        names: &["Ann Lee"],
    };
    let outcome = answerer.answer(&question, &entries(), now()).await;
    let sent = server.requests().remove(0).body.to_string();
    for personal in ["Ann Lee", "ann@mail.example", "13812345678"] {
        assert!(!sent.contains(personal), "{personal} left");
    }
    assert!(sent.contains("400-820-8820"), "entries are sent as they are");
    // Phones are looked for before names.
    assert!(matches!(outcome, LlmOutcome::Refused { reason: Refusal::UnknownPlaceholder, .. }), "{outcome:?}");
    let server =
        Server::start(|_, request| whole(request, "{{tag}-NAME-3}, refunds take 5 working days. [{tag}-1]")).await;
    let answerer = super::answerer(settings(&server));
    assert_eq!(text(answerer.answer(&question, &entries(), now()).await), "Ann Lee, refunds take 5 working days.");
}

#[tokio::test]
async fn nothing_is_asked_when_it_is_off_without_entries_or_while_too_much_is_under_way() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let off = Answerer::new(LlmSettings::default(), client().unwrap()).unwrap();
    assert_eq!(ask(&off, QUESTION).await, LlmOutcome::Skipped(Skipped::Off));
    let limits = LlmLimits { parallel: 1, ..settings(&server).limits };
    let answerer = answerer(LlmSettings { limits, ..settings(&server) });
    let nothing = Question { text: QUESTION, context: &[], names: &[] };
    assert_eq!(answerer.answer(&nothing, &[], now()).await, LlmOutcome::Skipped(Skipped::NoEntries));
    let mut running = Box::pin(ask(&answerer, QUESTION));
    assert!(futures::poll!(&mut running).is_pending());
    assert_eq!(ask(&answerer, QUESTION).await, LlmOutcome::Skipped(Skipped::Busy));
    assert!(server.requests().len() <= 1);
}

#[test]
fn a_key_that_is_not_there_is_said_at_the_start() {
    let key = Some(KeySource::Environment("KEFU_TEST_NO_SUCH_KEY".to_owned()));
    let settings = LlmSettings { enabled: true, key, ..LlmSettings::default() };
    let error = Answerer::new(settings, client().unwrap()).err().unwrap();
    assert!(error.to_string().contains("KEFU_TEST_NO_SUCH_KEY"));
}
