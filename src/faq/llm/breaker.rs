//! A circuit breaker: a server that fails again and again is left alone for a while, so that no customer waits for it.

use kefu_events::Timestamp;

/// Whether the server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is. So many failures in a row.
    Closed { failures: u32 },
    /// It is not, until then.
    Open { until: Timestamp },
    /// One request tries since then, the others do not.
    Trying { since: Timestamp },
}

/// The machine. It is told what happens and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    failures: u32,
    open_ms: i64,
}

impl Breaker {
    /// Opens after `failures` in a row (at least one) for `open_ms` milliseconds.
    pub fn new(failures: u32, open_ms: u64) -> Self {
        let open_ms = i64::try_from(open_ms).unwrap_or(i64::MAX);
        Self { state: State::Closed { failures: 0 }, failures: failures.max(1), open_ms }
    }

    /// Whether a request may be made now. Whoever is let through says later how it went.
    pub fn admits(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until } if now < until => false,
            // A try of which nothing was heard, because its asker gave up, may be made again.
            State::Trying { since } if now.millis_since(since) < self.open_ms => false,
            State::Open { .. } | State::Trying { .. } => {
                self.state = State::Trying { since: now };
                true
            }
        }
    }

    /// The server answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// It did not.
    pub fn failed(&mut self, now: Timestamp) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.failures => State::Closed { failures: failures + 1 },
            // A failure that was under way while it opened does not prolong it.
            open @ State::Open { .. } => open,
            State::Closed { .. } | State::Trying { .. } => {
                State::Open { until: Timestamp::from_millis(now.as_millis().saturating_add(self.open_ms)) }
            }
        };
    }

    /// Whether the server is being left alone.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// Given a breaker that opens after 3 failures for 1,000 ms, and that many failures at 0.
    fn given(failures: u32) -> Breaker {
        let mut breaker = Breaker::new(3, 1_000);
        (0..failures).for_each(|_| breaker.failed(at(0)));
        breaker
    }

    #[test]
    fn given_two_failures_then_it_admits() {
        assert!(given(2).admits(at(0)));
    }

    #[test]
    fn given_a_success_between_then_failures_count_anew() {
        let mut breaker = given(2);
        breaker.succeeded();
        breaker.failed(at(0));
        breaker.failed(at(0));
        assert!(breaker.admits(at(0)));
    }

    #[test]
    fn given_three_failures_then_nobody_gets_through_until_it_has_rested() {
        let mut breaker = given(3);
        assert!(!breaker.admits(at(0)) && !breaker.admits(at(999)) && breaker.is_open());
        assert!(breaker.admits(at(1_000)));
    }

    #[test]
    fn given_a_try_then_the_others_wait_for_how_it_goes() {
        let mut breaker = given(3);
        assert!(breaker.admits(at(1_000)));
        assert!(!breaker.admits(at(1_001)));
        breaker.succeeded();
        assert!(breaker.admits(at(1_002)) && !breaker.is_open());
    }

    #[test]
    fn given_a_try_that_failed_then_it_rests_again() {
        let mut breaker = given(3);
        assert!(breaker.admits(at(1_000)));
        breaker.failed(at(1_500));
        assert!(!breaker.admits(at(2_499)));
        assert!(breaker.admits(at(2_500)));
    }

    #[test]
    fn given_a_try_of_which_nothing_is_heard_then_another_is_made() {
        let mut breaker = given(3);
        assert!(breaker.admits(at(1_000)));
        assert!(breaker.admits(at(2_000)));
    }

    #[test]
    fn given_late_failures_of_requests_under_way_then_it_does_not_rest_longer() {
        let mut breaker = given(3);
        breaker.failed(at(900));
        assert!(breaker.admits(at(1_000)));
    }
}
