//! `kefu faq import` and `kefu faq export`.

use super::{Change, about};
use crate::{
    cli::{
        Session, TenantArg,
        client::Client,
        diff::{diff, lines},
        error::CliError,
        output::{Style, note, plain},
    },
    faq::files::{self, FileError, Format, Row},
};
use clap::Args;
use futures::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kefu_events::{
    V,
    faq::{EntryContent, FaqCommand},
    query::name,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    path::PathBuf,
};

/// Commands that are under way at once: enough to keep the engine busy, and far below what one owner holds unacked.
const UNDER_WAY: usize = 64;

/// Take the entries of a file in; what they say already is left alone
#[derive(Debug, Args)]
#[command(after_help = "\
JSONL: one object per line with id, question, similar, answer, … CSV and XLSX: a heading row with the columns id, question,
similar (one per line of the cell), answer, answer.<channel>, variables (name=value per line), language, category,
audience, valid_from, valid_until; 问题, 相似问, 答案, 分类, … are understood. A row without an id gets one of its question.
A file with a wrong row is not used at all. The same file again changes nothing.

Examples:
  kefu faq import faq.xlsx --dry-run
  kefu faq import faq.csv --approve
  kefu faq import all.jsonl --retire-missing --approve      the file says all there is")]
pub struct Import {
    /// The file: *.jsonl, *.csv or *.xlsx
    file: PathBuf,
    /// What it is, where its name does not say it
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Let what the file says answer at once
    #[arg(long)]
    approve: bool,
    /// Retire entries that the file does not have
    #[arg(long)]
    retire_missing: bool,
    /// Why
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// Write all entries into a file
#[derive(Debug, Args)]
pub struct Export {
    /// The file: *.jsonl, *.csv or *.xlsx
    file: PathBuf,
    #[command(flatten)]
    tenant: TenantArg,
    /// What it is to be, where its name does not say it
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Retired entries as well
    #[arg(long)]
    retired: bool,
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        match &error {
            FileError::Io(_) => Self::failure(error.to_string()),
            FileError::Format(_) => Self::usage(error.to_string()).hint("say what it is with --format"),
            FileError::Broken { .. } | FileError::Rows(_) => {
                Self { code: "invalid_file".to_owned(), ..Self::usage(error.to_string()) }
            }
        }
    }
}

/// An entry as the engine knows it.
#[derive(Deserialize)]
struct Known {
    id: String,
    status: String,
    entry_version: u64,
    approved: Option<u64>,
    content: Option<EntryContent>,
}

async fn known(client: &Client, tenant: &str) -> Result<BTreeMap<String, Known>, CliError> {
    let found = client.pages(tenant, name::ENTRIES, json!({ "content": true }), files::MAX_ROWS).await?;
    let read = |value| {
        let known: Known = serde_json::from_value(value)?;
        Ok((known.id.clone(), known))
    };
    found.into_iter().map(read).collect()
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    added: Vec<Row>,
    changed: Vec<Row>,
    /// Say it already, and are to answer.
    approved: Vec<String>,
    retired: Vec<String>,
    same: usize,
}

impl Plan {
    fn new(rows: Vec<Row>, known: &BTreeMap<String, Known>, approve: bool, retire_missing: bool) -> Self {
        let mut plan = Self::default();
        let named: BTreeSet<&String> = rows.iter().map(|row| &row.id).collect();
        if retire_missing {
            let missing = known.values().filter(|known| known.status != "retired" && !named.contains(&known.id));
            plan.retired = missing.map(|known| known.id.clone()).collect();
        }
        for row in rows {
            match known.get(&row.id) {
                None => plan.added.push(row),
                Some(known) if known.content.as_ref() != Some(&row.content) || known.status == "retired" => {
                    plan.changed.push(row);
                }
                Some(known) if approve && known.approved != Some(known.entry_version) => plan.approved.push(row.id),
                Some(_) => plan.same += 1,
            }
        }
        plan
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let format = Format::named(self.format.as_deref().unwrap_or(&self.file.to_string_lossy()))?;
        let rows = files::read(&self.file, format).map_err(|error| match error {
            FileError::Io(error) => CliError::failure(format!("{}: {error}", self.file.display())),
            error => error.into(),
        })?;
        let client = session.connect().await?;
        let tenant = self.change.tenant.of(&client.config);
        let known = known(&client, &tenant).await?;
        let plan = Plan::new(rows, &known, self.approve, self.retire_missing);
        if self.dry_run {
            self.show(session, &plan, &known)?;
        } else {
            self.carry_out(&client, &plan).await?;
        }
        let Plan { added, changed, approved, retired, same } = &plan;
        let counts = json!({
            "dry_run": self.dry_run,
            "added": added.len(),
            "changed": changed.len(),
            "approved": approved.len(),
            "retired": retired.len(),
            "unchanged": same,
        });
        let would = if self.dry_run { "would be " } else { "" };
        session.out.result(&counts, || {
            format!(
                "{would}added: {}, changed: {}, approved as they are: {}, retired: {}; unchanged: {same}",
                added.len(),
                changed.len(),
                approved.len(),
                retired.len()
            )
        })
    }

