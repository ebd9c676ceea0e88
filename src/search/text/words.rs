//! The words of a text.
//!
//! A text is folded and cut where the script changes. Runs of Chinese characters are cut into words by jieba (in its search
//! mode, which also gives the words inside of long ones), and every character of a longer word is a word, too: people
//! shorten words to single characters, and the dictionary does not know every product. Anything else is cut at what is
//! neither letter nor digit; ASCII words are stemmed by the rules of English, in every language: what matters is that question
//! and entry are treated alike, whatever language each of them was taken for.

use super::fold::{Folded, characters};
use tantivy::tokenizer::{
    Language as StemLanguage, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};
use tantivy_jieba::JiebaTokenizer;

/// A word and the bytes of the original text that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Folded; in English, its stem.
    pub text: String,
    /// First byte in the original text.
    pub from: usize,
    /// Byte after the last one in the original text.
    pub to: usize,
    /// How many characters or words stand before it.
    pub position: usize,
}

/// Words that say nothing about what a question is about. Short on purpose: "how", "why", "not", "my", "i" do.
const STOP_WORDS: [&str; 12] = ["a", "an", "the", "of", "to", "is", "are", "am", "be", "please", "pls", "plz"];

/// A word longer than this is no word; it is kept in the text, and not indexed.
const MAX_WORD_CHARS: usize = 60;

/// Cuts texts into words. Cheap to clone; the dictionary of Chinese is loaded with the first Chinese text (about 0.2 s).
#[derive(Clone)]
pub struct Analyzer {
    stemmer: TextAnalyzer,
    jieba: JiebaTokenizer,
}

impl Default for Analyzer {
    fn default() -> Self {
        let stemmer =
            TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(StemLanguage::English)).build();
        Self { stemmer, jieba: JiebaTokenizer::with_search_mode(true) }
    }
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Analyzer")
    }
}

/// What a character is for the cutting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Asian,
    Letter,
    Gap,
}

/// Whether a character is written without spaces to the next: Chinese, and the Japanese syllables.
pub fn is_asian(character: char) -> bool {
    Class::of(character) == Class::Asian
}

impl Class {
    fn of(character: char) -> Self {
        match character {
            '\u{2e80}'..='\u{2fdf}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => {
                Self::Asian
            }
            '\u{20000}'..='\u{3ffff}' => Self::Asian,
            _ if character.is_alphanumeric() => Self::Letter,
            _ => Self::Gap,
        }
    }
}

impl Analyzer {
    /// The words of a text, in order.
    pub fn words(&mut self, text: &str) -> Vec<Word> {
        let folded = characters(text);
        let mut words = Vec::new();
        let mut position = 0;
        let mut at = 0;
        while at < folded.len() {
            let class = Class::of(folded[at].character);
            // An apostrophe inside of a word is no gap: don't, customer's.
            let inside = |end: usize| {
                class == Class::Letter
                    && matches!(folded[end].character, '\'' | '\u{2019}')
                    && folded.get(end + 1).is_some_and(|next| Class::of(next.character) == Class::Letter)
            };
            let mut end = at + 1;
            while end < folded.len() && (Class::of(folded[end].character) == class || inside(end)) {
                end += 1;
            }
            match class {
                Class::Asian => self.asian(&folded[at..end], &mut position, &mut words),
                Class::Letter => self.word(&folded[at..end], &mut position, &mut words),
                Class::Gap => {}
            }
            at = end;
        }
        words
    }

    fn word(&mut self, run: &[Folded], position: &mut usize, words: &mut Vec<Word>) {
        let letters = run.iter().map(|folded| folded.character).filter(|c| !matches!(c, '\'' | '\u{2019}'));
        let mut text: String = letters.collect();
        let place = *position;
        *position += 1;
        if run.len() > MAX_WORD_CHARS || STOP_WORDS.contains(&text.as_str()) {
            return;
        }
        if text.is_ascii() && text.len() > 2 {
            let mut stream = self.stemmer.token_stream(&text);
            let stem = if stream.advance() { std::mem::take(&mut stream.token_mut().text) } else { String::new() };
            drop(stream);
            if !stem.is_empty() {
                text = stem;
            }
        }
        words.push(Word { text, from: run[0].from, to: run[run.len() - 1].to, position: place });
    }

    fn asian(&mut self, run: &[Folded], position: &mut usize, words: &mut Vec<Word>) {
        let text: String = run.iter().map(|folded| folded.character).collect();
        let first = *position;
        let mut stream = self.jieba.token_stream(&text);
        while stream.advance() {
            let token = stream.token();
            let (start, length) = (token.position, token.position_length);
            let place = |from: usize, to: usize, text: String| Word {
                text,
                from: run[from].from,
                to: run[to - 1].to,
                position: first + from,
            };
            words.push(place(start, start + length, token.text.clone()));
        }
        drop(stream);
        // Search mode cuts long words into shorter ones, so that a character could come more than once.
        let whole: std::collections::BTreeSet<usize> = words
            .iter()
            .filter(|word| word.position >= first && word.text.chars().count() == 1)
            .map(|word| word.position)
            .collect();
        for (at, folded) in run.iter().enumerate() {
            if !whole.contains(&(first + at)) {
                let text = folded.character.to_string();
                words.push(Word { text, from: folded.from, to: folded.to, position: first + at });
            }
        }
        *position += run.len();
    }
}

/// The same as a stream for tantivy. The word's place in the original text goes with it, so that it can be highlighted.
pub struct Words {
    words: std::vec::IntoIter<Word>,
    token: Token,
}

impl TokenStream for Words {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token = Token {
            offset_from: word.from,
            offset_to: word.to,
            position: word.position,
            text: word.text,
            position_length: 1,
        };
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

impl Tokenizer for Analyzer {
    type TokenStream<'a> = Words;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Words {
        Words { words: self.words(text).into_iter(), token: Token::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<String> {
        Analyzer::default().words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn english_words_are_stemmed_and_questions_keep_what_they_ask() {
        assert_eq!(words("How do I cancel the transfers?"), ["how", "do", "i", "cancel", "transfer"]);
        assert_eq!(words("Don't charge my customer's cards"), ["dont", "charg", "my", "custom", "card"]);
        assert_eq!(words("COVID-19"), ["covid", "19"]);
    }

    #[test]
    fn chinese_gives_words_and_single_characters() {
        let found = words("信用卡額度");
        for word in ["信用", "信用卡", "额度", "信", "用", "卡", "额", "度"] {
            assert_eq!(found.iter().filter(|found| *found == word).count(), 1, "{word} in {found:?}");
        }
    }

    #[test]
    fn scripts_may_be_mixed() {
        let found = words("我的iPhone壞了 error 403");
        for word in ["我", "的", "iphon", "坏", "error", "403"] {
            assert!(found.iter().any(|found| found == word), "{word} in {found:?}");
        }
    }

    proptest! {
        #[test]
        fn a_word_stands_for_some_of_the_text(text in "\\PC{0,60}") {
            let mut analyzer = Analyzer::default();
            for word in analyzer.words(&text) {
                prop_assert!(word.from < word.to && text.get(word.from..word.to).is_some() && !word.text.is_empty());
            }
        }
    }
}
