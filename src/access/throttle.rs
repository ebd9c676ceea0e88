//! Who has to wait before the next try to sign in. Pure: the time is an argument.
//!
//! A try is counted when it begins and taken back when it succeeds, so that many at once do not get past it. After some free
//! ones the wait doubles with each. For one user it stays under a minute, because somebody else can cause it; for one
//! address it grows to a quarter of an hour. Every quarter of an hour one try is forgiven, so that an office does not pay for the
//! mistyped passwords of a week. What was not tried for an hour is forgotten, and so is the oldest when there is no more room.

use lru::LruCache;
use std::{net::IpAddr, num::NonZeroUsize, time::Duration};

/// Users and addresses that are remembered, at most: some 100 bytes each.
const MAX_REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
const FORGET_MS: i64 = 3_600_000;
const FIRST_WAIT_MS: i64 = 1_000;
const FORGIVE_MS: i64 = 900_000;

/// Tries without waiting, and how long a wait grows.
#[derive(Clone, Copy)]
struct Rule {
    free: u32,
    longest_ms: i64,
}

/// A person who has forgotten which of some passwords it was.
const USER: Rule = Rule { free: 5, longest_ms: 60_000 };
/// An office behind one address, at the beginning of a shift.
const ADDRESS: Rule = Rule { free: 20, longest_ms: 900_000 };

#[derive(Debug, Clone, Copy)]
struct Tries {
    /// Tries that are not forgiven, times [`FORGIVE_MS`].
    debt_ms: i64,
    last_ms: i64,
}

impl Tries {
    fn debt_ms(self, now_ms: i64) -> i64 {
        (self.debt_ms - (now_ms - self.last_ms).max(0)).max(0)
    }

    fn count(self, now_ms: i64) -> u32 {
        u32::try_from((self.debt_ms(now_ms) + FORGIVE_MS - 1) / FORGIVE_MS).unwrap_or(u32::MAX)
    }
}

/// What was tried lately.
pub(super) struct Throttle {
    users: LruCache<String, Tries>,
    addresses: LruCache<String, Tries>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { users: LruCache::new(MAX_REMEMBERED), addresses: LruCache::new(MAX_REMEMBERED) }
    }
}

impl Throttle {
    /// Counts a try.
    ///
    /// # Errors
    /// It comes too early: how long to wait. It is not counted.
    pub(super) fn begin(&mut self, user: &str, address: &str, now_ms: i64) -> Result<(), Duration> {
        let address = network_of(address);
        let left =
            left_ms(&mut self.users, user, USER, now_ms).max(left_ms(&mut self.addresses, &address, ADDRESS, now_ms));
        if left > 0 {
            return Err(Duration::from_millis(left.unsigned_abs()));
        }
        count(&mut self.users, user, now_ms);
        count(&mut self.addresses, &address, now_ms);
        Ok(())
    }

    /// The try was a good one.
    pub(super) fn succeeded(&mut self, user: &str, address: &str) {
        self.users.pop(user);
        // Not forgotten altogether: whoever has one account could try all others from there.
        if let Some(tries) = self.addresses.get_mut(&network_of(address)) {
            tries.debt_ms = (tries.debt_ms - FORGIVE_MS).max(0);
        }
    }
}

fn left_ms(of: &mut LruCache<String, Tries>, key: &str, rule: Rule, now_ms: i64) -> i64 {
    let Some(tries) = of.peek(key).copied() else { return 0 };
    if now_ms - tries.last_ms > FORGET_MS {
        of.pop(key);
        return 0;
    }
    // As of the last try: what is forgiven while one waits shortens the next wait.
    let Some(over) = tries.count(tries.last_ms).checked_sub(rule.free) else { return 0 };
    let wait = (FIRST_WAIT_MS << over.min(20)).min(rule.longest_ms);
    // A clock that was set back does not make anybody wait for longer.
    (tries.last_ms + wait - now_ms).min(wait)
}

fn count(of: &mut LruCache<String, Tries>, key: &str, now_ms: i64) {
    let before = of.get(key).map_or(0, |tries| tries.debt_ms(now_ms));
    of.put(key.to_owned(), Tries { debt_ms: before.saturating_add(FORGIVE_MS), last_ms: now_ms });
}

/// What counts as one address: of version 6, the network that one customer of a provider gets.
pub(crate) fn network_of(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => address.chars().take(64).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tries as soon as it may, `tries` times: the waits.
    fn waits(throttle: &mut Throttle, tries: usize, of: impl Fn(usize) -> (String, String)) -> Vec<u64> {
        let mut now = 1_000_000;
        let mut all = Vec::new();
        for n in 0..tries {
            let (user, address) = of(n);
            let wait = throttle.begin(&user, &address, now).err().unwrap_or_default();
            now += wait.as_millis() as i64;
            if !wait.is_zero() {
                assert!(throttle.begin(&user, &address, now - 1).is_err(), "a millisecond early");
                throttle.begin(&user, &address, now).unwrap();
            }
            all.push(wait.as_secs());
        }
        all
    }

    #[test]
    fn tries_for_one_user_wait_for_longer_and_longer_from_wherever_they_come() {
        let mut throttle = Throttle::default();
        let waits = waits(&mut throttle, 13, |n| ("demo/ann".to_owned(), format!("10.0.0.{n}")));
        assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn tries_from_one_address_wait_for_longer_and_longer_whoever_they_are_for() {
        let mut throttle = Throttle::default();
        let waits = waits(&mut throttle, 32, |n| (format!("demo/u{n}"), format!("2001:db8:1:2::{n:x}")));
        assert_eq!(waits[..20], [0; 20]);
        // One is forgiven meanwhile.
        assert_eq!(waits[20..], [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512, 900]);
    }

    #[test]
    fn success_and_time_are_forgiving() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            throttle.begin("ann", "10.0.0.1", 0).unwrap();
        }
        assert!(throttle.begin("ann", "10.0.0.1", 0).is_err());
        throttle.begin("ann", "10.0.0.1", 1_000).unwrap();
        throttle.succeeded("ann", "10.0.0.1");
        assert!(throttle.begin("ann", "10.0.0.1", 1_000).is_ok());
        for n in 0..40 {
            let _ = throttle.begin("bob", "10.0.0.2", n);
        }
        assert!(throttle.begin("bob", "10.0.0.2", 40).is_err());
        assert!(throttle.begin("bob", "10.0.0.2", 40 + FORGET_MS).is_ok());
    }

    #[test]
    fn an_office_does_not_pay_for_the_mistyped_passwords_of_days() {
        let mut throttle = Throttle::default();
        // Every half hour somebody mistypes a password, and every ten minutes somebody signs in.
        for n in 0..1_000 {
            let at = n * 600_000;
            if n % 3 == 0 {
                throttle.begin(&format!("demo/u{n}"), "192.0.2.1", at).expect("a mistyped password");
            }
            throttle.begin("demo/ann", "192.0.2.1", at + 300_000).expect("a right one");
            throttle.succeeded("demo/ann", "192.0.2.1");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut throttle = Throttle::default();
        for n in 0..50_000 {
            let _ = throttle.begin(&format!("u{n}"), &format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255), n);
        }
        assert_eq!((throttle.users.len(), throttle.addresses.len()), (10_000, 10_000));
    }
}
