//! Secrets of sessions and tokens: random bits, of which only the SHA-256 is ever kept.
//!
//! They are found by their hash, so that nothing compares a secret byte by byte, and no time tells how near a guess is.

use rand::TryRng;
use sha2::{Digest, Sha256};

/// Bytes of chance: it cannot be guessed, so that a quick hash is enough.
const SECRET_BYTES: usize = 32;
/// Characters of anything that is looked up as a credential, at most.
const MAX_CHARS: usize = 200;

/// What a session's secret begins with, so that it is known where it turns up.
pub const SESSION_PREFIX: &str = "kefu_s_";
/// What a token's secret begins with.
pub const TOKEN_PREFIX: &str = "kefu_t_";

/// What a code begins with that makes a tenant's first user.
pub const SETUP_PREFIX: &str = "kefu_f_";

/// The system gives no random numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers: {0}")]
pub struct NoChance(String);

/// A new secret.
pub fn new_secret(prefix: &str) -> Result<String, NoChance> {
    let mut random = [0; SECRET_BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut random).map_err(|error| NoChance(error.to_string()))?;
    Ok(format!("{prefix}{}", hexadecimal(&random)))
}

/// The hash under which a secret is found; `None`: this can be none.
pub fn hash_of(secret: &str) -> Option<String> {
    let can_be = (1..=MAX_CHARS).contains(&secret.len()) && secret.is_ascii();
    can_be.then(|| hexadecimal(&Sha256::digest(secret.as_bytes())))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_only_what_can_be_one_is_hashed() {
        let (one, other) = (new_secret(SESSION_PREFIX).unwrap(), new_secret(SESSION_PREFIX).unwrap());
        assert!(one != other && one.starts_with("kefu_s_") && one.len() == 7 + 64);
        assert_ne!(hash_of(&one), hash_of(&other));
        // printf abc | sha256sum
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_of("abc").as_deref(), Some(abc));
        for none in ["", "é", &"x".repeat(201)] {
            assert_eq!(hash_of(none), None, "{none}");
        }
    }
}
