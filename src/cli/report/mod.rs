//! `kefu report`: figures, the sessions behind them, and what they mean.

mod show;
mod weekly;

use super::{
    Session, TenantArg,
    client::Client,
    error::CliError,
    output::{Style, note, plain},
    replay::Progress,
    values,
};
use clap::{Args, Subcommand};
use kefu_events::{Timestamp, query::name};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// How often a rebuild is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the node that rebuilds may not answer: with several nodes, others answer in between.
const SILENCE: Duration = Duration::from_secs(30);

/// Read figures: how customers, the bot, queues and agents are doing
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Figures follow from the log, and are about a second behind it. `kefu report metrics` says what each one means.
Times are UTC, or how long ago: 15m, 2h, 7d. Days begin where the tenant is (`time_zone` of its settings).

Examples:
  kefu report summary                                today so far, beside the same hours of a week ago
  kefu report queues --from 7d --step day            each queue, day by day
  kefu report agents --from 2026-11-01 --to 2026-12-01 --csv > november.csv
  kefu report sessions --metric abandonment --queue billing --from 1d
  kefu report weekly > week.html")]
pub(super) enum Report {
    /// How everything is doing
    Summary(show::Show),
    /// How the bot is doing
    Bot(show::Show),
    /// Queue by queue
    Queues(show::Show),
    /// Agent by agent
    Agents(show::Show),
    /// Channel by channel
    Channels(show::Show),
    /// Skill by skill
    Skills(show::Show),
    /// Intent by intent: by the category of the entry that answered
    Intents(show::Show),
    /// Entry by entry of the knowledge base
    Faq(show::Show),
    /// The sessions behind a figure
    Sessions(Sessions),
    /// What every figure means
    Metrics(Metrics),
    /// A report of a week, as one HTML file on standard output
    Weekly(weekly::Weekly),
    /// Compute the figures anew out of the whole log; the old ones are served meanwhile
    Rebuild(Rebuild),
}

impl Report {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Summary(args) => args.run(session, show::SUMMARY).await,
            Self::Bot(args) => args.run(session, show::BOT).await,
            Self::Queues(args) => args.run(session, show::QUEUES).await,
            Self::Agents(args) => args.run(session, show::AGENTS).await,
            Self::Channels(args) => args.run(session, show::CHANNELS).await,
            Self::Skills(args) => args.run(session, show::SKILLS).await,
            Self::Intents(args) => args.run(session, show::INTENTS).await,
            Self::Faq(args) => args.run(session, show::FAQ).await,
            Self::Sessions(args) => args.run(session).await,
            Self::Metrics(args) => args.run(session).await,
            Self::Weekly(args) => args.run(session).await,
            Self::Rebuild(args) => args.run(session).await,
        }
    }
}

/// A stretch of time.
#[derive(Debug, Args)]
struct Span {
    /// From this moment on [default: midnight where the tenant is]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    from: Option<Timestamp>,
    /// Up to this moment, which is not part of it [default: now]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    to: Option<Timestamp>,
}

impl Span {
    async fn of(&self, client: &Client, tenant: &str) -> Result<(Timestamp, Timestamp), CliError> {
        let to = self.to.unwrap_or_else(super::client::now);
        let from = match self.from {
            Some(from) => from,
            None => midnight(client, tenant, to).await?,
        };
        Ok((from, to))
    }
}

/// The tenant's time zone.
async fn zone(client: &Client, tenant: &str) -> Result<String, CliError> {
    let now = super::client::now();
    let asked = json!({"from": now.plus_seconds(-60), "to": now, "metrics": ["sessions_opened"]});
    let found: Value = client.query(tenant, name::REPORT, &asked).await?;
    Ok(found["zone"].as_str().unwrap_or("UTC").to_owned())
}

/// The last midnight before a moment, where the tenant is.
async fn midnight(client: &Client, tenant: &str, at: Timestamp) -> Result<Timestamp, CliError> {
    let from = Timestamp::from_millis(at.as_millis() - 1);
    let asked = json!({"from": from, "to": at, "step": "day", "metrics": ["sessions_opened"]});
    let found: Value = client.query(tenant, name::REPORT, &asked).await?;
    // Both ends are moved outwards to whole days.
    Ok(serde_json::from_value(found["from"].clone())?)
}

