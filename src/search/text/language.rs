//! Which language a text is in.

use whatlang::{Detector, Lang, Script};

/// A language, as far as search treats languages differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    English,
    /// Chinese, simplified or traditional.
    Chinese,
    /// Any other, or none that can be told.
    Other,
}

/// Below this many characters of Latin script, statistics of letters say little, and English is likelier than what they say.
const SHORT: usize = 60;

/// What trigrams of short texts are compared with: the more languages, the more often one of them wins by chance.
const LATIN: [Lang; 10] =
    [Lang::Eng, Lang::Spa, Lang::Por, Lang::Fra, Lang::Deu, Lang::Ita, Lang::Nld, Lang::Vie, Lang::Ind, Lang::Tur];

impl Language {
    /// Of a text. Han characters without kana mean Chinese, however many Latin words stand between them: half of the
    /// customers' product names are Latin. For Latin script whatlang's trigrams decide, for short texts only where it is sure.
    pub fn of(text: &str) -> Self {
        let (mut han, mut other_asian, mut letters, mut ascii) = (0, 0, 0, 0);
        for character in text.chars().take(super::MAX_CHARS) {
            match character {
                '\u{3040}'..='\u{30ff}' | '\u{ac00}'..='\u{d7af}' => other_asian += 1,
                '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => han += 1,
                _ if character.is_ascii_alphabetic() => ascii += 1,
                _ if character.is_alphabetic() => letters += 1,
                _ => {}
            }
        }
        if other_asian > 0 {
            return Self::Other;
        }
        if han > 0 {
            // One character of a name in an English sentence does not make it Chinese.
            return if han * 8 >= ascii + letters { Self::Chinese } else { Self::English };
        }
        if letters > ascii || ascii + letters == 0 {
            return Self::Other;
        }
        match Detector::with_allowlist(LATIN.to_vec()).detect(text) {
            Some(found) if found.script() != Script::Latin => Self::Other,
            Some(found) if found.lang() == Lang::Eng => Self::English,
            Some(found) if found.is_reliable() && (letters > 0 || ascii >= SHORT) => Self::Other,
            _ => Self::English,
        }
    }

    /// BCP 47 tag; `und` for any other.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
            Self::Other => "und",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, Chinese, English, Other};

    #[test]
    fn short_questions_are_told_by_their_script() {
        for (text, language) in [
            ("How do I reset my PIN?", English),
            ("card not working", English),
            ("refund", English),
            ("信用卡怎么还款", Chinese),
            ("我的iPhone坏了", Chinese),
            ("Apple Pay 绑不上卡", Chinese),
            ("開戶需要什麼資料", Chinese),
            ("カードを無くしました", Other),
            ("카드를 잃어버렸어요", Other),
            ("Я потерял карту", Other),
            ("¿Cómo puedo cambiar la contraseña de mi cuenta bancaria si la he olvidado por completo?", Other),
            ("Wie kann ich das Passwort meines Kontos ändern, wenn ich es vollständig vergessen habe?", Other),
            ("I ordered from a shop called 淘宝 last week and the parcel has not arrived yet", English),
            ("12345", Other),
            ("", Other),
        ] {
            assert_eq!(Language::of(text), language, "{text}");
        }
    }
}
