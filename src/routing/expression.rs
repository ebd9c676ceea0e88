//! Conditions: expressions of the Common Expression Language, compiled once and kept.

use super::{Facts, Memory, VARIABLES, bounds};
use cel::{
    Context, Env, ExecutionError, Program, Value,
    common::types::{CelBool, CelString},
};
use regex::{Regex, RegexBuilder};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
};

/// Characters of a condition.
pub(super) const MAX_CHARS: usize = 1_000;
/// Brackets that it may open, and signs such as `-`, `.` and `=` that it may have, those within texts counted too: whether one
/// is in a text is for the parser to say, and the parser goes down the stack with each. A test holds that the worst takes half
/// of a thread's stack.
const MAX_BRACKETS: usize = 40;
const MAX_SIGNS: usize = 200;
/// Characters of what is said about an error.
const MAX_MESSAGE_CHARS: usize = 300;
/// Bytes that a compiled pattern may take, as for patterns of collected fields.
const MAX_PATTERN_BYTES: usize = 512 * 1024;

/// Compiled conditions that are kept, at most. A tenant has some ten.
static COMPILED: Memory<Arc<Condition>> = Memory::new(2_048);
/// The same for patterns in them.
static PATTERNS: Memory<Regex> = Memory::new(256);

/// What conditions can call.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    // They fail only for names that the standard library has, which a test would notice.
    let matches = cel::add_member_overload!(env, fn matches: (CelString, CelString) -> Result<CelBool>);
    let lower = cel::add_member_overload!(env, fn lower_ascii: (CelString) -> CelString);
    debug_assert!(matches.is_ok() && lower.is_ok());
    Arc::new(env)
});

fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    match search_pattern(pattern.inner()) {
        Ok(pattern) => Ok(pattern.is_match(text.inner()).into()),
        Err(error) => Err(ExecutionError::function_error("matches", error)),
    }
}

fn lower_ascii(text: &CelString<'_>) -> CelString<'static> {
    CelString::from(text.inner().to_ascii_lowercase())
}

/// A pattern as it is looked for: anywhere in a text.
pub(super) fn search_pattern(pattern: &str) -> Result<Regex, regex::Error> {
    PATTERNS.get(pattern, |pattern| RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build())
}

/// Steps for looking for a pattern in a long text: large ones are followed state by state, which was measured to take up to
/// 6 ms.
pub(super) fn pattern_steps(pattern: &str) -> Result<u64, regex::Error> {
    search_pattern(pattern)?;
    let fits = |bytes: usize| RegexBuilder::new(pattern).size_limit(bytes).build().is_ok();
    let steps = [(64, 50), (256, 500)].into_iter().find(|(kib, _)| fits(kib * 1024)).map(|(_, steps)| steps);
    Ok(steps.unwrap_or(2_000))
}

/// A condition that may be used.
#[derive(Debug)]
pub(super) struct Condition {
    program: Program,
    /// Steps that it takes at most.
    pub(super) steps: u64,
}

/// What is wrong with a condition, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misplaced {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) message: String,
}

/// A condition, compiled.
pub(super) fn compile(source: &str) -> Result<Arc<Condition>, Misplaced> {
    COMPILED.get(source, |source| compile_anew(source).map(Arc::new))
}

fn compile_anew(source: &str) -> Result<Condition, Misplaced> {
    let at_start = |message: String| Misplaced { line: 1, column: 1, message };
    let chars = source.chars().count();
    if chars > MAX_CHARS {
        return Err(at_start(format!("has {chars} characters where {MAX_CHARS} are allowed")));
    }
    if source.trim().is_empty() {
        return Err(at_start("is empty; `true` always holds".to_owned()));
    }
    let brackets = source.chars().filter(|c| "([{?".contains(*c)).count();
    if brackets > MAX_BRACKETS {
        return Err(at_start(format!("opens {brackets} brackets where {MAX_BRACKETS} are allowed")));
    }
    let signs = source.chars().filter(|c| ".-+*/%<>=!".contains(*c)).count();
    if signs > MAX_SIGNS {
        return Err(at_start(format!("has {signs} signs such as . and = where {MAX_SIGNS} are allowed")));
    }
    // A defect of the library must not set conversations aside.
    let parsed = catch_unwind(AssertUnwindSafe(|| ENVIRONMENT.compile(source)));
    let parsed = parsed.map_err(|_| at_start("cannot be read".to_owned()))?;
    let program = parsed.map_err(|errors| match errors.errors.first() {
        Some(error) => {
            let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
            Misplaced { line: place(error.pos.0), column: place(error.pos.1), message: readable(&error.msg) }
        }
        None => at_start("cannot be read".to_owned()),
    })?;
    let steps = bounds::steps(program.expression()).map_err(|(node, message)| {
        let start = program.source_info().offset_for(node).map_or(0, |(start, _)| start as usize);
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Misplaced { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, message }
    })?;
    Ok(Condition { program, steps })
}

