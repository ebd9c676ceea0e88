//! Reports: figures of a stretch of time, broken down or not, out of the rollup.

use super::{
    metric::{
        AgentFold, Cell, Count, Dimension, Level, METRICS, Metric, Session, Unit, Whose, cell_key, cell_prefix, metric,
        parse_cell_key,
    },
    rollup::{self, AGENTS, CELLS, SESSIONS, TENANTS, TenantNote},
    span::{Span, begins},
    task::{NoRebuild, Progress, ReportingStatus},
};
use crate::store::{Store, StoreError, View};
use kefu_events::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
};

/// Steps of a series, at most: a year of days, a month of hours, a day of minutes.
const MAX_STEPS: u32 = 1_500;
/// Rows of a report, at most: all of them are in memory at once, each with its cell.
const MAX_ROWS: usize = 50_000;
/// Sessions on a page, at most.
pub const MAX_SESSIONS: usize = 1_000;
/// Sessions that are looked at for a page, at most.
const MAX_LOOKED_AT: usize = 200_000;

/// What is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// From this moment on.
    pub from: Timestamp,
    /// Up to this moment, which is not part of it.
    pub to: Timestamp,
    /// What to break down by.
    #[serde(default = "whole")]
    pub by: Dimension,
    /// Only this channel, queue, agent, …: of `by`.
    #[serde(default)]
    pub value: Option<String>,
    /// A row for each stretch of this length; one for all, if absent.
    #[serde(default)]
    pub step: Option<Step>,
    /// Which figures; all that can be broken down so, if absent.
    #[serde(default)]
    pub metrics: Option<Vec<String>>,
}

fn whole() -> Dimension {
    Dimension::All
}

/// The length of the stretches of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day where the tenant is.
    Day,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The question is wrong, and what would be right.
    #[error("{0}")]
    Invalid(String),
    /// Figures are being built for the first time, or the store is.
    #[error("the figures are being read out of the log; ask again in a while")]
    NotReady,
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A report.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The last commit that is in it.
    pub seq: u64,
    /// IANA name of the time zone in which days begin.
    pub zone: String,
    /// From this moment on: as asked, or earlier where single minutes, or hours, of that time are not kept.
    pub from: Timestamp,
    /// Up to this moment.
    pub to: Timestamp,
    /// What it is broken down by.
    pub by: Dimension,
    /// The figures that it has.
    pub metrics: Vec<Column>,
    /// Sorted by `at` and `value`.
    pub rows: Vec<Row>,
}

/// A figure of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: u16,
    /// Its name, for people.
    pub label: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Whose work it tells of.
    pub whose: Whose,
}

/// A row of a report.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// When the stretch begins, in a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The channel, queue, agent, …; empty: the whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// By name; what there is nothing to tell of is absent.
    pub figures: BTreeMap<&'static str, f64>,
    /// What they are computed from.
    #[serde(skip)]
    pub cell: Cell,
}

/// A definition, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct Definition {
    /// Name, version, label, unit, and whose work it tells of.
    #[serde(flatten)]
    pub column: Column,
    /// How it is computed from measures.
    pub formula: String,
    /// The measures: name → what it counts or times, and when.
    pub sources: BTreeMap<&'static str, &'static str>,
    /// What it can be broken down by.
    pub by: &'static [Dimension],
    /// What happens at the edges.
    pub edges: &'static str,
    /// Whether the sessions behind it can be listed.
    pub sessions: bool,
}

/// Every definition.
pub fn definitions() -> Vec<Definition> {
    let shown = |metric: &Metric| Definition {
        column: Column::of(metric),
        formula: metric.formula_text(),
        sources: metric.sources().into_iter().collect(),
        by: metric.by,
        edges: metric.edges,
        sessions: metric.sessions.is_some(),
    };
    METRICS.iter().map(shown).collect()
}

impl Column {
    fn of(metric: &Metric) -> Self {
        let Metric { name, version, label, unit, whose, .. } = *metric;
        Self { name, version, label, unit, whose }
    }
}

/// Which sessions are asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedSessions {
    /// Ended at this moment or later.
    pub from: Timestamp,
    /// Ended before this moment.
    pub to: Timestamp,
    /// Only those behind this figure.
    #[serde(default)]
    pub metric: Option<String>,
    /// Only those with this `value` of it.
    #[serde(default = "whole")]
    pub by: Dimension,
    /// See above.
    #[serde(default)]
    pub value: Option<String>,
    /// Where the page before ended.
    #[serde(default)]
    pub after: Option<String>,
    /// How many, 1 to 1000.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A page of sessions, in the order in which they ended.
