//! `kefu faq`: the knowledge base.

mod calibrate;
mod eval;
mod files;
mod show;

use super::{
    Session, TenantArg,
    client::{Ask, Client, operator},
    error::{CliError, Exit},
    settings, values,
};
use crate::config::units;
use clap::{Args, Subcommand, ValueEnum};
use kefu_events::{
    Actor, AggregateKind, CommandResult, V,
    faq::{EntryContent, FaqCommand, Feedback},
    query::name,
};
use serde_json::{Map, Value, json};
use std::{path::PathBuf, time::Duration};

/// The knowledge base: questions with their answers, from draft to approval
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kefu faq import faq.xlsx --dry-run              what would change
  kefu faq import faq.xlsx --approve
  kefu faq add returns --question \"Can I return it?\" --similar \"send it back?\" --answer \"Within 14 days.\"
  kefu faq approve returns
  kefu faq list --waiting                         what waits for approval
  kefu faq search 退货 --status draft
  kefu faq history returns
  kefu faq ask \"can I send it back?\"
  kefu faq export all.jsonl")]
pub enum Faq {
    /// Write an entry, or change what it says; it answers once it is approved
    Add(Add),
    /// List entries
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those with this status: draft, approved, retired
        #[arg(long, group = "filter")]
        status: Option<String>,
        /// Only those with a version that waits for approval
        #[arg(long, group = "filter")]
        waiting: bool,
        /// Only those of this category
        #[arg(long, group = "filter")]
        category: Option<String>,
        /// Only those in this language
        #[arg(long, group = "filter")]
        language: Option<String>,
        /// Not more than this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Find entries by what they say, drafts and retired ones as well: all words, or parts of words
    Search {
        /// What is looked for
        #[arg(required = true)]
        text: Vec<String>,
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those with this status: draft, approved, retired
        #[arg(long)]
        status: Option<String>,
        /// Only those with a version that waits for approval
        #[arg(long)]
        waiting: bool,
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// Only those in this language
        #[arg(long)]
        language: Option<String>,
        /// Not more than this many, at most 500
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show an entry: what it says, what people made of it
    Show {
        /// The entry's id
        entry: String,
        #[command(flatten)]
        tenant: TenantArg,
        /// As it was in this version
        #[arg(long, value_name = "VERSION")]
        version: Option<u64>,
    },
    /// List the versions of an entry, with what changed
    History {
        /// The entry's id
        entry: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Let the newest version of an entry answer
    Approve {
        /// The entries' ids
        #[arg(required = true)]
        entries: Vec<String>,
        /// Only if this is the newest version, for one entry
        #[arg(long, value_name = "VERSION")]
        version: Option<u64>,
        #[command(flatten)]
        change: Change,
    },
    /// Let entries answer no longer
    Retire {
        /// The entries' ids
        #[arg(required = true)]
        entries: Vec<String>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Make what an entry said in an earlier version its newest draft
    Rollback {
        /// The entry's id
        entry: String,
        /// The version, from `kefu faq history`
        to: u64,
        /// Why
        #[arg(long)]
        comment: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Say what became of an entry's answer
    Feedback {
        /// The entry's id
        entry: String,
        /// What somebody made of it
        feedback: FeedbackArg,
        /// Key of the conversation
        #[arg(long)]
        conversation: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Ask as a customer would; nothing is sent to anybody
    Ask(show::Ask),
    /// Take the entries of a file in; what they say already is left alone
    Import(files::Import),
    /// Write all entries into a file
    Export(files::Export),
    Eval(eval::Eval),
    Calibrate(calibrate::Calibrate),
}

/// `kefu faq add`.
#[derive(Debug, Args)]
pub struct Add {
    /// The entry's id: 1 to 64 of A-Z, a-z, 0-9, _ and -
    #[arg(value_parser = units::token)]
    entry: String,
    /// The question in its ordinary form
    #[arg(long, required_unless_present = "file")]
    question: Option<String>,
    /// Another way of asking it; can be repeated
    #[arg(long)]
    similar: Vec<String>,
    /// The answer; {name} stands for a variable
    #[arg(long, required_unless_present = "file")]
    answer: Option<String>,
    /// The answer in the form that a channel wants; can be repeated
    #[arg(long = "answer-on", value_name = "CHANNEL=TEXT", value_parser = values::pair)]
    channel_answers: Vec<(String, String)>,
    /// What stands for a variable; can be repeated
    #[arg(long = "variable", value_name = "NAME=TEXT", value_parser = values::pair)]
    variables: Vec<(String, String)>,
    /// Its language, such as en or zh-CN
    #[arg(long)]
    language: Option<String>,
    /// Where it belongs
    #[arg(long)]
    category: Option<String>,
    /// All of it as JSON; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["question", "answer"])]
    file: Option<PathBuf>,
    /// Why
    #[arg(long)]
    comment: Option<String>,
    /// Let it answer at once
    #[arg(long)]
    approve: bool,
    #[command(flatten)]
    change: Change,
}

/// What goes with a change.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    tenant: TenantArg,
    /// Who does it: agent:ID or system:ID [default: system:operator]
    #[arg(long = "as", value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// How long to wait for the result
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

/// What somebody made of an answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum FeedbackArg {
    /// An agent sent it as it is
    Adopted,
    /// An agent sent it with changes
    Edited,
    /// An agent did not want it
    Rejected,
    /// It helped a customer
    Helpful,
    /// It did not
    Unhelpful,
}

impl From<FeedbackArg> for Feedback {
    fn from(feedback: FeedbackArg) -> Self {
        match feedback {
            FeedbackArg::Adopted => Self::Adopted,
            FeedbackArg::Edited => Self::Edited,
            FeedbackArg::Rejected => Self::Rejected,
            FeedbackArg::Helpful => Self::Helpful,
            FeedbackArg::Unhelpful => Self::Unhelpful,
        }
    }
}

impl Change {
    /// Sends one command to one entry.
    async fn ask(&self, client: &Client, entry: &str, body: FaqCommand) -> Result<CommandResult, CliError> {
        let ask = Ask {
            tenant: &self.tenant.of(&client.config),
            aggregate: AggregateKind::Faq,
            key: entry,
            actor: self.actor.clone().unwrap_or_else(operator),
            id: None,
            expected_version: None,
            body,
        };
        client.command(ask, self.timeout).await
    }

    /// The same to several, one after the other; the first failure ends it.
    async fn ask_all(
        &self,
        session: &mut Session,
        entries: &[String],
        body: impl Fn() -> FaqCommand,
    ) -> Result<(), CliError> {
        let client = session.connect().await?;
        for entry in entries {
            let result = self.ask(&client, entry, body()).await.map_err(|error| about(entry, error))?;
            let value = json!({ "entry": entry, "ok": true, "version": result.version, "seq": result.seq });
            let line = format!("done: {entry}, version {}", result.version.unwrap_or_default());
            session.out.result(&value, || line)?;
        }
        Ok(())
    }
}

/// The same error, with the entry that it is about.
fn about(entry: &str, error: CliError) -> CliError {
    CliError { message: format!("{entry}: {}", error.message), ..error }
}

impl Faq {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::List { tenant, status, waiting, category, language, limit } => {
                let client = session.connect().await?;
                let tenant = tenant.of(&client.config);
                let asked = [("status", status), ("category", category), ("language", language)];
                let asked = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
                let mut parameters = Value::Object(asked.collect::<Map<_, _>>());
                parameters["waiting"] = waiting.into();
                let found = client.pages(&tenant, name::ENTRIES, parameters, limit).await?;
                show::list(session, &found)
            }
            Self::Search { text, tenant, status, waiting, category, language, limit } => {
                let client = session.connect().await?;
                let tenant = tenant.of(&client.config);
                let asked = json!({ "text": text.join(" "), "status": status, "waiting": waiting, "category": category,
                    "language": language, "limit": limit });
                let found = client.query(&tenant, name::SEARCH_ENTRIES, &asked).await?;
                show::hits(session, &found)
            }
            Self::Show { entry, tenant, version } => {
                let client = session.connect().await?;
                let found = find(&client, &tenant.of(&client.config), &entry).await?;
                show::entry(session, &found, version)
            }
            Self::History { entry, tenant } => {
                let client = session.connect().await?;
                let found = find(&client, &tenant.of(&client.config), &entry).await?;
                show::history(session, &found)
            }
            Self::Approve { entries, version, change } => {
                if version.is_some() && entries.len() > 1 {
                    return Err(CliError::usage("--version is for one entry"));
                }
                change.ask_all(session, &entries, || FaqCommand::Approve { v: V, entry_version: version }).await
            }
            Self::Retire { entries, reason, change } => {
                change.ask_all(session, &entries, || FaqCommand::Retire { v: V, reason: reason.clone() }).await
            }
            Self::Rollback { entry, to, comment, change } => {
                change.ask_all(session, &[entry], || FaqCommand::Rollback { v: V, to, comment: comment.clone() }).await
            }
            Self::Feedback { entry, feedback, conversation, change } => {
                let body = || FaqCommand::GiveFeedback {
                    v: V,
                    feedback: feedback.into(),
                    conversation: conversation.clone(),
                    entry_version: None,
                };
                change.ask_all(session, &[entry], body).await
            }
            Self::Ask(ask) => ask.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::Eval(eval) => eval.run(session),
            Self::Calibrate(calibrate) => calibrate.run(session),
        }
    }
}

impl Add {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let content = match &self.file {
            Some(file) => {
                let value = settings::read_file(file)?;
                serde_json::from_value(value)
                    .map_err(|error| CliError::usage(format!("{}: {error}", file.display())))?
            }
            None => EntryContent {
                question: self.question.unwrap_or_default(),
                similar: self.similar,
                answer: self.answer.unwrap_or_default(),
                channel_answers: self.channel_answers.into_iter().collect(),
                variables: self.variables.into_iter().collect(),
                language: self.language,
                category: self.category,
                ..EntryContent::default()
            },
        };
        let client = session.connect().await?;
        let draft = FaqCommand::Draft { v: V, content, comment: self.comment };
        let mut result = match self.change.ask(&client, &self.entry, draft).await {
            // So that it can be run again.
            Err(error) if error.code == "unchanged" && self.approve => None,
            result => Some(result?),
        };
        if self.approve {
            result =
                Some(self.change.ask(&client, &self.entry, FaqCommand::Approve { v: V, entry_version: None }).await?);
        }
        let version = result.as_ref().and_then(|result| result.version);
        let value = json!({ "entry": self.entry, "ok": true, "version": version });
        let what = if self.approve { "it answers from now on" } else { "it waits for `kefu faq approve`" };
        session.out.result(&value, || format!("done: {}; {what}", self.entry))
    }
}

async fn find(client: &Client, tenant: &str, entry: &str) -> Result<Value, CliError> {
    let found = client.find(tenant, name::ENTRY, &json!({ "id": entry })).await?;
    found.ok_or_else(|| CliError::new(Exit::Failure, "not_found", format!("tenant {tenant} has no entry {entry}")))
}
