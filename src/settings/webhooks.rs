//! What the document `webhooks` may say.

use kefu_events::{AggregateKind, key::is_token, schema::event_types, webhook::WebhooksSettings};
use std::{collections::BTreeSet, sync::LazyLock};
use url::Url;

/// Webhooks of a tenant, at most: each one reads the tenant's log.
const MAX_WEBHOOKS: usize = 50;
const MAX_URL_CHARS: usize = 2_000;

/// Made of the contract's schemas, which takes milliseconds.
static EVENT_TYPES: LazyLock<BTreeSet<String>> = LazyLock::new(event_types);

/// Whether a tenant may have these webhooks.
///
/// # Errors
/// The path to what is wrong, and what would be right.
pub(super) fn check(settings: &WebhooksSettings) -> Result<(), (String, String)> {
    let count = settings.webhooks.len();
    if count > MAX_WEBHOOKS {
        return Err(("webhooks".to_owned(), format!("there are {count} where {MAX_WEBHOOKS} are allowed")));
    }
    for (name, webhook) in &settings.webhooks {
        let wrong = |of: &str, what: String| Err((format!("webhooks.{name}{of}"), what));
        if !is_token(name) {
            return wrong("", format!("{name:?} is not 1 to 64 of A-Z, a-z, 0-9, _ and -"));
        }
        if let Err(what) = url(&webhook.url) {
            return wrong(".url", what);
        }
        if webhook.aggregates.contains(&AggregateKind::User) {
            return wrong(".aggregates", "commits of users hold hashes of passwords and are not sent".to_owned());
        }
        for event in &webhook.events {
            if !EVENT_TYPES.contains(event) {
                let near =
                    EVENT_TYPES.iter().map(|known| (strsim::normalized_damerau_levenshtein(known, event), known));
                let near = near.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.5);
                let hint = near.map(|(_, known)| format!("; did you mean {known:?}?")).unwrap_or_default();
                return wrong(
                    ".events",
                    format!("there is no event {event:?}{hint} The schemas of commits list them all"),
                );
            }
        }
    }
    Ok(())
}

/// Whether commits may be sent there, as far as the address itself tells.
fn url(text: &str) -> Result<(), String> {
    let chars = text.chars().count();
    if chars > MAX_URL_CHARS {
        return Err(format!("has {chars} characters where {MAX_URL_CHARS} are allowed"));
    }
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no address such as https://host/path: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("{text:?} begins neither with https:// nor with http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Settings are events, which are kept for ever.
        return Err("has a user name or a password: leave them out, and check the signature instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment (#…), which is never sent: leave it out".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::settings::validate;
    use serde_json::{Value, json};

    fn refused(webhook: Value) -> String {
        let value = json!({ "webhooks": { "crm": webhook } });
        validate("webhooks", &value).map_or_else(|refusal| refusal.message, |()| String::new())
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused_with_what_would_be_right() {
        assert_eq!(refused(json!({ "url": "https://crm.example/hook?x=1", "events": ["session_opened"] })), "");
        for (webhook, part) in [
            (
                json!({ "url": "crm.example/hook" }),
                "webhooks.crm.url: \"crm.example/hook\" is no address such as https://",
            ),
            (json!({ "url": "ftp://crm.example" }), "begins neither with https:// nor"),
            (json!({ "url": "https://me:secret@crm.example" }), "leave them out"),
            (json!({ "url": "https://crm.example/#a" }), "fragment"),
            (json!({ "url": "https://crm.example", "events": ["session_open"] }), "did you mean \"session_opened\"?"),
            (json!({ "url": "https://crm.example", "aggregates": ["user"] }), "hashes of passwords"),
            (json!({ "url": "https://crm.example", "secret": "x" }), "unknown field"),
        ] {
            let message = refused(webhook.clone());
            assert!(message.contains(part), "{webhook}: {message:?}");
        }
        assert!(validate("webhooks", &json!({ "webhooks": { "a b": { "url": "https://crm.example" } } })).is_err());
    }
}
