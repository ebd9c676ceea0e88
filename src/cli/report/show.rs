//! Figures on a terminal, as JSON or as CSV.

use super::{Span, TenantArg};
use crate::cli::{
    Session,
    client::Client,
    error::CliError,
    output::{Style, note, plain},
};
use clap::Args;
use kefu_events::{Timestamp, query::name};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const WEEK_MS: i64 = 7 * 24 * 3_600_000;
/// Columns of a sparkline: those of a day's hours, twice.
const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Which figures of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preset {
    by: &'static str,
    /// What a row is called.
    pub(super) heading: &'static str,
    pub(super) metrics: &'static [&'static str],
}

pub(super) const SUMMARY: Preset = Preset {
    by: "all",
    heading: "",
    metrics: &[
        "sessions_opened",
        "sessions_closed",
        "backlog_change",
        "interception_rate",
        "bot_answer_rate",
        "handoffs",
        "waits",
        "service_level",
        "asa",
        "wait_p90",
        "abandonment",
        "frt_mean",
        "frt_p90",
        "nrt_mean",
        "sla_met",
        "handled",
        "aht",
        "talk_mean",
        "hold_mean",
        "acw_mean",
        "occupancy",
        "concurrency",
        "transfer_rate",
        "fcr",
        "reopen_rate",
        "csat",
        "rating_mean",
        "nps",
        "rating_rate",
    ],
};
pub(super) const BOT: Preset = Preset {
    by: "all",
    heading: "",
    metrics: &[
        "sessions_closed",
        "interception_rate",
        "containment_rate",
        "questions_asked",
        "bot_answer_rate",
        "faq_coverage",
        "questions_unanswered",
        "answer_confidence",
        "helpful_rate",
        "adoption_rate",
        "bot_response_mean",
        "bot_answer_p90",
        "handoffs",
        "messages_from_bot",
    ],
};
pub(super) const QUEUES: Preset = Preset {
    by: "queue",
    heading: "QUEUE",
    metrics: &["waits", "service_level", "asa", "wait_p90", "abandonment", "frt_mean", "aht", "transfer_rate", "csat"],
};
pub(super) const AGENTS: Preset = Preset {
    by: "agent",
    heading: "AGENT",
    metrics: &[
        "handled",
        "aht",
        "acw_mean",
        "frt_mean",
        "nrt_mean",
        "occupancy",
        "concurrency",
        "offer_acceptance",
        "csat",
    ],
};
pub(super) const CHANNELS: Preset = Preset {
    by: "channel",
    heading: "CHANNEL",
    metrics: &[
        "sessions_opened",
        "sessions_closed",
        "interception_rate",
        "handoffs",
        "service_level",
        "asa",
        "aht",
        "csat",
    ],
};
pub(super) const SKILLS: Preset = Preset {
    by: "skill",
    heading: "SKILL",
    metrics: &["handled", "aht", "asa", "wait_p90", "frt_mean", "sla_met", "transfer_rate"],
};
pub(super) const INTENTS: Preset = Preset {
    by: "intent",
    heading: "INTENT",
    metrics: &[
        "sessions_closed",
        "answers_given",
        "answer_confidence",
        "helpful_rate",
        "interception_rate",
        "handoffs",
        "csat",
    ],
};
pub(super) const FAQ: Preset = Preset {
    by: "entry",
    heading: "ENTRY",
    metrics: &["answers_given", "answer_confidence", "helpful_rate", "adoption_rate", "bot_answer_p90"],
};

