//! One attempt to deliver one commit: signed, sent, and judged.

use super::guard;
use crate::http::{self, Fault};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    Client, StatusCode, Url,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use sha2::Sha256;
use std::time::Duration;

/// How long a receiver may take to answer. It should take what it gets in, and work on it afterwards.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read, so that the connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Characters of what a receiver says that are kept, for whoever looks why it fails.
const MAX_MESSAGE_CHARS: usize = 300;
/// The first pause after a failure; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest one of our own.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest one that a receiver can wish for.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// What is sent.
pub(super) struct Delivery<'a> {
    /// The same for every attempt.
    pub id: &'a str,
    /// Name of the webhook.
    pub webhook: &'a str,
    /// From 1.
    pub attempt: u64,
    /// The JSON.
    pub body: String,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// What is wrong, for people.
    pub message: String,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
}

/// The id by which a receiver knows a commit that it has had: the same whenever it is made.
pub(super) fn id_of(tenant: &str, webhook: &str, commit_id: &str) -> String {
    let name = format!("kefu/webhook/{tenant}/{webhook}/{commit_id}");
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

/// The header `Kefu-Signature`, under each of the secrets that are good.
pub(super) fn signature<'a>(secrets: impl Iterator<Item = &'a str>, timestamp: i64, body: &str) -> String {
    let signed = secrets.map(|secret| {
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap_or_else(|_| unreachable!("any length"));
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body.as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("v1={hex}")
    });
    signed.collect::<Vec<_>>().join(",")
}

/// Sends it once.
pub(super) async fn send(
    client: &Client,
    url: &str,
    private: bool,
    secrets: impl Iterator<Item = &str>,
    delivery: Delivery<'_>,
) -> Result<u16, Failure> {
    let failed = |message: String| Failure { status: None, message, retry_after: None };
    let url = Url::parse(url).map_err(|error| failed(format!("{url:?} is no address: {error}")))?;
    guard::check(&url, private).map_err(|private| failed(private.to_string()))?;
    let timestamp = Utc::now().timestamp();
    let request = client
        .post(url)
        .timeout(ANSWER_TIMEOUT)
        .header(CONTENT_TYPE, "application/json")
        .header("Kefu-Delivery", delivery.id)
        .header("Kefu-Webhook", delivery.webhook)
        .header("Kefu-Attempt", delivery.attempt)
        .header("Kefu-Timestamp", timestamp)
        .header("Kefu-Signature", signature(secrets, timestamp, &delivery.body))
        .body(delivery.body);
    let response = request.send().await.map_err(|error| failed(Fault::from(error).to_string()))?;
    let status = response.status();
    let wish = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, Utc::now()));
    let answer = http::read(response, MAX_ANSWER_BYTES).await.unwrap_or_default();
    if status.is_success() {
        return Ok(status.as_u16());
    }
    // It is shown in terminals.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let said: String = String::from_utf8_lossy(&answer).trim().chars().take(MAX_MESSAGE_CHARS).map(plain).collect();
    let message = match status {
        status if status.is_redirection() => {
            format!("it redirects ({status}), which is not followed: name the new address")
        }
        StatusCode::GONE | StatusCode::NOT_FOUND => format!("{status}: is the address still right? {said}"),
        status => format!("{status} {said}"),
    };
    Err(Failure { status: Some(status.as_u16()), message: message.trim_end().to_owned(), retry_after: wish })
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    (until.to_utc() - now).to_std().ok()
}

/// How long to wait after `attempts` failures (1: the first): doubled each time, up to some minutes, and not shorter than the
/// receiver wants. `spread` in [0, 1) makes it up to a quarter longer, so that many webhooks do not come back at once.
pub(super) fn pause(attempts: u64, retry_after: Option<Duration>, spread: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let wish = retry_after.unwrap_or_default().min(LONGEST_WISH);
    doubled.mul_f64(1.0 + spread.clamp(0.0, 1.0) / 4.0).max(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_others_compute() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let one = signature(["secret"].into_iter(), 1_700_000_000, "{}");
        assert_eq!(one, "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163");
        let two = signature(["secret", "old"].into_iter(), 1_700_000_000, "{}");
        assert!(two.starts_with(&format!("{one},v1=")));
    }

    #[test]
    fn pauses_grow_to_minutes_and_the_receiver_has_the_last_word_within_reason() {
        assert_eq!(pause(1, None, 0.0), Duration::from_secs(1));
        assert_eq!(pause(4, None, 0.0), Duration::from_secs(8));
        assert_eq!(pause(u64::MAX, None, 0.0), LONGEST_PAUSE);
        assert!(pause(1, None, 0.99) < Duration::from_millis(1_300));
        assert_eq!(pause(1, Some(Duration::from_secs(42)), 0.5), Duration::from_secs(42));
        assert_eq!(pause(1, Some(Duration::from_secs(1 << 40)), 0.5), LONGEST_WISH);
        let now = DateTime::parse_from_rfc3339("2026-11-22T10:00:00Z").unwrap().to_utc();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 10:01:00 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn a_delivery_has_the_same_id_whenever_it_is_made_and_another_for_every_webhook() {
        assert_eq!(id_of("demo", "crm", "c1"), id_of("demo", "crm", "c1"));
        let others = [id_of("demo", "crm", "c2"), id_of("demo", "erp", "c1"), id_of("other", "crm", "c1")];
        assert!(others.iter().all(|other| *other != id_of("demo", "crm", "c1")));
    }
}
