use super::*;
use crate::aggregate::TenantConfig;
use kefu_events::{
    Actor, ActorKind, CommandHeader, Timestamp,
    faq::{EntryContent, FaqEvent as Event},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One entry.
#[derive(Default)]
struct World {
    state: State,
    version: u64,
}

impl World {
    fn asks_as(&mut self, kind: ActorKind, mut body: Value) -> Result<Vec<Event>, Refusal> {
        let config = TenantConfig::default();
        body["v"] = json!(1);
        let actor = Actor::new(kind, "ann");
        let header = CommandHeader {
            id: "x".to_owned(),
            aggregate: AggregateKind::Faq,
            key: "returns".to_owned(),
            expected_version: None,
            actor: actor.clone(),
            at: Timestamp::default(),
            correlation: None,
        };
        let context = Context {
            tenant: "demo",
            key: "returns",
            version: self.version,
            now: Timestamp::from_millis(1_000 * (self.version as i64 + 1)),
            commit_id: "c",
            settings: &config,
            found: &[],
        };
        let command = serde_json::from_value(body).unwrap();
        let events = Entry::decide(&self.state, &Input::Command(header, command), &context)?;
        self.version += 1;
        let meta = CommitMeta {
            at: context.now,
            actor,
            version: self.version,
            key: "returns".to_owned(),
            commit_id: "c".to_owned(),
        };
        for event in &events {
            Entry::evolve(&mut self.state, &meta, event);
        }
        Ok(events)
    }

    fn asks(&mut self, body: Value) -> Result<Vec<Event>, Refusal> {
        self.asks_as(ActorKind::Agent, body)
    }

    fn code(&mut self, body: Value) -> String {
        self.asks(body).unwrap_err().code
    }

    fn answer(&self) -> Option<&str> {
        self.state.answering().map(|version| version.content.answer.as_str())
    }
}

fn draft(answer: &str) -> Value {
    json!({"type": "draft", "content": {"question": "Can I return it?", "answer": answer}})
}

fn approve() -> Value {
    json!({"type": "approve"})
}

#[test]
fn an_edit_never_takes_an_answer_away() {
    let mut world = World::default();
    world.asks(draft("14 days")).unwrap();
    assert_eq!((world.state.status(), world.answer()), (EntryStatus::Draft, None), "nobody has approved it");
    world.asks(approve()).unwrap();
    world.asks(draft("30 days")).unwrap();
    assert_eq!(world.answer(), Some("14 days"), "what is approved goes on answering");
    assert!(world.state.has_draft());
    world.asks(approve()).unwrap();
    assert_eq!((world.answer(), world.state.has_draft()), (Some("30 days"), false));
    let approval = world.state.newest().and_then(|newest| newest.approval.clone()).unwrap();
    assert_eq!(approval.reviewer, "ann");
}

#[test]
fn what_was_not_looked_at_is_not_approved() {
    let mut world = World::default();
    world.asks(draft("14 days")).unwrap();
    world.asks(draft("never")).unwrap();
    assert_eq!(world.code(json!({"type": "approve", "entry_version": 1})), "stale");
    world.asks(json!({"type": "approve", "entry_version": 2})).unwrap();
    assert_eq!(world.code(approve()), "unchanged");
}

#[test]
fn retired_taken_up_again_and_rolled_back() {
    let mut world = World::default();
    world.asks(draft("14 days")).unwrap();
    world.asks(approve()).unwrap();
    world.asks(draft("30 days")).unwrap();
    world.asks(json!({"type": "retire", "reason": "law"})).unwrap();
    assert_eq!((world.state.status(), world.answer()), (EntryStatus::Retired, None));
    assert_eq!(world.code(json!({"type": "retire"})), "unchanged");
    world.asks(json!({"type": "rollback", "to": 1})).unwrap();
    assert_eq!((world.state.status(), world.answer()), (EntryStatus::Draft, None), "a rollback wants approval");
    assert_eq!(world.state.newest().and_then(|newest| newest.rolled_back_to), Some(1));
    world.asks(approve()).unwrap();
    assert_eq!(world.answer(), Some("14 days"));
    assert_eq!(world.code(json!({"type": "rollback", "to": 1})), "unchanged");
    assert_eq!(world.code(json!({"type": "rollback", "to": 9})), "unknown_version");
}

#[test]
fn the_same_again_is_unchanged_so_that_an_import_can_be_repeated() {
    let mut world = World::default();
    let content = json!({"question": " Can I return it? ", "similar": ["return?", " return?", ""], "answer": "Yes"});
    world.asks(json!({"type": "draft", "content": content})).unwrap();
    let newest = world.state.newest().unwrap();
    assert_eq!((newest.content.question.as_str(), newest.content.similar.len()), ("Can I return it?", 1));
    assert_eq!(world.code(json!({"type": "draft", "content": content})), "unchanged");
}

#[test]
fn feedback_is_counted_for_the_version_that_was_used() {
    let mut world = World::default();
    world.asks(draft("14 days")).unwrap();
    world.asks(approve()).unwrap();
    world.asks(json!({"type": "give_feedback", "feedback": "adopted"})).unwrap();
    world.asks(draft("30 days")).unwrap();
    world.asks(approve()).unwrap();
    world.asks(json!({"type": "give_feedback", "feedback": "helpful", "entry_version": 1})).unwrap();
    world.asks_as(ActorKind::System, json!({"type": "give_feedback", "feedback": "unhelpful"})).unwrap();
    assert_eq!(world.state.feedback[&1], FeedbackCounts { adopted: 1, helpful: 1, ..FeedbackCounts::default() });
    assert_eq!(world.state.feedback[&2], FeedbackCounts { unhelpful: 1, ..FeedbackCounts::default() });
    assert_eq!(
        world.code(json!({"type": "give_feedback", "feedback": "helpful", "entry_version": 7})),
        "unknown_version"
    );
}

#[test]
fn a_bot_may_draft_and_people_approve() {
    let mut world = World::default();
    assert_eq!(world.code(approve()), "unknown_entry");
    world.asks_as(ActorKind::Bot, draft("14 days")).unwrap();
    assert_eq!(world.asks_as(ActorKind::Bot, approve()).unwrap_err().code, "not_allowed");
    assert_eq!(world.asks_as(ActorKind::Customer, draft("x")).unwrap_err().code, "not_allowed");
}

#[test]
fn refusals_name_the_path() {
    for (content, expected) in [
        (json!({"question": " ", "answer": "a"}), "question: 1 to 500 characters, not 0"),
        (json!({"question": "q", "answer": ""}), "answer: 1 to 4000 characters, not 0"),
        (json!({"question": "q", "answer": "好".repeat(4_001)}), "answer: 1 to 4000 characters, not 4001"),
        (json!({"question": "q", "answer": "a", "similar": ["x".repeat(501)]}), "similar[0]: 1 to 500"),
        (json!({"question": "q", "answer": "Dear {name}"}), "answer: the variable {name} has no value"),
        (json!({"question": "q", "answer": "a } b"}), "answer: a brace is written }}"),
        (json!({"question": "q", "answer": "a", "channel_answers": {"web": "{x"}}), "channel_answers.web: a brace"),
        (json!({"question": "q", "answer": "a", "channel_answers": {"a b": "x"}}), "channel_answers: \"a b\" is no"),
        (json!({"question": "q", "answer": "a", "language": "中文"}), "language: "),
        (
            json!({"question": "q", "answer": "a", "valid_from": "2026-01-02T00:00:00.000Z",
                   "valid_until": "2026-01-01T00:00:00.000Z"}),
            "valid_until: is not after valid_from",
        ),
    ] {
        let refusal = World::default().asks(json!({"type": "draft", "content": content})).unwrap_err();
        assert!(refusal.message.starts_with(expected), "{}\n{expected}", refusal.message);
    }
}

#[test]
fn variables_are_filled_in_and_braces_are_written_twice() {
    let own = BTreeMap::from([("shop".to_owned(), "Ann's".to_owned()), ("customer_name".to_owned(), "you".to_owned())]);
    let known = BTreeMap::from([("customer_name".to_owned(), "Bob".to_owned())]);
    let text = "Dear {customer_name}, {shop} {{is}} open";
    assert_eq!(render(text, &own, &known).unwrap(), "Dear Bob, Ann's {is} open");
    assert_eq!(render(text, &own, &BTreeMap::new()).unwrap(), "Dear you, Ann's {is} open");
    render("{", &own, &known).unwrap_err();
    render("{nobody}", &own, &known).unwrap_err();
}

#[test]
fn the_approved_version_outlives_any_number_of_drafts() {
    let mut world = World::default();
    world.asks(draft("first")).unwrap();
    world.asks(approve()).unwrap();
    for number in 0..2 * MAX_HISTORY {
        world.asks(draft(&format!("draft {number}"))).unwrap();
    }
    assert_eq!(world.answer(), Some("first"));
    assert_eq!(world.state.history.len(), MAX_HISTORY + 1);
}

fn deeds() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..4u8).prop_map(|text| draft(&format!("answer {text}"))),
        (0..6u64).prop_map(|version| json!({"type": "approve", "entry_version": version})),
        Just(approve()),
        Just(json!({"type": "retire"})),
        (0..6u64).prop_map(|to| json!({"type": "rollback", "to": to})),
        (0..6u64).prop_map(|version| json!({"type": "give_feedback", "feedback": "edited", "entry_version": version})),
    ]
}

