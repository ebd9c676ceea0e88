//! What can be set about answers that a language model words.

use crate::http::KeySource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A model that words answers from entries of the knowledge base. Off unless `enabled`.
///
/// These are settings of the server, not of a tenant's document: they name files and addresses, and whoever may write them
/// can send a file's first line to any address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlmSettings {
    /// Whether a model is asked at all.
    pub enabled: bool,
    /// Address up to and including `/v1`, such as `http://127.0.0.1:8080/v1` (llama.cpp), `http://127.0.0.1:11434/v1`
    /// (Ollama).
    pub url: String,
    /// Name of the model, as the server knows it.
    pub model: String,
    /// Where the key is, if the server wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// Said to the model after the fixed rules, such as the tone to use. It cannot loosen what is checked afterwards.
    pub instructions: String,
    /// How freely the model words, 0 (always the same) to 2.
    pub temperature: f32,
    /// Whether the answer is read while it is written. An answer that goes wrong is then given up early.
    pub stream: bool,
    /// Whether the server is asked to report tokens at the end of a stream. Some old servers refuse the question.
    pub stream_usage: bool,
    /// Limits.
    pub limits: LlmLimits,
    /// What a million tokens cost.
    pub prices: Prices,
    /// Which personal data are replaced before anything leaves.
    pub masking: Masking,
}

/// Limits of what is sent, waited for, paid, and accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LlmLimits {
    /// Milliseconds until the whole answer must be there. The conversation's own deadline holds besides.
    pub timeout_ms: u64,
    /// How often a request is repeated when the server fails in a way that may pass and there is time.
    pub retries: u32,
    /// Requests under way at a time; the next one falls back to the plain entry at once.
    pub parallel: usize,
    /// Entries given to the model, the best first.
    pub entries: usize,
    /// Characters of each entry; what is longer is cut.
    pub entry_chars: usize,
    /// Earlier messages given to the model, the latest.
    pub turns: usize,
    /// Characters of each message, the question included.
    pub message_chars: usize,
    /// Tokens the model may write.
    pub answer_tokens: u32,
    /// Characters an answer may have.
    pub answer_chars: usize,
    /// Tokens per tenant and day (UTC), both directions together; 0: no limit.
    pub tokens_per_day: u64,
    /// Money per tenant and day, in the currency of `prices`; 0: no limit.
    pub cost_per_day: f64,
    /// Share of a sentence's words that must occur in the entries it cites, 0 to 1. Lower it where answers are worded in
    /// another language than the entries; 0 checks numbers, links and citations only.
    pub support: f64,
    /// Failures in a row after which the model is left alone.
    pub breaker_failures: u32,
    /// Milliseconds it is left alone, then one request tries again.
    pub breaker_open_ms: u64,
}

/// What a million tokens cost, in any currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Prices {
    /// Tokens sent.
    pub input_per_million: f64,
    /// Tokens written by the model.
    pub output_per_million: f64,
}

/// Which personal data are replaced in messages before they leave, and put back into the answer. Entries are never masked:
/// they are meant for customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Masking {
    /// E-mail addresses.
    pub emails: bool,
    /// Telephone numbers.
    pub phones: bool,
    /// Numbers of payment cards (13 to 19 digits with a right check digit).
    pub cards: bool,
    /// Numbers of identity cards (Chinese, with a right check character; US social security).
    pub id_numbers: bool,
    /// Names that are known of the contact.
    pub names: bool,
}

impl Default for LlmSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            url: String::new(),
            model: String::new(),
            key: None,
            instructions: String::new(),
            temperature: 0.0,
            stream: true,
            stream_usage: true,
            limits: LlmLimits::default(),
            prices: Prices::default(),
            masking: Masking::default(),
        }
    }
}

impl Default for LlmLimits {
    fn default() -> Self {
        Self {
            timeout_ms: 8_000,
            retries: 1,
            parallel: 8,
            entries: 4,
            entry_chars: 2_000,
            turns: 6,
            message_chars: 1_000,
            answer_tokens: 400,
            answer_chars: 1_500,
            tokens_per_day: 2_000_000,
            cost_per_day: 0.0,
            support: 0.6,
            breaker_failures: 5,
            breaker_open_ms: 30_000,
        }
    }
}

impl Default for Masking {
    fn default() -> Self {
        Self { emails: true, phones: true, cards: true, id_numbers: true, names: true }
    }
}

impl LlmSettings {
    /// What is wrong with them, for people; nothing wrong gives an empty list.
    pub fn problems(&self) -> Vec<String> {
        let limits = &self.limits;
        let (url, model) = (&self.url, &self.model);
        let web = url.starts_with("http://") || url.starts_with("https://");
        let price = |price: f64| price.is_finite() && price >= 0.0;
        let rules = [
            (!self.enabled || web, "url: expected http:// or https:// and an address up to /v1"),
            (!self.enabled || !model.is_empty(), "model: the server must be told which one"),
            ((0.0..=2.0).contains(&self.temperature), "temperature: 0 to 2"),
            ((0.0..=1.0).contains(&limits.support), "limits.support: 0 to 1"),
            ((1..=20).contains(&limits.entries), "limits.entries: 1 to 20"),
            ((50..=20_000).contains(&limits.entry_chars), "limits.entry_chars: 50 to 20000"),
            ((10..=20_000).contains(&limits.message_chars), "limits.message_chars: 10 to 20000"),
            (limits.turns <= 50, "limits.turns: 0 to 50"),
            ((16..=8_192).contains(&limits.answer_tokens), "limits.answer_tokens: 16 to 8192"),
            ((20..=20_000).contains(&limits.answer_chars), "limits.answer_chars: 20 to 20000"),
            ((100..=120_000).contains(&limits.timeout_ms), "limits.timeout_ms: 100 to 120000"),
            (limits.retries <= 5, "limits.retries: 0 to 5"),
            ((1..=1_000).contains(&limits.parallel), "limits.parallel: 1 to 1000"),
            (limits.breaker_failures >= 1, "limits.breaker_failures: at least 1"),
            (price(limits.cost_per_day), "limits.cost_per_day: 0 or more"),
            (price(self.prices.input_per_million), "prices.input_per_million: 0 or more"),
            (price(self.prices.output_per_million), "prices.output_per_million: 0 or more"),
        ];
        rules.iter().filter(|(right, _)| !right).map(|(_, problem)| (*problem).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_on_and_nothing_is_wrong_by_default() {
        let settings: LlmSettings = serde_json::from_str("{}").expect("all fields have defaults");
        assert!(!settings.enabled && settings.problems().is_empty());
        assert_eq!(settings, LlmSettings::default());
    }

    #[test]
    fn each_problem_names_its_field() {
        let settings: LlmSettings = serde_json::from_value(serde_json::json!({
            "enabled": true, "url": "localhost", "temperature": 3.0, "limits": {"entries": 0, "support": 1.5, "retries": 9},
        }))
        .expect("readable");
        let problems = settings.problems();
        for field in ["url", "model", "temperature", "limits.entries", "limits.support", "limits.retries"] {
            assert!(problems.iter().any(|problem| problem.starts_with(field)), "{field}: {problems:?}");
        }
    }

    #[test]
    fn a_key_itself_is_no_setting() {
        let written = serde_json::json!({ "key": "sk-123" });
        assert!(serde_json::from_value::<LlmSettings>(written).is_err());
        let named = serde_json::json!({ "key": { "environment": "LLM_KEY" } });
        assert!(serde_json::from_value::<LlmSettings>(named).is_ok());
    }
}
