//! What has been counted and not been stored yet: cells of minutes, and of the hours and days that they are part of.

use super::{Cell, Count, Dimension, Sink, Slices, Timing};
use crate::routing::hours::date_in;
use chrono::{Datelike, NaiveDate};
use kefu_events::Timestamp;
use std::collections::BTreeMap;

/// Length of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A minute.
    Minute,
    /// An hour of UTC.
    Hour,
    /// A day where the tenant is.
    Day,
}

impl Level {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The letter by which it stands in stored keys: never change one.
    pub fn letter(self) -> u8 {
        match self {
            Self::Minute => b'm',
            Self::Hour => b'h',
            Self::Day => b'd',
        }
    }
}

/// The number of the minute of a moment, from 1970 on.
pub fn minute_of(at: Timestamp) -> u32 {
    number(at.as_millis().div_euclid(60_000))
}

/// The number of a date, from the year 1 on.
pub fn number_of(date: NaiveDate) -> u32 {
    number(i64::from(date.num_days_from_ce()))
}

/// The date of this number.
pub fn date_of(number: u32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(number).ok()?)
}

fn number(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// The key of a stored cell: `<tenant>/<level><dimension><number of the minute, hour or day><value>`. Those of one stretch of time lie
/// side by side, so that what a breakdown needs is one range.
pub fn cell_key(tenant: &str, level: Level, dimension: Dimension, time: u32, value: &str) -> Vec<u8> {
    [tenant.as_bytes(), b"/", &[level.letter(), dimension.letter()], &time.to_be_bytes(), value.as_bytes()].concat()
}

/// What all keys of a level and dimension begin with.
pub fn cell_prefix(tenant: &str, level: Level, dimension: Dimension) -> Vec<u8> {
    [tenant.as_bytes(), b"/", &[level.letter(), dimension.letter()]].concat()
}

/// Time and value of a key that begins with a prefix of this length.
pub fn parse_cell_key(key: &[u8], prefix: usize) -> Option<(u32, &str)> {
    let (time, value) = key.get(prefix..)?.split_at_checked(4)?;
    Some((u32::from_be_bytes(time.try_into().ok()?), std::str::from_utf8(value).ok()?))
}

/// Where a cell belongs: level, dimension, number of the minute, hour or day, and value.
pub type Place = (Level, Dimension, u32, String);

/// What has been counted of one tenant and not been stored yet.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Dimension, minute and value → what was counted then.
    minutes: BTreeMap<Vec<u8>, Cell>,
    key: Vec<u8>,
    rolled: BTreeMap<Place, Cell>,
}

impl Ledger {
    fn cell(&mut self, minute: u32, dimension: Dimension, value: &str) -> &mut Cell {
        self.key.clear();
        self.key.push(dimension.letter());
        self.key.extend_from_slice(&minute.to_be_bytes());
        self.key.extend_from_slice(value.as_bytes());
        self.minutes.entry(self.key.clone()).or_default()
    }

    /// Adds the minutes to their hours and to the days that they are part of in this time zone.
    pub fn roll_up(&mut self, zone: &str) {
        // Minutes of one hour need the calendar once only: the zone's changes of its offset are on quarters of an hour.
        let mut days: BTreeMap<u32, u32> = BTreeMap::new();
        for (key, cell) in std::mem::take(&mut self.minutes) {
            let Some((dimension, (minute, value))) =
                key.first().and_then(|letter| Some((Dimension::of_letter(*letter)?, parse_cell_key(&key, 1)?)))
            else {
                continue;
            };
            let day = *days
                .entry(minute / 15)
                .or_insert_with(|| number_of(date_in(zone, Timestamp::from_millis(i64::from(minute) * 60_000))));
            let mut add = |level, time| {
                let rolled = self.rolled.entry((level, dimension, time, value.to_owned()));
                rolled.or_default().merge(&cell);
            };
            add(Level::Hour, minute / 60);
            add(Level::Day, day);
            if dimension.has_minutes() {
                // A minute may have been rolled up before, in the same portion.
                add(Level::Minute, minute);
            }
        }
    }

    /// All that was rolled up, each cell with its place; it is forgotten here.
    pub fn take(&mut self) -> BTreeMap<Place, Cell> {
        std::mem::take(&mut self.rolled)
    }

    /// What was counted in a dimension within these minutes, by value, and is not rolled up.
    pub fn within(&self, dimension: Dimension, minutes: std::ops::Range<u32>) -> BTreeMap<String, Cell> {
        let mut found: BTreeMap<String, Cell> = BTreeMap::new();
        for (key, cell) in &self.minutes {
            if key.first() == Some(&dimension.letter())
                && let Some((minute, value)) = parse_cell_key(key, 1)
                && minutes.contains(&minute)
            {
                found.entry(value.to_owned()).or_default().merge(cell);
            }
        }
        found
    }

    /// How many cells of minutes there are.
    pub fn len(&self) -> usize {
        self.minutes.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.rolled.is_empty()
    }
}

impl Sink for Ledger {
    fn count(&mut self, at: Timestamp, measure: Count, by: i64, slices: Slices<'_>) {
        let minute = minute_of(at);
        for (dimension, value) in slices.iter() {
            self.cell(minute, dimension, value).count(measure, by);
        }
    }

    fn time(&mut self, at: Timestamp, measure: Timing, ms: u64, slices: Slices<'_>) {
        let minute = minute_of(at);
        for (dimension, value) in slices.iter() {
            self.cell(minute, dimension, value).time(measure, ms);
        }
    }
}
