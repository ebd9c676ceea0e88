//! Input for tenants that the store does not know.
//!
//! The store lags behind the log by milliseconds, and a tenant may be used as soon as it is created: so such input waits
//! until the store knows everything that the log held after it arrived. It costs one question to the bus for all that
//! wait, and only one is asked at a time, so that a stranger who floods a partition costs little.

use super::{Machine, is_same};
use crate::{
    journal::Delivery,
    runtime::{Env, machine::Action},
};
use std::collections::VecDeque;

#[derive(Default)]
pub(super) struct Strangers {
    /// In order of arrival; with the sequence that the store must have reached, once that is known.
    waiting: VecDeque<(Delivery, Option<u64>)>,
    /// How many, from the first, the answer that is under way will be good for; 0: none is under way.
    asked: usize,
}

impl Strangers {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn have(&self, tenant: &str) -> bool {
        self.waiting.iter().any(|(delivery, _)| delivery.tenant == tenant)
    }

    pub(super) fn hold(&mut self, delivery: Delivery, actions: &mut Vec<Action>) {
        match self.waiting.iter_mut().find(|(held, _)| is_same(held, &delivery)) {
            Some((held, _)) => held.ack = delivery.ack,
            None => self.waiting.push_back((delivery, None)),
        }
        self.ask(actions);
    }

    fn ask(&mut self, actions: &mut Vec<Action>) {
        if self.asked == 0 && self.waiting.back().is_some_and(|(_, needed)| needed.is_none()) {
            self.asked = self.waiting.len();
            actions.push(Action::ReadEnd);
        }
    }

    fn answered(&mut self, last: u64, actions: &mut Vec<Action>) {
        for (_, needed) in self.waiting.iter_mut().take(self.asked) {
            needed.get_or_insert(last);
        }
        self.asked = 0;
        self.ask(actions);
    }

    /// The first one, if the store knows enough to say for certain.
    fn next(&mut self, projected: u64) -> Option<Delivery> {
        let needed = self.waiting.front()?.1?;
        if needed > projected {
            return None;
        }
        self.asked = self.asked.saturating_sub(1);
        Some(self.waiting.pop_front()?.0)
    }
}

impl Machine {
    pub(super) fn end_read(&mut self, last: u64, env: &Env, actions: &mut Vec<Action>) {
        self.strangers.answered(last, actions);
        self.take_in_strangers(env, actions);
    }

    pub(super) fn take_in_strangers(&mut self, env: &Env, actions: &mut Vec<Action>) {
        while let Some(delivery) = self.strangers.next(self.projected) {
            self.take_in(delivery, true, env, actions);
        }
    }
}
