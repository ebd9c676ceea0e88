//! `kefu replay`: the log, as lines of JSON; or what customers wrote, sent again into another kefu ([`into`]).

mod into;
mod traffic;

use super::{
    Session,
    client::Client,
    error::CliError,
    output::{Output, note},
    values::{ConversationArg, Place},
};
use crate::journal::{Journal, JournalError, Recorded};
use clap::Args;
use futures::{Stream, StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use into::IntoArgs;
use kefu_events::{Actor, AggregateKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::{borrow::Cow, io::IsTerminal, pin::Pin};

/// Print the log: one commit per line (or, with --flat, one event), as JSON; or send it again into another kefu
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a commit as it is stored, with its sequence in the log as \"seq\" before it. With --flat each line is one
event: seq, at, tenant, aggregate, key, version, index (of the event in its commit), type, actor, contact, cause,
correlation, and the event's own fields under \"event\".

With --into, what customers sent (messages, edits, that they left) is sent again as new messages, in the same order and
with the same pauses, divided by --speed. What agents did is not: they accept offers, and the other kefu makes others.
Files are not copied. Messages hold what customers wrote: the other kefu must be allowed to have it. With --follow, a
copy of what comes from now on goes there, too.

Examples:
  kefu replay --conversation web:alice
  kefu replay --tenant demo --from 1h --flat | jq -r 'select(.type == \"message_sent\") | .event.content.text'
  kefu replay --follow --flat --aggregate conversation
  kefu replay --from 2026-11-01 --to 2026-12-01 > november.ndjson
  kefu replay --tenant shop --from 2d --to 1d --speed 10x --into trial --into-nats nats://test.example:4222")]
pub struct Replay {
    /// Only of this tenant (with --conversation: demo, unless configured)
    #[arg(long, short, value_name = "TENANT", value_parser = crate::config::units::token)]
    tenant: Option<String>,
    /// Only this conversation: its key, or CHANNEL:THREAD
    #[arg(long, short, value_name = "CONVERSATION", conflicts_with = "aggregate")]
    conversation: Option<ConversationArg>,
    /// Only aggregates of this kind: conversation, contact, agent, faq, settings
    #[arg(long, value_name = "KIND")]
    aggregate: Option<AggregateKind>,
    /// From this commit on, or from this time
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Place>,
    /// Up to this commit (included), or this time
    #[arg(long, value_name = "SEQ|TIME", conflicts_with = "follow")]
    to: Option<Place>,
    /// Go on with what is yet to happen
    #[arg(long, short)]
    follow: bool,
    /// One event per line
    #[arg(long)]
    flat: bool,
    #[command(flatten)]
    into: IntoArgs,
}

type Commits = Pin<Box<dyn Stream<Item = Result<Recorded, JournalError>> + Send>>;

impl Replay {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let from = match self.from {
            Some(place) => place.first_seq(&client.journal).await?,
            None => 1,
        };
        let filter = self.filter(&client);
        // Where nothing is followed, the end is fixed before anything is read: it would run away otherwise.
        let last = match filter.as_deref() {
            _ if self.follow => None,
            Some(filter) => Some(client.journal.last(filter).await?.map_or(0, |commit| commit.seq)),
            None => Some(client.journal.position().await?.last),
        };
        let to = match self.to {
            Some(place) => Some(place.last_seq(&client.journal).await?),
            None => None,
        };
        let end = match (last, to) {
            (Some(last), Some(to)) => Some(last.min(to)),
            (last, to) => last.or(to),
        };
        if end.is_some_and(|end| end < from) {
            if self.into.is_wanted() {
                note("nothing was recorded there");
            }
            return Ok(());
        }
        let commits = self.commits(&client, filter, from).await?;
        if self.into.is_wanted() {
            let progress = Progress::shown(from, end);
            return self.into.run(session, &client, commits, end, &progress).await;
        }
        let progress = Progress::start(from, end);
        self.print(commits, end, &mut session.out, &progress).await?;
        progress.finish();
        Ok(())
    }

    fn filter(&self, client: &Client) -> Option<String> {
        let subjects = client.journal.subjects();
        if let Some(conversation) = &self.conversation {
            let tenant = self.tenant.as_deref().unwrap_or(&client.config.tenant);
            return Some(subjects.events(tenant, AggregateKind::Conversation.as_str(), &conversation.key));
        }
        let aggregate = self.aggregate.or_else(|| self.into.is_wanted().then_some(AggregateKind::Conversation));
        match (self.tenant.as_deref(), aggregate) {
            (None, None) => None,
            (Some(tenant), None) => Some(subjects.events_of_tenant(tenant)),
            (tenant, Some(aggregate)) => Some(subjects.events(tenant.unwrap_or("*"), aggregate.as_str(), "*")),
        }
    }

    async fn commits(&self, client: &Client, filter: Option<String>, from: u64) -> Result<Commits, CliError> {
        let after = from.saturating_sub(1);
        Ok(match filter {
            // A batched read of one subject takes milliseconds, in a log of any size.
            Some(subject) if self.conversation.is_some() && !self.follow => {
                Box::pin(stream::iter(client.journal.history(&subject, after).await?.into_iter().map(Ok)))
            }
            filter => client.journal.tail(after, filter).await?,
        })
    }

    async fn print(
        &self,
        mut commits: Commits,
        end: Option<u64>,
        out: &mut Output,
        progress: &Progress,
    ) -> Result<(), CliError> {
        // What comes in bursts is written in bursts; before each wait, everything is handed over.
        let stop = tokio::signal::ctrl_c();
        tokio::pin!(stop);
        loop {
            let commit = match futures::poll!(commits.next()) {
                std::task::Poll::Ready(commit) => commit,
                std::task::Poll::Pending => {
                    out.flush()?;
                    tokio::select! {
                        commit = commits.next() => commit,
                        _ = &mut stop => break,
                    }
                }
            };
            let Some(commit) = commit else { break };
            let commit = commit?;
            if end.is_some_and(|end| commit.seq > end) {
                break;
            }
            if self.flat {
                flat(&commit, out)?
            } else {
                whole(&commit, out)?
            }
            progress.at(commit.seq);
            if end.is_some_and(|end| commit.seq >= end) {
                break;
            }
        }
        out.flush()
    }
}

/// A commit as it is stored, with its sequence.
fn whole(commit: &Recorded, out: &mut Output) -> Result<(), CliError> {
    match commit.payload.strip_prefix(b"{") {
        Some(rest) => out.raw_line(&[b"{\"seq\":", commit.seq.to_string().as_bytes(), b",", rest]),
        None => Err(damaged(commit, "it is no JSON object")),
    }
}

#[derive(Deserialize)]
struct Stored<'a> {
    commit_id: Cow<'a, str>,
    tenant: Cow<'a, str>,
    aggregate: AggregateKind,
    key: Cow<'a, str>,
    version: u64,
    at: Timestamp,
    actor: Actor,
    contact: Option<Cow<'a, str>>,
    cause: Cow<'a, str>,
    correlation: Cow<'a, str>,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct TypeOnly<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
}

