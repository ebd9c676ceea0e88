//! `kefu export`: the log as Parquet files, for analysts.
//!
//! One pass over the log makes all tables. Files are written under `<table>/tenant=<tenant>/day=<day>/part-<first commit>.parquet`,
//! and become part of the export together with the note that says how far it is: what was cut off is made again.

mod parquet;
mod personal;
mod rows;

use self::{
    parquet::{Part, clear},
    rows::{Memory, Rows, Table},
};
use super::{
    Session,
    client::Client,
    error::{CliError, Exit},
    output::note,
    replay::Progress,
    values::Place,
};
use crate::{
    journal::{Journal, LogPosition, Recorded},
    runtime::projector::compare,
    store::{Checkpoint, commit_id_of},
};
use ::parquet::errors::ParquetError;
use chrono::NaiveDate;
use clap::Args;
use futures::StreamExt;
use kefu_events::{AggregateKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

/// The note that says how far an export is.
const NOTE: &str = "export.json";
/// Held by the export that writes into the directory.
const LOCK: &str = "export.lock";
/// Commits of a portion: what is made again after it was cut off, at most.
const PORTION: usize = 250_000;
/// Files that are written at a time, at most: each holds a row group in memory.
const MAX_OPEN: usize = 256;

/// Write the log as Parquet files: events, sessions, messages, assignments, answers
#[derive(Debug, Args)]
#[command(after_help = "\
Each run goes on where the one before ended (--from begins a new export, into an empty directory). It can be cut off at any
time. What tells of a person is left out unless --personal is given; `--columns` says what each column is.

A row of `sessions` or `answers` is written again when something changes later, such as a rating: take the one with the highest
seq. Example queries for DuckDB are in scripts/analysis.

Examples:
  kefu export --to lake
  kefu export --to november --from 2026-11-01 --until 2026-12-01
  duckdb -c \"select type, count(*) from 'lake/events/**/*.parquet' group by all order by 2 desc\"")]
pub(super) struct Export {
    /// The directory
    #[arg(long, value_name = "DIR", required_unless_present = "columns")]
    to: Option<PathBuf>,
    /// From this commit on, or from this time
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Place>,
    /// Up to this commit (included), or this time
    #[arg(long, value_name = "SEQ|TIME")]
    until: Option<Place>,
    /// Only of this tenant
    #[arg(long, short, value_name = "TENANT", value_parser = crate::config::units::token)]
    tenant: Option<String>,
    /// Only what came since the export before; fails where there was none
    #[arg(long, conflicts_with = "from")]
    since_last: bool,
    /// With what tells of persons: names, texts, addresses
    #[arg(long)]
    personal: bool,
    /// Say what each column is, and end
    #[arg(long)]
    columns: bool,
}

/// How far an export is, and what it goes on with.
#[derive(Serialize, Deserialize)]
struct Note {
    /// The log's name.
    identity: String,
    /// The last commit that is in the files.
    seq: u64,
    /// Its id: a log that lost its end and grew again has another one there.
    commit_id: String,
    tenant: Option<String>,
    personal: bool,
    memory: Memory,
}

