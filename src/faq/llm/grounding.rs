//! Whether a finished answer says what its sources say, and nothing else.
//!
//! A model may be wrong, and may obey what stands in a message or an entry. So nothing it says is believed: what can be
//! compared with the entries letter by letter is compared, and the rest must be made of their words. Whatever fails is
//! refused, and the customer gets the plain entry instead: a false refusal costs a little wording, a false answer a promise.
//!
//! What this cannot see: a "not" that was dropped, two facts of one entry that were exchanged, numbers of one entry put to
//! another use. Entries whose answers must not be reworded at all should not be given to a model.

use super::{
    SourceEntry, facts,
    prompt::{Prompt, refusal},
    settings::LlmLimits,
};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An answer that rests on its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grounded {
    /// For the customer: citations taken out, personal data put back.
    pub text: String,
    /// The entries it cites, in the order of their first citation.
    pub sources: Vec<SourceRef>,
}

/// An entry in the version that the model saw.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
}

/// Why an answer is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The model itself says that the entries do not carry an answer.
    #[error("the model finds no answer in the entries")]
    NotInSources,
    /// Nothing was said.
    #[error("the answer is empty")]
    Empty,
    /// It is longer than allowed, or was cut off.
    #[error("the answer is too long")]
    TooLong,
    /// It cites nothing.
    #[error("the answer cites no entry")]
    NoCitation,
    /// It cites what it was not given.
    #[error("the answer cites what is no source: {0}")]
    WrongCitation(String),
    /// It says a number that no cited entry says.
    #[error("the answer says a number that its sources do not: {0}")]
    InventedNumber(String),
    /// It names an address that no cited entry names.
    #[error("the answer names an address that its sources do not: {0}")]
    InventedLink(String),
    /// It holds markup.
    #[error("the answer is no plain text")]
    Markup,
    /// A sentence is not made of the words of the entries it cites.
    #[error("the answer says what its sources do not: {0}")]
    Unsupported(String),
    /// It repeats the rules or the request's secret.
    #[error("the answer tells what it was asked to do")]
    RulesLeaked,
    /// It is in another language than the question.
    #[error("the answer is in another language than the question")]
    OtherLanguage,
    /// It names personal data that nobody gave.
    #[error("the answer has a placeholder that was never made")]
    UnknownPlaceholder,
    /// The server's own filter stopped it.
    #[error("the model's server withheld the answer")]
    Withheld,
}

/// Words in a row that an answer may share with the rules.
const MAX_SHARED_WORDS: usize = 7;

/// How models say that they have nothing to say, if they do not use the word for it.
const EXCUSES: [&str; 20] = [
    "i don't know",
    "i do not know",
    "i'm sorry",
    "i am sorry",
    "i apologize",
    "sorry, ",
    "i cannot",
    "i can't",
    "i'm unable",
    "i am unable",
    "the sources do not",
    "the sources don't",
    "there is no information",
    "no information",
    "as an ai",
    "抱歉",
    "对不起",
    "很抱歉",
    "无法回答",
    "没有找到",
];

/// Sentences that promise nothing and may stand without a source.
const COURTESIES: [&str; 8] = ["thank you", "thanks", "hello", "hi", "您好", "你好", "谢谢", "请看"];

/// What agrees to a question, whatever it was: "Do you owe me a car?" is the customer's sentence, "yes" would be ours.
const ASSENTS: [&str; 20] = [
    "yes",
    "no",
    "yeah",
    "yep",
    "nope",
    "sure",
    "of course",
    "certainly",
    "correct",
    "right",
    "confirmed",
    "agreed",
    "是的",
    "是",
    "对",
    "不是",
    "没错",
    "好的",
    "可以",
    "没问题",
];

