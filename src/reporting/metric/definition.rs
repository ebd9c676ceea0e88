//! What the definition of a figure consists of, and how a figure is computed by it.

use super::{Cell, Count, Dimension, Session, Timing};
use serde::Serialize;

/// One part of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// A count.
    Of(Count),
    /// How many durations there are.
    Number(Timing),
    /// All durations together, in milliseconds.
    Sum(Timing),
}

/// A sum with factors.
pub type Linear = &'static [(i64, Term)];

/// How a figure is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Formula {
    /// A number of something.
    Total(Linear),
    /// A count, times a scale.
    Scaled(Count, f64),
    /// A sum beside another, times a scale; nothing where the other is 0.
    Ratio(Linear, Linear, f64),
    /// This quantile (0 to 1) of a duration, in seconds.
    Quantile(Timing, f64),
}

/// What a figure is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A number of something.
    Count,
    /// A share, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
    /// A score: of ratings 1 to 5, of the NPS -100 to 100.
    Score,
    /// A mean number of something.
    Mean,
}

/// Whose work a figure tells of. Bot and people are never mixed in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The bot's.
    Bot,
    /// People's.
    People,
    /// The customers' contact with the tenant as a whole.
    All,
}

/// One figure's definition.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name, for programs.
    pub name: &'static str,
    /// Counted up when it begins to mean something else.
    pub version: u16,
    /// Its name, for people.
    pub label: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Whose work it tells of.
    pub whose: Whose,
    /// How it is computed.
    pub formula: Formula,
    /// By what it can be broken down, beside the whole.
    pub by: &'static [Dimension],
    /// What happens at the edges.
    pub edges: &'static str,
    /// The sessions behind it, where they can be listed.
    pub sessions: Option<fn(&Session) -> bool>,
}

impl Metric {
    /// The figure; `None` where there is nothing to tell.
    pub fn of(&self, cell: &Cell) -> Option<f64> {
        match self.formula {
            Formula::Total(sum) => Some(total(sum, cell) as f64),
            Formula::Scaled(count, scale) => Some(cell.counted(count) as f64 * scale),
            Formula::Ratio(over, under, scale) => {
                let under = total(under, cell);
                (under != 0).then(|| total(over, cell) as f64 * scale / under as f64)
            }
            Formula::Quantile(timing, share) => Some(cell.timed(timing)?.sketch.quantile(share)? as f64 / 1000.0),
        }
    }

    /// The formula, for people.
    pub fn formula_text(&self) -> String {
        match self.formula {
            Formula::Total(sum) => text(sum),
            Formula::Scaled(count, scale) => format!("{} × {scale}", count.name()),
            Formula::Ratio(over, under, scale) => {
                let scale = if scale == 1.0 { String::new() } else { format!(" × {scale}") };
                format!("{} / {}{scale}", bracketed(over), bracketed(under))
            }
            Formula::Quantile(timing, share) => format!("p{} of {}", share * 100.0, timing.name()),
        }
    }

    /// The measures that it is computed from: name and meaning.
    pub fn sources(&self) -> Vec<(&'static str, &'static str)> {
        let of_terms = |sum: Linear| {
            sum.iter().map(|(_, term)| match term {
                Term::Of(count) => (count.name(), count.help()),
                Term::Number(timing) | Term::Sum(timing) => (timing.name(), timing.help()),
            })
        };
        let mut sources: Vec<_> = match self.formula {
            Formula::Total(sum) => of_terms(sum).collect(),
            Formula::Scaled(count, _) => vec![(count.name(), count.help())],
            Formula::Ratio(over, under, _) => of_terms(over).chain(of_terms(under)).collect(),
            Formula::Quantile(timing, _) => vec![(timing.name(), timing.help())],
        };
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

fn total(sum: Linear, cell: &Cell) -> i64 {
    let parts = sum.iter().map(|(factor, term)| {
        factor
            * match term {
                Term::Of(count) => cell.counted(*count),
                Term::Number(timing) => cell.timed(*timing).map_or(0, |times| times.count as i64),
                Term::Sum(timing) => cell.timed(*timing).map_or(0, |times| times.sum_ms as i64),
            }
    });
    parts.sum()
}

fn text(sum: Linear) -> String {
    let mut text = String::new();
    for (factor, term) in sum {
        if !text.is_empty() {
            text.push_str(if *factor < 0 { " - " } else { " + " });
        }
        if factor.abs() != 1 {
            text.push_str(&format!("{} × ", factor.abs()));
        }
        text.push_str(&match term {
            Term::Of(count) => count.name().to_owned(),
            Term::Number(timing) => format!("count({})", timing.name()),
            Term::Sum(timing) => format!("sum({})", timing.name()),
        });
    }
    text
}

fn bracketed(sum: Linear) -> String {
    if sum.len() > 1 { format!("({})", text(sum)) } else { text(sum) }
}
