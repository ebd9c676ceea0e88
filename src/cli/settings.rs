//! `kefu settings`: a tenant's configuration, whose every change is an event.

use super::{
    Session, TenantArg,
    client::{Ask, Client, already, operator},
    diff::{diff, lines},
    error::{CliError, Exit},
    values,
};
use crate::scheduler::Scheduling;
use crate::{
    config::units,
    journal::Journal,
    settings::{effective, merge_patch},
};
use clap::{Args, Subcommand};
use kefu_events::{
    Actor, AggregateKind, Commit, V,
    query::name,
    settings::{
        CHANNEL_DOCUMENT_PREFIX, DocumentVersion, SCHEDULING_DOCUMENT, SettingsCommand, SettingsEvent, TENANT_DOCUMENT,
        TenantSettings,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// How long a change may take until queries show it.
const VISIBLE: Duration = Duration::from_secs(10);

/// A tenant's configuration: texts, deadlines, queues; changes take effect without a restart
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// Print a document, or what is in effect
    #[command(after_help = "\
Examples:
  kefu settings get
  kefu settings get --effective --channel web
  kefu settings get --effective texts.welcome")]
    Get {
        #[command(flatten)]
        document: DocumentArg,
        /// With all defaults and, for a channel, over the tenant's settings
        #[arg(long)]
        effective: bool,
        /// As it was at this version of the document
        #[arg(long, value_name = "VERSION", conflicts_with = "effective")]
        version: Option<u64>,
        /// Only what is at this path, such as texts.welcome
        path: Option<String>,
    },
    /// Change a document; what changed is printed
    #[command(after_help = "\
Names and values are laid over what is there; a value is JSON where it can be, else text; null removes.
A file replaces the document, unless --merge lays it over.

Examples:
  kefu settings set texts.welcome=\"Good morning!\" bot.answer_deadline_s=5
  kefu settings set --channel web 'queues=[\"web\", \"sales\"]' --comment \"web has its own people\"
  kefu settings set --document scheduling default.policy=longest-idle default.target.percent=80 default.target.within_s=20
  kefu settings set --file tenant.json
  kefu settings get --json | jq '.value.wrap_up_s = 30 | .value' | kefu settings set --file -")]
    Set {
        #[command(flatten)]
        document: DocumentArg,
        /// Path and value
        #[arg(value_name = "PATH=VALUE", value_parser = values::pair, required_unless_present = "file", conflicts_with = "file")]
        values: Vec<(String, String)>,
        /// All of the document, as JSON, or TOML where it is called *.toml; - is stdin
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Lay the file over what is there
        #[arg(long, requires = "file")]
        merge: bool,
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// List the versions of a document
    History {
        #[command(flatten)]
        document: DocumentArg,
    },
    /// Make a document as it was at an earlier version
    Rollback {
        #[command(flatten)]
        document: DocumentArg,
        /// The version, from `kefu settings history`
        to: u64,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Which document.
#[derive(Debug, Args)]
pub struct DocumentArg {
    #[command(flatten)]
    tenant: TenantArg,
    /// The document of this channel [default: the tenant's]
    #[arg(long, value_name = "CHANNEL", value_parser = units::token)]
    channel: Option<String>,
    /// The document of this name, such as scheduling or routing
    #[arg(long, short, value_name = "NAME", value_parser = units::token, conflicts_with = "channel")]
    document: Option<String>,
}

impl DocumentArg {
    fn name(&self) -> String {
        match (&self.channel, &self.document) {
            (Some(channel), _) => format!("{CHANNEL_DOCUMENT_PREFIX}{channel}"),
            (None, Some(document)) => document.clone(),
            (None, None) => TENANT_DOCUMENT.to_owned(),
        }
    }
}

/// What goes with a change.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Who does it [default: system:operator]
    #[arg(long = "as", value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// How long to wait for the result
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

impl ChangeArgs {
    /// Why, for the history.
    pub(super) fn comment(&self) -> Option<String> {
        self.comment.clone()
    }
}

/// A document as the query gives it.
#[derive(Debug, Default, Deserialize)]
struct Document {
    document_version: u64,
    #[serde(default)]
    history: Vec<DocumentVersion>,
}

impl Document {
    fn value(&self) -> Value {
        self.history.last().map_or_else(|| json!({}), |version| version.value.clone())
    }
}

impl Settings {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        match self {
            Self::Get { document, effective, version, path } => {
                let tenant = document.tenant.of(&client.config);
                let value = if effective {
                    match document.document.as_deref() {
                        Some(SCHEDULING_DOCUMENT) => effective_scheduling(&client, &tenant).await?,
                        Some(other) if other != TENANT_DOCUMENT => {
                            return Err(CliError::usage(format!("{other:?} has no defaults: leave out --effective")));
                        }
                        _ => effective_value(&client, &tenant, document.channel.as_deref()).await?,
                    }
                } else {
                    one_version(&client, &tenant, &document.name(), version).await?
                };
                let value = match &path {
                    Some(path) => {
                        at(&value, path).cloned().ok_or_else(|| not_found(format!("nothing is at {path}")))?
                    }
                    None => value,
                };
                print_value(session, &value)
            }
            Self::Set { document, values, file, merge, dry_run, change } => {
                let (value, merge) = match file {
                    Some(file) => (read_file(&file)?, merge),
                    None => (patch(&values)?, true),
                };
                let tenant = document.tenant.of(&client.config);
                if dry_run {
                    return self::dry_run(session, &client, &tenant, &document.name(), value, merge).await;
                }
                let comment = change.comment.clone();
                let command = SettingsCommand::Set { v: V, value, merge, comment };
                apply(session, &client, &tenant, &document.name(), command, change).await
            }
            Self::History { document } => history(session, &client, &document).await,
            Self::Rollback { document, to, change } => {
                let tenant = document.tenant.of(&client.config);
                let command = SettingsCommand::Rollback { v: V, to, comment: change.comment.clone() };
                apply(session, &client, &tenant, &document.name(), command, change).await
            }
        }
    }
}

async fn get(client: &Client, tenant: &str, document: &str) -> Result<Option<Document>, CliError> {
    client.find(tenant, name::SETTINGS, &json!({ "document": document })).await
}

/// What the tenant's document says, if there is one.
pub(super) async fn document_value(client: &Client, tenant: &str, document: &str) -> Result<Option<Value>, CliError> {
    Ok(get(client, tenant, document).await?.map(|document| document.value()))
}

async fn one_version(client: &Client, tenant: &str, name: &str, version: Option<u64>) -> Result<Value, CliError> {
    let none = || not_found(format!("tenant {tenant} has no document {name}"));
    let document = get(client, tenant, name).await?.ok_or_else(none)?;
    let Some(wanted) = version else { return Ok(document.value()) };
    let found = document.history.into_iter().find(|version| version.document_version == wanted);
    Ok(found.ok_or_else(|| not_found(format!("{name} has no version {wanted}, or it is too old")))?.value)
}

async fn effective_scheduling(client: &Client, tenant: &str) -> Result<Value, CliError> {
    let asked = json!({ "document": SCHEDULING_DOCUMENT });
    let found: Option<Value> = client.find(tenant, name::SETTINGS, &asked).await?;
    let set = found.map(|found| serde_json::from_value::<Scheduling>(found["value"].clone())).transpose()?;
    Ok(serde_json::to_value(set.unwrap_or_default())?)
}

async fn effective_value(client: &Client, tenant: &str, channel: Option<&str>) -> Result<Value, CliError> {
    let none = || not_found(format!("there is no tenant {tenant}"));
    let base = document_value(client, tenant, TENANT_DOCUMENT).await?.ok_or_else(none)?;
    let mut channels = BTreeMap::new();
    if let Some(channel) = channel {
        let name = format!("{CHANNEL_DOCUMENT_PREFIX}{channel}");
        if let Some(value) = document_value(client, tenant, &name).await? {
            channels.insert(name, value);
        }
    }
    let config = effective(&base, &channels);
    Ok(serde_json::to_value(config.for_channel(channel.unwrap_or_default()))?)
}

fn not_found(message: String) -> CliError {
    CliError::new(Exit::Failure, "not_found", message)
}

fn print_value(session: &mut Session, value: &Value) -> Result<(), CliError> {
    match value {
        Value::String(text) if !session.out.is_json() => session.out.line(text),
        // A document is JSON for people, too: it can be edited and set again.
        value => session.out.json(value),
    }
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

/// A document in a file: TOML where it is called so, else JSON.
pub(super) fn read_file(path: &std::path::Path) -> Result<Value, CliError> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(path).map_err(|error| CliError::failure(format!("{}: {error}", path.display())))?
    };
    if path.extension().is_some_and(|extension| extension == "toml") {
        return toml::from_str(&text).map_err(|error| CliError::usage(format!("{}: {error}", path.display())));
    }
    serde_json::from_str(&text).map_err(|error| CliError::usage(format!("{} is no JSON: {error}", path.display())))
}

/// A merge patch out of paths and values.
fn patch(values: &[(String, String)]) -> Result<Value, CliError> {
    let defaults = serde_json::to_value(TenantSettings::default())?;
    let mut patch = Value::Object(Map::new());
    for (path, text) in values {
        if path.split('.').any(str::is_empty) {
            return Err(CliError::usage(format!("{path:?} is no path: names joined by dots, such as texts.welcome")));
        }
        // Where a text belongs, `5` is a text.
        let is_text = at(&defaults, path).is_some_and(Value::is_string);
        let parsed =
            serde_json::from_str(text).ok().filter(|value: &Value| !is_text || value.is_null() || value.is_string());
        let value = parsed.unwrap_or_else(|| Value::String(text.clone()));
        let nested = path.rsplit('.').fold(value, |value, name| json!({ name: value }));
        join(&mut patch, nested);
    }
    Ok(patch)
}

/// Puts what is in `more` into `patch`: unlike a merge patch, keeps nulls, which are to take effect later.
fn join(patch: &mut Value, more: Value) {
    match (patch, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                join(fields.entry(name).or_insert_with(|| json!({})), value);
            }
        }
        (patch, more) => *patch = more,
    }
}

