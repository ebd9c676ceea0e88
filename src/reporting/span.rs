//! Which cells a stretch of time is made of.

use super::{
    metric::{Dimension, Level, number_of},
    reports::Step,
    rollup::{self, TenantNote},
};
use crate::routing::hours::{date_in, midnight_in};
use chrono::Days;
use kefu_events::Timestamp;
use std::ops::Range;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// When a minute, hour or day begins.
pub(super) fn begins(note: &TenantNote, level: Level, time: u32) -> Timestamp {
    match level {
        Level::Minute => Timestamp::from_millis(i64::from(time) * MINUTE_MS),
        Level::Hour => Timestamp::from_millis(i64::from(time) * HOUR_MS),
        Level::Day => note.begins(time),
    }
}

/// Which cells a stretch of time is made of.
pub(super) struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
    pub pieces: Vec<(Level, Range<u32>)>,
}

impl Span {
    /// Whole days by their cells, the rest by hours, and the rest of that by minutes; a series by cells of its step. Both ends are
    /// moved outwards to what is kept.
    pub fn of(note: &TenantNote, by: Dimension, from: Timestamp, to: Timestamp, step: Option<Step>) -> Self {
        let zone = note.rules.zone();
        let finest = |at: Timestamp| {
            let minute = i64::from(note.first(Level::Minute)) * MINUTE_MS;
            let hour = i64::from(note.first(Level::Hour)) * HOUR_MS;
            let kept = if by.has_minutes() && at.as_millis() >= minute {
                Level::Minute
            } else if at.as_millis() >= hour {
                Level::Hour
            } else {
                Level::Day
            };
            kept.max(match step {
                None | Some(Step::Minute) => Level::Minute,
                Some(Step::Hour) => Level::Hour,
                Some(Step::Day) => Level::Day,
            })
        };
        let down = |at: Timestamp| match finest(at) {
            Level::Minute => floor(at, MINUTE_MS),
            Level::Hour => floor(at, HOUR_MS),
            Level::Day => midnight_in(zone, date_in(zone, at)),
        };
        let up = |at: Timestamp| {
            let below = down(at);
            match finest(at) {
                _ if below >= at => at,
                Level::Minute => below.plus_seconds(60),
                Level::Hour => below.plus_seconds(3_600),
                Level::Day => rollup::next_midnight(zone, at),
            }
        };
        let (from, to) = (down(from), up(to));
        let minutes = by.has_minutes() && from.as_millis() >= i64::from(note.first(Level::Minute)) * MINUTE_MS;
        let mut pieces = Vec::new();
        match step {
            Some(Step::Minute) if minutes => pieces.push((Level::Minute, units(from, to, MINUTE_MS))),
            Some(Step::Minute | Step::Hour) => pieces.push((Level::Hour, units(from, to, HOUR_MS))),
            Some(Step::Day) | None => {
                let first = date_in(zone, from);
                let first = match midnight_in(zone, first) < from {
                    true => first.checked_add_days(Days::new(1)).unwrap_or(first),
                    false => first,
                };
                let end = date_in(zone, to);
                if first < end {
                    edge(from, midnight_in(zone, first), minutes, &mut pieces);
                    pieces.push((Level::Day, number_of(first)..number_of(end)));
                    edge(midnight_in(zone, end), to, minutes, &mut pieces);
                } else {
                    edge(from, to, minutes, &mut pieces);
                }
            }
        }
        Self { from, to, pieces }
    }
}

fn floor(at: Timestamp, unit_ms: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(unit_ms) * unit_ms)
}

/// The units that begin in a stretch of time.
fn units(from: Timestamp, to: Timestamp, unit_ms: i64) -> Range<u32> {
    let first = |at: Timestamp| u32::try_from((at.as_millis().max(0) + unit_ms - 1) / unit_ms).unwrap_or(u32::MAX);
    first(from)..first(to)
}

/// A stretch within one or two days, by hours, and by minutes where there are any.
fn edge(from: Timestamp, to: Timestamp, minutes: bool, pieces: &mut Vec<(Level, Range<u32>)>) {
    let mut hours = units(from, to, HOUR_MS);
    if minutes {
        let all = units(from, to, MINUTE_MS);
        // The last one may not be whole.
        hours.end = hours.end.min(all.end / 60);
        if hours.start >= hours.end {
            pieces.push((Level::Minute, all));
            return;
        }
        pieces.push((Level::Minute, all.start..hours.start * 60));
        pieces.push((Level::Minute, hours.end * 60..all.end));
    }
    pieces.push((Level::Hour, hours));
    pieces.retain(|(_, range)| !range.is_empty());
}
