//! Passwords: which are good enough, and their hashes.
//!
//! Argon2id with 19 MiB, two passes and one lane, as OWASP's cheat sheet on the storage of passwords has it: some 20 ms on a
//! server's core. All of it computes for that long: call it where that may be.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use std::sync::LazyLock;

/// Characters of a password, at least. Length is what makes guessing hard; no kinds of characters are asked for.
pub const MIN_CHARS: usize = 10;
/// Bytes of a password, at most: it is hashed whole.
pub const MAX_BYTES: usize = 1_024;

/// What a stored hash may cost, at most: one that was put there to stop a node is not computed.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;

/// Passwords that are tried first. Ten characters leave only those of the common lists that are this long.
const COMMON: [&str; 12] = [
    "1234567890",
    "0123456789",
    "0987654321",
    "12345678910",
    "qwertyuiop",
    "1q2w3e4r5t",
    "password123",
    "password1234",
    "passw0rd123",
    "iloveyou123",
    "administrator",
    "changeme123",
];

/// Why a password cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("a password has at least {MIN_CHARS} characters: some words that do not belong together are good")]
    Short,
    /// It is too long.
    #[error("a password has at most {MAX_BYTES} bytes")]
    Long,
    /// It is among the first that are tried.
    #[error("this password is among the first that are tried: take some words that do not belong together")]
    Guessable,
    /// The hash failed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
}

/// The hash of a password for this user, as a PHC string.
///
/// # Errors
/// It is no good, or the hash failed.
pub fn hash(user: &str, password: &str) -> Result<String, PasswordError> {
    let chars = password.chars().count();
    if chars < MIN_CHARS {
        return Err(PasswordError::Short);
    }
    if password.len() > MAX_BYTES {
        return Err(PasswordError::Long);
    }
    let small = password.to_lowercase();
    let one_character = password.chars().all(|c| password.starts_with(c));
    if one_character || COMMON.contains(&small.as_str()) || small == user.to_lowercase() {
        return Err(PasswordError::Guessable);
    }
    hash_any(password).map_err(PasswordError::Hash)
}

fn hash_any(password: &str) -> Result<String, String> {
    Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Whether this is the password of this hash. Without a hash it takes as long, and says no.
pub fn verify(hash: Option<&str>, password: &str) -> bool {
    /// Of a password that nobody has.
    static NOBODYS: LazyLock<String> = LazyLock::new(|| hash_any("of nobody").unwrap_or_default());
    let known = hash.and_then(readable);
    let other = || readable(&NOBODYS);
    let Some(of) = known.clone().or_else(other) else { return false };
    let fits = password.len() <= MAX_BYTES && Argon2::default().verify_password(password.as_bytes(), &of).is_ok();
    fits && known.is_some()
}

/// A hash that can be computed here.
fn readable(hash: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(hash).ok()?;
    let cost = |name: &str| hash.params.get_decimal(name).unwrap_or_default();
    (cost("m") <= MAX_MEMORY_KIB && cost("t") <= MAX_PASSES).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_another_is_not() {
        let hashed = hash("ann", "korrekt pferd batterie").unwrap();
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hashed}");
        assert_ne!(hashed, hash("ann", "korrekt pferd batterie").unwrap(), "salted");
        assert!(verify(Some(&hashed), "korrekt pferd batterie"));
        for wrong in ["korrekt pferd batteri", "Korrekt pferd batterie", "", &"x".repeat(2_000)] {
            assert!(!verify(Some(&hashed), wrong));
        }
        assert!(!verify(None, "of nobody") && !verify(Some("$argon2id$"), "of nobody"));
    }

    #[test]
    fn a_hash_that_would_stop_the_node_is_not_computed() {
        let hashed = hash_any("korrekt pferd").unwrap();
        for costly in ["m=4194304,t=2,p=1", "m=19456,t=4000000,p=1"] {
            let costly = hashed.replace("m=19456,t=2,p=1", costly);
            assert!(!verify(Some(&costly), "korrekt pferd"));
        }
    }

    #[test]
    fn what_is_guessed_first_is_refused() {
        assert_eq!(hash("ann", "short"), Err(PasswordError::Short));
        assert_eq!(hash("ann", &"long".repeat(300)), Err(PasswordError::Long));
        for guessable in ["aaaaaaaaaaaa", "Password123", "annabelle-smith"] {
            assert_eq!(hash("Annabelle-Smith", guessable), Err(PasswordError::Guessable), "{guessable}");
        }
        assert!(hash("ann", "客服系统的密码是很长的").is_ok(), "ten characters, not bytes");
    }
}
