//! A week on one HTML page, for those who used to keep a spreadsheet: it needs nothing else, and can be sent by mail.

use super::{TenantArg, show, zone};
use crate::{
    cli::{Session, client::Client, error::CliError, values},
    routing::hours::{date_in, midnight_in},
};
use chrono::{Days, NaiveDate};
use clap::Args;
use kefu_events::{Timestamp, query::name};
use serde_json::{Value, json};
use std::{fmt::Write as _, str::FromStr};

const DAY_MS: i64 = 24 * 3_600_000;
const WEEK_DAYS: u64 = 7;
/// Rows of a table, at most: a page, not a data set.
const MAX_ROWS: usize = 30;

/// What is drawn day by day, people and bot apart.
const CHARTS: [&str; 6] = ["sessions_opened", "handled", "asa", "service_level", "interception_rate", "csat"];

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1c2430;background:#fff;max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2.2rem}p{color:#5a6472;margin:.2rem 0}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.3rem .6rem;text-align:right;\
border-bottom:1px solid #e3e7ec}th:first-child,td:first-child{text-align:left}th{color:#5a6472;font-weight:600;font-size:.85rem}\
.up{color:#0b6b3a}.down{color:#a3281f}.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(18rem,1fr));gap:1rem}\
figure{margin:0;padding:.8rem;border:1px solid #e3e7ec;border-radius:.5rem}figcaption{font-weight:600}svg{width:100%;height:auto}\
svg text{font-size:11px;fill:#5a6472}svg rect{fill:#2f6fb2}";

/// A report of a week, as one HTML file on standard output
#[derive(Debug, Args)]
#[command(after_help = "\
The week is the seven days (where the tenant is) before the day of --to, beside the week before it.

Examples:
  kefu report weekly > week.html
  kefu report weekly --to 2026-11-23 > 2026-w47.html")]
pub(in crate::cli) struct Weekly {
    #[command(flatten)]
    tenant: TenantArg,
    /// The day after the last one, as a date where the tenant is or as a time [default: today, so that the week ends yesterday]
    #[arg(long, value_name = "DATE|TIME")]
    to: Option<Day>,
}

/// A day: a plain date is that date where the tenant is, and not the moment at which it begins at Greenwich.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Day {
    Date(NaiveDate),
    Of(Timestamp),
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Self::Date).or_else(|_| values::time(text).map(Self::Of))
    }
}

impl Day {
    /// When it begins in this time zone.
    fn begins(self, zone: &str) -> Timestamp {
        match self {
            Self::Date(date) => midnight_in(zone, date),
            Self::Of(at) => midnight_in(zone, date_in(zone, at)),
        }
    }
}

/// How much more it is than before, as people read it; of less than nothing, too.
fn change(new: Option<f64>, old: Option<f64>) -> String {
    match (new, old) {
        (Some(new), Some(old)) if old != 0.0 => format!("{:+.0} %", (new - old) / old.abs() * 100.0),
        _ => String::new(),
    }
}

impl Weekly {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let zone = zone(&client, &tenant).await?;
        let to = self.to.unwrap_or_else(|| Day::Of(crate::cli::client::now())).begins(&zone);
        let last = date_in(&zone, to);
        let back = |days: u64| midnight_in(&zone, last.checked_sub_days(Days::new(days)).unwrap_or(last));
        let (from, before) = (back(WEEK_DAYS), back(2 * WEEK_DAYS));
        let week = Week { client, tenant, from, to, before };
        let page = week.page().await?;
        session.out.line(page)?;
        session.out.flush()
    }
}

struct Week {
    client: Client,
    tenant: String,
    from: Timestamp,
    to: Timestamp,
    before: Timestamp,
}

impl Week {
    async fn ask(&self, asked: Value, from: Timestamp, to: Timestamp) -> Result<Value, CliError> {
        let mut asked = asked;
        (asked["from"], asked["to"]) = (json!(from), json!(to));
        self.client.query(&self.tenant, name::REPORT, &asked).await
    }

    async fn page(&self) -> Result<String, CliError> {
        let mut body = String::new();
        let series = self.ask(json!({"step": "day", "metrics": CHARTS}), self.from, self.to).await?;
        let days = show::rows(&series);
        let span = format!("{} to {}", date(days.first(), self.from), date(days.last(), self.to));
        let zone = series["zone"].as_str().unwrap_or("UTC");
        // Writing into a text cannot fail.
        let _ = write!(
            body,
            "<h1>{} · {}</h1><p>Days in {}; up to commit {} of the log. Beside each figure the change from the week before.</p>",
            escaped(&self.tenant),
            escaped(&span),
            escaped(zone),
            series["seq"]
        );
        body.push_str("<div class=charts>");
        for column in show::columns(&series) {
            body.push_str(&chart(column, days));
        }
        body.push_str("</div>");
        self.figures(&mut body, "People and customers", show::SUMMARY.metrics).await?;
        self.figures(&mut body, "Bot", show::BOT.metrics).await?;
        for (title, by, preset) in [
            ("Queues", "queue", show::QUEUES),
            ("Agents", "agent", show::AGENTS),
            ("Channels", "channel", show::CHANNELS),
            ("Entries of the knowledge base", "entry", show::FAQ),
        ] {
            let report = self.ask(json!({"by": by, "metrics": preset.metrics}), self.from, self.to).await?;
            body.push_str(&table(title, &report));
        }
        Ok(format!(
            "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <title>{} {}</title><style>{STYLE}</style></head><body>{body}</body></html>",
            escaped(&self.tenant),
            escaped(&span)
        ))
    }

