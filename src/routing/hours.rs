//! Time zones and business hours: the tenant's, a queue's, and agents' shifts.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use kefu_events::{
    Timestamp,
    settings::{BusinessHours, OutOfHoursSettings, TenantSettings},
};

/// Minutes of a day.
const DAY_MIN: u32 = 24 * 60;
/// Times on one weekday, at most.
const MAX_TIMES: usize = 10;
/// Holidays, at most: those of some years.
const MAX_HOLIDAYS: usize = 200;

/// Days after which it is no longer looked when something opens: whoever is closed for longer is closed.
const LOOKED_AHEAD_DAYS: u64 = 400;
/// Days in which every weekday comes, with one to spare at either end.
const WEEK_DAYS: u64 = 8;

/// Business hours where they are meant.
#[derive(Debug, Clone, Copy)]
pub struct Hours<'a> {
    zone: Tz,
    hours: &'a BusinessHours,
    /// What customers meet outside of them.
    pub out_of_hours: &'a OutOfHoursSettings,
}

impl<'a> Hours<'a> {
    /// Of a queue, or of the tenant where it has none of its own. A time zone that is not known counts as UTC.
    pub fn of(settings: &'a TenantSettings, queue: Option<&str>) -> Self {
        let own = queue.and_then(|queue| settings.queue_hours.get(queue));
        let zone = own.and_then(|own| own.time_zone.as_ref()).unwrap_or(&settings.time_zone);
        Self {
            zone: zone.parse().unwrap_or(Tz::UTC),
            hours: own.and_then(|own| own.hours.as_ref()).unwrap_or(&settings.hours),
            out_of_hours: own.and_then(|own| own.out_of_hours.as_ref()).unwrap_or(&settings.out_of_hours),
        }
    }

    /// Whether somebody is there.
    pub fn is_open(&self, now: Timestamp) -> bool {
        is_open_at(self.zone, self.hours, now)
    }

    /// Milliseconds from one moment to another in which somebody is there; no more than a year of them is looked at.
    pub fn open_ms(&self, from: Timestamp, to: Timestamp) -> u64 {
        let whole = u64::try_from(to.millis_since(from)).unwrap_or(0);
        let is_always_open = days(self.hours).iter().all(|(_, times)| times.is_empty());
        if whole == 0 || (is_always_open && self.hours.holidays.is_empty()) {
            return whole;
        }
        let (first, last) = (local(self.zone, from).date(), local(self.zone, to).date());
        let dates = first.iter_days().take_while(|date| *date <= last).take(LOOKED_AHEAD_DAYS as usize);
        let is_holiday = |date: &NaiveDate| self.hours.holidays.iter().any(|day| day.parse() == Ok(*date));
        let mut open = 0;
        for date in dates.filter(|date| !is_holiday(date)) {
            let times: Vec<(u32, u32)> =
                if is_always_open { vec![(0, DAY_MIN)] } else { times_on(self.hours, date).collect() };
            for (opens, closes) in united(times) {
                let (Some(opens), Some(closes)) = (instant(self.zone, date, opens), instant(self.zone, date, closes))
                else {
                    continue;
                };
                open += u64::try_from(closes.min(to).millis_since(opens.max(from))).unwrap_or(0);
            }
        }
        open
    }

    /// When somebody is there again, if it is known.
    pub fn opens_after(&self, now: Timestamp) -> Option<Timestamp> {
        let today = local(self.zone, now).date();
        let days = (0..=LOOKED_AHEAD_DAYS).filter_map(|day| today.checked_add_days(Days::new(day)));
        let openings = days.flat_map(|date| {
            // After midnight, too: a holiday ends there for those who are open all day.
            let times = times_on(self.hours, date).map(|(from, _)| from).chain([0]);
            times.filter_map(move |minute| instant(self.zone, date, minute)).collect::<Vec<_>>()
        });
        openings.filter(|at| *at > now && self.is_open(*at)).min_by_key(|at| at.as_millis())
    }
}

/// Whether an agent with these shifts is to be offered something, having said at `since` to be available; and when that is to
/// be asked again.
///
/// Within a shift, yes. Outside of one, if it was said after the last one ended: who comes early, stays longer, or
/// comes on a day off says so. Whoever merely forgot to say that the day is over did not.
pub fn on_shift(
    zone: &str,
    hours: &BusinessHours,
    since: Option<Timestamp>,
    now: Timestamp,
) -> (bool, Option<Timestamp>) {
    let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
    let today = local(zone, now).date();
    let first = today.checked_sub_days(Days::new(WEEK_DAYS)).unwrap_or(today);
    let days = (0..=2 * WEEK_DAYS).filter_map(|day| first.checked_add_days(Days::new(day)));
    let (mut next, mut ended) = (None::<Timestamp>, None::<Timestamp>);
    for date in days {
        for (from, to) in times_on(hours, date) {
            let (from, to) = (instant(zone, date, from), instant(zone, date, to));
            ended = ended.max(to.filter(|to| *to <= now));
            let changes = [from, to].into_iter().flatten().filter(|at| *at > now);
            next = changes.chain(next).min();
        }
    }
    let said_since = since.is_some_and(|since| ended.is_none_or(|ended| since >= ended));
    (is_open_at(zone, hours, now) || said_since, next)
}

/// The date of a moment where this time zone is; a zone that is not known counts as UTC.
pub fn date_in(zone: &str, at: Timestamp) -> NaiveDate {
    local(zone.parse().unwrap_or(Tz::UTC), at).date()
}

