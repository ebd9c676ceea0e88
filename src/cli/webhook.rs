//! `kefu webhook`: other systems that are told over HTTP what happens.

use super::{
    Session, TenantArg,
    client::{Client, now, operator},
    error::{CliError, Exit},
    output::note,
    settings::{document_value, set},
    values::{self, Place},
};
use crate::{
    config::units,
    webhooks::{
        patch,
        record::{self, LONG, WebhookError},
    },
};
use clap::{Args, Subcommand};
use kefu_events::{
    Actor, AggregateKind, Timestamp, V,
    settings::SettingsCommand,
    webhook::{WEBHOOKS_DOCUMENT, WebhookSettings, WebhooksSettings},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// How long a test may take: the sender looks for it every second, and gives the receiver 15.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);

/// Webhooks: other systems that are told over HTTP what happens
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Each commit that a webhook wants is POSTed to it as JSON, in order, until it answers 2xx; nothing is ever left out. Receivers
check Kefu-Signature (v1=HMAC-SHA-256 of `<Kefu-Timestamp>.<body>` under the secret, in hexadecimal), and know by Kefu-Delivery
what they have had.

Examples:
  kefu webhook add crm https://crm.example/kefu --event session_opened --event session_closed
  kefu webhook test crm
  kefu webhook list
  kefu webhook replay crm --from 2026-11-01
  kefu webhook secret rotate crm                 the old one signs as well for a day")]
pub enum Webhook {
    /// Add a webhook, or change one; a new one's secret is shown once
    Add {
        /// Its name
        #[arg(value_parser = units::token)]
        name: String,
        /// Where to: https://… or http://…
        url: String,
        /// Only commits in which this happened, such as session_opened; can be repeated [default: any]
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// Only commits of this kind: conversation, contact, agent, faq, settings; can be repeated [default: all of these]
        #[arg(long = "aggregate", value_name = "KIND")]
        aggregates: Vec<AggregateKind>,
        #[command(flatten)]
        change: Change,
    },
    /// List webhooks, with how far each has got and why it does not go on
    List {
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Show a webhook
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Send nothing any more, for a while
    Disable {
        /// Its name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Go on sending, with all that was missed
    Enable {
        /// Its name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Remove a webhook, its secret and its place in the log
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Send everything from a place in the log on, again where it was sent already
    Replay {
        /// Its name
        name: String,
        /// From this commit on, or from this time
        #[arg(long, value_name = "SEQ|TIME")]
        from: Place,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Send a delivery that says nothing, and tell what the receiver answers
    Test {
        /// Its name
        name: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    #[command(subcommand)]
    Secret(Secret),
}

/// The key of signatures
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Make another secret, shown once; the old one signs as well for a day
    Rotate {
        /// The webhook's name
        name: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

/// What goes with a change.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    tenant: TenantArg,
    /// Why, for the history of the settings document `webhooks`
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Who does it [default: system:operator]
    #[arg(long = "as", value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// How long to wait for the result
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

impl Webhook {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let config = client.config.clone();
        match self {
            Self::Add { name, url, events, aggregates, change } => {
                let webhook = WebhookSettings {
                    url,
                    events: events.into_iter().collect(),
                    aggregates: aggregates.into_iter().collect(),
                    enabled: true,
                };
                add(session, &client, &name, webhook, change).await
            }
            Self::List { tenant } => list(session, &client, &tenant.of(&config)).await,
            Self::Show { name, tenant } => show(session, &client, &tenant.of(&config), &name).await,
            Self::Disable { name, change } => enable(session, &client, &name, false, change).await,
            Self::Enable { name, change } => enable(session, &client, &name, true, change).await,
            Self::Remove { name, change } => {
                let tenant = change.tenant.of(&config);
                find(&client, &tenant, &name).await?;
                apply(&client, &tenant, patch(&name, None), change).await?;
                record::forget(&client.journal, &tenant, &name).await?;
                session.out.result(&json!({ "ok": true }), || format!("removed: {name}"))
            }
            Self::Replay { name, from, tenant } => {
                let tenant = tenant.of(&config);
                find(&client, &tenant, &name).await?;
                let from = from.first_seq(&client.journal).await?;
                record::replay(&client.journal, &tenant, &name, from).await?;
                session.out.result(&json!({ "ok": true, "from": from }), || format!("sends from commit {from} on"))
            }
            Self::Test { name, tenant } => test(session, &client, &tenant.of(&config), &name).await,
            Self::Secret(Secret::Rotate { name, tenant }) => {
                let secret = record::rotate(&client.journal, &tenant.of(&config), &name).await?;
                print_secret(session, &name, secret)
            }
        }
    }
}

async fn webhooks(client: &Client, tenant: &str) -> Result<BTreeMap<String, WebhookSettings>, CliError> {
    let document = document_value(client, tenant, WEBHOOKS_DOCUMENT).await?.unwrap_or_else(|| json!({}));
    Ok(serde_json::from_value::<WebhooksSettings>(document)?.webhooks)
}

async fn find(client: &Client, tenant: &str, name: &str) -> Result<WebhookSettings, CliError> {
    let found = webhooks(client, tenant).await?.remove(name);
    found.ok_or_else(|| WebhookError::Unknown(name.to_owned()).into())
}

/// Changes the settings document, and waits until that is visible.
async fn apply(client: &Client, tenant: &str, value: Value, change: Change) -> Result<(), CliError> {
    let command = SettingsCommand::Set { v: V, value, merge: true, comment: change.comment };
    let actor = change.actor.unwrap_or_else(operator);
    match set(client, tenant, WEBHOOKS_DOCUMENT, command, actor, change.timeout).await {
        // So that it can be run again.
        Err(error) if error.code == "unchanged" => Ok(()),
        changed => changed.map(drop),
    }
}

async fn add(
    session: &mut Session,
    client: &Client,
    name: &str,
    webhook: WebhookSettings,
    change: Change,
) -> Result<(), CliError> {
    let tenant = change.tenant.of(&client.config);
    if !client.tenant_exists(&tenant).await? {
        return Err(CliError::new(Exit::Failure, "not_found", format!("there is no tenant {tenant}")));
    }
    if webhooks(client, &tenant).await?.contains_key(name) {
        apply(client, &tenant, patch(name, Some(&webhook)), change).await?;
        return session.out.result(&json!({ "ok": true, "webhook": name }), || format!("changed: {name}"));
    }
    // Before the settings, so that nothing that happens from now on is missed.
    let secret = record::begin(&client.journal, &tenant, name).await?;
    if let Err(error) = apply(client, &tenant, patch(name, Some(&webhook)), change).await {
        if error.exit == Exit::Refused {
            record::forget(&client.journal, &tenant, name).await?;
        }
        return Err(error);
    }
    print_secret(session, name, secret)
}

fn print_secret(session: &mut Session, name: &str, secret: String) -> Result<(), CliError> {
    if !session.out.is_json() {
        note("the secret is shown once:");
    }
    session.out.result(&json!({ "ok": true, "webhook": name, "secret": secret }), || secret.clone())
}

async fn enable(
    session: &mut Session,
    client: &Client,
    name: &str,
    enabled: bool,
    change: Change,
) -> Result<(), CliError> {
    let tenant = change.tenant.of(&client.config);
    let webhook = WebhookSettings { enabled, ..find(client, &tenant, name).await? };
    apply(client, &tenant, patch(name, Some(&webhook)), change).await?;
    let done = if enabled { "enabled" } else { "disabled" };
    session.out.result(&json!({ "ok": true, "webhook": name, "enabled": enabled }), || format!("{done}: {name}"))
}

/// All of them, with their settings and how far they are.
async fn all(client: &Client, tenant: &str) -> Result<Vec<Value>, CliError> {
    let mut states = record::shown(&client.journal, Some(tenant)).await?;
    let one = |(name, webhook): (String, WebhookSettings)| {
        let state = states.remove(&(tenant.to_owned(), name.clone()));
        Ok(json!({ "name": name, "settings": serde_json::to_value(webhook)?, "state": state }))
    };
    webhooks(client, tenant).await?.into_iter().map(one).collect()
}

async fn list(session: &mut Session, client: &Client, tenant: &str) -> Result<(), CliError> {
    let all = all(client, tenant).await?;
    if session.out.is_json() {
        return all.iter().try_for_each(|webhook| session.out.json_line(webhook));
    }
    let rows: Vec<[String; 5]> = all
        .iter()
        .map(|webhook| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (settings, state) = (&webhook["settings"], &webhook["state"]);
            let number = |value: &Value| value.as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
            [
                text(&webhook["name"]),
                text(&settings["url"]),
                number(&state["seq"]),
                number(&state["delivered"]),
                how_it_is(settings, state),
            ]
        })
        .collect();
    session.out.table(["NAME", "URL", "UP TO COMMIT", "DELIVERED", "STATE"], &rows)
}

fn how_it_is(settings: &Value, state: &Value) -> String {
    if settings["enabled"] == false {
        return "disabled".to_owned();
    }
    let failing = &state["failing"];
    if failing.is_null() {
        return if state.is_null() { "about to begin".to_owned() } else { "gets through".to_owned() };
    }
    let text = |name: &str| failing[name].as_str().unwrap_or_default().to_owned();
    let (attempts, seq) = (&failing["attempts"], &failing["seq"]);
    format!("failing since {} ({attempts} attempts at commit {seq}): {}", text("since"), text("error"))
}

async fn show(session: &mut Session, client: &Client, tenant: &str, name: &str) -> Result<(), CliError> {
    let found = all(client, tenant).await?.into_iter().find(|webhook| webhook["name"] == *name);
    // For people, too: it is what can be set, and how it is.
    session.out.json(&found.ok_or_else(|| CliError::from(WebhookError::Unknown(name.to_owned())))?)
}

async fn test(session: &mut Session, client: &Client, tenant: &str, name: &str) -> Result<(), CliError> {
    if !find(client, tenant, name).await?.enabled {
        return Err(CliError::new(Exit::Refused, "disabled", format!("{name} is disabled: nothing is sent")));
    }
    let id = record::ask_for_test(&client.journal, tenant, name).await?;
    let tested = || async { Ok(record::tested(&client.journal, tenant, name, &id).await?) };
    let outcome = client.until(TEST_TIMEOUT, tested).await?;
    if let Some(error) = outcome.error {
        return Err(CliError::failure(format!("{name}: {error}")));
    }
    let status = outcome.status.unwrap_or_default();
    session.out.result(&json!({ "ok": true, "delivery": id, "status": status }), || format!("taken: {status}"))
}

/// What is wrong with webhooks, for `kefu doctor`: of each that has been failing for long, whose, which, and why.
pub(super) async fn failing(client: &Client) -> Result<(usize, Vec<String>), CliError> {
    let all = record::shown(&client.journal, None).await?;
    let long = |state: &Value| {
        let since = state["failing"]["since"].as_str().and_then(|since| since.parse::<Timestamp>().ok());
        since.is_some_and(|since| now().as_millis() - since.as_millis() > LONG.as_millis() as i64)
    };
    let failing = all
        .iter()
        .filter(|(_, state)| long(state))
        .map(|((tenant, name), state)| format!("{tenant}/{name}: {}", how_it_is(&Value::Null, state)));
    Ok((all.len(), failing.collect()))
}

impl From<WebhookError> for CliError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::Journal(error) => error.into(),
            WebhookError::Unknown(_) => Self::new(Exit::Failure, "not_found", error.to_string()),
            _ => Self::failure(error.to_string()),
        }
    }
}
