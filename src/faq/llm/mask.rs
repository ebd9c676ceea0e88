//! Personal data out of messages before they leave, and back into the answer.

use super::settings::Masking;
use regex::{Captures, Regex};
use std::{borrow::Cow, sync::LazyLock};

/// What stood in the place of each placeholder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masks {
    tag: String,
    /// Kind and text; the number of a placeholder is its place here, from 1.
    masked: Vec<(&'static str, String)>,
    masking: Masking,
    names: Option<Box<str>>,
}

fn regex(pattern: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "the patterns are constants, and each is used in a test")]
    Regex::new(pattern).expect("the pattern is a regular expression")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+"));
/// 13 to 19 digits in groups; those with a right check digit are cards.
static CARD: LazyLock<Regex> = LazyLock::new(|| regex(r"\d(?:[ -]?\d){12,18}"));
static CHINESE_ID: LazyLock<Regex> = LazyLock::new(|| regex(r"\d{17}[\dXx]"));
static SOCIAL_SECURITY: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d{3}-\d{2}-\d{4}\b"));
/// Seven to fifteen digits, as people group them.
static PHONE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\+?(?:\(\d{1,4}\)[ -]?)?\d(?:[ .-]?\d|[ .-]?\(\d{1,4}\)){5,13}\d"));
/// The beginning of a date, which is grouped like a telephone number.
static DATE: LazyLock<Regex> = LazyLock::new(|| regex(r"^(?:19|20)\d{2}[-. ]\d{1,2}[-. ]\d{1,2}(?:\D|$)"));

impl Masks {
    /// `tag` makes placeholders that nobody can have written into a message. `names` are what the contact is called.
    pub fn new(tag: &str, masking: Masking, names: &[&str]) -> Self {
        let mut names: Vec<&str> =
            names.iter().map(|name| name.trim()).filter(|name| name.chars().count() >= 2).collect();
        // The longest first: "Ann Lee" before "Ann".
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let alternatives: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let names = (masking.names && !alternatives.is_empty()).then(|| alternatives.join("|").into());
        Self { tag: tag.to_owned(), masked: Vec::new(), masking, names }
    }

    /// The text with placeholders. The same data get the same placeholder in all texts.
    pub fn mask(&mut self, text: &str) -> String {
        let masking = self.masking;
        let mut text = text.to_owned();
        if masking.emails {
            text = self.replace(&text, "EMAIL", &EMAIL, |_| true);
        }
        if masking.id_numbers {
            text = self.replace(&text, "ID", &CHINESE_ID, has_chinese_check);
            text = self.replace(&text, "ID", &SOCIAL_SECURITY, |_| true);
        }
        if masking.cards {
            text = self.replace(&text, "CARD", &CARD, has_luhn_check);
        }
        if masking.phones {
            text = self.replace(&text, "PHONE", &PHONE, |found| digits(found).count() >= 7 && !DATE.is_match(found));
        }
        // Latin names are words; Chinese ones stand in the middle of a sentence without spaces.
        if let Some(names) = self.names.clone()
            && let Ok(pattern) = Regex::new(&format!("(?i){names}"))
        {
            text = self.replace_words(&text, "NAME", &pattern);
        }
        text
    }

    /// The text with the data in the place of placeholders. Nothing, if it has placeholders that were never made.
    pub fn unmask(&self, text: &str) -> Option<String> {
        let mut unknown = false;
        let unmasked = self.placeholder().replace_all(text, |found: &Captures<'_>| {
            let number: usize = found[2].parse().unwrap_or(0);
            match number.checked_sub(1).and_then(|at| self.masked.get(at)) {
                Some((kind, original)) if *kind == &found[1] => original.clone(),
                _ => {
                    unknown = true;
                    String::new()
                }
            }
        });
        let unmasked = unmasked.into_owned();
        (!unknown).then_some(unmasked)
    }

    /// The text without placeholders: what the model itself has said.
    pub fn without_placeholders<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.placeholder().replace_all(text, " ")
    }

    fn placeholder(&self) -> Regex {
        regex(&format!(r"\{{{}-([A-Z]+)-(\d{{1,6}})\}}", regex::escape(&self.tag)))
    }

    fn place(&mut self, kind: &'static str, original: &str) -> String {
        let known = self.masked.iter().position(|(known, text)| *known == kind && text == original);
        let number = known.unwrap_or_else(|| {
            self.masked.push((kind, original.to_owned()));
            self.masked.len() - 1
        });
        format!("{{{}-{kind}-{}}}", self.tag, number + 1)
    }

    fn replace(&mut self, text: &str, kind: &'static str, pattern: &Regex, is_one: impl Fn(&str) -> bool) -> String {
        let pieces = self.outside_placeholders(text);
        let mut replaced = String::with_capacity(text.len());
        for (piece, is_placeholder) in pieces {
            if is_placeholder {
                replaced.push_str(piece);
            } else {
                let found = pattern.replace_all(piece, |found: &Captures<'_>| {
                    if is_one(&found[0]) { self.place(kind, &found[0]) } else { found[0].to_owned() }
                });
                replaced.push_str(&found);
            }
        }
        replaced
    }

    fn replace_words(&mut self, text: &str, kind: &'static str, pattern: &Regex) -> String {
        let mut replaced = String::with_capacity(text.len());
        for (piece, is_placeholder) in self.outside_placeholders(text) {
            let mut from = 0;
            for found in pattern.find_iter(piece).filter(|_| !is_placeholder) {
                let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
                let inside_word = letter(piece[..found.start()].chars().next_back())
                    && letter(found.as_str().chars().next())
                    || letter(piece[found.end()..].chars().next()) && letter(found.as_str().chars().next_back());
                if !inside_word {
                    replaced.push_str(&piece[from..found.start()]);
                    replaced.push_str(&self.place(kind, found.as_str()));
                    from = found.end();
                }
            }
            replaced.push_str(&piece[from..]);
        }
        replaced
    }

    /// The text cut at placeholders, and which pieces are such: their digits are no telephone numbers.
    fn outside_placeholders<'a>(&self, text: &'a str) -> Vec<(&'a str, bool)> {
        let mut pieces = Vec::new();
        let mut from = 0;
        for found in self.placeholder().find_iter(text) {
            pieces.push((&text[from..found.start()], false));
            pieces.push((found.as_str(), true));
            from = found.end();
        }
        pieces.push((&text[from..], false));
        pieces
    }
}