/// When a date begins where this time zone is; a zone that is not known counts as UTC.
pub fn midnight_in(zone: &str, date: NaiveDate) -> Timestamp {
    let utc = || Timestamp::from(date.and_time(chrono::NaiveTime::MIN).and_utc());
    instant(zone.parse().unwrap_or(Tz::UTC), date, 0).unwrap_or_else(utc)
}

fn local(zone: Tz, now: Timestamp) -> NaiveDateTime {
    let utc: DateTime<Utc> = now.to_datetime();
    utc.with_timezone(&zone).naive_local()
}

fn is_open_at(zone: Tz, hours: &BusinessHours, now: Timestamp) -> bool {
    let local = local(zone, now);
    is_open(hours, local.date(), local.weekday().number_from_monday(), local.hour() * 60 + local.minute())
}

/// The times of a date's weekday, in minutes of the day.
fn times_on(hours: &BusinessHours, date: NaiveDate) -> impl Iterator<Item = (u32, u32)> {
    let today = days(hours).into_iter().zip(1..).find(|(_, number)| *number == date.weekday().number_from_monday());
    let times = today.map(|((_, times), _)| times.as_slice()).unwrap_or_default();
    times.iter().filter_map(|text| span(text))
}

/// Times of a day, those that overlap or touch taken together.
fn united(mut times: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    times.sort_unstable();
    let mut united: Vec<(u32, u32)> = Vec::new();
    for (from, to) in times {
        match united.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => united.push((from, to)),
        }
    }
    united
}

/// The moment of a minute of a day, 24:00 being the next day's first. The first of two where clocks are set back; where
/// they are set forward over it, the moment after.
fn instant(zone: Tz, date: NaiveDate, minute: u32) -> Option<Timestamp> {
    let local = date.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::minutes(i64::from(minute)))?;
    let after_gap = || zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest();
    let at = zone.from_local_datetime(&local).earliest().or_else(after_gap)?;
    Some(Timestamp::from(at.to_utc()))
}

/// A moment where the tenant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    /// 0 to 23.
    pub hour: u32,
    /// 1 to 7, from Monday.
    pub weekday: u32,
    /// Such as `2026-11-22`.
    pub date: String,
    /// Whether it is within business hours.
    pub open: bool,
}

impl LocalTime {
    /// This moment where the tenant is. A time zone that is not known counts as UTC.
    pub fn of(settings: &TenantSettings, now: Timestamp) -> Self {
        let zone: Tz = settings.time_zone.parse().unwrap_or(Tz::UTC);
        let local = local(zone, now);
        let (weekday, minute) = (local.weekday().number_from_monday(), local.hour() * 60 + local.minute());
        let date = local.date();
        Self {
            hour: local.hour(),
            weekday,
            date: date.format("%Y-%m-%d").to_string(),
            open: is_open(&settings.hours, date, weekday, minute),
        }
    }
}

fn is_open(hours: &BusinessHours, date: NaiveDate, weekday: u32, minute: u32) -> bool {
    let is_today = |holiday: &String| holiday.parse::<NaiveDate>() == Ok(date);
    if hours.holidays.iter().any(is_today) {
        return false;
    }
    let days = days(hours);
    if days.iter().all(|(_, times)| times.is_empty()) {
        return true;
    }
    let today = days.into_iter().zip(1..).find(|(_, number)| *number == weekday);
    let times = today.map(|((_, times), _)| times.as_slice()).unwrap_or_default();
    times.iter().filter_map(|text| span(text)).any(|(from, to)| (from..to).contains(&minute))
}

fn days(hours: &BusinessHours) -> [(&'static str, &Vec<String>); 7] {
    [
        ("monday", &hours.monday),
        ("tuesday", &hours.tuesday),
        ("wednesday", &hours.wednesday),
        ("thursday", &hours.thursday),
        ("friday", &hours.friday),
        ("saturday", &hours.saturday),
        ("sunday", &hours.sunday),
    ]
}

/// `09:00-17:30` as minutes of the day.
fn span(text: &str) -> Option<(u32, u32)> {
    let (from, to) = text.split_once('-')?;
    let span = (minute(from.trim())?, minute(to.trim())?);
    (span.0 < span.1).then_some(span)
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_MIN).then_some(total)
}

/// Whether a time zone and business hours can be used.
///
/// # Errors
/// The path to what is wrong, and what would be right.
pub fn check(time_zone: &str, hours: &BusinessHours) -> Result<(), (String, String)> {
    if time_zone.parse::<Tz>().is_err() {
        let message = format!("{time_zone:?} is no IANA time zone, such as UTC or Asia/Shanghai");
        return Err(("time_zone".to_owned(), message));
    }
    for (day, times) in days(hours) {
        if times.len() > MAX_TIMES {
            return Err((format!("hours.{day}"), format!("has {} times where {MAX_TIMES} are allowed", times.len())));
        }
        if let Some((index, text)) = times.iter().enumerate().find(|(_, text)| span(text).is_none()) {
            let message = format!("{text:?} is no time from and to on one day, such as 09:00-17:30 or 18:00-24:00");
            return Err((format!("hours.{day}[{index}]"), message));
        }
    }
    let holidays = &hours.holidays;
    if holidays.len() > MAX_HOLIDAYS {
        let message = format!("has {} dates where {MAX_HOLIDAYS} are allowed", holidays.len());
        return Err(("hours.holidays".to_owned(), message));
    }
    match holidays.iter().enumerate().find(|(_, text)| text.parse::<NaiveDate>().is_err()) {
        Some((index, text)) => {
            Err((format!("hours.holidays[{index}]"), format!("{text:?} is no date, such as 2026-12-25")))
        }
        None => Ok(()),
    }
}
