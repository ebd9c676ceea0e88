//! The tenant's time zone and business hours.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use chrono_tz::Tz;
use kefu_events::{
    Timestamp,
    settings::{BusinessHours, TenantSettings},
};

/// Minutes of a day.
const DAY_MIN: u32 = 24 * 60;
/// Times on one weekday, at most.
const MAX_TIMES: usize = 10;
/// Holidays, at most: those of some years.
const MAX_HOLIDAYS: usize = 200;

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
        let utc: DateTime<Utc> = now.to_datetime();
        let local = utc.with_timezone(&zone).naive_local();
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
