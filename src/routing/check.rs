//! Whether a document of rules may be set.

use super::{
    Facts,
    expression::{self, Misplaced, Variables},
    hours::LocalTime,
};
use kefu_events::{
    key::is_token,
    routing::{RoutingRule, RoutingSettings, RoutingTarget},
};
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};

/// Rules, at most.
const MAX_RULES: usize = 100;
/// Steps that all conditions of a document may take together: a quarter of what would be felt as a pause.
const MAX_STEPS: u64 = 50_000;
const MAX_NAME_CHARS: usize = 100;
/// Skills, tags and fields that one rule names, at most.
const MAX_NAMES: usize = 20;
const MAX_TAG_CHARS: usize = 100;

/// What is wrong with a document of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where: `rules[2].when`.
    pub path: String,
    /// The rule's name, where it has one.
    pub rule: Option<String>,
    /// Line and column (in characters) within the condition, both from 1.
    pub place: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(rule) = &self.rule {
            write!(f, " (rule {rule:?})")?;
        }
        match self.place {
            Some((line, column)) => write!(f, ", line {line}, column {column}: {}", self.message),
            None => write!(f, ": {}", self.message),
        }
    }
}

/// Whether a document of rules may be set.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(settings: &RoutingSettings) -> Result<(), Wrong> {
    if settings.rules.len() > MAX_RULES {
        let message = format!("has {} rules where {MAX_RULES} are allowed", settings.rules.len());
        return Err(Wrong { path: "rules".to_owned(), rule: None, place: None, message });
    }
    let metadata = Map::from_iter([("plan".to_owned(), json!("gold"))]);
    let example = example(&metadata);
    let variables = Variables::of(&example);
    let (mut names, mut steps) = (BTreeSet::new(), 0);
    for (index, rule) in settings.rules.iter().enumerate() {
        let wrong = |field: &str, message: String| Wrong {
            path: format!("rules[{index}].{field}"),
            rule: Some(rule.name.clone()),
            place: None,
            message,
        };
        if rule.name.trim().is_empty() || rule.name.chars().count() > MAX_NAME_CHARS {
            return Err(wrong("name", format!("a name has 1 to {MAX_NAME_CHARS} characters")));
        }
        if !names.insert(&rule.name) {
            return Err(wrong("name", "another rule has this name".to_owned()));
        }
        let misplaced = |Misplaced { line, column, message }| {
            let place = Some((line, column));
            Wrong { place, ..wrong("when", message) }
        };
        let condition = expression::compile(&rule.when).map_err(misplaced)?;
        if let Some(mistake) = condition.mistake(&variables) {
            return Err(misplaced(Misplaced { line: 1, column: 1, message: mistake }));
        }
        steps += condition.steps;
        if steps > MAX_STEPS {
            return Err(wrong(
                "when",
                format!("all rules to here take up to {steps} steps where {MAX_STEPS} are allowed"),
            ));
        }
        check_target(rule).map_err(|(field, message)| wrong(&format!("then.{field}"), message))?;
    }
    Ok(())
}

fn check_target(rule: &RoutingRule) -> Result<(), (String, String)> {
    let RoutingTarget { queue, priority, required, wished, tags, collect } = &rule.then;
    let no_token = |text: &str| format!("{text:?} is not 1 to 64 of A-Z, a-z, 0-9, _ and -");
    if let Some(queue) = queue.as_ref().filter(|queue| !is_token(queue)) {
        return Err(("queue".to_owned(), no_token(queue)));
    }
    if let Some(priority) = priority.filter(|priority| !(0..=10).contains(priority)) {
        return Err(("priority".to_owned(), format!("is {priority} where 0 to 10 is allowed")));
    }
    for (field, count) in
        [("required", required.len()), ("wished", wished.len()), ("tags", tags.len()), ("collect", collect.len())]
    {
        if count > MAX_NAMES {
            return Err((field.to_owned(), format!("has {count} entries where {MAX_NAMES} are allowed")));
        }
    }
    if let Some((skill, least)) = required.iter().find(|(_, least)| **least > 5) {
        return Err((format!("required.{skill}"), format!("is {least} where 0 to 5 is allowed")));
    }
    for (field, name) in
        required.keys().map(|name| ("required", name)).chain(wished.iter().map(|name| ("wished", name)))
    {
        if name.trim().is_empty() || name.chars().count() > MAX_TAG_CHARS {
            return Err((field.to_owned(), format!("a skill has 1 to {MAX_TAG_CHARS} characters")));
        }
    }
    if tags.iter().any(|tag| tag.trim().is_empty() || tag.chars().count() > MAX_TAG_CHARS) {
        return Err(("tags".to_owned(), format!("a tag has 1 to {MAX_TAG_CHARS} characters")));
    }
    match collect.iter().find(|field| !is_token(field)) {
        Some(field) => Err(("collect".to_owned(), no_token(field))),
        None => Ok(()),
    }
}

/// Some conversation, to find types that do not fit.
fn example(metadata: &Map<String, serde_json::Value>) -> Facts<'_> {
    Facts {
        channel: "web",
        language: "en",
        text: "Where is my order?",
        tags: &[],
        collected: BTreeMap::from([("order_number", "1234")]),
        sender_id: "alice",
        sender_name: "Alice",
        metadata,
        session: 1,
        returning: false,
        wants_person: true,
        now: LocalTime { hour: 12, weekday: 1, date: "2026-11-23".to_owned(), open: true },
    }
}