proptest! {
    /// Whatever is asked in whatever order: only what was approved answers, and what answers was written.
    #[test]
    fn only_what_was_approved_answers(deeds in prop::collection::vec(deeds(), 0..40)) {
        let mut world = World::default();
        for deed in deeds {
            let before = world.state.clone();
            match world.asks(deed.clone()) {
                Err(_) => prop_assert_eq!(&world.state, &before, "a refusal changes nothing"),
                Ok(events) => prop_assert_eq!(events.len(), 1),
            }
            let state = &world.state;
            prop_assert_eq!(state.retired && state.approved.is_some(), false);
            if let Some(approved) = state.approved {
                let version = state.version(approved).expect("what answers is remembered");
                prop_assert!(version.approval.is_some());
                if before.approved != state.approved {
                    prop_assert_eq!(deed["type"].as_str(), Some("approve"));
                }
            }
            let numbers: Vec<u64> = state.history.iter().map(|version| version.entry_version).collect();
            prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    /// Content that is accepted can be sent: its answers are filled in without an error.
    #[test]
    fn accepted_answers_can_be_sent(answer in "[a{} ]{1,12}", value in "[a-z]{0,3}") {
        let variables = BTreeMap::from([("a".to_owned(), value)]);
        let content = EntryContent { question: "q".to_owned(), answer, variables, ..EntryContent::default() };
        let content = tidied(content);
        if check(&content).is_ok() {
            prop_assert!(render(&content.answer, &content.variables, &BTreeMap::new()).is_ok());
        }
    }
}
