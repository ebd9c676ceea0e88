//! `kefu contact`: who writes, across channels.

use super::{
    Session, TenantArg,
    client::{Ask, Client, operator},
    error::{CliError, Exit},
    output::{Output, Style, plain},
    values::{self, ContactArg},
};
use crate::config::units;
use clap::{Args, Subcommand};
use kefu_events::{Actor, AggregateKind, CommandResult, V, contact::ContactCommand, query::name};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Contacts: who writes, known across channels
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kefu contact show web:alice
  kefu contact list --attribute email --value alice@example.com
  kefu contact set web:alice email=alice@example.com vip=true
  kefu contact merge wechat:wx-17 --into web:alice
  kefu contact unmerge wechat:wx-17")]
pub enum Contact {
    /// Show a contact
    Show {
        /// The contact: its key, or CHANNEL:SENDER
        contact: ContactArg,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List contacts
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those with this attribute
        #[arg(long, value_name = "NAME", requires = "value")]
        attribute: Option<String>,
        /// And this value of it
        #[arg(long, value_name = "VALUE", requires = "attribute")]
        value: Option<String>,
        /// Only those with this tag
        #[arg(long, conflicts_with = "attribute")]
        tag: Option<String>,
        /// Only those known on this channel
        #[arg(long, conflicts_with_all = ["attribute", "tag"])]
        channel: Option<String>,
        /// Not more than this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Set attributes; null removes one
    Set {
        /// The contact: its key, or CHANNEL:SENDER
        contact: ContactArg,
        /// Name and value: JSON where it can be, else text
        #[arg(value_name = "NAME=VALUE", required = true, value_parser = values::pair)]
        attributes: Vec<(String, String)>,
        #[command(flatten)]
        change: Change,
    },
    /// Add tags
    Tag {
        /// The contact: its key, or CHANNEL:SENDER
        contact: ContactArg,
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Remove tags
    Untag {
        /// The contact: its key, or CHANNEL:SENDER
        contact: ContactArg,
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Say that this contact and that one are one person
    Merge {
        /// The contact that goes: its key, or CHANNEL:SENDER
        contact: ContactArg,
        /// The contact that stays
        #[arg(long, value_name = "CONTACT")]
        into: ContactArg,
        #[command(flatten)]
        change: Change,
    },
    /// They are not one person, after all
    Unmerge {
        /// The contact that was merged: its key, or CHANNEL:SENDER
        contact: ContactArg,
        #[command(flatten)]
        change: Change,
    },
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

impl Contact {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let (contact, change, body) = match self {
            Self::Show { contact, tenant } => {
                let tenant = tenant.of(&client.config);
                return show(session, &client, &tenant, &contact.key).await;
            }
            Self::List { tenant, attribute, value, tag, channel, limit } => {
                let tenant = tenant.of(&client.config);
                let asked = [("attribute", attribute), ("value", value), ("tag", tag), ("channel", channel)];
                let asked = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
                let parameters = Value::Object(asked.collect());
                let contacts = client.pages(&tenant, name::CONTACTS, parameters, limit).await?;
                return list(session, &contacts);
            }
            Self::Set { contact, attributes, change } => {
                let value = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
                let attributes: Map<String, Value> =
                    attributes.into_iter().map(|(name, text)| (name, value(text))).collect();
                (contact, change, ContactCommand::SetAttributes { v: V, attributes })
            }
            Self::Tag { contact, tags, change } => (contact, change, ContactCommand::Tag { v: V, tags }),
            Self::Untag { contact, tags, change } => (contact, change, ContactCommand::Untag { v: V, tags }),
            Self::Merge { contact, into, change } => {
                (contact, change, ContactCommand::Merge { v: V, into: into.key, rule: None })
            }
            Self::Unmerge { contact, change } => (contact, change, ContactCommand::Unmerge { v: V }),
        };
        let result = ask(&client, &contact.key, change, body).await?;
        session
            .out
            .result(&serde_json::to_value(&result)?, || format!("done: version {}", result.version.unwrap_or_default()))
    }
}

async fn ask(client: &Client, key: &str, change: Change, body: ContactCommand) -> Result<CommandResult, CliError> {
    let tenant = change.tenant.of(&client.config);
    let ask = Ask {
        tenant: &tenant,
        aggregate: AggregateKind::Contact,
        key,
        actor: change.actor.unwrap_or_else(operator),
        id: None,
        expected_version: None,
        body,
    };
    client.command(ask, change.timeout).await
}

async fn show(session: &mut Session, client: &Client, tenant: &str, key: &str) -> Result<(), CliError> {
    let found: Option<Value> = client.find(tenant, name::CONTACT, &json!({ "key": key })).await?;
    let none = || CliError::new(Exit::Failure, "not_found", format!("tenant {tenant} has no contact {key}"));
    let found = found.ok_or_else(none)?;
    let text = describe(key, &found, &session.out);
    session.out.result(&found, || text)
}

fn describe(key: &str, found: &Value, out: &Output) -> String {
    let (state, own) = (&found["state"], &found["details"]);
    let mut lines = vec![out.styled(Style::Bold, plain(own["name"].as_str().unwrap_or(key)))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<12} {}", plain(&value)));
        }
    };
    line("key", key.to_owned());
    line("identities", identities(own));
    line("attributes", filled(&own["attributes"]));
    line("tags", own["tags"].as_array().map(|tags| words(tags)).unwrap_or_default());
    line("part of", state["part_of"]["into"].as_str().unwrap_or_default().to_owned());
    for absorbed in state["absorbed"].as_array().into_iter().flatten() {
        let from = absorbed["from"].as_str().unwrap_or_default();
        line("merged", format!("{from}  {}", identities(&absorbed["details"])));
    }
    line("first seen", state["first_seen"].as_str().unwrap_or_default().to_owned());
    line("last seen", state["last_seen"].as_str().unwrap_or_default().to_owned());
    lines.join("\n")
}

fn identities(details: &Value) -> String {
    let one = |identity: &Value| {
        format!("{}:{}", identity["channel"].as_str().unwrap_or("?"), identity["id"].as_str().unwrap_or("?"))
    };
    details["identities"].as_array().map(|all| all.iter().map(one).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn part_of(contact: &Value) -> String {
    contact["part_of"].as_str().map(|into| format!("  (part of {into})")).unwrap_or_default()
}

fn words(values: &[Value]) -> String {
    values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

fn filled(value: &Value) -> String {
    match value {
        Value::Object(fields) if !fields.is_empty() => value.to_string(),
        _ => String::new(),
    }
}

fn list(session: &mut Session, contacts: &[Value]) -> Result<(), CliError> {
    if session.out.is_json() {
        return contacts.iter().try_for_each(|contact| session.out.json_line(contact));
    }
    let rows: Vec<[String; 3]> = contacts
        .iter()
        .map(|contact| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let known = format!("{}{}", identities(contact), part_of(contact));
            [text(&contact["key"]), text(&contact["name"]), known]
        })
        .collect();
    session.out.table(["KEY", "NAME", "KNOWN AS"], &rows)
}
