//! `kefu user token`: what programs show.

use super::{Change, ask, permission, show};
use crate::{
    access::secret::{TOKEN_PREFIX, hash_of, new_secret},
    cli::{
        Session, TenantArg,
        client::{Client, now},
        error::CliError,
        output::note,
    },
    config::units,
};
use clap::Subcommand;
use kefu_events::{Timestamp, V, user::UserCommand};
use serde_json::json;
use std::time::Duration;

/// Tokens, with which programs come as a user
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kefu user token add anna --name laptop --expires 90d
  kefu user token add reports --name nightly --scope report.read --scope conversation.read
  kefu user token list reports
  kefu user token revoke reports 0192f3a47c1d")]
pub enum Token {
    /// Make a token. Its secret is shown once, and kept nowhere
    Add {
        /// The user's id
        user: String,
        /// What it is for
        #[arg(long)]
        name: String,
        /// Only for this permission, out of what the user may do; can be repeated [default: all of it]
        #[arg(long = "scope", value_name = "PERMISSION", value_parser = permission)]
        scopes: Vec<String>,
        /// How long it is good [default: until it is revoked]
        #[arg(long, value_name = "DURATION", value_parser = units::duration)]
        expires: Option<Duration>,
        #[command(flatten)]
        change: Change,
    },
    /// List a user's tokens
    List {
        /// The user's id
        user: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Revoke a token
    Revoke {
        /// The user's id
        user: String,
        /// The token, from `kefu user token list`
        token: String,
        #[command(flatten)]
        change: Change,
    },
}

impl Token {
    pub(super) async fn run(self, session: &mut Session, client: &Client) -> Result<(), CliError> {
        match self {
            Self::Add { user, name, scopes, expires, change } => {
                let secret = new_secret(TOKEN_PREFIX).map_err(|error| CliError::failure(error.to_string()))?;
                let token = uuid::Uuid::now_v7().simple().to_string();
                let expires_at = expires.map(|expires| {
                    let ms = i64::try_from(expires.as_millis()).unwrap_or(i64::MAX);
                    Timestamp::from_millis(now().as_millis().saturating_add(ms))
                });
                let body = UserCommand::IssueToken {
                    v: V,
                    token: token.clone(),
                    name,
                    hash: hash_of(&secret).unwrap_or_default(),
                    scopes: (!scopes.is_empty()).then(|| scopes.into_iter().collect()),
                    expires_at,
                };
                let mut result = ask(client, &user, &change, body).await?;
                (result["token"], result["secret"]) = (token.into(), secret.clone().into());
                if !session.out.is_json() {
                    note("this is shown once, and kept nowhere:");
                }
                session.out.result(&result, || secret)
            }
            Self::List { user, tenant } => {
                let found = show::find(client, &tenant.of(&client.config), &user).await?;
                show::tokens(session, &found)
            }
            Self::Revoke { user, token, change } => {
                let result = ask(client, &user, &change, UserCommand::RevokeToken { v: V, token }).await?;
                session.out.result(&json!(result), || format!("done: version {}", result["version"]))
            }
        }
    }
}
