//! `kefu rules`: a tenant's routing rules: shown, checked, set, and tried on what has happened.
//!
//! [`compare`] folds recorded conversations and reads other rules at each hand-off; the rest is what people type and see.
//! This folder may not know how rules are read, only what they say.

mod compare;

use super::{
    Session, TenantArg,
    client::Client,
    error::{CliError, Exit},
    output::note,
    settings::{ChangeArgs, apply, document_value, dry_run, read_file},
    tenant::names,
    values::Place,
};
use crate::{
    aggregate::TenantConfig,
    journal::Journal,
    routing::check,
    settings::{effective, validate},
};
use clap::{Args, Subcommand};
use compare::{Comparison, Found, Moved, Went};
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kefu_events::{
    AggregateKind, V,
    query::name,
    routing::{ROUTING_DOCUMENT, RoutingSettings},
    settings::{SettingsCommand, TENANT_DOCUMENT},
    upcast::decode_commit,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::IsTerminal,
    path::{Path, PathBuf},
};

/// Routing rules: to which queue conversations go, and what is asked of whoever takes them
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Show the rules
    Show {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Check a file of rules, on this machine and without a server
    #[command(after_help = "\
What is wrong is told with the rule's number (from 0) and name, and the line and column of its condition.

Examples:
  kefu rules check rules.toml")]
    Check {
        /// The rules, as TOML (*.toml) or JSON; - is stdin, as JSON
        file: PathBuf,
    },
    /// Put the rules of a file in force; what changed is printed
    #[command(after_help = "\
`kefu settings history --document routing` and `kefu settings rollback --document routing` list and undo changes.

Examples:
  kefu rules set rules.toml --comment \"refunds have their own queue\"
  kefu rules set rules.toml --dry-run")]
    Set {
        #[command(flatten)]
        tenant: TenantArg,
        /// The rules, as TOML (*.toml) or JSON; - is stdin, as JSON
        file: PathBuf,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Read the rules of a file at every recorded hand-off, and show what would have gone elsewhere
    Test(Test),
}

/// `kefu rules test`.
#[derive(Debug, Args)]
#[command(after_help = "\
Conversations are folded out of the log; business hours, queues and fields are those in force now. Hand-offs that named
their queue go there under any rules.

Examples:
  kefu rules test rules.toml --from 7d
  kefu rules test rules.toml --json | jq .by_rule")]
pub struct Test {
    #[command(flatten)]
    tenant: TenantArg,
    /// The rules, as TOML (*.toml) or JSON; - is stdin, as JSON
    file: PathBuf,
    /// From this commit on, or from this time
    #[arg(long, value_name = "SEQ|TIME")]
    from: Option<Place>,
    /// Up to this commit (included), or this time
    #[arg(long, value_name = "SEQ|TIME")]
    to: Option<Place>,
    /// Rows of the table, at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

impl Rules {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Show { tenant } => {
                let client = session.connect().await?;
                let tenant = tenant.of(&client.config);
                if !client.tenant_exists(&tenant).await? {
                    return Err(CliError::new(Exit::Failure, "not_found", format!("there is no tenant {tenant}")));
                }
                let document = document_value(&client, &tenant, ROUTING_DOCUMENT).await?;
                show(session, &document.unwrap_or_else(|| json!({ "rules": [] })))
            }
            Self::Check { file } => {
                let (rules, _) = read(&file)?;
                let count = rules.rules.len();
                session.out.result(&json!({ "ok": true, "rules": count }), || format!("{count} rules, nothing wrong"))
            }
            Self::Set { tenant, file, dry_run: only_shown, change } => {
                let (rules, value) = read(&file)?;
                let client = session.connect().await?;
                let tenant = tenant.of(&client.config);
                warn(&rules, &config(&client, &tenant).await?);
                if only_shown {
                    return dry_run(session, &client, &tenant, ROUTING_DOCUMENT, value, false).await;
                }
                let command = SettingsCommand::Set { v: V, value, merge: false, comment: change.comment() };
                apply(session, &client, &tenant, ROUTING_DOCUMENT, command, change).await
            }
            Self::Test(test) => test.run(session).await,
        }
    }
}

/// The rules of a file, checked, and the document as it is.
fn read(file: &Path) -> Result<(RoutingSettings, Value), CliError> {
    let wrong = |message: String| CliError::new(Exit::Failure, "invalid", format!("{}: {message}", file.display()));
    let value = read_file(file)?;
    // As the engine will.
    validate(ROUTING_DOCUMENT, &value).map_err(|refusal| wrong(refusal.message))?;
    let rules: RoutingSettings = serde_json::from_value(value.clone())?;
    check(&rules).map_err(|error| wrong(error.to_string()))?;
    Ok((rules, value))
}

/// The tenant's settings in force, channels laid over them.
async fn config(client: &Client, tenant: &str) -> Result<TenantConfig, CliError> {
    let none = || CliError::new(Exit::Failure, "not_found", format!("there is no tenant {tenant}"));
    let base = document_value(client, tenant, TENANT_DOCUMENT).await?.ok_or_else(none)?;
    let mut others = BTreeMap::new();
    let documents: Value = client.query(tenant, name::DOCUMENTS, &json!({})).await?;
    for document in names(&documents, "document").into_iter().filter(|name| name != TENANT_DOCUMENT) {
        if let Some(value) = document_value(client, tenant, &document).await? {
            others.insert(document, value);
        }
    }
    Ok(effective(&base, &others))
}