/// Checks what the model has written in answer to `prompt`; `question` is the customer's text.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn ground(answer: &str, prompt: &Prompt, question: &str, limits: &LlmLimits) -> Result<Grounded, Refusal> {
    let answer = without_thoughts(answer).trim();
    if answer.is_empty() {
        return Err(Refusal::Empty);
    }
    if answer.contains(&refusal(&prompt.tag)) || answer.to_uppercase().contains("NO-ANSWER") {
        return Err(Refusal::NotInSources);
    }
    if answer.chars().count() > limits.answer_chars + 20 * prompt.sources.len() * prompt.tag.len() {
        return Err(Refusal::TooLong);
    }
    let sentences = cited_sentences(answer, prompt)?;
    let cited: Vec<usize> = sentences.iter().flat_map(|sentence| sentence.cites.iter().copied()).collect();
    let text = tidied(sentences.iter().map(|sentence| sentence.text.as_str()).collect());
    if text.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    if text.chars().count() > limits.answer_chars {
        return Err(Refusal::TooLong);
    }
    let plain = facts::folded(&prompt.masks.without_placeholders(&text));
    if plain.contains(&prompt.tag) || shares_words_with(&plain, &prompt.messages[0].content) {
        return Err(Refusal::RulesLeaked);
    }
    if cited.is_empty() {
        let excuse = EXCUSES.iter().any(|excuse| plain.trim_start().starts_with(excuse));
        return Err(if excuse { Refusal::NotInSources } else { Refusal::NoCitation });
    }
    if facts::has_markup(&text) {
        return Err(Refusal::Markup);
    }
    let mut sources: Vec<usize> = Vec::new();
    cited.iter().for_each(|source| {
        if !sources.contains(source) {
            sources.push(*source)
        }
    });
    let of_all: String = sources.iter().map(|source| source_text(&prompt.sources[*source])).collect();
    checked_facts(&plain, &of_all)?;
    checked_support(&sentences, prompt, limits.support)?;
    if other_language(&plain, &facts::folded(question)) {
        return Err(Refusal::OtherLanguage);
    }
    let text = prompt.masks.unmask(&text).ok_or(Refusal::UnknownPlaceholder)?;
    let sources = sources.into_iter().map(|source| &prompt.sources[source]);
    Ok(Grounded {
        text,
        sources: sources.map(|entry| SourceRef { id: entry.id.clone(), version: entry.version }).collect(),
    })
}

/// What a model that thinks aloud says after its thoughts.
fn without_thoughts(answer: &str) -> &str {
    match answer.trim_start().strip_prefix("<think>") {
        Some(thoughts) => thoughts.split_once("</think>").map_or("", |(_, after)| after),
        None => answer,
    }
}

/// A sentence, without its citations, and the places of the sources it cites.
struct Sentence {
    text: String,
    cites: Vec<usize>,
}

/// Cuts at citations and at ends of sentences. A sentence without a citation of its own belongs to the next one that has.
fn cited_sentences(answer: &str, prompt: &Prompt) -> Result<Vec<Sentence>, Refusal> {
    let wrong = |text: &str| Refusal::WrongCitation(text.chars().take(40).collect());
    let pattern = format!(r"[\[［【]\s*(?i:{})\s*-\s*([^\]］】]*)[\]］】]", regex::escape(&prompt.tag));
    let citation = Regex::new(&pattern).map_err(|_| wrong(&prompt.tag))?;
    let mut sentences: Vec<Sentence> = Vec::new();
    let mut from = 0;
    for found in citation.captures_iter(answer) {
        let (Some(whole), numbers) = (found.get(0), &found[1]) else { continue };
        let mut cites = Vec::new();
        // Some models join them: [tag-1, tag-2] or [tag-1, 2].
        for number in numbers.replace(&prompt.tag, "").split([',', ';', '、', '，']) {
            let number = number.trim().trim_start_matches('-');
            let source = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            let source = source.filter(|source| *source < prompt.sources.len());
            cites.push(source.ok_or_else(|| wrong(whole.as_str()))?);
        }
        let text = &answer[from..whole.start()];
        from = whole.end();
        match sentences.last_mut() {
            // Two citations in a row belong to the same sentence, and the full stop after a citation to what is before it.
            Some(last) if text.chars().all(|c| c.is_whitespace() || is_end(c) || c == ',' || c == '，') => {
                last.text.push_str(text.trim_end());
                last.cites.extend(cites);
            }
            _ => sentences.push(Sentence { text: text.to_owned(), cites }),
        }
    }
    let rest = &answer[from..];
    match sentences.last_mut() {
        Some(last) if rest.chars().all(|c| c.is_whitespace() || is_end(c)) => last.text.push_str(rest.trim_end()),
        _ => sentences.push(Sentence { text: rest.to_owned(), cites: Vec::new() }),
    }
    Ok(sentences)
}

fn is_end(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '。' | '！' | '？' | '…' | ';' | '；')
}

/// The text as customers see it: no space that a citation left before a full stop.
fn tidied(parts: Vec<&str>) -> String {
    let mut text = String::new();
    for part in parts {
        let rest = part.trim_start_matches(' ');
        if rest.starts_with(is_end) {
            text.truncate(text.trim_end().len());
            text.push_str(rest);
        } else {
            text.push_str(part);
        }
    }
    let mut tidy = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if is_end(c) && tidy.ends_with(' ') {
            tidy.truncate(tidy.trim_end_matches(' ').len());
        }
        tidy.push(c);
    }
    tidy
}