/// Prints what a change would change.
pub(super) async fn dry_run(
    session: &mut Session,
    client: &Client,
    tenant: &str,
    document: &str,
    value: Value,
    merge: bool,
) -> Result<(), CliError> {
    let before = get(client, tenant, document).await?.unwrap_or_default().value();
    let after = if merge { merge_patch(before.clone(), &value) } else { value };
    print_changes(session, json!({ "dry_run": true }), &before, &after)
}

/// Sends a change, waits until it is in effect, and prints what it changed.
pub(super) async fn apply(
    session: &mut Session,
    client: &Client,
    tenant: &str,
    document: &str,
    command: SettingsCommand,
    change: ChangeArgs,
) -> Result<(), CliError> {
    let before = get(client, tenant, document).await?;
    if before.is_none() && document != TENANT_DOCUMENT && !client.tenant_exists(tenant).await? {
        return Err(not_found(format!("there is no tenant {tenant}")).hint("make it with `kefu tenant create`"));
    }
    if before.is_none() && document == TENANT_DOCUMENT {
        let hint = format!("make it with `kefu tenant create {tenant}`");
        return Err(not_found(format!("there is no tenant {tenant}")).hint(hint));
    }
    let before = before.unwrap_or_default();
    let actor = change.actor.unwrap_or_else(operator);
    match set(client, tenant, document, command, actor, change.timeout).await {
        Ok(after) => {
            let about = json!({ "document": document, "document_version": after.version, "seq": after.seq });
            print_changes(session, about, &before.value(), &after.value)
        }
        Err(error) if error.code == "unchanged" => {
            already("the document says this already");
            let about = json!({ "document": document, "document_version": before.document_version });
            let value = before.value();
            if session.out.is_json() { print_changes(session, about, &value, &value) } else { Ok(()) }
        }
        Err(error) => Err(error),
    }
}