    fn show(&self, session: &mut Session, plan: &Plan, known: &BTreeMap<String, Known>) -> Result<(), CliError> {
        if session.out.is_json() {
            return Ok(());
        }
        for row in &plan.added {
            let line = format!("+ {}  {}", row.id, plain(&row.content.question));
            let line = session.out.styled(Style::Green, line);
            session.out.line(line)?;
        }
        for row in &plan.changed {
            session.out.line(format!("~ {}", row.id))?;
            let before = known.get(&row.id).and_then(|known| known.content.as_ref());
            let changes = diff(&serde_json::to_value(before)?, &serde_json::to_value(&row.content)?);
            for line in lines(&changes).lines() {
                session.out.line(format!("    {}", plain(line)))?;
            }
        }
        for id in &plan.retired {
            let line = session.out.styled(Style::Red, format!("- {id}"));
            session.out.line(line)?;
        }
        Ok(())
    }

    /// Sends what is to be done. What was done before a failure stays, and the import can be run again.
    async fn carry_out(&self, client: &Client, plan: &Plan) -> Result<(), CliError> {
        let drafts = plan.added.iter().chain(&plan.changed);
        let drafts = drafts.map(|row| (&row.id, Some(&row.content), false));
        let approvals = plan.approved.iter().map(|id| (id, None, false));
        let retirements = plan.retired.iter().map(|id| (id, None, true));
        let work: Vec<_> = drafts.chain(approvals).chain(retirements).collect();
        let bar = progress(work.len());
        let done = futures::stream::iter(work)
            .map(|(id, content, retire)| {
                let bar = &bar;
                async move {
                    let done = self.one(client, id, content, retire).await;
                    bar.inc(1);
                    done.map_err(|error| about(id, error))
                }
            })
            .buffer_unordered(UNDER_WAY)
            .try_collect::<Vec<()>>()
            .await;
        bar.finish_and_clear();
        if done.is_err() {
            note("not all was done; run it again when the reason is mended: what was done is left alone");
        }
        done.map(drop)
    }

    async fn one(
        &self,
        client: &Client,
        id: &str,
        content: Option<&EntryContent>,
        retire: bool,
    ) -> Result<(), CliError> {
        // Somebody else may have done the same in the meantime.
        let unchanged = |result: Result<_, CliError>| match result {
            Err(error) if error.code != "unchanged" => Err(error),
            _ => Ok(()),
        };
        if retire {
            let reason = Some(self.comment.clone().unwrap_or_else(|| "not in the imported file".to_owned()));
            return unchanged(self.change.ask(client, id, FaqCommand::Retire { v: V, reason }).await);
        }
        if let Some(content) = content {
            let comment = self.comment.clone();
            let draft = FaqCommand::Draft { v: V, content: content.clone(), comment };
            unchanged(self.change.ask(client, id, draft).await)?;
        }
        if self.approve {
            let approve = FaqCommand::Approve { v: V, entry_version: None };
            unchanged(self.change.ask(client, id, approve).await)?;
        }
        Ok(())
    }
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let format = Format::named(self.format.as_deref().unwrap_or(&self.file.to_string_lossy()))?;
        let client = session.connect().await?;
        let known = known(&client, &self.tenant.of(&client.config)).await?;
        let wanted = known.into_values().filter(|known| self.retired || known.status != "retired");
        let rows: Vec<Row> = wanted
            .enumerate()
            .filter_map(|(index, known)| Some(Row { row: index + 1, id: known.id, content: known.content? }))
            .collect();
        files::write(&self.file, format, &rows)?;
        let file = self.file.display().to_string();
        let value = json!({ "entries": rows.len(), "file": file });
        session.out.result(&value, || format!("{} entries written to {file}", rows.len()))
    }
}

fn progress(work: usize) -> ProgressBar {
    // Not for a handful, and not where nobody looks.
    if work < 100 || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(work as u64), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} entry {pos} of {len}  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar
}
