//! `kefu faq calibrate`: what each threshold would do.

use super::eval::Files;
use crate::{
    cli::{Session, error::CliError, output::note},
    faq::eval::{
        Outcome,
        thresholds::{self, Threshold},
    },
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Show what each threshold would do: how many questions are answered without a person, how many of these wrongly
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu faq calibrate --entries faq.jsonl --queries questions.jsonl --plot thresholds.svg
  kefu faq export all.jsonl && kefu faq calibrate --entries all.jsonl     on variants taken out of the entries")]
pub struct Calibrate {
    #[command(flatten)]
    files: Files,
    /// Questions, one JSON object per line: {text, faq_id | label, accept?} [default: one variant of each entry, taken out]
    #[arg(long, value_name = "FILE.jsonl")]
    queries: Option<PathBuf>,
    /// Write a picture into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl Calibrate {
    pub(super) fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (model, groups) = self.files.evaluate(self.queries.as_ref())?;
        let outcomes: Vec<Outcome> = groups.into_iter().flat_map(|group| group.outcomes.all).collect();
        let table = thresholds::table(&outcomes);
        if let Some(path) = &self.plot {
            std::fs::write(path, thresholds::svg(&table))
                .map_err(|error| CliError::failure(format!("{}: {error}", path.display())))?;
        }
        if session.out.is_json() {
            return session.out.json(&json!({ "model": model, "n": outcomes.len(), "thresholds": table }));
        }
        let rows: Vec<[String; 5]> = table.iter().map(row).collect();
        session
            .out
            .table(["THRESHOLD", "ANSWERED %", "WRONG OF THESE %", "RIGHT IN FIRST 3 OF THE OTHERS %", ""], &rows)?;
        if self.queries.is_none() {
            note(
                "questions: variants taken out of the entries. All of them are in scope, and customers ask in more ways.",
            );
        }
        Ok(())
    }
}

/// A line with a bar: answered rightly, and wrongly.
fn row(at: &Threshold) -> [String; 5] {
    const BAR: f64 = 40.0;
    let wrong = (at.intercepted * at.wrong * BAR).round() as usize;
    let right = ((at.intercepted * BAR).round() as usize).saturating_sub(wrong);
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    [
        format!("{:.2}", at.threshold),
        percent(at.intercepted),
        percent(at.wrong),
        percent(at.did_you_mean),
        format!("{}{}", "█".repeat(right), "░".repeat(wrong)),
    ]
}
