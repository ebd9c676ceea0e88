//! Reading what customers write: does it ask for a person, is it a mere courtesy, is it a rating?
//!
//! Rules that a tenant's administrator can predict, not understanding: understanding is the answerer's.

use kefu_events::Content;

/// Characters in which a person is asked for, at most, at the start of a message: a message may be of 256 KiB.
const MAX_SCANNED_CHARS: usize = 2_000;

/// The first `chars` characters.
pub(super) fn cut(text: &str, chars: usize) -> &str {
    // Bytes first, because most texts are short: a text of so many bytes cannot have more characters.
    if text.len() <= chars {
        return text;
    }
    text.char_indices().nth(chars).map_or(text, |(end, _)| &text[..end])
}

/// What of a message can be put to the answerer, or taken for an answer; `None` where there is nothing to read.
pub(super) fn readable(content: &Content) -> Option<&str> {
    let text = match content {
        Content::Text { text } => text,
        Content::Card { title, .. } => title,
        Content::Image(file) | Content::File(file) if file.name.trim().is_empty() => &file.mime,
        Content::Image(file) | Content::File(file) => &file.name,
        Content::Event { .. } | Content::Edit { .. } | Content::Receipt { .. } | Content::Left => return None,
    };
    let text = text.trim();
    (!text.is_empty()).then_some(text)
}

/// Whether `text` contains one of `phrases`: as whole words where words are separated by spaces, anywhere where they
/// are not (人工 in 我要转人工). Case, full-width forms and runs of spaces do not matter.
pub(super) fn contains_phrase(text: &str, phrases: &[String]) -> bool {
    let text = folded(cut(text, MAX_SCANNED_CHARS));
    phrases.iter().map(|phrase| folded(phrase)).any(|phrase| {
        !phrase.is_empty()
            && text.match_indices(&phrase).any(|(start, found)| {
                let before = text[..start].chars().next_back();
                let after = text[start + found.len()..].chars().next();
                let splits = |inside: Option<char>, outside: Option<char>| match (inside, outside) {
                    (Some(inside), Some(outside)) => joins(inside) && joins(outside),
                    _ => false,
                };
                !splits(found.chars().next(), before) && !splits(found.chars().next_back(), after)
            })
    })
}

/// Whether `text` is one of `phrases`, but for case, punctuation and spaces.
pub(super) fn is_phrase(text: &str, phrases: &[String]) -> bool {
    // No courtesy is longer than the settings allow, so that a long text need not be read.
    const LONGEST: usize = 400;
    if text.len() > LONGEST {
        return false;
    }
    let text = bare(text);
    !text.is_empty() && phrases.iter().any(|phrase| bare(phrase) == text)
}

/// The rating that `text` is, if it is nothing else: 1 to 5 in any script that customers use.
pub(super) fn as_rating(text: &str) -> Option<u8> {
    const LONGEST: usize = 40;
    if text.len() > LONGEST {
        return None;
    }
    let text = bare(text);
    let number = ["分", "星", "stars", "star"].iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(&text);
    match number {
        "1" | "一" => Some(1),
        "2" | "二" | "两" => Some(2),
        "3" | "三" => Some(3),
        "4" | "四" => Some(4),
        "5" | "五" => Some(5),
        _ => None,
    }
}

/// Letters and digits only, folded; what has none (👍) is taken as it is, without spaces.
fn bare(text: &str) -> String {
    let folded = folded(text);
    let bare: String = folded.chars().filter(|c| c.is_alphanumeric()).collect();
    if bare.is_empty() { folded.replace(' ', "") } else { bare }
}

/// Lower case, full-width ASCII made ordinary, runs of white space made one space.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        if word.is_ascii() {
            // Most of what is compared: every message with every phrase.
            let start = folded.len();
            folded.push_str(word);
            folded[start..].make_ascii_lowercase();
            continue;
        }
        if word.is_ascii() {
            let start = folded.len();
            folded.push_str(word);
            folded[start..].make_ascii_lowercase();
            continue;
        }
        for c in word.chars() {
            let c = match c {
                '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
                _ => c,
            };
            folded.extend(c.to_lowercase());
        }
    }
    folded
}

/// Whether two such characters in a row stand within one word.
fn joins(c: char) -> bool {
    c.is_alphanumeric() && !unspaced(c)
}

/// Whether the script writes words without spaces between them, or ties particles to them: Thai, Lao, Burmese, Khmer,
/// Chinese, Japanese, Korean.
fn unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(phrases: &[&str]) -> Vec<String> {
        phrases.iter().map(|phrase| (*phrase).to_owned()).collect()
    }

    #[test]
    fn a_person_is_asked_for_in_whole_words_or_anywhere_in_chinese() {
        let words = phrases(&["human", "real person", "agent", "人工"]);
        for text in [
            "human",
            "HUMAN!",
            "a Real\n  Person, please",
            "我要转人工服务",
            "ＡＧＥＮＴ",
            "我要human吧",
            "i want an agent.",
        ] {
            assert!(contains_phrase(text, &words), "{text:?}");
        }
        for text in ["humane", "the reagent leaks", "agents", "inhuman", "人 工", "", "real-person"] {
            assert!(!contains_phrase(text, &words), "{text:?}");
        }
        assert!(!contains_phrase("anything", &phrases(&[""])), "a blank phrase is in no message");
        assert!(!contains_phrase(&format!("{} human", "x ".repeat(2_000)), &words), "only the start is read");
    }

    #[test]
    fn a_courtesy_is_the_whole_message() {
        let courtesies = phrases(&["thank you", "ok", "谢谢", "👍"]);
        for text in ["Thank you!!", "  OK. ", "谢谢。", "ｏｋ", "thankyou", "👍", "👍 "] {
            assert!(is_phrase(text, &courtesies), "{text:?}");
        }
        for text in ["ok but it is still broken", "", "!!", "👎", "谢谢你"] {
            assert!(!is_phrase(text, &courtesies), "{text:?}");
        }
    }

    #[test]
    fn ratings_are_understood_in_full_width_and_chinese() {
        for (text, score) in
            [("5", 5), (" 4. ", 4), ("３", 3), ("五", 5), ("两分", 2), ("1 star", 1), ("4分！", 4), ("5星", 5)]
        {
            assert_eq!(as_rating(text), Some(score), "{text:?}");
        }
        for text in ["0", "6", "55", "1 or 2", "four", "", "分", "order 5", "-"] {
            assert_eq!(as_rating(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(cut("客服客服", 2), "客服");
        assert_eq!(cut("ab", 2), "ab");
        assert_eq!(cut("客服", 5), "客服");
    }
}
