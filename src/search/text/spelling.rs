//! The known word that an unknown one was meant to be.

use std::collections::HashMap;

/// Words of a tenant's entries, with how often each occurs.
#[derive(Debug, Default, Clone)]
pub struct Vocabulary {
    /// Words by their first character and length in characters; only these are compared with a mistyped word.
    shelves: HashMap<(char, usize), Shelf>,
}

/// Words with how often each occurs.
type Shelf = Vec<(Box<str>, u32)>;

/// A shorter word has so many neighbours that a guess is as likely wrong as right.
const SHORTEST: usize = 4;

/// From this length two mistakes are forgiven, below it one.
const TWO_MISTAKES: usize = 8;

impl Vocabulary {
    /// Of words as an [`Analyzer`](super::Analyzer) gives them.
    pub fn new<'a>(words: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut vocabulary = Self::default();
        for (word, count) in words {
            if let Some(shelf) = shelf(word) {
                vocabulary.shelves.entry(shelf).or_default().push((word.into(), count));
            }
        }
        vocabulary
    }

    /// Whether the word is known, or of a kind that is never corrected: short, with digits, or in a script whose words are
    /// not made of letters.
    pub fn knows(&self, word: &str) -> bool {
        let Some(shelf) = shelf(word) else { return true };
        self.shelves.get(&shelf).is_some_and(|words| words.iter().any(|(known, _)| **known == *word))
    }

    /// The nearest known word, the most frequent one of those that are equally near; none if the word is known or nothing is
    /// near. Mistakes are letters left out, added, replaced, or swapped; the first letter counts as right, as it nearly
    /// always is.
    pub fn correct(&self, word: &str) -> Option<&str> {
        if self.knows(word) {
            return None;
        }
        let (first, length) = shelf(word)?;
        let allowed = if length >= TWO_MISTAKES { 2 } else { 1 };
        let near = (length - allowed..=length + allowed).filter_map(|length| self.shelves.get(&(first, length)));
        let found = near.flatten().filter_map(|(known, count)| {
            let distance = strsim::osa_distance(known, word);
            (distance <= allowed).then_some((distance, std::cmp::Reverse(*count), &**known))
        });
        found.min().map(|(_, _, known)| known)
    }
}

fn shelf(word: &str) -> Option<(char, usize)> {
    let first = word.chars().next()?;
    let length = word.chars().count();
    let letters = word.chars().all(|c| c.is_alphabetic() && (c as u32) < 0x2e80);
    (letters && length >= SHORTEST).then_some((first, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::new([("password", 5), ("refund", 9), ("transfer", 3), ("card", 30), ("cart", 2), ("银行", 4)])
    }

    #[test]
    fn mistyped_words_become_known_ones() {
        let vocabulary = vocabulary();
        for (typed, meant) in [
            ("pasword", "password"),
            ("passwrod", "password"),
            ("refunnd", "refund"),
            ("tarnsfre", "transfer"),
            ("carf", "card"),
        ] {
            assert_eq!(vocabulary.correct(typed), Some(meant), "{typed}");
        }
    }

    #[test]
    fn known_words_short_words_numbers_and_chinese_stay() {
        let vocabulary = vocabulary();
        for word in ["cart", "pin", "c4rd", "2000", "银航", "banana", ""] {
            assert_eq!(vocabulary.correct(word), None, "{word}");
        }
    }
}
