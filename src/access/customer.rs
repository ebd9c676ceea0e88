//! Tokens of customers: good for one thread of one channel, for a short time, and kept nowhere.
//!
//! A token says itself what it is for, signed with the installation's key, so that any node knows it and none has to remember it.
//! There are as many as customers, and each lives for minutes: events would be noise. Changing the key ends all of them.

use super::{AuthError, Credential, Principal};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use kefu_events::{Timestamp, key::conversation_key};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeSet;

/// What such a token begins with.
pub const CUSTOMER_PREFIX: &str = "kefu_c_";
/// What the key that signs them begins with.
pub const CUSTOMER_KEY_PREFIX: &str = "kefu_k_";
/// Characters of a token that are looked at, at most: a thread and a sender have 512 bytes each.
const MAX_CHARS: usize = 4_096;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose.
    pub tenant: String,
    /// The channel.
    pub channel: String,
    /// The thread.
    pub thread: String,
    /// The channel's id of the customer.
    pub sender: String,
    /// The customer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

fn mac(key: &str, said: &str) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("any length"));
    mac.update(said.as_bytes());
    mac
}

/// The token that says so.
pub fn issue(key: &str, claims: &Claims) -> String {
    // Our own type, in which no map has keys other than strings.
    let said = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).unwrap_or_default());
    let signed = URL_SAFE_NO_PAD.encode(mac(key, &said).finalize().into_bytes());
    format!("{CUSTOMER_PREFIX}{said}.{signed}")
}

/// What a token says, if it was signed with this key and is still good.
///
/// # Errors
/// It was not, or is not any more.
pub fn read(key: &str, token: &str, now: Timestamp) -> Result<Claims, AuthError> {
    let found = token.strip_prefix(CUSTOMER_PREFIX).filter(|_| token.len() <= MAX_CHARS);
    let (said, signed) = found.and_then(|rest| rest.split_once('.')).ok_or(AuthError::Unknown)?;
    let signed = URL_SAFE_NO_PAD.decode(signed).map_err(|_| AuthError::Unknown)?;
    // Takes as long for every wrong one.
    mac(key, said).verify_slice(&signed).map_err(|_| AuthError::Unknown)?;
    let claims = URL_SAFE_NO_PAD.decode(said).ok().and_then(|said| serde_json::from_slice::<Claims>(&said).ok());
    let claims = claims.ok_or(AuthError::Unknown)?;
    if claims.expires_at <= now { Err(AuthError::Expired) } else { Ok(claims) }
}

impl Claims {
    /// Whoever shows the token: somebody without any role, who is nobody's agent.
    pub fn principal(self) -> Principal {
        let Self { tenant, channel, thread, sender, name, expires_at } = self;
        Principal {
            tenant,
            // No user's id has a colon.
            user: format!("customer:{}", conversation_key(&channel, &thread)),
            name: name.clone().unwrap_or_else(|| sender.clone()),
            grants: Vec::new(),
            credential: Credential::Customer { channel, thread, sender, name },
            only: None,
            expires_at: Some(expires_at),
            queues: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_as_it_was_issued_with_the_key_and_for_its_time_and_otherwise_not() {
        let claims = Claims {
            tenant: "demo".to_owned(),
            channel: "page".to_owned(),
            thread: "客 1".to_owned(),
            sender: "alice".to_owned(),
            name: None,
            expires_at: Timestamp::from_millis(10),
        };
        let token = issue("key", &claims);
        let at = |ms| read("key", &token, Timestamp::from_millis(ms));
        assert_eq!(at(9), Ok(claims.clone()));
        assert_eq!(at(10), Err(AuthError::Expired));
        assert_eq!(read("other", &token, Timestamp::from_millis(9)), Err(AuthError::Unknown));
        let other = issue("other", &Claims { thread: "somebody else's".to_owned(), ..claims });
        let (said, signed) = (other.split('.').next().unwrap(), token.split('.').nth(1).unwrap());
        for wrong in [format!("{said}.{signed}"), format!("{token}x"), "kefu_c_.".to_owned(), String::new()] {
            assert_eq!(read("key", &wrong, Timestamp::from_millis(9)), Err(AuthError::Unknown), "{wrong}");
        }
    }
}
