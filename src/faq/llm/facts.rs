//! What a text claims that can be checked letter by letter: numbers and links. And what it is made of: words.

use regex::{Captures, Regex};
use std::{borrow::Cow, collections::BTreeSet, sync::LazyLock};
use unicode_normalization::UnicodeNormalization;

fn regex(pattern: &str) -> Regex {
    #[expect(clippy::expect_used, reason = "the patterns are constants, and each is used in a test")]
    Regex::new(pattern).expect("the pattern is a regular expression")
}

static DIGITS: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?"));

/// Numbers of a list at the start of lines.
static LIST_MARK: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^[ \t]*([0-9]{1,2})[.)、．](?:[ \t]|[^0-9])"));

/// Seven digits and more with what people put between them.
static LONG_NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"[0-9](?:[ .()/-]{0,2}[0-9]){6,}"));

/// Days and spans of years, which are grouped like telephone numbers.
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"(?-u:\b)(?:19|20)[0-9]{2}(?:[./-][0-9]{1,2}[./-][0-9]{1,2}| ?- ?(?:19|20)[0-9]{2})(?-u:\b)")
});

/// An address with a scheme, an e-mail address, or a bare host with or without a path. Letters of other scripts belong to
/// it after `://` and `@`, so that a look-alike of a known host is not the known host.
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?ix)
        [a-z][a-z0-9+.-]* :// [^\s<>()\[\]{}"'，。；、）】》]+
        | [a-z0-9._%+-]+ @ [^\s<>()\[\]{}"',，。；、）】》]+
        | (?-u:\b)(?:javascript|data|vbscript|file|mailto|tel|sms|weixin|alipays?) : [^\s<>\[\]{}"'，。；、）】》]*
        | [a-z0-9] [a-z0-9-]* (?:\.[a-z0-9-]+)* \. [a-z]{2,18} (?-u:\b) (?: : [0-9]+ )? (?: / [^\s<>()\[\]{}"'，。；、）】》]* )?
        | [0-9]{1,3} (?:\.[0-9]{1,3}){3}
        | [@＠] [\p{L}\p{N}_]{3,}
        "#,
    )
});

/// A tag of HTML: never in plain text.
static HTML: LazyLock<Regex> = LazyLock::new(|| regex(r"(?i)</?[a-z!]|!\[[^\]]*\]\("));

const ENGLISH: [(&str, u64); 31] = [
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("sixty", 60),
    ("seventy", 70),
    ("eighty", 80),
    ("ninety", 90),
    ("hundred", 100),
    ("thousand", 1_000),
    ("million", 1_000_000),
    ("dozen", 12),
    ("twice", 2),
];

/// Chinese numerals before what is counted; without it 一 is mostly no number (一下, 一些).
static CHINESE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"([零〇一二两三四五六七八九十百千万亿]+)(?:个|名|位|件|张|次|天|日|月|年|周|星期|小时|钟头|分钟|分|秒|元|块|角|美元|欧元|港币|折|倍|岁|公里|米|公斤|克|成|笔|封|步|份|层|期)",
    )
});

/// Wide letters and digits made plain, everything in small letters, so that the same looks the same.
pub(super) fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

/// All numbers, each in its shortest form: `1,000.50` is `1000.5`, `three` is `3`, 十五天 is `15`. What belongs to an
/// address or a long number is none: the 400 of a telephone number says nothing about 400 of anything. Takes folded text.
pub(super) fn numbers(text: &str) -> BTreeSet<String> {
    let text = LINK.replace_all(text, " ");
    let text = dates_apart(&text);
    let text = LONG_NUMBER.replace_all(&text, " ");
    let mut numbers: BTreeSet<String> = DIGITS.find_iter(&text).map(|found| shortest(found.as_str())).collect();
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    numbers.extend(words.filter_map(|word| Some(ENGLISH.iter().find(|(name, _)| *name == word)?.1.to_string())));
    numbers.extend(CHINESE.captures_iter(&text).filter_map(|found| Some(chinese(&found[1])?.to_string())));
    numbers
}

