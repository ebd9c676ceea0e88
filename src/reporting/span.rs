//! Which cells a stretch of time is made of.

use super::{
    metric::{Dimension, Level, number_of},
    reports::Step,
    rollup::{self, TenantNote},
};
use crate::routing::hours::{date_in, midnight_in};
use chrono::NaiveDate;
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
        let days = Days { note, zone: note.rules.zone(), minutes: by.has_minutes() };
        let Some(step) = step else { return days.pieces(from, to) };
        let level = days.finest(from).max(match step {
            Step::Minute => Level::Minute,
            Step::Hour => Level::Hour,
            Step::Day => Level::Day,
        });
        let (from, to) = (days.down(from, level), days.up(to, level));
        let units = match level {
            Level::Minute => units(from, to, MINUTE_MS),
            Level::Hour => units(from, to, HOUR_MS),
            Level::Day => number_of(days.date(from))..number_of(days.date(to)),
        };
        Self { from, to, pieces: vec![(level, units)] }
    }
}

/// The tenant's days, and what is kept of them.
struct Days<'a> {
    note: &'a TenantNote,
    zone: &'a str,
    /// Whether minutes are kept at all.
    minutes: bool,
}

impl Days<'_> {
    fn date(&self, at: Timestamp) -> NaiveDate {
        date_in(self.zone, at)
    }

    fn midnight(&self, date: NaiveDate) -> Timestamp {
        midnight_in(self.zone, date)
    }

    /// The finest cells that there are of the whole day that a moment is in.
    fn finest(&self, at: Timestamp) -> Level {
        let begins = self.midnight(self.date(at));
        if self.minutes && begins >= self.note.kept_from(Level::Minute) {
            Level::Minute
        } else if begins >= self.note.kept_from(Level::Hour) {
            Level::Hour
        } else {
            Level::Day
        }
    }

    /// By what a part of a day can be told. Hours are UTC's: where a day begins between two of them, they are not parts of it.
    fn level(&self, at: Timestamp) -> Level {
        let date = self.date(at);
        let (begins, ends) = (self.midnight(date), rollup::next_midnight(self.zone, at));
        match self.finest(at) {
            Level::Hour if [begins, ends].iter().any(|midnight| midnight.as_millis() % HOUR_MS != 0) => Level::Day,
            level => level,
        }
    }

    fn down(&self, at: Timestamp, level: Level) -> Timestamp {
        match level {
            Level::Minute => floor(at, MINUTE_MS),
            Level::Hour => floor(at, HOUR_MS),
            Level::Day => self.midnight(self.date(at)),
        }
    }

    fn up(&self, at: Timestamp, level: Level) -> Timestamp {
        let below = self.down(at, level);
        match level {
            _ if below >= at => at,
            Level::Minute => below.plus_seconds(60),
            Level::Hour => below.plus_seconds(3_600),
            Level::Day => rollup::next_midnight(self.zone, at),
        }
    }

    fn pieces(&self, from: Timestamp, to: Timestamp) -> Span {
        let (from_level, to_level) = (self.level(from), self.level(to));
        let (from, to) = (self.down(from, from_level), self.up(to, to_level));
        let first = self.date(self.up(from, Level::Day));
        let end = self.date(to);
        let mut pieces = Vec::new();
        if first <= end {
            edge(from, self.midnight(first), from_level, &mut pieces);
            pieces.push((Level::Day, number_of(first)..number_of(end)));
            edge(self.midnight(end), to, to_level, &mut pieces);
        } else {
            edge(from, to, from_level, &mut pieces);
        }
        pieces.retain(|(_, range)| !range.is_empty());
        Span { from, to, pieces }
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

/// A part of a day, by hours, and by minutes where there are any. One that is told by days is empty: its ends are midnights.
fn edge(from: Timestamp, to: Timestamp, level: Level, pieces: &mut Vec<(Level, Range<u32>)>) {
    let mut hours = units(from, to, HOUR_MS);
    match level {
        Level::Day => {}
        Level::Hour => pieces.push((Level::Hour, hours)),
        Level::Minute => {
            let all = units(from, to, MINUTE_MS);
            // The last one may not be whole.
            hours.end = hours.end.min(all.end / 60);
            if hours.start >= hours.end {
                pieces.push((Level::Minute, all));
                return;
            }
            pieces.push((Level::Minute, all.start..hours.start * 60));
            pieces.push((Level::Minute, hours.end * 60..all.end));
            pieces.push((Level::Hour, hours));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporting::{
        metric::{Count, Ledger, Rules, Sink, Slices},
        rollup::TenantNote,
    };
    use proptest::prelude::*;
    use serde_json::json;

    /// 2026-10-01T00:00:00Z: on the 4th, Lord Howe begins its summer by half an hour.
    const START_MS: i64 = 1_790_812_800_000;
    const DAY_MIN: i64 = 24 * 60;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_millis(START_MS + minute * MINUTE_MS)
    }

    fn note(zone: &str, minutes_from: Timestamp) -> TenantNote {
        let mut rules = Rules::default();
        rules.set("tenant", &json!({"time_zone": zone}));
        TenantNote::kept(rules, minutes_from)
    }

    /// Something in every quarter of an hour of six days, as it is stored: a number of its own, so that nothing stands for another.
    fn stored(zone: &str) -> std::collections::BTreeMap<(Level, u32), i64> {
        let mut ledger = Ledger::default();
        for quarter in 0..6 * DAY_MIN / 15 {
            ledger.count(at(quarter * 15), Count::SessionsOpened, 1 + quarter * quarter, Slices::default());
        }
        ledger.roll_up(zone);
        let cells = ledger.take().into_iter();
        cells.map(|((level, _, time, _), cell)| ((level, time), cell.counted(Count::SessionsOpened))).collect()
    }

    proptest! {
        #[test]
        fn no_half_hour_is_counted_twice_or_dropped_where_days_begin_between_hours(
            zone in prop::sample::select(vec!["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Shanghai", "UTC"]),
            // Skills have no minutes at all.
            by in prop::sample::select(vec![Dimension::All, Dimension::Skill]),
            minutes_from_day in 1i64..6,
            mut ends in prop::collection::vec(DAY_MIN..5 * DAY_MIN, 2..8),
        ) {
            let minutes_from = midnight_in(zone, date_in(zone, at(minutes_from_day * DAY_MIN)));
            let note = note(zone, minutes_from);
            let cells = stored(zone);
            let told = |span: &Span| -> i64 {
                let times = span.pieces.iter().flat_map(|(level, range)| range.clone().map(|time| (*level, time)));
                times.map(|place| cells.get(&place).copied().unwrap_or(0)).sum()
            };
            let counted = |from: Timestamp, to: Timestamp| -> i64 {
                let quarters = (0..6 * DAY_MIN / 15).filter(|quarter| (from..to).contains(&at(quarter * 15)));
                quarters.map(|quarter| 1 + quarter * quarter).sum()
            };
            ends.sort_unstable();
            let mut adjoining = 0;
            let mut from = Span::of(&note, by, at(ends[0]), at(ends[0] + 1), None).from;
            let first = from;
            for end in &ends[1..] {
                if at(*end) <= from {
                    continue;
                }
                let span = Span::of(&note, by, from, at(*end), None);
                prop_assert_eq!(span.from, from, "it begins where the one before ended");
                prop_assert!(span.to >= at(*end));
                // What is told is of the span that is said to be covered, and of nothing else.
                prop_assert_eq!(told(&span), counted(span.from, span.to), "{} to {}", span.from, span.to);
                for (level, range) in &span.pieces {
                    prop_assert!(*level != Level::Minute || begins(&note, *level, range.start) >= minutes_from);
                }
                adjoining += told(&span);
                from = span.to;
            }
            if from > first {
                prop_assert_eq!(told(&Span::of(&note, by, first, from, None)), adjoining);
            }
        }
    }

    #[test]
    fn a_part_of_a_day_is_told_by_minutes_where_they_are_kept_and_as_the_day_where_they_are_not() {
        let zone = "Asia/Kolkata";
        let noon = |day: i64| at(day * DAY_MIN + 6 * 60 + 30);
        let kept = midnight_in(zone, date_in(zone, noon(3)));
        let note = note(zone, kept);
        // The first day has no minutes any more, the last one has.
        let span = Span::of(&note, Dimension::All, noon(1), noon(4), None);
        assert_eq!((span.from, span.to), (midnight_in(zone, date_in(zone, noon(1))), noon(4)));
        assert_eq!(span.pieces[0].0, Level::Day);
        assert_eq!(span.pieces[0].1.len(), 3);
        // An hour of UTC is what it was asked for.
        let series = Span::of(&note, Dimension::All, noon(1), noon(4), Some(Step::Hour));
        assert_eq!((series.from, series.to), (floor(noon(1), HOUR_MS), floor(noon(4), HOUR_MS).plus_seconds(3_600)));
    }
}
