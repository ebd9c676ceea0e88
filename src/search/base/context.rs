//! Questions that make sense only after the one before.

use super::Question;
use crate::search::text::fold;

/// Beginnings that refer to what was said.
const BEGINNINGS: [&str; 16] = [
    "and ",
    "and?",
    "what about",
    "how about",
    "what if",
    "but ",
    "then ",
    "so ",
    "also ",
    "那",
    "还有",
    "另外",
    "如果",
    "这个",
    "它",
    "然后",
];

/// Words that stand for something said before, in a short question.
const STANDING_FOR: [&str; 8] = ["it", "that", "this", "them", "they", "those", "these", "one"];

/// A question of at most so many words (characters in Chinese) that refers to something is a follow-up.
const SHORT_WORDS: usize = 7;
const SHORT_CHARACTERS: usize = 10;

/// The question with the one before it, if it is a follow-up, and else alone. Both are searched: what was asked before says
/// what it is about, and this says what of it.
pub(super) fn with_context(question: &Question<'_>) -> String {
    match question.earlier.last().filter(|_| is_follow_up(question.text)) {
        Some(before) => format!("{before} {}", question.text),
        None => question.text.to_owned(),
    }
}

fn is_follow_up(text: &str) -> bool {
    let text = fold(text);
    let asian = text.chars().filter(|c| ('\u{2e80}'..='\u{9fff}').contains(c)).count();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
    let short = if asian > 0 { text.chars().count() <= SHORT_CHARACTERS } else { words.len() <= SHORT_WORDS };
    let refers = words.iter().any(|word| STANDING_FOR.contains(word));
    short && (BEGINNINGS.iter().any(|start| text.starts_with(start)) || refers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> String {
        let earlier = ["How do I block my card?".to_owned()];
        with_context(&Question { text, earlier: &earlier, language: None, vector: None })
    }

    #[test]
    fn follow_ups_take_the_question_before_with_them() {
        for text in
            ["And what does it cost?", "What about abroad?", "how long does that take", "那要多少钱", "还有别的办法吗"]
        {
            assert_eq!(asked(text), format!("How do I block my card? {text}"));
        }
    }

    #[test]
    fn questions_of_their_own_stay_alone() {
        for text in [
            "How do I change my PIN?",
            "refund status",
            "信用卡怎么还款",
            "I want to know whether it is possible to open an account from abroad",
        ] {
            assert_eq!(asked(text), text);
        }
    }
}
