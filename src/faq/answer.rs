//! What a customer gets to a question: an answer, a question back, or a person. Pure.
//!
//! Retrieval says how probable it is that each entry is the one that was meant; the tenant's thresholds say what is sure
//! enough. Entries that are for agents only, or not valid now, are no answers. Who was asked which question was meant, and
//! says a number or repeats the question, has chosen, whatever retrieval would make of "2".

use super::entry::render;
use kefu_events::{
    Timestamp,
    conversation::{AnswerChoice, AnswerSource, NoAnswerReason},
    faq::{Audience, EntryContent},
    settings::{BotSettings, Texts},
};
use std::collections::BTreeMap;

/// Entries that are put before a customer to choose from, at most: what one takes in at a glance.
pub const MAX_SHOWN: usize = 3;

/// An entry that may have been meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// Its id.
    pub entry: &'a str,
    /// The approved version of its content.
    pub entry_version: u64,
    /// That content.
    pub content: &'a EntryContent,
    /// Calibrated probability that it is the one, 0 to 1.
    pub probability: f64,
}

/// What a question is asked with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asker<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// The customer's name, where the channel says it.
    pub customer_name: Option<&'a str>,
}

impl Asker<'_> {
    /// What is known of the customer, for an answer's variables.
    fn known(&self) -> BTreeMap<String, String> {
        let name = self.customer_name.map(|name| ("customer_name".to_owned(), name.to_owned()));
        name.into_iter().chain([("channel".to_owned(), self.channel.to_owned())]).collect()
    }
}

/// What a customer gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// An answer.
    Answer {
        /// Its text.
        text: String,
        /// Calibrated probability that it is right, 0 to 1.
        confidence: f64,
        /// What it rests on.
        sources: Vec<AnswerSource>,
    },
    /// Which of these is meant?
    Choices {
        /// The question back.
        text: String,
        /// Calibrated probability that the first one is right, 0 to 1.
        confidence: f64,
        /// The entries, the likeliest first.
        choices: Vec<AnswerChoice>,
    },
    /// A person.
    Decline {
        /// Why.
        reason: NoAnswerReason,
        /// Probability of the best candidate, if there was one.
        confidence: Option<f64>,
    },
}

/// What a customer said to a list of choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// This one.
    Chosen(&'a AnswerChoice),
    /// None of them.
    NoneOfThem,
    /// Something else: a new question.
    Other,
}

/// Reads the answer to a list of choices.
pub fn chosen<'a>(said: &str, choices: &'a [AnswerChoice]) -> Choice<'a> {
    let bare = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).map(half_width).collect()
    };
    let said = bare(said);
    if choices.is_empty() || said.is_empty() {
        return Choice::Other;
    }
    if let Some(number) = number(&said) {
        return match number.checked_sub(1).and_then(|index| choices.get(index)) {
            Some(choice) => Choice::Chosen(choice),
            None if number == 0 => Choice::NoneOfThem,
            None => Choice::Other,
        };
    }
    if ["none", "noneofthem", "noneofthese", "neither", "no", "都不是", "不是", "没有", "以上都不是"]
        .contains(&said.as_str())
    {
        return Choice::NoneOfThem;
    }
    choices.iter().find(|choice| bare(&choice.question) == said).map_or(Choice::Other, Choice::Chosen)
}

fn half_width(c: char) -> char {
    match c {
        '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c),
        _ => c,
    }
}