#[derive(Serialize)]
struct Flat<'a> {
    seq: u64,
    at: Timestamp,
    tenant: &'a str,
    aggregate: AggregateKind,
    key: &'a str,
    version: u64,
    index: usize,
    #[serde(rename = "type")]
    event_type: &'a str,
    actor: &'a Actor,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<&'a str>,
    commit_id: &'a str,
    cause: &'a str,
    correlation: &'a str,
    event: &'a RawValue,
}

/// Each event of a commit.
fn flat(commit: &Recorded, out: &mut Output) -> Result<(), CliError> {
    let stored: Stored = serde_json::from_slice(&commit.payload).map_err(|error| damaged(commit, error))?;
    for (index, event) in stored.events.iter().enumerate() {
        let TypeOnly { event_type } = serde_json::from_str(event.get()).map_err(|error| damaged(commit, error))?;
        out.json_line(&Flat {
            seq: commit.seq,
            at: stored.at,
            tenant: &stored.tenant,
            aggregate: stored.aggregate,
            key: &stored.key,
            version: stored.version,
            index,
            event_type: &event_type,
            actor: &stored.actor,
            contact: stored.contact.as_deref(),
            commit_id: &stored.commit_id,
            cause: &stored.cause,
            correlation: &stored.correlation,
            event,
        })?;
    }
    Ok(())
}

fn damaged(commit: &Recorded, why: impl std::fmt::Display) -> CliError {
    CliError::failure(format!("the commit {} on {} cannot be read: {why}", commit.seq, commit.subject))
}

/// How far it is, for a person who waits; silent where nobody looks.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Silent also where the lines themselves scroll by.
    fn start(from: u64, end: Option<u64>) -> Self {
        Self::shown(from, end.filter(|_| !std::io::stdout().is_terminal()))
    }

    /// Up to this commit.
    pub(super) fn shown(from: u64, end: Option<u64>) -> Self {
        let Some(end) = end.filter(|_| std::io::stderr().is_terminal()) else { return Self(None) };
        let bar = ProgressBar::with_draw_target(Some(end), ProgressDrawTarget::stderr());
        bar.set_position(from);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} commit {pos} of {len}  {per_sec}  {eta} left") {
            bar.set_style(style);
        }
        Self(Some(bar))
    }

    pub(super) fn at(&self, seq: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(seq);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            self.clear();
            note(format!("up to commit {}", bar.position()));
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