#[derive(Debug, Clone, Serialize)]
pub struct Sessions {
    /// The sessions.
    pub items: Vec<ShownSession>,
    /// Where the next page begins, if there may be more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A session, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub struct ShownSession {
    /// Key of the conversation.
    pub conversation: String,
    /// Number of the session.
    pub session: u32,
    /// The channel.
    pub channel: String,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ended.
    pub closed_at: Timestamp,
    /// Why: a `CloseReason`.
    pub reason: String,
    /// The last queue.
    pub queue: Option<String>,
    /// The last agent.
    pub agent: Option<String>,
    /// The category of the first answer.
    pub intent: Option<String>,
    /// Questions to the bot, and how many were answered.
    pub questions: u32,
    /// See above.
    pub answers: u32,
    /// Seconds in queues.
    pub waited_s: f64,
    /// Seconds from the first request for a person to an agent's first reply.
    pub first_response_s: Option<f64>,
    /// Seconds of talk, hold and wrap-up.
    pub handled_s: f64,
    /// How often it was given away.
    pub transfers: u32,
    /// The agent's code for how it ended.
    pub disposition: Option<String>,
    /// The customer's rating.
    pub rating: Option<u8>,
}

/// Reads figures. Cheap to clone.
#[derive(Clone)]
pub struct Reports {
    store: Store,
    progress: Progress,
}

impl Reports {
    /// Reads out of this store, what this task has written.
    pub fn new(store: Store, progress: Progress) -> Self {
        Self { store, progress }
    }

    /// How far the figures are.
    pub fn status(&self) -> ReportingStatus {
        self.progress.status()
    }

    /// Has them built anew from the whole log.
    ///
    /// # Errors
    /// See [`NoRebuild`].
    pub fn rebuild(&self) -> Result<(), NoRebuild> {
        self.progress.rebuild()
    }

    pub(super) fn open(&self, tenant: &str) -> Result<(View, TenantNote), ReportError> {
        let view = self.store.view(rollup::NAME).ok_or(ReportError::NotReady)?;
        let note = view.get(TENANTS, tenant.as_bytes())?;
        let note = note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default();
        Ok((view, note))
    }