/// The sessions behind a figure
#[derive(Debug, Args)]
pub(super) struct Sessions {
    #[command(flatten)]
    tenant: TenantArg,
    #[command(flatten)]
    span: Span,
    /// Only those behind this figure: `kefu report metrics` says which can be listed
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// Only those with this as their last queue
    #[arg(long, group = "of")]
    queue: Option<String>,
    /// Only those with this as their last agent
    #[arg(long, group = "of")]
    agent: Option<String>,
    /// Only those on this channel
    #[arg(long, group = "of")]
    channel: Option<String>,
    /// Only those of this intent
    #[arg(long, group = "of")]
    intent: Option<String>,
    /// Not more than this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

impl Sessions {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let (from, to) = self.span.of(&client, &tenant).await?;
        let mut asked = Map::from_iter([("from".to_owned(), json!(from)), ("to".to_owned(), json!(to))]);
        let of = [("queue", self.queue), ("agent", self.agent), ("channel", self.channel), ("intent", self.intent)];
        if let Some((by, value)) = of.into_iter().find_map(|(by, value)| Some((by, value?))) {
            asked.extend([("by".to_owned(), by.into()), ("value".to_owned(), value.into())]);
        }
        asked.extend(self.metric.map(|metric| ("metric".to_owned(), metric.into())));
        let mut left = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        while left > 0 {
            asked.insert("limit".to_owned(), left.min(crate::reporting::MAX_SESSIONS).into());
            let page: Value = client.query(&tenant, name::REPORT_SESSIONS, &Value::Object(asked.clone())).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            left -= items.len().min(left);
            rows.extend(items);
            match page["next"].as_str() {
                Some(next) => drop(asked.insert("after".to_owned(), next.into())),
                None => break,
            }
        }
        if session.out.is_json() {
            return rows.iter().try_for_each(|row| session.out.json_line(row));
        }
        let text = |value: &Value| value.as_str().map_or("-".to_owned(), plain);
        let seconds = |value: &Value| value.as_f64().map_or("-".to_owned(), show::duration);
        let row = |row: &Value| {
            [
                text(&row["closed_at"]),
                text(&row["conversation"]),
                row["session"].to_string(),
                text(&row["channel"]),
                text(&row["queue"]),
                text(&row["agent"]),
                seconds(&row["waited_s"]),
                seconds(&row["handled_s"]),
                row["rating"].as_u64().map_or("-".to_owned(), |rating| rating.to_string()),
                text(&row["reason"]),
            ]
        };
        let rows: Vec<[String; 10]> = rows.iter().map(row).collect();
        let heading =
            ["ENDED", "CONVERSATION", "NO", "CHANNEL", "QUEUE", "AGENT", "WAITED", "HANDLED", "RATING", "REASON"];
        session.out.table(heading, &rows)
    }
}

/// What every figure means
#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// Only these
    names: Vec<String>,
}

impl Metrics {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        // The same in every server of this version: no server is needed to say what figures mean.
        let mut all = crate::reporting::definitions();
        if let Some(unknown) = self.names.iter().find(|name| !all.iter().any(|known| known.column.name == **name)) {
            return Err(CliError::usage(format!("there is no figure {unknown:?}: `kefu report metrics` names them")));
        }
        all.retain(|known| self.names.is_empty() || self.names.iter().any(|name| *name == known.column.name));
        let out = &mut session.out;
        if out.is_json() {
            return all.iter().try_for_each(|definition| out.json_line(definition));
        }
        for definition in &all {
            let column = &definition.column;
            let head = out.styled(Style::Bold, format!("{}@{}  {}", column.name, column.version, column.label));
            out.line(head)?;
            out.line(format!("  = {}", definition.formula))?;
            if !definition.edges.is_empty() {
                out.line(format!("  {}", definition.edges))?;
            }
            for (source, help) in &definition.sources {
                let line = out.styled(Style::Dim, format!("  {source}: {help}"));
                out.line(line)?;
            }
            let by: Vec<&str> = definition.by.iter().map(|by| by.as_str()).collect();
            let line = out.styled(Style::Dim, format!("  by {}\n", by.join(", ")));
            out.line(line)?;
        }
        out.flush()
    }
}