/// Figures of a stretch of time
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    tenant: TenantArg,
    #[command(flatten)]
    span: Span,
    /// A row for each minute, hour, or day
    #[arg(long, value_parser = ["minute", "hour", "day"])]
    step: Option<String>,
    /// Only this one of them
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// These figures in the place of the usual ones, with commas between; `all`: every one
    #[arg(long, value_name = "METRICS", value_delimiter = ',')]
    metrics: Vec<String>,
    /// As CSV, with a heading
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl Show {
    pub(super) async fn run(self, session: &mut Session, preset: Preset) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let (from, to) = self.span.of(&client, &tenant).await?;
        let mut asked = Map::from_iter([("by".to_owned(), Value::from(preset.by))]);
        asked.extend(self.step.as_deref().map(|step| ("step".to_owned(), step.into())));
        asked.extend(self.only.map(|value| ("value".to_owned(), value.into())));
        match self.metrics.as_slice() {
            [] => drop(asked.insert("metrics".to_owned(), json!(preset.metrics))),
            [all] if all == "all" => {}
            some => drop(asked.insert("metrics".to_owned(), json!(some))),
        }
        let report = ask(&client, &tenant, &asked, from, to).await?;
        if session.out.is_json() {
            return session.out.json(&report);
        }
        if self.csv {
            return csv(session, &report, preset);
        }
        if preset.by == "all" && self.step.is_none() {
            let ago = |at: Timestamp| Timestamp::from_millis(at.as_millis() - WEEK_MS);
            let before = ask(&client, &tenant, &asked, ago(from), ago(to)).await?;
            let step = if to.millis_since(from) > 2 * 24 * 3_600_000 { "day" } else { "hour" };
            asked.insert("step".to_owned(), step.into());
            // A long stretch has too many steps to be drawn, and needs no drawing.
            let series = ask(&client, &tenant, &asked, from, to).await.unwrap_or(Value::Null);
            // What cannot be read of a stretch of time: how it is now.
            let queues: Value = client.query(&tenant, name::QUEUES, &json!({})).await?;
            return summary(session, &report, &before, &series, &queues);
        }
        table(session, &report, preset)
    }
}