    /// A report of a tenant, `now` being the time.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub fn report(&self, tenant: &str, asked: &Asked, now: Timestamp) -> Result<Report, ReportError> {
        let metrics = metrics_of(asked)?;
        if asked.from >= asked.to {
            return Err(ReportError::Invalid("`from` must be before `to`".to_owned()));
        }
        let (view, note) = self.open(tenant)?;
        let span = Span::of(&note, asked.by, asked.from, asked.to, asked.step);
        let steps: u32 = span.pieces.iter().map(|(_, range)| range.len() as u32).sum();
        if asked.step.is_some() && steps > MAX_STEPS {
            let message = format!("that would be {steps} rows in time; {MAX_STEPS} are allowed: take longer steps");
            return Err(ReportError::Invalid(message));
        }
        let reader = Reader { tenant, view: &view, by: asked.by, value: asked.value.as_deref() };
        let mut rows = Rows::default();
        for (level, range) in &span.pieces {
            reader.read(*level, range.clone(), |time, value, cell| {
                let at = asked.step.map(|_| begins(&note, *level, time));
                rows.cell(at, value)?.merge(cell);
                Ok(())
            })?;
        }
        let steps = span.pieces.iter().flat_map(|(level, range)| range.clone().map(|time| (*level, time)));
        let steps: Vec<(Option<Timestamp>, Timestamp, Timestamp)> = match asked.step {
            None => vec![(None, span.from, span.to)],
            Some(_) => steps
                .map(|(level, time)| {
                    let at = begins(&note, level, time);
                    (Some(at), at, begins(&note, level, time + 1))
                })
                .collect(),
        };
        reader.under_way(&steps, now, |at, value, measure, by| {
            rows.cell(at, value)?.count(measure, by);
            Ok(())
        })?;
        // A chart wants the empty stretches, too.
        if asked.by == Dimension::All {
            for (at, ..) in &steps {
                rows.cell(*at, "")?;
            }
        }
        let row = |((at, value), cell): ((Option<Timestamp>, String), Cell)| {
            let figures = metrics.iter().filter_map(|metric| Some((metric.name, metric.of(&cell)?)));
            Row { at, value, figures: figures.collect(), cell }
        };
        Ok(Report {
            seq: self.status().seq,
            zone: note.rules.zone().to_owned(),
            from: span.from,
            to: span.to,
            by: asked.by,
            metrics: metrics.iter().map(|metric| Column::of(metric)).collect(),
            rows: rows.cells.into_iter().map(row).collect(),
        })
    }

    /// Ended sessions of a tenant.
    ///
    /// # Errors
    /// See [`ReportError`].
    pub fn sessions(&self, tenant: &str, asked: &AskedSessions) -> Result<Sessions, ReportError> {
        let behind = match &asked.metric {
            None => |_: &Session| true,
            Some(name) => known(name)?.sessions.ok_or_else(|| {
                ReportError::Invalid(format!("{name} is not computed from sessions that could be listed"))
            })?,
        };
        let limit = asked.limit.unwrap_or(50);
        if !(1..=MAX_SESSIONS).contains(&limit) {
            return Err(ReportError::Invalid(format!("`limit` is 1 to {MAX_SESSIONS}")));
        }
        let start = match &asked.after {
            None => rollup::session_prefix(tenant, asked.from),
            Some(after) => {
                let wrong = || ReportError::Invalid("`after` is not what a page before gave".to_owned());
                let mut key = unhex(after).ok_or_else(wrong)?;
                if !key.starts_with(&rollup::path(tenant, "")) {
                    return Err(wrong());
                }
                key.push(0);
                key
            }
        };
        let (view, _) = self.open(tenant)?;
        let end = rollup::session_prefix(tenant, asked.to);
        let (mut items, mut next, mut damaged, mut looked_at) = (Vec::new(), None, Ok(()), 0);
        view.scan(SESSIONS, &rollup::path(tenant, ""), &start, |key, value| {
            if key >= end.as_slice() {
                return false;
            }
            looked_at += 1;
            match (rollup::decode_session(value), rollup::conversation_of(key, tenant)) {
                (Ok(session), Some(conversation))
                    if behind(&session) && has(&session, asked.by, asked.value.as_deref()) =>
                {
                    items.push(ShownSession::of(conversation, session));
                }
                (Err(error), _) => damaged = Err(error),
                _ => {}
            }
            if items.len() == limit || looked_at == MAX_LOOKED_AT {
                next = Some(hex(key));
            }
            next.is_none() && damaged.is_ok()
        })?;
        damaged?;
        Ok(Sessions { items, next })
    }
}

fn has(session: &Session, by: Dimension, value: Option<&str>) -> bool {
    let Some(value) = value else { return true };
    match by {
        Dimension::All | Dimension::Entry => true,
        Dimension::Channel => session.channel == value,
        Dimension::Queue => session.queue.as_deref() == Some(value),
        Dimension::Agent => session.agent.as_deref() == Some(value),
        Dimension::Skill => session.skills.iter().any(|skill| skill == value),
        Dimension::Intent => session.intent.as_deref() == Some(value),
    }
}