/// Says what the engine will have to pass over.
fn warn(rules: &RoutingSettings, config: &TenantConfig) {
    let all = || config.channels.values().chain([&config.tenant]);
    let queues: BTreeSet<&str> = all().flat_map(|settings| &settings.queues).map(String::as_str).collect();
    let fields: BTreeSet<&str> =
        all().flat_map(|settings| &settings.collect).map(|field| field.field.as_str()).collect();
    for rule in &rules.rules {
        if let Some(queue) = rule.then.queue.as_deref().filter(|queue| !queues.contains(queue)) {
            note(format!(
                "the tenant has no queue {queue:?}, which rule {:?} names: it will count as not named",
                rule.name
            ));
        }
        for field in rule.then.collect.iter().filter(|field| !fields.contains(field.as_str())) {
            note(format!(
                "the tenant collects no {field:?}, which rule {:?} names: it will not be asked for",
                rule.name
            ));
        }
    }
}

fn show(session: &mut Session, document: &Value) -> Result<(), CliError> {
    if session.out.is_json() {
        return session.out.json(document);
    }
    let rules: RoutingSettings = serde_json::from_value(document.clone())?;
    if rules.rules.is_empty() {
        return session
            .out
            .line("no rules: conversations that name no queue go to the first")
            .and_then(|()| session.out.flush());
    }
    let rows: Vec<[String; 3]> = rules
        .rules
        .iter()
        .map(|rule| {
            let then = serde_json::to_value(&rule.then).unwrap_or_default();
            let then = then.as_object().into_iter().flatten().map(|(name, value)| match value {
                Value::String(text) => format!("{name} {text}"),
                value => format!("{name} {value}"),
            });
            let then: Vec<String> = then.chain(rule.go_on.then(|| "go on".to_owned())).collect();
            [rule.name.clone(), rule.when.clone(), then.join("; ")]
        })
        .collect();
    session.out.table(["RULE", "WHEN", "THEN"], &rows)
}

impl Test {
    async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (rules, _) = read(&self.file)?;
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let names: Vec<String> = rules.rules.iter().map(|rule| rule.name.clone()).collect();
        let mut comparison = Comparison::new(config(&client, &tenant).await?, rules);
        let from = match self.from {
            Some(place) => place.first_seq(&client.journal).await?,
            None => 1,
        };
        let filter = client.journal.subjects().events(&tenant, AggregateKind::Conversation.as_str(), "*");
        let mut end = client.journal.last(&filter).await?.map_or(0, |commit| commit.seq);
        if let Some(place) = self.to {
            end = end.min(place.last_seq(&client.journal).await?);
        }
        let mut moved = Vec::new();
        if end > 0 {
            // From the first on: what a conversation knows at a hand-off may have been said long before.
            let mut commits = client.journal.tail(0, Some(filter)).await?;
            let bar = bar(end);
            while let Some(recorded) = commits.next().await.transpose()? {
                if recorded.seq > end {
                    break;
                }
                let commit = decode_commit(&recorded.payload).map_err(|error| CliError::failure(error.to_string()))?;
                let found = comparison.take_in(recorded.seq, &commit, recorded.seq >= from);
                // With --json all are wanted; a table has an end.
                moved.extend(found.filter(|_| session.out.is_json() || moved.len() < self.limit));
                bar.set_position(recorded.seq);
                if recorded.seq == end {
                    break;
                }
            }
            bar.finish_and_clear();
        }
        print(session, &comparison.found, &moved, &names)
    }
}

fn bar(end: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(end), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} commit {pos} of {len}  {per_sec}  {eta} left") {
        bar.set_style(style);
    }
    bar
}

fn print(session: &mut Session, found: &Found, moved: &[Moved], names: &[String]) -> Result<(), CliError> {
    if session.out.is_json() {
        let mut value = serde_json::to_value(found)?;
        value["moves"] = serde_json::to_value(moved)?;
        return session.out.json(&value);
    }
    let place = |went: &Went| {
        let skills = went.required.iter().map(|(skill, least)| format!(" {skill}≥{least}"));
        let wished = went.wished.iter().map(|skill| format!(" {skill}?"));
        format!("{} {}{}", went.queue, went.priority, skills.chain(wished).collect::<String>())
    };
    if !moved.is_empty() {
        let rows: Vec<[String; 5]> = moved
            .iter()
            .map(|moved| {
                let mut rules = moved.after.rules.join(", ");
                if !moved.asks.is_empty() {
                    rules = format!("{rules} (asks {})", moved.asks.join(", "));
                }
                [moved.at.to_string(), moved.conversation.clone(), place(&moved.before), place(&moved.after), rules]
            })
            .collect();
        session.out.table(["AT", "CONVERSATION", "WENT TO", "WOULD GO TO", "BY"], &rows)?;
        if found.moved > moved.len() as u64 {
            note(format!("and {} more (--limit, --json)", found.moved - moved.len() as u64));
        }
        session.out.line("")?;
    }
    let count = |name: &String| {
        let errors = found.errors.get(name).map(u64::to_string).unwrap_or_default();
        [name.clone(), found.by_rule.get(name).copied().unwrap_or_default().to_string(), errors]
    };
    let mut rows: Vec<[String; 3]> = names.iter().map(count).collect();
    rows.push(["(no rule)".to_owned(), found.by_no_rule.to_string(), String::new()]);
    session.out.table(["RULE", "DECIDED", "NOT READABLE"], &rows)?;
    for error in &found.first_errors {
        note(format!("{}: {}", error.rule, error.error));
    }
    session.out.line(format!("\n{} of {} hand-offs would go elsewhere", found.moved, found.handoffs))?;
    session.out.flush()
}
