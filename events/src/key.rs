//! Keys and subject tokens: one line in any language, so that an adapter needs no library of kefu's.

use sha2::{Digest, Sha256};

/// Channels may not carry these names: they are the kinds of senders of commands.
pub const RESERVED_CHANNELS: [&str; 5] = ["agent", "timer", "bot", "scheduler", "system"];

/// Bytes of an inbound message or a command, at most. Larger ones are rejected as `too_large`.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Whether `text` may stand as one token of a subject: `[A-Za-z0-9_-]{1,64}`.
pub fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The first 32 hex digits of SHA-256 over `text`.
pub fn short_hash(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(text.as_bytes());
    digest[..16]
        .iter()
        .flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

/// The key of the conversation that `thread` on `channel` is.
///
/// Because it is derived, two conversations for one thread cannot exist.
pub fn conversation_key(channel: &str, thread: &str) -> String {
    short_hash(&format!("{channel}\n{thread}"))
}

/// The key of the contact that `sender` on `channel` is, before any merge.
pub fn contact_key(channel: &str, sender: &str) -> String {
    short_hash(&format!("{channel}\n{sender}"))
}

/// `id` as one subject token: itself where it is one, else its hash.
pub fn token_of(id: &str) -> String {
    if is_token(id) { id.to_owned() } else { short_hash(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_any_sha256_gives() {
        // printf 'web\nalice' | sha256sum | cut -c1-32
        assert_eq!(conversation_key("web", "alice"), "7529325190d3f376a92dc8c580bdebe8");
        assert_eq!(short_hash("abc"), "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn tokens_are_ascii_letters_digits_underscore_and_hyphen() {
        assert!(is_token("wx-work_1"));
        for bad in ["", "a.b", "a*", "客服", "a b", &"x".repeat(65)] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert_eq!(token_of("abc"), "abc");
        assert_eq!(token_of("a.b").len(), 32);
    }
}
