//! Reservations asked for, as one short text: under a burst a decision has a hundred of them, and each stands in the log
//! twice.
//!
//! `agent conversation weight ms`, parted by commas, the time counted from the one before. Earlier versions of kefu wrote
//! lists, which are read as well.

use super::{AskedFor, ConversationKey};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
use std::fmt::Write as _;

/// See the module's text.
pub(super) fn serialize<S: Serializer>(asked: &[AskedFor], serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = String::with_capacity(asked.len() * 48);
    let mut before = 0;
    for AskedFor(agent, conversation, weight, at_ms) in asked {
        let comma = if text.is_empty() { "" } else { "," };
        // Cannot fail: a text takes everything. Agents are known by keys, which have neither spaces nor commas.
        let _ = write!(text, "{comma}{agent} {conversation} {weight} {}", at_ms.wrapping_sub(before));
        before = *at_ms;
    }
    serializer.serialize_str(&text)
}

/// See the module's text.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AskedFor>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        List(Vec<AskedFor>),
    }

    let text = match Either::deserialize(deserializer)? {
        Either::List(asked) => return Ok(asked),
        Either::Text(text) => text,
    };
    let mut before = 0_i64;
    let asked = text.split(',').map(|one| {
        let mut parts = one.split(' ');
        let agent = parts.next()?.to_owned();
        let conversation: ConversationKey = parts.next()?.parse().ok()?;
        let weight = parts.next()?.parse().ok()?;
        before = before.wrapping_add(parts.next()?.parse().ok()?);
        (parts.next().is_none()).then_some(AskedFor(agent, conversation, weight, before))
    });
    asked.collect::<Option<_>>().ok_or_else(|| D::Error::custom("no reservations that were asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::floor::Beside;
    use serde_json::{Value, json};

    fn asked() -> Vec<AskedFor> {
        let one = |agent: &str, conversation, weight, at_ms| {
            AskedFor(agent.to_owned(), ConversationKey(conversation), weight, at_ms)
        };
        vec![
            one("ann", 7, 1, 1_763_856_000_123),
            one("b-2_c", u128::MAX, 20, 1_763_856_000_001),
            one("ann", 0, 3, i64::MAX),
        ]
    }

    #[test]
    fn reservations_are_read_back_as_they_were_written() {
        for asked in [asked(), asked()[..1].to_vec(), Vec::new()] {
            let beside = Beside { asked: asked.clone(), overtaken: asked, ..Beside::default() };
            let written = serde_json::to_value(&beside).unwrap();
            assert!(written.get("asked").is_none_or(Value::is_string), "{written}");
            assert_eq!(serde_json::from_value::<Beside>(written).unwrap(), beside);
        }
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let asked = asked();
        let before = json!({"asked": asked.iter().map(|one| json!(one)).collect::<Vec<_>>()});
        assert_eq!(serde_json::from_value::<Beside>(before).unwrap().asked, asked);
    }

    #[test]
    fn what_is_no_reservation_is_refused() {
        for wrong in ["", "ann", "ann 7 1 x", "ann 00000000000000000000000000000007 1 2 3", "ann 7 1 1,"] {
            assert!(serde_json::from_value::<Beside>(json!({"asked": wrong})).is_err(), "{wrong:?}");
        }
    }
}