/// The parser's message for people: without the list of all that it would have taken instead.
fn readable(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let end = message.find(" expecting {").unwrap_or(message.len());
    let message = message[..end].replace("mismatched input '<EOF>'", "it ends too early");
    cut(message.strip_prefix("mismatched input").map_or(message.clone(), |rest| format!("unexpected{rest}")))
}

fn cut(message: String) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => message[..end].to_owned(),
        None => message,
    }
}

/// Facts as conditions see them.
pub(super) struct Variables {
    context: Context<'static, 'static>,
}

impl Variables {
    pub(super) fn of(facts: &Facts) -> Self {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        let sender = BTreeMap::from([("id", facts.sender_id), ("name", facts.sender_name)]);
        let metadata = facts.metadata.iter().filter_map(|(name, known)| Some((name, Known::of(known)?)));
        let metadata: BTreeMap<&String, Known> = metadata.collect();
        for name in VARIABLES {
            let value = match name {
                "channel" => facts.channel.into(),
                "language" => facts.language.into(),
                "text" => facts.text.into(),
                "tags" => facts.tags.to_vec().into(),
                "collected" => value(&facts.collected),
                "sender" => value(&sender),
                "metadata" => value(&metadata),
                "session" => i64::from(facts.session).into(),
                "returning" => facts.returning.into(),
                "wants_person" => facts.wants_person.into(),
                "hour" => i64::from(facts.now.hour).into(),
                "weekday" => i64::from(facts.now.weekday).into(),
                "date" => facts.now.date.as_str().into(),
                "open" => facts.now.open.into(),
                _ => Value::Null,
            };
            context.add_variable_from_value(name, value);
        }
        Self { context }
    }
}

/// A part of the metadata. Whole numbers are signed, as they are written in conditions; the library's own conversion makes
/// them unsigned, which compares with nothing that people write.
#[derive(Serialize)]
#[serde(untagged)]
enum Known<'k> {
    Whole(i64),
    Other(f64),
    Flag(bool),
    Text(&'k str),
}

impl<'k> Known<'k> {
    fn of(value: &'k serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Bool(flag) => Some(Self::Flag(*flag)),
            serde_json::Value::String(text) => Some(Self::Text(text)),
            serde_json::Value::Number(number) => {
                number.as_i64().map(Self::Whole).or_else(|| number.as_f64().map(Self::Other))
            }
            _ => None,
        }
    }
}

fn value(of: &impl Serialize) -> Value {
    cel::to_value(of).unwrap_or(Value::Null)
}

impl Condition {
    /// Whether it holds.
    ///
    /// # Errors
    /// It cannot be computed from these facts, for people.
    pub(super) fn holds(&self, variables: &Variables) -> Result<bool, String> {
        // As above: the rule counts as not holding.
        let result = catch_unwind(AssertUnwindSafe(|| self.program.execute(&variables.context)));
        match result {
            Ok(Ok(Value::Bool(holds))) => Ok(holds),
            Ok(Ok(other)) => Err(format!("is {}, not true or false", kind(&other))),
            Ok(Err(error)) => Err(cut(reason(&error))),
            Err(_) => Err("cannot be computed".to_owned()),
        }
    }

    /// What is wrong whatever a customer writes: types that do not fit.
    pub(super) fn mistake(&self, variables: &Variables) -> Option<String> {
        match self.program.execute(&variables.context) {
            Ok(Value::Bool(_)) => None,
            Ok(other) => Some(format!("is {}, not true or false", kind(&other))),
            Err(error @ (ExecutionError::NoSuchOverload(_) | ExecutionError::UnexpectedType { .. })) => {
                Some(cut(reason(&error)))
            }
            Err(_) => None,
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => "a number",
        Value::List(_) => "a list",
        Value::Null => "null",
        _ => "something else",
    }
}

fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no {name:?} here"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        // What it says beyond this repeats the customer's words.
        ExecutionError::FunctionError { function, .. } => format!("{function} cannot be computed"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "a division by zero".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list has no such entry".to_owned(),
        _ => "cannot be computed".to_owned(),
    }
}