/// A document after a change.
pub(super) struct Changed {
    pub version: u64,
    pub seq: u64,
    pub value: Value,
}

/// Sends a change and waits until queries show it.
pub(super) async fn set(
    client: &Client,
    tenant: &str,
    document: &str,
    command: SettingsCommand,
    actor: Actor,
    timeout: Duration,
) -> Result<Changed, CliError> {
    let ask = Ask {
        tenant,
        aggregate: AggregateKind::Settings,
        key: document,
        actor,
        id: None,
        expected_version: None,
        body: command,
    };
    let result = client.command(ask, timeout).await?;
    let seq = result.seq.unwrap_or_default();
    let commit = client.journal.read(seq).await?;
    let commit = commit.ok_or_else(|| CliError::failure(format!("the commit {seq} cannot be read back")))?;
    let commit: Commit<SettingsEvent> = serde_json::from_slice(&commit.payload)?;
    let changed = commit.events.into_iter().find_map(|event| match event {
        SettingsEvent::DocumentChanged { document_version, value, .. } => Some((document_version, value)),
        _ => None,
    });
    let (version, value) = changed.ok_or_else(|| CliError::failure(format!("the commit {seq} changes nothing")))?;
    client
        .until(VISIBLE, || async {
            Ok(get(client, tenant, document).await?.filter(|document| document.document_version >= version))
        })
        .await?;
    Ok(Changed { version, seq, value })
}

