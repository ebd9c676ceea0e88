//! How often one may ask: a bucket of tokens for each user and each address, which fills again as time goes by.

use super::answer::Failure;
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Askers that are remembered; of those that ask again after being forgotten, nothing is known.
const MAX_ASKERS: usize = 10_000;

/// How often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// Requests at once, after a pause.
    pub burst: f64,
    /// Requests per second in the long run.
    pub per_s: f64,
}

/// A signed-in user: a console that opens asks some twenty things at once.
pub(super) const USER: Rate = Rate { burst: 200.0, per_s: 50.0 };
/// An address that has not shown who it is.
pub(super) const STRANGER: Rate = Rate { burst: 30.0, per_s: 2.0 };

/// A customer at the WebSocket: nobody writes faster for long.
pub(super) const SAYING: Rate = Rate { burst: 20.0, per_s: 1.0 };

/// Buckets by asker.
pub(super) struct Limits(Mutex<LruCache<String, (f64, Instant)>>);

impl Default for Limits {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(NonZeroUsize::new(MAX_ASKERS).unwrap_or(NonZeroUsize::MIN))))
    }
}

impl Limits {
    /// Takes one token of this asker's bucket.
    ///
    /// # Errors
    /// It is empty; the answer says when to ask again.
    pub fn take(&self, asker: &str, rate: Rate, now: Instant) -> Result<(), Failure> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, at) = buckets.get(asker).copied().unwrap_or((rate.burst, now));
        let tokens = (tokens + now.saturating_duration_since(at).as_secs_f64() * rate.per_s).min(rate.burst);
        let left = tokens - 1.0;
        if left < 0.0 {
            buckets.put(asker.to_owned(), (tokens, now));
            let wait_s = (-left / rate.per_s).ceil().max(1.0) as u64;
            return Err(Failure::too_many(format!("too many requests: wait {wait_s} s"), wait_s));
        }
        buckets.put(asker.to_owned(), (left, now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Rate};
    use std::time::{Duration, Instant};

    #[test]
    fn a_bucket_is_emptied_and_fills_again_and_others_are_not_touched() {
        let (limits, start) = (Limits::default(), Instant::now());
        let rate = Rate { burst: 3.0, per_s: 1.0 };
        let asks = |who, after_s| limits.take(who, rate, start + Duration::from_secs(after_s)).is_ok();
        assert_eq!([0, 0, 0, 0].map(|at| asks("ann", at)), [true, true, true, false]);
        assert!(asks("bob", 0));
        assert_eq!([1, 1, 100, 100, 100, 100].map(|at| asks("ann", at)), [true, false, true, true, true, false]);
    }
}