/// `2`, `第二个`, `the second one`: what people answer to a numbered list.
fn number(said: &str) -> Option<usize> {
    if let Ok(number) = said.parse() {
        return Some(number);
    }
    const WORDS: [&[&str]; 5] = [
        &["一", "第一个", "第一", "first", "thefirst", "thefirstone", "firstone", "one"],
        &["二", "两", "第二个", "第二", "second", "thesecond", "thesecondone", "secondone", "two"],
        &["三", "第三个", "第三", "third", "thethird", "thethirdone", "thirdone", "three"],
        &["四", "第四个", "第四", "fourth", "thefourth", "thefourthone", "four"],
        &["五", "第五个", "第五", "fifth", "thefifth", "thefifthone", "five"],
    ];
    let digit = said.strip_prefix("第").and_then(|rest| rest.strip_suffix('个')).and_then(|digit| digit.parse().ok());
    digit.or_else(|| WORDS.iter().position(|words| words.contains(&said)).map(|index| index + 1))
}

/// Whether a customer may be given this now.
pub fn is_answer(content: &EntryContent, now: Timestamp) -> bool {
    content.audience == Audience::Customers
        && content.valid_from.is_none_or(|from| from <= now)
        && content.valid_until.is_none_or(|until| now < until)
}

/// The answer of an entry as this customer gets it.
///
/// # Errors
/// What is wrong with its variables; never for what was accepted as an entry.
pub fn text_for(content: &EntryContent, asker: &Asker<'_>) -> Result<String, String> {
    let answer = content.channel_answers.get(asker.channel).unwrap_or(&content.answer);
    render(answer, &content.variables, &asker.known())
}

/// The source that an answer out of this entry names.
pub fn source_of(candidate: &Candidate<'_>) -> AnswerSource {
    AnswerSource {
        entry: candidate.entry.to_owned(),
        entry_version: Some(candidate.entry_version),
        score: Some(candidate.probability),
    }
}