/// Values of the digits, wide ones included (`\d` finds them as well).
fn digits(text: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    text.chars().filter_map(|c| match c {
        '０'..='９' => Some(c as u32 - '０' as u32),
        _ => c.to_digit(10),
    })
}

/// Luhn's check digit (ISO/IEC 7812-1).
fn has_luhn_check(text: &str) -> bool {
    let double = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 =
        digits(text).rev().enumerate().map(|(at, digit)| if at % 2 == 1 { double(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}

/// The check character of GB 11643-1999.
fn has_chinese_check(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    let sum: u32 = digits(text).zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    text.chars().next_back().is_some_and(|last| last.to_ascii_uppercase() == CHECKS[sum as usize % 11])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masks() -> Masks {
        Masks::new("k7", Masking::default(), &["Ann", "Ann Lee", "王小明", "X"])
    }

    #[test]
    fn each_kind_is_masked_and_comes_back() {
        let cases = [
            ("write to ann.lee@mail.example.com please", "write to {k7-EMAIL-1} please"),
            ("call +49 30 1234567 or 138-1234-5678", "call {k7-PHONE-1} or {k7-PHONE-2}"),
            ("我的手机是13812345678，谢谢", "我的手机是{k7-PHONE-1}，谢谢"),
            ("电话（０１０）６５５２９９８８", "电话（０１０）{k7-PHONE-1}"),
            ("card 4111 1111 1111 1111, exp 12/27", "card {k7-CARD-1}, exp 12/27"),
            ("身份证11010519491231002X没错", "身份证{k7-ID-1}没错"),
            ("ssn 078-05-1120.", "ssn {k7-ID-1}."),
            ("I am Ann Lee, ann for short, not Annabel", "I am {k7-NAME-1}, {k7-NAME-2} for short, not Annabel"),
            ("我叫王小明，请问", "我叫{k7-NAME-1}，请问"),
            ("order 12345, 3 items, 2026-11-22 at 10:30", "order 12345, 3 items, 2026-11-22 at 10:30"),
        ];
        for (text, masked) in cases {
            let mut masks = masks();
            assert_eq!(masks.mask(text), masked);
            assert_eq!(masks.unmask(masked).as_deref(), Some(text));
        }
    }

    #[test]
    fn the_same_data_get_the_same_placeholder_in_all_texts() {
        let mut masks = masks();
        assert_eq!(masks.mask("a@b.example and c@d.example"), "{k7-EMAIL-1} and {k7-EMAIL-2}");
        assert_eq!(masks.mask("again c@d.example"), "again {k7-EMAIL-2}");
    }

    #[test]
    fn placeholders_that_were_never_made_are_noticed() {
        let mut masks = masks();
        masks.mask("a@b.example");
        assert_eq!(masks.unmask("to {k7-EMAIL-2}"), None);
        assert_eq!(masks.unmask("to {k7-PHONE-1}"), None);
        assert_eq!(masks.unmask("to {xx-PHONE-1}").as_deref(), Some("to {xx-PHONE-1}"));
    }

    #[test]
    fn what_is_switched_off_stays() {
        let off = Masking { emails: false, phones: false, cards: false, id_numbers: false, names: false };
        let text = "Ann, a@b.example, 13812345678, 4111111111111111";
        assert_eq!(Masks::new("k7", off, &["Ann"]).mask(text), text);
    }

    proptest! {
        #[test]
        fn whatever_is_masked_comes_back(text in "\\PC{0,80}", more in "[0-9 @a-z.+()-]{0,40}") {
            let mut masks = masks();
            let text = format!("{text}{more}");
            let masked = masks.mask(&text);
            prop_assert_eq!(masks.unmask(&masked), Some(text));
        }
    }
}