impl ShownSession {
    fn of(conversation: String, session: Session) -> Self {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let since = session.handed_off_at.or(session.served_at);
        let first_response_s =
            session.agent_replied_at.zip(since).map(|(to, from)| to.millis_since(from) as f64 / 1000.0);
        Self {
            conversation,
            session: session.number,
            channel: session.channel,
            opened_at: session.opened_at,
            closed_at: session.closed_at.unwrap_or(session.opened_at),
            reason: session.reason.unwrap_or_default(),
            queue: session.queue,
            agent: session.agent,
            intent: session.intent,
            questions: session.questions,
            answers: session.answers,
            waited_s: seconds(session.waited_ms),
            first_response_s,
            handled_s: seconds(session.talk_ms + session.hold_ms + session.wrap_up_ms),
            transfers: session.transfers,
            disposition: session.disposition,
            rating: session.rating,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn known(name: &str) -> Result<&'static Metric, ReportError> {
    metric(name)
        .ok_or_else(|| ReportError::Invalid(format!("there is no figure {name:?}: `kefu report metrics` names them")))
}

fn metrics_of(asked: &Asked) -> Result<Vec<&'static Metric>, ReportError> {
    let fits = |metric: &Metric| asked.by == Dimension::All || metric.by.contains(&asked.by);
    match &asked.metrics {
        None => Ok(METRICS.iter().filter(|metric| fits(metric)).collect()),
        Some(names) => {
            let chosen = names.iter().map(|name| {
                let metric = known(name)?;
                if fits(metric) {
                    return Ok(metric);
                }
                let by: Vec<&str> = metric.by.iter().map(|by| by.as_str()).collect();
                let message = format!("{name} cannot be broken down by {}, only by: {}", asked.by, by.join(", "));
                Err(ReportError::Invalid(message))
            });
            chosen.collect()
        }
    }
}

/// The rows of a report, as they are added up.
#[derive(Default)]
struct Rows {
    cells: BTreeMap<(Option<Timestamp>, String), Cell>,
}

impl Rows {
    fn cell(&mut self, at: Option<Timestamp>, value: &str) -> Result<&mut Cell, ReportError> {
        let is_full = self.cells.len() >= MAX_ROWS;
        match self.cells.entry((at, value.to_owned())) {
            Entry::Vacant(_) if is_full => Err(ReportError::Invalid(format!(
                "that would be more than {MAX_ROWS} rows: name one `value`, take longer steps, or ask for a shorter time"
            ))),
            Entry::Vacant(new) => Ok(new.insert(Cell::default())),
            Entry::Occupied(known) => Ok(known.into_mut()),
        }
    }
}

struct Reader<'a> {
    tenant: &'a str,
    view: &'a View,
    by: Dimension,
    value: Option<&'a str>,
}

impl Reader<'_> {
    fn wants(&self, value: &str) -> bool {
        self.value.is_none_or(|wanted| wanted == value)
    }

    fn read(
        &self,
        level: Level,
        range: Range<u32>,
        mut visit: impl FnMut(u32, &str, &Cell) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        if let Some(value) = self.value {
            for time in range {
                let found = self.view.get(CELLS, &cell_key(self.tenant, level, self.by, time, value))?;
                if let Some(cell) = found {
                    visit(time, value, &rollup::decode(&cell)?)?;
                }
            }
            return Ok(());
        }
        let prefix = cell_prefix(self.tenant, level, self.by);
        let start = [&prefix[..], &range.start.to_be_bytes()].concat();
        let mut visited = Ok(());
        self.view.scan(CELLS, &prefix, &start, |key, cell| {
            match parse_cell_key(key, prefix.len()) {
                Some((time, value)) if time < range.end => {
                    let cell = rollup::decode(cell).map_err(ReportError::from);
                    visited = cell.and_then(|cell| visit(time, value, &cell));
                }
                _ => return false,
            }
            visited.is_ok()
        })?;
        visited
    }

    /// The time of agents that has not been counted, since nothing has changed: what of it is in each of these stretches.
    fn under_way(
        &self,
        steps: &[(Option<Timestamp>, Timestamp, Timestamp)],
        now: Timestamp,
        mut visit: impl FnMut(Option<Timestamp>, &str, Count, i64) -> Result<(), ReportError>,
    ) -> Result<(), ReportError> {
        if !matches!(self.by, Dimension::All | Dimension::Agent) {
            return Ok(());
        }
        let prefix = rollup::path(self.tenant, "");
        let mut add = |path: &[u8], state: &[u8]| {
            let Ok(agent) = std::str::from_utf8(&path[prefix.len()..]) else { return Ok(()) };
            let value = if self.by == Dimension::All { "" } else { agent };
            if !self.wants(value) {
                return Ok(());
            }
            let Some(uncounted) = rollup::decode::<AgentFold>(state)?.uncounted(now) else { return Ok(()) };
            for (at, from, to) in steps {
                for (measure, by) in uncounted.within(*from, *to) {
                    visit(*at, value, measure, by)?;
                }
            }
            Ok(())
        };
        let mut added = Ok(());
        self.view.scan(AGENTS, &prefix, &prefix, |path, state| {
            added = add(path, state);
            added.is_ok()
        })?;
        added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_too_many_rows_is_refused_and_not_held_in_memory() {
        let mut rows = Rows::default();
        for entry in 0..MAX_ROWS {
            rows.cell(None, &entry.to_string()).unwrap();
        }
        // What is there already is added to.
        rows.cell(None, "0").unwrap();
        let refused = rows.cell(None, "one more").unwrap_err();
        assert!(matches!(&refused, ReportError::Invalid(message) if message.contains("longer steps")), "{refused}");
        assert_eq!(rows.cells.len(), MAX_ROWS);
    }
}
