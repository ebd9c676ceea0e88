//! Whether those for whom a free agent was found are offered soon: the share of them is the scheduler's success rate.

use crate::scheduler::ConversationKey;
use std::collections::BTreeMap;

/// An offer takes milliseconds. What takes longer than this went wrong on the way: the bus, an owner, a lost word.
const LATE_MS: i64 = 2_000;

/// What became of a conversation for which a free agent was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduled {
    /// It was offered.
    Offered {
        /// So long after, in ms.
        after_ms: i64,
        /// It was told as [`Late`](Self::Late) before.
        was_late: bool,
    },
    /// It still waits after two seconds. Told once.
    Late,
}

/// One conversation, from the first agent who was found on.
#[derive(Debug, Clone, Copy)]
struct Found {
    at_ms: i64,
    /// The agent's slot was seen to be held for it.
    reserved: bool,
    /// When it was seen to wait no more, in ms.
    gone_ms: Option<i64>,
    late: bool,
}

/// Conversations for which an agent was found and that still wait, as far as was seen.
#[derive(Debug, Default)]
pub(super) struct Promptness {
    found: BTreeMap<ConversationKey, Found>,
    settled: Vec<Scheduled>,
}

impl Promptness {
    /// A free agent who fits was found, and is asked.
    pub fn found(&mut self, conversation: ConversationKey, now_ms: i64) {
        let found = Found { at_ms: now_ms, reserved: false, gone_ms: None, late: false };
        self.found.entry(conversation).or_insert(found);
    }

    /// The agent's slot is held for it: an offer follows.
    pub fn reserved(&mut self, conversation: ConversationKey) {
        if let Some(found) = self.found.get_mut(&conversation) {
            found.reserved = true;
        }
    }

    /// The agent was not free after all: it counts from the next one on.
    pub fn refused(&mut self, conversation: ConversationKey) {
        if self.found.get(&conversation).is_some_and(|found| !found.reserved && !found.late) {
            self.found.remove(&conversation);
        }
    }

    /// It waits no more.
    pub fn gone(&mut self, conversation: ConversationKey, now_ms: i64) {
        if let Some(found) = self.found.get_mut(&conversation) {
            found.gone_ms.get_or_insert(now_ms);
        }
    }

    /// It waits. One that was about to be offered has been, and did not come to be taken.
    pub fn waits(&mut self, conversation: ConversationKey, now_ms: i64) {
        if self.found.get(&conversation).is_some_and(|found| found.reserved)
            && let Some(found) = self.found.remove(&conversation)
        {
            let after_ms = found.gone_ms.unwrap_or(now_ms) - found.at_ms;
            self.settled.push(Scheduled::Offered { after_ms, was_late: found.late });
        }
    }

    /// What has become of them. To be asked when all lists have been taken in up to one commit: they tell in any order.
    pub fn settle(&mut self, now_ms: i64) -> Vec<Scheduled> {
        let Self { found, settled } = self;
        found.retain(|_, found| {
            if let Some(gone_ms) = found.gone_ms {
                // Without a slot, the customer has gone, and nobody had to be offered.
                if found.reserved {
                    settled.push(Scheduled::Offered { after_ms: gone_ms - found.at_ms, was_late: found.late });
                }
                return false;
            }
            if !found.late && now_ms - found.at_ms > LATE_MS {
                found.late = true;
                settled.push(Scheduled::Late);
            }
            true
        });
        std::mem::take(settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ConversationKey = ConversationKey(7);

    #[test]
    fn an_offer_is_counted_once_whatever_the_order_in_which_the_lists_tell() {
        for reserved_first in [true, false] {
            let mut promptness = Promptness::default();
            promptness.found(KEY, 1_000);
            if reserved_first {
                promptness.reserved(KEY);
                promptness.gone(KEY, 1_020);
            } else {
                promptness.gone(KEY, 1_020);
                promptness.reserved(KEY);
            }
            assert_eq!(promptness.settle(1_030), [Scheduled::Offered { after_ms: 20, was_late: false }]);
            assert_eq!(promptness.settle(9_000), []);
        }
    }

    #[test]
    fn who_is_not_offered_in_time_is_late_once_and_who_has_gone_is_not() {
        let mut promptness = Promptness::default();
        promptness.found(KEY, 0);
        promptness.found(KEY, 1_500);
        assert_eq!(promptness.settle(2_000), []);
        assert_eq!(promptness.settle(2_001), [Scheduled::Late]);
        assert_eq!(promptness.settle(2_500), []);
        promptness.reserved(KEY);
        promptness.gone(KEY, 3_000);
        assert_eq!(promptness.settle(3_000), [Scheduled::Offered { after_ms: 3_000, was_late: true }]);
        promptness.found(KEY, 4_000);
        promptness.gone(KEY, 4_100);
        assert_eq!(promptness.settle(9_000), []);
    }

    #[test]
    fn a_refusal_begins_anew_and_an_offer_that_came_back_is_one() {
        let mut promptness = Promptness::default();
        promptness.found(KEY, 0);
        promptness.refused(KEY);
        promptness.found(KEY, 1_900);
        assert_eq!(promptness.settle(3_000), []);
        promptness.reserved(KEY);
        promptness.waits(KEY, 3_100);
        assert_eq!(promptness.settle(3_100), [Scheduled::Offered { after_ms: 1_200, was_late: false }]);
        assert_eq!(promptness.settle(9_000), []);
    }
}
