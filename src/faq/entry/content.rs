//! What an entry may say, and its answer as a customer gets it.

use kefu_events::{Refusal, faq::EntryContent, key::is_token};
use std::collections::{BTreeMap, BTreeSet};

/// Characters of a question, and of each way of asking it.
pub const MAX_QUESTION_CHARS: usize = 500;
/// Characters of an answer: what the strictest of the large messengers deliver in one message.
pub const MAX_ANSWER_CHARS: usize = 4_000;
/// Ways of asking one question. Training sets have 20 to 200; each is a vector of some kilobytes.
pub const MAX_SIMILAR: usize = 500;
const MAX_CHANNELS: usize = 50;
const MAX_VARIABLES: usize = 50;
const MAX_VARIABLE_CHARS: usize = 500;
const MAX_CATEGORY_CHARS: usize = 100;
const MAX_LANGUAGE_CHARS: usize = 35;
/// Bytes of JSON in all: with what a commit adds it stays well below what NATS lets through.
const MAX_BYTES: usize = 256 * 1024;

/// The same without what says nothing: space around texts, empty and repeated ways of asking.
pub fn tidied(mut content: EntryContent) -> EntryContent {
    let trim = |text: &mut String| {
        if text.trim().len() != text.len() {
            *text = text.trim().to_owned();
        }
    };
    trim(&mut content.question);
    trim(&mut content.answer);
    content.similar.iter_mut().for_each(trim);
    let mut seen = BTreeSet::from([content.question.clone()]);
    content.similar.retain(|similar| !similar.is_empty() && seen.insert(similar.clone()));
    content.category = content.category.map(|category| category.trim().to_owned()).filter(|name| !name.is_empty());
    content.language = content.language.map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty());
    content
}

/// Whether an entry may say this.
///
/// # Errors
/// `invalid` with the path to what is wrong.
pub fn check(content: &EntryContent) -> Result<(), Refusal> {
    chars("question", &content.question, 1, MAX_QUESTION_CHARS)?;
    if content.similar.len() > MAX_SIMILAR {
        return Err(invalid("similar", &format!("at most {MAX_SIMILAR} other ways of asking")));
    }
    for (number, similar) in content.similar.iter().enumerate() {
        chars(&format!("similar[{number}]"), similar, 1, MAX_QUESTION_CHARS)?;
    }
    answer("answer", &content.answer, &content.variables)?;
    if content.channel_answers.len() > MAX_CHANNELS {
        return Err(invalid("channel_answers", &format!("at most {MAX_CHANNELS} channels")));
    }
    for (channel, text) in &content.channel_answers {
        if !is_token(channel) {
            return Err(invalid("channel_answers", &format!("{channel:?} is no channel")));
        }
        answer(&format!("channel_answers.{channel}"), text, &content.variables)?;
    }
    if content.variables.len() > MAX_VARIABLES {
        return Err(invalid("variables", &format!("at most {MAX_VARIABLES}")));
    }
    for (name, value) in &content.variables {
        if !is_token(name) {
            return Err(invalid("variables", &format!("{name:?} is no name: 1 to 64 of A-Z, a-z, 0-9, _ and -")));
        }
        chars(&format!("variables.{name}"), value, 0, MAX_VARIABLE_CHARS)?;
    }
    if let Some(language) = &content.language
        && !(language.len() <= MAX_LANGUAGE_CHARS
            && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
    {
        return Err(invalid("language", &format!("{language:?} is no language tag such as en or zh-CN")));
    }
    if let Some(category) = &content.category {
        chars("category", category, 1, MAX_CATEGORY_CHARS)?;
    }
    if let (Some(from), Some(until)) = (content.valid_from, content.valid_until)
        && from >= until
    {
        return Err(invalid("valid_until", "is not after valid_from"));
    }
    if serde_json::to_string(content).map_or(usize::MAX, |json| json.len()) > MAX_BYTES {
        return Err(invalid("$", &format!("an entry has at most {MAX_BYTES} bytes of JSON")));
    }
    Ok(())
}

/// An answer with its variables filled in: `known` first (what is known of this customer), then the entry's own values. `{{`
/// and `}}` stand for braces.
///
/// # Errors
/// The name of a variable that has no value, or what is wrong with the braces; never for what [`check`] let through.
pub fn render(
    answer: &str,
    variables: &BTreeMap<String, String>,
    known: &BTreeMap<String, String>,
) -> Result<String, String> {
    let mut text = String::with_capacity(answer.len());
    let mut rest = answer;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let named = rest.split_once('}').filter(|_| brace == "{");
        let Some((name, after)) = named else {
            return Err(format!("a brace is written {brace}{brace}, a variable {{name}}"));
        };
        let value = known.get(name).or_else(|| variables.get(name));
        text.push_str(value.ok_or_else(|| format!("the variable {{{name}}} has no value in variables"))?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

fn answer(path: &str, text: &str, variables: &BTreeMap<String, String>) -> Result<(), Refusal> {
    chars(path, text, 1, MAX_ANSWER_CHARS)?;
    render(text, variables, &BTreeMap::new()).map(drop).map_err(|wrong| invalid(path, &wrong))
}

fn chars(path: &str, text: &str, least: usize, most: usize) -> Result<(), Refusal> {
    let count = if text.trim().is_empty() { 0 } else { text.chars().count() };
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(invalid(path, &format!("{least} to {most} characters, not {count}")))
}

fn invalid(path: &str, what: &str) -> Refusal {
    Refusal::new("invalid", format!("{path}: {what}"))
}