/// The same without the numbers of a list whose lines are counted 1, 2, 3.
pub(super) fn numbers_said(text: &str) -> BTreeSet<String> {
    let marks = LIST_MARK.captures_iter(text).filter_map(|found| found.get(1));
    if marks.enumerate().filter(|(at, mark)| mark.as_str() == (at + 1).to_string()).count() < 2 {
        return numbers(text);
    }
    let mut count = 0;
    numbers(&LIST_MARK.replace_all(text, |found: &Captures<'_>| {
        count += 1;
        if found[1] == count.to_string() { "\n ".to_owned() } else { found[0].to_owned() }
    }))
}

/// The text with the numbers of dates so far from each other that they are no long number.
fn dates_apart(text: &str) -> Cow<'_, str> {
    DATE.replace_all(text, |found: &Captures<'_>| {
        format!("; {} ;", found[0].replace(|c: char| !c.is_ascii_digit(), " ; "))
    })
}

fn shortest(number: &str) -> String {
    let number = number.replace(',', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// 三百二十 is 320, 二〇二六 is 2026. Nothing, if it is too large.
fn chinese(numeral: &str) -> Option<u64> {
    let digit = |c: char| "零一二三四五六七八九".chars().position(|d| d == c).map(|value| value as u64);
    let digit = |c: char| match c {
        '〇' => Some(0),
        '两' => Some(2),
        c => digit(c),
    };
    if numeral.chars().all(|c| digit(c).is_some()) {
        return numeral.chars().try_fold(0_u64, |value, c| value.checked_mul(10)?.checked_add(digit(c)?));
    }
    let (mut total, mut section, mut last) = (0_u64, 0_u64, 0_u64);
    for c in numeral.chars() {
        let unit = match c {
            '十' => 10,
            '百' => 100,
            '千' => 1_000,
            '万' => 10_000,
            '亿' => 100_000_000,
            c => {
                last = digit(c)?;
                continue;
            }
        };
        if unit >= 10_000 {
            total = total.checked_add(section.checked_add(last)?.max(1).checked_mul(unit)?)?;
            section = 0;
        } else {
            section = section.checked_add(last.max(1).checked_mul(unit)?)?;
        }
        last = 0;
    }
    total.checked_add(section)?.checked_add(last)
}

/// Numbers of seven digits and more, digits alone: telephone, account and order numbers. Takes folded text.
pub(super) fn long_numbers(text: &str) -> BTreeSet<String> {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect();
    LONG_NUMBER.find_iter(&dates_apart(text)).map(|found| digits(found.as_str())).collect()
}

/// All addresses: web, e-mail, hosts, handles, and schemes that do something. Takes folded text.
pub(super) fn links(text: &str) -> BTreeSet<String> {
    let plain = |link: &str| {
        let link = link.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', '`', '/']);
        let link = link.strip_prefix("mailto:").unwrap_or(link);
        let link = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://")).unwrap_or(link);
        link.strip_prefix("www.").unwrap_or(link).to_owned()
    };
    LINK.find_iter(text).map(|found| plain(found.as_str())).collect()
}

/// Whether there are tags of HTML or pictures of Markdown.
pub(super) fn has_markup(text: &str) -> bool {
    HTML.is_match(text)
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Words that carry something, for comparing: of Latin and other alphabets without stop words and cut to six letters, so
/// that `refunded` is `refunds`; of Chinese each pair of neighbours. Takes folded text.
pub(super) fn terms(text: &str) -> Vec<String> {
    const STEM: usize = 6;
    let mut terms = Vec::new();
    let mut word = String::new();
    let mut before: Option<char> = None;
    for c in text.chars().chain([' ']) {
        if is_han(c) {
            if let Some(before) = before {
                terms.push([before, c].iter().collect());
            }
            before = Some(c);
        } else {
            before = None;
        }
        if c.is_alphanumeric() && !is_han(c) {
            word.push(c);
        } else if !word.is_empty() {
            // Numbers are checked by themselves, and those of a list say nothing.
            if !STOP_WORDS.contains(&word.as_str()) && !word.chars().all(|c| c.is_ascii_digit()) {
                terms.push(word.chars().take(STEM).collect());
            }
            word.clear();
        }
    }
    terms
}

/// Words that an answer may use however its sources are worded.
const STOP_WORDS: [&str; 91] = [
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "but", "by",
    "can", "could", "do", "does", "for", "from", "get", "have", "has", "here", "how", "if", "in", "into", "is", "it",
    "its", "may", "me", "more", "must", "my", "need", "of", "on", "once", "one", "only", "or", "our", "out", "please",
    "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "until", "up", "use", "using", "via", "was", "we", "were", "what", "when", "where", "which",
    "while", "who", "will", "with", "within", "would", "you", "your", "yours", "however", "simply", "just", "ll", "s",
    "t",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    #[test]
    fn numbers_are_found_however_they_are_written() {
        let cases: [(&str, &[&str]); 13] = [
            ("It costs $1,000.50.", &["1000.5"]),
            ("three to five days, 007", &["3", "5", "7"]),
            ("One can do this once", &[]),
            ("３０分钟内", &["30"]),
            ("十五天或三百二十元", &["15", "320"]),
            ("二〇二六年十二月", &["2026", "12"]),
            ("一下一些一直一起", &[]),
            ("一天两次", &["1", "2"]),
            ("两万三千元", &["23000"]),
            ("2026-11-22 9:00", &["2026", "11", "22", "9", "0"]),
            ("code AB12", &["12"]),
            ("3.5% of 0.50", &["3.5", "0.5"]),
            ("call 400-820-8820 or shop24.example/7", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(numbers(&folded(text)), set(expected), "{text}");
        }
    }

    #[test]
    fn numbers_of_a_counted_list_are_not_said() {
        assert_eq!(numbers_said("1. open it\n2. wait 5 minutes\n3. done"), set(&["5"]));
        assert_eq!(numbers_said("7. open it\n9. close"), set(&["7", "9"]));
        assert_eq!(numbers_said("1. open it\n2. wait\n90. days"), set(&["90"]));
        assert_eq!(numbers_said("1. only one"), set(&["1"]));
    }

    #[test]
    fn links_are_found_however_they_are_written() {
        let cases: [(&str, &[&str]); 13] = [
            ("See https://www.Shop.example/help/.", &["shop.example/help"]),
            ("请访问shop.example查看。", &["shop.example"]),
            ("请访问 https://shop.example/a。谢谢", &["shop.example/a"]),
            ("write to Help@Shop.example, please", &["help@shop.example"]),
            ("<mailto:help@shop.example>", &["help@shop.example"]),
            ("[click](http://evil.example/x?q=1)", &["evil.example/x?q=1"]),
            ("javascript:alert(1)", &["javascript:alert(1)"]),
            ("go to 10.0.0.1 now", &["10.0.0.1"]),
            ("follow @evil_shop", &["@evil_shop"]),
            ("https://shоp.example", &["shоp.example"]),
            ("shоp.example", &["p.example"]),
            ("ftp://files.example", &["ftp://files.example"]),
            ("Open it. Then wait, e.g. a day.", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(links(&folded(text)), set(expected), "{text}");
        }
    }

    #[test]
    fn telephone_numbers_are_the_same_however_they_are_grouped() {
        assert_eq!(long_numbers("400-820-8820 or 400 820 8820"), set(&["4008208820"]));
        assert_eq!(long_numbers("12-34 days, 2026-11-22 9:00, 2019-2024"), set(&[]));
    }

    #[test]
    fn words_are_compared_by_their_beginnings_and_chinese_by_pairs() {
        assert_eq!(terms("your refunds are being refunded"), ["refund", "being", "refund"]);
        assert_eq!(terms("退款a天内"), ["退款", "天内"]);
    }

    #[test]
    fn markup_is_noticed() {
        for text in ["<script>", "a <img src=x", "</p>", "![x](y)"] {
            assert!(has_markup(text), "{text}");
        }
        assert!(!has_markup("if a < b and 3 > 2"));
    }
}