/// What was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize)]
struct Written {
    commits: u64,
    /// Messages of the log that are no commits.
    passed_over: u64,
    rows: u64,
    files: u64,
    bytes: u64,
    /// Bytes of the commits as they are in the log, as JSON.
    json_bytes: u64,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if self.columns {
            return columns(session);
        }
        let Some(to) = &self.to else { return Err(CliError::usage("--to is needed")) };
        let client = session.connect().await?;
        let _lock = lock(to)?;
        let log = client.journal.position().await?;
        let noted = self.noted(to)?;
        if let Some(noted) = &noted {
            of_this_log(&client.journal, &log, noted, to).await?;
        }
        let (mut at, mut rows) = self.begin(to, noted)?;
        if let (Some(from), 0) = (self.from, at) {
            at = from.first_seq(&client.journal).await?.saturating_sub(1);
            self.read_before(&client, at, &mut rows).await?;
        }
        let mut end = log.last;
        if let Some(until) = self.until {
            end = end.min(until.last_seq(&client.journal).await?);
        }
        let filter = self.tenant.as_deref().map(|tenant| client.journal.subjects().events_of_tenant(tenant));
        if let Some(filter) = &filter {
            end = end.min(client.journal.last(filter).await?.map_or(0, |commit| commit.seq));
        }
        let (started, mut written) = (Instant::now(), Written::default());
        let progress = Progress::shown(at, (end > at).then_some(end));
        let mut commits = if end > at { Some(client.journal.tail(at, filter).await?) } else { None };
        let mut portion = Portion::new(to);
        while let Some(commit) = match &mut commits {
            Some(commits) if at < end => commits.next().await,
            _ => None,
        } {
            let commit = commit?;
            if commit.seq > end {
                break;
            }
            at = commit.seq;
            match rows.of(commit.seq, &commit.subject, &commit.payload) {
                Ok(made) => {
                    for row in made {
                        portion.add(commit.seq, row).map_err(|error| disk(to, &error))?;
                        written.rows += 1;
                    }
                    written.commits += 1;
                    written.json_bytes += commit.payload.len() as u64;
                }
                Err(error) => {
                    written.passed_over += 1;
                    pass_over(&commit, &error);
                }
            }
            progress.at(at);
            if portion.commits(commit.seq) >= PORTION {
                let checkpoint = checkpoint(&log, at, &commit.payload);
                portion = self.close(portion, to, checkpoint, &mut rows, &mut written)?;
            }
        }
        let last = client.journal.read(at.max(end)).await?.map_or_else(Default::default, |last| last.payload);
        self.close(portion, to, checkpoint(&log, at.max(end), &last), &mut rows, &mut written)?;
        progress.clear();
        let seconds = started.elapsed().as_secs_f64();
        let result = json!({
            "to": to, "seq": at.max(end), "commits": written.commits, "rows": written.rows, "files": written.files,
            "bytes": written.bytes, "json_bytes": written.json_bytes, "passed_over": written.passed_over, "seconds": seconds,
        });
        session.out.result(&result, || {
            let Written { commits, rows, files, bytes, json_bytes, .. } = written;
            let share = if json_bytes > 0 { bytes as f64 / json_bytes as f64 * 100.0 } else { 0.0 };
            format!(
                "{commits} commits, {rows} rows, {files} files, {:.1} MB ({share:.0} % of the JSON), {seconds:.1} s; up to commit {}",
                bytes as f64 / 1e6,
                at.max(end)
            )
        })
    }

    /// What stands beside the files of the export before, if there is one.
    fn noted(&self, to: &Path) -> Result<Option<Note>, CliError> {
        match fs::read(to.join(NOTE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                CliError::failure(format!("{}: {error}: export into another directory", to.join(NOTE).display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(to, &error)),
        }
    }

    /// Where to go on, and with what.
    fn begin(&self, to: &Path, noted: Option<Note>) -> Result<(u64, Rows), CliError> {
        let io = |error: io::Error| failed(to, &error);
        let Some(noted) = noted else {
            if self.since_last {
                return Err(CliError::usage(format!("there is no export in {} to go on with", to.display())));
            }
            clear(to, 0).map_err(io)?;
            return Ok((0, Rows::new(Memory::default(), self.personal)));
        };
        if self.from.is_some() {
            return Err(CliError::usage(format!(
                "there is an export in {}: --from needs an empty directory",
                to.display()
            )));
        }
        if noted.tenant != self.tenant || noted.personal != self.personal {
            return Err(CliError::usage("the export was made with another --tenant or --personal: give the same"));
        }
        clear(to, noted.seq).map_err(io)?;
        Ok((noted.seq, Rows::new(noted.memory, self.personal)))
    }

    /// Takes in what commits before an export that begins in the middle say of settings and of entries, which its rows depend on.
    async fn read_before(&self, client: &Client, until: u64, rows: &mut Rows) -> Result<(), CliError> {
        let tenant = self.tenant.as_deref().unwrap_or("*");
        for kind in [AggregateKind::Settings, AggregateKind::Faq] {
            let filter = client.journal.subjects().events(tenant, kind.as_str(), "*");
            let last = client.journal.last(&filter).await?.map_or(0, |last| last.seq).min(until);
            if last == 0 {
                continue;
            }
            let mut commits = client.journal.tail(0, Some(filter)).await?;
            while let Some(commit) = commits.next().await.transpose()? {
                if commit.seq > until {
                    break;
                }
                // What has no place in the export is not noted either.
                let _ = rows.of(commit.seq, &commit.subject, &commit.payload);
                if commit.seq >= last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes a portion's files part of the export.
    fn close(
        &self,
        portion: Portion,
        to: &Path,
        checkpoint: Checkpoint,
        rows: &mut Rows,
        written: &mut Written,
    ) -> Result<Portion, CliError> {
        let (files, bytes) = portion.finish().map_err(|error| disk(to, &error))?;
        written.files += files;
        written.bytes += bytes;
        rows.forget();
        let memory = std::mem::take(&mut rows.memory);
        let Checkpoint { identity, seq, commit_id } = checkpoint;
        let noted = Note { identity, seq, commit_id, tenant: self.tenant.clone(), personal: self.personal, memory };
        let new = to.join("export.unfinished");
        let io = |error: io::Error| failed(to, &error);
        fs::write(&new, serde_json::to_vec(&noted)?).map_err(io)?;
        fs::rename(&new, to.join(NOTE)).map_err(io)?;
        rows.memory = noted.memory;
        Ok(Portion::new(to))
    }
}

/// Takes the directory, which is made, for as long as what comes back lives: two that write at once would delete each other's files.
fn lock(to: &Path) -> Result<File, CliError> {
    fs::create_dir_all(to).map_err(|error| failed(to, &error))?;
    let path = to.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| failed(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("another export is writing into {}", to.display());
            Err(CliError::new(Exit::Failure, "export_under_way", message)
                .hint("wait until it has ended, or export into another directory"))
        }
        Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
    }
}

/// Whether the log has what the export before read of it.
async fn of_this_log<J: Journal>(journal: &J, log: &LogPosition, noted: &Note, to: &Path) -> Result<(), CliError> {
    let Note { identity, seq, commit_id, .. } = noted;
    let checkpoint = Checkpoint { identity: identity.clone(), seq: *seq, commit_id: commit_id.clone() };
    // Of a log without any commit only the name is known.
    if *seq == 0 && *identity == log.identity {
        return Ok(());
    }
    match compare(journal, log, &checkpoint).await? {
        None => Ok(()),
        Some(reason) => {
            Err(CliError::failure(format!("the export in {} does not match the log: {reason}", to.display()))
                .hint("the log went back, or is another: export anew, into another directory"))
        }
    }
}

fn checkpoint(log: &LogPosition, seq: u64, payload: &[u8]) -> Checkpoint {
    Checkpoint { identity: log.identity.clone(), seq, commit_id: commit_id_of(payload) }
}

fn pass_over(message: &Recorded, error: &rows::NoCommit) {
    note(format!("the message {} on {} is no commit, and is passed over: {error}", message.seq, message.subject));
}

fn failed(path: &Path, error: &io::Error) -> CliError {
    CliError::failure(format!("{}: {error}", path.display()))
}

fn disk(to: &Path, error: &ParquetError) -> CliError {
    CliError::failure(format!("{}: {error}", to.display()))
}

/// The files that are being written.
struct Portion {
    to: PathBuf,
    first: Option<u64>,
    parts: BTreeMap<(Table, String, NaiveDate), Part>,
    files: u64,
    bytes: u64,
}

impl Portion {
    fn new(to: &Path) -> Self {
        Self { to: to.to_owned(), first: None, parts: BTreeMap::new(), files: 0, bytes: 0 }
    }

    fn commits(&self, seq: u64) -> usize {
        self.first.map_or(0, |first| usize::try_from(seq - first + 1).unwrap_or(usize::MAX))
    }

    fn add(&mut self, seq: u64, row: rows::Row) -> Result<(), ParquetError> {
        self.first.get_or_insert(seq);
        let day = Timestamp::to_datetime(row.at).date_naive();
        let place = (row.table, row.tenant, day);
        if !self.parts.contains_key(&place) {
            // An export of years goes day by day: the earliest is done.
            if self.parts.len() == MAX_OPEN
                && let Some(earliest) = self.parts.keys().min_by_key(|(_, _, day)| *day).cloned()
                && let Some(part) = self.parts.remove(&earliest)
            {
                self.bytes += part.finish()?;
                self.files += 1;
            }
            let folder = self.to.join(place.0.name()).join(format!("tenant={}", place.1)).join(format!("day={day}"));
            let path = folder.join(format!("part-{seq:016}.parquet"));
            self.parts.insert(place.clone(), Part::create(&path, place.0.columns())?);
        }
        match self.parts.get_mut(&place) {
            Some(part) => part.add(row.cells),
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<(u64, u64), ParquetError> {
        let (mut files, mut bytes) = (self.files, self.bytes);
        for part in self.parts.into_values() {
            bytes += part.finish()?;
            files += 1;
        }
        Ok((files, bytes))
    }
}

fn columns(session: &mut Session) -> Result<(), CliError> {
    let all = Table::ALL.into_iter().flat_map(|table| table.columns().iter().map(move |column| (table, column)));
    if session.out.is_json() {
        return all.into_iter().try_for_each(|(table, column)| {
            session.out.json_line(&json!({
                "table": table.name(), "column": column.name, "type": format!("{:?}", column.shape).to_lowercase(),
                "personal": column.personal, "help": column.help,
            }))
        });
    }
    note("every table also has `tenant` and `day` (UTC), out of the files' path");
    let rows: Vec<[String; 4]> = all
        .map(|(table, column)| {
            let help = if column.personal {
                format!("{} (with --personal only)", column.help)
            } else {
                column.help.to_owned()
            };
            [table.name().to_owned(), column.name.to_owned(), format!("{:?}", column.shape).to_lowercase(), help]
        })
        .collect();
    session.out.table(["TABLE", "COLUMN", "TYPE", "WHAT"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{journal::memory::MemoryJournal, store::tests::traffic::traffic};

    #[test]
    fn two_exports_into_one_directory_do_not_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let lake = dir.path().join("lake");
        let held = lock(&lake).unwrap();
        let refused = lock(&lake).unwrap_err();
        assert_eq!((refused.exit, refused.code.as_str()), (Exit::Failure, "export_under_way"));
        assert!(refused.message.contains("another export is writing"), "{refused}");
        drop(held);
        lock(&lake).unwrap();
    }

    #[tokio::test]
    async fn a_log_that_lost_its_end_and_grew_again_is_not_gone_on_with() {
        let journal = MemoryJournal::default();
        for (at, (subject, payload)) in traffic(2, 2).into_iter().enumerate() {
            let expected = journal.core(|core| core.last(&subject).unwrap().map_or(0, |last| last.seq));
            assert_eq!(journal.append(&subject, expected, payload.into()).await.unwrap(), at as u64 + 1);
        }
        let log = journal.position().await.unwrap();
        let note = |seq: u64, commit_id: &str, identity: &str| Note {
            identity: identity.to_owned(),
            seq,
            commit_id: commit_id.to_owned(),
            tenant: None,
            personal: false,
            memory: Memory::default(),
        };
        let payload = journal.read(3).await.unwrap().unwrap().payload;
        let known = checkpoint(&log, 3, &payload).commit_id;
        for (noted, is_right) in [
            (note(3, &known, &log.identity), true),
            (note(0, "", &log.identity), true),
            (note(3, "of-another-time", &log.identity), false),
            (note(log.last + 1, &known, &log.identity), false),
            (note(3, &known, "another"), false),
            (note(0, "", "another"), false),
        ] {
            let found = of_this_log(&journal, &log, &noted, Path::new("lake")).await;
            assert_eq!(found.is_ok(), is_right, "{} {} {found:?}", noted.seq, noted.commit_id);
        }
    }
}