/// Compute the figures anew out of the whole log; the old ones are served meanwhile
#[derive(Debug, Args)]
#[command(after_help = "\
All figures come out of one pass over the log, so naming one has all of them computed anew; its name and version are checked.
Each node keeps figures of its own: with several nodes, the one that answers does it, and its name is said.

Examples:
  kefu report rebuild
  kefu report rebuild fcr@1")]
pub(super) struct Rebuild {
    /// The figure that it is done for, as NAME@VERSION
    metric: Option<String>,
    /// Begin, and do not wait for the end
    #[arg(long)]
    no_wait: bool,
}

impl Rebuild {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if let Some(metric) = &self.metric {
            let known = crate::reporting::definitions();
            let (wanted, version) = metric.split_once('@').unwrap_or((metric, ""));
            let found = known.iter().find(|known| known.column.name == wanted);
            let Some(found) = found else {
                return Err(CliError::usage(format!(
                    "there is no figure {wanted:?}: `kefu report metrics` names them"
                )));
            };
            if !version.is_empty() && version != found.column.version.to_string() {
                let message =
                    format!("this version of kefu computes {wanted}@{}, and no {metric}", found.column.version);
                return Err(CliError::usage(message));
            }
        }
        let client = session.connect().await?;
        let all = kefu_events::query::ALL_TENANTS;
        let begun: Value = client.query(all, name::REPORT_STATUS, &json!({"rebuild": true})).await?;
        let node = begun["node"].as_str().unwrap_or("?").to_owned();
        if self.no_wait {
            note(format!("the node {node} builds its figures anew: its log says when it is done"));
            return Ok(());
        }
        let mut progress: Option<Progress> = None;
        let mut answered = Instant::now();
        loop {
            let status: Value = client.query(all, name::REPORT_STATUS, &json!({})).await?;
            let look = Look::of(&begun, &status);
            if look != Look::AnotherNode {
                answered = Instant::now();
            }
            match look {
                Look::AnotherNode if answered.elapsed() > SILENCE => {
                    clear(progress.as_ref());
                    return Err(CliError::timed_out(format!(
                        "the node {node}, which builds its figures anew, does not answer any more; others do"
                    )));
                }
                Look::Done => {
                    clear(progress.as_ref());
                    let done = json!({"seq": status["seq"], "node": node});
                    return session.out.result(&done, || {
                        format!("the node {node} has built its figures anew, up to commit {}", status["seq"])
                    });
                }
                Look::Failed => {
                    clear(progress.as_ref());
                    return Err(CliError::failure(format!(
                        "the node {node} could not build its figures anew; those of before are served on"
                    ))
                    .hint("its log says why"));
                }
                Look::AnotherNode | Look::UnderWay => {}
            }
            if look == Look::UnderWay
                && let (Some(seq), Some(end)) = (status["rebuild"]["seq"].as_u64(), status["rebuild"]["end"].as_u64())
            {
                progress.get_or_insert_with(|| Progress::shown(0, Some(end))).at(seq);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn clear(progress: Option<&Progress>) {
    if let Some(progress) = progress {
        progress.clear();
    }
}

/// What an answer says of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Nothing: it is another node's.
    AnotherNode,
    UnderWay,
    Done,
    Failed,
}

impl Look {
    /// `begun` is what was answered when it was asked for.
    fn of(begun: &Value, now: &Value) -> Self {
        let more = |count: &str| now[count].as_u64().unwrap_or(0) > begun[count].as_u64().unwrap_or(0);
        if now["node"] != begun["node"] {
            Self::AnotherNode
        } else if more("rebuilt") {
            Self::Done
        } else if more("failed") {
            Self::Failed
        } else {
            Self::UnderWay
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_that_failed_is_not_waited_for_and_another_nodes_is_none() {
        let begun = json!({"node": "a", "rebuilt": 3, "failed": 1});
        let look = |now: Value| Look::of(&begun, &now);
        assert_eq!(look(json!({"node": "a", "rebuilt": 3, "failed": 1})), Look::UnderWay);
        assert_eq!(look(json!({"node": "a", "rebuilt": 3, "failed": 2})), Look::Failed);
        assert_eq!(look(json!({"node": "a", "rebuilt": 4, "failed": 1})), Look::Done);
        assert_eq!(look(json!({"node": "b", "rebuilt": 9, "failed": 9})), Look::AnotherNode);
    }
}