/// Decides. `candidates` are those that [`is_answer`], the likeliest first; `in_scope` is the calibrated probability that
/// the question is one for this knowledge base at all; `rounds` is how often in a row this customer was asked which
/// question was meant.
pub fn reply(
    candidates: &[Candidate<'_>],
    in_scope: f64,
    asker: &Asker<'_>,
    rounds: u32,
    bot: &BotSettings,
    texts: &Texts,
) -> Reply {
    let Some(best) = candidates.first() else {
        return Reply::Decline { reason: NoAnswerReason::OutOfScope, confidence: None };
    };
    let confidence = best.probability;
    if confidence >= bot.min_confidence {
        return match text_for(best.content, asker) {
            Ok(text) => Reply::Answer { text, confidence, sources: vec![source_of(best)] },
            Err(_) => Reply::Decline { reason: NoAnswerReason::Failed, confidence: Some(confidence) },
        };
    }
    let choices: Vec<AnswerChoice> = candidates.iter().take(MAX_SHOWN).map(choice_of).collect();
    if confidence >= bot.min_choice_confidence && rounds < bot.max_choice_rounds && choices.len() > 1 {
        return Reply::Choices { text: list(&texts.which_question, &choices), confidence, choices };
    }
    let reason = if in_scope < 0.5 { NoAnswerReason::OutOfScope } else { NoAnswerReason::NotConfident };
    Reply::Decline { reason, confidence: Some(confidence) }
}

fn choice_of(candidate: &Candidate<'_>) -> AnswerChoice {
    AnswerChoice { entry: candidate.entry.to_owned(), question: candidate.content.question.clone() }
}

fn list(head: &str, choices: &[AnswerChoice]) -> String {
    let lines = choices.iter().enumerate().map(|(index, choice)| format!("{}. {}", index + 1, choice.question));
    std::iter::once(head.to_owned()).filter(|head| !head.is_empty()).chain(lines).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(question: &str, answer: &str) -> EntryContent {
        EntryContent { question: question.into(), answer: answer.into(), ..EntryContent::default() }
    }

    fn choices(questions: &[&str]) -> Vec<AnswerChoice> {
        let choice =
            |question: &&str| AnswerChoice { entry: format!("e-{question}"), question: (*question).to_owned() };
        questions.iter().map(choice).collect()
    }

    fn decide(probabilities: &[f64], rounds: u32) -> Reply {
        let contents: Vec<EntryContent> =
            (0..probabilities.len()).map(|index| content(&format!("Q{index}?"), &format!("A{index}"))).collect();
        let candidates: Vec<Candidate<'_>> = probabilities
            .iter()
            .zip(&contents)
            .map(|(probability, content)| Candidate {
                entry: "e",
                entry_version: 1,
                content,
                probability: *probability,
            })
            .collect();
        let bot = BotSettings { min_confidence: 0.7, min_choice_confidence: 0.3, ..BotSettings::default() };
        reply(&candidates, 0.9, &Asker::default(), rounds, &bot, &Texts::default())
    }

    #[test]
    fn sure_enough_is_answered_half_sure_is_asked_back_else_a_person_comes() {
        assert!(matches!(decide(&[0.7, 0.1], 0), Reply::Answer { text, .. } if text == "A0"));
        let Reply::Choices { text, choices, .. } = decide(&[0.5, 0.2, 0.1, 0.1], 0) else { panic!("asked back") };
        assert_eq!(choices.len(), MAX_SHOWN);
        assert!(text.ends_with("1. Q0?\n2. Q1?\n3. Q2?"), "{text}");
        assert!(matches!(decide(&[0.2, 0.1], 0), Reply::Decline { reason: NoAnswerReason::NotConfident, .. }));
        assert!(matches!(decide(&[0.5], 0), Reply::Decline { .. }), "there is nothing to choose between");
        assert!(matches!(decide(&[0.5, 0.4], 2), Reply::Decline { .. }), "nobody is asked without end");
        assert!(matches!(decide(&[], 0), Reply::Decline { reason: NoAnswerReason::OutOfScope, confidence: None }));
    }

    #[test]
    fn a_choice_is_understood_as_people_say_it() {
        let choices = choices(&["How do I return it?", "怎么退货？"]);
        for said in ["1", " 1.", "１", "第一个", "The first one", "how do i return it", "一"] {
            assert_eq!(chosen(said, &choices), Choice::Chosen(&choices[0]), "{said}");
        }
        for said in ["2", "第2个", "怎么退货", "second"] {
            assert_eq!(chosen(said, &choices), Choice::Chosen(&choices[1]), "{said}");
        }
        for said in ["0", "none", "None of these!", "都不是"] {
            assert_eq!(chosen(said, &choices), Choice::NoneOfThem, "{said}");
        }
        for said in ["3", "where is my parcel", "", "?!", "12345678901234567890123"] {
            assert_eq!(chosen(said, &choices), Choice::Other, "{said}");
        }
        assert_eq!(chosen("1", &[]), Choice::Other, "nobody was asked");
    }

    #[test]
    fn answers_for_agents_and_out_of_their_time_are_none() {
        let at = Timestamp::from_millis;
        let mut entry = content("Q", "A");
        assert!(is_answer(&entry, at(5)));
        (entry.valid_from, entry.valid_until) = (Some(at(2)), Some(at(5)));
        assert_eq!([1, 2, 4, 5].map(|now| is_answer(&entry, at(now))), [false, true, true, false]);
        let internal = EntryContent { audience: Audience::Agents, ..content("Q", "A") };
        assert!(!is_answer(&internal, at(5)));
    }

    #[test]
    fn the_channels_form_is_taken_and_the_customers_name_goes_before_the_default() {
        let mut entry = content("Q", "Dear {customer_name}");
        entry.variables.insert("customer_name".into(), "customer".into());
        entry.channel_answers.insert("sms".into(), "{channel}".into());
        let asker = |channel, customer_name| Asker { channel, customer_name };
        assert_eq!(text_for(&entry, &asker("web", Some("Bob"))).unwrap(), "Dear Bob");
        assert_eq!(text_for(&entry, &asker("web", None)).unwrap(), "Dear customer");
        assert_eq!(text_for(&entry, &asker("sms", None)).unwrap(), "sms");
    }
}