fn print_changes(session: &mut Session, mut about: Value, before: &Value, after: &Value) -> Result<(), CliError> {
    let changes = diff(before, after);
    about["changes"] = serde_json::to_value(&changes)?;
    session.out.result(&about, || {
        let head = match (&about["document"], &about["document_version"]) {
            (Value::String(document), version) => format!("{document}, version {version}"),
            _ => "would change".to_owned(),
        };
        format!("{head}\n{}", lines(&changes)).trim_end().to_owned()
    })
}

async fn history(session: &mut Session, client: &Client, document: &DocumentArg) -> Result<(), CliError> {
    let tenant = document.tenant.of(&client.config);
    let name = document.name();
    let none = || not_found(format!("tenant {tenant} has no document {name}"));
    let found = get(client, &tenant, &name).await?.ok_or_else(none)?;
    if session.out.is_json() {
        return found.history.iter().try_for_each(|version| session.out.json_line(version));
    }
    let rows: Vec<[String; 4]> = found
        .history
        .iter()
        .map(|version| {
            let comment = version.comment.clone().unwrap_or_default();
            [version.document_version.to_string(), version.at.to_string(), version.by.clone(), comment]
        })
        .collect();
    session.out.table(["VERSION", "AT", "BY", "WHY"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn paths_become_one_patch_whose_nulls_stay() {
        let values = pairs(&[
            ("texts.welcome", "Hi there"),
            ("texts.handoff", "null"),
            ("bot.answer_deadline_s", "5"),
            ("queues", "[\"a\"]"),
            ("texts.accepted", "5"),
            ("name", "true"),
        ]);
        let wanted = json!({
            "texts": {"welcome": "Hi there", "handoff": null, "accepted": "5"},
            "bot": {"answer_deadline_s": 5},
            "queues": ["a"],
            "name": "true",
        });
        assert_eq!(patch(&values).unwrap(), wanted);
        assert!(patch(&pairs(&[("texts..welcome", "x")])).is_err());
    }
}
