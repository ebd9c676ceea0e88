//! `kefu tenant`: who is served. A tenant exists once its settings do.

use super::{
    Session,
    client::{Ask, Client, operator},
    error::{CliError, Exit},
    settings::{document_value, set},
};
use crate::config::units;
use clap::Subcommand;
use kefu_events::{
    AggregateKind, V,
    query::{ALL_TENANTS, name},
    settings::{SettingsCommand, TENANT_DOCUMENT},
};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a change may take, and until queries show it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Tenants: each with its own settings, conversations and contacts
#[derive(Debug, Subcommand)]
pub enum Tenant {
    /// Make a tenant with the default texts
    #[command(
        after_help = "Example:\n  kefu tenant create shop --name \"The Shop\"\n  kefu settings set -t shop texts.welcome=\"Welcome!\""
    )]
    Create {
        /// Its name in subjects and commands
        #[arg(value_parser = units::token)]
        tenant: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
    },
    /// List the tenants
    List,
    /// Make a tenant with the settings of another one, channels included
    Clone {
        /// The one that is there
        #[arg(value_parser = units::token)]
        from: String,
        /// The new one
        #[arg(value_parser = units::token)]
        to: String,
        /// The new one's name for people
        #[arg(long)]
        name: Option<String>,
    },
}

impl Tenant {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        match self {
            Self::Create { tenant, name } => {
                let value = json!({ "name": name.unwrap_or_else(|| tenant.clone()) });
                create(&client, &tenant, value, "created").await?;
                session
                    .out
                    .result(&json!({ "tenant": tenant, "created": true }), || format!("made the tenant {tenant}"))
            }
            Self::List => list(session, &client).await,
            Self::Clone { from, to, name } => clone(session, &client, &from, &to, name).await,
        }
    }
}

/// Makes a tenant and waits until it is visible.
async fn create(client: &Client, tenant: &str, value: Value, comment: &str) -> Result<(), CliError> {
    let exists = || CliError::new(Exit::Refused, "exists", format!("there is a tenant {tenant} already"));
    if client.tenant_exists(tenant).await? {
        return Err(exists());
    }
    // Version 0, so that of two who create it at once one is told.
    let ask = Ask {
        tenant,
        aggregate: AggregateKind::Settings,
        key: TENANT_DOCUMENT,
        actor: operator(),
        id: None,
        expected_version: Some(0),
        body: SettingsCommand::Set { v: V, value, merge: false, comment: Some(comment.to_owned()) },
    };
    match client.command(ask, TIMEOUT).await {
        Err(error) if error.code == "stale" => return Err(exists()),
        result => result?,
    };
    client.until(TIMEOUT, || async { Ok(client.tenant_exists(tenant).await?.then_some(())) }).await
}

async fn clone(
    session: &mut Session,
    client: &Client,
    from: &str,
    to: &str,
    name: Option<String>,
) -> Result<(), CliError> {
    let none = || CliError::new(Exit::Failure, "not_found", format!("there is no tenant {from}"));
    let mut value = document_value(client, from, TENANT_DOCUMENT).await?.ok_or_else(none)?;
    value["name"] = name.unwrap_or_else(|| to.to_owned()).into();
    let comment = format!("cloned from {from}");
    create(client, to, value, &comment).await?;
    let mut documents = vec![TENANT_DOCUMENT.to_owned()];
    for document in names(&client.query(from, name::DOCUMENTS, &json!({})).await?, "document") {
        if document == TENANT_DOCUMENT {
            continue;
        }
        let Some(value) = document_value(client, from, &document).await? else { continue };
        let command = SettingsCommand::Set { v: V, value, merge: false, comment: Some(comment.clone()) };
        set(client, to, &document, command, operator(), TIMEOUT).await?;
        documents.push(document);
    }
    let value = json!({ "tenant": to, "cloned_from": from, "documents": documents });
    session.out.result(&value, || format!("made the tenant {to} with {}", documents.join(", ")))
}

async fn list(session: &mut Session, client: &Client) -> Result<(), CliError> {
    let tenants = names(&client.query(ALL_TENANTS, name::TENANTS, &json!({})).await?, "tenant");
    let mut rows = Vec::new();
    for tenant in tenants {
        let value = document_value(client, &tenant, TENANT_DOCUMENT).await?.unwrap_or_default();
        let name = value["name"].as_str().unwrap_or_default().to_owned();
        rows.push([tenant, name]);
    }
    if session.out.is_json() {
        let mut lines = rows.iter().map(|[tenant, name]| json!({ "tenant": tenant, "name": name }));
        return lines.try_for_each(|line| session.out.json_line(&line));
    }
    session.out.table(["TENANT", "NAME"], &rows)
}

/// The names in a list of them, or of objects that have them as `field`.
pub(super) fn names(answer: &Value, field: &str) -> Vec<String> {
    let items = answer.as_array().or_else(|| answer["items"].as_array());
    let name = |item: &Value| item.as_str().or_else(|| item[field].as_str()).map(str::to_owned);
    items.map(|items| items.iter().filter_map(name).collect()).unwrap_or_default()
}
