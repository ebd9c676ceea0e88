//! What the commits of an agent add to the figures: time. It is added when something changes, for the time since the last change.

use super::{Count, Sink, Slices};
use crate::agent::DEFAULT_SLOTS;
use kefu_events::{
    Commit, Timestamp,
    agent::{AgentEvent, RoutingStatus},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
/// Time without any change that is counted, at most: who has been available for longer than a month without one was forgotten.
const LONGEST_MS: i64 = 31 * 24 * 60 * MINUTE_MS;

/// What the fold remembers of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentFold {
    /// Up to when time has been added.
    #[serde(with = "super::session::millis::option")]
    counted_to: Option<Timestamp>,
    status: RoutingStatus,
    removed: bool,
    slots: Option<u32>,
    /// Reservation → slots, and whether they are occupied.
    held: BTreeMap<String, (u32, bool)>,
}

/// Time of an agent in which nothing has changed, and which is not in any cell yet.
#[derive(Debug, Clone)]
pub struct Uncounted {
    since: i64,
    until: i64,
    per_ms: Vec<(Count, i64)>,
}

impl Uncounted {
    /// What it adds between two moments: computed, however long that is, and not walked through.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (Count, i64)> {
        let ms = to.as_millis().min(self.until) - from.as_millis().max(self.since);
        self.per_ms.iter().filter(move |_| ms > 0).map(move |(measure, weight)| (*measure, weight * ms))
    }
}

impl AgentFold {
    /// Takes a commit in.
    pub fn fold(&mut self, commit: &Commit<AgentEvent>, sink: &mut dyn Sink) {
        let before = self.clone();
        for event in &commit.events {
            self.event(event);
        }
        self.counted_to = before.counted_to;
        // What does not change what is counted need not be counted up to: most commits of a busy agent.
        if *self != before || before.counted_to.is_none() {
            before.count_between(&commit.key, Timestamp::from_millis(i64::MIN), commit.at, sink);
            self.counted_to = Some(before.counted_to.map_or(commit.at, |counted| counted.max(commit.at)));
        }
    }

    /// Adds the time from the last change up to `until`, but for what is before `from`: each minute's to that minute.
    pub(super) fn count_between(&self, agent: &str, from: Timestamp, until: Timestamp, sink: &mut dyn Sink) {
        let Some(Uncounted { since, until, per_ms }) = self.uncounted(until) else { return };
        let slices = Slices { agent: Some(agent), ..Slices::default() };
        let mut from = from.as_millis().max(since);
        while from < until {
            let to = ((from.div_euclid(MINUTE_MS) + 1) * MINUTE_MS).min(until);
            for (measure, weight) in &per_ms {
                sink.count(Timestamp::from_millis(from), *measure, weight * (to - from), slices);
            }
            from = to;
        }
    }

    /// The time from the last change up to `until`, which has not been added; `None`: nothing is to be added.
    pub fn uncounted(&self, until: Timestamp) -> Option<Uncounted> {
        let (since, per_ms) = (self.counted_to?.as_millis(), self.per_ms());
        let until = until.as_millis().min(since.saturating_add(LONGEST_MS));
        (since < until && !per_ms.is_empty()).then_some(Uncounted { since, until, per_ms })
    }

    /// What each millisecond adds.
    fn per_ms(&self) -> Vec<(Count, i64)> {
        let occupied = || self.held.values().filter(|(_, occupied)| *occupied);
        let conversations = occupied().count() as i64;
        let slots: i64 = occupied().map(|(weight, _)| i64::from(*weight)).sum();
        let is_busy = conversations > 0;
        let is_ready = is_busy || (self.status == RoutingStatus::Available && !self.removed);
        let is_on_duty = is_ready || (self.status != RoutingStatus::Offline && !self.removed);
        let capacity = i64::from(self.slots.unwrap_or(DEFAULT_SLOTS));
        let all = [
            (Count::DutyMs, i64::from(is_on_duty)),
            (Count::ReadyMs, i64::from(is_ready)),
            (Count::BusyMs, i64::from(is_busy)),
            (Count::SlotMs, slots),
            (Count::CapacityMs, if is_ready { capacity } else { 0 }),
            (Count::ConversationMs, conversations),
        ];
        all.into_iter().filter(|(_, weight)| *weight != 0).collect()
    }

    fn event(&mut self, event: &AgentEvent) {
        use AgentEvent as Event;
        match event {
            Event::AgentRegistered { .. } => self.removed = false,
            Event::AgentRemoved { .. } => self.removed = true,
            Event::StatusChanged { status, .. } => self.status = *status,
            Event::CapacityChanged { slots, .. } => self.slots = Some(*slots),
            Event::SlotReserved { reservation, weight, .. } => {
                self.held.insert(reservation.clone(), (*weight, false));
            }
            Event::SlotOccupied { reservation, .. } => {
                if let Some(slot) = self.held.get_mut(reservation) {
                    slot.1 = true;
                }
            }
            Event::SlotReleased { reservation, .. } => {
                self.held.remove(reservation);
            }
            _ => {}
        }
    }
}