fn source_text(source: &SourceEntry) -> String {
    format!("{}\n{}\n", facts::folded(&source.question), facts::folded(&source.answer))
}

/// Numbers and addresses of the answer must be those of the sources it cites.
fn checked_facts(answer: &str, sources: &str) -> Result<(), Refusal> {
    let first_new =
        |said: BTreeSet<String>, known: BTreeSet<String>| said.into_iter().find(|item| !known.contains(item));
    if let Some(link) = first_new(facts::links(answer), facts::links(sources)) {
        return Err(Refusal::InventedLink(link));
    }
    let long = first_new(facts::long_numbers(answer), facts::long_numbers(sources));
    match long.or_else(|| first_new(facts::numbers_said(answer), facts::numbers(sources))) {
        Some(number) => Err(Refusal::InventedNumber(number)),
        None => Ok(()),
    }
}

/// Each sentence must be made of the words of what it cites.
fn checked_support(sentences: &[Sentence], prompt: &Prompt, least: f64) -> Result<(), Refusal> {
    if least <= 0.0 {
        return Ok(());
    }
    for (at, part) in sentences.iter().enumerate() {
        // A sentence without a citation belongs to the next one that has; at the end, to the one before.
        let cites =
            sentences[at..].iter().chain(sentences[..at].iter().rev()).find(|sentence| !sentence.cites.is_empty());
        let cites: &[usize] = cites.map_or(&[], |sentence| &sentence.cites);
        let known: String = cites.iter().map(|source| source_text(&prompt.sources[*source])).collect();
        let known: BTreeSet<String> = facts::terms(&known).into_iter().collect();
        for sentence in part.text.split_inclusive(|c: char| is_end(c) || c == '\n') {
            let plain = facts::folded(&prompt.masks.without_placeholders(sentence));
            let plain = plain.trim().trim_end_matches(|c: char| is_end(c) || c == ',' || c == '，' || c == ':');
            if COURTESIES.contains(&plain) || !plain.contains(char::is_alphabetic) {
                continue;
            }
            let unsupported = || Refusal::Unsupported(sentence.trim().chars().take(80).collect());
            let start = plain.split([',', '，', ':', '-', '—']).next().unwrap_or_default().trim();
            if ASSENTS.contains(&start) {
                return Err(unsupported());
            }
            let terms = facts::terms(plain);
            let supported = terms.iter().filter(|term| known.contains(*term)).count();
            // A sentence of nothing but "you", "can" and "it" says something, too: to what was asked.
            if terms.is_empty() || (supported as f64) < least * terms.len() as f64 {
                return Err(unsupported());
            }
        }
    }
    Ok(())
}

/// Whether so many words in a row, or as much of Chinese, are the same.
fn shares_words_with(answer: &str, rules: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let folded = facts::folded(text);
        folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let rules = words(rules);
    let known: BTreeSet<&[String]> = rules.windows(MAX_SHARED_WORDS + 1).collect();
    words(answer).windows(MAX_SHARED_WORDS + 1).any(|shingle| known.contains(shingle))
}

/// Whether one is Chinese and the other is not, or both are long enough to tell and are told apart.
fn other_language(answer: &str, question: &str) -> bool {
    /// Share of Han characters among letters; nothing, if there are too few to say.
    fn han_share(text: &str) -> Option<f64> {
        let letters = text.chars().filter(|c| c.is_alphabetic());
        let (han, all) = letters.fold((0.0, 0.0), |(han, all), c| match c {
            '\u{3400}'..='\u{9fff}' => (han + 1.0, all + 1.0),
            _ => (han, all + 0.25),
        });
        (all >= 2.0).then_some(han / all)
    }
    if let (Some(answer), Some(question)) = (han_share(answer), han_share(question))
        && ((question >= 0.6 && answer < 0.3) || (question <= 0.1 && answer > 0.5))
    {
        return true;
    }
    /// Below this, the detector mistakes one European language for another.
    const MIN_CHARS: usize = 60;
    let told = |text: &str| {
        let info = whatlang::detect(text).filter(|info| info.is_reliable() && text.chars().count() >= MIN_CHARS);
        info.map(|info| info.lang())
    };
    matches!((told(answer), told(question)), (Some(answer), Some(question)) if answer != question)
}

#[cfg(test)]
#[path = "grounding_tests.rs"]
mod tests;
