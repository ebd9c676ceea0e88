//! Folding: one form for all texts that readers take for the same.

use super::MAX_CHARS;
use unicode_normalization::UnicodeNormalization;

/// A character of the folded text and which bytes of the original it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folded {
    pub character: char,
    pub from: usize,
    pub to: usize,
}

/// The text in compatible form (NFKC: full and half width, ligatures, circled digits), lower case, without accents,
/// traditional characters as simplified ones, every run of white space as one space, none at the ends. At most
/// [`MAX_CHARS`] characters are kept. Folding twice changes nothing more.
///
/// ```
/// assert_eq!(kefu::search::text::fold("  ＡＢＣ　Café 銀行 "), "abc cafe 银行");
/// ```
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len().min(4 * MAX_CHARS));
    for Folded { character, .. } in characters(text) {
        match character {
            ' ' if folded.is_empty() || folded.ends_with(' ') => {}
            _ => folded.push(character),
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// The folded characters; white space and control characters as spaces, not yet collapsed.
pub(super) fn characters(text: &str) -> Vec<Folded> {
    let mut folded = Vec::with_capacity(text.len().min(MAX_CHARS));
    for (from, original) in text.char_indices().take(MAX_CHARS) {
        let to = from + original.len_utf8();
        let mut push = |character: char| folded.push(Folded { character, from, to });
        if original.is_ascii() {
            push(if original.is_ascii_graphic() { original.to_ascii_lowercase() } else { ' ' });
        } else if has_accents(original) {
            original.nfkd().flat_map(char::to_lowercase).flat_map(|part| part.nfkd()).filter(meant).for_each(push);
        } else {
            original.nfkc().flat_map(char::to_lowercase).filter(meant).for_each(|part| {
                push(if part.is_whitespace() || part.is_control() { ' ' } else { part });
            });
        }
    }
    simplify(&mut folded);
    folded
}

/// Traditional characters as simplified ones, one for one; which one can depend on the neighbours.
fn simplify(folded: &mut [Folded]) {
    if !folded.iter().any(|folded| ('\u{2e80}'..='\u{9fff}').contains(&folded.character)) {
        return;
    }
    let text: String = folded.iter().map(|folded| folded.character).collect();
    for (folded, simplified) in folded.iter_mut().zip(fast2s::convert(&text).chars()) {
        folded.character = simplified;
    }
}

/// Scripts whose accents are left out by many who type in a hurry: Latin, Greek, Cyrillic.
fn has_accents(character: char) -> bool {
    matches!(character, '\u{a0}'..='\u{58f}' | '\u{1e00}'..='\u{1fff}')
}

/// Not the accent of a letter that was written in two pieces or with points that most leave out (Hebrew, Arabic), nor a
/// joiner or a mark of direction: nothing that people type to tell words apart.
fn meant(character: &char) -> bool {
    !matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_readers_take_for_the_same_becomes_the_same() {
        for (one, other) in [
            ("How do I  RESET my PIN?", "how do i reset my pin?"),
            ("ｐｉｎ１２３", "pin123"),
            ("信用卡額度怎麼提高", "信用卡额度怎么提高"),
            ("繁體中文開戶", "繁体中文开户"),
            ("cafe\u{301}", "CAFÉ"),
            ("ﬁnance", "finance"),
            ("a\u{200b}b", "ab"),
            ("a\tb\r\n", "a b"),
            ("İstanbul", "istanbul"),
        ] {
            assert_eq!(fold(one), fold(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn what_they_tell_apart_stays_apart() {
        for (one, other) in [("大", "太"), ("が", "か"), ("안녕", "안년"), ("1", "l"), ("not", "no")] {
            assert_ne!(fold(one), fold(other));
        }
    }

    #[test]
    fn a_long_text_costs_no_more_than_one_that_fits() {
        assert_eq!(fold(&"x".repeat(100_000)).len(), MAX_CHARS);
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing_more(text in "\\PC{0,40}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn each_character_stands_for_some_of_the_text(text in "\\PC{0,40}") {
            for folded in characters(&text) {
                prop_assert!(folded.from < folded.to && text.get(folded.from..folded.to).is_some());
            }
        }
    }
}