    async fn figures(&self, body: &mut String, title: &str, metrics: &[&str]) -> Result<(), CliError> {
        let now = self.ask(json!({"metrics": metrics}), self.from, self.to).await?;
        let before = self.ask(json!({"metrics": metrics}), self.before, self.from).await?;
        let of = |report: &Value, name: &str| show::rows(report).first().and_then(|row| row["figures"][name].as_f64());
        let _ = write!(body, "<h2>{title}</h2><table><tr><th>Figure<th>This week<th>Week before<th>Change</tr>");
        for column in show::columns(&now) {
            let (name, unit) = (text(column, "name"), text(column, "unit"));
            let (new, old) = (of(&now, name), of(&before, name));
            let change = change(new, old);
            let _ = write!(
                body,
                "<tr><td>{}<td>{}<td>{}<td>{change}</tr>",
                escaped(text(column, "label")),
                show::shown(new, unit),
                show::shown(old, unit)
            );
        }
        body.push_str("</table>");
        Ok(())
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The date of a row where the tenant is: noon of that day is on it everywhere but for a few islands.
fn date(row: Option<&Value>, otherwise: Timestamp) -> String {
    let begins = row.and_then(|row| serde_json::from_value::<Timestamp>(row["at"].clone()).ok()).unwrap_or(otherwise);
    Timestamp::from_millis(begins.as_millis() + DAY_MS / 2).to_string().chars().take(10).collect()
}

/// A bar for each day.
fn chart(column: &Value, days: &[Value]) -> String {
    let (name, unit) = (text(column, "name"), text(column, "unit"));
    let points: Vec<Option<f64>> = days.iter().map(|day| day["figures"][name].as_f64()).collect();
    let highest = points.iter().flatten().copied().fold(0.0, f64::max);
    let mut bars = String::new();
    for (at, (point, day)) in points.iter().zip(days).enumerate() {
        let height = point.map_or(0.0, |point| if highest > 0.0 { point.max(0.0) / highest * 90.0 } else { 0.0 });
        let (x, y) = (at * 40 + 4, 100.0 - height);
        let day = date(Some(day), Timestamp::from_millis(0));
        let value = show::shown(*point, unit);
        let _ = write!(
            bars,
            "<rect x={x} y={y:.1} width=32 height={height:.1}><title>{day}: {value}</title></rect>\
             <text x={x} y=116>{}</text>",
            day.get(8..).unwrap_or_default()
        );
    }
    let width = days.len().max(1) * 40;
    format!(
        "<figure><figcaption>{}</figcaption><p>highest day: {}</p><svg viewBox=\"0 0 {width} 120\" role=img aria-label=\"{} day by day\">{bars}</svg></figure>",
        escaped(text(column, "label")),
        show::shown((highest > 0.0).then_some(highest), unit),
        escaped(text(column, "label")),
    )
}

fn table(title: &str, report: &Value) -> String {
    let columns = show::columns(report);
    let first = columns.first().map_or("", |column| text(column, "name"));
    let mut rows: Vec<&Value> = show::rows(report).iter().collect();
    // The busiest first.
    rows.sort_by(|a, b| {
        let of = |row: &Value| row["figures"][first].as_f64().unwrap_or(0.0);
        of(b).total_cmp(&of(a))
    });
    let mut html = format!("<h2>{title}</h2>");
    if rows.is_empty() {
        html.push_str("<p>Nothing happened there.</p>");
        return html;
    }
    html.push_str("<table><tr><th>");
    for column in columns {
        let _ = write!(html, "<th>{}", escaped(text(column, "label")));
    }
    html.push_str("</tr>");
    for row in rows.iter().take(MAX_ROWS) {
        let _ = write!(html, "<tr><td>{}", escaped(text(row, "value")));
        for column in columns {
            let figure = row["figures"][text(column, "name")].as_f64();
            let _ = write!(html, "<td>{}", show::shown(figure, text(column, "unit")));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    if rows.len() > MAX_ROWS {
        let _ = write!(html, "<p>and {} more: kefu report shows them.</p>", rows.len() - MAX_ROWS);
    }
    html
}

/// Names of queues and entries are what people typed.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_markup() {
        let report = json!({"metrics": [{"name": "waits", "label": "Waits", "unit": "count"}],
            "rows": [{"value": "<script>alert(1)</script>", "figures": {"waits": 3.0}}]});
        let html = table("Queues", &report);
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"), "{html}");
    }

    #[test]
    fn a_plain_date_is_that_day_where_the_tenant_is_east_and_west_of_greenwich() {
        let begins = |text: &str, zone: &str| text.parse::<Day>().unwrap().begins(zone).to_string();
        assert_eq!(begins("2026-11-23", "America/New_York"), "2026-11-23T05:00:00.000Z");
        assert_eq!(begins("2026-11-23", "Asia/Shanghai"), "2026-11-22T16:00:00.000Z");
        // A moment is of the day that it is there then.
        assert_eq!(begins("2026-11-23 03:00", "America/New_York"), "2026-11-22T05:00:00.000Z");
        assert!("soon".parse::<Day>().is_err());
    }

    #[test]
    fn what_rises_from_below_zero_is_more_and_not_less() {
        assert_eq!(change(Some(-10.0), Some(-20.0)), "+50 %");
        assert_eq!(change(Some(10.0), Some(-10.0)), "+200 %");
        assert_eq!(change(Some(15.0), Some(20.0)), "-25 %");
        assert_eq!(change(Some(15.0), Some(0.0)), "");
    }

    #[test]
    fn days_without_anything_are_empty_bars() {
        let column = json!({"name": "asa", "label": "ASA", "unit": "seconds"});
        let html = chart(&column, &[json!({"at": "2026-11-22T00:00:00Z", "figures": {}})]);
        assert!(html.contains("height=0.0") && html.contains("<text x=4 y=116>22</text>"), "{html}");
    }
}
