//! Finding what somebody types: all of it must occur, folded, as it stands, also as a part of a word.

use super::fold::{Folded, characters, fold};
use serde::Serialize;

/// Parts of a question that are looked for, at most: a question is not a text.
const MAX_PARTS: usize = 32;
/// Characters around the first hit, in a snippet.
const SNIPPET_CHARS: usize = 160;

/// A piece of a text that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Whether it was looked for.
    pub hit: bool,
}

/// What is looked for: the parts of a question between its spaces.
#[derive(Debug, Clone)]
pub struct Parts(Vec<Vec<char>>);

impl Parts {
    /// Those of a question.
    pub fn of(question: &str) -> Self {
        let folded = fold(question);
        Self(
            folded
                .split(' ')
                .filter(|part| !part.is_empty())
                .take(MAX_PARTS)
                .map(|part| part.chars().collect())
                .collect(),
        )
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What of it occurs in a text.
    pub fn look(&self, text: &str) -> Seen {
        let folded = characters(text);
        let mut seen = Seen::default();
        for (number, part) in self.0.iter().enumerate() {
            let is_hit =
                |window: &[Folded]| window.iter().zip(part).all(|(folded, wanted)| folded.character == *wanted);
            for window in folded.windows(part.len()).filter(|window| is_hit(window)) {
                seen.parts |= 1 << number;
                seen.hits.push((window[0].from, window[window.len() - 1].to));
            }
        }
        seen
    }

    /// Whether these texts together have all of it.
    pub fn are_all_in<'a>(&self, seen: impl IntoIterator<Item = &'a Seen>) -> bool {
        let all = seen.into_iter().fold(0, |all, seen| all | seen.parts);
        all.count_ones() as usize == self.0.len()
    }
}

/// What occurs in a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// A bit for each part of the question.
    parts: u32,
    /// From which byte to which.
    pub hits: Vec<(usize, usize)>,
}

impl Seen {
    /// How many parts of the question.
    pub fn count(&self) -> u32 {
        self.parts.count_ones()
    }
}

/// The part of a text around the first hit, with all of them marked. Joined, the pieces are a part of the text.
pub fn snippet(text: &str, mut hits: Vec<(usize, usize)>) -> Vec<Piece> {
    hits.sort_unstable();
    let first = hits.first().map_or(0, |(from, _)| *from);
    let before = text[..first].char_indices().rev().nth(SNIPPET_CHARS / 4).map_or(0, |(at, _)| at);
    let end = text[before..].char_indices().nth(SNIPPET_CHARS).map_or(text.len(), |(at, _)| before + at);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut push = |text: &str, hit: bool| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), hit });
        }
    };
    let mut at = before;
    for (from, to) in hits {
        let (from, to) = (from.max(at), to.min(end));
        if from < to {
            push(&text[at..from], false);
            push(&text[from..to], true);
            at = to;
        }
    }
    push(&text[at..end], false);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(text: &str, question: &str) -> Vec<String> {
        let pieces = snippet(text, Parts::of(question).look(text).hits);
        pieces.into_iter().filter(|piece| piece.hit).map(|piece| piece.text).collect()
    }

    #[test]
    fn parts_of_words_of_either_script_are_found_as_they_were_written() {
        assert_eq!(marked("Can I get a Refund? Refunds take 3 days.", "refu"), ["Refu", "Refu"]);
        assert_eq!(marked("如何申請退貨？", "退货"), ["退貨"]);
        assert_eq!(marked("Ｃａｆé", "cafe"), ["Ｃａｆé"]);
        assert!(marked("nothing of it", "退货").is_empty());
    }

    #[test]
    fn all_parts_must_occur_in_whichever_text() {
        let parts = Parts::of("  return SHOES ");
        let seen = [parts.look("May I return it?"), parts.look("Shoes as well.")];
        assert!(parts.are_all_in(&seen));
        assert!(!parts.are_all_in(&seen[..1]));
        assert!(Parts::of(" \t").is_empty());
    }

    proptest! {
        #[test]
        fn a_snippet_is_a_part_of_the_text(text in "[a-c 你我他\u{301}é🎉。ß]{0,300}", question in "[a-c 你我s]{0,6}") {
            let pieces = snippet(&text, Parts::of(&question).look(&text).hits);
            let joined: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            prop_assert!(text.contains(&joined));
        }
    }
}
