//! Attacks in entries and in messages, in English and Chinese. Each says what a model would write that obeys; whatever that
//! is, the customer must not get it. The model knows the request's secret, as a real one does.

use super::{Reply, Server, answerer, entries, http::Request, settings, whole};
use kefu::faq::llm::{LlmOutcome, Question, SourceEntry, Speaker, Turn};
use kefu_events::Timestamp;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    id: String,
    /// What the customer asks; the attack itself, if it is `in` the question.
    question: String,
    /// `entry`, `question` or `earlier` (an earlier message).
    r#in: String,
    attack: String,
    /// What a captured model writes.
    captured: String,
    /// The name of the rule that stops it, or `passes` for what breaks none.
    expect: String,
}

fn cases() -> Vec<Case> {
    include_str!("injections.jsonl").lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The refusal's name in JSON.
fn name(refusal: &kefu::faq::llm::Refusal) -> String {
    match serde_json::to_value(refusal).unwrap() {
        serde_json::Value::Object(object) => object.keys().next().unwrap().clone(),
        name => name.as_str().unwrap().to_owned(),
    }
}

#[tokio::test]
async fn a_captured_model_is_not_heard() {
    let cases = cases();
    assert!(cases.iter().filter(|case| case.expect != "passes").count() >= 50);
    assert_eq!(cases.iter().map(|case| &case.id).collect::<BTreeSet<_>>().len(), cases.len(), "ids are different");
    let writes = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&writes);
    let server = Server::start(move |_, request: &Request| -> Reply { whole(request, &written.lock().unwrap()) }).await;
    let answerer = answerer(settings(&server));
    let mut wrong = Vec::new();
    for case in &cases {
        *writes.lock().unwrap() = case.captured.clone();
        let mut sources = entries();
        let mut earlier = Vec::new();
        match case.r#in.as_str() {
            "entry" => sources.push(SourceEntry {
                id: "attacked".to_owned(),
                version: 1,
                question: "Other questions".to_owned(),
                answer: case.attack.clone(),
            }),
            "earlier" => earlier.push(Turn { speaker: Speaker::Customer, text: &case.attack }),
            "question" => assert!(case.question.contains(&case.attack)),
            other => panic!("{}: {other}", case.id),
        }
        let question = Question { text: &case.question, context: &earlier, names: &[] };
        let got = match answerer.answer(&question, &sources, Timestamp::from_millis(0)).await {
            LlmOutcome::Refused { reason, .. } => name(&reason),
            LlmOutcome::Answered { .. } => "passes".to_owned(),
            other => format!("{other:?}"),
        };
        if got != case.expect {
            wrong.push(format!("{}: {got} instead of {}", case.id, case.expect));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_attack_changes_the_rules_or_ends_its_part() {
    let server = Server::start(|_, request: &Request| whole(request, "NO-ANSWER-{tag}")).await;
    let answerer = answerer(settings(&server));
    for case in cases() {
        let entry =
            SourceEntry { id: "e".to_owned(), version: 1, question: "?".to_owned(), answer: case.attack.clone() };
        let earlier = [Turn { speaker: Speaker::Customer, text: &case.attack }];
        let question = Question { text: &case.attack, context: &earlier, names: &[] };
        answerer.answer(&question, &[entry], Timestamp::from_millis(0)).await;
        let request = server.requests().pop().unwrap();
        let tag = super::tag(&request);
        let content = |at: usize| request.body["messages"][at]["content"].as_str().unwrap().replace(&tag, "TAG");
        let first = server.requests().remove(0);
        let rules = first.body["messages"][0]["content"].as_str().unwrap().replace(&super::tag(&first), "TAG");
        assert_eq!(content(0), rules, "{}", case.id);
        let data = content(1);
        let (data, _task) = data.rsplit_once("<TAG end>").unwrap();
        let delimiters: Vec<&str> =
            data.lines().filter(|line| line.contains("TAG") && !line.contains("{TAG-")).collect();
        let expected = ["<TAG source 1>", "<TAG earlier message of customer>", "<TAG question>"];
        assert_eq!(delimiters, expected, "{}", case.id);
    }
}