async fn ask(
    client: &Client,
    tenant: &str,
    asked: &Map<String, Value>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Value, CliError> {
    let mut asked = asked.clone();
    asked.extend([("from".to_owned(), json!(from)), ("to".to_owned(), json!(to))]);
    client.query(tenant, name::REPORT, &Value::Object(asked)).await
}

pub(super) fn rows(report: &Value) -> &[Value] {
    report["rows"].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn columns(report: &Value) -> &[Value] {
    report["metrics"].as_array().map_or(&[], Vec::as_slice)
}

/// A figure in its unit.
pub(super) fn shown(figure: Option<f64>, unit: &str) -> String {
    let Some(figure) = figure else { return "-".to_owned() };
    match unit {
        "share" => format!("{:.1} %", figure * 100.0),
        "seconds" => duration(figure),
        "count" => format!("{figure:.0}"),
        "score" => format!("{figure:.2}"),
        _ => format!("{figure:.1}"),
    }
}

/// Seconds, as people say them.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

fn span_of(report: &Value) -> String {
    let text = |field: &str| report[field].as_str().unwrap_or_default().replace(".000Z", "Z");
    format!("{} to {}, up to commit {}", text("from"), text("to"), report["seq"])
}

fn summary(
    session: &mut Session,
    report: &Value,
    before: &Value,
    series: &Value,
    queues: &Value,
) -> Result<(), CliError> {
    note(span_of(report));
    let figure = |report: &Value, name: &str| rows(report).first().and_then(|row| row["figures"][name].as_f64());
    let out = &mut session.out;
    let queues = queues["items"].as_array().map_or(&[][..], Vec::as_slice);
    let waiting: u64 = queues.iter().filter_map(|queue| queue["waiting"].as_u64()).sum();
    let longest = queues.iter().filter_map(|queue| queue["oldest_s"].as_f64()).fold(0.0, f64::max);
    let mut table = vec![
        ["Waiting now".to_owned(), waiting.to_string(), String::new(), String::new()],
        ["Longest wait now".to_owned(), duration(longest), String::new(), String::new()],
    ];
    for column in columns(report) {
        let (name, unit) = (column["name"].as_str().unwrap_or_default(), column["unit"].as_str().unwrap_or_default());
        let points: Vec<Option<f64>> = rows(series).iter().map(|row| row["figures"][name].as_f64()).collect();
        table.push([
            column["label"].as_str().unwrap_or_default().to_owned(),
            shown(figure(report, name), unit),
            shown(figure(before, name), unit),
            sparks(&points),
        ]);
    }
    out.table(["FIGURE", "", "A WEEK AGO", ""], &table)
}

/// A line of bars; a gap where there is nothing to tell.
fn sparks(points: &[Option<f64>]) -> String {
    let highest = points.iter().flatten().copied().fold(0.0, f64::max);
    let bar = |point: &Option<f64>| match point {
        None => ' ',
        Some(point) if highest <= 0.0 || *point <= 0.0 => SPARKS[0],
        Some(point) => SPARKS[((point / highest * 7.0).round() as usize).min(7)],
    };
    points.iter().map(bar).collect()
}

fn table(session: &mut Session, report: &Value, preset: Preset) -> Result<(), CliError> {
    note(span_of(report));
    let has_time = rows(report).iter().any(|row| row["at"].is_string());
    let has_value = preset.by != "all";
    let columns = columns(report);
    let mut lines: Vec<Vec<String>> = vec![Vec::new()];
    lines[0].extend(has_time.then(|| "TIME".to_owned()));
    lines[0].extend(has_value.then(|| preset.heading.to_owned()));
    lines[0].extend(columns.iter().map(|column| column["label"].as_str().unwrap_or_default().to_uppercase()));
    for row in rows(report) {
        let mut line = Vec::new();
        line.extend(has_time.then(|| row["at"].as_str().unwrap_or_default().replace(":00.000Z", "Z")));
        line.extend(has_value.then(|| plain(row["value"].as_str().unwrap_or_default())));
        for column in columns {
            let name = column["name"].as_str().unwrap_or_default();
            line.push(shown(row["figures"][name].as_f64(), column["unit"].as_str().unwrap_or_default()));
        }
        lines.push(line);
    }
    let widths: BTreeMap<usize, usize> = lines.iter().fold(BTreeMap::new(), |mut widths, line| {
        for (at, cell) in line.iter().enumerate() {
            let width = widths.entry(at).or_insert(0);
            *width = (*width).max(cell.chars().count());
        }
        widths
    });
    for (number, line) in lines.iter().enumerate() {
        let cells = line.iter().enumerate().map(|(at, cell)| {
            let gap = widths.get(&at).map_or(0, |width| width - cell.chars().count());
            format!("{cell}{}", " ".repeat(gap))
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        let text =
            if number == 0 { session.out.styled(Style::Bold, text.trim_end()) } else { text.trim_end().to_owned() };
        session.out.line(text)?;
    }
    if rows(report).is_empty() {
        note("nothing happened in that time");
    }
    session.out.flush()
}

fn csv(session: &mut Session, report: &Value, preset: Preset) -> Result<(), CliError> {
    let columns: Vec<&str> = columns(report).iter().filter_map(|column| column["name"].as_str()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| CliError::failure(format!("the CSV cannot be written: {error}"));
    let has_time = rows(report).iter().any(|row| row["at"].is_string());
    let mut heading: Vec<&str> = has_time.then_some("at").into_iter().collect();
    heading.extend((preset.by != "all").then_some(preset.by));
    heading.extend(&columns);
    writer.write_record(&heading).map_err(failed)?;
    for row in rows(report) {
        let mut line: Vec<String> = Vec::new();
        line.extend(has_time.then(|| row["at"].as_str().unwrap_or_default().to_owned()));
        line.extend((preset.by != "all").then(|| row["value"].as_str().unwrap_or_default().to_owned()));
        line.extend(columns.iter().map(|name| row["figures"][name].as_f64().map_or(String::new(), |n| n.to_string())));
        writer.write_record(&line).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(|error| CliError::failure(error.to_string()))?;
    session.out.line(String::from_utf8_lossy(&bytes).trim_end())?;
    session.out.flush()
}
