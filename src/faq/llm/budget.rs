//! What a tenant's model may use in a day: tokens and money. Pure: what is spent so far is passed in and kept by the caller.

use super::settings::{LlmLimits, Prices};
use kefu_events::Timestamp;
use serde::{Deserialize, Serialize};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Tokens of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Sent.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
}

/// What one tenant has used on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Both directions together; requests under way count with the most they may use.
    pub tokens: u64,
    /// In the currency of the prices.
    pub cost: f64,
}

/// Tokens set aside for a request that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reserved {
    day: i64,
    usage: Usage,
}

/// Why a request is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum OverBudget {
    /// `limits.tokens_per_day`.
    #[error("the day's tokens are used up")]
    Tokens,
    /// `limits.cost_per_day`.
    #[error("the day's money is used up")]
    Cost,
}

impl Usage {
    /// What it costs.
    pub fn cost(self, prices: Prices) -> f64 {
        (self.input as f64 * prices.input_per_million + self.output as f64 * prices.output_per_million) / 1e6
    }

    fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// About how many tokens a text is, rather too many: a quarter of a token per Latin letter, one and a half per other
/// character. Used before a request, and after one whose server does not say.
pub fn estimated_tokens(text: &str) -> u64 {
    let (latin, other) = text
        .chars()
        .fold((0_u64, 0_u64), |(latin, other), c| if c.is_ascii() { (latin + 1, other) } else { (latin, other + 1) });
    latin.div_ceil(3) + (other * 3).div_ceil(2)
}

impl Spent {
    /// Sets aside what a request may use at most. All requests together never exceed the limits, however many run.
    ///
    /// # Errors
    ///
    /// Which limit it would exceed.
    pub fn reserve(
        &mut self,
        most: Usage,
        limits: &LlmLimits,
        prices: Prices,
        now: Timestamp,
    ) -> Result<Reserved, OverBudget> {
        let day = now.as_millis().div_euclid(DAY_MS);
        // A clock that went back does not give a new day's budget.
        if day > self.day {
            *self = Self { day, ..Self::default() };
        }
        let (tokens, cost) = (self.tokens.saturating_add(most.total()), self.cost + most.cost(prices));
        if limits.tokens_per_day > 0 && tokens > limits.tokens_per_day {
            return Err(OverBudget::Tokens);
        }
        if limits.cost_per_day > 0.0 && cost > limits.cost_per_day {
            return Err(OverBudget::Cost);
        }
        (self.tokens, self.cost) = (tokens, cost);
        Ok(Reserved { day: self.day, usage: most })
    }

    /// Puts what was used in the place of what was set aside. What was set aside yesterday is yesterday's.
    pub fn settle(&mut self, reserved: Reserved, used: Usage, prices: Prices) {
        if reserved.day == self.day {
            self.tokens = self.tokens.saturating_sub(reserved.usage.total()).saturating_add(used.total());
            self.cost = (self.cost - reserved.usage.cost(prices)).max(0.0) + used.cost(prices);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices { input_per_million: 1.0, output_per_million: 4.0 };

    fn limits(tokens_per_day: u64, cost_per_day: f64) -> LlmLimits {
        LlmLimits { tokens_per_day, cost_per_day, ..LlmLimits::default() }
    }

    fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * DAY_MS + 5)
    }

    const REQUEST: Usage = Usage { input: 600, output: 400 };

    #[test]
    fn requests_under_way_count_with_the_most_they_may_use() {
        let mut spent = Spent::default();
        let limits = limits(2_500, 0.0);
        let first = spent.reserve(REQUEST, &limits, PRICES, day(1)).expect("1,000 of 2,500");
        spent.reserve(REQUEST, &limits, PRICES, day(1)).expect("2,000 of 2,500");
        assert_eq!(spent.reserve(REQUEST, &limits, PRICES, day(1)), Err(OverBudget::Tokens));
        spent.settle(first, Usage { input: 400, output: 50 }, PRICES);
        assert_eq!(spent.tokens, 1_450);
        spent.reserve(REQUEST, &limits, PRICES, day(1)).expect("2,450 of 2,500");
    }

    #[test]
    fn money_is_limited_by_itself() {
        let mut spent = Spent::default();
        let limits = limits(0, 0.004);
        spent.reserve(REQUEST, &limits, PRICES, day(1)).expect("0.0022 of 0.004");
        assert_eq!(spent.reserve(REQUEST, &limits, PRICES, day(1)), Err(OverBudget::Cost));
    }

    #[test]
    fn a_new_day_begins_anew_and_an_old_request_does_not_count_in_it() {
        let mut spent = Spent::default();
        let limits = limits(1_000, 0.0);
        let old = spent.reserve(REQUEST, &limits, PRICES, day(1)).expect("the first day");
        let new = spent.reserve(REQUEST, &limits, PRICES, day(2)).expect("the second day");
        spent.settle(old, REQUEST, PRICES);
        assert_eq!(spent, Spent { day: 2, tokens: 1_000, cost: REQUEST.cost(PRICES) });
        spent.settle(new, Usage::default(), PRICES);
        assert_eq!((spent.tokens, spent.cost), (0, 0.0));
        assert!(spent.reserve(REQUEST, &limits, PRICES, day(1)).is_ok() && spent.day == 2, "the clock went back");
    }

    #[test]
    fn tokens_are_rather_over_than_underestimated() {
        assert_eq!(estimated_tokens("How do I reset my PIN?"), 8);
        assert_eq!(estimated_tokens("怎么退款"), 6);
    }
}
